//! Reading a blob.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use std::{
    collections::VecDeque,
    fs::File,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::JoinHandle;

/// What one piece of a stream holds at most, in bytes.
const CHUNK: usize = 256 << 10;

/// How many pieces are remembered to be used again once the receiver is done with them.
const SPENT: usize = 3;

/// An open blob. Cheap to clone; the bytes stay readable even if the blob is deleted.
#[derive(Clone)]
pub struct BlobReader {
    file: Arc<File>,
    len: u64,
}

impl BlobReader {
    pub(crate) fn new(file: File, len: u64) -> BlobReader {
        BlobReader { file: Arc::new(file), len }
    }

    /// The length of the blob in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the blob has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of a range, in pieces of at most 256 KiB, read as they are asked for. What lies after the end of the
    /// blob is left out.
    #[must_use]
    pub fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.len);
        BlobStream {
            file: Arc::clone(&self.file),
            at: range.start.min(end),
            end,
            reading: None,
            spent: VecDeque::new(),
        }
    }

    /// The bytes of a range in one piece; for ranges that are known to be small.
    pub async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        let len = usize::try_from(end - start).map_err(io::Error::other)?;
        let buffer = BytesMut::zeroed(len);
        let buffer = match read_cached(&self.file, buffer, start)? {
            Ok(bytes) => return Ok(bytes),
            Err(buffer) => buffer,
        };
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || read_waiting(&file, buffer, start))
            .await
            .map_err(io::Error::other)?
    }
}

/// The bytes of a range; see [`BlobReader::stream`].
pub struct BlobStream {
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    spent: VecDeque<Bytes>,
}

impl BlobStream {
    /// How many bytes are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.end - self.at
    }

    /// A buffer for the next piece: an earlier one that nobody holds any more, or a new one.
    fn buffer(&mut self, len: usize) -> BytesMut {
        if let Some(spent) = self.spent.pop_front() {
            match spent.try_into_mut() {
                Ok(mut buffer) if buffer.len() >= len => {
                    buffer.truncate(len);
                    return buffer;
                }
                Ok(_) => {}
                Err(held) if self.spent.len() < SPENT => self.spent.push_front(held),
                Err(_) => {}
            }
        }
        BytesMut::zeroed(len)
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        self.at += bytes.len() as u64;
        if bytes.len() == CHUNK && self.spent.len() < SPENT {
            self.spent.push_back(bytes.clone());
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<io::Result<Bytes>>> {
        self.at = self.end;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        if let Some(reading) = &mut this.reading {
            let read = ready!(Pin::new(reading).poll(cx));
            this.reading = None;
            return match read.map_err(io::Error::other) {
                Ok(Ok(bytes)) => this.give(bytes),
                Ok(Err(error)) | Err(error) => this.fail(error),
            };
        }
        if this.at >= this.end {
            return Poll::Ready(None);
        }
        let len = this.remaining().min(CHUNK as u64) as usize;
        let buffer = this.buffer(len);
        match read_cached(&this.file, buffer, this.at) {
            Ok(Ok(bytes)) => this.give(bytes),
            Ok(Err(buffer)) => {
                let (file, at) = (Arc::clone(&this.file), this.at);
                this.reading = Some(tokio::task::spawn_blocking(move || read_waiting(&file, buffer, at)));
                self.poll_next(cx)
            }
            Err(error) => this.fail(error),
        }
    }
}

/// Fills the buffer from what the operating system has in memory, without ever waiting for a disk. Gives the buffer
/// back when that is not all of it.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, mut buffer: BytesMut, at: u64) -> io::Result<Result<Bytes, BytesMut>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut filled = 0;
    while filled < buffer.len() {
        let slice = io::IoSliceMut::new(&mut buffer[filled..]);
        match preadv2(file, &mut [slice], at + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            // Not in memory, or a file system that cannot say: then it is read where waiting is allowed.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(Err(buffer)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ok(buffer.freeze()))
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, buffer: BytesMut, _: u64) -> io::Result<Result<Bytes, BytesMut>> {
    if buffer.is_empty() { Ok(Ok(buffer.freeze())) } else { Ok(Err(buffer)) }
}

fn read_waiting(file: &File, mut buffer: BytesMut, at: u64) -> io::Result<Bytes> {
    std::os::unix::fs::FileExt::read_exact_at(file, &mut buffer, at)?;
    Ok(buffer.freeze())
}
