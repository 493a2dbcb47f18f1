"""The front door as clients and existing local tooling meet it."""
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from conftest import binary


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.read()


def test_health_as_local_tooling_probes_it(cloud):
    status, body = get(f"{cloud.endpoint}/_localstack/health")
    assert status == 200
    services = json.loads(body)["services"]
    assert services["s3"] in ("available", "running") and services["lambda"] in ("available", "running")
    assert get(f"{cloud.endpoint}/_localstack/info")[0] == 200
    assert get(f"{cloud.endpoint}/_localstack/init")[0] == 200


def test_tls_on_the_same_port(cloud, tmp_path):
    pem = subprocess.run([binary(), "ca", "--ephemeral"], capture_output=True, check=True).stdout
    authority = tmp_path / "ca.pem"
    authority.write_bytes(pem)
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection(("127.0.0.1", cloud.port)) as plain:
        with context.wrap_socket(plain, server_hostname="bucket.s3.localhost") as secure:
            secure.sendall(b"GET /_localstack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(64).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "service, call, code, status",
    [
        ("sts", lambda c: c.get_caller_identity(), "InvalidClientTokenId", 403),
        ("s3", lambda c: c.list_buckets(), "InvalidAccessKeyId", 403),
        ("lambda", lambda c: c.list_functions(), "UnrecognizedClientException", 403),
        ("logs", lambda c: c.describe_log_groups(), "UnrecognizedClientException", 400),
    ],
)
def test_unknown_keys(cloud, service, call, code, status):
    client = cloud.client(service, key="AKIAUNKNOWNUNKNOWN00", secret="whatever")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(client)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    "service, call, code",
    [
        ("sts", lambda c: c.get_caller_identity(), "SignatureDoesNotMatch"),
        ("s3", lambda c: c.list_buckets(), "SignatureDoesNotMatch"),
        ("lambda", lambda c: c.list_functions(), "InvalidSignatureException"),
    ],
)
def test_wrong_secrets(cloud, service, call, code):
    client = cloud.client(service, key="test", secret="not-test")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(client)
    assert refused.value.response["Error"]["Code"] == code


def test_what_is_not_served_says_so(client):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client("iam").get_human_readable_summary(EntityArn="arn:aws:iam::aws:policy/AdministratorAccess")
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert error["Error"]["Message"].startswith("not implemented: iam:")


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    ],
)
def test_garbage_hurts_nobody(cloud, head):
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=15) as connection:
        try:
            connection.sendall(head)
            answer = connection.recv(4096)
        except ConnectionError:  # refused in the middle of it
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.1 5")
    assert get(f"{cloud.endpoint}/_localstack/health")[0] == 200


def signed(cloud, service, body, headers):
    request = AWSRequest("POST", cloud.endpoint + "/", data=body, headers=headers)
    SigV4Auth(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    return urllib.request.Request(cloud.endpoint + "/", data=body, headers=dict(request.headers))


@pytest.mark.parametrize("depth", [200, 1_000_000])
@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_deep_nesting_is_an_error_not_a_crash(cloud, depth, bracket):
    body = b'{"logGroupNamePrefix":' + bracket * depth
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328.DescribeLogGroups"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(signed(cloud, "logs", body, headers), timeout=20)
    assert refused.value.code == 400
    assert get(f"{cloud.endpoint}/_localstack/health")[0] == 200
