//! `AssumeRole`.

use crate::{Sts, errors, request};
use cloudlet_api_sts::*;
use cloudlet_identity::records::{Role, Tag, named};
use cloudlet_identity::{Caller, Holder, NewSession};
use cloudlet_service::{Arn, Context, Principal};

/// One hour: the default, and the most where one role's session assumes another.
const HOUR: i64 = 3_600;

impl Sts {
    /// Temporary credentials of a role, for whom its trust policy names.
    ///
    /// Errors: `AccessDenied` where the role does not exist, its trust policy does not allow the caller, or the
    /// caller's own policies do not; `ValidationError` for a session that would last too long;
    /// `MalformedPolicyDocument`, `PackedPolicyTooLarge`.
    pub async fn assume_role(&self, cx: &Context, input: AssumeRoleInput) -> Result<AssumeRoleOutput, Error> {
        if input.provided_contexts.as_ref().is_some_and(|contexts| !contexts.is_empty()) {
            return Err(Error::not_implemented_part("sts:AssumeRole ProvidedContexts"));
        }
        let account = account_of(&input.role_arn)?;
        let mfa = self.mfa(cx, input.serial_number.as_deref(), input.token_code.as_deref()).await?;
        let caller = self.identities.caller(cx);
        let role = self.role(&account, &input.role_arn)?.ok_or_else(|| {
            let arn = &input.role_arn;
            let who = caller.who.arn();
            errors::denied(format!(
                "User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ))
        })?;
        let policies = self.policies(&account, input.policy, input.policy_arns)?;
        let mut session_tags = request::tags(input.tags)?;
        let transitive =
            transitive(&caller, &mut session_tags, input.transitive_tag_keys.unwrap_or_default())?;
        let source_identity = source_identity(&caller, input.source_identity)?;
        let packed_policy_size = request::packed(&policies, &session_tags)?;

        let mut keys = vec![("sts:RoleSessionName".to_owned(), vec![input.role_session_name.clone()])];
        keys.extend(input.external_id.map(|id| ("sts:ExternalId".to_owned(), vec![id])));
        keys.extend(source_identity.clone().map(|id| ("sts:SourceIdentity".to_owned(), vec![id])));
        if mfa.is_some() {
            keys.push(("aws:MultiFactorAuthPresent".to_owned(), vec!["true".to_owned()]));
            keys.push(("aws:MultiFactorAuthAge".to_owned(), vec!["0".to_owned()]));
        }
        if !session_tags.is_empty() {
            keys.push(("aws:TagKeys".to_owned(), session_tags.iter().map(|t| t.key.clone()).collect()));
            keys.push(("sts:TransitiveTagKeys".to_owned(), transitive.clone()));
            let given =
                session_tags.iter().map(|t| (format!("aws:RequestTag/{}", t.key), vec![t.value.clone()]));
            keys.extend(given);
        }
        let identities = &self.identities;
        identities.may_assume(cx, "sts:AssumeRole", &role, &keys)?;
        self.check_region(cx, &account)?;
        // Tags and identities that a session hands on need a permission of their own.
        if !session_tags.is_empty() {
            identities.may_assume(cx, "sts:TagSession", &role, &keys)?;
        }
        if source_identity.is_some() {
            identities.may_assume(cx, "sts:SetSourceIdentity", &role, &keys)?;
        }

        let seconds = duration(cx, &role, input.duration_seconds)?;
        let holder = Holder::Role {
            name: role.name.clone(),
            id: role.id.clone(),
            session: input.role_session_name.clone(),
        };
        let credentials = identities.mint(NewSession {
            policies: policies.inline,
            policy_arns: policies.arns,
            tags: session_tags,
            transitive,
            source_identity: source_identity.clone(),
            ..NewSession::new(&account, holder, seconds)
        })?;
        Ok(AssumeRoleOutput {
            credentials: Some(request::shown(credentials)),
            assumed_role_user: Some(assumed(&role, &input.role_session_name)),
            packed_policy_size,
            source_identity,
            ..Default::default()
        })
    }

    /// The role with this ARN.
    pub(super) fn role(&self, account: &str, arn: &str) -> Result<Option<Role>, Error> {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let role =
            self.identities.store().table::<Role>().get(&named(account, name)).map_err(Error::internal)?;
        Ok(role.filter(|role| role.arn() == arn))
    }
}

/// The account in a role's ARN.
pub(super) fn account_of(arn: &str) -> Result<String, Error> {
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    match parsed {
        Some(parsed) if parsed.account.len() == 12 => Ok(parsed.account.to_owned()),
        _ => Err(errors::validation(format!("{arn} is invalid"))),
    }
}

pub(super) fn assumed(role: &Role, session: &str) -> AssumedRoleUser {
    AssumedRoleUser {
        assumed_role_id: format!("{}:{session}", role.id),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{session}", role.account, role.name),
    }
}

/// How long the session lasts.
fn duration(cx: &Context, role: &Role, asked: Option<i32>) -> Result<i64, Error> {
    let seconds = duration_of(role, asked.map(i64::from))?;
    if matches!(cx.principal, Principal::AssumedRole { .. }) && seconds > HOUR {
        return Err(errors::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    Ok(seconds)
}

/// How long a session of a role lasts, whoever takes it on.
pub(super) fn duration_of(role: &Role, asked: Option<i64>) -> Result<i64, Error> {
    let seconds = asked.unwrap_or(HOUR);
    if seconds > i64::from(role.max_session) {
        return Err(errors::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

/// The transitive keys of the new session: those asked for and those the caller's session hands on with their tags.
fn transitive(caller: &Caller, tags: &mut Vec<Tag>, mut keys: Vec<String>) -> Result<Vec<String>, Error> {
    let bad = |message: &'static str| Error::sender("InvalidParameterValue", message);
    for key in &keys {
        if !tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key)) {
            return Err(bad("The specified transitive tag key must be included in the requested tags."));
        }
    }
    let Some(claims) = &caller.claims else { return Ok(keys) };
    for key in &claims.transitive {
        if tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key)) {
            return Err(bad(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                 from the calling session.",
            ));
        }
        tags.extend(claims.tags.iter().find(|tag| tag.key.eq_ignore_ascii_case(key)).cloned());
        keys.push(key.clone());
    }
    Ok(keys)
}

/// The source identity of the new session: once set, it stays through every role that follows.
fn source_identity(caller: &Caller, asked: Option<String>) -> Result<Option<String>, Error> {
    let set = caller.claims.as_ref().and_then(|claims| claims.source_identity.clone());
    match (set, asked) {
        (Some(set), Some(asked)) if set != asked => {
            Err(errors::denied("Source Identity does not match the Source Identity of the calling session."))
        }
        (set, asked) => Ok(set.or(asked)),
    }
}
