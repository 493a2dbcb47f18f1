//! `GetScopedCredentials`: the caller's own session again, narrower or shorter.

use crate::{Sts, errors, request};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_sts::*;
use cloudlet_service::Context;

/// How many policies may narrow a session one after the other.
const LAYERS: usize = 3;

impl Sts {
    /// Credentials of the calling session that may do no more than it and than the policy given, and end no later.
    ///
    /// Errors: `InvalidSubjectCredentials` for long-term credentials, `InsufficientSessionLifetime`, `AccessDenied` for
    /// a fourth policy, `MalformedPolicyDocument`, `PackedPolicyTooLarge`, `ValidationError`.
    pub async fn get_scoped_credentials(
        &self,
        cx: &Context,
        input: GetScopedCredentialsInput,
    ) -> Result<GetScopedCredentialsOutput, Error> {
        if input.policy.is_none() && input.duration_seconds.is_none() {
            return Err(errors::validation("You must specify at least one of Policy or DurationSeconds."));
        }
        let caller = self.identities.caller(cx);
        let claims = caller.claims.as_ref().ok_or_else(|| {
            InvalidSubjectCredentialsException::error(
                "Cannot call GetScopedCredentials with long-term credentials.",
            )
        })?;
        self.check_region(cx, &claims.account)?;
        let now = cx.millis().div_euclid(1000);
        let expires = match input.duration_seconds {
            Some(seconds) if now + i64::from(seconds) > claims.expires => {
                return Err(InsufficientSessionLifetimeException::error(
                    "The requested DurationSeconds is greater than the remaining lifetime of the calling session.",
                ));
            }
            Some(seconds) => now + i64::from(seconds),
            None => claims.expires,
        };
        if let Some(document) = &input.policy {
            Policy::parse(document, PolicyKind::Session)
                .map_err(|error| MalformedPolicyDocumentException::error(error.to_string()))?;
            if claims.scopes.len() >= LAYERS {
                return Err(errors::denied(format!(
                    "A session can have at most {LAYERS} scope down policies."
                )));
            }
            let together = claims.scopes.iter().chain(&claims.policies).chain(&input.policy);
            request::packed(
                &request::Policies { inline: together.cloned().collect(), arns: claims.policy_arns.clone() },
                &claims.tags,
            )?;
        }
        let least = input.minimum_session_token_size.and_then(|size| usize::try_from(size).ok());
        let count = claims.scopes.len() + usize::from(input.policy.is_some());
        let made = self.identities.narrow(claims, input.policy, expires, least.unwrap_or_default())?;
        Ok(GetScopedCredentialsOutput {
            session_info: Some(ScopedSession {
                scoped_session_id: cx.principal.user_id(),
                arn: cx.principal.arn(),
                ..Default::default()
            }),
            session_token_size: i32::try_from(made.session_token.len()).ok(),
            scoped_policies_count: i32::try_from(count).ok(),
            source_identity: claims.source_identity.clone(),
            credentials: Some(request::shown(made)),
            ..Default::default()
        })
    }
}
