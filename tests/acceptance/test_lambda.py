"""Lambda through boto3 and the aws command line: real functions in real sandboxes."""
import base64
import hashlib
import io
import json
import time
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
LOGS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}


def package(source, name="index.py", **more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in {name: source, **more}.items():
            archive.writestr(path, text)
    return buffer.getvalue()


ECHO = package("def handler(event, context):\n    print('seen', event)\n    return event\n")


@pytest.fixture
def lam(client):
    return client("lambda", read_timeout=120)


@pytest.fixture
def role(client):
    iam = client("iam")

    def make(name="function", policy=LOGS, trust=TRUST):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if policy:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        return arn

    return make


@pytest.fixture
def create(lam, role):
    made = {}

    def create(name="f", code=ECHO, **kw):
        kw.setdefault("Role", made.setdefault("role", None) or role())
        made["role"] = kw["Role"]
        kw = {"Runtime": "python3.11", "Handler": "index.handler", **kw}
        answer = lam.create_function(FunctionName=name, Code={"ZipFile": code}, **kw)
        lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        return answer

    return create


def invoke(lam, name="f", event=None, **kw):
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(event), **kw)
    body = answer["Payload"].read()
    return answer, json.loads(body) if body else None


def refused(code, call, **kw):
    with pytest.raises(ClientError) as error:
        call(**kw)
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value.response["Error"]["Message"]


def until(check, seconds=30):
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def lines(client, name, pattern="", seconds=30, least=1):
    logs = client("logs")

    def look():
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern=pattern)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [e["message"] for e in events] if len(events) >= least else []

    return until(look, seconds)


def test_a_function_is_made_and_called(lam, create, account, client):
    made = create(Description="d", Environment={"Variables": {"AA": "1"}}, Tags={"t": "1"})
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert made["FunctionArn"] == arn and made["Version"] == "$LATEST"
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(ECHO).digest()).decode()
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    assert (made["Timeout"], made["MemorySize"], made["PackageType"]) == (3, 128, "Zip")
    assert made["TracingConfig"] == {"Mode": "PassThrough"} and made["EphemeralStorage"] == {"Size": 512}
    shown = lam.get_function(FunctionName=arn)
    assert shown["Configuration"]["State"] == "Active"
    assert shown["Configuration"]["LastUpdateStatus"] == "Successful"
    assert shown["Tags"] == {"t": "1"}
    answer, body = invoke(lam, event={"x": [1, "é"]}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"], body) == (200, "$LATEST", {"x": [1, "é"]})
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"
    tail = base64.b64decode(answer["LogResult"]).decode()
    request = answer["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request} Version: $LATEST" in tail and "seen" in tail
    assert f"REPORT RequestId: {request}\tDuration: " in tail
    written = lines(client, "f", "REPORT")
    assert written and request in written[0] and written[0].endswith("\n")
    stream = client("logs").describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"][0]["logStreamName"]
    assert time.strftime("%Y/") in stream and "[$LATEST]" in stream
    assert [f["FunctionName"] for f in lam.list_functions()["Functions"]] == ["f"]
    lam.delete_function(FunctionName="f")
    message = refused("ResourceNotFoundException", lam.get_function, FunctionName="f")
    assert message == f"Function not found: {arn}"
    refused("ResourceNotFoundException", lam.invoke, FunctionName="f")


def test_the_package_can_be_fetched(lam, create):
    create()
    location = lam.get_function(FunctionName="f")["Code"]["Location"]
    assert urllib.request.urlopen(location, timeout=30).read() == ECHO
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(location[:-1] + ("0" if location[-1] != "0" else "1"), timeout=30)


def test_what_create_refuses(lam, create, role, account, client):
    create()
    arn = role("other")
    base = dict(Runtime="python3.11", Handler="index.handler", Role=arn)
    make = lam.create_function
    message = refused("ResourceConflictException", make, FunctionName="f", Code={"ZipFile": ECHO}, **base)
    assert message == "Function already exist: f"
    message = refused("InvalidParameterValueException", make, FunctionName="g", Code={"ZipFile": b"no zip"}, **base)
    assert message == "Could not unzip uploaded file. Please check your file, then try to upload again."
    none = f"arn:aws:iam::{account}:role/none"
    untrusted = role("untrusted", trust={**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "ec2.amazonaws.com"}}]})
    for bad in (none, untrusted):
        message = refused("InvalidParameterValueException", make, FunctionName="g", Code={"ZipFile": ECHO}, **{**base, "Role": bad})
        assert message == "The role defined for the function cannot be assumed by Lambda."
    refused("InvalidParameterValueException", make, FunctionName="g", Code={"ZipFile": ECHO}, Environment={"Variables": {"AWS_REGION": "x"}}, **base)
    refused("InvalidParameterValueException", make, FunctionName="g", Code={"ZipFile": ECHO}, **{**base, "Runtime": "python2.7"})
    refused("InvalidParameterValueException", make, FunctionName="g", Code={"S3Bucket": "none-at-all-here", "S3Key": "k"}, **base)
    unchecked = client("lambda", parameter_validation=False)
    message = refused("ValidationException", unchecked.create_function, FunctionName="g", Code={"ZipFile": ECHO}, Timeout=0, **base)
    assert message.startswith("1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint"), message


def test_code_from_s3(lam, role, client, unique):
    s3 = client("s3")
    bucket = unique("code")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="f.zip", Body=ECHO)
    lam.create_function(FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role(), Code={"S3Bucket": bucket, "S3Key": "f.zip"})
    assert invoke(lam, event=[1])[1] == [1]


def test_errors_of_the_handler(lam, create, client):
    create(code=package("def handler(event, context):\n    raise ValueError('bad ' + event)\n"))
    answer, body = invoke(lam, event="egg")
    assert answer["FunctionError"] == "Unhandled"
    assert body["errorType"] == "ValueError" and body["errorMessage"] == "bad egg"
    assert any("index.py" in line for line in body["stackTrace"])
    create("slow", code=package("import time\ndef handler(e, c):\n    time.sleep(30)\n"), Timeout=1)
    answer, body = invoke(lam, "slow")
    assert answer["FunctionError"] == "Unhandled"
    assert body["errorMessage"].endswith("Task timed out after 1.00 seconds"), body
    create("none", code=package("x = 1\n"))
    answer, body = invoke(lam, "none")
    assert answer["FunctionError"] == "Unhandled" and body["errorType"] == "Runtime.HandlerNotFound"


def test_payloads(lam, create):
    create()
    refused("InvalidRequestContentException", lam.invoke, FunctionName="f", Payload=b"{no")
    refused("RequestEntityTooLargeException", lam.invoke, FunctionName="f", Payload=b'"' + b"x" * 6291456 + b'"')
    refused("RequestEntityTooLargeException", lam.invoke, FunctionName="f", InvocationType="Event", Payload=b'"' + b"x" * 1048576 + b'"')
    assert invoke(lam, event="x" * 1_000_000)[1] == "x" * 1_000_000
    answer = lam.invoke(FunctionName="f")
    assert json.loads(answer["Payload"].read()) == {}
    answer = lam.invoke(FunctionName="f", InvocationType="DryRun")
    assert answer["StatusCode"] == 204


def test_client_context_and_context(lam, create, account):
    create(code=package(
        "def handler(event, context):\n"
        "    return [context.client_context.custom['a'], context.invoked_function_arn, context.function_version, context.aws_request_id]\n"
    ))
    text = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()
    answer, body = invoke(lam, ClientContext=text)
    assert body == ["b", f"arn:aws:lambda:us-east-1:{account}:function:f", "$LATEST", answer["ResponseMetadata"]["RequestId"]]


def test_events_run_later_under_their_own_request_id(lam, create, client):
    create()
    answer = lam.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"later": 1}')
    assert answer["StatusCode"] == 202
    started = lines(client, "f", "START")
    assert answer["ResponseMetadata"]["RequestId"] in started[0]


def test_a_destination_is_told(lam, create, account, client):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:"
    both = {**LOGS, "Statement": [LOGS["Statement"][0], {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}]}
    create("told")
    client("iam").put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=json.dumps(both))
    create("f", code=package("def handler(e, c):\n    if e['fail']: raise Exception('no')\n    return 'yes'\n"))
    config = lam.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": arn + "told"}, "OnFailure": {"Destination": arn + "told"}},
    )
    assert config["FunctionArn"] == arn + "f:$LATEST" and config["MaximumRetryAttempts"] == 0
    assert lam.get_function_event_invoke_config(FunctionName="f")["DestinationConfig"]["OnFailure"]["Destination"] == arn + "told"
    lam.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"fail": false}')
    lam.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"fail": true}')
    assert lines(client, "told", "Success")
    assert lines(client, "told", "RetriesExhausted")


def test_the_role_decides(lam, create, role, client, unique):
    s3 = client("s3")
    bucket = unique("data")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    who = boto3.client('sts').get_caller_identity()['Arn']\n"
        "    try:\n"
        "        return who, boto3.client('s3').get_object(Bucket=event, Key='k')['Body'].read().decode()\n"
        "    except Exception as e:\n"
        "        return who, e.response['Error']['Code']\n"
    )
    create(code=package(source), Timeout=60, MemorySize=256)
    who, body = invoke(lam, event=bucket)[1]
    assert ":assumed-role/function/f" in who and body == "AccessDenied"
    allow = {**LOGS, "Statement": [LOGS["Statement"][0], {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    client("iam").put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=json.dumps(allow))
    assert invoke(lam, event=bucket)[1][1] == "v"


def test_a_role_without_logs_has_no_logs(lam, create, role, client):
    create(Role=role("silent", policy=None))
    invoke(lam, event=1)
    create("loud", Role=role("loud"))
    invoke(lam, "loud", event=1)
    assert lines(client, "loud", "REPORT")
    groups = client("logs").describe_log_groups()["logGroups"]
    assert [g["logGroupName"] for g in groups] == ["/aws/lambda/loud"]


def test_updates(lam, create):
    first = create()
    update = lam.update_function_code(FunctionName="f", ZipFile=package("import os\ndef handler(e, c):\n    return os.environ.get('AA')\n"))
    assert (update["LastUpdateStatus"], update["State"]) == ("InProgress", "Active")
    assert update["RevisionId"] != first["RevisionId"] and update["CodeSha256"] != first["CodeSha256"]
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert invoke(lam)[1] is None
    lam.update_function_configuration(FunctionName="f", Environment={"Variables": {"AA": "b"}}, Timeout=10, MemorySize=256)
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert invoke(lam)[1] == "b"
    shown = lam.get_function_configuration(FunctionName="f")
    assert (shown["Timeout"], shown["MemorySize"], shown["Environment"]) == (10, 256, {"Variables": {"AA": "b"}})
    refused("PreconditionFailedException", lam.update_function_configuration, FunctionName="f", RevisionId="x" * 36, Timeout=5)
    before = lam.get_function_configuration(FunctionName="f")
    dry = lam.update_function_code(FunctionName="f", ZipFile=ECHO, DryRun=True)
    assert dry["CodeSha256"] == first["CodeSha256"]
    assert lam.get_function_configuration(FunctionName="f")["CodeSha256"] == before["CodeSha256"]


def test_versions_and_aliases(lam, create, account):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    create()
    one = lam.publish_version(FunctionName="f", Description="one")
    assert (one["Version"], one["FunctionArn"]) == ("1", arn + ":1")
    assert lam.publish_version(FunctionName="f", Description="one")["Version"] == "1"
    two = lam.update_function_code(FunctionName="f", ZipFile=package("def handler(e, c):\n    return 'two'\n"), Publish=True)
    assert two["Version"] == "2"
    alias = lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert alias["AliasArn"] == arn + ":live"
    answer, body = invoke(lam, event="x", Qualifier="live")
    assert (answer["ExecutedVersion"], body) == ("1", "x")
    assert invoke(lam, arn + ":2", "x")[1] == "two"
    lam.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    seen = {invoke(lam, "f:live", "x")[0]["ExecutedVersion"] for _ in range(40)}
    assert seen == {"1", "2"}
    refused("ResourceConflictException", lam.delete_function, FunctionName="f", Qualifier="1")
    refused("ResourceConflictException", lam.create_alias, FunctionName="f", Name="live", FunctionVersion="1")
    refused("ResourceNotFoundException", lam.create_alias, FunctionName="f", Name="x", FunctionVersion="9")
    refused("InvalidParameterValueException", lam.get_function, FunctionName="f:1", Qualifier="2")
    versions = lam.list_versions_by_function(FunctionName="f")["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2"]
    assert [a["Name"] for a in lam.list_aliases(FunctionName="f")["Aliases"]] == ["live"]
    lam.delete_alias(FunctionName="f", Name="live")
    message = refused("ResourceNotFoundException", lam.get_alias, FunctionName="f", Name="live")
    assert message == f"Cannot find alias arn: {arn}:live"
    lam.delete_function(FunctionName="f", Qualifier="1")
    refused("ResourceNotFoundException", lam.get_function, FunctionName="f", Qualifier="1")


def test_permissions(lam, create, account, client, unique):
    create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    refused("ResourceNotFoundException", lam.get_policy, FunctionName="f")
    statement = lam.add_permission(
        FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::b", SourceAccount=account,
    )["Statement"]
    assert json.loads(statement) == {
        "Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
        "Resource": arn, "Condition": {"StringEquals": {"AWS:SourceAccount": account}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}},
    }
    refused("ResourceConflictException", lam.add_permission, FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    policy = json.loads(lam.get_policy(FunctionName="f")["Policy"])
    assert policy["Id"] == "default" and [s["Sid"] for s in policy["Statement"]] == ["s3"]
    other = f"{(int(account) + 400_007) % 10**12:012d}"
    stranger = client("lambda", account=other)
    refused("AccessDeniedException", stranger.invoke, FunctionName=arn)
    lam.add_permission(FunctionName="f", StatementId="other", Action="lambda:InvokeFunction", Principal=other)
    assert stranger.invoke(FunctionName=arn)["StatusCode"] == 200
    lam.remove_permission(FunctionName="f", StatementId="other")
    refused("AccessDeniedException", stranger.invoke, FunctionName=arn)
    refused("ResourceNotFoundException", lam.remove_permission, FunctionName="f", StatementId="other")


def test_an_upload_calls_the_function(lam, create, account, client, unique):
    create()
    s3 = client("s3")
    bucket = unique("photos")
    s3.create_bucket(Bucket=bucket)
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    lam.add_permission(FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{bucket}")
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    )
    s3.put_object(Bucket=bucket, Key="cat.jpg", Body=b"x")
    assert lines(client, "f", "cat.jpg")


def test_layers(lam, create, account):
    layer = lam.publish_layer_version(
        LayerName="common", Content={"ZipFile": package("VALUE = 'from the layer'\n", "python/common.py")}, CompatibleRuntimes=["python3.11"]
    )
    arn = f"arn:aws:lambda:us-east-1:{account}:layer:common"
    assert (layer["LayerArn"], layer["LayerVersionArn"], layer["Version"]) == (arn, arn + ":1", 1)
    made = create(code=package("import common\ndef handler(e, c):\n    return common.VALUE\n"), Layers=[arn + ":1"])
    assert made["Layers"][0]["Arn"] == arn + ":1"
    lam.delete_layer_version(LayerName="common", VersionNumber=1)
    assert invoke(lam)[1] == "from the layer"
    assert lam.publish_layer_version(LayerName="common", Content={"ZipFile": ECHO})["Version"] == 2
    assert [v["Version"] for v in lam.list_layer_versions(LayerName="common")["LayerVersions"]] == [2]
    assert lam.list_layers()["Layers"][0]["LatestMatchingVersion"]["Version"] == 2
    refused("InvalidParameterValueException", lam.update_function_configuration, FunctionName="f", Layers=[arn + ":9"])


def test_concurrency(lam, create):
    create(code=package("import time\ndef handler(e, c):\n    time.sleep(1)\n    return 1\n"), Timeout=30)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert lam.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 1}

    def call(_):
        try:
            return lam.invoke(FunctionName="f")["StatusCode"]
        except lam.exceptions.TooManyRequestsException as error:
            return error.response["Reason"]

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(call, range(3)))
    assert 200 in answers and "ReservedFunctionConcurrentInvocationLimitExceeded" in answers
    settings = lam.get_account_settings()["AccountLimit"]
    assert settings["UnreservedConcurrentExecutions"] == settings["ConcurrentExecutions"] - 1
    refused("InvalidParameterValueException", lam.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=950)
    lam.delete_function_concurrency(FunctionName="f")
    assert "ReservedConcurrentExecutions" not in lam.get_function_concurrency(FunctionName="f")


def test_tags_and_small_settings(lam, create):
    arn = create()["FunctionArn"]
    lam.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    lam.untag_resource(Resource=arn, TagKeys=["a"])
    assert lam.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    assert lam.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Terminate"
    assert lam.get_runtime_management_config(FunctionName="f")["UpdateRuntimeOn"] == "Auto"
    assert "CodeSigningConfigArn" not in lam.get_function_code_signing_config(FunctionName="f")


def test_other_regions_and_odd_names(lam, create, account):
    create()
    message = refused("ResourceNotFoundException", lam.invoke, FunctionName=f"arn:aws:lambda:eu-west-1:{account}:function:f")
    assert message == "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    assert invoke(lam, f"{account}:function:f", 1)[1] == 1
    refused("ResourceNotFoundException", lam.invoke, FunctionName="f", Qualifier="7")


def test_a_burst_of_events_is_neither_lost_nor_doubled(lam, create, client):
    create(code=package("def handler(e, c):\n    print('burst', e)\n"))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: lam.invoke(FunctionName="f", InvocationType="Event", Payload=str(i).encode()), range(200)))
    seen = lines(client, "f", "burst", 300, 200)
    assert sorted(int(line.split()[1]) for line in seen) == list(range(200))


def test_response_stream(lam, create):
    create()
    events = list(lam.invoke_with_response_stream(FunctionName="f", Payload=b'{"a": 1}')["EventStream"])
    body = b"".join(e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e)
    assert json.loads(body) == {"a": 1} and "InvokeComplete" in events[-1]


def test_the_command_line(aws, create, tmp_path):
    create()
    out, payload = tmp_path / "out.json", tmp_path / "in.json"
    payload.write_text('{"k": 1}')
    done = aws("lambda", "invoke", "--function-name", "f", "--payload", f"fileb://{payload}", str(out))
    assert json.loads(done.stdout)["StatusCode"] == 200 and json.loads(out.read_text()) == {"k": 1}
    assert "FunctionName" in aws("lambda", "list-functions").stdout.decode()
