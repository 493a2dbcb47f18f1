//! What a Ruby function sees and gets, on whatever Ruby this machine has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;
use serde_json::json as object;

/// Whether there is a Ruby here.
fn ruby() -> bool {
    let there = std::process::Command::new("ruby").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: there is no Ruby here");
    }
    there
}

fn function(lab: &Lab, handler: &str, source: &str) -> FunctionSpec {
    lab.package("ruby3.3", handler, &[("app.rb", source.as_bytes(), 0o644)])
}

async fn once(lab: &Lab, source: &str) -> InvokeResult {
    lab.call(&Arc::new(function(lab, "app.handler", source)), "{}").await
}

#[tokio::test]
async fn a_ruby_function_runs_as_on_aws() {
    if !ruby() {
        return;
    }
    for lab in both_labs() {
        let source = r#"
require 'logger'
$calls = 0
module Things
  class Thing
    def self.process(event:, context:)
      logger = Logger.new($stdout)
      logger.info('from a logger')
      puts "printed #{event['a']}"
      { event: event, calls: $calls += 1, id: context.aws_request_id, name: context.function_name, memory: context.memory_limit_in_mb,
        version: context.function_version, arn: context.invoked_function_arn, group: context.log_group_name,
        left: context.get_remaining_time_in_millis, client: context.client_context,
        env: [ENV['AWS_EXECUTION_ENV'], ENV['MINE'], ENV['_HANDLER'], ENV['GEM_PATH'].split(':')[0].delete_prefix(ENV['LAMBDA_TASK_ROOT']).split('/')[0..2]],
        trace: ENV['_X_AMZN_TRACE_ID'] }
    end
  end
end
"#;
        let mut spec = function(&lab, "app.Things::Thing.process", source);
        spec.env.insert("MINE".into(), "yes".into());
        let spec = Arc::new(spec);
        let mut call = Invocation::new("8f5a", spec.arn.clone(), r#"{"a": "ü"}"#.as_bytes().to_vec());
        call.client_context = Some(r#"{"custom": {"k": 1}}"#.into());
        call.trace_id = Some("Root=1".into());
        let first = lab.compute.invoke(spec.clone(), call).await.unwrap();
        assert_eq!(first.function_error, None, "{} {:?}", text(&first), lab.logs.all());
        let seen = json(&first);
        assert_eq!((&seen["event"], &seen["calls"]), (&object!({"a": "ü"}), &object!(1)));
        assert_eq!(
            (&seen["id"], &seen["name"], &seen["memory"]),
            (&object!("8f5a"), &object!(spec.name), &object!("128"))
        );
        assert_eq!(
            (&seen["arn"], &seen["version"], &seen["group"]),
            (&object!(spec.arn), &object!("$LATEST"), &object!(spec.log_group))
        );
        assert_eq!((&seen["client"]["custom"]["k"], &seen["trace"]), (&object!(1), &object!("Root=1")));
        assert!((1..=10_000).contains(&seen["left"].as_u64().unwrap()), "{seen}");
        assert_eq!(
            seen["env"],
            object!(["AWS_Lambda_ruby3.3", "yes", "app.Things::Thing.process", ["", "vendor", "bundle"]])
        );
        assert!(lab.logs.has("printed ü"), "{:?}", lab.logs.all());
        let line = lab.logs.all().into_iter().find(|line| line.ends_with("from a logger")).unwrap();
        assert!(line.starts_with("I, [20") && line.contains("]  INFO 8f5a -- : "), "{line}");
        let second = lab.call(&spec, "{}").await;
        assert_eq!(
            (&json(&second)["calls"], &second.sandbox, second.init),
            (&object!(2), &first.sandbox, None)
        );
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn errors_carry_lambdas_words() {
    if !ruby() {
        return;
    }
    for lab in both_labs() {
        let failed =
            once(&lab, "def handler(event:, context:)\n  raise ArgumentError, \"no\\nway\"\nend\n").await;
        assert_eq!(failed.function_error, Some(FunctionError::Unhandled));
        let why = json(&failed);
        assert_eq!(
            (&why["errorType"], &why["errorMessage"]),
            (&object!("Function<ArgumentError>"), &object!("no\nway"))
        );
        assert!(why["stackTrace"][0].as_str().unwrap().ends_with("/app.rb:2:in `handler'"), "{why}");
        assert_eq!(why["stackTrace"].as_array().unwrap().len(), 1, "{why}");
        assert!(
            lab.logs
                .all()
                .iter()
                .any(|l| l.starts_with("Error raised from handler method\n{\n  \"errorMessage\"")),
            "{:?}",
            lab.logs.all()
        );

        let missing = once(&lab, "require 'not/there'\n").await;
        assert_eq!(json(&missing)["errorType"], "Init<LoadError>", "{}", text(&missing));
        let broken = once(&lab, "def handler(\n").await;
        assert_eq!(json(&broken)["errorType"], "Init<SyntaxError>", "{}", text(&broken));
        let nobody = lab.call(&Arc::new(function(&lab, "app.other", "x = 1\n")), "{}").await;
        assert_eq!(json(&nobody)["errorType"], "Function<NoMethodError>", "{}", text(&nobody));
        let odd = lab.call(&Arc::new(function(&lab, "a.b.c.d", "x = 1\n")), "{}").await;
        assert!(
            json(&odd)["errorMessage"]
                .as_str()
                .unwrap()
                .starts_with("Invalid handler a.b.c.d, must be of form FILENAME.METHOD")
        );
        let ended = once(&lab, "def handler(event:, context:)\n  exit!(4)\nend\n").await;
        assert!(text(&ended).contains("Runtime exited with error: exit status 4"), "{}", text(&ended));
        let critical =
            once(&lab, "def handler(event:, context:)\n  raise NotImplementedError, 'x'\nend\n").await;
        assert_eq!(json(&critical)["errorType"], "Function<NotImplementedError>", "{}", text(&critical));

        let mut slow = function(&lab, "app.handler", "def handler(event:, context:)\n  sleep 100\nend\n");
        slow.timeout = Duration::from_secs(1);
        let late = lab.call(&Arc::new(slow), "1").await;
        assert_eq!(json(&late)["errorType"], "Sandbox.Timedout", "{}", text(&late));
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn gems_and_libraries_of_layers_are_found() {
    if !ruby() {
        return;
    }
    let lab = lab();
    let layer = lab.state().join("layer.zip");
    std::fs::write(&layer, zip(&[("ruby/lib/shared.rb", b"SHARED = 7\n", 0o644)])).unwrap();
    let mut spec = function(
        &lab,
        "app.handler",
        "require 'shared'\nrequire 'own'\ndef handler(event:, context:) = [SHARED, OWN]\n",
    );
    std::fs::write(
        &spec.code.path,
        zip(&[
            (
                "app.rb",
                b"require 'shared'\nrequire 'own'\ndef handler(event:, context:) = [SHARED, OWN]\n",
                0o644,
            ),
            ("own.rb", b"OWN = 8\n", 0o644),
        ]),
    )
    .unwrap();
    spec.layers = vec![CodeRef { sha256: "layer".into(), path: layer }];
    let result = lab.call(&Arc::new(spec), "{}").await;
    assert_eq!(text(&result), "[7,8]", "{:?}", lab.logs.all());
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn dotnet_is_refused_in_words() {
    let lab = lab();
    let spec = lab.package("dotnet8", "A::B.C::D", &[("x", b"", 0o644)]);
    let refused = lab.compute.prepare(Arc::new(spec)).await.unwrap_err().to_string();
    assert!(refused.contains("dotnet8 is not served") && refused.contains("provided.al2023"), "{refused}");
    lab.compute.shutdown().await;
}
