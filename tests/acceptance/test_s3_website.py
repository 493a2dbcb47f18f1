"""Websites: pages, errors and redirects on the website host names, read as a browser would."""
import http.client
import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def site(s3, unique):
    """A bucket that everybody may read and nobody may list."""
    name = unique("site")
    s3.create_bucket(Bucket=name)
    open_up(s3, name, ["s3:GetObject"], f"arn:aws:s3:::{name}/*")
    return name


def open_up(s3, bucket, actions, resource):
    s3.delete_public_access_block(Bucket=bucket)
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": resource}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def listable(s3, bucket):
    open_up(s3, bucket, ["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])


def visit(cloud, bucket, path, method="GET", host="s3-website.localhost.localstack.cloud", **headers):
    connection = http.client.HTTPConnection("localhost", cloud.port)
    headers = {"Host": f"{bucket}.{host}:{cloud.port}", **headers}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()


def put(s3, bucket, **pages):
    for key, body in pages.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")


HOSTS = ["s3-website.localhost", "s3-website.localhost.localstack.cloud", "s3-website-us-east-1.amazonaws.com",
         "s3-website.us-east-1.amazonaws.com", "s3-website.us-east-1.localhost.localstack.cloud"]


def test_pages_are_served_on_every_website_host(cloud, s3, site):
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    put(s3, site, **{"index.html": "home", "docs/index.html": "docs", "a b.html": "spaced"})
    for host in HOSTS:
        status, headers, body = visit(cloud, site, "/", host=host)
        assert (status, body, headers["content-type"]) == (200, "home", "text/html"), host
        assert headers["etag"] and headers["x-amz-request-id"] and headers["server"] == "AmazonS3"
    assert visit(cloud, site, "/docs/")[2] == "docs"
    assert visit(cloud, site, "/a%20b.html")[2] == "spaced"
    assert visit(cloud, site, "/index.html", method="HEAD")[0::2] == (200, "")
    status, headers, body = visit(cloud, site, "/index.html", Range="bytes=1-2")
    assert (status, body, headers["content-range"]) == (206, "om", "bytes 1-2/4")
    etag = visit(cloud, site, "/")[1]["etag"]
    assert visit(cloud, site, "/", **{"If-None-Match": etag})[0] == 304


def test_a_folder_without_its_slash_is_redirected(cloud, s3, site):
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    put(s3, site, **{"docs/index.html": "docs"})
    status, headers, body = visit(cloud, site, "/docs")
    assert (status, headers["location"]) == (302, "/docs/")
    assert "<li>Code: Found</li>" in body and headers["x-amz-error-code"] == "Found"


def test_errors_are_pages(cloud, s3, site, unique):
    status, headers, body = visit(cloud, site, "/")
    assert status == 404 and "<li>Code: NoSuchWebsiteConfiguration</li>" in body and f"<li>BucketName: {site}</li>" in body
    assert headers["x-amz-error-code"] == "NoSuchWebsiteConfiguration"
    status, headers, body = visit(cloud, unique("none"), "/")
    assert status == 404 and "<li>Code: NoSuchBucket</li>" in body
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    status, headers, body = visit(cloud, site, "/missing")
    assert status == 403 and "<li>Code: AccessDenied</li>" in body  # nobody may list
    listable(s3, site)
    status, headers, body = visit(cloud, site, "/missing%3Cb%3E")
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert body.startswith("<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n<ul>\n"
                           "<li>Code: NoSuchKey</li>\n<li>Message: The specified key does not exist.</li>\n"
                           "<li>Key: missing&lt;b&gt;</li>\n<li>RequestId: "), body
    assert headers["x-amz-error-code"] == "NoSuchKey" and headers["x-amz-error-detail-key"] == "missing<b>"
    for method in ("POST", "PUT", "DELETE"):
        status, headers, body = visit(cloud, site, "/index.html", method=method)
        assert status == 405 and "<li>Code: MethodNotAllowed</li>" in body and f"<li>Method: {method}</li>" in body


def test_the_error_document_is_shown_with_the_errors_status(cloud, s3, site):
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}})
    listable(s3, site)
    status, headers, body = visit(cloud, site, "/missing")
    assert status == 404 and "An Error Occurred While Attempting to Retrieve a Custom Error Document" in body
    put(s3, site, **{"error.html": "so sorry"})
    status, headers, body = visit(cloud, site, "/missing")
    assert (status, body, headers["x-amz-error-code"]) == (404, "so sorry", "NoSuchKey")


def test_redirects(cloud, s3, site):
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"},
        "RoutingRules": [
            {"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": {"ReplaceKeyPrefixWith": "documents/"}},
            {"Condition": {"KeyPrefixEquals": "gone/"}, "Redirect": {"ReplaceKeyWith": "index.html",
                                                                    "HttpRedirectCode": "302"}},
            {"Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "new/"},
             "Redirect": {"HostName": "example.com", "Protocol": "https", "ReplaceKeyPrefixWith": "old/"}}]})
    listable(s3, site)
    put(s3, site, **{"index.html": "home", "new/there": "there"})
    s3.put_object(Bucket=site, Key="moved", Body=b"x", WebsiteRedirectLocation="/index.html")
    here = f"http://{site}.s3-website.localhost.localstack.cloud:{cloud.port}"
    for path, expected in {
        "/docs/a%20b": (301, f"{here}/documents/a%20b"),
        "/gone/x": (302, f"{here}/index.html"),
        "/new/x": (301, "https://example.com/old/x"),
        "/moved": (301, "/index.html"),
    }.items():
        status, headers, body = visit(cloud, site, path)
        assert (status, headers.get("location"), body) == (*expected, ""), path
    assert visit(cloud, site, "/new/there")[2] == "there"
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"RedirectAllRequestsTo": {"HostName": "example.com"}})
    assert visit(cloud, site, "/any/thing?q=1")[1]["location"] == "http://example.com/any/thing?q=1"


@pytest.mark.parametrize("configuration, code, message", [
    ({}, "InvalidArgument", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"),
    ({"IndexDocument": {"Suffix": "/i"}}, "InvalidArgument", "The IndexDocument Suffix is not well formed"),
    ({"IndexDocument": {"Suffix": "i"}, "RedirectAllRequestsTo": {"HostName": "h"}}, "InvalidArgument",
     "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."),
    ({"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "InvalidRequest",
     "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."),
    ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": [
        {"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}]}, "InvalidRequest",
     "You can only define ReplaceKeyPrefix or ReplaceKey but not both."),
    ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Condition": {}, "Redirect": {"ReplaceKeyWith": "a"}}]},
     "InvalidRequest", "Condition cannot be empty. To redirect all requests without a condition, the condition element "
     "shouldn't be present."),
    ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"HttpRedirectCode": "300"}}]},
     "InvalidRequest", "The provided HTTP redirect code (300) is not valid. Valid codes are 3XX except 300."),
])
def test_bad_configurations(s3, site, configuration, code, message):
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_website(Bucket=site, WebsiteConfiguration=configuration)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, message)
