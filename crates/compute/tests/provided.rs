//! Runtimes that bring their own program and speak the public Runtime API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;

/// A custom runtime as the Lambda guide teaches it, in Python's standard library only.
const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os, sys
api = os.environ['AWS_LAMBDA_RUNTIME_API']
base = '/2018-06-01/runtime/'
def ask(method, path, body=None, headers={}):
    c = http.client.HTTPConnection(api)
    c.request(method, base + path, body, headers)
    r = c.getresponse()
    return r.status, r.headers, r.read()
if os.environ.get('FAIL_INIT'):
    print(ask('POST', 'init/error', json.dumps({'errorType': 'My.Init', 'errorMessage': 'not today', 'stackTrace': []}), {'Lambda-Runtime-Function-Error-Type': 'My.Init'})[0])
    sys.exit(1)
while True:
    status, headers, body = ask('GET', 'invocation/next')
    id = headers['Lambda-Runtime-Aws-Request-Id']
    event = json.loads(body)
    print('handling', event, flush=True)
    if event == 'fail':
        print(ask('POST', 'invocation/%s/error' % id, json.dumps({'errorType': 'Mine', 'errorMessage': 'm'})))
    elif event == 'wrong':
        out = [ask('POST', 'invocation/other/response', '1')[0], ask('GET', 'nothing')[0]]
        ask('POST', 'invocation/%s/response' % id, json.dumps(out))
    elif event == 'stream':
        def chunks():
            yield b'"one '
            yield b'two"'
        c = http.client.HTTPConnection(api)
        c.request('POST', base + 'invocation/%s/response' % id, chunks(), {'Lambda-Runtime-Function-Response-Mode': 'streaming', 'Transfer-Encoding': 'chunked'}, encode_chunked=True)
        c.getresponse().read()
    elif event == 'half':
        import socket
        host, port = api.split(':')
        s = socket.create_connection((host, int(port)))
        s.sendall(('POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n' % (base, id)).encode())
        s.close()
    elif event == 'trailers':
        import socket
        host, port = api.split(':')
        s = socket.create_connection((host, int(port)))
        s.sendall(('POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n4\r\nhalf\r\n0\r\nLambda-Runtime-Function-Error-Type: My.Reason\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n' % (base, id)).encode())
        s.recv(1000)
        s.close()
    elif event == 'nonsense':
        ask('POST', 'invocation/%s/response' % id, b'{not json')
    elif event == 'big':
        ask('POST', 'invocation/%s/response' % id, b'x' * 7000000)
    elif event == 'exit':
        sys.exit(3)
    else:
        ask('POST', 'invocation/%s/response' % id, json.dumps({'got': event, 'handler': os.environ['_HANDLER'], 'arn': headers['Lambda-Runtime-Invoked-Function-Arn'], 'deadline': int(headers['Lambda-Runtime-Deadline-Ms']), 'trace': headers['Lambda-Runtime-Trace-Id']}))
"#;

#[tokio::test]
async fn the_runtime_api_is_served() {
    for lab in both_labs() {
        let spec = lab.package("provided.al2023", "h", &[("bootstrap", BOOTSTRAP.as_bytes(), 0o755)]);
        let spec = Arc::new(spec);
        let first = lab.call(&spec, "{\"a\": 1}").await;
        assert_eq!(first.function_error, None, "{} {:?}", text(&first), lab.logs.all());
        assert_eq!(json(&first)["got"]["a"], 1);
        assert_eq!(json(&first)["handler"], "h");
        assert_eq!(json(&first)["arn"], spec.arn);
        let again = lab.call(&spec, "2").await;
        assert_eq!(again.sandbox, first.sandbox);
        assert!(lab.logs.has("handling 2"));
        let failed = lab.call(&spec, "\"fail\"").await;
        assert_eq!(json(&failed), serde_json::json!({"errorType": "Mine", "errorMessage": "m"}));
        assert_eq!(failed.function_error, Some(FunctionError::Unhandled));
        assert_eq!(text(&lab.call(&spec, "\"wrong\"").await), "[400, 404]");
        assert_eq!(text(&lab.call(&spec, "\"stream\"").await), "\"one two\"");
        assert_eq!(json(&lab.call(&spec, "\"big\"").await)["errorType"], "Function.ResponseSizeTooLarge");
        let ended = lab.call(&spec, "\"exit\"").await;
        assert!(text(&ended).contains("Runtime exited with error: exit status 3"), "{}", text(&ended));
        assert_eq!(json(&lab.call(&spec, "3").await)["got"], 3);
        lab.compute.shutdown().await;
    }
}

/// Streams that stop half-way, and answers that are no JSON: Lambda passes on what a custom runtime says, and the sandbox
/// lives on.
#[tokio::test]
async fn answers_that_break_off_are_told() {
    for lab in both_labs() {
        let spec = lab.package("provided.al2023", "h", &[("bootstrap", BOOTSTRAP.as_bytes(), 0o755)]);
        let spec = Arc::new(spec);
        let first = lab.call(&spec, "1").await;
        let half = lab.call(&spec, "\"half\"").await;
        assert_eq!(half.function_error, Some(FunctionError::Unhandled));
        assert_eq!(json(&half)["errorType"], "Runtime.TruncatedResponse", "{}", text(&half));
        let trailers = lab.call(&spec, "\"trailers\"").await;
        assert_eq!(trailers.error_type.as_deref(), Some("My.Reason"), "{}", text(&trailers));
        let nonsense = lab.call(&spec, "\"nonsense\"").await;
        assert_eq!((text(&nonsense).as_str(), nonsense.function_error), ("{not json", None));
        // What came before is given to who takes it as it comes; then how it ended.
        let (parts, mut taken) = tokio::sync::mpsc::channel(16);
        let mut call = Invocation::new("half", spec.arn.clone(), &b"\"half\""[..]);
        call.stream = Some(parts);
        let result = lab.compute.invoke(spec.clone(), call).await.unwrap();
        assert_eq!(result.error_type.as_deref(), Some("Runtime.TruncatedResponse"));
        let mut bytes = Vec::new();
        while let Some(part) = taken.recv().await {
            if let StreamPart::Chunk(chunk) = part {
                bytes.extend_from_slice(&chunk);
            }
        }
        assert_eq!(bytes, b"half");
        let again = lab.call(&spec, "2").await;
        assert_eq!((json(&again)["got"].as_u64(), &again.sandbox), (Some(2), &first.sandbox));
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn failures_to_start_are_told_apart() {
    for lab in both_labs() {
        let mut spec = lab.package("provided.al2023", "h", &[("bootstrap", BOOTSTRAP.as_bytes(), 0o755)]);
        spec.env.insert("FAIL_INIT".into(), "1".into());
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!(json(&result)["errorType"], "My.Init");

        let spec = lab.package("provided.al2023", "h", &[("other", b"", 0o755)]);
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!(json(&result)["errorType"], "Runtime.InvalidEntrypoint");
        assert!(
            text(&result).contains("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
        );

        let spec = lab.package("provided.al2023", "h", &[("bootstrap", b"#!/bin/sh\nexit 7\n", 0o755)]);
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert!(text(&result).contains("Runtime exited with error: exit status 7"), "{}", text(&result));

        let mut spec =
            lab.package("provided.al2023", "h", &[("bootstrap", b"#!/bin/sh\nsleep 1000\n", 0o755)]);
        spec.timeout = Duration::from_secs(1);
        lab.compute.prepare(Arc::new(spec)).await.unwrap();
        lab.compute.shutdown().await;
    }
}
