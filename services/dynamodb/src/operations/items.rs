//! One item: put, got, changed, deleted.

use crate::capacity::{self, Units};
use crate::change::Cost;
use crate::convert::{item_in, item_out};
use crate::errors::{Result, invalid, stored};
use crate::expression::framed;
use crate::request::{self, Conditional, Wanted};
use crate::state::Stored;
use crate::value::{Item, size};
use crate::write::{Action, Write, check_size};
use crate::{DynamoDb, keys};
use cloudlet_api_dynamodb::*;

const PUT_VALUES: &str = "ReturnValues can only be ALL_OLD or NONE";

fn shows_item(asked: Option<&str>) -> bool {
    asked == Some("ALL_OLD")
}

impl DynamoDb {
    /// Puts an item, in the place of one with the same key.
    ///
    /// Errors: `ConditionalCheckFailedException`, `ResourceNotFoundException`, `ValidationException`.
    pub async fn put_item(&self, cx: &Context, input: PutItemInput) -> Result<PutItemOutput> {
        let of = Conditional {
            expression: input.condition_expression.as_deref(),
            names: &input.expression_attribute_names,
            values: &input.expression_attribute_values,
            expected: input.expected.as_ref(),
            operator: input.conditional_operator.as_deref(),
        };
        let returns = input.return_values.as_deref().unwrap_or("NONE");
        let read = || {
            of.check(None)?;
            let item = item_in(&input.item)?;
            if !matches!(returns, "NONE" | "ALL_OLD") {
                return Err(invalid(PUT_VALUES));
            }
            Ok(item)
        };
        let item = read().map_err(framed)?;
        check_size(&item)?;
        let condition = request::condition(&of, true).map_err(framed)?;
        let held = self.hold(cx, &input.table_name).await?;
        let shows = shows_item(input.return_values_on_condition_check_failure.as_deref());
        let write = Write::new(held.table.clone(), None, Action::Put(Stored(item)), condition, shows)?;
        let done = self.write_one(cx, &write).await?;
        Ok(PutItemOutput {
            attributes: done.old.filter(|_| returns == "ALL_OLD").map(item_out),
            consumed_capacity: capacity::consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &done.cost,
                Units::Plain,
            ),
            item_collection_metrics: self.metrics(&write, input.return_item_collection_metrics.as_deref())?,
            ..Default::default()
        })
    }

    pub(crate) fn metrics(
        &self,
        write: &Write,
        asked: Option<&str>,
    ) -> Result<Option<ItemCollectionMetrics>> {
        if asked != Some("SIZE") {
            return Ok(None);
        }
        self.collection(&write.table, &write.key_item)
    }

    /// Reads an item.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn get_item(&self, cx: &Context, input: GetItemInput) -> Result<GetItemOutput> {
        let wanted = Wanted {
            expression: input.projection_expression.as_deref(),
            names: &input.expression_attribute_names,
            attributes: input.attributes_to_get.as_deref(),
        };
        wanted.check()?;
        let key = item_in(&input.key)?;
        let projection = wanted.read()?;
        let table = self.table(cx, &input.table_name)?;
        let at = keys::given(&table, &key)?;
        if let Some(projection) = &projection {
            keys::check_paths(&table, projection.paths())?;
        }
        self.admit_read(&table, None)?;
        let found = self.store.table::<Stored>().get(&at).map_err(stored)?;
        let bytes = found.as_ref().map_or(0, |item| size::item(&item.0));
        let item = found.map(|item| match &projection {
            Some(projection) => projection.project(&item.0),
            None => item.0,
        });
        let cost = Cost::of_read(bytes, capacity::read(input.consistent_read));
        self.spend_read(&table, &cost);
        Ok(GetItemOutput {
            item: item.map(item_out),
            consumed_capacity: capacity::consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &cost,
                Units::Plain,
            ),
            ..Default::default()
        })
    }

    /// Deletes an item. There need not be one.
    ///
    /// Errors: `ConditionalCheckFailedException`, `ResourceNotFoundException`, `ValidationException`.
    pub async fn delete_item(&self, cx: &Context, input: DeleteItemInput) -> Result<DeleteItemOutput> {
        let of = Conditional {
            expression: input.condition_expression.as_deref(),
            names: &input.expression_attribute_names,
            values: &input.expression_attribute_values,
            expected: input.expected.as_ref(),
            operator: input.conditional_operator.as_deref(),
        };
        of.check(None)?;
        let key = item_in(&input.key)?;
        let returns = input.return_values.as_deref().unwrap_or("NONE");
        if !matches!(returns, "NONE" | "ALL_OLD") {
            return Err(invalid(PUT_VALUES));
        }
        let condition = request::condition(&of, false)?;
        let held = self.hold(cx, &input.table_name).await?;
        let shows = shows_item(input.return_values_on_condition_check_failure.as_deref());
        let write = Write::new(held.table.clone(), Some(key), Action::Delete, condition, shows)?;
        let done = self.write_one(cx, &write).await?;
        Ok(DeleteItemOutput {
            attributes: done.old.filter(|_| returns == "ALL_OLD").map(item_out),
            consumed_capacity: capacity::consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &done.cost,
                Units::Plain,
            ),
            item_collection_metrics: self.metrics(&write, input.return_item_collection_metrics.as_deref())?,
            ..Default::default()
        })
    }

    /// Changes an item, or makes it.
    ///
    /// Errors: `ConditionalCheckFailedException`, `ResourceNotFoundException`, `ValidationException`.
    pub async fn update_item(&self, cx: &Context, input: UpdateItemInput) -> Result<UpdateItemOutput> {
        let of = Conditional {
            expression: input.condition_expression.as_deref(),
            names: &input.expression_attribute_names,
            values: &input.expression_attribute_values,
            expected: input.expected.as_ref(),
            operator: input.conditional_operator.as_deref(),
        };
        let read = || {
            of.check(Some((input.update_expression.is_some(), input.attribute_updates.is_some())))?;
            let key = item_in(&input.key)?;
            let (update, condition) = request::update(
                input.update_expression.as_deref(),
                input.attribute_updates.as_ref(),
                &of,
                true,
            )?;
            Ok((key, update, condition))
        };
        let (key, update, condition) = read().map_err(framed)?;
        let held = self.hold(cx, &input.table_name).await?;
        let shows = shows_item(input.return_values_on_condition_check_failure.as_deref());
        let makes_nothing = input.attribute_updates.as_ref().is_some_and(|all| {
            !all.is_empty() && all.values().all(|u| u.action.as_deref() == Some("DELETE"))
        });
        let action = Action::Update { update, makes_nothing };
        let write = Write::new(held.table.clone(), Some(key), action, condition, shows)?;
        let done = self.write_one(cx, &write).await?;
        let updated = |item: Option<Item>| {
            let Action::Update { update, .. } = &write.action else { return None };
            item.map(|item| update.updated(&item)).filter(|item| !item.is_empty())
        };
        let attributes = match input.return_values.as_deref() {
            Some("ALL_OLD") => done.old,
            Some("ALL_NEW") => done.new,
            Some("UPDATED_OLD") => updated(done.old),
            Some("UPDATED_NEW") => updated(done.new),
            _ => None,
        };
        Ok(UpdateItemOutput {
            attributes: attributes.map(item_out),
            consumed_capacity: capacity::consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &done.cost,
                Units::Plain,
            ),
            item_collection_metrics: self.metrics(&write, input.return_item_collection_metrics.as_deref())?,
            ..Default::default()
        })
    }
}
