"""Multipart uploads: every rule of parts, order, sizes, checksums, copies."""
import base64
import hashlib
import zlib

import pytest

from s3_help import code, md5, refusal, refused, signed

MIB = 1 << 20
LARGE = b"0123456789abcdef" * (5 * MIB // 16)


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    import uuid
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def b64(value):
    return base64.b64encode(value).decode()


class Upload:
    """One upload under way."""

    def __init__(self, s3, bucket, key="k", **begin):
        self.s3, self.at, self.parts = s3, {"Bucket": bucket, "Key": key}, {}
        self.begun = s3.create_multipart_upload(**self.at, **begin)
        self.at["UploadId"] = self.begun["UploadId"]

    def part(self, number, body, **more):
        part = self.s3.upload_part(**self.at, PartNumber=number, Body=body, **more)
        self.parts[number] = {"PartNumber": number, "ETag": part["ETag"]}
        self.parts[number].update({k: v for k, v in part.items() if k.startswith("Checksum") and k != "ChecksumType"})
        return part

    def complete(self, parts=None, bare=True, **more):
        parts = list(self.parts.values()) if parts is None else parts
        if bare:
            parts = [{k: p[k] for k in ("PartNumber", "ETag")} for p in parts]
        return self.s3.complete_multipart_upload(**self.at, MultipartUpload={"Parts": parts}, **more)


def test_the_whole_way(s3, bucket):
    up = Upload(s3, bucket, "whole", ContentType="text/x", Metadata={"foo": "bar"}, Tagging="a=b", StorageClass="STANDARD_IA")
    assert (up.begun["Bucket"], up.begun["Key"]) == (bucket, "whole") and up.begun["ServerSideEncryption"] == "AES256"
    up.part(3, LARGE), up.part(7, b"end")
    listed = s3.list_parts(**up.at)
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed["Parts"]] == [
        (3, len(LARGE), up.parts[3]["ETag"]), (7, 3, up.parts[7]["ETag"])]
    assert (listed["StorageClass"], listed["IsTruncated"], listed["MaxParts"]) == ("STANDARD_IA", False, 1000)
    assert (listed["PartNumberMarker"], listed["NextPartNumberMarker"]) == (0, 7)
    done = up.complete()
    digest = hashlib.md5(hashlib.md5(LARGE).digest() + hashlib.md5(b"end").digest()).hexdigest()
    assert done["ETag"] == f'"{digest}-2"' and (done["Bucket"], done["Key"]) == (bucket, "whole") and "/whole" in done["Location"]
    got = s3.get_object(Bucket=bucket, Key="whole")
    assert got["Body"].read() == LARGE + b"end" and (got["ContentType"], got["Metadata"]) == ("text/x", {"foo": "bar"})
    assert (got["StorageClass"], got["TagCount"]) == ("STANDARD_IA", 1)
    for number, body in ((1, LARGE), (2, b"end")):
        part = s3.get_object(Bucket=bucket, Key="whole", PartNumber=number)
        assert part["PartsCount"] == 2 and part["Body"].read() == body
        assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    answer = refusal(s3.get_object, Bucket=bucket, Key="whole", PartNumber=3)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 416
    assert answer["Error"]["Code"] == "InvalidPartNumber" and answer["Error"]["ActualPartCount"] == "2"
    assert refused(s3.get_object, Bucket=bucket, Key="whole", PartNumber=1, Range="bytes=0-1") == ("InvalidRequest", 400)
    got = s3.get_object(Bucket=bucket, Key="whole", Range=f"bytes={len(LARGE) - 2}-{len(LARGE)}")
    assert got["Body"].read() == b"efe"
    facts = s3.get_object_attributes(Bucket=bucket, Key="whole", ObjectAttributes=["ObjectParts", "ETag", "Checksum"])
    assert facts["ObjectParts"]["TotalPartsCount"] == 2 and facts["ETag"] == f"{digest}-2"


def test_rules_of_completion(s3, bucket):
    up = Upload(s3, bucket)
    up.part(1, b"small"), up.part(2, b"x")
    answer = refusal(up.complete)
    assert answer["Error"]["Code"] == "EntityTooSmall" and answer["Error"]["MinSizeAllowed"] == str(5 * MIB)
    assert answer["Error"]["PartNumber"] == "1" and answer["Error"]["ProposedSize"] == "5"
    one, two = up.parts[1], up.parts[2]
    answer = refusal(up.complete, parts=[two, one])
    assert answer["Error"]["Code"] == "InvalidPartOrder"
    assert refused(up.complete, parts=[one, one]) == ("InvalidPartOrder", 400)
    assert refused(up.complete, parts=[{**one, "PartNumber": 9999}]) == ("InvalidPart", 400)
    answer = refusal(up.complete, parts=[{**one, "ETag": '"ffffffffffffffffffffffffffffffff"'}])
    assert answer["Error"]["Code"] == "InvalidPart" and answer["Error"]["PartNumber"] == "1"
    answer = refusal(up.complete, parts=[])
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("InvalidRequest", "You must specify at least one part")
    answer = refusal(up.complete, parts=[{**one, "PartNumber": 0}])
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("InvalidArgument", "PartNumber must be >= 1")
    for bad in ({"PartNumber": 1}, {"ETag": one["ETag"]}):
        assert refused(s3.complete_multipart_upload, **up.at, MultipartUpload={"Parts": [bad]}) == ("MalformedXML", 400)
    assert refused(s3.complete_multipart_upload, **up.at) == ("MalformedXML", 400)
    # Nothing of that has ended it.
    done = up.complete(parts=[{**one, "ETag": one["ETag"].strip('"')}])
    assert done["ETag"].endswith('-1"')
    assert up.complete(parts=[one])["ETag"] == done["ETag"]
    assert refused(s3.abort_multipart_upload, **up.at) == ("NoSuchUpload", 404)


def test_parts_sent_again(s3, bucket):
    up = Upload(s3, bucket)
    old = up.part(1, LARGE)
    up.part(2, b"x")
    new = up.part(1, LARGE[::-1])
    assert len(s3.list_parts(**up.at)["Parts"]) == 2
    assert refused(up.complete, parts=[{"PartNumber": 1, "ETag": old["ETag"]}, up.parts[2]]) == ("InvalidPart", 400)
    up.complete(parts=[{"PartNumber": 1, "ETag": new["ETag"]}, up.parts[2]])
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-3")["Body"].read() == LARGE[::-1][:4]


def test_uploads_that_are_not_there(s3, bucket):
    at = {"Bucket": bucket, "Key": "k", "UploadId": "none"}
    for call, more in [("upload_part", {"PartNumber": 1, "Body": b""}), ("list_parts", {}), ("abort_multipart_upload", {}),
                       ("upload_part_copy", {"PartNumber": 1, "CopySource": f"{bucket}/k"}),
                       ("complete_multipart_upload", {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]}})]:
        answer = refusal(getattr(s3, call), **at, **more)
        assert answer["Error"]["Code"] == "NoSuchUpload" and answer["Error"]["UploadId"] == "none", call
    up = Upload(s3, bucket)
    assert s3.abort_multipart_upload(**up.at)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.list_parts, **up.at) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **{**up.at, "Key": "other"}, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x"])
def test_numbers_of_parts(cloud, s3, bucket, number):
    up = Upload(s3, bucket)
    answer = signed(cloud, "PUT", f"/{bucket}/k?partNumber={number}&uploadId={up.at['UploadId']}", {}, b"x")
    assert code(answer) == ("InvalidArgument", 400) and b"between 1 and 10000, inclusive" in answer[2]


def test_pages_of_parts(s3, bucket):
    up = Upload(s3, bucket)
    for number in (1, 2, 5):
        up.part(number, b"x")
    page = s3.list_parts(**up.at, MaxParts=2)
    assert [p["PartNumber"] for p in page["Parts"]] == [1, 2] and page["IsTruncated"] and page["NextPartNumberMarker"] == 2
    page = s3.list_parts(**up.at, PartNumberMarker=2)
    assert [p["PartNumber"] for p in page["Parts"]] == [5] and not page["IsTruncated"] and page["PartNumberMarker"] == 2
    assert "Parts" not in s3.list_parts(**up.at, PartNumberMarker=5)


@pytest.mark.parametrize("name, digest", [
    ("SHA256", lambda d: hashlib.sha256(d).digest()), ("CRC32", lambda d: zlib.crc32(d).to_bytes(4, "big"))])
def test_composite_checksums(s3, bucket, name, digest):
    member = f"Checksum{name}"
    up = Upload(s3, bucket, ChecksumAlgorithm=name)
    assert (up.begun["ChecksumAlgorithm"], up.begun["ChecksumType"]) == (name, "COMPOSITE")
    for number, body in ((1, LARGE), (2, b"end")):
        part = up.part(number, body, ChecksumAlgorithm=name, **{member: b64(digest(body))})
        assert part[member] == b64(digest(body))
    other = "CRC32" if name == "SHA256" else "SHA256"
    answer = refusal(up.part, number=3, body=b"x", ChecksumAlgorithm=other)
    assert answer["Error"]["Message"] == (f"Checksum Type mismatch occurred, expected checksum Type: {name.lower()}, "
                                          f"actual checksum Type: {other.lower()}")
    listed = s3.list_parts(**up.at)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (name, "COMPOSITE")
    assert listed["Parts"][1][member] == b64(digest(b"end"))
    assert refused(up.complete) == ("InvalidRequest", 400)
    wrong = [dict(p) for p in up.parts.values()]
    wrong[0][member] = b64(digest(b"other"))
    assert refused(up.complete, parts=wrong, bare=False) == ("InvalidPart", 400)
    assert refused(up.complete, bare=False, ChecksumType="FULL_OBJECT") == ("InvalidRequest", 400)
    done = up.complete(bare=False)
    whole = b64(digest(digest(LARGE) + digest(b"end")))
    assert (done[member], done["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[member], head["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
    facts = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=1)
    assert facts["Checksum"] == {member: whole, "ChecksumType": "COMPOSITE"}
    assert facts["ObjectParts"]["Parts"] == [{"PartNumber": 1, "Size": len(LARGE), member: b64(digest(LARGE))}]
    assert facts["ObjectParts"]["IsTruncated"] and facts["ObjectParts"]["NextPartNumberMarker"] == 1
    part = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", PartNumber=2)
    assert part[member] == b64(digest(b"end"))


def test_whole_checksums(s3, bucket):
    crc = lambda d: b64(zlib.crc32(d).to_bytes(4, "big"))
    up = Upload(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    up.part(1, LARGE), up.part(2, b"end")
    assert refused(up.complete, ChecksumCRC32=crc(b"other"), ChecksumType="FULL_OBJECT") == ("BadDigest", 400)
    done = up.complete(ChecksumCRC32=crc(LARGE + b"end"), ChecksumType="FULL_OBJECT", MpuObjectSize=len(LARGE) + 3)
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (crc(LARGE + b"end"), "FULL_OBJECT")
    up = Upload(s3, bucket)
    up.part(1, LARGE), up.part(2, b"end")
    assert refused(up.complete, MpuObjectSize=5) == ("InvalidRequest", 400)
    done = up.complete()
    assert done["ChecksumType"] == "FULL_OBJECT" and done["ChecksumCRC64NVME"]
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT") == (
        "InvalidRequest", 400)
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key="k", ChecksumAlgorithm="MD6") == ("InvalidRequest", 400)
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key="k", ChecksumType="COMPOSITE") == ("InvalidRequest", 400)


def test_parts_out_of_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"12345")
    copy = lambda up, n, **more: s3.upload_part_copy(**up.at, PartNumber=n, **{"CopySource": f"{bucket}/source", **more})
    up = Upload(s3, bucket, "target")
    assert refused(copy, up=up, n=1, CopySourceRange="bytes=0-21") == ("InvalidArgument", 400)
    assert refused(copy, up=up, n=1, CopySourceRange="bytes=5-5") == ("InvalidRequest", 400)
    for bad in ("0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5", "bytes=2-1"):
        assert refused(copy, up=up, n=1, CopySourceRange=bad) == ("InvalidArgument", 400), bad
    part = copy(up, 1, CopySourceRange="bytes=1-3")["CopyPartResult"]
    assert part["ETag"] == f'"{hashlib.md5(b"234").hexdigest()}"' and part["LastModified"]
    up.complete(parts=[{"PartNumber": 1, "ETag": part["ETag"]}])
    assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == b"234"
    for name in (" ", "_", "__", "?versionId", "é+"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"special")
        up = Upload(s3, bucket, "target")
        part = copy(up, 1, CopySource={"Bucket": bucket, "Key": name})["CopyPartResult"]
        up.complete(parts=[{"PartNumber": 1, "ETag": part["ETag"]}])
        assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == b"special"
    assert refused(copy, up=Upload(s3, bucket), n=1, CopySource=f"{bucket}/none") == ("NoSuchKey", 404)
    assert refused(copy, up=Upload(s3, bucket), n=1, CopySourceIfMatch="x") == ("PreconditionFailed", 412)


def test_customer_keys_of_parts(s3, bucket):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"1" * 32}
    up = Upload(s3, bucket, "sealed", **key)
    assert up.begun["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in up.begun
    assert refused(up.part, number=1, body=b"x") == ("InvalidRequest", 400)
    assert refused(up.part, number=1, body=b"x", **{**key, "SSECustomerKey": b"2" * 32}) == ("InvalidRequest", 400)
    up.part(1, LARGE, **key), up.part(2, b"end", **key)
    up.complete()
    assert refused(s3.get_object, Bucket=bucket, Key="sealed") == ("InvalidRequest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="sealed") == ("400", 400)
    got = s3.get_object(Bucket=bucket, Key="sealed", Range=f"bytes={len(LARGE) - 3}-", **key)
    assert got["Body"].read() == b"defend" and got["SSECustomerKeyMD5"] == md5(b"1" * 32)
    up = Upload(s3, bucket, "open")
    assert refused(up.part, number=1, body=b"x", **key) == ("InvalidRequest", 400)


def test_conditions(s3, bucket, unique):
    key = unique("k")
    first, second = Upload(s3, bucket, key), Upload(s3, bucket, key)
    for up in (first, second):
        up.part(1, b"x")
    assert refused(first.complete, IfMatch='"x"') == ("NoSuchKey", 404)
    first.complete(IfNoneMatch="*")
    assert refused(second.complete, IfNoneMatch="*") == ("PreconditionFailed", 412)
    second.complete(IfMatch=s3.head_object(Bucket=bucket, Key=key)["ETag"])
