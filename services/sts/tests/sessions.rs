//! STS over an ephemeral store: what it grants, what it refuses, and in which words.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use cloudlet_api_sts::*;
use cloudlet_identity::records::{Permissions, Role, Tag as Own, User, named};
use cloudlet_identity::{Identities, Settings};
use cloudlet_service::{Cloud, Context, Identity, ManualClock, Principal, Seeded};
use cloudlet_store::{Record, Store};
use cloudlet_sts::Sts;
use std::sync::Arc;

const ACCOUNT: &str = "111122223333";
const ARN: &str = "arn:aws:iam::111122223333:role/r";

struct House {
    sts: Arc<Sts>,
    identities: Arc<Identities>,
    cloud: Arc<Cloud>,
}

impl House {
    async fn new() -> Self {
        let cloud =
            Cloud::new(Arc::new(ManualClock::at(1_800_000_000_000)), Arc::new(Seeded::new(5)), String::new());
        let settings = Settings { well_known_keys: true };
        let identities =
            Identities::open(Store::ephemeral().unwrap(), cloud.clone(), settings).await.unwrap();
        let house = Self { sts: Sts::new(identities.clone()), identities, cloud };
        house.role("r", r#"{"AWS":"111122223333","Service":"lambda.amazonaws.com"}"#, 7200).await;
        house
    }

    async fn put<R: Record>(&self, name: &str, record: &R) {
        self.identities.store().transact(|tx| tx.put(&named(ACCOUNT, name), record)).await.unwrap();
        self.identities.changed();
    }

    async fn role(&self, name: &str, principal: &str, max_session: i32) {
        let role = Role {
            account: ACCOUNT.into(),
            name: name.into(),
            path: "/".into(),
            id: format!("AROA{name}"),
            trust: format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":["sts:AssumeRole","sts:TagSession"]}}]}}"#
            ),
            max_session,
            ..Role::default()
        };
        self.put(name, &role).await;
    }

    fn as_root(&self) -> Context {
        self.cloud.context(Principal::Root { account: ACCOUNT.into() }, ACCOUNT, "us-east-1")
    }

    fn with(&self, credentials: &Credentials) -> Context {
        let found =
            self.identities.resolve(&credentials.access_key_id, Some(&credentials.session_token)).unwrap();
        Context { session: found.session, ..self.cloud.context(found.principal, ACCOUNT, "us-east-1") }
    }
}

fn assume(arn: &str) -> AssumeRoleInput {
    AssumeRoleInput { role_arn: arn.into(), role_session_name: "s1".into(), ..Default::default() }
}

fn refusal<T>(outcome: Result<T, Error>) -> (String, String) {
    let error = outcome.err().expect("it should have been refused");
    (error.code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn the_caller_learns_who_it_is() {
    let house = House::new().await;
    let root = house.sts.get_caller_identity(&house.as_root(), Default::default()).await.unwrap();
    assert_eq!(root.arn.as_deref(), Some("arn:aws:iam::111122223333:root"));
    assert_eq!((root.account.as_deref(), root.user_id.as_deref()), (Some(ACCOUNT), Some(ACCOUNT)));
    let session = house.sts.assume_role(&house.as_root(), assume(ARN)).await.unwrap();
    assert_eq!(session.assumed_role_user.unwrap().assumed_role_id, "AROAr:s1");
    let cx = house.with(&session.credentials.unwrap());
    let me = house.sts.get_caller_identity(&cx, Default::default()).await.unwrap();
    assert_eq!(me.arn.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/r/s1"));
    assert_eq!(me.user_id.as_deref(), Some("AROAr:s1"));
}

#[tokio::test]
async fn a_service_assumes_the_role_that_trusts_it() {
    let house = House::new().await;
    let lambda = house.as_root().as_service("lambda.amazonaws.com", None);
    assert!(house.sts.assume_role(&lambda, assume(ARN)).await.is_ok());
    let s3 = house.as_root().as_service("s3.amazonaws.com", None);
    assert_eq!(refusal(house.sts.assume_role(&s3, assume(ARN)).await).0, "AccessDenied");
}

#[tokio::test]
async fn a_user_needs_its_own_leave_or_to_be_named() {
    let house = House::new().await;
    let user = |document: Option<&str>| User {
        account: ACCOUNT.into(),
        name: "ann".into(),
        path: "/".into(),
        id: "AIDA1".into(),
        permissions: Permissions {
            inline: document.map(|text| ("p".to_owned(), text.to_owned())).into_iter().collect(),
            ..Permissions::default()
        },
        ..User::default()
    };
    house.put("ann", &user(None)).await;
    let ann =
        Principal::User { account: ACCOUNT.into(), path: "/".into(), name: "ann".into(), id: "AIDA1".into() };
    let cx = house.cloud.context(ann, ACCOUNT, "us-east-1");
    let (code, message) = refusal(house.sts.assume_role(&cx, assume(ARN)).await);
    assert_eq!(code, "AccessDenied");
    assert_eq!(
        message,
        "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:AssumeRole on resource: \
         arn:aws:iam::111122223333:role/r"
    );
    let (code, missing) =
        refusal(house.sts.assume_role(&cx, assume("arn:aws:iam::111122223333:role/none")).await);
    assert_eq!(code, "AccessDenied");
    assert_eq!(
        missing,
        message.replace("role/r", "role/none"),
        "what is not there looks like what is forbidden"
    );
    let leave = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#;
    house.put("ann", &user(Some(leave))).await;
    assert!(house.sts.assume_role(&cx, assume(ARN)).await.is_ok());
    house.put("ann", &user(None)).await;
    house.role("r", r#"{"AWS":"arn:aws:iam::111122223333:user/ann"}"#, 3600).await;
    assert!(house.sts.assume_role(&cx, assume(ARN)).await.is_ok());
}

#[tokio::test]
async fn sessions_are_bounded_in_time() {
    let house = House::new().await;
    let lasting = |seconds| AssumeRoleInput { duration_seconds: Some(seconds), ..assume(ARN) };
    let two_hours =
        house.sts.assume_role(&house.as_root(), lasting(7200)).await.unwrap().credentials.unwrap();
    assert_eq!(two_hours.expiration.unwrap().secs(), 1_800_007_200);
    assert_eq!(
        refusal(house.sts.assume_role(&house.as_root(), lasting(7201)).await),
        (
            "ValidationError".to_owned(),
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
        )
    );
    house.role("next", r#"{"AWS":"arn:aws:iam::111122223333:role/r"}"#, 43_200).await;
    let chained =
        AssumeRoleInput { duration_seconds: Some(3601), ..assume("arn:aws:iam::111122223333:role/next") };
    assert_eq!(
        refusal(house.sts.assume_role(&house.with(&two_hours), chained).await).1,
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    );
}

#[tokio::test]
async fn tags_pass_on_only_where_they_are_transitive() {
    let house = House::new().await;
    house.role("next", r#"{"AWS":"arn:aws:iam::111122223333:role/r"}"#, 3600).await;
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into(), ..Default::default() };
    let first = AssumeRoleInput {
        tags: Some(vec![tag("team", "red"), tag("once", "x")]),
        transitive_tag_keys: Some(vec!["team".into()]),
        ..assume(ARN)
    };
    let first = house.sts.assume_role(&house.as_root(), first).await.unwrap();
    assert!(first.packed_policy_size.is_some());
    let cx = house.with(&first.credentials.unwrap());
    let second = house.sts.assume_role(&cx, assume("arn:aws:iam::111122223333:role/next")).await.unwrap();
    let second = house.with(&second.credentials.unwrap());
    let tags = house.identities.caller(&second).claims.as_ref().unwrap().tags.clone();
    assert_eq!(tags, [Own { key: "team".into(), value: "red".into() }]);
    let other = AssumeRoleInput {
        tags: Some(vec![tag("Team", "blue")]),
        ..assume("arn:aws:iam::111122223333:role/next")
    };
    assert_eq!(refusal(house.sts.assume_role(&cx, other).await).0, "InvalidParameterValue");
}

#[tokio::test]
async fn temporary_credentials_make_no_others_of_a_user() {
    let house = House::new().await;
    let token =
        house.sts.get_session_token(&house.as_root(), Default::default()).await.unwrap().credentials.unwrap();
    assert_eq!(token.expiration.unwrap().secs(), 1_800_003_600, "a root's session lasts an hour");
    let cx = house.with(&token);
    assert_eq!(
        refusal(house.sts.get_session_token(&cx, Default::default()).await).1,
        "Cannot call GetSessionToken with session credentials"
    );
    let federated = GetFederationTokenInput { name: "guest".into(), ..Default::default() };
    assert_eq!(refusal(house.sts.get_federation_token(&cx, federated.clone()).await).0, "AccessDenied");
    let made = house.sts.get_federation_token(&house.as_root(), federated).await.unwrap();
    assert_eq!(made.federated_user.unwrap().arn, "arn:aws:sts::111122223333:federated-user/guest");
}

#[tokio::test]
async fn bad_policies_and_messages_are_named() {
    let house = House::new().await;
    let bad = AssumeRoleInput { policy: Some("{".into()), ..assume(ARN) };
    assert_eq!(refusal(house.sts.assume_role(&house.as_root(), bad).await).0, "MalformedPolicyDocument");
    let large = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:{}","Resource":"*"}}]}}"#,
        "x".repeat(5000)
    );
    let large = AssumeRoleInput { policy: Some(large), ..assume(ARN) };
    assert_eq!(refusal(house.sts.assume_role(&house.as_root(), large).await).0, "PackedPolicyTooLarge");
    assert_eq!(
        refusal(house.sts.assume_role(&house.as_root(), assume("arn:aws:s3:::bucket-of-some-length")).await)
            .0,
        "ValidationError"
    );
    let garbage = DecodeAuthorizationMessageInput { encoded_message: "AAAA".into(), ..Default::default() };
    let (code, _) = refusal(house.sts.decode_authorization_message(&house.as_root(), garbage).await);
    assert_eq!(code, "InvalidAuthorizationMessageException");
}
