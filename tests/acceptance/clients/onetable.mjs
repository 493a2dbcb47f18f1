// DynamoDB OneTable: a table of several kinds of items, unique attributes, pages both ways.
import assert from "node:assert/strict";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { Table } from "dynamodb-onetable";

const table = new Table({
  client: new DynamoDBClient({}), name: process.env.TABLE, partial: true, logger: false,
  schema: {
    format: "onetable:1.1.0", version: "0.0.1", params: { isoDates: true, timestamps: true },
    indexes: {
      primary: { hash: "pk", sort: "sk" }, gs1: { hash: "gs1pk", sort: "gs1sk", project: "all" },
      ls1: { type: "local", sort: "id", project: "keys" },
    },
    models: { User: {
      pk: { type: String, value: "user#${email}" }, sk: { type: String, value: "user#" }, id: { type: String, generate: "ulid" },
      email: { type: String, required: true, unique: true }, name: { type: String }, age: { type: Number },
      gs1pk: { type: String, value: "u" }, gs1sk: { type: String, value: "${name}" }, expires: { type: Date, ttl: true },
    } },
  },
});
await table.createTable();
assert.ok(await table.exists());
const User = table.getModel("User");
await User.create({ email: "a@b", name: "n", age: 1, expires: new Date(Date.now() + 1e6) });
await assert.rejects(User.create({ email: "a@b", name: "n" }));
assert.equal((await User.find({ gs1pk: "u" }, { index: "gs1" })).length, 1);
await User.update({ email: "a@b" }, { add: { age: 5 } });
assert.equal((await User.get({ email: "a@b" })).age, 6);
for (let n = 0; n < 20; n++) await User.create({ email: `x${n}`, name: `y${n}` });
const first = await User.find({ gs1pk: "u" }, { index: "gs1", limit: 7 });
const second = await User.find({ gs1pk: "u" }, { index: "gs1", limit: 7, next: first.next });
const back = await User.find({ gs1pk: "u" }, { index: "gs1", limit: 7, prev: second.prev });
assert.deepEqual([first.length, second.length, back.map((user) => user.email)], [7, 7, first.map((user) => user.email)]);
await User.remove({ email: "a@b" });
assert.equal(await User.get({ email: "a@b" }), undefined);
await table.deleteTable("DeleteTableForever");
assert.equal(await table.exists(), false);
console.log(JSON.stringify({ ok: "onetable" }));
