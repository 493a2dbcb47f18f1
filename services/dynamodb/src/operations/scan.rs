//! Scans: all items of a table or an index, in the order of the hashes of their partition keys, whole or by segments.

use crate::errors::{Result, invalid};
use crate::expression;
use crate::reading::{Page, Source, consumed, items_out, start_values};
use crate::request::{Search, Sought};
use crate::{DynamoDb, capacity, keys};
use cloudlet_api_dynamodb::*;

/// Which part of the whole is meant. Errors: a segment without a total, or beyond it.
fn segment(input: &ScanInput) -> Result<Option<(u32, u32)>> {
    match (input.segment, input.total_segments) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(invalid(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not \
             less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => Ok(u32::try_from(segment).ok().zip(u32::try_from(total).ok())),
    }
}

impl DynamoDb {
    /// Reads all items, or those of a segment.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn scan(&self, cx: &Context, input: ScanInput) -> Result<ScanOutput> {
        expression::check_kinds(
            &[
                ("ProjectionExpression", input.projection_expression.is_some()),
                ("FilterExpression", input.filter_expression.is_some()),
            ],
            &[
                ("AttributesToGet", input.attributes_to_get.is_some()),
                ("ScanFilter", input.scan_filter.is_some()),
                ("ConditionalOperator", input.conditional_operator.is_some()),
            ],
            input.expression_attribute_names.is_some(),
            input.expression_attribute_values.is_some(),
        )?;
        let search = Search {
            names: &input.expression_attribute_names,
            values: &input.expression_attribute_values,
            filter: input.filter_expression.as_deref(),
            older: input.scan_filter.as_ref(),
            operator: input.conditional_operator.as_deref(),
            projection: input.projection_expression.as_deref(),
            attributes: input.attributes_to_get.as_deref(),
            select: input.select.as_deref(),
            index: input.index_name.is_some(),
            is_query: false,
        };
        let early = || Ok((start_values(input.exclusive_start_key.as_ref())?, segment(&input)?));
        let Sought { early: (start, segment), filter, wanted, .. } = search.read(early, |_| Ok(()))?;
        let table = self.table(cx, &input.table_name)?;
        let consistent = input.consistent_read == Some(true);
        let source = Source::of(&table, input.index_name.as_deref(), consistent, input.select.as_deref())?;
        if let Some(wanted) = &wanted {
            keys::check_paths(&table, wanted.paths())?;
            source.check_wanted(wanted)?;
        }
        if let Some(filter) = &filter {
            keys::check_paths(&table, filter.paths())?;
        }
        let mut range = match segment {
            Some((segment, total)) => keys::segment(source.number(), segment, total),
            None => keys::space(source.number()),
        };
        if let Some(start) = &start {
            let key = source.start(start, false)?;
            if let Some((segment, total)) = segment
                && keys::segment_of(&key, total) != segment
            {
                return Err(invalid(format!(
                    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with \
                     correct Segment. TotalSegments: {total} Segment: {segment}"
                )));
            }
            range = range.after(&key);
        }
        let found = self.page(&Page {
            source,
            range,
            reverse: false,
            limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
            select: input.select.as_deref(),
            wanted: wanted.as_ref(),
            filter: filter.as_ref(),
            read: capacity::read(input.consistent_read),
        })?;
        Ok(ScanOutput {
            items: items_out(found.items, input.select.as_deref()),
            count: i32::try_from(found.count).ok(),
            scanned_count: i32::try_from(found.scanned).ok(),
            last_evaluated_key: found.last.map(crate::convert::item_out),
            consumed_capacity: consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &found.cost,
            ),
            ..Default::default()
        })
    }
}
