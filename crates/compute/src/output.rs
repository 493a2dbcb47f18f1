//! One sandbox's way to its log stream, with the bounds of one invocation.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use serde_json::Value;

use crate::extensions::Extensions;
use crate::{LogLine, LogSink, LogStream};

/// `LogType=Tail` returns this much.
const TAIL: usize = 4096;

/// Writes lines, keeps the tail, counts what it lets fall.
pub(crate) struct Output {
    sink: Arc<dyn LogSink>,
    pub(crate) stream: Arc<LogStream>,
    /// Lines of the platform that go out with the next write.
    held: Vec<LogLine>,
    tail: Vec<u8>,
    allowed: u64,
    left: u64,
    dropped: u64,
    /// Who else hears of lines: subscribers of the Telemetry API.
    tap: Option<Arc<Extensions>>,
}

/// Who wrote a line, as the Telemetry API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Function,
    Extension,
}

impl Output {
    pub(crate) fn new(sink: Arc<dyn LogSink>, stream: Arc<LogStream>) -> Self {
        Self { sink, stream, held: Vec::new(), tail: Vec::new(), allowed: 0, left: 0, dropped: 0, tap: None }
    }

    /// Another way to the same stream, for what comes after the last call.
    pub(crate) fn continued(&self) -> Self {
        let mut output = Self::new(self.sink.clone(), self.stream.clone());
        output.begin(self.allowed);
        output
    }

    pub(crate) fn tap(&mut self, extensions: Arc<Extensions>) {
        self.tap = Some(extensions);
    }

    /// Begins an invocation that may write `allowed` bytes.
    pub(crate) fn begin(&mut self, allowed: u64) {
        self.allowed = allowed;
        self.tail.clear();
        self.left = allowed;
        self.dropped = 0;
    }

    /// Begins an invocation. The first one of a sandbox also owns what its init phase wrote.
    pub(crate) fn begin_or_continue(&mut self, first: bool) {
        if !first {
            self.begin(self.allowed);
        }
    }

    /// A line of the platform: never dropped, written with what follows.
    pub(crate) fn hold(&mut self, line: LogLine) {
        self.remember(&line.message);
        self.held.push(line);
    }

    /// Lines of the function or of its extensions.
    pub(crate) async fn put(&mut self, lines: Vec<LogLine>, writer: Writer) {
        let heard = self.tap.as_ref().map(|tap| &tap.telemetry).filter(|telemetry| telemetry.is_heard());
        if let Some(telemetry) = heard {
            let stream = match writer {
                Writer::Function => "function",
                Writer::Extension => "extension",
            };
            for line in &lines {
                // A record of a JSON log is an object for subscribers too.
                let object = serde_json::from_slice(&line.message).ok().filter(Value::is_object);
                let record = object.unwrap_or_else(|| {
                    let text = String::from_utf8_lossy(&line.message);
                    Value::from(format!("{text}\n"))
                });
                telemetry.tell(stream, stream, line.at, record);
            }
        }
        for line in lines {
            let size = line.message.len() as u64;
            if size > self.left {
                self.left = 0;
                self.dropped += size;
                continue;
            }
            self.left -= size;
            self.remember(&line.message);
            self.held.push(line);
        }
        self.flush().await;
    }

    /// Says what was dropped, if anything was.
    pub(crate) fn settle(&mut self) {
        if self.dropped > 0 {
            let message = format!(
                "[cloudlet] {} bytes of this invocation's output were dropped: it wrote more than the configured limit",
                self.dropped
            );
            self.dropped = 0;
            self.hold(LogLine { at: SystemTime::now(), message: Bytes::from(message) });
        }
    }

    /// Hands everything over and waits until the sink has taken it.
    pub(crate) async fn flush(&mut self) {
        if !self.held.is_empty() {
            let lines = std::mem::take(&mut self.held);
            self.sink.write(&self.stream, lines).await;
        }
    }

    pub(crate) fn take_tail(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }

    fn remember(&mut self, message: &[u8]) {
        let message = &message[message.len().saturating_sub(TAIL - 1)..];
        let excess = (self.tail.len() + message.len() + 1).saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.tail.extend_from_slice(message);
        self.tail.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoLogs;

    fn output() -> Output {
        let stream =
            LogStream { account: "".into(), region: "".into(), group: "g".into(), stream: "s".into() };
        Output::new(Arc::new(NoLogs), Arc::new(stream))
    }

    fn line(text: String) -> LogLine {
        LogLine { at: SystemTime::now(), message: Bytes::from(text) }
    }

    #[tokio::test]
    async fn the_tail_is_the_last_four_kilobytes() {
        let mut output = output();
        output.begin(1 << 20);
        output.put((0..1000).map(|n| line(format!("line {n}"))).collect(), Writer::Function).await;
        let tail = output.take_tail();
        assert!(tail.len() <= TAIL && tail.ends_with(b"line 999\n"));
        output.put(vec![line("y".repeat(10_000))], Writer::Function).await;
        assert_eq!(output.take_tail().len(), TAIL);
    }

    #[tokio::test]
    async fn too_much_is_dropped_and_said() {
        let mut output = output();
        output.begin(10);
        output
            .put(vec![line("123456789".into()), line("abc".into()), line("d".into())], Writer::Function)
            .await;
        output.settle();
        let tail = String::from_utf8(output.take_tail()).unwrap();
        assert!(tail.starts_with("123456789\n[cloudlet] 4 bytes"), "{tail}");
    }
}
