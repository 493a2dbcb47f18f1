//! The least policy that covers what somebody did.

use crate::identities::Identities;
use crate::records::{Role, User, named};
use cloudlet_store::StoreError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

impl Identities {
    /// A policy that allows every action that a role or user was allowed since then (milliseconds since the epoch), on
    /// the resources that it was used on, and nothing else. `None` where there is neither role nor user of this name.
    pub fn least_policy(&self, account: &str, name: &str, since: i64) -> Result<Option<Value>, StoreError> {
        let last = name.rsplit('/').next().unwrap_or_default();
        let key = named(account, last);
        let user = if name.contains(":user/") {
            None
        } else {
            self.store().table::<Role>().get(&key)?.map(|r| r.id)
        };
        let id = match user {
            Some(id) => Some(id),
            None => self.store().table::<User>().get(&key)?.map(|user| user.id),
        };
        let Some(id) = id else { return Ok(None) };
        // Actions of one service on the same resources share a statement.
        let mut statements: BTreeMap<(String, Vec<String>), BTreeSet<String>> = BTreeMap::new();
        for (action, used) in self.actions_used(&id) {
            let resources: Vec<String> = used
                .resources
                .into_iter()
                .filter(|(_, at)| *at >= since)
                .map(|(resource, _)| resource)
                .collect();
            if !resources.is_empty() {
                let service = action.split(':').next().unwrap_or_default().to_owned();
                statements.entry((service, resources)).or_default().insert(action);
            }
        }
        let statements = statements.into_iter().map(
            |((_, resources), actions)| json!({"Effect": "Allow", "Action": actions, "Resource": resources}),
        );
        Ok(Some(json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})))
    }
}
