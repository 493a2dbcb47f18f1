//! Filter patterns of CloudWatch Logs, and the messages they are held against.

use super::{Target, seen, seen_message, texts};
use cloudlet_logs::{Pattern, PatternError};

pub(super) static TARGET: Target =
    Target { name: "log-pattern", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "ERROR -\"health check\"\n2023 ERROR something",
        "?WARN ?ERROR\nWARN",
        "%5[0-9]{2}%\nstatus 503",
        "{ $.status >= 500 && $.path = \"/api/*\" }\n{\"status\": 503, \"path\": \"/api/x\"}",
        "{ ($.a IS NULL) || ($.b NOT EXISTS) || $.c[0].d != 1 || $.* = %x% }\n{\"a\":null,\"c\":[{\"d\":2}]}",
        "[ip, user, ..., status = 4* || status = 5*, bytes > 1000]\n127.0.0.1 frank [10/Oct/2000] \"GET /\" 404 2326",
        "{ $.a ISé NULL }\n{}",
        "[w1 = \"a b\", w2 != %[0-9]+%]\n\"a b\" c",
    ])
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "$",
    "$.",
    "$.*",
    "[0]",
    "[*]",
    "&&",
    "||",
    "=",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "IS NULL",
    "NOT EXISTS",
    "IS TRUE",
    "\"",
    "\\",
    "%",
    "%(a*)*%",
    "%(a|a)*b%",
    "%a{1000}{1000}%",
    "%[%",
    "?",
    "-",
    "*",
    "...",
    ",",
    "\n",
    "1e309",
    "null",
    "true",
    "\u{e9}",
];

fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let (pattern, message) = text.split_once('\n').unwrap_or((text, "a"));
    match Pattern::parse(pattern) {
        Ok(parsed) => seen(&(parsed.matches(message), parsed.extract(message).len().min(8))),
        Err(PatternError(why)) => seen_message("", &why),
    }
}
