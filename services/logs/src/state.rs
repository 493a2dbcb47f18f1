//! What is stored: groups by name, streams by their group's number, events by their stream's number and their time.
//!
//! Groups and streams carry a number of their own, so that deleting one takes its record away at once and leaves what
//! lay under it to the purge, and a group made anew under the same name never sees the old one's events.

use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A log group. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Group {
    /// Never used twice.
    pub number: u64,
    pub name: String,
    /// Milliseconds since 1970, as all times here.
    pub created: i64,
    pub retention_days: Option<i32>,
    pub class: String,
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub deletion_protected: bool,
}

impl Record for Group {
    const TABLE: &'static str = "logs.groups";
}

/// A log stream. Key: the group's number, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Stream {
    /// Never used twice.
    pub number: u64,
    pub name: String,
    pub created: i64,
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
    pub last_ingestion: Option<i64>,
    /// Bytes of all events as they are charged: UTF-8 and 26 each.
    pub stored_bytes: i64,
}

impl Record for Stream {
    const TABLE: &'static str = "logs.streams";
}

/// One event. Key: the stream's number, its time, its order among equals.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Event {
    #[serde(rename = "m")]
    pub message: String,
    #[serde(rename = "i")]
    pub ingested: i64,
}

impl Record for Event {
    const TABLE: &'static str = "logs.events";
}

/// A resource policy. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct ResourcePolicyRecord {
    pub name: String,
    pub document: String,
    pub updated: i64,
}

impl Record for ResourcePolicyRecord {
    const TABLE: &'static str = "logs.policies";
}

pub(crate) fn place(cx: &Context) -> Key {
    Key::new().text(&cx.account).text(&cx.region)
}

pub(crate) fn group_key(cx: &Context, name: &str) -> Key {
    place(cx).text(name)
}

pub(crate) fn stream_key(group: u64, name: &str) -> Key {
    Key::new().number(group).text(name)
}

/// Where an event lies in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub time: i64,
    pub order: u64,
}

impl Position {
    /// AWS's event ids are numbers of 56 digits that grow with the time. So are these.
    pub(crate) fn event_id(self) -> String {
        format!("3{:015}{:040}", self.time.max(0), self.order)
    }

    pub(crate) fn parse(id: &str) -> Option<Self> {
        if id.len() != 56 || !id.bytes().all(|b| b.is_ascii_digit()) || !id.starts_with('3') {
            return None;
        }
        Some(Self { time: id[1..16].parse().ok()?, order: id[16..].parse().ok()? })
    }
}

pub(crate) fn event_key(stream: u64, at: Position) -> Key {
    Key::new().number(stream).number(at.time.max(0) as u64).number(at.order)
}

pub(crate) fn event_position(key: &Key) -> Option<Position> {
    let mut parts = key.parts();
    parts.number()?;
    Some(Position { time: i64::try_from(parts.number()?).ok()?, order: parts.number()? })
}

impl Group {
    pub(crate) fn arn(&self, cx: &Context) -> String {
        cx.arn("logs", format_args!("log-group:{}", self.name))
    }

    /// Events before this time are past their retention.
    pub(crate) fn horizon(&self, now: i64) -> i64 {
        self.retention_days.map_or(i64::MIN, |days| now - i64::from(days) * DAY)
    }
}

/// Milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
