// ElectroDB: two entities in one table, with a service over both.
import assert from "node:assert/strict";
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { Entity, Service } from "electrodb";

const table = process.env.TABLE;
const client = new DynamoDBClient({});
const keys = ["pk", "sk", "gsi1pk", "gsi1sk"];
await client.send(new CreateTableCommand({
  TableName: table, BillingMode: "PAY_PER_REQUEST",
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  AttributeDefinitions: keys.map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
  GlobalSecondaryIndexes: [{ IndexName: "gsi1", Projection: { ProjectionType: "ALL" },
    KeySchema: [{ AttributeName: "gsi1pk", KeyType: "HASH" }, { AttributeName: "gsi1sk", KeyType: "RANGE" }] }],
}));
const index = (n, pk, sk, more) => ({ pk: { field: `${n}pk`, composite: pk }, sk: { field: `${n}sk`, composite: sk }, ...more });
const employees = new Entity({
  model: { entity: "employee", version: "1", service: "office" },
  attributes: {
    id: { type: "string" }, office: { type: "string" }, team: { type: "string" }, salary: { type: "number" },
    skills: { type: "set", items: "string" }, address: { type: "map", properties: { city: { type: "string" }, floor: { type: "number" } } },
    notes: { type: "list", items: { type: "string" } },
  },
  indexes: { employee: index("", ["id"], []), byOffice: index("gsi1", ["office"], ["team", "id"], { index: "gsi1", collection: "building" }) },
}, { client, table });
const rooms = new Entity({
  model: { entity: "room", version: "1", service: "office" },
  attributes: { room: { type: "string" }, office: { type: "string" } },
  indexes: { room: index("", ["room"], []), byOffice: index("gsi1", ["office"], ["room"], { index: "gsi1", collection: "building" }) },
}, { client, table });
const office = new Service({ employees, rooms });

const ann = { id: "ann", office: "north", team: "red", salary: 10, skills: ["a"], address: { city: "x", floor: 1 }, notes: ["n"] };
await employees.create(ann).go();
await assert.rejects(employees.create(ann).go(), /conditional request failed/);
await employees.put(Array.from({ length: 30 }, (_, i) => ({ ...ann, id: `e${i}`, team: i % 2 ? "red" : "blue", salary: i }))).go();
await rooms.put({ room: "r1", office: "north" }).go();
const { data: changed } = await employees.patch({ id: "ann" }).add({ salary: 5, skills: ["b"] }).set({ "address.floor": 2 })
  .append({ notes: ["m"] }).where(({ salary }, { eq }) => eq(salary, 10)).go({ response: "all_new" });
assert.equal(changed.salary, 15);
assert.deepEqual([changed.skills, changed.address.floor, changed.notes], [["a", "b"], 2, ["n", "m"]]);
const red = await employees.query.byOffice({ office: "north", team: "red" }).where(({ salary }, { gt }) => gt(salary, 20)).go({ pages: "all" });
assert.deepEqual(red.data.map((e) => e.salary), [21, 23, 25, 27, 29]);
const { data: all } = await office.collections.building({ office: "north" }).go({ pages: "all" });
assert.deepEqual([all.employees.length, all.rooms.length], [31, 1]);
let cursor = null, seen = 0;
do {
  const page = await employees.query.byOffice({ office: "north" }).go({ limit: 7, cursor });
  seen += page.data.length;
  cursor = page.cursor;
} while (cursor);
assert.equal(seen, 31);
const { data: some, unprocessed } = await employees.get([{ id: "e1" }, { id: "none" }, { id: "e2" }]).go();
assert.deepEqual([some.length, unprocessed], [2, []]);
const { canceled } = await office.transaction.write(({ employees, rooms }) => [
  employees.upsert({ ...ann, id: "bob" }).commit(), rooms.delete({ room: "r1" }).where(({ office }, { eq }) => eq(office, "south")).commit(),
]).go();
assert.equal(canceled, true);
assert.equal((await employees.get({ id: "bob" }).go()).data, null);
await employees.remove({ id: "ann" }).go();
await assert.rejects(employees.patch({ id: "ann" }).set({ salary: 1 }).go(), /conditional request failed/);
console.log(JSON.stringify({ ok: "electrodb" }));
