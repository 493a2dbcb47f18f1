//! What AWS refuses, and in which words. Each row is a document (or a statement) and AWS's message.

// Helpers of tests may panic as tests may.
#![allow(clippy::panic, clippy::unwrap_used)]

use cloudlet_access::{Fault, Policy, PolicyKind};

fn outcome(text: &str, kind: PolicyKind) -> String {
    match Policy::parse(text, kind) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.message().to_owned(),
    }
}

/// A version 2012 document around statements.
fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#)
}

const SYNTAX: &str = "Syntax errors in policy.";
const VERSION: &str = "Policy document must be version 2012-10-17 or greater.";
const LEGACY: &str = "The policy failed legacy parsing";
const ACTIONS: &str = "Policy statement must contain actions.";
const RESOURCES: &str = "Policy statement must contain resources.";
const VENDOR: &str = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
const SIDS: &str = "Statement IDs (SID) in a single policy must be unique.";

#[test]
fn identity_documents() {
    for (text, expected) in [
        ("This is not a json document", SYNTAX),
        ("", SYNTAX),
        ("[]", SYNTAX),
        (r#"{"Version":"2012-10-17"}"#, SYNTAX),
        (r#"{"Version":"2012-10-17","Statement":[]}"#, SYNTAX),
        (r#"{"Version":"2012-10-17","Statement":["afd"]}"#, SYNTAX),
        (r#"{"Version":"2013-10-17","Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#, SYNTAX),
        (r#"{"Version":20121017,"Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#, SYNTAX),
        (r#"{"Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#, VERSION),
        (
            r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#,
            VERSION,
        ),
        (
            r#"{"Version":"2012-10-17","Extra":"x","Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#,
            SYNTAX,
        ),
        (
            r#"{"Version":"2012-10-17","Id":["x"],"Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#,
            SYNTAX,
        ),
        (
            r#"{"Version":"2012-10-17","Id":"x","Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#,
            "ok",
        ),
        (
            r#"{"Version":"2012-10-17","Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:a","Resource":"*"}}"#,
            SYNTAX,
        ),
        // The version comes before everything but syntax.
        (r#"{"Statement":[{"Sid":"a","Effect":"denY"},{"Sid":"a","Effect":"Allow"}]}"#, VERSION),
    ] {
        assert_eq!(outcome(text, PolicyKind::Identity), expected, "{text}");
    }
}

#[test]
fn inline_policies_may_be_of_the_old_version() {
    let statement =
        r#""Statement":{"Effect":"Allow","Action":"s3:a","Resource":"arn:aws:s3:::${aws:username}"}"#;
    for (version, expected) in [
        ("", "2008-10-17"),
        (r#""Version":"2008-10-17","#, "2008-10-17"),
        (r#""Version":"2012-10-17","#, "2012-10-17"),
    ] {
        let text = format!("{{{version}{statement}}}");
        assert_eq!(Policy::parse(&text, PolicyKind::Inline).unwrap().version(), expected, "{text}");
    }
    assert_eq!(outcome(&format!(r#"{{"Version":"2013-10-17",{statement}}}"#), PolicyKind::Inline), SYNTAX);
}

#[test]
fn identity_statements() {
    for (statement, expected) in [
        (r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}"#, "ok"),
        (r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":["arn:aws:s3:::b","*"]}"#, "ok"),
        (r#"{"Effect":"Allow","NotAction":"s3:ListBucket","NotResource":"*"}"#, "ok"),
        (r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b"}"#, "ok"),
        (r#"{"Effect":"Allow","Action":"*:*","Resource":"arn:aws:s3:::b"}"#, "ok"),
        (r#"{"Effect":"Allow","Action":"iam: asdf safdsf af ","Resource":"*"}"#, "ok"),
        (r#"{"Effect":"Allow","Action":"s3.s:ListBucket","Resource":"*"}"#, "ok"),
        (r#"{"Action":"s3:ListBucket","Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"invalid","Action":"s3:ListBucket","Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"denY","Action":"s3:ListBucket","Resource":"*"}"#, LEGACY),
        (r#"{"Effect":"Allow","Action":"s3:a","Resource":"*","Extra":"x"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":{},"Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":[[]],"Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":["s3:a",null],"Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":"s3:a","NotAction":[],"Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":"s3:a","Resource":"*","NotResource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":"s3:a","Resource":{"a":"*"}}"#, SYNTAX),
        (r#"{"Effect":"Allow","Action":"s3:a","Resource":["x",{}]}"#, SYNTAX),
        (r#"{"Sid":{},"Effect":"Allow","Action":"s3:a","Resource":"*"}"#, SYNTAX),
        (r#"{"Effect":"Allow"}"#, ACTIONS),
        (r#"{"Effect":"Allow","Resource":"*"}"#, ACTIONS),
        (r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#, ACTIONS),
        (r#"[{"Effect":"Deny"},{"Effect":"Allow","Action":"s3:a","Resource":"*"}]"#, ACTIONS),
        (r#"{"Effect":"Allow","Action":"s3:a"}"#, RESOURCES),
        (r#"{"Effect":"Allow","Action":"s3:a","Resource":[]}"#, RESOURCES),
        (r#"{"Effect":"Allow","Action":"invalid","Resource":"*"}"#, VENDOR),
        (r#"{"Effect":"Allow","NotAction":"","Resource":"*"}"#, VENDOR),
        (r#"{"Effect":"Allow","Action":"invalid"}"#, VENDOR),
        (r#"{"Effect":"Allow","Action":"a a:ListBucket","Resource":"*"}"#, "Vendor a a is not valid"),
        (r#"{"Effect":"Allow","Action":"s3*:ListBucket","Resource":"*"}"#, "Vendor s3* is not valid"),
        (
            r#"{"Effect":"Allow","Action":"s3:List:Bucket","Resource":"*"}"#,
            "Actions/Condition can contain only one colon.",
        ),
        (
            r#"[{"Sid":"sdf","Effect":"Allow","Action":"s3:a","Resource":"*"},{"Sid":"sdf","Effect":"Allow"}]"#,
            SIDS,
        ),
        (
            r#"[{"Sid":"","Effect":"Allow","Action":"s3:a","Resource":"*"},{"Sid":"","Effect":"Deny","Action":"s3:a","Resource":"*"}]"#,
            "ok",
        ),
        (
            r#"{"Sid":"not alnum","Effect":"Allow","Action":"s3:a","Resource":"*"}"#,
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        ),
        (
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:a","Resource":"*"}"#,
            "Policy document should not specify a principal.",
        ),
    ] {
        assert_eq!(outcome(&document(statement), PolicyKind::Identity), expected, "{statement}");
    }
}

#[test]
fn identity_resources() {
    for (resource, expected) in [
        ("*", "ok"),
        ("arn:aws:fdsasf", "ok"),
        ("arn:aws:sqs:*", "ok"),
        ("arn:aws:s33:::example_bucket", "ok"),
        ("arn:aws:invalid-service:us-east-1::example_bucket", "ok"),
        ("arn:aws:iam:::user/example_bucket", "ok"),
        ("arn:aws:iam::*:user/${aws:username}", "ok"),
        ("arn:aws:iam::*:root", "ok"),
        ("arn:aws:s3:us-west-2:123456789012:accesspoint/test", "ok"),
        ("invalid resource", "Resource invalid resource must be in ARN format or \"*\"."),
        ("", "Resource  must be in ARN format or \"*\"."),
        ("a:bsdfdsafsad", "Partition \"bsdfdsafsad\" is not valid for resource \"arn:bsdfdsafsad:*:*:*:*\"."),
        ("a:b:cadfsdf", "Partition \"b\" is not valid for resource \"arn:b:cadfsdf:*:*:*\"."),
        ("a:b:c:d:e:f:g:h", "Partition \"b\" is not valid for resource \"arn:b:c:d:e:f:g:h\"."),
        (
            "aws:s3:::example_bucket",
            "Partition \"s3\" is not valid for resource \"arn:s3:::example_bucket:*\".",
        ),
        (
            "arn:error:s3:::example_bucket",
            "Partition \"error\" is not valid for resource \"arn:error:s3:::example_bucket\".",
        ),
        ("arn:aws", "Resource vendor must be fully qualified and cannot contain regexes."),
        ("arn:aws:s*:::b", "Resource vendor must be fully qualified and cannot contain regexes."),
        ("arn:aws:s3::example_bucket", LEGACY),
        ("arn:aws::::example_bucket", LEGACY),
        ("arn:aws::fdsasf", LEGACY),
        (
            "arn:aws:iam:us-east-1::example_bucket",
            "IAM resource arn:aws:iam:us-east-1::example_bucket cannot contain region information.",
        ),
        (
            "arn:aws:s3:us-east-1::example_bucket",
            "Resource arn:aws:s3:us-east-1::example_bucket can not contain region information.",
        ),
        (
            "arn:aws:iam:::example_bucket",
            "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, \
             instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, \
             report/, access-report/.",
        ),
    ] {
        for element in ["Resource", "NotResource"] {
            let text = document(&format!(r#"{{"Effect":"Allow","Action":"s3:a","{element}":"{resource}"}}"#));
            assert_eq!(outcome(&text, PolicyKind::Identity), expected, "{text}");
        }
    }
    // A malformed resource is named before a malformed action, and one the old parser cannot read before both.
    let text = document(r#"{"Effect":"Allow","Action":"s:3:ListBucket","Resource":"sdfsadf"}"#);
    assert_eq!(outcome(&text, PolicyKind::Identity), "Resource sdfsadf must be in ARN format or \"*\".");
    let text = document(r#"{"Effect":"Allow","Resource":"arn:aws:s3::example_bucket"}"#);
    assert_eq!(outcome(&text, PolicyKind::Identity), LEGACY);
}

#[test]
fn conditions() {
    for (condition, expected) in [
        (r#"{}"#, "ok"),
        (r#"{"a":{}}"#, "ok"),
        (r#"{"DateGreaterThan":{}}"#, "ok"),
        (r#"{"DateGreaterThan":{"a":[]}}"#, "ok"),
        (r#"{"StringEqualsIfExists":{"a":"asf"}}"#, "ok"),
        (r#"{"ForAnyValue:StringEqualsIfExists":{"a":"asf"}}"#, "ok"),
        (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"Department"}}"#, "ok"),
        (r#"{"stringequals":{"a":"asf"}}"#, "ok"),
        (r#"{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"s3:max-keys":10}}"#, "ok"),
        (r#"{"DateLessThanEquals":{"a":"2019-07-01T13:20:15Z"}}"#, "ok"),
        (r#"{"DateLessThanEquals":{"a":"2016-12-13T21:20:37.593194+00:00"}}"#, "ok"),
        (r#"{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+23"}}"#, "ok"),
        (r#"{"DateLessThan":{"a":"-292275054"}}"#, "ok"),
        (r#"[]"#, SYNTAX),
        (r#""a""#, SYNTAX),
        (r#"{"a":"b"}"#, SYNTAX),
        (r#"{"x":{"a":"1"}}"#, SYNTAX),
        (r#"{"DateGreaterThan":[]}"#, SYNTAX),
        (r#"{"DateGreaterThan":{"a":{}}}"#, SYNTAX),
        (r#"{"StringEquals":{"a":null}}"#, SYNTAX),
        (r#"{"NullIfExists":{"a":"true"}}"#, SYNTAX),
        (r#"{"ForAnyValue::StringEqualsIfExists":{"a":"asf"}}"#, SYNTAX),
        (r#"{"ForSomeValue:StringEquals":{"a":"asf"}}"#, SYNTAX),
        (r#"{"DateGreaterThan":{"a":"sdfdsf"}}"#, LEGACY),
        (r#"{"DateLessThanEquals":{"a":"234-13"}}"#, LEGACY),
        (r#"{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+1"}}"#, LEGACY),
        (r#"{"DateLessThan":{"a":"9223372036854775808"}}"#, LEGACY),
    ] {
        let text = document(&format!(
            r#"{{"Effect":"Allow","Action":"s3:a","Resource":"*","Condition":{condition}}}"#
        ));
        assert_eq!(outcome(&text, PolicyKind::Identity), expected, "{condition}");
    }
}

#[test]
fn trust_policies() {
    let principal = r#""Principal":{"AWS":"arn:aws:iam::111122223333:root"}"#;
    let action = r#""Action":"sts:AssumeRole""#;
    for (statement, expected) in [
        (format!(r#"{{"Effect":"Allow",{principal},{action}}}"#), "ok"),
        (format!(r#"{{"Effect":"Allow","Principal":{{"Service":"lambda.amazonaws.com"}},{action}}}"#), "ok"),
        (format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"*"}},{action}}}"#), "ok"),
        (format!(r#"{{"Effect":"Allow",{principal},"Action":["sts:AssumeRole","sts:TagSession"]}}"#), "ok"),
        (
            format!(r#"{{"Effect":"Allow",{principal},{action},"Resource":"*"}}"#),
            "Has prohibited field Resource",
        ),
        (format!(r#"{{"Effect":"Allow",{action}}}"#), "Missing required field Principal"),
        (
            format!(r#"{{"Effect":"Allow","Principal":{{}},{action}}}"#),
            "Missing required field Principal cannot be empty!",
        ),
        (format!(r#"{{"Effect":"Allow","Principal":"*",{action}}}"#), "Principal must be a JSON object."),
        (format!(r#"{{"Effect":"Allow",{principal}}}"#), "Missing required field Action"),
        (format!(r#"{{{principal},{action}}}"#), "Missing required field Effect"),
        (format!(r#"{{"Effect":"allow",{principal},{action}}}"#), "Invalid effect: allow"),
        (
            format!(r#"{{"Effect":"Allow",{principal},"Action":"s3:GetObject"}}"#),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (
            format!(r#"{{"Effect":"Allow",{principal},"Action":"*"}}"#),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (
            format!(r#"{{"Effect":"Allow","NotPrincipal":{{"AWS":"*"}},{action}}}"#),
            "Allow with NotPrincipal is not allowed.",
        ),
        (
            format!(r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":"*"}},{action}}}"#),
            "AssumeRole policy must not contain NotPrincipal field.",
        ),
        (
            format!(r#"{{"Effect":"Allow","Principal":{{"Service":"lambda"}},{action}}}"#),
            r#"Invalid principal in policy: "SERVICE":"lambda""#,
        ),
        (
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/*"}},{action}}}"#
            ),
            r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*""#,
        ),
        (
            format!(r#"{{"Effect":"Allow","Principal":{{"Nobody":"x"}},{action}}}"#),
            r#"Invalid principal in policy: "Nobody""#,
        ),
        ("[]".to_owned(), "Could not parse the policy: Statement is empty!"),
    ] {
        assert_eq!(outcome(&document(&statement), PolicyKind::Trust), expected, "{statement}");
    }
    assert_eq!(outcome("{", PolicyKind::Trust), "This policy contains invalid Json");
    assert_eq!(
        outcome(r#"{"Version":"2013-10-17","Statement":[]}"#, PolicyKind::Trust),
        "The policy must contain a valid version string"
    );
}

#[test]
fn resource_policies() {
    let rest = r#""Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*""#;
    for (statement, expected) in [
        (format!(r#"{{"Effect":"Allow","Principal":"*",{rest}}}"#), "ok"),
        (
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":["111122223333","arn:aws:iam::111122223333:user/a/b"]}},{rest}}}"#
            ),
            "ok",
        ),
        (format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"AIDAEXAMPLEEXAMPLEAAA"}},{rest}}}"#), "ok"),
        (
            format!(r#"{{"Effect":"Allow","Principal":{{"CanonicalUser":"{}"}},{rest}}}"#, "0a".repeat(32)),
            "ok",
        ),
        (format!(r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":"111122223333"}},{rest}}}"#), "ok"),
        (format!(r#"{{"Effect":"Allow","Principal":"bob",{rest}}}"#), "Invalid principal in policy"),
        (
            format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"12345"}},{rest}}}"#),
            "Invalid principal in policy",
        ),
        (
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:group/g"}},{rest}}}"#
            ),
            "Invalid principal in policy",
        ),
        (format!(r#"{{"Effect":"Allow",{rest}}}"#), "Missing required field Principal"),
        (
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#.to_owned(),
            "Missing required field Resource",
        ),
        (
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"b"}"#.to_owned(),
            "Policy has invalid resource",
        ),
        (
            r#"{"Effect":"Allow","Principal":"*","Action":"GetObject","Resource":"*"}"#.to_owned(),
            "Policy has invalid action",
        ),
        (format!(r#"{{"Effect":"Allow","Principal":"*",{rest},"Foo":1}}"#), "Unknown field Foo"),
        (
            format!(
                r#"[{{"Sid":"a","Effect":"Allow","Principal":"*",{rest}}},{{"Sid":"a","Effect":"Deny","Principal":"*",{rest}}}]"#
            ),
            "The Statement Ids in the policy are not unique",
        ),
    ] {
        assert_eq!(outcome(&document(&statement), PolicyKind::Resource), expected, "{statement}");
    }
    assert_eq!(
        outcome("\n{}", PolicyKind::Resource),
        "Policies must be valid JSON and the first byte must be '{'"
    );
    assert_eq!(outcome("{}", PolicyKind::Resource), "Missing required field Statement");
    let implied = document(r#"{"Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}"#);
    assert_eq!(outcome(&implied, PolicyKind::ResourceImplied), "ok");
    // The version may be left out, and then is the old one.
    let old = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    assert_eq!(Policy::parse(old, PolicyKind::Resource).unwrap().version(), "2008-10-17");
}

#[test]
fn floods_are_errors() {
    for flood in ["[", "{\"a\":", "{\"Statement\":[", "\"", "{\"Statement\":{\"Condition\":"] {
        for kind in [PolicyKind::Identity, PolicyKind::Resource, PolicyKind::Trust] {
            let text = flood.repeat(1_000_000);
            assert_eq!(Policy::parse(&text, kind).unwrap_err().fault(), Fault::Json);
            // Within the size limit too.
            let text = flood.repeat(10_000);
            assert_eq!(Policy::parse(&text, kind).unwrap_err().fault(), Fault::Json);
        }
    }
}

#[test]
fn accessors() {
    let text = r#"{ "Version": "2012-10-17", "Id": "doc",
  "Statement": [ { "Sid": "one", "Effect": "Deny", "NotPrincipal": { "AWS": "111122223333" },
    "NotAction": "s3:Get*", "NotResource": "arn:aws:s3:::b/${aws:username}/${s3:x, 'd'}",
    "Condition": { "StringLike": { "s3:prefix": [ "${aws:userid}", "b" ] }, "Bool": { "aws:SecureTransport": true } } } ] }"#;
    let policy = Policy::parse(text, PolicyKind::Resource).unwrap();
    assert_eq!((policy.id(), policy.version(), policy.text()), (Some("doc"), "2012-10-17", text));
    let [statement] = policy.statements() else { panic!() };
    assert_eq!(statement.sid(), Some("one"));
    assert!(statement.is_not_action() && statement.is_not_resource() && statement.is_not_principal());
    assert_eq!(statement.actions().collect::<Vec<_>>(), ["s3:Get*"]);
    let conditions: Vec<_> =
        statement.conditions().map(|(op, key, values)| (op, key, values.collect::<Vec<_>>())).collect();
    assert_eq!(conditions[0], ("StringLike", "s3:prefix", vec!["${aws:userid}", "b"]));
    assert_eq!(conditions[1], ("Bool", "aws:SecureTransport", vec!["true"]));
    let (from, to) = statement.span();
    assert!(text[from..to].starts_with("{ \"Sid\"") && text[from..to].ends_with("} }"));
    assert_eq!(
        policy.context_keys(),
        ["s3:prefix", "aws:SecureTransport", "aws:username", "s3:x", "aws:userid"]
    );
    let compact = document(r#"{"Effect":"Allow","Action":"s3:a","Resource":"*"}"#);
    let airy = compact
        .replace(',', " ,\n\t")
        .replace(':', " :\u{a0}")
        .replace("s3 :\u{a0}a", "s3:a")
        .replace('\u{a0}', " ");
    assert_eq!(Policy::parse(&airy, PolicyKind::Identity).unwrap().minified_len(), compact.len());
}
