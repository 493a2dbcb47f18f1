//! A small cloud to run functions in.
#![allow(dead_code, unreachable_pub)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloudlet_compute::*;
use parking_lot::Mutex;

pub struct Lab {
    pub compute: Compute,
    pub logs: Arc<Lines>,
    pub folder: tempfile::TempDir,
}

/// Remembers every line, per stream.
#[derive(Default)]
pub struct Lines(Mutex<Vec<(Arc<LogStream>, LogLine)>>);

impl LogSink for Lines {
    fn write(&self, stream: &Arc<LogStream>, lines: Vec<LogLine>) -> BoxFuture<'static, ()> {
        self.0.lock().extend(lines.into_iter().map(|line| (stream.clone(), line)));
        Box::pin(std::future::ready(()))
    }
}

impl Lines {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().iter().map(|(_, line)| String::from_utf8_lossy(&line.message).into_owned()).collect()
    }

    pub fn bytes(&self) -> usize {
        self.0.lock().iter().map(|(_, line)| line.message.len()).sum()
    }

    pub fn has(&self, text: &str) -> bool {
        self.all().iter().any(|line| line.contains(text))
    }
}

pub fn lab() -> Lab {
    lab_with(|_| {})
}

pub fn lab_with(change: impl FnOnce(&mut Config)) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("compute"), EdgeRoute::None);
    config.child = PathBuf::from(env!("CARGO_BIN_EXE_cloudlet-compute-child"));
    config.sdk = false;
    config.pool_size = 1;
    change(&mut config);
    let logs = Arc::new(Lines::default());
    let compute = Compute::new(config, logs.clone()).unwrap();
    Lab { compute, logs, folder }
}

/// Both ways to run: behind all walls that this machine has, and as plain processes.
pub fn both_labs() -> [Lab; 2] {
    [lab(), lab_with(|config| config.isolation = Isolation::Plain)]
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Lab {
    /// A function of one file.
    pub fn python(&self, source: &str) -> FunctionSpec {
        self.package("python3.11", "app.handler", &[("app.py", source.as_bytes(), 0o644)])
    }

    pub fn package(&self, runtime: &str, handler: &str, files: &[(&str, &[u8], u32)]) -> FunctionSpec {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{serial}.zip"));
        std::fs::write(&path, zip(files)).unwrap();
        FunctionSpec {
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:f{serial}"),
            name: format!("f{serial}"),
            version: "$LATEST".into(),
            revision: "1".into(),
            runtime: runtime.into(),
            handler: handler.into(),
            code: CodeRef { sha256: format!("zip-{serial}"), path },
            image: None,
            layers: vec![],
            env: Default::default(),
            memory_mb: 128,
            timeout: Duration::from_secs(10),
            ephemeral_mb: 512,
            region: "us-east-1".into(),
            account: "000000000000".into(),
            log_group: format!("/aws/lambda/f{serial}"),
            log_format: LogFormat::Text,
            tenant: None,
            initialization_type: "on-demand".into(),
            credentials: None,
        }
    }

    pub async fn call(&self, spec: &Arc<FunctionSpec>, event: &str) -> InvokeResult {
        let id = format!("00000000-0000-4000-8000-{:012}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let call = Invocation::new(id, spec.arn.clone(), event.as_bytes().to_vec());
        let answer = tokio::time::timeout(Duration::from_secs(60), self.compute.invoke(spec.clone(), call));
        answer.await.expect("every call ends").unwrap()
    }

    /// Runs a function once.
    pub async fn once(&self, source: &str) -> InvokeResult {
        self.call(&Arc::new(self.python(source)), "{}").await
    }

    pub fn state(&self) -> &Path {
        self.folder.path()
    }
}

pub fn zip(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes, mode) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn text(result: &InvokeResult) -> String {
    String::from_utf8(result.payload.to_vec()).unwrap()
}

pub fn json(result: &InvokeResult) -> serde_json::Value {
    serde_json::from_slice(&result.payload).unwrap()
}
