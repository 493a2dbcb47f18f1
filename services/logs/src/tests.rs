//! The service over an ephemeral store and a clock that tests move.

use crate::Logs;
use crate::purge::{Purge, Task};
use crate::state::{DAY, Event};
use cloudlet_api_logs::*;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, Context, ManualClock, Principal, Seeded};
use cloudlet_store::{KeyRange, Store};
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000;

struct House {
    logs: Arc<Logs>,
    cx: Context,
    clock: Arc<ManualClock>,
    store: Store,
}

fn house() -> House {
    let clock = Arc::new(ManualClock::at(NOW));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
    let store = Store::ephemeral().unwrap();
    let bus = Bus::new(store.clone(), clock.clone());
    let logs = Logs::new(store.clone(), cloud.clone(), &bus);
    let cx = cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1");
    House { logs, cx, clock, store }
}

impl House {
    async fn group(&self, name: &str) {
        let input = CreateLogGroupInput { log_group_name: name.to_owned(), ..Default::default() };
        self.logs.create_log_group(&self.cx, input).await.unwrap();
    }

    async fn stream(&self, group: &str, name: &str) {
        let input = CreateLogStreamInput {
            log_group_name: group.to_owned(),
            log_stream_name: name.to_owned(),
            ..Default::default()
        };
        self.logs.create_log_stream(&self.cx, input).await.unwrap();
    }

    async fn put(
        &self,
        group: &str,
        stream: &str,
        events: &[(i64, &str)],
    ) -> Result<PutLogEventsOutput, Error> {
        let event = |(at, text): &(i64, &str)| InputLogEvent {
            timestamp: NOW + at,
            message: (*text).to_owned(),
            ..Default::default()
        };
        let input = PutLogEventsInput {
            log_group_name: group.to_owned(),
            log_stream_name: stream.to_owned(),
            log_events: events.iter().map(event).collect(),
            ..Default::default()
        };
        self.logs.put_log_events(&self.cx, input).await
    }

    async fn filter(
        &self,
        group: &str,
        change: impl Fn(&mut FilterLogEventsInput),
    ) -> (Vec<String>, Option<String>) {
        let mut input = FilterLogEventsInput { log_group_name: Some(group.to_owned()), ..Default::default() };
        change(&mut input);
        let output = self.logs.filter_log_events(&self.cx, input).await.unwrap();
        let events = output.events.unwrap().into_iter().map(|e| e.message.unwrap()).collect();
        (events, output.next_token)
    }

    async fn get(&self, change: impl Fn(&mut GetLogEventsInput)) -> (Vec<String>, String, String) {
        let mut input = GetLogEventsInput {
            log_group_name: Some("g".to_owned()),
            log_stream_name: "s".to_owned(),
            ..Default::default()
        };
        change(&mut input);
        let output = self.logs.get_log_events(&self.cx, input).await.unwrap();
        let events = output.events.unwrap().into_iter().map(|e| e.message.unwrap()).collect();
        (events, output.next_forward_token.unwrap(), output.next_backward_token.unwrap())
    }
}

#[tokio::test]
async fn what_is_there_twice_or_not_at_all() {
    let h = house();
    h.group("g").await;
    let again = CreateLogGroupInput { log_group_name: "g".to_owned(), ..Default::default() };
    let error = h.logs.create_log_group(&h.cx, again).await.err().unwrap();
    assert_eq!(error.to_string(), "ResourceAlreadyExistsException: The specified log group already exists");
    let error = h.put("g", "s", &[(0, "x")]).await.err().unwrap();
    assert_eq!(error.to_string(), "ResourceNotFoundException: The specified log stream does not exist.");
    let error = h.put("none", "s", &[(0, "x")]).await.err().unwrap();
    assert_eq!(error.to_string(), "ResourceNotFoundException: The specified log group does not exist.");
    h.stream("g", "s").await;
    let twice = CreateLogStreamInput {
        log_group_name: "g".to_owned(),
        log_stream_name: "s".to_owned(),
        ..Default::default()
    };
    assert!(h.logs.create_log_stream(&h.cx, twice).await.err().unwrap().is("ResourceAlreadyExistsException"));
}

#[tokio::test]
async fn a_batch_is_taken_rejected_or_refused() {
    let h = house();
    h.group("g").await;
    h.stream("g", "s").await;
    assert!(h.put("g", "s", &[(2, "b"), (1, "a")]).await.err().unwrap().is("InvalidParameterException"));
    assert!(
        h.put("g", "s", &[(-2 * DAY, "a"), (0, "b")]).await.err().unwrap().is("InvalidParameterException")
    );
    let large = "x".repeat(1_048_576 - 25);
    let error = h.put("g", "s", &[(0, &large)]).await.err().unwrap();
    assert_eq!(error.message(), "Upload too large: 1048577 bytes exceeds limit of 1048576");
    assert_eq!(h.filter("g", |_| {}).await.0, Vec::<String>::new());

    let hour = 60 * 60 * 1000;
    let output =
        h.put("g", "s", &[(-15 * DAY, "old"), (0, "now"), (hour, "soon"), (3 * hour, "new")]).await.unwrap();
    let rejected = output.rejected_log_events_info.unwrap();
    assert_eq!(rejected.too_old_log_event_end_index, Some(1));
    assert_eq!(rejected.too_new_log_event_start_index, Some(3));
    assert_eq!(rejected.expired_log_event_end_index, None);
    assert_eq!(h.filter("g", |_| {}).await.0, ["now", "soon"]);
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions() {
    let h = house();
    h.group("g").await;
    h.stream("g", "s").await;
    h.put("g", "s", &[(1, "1"), (2, "2"), (3, "3")]).await.unwrap();
    h.put("g", "s", &[(0, "0"), (3, "3b"), (4, "4")]).await.unwrap();
    let (all, forward, _) = h.get(|_| {}).await;
    assert_eq!(all, ["0", "1", "2", "3", "3b", "4"]);
    let (none, same, _) = h.get(|i| i.next_token = Some(forward.clone())).await;
    assert_eq!((none, same), (Vec::new(), forward.clone()));
    h.put("g", "s", &[(5, "5")]).await.unwrap();
    assert_eq!(h.get(|i| i.next_token = Some(forward.clone())).await.0, ["5"]);

    let (last, _, backward) = h.get(|i| i.limit = Some(2)).await;
    assert_eq!(last, ["4", "5"]);
    let (before, _, _) = h
        .get(|i| {
            i.limit = Some(2);
            i.next_token = Some(backward.clone());
        })
        .await;
    assert_eq!(before, ["3", "3b"]);
    let (head, _, _) = h
        .get(|i| {
            i.limit = Some(2);
            i.start_from_head = Some(true);
            i.start_time = Some(NOW + 2);
            i.end_time = Some(NOW + 3);
        })
        .await;
    assert_eq!(head, ["2"]);
}

#[tokio::test]
async fn streams_are_searched_in_the_order_of_time() {
    let h = house();
    h.group("g").await;
    for stream in ["a", "b", "c", "empty"] {
        h.stream("g", stream).await;
    }
    h.put("g", "a", &[(1, "a1"), (4, "a4"), (9, "a9")]).await.unwrap();
    h.put("g", "b", &[(2, "b2"), (3, "b3")]).await.unwrap();
    h.put("g", "c", &[(4, "c4"), (5, "c5")]).await.unwrap();
    let all = ["a1", "b2", "b3", "a4", "c4", "c5", "a9"];
    assert_eq!(h.filter("g", |_| {}).await.0, all);
    for size in 1..=7 {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let (events, next) = h
                .filter("g", |i| {
                    i.limit = Some(size);
                    i.next_token.clone_from(&token);
                })
                .await;
            assert!(events.len() <= size as usize);
            seen.extend(events);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "pages of {size}");
    }
    let mut backward = all;
    backward.reverse();
    assert_eq!(h.filter("g", |i| i.start_from_head = Some(false)).await.0, backward);
    assert_eq!(h.filter("g", |i| i.start_time = Some(NOW + 5)).await.0, ["c5", "a9"]);
    assert_eq!(h.filter("g", |i| i.end_time = Some(NOW + 2)).await.0, ["a1", "b2"]);
    assert_eq!(h.filter("g", |i| i.filter_pattern = Some("?a9 ?b2".to_owned())).await.0, ["b2", "a9"]);
    assert_eq!(h.filter("g", |i| i.log_stream_names = Some(vec!["c".to_owned()])).await.0, ["c4", "c5"]);
    assert_eq!(h.filter("g", |i| i.log_stream_name_prefix = Some("b".to_owned())).await.0, ["b2", "b3"]);
}

#[tokio::test]
async fn retention_hides_at_once_and_the_purge_forgets() {
    let h = house();
    h.group("g").await;
    h.stream("g", "s").await;
    h.put("g", "s", &[(0, "first")]).await.unwrap();
    h.clock.advance(Duration::from_secs(12 * 3600));
    h.put("g", "s", &[(DAY / 2, "second")]).await.unwrap();
    let policy = |days| PutRetentionPolicyInput {
        log_group_name: "g".to_owned(),
        retention_in_days: days,
        ..Default::default()
    };
    assert!(
        h.logs.put_retention_policy(&h.cx, policy(2)).await.err().unwrap().is("InvalidParameterException")
    );
    h.logs.put_retention_policy(&h.cx, policy(1)).await.unwrap();
    assert_eq!(h.filter("g", |_| {}).await.0, ["first", "second"]);
    h.clock.advance(Duration::from_secs(13 * 3600));
    assert_eq!(h.filter("g", |_| {}).await.0, ["second"]);
    let output = h.put("g", "s", &[(0, "late"), (DAY, "third")]).await.unwrap();
    assert_eq!(output.rejected_log_events_info.unwrap().expired_log_event_end_index, Some(1));

    let key = crate::state::group_key(&h.cx, "g").as_bytes().to_vec();
    let number = h.logs.group(&h.cx, "g").unwrap().number;
    let purge = Purge { store: h.store.clone() };
    purge.run(&Task::Expired { key, group: number }, h.cx.millis()).await.unwrap();
    let left = h.store.table::<Event>().scan(KeyRange::all(), false).count();
    assert_eq!(left, 2, "second and third");
}

#[tokio::test]
async fn a_deleted_group_takes_everything_with_it_and_a_new_one_starts_empty() {
    let h = house();
    h.group("g").await;
    h.stream("g", "s").await;
    h.put("g", "s", &[(0, "x")]).await.unwrap();
    let number = h.logs.group(&h.cx, "g").unwrap().number;
    let input = DeleteLogGroupInput { log_group_name: "g".to_owned(), ..Default::default() };
    h.logs.delete_log_group(&h.cx, input).await.unwrap();
    h.group("g").await;
    assert_eq!(h.filter("g", |_| {}).await.0, Vec::<String>::new());
    Purge { store: h.store.clone() }.run(&Task::Group(number), h.cx.millis()).await.unwrap();
    assert_eq!(h.store.table::<Event>().scan(KeyRange::all(), false).count(), 0);
    assert_eq!(h.store.table::<crate::state::Stream>().scan(KeyRange::all(), false).count(), 0);
}

#[tokio::test]
async fn groups_and_streams_are_listed_in_pages() {
    let h = house();
    for i in 0..7 {
        h.group(&format!("/aws/lambda/f{i}")).await;
    }
    h.group("other").await;
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let input = DescribeLogGroupsInput {
            log_group_name_prefix: Some("/aws/lambda/".to_owned()),
            limit: Some(3),
            next_token: token,
            ..Default::default()
        };
        let output = h.logs.describe_log_groups(&h.cx, input).await.unwrap();
        seen.extend(output.log_groups.unwrap().into_iter().map(|g| g.log_group_name.unwrap()));
        token = output.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    for (i, stream) in ["x", "y", "z"].iter().enumerate() {
        h.stream("other", stream).await;
        h.put("other", stream, &[(-(i as i64), "m")]).await.unwrap();
    }
    for (order, descending, expected) in [
        ("LastEventTime", true, ["x", "y", "z"]),
        ("LastEventTime", false, ["z", "y", "x"]),
        ("LogStreamName", true, ["z", "y", "x"]),
    ] {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let input = DescribeLogStreamsInput {
                log_group_name: Some("other".to_owned()),
                order_by: Some(order.to_owned()),
                descending: Some(descending),
                limit: Some(2),
                next_token: token,
                ..Default::default()
            };
            let output = h.logs.describe_log_streams(&h.cx, input).await.unwrap();
            seen.extend(output.log_streams.unwrap().into_iter().map(|s| s.log_stream_name.unwrap()));
            token = output.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{order} {descending}");
    }
}

#[tokio::test]
async fn live_tail_shows_what_arrives() {
    let h = house();
    h.group("g").await;
    h.stream("g", "s").await;
    let arn = h.logs.group(&h.cx, "g").unwrap().arn(&h.cx);
    let input = StartLiveTailInput {
        log_group_identifiers: vec![arn],
        log_event_filter_pattern: Some("yes".to_owned()),
        ..Default::default()
    };
    let mut session = h.logs.start_live_tail(&h.cx, input).await.unwrap().response_stream;
    assert!(matches!(session.next().await, Some(Ok(StartLiveTailResponseStream::SessionStart(_)))));
    h.put("g", "s", &[(0, "yes 1"), (1, "no"), (2, "yes 2")]).await.unwrap();
    let Some(Ok(StartLiveTailResponseStream::SessionUpdate(update))) = session.next().await else {
        panic!("an update")
    };
    let messages: Vec<_> = update.session_results.unwrap().into_iter().map(|e| e.message.unwrap()).collect();
    assert_eq!(messages, ["yes 1", "yes 2"]);
}
