"""Durable functions: executions that go on after waits, callbacks, retries, calls of others, and a kill of the cloud."""
import json

import pytest

from test_lambda import LOGS, TRUST, create, lam, package, refused, role, until  # noqa: F401
from test_lambda_mappings import STREAM, table  # noqa: F401
from test_lambda_urls import open_to_all, visit  # noqa: F401

# What an SDK for durable functions does, as far as these tests need it.
SDK = """
import boto3, json

client = boto3.client('lambda')

class Suspended(Exception):
    pass

class Run:
    def __init__(self, event):
        self.arn, self.token = event['DurableExecutionArn'], event['CheckpointToken']
        self.ops = {o['Id']: o for o in event['InitialExecutionState']['Operations']}
        first = event['InitialExecutionState']['Operations'][0]
        self.input = json.loads(first['ExecutionDetails']['InputPayload'])

    def update(self, **update):
        answer = client.checkpoint_durable_execution(
            DurableExecutionArn=self.arn, CheckpointToken=self.token, Updates=[update])
        self.token = answer['CheckpointToken']
        for op in answer['NewExecutionState']['Operations']:
            self.ops[op['Id']] = op

    def step(self, id, work, retries=0):
        op = self.ops.get(id)
        if op and op['Status'] == 'SUCCEEDED':
            return json.loads(op['StepDetails']['Result'])
        if not op or op['Status'] == 'READY':
            self.update(Id=id, Type='STEP', Action='START', Name=id)
        try:
            result = work()
        except Exception as error:
            attempt = self.ops[id]['StepDetails'].get('Attempt', 0)
            told = {'ErrorMessage': str(error), 'ErrorType': type(error).__name__}
            if attempt < retries:
                self.update(Id=id, Type='STEP', Action='RETRY', Error=told, StepOptions={'NextAttemptDelaySeconds': 1})
                raise Suspended()
            self.update(Id=id, Type='STEP', Action='FAIL', Error=told)
            raise
        self.update(Id=id, Type='STEP', Action='SUCCEED', Payload=json.dumps(result))
        return result

    def until(self, id, kind, details, **options):
        op = self.ops.get(id)
        if not op:
            self.update(Id=id, Type=kind, Action='START', Name=id, **options)
            op = self.ops[id]
        if op['Status'] in ('STARTED', 'PENDING'):
            raise Suspended()
        return op['Status'], op[details].get('Result')

def durable(body):
    def handler(event, context):
        run = Run(event)
        try:
            return {'Status': 'SUCCEEDED', 'Result': json.dumps(body(run))}
        except Suspended:
            return {'Status': 'PENDING'}
        except Exception as error:
            return {'Status': 'FAILED', 'Error': {'ErrorMessage': str(error), 'ErrorType': type(error).__name__}}
    return handler
"""
RIGHTS = {"Version": "2012-10-17", "Statement": [LOGS["Statement"][0], {
    "Effect": "Allow", "Resource": "*",
    "Action": ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState", "lambda:InvokeFunction"],
}]}


def code(body):
    return package("from sdk import durable\n\n@durable\ndef handler(run):\n" + body, **{"sdk.py": SDK})


@pytest.fixture
def durable(create, role):
    def durable(body, name="f", **kw):
        kw.setdefault("DurableConfig", {"ExecutionTimeout": 600, "RetentionPeriodInDays": 1})
        return create(name, code=code(body), Role=role("durable-" + name, policy=RIGHTS), Timeout=30, MemorySize=256, **kw)

    return durable


def run(lam, event=None, **kw):
    answer = lam.invoke(FunctionName="f", Qualifier="$LATEST", Payload=json.dumps(event), **kw)
    return answer, json.loads(answer["Payload"].read() or b"null")


def types(lam, arn):
    return [e["EventType"] for e in lam.get_durable_execution_history(DurableExecutionArn=arn)["Events"]]


def test_steps_and_waits(lam, durable):
    made = durable(
        "    first = run.step('a', lambda: run.input['n'] + 1)\n"
        "    run.until('w', 'WAIT', 'WaitDetails', WaitOptions={'WaitSeconds': 1})\n"
        "    return run.step('b', lambda: first * 10)\n"
    )
    assert made["DurableConfig"] == {"ExecutionTimeout": 600, "RetentionPeriodInDays": 1}
    answer, result = run(lam, {"n": 1}, DurableExecutionName="one")
    assert (answer["StatusCode"], answer["ExecutedVersion"], result) == (200, "$LATEST", 20)
    arn = answer["DurableExecutionArn"]
    assert ":function:f:$LATEST/durable-execution/one/" in arn
    shown = lam.get_durable_execution(DurableExecutionArn=arn)
    assert (shown["Status"], shown["Result"], shown["InputPayload"], shown["Version"]) == ("SUCCEEDED", "20", '{"n": 1}', "$LATEST")
    assert types(lam, arn) == [
        "ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted", "WaitSucceeded",
        "StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded",
    ]
    again, result = run(lam, {"n": 1}, DurableExecutionName="one")
    assert again["DurableExecutionArn"] == arn and result == 20
    refused("DurableExecutionAlreadyStartedException", lam.invoke, FunctionName="f", Qualifier="$LATEST", Payload=b"2", DurableExecutionName="one")
    listed = lam.list_durable_executions_by_function(FunctionName="f")["DurableExecutions"]
    assert [e["DurableExecutionArn"] for e in listed] == [arn]
    assert lam.list_durable_executions_by_function(FunctionName="f", Statuses=["RUNNING"])["DurableExecutions"] == []
    message = refused("InvalidParameterValueException", lam.invoke, FunctionName="f", Payload=b"{}")
    assert message == "You cannot invoke a durable function using an unqualified ARN."


def test_a_step_is_tried_again_and_a_failure_is_told(lam, durable):
    durable(
        "    def work():\n"
        "        if run.ops['s']['StepDetails'].get('Attempt', 0) < run.input: raise ValueError('not yet')\n"
        "        return 'done'\n"
        "    return run.step('s', work, retries=1)\n"
    )
    assert run(lam, 1)[1] == "done"
    answer, result = run(lam, 5)
    assert answer["FunctionError"] == "Unhandled" and (result["errorMessage"], result["errorType"]) == ("not yet", "ValueError")
    shown = lam.get_durable_execution(DurableExecutionArn=answer["DurableExecutionArn"])
    assert shown["Status"] == "FAILED" and shown["Error"] == {"ErrorMessage": "not yet", "ErrorType": "ValueError"}
    assert types(lam, answer["DurableExecutionArn"]).count("StepFailed") == 2


def test_callbacks_come_from_outside(lam, durable):
    durable(
        "    status, result = run.until('c', 'CALLBACK', 'CallbackDetails', CallbackOptions={'TimeoutSeconds': run.input})\n"
        "    return [status, result]\n"
    )

    def waiting(seconds):
        arn = run(lam, seconds, InvocationType="Event")[0]["DurableExecutionArn"]
        history = lambda: lam.get_durable_execution_history(DurableExecutionArn=arn)["Events"]  # noqa: E731
        assert until(lambda: any(e["EventType"] == "CallbackStarted" for e in history()))
        started = next(e for e in history() if e["EventType"] == "CallbackStarted")
        return arn, started["CallbackStartedDetails"]["CallbackId"]

    def end(arn):
        shown = lambda: lam.get_durable_execution(DurableExecutionArn=arn)  # noqa: E731
        assert until(lambda: shown()["Status"] != "RUNNING")
        return json.loads(shown()["Result"])

    arn, callback = waiting(60)
    lam.send_durable_execution_callback_heartbeat(CallbackId=callback)
    lam.send_durable_execution_callback_success(CallbackId=callback, Result=b"yes")
    assert end(arn) == ["SUCCEEDED", "yes"]
    arn, callback = waiting(60)
    lam.send_durable_execution_callback_failure(CallbackId=callback, Error={"ErrorMessage": "no"})
    assert end(arn)[0] == "FAILED"
    arn, callback = waiting(1)
    assert end(arn)[0] == "TIMED_OUT"
    refused("CallbackTimeoutException", lam.send_durable_execution_callback_success, CallbackId=callback)
    arn, callback = waiting(60)
    assert lam.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorMessage": "enough"})["StopTimestamp"]
    shown = lam.get_durable_execution(DurableExecutionArn=arn)
    assert (shown["Status"], shown["Error"]) == ("STOPPED", {"ErrorMessage": "enough"})
    refused("ResourceNotFoundException", lam.send_durable_execution_callback_success, CallbackId="AAAA")
    refused("ResourceNotFoundException", lam.get_durable_execution, DurableExecutionArn=arn[:-1] + ("0" if arn[-1] != "0" else "1"))


def test_it_calls_another_function(lam, durable, create):
    durable(
        "    return run.until('i', 'CHAINED_INVOKE', 'ChainedInvokeDetails', Payload='[1]', ChainedInvokeOptions={'FunctionName': 'other'})\n"
    )
    create("other", code=package("def handler(event, context):\n    return event + [2]\n"))
    status, result = run(lam)[1]
    assert (status, json.loads(result)) == ("SUCCEEDED", [1, 2])


def test_what_a_function_may_not_do(lam, durable, create):
    create("plain")
    refused("InvalidParameterValueException", lam.invoke, FunctionName="plain", DurableExecutionName="x")
    durable("    from sdk import Suspended\n    raise Suspended()\n")
    answer, result = run(lam)
    assert result["errorMessage"] == "Cannot return PENDING status with no pending operations."
    message = refused(
        "InvalidParameterValueException", lam.checkpoint_durable_execution, DurableExecutionArn=answer["DurableExecutionArn"],
        CheckpointToken="AAAA", Updates=[{"Id": "a", "Type": "STEP", "Action": "START"}],
    )
    assert message == "Invalid checkpoint token."
    lam.delete_function(FunctionName="f")
    refused("ResourceNotFoundException", lam.get_durable_execution, DurableExecutionArn=answer["DurableExecutionArn"])


def test_a_stream_and_an_url_begin_executions(lam, durable, table, visit, client):
    waits = "    run.until('w', 'WAIT', 'WaitDetails', WaitOptions={'WaitSeconds': 1})\n"
    durable(waits + "    return {'statusCode': 201, 'body': str(len(run.input.get('Records', [])))}\n")
    rights = {**RIGHTS, "Statement": [*RIGHTS["Statement"], {"Effect": "Allow", "Action": STREAM, "Resource": "*"}]}
    client("iam").put_role_policy(RoleName="durable-f", PolicyName="p", PolicyDocument=json.dumps(rights))
    lam.publish_version(FunctionName="f")
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url = lam.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")["FunctionUrl"]
    open_to_all(lam, Qualifier="live")
    answer = visit(url)
    assert (answer.status, answer.body) == (201, b"0")
    for key in ("a", "b", "c"):
        table(key)
    arn = lam.get_alias(FunctionName="f", Name="live")["AliasArn"]
    uuid = lam.create_event_source_mapping(FunctionName=arn, EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON")["UUID"]
    assert until(lambda: lam.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK", 60)
    ended = lam.list_durable_executions_by_function(FunctionName="f", Statuses=["SUCCEEDED"])["DurableExecutions"]
    bodies = [json.loads(lam.get_durable_execution(DurableExecutionArn=e["DurableExecutionArn"])["Result"])["body"] for e in ended]
    assert sorted(bodies) == ["0", "3"]
    message = refused("InvalidParameterValueException", lam.invoke_with_response_stream, FunctionName="f", Qualifier="1")
    assert message == "InvokeWithResponseStream is not supported for durable functions."


def test_pauses_and_deletion(lam, durable):
    durable(
        "    run.until('w', 'WAIT', 'WaitDetails', WaitOptions={'WaitSeconds': 2})\n"
        "    return run.step('s', lambda: 7)\n"
    )
    arn = lam.invoke(FunctionName="f", Qualifier="$LATEST", InvocationType="Event", Payload=b"{}")["DurableExecutionArn"]
    show = lambda: lam.get_durable_execution(DurableExecutionArn=arn)  # noqa: E731
    refused("ResourceConflictException", lam.resume_durable_execution, DurableExecutionArn=arn)
    assert until(lambda: "InvocationCompleted" in types(lam, arn))
    lam.pause_durable_execution(DurableExecutionArn=arn, Reason="looking", ExecutionTimeoutPaused=True)
    assert until(lambda: show()["Status"] == "PAUSED")
    details = show()["PauseDetails"]
    assert (details["Reason"], details["ExecutionTimeoutPaused"]) == ("looking", True)
    assert "Reason" not in lam.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=False)["PauseDetails"]
    refused("ResourceConflictException", lam.pause_durable_execution, DurableExecutionArn=arn)
    refused("ResourceConflictException", lam.delete_durable_execution, DurableExecutionArn=arn)
    # Waits end meanwhile; the function does not run.
    assert until(lambda: "WaitSucceeded" in types(lam, arn), 20)
    assert types(lam, arn).count("InvocationCompleted") == 1 and show()["Status"] == "PAUSED"
    lam.resume_durable_execution(DurableExecutionArn=arn, Reason="seen")
    assert until(lambda: show()["Status"] == "SUCCEEDED"), show()
    assert "PauseDetails" not in show() and show()["Result"] == "7"
    events = lam.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
    by_type = {e["EventType"]: e for e in events}
    assert by_type["ExecutionPaused"]["ExecutionPausedDetails"]["Reason"]["Payload"] == "looking"
    assert by_type["ExecutionResumed"]["ExecutionResumedDetails"]["Reason"]["Payload"] == "seen"
    refused("ResourceConflictException", lam.pause_durable_execution, DurableExecutionArn=arn)
    assert lam.delete_durable_execution(DurableExecutionArn=arn)["DeletionRequestTimestamp"]
    refused("ResourceNotFoundException", lam.get_durable_execution, DurableExecutionArn=arn)
    refused("ResourceNotFoundException", lam.delete_durable_execution, DurableExecutionArn=arn)
    assert lam.list_durable_executions_by_function(FunctionName="f")["DurableExecutions"] == []


def test_a_pause_begins_at_the_next_checkpoint(lam, durable):
    durable(
        "    import time\n"
        "    run.step('slow', lambda: time.sleep(2))\n"
        "    return run.step('s', lambda: 7)\n"
    )
    arn = lam.invoke(FunctionName="f", Qualifier="$LATEST", InvocationType="Event", Payload=b"{}")["DurableExecutionArn"]
    show = lambda: lam.get_durable_execution(DurableExecutionArn=arn)["Status"]  # noqa: E731
    assert until(lambda: "StepStarted" in types(lam, arn))
    lam.pause_durable_execution(DurableExecutionArn=arn)
    assert show() == "PAUSING"
    assert until(lambda: show() == "PAUSED")
    assert types(lam, arn).count("StepSucceeded") == 1
    lam.resume_durable_execution(DurableExecutionArn=arn)
    assert until(lambda: show() == "SUCCEEDED"), show()
    assert types(lam, arn).count("StepSucceeded") == 2


def test_an_execution_goes_on_after_a_kill(new_cloud, tmp_path):
    data = str(tmp_path / "data")
    cloud = new_cloud("--data", data)
    iam, lam = cloud.client("iam"), cloud.client("lambda")
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(RIGHTS))
    body = (
        "    first = run.step('a', lambda: 'kept')\n"
        "    run.until('w', 'WAIT', 'WaitDetails', WaitOptions={'WaitSeconds': 2})\n"
        "    return first\n"
    )
    lam.create_function(
        FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=arn, Code={"ZipFile": code(body)}, Timeout=30,
        MemorySize=256, DurableConfig={"ExecutionTimeout": 600},
    )
    lam.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    execution = run(lam, InvocationType="Event")[0]["DurableExecutionArn"]
    assert until(lambda: "WaitStarted" in types(lam, execution))
    cloud.kill()
    lam = new_cloud("--data", data).client("lambda")
    assert until(lambda: lam.get_durable_execution(DurableExecutionArn=execution)["Status"] == "SUCCEEDED")
    shown = lam.get_durable_execution(DurableExecutionArn=execution)
    assert shown["Result"] == '"kept"' and types(lam, execution).count("StepStarted") == 1
