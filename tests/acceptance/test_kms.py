"""KMS through boto3: keys, what they do, and who may use them."""
import base64
import hashlib
import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def kms(client):
    return client("kms")


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def make(kms, **kw):
    return kms.create_key(**kw)["KeyMetadata"]


def test_a_new_key_says_what_it_is(kms, account):
    key = make(kms, Description="mine", Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert key["Arn"] == f"arn:aws:kms:us-east-1:{account}:key/{key['KeyId']}"
    for name, value in dict(
        AWSAccountId=account, Enabled=True, Description="mine", KeyUsage="ENCRYPT_DECRYPT", KeyState="Enabled",
        Origin="AWS_KMS", KeyManager="CUSTOMER", CustomerMasterKeySpec="SYMMETRIC_DEFAULT",
        KeySpec="SYMMETRIC_DEFAULT", EncryptionAlgorithms=["SYMMETRIC_DEFAULT"], MultiRegion=False,
    ).items():
        assert key[name] == value, name
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    policy = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    assert json.loads(policy)["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}
    assert kms.list_keys()["Keys"] == [{"KeyId": key["KeyId"], "KeyArn": key["Arn"]}]


def test_what_create_key_refuses(kms):
    assert refused(kms.create_key, KeySpec="HMAC_256") == (
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
    assert refused(kms.create_key, KeySpec="HMAC_256", KeyUsage="SIGN_VERIFY") == (
        "ValidationException", "KeyUsage SIGN_VERIFY is not compatible with KeySpec HMAC_256")
    assert refused(kms.create_key, Policy="{")[0] == "MalformedPolicyDocumentException"
    locked = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*"}]})
    assert refused(kms.create_key, Policy=locked) == (
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.")
    assert make(kms, Policy=locked, BypassPolicyLockoutSafetyCheck=True)["Enabled"]


def test_encrypt_and_decrypt_with_context(kms):
    key = make(kms)
    context = {"for": "you"}
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"hello", EncryptionContext=context)
    assert sealed["KeyId"] == key["Arn"] and sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"hello" and opened["KeyId"] == key["Arn"]
    assert refused(kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"]) == ("InvalidCiphertextException", "")
    assert refused(kms.decrypt, CiphertextBlob=b"nonsense") == ("InvalidCiphertextException", "")
    other = make(kms)
    assert refused(kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context,
                   KeyId=other["KeyId"]) == (
        "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
    moved = kms.re_encrypt(CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=context,
                           DestinationKeyId=other["Arn"])
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key["Arn"], other["Arn"])
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"hello"
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x", DryRun=True)[0] == "DryRunOperationException"


def test_names_of_keys(kms, account):
    key = make(kms)
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    arn = f"arn:aws:kms:us-east-1:{account}"
    for name in (key["KeyId"], key["Arn"], "alias/mine", f"{arn}:alias/mine"):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key["KeyId"]
    missing = "12345678-1234-1234-1234-123456789012"
    assert refused(kms.describe_key, KeyId=missing) == (
        "NotFoundException", f"Key '{arn}:key/{missing}' does not exist")
    assert refused(kms.describe_key, KeyId="alias/other") == (
        "NotFoundException", f"Alias {arn}:alias/other is not found.")
    assert refused(kms.describe_key, KeyId="fake-key-id") == ("NotFoundException", "Invalid keyId 'fake-key-id'")
    assert refused(kms.enable_key, KeyId="alias/mine")[0] == "NotFoundException"
    assert refused(kms.describe_key, KeyId=key["Arn"].replace("us-east-1", "eu-west-1")) == (
        "NotFoundException", "Invalid arn eu-west-1")
    assert refused(kms.create_alias, AliasName="alias/mine", TargetKeyId=key["KeyId"]) == (
        "AlreadyExistsException", f"An alias with the name {arn}:alias/mine already exists")
    assert refused(kms.create_alias, AliasName="mine", TargetKeyId=key["KeyId"])[1].startswith(
        'Alias must start with the prefix "alias/".')
    assert refused(kms.create_alias, AliasName="alias/aws/s3", TargetKeyId=key["KeyId"])[0] == "NotAuthorizedException"
    other = make(kms)
    kms.update_alias(AliasName="alias/mine", TargetKeyId=other["KeyId"])
    assert kms.list_aliases(KeyId=key["KeyId"])["Aliases"] == []
    assert [a["AliasName"] for a in kms.list_aliases(KeyId=other["KeyId"])["Aliases"]] == ["alias/mine"]
    assert "alias/aws/s3" in [a["AliasName"] for a in kms.list_aliases()["Aliases"]]
    kms.delete_alias(AliasName="alias/mine")
    assert refused(kms.delete_alias, AliasName="alias/mine")[0] == "NotFoundException"


def test_states(kms):
    key = make(kms)
    kms.disable_key(KeyId=key["KeyId"])
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == (
        "DisabledException", f"{key['Arn']} is disabled.")
    kms.enable_key(KeyId=key["KeyId"])
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    gone = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert gone["KeyId"] == key["Arn"] and gone["KeyState"] == "PendingDeletion" and gone["PendingWindowInDays"] == 7
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == (
        "KMSInvalidStateException", f"{key['Arn']} is pending deletion.")
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert described["KeyState"] == "Disabled" and "DeletionDate" not in described
    assert refused(kms.cancel_key_deletion, KeyId=key["KeyId"])[0] == "KMSInvalidStateException"
    assert refused(kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=31)[0] == "ValidationException"


def test_data_keys(kms):
    key = make(kms)
    made = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256", EncryptionContext={"a": "b"})
    assert len(made["Plaintext"]) == 32 and made["KeyId"] == key["Arn"]
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == made["Plaintext"]
    assert "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], NumberOfBytes=64)
    message = "Please specify either number of bytes or key spec."
    assert refused(kms.generate_data_key, KeyId=key["KeyId"]) == ("ValidationException", message)
    pair = kms.generate_data_key_pair(KeyId=key["KeyId"], KeyPairSpec="ECC_NIST_P256")
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"] and pair["PublicKey"]
    assert len(kms.generate_random(NumberOfBytes=20)["Plaintext"]) == 20
    assert refused(kms.generate_random) == ("ValidationException", "NumberOfBytes is required.")


def test_signatures_and_macs(kms):
    key = make(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    signed = kms.sign(KeyId=key["KeyId"], Message=b"text", SigningAlgorithm="ECDSA_SHA_256")
    digest = hashlib.sha256(b"text").digest()
    ask = dict(KeyId=key["KeyId"], Signature=signed["Signature"], SigningAlgorithm="ECDSA_SHA_256")
    assert kms.verify(Message=digest, MessageType="DIGEST", **ask)["SignatureValid"]
    assert refused(kms.verify, Message=b"other", **ask) == ("KMSInvalidSignatureException", "")
    assert refused(kms.sign, KeyId=key["KeyId"], Message=b"x", MessageType="DIGEST",
                   SigningAlgorithm="ECDSA_SHA_256") == (
        "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
    assert refused(kms.sign, KeyId=key["KeyId"], Message=b"x", SigningAlgorithm="ECDSA_SHA_384") == (
        "InvalidKeyUsageException", "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.")
    mac = make(kms, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    made = kms.generate_mac(KeyId=mac["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256")
    assert len(made["Mac"]) == 32
    assert kms.verify_mac(KeyId=mac["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256", Mac=made["Mac"])["MacValid"]
    assert refused(kms.verify_mac, KeyId=mac["KeyId"], Message=b"n", MacAlgorithm="HMAC_SHA_256",
                   Mac=made["Mac"])[0] == "KMSInvalidMacException"
    assert refused(kms.sign, KeyId=mac["KeyId"], Message=b"x", SigningAlgorithm="ECDSA_SHA_256") == (
        "InvalidKeyUsageException", f"{mac['Arn']} key usage is GENERATE_VERIFY_MAC which is not valid for Sign.")


def test_rsa_encryption(kms):
    key = make(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    for algorithm in ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"):
        sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
        opened = kms.decrypt(KeyId=key["KeyId"], CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
        assert opened["Plaintext"] == b"x"
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x" * 215, EncryptionAlgorithm="RSAES_OAEP_SHA_1") == (
        "ValidationException", "Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes.")


def user(client, account, name, *statements):
    iam = client("iam")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return dict(key=made["AccessKeyId"], secret=made["SecretAccessKey"], account=account)


def test_identity_policies_count_where_the_key_policy_delegates(cloud, client, kms, account):
    allow = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    alice = cloud.client("kms", **user(client, account, "alice", allow))
    bob = cloud.client("kms", **user(client, account, "bob"))
    key = make(kms)
    sealed = alice.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    code, message = refused(bob.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:iam::{account}:user/bob is not authorized to perform: kms:Encrypt on resource: {key['Arn']} "
        "because no identity-based policy allows the kms:Encrypt action")
    # Without the account in it, the key's policy alone decides, also over those whom IAM allows everything.
    only_bob = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/bob"}, "Action": "kms:*",
         "Resource": "*"}]}
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(only_bob), BypassPolicyLockoutSafetyCheck=True)
    assert bob.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert refused(alice.decrypt, CiphertextBlob=sealed)[0] == "AccessDeniedException"
    assert refused(kms.decrypt, CiphertextBlob=sealed)[0] == "AccessDeniedException"
    with_context = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/bob"}, "Action": "kms:*",
         "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:team": "red"}}}]}
    bob.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(with_context), BypassPolicyLockoutSafetyCheck=True)
    bob.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"team": "red"})
    assert refused(bob.encrypt, KeyId=key["KeyId"], Plaintext=b"x")[0] == "AccessDeniedException"
    nobody = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/nobody"}, "Action": "kms:*",
         "Resource": "*"}]}
    assert refused(kms.create_key, Policy=json.dumps(nobody)) == (
        "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")


def test_another_account(cloud, client, kms, account):
    other = f"{(int(account) + 400_005) % 10**12:012d}"
    theirs = cloud.client("kms", account=other)
    key = make(kms)
    assert refused(theirs.encrypt, KeyId=key["Arn"], Plaintext=b"x")[0] == "AccessDeniedException"
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    policy["Statement"].append({"Effect": "Allow", "Principal": {"AWS": other}, "Action": "kms:Encrypt",
                                "Resource": "*"})
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(policy))
    sealed = theirs.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert refused(theirs.decrypt, CiphertextBlob=sealed)[0] == "AccessDeniedException"


def test_grants(cloud, client, kms, account):
    carol = cloud.client("kms", **user(client, account, "carol"))
    arn = f"arn:aws:iam::{account}:user/carol"
    key = make(kms)
    assert refused(carol.encrypt, KeyId=key["KeyId"], Plaintext=b"x")[0] == "AccessDeniedException"
    made = kms.create_grant(
        KeyId=key["KeyId"], GranteePrincipal=arn, RetiringPrincipal=arn, Operations=["Encrypt", "Decrypt"], Name="g",
        Constraints={"EncryptionContextSubset": {"a": "b"}})
    again = kms.create_grant(
        KeyId=key["KeyId"], GranteePrincipal=arn, RetiringPrincipal=arn, Operations=["Encrypt", "Decrypt"], Name="g",
        Constraints={"EncryptionContextSubset": {"a": "b"}})
    assert again["GrantId"] == made["GrantId"]
    context = {"a": "b", "c": "d"}
    sealed = carol.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext=context,
                           GrantTokens=[made["GrantToken"]])["CiphertextBlob"]
    assert carol.decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"] == b"x"
    assert refused(carol.encrypt, KeyId=key["KeyId"], Plaintext=b"x")[0] == "AccessDeniedException"
    assert refused(carol.describe_key, KeyId=key["KeyId"])[0] == "AccessDeniedException"
    assert refused(carol.encrypt, KeyId=key["KeyId"], Plaintext=b"x", GrantTokens=["nonsense"])[0] == (
        "InvalidGrantTokenException")
    [grant] = kms.list_grants(KeyId=key["KeyId"])["Grants"]
    assert grant["GrantId"] == made["GrantId"] and grant["KeyId"] == key["Arn"]
    assert grant["IssuingAccount"] == f"arn:aws:iam::{account}:root"
    assert [g["GrantId"] for g in kms.list_retirable_grants(RetiringPrincipal=arn)["Grants"]] == [made["GrantId"]]
    carol.retire_grant(GrantToken=made["GrantToken"])
    assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []
    assert refused(carol.decrypt, CiphertextBlob=sealed, EncryptionContext=context)[0] == "AccessDeniedException"
    code, _ = refused(kms.revoke_grant, KeyId=key["KeyId"], GrantId=made["GrantId"])
    assert code == "NotFoundException"
    assert refused(kms.create_grant, KeyId=key["KeyId"], GranteePrincipal=arn, Operations=["Sign"])[0] == (
        "ValidationException")


def test_rotation_on_demand_keeps_old_material(kms):
    key = make(kms)
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"old")["CiphertextBlob"]
    first = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
    assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["KeyId"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"] != first
    opened = kms.decrypt(CiphertextBlob=sealed)
    assert opened["Plaintext"] == b"old" and opened["KeyMaterialId"] == first
    [rotation] = kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"]
    assert rotation["RotationType"] == "ON_DEMAND"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=100)
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 100 and "NextRotationDate" in status


def test_import(kms):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    key = make(kms, Origin="EXTERNAL")
    assert key["KeyState"] == "PendingImport" and not key["Enabled"]
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == (
        "KMSInvalidStateException", f"{key['Arn']} is pending import.")
    ask = dict(KeyId=key["KeyId"], WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    offered = kms.get_parameters_for_import(**ask)
    public = serialization.load_der_public_key(offered["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = public.encrypt(b"k" * 32, oaep)
    bring = dict(KeyId=key["KeyId"], ImportToken=offered["ImportToken"], EncryptedKeyMaterial=wrapped)
    assert refused(kms.import_key_material, **bring) == (
        "ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    kms.import_key_material(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **bring)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key["KeyId"])
    assert refused(kms.decrypt, CiphertextBlob=sealed)[0] == "KMSInvalidStateException"
    bring["EncryptedKeyMaterial"] = public.encrypt(b"z" * 32, oaep)
    assert refused(kms.import_key_material, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **bring)[0] == (
        "IncorrectKeyMaterialException")
    bring["EncryptedKeyMaterial"] = wrapped
    kms.import_key_material(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **bring)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    own = make(kms)
    assert refused(kms.get_parameters_for_import, **{**ask, "KeyId": own["KeyId"]}) == (
        "UnsupportedOperationException", f"{own['Arn']} origin is AWS_KMS which is not valid for this operation.")


def test_multi_region(cloud, kms, account):
    key = make(kms, MultiRegion=True)
    assert key["KeyId"].startswith("mrk-")
    assert key["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": key["Arn"], "Region": "us-east-1"}, "ReplicaKeys": []}
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    there = cloud.client("kms", account=account, region="ap-southeast-1")
    assert refused(there.describe_key, KeyId=key["KeyId"])[0] == "NotFoundException"
    made = kms.replicate_key(KeyId=key["KeyId"], ReplicaRegion="ap-southeast-1")["ReplicaKeyMetadata"]
    assert made["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    kms.update_primary_region(KeyId=key["KeyId"], PrimaryRegion="ap-southeast-1")
    assert there.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["MultiRegionConfiguration"][
        "MultiRegionKeyType"] == "PRIMARY"


def test_managed_keys_are_made_at_first_use(kms):
    key = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert key["KeyManager"] == "AWS"
    assert refused(kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x")[0] == "AccessDeniedException"
    for call in (kms.schedule_key_deletion, kms.disable_key, kms.enable_key_rotation, kms.disable_key_rotation):
        assert refused(call, KeyId=key["KeyId"])[0] == "AccessDeniedException"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    assert policy["Id"] == "auto-s3-2"
    assert policy["Statement"][0]["Condition"]["StringEquals"]["kms:ViaService"] == "s3.us-east-1.amazonaws.com"


def test_keys_outlive_kill_and_nothing_secret_is_logged(new_cloud, tmp_path):
    data = tmp_path / "data"
    first = new_cloud("--data", str(data), env={"CLOUDLET_LOG": "debug"})
    kms = first.client("kms")
    key = make(kms)["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"a very secret text")["CiphertextBlob"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    first.kill()
    master = data / "secrets" / "kms-master-key"
    assert master.stat().st_mode & 0o777 == 0o600 and len(master.read_bytes()) == 32
    second = new_cloud("--data", str(data))
    kms = second.client("kms")
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"a very secret text"
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    log = "".join(first.output + first.errors)
    for secret in (b"a very secret text", made["Plaintext"], master.read_bytes()):
        assert base64.b64encode(secret).decode() not in log and secret.hex() not in log
    assert "a very secret text" not in log


def test_custom_key_stores_are_refused_as_aws_refuses_where_there_is_no_cluster(kms):
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []
    store = "cks-1234567890abcdef0"
    for call in (kms.connect_custom_key_store, kms.disconnect_custom_key_store, kms.delete_custom_key_store,
                 kms.update_custom_key_store, kms.describe_custom_key_stores):
        assert refused(call, CustomKeyStoreId=store)[0] == "CustomKeyStoreNotFoundException"
    assert refused(kms.create_key, Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)[0] == "CustomKeyStoreNotFoundException"
    assert refused(kms.generate_random, NumberOfBytes=8, CustomKeyStoreId=store)[0] == "CustomKeyStoreNotFoundException"
    ask = dict(CustomKeyStoreName="mine", CloudHsmClusterId="cluster-234567abcdef")
    assert refused(kms.create_custom_key_store, **ask)[0] == "ValidationException"
    assert refused(kms.create_custom_key_store, **ask, TrustAnchorCertificate="pem", KeyStorePassword="kmspswd")[0] == (
        "CloudHsmClusterNotFoundException")


def test_the_last_use_of_a_key(kms):
    key = make(kms)
    unused = kms.get_key_last_usage(KeyId=key["KeyId"])
    assert unused["KeyId"] == key["KeyId"] and unused["KeyLastUsage"] == {} and unused["KeyCreationDate"] == key["CreationDate"]
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.get_key_last_usage(KeyId=key["Arn"])["KeyLastUsage"]["Operation"] == "Encrypt"
    opened = kms.decrypt(CiphertextBlob=sealed)
    last = kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]
    assert last["Operation"] == "Decrypt" and last["Timestamp"] >= key["CreationDate"]
    assert last["KmsRequestId"] == opened["ResponseMetadata"]["RequestId"]
    # What is refused is no use.
    assert refused(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x", DryRun=True)[0] == "DryRunOperationException"
    assert refused(kms.decrypt, CiphertextBlob=sealed, EncryptionContext={"a": "b"}) == ("InvalidCiphertextException", "")
    assert kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"] == last
    other = make(kms)
    kms.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=other["KeyId"])
    for used in (key, other):
        assert kms.get_key_last_usage(KeyId=used["KeyId"])["KeyLastUsage"]["Operation"] == "ReEncrypt"
    assert refused(kms.get_key_last_usage, KeyId="alias/aws/s3")[0] == "NotFoundException"


def test_ciphertexts_that_are_none_of_the_keys(kms):
    key, other = make(kms), make(kms)
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"hello", EncryptionContext={"a": "b"})["CiphertextBlob"]
    for bad in (sealed[:-1], sealed + b"x", sealed[:20], b"x", sealed[:-1] + bytes([sealed[-1] ^ 1]),
                sealed[:70] + bytes([sealed[70] ^ 1]) + sealed[71:]):
        assert refused(kms.decrypt, CiphertextBlob=bad, EncryptionContext={"a": "b"}) == ("InvalidCiphertextException", "")
        assert refused(kms.decrypt, CiphertextBlob=bad, KeyId=key["KeyId"], EncryptionContext={"a": "b"})[0] == (
            "InvalidCiphertextException")
    assert refused(kms.decrypt, CiphertextBlob=sealed, KeyId=other["KeyId"], EncryptionContext={"a": "b"}) == (
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.")
    assert refused(kms.decrypt, CiphertextBlob=sealed, EncryptionContext={"ab": ""})[0] == "InvalidCiphertextException"


def test_import_tokens_do_not_disturb_each_other(kms):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives import hashes, keywrap
    from cryptography.hazmat.primitives.asymmetric import padding
    key = make(kms, Origin="EXTERNAL")
    offers = [kms.get_parameters_for_import(KeyId=key["KeyId"], WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
              for algorithm in ("RSAES_OAEP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256")]
    publics = [serialization.load_der_public_key(offer["PublicKey"]) for offer in offers]
    sha1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    sha256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    bring = dict(KeyId=key["KeyId"], ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert refused(kms.import_key_material, **bring, ImportToken=b"nobody's", EncryptedKeyMaterial=b"x")[0] == (
        "InvalidImportTokenException")
    assert refused(kms.import_key_material, **bring, ImportToken=offers[0]["ImportToken"],
                   EncryptedKeyMaterial=publics[1].encrypt(b"k" * 32, sha1))[0] == "InvalidCiphertextException"
    kms.import_key_material(**bring, ImportToken=offers[0]["ImportToken"],
                            EncryptedKeyMaterial=publics[0].encrypt(b"k" * 32, sha1))
    inner = b"a" * 32
    wrapped = publics[1].encrypt(inner, sha256) + keywrap.aes_key_wrap_with_padding(inner, b"n" * 32)
    kms.import_key_material(**bring, ImportToken=offers[1]["ImportToken"], EncryptedKeyMaterial=wrapped,
                            ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="the second")
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    shown = kms.list_key_rotations(KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [r["KeyMaterialState"] for r in shown] == ["NON_CURRENT", "CURRENT"]
    assert refused(kms.rotate_key_on_demand, KeyId=key["KeyId"]) == (
        "KMSInvalidStateException", f"No available key material pending rotation for the key: {key['Arn']}.")
