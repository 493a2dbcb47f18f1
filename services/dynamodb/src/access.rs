//! What IAM is asked before an operation runs: the table, the index or the stream that it means, with their policies and
//! DynamoDB's condition keys.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB"; Developer
//! Guide, "Using IAM policy conditions for fine-grained access control".

use crate::errors::{Result, invalid};
use crate::fine::Facts;
use crate::names::{self, Place};
use crate::state::{self, Table};
use crate::{DynamoDb, Streams};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_dynamodb as api;
use cloudlet_service::rules::text_member;
use cloudlet_service::{Access, ConditionKeys, Context, Operation, Structure, condition_keys};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// Resource policies, compiled. Keyed by their revision.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<String, Policy>>);

/// AWS: the most bytes of a policy, white space counted.
const MOST_BYTES: usize = 20 * 1024;

/// How many compiled policies are kept.
const KEPT: usize = 1024;

/// Errors: a document that is no resource policy.
pub(crate) fn parse_policy(document: &str) -> Result<Policy> {
    Policy::parse(document, PolicyKind::Resource)
        .map_err(|why| invalid(format!("Invalid policy document: {why}")))
}

/// [`parse_policy`] of a document that is to be kept. Errors: a large one, or one that names nobody who is there.
pub(crate) fn check_policy(cx: &Context, document: &str) -> Result<Policy> {
    if document.len() > MOST_BYTES {
        return Err(crate::errors::limit(format!(
            "Resource-based policy size of {} bytes exceeds the limit of {MOST_BYTES} bytes",
            document.len()
        )));
    }
    let policy = parse_policy(document)?;
    if cx.cloud.identity()?.names_strangers(&policy) {
        return Err(invalid("Invalid policy document: Invalid principal in policy"));
    }
    Ok(policy)
}

impl Policies {
    fn of(&self, policy: Option<&state::Policy>) -> Result<Option<Policy>> {
        let Some(policy) = policy else { return Ok(None) };
        let mut kept = self.0.lock();
        if let Some(found) = kept.get(&policy.revision) {
            return Ok(Some(found.clone()));
        }
        let compiled = parse_policy(&policy.document)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(policy.revision.clone(), compiled.clone());
        Ok(Some(compiled))
    }
}

impl DynamoDb {
    /// The access to a table, or to an index of it, with what conditions can ask about the call, where any does.
    pub(crate) fn to<'a>(
        &self,
        cx: &Context,
        action: &'static str,
        name: &str,
        index: Option<&str>,
        facts: impl FnOnce(&Table) -> Facts<'a>,
    ) -> Result<Access> {
        let place = match names::of_arn(name) {
            Some(mut place) => {
                if let Some((table, _)) = place.name.split_once('/') {
                    place.name = table.to_owned();
                }
                place
            }
            None => Place {
                account: cx.account.to_string(),
                region: cx.region.to_string(),
                name: name.to_owned(),
            },
        };
        let arn = place.arn();
        let resource = match index {
            Some(index) => format!("{arn}/index/{index}"),
            None => arn,
        };
        let mut access = Access::new(action, resource);
        if !place.is_here(cx) {
            access.resource_account = Some(place.account.clone());
        }
        if names::is_name(&place.name) {
            let table = self.table_at(&place)?;
            access.resource_policy = self.policies.of(table.as_ref().and_then(|t| t.policy.as_ref()))?;
            let asked =
                access.resource_policy.is_some() || access.resource_account.is_some() || cx.asks_keys();
            if let Some(table) = table.filter(|_| asked) {
                access.keys = facts(&table).into_keys();
                condition_keys::resource_tags(&mut access.keys, None, &table.tags);
            }
        }
        Ok(access)
    }

    fn one<'a>(
        &self,
        cx: &Context,
        action: &'static str,
        name: &str,
        index: Option<&str>,
        facts: impl FnOnce(&Table) -> Facts<'a>,
    ) -> Result<Vec<Access>> {
        Ok(vec![self.to(cx, action, name, index, facts)?])
    }

    /// The accesses of an operation.
    pub(crate) fn accesses<'i>(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &'i dyn Structure,
    ) -> Result<Vec<Access>> {
        let any = input.as_any();
        if let Some(i) = any.downcast_ref::<api::GetItemInput>() {
            return self.one(cx, "dynamodb:GetItem", &i.table_name, None, |table| Facts::get(table, i));
        }
        if let Some(i) = any.downcast_ref::<api::PutItemInput>() {
            return self.one(cx, "dynamodb:PutItem", &i.table_name, None, |table| Facts::put(table, i));
        }
        if let Some(i) = any.downcast_ref::<api::UpdateItemInput>() {
            return self.one(cx, "dynamodb:UpdateItem", &i.table_name, None, |table| Facts::update(table, i));
        }
        if let Some(i) = any.downcast_ref::<api::DeleteItemInput>() {
            return self.one(cx, "dynamodb:DeleteItem", &i.table_name, None, |table| Facts::delete(table, i));
        }
        if let Some(i) = any.downcast_ref::<api::QueryInput>() {
            let index = i.index_name.as_deref();
            return self.one(cx, "dynamodb:Query", &i.table_name, index, |table| Facts::query(table, i));
        }
        if let Some(i) = any.downcast_ref::<api::ScanInput>() {
            let index = i.index_name.as_deref();
            return self.one(cx, "dynamodb:Scan", &i.table_name, index, |_| Facts::scan(i));
        }
        if let Some(i) = any.downcast_ref::<api::BatchGetItemInput>() {
            let capacity = i.return_consumed_capacity.as_deref();
            let one = |(name, keys): (&String, &'i api::KeysAndAttributes)| {
                let facts = |table: &Table| Facts::batch_get(table, keys, capacity);
                self.to(cx, "dynamodb:BatchGetItem", name, None, facts)
            };
            return i.request_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::BatchWriteItemInput>() {
            let capacity = i.return_consumed_capacity.as_deref();
            let one = |(name, writes): (&String, &'i Vec<api::WriteRequest>)| {
                let facts = |table: &Table| Facts::batch_write(table, writes, capacity);
                self.to(cx, "dynamodb:BatchWriteItem", name, None, facts)
            };
            return i.request_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::TransactGetItemsInput>() {
            let capacity = i.return_consumed_capacity.as_deref();
            let one = |api::TransactGetItem { get, .. }: &'i api::TransactGetItem| {
                let facts = |table: &Table| Facts::transact_get(table, get, capacity);
                self.to(cx, "dynamodb:GetItem", &get.table_name, None, facts)
            };
            return i.transact_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::TransactWriteItemsInput>() {
            let capacity = i.return_consumed_capacity.as_deref();
            let mut all = Vec::with_capacity(i.transact_items.len());
            for item in &i.transact_items {
                for part in parts(item) {
                    all.push(self.to(cx, part.action, part.table, None, |table| {
                        Facts::transact_write(
                            table,
                            part.item,
                            part.names,
                            part.condition,
                            part.update,
                            capacity,
                        )
                    })?);
                }
            }
            return Ok(all);
        }
        if matches!(op.name, "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction") {
            return self.statement_accesses(cx, input);
        }
        let Some(rule) = op.access.first() else { return Ok(Vec::new()) };
        // What lies under a table is its account's, whoever knows its ARN.
        let under = ["BackupArn", "ExportArn", "ImportArn"].iter().find_map(|name| text_member(input, name));
        if let Some(arn) = under {
            let mut all = cloudlet_service::api::default_access(op, cx, input);
            if all.iter().all(|access| access.resource != arn) {
                all.push(Access::new(rule.action, arn.clone()));
            }
            for access in all.iter_mut().filter(|access| access.resource == arn) {
                access.resource_account =
                    names::of_arn(&arn).map(|place| place.account).filter(|account| **account != *cx.account);
            }
            return Ok(all);
        }
        let named = ["TableName", "ResourceArn", "TableArn", "SourceTableArn"];
        let lists = op.name == "ListContributorInsights";
        if (lists || rule.resource.contains("table/"))
            && let Some(name) = named.iter().find_map(|member| text_member(input, member))
        {
            let mut all = self.one(cx, rule.action, &name, None, |_| Facts::default())?;
            for access in &mut all {
                of_tagging(input, &mut access.keys);
            }
            if let Some(input) = any.downcast_ref::<api::UpdateTableInput>() {
                all.extend(of_replicas(cx, input));
            }
            // Source: Developer Guide, "Tagging resources in DynamoDB".
            let create = any.downcast_ref::<api::CreateTableInput>();
            if create.and_then(|create| create.tags.as_ref()).is_some_and(|tags| !tags.is_empty()) {
                let tagging = all.first().map(|create| create.also("dynamodb:TagResource"));
                all.extend(tagging);
            }
            return Ok(all);
        }
        Ok(cloudlet_service::api::default_access(op, cx, input))
    }
}

/// What an update does in other regions. Source: API Reference, `ReplicationGroupUpdate`.
fn of_replicas(cx: &Context, input: &api::UpdateTableInput) -> Vec<Access> {
    let mut all = Vec::new();
    let place = names::of_arn(&input.table_name);
    let account = place.as_ref().map_or(&*cx.account, |place| place.account.as_str());
    let name = place.as_ref().map_or(input.table_name.as_str(), |place| place.name.as_str());
    let mut needs = |action: &'static str, region: &str| {
        let mut access = Access::new(action, names::table_arn(account, region, name));
        access.resource_account = (*account != *cx.account).then(|| account.to_owned());
        all.push(access);
    };
    for update in input.replica_updates.iter().flatten() {
        if let Some(create) = &update.create {
            needs("dynamodb:CreateTableReplica", &create.region_name);
        }
        if let Some(update) = &update.update {
            needs("dynamodb:UpdateTable", &update.region_name);
        }
        if let Some(delete) = &update.delete {
            needs("dynamodb:DeleteTableReplica", &delete.region_name);
        }
        if let Some(away) = &update.disassociate {
            needs("dynamodb:DisassociateTableReplica", &away.region_name);
        }
    }
    all
}

/// The tags that a request brings or takes away.
fn of_tagging(input: &dyn Structure, keys: &mut ConditionKeys) {
    let any = input.as_any();
    let tags: &[api::Tag] = if let Some(input) = any.downcast_ref::<api::CreateTableInput>() {
        input.tags.as_deref().unwrap_or_default()
    } else if let Some(input) = any.downcast_ref::<api::TagResourceInput>() {
        &input.tags
    } else if let Some(input) = any.downcast_ref::<api::UntagResourceInput>() {
        return condition_keys::removed_tags(keys, &input.tag_keys);
    } else {
        &[]
    };
    condition_keys::requested_tags(keys, tags.iter().map(|tag| (&tag.key, &tag.value)));
}

/// One write of a transaction, as IAM sees it.
struct Part<'i> {
    action: &'static str,
    table: &'i str,
    item: &'i BTreeMap<String, api::AttributeValue>,
    names: &'i Option<BTreeMap<String, String>>,
    condition: Option<&'i str>,
    update: Option<&'i str>,
}

/// What an item of a transaction asks for: one thing, unless it will be refused.
fn parts(of: &api::TransactWriteItem) -> impl Iterator<Item = Part<'_>> {
    let put = of.put.as_ref().map(|put| Part {
        action: "dynamodb:PutItem",
        table: &put.table_name,
        item: &put.item,
        names: &put.expression_attribute_names,
        condition: put.condition_expression.as_deref(),
        update: None,
    });
    let update = of.update.as_ref().map(|update| Part {
        action: "dynamodb:UpdateItem",
        table: &update.table_name,
        item: &update.key,
        names: &update.expression_attribute_names,
        condition: update.condition_expression.as_deref(),
        update: Some(&update.update_expression),
    });
    let delete = of.delete.as_ref().map(|delete| Part {
        action: "dynamodb:DeleteItem",
        table: &delete.table_name,
        item: &delete.key,
        names: &delete.expression_attribute_names,
        condition: delete.condition_expression.as_deref(),
        update: None,
    });
    let check = of.condition_check.as_ref().map(|check| Part {
        action: "dynamodb:ConditionCheckItem",
        table: &check.table_name,
        item: &check.key,
        names: &check.expression_attribute_names,
        condition: Some(&check.condition_expression),
        update: None,
    });
    [put, update, delete, check].into_iter().flatten()
}

impl Streams {
    /// The accesses of an operation on streams.
    pub(crate) fn accesses(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>> {
        let Some(rule) = op.access.first() else { return Ok(Vec::new()) };
        let arn = match text_member(input, "StreamArn") {
            Some(arn) => arn,
            None => match text_member(input, "ShardIterator").and_then(|i| crate::streams::stream_of(&i)) {
                Some(arn) => arn,
                None => return Ok(cloudlet_service::api::default_access(op, cx, input)),
            },
        };
        let mut access = Access::new(rule.action, arn.clone());
        if let Some((place, _)) = names::of_stream_arn(&arn) {
            if !place.is_here(cx) {
                access.resource_account = Some(place.account.clone());
            }
            let table = self.0.table_at(&place)?;
            access.resource_policy =
                self.0.policies.of(table.as_ref().and_then(|t| t.stream_policy.as_ref()))?;
        }
        Ok(vec![access])
    }
}
