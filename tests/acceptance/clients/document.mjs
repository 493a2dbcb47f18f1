// The document client of the AWS SDK for JavaScript.
import assert from "node:assert/strict";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand, BatchWriteCommand, DynamoDBDocumentClient, ExecuteStatementCommand, GetCommand, NumberValue,
  PutCommand, QueryCommand, TransactGetCommand, TransactWriteCommand, UpdateCommand, paginateQuery, paginateScan,
} from "@aws-sdk/lib-dynamodb";

const TableName = process.env.TABLE;
const plain = new DynamoDBClient({});
await plain.send(new CreateTableCommand({
  TableName, BillingMode: "PAY_PER_REQUEST",
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
}));
await waitUntilTableExists({ client: plain, maxWaitTime: 30, minDelay: 1 }, { TableName });
const db = DynamoDBDocumentClient.from(plain, { marshallOptions: { removeUndefinedValues: true } });

const item = {
  pk: "a", sk: 1, text: "", list: [1, "x", null, true, { deep: [] }], set: new Set(["b", "a"]), numbers: new Set([1, 2.5]),
  bytes: new Uint8Array([0, 255]), gone: undefined, big: NumberValue.from("12345678901234567890123456789012345678"),
};
await db.send(new PutCommand({ TableName, Item: item }));
// Numbers that JavaScript has not got.
const wide = DynamoDBDocumentClient.from(new DynamoDBClient({}), { unmarshallOptions: { wrapNumbers: true } });
const read = (await wide.send(new GetCommand({ TableName, Key: { pk: "a", sk: 1 }, ConsistentRead: true }))).Item;
assert.equal(read.big.value, "12345678901234567890123456789012345678");
assert.deepEqual([...read.set].sort(), ["a", "b"]);
assert.equal(read.list.length, 5);
assert.deepEqual([...read.bytes], [0, 255]);
assert.ok(!("gone" in read));

for (let from = 0; from < 100; from += 25) {
  const puts = Array.from({ length: 25 }, (_, i) => ({ PutRequest: { Item: { pk: "b", sk: from + i, fill: "x".repeat(20000) } } }));
  const { UnprocessedItems } = await db.send(new BatchWriteCommand({ RequestItems: { [TableName]: puts } }));
  assert.deepEqual(UnprocessedItems, {});
}
const key = () => ({ TableName, KeyConditionExpression: "pk = :b", ExpressionAttributeValues: { ":b": "b" } });
const sizes = [];
for await (const page of paginateQuery({ client: db, pageSize: undefined }, key())) sizes.push(page.Items.length);
assert.equal(sizes.reduce((a, b) => a + b), 100);
assert.ok(sizes.length >= 2, `pages of 1 MB: ${sizes}`);
let scanned = 0;
for await (const page of paginateScan({ client: db, pageSize: 17 }, { TableName, ProjectionExpression: "sk" })) scanned += page.Count;
assert.equal(scanned, 101);
const last = await db.send(new QueryCommand({ ...key(), ScanIndexForward: false, Limit: 1, ProjectionExpression: "pk, sk" }));
assert.deepEqual(last.LastEvaluatedKey, { pk: "b", sk: 99 });
const got = await db.send(new BatchGetCommand({ RequestItems: { [TableName]: {
  Keys: [{ pk: "b", sk: 1 }, { pk: "b", sk: 1000 }], ProjectionExpression: "sk" } } }));
assert.deepEqual(got.Responses[TableName], [{ sk: 1 }]);
const updated = await db.send(new UpdateCommand({
  TableName, Key: { pk: "c", sk: 1 }, UpdateExpression: "SET hits = if_not_exists(hits, :zero) + :one ADD tags :t",
  ExpressionAttributeValues: { ":zero": 0, ":one": 1, ":t": new Set(["x"]) }, ReturnValues: "UPDATED_NEW" }));
assert.deepEqual(updated.Attributes, { hits: 1, tags: new Set(["x"]) });
const cancelled = await db.send(new TransactWriteCommand({ TransactItems: [
  { Put: { TableName, Item: { pk: "d", sk: 1 } } },
  { ConditionCheck: { TableName, Key: { pk: "c", sk: 1 }, ConditionExpression: "hits = :n",
    ExpressionAttributeValues: { ":n": 9 }, ReturnValuesOnConditionCheckFailure: "ALL_OLD" } },
] })).catch((error) => error);
assert.equal(cancelled.name, "TransactionCanceledException");
assert.deepEqual(cancelled.CancellationReasons.map((r) => r.Code), ["None", "ConditionalCheckFailed"]);
const both = await db.send(new TransactGetCommand({ TransactItems: [
  { Get: { TableName, Key: { pk: "c", sk: 1 }, ProjectionExpression: "hits" } }, { Get: { TableName, Key: { pk: "d", sk: 1 } } }] }));
assert.deepEqual(both.Responses, [{ Item: { hits: 1 } }, {}]);
const said = await db.send(new ExecuteStatementCommand({
  Statement: `SELECT hits FROM "${TableName}" WHERE pk = ? AND sk = ?`, Parameters: ["c", 1] }));
assert.deepEqual(said.Items, [{ hits: 1 }]);
console.log(JSON.stringify({ ok: "document" }));
