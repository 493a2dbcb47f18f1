//! The line between the cloud and our own bootstraps: frames over a socket.
//!
//! A frame is two big-endian 32-bit lengths, a JSON header and a body. The far end is the user's code, so
//! nothing about it is believed: lengths are bounded, and a body beyond the limit is read past, not into memory.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The largest response of a function: 6 MiB, as the Invoke API accepts it (6,291,556 bytes).
pub(crate) const MAX_RESPONSE: usize = 6_291_556;
const MAX_HEADER: usize = 64 << 10;

/// What a runtime says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The interpreter is up and waits for code.
    Ready,
    /// The handler is loaded.
    InitOk,
    /// The handler could not be loaded.
    InitError { kind: String, payload: Bytes },
    /// The handler's answer.
    Response { id: String, payload: Bytes },
    /// The handler's failure.
    Error { id: String, kind: String, payload: Bytes },
    /// The handler's answer comes in parts, of this type.
    Stream { id: String, content_type: String },
    /// The next part.
    Chunk { id: String, payload: Bytes },
    /// That was the last part.
    End { id: String },
    /// An answer beyond [`MAX_RESPONSE`], of this size; not kept.
    TooLarge { id: String, size: usize },
}

#[derive(Deserialize)]
struct Header {
    t: String,
    #[serde(default)]
    id: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    rss_kb: u64,
}

/// One end of the line. Dropping a pending [`Self::receive`] loses nothing.
pub(crate) struct Frames {
    stream: UnixStream,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// An oversized frame whose body is still to be read past.
    skipping: Option<(Header, usize, usize)>,
    /// The most memory the runtime said it used, in KiB.
    pub(crate) peak_kb: u64,
}

impl Frames {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, incoming: BytesMut::new(), outgoing: BytesMut::new(), skipping: None, peak_kb: 0 }
    }

    /// Queues a frame; [`Self::receive`] writes it while it waits for the answer.
    pub(crate) fn send(&mut self, header: &serde_json::Value, body: &[u8]) {
        let header = header.to_string();
        self.outgoing.extend_from_slice(&(header.len() as u32).to_be_bytes());
        self.outgoing.extend_from_slice(&(body.len() as u32).to_be_bytes());
        self.outgoing.extend_from_slice(header.as_bytes());
        self.outgoing.extend_from_slice(body);
        // Mostly it fits at once.
        let _ = self.write();
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.try_write(&self.outgoing) {
                Ok(n) => self.outgoing.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next message. `UnexpectedEof` when the far end closed.
    pub(crate) async fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(message);
            }
            let interest = match self.outgoing.is_empty() {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() {
                self.write()?;
            }
            if ready.is_readable() || ready.is_read_closed() {
                self.incoming.reserve(64 << 10);
                match self.stream.try_read_buf(&mut self.incoming) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<Message>> {
        if let Some((_, size, left)) = &mut self.skipping {
            let now = (*left).min(self.incoming.len());
            self.incoming.advance(now);
            *left -= now;
            let size = *size;
            if *left > 0 {
                return Ok(None);
            }
            let id = self.skipping.take().map(|(header, ..)| header.id).unwrap_or_default();
            return Ok(Some(Message::TooLarge { id, size }));
        }
        let Some((lengths, _)) = self.incoming.split_first_chunk::<8>() else { return Ok(None) };
        let head = u32::from_be_bytes([lengths[0], lengths[1], lengths[2], lengths[3]]) as usize;
        let body = u32::from_be_bytes([lengths[4], lengths[5], lengths[6], lengths[7]]) as usize;
        let nonsense = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if head > MAX_HEADER {
            return Err(nonsense("the runtime's message has too long a header"));
        }
        if self.incoming.len() < 8 + head {
            return Ok(None);
        }
        if body <= MAX_RESPONSE && self.incoming.len() < 8 + head + body {
            self.incoming.reserve(8 + head + body - self.incoming.len());
            return Ok(None);
        }
        self.incoming.advance(8);
        let header = self.incoming.split_to(head);
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| nonsense("the runtime's message has no readable header"))?;
        self.peak_kb = self.peak_kb.max(header.rss_kb);
        if body > MAX_RESPONSE {
            self.skipping = Some((header, body, body));
            return self.parse();
        }
        let payload = self.incoming.split_to(body).freeze();
        Ok(Some(match header.t.as_str() {
            "ready" => Message::Ready,
            "init_ok" => Message::InitOk,
            "init_error" => Message::InitError { kind: header.kind, payload },
            "response" => Message::Response { id: header.id, payload },
            "error" => Message::Error { id: header.id, kind: header.kind, payload },
            "stream" => Message::Stream { id: header.id, content_type: header.kind },
            "chunk" => Message::Chunk { id: header.id, payload },
            "end" => Message::End { id: header.id },
            _ => return Err(nonsense("the runtime's message is of no known type")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn frame(header: &str, body: &[u8]) -> Vec<u8> {
        let mut out = (header.len() as u32).to_be_bytes().to_vec();
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(header.as_bytes());
        out.extend(body);
        out
    }

    #[tokio::test]
    async fn messages_come_whole_however_they_are_cut() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut frames = Frames::new(near);
        let bytes = frame(r#"{"t":"response","id":"a","rss_kb":7}"#, b"{}");
        let writer = tokio::spawn(async move {
            for byte in bytes {
                far.write_all(&[byte]).await.unwrap();
            }
            far
        });
        let message = frames.receive().await.unwrap();
        assert_eq!(message, Message::Response { id: "a".into(), payload: Bytes::from_static(b"{}") });
        assert_eq!(frames.peak_kb, 7);
        drop(writer.await.unwrap());
        assert_eq!(frames.receive().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_too_large_is_read_past() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut frames = Frames::new(near);
        tokio::spawn(async move {
            far.write_all(&frame(r#"{"t":"response","id":"big"}"#, &vec![b'x'; MAX_RESPONSE + 1]))
                .await
                .unwrap();
            far.write_all(&frame(r#"{"t":"response","id":"next"}"#, b"1")).await.unwrap();
        });
        let size = MAX_RESPONSE + 1;
        assert_eq!(frames.receive().await.unwrap(), Message::TooLarge { id: "big".into(), size });
        assert!(frames.incoming.capacity() < MAX_RESPONSE);
        assert!(matches!(frames.receive().await.unwrap(), Message::Response { id, .. } if id == "next"));
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for bytes in [frame("{", b""), frame(r#"{"t":"?"}"#, b""), vec![0xff; 8]] {
            let (near, mut far) = UnixStream::pair().unwrap();
            far.write_all(&bytes).await.unwrap();
            assert_eq!(Frames::new(near).receive().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
