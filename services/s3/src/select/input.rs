//! Records out of bytes: CSV, JSON lines, JSON documents.

use super::Refused;
use super::document::{self, Take};
use super::parse::Step;
use super::record::{Header, Record, any_case};
use super::words::refused;
use cloudlet_api_s3 as api;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::io::{BufRead, ErrorKind, Read};
use std::sync::Arc;

/// The longest record. Source: S3 API Reference, SelectObjectContent: 1 MB.
pub(super) const LONGEST: usize = 1 << 20;

pub(super) fn too_long() -> Refused {
    let message =
        "The character number in one record is more than our max threshold, maxCharsPerRecord: 1,048,576";
    Refused::new("OverMaxRecordSize", message)
}

pub(super) fn unreadable(error: &std::io::Error) -> Refused {
    if error.kind() == ErrorKind::InvalidData {
        let message = format!(
            "{error} is not applicable to the queried object. Please correct the request and try again."
        );
        return Refused::new("InvalidCompressionFormat", message);
    }
    if error.kind() == ErrorKind::UnexpectedEof {
        return refused("TruncatedInput");
    }
    Refused::new("InternalError", format!("The object cannot be read: {error}"))
}

/// How a CSV file is written.
pub(super) struct Csv {
    field: Vec<u8>,
    record: Vec<u8>,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    use_header: bool,
    skip_header: bool,
    /// Whether a quoted field may hold what ends a record.
    quoted_records: bool,
}

impl Csv {
    /// Errors: `InvalidRequestParameter`, `InvalidFileHeaderInfo`.
    pub(super) fn read(input: &api::CSVInput) -> Result<Self, Refused> {
        let bytes =
            |given: &Option<String>, default: &str| given.as_deref().unwrap_or(default).as_bytes().to_vec();
        let single = |given: &Option<String>, default: &str| {
            let text = bytes(given, default);
            match text[..] {
                [] => Ok(None),
                [one] => Ok(Some(one)),
                _ => Err(refused("InvalidRequestParameter")),
            }
        };
        let info = input.file_header_info.as_deref().unwrap_or("NONE");
        if !matches!(info, "NONE" | "USE" | "IGNORE") {
            let message = "The FileHeaderInfo is invalid. Only NONE, USE, and IGNORE are supported.";
            return Err(Refused::new("InvalidFileHeaderInfo", message));
        }
        let csv = Self {
            field: bytes(&input.field_delimiter, ","),
            record: bytes(&input.record_delimiter, "\n"),
            quote: single(&input.quote_character, "\"")?,
            escape: single(&input.quote_escape_character, "\"")?,
            comment: single(&input.comments, "#")?,
            use_header: info == "USE",
            skip_header: info == "IGNORE",
            quoted_records: input.allow_quoted_record_delimiter == Some(true),
        };
        if csv.field.is_empty() || csv.record.is_empty() {
            return Err(refused("InvalidRequestParameter"));
        }
        Ok(csv)
    }
}

/// Where in the object records may begin.
#[derive(Clone, Copy)]
pub(super) struct Scan {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A source of records.
pub(super) enum Source<R> {
    Csv(CsvSource<R>),
    Lines { reader: R, scan: Scan, from: Vec<Step> },
    Document { reader: R, from: Vec<Step> },
}

pub(super) struct CsvSource<R> {
    reader: R,
    csv: Csv,
    header: Option<Arc<Header>>,
    begun: bool,
    at: u64,
    scan: Scan,
}

impl<R: BufRead> Source<R> {
    pub(super) fn csv(reader: R, csv: Csv, scan: Scan) -> Self {
        Self::Csv(CsvSource { reader, csv, header: None, begun: false, at: 0, scan })
    }

    pub(super) fn lines(reader: R, scan: Scan, from: Vec<Step>) -> Self {
        Self::Lines { reader, scan, from }
    }

    pub(super) fn document(reader: R, from: Vec<Step>) -> Self {
        Self::Document { reader, from }
    }

    /// Gives every record until there is enough.
    /// Errors: `OverMaxRecordSize`, `CSVParsingError`, `JSONParsingError`, …, those of `take`.
    pub(super) fn each(self, take: &mut Take<'_>) -> Result<(), Refused> {
        match self {
            Self::Csv(mut source) => {
                while let Some(record) = source.next()? {
                    if !take(record)? {
                        break;
                    }
                }
                Ok(())
            }
            Self::Lines { reader, scan, from } => lines(reader, scan, &from, take),
            Self::Document { reader, from } => document::each(reader, &from, take),
        }
    }
}

fn lines<R: BufRead>(mut reader: R, scan: Scan, from: &[Step], take: &mut Take<'_>) -> Result<(), Refused> {
    let mut at = 0;
    let mut ready = VecDeque::new();
    loop {
        let begins = at;
        let Some(line) = line(&mut reader, &mut at)? else { return Ok(()) };
        if begins > scan.end {
            return Ok(());
        }
        let text = line.trim_ascii();
        if text.is_empty() || begins < scan.start {
            continue;
        }
        // Several values on a line are several records.
        for value in serde_json::Deserializer::from_slice(text).into_iter::<Json>() {
            pick(value.map_err(|_| refused("JSONParsingError"))?, from, &mut ready)?;
            while let Some(record) = ready.pop_front() {
                if !take(record)? {
                    return Ok(());
                }
            }
        }
    }
}

/// What of a document the path after `S3Object` means: every element of a list where it says `[*]`, and nothing, which is a
/// record as well, where the path leads nowhere. Source: S3 User Guide, "SELECT command", the FROM clause.
/// Errors: `AmbiguousFieldName`.
fn pick(json: Json, from: &[Step], ready: &mut VecDeque<Record>) -> Result<(), Refused> {
    let Some((step, rest)) = from.split_first() else {
        ready.push_back(Record::Json(json));
        return Ok(());
    };
    match (step, json) {
        (Step::All, Json::Array(list)) => {
            return list.into_iter().try_for_each(|one| pick(one, rest, ready));
        }
        // A document that is no list is the only element of one.
        (Step::All, other) => return pick(other, rest, ready),
        (Step::Index(index), Json::Array(mut list)) if *index < list.len() => {
            return pick(list.swap_remove(*index), rest, ready);
        }
        (Step::Name(name, exact), Json::Object(mut map)) => {
            let key = match exact {
                true => Some(name.clone()),
                false => any_case(&map, name)?.map(str::to_owned),
            };
            if let Some(found) = key.and_then(|key| map.remove(&key)) {
                return pick(found, rest, ready);
            }
        }
        _ => {}
    }
    ready.push_back(Record::Missing);
    Ok(())
}

/// The next line, with its end; `None` at the end of all.
fn line<R: BufRead>(reader: &mut R, at: &mut u64) -> Result<Option<Vec<u8>>, Refused> {
    let mut out = Vec::new();
    let read = reader.take(LONGEST as u64 + 1).read_until(b'\n', &mut out).map_err(|why| unreadable(&why))?;
    if read == 0 {
        return Ok(None);
    }
    if out.len() > LONGEST && out.last() != Some(&b'\n') {
        return Err(too_long());
    }
    *at += read as u64;
    Ok(Some(out))
}

impl<R: BufRead> CsvSource<R> {
    fn next(&mut self) -> Result<Option<Record>, Refused> {
        if !self.begun {
            self.begun = true;
            if self.csv.use_header {
                let Some(names) = self.fields()? else { return Ok(None) };
                self.header = Some(Arc::new(Header::new(names)));
            } else if self.csv.skip_header && self.fields()?.is_none() {
                return Ok(None);
            }
        }
        loop {
            let begins = self.at;
            let Some(fields) = self.fields()? else { return Ok(None) };
            if begins > self.scan.end {
                return Ok(None);
            }
            if begins >= self.scan.start {
                return Ok(Some(Record::Fields { fields, header: self.header.clone() }));
            }
        }
    }

    /// The fields of the next record that is neither empty nor a comment.
    fn fields(&mut self) -> Result<Option<Vec<String>>, Refused> {
        loop {
            let Some(fields) = self.raw()? else { return Ok(None) };
            if let [only] = &fields[..]
                && only.is_empty()
            {
                continue;
            }
            return Ok(Some(fields));
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Refused> {
        let buffer = self.reader.fill_buf().map_err(|why| unreadable(&why))?;
        let byte = buffer.first().copied();
        if byte.is_some() {
            self.reader.consume(1);
            self.at += 1;
        }
        Ok(byte)
    }

    fn peek(&mut self) -> Result<Option<u8>, Refused> {
        Ok(self.reader.fill_buf().map_err(|why| unreadable(&why))?.first().copied())
    }

    fn raw(&mut self) -> Result<Option<Vec<String>>, Refused> {
        let mut fields = Vec::new();
        let mut field: Vec<u8> = Vec::new();
        let (mut quoted, mut any, mut length) = (false, false, 0usize);
        // Whether the field was quoted, so that what it holds is no delimiter.
        let mut guarded = 0usize;
        loop {
            let Some(byte) = self.byte()? else {
                if quoted {
                    let code = if self.csv.quoted_records { "CSVParsingError" } else { "CSVUnescapedQuote" };
                    return Err(refused(code));
                }
                if !any {
                    return Ok(None);
                }
                fields.push(text(field)?);
                return Ok(Some(fields));
            };
            length += 1;
            if length > LONGEST {
                return Err(too_long());
            }
            if !any && self.csv.comment == Some(byte) {
                while let Some(byte) = self.byte()? {
                    field.push(byte);
                    if field.ends_with(&self.csv.record) {
                        break;
                    }
                }
                field.clear();
                continue;
            }
            any = true;
            if quoted {
                if self.csv.escape == Some(byte) && self.peek()? == self.csv.quote && self.csv.quote.is_some()
                {
                    self.byte()?;
                    field.extend(self.csv.quote);
                } else if self.csv.quote == Some(byte) {
                    quoted = false;
                    guarded = field.len();
                } else {
                    field.push(byte);
                    if !self.csv.quoted_records && field.ends_with(&self.csv.record) {
                        return Err(refused("CSVEscapingRecordDelimiter"));
                    }
                }
                continue;
            }
            if self.csv.quote == Some(byte) && field.is_empty() && guarded == 0 {
                quoted = true;
                continue;
            }
            field.push(byte);
            let ends =
                |delimiter: &[u8]| field.len() >= guarded + delimiter.len() && field.ends_with(delimiter);
            if ends(&self.csv.record) {
                field.truncate(field.len() - self.csv.record.len());
                // Files of other systems end their lines in two characters.
                if self.csv.record == b"\n" && field.len() > guarded && field.last() == Some(&b'\r') {
                    field.pop();
                }
                fields.push(text(field)?);
                return Ok(Some(fields));
            }
            if ends(&self.csv.field) {
                field.truncate(field.len() - self.csv.field.len());
                fields.push(text(std::mem::take(&mut field))?);
                guarded = 0;
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Refused> {
    String::from_utf8(bytes).map_err(|_| refused("InvalidTextEncoding"))
}
