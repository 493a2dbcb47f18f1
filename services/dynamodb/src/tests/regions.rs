//! Global tables by a clock that tests move.

use super::*;

#[tokio::test]
async fn time_to_live_takes_an_item_in_the_region_that_wrote_it() {
    let house = house(Some("NEW_AND_OLD_IMAGES")).await;
    let root = Principal::Root { account: "000000000000".into() };
    let there = house.db.cloud.context(root, "000000000000", "eu-west-1");
    let input = UpdateTableInput {
        table_name: "table".to_owned(),
        replica_updates: Some(vec![ReplicationGroupUpdate {
            create: Some(CreateReplicationGroupMemberAction {
                region_name: "eu-west-1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }]),
        ..Default::default()
    };
    house.db.update_table(&house.cx, input).await.unwrap();
    let input = UpdateTimeToLiveInput {
        table_name: "table".to_owned(),
        time_to_live_specification: TimeToLiveSpecification {
            enabled: true,
            attribute_name: "until".to_owned(),
            ..Default::default()
        },
        ..Default::default()
    };
    house.db.update_time_to_live(&house.cx, input).await.unwrap();
    let count = async |count: usize| {
        for _ in 0..2000 {
            let input = ScanInput { table_name: "table".to_owned(), ..Default::default() };
            let both = [
                house.db.scan(&house.cx, input.clone()).await.unwrap().count,
                house.db.scan(&there, input).await.unwrap().count,
            ];
            if both == [i32::try_from(count).ok(); 2] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("there were never {count} items in both regions");
    };
    let input = PutItemInput {
        table_name: "table".to_owned(),
        item: item("a", &[("until", number(NOW / 1000 + 60))]),
        ..Default::default()
    };
    house.db.put_item(&there, input).await.unwrap();
    count(1).await;
    house.later(1);
    house.db.expire().await.unwrap();
    count(0).await;
    for (cx, marked) in [(&house.cx, false), (&there, true)] {
        let input = DescribeTableInput { table_name: "table".to_owned(), ..Default::default() };
        let arn = house.db.describe_table(cx, input).await.unwrap().table.unwrap().latest_stream_arn.unwrap();
        let input = streams_api::DescribeStreamInput { stream_arn: arn.clone(), ..Default::default() };
        let described = house.streams.describe_stream(cx, input).await.unwrap().stream_description.unwrap();
        let input = streams_api::GetShardIteratorInput {
            stream_arn: arn,
            shard_id: described.shards.unwrap().remove(0).shard_id.unwrap(),
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            ..Default::default()
        };
        let iterator = house.streams.get_shard_iterator(cx, input).await.unwrap().shard_iterator.unwrap();
        let input = streams_api::GetRecordsInput { shard_iterator: iterator, ..Default::default() };
        let records = house.streams.get_records(cx, input).await.unwrap().records.unwrap();
        let names: Vec<_> = records.iter().filter_map(|record| record.event_name.as_deref()).collect();
        assert_eq!(names, ["INSERT", "REMOVE"]);
        assert_eq!(records[1].user_identity.is_some(), marked);
    }
}
