//! The ids of requests, in the forms that services give them.

use crate::gate::Gate;

/// 16 digits as S3 gives them.
pub(crate) fn s3_request_id(gate: &Gate) -> String {
    let mut bytes = [0u8; 8];
    gate.cloud.random().fill(&mut bytes);
    let mut digits = [0u8; 16];
    // The lengths fit by their types.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    digits.make_ascii_uppercase();
    String::from_utf8_lossy(&digits).into_owned()
}

/// A random (version 4) UUID, as most services give their requests.
pub(crate) fn uuid(gate: &Gate) -> String {
    let mut bytes = [0u8; 16];
    gate.cloud.random().fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut digits = [0u8; 32];
    let _ = hex::encode_to_slice(bytes, &mut digits);
    let mut text = [b'-'; 36];
    for (at, from) in [(0, 0..8), (9, 8..12), (14, 12..16), (19, 16..20), (24, 20..32)] {
        text[at..at + from.len()].copy_from_slice(&digits[from]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// 52 letters and digits as DynamoDB gives them, which ends them all alike.
pub(crate) fn dynamodb_request_id(gate: &Gate) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    let mut text = *b"00000000000000000000000000VV4KQNSO5AEMVJF66Q9ASUAAJG";
    let mut random = [0u8; 26];
    gate.cloud.random().fill(&mut random);
    for (digit, byte) in text.iter_mut().zip(random) {
        *digit = DIGITS[usize::from(byte % 32)];
    }
    String::from_utf8_lossy(&text).into_owned()
}
