"""Nothing acknowledged is lost: SIGKILL at random moments, fifty times, under concurrent writers.

Every acknowledged object is there afterwards with its bytes, every acknowledged upload's event reaches the function
although the cloud died in between, and nothing half-written is ever seen.
"""
import concurrent.futures
import hashlib
import io
import json
import pathlib
import random
import subprocess
import threading
import time
import zipfile

import pytest

from conftest import binary

KILLS = 50
WRITERS = 4
FUNCTION = """
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        s3.put_object(Bucket="seen", Key=record["s3"]["object"]["key"], Body=b"")
"""
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
RIGHTS = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::seen/*"}]}


def deploy(cloud):
    s3, iam, functions = cloud.client("s3"), cloud.client("iam"), cloud.client("lambda")
    for bucket in ("acked", "seen"):
        s3.create_bucket(Bucket=bucket)
    role = iam.create_role(RoleName="seer", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="seer", PolicyName="p", PolicyDocument=json.dumps(RIGHTS))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as z:
        z.writestr("app.py", FUNCTION)
    import sys

    made = functions.create_function(
        FunctionName="seer", Runtime=f"python3.{sys.version_info.minor}", Role=role, Handler="app.handler",
        Code={"ZipFile": code.getvalue()}, Timeout=30)
    functions.add_permission(FunctionName="seer", StatementId="s", Action="lambda:InvokeFunction",
                             Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::acked")
    functions.get_waiter("function_active_v2").wait(FunctionName="seer")
    s3.put_bucket_notification_configuration(Bucket="acked", NotificationConfiguration={
        "LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": made["FunctionArn"], "Events": ["s3:ObjectCreated:*"],
             "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "event/"}]}}}]})


def body_of(key):
    """Small and large bodies that can be made again from the key."""
    seed = hashlib.sha256(key.encode()).digest()
    return seed * random.Random(key).choice([1, 32, 4096])


def write(cloud, writer, round_, acked, stop, begin):
    s3 = cloud.client("s3", read_timeout=5, connect_timeout=5)
    begin.wait(60)  # making a client takes longer than some clouds live here
    n = 0
    while not stop.is_set():
        # Few events: each costs a run of the function at the end.
        kind = "event" if n == 0 and writer == 0 else "plain"
        key = f"{kind}/{round_:02}-{writer}-{n}"
        try:
            s3.put_object(Bucket="acked", Key=key, Body=body_of(key))
        except Exception:  # killed under us: whether it was written is open
            return
        acked.append(key)
        n += 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", ["process"])
def test_fifty_kills(new_cloud, tmp_path, durability):
    data = str(tmp_path / "data")
    dice = random.Random(2026)
    acked = []
    cloud = new_cloud("--data", data, "--durability", durability)
    deploy(cloud)
    for round_ in range(KILLS):
        stop, begin = threading.Event(), threading.Barrier(WRITERS + 1)
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as writers:
            for writer in range(WRITERS):
                writers.submit(write, cloud, writer, round_, acked, stop, begin)
            begin.wait(60)
            time.sleep(dice.uniform(0.02, 0.25))  # the moment of death, not a wait for anything
            cloud.kill()
            stop.set()
        cloud = new_cloud("--data", data, "--durability", durability)
        s3 = cloud.client("s3")
        for key in dice.sample(acked, min(len(acked), 20)):
            assert s3.get_object(Bucket="acked", Key=key)["Body"].read() == body_of(key), key
    s3 = cloud.client("s3")
    listed = [i["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="acked")
              for i in p.get("Contents", [])]
    assert len(acked) > KILLS and set(acked) <= set(listed)
    for key in listed:  # what was not acknowledged may be there, but only whole
        assert s3.get_object(Bucket="acked", Key=key)["Body"].read() == body_of(key), key
    expected = {key for key in acked if key.startswith("event/")}
    assert expected
    deadline = time.time() + 300
    seen = set()
    while not expected <= seen and time.time() < deadline:
        seen = {i["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="seen")
                for i in p.get("Contents", [])}
        time.sleep(0.2)
    assert expected <= seen, f"{len(expected - seen)} events were lost"
    assert seen <= set(listed), "the function saw what was never written"


class Ledger:
    """What each key may hold: what was acknowledged last, or what was under way when the cloud died."""

    def __init__(self):
        self.held, self.under_way = {}, {}

    def change(self, key, becomes, call):
        self.under_way.setdefault(key, []).append(becomes)
        call()  # raises where the cloud was killed: then both are possible
        self.held[key], self.under_way[key] = becomes, []

    def settle(self, key, found):
        assert found in [self.held.get(key), *self.under_way.get(key, [])], key
        self.held[key], self.under_way[key] = found, []


def contents(writer, n):
    """Bytes that no other write has, of every kind of place: in the record, beside it, in a file."""
    return f"{writer}-{n}-".encode() * (1, 1500, 12_000)[n % 3]


def putter(s3, ledger, n):
    body = contents("put", n)
    ledger.change("put", body, lambda: s3.put_object(Bucket="torn", Key="put", Body=body))


def completer(s3, ledger, n):
    body = contents("part", n)
    upload = s3.create_multipart_upload(Bucket="torn", Key="completed")["UploadId"]
    part = s3.upload_part(Bucket="torn", Key="completed", UploadId=upload, PartNumber=1, Body=body)
    ledger.change("completed", body, lambda: s3.complete_multipart_upload(
        Bucket="torn", Key="completed", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}))


def copier(s3, ledger, n):
    body = contents("source", n)
    ledger.change("source", body, lambda: s3.put_object(Bucket="torn", Key="source", Body=body))
    ledger.change("copied", body, lambda: s3.copy_object(
        Bucket="torn", Key="copied", CopySource={"Bucket": "torn", "Key": "source"}))


def deleter(s3, ledger, n):
    body = contents("gone", n)
    ledger.change("deleted", body, lambda: s3.put_object(Bucket="torn", Key="deleted", Body=body))
    ledger.change("deleted", None, lambda: s3.delete_object(Bucket="torn", Key="deleted"))


def loop(cloud, work, ledger, first, stop, begin):
    s3 = cloud.client("s3", read_timeout=5, connect_timeout=5)
    begin.wait(60)
    n = first
    while not stop.is_set():
        try:
            work(s3, ledger, n)
        except Exception:
            return
        n += 1


def read(s3, key):
    try:
        return s3.get_object(Bucket="torn", Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


@pytest.mark.timeout(600)
def test_every_kind_of_write_is_whole_or_not_at_all(new_cloud, tmp_path):
    data = tmp_path / "data"
    dice, ledger = random.Random(7), Ledger()
    works = (putter, completer, copier, deleter)
    cloud = new_cloud("--data", str(data))
    cloud.client("s3").create_bucket(Bucket="torn")
    for round_ in range(15):
        stop, begin = threading.Event(), threading.Barrier(len(works) + 1)
        with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
            for work in works:
                pool.submit(loop, cloud, work, ledger, round_ * 10_000, stop, begin)
            begin.wait(60)
            time.sleep(dice.uniform(0.05, 0.5))
            cloud.kill()
            stop.set()
        cloud = new_cloud("--data", str(data))
        s3 = cloud.client("s3")
        for key in list(ledger.held) + [k for k in ledger.under_way if k not in ledger.held]:
            ledger.settle(key, read(s3, key))
    assert len(ledger.held) == 5
    options = ["--data", str(data), "--port", str(cloud.port)]
    checked = subprocess.run([binary(), "doctor", "--verify", *options], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout
    # Nothing is leaked: with all objects and uploads gone, the next start leaves no file behind.
    for upload in s3.list_multipart_uploads(Bucket="torn").get("Uploads", []):
        s3.abort_multipart_upload(Bucket="torn", Key=upload["Key"], UploadId=upload["UploadId"])
    for key in ledger.held:
        s3.delete_object(Bucket="torn", Key=key)
    cloud.kill()
    new_cloud("--data", str(data))
    files = lambda: [p for p in pathlib.Path(data / "blobs").rglob("*") if p.is_file()]
    deadline = time.time() + 30
    while files() and time.time() < deadline:
        time.sleep(0.1)
    assert not files()
