//! Where readers of a shard stand.
//! Source: DynamoDB Streams API Reference, GetShardIterator.

use super::records::{number_of, parse_sequence};
use super::{KEPT, Numbered, Streams, no_shard};
use crate::errors::{Result, stored};
use crate::state::{Entry, StreamOf};
use cloudlet_api_dynamodbstreams as api;
use cloudlet_service::{Context, Error, pages};
use cloudlet_store::Key;

/// Where an iterator stands.
pub(super) struct Iterator {
    pub arn: String,
    pub shard: String,
    /// The record after which it goes on.
    pub after: u64,
    pub made: i64,
}

impl Iterator {
    /// `ARN|1|…` is AWS's form.
    pub(super) fn text(&self) -> String {
        let position = format!("{}|{}|{}", self.shard, self.after, self.made);
        format!("{}|1|{}", self.arn, pages::token(position))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (arn, rest) = text.split_once("|1|")?;
        let position = String::from_utf8(pages::position(rest)?).ok()?;
        let mut parts = position.split('|');
        Some(Self {
            arn: arn.to_owned(),
            shard: parts.next()?.to_owned(),
            after: parts.next()?.parse().ok()?,
            made: parts.next()?.parse().ok()?,
        })
    }
}

/// The stream that an iterator is of.
pub(crate) fn stream_of(iterator: &str) -> Option<String> {
    Iterator::parse(iterator).map(|iterator| iterator.arn)
}

impl Streams {
    /// The number of a shard's last record that is older than a time; 0 for none.
    fn last_before(&self, stream: &StreamOf, shard: &Numbered, at: i64) -> Result<u64> {
        let range = Key::new().number(stream.number).number(shard.number).prefix_range();
        let mut last = 0;
        for row in self.0.store.table::<Entry>().scan(range, false) {
            let (key, entry) = row.map_err(stored)?;
            if entry.at >= at {
                break;
            }
            last = number_of(&key).unwrap_or(last);
        }
        Ok(last)
    }

    /// Whether what came at a number is too old to be read: records after it are gone as well, or are the oldest.
    fn is_trimmed(&self, stream: &StreamOf, shard: &Numbered, number: u64, oldest: i64) -> Result<bool> {
        let range = Key::new().number(stream.number).number(shard.number).prefix_range();
        for row in self.0.store.table::<Entry>().scan(range, false) {
            let (key, entry) = row.map_err(stored)?;
            if entry.at >= oldest {
                return Ok(number_of(&key).is_some_and(|first| number < first));
            }
        }
        Ok(true)
    }

    /// Gives a place in a shard to read from.
    ///
    /// Errors: `ResourceNotFoundException`, `TrimmedDataAccessException`, `ValidationException`.
    pub async fn get_shard_iterator(
        &self,
        cx: &Context,
        input: api::GetShardIteratorInput,
    ) -> Result<api::GetShardIteratorOutput> {
        let stream = self.stream(&input.stream_arn)?;
        let shards = self.shards(&stream)?;
        let at = shards.iter().position(|shard| shard.id == input.shard_id);
        let Some(shard) = at.and_then(|at| shards.get(at)) else {
            return Err(no_shard(&input.shard_id, &input.stream_arn));
        };
        let kind = input.shard_iterator_type.as_str();
        let numbered = kind.ends_with("_SEQUENCE_NUMBER");
        if input.timestamp.is_some() && kind != "AT_TIMESTAMP" {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: Timestamp cannot be specified for ShardIteratorType: {kind}"
            )));
        }
        let after = match (&input.sequence_number, numbered) {
            (None, true) => {
                return Err(Error::validation(format!(
                    "One or more parameter values were invalid: SequenceNumber must be specified for ShardIteratorType: {kind}"
                )));
            }
            (Some(_), false) => {
                return Err(Error::validation(format!(
                    "One or more parameter values were invalid: SequenceNumber cannot be specified for ShardIteratorType: {kind}"
                )));
            }
            (Some(text), true) => {
                let number = parse_sequence(text)
                    .ok_or_else(|| Error::validation(format!("Invalid SequenceNumber in request: {text}")))?;
                let end = at.and_then(|at| shards.get(at + 1)).map_or(u64::MAX, |next| next.shard.first);
                if number < shard.shard.first || number >= end {
                    return Err(Error::validation(format!(
                        "Invalid SequenceNumber in request: {text} is not within the range of shard {}",
                        shard.id
                    )));
                }
                let oldest = cx.millis() - KEPT;
                if shard.shard.opened < oldest && self.is_trimmed(&stream, shard, number, oldest)? {
                    return Err(api::TrimmedDataAccessException::error(format!(
                        "The operation attempted to read past the oldest stream record in a shard: {text} is older than \
                         the trim horizon of shard {}",
                        shard.id
                    )));
                }
                if kind == "AT_SEQUENCE_NUMBER" { number.saturating_sub(1) } else { number }
            }
            (None, false) if kind == "LATEST" => self.horizon(stream.number).await?.saturating_sub(1),
            (None, false) if kind == "AT_TIMESTAMP" => {
                let Some(at) = input.timestamp.as_ref().and_then(|at| at.to_millis().ok()) else {
                    return Err(Error::validation(
                        "One or more parameter values were invalid: Timestamp must be specified for ShardIteratorType: \
                         AT_TIMESTAMP",
                    ));
                };
                if at > cx.millis() {
                    return Err(Error::validation(
                        "One or more parameter values were invalid: Timestamp must not be in the future",
                    ));
                }
                self.last_before(&stream, shard, at)?
            }
            (None, false) => 0,
        };
        let iterator = Iterator { arn: input.stream_arn, shard: input.shard_id, after, made: cx.millis() };
        Ok(api::GetShardIteratorOutput { shard_iterator: Some(iterator.text()), ..Default::default() })
    }
}
