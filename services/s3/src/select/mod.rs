//! S3 Select: a query over one object, of CSV or JSON, answered as a stream of events.
//!
//! The object streams through a thread of its own, which may wait: a record at a time is read, asked and written, so
//! that memory does not grow with the object. Source: S3 User Guide, "Querying data in place with Amazon S3 Select".

mod aggregate;
mod decimal;
mod document;
mod eval;
mod functions;
mod input;
mod ion;
mod lex;
mod like;
mod output;
mod parse;
mod pattern;
mod record;
mod stamp;
mod value;
mod words;

use bytes::Bytes;
use bzip2::read::MultiBzDecoder;
use cloudlet_api_s3 as api;
use cloudlet_service::{BodyError, ByteStream, Error};
use eval::Evaluator;
use flate2::read::MultiGzDecoder;
use input::{Csv, Scan, Source};
use output::Output;
use parse::{Query, Step};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use words::refused;

/// How much is gathered for one event with records.
const EVENT: usize = 64 << 10;

/// A refusal in S3 Select's codes.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::sender(refused.code, refused.message)
    }
}

/// What the thread tells.
pub(crate) enum Told {
    Records(Bytes),
    Failed(Refused),
    /// Bytes scanned, processed and returned.
    Progress(u64, u64, u64),
    End(u64, u64, u64),
}

/// A query that has been understood.
pub(crate) struct Plan {
    query: Query,
    output: Output,
    form: Form,
    packed: Packed,
    scan: Scan,
    progress: bool,
}

/// How the object is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packed {
    Not,
    Gzip,
    Bzip2,
}

enum Form {
    Csv(Csv),
    Lines,
    Document,
}

impl Plan {
    /// Reads a request about an object of this size. Errors: S3 Select's own; 501 for Parquet.
    pub(crate) fn read(input: &api::SelectObjectContentInput, size: u64) -> Result<Self, Error> {
        if !input.expression_type.eq_ignore_ascii_case("SQL") {
            let message = "The ExpressionType is invalid. Only SQL expressions are supported.";
            return Err(Refused::new("InvalidExpressionType", message).into());
        }
        let from = &input.input_serialization;
        let compression = from.compression_type.as_deref().unwrap_or("NONE");
        let form = match (&from.csv, &from.json, &from.parquet) {
            (Some(csv), None, None) => Form::Csv(Csv::read(csv)?),
            (None, Some(json), None) => match json.r#type.as_deref() {
                Some("LINES") => Form::Lines,
                Some("DOCUMENT") => Form::Document,
                _ => {
                    let message = "The JsonType is invalid. Only DOCUMENT and LINES are supported.";
                    return Err(Refused::new("InvalidJsonType", message).into());
                }
            },
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                return Err(refused("ObjectSerializationConflict").into());
            }
            (None, None, Some(_)) => {
                return Err(Error::not_implemented_part(
                    "s3:SelectObjectContent of Parquet; use CSV or JSON",
                ));
            }
            _ => {
                let message = "Invalid data source type. Only CSV, JSON, and Parquet are supported.";
                return Err(Refused::new("InvalidDataSource", message).into());
            }
        };
        let packed = match compression {
            "NONE" => Packed::Not,
            "GZIP" => Packed::Gzip,
            "BZIP2" => Packed::Bzip2,
            _ => {
                let message =
                    "The file is not in a supported compression format. Only GZIP and BZIP2 are supported.";
                return Err(Refused::new("InvalidCompressionFormat", message).into());
            }
        };
        let scan = scan(input.scan_range.as_ref(), size)?;
        if input.scan_range.is_some() && (packed != Packed::Not || matches!(form, Form::Document)) {
            return Err(refused("UnsupportedScanRangeInput").into());
        }
        Ok(Self {
            query: parse::parse(&input.expression)?,
            output: Output::read(&input.output_serialization)?,
            form,
            packed,
            scan,
            progress: input.request_progress.as_ref().is_some_and(|p| p.enabled == Some(true)),
        })
    }

    /// Runs over the object; what is told comes out of the receiver.
    pub(crate) fn run(self, mut body: ByteStream, millis: i64) -> mpsc::Receiver<Told> {
        let (chunks, incoming) = mpsc::channel::<Result<Bytes, BodyError>>(4);
        tokio::spawn(async move {
            while let Some(chunk) = body.next().await {
                if chunks.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        let (tell, told) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let scanned = Arc::new(AtomicU64::new(0));
            let raw = Incoming { chunks: incoming, held: Bytes::new(), read: scanned.clone() };
            let processed = Arc::new(AtomicU64::new(0));
            let plain: Box<dyn Read> = match self.packed {
                Packed::Not => Box::new(raw),
                Packed::Gzip => Box::new(MultiGzDecoder::new(raw)),
                Packed::Bzip2 => Box::new(MultiBzDecoder::new(raw)),
            };
            let reader = BufReader::with_capacity(
                64 << 10,
                Counted { inner: plain, read: processed.clone(), packed: self.packed },
            );
            let counts = Counts { scanned, processed, returned: 0 };
            self.work(reader, millis, &tell, counts);
        });
        told
    }

    /// Runs over bytes that are at hand, on this thread.
    fn over(self, object: &[u8]) -> Result<Vec<u8>, Refused> {
        let (tell, mut told) = mpsc::channel(4);
        let counts = Counts { scanned: Arc::default(), processed: Arc::default(), returned: 0 };
        std::thread::scope(|scope| {
            let gathering = scope.spawn(move || {
                let mut out = Vec::new();
                while let Some(one) = told.blocking_recv() {
                    match one {
                        Told::Records(rows) => out.extend_from_slice(&rows),
                        Told::Failed(refused) => return Err(refused),
                        Told::Progress(..) | Told::End(..) => {}
                    }
                }
                Ok(out)
            });
            self.work(object, 0, &tell, counts);
            drop(tell);
            gathering.join().unwrap_or_else(|_| Err(refused("ExternalEvalException")))
        })
    }

    fn work(self, reader: impl BufRead, millis: i64, tell: &mpsc::Sender<Told>, mut counts: Counts) {
        let Self { query, output, form, scan, progress, .. } = self;
        let from = match query.from.split_first() {
            // `S3Object[*]` means the records themselves, except in a document that is a list.
            Some((Step::All, rest)) if !matches!(form, Form::Document) => rest.to_vec(),
            _ => query.from.clone(),
        };
        let source = match form {
            Form::Csv(csv) => Source::csv(reader, csv, scan),
            Form::Lines => Source::lines(reader, scan, from),
            Form::Document => Source::document(reader, from),
        };
        let mut evaluator = Evaluator::new(&query, millis);
        let mut gathered = Vec::with_capacity(EVENT);
        let mut left = query.limit.unwrap_or(u64::MAX);
        let aggregated = query.aggregates > 0;
        // Whether somebody listens.
        let mut heard = true;
        let wanted = left > 0 || aggregated;
        let mut take = |record: record::Record| -> Result<bool, Refused> {
            // Whoever has left waits for nothing that is still to be read.
            heard &= !tell.is_closed();
            if !heard {
                return Ok(false);
            }
            if !evaluator.passes(&record)? {
                return Ok(true);
            }
            if aggregated {
                evaluator.gather(&record)?;
                return Ok(true);
            }
            left -= 1;
            output.write(evaluator.row(&record)?, &mut gathered)?;
            if gathered.len() >= EVENT {
                heard = counts.send(&mut gathered, tell, progress);
            }
            Ok(heard && left > 0)
        };
        let mut read = if wanted { source.each(&mut take) } else { Ok(()) };
        if read.is_ok() && aggregated && left > 0 {
            read = evaluator.row(&record::Record::Missing).and_then(|row| output.write(row, &mut gathered));
        }
        if read.is_ok() && heard && !gathered.is_empty() {
            heard = counts.send(&mut gathered, tell, progress);
        }
        let end = match read {
            Ok(()) if heard => {
                let (scanned, processed, returned) = counts.now();
                Told::End(scanned, processed, returned)
            }
            Ok(()) => return,
            Err(refused) => Told::Failed(refused),
        };
        let _ = tell.blocking_send(end);
    }
}

/// Answers a query over the bytes of an object that is not compressed, as one text: for whoever has no cloud.
///
/// Errors: S3 Select's own.
pub fn select(request: &api::SelectObjectContentInput, object: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(Plan::read(request, object.len() as u64)?.over(object)?)
}

/// Errors: `InvalidScanRange`.
fn scan(range: Option<&api::ScanRange>, size: u64) -> Result<Scan, Error> {
    let all = Scan { start: 0, end: u64::MAX };
    let Some(range) = range else { return Ok(all) };
    let wrong = || Err(refused("InvalidScanRange").into());
    let number = |n: Option<i64>| n.map(u64::try_from).transpose();
    let (Ok(start), Ok(end)) = (number(range.start), number(range.end)) else {
        return wrong();
    };
    match (start, end) {
        (Some(start), Some(end)) if start > end => wrong(),
        (Some(start), _) if start >= size && size > 0 => wrong(),
        (Some(start), end) => Ok(Scan { start, end: end.unwrap_or(u64::MAX) }),
        // The end alone counts from the end of the object.
        (None, Some(last)) => Ok(Scan { start: size.saturating_sub(last), end: u64::MAX }),
        (None, None) => Ok(all),
    }
}

struct Counts {
    scanned: Arc<AtomicU64>,
    processed: Arc<AtomicU64>,
    returned: u64,
}

impl Counts {
    fn now(&self) -> (u64, u64, u64) {
        (self.scanned.load(Ordering::Relaxed), self.processed.load(Ordering::Relaxed), self.returned)
    }

    /// Tells what was gathered. `false`: nobody listens.
    fn send(&mut self, gathered: &mut Vec<u8>, tell: &mpsc::Sender<Told>, progress: bool) -> bool {
        self.returned += gathered.len() as u64;
        let sent = tell.blocking_send(Told::Records(Bytes::from(std::mem::take(gathered)))).is_ok();
        let (scanned, processed, returned) = self.now();
        sent && (!progress || tell.blocking_send(Told::Progress(scanned, processed, returned)).is_ok())
    }
}

/// The object's bytes, as a thread that may wait reads them.
struct Incoming {
    chunks: mpsc::Receiver<Result<Bytes, BodyError>>,
    held: Bytes,
    read: Arc<AtomicU64>,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.held.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(Ok(chunk)) => self.held = chunk,
                Some(Err(why)) => return Err(std::io::Error::other(format!("{why:?}"))),
            }
        }
        let count = out.len().min(self.held.len());
        out[..count].copy_from_slice(&self.held.split_to(count));
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

struct Counted {
    inner: Box<dyn Read>,
    read: Arc<AtomicU64>,
    packed: Packed,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        // What our own storage says is of the kind `Other`; all else is the decoder's word on the object.
        let count = self.inner.read(out).map_err(|why| match self.packed {
            // It is what it says it is, and ends too soon.
            _ if why.kind() == ErrorKind::UnexpectedEof => why,
            Packed::Gzip if why.kind() != ErrorKind::Other => {
                std::io::Error::new(ErrorKind::InvalidData, "GZIP")
            }
            Packed::Bzip2 if why.kind() != ErrorKind::Other => {
                std::io::Error::new(ErrorKind::InvalidData, "BZIP2")
            }
            _ => why,
        })?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
