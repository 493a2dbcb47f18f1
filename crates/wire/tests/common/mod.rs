//! Requests and answers as short texts.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Api;
use cloudlet_wire::{Router, echo};
use serde_json::{Value, json};
use std::sync::LazyLock;

static APIS: LazyLock<Vec<&'static Api>> = LazyLock::new(|| {
    let mut apis = cloudlet_test_api::APIS.to_vec();
    apis.extend([&cloudlet_api_s3::API, &cloudlet_api_sts::API, &cloudlet_api_lambda::API]);
    apis
});

static ROUTER: LazyLock<Router> = LazyLock::new(|| Router::new(&APIS));

fn ask(asked: Value) -> Value {
    serde_json::from_str(&echo::answer(&ROUTER, &APIS, &asked.to_string())).unwrap()
}

/// Reads a request: its first line, its headers, an empty line, its body. Gives `Operation {input}` or
/// `Code (status): message`.
pub fn read(service: &str, request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    read_bytes(service, head, body.as_bytes())
}

pub fn read_bytes(service: &str, head: &str, body: &[u8]) -> String {
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: serde_json::Map<String, Value> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.into())).collect();
    let host = headers.get("host").cloned().unwrap_or_default();
    let got = ask(json!({
        "do": "read", "service": (!service.is_empty()).then_some(service), "method": method, "path": path,
        "query": query, "headers": headers, "host": host, "body": STANDARD.encode(body),
    }));
    if let Some(error) = got.get("error") {
        return format!("{} ({}): {}", text(&error["code"]), error["status"], text(&error["message"]));
    }
    let mut out = format!("{} {}", text(&got["operation"]), got["input"]);
    if let Some(stream) = got["stream"].as_str() {
        out.push_str(&format!(" <{}>", String::from_utf8_lossy(&STANDARD.decode(stream).unwrap())));
    }
    if let Some(violations) = got["violations"].as_str() {
        out.push_str(&format!(" !{violations}"));
    }
    out
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Writes an output: status, headers sorted, an empty line, the body. Request ids are left out.
pub fn write(api: &str, protocol: &str, operation: &str, output: Value) -> String {
    shown(ask(
        json!({"do": "write", "service": api, "protocol": protocol, "operation": operation, "output": output}),
    ))
}

/// The same with a stream as payload.
pub fn write_stream(api: &str, operation: &str, output: Value, stream: &[u8]) -> String {
    let stream = STANDARD.encode(stream);
    shown(ask(
        json!({"do": "write", "service": api, "operation": operation, "output": output, "stream": stream}),
    ))
}

/// Writes an error.
pub fn fail(api: &str, protocol: &str, code: &str, status: u16, message: &str) -> String {
    shown(ask(json!({
        "do": "fail", "service": api, "protocol": protocol, "code": code, "status": status, "message": message
    })))
}

fn shown(got: Value) -> String {
    assert!(got.get("wrong").is_none(), "{got}");
    let mut headers: Vec<String> = got["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| format!("{}: {}", text(&h[0]), text(&h[1])))
        .filter(|h| !h.contains("0a1b2c3d-") && !h.starts_with("x-amz-"))
        .collect();
    headers.sort();
    let body = STANDARD.decode(text(&got["body"])).unwrap();
    let body = String::from_utf8(body)
        .unwrap_or_else(|e| e.into_bytes().iter().map(|b| format!("{b:02x}")).collect());
    format!("{}\n{}\n\n{body}", got["status"], headers.join("\n"))
}
