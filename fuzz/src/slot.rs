//! The file through which a running target says what it is working on, so that the input is known however it dies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The count and the length of the input, before the input.
const HEAD: usize = 16;

/// The writing side.
pub(crate) struct Slot {
    file: File,
    buffer: Vec<u8>,
}

impl Slot {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::options().write(true).create(true).truncate(false).open(path)?,
            buffer: Vec::new(),
        })
    }

    /// Says that input number `count` is next.
    pub(crate) fn begin(&mut self, count: u64, input: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&count.to_le_bytes());
        self.buffer.extend_from_slice(&(input.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(input);
        self.file.write_all_at(&self.buffer, 0)
    }
}

/// The number of the last input and the input; `None` before the first.
pub(crate) fn read(path: &Path) -> Option<(u64, Vec<u8>)> {
    let bytes = std::fs::read(path).ok()?;
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let count = u64::from_le_bytes(head[..8].try_into().ok()?);
    let length = usize::try_from(u64::from_le_bytes(head[8..].try_into().ok()?)).ok()?;
    Some((count, rest.get(..length)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_input_hides_the_longer_one_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(read(file.path()), None);
        let mut slot = Slot::open(file.path()).unwrap();
        slot.begin(1, b"long input").unwrap();
        slot.begin(2, b"short").unwrap();
        assert_eq!(read(file.path()), Some((2, b"short".to_vec())));
    }
}
