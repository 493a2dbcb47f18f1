//! Grants as permissions: whom they allow what.
//!
//! Source: AWS KMS Developer Guide, "Grants in AWS KMS".

use crate::Kms;
use crate::access::Asked;
use crate::crypto::Rng;
use crate::errors::stored;
use crate::policy::effective;
use crate::state::{Grant, KeyRecord, grant_place};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cloudlet_access::Policy;
use cloudlet_api_kms::*;
use cloudlet_service::api::Operation;
use cloudlet_service::{Access, Arn, Principal};
use serde_json::{Value, json};

/// What a grant token begins with, before its key and its grant.
const TOKEN: &str = "cloudlet-grant 1";

/// Policies that are kept with a key.
const MERGED: usize = 1000;

impl Kms {
    /// The key's policy and a statement for the grant that allows the caller this action; `None` without one.
    pub(crate) fn with_grants(
        &self,
        cx: &Context,
        key: &KeyRecord,
        action: &str,
        asked: Asked<'_>,
    ) -> Result<Option<Policy>, Error> {
        let Some(operation) = action.strip_prefix("kms:") else { return Ok(None) };
        let grants = match key.granted.all.get() {
            Some(grants) => grants.clone(),
            None => {
                let read = self.grants(key)?.into();
                key.granted.all.get_or_init(|| read).clone()
            }
        };
        if !grants.iter().any(|grant| grant.allows(&cx.principal, operation, asked)) {
            return Ok(None);
        }
        let caller = match &cx.principal {
            Principal::Service { name, .. } => name.to_string(),
            principal => principal.arn(),
        };
        let merged = (caller, action.to_owned());
        if let Some(policy) = key.granted.merged.lock().get(&merged) {
            return Ok(Some(policy.clone()));
        }
        let principal = match &cx.principal {
            Principal::Service { name, .. } => json!({ "Service": &**name }),
            principal => json!({ "AWS": principal.arn() }),
        };
        let mut document: Value = serde_json::from_str(&key.policy).map_err(Error::internal)?;
        let statement =
            json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" });
        match document.get_mut("Statement") {
            Some(Value::Array(all)) => all.push(statement),
            Some(one) => *one = json!([one.take(), statement]),
            None => return Ok(None),
        }
        let policy = effective(&document.to_string()).map_err(Error::internal)?;
        let Some(policy) = policy else { return Ok(None) };
        let mut all = key.granted.merged.lock();
        if all.len() >= MERGED {
            all.clear();
        }
        all.insert(merged, policy.clone());
        Ok(Some(policy))
    }

    /// All grants of a key, by id.
    pub(crate) fn grants(&self, key: &KeyRecord) -> Result<Vec<Grant>, Error> {
        let rows = self.store.table::<Grant>().scan(key.place().prefix_range(), false);
        rows.map(|row| row.map(|(_, grant)| grant)).collect::<Result<_, _>>().map_err(stored)
    }

    /// The key and the grant that a `RetireGrant` means.
    ///
    /// Errors: `ValidationException`, `InvalidGrantTokenException`, `NotFoundException`.
    pub(crate) async fn retired(
        &self,
        cx: &Context,
        input: &RetireGrantInput,
    ) -> Result<(std::sync::Arc<KeyRecord>, Grant), Error> {
        let (key_id, grant_id) = match (&input.grant_token, &input.key_id, &input.grant_id) {
            (Some(token), None, None) => open_token(token)?,
            (None, Some(key), Some(grant)) => (key.clone(), grant.clone()),
            (None, _, _) => {
                return Err(Error::validation(
                    "Must specify either a GrantToken or both a KeyId and GrantId",
                ));
            }
            _ => {
                return Err(Error::validation(
                    "GrantToken and GrantId/KeyId are mutually exclusive. Specify one or the other.",
                ));
            }
        };
        let key = self.own_key(cx, &key_id).await?;
        let found = self.store.table::<Grant>().get(&grant_place(&key, &grant_id)).map_err(stored)?;
        let grant = found.ok_or_else(|| no_grant(&grant_id))?;
        Ok((key, grant))
    }

    /// Who may retire a grant: whom it says, or whom the key's policy says.
    pub(crate) async fn retire_access(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &RetireGrantInput,
    ) -> Result<Vec<Access>, Error> {
        let (key, grant) = self.retired(cx, input).await?;
        let retiring = grant.retiring.as_deref();
        let is_retiring = retiring.is_some_and(|who| names(who, grant.retiring_is_service, &cx.principal));
        let may = grant.operations.iter().any(|op| op == "RetireGrant");
        if is_retiring || (may && names(&grant.grantee, grant.grantee_is_service, &cx.principal)) {
            return Ok(Vec::new());
        }
        let action = op.access.first().map_or("kms:RetireGrant", |rule| rule.action);
        Ok(vec![self.of(cx, action, &key, Asked::default())?])
    }
}

impl Grant {
    fn allows(&self, caller: &Principal, operation: &str, asked: Asked<'_>) -> bool {
        if !self.operations.iter().any(|op| op == operation)
            || !names(&self.grantee, self.grantee_is_service, caller)
        {
            return false;
        }
        if !asked.granted.iter().all(|op| self.operations.contains(op)) {
            return false;
        }
        if let Some(wanted) = &self.source_arn
            && !matches!(caller, Principal::Service { source_arn: Some(arn), .. } if **arn == **wanted)
        {
            return false;
        }
        // Constraints bind cryptography alone, and the grants that grantees make.
        if matches!(operation, "DescribeKey" | "RetireGrant" | "GetPublicKey") {
            return true;
        }
        let empty = BTreeMap::new();
        if operation == "CreateGrant" {
            return self.covers(asked.constraints);
        }
        let context = asked.context.unwrap_or(&empty);
        self.equals.as_ref().is_none_or(|equals| equals == context)
            && self
                .subset
                .as_ref()
                .is_none_or(|subset| subset.iter().all(|(name, value)| context.get(name) == Some(value)))
    }
}

impl Grant {
    /// Whether a grant with these constraints would allow no more than this one does.
    fn covers(&self, constraints: Option<&GrantConstraints>) -> bool {
        let none = GrantConstraints::default();
        let child = constraints.unwrap_or(&none);
        let equals = child.encryption_context_equals.as_ref();
        let named = equals.or(child.encryption_context_subset.as_ref());
        self.equals.as_ref().is_none_or(|mine| equals == Some(mine))
            && self.subset.as_ref().is_none_or(|mine| {
                mine.iter().all(|(name, value)| named.and_then(|named| named.get(name)) == Some(value))
            })
    }
}

/// Whether a principal of a grant is this caller: itself, the role behind its session, or its account.
fn names(who: &str, is_service: bool, caller: &Principal) -> bool {
    if let Principal::Service { name, .. } = caller {
        return **name == *who;
    }
    if is_service {
        return false;
    }
    who == caller.arn()
        || caller.role_arn().as_deref() == Some(who)
        || who == caller.account()
        || Arn::parse(who).is_some_and(|arn| {
            arn.service == "iam" && arn.resource == "root" && arn.account == caller.account()
        })
}

pub(crate) fn no_grant(id: &str) -> Error {
    NotFoundException::error(format!("Grant ID {id} not found"))
}

/// A token of a grant. It is a name, not a secret: what it allows, the grant allows without it. Every call that gives one
/// gives another, and all of them will do.
pub(crate) fn token(key: &KeyRecord, grant: &str, rng: &Rng<'_>) -> String {
    STANDARD_NO_PAD.encode(format!("{TOKEN} {} {grant} {}", key.arn(), hex::encode(rng.bytes::<8>())))
}

/// The ARN of the key and the id of the grant in a token.
fn open_token(token: &str) -> Result<(String, String), Error> {
    let bad = || InvalidGrantTokenException::error("Invalid grant token");
    let text = String::from_utf8(STANDARD_NO_PAD.decode(token).map_err(|_| bad())?).map_err(|_| bad())?;
    let rest = text.strip_prefix(TOKEN).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(bad)?;
    let mut parts = rest.split(' ');
    let (key, grant) = parts.next().zip(parts.next()).ok_or_else(bad)?;
    Ok((key.to_owned(), grant.to_owned()))
}

/// Errors: `InvalidGrantTokenException`.
pub(crate) fn check_token(token: &str) -> Result<(), Error> {
    open_token(token).map(|_| ())
}
