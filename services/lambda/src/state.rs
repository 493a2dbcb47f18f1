//! What is stored: a function's own record, one record for each version of it (0 is `$LATEST`), aliases, layers.

use crate::durable::Durable;
use crate::names::LATEST;
use cloudlet_service::Context;
use cloudlet_store::{BlobId, Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What belongs to a function whatever its version. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Function {
    pub name: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// The number of the last published version.
    pub last_version: u64,
    pub tags: BTreeMap<String, String>,
    pub reserved_concurrency: Option<i32>,
    pub recursive_loop: Option<String>,
    /// Resource policies by qualifier; the empty one is the function's own.
    pub policies: BTreeMap<String, PolicyRecord>,
    /// How asynchronous events are treated, by qualifier (`$LATEST` without one).
    pub event_configs: BTreeMap<String, EventConfig>,
    /// Function URLs by alias; the empty one is the function's own.
    #[serde(default)]
    pub urls: BTreeMap<String, UrlConfig>,
    /// Provisioned concurrency by version or alias.
    #[serde(default)]
    pub provisioned: BTreeMap<String, Provisioned>,
    /// The ARN of the code signing configuration.
    #[serde(default)]
    pub code_signing: Option<String>,
}

impl Record for Function {
    const TABLE: &'static str = "lambda.functions";
}

/// A resource policy. Its statements are JSON, in the order in which they were added.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct PolicyRecord {
    pub statements: Vec<(String, String)>,
    pub revision: String,
}

impl PolicyRecord {
    /// The whole document.
    pub(crate) fn document(&self) -> String {
        let statements: Vec<&str> = self.statements.iter().map(|(_, json)| json.as_str()).collect();
        format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{}]}}"#, statements.join(","))
    }
}

/// How asynchronous events are treated.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct EventConfig {
    /// Milliseconds since 1970.
    pub modified: i64,
    pub max_retries: Option<i32>,
    pub max_age_seconds: Option<i32>,
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
}

/// A function URL.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct UrlConfig {
    /// The first label of its host name.
    pub id: String,
    pub auth: String,
    pub cors: Option<UrlCors>,
    pub mode: String,
    /// As `LastModified` is written.
    pub created: String,
    pub modified: String,
}

/// What web pages may do with a function URL.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct UrlCors {
    pub credentials: Option<bool>,
    pub headers: Option<Vec<String>>,
    pub methods: Option<Vec<String>>,
    pub origins: Option<Vec<String>>,
    pub expose: Option<Vec<String>>,
    pub max_age: Option<i32>,
}

/// Whose URL an id is. Key: the id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct UrlId {
    pub account: String,
    pub region: String,
    pub function: String,
    pub alias: String,
}

impl Record for UrlId {
    const TABLE: &'static str = "lambda.urls";
}

pub(crate) fn url_key(id: &str) -> Key {
    Key::new().text(id)
}

/// Sandboxes that are kept ready.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Provisioned {
    pub requested: i32,
    pub modified: String,
}

/// Who may have signed a function's code. Key: account, region, id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct CodeSigning {
    pub id: String,
    pub description: Option<String>,
    pub publishers: Vec<String>,
    /// `Warn` or `Enforce`.
    pub policy: String,
    pub modified: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Record for CodeSigning {
    const TABLE: &'static str = "lambda.code-signing";
}

/// One version: code and configuration. Key: account, region, name, number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Version {
    pub number: u64,
    pub code: Code,
    pub settings: Settings,
    /// The `RevisionId`: another one with every change that a caller can see.
    pub revision: String,
    /// Another one with every change of what runs: sandboxes of one `run` are alike. Empty in old records.
    #[serde(default)]
    pub run: String,
    /// The `run` of `$LATEST` that this version was published from.
    #[serde(default)]
    pub origin: String,
    /// As AWS writes it: `2026-11-23T19:00:00.000+0000`.
    pub modified: String,
    pub state: String,
    pub state_reason: Option<(String, String)>,
    pub update_status: Option<String>,
    pub update_reason: Option<(String, String)>,
    /// `Auto`, `FunctionUpdate` or `Manual`, with the runtime's ARN for the last.
    #[serde(default)]
    pub runtime_updates: Option<(String, Option<String>)>,
}

impl Record for Version {
    const TABLE: &'static str = "lambda.versions";
}

/// A package.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Code {
    pub blob: BlobId,
    /// Hexadecimal SHA-256 of the zip.
    pub sha256: String,
    pub size: i64,
    /// Bytes once unpacked; 0 in old records.
    #[serde(default)]
    pub unpacked: u64,
}

/// What UpdateFunctionConfiguration changes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub runtime: String,
    pub handler: String,
    pub role: String,
    pub description: String,
    pub timeout: i32,
    pub memory: i32,
    pub environment: Option<BTreeMap<String, String>>,
    pub layers: Vec<LayerRef>,
    pub architectures: Vec<String>,
    pub ephemeral: i32,
    pub tracing: String,
    pub dead_letter: Option<String>,
    pub kms_key: Option<String>,
    /// Something encrypted with the key, which the function's role must be able to decrypt.
    #[serde(default)]
    pub kms_proof: Option<Vec<u8>>,
    pub snap_start: String,
    pub log_format: String,
    pub application_log_level: Option<String>,
    pub system_log_level: Option<String>,
    pub log_group: Option<String>,
    /// Subnets, security groups, whether IPv6 is allowed.
    pub vpc: Option<(Vec<String>, Vec<String>, bool)>,
    /// Where the package is a container image.
    #[serde(default)]
    pub image: Option<ImageRecord>,
    /// What makes it a durable function, which it is made as or never is.
    #[serde(default)]
    pub durable: Option<Durable>,
    /// `PER_TENANT` where each tenant has sandboxes of its own, which a function is made with or never has.
    #[serde(default)]
    pub tenancy: Option<String>,
}

/// A container image as a function uses it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub(crate) struct ImageRecord {
    pub uri: String,
    pub entry_point: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub working_directory: Option<String>,
}

/// A layer version as a function uses it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct LayerRef {
    pub arn: String,
    pub code: Code,
}

/// An alias. Key: account, region, function, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Alias {
    pub name: String,
    pub version: String,
    pub description: String,
    /// Shares of further versions, between 0 and 1.
    pub weights: BTreeMap<String, f64>,
    pub revision: String,
}

impl Record for Alias {
    const TABLE: &'static str = "lambda.aliases";
}

/// The numbers of a layer's versions. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct LayerName {
    pub name: String,
    /// Numbers are not used again, also after the version was deleted.
    pub last: u64,
}

impl Record for LayerName {
    const TABLE: &'static str = "lambda.layer-names";
}

/// A layer version. Key: account, region, name, number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct LayerVersion {
    pub name: String,
    pub number: u64,
    pub code: Code,
    pub description: String,
    pub created: String,
    pub architectures: Vec<String>,
    pub runtimes: Vec<String>,
    pub license: Option<String>,
    pub policy: PolicyRecord,
}

impl Record for LayerVersion {
    const TABLE: &'static str = "lambda.layers";
}

pub(crate) fn place(cx: &Context) -> Key {
    Key::new().text(&cx.account).text(&cx.region)
}

pub(crate) fn named_key(cx: &Context, name: &str) -> Key {
    place(cx).text(name)
}

pub(crate) fn version_key(cx: &Context, name: &str, number: u64) -> Key {
    named_key(cx, name).number(number)
}

pub(crate) fn alias_key(cx: &Context, function: &str, name: &str) -> Key {
    named_key(cx, function).text(name)
}

impl Version {
    pub(crate) fn name(&self) -> String {
        if self.number == 0 { LATEST.to_owned() } else { self.number.to_string() }
    }

    /// What sandboxes of this version have in common.
    pub(crate) fn run(&self) -> &str {
        if self.run.is_empty() { &self.revision } else { &self.run }
    }

    /// Gives it another `RevisionId` for something that does not change what runs.
    pub(crate) fn revise(&mut self, cx: &Context) {
        self.run = self.run().to_owned();
        self.revision = cx.random().uuid();
    }

    /// Whether neither a creation nor an update is under way.
    pub(crate) fn settled(&self) -> bool {
        self.state != "Pending" && self.update_status.as_deref() != Some("InProgress")
    }
}

/// Now, as `LastModified` writes it.
pub(crate) fn written_time(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}
