//! The static schemas and both directions of serialization.
//!
//! What botocore's model calls `location`, `locationName`, `flattened`, `payload` … becomes the Smithy trait that
//! AWS's codecs and our HTTP bindings read. `json_name` also carries EC2's `queryName`.

use crate::model::{Model, Node};
use crate::names::{self, lit};
use crate::reach::Reached;
use crate::rules::Pool;
use crate::types::{Kind, Member, is_document, members, tracks_absence};
use std::fmt::Write;

pub(crate) fn write(out: &mut String, api: &str, model: &Model, reached: &Reached) {
    let mut writer = Writer { out, api, model, reached, pool: Pool::default() };
    for name in &reached.shapes {
        let shape = model.shape(name);
        match shape.kind() {
            "structure" if is_document(shape) => {}
            "structure" => writer.structure(name, shape),
            "list" | "map" => writer.collection(name, shape),
            _ => {}
        }
    }
    let Writer { pool, .. } = writer;
    pool.write(out);
}

struct Writer<'a> {
    out: &'a mut String,
    api: &'a str,
    model: &'a Model,
    reached: &'a Reached,
    pool: Pool,
}

impl Writer<'_> {
    /// The element, key and value schemas of a list or a map.
    fn collection(&mut self, name: &str, shape: Node<'_>) {
        for (index, part) in ["member", "key", "value"].into_iter().enumerate() {
            let Some(reference) = shape.get(part) else { continue };
            let index = index.saturating_sub(1);
            let mut setters = self.names_of(reference, reference.text("locationName"));
            setters.push_str(&self.target_of(reference));
            setters.push_str(&self.pool.setter(self.model.shape(reference.target()), false));
            self.member_static(name, part, reference, index, &setters);
        }
    }

    fn member_static(&mut self, owner: &str, name: &str, reference: Node<'_>, index: usize, setters: &str) {
        let ty = shape_type(self.model.shape(reference.target()));
        let _ = writeln!(
            self.out,
            "static S_{}__{}: Schema<'static> = Schema::new_member(shape_id!({}, {}, {}), ShapeType::{ty}, {}, {index}){setters};",
            ident(owner),
            ident(name),
            lit(self.api),
            lit(owner),
            lit(name),
            lit(name),
        );
    }

    /// XML and JSON names, namespace, attribute.
    fn names_of(&self, reference: Node<'_>, xml_name: Option<&str>) -> String {
        let mut out = String::new();
        if let Some(name) = xml_name {
            let _ = write!(out, ".with_xml_name({0})", lit(name));
        }
        if let Some(name) = reference.text("queryName").or(reference.text("locationName")) {
            let _ = write!(out, ".with_json_name({})", lit(name));
        }
        // The codec looks at the member that is written, so a structure's own namespace stands there as well.
        let target = self.model.shape(reference.target());
        out.push_str(&namespace_of(reference.get("xmlNamespace").or(target.get("xmlNamespace"))));
        if reference.flag("xmlAttribute") {
            out.push_str(".with_xml_attribute()");
        }
        out
    }

    /// What the target shape adds: the inner schemas of lists and maps, timestamp formats, sensitivity.
    fn target_of(&self, reference: Node<'_>) -> String {
        let name = reference.target();
        let target = self.model.shape(name);
        let mut out = String::new();
        match target.kind() {
            "list" => {
                let _ = write!(out, ".with_list_member(&S_{}__member)", ident(name));
            }
            "map" => {
                let id = ident(name);
                let _ = write!(out, ".with_map_members(&S_{id}__key, &S_{id}__value)");
            }
            _ => {}
        }
        if target.flag("flattened") || reference.flag("flattened") {
            out.push_str(".with_xml_flattened()");
        }
        let format = reference.text("timestampFormat").or(target.text("timestampFormat"));
        if let Some(format) = format {
            let format = match format {
                "iso8601" => "DateTime",
                "rfc822" => "HttpDate",
                "unixTimestamp" => "EpochSeconds",
                other => panic!("unknown timestamp format {other}"),
            };
            let _ = write!(out, ".with_timestamp_format(TimestampFormat::{format})");
        }
        if target.flag("sensitive") {
            out.push_str(".with_sensitive()");
        }
        out
    }

    fn structure(&mut self, name: &str, shape: Node<'_>) {
        let members = members(self.model, shape);
        let payload = shape.text("payload");
        for member in &members {
            let setters = self.member_setters(member, payload);
            self.member_static(name, member.name, member.reference, member.index, &setters);
        }
        let id = ident(name);
        let list: Vec<String> = members.iter().map(|m| format!("&S_{id}__{}", ident(m.name))).collect();
        let mut setters = String::new();
        if let Some(root) = shape.text("locationName") {
            let _ = write!(setters, ".with_xml_name({})", lit(root));
        }
        if shape.flag("xmlUnwrapped") {
            setters.push_str(".with_xml_unwrapped_output()");
        }
        setters.push_str(&namespace_of(shape.get("xmlNamespace")));
        let kind = if shape.flag("union") || shape.flag("eventstream") { "Union" } else { "Structure" };
        let _ = writeln!(
            self.out,
            "static S_{id}: Schema<'static> = Schema::new_struct(shape_id!({}, {}), ShapeType::{kind}, &[{}]){setters};\n",
            lit(self.api),
            lit(name),
            list.join(", ")
        );
        self.serialization(name, shape, &members);
    }

    fn member_setters(&mut self, member: &Member<'_>, payload: Option<&str>) -> String {
        let reference = member.reference;
        let target = self.model.shape(member.target);
        let location = reference.text("location");
        let location_name = reference.text("locationName");
        let mut out = String::new();
        match location {
            None => {
                // A flattened list's elements are named by the list's own member, where that has a name.
                let flattened = target.flag("flattened") || reference.flag("flattened");
                let inner =
                    flattened.then(|| target.get("member").and_then(|m| m.text("locationName"))).flatten();
                out.push_str(&self.names_of(reference, inner.or(location_name)));
            }
            Some("header") => {
                let _ = write!(out, ".with_http_header({})", lit(location_name.unwrap_or(member.name)));
            }
            Some("headers") => {
                let _ = write!(out, ".with_http_prefix_headers({})", lit(location_name.unwrap_or_default()));
            }
            Some("querystring") if target.kind() == "map" => out.push_str(".with_http_query_params()"),
            Some("querystring") => {
                let _ = write!(out, ".with_http_query({})", lit(location_name.unwrap_or(member.name)));
            }
            Some("uri") => out.push_str(".with_http_label()"),
            Some("statusCode") => out.push_str(".with_http_response_code()"),
            Some(other) => panic!("unknown location {other}"),
        }
        if payload == Some(member.name) {
            out.push_str(".with_http_payload()");
        }
        if member.kind != Kind::Value {
            out.push_str(".with_streaming()");
        }
        if reference.flag("eventheader") {
            out.push_str(".with_event_header()");
        }
        if reference.flag("eventpayload") {
            out.push_str(".with_event_payload()");
        }
        if reference.flag("hostLabel") {
            out.push_str(".with_host_label()");
        }
        if reference.flag("jsonvalue") || target.flag("jsonvalue") {
            out.push_str(".with_media_type(\"application/json\")");
        }
        out.push_str(&self.target_of(reference));
        out.push_str(&self.pool.setter(target, member.must));
        out
    }

    fn serialization(&mut self, name: &str, shape: Node<'_>, members: &[Member<'_>]) {
        let (id, ty) = (ident(name), names::ty(name));
        let is_union = shape.flag("union") || shape.flag("eventstream");
        let (write, read) = if is_union {
            (self.write_union(&id, &ty, members), self.read_union(&id, &ty, name, members))
        } else {
            let tracks = tracks_absence(self.reached, name, members);
            (self.write_members(&id, members, tracks), self.read_members(&id, name, members, tracks))
        };
        let _ = writeln!(
            self.out,
            "impl SerializableStruct for {ty} {{\n    fn schema(&self) -> &Schema<'_> {{\n        &S_{id}\n    }}\n\n    \
             #[allow(unused_variables)]\n    \
             fn serialize_members(&self, ser: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {{\n{write}        Ok(())\n    }}\n}}\n"
        );
        let _ = writeln!(
            self.out,
            "impl Shape for {ty} {{\n    fn shape_schema() -> &'static Schema<'static> {{\n        &S_{id}\n    }}\n\n    \
             fn read(de: &mut dyn ShapeDeserializer) -> Result<Self, SerdeError> {{\n{read}    }}\n}}\n"
        );
        let mut streams = String::new();
        for member in members {
            let field = &member.field;
            match member.kind {
                Kind::Value => {}
                Kind::Stream => {
                    let _ = write!(
                        streams,
                        "\n    fn set_stream(&mut self, stream: ByteStream) {{\n        self.{field} = stream;\n    }}\n\n    \
                         fn take_stream(&mut self) -> Option<ByteStream> {{\n        Some(std::mem::take(&mut self.{field}))\n    }}\n"
                    );
                }
                Kind::Events => {
                    if self.reached.inputs.contains(name) {
                        let _ = write!(
                            streams,
                            "\n    fn set_events(&mut self, frames: EventFrames) {{\n        \
                             self.{field} = EventStream::from_frames(frames);\n    }}\n"
                        );
                    }
                    let _ = write!(
                        streams,
                        "\n    fn take_events(&mut self) -> Option<ErasedEventStream> {{\n        \
                         Some(std::mem::take(&mut self.{field}).erase())\n    }}\n"
                    );
                }
            }
        }
        let _ = writeln!(
            self.out,
            "impl Structure for {ty} {{\n    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {{\n        self\n    }}\n\n    \
             fn as_any(&self) -> &dyn Any {{\n        self\n    }}\n{streams}}}\n"
        );
    }

    fn write_members(&self, id: &str, members: &[Member<'_>], tracks: bool) -> String {
        let mut out = String::new();
        for member in members.iter().filter(|m| m.kind == Kind::Value) {
            let schema = format!("S_{id}__{}", ident(member.name));
            let field = &member.field;
            match member.required {
                Some(n) => {
                    let value = self.write_value(member.target, &schema, &format!("self.{field}"), 0);
                    if tracks {
                        let _ = writeln!(out, "        if self.absent & (1 << {n}) == 0 {{ {value} }}");
                    } else {
                        let _ = writeln!(out, "        {value}");
                    }
                }
                None => {
                    let value = self.write_value(member.target, &schema, "v", 0);
                    let _ = writeln!(out, "        if let Some(v) = &self.{field} {{ {value} }}");
                }
            }
        }
        out
    }

    /// A statement that writes `expr`, which is a place of the shape's type or a reference to one.
    fn write_value(&self, shape_name: &str, schema: &str, expr: &str, depth: usize) -> String {
        let shape = self.model.shape(shape_name);
        let by_value = if expr.starts_with("self.") { expr.to_owned() } else { format!("*{expr}") };
        let by_ref = if expr.starts_with("self.") { format!("&{expr}") } else { expr.to_owned() };
        match shape.kind() {
            "string" | "character" => format!("ser.write_string(&{schema}, {by_ref})?;"),
            "boolean" => format!("ser.write_boolean(&{schema}, {by_value})?;"),
            "integer" | "short" | "byte" => format!("ser.write_integer(&{schema}, {by_value})?;"),
            "long" => format!("ser.write_long(&{schema}, {by_value})?;"),
            "float" => format!("ser.write_float(&{schema}, {by_value})?;"),
            "double" => format!("ser.write_double(&{schema}, {by_value})?;"),
            "timestamp" => format!("ser.write_timestamp(&{schema}, {by_ref})?;"),
            "blob" => format!("ser.write_blob(&{schema}, {expr}.clone())?;"),
            "structure" if is_document(shape) => format!("ser.write_document(&{schema}, {by_ref})?;"),
            "structure" => format!("ser.write_struct(&{schema}, {by_ref})?;"),
            "list" => {
                let element = shape.get("member").expect("a list has a member").target();
                let item = format!("i{depth}");
                let inner =
                    self.write_value(element, &format!("S_{}__member", ident(shape_name)), &item, depth + 1);
                format!(
                    "ser.write_list_with_length(&{schema}, {expr}.len(), &|ser| {{ for {item} in {by_ref} {{ {inner} }} Ok(()) }})?;"
                )
            }
            "map" => {
                let value = shape.get("value").expect("a map has a value").target();
                let id = ident(shape_name);
                let (k, v) = (format!("k{depth}"), format!("v{depth}"));
                let inner = self.write_value(value, &format!("S_{id}__value"), &v, depth + 1);
                format!(
                    "ser.write_map_with_length(&{schema}, {expr}.len(), &|ser| {{ for ({k}, {v}) in {by_ref} {{ \
                     ser.write_string(&S_{id}__key, {k})?; {inner} }} Ok(()) }})?;"
                )
            }
            other => panic!("cannot write a {other}"),
        }
    }

    /// An expression that reads a value of the shape with `de`, whose current schema is `schema`.
    fn read_value(&self, shape_name: &str, schema: &str, depth: usize) -> String {
        let shape = self.model.shape(shape_name);
        match shape.kind() {
            "string" | "character" => format!("de.read_string({schema})?"),
            "boolean" => format!("de.read_boolean({schema})?"),
            "integer" | "short" | "byte" => format!("de.read_integer({schema})?"),
            "long" => format!("de.read_long({schema})?"),
            "float" => format!("de.read_float({schema})?"),
            "double" => format!("de.read_double({schema})?"),
            "timestamp" => format!("de.read_timestamp({schema})?"),
            "blob" => format!("de.read_blob({schema})?"),
            "structure" if is_document(shape) => format!("de.read_document({schema})?"),
            "structure" => format!("<{} as Shape>::read(de)?", names::ty(shape_name)),
            "list" => {
                let element = shape.get("member").expect("a list has a member").target();
                let inner = self.read_value(element, &format!("&S_{}__member", ident(shape_name)), depth + 1);
                let null = self.null(element, &format!("l{depth}.push(Default::default()); "));
                format!(
                    "{{ let mut l{depth} = Vec::new(); de.read_list({schema}, &mut |de| {{ \
                     if de.is_null() {{ {null}return de.read_null(); }} l{depth}.push({inner}); Ok(()) }})?; l{depth} }}"
                )
            }
            "map" => {
                let value = shape.get("value").expect("a map has a value").target();
                let inner = self.read_value(value, &format!("&S_{}__value", ident(shape_name)), depth + 1);
                let null = self.null(value, &format!("m{depth}.insert(k, Default::default()); "));
                format!(
                    "{{ let mut m{depth} = BTreeMap::new(); de.read_map({schema}, &mut |k, de| {{ \
                     if de.is_null() {{ {null}return de.read_null(); }} m{depth}.insert(k, {inner}); Ok(()) }})?; m{depth} }}"
                )
            }
            other => panic!("cannot read a {other}"),
        }
    }

    /// What `null` in the place of an element does before it is passed over: nothing, or `keep`, for an API that takes it
    /// for a structure with nothing in it (`nullIsEmpty` in its overrides). Such a structure must be allowed to be empty.
    fn null(&self, element: &str, keep: &str) -> String {
        let shape = self.model.shape(element);
        let empty = shape.kind() == "structure" && !is_document(shape) && shape.list("required").is_empty();
        let kept = empty && self.model.metadata().get("nullIsEmpty").is_some();
        if kept { keep.to_owned() } else { String::new() }
    }

    fn read_members(&self, id: &str, owner: &str, members: &[Member<'_>], tracks: bool) -> String {
        let required = members.iter().filter(|m| m.required.is_some()).count();
        let mut out = String::new();
        let readable: Vec<_> = members.iter().filter(|m| m.kind == Kind::Value).collect();
        let mutable = if readable.is_empty() && !tracks { "" } else { "mut " };
        let _ = writeln!(out, "        let {mutable}out = Self::default();");
        if tracks {
            assert!(required <= 64, "{owner} has more than 64 required members");
            let all = if required == 64 { u64::MAX } else { (1u64 << required) - 1 };
            let _ = writeln!(out, "        out.absent = {all};");
        }
        let _ = writeln!(
            out,
            "        de.read_struct(&S_{id}, &mut |member, de| {{\n            match member.member_index() {{"
        );
        for member in readable {
            let schema = format!("&S_{id}__{}", ident(member.name));
            let mut value = self.read_value(member.target, &schema, 0);
            let shape = self.model.shape(member.target);
            if shape.kind() == "structure" && !is_document(shape) && self.reached.boxed(owner, member.target)
            {
                value = format!("Box::new({value})");
            }
            let field = &member.field;
            let value = if member.required.is_some() { value } else { format!("Some({value})") };
            let seen = match member.required {
                Some(n) if tracks => format!(" out.absent &= !(1 << {n});"),
                _ => String::new(),
            };
            let _ =
                writeln!(out, "                Some({}) => {{ out.{field} = {value};{seen} }}", member.index);
        }
        let _ = writeln!(
            out,
            "                _ => de.skip_value()?,\n            }}\n            Ok(())\n        }})?;\n        Ok(out)"
        );
        out
    }

    fn write_union(&self, id: &str, ty: &str, members: &[Member<'_>]) -> String {
        let mut out = String::from("        match self {\n");
        for member in members {
            let value = self.write_value(member.target, &format!("S_{id}__{}", ident(member.name)), "v", 0);
            let _ = writeln!(out, "            {ty}::{}(v) => {{ {value} }}", names::ty(member.name));
        }
        let _ = writeln!(out, "            {ty}::Unset => {{}}\n        }}");
        out
    }

    fn read_union(&self, id: &str, ty: &str, owner: &str, members: &[Member<'_>]) -> String {
        let mut out = String::from("        let mut out = Self::default();\n");
        let _ = writeln!(
            out,
            "        de.read_struct(&S_{id}, &mut |member, de| {{\n            \
             if !matches!(out, {ty}::Unset) {{ return Err(SerdeError::custom({})); }}\n            \
             match member.member_index() {{",
            lit(&format!("{owner} must have exactly one member set"))
        );
        for member in members {
            let mut value = self.read_value(member.target, &format!("&S_{id}__{}", ident(member.name)), 0);
            let shape = self.model.shape(member.target);
            if shape.kind() == "structure" && !is_document(shape) && self.reached.boxed(owner, member.target)
            {
                value = format!("Box::new({value})");
            }
            let variant = names::ty(member.name);
            let _ =
                writeln!(out, "                Some({}) => out = {ty}::{variant}({value}),", member.index);
        }
        let _ = writeln!(
            out,
            "                _ => de.skip_value()?,\n            }}\n            Ok(())\n        }})?;\n        Ok(out)"
        );
        out
    }
}

/// The setter of an XML namespace, which a model gives as a URI or as an object.
fn namespace_of(namespace: Option<Node<'_>>) -> String {
    let Some(namespace) = namespace else { return String::new() };
    let (uri, prefix) = match namespace.0.as_str() {
        Some(uri) => (uri, None),
        None => (namespace.text("uri").unwrap_or_default(), namespace.text("prefix")),
    };
    format!(".with_xml_namespace({}, {prefix:?})", lit(uri))
}

/// A name as part of an identifier.
fn ident(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn shape_type(shape: Node<'_>) -> &'static str {
    match shape.kind() {
        "string" | "character" => "String",
        "boolean" => "Boolean",
        "integer" | "short" | "byte" => "Integer",
        "long" => "Long",
        "float" => "Float",
        "double" => "Double",
        "timestamp" => "Timestamp",
        "blob" => "Blob",
        "list" => "List",
        "map" => "Map",
        "structure" if is_document(shape) => "Document",
        "structure" if shape.flag("union") || shape.flag("eventstream") => "Union",
        "structure" => "Structure",
        other => panic!("a shape has the unknown type {other}"),
    }
}
