//! What is stored: secrets with the list of their versions, and the sealed value of each version.

use cloudlet_access::{Policy, PolicyKind};
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

/// Milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// A secret. Key: account, region, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) partition: String,
    pub(crate) name: String,
    /// The six random characters at the end of the ARN.
    pub(crate) suffix: String,
    pub(crate) description: Option<String>,
    /// As the caller gave it; `None` is `aws/secretsmanager`.
    pub(crate) kms_key: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    /// Tags were added once: from then on even none are shown.
    #[serde(default)]
    pub(crate) tagged: bool,
    /// Milliseconds since 1970, as all times here.
    pub(crate) created: i64,
    pub(crate) changed: i64,
    /// The day of the last access.
    pub(crate) accessed: Option<i64>,
    /// When it is deleted for good.
    pub(crate) deletion: Option<i64>,
    /// The oldest first.
    pub(crate) versions: Vec<Version>,
    pub(crate) policy: Option<String>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) rotated: Option<i64>,
    /// The region of the primary, of a replica.
    pub(crate) primary: Option<String>,
    pub(crate) replicas: Vec<Replica>,
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// The primary in another account, of a cross-account replica.
    #[serde(default)]
    pub(crate) cross_primary: Option<CrossLink>,
    /// Its replica in another account.
    #[serde(default)]
    pub(crate) cross_replica: Option<CrossLink>,
}

pub(crate) const IN_SYNC: &str = "InSync";
pub(crate) const DETACHED: &str = "Detached";

/// The other end of a replication between accounts.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrossLink {
    pub(crate) arn: String,
    /// `Pending`, `InSync`, `Failed` or `Detached`.
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

impl Record for Secret {
    const TABLE: &'static str = "secretsmanager.secrets";
}

/// What is known of a version beside its value.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// Sorted, as AWS lists them.
    pub(crate) stages: Vec<String>,
    pub(crate) created: i64,
    pub(crate) accessed: Option<i64>,
    pub(crate) kms_key: Option<String>,
    /// Made by a rotation and not filled yet.
    #[serde(default)]
    pub(crate) empty: bool,
}

/// When and through what a secret is rotated.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) lambda: String,
    pub(crate) days: Option<i64>,
    pub(crate) expression: Option<String>,
    pub(crate) duration: Option<String>,
    /// When the next rotation begins.
    pub(crate) next: Option<i64>,
}

/// A replica, as its primary knows it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) region: String,
    pub(crate) kms_key: Option<String>,
    /// Why there is none.
    pub(crate) failed: Option<String>,
}

/// The value of a version: sealed with a data key that KMS sealed. Key: account, region, name, suffix, version.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Value {
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) data_key: Vec<u8>,
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) body: Vec<u8>,
    pub(crate) binary: bool,
}

impl Record for Value {
    const TABLE: &'static str = "secretsmanager.values";
}

pub(crate) fn place(cx: &Context) -> Key {
    Key::new().text(&cx.account).text(&cx.region)
}

pub(crate) fn secret_place(account: &str, region: &str, name: &str) -> Key {
    Key::new().text(account).text(region).text(name)
}

impl Secret {
    pub(crate) fn arn(&self) -> String {
        format!(
            "arn:{}:secretsmanager:{}:{}:secret:{}-{}",
            self.partition, self.region, self.account, self.name, self.suffix
        )
    }

    pub(crate) fn place(&self) -> Key {
        secret_place(&self.account, &self.region, &self.name)
    }

    pub(crate) fn value_place(&self, version: &str) -> Key {
        self.place().text(&self.suffix).text(version)
    }

    pub(crate) fn values_place(&self) -> Key {
        self.place().text(&self.suffix)
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    pub(crate) fn staged(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.stages.iter().any(|s| s == stage))
    }

    /// The resource policy, as it is evaluated.
    pub(crate) fn compiled(&self) -> Option<Policy> {
        Policy::parse(self.policy.as_deref()?, PolicyKind::Resource).ok()
    }

    /// Moves staging labels to a version. The version that loses `AWSCURRENT` becomes `AWSPREVIOUS`, and nothing else
    /// of a rotation. Source: API Reference, `UpdateSecretVersionStage`.
    pub(crate) fn attach(&mut self, id: &str, stages: &[String]) {
        for stage in stages {
            let holder = self.staged(stage).map(|version| version.id.clone());
            if holder.as_deref() == Some(id) {
                continue;
            }
            self.detach(stage);
            if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
                version.stages.push(stage.clone());
                version.stages.sort();
            }
            if stage == CURRENT
                && let Some(old) = holder
            {
                self.detach(PREVIOUS);
                if let Some(version) = self.versions.iter_mut().find(|version| version.id == old) {
                    version.stages.retain(|stage| stage != PENDING);
                    version.stages.push(PREVIOUS.to_owned());
                    version.stages.sort();
                }
            }
        }
    }

    pub(crate) fn detach(&mut self, stage: &str) {
        for version in &mut self.versions {
            version.stages.retain(|s| s != stage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let version = |id: &str, stages: &[&str]| Version {
            id: id.to_owned(),
            stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
            created: 0,
            accessed: None,
            kms_key: None,
            empty: false,
        };
        Secret {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            name: "s".to_owned(),
            suffix: "abcdef".to_owned(),
            description: None,
            kms_key: None,
            tags: Vec::new(),
            tagged: false,
            created: 0,
            changed: 0,
            accessed: None,
            deletion: None,
            versions: vec![version("1", &[CURRENT]), version("2", &[PENDING]), version("3", &[])],
            policy: None,
            rotation: None,
            rotated: None,
            primary: None,
            replicas: Vec::new(),
            kind: None,
            cross_primary: None,
            cross_replica: None,
        }
    }

    #[test]
    fn labels_move_as_aws_moves_them() {
        let mut secret = secret();
        let current = [CURRENT.to_owned()];
        let stages = |secret: &Secret| -> Vec<String> {
            secret.versions.iter().map(|version| version.stages.join("+")).collect()
        };
        secret.attach("2", &current);
        assert_eq!(stages(&secret), ["AWSPREVIOUS", "AWSCURRENT+AWSPENDING", ""]);
        secret.attach("3", &current);
        assert_eq!(stages(&secret), ["", "AWSPREVIOUS", "AWSCURRENT"]);
        secret.attach("3", &current);
        assert_eq!(stages(&secret), ["", "AWSPREVIOUS", "AWSCURRENT"]);
        secret.attach("1", &["b".to_owned(), "a".to_owned()]);
        assert_eq!(stages(&secret), ["a+b", "AWSPREVIOUS", "AWSCURRENT"]);
    }
}
