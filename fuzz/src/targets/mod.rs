//! The targets: each takes any bytes at all and says in a number what became of them, so that inputs which lead to
//! something new are kept and broken further. A target fails by panicking, by taking too long or by taking too much.

mod arns;
mod assertions;
mod chunked;
mod door;
mod dynamodb;
mod events;
mod ion;
mod log_pattern;
mod operations;
mod policy;
mod select;
mod sigv4;
mod store;
mod tokens;
mod wire;
mod wire_cbor;
mod wire_ec2;
mod wire_json;
mod wire_query;
mod wire_rest_json;
mod wire_rest_xml;
mod world;
mod zip;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A parser under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Takes the bytes; the number tells what became of them.
    pub(crate) run: fn(&[u8]) -> u64,
    /// Valid inputs, and the invalid ones that people thought of.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// What the format is made of.
    pub(crate) words: &'static [&'static str],
    /// The longest input, in bytes.
    pub(crate) longest: usize,
    /// Memory that any input may take, in bytes, besides 64 bytes for each of its own.
    pub(crate) memory: usize,
}

impl Target {
    pub(crate) const DEFAULT: Self =
        Self { name: "", run: |_| 0, seeds: Vec::new, words: &[], longest: 256 << 10, memory: 32 << 20 };
}

/// All of them.
pub(crate) static ALL: &[&Target] = &[
    &wire_rest_xml::TARGET,
    &wire_rest_json::TARGET,
    &wire_json::TARGET,
    &wire_query::TARGET,
    &wire_ec2::TARGET,
    &wire_cbor::TARGET,
    &operations::TARGET,
    &door::TARGET,
    &chunked::TARGET,
    &sigv4::TARGET,
    &policy::TARGET,
    &zip::TARGET,
    &events::TARGET,
    &store::TARGET,
    &arns::TARGET,
    &log_pattern::TARGET,
    &dynamodb::TARGET,
    &ion::TARGET,
    &select::TARGET,
    &tokens::TARGET,
    &assertions::TARGET,
];

/// A number for what was seen, the same in every run.
pub(crate) fn seen(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A number for a message: what in it came from the input is left out as far as that shows.
pub(crate) fn seen_message(code: &str, message: &str) -> u64 {
    let words = message.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| (2..=14).contains(&w.len()));
    seen(&(code, words.take(6).collect::<Vec<_>>()))
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}
