//! Words of a PartiQL statement.
//!
//! Source: PartiQL specification, and the parser that AWS published (partiql-lang), whose words for mistakes are
//! DynamoDB's.

use std::fmt;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name without quotes.
    Name(String),
    /// A name in double quotes.
    Quoted(String),
    /// A reserved word, in lower case; several words that belong together are one.
    Keyword(&'static str),
    /// Text in single quotes.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// A comparison or an arithmetic operator.
    Operator(&'static str),
    Star,
    Mark(Mark),
    /// `?`
    Parameter,
    /// A literal of the Ion language, in backquotes.
    Ion,
    End,
}

/// Punctuation, by the names that messages have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftCurly,
    RightCurly,
    LeftDoubleAngle,
    RightDoubleAngle,
    Comma,
    Colon,
    Dot,
    Semicolon,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mark::LeftParen => "LEFT_PAREN",
            Mark::RightParen => "RIGHT_PAREN",
            Mark::LeftBracket => "LEFT_BRACKET",
            Mark::RightBracket => "RIGHT_BRACKET",
            Mark::LeftCurly => "LEFT_CURLY",
            Mark::RightCurly => "RIGHT_CURLY",
            Mark::LeftDoubleAngle => "LEFT_DOUBLE_ANGLE_BRACKET",
            Mark::RightDoubleAngle => "RIGHT_DOUBLE_ANGLE_BRACKET",
            Mark::Comma => "COMMA",
            Mark::Colon => "COLON",
            Mark::Dot => "DOT",
            Mark::Semicolon => "SEMICOLON",
        })
    }
}

/// Where a token stands: line and column from one, and its length, in characters. As messages write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    line: usize,
    column: usize,
    length: usize,
}

impl Span {
    /// Of nothing that was written.
    pub(super) const NOWHERE: Self = Self { line: 0, column: 0, length: 0 };
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.line, self.column, self.length)
    }
}

/// Operators, the longer ones first.
const OPERATORS: &[&str] = &["<=", ">=", "<>", "!=", "||", "=", "<", ">", "+", "-", "/", "%", "@"];

/// Words that are one keyword together.
const PAIRS: &[(&str, &str, &str)] = &[
    ("insert", "into", "insert_into"),
    ("is", "not", "is_not"),
    ("not", "in", "not_in"),
    ("not", "like", "not_like"),
    ("not", "between", "not_between"),
    ("all", "old", "all_old"),
    ("all", "new", "all_new"),
    ("modified", "old", "modified_old"),
    ("modified", "new", "modified_new"),
    ("on", "conflict", "on_conflict"),
    ("do", "nothing", "do_nothing"),
];

/// SQL's reserved words and PartiQL's own, in order.
#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "absolute", "action", "add", "all", "allocate", "alter", "and", "any", "are", "as", "asc", "assertion", "at",
    "authorization", "avg", "bag", "begin", "between", "bit", "bit_length", "blob", "bool", "boolean", "by", "cascade",
    "cascaded", "case", "cast", "catalog", "char", "char_length", "character", "character_length", "check", "clob",
    "close", "coalesce", "collate", "collation", "column", "commit", "conflict", "connect", "connection", "constraint",
    "constraints", "continue", "convert", "corresponding", "count", "create", "cross", "current", "current_date",
    "current_time", "current_timestamp", "current_user", "cursor", "date", "date_add", "date_diff", "deallocate",
    "dec", "decimal", "declare", "default", "deferrable", "deferred", "delete", "desc", "describe", "descriptor",
    "diagnostics", "disconnect", "distinct", "do", "domain", "double", "drop", "else", "end", "escape", "except",
    "exception", "exec", "execute", "exists", "external", "extract", "false", "fetch", "first", "float", "for",
    "foreign", "found", "from", "full", "get", "global", "go", "goto", "grant", "group", "having", "identity",
    "immediate", "in", "index", "indicator", "initially", "inner", "input", "insensitive", "insert", "int", "integer",
    "intersect", "interval", "into", "is", "isolation", "join", "key", "language", "last", "left", "let", "level",
    "like", "limit", "list", "local", "lower", "match", "max", "min", "missing", "modified", "module", "names",
    "national", "natural", "nchar", "new", "next", "no", "not", "nothing", "null", "nullif", "numeric",
    "octet_length", "of", "old", "on", "only", "open", "option", "or", "order", "outer", "output", "overlaps", "pad",
    "partial", "pivot", "position", "precision", "prepare", "preserve", "primary", "prior", "privileges", "procedure",
    "public", "read", "real", "references", "relative", "remove", "restrict", "returning", "revoke", "right",
    "rollback", "rows", "schema", "scroll", "section", "select", "session", "session_user", "set", "sexp", "size",
    "smallint", "some", "space", "sql", "sqlcode", "sqlerror", "sqlstate", "string", "struct", "substring", "sum",
    "symbol", "system_user", "table", "temporary", "then", "time", "timestamp", "to", "transaction", "translate",
    "translation", "trim", "true", "tuple", "union", "unique", "unknown", "unpivot", "update", "upper", "usage",
    "user", "using", "value", "values", "varchar", "varying", "view", "when", "whenever", "where", "with", "work",
    "write",
];

fn keyword(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    KEYWORDS.binary_search(&lower.as_str()).ok().map(|at| KEYWORDS[at])
}

/// All tokens, and the end behind them. Errors: text or a comment that does not end, a sign that has no meaning.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, String> {
    let mut out: Vec<(Token, Span)> = Vec::new();
    let mut reader = Reader { rest: text, line: 1, column: 1 };
    loop {
        reader.skip()?;
        let before = (reader.line, reader.column, reader.rest);
        let token = reader.token()?;
        let length = before.2[..before.2.len() - reader.rest.len()].chars().count();
        let span = Span { line: before.0, column: before.1, length };
        let end = token == Token::End;
        // Two keywords that are one.
        if let (Some((Token::Keyword(first), start)), Token::Keyword(second)) = (out.last_mut(), &token)
            && let Some((_, _, joined)) = PAIRS.iter().find(|(a, b, _)| a == first && b == second)
        {
            *first = joined;
            if start.line == span.line {
                start.length = span.column + span.length - start.column;
            }
            continue;
        }
        out.push((token, span));
        if end {
            return Ok(out);
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
}

impl<'t> Reader<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    /// Spaces and comments.
    fn skip(&mut self) -> Result<(), String> {
        loop {
            let space = self.rest.len() - self.rest.trim_start().len();
            self.take(space);
            if self.rest.starts_with("--") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or("invalid character at, end of input")?;
                self.take(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, String> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token::End);
        };
        if first.is_ascii_alphabetic() || matches!(first, '_' | '$') {
            let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
            let word = self.take(self.rest.find(|c| !part(c)).unwrap_or(self.rest.len()));
            return Ok(keyword(word).map_or_else(|| Token::Name(word.to_owned()), Token::Keyword));
        }
        let point = first == '.' && self.rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || point {
            return Ok(Token::Number(self.number()));
        }
        match first {
            '\'' => return Ok(Token::Text(self.quoted('\'')?)),
            '"' => return Ok(Token::Quoted(self.quoted('"')?)),
            '`' => {
                self.quoted('`')?;
                return Ok(Token::Ion);
            }
            _ => {}
        }
        let mark = match first {
            '(' => Some(Mark::LeftParen),
            ')' => Some(Mark::RightParen),
            '[' => Some(Mark::LeftBracket),
            ']' => Some(Mark::RightBracket),
            '{' => Some(Mark::LeftCurly),
            '}' => Some(Mark::RightCurly),
            ',' => Some(Mark::Comma),
            ':' => Some(Mark::Colon),
            '.' => Some(Mark::Dot),
            ';' => Some(Mark::Semicolon),
            _ => None,
        };
        if let Some(mark) = mark {
            self.take(1);
            return Ok(Token::Mark(mark));
        }
        for (text, mark) in [("<<", Mark::LeftDoubleAngle), (">>", Mark::RightDoubleAngle)] {
            if self.rest.starts_with(text) {
                self.take(2);
                return Ok(Token::Mark(mark));
            }
        }
        if let Some(operator) = OPERATORS.iter().find(|operator| self.rest.starts_with(**operator)) {
            self.take(operator.len());
            return Ok(Token::Operator(operator));
        }
        match first {
            '*' => {
                self.take(1);
                Ok(Token::Star)
            }
            '?' => {
                self.take(1);
                Ok(Token::Parameter)
            }
            other => Err(format!("invalid character at, '{other}'")),
        }
    }

    fn number(&mut self) -> String {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| from + bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        self.take(end).to_owned()
    }

    /// What stands in quotes; two quotes in a row are one.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut out = String::new();
        self.take(1);
        loop {
            let end = self.rest.find(quote).ok_or("invalid character at, end of input")?;
            out.push_str(self.take(end));
            self.take(1);
            if !self.rest.starts_with(quote) {
                return Ok(out);
            }
            out.push(quote);
            self.take(1);
        }
    }
}
