"""Condition keys that the identity services themselves have, each deciding a live call."""
import json

import pytest
from botocore.exceptions import ClientError

from test_organizations import create_account, organization  # noqa: F401 (a fixture)


@pytest.fixture
def ann(client, cloud, account):
    """ann(action, **condition): clients of a user who may do this under this condition only."""
    iam = client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]

    def make(actions, **condition):
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [statement]}))
        return lambda service: cloud.client(
            service, account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    return make


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    assert caught.value.response["Error"]["Code"].startswith("AccessDenied"), caught.value
    return True


def test_keys_of_iam(client, ann):
    iam = client("iam")
    iam.create_user(UserName="bob")
    actions = ["iam:CreateServiceSpecificCredential", "iam:DeleteServiceSpecificCredential"]
    mine = ann(actions, StringEquals={"iam:ServiceSpecificCredentialServiceName": "codecommit.amazonaws.com"})("iam")
    made = mine.create_service_specific_credential(UserName="bob", ServiceName="codecommit.amazonaws.com")
    assert refused(mine.create_service_specific_credential, UserName="bob", ServiceName="cassandra.amazonaws.com")
    other = iam.create_service_specific_credential(UserName="bob", ServiceName="cassandra.amazonaws.com")
    id = lambda made: made["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]
    assert refused(mine.delete_service_specific_credential, UserName="bob", ServiceSpecificCredentialId=id(other))
    mine.delete_service_specific_credential(UserName="bob", ServiceSpecificCredentialId=id(made))
    mine = ann(actions, NumericLessThanEquals={"iam:ServiceSpecificCredentialAgeDays": "30"})("iam")
    asked = dict(UserName="bob", ServiceName="bedrock.amazonaws.com")
    mine.create_service_specific_credential(**asked, CredentialAgeDays=30)
    assert refused(mine.create_service_specific_credential, **asked, CredentialAgeDays=31)
    assert refused(mine.create_service_specific_credential, **asked)


def test_keys_of_accounts(client, ann):
    mine = ann(["account:*"], StringEquals={"account:TargetRegion": "af-south-1"})("account")
    mine.enable_region(RegionName="af-south-1")
    assert refused(mine.enable_region, RegionName="ap-east-1")
    mine = ann(["account:*"], StringEquals={"account:AlternateContactTypes": ["BILLING", "SECURITY"]})("account")
    contact = dict(Name="Ann", Title="CFO", EmailAddress="a@example.com", PhoneNumber="+123")
    mine.put_alternate_contact(AlternateContactType="BILLING", **contact)
    assert refused(mine.put_alternate_contact, AlternateContactType="OPERATIONS", **contact)


def test_tags_in_an_organization(client, ann, organization):
    org, _, root = organization
    member = create_account(org, "worker")
    mine = ann(["organizations:*"], StringEquals={"aws:RequestTag/team": "blue"})("organizations")
    tag = lambda value: [{"Key": "team", "Value": value}]
    unit = mine.create_organizational_unit(ParentId=root, Name="a", Tags=tag("blue"))["OrganizationalUnit"]["Id"]
    assert refused(mine.create_organizational_unit, ParentId=root, Name="b", Tags=tag("red"))
    assert refused(mine.create_organizational_unit, ParentId=root, Name="b")
    mine.tag_resource(ResourceId=member, Tags=tag("blue"))
    mine = ann(["organizations:*"], StringEquals={"aws:ResourceTag/team": "blue"})("organizations")
    assert mine.describe_account(AccountId=member)["Account"]["Id"] == member
    mine.update_organizational_unit(OrganizationalUnitId=unit, Name="c")
    assert refused(mine.create_organizational_unit, ParentId=root, Name="d")
    mine = ann(["organizations:*"], **{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}})("organizations")
    mine.untag_resource(ResourceId=member, TagKeys=["team"])
    assert refused(mine.untag_resource, ResourceId=member, TagKeys=["team", "cost"])


def test_tags_on_new_things_need_the_permission_to_tag(client, ann):
    tags, kms_tags = [{"Key": "a", "Value": "b"}], [{"TagKey": "a", "TagValue": "b"}]
    mine = ann(["kms:CreateKey", "secretsmanager:CreateSecret", "ssm:PutParameter"])
    kms, secrets, ssm = mine("kms"), mine("secretsmanager"), mine("ssm")
    kms.create_key()
    assert refused(kms.create_key, Tags=kms_tags)
    secrets.create_secret(Name="plain")
    assert refused(secrets.create_secret, Name="tagged", Tags=tags)
    assert refused(secrets.create_secret, Name="wide", AddReplicaRegions=[{"Region": "eu-west-1"}])
    ssm.put_parameter(Name="plain", Value="v", Type="String")
    assert refused(ssm.put_parameter, Name="tagged", Value="v", Type="String", Tags=tags)
    ann(["kms:CreateKey", "kms:TagResource", "secretsmanager:CreateSecret", "secretsmanager:TagResource",
         "secretsmanager:ReplicateSecretToRegions", "ssm:PutParameter", "ssm:AddTagsToResource"])
    kms.create_key(Tags=kms_tags)
    secrets.create_secret(Name="tagged", Tags=tags, AddReplicaRegions=[{"Region": "eu-west-1"}])
    ssm.put_parameter(Name="tagged", Value="v", Type="String", Tags=tags)


def test_tags_on_roles_tables_groups_and_buckets_need_it_too(client, ann, account):
    tags = [{"Key": "a", "Value": "b"}]
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]})
    table = dict(KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                 AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}])

    def calls(mine):
        return (
            lambda **kw: mine("iam").create_role(RoleName=f"r{len(kw)}", AssumeRolePolicyDocument=trust, **kw),
            lambda **kw: mine("dynamodb").create_table(TableName=f"tab{len(kw)}", **table, **kw),
            lambda **kw: mine("logs").create_log_group(
                logGroupName=f"g{len(kw)}", **({"tags": {"a": "b"}} if kw else {})),
            lambda **kw: mine("s3").create_bucket(
                Bucket=f"b{account}-{len(kw)}", **({"CreateBucketConfiguration": kw} if kw else {})),
        )

    make = ["iam:CreateRole", "dynamodb:CreateTable", "logs:CreateLogGroup", "s3:CreateBucket"]
    for call in calls(ann(make)):
        call()
        assert refused(call, Tags=tags)
    for call in calls(ann(make + ["iam:TagRole", "dynamodb:TagResource", "logs:TagResource", "s3:TagResource"])):
        call(Tags=tags)


def test_keys_of_kms(client, ann, account):
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    mine = ann(["kms:GetKeyPolicy"], StringEquals={"kms:PolicyName": "default"})("kms")
    mine.get_key_policy(KeyId=key)
    mine.get_key_policy(KeyId=key, PolicyName="default")
    assert refused(mine.get_key_policy, KeyId=key, PolicyName="other")
    # Who may be retired for is the resource.
    client("iam").put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "kms:ListRetirableGrants", "Resource": f"arn:aws:iam::{account}:user/ann"}]}))
    mine.list_retirable_grants(RetiringPrincipal=f"arn:aws:iam::{account}:user/ann")
    assert refused(mine.list_retirable_grants, RetiringPrincipal=f"arn:aws:iam::{account}:root")
