//! `AssumeRoleWithWebIdentity`: a provider's token for the credentials of a role.
//!
//! Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM" and "IAM and AWS STS condition
//! context keys"; the messages are those that STS answers with.

use super::assume::{account_of, assumed};
use super::federated::{self, Federation};
use crate::keysets::Lookup;
use crate::{Sts, request};
use cloudlet_access::PrincipalRef;
use cloudlet_api_sts::*;
use cloudlet_identity::fetch::Unfetched;
use cloudlet_identity::jwt::Token;
use cloudlet_identity::records::{OidcProvider, Tag};
use cloudlet_service::Context;
use cloudlet_store::Key;
use serde_json::Value;

/// The claim that carries session tags.
const TAGS: &str = "https://aws.amazon.com/tags";
/// The claim that carries a source identity.
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

impl Sts {
    /// Temporary credentials of a role for the bearer of a token that a registered provider signed.
    ///
    /// Errors: `InvalidIdentityToken`, `ExpiredTokenException`, `AccessDenied` where the role does not trust the bearer
    /// or is not there, `ValidationError`, `MalformedPolicyDocument`, `PackedPolicyTooLarge`.
    pub async fn assume_role_with_web_identity(
        &self,
        cx: &Context,
        input: AssumeRoleWithWebIdentityInput,
    ) -> Result<AssumeRoleWithWebIdentityOutput, Error> {
        if let Some(provider) = &input.provider_id {
            return Err(Error::not_implemented_part(format!(
                "sts:AssumeRoleWithWebIdentity with OAuth 2.0 access tokens of {provider}"
            )));
        }
        let account = account_of(&input.role_arn)?;
        let token = Token::read(&input.web_identity_token).ok_or_else(|| {
            invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        })?;
        let provider = self.provider_of(&account, &token)?;
        let audience = audience(&token, &provider)?.to_owned();
        self.check_signature(cx, &provider, &token).await?;
        check_time(cx, &token)?;
        let subject =
            token.text("sub").ok_or_else(|| invalid("The ID Token provided has no subject."))?.to_owned();

        let issuer = &provider.url;
        let mut keys = vec![(format!("{issuer}:sub"), vec![subject.clone()])];
        keys.push((format!("{issuer}:aud"), vec![audience.clone()]));
        if token.text("azp").is_some() {
            let others = token.audiences().into_iter().map(str::to_owned).collect();
            keys.push((format!("{issuer}:oaud"), others));
        }
        if let Some(Value::Array(methods)) = token.claims.get("amr") {
            let methods = methods.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            keys.push((format!("{issuer}:amr"), methods));
        }
        // Whatever else the token says in plain texts can be asked for too.
        for (name, value) in &token.claims {
            if let Value::String(text) = value
                && !matches!(name.as_str(), "sub" | "aud" | "iss" | SOURCE_IDENTITY)
                && !name.contains("://")
            {
                keys.push((format!("{issuer}:{name}"), vec![text.clone()]));
            }
        }
        let (tags, transitive) = session_tags(&token)?;
        let policies = self.policies(&account, input.policy, input.policy_arns)?;
        let packed_policy_size = request::packed(&policies, &tags)?;
        let federation = Federation {
            action: "sts:AssumeRoleWithWebIdentity",
            who: PrincipalRef::WebIdentity { provider: provider.arn() },
            session: input.role_session_name,
            provider: provider.arn(),
            keys,
            tags,
            transitive,
            source_identity: token.text(SOURCE_IDENTITY).map(str::to_owned),
            seconds: input.duration_seconds.map(i64::from),
        };
        let (role, credentials) = self.federate(cx, &account, &input.role_arn, &federation, policies)?;
        Ok(AssumeRoleWithWebIdentityOutput {
            credentials: Some(request::shown(credentials)),
            subject_from_web_identity_token: Some(subject),
            assumed_role_user: Some(assumed(&role, &federation.session)),
            packed_policy_size,
            provider: Some(provider.arn()),
            audience: Some(audience),
            source_identity: federation.source_identity,
            ..Default::default()
        })
    }

    /// The registered provider that a token names as its issuer.
    fn provider_of(&self, account: &str, token: &Token) -> Result<OidcProvider, Error> {
        let issuer = token.text("iss").ok_or_else(|| {
            invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        })?;
        let url = issuer.trim_start_matches("https://").trim_start_matches("http://");
        let key = Key::new().text(account).text(url.trim_end_matches('/'));
        let found = self.identities.store().table::<OidcProvider>().get(&key).map_err(Error::internal)?;
        found.ok_or_else(|| {
            let shown = if issuer.contains("://") { issuer.to_owned() } else { format!("https://{issuer}") };
            invalid(&format!("No OpenIDConnect provider found in your account for {shown}"))
        })
    }

    async fn check_signature(
        &self,
        cx: &Context,
        provider: &OidcProvider,
        token: &Token,
    ) -> Result<(), Error> {
        match self.keysets.check(cx, provider, token).await {
            Ok(Lookup::Signed) => Ok(()),
            Ok(Lookup::Unsigned) => {
                Err(invalid("The ID Token provided is not signed by your identity provider."))
            }
            Err(Unfetched::Thumbprint) => {
                Err(invalid("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"))
            }
            Ok(Lookup::NoKey) | Err(Unfetched::Unreachable) => Err(invalid(
                "Couldn't retrieve verification key from your identity provider,  please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
            )),
        }
    }
}

/// The audience that the provider is registered for: the party that was authorized, where the token names one.
fn audience<'a>(token: &'a Token, provider: &OidcProvider) -> Result<&'a str, Error> {
    let known = |audience: &&str| provider.client_ids.iter().any(|id| id == audience);
    let found = match token.text("azp") {
        Some(party) => Some(party).filter(known),
        None => token.audiences().into_iter().find(known),
    };
    let several = || token.audiences().into_iter().find(known);
    found.or_else(several).ok_or_else(|| invalid("Incorrect token audience"))
}

fn check_time(cx: &Context, token: &Token) -> Result<(), Error> {
    let now = cx.millis().div_euclid(1000);
    let end = token.seconds("exp").ok_or_else(|| invalid("Missing a required claim: exp"))?;
    token.seconds("iat").ok_or_else(|| invalid("Missing a required claim: iat"))?;
    if end <= now {
        return Err(ExpiredTokenException::error(format!(
            "Token expired: current date/time {now} must be before the expiration date/time {end}"
        )));
    }
    if token.seconds("nbf").is_some_and(|begin| begin > now + federated::SKEW) {
        return Err(invalid("The ID Token provided is not valid yet."));
    }
    Ok(())
}

/// `{"principal_tags": {"Project": ["A"]}, "transitive_tag_keys": ["Project"]}`
fn session_tags(token: &Token) -> Result<(Vec<Tag>, Vec<String>), Error> {
    let Some(Value::Object(claim)) = token.claims.get(TAGS) else { return Ok(Default::default()) };
    let mut tags = Vec::new();
    for (key, values) in claim.get("principal_tags").and_then(Value::as_object).into_iter().flatten() {
        let value = match values {
            Value::Array(several) => several.first().and_then(Value::as_str),
            value => value.as_str(),
        };
        let value = value.ok_or_else(|| invalid(&format!("The session tag {key} has no value.")))?;
        tags.push(api_tag(key, value));
    }
    let transitive = claim.get("transitive_tag_keys").and_then(Value::as_array).into_iter().flatten();
    let transitive = transitive.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok((request::tags(Some(tags))?, transitive))
}

fn api_tag(key: &str, value: &str) -> cloudlet_api_sts::Tag {
    cloudlet_api_sts::Tag { key: key.to_owned(), value: value.to_owned(), ..Default::default() }
}

pub(super) fn invalid(message: &str) -> Error {
    InvalidIdentityTokenException::error(message)
}
