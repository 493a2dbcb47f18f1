"""KMS, operation by operation: what each refuses, in which state of a key, and in which words."""
import json

import pytest

from test_kms import make, refused

ENUMERATION = "1 validation error detected: Value 'X' at '{}' failed to satisfy constraint: Member must satisfy enum value set: {}"


@pytest.fixture
def kms(client):
    return client("kms", parameter_validation=False)


def wrapped(kms, key, material, kind="RSAES_OAEP_SHA_256"):
    """Parameters of an import of this material."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    offered = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=kind, WrappingKeySpec="RSA_2048")
    public = serialization.load_der_public_key(offered["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return dict(KeyId=key, ImportToken=offered["ImportToken"], EncryptedKeyMaterial=public.encrypt(material, oaep))


def test_enumerations_are_listed_in_the_order_of_aws(kms):
    key = make(kms, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    assert refused(kms.generate_mac, KeyId=key, Message=b"x", MacAlgorithm="X")[1] == ENUMERATION.format(
        "macAlgorithm", "[HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]")


def test_lists_and_bytes_are_quoted_as_aws_quotes_them(kms):
    key = make(kms)["KeyId"]
    assert refused(kms.untag_resource, KeyId=key, TagKeys=["a" * 129])[1] == (
        f"1 validation error detected: Value '[{'a' * 129}]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]")
    assert refused(kms.decrypt, CiphertextBlob=b"")[1] == (
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'ciphertextBlob' failed to satisfy "
        "constraint: Member must have length greater than or equal to 1")
    # The model leaves it out for dry runs alone.
    assert refused(kms.decrypt) == (
        "ValidationException", "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
        "Member must not be null")
    assert refused(kms.re_encrypt, DestinationKeyId=key)[0] == "ValidationException"


def test_what_a_key_that_waits_for_its_end_still_does(kms):
    key = make(kms)
    kms.enable_key_rotation(KeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    pending = ("KMSInvalidStateException", f"{key['Arn']} is pending deletion.")
    name = dict(KeyId=key["KeyId"])
    root = f"arn:aws:iam::{key['AWSAccountId']}:root"
    for call, kw in (
        (kms.enable_key, {}), (kms.disable_key, {}), (kms.enable_key_rotation, {}), (kms.disable_key_rotation, {}),
        (kms.rotate_key_on_demand, {}), (kms.update_key_description, dict(Description="x")), (kms.schedule_key_deletion, {}),
        (kms.tag_resource, dict(Tags=[dict(TagKey="a", TagValue="b")])), (kms.untag_resource, dict(TagKeys=["a"])),
        (kms.create_grant, dict(GranteePrincipal=root, Operations=["Decrypt"])),
        (kms.generate_data_key, dict(KeySpec="AES_256")),
    ):
        assert refused(call, **name, **kw) == pending, call
    assert refused(kms.create_alias, AliasName="alias/late", TargetKeyId=key["KeyId"]) == pending
    assert kms.get_key_rotation_status(**name)["KeyRotationEnabled"] is False
    for call in (kms.describe_key, kms.get_key_policy, kms.list_grants, kms.list_resource_tags, kms.list_key_policies):
        call(**name)
    kms.cancel_key_deletion(**name)
    assert kms.get_key_rotation_status(**name)["KeyRotationEnabled"] is True
    assert refused(kms.cancel_key_deletion, **name) == (
        "KMSInvalidStateException", f"{key['Arn']} is not pending deletion.")


def test_keys_with_imported_material_are_not_rotated_by_the_calendar(kms):
    key = make(kms, Origin="EXTERNAL")
    unsupported = ("UnsupportedOperationException", f"{key['Arn']} origin is EXTERNAL which is not valid for this operation.")
    assert refused(kms.enable_key_rotation, KeyId=key["KeyId"]) == unsupported
    assert refused(kms.disable_key_rotation, KeyId=key["KeyId"]) == unsupported
    assert refused(kms.disable_key, KeyId=key["KeyId"]) == (
        "KMSInvalidStateException", f"{key['Arn']} is pending import.")


def test_material_can_go_while_its_key_waits_for_the_end(kms):
    key = make(kms, Origin="EXTERNAL")["KeyId"]
    kms.import_key_material(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **wrapped(kms, key, b"k" * 32))
    kms.schedule_key_deletion(KeyId=key)
    kms.delete_imported_key_material(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_what_imports_refuse(kms):
    key = make(kms, Origin="EXTERNAL")["KeyId"]
    bring = wrapped(kms, key, b"k" * 32)
    created = kms.describe_key(KeyId=key)["KeyMetadata"]["CreationDate"].timestamp()
    assert refused(kms.import_key_material, **bring, ValidTo=created + 366 * 86400)[0] == "ValidationException"
    assert refused(kms.import_key_material, **bring, ValidTo=created - 1)[0] == "ValidationException"
    assert refused(kms.import_key_material, **bring, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
                   ImportType="EXISTING_KEY_MATERIAL")[0] == "IncorrectKeyMaterialException"
    kms.import_key_material(**bring, ValidTo=created + 300 * 86400)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    curve = make(kms, Origin="EXTERNAL", KeySpec="ECC_NIST_P521", KeyUsage="SIGN_VERIFY")["KeyId"]
    assert refused(kms.get_parameters_for_import, KeyId=curve, WrappingAlgorithm="RSAES_OAEP_SHA_256",
                   WrappingKeySpec="RSA_2048")[0] == "UnsupportedOperationException"


def test_replicas_import_what_their_primary_has(cloud, kms, account):
    key = make(kms, Origin="EXTERNAL", MultiRegion=True)["KeyId"]
    forever = dict(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    kms.import_key_material(**forever, **wrapped(kms, key, b"k" * 32))
    sealed = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    there = cloud.client("kms", account=account, region="eu-west-1")
    assert there.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"
    assert refused(there.import_key_material, **forever, **wrapped(there, key, b"z" * 32))[0] == "IncorrectKeyMaterialException"
    assert refused(there.import_key_material, **forever, ImportType="NEW_KEY_MATERIAL",
                   **wrapped(there, key, b"k" * 32))[0] == "ValidationException"
    there.import_key_material(**forever, **wrapped(there, key, b"k" * 32))
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"old"
    # A second generation: the primary first, then the replica; only then do both rotate at once.
    kms.import_key_material(**forever, ImportType="NEW_KEY_MATERIAL", **wrapped(kms, key, b"n" * 32))
    assert refused(kms.rotate_key_on_demand, KeyId=key)[0] == "KMSInvalidStateException"
    there.import_key_material(**forever, ImportType="EXISTING_KEY_MATERIAL", **wrapped(there, key, b"n" * 32))
    kms.rotate_key_on_demand(KeyId=key)
    for region in (kms, there):
        states = [r["KeyMaterialState"] for r in region.list_key_rotations(
            KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]]
        assert states == ["NON_CURRENT", "CURRENT"]
    newer = there.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=newer)["Plaintext"] == b"new"
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"old"


def test_which_operations_reach_into_other_accounts(cloud, kms, account):
    other = f"{(int(account) + 400_007) % 10**12:012d}"
    theirs = cloud.client("kms", account=other)
    key = make(kms)
    policy = kms.get_key_policy(KeyId=key["KeyId"])["Policy"]
    kms.put_key_policy(KeyId=key["KeyId"], Policy=policy.replace(
        f'"arn:aws:iam::{account}:root"', f'["arn:aws:iam::{account}:root", "arn:aws:iam::{other}:root"]'))
    assert theirs.describe_key(KeyId=key["Arn"])["KeyMetadata"]["Arn"] == key["Arn"]
    assert theirs.get_key_rotation_status(KeyId=key["Arn"])["KeyRotationEnabled"] is False

    def unknown(action):
        return ("AccessDeniedException", f"User: arn:aws:iam::{other}:root is not authorized to perform: kms:{action} on this "
                "resource because the resource does not exist in this Region, no resource-based policies allow access, or a "
                "resource-based policy explicitly denies access")

    assert refused(theirs.disable_key, KeyId=key["Arn"]) == unknown("DisableKey")
    assert refused(theirs.get_key_policy, KeyId=key["Arn"]) == unknown("GetKeyPolicy")
    assert refused(theirs.list_resource_tags, KeyId=key["Arn"]) == unknown("ListResourceTags")
    nobody = key["Arn"].replace(key["KeyId"], "00000000-0000-0000-0000-000000000000")
    assert refused(theirs.encrypt, KeyId=nobody, Plaintext=b"x") == unknown("Encrypt")


def test_who_may_be_named_in_grants(kms, account):
    key = make(kms)["KeyId"]
    for who in ("x", "arn:aws:s3:::x", f"arn:aws:iam::{account}:group/g", f"arn:aws:iam::{account}:rootless"):
        assert refused(kms.create_grant, KeyId=key, GranteePrincipal=who, Operations=["Decrypt"]) == (
            "InvalidArnException", f"ARN does not refer to a valid principal: {who}")
    ask = dict(KeyId=key, GranteePrincipal=f"arn:aws:iam::{account}:root", Operations=["Decrypt"])
    for pairs in ({str(n): "" for n in range(9)}, {"a": "b" * 384}):
        assert refused(kms.create_grant, **ask, Constraints={"EncryptionContextSubset": pairs})[0] == "ValidationException"
    # The same grant again, by another token.
    first, second = kms.create_grant(**ask, Name="one"), kms.create_grant(**ask, Name="one")
    assert first["GrantId"] == second["GrantId"] and first["GrantToken"] != second["GrantToken"]
    kms.describe_key(KeyId=key, GrantTokens=[first["GrantToken"], second["GrantToken"]])
    kms.retire_grant(GrantToken=second["GrantToken"])
    assert refused(kms.retire_grant, GrantToken=first["GrantToken"])[0] == "NotFoundException"
    both = dict(GranteePrincipal=f"arn:aws:iam::{account}:root", GranteeServicePrincipal="s3.amazonaws.com")
    assert refused(kms.list_grants, KeyId=key, **both)[0] == "ValidationException"
    assert refused(kms.list_retirable_grants, RetiringPrincipal=both["GranteePrincipal"],
                   RetiringServicePrincipal="s3.amazonaws.com")[0] == "ValidationException"
    assert refused(kms.list_retirable_grants)[0] == "ValidationException"


def test_pages_are_no_longer_than_documented(kms, account):
    key = make(kms, Tags=[dict(TagKey=str(n), TagValue="") for n in range(50)])["KeyId"]
    for n in range(50):
        kms.create_alias(AliasName=f"alias/{n}", TargetKeyId=key)
    assert refused(kms.create_alias, AliasName="alias/51", TargetKeyId=key)[0] == "LimitExceededException"
    assert not kms.list_aliases(Limit=1000)["Truncated"]
    assert len(kms.list_aliases(KeyId=key, Limit=50)["Aliases"]) == 50
    assert len(kms.list_resource_tags(KeyId=key)["Tags"]) == 50
    first = kms.list_resource_tags(KeyId=key, Limit=49)
    assert first["Truncated"] and len(kms.list_resource_tags(KeyId=key, Limit=49, Marker=first["NextMarker"])["Tags"]) == 1


def test_replicas_live_in_regions_that_are_there(kms):
    key = make(kms, MultiRegion=True)["KeyId"]
    for region in ("us-east-1", "mars-east-1", "cn-north-1"):
        assert refused(kms.replicate_key, KeyId=key, ReplicaRegion=region)[0] == "ValidationException"


def user(cloud, client, account, name, *statements):
    iam = client("iam")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return cloud.client("kms", account=account, key=made["AccessKeyId"], secret=made["SecretAccessKey"])


def test_conditions_hold_for_what_is_left_out(cloud, client, kms, account):
    def allow(action, **keys):
        return {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": {"StringEquals": keys}}

    eve = user(
        cloud, client, account, "eve",
        allow("kms:CreateKey", **{"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT",
                                  "kms:KeyOrigin": "AWS_KMS"}),
        allow(["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncrypt*"], **{"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
        allow("kms:Sign", **{"kms:MessageType": "RAW"}))
    key = make(eve)["KeyId"]
    assert refused(eve.create_key, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")[0] == "AccessDeniedException"
    assert refused(eve.create_key, Origin="EXTERNAL")[0] == "AccessDeniedException"
    sealed = eve.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    eve.generate_data_key(KeyId=key, KeySpec="AES_128")
    eve.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=key)
    signer = make(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    eve.sign(KeyId=signer, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    assert refused(eve.sign, KeyId=signer, Message=b"x" * 32, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")[0] == (
        "AccessDeniedException")


def test_grantees_make_no_wider_grants(cloud, client, kms, account):
    carol = user(cloud, client, account, "carol")
    user(cloud, client, account, "dave")
    key = make(kms)["KeyId"]
    kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{account}:user/carol", Operations=["CreateGrant", "Decrypt"],
                     Constraints={"EncryptionContextSubset": {"a": "b"}})
    ask = dict(KeyId=key, GranteePrincipal=f"arn:aws:iam::{account}:user/dave")
    for wider in (
        dict(Operations=["Decrypt"]),
        dict(Operations=["Encrypt"], Constraints={"EncryptionContextSubset": {"a": "b"}}),
        dict(Operations=["Decrypt"], Constraints={"EncryptionContextSubset": {"c": "d"}}),
    ):
        assert refused(carol.create_grant, **ask, **wider)[0] == "AccessDeniedException", wider
    for narrower in ({"EncryptionContextSubset": {"a": "b", "c": "d"}}, {"EncryptionContextEquals": {"a": "b"}}):
        carol.create_grant(**ask, Operations=["Decrypt"], Constraints=narrower)


def test_grants_of_other_accounts_can_be_found_and_retired(cloud, kms, account):
    other = f"{(int(account) + 400_009) % 10**12:012d}"
    theirs = cloud.client("kms", account=other)
    retiring = f"arn:aws:iam::{other}:root"
    key = make(kms)
    made = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=retiring, RetiringPrincipal=retiring, Operations=["Encrypt"])
    [grant] = theirs.list_retirable_grants(RetiringPrincipal=retiring)["Grants"]
    assert (grant["GrantId"], grant["KeyId"]) == (made["GrantId"], key["Arn"])
    stranger = cloud.client("kms", account=f"{(int(account) + 400_010) % 10**12:012d}")
    assert stranger.list_retirable_grants(RetiringPrincipal=retiring)["Grants"] == []
    theirs.encrypt(KeyId=key["Arn"], Plaintext=b"x")
    theirs.retire_grant(KeyId=key["Arn"], GrantId=made["GrantId"])
    assert theirs.list_retirable_grants(RetiringPrincipal=retiring)["Grants"] == []
    assert refused(theirs.encrypt, KeyId=key["Arn"], Plaintext=b"x")[0] == "AccessDeniedException"


def test_statements_without_actions_or_resources_have_no_effect(cloud, client, kms, account):
    frank = user(cloud, client, account, "frank")
    who = {"AWS": f"arn:aws:iam::{account}:user/frank"}
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}

    def policy(*statements):
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    whole = policy(root, {"Effect": "Allow", "Principal": who, "Action": "kms:Encrypt"},
                   {"Effect": "Allow", "Principal": who, "Resource": "*"})
    key = make(kms, Policy=whole)["KeyId"]
    assert kms.get_key_policy(KeyId=key)["Policy"] == whole
    kms.encrypt(KeyId=key, Plaintext=b"x")
    assert refused(frank.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    # Grants stand beside such a policy.
    kms.create_grant(KeyId=key, GranteePrincipal=who["AWS"], Operations=["Encrypt"])
    frank.encrypt(KeyId=key, Plaintext=b"x")
    # What has no effect cannot keep the key manageable; what is wrong beside stays wrong.
    del root["Resource"]
    assert refused(kms.create_key, Policy=policy(root)) == (
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.")
    assert refused(kms.create_key, Policy=policy({**root, "Effect": "Maybe"}), BypassPolicyLockoutSafetyCheck=True)[0] == (
        "MalformedPolicyDocumentException")
    assert refused(kms.create_key, Policy=policy({"Effect": "Allow", "Action": "kms:*"}))[0] == "MalformedPolicyDocumentException"


def test_ciphertexts_of_other_accounts_are_opened_by_a_bare_id(cloud, kms, account):
    other = f"{(int(account) + 400_011) % 10**12:012d}"
    theirs = cloud.client("kms", account=other)
    key = make(kms)
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    policy = kms.get_key_policy(KeyId=key["KeyId"])["Policy"]
    kms.put_key_policy(KeyId=key["KeyId"], Policy=policy.replace(
        f'"arn:aws:iam::{account}:root"', f'["arn:aws:iam::{account}:root", "arn:aws:iam::{other}:root"]'))
    for name in (key["Arn"], key["KeyId"]):
        assert theirs.decrypt(CiphertextBlob=sealed, KeyId=name)["Plaintext"] == b"x"
    own = make(theirs)["KeyId"]
    assert theirs.re_encrypt(CiphertextBlob=sealed, SourceKeyId=key["KeyId"], DestinationKeyId=own)["SourceKeyId"] == key["Arn"]
    assert refused(theirs.decrypt, CiphertextBlob=sealed, KeyId=own)[0] == "IncorrectKeyException"
    assert refused(theirs.encrypt, KeyId=key["KeyId"], Plaintext=b"x")[0] == "NotFoundException"


def test_material_that_waits_for_replicas(cloud, kms, account):
    key = make(kms, Origin="EXTERNAL", MultiRegion=True)["KeyId"]
    forever = dict(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    kms.import_key_material(**forever, **wrapped(kms, key, b"k" * 32))
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    there = cloud.client("kms", account=account, region="eu-west-1")
    there.import_key_material(**forever, **wrapped(there, key, b"k" * 32))
    second = kms.import_key_material(**forever, ImportType="NEW_KEY_MATERIAL", **wrapped(kms, key, b"n" * 32))["KeyMaterialId"]

    def states(region):
        shown = region.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
        return [(r["KeyMaterialState"], r["ImportState"]) for r in shown]

    assert states(kms) == [("CURRENT", "IMPORTED"), ("PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED")]
    there.import_key_material(**forever, **wrapped(there, key, b"n" * 32))
    assert states(kms) == states(there) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    # Taken from the primary, it is taken from the replicas; it was never used, and both work on.
    kms.delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    for region in (kms, there):
        assert states(region) == [("CURRENT", "IMPORTED")]
        assert region.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    kms.import_key_material(**forever, ImportType="NEW_KEY_MATERIAL", **wrapped(kms, key, b"o" * 32))
    assert len(states(kms)) == 2


def test_the_first_of_all_materials_to_expire_counts(kms):
    key = make(kms, Origin="EXTERNAL")
    created = key["CreationDate"].timestamp()
    early, late = int(created) + 10 * 86400, int(created) + 20 * 86400
    kms.import_key_material(ValidTo=early, **wrapped(kms, key["KeyId"], b"1" * 32))
    kms.import_key_material(ValidTo=late, ImportType="NEW_KEY_MATERIAL", **wrapped(kms, key["KeyId"], b"2" * 32))
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    shown = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert shown["ValidTo"].timestamp() == early and shown["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    assert refused(kms.import_key_material, KeyMaterialDescription="d", ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
                   **wrapped(kms, make(kms, Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"],
                             b"h" * 32))[0] == "ValidationException"
