// Dynamoose: models, its own creation and change of tables, batches, transactions.
import assert from "node:assert/strict";
import dynamoose from "dynamoose";

const ddb = dynamoose.aws.ddb();
const keys = { id: { type: String, hashKey: true }, n: { type: Number, rangeKey: true } };
const named = { name: { type: String, index: { name: "by-name", type: "global" } } };
const waiting = { initialize: false, create: true, throughput: "ON_DEMAND",
  waitForActive: { enabled: true, check: { frequency: 50, timeout: 30000 } } };

const Thing = dynamoose.model("Thing", new dynamoose.Schema({
  ...keys, ...named, tags: { type: Set, schema: [String] }, doc: { type: Object, schema: { a: Number } }, at: Date,
  list: { type: Array, schema: [Number] },
}, { timestamps: true }));
await new dynamoose.Table(process.env.TABLE, [Thing], {
  ...waiting, update: true, expires: 3600, tags: { a: "b" }, tableClass: "infrequentAccess",
}).initialize();

await Thing.create({ id: "a", n: 1, name: "x", tags: new Set(["x", "y"]), doc: { a: 1 }, at: new Date(), list: [1, 2] });
await assert.rejects(Thing.create({ id: "a", n: 1 }), { name: "ConditionalCheckFailedException" });
assert.equal((await Thing.query("name").eq("x").using("by-name").exec()).count, 1);
await Thing.update({ id: "a", n: 1 }, { $ADD: { list: [3] }, name: "z" });
assert.deepEqual([...(await Thing.get({ id: "a", n: 1 })).list], [1, 2, 3]);
await Thing.batchPut([...Array(25)].map((_, n) => ({ id: "b", n, name: "q" })));
assert.ok((await Thing.query("id").eq("b").limit(7).exec()).lastKey);
assert.equal((await Thing.query("id").eq("b").limit(7).all().exec()).count, 25);
assert.equal((await Thing.scan("name").beginsWith("q").parallel(3).exec()).count, 25);
await dynamoose.transaction([
  Thing.transaction.create({ id: "t", n: 1, name: "t" }), Thing.transaction.delete({ id: "a", n: 1 }),
  Thing.transaction.condition({ id: "b", n: 1 }, new dynamoose.Condition("name").eq("q")),
]);
assert.equal(await Thing.get({ id: "a", n: 1 }), undefined);

// The same table with other settings: an index more, other tags, another class.
const Other = dynamoose.model("Other", new dynamoose.Schema({
  ...keys, ...named, more: { type: String, index: { name: "by-more", type: "global" } },
}));
await new dynamoose.Table(process.env.TABLE, [Other], {
  ...waiting, update: ["indexes", "tags", "tableClass"], tags: { c: "d" }, tableClass: "standard",
}).initialize();
const { Table } = await ddb.describeTable({ TableName: process.env.TABLE });
assert.deepEqual(Table.GlobalSecondaryIndexes.map((index) => index.IndexName).sort(), ["by-more", "by-name"]);
assert.equal(Table.TableClassSummary.TableClass, "STANDARD");
const { Tags } = await ddb.listTagsOfResource({ ResourceArn: Table.TableArn });
assert.deepEqual(Tags, [{ Key: "c", Value: "d" }]);
console.log(JSON.stringify({ ok: "dynamoose" }));
