"""`cloudlet lambda run` and `cloudlet logs --trace`: what a developer sees at work."""
import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from conftest import binary
from test_lambda import create, lam, package, role, until  # noqa: F401


class Command:
    def __init__(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CLOUDLET_"))}
        self.process = subprocess.Popen(
            [binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.lines, self.queue = [], queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.queue.put(line)
        self.queue.put(None)

    def until(self, pattern, seconds=120):
        """The first line from now on in which the pattern is found."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                line = self.queue.get(timeout=1)
            except queue.Empty:
                continue
            assert line is not None, "".join(self.lines)
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"{pattern} did not come: {''.join(self.lines)}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def command():
    started = []

    def command(*arguments):
        started.append(Command(*arguments))
        return started[-1]

    yield command
    for running in started:
        if running.process.poll() is None:
            running.process.kill()


def test_a_folder_runs_and_follows_its_changes(cloud, command, tmp_path, account, client):
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "helper.py").write_text("WORD = 'one'\n")
    (folder / "index.py").write_text(
        "import helper\ndef handler(event, context):\n    print('logged', event)\n    return helper.WORD + str(event['n'])\n"
    )
    run = command(
        "lambda", "run", str(folder), "--port", str(cloud.port), "--account", account, "--event", '{"n": 1}', "--env", "AA=b",
    )
    arn = run.until(r"function +(arn:\S+)").group(1)
    assert arn == f"arn:aws:lambda:us-east-1:{account}:function:hello"
    url = run.until(r"address +(http\S+)").group(1)
    run.until(r'^"one1"$')
    run.until("logged")
    (folder / "helper.py").write_text("WORD = 'other'\n")
    run.until("changed")
    run.until(r'^"other1"$')
    (folder / "index.py").write_text("def handler(event, context):\n    raise ValueError('my own fault')\n")
    run.until("line 2, in handler")
    run.until("ValueError: my own fault")
    (folder / "index.py").write_text("def handler(event, context):\n    return {'statusCode': 200, 'body': event['rawPath']}\n")
    run.until("changed")
    assert until(lambda: urllib.request.urlopen(url + "there", timeout=30).read() == b"/there")
    lam = client("lambda")
    assert lam.get_function_configuration(FunctionName="hello")["Environment"]["Variables"] == {"AA": "b"}
    assert run.end() == 0
    assert until(lambda: lam.list_functions()["Functions"] == []), "the function outlives its command"
    assert until(lambda: client("iam").list_roles()["Roles"] == [])


def test_a_folder_with_a_cloud_of_its_own(command, tmp_path):
    folder = tmp_path / "solo"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return 'alone'\n")
    run = command("lambda", "run", str(folder), "--port", "1", "--event", "{}")
    run.until("one that forgets has started")
    run.until(r'^"alone"$')
    assert run.end() == 0


def test_what_cannot_run_is_said(command, cloud, tmp_path):
    run = command("lambda", "run", str(tmp_path), "--port", str(cloud.port))
    run.until("neither Python nor JavaScript")
    assert run.process.wait(30) == 1


def test_where_the_time_went(cloud, command, lam, create, account):
    create()
    lam.invoke(FunctionName="f", Payload=b"1")
    second = lam.invoke(FunctionName="f", Payload=b"1")["ResponseMetadata"]["RequestId"]
    trace = command("logs", "f", "--trace", "--port", str(cloud.port), "--account", account)
    trace.until(r"REPORT RequestId: \S+\tVersion: \$LATEST\tQueue: [\d.]+ ms\tSandbox: [\d.]+ ms\tImport: [\d.]+ ms\tHandler: [\d.]+ ms\tBilled Duration: \d+ ms")
    trace.until(rf"RequestId: {second}.*Sandbox: 0.00 ms\tImport: 0.00 ms")
    assert trace.process.wait(30) == 0
    follow = command("logs", "-f", "f", "--port", str(cloud.port), "--account", account)
    follow.until("REPORT RequestId: " + second)
    lam.invoke(FunctionName="f", Payload=b'"later"')
    follow.until("seen later")


def test_what_was_not_delivered(cloud, command, lam, role, account, client):
    dead = f"arn:aws:sqs:us-east-1:{account}:dead"
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:SendMessage", "logs:*"], "Resource": "*"}]}
    lam.create_function(
        FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role(policy=may), DeadLetterConfig={"TargetArn": dead},
        Code={"ZipFile": package("def handler(event, context):\n    raise Exception('no')\n")},
    )
    lam.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    lam.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": dead}})
    request = lam.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")["ResponseMetadata"]["RequestId"]
    for metric in ("DestinationDeliveryFailures", "DeadLetterErrors"):
        shown = lambda: subprocess.run(  # noqa: E731
            [binary(), "logs", "f", "--trace", "--port", str(cloud.port), "--account", account], capture_output=True, text=True, timeout=30,
        ).stdout
        assert until(lambda: f"{metric} RequestId: {request}\tDestination: {dead}" in shown()), shown()
