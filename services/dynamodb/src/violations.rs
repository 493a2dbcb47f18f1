//! Broken constraints as DynamoDB reports them: in an order of its own, with its own sets of values, and some of them in
//! other words. Source: the answers of DynamoDB.

use cloudlet_service::rules::{Violation, Violations};
use cloudlet_service::{Error, Operation};

/// AWS: how many are reported.
const MOST: usize = 10;

/// What `apis/dynamodb/overrides.json` demands of a table's name or ARN.
const NAME_OR_ARN: &str = "(arn:.*|[a-zA-Z0-9_.-]{3,255})";
/// What the model demands of an attribute's name.
const LONGEST_NAME: &str = "length less than or equal to 65535";
const NAME: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";

/// The order in which the members of an input are checked.
const ORDER: &[&str] = &[
    "select",
    "indexName",
    "totalSegments",
    "returnConsumedCapacity",
    "queryFilter",
    "attributeDefinitions",
    "requestItems",
    "transactItems",
    "tableName",
    "conditionalOperator",
    "scanFilter",
    "segment",
    "attributesToGet",
    "limit",
    "keyConditions",
    "exclusiveStartKey",
    "billingMode",
    "provisionedThroughput",
    "writeCapacityUnits",
    "readCapacityUnits",
    "item",
    "key",
    "expected",
    "attributeUpdates",
    "keySchema",
    "projection",
    "projectionType",
    "nonKeyAttributes",
    "localSecondaryIndexes",
    "globalSecondaryIndexes",
    "globalSecondaryIndexUpdates",
    "returnValues",
    "returnItemCollectionMetrics",
];

/// Where an operation has an order of its own.
fn own_order(op: &str) -> &'static [&'static str] {
    match op {
        "UpdateItem" => &[
            "returnConsumedCapacity",
            "tableName",
            "returnItemCollectionMetrics",
            "returnValues",
            "key",
            "conditionalOperator",
            "expected",
            "attributeUpdates",
        ],
        "DeleteItem" => &[
            "returnConsumedCapacity",
            "tableName",
            "returnValues",
            "returnItemCollectionMetrics",
            "key",
            "conditionalOperator",
            "expected",
        ],
        "PutItem" => &[
            "returnConsumedCapacity",
            "tableName",
            "item",
            "conditionalOperator",
            "expected",
            "returnValues",
            "returnItemCollectionMetrics",
        ],
        "CreateTable" => &[
            "attributeDefinitions",
            "tableName",
            "billingMode",
            "provisionedThroughput",
            "writeCapacityUnits",
            "readCapacityUnits",
            "indexName",
            "keySchema",
            "projection",
            "projectionType",
            "nonKeyAttributes",
            "localSecondaryIndexes",
            "globalSecondaryIndexes",
            "globalSecondaryIndexUpdates",
        ],
        "UpdateTable" => &[
            "tableName",
            "billingMode",
            "provisionedThroughput",
            "writeCapacityUnits",
            "readCapacityUnits",
            "globalSecondaryIndexUpdates",
            "projection",
            "indexName",
            "keySchema",
        ],
        "BatchWriteItem" => &["returnConsumedCapacity", "returnItemCollectionMetrics", "requestItems"],
        _ => ORDER,
    }
}

fn rank(order: &[&str], path: &str) -> Vec<usize> {
    let mut ranks: Vec<usize> = path
        .split('.')
        .map(|part| match part.parse::<usize>() {
            Ok(index) => index,
            Err(_) => order.iter().position(|name| *name == part).unwrap_or(order.len()),
        })
        .collect();
    // The throughput of an index comes after all else of it.
    if ranks.len() > 3 && path.contains(".provisionedThroughput") {
        ranks[3] = order.len();
    }
    ranks
}

/// Which constraint of one member comes first.
fn weight(violation: &Violation) -> usize {
    let constraint = &violation.constraint;
    let names_table = violation.path == "tableName" || violation.path.ends_with(".tableName");
    match (constraint.contains("regular expression"), constraint.contains("length")) {
        (true, _) => usize::from(names_table) * 2,
        (_, true) => 1,
        _ => 3,
    }
}

pub(crate) fn error(op: &'static Operation, violations: Violations) -> Error {
    if let Some(error) = own_words(op, &violations.0) {
        return error;
    }
    let mut all: Vec<Violation> =
        violations.0.into_iter().flat_map(|violation| reword(op, violation)).collect();
    let order = own_order(op.name);
    // The sort is stable: what has no rank stays in the model's order.
    all.sort_by_cached_key(|violation| (rank(order, &violation.path), weight(violation)));
    all.dedup();
    all.truncate(MOST);
    Error::validation(Violations(all).message())
}

/// Calls on tables look at the name first, and tagging at the ARN. The names of attributes are nobody's parameters.
fn own_words(op: &'static Operation, violations: &[Violation]) -> Option<Error> {
    if violations.iter().any(|violation| violation.constraint.contains(LONGEST_NAME)) {
        return Some(Error::validation("Attribute name is too large, must be less than 65536 bytes"));
    }
    match op.name {
        "CreateTable" | "DescribeTable" | "DeleteTable" | "UpdateTable" | "DescribeTimeToLive"
        | "UpdateTimeToLive" => {
            let name = violations.iter().find(|violation| violation.path == "tableName")?;
            if name.absent {
                let message = "The parameter 'TableName' is required but was not present in the request";
                return Some(Error::validation(message));
            }
            let length = name.value.as_deref().map_or(0, |value| value.chars().count());
            (!(3..=255).contains(&length)).then(|| {
                Error::validation(
                    "TableName must be at least 3 characters long and at most 255 characters long",
                )
            })
        }
        "TagResource" | "UntagResource" | "ListTagsOfResource" => {
            let arn = violations.iter().find(|violation| violation.path == "resourceArn")?;
            arn.absent.then(|| Error::validation("Invalid TableArn"))
        }
        _ => None,
    }
}

/// A violation in DynamoDB's words; sometimes two.
fn reword(op: &'static Operation, mut violation: Violation) -> Vec<Violation> {
    let batch = op.name.starts_with("Batch") && violation.path.starts_with("requestItems");
    if let Some(inner) = violation.constraint.strip_prefix("Map keys must satisfy constraint: [") {
        let inner = inner.strip_suffix(']').unwrap_or(inner).to_owned();
        if inner.contains(NAME_OR_ARN) || (batch && violation.path == "requestItems") {
            violation.value = violation.value.map(|name| format!("{{{name}=[...]}}"));
            violation.constraint = format!(
                "Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have \
                 length greater than or equal to 3, {NAME}]"
            );
            return vec![violation];
        }
        let parts = violation.path.split('.').count();
        if batch && op.name == "BatchWriteItem" && parts <= 3 && inner.contains("length") {
            let table = violation.path.split('.').nth(1).unwrap_or_default();
            let writes = if inner.contains("greater than") { "" } else { "..." };
            violation.value = Some(format!("{{{table}=[{writes}]}}"));
            violation.path = "requestItems".to_owned();
            violation.constraint =
                "Map value must satisfy constraint: [Member must have length less than or equal to 25, \
                                    Member must have length greater than or equal to 1]"
                    .to_owned();
            return vec![violation];
        }
        violation.constraint = inner;
    }
    if violation.constraint.contains(NAME_OR_ARN) {
        return name_violations(violation);
    }
    // An empty collection is shown as it is.
    if violation.value.as_deref() == Some("[...]")
        && violation.constraint.contains("greater than or equal to 1")
    {
        let map = batch && violation.path == "requestItems";
        violation.value = Some(if map { "{}" } else { "[]" }.to_owned());
    }
    vec![violation]
}

/// What is wrong with a table's name that is no ARN.
fn name_violations(violation: Violation) -> Vec<Violation> {
    let name = violation.value.clone().unwrap_or_default();
    let length = name.chars().count();
    let mut all = Vec::new();
    let with = |constraint: &str| Violation { constraint: constraint.to_owned(), ..violation.clone() };
    match length {
        // The length of at least one that the model demands is reported by itself.
        0 => return all,
        1 | 2 => all.push(with("Member must have length greater than or equal to 3")),
        3..=255 => {}
        _ => all.push(with("Member must have length less than or equal to 255")),
    }
    if !crate::names::is_name(&name) {
        all.push(with(NAME));
    }
    all
}
