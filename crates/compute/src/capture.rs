//! A function's standard output, cut into log events.

use std::io;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::unix::pipe;

use crate::{LogLine, MAX_EVENT_BYTES};

/// Bytes taken from a pipe after a handler's answer, at most: what it wrote before answering is in there, and
/// a pipe holds no more than this by default; a background thread that prints on and on waits for its turn.
const DRAIN: usize = 1 << 20;

/// The reading end of a sandbox's output.
pub(crate) struct Capture {
    pipe: pipe::Receiver,
    splitter: Splitter,
}

impl Capture {
    pub(crate) fn new(pipe: pipe::Receiver) -> Self {
        Self { pipe, splitter: Splitter::default() }
    }

    /// Waits for output and gives whole events; empty at the end of the output.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<LogLine>>> {
        loop {
            self.pipe.readable().await?;
            match self.pipe.try_read_buf(self.splitter.buffer()) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(self.splitter.take(SystemTime::now()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Everything that is there already, with an unfinished last line.
    pub(crate) fn drain(&mut self) -> Vec<LogLine> {
        let mut lines = Vec::new();
        let mut total = 0;
        let mut buffer = vec![0; 64 << 10];
        // Straight from the pipe: tokio's own reads wait for its event loop to have heard of the bytes.
        while total < DRAIN
            && let Ok(n @ 1..) = nix::unistd::read(&self.pipe, &mut buffer)
        {
            total += n;
            self.splitter.buffer().extend_from_slice(&buffer[..n]);
            lines.append(&mut self.splitter.take(SystemTime::now()));
        }
        lines.extend(self.splitter.finish(SystemTime::now()));
        lines
    }
}

/// Cuts bytes into lines and frames.
///
/// A frame is the runtime's way to keep a record with newlines in one event: `a5 5a 00 xx`, length, microseconds
/// since 1970, message; the layout of Lambda's own log frames. 0xa5 never begins a UTF-8 character.
#[derive(Default)]
pub(crate) struct Splitter {
    pending: BytesMut,
}

impl Splitter {
    fn buffer(&mut self) -> &mut BytesMut {
        self.pending.reserve(64 << 10);
        &mut self.pending
    }

    #[cfg(test)]
    fn push(&mut self, bytes: &[u8], now: SystemTime) -> Vec<LogLine> {
        self.pending.extend_from_slice(bytes);
        self.take(now)
    }

    fn take(&mut self, now: SystemTime) -> Vec<LogLine> {
        let mut lines = Vec::new();
        loop {
            if let Some((length, at)) = frame_head(&self.pending) {
                if self.pending.len() < 16 + length.min(MAX_EVENT_BYTES) {
                    return lines;
                }
                if length <= MAX_EVENT_BYTES {
                    self.pending.advance(16);
                    lines.push(LogLine {
                        at: at.unwrap_or(now),
                        message: trimmed(self.pending.split_to(length)),
                    });
                    continue;
                }
                // Longer than an event may be: the rest of it is treated as plain output.
                self.pending.advance(16);
            }
            if self.pending.len() < 16
                && self.pending.first() == Some(&0xa5)
                && !self.pending.contains(&b'\n')
            {
                // Perhaps the beginning of a frame.
                return lines;
            }
            let end = self.pending.iter().take(MAX_EVENT_BYTES).position(|&b| b == b'\n');
            match end {
                Some(end) => {
                    let mut line = self.pending.split_to(end + 1);
                    line.truncate(end);
                    // CloudWatch Logs refuses empty events.
                    if !line.is_empty() {
                        lines.push(LogLine { at: now, message: trimmed(line) });
                    }
                }
                None if self.pending.len() >= MAX_EVENT_BYTES => {
                    let part = self.pending.split_to(MAX_EVENT_BYTES);
                    lines.push(LogLine { at: now, message: part.freeze() });
                }
                None => return lines,
            }
        }
    }

    fn finish(&mut self, now: SystemTime) -> Option<LogLine> {
        let rest = self.pending.split();
        (!rest.is_empty()).then(|| LogLine { at: now, message: trimmed(rest) })
    }
}

fn trimmed(mut line: BytesMut) -> Bytes {
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.truncate(line.len() - 1);
    }
    line.freeze()
}

fn frame_head(bytes: &[u8]) -> Option<(usize, Option<SystemTime>)> {
    let head: &[u8; 16] = bytes.first_chunk()?;
    if head[..3] != [0xa5, 0x5a, 0x00] {
        return None;
    }
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let mut micros = [0; 8];
    micros.copy_from_slice(&head[8..]);
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(u64::from_be_bytes(micros)));
    // A time from the user's hands: believed only when it is now, more or less.
    let near = |at: &SystemTime| {
        let now = SystemTime::now();
        let apart = now.duration_since(*at).or_else(|_| at.duration_since(now)).unwrap_or_default();
        apart < Duration::from_secs(900)
    };
    Some((length, at.filter(near)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[LogLine]) -> Vec<String> {
        lines.iter().map(|l| String::from_utf8_lossy(&l.message).into_owned()).collect()
    }

    #[test]
    fn lines_are_cut_at_newlines_wherever_reads_end() {
        let (mut splitter, now) = (Splitter::default(), SystemTime::now());
        assert_eq!(text(&splitter.push(b"one\ntw", now)), ["one"]);
        assert_eq!(text(&splitter.push(b"o\r\n\n\nthree", now)), ["two"]);
        assert_eq!(text(&splitter.finish(now).into_iter().collect::<Vec<_>>()), ["three"]);
        assert_eq!(splitter.finish(now), None);
    }

    #[test]
    fn frames_keep_their_newlines() {
        let (mut splitter, now) = (Splitter::default(), SystemTime::now());
        let mut bytes = b"before\n\xa5\x5a\x00\x03\x00\x00\x00\x03".to_vec();
        bytes.extend(0u64.to_be_bytes());
        bytes.extend(b"a\nbafter\n");
        let mut lines = Vec::new();
        for byte in bytes {
            lines.extend(splitter.push(&[byte], now));
        }
        assert_eq!(text(&lines), ["before", "a\nb", "after"]);
        assert!(lines.iter().all(|l| l.at == now));
    }

    #[test]
    fn endless_lines_are_split_and_lying_frames_do_not_grow() {
        let (mut splitter, now) = (Splitter::default(), SystemTime::now());
        let lines = splitter.push(&vec![b'x'; MAX_EVENT_BYTES + 5], now);
        assert_eq!(lines.len(), 1);
        assert_eq!(splitter.pending.len(), 5);
        let mut splitter = Splitter::default();
        let mut bytes = b"\xa5\x5a\x00\x03\xff\xff\xff\xff12345678".to_vec();
        bytes.extend(vec![b'y'; 2 * MAX_EVENT_BYTES]);
        let lines = splitter.push(&bytes, now);
        assert_eq!(lines.len(), 2);
        assert!(splitter.pending.len() < MAX_EVENT_BYTES);
    }
}
