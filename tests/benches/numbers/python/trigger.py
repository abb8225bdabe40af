"""The trigger as one would write it in Python with boto3: for the comparison of numbers only, same events, same calls."""

import datetime
import time

import boto3

from bench_common import batch, claim, finish, get, log, note, policy, put, put_over, record, report, token, wanted

codecommit = boto3.client("codecommit")
codebuild = boto3.client("codebuild")
SKIP = ("[skip ci]", "[ci skip]", "[no ci]")


def triggers_for(rules, repository, branch):
    for pattern, section in (rules.get("repositories") or {}).items():
        if not wanted([pattern], repository):
            continue
        for name, trigger in (section.get("triggers") or {}).items():
            # A key `on` is a boolean to YAML 1.1, which is what PyYAML reads.
            push = trigger[True].get("push")
            if push is not None and wanted(push.get("branches") or ["**"], branch):
                yield name, trigger, push.get("paths")


def paths_between(repository, before, after):
    arguments = {"repositoryName": repository, "afterCommitSpecifier": after}
    if before:
        arguments["beforeCommitSpecifier"] = before
    paths, page = [], None
    while True:
        answer = codecommit.get_differences(**arguments, **({"NextToken": page} if page else {}))
        for change in answer["differences"]:
            sides = {change.get(side, {}).get("path") for side in ("beforeBlob", "afterBlob")}
            paths.extend(side for side in sides if side)
        page = answer.get("NextToken")
        if not page:
            return paths


def base_of(repository, branch, commit, state):
    """The last green commit, or else where the branch left the default branch."""
    if state and state.get("green"):
        return state["green"]["commit"]
    default = codecommit.get_repository(repositoryName=repository)["repositoryMetadata"].get("defaultBranch")
    if not default or default == branch:
        return None
    merge = codecommit.get_merge_commit(
        repositoryName=repository, sourceCommitSpecifier=commit, destinationCommitSpecifier=default
    )
    return merge.get("baseCommitId")


def settle(state):
    running = [start["build"] for start in state.get("starts", []) if start["status"] == "IN_PROGRESS"]
    if not running:
        return
    ended = {build["id"]: build["buildStatus"] for build in codebuild.batch_get_builds(ids=running)["builds"]}
    for start in state["starts"]:
        start["status"] = ended.get(start["build"], start["status"])
        if start["status"] == "SUCCEEDED":
            state["green"] = {"commit": start["commit"], "build": start["build"]}


def take_up(repository, branch, commit, event_id):
    """Enters the push into its branch's journal, where a sweep would look."""
    key = f"state/journal/{repository}/refs/heads/{branch}.json"
    for _ in range(5):
        journal, etag = get(key)
        journal = journal or {"pushes": []}
        if any(push["id"] == event_id for push in journal["pushes"]):
            return
        now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        push = {"commit": commit, "id": event_id, "at": now, "by": "event"}
        journal["pushes"] = [*journal["pushes"], push][-50:]
        if put_over(key, journal, etag):
            return
    raise RuntimeError(f"{event_id}: others were faster five times")


def handle(event, context):
    if event.get("detail-type") != "CodeCommit Repository State Change":
        log(event.get("id"), "not ours", [], [])
        return "not ours"
    version, rules = policy()
    detail = event["detail"]
    repository, branch, commit = detail["repositoryName"], detail["referenceName"], detail["commitId"]
    mode, event_id = rules.get("mode", "observe"), event["id"]
    reasons, starts, known = [], [], {}
    triggers = list(triggers_for(rules, repository, branch)) if detail["referenceType"] == "branch" else []
    if not triggers:
        reasons = [f"no trigger of the policy wants pushes to {branch} of {repository}"]
        log(event_id, "not concerned", reasons, [])
        return report(version, mode, "not concerned", reasons, [], {"event": event})
    take_up(repository, branch, commit, event_id)
    for name, _, _ in triggers:
        known[name] = get(f"state/triggers/{repository}/{name}/refs/heads/{branch}.json")
    head = None
    for name, trigger, filters in triggers:
        if head is None:
            head = codecommit.get_commit(repositoryName=repository, commitId=commit)["commit"]
        state = known[name][0] or {"green": None, "starts": []}
        settle(state)
        if any(marker in head["message"].lower() for marker in SKIP):
            reasons.append(f"{name}: the commit message asks for no build")
            continue
        if filters:
            paths = paths_between(repository, base_of(repository, branch, commit, state), commit)
            match = next((path for path in paths if wanted(filters, path)), None)
            if match is None:
                reasons.append(f"{name}: none of the {len(paths)} changed paths matches")
                continue
            reasons.append(f"{name}: {match} matches, of {len(paths)} changed paths")
        attempt = 1 + sum(1 for start in state["starts"] if start["commit"] == commit)
        starts.append((name, trigger["start"]["build"], attempt))
    replay = {"event": event, "facts": {"head": head["message"] if head else None}, "decision": {"starts": starts}}
    if not starts or mode != "enforce":
        note(event_id, report(version, mode, "nothing", reasons, [], replay))
        log(event_id, "nothing", reasons, [])
        return None
    held = claim(event_id, context.get_remaining_time_in_millis() / 1000 + 5)
    if held is None:
        return "finished before"
    actions = []
    for name, project, attempt in starts:
        build = start(repository, branch, commit, name, project, attempt, detail, event_id)
        held = record(held, f"start {name} {commit} {attempt}", f"build {build}")
        actions.append(f"start {name} at {commit[:7]}: build {build}")
    done = report(version, mode, "start", reasons, actions, replay)
    finish(held, done)
    log(event_id, "start", reasons, actions)
    return done


def start(repository, branch, commit, name, project, attempt, detail, event_id):
    own = token(repository, branch, commit, name, attempt)
    variables = {
        "SIGNALBOX_TOKEN": own,
        "SIGNALBOX_TRIGGER": name,
        "SIGNALBOX_REPOSITORY": repository,
        "SIGNALBOX_REF": f"refs/heads/{branch}",
        "SIGNALBOX_COMMIT": commit,
    }
    answer = codebuild.start_build(
        projectName=project,
        sourceVersion=commit,
        idempotencyToken=own,
        environmentVariablesOverride=[
            {"name": key, "value": value, "type": "PLAINTEXT"} for key, value in variables.items()
        ],
    )
    build = answer["build"]["id"]
    remembered = {
        "build": build,
        "trigger": name,
        "repository": repository,
        "reference": f"refs/heads/{branch}",
        "commit": commit,
        "previous": detail.get("oldCommitId"),
        "pusher": detail.get("callerUserArn"),
        "attempt": attempt,
        "at": time.time(),
    }
    put(f"state/starts/{build.replace(':', '/')}.json", remembered, IfNoneMatch="*")
    key = f"state/triggers/{repository}/{name}/refs/heads/{branch}.json"
    for _ in range(5):
        state, etag = get(key)
        state = state or {"green": None, "starts": []}
        state["starts"] = [*state["starts"], {**remembered, "status": "IN_PROGRESS"}][-50:]
        if put_over(key, state, etag):
            return build
    raise RuntimeError(f"{event_id}: others were faster five times")


handler = batch(handle)
