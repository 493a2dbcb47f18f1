//! What policies cost a call.

use super::dynamodb::{call, once, table, target};
use super::{Bench, server};
use crate::Outcome;
use crate::test::environment;
use serde_json::json;
use std::process::Command;

impl Bench {
    /// The same GetItem by the root user, whom no policy binds, and by a user with 20 policies of 10 statements.
    pub(super) fn policies(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        table(&cloud)?;
        let key = json!({ "p": { "S": "a" }, "s": { "N": "1" } });
        let item = json!({ "p": { "S": "a" }, "s": { "N": "1" }, "v": { "S": "x".repeat(300) } });
        once(&cloud, "PutItem", &json!({ "TableName": "bench", "Item": item }))?;
        let mut prepare = Command::new(environment()?);
        prepare.arg(crate::root().join("bench/policies.py")).arg(cloud.endpoint());
        let said = server::said(&mut prepare)?;
        let (Some(id), Some(secret)) = (said["key"].as_str(), said["secret"].as_str()) else {
            return Err("bench/policies.py printed no key".into());
        };
        let (operation, get) = (target("GetItem"), json!({ "TableName": "bench", "Key": key }).to_string());
        let load = call(&operation, &get);
        let by_user = [&load[..], &["--key", id, "--secret", secret]].concat();
        self.compare_loads(
            "policies",
            "GetItem under 20 policies of 10 statements",
            0.95,
            (&cloud, &load),
            (&cloud, &by_user),
        )
    }
}
