//! What is stored: parameters with their latest version, and a record for each version.

use cloudlet_access as access;
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Milliseconds.
pub(crate) const HOUR: i64 = 60 * 60 * 1000;

/// A parameter. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) partition: String,
    pub(crate) name: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) latest: Version,
    /// The oldest version that is kept.
    pub(crate) oldest: i64,
    /// The version of each label.
    pub(crate) labels: BTreeMap<String, i64>,
    /// When a policy deletes it.
    pub(crate) expires: Option<i64>,
    /// The resource policies that share it.
    #[serde(default)]
    pub(crate) shared: Vec<Shared>,
}

/// A resource policy of a parameter.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) id: String,
    pub(crate) hash: String,
    pub(crate) text: String,
}

/// What an account has set for its Parameter Store. Key: account, region, the setting's id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) modified: i64,
    pub(crate) user: String,
}

impl Record for Setting {
    const TABLE: &'static str = "ssm.settings";
}

impl Record for Parameter {
    const TABLE: &'static str = "ssm.parameters";
}

/// One version. Key: account, region, name, number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) value: Value,
    pub(crate) key_id: Option<String>,
    /// Milliseconds since 1970, as all times here.
    pub(crate) modified: i64,
    pub(crate) user: String,
    pub(crate) description: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) tier: String,
    pub(crate) policies: Vec<Policy>,
    pub(crate) data_type: String,
}

impl Record for Version {
    const TABLE: &'static str = "ssm.versions";
}

/// A value as it is kept.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Value {
    Plain(String),
    /// Encrypted by KMS itself: what fits into a standard parameter.
    Sealed(Vec<u8>),
    /// Encrypted with a data key that KMS sealed: what only an advanced one holds.
    Enveloped {
        data_key: Vec<u8>,
        body: Vec<u8>,
    },
}

/// A policy of an advanced parameter, as it was given.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) kind: String,
    pub(crate) text: String,
}

pub(crate) fn place(cx: &Context) -> Key {
    Key::new().text(&cx.account).text(&cx.region)
}

/// A name outside hierarchies is the same with a slash before it and without.
pub(crate) fn parameter_place(account: &str, region: &str, name: &str) -> Key {
    let flat = name.strip_prefix('/').filter(|rest| !rest.contains('/'));
    Key::new().text(account).text(region).text(flat.unwrap_or(name))
}

impl Parameter {
    pub(crate) fn arn(&self) -> String {
        arn(&self.partition, &self.region, &self.account, &self.name)
    }

    pub(crate) fn place(&self) -> Key {
        parameter_place(&self.account, &self.region, &self.name)
    }

    pub(crate) fn version_place(&self, number: i64) -> Key {
        self.place().number(u64::try_from(number).unwrap_or(0))
    }

    /// All resource policies in one, as they are evaluated.
    pub(crate) fn resource_policy(&self) -> Option<access::Policy> {
        let statements: Vec<serde_json::Value> = self
            .shared
            .iter()
            .filter_map(|policy| serde_json::from_str::<serde_json::Value>(&policy.text).ok())
            .filter_map(|mut document| document.get_mut("Statement").map(serde_json::Value::take))
            .flat_map(|statements| match statements {
                serde_json::Value::Array(all) => all,
                one => vec![one],
            })
            .collect();
        if statements.is_empty() {
            return None;
        }
        let document = serde_json::json!({ "Version": "2012-10-17", "Statement": statements });
        access::Policy::parse(&document.to_string(), access::PolicyKind::Resource).ok()
    }

    /// The labels of a version, sorted.
    pub(crate) fn labels_of(&self, number: i64) -> Vec<String> {
        self.labels.iter().filter(|(_, at)| **at == number).map(|(label, _)| label.clone()).collect()
    }
}

/// The ARN of a parameter: a leading slash of the name is the one after `parameter`.
pub(crate) fn arn(partition: &str, region: &str, account: &str, name: &str) -> String {
    let name = name.strip_prefix('/').unwrap_or(name);
    format!("arn:{partition}:ssm:{region}:{account}:parameter/{name}")
}
