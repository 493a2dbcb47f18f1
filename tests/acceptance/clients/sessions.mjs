// connect-dynamodb: the sessions of an Express application.
import assert from "node:assert/strict";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import connect from "connect-dynamodb";
import session from "express-session";

const Store = connect(session);
const store = new Store({ client: new DynamoDBClient({}), table: process.env.TABLE, readCapacityUnits: 5, writeCapacityUnits: 5 });
const call = (method, ...rest) =>
  new Promise((done, failed) => store[method](...rest, (error, value) => (error ? failed(error) : done(value))));
await store.initialize();
const cookie = { maxAge: 60000, expires: new Date(Date.now() + 60000) };
await call("set", "one", { cookie, user: "ann" });
assert.equal((await call("get", "one")).user, "ann");
await call("touch", "one", { cookie, user: "ann" });
await call("destroy", "one");
assert.ok(!(await call("get", "one")));
console.log(JSON.stringify({ ok: "sessions" }));
