//! Measures cold and warm starts of functions, without the rest of the cloud.
//!
//! `cargo run --release -p cloudlet-compute --example latency [python3.12 | nodejs20.x]`

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudlet_compute::*;

const PLAIN: &str = "def handler(event, context):\n    return event\n";
const WITH_SDK: &str = "import boto3\ndef handler(event, context):\n    return boto3.__version__\n";
const WORK: &str = "import time\ndef handler(event, context):\n    time.sleep(0.01)\n";
const NODE_PLAIN: &str = "exports.handler = async (event) => event;";
const NODE_WITH_SDK: &str = "const { S3Client } = require('@aws-sdk/client-s3');\nexports.handler = async () => typeof new S3Client({});";
const NODE_WORK: &str = "exports.handler = () => new Promise((done) => setTimeout(done, 10));";

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == CHILD_ARGUMENT) {
        child_main(args);
    }
    let runtime = args.get(1).map_or("python3.12".into(), |name| name.to_string_lossy().into_owned());
    if let Err(error) = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())
        .and_then(|tokio| tokio.block_on(measure(&runtime)))
    {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

struct Bench {
    compute: Compute,
    folder: PathBuf,
    runtime: String,
    serial: usize,
}

async fn measure(runtime: &str) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("cloudlet-latency-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let mut config = Config::new(folder.join("compute"), EdgeRoute::None);
    config.progress = Arc::new(|p| eprintln!("{}: {}", p.what, p.step));
    let compute = Compute::new(config, Arc::new(NoLogs)).map_err(|e| e.to_string())?;
    let mut bench = Bench { compute, folder: folder.clone(), runtime: runtime.to_owned(), serial: 0 };
    let result = bench.run().await;
    bench.compute.shutdown().await;
    let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&folder).status();
    let _ = std::fs::remove_dir_all(&folder);
    result
}

impl Bench {
    async fn run(&mut self) -> Result<(), String> {
        let node = self.runtime.starts_with("nodejs");
        let [plain, with_sdk, work] =
            if node { [NODE_PLAIN, NODE_WITH_SDK, NODE_WORK] } else { [PLAIN, WITH_SDK, WORK] };
        let first = self.function(plain)?;
        let begin = Instant::now();
        self.compute.prepare(first.clone()).await.map_err(|e| e.to_string())?;
        println!("prepare (first use of the runtime): {:?}", begin.elapsed());
        for (name, source) in [("plain", plain), ("with the SDK", with_sdk)] {
            for (pause, how) in [(400, "one now and then"), (0, "one after another")] {
                let (mut times, mut phases) = (Vec::new(), Vec::new());
                for _ in 0..30 {
                    let spec = self.function(source)?;
                    // As CreateFunction does.
                    self.compute.prepare(spec.clone()).await.map_err(|e| e.to_string())?;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    let (time, result) = self.call(&spec, "1").await?;
                    times.push(time);
                    phases.push(result.phases);
                }
                report(&format!("cold, {name}, {how}"), &mut times);
                for (name, part) in [
                    ("queue", (|p: &Phases| p.queue) as fn(&Phases) -> Duration),
                    ("sandbox", |p| p.sandbox),
                    ("import", |p| p.import),
                    ("handler", |p| p.handler),
                ] {
                    report(&format!("    {name}"), &mut phases.iter().map(part).collect::<Vec<_>>());
                }
            }
        }
        let (_, _) = self.call(&first, "1").await?;
        let mut times = Vec::new();
        for _ in 0..3000 {
            times.push(self.call(&first, "{\"a\": 1}").await?.0);
        }
        report("warm", &mut times);

        let many: Result<Vec<_>, _> = (0..100).map(|_| self.function(plain)).collect();
        let begin = Instant::now();
        let calls: Vec<_> =
            many?.into_iter().map(|spec| tokio::spawn(call(self.compute.clone(), spec, "1"))).collect();
        for call in calls {
            call.await.map_err(|e| e.to_string())??;
        }
        println!("100 functions called for the first time at once: {:?}", begin.elapsed());

        let spec = self.function(work)?;
        let begin = Instant::now();
        let calls: Vec<_> =
            (0..1000).map(|_| tokio::spawn(call(self.compute.clone(), spec.clone(), "1"))).collect();
        for call in calls {
            call.await.map_err(|e| e.to_string())??;
        }
        println!("1,000 calls at once of a function that waits 10 ms: {:?}", begin.elapsed());
        println!("{:?}", self.compute.usage());
        Ok(())
    }

    fn function(&mut self, source: &str) -> Result<Arc<FunctionSpec>, String> {
        self.serial += 1;
        let path = self.folder.join(format!("{}.zip", self.serial));
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).map_err(|e| e.to_string())?);
        let name = if self.runtime.starts_with("nodejs") { "app.js" } else { "app.py" };
        zip.start_file(name, zip::write::SimpleFileOptions::default()).map_err(|e| e.to_string())?;
        zip.write_all(source.as_bytes()).map_err(|e| e.to_string())?;
        zip.finish().map_err(|e| e.to_string())?;
        Ok(Arc::new(FunctionSpec {
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:f{}", self.serial),
            name: format!("f{}", self.serial),
            version: "$LATEST".into(),
            revision: "1".into(),
            runtime: self.runtime.clone(),
            handler: "app.handler".into(),
            code: CodeRef { sha256: format!("{}", self.serial), path },
            image: None,
            layers: vec![],
            env: Default::default(),
            memory_mb: 128,
            timeout: Duration::from_secs(30),
            ephemeral_mb: 512,
            region: "us-east-1".into(),
            account: "000000000000".into(),
            log_group: "/aws/lambda/f".into(),
            log_format: LogFormat::Text,
            tenant: None,
            initialization_type: "on-demand".into(),
            credentials: None,
        }))
    }

    async fn call(
        &self,
        spec: &Arc<FunctionSpec>,
        event: &'static str,
    ) -> Result<(Duration, InvokeResult), String> {
        call(self.compute.clone(), spec.clone(), event).await
    }
}

async fn call(
    compute: Compute,
    spec: Arc<FunctionSpec>,
    event: &'static str,
) -> Result<(Duration, InvokeResult), String> {
    let begin = Instant::now();
    let invocation = Invocation::new("00000000-0000-4000-8000-000000000000", spec.arn.clone(), event);
    let result = compute.invoke(spec, invocation).await.map_err(|e| e.to_string())?;
    match result.function_error {
        Some(_) => Err(String::from_utf8_lossy(&result.payload).into_owned()),
        None => Ok((begin.elapsed(), result)),
    }
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{name}: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}
