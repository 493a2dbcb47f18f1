//! A sandbox that runs one version of one function, seen from the cloud.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::sync::mpsc;

use crate::capture::Capture;
use crate::frames::{Frames, MAX_RESPONSE, Message};
use crate::machine::{Handle, INIT_TIME};
use crate::output::Output;
use crate::report::{self, Report, Status};
use crate::runtime_api::Api;
use crate::warden::client::Event;
use crate::warden::protocol::{Exit, SandboxId, Status as ExitStatus, ToWarden};
use crate::{FunctionError, FunctionSpec, Invocation, InvokeResult, Phases, StreamPart};

/// Memory of calls shorter than this is not watched.
const WATCH_AFTER: Duration = Duration::from_millis(20);
/// Lambda quotas: the largest streamed response.
const MAX_STREAMED: usize = 200 << 20;
/// A sandbox is retired this long before its credentials expire, plus one timeout.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(60);

/// How we talk to the runtime inside.
pub(crate) enum Link {
    Frames(Frames),
    Api(Api),
}

impl Link {
    async fn receive(&mut self) -> io::Result<Message> {
        match self {
            Self::Frames(frames) => frames.receive().await,
            Self::Api(api) => api.receive().await,
        }
    }

    fn send(&mut self, call: &Invocation, deadline: SystemTime) {
        match self {
            Self::Frames(frames) => {
                let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
                let header = json!({
                    "t": "invoke",
                    "id": call.request_id,
                    "arn": call.invoked_arn,
                    "deadline_ms": deadline,
                    "client_context": call.client_context,
                    "cognito": call.cognito_identity,
                    "trace": call.trace_id,
                });
                frames.send(&header, &call.payload);
            }
            Self::Api(api) => api.send(call.clone(), deadline),
        }
    }
}

/// Why the handler could not be loaded.
#[derive(Debug)]
pub(crate) struct InitFailure {
    kind: String,
    payload: Option<Bytes>,
    message: String,
    end: Option<End>,
}

impl InitFailure {
    pub(crate) fn new(kind: &str, message: &str) -> Self {
        Self { kind: kind.to_owned(), payload: None, message: message.to_owned(), end: None }
    }
}

/// How a sandbox came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    OutOfMemory,
    Code(i32),
    Signal(i32),
    Killed,
}

impl End {
    pub(crate) fn of(exit: &Exit) -> Self {
        match exit.status {
            _ if exit.oom => Self::OutOfMemory,
            Some(ExitStatus::Code(code)) => Self::Code(code),
            Some(ExitStatus::Signal(signal)) => Self::Signal(signal),
            None => Self::Killed,
        }
    }

    /// As Lambda says it.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OutOfMemory | Self::Killed => "Runtime exited with error: signal: killed".to_owned(),
            Self::Code(0) => "Runtime exited without providing a reason".to_owned(),
            Self::Code(code) => format!("Runtime exited with error: exit status {code}"),
            Self::Signal(signal) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::OutOfMemory => "Runtime.OutOfMemory",
            _ => "Runtime.ExitError",
        }
    }
}

/// The names that Go's syscall package gives them, which Lambda prints.
fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    }
    .to_owned()
}

/// Gives a part of a streamed response to who takes it. `false`: the function's time was over before it was taken.
async fn pass_on(call: &Invocation, part: StreamPart, deadline: Instant) -> bool {
    let Some(stream) = &call.stream else { return true };
    // A taker that went away does not end the function, as on AWS.
    tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), stream.send(part)).await.is_ok()
}

/// What one call came to, inside.
enum Outcome {
    Answer(Bytes),
    Failure { kind: String, payload: Bytes },
    TooLarge(usize),
    Ended(End),
    TimedOut,
}

/// One live sandbox. Dropping it ends it.
pub(crate) struct Sandbox {
    handle: Handle,
    events: mpsc::UnboundedReceiver<Event>,
    link: Link,
    capture: Capture,
    capture_ended: bool,
    output: Output,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) init_failure: Option<InitFailure>,
    /// Taken by the first invocation.
    pub(crate) init_duration: Option<Duration>,
    pub(crate) phases: Phases,
    /// Credentials end.
    expires: Option<SystemTime>,
    max_memory_kb: u64,
    pub(crate) generation: u64,
    pub(crate) idle_since: Instant,
}

impl Sandbox {
    pub(crate) fn new(
        handle: Handle,
        events: mpsc::UnboundedReceiver<Event>,
        link: Link,
        capture: Capture,
        output: Output,
        spec: Arc<FunctionSpec>,
        expires: Option<SystemTime>,
    ) -> Self {
        Self {
            handle,
            events,
            link,
            capture,
            capture_ended: false,
            output,
            spec,
            init_failure: None,
            init_duration: None,
            phases: Phases::default(),
            expires,
            max_memory_kb: 0,
            generation: 0,
            idle_since: Instant::now(),
        }
    }

    pub(crate) fn id(&self) -> SandboxId {
        self.handle.id
    }

    /// The host's number of its main process, where that is known.
    pub(crate) fn main(&self) -> Option<i32> {
        self.handle.main
    }

    /// Whether it can take another call: still there, and its credentials last.
    pub(crate) fn is_fit(&mut self) -> bool {
        let alive = matches!(self.events.try_recv(), Err(mpsc::error::TryRecvError::Empty));
        let lasting =
            self.expires.is_none_or(|at| at > SystemTime::now() + self.spec.timeout + CREDENTIALS_MARGIN);
        alive && lasting && self.init_failure.is_none()
    }

    /// Waits until the handler is loaded, or until it is clear that it will not be.
    pub(crate) async fn initialise(&mut self, begin: Instant) {
        let deadline = begin + INIT_TIME + self.spec.timeout;
        let first = loop {
            match self.next_message(deadline, None).await {
                // An interpreter that was not started ahead.
                Ok(Message::Ready) => {}
                other => break other,
            }
        };
        let failure = match first {
            Ok(Message::InitOk) => None,
            Ok(Message::InitError { kind, payload }) => {
                Some(InitFailure { kind, payload: Some(payload), message: String::new(), end: None })
            }
            Ok(_) => Some(InitFailure::new("Runtime.Unknown", "the runtime answered before it was asked")),
            Err(Outcome::TimedOut) => Some(InitFailure::new(
                "Sandbox.Timedout",
                &format!("Task timed out after {:.2} seconds", self.spec.timeout.as_secs_f64()),
            )),
            Err(Outcome::Ended(end)) => {
                Some(InitFailure { end: Some(end), ..InitFailure::new(end.kind(), &end.words()) })
            }
            Err(_) => Some(InitFailure::new("Runtime.Unknown", "the runtime could not be started")),
        };
        let id = self.handle.id;
        if failure.is_some() {
            self.take_output().await;
            let _ = self.handle.warden.order(&ToWarden::Kill { id }, vec![]);
        } else {
            let _ = self.handle.warden.order(&ToWarden::Loaded { id }, vec![]);
        }
        self.init_failure = failure;
    }

    /// Runs one call. The flag says whether the sandbox can take another.
    pub(crate) async fn serve(&mut self, call: Invocation, queued: Duration) -> (InvokeResult, bool) {
        self.output.begin_or_continue(self.init_duration.is_some());
        if let Some(line) = report::start(&self.spec, &call.request_id, SystemTime::now()) {
            self.output.hold(line);
        }
        let begin = Instant::now();
        let (outcome, failed_init) = match self.init_failure.take() {
            Some(failure) => (failure.outcome(&call.request_id), true),
            None => {
                self.link.send(&call, SystemTime::now() + self.spec.timeout);
                let deadline = begin + self.spec.timeout;
                (self.answer(&call, deadline).await, false)
            }
        };
        // What took the handler's time, to the moment of its answer.
        let elapsed = match outcome {
            Outcome::TimedOut => self.spec.timeout,
            _ => begin.elapsed(),
        };
        // One whose stream was too large is ended; any other oversized answer was read past.
        let reusable = !failed_init && !matches!(outcome, Outcome::Ended(_) | Outcome::TimedOut);
        self.take_output().await;
        let result = self.conclude(call, outcome, elapsed, queued).await;
        (result, reusable)
    }

    async fn answer(&mut self, call: &Invocation, deadline: Instant) -> Outcome {
        let request_id = &call.request_id;
        let mut collected = BytesMut::new();
        let mut streamed = 0;
        loop {
            match self.next_message(deadline, Some(WATCH_AFTER)).await {
                Ok(Message::Response { id, payload }) if id == *request_id => {
                    return Outcome::Answer(payload);
                }
                Ok(Message::Error { id, kind, payload }) if id == *request_id => {
                    return Outcome::Failure { kind, payload };
                }
                Ok(Message::TooLarge { id, size }) if id == *request_id => return Outcome::TooLarge(size),
                Ok(Message::Stream { id, content_type }) if id == *request_id => {
                    if !pass_on(call, StreamPart::Begin { content_type }, deadline).await {
                        return Outcome::TimedOut;
                    }
                }
                Ok(Message::Chunk { id, payload }) if id == *request_id => {
                    streamed += payload.len();
                    let most = if call.stream.is_some() { MAX_STREAMED } else { MAX_RESPONSE };
                    if streamed > most {
                        // The rest of it is not waited for.
                        let _ = self.handle.warden.order(&ToWarden::Kill { id: self.handle.id }, vec![]);
                        return Outcome::TooLarge(streamed);
                    }
                    if call.stream.is_none() {
                        collected.extend_from_slice(&payload);
                    } else if !pass_on(call, StreamPart::Chunk(payload), deadline).await {
                        return Outcome::TimedOut;
                    }
                }
                Ok(Message::End { id }) if id == *request_id => return Outcome::Answer(collected.freeze()),
                // Answers to calls that are long over.
                Ok(_) => {}
                Err(outcome) => return outcome,
            }
        }
    }

    /// The next word of the runtime; its output is taken care of meanwhile.
    async fn next_message(
        &mut self,
        deadline: Instant,
        watch_after: Option<Duration>,
    ) -> Result<Message, Outcome> {
        let id = self.handle.id;
        let deadline = tokio::time::Instant::from_std(deadline);
        let watch_at = tokio::time::Instant::now() + watch_after.unwrap_or_default();
        let mut watched = false;
        let result = loop {
            tokio::select! {
                biased;
                message = self.link.receive() => match message {
                    Ok(message) => break Ok(message),
                    // Closed, or nonsense on the line: both are the end of it. The warden knows how it ended.
                    Err(error) => {
                        if error.kind() == io::ErrorKind::InvalidData {
                            let _ = self.handle.warden.order(&ToWarden::Kill { id }, vec![]);
                        }
                        break match tokio::time::timeout_at(deadline, ended(&mut self.events)).await {
                            Ok(exit) => { self.note(&exit); Err(Outcome::Ended(End::of(&exit))) }
                            Err(_) => Err(Outcome::TimedOut),
                        };
                    }
                },
                event = self.events.recv() => {
                    let exit = match event {
                        Some(Event::Exited(exit)) => exit,
                        Some(Event::Up(..) | Event::Attached) => continue,
                        Some(Event::Failed(_)) | None => Exit { status: None, oom: false, peak_kb: 0 },
                    };
                    self.note(&exit);
                    break Err(Outcome::Ended(End::of(&exit)));
                }
                lines = self.capture.read(), if !self.capture_ended => match lines {
                    Ok(Some(lines)) => {
                        // A sink that is slow holds the function up, but never its deadline.
                        let _ = tokio::time::timeout_at(deadline, self.output.put(lines)).await;
                    }
                    Ok(None) | Err(_) => self.capture_ended = true,
                },
                () = tokio::time::sleep_until(watch_at), if !watched => {
                    watched = true;
                    let _ = self.handle.warden.order(&ToWarden::Watch { id, on: true }, vec![]);
                }
                () = tokio::time::sleep_until(deadline) => break Err(Outcome::TimedOut),
            }
        };
        if watched {
            let _ = self.handle.warden.order(&ToWarden::Watch { id, on: false }, vec![]);
        }
        result
    }

    fn note(&mut self, exit: &Exit) {
        self.max_memory_kb = self.max_memory_kb.max(exit.peak_kb);
        if exit.oom {
            self.max_memory_kb = self.max_memory_kb.max(u64::from(self.spec.memory_mb) << 10);
        }
    }

    /// What the function wrote before it answered is in the pipe by now.
    async fn take_output(&mut self) {
        let lines = self.capture.drain();
        if !lines.is_empty() {
            // The sink's slowness is not the caller's: it has the time that it needs, within reason.
            let _ = tokio::time::timeout(Duration::from_secs(30), self.output.put(lines)).await;
        }
    }

    async fn conclude(
        &mut self,
        call: Invocation,
        outcome: Outcome,
        elapsed: Duration,
        queued: Duration,
    ) -> InvokeResult {
        let id = &call.request_id;
        let now = SystemTime::now();
        let fail = |kind: &str, message: String| {
            let object =
                json!({"errorType": kind, "errorMessage": format!("RequestId: {id} Error: {message}")});
            (Bytes::from(object.to_string()), Some(kind.to_owned()))
        };
        let mut platform_error = None;
        self.output.settle();
        let (payload, error_type) = match outcome {
            Outcome::Answer(payload) => (payload, None),
            Outcome::Failure { kind, payload } => (payload, Some(kind)),
            Outcome::TooLarge(size) => {
                let kind = "Function.ResponseSizeTooLarge";
                let message = format!(
                    "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
                );
                let notice = format!("RequestId: {id} Error: {message} It had {size} bytes.");
                self.output.hold(report::notice(&self.spec, id, &notice, now));
                let object = json!({"errorType": kind, "errorMessage": message});
                (Bytes::from(object.to_string()), Some(kind.to_owned()))
            }
            Outcome::TimedOut => {
                let message = format!("Task timed out after {:.2} seconds", self.spec.timeout.as_secs_f64());
                let line = format!("{} {id} {message}\n", report::timestamp(now));
                self.output.hold(report::notice(&self.spec, id, line.trim_end(), now));
                fail("Sandbox.Timedout", message)
            }
            Outcome::Ended(end) => {
                let line = format!("RequestId: {id} Error: {}\n{}", end.words(), end.kind());
                self.output.hold(report::notice(&self.spec, id, &line, now));
                platform_error = Some(end.kind());
                fail(end.kind(), end.words())
            }
        };
        let status = match (&error_type, platform_error) {
            (_, Some(kind)) => Status::Error(kind),
            (Some(kind), _) if kind == "Sandbox.Timedout" => Status::Timeout,
            _ => Status::Success,
        };
        if let Link::Frames(frames) = &self.link {
            self.max_memory_kb = self.max_memory_kb.max(frames.peak_kb);
        }
        let max_memory_mb = (self.max_memory_kb.div_ceil(1024) as u32).clamp(1, self.spec.memory_mb.max(1));
        let init = self.init_duration.take();
        let billed = report::billed(elapsed + init.unwrap_or_default());
        let figures = Report {
            request_id: id,
            duration: elapsed,
            billed,
            memory_mb: self.spec.memory_mb,
            max_memory_mb,
            init,
            status,
        };
        for line in report::end(&self.spec, &figures, now) {
            self.output.hold(line);
        }
        let _ = tokio::time::timeout(Duration::from_secs(30), self.output.flush()).await;
        let phases = std::mem::take(&mut self.phases);
        InvokeResult {
            payload,
            function_error: error_type.is_some().then_some(FunctionError::Unhandled),
            error_type,
            log_tail: self.output.take_tail(),
            duration: elapsed,
            billed,
            init,
            max_memory_mb,
            phases: Phases { queue: queued, handler: elapsed, ..phases },
            sandbox: self.handle.id.to_string(),
            log_stream: self.output.stream.stream.clone(),
        }
    }
}

impl InitFailure {
    fn outcome(self, request_id: &str) -> Outcome {
        if let Some(end) = self.end {
            return Outcome::Ended(end);
        }
        if self.kind == "Sandbox.Timedout" {
            return Outcome::TimedOut;
        }
        let payload = self.payload.unwrap_or_else(|| {
            let message = format!("RequestId: {request_id} Error: {}", self.message);
            Bytes::from(json!({"errorType": self.kind, "errorMessage": message}).to_string())
        });
        Outcome::Failure { kind: self.kind, payload }
    }
}

async fn ended(events: &mut mpsc::UnboundedReceiver<Event>) -> Exit {
    loop {
        match events.recv().await {
            Some(Event::Exited(exit)) => return exit,
            Some(Event::Failed(_)) | None => return Exit { status: None, oom: false, peak_kb: 0 },
            Some(Event::Up(..) | Event::Attached) => {}
        }
    }
}
