"""Parameter Store through boto3: values, versions, labels, hierarchies, filters and refusals."""
import base64
import datetime
import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def ssm(client):
    return client("ssm")


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def put(ssm, name, value="v", kind="String", **kw):
    return ssm.put_parameter(Name=name, Value=value, Type=kind, **kw)


def test_a_parameter_and_its_versions(ssm, account):
    made = put(ssm, "/app/db", "one", Description="d", Tags=[{"Key": "a", "Value": "b"}])
    assert (made["Version"], made["Tier"]) == (1, "Standard")
    got = ssm.get_parameter(Name="/app/db")["Parameter"]
    assert got.pop("LastModifiedDate")
    arn = f"arn:aws:ssm:us-east-1:{account}:parameter/app/db"
    assert got == {"Name": "/app/db", "Type": "String", "Value": "one", "Version": 1, "ARN": arn, "DataType": "text"}
    assert refused(ssm.put_parameter, Name="/app/db", Value="x", Type="String") == (
        "ParameterAlreadyExists",
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
    assert ssm.put_parameter(Name="/app/db", Value="two", Overwrite=True)["Version"] == 2
    for name in ("/app/db", arn, "/app/db:2"):
        assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "two"
    old = ssm.get_parameter(Name="/app/db:1")["Parameter"]
    assert (old["Value"], old["Selector"], old["Name"]) == ("one", ":1", "/app/db")
    assert ssm.get_parameter(Name=f"{arn}:1")["Parameter"]["Value"] == "one"
    assert refused(ssm.get_parameter, Name="/app/db:9") == (
        "ParameterVersionNotFound",
        "Systems Manager could not find version 9 of /app/db. Verify the version and try again.")
    assert ssm.label_parameter_version(Name="/app/db", ParameterVersion=1, Labels=["prod", "1bad"]) ["InvalidLabels"] == [
        "1bad"]
    assert ssm.get_parameter(Name="/app/db:prod")["Parameter"]["Value"] == "one"
    ssm.label_parameter_version(Name="/app/db", Labels=["prod"])
    assert ssm.get_parameter(Name="/app/db:prod")["Parameter"]["Value"] == "two"
    history = ssm.get_parameter_history(Name="/app/db")["Parameters"]
    assert [(h["Version"], h["Value"], h["Labels"]) for h in history] == [(1, "one", []), (2, "two", ["prod"])]
    assert history[0]["LastModifiedUser"] == f"arn:aws:iam::{account}:root"
    unlabelled = ssm.unlabel_parameter_version(Name="/app/db", ParameterVersion=2, Labels=["prod", "none"])
    assert (unlabelled["RemovedLabels"], unlabelled["InvalidLabels"]) == (["prod"], ["none"])
    [described] = ssm.describe_parameters()["Parameters"]
    assert (described["Description"], described["Tier"], described["Version"]) == ("d", "Standard", 2)
    tagged = dict(ResourceType="Parameter", ResourceId="/app/db")
    ssm.add_tags_to_resource(Tags=[{"Key": "c", "Value": "d"}], **tagged)
    ssm.remove_tags_from_resource(TagKeys=["a"], **tagged)
    assert ssm.list_tags_for_resource(**tagged)["TagList"] == [{"Key": "c", "Value": "d"}]
    ssm.delete_parameter(Name="/app/db")
    assert refused(ssm.get_parameter, Name="/app/db") == ("ParameterNotFound", "Parameter /app/db not found.")
    assert refused(ssm.delete_parameter, Name="/app/db")[0] == "ParameterNotFound"
    assert put(ssm, "/app/db")["Version"] == 1
    assert len(ssm.get_parameter_history(Name="/app/db")["Parameters"]) == 1


def test_refusals(ssm):
    assert refused(ssm.put_parameter, Name="x", Value="v") == (
        "ValidationException", "A parameter type is required when you create a parameter.")
    for name in ("ssm_x", "aws_x", "a b", "a/b", "//x"):
        assert refused(ssm.put_parameter, Name=name, Value="v", Type="String")[0] == "ValidationException", name
    assert refused(ssm.put_parameter, Name="/aws/x/y", Value="v", Type="String") == (
        "AccessDeniedException", "No access to reserved parameter name: /aws/x/y.")
    assert refused(ssm.put_parameter, Name="/a" * 16, Value="v", Type="String")[0] == (
        "HierarchyLevelLimitExceededException")
    assert refused(ssm.put_parameter, Name="x", Value="v" * 4097, Type="String")[1].startswith(
        "Standard tier parameters support a maximum parameter value of 4096 characters.")
    assert refused(ssm.put_parameter, Name="x", Value="{{ssm:y}}", Type="String")[0] == "ValidationException"
    assert refused(ssm.put_parameter, Name="x", Value="v", Type="String", AllowedPattern=r"^\d+$") == (
        "ParameterPatternMismatchException",
        r"Parameter value, cannot be validated against allowedPattern: ^\d+$")
    assert refused(ssm.put_parameter, Name="x", Value="v", Type="String", AllowedPattern="(")[0] == (
        "InvalidAllowedPatternException")
    assert refused(ssm.put_parameter, Name="x", Value="v", Type="String", DataType="odd")[1].startswith(
        "The following data type is not supported: odd")
    assert refused(ssm.put_parameter, Name="x", Value="v", Type="String", Overwrite=True,
                   Tags=[{"Key": "a", "Value": "b"}])[0] == "ValidationException"
    assert refused(ssm.put_parameter, Name="x", Value="v", Type="SecureString", KeyId="alias/nobody")[0] == "InvalidKeyId"


def test_tiers_and_policies(ssm):
    assert put(ssm, "big", "v" * 5000, Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert put(ssm, "small", Tier="Intelligent-Tiering")["Tier"] == "Standard"
    assert refused(ssm.put_parameter, Name="big", Value="v", Overwrite=True, Tier="Standard")[1].startswith(
        "This parameter uses the advanced-parameter tier.")
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = [{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": until}}]
    assert refused(ssm.put_parameter, Name="p", Value="v", Type="String", Policies=json.dumps(policy))[0] == (
        "ValidationException")
    put(ssm, "p", Policies=json.dumps(policy), Tier="Advanced")
    [described] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["p"]}])["Parameters"]
    [shown] = described["Policies"]
    assert shown["PolicyType"] == "Expiration" and shown["PolicyStatus"] == "Pending"
    assert json.loads(shown["PolicyText"]) == policy[0]


def test_secure_strings(cloud, client, ssm, account):
    put(ssm, "secret", "hidden", "SecureString")
    put(ssm, "large", "h" * 6000, "SecureString", Tier="Advanced")
    sealed = ssm.get_parameter(Name="secret")["Parameter"]["Value"]
    assert sealed != "hidden" and base64.b64decode(sealed)
    assert ssm.get_parameter(Name="secret", WithDecryption=True)["Parameter"]["Value"] == "hidden"
    assert ssm.get_parameter(Name="large", WithDecryption=True)["Parameter"]["Value"] == "h" * 6000
    [described] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["secret"]}])["Parameters"]
    assert described["KeyId"] == "alias/aws/ssm"
    opened = client("kms").list_aliases()["Aliases"]
    assert any(a["AliasName"] == "alias/aws/ssm" and "TargetKeyId" in a for a in opened)
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    put(ssm, "own", "mine", "SecureString", KeyId=key)
    iam = client("iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ssm:*", "Resource": f"arn:aws:ssm:*:{account}:parameter/*"}]}))
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    theirs = cloud.client("ssm", account=account, key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    assert theirs.get_parameter(Name="secret", WithDecryption=True)["Parameter"]["Value"] == "hidden"
    assert refused(theirs.get_parameter, Name="own", WithDecryption=True)[0] == "AccessDeniedException"
    assert theirs.get_parameter(Name="own")["Parameter"]["Value"] != "mine"
    assert refused(theirs.describe_parameters)[0] == "AccessDeniedException"


def test_paths_and_lists(ssm):
    for name in ("/a/1", "/a/2", "/a/b/3", "/ab/4", "root"):
        put(ssm, name, name)

    def names(path, **kw):
        return [p["Name"] for p in ssm.get_parameters_by_path(Path=path, **kw)["Parameters"]]

    assert names("/a") == names("/a/") == ["/a/1", "/a/2"]
    assert names("/a", Recursive=True) == ["/a/1", "/a/2", "/a/b/3"]
    assert names("/") == ["root"]
    first = ssm.get_parameters_by_path(Path="/a", Recursive=True, MaxResults=2)
    assert len(first["Parameters"]) == 2
    assert names("/a", Recursive=True, MaxResults=2, NextToken=first["NextToken"]) == ["/a/b/3"]
    assert refused(ssm.get_parameters_by_path, Path="a")[1].startswith("The parameter doesn't meet the parameter name")
    ssm.label_parameter_version(Name="/a/1", Labels=["live"])
    assert names("/a", ParameterFilters=[{"Key": "Label", "Values": ["live"]}]) == ["/a/1"]
    assert refused(ssm.get_parameters_by_path, Path="/a", ParameterFilters=[{"Key": "Name", "Values": ["x"]}]) == (
        "InvalidFilterKey", "The following filter key is not valid: Name. Valid filter keys include: [Type, KeyId].")
    got = ssm.get_parameters(Names=["/a/1", "/a/2:1", "nobody", "/a/1:9"])
    assert [p["Name"] for p in got["Parameters"]] == ["/a/1", "/a/2"]
    assert sorted(got["InvalidParameters"]) == ["/a/1:9", "nobody"]
    gone = ssm.delete_parameters(Names=["root", "nobody"])
    assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (["root"], ["nobody"])


def test_filters(ssm):
    put(ssm, "/x/one", Tags=[{"Key": "env", "Value": "dev"}])
    put(ssm, "/x/y/two", "a,b", "StringList")
    put(ssm, "three", "s", "SecureString")

    def names(*filters):
        filters = [dict(zip(("Key", "Option", "Values"), f)) for f in filters]
        return [p["Name"] for p in ssm.describe_parameters(ParameterFilters=filters)["Parameters"]]

    assert names(("Path", "OneLevel", ["/x"])) == ["/x/one"]
    assert names(("Path", "Recursive", ["/x"])) == ["/x/one", "/x/y/two"]
    assert names(("Type", "Equals", ["StringList", "SecureString"])) == ["/x/y/two", "three"]
    assert names(("KeyId", "Equals", ["alias/aws/ssm"])) == ["three"]
    assert names(("Name", "BeginsWith", ["/x/"])) == ["/x/one", "/x/y/two"]
    assert names(("Name", "Contains", ["hre"])) == ["three"]
    assert names(("tag:env", "Equals", ["dev"])) == ["/x/one"]
    old = ssm.describe_parameters(Filters=[{"Key": "Name", "Values": ["/x"]}])["Parameters"]
    assert [p["Name"] for p in old] == ["/x/one", "/x/y/two"]
    assert refused(ssm.describe_parameters, ParameterFilters=[{"Key": "Path", "Option": "Equals", "Values": ["/x"]}]) == (
        "InvalidFilterOption",
        "The following filter option is not valid: Equals. Valid options include: [Recursive, OneLevel].")
    twice = [{"Key": "Name", "Values": ["a"]}] * 2
    assert refused(ssm.describe_parameters, ParameterFilters=twice)[0] == "InvalidFilterKey"


def test_public_parameters(ssm):
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = ssm.get_parameter(Name=name)["Parameter"]
    assert image["Value"].startswith("ami-") and len(image["Value"]) == 21
    assert image["ARN"] == f"arn:aws:ssm:us-east-1::parameter{name}"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == image["Value"]
    found = ssm.get_parameters_by_path(Path="/aws/service/ami-amazon-linux-latest")["Parameters"]
    assert len(found) == 10
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/aws/service/global-infrastructure/regions")
    regions = [p["Value"] for page in pages for p in page["Parameters"]]
    assert "us-east-1" in regions and "eu-central-1" in regions
    long_name = "/aws/service/global-infrastructure/regions/eu-central-1/longName"
    assert ssm.get_parameter(Name=long_name)["Parameter"]["Value"] == "Europe (Frankfurt)"
    assert ssm.get_parameter(Name="/aws/service/global-infrastructure/services/s3")["Parameter"]["Value"] == "s3"
    assert refused(ssm.get_parameter, Name="/aws/service/nobody")[0] == "ParameterNotFound"


def test_a_slash_before_a_flat_name_is_none(ssm):
    for made, asked in (("/with", "with"), ("without", "/without")):
        put(ssm, made)
        assert ssm.get_parameter(Name=asked)["Parameter"]["Name"] == made
        assert refused(ssm.put_parameter, Name=asked, Value="v", Type="String")[0] == "ParameterAlreadyExists"
        ssm.delete_parameter(Name=asked)
        assert refused(ssm.get_parameter, Name=made) == ("ParameterNotFound", f"Parameter {made} not found.")


def test_secrets_by_reference(client, ssm):
    secrets = client("secretsmanager")
    made = secrets.create_secret(Name="referenced", SecretString="one")
    secrets.put_secret_value(SecretId="referenced", SecretString="two")
    name = "/aws/reference/secretsmanager/referenced"
    got = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (got["Name"], got["Value"], got["Version"], got["ARN"]) == ("referenced", "two", 0, made["ARN"])
    assert json.loads(got["SourceResult"])["ARN"] == made["ARN"]
    for selector in ("AWSPREVIOUS", made["VersionId"]):
        assert ssm.get_parameter(Name=f"{name}:{selector}", WithDecryption=True)["Parameter"]["Value"] == "one"
    assert refused(ssm.get_parameter, Name=name) == (
        "ValidationException", "WithDecryption flag must be True for retrieving a Secret Manager secret.")
    assert refused(ssm.get_parameter, Name=f"{name}x", WithDecryption=True)[0] == "ParameterNotFound"


def test_public_images_that_templates_resolve(ssm):
    root = "/aws/service"
    names = [f"{root}/eks/optimized-ami/1.31/amazon-linux-2023/x86_64/standard/recommended/image_id",
             f"{root}/bottlerocket/aws-k8s-1.31/arm64/latest/image_id",
             f"{root}/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"]
    found = ssm.get_parameters(Names=names)
    assert found["InvalidParameters"] == [] and all(p["Value"].startswith("ami-") for p in found["Parameters"])
    recommended = ssm.get_parameter(Name=f"{root}/ecs/optimized-ami/amazon-linux-2023/recommended")["Parameter"]
    assert json.loads(recommended["Value"])["image_id"] == ssm.get_parameter(Name=names[2])["Parameter"]["Value"]
    here = ssm.get_parameters_by_path(Path=f"{root}/global-infrastructure/current-region")["Parameters"]
    assert {p["Name"].rsplit("/", 1)[1]: p["Value"] for p in here}["longName"] == "US East (N. Virginia)"


def test_sharing_with_another_account(cloud, client, ssm, account):
    other = f"{(int(account) + 400_003) % 10**12:012d}"
    theirs = cloud.client("ssm", account=other)
    put(ssm, "/shared/one", "v", Tier="Advanced")
    arn = f"arn:aws:ssm:us-east-1:{account}:parameter/shared/one"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": other}, "Action": ["ssm:GetParameter", "ssm:GetParameters"], "Resource": arn}]})
    assert refused(theirs.get_parameter, Name=arn)[0] == "AccessDeniedException"
    made = ssm.put_resource_policy(ResourceArn=arn, Policy=policy)
    assert theirs.get_parameter(Name=arn)["Parameter"]["Value"] == "v"
    assert theirs.get_parameters(Names=[arn])["Parameters"][0]["ARN"] == arn
    assert refused(theirs.get_parameter_history, Name=arn)[0] == "AccessDeniedException"
    [shown] = ssm.get_resource_policies(ResourceArn=arn)["Policies"]
    assert (shown["PolicyId"], shown["PolicyHash"], shown["Policy"]) == (made["PolicyId"], made["PolicyHash"], policy)
    named = dict(ResourceArn=arn, PolicyId=made["PolicyId"])
    assert refused(ssm.delete_resource_policy, **named, PolicyHash="0")[0] == "ResourcePolicyConflictException"
    put(ssm, "/shared/one", "w", Overwrite=True)
    assert theirs.get_parameter(Name=arn)["Parameter"]["Value"] == "w"
    ssm.delete_resource_policy(**named, PolicyHash=made["PolicyHash"])
    assert refused(theirs.get_parameter, Name=arn)[0] == "AccessDeniedException"
    assert refused(ssm.delete_resource_policy, **named, PolicyHash=made["PolicyHash"])[0] == "ResourcePolicyNotFoundException"
    assert refused(ssm.put_resource_policy, ResourceArn=arn, Policy="{")[0] == "MalformedResourcePolicyDocumentException"
    put(ssm, "plain")
    assert refused(ssm.put_resource_policy, ResourceArn=f"arn:aws:ssm:us-east-1:{account}:parameter/plain", Policy=policy)[0] == (
        "ResourcePolicyInvalidParameterException")
    assert refused(ssm.get_resource_policies, ResourceArn=arn + "x")[0] == "ResourceNotFoundException"


def test_service_settings(ssm, account):
    setting = "/ssm/parameter-store/default-parameter-tier"
    shown = ssm.get_service_setting(SettingId=setting)["ServiceSetting"]
    assert (shown["SettingValue"], shown["Status"]) == ("Standard", "Default")
    assert shown["ARN"] == f"arn:aws:ssm:us-east-1:{account}:servicesetting{setting}"
    ssm.update_service_setting(SettingId=shown["ARN"], SettingValue="Intelligent-Tiering")
    shown = ssm.get_service_setting(SettingId=setting)["ServiceSetting"]
    assert (shown["SettingValue"], shown["Status"]) == ("Intelligent-Tiering", "Customized")
    assert put(ssm, "big", "v" * 5000)["Tier"] == "Advanced" and put(ssm, "small")["Tier"] == "Standard"
    assert ssm.reset_service_setting(SettingId=setting)["ServiceSetting"]["SettingValue"] == "Standard"
    assert refused(ssm.put_parameter, Name="other", Value="v" * 5000, Type="String")[0] == "ValidationException"
    assert refused(ssm.get_service_setting, SettingId="/ssm/nobody")[0] == "ServiceSettingNotFound"


def test_names_that_no_parameter_can_have(ssm):
    rules = ("ValidationException", "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it "
             "can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and "
             "the following 3 symbols .-_")
    syntax = ("ValidationException",
              "Invalid parameter name. Please use correct syntax for referencing a version/label <name>:<version/label>")
    for name, expected in (("a b", rules), ("a$", rules), ("a:1:2", syntax), ("C:/Program Files/a:1", syntax), ("a:", syntax)):
        assert refused(ssm.get_parameter, Name=name) == expected, name
        assert refused(ssm.get_parameters, Names=["other", name]) == expected, name


def test_words_for_what_the_model_forbids(ssm):
    put(ssm, "labelled")
    assert refused(ssm.label_parameter_version, Name="labelled", Labels=["a" * 101]) == (
        "ValidationException",
        f"1 validation error detected: Value '[{'a' * 101}]' at 'labels' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 100, Member must have length greater than or equal to 1]")
    assert refused(ssm.put_parameter, Name="odd", Value="v", Type="Odd")[1].endswith("[SecureString, StringList, String]")


def test_policies_are_taken_away_by_an_empty_one(ssm):
    policy = json.dumps([{"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": "20", "Unit": "Days"}}])
    put(ssm, "watched", Tier="Advanced", Policies=policy)

    def policies():
        return ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["watched"]}])["Parameters"][0]["Policies"]

    assert [p["PolicyType"] for p in policies()] == ["NoChangeNotification"]
    put(ssm, "watched", "2", Overwrite=True)
    assert len(policies()) == 1
    put(ssm, "watched", "3", Overwrite=True, Policies="[{}]")
    assert policies() == []


def test_the_older_filters(ssm):
    put(ssm, "one")
    put(ssm, "one-list", "a,b", "StringList")

    def names(key, value):
        return [p["Name"] for p in ssm.describe_parameters(Filters=[{"Key": key, "Values": [value]}])["Parameters"]]

    assert names("Name", "on") == ["one", "one-list"] and names("Type", "String") == ["one"]


def test_patterns_may_look_ahead(ssm):
    pattern = "^(?=.*[A-Z])(?=.*[0-9]).{4,}$"
    put(ssm, "strong", "abC1", AllowedPattern=pattern)
    assert refused(ssm.put_parameter, Name="strong", Value="abc1", Overwrite=True) == (
        "ParameterPatternMismatchException", f"Parameter value, cannot be validated against allowedPattern: {pattern}")
    assert refused(ssm.put_parameter, Name="bad", Value="x", Type="String", AllowedPattern="[")[0] == (
        "InvalidAllowedPatternException")


def test_spaces_around_names_are_taken_away(ssm):
    put(ssm, "spaced", AllowedPattern="v.*")
    assert ssm.get_parameter(Name=" spaced ")["Parameter"]["Name"] == "spaced"
    assert ssm.get_parameter_history(Name=" spaced")["Parameters"][0]["AllowedPattern"] == "v.*"
    for call, kw in ((ssm.get_parameter_history, {}), (ssm.label_parameter_version, dict(Labels=["l"])),
                     (ssm.unlabel_parameter_version, dict(Labels=["l"], ParameterVersion=1))):
        assert refused(call, Name="a b", **kw)[0] == "ValidationException"
    # An empty pattern takes the older one away.
    put(ssm, "spaced", "other", Overwrite=True, AllowedPattern="")
    [shown] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["spaced"]}])["Parameters"]
    assert "AllowedPattern" not in shown
