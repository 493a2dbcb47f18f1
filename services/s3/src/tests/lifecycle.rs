//! Lifecycle rules by the clock, which begins on 14 November 2023 at 22:13:20 UTC.

use super::*;
use api::{LifecycleExpiration as Expiration, LifecycleRule as Rule, LifecycleRuleFilter as Filter};
use aws_smithy_types::DateTime;
use std::time::Duration;

const DAY: u64 = 86_400;
/// How long it is until the first midnight.
const TO_MIDNIGHT: u64 = 6_400;

fn rule(id: &str, filter: Filter) -> Rule {
    Rule { id: Some(id.into()), status: "Enabled".into(), filter: Some(filter), ..Default::default() }
}

fn prefix(text: &str) -> Filter {
    Filter { prefix: Some(text.into()), ..Default::default() }
}

fn days(rule: Rule, days: i32) -> Rule {
    Rule { expiration: Some(Expiration { days: Some(days), ..Default::default() }), ..rule }
}

fn moves(class: &str, days: i32) -> api::Transition {
    api::Transition { days: Some(days), storage_class: Some(class.into()), ..Default::default() }
}

fn tag(key: &str, value: &str) -> api::Tag {
    api::Tag { key: key.into(), value: value.into(), ..Default::default() }
}

impl World {
    async fn ruled(rules: Vec<Rule>) -> Self {
        let world = Self::with_bucket("kept").await;
        world.rule(rules).await.unwrap();
        world
    }

    async fn rule(&self, rules: Vec<Rule>) -> Result<(), Error> {
        let input = api::PutBucketLifecycleConfigurationInput {
            bucket: "kept".into(),
            lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules, ..Default::default() }),
            ..Default::default()
        };
        self.call::<op::PutBucketLifecycleConfiguration>(input).await.map(drop)
    }

    async fn versioned(&self, status: &str) {
        let configuration =
            api::VersioningConfiguration { status: Some(status.into()), ..Default::default() };
        let input = api::PutBucketVersioningInput {
            bucket: "kept".into(),
            versioning_configuration: configuration,
            ..Default::default()
        };
        self.call::<op::PutBucketVersioning>(input).await.unwrap();
    }

    async fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.s3.sweep(&self.cloud).await.unwrap();
    }

    async fn keys(&self) -> Vec<String> {
        let input = api::ListObjectsV2Input { bucket: "kept".into(), ..Default::default() };
        let listed = self.call::<op::ListObjectsV2>(input).await.unwrap();
        listed.contents.into_iter().flatten().filter_map(|o| o.key).collect()
    }

    /// How many versions and delete markers there are.
    async fn counts(&self) -> (usize, usize) {
        let input = api::ListObjectVersionsInput { bucket: "kept".into(), ..Default::default() };
        let listed = self.call::<op::ListObjectVersions>(input).await.unwrap();
        (listed.versions.into_iter().flatten().count(), listed.delete_markers.into_iter().flatten().count())
    }

    async fn class(&self, key: &str) -> String {
        let input = api::HeadObjectInput { bucket: "kept".into(), key: key.into(), ..Default::default() };
        self.call::<op::HeadObject>(input).await.unwrap().storage_class.unwrap_or_else(|| "STANDARD".into())
    }
}

#[tokio::test]
async fn days_end_at_the_midnight_after() {
    let world =
        World::ruled(vec![days(rule("one", prefix("a")), 1), days(rule("two", prefix("b")), 2)]).await;
    for (key, said) in [
        ("a", Some("expiry-date=\"Thu, 16 Nov 2023 00:00:00 GMT\", rule-id=\"one\"")),
        ("b", Some("expiry-date=\"Fri, 17 Nov 2023 00:00:00 GMT\", rule-id=\"two\"")),
        ("c", None),
    ] {
        assert_eq!(world.put("kept", key, "x").await.expiration.as_deref(), said);
    }
    world.after(TO_MIDNIGHT + DAY - 1).await;
    assert_eq!(world.keys().await, ["a", "b", "c"]);
    world.after(1).await;
    assert_eq!(world.keys().await, ["b", "c"]);
    world.after(DAY).await;
    assert_eq!(world.keys().await, ["c"]);
}

#[tokio::test]
async fn dates_are_days_and_the_past_counts() {
    // 20 November 2023.
    let at = DateTime::from_secs(1_700_438_400);
    let dated = Expiration { date: Some(at), ..Default::default() };
    let world = World::ruled(vec![Rule { expiration: Some(dated), ..rule("r", prefix("d")) }]).await;
    let said = world.put("kept", "d", "x").await.expiration;
    assert_eq!(said.as_deref(), Some("expiry-date=\"Mon, 20 Nov 2023 00:00:00 GMT\", rule-id=\"r\""));
    world.after(TO_MIDNIGHT + 5 * DAY - 1).await;
    assert_eq!(world.keys().await, ["d"]);
    world.after(1).await;
    assert!(world.keys().await.is_empty());
    // From that day on whatever matches goes, whenever it came.
    world.put("kept", "dd", "x").await;
    world.after(DAY).await;
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn filters_choose() {
    let and = |tags: Vec<api::Tag>, larger, smaller| Filter {
        and: Some(api::LifecycleRuleAndOperator {
            prefix: Some("in/".into()),
            tags: Some(tags).filter(|t| !t.is_empty()),
            object_size_greater_than: larger,
            object_size_less_than: smaller,
        }),
        ..Default::default()
    };
    let larger = Filter { object_size_greater_than: Some(5), ..Default::default() };
    let smaller = Filter { object_size_less_than: Some(5), ..Default::default() };
    let tagged = Filter { tag: Some(tag("a", "1")), ..Default::default() };
    for (filter, gone) in [
        (Filter::default(), "in/5 in/5a in/5ab in/6 out/4 out/5a"),
        (prefix("in/"), "in/5 in/5a in/5ab in/6"),
        (larger, "in/6"),
        (smaller, "out/4"),
        (tagged, "in/5a in/5ab out/5a"),
        (and(vec![tag("a", "1"), tag("b", "2")], None, None), "in/5ab"),
        (and(Vec::new(), Some(4), Some(6)), "in/5 in/5a in/5ab"),
        (and(vec![tag("a", "1")], Some(4), None), "in/5a in/5ab"),
    ] {
        let world = World::ruled(vec![days(rule("r", filter), 1)]).await;
        let mut all: Vec<&str> = Vec::new();
        for (key, size, tags) in [
            ("in/5", 5, None),
            ("in/5a", 5, Some("a=1")),
            ("in/5ab", 5, Some("a=1&b=2")),
            ("in/6", 6, Some("a=2")),
            ("out/4", 4, None),
            ("out/5a", 5, Some("a=1")),
        ] {
            let input = put("kept", key, vec![0; size]);
            let input = api::PutObjectInput { tagging: tags.map(str::to_owned), ..input };
            world.call::<op::PutObject>(input).await.unwrap();
            all.push(key);
        }
        world.after(3 * DAY).await;
        let left = world.keys().await;
        all.retain(|key| !left.iter().any(|l| l == key));
        assert_eq!(all.join(" "), gone);
    }
}

#[tokio::test]
async fn older_versions_go_by_the_day_they_were_replaced() {
    let noncurrent = |days, newer| Rule {
        noncurrent_version_expiration: Some(api::NoncurrentVersionExpiration {
            noncurrent_days: Some(days),
            newer_noncurrent_versions: newer,
        }),
        ..rule("r", prefix(""))
    };
    let world = World::ruled(vec![noncurrent(1, Some(2))]).await;
    world.versioned("Enabled").await;
    for n in 0..5 {
        world.put("kept", "k", n.to_string()).await;
        world.clock.advance(Duration::from_secs(10 * DAY));
    }
    // Whatever the age of the current one, and of two before it.
    world.after(0).await;
    assert_eq!(world.counts().await, (3, 0));
    world.rule(vec![noncurrent(1, None)]).await.unwrap();
    world.put("kept", "k", "last").await;
    world.after(0).await;
    // The one that was replaced just now has its day still.
    assert_eq!(world.counts().await, (2, 0));
    world.after(2 * DAY).await;
    assert_eq!(world.counts().await, (1, 0));
    assert_eq!(world.get("kept", "k").await.unwrap(), "last");
}

#[tokio::test]
async fn delete_markers_go_when_they_hide_nothing() {
    let expired = Expiration { expired_object_delete_marker: Some(true), ..Default::default() };
    let world = World::ruled(vec![Rule { expiration: Some(expired), ..rule("r", prefix("")) }]).await;
    world.versioned("Enabled").await;
    let only = world.put("kept", "k", "x").await.version_id;
    let delete = |version: Option<String>| {
        let (bucket, key) = ("kept".to_owned(), "k".to_owned());
        world.call::<op::DeleteObject>(api::DeleteObjectInput {
            bucket,
            key,
            version_id: version,
            ..Default::default()
        })
    };
    delete(None).await.unwrap();
    world.after(DAY).await;
    assert_eq!(world.counts().await, (1, 1), "it hides a version");
    delete(only).await.unwrap();
    assert_eq!(world.counts().await, (0, 1));
    world.after(DAY).await;
    assert_eq!(world.counts().await, (0, 0));
    // Where versions are kept a rule by days makes a marker first, and takes it away by the same days.
    world.rule(vec![days(rule("r", prefix("")), 1)]).await.unwrap();
    let version = world.put("kept", "k", "x").await.version_id;
    world.after(3 * DAY).await;
    assert_eq!(world.counts().await, (1, 1));
    delete(version).await.unwrap();
    world.after(0).await;
    assert_eq!(world.counts().await, (0, 1), "the marker is younger than a day");
    world.after(2 * DAY).await;
    assert_eq!(world.counts().await, (0, 0));
    // Suspended, the marker takes the place of the null version.
    world.versioned("Suspended").await;
    world.put("kept", "k", "x").await;
    world.after(3 * DAY).await;
    assert_eq!(world.counts().await, (0, 1));
}

#[tokio::test]
async fn classes_only_become_colder() {
    let transitions = |list: Vec<api::Transition>| Rule { transitions: Some(list), ..rule("r", prefix("")) };
    let world = World::ruled(vec![transitions(vec![
        moves("STANDARD_IA", 30),
        moves("GLACIER", 60),
        moves("DEEP_ARCHIVE", 365),
    ])])
    .await;
    world.put("kept", "large", vec![0; 200_000]).await;
    world.put("kept", "small", "x").await;
    let frozen = api::PutObjectInput {
        storage_class: Some("DEEP_ARCHIVE".into()),
        ..put("kept", "frozen", vec![0; 200_000])
    };
    world.call::<op::PutObject>(frozen).await.unwrap();
    for (days, class) in
        [(30, "STANDARD"), (1, "STANDARD_IA"), (29, "STANDARD_IA"), (1, "GLACIER"), (320, "DEEP_ARCHIVE")]
    {
        world.after(days * DAY).await;
        assert_eq!(world.class("large").await, class);
        assert_eq!(
            (world.class("small").await, world.class("frozen").await),
            ("STANDARD".into(), "DEEP_ARCHIVE".into())
        );
    }
    // A filter about sizes takes the small ones along, and of several that are due the coldest wins.
    let sized = Filter { object_size_less_than: Some(100), ..Default::default() };
    let to =
        |class: &str, id: &str| Rule { transitions: Some(vec![moves(class, 0)]), ..rule(id, sized.clone()) };
    world.rule(vec![to("GLACIER", "cold"), to("GLACIER_IR", "warm")]).await.unwrap();
    world.after(DAY).await;
    assert_eq!(world.class("small").await, "GLACIER");
}

#[tokio::test]
async fn a_rule_leaves_what_is_rarely_read_thirty_days_where_it_is() {
    let world = World::with_bucket("kept").await;
    let transitions =
        |list: Vec<api::Transition>| Rule { transitions: Some(list), ..rule("r", prefix("p/")) };
    let refused = world
        .rule(vec![transitions(vec![moves("STANDARD_IA", 30), moves("GLACIER", 59)])])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "InvalidArgument");
    assert!(refused.message().contains("must be 30 days more than"), "{}", refused.message());
    for list in [
        vec![moves("STANDARD_IA", 30), moves("GLACIER", 60)],
        vec![moves("STANDARD_IA", 30), moves("INTELLIGENT_TIERING", 31)],
        vec![moves("GLACIER_IR", 1), moves("DEEP_ARCHIVE", 2)],
    ] {
        world.rule(vec![transitions(list)]).await.unwrap();
    }
}

#[tokio::test]
async fn uploads_that_nobody_completes_end() {
    let abort = |id: &str, days| Rule {
        abort_incomplete_multipart_upload: Some(api::AbortIncompleteMultipartUpload {
            days_after_initiation: Some(days),
        }),
        ..rule(id, prefix("u"))
    };
    let world = World::ruled(vec![abort("later", 7), abort("sooner", 1)]).await;
    let begin = |key: &str| {
        let input =
            api::CreateMultipartUploadInput { bucket: "kept".into(), key: key.into(), ..Default::default() };
        world.call::<op::CreateMultipartUpload>(input)
    };
    let begun = begin("u").await.unwrap();
    // 16 November 2023.
    assert_eq!(begun.abort_date, Some(DateTime::from_secs(1_700_092_800)));
    assert_eq!(begun.abort_rule_id.as_deref(), Some("sooner"));
    assert_eq!(begin("other").await.unwrap().abort_date, None);
    let part = api::UploadPartInput {
        bucket: "kept".into(),
        key: "u".into(),
        upload_id: begun.upload_id.unwrap(),
        part_number: 1,
        body: ByteStream::from(Bytes::from(bytes(50_000))),
        ..Default::default()
    };
    world.call::<op::UploadPart>(part).await.unwrap();
    let uploads = async || {
        let input = api::ListMultipartUploadsInput { bucket: "kept".into(), ..Default::default() };
        let listed = world.call::<op::ListMultipartUploads>(input).await.unwrap();
        listed.uploads.into_iter().flatten().filter_map(|u| u.key).collect::<Vec<_>>()
    };
    world.after(TO_MIDNIGHT + DAY - 1).await;
    assert_eq!(uploads().await, ["other", "u"]);
    world.after(1).await;
    assert_eq!(uploads().await, ["other"]);
    let parts =
        world.store.table::<crate::state::Part>().scan(cloudlet_store::KeyRange::all(), false).count();
    assert_eq!(parts, 0);
}

#[tokio::test]
async fn what_rules_do_is_logged() {
    use crate::logging::Line;
    let abort = api::AbortIncompleteMultipartUpload { days_after_initiation: Some(1) };
    let world = World::ruled(vec![
        days(rule("gone", prefix("gone")), 1),
        Rule { transitions: Some(vec![moves("GLACIER_IR", 1)]), ..rule("moved", prefix("moved")) },
        Rule { abort_incomplete_multipart_upload: Some(abort), ..rule("abort", prefix("up")) },
    ])
    .await;
    let enabled = api::LoggingEnabled {
        target_bucket: "kept".into(),
        target_prefix: "logs/".into(),
        ..Default::default()
    };
    let input = api::PutBucketLoggingInput {
        bucket: "kept".into(),
        bucket_logging_status: api::BucketLoggingStatus { logging_enabled: Some(enabled) },
        ..Default::default()
    };
    world.call::<op::PutBucketLogging>(input).await.unwrap();
    world.put("kept", "gone/a b", "x").await;
    world.put("kept", "moved", vec![0; 200_000]).await;
    let upload =
        api::CreateMultipartUploadInput { bucket: "kept".into(), key: "up".into(), ..Default::default() };
    world.call::<op::CreateMultipartUpload>(upload).await.unwrap();
    world.after(3 * DAY).await;
    world.versioned("Enabled").await;
    world.put("kept", "gone", "x").await;
    world.after(3 * DAY).await;
    let lines = world.store.table::<Line>().scan(cloudlet_store::KeyRange::all(), false);
    let lines: Vec<String> = lines.map(|row| row.unwrap().1.text).collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((words.len(), words[4], words[5]), (27, "-", "AmazonS3"), "{line}");
            [words[7], words[8], words[13]].join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "S3.EXPIRE.OBJECT gone/a+b 1",
            "S3.TRANSITION_GIR.OBJECT moved 200000",
            "S3.DELETE.UPLOAD up -",
            "S3.CREATE.DELETEMARKER gone -"
        ]
    );
}
