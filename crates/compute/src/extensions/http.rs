//! The Extensions API as extensions speak it: register, next, and what went wrong.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::telemetry::{self, Subscription};
use super::{Agent, Extensions, Failure, MOST, Phase};
use crate::runtime_api::{accepted, json as answer_json, refusal};

const NAME: &str = "Lambda-Extension-Name";
const IDENTIFIER: &str = "Lambda-Extension-Identifier";
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type";

type Answer = Response<Full<Bytes>>;

fn forbidden(kind: &str, message: &str) -> Answer {
    refusal(StatusCode::FORBIDDEN, kind, message)
}

impl Extensions {
    /// Answers a request, or not where its path is none of these.
    pub(crate) async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Answer> {
        Some(match (method, path) {
            (&Method::POST, "/2020-01-01/extension/register") => self.register(headers, body),
            (&Method::GET, "/2020-01-01/extension/event/next") => self.next(headers).await,
            (&Method::POST, "/2020-01-01/extension/init/error") => self.gives_up(headers, "Init"),
            (&Method::POST, "/2020-01-01/extension/exit/error") => self.gives_up(headers, "Exit"),
            (&Method::PUT, "/2022-07-01/telemetry") => self.subscribe(headers, body, true),
            (&Method::PUT, "/2020-08-15/logs") => self.subscribe(headers, body, false),
            _ => return None,
        })
    }

    fn register(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let name = text(headers, NAME).unwrap_or_default().to_owned();
        if name.is_empty() {
            return forbidden("Extension.InvalidExtensionName", "Empty extension name");
        }
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return forbidden("InvalidRequestFormat", "Invalid request format");
        };
        let events: Vec<&str> =
            asked["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(other) = events.iter().find(|event| !["INVOKE", "SHUTDOWN"].contains(event)) {
            return forbidden("Extension.InvalidEventType", &format!("Invalid event {other}"));
        }
        let external = self.expected.contains(&name);
        let shutdown = events.contains(&"SHUTDOWN");
        if shutdown && !external {
            return forbidden(
                "Extension.InvalidEventType",
                "Shutdown event is not supported for internal extensions",
            );
        }
        let mut state = self.state.lock();
        if state.closed {
            return forbidden("Extension.RegistrationClosed", "Extension registration closed already");
        }
        if state.agents.iter().any(|agent| agent.name == name) {
            return forbidden("Extension.AlreadyRegistered", "Extension with this name already registered");
        }
        if state.agents.len() >= MOST {
            let words = format!("Extension limit ({MOST}) reached");
            return forbidden("Extension.TooManyExtensions", &words);
        }
        let id = uuid::Uuid::new_v4().to_string();
        state.agents.push(Agent {
            id: id.clone(),
            name,
            external,
            invoke: events.contains(&"INVOKE"),
            shutdown,
            phase: Phase::Registered,
            events: Default::default(),
        });
        drop(state);
        self.changed.notify_waiters();
        let mut about = self.about.clone();
        let features = text(headers, "Lambda-Extension-Accept-Feature").unwrap_or_default();
        if features.split(',').any(|feature| feature.trim() == "accountId") {
            about["accountId"] = json!(self.account);
        }
        with_header(answer_json(StatusCode::OK, about), IDENTIFIER, &id)
    }

    /// Holds the line until there is an event. Asking also says that the last one has been dealt with.
    async fn next(&self, headers: &HeaderMap) -> Answer {
        let id = match self.who(headers) {
            Ok(id) => id,
            Err(refused) => return *refused,
        };
        {
            let mut state = self.state.lock();
            if let Some(agent) = state.agents.iter_mut().find(|agent| agent.id == id)
                && agent.events.is_empty()
            {
                agent.phase = Phase::Ready;
            }
        }
        self.changed.notify_waiters();
        loop {
            let change = self.changed.notified();
            let event = {
                let mut state = self.state.lock();
                state
                    .agents
                    .iter_mut()
                    .find(|agent| agent.id == id)
                    .and_then(|agent| agent.events.pop_front())
            };
            if let Some(event) = event {
                let number = uuid::Uuid::new_v4().to_string();
                return with_header(
                    answer_json(StatusCode::OK, event),
                    "Lambda-Extension-Event-Identifier",
                    &number,
                );
            }
            change.await;
        }
    }

    fn gives_up(&self, headers: &HeaderMap, when: &str) -> Answer {
        let id = match self.who(headers) {
            Ok(id) => id,
            Err(refused) => return *refused,
        };
        let Some(kind) = text(headers, ERROR_TYPE).filter(|kind| !kind.is_empty()) else {
            return forbidden("Extension.MissingHeader", &format!("Missing {ERROR_TYPE} header"));
        };
        let mut state = self.state.lock();
        if let Some(agent) = state.agents.iter_mut().find(|agent| agent.id == id) {
            agent.phase = Phase::Over;
        }
        let kind = kind.to_owned();
        state.failure.get_or_insert(Failure { message: format!("Extension.{when}Error: {kind}"), kind });
        drop(state);
        self.changed.notify_waiters();
        accepted()
    }

    fn subscribe(&self, headers: &HeaderMap, body: &[u8], is_telemetry: bool) -> Answer {
        let id = match self.who(headers) {
            Ok(id) => id,
            Err(refused) => return *refused,
        };
        let name = {
            let state = self.state.lock();
            if state.closed {
                let kind = if is_telemetry { "Telemetry.NotSupported" } else { "Logs.NotSupported" };
                return forbidden(kind, "Subscription is closed already");
            }
            state
                .agents
                .iter()
                .find(|agent| agent.id == id)
                .map(|agent| agent.name.clone())
                .unwrap_or_default()
        };
        match Subscription::read(body, is_telemetry) {
            Ok(subscription) => {
                self.telemetry.subscribe(name, subscription);
                let mut answer = Response::new(Full::new(Bytes::from_static(b"OK")));
                answer.headers_mut().insert("Content-Type", http::HeaderValue::from_static("text/plain"));
                answer
            }
            Err(why) => refusal(StatusCode::BAD_REQUEST, telemetry::VALIDATION, &why),
        }
    }

    fn who(&self, headers: &HeaderMap) -> Result<String, Box<Answer>> {
        let Some(id) = text(headers, IDENTIFIER) else {
            let words = format!("Missing {IDENTIFIER} header");
            return Err(Box::new(forbidden("Extension.MissingExtensionIdentifier", &words)));
        };
        if uuid::Uuid::parse_str(id).is_err() {
            return Err(Box::new(forbidden(
                "Extension.InvalidExtensionIdentifier",
                &format!("Invalid {IDENTIFIER}"),
            )));
        }
        match self.state.lock().agents.iter().any(|agent| agent.id == id) {
            true => Ok(id.to_owned()),
            false => Err(Box::new(forbidden("Extension.UnknownExtensionIdentifier", "Unknown extension"))),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn with_header(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::from_str(value)) {
        answer.headers_mut().insert(name, value);
    }
    answer
}
