//! Sessions of users: `GetSessionToken` and `GetFederationToken`.

use crate::{Sts, errors, request};
use cloudlet_api_sts::*;
use cloudlet_identity::{Holder, NewSession};
use cloudlet_service::{Context, Principal};

/// Twelve hours.
const DEFAULT: i64 = 43_200;

/// Root users' sessions last an hour at most; a longer one is cut.
const ROOT: i64 = 3_600;

impl Sts {
    /// Temporary credentials of the caller itself.
    ///
    /// Errors: `AccessDenied` for temporary credentials and for a wrong MFA code.
    pub async fn get_session_token(
        &self,
        cx: &Context,
        input: GetSessionTokenInput,
    ) -> Result<GetSessionTokenOutput, Error> {
        self.long_term(cx, "GetSessionToken")?;
        self.check_region(cx, cx.principal.account())?;
        let mfa = self.mfa(cx, input.serial_number.as_deref(), input.token_code.as_deref()).await?;
        let mut seconds = input.duration_seconds.map_or(DEFAULT, i64::from);
        let holder = match &cx.principal {
            Principal::Root { .. } => {
                seconds = seconds.min(ROOT);
                Holder::Root
            }
            Principal::User { name, id, .. } => Holder::User { name: name.to_string(), id: id.to_string() },
            _ => return Err(errors::denied("Cannot call GetSessionToken with session credentials")),
        };
        let session = NewSession { mfa, ..NewSession::new(cx.principal.account(), holder, seconds) };
        let credentials = self.identities.mint(session)?;
        Ok(GetSessionTokenOutput { credentials: Some(request::shown(credentials)), ..Default::default() })
    }

    /// Temporary credentials for somebody whom the caller vouches for: no more than the caller's own permissions, and
    /// no more than the policies passed.
    ///
    /// Errors: `AccessDenied` for temporary credentials, `MalformedPolicyDocument`, `PackedPolicyTooLarge`.
    pub async fn get_federation_token(
        &self,
        cx: &Context,
        input: GetFederationTokenInput,
    ) -> Result<GetFederationTokenOutput, Error> {
        self.long_term(cx, "GetFederationToken")?;
        self.check_region(cx, cx.principal.account())?;
        let account = cx.principal.account();
        let policies = self.policies(account, input.policy, input.policy_arns)?;
        let tags = request::tags(input.tags)?;
        let packed_policy_size = request::packed(&policies, &tags)?;
        let mut seconds = input.duration_seconds.map_or(DEFAULT, i64::from);
        let issuer = match &cx.principal {
            Principal::User { name, id, .. } => Some((name.to_string(), id.to_string())),
            _ => {
                seconds = seconds.min(ROOT);
                None
            }
        };
        let holder = Holder::Federated { name: input.name.clone(), issuer };
        let credentials = self.identities.mint(NewSession {
            policies: policies.inline,
            policy_arns: policies.arns,
            tags,
            ..NewSession::new(account, holder, seconds)
        })?;
        let federated_user = FederatedUser {
            federated_user_id: format!("{account}:{}", input.name),
            arn: format!("arn:aws:sts::{account}:federated-user/{}", input.name),
        };
        Ok(GetFederationTokenOutput {
            credentials: Some(request::shown(credentials)),
            federated_user: Some(federated_user),
            packed_policy_size,
            ..Default::default()
        })
    }

    /// Refuses callers with temporary credentials.
    fn long_term(&self, cx: &Context, operation: &str) -> Result<(), Error> {
        let long = matches!(cx.principal, Principal::Root { .. } | Principal::User { .. });
        if long && self.identities.caller(cx).claims.is_none() {
            return Ok(());
        }
        Err(errors::denied(format!("Cannot call {operation} with session credentials")))
    }
}
