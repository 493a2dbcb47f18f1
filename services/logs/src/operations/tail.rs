//! StartLiveTail.

use crate::errors::invalid;
use crate::live::Session;
use crate::pattern::Pattern;
use crate::{Logs, locate};
use cloudlet_api_logs::*;
use futures_util::stream;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// AWS: how long a session lasts, in milliseconds.
const SESSION: i64 = 3 * 60 * 60 * 1000;

enum Step {
    Start(Box<LiveTailSessionStart>),
    Updates,
    Over,
}

impl Logs {
    /// Opens a session that is shown, once a second, what arrives in the groups.
    ///
    /// Errors: `InvalidParameterException`, `ResourceNotFoundException`.
    pub async fn start_live_tail(
        &self,
        cx: &Context,
        input: StartLiveTailInput,
    ) -> Result<StartLiveTailOutput, Error> {
        let names = input.log_stream_names.clone().unwrap_or_default();
        let prefixes = input.log_stream_name_prefixes.clone().unwrap_or_default();
        if !names.is_empty() && !prefixes.is_empty() {
            return Err(invalid(
                "logStreamNames and logStreamNamePrefixes are mutually exclusive parameters.",
            ));
        }
        if input.log_group_identifiers.len() > 1 && !(names.is_empty() && prefixes.is_empty()) {
            return Err(invalid(
                "logStreamNames and logStreamNamePrefixes can be used with one log group only.",
            ));
        }
        let mut groups = HashMap::new();
        for identifier in &input.log_group_identifiers {
            if !identifier.starts_with("arn:") {
                return Err(invalid(format!("Invalid log group ARN: {identifier}")));
            }
            let (there, name) = locate(cx, identifier)?;
            let group = self.group(&there, &name)?;
            groups.insert(group.number, format!("{}:{}", there.account, group.name));
        }
        let pattern = Pattern::parse(input.log_event_filter_pattern.as_deref().unwrap_or_default())
            .map_err(|e| invalid(e.0))?;
        let session = Session::new(groups, names, prefixes, pattern);
        self.live.watch(&session);
        let start = LiveTailSessionStart {
            request_id: Some(cx.request_id.to_string()),
            session_id: Some(cx.random().uuid()),
            log_group_identifiers: Some(input.log_group_identifiers),
            log_stream_names: input.log_stream_names,
            log_stream_name_prefixes: input.log_stream_name_prefixes,
            log_event_filter_pattern: input.log_event_filter_pattern,
        };
        let ends = cx.millis() + SESSION;
        let events = stream::unfold((Step::Start(Box::new(start)), session, cx.clone()), move |state| {
            next(state, ends)
        });
        Ok(StartLiveTailOutput { response_stream: EventStream::new(events) })
    }
}

type State = (Step, Arc<Session>, Context);

async fn next(
    (step, session, cx): State,
    ends: i64,
) -> Option<(Result<StartLiveTailResponseStream, Error>, State)> {
    let (event, step) = match step {
        Step::Start(start) => (StartLiveTailResponseStream::SessionStart(*start), Step::Updates),
        Step::Updates => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if cx.millis() >= ends {
                let timeout =
                    SessionTimeoutException { message: Some("The session has timed out.".to_owned()) };
                (StartLiveTailResponseStream::SessionTimeoutException(timeout), Step::Over)
            } else {
                let (results, sampled) = session.take();
                let update = LiveTailSessionUpdate {
                    session_metadata: Some(LiveTailSessionMetadata { sampled: Some(sampled) }),
                    session_results: Some(results),
                };
                (StartLiveTailResponseStream::SessionUpdate(update), Step::Updates)
            }
        }
        Step::Over => return None,
    };
    Some((Ok(event), (step, session, cx)))
}
