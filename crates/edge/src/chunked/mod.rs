//! `aws-chunked`: a body that comes in chunks of its own, each of them signed or not, with trailers after it.
//!
//! Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
//! Multiple Chunks", and "Including trailing headers (chunked uploads)".

mod chain;
mod frames;

pub use chain::Chain;
pub(crate) use frames::{Frames, SIGNED_EVENTS};

use bytes::{Buf, Bytes};
use cloudlet_service::{BodyError, Error};

/// The longest head of a chunk, in bytes: 16 digits, the signature and some air for extensions.
const LONGEST_HEAD: usize = 1024;
/// All trailers together, in bytes.
const LONGEST_TRAILERS: usize = 8 * 1024;
/// What S3 asks of every chunk but the last, in bytes.
const SMALLEST_CHUNK: u64 = 8192;

/// Where in the framing the decoder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Data,
    /// After the data of a chunk: the line end that closes it.
    Close,
    Trailers,
    Done,
}

/// Takes the framing off a body. It holds back at most one line; data passes through uncopied.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// What of the current line has come.
    line: Vec<u8>,
    /// Bytes of the current chunk still to come.
    left: u64,
    /// The size of the chunk before, which must not have been too small if another follows.
    previous: Option<u64>,
    /// Bytes of data that chunks have announced so far, of `declared` in all.
    announced: u64,
    declared: u64,
    chain: Option<Chain>,
    /// The names of `x-amz-trailer`; empty where the body has no trailers.
    expected: Vec<String>,
    trailers: Vec<(String, String)>,
    trailer_bytes: usize,
}

impl Decoder {
    /// A decoder for a body of `declared` bytes (`x-amz-decoded-content-length`). `chain` checks the chunks'
    /// signatures; `expected` are the names in `x-amz-trailer`, lower case.
    pub fn new(declared: u64, chain: Option<Chain>, expected: Vec<String>) -> Self {
        Self {
            state: State::Head,
            line: Vec::new(),
            left: 0,
            previous: None,
            announced: 0,
            declared,
            chain,
            expected,
            trailers: Vec::new(),
            trailer_bytes: 0,
        }
    }

    /// The next piece of data out of `input`, which loses what has been used. `None`: more input is needed, or
    /// the body is over. Errors: a signature or the framing is wrong; the decoder is of no use afterwards.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, BodyError> {
        loop {
            match self.state {
                State::Head => {
                    let Some(line) = self.line(input, LONGEST_HEAD)? else { return Ok(None) };
                    self.begin_chunk(&line)?;
                }
                State::Data => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                    let data = input.split_to(take);
                    self.left -= take as u64;
                    if let Some(chain) = &mut self.chain {
                        chain.update(&data);
                    }
                    if self.left == 0 {
                        self.state = State::Close;
                    }
                    return Ok(Some(data));
                }
                State::Close => {
                    let Some(line) = self.line(input, 0)? else { return Ok(None) };
                    debug_assert!(line.is_empty());
                    self.verify_chunk()?;
                    self.state = State::Head;
                }
                State::Trailers => {
                    let Some(line) = self.line(input, LONGEST_TRAILERS)? else { return Ok(None) };
                    self.trailer(&line)?;
                }
                State::Done => {
                    if input.iter().all(|b| matches!(b, b'\r' | b'\n')) {
                        input.advance(input.len());
                        return Ok(None);
                    }
                    return Err(malformed("data follow the last chunk"));
                }
            }
        }
    }

    /// Ends the body and gives its trailers. Errors: it stopped before its end or is not as long as declared.
    pub fn finish(&mut self) -> Result<Vec<(String, String)>, BodyError> {
        if self.state == State::Trailers && self.line.is_empty() && !self.trailers.is_empty() {
            // Some clients leave out the empty line after the last trailer.
            self.end()?;
        }
        if self.state != State::Done || self.announced != self.declared {
            return Err(BodyError::Incomplete);
        }
        Ok(std::mem::take(&mut self.trailers))
    }

    /// A whole line without its end, from what was held back and `input`. `most` bounds it.
    fn line(&mut self, input: &mut Bytes, most: usize) -> Result<Option<Vec<u8>>, BodyError> {
        let end = input.iter().position(|b| *b == b'\n');
        let take = end.map_or(input.len(), |at| at + 1);
        if self.line.len() + take > most + 2 {
            return Err(malformed("a line of the chunk framing is too long"));
        }
        self.line.extend_from_slice(&input[..take]);
        input.advance(take);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > most {
            return Err(malformed("a chunk is longer than it announced"));
        }
        Ok(Some(line))
    }

    /// Reads `10000;chunk-signature=…`.
    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), BodyError> {
        let line = std::str::from_utf8(line).map_err(|_| malformed("a chunk's head is not text"))?;
        let mut parts = line.split(';');
        let size = trim(parts.next().unwrap_or_default());
        let digits = !size.is_empty() && size.len() <= 16 && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = digits.then(|| u64::from_str_radix(size, 16).ok()).flatten();
        let size = size.ok_or_else(|| malformed("a chunk's size is not a hexadecimal number"))?;
        self.announced = self.announced.saturating_add(size);
        if self.announced > self.declared {
            return Err(BodyError::Incomplete);
        }
        if size > 0
            && let Some(previous) = self.previous.replace(size).filter(|p| *p < SMALLEST_CHUNK)
        {
            return Err(refused(
                Error::new(
                    "InvalidChunkSizeError",
                    403,
                    "Only the last chunk is allowed to have a size less than 8192 bytes",
                )
                .with("Chunk", "2")
                .with("BadChunkSize", previous.to_string()),
            ));
        }
        if let Some(chain) = &mut self.chain {
            let signature = parts.find_map(|part| trim(part).strip_prefix("chunk-signature="));
            let signature =
                signature.ok_or_else(|| malformed("a signed chunk comes without its chunk-signature"))?;
            chain.begin(signature);
        }
        if size > 0 {
            self.left = size;
            self.state = State::Data;
            return Ok(());
        }
        self.verify_chunk()?;
        self.state = State::Trailers;
        Ok(())
    }

    fn verify_chunk(&mut self) -> Result<(), BodyError> {
        self.chain.as_mut().map_or(Ok(()), Chain::verify_chunk)
    }

    /// Reads one line after the last chunk: a trailer, or the empty line that ends the body.
    fn trailer(&mut self, line: &[u8]) -> Result<(), BodyError> {
        if line.is_empty() {
            return self.end();
        }
        self.trailer_bytes += line.len();
        if self.trailer_bytes > LONGEST_TRAILERS {
            return Err(bad_trailer());
        }
        let line = std::str::from_utf8(line).map_err(|_| bad_trailer())?;
        let (name, value) = line.split_once(':').ok_or_else(bad_trailer)?;
        let (name, value) = (trim(name).to_ascii_lowercase(), trim(value).to_owned());
        if name == "x-amz-trailer-signature" {
            return match &mut self.chain {
                Some(chain) => chain.verify_trailers(&mut self.trailers, &value),
                None => Ok(()),
            };
        }
        if !self.expected.contains(&name) {
            return Err(bad_trailer());
        }
        self.trailers.push((name, value));
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let all_came = self.expected.iter().all(|name| self.trailers.iter().any(|(n, _)| n == name));
        if !all_came {
            return Err(bad_trailer());
        }
        if let Some(chain) = &self.chain
            && !self.trailers.is_empty()
            && !chain.trailers_verified()
        {
            return Err(bad_trailer());
        }
        self.state = State::Done;
        Ok(())
    }
}

/// Without spaces around it; other white space is no part of the framing.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn refused(error: Error) -> BodyError {
    BodyError::Refused(Box::new(error))
}

fn malformed(why: &str) -> BodyError {
    refused(Error::sender(
        "InvalidRequest",
        format!("The aws-chunked body cannot be read: {why}. Check the framing."),
    ))
}

fn bad_trailer() -> BodyError {
    refused(Error::sender(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    ))
}

#[cfg(test)]
mod tests;
