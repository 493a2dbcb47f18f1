//! The lines that Lambda itself writes around a function's output.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::{FunctionSpec, LogFormat, LogLine};

const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `2026-11-23T18:55:40.123Z`
pub(crate) fn timestamp(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(STAMP).unwrap_or_default()
}

/// The figures of one finished invocation.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) duration: Duration,
    pub(crate) billed: Duration,
    pub(crate) memory_mb: u32,
    pub(crate) max_memory_mb: u32,
    pub(crate) init: Option<Duration>,
    pub(crate) status: Status<'a>,
}

/// How it ended, as far as the platform is concerned. An exception of the handler is a success to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status<'a> {
    Success,
    Timeout,
    Error(&'a str),
}

/// Milliseconds with two decimals.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

/// Milliseconds with three decimals, as records have them.
pub(crate) fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Rounded up to the millisecond, never less than one.
pub(crate) fn billed(duration: Duration) -> Duration {
    Duration::from_millis((duration.as_nanos().div_ceil(1_000_000) as u64).max(1))
}

/// `START …`, or its JSON event.
pub(crate) fn start(spec: &FunctionSpec, request_id: &str, now: SystemTime) -> Option<LogLine> {
    let message = match &spec.log_format {
        LogFormat::Text => format!("START RequestId: {request_id} Version: {}", spec.version),
        LogFormat::Json { system_level, .. } => {
            let mut record = json!({"requestId": request_id, "version": spec.version});
            if let Some(tenant) = &spec.tenant {
                record["tenantId"] = json!(tenant);
            }
            return wanted(system_level, 1).then(|| event(now, "platform.start", record));
        }
    };
    Some(line(now, message))
}

/// `END …` and `REPORT …`, or their JSON event.
pub(crate) fn end(spec: &FunctionSpec, report: &Report<'_>, now: SystemTime) -> Vec<LogLine> {
    match &spec.log_format {
        LogFormat::Text => {
            vec![line(now, format!("END RequestId: {}", report.request_id)), line(now, report.text())]
        }
        LogFormat::Json { system_level, .. } => {
            let severity = if report.status == Status::Success { 1 } else { 2 };
            let report = wanted(system_level, severity).then(|| event(now, "platform.report", report.json()));
            report.into_iter().collect()
        }
    }
}

/// A line of the platform's own between START and END.
pub(crate) fn notice(spec: &FunctionSpec, request_id: &str, text: &str, now: SystemTime) -> LogLine {
    match &spec.log_format {
        LogFormat::Text => line(now, text.to_owned()),
        LogFormat::Json { .. } => {
            let record = json!({"timestamp": timestamp(now), "level": "ERROR", "message": text, "requestId": request_id});
            line(now, record.to_string())
        }
    }
}

/// What Lambda logs about an extension when the init phase is over. `line` is its text.
pub(crate) fn extension(spec: &FunctionSpec, line_: &str, now: SystemTime) -> LogLine {
    match &spec.log_format {
        LogFormat::Text => line(now, line_.to_owned()),
        LogFormat::Json { .. } => event(now, "platform.extension", extension_record(line_)),
    }
}

/// The same as a record.
pub(crate) fn extension_record(line: &str) -> Value {
    let field = |name: &str| line.split('\t').find_map(|field| field.strip_prefix(name)).unwrap_or_default();
    let events = field("Events: ").trim_matches(['[', ']']);
    let events: Vec<&str> = events.split(", ").filter(|event| !event.is_empty()).collect();
    json!({"name": field("Name: "), "state": field("State: "), "events": events})
}

impl Report<'_> {
    /// The REPORT line: fields are separated by tabs, as on AWS.
    fn text(&self) -> String {
        let mut text = format!(
            "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB",
            self.request_id,
            millis(self.duration),
            self.billed.as_millis(),
            self.memory_mb,
            self.max_memory_mb
        );
        if let Some(init) = self.init {
            text.push_str(&format!("\tInit Duration: {} ms", millis(init)));
        }
        match self.status {
            Status::Success => {}
            Status::Timeout => text.push_str("\tStatus: timeout"),
            Status::Error(kind) => text.push_str(&format!("\tStatus: error\tError Type: {kind}")),
        }
        text.push('\t');
        text
    }

    pub(crate) fn json(&self) -> Value {
        let mut metrics = json!({
            "durationMs": rounded(self.duration),
            "billedDurationMs": self.billed.as_millis() as u64,
            "memorySizeMB": self.memory_mb,
            "maxMemoryUsedMB": self.max_memory_mb,
        });
        if let Some(init) = self.init {
            metrics["initDurationMs"] = json!(rounded(init));
        }
        let mut record = json!({"requestId": self.request_id, "metrics": metrics});
        match self.status {
            Status::Success => record["status"] = json!("success"),
            Status::Timeout => record["status"] = json!("timeout"),
            Status::Error(kind) => {
                record["status"] = json!("error");
                record["errorType"] = json!(kind);
            }
        }
        record
    }
}

fn line(at: SystemTime, message: String) -> LogLine {
    LogLine { at, message: Bytes::from(message) }
}

fn event(at: SystemTime, kind: &str, record: Value) -> LogLine {
    line(at, json!({"time": timestamp(at), "type": kind, "record": record}).to_string())
}

/// Whether events of this severity (1: INFO, 2: WARN) are wanted.
fn wanted(system_level: &str, severity: u8) -> bool {
    match system_level {
        "WARN" => severity >= 2,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_line_is_lambdas() {
        let report = Report {
            request_id: "r-1",
            duration: Duration::from_micros(1234),
            billed: billed(Duration::from_micros(1234)),
            memory_mb: 128,
            max_memory_mb: 40,
            init: Some(Duration::from_micros(12_300)),
            status: Status::Success,
        };
        assert_eq!(
            report.text(),
            "REPORT RequestId: r-1\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 40 \
             MB\tInit Duration: 12.30 ms\t"
        );
        let failed = Report { init: None, status: Status::Error("Runtime.ExitError"), ..report };
        assert!(failed.text().ends_with("40 MB\tStatus: error\tError Type: Runtime.ExitError\t"));
    }

    #[test]
    fn billing_rounds_up() {
        assert_eq!(billed(Duration::ZERO).as_millis(), 1);
        assert_eq!(billed(Duration::from_micros(1001)).as_millis(), 2);
        assert_eq!(billed(Duration::from_millis(5)).as_millis(), 5);
    }
}
