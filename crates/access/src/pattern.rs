//! Wildcards and policy variables.
//!
//! A pattern is cut at its `*`s when it is compiled; what lies between is searched from left to right, which
//! never goes back: a literal piece costs one linear search, a piece with `?` at most its length times the
//! value's. No pattern takes exponential time.

use memchr::memmem;

use crate::context::ConditionContext;

/// One element of a pattern's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// `*`
    Star,
    /// `?`
    One,
    /// `${key}` or `${key, 'default'}`
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// Reads a pattern's text. With `wildcards`, `*` and `?` are special. With `variables`, `${…}` is a policy variable and `${*}`, `${?}`, `${$}` are those
/// characters themselves (policy version 2012-10-17); without, they are plain text.
///
/// Source: IAM User Guide, "IAM policy elements: Variables and tags".
pub(crate) fn read(text: &str, wildcards: bool, variables: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if variables
            && let Some((inside, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}'))
        {
            rest = after;
            match inside {
                "*" | "?" | "$" => literal.push_str(inside),
                _ => {
                    flush(&mut literal, &mut parts);
                    parts.push(variable(inside));
                }
            }
            continue;
        }
        rest = &rest[next.len_utf8()..];
        match next {
            '*' if wildcards => {
                flush(&mut literal, &mut parts);
                if parts.last() != Some(&Part::Star) {
                    parts.push(Part::Star);
                }
            }
            '?' if wildcards => {
                flush(&mut literal, &mut parts);
                parts.push(Part::One);
            }
            other => literal.push(other),
        }
    }
    flush(&mut literal, &mut parts);
    parts
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Text(std::mem::take(literal)));
    }
}

fn variable(inside: &str) -> Part {
    match inside.split_once(',') {
        Some((key, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            Part::Variable { key: key.trim().to_owned(), default: quoted.map(str::to_owned) }
        }
        None => Part::Variable { key: inside.trim().to_owned(), default: None },
    }
}

/// A run between two `*`.
#[derive(Clone, Debug)]
struct Piece {
    /// The text, with some character at each place where any one character may stand.
    text: Box<str>,
    /// Byte offsets in `text` of those places, ascending.
    ones: Box<[u32]>,
}

impl Piece {
    /// If the piece stands at the beginning of `value`: how many bytes it takes.
    fn starts(&self, value: &str) -> Option<usize> {
        let (text, value) = (self.text.as_bytes(), value.as_bytes());
        if self.ones.is_empty() && text.len() > SHORT {
            return value.starts_with(text).then_some(text.len());
        }
        let mut ones = self.ones.iter().map(|one| *one as usize);
        let mut one = ones.next();
        let mut at = 0;
        for (offset, wanted) in text.iter().enumerate() {
            let found = value.get(at)?;
            if one == Some(offset) {
                one = ones.next();
                at += char_len(*found);
            } else if found == wanted {
                at += 1;
            } else {
                return None;
            }
        }
        Some(at)
    }

    /// If the piece stands at the end of `value`: where it begins.
    fn ends(&self, value: &str) -> Option<usize> {
        let (text, value) = (self.text.as_bytes(), value.as_bytes());
        if self.ones.is_empty() && text.len() > SHORT {
            return value.ends_with(text).then(|| value.len() - text.len());
        }
        let mut ones = self.ones.iter().rev().map(|one| *one as usize);
        let mut one = ones.next();
        let mut at = value.len();
        for (offset, wanted) in text.iter().enumerate().rev() {
            at = at.checked_sub(1)?;
            if one == Some(offset) {
                one = ones.next();
                // Back over the bytes that continue a character.
                while value[at] & 0xc0 == 0x80 {
                    at = at.checked_sub(1)?;
                }
            } else if value[at] != *wanted {
                return None;
            }
        }
        Some(at)
    }

    /// The end of the leftmost place where the piece stands in `value`.
    fn find(&self, value: &str) -> Option<usize> {
        if self.ones.is_empty() && value.len() > SHORT {
            return memmem::find(value.as_bytes(), self.text.as_bytes()).map(|at| at + self.text.len());
        }
        let first = self.text.as_bytes().first().filter(|_| self.ones.first() != Some(&0));
        value.char_indices().find_map(|(at, _)| {
            if first.is_some_and(|first| value.as_bytes()[at] != *first) {
                return None;
            }
            self.starts(&value[at..]).map(|len| at + len)
        })
    }
}

/// Up to so many bytes a loop is quicker than a call.
const SHORT: usize = 16;

/// The length of the character that begins with this byte, in UTF-8.
fn char_len(first: u8) -> usize {
    match first {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// A pattern without variables, compiled.
#[derive(Clone, Debug)]
pub(crate) enum Glob {
    /// `*`
    Any,
    /// No wildcard.
    Exact(Box<str>),
    /// One `*`, at the end.
    Prefix(Box<str>),
    /// Everything else.
    Pieces(Box<Pieces>),
}

#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    /// Before the first `*`.
    head: Piece,
    /// Between two `*`.
    middle: Box<[Piece]>,
    /// After the last `*`; `None` if there is no `*`.
    tail: Option<Piece>,
}

impl Glob {
    /// Compiles a pattern in which only `*` and `?` are special.
    pub(crate) fn new(text: &str) -> Self {
        Self::from_parts(&read(text, true, false), |_, _| None).unwrap_or(Glob::Any)
    }

    /// Compiles parts; `resolve` gives a variable's value. `None` if one has none.
    pub(crate) fn from_parts<'v>(
        parts: &'v [Part],
        resolve: impl Fn(&'v str, Option<&'v str>) -> Option<&'v str>,
    ) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut ones: Vec<u32> = Vec::new();
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable { key, default } => text.push_str(resolve(key, default.as_deref())?),
                Part::One => {
                    ones.push(text.len() as u32);
                    text.push('?');
                }
                Part::Star => pieces.push(Piece {
                    text: std::mem::take(&mut text).into(),
                    ones: std::mem::take(&mut ones).into(),
                }),
            }
        }
        let last = Piece { text: text.into(), ones: ones.into() };
        let mut pieces = pieces.into_iter();
        let Some(head) = pieces.next() else {
            return Some(if last.ones.is_empty() {
                Glob::Exact(last.text)
            } else {
                Glob::Pieces(Box::new(Pieces { head: last, middle: [].into(), tail: None }))
            });
        };
        let middle: Box<[Piece]> = pieces.collect();
        if middle.is_empty() && last.text.is_empty() && head.ones.is_empty() {
            return Some(if head.text.is_empty() { Glob::Any } else { Glob::Prefix(head.text) });
        }
        Some(Glob::Pieces(Box::new(Pieces { head, middle, tail: Some(last) })))
    }

    /// True if all of `value` is an instance of the pattern.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Glob::Any => true,
            Glob::Exact(text) => **text == *value,
            Glob::Prefix(text) => value.starts_with(&**text),
            Glob::Pieces(pieces) => pieces.matches(value),
        }
    }
}

impl Pieces {
    fn matches(&self, value: &str) -> bool {
        let Some(start) = self.head.starts(value) else { return false };
        let mut rest = &value[start..];
        let Some(tail) = &self.tail else { return rest.is_empty() };
        let Some(end) = tail.ends(rest) else { return false };
        rest = &rest[..end];
        // The leftmost place is always as good as any later one, since only `*` lies between the pieces.
        self.middle.iter().all(|piece| match piece.find(rest) {
            Some(end) => {
                rest = &rest[end..];
                true
            }
            None => false,
        })
    }
}

/// A pattern that may hold variables.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Fixed(Glob),
    /// Has at least one variable: compiled anew for each request.
    Template(Box<[Part]>),
}

impl Pattern {
    /// Compiles `text` with `*` and `?` as wildcards.
    pub(crate) fn like(text: &str, variables: bool) -> Self {
        Self::from_parts(read(text, true, variables))
    }

    /// Compiles `text` with `*` and `?` as plain characters.
    pub(crate) fn equal(text: &str, variables: bool) -> Self {
        Self::from_parts(read(text, false, variables))
    }

    fn from_parts(parts: Vec<Part>) -> Self {
        if parts.iter().any(|part| matches!(part, Part::Variable { .. })) {
            return Pattern::Template(parts.into());
        }
        Glob::from_parts(&parts, |_, _| None).map_or_else(|| Pattern::Template([].into()), Pattern::Fixed)
    }

    /// Whether `value` matches; `None` if a variable has no single value and no default.
    pub(crate) fn matches(&self, value: &str, context: &ConditionContext) -> Option<bool> {
        match self {
            Pattern::Fixed(glob) => Some(glob.matches(value)),
            Pattern::Template(parts) => match_template(parts, value, context),
        }
    }

    /// As [`Self::matches`] for exact patterns, ignoring ASCII case.
    pub(crate) fn equals_ignore_case(&self, value: &str, context: &ConditionContext) -> Option<bool> {
        match self {
            Pattern::Fixed(Glob::Exact(text)) => Some(equal_ignoring_case(text, value)),
            Pattern::Fixed(_) => Some(false),
            Pattern::Template(parts) => match resolve(parts, context)? {
                Glob::Exact(text) => Some(equal_ignoring_case(&text, value)),
                _ => Some(false),
            },
        }
    }
}

fn equal_ignoring_case(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || (!a.is_ascii()
            && a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase)))
}

/// Most templates are told apart by their fixed ends, and many have no wildcard: neither needs compiling.
fn match_template(parts: &[Part], value: &str, context: &ConditionContext) -> Option<bool> {
    if let Some(Part::Text(head)) = parts.first()
        && !value.starts_with(&**head)
    {
        return Some(false);
    }
    if let Some(Part::Text(tail)) = parts.last()
        && !value.ends_with(&**tail)
    {
        return Some(false);
    }
    if parts.iter().any(|part| matches!(part, Part::Star | Part::One)) {
        return Some(resolve(parts, context)?.matches(value));
    }
    let mut rest = Some(value);
    for part in parts {
        let text = match part {
            Part::Text(text) => text,
            Part::Variable { key, default } => context.get_one(key).or(default.as_deref())?,
            Part::Star | Part::One => return None,
        };
        rest = rest.and_then(|rest| rest.strip_prefix(text));
    }
    Some(rest == Some(""))
}

fn resolve(parts: &[Part], context: &ConditionContext) -> Option<Glob> {
    Glob::from_parts(parts, |key, default| context.get_one(key).or(default))
}
