//! A small tree of XML, and its exclusive canonical form, which signatures are made over.
//!
//! No document types, no entities beyond XML's own, no more than a depth: what SAML needs and nothing that could grow.
//! Source: XML 1.0; Namespaces in XML; Exclusive XML Canonicalization 1.0 (without comments).

use xmlparser::{ElementEnd, Token, Tokenizer};

/// The deepest nesting.
const DEPTH: usize = 64;
/// The most nodes.
const NODES: usize = 100_000;
/// The most attributes of one element, its namespaces among them.
const ATTRIBUTES: usize = 128;

/// A document: elements and texts, the root first.
pub(crate) struct Document {
    nodes: Vec<Node>,
}

/// A place in a document.
pub(crate) type At = usize;

enum Node {
    Element(Element),
    Text(String),
    Instruction(String),
}

#[derive(Default)]
struct Element {
    prefix: String,
    local: String,
    namespace: String,
    attributes: Vec<Attribute>,
    /// The prefixes that are declared here, the empty one for the default namespace.
    declared: Vec<(String, String)>,
    parent: Option<At>,
    children: Vec<At>,
}

struct Attribute {
    prefix: String,
    local: String,
    namespace: String,
    value: String,
}

impl Document {
    /// Reads a document; `None` for what is not well-formed or has a document type.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut document = Self { nodes: Vec::new() };
        let mut open: Vec<At> = Vec::new();
        let mut pending: Option<Element> = None;
        for token in Tokenizer::from(text.as_str()) {
            if document.nodes.len() > NODES || open.len() > DEPTH {
                return None;
            }
            match token.ok()? {
                Token::Declaration { .. } | Token::Comment { .. } => {}
                Token::DtdStart { .. }
                | Token::EmptyDtd { .. }
                | Token::EntityDeclaration { .. }
                | Token::DtdEnd { .. } => return None,
                Token::ElementStart { prefix, local, .. } => {
                    if open.is_empty() && !document.nodes.is_empty() {
                        return None;
                    }
                    pending = Some(Element {
                        prefix: prefix.as_str().to_owned(),
                        local: local.as_str().to_owned(),
                        ..Element::default()
                    });
                }
                Token::Attribute { prefix, local, value, .. } => {
                    // Outside references, line ends and tabs are spaces.
                    let value = unescape(&value.as_str().replace(['\n', '\t'], " "))?;
                    let element = pending.as_mut()?;
                    if element.attributes.len() >= ATTRIBUTES {
                        return None;
                    }
                    element.attributes.push(Attribute {
                        prefix: prefix.as_str().to_owned(),
                        local: local.as_str().to_owned(),
                        namespace: String::new(),
                        value,
                    });
                }
                Token::ElementEnd { end, .. } => match end {
                    ElementEnd::Open | ElementEnd::Empty => {
                        let element = document.resolve(pending.take()?, open.last().copied())?;
                        let at = document.add(Node::Element(element), open.last().copied());
                        if matches!(end, ElementEnd::Open) {
                            open.push(at);
                        }
                    }
                    ElementEnd::Close(prefix, local) => {
                        let closed = document.element(open.pop()?)?;
                        if closed.prefix != prefix.as_str() || closed.local != local.as_str() {
                            return None;
                        }
                    }
                },
                Token::Text { text } => {
                    if let Some(parent) = open.last() {
                        let text = unescape(text.as_str())?;
                        document.add(Node::Text(text), Some(*parent));
                    }
                }
                Token::Cdata { text, .. } => {
                    document.add(Node::Text(text.as_str().to_owned()), Some(*open.last()?));
                }
                Token::ProcessingInstruction { target, content, .. } => {
                    if let Some(parent) = open.last() {
                        let content = content.map_or(String::new(), |c| format!(" {}", c.as_str()));
                        document
                            .add(Node::Instruction(format!("{}{content}", target.as_str())), Some(*parent));
                    }
                }
            }
        }
        (open.is_empty() && pending.is_none() && !document.nodes.is_empty()).then_some(document)
    }

    fn add(&mut self, node: Node, parent: Option<At>) -> At {
        let at = self.nodes.len();
        self.nodes.push(node);
        if let Some(Node::Element(parent)) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(at);
        }
        at
    }

    /// Gives an element and its attributes their namespaces.
    fn resolve(&self, mut element: Element, parent: Option<At>) -> Option<Element> {
        element.parent = parent;
        let mut attributes: Vec<Attribute> = Vec::with_capacity(element.attributes.len());
        for attribute in std::mem::take(&mut element.attributes) {
            match (attribute.prefix.as_str(), attribute.local.as_str()) {
                ("", "xmlns") => element.declared.push((String::new(), attribute.value)),
                ("xmlns", prefix) if !attribute.value.is_empty() => {
                    element.declared.push((prefix.to_owned(), attribute.value));
                }
                ("xmlns", _) => return None,
                _ => attributes.push(attribute),
            }
        }
        element.namespace = match element.prefix.as_str() {
            "" => self.namespace(&element, "").unwrap_or_default().to_owned(),
            prefix => self.namespace(&element, prefix)?.to_owned(),
        };
        for attribute in &mut attributes {
            if !attribute.prefix.is_empty() {
                attribute.namespace = self.namespace(&element, &attribute.prefix)?.to_owned();
            }
        }
        for (i, one) in attributes.iter().enumerate() {
            if attributes.iter().take(i).any(|a| a.local == one.local && a.namespace == one.namespace) {
                return None;
            }
        }
        element.attributes = attributes;
        Some(element)
    }

    /// What a prefix means at an element.
    fn namespace<'a>(&'a self, element: &'a Element, prefix: &str) -> Option<&'a str> {
        if prefix == "xml" {
            return Some("http://www.w3.org/XML/1998/namespace");
        }
        let mut at = Some(element);
        while let Some(element) = at {
            if let Some((_, uri)) = element.declared.iter().rev().find(|(known, _)| known == prefix) {
                return Some(uri);
            }
            at = element.parent.and_then(|parent| self.element(parent));
        }
        None
    }

    fn element(&self, at: At) -> Option<&Element> {
        match self.nodes.get(at) {
            Some(Node::Element(element)) => Some(element),
            _ => None,
        }
    }

    /// Whether the element at a place has this name.
    pub(crate) fn is(&self, at: At, namespace: &str, local: &str) -> bool {
        self.element(at).is_some_and(|e| e.local == local && e.namespace == namespace)
    }

    /// The elements of this name directly below.
    pub(crate) fn children<'a>(
        &'a self,
        at: At,
        namespace: &'a str,
        local: &'a str,
    ) -> impl Iterator<Item = At> + 'a {
        let children = self.element(at).map(|e| e.children.as_slice()).unwrap_or_default();
        children.iter().copied().filter(move |child| self.is(*child, namespace, local))
    }

    /// The one element of this name directly below; `None` for none and for several.
    pub(crate) fn child(&self, at: At, namespace: &str, local: &str) -> Option<At> {
        let mut found = self.children(at, namespace, local);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// All elements below, the nearest first.
    pub(crate) fn below(&self, at: At) -> Vec<At> {
        let mut found = vec![at];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            let children = self.element(at).map(|e| e.children.as_slice()).unwrap_or_default();
            found.extend(children.iter().copied().filter(|child| self.element(*child).is_some()));
            next += 1;
        }
        found
    }

    /// The value of an attribute without a namespace.
    pub(crate) fn attribute(&self, at: At, name: &str) -> Option<&str> {
        let found = self.element(at)?.attributes.iter().find(|a| a.local == name && a.namespace.is_empty());
        found.map(|a| a.value.as_str())
    }

    /// The text directly inside, all of it.
    pub(crate) fn text(&self, at: At) -> String {
        let children = self.element(at).map(|e| e.children.as_slice()).unwrap_or_default();
        children
            .iter()
            .filter_map(|child| match self.nodes.get(*child) {
                Some(Node::Text(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The exclusive canonical form of an element, without one of the elements below. `inclusive` are the prefixes that
    /// are written wherever they are known.
    pub(crate) fn canonical(&self, at: At, without: Option<At>, inclusive: &[&str]) -> String {
        let mut out = String::new();
        self.write(&mut out, at, without, inclusive, &mut Vec::new());
        out
    }

    /// `written` are the prefixes and their meanings on the elements around, the innermost last.
    fn write<'a>(
        &'a self,
        out: &mut String,
        at: At,
        without: Option<At>,
        inclusive: &[&'a str],
        written: &mut Vec<(&'a str, &'a str)>,
    ) {
        if Some(at) == without {
            return;
        }
        let element = match self.nodes.get(at) {
            Some(Node::Element(element)) => element,
            Some(Node::Text(text)) => return escape(out, text, false),
            Some(Node::Instruction(text)) => {
                out.push_str("<?");
                out.push_str(text);
                out.push_str("?>");
                return;
            }
            None => return,
        };
        let name = qualified(&element.prefix, &element.local);
        out.push('<');
        out.push_str(&name);
        let mut used: Vec<&'a str> = vec![&element.prefix];
        used.extend(element.attributes.iter().map(|a| a.prefix.as_str()).filter(|p| !p.is_empty()));
        used.extend(inclusive.iter().map(|p| if *p == "#default" { "" } else { *p }));
        used.sort_unstable();
        used.dedup();
        let mark = written.len();
        for prefix in used.into_iter().filter(|prefix| *prefix != "xml") {
            let uri = self.namespace(element, prefix).unwrap_or_default();
            let before = written.iter().rev().find(|(known, _)| *known == prefix).map_or("", |(_, uri)| *uri);
            if uri == before || (uri.is_empty() && !prefix.is_empty()) {
                continue;
            }
            out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            out.push_str(prefix);
            out.push_str("=\"");
            escape(out, uri, true);
            out.push('"');
            written.push((prefix, uri));
        }
        let mut attributes: Vec<&Attribute> = element.attributes.iter().collect();
        attributes.sort_by(|a, b| (&a.namespace, &a.local).cmp(&(&b.namespace, &b.local)));
        for attribute in attributes {
            out.push(' ');
            out.push_str(&qualified(&attribute.prefix, &attribute.local));
            out.push_str("=\"");
            escape(out, &attribute.value, true);
            out.push('"');
        }
        out.push('>');
        for child in &element.children {
            self.write(out, *child, without, inclusive, written);
        }
        written.truncate(mark);
        out.push_str("</");
        out.push_str(&name);
        out.push('>');
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
}

fn escape(out: &mut String, text: &str, attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' if !attribute => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\t' if attribute => out.push_str("&#x9;"),
            '\n' if attribute => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

/// Resolves XML's own five entities and character references.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, tail) = after.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => {
                let digits = other.strip_prefix('#')?;
                let code = match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        // From Exclusive XML Canonicalization, section 2.2, and XML's own rules.
        for (given, expected) in [
            ("<a b='1' a=\"2\"/>", "<a a=\"2\" b=\"1\"></a>"),
            ("<x:a xmlns:x='u' xmlns:y='v'><x:b/></x:a>", "<x:a xmlns:x=\"u\"><x:b></x:b></x:a>"),
            ("<a xmlns='u'><b xmlns=''/></a>", "<a xmlns=\"u\"><b xmlns=\"\"></b></a>"),
            ("<a>&#13;&lt;<!-- no -->&amp;<![CDATA[<x>]]></a>", "<a>&#xD;&lt;&amp;&lt;x&gt;</a>"),
            ("<a b='x&#10;y\n\"'/>", "<a b=\"x&#xA;y &quot;\"></a>"),
            ("<a xmlns:z='z' z:q='1' p='2'/>", "<a xmlns:z=\"z\" p=\"2\" z:q=\"1\"></a>"),
        ] {
            let document = Document::read(given).unwrap();
            assert_eq!(document.canonical(0, None, &[]), expected, "{given}");
        }
        let document = Document::read("<n0:a xmlns:n0='u'><n1:b xmlns:n1='v'><c/></n1:b></n0:a>").unwrap();
        let inner = document.child(0, "v", "b").unwrap();
        assert_eq!(document.canonical(inner, None, &[]), "<n1:b xmlns:n1=\"v\"><c></c></n1:b>");
        assert_eq!(
            document.canonical(inner, None, &["n0"]),
            "<n1:b xmlns:n0=\"u\" xmlns:n1=\"v\"><c></c></n1:b>"
        );
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let deep = "<a>".repeat(1000);
        for text in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<x:a/>",
            "<a b='1' b='2'/>",
            "<a>&other;</a>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&#xD800;</a>",
            &deep,
        ] {
            assert!(Document::read(text).is_none(), "{text}");
        }
    }
}
