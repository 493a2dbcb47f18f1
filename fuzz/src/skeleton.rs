//! A valid request for every served operation, in any protocol, out of its schema: every member is there once.

use aws_smithy_schema::traits::TimestampFormat;
use aws_smithy_schema::{Schema, ShapeType};
use cloudlet_service::{Api, Operation, Payload, Protocol, rules};
use std::fmt::Write;

/// Recursive shapes are followed this far.
const DEPTH: usize = 6;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;

/// The requests of all operations of an API, in the form of [`crate::request`].
pub(crate) fn requests(api: &Api, protocol: Protocol) -> Vec<Vec<u8>> {
    api.operations.iter().map(|operation| request(api, operation, protocol)).collect()
}

fn request(api: &Api, operation: &Operation, protocol: Protocol) -> Vec<u8> {
    let scope = api.signing_name;
    let (target, name) = (api.target_prefix, operation.name);
    let mut body = Vec::new();
    let head = match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 => {
            body = json(operation.input, 0).into_bytes();
            let version = if protocol == Protocol::AwsJson10 { "1.0" } else { "1.1" };
            format!(
                "POST /\nscope: {scope}\nx-amz-target: {target}.{name}\ncontent-type: application/x-amz-json-{version}"
            )
        }
        Protocol::RpcV2Cbor => {
            cbor(operation.input, 0, &mut body);
            format!(
                "POST /service/{target}/operation/{name}\nscope: {scope}\nsmithy-protocol: rpc-v2-cbor\ncontent-type: application/cbor"
            )
        }
        Protocol::AwsQuery | Protocol::Ec2Query => {
            let mut text = format!("Action={name}&Version={}", api.version);
            form(operation.input, "", protocol == Protocol::Ec2Query, 0, &mut text);
            body = text.into_bytes();
            format!("POST /\nscope: {scope}\ncontent-type: application/x-www-form-urlencoded")
        }
        Protocol::RestJson1 | Protocol::RestXml => rest(operation, protocol, scope, &mut body),
    };
    [head.as_bytes(), b"\n\n", &body].concat()
}

/// Distributes the members over path, query, headers and body.
fn rest(operation: &Operation, protocol: Protocol, scope: &str, body: &mut Vec<u8>) -> String {
    let mut uri = operation.uri.to_owned();
    let mut headers = String::new();
    let mut rest = Vec::new();
    for member in operation.input.members() {
        let name = member.member_name().unwrap_or_default();
        if member.http_label().is_some() {
            uri = uri
                .replace(&format!("{{{name}}}"), &text(member))
                .replace(&format!("{{{name}+}}"), "folder/key%20x");
        } else if let Some(query) = member.http_query() {
            // What is not demanded would only switch on features that exclude each other.
            if rules::of(member).is_some_and(|r| r.required)
                || name.contains("Max")
                || name.contains("Prefix")
            {
                let mark = if uri.contains('?') { '&' } else { '?' };
                let _ = write!(uri, "{mark}{}={}", query.value(), escaped(&text(member)));
            }
        } else if let Some(header) = member.http_header().and_then(|h| h.value_static()) {
            if rules::of(member).is_some_and(|r| r.required) || header == "content-type" {
                let _ = write!(headers, "\n{}: {}", header.to_ascii_lowercase(), text(member));
            }
        } else if member.http_prefix_headers().is_some() {
            headers.push_str("\nx-amz-meta-a: b");
        } else if member.http_payload().is_some() {
            *body = match member.shape_type() {
                ShapeType::Structure | ShapeType::Union if protocol == Protocol::RestXml => {
                    xml_document(member).into_bytes()
                }
                ShapeType::Structure | ShapeType::Union => json(member, 1).into_bytes(),
                _ => b"some bytes".to_vec(),
            };
        } else if member.http_query_params().is_none() {
            rest.push(*member);
        }
    }
    if body.is_empty() && !rest.is_empty() && matches!(operation.input_payload, Payload::None) {
        if protocol == Protocol::RestXml {
            let inner: String = rest.iter().map(|m| xml(m, 1)).collect();
            *body = format!("<{0}>{inner}</{0}>", operation.name).into_bytes();
        } else {
            *body = json_members(&rest, 0).into_bytes();
        }
    }
    format!("{} {uri}\nscope: {scope}{headers}", operation.method)
}

/// A text that the member's constraints like, as far as its name tells.
fn text(schema: &Schema<'_>) -> String {
    match schema.shape_type() {
        ShapeType::Boolean => return "true".to_owned(),
        ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long | ShapeType::BigInteger => {
            let rules = rules::of(schema);
            let least = rules.and_then(|r| r.min).unwrap_or(1).max(1);
            return rules.and_then(|r| r.max).map_or(least, |max| least.min(max)).to_string();
        }
        ShapeType::Float | ShapeType::Double | ShapeType::BigDecimal => return "1.5".to_owned(),
        ShapeType::Blob => return "c29tZSBieXRlcw==".to_owned(),
        ShapeType::Timestamp => {
            let header = schema.http_header().is_some();
            return match schema.timestamp_format().map(|t| t.format()) {
                Some(TimestampFormat::EpochSeconds) => "1700000000".to_owned(),
                Some(TimestampFormat::HttpDate) => "Tue, 14 Nov 2023 22:13:20 GMT".to_owned(),
                None if header => "Tue, 14 Nov 2023 22:13:20 GMT".to_owned(),
                _ => "2023-11-14T22:13:20Z".to_owned(),
            };
        }
        _ => {}
    }
    if let Some(first) = rules::of(schema).and_then(|r| r.values.first()) {
        return (*first).to_owned();
    }
    let name = schema.member_name().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let known: &[(&str, &str)] = &[
        ("assumerolepolicydocument", TRUST),
        ("policydocument", POLICY),
        ("policyarn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("copysource", "fuzz/folder/key"),
        ("bucket", "fuzz"),
        ("filterpattern", "ERROR -\"health check\""),
        ("loggroupname", "/fuzz"),
        ("loggroupidentifier", "/fuzz"),
        ("arn", "arn:aws:iam::000000000000:role/fuzz"),
        ("role", "fuzz"),
        ("path", "/"),
        ("uploadid", "AAAA"),
        ("runtime", "python3.13"),
        ("handler", "index.handler"),
        ("policy", POLICY),
    ];
    let found = known.iter().find(|(part, _)| lower.ends_with(part));
    found.map_or_else(|| "fuzz".to_owned(), |(_, value)| (*value).to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn json(schema: &Schema<'_>, depth: usize) -> String {
    match schema.shape_type() {
        _ if depth > DEPTH => "null".to_owned(),
        ShapeType::Structure => json_members(schema.members(), depth),
        ShapeType::Union => json_members(schema.members().get(..1).unwrap_or_default(), depth),
        ShapeType::List => format!("[{}]", schema.member().map(|m| json(m, depth + 1)).unwrap_or_default()),
        ShapeType::Map => {
            format!("{{\"key\":{}}}", schema.member().map_or("null".to_owned(), |m| json(m, depth + 1)))
        }
        ShapeType::Document => "{\"a\":[1,null,\"b\"]}".to_owned(),
        ShapeType::String | ShapeType::Blob => quoted(&text(schema)),
        ShapeType::Timestamp => match schema.timestamp_format().map(|t| t.format()) {
            None | Some(TimestampFormat::EpochSeconds) => "1700000000.5".to_owned(),
            _ => quoted(&text(schema)),
        },
        _ => text(schema),
    }
}

fn json_members(members: &[&Schema<'_>], depth: usize) -> String {
    let pair = |m: &&Schema<'_>| {
        let name = m.json_name().map_or(m.member_name().unwrap_or_default(), |n| n.value());
        format!("{}:{}", quoted(name), json(m, depth + 1))
    };
    format!("{{{}}}", members.iter().map(pair).collect::<Vec<_>>().join(","))
}

fn xml_name<'a>(schema: &'a Schema<'_>, otherwise: &'a str) -> &'a str {
    schema.xml_name().map_or(schema.member_name().unwrap_or(otherwise), |n| n.value())
}

fn xml_document(schema: &Schema<'_>) -> String {
    let name = xml_name(schema, "Root");
    format!(
        "<?xml version=\"1.0\"?><{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</{name}>",
        xml_inner(schema, 0)
    )
}

fn xml(schema: &Schema<'_>, depth: usize) -> String {
    let name = xml_name(schema, "x");
    match schema.shape_type() {
        ShapeType::List if schema.xml_flattened() => {
            let inner = schema.member().map(|m| xml_inner(m, depth + 1)).unwrap_or_default();
            format!("<{name}>{inner}</{name}>").repeat(2)
        }
        _ => format!("<{name}>{}</{name}>", xml_inner(schema, depth)),
    }
}

fn xml_inner(schema: &Schema<'_>, depth: usize) -> String {
    match schema.shape_type() {
        _ if depth > DEPTH => String::new(),
        ShapeType::Structure => schema.members().iter().map(|m| xml(m, depth + 1)).collect(),
        ShapeType::Union => schema.members().first().map(|m| xml(m, depth + 1)).unwrap_or_default(),
        ShapeType::List => schema.member().map_or(String::new(), |m| {
            let name = m.xml_name().map_or("member", |n| n.value());
            format!("<{name}>{}</{name}>", xml_inner(m, depth + 1))
        }),
        ShapeType::Map => {
            let value = schema.member().map(|m| xml_inner(m, depth + 1)).unwrap_or_default();
            format!("<entry><key>a</key><value>{value}</value></entry>")
        }
        _ => text(schema).replace('&', "&amp;").replace('<', "&lt;"),
    }
}

fn form(schema: &Schema<'_>, prefix: &str, ec2: bool, depth: usize, out: &mut String) {
    match schema.shape_type() {
        _ if depth > DEPTH => {}
        ShapeType::Structure | ShapeType::Union => {
            for member in schema.members() {
                let mut name = xml_name(member, "x").to_owned();
                if ec2 && let Some(first) = name.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                form(member, &path, ec2, depth + 1, out);
            }
        }
        ShapeType::List => {
            if let Some(member) = schema.member() {
                let name = member.xml_name().map_or("member", |n| n.value());
                let path = if ec2 || schema.xml_flattened() {
                    format!("{prefix}.1")
                } else {
                    format!("{prefix}.{name}.1")
                };
                form(member, &path, ec2, depth + 1, out);
            }
        }
        ShapeType::Map => {
            let path =
                if schema.xml_flattened() { format!("{prefix}.1") } else { format!("{prefix}.entry.1") };
            let _ = write!(out, "&{path}.key=a");
            if let Some(member) = schema.member() {
                form(member, &format!("{path}.value"), ec2, depth + 1, out);
            }
        }
        _ => {
            let _ = write!(out, "&{prefix}={}", escaped(&text(schema)));
        }
    }
}

/// The one member of a list or a map.
fn cbor_member(schema: &Schema<'_>, depth: usize, out: &mut Vec<u8>) {
    match schema.member() {
        Some(member) => cbor(member, depth + 1, out),
        None => out.push(0xf6),
    }
}

/// A head of CBOR: the major type and a length. Source: RFC 8949, section 3.
fn cbor_head(major: u8, length: usize, out: &mut Vec<u8>) {
    match length {
        0..24 => out.push(major << 5 | length as u8),
        24..256 => out.extend([major << 5 | 24, length as u8]),
        _ => {
            out.push(major << 5 | 25);
            out.extend((length as u16).to_be_bytes());
        }
    }
}

fn cbor_text(text: &str, out: &mut Vec<u8>) {
    cbor_head(3, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn cbor(schema: &Schema<'_>, depth: usize, out: &mut Vec<u8>) {
    match schema.shape_type() {
        _ if depth > DEPTH => out.push(0xf6),
        ShapeType::Structure | ShapeType::Union => {
            let most = if schema.shape_type() == ShapeType::Union { 1 } else { usize::MAX };
            let members = &schema.members()[..schema.members().len().min(most)];
            cbor_head(5, members.len(), out);
            for member in members {
                cbor_text(member.member_name().unwrap_or_default(), out);
                cbor(member, depth + 1, out);
            }
        }
        ShapeType::List => {
            cbor_head(4, 1, out);
            cbor_member(schema, depth, out);
        }
        ShapeType::Map => {
            cbor_head(5, 1, out);
            cbor_text("key", out);
            cbor_member(schema, depth, out);
        }
        ShapeType::Boolean => out.push(0xf5),
        ShapeType::Float | ShapeType::Double => out.extend([0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
        // Tag 1: seconds since the epoch.
        ShapeType::Timestamp => out.extend([0xc1, 0x1a, 0x65, 0x53, 0xf1, 0x00]),
        ShapeType::Blob => out.extend(b"\x44some"),
        ShapeType::String => cbor_text(&text(schema), out),
        _ => out.push(1),
    }
}
