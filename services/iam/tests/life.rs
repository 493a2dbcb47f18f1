//! IAM's operations over an ephemeral store, called as the front door calls them.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may stop.

use cloudlet_api_iam::*;
use cloudlet_iam::Iam;
use cloudlet_identity::{Identities, Settings};
use cloudlet_service::{Cloud, Context, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
use std::sync::Arc;

const ACCOUNT: &str = "111122223333";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
const LAMBDA_BASIC: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

async fn iam() -> (Arc<Iam>, Context) {
    let cloud =
        Cloud::new(Arc::new(ManualClock::at(1_800_000_000_000)), Arc::new(Seeded::new(3)), String::new());
    let settings = Settings { well_known_keys: true };
    let identities = Identities::open(Store::ephemeral().unwrap(), cloud.clone(), settings).await.unwrap();
    let cx = cloud.context(Principal::Root { account: ACCOUNT.into() }, ACCOUNT, "us-east-1");
    (Iam::new(identities), cx)
}

fn role(name: &str) -> CreateRoleInput {
    CreateRoleInput {
        role_name: name.into(),
        assume_role_policy_document: TRUST.into(),
        ..Default::default()
    }
}

/// The code and message of a refusal.
fn refusal<T>(outcome: Result<T, Error>) -> (String, String) {
    let error = outcome.err().expect("it should have been refused");
    (error.code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn a_role_lives_and_is_deleted_only_when_empty() {
    let (iam, cx) = iam().await;
    let made = iam.create_role(&cx, role("Worker")).await.unwrap().role;
    assert_eq!(made.arn, "arn:aws:iam::111122223333:role/Worker");
    assert!(made.role_id.starts_with("AROA") && made.role_id.len() == 21);
    assert_eq!(made.max_session_duration, None);
    assert!(made.assume_role_policy_document.unwrap().starts_with("%7B%22Version%22%3A"));
    let (code, message) = refusal(iam.create_role(&cx, role("WORKER")).await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("EntityAlreadyExists", "Role with name WORKER already exists.")
    );

    let attach = |arn: &str| AttachRolePolicyInput {
        role_name: "Worker".into(),
        policy_arn: arn.into(),
        ..Default::default()
    };
    iam.attach_role_policy(&cx, attach(LAMBDA_BASIC)).await.unwrap();
    iam.attach_role_policy(&cx, attach(LAMBDA_BASIC)).await.unwrap();
    let (code, message) = refusal(iam.attach_role_policy(&cx, attach("arn:aws:iam::aws:policy/Nope")).await);
    assert_eq!(code, "NoSuchEntity");
    assert_eq!(message, "Policy arn:aws:iam::aws:policy/Nope does not exist or is not attachable.");
    let listed = iam.list_attached_role_policies(
        &cx,
        ListAttachedRolePoliciesInput { role_name: "Worker".into(), ..Default::default() },
    );
    assert_eq!(listed.await.unwrap().attached_policies.unwrap().len(), 1);
    let put = PutRolePolicyInput {
        role_name: "Worker".into(),
        policy_name: "p".into(),
        policy_document: READ.into(),
        ..Default::default()
    };
    iam.put_role_policy(&cx, put).await.unwrap();

    let delete = || DeleteRoleInput { role_name: "Worker".into(), ..Default::default() };
    let conflict = |what: &str| ("DeleteConflict".to_owned(), format!("Cannot delete entity, {what}."));
    assert_eq!(refusal(iam.delete_role(&cx, delete()).await), conflict("must detach all policies first"));
    let detach = DetachRolePolicyInput {
        role_name: "Worker".into(),
        policy_arn: LAMBDA_BASIC.into(),
        ..Default::default()
    };
    iam.detach_role_policy(&cx, detach.clone()).await.unwrap();
    assert_eq!(refusal(iam.detach_role_policy(&cx, detach).await).0, "NoSuchEntity");
    assert_eq!(refusal(iam.delete_role(&cx, delete()).await), conflict("must delete policies first"));
    let drop_policy =
        DeleteRolePolicyInput { role_name: "Worker".into(), policy_name: "p".into(), ..Default::default() };
    iam.delete_role_policy(&cx, drop_policy.clone()).await.unwrap();
    let (_, message) = refusal(iam.delete_role_policy(&cx, drop_policy).await);
    assert_eq!(message, "The role policy with name p cannot be found.");
    iam.delete_role(&cx, delete()).await.unwrap();
    let (code, message) =
        refusal(iam.get_role(&cx, GetRoleInput { role_name: "Worker".into(), ..Default::default() }).await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("NoSuchEntity", "The role with name Worker cannot be found.")
    );
}

#[tokio::test]
async fn trust_policies_are_checked() {
    let (iam, cx) = iam().await;
    let with = |document: &str| CreateRoleInput { assume_role_policy_document: document.into(), ..role("r") };
    for (document, expected) in [
        ("nonsense", "This policy contains invalid Json"),
        (READ, "Has prohibited field Resource"),
        (
            &TRUST.replace("sts:AssumeRole", "s3:GetObject"),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (
            &TRUST.replace(
                r#""Service":"lambda.amazonaws.com""#,
                r#""AWS":"arn:aws:iam::111122223333:user/nobody""#,
            ),
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:user/nobody\"",
        ),
    ] {
        let (code, message) = refusal(iam.create_role(&cx, with(document)).await);
        assert_eq!((code.as_str(), message.as_str()), ("MalformedPolicyDocument", expected), "{document}");
    }
    let padded = TRUST.replace("lambda.amazonaws.com", &format!("{}.amazonaws.com", "x".repeat(2100)));
    assert_eq!(
        refusal(iam.create_role(&cx, with(&padded)).await).1,
        "Cannot exceed quota for ACLSizePerRole: 2048"
    );
}

#[tokio::test]
async fn listings_are_sorted_filtered_and_paged() {
    let (iam, cx) = iam().await;
    for name in ["delta", "Alpha", "charlie", "Bravo"] {
        iam.create_role(&cx, CreateRoleInput { path: Some("/team/".into()), ..role(name) }).await.unwrap();
    }
    iam.create_role(&cx, role("elsewhere")).await.unwrap();
    let (mut names, mut marker) = (Vec::new(), None);
    loop {
        let input = ListRolesInput { path_prefix: Some("/team/".into()), max_items: Some(3), marker };
        let page = iam.list_roles(&cx, input).await.unwrap();
        names.extend(page.roles.into_iter().map(|role| role.role_name));
        assert_eq!(page.is_truncated, Some(page.marker.is_some()));
        marker = page.marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(names, ["Alpha", "Bravo", "charlie", "delta"]);
    let bad = ListRolesInput { marker: Some("not one of ours!".into()), ..Default::default() };
    assert_eq!(refusal(iam.list_roles(&cx, bad).await).0, "ValidationError");
}

#[tokio::test]
async fn managed_policies_have_versions_and_know_their_entities() {
    let (iam, cx) = iam().await;
    let create =
        CreatePolicyInput { policy_name: "p".into(), policy_document: READ.into(), ..Default::default() };
    let arn = iam.create_policy(&cx, create.clone()).await.unwrap().policy.unwrap().arn.unwrap();
    assert_eq!(arn, "arn:aws:iam::111122223333:policy/p");
    assert_eq!(
        refusal(iam.create_policy(&cx, create).await).1,
        "A policy called p already exists. Duplicate names are not allowed."
    );
    let version = || CreatePolicyVersionInput {
        policy_arn: arn.clone(),
        policy_document: READ.into(),
        set_as_default: Some(true),
        ..Default::default()
    };
    for number in 2..=5 {
        let made = iam.create_policy_version(&cx, version()).await.unwrap().policy_version.unwrap();
        assert_eq!(made.version_id, Some(format!("v{number}")));
    }
    assert_eq!(refusal(iam.create_policy_version(&cx, version()).await).0, "LimitExceeded");
    let listed = iam
        .list_policy_versions(&cx, ListPolicyVersionsInput { policy_arn: arn.clone(), ..Default::default() });
    let listed = listed.await.unwrap().versions.unwrap();
    assert_eq!(listed.first().and_then(|v| v.version_id.clone()).as_deref(), Some("v5"));
    let drop = |id: &str| DeletePolicyVersionInput {
        policy_arn: arn.clone(),
        version_id: id.into(),
        ..Default::default()
    };
    assert_eq!(
        refusal(iam.delete_policy_version(&cx, drop("v5")).await).1,
        "Cannot delete the default version of a policy."
    );
    iam.create_role(&cx, role("r")).await.unwrap();
    let attach =
        AttachRolePolicyInput { role_name: "r".into(), policy_arn: arn.clone(), ..Default::default() };
    iam.attach_role_policy(&cx, attach).await.unwrap();
    let got =
        iam.get_policy(&cx, GetPolicyInput { policy_arn: arn.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(got.policy.unwrap().attachment_count, Some(1));
    let entities = ListEntitiesForPolicyInput { policy_arn: arn.clone(), ..Default::default() };
    let entities = iam.list_entities_for_policy(&cx, entities).await.unwrap();
    assert_eq!(entities.policy_roles.unwrap().len(), 1);
    let delete = || DeletePolicyInput { policy_arn: arn.clone(), ..Default::default() };
    assert_eq!(
        refusal(iam.delete_policy(&cx, delete()).await).1,
        "Cannot delete a policy attached to entities."
    );
    let detach =
        DetachRolePolicyInput { role_name: "r".into(), policy_arn: arn.clone(), ..Default::default() };
    iam.detach_role_policy(&cx, detach).await.unwrap();
    assert!(
        refusal(iam.delete_policy(&cx, delete()).await)
            .1
            .starts_with("This policy has more than one version.")
    );
    for id in ["v1", "v2", "v3", "v4"] {
        iam.delete_policy_version(&cx, drop(id)).await.unwrap();
    }
    iam.delete_policy(&cx, delete()).await.unwrap();
    assert_eq!(refusal(iam.delete_policy(&cx, delete()).await).1, format!("Policy {arn} was not found."));
    let long = READ.replace("s3:GetObject", &format!("s3:{}", "G".repeat(6200)));
    let long = CreatePolicyInput { policy_name: "long".into(), policy_document: long, ..Default::default() };
    assert_eq!(refusal(iam.create_policy(&cx, long).await).1, "Cannot exceed quota for PolicySize: 6144");
}

#[tokio::test]
async fn users_groups_and_keys_follow_a_rename_and_block_a_deletion() {
    let (iam, cx) = iam().await;
    let create = |name: &str| CreateUserInput { user_name: name.into(), ..Default::default() };
    iam.create_user(&cx, create("ann")).await.unwrap();
    iam.create_user(&cx, create("bob")).await.unwrap();
    iam.create_group(&cx, CreateGroupInput { group_name: "g".into(), ..Default::default() }).await.unwrap();
    let join = AddUserToGroupInput { group_name: "g".into(), user_name: "ann".into(), ..Default::default() };
    iam.add_user_to_group(&cx, join).await.unwrap();
    let key = || CreateAccessKeyInput { user_name: Some("ann".into()) };
    let made = iam.create_access_key(&cx, key()).await.unwrap().access_key;
    assert!(
        made.access_key_id.starts_with("AKIA")
            && made.access_key_id.len() == 20
            && made.secret_access_key.len() == 40
    );
    iam.create_access_key(&cx, key()).await.unwrap();
    assert_eq!(
        refusal(iam.create_access_key(&cx, key()).await).1,
        "Cannot exceed quota for AccessKeysPerUser: 2"
    );

    let rename = |to: &str| UpdateUserInput {
        user_name: "ann".into(),
        new_user_name: Some(to.into()),
        ..Default::default()
    };
    assert_eq!(refusal(iam.update_user(&cx, rename("Bob")).await).0, "EntityAlreadyExists");
    iam.update_user(&cx, rename("anna")).await.unwrap();
    let group =
        iam.get_group(&cx, GetGroupInput { group_name: "g".into(), ..Default::default() }).await.unwrap();
    assert_eq!(
        group.users.iter().map(|user| user.user_name.as_deref().unwrap_or_default()).collect::<Vec<_>>(),
        ["anna"]
    );
    let used = GetAccessKeyLastUsedInput { access_key_id: made.access_key_id.clone(), ..Default::default() };
    assert_eq!(iam.get_access_key_last_used(&cx, used).await.unwrap().user_name.as_deref(), Some("anna"));
    let theft = DeleteAccessKeyInput {
        user_name: Some("bob".into()),
        access_key_id: made.access_key_id.clone(),
        ..Default::default()
    };
    assert_eq!(refusal(iam.delete_access_key(&cx, theft).await).0, "NoSuchEntity", "another user's key");

    let delete = || DeleteUserInput { user_name: "anna".into(), ..Default::default() };
    assert_eq!(
        refusal(iam.delete_user(&cx, delete()).await).1,
        "Cannot delete entity, must delete access keys first."
    );
    let keys = iam
        .list_access_keys(&cx, ListAccessKeysInput { user_name: Some("anna".into()), ..Default::default() });
    for key in keys.await.unwrap().access_key_metadata {
        let id = key.access_key_id.unwrap();
        let input =
            DeleteAccessKeyInput { user_name: Some("anna".into()), access_key_id: id, ..Default::default() };
        iam.delete_access_key(&cx, input).await.unwrap();
    }
    assert!(refusal(iam.delete_user(&cx, delete()).await).1.contains("must remove users from group first"));
    let leave =
        RemoveUserFromGroupInput { group_name: "g".into(), user_name: "anna".into(), ..Default::default() };
    iam.remove_user_from_group(&cx, leave).await.unwrap();
    iam.delete_user(&cx, delete()).await.unwrap();
}

#[tokio::test]
async fn the_simulator_decides_as_live_calls_are_decided() {
    let (iam, cx) = iam().await;
    iam.create_role(&cx, role("r")).await.unwrap();
    let put = PutRolePolicyInput {
        role_name: "r".into(),
        policy_name: "p".into(),
        policy_document: READ.into(),
        ..Default::default()
    };
    iam.put_role_policy(&cx, put).await.unwrap();
    let input = SimulatePrincipalPolicyInput {
        policy_source_arn: "arn:aws:iam::111122223333:role/r".into(),
        action_names: vec!["s3:GetObject".into(), "s3:PutObject".into()],
        resource_arns: Some(vec!["arn:aws:s3:::b/k".into()]),
        ..Default::default()
    };
    let results = iam.simulate_principal_policy(&cx, input).await.unwrap().evaluation_results.unwrap();
    let decisions: Vec<&str> = results.iter().map(|result| result.eval_decision.as_str()).collect();
    assert_eq!(decisions, ["allowed", "implicitDeny"]);
    let matched = results[0].matched_statements.as_ref().unwrap();
    assert_eq!(matched[0].source_policy_id.as_deref(), Some("role_r_p"));
    let keys = GetContextKeysForCustomPolicyInput {
        policy_input_list: vec![READ.replace("b/*", "${aws:username}/*")],
        ..Default::default()
    };
    let keys = iam.get_context_keys_for_custom_policy(&cx, keys).await.unwrap();
    assert_eq!(keys.context_key_names, Some(vec!["aws:username".to_owned()]));
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let (iam, cx) = iam().await;
    iam.create_role(&cx, role("r")).await.unwrap();
    let other = cx.located("444455556666", "us-east-1");
    assert_eq!(
        refusal(iam.get_role(&other, GetRoleInput { role_name: "r".into(), ..Default::default() }).await).0,
        "NoSuchEntity"
    );
    assert!(iam.list_roles(&other, ListRolesInput::default()).await.unwrap().roles.is_empty());
    iam.create_role(&other, role("r")).await.unwrap();
}

#[tokio::test]
async fn tags_are_merged_case_insensitively_up_to_fifty() {
    let (iam, cx) = iam().await;
    iam.create_role(&cx, role("r")).await.unwrap();
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into(), ..Default::default() };
    let add = |tags: Vec<Tag>| TagRoleInput { role_name: "r".into(), tags, ..Default::default() };
    iam.tag_role(&cx, add(vec![tag("Team", "red"), tag("env", "dev")])).await.unwrap();
    iam.tag_role(&cx, add(vec![tag("team", "blue")])).await.unwrap();
    let listed = iam
        .list_role_tags(&cx, ListRoleTagsInput { role_name: "r".into(), ..Default::default() })
        .await
        .unwrap();
    let listed: Vec<_> = listed.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    assert_eq!(listed, [("env", "dev"), ("team", "blue")]);
    assert_eq!(refusal(iam.tag_role(&cx, add(vec![tag("a", ""), tag("A", "")])).await).0, "InvalidInput");
    let many = (0..49).map(|i| tag(&format!("k{i}"), "")).collect();
    assert_eq!(refusal(iam.tag_role(&cx, add(many)).await).0, "LimitExceeded");
}

#[tokio::test]
async fn an_mfa_device_is_enabled_by_two_codes_in_a_row() {
    let (iam, cx) = iam().await;
    iam.create_user(&cx, CreateUserInput { user_name: "ann".into(), ..Default::default() }).await.unwrap();
    let create =
        CreateVirtualMFADeviceInput { virtual_mfa_device_name: "phone".into(), ..Default::default() };
    let device = iam.create_virtual_mfa_device(&cx, create).await.unwrap().virtual_mfa_device;
    let seed = unbase32(device.base32_string_seed.unwrap().as_ref());
    let step = (1_800_000_000 / 30) as u64;
    let enable = |first: String, second: String| EnableMFADeviceInput {
        user_name: "ann".into(),
        serial_number: device.serial_number.clone(),
        authentication_code1: first,
        authentication_code2: second,
        ..Default::default()
    };
    let code = |step| cloudlet_identity::mfa::code(&seed, step);
    let backwards = enable(code(step), code(step - 1));
    assert_eq!(refusal(iam.enable_mfa_device(&cx, backwards).await).0, "InvalidAuthenticationCode");
    iam.enable_mfa_device(&cx, enable(code(step - 1), code(step))).await.unwrap();
    let listed = iam
        .list_mfa_devices(&cx, ListMFADevicesInput { user_name: Some("ann".into()), ..Default::default() });
    assert_eq!(listed.await.unwrap().mfa_devices.len(), 1);
}

fn unbase32(text: &[u8]) -> Vec<u8> {
    let (mut out, mut buffer, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
    }
    out
}
