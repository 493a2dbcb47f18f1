//! What the operations that make sessions have in common: session policies, session tags, the answer.

use crate::{Sts, errors};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_sts as api;
use cloudlet_identity::Credentials;
use cloudlet_identity::records::Tag;
use cloudlet_service::{Context, Error, Principal};

/// The size that policies and tags of a session may have together, packed, in bytes. AWS publishes percentages only.
const PACKED: usize = 4096;

/// Session policies as asked for, checked.
#[derive(Default)]
pub(crate) struct Policies {
    pub(crate) inline: Vec<String>,
    pub(crate) arns: Vec<String>,
}

impl Sts {
    /// Checks the session policies of a request. `account` is the one whose managed policies may be named.
    ///
    /// Errors: `MalformedPolicyDocument`, `ValidationError`.
    pub(crate) fn policies(
        &self,
        account: &str,
        inline: Option<String>,
        arns: Option<Vec<api::PolicyDescriptorType>>,
    ) -> Result<Policies, Error> {
        let mut found = Policies::default();
        if let Some(document) = inline {
            Policy::parse(&document, PolicyKind::Session)
                .map_err(|error| api::MalformedPolicyDocumentException::error(error.to_string()))?;
            found.inline.push(document);
        }
        for arn in arns.into_iter().flatten().filter_map(|descriptor| descriptor.arn) {
            let known = self.identities.managed_document(account, &arn).map_err(Error::internal)?;
            if known.is_none() {
                return Err(errors::validation(format!("Policy {arn} does not exist or is not attachable.")));
            }
            found.arns.push(arn);
        }
        if found.arns.len() > 10 {
            return Err(errors::validation("The number of PolicyArns must not exceed 10."));
        }
        Ok(found)
    }

    /// The user behind the caller (`None` is the root user) and when it showed MFA, in seconds since the epoch, where
    /// the request carries a device's serial number.
    ///
    /// Errors: `AccessDenied` for a wrong code, `ValidationError` where one of the two is missing.
    pub(crate) async fn mfa(
        &self,
        cx: &Context,
        serial: Option<&str>,
        code: Option<&str>,
    ) -> Result<Option<i64>, Error> {
        let (serial, code) = match (serial, code) {
            (None, None) => return Ok(None),
            (Some(serial), Some(code)) => (serial, code),
            (Some(_), None) => {
                return Err(errors::denied(
                    "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.",
                ));
            }
            (None, Some(_)) => {
                return Err(errors::denied(
                    "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.",
                ));
            }
        };
        let user = match &cx.principal {
            Principal::User { name, .. } => Some(&**name),
            Principal::Root { .. } => None,
            _ => {
                return Err(errors::denied(
                    "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
                ));
            }
        };
        self.identities.show_mfa(cx.principal.account(), user, serial, code).await?;
        Ok(Some(cx.millis().div_euclid(1000)))
    }
}

/// Checks session tags.
///
/// Errors: `InvalidParameterValue`.
pub(crate) fn tags(given: Option<Vec<api::Tag>>) -> Result<Vec<Tag>, Error> {
    let mut tags: Vec<Tag> = Vec::new();
    for tag in given.into_iter().flatten() {
        if tags.iter().any(|t| t.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(Error::sender(
                "InvalidParameterValue",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::sender(
                "InvalidParameterValue",
                "aws: prefixed tag key names are not allowed for external use.",
            ));
        }
        tags.push(Tag { key: tag.key, value: tag.value });
    }
    Ok(tags)
}

/// How much of the room for policies and tags a session uses, in per cent; `None` where it has neither.
///
/// Errors: `PackedPolicyTooLarge`.
pub(crate) fn packed(policies: &Policies, tags: &[Tag]) -> Result<Option<i32>, Error> {
    let texts = policies.inline.iter().chain(&policies.arns).map(String::len);
    let size: usize =
        texts.sum::<usize>() + tags.iter().map(|t| t.key.len() + t.value.len() + 2).sum::<usize>();
    let percent = size.div_ceil(PACKED / 100);
    if percent > 100 {
        return Err(api::PackedPolicyTooLargeException::error(format!(
            "Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )));
    }
    Ok((size > 0).then_some(percent as i32))
}

/// The credentials as the API shows them.
pub(crate) fn shown(credentials: Credentials) -> api::Credentials {
    api::Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret.reveal().to_owned(),
        session_token: credentials.session_token,
        expiration: Some(api::DateTime::from_secs(credentials.expires)),
    }
}
