//! Names and ARNs of tables, indexes and streams, and how a parameter names a table: by either.
//! Source: DynamoDB Developer Guide, "Naming rules"; API Reference, `TableName` of the data operations.

use crate::errors::{Result, invalid};
use cloudlet_service::{Arn, Context};

/// The shortest and the longest name of a table or index.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=255;

/// Where a table is said to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub account: String,
    pub region: String,
    pub name: String,
}

/// Whether a text is made of what names are made of.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The name of a table to be made: AWS checks its length apart from its characters.
pub(crate) fn check_new(name: &str) -> Result<()> {
    if !LENGTH.contains(&name.chars().count()) {
        return Err(invalid("TableName must be at least 3 characters long and at most 255 characters long"));
    }
    Ok(())
}

/// The table that a parameter names by its name or its ARN.
pub(crate) fn locate(cx: &Context, text: &str) -> Result<Place> {
    if !text.starts_with("arn:") {
        return Ok(Place {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            name: text.to_owned(),
        });
    }
    let place = of_arn(text).filter(|place| !place.name.contains('/'));
    place.ok_or_else(|| invalid(format!("Invalid TableArn: Invalid ResourceArn provided as input {text}")))
}

/// The table that an ARN of it, or of something that belongs to it, names.
pub(crate) fn of_arn(text: &str) -> Option<Place> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "dynamodb")?;
    let rest = arn.resource.strip_prefix("table/")?;
    Some(Place { account: arn.account.to_owned(), region: arn.region.to_owned(), name: rest.to_owned() })
}

/// The table of a stream's ARN, and the stream's label.
pub(crate) fn of_stream_arn(text: &str) -> Option<(Place, String)> {
    let mut place = of_arn(text)?;
    let (table, label) = place.name.split_once("/stream/")?;
    let (table, label) = (table.to_owned(), label.to_owned());
    place.name = table;
    is_name(&place.name).then_some((place, label))
}

pub(crate) use cloudlet_service::regions::partition;

impl Place {
    /// The table's ARN.
    pub(crate) fn arn(&self) -> String {
        table_arn(&self.account, &self.region, &self.name)
    }

    pub(crate) fn is_here(&self, cx: &Context) -> bool {
        *self.account == *cx.account && *self.region == *cx.region
    }
}

pub(crate) fn table_arn(account: &str, region: &str, name: &str) -> String {
    format!("arn:{}:dynamodb:{region}:{account}:table/{name}", partition(region))
}
