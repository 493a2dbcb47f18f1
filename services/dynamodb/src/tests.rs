//! The service over an ephemeral store and a clock that tests move.

use crate::{DynamoDb, Streams};
use cloudlet_api_dynamodb::*;
use cloudlet_api_dynamodbstreams as streams_api;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
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
