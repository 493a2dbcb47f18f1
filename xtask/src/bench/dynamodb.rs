//! DynamoDB's figures.

use super::server::Server;
use super::{Bench, CONNECTIONS, rate};
use crate::Outcome;
use serde_json::{Value, json};

/// How many units AWS lets be written into one table each second, if nobody asks for more: a unit is 1 KB.
///
/// Source: Developer Guide, "Quotas in Amazon DynamoDB".
const TABLE_UNITS: u64 = 40_000;

const TYPE: &str = "application/x-amz-json-1.0";

/// A call's options for the load generator.
pub(super) fn call<'a>(target: &'a str, body: &'a str) -> [&'a str; 10] {
    ["--service", "dynamodb", "--method", "POST", "--type", TYPE, "--header", target, "--body", body]
}

pub(super) fn target(operation: &str) -> String {
    format!("x-amz-target: DynamoDB_20120810.{operation}")
}

/// Makes one call.
pub(super) fn once(cloud: &Server, operation: &str, body: &Value) -> Outcome {
    let (target, body) = (target(operation), body.to_string());
    cloud.load(&[&["--connections", "1", "--count", "1"], &call(&target, &body)[..]].concat())?;
    Ok(())
}

/// A table with a partition key `p` and a sort key `s`.
pub(super) fn table(cloud: &Server) -> Outcome {
    let keys =
        json!([{ "AttributeName": "p", "KeyType": "HASH" }, { "AttributeName": "s", "KeyType": "RANGE" }]);
    let attributes = json!([{ "AttributeName": "p", "AttributeType": "S" }, { "AttributeName": "s", "AttributeType": "N" }]);
    once(
        cloud,
        "CreateTable",
        &json!({ "TableName": "bench", "KeySchema": keys, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST" }),
    )
}

/// Items of one partition, `25 * batches` of them, each about so many bytes; `{i}` of the load generator numbers the batches.
fn batch(partition: &str, bytes: usize) -> String {
    let put = |n: usize| {
        let sort = format!("{{i}}{n:02}");
        json!({ "PutRequest": { "Item": { "p": { "S": partition }, "s": { "N": sort }, "v": { "S": "x".repeat(bytes) } } } })
    };
    json!({ "RequestItems": { "bench": (0..25).map(put).collect::<Vec<_>>() } }).to_string()
}

impl Bench {
    /// The hot calls against the baseline, and a query of 100 items of 1 KiB.
    pub(super) fn dynamodb(&mut self) -> Outcome {
        let (base, cloud) = (Server::baseline(1024)?, self.ephemeral()?);
        table(&cloud)?;
        let value = "x".repeat(300);
        once(
            &cloud,
            "PutItem",
            &json!({ "TableName": "bench", "Item": { "p": { "S": "a" }, "s": { "N": "1" }, "v": { "S": value } } }),
        )?;
        let key = json!({ "p": { "S": "a" }, "s": { "N": "1" } });
        let get = json!({ "TableName": "bench", "Key": key }).to_string();
        self.compare(
            "dynamodb-get",
            "DynamoDB GetItem",
            0.5,
            &base,
            &cloud,
            &call(&target("GetItem"), &get),
        )?;
        let put = json!({ "TableName": "bench", "Item": { "p": { "S": "put{n}" }, "s": { "N": "1" }, "v": { "S": value } } });
        let put = put.to_string();
        self.compare(
            "dynamodb-put",
            "DynamoDB PutItem",
            0.3,
            &base,
            &cloud,
            &call(&target("PutItem"), &put),
        )?;
        let update = json!({
            "TableName": "bench",
            "Key": { "p": { "S": "update{n}" }, "s": { "N": "1" } },
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": { ":one": { "N": "1" } },
        })
        .to_string();
        let update_call = target("UpdateItem");
        self.compare(
            "dynamodb-update",
            "DynamoDB UpdateItem",
            0.3,
            &base,
            &cloud,
            &call(&update_call, &update),
        )?;

        let body = batch("query", 1000);
        cloud.load(
            &[&["--connections", "4", "--count", "4"], &call(&target("BatchWriteItem"), &body)[..]].concat(),
        )?;
        let query = json!({
            "TableName": "bench",
            "KeyConditionExpression": "p = :p",
            "ExpressionAttributeValues": { ":p": { "S": "query" } },
            "Limit": 100,
        })
        .to_string();
        let seconds = self.options.seconds.clone();
        let load = ["--connections", CONNECTIONS, "--seconds", &seconds];
        let said = cloud.load(&[&load, &call(&target("Query"), &query)[..]].concat())?;
        let more = format!("p50 {} µs, p99 {} µs", said["p50_us"], said["p99_us"]);
        self.row("DynamoDB Query of 100 items of 1 KiB", &format!("{:.0}/s", rate(&said)), "", &more);
        self.json.insert("dynamodb-query".to_owned(), said);
        Ok(())
    }

    /// The latency of small calls while large items are written and merged: as many as AWS lets into one table at first, and
    /// as many as there is room for.
    pub(super) fn dynamodb_compaction(&mut self) -> Outcome {
        self.dynamodb_merging("dynamodb-compaction", Some(TABLE_UNITS / 20))?;
        self.dynamodb_merging("dynamodb-flood", None)
    }

    /// The same while at most so many items of 20 KB are written a second.
    fn dynamodb_merging(&mut self, key: &str, items: Option<u64>) -> Outcome {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let cloud = Server::cloudlet(&self.cloudlet(), &["--data", &data])?;
        table(&cloud)?;
        // Longer than an argument may be.
        let body = folder.path().join("body").display().to_string();
        std::fs::write(&body, batch("large{n}", 20_000))?;
        let small = json!({ "TableName": "bench", "Item": { "p": { "S": "small{n}" }, "s": { "N": "{i}" }, "v": { "S": "x".repeat(300) } } });
        let get = json!({ "TableName": "bench", "Key": { "p": { "S": "large0" }, "s": { "N": "{i}00" } } });
        let (small, get) = (small.to_string(), get.to_string());
        let seconds = self.options.seconds.clone();
        let heavy = (seconds.parse::<f64>()? * 2.0 + 4.0).to_string();
        let pace = items.map(|items| (items / 25).to_string());
        let pace = pace.as_ref().map_or(vec![], |pace| vec!["--rate", pace.as_str()]);
        let write = target("BatchWriteItem");
        let (written, calls) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let load = ["--connections", "2", "--seconds", &heavy];
                let [call @ .., _, _] = call(&write, "");
                let body = ["--body-file", &body];
                cloud.load(&[&load[..], &pace, &call[..], &body].concat()).map_err(|why| why.to_string())
            });
            // What is measured begins when there is something to merge.
            std::thread::sleep(std::time::Duration::from_secs(2));
            let mut calls = Vec::new();
            for (operation, body) in [("GetItem", &get), ("PutItem", &small)] {
                let load = ["--connections", "2", "--seconds", &seconds];
                let said = cloud.load(&[&load, &call(&target(operation), body)[..]].concat());
                calls.push((operation, said.map_err(|why| why.to_string())));
            }
            (writer.join(), calls)
        });
        let written = written.map_err(|_| "the writer ended early")??;
        let writes = format!("{:.0} items of 20 KB a second", rate(&written) * 25.0);
        for (operation, said) in calls {
            let said = said?;
            let p99 = said["p99_us"].as_f64().unwrap_or(f64::MAX) / 1000.0;
            let more = format!("p50 {} µs, {:.0}/s; {writes}", said["p50_us"], rate(&said));
            let name = format!("DynamoDB {operation} while files are merged, p99");
            let promise = if items.is_some() { "< 5 ms" } else { "" };
            self.row(&name, &format!("{p99:.1} ms"), promise, &more);
            self.json.insert(format!("{key}-{}", operation.to_lowercase()), said);
        }
        let memory = cloud.memory("VmRSS")?;
        self.row("DynamoDB after writing items of 20 KB", &format!("{memory:.0} MiB"), "< 100 MiB", &writes);
        self.json.insert(format!("{key}-writes"), written);
        Ok(())
    }

    /// What an item costs in an ever larger table, and how the table opens again.
    pub(super) fn dynamodb_size(&mut self) -> Outcome {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let binary = self.cloudlet();
        let mut cloud = Server::cloudlet(&binary, &["--data", &data])?;
        table(&cloud)?;
        let (mut items, mut goal) = (0u64, 10_000u64);
        let body = batch("partition{n}", 200);
        let mut curve = Vec::new();
        loop {
            let (count, from) = ((goal - items).div_ceil(25), items / 25);
            let (count, from) = (count.to_string(), from.to_string());
            let load = ["--connections", CONNECTIONS, "--count", &count, "--from", &from];
            let written = cloud.load(&[&load, &call(&target("BatchWriteItem"), &body)[..]].concat())?;
            items = goal;
            let get = json!({ "TableName": "bench", "Key": { "p": { "S": "partition{n}" }, "s": { "N": "{i}00" } } });
            let (count, get) = ("20000", get.to_string());
            // Reads go over all that was written, in strides that no cache foresees.
            let load = ["--connections", CONNECTIONS, "--count", count, "--from", "0"];
            let read = cloud.load(&[&load, &call(&target("GetItem"), &get)[..]].concat())?;
            let memory = cloud.memory("VmRSS")?;
            cloud.stop()?;
            let (again, took) = Server::timed(&binary, &["--data", &data])?;
            cloud = again;
            let more = format!(
                "written at {:.0} items/s, GetItem p50 {} µs, p99 {} µs, opens in {:.0} ms",
                rate(&written) * 25.0,
                read["p50_us"],
                read["p99_us"],
                took.as_secs_f64() * 1000.0
            );
            self.row(
                &format!("DynamoDB with {items} items"),
                &format!("{memory:.0} MiB"),
                "≤ 200 MiB",
                &more,
            );
            curve.push(json!({ "items": items, "written": written, "read": read, "resident_mib": memory, "opens_ms": took.as_millis() as u64 }));
            if items >= self.options.items {
                break;
            }
            goal = (items * 10).min(self.options.items);
        }
        self.json.insert("dynamodb-size".to_owned(), Value::Array(curve));
        Ok(())
    }
}
