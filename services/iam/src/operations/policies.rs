//! Managed policies, their versions, and who has them.

use crate::state::{Entity, no_policy};
use crate::{Iam, errors, parse, shown};
use cloudlet_access::PolicyKind;
use cloudlet_api_iam::{Policy, *};
use cloudlet_identity::managed::{self, AwsManaged};
use cloudlet_identity::records::{
    Group, ManagedPolicy, PolicyVersion as Version, Role, User, named, of_account,
};
use cloudlet_service::Context;
use std::collections::HashMap;

/// The longest managed policy, in characters without white space.
const SIZE: usize = 6_144;

/// Customer managed policies per account.
const QUOTA: usize = 1_500;

/// Versions per policy.
const VERSIONS: usize = 5;

/// How many entities each policy is attached to, and how many it bounds, by ARN.
type Counts = HashMap<String, (i32, i32)>;

impl Iam {
    /// Creates a managed policy with its first version.
    ///
    /// Errors: `EntityAlreadyExists`, `MalformedPolicyDocument`, `LimitExceeded`.
    pub async fn create_policy(
        &self,
        cx: &Context,
        input: CreatePolicyInput,
    ) -> Result<CreatePolicyOutput, Error> {
        check_document(&input.policy_document)?;
        self.room_for::<ManagedPolicy>(cx, "PoliciesPerAccount", QUOTA)?;
        let now = cx.millis();
        let policy = ManagedPolicy {
            account: cx.account.to_string(),
            name: input.policy_name,
            path: shown::path(input.path)?,
            id: cx.random().unique_id("ANPA"),
            description: input.description,
            created: now,
            updated: now,
            versions: vec![Version { number: 1, document: input.policy_document, created: now }],
            default_version: 1,
            next_version: 2,
            tags: shown::given_tags(input.tags)?,
        };
        let key = named(&cx.account, &policy.name);
        self.change(|tx| {
            if tx.exists::<ManagedPolicy>(&key)? {
                let name = &policy.name;
                return Err(errors::exists(format!(
                    "A policy called {name} already exists. Duplicate names are not allowed."
                ))
                .into());
            }
            Ok(tx.put(&key, &policy)?)
        })
        .await?;
        let shown = Policy { tags: shown::some_tags(&policy.tags), ..shown::policy(&policy, (0, 0)) };
        Ok(CreatePolicyOutput { policy: Some(shown) })
    }

    /// Describes a managed policy.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_policy(&self, cx: &Context, input: GetPolicyInput) -> Result<GetPolicyOutput, Error> {
        let counts = self.attachments(cx)?;
        let count = |arn: &str| counts.get(arn).copied().unwrap_or_default();
        if let Some(aws) = managed::by_arn(&input.policy_arn) {
            return Ok(GetPolicyOutput { policy: Some(shown_aws(aws, count(&input.policy_arn))) });
        }
        let policy = self.policy(cx, &input.policy_arn)?;
        let shown = Policy {
            description: policy.description.clone(),
            tags: Some(shown::tags(&policy.tags)),
            ..shown::policy(&policy, count(&input.policy_arn))
        };
        Ok(GetPolicyOutput { policy: Some(shown) })
    }

    /// Lists managed policies, the account's and AWS's.
    pub async fn list_policies(
        &self,
        cx: &Context,
        input: ListPoliciesInput,
    ) -> Result<ListPoliciesOutput, Error> {
        let counts = self.attachments(cx)?;
        let count = |arn: &str| counts.get(arn).copied().unwrap_or_default();
        let scope = input.scope.as_deref().unwrap_or("All");
        let mut found: Vec<Policy> = Vec::new();
        if scope != "AWS" {
            found.extend(
                self.all::<ManagedPolicy>(cx)?
                    .iter()
                    .map(|policy| shown::policy(policy, count(&policy.arn()))),
            );
        }
        if scope != "Local" {
            found.extend(managed::all().map(|aws| shown_aws(aws, count(&aws.arn()))));
        }
        let prefix = input.path_prefix.as_deref().unwrap_or("/");
        let attached = input.only_attached.unwrap_or(false);
        found.retain(|policy| {
            let used = match input.policy_usage_filter.as_deref() {
                Some("PermissionsBoundary") => policy.permissions_boundary_usage_count,
                _ => policy.attachment_count,
            };
            policy.path.as_deref().is_some_and(|path| path.starts_with(prefix))
                && (!attached || used > Some(0))
        });
        let key = |policy: &Policy| policy.arn.clone().unwrap_or_default();
        found.sort_by_key(|policy| key(policy).to_ascii_lowercase());
        let page = shown::page(found, input.marker.as_deref(), input.max_items, key)?;
        Ok(ListPoliciesOutput {
            policies: Some(page.items),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Deletes a policy that is attached to nothing and has one version.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`, `InvalidInput` for AWS's policies.
    pub async fn delete_policy(
        &self,
        cx: &Context,
        input: DeletePolicyInput,
    ) -> Result<DeletePolicyOutput, Error> {
        self.own(cx, &input.policy_arn)?;
        let arn = &input.policy_arn;
        let key = named(&cx.account, arn.rsplit('/').next().unwrap_or_default());
        let all = of_account(&cx.account).prefix_range();
        self.change(|tx| {
            let policy = tx.get::<ManagedPolicy>(&key)?.ok_or_else(|| no_policy(arn))?;
            let mut counts = Counts::new();
            for row in tx.scan::<Role>(all.clone(), false) {
                count(&mut counts, &row?.1);
            }
            for row in tx.scan::<User>(all.clone(), false) {
                count(&mut counts, &row?.1);
            }
            for row in tx.scan::<Group>(all.clone(), false) {
                count(&mut counts, &row?.1);
            }
            if counts.contains_key(arn) {
                return Err(errors::conflict("Cannot delete a policy attached to entities.").into());
            }
            if policy.versions.len() > 1 {
                return Err(errors::conflict(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                     versions. The default version is deleted with the policy.",
                )
                .into());
            }
            Ok(tx.delete::<ManagedPolicy>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Adds a version.
    ///
    /// Errors: `NoSuchEntity`, `MalformedPolicyDocument`, `LimitExceeded`.
    pub async fn create_policy_version(
        &self,
        cx: &Context,
        input: CreatePolicyVersionInput,
    ) -> Result<CreatePolicyVersionOutput, Error> {
        self.own(cx, &input.policy_arn)?;
        check_document(&input.policy_document)?;
        let now = cx.millis();
        let default = input.set_as_default.unwrap_or(false);
        let change = self.change_policy(cx, &input.policy_arn, |policy| {
            if policy.versions.len() >= VERSIONS {
                return Err(LimitExceededException::error(
                    "A managed policy can have up to 5 versions. Before you create a new version, you must delete an \
                     existing version.",
                ));
            }
            let number = policy.next_version;
            policy.next_version += 1;
            policy.versions.push(Version { number, document: input.policy_document.clone(), created: now });
            policy.updated = now;
            if default {
                policy.default_version = number;
            }
            Ok(number)
        });
        let number = change.await?;
        let version = PolicyVersion {
            document: None,
            version_id: Some(format!("v{number}")),
            is_default_version: Some(default),
            create_date: shown::date(now),
        };
        Ok(CreatePolicyVersionOutput { policy_version: Some(version) })
    }

    /// Gives a version with its document.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_policy_version(
        &self,
        cx: &Context,
        input: GetPolicyVersionInput,
    ) -> Result<GetPolicyVersionOutput, Error> {
        let missing = || no_version(&input.policy_arn, &input.version_id);
        if let Some(aws) = managed::by_arn(&input.policy_arn) {
            let version =
                Some(aws_version(aws)).filter(|_| aws.version == input.version_id).ok_or_else(missing)?;
            let version = PolicyVersion { document: Some(shown::document(&aws.document)), ..version };
            return Ok(GetPolicyVersionOutput { policy_version: Some(version) });
        }
        let policy = self.policy(cx, &input.policy_arn)?;
        let number = number(&input.version_id);
        let version = policy.versions.iter().find(|v| Some(v.number) == number).ok_or_else(missing)?;
        let shown = PolicyVersion {
            document: Some(shown::document(&version.document)),
            ..shown_version(&policy, version)
        };
        Ok(GetPolicyVersionOutput { policy_version: Some(shown) })
    }

    /// Lists the versions, the newest first.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_policy_versions(
        &self,
        cx: &Context,
        input: ListPolicyVersionsInput,
    ) -> Result<ListPolicyVersionsOutput, Error> {
        let versions = match managed::by_arn(&input.policy_arn) {
            Some(aws) => vec![aws_version(aws)],
            None => {
                let policy = self.policy(cx, &input.policy_arn)?;
                policy.versions.iter().rev().map(|version| shown_version(&policy, version)).collect()
            }
        };
        // Newest first: the key falls as the number rises.
        let key = |version: &PolicyVersion| {
            let number = version.version_id.as_deref().and_then(number).unwrap_or(0);
            format!("{:010}", u32::MAX - number)
        };
        let page = shown::page(versions, input.marker.as_deref(), input.max_items, key)?;
        Ok(ListPolicyVersionsOutput {
            versions: Some(page.items),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Deletes a version that is not in force.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`.
    pub async fn delete_policy_version(
        &self,
        cx: &Context,
        input: DeletePolicyVersionInput,
    ) -> Result<DeletePolicyVersionOutput, Error> {
        self.own(cx, &input.policy_arn)?;
        self.change_policy(cx, &input.policy_arn, |policy| {
            let at = version_at(policy, &input.version_id)
                .ok_or_else(|| no_version(&input.policy_arn, &input.version_id))?;
            if policy.versions.get(at).is_some_and(|v| v.number == policy.default_version) {
                return Err(errors::conflict("Cannot delete the default version of a policy."));
            }
            policy.versions.remove(at);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Puts a version in force.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn set_default_policy_version(
        &self,
        cx: &Context,
        input: SetDefaultPolicyVersionInput,
    ) -> Result<SetDefaultPolicyVersionOutput, Error> {
        self.own(cx, &input.policy_arn)?;
        let now = cx.millis();
        self.change_policy(cx, &input.policy_arn, |policy| {
            let at = version_at(policy, &input.version_id)
                .ok_or_else(|| no_version(&input.policy_arn, &input.version_id))?;
            policy.default_version = policy.versions.get(at).map_or(policy.default_version, |v| v.number);
            policy.updated = now;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the users, groups and roles that have a policy attached or are bounded by it.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_entities_for_policy(
        &self,
        cx: &Context,
        input: ListEntitiesForPolicyInput,
    ) -> Result<ListEntitiesForPolicyOutput, Error> {
        let arn = &input.policy_arn;
        if managed::by_arn(arn).is_none() {
            self.policy(cx, arn)?;
        }
        let filter = input.entity_filter.as_deref().unwrap_or("All");
        let prefix = input.path_prefix.as_deref().unwrap_or("/");
        let usage = input.policy_usage_filter.as_deref();
        let has = |entity: &dyn Has| entity.has(arn, prefix, usage);
        let own = matches!(filter, "All" | "LocalManagedPolicy") || (filter == "AWSManagedPolicy");
        let mut found: Vec<(String, Found)> = Vec::new();
        if own || filter == "Role" {
            let roles = self.all::<Role>(cx)?.into_iter().filter(|role| has(role));
            found.extend(roles.map(|r| (format!("role/{}", r.name), Found::Role(r.name, r.id))));
        }
        if own || filter == "User" {
            let users = self.all::<User>(cx)?.into_iter().filter(|user| has(user));
            found.extend(users.map(|u| (format!("user/{}", u.name), Found::User(u.name, u.id))));
        }
        if own || filter == "Group" {
            let groups = self.all::<Group>(cx)?.into_iter().filter(|group| has(group));
            found.extend(groups.map(|g| (format!("group/{}", g.name), Found::Group(g.name, g.id))));
        }
        found.sort_by_key(|(key, _)| key.to_ascii_lowercase());
        let page = shown::page(found, input.marker.as_deref(), input.max_items, |(key, _)| key.clone())?;
        let mut out = ListEntitiesForPolicyOutput {
            policy_groups: Some(Vec::new()),
            policy_users: Some(Vec::new()),
            policy_roles: Some(Vec::new()),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        };
        for (_, entity) in page.items {
            match entity {
                Found::Role(name, id) => out
                    .policy_roles
                    .get_or_insert_default()
                    .push(PolicyRole { role_name: Some(name), role_id: Some(id) }),
                Found::User(name, id) => out
                    .policy_users
                    .get_or_insert_default()
                    .push(PolicyUser { user_name: Some(name), user_id: Some(id) }),
                Found::Group(name, id) => out
                    .policy_groups
                    .get_or_insert_default()
                    .push(PolicyGroup { group_name: Some(name), group_id: Some(id) }),
            }
        }
        Ok(out)
    }

    /// Counts attachments and boundaries over the whole account.
    pub(crate) fn attachments(&self, cx: &Context) -> Result<Counts, Error> {
        let mut counts = Counts::new();
        self.all::<Role>(cx)?.iter().for_each(|role| count(&mut counts, role));
        self.all::<User>(cx)?.iter().for_each(|user| count(&mut counts, user));
        self.all::<Group>(cx)?.iter().for_each(|group| count(&mut counts, group));
        Ok(counts)
    }

    /// Refuses AWS's own policies, and policies that are not there.
    fn own(&self, cx: &Context, arn: &str) -> Result<(), Error> {
        if arn.starts_with("arn:aws:iam::aws:") {
            return Err(Error::new(
                "AccessDenied",
                403,
                format!("Cannot modify {arn}: it is an AWS managed policy. Create a policy of your own."),
            ));
        }
        self.policy(cx, arn).map(|_| ())
    }

    pub(crate) async fn change_policy<T: Send>(
        &self,
        cx: &Context,
        arn: &str,
        mut f: impl FnMut(&mut ManagedPolicy) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let key = named(&cx.account, arn.rsplit('/').next().unwrap_or_default());
        self.change(|tx| {
            let found = tx.get::<ManagedPolicy>(&key)?.filter(|policy| policy.arn() == arn);
            let mut policy = found.ok_or_else(|| no_policy(arn))?;
            let outcome = f(&mut policy)?;
            tx.put(&key, &policy)?;
            Ok(outcome)
        })
        .await
    }
}

enum Found {
    Role(String, String),
    User(String, String),
    Group(String, String),
}

/// Whether an entity under a path has a policy in some way.
trait Has {
    fn has(&self, arn: &str, prefix: &str, usage: Option<&str>) -> bool;
}

impl<E: Entity> Has for E {
    fn has(&self, arn: &str, prefix: &str, usage: Option<&str>) -> bool {
        let attached = self.permissions().attached.iter().any(|known| known == arn);
        let bounding = self.permissions().boundary.as_deref() == Some(arn);
        let used = match usage {
            Some("PermissionsPolicy") => attached,
            Some("PermissionsBoundary") => bounding,
            _ => attached || bounding,
        };
        used && self.path().starts_with(prefix)
    }
}

fn count(counts: &mut Counts, entity: &impl Entity) {
    for arn in &entity.permissions().attached {
        counts.entry(arn.clone()).or_default().0 += 1;
    }
    if let Some(arn) = &entity.permissions().boundary {
        counts.entry(arn.clone()).or_default().1 += 1;
    }
}

fn check_document(document: &str) -> Result<(), Error> {
    let policy = parse(document, PolicyKind::Identity)?;
    if policy.minified_len() > SIZE {
        return Err(errors::quota("PolicySize", SIZE));
    }
    Ok(())
}

/// The number in `v3`.
fn number(id: &str) -> Option<u32> {
    id.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn version_at(policy: &ManagedPolicy, id: &str) -> Option<usize> {
    let number = number(id)?;
    policy.versions.iter().position(|version| version.number == number)
}

fn no_version(arn: &str, id: &str) -> Error {
    errors::no_such(format!("Policy {arn} version {id} does not exist or is not attachable."))
}

pub(crate) fn shown_version(policy: &ManagedPolicy, version: &Version) -> PolicyVersion {
    PolicyVersion {
        document: None,
        version_id: Some(format!("v{}", version.number)),
        is_default_version: Some(version.number == policy.default_version),
        create_date: shown::date(version.created),
    }
}

pub(crate) fn aws_version(aws: &AwsManaged) -> PolicyVersion {
    PolicyVersion {
        document: None,
        version_id: Some(aws.version.clone()),
        is_default_version: Some(true),
        create_date: aws_date(&aws.updated),
    }
}

/// One of AWS's policies.
pub(crate) fn shown_aws(aws: &AwsManaged, (attached, bounding): (i32, i32)) -> Policy {
    Policy {
        policy_name: Some(aws.name.clone()),
        policy_id: Some(aws.id()),
        arn: Some(aws.arn()),
        path: Some(aws.path.clone()),
        default_version_id: Some(aws.version.clone()),
        attachment_count: Some(attached),
        permissions_boundary_usage_count: Some(bounding),
        is_attachable: Some(true),
        create_date: aws_date(&aws.created),
        update_date: aws_date(&aws.updated),
        ..Default::default()
    }
}

fn aws_date(text: &str) -> Option<DateTime> {
    DateTime::from_str(text, aws_smithy_types::date_time::Format::DateTimeWithOffset).ok()
}
