//! `cargo xtask bench`: the promised figures, measured. The baseline and the cloud stand side by side and are loaded in turn, so
//! that what else runs on the machine hurts both alike; every ratio is the median of several turns.

mod dynamodb;
mod functions;
mod kms;
mod policies;
mod s3;
mod server;

use crate::Outcome;
use crate::test::{cargo, target};
use serde_json::{Map, Value, json};
use server::Server;
use std::process::Command;

/// Turns of each comparison.
const TURNS: usize = 3;
/// Connections of each load.
const CONNECTIONS: &str = "32";
const MIB: u64 = 1 << 20;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the command line says.
struct Options {
    seconds: String,
    /// Bytes of the large object.
    large: u64,
    /// Invocations, and uploads of the burst.
    count: u64,
    /// Items of the largest table.
    items: u64,
    /// Keys of the bucket that is listed.
    keys: u64,
    /// A server that is built already.
    binary: Option<String>,
}

/// A part: its name, what it is about, its work.
type Part = (&'static str, &'static str, fn(&mut Bench) -> Outcome);

const PARTS: &[Part] = &[
    ("identity", "GetCallerIdentity against the baseline's 1 KiB", Bench::identity),
    ("decision", "one decision over 20 policies of 10 statements", Bench::decision),
    ("get", "S3 GET of 1 KiB against the baseline's 1 KiB", Bench::get),
    ("put", "S3 PUT of 1 KiB against the baseline's 1 KiB", Bench::put),
    ("get-1m", "S3 GET of 1 MiB against the baseline's 1 MiB", Bench::get_large),
    ("list", "S3 ListObjectsV2: 1,000 keys of a million", Bench::list),
    (
        "dynamodb",
        "DynamoDB GetItem, PutItem, UpdateItem against the baseline's 1 KiB; Query of 100 items",
        Bench::dynamodb,
    ),
    ("dynamodb-size", "DynamoDB with more and more items (--items)", Bench::dynamodb_size),
    (
        "dynamodb-compaction",
        "DynamoDB's latency while items of 20 KB are written and merged, and the memory it takes",
        Bench::dynamodb_compaction,
    ),
    ("policies", "DynamoDB GetItem of a user with 20 policies against the root user's", Bench::policies),
    ("kms", "KMS Encrypt, Decrypt, GenerateDataKey on one pool of connections", Bench::kms),
    ("start", "start to first answer on an existing data directory, and idle memory", Bench::start),
    ("large", "one large object up and down, and the memory it takes", Bench::large),
    (
        "cp",
        "`aws s3 cp` of one large object, against `cp` and what the client alone costs (--large)",
        Bench::cp,
    ),
    ("memory", "resident memory while small objects, listings and large copies pass", Bench::s3_memory),
    ("functions", "Lambda: cold and warm invocations", Bench::functions),
    ("burst", "a burst of uploads, each made a thumbnail by a function", Bench::burst),
    ("drain", "a burst of events of a function that takes 10 ms of a processor (--count)", Bench::drain),
    ("idle", "what a warm function that nobody calls costs", Bench::idle),
];

struct Bench {
    options: Options,
    rows: Vec<[String; 4]>,
    json: Map<String, Value>,
}

/// Builds what is needed, runs the parts, prints a table and JSON.
pub(crate) fn run(args: &[String]) -> Outcome {
    let (mut seconds, mut large, mut count, mut binary) = ("4".to_owned(), MIB << 10, 1000, None);
    let mut keys = 1_000_000;
    let mut items = 100_000;
    let mut chosen: Vec<&Part> = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--seconds" => seconds = value()?,
            "--large" => large = (value()?.parse::<f64>()? * (MIB << 10) as f64) as u64,
            "--count" => count = value()?.parse()?,
            "--items" => items = value()?.parse()?,
            "--keys" => keys = value()?.parse()?,
            "--binary" => binary = Some(value()?),
            name => chosen.push(
                PARTS
                    .iter()
                    .find(|p| p.0 == name)
                    .ok_or(format!("there is no part {name}; see cargo xtask help"))?,
            ),
        }
    }
    if chosen.is_empty() {
        chosen.extend(PARTS);
    }
    let mut build = vec!["build", "--quiet", "--release", "--package", "baseline", "--package", "load"];
    if binary.is_none() {
        build.extend(["--package", "cloudlet"]);
    }
    cargo(&build)?;
    let options = Options { seconds, large, count, keys, items, binary };
    let mut bench = Bench { options, rows: Vec::new(), json: Map::new() };
    let mut failed = Vec::new();
    for (name, about, part) in chosen {
        eprintln!("{name}: {about} …");
        if let Err(why) = part(&mut bench) {
            eprintln!("{name}: {why}");
            bench.row(name, "failed", "", &why.to_string());
            failed.push(*name);
        }
    }
    bench.print();
    let path = target().join("bench.json");
    std::fs::write(&path, format!("{:#}\n", Value::Object(bench.json)))?;
    println!("\nAll numbers: {}", path.display());
    if failed.is_empty() { Ok(()) } else { Err(format!("parts that failed: {}", failed.join(", ")).into()) }
}

impl Bench {
    fn cloudlet(&self) -> String {
        let built = || target().join("release/cloudlet").display().to_string();
        self.options.binary.clone().unwrap_or_else(built)
    }

    fn ephemeral(&self) -> Result<Server> {
        Server::cloudlet(&self.cloudlet(), &["--ephemeral"])
    }

    fn row(&mut self, what: &str, measured: &str, promised: &str, more: &str) {
        self.rows.push([what, measured, promised, more].map(str::to_owned));
    }

    fn print(&self) {
        let heads = ["figure", "measured", "promised", "details"].map(str::to_owned);
        let all = || std::iter::once(&heads).chain(&self.rows);
        let width = |i: usize| all().map(|row| row[i].chars().count()).max().unwrap_or(0);
        println!();
        for row in all() {
            let [a, b, c, d] = row;
            println!("{a:<0$}  {b:>1$}  {c:>2$}  {d}", width(0), width(1), width(2));
        }
    }

    /// Loads both in turn and notes the ratio of their rates.
    fn compare(
        &mut self,
        name: &str,
        what: &str,
        promised: f64,
        base: &Server,
        cloud: &Server,
        load: &[&str],
    ) -> Outcome {
        self.compare_loads(name, what, promised, (base, &[]), (cloud, load))
    }

    /// The same where what is compared with has a load of its own.
    fn compare_loads(
        &mut self,
        name: &str,
        what: &str,
        promised: f64,
        (base, base_load): (&Server, &[&str]),
        (cloud, load): (&Server, &[&str]),
    ) -> Outcome {
        let mut turns = Vec::new();
        let seconds = self.options.seconds.clone();
        let timed = |server: &Server, more: &[&str]| {
            server.load(&[&["--connections", CONNECTIONS, "--seconds", &seconds], more].concat())
        };
        // Once unseen: caches fill, threads start.
        server::load_briefly(cloud, load)?;
        server::load_briefly(base, base_load)?;
        for _ in 0..TURNS {
            let (base, cloud) = (timed(base, base_load)?, timed(cloud, load)?);
            turns.push((rate(&cloud) / rate(&base), base, cloud));
        }
        turns.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, base_said, said) = &turns[TURNS / 2];
        let measured = format!("{:.0} %", ratio * 100.0);
        let more = format!(
            "{:.0}/s of {:.0}/s, p50 {} µs, p99 {} µs, {:.0} MiB resident afterwards",
            rate(said),
            rate(base_said),
            said["p50_us"],
            said["p99_us"],
            cloud.memory("VmRSS")?
        );
        self.row(what, &measured, &format!("≥ {:.0} %", promised * 100.0), &more);
        let ratios: Vec<f64> = turns.iter().map(|t| t.0).collect();
        let value = json!({ "ratio": ratio, "ratios": ratios, "baseline": base_said, "cloudlet": said, "promised": promised });
        self.json.insert(name.to_owned(), value);
        Ok(())
    }

    fn identity(&mut self) -> Outcome {
        let (base, cloud) = (Server::baseline(1024)?, self.ephemeral()?);
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let load = ["--service", "sts", "--method", "POST", "--body", body, "--type", form];
        self.compare("identity", "GetCallerIdentity", 0.6, &base, &cloud, &load)
    }

    /// The dearest of the shapes that `crates/access/examples/measure.rs` decides.
    fn decision(&mut self) -> Outcome {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let measure = ["run", "--quiet", "--release", "--package", "cloudlet-access", "--example", "measure"];
        let done = Command::new(cargo).args(measure).current_dir(crate::root()).output()?;
        let text = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() || text.contains("WRONG") {
            return Err(
                format!("the measurement failed: {text}{}", String::from_utf8_lossy(&done.stderr)).into()
            );
        }
        let figure = |line: &str| line.strip_suffix(" us")?.rsplit(' ').next()?.parse::<f64>().ok();
        let worst = text.lines().filter_map(figure).fold(0.0, f64::max);
        self.json.insert("decision".to_owned(), json!({ "microseconds": worst }));
        self.row(
            "one decision, 20 policies of 10 statements",
            &format!("{worst:.1} µs"),
            "< 10 µs",
            "the dearest of seven shapes",
        );
        Ok(())
    }

    fn get(&mut self) -> Outcome {
        let (base, cloud) = (Server::baseline(1024)?, self.ephemeral()?);
        cloud.put("/bench", 0)?;
        cloud.put("/bench/key", 1024)?;
        self.compare(
            "get",
            "S3 GET 1 KiB",
            0.6,
            &base,
            &cloud,
            &["--service", "s3", "--target", "/bench/key"],
        )
    }

    fn put(&mut self) -> Outcome {
        let (base, cloud) = (Server::baseline(1024)?, self.ephemeral()?);
        cloud.put("/bench", 0)?;
        let load = ["--service", "s3", "--method", "PUT", "--target", "/bench/key{n}", "--size", "1024"];
        self.compare("put", "S3 PUT 1 KiB", 0.25, &base, &cloud, &load)
    }

    fn get_large(&mut self) -> Outcome {
        let (base, cloud) = (Server::baseline(MIB)?, self.ephemeral()?);
        cloud.put("/bench", 0)?;
        cloud.put("/bench/key", MIB)?;
        self.compare(
            "get-1m",
            "S3 GET 1 MiB",
            0.8,
            &base,
            &cloud,
            &["--service", "s3", "--target", "/bench/key"],
        )
    }

    /// A bucket of a million keys: its first page, one out of its middle, and what that takes of memory.
    fn list(&mut self) -> Outcome {
        let cloud = self.ephemeral()?;
        cloud.put("/bench", 0)?;
        let keys = self.options.keys;
        let count = keys.to_string();
        let put = ["--service", "s3", "--method", "PUT", "--target", "/bench/key-{i}", "--size", "100"];
        cloud.load(&[&put[..], &["--connections", CONNECTIONS, "--count", &count]].concat())?;
        let filled = cloud.memory("VmRSS")?;
        cloud.forget_peak()?;
        let middle = format!("/bench?list-type=2&start-after=key-{:08}", keys / 2);
        let seconds = self.options.seconds.clone();
        let mut all = Map::new();
        for (what, target) in [("first", "/bench?list-type=2"), ("middle", middle.as_str())] {
            let load = ["--service", "s3", "--target", target, "--connections", "1", "--seconds", &seconds];
            let said = cloud.load(&load)?;
            let more = format!("p99 {} µs, {:.0}/s", said["p99_us"], rate(&said));
            let ms = said["p50_us"].as_f64().unwrap_or(f64::NAN) / 1000.0;
            let row = format!("S3 ListObjectsV2, 1,000 of {keys} keys, {what} page");
            self.row(&row, &format!("{ms:.1} ms"), "< 10 ms", &more);
            all.insert(what.to_owned(), said);
        }
        let peak = cloud.memory("VmHWM")?;
        let more = format!("{filled:.0} MiB after {keys} objects were written");
        self.row("resident memory while listing", &format!("{peak:.0} MiB"), "< 100 MiB", &more);
        all.insert("filled_mib".to_owned(), json!(filled));
        all.insert("peak_mib".to_owned(), json!(peak));
        self.json.insert("list".to_owned(), Value::Object(all));
        Ok(())
    }

    fn start(&mut self) -> Outcome {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let binary = self.cloudlet();
        let cloud = Server::cloudlet(&binary, &["--data", &data])?;
        cloud.put("/bench", 0)?;
        fill(&cloud, 1000)?;
        cloud.stop()?;
        let (mut times, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let (cloud, took) = Server::timed(&binary, &["--data", &data])?;
            times.push(took.as_secs_f64() * 1000.0);
            idle.push(cloud.memory("VmRSS")?);
            cloud.stop()?;
        }
        times.sort_by(f64::total_cmp);
        idle.sort_by(f64::total_cmp);
        let (time, memory) = (times[times.len() / 2], idle[idle.len() / 2]);
        let worst =
            format!("of {}: best {:.0} ms, worst {:.0} ms", times.len(), times[0], times[times.len() - 1]);
        self.row("start to first answer", &format!("{time:.0} ms"), "< 50 ms", &worst);
        self.row("idle resident memory", &format!("{memory:.0} MiB"), "< 30 MiB", "after one answer");
        self.json.insert("start".to_owned(), json!({ "start_ms": times, "idle_mib": idle }));
        Ok(())
    }

    fn large(&mut self) -> Outcome {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let cloud = Server::cloudlet(&self.cloudlet(), &["--data", &data])?;
        cloud.put("/bench", 0)?;
        let size = self.options.large.to_string();
        let once = ["--connections", "1", "--count", "1", "--service", "s3", "--target", "/bench/large"];
        cloud.forget_peak()?;
        let up = cloud.load(&[&once[..], &["--method", "PUT", "--size", &size]].concat())?;
        let up_peak = cloud.memory("VmHWM")?;
        cloud.forget_peak()?;
        let down = cloud.load(&once)?;
        let down_peak = cloud.memory("VmHWM")?;
        if down["bytes"].as_u64() != Some(self.options.large) {
            return Err(format!("{} bytes came back of {size}", down["bytes"]).into());
        }
        let speed = |said: &Value| {
            self.options.large as f64 / MIB as f64 / said["seconds"].as_f64().unwrap_or(f64::NAN)
        };
        let gib = self.options.large as f64 / (MIB << 10) as f64;
        let more = format!("up {:.0} MiB/s, down {:.0} MiB/s", speed(&up), speed(&down));
        let peak = up_peak.max(down_peak);
        self.row(&format!("{gib} GiB up and down: memory"), &format!("{peak:.0} MiB"), "≤ 64 MiB", &more);
        let value = json!({ "bytes": self.options.large, "up": up, "down": down, "up_mib": up_peak, "down_mib": down_peak });
        self.json.insert("large".to_owned(), value);
        Ok(())
    }
}

fn rate(said: &Value) -> f64 {
    said["per_second"].as_f64().unwrap_or(f64::NAN)
}

/// Objects `/bench/object0` to `/bench/object{count - 1}`, 1 KiB each.
fn fill(cloud: &Server, count: usize) -> Outcome {
    let (count, size) = (count.to_string(), "1024");
    let load = ["--connections", &count, "--count", &count, "--service", "s3", "--method", "PUT"];
    cloud.load(&[&load[..], &["--target", "/bench/object{n}", "--size", size]].concat())?;
    Ok(())
}
