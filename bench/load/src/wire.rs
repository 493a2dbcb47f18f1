//! As little HTTP/1.1 as measures: one request at a time on a kept connection, answers by their `Content-Length` or in chunks.

use memchr::memmem;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request, ready to be written.
pub(crate) struct Request {
    /// The head, and the body where it is sent whole.
    pub(crate) whole: Vec<u8>,
    /// Bytes of a body that follows in pieces.
    pub(crate) rest: u64,
    /// The answer has no body whatever its head says.
    pub(crate) head_only: bool,
}

/// An answer.
pub(crate) struct Answer {
    /// Bytes of the body.
    pub(crate) bytes: u64,
    /// Its beginning, where it is no success.
    pub(crate) refused: Option<String>,
}

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes in the buffer that have been read and not used.
    held: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 256 << 10], held: 0 })
    }

    /// Sends a request and takes the whole answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.stream.write_all(&request.whole).await?;
        if request.rest > 0 {
            let piece = vec![b'x'; 256 << 10];
            let mut left = request.rest;
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                self.stream.write_all(&piece[..now]).await?;
                left -= now as u64;
            }
        }
        let end = self.head().await?;
        let head = &self.buffer[..end];
        let status = std::str::from_utf8(head.get(9..12).unwrap_or_default()).unwrap_or_default().to_owned();
        let success = status.starts_with('2');
        let length =
            header(head, b"content-length:").and_then(|v| std::str::from_utf8(v).ok()?.parse::<u64>().ok());
        let chunked = header(head, b"transfer-encoding:").is_some();
        self.consume(end);
        let mut said = Vec::new();
        let bytes = match length {
            _ if request.head_only || status == "204" => 0,
            Some(length) => {
                self.body(length, (!success).then_some(&mut said)).await?;
                length
            }
            None if chunked => self.chunks(&mut said).await?,
            None => return Err(Error::new(ErrorKind::InvalidData, "an answer without a length")),
        };
        let refused =
            (!success).then(|| format!("{status} {}", String::from_utf8_lossy(&said[..said.len().min(500)])));
        Ok(Answer { bytes, refused })
    }

    async fn more(&mut self) -> Result<()> {
        if self.held == self.buffer.len() {
            return Err(Error::new(ErrorKind::InvalidData, "a head or a chunk line that is too long"));
        }
        match self.stream.read(&mut self.buffer[self.held..]).await? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            read => {
                self.held += read;
                Ok(())
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.buffer.copy_within(count..self.held, 0);
        self.held -= count;
    }

    /// Where the head ends, which is then in the buffer.
    async fn head(&mut self) -> Result<usize> {
        loop {
            if let Some(at) = memmem::find(&self.buffer[..self.held], b"\r\n\r\n") {
                if self.buffer.starts_with(b"HTTP/1.1 100") {
                    self.consume(at + 4);
                    continue;
                }
                return Ok(at + 4);
            }
            self.more().await?;
        }
    }

    /// Takes `length` bytes, and keeps the first of them where somebody wants to see them.
    async fn body(&mut self, length: u64, mut said: Option<&mut Vec<u8>>) -> Result<()> {
        let mut left = length;
        loop {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.held);
            if let Some(said) = said.as_deref_mut().filter(|said| said.len() < 4096) {
                said.extend_from_slice(&self.buffer[..now]);
            }
            self.consume(now);
            left -= now as u64;
            if left == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    async fn chunks(&mut self, said: &mut Vec<u8>) -> Result<u64> {
        let mut total = 0;
        loop {
            let end = loop {
                match memmem::find(&self.buffer[..self.held], b"\r\n") {
                    Some(at) => break at,
                    None => self.more().await?,
                }
            };
            let size = std::str::from_utf8(&self.buffer[..end])
                .ok()
                .and_then(|t| u64::from_str_radix(t.trim(), 16).ok());
            let size = size.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a chunk without a size"))?;
            self.consume(end + 2);
            self.body(size, Some(&mut *said)).await?;
            self.body(2, None).await?;
            if size == 0 {
                return Ok(total);
            }
            total += size;
        }
    }
}

/// The value of a header; its name is given in lower case, with the colon.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|b| *b == b'\n').find_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_answers_in_every_form() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answers = [
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone",
                "HTTP/1.1 204 No Content\r\n\r\n",
            ];
            let mut buffer = [0; 4];
            for answer in answers {
                stream.read_exact(&mut buffer).await.unwrap();
                for piece in answer.as_bytes().chunks(3) {
                    stream.write_all(piece).await.unwrap();
                }
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        let request = Request { whole: b"ab".to_vec(), rest: 2, head_only: false };
        let mut seen = Vec::new();
        for _ in 0..4 {
            let answer = connection.ask(&request).await.unwrap();
            seen.push((answer.bytes, answer.refused));
        }
        assert_eq!(seen, [(5, None), (5, None), (4, Some("404 none".to_owned())), (0, None)]);
        server.await.unwrap();
    }
}
