//! Organizations as decisions need them: which organization an account is in, and the policies above it.
//!
//! The service `organizations` writes these records. Source: AWS Organizations User Guide, "Service control policies
//! (SCPs)" and "Resource control policies (RCPs)".

use crate::caller::Named;
use crate::identities::Identities;
use crate::records::Tag;
use cloudlet_access::{Attached, Policy, PolicyKind};
use cloudlet_store::{Key, Record, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `SERVICE_CONTROL_POLICY`
pub const SERVICE_CONTROL: &str = "SERVICE_CONTROL_POLICY";
/// `RESOURCE_CONTROL_POLICY`
pub const RESOURCE_CONTROL: &str = "RESOURCE_CONTROL_POLICY";

/// The deepest chain from the root to an account: the root, five levels of units, the account.
const DEEPEST: usize = 8;

/// The services whose resources resource control policies bind.
/// Source: Organizations User Guide, "List of AWS services that support RCPs".
const UNDER_RESOURCE_CONTROL: &[&str] = &[
    "s3",
    "sts",
    "kms",
    "sqs",
    "secretsmanager",
    "dynamodb",
    "ecr",
    "logs",
    "cognito-identity",
    "cognito-idp",
];

/// An organization, by its id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Organization {
    /// `o-…`
    pub id: String,
    /// The management account.
    pub management: String,
    /// `ALL` or `CONSOLIDATED_BILLING`.
    pub features: String,
    /// `r-…`
    pub root: String,
    /// The types of policies that are on.
    #[serde(default)]
    pub policy_types: Vec<String>,
    /// The service principals with trusted access, and since when.
    #[serde(default)]
    pub trusted: BTreeMap<String, i64>,
    /// Delegated administrators: account and service principal, and since when.
    #[serde(default)]
    pub delegated: Vec<(String, String, i64)>,
    /// IAM's features for root users of member accounts that are on.
    #[serde(default)]
    pub root_features: Vec<String>,
    /// Its resource policy, which shares its administration.
    #[serde(default)]
    pub resource_policy: Option<(String, String)>,
    /// The tags of the root.
    #[serde(default)]
    pub root_tags: Vec<Tag>,
}

impl Record for Organization {
    const TABLE: &'static str = "organizations.organizations";
}

/// Which organization an account belongs to, by account.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Membership {
    /// `o-…`
    pub organization: String,
    /// The root or the unit that it is in.
    pub parent: String,
}

impl Record for Membership {
    const TABLE: &'static str = "organizations.memberships";
}

/// An account of an organization, by organization and id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Member {
    /// The account.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its root user's address.
    pub email: String,
    /// Since when.
    pub joined: i64,
    /// Whether it was invited rather than created.
    pub invited: bool,
    /// `ACTIVE` or `SUSPENDED`.
    pub status: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for Member {
    const TABLE: &'static str = "organizations.accounts";
}

/// An organizational unit, by organization and id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Unit {
    /// `ou-…`
    pub id: String,
    /// Its name, unique among its siblings.
    pub name: String,
    /// The root or the unit that it is in.
    pub parent: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for Unit {
    const TABLE: &'static str = "organizations.units";
}

/// A policy of an organization, by organization and id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct OrganizationPolicy {
    /// `p-…`
    pub id: String,
    /// Its name, unique in its type.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Its type.
    pub kind: String,
    /// Its text.
    pub content: String,
    /// Whether it is AWS's.
    pub aws_managed: bool,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for OrganizationPolicy {
    const TABLE: &'static str = "organizations.policies";
}

/// The policies on a root, a unit or an account, by organization and target.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Attachments {
    /// Policy ids.
    pub policies: Vec<String>,
}

impl Record for Attachments {
    const TABLE: &'static str = "organizations.attachments";
}

/// The key of what an organization has.
pub fn of(organization: &str, id: &str) -> Key {
    Key::new().text(organization).text(id)
}

/// What stands above an account, level by level from the root down.
#[derive(Debug, Default)]
pub struct Above {
    /// `o-…`
    pub organization: String,
    /// `o-…/r-…/ou-…/`
    pub path: String,
    /// Service control policies; none for the management account.
    pub service_control: Vec<Vec<Named>>,
    /// Resource control policies likewise.
    pub resource_control: Vec<Vec<Named>>,
    pub(crate) asks_keys: bool,
}

impl Above {
    /// Whether resource control policies bind this service's resources.
    pub(crate) fn controls(&self, service: &str) -> bool {
        !self.resource_control.is_empty() && UNDER_RESOURCE_CONTROL.contains(&service)
    }
}

/// Lends levels of policies to an evaluation.
pub(crate) fn levels(from: &[Vec<Named>]) -> Vec<Vec<Attached<'_>>> {
    from.iter().map(|level| level.iter().map(Named::attached).collect()).collect()
}

impl Identities {
    /// What stands above an account; `None` for one without an organization. Out of memory unless a record changed.
    pub fn above(&self, account: &str) -> Result<Option<Arc<Above>>, StoreError> {
        let generation = self.generation();
        {
            let known = self.above.read();
            if known.0 == generation
                && let Some(found) = known.1.get(account)
            {
                return Ok(found.clone());
            }
        }
        let found = self.gather_above(account)?.map(Arc::new);
        let mut known = self.above.write();
        if known.0 != generation {
            *known = (generation, std::collections::HashMap::new());
        }
        known.1.insert(account.into(), found.clone());
        Ok(found)
    }

    fn gather_above(&self, account: &str) -> Result<Option<Above>, StoreError> {
        let store = self.store();
        let Some(member) = store.table::<Membership>().get(&Key::new().text(account))? else {
            return Ok(None);
        };
        let id = &member.organization;
        let Some(organization) = store.table::<Organization>().get(&Key::new().text(id))? else {
            return Ok(None);
        };
        let mut chain = vec![account.to_owned()];
        let mut parent = member.parent.clone();
        while parent != organization.root && chain.len() < DEEPEST {
            chain.push(parent.clone());
            match store.table::<Unit>().get(&of(id, &parent))? {
                Some(unit) => parent = unit.parent,
                None => break,
            }
        }
        chain.push(organization.root.clone());
        chain.reverse();
        let inner: String =
            chain.iter().skip(1).take(chain.len() - 2).map(|unit| format!("{unit}/")).collect();
        let mut above = Above {
            organization: id.clone(),
            path: format!("{id}/{}/{inner}", organization.root),
            ..Above::default()
        };
        if account == organization.management {
            return Ok(Some(above));
        }
        for target in &chain {
            let attached = store.table::<Attachments>().get(&of(id, target))?.unwrap_or_default();
            let (mut scps, mut rcps) = (Vec::new(), Vec::new());
            for policy in &attached.policies {
                let Some(policy) = store.table::<OrganizationPolicy>().get(&of(id, policy))? else {
                    continue;
                };
                let (kind, level) = match policy.kind.as_str() {
                    SERVICE_CONTROL => (PolicyKind::ServiceControl, &mut scps),
                    RESOURCE_CONTROL => (PolicyKind::ResourceControl, &mut rcps),
                    _ => continue,
                };
                let parsed = Policy::parse(&policy.content, kind).map_err(|error| StoreError::Corrupt {
                    what: format!("the policy {}", policy.id),
                    detail: error.to_string(),
                })?;
                above.asks_keys |= !parsed.context_keys().is_empty();
                level.push(Named { policy: parsed, id: policy_arn(&organization, &policy).into() });
            }
            above.service_control.push(scps);
            above.resource_control.push(rcps);
        }
        for (kind, levels) in
            [(SERVICE_CONTROL, &mut above.service_control), (RESOURCE_CONTROL, &mut above.resource_control)]
        {
            if !organization.policy_types.iter().any(|on| on == kind) {
                levels.clear();
            }
        }
        Ok(Some(above))
    }
}

/// The ARN of a policy.
pub fn policy_arn(organization: &Organization, policy: &OrganizationPolicy) -> String {
    let kind = policy.kind.to_ascii_lowercase();
    if policy.aws_managed {
        return format!("arn:aws:organizations::aws:policy/{kind}/{}", policy.id);
    }
    format!(
        "arn:aws:organizations::{}:policy/{}/{kind}/{}",
        organization.management, organization.id, policy.id
    )
}
