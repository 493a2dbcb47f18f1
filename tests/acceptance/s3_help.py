"""What the tests of S3 share: refusals, requests by hand, forms."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import re
import time
import urllib.parse
import uuid

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


def refused(call, *more, **arguments):
    """The code and status that a call is refused with."""
    answer = refusal(call, *more, **arguments)
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def refusal(call, *more, **arguments):
    """The whole answer that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(*more, **arguments)
    return caught.value.response


def plain(cloud, method, path, headers=None, body=None):
    """A request as it stands: status, headers in lower case, body."""
    connection = http.client.HTTPConnection("localhost", cloud.port, timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def signed(cloud, method, path, headers=None, body=b"", key="test", secret="test", region="us-east-1"):
    """The same, signed with version 4."""
    request = AWSRequest(method, f"{cloud.endpoint}{path}", data=body, headers=headers or {})
    S3SigV4Auth(Credentials(key, secret), "s3", region).add_auth(request)
    return plain(cloud, method, path, dict(request.headers), body)


def signed_v2(cloud, method, path, headers=None, body=b"", key="test", secret="test", date=None, resource=None):
    """The same, signed with version 2."""
    headers = dict(headers or {})
    headers.setdefault("Date", date or datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT"))
    low = {k.lower(): v for k, v in headers.items()}
    amz = "".join(f"{k}:{v}\n" for k, v in sorted(low.items()) if k.startswith("x-amz-"))
    when = "" if "x-amz-date" in low else headers["Date"]
    text = f"{method}\n{low.get('content-md5', '')}\n{low.get('content-type', '')}\n{when}\n{amz}{resource or path.split('?')[0]}"
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers["Authorization"] = f"AWS {key}:{signature}"
    return plain(cloud, method, path, headers, body)


def relative(cloud, url):
    assert url.startswith(cloud.endpoint), url
    return url[len(cloud.endpoint):]


def code(answer):
    """The code in an error's document."""
    found = re.search(rb"<Code>(\w+)</Code>", answer[2])
    return (found.group(1).decode() if found else None), answer[0]


def form(fields, data=b"data", name="cat.txt", file=True):
    """A multipart form as headers and body."""
    boundary = uuid.uuid4().hex
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    )
    if file:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body += head.encode() + b"Content-Type: text/plain\r\n\r\n" + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def policy_fields(document, fields, key="test", secret="test"):
    """Fields of a form with its policy signed in version 2."""
    text = document if isinstance(document, str) else json.dumps(document)
    encoded = base64.b64encode(text.encode()).decode()
    signature = base64.b64encode(hmac.new(secret.encode(), encoded.encode(), hashlib.sha1).digest()).decode()
    return {**fields, "AWSAccessKeyId": key, "signature": signature, "policy": encoded}


def later(seconds=6000):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def restored(s3, bucket, key):
    """Waits until a restored copy is there; what is then said of it."""
    deadline = time.time() + 60
    while time.time() < deadline:
        said = s3.head_object(Bucket=bucket, Key=key).get("Restore", "")
        if 'ongoing-request="true"' not in said:
            return said
        time.sleep(0.1)
    raise AssertionError("the restore does not end")


def quote(text):
    return urllib.parse.quote(text, safe="/~-._")


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def opened(s3, bucket, ownership="ObjectWriter"):
    """Lets ACLs count and the public in: what every bucket was before April 2023."""
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})
    s3.delete_public_access_block(Bucket=bucket)


def statement(bucket, action="s3:*", principal="*", effect="Allow", resource=None, **condition):
    document = {"Effect": effect, "Principal": principal, "Action": action,
                "Resource": resource or [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    if condition:
        document["Condition"] = condition
    return document


def allow(s3, bucket, *statements):
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
