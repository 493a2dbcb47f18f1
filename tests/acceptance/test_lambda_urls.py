"""Function URLs, reached as any HTTP client would."""
import base64
import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from test_lambda import create, lam, package, refused, role  # noqa: F401

ECHO = package(
    "import json\n"
    "def handler(event, context):\n"
    "    if event['rawPath'] == '/raw': return 'plain'\n"
    "    if event['rawPath'] == '/object': return {'a': [1]}\n"
    "    if event['rawPath'] == '/fail': raise Exception('no')\n"
    "    if event['rawPath'] == '/binary': return {'statusCode': 200, 'body': 'AAEC', 'isBase64Encoded': True}\n"
    "    return {'statusCode': 201, 'headers': {'X-Own': 'yes'}, 'cookies': ['c=1', 'd=2'], 'body': json.dumps(event)}\n"
)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


@pytest.fixture
def visit(cloud):
    def visit(url, path="/", method="GET", body=None, headers=None, host=None):
        """Sends to the URL's path on the cloud's own port, naming the URL's host, whatever the resolver knows."""
        host = host or f"{url_id(url)}.lambda-url.us-east-1.localhost:{cloud.port}"
        request = urllib.request.Request(
            cloud.endpoint + path, data=body, method=method, headers={"Host": host, **(headers or {})}
        )
        try:
            return Answer(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as error:
            return Answer(error)

    return visit


def url_id(url):
    name = url.split("://")[1]
    return name.split(".")[0] if ".lambda-url." in name else name.rstrip("/").rsplit("/", 1)[1]


def open_to_all(lam, **kw):
    lam.add_permission(
        FunctionName="f", StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE", **kw,
    )
    lam.add_permission(
        FunctionName="f", StatementId="all-invoke", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True, **kw,
    )


def test_urls_are_configured(lam, create, account):
    create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    message = refused("ResourceNotFoundException", lam.create_function_url_config, FunctionName="none", AuthType="NONE")
    assert message == "Function does not exist"
    made = lam.create_function_url_config(FunctionName="f", AuthType="NONE", Cors={"AllowOrigins": ["*"]})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["FunctionArn"], made["AuthType"], made["InvokeMode"]) == (arn, "NONE", "BUFFERED")
    assert made["Cors"] == {"AllowOrigins": ["*"]} and len(url_id(made["FunctionUrl"])) == 32
    message = refused("ResourceConflictException", lam.create_function_url_config, FunctionName="f", AuthType="NONE")
    assert message == (
        f"Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig exists for this Lambda function"
    )
    lam.publish_version(FunctionName="f")
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    refused("ResourceNotFoundException", lam.create_function_url_config, FunctionName="f", Qualifier="none", AuthType="NONE")
    refused("ValidationException", lam.create_function_url_config, FunctionName="f", Qualifier="1", AuthType="NONE")
    refused("ValidationException", lam.create_function_url_config, FunctionName="f", Qualifier="$LATEST", AuthType="NONE")
    second = lam.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="AWS_IAM")
    assert second["FunctionArn"] == arn + ":live"
    listed = lam.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]
    assert {u["FunctionArn"] for u in listed} == {arn, arn + ":live"}
    changed = lam.update_function_url_config(FunctionName="f", AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM")
    assert (changed["AuthType"], changed["InvokeMode"], changed["FunctionUrl"]) == ("AWS_IAM", "RESPONSE_STREAM", made["FunctionUrl"])
    shown = lam.get_function_url_config(FunctionName="f")
    assert shown["Cors"] == {"AllowOrigins": ["*"]} and shown["AuthType"] == "AWS_IAM"
    lam.delete_function_url_config(FunctionName="f")
    message = refused("ResourceNotFoundException", lam.get_function_url_config, FunctionName="f")
    assert message == "The resource you requested does not exist."
    refused("ResourceNotFoundException", lam.delete_function_url_config, FunctionName="f")


def test_anybody_may_visit_what_the_policy_opens(lam, create, visit, cloud):
    create(code=ECHO)
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    closed = visit(url)
    assert closed.status == 403 and closed.json["Message"].startswith("Forbidden")
    assert closed.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    open_to_all(lam)
    answer = visit(
        url, "/a/b?x=1&y=%20z&x=2", "POST", b'{"k": 1}',
        {"Content-Type": "application/json", "Cookie": "s=1; t=2", "Authorization": "Bearer token", "X-Two": "3"},
    )
    assert answer.status == 201 and answer.headers["x-own"] == "yes"
    assert answer.headers.get_all("set-cookie") == ["c=1", "d=2"]
    event = answer.json
    assert (event["version"], event["routeKey"], event["rawPath"], event["rawQueryString"]) == ("2.0", "$default", "/a/b", "x=1&y=%20z&x=2")
    assert event["queryStringParameters"] == {"x": "1,2", "y": " z"}
    assert event["cookies"] == ["s=1", "t=2"] and event["body"] == '{"k": 1}' and event["isBase64Encoded"] is False
    assert event["headers"]["x-two"] == "3" and event["headers"]["authorization"] == "Bearer token"
    assert event["headers"]["x-forwarded-proto"] == "http" and event["headers"]["x-forwarded-port"] == str(cloud.port)
    context = event["requestContext"]
    assert context["http"]["method"] == "POST" and context["http"]["path"] == "/a/b" and context["accountId"] == "anonymous"
    assert context["apiId"] == url_id(url) == context["domainPrefix"]
    binary = visit(url, "/", "PUT", b"\xff\x00", {"Content-Type": "application/octet-stream"}).json
    assert binary["isBase64Encoded"] is True and base64.b64decode(binary["body"]) == b"\xff\x00"
    assert "body" not in visit(url).json
    assert visit(url, "/raw").body == b"plain"
    assert visit(url, "/object").json == {"a": [1]}
    assert visit(url, "/binary").body == b"\x00\x01\x02"
    failed = visit(url, "/fail")
    assert (failed.status, failed.body) == (502, b"Internal Server Error")
    assert visit(url, host=f"{url_id(url)}.lambda-url.us-east-1.on.aws").status == 201
    assert visit(url, host=f"{url_id(url)}.lambda-url.eu-west-1.on.aws").status == 403
    unknown = visit("http://" + "0" * 32 + ".lambda-url.us-east-1.localhost/")
    assert (unknown.status, unknown.json) == (403, {"Message": None})


def test_the_url_that_is_told_leads_here(lam, create):
    create(code=ECHO)
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    open_to_all(lam)
    answer = Answer(urllib.request.urlopen(url + "deep/er?q=1", timeout=60))
    assert answer.json["rawPath"] == "/deep/er" and answer.json["rawQueryString"] == "q=1"


def test_signed_urls(lam, create, visit, client, cloud, account):
    create(code=ECHO)
    url = lam.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    host = f"{url_id(url)}.lambda-url.us-east-1.localhost:{cloud.port}"

    def signed(key, secret, path="/", body=None):
        request = AWSRequest("POST", f"http://{host}{path}", data=body or b"", headers={"Host": host})
        SigV4Auth(Credentials(key, secret), "lambda", "us-east-1").add_auth(request)
        return visit(url, path, "POST", body or b"", dict(request.headers))

    assert visit(url).status == 403
    answer = signed(account, "test", "/who", b"x")
    assert answer.status == 201, answer.body
    who = answer.json["requestContext"]
    assert who["accountId"] == account and who["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{account}:root"
    assert "authorization" not in answer.json["headers"]
    wrong = signed(account, "wrong")
    assert wrong.status == 403
    iam = client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    assert signed(key["AccessKeyId"], key["SecretAccessKey"]).status == 403
    allow = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": "*",
        "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
    }]}
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(allow))
    assert signed(key["AccessKeyId"], key["SecretAccessKey"]).status == 403
    allow["Statement"].append({
        "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*",
        "Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    })
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(allow))
    assert signed(key["AccessKeyId"], key["SecretAccessKey"]).status == 201


def test_pages_ask_the_url_not_the_function(lam, create, visit):
    create(code=ECHO)
    cors = {"AllowOrigins": ["https://app.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["x-a"], "MaxAge": 60, "ExposeHeaders": ["x-own"]}
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=cors)["FunctionUrl"]
    open_to_all(lam)
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = visit(url, method="OPTIONS", headers=asked)
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-methods"] == "GET,POST" and answer.headers["access-control-max-age"] == "60"
    answer = visit(url, headers={"Origin": "https://app.example"})
    assert answer.status == 201 and answer.headers["access-control-expose-headers"] == "x-own"
    assert "access-control-allow-origin" not in visit(url, headers={"Origin": "https://evil.example"}).headers
    assert "access-control-allow-origin" not in visit(url, headers={"Origin": "http://localhost:3000"}).headers
    refused(
        "InvalidParameterValueException", lam.update_function_url_config, FunctionName="f",
        Cors={"AllowOrigins": ["*"], "AllowCredentials": True},
    )


def test_a_throttled_url(lam, create, visit):
    create(code=ECHO)
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    open_to_all(lam)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    answer = visit(url)
    assert answer.status == 429 and answer.json["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    lam.delete_function(FunctionName="f")
    assert visit(url).status == 403


def test_a_url_asks_for_both_permissions(lam, create, visit, client, account, new_cloud):
    create(code=ECHO)
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    lam.add_permission(
        FunctionName="f", StatementId="one", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE",
    )
    assert visit(url).status == 403
    lam.add_permission(FunctionName="f", StatementId="two", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    assert visit(url).status == 201
    # What is open to visitors of the URL is not open to callers of the API.
    stranger = client("lambda", account=f"{(int(account) + 400_007) % 10**12:012d}")
    arn = lam.get_function(FunctionName="f")["Configuration"]["FunctionArn"]
    refused("AccessDeniedException", stranger.invoke, FunctionName=arn)


def test_urls_as_they_were(new_cloud):
    from test_lambda import TRUST

    cloud = new_cloud("--ephemeral", "--old-function-urls")
    lam = cloud.client("lambda")
    role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    lam.create_function(FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role, Code={"ZipFile": ECHO})
    lam.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    url = lam.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    lam.add_permission(
        FunctionName="f", StatementId="one", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE",
    )
    assert Answer(urllib.request.urlopen(url, timeout=60)).status == 201


def test_the_url_of_an_alias_outlives_it(lam, create, visit):
    create(code=ECHO)
    lam.publish_version(FunctionName="f")
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url = lam.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")["FunctionUrl"]
    open_to_all(lam, Qualifier="live")
    assert visit(url).status == 201
    lam.delete_alias(FunctionName="f", Name="live")
    assert visit(url).status == 403
    assert lam.get_function_url_config(FunctionName="f", Qualifier="live")["FunctionUrl"] == url
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    open_to_all(lam, Qualifier="live")
    assert visit(url).status == 201
