//! Which services an organization's policies allow to a part of it, and when those were last used there.
//!
//! Source: IAM User Guide, "View last accessed information for Organizations".

use super::last_accessed::{grants, namespaces, service_name};
use crate::{Iam, errors, shown};
use cloudlet_access::PolicyKind;
use cloudlet_api_iam::*;
use cloudlet_identity::Named;
use cloudlet_identity::organization::{
    Attachments, Membership, Organization, OrganizationPolicy, SERVICE_CONTROL, of,
};
use cloudlet_identity::records::{LastUse, Role, User, of_account};
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One report.
#[derive(Serialize, Deserialize, Clone)]
struct Report {
    id: String,
    created: i64,
    services: Vec<Used>,
}

/// One service in a report.
#[derive(Serialize, Deserialize, Clone)]
struct Used {
    namespace: String,
    /// The last use, and the path of the account it was in.
    last: Option<(LastUse, String)>,
    /// How many users and roles used it.
    entities: i32,
}

impl Record for Report {
    const TABLE: &'static str = "iam.organizations_reports";
}

fn at(cx: &Context, id: &str) -> Key {
    Key::new().text(&cx.account).text(id)
}

impl Iam {
    /// Makes a report on a root, a unit or an account. It is done when this returns.
    ///
    /// Errors: `InvalidInput` where the path is none of an organization that the caller's account manages.
    pub async fn generate_organizations_access_report(
        &self,
        cx: &Context,
        input: GenerateOrganizationsAccessReportInput,
    ) -> Result<GenerateOrganizationsAccessReportOutput, Error> {
        let bad = || errors::bad_input(format!("Invalid entity path: {}", input.entity_path));
        let path = input.entity_path.trim_end_matches('/');
        let mut parts = path.split('/');
        let id = parts.next().unwrap_or_default();
        let own = self.store().table::<Organization>().get(&Key::new().text(id)).map_err(Error::internal)?;
        let own = own.filter(|own| *own.management == *cx.account).ok_or_else(bad)?;
        let chain: Vec<&str> = parts.collect();
        if chain.first() != Some(&own.root.as_str()) {
            return Err(bad());
        }
        let accounts = self.accounts_below(&own, path)?;
        if accounts.is_empty() && chain.len() == 1 {
            return Err(bad());
        }
        let levels = match &input.organizations_policy_id {
            Some(id) => vec![self.control_policies(&own, std::slice::from_ref(id))?],
            None if own.policy_types.iter().any(|kind| kind == SERVICE_CONTROL)
                && chain.last() != Some(&own.management.as_str()) =>
            {
                let mut levels = Vec::with_capacity(chain.len());
                for target in &chain {
                    let attached = self
                        .store()
                        .table::<Attachments>()
                        .get(&of(&own.id, target))
                        .map_err(Error::internal)?;
                    levels.push(self.control_policies(&own, &attached.unwrap_or_default().policies)?);
                }
                levels
            }
            None => Vec::new(),
        };
        let mut used: BTreeMap<String, Used> = BTreeMap::new();
        for (account, path) in &accounts {
            for id in self.identities_of(account)? {
                for (namespace, last) in self.identities.services_used(&id) {
                    let entry = used.entry(namespace.clone()).or_insert_with(|| Used {
                        namespace,
                        last: None,
                        entities: 0,
                    });
                    entry.entities += 1;
                    if entry.last.as_ref().is_none_or(|(known, _)| known.at < last.at) {
                        entry.last = Some((last, path.clone()));
                    }
                }
            }
        }
        let allowed = |namespace: &&String| {
            levels.iter().all(|level| level.iter().any(|named| grants(named, namespace)))
        };
        let services = namespaces().filter(allowed).map(|namespace| {
            let none = || Used { namespace: namespace.clone(), last: None, entities: 0 };
            used.get(namespace).cloned().unwrap_or_else(none)
        });
        let report = Report { id: cx.random().uuid(), created: cx.millis(), services: services.collect() };
        self.change(|tx| Ok(tx.put(&at(cx, &report.id), &report)?)).await?;
        Ok(GenerateOrganizationsAccessReportOutput { job_id: Some(report.id) })
    }

    /// Gives a report.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_organizations_access_report(
        &self,
        cx: &Context,
        input: GetOrganizationsAccessReportInput,
    ) -> Result<GetOrganizationsAccessReportOutput, Error> {
        let found = self.store().table::<Report>().get(&at(cx, &input.job_id)).map_err(Error::internal)?;
        let report =
            found.ok_or_else(|| errors::no_such(format!("Job with id {} cannot be found.", input.job_id)))?;
        let mut services = report.services;
        let accessible = services.len();
        let idle = services.iter().filter(|used| used.last.is_none()).count();
        let time = |used: &Used| used.last.as_ref().map(|(last, _)| last.at);
        match input.sort_key.as_deref() {
            Some("SERVICE_NAMESPACE_DESCENDING") => services.reverse(),
            Some("LAST_AUTHENTICATED_TIME_ASCENDING") => services.sort_by_key(time),
            Some("LAST_AUTHENTICATED_TIME_DESCENDING") => {
                services.sort_by_key(|used| std::cmp::Reverse(time(used)));
            }
            _ => {}
        }
        let numbered = services.into_iter().enumerate();
        let page =
            shown::page(numbered, input.marker.as_deref(), input.max_items, |(i, _)| format!("{i:08}"))?;
        let details = page.items.into_iter().map(|(_, used)| {
            let (last, path) = used.last.unzip();
            AccessDetail {
                service_name: service_name(&used.namespace),
                service_namespace: used.namespace,
                region: last.as_ref().map(|last| last.region.clone()),
                last_authenticated_time: last.and_then(|last| shown::date(last.at)),
                entity_path: path,
                total_authenticated_entities: Some(used.entities),
            }
        });
        Ok(GetOrganizationsAccessReportOutput {
            job_status: "COMPLETED".to_owned(),
            job_creation_date: shown::date(report.created),
            job_completion_date: shown::date(report.created),
            number_of_services_accessible: i32::try_from(accessible).ok(),
            number_of_services_not_accessed: i32::try_from(idle).ok(),
            access_details: Some(details.collect()),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
            ..Default::default()
        })
    }

    /// The accounts at or below a path, with their paths.
    fn accounts_below(&self, own: &Organization, path: &str) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        for row in self.store().table::<Membership>().scan(Key::new().prefix_range(), false) {
            let (key, member) = row.map_err(Error::internal)?;
            let Some(account) = key.parts().text().filter(|_| member.organization == own.id) else {
                continue;
            };
            let above = self.identities.above(&account).map_err(Error::internal)?;
            let Some(above) = above else { continue };
            let whole = format!("{}{account}", above.path);
            if whole == path || whole.starts_with(&format!("{path}/")) {
                found.push((account.to_string(), whole));
            }
        }
        Ok(found)
    }

    /// The service control policies with these ids.
    fn control_policies(&self, own: &Organization, ids: &[String]) -> Result<Vec<Named>, Error> {
        let mut found = Vec::new();
        for id in ids {
            let policy =
                self.store().table::<OrganizationPolicy>().get(&of(&own.id, id)).map_err(Error::internal)?;
            if let Some(policy) = policy.filter(|policy| policy.kind == SERVICE_CONTROL) {
                let parsed = cloudlet_access::Policy::parse(&policy.content, PolicyKind::ServiceControl);
                found.push(Named { policy: parsed.map_err(Error::internal)?, id: id.as_str().into() });
            }
        }
        Ok(found)
    }

    /// The unique ids of an account's users and roles.
    fn identities_of(&self, account: &str) -> Result<Vec<String>, Error> {
        let mut ids = Vec::new();
        for row in self.store().table::<User>().scan(of_account(account).prefix_range(), false) {
            ids.push(row.map_err(Error::internal)?.1.id);
        }
        for row in self.store().table::<Role>().scan(of_account(account).prefix_range(), false) {
            ids.push(row.map_err(Error::internal)?.1.id);
        }
        Ok(ids)
    }
}
