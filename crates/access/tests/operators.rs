//! Truth tables of the condition operators. Each row: operator, the policy's values, the request's values (`-`
//! for a key the request lacks), whether the statement then applies.

// Helpers of tests may panic as tests may.
#![allow(clippy::panic, clippy::unwrap_used)]

use cloudlet_access::{
    Attached, ConditionContext, Policy, PolicyKind, PolicySet, PrincipalRef, Request, evaluate,
};

fn list(values: &str) -> Vec<String> {
    values.split('|').map(str::to_owned).collect()
}

fn holds(operator: &str, wanted: &str, found: &str) -> bool {
    let values = list(wanted).iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"{operator}":{{"Test:Key":[{values}]}}}}}}}}"#
    );
    let policy = Policy::parse(&text, PolicyKind::Identity).unwrap_or_else(|error| panic!("{text}: {error}"));
    let caller = PrincipalRef::user("111122223333", "/", "bob", "AIDAEXAMPLE");
    let mut context = ConditionContext::for_principal(&caller);
    context.set("many:values", "a").set_all("many:values", ["a", "b"]);
    if found != "-" {
        context.set_all("test:key", list(found));
    }
    let attached = [Attached::new(&policy, "p")];
    evaluate(&Request::new("a:B", "*", &caller, &context), &PolicySet::identity(&attached)).allowed
}

fn table(rows: &[(&str, &str, &str, bool)]) {
    for (operator, wanted, found, expected) in rows {
        assert_eq!(holds(operator, wanted, found), *expected, "{operator} {wanted} against {found}");
    }
}

#[test]
fn strings() {
    table(&[
        ("StringEquals", "a", "a", true),
        ("StringEquals", "a", "A", false),
        ("StringEquals", "a|b", "b", true),
        ("StringEquals", "a*", "ab", false),
        ("StringEquals", "a*", "a*", true),
        ("StringEquals", "", "", true),
        ("StringEquals", "a", "-", false),
        ("StringEqualsIfExists", "a", "-", true),
        ("StringEqualsIfExists", "a", "b", false),
        ("StringNotEquals", "a", "a", false),
        ("StringNotEquals", "a|b", "b", false),
        ("StringNotEquals", "a|b", "c", true),
        ("StringNotEquals", "a", "-", true),
        ("StringNotEqualsIfExists", "a", "-", true),
        ("StringEqualsIgnoreCase", "AbÉ", "aBé", true),
        ("StringEqualsIgnoreCase", "a", "b", false),
        ("StringNotEqualsIgnoreCase", "A", "a", false),
        ("StringNotEqualsIgnoreCase", "A", "b", true),
        ("StringLike", "a*c", "abbbc", true),
        ("StringLike", "a?c", "abc", true),
        ("StringLike", "a?c", "ac", false),
        ("StringLike", "A*", "ab", false),
        ("StringLike", "*", "", true),
        ("StringLike", "*", "-", false),
        ("StringNotLike", "a*", "ab", false),
        ("StringNotLike", "a*", "b", true),
        ("StringNotLike", "a*", "-", true),
        // Operator names are case-insensitive.
        ("stringLIKE", "a*", "ab", true),
    ]);
}

#[test]
fn variables_in_values() {
    table(&[
        ("StringEquals", "${aws:username}", "bob", true),
        ("StringEquals", "${AWS:UserName}", "bob", true),
        ("StringEquals", "x-${aws:username}-y", "x-bob-y", true),
        ("StringEquals", "${aws:nothing}", "", false),
        ("StringEquals", "${aws:nothing, 'spare'}", "spare", true),
        ("StringEquals", "${aws:username, 'spare'}", "bob", true),
        ("StringNotEquals", "${aws:nothing}", "x", true),
        // A variable must have one value.
        ("StringEquals", "${many:values}", "a", false),
        ("StringEquals", "${$}{aws:username}", "${aws:username}", true),
        ("StringLike", "a${*}c", "a*c", true),
        ("StringLike", "a${*}c", "abc", false),
        ("StringLike", "a${?}*", "a?zzz", true),
        ("StringLike", "a${?}*", "abzzz", false),
        ("StringLike", "${aws:username}*", "bobby", true),
        ("StringEqualsIgnoreCase", "${aws:username}", "BOB", true),
        ("ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/bob", true),
        // Not closed: plain text.
        ("StringEquals", "${aws:username", "${aws:username", true),
        ("StringEquals", "a**b", "a**b", true),
        ("StringEquals", "${aws:username}**", "bob**", true),
        ("StringEquals", "${aws:username}**", "bob*", false),
    ]);
}

#[test]
fn numbers() {
    table(&[
        ("NumericEquals", "10", "10.0", true),
        ("NumericEquals", "10", "ten", false),
        ("NumericEquals", "ten", "10", false),
        ("NumericNotEquals", "10", "11", true),
        ("NumericNotEquals", "10", "10", false),
        ("NumericNotEquals", "10", "-", true),
        ("NumericLessThan", "10", "9", true),
        ("NumericLessThan", "10", "10", false),
        ("NumericLessThanEquals", "10", "10", true),
        ("NumericGreaterThan", "-2", "-1.5", true),
        ("NumericGreaterThan", "10", "10", false),
        ("NumericGreaterThanEquals", "9007199254740993", "9007199254740992", false),
        ("NumericLessThanIfExists", "10", "-", true),
        ("NumericLessThan", "10", "-", false),
    ]);
}

#[test]
fn dates() {
    table(&[
        ("DateEquals", "2020-01-01T00:00:00Z", "1577836800", true),
        ("DateEquals", "1577836800", "2020-01-01T01:00:00+01:00", true),
        ("DateNotEquals", "2020-01-01T00:00:00Z", "1577836801", true),
        ("DateLessThan", "2020-01-01T00:00:00Z", "2019-12-31T23:59:59Z", true),
        ("DateLessThan", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", false),
        ("DateLessThanEquals", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", true),
        ("DateGreaterThan", "2020-01-01", "2020-01-01T00:00:00.5Z", true),
        ("DateGreaterThanEquals", "2020", "2019-12-31T23:59:59Z", false),
        ("DateGreaterThan", "2020-01-01T00:00:00Z", "-", false),
        ("DateGreaterThan", "2020-01-01T00:00:00Z", "soon", false),
        ("DateGreaterThanIfExists", "2020-01-01T00:00:00Z", "-", true),
    ]);
}

#[test]
fn booleans_bytes_and_null() {
    table(&[
        ("Bool", "true", "true", true),
        ("Bool", "TRUE", "true", true),
        ("Bool", "true", "false", false),
        ("Bool", "false", "-", false),
        ("BoolIfExists", "false", "-", true),
        ("BoolIfExists", "false", "true", false),
        ("Bool", "yes", "yes", false),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA", true),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5", false),
        ("BinaryEquals", "!", "!", false),
        ("Null", "true", "-", true),
        ("Null", "true", "x", false),
        ("Null", "false", "x", true),
        ("Null", "false", "-", false),
    ]);
}

#[test]
fn addresses() {
    table(&[
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", true),
        ("IpAddress", "203.0.113.0/24|2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", true),
        ("IpAddress", "203.0.113.0/24", "203.0.114.9", false),
        ("IpAddress", "203.0.113.9", "203.0.113.9", true),
        ("IpAddress", "203.0.113.0/24", "-", false),
        ("IpAddress", "203.0.113.0/24", "nowhere", false),
        ("IpAddress", "203.0.113.0/33", "203.0.113.9", false),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", false),
        ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", true),
        ("NotIpAddress", "203.0.113.0/24", "-", true),
        ("NotIpAddressIfExists", "203.0.113.0/24", "-", true),
    ]);
}

#[test]
fn arns() {
    let topic = "arn:aws:sns:us-east-1:111122223333:topic";
    table(&[
        ("ArnEquals", topic, topic, true),
        ("ArnLike", "arn:aws:sns:*:111122223333:*", topic, true),
        // Equals knows wildcards too: the two are the same.
        ("ArnEquals", "arn:aws:sns:*:111122223333:*", topic, true),
        ("ArnLike", "arn:aws:sns:*:999999999999:*", topic, false),
        ("ArnLike", "arn:aws:s3:::b*", "arn:aws:s3:::bucket/key", true),
        ("ArnNotEquals", topic, topic, false),
        ("ArnNotLike", "arn:aws:sqs:*:*:*", topic, true),
        ("ArnNotLike", "arn:aws:sqs:*:*:*", "-", true),
        ("ArnLikeIfExists", "arn:aws:sqs:*:*:*", "-", true),
        ("ArnLike", "arn:aws:sqs:*:*:*", "-", false),
    ]);
}

#[test]
fn several_values() {
    table(&[
        // Some value of the request is in the policy.
        ("ForAnyValue:StringEquals", "a|b", "x|b", true),
        ("ForAnyValue:StringEquals", "a|b", "x|y", false),
        ("ForAnyValue:StringEquals", "a|b", "-", false),
        ("ForAnyValue:StringEqualsIfExists", "a|b", "-", false),
        // Some value of the request is not in the policy.
        ("ForAnyValue:StringNotEquals", "a|b", "a|x", true),
        ("ForAnyValue:StringNotEquals", "a|b", "a|b", false),
        ("ForAnyValue:StringNotEquals", "a|b", "-", false),
        // Every value of the request is in the policy.
        ("ForAllValues:StringEquals", "a|b|c", "a|b", true),
        ("ForAllValues:StringEquals", "a|b|c", "a|x", false),
        ("ForAllValues:StringEquals", "a|b|c", "-", true),
        // No value of the request is in the policy.
        ("ForAllValues:StringNotEquals", "a|b", "x|y", true),
        ("ForAllValues:StringNotEquals", "a|b", "x|a", false),
        ("ForAllValues:StringNotEquals", "a|b", "-", true),
        ("ForAnyValue:StringLike", "a*", "b|ab", true),
        ("ForAllValues:StringLike", "a*", "b|ab", false),
        ("ForAnyValue:NumericGreaterThan", "5", "1|9", true),
        ("ForAllValues:NumericGreaterThan", "5", "1|9", false),
        ("ForAllValues:ArnLike", "arn:aws:sns:*:*:*", "arn:aws:sns:r:1:a|arn:aws:sns:r:1:b", true),
        ("forallvalues:stringequals", "a", "a", true),
        // Without a qualifier: positive if any matches, negated if none does.
        ("StringEquals", "a", "x|a", true),
        ("StringNotEquals", "a", "x|a", false),
        ("StringNotEquals", "a", "x|y", true),
    ]);
}

#[test]
fn no_values_in_the_policy() {
    let text = |operator: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"{operator}":{{"k:k":[]}}}}}}}}"#
        )
    };
    let caller = PrincipalRef::Anonymous;
    let mut context = ConditionContext::new();
    context.set("k:k", "v");
    for (operator, expected) in [("StringEquals", false), ("StringNotEquals", true)] {
        let policy = Policy::parse(&text(operator), PolicyKind::Identity).unwrap();
        let statement = &policy.statements()[0];
        assert_eq!(statement.conditions().count(), 1);
        let root = PrincipalRef::user("111122223333", "/", "u", "AIDA");
        let attached = [Attached::new(&policy, "p")];
        let set = PolicySet::identity(&attached);
        assert_eq!(
            evaluate(&Request::new("a:b", "*", &root, &context), &set).allowed,
            expected,
            "{operator}"
        );
    }
    let _ = caller;
}

#[test]
fn old_documents_know_no_variables() {
    let text = |version: &str| {
        format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${{aws:username}}"}}}}"#
        )
    };
    let caller = PrincipalRef::user("111122223333", "/", "bob", "AIDA");
    let context = ConditionContext::for_principal(&caller);
    for (version, resource, expected) in [
        ("", "arn:aws:s3:::home/bob", false),
        ("", "arn:aws:s3:::home/${aws:username}", true),
        (r#""Version":"2008-10-17","#, "arn:aws:s3:::home/bob", false),
        (r#""Version":"2012-10-17","#, "arn:aws:s3:::home/bob", true),
    ] {
        let policy = Policy::parse(&text(version), PolicyKind::Resource).unwrap();
        let set = PolicySet::default().with_resource(Some(Attached::new(&policy, "p")), "111122223333");
        let decision = evaluate(&Request::new("s3:GetObject", resource, &caller, &context), &set);
        assert_eq!(decision.allowed, expected, "{version} {resource}");
    }
}

#[test]
fn context_keys_are_case_insensitive() {
    let mut context = ConditionContext::new();
    context.set("aws:SourceIp", "1.2.3.4").set("AWS:SOURCEIP", "5.6.7.8");
    assert_eq!(context.get("aws:sourceip"), ["5.6.7.8"]);
    context.set_all("aws:TagKeys", ["a", "b"]);
    assert_eq!((context.get("aws:tagkeys").len(), context.get_one("aws:TagKeys")), (2, None));
    context.set_all("aws:TagKeys", Vec::<String>::new());
    assert!(!context.contains("aws:TagKeys"));
    assert_eq!(context.iter().count(), 1);
}
