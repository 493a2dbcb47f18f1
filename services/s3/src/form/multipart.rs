//! Reading `multipart/form-data`: the fields into memory, within limits, and the file as a stream.
//! Source: RFC 7578, RFC 2046 section 5.1.

use crate::errors::{Result, invalid_argument};
use bytes::{Bytes, BytesMut};
use cloudlet_service::{BodyError, ByteStream, Error};
use futures_util::stream;

/// The most bytes of all fields together, as on AWS. The file does not count.
const MOST: usize = 20 * 1024;

/// The fields before the file; names in lower case, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// The file: what of it has arrived, and the rest.
pub(super) struct File {
    pub(super) name: String,
    buffer: BytesMut,
    body: ByteStream,
    /// A line end, two dashes and the boundary.
    end: Vec<u8>,
}

/// Reads up to the file's first byte. Errors: `MalformedPOSTRequest`, `MaxPostPreDataLengthExceeded`, `InvalidArgument`.
pub(super) async fn read(content_type: &str, mut body: ByteStream) -> Result<(Fields, File), Error> {
    let malformed = || {
        let message = "The body of your POST request is not well-formed multipart/form-data.";
        Error::sender("MalformedPOSTRequest", message)
    };
    let boundary = boundary(content_type).ok_or_else(|| {
        Error::new("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
            .with("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
    })?;
    let end = format!("\r\n--{boundary}").into_bytes();
    // The first boundary stands at the very start: with a line end before it all are alike.
    let mut buffer = BytesMut::from(&b"\r\n"[..]);
    let mut fields = Fields::default();
    let mut used = 0;
    loop {
        // Past the boundary that begins this part.
        let at = fill(&mut buffer, &mut body, &end, MOST + end.len()).await?.ok_or_else(malformed)?;
        used += at;
        let _ = buffer.split_to(at + end.len());
        let head_end = fill(&mut buffer, &mut body, b"\r\n\r\n", MOST).await?;
        if buffer.starts_with(b"--") {
            return Err(invalid_argument("POST requires exactly one file upload per request.", "file", "0"));
        }
        let head_end = head_end.ok_or_else(malformed)?;
        let head = buffer.split_to(head_end + 4);
        let head = std::str::from_utf8(&head).map_err(|_| malformed())?;
        let (name, file_name) = part_head(head).ok_or_else(malformed)?;
        if name == "file" {
            return Ok((fields, File { name: file_name.unwrap_or_default(), buffer, body, end }));
        }
        let at = fill(&mut buffer, &mut body, &end, MOST + end.len()).await?.ok_or_else(malformed)?;
        used += at + head.len();
        if used > MOST {
            let message = "Your POST request fields preceding the upload file were too large.";
            return Err(Error::sender("MaxPostPreDataLengthExceeded", message));
        }
        let value = std::str::from_utf8(&buffer[..at]).map_err(|_| malformed())?.to_owned();
        let _ = buffer.split_to(at);
        fields.0.push((name, value));
    }
}

/// Reads until the mark is in the buffer and gives its place; `None` at the end of the body.
/// Errors: `MaxPostPreDataLengthExceeded` beyond `most` bytes without it.
async fn fill(
    buffer: &mut BytesMut,
    body: &mut ByteStream,
    mark: &[u8],
    most: usize,
) -> Result<Option<usize>, Error> {
    let mut from = 0;
    loop {
        if let Some(at) = find(&buffer[from..], mark) {
            return Ok(Some(from + at));
        }
        from = buffer.len().saturating_sub(mark.len());
        if from > most {
            let message = "Your POST request fields preceding the upload file were too large.";
            return Err(Error::sender("MaxPostPreDataLengthExceeded", message));
        }
        match body.next().await {
            Some(chunk) => buffer.extend_from_slice(&chunk?),
            None => return Ok(None),
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

/// The boundary in a content type.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = rest.split(';').find_map(|p| {
        let (name, value) = p.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim().trim_matches('"');
    (1..=70).contains(&value.len()).then(|| value.to_owned())
}

/// Name (lower case) and file name of a part. Its own content type counts for nothing: the field does.
fn part_head(head: &str) -> Option<(String, Option<String>)> {
    let (mut name, mut file) = (None, None);
    for line in head.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else { continue };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        for parameter in value.split(';') {
            let Some((key, value)) = parameter.trim().split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match key.to_ascii_lowercase().as_str() {
                "name" => name = Some(value.to_ascii_lowercase()),
                // Some browsers send the whole path.
                "filename" => file = Some(value.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()),
                _ => {}
            }
        }
    }
    Some((name?, file))
}

impl File {
    /// The file's bytes up to the boundary, with a size between `least` and `most`.
    pub(super) fn body(self, least: u64, most: u64) -> ByteStream {
        let state = (self, 0u64, false);
        let chunks = stream::unfold(state, move |(mut file, sent, over)| async move {
            if over {
                return None;
            }
            match file.chunk().await {
                Ok((chunk, last)) => {
                    let sent = sent + chunk.len() as u64;
                    let size = match (sent > most, last && sent < least) {
                        (true, _) => Some(too_large(sent, most)),
                        (_, true) => Some(too_small(sent, least)),
                        _ => None,
                    };
                    match size {
                        Some(error) => Some((Err(BodyError::Refused(Box::new(error))), (file, sent, true))),
                        None => Some((Ok(chunk), (file, sent, last))),
                    }
                }
                Err(error) => Some((Err(error), (file, sent, true))),
            }
        });
        ByteStream::new(chunks, None)
    }

    /// The next bytes, and whether they are the last.
    async fn chunk(&mut self) -> Result<(Bytes, bool), BodyError> {
        loop {
            if let Some(at) = find(&self.buffer, &self.end) {
                let last = self.buffer.split_to(at).freeze();
                self.buffer.clear();
                return Ok((last, true));
            }
            // What could be the start of the boundary waits for more.
            let safe = self.buffer.len().saturating_sub(self.end.len());
            if safe > 0 {
                return Ok((self.buffer.split_to(safe).freeze(), false));
            }
            match self.body.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk?),
                None => return Err(BodyError::Incomplete),
            }
        }
    }
}

fn too_large(size: u64, most: u64) -> Error {
    crate::errors::too_large(size, most)
}

fn too_small(size: u64, least: u64) -> Error {
    Error::sender("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        .with("ProposedSize", size.to_string())
        .with("MinSizeAllowed", least.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str, cut: usize) -> ByteStream {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let chunks: Vec<Bytes> = bytes.chunks(cut).map(Bytes::copy_from_slice).collect();
        ByteStream::new(stream::iter(chunks.into_iter().map(Ok)), None)
    }

    const TYPE: &str = "multipart/form-data; boundary=xx";
    const FORM: &str = "--xx\r\nContent-Disposition: form-data; name=\"Key\"\r\n\r\na/b\r\n--xx\r\nContent-Disposition: \
        form-data; name=\"file\"; filename=\"C:\\x\\cat.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nby\r\n--x tes\r\n--xx--\r\n";

    #[tokio::test]
    async fn fields_and_file_however_they_are_cut() {
        for cut in [1, 2, 3, 7, 1000] {
            let (fields, file) = read(TYPE, form(FORM, cut)).await.unwrap();
            assert_eq!(fields.get("key"), Some("a/b"));
            assert_eq!(file.name, "cat.jpg");
            assert_eq!(file.body(0, 100).collect(1000).await.unwrap(), "by\r\n--x tes");
            let (_, file) = read(TYPE, form(FORM, cut)).await.unwrap();
            assert_eq!(file.body(0, 3).collect(1000).await.unwrap_err().code(), "EntityTooLarge");
            let (_, file) = read(TYPE, form(FORM, cut)).await.unwrap();
            assert_eq!(file.body(50, 100).collect(1000).await.unwrap_err().code(), "EntityTooSmall");
        }
    }

    #[tokio::test]
    async fn broken_forms() {
        for bad in ["", "--xx", "--xx\r\n\r\nabc", "--yy\r\n", "--xx--\r\n", &FORM[..40]] {
            assert!(read(TYPE, form(bad, 5)).await.is_err(), "{bad}");
        }
        let huge =
            format!("--xx\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n{}", "a".repeat(100_000));
        let error = read(TYPE, form(&huge, 4096)).await.err().unwrap();
        assert_eq!(error.code(), "MaxPostPreDataLengthExceeded");
        assert!(read("text/plain", form(FORM, 9)).await.is_err());
        // A file whose end never comes is not stored.
        let (_, file) = read(TYPE, form(&FORM[..FORM.len() - 8], 9)).await.unwrap();
        assert!(file.body(0, 100).collect(1000).await.is_err());
    }
}
