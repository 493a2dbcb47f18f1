//! The service over an ephemeral store and a clock that tests move.

use crate::state::DAY;
use crate::{Kms, MasterKey};
use cloudlet_api_kms::*;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000;

struct House {
    kms: Arc<Kms>,
    cx: Context,
    clock: Arc<ManualClock>,
    store: Store,
}

fn house_over(store: Store, master: Option<MasterKey>) -> House {
    let clock = Arc::new(ManualClock::at(NOW));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
    let bus = Bus::new(store.clone(), clock.clone());
    let kms = Kms::new(store.clone(), &cloud, &bus, master).unwrap();
    let cx = cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1");
    House { kms, cx, clock, store }
}

fn house() -> House {
    house_over(Store::ephemeral().unwrap(), None)
}

impl House {
    async fn key(&self, change: impl FnOnce(&mut CreateKeyInput)) -> KeyMetadata {
        let mut input = CreateKeyInput::default();
        change(&mut input);
        self.kms.create_key(&self.cx, input).await.unwrap().key_metadata.unwrap()
    }

    async fn encrypt(&self, key: &str, text: &str) -> Result<Blob, Error> {
        let input = EncryptInput {
            key_id: key.to_owned(),
            plaintext: Blob::new(text.as_bytes()),
            ..Default::default()
        };
        Ok(self.kms.encrypt(&self.cx, input).await?.ciphertext_blob.unwrap())
    }

    async fn decrypt(&self, blob: &Blob) -> Result<String, Error> {
        let input = DecryptInput { ciphertext_blob: Some(blob.clone()), ..Default::default() };
        let plaintext = self.kms.decrypt(&self.cx, input).await?.plaintext.unwrap();
        Ok(String::from_utf8(plaintext.into_inner()).unwrap())
    }

    async fn state(&self, key: &str) -> Result<String, Error> {
        let input = DescribeKeyInput { key_id: key.to_owned(), ..Default::default() };
        Ok(self.kms.describe_key(&self.cx, input).await?.key_metadata.unwrap().key_state.unwrap())
    }

    fn days(&self, days: i64) {
        self.clock.advance(Duration::from_millis((days * DAY) as u64));
    }
}

#[tokio::test]
async fn every_kind_of_signing_key_signs_and_verifies() {
    let h = house();
    for spec in [
        "RSA_2048",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
        "ML_DSA_44",
        "ML_DSA_65",
        "ML_DSA_87",
    ] {
        let key = h
            .key(|k| (k.key_spec, k.key_usage) = (Some(spec.to_owned()), Some("SIGN_VERIFY".to_owned())))
            .await;
        for algorithm in key.signing_algorithms.unwrap() {
            let prehashed = algorithm == "ED25519_PH_SHA_512";
            let message = Blob::new(vec![7; if prehashed { 64 } else { 100 }]);
            let kind = Some(if prehashed { "DIGEST" } else { "RAW" }.to_owned());
            let signed = SignInput {
                key_id: key.key_id.clone(),
                message: message.clone(),
                message_type: kind.clone(),
                signing_algorithm: algorithm.clone(),
                ..Default::default()
            };
            let signature = h.kms.sign(&h.cx, signed).await.unwrap().signature.unwrap();
            let verify = |message: Blob, signature: Blob| {
                let input = VerifyInput {
                    key_id: key.key_id.clone(),
                    message,
                    message_type: kind.clone(),
                    signature,
                    signing_algorithm: algorithm.clone(),
                    ..Default::default()
                };
                h.kms.verify(&h.cx, input)
            };
            let valid = verify(message.clone(), signature.clone()).await.unwrap();
            assert_eq!(valid.signature_valid, Some(true), "{spec} {algorithm}");
            let other = Blob::new(vec![8; message.as_ref().len()]);
            let refused = verify(other, signature.clone()).await.err().unwrap();
            assert_eq!(refused.code(), "KMSInvalidSignatureException", "{spec} {algorithm}");
            let refused = verify(message, Blob::new(vec![1; 10])).await.err().unwrap();
            assert_eq!(refused.code(), "KMSInvalidSignatureException", "{spec} {algorithm}");
        }
        let public = GetPublicKeyInput { key_id: key.key_id, ..Default::default() };
        assert!(!h.kms.get_public_key(&h.cx, public).await.unwrap().public_key.unwrap().as_ref().is_empty());
    }
}

#[tokio::test]
async fn an_external_mu_is_signed_as_the_message_it_stands_for() {
    let h = house();
    let key = h
        .key(|k| {
            (k.key_spec, k.key_usage) = (Some("ML_DSA_44".to_owned()), Some("SIGN_VERIFY".to_owned()));
        })
        .await;
    let sign = |message: Vec<u8>, kind: &str| {
        let input = SignInput {
            key_id: key.key_id.clone(),
            message: Blob::new(message),
            message_type: Some(kind.to_owned()),
            signing_algorithm: "ML_DSA_SHAKE_256".to_owned(),
            ..Default::default()
        };
        h.kms.sign(&h.cx, input)
    };
    assert!(sign(vec![1; 64], "EXTERNAL_MU").await.is_ok());
    let short = sign(vec![1; 63], "EXTERNAL_MU").await.err().unwrap();
    assert_eq!(short.code(), "ValidationException");
    assert_eq!(sign(vec![1; 64], "DIGEST").await.err().unwrap().code(), "ValidationException");
}

#[tokio::test]
async fn two_sides_agree_on_a_secret() {
    let h = house();
    for spec in ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] {
        let make = |k: &mut CreateKeyInput| {
            (k.key_spec, k.key_usage) = (Some(spec.to_owned()), Some("KEY_AGREEMENT".to_owned()));
        };
        let (one, two) = (h.key(make).await.key_id, h.key(make).await.key_id);
        let public = async |key: &str| {
            let input = GetPublicKeyInput { key_id: key.to_owned(), ..Default::default() };
            h.kms.get_public_key(&h.cx, input).await.unwrap().public_key.unwrap()
        };
        let derive = async |key: &str, peer: Blob| {
            let input = DeriveSharedSecretInput {
                key_id: key.to_owned(),
                key_agreement_algorithm: "ECDH".to_owned(),
                public_key: peer,
                ..Default::default()
            };
            h.kms.derive_shared_secret(&h.cx, input).await.unwrap().shared_secret.unwrap()
        };
        assert_eq!(derive(&one, public(&two).await).await, derive(&two, public(&one).await).await);
    }
    for spec in ["ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"] {
        let key = h
            .key(|k| {
                k.key_spec = Some(spec.to_owned());
                k.key_usage = Some("ENCAPSULATE_DECAPSULATE".to_owned());
            })
            .await
            .key_id;
        let input = EncapsulateInput {
            key_id: key.clone(),
            encapsulation_algorithm: "ML_KEM".to_owned(),
            ..Default::default()
        };
        let made = h.kms.encapsulate(&h.cx, input).await.unwrap();
        let input = DecapsulateInput {
            key_id: key,
            encapsulation_algorithm: "ML_KEM".to_owned(),
            shared_secret_ciphertext_blob: made.shared_secret_ciphertext_blob.unwrap(),
            ..Default::default()
        };
        let opened = h.kms.decapsulate(&h.cx, input).await.unwrap();
        assert_eq!(opened.shared_secret.unwrap(), made.shared_secret.unwrap());
    }
}

#[tokio::test]
async fn the_clock_deletes_and_rotates() {
    let h = house();
    let key = h.key(|_| {}).await.key_id;
    let old = h.encrypt(&key, "before").await.unwrap();
    let rotate = EnableKeyRotationInput {
        key_id: key.clone(),
        rotation_period_in_days: Some(90),
        ..Default::default()
    };
    h.kms.enable_key_rotation(&h.cx, rotate).await.unwrap();
    h.days(90);
    let new = h.encrypt(&key, "after").await.unwrap();
    assert_eq!(h.decrypt(&old).await.unwrap(), "before");
    assert_eq!(h.decrypt(&new).await.unwrap(), "after");
    let list = ListKeyRotationsInput { key_id: key.clone(), ..Default::default() };
    let rotations = h.kms.list_key_rotations(&h.cx, list).await.unwrap().rotations.unwrap();
    assert_eq!(rotations.len(), 1);
    assert_eq!(rotations[0].rotation_type.as_deref(), Some("AUTOMATIC"));

    let delete = ScheduleKeyDeletionInput {
        key_id: key.clone(),
        pending_window_in_days: Some(7),
        ..Default::default()
    };
    h.kms.schedule_key_deletion(&h.cx, delete).await.unwrap();
    let refused = h.encrypt(&key, "x").await.err().unwrap();
    assert!(refused.message().ends_with("is pending deletion."), "{refused}");
    h.days(7);
    assert_eq!(h.state(&key).await.err().unwrap().code(), "NotFoundException");
    assert_eq!(h.decrypt(&new).await.err().unwrap().code(), "AccessDeniedException");
    assert_eq!(h.store.table::<crate::state::Materials>().scan(Default::default(), false).count(), 0);
}

#[tokio::test]
async fn a_family_shares_its_material() {
    let h = house();
    let key = h.key(|k| k.multi_region = Some(true)).await.key_id;
    let blob = h.encrypt(&key, "everywhere").await.unwrap();
    let replicate = ReplicateKeyInput {
        key_id: key.clone(),
        replica_region: "eu-west-1".to_owned(),
        ..Default::default()
    };
    h.kms.replicate_key(&h.cx, replicate).await.unwrap();
    let there = h.cx.located("000000000000", "eu-west-1");
    let input = DecryptInput { ciphertext_blob: Some(blob), ..Default::default() };
    let opened = h.kms.decrypt(&there, input).await.unwrap();
    assert_eq!(opened.plaintext.unwrap().as_ref(), b"everywhere");
    assert!(opened.key_id.unwrap().contains(":eu-west-1:"));
    let delete = ScheduleKeyDeletionInput { key_id: key.clone(), ..Default::default() };
    let scheduled = h.kms.schedule_key_deletion(&h.cx, delete.clone()).await.unwrap();
    assert_eq!(scheduled.key_state.as_deref(), Some("PendingReplicaDeletion"));
    h.kms.schedule_key_deletion(&there, delete).await.unwrap();
    h.days(30);
    let gone = DescribeKeyInput { key_id: key.clone(), ..Default::default() };
    assert!(h.kms.describe_key(&there, gone).await.is_err());
    assert_eq!(h.state(&key).await.unwrap(), "PendingDeletion");
    h.days(31);
    assert!(h.state(&key).await.is_err());
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let dir = std::env::temp_dir().join(format!("cloudlet-kms-test-{}", std::process::id()));
    let open = || Store::open(&dir, Default::default()).unwrap();
    let master = |byte: &str| MasterKey::parse(&byte.repeat(32));
    let (key, blob) = {
        let h = house_over(open(), master("01"));
        let key = h.key(|_| {}).await.key_id;
        let blob = h.encrypt(&key, "secret").await.unwrap();
        h.store.close();
        (key, blob)
    };
    {
        let h = house_over(open(), master("02"));
        assert_eq!(h.decrypt(&blob).await.err().unwrap().code(), "KMSInternalException");
        h.store.close();
    }
    let h = house_over(open(), master("01"));
    assert_eq!(h.decrypt(&blob).await.unwrap(), "secret");
    let at = h.kms.key(&h.cx, &key).await.unwrap();
    assert!(!at.policy.is_empty());
    h.store.close();
    let _ = std::fs::remove_dir_all(&dir);
}

#[tokio::test]
async fn the_last_use_outlives_the_process_to_the_minute() {
    let h = house();
    let key = h.key(|_| ()).await.key_id;
    let used = async |h: &House| {
        let input = GetKeyLastUsageInput { key_id: key.clone(), ..Default::default() };
        let usage = h.kms.get_key_last_usage(&h.cx, input).await.unwrap().key_last_usage.unwrap();
        (usage.operation, usage.timestamp.map(|at| at.to_millis().unwrap() - NOW))
    };
    assert_eq!(used(&h).await, (None, None));
    let blob = h.encrypt(&key, "x").await.unwrap();
    h.clock.advance(Duration::from_secs(30));
    h.decrypt(&blob).await.unwrap();
    assert_eq!(used(&h).await, (Some("Decrypt".to_owned()), Some(30_000)));
    // Another process over the same store knows what was written down, and writes again at its first use.
    let again = house_over(h.store.clone(), None);
    assert_eq!(used(&again).await, (Some("Encrypt".to_owned()), Some(0)));
    h.clock.advance(Duration::from_secs(30));
    h.decrypt(&blob).await.unwrap();
    assert_eq!(used(&again).await, (Some("Decrypt".to_owned()), Some(60_000)));
}

#[tokio::test]
async fn an_import_token_ends_by_the_clock() {
    let h = house();
    let key = h.key(|k| k.origin = Some("EXTERNAL".to_owned())).await.key_id;
    let ask = || GetParametersForImportInput {
        key_id: key.clone(),
        wrapping_algorithm: "RSAES_OAEP_SHA_256".to_owned(),
        wrapping_key_spec: "RSA_2048".to_owned(),
        ..Default::default()
    };
    let offered = h.kms.get_parameters_for_import(&h.cx, ask()).await.unwrap();
    let bring = |token: &Blob| ImportKeyMaterialInput {
        key_id: key.clone(),
        import_token: token.clone(),
        encrypted_key_material: Blob::new(vec![1; 256]),
        expiration_model: Some("KEY_MATERIAL_DOES_NOT_EXPIRE".to_owned()),
        ..Default::default()
    };
    let token = offered.import_token.unwrap();
    let refused = h.kms.import_key_material(&h.cx, bring(&token)).await.err().unwrap();
    assert_eq!(refused.code(), "InvalidCiphertextException");
    h.days(1);
    let refused = h.kms.import_key_material(&h.cx, bring(&token)).await.err().unwrap();
    assert_eq!(refused.code(), "ExpiredImportTokenException");
}
