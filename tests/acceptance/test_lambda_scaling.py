"""Provisioned concurrency, response streaming, and what loops and bad payloads do."""
import json
import os
import shutil
import stat
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_lambda import LOGS, create, invoke, lam, lines, package, refused, role, until  # noqa: F401
from test_lambda_urls import open_to_all, visit  # noqa: F401

WHO = package(
    "import os, time\nBORN = time.time()\n"
    "def handler(e, c):\n    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], BORN]\n"
)


def test_provisioned_sandboxes_wait(lam, create, account):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    create(code=WHO)
    put, invalid = lam.put_provisioned_concurrency_config, "InvalidParameterValueException"
    message = refused(invalid, put, FunctionName="f", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
    assert message == "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    assert refused("ResourceNotFoundException", put, FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1) == f"Function not found: {arn}:1"
    assert refused("ResourceNotFoundException", put, FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1) == f"Cannot find alias arn: {arn}:live"
    lam.publish_version(FunctionName="f")
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    message = refused("ProvisionedConcurrencyConfigNotFoundException", lam.get_provisioned_concurrency_config, FunctionName="f", Qualifier="live")
    assert message == "No Provisioned Concurrency Config found for this function"
    made = put(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=2)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (made["Status"], made["RequestedProvisionedConcurrentExecutions"], made["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2, 0)
    get = lambda: lam.get_provisioned_concurrency_config(FunctionName="f", Qualifier="live")  # noqa: E731
    assert until(lambda: get()["Status"] == "READY", 60), get()
    assert get()["AvailableProvisionedConcurrentExecutions"] == 2
    kind, born = invoke(lam, "f:live")[1]
    assert kind == "provisioned-concurrency"
    assert invoke(lam, "f")[1][0] == "on-demand"
    listed = lam.list_provisioned_concurrency_configs(FunctionName="f")["ProvisionedConcurrencyConfigs"]
    assert [(c["FunctionArn"], c["Status"]) for c in listed] == [(arn + ":live", "READY")]
    message = refused("ResourceConflictException", put, FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert message == "Version is pointed by a Provisioned Concurrency alias"
    message = refused(invalid, put, FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=2000)
    assert message == "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."
    message = refused(invalid, lam.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1)
    assert message == " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    lam.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
    refused("ProvisionedConcurrencyConfigNotFoundException", lam.get_provisioned_concurrency_config, FunctionName="f", Qualifier="live")


STREAMER = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.rawPath) {
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 202, headers: { 'x-own': 'yes', 'content-type': 'text/plain' } });
  }
  for (let n = 0; n < 3; n++) {
    stream.write(`part ${n}\\n`);
    await new Promise((done) => setTimeout(done, 50));
  }
  if (event.fail) throw new Error('half way');
  stream.end();
});
"""


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_a_response_streams(lam, create, visit):
    create(code=package(STREAMER, "index.js"), Runtime="nodejs20.x", Timeout=30)
    events = list(lam.invoke_with_response_stream(FunctionName="f", Payload=b"{}", LogType="Tail")["EventStream"])
    chunks = [e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e]
    assert b"".join(chunks) == b"part 0\npart 1\npart 2\n" and len(chunks) > 1, chunks
    assert "ErrorCode" not in events[-1]["InvokeComplete"] and events[-1]["InvokeComplete"]["LogResult"]
    events = list(lam.invoke_with_response_stream(FunctionName="f", Payload=b'{"fail": true}')["EventStream"])
    assert events[-1]["InvokeComplete"]["ErrorCode"] and "half way" in events[-1]["InvokeComplete"]["ErrorDetails"]
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE", InvokeMode="RESPONSE_STREAM")["FunctionUrl"]
    open_to_all(lam)
    answer = visit(url)
    assert (answer.status, answer.headers["x-own"], answer.headers["content-type"]) == (202, "yes", "text/plain")
    assert answer.body == b"part 0\npart 1\npart 2\n"


BOOTSTRAP = """#!/bin/sh
while true; do
  headers=$(mktemp)
  event=$(curl -sS -D "$headers" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  id=$(grep -i '^lambda-runtime-aws-request-id:' "$headers" | tr -d '[:space:]' | cut -d: -f2)
  (echo one; sleep 0.2; echo two) | curl -sS -X POST -H 'Lambda-Runtime-Function-Response-Mode: streaming' \
    -H 'Transfer-Encoding: chunked' -H 'Content-Type: text/plain' -T - \
    "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" >/dev/null
done
"""


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_custom_runtime_streams(lam, create):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, BOOTSTRAP)
    create(code=buffer.getvalue(), Runtime="provided.al2023", Timeout=30)
    events = list(lam.invoke_with_response_stream(FunctionName="f", Payload=b"{}")["EventStream"])
    chunks = [e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e]
    assert b"".join(chunks) == b"one\ntwo\n" and len(chunks) == 2, events
    assert lam.invoke(FunctionName="f")["Payload"].read() == b"one\ntwo\n"


def test_a_function_that_calls_itself_is_stopped(lam, create, client):
    code = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        "    print('round', event['n'])\n"
        "    boto3.client('lambda').invoke(FunctionName=context.function_name, InvocationType='Event', Payload=json.dumps({'n': event['n'] + 1}))\n"
    )
    allow = {"Version": "2012-10-17", "Statement": [LOGS["Statement"][0], {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}]}
    create(code=package(code), Timeout=60, MemorySize=256)
    client("iam").put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=json.dumps(allow))
    lam.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 1}')
    assert len(lines(client, "f", "round", 120, 16)) == 16


def test_answers_that_are_no_answers(lam, create):
    create(code=package("def handler(e, c):\n    return 'x' * e\n"), MemorySize=256)
    answer, body = invoke(lam, event=6 * 1024 * 1024 + 200)
    assert answer["FunctionError"] == "Unhandled" and body["errorType"] == "Function.ResponseSizeTooLarge", body
    assert body["errorMessage"] == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    create("odd", code=package("def handler(e, c):\n    return {1, 2}\n"))
    answer, body = invoke(lam, "odd")
    assert answer["FunctionError"] == "Unhandled" and body["errorType"] == "Runtime.MarshalError"
    for bad in (b"{", b"nope", b'{"a": }', b"\xff"):
        message = refused("InvalidRequestContentException", lam.invoke, FunctionName="odd", Payload=bad)
        assert message.startswith("Could not parse request body into json: ")


def test_code_changes_and_deletion_under_load(lam, create):
    from concurrent.futures import ThreadPoolExecutor

    version = lambda n: package(f"def handler(e, c):\n    return {n}\n")  # noqa: E731
    create(code=version(0))
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(invoke, lam, "f", 1) for _ in range(30)]
        for n in (1, 2):
            lam.update_function_code(FunctionName="f", ZipFile=version(n))
        answers = [call.result()[1] for call in calls]
    assert set(answers) <= {0, 1, 2}
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert invoke(lam, "f", 1)[1] == 2
    create("slow", code=package("import time\ndef handler(e, c):\n    time.sleep(1.5)\n    return 'done'\n"), Timeout=10)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(invoke, lam, "slow", 1)
        until(lambda: call.running(), 5)
        import time
        time.sleep(0.5)
        lam.delete_function(FunctionName="slow")
        assert call.result()[1] == "done"
    refused("ResourceNotFoundException", lam.invoke, FunctionName="slow")


def test_the_accounts_limit_throttles_in_aws_words(lam, create, client):
    slow = package("import time\ndef handler(e, c):\n    time.sleep(1)\n    return 1\n")
    create(code=slow, Timeout=60)
    create("reserved")
    # What the account has left for everybody else.
    lam.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=900)
    many = client("lambda", max_pool_connections=140, read_timeout=120)

    def call(_):
        try:
            return many.invoke(FunctionName="f")["StatusCode"]
        except many.exceptions.TooManyRequestsException as error:
            answer = error.response
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429 and answer["message"] == "Rate Exceeded."
            return answer["Reason"]

    with ThreadPoolExecutor(140) as pool:
        answers = list(pool.map(call, range(140)))
    assert set(answers) == {200, "ConcurrentInvocationLimitExceeded"}
    assert answers.count(200) >= 100
    # Reserved places are nobody else's, and theirs are free.
    assert invoke(lam, "reserved", event=1)[1] == 1
