//! ARNs and patterns over them.
//!
//! An ARN is `arn:partition:service:region:account:resource`; the resource may hold further colons. Each of the
//! six parts is matched on its own, so that a `*` for a region cannot swallow the account. A pattern with fewer
//! than six parts is completed with `*`; in such a pattern a `*` that ends a part also reaches over the colons
//! that follow.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Resource" (wildcards in resource ARNs) and "Condition
//! operators" (ARN).

use crate::context::ConditionContext;
use crate::pattern::{Glob, Pattern};

const PARTS: usize = 6;

/// A text cut into the six parts of an ARN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arn<'a> {
    text: &'a str,
    parts: Option<[&'a str; PARTS]>,
}

impl<'a> Arn<'a> {
    /// Cuts `text`; a text with fewer than six parts is kept whole and matches only whole patterns.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut cut = text.splitn(PARTS, ':');
        let mut parts = [""; PARTS];
        for part in &mut parts {
            match cut.next() {
                Some(found) => *part = found,
                None => return Self { text, parts: None },
            }
        }
        Self { text, parts: Some(parts) }
    }
}

/// The account part of an ARN, if it has one.
pub(crate) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// A compiled ARN pattern.
#[derive(Clone, Debug)]
pub(crate) enum ArnPattern {
    /// `*`: every resource.
    Any,
    /// No wildcard and no variable.
    Exact(Box<str>),
    /// One `*`, at the end of the resource.
    Prefix(Box<str>),
    /// All six parts.
    Parts(Box<[Pattern; PARTS]>),
    /// Fewer parts: completed, or else matched as one text.
    Short(Box<ShortPattern>),
    /// Not an ARN: matched as one text.
    Text(Pattern),
}

#[derive(Clone, Debug)]
pub(crate) struct ShortPattern {
    completed: [Pattern; PARTS],
    /// Present if some part ends in `*`.
    whole: Option<Pattern>,
}

impl ArnPattern {
    pub(crate) fn new(text: &str, variables: bool) -> Self {
        if text == "*" {
            return ArnPattern::Any;
        }
        let cut = split(text, variables);
        if cut[0] != "arn" && !cut[0].contains(['*', '?', '$']) {
            return ArnPattern::Text(Pattern::like(text, variables));
        }
        let part = |index: usize| Pattern::like(cut.get(index).copied().unwrap_or("*"), variables);
        let parts = [part(0), part(1), part(2), part(3), part(4), part(5)];
        if cut.len() == PARTS {
            let fixed = |part: &Pattern| matches!(part, Pattern::Fixed(Glob::Exact(_)));
            match &parts[5] {
                _ if !parts[..5].iter().all(fixed) || (variables && text.contains("${")) => {}
                Pattern::Fixed(Glob::Exact(_)) => return ArnPattern::Exact(text.into()),
                Pattern::Fixed(Glob::Prefix(_) | Glob::Any) => {
                    return ArnPattern::Prefix(text.trim_end_matches('*').into());
                }
                Pattern::Fixed(Glob::Pieces(_)) | Pattern::Template(_) => {}
            }
            return ArnPattern::Parts(Box::new(parts));
        }
        let whole = cut.iter().any(|part| part.ends_with('*')).then(|| Pattern::like(text, variables));
        ArnPattern::Short(Box::new(ShortPattern { completed: parts, whole }))
    }

    /// Whether `arn` matches; `None` if a variable has no value.
    pub(crate) fn matches(&self, arn: &Arn<'_>, context: &ConditionContext) -> Option<bool> {
        match self {
            ArnPattern::Any => Some(true),
            ArnPattern::Exact(text) => Some(*arn.text == **text),
            ArnPattern::Prefix(text) => Some(arn.text.starts_with(&**text)),
            ArnPattern::Parts(parts) => match_parts(parts, arn, context),
            ArnPattern::Short(short) => match (match_parts(&short.completed, arn, context), &short.whole) {
                (Some(false), Some(whole)) => whole.matches(arn.text, context),
                (decided, _) => decided,
            },
            ArnPattern::Text(pattern) => pattern.matches(arn.text, context),
        }
    }
}

fn match_parts(patterns: &[Pattern; PARTS], arn: &Arn<'_>, context: &ConditionContext) -> Option<bool> {
    let Some(parts) = &arn.parts else { return Some(false) };
    // From the right: the resource tells most requests apart.
    for (pattern, part) in patterns.iter().zip(parts).rev() {
        if !pattern.matches(part, context)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Cuts a pattern at its first five colons that do not stand inside a variable.
fn split(text: &str, variables: bool) -> Vec<&str> {
    let mut parts = Vec::with_capacity(PARTS);
    let mut start = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() && parts.len() < PARTS - 1 {
        if variables
            && bytes[at..].starts_with(b"${")
            && let Some(len) = text[at..].find('}')
        {
            at += len;
        } else if bytes[at] == b':' {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, arn: &str) -> bool {
        let mut context = ConditionContext::new();
        context.set("aws:username", "bob").set("aws:userid", "AROA:session");
        ArnPattern::new(pattern, true).matches(&Arn::new(arn), &context) == Some(true)
    }

    #[test]
    fn parts_are_matched_one_by_one() {
        for (pattern, arn, expected) in [
            ("*", "arn:aws:s3:::b", true),
            ("*", "*", true),
            ("arn:aws:s3:::*", "arn:aws:s3:::b/k", true),
            ("arn:aws:s3:::b", "arn:aws:s3:::b/k", false),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:with:colons", true),
            ("arn:aws:s3:::b/?", "arn:aws:s3:::b/é", true),
            ("arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:us-east-1:111122223333:q", true),
            ("arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:us-east-1:999999999999:x:111122223333:q", false),
            ("arn:aws:sqs:us-*-1:*:q", "arn:aws:sqs:us-east-1:1:q", true),
            // The resource keeps its own colons.
            (
                "arn:aws:logs:*:*:log-group:/aws/lambda/*:*",
                "arn:aws:logs:r:1:log-group:/aws/lambda/f:log-stream:s",
                true,
            ),
            ("arn:aws:logs:*:*:*", "arn:aws:logs:r:1:log-group:/aws/lambda/f:log-stream:s", true),
            // Fewer than six parts.
            ("arn:aws:sqs:*", "arn:aws:sqs:us-east-1:1:q", true),
            ("arn:aws:sqs:us-*", "arn:aws:sqs:eu-west-1:1:q", false),
            ("arn:aws:sqs", "arn:aws:sqs:us-east-1:1:q", true),
            ("arn:aws:sqs:*:q", "arn:aws:sqs:us-east-1:1:q", true),
            ("arn:*", "arn:aws:sqs:us-east-1:1:q", true),
            ("arn:aws:s", "arn:aws:sqs:us-east-1:1:q", false),
            // Variables may hold colons without moving the parts.
            ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/bob/x", true),
            ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/eve/x", false),
            ("arn:aws:s3:::home/${aws:userid}", "arn:aws:s3:::home/AROA:session", true),
            ("arn:aws:s3:::home/${aws:missing}/*", "arn:aws:s3:::home//x", false),
            ("arn:aws:s3:::${aws:missing, 'spare'}/${*}", "arn:aws:s3:::spare/*", true),
            ("arn:aws:s3:::${aws:missing, 'spare'}/${*}", "arn:aws:s3:::spare/x", false),
            // Case counts.
            ("arn:aws:s3:::B", "arn:aws:s3:::b", false),
        ] {
            assert_eq!(matches(pattern, arn), expected, "{pattern} against {arn}");
        }
    }
}
