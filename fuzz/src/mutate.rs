//! Breaking an input: the ways in which real input is broken, and a few in which only attackers break it.

use crate::rng::Rng;

/// What text formats put around things: repeated, it is nesting without end.
const NESTS: &[(&[u8], &[u8])] = &[
    (b"[", b"]"),
    (b"{\"a\":", b"}"),
    (b"(", b")"),
    (b"<a>", b"</a>"),
    (b"<Nested>", b"</Nested>"),
    (b"{\"Nested\":", b"}"),
    (b"{\"Document\":[", b"]}"),
    (b"\x81", b""),
    (b"\xa1\x61a", b""),
    (b"\x9f", b"\xff"),
    (b"\xbf\x61a", b"\xff"),
    (b"\x91", b""),
    (b"!", b""),
    (b"Nested.", b""),
    (b"../", b""),
    (b"%25", b""),
    (b"*", b""),
    (b"${", b"}"),
    (b"a.", b""),
];

/// Numbers at the edges of their types, as text.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "255",
    "65535",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-0",
    "0.1",
    "NaN",
    "Infinity",
    "00",
    "1e-999",
    "0x10",
    "99999999999999999999999999999999999999",
];

/// Bytes that parsers trip over.
const BYTES: &[u8] = b"\0\n\r\t \"'\\/%&=+;:,.<>()[]{}$*?#@!-_~|^`\x7f\x80\xbf\xc0\xe2\xef\xf0\xff";

/// One new input out of an old one. `others` are there to be spliced in, `words` belong to the format, `longest` bounds the
/// result in bytes.
pub(crate) fn mutate(
    rng: &mut Rng,
    from: &[u8],
    others: &[Vec<u8>],
    words: &[&str],
    longest: usize,
) -> Vec<u8> {
    let mut data = from.to_vec();
    // Mostly one or two changes, so that what is around them still makes sense.
    let changes = 1 + rng.below(4).min(rng.below(4)) + if rng.once_in(16) { rng.below(16) } else { 0 };
    for _ in 0..changes {
        change(rng, &mut data, others, words, longest);
        data.truncate(longest);
    }
    data
}

fn change(rng: &mut Rng, data: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str], longest: usize) {
    let at = rng.below(data.len() + 1);
    match rng.below(14) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            let new = if rng.once_in(2) { BYTES[rng.below(BYTES.len())] } else { rng.next() as u8 };
            if let Some(byte) = data.get_mut(at) {
                *byte = new;
            }
        }
        2 => insert(data, at, &[BYTES[rng.below(BYTES.len())]]),
        3 => {
            let end = (at + 1 + rng.below(16)).min(data.len());
            data.drain(at.min(end)..end);
        }
        4 => data.truncate(at),
        5 => {
            data.drain(..at.min(data.len() / 2));
        }
        6 | 7 => {
            if let Some(word) = rng.pick(words) {
                insert(data, at, word.as_bytes());
            }
        }
        8 => replace_number(rng, data, at),
        9 => {
            // A block once more, or many times.
            let block = data[at..(at + 1 + rng.below(64)).min(data.len())].to_vec();
            let most = (longest / block.len().max(1)).min(20_000);
            let times = if rng.once_in(20) { 1 + rng.below(most) } else { 1 + rng.below(4) };
            insert(data, at, &block.repeat(times));
        }
        10 => {
            let other = &others[rng.below(others.len())];
            let begin = rng.below(other.len() + 1);
            let end = (begin + 1 + rng.below(256)).min(other.len());
            insert(data, at, &other[begin.min(end)..end]);
        }
        11 => {
            // The head of this and the tail of another.
            let other = &others[rng.below(others.len())];
            data.truncate(at);
            data.extend_from_slice(&other[rng.below(other.len() + 1)..]);
        }
        12 => {
            let other = rng.below(data.len() + 1);
            let length = rng.below(32).min(data.len().saturating_sub(at.max(other)));
            for i in 0..length {
                data.swap(at + i, other + i);
            }
        }
        _ => nest(rng, data, at, longest),
    }
}

fn insert(data: &mut Vec<u8>, at: usize, new: &[u8]) {
    data.splice(at..at, new.iter().copied());
}

/// Puts an extreme number where the next number stands.
fn replace_number(rng: &mut Rng, data: &mut Vec<u8>, from: usize) {
    let number = rng.pick(NUMBERS).unwrap_or("0").as_bytes();
    let begin = data[from..].iter().position(u8::is_ascii_digit).map_or(from, |i| from + i);
    let end = data[begin..].iter().position(|b| !b.is_ascii_digit()).map_or(data.len(), |i| begin + i);
    data.splice(begin..end, number.iter().copied());
}

/// Opens the same thing again and again; a million times if there is room.
fn nest(rng: &mut Rng, data: &mut Vec<u8>, at: usize, longest: usize) {
    let (open, close) = NESTS[rng.below(NESTS.len())];
    let most = longest.saturating_sub(data.len()) / (open.len() + close.len());
    let times = match rng.below(64) {
        0 => most.min(1_000_000),
        1..4 => 1 + rng.below(most.min(20_000)),
        _ => 1 + rng.below(most.min(130)),
    };
    let mut new = open.repeat(times);
    if rng.once_in(2) {
        new.extend(close.repeat(times));
    }
    insert(data, at, &new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_breaks_in_the_same_way_and_never_beyond_the_limit() {
        let seeds = vec![b"{\"a\": [1, 2, 3]}".to_vec(), b"<a><b>7</b></a>".to_vec(), Vec::new()];
        let run = |seed| {
            let mut rng = Rng::new(seed);
            (0..2000)
                .map(|i| mutate(&mut rng, &seeds[i % 3], &seeds, &["null", ":"], 4096))
                .collect::<Vec<_>>()
        };
        let made = run(7);
        assert_eq!(made, run(7));
        assert_ne!(made, run(8));
        assert!(made.iter().all(|data| data.len() <= 4096));
        let distinct: std::collections::HashSet<_> = made.iter().collect();
        assert!(distinct.len() > 1000, "{}", distinct.len());
    }
}
