"""Tools that people already have wired up: LocalStack's wrappers, Testcontainers' way of waiting, and version 2 of the AWS CLI."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest
from test_lambda import create, lam, package, role  # noqa: F401: fixtures

VENV = pathlib.Path(sys.executable).parent


def version_2():
    """The path of version 2 of the AWS CLI, which comes in Debian's `awscli`, not from PyPI."""
    for candidate in ("/usr/bin/aws", "/usr/local/bin/aws", shutil.which("aws")):
        if candidate and os.path.exists(candidate):
            said = subprocess.run([candidate, "--version"], capture_output=True, text=True)
            if said.stdout.startswith("aws-cli/2"):
                return candidate
    return None


@pytest.fixture
def aws2(cloud, account):
    """aws2("logs", "tail", …): runs version 2 of the AWS CLI; gives its output."""
    path = version_2()
    if path is None:
        pytest.skip("version 2 of the AWS CLI is not installed (Debian: apt-get install awscli)")

    def run(*arguments):
        # An interpreter that belongs to the tests' own environment would not find the packages of this one.
        environment = {k: v for k, v in cloud.environment(account).items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        command = [path, "--endpoint-url", cloud.endpoint, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def awslocal(cloud, account):
    """awslocal("s3", "ls"): runs LocalStack's wrapper around the AWS CLI."""

    def run(*arguments):
        environment = cloud.environment(account)
        del environment["AWS_ENDPOINT_URL"]
        environment.update(LOCALSTACK_HOST=f"localhost:{cloud.port}", PATH=f"{VENV}:{environment['PATH']}")
        done = subprocess.run([VENV / "awslocal", *arguments], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
        return done.stdout

    return run


def test_awslocal_works_by_only_changing_the_program_behind_the_port(awslocal, account, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("hello")
    awslocal("s3", "mb", "s3://awslocal-bucket")
    awslocal("s3", "cp", str(file), "s3://awslocal-bucket/a.txt")
    assert "a.txt" in awslocal("s3", "ls", "s3://awslocal-bucket")
    assert json.loads(awslocal("sts", "get-caller-identity"))["Account"] == account
    key = "AttributeName=pk"
    awslocal(
        "dynamodb", "create-table", "--table-name", "things", "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", f"{key},AttributeType=S", "--key-schema", f"{key},KeyType=HASH",
    )
    assert json.loads(awslocal("dynamodb", "list-tables"))["TableNames"] == ["things"]


def test_testcontainers_sees_that_the_cloud_is_ready(cloud):
    # Its modules wait for one of these in the output of the program: Python, Java and Node.js.
    output = "".join(cloud.output)
    for pattern in (r"Ready\.\n", r".*Ready\.\n", "Ready"):
        assert re.search(pattern, output)


def test_logs_tail_of_the_command_line_client_shows_an_invocation(aws2, create, lam):  # noqa: F811
    create("tailed", package("def handler(event, context):\n    print('the photo is', event['photo'])\n"))
    lam.invoke(FunctionName="tailed", Payload=b'{"photo": "cat.jpg"}')
    deadline = time.monotonic() + 30
    while True:
        tail = aws2("logs", "tail", "/aws/lambda/tailed", "--since", "1h", "--format", "short")
        if "REPORT RequestId" in tail or time.monotonic() > deadline:
            break
    assert "START RequestId" in tail and "the photo is cat.jpg" in tail and "REPORT RequestId" in tail


def test_version_2_of_the_command_line_client_moves_files(aws2, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20 * 1024 * 1024))
    aws2("s3", "mb", "s3://second-version")
    aws2("s3", "cp", str(big), "s3://second-version/big")
    aws2("s3", "cp", "s3://second-version/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    assert "big" in aws2("s3", "ls", "s3://second-version")
