//! The model's `requestUri`: its path pattern and its literal query.

use std::cmp::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    Greedy(&'static str),
}

impl Segment {
    fn rank(self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Label(_) => 1,
            Self::Greedy(_) => 2,
        }
    }
}

/// The path part of a `requestUri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Segment>);

/// A query parameter that a `requestUri` fixes, such as `list-type=2` or `tagging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) name: &'static str,
    pub(crate) value: Option<&'static str>,
}

/// Splits a `requestUri`.
pub(crate) fn parse(uri: &'static str) -> (Pattern, Vec<Literal>) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let segments = path.split('/').filter(|s| !s.is_empty()).map(|segment| {
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(label) => match label.strip_suffix('+') {
                Some(greedy) => Segment::Greedy(greedy),
                None => Segment::Label(label),
            },
            None => Segment::Literal(segment),
        }
    });
    let literals = query.split('&').filter(|q| !q.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => Literal { name, value: (!value.is_empty()).then_some(value) },
        None => Literal { name: pair, value: None },
    });
    (Pattern(segments.collect()), literals.collect())
}

impl Pattern {
    /// Matches a raw path, whose segments are split before they are decoded, so that an escaped slash stays inside
    /// its segment. `first` is a segment that stands before the path: the bucket of a virtual-hosted request.
    /// One trailing slash after the last label means nothing, as in `/bucket/`.
    pub(crate) fn matches<'p>(
        &self,
        first: Option<&'p str>,
        path: &'p str,
        labels: &mut Vec<(&'static str, &'p str)>,
    ) -> bool {
        labels.clear();
        let mut segments = self.0.as_slice();
        if let Some(first) = first {
            match segments.split_first() {
                Some((Segment::Label(name), rest)) => {
                    labels.push((name, first));
                    segments = rest;
                }
                _ => return false,
            }
        }
        let mut rest = Some(path.strip_prefix('/').unwrap_or(path));
        while let Some((segment, after)) = segments.split_first() {
            let Some(text) = rest else { return false };
            match *segment {
                Segment::Greedy(name) => {
                    let Some((value, tail)) = split_tail(text, after.len()) else { return false };
                    if value.is_empty() {
                        return false;
                    }
                    labels.push((name, value));
                    rest = tail;
                }
                Segment::Label(_) | Segment::Literal(_) => {
                    let (value, tail) = match text.split_once('/') {
                        Some((value, tail)) => (value, Some(tail)),
                        None => (text, None),
                    };
                    if value.is_empty() {
                        return false;
                    }
                    match *segment {
                        Segment::Literal(literal) if literal != value => return false,
                        Segment::Label(name) => labels.push((name, value)),
                        _ => {}
                    }
                    rest = tail;
                }
            }
            segments = after;
        }
        rest.is_none_or(str::is_empty)
    }

    /// Which of two matching patterns says more: the one with the earlier literal, then the longer one.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        let ranks = self.0.iter().map(|s| s.rank()).cmp(other.0.iter().map(|s| s.rank()));
        ranks.then(other.0.len().cmp(&self.0.len()))
    }

    /// Whether the path begins with a fixed word, so that it tells one API from another.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self.0.first(), Some(Segment::Literal(_)))
    }
}

/// What a greedy label takes when `after` segments follow it, and what is left for them.
fn split_tail(text: &str, after: usize) -> Option<(&str, Option<&str>)> {
    if after == 0 {
        return Some((text, None));
    }
    let mut end = text.strip_suffix('/').unwrap_or(text).len();
    for _ in 0..after {
        end = text[..end].rfind('/')?;
    }
    Some((&text[..end], Some(&text[end + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_match(uri: &'static str, path: &str) -> Option<String> {
        let (pattern, _) = parse(uri);
        let mut labels = Vec::new();
        pattern
            .matches(None, path, &mut labels)
            .then(|| labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns() {
        let key = "/{Bucket}/{Key+}";
        let cases = [
            ("/", "/", Some("")),
            ("/", "/b", None),
            ("/{Bucket}", "/", None),
            ("/{Bucket}", "/b", Some("Bucket=b")),
            ("/{Bucket}", "/b/", Some("Bucket=b")),
            ("/{Bucket}", "/b//", None),
            (key, "/b/", None),
            (key, "/b//", Some("Bucket=b Key=/")),
            (key, "/b/k", Some("Bucket=b Key=k")),
            (key, "/b//a/../b/", Some("Bucket=b Key=/a/../b/")),
            (key, "/b/a%2Fb", Some("Bucket=b Key=a%2Fb")),
            ("/x/{Name+}/tail/{Id}", "/x/a/b/tail/7", Some("Name=a/b Id=7")),
            ("/x/{Name+}/tail/{Id}", "/x/tail/7", None),
            ("/2015-03-31/functions/{F}/invocations", "/2015-03-31/functions/f/invocations", Some("F=f")),
            ("/2015-03-31/functions/{F}/invocations", "/2015-03-31/functions//invocations", None),
            ("/2015-03-31/functions/", "/2015-03-31/functions", Some("")),
        ];
        for (uri, path, expected) in cases {
            assert_eq!(try_match(uri, path).as_deref(), expected, "{uri} on {path}");
        }
    }

    #[test]
    fn literals() {
        let (_, literals) = parse("/{Bucket}/{Key+}?select&select-type=2");
        assert_eq!(literals[0], Literal { name: "select", value: None });
        assert_eq!(literals[1], Literal { name: "select-type", value: Some("2") });
    }

    #[test]
    fn virtual_host_gives_the_first_label() {
        let (pattern, _) = parse("/{Bucket}/{Key+}");
        let mut labels = Vec::new();
        assert!(pattern.matches(Some("b"), "//k", &mut labels));
        assert_eq!(labels, [("Bucket", "b"), ("Key", "/k")]);
    }
}
