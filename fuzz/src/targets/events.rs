//! Frames of event streams: taken whole, or refused, however long they say they are.

use super::{Target, seen, seen_message};
use bytes::{BufMut, BytesMut};
use cloudlet_wire::decode_frame;

pub(super) static TARGET: Target = Target {
    name: "events",
    run,
    seeds,
    words: &[":event-type", ":message-type", "event"],
    ..Target::DEFAULT
};

/// A frame with its checksums. Source: Amazon Event Stream specification.
fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32((16 + headers.len() + payload.len()) as u32);
    out.put_u32(headers.len() as u32);
    out.put_u32(crc32(&out));
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.put_u32(crc32(&out));
    out
}

/// CRC-32 as in zip, bit by bit.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let text = b"\x0b:event-type\x07\x00\x07Records";
    let kinds = b"\x01a\x00\x01b\x01\x01c\x02\x05\x01d\x03\x00\x05\x01e\x04\x00\x00\x00\x05\x01f\x05\x00\x00\x00\x00\x00\x00\x00\x05\x01g\x06\x00\x02ab\x01h\x08\x00\x00\x00\x00\x00\x00\x00\x05\x01i\x090123456789abcdef";
    vec![
        frame(b"", b""),
        frame(text, b"payload"),
        frame(kinds, b"{}"),
        [frame(text, b"1"), frame(kinds, b"2")].concat(),
    ]
}

fn run(input: &[u8]) -> u64 {
    let mut total = 0;
    // As it is, and with its checksums put right, so that what is behind them is reached too.
    for data in [input.to_vec(), mended(input)] {
        let mut buffer = BytesMut::from(&data[..]);
        loop {
            let before = buffer.len();
            match decode_frame(&mut buffer) {
                Ok(Some(message)) => {
                    assert!(buffer.len() < before, "a frame that takes no bytes");
                    total = seen(&(total, message.headers().len(), message.payload().len().checked_ilog2()));
                }
                Ok(None) => break,
                Err(why) => {
                    total = seen(&(total, seen_message(why.code(), why.message())));
                    break;
                }
            }
        }
    }
    total
}

fn mended(input: &[u8]) -> Vec<u8> {
    match input.get(8..) {
        Some(_) if input.len() >= 16 => {
            let headers = u32::from_be_bytes([0, 0, input[6], input[7]]) as usize;
            let body = &input[12..input.len() - 4];
            let (headers, payload) = body.split_at(headers.min(body.len()));
            frame(headers, payload)
        }
        _ => Vec::new(),
    }
}
