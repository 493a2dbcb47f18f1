//! What the store reads back: keys, and records out of a file that something has damaged.

use super::{Target, seen};
use cloudlet_identity::{Claims, records};
use cloudlet_store::{Key, decode_body};

pub(super) static TARGET: Target = Target {
    name: "store",
    run,
    seeds,
    words: &["name", "path", "created", "inline", "\0", "\0\u{1}"],
    ..Target::DEFAULT
};

fn seeds() -> Vec<Vec<u8>> {
    vec![
        Key::new().text("000000000000").text("a\0b").number(7).bytes(b"\xff").as_bytes().to_vec(),
        Key::new().text("photos").raw_tail(b"a/b/c.jpg").as_bytes().to_vec(),
        // MessagePack as records are written in it: maps of fields by name.
        b"\x84\xa4name\xa5alice\xa4path\xa1/\xa2id\xb0AIDAAAAAAAAAAAAA\xa7created\xcf\x00\x00\x01\x8b\xcf\xe5\x68\x00".to_vec(),
        b"\x83\xa2id\xa4AKIA\xa7account\xac000000000000\xa6secret\xa1s".to_vec(),
        b"\x81\xabpermissions\x82\xa6inline\x81\xa1a\xa2{}\xa8attached\x91\xa1b".to_vec(),
        b"\xdd\xff\xff\xff\xff".to_vec(),
        b"\xdf\xff\xff\xff\xff".to_vec(),
        [b"\x81\xa1x".to_vec(), vec![0x91; 100_000]].concat(),
        b"\xdb\xff\xff\xff\xffabc".to_vec(),
        b"\xc6\xff\xff\xff\xffabc".to_vec(),
    ]
}

fn run(input: &[u8]) -> u64 {
    let key = Key::from_bytes(input);
    let mut kinds = Vec::new();
    let mut parts = key.parts();
    while kinds.len() < 32 {
        let mut text = parts.clone();
        if text.text().is_some() {
            parts = text;
            kinds.push(1);
        } else if parts.bytes().is_some() {
            kinds.push(2);
        } else if parts.number().is_some() {
            kinds.push(3);
        } else {
            break;
        }
    }
    // What a key says, written again, is the same key.
    if let Some(text) = key.parts().text() {
        let again = Key::new().text(&text);
        assert!(key.as_bytes().starts_with(again.as_bytes()), "{text:?} was not written like that");
    }
    let range = key.prefix_range();
    assert_eq!(range, range.clone().from(&key));
    let read = [
        decode_body::<records::User>("fuzz", input).is_ok(),
        decode_body::<records::Role>("fuzz", input).is_ok(),
        decode_body::<records::Group>("fuzz", input).is_ok(),
        decode_body::<records::ManagedPolicy>("fuzz", input).is_ok(),
        decode_body::<records::AccessKey>("fuzz", input).is_ok(),
        decode_body::<records::MfaDevice>("fuzz", input).is_ok(),
        decode_body::<records::SamlProvider>("fuzz", input).is_ok(),
        decode_body::<Claims>("fuzz", input).is_ok(),
    ];
    let why = decode_body::<records::User>("fuzz", input)
        .err()
        .map(|e| e.to_string().chars().take(60).collect::<String>());
    seen(&(kinds, read, why))
}
