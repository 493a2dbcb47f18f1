//! Whose key it is, and what it may do: over real records, with a clock that the test owns.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use cloudlet_access::{Policy, PolicyKind};
use cloudlet_identity::records::{
    AccessKey, Group, ManagedPolicy, Permissions, PolicyVersion, Role, Tag, User, named,
};
use cloudlet_identity::{Credentials, Holder, Identities, NewSession, Settings};
use cloudlet_service::api::{Access, Api, Protocol};
use cloudlet_service::{
    AccessRequest, Cloud, Context, Error, Identity, ManualClock, Origin, Principal, Resolved, Seeded, Tls,
};
use cloudlet_store::Store;
use std::sync::Arc;
use std::time::Duration;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";

struct House {
    identities: Arc<Identities>,
    cloud: Arc<Cloud>,
    clock: Arc<ManualClock>,
}

/// APIs by name alone, so that the wording of S3 and of the others can be seen.
fn api(name: &'static str) -> Api {
    Api {
        name,
        service_id: name,
        signing_name: name,
        endpoint_prefix: name,
        version: "",
        target_prefix: "",
        protocols: &[Protocol::AwsQuery],
        xml_namespace: "",
        query_compatible: false,
        error_namespace: "",
        operations: &[],
        unserved: &[],
    }
}

impl House {
    async fn new(well_known_keys: bool) -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(7)), "http://localhost".to_owned());
        let store = Store::ephemeral().unwrap();
        let identities = Identities::open(store, cloud.clone(), Settings { well_known_keys }).await.unwrap();
        Self { identities, cloud, clock }
    }

    async fn role(&self, name: &str, id: &str, permissions: Permissions) -> Role {
        let role = Role {
            account: ACCOUNT.to_owned(),
            name: name.to_owned(),
            path: "/".to_owned(),
            id: id.to_owned(),
            trust: trust(r#"{"Service":"lambda.amazonaws.com"}"#, "{}"),
            max_session: 3600,
            permissions,
            tags: vec![Tag { key: "team".to_owned(), value: "red".to_owned() }],
            ..Role::default()
        };
        self.put(&named(ACCOUNT, name), &role).await;
        role
    }

    async fn put<R: cloudlet_store::Record>(&self, key: &cloudlet_store::Key, record: &R) {
        self.identities.store().transact(|tx| tx.put(key, record)).await.unwrap();
        self.identities.changed();
    }

    async fn session(&self, role: &Role) -> Credentials {
        let holder = Holder::Role { name: role.name.clone(), id: role.id.clone(), session: "s1".to_owned() };
        self.identities.mint(NewSession::new(ACCOUNT, holder, 3600)).unwrap()
    }

    fn resolve(&self, credentials: &Credentials) -> Result<Resolved, Error> {
        self.identities.resolve(&credentials.access_key_id, Some(&credentials.session_token))
    }

    fn context(&self, resolved: &Resolved) -> Context {
        Context {
            session: resolved.session.clone(),
            ..self.cloud.context(resolved.principal.clone(), ACCOUNT, "us-east-1")
        }
    }

    fn ask(&self, cx: &Context, service: &'static str, access: &Access) -> Result<(), Error> {
        let api = api(service);
        self.identities.authorize(
            cx,
            &AccessRequest { access, operation: &cloudlet_api_sts::API.operations[0], service: &api },
        )
    }
}

fn inline(document: &str) -> Permissions {
    Permissions { inline: [("p".to_owned(), document.to_owned())].into(), ..Permissions::default() }
}

fn allow(action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

fn trust(principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole","Condition":{condition}}}]}}"#
    )
}

#[tokio::test]
async fn well_known_keys_are_roots_only_where_they_are_switched_on() {
    let house = House::new(true).await;
    let root = |account: &str| Principal::Root { account: account.into() };
    assert_eq!(house.identities.resolve("test", None).unwrap().principal, root("000000000000"));
    assert_eq!(house.identities.resolve(ACCOUNT, Some("test")).unwrap().principal, root(ACCOUNT));
    assert_eq!(house.identities.resolve(ACCOUNT, None).unwrap().secret.reveal(), "test");
    for unknown in ["", "tests", "11112222333", "1111222233334", "AKIAIOSFODNN7EXAMPLE"] {
        let error = house.identities.resolve(unknown, None).err().unwrap();
        assert_eq!(error.code(), "InvalidClientTokenId", "{unknown}");
        assert_eq!(error.message(), "The security token included in the request is invalid.");
    }
    let closed = House::new(false).await;
    assert!(closed.identities.resolve("test", None).is_err());
    let made = closed.identities.root_key_pair(ACCOUNT).await.unwrap();
    assert!(made.created && made.access_key_id.starts_with("AKIA") && made.secret.reveal().len() == 40);
    let again = closed.identities.root_key_pair(ACCOUNT).await.unwrap();
    assert!(!again.created && again.secret.reveal() == made.secret.reveal());
    assert_eq!(closed.identities.resolve(&made.access_key_id, None).unwrap().principal, root(ACCOUNT));
}

#[tokio::test]
async fn a_users_key_works_until_it_is_switched_off() {
    let house = House::new(false).await;
    let user = User {
        account: ACCOUNT.into(),
        name: "Alice".into(),
        path: "/a/".into(),
        id: "AIDAX".into(),
        ..User::default()
    };
    house.put(&named(ACCOUNT, "alice"), &user).await;
    let mut key = AccessKey {
        id: "AKIAALICE".into(),
        account: ACCOUNT.into(),
        user: Some("Alice".into()),
        secret: "s".into(),
        active: true,
        created: 0,
    };
    house.put(&AccessKey::key(&key.id), &key).await;
    let resolved = house.identities.resolve("AKIAALICE", None).unwrap();
    assert_eq!(resolved.principal.arn(), "arn:aws:iam::111122223333:user/a/Alice");
    assert!(house.identities.resolve("AKIAALICE", Some("a token that is not ours")).is_err());
    key.active = false;
    house.put(&AccessKey::key(&key.id), &key).await;
    assert_eq!(house.identities.resolve("AKIAALICE", None).err().unwrap().code(), "InvalidClientTokenId");
}

#[tokio::test]
async fn sessions_end_by_time_by_deletion_and_do_not_pass_to_other_keys() {
    let house = House::new(true).await;
    let role = house.role("r", "AROA1", Permissions::default()).await;
    let session = house.session(&role).await;
    assert!(session.access_key_id.starts_with("ASIA"));
    let resolved = house.resolve(&session).unwrap();
    assert_eq!(resolved.principal.arn(), "arn:aws:sts::111122223333:assumed-role/r/s1");
    assert_eq!(resolved.secret.reveal(), session.secret.reveal());
    // The token belongs to its key, and the key is nothing without it.
    let other = house.session(&role).await;
    assert!(house.identities.resolve(&other.access_key_id, Some(&session.session_token)).is_err());
    assert!(house.identities.resolve(&session.access_key_id, None).is_err());
    // The same name made again is another role.
    house.role("r", "AROA2", Permissions::default()).await;
    assert_eq!(house.resolve(&session).err().unwrap().code(), "InvalidClientTokenId");
    let role = house.role("r", "AROA1", Permissions::default()).await;
    assert!(house.resolve(&session).is_ok());
    house.identities.store().transact(|tx| tx.delete::<Role>(&named(ACCOUNT, &role.name))).await.unwrap();
    house.identities.changed();
    assert!(house.resolve(&session).is_err());
    house.role("r", "AROA1", Permissions::default()).await;
    house.clock.advance(Duration::from_secs(3600));
    assert_eq!(house.resolve(&session).err().unwrap().code(), "ExpiredToken");
    // A house of another key reads nothing of it.
    let stranger = House::new(true).await;
    stranger.role("r", "AROA1", Permissions::default()).await;
    let foreign = stranger.identities.mint(NewSession::new(
        ACCOUNT,
        Holder::Role { name: "r".into(), id: "AROA1".into(), session: "s".into() },
        3600,
    ));
    let foreign = foreign.unwrap();
    let again = House::new(true).await;
    again.role("r", "AROA1", Permissions::default()).await;
    // The same seed made the same key here, so that only a changed token is foreign.
    let mut token = foreign.session_token.clone();
    token.replace_range(40..41, if &token[40..41] == "A" { "B" } else { "A" });
    assert!(again.identities.resolve(&foreign.access_key_id, Some(&token)).is_err());
}

#[tokio::test]
async fn a_role_does_what_its_policies_say_as_of_now() {
    let house = House::new(true).await;
    let role = house.role("reader", "AROA1", inline(&allow("s3:GetObject", "arn:aws:s3:::photos/*"))).await;
    let resolved = house.resolve(&house.session(&role).await).unwrap();
    let cx = house.context(&resolved);
    let read = Access::new("s3:GetObject", "arn:aws:s3:::photos/cat.jpg");
    let write = Access::new("s3:PutObject", "arn:aws:s3:::thumbs/cat.jpg");
    assert!(house.ask(&cx, "s3", &read).is_ok());
    let denied = house.ask(&cx, "s3", &write).unwrap_err();
    assert_eq!((denied.code(), denied.status()), ("AccessDenied", 403));
    assert_eq!(
        denied.message(),
        "User: arn:aws:sts::111122223333:assumed-role/reader/s1 is not authorized to perform: s3:PutObject on \
         resource: \"arn:aws:s3:::thumbs/cat.jpg\" because no identity-based policy allows the s3:PutObject action"
    );
    assert_eq!(house.identities.why_denied(&cx.request_id).len(), 1);
    // The same caller, the next moment, under other policies.
    house.role("reader", "AROA1", inline(&allow("s3:*", "*"))).await;
    assert!(house.ask(&cx, "s3", &write).is_ok());
    let boundary = Permissions {
        boundary: Some("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned()),
        ..inline(&allow("s3:*", "*"))
    };
    house.role("reader", "AROA1", boundary).await;
    assert!(house.ask(&cx, "s3", &read).is_ok());
    let denied = house.ask(&cx, "s3", &write).unwrap_err();
    assert!(
        denied.message().ends_with("because no permissions boundary allows the s3:PutObject action"),
        "{denied}"
    );
    // And when the role is gone, so is the session.
    house.identities.store().transact(|tx| tx.delete::<Role>(&named(ACCOUNT, "reader"))).await.unwrap();
    house.identities.changed();
    assert_eq!(house.ask(&cx, "s3", &read).unwrap_err().code(), "InvalidClientTokenId");
}

#[tokio::test]
async fn session_policies_and_tags_narrow_and_conditions_see_them() {
    let house = House::new(true).await;
    let tagged = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*",
        "Condition":{"StringEquals":{"aws:PrincipalTag/team":"blue"}}},
        {"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    let role = house.role("r", "AROA1", inline(tagged)).await;
    let holder = Holder::Role { name: "r".into(), id: "AROA1".into(), session: "s".into() };
    let queue = Access::new("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:q");
    let plain = house.context(&house.resolve(&house.session(&role).await).unwrap());
    assert!(house.ask(&plain, "sqs", &queue).is_err(), "the role's own tag says red");
    let narrowed = house.identities.mint(NewSession {
        policies: vec![allow("sqs:SendMessage", "*")],
        tags: vec![Tag { key: "Team".into(), value: "blue".into() }],
        ..NewSession::new(ACCOUNT, holder, 900)
    });
    let narrowed = house.context(&house.resolve(&narrowed.unwrap()).unwrap());
    assert!(house.ask(&narrowed, "sqs", &queue).is_ok());
    let denied = house.ask(&narrowed, "s3", &Access::new("s3:ListAllMyBuckets", "*")).unwrap_err();
    assert!(
        denied
            .message()
            .ends_with("s3:ListAllMyBuckets because no session policy allows the s3:ListAllMyBuckets action"),
        "{denied}"
    );
}

#[tokio::test]
async fn users_have_their_groups_policies_and_managed_ones_by_version() {
    let house = House::new(true).await;
    let arn = "arn:aws:iam::111122223333:policy/queues";
    let version = |number, document: String| PolicyVersion { number, document, created: 0 };
    let mut policy = ManagedPolicy {
        account: ACCOUNT.into(),
        name: "queues".into(),
        path: "/".into(),
        versions: vec![version(1, allow("sqs:*", "*")), version(2, allow("sns:*", "*"))],
        default_version: 1,
        ..ManagedPolicy::default()
    };
    house.put(&named(ACCOUNT, "queues"), &policy).await;
    let group = Group {
        account: ACCOUNT.into(),
        name: "g".into(),
        permissions: Permissions { attached: vec![arn.into()], ..Permissions::default() },
        ..Group::default()
    };
    house.put(&named(ACCOUNT, "g"), &group).await;
    let user = User {
        account: ACCOUNT.into(),
        name: "bob".into(),
        path: "/".into(),
        id: "AIDA1".into(),
        groups: vec!["g".into()],
        ..User::default()
    };
    house.put(&named(ACCOUNT, "bob"), &user).await;
    let principal =
        Principal::User { account: ACCOUNT.into(), path: "/".into(), name: "bob".into(), id: "AIDA1".into() };
    let cx = house.cloud.context(principal, ACCOUNT, "us-east-1");
    let queue = Access::new("sqs:SendMessage", "*");
    assert!(house.ask(&cx, "sqs", &queue).is_ok());
    policy.default_version = 2;
    house.put(&named(ACCOUNT, "queues"), &policy).await;
    let denied = house.ask(&cx, "sqs", &queue).unwrap_err();
    assert!(
        denied.message().starts_with("User: arn:aws:iam::111122223333:user/bob is not authorized"),
        "{denied}"
    );
}

#[tokio::test]
async fn a_service_is_allowed_by_the_resources_policy_for_its_source() {
    let house = House::new(true).await;
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},
        "Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:111122223333:function:thumb",
        "Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::photos"},"StringEquals":{"AWS:SourceAccount":"111122223333"}}}]}"#;
    let mut access =
        Access::new("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:111122223333:function:thumb");
    let cx = house.cloud.context(Principal::Root { account: ACCOUNT.into() }, ACCOUNT, "us-east-1");
    let photos = cx.as_service("s3.amazonaws.com", Some("arn:aws:s3:::photos"));
    assert!(house.ask(&photos, "lambda", &access).is_err(), "without a policy nobody may");
    access.resource_policy = Some(Policy::parse(document, PolicyKind::Resource).unwrap());
    assert!(house.ask(&photos, "lambda", &access).is_ok());
    assert!(
        house.ask(&cx.as_service("s3.amazonaws.com", Some("arn:aws:s3:::other")), "lambda", &access).is_err()
    );
    assert!(
        house
            .ask(&cx.as_service("sns.amazonaws.com", Some("arn:aws:s3:::photos")), "lambda", &access)
            .is_err()
    );
    let stranger = cx.located(OTHER, "us-east-1").as_service("s3.amazonaws.com", Some("arn:aws:s3:::photos"));
    assert!(house.ask(&stranger, "lambda", &access).is_err(), "another account's bucket of the same name");
    // A service at work on itself needs nobody's leave.
    assert!(house.ask(&cx.as_service("lambda.amazonaws.com", None), "lambda", &access).is_ok());
}

#[tokio::test]
async fn across_accounts_both_sides_must_allow_and_root_obeys_resource_policies() {
    let house = House::new(true).await;
    let root = house.cloud.context(Principal::Root { account: ACCOUNT.into() }, ACCOUNT, "us-east-1");
    let own = Access::new("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:q");
    assert!(house.ask(&root, "sqs", &own).is_ok());
    let foreign = Access {
        resource_account: Some(OTHER.into()),
        ..Access::new("sqs:SendMessage", "arn:aws:sqs:us-east-1:444455556666:q")
    };
    assert!(house.ask(&root, "sqs", &foreign).is_err());
    let shared = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sqs:*","Resource":"*"}]}"#;
    let shared = Access {
        resource_policy: Some(Policy::parse(shared, PolicyKind::Resource).unwrap()),
        ..foreign.clone()
    };
    assert!(house.ask(&root, "sqs", &shared).is_ok());
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}]}"#;
    let closed = Access { resource_policy: Some(Policy::parse(deny, PolicyKind::Resource).unwrap()), ..own };
    let denied = house.ask(&root, "sqs", &closed).unwrap_err();
    assert!(denied.message().ends_with("with an explicit deny in a resource-based policy"), "{denied}");
    let nobody = house.cloud.context(Principal::Anonymous, OTHER, "us-east-1");
    assert_eq!(
        house.ask(&nobody, "s3", &Access::new("s3:GetObject", "arn:aws:s3:::b/k")).unwrap_err().message(),
        "Access Denied"
    );
}

#[tokio::test]
async fn trust_asks_for_the_service_and_the_external_id() {
    let house = House::new(true).await;
    let role = house.role("r", "AROA1", Permissions::default()).await;
    let cx = house.cloud.context(Principal::Root { account: ACCOUNT.into() }, ACCOUNT, "us-east-1");
    let lambda = cx.as_service("lambda.amazonaws.com", None);
    assert!(house.identities.may_assume(&lambda, "sts:AssumeRole", &role, &[]).is_ok());
    assert!(
        house
            .identities
            .may_assume(&cx.as_service("ec2.amazonaws.com", None), "sts:AssumeRole", &role, &[])
            .is_err()
    );
    let denied = house.identities.may_assume(&cx, "sts:AssumeRole", &role, &[]).unwrap_err();
    assert_eq!(
        denied.message(),
        "User: arn:aws:iam::111122223333:root is not authorized to perform: sts:AssumeRole on resource: \
         arn:aws:iam::111122223333:role/r"
    );
    let partner = Role {
        trust: trust(r#"{"AWS":"444455556666"}"#, r#"{"StringEquals":{"sts:ExternalId":"42"}}"#),
        ..role
    };
    let stranger = house.cloud.context(Principal::Root { account: OTHER.into() }, OTHER, "us-east-1");
    let with = |id: &str| [("sts:ExternalId".to_owned(), vec![id.to_owned()])];
    assert!(house.identities.may_assume(&stranger, "sts:AssumeRole", &partner, &[]).is_err());
    assert!(house.identities.may_assume(&stranger, "sts:AssumeRole", &partner, &with("41")).is_err());
    assert!(house.identities.may_assume(&stranger, "sts:AssumeRole", &partner, &with("42")).is_ok());
}

#[tokio::test]
async fn the_network_and_the_time_are_conditions() {
    let house = House::new(true).await;
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{
        "IpAddress":{"aws:SourceIp":"203.0.113.0/24"},"DateLessThan":{"aws:CurrentTime":"2027-01-16T00:00:00Z"},
        "Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:RequestedRegion":"us-east-1"},
        "StringLike":{"aws:UserAgent":"Boto3/*"}}}]}"#;
    let role = house.role("r", "AROA1", inline(document)).await;
    let resolved = house.resolve(&house.session(&role).await).unwrap();
    let agent = (http::header::USER_AGENT, http::HeaderValue::from_static("Boto3/1.43"));
    let headers = Arc::new(http::HeaderMap::from_iter([agent]));
    let tls = Tls { version: "1.3", cipher: "TLS_AES_128_GCM_SHA256" };
    let from = |ip: &str, secure: bool| Context {
        origin: Arc::new(Origin {
            source_ip: ip.parse().ok(),
            tls: secure.then_some(tls),
            headers: Some(headers.clone()),
            ..Origin::default()
        }),
        ..house.context(&resolved)
    };
    let queue = Access::new("sqs:SendMessage", "*");
    assert!(house.ask(&from("203.0.113.9", true), "sqs", &queue).is_ok());
    assert!(house.ask(&from("203.0.113.9", false), "sqs", &queue).is_err());
    assert!(house.ask(&from("198.51.100.1", true), "sqs", &queue).is_err());
    let elsewhere = Context { region: "eu-west-1".into(), ..from("203.0.113.9", true) };
    assert!(house.ask(&elsewhere, "sqs", &queue).is_err());
    house.clock.advance(Duration::from_secs(86_400 * 2));
    assert!(house.ask(&from("203.0.113.9", true), "sqs", &queue).is_err());
}

#[tokio::test]
async fn no_secret_and_no_token_prints() {
    let house = House::new(true).await;
    let role = house.role("r", "AROA1", Permissions::default()).await;
    let session = house.session(&role).await;
    let resolved = house.resolve(&session).unwrap();
    let caller = house.identities.caller(&house.context(&resolved));
    let printed = format!("{caller:?} {:?} {session:?}", resolved.secret);
    assert!(!printed.contains(session.secret.reveal()), "{printed}");
    assert!(!printed.contains(&session.session_token), "{printed}");
}

#[tokio::test]
async fn the_sealing_key_outlives_a_restart() {
    let directory = Store::ephemeral().unwrap();
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let open = |seed| {
        let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(seed)), String::new());
        Identities::open(directory.clone(), cloud, Settings { well_known_keys: true })
    };
    let first = open(1).await.unwrap();
    let made = first.mint(NewSession::new(ACCOUNT, Holder::Root, 900)).unwrap();
    let second = open(2).await.unwrap();
    assert!(second.resolve(&made.access_key_id, Some(&made.session_token)).is_ok());
    let message = first.encode_authorization_message("{}").unwrap();
    assert_eq!(second.decode_authorization_message(&message).as_deref(), Some("{}"));
    assert_eq!(second.decode_authorization_message(&made.session_token), None);
}

#[tokio::test]
async fn what_was_allowed_a_moment_ago_ends_with_its_policy() {
    let house = House::new(true).await;
    let role = house.role("r", "AROAR", inline(&allow("sqs:SendMessage", "*"))).await;
    let cx = house.context(&house.resolve(&house.session(&role).await).unwrap());
    let send =
        |queue: &str| Access::new("sqs:SendMessage", format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"));
    for _ in 0..3 {
        house.ask(&cx, "sqs", &send("a")).unwrap();
    }
    // Another account's queue is another question, even by the same name.
    let theirs = Access { resource_account: Some(OTHER.to_owned()), ..send("a") };
    assert!(house.ask(&cx, "sqs", &theirs).is_err());
    let elsewhere = Context { account: OTHER.into(), ..cx.clone() };
    assert!(house.ask(&elsewhere, "sqs", &send("a")).is_err());
    house.role("r", "AROAR", inline(&allow("sqs:SendMessage", "arn:aws:sqs:*:*:b"))).await;
    assert!(house.ask(&cx, "sqs", &send("a")).is_err());
    house.ask(&cx, "sqs", &send("b")).unwrap();
    // A denial that comes later counts at once.
    let both = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"arn:aws:sqs:*:*:b"}]}"#;
    house.role("r", "AROAR", inline(both)).await;
    assert!(house.ask(&cx, "sqs", &send("b")).is_err());
    house.ask(&cx, "sqs", &send("a")).unwrap();
}
