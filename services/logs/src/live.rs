//! Who watches: live tail sessions and what they have not been shown yet.

use crate::pattern::Pattern;
use cloudlet_api_logs::{InputLogEvent, LiveTailSessionLogEvent};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// AWS: how many events an update shows; what is beyond is left out, and the update says so.
pub(crate) const MOST_SHOWN: usize = 500;
/// AWS: what is buffered for a slow client before the oldest is dropped.
const MOST_WAITING: usize = 5000;

/// All sessions.
#[derive(Default)]
pub(crate) struct Live {
    sessions: Mutex<Vec<Weak<Session>>>,
}

/// One client that watches.
pub(crate) struct Session {
    /// The ARNs of the groups by their number.
    pub groups: HashMap<u64, String>,
    pub names: Vec<String>,
    pub prefixes: Vec<String>,
    pub pattern: Pattern,
    waiting: Mutex<VecDeque<LiveTailSessionLogEvent>>,
}

impl Session {
    pub(crate) fn new(
        groups: HashMap<u64, String>,
        names: Vec<String>,
        prefixes: Vec<String>,
        pattern: Pattern,
    ) -> Arc<Self> {
        Arc::new(Self { groups, names, prefixes, pattern, waiting: Mutex::default() })
    }

    /// What has come since the last call, and whether some of it was left out.
    pub(crate) fn take(&self) -> (Vec<LiveTailSessionLogEvent>, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let sampled = waiting.len() > MOST_SHOWN;
        let shown = waiting.drain(..).take(MOST_SHOWN).collect();
        (shown, sampled)
    }

    fn wants(&self, stream: &str) -> bool {
        let any = self.names.is_empty() && self.prefixes.is_empty();
        any || self.names.iter().any(|n| n == stream)
            || self.prefixes.iter().any(|p| stream.starts_with(p.as_str()))
    }
}

impl Live {
    pub(crate) fn watch(&self, session: &Arc<Session>) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(session));
    }

    /// Shows new events to whom they concern.
    pub(crate) fn publish(&self, group: u64, stream: &str, now: i64, events: &[InputLogEvent]) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.is_empty() {
            return;
        }
        sessions.retain(|session| session.strong_count() > 0);
        let sessions: Vec<_> = sessions.iter().filter_map(Weak::upgrade).collect();
        for session in sessions {
            let Some(arn) = session.groups.get(&group).filter(|_| session.wants(stream)) else { continue };
            let mut waiting = session.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.iter().filter(|e| session.pattern.matches(&e.message)) {
                if waiting.len() == MOST_WAITING {
                    waiting.pop_front();
                }
                waiting.push_back(LiveTailSessionLogEvent {
                    log_stream_name: Some(stream.to_owned()),
                    log_group_identifier: Some(arn.clone()),
                    message: Some(event.message.clone()),
                    timestamp: Some(event.timestamp),
                    ingestion_time: Some(now),
                });
            }
        }
    }
}
