//! Where the time of the last invocations went, for `cloudlet logs --trace`. Of this run of the program only.

use crate::Lambda;
use crate::runner::Target;
use cloudlet_compute::InvokeResult;
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
    /// What was invoked, and how its time was spent, in the form of a REPORT line.
    pub line: String,
}

/// The last traces, oldest first.
#[derive(Default)]
pub(crate) struct Traces(Mutex<VecDeque<Trace>>);

impl Lambda {
    /// Remembers an invocation.
    pub(crate) fn trace(&self, target: &Target, request_id: &str, result: &InvokeResult) {
        let cx = &target.named.cx;
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
        let trace = Trace {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            function: target.named.name.clone(),
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
