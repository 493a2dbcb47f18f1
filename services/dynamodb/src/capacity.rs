//! `ConsumedCapacity` in its forms.
//! Source: API Reference, `ReturnConsumedCapacity`; Developer Guide, "Read and write capacity units".

use crate::change::Cost;
use crate::value::size::{self, Read};
use cloudlet_api_dynamodb as api;
use std::collections::BTreeMap;

/// Whether the units are those of a transaction, which says which kind they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    Plain,
    Read,
    Write,
}

/// How a call reads.
pub(crate) fn read(consistent: Option<bool>) -> Read {
    if consistent == Some(true) { Read::Consistent } else { Read::Eventual }
}

fn capacity(units: f64, kind: Units) -> api::Capacity {
    api::Capacity {
        capacity_units: Some(units),
        read_capacity_units: (kind == Units::Read).then_some(units),
        write_capacity_units: (kind == Units::Write).then_some(units),
        ..Default::default()
    }
}

/// The answer's member, where it was asked for. `table` is what the caller called the table.
pub(crate) fn consumed(
    asked: Option<&str>,
    table: &str,
    cost: &Cost,
    kind: Units,
) -> Option<api::ConsumedCapacity> {
    let whole = match asked {
        Some("INDEXES") => true,
        Some("TOTAL") => false,
        _ => return None,
    };
    let total = cost.total();
    let indexes = |costs: &BTreeMap<String, f64>| {
        let all: BTreeMap<_, _> =
            costs.iter().map(|(name, units)| (name.clone(), capacity(*units, kind))).collect();
        (whole && !all.is_empty()).then_some(all)
    };
    Some(api::ConsumedCapacity {
        table_name: Some(table.to_owned()),
        capacity_units: Some(total),
        read_capacity_units: (kind == Units::Read).then_some(total),
        write_capacity_units: (kind == Units::Write).then_some(total),
        table: whole.then(|| capacity(cost.table, kind)),
        local_secondary_indexes: indexes(&cost.locals),
        global_secondary_indexes: indexes(&cost.globals),
        ..Default::default()
    })
}

impl Cost {
    /// What reading this many bytes of a table costs.
    pub(crate) fn of_read(bytes: usize, read: Read) -> Self {
        Self { table: size::read_units(bytes, read), ..Self::default() }
    }

    pub(crate) fn total(&self) -> f64 {
        self.table + self.locals.values().sum::<f64>() + self.globals.values().sum::<f64>()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.table += other.table;
        for (name, units) in &other.locals {
            *self.locals.entry(name.clone()).or_default() += units;
        }
        for (name, units) in &other.globals {
            *self.globals.entry(name.clone()).or_default() += units;
        }
    }

    /// A transaction takes everything twice.
    pub(crate) fn doubled(mut self) -> Self {
        self.table *= 2.0;
        self.locals.values_mut().chain(self.globals.values_mut()).for_each(|units| *units *= 2.0);
        self
    }
}
