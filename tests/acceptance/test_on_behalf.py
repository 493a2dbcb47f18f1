"""Services that call others for their callers: the caller's own policies decide, and can tell who is in between."""
import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, **condition):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return {**statement, "Condition": condition} if condition else statement


@pytest.fixture
def ann(client, cloud, account):
    """ann(statements): a user with these statements; gives her clients."""
    iam = client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]

    def make(*statements):
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document(*statements))
        return lambda service: cloud.client(
            service, account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    return make


def uses(client, key, unique):
    """What needs a key, by the service that uses it for the caller."""
    bucket = unique("b")
    client("s3").create_bucket(Bucket=bucket)
    trust = document({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = client("iam").create_role(RoleName=unique("r"), AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as files:
        files.writestr("f.py", "def handler(event, context): return 1")
    return {
        "lambda.amazonaws.com": lambda mine: mine("lambda").create_function(
            FunctionName=unique("f"), Runtime="python3.12", Handler="f.handler", Role=role, KMSKeyArn=key,
            Code={"ZipFile": package.getvalue()}, Environment={"Variables": {"NAME": "ann"}}),
        "s3.amazonaws.com": lambda mine: mine("s3").put_object(
            Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key),
        "secretsmanager.amazonaws.com": lambda mine: mine("secretsmanager").create_secret(
            Name=unique("s"), SecretString="x", KmsKeyId=key),
        "ssm.amazonaws.com": lambda mine: mine("ssm").put_parameter(
            Name=unique("p"), Value="x", Type="SecureString", KeyId=key),
    }


def test_a_key_only_through_services(client, ann, unique):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    rest = allow(["s3:*", "secretsmanager:*", "ssm:*", "lambda:*", "iam:PassRole"])
    crypto = ["kms:GenerateDataKey*", "kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:CreateGrant"]
    for service, use in uses(client, key, unique).items():
        name = service.removesuffix(".amazonaws.com")
        via = dict(StringEquals={"kms:ViaService": f"{name}.us-east-1.amazonaws.com"})
        for condition in (dict(Bool={"aws:ViaAWSService": "true"}),
                          {"ForAnyValue:StringEquals": {"aws:CalledVia": service}},
                          dict(StringEquals={"aws:CalledViaFirst": service, "aws:CalledViaLast": service}), via):
            mine = ann(rest, allow(crypto, **condition))
            use(mine)
            with pytest.raises(ClientError) as caught:
                mine("kms").encrypt(KeyId=key, Plaintext=b"x")
            assert caught.value.response["Error"]["Code"] == "AccessDeniedException", (service, condition)
        for condition in (dict(Bool={"aws:ViaAWSService": "false"}),
                          dict(StringEquals={"aws:CalledViaLast": "athena.amazonaws.com"}),
                          {"Null": {"aws:CalledVia": "true"}},
                          # There is no VPC that anybody could come from: the keys are never there.
                          {"Null": {"aws:SourceVpce": "false"}}, {"Null": {"aws:SourceVpc": "false"}}):
            with pytest.raises(ClientError):
                use(ann(rest, allow(crypto, **condition)))
    mine = ann(allow(crypto, Bool={"aws:ViaAWSService": "false"}, Null={"aws:CalledVia": "true", "aws:SourceVpc": "true"}))
    mine("kms").encrypt(KeyId=key, Plaintext=b"x")
