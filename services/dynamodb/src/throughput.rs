//! Throughput that is not only counted but enforced, for a cloud that is told to: a token bucket of each table and each
//! global index, for reads and for writes.
//!
//! Unused units of provisioned throughput are kept for five minutes, as AWS keeps them; a limit on request units is
//! for each second. Who finds a unit left may go on and owes what the call takes, so that an item larger than a
//! second's units can still be written.
//! Source: Developer Guide, "Burst and adaptive capacity", "Maximum throughput for on-demand tables", "Diagnosing
//! throttling"; API Reference, `ThrottlingReason`.

use crate::DynamoDb;
use crate::change::Cost;
use crate::errors::Result;
use crate::state::{Index, Table};
use cloudlet_api_dynamodb as api;
use cloudlet_service::Error;
use std::sync::atomic::Ordering;

/// AWS: for how many seconds units that nobody used are kept.
const BURST: f64 = 300.0;
/// AWS: how often throughput may be lowered in a day before it must wait.
const FREE_DECREASES: i64 = 4;
const HOUR: i64 = 60 * 60 * 1000;

/// Whether something reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Read,
    Write,
}

/// What is left of a table's or an index's units.
#[derive(Default, Debug)]
pub(crate) struct Bucket {
    units: f64,
    /// When it was last filled, in milliseconds; 0 for never.
    at: i64,
}

/// The units of one second, and for how many seconds they are kept.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Limit {
    rate: f64,
    kept: f64,
    provisioned: bool,
}

impl Bucket {
    /// Adds what has come in since. Gives what there is.
    fn filled(&mut self, limit: Limit, now: i64) -> f64 {
        let most = limit.rate * limit.kept;
        self.units = match self.at {
            0 => most,
            at => (self.units + limit.rate * (now - at).max(0) as f64 / 1000.0).min(most),
        };
        self.at = now.max(1);
        self.units
    }

    fn take(&mut self, units: f64) {
        self.units -= units;
    }
}

/// The limit of a table, or of a global index of it; `None` where there is none.
fn limit(table: &Table, index: Option<&Index>, side: Side) -> Option<Limit> {
    let of = |read: i64, write: i64| if side == Side::Read { read } else { write };
    if table.billing.on_demand {
        let given = index.map_or(table.on_demand, |index| index.on_demand)?;
        let rate = if side == Side::Read { given.read } else { given.write }?;
        return Some(Limit { rate: rate as f64, kept: 1.0, provisioned: false });
    }
    let given = index.map_or(&table.billing.throughput, |index| &index.throughput);
    let rate = of(given.read, given.write);
    (rate > 0).then_some(Limit { rate: rate as f64, kept: BURST, provisioned: true })
}

/// AWS's refusal, with its reason.
fn exceeded(table: &Table, index: Option<&Index>, side: Side, provisioned: bool) -> Error {
    let what = if index.is_some() { "Index" } else { "Table" };
    let how = if side == Side::Read { "Read" } else { "Write" };
    let resource = match index {
        Some(index) => format!("{}/index/{}", table.arn(), index.name),
        None => table.arn(),
    };
    let reason = |end: &str| {
        Some(vec![api::ThrottlingReason {
            reason: Some(format!("{what}{how}{end}")),
            resource: Some(resource.clone()),
            ..Default::default()
        }])
    };
    if !provisioned {
        return api::ThrottlingException {
            message: Some(
                "Throughput exceeds the maximum OnDemandThroughput configured on table or index".to_owned(),
            ),
            throttling_reasons: reason("MaxOnDemandThroughputExceeded"),
            ..Default::default()
        }
        .into();
    }
    let message = if index.is_some() {
        "The level of configured provisioned throughput for one or more global secondary indexes of the table was \
         exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with \
         the UpdateTable API"
    } else {
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
         provisioning level with the UpdateTable API."
    };
    api::ProvisionedThroughputExceededException {
        message: Some(message.to_owned()),
        throttling_reasons: reason("ProvisionedThroughputExceeded"),
        ..Default::default()
    }
    .into()
}

impl DynamoDb {
    /// Enforces throughput from now on, or no longer.
    pub fn enforce_throughput(&self, enforce: bool) {
        self.enforced.store(enforce, Ordering::Relaxed);
    }

    pub(crate) fn enforces(&self) -> bool {
        self.enforced.load(Ordering::Relaxed)
    }

    fn admit(&self, table: &Table, index: Option<&Index>, side: Side) -> Result<()> {
        let Some(limit) = limit(table, index, side) else { return Ok(()) };
        let space = self.live.space(index.map_or(table.number, |index| index.number));
        let left = space.bucket(side).lock().filled(limit, self.cloud.clock().millis());
        if left > 0.0 { Ok(()) } else { Err(exceeded(table, index, side, limit.provisioned)) }
    }

    fn spend(&self, table: &Table, index: Option<&Index>, side: Side, units: f64) {
        if units > 0.0
            && let Some(limit) = limit(table, index, side)
        {
            let space = self.live.space(index.map_or(table.number, |index| index.number));
            let mut bucket = space.bucket(side).lock();
            bucket.filled(limit, self.cloud.clock().millis());
            bucket.take(units);
        }
    }

    /// Whether a table, or a global index of it, may be read now.
    ///
    /// Errors: `ProvisionedThroughputExceededException`, `ThrottlingException`.
    pub(crate) fn admit_read(&self, table: &Table, index: Option<&Index>) -> Result<()> {
        if self.enforces() { self.admit(table, index, Side::Read) } else { Ok(()) }
    }

    /// Takes what a read has cost.
    pub(crate) fn spend_read(&self, table: &Table, cost: &Cost) {
        if self.enforces() {
            self.spend_all(table, cost, Side::Read);
        }
    }

    /// Whether a table may be written now, before it is known which indexes that concerns: any of them can hold it up.
    ///
    /// Errors: `ProvisionedThroughputExceededException`, `ThrottlingException`.
    pub(crate) fn admit_write(&self, table: &Table) -> Result<()> {
        if !self.enforces() {
            return Ok(());
        }
        self.admit(table, None, Side::Write)?;
        table.globals.iter().try_for_each(|index| self.admit(table, Some(index), Side::Write))
    }

    /// [`Self::admit_write`] of a write whose cost is known: only the indexes that it changes hold it up.
    pub(crate) fn admit_cost(&self, table: &Table, cost: &Cost) -> Result<()> {
        if !self.enforces() {
            return Ok(());
        }
        self.admit(table, None, Side::Write)?;
        let touched = table.globals.iter().filter(|index| cost.globals.contains_key(&index.name));
        touched.into_iter().try_for_each(|index| self.admit(table, Some(index), Side::Write))
    }

    /// Takes what a write has cost.
    pub(crate) fn spend_write(&self, table: &Table, cost: &Cost) {
        if self.enforces() {
            self.spend_all(table, cost, Side::Write);
        }
    }

    /// Local indexes use the table's units.
    fn spend_all(&self, table: &Table, cost: &Cost, side: Side) {
        self.spend(table, None, side, cost.table + cost.locals.values().sum::<f64>());
        for index in &table.globals {
            if let Some(units) = cost.globals.get(&index.name) {
                self.spend(table, Some(index), side, *units);
            }
        }
    }
}

/// AWS: four decreases of throughput in a day (UTC), and then one in an hour, of a table and of each index.
pub(crate) fn check_decreases(old: &Table, new: &Table, now: i64) -> Result<()> {
    let indexes = new.globals.iter().filter_map(|index| Some((old.global(&index.name)?, index)));
    let pairs = std::iter::once((&old.billing.throughput, &new.billing.throughput))
        .chain(indexes.map(|(old, new)| (&old.throughput, &new.throughput)));
    for (old, new) in pairs {
        let Some(last) = old
            .decreased
            .filter(|_| new.decreased == Some(now) && new.decreases > FREE_DECREASES.max(old.decreases))
        else {
            continue;
        };
        if now - last < HOUR {
            return Err(crate::errors::limit(format!(
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After \
                 the first {FREE_DECREASES} decreases, each subsequent decrease in the same UTC day can be performed at \
                 most once every 3600 seconds. Number of decreases today: {}. Last decrease at {}. Next decrease can be \
                 made at {}",
                old.decreases,
                words(last),
                words(last + HOUR)
            )));
        }
    }
    Ok(())
}

/// A time as that message has it: `Wednesday, July 25, 2018 9:04:23 PM UTC`.
fn words(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000));
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (hour, half) = match at.hour() {
        0 => (12, "AM"),
        hour @ 1..=11 => (hour, "AM"),
        12 => (12, "PM"),
        hour => (hour - 12, "PM"),
    };
    format!(
        "{}, {} {}, {} {hour}:{:02}:{:02} {half} UTC",
        at.weekday(),
        at.month(),
        at.day(),
        at.year(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_units_are_kept_for_five_minutes() {
        let limit = Limit { rate: 2.0, kept: BURST, provisioned: true };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.filled(limit, 1_000), 600.0);
        bucket.take(1000.0);
        assert_eq!(bucket.filled(limit, 101_000), -200.0);
        assert_eq!(bucket.filled(limit, 202_000), 2.0);
        assert_eq!(bucket.filled(limit, 9_000_000), 600.0, "no more than that");
    }
}
