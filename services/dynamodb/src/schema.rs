//! What a table and its indexes may be: key schemas against attribute definitions, projections, throughput.
//! The order of the checks and their words are AWS's. Source: the answers of DynamoDB; Developer Guide, "Quotas".

use crate::errors::{Result, invalid, limit, parameters};
use crate::state::{Index, KeyKind, Keys, OnDemand, Projection, Throughput, View, Warm};
use cloudlet_api_dynamodb as api;
use cloudlet_service::rules::{Violation, Violations};
use std::collections::BTreeSet;

/// AWS: the most local and global indexes of a table, and the most attributes that all of them project by name.
const MOST_LOCALS: usize = 5;
const MOST_GLOBALS: usize = 20;
const MOST_PROJECTED: usize = 100;
/// AWS: the most attributes of either kind in the key of a global index.
const MOST_KEY_PARTS: usize = 4;
const MOST_UNITS: i64 = 1_000_000_000_000;

/// The attribute definitions.
pub(crate) fn attributes(given: &[api::AttributeDefinition]) -> Vec<(String, KeyKind)> {
    let one = |one: &api::AttributeDefinition| {
        Some((one.attribute_name.clone(), KeyKind::parse(&one.attribute_type)?))
    };
    given.iter().filter_map(one).collect()
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn undefined(keys: &[api::KeySchemaElement], defined: &[(String, KeyKind)]) -> bool {
    keys.iter().any(|key| !defined.iter().any(|(name, _)| *name == key.attribute_name))
}

fn not_defined(keys: &[api::KeySchemaElement], defined: &[(String, KeyKind)]) -> cloudlet_service::Error {
    parameters(format_args!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
        list(keys.iter().map(|key| key.attribute_name.as_str())),
        list(defined.iter().map(|(name, _)| name.as_str())),
    ))
}

/// One attribute of each kind at the most, the partition key first.
fn simple_keys(given: &[api::KeySchemaElement]) -> Result<Keys> {
    if let [first, second, ..] = given
        && first.attribute_name == second.attribute_name
    {
        return Err(invalid(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    let Some(first) = given.first().filter(|first| first.key_type == "HASH") else {
        return Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    };
    let mut keys = Keys { hash: vec![first.attribute_name.clone()], range: Vec::new() };
    if let Some(second) = given.get(1) {
        if second.key_type != "RANGE" {
            return Err(invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
        }
        keys.range.push(second.attribute_name.clone());
    }
    Ok(keys)
}

/// The keys of a table and of its local indexes, which are shorter than those that the model lets global indexes have.
///
/// Errors: more than two attributes.
pub(crate) fn check_lengths(
    table: &[api::KeySchemaElement],
    locals: Option<&[api::LocalSecondaryIndex]>,
) -> Result<()> {
    let locals = locals.unwrap_or_default().iter().enumerate().map(|(at, index)| {
        (format!("localSecondaryIndexes.{}.member.keySchema", at + 1), index.key_schema.as_slice())
    });
    let all = std::iter::once(("keySchema".to_owned(), table)).chain(locals);
    let long = all.filter(|(_, keys)| keys.len() > 2).map(|(path, keys)| {
        let shown = keys.iter().map(|key| {
            format!("KeySchemaElement(attributeName={}, keyType={})", key.attribute_name, key.key_type)
        });
        Violation {
            path,
            member: "KeySchema".to_owned(),
            value: Some(format!("[{}]", shown.collect::<Vec<_>>().join(", "))),
            constraint: "Member must have length less than or equal to 2".to_owned(),
            absent: false,
            list: None,
            all: None,
        }
    });
    match long.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        some => Err(invalid(Violations(some).message())),
    }
}

/// The key schema of a table.
pub(crate) fn table_keys(given: &[api::KeySchemaElement], defined: &[(String, KeyKind)]) -> Result<Keys> {
    if defined.len() < given.len() {
        return Err(invalid("Invalid KeySchema: Some index key attribute have no definition"));
    }
    if undefined(given, defined) {
        return Err(match given.len() {
            1 => not_defined(given, defined),
            _ => invalid("Invalid KeySchema: Some index key attribute have no definition"),
        });
    }
    simple_keys(given)
}

/// The key schema of a global index: up to four attributes of each kind, those of the partition first.
pub(crate) fn global_keys(given: &[api::KeySchemaElement], defined: &[(String, KeyKind)]) -> Result<Keys> {
    if undefined(given, defined) {
        return Err(not_defined(given, defined));
    }
    let hashes = given.iter().filter(|key| key.key_type == "HASH").count();
    if given.len() <= 2 && hashes < 2 {
        return simple_keys(given);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = given.iter().find(|key| !seen.insert(key.attribute_name.as_str())) {
        return Err(parameters(format_args!(
            "Duplicate AttributeName in KeySchema: {}",
            twice.attribute_name
        )));
    }
    if given.first().is_none_or(|first| first.key_type != "HASH") {
        return Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    }
    if given.iter().skip(hashes).any(|key| key.key_type == "HASH") {
        return Err(invalid("Invalid KeySchema: All HASH key elements must precede RANGE key elements"));
    }
    if hashes > MOST_KEY_PARTS || given.len() - hashes > MOST_KEY_PARTS {
        return Err(parameters(format_args!(
            "KeySchema of an index can have at most {MOST_KEY_PARTS} HASH and {MOST_KEY_PARTS} RANGE key elements"
        )));
    }
    let names = |kind: &str| {
        given.iter().filter(|key| key.key_type == kind).map(|key| key.attribute_name.clone()).collect()
    };
    Ok(Keys { hash: names("HASH"), range: names("RANGE") })
}

pub(crate) fn projection(given: &api::Projection) -> Result<Projection> {
    let named = given.non_key_attributes.as_deref();
    Ok(match given.projection_type.as_deref() {
        None => return Err(parameters("Unknown ProjectionType: null")),
        Some(kind @ ("ALL" | "KEYS_ONLY")) if named.is_some() => {
            return Err(parameters(format_args!(
                "ProjectionType is {kind}, but NonKeyAttributes is specified"
            )));
        }
        Some("ALL") => Projection::All,
        Some("KEYS_ONLY") => Projection::KeysOnly,
        _ => match named {
            Some(names) => {
                let mut seen = BTreeSet::new();
                if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
                    return Err(parameters(format_args!("Duplicate value in NonKeyAttributes: {twice}")));
                }
                Projection::Include(names.to_vec())
            }
            None => {
                return Err(parameters("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"));
            }
        },
    })
}

/// The local indexes. Their numbers are given when the table is made.
pub(crate) fn locals(
    given: Option<&[api::LocalSecondaryIndex]>,
    table: &Keys,
    defined: &[(String, KeyKind)],
    names: &mut BTreeSet<String>,
) -> Result<Vec<Index>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.is_empty() {
        return Err(parameters("List of LocalSecondaryIndexes is empty"));
    }
    if table.range.is_empty() {
        return Err(parameters(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ));
    }
    let table_hash = table.hash.first().map_or("", String::as_str);
    let mut all = Vec::with_capacity(given.len());
    for one in given {
        if undefined(&one.key_schema, defined) {
            return Err(not_defined(&one.key_schema, defined));
        }
        let keys = simple_keys(&one.key_schema)?;
        if keys.range.is_empty() {
            return Err(parameters(format_args!(
                "Index KeySchema does not have a range key for index: {}",
                one.index_name
            )));
        }
        let hash = keys.hash.first().map_or("", String::as_str);
        if hash != table_hash {
            return Err(parameters(format_args!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {}. index hash \
                 key: {hash}, table hash key: {table_hash}",
                one.index_name
            )));
        }
        let projection = projection(&one.projection)?;
        new_name(&one.index_name, names)?;
        all.push(Index {
            number: 0,
            name: one.index_name.clone(),
            keys,
            projection,
            throughput: Throughput::default(),
            on_demand: None,
            warm: None,
            filling: false,
            insights: None,
        });
    }
    if all.len() > MOST_LOCALS {
        return Err(parameters(format_args!(
            "Number of LocalSecondaryIndexes exceeds per-table limit of {MOST_LOCALS}"
        )));
    }
    Ok(all)
}

fn new_name(name: &str, names: &mut BTreeSet<String>) -> Result<()> {
    if !names.insert(name.to_owned()) {
        return Err(parameters(format_args!("Duplicate index name: {name}")));
    }
    Ok(())
}

/// What a new global index is asked to be, whether with its table or later.
pub(crate) struct NewGlobal<'a> {
    pub name: &'a str,
    pub keys: &'a [api::KeySchemaElement],
    pub projection: &'a api::Projection,
    pub throughput: Option<&'a api::ProvisionedThroughput>,
    pub on_demand: Option<&'a api::OnDemandThroughput>,
    pub warm: Option<&'a api::WarmThroughput>,
}

/// One global index.
pub(crate) fn global(
    one: &NewGlobal<'_>,
    defined: &[(String, KeyKind)],
    pays_per_request: bool,
) -> Result<Index> {
    let keys = global_keys(one.keys, defined)?;
    let projection = projection(one.projection)?;
    match one.throughput {
        Some(_) if pays_per_request => {
            return Err(parameters(format_args!(
                "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
                one.name
            )));
        }
        None if !pays_per_request => {
            return Err(parameters(format_args!(
                "ProvisionedThroughput must be specified for index: {}",
                one.name
            )));
        }
        _ => {}
    }
    let throughput =
        one.throughput.map(|given| throughput(given, Some(one.name))).transpose()?.unwrap_or_default();
    Ok(Index {
        number: 0,
        name: one.name.to_owned(),
        keys,
        projection,
        throughput,
        on_demand: on_demand(one.on_demand, None, pays_per_request)?,
        warm: warm(one.warm)?,
        filling: false,
        insights: None,
    })
}

/// The global indexes of a new table.
pub(crate) fn globals(
    given: Option<&[api::GlobalSecondaryIndex]>,
    defined: &[(String, KeyKind)],
    pays_per_request: bool,
    names: &mut BTreeSet<String>,
) -> Result<Vec<Index>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.is_empty() {
        return Err(parameters("List of GlobalSecondaryIndexes is empty"));
    }
    let mut all = Vec::with_capacity(given.len());
    for one in given {
        let new = NewGlobal {
            name: &one.index_name,
            keys: &one.key_schema,
            projection: &one.projection,
            throughput: one.provisioned_throughput.as_ref(),
            on_demand: one.on_demand_throughput.as_ref(),
            warm: one.warm_throughput.as_ref(),
        };
        let index = global(&new, defined, pays_per_request)?;
        new_name(&one.index_name, names)?;
        all.push(index);
    }
    check_count(all.len())?;
    Ok(all)
}

/// Errors: more global indexes than a table may have.
pub(crate) fn check_count(globals: usize) -> Result<()> {
    if globals > MOST_GLOBALS {
        return Err(parameters(format_args!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {MOST_GLOBALS}"
        )));
    }
    Ok(())
}

/// Every attribute that is defined must be used, and the indexes together may not project too many by name.
pub(crate) fn check_whole(
    defined: &[(String, KeyKind)],
    keys: &Keys,
    locals: &[Index],
    globals: &[Index],
) -> Result<()> {
    let mut used: Vec<&str> = Vec::new();
    let indexes = locals.iter().chain(globals);
    for name in keys.names().chain(indexes.clone().flat_map(|index| index.keys.names())) {
        if !used.contains(&name) {
            used.push(name);
        }
    }
    if used.len() < defined.len() {
        if locals.is_empty() && globals.is_empty() {
            return Err(parameters(
                "Number of attributes in KeySchema does not exactly match number of attributes defined in \
                 AttributeDefinitions",
            ));
        }
        return Err(parameters(format_args!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            list(defined.iter().map(|(name, _)| name.as_str())),
            used.join(", ")
        )));
    }
    check_projected(indexes)
}

/// Errors: more attributes than all indexes together may project by name.
pub(crate) fn check_projected<'i>(indexes: impl Iterator<Item = &'i Index>) -> Result<()> {
    let projected: usize = indexes
        .map(|index| match &index.projection {
            Projection::Include(names) => names.len(),
            _ => 0,
        })
        .sum();
    if projected > MOST_PROJECTED {
        return Err(parameters(format_args!(
            "Total number of NonKeyAttributes projected exceeds the limit: {MOST_PROJECTED}"
        )));
    }
    Ok(())
}

/// Provisioned units, of a table or of an index.
pub(crate) fn throughput(given: &api::ProvisionedThroughput, index: Option<&str>) -> Result<Throughput> {
    for (units, name) in
        [(given.read_capacity_units, "ReadCapacityUnits"), (given.write_capacity_units, "WriteCapacityUnits")]
    {
        if units > MOST_UNITS {
            let of = index.map(|index| format!(" for index {index}")).unwrap_or_default();
            return Err(invalid(format!("Given value {units} for {name} is out of bounds{of}")));
        }
    }
    Ok(Throughput {
        read: given.read_capacity_units,
        write: given.write_capacity_units,
        ..Throughput::default()
    })
}

/// AWS: what a table may be provisioned with, unless support was asked for more.
pub(crate) const TABLE_UNITS: i64 = 40_000;

/// Errors: more than an account may provision for a table or index.
pub(crate) fn check_units(throughput: &Throughput) -> Result<()> {
    if throughput.read > TABLE_UNITS || throughput.write > TABLE_UNITS {
        return Err(limit(
            "Subscriber limit exceeded: Provisioned throughput decreases/increases are limited by the account's \
             table-level maximum. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request \
             higher limits.",
        ));
    }
    Ok(())
}

/// The most request units of a table that pays per request; -1 takes the limit away.
pub(crate) fn on_demand(
    given: Option<&api::OnDemandThroughput>,
    now: Option<OnDemand>,
    pays_per_request: bool,
) -> Result<Option<OnDemand>> {
    let Some(given) = given else { return Ok(now) };
    if !pays_per_request {
        return Err(parameters(
            "OnDemandThroughput can be specified only when BillingMode is PAY_PER_REQUEST",
        ));
    }
    for (units, name) in [
        (given.max_read_request_units, "MaxReadRequestUnits"),
        (given.max_write_request_units, "MaxWriteRequestUnits"),
    ] {
        if units.is_some_and(|units| units < 1 && units != -1) {
            return Err(parameters(format_args!("{name} must be -1 or greater than 0")));
        }
    }
    if given.max_read_request_units.is_none() && given.max_write_request_units.is_none() {
        return Err(parameters(
            "At least one of MaxReadRequestUnits or MaxWriteRequestUnits must be specified in OnDemandThroughput",
        ));
    }
    // What is not spoken of stays as it is.
    let kept = |units: Option<i64>, now: Option<i64>| units.or(now).filter(|units| *units > 0);
    let now = now.unwrap_or_default();
    let both = OnDemand {
        read: kept(given.max_read_request_units, now.read),
        write: kept(given.max_write_request_units, now.write),
    };
    Ok((both != OnDemand::default()).then_some(both))
}

/// What a table that pays per request can take at once, and what a warmed one must be given at the least.
pub(crate) const WARM: Warm = Warm { read: 12_000, write: 4_000 };

/// Errors: less than what `now` has, for a table or index that is there already.
pub(crate) fn warmer(given: Option<&api::WarmThroughput>, now: Option<Warm>) -> Result<Option<Warm>> {
    let Some(new) = warm(given)? else { return Ok(now) };
    let Some(now) = now else { return Ok(Some(new)) };
    let asked = |units: fn(&api::WarmThroughput) -> Option<i64>| given.and_then(units);
    let (read, write) =
        (asked(|given| given.read_units_per_second), asked(|given| given.write_units_per_second));
    for (units, known, name) in
        [(read, now.read, "ReadUnitsPerSecond"), (write, now.write, "WriteUnitsPerSecond")]
    {
        if units.is_some_and(|units| units < known) {
            return Err(parameters(format_args!(
                "Requested {name} for WarmThroughput for table is lower than current WarmThroughput, decreasing \
                 WarmThroughput is not supported"
            )));
        }
    }
    Ok(Some(Warm { read: read.unwrap_or(now.read), write: write.unwrap_or(now.write) }))
}

pub(crate) fn warm(given: Option<&api::WarmThroughput>) -> Result<Option<Warm>> {
    let Some(given) = given else { return Ok(None) };
    if given.read_units_per_second.is_none() && given.write_units_per_second.is_none() {
        return Err(parameters(
            "At least one of ReadUnitsPerSecond or WriteUnitsPerSecond must be specified",
        ));
    }
    for (units, least, name) in [
        (given.read_units_per_second, WARM.read, "ReadUnitsPerSecond"),
        (given.write_units_per_second, WARM.write, "WriteUnitsPerSecond"),
    ] {
        if units.is_some_and(|units| units < least) {
            return Err(parameters(format_args!(
                "Requested {name} for WarmThroughput for table is lower than minimum value of {least}"
            )));
        }
    }
    Ok(Some(Warm {
        read: given.read_units_per_second.unwrap_or(WARM.read),
        write: given.write_units_per_second.unwrap_or(WARM.write),
    }))
}

/// What a stream specification asks for: the view of a stream to have, or none.
pub(crate) fn stream(given: Option<&api::StreamSpecification>) -> Result<Option<View>> {
    let Some(given) = given else { return Ok(None) };
    match (given.stream_enabled, given.stream_view_type.as_deref()) {
        (true, Some(view)) => Ok(View::parse(view)),
        (true, None) => Err(parameters("StreamViewType must be specified when StreamEnabled is true")),
        (false, Some(_)) => Err(parameters("StreamViewType cannot be specified when StreamEnabled is false")),
        (false, None) => Ok(None),
    }
}
