"""What DynamoDB says to calls on items that it refuses, each in its own words, and in which order it looks."""
import pytest

from test_dynamodb_raw import raw

PARAMETERS = "One or more parameter values were invalid: "
FRAME = "1 validation error detected: "
EMPTY_KEY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {} value. Key: {}"
NOT_THE_SCHEMA = "The provided key element does not match the schema"
HERE = "Value {} at '{}' failed to satisfy constraint: "
S = lambda text: {"S": text}
N = lambda number: {"N": str(number)}
A = {"pk": S("a")}
P = {":p": S("a")}


@pytest.fixture(scope="module")
def tables(cloud):
    """`hash` has the key `pk`, `both` has `pk` and `sk` and indexes: `gsi` on `g`, of keys alone, and `lsi` on `l`."""
    ddb = cloud.client("dynamodb")
    keys = lambda *names: [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"))]
    define = lambda names: [{"AttributeName": name, "AttributeType": "S"} for name in names]
    ddb.create_table(TableName="refusals-hash", KeySchema=keys("pk"), AttributeDefinitions=define(["pk"]),
                     BillingMode="PAY_PER_REQUEST")
    index = lambda name, schema: {
        "IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    ddb.create_table(
        TableName="refusals-both", KeySchema=keys("pk", "sk"), AttributeDefinitions=define(["pk", "sk", "g", "l"]),
        BillingMode="PAY_PER_REQUEST", GlobalSecondaryIndexes=[index("gsi", keys("g"))],
        LocalSecondaryIndexes=[index("lsi", keys("pk", "l"))])
    ddb.put_item(TableName="refusals-hash", Item={
        **A, "n": N(5), "s": S("hello"), "ss": {"SS": ["a", "b"]}, "l": {"L": [N(1), N(2)]}, "m": {"M": {"x": N(1)}}})
    for n in range(3):
        ddb.put_item(TableName="refusals-both", Item={**A, "sk": S(str(n)), "g": S("g"), "l": S("l"), "x": S("x")})
    yield
    for table in ("refusals-hash", "refusals-both"):
        ddb.delete_table(TableName=table)


def refused(cloud, operation, body, message, code="com.amazon.coral.validate#ValidationException"):
    assert raw(cloud, operation, body) == (400, {"__type": code, "message": message})


def on(name, **body):
    return {"TableName": f"refusals-{name}", **body}


def put(message, name="hash", **body):
    return "PutItem", on(name, **{"Item": A, **body}), message


def nested(depth):
    return {"M": {"a": nested(depth - 1)}} if depth else S("x")


@pytest.mark.parametrize("operation, body, message", [
    ("PutItem", {}, f"2 validation errors detected: {HERE.format('null', 'tableName')}Member must not be null; "
                    f"{HERE.format('null', 'item')}Member must not be null"),
    put(PARAMETERS + "Missing the key pk in the item", Item={}),
    put(PARAMETERS + "Missing the key sk in the item", "both"),
    put(PARAMETERS + "Type mismatch for key pk expected: S actual: N", Item={"pk": N(1)}),
    put(PARAMETERS + "Type mismatch for key pk expected: S actual: NULL", Item={"pk": {"NULL": True}}),
    put(EMPTY_KEY.format("string", "pk"), Item={"pk": S("")}),
    put(PARAMETERS + "Size of hashkey has exceeded the maximum size limit of2048 bytes", Item={"pk": S("a" * 2049)}),
    put(PARAMETERS + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes", "both",
        Item={**A, "sk": S("a" * 1025)}),
    put(PARAMETERS + "Type mismatch for Index Key g Expected: S Actual: N IndexName: gsi", "both",
        Item={**A, "sk": S("a"), "g": N(1)}),
    put("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        "AttributeValue for a key attribute cannot contain an empty string value. IndexName: gsi, IndexKey: g", "both",
        Item={**A, "sk": S("a"), "g": S("")}),
    put("Item size has exceeded the maximum allowed size", Item={**A, "x": S("a" * (400 * 1024 - 3))}),
    put("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
        Item={**A, "x": {"S": "a", "N": "1"}}),
    put(FRAME + PARAMETERS + "An string set  may not be empty", Item={**A, "x": {"SS": []}}),
    put(FRAME + PARAMETERS + "Input collection [a, a] contains duplicates.", Item={**A, "x": {"SS": ["a", "a"]}}),
    put(FRAME + PARAMETERS + "Null attribute value types must have the value of true", Item={**A, "x": {"NULL": False}}),
    put("The parameter cannot be converted to a numeric value: 1_0", Item={**A, "x": N("1_0")}),
    put("The parameter cannot be converted to a numeric value", Item={**A, "x": N("")}),
    put("Attempting to store more than 38 significant digits in a Number", Item={**A, "x": N("1" * 39)}),
    put("Number overflow. Attempting to store a number with magnitude larger than supported range",
        Item={**A, "x": N("1e126")}),
    put("Number underflow. Attempting to store a number with magnitude smaller than supported range",
        Item={**A, "x": N("1e-131")}),
    put("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
        Item={**A, "x": nested(32)}),
    put(FRAME + "ReturnValues can only be ALL_OLD or NONE", ReturnValues="ALL_NEW"),
    put(FRAME + HERE.format("'x'", "returnValues") + "Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, "
        "NONE, UPDATED_NEW]", ReturnValues="x"),
    put(FRAME + "Can not use both expression and non-expression parameters in the same request: Non-expression "
        "parameters: {Expected} Expression parameters: {ConditionExpression}",
        Expected={"a": {"Exists": False}}, ConditionExpression="attribute_exists(a)"),
    put(FRAME + "ExpressionAttributeNames can only be specified when using expressions",
        ExpressionAttributeNames={"#a": "a"}),
    put(FRAME + "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        ExpressionAttributeValues=P),
    put(FRAME + "Value provided in ExpressionAttributeValues unused in expressions: keys: {:p}",
        ConditionExpression="attribute_exists(a)", ExpressionAttributeValues=P),
    ("GetItem", on("hash", Key={"pk": N(1)}), NOT_THE_SCHEMA),
    ("GetItem", on("hash", Key={**A, "x": S("a")}), NOT_THE_SCHEMA),
    ("GetItem", on("both", Key=A), NOT_THE_SCHEMA),
    ("GetItem", on("hash", Key={"pk": S("")}), EMPTY_KEY.format("string", "pk")),
    ("GetItem", on("hash", Key=A, ProjectionExpression="a, a.b"),
     "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these "
     "paths; path one: [a], path two: [a, b]"),
    ("GetItem", on("hash", Key=A, AttributesToGet=["a", "a"]), PARAMETERS + "Duplicate value in attribute name: a"),
    ("GetItem", on("hash", Key=A, ProjectionExpression="pk.a"),
     "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk"),
    ("DeleteItem", on("hash", Key=A, ReturnValues="ALL_NEW"), "ReturnValues can only be ALL_OLD or NONE"),
    ("DeleteItem", on("hash", Key=A, Expected={"a": {}}),
     PARAMETERS + "Value must be provided when Exists is null for Attribute: a"),
    ("DeleteItem", on("hash", Key=A, Expected={"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [N(1)]}}),
     PARAMETERS + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
])
def test_items(cloud, tables, operation, body, message):
    refused(cloud, operation, body, message)


@pytest.mark.parametrize("expression, message", [
    ("SET a", 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "a"'),
    ("SET a = :v SET b = :v", 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
    ("SET name = :v", "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: name"),
    ("SET a.b = :v, a[0] = :v",
     "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; "
     "path one: [a, b], path two: [a, [0]]"),
    ("SET #a = :v", "Invalid UpdateExpression: An expression attribute name used in the document path is not defined; "
                    "attribute name: #a"),
    ("ADD s :s", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: "
                 "STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
    ("SET a = list_append(l, :v)", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator "
                                   "or function: list_append, operand type: N"),
    ("SET a = size(l)", "Invalid UpdateExpression: The function is not allowed in an update expression; function: size"),
])
def test_updates_that_are_no_updates(cloud, tables, expression, message):
    values = {name: value for name, value in {":v": N(1), ":s": S("x")}.items() if name in expression}
    body = on("hash", Key=A, UpdateExpression=expression, **({"ExpressionAttributeValues": values} if values else {}))
    refused(cloud, "UpdateItem", body, FRAME + message)


@pytest.mark.parametrize("name, expression, message", [
    ("hash", "SET pk = :v", PARAMETERS + "Cannot update attribute pk. This attribute is part of the key"),
    ("hash", "REMOVE pk", PARAMETERS + "Cannot update attribute pk. This attribute is part of the key"),
    ("hash", "SET a = a + :v", "The provided expression refers to an attribute that does not exist in the item"),
    ("hash", "SET a = s + :v", "An operand in the update expression has an incorrect data type"),
    ("hash", "SET a = list_append(l, n)", "An operand in the update expression has an incorrect data type"),
    ("hash", "ADD ss :v", "An operand in the update expression has an incorrect data type"),
    ("hash", "SET zz.y = :v", "The document path provided in the update expression is invalid for update"),
    ("hash", "SET m[0] = :v", "The document path provided in the update expression is invalid for update"),
    ("hash", "REMOVE s.x", "The document path provided in the update expression is invalid for update"),
    ("hash", "SET x = :long", "Item size to update has exceeded the maximum allowed size"),
    ("both", "SET g = :v", PARAMETERS + "Type mismatch for Index Key g Expected: S Actual: N IndexName: gsi"),
    ("both", "SET g = if_not_exists(zz, :v)",
     "The update expression attempted to update the secondary index key to unsupported type"),
    ("both", "SET l = :long", "The update expression attempted to update the secondary index key beyond allowed size limits"),
    ("both", "SET g = :none",
     "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
     "value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."),
])
def test_updates_that_cannot_be(cloud, tables, name, expression, message):
    given = {":v": N(1), ":long": S("x" * (400 * 1024 if name == "hash" else 2049)), ":none": S("")}
    values = {key: value for key, value in given.items() if key in expression}
    key = A if name == "hash" else {**A, "sk": S("0")}
    more = {"ExpressionAttributeValues": values} if values else {}
    refused(cloud, "UpdateItem", on(name, Key=key, UpdateExpression=expression, **more), message)
    # In a transaction the same is the reason that it was cancelled.
    status, answer = raw(cloud, "TransactWriteItems", {
        "TransactItems": [{"Update": on(name, Key=key, UpdateExpression=expression, **more)}]})
    assert (status, answer["CancellationReasons"]) == (400, [{"Code": "ValidationError", "Message": message}])


def query(condition, message, name="both", **body):
    values = {":p": S("a"), ":s": S("1"), ":t": S("2"), ":n": N(1), ":empty": S(""), ":long": S("x" * 2049)}
    text = " ".join([condition, *(str(v) for v in body.values())])
    used = {key: value for key, value in values.items() if key in text}
    return on(name, KeyConditionExpression=condition, **({"ExpressionAttributeValues": used} if used else {}), **body), message


IN_KEY = "Invalid KeyConditionExpression: "


@pytest.mark.parametrize("body, message", [
    (on("both"), "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    query("pk < :p", "Query key condition not supported"),
    query("sk = :s", "Query condition missed key schema element: pk"),
    query("pk = :p AND x = :s", "Query condition missed key schema element: sk"),
    query("pk = :p AND sk = :s AND x = :s", "Conditions can be of length 1 or 2 only"),
    query("pk = :p AND sk > :s AND sk < :t", IN_KEY + "KeyConditionExpressions must only contain one condition per key"),
    query("pk = :p OR sk = :s", IN_KEY + "Invalid operator used in KeyConditionExpression: OR"),
    query("pk = :p AND sk <> :s", IN_KEY + "Invalid operator used in KeyConditionExpression: <>"),
    query("pk = :p AND contains(sk, :s)", IN_KEY + "Invalid operator used in KeyConditionExpression: contains"),
    query("pk = :p AND begins_with(:s, sk)", IN_KEY + "Invalid condition in KeyConditionExpression: begins_with operator "
          "must have the key attribute as its first operand"),
    query("pk = :p AND size(sk) = :n", IN_KEY + "KeyConditionExpressions cannot contain nested operations"),
    query("pk = sk", IN_KEY + "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
    query("pk.a = :p", IN_KEY + "KeyConditionExpressions cannot have conditions on nested attributes"),
    query("pk = :p AND sk BETWEEN :t AND :s", IN_KEY + "The BETWEEN operator requires upper bound to be greater than or "
          "equal to lower bound; lower bound operand: AttributeValue: {S:2}, upper bound operand: AttributeValue: {S:1}"),
    query("pk = :n", PARAMETERS + "Condition parameter type does not match schema type"),
    query("pk = :empty", EMPTY_KEY.format("string", "pk")),
    query("pk = :long", PARAMETERS + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
    query("pk = :p AND sk > :long", PARAMETERS + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"),
    query("pk = :p", "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
          FilterExpression="sk = :s"),
    query("pk = :p", FRAME + HERE.format("'0'", "limit") + "Member must have value greater than or equal to 1", Limit=0),
    query("pk = :p", "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
          Select="ALL_PROJECTED_ATTRIBUTES"),
    query("pk = :p", "Cannot specify the ProjectionExpression when choosing to get only the Count", Select="COUNT",
          ProjectionExpression="x"),
    query("pk = :p", "The table does not have the specified index: nope", IndexName="nope"),
    query("g = :p", PARAMETERS + "Global secondary index gsi does not project [x]", IndexName="gsi",
          ProjectionExpression="x"),
    query("g = :p", "Consistent reads are not supported on global secondary indexes", IndexName="gsi", ConsistentRead=True),
    query("pk = :p", "The provided starting key is invalid", ExclusiveStartKey=A),
    query("pk = :p", "The provided starting key is outside query boundaries based on provided conditions",
          ExclusiveStartKey={"pk": S("b"), "sk": S("1")}),
    query("pk = :p AND sk > :s", "The provided starting key does not match the range key predicate",
          ExclusiveStartKey={**A, "sk": S("0")}),
    query("pk = :p", "Can not use both expression and non-expression parameters in the same request: Non-expression "
          "parameters: {AttributesToGet} Expression parameters: {KeyConditionExpression}", AttributesToGet=["x"]),
])
def test_queries(cloud, tables, body, message):
    refused(cloud, "Query", body, message)


@pytest.mark.parametrize("more, message", [
    ({"Segment": 0}, "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
                     "present"),
    ({"TotalSegments": 2}, "The Segment parameter is required but was not present in the request when parameter "
                           "TotalSegments is present"),
    ({"Segment": 2, "TotalSegments": 2}, "The Segment parameter is zero-based and must be less than parameter "
                                         "TotalSegments: Segment: 2 is not less than TotalSegments: 2"),
    ({"ExclusiveStartKey": A}, f"The provided starting key is invalid: {NOT_THE_SCHEMA}"),
    ({"FilterExpression": "x"}, 'Invalid FilterExpression: Syntax error; token: "<EOF>", near: "x"'),
    ({"FilterExpression": "((x = y))"}, "Invalid FilterExpression: The expression has redundant parentheses;"),
    ({"FilterExpression": "x = x"}, "Invalid FilterExpression: The first operand must be distinct from the remaining "
                                    "operands for this operator or function; operator: =, first operand: [x]"),
    ({"FilterExpression": f"x IN ({', '.join(['y'] * 101)})"},
     "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101"),
    ({"FilterExpression": " OR ".join(["x=y"] * 151)},
     "Invalid FilterExpression: The expression contains too many operators; operator count: 301"),
    ({"FilterExpression": "x" + ".y" * 32 + " = z"},
     "Invalid FilterExpression: The document path has too many nesting elements; nesting levels: 33"),
])
def test_scans(cloud, tables, more, message):
    refused(cloud, "Scan", on("both", **more), message)


TWICE = "Transaction request cannot include multiple operations on one item"


@pytest.mark.parametrize("operation, body, message", [
    ("BatchGetItem", {"RequestItems": {}}, FRAME + HERE.format("'{}'", "requestItems") +
     "Member must have length greater than or equal to 1"),
    ("BatchGetItem", {"RequestItems": {"refusals-hash": {"Keys": [A, A]}}}, "Provided list of item keys contains duplicates"),
    ("BatchGetItem", {"RequestItems": {f"refusals-{name}": {"Keys": [{"pk": S(str(n))} for n in range(60)]}
                                       for name in ("hash", "both")}}, "Too many items requested for the BatchGetItem call"),
    ("BatchGetItem", {"RequestItems": {"refusals-both": {"Keys": [A]}}}, NOT_THE_SCHEMA),
    ("BatchWriteItem", {"RequestItems": {"refusals-hash": [{"PutRequest": {"Item": A}}, {"DeleteRequest": {"Key": A}}]}},
     "Provided list of item keys contains duplicates"),
    ("BatchWriteItem", {"RequestItems": {"refusals-hash": [{"PutRequest": {"Item": {"x": S("a")}}}]}}, NOT_THE_SCHEMA),
    ("BatchWriteItem", {"RequestItems": {"refusals-hash": [{}]}},
     "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"),
    ("TransactWriteItems", {"TransactItems": []}, FRAME + HERE.format("'[]'", "transactItems") +
     "Member must have length greater than or equal to 1"),
    ("TransactWriteItems", {"TransactItems": [{"Put": on("hash", Item=A), "Delete": on("hash", Key=A)}]},
     "TransactItems can only contain one of Check, Put, Update or Delete"),
    ("TransactWriteItems", {"TransactItems": [{"Put": on("hash", Item=A)}, {"Delete": on("hash", Key=A)}]}, TWICE),
    ("TransactWriteItems", {"TransactItems": [{"Put": on("hash", Item={**A, "x": S("a" * 410000)})}]},
     "Item size has exceeded the maximum allowed size"),
    ("TransactGetItems", {"TransactItems": [{"Get": on("hash", Key=A)}] * 2}, TWICE),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": "SELECT * FROM \"refusals-hash\" WHERE pk = 'a'"}] * 2}, TWICE),
    ("ExecuteTransaction", {"TransactStatements": [
        {"Statement": "SELECT * FROM \"refusals-hash\" WHERE pk = 'a'"},
        {"Statement": "DELETE FROM \"refusals-hash\" WHERE pk = 'b'"}]},
     "Transaction request cannot include both read and write statements"),
    ("ExecuteStatement", {"Statement": "SELECT * FROM \"refusals-hash\" WHERE pk = ?"},
     "Number of parameters in request and statement don't match."),
    ("ExecuteStatement", {"Statement": "SELECT * FROM \"refusals-hash\" WHERE pk = 'a'", "Parameters": [S("a")]},
     "Number of parameters in request and statement don't match."),
    ("ExecuteStatement", {"Statement": "UPDATE \"refusals-both\" SET x = 1 WHERE pk = 'a'"},
     "Where clause does not contain a mandatory equality on all key attributes"),
])
def test_batches_transactions_and_statements(cloud, tables, operation, body, message):
    refused(cloud, operation, body, message)


def test_what_is_looked_at_first(cloud, tables):
    """Constraints of the model, then values and expressions, then the table, then keys against its schema."""
    no_table = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
    body = {"TableName": "no", "Item": {"pk": {}}, "ConditionExpression": "x"}
    refused(cloud, "PutItem", body, FRAME + HERE.format("'no'", "tableName") + "Member must have length greater than or equal to 3")
    body["TableName"] = "none"
    refused(cloud, "PutItem", body, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    body["Item"] = {"x": S("a")}
    refused(cloud, "PutItem", body, FRAME + 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "x"')
    del body["ConditionExpression"]
    refused(cloud, "PutItem", body, "Requested resource not found", no_table)
    body["TableName"] = "refusals-hash"
    refused(cloud, "PutItem", body, PARAMETERS + "Missing the key pk in the item")


EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
BOTH_FORMS = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: " \
             "{AttributesToGet} Expression parameters: {ProjectionExpression}"


@pytest.mark.parametrize("operation, body, message", [
    # Both forms before anything else, start keys and what is missed before expressions, expressions before the table.
    ("GetItem", {"TableName": "none", "Key": {"pk": {}}, "AttributesToGet": ["a"], "ProjectionExpression": "+"}, BOTH_FORMS),
    ("GetItem", {"TableName": "none", "Key": {"pk": {}}, "ProjectionExpression": "+"}, EMPTY),
    ("Query", {"TableName": "none", "ExclusiveStartKey": {"pk": {}}, "FilterExpression": "+"},
     f"The provided starting key is invalid: {EMPTY}"),
    ("Query", {"TableName": "none", "FilterExpression": "+", "ExpressionAttributeValues": {":a": {}}},
     "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    ("Query", {"TableName": "none", "KeyConditions": {"pk": {"ComparisonOperator": "EQ"}}, "FilterExpression": "x = :"},
     'Invalid FilterExpression: Syntax error; token: ":", near: "= :"'),
    ("Scan", {"TableName": "none", "ExclusiveStartKey": {"pk": {}}, "Segment": 1, "FilterExpression": "+"},
     f"The provided starting key is invalid: {EMPTY}"),
    ("Scan", {"TableName": "none", "Segment": 1, "FilterExpression": "+"},
     "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"),
    ("Scan", {"TableName": "none", "AttributesToGet": ["a", "a"], "ScanFilter": {"a": {"ComparisonOperator": "EQ"}}},
     PARAMETERS + "Duplicate value in attribute name: a"),
    ("Query", {"TableName": "none", "AttributesToGet": ["a", "a"], "QueryFilter": {"a": {"ComparisonOperator": "EQ"}}},
     PARAMETERS + "Invalid number of argument(s) for the EQ ComparisonOperator"),
    ("PutItem", {"TableName": "none", "Item": {"x": S("a" * 410000)}, "ConditionExpression": "+"},
     "Item size has exceeded the maximum allowed size"),
    ("PutItem", {"TableName": "none", "Item": {}, "Expected": {
        "a": {"ComparisonOperator": "EQ", "AttributeValueList": [{}, {}]}}},
     FRAME + PARAMETERS + "Invalid number of argument(s) for the EQ ComparisonOperator"),
    ("BatchWriteItem", {"RequestItems": {"none": [{"PutRequest": {"Item": {"a": {}}}}, {}]}},
     "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"),
    ("BatchWriteItem", {"ReturnItemCollectionMetrics": "x"},
     f"2 validation errors detected: {HERE.format(repr('x'), 'returnItemCollectionMetrics')}Member must satisfy enum value "
     f"set: [SIZE, NONE]; {HERE.format('null', 'requestItems')}Member must not be null"),
])
def test_which_of_two_mistakes_is_told(cloud, operation, body, message):
    refused(cloud, operation, body, message)
