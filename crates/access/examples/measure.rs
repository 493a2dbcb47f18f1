//! Prints what a decision costs. `cargo run --release -p cloudlet-access --example measure`

use std::hint::black_box;
use std::time::Instant;

use cloudlet_access::{
    Attached, ConditionContext, Policy, PolicyError, PolicyKind, PolicySet, PrincipalRef, Request, evaluate,
};

/// Twenty policies of ten statements; only the very last statement allows the request.
fn policies(statement: impl Fn(usize, usize) -> String) -> Result<Vec<Policy>, PolicyError> {
    (0..20)
        .map(|policy| {
            let statements: Vec<String> = (0..10)
                .map(|at| match (policy, at) {
                    (19, 9) => allow("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/orders", "{}"),
                    _ => statement(policy, at),
                })
                .collect();
            let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
            Policy::parse(&text, PolicyKind::Identity)
        })
        .collect()
}

fn allow(action: &str, resource: &str, condition: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":["{action}"],"Resource":"{resource}","Condition":{condition}}}"#)
}

fn measure(name: &str, policies: &[Policy], expected: bool) {
    let caller = PrincipalRef::assumed_role("111122223333", "/", "worker", "AROAWORKER", "session");
    let resource = "arn:aws:dynamodb:us-east-1:111122223333:table/orders";
    let decide = || {
        let mut context = ConditionContext::for_principal(&caller);
        context
            .set("aws:SourceIp", "203.0.113.7")
            .set("aws:CurrentTime", "2026-01-01T00:00:00Z")
            .set("aws:EpochTime", "1767225600")
            .set("aws:SecureTransport", "true")
            .set("aws:RequestedRegion", "us-east-1")
            .set("aws:UserAgent", "Boto3/1.40")
            .set("aws:ResourceAccount", "111122223333");
        let request = Request::new("dynamodb:GetItem", resource, &caller, &context);
        let attached: Vec<Attached<'_>> = policies.iter().map(|policy| Attached::new(policy, "p")).collect();
        evaluate(black_box(&request), &PolicySet::identity(&attached)).allowed
    };
    let mut right = true;
    // The best of many short runs: what the machine does besides is not our cost.
    let best = (0..200)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..100 {
                right &= black_box(decide()) == expected;
            }
            start.elapsed().as_nanos() as f64 / 100_000.0
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:<58} {best:>8.2} us{}", if right { "" } else { "  WRONG DECISION" });
}

fn main() -> Result<(), PolicyError> {
    println!("one decision, context built anew, 20 policies of 10 statements:");
    let services = ["s3", "sqs", "sns", "lambda", "dynamodb", "logs", "kms", "iam", "ec2", "sts"];
    let mixed = policies(|policy, at| allow(&format!("{}:Describe{policy}*", services[at]), "*", "{}"))?;
    measure("other actions of ten services", &mixed, true);
    let resources = policies(|policy, at| {
        allow("dynamodb:*", &format!("arn:aws:dynamodb:us-east-1:111122223333:table/t{policy}-{at}"), "{}")
    })?;
    measure("same action, another table in each statement", &resources, true);
    let globs = policies(|policy, at| {
        allow("dynamodb:*Item", &format!("arn:aws:dynamodb:*:*:table/*-{policy}?{at}"), "{}")
    })?;
    measure("same action, a wildcard table in each statement", &globs, true);
    let inside = policies(|policy, at| {
        allow("dynamodb:*Item", &format!("arn:aws:dynamodb:*:*:table/*-{policy}?{at}*"), "{}")
    })?;
    measure("same action, wildcards around each statement's table", &inside, true);
    let ranges = r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]}}"#;
    let addresses = policies(|_, _| allow("dynamodb:GetItem", "*", ranges))?;
    measure("same action and resource, an address condition in each", &addresses, true);
    let region = r#"{"StringEquals":{"aws:RequestedRegion":["eu-west-1","eu-central-1"]}}"#;
    let regions = policies(|_, _| allow("dynamodb:GetItem", "*", region))?;
    measure("same action and resource, a region condition in each", &regions, true);
    let tags = r#"{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}"#;
    let variables = policies(|_, at| {
        allow("dynamodb:GetItem", &format!("arn:aws:dynamodb:*:*:table/${{aws:userid}}-{at}"), tags)
    })?;
    measure("same action, a variable in each statement", &variables, true);

    let text: String = mixed.iter().map(Policy::text).collect();
    let start = Instant::now();
    for policy in &mixed {
        Policy::parse(black_box(policy.text()), PolicyKind::Identity)?;
    }
    println!("parse and compile: {:.0} MB/s", text.len() as f64 / start.elapsed().as_secs_f64() / 1e6);
    Ok(())
}
