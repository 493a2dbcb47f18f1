//! The older parameters.

use super::*;
use crate::expression::legacy::*;
use cloudlet_api_dynamodb as api;

fn condition(operator: &str, values: &[&str]) -> api::Condition {
    api::Condition {
        comparison_operator: operator.to_owned(),
        attribute_value_list: Some(values.iter().map(|v| value(v).into_api()).collect()),
        ..Default::default()
    }
}

fn one(name: &str, condition: api::Condition) -> BTreeMap<String, api::Condition> {
    BTreeMap::from([(name.to_owned(), condition)])
}

#[test]
fn filters_match_as_they_did() {
    let item = item("n:5 s:'abc ss:<'a 'b> l:[1]");
    for (name, operator, values, expected) in [
        ("n", "EQ", &["5"][..], true),
        ("n", "NE", &["5"], false),
        ("nope", "NE", &["5"], true),
        ("nope", "EQ", &["5"], false),
        ("n", "LT", &["6"], true),
        ("n", "GE", &["6"], false),
        ("n", "LE", &["'x"], false),
        ("s", "BEGINS_WITH", &["'ab"], true),
        ("s", "CONTAINS", &["'bc"], true),
        ("ss", "CONTAINS", &["'b"], true),
        ("ss", "NOT_CONTAINS", &["'b"], false),
        ("s", "NOT_CONTAINS", &["'x"], true),
        ("nope", "NOT_CONTAINS", &["'x"], false),
        ("n", "NOT_CONTAINS", &["'x"], false),
        ("n", "BETWEEN", &["1", "5"], true),
        ("n", "IN", &["1", "2"], false),
        ("s", "IN", &["'x", "'abc"], true),
        ("nope", "NULL", &[], true),
        ("s", "NOT_NULL", &[], true),
        ("ss", "EQ", &["<'b 'a>"], true),
        ("l", "EQ", &["[1]"], true),
    ] {
        let read = filter(&one(name, condition(operator, values)), None).unwrap();
        assert_eq!(read.matches(&item), expected, "{name} {operator} {values:?}");
    }
    let two = BTreeMap::from([
        ("n".to_owned(), condition("EQ", &["5"])),
        ("s".to_owned(), condition("EQ", &["'x"])),
    ]);
    assert!(!filter(&two, None).unwrap().matches(&item));
    assert!(filter(&two, Some("OR")).unwrap().matches(&item));
}

#[test]
fn conditions_that_are_refused() {
    for (operator, values, message) in [
        ("EQ", &[][..], "Invalid number of argument(s) for the EQ ComparisonOperator"),
        ("NULL", &["1"], "Invalid number of argument(s) for the NULL ComparisonOperator"),
        ("BETWEEN", &["1"], "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
        ("IN", &[], "Invalid number of argument(s) for the IN ComparisonOperator"),
        ("BETWEEN", &["1", "'a"], "AttributeValues inside AttributeValueList must be of same type"),
        ("LT", &["true"], "ComparisonOperator LT is not valid for BOOL AttributeValue type"),
        ("BEGINS_WITH", &["1"], "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
        ("CONTAINS", &["<'a>"], "ComparisonOperator CONTAINS is not valid for SS AttributeValue type"),
    ] {
        let error = filter(&one("a", condition(operator, values)), None).unwrap_err();
        assert_eq!(error.message(), format!("One or more parameter values were invalid: {message}"));
    }
    assert_eq!(
        filter(&one("a", condition("BETWEEN", &["2", "1"])), None).unwrap_err().message(),
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    );
    assert!(check_conditional_operator(Some("OR"), None).unwrap_err().message().contains("without Filter"));
    assert!(check_conditional_operator(Some("OR"), Some(1)).unwrap_err().message().contains("two or more"));
    assert!(check_conditional_operator(Some("OR"), Some(2)).is_ok());
}

#[test]
fn expectations() {
    let of = |e: api::ExpectedAttributeValue| {
        expected(&BTreeMap::from([("a".to_owned(), e)]), None).map_err(|error| error.message().to_owned())
    };
    let v = || Some(value("1").into_api());
    let plain = api::ExpectedAttributeValue::default;
    assert!(of(api::ExpectedAttributeValue { value: v(), ..plain() }).unwrap().matches(&item("a:1")));
    assert!(
        of(api::ExpectedAttributeValue { exists: Some(false), ..plain() }).unwrap().matches(&item("b:1"))
    );
    let lt = api::ExpectedAttributeValue { value: v(), comparison_operator: Some("LT".into()), ..plain() };
    assert!(of(lt).unwrap().matches(&item("a:0")));
    for (expectation, message) in [
        (plain(), "Value must be provided when Exists is null for Attribute: a"),
        (
            api::ExpectedAttributeValue { exists: Some(true), ..plain() },
            "Value must be provided when Exists is true for Attribute: a",
        ),
        (
            api::ExpectedAttributeValue { exists: Some(false), value: v(), ..plain() },
            "Value cannot be used when Exists is false for Attribute: a",
        ),
        (
            api::ExpectedAttributeValue { attribute_value_list: Some(vec![]), value: v(), ..plain() },
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            api::ExpectedAttributeValue { attribute_value_list: Some(vec![]), ..plain() },
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        (
            api::ExpectedAttributeValue {
                comparison_operator: Some("EQ".into()),
                exists: Some(true),
                ..plain()
            },
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            api::ExpectedAttributeValue { comparison_operator: Some("EQ".into()), ..plain() },
            "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
    ] {
        assert_eq!(
            of(expectation).unwrap_err(),
            format!("One or more parameter values were invalid: {message}")
        );
    }
}

#[test]
fn updates_change_items() {
    let update = |action: Option<&str>, v: Option<&str>| api::AttributeValueUpdate {
        action: action.map(str::to_owned),
        value: v.map(|v| value(v).into_api()),
        ..Default::default()
    };
    for (before, change, after) in [
        ("a:1", update(None, Some("'x")), Ok("a:'x")),
        ("a:1", update(Some("ADD"), Some("2")), Ok("a:3")),
        ("", update(Some("ADD"), Some("2")), Ok("a:2")),
        ("a:[1]", update(Some("ADD"), Some("[2]")), Ok("a:[1 2]")),
        ("a:<1>", update(Some("ADD"), Some("<2>")), Ok("a:<1 2>")),
        ("a:<1 2>", update(Some("DELETE"), Some("<2>")), Ok("a:<1>")),
        ("a:<1>", update(Some("DELETE"), Some("<1>")), Ok("")),
        ("a:1", update(Some("DELETE"), None), Ok("")),
        ("a:'x", update(Some("ADD"), Some("2")), Err("Type mismatch for attribute to update")),
        ("a:<'x>", update(Some("DELETE"), Some("<1>")), Err("Type mismatch for attribute to update")),
        (
            "",
            update(None, None),
            Err(
                "One or more parameter values were invalid: Only DELETE action is allowed when no attribute value is specified",
            ),
        ),
        (
            "",
            update(Some("DELETE"), Some("1")),
            Err(
                "One or more parameter values were invalid: DELETE action with value is not supported for the type N",
            ),
        ),
        (
            "",
            update(Some("ADD"), Some("'a")),
            Err("One or more parameter values were invalid: ADD action is not supported for the type S"),
        ),
    ] {
        let mut changed = item(before);
        let result = updates(&BTreeMap::from([("a".to_owned(), change)])).and_then(|u| u.apply(&mut changed));
        match after {
            Ok(after) => {
                result.unwrap();
                assert_eq!(changed, item(after));
            }
            Err(message) => assert_eq!(result.unwrap_err().message(), message),
        }
    }
}

#[test]
fn attributes_once() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        attributes_to_get(&names(&["a", "b", "a"])).unwrap_err().message(),
        "One or more parameter values were invalid: Duplicate value in attribute name: a"
    );
    // A dot is part of the name here.
    let read = attributes_to_get(&names(&["a", "b.c"])).unwrap();
    assert_eq!(read.project(&item("a:1 b:{c:1} b.c:2")), item("a:1 b.c:2"));
}
