// DynamoDB-Toolbox: entities, table actions, batches and transactions.
import assert from "node:assert/strict";
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import {
  $add, $append, $get, $sum, BatchGetCommand, BatchGetRequest, BatchPutRequest, BatchWriteCommand, DeleteItemCommand, Entity,
  GetItemCommand, PutItemCommand, PutTransaction, QueryCommand, ScanCommand, Table, UpdateItemCommand, executeBatchGet,
  executeBatchWrite, executeTransactWrite, item, list, map, number, set, string,
} from "dynamodb-toolbox";

const plain = new DynamoDBClient({});
await plain.send(new CreateTableCommand({
  TableName: process.env.TABLE, BillingMode: "PAY_PER_REQUEST",
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  AttributeDefinitions: ["pk", "sk", "kind"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
  GlobalSecondaryIndexes: [{ IndexName: "kinds", Projection: { ProjectionType: "ALL" },
    KeySchema: [{ AttributeName: "kind", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }] }],
}));
const table = new Table({
  name: process.env.TABLE, documentClient: DynamoDBDocumentClient.from(plain, { marshallOptions: { removeUndefinedValues: true } }),
  partitionKey: { name: "pk", type: "string" }, sortKey: { name: "sk", type: "string" },
  indexes: { kinds: { type: "global", partitionKey: { name: "kind", type: "string" }, sortKey: { name: "sk", type: "string" } } },
});
const pets = new Entity({
  name: "pet", table,
  schema: item({
    pk: string().key(), sk: string().key(), kind: string(), age: number().default(0), tags: set(string()).optional(),
    log: list(string()).default([]), owner: map({ name: string(), phone: string().optional() }).optional(),
  }),
});
await pets.build(PutItemCommand).item({ pk: "p", sk: "rex", kind: "dog", tags: new Set(["a"]), owner: { name: "ann" } }).send();
await assert.rejects(
  pets.build(PutItemCommand).item({ pk: "p", sk: "rex", kind: "dog" }).options({ condition: { attr: "pk", exists: false } }).send(),
  { name: "ConditionalCheckFailedException" });
const { Attributes } = await pets.build(UpdateItemCommand).item({
  pk: "p", sk: "rex", age: $sum($get("age"), 3), tags: $add(new Set(["b"])), log: $append(["born"]), owner: { phone: "1" },
}).options({ returnValues: "ALL_NEW" }).send();
assert.deepEqual([Attributes.age, [...Attributes.tags], Attributes.log, Attributes.owner],
  [3, ["a", "b"], ["born"], { name: "ann", phone: "1" }]);
await executeBatchWrite(table.build(BatchWriteCommand).requests(
  ...Array.from({ length: 20 }, (_, i) => pets.build(BatchPutRequest).item({ pk: "p", sk: `c${String(i).padStart(2, "0")}`, kind: "cat", age: i }))));
const young = await table.build(QueryCommand).entities(pets).query({ index: "kinds", partition: "cat", range: { lt: "c10" } })
  .options({ filters: { pet: { attr: "age", gte: 7 } }, reverse: true, maxPages: Infinity }).send();
assert.deepEqual(young.Items.map((pet) => pet.sk), ["c09", "c08", "c07"]);
const all = await table.build(ScanCommand).entities(pets).options({ limit: 6, maxPages: Infinity }).send();
assert.equal(all.Items.length, 21);
const { Responses } = await executeBatchGet(table.build(BatchGetCommand).requests(
  pets.build(BatchGetRequest).key({ pk: "p", sk: "c01" }), pets.build(BatchGetRequest).key({ pk: "p", sk: "none" })));
assert.deepEqual(Responses[0].map((pet) => pet?.age), [1, undefined]);
await assert.rejects(executeTransactWrite(
  pets.build(PutTransaction).item({ pk: "q", sk: "1", kind: "cow" }),
  pets.build(PutTransaction).item({ pk: "p", sk: "rex", kind: "dog" }).options({ condition: { attr: "age", gt: 100 } }),
), { name: "TransactionCanceledException" });
assert.equal((await pets.build(GetItemCommand).key({ pk: "q", sk: "1" }).send()).Item, undefined);
const gone = await pets.build(DeleteItemCommand).key({ pk: "p", sk: "rex" }).options({ returnValues: "ALL_OLD" }).send();
assert.equal(gone.Attributes.age, 3);
console.log(JSON.stringify({ ok: "toolbox" }));
