//! What an honest Python function sees and gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;

#[tokio::test]
async fn answers_stays_warm_and_reports() {
    for lab in both_labs() {
        let spec = Arc::new(lab.python(
            "import os\nn = 0\ndef handler(event, context):\n    global n\n    n += 1\n    print('hello', n)\n    return {'n': n, 'got': event, 'pid': os.getpid()}\n",
        ));
        let first = lab.call(&spec, r#"{"a": [1, "ü"]}"#).await;
        assert_eq!(first.function_error, None, "{}", text(&first));
        assert_eq!(json(&first)["n"], 1);
        assert_eq!(json(&first)["got"], serde_json::json!({"a": [1, "ü"]}));
        assert!(first.init.is_some());
        let second = lab.call(&spec, "null").await;
        assert_eq!(json(&second)["n"], 2);
        assert_eq!(json(&second)["pid"], json(&first)["pid"]);
        assert_eq!((second.init, &second.sandbox), (None, &first.sandbox));
        let tail = String::from_utf8(second.log_tail).unwrap();
        let lines: Vec<_> = tail.lines().collect();
        assert_eq!(lines.len(), 4, "{tail}");
        assert!(
            lines[0].starts_with("START RequestId: ") && lines[0].ends_with(" Version: $LATEST"),
            "{tail}"
        );
        assert_eq!(lines[1], "hello 2");
        assert!(lines[2].starts_with("END RequestId: "), "{tail}");
        assert!(
            lines[3].starts_with("REPORT RequestId: ") && lines[3].contains("\tMemory Size: 128 MB\t"),
            "{tail}"
        );
        assert_eq!(lab.logs.all().len(), 8);
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn errors_carry_lambdas_words() {
    let lab = lab();
    let cases: [(&str, &str, &str, &str); 7] = [
        ("app.handler", "def handler(e, c):\n    raise ValueError('no')\n", "ValueError", "no"),
        (
            "gone.handler",
            "",
            "Runtime.ImportModuleError",
            "Unable to import module 'gone': No module named 'gone'",
        ),
        ("app.gone", "", "Runtime.HandlerNotFound", "Handler 'gone' missing on module 'app'"),
        (
            "app.handler",
            "def handler(e, c)\n    pass\n",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': expected ':' (app.py, line 1)",
        ),
        (
            "app.handler",
            "def handler(e, c):\n    return {1, 2}\n",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "sys.handler",
            "",
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
        ("app.handler", "1 / 0\n", "ZeroDivisionError", "division by zero"),
    ];
    for (handler, source, kind, message) in cases {
        let spec = lab.package("python3.11", handler, &[("app.py", source.as_bytes(), 0o644)]);
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!(result.function_error, Some(FunctionError::Unhandled), "{handler} {source}");
        assert_eq!(json(&result)["errorType"], kind);
        assert_eq!(json(&result)["errorMessage"], message);
        assert!(json(&result)["stackTrace"].is_array(), "{}", text(&result));
        assert_eq!(result.error_type.as_deref(), Some(kind));
        assert!(lab.logs.has(&format!("[ERROR] {kind}: {message}\nTraceback (most recent call last):")));
    }
    let result = lab.once("def inner():\n    raise KeyError('k')\ndef handler(e, c):\n    inner()\n").await;
    let trace = json(&result)["stackTrace"].clone();
    assert_eq!(trace[0], "  File \"/var/task/app.py\", line 4, in handler\n    inner()\n");
    assert_eq!(trace[1], "  File \"/var/task/app.py\", line 2, in inner\n    raise KeyError('k')\n");
    assert_eq!(json(&result)["requestId"].as_str().unwrap().len(), 36);
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn context_and_environment_are_lambdas() {
    let lab = lab();
    let mut spec = lab.python(
        "import os, sys\ndef handler(e, c):\n    return {'env': dict(os.environ), 'path': sys.path, 'cwd': os.getcwd(), 'left': c.get_remaining_time_in_millis(), 'ctx': [c.aws_request_id, c.function_name, c.function_version, c.memory_limit_in_mb, c.invoked_function_arn, c.log_group_name, c.log_stream_name], 'custom': c.client_context.custom, 'app': c.client_context.client.app_title, 'identity': c.identity.cognito_identity_id}\n",
    );
    spec.env.insert("MINE".into(), "yes".into());
    spec.env.insert("AWS_REGION".into(), "not this".into());
    spec.region = "eu-central-1".into();
    spec.credentials = Some(Arc::new(|| {
        Box::pin(async {
            Ok(Credentials {
                access_key_id: "ASIAX".into(),
                secret_access_key: "secret".into(),
                session_token: "token".into(),
                expiration: std::time::SystemTime::now() + Duration::from_secs(3600),
            })
        })
    }));
    let spec = Arc::new(spec);
    let mut call =
        Invocation::new("00000000-1111-4222-8333-444444444444", format!("{}:live", spec.arn), &b"{}"[..]);
    call.client_context = Some(r#"{"custom": {"a": 1}, "client": {"app_title": "T"}}"#.into());
    call.cognito_identity = Some(r#"{"cognitoIdentityId": "id-1"}"#.into());
    call.trace_id = Some("Root=1-2-3".into());
    let result = lab.compute.invoke(spec.clone(), call).await.unwrap();
    let seen = json(&result);
    let env = &seen["env"];
    for (name, value) in [
        ("MINE", "yes"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("_HANDLER", "app.handler"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("AWS_ACCESS_KEY_ID", "ASIAX"),
        ("AWS_SESSION_TOKEN", "token"),
        ("TZ", ":UTC"),
        ("_X_AMZN_TRACE_ID", "Root=1-2-3"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    assert_eq!(seen["cwd"], "/var/task");
    assert_eq!(seen["path"][0], "/var/task");
    assert_eq!(seen["ctx"][0], "00000000-1111-4222-8333-444444444444");
    assert_eq!(seen["ctx"][3], "128");
    assert_eq!(seen["ctx"][4], format!("{}:live", spec.arn));
    assert_eq!(seen["ctx"][6], result.log_stream);
    assert!((9000..=10000).contains(&seen["left"].as_u64().unwrap()));
    assert_eq!((&seen["custom"]["a"], &seen["app"]), (&serde_json::json!(1), &serde_json::json!("T")));
    assert_eq!(seen["identity"], "id-1");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn logging_has_lambdas_format_and_records_stay_whole() {
    let lab = lab();
    let source = "import logging\nlog = logging.getLogger()\nlog.setLevel('INFO')\ndef handler(e, c):\n    log.info('two\\nlines')\n    print('plain', end='')\n";
    lab.once(source).await;
    let record = lab.logs.all().into_iter().find(|line| line.starts_with("[INFO]\t")).unwrap();
    let parts: Vec<_> = record.split('\t').collect();
    assert_eq!(parts.len(), 4);
    assert!(parts[1].ends_with('Z') && parts[1].len() == 24, "{record}");
    assert_eq!((parts[2].len(), parts[3]), (36, "two\nlines"));
    assert!(lab.logs.all().contains(&"plain".to_owned()));

    let mut spec = lab.python(source);
    spec.log_format = LogFormat::Json { application_level: "INFO".into(), system_level: "INFO".into() };
    let result = lab.call(&Arc::new(spec), "{}").await;
    let tail = String::from_utf8(result.log_tail).unwrap();
    let events: Vec<serde_json::Value> =
        tail.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(events[0]["type"], "platform.start");
    assert_eq!((&events[1]["level"], &events[1]["message"]), (&"INFO".into(), &"two\nlines".into()));
    assert_eq!(events[2]["type"], "platform.report");
    assert_eq!(events[2]["record"]["metrics"]["memorySizeMB"], 128);
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn layers_are_merged_in_order_and_importable() {
    for lab in both_labs() {
        let layer = |name: &str, files: &[(&str, &[u8], u32)]| {
            let path = lab.state().join(format!("{name}.zip"));
            std::fs::write(&path, zip(files)).unwrap();
            CodeRef { sha256: format!("layer-{name}"), path }
        };
        let mut spec = lab.python("import one, two\ndef handler(e, c):\n    return [one.NAME, two.NAME]\n");
        spec.layers = vec![
            layer(
                "a",
                &[
                    ("python/one.py", b"NAME = 'one of a'", 0o644),
                    ("python/two.py", b"NAME = 'two of a'", 0o644),
                ],
            ),
            layer("b", &[("python/two.py", b"NAME = 'two of b'", 0o600)]),
        ];
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!(json(&result), serde_json::json!(["one of a", "two of b"]));
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn concurrency_grows_to_the_limit_and_then_waits_or_refuses() {
    let lab = lab_with(|config| config.max_concurrency = 3);
    let spec = Arc::new(lab.python("import time\ndef handler(e, c):\n    time.sleep(e)\n    return 1\n"));
    let calls: Vec<_> = (0..9).map(|_| lab.call(&spec, "0.2")).collect();
    let results = futures(calls).await;
    let sandboxes: std::collections::BTreeSet<_> = results.iter().map(|r| r.sandbox.clone()).collect();
    assert!(results.iter().all(|r| r.function_error.is_none()));
    assert_eq!(sandboxes.len(), 3);
    assert_eq!(lab.compute.usage().idle, 3);

    let busy: Vec<_> = (0..3)
        .map(|n| {
            let (compute, spec) = (lab.compute.clone(), spec.clone());
            tokio::spawn(async move {
                compute
                    .invoke(spec.clone(), Invocation::new(format!("b{n}"), spec.arn.clone(), &b"1"[..]))
                    .await
            })
        })
        .collect();
    while lab.compute.usage().busy < 3 {
        tokio::task::yield_now().await;
    }
    let refused =
        lab.compute.try_invoke(spec.clone(), Invocation::new("r", spec.arn.clone(), &b"0"[..])).await;
    assert!(matches!(refused, Err(ComputeError::AtCapacity { max_concurrency: 3, .. })));
    for call in busy {
        call.await.unwrap().unwrap();
    }
    // Another function takes the place of an idle sandbox.
    let other = lab.once("def handler(e, c):\n    return 'mine'\n").await;
    assert_eq!(text(&other), "\"mine\"");
    lab.compute.forget(&spec.arn);
    assert_eq!(lab.compute.usage().idle, 1);
    lab.compute.shutdown().await;
    let gone = lab.compute.invoke(spec.clone(), Invocation::new("g", spec.arn.clone(), &b"0"[..])).await;
    assert!(matches!(gone, Err(ComputeError::Gone)));
}

/// All of them at once, in one task.
async fn futures<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, result) in &mut all {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *result = Some(value);
            }
        }
        if all.iter().all(|(_, result)| result.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, result)| result).collect()
}

#[tokio::test]
async fn a_missing_version_runs_on_the_nearest_and_says_so() {
    let lab = lab();
    let spec = lab.package(
        "python3.99",
        "app.handler",
        &[("app.py", b"import sys\ndef handler(e, c):\n    return sys.version_info[1]\n", 0o644)],
    );
    let result = lab.call(&Arc::new(spec), "{}").await;
    assert_eq!(result.function_error, None);
    assert!(lab.logs.has("WARNING: python3.99 is not installed here; running on Python 3."));
    let mut spec = lab.python("");
    spec.runtime = "cobol2025".into();
    let refused = lab.compute.prepare(Arc::new(spec)).await.unwrap_err();
    assert!(refused.to_string().contains("python3.9 to python3.14"), "{refused}");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn new_code_gets_a_new_sandbox_and_a_new_revision_does_not_see_the_old() {
    let lab = lab();
    let one = Arc::new(lab.python("def handler(e, c):\n    return 'old'\n"));
    assert_eq!(text(&lab.call(&one, "{}").await), "\"old\"");
    let mut two = (*one).clone();
    let other = lab.python("def handler(e, c):\n    return 'new'\n");
    two.code = other.code;
    two.revision = "2".into();
    assert_eq!(text(&lab.call(&Arc::new(two), "{}").await), "\"new\"");
    lab.compute.shutdown().await;
}

#[test]
fn the_probe_tells_what_this_machine_has() {
    let found = probe(std::path::Path::new(env!("CARGO_BIN_EXE_cloudlet-compute-child")));
    let names: Vec<_> = found.iter().map(|c| c.name.as_str()).collect();
    for name in ["user namespace", "pid namespace", "seccomp", "memory limit", "sandboxes", "python"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(found.iter().any(|c| c.name == "python" && c.available && c.detail.contains("3.")));
    assert!(found.iter().all(|c| !c.detail.is_empty()));
}

#[tokio::test]
async fn json_logs_are_filtered_by_their_levels() {
    const SOURCE: &str = "import logging\ndef handler(event, context):\n    log = logging.getLogger('mine')\n    log.debug('quiet')\n    log.info('usual', extra={'order': 7})\n    log.warning('loud')\n    print('plain')\n    if event == 'fail':\n        raise KeyError('lost')\n";
    let lab = lab();
    let seen = async |application: &str, system: &str, event: &str| {
        let mut spec = lab.python(SOURCE);
        spec.log_format =
            LogFormat::Json { application_level: application.to_owned(), system_level: system.to_owned() };
        let before = lab.logs.all().len();
        lab.call(&Arc::new(spec), event).await;
        let lines = lab.logs.all().split_off(before);
        let records = lines.iter().map(|line| serde_json::from_str(line).unwrap_or(serde_json::Value::Null));
        records.collect::<Vec<serde_json::Value>>()
    };
    let find = |records: &[serde_json::Value], message: &str| {
        records.iter().find(|record| record["message"] == message).cloned()
    };
    let kinds = |records: &[serde_json::Value]| -> Vec<String> {
        records.iter().filter_map(|record| record["type"].as_str().map(str::to_owned)).collect()
    };
    let all = seen("DEBUG", "INFO", "1").await;
    assert_eq!(kinds(&all), ["platform.start", "platform.report"], "{all:?}");
    let usual = find(&all, "usual").unwrap();
    assert_eq!(
        (&usual["level"], &usual["logger"], &usual["order"]),
        (&"INFO".into(), &"mine".into(), &7.into())
    );
    assert!(
        usual["requestId"].as_str().unwrap().len() > 8 && usual["timestamp"].as_str().unwrap().ends_with('Z')
    );
    assert!(find(&all, "quiet").is_some() && find(&all, "loud").is_some());
    let report = all.iter().find(|record| record["type"] == "platform.report").unwrap();
    assert_eq!(
        (&report["record"]["status"], &report["record"]["metrics"]["memorySizeMB"]),
        (&"success".into(), &128.into())
    );

    let few = seen("WARN", "WARN", "1").await;
    assert_eq!(kinds(&few), Vec::<String>::new(), "{few:?}");
    assert!(find(&few, "usual").is_none() && find(&few, "loud").is_some());
    let failed = seen("ERROR", "WARN", "\"fail\"").await;
    assert!(find(&failed, "loud").is_none());
    let error = failed.iter().find(|record| record["errorType"] == "KeyError").unwrap();
    assert_eq!((&error["level"], &error["errorMessage"]), (&"ERROR".into(), &"'lost'".into()));
    lab.compute.shutdown().await;
}
