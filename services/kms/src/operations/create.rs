//! CreateKey, and the keys that AWS's services make for themselves.

use super::stores::no_store;
use super::tags;
use crate::crypto::{Rng, Secret};
use crate::errors::{Failure, internal, stored, unsupported, validation};
use crate::spec::{self, SYMMETRIC};
use crate::state::{Alias, Family, KeyRecord, Materials, NewKey, place};
use crate::{Kms, managed, policy, shown};
use cloudlet_api_kms::*;
use std::sync::Arc;

/// What a new key shall be.
struct Wanted<'a> {
    spec: &'a str,
    usage: &'a str,
    origin: &'a str,
    multi_region: bool,
}

impl Kms {
    /// Makes a key.
    ///
    /// Errors: `ValidationException`, `MalformedPolicyDocumentException`, `TagException`, `LimitExceededException`,
    /// `UnsupportedOperationException`, `CustomKeyStoreNotFoundException`.
    pub async fn create_key(
        &self,
        cx: &Context,
        mut input: CreateKeyInput,
    ) -> Result<CreateKeyOutput, Error> {
        let (tags, policy) = (input.tags.take(), input.policy.take());
        let description = input.description.take();
        let mut key = new_key(cx, &wanted(&input)?);
        key.description = description.unwrap_or_default();
        key.tags = tags::checked(tags.unwrap_or_default())?;
        if let Some(document) = policy {
            let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
            self.check_policy(cx, &key, &document, bypass).await?;
            key.set_policy(document);
        }
        let materials = self.first_material(cx, &key).await?;
        let (at, material_at) = (key.place(), key.material_place());
        self.store
            .transact(|tx| {
                tx.put(&at, &key)?;
                Ok::<_, Failure>(tx.put(&material_at, &materials)?)
            })
            .await?;
        Ok(CreateKeyOutput { key_metadata: Some(shown::metadata(&key, &materials)), ..Default::default() })
    }

    /// The first generation of material; none where it is to be imported.
    async fn first_material(&self, cx: &Context, key: &KeyRecord) -> Result<Materials, Error> {
        if key.origin == "EXTERNAL" {
            return Ok(Materials::default());
        }
        let plain = generate(cx, &key.spec).await?.write().map_err(internal)?;
        let id = hex::encode(Rng(cx.random()).bytes::<32>());
        let material = self.sealed(&cx.cloud, key, id.clone(), &plain, cx.millis())?;
        Ok(Materials { all: vec![material], current: id, ..Materials::default() })
    }

    /// The key that a service of ours uses where its caller names none, made at first use.
    pub(crate) async fn managed_key(
        &self,
        cx: &Context,
        service: &'static str,
    ) -> Result<Arc<KeyRecord>, Error> {
        let name = format!("alias/aws/{service}");
        let at = place(&cx.account, &cx.region).text(&name);
        if let Some(alias) = self.store.table::<Alias>().get_arc(&at).map_err(stored)?
            && let Some(key) = self.load(cx.millis(), &cx.account, &cx.region, &alias.target).await?
        {
            return Ok(key);
        }
        let now = cx.millis();
        let wanted = Wanted { spec: SYMMETRIC, usage: spec::ENCRYPT, origin: "AWS_KMS", multi_region: false };
        let mut key = new_key(cx, &wanted);
        key.description = managed::description(service);
        key.managed_by = Some(service.to_owned());
        key.aliases = vec![name.clone()];
        key.set_policy(managed::policy(service, &cx.account, &cx.region));
        let mut materials = self.first_material(cx, &key).await?;
        // AWS managed keys are rotated every year, and nobody can stop that.
        let next = now + 365 * crate::state::DAY;
        materials.rotation = Some(crate::state::Rotation { days: 365, next });
        let alias = Alias { name, target: key.id.clone(), created: now, updated: now };
        let made = self.store.transact(|tx| {
            // Another call may have been faster.
            if let Some(alias) = tx.get::<Alias>(&at)? {
                return Ok(alias.target);
            }
            tx.put(&at, &alias)?;
            tx.put(&key.place(), &key)?;
            tx.put(&key.material_place(), &materials)?;
            tx.emit(crate::deadlines::at(&key, next))?;
            Ok::<_, Failure>(key.id.clone())
        });
        let id = made.await?;
        let found = self.load(now, &cx.account, &cx.region, &id).await?;
        found.ok_or_else(|| Error::internal("an AWS managed key vanished while it was made"))
    }
}

/// Makes key material away from the threads that serve requests: RSA takes its time.
pub(crate) async fn generate(cx: &Context, spec: &str) -> Result<Secret, Error> {
    if !spec.starts_with("RSA_") {
        return Secret::generate(spec, &mut Rng(cx.random())).map_err(internal);
    }
    let (cloud, spec) = (cx.cloud.clone(), spec.to_owned());
    let made = tokio::task::spawn_blocking(move || Secret::generate(&spec, &mut Rng(cloud.random())));
    made.await.map_err(Error::internal)?.map_err(internal)
}

fn new_key(cx: &Context, wanted: &Wanted<'_>) -> KeyRecord {
    let id = if wanted.multi_region {
        format!("mrk-{}", hex::encode(Rng(cx.random()).bytes::<16>()))
    } else {
        cx.random().uuid()
    };
    let mut key = KeyRecord::new(NewKey {
        account: &cx.account,
        region: &cx.region,
        partition: cx.partition(),
        id,
        created: cx.millis(),
        spec: wanted.spec,
        usage: wanted.usage,
        origin: wanted.origin,
        policy: policy::default(&cx.account, cx.partition()),
    });
    if wanted.multi_region {
        key.family = Some(Family { primary: cx.region.to_string(), replicas: Vec::new() });
    }
    key
}

/// Source: API Reference, `CreateKey`, the parameters' rules.
fn wanted(input: &CreateKeyInput) -> Result<Wanted<'_>, Error> {
    let spec = match (&input.key_spec, &input.customer_master_key_spec) {
        (Some(_), Some(_)) => {
            return Err(validation(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is \
                 deprecated.",
            ));
        }
        (Some(spec), None) | (None, Some(spec)) => spec.as_str(),
        (None, None) => SYMMETRIC,
    };
    if spec == "SM2" {
        // As AWS answers outside its Regions in China, which alone have it.
        return Err(unsupported("SM2 KMS keys are available in China Regions only."));
    }
    let usages = spec::usages(spec);
    let usage = match &input.key_usage {
        Some(usage) if usages.contains(&usage.as_str()) => usage.as_str(),
        Some(usage) => {
            return Err(validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
        }
        None if spec == SYMMETRIC => spec::ENCRYPT,
        None => {
            return Err(validation(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
            ));
        }
    };
    let origin = input.origin.as_deref().unwrap_or("AWS_KMS");
    if let Some(store) = &input.custom_key_store_id {
        return Err(no_store(store));
    }
    match origin {
        "AWS_CLOUDHSM" | "EXTERNAL_KEY_STORE" => {
            return Err(validation(format!("Origin {origin} requires a CustomKeyStoreId")));
        }
        "EXTERNAL" if spec.starts_with("ML_") => {
            return Err(unsupported(format!("Origin EXTERNAL is not supported for KeySpec {spec}")));
        }
        _ => {}
    }
    if input.xks_key_id.is_some() {
        return Err(validation("XksKeyId can only be specified with Origin EXTERNAL_KEY_STORE"));
    }
    Ok(Wanted { spec, usage, origin, multi_region: input.multi_region.unwrap_or(false) })
}
