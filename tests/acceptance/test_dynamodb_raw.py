"""What DynamoDB says to bodies that no client would send: wrong types, bytes that are not base64, unknown operations."""
import http.client
import json
import re
import zlib

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERIALIZATION = "com.amazon.coral.service#SerializationException"
PACKAGE = "com.amazonaws.dynamodb.v20120810."
STRUCTURE = "Start of structure or map found where not expected"
PARAMETERIZED = (
    "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "
    "(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of "
    "loader 'bootstrap')")


def sent(cloud, data, **headers):
    """Status, headers and body of what is answered to a signed request with these headers."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest("POST", f"{cloud.endpoint}/", data=data, headers=headers)
    SigV4Auth(Credentials("test", "test"), "dynamodb", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("localhost", cloud.port)
    connection.request("POST", "/", data, dict(request.headers))
    answer = connection.getresponse()
    text = answer.read()
    assert answer.getheader("x-amz-crc32") == str(zlib.crc32(text))
    assert re.fullmatch("[A-Z0-9]{52}", answer.getheader("x-amzn-requestid"))
    return answer.status, dict(answer.getheaders()), text


def raw(cloud, operation, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, text = sent(
        cloud, data, Content_Type="application/x-amz-json-1.0", X_Amz_Target=f"DynamoDB_20120810.{operation}")
    return status, json.loads(text or b"{}")


def item(value):
    return {"TableName": "abc", "Item": {"a": value}}


@pytest.mark.parametrize("operation, body, message", [
    ("PutItem", {"TableName": 23}, "NUMBER_VALUE cannot be converted to String"),
    ("PutItem", {"TableName": 23.4}, "DECIMAL_VALUE cannot be converted to String"),
    ("PutItem", {"TableName": True}, "TRUE_VALUE cannot be converted to String"),
    ("PutItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
    ("PutItem", {"TableName": {}}, STRUCTURE),
    ("PutItem", {"Item": "a"}, "Unexpected field type"),
    ("PutItem", {"Item": []}, f"Unrecognized collection type java.util.Map<java.lang.String, {PACKAGE}AttributeValue>"),
    ("PutItem", item(23), "Unexpected value type in payload"),
    ("PutItem", item([]), f"Unrecognized collection type class {PACKAGE}AttributeValue"),
    ("PutItem", item({"SS": "a"}), "Unexpected field type"),
    ("PutItem", item({"SS": {}}), STRUCTURE),
    ("PutItem", item({"BOOL": "a"}), "Unexpected token received from parser"),
    ("PutItem", item({"BOOL": 1}), "NUMBER_VALUE cannot be converted to Boolean"),
    ("PutItem", item({"B": 1}), "only base-64-encoded strings are convertible to bytes"),
    ("PutItem", item({"B": []}), "Unrecognized collection type class java.nio.ByteBuffer"),
    ("PutItem", item({"B": "abc"}), "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
    ("PutItem", item({"BS": ["=+/="]}), "Invalid last non-pad Base64 character dectected"),
    ("PutItem", item({"L": [{"M": {"b": {"B": "a"}}}]}),
     "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
    ("PutItem", {"Expected": []},
     f"Unrecognized collection type java.util.Map<java.lang.String, {PACKAGE}ExpectedAttributeValue>"),
    ("PutItem", {"Expected": {"a": {"Value": 1}}}, "Unexpected field type"),
    ("PutItem", {"ExpressionAttributeNames": []},
     "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"),
    ("Query", {"KeyConditions": []}, f"Unrecognized collection type java.util.Map<java.lang.String, {PACKAGE}Condition>"),
    ("Scan", {"Limit": "1"}, "STRING_VALUE cannot be converted to Integer"),
    ("CreateTable", {"ProvisionedThroughput": {"ReadCapacityUnits": "1"}}, "STRING_VALUE cannot be converted to Long"),
    ("CreateTable", {"KeySchema": [[]]}, f"Unrecognized collection type class {PACKAGE}KeySchemaElement"),
    ("BatchGetItem", {"RequestItems": {"a": {"Keys": ["a"]}}}, PARAMETERIZED),
    ("BatchWriteItem", {"RequestItems": {"a": 1}}, PARAMETERIZED),
    ("BatchWriteItem", {"RequestItems": []},
     f"Unrecognized collection type java.util.Map<java.lang.String, java.util.List<{PACKAGE}WriteRequest>>"),
])
def test_wrong_types(cloud, operation, body, message):
    assert raw(cloud, operation, body) == (400, {"__type": SERIALIZATION, "Message": message})


def test_what_is_no_request(cloud):
    assert raw(cloud, "ListTables", {"Limit": 1.9})[0] == 200  # as 1
    whole = b'{"TableName": "abc", "Item": {"pk": {"S": "a"}}}'
    for end in range(len(whole)):
        assert raw(cloud, "PutItem", whole[:end]) == (400, {"__type": SERIALIZATION}), end
    assert raw(cloud, "NoSuchThing", {}) == (
        400, {"__type": "com.amazon.coral.service#UnknownOperationException"})


def test_what_is_no_call(cloud):
    unknown = {"__type": "com.amazon.coral.service#UnknownOperationException"}
    form = "application/x-amz-json-1.0"
    for target in ("DynamoDB_20120810", "DynamoDB_20120810.", "DynamoDB_20111205.ListTables", "X.ListTables", "ListTables"):
        status, headers, text = sent(cloud, b"{}", Content_Type=form, X_Amz_Target=target)
        assert (status, headers["content-type"], json.loads(text)) == (400, form, unknown), target
    assert json.loads(sent(cloud, b"{}", Content_Type=form)[2]) == unknown
    for other in ("application/x-amz-json-1.1", "text/plain", "application/x-www-form-urlencoded"):
        status, headers, text = sent(cloud, b"{}", Content_Type=other, X_Amz_Target="DynamoDB_20120810.ListTables")
        assert (status, text) == (404, b"<UnknownOperationException/>\n") and "content-type" not in headers
    for taken, answered in (("application/json", "application/json"), (f"{form}; charset=utf-8", form)):
        status, headers, _ = sent(cloud, b"{}", Content_Type=taken, X_Amz_Target="DynamoDB_20120810.ListTables")
        assert (status, headers["content-type"]) == (200, answered)
    for host, region in (("dynamodb.eu-west-1.amazonaws.com", "eu-west-1"), ("localhost", "us-east-1")):
        connection = http.client.HTTPConnection("localhost", cloud.port)
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, f"healthy: dynamodb.{region}.amazonaws.com ".encode())


@pytest.mark.parametrize("depth", [32, 50, 1000, 100000])
@pytest.mark.parametrize("begin, end", [('{"L":[', "]}"), ('{"M":{"a":', "}}")])
def test_what_nests_too_deep(cloud, depth, begin, end):
    inner = begin * depth + '{"S":"x"}' + end * depth
    body = f'{{"TableName":"abc","Item":{{"pk":{{"S":"a"}},"x":{inner}}}}}'.encode()
    assert raw(cloud, "PutItem", body) == (400, {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
                   "supported limit"})
    assert raw(cloud, "PutItem", body[:-1]) == (400, {"__type": SERIALIZATION})


@pytest.mark.parametrize("operation, body, message", [
    ("BatchWriteItem", {"RequestItems": {"abc": []}},
     "1 validation error detected: Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: Map value must "
     "satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or "
     "equal to 1]"),
    ("UpdateItem", {"TableName": "abc", "Key": {"a": {"S": "a"}}, "UpdateExpression": "a" * 4097},
     "1 validation error detected: Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"),
    ("Scan", {"TableName": "abc", "FilterExpression": "a" * 4097},
     "Invalid FilterExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"),
    ("PutItem", item({}), "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ("PutItem", {"TableName": "abc", "Item": {"": {"S": "a"}}}, "Empty attribute name"),
    ("PutItem", {"TableName": "abc", "Item": {"a" * 65536: {"S": "a"}}},
     "Attribute name is too large, must be less than 65536 bytes"),
    ("PutItem", item(None), "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ("PutItem", item({"L": [{"S": "a"}, None]}),
     "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ("TransactWriteItems", {"TransactItems": [None]},
     "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"),
    ("UpdateTable", {"TableName": "abc"},
     "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
     "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
     "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"),
])
def test_what_breaks_a_rule(cloud, operation, body, message):
    assert raw(cloud, operation, body) == (
        400, {"__type": "com.amazon.coral.validate#ValidationException", "message": message})
