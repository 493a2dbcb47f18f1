//! The lines of an export's files, in either format.
//! Source: Developer Guide, "DynamoDB table export output format".

use super::changes::Changed;
use crate::state::Transfer;
use crate::value::Item;
use crate::{ion, json};
use serde_json::json;

/// How items are written down.
#[derive(Clone, Copy)]
pub(super) enum Format {
    DynamoDbJson,
    Ion,
}

impl Format {
    pub(super) fn of(transfer: &Transfer) -> Self {
        match transfer.asked.get("ExportFormat").map(String::as_str) {
            Some("ION") => Self::Ion,
            _ => Self::DynamoDbJson,
        }
    }

    /// What the manifest calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DynamoDbJson => "DYNAMODB_JSON",
            Self::Ion => "ION",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::DynamoDbJson => "json",
            Self::Ion => "ion",
        }
    }

    /// The line of an item.
    pub(super) fn item(self, item: &Item) -> String {
        match self {
            Self::DynamoDbJson => json!({ "Item": json::write(item) }).to_string(),
            Self::Ion => ion::line([("Item", ion::write(item))]),
        }
    }

    /// The line of an item that changed; `old` is whether what it was before belongs to it.
    pub(super) fn change(self, change: &Changed, keys: &[&str], old: bool) -> String {
        let (micros, keys) = (change.at.saturating_mul(1000), change.keys(keys));
        let images = [("NewImage", change.new.as_ref()), ("OldImage", change.old.as_ref().filter(|_| old))];
        let images = images.into_iter().filter_map(|(name, image)| Some((name, image?)));
        match self {
            Self::DynamoDbJson => {
                let mut line = json!({
                    "Metadata": { "WriteTimestampMicros": { "N": micros.to_string() } },
                    "Keys": json::write(&keys),
                });
                images.for_each(|(name, image)| line[name] = json::write(image));
                line.to_string()
            }
            Self::Ion => {
                let metadata = ion::structure([("WriteTimestampMicros", ion::number(micros))]);
                let fields = [("Keys", ion::write(&keys)), ("Metadata", metadata)].into_iter();
                let record = fields.chain(images.map(|(name, image)| (name, ion::write(image))));
                ion::line([("Record", ion::structure(record))])
            }
        }
    }
}
