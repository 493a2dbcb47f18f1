//! What IAM is asked before an operation runs: the table, the index or the stream that it means, with their policies and
//! DynamoDB's condition keys.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB"; Developer
//! Guide, "Using IAM policy conditions for fine-grained access control".

use crate::errors::{Result, invalid};
use crate::names::{self, Place};
use crate::state::{self, Table};
use crate::{DynamoDb, Streams};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_dynamodb as api;
use cloudlet_service::rules::text_member;
use cloudlet_service::{Access, Context, Operation, Structure};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// Resource policies, compiled. Keyed by their revision.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<String, Policy>>);

/// How many compiled policies are kept.
const KEPT: usize = 1024;

/// Errors: a document that is no resource policy.
pub(crate) fn parse_policy(document: &str) -> Result<Policy> {
    Policy::parse(document, PolicyKind::Resource)
        .map_err(|why| invalid(format!("Invalid policy document: {why}")))
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

type Keys = Vec<(String, Vec<String>)>;

/// The partition key values that a call names, once the table is known.
fn leading(table: Option<&Table>, items: &[&BTreeMap<String, api::AttributeValue>]) -> Keys {
    let Some(hash) = table.map(Table::hash) else { return Vec::new() };
    let text = |value: &api::AttributeValue| value.s.clone().or_else(|| value.n.clone());
    let values: Vec<String> = items.iter().filter_map(|item| item.get(hash)).filter_map(text).collect();
    if values.is_empty() { Vec::new() } else { vec![("dynamodb:LeadingKeys".to_owned(), values)] }
}

impl DynamoDb {
    /// The access to a table, or to an index of it.
    pub(crate) fn to(
        &self,
        cx: &Context,
        action: &'static str,
        name: &str,
        index: Option<&str>,
        items: &[&BTreeMap<String, api::AttributeValue>],
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
            access.keys = leading(table.as_deref(), items);
        }
        Ok(access)
    }

    /// The accesses of an operation.
    pub(crate) fn accesses(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>> {
        let any = input.as_any();
        if let Some(i) = any.downcast_ref::<api::GetItemInput>() {
            return Ok(vec![self.to(cx, "dynamodb:GetItem", &i.table_name, None, &[&i.key])?]);
        }
        if let Some(i) = any.downcast_ref::<api::PutItemInput>() {
            return Ok(vec![self.to(cx, "dynamodb:PutItem", &i.table_name, None, &[&i.item])?]);
        }
        if let Some(i) = any.downcast_ref::<api::UpdateItemInput>() {
            return Ok(vec![self.to(cx, "dynamodb:UpdateItem", &i.table_name, None, &[&i.key])?]);
        }
        if let Some(i) = any.downcast_ref::<api::DeleteItemInput>() {
            return Ok(vec![self.to(cx, "dynamodb:DeleteItem", &i.table_name, None, &[&i.key])?]);
        }
        if let Some(i) = any.downcast_ref::<api::QueryInput>() {
            return Ok(vec![self.to(cx, "dynamodb:Query", &i.table_name, i.index_name.as_deref(), &[])?]);
        }
        if let Some(i) = any.downcast_ref::<api::ScanInput>() {
            return Ok(vec![self.to(cx, "dynamodb:Scan", &i.table_name, i.index_name.as_deref(), &[])?]);
        }
        if let Some(i) = any.downcast_ref::<api::BatchGetItemInput>() {
            let one = |(name, keys): (&String, &api::KeysAndAttributes)| {
                self.to(cx, "dynamodb:BatchGetItem", name, None, &keys.keys.iter().collect::<Vec<_>>())
            };
            return i.request_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::BatchWriteItemInput>() {
            let one = |(name, writes): (&String, &Vec<api::WriteRequest>)| {
                let items: Vec<_> = writes
                    .iter()
                    .filter_map(|w| {
                        let put = w.put_request.as_ref().map(|put| &put.item);
                        put.or_else(|| w.delete_request.as_ref().map(|delete| &delete.key))
                    })
                    .collect();
                self.to(cx, "dynamodb:BatchWriteItem", name, None, &items)
            };
            return i.request_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::TransactGetItemsInput>() {
            let one = |item: &api::TransactGetItem| {
                self.to(cx, "dynamodb:GetItem", &item.get.table_name, None, &[&item.get.key])
            };
            return i.transact_items.iter().map(one).collect();
        }
        if let Some(i) = any.downcast_ref::<api::TransactWriteItemsInput>() {
            let mut all = Vec::with_capacity(i.transact_items.len());
            for item in &i.transact_items {
                if let Some(put) = &item.put {
                    all.push(self.to(cx, "dynamodb:PutItem", &put.table_name, None, &[&put.item])?);
                }
                if let Some(update) = &item.update {
                    all.push(self.to(cx, "dynamodb:UpdateItem", &update.table_name, None, &[&update.key])?);
                }
                if let Some(delete) = &item.delete {
                    all.push(self.to(cx, "dynamodb:DeleteItem", &delete.table_name, None, &[&delete.key])?);
                }
                if let Some(check) = &item.condition_check {
                    let action = "dynamodb:ConditionCheckItem";
                    all.push(self.to(cx, action, &check.table_name, None, &[&check.key])?);
                }
            }
            return Ok(all);
        }
        if matches!(op.name, "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction") {
            return self.statement_accesses(cx, input);
        }
        let Some(rule) = op.access.first() else { return Ok(Vec::new()) };
        let named = ["TableName", "ResourceArn", "TableArn", "SourceTableArn"];
        if rule.resource.contains("table/")
            && let Some(name) = named.iter().find_map(|member| text_member(input, member))
        {
            return Ok(vec![self.to(cx, rule.action, &name, None, &[])?]);
        }
        Ok(cloudlet_service::api::default_access(op, cx, input))
    }
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
