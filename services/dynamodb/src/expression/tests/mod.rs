//! Snippets and what AWS makes of them.

mod conditions;
mod keys;
mod legacy;
mod updates;

use super::*;
use crate::value::{Item, Kind, Value, from_api, into_api};
use cloudlet_api_dynamodb::AttributeValue;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A value in a short form: `1` a number, `'a` text, `true`, `null`, `[1 'a]` a list, `{a:1 b:'x}` a map,
/// `<1 2>` and `<'a 'b>` sets, `~abc` bytes.
pub(crate) fn value(text: &str) -> Value {
    let mut rest = text;
    let value = read(&mut rest);
    assert!(rest.trim().is_empty(), "{text}");
    value
}

fn read(rest: &mut &str) -> Value {
    *rest = rest.trim_start();
    let close = |rest: &mut &str, mark: char| {
        *rest = rest.trim_start();
        rest.strip_prefix(mark).map(|after| *rest = after).is_some()
    };
    if close(rest, '[') {
        let mut list = Vec::new();
        while !close(rest, ']') {
            list.push(read(rest));
        }
        return Value::L(list);
    }
    if close(rest, '<') {
        let mut list = Vec::new();
        while !close(rest, '>') {
            list.push(read(rest));
        }
        return match list[0].kind() {
            Kind::S => {
                Value::SS(list.into_iter().map(|v| if let Value::S(v) = v { v } else { panic!() }).collect())
            }
            Kind::N => {
                Value::NS(list.into_iter().map(|v| if let Value::N(v) = v { v } else { panic!() }).collect())
            }
            _ => {
                Value::BS(list.into_iter().map(|v| if let Value::B(v) = v { v } else { panic!() }).collect())
            }
        };
    }
    if close(rest, '{') {
        let mut map = Item::new();
        while !close(rest, '}') {
            let (name, after) = rest.trim_start().split_once(':').unwrap();
            *rest = after;
            map.insert(name.to_owned(), read(rest));
        }
        return Value::M(map);
    }
    let end = rest.find([' ', ']', '}', '>']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    match word.split_at_checked(1) {
        _ if word == "null" => Value::Null,
        _ if word == "true" || word == "false" => Value::Bool(word == "true"),
        Some(("'", text)) => Value::S(text.to_owned()),
        Some(("~", text)) => Value::B(bytes::Bytes::copy_from_slice(text.as_bytes())),
        _ => Value::N(word.parse().unwrap()),
    }
}

pub(crate) fn item(text: &str) -> Item {
    match value(&format!("{{{text}}}")) {
        Value::M(map) => map,
        _ => panic!(),
    }
}

/// Values as a request has them.
fn values_of(text: &str) -> BTreeMap<String, AttributeValue> {
    into_api(item(text)).into_iter().map(|(name, value)| (format!(":{name}"), value)).collect()
}

fn parameters(values: &str) -> Parameters {
    let names = [("#a", "a"), ("#b", "b"), ("#dot", "a.b"), ("#n", "name")];
    let names: BTreeMap<String, String> = names.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let values = values_of(values);
    Parameters::new(Some(&names), (!values.is_empty()).then_some(&values)).unwrap()
}

/// What the values of most snippets are.
const VALUES: &str = "one:1 two:2 ten:10 s:'a t:'b long:'abc bytes:~xyz yes:true no:null list:[1 2] map:{a:1} ss:<'a 'b> ns:<1 2> type:'S odd:'X";

fn condition(text: &str) -> Result<Condition, String> {
    parameters(VALUES).condition(text).map_err(|error| error.message().to_owned())
}

#[test]
fn placeholders_must_be_well_formed_and_used() {
    let names = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
        list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    let new = |n: Option<&[(&str, &str)]>, v: Option<BTreeMap<String, AttributeValue>>| {
        Parameters::new(n.map(names).as_ref(), v.as_ref()).map(|_| ()).unwrap_err().message().to_owned()
    };
    assert_eq!(new(Some(&[]), None), "ExpressionAttributeNames must not be empty");
    assert_eq!(new(None, Some(BTreeMap::new())), "ExpressionAttributeValues must not be empty");
    for key in ["a", "#", "#a.b", "#ä", "# a", ""] {
        assert_eq!(
            new(Some(&[(key, "x")]), None),
            format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\"")
        );
    }
    let values = |key: &str, value: AttributeValue| Some(BTreeMap::from([(key.to_owned(), value)]));
    assert_eq!(
        new(None, values("a", AttributeValue::default())),
        "ExpressionAttributeValues contains invalid key: Syntax error; key: \"a\""
    );
    assert_eq!(
        new(None, values(":a", AttributeValue::default())),
        "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :a"
    );
    let mut parameters = parameters("a:1 b:2");
    parameters.condition("#a = :a AND #b = :a").unwrap();
    assert_eq!(
        parameters.finish().unwrap_err().message(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#dot, #n}"
    );
    let mut parameters = Parameters::new(None, Some(&values_of("a:1 b:2 c:3"))).unwrap();
    parameters.condition("x = :b").unwrap();
    assert_eq!(
        parameters.finish().unwrap_err().message(),
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:a, :c}"
    );
    parameters.update("SET x = :a ADD y :c").unwrap();
    parameters.finish().unwrap();
}

fn update(text: &str) -> Result<Update, String> {
    parameters(VALUES).update(text).map_err(|error| error.message().to_owned())
}

#[test]
fn kinds_of_parameters() {
    let check = |new: &[&str], old: &[&str], names, values| {
        let all = |list: &[&'static str], given: &[&str]| {
            list.iter().map(|n| (*n, given.contains(n))).collect::<Vec<_>>()
        };
        let new = all(&["ProjectionExpression", "FilterExpression", "KeyConditionExpression"], new);
        let old = all(&["AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"], old);
        check_kinds(&new, &old, names, values).map_err(|error| error.message().to_owned())
    };
    assert_eq!(check(&["FilterExpression"], &["KeyConditions"], true, true), Ok(()));
    for (new, old, names, values, message) in [
        (
            &["FilterExpression"][..],
            &["AttributesToGet", "QueryFilter", "KeyConditions"][..],
            false,
            false,
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet, QueryFilter} Expression parameters: {FilterExpression}",
        ),
        (
            &["KeyConditionExpression"],
            &["KeyConditions"],
            false,
            false,
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {KeyConditions} Expression parameters: {KeyConditionExpression}",
        ),
        (&[], &[], true, true, "ExpressionAttributeNames can only be specified when using expressions"),
        (
            &["ProjectionExpression"],
            &[],
            true,
            true,
            "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null and KeyConditionExpression is null",
        ),
    ] {
        assert_eq!(check(new, old, names, values).unwrap_err(), message);
    }
}

#[test]
fn frames() {
    for (value, frames) in [
        (AttributeValue::default(), false),
        (AttributeValue { n: Some("x".into()), ..Default::default() }, false),
        (AttributeValue { n: Some("1e200".into()), ..Default::default() }, false),
        (AttributeValue { ss: Some(vec![]), ..Default::default() }, true),
        (AttributeValue { null: Some(false), ..Default::default() }, true),
    ] {
        let refusal = Value::from_api(&value).unwrap_err();
        let message = refusal.message().to_owned();
        let expected = if frames { format!("1 validation error detected: {message}") } else { message };
        assert_eq!(framed(refusal).message(), expected);
    }
}

/// Texts made of the words of the grammar, so that they get past the first token.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("#a"),
        Just(":one"),
        Just(":list"),
        Just("("),
        Just(")"),
        Just("AND"),
        Just("OR"),
        Just("NOT"),
        Just("="),
        Just("<"),
        Just("IN"),
        Just("BETWEEN"),
        Just(","),
        Just("."),
        Just("["),
        Just("]"),
        Just("0"),
        Just("size"),
        Just("contains"),
        Just("SET"),
        Just("ADD"),
        Just("REMOVE"),
        Just("DELETE"),
        Just("+"),
        Just("-"),
        Just("if_not_exists("),
        Just("list_append("),
        Just("ä"),
        Just("'"),
        Just("_"),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![words(), ".{0,60}"]) {
        let _ = condition(&text);
        let _ = update(&text);
        let _ = parameters("").projection(&text);
        let mut before = item("a:[1 2 {b:1}]");
        if let Ok(condition) = condition(&text) {
            condition.matches(&before);
        }
        if let Ok(update) = update(&text) {
            let _ = update.apply(&mut before);
        }
    }

    #[test]
    fn what_is_read_is_the_same_from_the_cache(text in words()) {
        prop_assert_eq!(condition(&text), condition(&text));
        prop_assert_eq!(update(&text), update(&text));
    }
}

#[test]
fn items_go_through_the_wire() {
    let whole = item("a:1 b:{c:[null true 'x]} s:<'a 'b> y:~q");
    assert_eq!(from_api(&into_api(whole.clone())).unwrap(), whole);
}
