"""Attribute-based access: tags of requests and resources, in the services whose resources have them."""
import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError


def user(client, cloud, account, *statements):
    """`make("dynamodb")`: clients of a new user with these statements."""
    iam = client("iam")
    iam.create_user(UserName="ann")
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    return lambda service: cloud.client(service, account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])


def refused(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


BLUE = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
BRINGS_BLUE = {"StringEquals": {"aws:RequestTag/team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}


def test_tables_by_their_tags(client, cloud, account):
    root = client("dynamodb")
    table = {
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    root.create_table(TableName="mine", Tags=[{"Key": "team", "Value": "blue"}], **table)
    root.create_table(TableName="theirs", Tags=[{"Key": "team", "Value": "red"}], **table)
    dynamodb = user(
        client, cloud, account,
        {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": "*", "Condition": BLUE},
        {"Effect": "Allow", "Action": ["dynamodb:CreateTable", "dynamodb:TagResource"], "Resource": "*", "Condition": BRINGS_BLUE},
        {"Effect": "Allow", "Action": "dynamodb:UntagResource", "Resource": "*",
         "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}},
    )("dynamodb")
    dynamodb.put_item(TableName="mine", Item={"p": {"S": "a"}})
    assert dynamodb.get_item(TableName="mine", Key={"p": {"S": "a"}})["Item"] == {"p": {"S": "a"}}
    assert refused(dynamodb.put_item, TableName="theirs", Item={"p": {"S": "a"}}) == "AccessDeniedException"
    assert refused(dynamodb.create_table, TableName="new", **table) == "AccessDeniedException"
    red = [{"Key": "team", "Value": "red"}]
    assert refused(dynamodb.create_table, TableName="new", Tags=red, **table) == "AccessDeniedException"
    both = [{"Key": "team", "Value": "blue"}, {"Key": "cost", "Value": "1"}]
    assert refused(dynamodb.create_table, TableName="new", Tags=both, **table) == "AccessDeniedException"
    made = dynamodb.create_table(TableName="new", Tags=[{"Key": "team", "Value": "blue"}], **table)
    arn = made["TableDescription"]["TableArn"]
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["cost"])
    assert refused(dynamodb.untag_resource, ResourceArn=arn, TagKeys=["team"]) == "AccessDeniedException"


def test_functions_by_their_tags_and_layers(client, cloud, account):
    root, iam = client("lambda"), client("iam")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): return event")
    function = {"Runtime": "python3.12", "Role": role, "Handler": "f.handler", "Code": {"ZipFile": packed.getvalue()}}
    root.create_function(FunctionName="mine", Tags={"team": "blue"}, **function)
    root.create_function(FunctionName="theirs", Tags={"team": "red"}, **function)
    functions = user(
        client, cloud, account,
        {"Effect": "Allow", "Action": ["lambda:GetFunction", "lambda:TagResource"], "Resource": "*", "Condition": BLUE},
        {"Effect": "Allow", "Action": ["lambda:CreateFunction", "lambda:TagResource"], "Resource": "*", "Condition": BRINGS_BLUE},
        {"Effect": "Deny", "Action": "lambda:*", "Resource": "*",
         "Condition": {"ForAnyValue:StringLike": {"lambda:Layer": "*:layer:bad:*"}}},
        {"Effect": "Allow", "Action": ["lambda:CreateFunctionUrlConfig", "lambda:DeleteFunctionUrlConfig"],
         "Resource": "*", "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}},
        {"Effect": "Allow", "Action": "lambda:AddPermission", "Resource": "*",
         "Condition": {"StringEquals": {"lambda:Principal": "s3.amazonaws.com"}}},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"},
    )("lambda")
    arn = functions.get_function(FunctionName="mine")["Configuration"]["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"cost": "1"})
    assert refused(functions.get_function, FunctionName="theirs") == "AccessDeniedException"
    assert refused(functions.create_function, FunctionName="new", **function) == "AccessDeniedException"
    functions.create_function(FunctionName="new", Tags={"team": "blue"}, **function)
    layer = f"arn:aws:lambda:us-east-1:{account}:layer:bad:1"
    assert refused(
        functions.create_function, FunctionName="newer", Tags={"team": "blue"}, Layers=[layer], **function
    ) == "AccessDeniedException"
    assert refused(
        functions.create_function_url_config, FunctionName="mine", AuthType="NONE"
    ) == "AccessDeniedException"
    functions.create_function_url_config(FunctionName="mine", AuthType="AWS_IAM")
    functions.delete_function_url_config(FunctionName="mine")
    permission = {"FunctionName": "mine", "Action": "lambda:InvokeFunction", "StatementId": "s"}
    assert refused(functions.add_permission, Principal="sns.amazonaws.com", **permission) == "AccessDeniedException"
    functions.add_permission(Principal="s3.amazonaws.com", **permission)


def test_log_groups_by_their_tags(client, cloud, account):
    root = client("logs")
    root.create_log_group(logGroupName="mine", tags={"team": "blue"})
    root.create_log_group(logGroupName="theirs", tags={"team": "red"})
    logs = user(
        client, cloud, account,
        {"Effect": "Allow", "Action": "logs:CreateLogStream", "Resource": "*", "Condition": BLUE},
        {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:TagLogGroup"], "Resource": "*", "Condition": BRINGS_BLUE},
    )("logs")
    logs.create_log_stream(logGroupName="mine", logStreamName="s")
    assert refused(logs.create_log_stream, logGroupName="theirs", logStreamName="s") == "AccessDeniedException"
    assert refused(logs.create_log_group, logGroupName="new") == "AccessDeniedException"
    logs.create_log_group(logGroupName="new", tags={"team": "blue"})
