//! Exports of what changed between two times, by a clock that the test moves, into a bucket that only keeps what it is given.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use cloudlet_api_dynamodb::*;
use cloudlet_api_s3 as s3;
use cloudlet_bus::Bus;
use cloudlet_dynamodb::DynamoDb;
use cloudlet_service::{
    AccessRequest, Api, BoxFuture, Cloud, Context, Error, Identity, ManualClock, Principal, Resolved, Seeded,
    Service, Structure, TypedOperation,
};
use cloudlet_store::Store;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;

/// Everybody may do anything.
struct Open;

impl Identity for Open {
    fn resolve(&self, _: &str, _: Option<&str>) -> Result<Resolved, Error> {
        Err(Error::new("InvalidClientTokenId", 403, "unknown"))
    }

    fn authorize(&self, _: &Context, _: &AccessRequest<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Objects by their keys.
#[derive(Default)]
struct Bucket(Mutex<BTreeMap<String, Vec<u8>>>);

struct S3(Arc<Bucket>);

impl Service for S3 {
    fn api(&self) -> &'static Api {
        &s3::API
    }

    fn invoke<'a>(
        &'a self,
        operation: usize,
        _: &'a Context,
        input: Box<dyn Structure>,
    ) -> BoxFuture<'a, Result<Box<dyn Structure>, Error>> {
        Box::pin(async move {
            assert_eq!(operation, s3::operations::PutObject::INDEX);
            let put =
                input.into_any().downcast::<s3::PutObjectInput>().map_err(|_| Error::internal("input"))?;
            let body = put.body.collect(1 << 20).await?;
            self.0.0.lock().unwrap().insert(put.key, body.to_vec());
            Ok(Box::new(s3::PutObjectOutput::default()) as Box<dyn Structure>)
        })
    }
}

struct House {
    db: Arc<DynamoDb>,
    cx: Context,
    clock: Arc<ManualClock>,
    bucket: Arc<Bucket>,
}

fn text(value: &str) -> AttributeValue {
    AttributeValue { s: Some(value.to_owned()), ..Default::default() }
}

impl House {
    /// A table that remembers.
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
        let store = Store::ephemeral().unwrap();
        let bus = Bus::new(store.clone(), clock.clone());
        let db = DynamoDb::new(store, cloud.clone(), &bus);
        let bucket = Arc::new(Bucket::default());
        cloud.open(vec![Arc::new(S3(bucket.clone()))], Arc::new(Open));
        let root = Principal::Root { account: "000000000000".into() };
        let cx = cloud.context(root, "000000000000", "us-east-1");
        let create = CreateTableInput {
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
            ..Default::default()
        };
        db.create_table(&cx, create).await.unwrap();
        let remember = UpdateContinuousBackupsInput {
            table_name: "table".to_owned(),
            point_in_time_recovery_specification: PointInTimeRecoverySpecification {
                point_in_time_recovery_enabled: true,
                ..Default::default()
            },
            ..Default::default()
        };
        db.update_continuous_backups(&cx, remember).await.unwrap();
        Self { db, cx, clock, bucket }
    }

    async fn put(&self, key: &str, value: &str) {
        let item = BTreeMap::from([("pk".to_owned(), text(key)), ("v".to_owned(), text(value))]);
        let input = PutItemInput { table_name: "table".to_owned(), item, ..Default::default() };
        self.db.put_item(&self.cx, input).await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let key = BTreeMap::from([("pk".to_owned(), text(key))]);
        let input = DeleteItemInput { table_name: "table".to_owned(), key, ..Default::default() };
        self.db.delete_item(&self.cx, input).await.unwrap();
    }

    /// Exports the changes between two minutes; gives the summary and the lines.
    async fn export(
        &self,
        (from, to): (i64, i64),
        more: ExportTableToPointInTimeInput,
        view: Option<&str>,
    ) -> Result<(serde_json::Value, Vec<String>), Error> {
        let input = ExportTableToPointInTimeInput {
            table_arn: "arn:aws:dynamodb:us-east-1:000000000000:table/table".to_owned(),
            s3_bucket: "bucket".to_owned(),
            s3_prefix: Some("in".to_owned()),
            export_type: Some("INCREMENTAL_EXPORT".to_owned()),
            incremental_export_specification: Some(IncrementalExportSpecification {
                export_from_time: Some(DateTime::from_millis(NOW + from * MINUTE)),
                export_to_time: Some(DateTime::from_millis(NOW + to * MINUTE)),
                export_view_type: view.map(str::to_owned),
                ..Default::default()
            }),
            ..more
        };
        let begun = self.db.export_table_to_point_in_time(&self.cx, input).await?;
        let export_arn = begun.export_description.unwrap().export_arn.unwrap();
        let done = loop {
            let input = DescribeExportInput { export_arn: export_arn.clone(), ..Default::default() };
            let shown = self.db.describe_export(&self.cx, input).await?.export_description.unwrap();
            if shown.export_status.as_deref() != Some("IN_PROGRESS") {
                break shown;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(done.export_status.as_deref(), Some("COMPLETED"), "{:?}", done.failure_message);
        let objects = self.bucket.0.lock().unwrap();
        let summary: serde_json::Value =
            serde_json::from_slice(&objects[&done.export_manifest.unwrap()]).unwrap();
        let files =
            String::from_utf8(objects[summary["manifestFilesS3Key"].as_str().unwrap()].clone()).unwrap();
        let mut lines = Vec::new();
        for file in files.lines() {
            let file: serde_json::Value = serde_json::from_str(file).unwrap();
            let key = file["dataFileS3Key"].as_str().unwrap();
            assert!(key.starts_with("in/AWSDynamoDB/data/"), "{key}");
            let mut plain = String::new();
            flate2::read::GzDecoder::new(&objects[key][..]).read_to_string(&mut plain).unwrap();
            assert_eq!(file["itemCount"], plain.lines().count());
            lines.extend(plain.lines().map(str::to_owned));
        }
        lines.sort();
        Ok((summary, lines))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_two_times() {
    let house = House::new().await;
    let later = |minutes: u64| house.clock.advance(Duration::from_secs(minutes * 60));
    house.put("before", "1").await;
    house.put("changed", "1").await;
    house.put("gone", "1").await;
    later(10);
    house.put("changed", "2").await;
    house.put("new", "1").await;
    house.delete("gone").await;
    house.put("short", "1").await;
    house.delete("short").await;
    later(20);
    house.put("changed", "3").await;
    house.put("after", "1").await;
    later(10);

    let (summary, lines) = house.export((5, 25), Default::default(), None).await.unwrap();
    assert_eq!(summary["version"], "2023-08-01");
    assert_eq!(summary["exportType"], "INCREMENTAL_EXPORT");
    assert_eq!(summary["outputView"], "NEW_AND_OLD_IMAGES");
    assert_eq!(summary["exportFromTime"], "2027-01-15T08:05:00.000Z");
    assert_eq!(summary["exportToTime"], "2027-01-15T08:25:00.000Z");
    assert!(summary.get("exportTime").is_none());
    let micros = (NOW + 10 * MINUTE) * 1000;
    let line = |key: &str, old: Option<&str>, new: Option<&str>| {
        let mut out = serde_json::json!({
            "Metadata": { "WriteTimestampMicros": { "N": micros.to_string() } },
            "Keys": { "pk": { "S": key } },
        });
        for (name, value) in [("OldImage", old), ("NewImage", new)] {
            if let Some(value) = value {
                out[name] = serde_json::json!({ "pk": { "S": key }, "v": { "S": value } });
            }
        }
        out
    };
    let read = |lines: &[String]| -> Vec<serde_json::Value> {
        let mut all: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        all.sort_by_key(|line| line["Keys"]["pk"]["S"].to_string());
        all
    };
    assert_eq!(
        read(&lines),
        [
            line("changed", Some("1"), Some("2")),
            line("gone", Some("1"), None),
            line("new", None, Some("1")),
            line("short", None, None),
        ]
    );

    let (summary, lines) = house.export((5, 25), Default::default(), Some("NEW_IMAGE")).await.unwrap();
    assert_eq!(summary["outputView"], "NEW_IMAGE");
    assert_eq!(
        read(&lines),
        [
            line("changed", None, Some("2")),
            line("gone", None, None),
            line("new", None, Some("1")),
            line("short", None, None),
        ]
    );

    let ion = ExportTableToPointInTimeInput { export_format: Some("ION".to_owned()), ..Default::default() };
    let (summary, lines) = house.export((25, 40), ion, None).await.unwrap();
    assert_eq!(summary["outputFormat"], "ION");
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("$ion_1_0 {Record: {Keys: {pk: \"after\"}, Metadata: "), "{}", lines[0]);
    assert!(lines[1].contains("OldImage: {pk: \"changed\", v: \"2\"}"), "{}", lines[1]);

    for (period, code) in [
        ((5, 15), "ValidationException"),
        ((25, 5), "ValidationException"),
        ((30, 50), "InvalidExportTimeException"),
        ((-20, 5), "InvalidExportTimeException"),
    ] {
        let refused = house.export(period, Default::default(), None).await.unwrap_err();
        assert_eq!(refused.code(), code, "{period:?}");
    }
}
