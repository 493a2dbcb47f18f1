"""What is left after SIGKILL and after clients that go away: whole objects, and not a byte too many."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import random
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from conftest import binary
from s3_help import form, later, policy_fields
from test_crash import Ledger, loop

BUCKET = "torn"
#: In the record, beside it, in a file, in a file that is written in several pieces.
SIZES = (40, 9_000, 120_000, 1_200_000)


def contents(name, n):
    """Bytes that no other write has, large and small ones by turns."""
    seed = f"{name}-{n:09}-".encode()
    return (seed * (SIZES[n % 4] // len(seed) + 1))[:SIZES[n % 4]]


def overwriter(s3, ledger, n):
    body = contents("over", n)
    ledger.change("over", body, lambda: s3.put_object(Bucket=BUCKET, Key="over", Body=body))


def copier(s3, ledger, n):
    """A copy by reference outlives its source."""
    body = contents("from", n)
    ledger.change("from", body, lambda: s3.put_object(Bucket=BUCKET, Key="from", Body=body))
    ledger.change("copy", body, lambda: s3.copy_object(
        Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "from"}))
    ledger.change("from", None, lambda: s3.delete_object(Bucket=BUCKET, Key="from"))


def assembler(s3, ledger, n):
    """Parts out of an object that is deleted before they are one, and parts that are sent again."""
    source, last = contents("source", 3), contents("last", n)
    ledger.change("source", source, lambda: s3.put_object(Bucket=BUCKET, Key="source", Body=source))
    ask = {"Bucket": BUCKET, "Key": "joined"}
    upload = s3.create_multipart_upload(**ask)["UploadId"]
    for end in (6 << 10, 5 << 10):
        copied = s3.upload_part_copy(**ask, UploadId=upload, PartNumber=1, CopySource=f"{BUCKET}/source",
                                     CopySourceRange=f"bytes=0-{len(source) - end}")
    first = source[:len(source) - end + 1]
    s3.upload_part(**ask, UploadId=upload, PartNumber=2, Body=b"replaced" * 20_000)
    part = s3.upload_part(**ask, UploadId=upload, PartNumber=2, Body=last)
    ledger.change("source", None, lambda: s3.delete_object(Bucket=BUCKET, Key="source"))
    if n % 4 == 3:
        return s3.abort_multipart_upload(**ask, UploadId=upload)
    # The smallest part is 5 MiB, so what is joined is one of the two.
    parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}] if n % 2 else [{"PartNumber": 2, "ETag": part["ETag"]}]
    ledger.change("joined", first if n % 2 else last, lambda: s3.complete_multipart_upload(
        **ask, UploadId=upload, MultipartUpload={"Parts": parts}))


def batcher(s3, ledger, n):
    keys = [f"batch/{i}" for i in range(3)]
    for i, key in enumerate(keys):
        body = contents(key, n + i)
        ledger.change(key, body, lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=body))
    for key in keys:
        ledger.under_way.setdefault(key, []).append(None)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    for key in keys:
        ledger.held[key], ledger.under_way[key] = None, []


KEY = dict(SSECustomerAlgorithm="AES256", SSECustomerKey=b"k" * 32)


def sealer(s3, ledger, n):
    body = contents("sealed", n)
    ledger.change("sealed", body, lambda: s3.put_object(Bucket=BUCKET, Key="sealed", Body=body, **KEY))


class Versions:
    """What was acknowledged of a key that keeps its versions."""

    def __init__(self):
        self.kept, self.tried, self.going = {}, set(), set()

    def work(self, s3, _, n):
        body = contents("version", n)
        self.tried.add(body)
        made = s3.put_object(Bucket="kept", Key="v", Body=body)["VersionId"]
        self.kept[made] = body
        if n % 3 == 2:
            oldest = next(iter(self.kept))
            self.going.add(oldest)
            s3.delete_object(Bucket="kept", Key="v", VersionId=oldest)
            del self.kept[oldest]
        if n % 5 == 4:
            s3.delete_object(Bucket="kept", Key="v")

    def check(self, s3):
        listed = [v["VersionId"] for page in s3.get_paginator("list_object_versions").paginate(Bucket="kept")
                  for v in page.get("Versions", [])]
        for version in listed:
            body = s3.get_object(Bucket="kept", Key="v", VersionId=version)["Body"].read()
            assert body == self.kept.get(version, body) and body in self.tried
            self.kept.setdefault(version, body)
        missing = set(self.kept) - set(listed)
        assert missing <= self.going, "acknowledged versions are lost"
        for version in missing:
            del self.kept[version]


def files(data):
    return [p for p in pathlib.Path(data / "blobs").rglob("*") if p.is_file()]


def eventually(what):
    deadline = time.time() + 30
    while not what() and time.time() < deadline:
        time.sleep(0.05)
    return what()


def doctor(data, cloud):
    options = ["--data", str(data), "--port", str(cloud.port)]
    return subprocess.run([binary(), "doctor", "--verify", *options], capture_output=True, text=True, timeout=60)


@pytest.mark.timeout(300)
def test_nothing_is_torn_lost_or_left(new_cloud, tmp_path):
    data = tmp_path / "data"
    dice, ledger, versions = random.Random(11), Ledger(), Versions()
    works = (overwriter, copier, assembler, batcher, sealer, versions.work)
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for round_ in range(8):
        stop, begin = threading.Event(), threading.Barrier(len(works) + 1)
        with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
            for work in works:
                pool.submit(loop, cloud, work, ledger, round_ * 10_000, stop, begin)
            begin.wait(60)
            time.sleep(dice.uniform(0.1, 0.8))  # the moment of death, not a wait for anything
            cloud.kill()
            stop.set()
        cloud = new_cloud("--data", str(data))
        s3 = cloud.client("s3")
        for key in {*ledger.held, *ledger.under_way}:
            try:
                got = s3.get_object(Bucket=BUCKET, Key=key, **(KEY if key == "sealed" else {}))["Body"].read()
            except s3.exceptions.NoSuchKey:
                got = None
            ledger.settle(key, got)
        versions.check(s3)
    assert {"over", "copy", "joined", "sealed", "batch/2"} <= set(ledger.held) and len(versions.kept) > 5
    checked = doctor(data, cloud)
    assert checked.returncode == 0, checked.stdout
    # Nothing is left once all is deleted, and nothing that is still there goes with it.
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for key in set(ledger.held) - {"copy"}:
        s3.delete_object(Bucket=BUCKET, Key=key)
    for version in versions.kept:
        s3.delete_object(Bucket="kept", Key="v", VersionId=version)
    s3.copy_object(Bucket=BUCKET, Key="again", CopySource=f"{BUCKET}/copy")
    s3.delete_object(Bucket=BUCKET, Key="copy")
    cloud.kill()
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    one = 1 if len(ledger.held["copy"]) > 32 << 10 else 0
    assert eventually(lambda: len(files(data)) <= one), files(data)
    assert s3.get_object(Bucket=BUCKET, Key="again")["Body"].read() == ledger.held["copy"]
    s3.delete_object(Bucket=BUCKET, Key="again")
    assert eventually(lambda: not files(data)), "released bytes stay"


class Signer(S3SigV4Auth):
    """Signs a head whose body is not at hand yet."""

    def __init__(self, payload):
        super().__init__(Credentials("test", "test"), "s3", "us-east-1")
        self.word = payload

    def payload(self, request):
        return self.word


def head(cloud, method, path, headers, payload="UNSIGNED-PAYLOAD"):
    request = AWSRequest(method, f"{cloud.endpoint}{path}", headers=headers)
    if payload:
        Signer(payload).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{cloud.port}"]
    lines += [f"{k}: {v}" for k, v in request.headers.items() if k.lower() != "host"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def cut(cloud, sent, abrupt):
    """Sends what there is and goes away."""
    with socket.create_connection(("localhost", cloud.port), timeout=30) as connection:
        connection.sendall(sent)
        if abrupt:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


LARGE = 3 << 20


def test_uploads_that_are_cut_off_leave_nothing(new_cloud, tmp_path):
    data = tmp_path / "data"
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="cut")
    old = b"old" * 50_000
    s3.put_object(Bucket="cut", Key="there", Body=old)
    upload = s3.create_multipart_upload(Bucket="cut", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="cut", Key="parts", UploadId=upload, PartNumber=1, Body=old)["ETag"]
    before = sorted(files(data))
    assert len(before) == 2
    half = b"new" * (LARGE // 6)
    to_part = f"/cut/parts?partNumber=1&uploadId={urllib.parse.quote(upload, safe='')}"
    streaming = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(LARGE), "x-amz-trailer": "x-amz-checksum-crc32",
                 "Content-Length": str(LARGE + 100)}
    chunk = f"{LARGE:x}\r\n".encode()
    whole = chunk + b"x" * LARGE + b"\r\n0\r\n"
    trailing = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    wrong = whole + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    conditions = {"expiration": later(), "conditions": [{"bucket": "cut"}, ["starts-with", "$key", ""]]}
    fields, posted = form(policy_fields(conditions, {"key": "there"}), b"y" * LARGE)
    requests = [
        head(cloud, "PUT", "/cut/there", {"Content-Length": str(LARGE)}) + half,
        head(cloud, "PUT", "/cut/new", {"Content-Length": str(LARGE)}) + half,
        head(cloud, "PUT", to_part, {"Content-Length": str(LARGE)}) + half,
        head(cloud, "PUT", "/cut/there", streaming, trailing) + chunk + half,
        head(cloud, "PUT", "/cut/there", streaming, trailing) + whole,
        head(cloud, "PUT", "/cut/new", {**streaming, "Content-Length": str(len(wrong))}, trailing) + wrong,
        head(cloud, "PUT", to_part, streaming, trailing) + chunk + half,
        head(cloud, "PUT", to_part, {**streaming, "Content-Length": str(len(wrong))}, trailing) + wrong,
        head(cloud, "POST", "/cut", {**fields, "Content-Length": str(len(posted))}, None) + posted[:-LARGE // 2],
        head(cloud, "POST", "/cut", {**fields, "Content-Length": str(len(posted))}, None) + posted[:-40],
        # A digest that does not fit is as good as a cut.
        head(cloud, "PUT", "/cut/new", {"Content-Length": str(len(half)), "Content-MD5": base64.b64encode(hashlib.md5(b"").digest()).decode()}) + half,
    ]
    for request in requests:
        for abrupt in (False, True):
            cut(cloud, request, abrupt)
    # Conditions that are not met are found out at the end.
    for _ in range(2):
        with pytest.raises(s3.exceptions.ClientError):
            s3.put_object(Bucket="cut", Key="there", Body=half, IfNoneMatch="*")
    assert eventually(lambda: sorted(files(data)) == before), (len(files(data)), "files of uploads that were cut off")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="cut")["Contents"]] == ["there"]
    assert s3.get_object(Bucket="cut", Key="there")["Body"].read() == old
    assert [p["ETag"] for p in s3.list_parts(Bucket="cut", Key="parts", UploadId=upload)["Parts"]] == [part]
    assert doctor(data, cloud).returncode == 0


def test_every_byte_is_checked(new_cloud, tmp_path):
    data = tmp_path / "data"
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="checked")
    key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    size, found = 100_000, {}

    def made(name, make):
        """The file that a call makes."""
        before = set(files(data))
        make()
        (found[name],) = set(files(data)) - before

    body = lambda: random.Random(len(found)).randbytes(size)
    put = lambda key, **more: s3.put_object(Bucket="checked", Key=key, Body=body(), **more)
    made("checked/plain", lambda: put("plain"))
    made("checked/plain annotation notes", lambda: s3.put_object_annotation(
        Bucket="checked", Key="plain", AnnotationName="notes", AnnotationPayload=b"n" * size))
    made("checked/customers", lambda: put("customers", **KEY))
    made("checked/kms", lambda: put("kms", ServerSideEncryption="aws:kms", SSEKMSKeyId=key))
    made("checked/kms annotation notes", lambda: s3.put_object_annotation(
        Bucket="checked", Key="kms", AnnotationName="notes", AnnotationPayload=b"n" * size))
    for name, more, later_ in (("up", {}, {}), ("sealed-up", KEY, KEY), ("summed-up", {"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "SHA256"})):
        upload = s3.create_multipart_upload(Bucket="checked", Key=name, **more)["UploadId"]
        made(f"checked/{name}?uploadId={upload} part 7", lambda: s3.upload_part(
            Bucket="checked", Key=name, UploadId=upload, PartNumber=7, Body=body(), **later_))
    upload = s3.create_multipart_upload(Bucket="checked", Key="done", **KEY)["UploadId"]
    etags = []

    def first():
        etags.append(s3.upload_part(Bucket="checked", Key="done", UploadId=upload, PartNumber=1, Body=b"1" * (5 << 20), **KEY)["ETag"])

    made("checked/done", first)
    etags.append(s3.upload_part(Bucket="checked", Key="done", UploadId=upload, PartNumber=2, Body=b"2", **KEY)["ETag"])
    s3.complete_multipart_upload(Bucket="checked", Key="done", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]}, **KEY)
    s3.copy_object(Bucket="checked", Key="copied", CopySource="checked/plain")
    done = doctor(data, cloud)
    assert done.returncode == 0 and "only their length" not in done.stdout, done.stdout
    for name, path in found.items():
        with open(path, "r+b") as file:
            file.seek(size // 2)
            was = file.read(1)
            file.seek(size // 2)
            file.write(bytes([was[0] ^ 1]))
    done = doctor(data, cloud)
    assert done.returncode == 1
    for name in [*found, "checked/copied", "checked/copied annotation notes"]:
        assert f" {name}: " in done.stdout, (name, done.stdout)
    assert f"{len(found) + 2} of " in done.stdout, done.stdout


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
RIGHTS = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": "s3:*"}]})


@pytest.mark.timeout(300)
def test_replicas_are_made_although_the_cloud_dies(new_cloud, tmp_path):
    data = tmp_path / "data"
    dice, acked, tried = random.Random(5), {}, {}
    cloud = new_cloud("--data", str(data))
    s3, iam = cloud.client("s3"), cloud.client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=RIGHTS)
    for bucket in ("near", "far"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_replication(Bucket="near", ReplicationConfiguration={"Role": role, "Rules": [{
        "ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::far"}}]})

    def work(s3, _, n):
        key, body = f"k{n % 5}", contents("replica", n)
        tried[body] = key
        acked[s3.put_object(Bucket="near", Key=key, Body=body)["VersionId"]] = (key, body)

    for round_ in range(4):
        stop, begin = threading.Event(), threading.Barrier(2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(loop, cloud, work, None, round_ * 10_000, stop, begin)
            begin.wait(60)
            time.sleep(dice.uniform(0.1, 0.4))  # the moment of death, not a wait for anything
            cloud.kill()
            stop.set()
        cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    listed = lambda bucket: {v["VersionId"]: v["Key"] for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
                             for v in page.get("Versions", [])}
    near = listed("near")
    assert len(acked) > 20 and set(acked) <= set(near)
    assert eventually(lambda: listed("far") == near), "replicas are missing"
    for version, key in near.items():
        body = s3.get_object(Bucket="far", Key=key, VersionId=version)["Body"].read()
        assert tried[body] == key and acked.get(version, (key, body)) == (key, body)
    done = lambda: all(s3.head_object(Bucket="near", Key=key, VersionId=version)["ReplicationStatus"] == "COMPLETED" for version, key in near.items())
    assert eventually(done)
    assert doctor(data, cloud).returncode == 0
