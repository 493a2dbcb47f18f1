//! A table as `DescribeTable` shows it.
//! Source: DynamoDB API Reference, `TableDescription`; the answers of DynamoDB.

use crate::DynamoDb;
use crate::errors::Result;
use crate::state::{Index, KeyKind, Keys, OnDemand, Projection, Table, Throughput, Warm};
use cloudlet_api_dynamodb as api;
use cloudlet_api_dynamodb::DateTime;

/// What is going on with a table, as the answer of a call that began it shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Creating,
    Updating,
    Deleting,
    Settled,
}

pub(crate) fn time(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

pub(crate) fn definitions(attributes: &[(String, KeyKind)]) -> Vec<api::AttributeDefinition> {
    let one = |(name, kind): &(String, KeyKind)| api::AttributeDefinition {
        attribute_name: name.clone(),
        attribute_type: kind.name().to_owned(),
        ..Default::default()
    };
    let mut all: Vec<_> = attributes.iter().map(one).collect();
    // AWS shows them by name, in whatever order they were given.
    all.sort_by(|a, b| a.attribute_name.cmp(&b.attribute_name));
    all
}

pub(crate) fn key_schema(keys: &Keys) -> Vec<api::KeySchemaElement> {
    let part = |kind: &'static str| {
        move |name: &String| api::KeySchemaElement {
            attribute_name: name.clone(),
            key_type: kind.to_owned(),
            ..Default::default()
        }
    };
    keys.hash.iter().map(part("HASH")).chain(keys.range.iter().map(part("RANGE"))).collect()
}

pub(crate) fn projection(projection: &Projection) -> api::Projection {
    let (kind, names) = match projection {
        Projection::All => ("ALL", None),
        Projection::KeysOnly => ("KEYS_ONLY", None),
        Projection::Include(names) => ("INCLUDE", Some(names.clone())),
    };
    api::Projection {
        projection_type: Some(kind.to_owned()),
        non_key_attributes: names,
        ..Default::default()
    }
}

/// Whether units were lowered on this day (UTC).
pub(crate) fn lowered_today(throughput: &Throughput, now: i64) -> bool {
    throughput.decreased.is_some_and(|at| at.div_euclid(DAY) == now.div_euclid(DAY))
}

fn throughput(throughput: &Throughput, now: i64) -> api::ProvisionedThroughputDescription {
    let today = lowered_today(throughput, now);
    api::ProvisionedThroughputDescription {
        last_increase_date_time: throughput.increased.map(time),
        last_decrease_date_time: throughput.decreased.map(time),
        number_of_decreases_today: Some(if today { throughput.decreases } else { 0 }),
        read_capacity_units: Some(throughput.read),
        write_capacity_units: Some(throughput.write),
        ..Default::default()
    }
}

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn on_demand(on_demand: Option<OnDemand>) -> Option<api::OnDemandThroughput> {
    let limits = on_demand?;
    Some(api::OnDemandThroughput {
        max_read_request_units: Some(limits.read.unwrap_or(-1)),
        max_write_request_units: Some(limits.write.unwrap_or(-1)),
        ..Default::default()
    })
}

fn warm(warm: Option<Warm>, pays_per_request: bool, throughput: &Throughput) -> Warm {
    warm.unwrap_or(if pays_per_request {
        crate::schema::WARM
    } else {
        Warm { read: throughput.read, write: throughput.write }
    })
}

impl DynamoDb {
    /// How many items and bytes a space holds.
    pub(crate) fn volume(&self, number: u64) -> Result<(i64, i64)> {
        let kept = self.volumes(number)?;
        let (items, bytes) = self.live.space(number).peek();
        Ok(((kept.items + items).max(0), (kept.bytes + bytes).max(0)))
    }

    fn local(&self, table: &Table, index: &Index) -> Result<api::LocalSecondaryIndexDescription> {
        let (items, bytes) = self.volume(index.number)?;
        Ok(api::LocalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            index_size_bytes: Some(bytes),
            item_count: Some(items),
            index_arn: Some(format!("{}/index/{}", table.arn(), index.name)),
            ..Default::default()
        })
    }

    fn global(
        &self,
        table: &Table,
        index: &Index,
        phase: Phase,
        now: i64,
    ) -> Result<api::GlobalSecondaryIndexDescription> {
        let (items, bytes) = self.volume(index.number)?;
        let status = match phase {
            Phase::Creating => "CREATING",
            Phase::Deleting => "DELETING",
            _ if index.filling => "CREATING",
            _ => "ACTIVE",
        };
        let warm = warm(index.warm, table.billing.on_demand, &index.throughput);
        Ok(api::GlobalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            index_status: Some(status.to_owned()),
            backfilling: index.filling.then_some(true),
            provisioned_throughput: Some(throughput(&index.throughput, now)),
            index_size_bytes: Some(bytes),
            item_count: Some(items),
            index_arn: Some(format!("{}/index/{}", table.arn(), index.name)),
            on_demand_throughput: on_demand(index.on_demand),
            warm_throughput: Some(api::GlobalSecondaryIndexWarmThroughputDescription {
                read_units_per_second: Some(warm.read),
                write_units_per_second: Some(warm.write),
                status: Some(status.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    /// The whole description.
    pub(crate) fn describe(&self, table: &Table, phase: Phase, now: i64) -> Result<api::TableDescription> {
        let status = match phase {
            Phase::Creating => "CREATING",
            Phase::Updating => "UPDATING",
            Phase::Deleting => "DELETING",
            Phase::Settled if table.globals.iter().any(|index| index.filling) => "UPDATING",
            Phase::Settled => "ACTIVE",
        };
        let (items, bytes) = self.volume(table.number)?;
        let locals = table.locals.iter().map(|index| self.local(table, index)).collect::<Result<Vec<_>>>()?;
        let globals = table.globals.iter().map(|index| self.global(table, index, phase, now));
        let globals = globals.collect::<Result<Vec<_>>>()?;
        let warm = warm(table.warm, table.billing.on_demand, &table.billing.throughput);
        let billing = &table.billing;
        let stream = table.stream.as_ref();
        let replicas: Vec<_> = table.replicas.iter().map(|replica| replica_of(table, replica)).collect();
        Ok(api::TableDescription {
            attribute_definitions: Some(definitions(&table.attributes)),
            table_name: Some(table.name.clone()),
            key_schema: Some(key_schema(&table.keys)),
            table_status: Some(status.to_owned()),
            creation_date_time: Some(time(table.created)),
            provisioned_throughput: Some(throughput(&billing.throughput, now)),
            table_size_bytes: Some(bytes),
            item_count: Some(items),
            table_arn: Some(table.arn()),
            table_id: Some(table.id.clone()),
            billing_mode_summary: billing.shown.then(|| api::BillingModeSummary {
                billing_mode: Some(
                    if billing.on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
                ),
                last_update_to_pay_per_request_date_time: billing
                    .to_on_demand
                    .filter(|_| phase != Phase::Creating)
                    .map(time),
                ..Default::default()
            }),
            local_secondary_indexes: (!locals.is_empty()).then_some(locals),
            global_secondary_indexes: (!globals.is_empty()).then_some(globals),
            stream_specification: stream.filter(|s| s.enabled).map(|stream| api::StreamSpecification {
                stream_enabled: true,
                stream_view_type: Some(stream.view.name().to_owned()),
                ..Default::default()
            }),
            latest_stream_label: stream.map(|stream| stream.label.clone()),
            latest_stream_arn: stream.map(|stream| table.stream_arn(stream)),
            global_table_version: match (table.legacy, replicas.is_empty()) {
                (true, _) => Some("2017.11.29".to_owned()),
                (false, false) => Some("2019.11.21".to_owned()),
                (false, true) => None,
            },
            multi_region_consistency: (!replicas.is_empty() && !table.legacy)
                .then(|| if table.strong { "STRONG" } else { "EVENTUAL" }.to_owned()),
            global_table_witnesses: table.witness.as_ref().map(|region| {
                vec![api::GlobalTableWitnessDescription {
                    region_name: Some(region.clone()),
                    witness_status: Some("ACTIVE".to_owned()),
                    ..Default::default()
                }]
            }),
            disassociation_protection_enabled: (!replicas.is_empty() && !table.legacy && !table.strong)
                .then_some(!table.may_leave),
            replicas: (!replicas.is_empty() && !table.legacy).then_some(replicas),
            restore_summary: table.restored.as_ref().map(|restored| api::RestoreSummary {
                source_backup_arn: restored.backup.clone(),
                source_table_arn: restored.table.clone(),
                restore_date_time: Some(time(restored.at)),
                restore_in_progress: matches!(phase, Phase::Creating),
                ..Default::default()
            }),
            sse_description: encryption(table),
            table_class_summary: table.class.as_ref().map(|class| api::TableClassSummary {
                table_class: Some(
                    if class.infrequent { "STANDARD_INFREQUENT_ACCESS" } else { "STANDARD" }.to_owned(),
                ),
                last_update_date_time: class.changed.map(time),
                ..Default::default()
            }),
            deletion_protection_enabled: Some(table.protected),
            on_demand_throughput: on_demand(table.on_demand),
            warm_throughput: Some(api::TableWarmThroughputDescription {
                read_units_per_second: Some(warm.read),
                write_units_per_second: Some(warm.write),
                status: Some(if phase == Phase::Settled { "ACTIVE" } else { status }.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        })
    }
}

/// The key of a table that is not encrypted with one of DynamoDB's own.
pub(crate) fn encryption(table: &Table) -> Option<api::SSEDescription> {
    table.sse.as_ref().map(|sse| api::SSEDescription {
        status: Some("ENABLED".to_owned()),
        sse_type: Some("KMS".to_owned()),
        kms_master_key_arn: Some(sse.key.clone()),
        ..Default::default()
    })
}

fn reads(units: Option<i64>) -> Option<api::ProvisionedThroughputOverride> {
    units.map(|units| api::ProvisionedThroughputOverride {
        read_capacity_units: Some(units),
        ..Default::default()
    })
}

fn on_demand_reads(units: Option<i64>) -> Option<api::OnDemandThroughputOverride> {
    units.map(|units| api::OnDemandThroughputOverride {
        max_read_request_units: Some(units),
        ..Default::default()
    })
}

fn replica_of(table: &Table, replica: &crate::state::Replica) -> api::ReplicaDescription {
    let units = warm(table.warm, table.billing.on_demand, &table.billing.throughput);
    let indexes = table.globals.iter().map(|index| {
        let of = replica.indexes.get(&index.name);
        let units = warm(index.warm, table.billing.on_demand, &index.throughput);
        api::ReplicaGlobalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            provisioned_throughput_override: reads(of.and_then(|of| of.reads)),
            on_demand_throughput_override: on_demand_reads(of.and_then(|of| of.on_demand_reads)),
            warm_throughput: Some(api::GlobalSecondaryIndexWarmThroughputDescription {
                read_units_per_second: Some(units.read),
                write_units_per_second: Some(units.write),
                status: Some("ACTIVE".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }
    });
    let indexes: Vec<_> = indexes.collect();
    api::ReplicaDescription {
        region_name: Some(replica.region.clone()),
        replica_status: Some("ACTIVE".to_owned()),
        provisioned_throughput_override: reads(replica.reads),
        on_demand_throughput_override: on_demand_reads(replica.on_demand_reads),
        warm_throughput: Some(api::TableWarmThroughputDescription {
            read_units_per_second: Some(units.read),
            write_units_per_second: Some(units.write),
            status: Some("ACTIVE".to_owned()),
            ..Default::default()
        }),
        global_secondary_indexes: (!indexes.is_empty()).then_some(indexes),
        replica_arn: Some(crate::names::table_arn(&table.account, &replica.region, &table.name)),
        kms_master_key_id: replica.key.clone(),
        replica_table_class_summary: replica
            .class
            .as_ref()
            .map(|class| api::TableClassSummary { table_class: Some(class.clone()), ..Default::default() }),
        ..Default::default()
    }
}
