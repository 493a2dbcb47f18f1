//! A server under load: started, measured, ended.

use super::Result;
use crate::Outcome;
use crate::test::target;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; ended with its handle.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// The baseline, answering bodies of so many bytes.
    pub(super) fn baseline(size: u64) -> Result<Self> {
        Self::base(&["--size", &size.to_string()])
    }

    /// The baseline as an S3 that keeps nothing and has one object of so many bytes.
    pub(super) fn discarding(size: u64) -> Result<Self> {
        Self::base(&["--s3", "1", "--size", &size.to_string()])
    }

    fn base(options: &[&str]) -> Result<Self> {
        let mut command = Command::new(target().join("release/baseline"));
        command.args(options);
        let mut child =
            command.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot start the baseline: {e}"))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the baseline has no output")?).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("listening on ").ok_or("the baseline did not say where it listens")?;
        Ok(Self { address: address.parse()?, child })
    }

    /// A cloud; returns when it answers.
    pub(super) fn cloudlet(binary: &str, options: &[&str]) -> Result<Self> {
        Ok(Self::timed(binary, options)?.0)
    }

    /// The same, with the time from its start to its first answer.
    pub(super) fn timed(binary: &str, options: &[&str]) -> Result<(Self, Duration)> {
        // A port that was free a moment ago.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(binary);
        command.arg("start").args(options).args(["--port", &address.port().to_string()]);
        let begun = Instant::now();
        let child =
            command.stdout(Stdio::null()).spawn().map_err(|e| format!("cannot start {binary}: {e}"))?;
        let mut server = Self { child, address };
        while !server.answers() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{binary} ended at once: {status}").into());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{binary} did not answer within {PATIENCE:?}").into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let took = begun.elapsed();
        Ok((server, took))
    }

    /// Whether a request to a service is answered by it: 503 means that the cloud is not open yet.
    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream
                .write_all(b"GET /bench/object1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(answer.starts_with(b"HTTP/1.1 403") || answer.starts_with(b"HTTP/1.1 404"))
        };
        ask().unwrap_or(false)
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Loads it and gives what the generator said.
    pub(super) fn load(&self, options: &[&str]) -> Result<Value> {
        let mut command = Command::new(target().join("release/load"));
        command.args(["--address", &self.address.to_string()]).args(options);
        said(&mut command)
    }

    /// Puts a bucket (`/name`) or an object of so many bytes.
    pub(super) fn put(&self, path: &str, size: u64) -> Outcome {
        let once =
            ["--connections", "1", "--count", "1", "--service", "s3", "--method", "PUT", "--target", path];
        self.load(&[&once[..], &["--size", &size.to_string()]].concat())?;
        Ok(())
    }

    /// A line of its `/proc/PID/status`, in MiB: `VmRSS` is now, `VmHWM` the most.
    pub(super) fn memory(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        let kib: f64 =
            line.and_then(|l| l.trim().strip_suffix("kB")).ok_or("no such line in status")?.trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// From now on `VmHWM` counts anew. Source: proc(5), `/proc/PID/clear_refs`.
    pub(super) fn forget_peak(&self) -> Outcome {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Ends it in an orderly way.
    pub(super) fn stop(mut self) -> Outcome {
        Command::new("kill").arg(self.pid()).status()?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                return Err("the server does not end".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // In an orderly way first, so that what it keeps in temporary folders goes with it.
            let _ = Command::new("kill").arg(self.pid()).status();
            let begun = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A load that nobody counts.
pub(super) fn load_briefly(server: &Server, options: &[&str]) -> Outcome {
    server.load(&[&["--connections", "32", "--seconds", "0.5"], options].concat())?;
    Ok(())
}

/// Runs a command and reads the JSON that it prints.
pub(super) fn said(command: &mut Command) -> Result<Value> {
    let out =
        command.stderr(Stdio::inherit()).output().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{:?} failed ({})", command.get_program(), out.status).into());
    }
    Ok(serde_json::from_slice(&out.stdout)?)
}
