//! S3's figures through the real AWS CLI, and the memory that its work takes.

use super::server::Server;
use super::{Bench, CONNECTIONS, MIB, Result, TURNS};
use crate::Outcome;
use crate::test::environment;
use serde_json::{Map, Value, json};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The AWS CLI of the tests' environment.
fn aws() -> Result<PathBuf> {
    Ok(environment()?.with_file_name("aws"))
}

/// Runs the CLI against a server and gives the seconds that it took.
fn copy(aws: &Path, server: &Server, from: &str, to: &str) -> Result<f64> {
    let mut command = Command::new(aws);
    command.args(["s3", "cp", "--only-show-errors", from, to]).stdout(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_ENDPOINT_URL", server.endpoint()).env("AWS_DEFAULT_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let begun = Instant::now();
    let status = command.status().map_err(|e| format!("cannot run {}: {e}", aws.display()))?;
    if !status.success() {
        return Err(format!("aws s3 cp {from} {to} failed ({status})").into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// A file of so many bytes that no filesystem stores as a hole.
fn write(path: &Path, size: u64) -> Outcome {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut block = vec![0u8; 1 << 20];
    let mut left = size;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: quick, and nothing that could be compressed away.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let now = usize::try_from(left.min(block.len() as u64))?;
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Bench {
    /// A large object through `aws s3 cp`: to the cloud and back, to a server that keeps nothing and back, and as a
    /// plain copy of the file, each in turn.
    pub(super) fn cp(&mut self) -> Outcome {
        let aws = aws()?;
        let size = self.options.large;
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let text = |name: &str| path(name).display().to_string();
        write(&path("file"), size)?;
        let data = text("data");
        let cloud = Server::cloudlet(&self.cloudlet(), &["--data", &data])?;
        cloud.put("/bench", 0)?;
        let nothing = Server::discarding(size)?;
        let (file, back, object) = (text("file"), text("back"), "s3://bench/large");
        let mut turns: Vec<[f64; 5]> = Vec::new();
        let mut peak = 0.0_f64;
        for _ in 0..TURNS {
            let begun = Instant::now();
            std::fs::copy(&file, &back)?;
            let plain = begun.elapsed().as_secs_f64();
            std::fs::remove_file(&back)?;
            let client_up = copy(&aws, &nothing, &file, object)?;
            cloud.forget_peak()?;
            let up = copy(&aws, &cloud, &file, object)?;
            let client_down = copy(&aws, &nothing, object, &back)?;
            std::fs::remove_file(&back)?;
            let down = copy(&aws, &cloud, object, &back)?;
            peak = peak.max(cloud.memory("VmHWM")?);
            if std::fs::metadata(&back)?.len() != size {
                return Err("what came back is not as long as what was sent".into());
            }
            std::fs::remove_file(&back)?;
            turns.push([plain, client_up, up, client_down, down]);
        }
        let gib = size as f64 / (MIB << 10) as f64;
        let mut all = Map::new();
        for (what, client, with) in [("up", 1, 2), ("down", 3, 4)] {
            let ratio = median(turns.iter().map(|t| t[with] / (t[0] + t[client])).collect());
            let of = |index: usize| median(turns.iter().map(|t| t[index]).collect());
            let more = format!("{:.1} s; cp {:.1} s, the client alone {:.1} s", of(with), of(0), of(client));
            let row = format!("aws s3 cp of {gib} GiB {what}, of cp plus the client's own time");
            self.row(&row, &format!("{ratio:.2} ×"), "≤ 1.3 ×", &more);
            all.insert(what.to_owned(), json!(ratio));
        }
        self.row("resident memory meanwhile", &format!("{peak:.0} MiB"), "< 100 MiB", "the most");
        all.insert("peak_mib".to_owned(), json!(peak));
        all.insert("seconds".to_owned(), json!(turns));
        self.json.insert("cp".to_owned(), Value::Object(all));
        Ok(())
    }

    /// The most resident memory during small writes and reads, listings, and a large object's upload and copies.
    pub(super) fn s3_memory(&mut self) -> Outcome {
        let aws = aws()?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let cloud = Server::cloudlet(&self.cloudlet(), &["--data", &data])?;
        cloud.put("/bench", 0)?;
        let (seconds, size) = (self.options.seconds.clone(), self.options.large.to_string());
        let timed = ["--service", "s3", "--connections", CONNECTIONS, "--seconds", &seconds];
        let once = ["--service", "s3", "--connections", "1", "--count", "1"];
        let put = ["--method", "PUT", "--target", "/bench/key-{i}", "--size", "1024"];
        let large = ["--method", "PUT", "--target", "/bench/large", "--size", &size];
        let loads: [(&str, Vec<&str>); 4] = [
            ("PUT of 1 KiB", [&timed[..], &put[..]].concat()),
            ("GET of 1 KiB", [&timed[..], &["--target", "/bench/key-00000001"][..]].concat()),
            ("listing", [&timed[..], &["--target", "/bench?list-type=2"][..]].concat()),
            ("PUT of a large object", [&once[..], &large[..]].concat()),
        ];
        let mut peaks = Map::new();
        for (what, load) in &loads {
            cloud.forget_peak()?;
            cloud.load(load)?;
            peaks.insert((*what).to_owned(), json!(cloud.memory("VmHWM")?));
        }
        cloud.forget_peak()?;
        copy(&aws, &cloud, "s3://bench/large", "s3://bench/copy")?;
        peaks.insert("copy of a large object".to_owned(), json!(cloud.memory("VmHWM")?));
        let most = peaks.values().filter_map(Value::as_f64).fold(0.0, f64::max);
        let shown: Vec<String> = peaks
            .iter()
            .map(|(what, mib)| format!("{what} {:.0}", mib.as_f64().unwrap_or(f64::NAN)))
            .collect();
        self.row("S3 at work: resident memory", &format!("{most:.0} MiB"), "< 100 MiB", &shown.join(", "));
        self.json.insert("memory".to_owned(), Value::Object(peaks));
        Ok(())
    }
}
