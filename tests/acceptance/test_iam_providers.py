"""Identity providers and last-accessed reports, through boto3."""
import json

import pytest
from botocore.exceptions import ClientError


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_an_openid_connect_provider(client, account):
    iam = client("iam")
    thumbprint = "a" * 40
    made = iam.create_open_id_connect_provider(
        Url="https://token.example.test/app", ClientIDList=["one", "two"], ThumbprintList=[thumbprint],
        Tags=[{"Key": "k", "Value": "v"}])
    arn = made["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{account}:oidc-provider/token.example.test/app"
    same = {"OpenIDConnectProviderArn": arn}
    got = iam.get_open_id_connect_provider(**same)
    assert (got["Url"], got["ClientIDList"], got["ThumbprintList"]) == (
        "token.example.test/app", ["one", "two"], [thumbprint])
    assert got["Tags"] == [{"Key": "k", "Value": "v"}]
    assert refused(iam.create_open_id_connect_provider, Url="https://token.example.test/app") == (
        "EntityAlreadyExists", "Provider with url https://token.example.test/app already exists.")
    iam.add_client_id_to_open_id_connect_provider(ClientID="three", **same)
    iam.add_client_id_to_open_id_connect_provider(ClientID="three", **same)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="one", **same)
    iam.update_open_id_connect_provider_thumbprint(ThumbprintList=["b" * 40], **same)
    got = iam.get_open_id_connect_provider(**same)
    assert (got["ClientIDList"], got["ThumbprintList"]) == (["two", "three"], ["b" * 40])
    assert [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]] == [arn]
    iam.tag_open_id_connect_provider(Tags=[{"Key": "k", "Value": "w"}, {"Key": "l", "Value": ""}], **same)
    iam.untag_open_id_connect_provider(TagKeys=["l"], **same)
    assert iam.list_open_id_connect_provider_tags(**same)["Tags"] == [{"Key": "k", "Value": "w"}]
    iam.delete_open_id_connect_provider(**same)
    iam.delete_open_id_connect_provider(**same)
    assert refused(iam.get_open_id_connect_provider, **same) == (
        "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    for url in ("abc", "http://example.test", "https:///x"):
        assert refused(iam.create_open_id_connect_provider, Url=url) == (
            "ValidationError", "Invalid Open ID Connect Provider URL")
    assert refused(iam.create_open_id_connect_provider, Url="https://e.test", ThumbprintList=["a" * 40] * 6) == (
        "InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
    assert refused(iam.create_open_id_connect_provider, Url="https://e.test",
                   ClientIDList=[str(i) for i in range(101)]) == (
        "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100")


def test_last_accessed_reports_and_granting_policies(client, cloud, account):
    iam = client("iam")
    iam.create_user(UserName="ann")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:Get*", "sqs:SendMessage"], "Resource": "*"}]}
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = cloud.client("iam", account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    ann.get_user()
    arn = f"arn:aws:iam::{account}:user/ann"
    job = iam.generate_service_last_accessed_details(Arn=arn, Granularity="ACTION_LEVEL")["JobId"]
    got = iam.get_service_last_accessed_details(JobId=job)
    assert (got["JobStatus"], got["JobType"], got["IsTruncated"]) == ("COMPLETED", "ACTION_LEVEL", False)
    services = {s["ServiceNamespace"]: s for s in got["ServicesLastAccessed"]}
    assert sorted(services) == ["iam", "sqs"]
    assert services["iam"]["LastAuthenticatedEntity"] == arn and services["iam"]["TotalAuthenticatedEntities"] == 1
    assert [a["ActionName"] for a in services["iam"]["TrackedActionsLastAccessed"]] == ["GetUser"]
    assert "LastAuthenticated" not in services["sqs"] and services["sqs"]["ServiceName"] == "Amazon SQS"
    entities = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="iam")
    assert [e["EntityInfo"]["Name"] for e in entities["EntityDetailsList"]] == ["ann"]
    assert refused(iam.get_service_last_accessed_details, JobId="x" * 36)[0] == "NoSuchEntity"
    granting = iam.list_policies_granting_service_access(Arn=arn, ServiceNamespaces=["sqs", "s3"])
    assert [(e["ServiceNamespace"], [p["PolicyName"] for p in e["Policies"]])
            for e in granting["PoliciesGrantingServiceAccess"]] == [("s3", []), ("sqs", ["p"])]
