//! Where a function's output goes.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::function::BoxFuture;

/// The most bytes of one log event; longer lines are split. CloudWatch Logs quota: 1 MB per event; we stay at
/// the 256 KiB that older clients know.
pub const MAX_EVENT_BYTES: usize = 256 * 1024 - 26;

/// Takes the log events of functions.
pub trait LogSink: Send + Sync + 'static {
    /// Accepts `lines` for one stream, in order. Calls for one stream never overlap. While the returned
    /// future is pending the function's output waits in its pipe, so a slow sink slows only that function.
    fn write(&self, stream: &Arc<LogStream>, lines: Vec<LogLine>) -> BoxFuture<'static, ()>;
}

/// The place in CloudWatch Logs that a sandbox writes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogStream {
    /// The account that owns the function.
    pub account: String,
    /// The function's region.
    pub region: String,
    /// Such as `/aws/lambda/thumbnails`.
    pub group: String,
    /// Such as `2026/11/23/[$LATEST]0f3a…`: one per sandbox.
    pub stream: String,
}

/// One log event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: SystemTime,
    /// The message, without its final newline. Not necessarily UTF-8.
    pub message: Bytes,
}

/// Forgets everything. For tools and tests.
pub struct NoLogs;

impl LogSink for NoLogs {
    fn write(&self, _: &Arc<LogStream>, _: Vec<LogLine>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
