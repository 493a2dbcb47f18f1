//! `AssumeRoleWithSAML`: a provider's assertion for the credentials of a role.
//!
//! Source: IAM User Guide, "Configure SAML assertions for the authentication response" and "Troubleshoot SAML
//! federation with IAM", which has the messages.

use super::assume::{account_of, assumed};
use super::federated::{Federation, SKEW};
use super::web_identity::invalid;
use crate::{Sts, request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_access::PrincipalRef;
use cloudlet_api_sts::*;
use cloudlet_identity::records::SamlProvider;
use cloudlet_identity::saml::{Assertion, Flaw, Metadata};
use cloudlet_service::{Arn, Context};
use cloudlet_store::Key;
use ring::digest;

const ATTRIBUTES: &str = "https://aws.amazon.com/SAML/Attributes/";

impl Sts {
    /// Temporary credentials of a role for the bearer of an assertion that a registered provider signed.
    ///
    /// Errors: `InvalidIdentityToken`, `ExpiredTokenException`, `AccessDenied` where the role does not trust the bearer
    /// or is not there, `ValidationError`, `MalformedPolicyDocument`, `PackedPolicyTooLarge`.
    pub async fn assume_role_with_saml(
        &self,
        cx: &Context,
        input: AssumeRoleWithSAMLInput,
    ) -> Result<AssumeRoleWithSAMLOutput, Error> {
        let account = account_of(&input.role_arn)?;
        let provider = self.saml_provider(&input.principal_arn)?;
        let metadata =
            Metadata::read(&provider.metadata).ok_or_else(|| invalid("Specified provider doesn't exist"))?;
        let keys: Vec<String> = provider.private_keys.iter().map(|(_, text, _)| text.clone()).collect();
        let required = provider.encryption.as_deref() == Some("Required");
        let assertion =
            Assertion::read(&input.saml_assertion, &metadata, &keys, required).map_err(|flaw| {
                invalid(match flaw {
                    Flaw::Malformed => "Invalid base64 SAMLResponse",
                    Flaw::Signature => "Response signature invalid",
                    Flaw::Encrypted => "Failed to decrypt the SAML assertion.",
                    Flaw::Plain => {
                        "Response is not encrypted, but the identity provider requires encrypted assertions."
                    }
                })
            })?;
        if assertion.issuer != metadata.entity_id {
            return Err(invalid("Issuer not present in specified provider"));
        }
        check_time(cx, &assertion)?;
        let meant = |audience: &String| is_aws(audience) || audience == "urn:amazon:webservices";
        if !is_aws(&assertion.recipient)
            || (!assertion.audiences.is_empty() && !assertion.audiences.iter().any(meant))
        {
            return Err(invalid("Response does not contain the required audience"));
        }
        let roles = assertion.attribute(&format!("{ATTRIBUTES}Role")).unwrap_or_default();
        let offered = roles.iter().any(|pair| {
            let arns: Vec<&str> = pair.split(',').map(str::trim).collect();
            arns.contains(&input.role_arn.as_str()) && arns.contains(&input.principal_arn.as_str())
        });
        if !offered {
            return Err(Error::new("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithSAML"));
        }
        let session = session_name(&assertion)?;

        let name_qualifier = qualifier(&assertion.issuer, &provider);
        let mut keys: Vec<(String, Vec<String>)> = [
            ("aud", &assertion.recipient),
            ("iss", &assertion.issuer),
            ("sub", &assertion.subject),
            ("sub_type", &assertion.subject_type),
            ("namequalifier", &name_qualifier),
            ("doc", &format!("{}/{}", provider.account, provider.name)),
        ]
        .into_iter()
        .map(|(key, value)| (format!("saml:{key}"), vec![value.clone()]))
        .collect();
        for (oid, key) in EDUPERSON {
            if let Some(values) = assertion.attribute(oid) {
                keys.push((format!("saml:{key}"), values.to_vec()));
            }
        }
        let prefix = format!("{ATTRIBUTES}PrincipalTag:");
        let tags = assertion.attributes.iter().filter_map(|(name, values)| {
            let (key, value) = (name.strip_prefix(&prefix)?.to_owned(), values.first()?.clone());
            Some(cloudlet_api_sts::Tag { key, value, ..Default::default() })
        });
        let tags = request::tags(Some(tags.collect()))?;
        let transitive = assertion.attribute(&format!("{ATTRIBUTES}TransitiveTagKeys")).unwrap_or_default();
        let source_identity = assertion.attribute(&format!("{ATTRIBUTES}SourceIdentity"));
        let allowed = assertion.attribute(&format!("{ATTRIBUTES}SessionDuration"));
        let allowed: Option<i64> = allowed.and_then(|v| v.first()).and_then(|text| text.parse().ok());
        let seconds = match (input.duration_seconds.map(i64::from), allowed) {
            (Some(asked), Some(allowed)) => Some(asked.min(allowed)),
            (asked, allowed) => asked.or(allowed),
        };
        let policies = self.policies(&account, input.policy, input.policy_arns)?;
        let packed_policy_size = request::packed(&policies, &tags)?;
        let federation = Federation {
            action: "sts:AssumeRoleWithSAML",
            who: PrincipalRef::Saml { provider_arn: provider.arn() },
            session,
            provider: provider.arn(),
            keys,
            tags,
            transitive: transitive.to_vec(),
            source_identity: source_identity.and_then(|values| values.first().cloned()),
            seconds,
        };
        let (role, credentials) = self.federate(cx, &account, &input.role_arn, &federation, policies)?;
        Ok(AssumeRoleWithSAMLOutput {
            credentials: Some(request::shown(credentials)),
            assumed_role_user: Some(assumed(&role, &federation.session)),
            packed_policy_size,
            subject: Some(assertion.subject),
            subject_type: Some(assertion.subject_type),
            issuer: Some(assertion.issuer),
            audience: Some(assertion.recipient),
            name_qualifier: Some(name_qualifier),
            source_identity: federation.source_identity,
            ..Default::default()
        })
    }

    fn saml_provider(&self, arn: &str) -> Result<SamlProvider, Error> {
        let missing = || invalid("Specified provider doesn't exist");
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam").ok_or_else(missing)?;
        let name = parsed.resource.strip_prefix("saml-provider/").ok_or_else(missing)?;
        let key = Key::new().text(parsed.account).text(name);
        let found = self.identities.store().table::<SamlProvider>().get(&key).map_err(Error::internal)?;
        found.ok_or_else(missing)
    }
}

/// Attributes that become condition keys. Source: IAM User Guide, "Available keys for SAML-based AWS STS federation".
const EDUPERSON: &[(&str, &str)] = &[
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.1", "edupersonaffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.2", "edupersonnickname"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.3", "edupersonorgdn"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.4", "edupersonorgunitdn"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.5", "edupersonprimaryaffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "edupersonprincipalname"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", "edupersonentitlement"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.8", "edupersonprimaryorgunitdn"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "edupersonscopedaffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "edupersontargetedid"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.11", "edupersonassurance"),
    ("urn:oid:1.3.6.1.4.1.5923.1.2.1.2", "eduorghomepageuri"),
    ("urn:oid:1.3.6.1.4.1.5923.1.2.1.3", "eduorgidentityauthnpolicyuri"),
    ("urn:oid:1.3.6.1.4.1.5923.1.2.1.4", "eduorglegalname"),
    ("urn:oid:1.3.6.1.4.1.5923.1.2.1.5", "eduorgsuperioruri"),
    ("urn:oid:1.3.6.1.4.1.5923.1.2.1.6", "eduorgwhitepagesuri"),
    ("urn:oid:2.5.4.3", "cn"),
    // Active Directory.
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "name"),
    ("http://schemas.xmlsoap.org/claims/CommonName", "commonName"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "givenName"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "surname"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "mail"),
    ("http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid", "primaryGroupSID"),
    // X.500.
    ("2.5.4.3", "commonName"),
    ("2.5.4.4", "surname"),
    ("2.5.4.42", "givenName"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("0.9.2342.19200300.100.1.1", "uid"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.45", "organizationStatus"),
    ("urn:oid:0.9.2342.19200300.100.1.3", "mail"),
    ("urn:oid:0.9.2342.19200300.100.1.1", "uid"),
];

/// AWS's own addresses for assertions: the global one and those of regions.
fn is_aws(url: &str) -> bool {
    let rest = url.strip_prefix("https://").and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(host, path)| host.ends_with("signin.aws.amazon.com") && path.starts_with("saml"))
}

fn check_time(cx: &Context, assertion: &Assertion) -> Result<(), Error> {
    let now = cx.millis().div_euclid(1000);
    // An assertion is good for five minutes, however long it says.
    let stale = assertion.issued + 300 < now || assertion.not_after.is_some_and(|end| end <= now);
    if stale {
        return Err(ExpiredTokenException::error("Token must be redeemed within 5 minutes of issuance"));
    }
    if assertion.not_before.is_some_and(|begin| begin > now + SKEW) {
        return Err(invalid("Response is not valid yet"));
    }
    Ok(())
}

fn session_name(assertion: &Assertion) -> Result<String, Error> {
    let given = assertion.attribute(&format!("{ATTRIBUTES}RoleSessionName")).and_then(|v| v.first());
    let name = given.ok_or_else(|| invalid("RoleSessionName is required in AuthnResponse"))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name.clone());
    }
    Err(invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"))
}

/// A hash of issuer, account and provider: one user of a provider is told from another provider's of the same name.
fn qualifier(issuer: &str, provider: &SamlProvider) -> String {
    let text = format!("{issuer}{}/{}", provider.account, provider.name);
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}
