//! How a request names a key: by id, by ARN, by alias.
//!
//! Source: AWS KMS Developer Guide, "Key identifiers (KeyId)".

use crate::crypto::envelope;
use crate::errors::bad_key_id;
use cloudlet_api_kms::{InvalidArnException, NotFoundException};
use cloudlet_service::{Arn, Context, Error};

/// What a `KeyId` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Key { account: String, region: String, id: String },
    Alias { account: String, region: String, name: String },
}

impl Named {
    /// Reads a `KeyId`. Errors: `NotFoundException` for what is no id and for another Region's ARN,
    /// `InvalidArnException` for what is no ARN of a key.
    pub(crate) fn parse(cx: &Context, text: &str) -> Result<Self, Error> {
        if text.starts_with("arn:") {
            let arn = Arn::parse(text).filter(|arn| arn.service == "kms");
            let Some(arn) = arn else {
                return Err(InvalidArnException::error(format!("Invalid arn {text}")));
            };
            if arn.region != &*cx.region {
                return Err(NotFoundException::error(format!("Invalid arn {}", arn.region)));
            }
            let (account, region) = (arn.account.to_owned(), arn.region.to_owned());
            if let Some(id) = arn.resource.strip_prefix("key/") {
                check_id(id)?;
                return Ok(Self::Key { account, region, id: id.to_owned() });
            }
            if arn.resource.starts_with("alias/") {
                return Ok(Self::Alias { account, region, name: arn.resource.to_owned() });
            }
            return Err(InvalidArnException::error(format!("Invalid arn {text}")));
        }
        let (account, region) = (cx.account.to_string(), cx.region.to_string());
        if text.starts_with("alias/") {
            return Ok(Self::Alias { account, region, name: text.to_owned() });
        }
        check_id(text)?;
        Ok(Self::Key { account, region, id: text.to_owned() })
    }

    /// The key that a decryption names: a bare id may be that of another account's key, where the ciphertext tells whose.
    pub(crate) fn parse_source(cx: &Context, text: &str, ciphertext: Option<&[u8]>) -> Result<Self, Error> {
        let head = ciphertext.and_then(envelope::head);
        match (Self::parse(cx, text)?, head) {
            (Self::Key { region, id, .. }, Some(head)) if text == head.key_id => {
                Ok(Self::Key { account: head.account, region, id })
            }
            (named, _) => Ok(named),
        }
    }

    /// The same where no alias will do.
    pub(crate) fn parse_key(cx: &Context, text: &str) -> Result<Self, Error> {
        match Self::parse(cx, text)? {
            Self::Alias { .. } => Err(bad_key_id(text)),
            key => Ok(key),
        }
    }

    /// The ARN of what is named.
    pub(crate) fn arn(&self, partition: &str) -> String {
        match self {
            Self::Key { account, region, id } => format!("arn:{partition}:kms:{region}:{account}:key/{id}"),
            Self::Alias { account, region, name } => {
                format!("arn:{partition}:kms:{region}:{account}:{name}")
            }
        }
    }
}

/// A key's id is a UUID, or `mrk-` and 32 hexadecimal digits.
fn check_id(id: &str) -> Result<(), Error> {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_uuid = || {
        let parts: Vec<&str> = id.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| hex(part))
    };
    let is_multi = || id.strip_prefix("mrk-").is_some_and(|rest| rest.len() == 32 && hex(rest));
    if is_uuid() || is_multi() { Ok(()) } else { Err(bad_key_id(id)) }
}
