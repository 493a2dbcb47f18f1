//! A sandbox that runs one version of one function, seen from the cloud.

mod beside;
mod conclude;
mod end;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use serde_json::json;
use tokio::sync::mpsc;

pub(crate) use self::end::{End, InitFailure};

use self::beside::read;
use self::end::{Outcome, signal_name};
use crate::capture::Capture;
use crate::extensions::Extensions;
use crate::frames::{Frames, MAX_RESPONSE, Message};
use crate::machine::{Handle, INIT_TIME, Left};
use crate::output::{Output, Writer};
use crate::report;
use crate::runtime_api::Api;
use crate::warden::client::Event;
use crate::warden::protocol::{Exit, SandboxId, Status as ExitStatus, ToWarden};
use crate::{FunctionSpec, Invocation, InvokeResult, Phases, StreamPart};

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
                    "tenant": call.tenant_id,
                });
                frames.send(&header, &call.payload);
            }
            Self::Api(api) => api.send(call.clone(), deadline),
        }
    }
}

/// Gives a part of a streamed response to who takes it. `false`: the function's time was over before it was taken.
async fn pass_on(call: &Invocation, part: StreamPart, deadline: Instant) -> bool {
    let Some(stream) = &call.stream else { return true };
    // A taker that went away does not end the function, as on AWS.
    tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), stream.send(part)).await.is_ok()
}

/// One live sandbox. Dropping it ends it.
pub(crate) struct Sandbox {
    handle: Handle,
    events: mpsc::UnboundedReceiver<Event>,
    /// There until the sandbox is dropped.
    link: Option<Link>,
    capture: Capture,
    capture_ended: bool,
    /// Output of extensions.
    beside: Option<Capture>,
    extensions: Arc<Extensions>,
    output: Output,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) init_failure: Option<InitFailure>,
    /// Until when extensions may work on the last call.
    until: Instant,
    /// Taken by the first invocation.
    pub(crate) init_duration: Option<Duration>,
    pub(crate) phases: Phases,
    /// Credentials end.
    expires: Option<SystemTime>,
    max_memory_kb: u64,
    pub(crate) generation: u64,
    pub(crate) idle_since: Instant,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.handle.left = Some(Left {
            _link: self.link.take(),
            last_words: self.beside.take().map(|beside| (beside, self.output.continued())),
        });
    }
}

impl Sandbox {
    #[expect(clippy::too_many_arguments, reason = "it is made in one place, of what that place has made")]
    pub(crate) fn new(
        handle: Handle,
        events: mpsc::UnboundedReceiver<Event>,
        link: Link,
        (capture, beside): (Capture, Option<Capture>),
        output: Output,
        spec: Arc<FunctionSpec>,
        expires: Option<SystemTime>,
        extensions: Arc<Extensions>,
    ) -> Self {
        Self {
            handle,
            events,
            link: Some(link),
            capture,
            capture_ended: false,
            beside,
            extensions,
            until: Instant::now(),
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
        alive && lasting && self.init_failure.is_none() && self.extensions.failure().is_none()
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
            Err(Outcome::Extension(why)) => Some(InitFailure::new(&why.kind, &why.message)),
            Err(_) => Some(InitFailure::new("Runtime.Unknown", "the runtime could not be started")),
        };
        // Extensions have the same time; the init phase is over when all wait for their first event.
        let failure = match failure {
            None if self.extensions.any() => self.settle(deadline).await.err().map(|outcome| match outcome {
                Outcome::Extension(why) => InitFailure::new(&why.kind, &why.message),
                Outcome::Ended(end) => {
                    InitFailure { end: Some(end), ..InitFailure::new(end.kind(), &end.words()) }
                }
                _ => InitFailure::new("Sandbox.Timedout", "the extensions were not ready in time"),
            }),
            other => other,
        };
        self.tell_init(begin, failure.as_ref());
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
        self.until = begin + self.spec.timeout;
        if self.extensions.telemetry.is_heard() {
            let record = json!({"requestId": call.request_id, "version": self.spec.version});
            self.extensions.telemetry.tell("platform", "platform.start", SystemTime::now(), record);
        }
        let (outcome, failed_init) = match self.init_failure.take() {
            Some(failure) => (failure.outcome(&call.request_id), true),
            None => {
                let ends = SystemTime::now() + self.spec.timeout;
                self.extensions.invoke(&call, ends);
                if let Some(link) = &mut self.link {
                    link.send(&call, ends);
                }
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
        let reusable =
            !failed_init && !matches!(outcome, Outcome::Ended(_) | Outcome::Extension(_) | Outcome::TimedOut);
        if !reusable {
            self.handle.reason = if matches!(outcome, Outcome::TimedOut) { "timeout" } else { "failure" };
        }
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
                message = receive(&mut self.link) => match message {
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
                    if let Some(outcome) = self.ended_by(event) {
                        break Err(outcome);
                    }
                }
                lines = read(&mut self.beside) => self.put_beside(lines, deadline.into_std()).await,
                lines = self.capture.read(), if !self.capture_ended => match lines {
                    Ok(Some(lines)) => {
                        // A sink that is slow holds the function up, but never its deadline.
                        let _ = tokio::time::timeout_at(deadline, self.output.put(lines, Writer::Function)).await;
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

    /// What an event of the warden's means for a call, if it means its end.
    fn ended_by(&mut self, event: Option<Event>) -> Option<Outcome> {
        let exit = match event {
            Some(Event::Exited(exit)) => exit,
            Some(Event::Up(..) | Event::Attached) => return None,
            Some(Event::Extension(name, status)) => {
                let words = match status {
                    ExitStatus::Code(code) => format!("exit code {code}"),
                    ExitStatus::Signal(signal) => format!("signal: {}", signal_name(signal)),
                };
                self.extensions.ended(&name, &words, false);
                return self.extensions.failure().map(Outcome::Extension);
            }
            Some(Event::Failed(_)) | None => Exit { status: None, oom: false, peak_kb: 0 },
        };
        self.note(&exit);
        Some(Outcome::Ended(End::of(&exit)))
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
            let put = self.output.put(lines, Writer::Function);
            let _ = tokio::time::timeout(Duration::from_secs(30), put).await;
        }
        let lines = self.beside.as_mut().map(Capture::drain).unwrap_or_default();
        if !lines.is_empty() {
            let put = self.output.put(lines, Writer::Extension);
            let _ = tokio::time::timeout(Duration::from_secs(30), put).await;
        }
    }
}

/// What the runtime says.
async fn receive(link: &mut Option<Link>) -> io::Result<Message> {
    match link {
        Some(link) => link.receive().await,
        None => std::future::pending().await,
    }
}

async fn ended(events: &mut mpsc::UnboundedReceiver<Event>) -> Exit {
    loop {
        match events.recv().await {
            Some(Event::Exited(exit)) => return exit,
            Some(Event::Failed(_)) | None => return Exit { status: None, oom: false, peak_kb: 0 },
            Some(Event::Up(..) | Event::Attached | Event::Extension(..)) => {}
        }
    }
}
