//! Broken constraints as DynamoDB reports them: in an order of its own, with its own sets of values.
//! Source: the answers of DynamoDB.

use cloudlet_service::rules::{Violation, Violations};
use cloudlet_service::{Error, Operation};

/// AWS: how many are reported.
const MOST: usize = 10;

/// The values of enumerations in the order in which DynamoDB lists them.
const VALUES: &[&str] = &[
    "INDEXES, TOTAL, NONE",
    "SIZE, NONE",
    "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW",
    "OR, AND",
    "IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS",
    "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES",
    "B, N, S",
    "HASH, RANGE",
    "ALL, INCLUDE, KEYS_ONLY",
    "ALL_OLD, NONE",
    "PROVISIONED, PAY_PER_REQUEST",
    "STANDARD, STANDARD_INFREQUENT_ACCESS",
    "ADD, DELETE, PUT",
    "NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY",
];

/// The order in which the members of an input are checked.
const ORDER: &[&str] = &[
    "limit",
    "totalSegments",
    "exclusiveStartKey",
    "keyConditions",
    "returnConsumedCapacity",
    "attributesToGet",
    "attributeDefinitions",
    "requestItems",
    "transactItems",
    "tableName",
    "billingMode",
    "provisionedThroughput",
    "writeCapacityUnits",
    "readCapacityUnits",
    "item",
    "conditionalOperator",
    "expected",
    "returnValues",
    "key",
    "attributeUpdates",
    "keySchema",
    "projection",
    "projectionType",
    "nonKeyAttributes",
    "select",
    "consistentRead",
    "indexName",
    "localSecondaryIndexes",
    "globalSecondaryIndexes",
    "globalSecondaryIndexUpdates",
    "returnItemCollectionMetrics",
];

fn rank(path: &str) -> Vec<usize> {
    let rank = |part: &str| match part.parse::<usize>() {
        Ok(index) => index,
        Err(_) => ORDER.iter().position(|name| *name == part).unwrap_or(ORDER.len()),
    };
    path.split('.').map(rank).collect()
}

/// Which constraint of one member comes first.
fn weight(violation: &Violation) -> usize {
    let constraint = &violation.constraint;
    if constraint.contains("regular expression") {
        0
    } else if constraint.contains("length") {
        1
    } else {
        2
    }
}

pub(crate) fn error(op: &'static Operation, violations: Violations) -> Error {
    let mut all = violations.0;
    // The sort is stable: what has no rank stays in the model's order.
    all.sort_by_cached_key(|violation| (rank(&violation.path), weight(violation)));
    for violation in &mut all {
        reword(op, violation);
    }
    all.truncate(MOST);
    Error::validation(Violations(all).message())
}

fn reword(op: &'static Operation, violation: &mut Violation) {
    if let Some((before, set)) = violation.constraint.split_once("Member must satisfy enum value set: [") {
        let set = set.trim_end_matches(']');
        let mut names: Vec<&str> = set.split(", ").collect();
        names.sort_unstable();
        let known = VALUES.iter().find(|known| {
            let mut sorted: Vec<&str> = known.split(", ").collect();
            sorted.sort_unstable();
            sorted == names
        });
        if let Some(known) = known {
            violation.constraint = format!("{before}Member must satisfy enum value set: [{known}]");
        }
    }
    // An empty collection is shown as it is.
    if violation.value.as_deref() == Some("[...]")
        && violation.constraint.contains("greater than or equal to 1")
    {
        let map = op.name.starts_with("Batch") && violation.path == "requestItems";
        violation.value = Some(if map { "{}" } else { "[]" }.to_owned());
    }
}
