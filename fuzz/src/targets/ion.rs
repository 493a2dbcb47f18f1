//! Lines of imports in Amazon Ion.

use super::{Target, seen, texts};
use cloudlet_dynamodb::ion;

pub(super) static TARGET: Target =
    Target { name: "ion", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "$ion_1_0 {Item:{Authors:$dynamodb_SS::[\"Author1\",\"Author2\"],Id:103.,InPublication:false,PageCount:6d2}}",
        "$ion_1_0 {Item:{'a b':{{AAE=}},l:[1,2e0,null,{m:\"\\n\\u00e9\"}],n:$dynamodb_NS::[1.,-2.5],b:$dynamodb_BS::[{{AA==}}]}}",
    ])
}

const WORDS: &[&str] = &[
    "$ion_1_0 ",
    "{Item:{",
    "}}",
    "$dynamodb_SS::[",
    "$dynamodb_NS::[",
    "$dynamodb_BS::[",
    "{{",
    "'''",
    "\"",
    "'",
    "\\",
    "null.",
    "null.struct",
    "$ion_symbol_table::{symbols:[",
    "$10",
    "$99999999999999999999",
    "\\ud83d",
    "\\ude00",
    "\\U00110000",
    "1d999999999",
    "2020-01-01T00:00Z",
    "nan",
    "+inf",
    "0x",
    "/*",
    "*/",
    "//",
    "(",
    ")",
    "[",
    "]",
    "a:",
    ",",
];

fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let Some(item) = ion::read(text) else { return 1 };
    // What was read can be written, and is read as the same.
    let line = ion::line([("Item", ion::write(&item))]);
    assert_eq!(ion::read(&line).as_ref(), Some(&item), "{line}");
    seen(&format!("{:?}", item.values().map(|value| value.type_name()).collect::<Vec<_>>()))
}
