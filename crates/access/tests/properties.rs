//! What must hold for any input.

// Helpers of tests may panic as tests may.
#![allow(clippy::panic, clippy::unwrap_used)]

use cloudlet_access::{
    Attached, ConditionContext, Effect, Policy, PolicyKind, PolicySet, PrincipalRef, Request, evaluate,
    matching_statements, wildcard_match,
};
use proptest::collection::vec;
use proptest::prelude::*;

const KINDS: [PolicyKind; 4] =
    [PolicyKind::Identity, PolicyKind::Resource, PolicyKind::Trust, PolicyKind::ResourceControl];

/// The definition of wildcards, as slow as it is plain.
fn reference(pattern: &[char], value: &[char]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            reference(rest, value)
                || value.split_first().is_some_and(|(_, shorter)| reference(pattern, shorter))
        }
        (Some((wanted, rest)), Some((found, after))) => {
            (*wanted == '?' || wanted == found) && reference(rest, after)
        }
        _ => false,
    }
}

/// Text that looks like a policy more often than chance would have it.
fn policy_like() -> impl Strategy<Value = String> {
    let scraps = vec(
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\u",
            "*",
            "?",
            "${",
            "}",
            "null",
            "1e9",
            " ",
            "\"Version\"",
            "\"2012-10-17\"",
            "\"Statement\"",
            "\"Effect\"",
            "\"Allow\"",
            "\"Deny\"",
            "\"Action\"",
            "\"s3:*\"",
            "\"Resource\"",
            "\"arn:aws:s3:::b/${aws:username}\"",
            "\"Principal\"",
            "{\"AWS\":\"*\"}",
            "\"Condition\"",
            "{\"StringLike\":{\"a:b\":[\"${x,'y'}\"]}}",
            "\"Sid\"",
            "é",
            "\u{0}",
        ]),
        0..40,
    );
    scraps.prop_map(|scraps| scraps.concat())
}

/// One statement with names from a small world, so that they often meet.
fn statement() -> impl Strategy<Value = String> {
    (
        any::<bool>(),
        prop::sample::select(vec!["Action", "NotAction"]),
        prop::sample::select(vec!["*", "s3:*", "s3:Get*", "s3:PutObject", "S3:*object", "s3:GetObj?ct", "sqs:*"]),
        prop::sample::select(vec!["Resource", "NotResource"]),
        prop::sample::select(vec![
            "*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:s3:::*/k", "arn:aws:s3:::c/${aws:username}",
            "arn:aws:s3:::c/${a:b, 'bob'}", "arn:aws:s3:::c/b${a:b, 'o'}b", "arn:aws:sqs:*:*:q", "arn:aws:sqs",
        ]),
        prop::sample::select(vec![
            "{}",
            r#"{"StringEquals":{"k:k":"v"}}"#,
            r#"{"StringNotEquals":{"k:k":"v"}}"#,
            r#"{"ForAllValues:StringLike":{"k:k":"v*"}}"#,
            r#"{"Null":{"k:k":"true"}}"#,
        ]),
    )
        .prop_map(|(allow, action, actions, resource, resources, condition)| {
            let effect = if allow { "Allow" } else { "Deny" };
            format!(
                r#"{{"Effect":"{effect}","{action}":"{actions}","{resource}":"{resources}","Condition":{condition}}}"#
            )
        })
}

fn policy(statements: &[String]) -> Policy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    Policy::parse(&text, PolicyKind::Identity).unwrap_or_else(|error| panic!("{text}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parsing_is_total(text in "\\PC*", scraps in policy_like()) {
        for kind in KINDS {
            let _ = Policy::parse(&text, kind);
            let _ = Policy::parse(&scraps, kind);
        }
    }

    #[test]
    fn bytes_that_happen_to_be_text(bytes in vec(any::<u8>(), 0..200)) {
        for kind in KINDS {
            let _ = Policy::parse(&String::from_utf8_lossy(&bytes), kind);
        }
    }

    #[test]
    fn broken_policies_never_panic(statements in vec(statement(), 1..4), cut in any::<prop::sample::Index>(), junk in "\\PC{0,3}") {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        let at = cut.index(text.len());
        let broken = format!("{}{junk}{}", &text[..at], &text[at..]);
        for kind in KINDS {
            let _ = Policy::parse(&broken, kind);
            let _ = Policy::parse(&text[..at], kind);
        }
    }

    #[test]
    fn wildcards_mean_what_the_reference_says(pattern in "[ab?*é]{0,12}", value in "[abé]{0,14}") {
        let (p, v): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
        prop_assert_eq!(wildcard_match(&pattern, &value), reference(&p, &v));
    }

    #[test]
    fn the_decision_is_that_of_a_plain_walk(
        statements in vec(statement(), 1..6),
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]),
        resource in prop::sample::select(vec![
            "arn:aws:s3:::b/k", "arn:aws:s3:::b/kk", "arn:aws:s3:::c/bob", "arn:aws:sqs:r:1:q", "arn:aws:sqs:r:1:qq", "*",
        ]),
        value in prop::option::of("v[ab]?"),
    ) {
        let caller = PrincipalRef::user("111122223333", "/", "bob", "AIDABOB");
        let mut context = ConditionContext::for_principal(&caller);
        if let Some(value) = value {
            context.set("k:k", value);
        }
        let policy = policy(&statements);
        let attached = [Attached::new(&policy, "p")];
        let request = Request::new(action, resource, &caller, &context);
        let set = PolicySet::identity(&attached);
        let matching = matching_statements(&request, &set);
        let has = |effect| matching.iter().any(|statement| statement.effect == effect);
        let expected = has(Effect::Allow) && !has(Effect::Deny);
        prop_assert_eq!(evaluate(&request, &set).allowed, expected);
    }

    #[test]
    fn a_deny_never_allows(
        statements in vec(statement(), 1..6),
        more in statement(),
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]),
        resource in prop::sample::select(vec!["arn:aws:s3:::b/k", "arn:aws:s3:::c/bob", "arn:aws:sqs:r:1:q", "*"]),
        value in prop::option::of("v[ab]?"),
        root in any::<bool>(),
    ) {
        let caller = if root {
            PrincipalRef::root("111122223333")
        } else {
            PrincipalRef::user("111122223333", "/", "bob", "AIDABOB")
        };
        let mut context = ConditionContext::for_principal(&caller);
        context.set_some("k:k", value);
        let request = Request::new(action, resource, &caller, &context);
        let before = policy(&statements);
        let deny = more.replace("\"Allow\"", "\"Deny\"");
        let after = policy(&[statements.as_slice(), &[deny]].concat());
        let (before, after) = ([Attached::new(&before, "p")], [Attached::new(&after, "p")]);
        let first = evaluate(&request, &PolicySet::identity(&before));
        let second = evaluate(&request, &PolicySet::identity(&after));
        prop_assert!(first.allowed || !second.allowed);
        // An explicit deny stays one, and what denies is among what matches.
        prop_assert!(!first.explicit_deny() || second.explicit_deny());
        let matched = matching_statements(&request, &PolicySet::identity(&after));
        let denies = matched.iter().any(|found| found.effect == cloudlet_access::Effect::Deny);
        prop_assert_eq!(second.explicit_deny(), denies);
        // A boundary never adds.
        let bounded = PolicySet::identity(&before).with_boundary(Some(after[0]));
        prop_assert!(root || first.allowed || !evaluate(&request, &bounded).allowed);
    }
}

#[test]
fn wildcard_bombs_are_quick() {
    // Exponential in a backtracking matcher.
    let pattern = format!("{}b", "*a".repeat(60_000));
    let value = "a".repeat(60_000);
    assert!(!wildcard_match(&pattern, &value));
    assert!(wildcard_match(&"*".repeat(100_000), &value));
    let pattern = format!("{}b", "*?a".repeat(2_000));
    assert!(!wildcard_match(&pattern, &"a".repeat(6_000)));
}
