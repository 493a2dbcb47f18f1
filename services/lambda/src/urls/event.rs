//! The event that a request becomes: payload format version 2.0.
//!
//! Source: Developer Guide, "Request and response payloads" of function URLs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Visit;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE};
use serde_json::{Map, Value, json};

/// The names of the months in `requestContext.time`.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The event. `signed` says that the visitor came with a signature that counted.
pub(super) fn of(visit: &Visit, id: &str, signed: bool) -> Value {
    let cx = &visit.cx;
    let source = cx.origin.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
    let host = cx.origin.host.as_ref();
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| {
        event.insert(name.to_owned(), value);
    };
    put("version", json!("2.0"));
    put("routeKey", json!("$default"));
    put("rawPath", json!(visit.path));
    put("rawQueryString", json!(visit.query));
    let cookies = cookies(&visit.headers);
    if !cookies.is_empty() {
        put("cookies", json!(cookies));
    }
    put("headers", Value::Object(headers(visit, &source, signed)));
    let parameters = parameters(&visit.query);
    if !parameters.is_empty() {
        put("queryStringParameters", Value::Object(parameters));
    }
    let mut context = json!({
        "accountId": "anonymous",
        "apiId": id,
        "domainName": host,
        "domainPrefix": id,
        "http": {
            "method": visit.method.as_str(),
            "path": visit.path,
            "protocol": visit.protocol,
            "sourceIp": source,
            "userAgent": cx.origin.user_agent(),
        },
        "requestId": cx.request_id.as_ref(),
        "routeKey": "$default",
        "stage": "$default",
        "time": written_time(cx.millis()),
        "timeEpoch": cx.millis(),
    });
    if let Some(Ok(caller)) = visit.caller.as_ref().filter(|_| signed) {
        let account = caller.principal.account();
        context["accountId"] = json!(account);
        context["authorizer"] = json!({ "iam": {
            "accessKey": caller.origin.access_key_id.as_deref(),
            "accountId": account,
            "callerId": caller.principal.user_id(),
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": caller.principal.arn(),
            "userId": caller.principal.user_id(),
        }});
    }
    put("requestContext", context);
    if visit.body.is_empty() {
        put("isBase64Encoded", json!(false));
        return Value::Object(event);
    }
    match std::str::from_utf8(&visit.body).ok().filter(|_| is_text(&visit.headers)) {
        Some(text) => {
            put("body", json!(text));
            put("isBase64Encoded", json!(false));
        }
        None => {
            put("body", json!(STANDARD.encode(&visit.body)));
            put("isBase64Encoded", json!(true));
        }
    }
    Value::Object(event)
}

/// Bodies of these types travel as they are; all others in Base64.
fn is_text(headers: &HeaderMap) -> bool {
    let kind =
        headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(kind, "application/json" | "application/xml" | "application/javascript")
}

fn headers(visit: &Visit, source: &str, signed: bool) -> Map<String, Value> {
    let mut out: Map<String, Value> = Map::new();
    for name in visit.headers.keys() {
        // Of the connection, not of the request; and a signature that was checked is nobody else's.
        if *name == CONNECTION || (signed && *name == AUTHORIZATION) {
            continue;
        }
        let values: Vec<_> =
            visit.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        out.insert(name.as_str().to_owned(), json!(values.join(if *name == COOKIE { "; " } else { "," })));
    }
    let origin = &visit.cx.origin;
    out.entry("host").or_insert_with(|| json!(origin.host.as_ref()));
    let port =
        origin.host.rsplit_once(':').map(|(_, port)| port).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let port = port.unwrap_or(if origin.secure() { "443" } else { "80" });
    out.insert("x-forwarded-for".to_owned(), json!(source));
    out.insert("x-forwarded-port".to_owned(), json!(port));
    out.insert("x-forwarded-proto".to_owned(), json!(if origin.secure() { "https" } else { "http" }));
    if origin.secure() {
        out.insert("x-amzn-tls-version".to_owned(), json!("TLSv1.3"));
        out.insert("x-amzn-tls-cipher-suite".to_owned(), json!("TLS_AES_128_GCM_SHA256"));
    }
    out.entry("x-amzn-trace-id").or_insert_with(|| {
        let mut random = [0; 12];
        visit.cx.random().fill(&mut random);
        json!(format!("Root=1-{:08x}-{}", visit.cx.millis() / 1000, hex::encode(random)))
    });
    out
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(';')).map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect()
}

/// Decoded; values of one name are joined with commas.
fn parameters(query: &str) -> Map<String, Value> {
    let mut out: Map<String, Value> = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        match out.get_mut(&name) {
            Some(Value::String(there)) => {
                there.push(',');
                there.push_str(&value);
            }
            _ => {
                out.insert(name, json!(value));
            }
        }
    }
    out
}

/// Source: WHATWG URL, application/x-www-form-urlencoded parsing.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        match (byte, escaped) {
            (_, Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (other, None) => out.push(*other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `12/Mar/2020:19:03:58 +0000`.
fn written_time(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000));
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let month = MONTHS.get(usize::from(u8::from(at.month())) - 1).copied().unwrap_or_default();
    format!(
        "{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000",
        at.day(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_joined() {
        let found = parameters("a=1&b=%20x+y&a=2&c&%zz=%4&&=e");
        assert_eq!(Value::Object(found), json!({"a": "1,2", "b": " x y", "c": "", "%zz": "%4", "": "e"}));
        assert_eq!(decoded("%é%C3%A9"), "%éé");
    }

    #[test]
    fn times_are_written_as_in_access_logs() {
        assert_eq!(written_time(1_584_039_838_123), "12/Mar/2020:19:03:58 +0000");
    }
}
