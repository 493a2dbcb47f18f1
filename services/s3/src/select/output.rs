//! Rows as bytes: CSV and JSON.

use super::Refused;
use super::input::{LONGEST, too_long};
use super::value::Value;
use super::words::refused;
use cloudlet_api_s3 as api;
use serde_json::Value as Json;

pub(super) enum Output {
    Csv { field: String, record: String, quote: String, escape: String, always: bool },
    Json { record: String },
}

impl Output {
    /// Errors: `InvalidQuoteFields`, `MissingRequiredParameter`, `ObjectSerializationConflict`.
    pub(super) fn read(output: &api::OutputSerialization) -> Result<Self, Refused> {
        let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        match (&output.csv, &output.json) {
            (Some(csv), None) => {
                let quotes = csv.quote_fields.as_deref().unwrap_or("ASNEEDED");
                if !matches!(quotes, "ASNEEDED" | "ALWAYS") {
                    let message = "The QuoteFields is invalid. Only ALWAYS and ASNEEDED are supported.";
                    return Err(Refused::new("InvalidQuoteFields", message));
                }
                Ok(Self::Csv {
                    field: or(&csv.field_delimiter, ","),
                    record: or(&csv.record_delimiter, "\n"),
                    quote: or(&csv.quote_character, "\""),
                    escape: or(&csv.quote_escape_character, "\""),
                    always: quotes == "ALWAYS",
                })
            }
            (None, Some(json)) => Ok(Self::Json { record: or(&json.record_delimiter, "\n") }),
            (None, None) => Err(refused("MissingRequiredParameter")),
            _ => Err(refused("ObjectSerializationConflict")),
        }
    }

    /// Writes a row. Errors: `ColumnTooLong`, `OverMaxRecordSize`.
    pub(super) fn write(&self, row: Vec<(String, Value)>, out: &mut Vec<u8>) -> Result<(), Refused> {
        let begins = out.len();
        if row.iter().any(|(_, value)| value.text().is_some_and(|text| text.len() > LONGEST)) {
            return Err(refused("ColumnTooLong"));
        }
        match self {
            Self::Json { record } => {
                let mut object = serde_json::Map::new();
                for (name, value) in row {
                    if let Some(json) = value.json() {
                        object.insert(name, json);
                    }
                }
                out.extend_from_slice(Json::Object(object).to_string().as_bytes());
                out.extend_from_slice(record.as_bytes());
            }
            Self::Csv { field, record, quote, escape, always } => {
                for (index, (_, value)) in row.into_iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(field.as_bytes());
                    }
                    let shown = value.shown();
                    let needed = [field, record, quote]
                        .into_iter()
                        .any(|s| !s.is_empty() && shown.contains(s.as_str()));
                    if (*always || needed) && !quote.is_empty() {
                        out.extend_from_slice(quote.as_bytes());
                        out.extend_from_slice(
                            shown.replace(quote.as_str(), &format!("{escape}{quote}")).as_bytes(),
                        );
                        out.extend_from_slice(quote.as_bytes());
                    } else {
                        out.extend_from_slice(shown.as_bytes());
                    }
                }
                out.extend_from_slice(record.as_bytes());
            }
        }
        if out.len() - begins > LONGEST {
            return Err(too_long());
        }
        Ok(())
    }
}
