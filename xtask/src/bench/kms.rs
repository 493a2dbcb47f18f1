//! KMS's figures.

use super::server::{self, Server};
use super::{Bench, CONNECTIONS, TURNS, rate};
use crate::test::environment;
use crate::{Outcome, root};
use serde_json::{Map, Value, json};
use std::process::Command;

const TYPE: &str = "application/x-amz-json-1.1";
/// What is promised, a second.
const PROMISED: f64 = 5000.0;

impl Bench {
    /// Encrypt, Decrypt and GenerateDataKey over one pool of connections, 256 bytes with an encryption context.
    pub(super) fn kms(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        let mut prepare = Command::new(environment()?);
        let made = server::said(prepare.arg(root().join("bench/keys.py")).arg(cloud.endpoint()))?;
        let (key, context) = (&made["key"], &made["context"]);
        let calls = [
            (
                "Encrypt",
                json!({ "KeyId": key, "Plaintext": made["plaintext"], "EncryptionContext": context }),
            ),
            ("Decrypt", json!({ "CiphertextBlob": made["ciphertext"], "EncryptionContext": context })),
            ("GenerateDataKey", json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context })),
        ];
        let mut all = Map::new();
        for (operation, body) in calls {
            let said = self.calls_a_second(&cloud, operation, &body.to_string())?;
            let more = format!("p50 {} µs, p99 {} µs", said["p50_us"], said["p99_us"]);
            let measured = format!("{:.0}/s", rate(&said));
            self.row(&format!("KMS {operation}"), &measured, &format!("≥ {PROMISED}/s"), &more);
            all.insert(operation.to_owned(), said);
        }
        self.json.insert("kms".to_owned(), Value::Object(all));
        Ok(())
    }

    /// The median turn of one call.
    fn calls_a_second(&self, cloud: &Server, operation: &str, body: &str) -> super::Result<Value> {
        let target = format!("x-amz-target: TrentService.{operation}");
        let call =
            ["--service", "kms", "--method", "POST", "--type", TYPE, "--header", &target, "--body", body];
        server::load_briefly(cloud, &call)?;
        let timed = ["--connections", CONNECTIONS, "--seconds", &self.options.seconds];
        let mut turns = (0..TURNS)
            .map(|_| cloud.load(&[&timed[..], &call[..]].concat()))
            .collect::<super::Result<Vec<_>>>()?;
        turns.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
        Ok(turns.swap_remove(TURNS / 2))
    }
}
