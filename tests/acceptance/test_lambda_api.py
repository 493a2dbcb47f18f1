"""Lambda's answers, field by field, as AWS gives them."""
import json
import re

from botocore.exceptions import ClientError

from test_lambda import ECHO, create, lam, package, refused, role  # noqa: F401

RUNTIMES = (
    "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java17, nodejs16.x, java25, dotnet8, "
    "python3.10, java11, python3.11, dotnet6, java21, nodejs18.x, provided.al2, ruby3.3, ruby3.4, java8.al2, ruby3.2, python3.8, python3.9]"
)
STALE = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"


def test_what_creation_answers(lam, create, account):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    made = create(Environment={"Variables": {}})
    assert made.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made.pop("LastModified"))
    assert re.fullmatch(r"[0-9a-f-]{36}", made.pop("RevisionId"))
    assert made.pop("RuntimeVersionConfig")["RuntimeVersionArn"].startswith("arn:aws:lambda:us-east-1::runtime:")
    assert made.pop("CodeSize") == len(ECHO) and made.pop("CodeSha256").endswith("=")
    assert made == {
        "FunctionName": "f", "FunctionArn": arn, "Runtime": "python3.11", "Role": f"arn:aws:iam::{account}:role/function",
        "Handler": "index.handler", "Description": "", "Timeout": 3, "MemorySize": 128, "Version": "$LATEST",
        "Environment": {"Variables": {}}, "TracingConfig": {"Mode": "PassThrough"}, "State": "Pending",
        "StateReason": "The function is being created.", "StateReasonCode": "Creating", "PackageType": "Zip",
        "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
    }
    shown = lam.get_function(FunctionName="f")
    assert set(shown) == {"Configuration", "Code", "ResponseMetadata"}
    assert set(shown["Code"]) == {"RepositoryType", "Location"}
    configuration = shown["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in configuration and "LastUpdateStatusReason" not in configuration
    latest = lam.get_function_configuration(FunctionName="f", Qualifier="$LATEST")
    assert latest["FunctionArn"] == arn + ":$LATEST"
    for listed in (lam.list_functions()["Functions"], lam.list_functions(FunctionVersion="ALL")["Functions"]):
        assert "State" not in listed[0] and "LastUpdateStatus" not in listed[0] and "RuntimeVersionConfig" not in listed[0]
    assert lam.list_functions(FunctionVersion="ALL")["Functions"][0]["FunctionArn"] == arn + ":$LATEST"


def test_revisions_change_with_what_can_be_seen(lam, create):
    made = create()
    revisions = [made["RevisionId"]]

    def now():
        revision = lam.get_function(FunctionName="f")["Configuration"]["RevisionId"]
        assert revision not in revisions
        revisions.append(revision)
        return revision

    first = now()
    lam.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", RevisionId=first)
    second = now()
    assert lam.get_policy(FunctionName="f")["RevisionId"] == second
    for call in (lam.update_function_configuration, lam.publish_version):
        assert refused("PreconditionFailedException", call, FunctionName="f", RevisionId=first) == STALE
    assert refused("PreconditionFailedException", lam.remove_permission, FunctionName="f", StatementId="s", RevisionId=first) == STALE
    lam.remove_permission(FunctionName="f", StatementId="s", RevisionId=second)
    now()
    version = lam.publish_version(FunctionName="f")
    assert version["State"] == "Pending" and "LastUpdateStatus" not in version
    now()
    lam.update_function_configuration(FunctionName="f", Timeout=9)
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    now()


def test_what_is_published_once(lam, create):
    create(Description="d")
    assert lam.publish_version(FunctionName="f", Description="one")["Version"] == "1"
    again = lam.publish_version(FunctionName="f", Description="another")
    assert (again["Version"], again["Description"]) == ("1", "one")
    lam.update_function_configuration(FunctionName="f", Description="e")
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert lam.publish_version(FunctionName="f")["Description"] == "e"
    message = refused("InvalidParameterValueException", lam.publish_version, FunctionName="f", CodeSha256="x")
    assert message.startswith("CodeSHA256 (x) is different from current CodeSHA256 in $LATEST (")


def test_creation_with_publication(lam, role):
    made = lam.create_function(
        FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role(), Code={"ZipFile": ECHO}, Publish=True,
    )
    assert made["Version"] == "1"
    lam.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert lam.publish_version(FunctionName="f")["Version"] == "1"


def test_words_of_refusals(lam, create, role, account, client):
    create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:"
    bare = client("lambda", parameter_validation=False)
    base = dict(Runtime="python3.11", Handler="index.handler", Role=role("other"), Code={"ZipFile": ECHO})
    invalid = "InvalidParameterValueException"
    for runtime in ("python2.7", "nodejs10.x", "cobol"):
        message = refused(invalid, bare.create_function, FunctionName="g", **{**base, "Runtime": runtime})
        assert message == f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: {RUNTIMES} or be a valid ARN"
    message = refused(invalid, lam.create_function, FunctionName="x" * 65, **base)
    assert message.endswith("failed to satisfy constraint: Member must have length less than or equal to 64")
    message = refused("ValidationException", lam.create_function, FunctionName="g", Architectures=["x86_64", "arm64"], **base)
    assert message == "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1"
    message = refused("ValidationException", lam.create_function, FunctionName="g", **{**base, "Role": "r"})
    assert message.startswith("1 validation error detected: Value 'r' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:")
    message = refused(invalid, lam.create_function, FunctionName="g", SnapStart={"ApplyOn": "PublishedVersions"}, **base)
    assert message == "python3.11 is not supported for SnapStart enabled functions."
    message = refused(invalid, lam.create_function, FunctionName="g", Environment={"Variables": {"AA": "x" * 4096}}, **base)
    assert message.startswith("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {")
    message = refused("RequestEntityTooLargeException", lam.create_function, FunctionName="g", **{**base, "Code": {"ZipFile": b"x" * 52428801}})
    assert message == "Zipped size must be smaller than 52428800 bytes"
    for call, found in (
        (lambda: lam.get_function(FunctionName="none"), arn + "none"),
        (lambda: lam.get_function(FunctionName="none:1"), arn + "none:1"),
        (lambda: lam.get_function(FunctionName="f", Qualifier="live"), arn + "f:live"),
        (lambda: lam.get_function_configuration(FunctionName="f", Qualifier="9"), arn + "f:9"),
        (lambda: lam.invoke(FunctionName="none"), arn + "none"),
        (lambda: lam.delete_function(FunctionName="none"), arn + "none"),
        (lambda: lam.update_function_code(FunctionName="none", ZipFile=ECHO), arn + "none"),
        (lambda: lam.put_function_concurrency(FunctionName="none", ReservedConcurrentExecutions=1), arn + "none:$LATEST"),
        (lambda: lam.get_policy(FunctionName="none"), arn + "none"),
    ):
        assert refused("ResourceNotFoundException", lambda: call()) == f"Function not found: {found}"
    assert refused(invalid, lam.delete_function, FunctionName="f", Qualifier="$LATEST") == "$LATEST version cannot be deleted without deleting the function."
    assert refused(invalid, lam.update_function_code, FunctionName="f", ImageUri="x") == "Please don't provide ImageUri when updating a function with packageType Zip."
    assert refused("ResourceNotFoundException", lam.remove_permission, FunctionName="none", StatementId="s") == f"No policy found for: {arn}none"
    assert refused("ResourceNotFoundException", lam.remove_permission, FunctionName="f", StatementId="s") == "No policy is associated with the given resource."
    assert refused("ResourceNotFoundException", lam.update_alias, FunctionName="f", Name="live") == f"Alias not found: {arn}f:live"
    assert refused(invalid, lam.add_permission, FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="nobody") == "The provided principal was invalid. Please check the principal and try again."
    message = refused(invalid, lam.add_permission, FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="*", Qualifier="$LATEST")
    assert message == "We currently do not support adding policies for $LATEST."
    message = refused("ResourceNotFoundException", lam.add_permission, FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="*", Qualifier="live")
    assert message == f"Cannot find alias arn: {arn}f:live"
    message = refused("ValidationException", bare.create_alias, FunctionName="f", Name="123", FunctionVersion="$LATEST")
    assert message == "1 validation error detected: Value '123' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
    assert refused("ResourceNotFoundException", lam.list_tags, Resource=arn + "none") == f"Function not found: {arn}none"
    wrong = arn.replace("us-east-1", "eu-west-1") + "f"
    assert refused("ResourceNotFoundException", lam.get_function, FunctionName=wrong) == "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    stranger = str((int(account) + 400_001) % 10**12).zfill(12)
    foreign = client("lambda", account=stranger)
    message = refused("AccessDeniedException", foreign.get_function, FunctionName=arn + "f")
    assert message.startswith(f"User: arn:aws:iam::{stranger}:root is not authorized to perform: lambda:GetFunction on resource: {arn}f")


def test_event_configurations(lam, create, account, client):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:"
    create()
    create("g")
    put, invalid = lam.put_function_event_invoke_config, "InvalidParameterValueException"
    assert refused(invalid, put, FunctionName="f") == "You must specify at least one of error handling or destination setting."
    assert refused("ResourceNotFoundException", put, FunctionName="none", MaximumRetryAttempts=1) == "The function doesn't exist."
    fail = lambda arn: {"OnFailure": {"Destination": arn}}  # noqa: E731
    assert refused(invalid, put, FunctionName="f", DestinationConfig=fail(arn + "f")) == "You can't specify the function as a destination for itself."
    assert refused(invalid, put, FunctionName="f", DestinationConfig=fail(arn + "no")) == f"The destination ARN {arn}no is invalid."
    role = f"arn:aws:iam::{account}:role/r"
    message = refused(invalid, put, FunctionName="f", DestinationConfig=fail(role))
    assert message == f"The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination={role})) is invalid."
    message = refused(invalid, put, FunctionName="f", DestinationConfig=fail(arn + "g"))
    assert message == f"The function's execution role does not have permissions to call InvokeFunction on {arn}g"
    for service, action, call, target in (
        ("sqs", "sqs:SendMessage", "SendMessage", f"arn:aws:sqs:us-east-1:{account}:q"),
        ("sns", "sns:Publish", "Publish", f"arn:aws:sns:us-east-1:{account}:t"),
        ("events", "events:PutEvents", "PutEvents", f"arn:aws:events:us-east-1:{account}:event-bus/b"),
        ("s3", "s3:PutObject", "PutObject", "arn:aws:s3:::bucket"),
    ):
        message = refused(invalid, put, FunctionName="f", DestinationConfig=fail(target))
        assert message == f"The function's execution role does not have permissions to call {call} on {target}"
        if service in ("sqs", "sns"):
            message = refused(invalid, lam.update_function_configuration, FunctionName="f", DeadLetterConfig={"TargetArn": target})
            assert message == f"The provided execution role does not have permissions to call {call} on {service.upper()}"
        may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action, "lambda:InvokeFunction"], "Resource": "*"}]}
        client("iam").put_role_policy(RoleName="function", PolicyName=service, PolicyDocument=json.dumps(may))
        assert put(FunctionName="f", DestinationConfig=fail(target))["DestinationConfig"]["OnFailure"] == {"Destination": target}
        if service == "sqs":
            changed = lam.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": target})
            assert changed["DeadLetterConfig"] == {"TargetArn": target}
    assert put(FunctionName="f", MaximumRetryAttempts=1)["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    changed = lam.update_function_event_invoke_config(FunctionName="f", DestinationConfig=fail(arn + "g"))
    assert changed["MaximumRetryAttempts"] == 1 and changed["DestinationConfig"]["OnFailure"] == {"Destination": arn + "g"}
    assert "MaximumEventAgeInSeconds" not in changed
    lam.delete_function_event_invoke_config(FunctionName="f")
    message = refused("ResourceNotFoundException", lam.get_function_event_invoke_config, FunctionName="f")
    assert message == f"The function {arn}f:$LATEST doesn't have an EventInvokeConfig"


def test_code_signing(lam, create, role, account):
    profile = f"arn:aws:signer:us-east-1:{account}:/signing-profiles/p/abcdefghij"
    made = lam.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [profile]}, Description="d")
    config = made["CodeSigningConfig"]
    arn = config["CodeSigningConfigArn"]
    assert re.fullmatch(r"csc-[0-9a-f]{17}", config["CodeSigningConfigId"]) and arn.endswith(config["CodeSigningConfigId"])
    assert config["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    create(CodeSigningConfigArn=arn)
    assert lam.get_function_code_signing_config(FunctionName="f")["CodeSigningConfigArn"] == arn
    assert lam.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"] == [f"arn:aws:lambda:us-east-1:{account}:function:f"]
    refused("ResourceConflictException", lam.delete_code_signing_config, CodeSigningConfigArn=arn)
    changed = lam.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"})
    assert changed["CodeSigningConfig"]["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Enforce"}
    refused("CodeVerificationFailedException", lam.update_function_code, FunctionName="f", ZipFile=package("x = 2\n"))
    lam.delete_function_code_signing_config(FunctionName="f")
    lam.update_function_code(FunctionName="f", ZipFile=package("x = 2\n"))
    missing = arn[:-17] + "0" * 17
    message = refused("CodeSigningConfigNotFoundException", lam.put_function_code_signing_config, FunctionName="f", CodeSigningConfigArn=missing)
    assert message == f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {missing}."
    message = refused("ResourceNotFoundException", lam.get_code_signing_config, CodeSigningConfigArn=missing)
    assert message == f"The Lambda code signing configuration {missing} can not be found."
    assert [c["CodeSigningConfigArn"] for c in lam.list_code_signing_configs()["CodeSigningConfigs"]] == [arn]
    lam.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert lam.list_code_signing_configs()["CodeSigningConfigs"] == []


def test_layers_in_words(lam, create, account):
    layer = lam.publish_layer_version(LayerName="l", Content={"ZipFile": package("x = 1\n", "python/m.py")})
    arn = layer["LayerVersionArn"]
    create()
    update, invalid = lam.update_function_configuration, "InvalidParameterValueException"
    assert refused(invalid, update, FunctionName="f", Layers=[arn[:-1] + "7"]) == f"Layer version {arn[:-1]}7 does not exist."
    assert refused(invalid, update, FunctionName="f", Layers=[arn.replace("us-east-1", "eu-west-1")]) == (
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
    )
    lam.publish_layer_version(LayerName="l", Content={"ZipFile": package("x = 2\n", "python/m.py")})
    second = arn[:-1] + "2"
    assert refused(invalid, update, FunctionName="f", Layers=[arn, second]) == (
        f"Two different versions of the same layer are not allowed to be referenced in the same function. {arn} and {second} are versions of the same layer."
    )
    assert refused("ResourceNotFoundException", lam.get_layer_version_policy, LayerName="l", VersionNumber=9) == f"Layer version {arn[:-1]}9 does not exist."
    assert refused("ResourceNotFoundException", lam.get_layer_version_policy, LayerName="l", VersionNumber=1) == "No policy is associated with the given resource."
    lam.add_layer_version_permission(LayerName="l", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal="*")
    message = refused("ResourceNotFoundException", lam.remove_layer_version_permission, LayerName="l", VersionNumber=1, StatementId="t")
    assert message == "Statement t is not found in resource policy."
    message = refused("PreconditionFailedException", lam.remove_layer_version_permission, LayerName="l", VersionNumber=1, StatementId="s", RevisionId="x")
    assert "Call the GetLayerPolicy API" in message
    try:
        lam.get_layer_version(LayerName="l", VersionNumber=0)
        raise AssertionError("version 0 was found")
    except ClientError as error:
        assert error.response["Error"]["Message"] == "Layer Version Cannot be less than 1"


def test_policies_as_whole_documents(lam, create, account, client):
    import json

    create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    if not hasattr(lam, "put_resource_policy"):
        import pytest
        pytest.skip("this boto3 does not know resource policies")
    stranger = str((int(account) + 400_001) % 10**12).zfill(12)
    statement = {
        "Sid": "them", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{stranger}:root"},
        "Action": "lambda:InvokeFunction", "Resource": arn,
    }
    foreign = client("lambda", account=stranger)
    refused("AccessDeniedException", foreign.invoke, FunctionName=arn)
    put = lam.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert json.loads(put["Policy"])["Statement"] == [statement]
    assert foreign.invoke(FunctionName=arn)["StatusCode"] == 200
    assert lam.get_policy(FunctionName="f")["RevisionId"] == put["RevisionId"] == lam.get_resource_policy(ResourceArn=arn)["RevisionId"]
    refused("InvalidParameterValueException", lam.put_resource_policy, ResourceArn=arn, Policy="{}")
    lam.delete_resource_policy(ResourceArn=arn)
    refused("ResourceNotFoundException", lam.get_resource_policy, ResourceArn=arn)
    refused("AccessDeniedException", foreign.invoke, FunctionName=arn)


def test_layers_of_others(lam, create, account, client):
    stranger = str((int(account) + 400_001) % 10**12).zfill(12)
    theirs = client("lambda", account=stranger)
    layer = theirs.publish_layer_version(LayerName="l", Content={"ZipFile": package("WORD = 'shared'\n", "python/m.py")})["LayerVersionArn"]
    create(code=package("import m\ndef handler(e, c):\n    return m.WORD\n"), Handler="index.handler")
    message = refused("AccessDeniedException", lam.update_function_configuration, FunctionName="f", Layers=[layer])
    assert message.endswith("because no resource-based policy allows the lambda:GetLayerVersion action")
    theirs.add_layer_version_permission(LayerName="l", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=account)
    lam.update_function_configuration(FunctionName="f", Layers=[layer])
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert lam.invoke(FunctionName="f")["Payload"].read() == b'"shared"'


def test_events_for_a_function_that_may_not_run(lam, create, client):
    import json

    from test_lambda import LOGS, lines

    both = {**LOGS, "Statement": [LOGS["Statement"][0], {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}]}
    create("told")
    client("iam").put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=json.dumps(both))
    create("f")
    arn = lam.get_function(FunctionName="told")["Configuration"]["FunctionArn"]
    lam.put_function_event_invoke_config(FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}})
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    lam.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")
    assert lines(client, "told", "ZeroReservedConcurrency")


def test_words_about_lists_and_sets(lam, create, role, client):
    create()
    bare = client("lambda", parameter_validation=False)
    content = {"ZipFile": ECHO}
    invalid = "ValidationException"
    message = refused(invalid, bare.update_function_code, FunctionName="f", ZipFile=ECHO, Architectures=["sparc"])
    assert message == (
        "1 validation error detected: Value '[sparc]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
    )
    message = refused(
        invalid, bare.publish_layer_version, LayerName="l", Content=content, CompatibleRuntimes=["a", "b"], CompatibleArchitectures=["c"],
    )
    assert message.startswith("2 validation errors detected: ")
    assert f"Value '[a, b]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy enum value set: {RUNTIMES}" in message
    assert (
        "Value '[c]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [x86_64, arm64]]"
    ) in message
    message = refused(invalid, bare.create_function_url_config, FunctionName="f", AuthType="NONE", InvokeMode="UNKNOWN")
    assert message == (
        "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value set: "
        "[RESPONSE_STREAM, BUFFERED]"
    )
    message = refused("RequestEntityTooLargeException", lam.create_function, FunctionName="g", Runtime="python3.11", Handler="h.h",
                      Role=role("large"), Code={"ZipFile": b"x" * 53_000_000})
    assert message == "Request must be smaller than 70167211 bytes for the CreateFunction operation"


def test_of_two_layers_with_one_file_the_later_wins(lam, create):
    arns = [
        lam.publish_layer_version(LayerName=name, Content={"ZipFile": package(f"WORD = '{name}'\n", "python/m.py")})["LayerVersionArn"]
        for name in ("first", "second")
    ]
    create(code=package("import m\ndef handler(e, c):\n    return m.WORD\n"), Layers=arns)
    assert lam.invoke(FunctionName="f")["Payload"].read() == b'"second"'
    create("g", code=package("import m\ndef handler(e, c):\n    return m.WORD\n"), Layers=arns[::-1])
    assert lam.invoke(FunctionName="g")["Payload"].read() == b'"first"'
    assert [l["Arn"] for l in lam.get_function_configuration(FunctionName="g")["Layers"]] == arns[::-1]  # noqa: E741


def test_variables_under_a_key(lam, create, client, account):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    message = refused(
        "InvalidParameterValueException", create, KMSKeyArn=key[:-4] + "0000", Environment={"Variables": {"AA": "1"}}
    )
    assert message.startswith("Lambda was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant.")
    made = create(KMSKeyArn=key, Environment={"Variables": {"AA": "1"}})
    assert made["KMSKeyArn"] == key and made["Environment"] == {"Variables": {"AA": "1"}}
    assert kms.list_grants(KeyId=key)["Grants"][0]["Operations"] == ["Decrypt"]
    assert lam.invoke(FunctionName="f", Payload=b"1")["StatusCode"] == 200
    kms.disable_key(KeyId=key)
    message = refused("KMSDisabledException", lam.invoke, FunctionName="f")
    assert message.startswith("Lambda was unable to decrypt the environment variables because the KMS key is disabled.")
    lam.update_function_configuration(FunctionName="f", KMSKeyArn="")
    assert "KMSKeyArn" not in lam.get_function_configuration(FunctionName="f")
    assert lam.invoke(FunctionName="f", Payload=b"1")["StatusCode"] == 200


def test_the_limits_of_a_function(lam, create, role, client, account):
    bare = client("lambda", parameter_validation=False)
    base = dict(FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role(), Code={"ZipFile": ECHO})
    point = f"arn:aws:elasticfilesystem:us-east-1:{account}:access-point/fsap-" + "0" * 17
    pattern = "failed to satisfy constraint: Member must"
    for code, more, words in (
        ("ValidationException", {"Timeout": 901}, f"Value '901' at 'timeout' {pattern} have value less than or equal to 900"),
        ("ValidationException", {"MemorySize": 10241}, f"Value '10241' at 'memorySize' {pattern} have value less than or equal to 10240"),
        ("ValidationException", {"EphemeralStorage": {"Size": 10241}}, f"Value '10241' at 'ephemeralStorage.size' {pattern} have value less than or equal to 10240"),
        ("ValidationException", {"Environment": {"Variables": {"1": "x"}}},
         "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: "
         "[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"),
        ("ValidationException", {"VpcConfig": {"SubnetIds": ["bad"], "SecurityGroupIds": []}},
         f"Value '[bad]' at 'vpcConfig.subnetIds' {pattern} satisfy constraint: [Member must have length less than or equal to 1024, Member "
         "must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*, Member must not be null]"),
        ("InvalidParameterValueException", {"FileSystemConfigs": [{"Arn": point, "LocalMountPath": "/mnt/x"}]},
         f"Function must be configured to execute in a VPC to reference access point {point}"),
    ):
        message = refused(code, bare.create_function, **base, **more)
        assert message == ("1 validation error detected: " if code == "ValidationException" else "") + words


def test_names_of_aliases_and_their_weights(lam, create, client):
    create()
    lam.publish_version(FunctionName="f")
    bare = client("lambda", parameter_validation=False)
    for name in ("a b", "$LATEST", "123"):
        message = refused("ValidationException", bare.create_alias, FunctionName="f", Name=name, FunctionVersion="1")
        assert message == (
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
        )
    start = "1 validation error detected: Value '{%s}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map "
    for weights, shown, words in (
        ({"$LATEST": 0.5}, "$LATEST=0.5", "keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must "
         "have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"),
        ({"2": 1.5}, "2=1.5", "value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value "
         "greater than or equal to 0.0, Member must not be null]"),
    ):
        config = {"AdditionalVersionWeights": weights}
        message = refused("ValidationException", bare.create_alias, FunctionName="f", Name="a", FunctionVersion="1", RoutingConfig=config)
        assert message == start % shown + words, message


def test_who_a_permission_may_name(lam, create, client, account):
    create()
    add = dict(FunctionName="f", Action="lambda:InvokeFunction")
    message = refused("InvalidParameterValueException", lam.add_permission, StatementId="s", Principal=f"arn:aws:iam::{account}:role/none", **add)
    assert message == "The provided principal was invalid. Please check the principal and try again."
    user = client("iam").create_user(UserName="u")["User"]["Arn"]
    made = json.loads(lam.add_permission(StatementId="user", Principal=user, **add)["Statement"])
    assert made["Principal"] == {"AWS": user}
    made = json.loads(lam.add_permission(StatementId="skill", Principal="alexa-appkit.amazon.com", EventSourceToken="amzn1.x", **add)["Statement"])
    assert made["Principal"] == {"Service": "alexa-appkit.amazon.com"}
    assert made["Condition"] == {"StringEquals": {"lambda:EventSourceToken": "amzn1.x"}}


def test_a_dry_run_changes_nothing(lam, create):
    create()
    before = lam.get_function_configuration(FunctionName="f")
    code = package("x = 1\n")
    dry = lam.update_function_code(FunctionName="f", ZipFile=code, DryRun=True)
    assert dry["CodeSize"] == len(code) and dry["CodeSha256"] != before["CodeSha256"]
    assert (dry["RevisionId"], dry["LastUpdateStatus"]) == (before["RevisionId"], "Successful")
    after = lam.get_function_configuration(FunctionName="f")
    assert after["CodeSha256"] == before["CodeSha256"] and after["RevisionId"] == before["RevisionId"]


def test_the_room_for_code(new_cloud):
    from test_lambda import TRUST

    cloud = new_cloud("--ephemeral", "--code-storage", str(len(ECHO) * 3))
    lam = cloud.client("lambda")
    arn = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    base = dict(Runtime="python3.11", Handler="index.handler", Role=arn, Code={"ZipFile": ECHO})
    lam.create_function(FunctionName="f", **base)
    lam.publish_version(FunctionName="f")
    assert lam.get_account_settings()["AccountUsage"]["TotalCodeSize"] == 2 * len(ECHO)
    assert lam.get_account_settings()["AccountLimit"]["TotalCodeSize"] == 3 * len(ECHO)
    full = "CodeStorageExceededException"
    assert refused(full, lam.create_function, FunctionName="g", Publish=True, **base) == "Code storage limit exceeded."
    lam.create_function(FunctionName="g", **base)
    refused(full, lam.create_function, FunctionName="h", **base)
    refused(full, lam.publish_version, FunctionName="g")
    refused(full, lam.publish_layer_version, LayerName="l", Content={"ZipFile": ECHO})
    refused(full, lam.update_function_code, FunctionName="g", ZipFile=package("x = 1\n" * 50))
    lam.delete_function(FunctionName="f", Qualifier="1")
    lam.publish_layer_version(LayerName="l", Content={"ZipFile": ECHO})


def test_the_account_limit_of_concurrency(new_cloud):
    from concurrent.futures import ThreadPoolExecutor

    from test_lambda import TRUST

    cloud = new_cloud("--ephemeral", "--account-concurrency", "1")
    lam = cloud.client("lambda")
    arn = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    code = package("import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n")
    lam.create_function(
        FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=arn, Code={"ZipFile": code}, Timeout=60
    )
    limit = lam.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (1, 1)
    message = refused(
        "InvalidParameterValueException", lam.put_function_concurrency,
        FunctionName="f", ReservedConcurrentExecutions=1,
    )
    assert message.endswith("below its minimum value of [1].")
    throttled = lam.exceptions.TooManyRequestsException

    def slow():
        """Has the one place for a while, as soon as nobody else has it."""
        other = cloud.client("lambda")
        while True:
            try:
                return other.invoke(FunctionName="f", Payload=b"3")["StatusCode"]
            except other.exceptions.TooManyRequestsException:
                pass

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(slow)
        while not running.done():
            try:
                lam.invoke(FunctionName="f", Payload=b"0")
            except throttled as error:
                assert error.response["Reason"] == "ConcurrentInvocationLimitExceeded"
                assert error.response["Error"]["Message"] == "Rate Exceeded."
                break
        else:
            raise AssertionError("nothing was throttled")
        assert running.result() == 200
    assert lam.invoke(FunctionName="f", Payload=b"0")["Payload"].read() == b"0"
