//! Grants: made, listed, retired, revoked.
//!
//! Source: API Reference, `CreateGrant`; AWS KMS Developer Guide, "Grants in AWS KMS".

use super::page;
use crate::crypto::Rng;
use crate::errors::{Failure, dry_run, limit, stored, validation};
use crate::grants::{no_grant, token};
use crate::state::{Grant, KeyRecord, grant_place, place};
use crate::{Kms, shown, spec, usable};
use cloudlet_api_kms::*;
use cloudlet_service::Arn;
use cloudlet_store::Key;

/// AWS: the most grants of one key.
const MOST: u32 = 50_000;
/// AWS: the largest constraint. Source: API Reference, `CreateGrant`, `Constraints`.
const MOST_PAIRS: usize = 8;
const LONGEST_PAIRS: usize = 384;

impl Kms {
    /// Makes a grant, or gives the one that is the same in everything and has the same name.
    ///
    /// Errors: `InvalidArnException`, `ValidationException`, `DisabledException`, `LimitExceededException`.
    pub async fn create_grant(
        &self,
        cx: &Context,
        input: CreateGrantInput,
    ) -> Result<CreateGrantOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        usable(&key)?;
        let rng = Rng(cx.random());
        let id = hex::encode(rng.bytes::<32>());
        let token = token(&key, &id, &rng);
        let issuer = format!("arn:{}:iam::{}:root", key.partition, key.account);
        let grant = wanted(&key, input, (id, token), issuer, cx.millis())?;
        dry_run(grant.1)?;
        let grant = grant.0;
        if grant.name.is_some() {
            let same = self.grants(&key)?.into_iter().find(|there| is_same(there, &grant));
            if let Some(there) = same {
                return Ok(CreateGrantOutput {
                    grant_token: Some(crate::grants::token(&key, &there.id, &rng)),
                    grant_id: Some(there.id),
                    ..Default::default()
                });
            }
        }
        self.change(&key, |tx, key| {
            usable(key)?;
            if key.grants >= MOST {
                return Err(Failure(limit(format!(
                    "The key {} has reached the limit of {MOST} grants.",
                    key.arn()
                ))));
            }
            key.grants += 1;
            Ok(tx.put(&grant_place(key, &grant.id), &grant)?)
        })
        .await?;
        Ok(CreateGrantOutput {
            grant_token: Some(grant.token),
            grant_id: Some(grant.id),
            ..Default::default()
        })
    }

    /// Errors: `NotFoundException`, `InvalidMarkerException`.
    pub async fn list_grants(&self, cx: &Context, input: ListGrantsInput) -> Result<ListGrantsOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        if input.grantee_principal.is_some() && input.grantee_service_principal.is_some() {
            return Err(validation(
                "You cannot specify both GranteePrincipal and GranteeServicePrincipal in the same request.",
            ));
        }
        let mut grants = self.grants(&key)?;
        grants.retain(|grant| {
            input.grant_id.as_ref().is_none_or(|id| grant.id == *id)
                && input.grantee_principal.as_ref().is_none_or(|who| grant.grantee == *who)
                && input
                    .grantee_service_principal
                    .as_ref()
                    .is_none_or(|who| grant.grantee_is_service && grant.grantee == *who)
        });
        let (grants, next_marker, truncated) =
            page(grants, input.limit, (50, 100), input.marker.as_deref(), |grant| grant.id.clone())?;
        let grants = grants.into_iter().map(|grant| entry(&key, grant)).collect();
        Ok(ListGrantsOutput {
            grants: Some(grants),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }

    /// The grants that a principal may retire: of the account's keys, and of other accounts' where the principal is the
    /// account's own.
    ///
    /// Errors: `InvalidMarkerException`, `ValidationException`.
    pub async fn list_retirable_grants(
        &self,
        cx: &Context,
        input: ListRetirableGrantsInput,
    ) -> Result<ListRetirableGrantsOutput, Error> {
        if input.retiring_principal.is_some() && input.retiring_service_principal.is_some() {
            return Err(validation(
                "You cannot specify both RetiringPrincipal and RetiringServicePrincipal in the same request.",
            ));
        }
        let who = input.retiring_principal.or(input.retiring_service_principal);
        let who = who.ok_or_else(|| {
            validation(
                "1 validation error detected: Value null at 'retiringPrincipal' failed to satisfy constraint: Member \
                 must not be null",
            )
        })?;
        let mut found = Vec::new();
        let own = who == *cx.account || Arn::parse(&who).is_some_and(|arn| arn.account == &*cx.account);
        let keys = if own { Key::new() } else { place(&cx.account, &cx.region) };
        for row in self.store.table::<KeyRecord>().scan(keys.prefix_range(), false) {
            let (_, key) = row.map_err(stored)?;
            if key.grants > 0 && key.region == *cx.region {
                let grants = self.grants(&key)?.into_iter();
                let mine = grants.filter(|grant| grant.retiring.as_ref() == Some(&who));
                found.extend(mine.map(|grant| entry(&key, grant)));
            }
        }
        let place = |grant: &GrantListEntry| {
            format!(
                "{} {}",
                grant.key_id.as_deref().unwrap_or_default(),
                grant.grant_id.as_deref().unwrap_or_default()
            )
        };
        let (grants, next_marker, truncated) =
            page(found, input.limit, (50, 100), input.marker.as_deref(), place)?;
        Ok(ListRetirableGrantsOutput {
            grants: Some(grants),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }

    /// Errors: `NotFoundException`, `InvalidGrantTokenException`, `ValidationException`.
    pub async fn retire_grant(
        &self,
        cx: &Context,
        input: RetireGrantInput,
    ) -> Result<RetireGrantOutput, Error> {
        let (key, grant) = self.retired(cx, &input).await?;
        dry_run(input.dry_run)?;
        self.forget_grant(&key, &grant.id).await?;
        Ok(RetireGrantOutput::default())
    }

    /// Errors: `NotFoundException`, `InvalidGrantIdException`.
    pub async fn revoke_grant(
        &self,
        cx: &Context,
        input: RevokeGrantInput,
    ) -> Result<RevokeGrantOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        let found =
            self.store.table::<Grant>().exists(&grant_place(&key, &input.grant_id)).map_err(stored)?;
        if !found {
            return Err(no_grant(&input.grant_id));
        }
        dry_run(input.dry_run)?;
        self.forget_grant(&key, &input.grant_id).await?;
        Ok(RevokeGrantOutput::default())
    }

    async fn forget_grant(&self, key: &KeyRecord, id: &str) -> Result<(), Error> {
        let at = grant_place(key, id);
        self.change(key, |tx, key| {
            if !tx.exists::<Grant>(&at)? {
                return Err(Failure(no_grant(id)));
            }
            key.grants = key.grants.saturating_sub(1);
            Ok(tx.delete::<Grant>(&at)?)
        })
        .await
    }
}

/// The grant that a request asks for, and whether it is only asked.
fn wanted(
    key: &KeyRecord,
    input: CreateGrantInput,
    (id, token): (String, String),
    issuer: String,
    now: i64,
) -> Result<(Grant, Option<bool>), Error> {
    let (grantee, grantee_is_service) = match (input.grantee_principal, input.grantee_service_principal) {
        (Some(who), None) => (who, false),
        (None, Some(who)) => (who, true),
        (None, None) => {
            return Err(validation("You must specify either GranteePrincipal or GranteeServicePrincipal."));
        }
        _ => {
            return Err(validation(
                "You cannot specify both GranteePrincipal and GranteeServicePrincipal in the same request.",
            ));
        }
    };
    let (retiring, retiring_is_service) = match (input.retiring_principal, input.retiring_service_principal) {
        (Some(_), Some(_)) => {
            return Err(validation(
                "You cannot specify both RetiringPrincipal and RetiringServicePrincipal in the same request.",
            ));
        }
        (Some(who), None) => (Some(who), false),
        (None, who) => {
            let is_service = who.is_some();
            (who, is_service)
        }
    };
    if !grantee_is_service {
        check_principal(&grantee)?;
    }
    if let Some(who) = retiring.as_deref().filter(|_| !retiring_is_service) {
        check_principal(who)?;
    }
    if input.operations.is_empty() {
        return Err(validation("Operations must not be empty."));
    }
    for operation in &input.operations {
        if !spec::grantable(&key.spec, &key.usage, operation) {
            return Err(validation(format!(
                "Grant operation {operation} is not supported for key spec {} and key usage {}.",
                key.spec, key.usage
            )));
        }
    }
    let constraints = input.constraints.unwrap_or_default();
    let (subset, equals) = (constraints.encryption_context_subset, constraints.encryption_context_equals);
    if (subset.is_some() || equals.is_some()) && !key.is_symmetric() {
        return Err(validation(
            "Encryption context constraints are only supported in grants on symmetric encryption keys.",
        ));
    }
    for pairs in [&subset, &equals].into_iter().flatten() {
        let text =
            pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum::<usize>();
        if pairs.len() > MOST_PAIRS || text > LONGEST_PAIRS {
            return Err(validation(format!(
                "A grant constraint can include up to {MOST_PAIRS} encryption context pairs of {LONGEST_PAIRS} characters \
                 together.",
            )));
        }
    }
    if grantee_is_service && (constraints.source_arn.is_none() || retiring.is_none()) {
        return Err(validation(
            "A grant to a GranteeServicePrincipal needs a SourceArn constraint and a RetiringPrincipal or \
             RetiringServicePrincipal.",
        ));
    }
    let grant = Grant {
        token,
        id,
        name: input.name,
        created: now,
        grantee,
        grantee_is_service,
        retiring,
        retiring_is_service,
        issuer,
        operations: input.operations,
        subset,
        equals,
        source_arn: constraints.source_arn,
    };
    Ok((grant, input.dry_run))
}

/// A principal is an ARN of IAM or STS, an account, or a service's name.
fn check_principal(who: &str) -> Result<(), Error> {
    let is_arn =
        Arn::parse(who).is_some_and(|arn| arn.account.len() == 12 && is_identity(arn.service, arn.resource));
    let is_account = who.len() == 12 && who.bytes().all(|b| b.is_ascii_digit());
    if is_arn || is_account || who.ends_with(".amazonaws.com") {
        return Ok(());
    }
    Err(InvalidArnException::error(format!("ARN does not refer to a valid principal: {who}")))
}

/// Groups are no principals, nor is anything else that IAM keeps.
fn is_identity(service: &str, resource: &str) -> bool {
    match (service, resource.split_once('/').map_or(resource, |(kind, _)| kind)) {
        ("iam", "root") => resource == "root",
        ("iam", "user" | "role") | ("sts", "assumed-role" | "federated-user") => resource.contains('/'),
        _ => false,
    }
}

fn is_same(there: &Grant, new: &Grant) -> bool {
    there.name == new.name
        && there.grantee == new.grantee
        && there.retiring == new.retiring
        && there.operations == new.operations
        && there.subset == new.subset
        && there.equals == new.equals
        && there.source_arn == new.source_arn
}

fn entry(key: &KeyRecord, grant: Grant) -> GrantListEntry {
    let constrained = grant.subset.is_some() || grant.equals.is_some() || grant.source_arn.is_some();
    let constraints = constrained.then(|| GrantConstraints {
        encryption_context_subset: grant.subset,
        encryption_context_equals: grant.equals,
        source_arn: grant.source_arn,
        ..Default::default()
    });
    let grantee = Some(grant.grantee);
    let (grantee_principal, grantee_service_principal) =
        if grant.grantee_is_service { (None, grantee) } else { (grantee, None) };
    let (retiring_principal, retiring_service_principal) =
        if grant.retiring_is_service { (None, grant.retiring) } else { (grant.retiring, None) };
    GrantListEntry {
        key_id: Some(key.arn()),
        grant_id: Some(grant.id),
        name: Some(grant.name.unwrap_or_default()),
        creation_date: Some(shown::when(grant.created)),
        grantee_principal,
        grantee_service_principal,
        retiring_principal,
        retiring_service_principal,
        issuing_account: Some(grant.issuer),
        operations: Some(grant.operations),
        constraints,
        ..Default::default()
    }
}
