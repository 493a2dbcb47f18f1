"""Requests by hand: heads that are wrong, signatures, presigned URLs, pages of the web, forms."""
import base64
import datetime
import json
import socket

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3_help import code, form, later, opened, plain, policy_fields, refusal, refused, relative, signed, signed_v2


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    import uuid
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    opened(s3, name)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    s3.put_object(Bucket=name, Key="open", Body=b"body", ACL="public-read")
    return name


@pytest.mark.parametrize("value, expected", [
    ("AWS HAHAHA", ("InvalidArgument", 400)), ("Basic dXNlcjpwYXNz", ("InvalidArgument", 400)), ("", ("AccessDenied", 403)),
    ("AWS4-HMAC-SHA256 HAHAHA", ("AuthorizationHeaderMalformed", 400)), ("AWS nobody:x", ("InvalidAccessKeyId", 403)),
    ("AWS test:x", ("SignatureDoesNotMatch", 403)),
])
def test_authorizations(cloud, bucket, value, expected):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert code(plain(cloud, "PUT", f"/{bucket}/a", {"Authorization": value, "Date": date}, b"x")) == expected


@pytest.mark.parametrize("date, expected", [
    ("Bad Date", ("AccessDenied", 403)), ("", ("AccessDenied", 403)),
    ("Tue, 07 Jul 2010 21:53:04 +0000", ("RequestTimeTooSkewed", 403)), ("Wed, 07 Jul 2010 21:53:04 GMT", ("RequestTimeTooSkewed", 403)),
    ("Fri, 07 Jul 1950 21:53:04 GMT", ("AccessDenied", 403)), ("Wed, 07 Jul 9999 21:53:04 GMT", ("RequestTimeTooSkewed", 403)),
])
def test_dates(cloud, bucket, date, expected):
    assert code(signed_v2(cloud, "PUT", f"/{bucket}/a", {"x-amz-date": date}, b"x")) == expected


def test_dates_of_version_4(cloud, bucket):
    scope = "Credential=test/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    for headers in ({"x-amz-date": "Bad Date"}, {}):
        answer = plain(cloud, "PUT", f"/{bucket}/a", {"Authorization": f"AWS4-HMAC-SHA256 {scope}", **headers})
        assert code(answer) == ("AccessDenied", 403) and b"valid Date or x-amz-date header" in answer[2]


def test_version_2_in_the_header(cloud, bucket):
    assert signed_v2(cloud, "PUT", f"/{bucket}/v2", {"Content-Type": "text/x", "x-amz-meta-a": "b"}, b"x")[0] == 200
    status, headers, body = signed_v2(cloud, "GET", f"/{bucket}/v2?x=y")
    assert (status, body, headers["content-type"], headers["x-amz-meta-a"]) == (200, b"x", "text/x", "b")
    assert signed_v2(cloud, "GET", f"/{bucket}?acl", resource=f"/{bucket}?acl")[0] == 200


def raw(cloud, text, whole=False):
    with socket.create_connection(("localhost", cloud.port), timeout=30) as connection:
        connection.sendall(text)
        out = b""
        while chunk := connection.recv(65536):
            out += chunk
            if b"\r\n\r\n" in out and not whole:
                break
        return out


def test_lengths(cloud, bucket):
    put = lambda head: raw(cloud, f"PUT /{bucket}/a HTTP/1.1\r\nHost: localhost\r\n{head}Connection: close\r\n\r\n".encode())
    assert put("Content-Length: -1\r\n").startswith(b"HTTP/1.1 400")
    assert put("Content-Length: x\r\n").startswith(b"HTTP/1.1 400")
    # Who may not is told so first.
    assert put("").startswith(b"HTTP/1.1 403")


def test_lengths_that_are_missing(cloud, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    try:
        ask = f"PUT /{bucket}/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        whole = lambda head: raw(cloud, (ask + head).encode(), whole=True)
        assert b"<Code>MissingContentLength</Code>" in whole("\r\n")
        answer = whole("Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        assert b"<Code>NotImplemented</Code>" in answer and b"<Header>Transfer-Encoding</Header>" in answer
        assert whole("Content-Length: 0\r\n\r\n").startswith(b"HTTP/1.1 200")
    finally:
        s3.put_bucket_acl(Bucket=bucket, ACL="private")


def test_encryption_is_not_the_readers_to_say(cloud, bucket):
    for method in ("GET", "HEAD"):
        answer = signed(cloud, method, f"/{bucket}/k", {"x-amz-server-side-encryption": "AES256"})
        assert answer[0] == 400 and (method == "HEAD" or code(answer) == ("InvalidArgument", 400))


def test_waiting_for_100(cloud, s3, bucket):
    ask = f"PUT /{bucket}/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
    answer = raw(cloud, ask)
    assert answer.startswith(b"HTTP/1.1 403") and b"connection: close" in answer.lower()
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    try:
        assert raw(cloud, ask).startswith(b"HTTP/1.1 100")
    finally:
        s3.put_bucket_acl(Bucket=bucket, ACL="private")


def test_methods_that_are_none(cloud, bucket):
    answer = signed(cloud, "POST", f"/{bucket}/k")
    assert code(answer) == ("MethodNotAllowed", 405) and b"<ResourceType>OBJECT</ResourceType>" in answer[2]
    answer = signed(cloud, "POST", f"/{bucket}")
    assert code(answer) == ("PreconditionFailed", 412)
    assert b"Bucket POST must be of the enclosure-type multipart/form-data" in answer[2]


def test_anonymous_reads(cloud, bucket):
    assert plain(cloud, "GET", f"/{bucket}/open")[2] == b"body"
    answer = plain(cloud, "GET", f"/{bucket}/open?response-content-type=x")
    assert code(answer) == ("InvalidRequest", 400)
    assert b"Request specific response headers cannot be used for anonymous GET requests." in answer[2]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(cloud, s3, bucket, version):
    client = cloud.client("s3", signature_version=version)
    url = lambda call, seconds=100, **p: relative(cloud, client.generate_presigned_url(
        call, Params={"Bucket": bucket, "Key": "p", **p}, ExpiresIn=seconds))
    put = url("put_object", Metadata={"a": "b"}, ContentType="text/x", StorageClass="STANDARD_IA")
    headers = {"Content-Type": "text/x"}
    if version == "s3v4":
        headers.update({"x-amz-meta-a": "b", "x-amz-storage-class": "STANDARD_IA"})
    assert plain(cloud, "PUT", put, headers, b"x")[0] == 200
    # Version 2 says in the query what would be a header.
    head = s3.head_object(Bucket=bucket, Key="p")
    assert (head["Metadata"], head["StorageClass"], head["ContentType"]) == ({"a": "b"}, "STANDARD_IA", "text/x")
    assert plain(cloud, "GET", url("get_object"))[2] == b"x" and plain(cloud, "HEAD", url("head_object"))[0] == 200
    answer = plain(cloud, "GET", url("get_object", -100)) if version == "s3" else None
    if answer:
        assert code(answer) == ("AccessDenied", 403) and b"<Message>Request has expired</Message>" in answer[2]
    assert plain(cloud, "GET", url("get_object") + "&x-id=1" if version == "s3" else url("get_object"))[0] == 200
    spoiled = url("get_object").replace("/p?", "/k?")
    assert code(plain(cloud, "GET", spoiled)) == ("SignatureDoesNotMatch", 403)
    copy = relative(cloud, client.generate_presigned_url("copy_object", Params={
        "Bucket": bucket, "Key": "copied", "CopySource": f"{bucket}/p"}))
    answer = plain(cloud, "PUT", copy, {} if version == "s3" else {"x-amz-copy-source": f"{bucket}/p"})
    assert answer[0] == 200 and b"<CopyObjectResult" in answer[2]


@pytest.mark.parametrize("seconds, message", [
    ("604801", b"must be less than a week"), ("-7", b"must be non-negative"), ("x", b"should be a number")])
def test_lifetimes(cloud, bucket, seconds, message):
    client = cloud.client("s3", signature_version="s3v4")
    url = relative(cloud, client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=100))
    answer = plain(cloud, "GET", url.replace("X-Amz-Expires=100", f"X-Amz-Expires={seconds}"))
    assert code(answer) == ("AuthorizationQueryParametersError", 400) and message in answer[2]


def test_documents_that_are_none(cloud, bucket):
    for path in ("?versioning", "?acl", "?tagging", "?cors", "?lifecycle", "?publicAccessBlock", "?encryption"):
        deep = b"<a>" * 5000
        for body in (b"<", b"<a/>x", b"nonsense", deep, b"<!DOCTYPE a><a/>"):
            from s3_help import md5
            answer = signed(cloud, "PUT", f"/{bucket}{path}", {"Content-MD5": md5(body)}, body)
            assert answer[0] == 400 and code(answer)[0] in ("MalformedXML", "MalformedACLError"), (path, body[:9])
        answer = signed(cloud, "PUT", f"/{bucket}{path}", {"Content-MD5": md5(b"")})
        assert answer[0] == 400, (path, answer)


def test_preflights(cloud, s3, bucket):
    ask = lambda path="", **h: plain(cloud, "OPTIONS", f"/{bucket}{path}", {k.replace("_", "-"): v for k, v in h.items()})
    s3.delete_bucket_cors(Bucket=bucket)
    answer = ask(Origin="http://a.org", Access_Control_Request_Method="GET")
    assert code(answer) == ("AccessForbidden", 403) and b"CORSResponse: CORS is not enabled for this bucket." in answer[2]
    assert f"<RequestId>{answer[1]['x-amz-request-id']}</RequestId>".encode() in answer[2] and answer[1]["x-amz-id-2"]
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*suffix", "start*end", "exact"]},
             {"AllowedMethods": ["PUT"], "AllowedOrigins": ["*.put"], "AllowedHeaders": ["x-amz-*", "Content-Type"], "MaxAgeSeconds": 7,
              "ExposeHeaders": ["ETag"]}, {"AllowedMethods": ["DELETE"], "AllowedOrigins": ["*"]}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    assert code(ask()) == ("BadRequest", 400) and code(ask(Origin="foo.suffix")) == ("BadRequest", 400)
    assert code(ask(Origin="foo.suffix", Access_Control_Request_Method="X")) == ("BadRequest", 400)
    for origin, good in [("foo.suffix", True), ("suffix", True), ("foo.suffix.get", False), ("startend", True), ("start1end", True),
                         ("start1end1", False), ("exact", True), ("foo.bar", False)]:
        status, headers, _ = ask("/k", Origin=origin, Access_Control_Request_Method="GET")
        assert (status, headers.get("access-control-allow-origin")) == ((200, origin) if good else (403, None)), origin
    status, headers, _ = ask("/k", Origin="x.put", Access_Control_Request_Method="PUT",
                             Access_Control_Request_Headers="X-Amz-Meta-A, content-type")
    assert (status, headers["access-control-allow-headers"]) == (200, "x-amz-meta-a, content-type")
    assert headers["access-control-max-age"] == "7" and headers["access-control-expose-headers"] == "ETag"
    assert ask("/k", Origin="x.put", Access_Control_Request_Method="PUT", Access_Control_Request_Headers="x-other")[0] == 403
    assert ask("/k", Origin="any", Access_Control_Request_Method="DELETE")[1]["access-control-allow-origin"] == "*"


def test_answers_to_pages(cloud, s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [
        {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*suffix"]}]})
    get = lambda method="GET", **h: plain(cloud, method, f"/{bucket}/open", {k.replace("_", "-"): v for k, v in h.items()})
    status, headers, _ = get(Origin="foo.suffix")
    assert (status, headers["access-control-allow-origin"], headers["access-control-allow-methods"]) == (
        200, "foo.suffix", "GET, PUT")
    assert headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    assert "access-control-allow-origin" not in get(Origin="other")[1] and "vary" not in get()[1]
    # A refusal tells the page as well.
    status, headers, _ = get("PUT", Origin="foo.suffix", Content_Length="0")
    assert (status, headers["access-control-allow-origin"]) == (403, "foo.suffix")
    assert "access-control-allow-origin" not in get("DELETE", Origin="foo.suffix")[1]
    for bad, why in [({"AllowedMethods": ["OPTIONS"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
                     ({"AllowedMethods": ["GET"], "AllowedOrigins": ["a*b*"]}, "InvalidRequest"),
                     ({"AllowedMethods": ["GET"], "AllowedOrigins": []}, "MalformedXML")]:
        assert refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": [bad]})["Error"]["Code"] == why


def policy(bucket, *more, expires=None):
    return {"expiration": expires or later(), "conditions": [
        {"bucket": bucket}, ["starts-with", "$key", "foo"], {"acl": "private"}, ["starts-with", "$Content-Type", "text/plain"],
        ["content-length-range", 0, 1024], *more]}


FIELDS = {"key": "foo.txt", "acl": "private", "Content-Type": "text/plain"}


def post(cloud, bucket, fields, data=b"bar", **kw):
    return plain(cloud, "POST", f"/{bucket}", *form(fields, data, **kw))


def test_forms(cloud, s3, bucket):
    status, headers, _ = post(cloud, bucket, policy_fields(policy(bucket), FIELDS))
    assert status == 204 and headers["x-amz-server-side-encryption"] == "AES256" and headers["x-amz-checksum-crc64nvme"]
    got = s3.get_object(Bucket=bucket, Key="foo.txt")
    assert got["Body"].read() == b"bar" and got["ContentType"] == "text/plain"
    status, headers, body = post(cloud, bucket, policy_fields(policy(bucket, ["starts-with", "$success_action_status", "201"]),
                                                              {**FIELDS, "key": "foo-${filename}", "success_action_status": "201"}))
    assert status == 201 and b"<PostResponse><Location>" in body and b"<Key>foo-cat.txt</Key>" in body
    assert headers["etag"] and headers["location"].endswith(f"/{bucket}/foo-cat.txt")
    fields = policy_fields(policy(bucket, ["eq", "$success_action_redirect", "http://h/x"]),
                           {**FIELDS, "success_action_redirect": "http://h/x"})
    status, headers, _ = post(cloud, bucket, fields)
    etag = s3.head_object(Bucket=bucket, Key="foo.txt")["ETag"].strip('"')
    assert (status, headers["location"]) == (303, f"http://h/x?bucket={bucket}&key=foo.txt&etag=%22{etag}%22")
    tagged = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    fields = policy_fields(policy(bucket, ["starts-with", "$tagging", ""], ["starts-with", "$x-amz-meta-foo", "bar"]),
                           {**FIELDS, "tagging": tagged, "x-amz-meta-foo": "barclamp", "x-ignore-foo": "x"})
    assert post(cloud, bucket, fields)[0] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="foo.txt")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert s3.head_object(Bucket=bucket, Key="foo.txt")["Metadata"] == {"foo": "barclamp"}


def without(document, name):
    return {k: v for k, v in document.items() if k != name}


@pytest.mark.parametrize("change, expected", [
    (lambda b: policy_fields(policy(b, expires="2010-01-01T00:00:00Z"), FIELDS), ("AccessDenied", 403)),
    (lambda b: policy_fields(policy(b, expires="soon"), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(policy("other"), FIELDS), ("AccessDenied", 403)),
    (lambda b: policy_fields({**policy(b), "conditions": policy(b)["conditions"][1:]}, FIELDS), ("AccessDenied", 403)),
    (lambda b: policy_fields(policy(b), {**FIELDS, "key": "bar"}), ("AccessDenied", 403)),
    (lambda b: policy_fields(policy(b), {**FIELDS, "x-amz-meta-foo": "bar"}), ("AccessDenied", 403)),
    (lambda b: policy_fields(policy(b, ["eq", "$x-amz-meta-foo", ""]), {**FIELDS, "x-amz-meta-foo": "bar"}), ("AccessDenied", 403)),
    (lambda b: policy_fields(policy(b, ["starts-with", "$x-amz-meta-foo", "bar"]), FIELDS), ("AccessDenied", 403)),
    (lambda b: policy_fields(without(policy(b), "expiration"), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(without(policy(b), "conditions"), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields({"EXPIRATION": later(), "conditions": policy(b)["conditions"]}, FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields({"expiration": later(), "CONDITIONS": policy(b)["conditions"]}, FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(policy(b, ["content-length-range", 0]), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(policy(b, ["content-length-range", -1, 0]), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(policy(b, {}), FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields("nonsense", FIELDS), ("InvalidPolicyDocument", 400)),
    (lambda b: policy_fields(policy(b, ["content-length-range", 0, 0]), FIELDS), ("EntityTooLarge", 400)),
    (lambda b: policy_fields(policy(b, ["content-length-range", 512, 1000]), FIELDS), ("EntityTooSmall", 400)),
    (lambda b: policy_fields(policy(b), without(FIELDS, "key")), ("InvalidArgument", 400)),
    (lambda b: without(policy_fields(policy(b), FIELDS), "signature"), ("InvalidArgument", 400)),
    (lambda b: without(policy_fields(policy(b), FIELDS), "policy"), ("InvalidArgument", 400)),
    (lambda b: {**policy_fields(policy(b), FIELDS), "signature": "x"}, ("SignatureDoesNotMatch", 403)),
    (lambda b: policy_fields(policy(b), FIELDS, key="nobody"), ("InvalidAccessKeyId", 403)),
    (lambda b: FIELDS, ("AccessDenied", 403)),
])
def test_forms_that_are_refused(cloud, bucket, change, expected):
    assert code(post(cloud, bucket, change(bucket))) == expected


def test_forms_of_odd_shapes(cloud, s3, bucket):
    fields = policy_fields(policy(bucket), FIELDS)
    answer = post(cloud, bucket, fields, file=False)
    assert code(answer) == ("InvalidArgument", 400) and b"POST requires exactly one file upload per request." in answer[2]
    # Names of fields have no case.
    fields = {"kEy": "foo.txt", "aWSAccessKeyId": "test", "aCl": "private", "pOLICy": fields["policy"],
              "signature": fields["signature"], "Content-Type": "text/plain"}
    assert post(cloud, bucket, fields)[0] == 204
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    try:
        assert post(cloud, bucket, {"key": "anybody"})[0] == 204
    finally:
        s3.put_bucket_acl(Bucket=bucket, ACL="private")


def test_a_conditional_write_conflicts_with_a_deletion(cloud, s3, bucket):
    """`If-None-Match` fails with 409, not 412, where the object is deleted while the bytes still arrive."""
    s3.put_object(Bucket=bucket, Key="race", Body=b"old")
    request = AWSRequest("PUT", f"{cloud.endpoint}/{bucket}/race", data=b"newer!", headers={
        "If-None-Match": "*", "Content-Length": "6", "Expect": "100-continue"})
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    with socket.create_connection(("localhost", cloud.port), timeout=60) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"localhost:{cloud.port}", **dict(request.headers)}.items())
        connection.sendall(f"PUT /{bucket}/race HTTP/1.1\r\n{head}\r\n".encode())
        assert b" 100 " in connection.recv(1000)
        s3.delete_object(Bucket=bucket, Key="race")
        connection.sendall(b"newer!")
        answer = connection.recv(4000)
    assert b" 409 " in answer.split(b"\r\n")[0] and b"<Code>ConditionalRequestConflict</Code>" in answer
    assert refused(s3.get_object, Bucket=bucket, Key="race") == ("NoSuchKey", 404)
