"""Access control lists: canned, by header, by document; who may then do what."""
import pytest

from s3_help import code, opened, plain, refusal, refused

ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOGS = "http://acs.amazonaws.com/groups/s3/LogDelivery"


@pytest.fixture
def bucket(s3, unique):
    name = unique("b")
    s3.create_bucket(Bucket=name)
    opened(s3, name)
    return name


def me(s3):
    owner = s3.list_buckets()["Owner"]
    assert set(owner) == {"ID"}
    return owner


def seen(grants):
    return sorted((g["Permission"], g["Grantee"].get("ID") or g["Grantee"]["URI"]) for g in grants)


def test_the_default_is_the_owners_alone(s3, bucket):
    own = me(s3)
    acl = s3.get_bucket_acl(Bucket=bucket)
    assert acl["Owner"] == own
    assert acl["Grants"] == [{"Grantee": {**own, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    acl = s3.get_object_acl(Bucket=bucket, Key="k")
    assert (acl["Owner"], seen(acl["Grants"])) == (own, [("FULL_CONTROL", own["ID"])])


@pytest.mark.parametrize("canned, more", [
    ("private", []), ("public-read", [("READ", ALL)]), ("public-read-write", [("READ", ALL), ("WRITE", ALL)]),
    ("authenticated-read", [("READ", AUTHENTICATED)]), ("log-delivery-write", [("READ_ACP", LOGS), ("WRITE", LOGS)]),
])
def test_canned_acls_of_buckets(s3, bucket, canned, more):
    s3.put_bucket_acl(Bucket=bucket, ACL=canned)
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert seen(grants) == sorted([("FULL_CONTROL", me(s3)["ID"]), *more])
    assert [g["Grantee"] for g in grants if g["Grantee"]["Type"] == "Group"] == [
        {"Type": "Group", "URI": uri} for _, uri in more]


@pytest.mark.parametrize("canned", ["bucket-owner-read", "bucket-owner-full-control"])
def test_what_others_store_is_theirs(s3, other, bucket, canned):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    assert refused(s3.get_object, Bucket=bucket, Key="theirs") == ("AccessDenied", 403)
    assert other.get_object_acl(Bucket=bucket, Key="theirs")["Owner"] == me(other)
    other.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=canned)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    acl = other.get_object_acl(Bucket=bucket, Key="k")
    assert acl["Owner"] == me(other)
    assert (("FULL_CONTROL" if "full" in canned else "READ"), me(s3)["ID"]) in seen(acl["Grants"])
    # Whoever owns the bucket may delete what is in it.
    s3.delete_object(Bucket=bucket, Key="theirs")


def test_preferred_ownership(s3, other, bucket):
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    other.put_object(Bucket=bucket, Key="given", Body=b"x", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="given")["Owner"] == me(s3)
    other.put_object(Bucket=bucket, Key="kept", Body=b"x")
    assert other.get_object_acl(Bucket=bucket, Key="kept")["Owner"] == me(other)


def test_disabled_acls(s3, bucket):
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="bucket-owner-full-control")
    own = me(s3)["ID"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"", GrantFullControl=f"id={own}")
    # Not even the list that holds anyway, by the name of `private`, once somebody has said that there are none.
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", ACL="private") == ("AccessControlListNotSupported", 400)
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="private") == ("AccessControlListNotSupported", 400)
    for call, more in [("put_bucket_acl", {}), ("put_object_acl", {"Key": "k"}), ("put_object", {"Key": "k", "Body": b""})]:
        answer = refusal(getattr(s3, call), Bucket=bucket, ACL="public-read", **more)
        assert answer["Error"] == {"Code": "AccessControlListNotSupported", "Message": "The bucket does not allow ACLs"}
    # A list that says what holds anyway is let through.
    acl = s3.get_object_acl(Bucket=bucket, Key="k")
    policy = {k: acl[k] for k in ("Owner", "Grants")}
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=policy)
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)


def test_old_clients_may_say_private(s3, unique):
    name = unique("b")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"", ACL="private")
    assert refused(s3.put_object, Bucket=name, Key="k", Body=b"", ACL="public-read") == ("AccessControlListNotSupported", 400)


def test_headers_that_grant(s3, other, bucket):
    own, their = me(s3)["ID"], me(other)["ID"]
    s3.put_bucket_acl(Bucket=bucket, GrantFullControl=f"id={own}", GrantRead=f'id="{their}", uri="{AUTHENTICATED}"',
                      GrantWriteACP=f"id={their}")
    assert seen(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == sorted(
        [("FULL_CONTROL", own), ("READ", their), ("READ", AUTHENTICATED), ("WRITE_ACP", their)])
    other.list_objects_v2(Bucket=bucket)
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"") == ("AccessDenied", 403)
    other.put_bucket_acl(Bucket=bucket, GrantFullControl=f"id={own}", GrantWrite=f"id={their}")
    other.put_object(Bucket=bucket, Key="k", Body=b"")
    assert refused(other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)


def test_grants_by_address(s3, other, bucket, their_account):
    own, their = me(s3), me(other)
    policy = {"Owner": own, "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": own["ID"]}, "Permission": "FULL_CONTROL"},
        {"Grantee": {"Type": "AmazonCustomerByEmail", "EmailAddress": f"{their_account}@example.com"},
         "Permission": "FULL_CONTROL"}]}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    assert ("FULL_CONTROL", their["ID"]) in seen(s3.get_bucket_acl(Bucket=bucket)["Grants"])
    policy["Grants"][1]["Grantee"]["EmailAddress"] = "nobody@example.com"
    assert refused(s3.put_bucket_acl, Bucket=bucket, AccessControlPolicy=policy) == ("UnresolvableGrantByEmailAddress", 400)
    assert refused(s3.put_bucket_acl, Bucket=bucket, GrantRead="emailAddress=a@b.c") == (
        "UnresolvableGrantByEmailAddress", 400)


@pytest.mark.parametrize("permission, may", [
    ("FULL_CONTROL", {"get", "get_acl", "put_acl"}), ("READ", {"get"}), ("READ_ACP", {"get_acl"}), ("WRITE_ACP", {"put_acl"}),
    ("WRITE", set()),
])
def test_what_a_grant_on_an_object_allows(s3, other, bucket, permission, may):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    own = me(s3)
    policy = {"Owner": own, "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": own["ID"]}, "Permission": "FULL_CONTROL"},
        {"Grantee": {"Type": "CanonicalUser", "ID": me(other)["ID"]}, "Permission": permission}]}
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=policy)
    for name, call, more in [("get", other.get_object, {}), ("get_acl", other.get_object_acl, {}),
                             ("put_acl", other.put_object_acl, {"AccessControlPolicy": policy})]:
        if name in may:
            call(Bucket=bucket, Key="k", **more)
        else:
            assert refused(call, Bucket=bucket, Key="k", **more) == ("AccessDenied", 403), name
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Owner"] == own


@pytest.mark.parametrize("permission, may", [
    ("FULL_CONTROL", {"list", "put", "get_acl", "put_acl"}), ("READ", {"list"}), ("WRITE", {"put"}),
    ("READ_ACP", {"get_acl"}), ("WRITE_ACP", {"put_acl"}),
])
def test_what_a_grant_on_a_bucket_allows(s3, other, bucket, permission, may):
    own = me(s3)
    policy = {"Owner": own, "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": own["ID"]}, "Permission": "FULL_CONTROL"},
        {"Grantee": {"Type": "CanonicalUser", "ID": me(other)["ID"]}, "Permission": permission}]}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    for name, call, more in [("list", other.list_objects, {}), ("put", other.put_object, {"Key": "k", "Body": b""}),
                             ("get_acl", other.get_bucket_acl, {}),
                             ("put_acl", other.put_bucket_acl, {"AccessControlPolicy": policy})]:
        if name in may:
            call(Bucket=bucket, **more)
        else:
            assert refused(call, Bucket=bucket, **more) == ("AccessDenied", 403), name


def test_documents_that_are_none(s3, other, bucket):
    own, their = me(s3), me(other)
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": own["ID"]}, "Permission": "FULL_CONTROL"}
    put = lambda policy: refused(s3.put_bucket_acl, Bucket=bucket, AccessControlPolicy=policy)
    assert put({"Owner": own, "Grants": [{**grant, "Grantee": {"Type": "CanonicalUser", "ID": "_foo"}}]}) == (
        "InvalidArgument", 400)
    assert put({"Owner": own, "Grants": [{**grant, "Permission": "SOME"}]})[1] == 400
    assert put({"Owner": own, "Grants": [{**grant, "Grantee": {"Type": "Group", "URI": "http://x"}}]}) == (
        "InvalidArgument", 400)
    assert put({"Grants": [grant]}) == ("MalformedACLError", 400)
    assert put({"Owner": their, "Grants": [grant]}) == ("AccessDenied", 403)
    assert put({"Owner": {"ID": "x"}, "Grants": [grant]}) == ("InvalidArgument", 400)
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="private", GrantRead=f"id={own['ID']}") == ("InvalidRequest", 400)
    answer = refusal(s3.put_bucket_acl, Bucket=bucket, ACL="public-ready")
    assert (answer["Error"]["Code"], answer["Error"]["ArgumentName"]) == ("InvalidArgument", "x-amz-acl")
    answer = refusal(s3.put_bucket_acl, Bucket=bucket)
    assert (answer["Error"]["Code"], answer["Error"]["MissingHeaderName"]) == ("MissingSecurityHeader", "x-amz-acl")
    # A list of nobody is one.
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Owner": own, "Grants": []})
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == []


def test_everybody(cloud, s3, other, bucket):
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="known", Body=b"x", ACL="authenticated-read")
    s3.put_object(Bucket=bucket, Key="mine", Body=b"x")
    assert [plain(cloud, "GET", f"/{bucket}/{k}")[0] for k in ("open", "known", "mine", "none")] == [200, 403, 403, 403]
    other.get_object(Bucket=bucket, Key="known")
    assert code(plain(cloud, "PUT", f"/{bucket}/new", body=b"x")) == ("AccessDenied", 403)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert plain(cloud, "PUT", f"/{bucket}/new", body=b"x")[0] == 200
    assert plain(cloud, "GET", f"/{bucket}")[0] == 200
    # Whoever may list is told what is not there.
    assert code(plain(cloud, "GET", f"/{bucket}/none")) == ("NoSuchKey", 404)
    assert code(plain(cloud, "GET", f"/{bucket}/mine")) == ("AccessDenied", 403)
    assert plain(cloud, "DELETE", f"/{bucket}/new")[0] == 204


def test_blocked_public_access(cloud, s3, bucket):
    block = lambda **kw: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=kw)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 200
    block(IgnorePublicAcls=True)
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 403
    block(BlockPublicAcls=True)
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 200
    for acl in ("public-read", "public-read-write", "authenticated-read"):
        assert refused(s3.put_object, Bucket=bucket, Key="n", Body=b"", ACL=acl) == ("AccessDenied", 403)
        assert refused(s3.put_bucket_acl, Bucket=bucket, ACL=acl) == ("AccessDenied", 403)
        assert refused(s3.put_object_acl, Bucket=bucket, Key="k", ACL=acl) == ("AccessDenied", 403)


def test_new_buckets_take_no_public_acl(s3, unique):
    assert refused(s3.create_bucket, Bucket=unique("b"), ACL="public-read") == ("InvalidBucketAclWithObjectOwnership", 400)
    assert refused(s3.create_bucket, Bucket=unique("b"), ACL="public-read", ObjectOwnership="ObjectWriter") == (
        "InvalidBucketAclWithBlockPublicAccessError", 400)
    name = unique("b")
    s3.create_bucket(Bucket=name, ACL="private")
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_bucket_acl(Bucket=name, ACL="public-read")
    assert refused(s3.put_bucket_ownership_controls, Bucket=name, OwnershipControls={
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}) == ("InvalidBucketAclWithObjectOwnership", 400)


def test_acls_of_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    count = lambda version: len(s3.get_object_acl(Bucket=bucket, Key="k", VersionId=version)["Grants"])
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read", VersionId=first)
    assert (count(first), count(second)) == (2, 1)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert (count(first), count(second)) == (2, 2)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3")
    assert len(s3.get_object_acl(Bucket=bucket, Key="k")["Grants"]) == 1
