//! The operation table, the typed operations and the glue to a service's methods.

use crate::model::{Model, Node};
use crate::names::{self, lit};
use crate::reach::{is_events, is_stream};
use crate::served::Served;
use std::fmt::Write;

pub(crate) fn write(out: &mut String, api: &str, model: &Model, served: &[Served]) {
    aliases(out, model, served);
    table(out, api, model, served);
    typed(out, api, served);
    glue(out, api, served);
}

/// `PutObjectInput` and `PutObjectOutput` whatever the model calls the shapes.
fn aliases(out: &mut String, model: &Model, served: &[Served]) {
    for operation in served {
        let op = model.operation(&operation.name);
        for (key, suffix) in [("input", "Input"), ("output", "Output")] {
            let alias = format!("{}{suffix}", operation.name);
            match op.get(key) {
                Some(reference) => {
                    let ty = names::ty(reference.target());
                    if ty != alias {
                        let _ = writeln!(out, "pub type {alias} = {ty};");
                    }
                }
                None => {
                    let _ = writeln!(out, "pub type {alias} = NoMembers;");
                }
            }
        }
    }
}

fn table(out: &mut String, api: &str, model: &Model, served: &[Served]) {
    let meta = model.metadata();
    let prefix = meta.text("endpointPrefix").unwrap_or(api);
    let protocols: Vec<String> = model.protocols().iter().map(|p| protocol(p, meta)).collect();
    let _ = writeln!(
        out,
        "/// What this API serves, and what it does not yet.\npub static API: Api = Api {{\n    name: {},\n    service_id: {},\n    \
         signing_name: {},\n    endpoint_prefix: {},\n    version: {},\n    target_prefix: {},\n    protocols: &[{}],\n    \
         xml_namespace: {},\n    query_compatible: {},\n    error_namespace: {},\n    operations: &[",
        lit(api),
        lit(meta.text("serviceId").unwrap_or(api)),
        lit(meta.text("signingName").unwrap_or(prefix)),
        lit(prefix),
        lit(meta.text("apiVersion").unwrap_or_default()),
        lit(meta.text("targetPrefix").unwrap_or_default()),
        protocols.join(", "),
        lit(meta.text("xmlNamespace").unwrap_or_default()),
        meta.get("awsQueryCompatible").is_some(),
        lit(meta.text("errorNamespace").unwrap_or_default()),
    );
    for operation in served {
        entry(out, model, operation);
    }
    let _ = writeln!(out, "    ],\n    unserved: &[");
    for name in model.operations().keys().filter(|name| served.iter().all(|s| s.name != **name)) {
        let op = model.operation(name);
        let http = op.get("http");
        let input = op.get("input").map(|i| model.shape(i.target()));
        let required = |location: &str| -> Vec<&str> {
            let Some(shape) = input else { return Vec::new() };
            let names = shape.list("required");
            let bound = shape
                .members()
                .into_iter()
                .filter(|(n, m)| names.contains(n) && m.text("location") == Some(location));
            bound.map(|(n, m)| m.text("locationName").unwrap_or(n)).collect()
        };
        let _ = writeln!(
            out,
            "        Unserved {{ name: {}, method: {}, uri: {}, required_query: &{:?}, required_headers: &{:?} }},",
            lit(name),
            lit(http.and_then(|h| h.text("method")).unwrap_or("POST")),
            lit(&uri(model, op)),
            required("querystring"),
            required("header"),
        );
    }
    let _ = writeln!(out, "    ],\n}};\n");
}

/// The request path with labels renamed to the members they bind.
fn uri(model: &Model, op: Node<'_>) -> String {
    let mut uri = op.get("http").and_then(|h| h.text("requestUri")).unwrap_or("/").to_owned();
    let Some(input) = op.get("input") else { return uri };
    for (name, member) in model.shape(input.target()).members() {
        if member.text("location") == Some("uri")
            && let Some(label) = member.text("locationName")
        {
            uri = uri.replace(&format!("{{{label}}}"), &format!("{{{name}}}"));
            uri = uri.replace(&format!("{{{label}+}}"), &format!("{{{name}+}}"));
        }
    }
    uri
}

fn entry(out: &mut String, model: &Model, served: &Served) {
    let op = model.operation(&served.name);
    let http = op.get("http");
    let input = op.get("input").map(|i| i.target());
    let output = op.get("output").map(|o| o.target());
    let payload = |shape: Option<&str>| -> String {
        let Some(shape) = shape else { return "Payload::None".to_owned() };
        let members = model.shape(shape).members();
        let found = members.iter().enumerate().find_map(|(i, (_, m))| {
            if is_events(model, *m) {
                Some(format!("Payload::Events({i})"))
            } else if is_stream(model, *m) {
                Some(format!("Payload::Stream({i})"))
            } else {
                None
            }
        });
        found.unwrap_or_else(|| "Payload::None".to_owned())
    };
    let ty = |shape: Option<&str>| shape.map_or_else(|| "NoMembers".to_owned(), names::ty);
    let schema = |shape: Option<&str>| match shape {
        Some(shape) => format!("&S_{}", shape.replace(|c: char| !c.is_ascii_alphanumeric(), "_")),
        None => "&cloudlet_service::shape::S_NO_MEMBERS".to_owned(),
    };
    let access: Vec<String> = served
        .access
        .iter()
        .map(|(action, resource)| {
            format!("AccessRule {{ action: {}, resource: {} }}", lit(action), lit(resource))
        })
        .collect();
    let errors: Vec<String> =
        op.0.get("errors")
            .and_then(|e| e.as_array())
            .into_iter()
            .flatten()
            .map(|e| {
                let name = Node(e).target();
                let shape = model.shape(name);
                let status = shape.get("error").and_then(|e| e.number("httpStatusCode"));
                format!("({}, {})", lit(name), status.unwrap_or(if shape.flag("fault") { 500 } else { 400 }))
            })
            .collect();
    let checksum = op.flag("httpChecksumRequired")
        || op.get("httpChecksum").is_some_and(|c| c.flag("requestChecksumRequired"));
    let no_auth = op.text("authtype") == Some("none") || op.list("auth").contains(&"smithy.api#noAuth");
    let _ = writeln!(
        out,
        "        Operation {{\n            name: {}, method: {}, uri: {}, status: {}, host_prefix: {}, result_wrapper: {},\n            \
         input: {}, output: {},\n            read_input: |de| Ok(Box::new(<{} as Shape>::read(de)?)),\n            \
         read_output: |de| Ok(Box::new(<{} as Shape>::read(de)?)),\n            \
         input_payload: {}, output_payload: {}, checksum_required: {checksum},\n            access: &[{}], public: {},\n            \
         errors: &[{}],\n        }},",
        lit(&served.name),
        lit(http.and_then(|h| h.text("method")).unwrap_or("POST")),
        lit(&uri(model, op)),
        http.and_then(|h| h.number("responseCode")).unwrap_or(200),
        lit(op.get("endpoint").and_then(|e| e.text("hostPrefix")).unwrap_or_default()),
        lit(op.get("output").and_then(|o| o.text("resultWrapper")).unwrap_or_default()),
        schema(input),
        schema(output),
        ty(input),
        ty(output),
        payload(input),
        payload(output),
        access.join(", "),
        served.public || no_auth,
        errors.join(", "),
    );
}

fn protocol(name: &str, meta: Node<'_>) -> String {
    let protocol = match name {
        "json" if meta.text("jsonVersion") == Some("1.0") => "AwsJson10",
        "json" => "AwsJson11",
        "rest-json" => "RestJson1",
        "rest-xml" => "RestXml",
        "query" => "AwsQuery",
        "ec2" => "Ec2Query",
        "smithy-rpc-v2-cbor" => "RpcV2Cbor",
        other => panic!("unknown protocol {other}"),
    };
    format!("Protocol::{protocol}")
}

fn typed(out: &mut String, api: &str, served: &[Served]) {
    let _ = writeln!(
        out,
        "/// The operations as types: how one service calls another, `cx.cloud.call::<operations::Name>(cx, input)`.\n\
         pub mod operations {{\n    use super::*;\n"
    );
    for (index, operation) in served.iter().enumerate() {
        let name = &operation.name;
        let _ = writeln!(
            out,
            "    /// `{name}`.\n    pub struct {name};\n\n    impl TypedOperation for {name} {{\n        \
             const SERVICE: &'static str = {};\n        const NAME: &'static str = {};\n        \
             const INDEX: usize = {index};\n        type Input = {name}Input;\n        type Output = {name}Output;\n    }}\n",
            lit(api),
            lit(name),
        );
    }
    let _ = writeln!(out, "}}\n");
}

fn glue(out: &mut String, api: &str, served: &[Served]) {
    let _ = writeln!(
        out,
        "/// Writes `api` and `invoke` inside a service's `impl Service`: every operation of `operations.txt` becomes a\n\
         /// call of the method of its name, `async fn put_object(&self, cx: &Context, input: PutObjectInput)`.\n\
         #[macro_export]\nmacro_rules! operations {{\n    () => {{\n        \
         fn api(&self) -> &'static $crate::Api {{\n            &$crate::API\n        }}\n\n        \
         fn invoke<'a>(\n            &'a self,\n            operation: usize,\n            cx: &'a $crate::Context,\n            \
         input: Box<dyn $crate::Structure>,\n        ) -> $crate::BoxFuture<'a, Result<Box<dyn $crate::Structure>, $crate::Error>> {{\n            \
         match operation {{"
    );
    for (index, operation) in served.iter().enumerate() {
        let _ = writeln!(
            out,
            "                {index} => Box::pin(async move {{\n                    \
             let input = $crate::typed_input::<$crate::{}Input>(input)?;\n                    \
             let output = self.{}(cx, input).await?;\n                    \
             Ok(Box::new(output) as Box<dyn $crate::Structure>)\n                }}),",
            operation.name,
            names::field(&operation.name),
        );
    }
    let _ = writeln!(
        out,
        "                _ => Box::pin(async move {{ Err($crate::Error::not_implemented({}, \"Unknown\")) }}),\n            \
         }}\n        }}\n    }};\n}}",
        lit(api)
    );
}
