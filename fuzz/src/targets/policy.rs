//! IAM policies: any text is a policy or an error, and any policy decides any request.

use super::{Target, seen, seen_message, texts};
use cloudlet_access::{
    Attached, ConditionContext, Policy, PolicyKind, PolicySet, PrincipalRef, Request, evaluate,
};

pub(super) static TARGET: Target =
    Target { name: "policy", run, seeds, words: WORDS, longest: 512 << 10, ..Target::DEFAULT };

const KINDS: [PolicyKind; 5] = [
    PolicyKind::Identity,
    PolicyKind::Resource,
    PolicyKind::Trust,
    PolicyKind::ResourceControl,
    PolicyKind::ResourceImplied,
];

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}}"#,
        r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"A1","Effect":"Deny","NotAction":["iam:*","sts:Get*"],"NotResource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalTag/team":["a","${aws:username}"]},"ForAllValues:StringLike":{"aws:TagKeys":"*"},"NumericLessThan":{"s3:max-keys":"10"},"DateGreaterThan":{"aws:CurrentTime":"2023-11-14T22:13:20Z"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]},"Null":{"aws:TokenIssueTime":"true"},"Bool":{"aws:SecureTransport":false},"BinaryEquals":{"x":"AAAA"},"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:x"}}}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:root"],"Service":"lambda.amazonaws.com","Federated":"x","CanonicalUser":"y"},"Action":"sts:AssumeRole"}]}"#,
        r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":["arn:aws:s3:::*?*"]}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username, 'x'}/${*}${?}${$}"}]}"#,
    ])
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\",
    "\"Statement\":",
    "\"Effect\":\"Allow\"",
    "\"Effect\":\"Deny\"",
    "\"Action\":",
    "\"NotAction\":",
    "\"Resource\":",
    "\"NotResource\":",
    "\"Principal\":",
    "\"NotPrincipal\":",
    "\"Condition\":{",
    "\"Sid\":",
    "\"Id\":",
    "\"Version\":\"2012-10-17\"",
    "*",
    "?",
    "**",
    "*?*?*",
    "${",
    "}",
    "${aws:username}",
    "${aws:PrincipalTag/x, 'y'}",
    "arn:aws:s3:::",
    "arn:*:*:*:*:*",
    "s3:*",
    "StringLike",
    "ForAnyValue:",
    "IfExists",
    "NumericEquals",
    "DateEquals",
    "IpAddress",
    "0.0.0.0/33",
    "::/129",
    "Bool",
    "Null",
    "null",
    "true",
    "1e309",
    "BinaryEquals",
    "ArnEquals",
    "AWS",
    "Service",
    "Federated",
];

fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let alice = PrincipalRef::user("000000000000", "/", "alice", "AIDAEXAMPLE");
    let mut context = ConditionContext::for_principal(&alice);
    context
        .set("aws:SourceIp", "10.1.2.3")
        .set("aws:CurrentTime", "2023-11-14T22:13:20Z")
        .set("s3:max-keys", "7");
    context.set("aws:PrincipalTag/team", "a").set("aws:SecureTransport", "true");
    let mut all = Vec::new();
    for kind in KINDS {
        match Policy::parse(text, kind) {
            Ok(policy) => {
                assert_eq!(policy.text(), text);
                let id = "arn:aws:iam::000000000000:policy/fuzz";
                for (action, resource) in
                    [("s3:GetObject", "arn:aws:s3:::photos/a/aaaaaaaaaaaaaaaaaaaab"), ("sts:AssumeRole", "*")]
                {
                    let request = Request::new(action, resource, &alice, &context);
                    let attached = [Attached::new(&policy, id)];
                    let none = PolicySet::identity(&[]);
                    let set = match kind {
                        PolicyKind::Identity => PolicySet::identity(&attached),
                        _ => none.with_resource(Some(attached[0]), "000000000000"),
                    };
                    let decision = evaluate(&request, &set);
                    all.push(seen(&(decision.allowed, decision.explicit_deny())));
                }
                all.push(policy.statements().len().min(5) as u64);
                all.push(policy.context_keys().len() as u64);
            }
            Err(why) => all.push(seen_message("", why.message())),
        }
    }
    seen(&all)
}
