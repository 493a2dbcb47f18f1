"""S3 through real clients against the real binary."""
import base64
import hashlib
import io
import json
import os
import uuid

import pytest
from boto3.s3.transfer import TransferConfig

from s3_help import form, plain, refused, relative


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def bucket(s3):
    name = "b-" + uuid.uuid4().hex[:12]
    s3.create_bucket(Bucket=name)
    return name


def test_an_object_comes_back_with_all_it_was_given(s3, bucket):
    key = "a folder/ä+b%20c.txt"
    put = s3.put_object(
        Bucket=bucket, Key=key, Body=b"hello", Metadata={"colour": "blue"}, ContentType="text/plain",
        CacheControl="no-cache", ContentDisposition="inline", ContentLanguage="de", Tagging="a=b&c=d",
    )
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert got["Metadata"] == {"colour": "blue"} and got["TagCount"] == 2
    assert (got["ContentType"], got["CacheControl"], got["ContentLanguage"]) == ("text/plain", "no-cache", "de")
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_ranges_are_partial_answers(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert refused(s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-") == ("InvalidRange", 416)
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=got["ETag"]) == ("304", 304)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_by_trailer(s3, bucket, algorithm):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    body = os.urandom(300_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert put[f"Checksum{algorithm}"] == got[f"Checksum{algorithm}"]


def test_the_transfer_manager_goes_up_and_down(s3, bucket):
    body = os.urandom(20 << 20)
    config = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", Config=config)
    down = io.BytesIO()
    s3.download_fileobj(bucket, "big", down, Config=config)
    assert down.getvalue() == body
    head = s3.head_object(Bucket=bucket, Key="big", PartNumber=2)
    assert (head["PartsCount"], head["ContentLength"]) == (4, 6 << 20)


def test_completing_an_upload_twice_answers_the_same(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    first = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    again = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    assert first["ETag"] == again["ETag"] and first["ETag"].endswith('-1"')
    assert refused(s3.list_parts, Bucket=bucket, Key="k", UploadId=upload) == ("NoSuchUpload", 404)


def test_presigned_urls_in_both_versions(cloud, bucket, s3):
    for version in ("s3", "s3v4"):
        client = cloud.client("s3", signature_version=version)
        url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": version})
        assert plain(cloud, "PUT", relative(cloud, url), body=b"by url")[0] == 200
        parameters = {"Bucket": bucket, "Key": version, "ResponseContentType": "x/y"}
        url = client.generate_presigned_url("get_object", Params=parameters)
        status, headers, body = plain(cloud, "GET", relative(cloud, url))
        assert (status, headers["content-type"], body) == (200, "x/y", b"by url")
        url = client.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
        assert plain(cloud, "GET", relative(cloud, url))[0] == 200
    assert plain(cloud, "GET", f"/{bucket}/s3")[0] == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_browser_forms(cloud, s3, bucket, version):
    client = cloud.client("s3", signature_version=version)
    post = client.generate_presigned_post(
        bucket, "in/${filename}", Fields={"success_action_status": "201"},
        Conditions=[["content-length-range", 1, 10], {"success_action_status": "201"}],
    )
    status, _, body = plain(cloud, "POST", f"/{bucket}", *form(post["fields"], b"meow"))
    assert status == 201 and b"<Key>in/cat.txt</Key>" in body
    assert s3.get_object(Bucket=bucket, Key="in/cat.txt")["Body"].read() == b"meow"
    for fields, data, expected in [
        (post["fields"], b"far too long", b"EntityTooLarge"),
        ({**post["fields"], "x-amz-meta-a": "b"}, b"x", b"AccessDenied"),
        ({**post["fields"], "signature": "x", "x-amz-signature": "x"}, b"x", b"SignatureDoesNotMatch"),
        ({"key": "anonymous"}, b"x", b"AccessDenied"),
    ]:
        answer = plain(cloud, "POST", f"/{bucket}", *form(fields, data))[2]
        assert b"<Code>" + expected in answer


def test_cors_by_the_buckets_rules(cloud, s3, bucket):
    rules = [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["http://*.example.com"], "AllowedHeaders": ["x-amz-*"],
              "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 9}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    asked = {"Origin": "http://a.example.com", "Access-Control-Request-Method": "PUT",
             "Access-Control-Request-Headers": "x-amz-date"}
    status, headers, _ = plain(cloud, "OPTIONS", f"/{bucket}/k", asked)
    assert (status, headers["access-control-allow-origin"]) == (200, "http://a.example.com")
    assert headers["access-control-max-age"] == "9"
    assert plain(cloud, "OPTIONS", f"/{bucket}/k", {**asked, "Origin": "http://evil.org"})[0] == 403
    headers = plain(cloud, "GET", f"/{bucket}/k", {"Origin": "http://a.example.com"})[1]
    assert headers["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" not in plain(cloud, "GET", f"/{bucket}/k", {"Origin": "http://evil.org"})[1]


def test_acls_and_policies(cloud, s3, bucket):
    other = cloud.client("s3", account="123456789012")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == ("AccessControlListNotSupported", 400)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 200
    other_id = other.list_buckets()["Owner"]["ID"]
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={other_id}")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"y")
    assert refused(s3.get_object, Bucket=bucket, Key="theirs") == ("AccessDenied", 403)
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}", "Condition": {"StringEquals": {"s3:prefix": "open/"}}}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    other.list_objects_v2(Bucket=bucket, Prefix="open/")
    assert refused(other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)


def test_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=str(i).encode())["VersionId"] for i in range(3)]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] and refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [v["VersionId"] for page in pages for v in page.get("Versions", [])] == ids[::-1]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_customer_keys(s3, bucket):
    key = os.urandom(32)
    sealed = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **sealed)
    assert s3.get_object(Bucket=bucket, Key="k", **sealed)["Body"].read() == b"secret"
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("InvalidRequest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="k", **{**sealed, "SSECustomerKey": os.urandom(32)})[1] == 403


def test_buckets_of_other_regions_redirect(cloud):
    name = "b-" + uuid.uuid4().hex[:12]
    there = cloud.client("s3", region="eu-west-1")
    where = {"LocationConstraint": "eu-west-1"}
    there.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    here = cloud.client("s3")
    assert here.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    # botocore follows the redirect by itself.
    assert here.list_objects_v2(Bucket=name)["KeyCount"] == 0
    assert refused(there.create_bucket, Bucket=name, CreateBucketConfiguration=where) == ("BucketAlreadyOwnedByYou", 409)
    assert refused(there.create_bucket, Bucket=name + "x") == ("IllegalLocationConstraintException", 400)


@pytest.mark.parametrize("call, arguments, code", [
    ("put_object", {"Key": "k" * 1025, "Body": b""}, "KeyTooLongError"),
    ("put_object", {"Key": "k", "Body": b"", "StorageClass": "FAST"}, "InvalidStorageClass"),
    ("put_object", {"Key": "k", "Body": b"", "Metadata": {"a": "b" * 3000}}, "MetadataTooLarge"),
    ("put_object", {"Key": "k", "Body": b"", "Tagging": "&".join(f"k{i}=v" for i in range(11))}, "BadRequest"),
    ("put_object", {"Key": "k", "Body": b"x", "ContentMD5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
    ("put_object", {"Key": "k", "Body": b"x", "ContentMD5": "x"}, "InvalidDigest"),
    ("get_object", {"Key": "k", "VersionId": "x"}, "InvalidArgument"),
    ("list_objects_v2", {"MaxKeys": -1}, "InvalidArgument"),
    ("list_objects_v2", {"ContinuationToken": "x y"}, "InvalidArgument"),
    ("delete_objects", {"Delete": {"Objects": []}}, "MalformedXML"),
    ("upload_part", {"Key": "k", "UploadId": "x", "PartNumber": 10001, "Body": b""}, "InvalidArgument"),
    ("complete_multipart_upload", {"Key": "k", "UploadId": "x", "MultipartUpload": {"Parts": []}}, "InvalidRequest"),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Maybe"}}, "MalformedXML"),
    ("put_bucket_policy", {"Policy": "{}"}, "MalformedPolicy"),
    ("get_bucket_cors", {}, "NoSuchCORSConfiguration"),
    ("get_bucket_website", {}, "NoSuchWebsiteConfiguration"),
    ("get_bucket_tagging", {}, "NoSuchTagSet"),
    ("get_object_lock_configuration", {}, "ObjectLockConfigurationNotFoundError"),
])
def test_errors_are_awss(s3, bucket, call, arguments, code):
    assert refused(getattr(s3, call), Bucket=bucket, **arguments)[0] == code


def test_bodies_of_documents_are_checked(cloud, s3, bucket):
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def delete(headers):
        body = b"<Delete><Object><Key>a</Key></Object></Delete>"
        request = AWSRequest("POST", f"{cloud.endpoint}/{bucket}?delete", data=body, headers=headers)
        S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
        return plain(cloud, "POST", f"/{bucket}?delete", dict(request.headers), body)[2]

    assert b"<Code>InvalidRequest" in delete({})
    assert b"<Code>BadDigest" in delete({"Content-MD5": base64.b64encode(bytes(16)).decode()})
    assert b"<Code>BadDigest" in delete({"x-amz-checksum-crc32": "AAAAAA=="})
