//! What is stored: tables by name, and all that lies under a table by its number.
//!
//! Tables, indexes, streams and backups carry numbers of their own that are never used twice, so that deleting one takes
//! its record away at once and leaves what lay under it to the purge, and a table made anew under the same name never
//! sees the old one's items.

use crate::names;
use crate::value::Item;
use cloudlet_service::{Context, Principal};
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Table {
    /// Its items' space.
    pub number: u64,
    pub account: String,
    pub region: String,
    pub name: String,
    /// `TableId`.
    pub id: String,
    /// Milliseconds since 1970, as all times here.
    pub created: i64,
    /// `AttributeDefinitions`, in the caller's order.
    pub attributes: Vec<(String, KeyKind)>,
    pub keys: Keys,
    #[serde(default)]
    pub locals: Vec<Index>,
    #[serde(default)]
    pub globals: Vec<Index>,
    pub billing: Billing,
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
    #[serde(default)]
    pub warm: Option<Warm>,
    #[serde(default)]
    pub class: Option<Class>,
    #[serde(default)]
    pub sse: Option<Sse>,
    #[serde(default)]
    pub protected: bool,
    #[serde(default)]
    pub stream: Option<Stream>,
    #[serde(default)]
    pub ttl: Option<Ttl>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub policy: Option<Policy>,
    /// The policy of the table's stream.
    #[serde(default)]
    pub stream_policy: Option<Policy>,
    #[serde(default)]
    pub history: Option<History>,
    #[serde(default)]
    pub insights: Option<Insights>,
    /// The other regions of a global table.
    #[serde(default)]
    pub replicas: Vec<Replica>,
    /// Whether every write is in all regions before it is answered (`MultiRegionConsistency` is `STRONG`).
    #[serde(default)]
    pub strong: bool,
    /// The region that only bears witness to the writes of such a group.
    #[serde(default)]
    pub witness: Option<String>,
    /// Whether this member may leave the group and stay (`DisassociationProtectionEnabled` is off).
    #[serde(default)]
    pub may_leave: bool,
    /// Whether the group is one of the first version of global tables (2017.11.29).
    #[serde(default)]
    pub legacy: bool,
    #[serde(default)]
    pub restored: Option<Restored>,
    /// Kinesis data streams that were to take the table's changes.
    #[serde(default)]
    pub destinations: Vec<Destination>,
}

impl Record for Table {
    const TABLE: &'static str = "dynamodb.tables";
}

/// The type of a key attribute.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    S,
    N,
    B,
}

impl KeyKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            _ => return None,
        })
    }
}

/// A key schema: one attribute of each kind for a table and a local index, up to four for a global one.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    pub hash: Vec<String>,
    pub range: Vec<String>,
}

impl Keys {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.hash.iter().chain(&self.range).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }
}

/// A secondary index.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Index {
    /// Its entries' space.
    pub number: u64,
    pub name: String,
    pub keys: Keys,
    pub projection: Projection,
    /// Of a global index.
    #[serde(default)]
    pub throughput: Throughput,
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
    #[serde(default)]
    pub warm: Option<Warm>,
    /// Whether the items that were there before it still have to be put in.
    #[serde(default)]
    pub filling: bool,
    #[serde(default)]
    pub insights: Option<Insights>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Throughput {
    pub read: i64,
    pub write: i64,
    #[serde(default)]
    pub increased: Option<i64>,
    #[serde(default)]
    pub decreased: Option<i64>,
    /// How often it was lowered on the day of `decreased`.
    #[serde(default)]
    pub decreases: i64,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Billing {
    pub on_demand: bool,
    /// Whether `BillingModeSummary` is shown: not for a table that always was provisioned.
    #[serde(default)]
    pub shown: bool,
    #[serde(default)]
    pub to_on_demand: Option<i64>,
    pub throughput: Throughput,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnDemand {
    pub read: Option<i64>,
    pub write: Option<i64>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Warm {
    pub read: i64,
    pub write: i64,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Class {
    pub infrequent: bool,
    pub changed: Option<i64>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Sse {
    pub key: String,
}

/// The stream that a table has, or had last.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub number: u64,
    pub label: String,
    pub view: View,
    pub enabled: bool,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Keys,
    New,
    Old,
    Both,
}

impl View {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keys => "KEYS_ONLY",
            Self::New => "NEW_IMAGE",
            Self::Old => "OLD_IMAGE",
            Self::Both => "NEW_AND_OLD_IMAGES",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "KEYS_ONLY" => Self::Keys,
            "NEW_IMAGE" => Self::New,
            "OLD_IMAGE" => Self::Old,
            "NEW_AND_OLD_IMAGES" => Self::Both,
            _ => return None,
        })
    }

    pub(crate) fn new_image(self) -> bool {
        matches!(self, Self::New | Self::Both)
    }

    pub(crate) fn old_image(self) -> bool {
        matches!(self, Self::Old | Self::Both)
    }
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Ttl {
    pub attribute: String,
    pub enabled: bool,
    /// When it was turned on or off, in milliseconds.
    #[serde(default)]
    pub changed: i64,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Policy {
    pub document: String,
    pub revision: String,
}

/// Point-in-time recovery.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct History {
    pub since: i64,
    pub days: i32,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Insights {
    pub enabled: bool,
    pub changed: i64,
    pub mode: String,
}

/// Another member of a global table, with what it has for itself.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Replica {
    pub region: String,
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub reads: Option<i64>,
    #[serde(default)]
    pub on_demand_reads: Option<i64>,
    #[serde(default)]
    pub indexes: BTreeMap<String, ReplicaIndex>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct ReplicaIndex {
    pub reads: Option<i64>,
    pub on_demand_reads: Option<i64>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Restored {
    pub backup: Option<String>,
    pub table: Option<String>,
    pub at: i64,
}

/// An item, an index entry or an item of a backup. Key: see [`crate::keys`].
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(transparent)]
pub(crate) struct Stored(pub Item);

impl Record for Stored {
    const TABLE: &'static str = "dynamodb.items";
}

/// How much a table or index holds, as of the last count. Key: number of the space.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
pub(crate) struct Volume {
    pub items: i64,
    pub bytes: i64,
}

impl Record for Volume {
    const TABLE: &'static str = "dynamodb.volumes";
}

/// A stream, as long as its records are kept. Key: account, region, table name, label.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct StreamOf {
    pub number: u64,
    pub table: String,
    pub label: String,
    pub view: View,
    pub keys: Keys,
    pub created: i64,
    /// When it was disabled.
    pub ended: Option<i64>,
}

impl Record for StreamOf {
    const TABLE: &'static str = "dynamodb.streams";
}

/// A shard of a stream. Key: the stream's number, the shard's.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Shard {
    /// The sequence number of its first record, or the one before it.
    pub first: u64,
    pub opened: i64,
}

impl Record for Shard {
    const TABLE: &'static str = "dynamodb.shards";
}

/// A stream's record. Key: the stream's number, the shard's, the record's sequence number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Entry {
    #[serde(rename = "t")]
    pub at: i64,
    #[serde(rename = "k")]
    pub keys: Item,
    #[serde(rename = "o")]
    pub old: Option<Item>,
    #[serde(rename = "n")]
    pub new: Option<Item>,
    /// `I`nsert, `M`odify or `R`emove.
    #[serde(rename = "e")]
    pub event: char,
    #[serde(rename = "s")]
    pub size: i64,
    /// Whether time to live took the item.
    #[serde(rename = "x", default)]
    pub expired: bool,
}

impl Record for Entry {
    const TABLE: &'static str = "dynamodb.records";
}

/// An item that time to live will take. Key: when (seconds), the table's number, the item's key.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Expiry {
    pub account: String,
    pub region: String,
    pub table: String,
}

impl Record for Expiry {
    const TABLE: &'static str = "dynamodb.expiries";
}

/// A Kinesis data stream as the destination of a table's changes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The stream's ARN.
    pub stream: String,
    /// AWS's status word.
    pub status: String,
    pub why: Option<String>,
    pub precision: Option<String>,
}

/// A global table of the first version. Key: account, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct GlobalTable {
    pub name: String,
    pub created: i64,
    pub regions: Vec<String>,
}

impl Record for GlobalTable {
    const TABLE: &'static str = "dynamodb.global";
}

/// What an item was before a change, for point-in-time recovery. Key: the table's number, when, a sequence number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Undo {
    #[serde(rename = "k", with = "cloudlet_store::as_bytes")]
    pub key: Vec<u8>,
    #[serde(rename = "o")]
    pub old: Option<Item>,
}

impl Record for Undo {
    const TABLE: &'static str = "dynamodb.history";
}

/// A transaction's token. Key: account, region, token.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Token {
    pub at: i64,
    /// A hash of the request.
    pub request: u64,
    /// What the first request read and wrote, as its answer said it.
    pub capacity: Vec<(String, f64)>,
}

impl Record for Token {
    const TABLE: &'static str = "dynamodb.tokens";
}

/// A backup. Key: account, region, its ARN's last part.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Backup {
    /// The space that holds its items.
    pub number: u64,
    pub id: String,
    pub name: String,
    pub created: i64,
    pub bytes: i64,
    pub items: i64,
    pub table: Table,
    /// When the backup goes by itself: of one that a deleted table has left.
    #[serde(default)]
    pub expires: Option<i64>,
}

impl Record for Backup {
    const TABLE: &'static str = "dynamodb.backups";
}

/// An export to or an import from S3. Key: account, region, `export` or `import`, its ARN's last part.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Transfer {
    pub id: String,
    pub table: String,
    pub table_id: String,
    pub started: i64,
    pub ended: Option<i64>,
    /// AWS's status word.
    pub status: String,
    pub failure: Option<(String, String)>,
    pub items: i64,
    pub errors: i64,
    pub bytes: i64,
    pub manifest: Option<String>,
    /// What was asked, as far as it is shown again: by AWS's names.
    pub asked: BTreeMap<String, String>,
    /// Which run of the program does the work.
    pub run: String,
    /// Who asked, where the work can go on after a restart.
    #[serde(default)]
    pub caller: Option<Caller>,
    /// The space of the exported table.
    #[serde(default)]
    pub space: u64,
    /// The table that an import makes.
    #[serde(default)]
    pub into: Option<Box<Table>>,
}

/// A table that is being filled, by a restore or an import, and that nobody can use yet. Key: that of the table.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Coming {
    pub table: Table,
    /// What a restore copies: a space as it is, or as it was then. An import has its own record.
    pub from: Option<(u64, Option<i64>)>,
}

impl Record for Coming {
    const TABLE: &'static str = "dynamodb.coming";
}

/// Who asked for work that outlives the program. Only those whose rights do not hang on a session.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Caller {
    Root { account: String },
    User { account: String, path: String, name: String, id: String },
}

impl Caller {
    pub(crate) fn of(cx: &Context) -> Option<Self> {
        let text = |text: &std::sync::Arc<str>| text.to_string();
        match &cx.principal {
            Principal::Root { account } => Some(Self::Root { account: text(account) }),
            Principal::User { account, path, name, id } => {
                Some(Self::User { account: text(account), path: text(path), name: text(name), id: text(id) })
            }
            _ => None,
        }
    }

    pub(crate) fn principal(self) -> Principal {
        match self {
            Self::Root { account } => Principal::Root { account: account.into() },
            Self::User { account, path, name, id } => Principal::User {
                account: account.into(),
                path: path.into(),
                name: name.into(),
                id: id.into(),
            },
        }
    }
}

impl Record for Transfer {
    const TABLE: &'static str = "dynamodb.transfers";
}

pub(crate) fn place_key(account: &str, region: &str) -> Key {
    Key::new().text(account).text(region)
}

pub(crate) fn table_key(account: &str, region: &str, name: &str) -> Key {
    place_key(account, region).text(name)
}

impl Table {
    pub(crate) fn arn(&self) -> String {
        names::table_arn(&self.account, &self.region, &self.name)
    }

    pub(crate) fn key(&self) -> Key {
        table_key(&self.account, &self.region, &self.name)
    }

    pub(crate) fn kind_of(&self, attribute: &str) -> Option<KeyKind> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, kind)| *kind)
    }

    pub(crate) fn global(&self, name: &str) -> Option<&Index> {
        self.globals.iter().find(|index| index.name == name)
    }

    pub(crate) fn local(&self, name: &str) -> Option<&Index> {
        self.locals.iter().find(|index| index.name == name)
    }

    /// The table's partition key.
    pub(crate) fn hash(&self) -> &str {
        self.keys.hash.first().map_or("", String::as_str)
    }

    /// The stream, while it takes records.
    pub(crate) fn live_stream(&self) -> Option<&Stream> {
        self.stream.as_ref().filter(|stream| stream.enabled)
    }

    pub(crate) fn stream_arn(&self, stream: &Stream) -> String {
        format!("{}/stream/{}", self.arn(), stream.label)
    }
}
