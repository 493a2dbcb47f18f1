//! What decides whether a caller may: the key's policy, its grants and KMS's condition keys.
//!
//! Source: AWS KMS Developer Guide, "Key policies in AWS KMS" and "Condition keys for AWS KMS"; Service Authorization
//! Reference, "Actions, resources, and condition keys for AWS Key Management Service".

use crate::crypto::envelope;
use crate::errors::{bad_ciphertext, no_ciphertext};
use crate::names::Named;
use crate::spec::{ENCRYPT, SYMMETRIC};
use crate::state::KeyRecord;
use crate::{Kms, grants, managed};
use cloudlet_api_kms::*;
use cloudlet_service::api::{Access, Operation, default_access};
use cloudlet_service::rules::text_member;
use cloudlet_service::{ConditionKeys, Principal, Structure, condition_keys};
use std::sync::Arc;

/// The operations that take an alias for a key.
const BY_ALIAS: &[&str] = &[
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// The operations that work on keys of other accounts. Source: API Reference, "Cross-account use" of each operation.
const ACROSS_ACCOUNTS: &[&str] = &[
    "CreateGrant",
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "ListGrants",
    "ReEncrypt",
    "RetireGrant",
    "RevokeGrant",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// What a request says beside its key.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) context: Option<&'a BTreeMap<String, String>>,
    tokens: &'a [String],
    /// The operations of a grant that is to be made.
    pub(crate) granted: &'a [String],
    /// And its constraints.
    pub(crate) constraints: Option<&'a GrantConstraints>,
}

impl Kms {
    /// The accesses that an operation needs.
    pub(crate) async fn needed(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>, Error> {
        let action = op.access.first().map_or("", |rule| rule.action);
        let asked = asked(input, false);
        for token in asked.tokens {
            grants::check_token(token)?;
        }
        match op.name {
            "CreateKey" => {
                let mut accesses = default_access(op, cx, input);
                for access in &mut accesses {
                    request_facts(op, input, &mut access.keys);
                    caller_facts(cx, &mut access.keys);
                }
                let create = input.as_any().downcast_ref::<CreateKeyInput>();
                let tags = create.and_then(|input| input.tags.as_deref()).unwrap_or_default();
                accesses.iter_mut().for_each(|access| tag_facts(tags, &mut access.keys));
                accesses.extend(accesses.first().and_then(|create| tagging(cx, create, tags)));
                Ok(accesses)
            }
            "GenerateRandom" | "ListKeys" | "ListAliases" => Ok(default_access(op, cx, input)),
            "ListRetirableGrants" => {
                let mut accesses = default_access(op, cx, input);
                let retiring = text_member(input, "RetiringPrincipal").filter(|who| who.starts_with("arn:"));
                if let (Some(access), Some(retiring)) = (accesses.first_mut(), retiring) {
                    access.resource = retiring;
                }
                Ok(accesses)
            }
            store if store.contains("CustomKeyStore") => Ok(default_access(op, cx, input)),
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => self.alias_access(op, cx, input, action).await,
            "RetireGrant" => {
                let Some(input) = input.as_any().downcast_ref::<RetireGrantInput>() else {
                    return Ok(Vec::new());
                };
                self.retire_access(op, cx, input).await
            }
            "Decrypt" => {
                let Some(input) = input.as_any().downcast_ref::<DecryptInput>() else {
                    return Ok(Vec::new());
                };
                let blob = input.ciphertext_blob.as_ref().map(|b| b.as_ref());
                let source = self.source(cx, op, action, input.key_id.as_deref(), blob, asked, input).await?;
                Ok(vec![source])
            }
            "ReEncrypt" => {
                let Some(input) = input.as_any().downcast_ref::<ReEncryptInput>() else {
                    return Ok(Vec::new());
                };
                let blob = input.ciphertext_blob.as_ref().map(|b| b.as_ref());
                let from =
                    self.source(cx, op, action, input.source_key_id.as_deref(), blob, asked, input).await?;
                let named = Named::parse(cx, &input.destination_key_id)?;
                let mut to =
                    self.on_key(cx, op, "kms:ReEncryptTo", &named, self::asked(input, true), input).await?;
                let same = from.resource == to.resource;
                let mut from = from;
                for (access, algorithm) in [
                    (&mut from, &input.source_encryption_algorithm),
                    (&mut to, &input.destination_encryption_algorithm),
                ] {
                    let algorithm = algorithm.clone().unwrap_or_else(|| SYMMETRIC.to_owned());
                    access.keys.push(("kms:EncryptionAlgorithm".to_owned(), vec![algorithm]));
                    access.keys.push(("kms:ReEncryptOnSameKey".to_owned(), vec![same.to_string()]));
                }
                Ok(vec![from, to])
            }
            "ReplicateKey" => {
                let mut all = vec![self.plain(cx, op, action, input, asked).await?];
                let replicate = input.as_any().downcast_ref::<ReplicateKeyInput>();
                if let Some(input) = replicate {
                    let there = cx.located(&cx.account, &input.replica_region);
                    let mut create = Access::new("kms:CreateKey", "*");
                    caller_facts(&there, &mut create.keys);
                    request_facts(op, input, &mut create.keys);
                    let tags = input.tags.as_deref().unwrap_or_default();
                    tag_facts(tags, &mut create.keys);
                    let tagging = tagging(&there, &create, tags);
                    all.push(create);
                    all.extend(tagging);
                }
                Ok(all)
            }
            "UpdatePrimaryRegion" => {
                let mut all = vec![self.plain(cx, op, action, input, asked).await?];
                let update = input.as_any().downcast_ref::<UpdatePrimaryRegionInput>();
                if let Some(input) = update
                    && let Ok(key) = self.own_key(cx, &input.key_id).await
                    && let Some(there) =
                        self.load(cx.millis(), &key.account, &input.primary_region, &key.id).await?
                {
                    all.push(self.of(cx, action, &there, asked)?);
                }
                Ok(all)
            }
            _ => Ok(vec![self.plain(cx, op, action, input, asked).await?]),
        }
    }

    /// An operation on the key that `KeyId` names.
    async fn plain(
        &self,
        cx: &Context,
        op: &'static Operation,
        action: &'static str,
        input: &dyn Structure,
        asked: Asked<'_>,
    ) -> Result<Access, Error> {
        let text = text_member(input, "KeyId").unwrap_or_default();
        let named =
            if BY_ALIAS.contains(&op.name) { Named::parse(cx, &text) } else { Named::parse_key(cx, &text) }?;
        self.on_key(cx, op, action, &named, asked, input).await
    }

    /// The access to a key by name. One that is not there is nobody's: identity policies alone decide whether the
    /// caller may hear that.
    async fn on_key(
        &self,
        cx: &Context,
        op: &'static Operation,
        action: &'static str,
        named: &Named,
        asked: Asked<'_>,
        input: &dyn Structure,
    ) -> Result<Access, Error> {
        self.make_managed(cx, op, named).await?;
        let (Named::Key { account: owner, .. } | Named::Alias { account: owner, .. }) = named;
        let foreign = **owner != *cx.account;
        if foreign && !ACROSS_ACCOUNTS.contains(&op.name) {
            return Err(unknown_resource(cx, action, "this resource"));
        }
        let mut access = match self.find(cx, named).await {
            Ok(key) => self.of(cx, action, &key, asked)?,
            Err(error) if error.is("NotFoundException") && foreign => {
                return Err(unknown_resource(cx, action, "this resource"));
            }
            Err(error) if error.is("NotFoundException") => {
                let mut access = Access::new(action, named.arn(cx.partition()));
                access.resource_account = Some(owner.clone());
                access
            }
            Err(error) => return Err(error),
        };
        if let Named::Alias { name, .. } = named {
            access.keys.push(("kms:RequestAlias".to_owned(), vec![name.clone()]));
        }
        request_facts(op, input, &mut access.keys);
        if op.name == "CreateGrant" {
            // True where one of the services asks, for its resource's sake.
            access.keys.push(("kms:GrantIsForAWSResource".to_owned(), vec![by_service(cx).to_string()]));
        }
        Ok(access)
    }

    /// The access to a key that is there.
    pub(crate) fn of(
        &self,
        cx: &Context,
        action: &'static str,
        key: &Arc<KeyRecord>,
        asked: Asked<'_>,
    ) -> Result<Access, Error> {
        let mut access = Access::new(action, key.arn());
        access.resource_account = Some(key.account.clone());
        access.resource_policy = key.compiled().cloned();
        access.keys = key_facts(cx, key);
        if let Some(context) = asked.context {
            let names: Vec<String> = context.keys().cloned().collect();
            for (name, value) in context {
                access.keys.push((format!("kms:EncryptionContext:{name}"), vec![value.clone()]));
            }
            access.keys.push(("kms:EncryptionContextKeys".to_owned(), names));
        }
        if key.grants > 0
            && let Some(policy) = self.with_grants(cx, key, action, asked)?
        {
            access.resource_policy = Some(policy);
            // A grant needs no second permission in the caller's own account.
            if !cx.principal.account().is_empty() {
                access.resource_account = Some(cx.principal.account().to_owned());
            }
        }
        Ok(access)
    }

    /// The key that a ciphertext was made with.
    #[allow(clippy::too_many_arguments)]
    async fn source(
        &self,
        cx: &Context,
        op: &'static Operation,
        action: &'static str,
        key_id: Option<&str>,
        ciphertext: Option<&[u8]>,
        asked: Asked<'_>,
        input: &dyn Structure,
    ) -> Result<Access, Error> {
        if let Some(key_id) = key_id {
            let named = Named::parse_source(cx, key_id, ciphertext)?;
            return self.on_key(cx, op, action, &named, asked, input).await;
        }
        let ciphertext = ciphertext.ok_or_else(no_ciphertext)?;
        let head = envelope::head(ciphertext).ok_or_else(bad_ciphertext)?;
        let Some(key) = self.load(cx.millis(), &head.account, &cx.region, &head.key_id).await? else {
            return Err(unknown_source(cx, action));
        };
        let mut access = self.of(cx, action, &key, asked)?;
        request_facts(op, input, &mut access.keys);
        Ok(access)
    }

    /// Aliases need permission on the alias, by identity policies, and on each key they point at.
    async fn alias_access(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
        action: &'static str,
    ) -> Result<Vec<Access>, Error> {
        let name = text_member(input, "AliasName").unwrap_or_default();
        let mut all = vec![Access::new(action, cx.arn("kms", &name))];
        let alias = Named::Alias {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            name: name.clone(),
        };
        if op.name != "CreateAlias"
            && let Ok(key) = self.find(cx, &alias).await
        {
            all.push(self.of(cx, action, &key, Asked::default())?);
        }
        if let Some(target) = text_member(input, "TargetKeyId")
            && let Ok(named) = Named::parse_key(cx, &target)
        {
            all.push(self.on_key(cx, op, action, &named, Asked::default(), input).await?);
        }
        Ok(all)
    }

    /// Makes the AWS managed key that a service asks for the first time.
    async fn make_managed(&self, cx: &Context, op: &Operation, named: &Named) -> Result<(), Error> {
        let Named::Alias { account, region, name } = named else { return Ok(()) };
        let Some(service) = managed::service_of(name) else { return Ok(()) };
        if (by_service(cx) || op.name == "DescribeKey") && *account == *cx.account && *region == *cx.region {
            self.managed_key(cx, service).await?;
        }
        Ok(())
    }
}

/// Whether one of the services asks, for itself or for its caller.
fn by_service(cx: &Context) -> bool {
    !cx.origin.called_via.is_empty() || matches!(cx.principal, Principal::Service { .. })
}

/// A ciphertext whose key the caller cannot be told about.
pub(crate) fn unknown_source(cx: &Context, action: &str) -> Error {
    unknown_resource(cx, action, "the resource associated with this ciphertext")
}

/// A key that the caller cannot be told about.
fn unknown_resource(cx: &Context, action: &str, resource: &str) -> Error {
    Error::sender(
        "AccessDeniedException",
        format!(
            "User: {} is not authorized to perform: {action} on {resource} because the resource does not exist in \
             this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            cx.principal.arn()
        ),
    )
}

/// The condition keys that follow from the caller.
fn caller_facts(cx: &Context, keys: &mut ConditionKeys) {
    let mut key = |name: &str, value: String| keys.push((name.to_owned(), vec![value]));
    match &cx.principal {
        Principal::Service { source_account: Some(account), .. } => {
            key("kms:CallerAccount", account.to_string());
        }
        principal => key("kms:CallerAccount", principal.account().to_owned()),
    }
    if let Some(service) = cx.origin.called_via.last() {
        let name = service.strip_suffix(".amazonaws.com").unwrap_or(service);
        key("kms:ViaService", format!("{name}.{}.amazonaws.com", cx.region));
    }
}

/// The condition keys that follow from the caller and the key.
pub(crate) fn key_facts(cx: &Context, record: &KeyRecord) -> ConditionKeys {
    let mut keys = Vec::with_capacity(16);
    caller_facts(cx, &mut keys);
    let mut key = |name: &str, value: &str| keys.push((name.to_owned(), vec![value.to_owned()]));
    key("kms:KeySpec", &record.spec);
    key("kms:CustomerMasterKeySpec", &record.spec);
    key("kms:KeyUsage", &record.usage);
    key("kms:CustomerMasterKeyUsage", &record.usage);
    key("kms:KeyOrigin", &record.origin);
    key("kms:MultiRegion", if record.family.is_some() { "true" } else { "false" });
    if let Some(family) = &record.family {
        key("kms:MultiRegionKeyType", if record.is_replica() { "REPLICA" } else { "PRIMARY" });
        key("kms:PrimaryRegion", &family.primary);
    }
    condition_keys::resource_tags(&mut keys, None, &record.tags);
    if !record.aliases.is_empty() {
        keys.push(("kms:ResourceAliases".to_owned(), record.aliases.clone()));
    }
    keys
}

/// The condition keys that copy a parameter of the request, or what holds without it.
fn request_facts(op: &Operation, input: &dyn Structure, keys: &mut ConditionKeys) {
    let mut copy = |member: &str, default: Option<&str>, key: &str| {
        let value = text_member(input, member).or_else(|| default.map(str::to_owned));
        keys.extend(value.map(|value| (key.to_owned(), vec![value])));
    };
    match op.name {
        "CreateKey" => {
            let older = text_member(input, "CustomerMasterKeySpec");
            let spec = older.as_deref().unwrap_or(SYMMETRIC);
            copy("KeySpec", Some(spec), "kms:KeySpec");
            copy("KeySpec", Some(spec), "kms:CustomerMasterKeySpec");
            copy("KeyUsage", Some(ENCRYPT), "kms:KeyUsage");
            copy("KeyUsage", Some(ENCRYPT), "kms:CustomerMasterKeyUsage");
            copy("Origin", Some("AWS_KMS"), "kms:KeyOrigin");
        }
        "Encrypt" | "Decrypt" => copy("EncryptionAlgorithm", Some(SYMMETRIC), "kms:EncryptionAlgorithm"),
        "Sign" | "Verify" => {
            copy("SigningAlgorithm", None, "kms:SigningAlgorithm");
            copy("MessageType", Some("RAW"), "kms:MessageType");
        }
        "GenerateMac" | "VerifyMac" => copy("MacAlgorithm", None, "kms:MacAlgorithm"),
        "DeriveSharedSecret" => copy("KeyAgreementAlgorithm", None, "kms:KeyAgreementAlgorithm"),
        data_key if data_key.starts_with("GenerateDataKey") => {
            copy("EncryptionAlgorithm", Some(SYMMETRIC), "kms:EncryptionAlgorithm");
            copy("KeyPairSpec", None, "kms:DataKeyPairSpec");
        }
        "GetParametersForImport" => {
            copy("WrappingAlgorithm", None, "kms:WrappingAlgorithm");
            copy("WrappingKeySpec", None, "kms:WrappingKeySpec");
        }
        "ImportKeyMaterial" => copy("ExpirationModel", Some("KEY_MATERIAL_EXPIRES"), "kms:ExpirationModel"),
        "GetKeyPolicy" | "PutKeyPolicy" => copy("PolicyName", Some("default"), "kms:PolicyName"),
        "ReplicateKey" => copy("ReplicaRegion", None, "kms:ReplicaRegion"),
        "UpdatePrimaryRegion" => copy("PrimaryRegion", None, "kms:PrimaryRegion"),
        "CreateGrant" => {
            copy("GranteePrincipal", None, "kms:GranteePrincipal");
            copy("RetiringPrincipal", None, "kms:RetiringPrincipal");
        }
        _ => {}
    }
    let any = input.as_any();
    let mut set = |key: &str, values: Vec<String>| keys.push((key.to_owned(), values));
    if let Some(input) = any.downcast_ref::<CreateGrantInput>() {
        set("kms:GrantOperations", input.operations.clone());
        if let Some(constraints) = &input.constraints {
            let kinds = [
                (constraints.encryption_context_equals.is_some(), "EncryptionContextEquals"),
                (constraints.encryption_context_subset.is_some(), "EncryptionContextSubset"),
            ];
            let kinds = kinds.into_iter().filter(|(there, _)| *there).map(|(_, kind)| kind.to_owned());
            set("kms:GrantConstraintType", kinds.collect());
        }
    } else if let Some(input) = any.downcast_ref::<ScheduleKeyDeletionInput>() {
        let days = input.pending_window_in_days.unwrap_or(30);
        set("kms:ScheduleKeyDeletionPendingWindowInDays", vec![days.to_string()]);
    } else if let Some(input) = any.downcast_ref::<EnableKeyRotationInput>() {
        let days = input.rotation_period_in_days.unwrap_or(365);
        set("kms:RotationPeriodInDays", vec![days.to_string()]);
    } else if let Some(input) = any.downcast_ref::<PutKeyPolicyInput>() {
        let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
        set("kms:BypassPolicyLockoutSafetyCheck", vec![bypass.to_string()]);
    } else if let Some(input) = any.downcast_ref::<CreateKeyInput>() {
        let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
        set("kms:BypassPolicyLockoutSafetyCheck", vec![bypass.to_string()]);
        let multi_region = input.multi_region.unwrap_or(false);
        set("kms:MultiRegion", vec![multi_region.to_string()]);
        if multi_region {
            set("kms:MultiRegionKeyType", vec!["PRIMARY".to_owned()]);
        }
    } else if let Some(input) = any.downcast_ref::<ImportKeyMaterialInput>() {
        if let Some(at) = &input.valid_to {
            set("kms:ValidTo", vec![at.as_secs_f64().to_string()]);
        }
    } else if let Some(input) = any.downcast_ref::<TagResourceInput>() {
        tag_facts(&input.tags, keys);
    } else if let Some(input) = any.downcast_ref::<UntagResourceInput>() {
        condition_keys::removed_tags(keys, &input.tag_keys);
    }
}

/// What tags on a new key need beside the permission to make it.
fn tagging(cx: &Context, create: &Access, tags: &[Tag]) -> Option<Access> {
    let resource = cx.arn("kms", "key/*");
    (!tags.is_empty()).then(|| Access { resource, ..create.also("kms:TagResource") })
}

fn tag_facts(tags: &[Tag], keys: &mut ConditionKeys) {
    condition_keys::requested_tags(keys, tags.iter().map(|tag| (&tag.tag_key, &tag.tag_value)));
}

/// The encryption context, the grant tokens and the operations of a new grant. `destination` picks the second
/// context of a re-encryption.
fn asked(input: &dyn Structure, destination: bool) -> Asked<'_> {
    let any = input.as_any();
    macro_rules! with_context {
        ($($ty:ty),*) => {
            $(if let Some(input) = any.downcast_ref::<$ty>() {
                return Asked {
                    context: input.encryption_context.as_ref(),
                    tokens: input.grant_tokens.as_deref().unwrap_or_default(),
                    ..Asked::default()
                };
            })*
        };
    }
    macro_rules! with_tokens {
        ($($ty:ty),*) => {
            $(if let Some(input) = any.downcast_ref::<$ty>() {
                return Asked {
                    tokens: input.grant_tokens.as_deref().unwrap_or_default(),
                    ..Asked::default()
                };
            })*
        };
    }
    with_context!(
        EncryptInput,
        DecryptInput,
        GenerateDataKeyInput,
        GenerateDataKeyWithoutPlaintextInput,
        GenerateDataKeyPairInput,
        GenerateDataKeyPairWithoutPlaintextInput
    );
    with_tokens!(
        SignInput,
        VerifyInput,
        GenerateMacInput,
        VerifyMacInput,
        DeriveSharedSecretInput,
        EncapsulateInput,
        DecapsulateInput,
        GetPublicKeyInput,
        DescribeKeyInput
    );
    if let Some(input) = any.downcast_ref::<ReEncryptInput>() {
        let (from, to) = (&input.source_encryption_context, &input.destination_encryption_context);
        return Asked {
            context: if destination { to.as_ref() } else { from.as_ref() },
            tokens: input.grant_tokens.as_deref().unwrap_or_default(),
            ..Asked::default()
        };
    }
    if let Some(input) = any.downcast_ref::<CreateGrantInput>() {
        return Asked {
            tokens: input.grant_tokens.as_deref().unwrap_or_default(),
            granted: &input.operations,
            constraints: input.constraints.as_ref(),
            context: None,
        };
    }
    Asked::default()
}
