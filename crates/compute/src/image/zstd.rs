//! Zstandard as layers have it: several frames one after the other, with frames among them that hold nothing to read.
//! Source: RFC 8878, 3.1.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, Read};

/// What a packed layer begins with.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A frame without content. The decoder (0.8) looks at how large a window a frame wants only from its second frame on.
const NOTHING: &[u8] = &[MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], 0x20, 0, 1, 0, 0];

/// How much is unpacked at once, in bytes.
const AT_ONCE: usize = 1 << 17;

/// Unpacks all frames. A frame that wants more than 100 MiB for itself is an error of the decoder.
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> io::Result<Self> {
        let mut decoder = FrameDecoder::new();
        decoder.reset(NOTHING).map_err(io::Error::other)?;
        Ok(Self { source, decoder, within: false })
    }

    /// Goes to the next frame that holds something. There may be none.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                    if skipped != u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(why) => return Err(io::Error::other(why)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.next_frame()? {
                return Ok(0);
            }
            self.within = true;
            if !self.decoder.is_finished() && self.decoder.can_collect() == 0 {
                let some = BlockDecodingStrategy::UptoBytes(out.len().min(AT_ONCE));
                self.decoder.decode_blocks(&mut self.source, some).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            self.within = !self.decoder.is_finished();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame with one raw block.
    fn frame(data: &[u8]) -> Vec<u8> {
        let size = u8::try_from(data.len()).unwrap();
        let block = (u32::from(size) << 3 | 1).to_le_bytes();
        [&MAGIC[..], &[0x20, size], &block[..3], data].concat()
    }

    fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Frames::new(packed)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn frames_follow_each_other() {
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
        let packed = [frame(b"one "), skipped.clone(), frame(b""), frame(b"two"), skipped.clone()].concat();
        assert_eq!(unpack(&packed).unwrap(), b"one two");
        assert_eq!(unpack(&[]).unwrap(), b"");
        assert_eq!(unpack(&skipped).unwrap(), b"");
        for end in 1..packed.len() {
            // Whatever is cut off is an error or the beginning, never more and never for ever.
            if let Ok(part) = unpack(&packed[..end]) {
                assert!(b"one two".starts_with(&part[..]), "{end}");
            }
        }
        assert!(unpack(b"neither a frame nor nothing").is_err());
        // A window of 2 GiB.
        assert!(unpack(&[&MAGIC[..], &[0x00, 0xa8], &[1, 0, 0]].concat()).is_err());
    }
}
