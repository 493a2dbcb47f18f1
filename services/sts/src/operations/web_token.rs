//! `GetWebIdentityToken`: a token about the caller that services outside can check.
//!
//! Source: STS API Reference, `GetWebIdentityToken`; IAM User Guide, "Understanding token claims".

use crate::{Sts, errors, request};
use cloudlet_api_sts::*;
use cloudlet_service::{Context, Principal};
use serde_json::{Map, Value, json};

/// How long a token is good where the request does not say, in seconds.
const DEFAULT: i64 = 300;
/// The longest payload, in bytes. AWS names no number.
const LARGEST: usize = 8_192;
/// The claim that holds what AWS says of the caller.
const CLAIMS: &str = "https://sts.amazonaws.com/";

impl Sts {
    /// Issues the token.
    ///
    /// Errors: `OutboundWebIdentityFederationDisabledException`, `SessionDurationEscalationException`,
    /// `JWTPayloadSizeExceededException`, `ValidationError`, `InvalidParameterValue`.
    pub async fn get_web_identity_token(
        &self,
        cx: &Context,
        input: GetWebIdentityTokenInput,
    ) -> Result<GetWebIdentityTokenOutput, Error> {
        if input.scope.is_some() || input.subject_mode.as_deref().is_some_and(|mode| mode != "AWSIdentity") {
            return Err(Error::not_implemented_part("sts:GetWebIdentityToken Scope and OriginIdentity"));
        }
        let issuer = self.identities.issuer(&cx.account)?.filter(|issuer| issuer.enabled).ok_or_else(|| {
            OutboundWebIdentityFederationDisabledException::error(
                "The outbound web identity federation feature is not enabled for this account. To use this feature, you \
                 must first enable it through the AWS Management Console or API.",
            )
        })?;
        let tags = request::tags(input.tags)?;
        let caller = self.identities.caller(cx);
        let now = cx.millis().div_euclid(1000);
        let end = now + input.duration_seconds.map_or(DEFAULT, i64::from);
        if caller.claims.as_ref().is_some_and(|claims| claims.expires < end) {
            return Err(SessionDurationEscalationException::error(
                "The requested token duration would extend the session beyond its original expiration time. You cannot \
                 use this operation to extend the lifetime of a session beyond what was granted when the session was \
                 originally created.",
            ));
        }
        // A session of a role is known outside by its role.
        let subject = match &cx.principal {
            Principal::AssumedRole { .. } => cx.principal.role_arn().unwrap_or_default(),
            principal => principal.arn(),
        };
        let mut about = Map::new();
        let mut say = |name: &str, value: Value| about.insert(name.to_owned(), value);
        say("aws_account", json!(*cx.account));
        say("source_region", json!(*cx.region));
        say("principal_id", json!(subject));
        if let Some(above) = self.identities.above(&cx.account).map_err(Error::internal)? {
            say("org_id", json!(above.organization));
            say("ou_path", json!([above.path]));
        }
        let own = self.identities.principal_tags(&caller)?;
        let object = |tags: &[cloudlet_identity::records::Tag]| -> Value {
            tags.iter().map(|tag| (tag.key.clone(), json!(tag.value))).collect::<Map<_, _>>().into()
        };
        if !own.is_empty() {
            say("principal_tags", object(&own));
        }
        if !tags.is_empty() {
            say("request_tags", object(&tags));
        }
        if let Some(claims) = &caller.claims {
            let end = DateTime::from_secs(claims.expires);
            let format = aws_smithy_types::date_time::Format::DateTime;
            say("original_session_exp", json!(end.fmt(format).unwrap_or_default()));
            if let Some(provider) = &claims.provider {
                say("federated_provider", json!(provider));
            }
        }
        let audience = match input.audience.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let claims = json!({
            "iss": issuer.url(cx.cloud.endpoint()),
            "aud": audience,
            "sub": subject,
            "iat": now,
            "exp": end,
            "jti": cx.random().uuid(),
            CLAIMS: about,
        });
        if claims.to_string().len() > LARGEST {
            return Err(JWTPayloadSizeExceededException::error(
                "The requested token payload size exceeds the maximum allowed size. Reduce the number of request tags \
                 included in the GetWebIdentityToken API call to reduce the token payload size.",
            ));
        }
        let token = issuer.sign(&input.signing_algorithm, &claims)?.ok_or_else(|| {
            errors::validation(format!(
                "1 validation error detected: Value '{}' at 'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [ES384, RS256]",
                input.signing_algorithm
            ))
        })?;
        Ok(GetWebIdentityTokenOutput {
            web_identity_token: Some(token),
            expiration: Some(DateTime::from_secs(end)),
        })
    }
}
