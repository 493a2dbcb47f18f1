//! Reads a pattern from left to right.

use super::PatternError;
use regex::Regex;

pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Takes this text if it comes next, after space.
    pub(super) fn take(&mut self, text: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    /// Takes these words, in any case, separated by space.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let before = self.at;
        for word in words {
            self.skip_space();
            let rest = self.rest();
            // The word's end may lie inside a character of something else.
            let after = rest.split_at_checked(word.len()).filter(|(head, _)| head.eq_ignore_ascii_case(word));
            let ends = |after: &str| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            if !after.is_some_and(|(_, after)| ends(after)) {
                self.at = before;
                return false;
            }
            self.at += word.len();
        }
        true
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), PatternError> {
        if self.take(text) { Ok(()) } else { Err(self.error(&format!("'{text}'"))) }
    }

    pub(super) fn error(&self, expected: &str) -> PatternError {
        PatternError(format!(
            "Invalid filter pattern: expected {expected} at character {}",
            self.text[..self.at].chars().count() + 1
        ))
    }

    /// A text in double quotes, with `\"` for one inside.
    pub(super) fn quoted(&mut self) -> Result<String, PatternError> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("a closing quote")),
                Some('"') => return Ok(out),
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => out.extend(self.next()),
                Some(c) => out.push(c),
            }
        }
    }

    /// Everything up to space or a character that ends it.
    pub(super) fn word(&mut self, ends: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !ends(*c)) {
            out.push(c);
            self.next();
        }
        out
    }

    /// A regular expression between percent signs; `None` where no second sign follows.
    pub(super) fn regex(&mut self) -> Result<Option<Regex>, PatternError> {
        let rest = self.rest();
        let Some(end) = rest.strip_prefix('%').and_then(|r| r.find('%')).filter(|end| *end > 0) else {
            return Ok(None);
        };
        let source = &rest[1..=end];
        let built = regex::RegexBuilder::new(source).size_limit(1 << 18).build();
        let regex = built.map_err(|_| {
            PatternError(format!(
                "Invalid filter pattern: '{source}' is not a regular expression that is served"
            ))
        })?;
        self.at += end + 2;
        Ok(Some(regex))
    }
}
