//! The service over an ephemeral store and a clock that tests move.

mod regions;

use crate::state::{Entry, Undo};
use crate::{DynamoDb, Streams};
use cloudlet_api_dynamodb::*;
use cloudlet_api_dynamodbstreams as streams_api;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, ManualClock, Principal, Seeded};
use cloudlet_store::{KeyRange, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000;

struct House {
    db: Arc<DynamoDb>,
    streams: Arc<Streams>,
    cx: Context,
    clock: Arc<ManualClock>,
}

type Item = BTreeMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue { s: Some(value.to_owned()), ..Default::default() }
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue { n: Some(value.to_string()), ..Default::default() }
}

fn item(pk: &str, more: &[(&str, AttributeValue)]) -> Item {
    let mut out = Item::from([("pk".to_owned(), text(pk))]);
    out.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    out
}

async fn house(view: Option<&str>) -> House {
    let clock = Arc::new(ManualClock::at(NOW));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
    let store = Store::ephemeral().unwrap();
    let bus = Bus::new(store.clone(), clock.clone());
    let db = DynamoDb::new(store, cloud.clone(), &bus);
    let root = Principal::Root { account: "000000000000".into() };
    let cx = cloud.context(root, "000000000000", "us-east-1");
    let input = CreateTableInput {
        table_name: "table".to_owned(),
        key_schema: Some(vec![KeySchemaElement {
            attribute_name: "pk".to_owned(),
            key_type: "HASH".to_owned(),
            ..Default::default()
        }]),
        attribute_definitions: Some(vec![AttributeDefinition {
            attribute_name: "pk".to_owned(),
            attribute_type: "S".to_owned(),
            ..Default::default()
        }]),
        billing_mode: Some("PAY_PER_REQUEST".to_owned()),
        stream_specification: view.map(|view| StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some(view.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    db.create_table(&cx, input).await.unwrap();
    House { streams: db.streams(), db, cx, clock }
}

impl House {
    async fn put(&self, item: Item) {
        let input = PutItemInput { table_name: "table".to_owned(), item, ..Default::default() };
        self.db.put_item(&self.cx, input).await.unwrap();
    }

    async fn count(&self) -> i32 {
        let input = ScanInput { table_name: "table".to_owned(), ..Default::default() };
        self.db.scan(&self.cx, input).await.unwrap().count.unwrap()
    }

    async fn transact(&self, pk: &str, token: &str) -> Result<TransactWriteItemsOutput, Error> {
        let put = Put { table_name: "table".to_owned(), item: item(pk, &[]), ..Default::default() };
        let input = TransactWriteItemsInput {
            transact_items: vec![TransactWriteItem { put: Some(put), ..Default::default() }],
            client_request_token: Some(token.to_owned()),
            ..Default::default()
        };
        self.db.transact_write_items(&self.cx, input).await
    }

    async fn delete(&self, pk: &str) {
        let input =
            DeleteItemInput { table_name: "table".to_owned(), key: item(pk, &[]), ..Default::default() };
        self.db.delete_item(&self.cx, input).await.unwrap();
    }

    fn later(&self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * 3600));
    }

    async fn arn(&self) -> String {
        let input = DescribeTableInput { table_name: "table".to_owned(), ..Default::default() };
        self.db.describe_table(&self.cx, input).await.unwrap().table.unwrap().latest_stream_arn.unwrap()
    }

    async fn shards(&self) -> Vec<streams_api::Shard> {
        let input = streams_api::DescribeStreamInput { stream_arn: self.arn().await, ..Default::default() };
        let described = self.streams.describe_stream(&self.cx, input).await.unwrap();
        described.stream_description.unwrap().shards.unwrap()
    }

    async fn read(&self, shard: &str) -> (Vec<streams_api::Record>, bool) {
        let input = streams_api::GetShardIteratorInput {
            stream_arn: self.arn().await,
            shard_id: shard.to_owned(),
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            ..Default::default()
        };
        let iterator = self.streams.get_shard_iterator(&self.cx, input).await.unwrap().shard_iterator;
        let input = streams_api::GetRecordsInput { shard_iterator: iterator.unwrap(), ..Default::default() };
        let read = self.streams.get_records(&self.cx, input).await.unwrap();
        (read.records.unwrap(), read.next_shard_iterator.is_some())
    }
}

#[tokio::test]
async fn a_token_is_remembered_for_ten_minutes() {
    let house = house(None).await;
    house.transact("a", "t").await.unwrap();
    house.delete("a").await;
    house.transact("a", "t").await.unwrap();
    assert_eq!(house.count().await, 0, "the repetition did nothing");
    let mismatch = house.transact("b", "t").await.map(drop).unwrap_err();
    assert!(mismatch.is("IdempotentParameterMismatchException"));
    house.clock.advance(Duration::from_secs(601));
    house.transact("a", "t").await.unwrap();
    assert_eq!(house.count().await, 1);
}

#[tokio::test]
async fn shards_follow_each_other_and_records_last_a_day() {
    let house = house(Some("NEW_IMAGE")).await;
    house.put(item("a", &[])).await;
    house.later(5);
    house.put(item("b", &[])).await;
    let shards = house.shards().await;
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[1].parent_shard_id, shards[0].shard_id);
    let range = shards[0].sequence_number_range.as_ref().unwrap();
    assert!(range.ending_sequence_number.is_some());
    let (first, goes_on) = house.read(shards[0].shard_id.as_deref().unwrap()).await;
    assert!(first.len() == 1 && !goes_on, "a closed shard ends");
    let (second, goes_on) = house.read(shards[1].shard_id.as_deref().unwrap()).await;
    assert!(second.len() == 1 && goes_on);
    house.later(20);
    assert!(house.read(shards[0].shard_id.as_deref().unwrap()).await.0.is_empty());
    assert_eq!(house.read(shards[1].shard_id.as_deref().unwrap()).await.0.len(), 1);
}

#[tokio::test]
async fn time_to_live_takes_what_is_due_and_says_so() {
    let house = house(Some("OLD_IMAGE")).await;
    let input = UpdateTimeToLiveInput {
        table_name: "table".to_owned(),
        time_to_live_specification: TimeToLiveSpecification {
            enabled: true,
            attribute_name: "ttl".to_owned(),
            ..Default::default()
        },
        ..Default::default()
    };
    house.db.update_time_to_live(&house.cx, input).await.unwrap();
    let seconds = NOW / 1000;
    house.put(item("soon", &[("ttl", number(seconds + 60))])).await;
    house.put(item("kept", &[("ttl", number(seconds + 60))])).await;
    house.put(item("kept", &[("ttl", number(seconds + 60_000))])).await;
    house.put(item("text", &[("ttl", text("60"))])).await;
    house.put(item("ancient", &[("ttl", number(1))])).await;
    house.db.expire().await.unwrap();
    assert_eq!(house.count().await, 4);
    house.clock.advance(Duration::from_secs(61));
    house.db.expire().await.unwrap();
    assert_eq!(house.count().await, 3);
    let shard = house.shards().await.remove(0).shard_id.unwrap();
    let last = house.read(&shard).await.0.pop().unwrap();
    assert_eq!(last.event_name.as_deref(), Some("REMOVE"));
    let identity = last.user_identity.unwrap();
    assert_eq!(identity.principal_id.as_deref(), Some("dynamodb.amazonaws.com"));
}

#[tokio::test]
async fn time_to_live_changes_once_an_hour() {
    let house = house(None).await;
    let change = async |enabled: bool| {
        let input = UpdateTimeToLiveInput {
            table_name: "table".to_owned(),
            time_to_live_specification: TimeToLiveSpecification {
                enabled,
                attribute_name: "ttl".to_owned(),
                ..Default::default()
            },
            ..Default::default()
        };
        house.db.update_time_to_live(&house.cx, input).await.map(drop)
    };
    change(true).await.unwrap();
    let refused = change(false).await.unwrap_err();
    assert_eq!(refused.code(), "ValidationException");
    assert_eq!(refused.message(), "Time to live has been modified multiple times within a fixed interval");
    house.later(1);
    change(false).await.unwrap();
    assert!(change(true).await.is_err());
    house.later(1);
    change(true).await.unwrap();
}

#[tokio::test]
async fn what_tables_hold_is_counted() {
    let house = house(None).await;
    for pk in ["a", "b", "c"] {
        house.put(item(pk, &[])).await;
    }
    house.put(item("a", &[("x", text("yy"))])).await;
    house.delete("b").await;
    for _ in 0..2 {
        let input = DescribeTableInput { table_name: "table".to_owned(), ..Default::default() };
        let table = house.db.describe_table(&house.cx, input).await.unwrap().table.unwrap();
        assert_eq!((table.item_count, table.table_size_bytes), (Some(2), Some(9)));
        house.db.write_volumes().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_too_old_to_be_read_is_forgotten() {
    let house = house(Some("NEW_IMAGE")).await;
    let entries = || house.db.store.table::<Entry>().scan(KeyRange::all(), false).count();
    for pk in ["a", "b"] {
        house.put(item(pk, &[])).await;
    }
    house.later(5);
    house.put(item("c", &[])).await;
    house.db.trim().await.unwrap();
    assert_eq!((entries(), house.shards().await.len()), (3, 2));
    let first = house.shards().await.remove(0);
    let iterator = |shard: &streams_api::Shard, sequence: &str| streams_api::GetShardIteratorInput {
        shard_id: shard.shard_id.clone().unwrap(),
        shard_iterator_type: "AT_SEQUENCE_NUMBER".to_owned(),
        sequence_number: Some(sequence.to_owned()),
        ..Default::default()
    };
    let sequence = first.sequence_number_range.as_ref().unwrap().starting_sequence_number.clone().unwrap();
    let at =
        streams_api::GetShardIteratorInput { stream_arn: house.arn().await, ..iterator(&first, &sequence) };
    house.streams.get_shard_iterator(&house.cx, at.clone()).await.unwrap();
    house.later(20);
    let trimmed = house.streams.get_shard_iterator(&house.cx, at.clone()).await.map(drop).unwrap_err();
    assert!(trimmed.is("TrimmedDataAccessException"), "{trimmed}");
    house.db.trim().await.unwrap();
    assert_eq!((entries(), house.shards().await.len()), (1, 2), "the shard took records until not a day ago");
    house.later(5);
    house.db.trim().await.unwrap();
    assert_eq!((entries(), house.shards().await.len()), (0, 1), "the closed shard is gone after its records");
    let gone = house.streams.get_shard_iterator(&house.cx, at).await.map(drop).unwrap_err();
    assert!(gone.is("ResourceNotFoundException"), "{gone}");
    house.put(item("d", &[])).await;
    assert_eq!(house.shards().await.len(), 2);
}

impl House {
    async fn remember(&self, days: Option<i32>) {
        let input = UpdateContinuousBackupsInput {
            table_name: "table".to_owned(),
            point_in_time_recovery_specification: PointInTimeRecoverySpecification {
                point_in_time_recovery_enabled: true,
                recovery_period_in_days: days,
                ..Default::default()
            },
            ..Default::default()
        };
        self.db.update_continuous_backups(&self.cx, input).await.unwrap();
    }

    async fn number(&self) -> u64 {
        self.db.control_table(&self.cx, "table").unwrap().number
    }
}

#[tokio::test]
async fn changes_between_two_times_are_shown_once_each() {
    let house = house(None).await;
    house.remember(None).await;
    let minute = |n: i64| NOW + n * 60_000;
    house.put(item("before", &[("v", number(1))])).await;
    house.put(item("gone", &[])).await;
    house.put(item("same", &[])).await;
    house.clock.advance(Duration::from_secs(60));
    house.put(item("before", &[("v", number(2))])).await;
    house.put(item("before", &[("v", number(3))])).await;
    house.put(item("new", &[])).await;
    house.put(item("brief", &[("v", number(9))])).await;
    house.delete("brief").await;
    house.delete("gone").await;
    house.clock.advance(Duration::from_secs(60));
    house.put(item("before", &[("v", number(4))])).await;
    house.put(item("later", &[])).await;
    let mut seen = BTreeMap::new();
    let space = house.number().await;
    crate::operations::exports::changes::each_change(
        &house.db.store,
        space,
        (minute(1), minute(2)),
        |change| {
            let value = |item: &Option<crate::value::Item>| {
                item.as_ref().map(|item| item.get("v").map(ToString::to_string).unwrap_or_default())
            };
            let pk = change.any.get("pk").unwrap().to_string();
            let known = seen.insert(pk, (change.at, value(&change.old), value(&change.new)));
            assert!(known.is_none());
            Ok(())
        },
    )
    .map_err(|failure| failure.0)
    .unwrap();
    let keys: Vec<String> = seen.keys().map(|pk| pk.replace(['"', '\''], "")).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    let of = |name: &str| {
        let found = seen.iter().find(|(pk, _)| pk.contains(name)).map(|(_, what)| what.clone()).unwrap();
        (found.0, found.1.is_some(), found.2.is_some())
    };
    assert_eq!(of("before"), (minute(1), true, true));
    let before = &seen.iter().find(|(pk, _)| pk.contains("before")).unwrap().1;
    assert!(
        before.1.as_ref().unwrap().contains('1') && before.2.as_ref().unwrap().contains('3'),
        "{before:?}"
    );
    assert_eq!(of("new"), (minute(1), false, true));
    assert_eq!(of("brief"), (minute(1), false, false));
    assert_eq!(of("gone"), (minute(1), true, false));
}

#[tokio::test]
async fn history_goes_back_as_far_as_was_asked() {
    let house = house(None).await;
    house.remember(Some(1)).await;
    let undone = || house.db.store.table::<Undo>().scan(KeyRange::all(), false).count();
    house.put(item("a", &[])).await;
    house.later(23);
    house.put(item("b", &[])).await;
    house.db.trim().await.unwrap();
    assert_eq!(undone(), 2);
    house.later(2);
    house.db.trim().await.unwrap();
    assert_eq!(undone(), 1);
}

#[tokio::test]
async fn throughput_is_enforced_when_asked_for() {
    let house = house(None).await;
    house.db.enforce_throughput(true);
    let units = |read, write| ProvisionedThroughput {
        read_capacity_units: read,
        write_capacity_units: write,
        ..Default::default()
    };
    let input = UpdateTableInput {
        table_name: "table".to_owned(),
        billing_mode: Some("PROVISIONED".to_owned()),
        provisioned_throughput: Some(units(1, 1)),
        ..Default::default()
    };
    house.db.update_table(&house.cx, input).await.unwrap();
    let put = |bytes: usize| PutItemInput {
        table_name: "table".to_owned(),
        item: item("a", &[("x", text(&"x".repeat(bytes)))]),
        ..Default::default()
    };
    // What five minutes have left unused is there, and an item may take more than there is.
    house.db.put_item(&house.cx, put(299 * 1024)).await.unwrap();
    house.db.put_item(&house.cx, put(10)).await.map(drop).unwrap_err();
    house.clock.advance(Duration::from_secs(2));
    house.db.put_item(&house.cx, put(10)).await.unwrap();
    house.clock.advance(Duration::from_secs(400));
    house.db.put_item(&house.cx, put(299 * 1024)).await.unwrap();
    let refused = house.db.put_item(&house.cx, put(10)).await.map(drop).unwrap_err();
    assert!(refused.is("ProvisionedThroughputExceededException"), "{refused}");
    assert_eq!(
        refused.message(),
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning \
         level with the UpdateTable API."
    );
    let key = GetItemInput { table_name: "table".to_owned(), key: item("a", &[]), ..Default::default() };
    for _ in 0..8 {
        house.db.get_item(&house.cx, key.clone()).await.unwrap();
    }
    let refused = house.db.get_item(&house.cx, key).await.map(drop).unwrap_err();
    assert!(refused.is("ProvisionedThroughputExceededException"), "{refused}");
}

#[tokio::test]
async fn a_deleted_table_with_a_history_leaves_a_backup_for_35_days() {
    let house = house(None).await;
    house.remember(None).await;
    house.put(item("a", &[])).await;
    let space = house.number().await;
    let input = DeleteTableInput { table_name: "table".to_owned(), ..Default::default() };
    house.db.delete_table(&house.cx, input).await.unwrap();
    let input = ListBackupsInput { backup_type: Some("SYSTEM".to_owned()), ..Default::default() };
    let listed = house.db.list_backups(&house.cx, input).await.unwrap().backup_summaries.unwrap();
    assert_eq!(listed[0].backup_name.as_deref(), Some("table$DeletedTableBackup"));
    let arn = listed[0].backup_arn.clone().unwrap();
    let input = RestoreTableFromBackupInput {
        target_table_name: "table".to_owned(),
        backup_arn: arn.clone(),
        ..Default::default()
    };
    let begun = house.db.restore_table_from_backup(&house.cx, input).await.unwrap();
    assert_eq!(begun.table_description.unwrap().table_status.as_deref(), Some("CREATING"));
    let place = crate::names::locate(&house.cx, "table").unwrap();
    while house.db.coming(&place).unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.count().await, 1);
    let (_, backup) = house.db.backup(&arn).unwrap();
    let key = crate::state::place_key("000000000000", "us-east-1").text(&backup.id);
    let task = crate::purge::Task::Backup { key: key.as_bytes().to_vec(), number: space };
    house.db.work(&task).await.unwrap();
    assert!(house.db.backup(&arn).is_err());
    assert_eq!(house.count().await, 1, "the restored table has items of its own");
}

#[tokio::test]
async fn iterators_expire_after_a_quarter_of_an_hour() {
    let house = house(Some("KEYS_ONLY")).await;
    let input = streams_api::GetShardIteratorInput {
        stream_arn: house.arn().await,
        shard_id: house.shards().await.remove(0).shard_id.unwrap(),
        shard_iterator_type: "TRIM_HORIZON".to_owned(),
        ..Default::default()
    };
    let iterator = house.streams.get_shard_iterator(&house.cx, input).await.unwrap().shard_iterator.unwrap();
    let read = |iterator: &str| streams_api::GetRecordsInput {
        shard_iterator: iterator.to_owned(),
        ..Default::default()
    };
    house.clock.advance(Duration::from_secs(14 * 60));
    let next = house.streams.get_records(&house.cx, read(&iterator)).await.unwrap().next_shard_iterator;
    house.clock.advance(Duration::from_secs(2 * 60));
    let expired = house.streams.get_records(&house.cx, read(&iterator)).await.map(drop).unwrap_err();
    assert!(expired.is("ExpiredIteratorException"), "{expired}");
    house.streams.get_records(&house.cx, read(&next.unwrap())).await.unwrap();
}

#[tokio::test]
async fn throughput_may_be_lowered_once_an_hour_after_four_times() {
    let house = house(None).await;
    house.db.enforce_throughput(true);
    let to = |units| UpdateTableInput {
        table_name: "table".to_owned(),
        billing_mode: (units == 10).then(|| "PROVISIONED".to_owned()),
        provisioned_throughput: Some(ProvisionedThroughput {
            read_capacity_units: units,
            write_capacity_units: units,
            ..Default::default()
        }),
        ..Default::default()
    };
    for units in [10, 9, 8, 7, 6] {
        house.db.update_table(&house.cx, to(units)).await.unwrap();
    }
    let refused = house.db.update_table(&house.cx, to(5)).await.map(drop).unwrap_err();
    assert!(refused.is("LimitExceededException"), "{refused}");
    let end = "Last decrease at Friday, January 15, 2027 8:00:00 AM UTC. Next decrease can be made at Friday, January 15, \
               2027 9:00:00 AM UTC";
    assert!(refused.message().ends_with(end), "{refused}");
    house.later(1);
    house.db.update_table(&house.cx, to(5)).await.unwrap();
    house.db.update_table(&house.cx, to(4)).await.map(drop).unwrap_err();
    house.later(24);
    house.db.update_table(&house.cx, to(4)).await.unwrap();
}
