//! The plain Rust types: a struct for each structure, an enum for each union, constants for each enumeration.

use crate::model::{Model, Node};
use crate::names;
use crate::reach::{Reached, is_events, is_stream};
use std::fmt::Write;

/// A member of a structure, with everything the writers ask of it.
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) field: String,
    pub(crate) reference: Node<'a>,
    pub(crate) target: &'a str,
    pub(crate) index: usize,
    /// Whether the model requires it.
    pub(crate) must: bool,
    /// Its number among the required members whose field is a plain value. Types without a natural default
    /// (timestamps, documents) stay optional.
    pub(crate) required: Option<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Value,
    Stream,
    Events,
}

pub(crate) fn members<'a>(model: &'a Model, shape: Node<'a>) -> Vec<Member<'a>> {
    let required = shape.list("required");
    let mut count = 0;
    let member = |(index, (name, reference)): (usize, (&'a str, Node<'a>))| {
        let kind = if is_events(model, reference) {
            Kind::Events
        } else if is_stream(model, reference) {
            Kind::Stream
        } else {
            Kind::Value
        };
        let must = required.contains(&name) && kind == Kind::Value && !shape.flag("union");
        let target = model.shape(reference.target());
        let plain = must && target.kind() != "timestamp" && !is_document(target);
        let required = plain.then(|| {
            count += 1;
            count - 1
        });
        Member {
            name,
            field: names::field(name),
            reference,
            target: reference.target(),
            index,
            must,
            required,
            kind,
        }
    };
    shape.members().into_iter().enumerate().map(member).collect()
}

/// The Rust type of a shape as a value.
pub(crate) fn value_type(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    match shape.kind() {
        "string" | "character" => "String".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" | "short" | "byte" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "float" => "f32".to_owned(),
        "double" => "f64".to_owned(),
        "timestamp" => "DateTime".to_owned(),
        "blob" => "Blob".to_owned(),
        "list" => {
            format!("Vec<{}>", value_type(model, shape.get("member").expect("a list has a member").target()))
        }
        "map" => {
            format!(
                "BTreeMap<String, {}>",
                value_type(model, shape.get("value").expect("a map has a value").target())
            )
        }
        "structure" if shape.flag("document") => "Document".to_owned(),
        "structure" => names::ty(name),
        other => panic!("shape {name} has the unknown type {other}"),
    }
}

pub(crate) fn is_document(shape: Node<'_>) -> bool {
    shape.kind() == "structure" && shape.flag("document")
}

fn field_type(model: &Model, reached: &Reached, owner: &str, member: &Member<'_>) -> String {
    match member.kind {
        Kind::Stream => return "ByteStream".to_owned(),
        Kind::Events => return format!("EventStream<{}>", names::ty(member.target)),
        Kind::Value => {}
    }
    let mut ty = value_type(model, member.target);
    let shape = model.shape(member.target);
    if shape.kind() == "structure" && !is_document(shape) && reached.boxed(owner, member.target) {
        ty = format!("Box<{ty}>");
    }
    if member.required.is_some() { ty } else { format!("Option<{ty}>") }
}

pub(crate) fn write(out: &mut String, model: &Model, reached: &Reached) {
    for name in &reached.shapes {
        let shape = model.shape(name);
        match shape.kind() {
            "structure" if is_document(shape) => {}
            "structure" if shape.flag("union") || shape.flag("eventstream") => {
                union(out, model, reached, name, shape)
            }
            "structure" => structure(out, model, reached, name, shape),
            "string" if shape.get("enum").is_some() => enumeration(out, name, shape),
            _ => {}
        }
    }
}

fn structure(out: &mut String, model: &Model, reached: &Reached, name: &str, shape: Node<'_>) {
    let ty = names::ty(name);
    let members = members(model, shape);
    let derives = if reached.streams.contains(name) { "Default" } else { "Clone, Default" };
    let _ = writeln!(out, "/// `{name}` of AWS's model.\n#[derive({derives})]\npub struct {ty} {{");
    for member in &members {
        let _ = writeln!(out, "    pub {}: {},", member.field, field_type(model, reached, name, member));
    }
    if tracks_absence(reached, name, &members) {
        let _ = writeln!(out, "    #[doc(hidden)]\n    pub absent: u64,");
    }
    let _ = writeln!(out, "}}\n");
    if shape.flag("exception") || shape.get("error").is_some() {
        exception(out, model, &ty, name, shape, &members);
    }
}

/// Whether a structure remembers which required members were absent when it was read.
pub(crate) fn tracks_absence(reached: &Reached, name: &str, members: &[Member<'_>]) -> bool {
    reached.inputs.contains(name) && members.iter().any(|m| m.required.is_some())
}

fn union(out: &mut String, model: &Model, reached: &Reached, name: &str, shape: Node<'_>) {
    let ty = names::ty(name);
    let _ = writeln!(
        out,
        "/// `{name}` of AWS's model, a union: exactly one of its members.\n#[derive(Clone, Default)]\npub enum {ty} {{"
    );
    let _ = writeln!(out, "    /// None of the members that we know.\n    #[default]\n    Unset,");
    for member in members(model, shape) {
        let inner = value_type(model, member.target);
        let target = model.shape(member.target);
        let boxed =
            target.kind() == "structure" && !is_document(target) && reached.boxed(name, member.target);
        let inner = if boxed { format!("Box<{inner}>") } else { inner };
        let _ = writeln!(out, "    {}({inner}),", names::ty(member.name));
    }
    let _ = writeln!(out, "}}\n");
    if shape.flag("eventstream") {
        let _ = writeln!(
            out,
            "impl From<{ty}> for Event {{\n    fn from(event: {ty}) -> Self {{\n        match event {{"
        );
        let members = members(model, shape);
        for member in &members {
            let variant = names::ty(member.name);
            let name = names::lit(member.name);
            let _ = writeln!(
                out,
                "            {ty}::{variant}(value) => Self {{ name: {name}, value: Box::new(value) }},"
            );
        }
        let first = members.first().expect("an event stream has events");
        let (empty, first) = (names::ty(first.target), names::lit(first.name));
        let _ = writeln!(
            out,
            "            {ty}::Unset => Self {{ name: {first}, value: Box::new({empty}::default()) }},\n        }}\n    }}\n}}\n"
        );
        if reached.inputs.contains(name) {
            events_of_clients(out, &ty, &members);
        }
    }
}

/// Reads the events of a union that clients send.
fn events_of_clients(out: &mut String, ty: &str, members: &[Member<'_>]) {
    let _ = writeln!(
        out,
        "impl ReadEvents for {ty} {{\n    fn read_event(name: &str, de: &mut dyn ShapeDeserializer) -> Result<Option<Self>, SerdeError> {{\n        \
         Ok(Some(match name {{"
    );
    for member in members {
        let (variant, event) = (names::ty(member.name), names::ty(member.target));
        let name = names::lit(member.name);
        let _ = writeln!(out, "            {name} => {ty}::{variant}({event}::read(de)?.into()),");
    }
    let _ = writeln!(out, "            _ => return Ok(None),\n        }}))\n    }}\n}}\n");
}

fn exception(out: &mut String, model: &Model, ty: &str, name: &str, shape: Node<'_>, members: &[Member<'_>]) {
    let error = shape.get("error");
    let error_code = error.and_then(|e| e.text("code"));
    let code = if model.speaks_query_first() { error_code.unwrap_or(name) } else { name };
    let fault = shape.flag("fault");
    let status = error.and_then(|e| e.number("httpStatusCode")).unwrap_or(if fault { 500 } else { 400 });
    let message = members.iter().find(|m| m.name.eq_ignore_ascii_case("message"));
    let text = match message {
        Some(m) if m.required.is_some() => format!("detail.{}.clone()", m.field),
        Some(m) => format!("detail.{}.clone().unwrap_or_default()", m.field),
        None => "String::new()".to_owned(),
    };
    let query = match error_code {
        Some(q) if q != code => format!(".with_query_code({})", names::lit(q)),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "impl From<{ty}> for Error {{\n    fn from(detail: {ty}) -> Self {{\n        let message = {text};\n        \
         Error::new({}, {status}, message){query}.with_detail(detail)\n    }}\n}}\n",
        names::lit(code)
    );
    if let Some(message) = message {
        let value = if message.required.is_some() { "message.into()" } else { "Some(message.into())" };
        // With the message alone the rest is `None`, which `..Default` would also cover where members exist.
        let rest =
            if members.len() > 1 || message.required.is_some() { ", ..Default::default()" } else { "" };
        let _ = writeln!(
            out,
            "impl {ty} {{\n    /// The error with this message; see [`Error`] for what can be added.\n    \
             pub fn error(message: impl Into<String>) -> Error {{\n        #[allow(clippy::needless_update)]\n        \
             Self {{ {}: {value}{rest} }}.into()\n    }}\n}}\n",
            message.field
        );
    } else {
        let _ = writeln!(
            out,
            "impl {ty} {{\n    /// The error with this message, which the model has no member for.\n    \
             pub fn error(message: impl Into<String>) -> Error {{\n        Error::new({}, {status}, message){query}\n    }}\n}}\n",
            names::lit(code)
        );
    }
}

fn enumeration(out: &mut String, name: &str, shape: Node<'_>) {
    let module = names::snake(&names::ty(name));
    let _ = writeln!(out, "/// The values of `{name}`.\npub mod {}_values {{", module);
    let mut seen = std::collections::BTreeSet::new();
    for value in shape.list("enum") {
        let constant = names::constant(value);
        if seen.insert(constant.clone()) {
            let _ = writeln!(out, "    pub const {constant}: &str = {};", names::lit(value));
        }
    }
    let _ = writeln!(out, "}}\n");
}
