//! What an honest Node.js function sees and gets. On whatever Node.js this machine has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;
use serde_json::json as object;

fn node(lab: &Lab, name: &str, source: &str) -> FunctionSpec {
    lab.package("nodejs20.x", "index.handler", &[(name, source.as_bytes(), 0o644)])
}

async fn once(lab: &Lab, source: &str) -> InvokeResult {
    lab.call(&Arc::new(node(lab, "index.js", source)), r#"{"a":"ü"}"#).await
}

#[tokio::test]
async fn answers_stays_warm_and_reports() {
    for lab in both_labs() {
        let source = "let n = 0; exports.handler = async (event) => { console.log('hello', ++n); return {n, event, pid: process.pid}; };";
        let spec = Arc::new(node(&lab, "index.js", source));
        let first = lab.call(&spec, r#"{"a": [1, "ü"]}"#).await;
        assert_eq!(first.function_error, None, "{}", text(&first));
        assert_eq!((&json(&first)["n"], &json(&first)["event"]), (&object!(1), &object!({"a": [1, "ü"]})));
        let second = lab.call(&spec, "null").await;
        assert_eq!((&json(&second)["n"], &json(&second)["pid"]), (&object!(2), &json(&first)["pid"]));
        assert_eq!((second.init, &second.sandbox), (None, &first.sandbox));
        let tail = String::from_utf8(second.log_tail).unwrap();
        let line = tail.lines().nth(1).unwrap();
        assert!(line.contains("\t00000000-0000-4000-8000-") && line.ends_with("\tINFO\thello 2"), "{tail}");
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn every_way_to_answer() {
    let lab = lab();
    let cases = [
        ("exports.handler = (e, c, cb) => { setTimeout(() => cb(null, 'called back'), 5); };", "called back"),
        ("exports.handler = (e, c) => { c.succeed('succeeded'); };", "succeeded"),
        ("exports.handler = (e, c) => { c.done(null, 'done'); };", "done"),
        ("exports.handler = (e, c) => Promise.resolve('promised');", "promised"),
        // The event loop is waited for ...
        (
            "exports.handler = (e, c, cb) => { let s = 'early'; setTimeout(() => { global.late = true; }, 50); cb(null, {toJSON: () => global.late ? 'late' : 'early'}); };",
            "late",
        ),
        // ... unless the function does not want that.
        (
            "exports.handler = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; setTimeout(() => { global.late = true; }, 5000); cb(null, {toJSON: () => global.late ? 'late' : 'early'}); };",
            "early",
        ),
    ];
    for (source, answer) in cases {
        let result = once(&lab, source).await;
        assert_eq!((result.function_error, json(&result)), (None, object!(answer)), "{source}");
    }
    for source in [
        "exports.handler = () => {};",
        "exports.handler = async () => {};",
        "exports.handler = () => new Promise(() => {});",
    ] {
        let result = once(&lab, source).await;
        assert_eq!((result.function_error, json(&result)), (None, object!(null)), "{source}");
    }
}

#[tokio::test]
async fn modules_of_every_kind_are_loaded() {
    let lab = lab();
    type Package<'a> = (&'a str, &'a [(&'a str, &'a [u8], u32)]);
    let packages: [Package<'_>; 7] = [
        ("index.handler", &[("index.mjs", b"import fs from 'node:fs'; const t = await Promise.resolve('m'); export const handler = async () => t + typeof fs.readFileSync;", 0o644)]),
        ("index.handler", &[("index.cjs", b"exports.handler = async () => 'mfunction';", 0o644)]),
        ("index.handler", &[("index.js", b"export async function handler() { return 'mfunction'; }", 0o644), ("package.json", b"{\"type\": \"module\"}", 0o644)]),
        ("src/deep/app.lambda.handler", &[("src/deep/app.js", b"exports.lambda = { handler: async () => 'mfunction' };", 0o644)]),
        ("index.handler", &[("index.js", b"const { x } = require('thing'); exports.handler = async () => x;", 0o644), ("node_modules/thing/index.js", b"exports.x = 'mfunction';", 0o644)]),
        ("index.handler", &[("index.mjs", b"import { x } from 'thing'; export const handler = async () => x;", 0o644), ("node_modules/thing/index.js", b"exports.x = 'mfunction';", 0o644)]),
        ("index.handler", &[("index.mjs", b"export default { handler: async () => 'mfunction' };", 0o644)]),
    ];
    for (handler, files) in packages {
        let result = lab.call(&Arc::new(lab.package("nodejs20.x", handler, files)), "{}").await;
        assert_eq!((result.function_error, json(&result)), (None, object!("mfunction")), "{files:?}");
    }
}

#[tokio::test]
async fn layers_are_found_by_require_and_import() {
    let lab = lab();
    let layer = lab.package(
        "nodejs20.x",
        "",
        &[("nodejs/node_modules/layered/index.js", b"exports.x = 'layer';", 0o644)],
    );
    for (name, source) in [
        ("index.js", "const { x } = require('layered'); exports.handler = async () => x;"),
        ("index.mjs", "import { x } from 'layered'; export const handler = async () => x;"),
    ] {
        let mut spec = node(&lab, name, source);
        spec.layers = vec![layer.code.clone()];
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!((result.function_error, json(&result)), (None, object!("layer")), "{name}");
    }
}

#[tokio::test]
async fn errors_carry_lambdas_words() {
    let lab = lab();
    let cases = [
        ("exports.handler = async () => { throw new TypeError('no'); };", "TypeError", "no"),
        ("exports.handler = (e, c, cb) => cb(new RangeError('far'));", "RangeError", "far"),
        ("exports.handler = (e, c, cb) => cb('plain');", "string", "plain"),
        ("exports.handler = (e, c) => c.fail();", "string", "handled"),
        ("exports.other = 1;", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        ("exports.handler = 1;", "Runtime.HandlerNotFound", "index.handler is not a function"),
        ("exports.handler = ;", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token ';'"),
        ("throw new Error('at once');", "Error", "at once"),
        (
            "exports.handler = () => { setTimeout(() => { throw new Error('later'); }, 1); return new Promise(() => {}); };",
            "Error",
            "later",
        ),
        (
            "exports.handler = () => { Promise.reject(new Error('unseen')); return new Promise(r => setTimeout(r, 1000)); };",
            "Runtime.UnhandledPromiseRejection",
            "Error: unseen",
        ),
    ];
    for (source, kind, message) in cases {
        let result = once(&lab, source).await;
        assert_eq!(result.function_error, Some(FunctionError::Unhandled), "{source}");
        assert_eq!(
            (&json(&result)["errorType"], &json(&result)["errorMessage"]),
            (&object!(kind), &object!(message)),
            "{source}"
        );
    }
    let spec = lab.package("nodejs20.x", "gone.handler", &[("index.js", b"", 0o644)]);
    let result = lab.call(&Arc::new(spec), "{}").await;
    assert_eq!(json(&result)["errorType"], "Runtime.ImportModuleError");
    assert_eq!(
        json(&result)["errorMessage"],
        "Error: Cannot find module 'gone'\nRequire stack:\n- /var/runtime/index.mjs"
    );
    assert!(lab.logs.has("\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\",\"errorMessage\":\"no\",\"stack\":[\"TypeError: no\","));
    assert!(
        lab.logs.has("\tERROR\tUncaught Exception \t{\"errorType\":\"Error\",\"errorMessage\":\"later\"")
    );
    assert!(
        lab.logs.has(
            "\tERROR\tUnhandled Promise Rejection \t{\"errorType\":\"Runtime.UnhandledPromiseRejection\""
        )
    );
    let ended = once(&lab, "exports.handler = async () => process.exit(3);").await;
    assert!(
        json(&ended)["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("Error: Runtime exited with error: exit status 3")
    );
}

#[tokio::test]
async fn context_and_environment_are_lambdas() {
    let lab = lab();
    let mut spec = node(
        &lab,
        "index.js",
        "exports.handler = async (e, c) => ({ context: c, left: c.getRemainingTimeInMillis(), env: process.env, cwd: process.cwd(), trace: process.env._X_AMZN_TRACE_ID, hour: new Date(0).getHours() });",
    );
    spec.env = [("MINE".to_owned(), "1".to_owned()), ("TZ".to_owned(), "Asia/Tokyo".to_owned())].into();
    let spec = Arc::new(spec);
    let mut call = Invocation::new("the-id", format!("{}:live", spec.arn), &b"{}"[..]);
    call.client_context = Some(r#"{"custom":{"a":1}}"#.into());
    call.cognito_identity = Some(r#"{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}"#.into());
    call.trace_id = Some("Root=1-2-3".into());
    let said = json(&lab.compute.invoke(spec.clone(), call).await.unwrap());
    let context = &said["context"];
    assert_eq!(context["awsRequestId"], "the-id");
    assert_eq!(context["invokedFunctionArn"], format!("{}:live", spec.arn));
    assert_eq!(
        (&context["functionName"], &context["functionVersion"]),
        (&object!(spec.name), &object!("$LATEST"))
    );
    assert_eq!(
        (&context["memoryLimitInMB"], &context["logGroupName"]),
        (&object!("128"), &object!(spec.log_group))
    );
    assert_eq!(context["clientContext"]["custom"]["a"], 1);
    assert_eq!(context["identity"]["cognitoIdentityId"], "i");
    assert_eq!(context["callbackWaitsForEmptyEventLoop"], true);
    assert!((1..=10_000).contains(&said["left"].as_u64().unwrap()));
    assert_eq!(
        (&said["cwd"], &said["trace"], &said["hour"]),
        (&object!("/var/task"), &object!("Root=1-2-3"), &object!(9))
    );
    let env = &said["env"];
    assert_eq!((&env["MINE"], &env["_HANDLER"]), (&object!("1"), &object!("index.handler")));
    assert_eq!(env["AWS_EXECUTION_ENV"], "AWS_Lambda_nodejs20.x");
    assert_eq!(
        env["NODE_PATH"],
        "/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    );
}

#[tokio::test]
async fn options_that_node_reads_at_its_start_are_honoured() {
    let lab = lab();
    let mut spec = node(
        &lab,
        "index.js",
        "exports.handler = async () => [globalThis.before, process.argv0.length > 0];",
    );
    let hook = ("before.js", &b"globalThis.before = 'first';"[..], 0o644);
    let source = b"exports.handler = async () => globalThis.before;";
    spec.code = lab.package("nodejs20.x", "", &[("index.js", source, 0o644), hook]).code;
    spec.env = [("NODE_OPTIONS".to_owned(), "--require /var/task/before.js".to_owned())].into();
    assert_eq!(json(&lab.call(&Arc::new(spec), "{}").await), "first");
    let wrapper = b"#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n";
    let source = b"exports.handler = async () => process.env.WRAPPED;";
    let mut spec =
        lab.package("nodejs20.x", "index.handler", &[("index.js", source, 0o644), ("wrap", wrapper, 0o755)]);
    spec.env = [("AWS_LAMBDA_EXEC_WRAPPER".to_owned(), "/var/task/wrap".to_owned())].into();
    let result = lab.call(&Arc::new(spec), "{}").await;
    // What the wrapper adds is the function's too.
    assert_eq!(json(&result), "yes", "{}", text(&result));
}

#[tokio::test]
async fn json_logs_have_lambdas_fields_and_levels() {
    let lab = lab();
    let mut spec = node(
        &lab,
        "index.js",
        "exports.handler = async () => { console.debug('quiet'); console.info('two\\nlines'); console.warn({a: 1}); console.error('bad', new TypeError('t')); };",
    );
    spec.log_format = LogFormat::Json { application_level: "INFO".into(), system_level: "WARN".into() };
    let result = lab.call(&Arc::new(spec), "{}").await;
    let lines: Vec<serde_json::Value> =
        lab.logs.all().iter().filter_map(|l| serde_json::from_str(l).ok()).collect();
    assert_eq!(lines.len(), 3, "{:?} {}", lab.logs.all(), text(&result));
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&object!("two\nlines"), &object!("INFO")));
    assert_eq!((&lines[1]["message"], &lines[1]["level"]), (&object!({"a": 1}), &object!("WARN")));
    assert_eq!((&lines[2]["errorType"], &lines[2]["errorMessage"]), (&object!("TypeError"), &object!("t")));
    assert!(lines[0]["requestId"].as_str().unwrap().starts_with("00000000-"));
}

#[tokio::test]
async fn responses_are_streamed() {
    let lab = lab();
    let source = "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
        stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
        stream.write('one,');
        await new Promise((r) => setTimeout(r, 20));
        stream.write('two');
        stream.end();
        await stream.finished;
    });";
    let spec = Arc::new(node(&lab, "index.js", source));
    let (sender, mut parts) = tokio::sync::mpsc::channel(1);
    let call = Invocation { stream: Some(sender), ..Invocation::new("r", spec.arn.clone(), &b"{}"[..]) };
    let compute = lab.compute.clone();
    let running = tokio::spawn({
        let spec = spec.clone();
        async move { compute.invoke(spec, call).await.unwrap() }
    });
    let mut body = Vec::new();
    let mut begun = None;
    let mut chunks = 0;
    while let Some(part) = parts.recv().await {
        match part {
            StreamPart::Begin { content_type } => begun = Some(content_type),
            StreamPart::Chunk(bytes) => {
                chunks += 1;
                body.extend_from_slice(&bytes);
            }
        }
    }
    let result = running.await.unwrap();
    assert_eq!((result.function_error, result.payload.len()), (None, 0), "{}", text(&result));
    assert_eq!(begun.as_deref(), Some("application/vnd.awslambda.http-integration-response"));
    assert_eq!(body, b"{\"statusCode\":201}\0\0\0\0\0\0\0\0one,two");
    assert!(chunks >= 3);
    // Whoever does not stream gets all of it at once.
    let whole = lab.call(&spec, "{}").await;
    assert_eq!((whole.function_error, whole.payload.as_ref()), (None, &body[..]));
    let broken = "exports.handler = awslambda.streamifyResponse(async (e, s) => { s.write('half'); await new Promise((r) => setTimeout(r, 10)); throw new Error('broke'); });";
    let result = once(&lab, broken).await;
    assert_eq!(json(&result)["errorMessage"], "broke");
}

#[tokio::test]
async fn a_timeout_and_too_much_memory_are_told() {
    let lab = lab();
    let mut spec = node(&lab, "index.js", "exports.handler = async () => { for (;;); };");
    spec.timeout = Duration::from_secs(1);
    let result = lab.call(&Arc::new(spec), "{}").await;
    assert!(json(&result)["errorMessage"].as_str().unwrap().ends_with("Task timed out after 1.00 seconds"));
    let hungry =
        "exports.handler = async () => { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)); };";
    let result = once(&lab, hungry).await;
    assert_eq!(json(&result)["errorType"], "Runtime.OutOfMemory", "{}", text(&result));
}
