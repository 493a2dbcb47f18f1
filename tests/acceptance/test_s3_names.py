"""Names of objects: any of them comes back as it was given, by every operation, and none is a path on a disk."""
import re
import unicodedata

import pytest

from s3_help import code, plain, quote, refusal, refused, relative, signed

LONG = ["k" * 1024, "\u00e9" * 512, "x" * 255 + "/" + "y" * 768, "/" * 1024, "\U0010ffff" * 256]
#: What XML can hold, and so boto3 can read in answers.
KEYS = ["../x", "..", "a/../b", ".", "./a", "a//b", "//", "/", "/lead", "///a", "trail/", "\u00e9", "e\u0301", "a\tb", "\x7f", "\u0085",
        "\ufdd0", "\U0010fffe", "\U0001f600", "?x=1", "a?b", "a%2Fb", "%", "%zz", "%00", "+", " ", " a b ", "a+b", "#", "&amp;", "<>&\'\"", "\r\n",
        "a\nb", "a\\b", "C:\\x", "~", "*", "a;b", "=", "\u202e", "\u2028", "versions", "?uploads", "acl", *LONG]
CONTROLS = ["\x00", "\x01", "a\x07b", "\x1f", "\ufffe", "\uffff"]


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    import uuid
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_every_operation_takes_it_as_it_is(cloud, s3, bucket, key):
    at = {"Bucket": bucket, "Key": key}
    body = key.encode()
    s3.put_object(**at, Body=body, Tagging="a=b")
    assert s3.get_object(**at)["Body"].read() == body and s3.head_object(**at)["ContentLength"] == len(body)
    assert s3.get_object_tagging(**at)["TagSet"] and s3.get_object_attributes(**at, ObjectAttributes=["ObjectSize"])["ObjectSize"] == len(body)
    for call, listed in (("list_objects", "Contents"), ("list_objects_v2", "Contents"), ("list_object_versions", "Versions")):
        assert key in [o["Key"] for o in getattr(s3, call)(Bucket=bucket, Prefix=key)[listed]]
    s3.copy_object(Bucket=bucket, Key="copied", CopySource=at)
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == body
    begun = s3.create_multipart_upload(**at)
    assert begun["Key"] == key and key in [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket, Prefix=key)["Uploads"]]
    part = s3.upload_part_copy(**at, UploadId=begun["UploadId"], PartNumber=1, CopySource=at)["CopyPartResult"]["ETag"]
    assert s3.list_parts(**at, UploadId=begun["UploadId"])["Key"] == key
    done = s3.complete_multipart_upload(**at, UploadId=begun["UploadId"], MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert done["Key"] == key
    for version in ("s3", "s3v4"):
        url = cloud.client("s3", signature_version=version).generate_presigned_url("get_object", Params=at)
        assert plain(cloud, "GET", relative(cloud, url))[2] == body
    assert [d["Key"] for d in s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})["Deleted"]] == [key]
    answer = refusal(s3.get_object, **at)["Error"]
    assert (answer["Code"], answer["Key"]) == ("NoSuchKey", key)


@pytest.mark.parametrize("key", CONTROLS, ids=ascii)
def test_what_xml_cannot_hold(cloud, s3, bucket, key):
    path = f"/{bucket}/{quote(key)}"
    assert signed(cloud, "PUT", path, {}, b"x")[0] == 200 and signed(cloud, "GET", path)[2] == b"x"
    # A client that asks for it gets the name encoded, as boto3 does.
    assert key in [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    written = "".join(c if c in "ab" else f"&#x{ord(c):x};" for c in key)
    assert f"<Key>{written}</Key>".encode() in signed(cloud, "GET", f"/{bucket}?list-type=2")[2]
    begun = signed(cloud, "POST", f"{path}?uploads")[2]
    assert f"<Key>{written}</Key>".encode() in begun
    upload = re.search(b"<UploadId>(.*)</UploadId>", begun)[1].decode()
    assert signed(cloud, "DELETE", f"{path}?uploadId={upload}")[0] == 204
    assert signed(cloud, "DELETE", path)[0] == 204 and code(signed(cloud, "GET", path)) == ("NoSuchKey", 404)


def test_forms_of_unicode_are_different_names(s3, bucket):
    name = "\u1e9b\u0323\u00c5"
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert len(forms) == 4
    for form in forms:
        s3.put_object(Bucket=bucket, Key=f"n/{form}", Body=form.encode())
    assert {o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="n/")["Contents"]} == {f"n/{form}" for form in forms}
    for form in forms:
        assert s3.get_object(Bucket=bucket, Key=f"n/{form}")["Body"].read() == form.encode()


@pytest.mark.parametrize("key", ["k" * 1025, "\u00e9" * 513, "x" * 5000])
def test_names_that_are_too_long(cloud, s3, bucket, key):
    at = {"Bucket": bucket, "Key": key}
    for call, more in (("put_object", {}), ("get_object", {}), ("delete_object", {}), ("create_multipart_upload", {}), ("get_object_tagging", {}),
                       ("copy_object", {"CopySource": f"{bucket}/x"}), ("upload_part", {"UploadId": "u", "PartNumber": 1}), ("list_parts", {"UploadId": "u"}),
                       ("get_object_attributes", {"ObjectAttributes": ["ETag"]})):
        answer = refusal(getattr(s3, call), **at, **more)["Error"]
        assert answer["Code"] == "KeyTooLongError" and answer["Message"] == "Your key is too long", call
        assert (answer["Size"], answer["MaxSizeAllowed"]) == (str(len(key.encode())), "1024")
    assert refused(s3.head_object, **at) == ("400", 400)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [e["Code"] for e in answer["Errors"]] == ["KeyTooLongError"]


@pytest.mark.parametrize("path", ["%ff", "%c3%28", "%ed%a0%80", "a%", "a%2", "%zz", "%%41"])
def test_paths_that_are_no_text(cloud, bucket, path):
    for method in ("PUT", "GET", "DELETE"):
        assert code(signed(cloud, method, f"/{bucket}/{path}")) == ("InvalidURI", 400)


def test_no_name_is_a_path(new_cloud, tmp_path):
    data = tmp_path / "data"
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="paths")
    for key in ("../../../escaped", "/etc/escaped", "..\\escaped", "escaped\x00", "a/" * 500 + "escaped"):
        s3.put_object(Bucket="paths", Key=key, Body=b"x" * 100_000)
    names = [p.name for p in tmp_path.rglob("*")]
    assert not any("escaped" in name or name in ("etc", "a") for name in names), names
    assert len([p for p in (data / "blobs").rglob("*") if p.is_file()]) == 5
