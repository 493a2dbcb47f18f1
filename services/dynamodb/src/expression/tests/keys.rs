//! Key conditions.

use super::*;

#[test]
fn key_conditions() {
    let key = |text: &str| parameters(VALUES).key_condition(text).map_err(|error| error.message().to_owned());
    let schema = KeySchema { hash: &[("pk", Kind::S)], range: &[("sk", Kind::N)] };
    let query = |text: &str| {
        key(text).and_then(|key| key.resolve(schema).map_err(|error| error.message().to_owned()))
    };
    let compare = |comparator, v: &str| Some(KeyPredicate::Compare(comparator, value(v)));
    for (text, range, last) in [
        ("pk = :s", vec![], None),
        ("pk = :s AND sk = :one", vec![value("1")], None),
        ("sk = :one AND :s = pk", vec![value("1")], None),
        ("(pk = :s) and (sk < :one)", vec![], compare(Comparator::Less, "1")),
        ("pk = :s AND :one >= sk", vec![], compare(Comparator::LessEqual, "1")),
        ("pk = :s AND sk BETWEEN :one AND :two", vec![], Some(KeyPredicate::Between(value("1"), value("2")))),
    ] {
        assert_eq!(query(text), Ok(KeyQuery { hash: vec![value("'a")], range, last }), "{text}");
    }
    for (text, message) in [
        (
            "pk = :s OR sk = :one",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR",
        ),
        (
            "NOT pk = :s",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: NOT",
        ),
        ("pk IN (:s)", "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: IN"),
        ("pk <> :s", "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>"),
        (
            "pk = :s AND contains(sk, :s)",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: contains",
        ),
        (
            "attribute_exists(pk)",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: attribute_exists",
        ),
        (
            "pk = :s AND size(sk) = :one",
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot contain nested operations",
        ),
        (
            "pk = :s AND :one BETWEEN sk AND :two",
            "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
        ),
        (
            "begins_with(:s, pk)",
            "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
        ),
        (
            "pk = sk",
            "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (
            "pk.a = :s",
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        (
            ":s = :s",
            "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: No key attribute specified",
        ),
        (
            "pk = :s AND pk = :t",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        ("sk = :one", "Query condition missed key schema element: pk"),
        ("pk = :s AND odd = :one", "Query condition missed key schema element: sk"),
        ("odd = :s AND sk = :one", "Query condition missed key schema element: pk"),
        ("pk = :s AND sk = :one AND odd = :one", "Conditions can be of length 1 or 2 only"),
        ("pk < :s", "Query key condition not supported"),
        (
            "pk = :one",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = :s AND begins_with(sk, :s)",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        ("", "Invalid KeyConditionExpression: The expression can not be empty;"),
        ("pk = :s AND", "Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \"AND\""),
    ] {
        assert_eq!(query(text).unwrap_err(), message, "{text}");
    }
    let hash_only = KeySchema { hash: &[("pk", Kind::S)], range: &[] };
    assert_eq!(
        key("pk = :s AND sk = :one").unwrap().resolve(hash_only).unwrap_err().message(),
        "Query key condition not supported"
    );
    let empty = Parameters::new(None, Some(&values_of("e:'"))).unwrap().key_condition("pk = :e").unwrap();
    assert_eq!(
        empty.resolve(hash_only).unwrap_err().message(),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    );
    // Several attributes in each part of the key, as global secondary indexes may have.
    let wide = KeySchema {
        hash: &[("h1", Kind::S), ("h2", Kind::N)],
        range: &[("r1", Kind::S), ("r2", Kind::N), ("r3", Kind::S)],
    };
    let wide = |text: &str| key(text).unwrap().resolve(wide).map_err(|error| error.message().to_owned());
    let found = wide("h1 = :s AND h2 = :one AND r1 = :t AND r2 > :two").unwrap();
    assert_eq!(
        (found.hash, found.range, found.last),
        (vec![value("'a"), value("1")], vec![value("'b")], compare(Comparator::Greater, "2"))
    );
    for (text, message) in [
        ("h1 = :s", "Query condition missed key schema element: h2"),
        ("h1 = :s AND h2 = :one AND r2 = :two", "Query condition missed key schema element: r1"),
        ("h1 = :s AND h2 > :one", "Query key condition not supported"),
        ("h1 = :s AND h2 = :one AND r1 > :t AND r2 = :two", "Query key condition not supported"),
    ] {
        assert_eq!(wide(text).unwrap_err(), message, "{text}");
    }
}
