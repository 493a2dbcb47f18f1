//! What identities used their permissions for: reports over recorded use, and which policies grant a service.
//!
//! Source: IAM User Guide, "Refine permissions in AWS using last accessed information".

use crate::state::{Entity, no_policy};
use crate::{Iam, errors, shown};
use cloudlet_access::{Effect, wildcard_match};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Group, LastUse, Permissions, Role, User, of_account};
use cloudlet_identity::{Named, managed};
use cloudlet_service::{Arn, Context};
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// For how long a report is kept, in milliseconds: seven days.
const KEPT: i64 = 7 * 86_400_000;

/// The names of all services by their prefixes in actions.
static SERVICES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../models/access/names.json")).unwrap_or_else(|error| {
        tracing::error!(%error, "the names of services cannot be read");
        BTreeMap::new()
    })
});

/// The name of the service with this prefix.
pub(crate) fn service_name(namespace: &str) -> String {
    SERVICES.get(namespace).cloned().unwrap_or_else(|| namespace.to_owned())
}

/// The prefixes of all services, sorted.
pub(crate) fn namespaces() -> impl Iterator<Item = &'static String> {
    SERVICES.keys()
}

/// One report.
#[derive(Serialize, Deserialize, Clone)]
struct Report {
    id: String,
    created: i64,
    by_action: bool,
    services: Vec<Used>,
}

/// One service in a report.
#[derive(Serialize, Deserialize, Clone)]
struct Used {
    namespace: String,
    entities: Vec<UsedBy>,
    actions: Vec<(String, LastUse, String)>,
}

/// Who used a service.
#[derive(Serialize, Deserialize, Clone)]
struct UsedBy {
    arn: String,
    name: String,
    kind: String,
    id: String,
    path: String,
    last: LastUse,
}

impl Record for Report {
    const TABLE: &'static str = "iam.access_reports";
}

/// A user or role whose use a report is about.
struct Who {
    arn: String,
    name: String,
    kind: &'static str,
    id: String,
    path: String,
}

impl From<&User> for Who {
    fn from(user: &User) -> Self {
        let (name, path) = (user.name.clone(), user.path.clone());
        Self { arn: user.arn(), name, kind: "USER", id: user.id.clone(), path }
    }
}

impl From<&Role> for Who {
    fn from(role: &Role) -> Self {
        let (name, path) = (role.name.clone(), role.path.clone());
        Self { arn: role.arn(), name, kind: "ROLE", id: role.id.clone(), path }
    }
}

impl Iam {
    /// Makes a report on a user, group, role or policy. It is done when this returns.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn generate_service_last_accessed_details(
        &self,
        cx: &Context,
        input: GenerateServiceLastAccessedDetailsInput,
    ) -> Result<GenerateServiceLastAccessedDetailsOutput, Error> {
        let (policies, who) = self.subject(cx, &input.arn)?;
        let by_action = input.granularity.as_deref() == Some("ACTION_LEVEL");
        let used: Vec<_> = who.iter().map(|who| self.identities.services_used(&who.id)).collect();
        let acted: Vec<_> = who
            .iter()
            .map(|w| if by_action { self.identities.actions_used(&w.id) } else { BTreeMap::new() })
            .collect();
        let granted = |namespace: &&String| policies.iter().any(|named| grants(named, namespace));
        let mut services = Vec::new();
        for namespace in SERVICES.keys().filter(granted) {
            let mut entities = Vec::new();
            let mut actions = BTreeMap::<String, (LastUse, String)>::new();
            for (who, (used, acted)) in who.iter().zip(used.iter().zip(&acted)) {
                if let Some((_, last)) = used.iter().find(|(service, _)| service == namespace) {
                    entities.push(UsedBy {
                        arn: who.arn.clone(),
                        name: who.name.clone(),
                        kind: who.kind.to_owned(),
                        id: who.id.clone(),
                        path: who.path.clone(),
                        last: last.clone(),
                    });
                }
                for (action, used) in acted {
                    if let Some((service, name)) = action.split_once(':')
                        && service == namespace
                        && actions.get(name).is_none_or(|(last, _)| last.at < used.last.at)
                    {
                        actions.insert(name.to_owned(), (used.last.clone(), who.arn.clone()));
                    }
                }
            }
            entities.sort_by_key(|used| -used.last.at);
            let actions = actions.into_iter().map(|(name, (last, arn))| (name, last, arn)).collect();
            services.push(Used { namespace: namespace.clone(), entities, actions });
        }
        let report = Report { id: cx.random().uuid(), created: cx.millis(), by_action, services };
        let range = of_account(&cx.account).prefix_range();
        self.change(|tx| {
            let mut old = Vec::new();
            for row in tx.scan::<Report>(range.clone(), false) {
                let (key, known) = row?;
                if cx.millis() - known.created > KEPT {
                    old.push(key);
                }
            }
            for key in old {
                tx.delete::<Report>(&key)?;
            }
            Ok(tx.put(&at(cx, &report.id), &report)?)
        })
        .await?;
        Ok(GenerateServiceLastAccessedDetailsOutput { job_id: Some(report.id) })
    }

    /// Gives a report.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_service_last_accessed_details(
        &self,
        cx: &Context,
        input: GetServiceLastAccessedDetailsInput,
    ) -> Result<GetServiceLastAccessedDetailsOutput, Error> {
        let report = self.report_by_id(cx, &input.job_id)?;
        let (created, by_action) = (report.created, report.by_action);
        let key = |used: &Used| used.namespace.clone();
        let page = shown::page(report.services, input.marker.as_deref(), input.max_items, key)?;
        let shown = page.items.into_iter().map(|used| {
            let last = used.entities.first();
            let tracked = used.actions.into_iter().map(|(name, last, arn)| TrackedActionLastAccessed {
                action_name: Some(name),
                last_accessed_entity: Some(arn),
                last_accessed_time: shown::date(last.at),
                last_accessed_region: Some(last.region),
            });
            ServiceLastAccessed {
                service_name: service_name(&used.namespace),
                last_authenticated: last.and_then(|used| shown::date(used.last.at)),
                last_authenticated_entity: last.map(|used| used.arn.clone()),
                last_authenticated_region: last.map(|used| used.last.region.clone()),
                total_authenticated_entities: i32::try_from(used.entities.len()).ok(),
                tracked_actions_last_accessed: by_action.then(|| tracked.collect()),
                service_namespace: used.namespace,
            }
        });
        Ok(GetServiceLastAccessedDetailsOutput {
            job_status: "COMPLETED".to_owned(),
            job_type: Some(if by_action { "ACTION_LEVEL" } else { "SERVICE_LEVEL" }.to_owned()),
            job_creation_date: shown::date(created),
            job_completion_date: shown::date(created),
            services_last_accessed: shown.collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
            ..Default::default()
        })
    }

    /// Gives who used one service.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput` for a service that the report does not cover.
    pub async fn get_service_last_accessed_details_with_entities(
        &self,
        cx: &Context,
        input: GetServiceLastAccessedDetailsWithEntitiesInput,
    ) -> Result<GetServiceLastAccessedDetailsWithEntitiesOutput, Error> {
        let report = self.report_by_id(cx, &input.job_id)?;
        let created = report.created;
        let used = report.services.into_iter().find(|used| used.namespace == input.service_namespace);
        let mut entities = used.map(|used| used.entities).ok_or_else(|| {
            errors::bad_input(format!(
                "Service namespace {} is not in the report with job id {}",
                input.service_namespace, input.job_id
            ))
        })?;
        entities.sort_by_key(|used| used.arn.to_ascii_lowercase());
        let page = shown::page(entities, input.marker.as_deref(), input.max_items, |used| used.arn.clone())?;
        let shown = page.items.into_iter().map(|used| EntityDetails {
            last_authenticated: shown::date(used.last.at),
            entity_info: EntityInfo {
                arn: used.arn,
                name: used.name,
                r#type: used.kind,
                id: used.id,
                path: Some(used.path),
            },
        });
        Ok(GetServiceLastAccessedDetailsWithEntitiesOutput {
            job_status: "COMPLETED".to_owned(),
            job_creation_date: shown::date(created),
            job_completion_date: shown::date(created),
            entity_details_list: shown.collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
            ..Default::default()
        })
    }

    /// Lists, for each service, the policies that grant something of it to a user, group or role.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn list_policies_granting_service_access(
        &self,
        cx: &Context,
        input: ListPoliciesGrantingServiceAccessInput,
    ) -> Result<ListPoliciesGrantingServiceAccessOutput, Error> {
        let mut from: Vec<(&str, String, Vec<Named>)> = Vec::new();
        let kind = kind_of(cx, &input.arn)?;
        let name = input.arn.rsplit('/').next().unwrap_or_default();
        let of = |permissions: &Permissions| {
            self.identities.policies_in(&cx.account, permissions).map_err(Error::internal)
        };
        match kind {
            "user" => {
                let user = self.entity::<User>(cx, name)?;
                from.push(("USER", user.name.clone(), of(&user.permissions)?.identity));
                for group in &user.groups {
                    if let Some(group) = self.find::<Group>(cx, group)? {
                        from.push(("GROUP", group.name.clone(), of(&group.permissions)?.identity));
                    }
                }
            }
            "group" => {
                let group = self.entity::<Group>(cx, name)?;
                from.push(("GROUP", group.name.clone(), of(&group.permissions)?.identity));
            }
            "role" => {
                let role = self.entity::<Role>(cx, name)?;
                from.push(("ROLE", role.name.clone(), of(&role.permissions)?.identity));
            }
            _ => return Err(errors::bad_input(format!("Invalid Entity Arn: {}", input.arn))),
        }
        let mut namespaces = input.service_namespaces;
        namespaces.sort();
        namespaces.dedup();
        let entry = |namespace: String| {
            let mut policies = Vec::new();
            for (kind, entity, named) in &from {
                for named in named.iter().filter(|named| grants(named, &namespace)) {
                    let managed = named.id.starts_with("arn:");
                    policies.push(PolicyGrantingServiceAccess {
                        policy_name: named.id.rsplit('/').next().unwrap_or_default().to_owned(),
                        policy_type: if managed { "MANAGED" } else { "INLINE" }.to_owned(),
                        policy_arn: managed.then(|| named.id.to_string()),
                        entity_type: (!managed).then(|| (*kind).to_owned()),
                        entity_name: (!managed).then(|| entity.clone()),
                    });
                }
            }
            ListPoliciesGrantingServiceAccessEntry {
                service_namespace: Some(namespace),
                policies: Some(policies),
            }
        };
        Ok(ListPoliciesGrantingServiceAccessOutput {
            policies_granting_service_access: namespaces.into_iter().map(entry).collect(),
            is_truncated: Some(false),
            marker: None,
        })
    }

    fn report_by_id(&self, cx: &Context, id: &str) -> Result<Report, Error> {
        let found = self.store().table::<Report>().get(&at(cx, id)).map_err(Error::internal)?;
        let found = found.filter(|report| cx.millis() - report.created <= KEPT);
        found.ok_or_else(|| errors::no_such(format!("Job with id {id} cannot be found.")))
    }

    /// The policies that a report is about, and whose use it is.
    fn subject(&self, cx: &Context, arn: &str) -> Result<(Vec<Named>, Vec<Who>), Error> {
        let kind = kind_of(cx, arn)?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        let of = |permissions: &Permissions| {
            self.identities.policies_in(&cx.account, permissions).map_err(Error::internal)
        };
        Ok(match kind {
            "user" => {
                let user = self.entity::<User>(cx, name)?;
                let mut policies = of(&user.permissions)?.identity;
                for group in &user.groups {
                    if let Some(group) = self.find::<Group>(cx, group)? {
                        policies.extend(of(&group.permissions)?.identity);
                    }
                }
                (policies, vec![Who::from(&user)])
            }
            "group" => {
                let group = self.entity::<Group>(cx, name)?;
                let mut who = Vec::new();
                for member in &group.members {
                    who.extend(self.find::<User>(cx, member)?.as_ref().map(Who::from));
                }
                (of(&group.permissions)?.identity, who)
            }
            "role" => {
                let role = self.entity::<Role>(cx, name)?;
                (of(&role.permissions)?.identity, vec![Who::from(&role)])
            }
            _ => {
                if managed::by_arn(arn).is_none() {
                    self.policy(cx, arn)?;
                }
                let named = self
                    .identities
                    .managed_policy(&cx.account, arn, cloudlet_access::PolicyKind::Identity)
                    .map_err(Error::internal)?
                    .ok_or_else(|| no_policy(arn))?;
                let has = |permissions: &Permissions| permissions.attached.iter().any(|known| known == arn);
                let groups = self.all::<Group>(cx)?;
                let by_group = |user: &User| {
                    groups.iter().any(|g| has(g.permissions()) && user.groups.contains(&g.name))
                };
                let users = self.all::<User>(cx)?;
                let roles = self.all::<Role>(cx)?;
                let mut who: Vec<Who> =
                    users.iter().filter(|u| has(&u.permissions) || by_group(u)).map(Who::from).collect();
                who.extend(roles.iter().filter(|role| has(&role.permissions)).map(Who::from));
                (vec![named], who)
            }
        })
    }
}

fn at(cx: &Context, id: &str) -> Key {
    Key::new().text(&cx.account).text(id)
}

/// What an ARN names: `user`, `group`, `role` or `policy`.
fn kind_of<'a>(cx: &Context, arn: &'a str) -> Result<&'a str, Error> {
    let parsed =
        Arn::parse(arn).filter(|a| a.service == "iam" && (*a.account == *cx.account || a.account == "aws"));
    let kind = parsed.and_then(|a| a.resource.split_once('/')).map(|(kind, _)| kind);
    kind.filter(|kind| matches!(*kind, "user" | "group" | "role" | "policy"))
        .ok_or_else(|| errors::bad_input(format!("Invalid Entity Arn: {arn}")))
}

/// Whether a policy allows anything of a service.
pub(crate) fn grants(named: &Named, namespace: &str) -> bool {
    named.policy.statements().iter().filter(|s| s.effect() == Effect::Allow).any(|statement| {
        let of_service = |action: &str| match action.split_once(':') {
            Some((service, _)) => wildcard_match(&service.to_ascii_lowercase(), namespace),
            None => wildcard_match(&action.to_ascii_lowercase(), namespace) || action == "*",
        };
        let all_of_service = |action: &str| {
            action == "*"
                || action.split_once(':').is_some_and(|(s, name)| name == "*" && wildcard_match(s, namespace))
        };
        if statement.is_not_action() {
            !statement.actions().any(all_of_service)
        } else {
            statement.actions().any(of_service)
        }
    })
}
