"""CloudWatch Logs through boto3 and the aws command line."""
import json
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def logs(client):
    return client("logs")


def now():
    return int(time.time() * 1000)


def test_groups_streams_events(logs, account):
    logs.create_log_group(logGroupName="/app/one", tags={"team": "a"})
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="/app/one")
    group = logs.describe_log_groups(logGroupNamePrefix="/app/")["logGroups"][0]
    assert group["arn"] == f"arn:aws:logs:us-east-1:{account}:log-group:/app/one:*"
    assert group["logGroupArn"] == f"arn:aws:logs:us-east-1:{account}:log-group:/app/one"
    assert group["logGroupClass"] == "STANDARD" and "retentionInDays" not in group
    logs.create_log_stream(logGroupName="/app/one", logStreamName="s1")
    at = now()
    logs.put_log_events(
        logGroupName="/app/one", logStreamName="s1",
        logEvents=[{"timestamp": at + i, "message": f"line {i} é"} for i in range(5)],
    )
    events = logs.get_log_events(logGroupName="/app/one", logStreamName="s1", startFromHead=True)
    assert [e["message"] for e in events["events"]] == [f"line {i} é" for i in range(5)]
    again = logs.get_log_events(
        logGroupName="/app/one", logStreamName="s1", startFromHead=True, nextToken=events["nextForwardToken"]
    )
    assert again["events"] == [] and again["nextForwardToken"] == events["nextForwardToken"]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupIdentifier=group["logGroupArn"], PaginationConfig={"PageSize": 2}
    )
    found = [e for page in pages for e in page["events"]]
    assert len(found) == 5 and len({e["eventId"] for e in found}) == 5
    stream = logs.describe_log_streams(logGroupName="/app/one")["logStreams"][0]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (at, at + 4)
    logs.delete_log_stream(logGroupName="/app/one", logStreamName="s1")
    logs.delete_log_group(logGroupName="/app/one")
    assert logs.describe_log_groups()["logGroups"] == []


def test_what_is_invalid(logs):
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")

    def refused(code, call, **kw):
        with pytest.raises(ClientError) as error:
            call(**kw)
        assert error.value.response["Error"]["Code"] == code
        return error.value.response["Error"]["Message"]

    events = [{"timestamp": 2, "message": "b"}, {"timestamp": 1, "message": "a"}]
    message = refused("InvalidParameterException", logs.put_log_events, logGroupName="g", logStreamName="s", logEvents=events)
    assert message == "Log events in a single PutLogEvents request must be in chronological order."
    refused("InvalidParameterException", logs.create_log_group, logGroupName="a b")
    refused("InvalidParameterException", logs.filter_log_events, logGroupName="g", filterPattern="{ $.a = }")
    refused("ResourceNotFoundException", logs.get_log_events, logGroupName="g", logStreamName="none")
    refused("InvalidParameterException", logs.get_log_events, logGroupName="g", logStreamName="s", nextToken="x")
    refused("InvalidParameterException", logs.put_retention_policy, logGroupName="g", retentionInDays=2)
    old = logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "a"}])
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}


def test_retention_and_tags(logs, account):
    logs.create_log_group(logGroupName="g")
    logs.put_retention_policy(logGroupName="g", retentionInDays=7)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
    logs.delete_retention_policy(logGroupName="g")
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:g"
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert logs.list_tags_log_group(logGroupName="g")["tags"] == {"b": "2"}


def test_patterns(logs):
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    lines = ["ERROR one", "WARN two", json.dumps({"status": 500, "user": {"name": "ann"}}), "ERROR two"]
    at = now()
    logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": at, "message": line} for line in lines]
    )

    def found(pattern):
        return [e["message"] for e in logs.filter_log_events(logGroupName="g", filterPattern=pattern)["events"]]

    assert found("ERROR") == [lines[0], lines[3]]
    assert found("ERROR -one") == [lines[3]]
    assert found("?WARN ?one") == lines[:2]
    assert found('{ $.status >= 500 && $.user.name = "a*" }') == [lines[2]]
    assert found("[level=ERROR, what]") == [lines[0], lines[3]]
    matches = logs.test_metric_filter(filterPattern="[a, b=2]", logEventMessages=["x 1", "x 2"])["matches"]
    assert matches == [{"eventNumber": 2, "eventMessage": "x 2", "extractedValues": {"$a": "x", "$b": "2"}}]


def test_the_command_line(logs, aws):
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": now(), "message": "hello"}])
    found = json.loads(aws("logs", "filter-log-events", "--log-group-name", "g", "--filter-pattern", "hello").stdout)
    assert [e["message"] for e in found["events"]] == ["hello"]
    got = json.loads(aws("logs", "get-log-events", "--log-group-name", "g", "--log-stream-name", "s").stdout)
    assert [e["message"] for e in got["events"]] == ["hello"]


def test_following_as_version_2_of_the_command_line_does(logs):
    """`aws logs tail --follow` pages through filter-log-events, then begins again at the last event's time and leaves
    out the ids that it has shown at that time."""
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    shown, start, seen, token = [], 0, set(), None
    at = now()
    for turn in range(4):
        batch = [{"timestamp": at + turn // 2, "message": f"{turn}-{i}"} for i in range(3)]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=batch)
        while True:
            page = logs.filter_log_events(
                logGroupName="g", startTime=start, interleaved=True, limit=2, **({"nextToken": token} if token else {})
            )
            for event in page["events"]:
                if event["eventId"] not in seen:
                    shown.append(event["message"])
                    seen.add(event["eventId"])
                    start = max(start, event["timestamp"])
            token = page.get("nextToken")
            if not token:
                break
    assert shown == [f"{turn}-{i}" for turn in range(4) for i in range(3)]


def test_live_tail(client, account):
    # The prefix "stream-" of the host would need a name that resolves.
    logs = client("logs", inject_host_prefix=False)
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:g"
    stream = iter(logs.start_live_tail(logGroupIdentifiers=[arn])["responseStream"])
    assert next(stream)["sessionStart"]["logGroupIdentifiers"] == [arn]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": now(), "message": "seen"}])
    results = []
    while not results:
        results = next(stream)["sessionUpdate"]["sessionResults"]
    assert results[0]["message"] == "seen"
