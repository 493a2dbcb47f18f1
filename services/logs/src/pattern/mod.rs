//! Filter patterns: which events a search, a metric filter or a live tail means.
//!
//! Three forms, told apart by their first character: terms (`ERROR -"health check"`, `?WARN ?ERROR`, `%regex%`),
//! JSON (`{ $.status >= 500 && $.path = "/api/*" }`) and space-delimited fields (`[ip, ..., status = 4*]`).
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log
//! events, and Live Tail".

mod columns;
mod cursor;
mod json;
mod test;

use cursor::Cursor;
use regex::Regex;
use std::collections::BTreeMap;

/// A parsed pattern.
#[derive(Debug)]
pub struct Pattern(Form);

#[derive(Debug)]
enum Form {
    Everything,
    Terms(Vec<Term>),
    Json(json::Expression),
    Columns(columns::Columns),
}

#[derive(Debug)]
struct Term {
    kind: Kind,
    text: Needle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Must,
    May,
    MustNot,
}

#[derive(Debug)]
enum Needle {
    Text(String),
    Regex(Regex),
}

/// What is wrong with a pattern, in words for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError(pub String);

/// How deep parentheses may nest.
const DEPTH: usize = 32;

impl Pattern {
    /// Reads a pattern. Errors: [`PatternError`] with the place and what was expected there.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim();
        let form = match trimmed.chars().next() {
            None => Form::Everything,
            Some('{') => Form::Json(json::parse(trimmed)?),
            Some('[') => Form::Columns(columns::parse(trimmed)?),
            Some(_) => terms(trimmed)?,
        };
        Ok(Self(form))
    }

    /// Whether the message is meant.
    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Form::Everything => true,
            Form::Terms(terms) => {
                // AWS: an optional term beside others is ignored.
                let optional_only = terms.iter().all(|t| t.kind == Kind::May);
                if optional_only {
                    return terms.iter().any(|t| t.text.is_in(message));
                }
                terms.iter().all(|t| match t.kind {
                    Kind::May => true,
                    Kind::Must => t.text.is_in(message),
                    Kind::MustNot => !t.text.is_in(message),
                })
            }
            Form::Json(expression) => {
                let trimmed = message.trim_start();
                trimmed.starts_with('{')
                    && serde_json::from_str::<serde_json::Value>(trimmed)
                        .is_ok_and(|value| expression.holds(&value))
            }
            Form::Columns(columns) => columns.matches(message),
        }
    }

    /// What `TestMetricFilter` shows of a match: the values by their selectors or field names.
    pub fn extract(&self, message: &str) -> BTreeMap<String, String> {
        match &self.0 {
            Form::Everything | Form::Terms(_) => BTreeMap::new(),
            Form::Json(expression) => match serde_json::from_str(message) {
                Ok(value) => expression.extract(&value),
                Err(_) => BTreeMap::new(),
            },
            Form::Columns(columns) => columns.extract(message),
        }
    }
}

impl Needle {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

fn terms(text: &str) -> Result<Form, PatternError> {
    let mut cursor = Cursor::new(text);
    let mut terms = Vec::new();
    loop {
        cursor.skip_space();
        let kind = match cursor.peek() {
            None => return Ok(Form::Terms(terms)),
            Some('?') => Kind::May,
            Some('-') => Kind::MustNot,
            Some(_) => Kind::Must,
        };
        if kind != Kind::Must {
            cursor.next();
        }
        let text = match cursor.peek() {
            Some('"') => Needle::Text(cursor.quoted()?),
            Some('%') => match cursor.regex()? {
                Some(regex) => Needle::Regex(regex),
                None => Needle::Text(cursor.word(|_| false)),
            },
            _ => Needle::Text(cursor.word(|_| false)),
        };
        match &text {
            Needle::Text(text) if text.is_empty() => {
                return Err(cursor.error("a term after the sign"));
            }
            _ => terms.push(Term { kind, text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let parsed = Pattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {}", e.0));
        for message in yes {
            assert!(parsed.matches(message), "{pattern} should find {message}");
        }
        for message in no {
            assert!(!parsed.matches(message), "{pattern} should not find {message}");
        }
    }

    #[test]
    fn terms() {
        check("", &["anything", ""], &[]);
        check("ERROR", &["[ERROR] x"], &["error"]);
        check("ERROR ARGUMENTS", &["ERROR: bad ARGUMENTS"], &["ERROR", "ARGUMENTS"]);
        check("?ERROR ?WARN", &["ERROR", "WARN"], &["INFO"]);
        check("ERROR -EXITING", &["ERROR 1"], &["ERROR EXITING", "INFO"]);
        check("\"INTERNAL SERVER ERROR\"", &["an INTERNAL SERVER ERROR"], &["INTERNAL ERROR SERVER"]);
        check("-\"a b\"", &["ab"], &["x a b y"]);
        check("?ERROR INFO", &["INFO"], &["ERROR"]);
        check(r#""say \"hi\"""#, &["say \"hi\" now"], &["say hi"]);
        check("%AUTHORIZED.*SUCCESS%", &["AUTHORIZED with SUCCESS"], &["AUTHORIZED"]);
    }

    #[test]
    fn json() {
        let event = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],
            "objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c","ok":true,
            "detail":{"size":12.5}}"#;
        for yes in [
            r#"{ $.eventType = "UpdateTrail" }"#,
            r#"{ $.sourceIPAddress != 123.123.* }"#,
            r#"{ $.sourceIPAddress = 111.* }"#,
            r#"{ $.arrayKey[0] = "value" }"#,
            r#"{ $.objectList[1].id = 2 }"#,
            r#"{ $.objectList[*].id = 2 }"#,
            "{ $.SomeObject IS NULL }",
            "{ $.SomeOtherObject NOT EXISTS }",
            "{ $.ok IS TRUE }",
            r#"{ $.['cluster.name'] = "c" }"#,
            r#"{ $['cluster.name'] = "c" }"#,
            "{ $.detail.size > 12 && $.detail.size <= 12.5 }",
            r#"{ ($.eventType = "x" || $.ok IS TRUE) && $.detail.size >= 1e1 }"#,
            r#"{ $.eventType = "x" || $.ok IS TRUE && $.detail.size = 12.5 }"#,
            "{ $.eventType = %Update[A-Z]% }",
            r#"{$.eventType="Up*"}"#,
        ] {
            check(
                yes,
                &[event],
                ["not json", "{}"].map(|m| if yes.contains("NOT EXISTS") { "no" } else { m })[..1].as_ref(),
            );
        }
        for no in [
            r#"{ $.eventType = "Other" }"#,
            "{ $.missing = 1 }",
            "{ $.missing != 1 }",
            "{ $.ok IS FALSE }",
            "{ $.detail.size > 13 }",
            "{ $.arrayKey[5] = \"value\" }",
            "{ $.eventType > 3 }",
        ] {
            check(no, &[], &[event]);
        }
    }

    #[test]
    fn columns() {
        let line = r#"127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
        for yes in [
            "[ip, user, username, timestamp, request, status_code, bytes]",
            "[ip, user, username, timestamp, request, status_code=4*, bytes]",
            "[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]",
            "[..., status_code=404, bytes > 1000]",
            "[ip, ..., bytes]",
            "[ip=127.0.0.1, ...]",
            "[ip, user, username=frank || username=bob, ...]",
            "[w1, w2=\"Prod\" && w2!=\"Dev\", ...]",
            "[..., status_code=%4[0-9]{2}%, bytes]",
        ] {
            check(yes, &[line], &[]);
        }
        for no in ["[ip, user]", "[..., status_code=5*, bytes]", "[..., bytes < 1000]", "[a,b,c,d,e,f,g,h]"] {
            check(no, &[], &[line]);
        }
    }

    #[test]
    fn wrong_ones_are_refused() {
        for bad in [
            "{ $.a = }",
            "{ a = 1 }",
            "{ $.a = 1",
            "[a, b",
            "{ $.a ~ 1 }",
            "\"open",
            "{ $.a = 1 } x",
            "-",
            "[a=]",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{{ {} $.a = 1 {} }}", "(".repeat(5000), ")".repeat(5000));
        assert!(Pattern::parse(&deep).is_err());
    }

    #[test]
    fn extracts_what_metrics_show() {
        let pattern = Pattern::parse("[ip, ..., bytes > 1]").unwrap();
        let found = pattern.extract("1.2.3.4 x y 20");
        assert_eq!(found["$ip"], "1.2.3.4");
        assert_eq!(found["$bytes"], "20");
        let pattern = Pattern::parse("{ $.a.b = 1 }").unwrap();
        assert_eq!(pattern.extract(r#"{"a":{"b":1}}"#)["$.a.b"], "1");
    }
}
