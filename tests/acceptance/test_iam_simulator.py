"""The policy simulator through boto3, as somebody uses it who wants to know why: one result for each action, and in it one
for each resource."""
import json

import pytest
from botocore.exceptions import ClientError


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


@pytest.fixture
def custom(client):
    iam = client("iam")

    def ask(policies, actions, **kw):
        policies = policies if isinstance(policies, list) else [policies]
        return iam.simulate_custom_policy(PolicyInputList=policies, ActionNames=actions, **kw)["EvaluationResults"]

    return ask


def entry(name, *values, kind="string"):
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": kind}


def test_one_result_for_an_action_whatever_the_number_of_resources(custom):
    policy = document(allow("s3:GetObject", "arn:aws:s3:::open/*"), deny("s3:GetObject", "arn:aws:s3:::open/secret"))
    resources = ["arn:aws:s3:::open/a", "arn:aws:s3:::open/secret", "arn:aws:s3:::other/a"]
    (result,) = custom(policy, ["s3:GetObject"], ResourceArns=resources)
    assert result["EvalDecision"] == "explicitDeny"
    each = result["ResourceSpecificResults"]
    assert [(r["EvalResourceName"], r["EvalResourceDecision"]) for r in each] == [
        (resources[0], "allowed"), (resources[1], "explicitDeny"), (resources[2], "implicitDeny")]
    # Only what led to the decision is named.
    assert [len(r["MatchedStatements"]) for r in each] == [1, 1, 0]
    assert result["MatchedStatements"] == each[1]["MatchedStatements"]
    assert result["EvalDecisionDetails"] == {}
    assert all("EvalDecisionDetails" not in r for r in each)
    (whole,) = custom(policy, ["s3:GetObject"])
    assert whole["EvalResourceName"] == "*" and "ResourceSpecificResults" not in whole
    assert "EvalDecisionDetails" not in whole


def test_where_the_statements_stand(custom):
    policy = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sqs:*",
      "Resource": "*"
    },
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
  ]
}"""
    (result,) = custom([document(allow("s3:*")), policy], ["sqs:SendMessage"])
    first, second = result["MatchedStatements"]
    assert {first["SourcePolicyId"], second["SourcePolicyId"]} == {"PolicyInputList.2"}
    assert first["SourcePolicyType"] == "IAM Policy"
    assert (first["StartPosition"]["Line"], first["EndPosition"]["Line"]) == (3, 8)
    assert (second["StartPosition"]["Line"], second["EndPosition"]["Line"]) == (8, 9)


def test_what_the_context_lacks(custom):
    policy = document(allow("ec2:*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
                      deny("ec2:RunInstances", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}))
    (result,) = custom(policy, ["ec2:RunInstances"])
    assert result["EvalDecision"] == "implicitDeny"
    assert sorted(result["MissingContextValues"]) == ["aws:MultiFactorAuthPresent", "aws:RequestedRegion"]
    region = entry("aws:RequestedRegion", "eu-west-1")
    (result,) = custom(policy, ["ec2:RunInstances"], ContextEntries=[region],
                       ResourceArns=["arn:aws:ec2:eu-west-1:111122223333:instance/*"])
    assert result["EvalDecision"] == "allowed"
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:MultiFactorAuthPresent"]
    (result,) = custom(policy, ["ec2:RunInstances"], ContextEntries=[
        region, entry("aws:MultiFactorAuthPresent", "false", kind="boolean")])
    assert result["EvalDecision"] == "explicitDeny" and result["MissingContextValues"] == []


def test_not_action_not_resource_and_variables(custom, account):
    everything_else = document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})
    assert [r["EvalDecision"] for r in custom(everything_else, ["s3:GetObject", "iam:GetUser"])] == [
        "allowed", "implicitDeny"]
    outside = document(allow("s3:*"), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::mine/*"})
    (result,) = custom(outside, ["s3:PutObject"], ResourceArns=["arn:aws:s3:::mine/a", "arn:aws:s3:::yours/a"])
    assert [r["EvalResourceDecision"] for r in result["ResourceSpecificResults"]] == ["allowed", "explicitDeny"]
    home = document(allow("s3:GetObject", "arn:aws:s3:::home/${aws:username}/*"),
                    allow("s3:GetObject", "arn:aws:s3:::team/${aws:PrincipalTag/team, 'none'}/*"))
    ask = dict(ResourceArns=["arn:aws:s3:::home/ann/a", "arn:aws:s3:::home/bob/a", "arn:aws:s3:::team/none/a"])
    (result,) = custom(home, ["s3:GetObject"], ContextEntries=[entry("aws:username", "ann")], **ask)
    assert [r["EvalResourceDecision"] for r in result["ResourceSpecificResults"]] == [
        "allowed", "implicitDeny", "allowed"]


def test_sets_of_values(custom):
    policy = document(allow("ec2:CreateTags", Condition={
        "ForAllValues:StringEquals": {"aws:TagKeys": ["cost", "team"]},
        "StringLike": {"aws:RequestTag/team": "blue-*"}}))
    tagged = lambda *keys: [entry("aws:TagKeys", *keys, kind="stringList"), entry("aws:RequestTag/team", "blue-1")]
    for keys, decision in ((("team",), "allowed"), (("team", "owner"), "implicitDeny")):
        assert custom(policy, ["ec2:CreateTags"], ContextEntries=tagged(*keys))[0]["EvalDecision"] == decision


def test_boundaries_and_organizations(client, custom):
    ask = dict(PolicyInputList=[document(allow("*"))], ActionNames=["s3:GetObject", "sqs:SendMessage"])
    results = client("iam").simulate_custom_policy(
        **ask, PermissionsBoundaryPolicyInputList=[document(allow("s3:*"))])["EvaluationResults"]
    assert [(r["EvalDecision"], r["PermissionsBoundaryDecisionDetail"]) for r in results] == [
        ("allowed", {"AllowedByPermissionsBoundary": True}), ("implicitDeny", {"AllowedByPermissionsBoundary": False})]
    assert all("OrganizationsDecisionDetail" not in r for r in results)
    levels = [{"ServiceControlPolicyInputList": [document(allow("*"))]},
              {"ServiceControlPolicyInputList": [document(allow("*")), document(deny("sqs:*"))]}]
    results = client("iam").simulate_custom_policy(
        **ask, OrderedOrganizationPolicyInputList=levels, ResourceArns=["arn:aws:s3:::b/k"])["EvaluationResults"]
    assert [(r["EvalDecision"], r["OrganizationsDecisionDetail"]["AllowedByOrganizations"]) for r in results] == [
        ("allowed", True), ("explicitDeny", False)]
    # What an organization refuses ends the simulation: no details, and none of its statements.
    assert results[0]["EvalDecisionDetails"] == {} and "EvalDecisionDetails" not in results[1]
    assert results[1]["MatchedStatements"] == []


def test_across_accounts_both_sides_must_allow(client, account):
    iam = client("iam")
    ann = iam.create_user(UserName="ann")["User"]["Arn"]
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document(allow("s3:GetObject")))
    ask = dict(PolicySourceArn=ann, ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=["arn:aws:s3:::theirs/k"])
    theirs = document({"Effect": "Allow", "Principal": {"AWS": ann}, "Action": "s3:*", "Resource": "arn:aws:s3:::theirs/*"})
    get, put = iam.simulate_principal_policy(
        **ask, ResourcePolicy=theirs, ResourceOwner="999988887777")["EvaluationResults"]
    assert (get["EvalDecision"], put["EvalDecision"]) == ("allowed", "implicitDeny")
    assert get["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "allowed"}
    assert put["EvalDecisionDetails"] == {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}
    assert put["ResourceSpecificResults"][0]["EvalDecisionDetails"] == put["EvalDecisionDetails"]
    assert sorted(s["SourcePolicyType"] for s in get["MatchedStatements"]) == ["IAM Policy", "Resource Policy"]
    # In one account one side is enough.
    get, put = iam.simulate_principal_policy(
        **ask, ResourcePolicy=theirs, ResourceOwner=account)["EvaluationResults"]
    assert (get["EvalDecision"], put["EvalDecision"]) == ("allowed", "allowed")
    assert get["EvalDecisionDetails"] == {}


def test_pages_and_bad_questions(client, custom):
    iam = client("iam")
    actions = [f"s3:Action{i}" for i in range(7)]
    pages = list(iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[document(allow("*"))], ActionNames=actions, PaginationConfig={"PageSize": 3}))
    assert [len(page["EvaluationResults"]) for page in pages] == [3, 3, 1]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    for bad in ("s3x", "s3:Get*", ":x1"):
        with pytest.raises(ClientError) as caught:
            custom(document(allow("*")), [bad])
        assert caught.value.response["Error"]["Code"] == "InvalidInput", bad
    with pytest.raises(ClientError) as caught:
        custom("not a policy", ["s3:GetObject"])
    assert caught.value.response["Error"]["Code"] == "InvalidInput"
