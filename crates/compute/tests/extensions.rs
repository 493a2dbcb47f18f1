//! Extensions beside a function: told about its life, waited for, and given what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudlet_compute::*;
use common::*;

/// An external extension with a listener for telemetry. What it learns, it prints.
const WATCHER: &str = r#"#!/usr/bin/env python3
import http.client, http.server, json, os, sys, threading

api = os.environ['AWS_LAMBDA_RUNTIME_API']

def ask(method, path, body=None, **headers):
    c = http.client.HTTPConnection(api)
    c.request(method, path, body, {k.replace('_', '-'): v for k, v in headers.items()})
    r = c.getresponse()
    return r.status, r.headers, r.read()

def say(*words):
    print('watcher:', *words, flush=True)

class Listener(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers['Content-Length']))):
            say('telemetry', event['type'], json.dumps(event['record']))
        self.send_response(200)
        self.end_headers()

status, headers, body = ask('POST', '/2020-01-01/extension/register', json.dumps({'events': ['INVOKE', 'SHUTDOWN']}), Lambda_Extension_Name='watcher', Lambda_Extension_Accept_Feature='accountId')
id = headers['Lambda-Extension-Identifier']
say('registered', status, json.dumps(json.loads(body), sort_keys=True))
say('twice', ask('POST', '/2020-01-01/extension/register', '{"events": []}', Lambda_Extension_Name='watcher')[0])
say('nobody', json.loads(ask('GET', '/2020-01-01/extension/event/next')[2])['errorType'])
say('hidden', [n for n in ('_HANDLER', 'LAMBDA_TASK_ROOT', 'AWS_EXECUTION_ENV') if n in os.environ], os.environ['AWS_LAMBDA_FUNCTION_NAME'])
if os.environ.get('SUBSCRIBE'):
    listener = http.server.ThreadingHTTPServer(('', 8080), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    asked = {'schemaVersion': '2022-12-13', 'types': ['platform', 'function'], 'buffering': {'timeoutMs': 25}, 'destination': {'protocol': 'HTTP', 'URI': 'http://sandbox.localdomain:8080/'}}
    say('subscribed', ask('PUT', '/2022-07-01/telemetry', json.dumps(asked), Lambda_Extension_Identifier=id)[0])
if os.environ.get('FAIL') == 'init':
    ask('POST', '/2020-01-01/extension/init/error', '{}', Lambda_Extension_Identifier=id, Lambda_Extension_Function_Error_Type='Watcher.Broken')
    sys.exit(1)
while True:
    status, headers, body = ask('GET', '/2020-01-01/extension/event/next', Lambda_Extension_Identifier=id)
    event = json.loads(body)
    say('event', event['eventType'], event.get('requestId') or event.get('shutdownReason'), bool(headers['Lambda-Extension-Event-Identifier']))
    if event['eventType'] == 'SHUTDOWN':
        sys.exit(0)
    if os.environ.get('FAIL') == 'crash':
        sys.exit(7)
"#;

fn watched(lab: &Lab, source: &str) -> FunctionSpec {
    let mut spec = lab.python(source);
    let layer = lab.state().join(format!("{}-layer.zip", spec.name));
    std::fs::write(&layer, zip(&[("extensions/watcher", WATCHER.as_bytes(), 0o755)])).unwrap();
    spec.layers = vec![CodeRef { sha256: format!("layer-{}", spec.name), path: layer }];
    spec.memory_mb = 256;
    spec
}

async fn heard(lab: &Lab, text: &str) {
    let begin = Instant::now();
    while !lab.logs.has(text) {
        assert!(begin.elapsed() < Duration::from_secs(20), "{text:?} is not in {:#?}", lab.logs.all());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const PLAIN: &str =
    "def handler(event, context):\n    print('at work')\n    return [event, context.aws_request_id]\n";

#[tokio::test]
async fn an_extension_follows_a_functions_life() {
    for lab in both_labs() {
        let spec = Arc::new(watched(&lab, PLAIN));
        for n in 1..3 {
            let result = lab.call(&spec, &n.to_string()).await;
            assert_eq!(result.function_error, None, "{} {:#?}", text(&result), lab.logs.all());
            let id = json(&result)[1].as_str().unwrap().to_owned();
            heard(&lab, &format!("watcher: event INVOKE {id} True")).await;
        }
        let about = format!(
            "watcher: registered 200 {{\"accountId\": \"000000000000\", \"functionName\": \"{}\", \"functionVersion\": \"$LATEST\", \"handler\": \"app.handler\"}}",
            spec.name
        );
        for said in [
            about.as_str(),
            "watcher: twice 403",
            "watcher: nobody Extension.MissingExtensionIdentifier",
            &format!("watcher: hidden [] {}", spec.name),
            "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
        ] {
            heard(&lab, said).await;
        }
        lab.compute.forget(&spec.arn);
        heard(&lab, "watcher: event SHUTDOWN spindown True").await;
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn a_timeout_is_told_as_one() {
    let lab = lab();
    let mut spec = watched(&lab, "import time\ndef handler(event, context):\n    time.sleep(60)\n");
    spec.timeout = Duration::from_secs(1);
    let result = lab.call(&Arc::new(spec), "1").await;
    assert_eq!(json(&result)["errorType"], "Sandbox.Timedout");
    heard(&lab, "watcher: event SHUTDOWN timeout True").await;
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn an_extension_that_fails_fails_the_function() {
    let lab = lab();
    let mut spec = watched(&lab, PLAIN);
    spec.env.insert("FAIL".into(), "init".into());
    let result = lab.call(&Arc::new(spec), "1").await;
    assert_eq!(json(&result)["errorType"], "Watcher.Broken", "{}", text(&result));
    // One that ends while it should work: the next call gets a new sandbox.
    let mut spec = watched(&lab, PLAIN);
    spec.env.insert("FAIL".into(), "crash".into());
    let spec = Arc::new(spec);
    let first = lab.call(&spec, "1").await;
    let second = lab.call(&spec, "1").await;
    assert!(first.sandbox != second.sandbox || second.error_type.as_deref() == Some("Extension.Crash"));
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn telemetry_reaches_a_listener_in_the_sandbox() {
    let lab = lab();
    let mut spec = watched(&lab, PLAIN);
    spec.env.insert("SUBSCRIBE".into(), "1".into());
    let spec = Arc::new(spec);
    let result = lab.call(&spec, "1").await;
    assert_eq!(result.function_error, None, "{} {:#?}", text(&result), lab.logs.all());
    let id = json(&result)[1].as_str().unwrap().to_owned();
    // What it prints between two calls is read with the next one, as on AWS, where sandboxes are frozen meanwhile.
    let kinds = [
        "platform.telemetrySubscription ",
        "platform.initStart ",
        "platform.initRuntimeDone ",
        "platform.extension ",
        "platform.initReport ",
        "platform.start ",
        "platform.runtimeDone ",
        "platform.report {",
        "function \"at work\\n\"",
    ];
    let begin = Instant::now();
    let missing = || {
        kinds.iter().filter(|kind| !lab.logs.has(&format!("watcher: telemetry {kind}"))).collect::<Vec<_>>()
    };
    while !missing().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?} {:#?}", missing(), lab.logs.all());
        tokio::time::sleep(Duration::from_millis(50)).await;
        lab.call(&spec, "1").await;
    }
    assert!(lab.logs.all().iter().any(|l| l.contains("telemetry platform.start") && l.contains(&id)));
    // What it prints itself is not sent back to it without end.
    assert!(!lab.logs.has("telemetry function \"watcher"));
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn a_part_of_the_function_may_be_an_extension() {
    let lab = lab();
    let source = r#"
import http.client, json, os, threading
api = os.environ['AWS_LAMBDA_RUNTIME_API']
seen = []
def ask(method, path, body=None, **headers):
    c = http.client.HTTPConnection(api)
    c.request(method, path, body, {k.replace('_', '-'): v for k, v in headers.items()})
    r = c.getresponse()
    return r.status, r.headers, json.loads(r.read())
refused = ask('POST', '/2020-01-01/extension/register', '{"events": ["SHUTDOWN"]}', Lambda_Extension_Name='inner')
status, headers, _ = ask('POST', '/2020-01-01/extension/register', '{"events": ["INVOKE"]}', Lambda_Extension_Name='inner')
def follow():
    while True:
        seen.append(ask('GET', '/2020-01-01/extension/event/next', Lambda_Extension_Identifier=headers['Lambda-Extension-Identifier'])[2])
threading.Thread(target=follow, daemon=True).start()
def handler(event, context):
    while not any(e['requestId'] == context.aws_request_id for e in seen):
        pass
    late = ask('POST', '/2020-01-01/extension/register', '{"events": []}', Lambda_Extension_Name='late')
    return [refused[0], refused[2]['errorType'], status, late[2]['errorType'], ask('GET', '/2018-06-01/runtime/invocation/next')[0]]
"#;
    let spec = Arc::new(lab.python(source));
    for _ in 0..2 {
        let result = lab.call(&spec, "1").await;
        let expected =
            serde_json::json!([403, "Extension.InvalidEventType", 200, "Extension.RegistrationClosed", 404]);
        assert_eq!(json(&result), expected, "{:?}", lab.logs.all());
    }
    lab.compute.shutdown().await;
}
