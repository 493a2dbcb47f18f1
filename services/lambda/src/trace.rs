//! Where the time of the last invocations went, for `cloudlet logs --trace`. Of this run of the program only.

use crate::Lambda;
use crate::names::Named;
use crate::runner::Target;
use cloudlet_compute::InvokeResult;
use cloudlet_service::Error;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

/// How many invocations are remembered.
const MOST: usize = 10_000;

/// One invocation and its phases.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The account of the function.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub function: String,
    /// When the invocation ended, in milliseconds since 1970.
    pub at: i64,
    /// What was invoked, and how its time was spent, in the form of a REPORT line; or what was not delivered.
    pub line: String,
}

/// The last traces, oldest first.
#[derive(Default)]
pub(crate) struct Traces(Mutex<VecDeque<Trace>>);

impl Lambda {
    /// Remembers an invocation.
    pub(crate) fn trace(&self, target: &Target, request_id: &str, result: &InvokeResult) {
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        let phases = result.phases;
        let mut line = format!(
            "REPORT RequestId: {request_id}\tVersion: {}\tQueue: {}\tSandbox: {}\tImport: {}\tHandler: {}\tBilled Duration: {} ms\t\
             Max Memory Used: {} MB\tSandbox Id: {}",
            target.version.name(),
            ms(phases.queue),
            ms(phases.sandbox),
            ms(phases.import),
            ms(phases.handler),
            result.billed.as_millis(),
            result.max_memory_mb,
            result.sandbox,
        );
        if let Some(kind) = result.error_type.as_deref().or(result.function_error.map(|e| e.as_str())) {
            line.push_str("\tError Type: ");
            line.push_str(kind);
        }
        self.keep_trace(&target.named, line);
    }

    /// Remembers that something about an event was not delivered, under the name of AWS's metric for it:
    /// `DestinationDeliveryFailures` or `DeadLetterErrors`.
    pub(crate) fn trace_undelivered(
        &self,
        named: &Named,
        metric: &str,
        request_id: &str,
        destination: &str,
        error: &Error,
    ) {
        let function = &named.name;
        tracing::warn!(%error, destination, function, request_id, metric, "a record was not delivered");
        let line = format!(
            "{metric} RequestId: {request_id}\tDestination: {destination}\tError: {}: {}",
            error.code(),
            error.message()
        );
        self.keep_trace(named, line);
    }

    fn keep_trace(&self, named: &Named, line: String) {
        let cx = &named.cx;
        let trace = Trace {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            function: named.name.clone(),
            at: cx.millis(),
            line,
        };
        let mut traces = self.traces.0.lock();
        if traces.len() >= MOST {
            traces.pop_front();
        }
        traces.push_back(trace);
    }

    /// The invocations of a function that ended after this time, oldest first.
    pub fn traces(&self, account: &str, region: &str, function: &str, after: i64) -> Vec<Trace> {
        let traces = self.traces.0.lock();
        let wanted =
            |t: &&Trace| t.at > after && t.account == account && t.region == region && t.function == function;
        traces.iter().filter(wanted).cloned().collect()
    }
}
