"""The notifier as one would write it in Python with boto3: for the comparison of numbers only, same events, same calls."""

import json
import os
import re

import boto3
from botocore.exceptions import ClientError

from bench_common import batch, claim, code, finish, get, log, note, policy, put_over, record, report

codebuild = boto3.client("codebuild")
codecommit = boto3.client("codecommit")
logs = boto3.client("logs")
sns = boto3.client("sns")
TOPIC = os.environ["SIGNALBOX_TOPIC_ARN"]
SECRETS = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|(?i:(password|secret|token|api[_-]?key)\s*[=:]\s*)\S+|(?i:bearer)\s+[\w.~+/-]+=*"
    r"|://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
FAILED = ("FAILED", "FAULT", "TIMED_OUT")


def tail(group, stream, lines):
    try:
        answer = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=False, limit=lines)
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return None
        raise
    return [event["message"].rstrip() for event in answer["events"]]


def handle(event, context):
    if event.get("detail-type") != "CodeBuild Build State Change":
        log(event.get("id"), "not ours", [], [])
        return "not ours"
    version, rules = policy()
    detail, event_id = event["detail"], event["id"]
    build_id = detail["build-id"].rsplit("/", 1)[-1]
    build = next(iter(codebuild.batch_get_builds(ids=[build_id])["builds"]), {})
    status = build.get("buildStatus", detail["build-status"])
    start, _ = get(f"state/starts/{build_id.replace(':', '/')}.json")
    project = detail["project-name"]
    repository = build.get("source", {}).get("location", "").rstrip("/").rsplit("/", 1)[-1]
    commit = build.get("resolvedSourceVersion")
    reference = start["reference"] if start else build.get("sourceVersion", "")
    key = f"state/history/{repository}/{project}/{reference}.json"
    history, etag = get(key)
    history = history or {"builds": []}
    mode = rules.get("mode", "observe")
    if any(known["build"] == build_id for known in history["builds"]):
        note(event_id, report(version, mode, "silent", [f"{build_id} is known already"], [], {"event": event}))
        log(event_id, "silent", [f"{build_id} is known already"], [])
        return None
    before = history["builds"][-1]["status"] if history["builds"] else None
    if status in FAILED:
        count = 1
        for known in reversed(history["builds"]):
            if known["status"] not in FAILED:
                break
            count += 1
        news = "failed" if count == 1 else f"is still failing, for the {count}th time"
    elif before in FAILED:
        news = "is fixed"
    else:
        note(event_id, report(version, mode, "silent", [f"{project} went well, as before"], [], {"event": event}))
        log(event_id, "silent", [f"{project} went well, as before"], [])
        return None
    place = build.get("logs", {})
    quoted = tail(place["groupName"], place["streamName"], 100) if place.get("groupName") else None
    quoted = [SECRETS.sub("[removed]", line) for line in quoted or []][-40:]
    listed = []
    if commit:
        listed = [codecommit.get_commit(repositoryName=repository, commitId=commit)["commit"]]
    phase = next((phase for phase in build.get("phases", []) if phase.get("phaseStatus") in FAILED), None)
    subject = f"[{repository}] {project} {news} on {reference}"[:99]
    body = [f"{project} {news}.", "", f"Repository: {repository}", f"Ref:        {reference}", f"Commit:     {commit}"]
    body += [f"            {made['message'].splitlines()[0]} ({made['author']['name']})" for made in listed]
    if phase:
        said = "; ".join(context.get("message", "") for context in phase.get("contexts", []))
        body.append(f"Phase:      {phase['phaseType']}: {SECRETS.sub('[removed]', said)}")
    body += ["", "The last lines of its log:", "", *[f"    {line}" for line in quoted]]
    held = claim(event_id, context.get_remaining_time_in_millis() / 1000 + 5)
    if held is None:
        return "finished before"
    text = {"topic": "build.failed" if status in FAILED else "build.fixed", "repository": repository}
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in {**text, "ref": reference or "-", "project": project}.items()
    }
    attributes["to"] = {"DataType": "String.Array", "StringValue": json.dumps(["everyone"])}
    sent = sns.publish(TopicArn=TOPIC, Subject=subject, Message="\n".join(body), MessageAttributes=attributes)
    held = record(held, "mail", f"sent as {sent['MessageId']}")
    for _ in range(5):
        history, etag = get(key)
        history = history or {"builds": []}
        history["builds"] = [*history["builds"], {"build": build_id, "status": status, "commit": commit}][-50:]
        if put_over(key, history, etag):
            break
    held = record(held, "history", "done")
    actions = [f"mail {subject}: sent as {sent['MessageId']}", "remember the build: done"]
    done = report(version, mode, "mail", [f"{project} {news}"], actions, {"event": event})
    finish(held, done)
    log(event_id, "mail", done["reasons"], actions)
    return done


handler = batch(handle)
