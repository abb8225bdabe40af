"""What both functions of the comparison share: the policy, the claim, the report, the loop over a batch."""

import hashlib
import json
import os
import re
import time

import boto3
import yaml
from botocore.exceptions import ClientError

BUCKET = os.environ["SIGNALBOX_BUCKET"]
POLICY_KEY = os.environ["SIGNALBOX_POLICY_KEY"]
FUNCTION = os.environ["SIGNALBOX_FUNCTION"]

s3 = boto3.client("s3")
_policy = None  # (etag, version, parsed)


def code(error):
    return error.response["Error"]["Code"]


def get(key):
    """An object's JSON and its entity tag, or (None, None)."""
    try:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if code(error) == "NoSuchKey":
            return None, None
        raise
    return json.loads(answer["Body"].read()), answer["ETag"]


def put(key, value, **condition):
    """Writes JSON under a condition; the new entity tag, or None where somebody was faster."""
    body = json.dumps(value, indent=2).encode()
    try:
        answer = s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="application/json", **condition)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 412):
            return None
        raise
    return answer["ETag"]


def put_over(key, value, etag):
    return put(key, value, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))


def policy():
    """The policy in force: one conditional read, parsed once a version."""
    global _policy
    condition = {"IfNoneMatch": _policy[0]} if _policy else {}
    try:
        answer = s3.get_object(Bucket=BUCKET, Key=POLICY_KEY, **condition)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 304:
            return _policy[1], _policy[2]
        raise
    parsed = yaml.load(answer["Body"].read(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    _policy = (answer["ETag"], answer.get("VersionId"), parsed)
    return _policy[1], _policy[2]


def glob(pattern):
    """A glob as a regular expression: `*` stays inside one path segment, `**` crosses."""
    out = ""
    for part in re.split(r"(\*\*/?|\*|\?)", pattern):
        out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(out + r"\Z")


def wanted(patterns, name):
    """Whether a list of globs wants a name: `!` excludes, the last match wins."""
    found = False
    for pattern in patterns:
        exclude = pattern.startswith("!")
        if glob(pattern[1:] if exclude else pattern).match(name):
            found = not exclude
    return found


def claim(event_id, lease):
    key = f"ledger/{FUNCTION}/{event_id}"
    entry = {
        "function": FUNCTION,
        "event": event_id,
        "phase": {"claimed": {"until": time.time() + lease}},
        "attempts": 1,
        "outcomes": {},
        "report": None,
    }
    etag = put(key, entry, IfNoneMatch="*")
    return (key, entry, etag) if etag else None


def record(held, action, outcome):
    key, entry, etag = held
    entry["outcomes"][action] = {"done": outcome}
    return key, entry, put_over(key, entry, etag)


def finish(held, report):
    key, entry, etag = held
    entry.update(phase="done", report=report)
    put_over(key, entry, etag)


def note(event_id, report):
    """The report of an event that asked for nothing."""
    entry = {"function": FUNCTION, "event": event_id, "phase": "done", "attempts": 1, "outcomes": {}, "report": report}
    put(f"ledger/{FUNCTION}/{event_id}", entry, IfNoneMatch="*")


def report(version, mode, verdict, reasons, actions, replay):
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "policy_version": version,
        "mode": mode,
        "verdict": verdict,
        "reasons": reasons,
        "actions": actions,
        "replay": replay,
    }


def token(*parts):
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()


def log(event_id, verdict, reasons, actions):
    line = {"level": "INFO", "message": "handled", "event.id": event_id, "verdict": verdict}
    print(json.dumps({**line, "reasons": "; ".join(reasons), "actions": "; ".join(actions)}), flush=True)


def batch(handle):
    """A Lambda handler over a function for one event: an SQS batch with partial failures, or one bare event."""

    def handler(payload, context):
        records = payload.get("Records")
        if records is None:
            return handle(payload, context)
        failed = []
        for item in records:
            try:
                handle(json.loads(item["body"]), context)
            except Exception as error:  # noqa: BLE001
                print(json.dumps({"level": "WARN", "message": "comes again", "why": repr(error)}), flush=True)
                failed.append({"itemIdentifier": item["messageId"]})
        return {"batchItemFailures": failed}

    return handler
