"""What AWS does with single parameters of the operations on objects, where it is not what one would guess."""
import base64
import http.client

import pytest

from s3_help import allow, code, form, later, md5, opened, plain, policy_fields, refusal, refused, restored, signed, statement


@pytest.fixture
def public(s3, bucket):
    """A bucket that everybody may read, write and list."""
    opened(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    return bucket


@pytest.fixture
def ask(cloud, account):
    """Requests by hand of this test's own account."""
    return lambda method, path, headers=None, body=b"": signed(cloud, method, path, headers, body, key=account)


def test_a_plus_in_a_path_is_a_space(cloud, s3, public):
    assert plain(cloud, "PUT", f"/{public}/a+b%2Bc", {"x-amz-acl": "public-read"}, b"x")[0] == 200
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=public)["Contents"]] == ["a b+c"]
    for path in ("a+b%2Bc", "a%20b%2Bc"):
        assert plain(cloud, "GET", f"/{public}/{path}")[2] == b"x"
    assert plain(cloud, "GET", f"/{public}/a+b+c")[0] == 404
    s3.put_bucket_website(Bucket=public, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    host = {"Host": f"{public}.s3-website.us-east-1.amazonaws.com"}
    assert plain(cloud, "GET", "/a+b%2Bc", host)[2] == b"x"


def test_metadata_that_is_not_ascii_is_read_as_latin_1(cloud, s3, public):
    # The example of the User Guide, "Working with object metadata".
    raw = "ÄMÄZÕÑ S3".encode().decode("latin1")
    assert plain(cloud, "PUT", f"/{public}/m", {"x-amz-meta-nonascii": raw, "x-amz-acl": "public-read"}, b"x")[0] == 200
    headers = plain(cloud, "HEAD", f"/{public}/m")[1]
    assert headers["x-amz-meta-nonascii"] == "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="
    again = {"x-amz-meta-nonascii": headers["x-amz-meta-nonascii"], "x-amz-acl": "public-read"}
    assert plain(cloud, "PUT", f"/{public}/again", again, b"x")[0] == 200
    assert plain(cloud, "HEAD", f"/{public}/again")[1]["x-amz-meta-nonascii"] == again["x-amz-meta-nonascii"]


def test_metadata_that_comes_several_times_is_a_list(cloud, public):
    connection = http.client.HTTPConnection("localhost", cloud.port, timeout=60)
    connection.putrequest("PUT", f"/{public}/k")
    for name, value in [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2"), ("x-amz-acl", "public-read"), ("Content-Length", "0")]:
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 200
    assert plain(cloud, "HEAD", f"/{public}/k")[1]["x-amz-meta-a"] == "1,2"


def test_overrides(cloud, s3, public, ask):
    s3.put_object(Bucket=public, Key="k", Body=b"x", ACL="public-read")
    assert ask("GET", f"/{public}/k?response-expires=never")[1]["expires"] == "never"
    assert code(plain(cloud, "GET", f"/{public}/k?response-expires=never")) == ("InvalidRequest", 400)
    assert plain(cloud, "HEAD", f"/{public}/k?response-content-type=a")[0] == 400


def test_readers_are_told_of_tags_and_locks_that_they_may_see(cloud, s3, unique):
    bucket = unique("b")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1", ObjectLockLegalHoldStatus="ON",
                  ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=later())
    all_three = {"x-amz-tagging-count", "x-amz-object-lock-mode", "x-amz-object-lock-legal-hold"}
    path = f"/{bucket}/k"
    for may, shown in [((), set()), (("s3:GetObjectTagging",), {"x-amz-tagging-count"}),
                       (("s3:GetObjectRetention",), {"x-amz-object-lock-mode"}),
                       (("s3:GetObjectLegalHold",), {"x-amz-object-lock-legal-hold"})]:
        allow(s3, bucket, statement(bucket, ["s3:GetObject", *may]))
        for method in ("GET", "HEAD"):
            status, headers, _ = plain(cloud, method, path)
            assert status == 200 and all_three & set(headers) == shown, (method, may)
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 1


def test_checksums_of_no_algorithm(ask, bucket):
    answer = ask("PUT", f"/{bucket}/k", {"x-amz-checksum-blake3": "AAAA"}, b"x")
    assert code(answer) == ("InvalidRequest", 400)
    assert b"The algorithm type you specified in x-amz-checksum- header is invalid." in answer[2]


def test_list_types(ask, bucket):
    for other in ("1", "3", "x"):
        answer = ask("GET", f"/{bucket}?list-type={other}")
        assert code(answer) == ("InvalidArgument", 400) and b"Invalid List Type specified in Request" in answer[2]
    answer = ask("GET", f"/{bucket}?list-type=2", {"x-amz-optional-object-attributes": "Size"})
    assert code(answer) == ("InvalidArgument", 400) and b"Invalid attribute name specified." in answer[2]


def test_archived_sources_and_quick_restores(s3, bucket):
    s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="GLACIER")
    s3.put_object(Bucket=bucket, Key="colder", Body=b"x", StorageClass="DEEP_ARCHIVE")
    error = refusal(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/cold")["Error"]
    assert error == {"Code": "InvalidObjectState", "StorageClass": "GLACIER",
                     "Message": "Operation is not valid for the source object's storage class"}
    quick = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    error = refusal(s3.restore_object, Bucket=bucket, Key="colder", RestoreRequest=quick)["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidArgument", "Retrieval option is not supported by this storage class")
    s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest=quick)
    assert 'ongoing-request="false"' in restored(s3, bucket, "cold")


def test_what_completing_claims(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    named = dict(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert refused(s3.complete_multipart_upload, **named, ChecksumCRC64NVME="A") == ("InvalidRequest", 400)
    assert refused(s3.complete_multipart_upload, **named, ChecksumCRC64NVME="AAAAAAAAAAA=") == ("BadDigest", 400)
    error = refusal(s3.complete_multipart_upload, **named, ChecksumType="COMPOSITE")["Error"]
    assert error["Message"].startswith("The upload was created using the null checksum mode.")
    assert s3.complete_multipart_upload(**named, ChecksumType="FULL_OBJECT")["ChecksumType"] == "FULL_OBJECT"


def test_tags_and_locks_of_delete_markers(s3, unique):
    bucket = unique("b")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": later()}
    for call, more in [
        (s3.get_object_tagging, {}), (s3.put_object_tagging, {"Tagging": {"TagSet": []}}), (s3.delete_object_tagging, {}),
        (s3.get_object_retention, {}), (s3.put_object_retention, {"Retention": until}),
        (s3.get_object_legal_hold, {}), (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
    ]:
        # Only the tags are not just missing where the marker is not named.
        unnamed = ("MethodNotAllowed", 405) if call == s3.get_object_tagging else ("NoSuchKey", 404)
        assert refused(call, Bucket=bucket, Key="k", **more) == unnamed
        for version in [{"VersionId": marker}] + [{}] * (call == s3.get_object_tagging):
            answer = refusal(call, Bucket=bucket, Key="k", **version, **more)
            assert answer["Error"]["Code"] == "MethodNotAllowed" and answer["Error"]["ResourceType"] == "DeleteMarker"
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            assert (headers["allow"], headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("DELETE", "true", marker)
        assert refused(call, Bucket=bucket, Key="none", **more)[0] == "NoSuchKey"
    assert refused(s3.get_object_acl, Bucket=bucket, Key="k") == ("NoSuchKey", 404)


def test_an_encryption_context_needs_kms(s3, bucket):
    context = base64.b64encode(b'{"a":"b"}').decode()
    error = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x", SSEKMSEncryptionContext=context)["Error"]
    assert (error["Code"], error["ArgumentName"]) == ("InvalidArgument", "x-amz-server-side-encryption")


def test_forms_name_the_condition_as_it_was_written(cloud, public, account):
    conditions = [{"bucket": public}, ["starts-with", "$key", ""], ["eq", "$Content-Type", "a/b"],
                  ["starts-with", "$x-amz-checksum-sha512", ""]]
    document = {"expiration": later(), "conditions": conditions}

    def post(**fields):
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        headers, body = form(policy_fields(document, fields, key=account))
        return plain(cloud, "POST", f"/{public}", headers, body)

    wrong = post(key="k", Content_Type="c/d", x_amz_checksum_sha512="x")
    assert code(wrong) == ("AccessDenied", 403) and b"[&quot;eq&quot;, &quot;$Content-Type&quot;, &quot;a/b&quot;]" in wrong[2]
    assert code(post(key="k", Content_Type="a/b", x_amz_checksum_sha512="x")) == ("InvalidRequest", 400)


def test_queries_about_two_things(ask, bucket):
    answer = ask("GET", f"/{bucket}?policy&acl")
    assert code(answer) == ("InvalidArgument", 400)
    assert b"<Message>Conflicting query string parameters: acl, policy</Message><ArgumentName>ResourceType</ArgumentName>" in answer[2]
    assert code(ask("PUT", f"/{bucket}/k?tagging&retention", body=b"x")) == ("InvalidArgument", 400)
    assert ask("GET", f"/{bucket}?uploads&prefix=a&max-uploads=1")[0] == 200


def test_what_is_written_names_no_version(ask, bucket):
    for headers in ({}, {"x-amz-copy-source": f"{bucket}/k"}):
        answer = ask("PUT", f"/{bucket}/k?versionId=null", headers, b"")
        assert code(answer) == ("InvalidArgument", 400) and b"This operation does not accept a version-id." in answer[2]


def test_locations(cloud, s3, public, account):
    upload = s3.create_multipart_upload(Bucket=public, Key="a/b c")["UploadId"]
    part = s3.upload_part(Bucket=public, Key="a/b c", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    done = s3.complete_multipart_upload(Bucket=public, Key="a/b c", UploadId=upload, MultipartUpload=parts)
    assert done["Location"] == f"{cloud.endpoint}/{public}/a%2Fb%20c"
    headers, body = form({"key": "a/b", "success_action_status": "201"})
    headers["Host"] = f"{public}.s3.amazonaws.com"
    status, head, document = plain(cloud, "POST", "/", headers, body)
    assert (status, head["location"]) == (201, f"http://{public}.s3.amazonaws.com/a%2Fb")
    assert f"<Location>{head['location']}</Location>".encode() in document


def test_every_name_of_s3(cloud, s3, public):
    s3.put_object(Bucket=public, Key="k", Body=b"x", ACL="public-read")
    for name in ("s3", "s3.us-east-1", "s3-us-east-1", "s3.dualstack.us-east-1", "s3-fips.us-east-1"):
        for host, path in [(f"{public}.{name}", "/k"), (name, f"/{public}/k")]:
            assert plain(cloud, "GET", path, {"Host": f"{host}.amazonaws.com"})[2] == b"x", host


def test_accelerated_names(cloud, s3, public):
    s3.put_object(Bucket=public, Key="k", Body=b"x", ACL="public-read")
    get = lambda name: plain(cloud, "GET", "/k", {"Host": f"{public}.{name}.amazonaws.com"})
    answer = get("s3-accelerate")
    assert code(answer) == ("InvalidRequest", 400) and b"is not configured on this bucket" in answer[2]
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_accelerate_configuration(Bucket=public, AccelerateConfiguration={"Status": status})
        for name in ("s3-accelerate", "s3-accelerate.dualstack"):
            answer = get(name)
            assert answer[2] == b"x" if status == "Enabled" else b"is disabled on this bucket" in answer[2]
    answer = plain(cloud, "GET", f"/{public}/k", {"Host": "s3-accelerate.amazonaws.com"})
    assert code(answer) == ("InvalidRequest", 400) and b"only virtual style requests" in answer[2]


@pytest.fixture
def other(cloud, their_account):
    return cloud.client("s3", account=their_account)


def test_conditions_and_tags_need_permissions_of_their_own(s3, other, bucket):
    s3.delete_public_access_block(Bucket=bucket)
    put, delete = "s3:PutObject", "s3:DeleteObject"

    def may(*actions):
        allow(s3, bucket, statement(bucket, list(actions)))

    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    batch = {"Objects": [{"Key": "k", "ETag": '"x"'}]}
    may(put, delete)
    for call, more in [(other.put_object, {"Body": b"x"}), (other.delete_object, {})]:
        assert refused(call, Bucket=bucket, Key="k", IfMatch=etag, **more) == ("AccessDenied", 403)
    assert other.delete_objects(Bucket=bucket, Delete=batch)["Errors"][0]["Code"] == "AccessDenied"
    may(put, delete, "s3:GetObject")
    assert other.delete_objects(Bucket=bucket, Delete=batch)["Errors"][0]["Code"] == "PreconditionFailed"
    other.put_object(Bucket=bucket, Key="k", Body=b"x", IfMatch=etag)
    other.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    copy = lambda **more: other.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **more)
    assert refused(copy) == ("AccessDenied", 403)
    copy(TaggingDirective="REPLACE")
    may(put, "s3:GetObject", "s3:GetObjectTagging")
    assert refused(copy) == ("AccessDenied", 403)
    may(put, "s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
    copy()


def test_what_will_be_locked_comes_with_a_digest(cloud, s3, ask, unique):
    bucket = unique("b")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    assert ask("PUT", f"/{bucket}/k", body=b"x")[0] == 200
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for path, what in [("k", b"Put Object"), (f"k?partNumber=1&uploadId={upload}", b"Put Part")]:
        answer = ask("PUT", f"/{bucket}/{path}", body=b"x")
        assert code(answer) == ("InvalidRequest", 400)
        assert b"HTTP header is required for %s requests with Object Lock parameters" % what in answer[2]
        assert ask("PUT", f"/{bucket}/{path}", {"Content-MD5": md5(b"x")}, b"x")[0] == 200


def test_trailers_of_another_algorithm(ask, bucket):
    body = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNwWgw==\r\n\r\n"
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "1",
               "x-amz-trailer": "x-amz-checksum-crc32"}
    answer = ask("PUT", f"/{bucket}/k", {**headers, "x-amz-sdk-checksum-algorithm": "SHA1"}, body)
    assert code(answer) == ("InvalidRequest", 400) and b"x-amz-sdk-checksum-algorithm header is invalid" in answer[2]
    assert ask("PUT", f"/{bucket}/k", {**headers, "x-amz-sdk-checksum-algorithm": "CRC32"}, body)[0] == 200
