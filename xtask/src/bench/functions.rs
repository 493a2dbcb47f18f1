//! The parts that run functions. What they do is in bench/functions.py, with boto3.

use super::server::{self, Server};
use super::{Bench, Result};
use crate::test::environment;
use crate::{Outcome, root};
use serde_json::Value;
use std::process::Command;

impl Bench {
    fn python(&self, part: &str, cloud: &Server) -> Result<Value> {
        let script = root().join("bench/functions.py");
        let mut command = Command::new(environment()?);
        command.arg(script).args([part, &cloud.endpoint(), &cloud.pid(), &self.options.count.to_string()]);
        server::said(&mut command)
    }

    pub(super) fn functions(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        let said = self.python("latency", &cloud)?;
        for (key, what, promised) in [
            ("warm_raw", "Python function, warm, raw HTTP", "< 1 ms"),
            ("warm_boto3", "Python function, warm, boto3", "< 3 ms"),
            ("cold", "Python function, cold", "< 25 ms"),
            ("cold_with_boto3", "Python function that imports boto3, cold", ""),
            ("cold_node", "Node.js function, cold", "< 60 ms"),
        ] {
            let one = &said[key];
            // Not measured: there is no Node.js on this machine.
            if one.is_null() {
                continue;
            }
            let ms = |key: &str| one[key].as_f64().unwrap_or(f64::NAN);
            let more = format!("p50 of {}; p99 {:.1} ms", one["n"], ms("p99_ms"));
            self.row(what, &format!("{:.2} ms", ms("p50_ms")), promised, &more);
        }
        self.json.insert("functions".to_owned(), said);
        Ok(())
    }

    pub(super) fn burst(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        let said = self.python("burst", &cloud)?;
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let more = format!(
            "uploads in {:.1} s, all in {:.1} s; the cloud {:.0} MiB, with its sandboxes {:.0} MiB in {} processes",
            number("upload_seconds"),
            number("seconds"),
            number("server_mib"),
            number("with_sandboxes_mib"),
            said["most_processes"]
        );
        let (made, asked) = (said["thumbnails"].as_u64(), said["uploads"].as_u64());
        let what = format!("burst of {} uploads: thumbnails", said["uploads"]);
        self.row(&what, &said["thumbnails"].to_string(), "all", &more);
        self.json.insert("burst".to_owned(), said);
        if made == asked { Ok(()) } else { Err("thumbnails are missing".into()) }
    }

    pub(super) fn drain(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        let said = self.python("drain", &cloud)?;
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let more = format!(
            "{:.1} s, {:.1} s were ideal; sent in {:.1} s; the client used {:.1} s and the cloud {:.1} s of a processor",
            number("seconds"),
            number("ideal_seconds"),
            number("sent_seconds"),
            number("client_processor_seconds"),
            number("server_processor_seconds"),
        );
        let what = format!("{} events of 10 ms of work, drained, times what the cores allow", said["events"]);
        self.row(&what, &format!("{:.2}", number("times")), "≤ 1.5", &more);
        let (done, asked) = (said["done"].as_u64(), said["events"].as_u64());
        self.json.insert("drain".to_owned(), said);
        if done == asked { Ok(()) } else { Err("events are missing, or there are too many".into()) }
    }

    pub(super) fn idle(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        let said = self.python("idle", &cloud)?;
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let (sandbox, server) = (number("sandbox_mib"), number("server_mib"));
        let more = format!("{sandbox:.1} MiB in its sandbox, {server:.1} MiB in the cloud; average of 30");
        self.row("an idle warm function", &format!("{:.1} MiB", sandbox + server), "< 12 MiB", &more);
        self.json.insert("idle".to_owned(), said);
        Ok(())
    }
}
