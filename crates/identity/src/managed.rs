//! AWS's own managed policies, those that people name most. Their documents are AWS's, in `data/`.
//!
//! Source: AWS Managed Policy Reference Guide.

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A managed policy that AWS owns: the same in every account.
#[derive(Deserialize, Debug)]
pub struct AwsManaged {
    /// Its name.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// Its default version, such as `v3`.
    pub version: String,
    /// When it was created, ISO 8601.
    pub created: String,
    /// When its default version last changed, ISO 8601.
    pub updated: String,
    /// The policy.
    pub document: String,
}

impl AwsManaged {
    /// `arn:aws:iam::aws:policy/PATH/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::aws:policy{}{}", self.path, self.name)
    }

    /// A stable id in IAM's form; AWS's own ids are not published.
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, self.name.as_bytes());
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let tail: String =
            hash.as_ref().iter().take(17).map(|b| char::from(letters[usize::from(b % 32)])).collect();
        format!("ANPA{tail}")
    }
}

static ALL: LazyLock<BTreeMap<String, AwsManaged>> = LazyLock::new(|| {
    let read: Result<Vec<AwsManaged>, _> =
        serde_json::from_str(include_str!("../data/aws-managed-policies.json"));
    match read {
        Ok(list) => list.into_iter().map(|policy| (policy.arn(), policy)).collect(),
        Err(error) => {
            tracing::error!(%error, "AWS's managed policies cannot be read");
            BTreeMap::new()
        }
    }
});

/// The policy with this ARN.
pub fn by_arn(arn: &str) -> Option<&'static AwsManaged> {
    // Most ARNs are not AWS's, and the list is only read once one is.
    if !arn.starts_with("arn:aws:iam::aws:policy/") {
        return None;
    }
    ALL.get(arn)
}

/// All of them, by ARN.
pub fn all() -> impl Iterator<Item = &'static AwsManaged> {
    ALL.values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudlet_access::{Policy, PolicyKind};

    #[test]
    fn every_one_of_them_parses() {
        assert!(all().count() > 200);
        for policy in all() {
            let parsed = Policy::parse(&policy.document, PolicyKind::Identity);
            assert!(parsed.is_ok(), "{}: {parsed:?}", policy.name);
        }
        let lambda = by_arn("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole");
        assert_eq!(lambda.map(|p| p.name.as_str()), Some("AWSLambdaBasicExecutionRole"));
        assert!(by_arn("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole").is_none());
    }
}
