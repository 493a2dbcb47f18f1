//! SSH public keys of users.
//!
//! Source: IAM API Reference, `UploadSSHPublicKey`; RFC 4253, section 6.6 (the form of RSA keys).

use crate::credentials::{OfUser, SshKey, by_id, shown_status};
use crate::{Iam, errors, shown};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_iam::*;
use cloudlet_identity::records::User;
use cloudlet_identity::x509::{self, PublicKey};
use cloudlet_service::Context;
use std::fmt::Write;

/// SSH public keys per user.
const PER_USER: usize = 5;

impl Iam {
    /// Uploads a key, as `ssh-rsa …` or in PEM.
    ///
    /// Errors: `InvalidPublicKey`, `UnrecognizedPublicKeyEncoding`, `DuplicateSSHPublicKey`, `LimitExceeded`,
    /// `NoSuchEntity`.
    pub async fn upload_ssh_public_key(
        &self,
        cx: &Context,
        input: UploadSSHPublicKeyInput,
    ) -> Result<UploadSSHPublicKeyOutput, Error> {
        let user = self.entity::<User>(cx, &input.user_name)?;
        let key = RsaKey::read(&input.ssh_public_key_body)?;
        let own = SshKey {
            account: cx.account.to_string(),
            id: cx.random().unique_id("APKA"),
            user_id: user.id.clone(),
            body: key.ssh(),
            fingerprint: key.fingerprint(),
            active: true,
            uploaded: cx.millis(),
        };
        let known = self.of_user::<SshKey>(cx, &user)?;
        if known.iter().any(|k| k.fingerprint == own.fingerprint) {
            return Err(DuplicateSSHPublicKeyException::error(format!(
                "The SSH public key {} already exists for user {}.",
                own.fingerprint, user.name
            )));
        }
        if known.len() >= PER_USER {
            return Err(errors::quota("SSHPublicKeysPerUser", PER_USER));
        }
        self.change(|tx| Ok(tx.put(&by_id(cx, &own.id), &own)?)).await?;
        let body = input.ssh_public_key_body;
        Ok(UploadSSHPublicKeyOutput { ssh_public_key: Some(of(&user.name, own, body)) })
    }

    /// Gives a key in the form that is asked for.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_ssh_public_key(
        &self,
        cx: &Context,
        input: GetSSHPublicKeyInput,
    ) -> Result<GetSSHPublicKeyOutput, Error> {
        let user = self.entity::<User>(cx, &input.user_name)?;
        let id = &input.ssh_public_key_id;
        let own = self.of_user::<SshKey>(cx, &user)?.into_iter().find(|own| own.id == *id);
        let own = own.ok_or_else(|| SshKey::missing(id))?;
        let body = match input.encoding.as_str() {
            "PEM" => RsaKey::read(&own.body)?.pem(),
            _ => own.body.clone(),
        };
        Ok(GetSSHPublicKeyOutput { ssh_public_key: Some(of(&user.name, own, body)) })
    }

    /// Lists the keys of a user, or of the caller.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_ssh_public_keys(
        &self,
        cx: &Context,
        input: ListSSHPublicKeysInput,
    ) -> Result<ListSSHPublicKeysOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let all = self.of_user::<SshKey>(cx, &user)?;
        let page = shown::page(all, input.marker.as_deref(), input.max_items, |own| own.id.clone())?;
        let shown = page.items.into_iter().map(|own| SSHPublicKeyMetadata {
            user_name: user.name.clone(),
            ssh_public_key_id: own.id,
            status: shown_status(own.active),
            upload_date: shown::date(own.uploaded),
        });
        Ok(ListSSHPublicKeysOutput {
            ssh_public_keys: Some(shown.collect()),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Switches a key on or off.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn update_ssh_public_key(
        &self,
        cx: &Context,
        input: UpdateSSHPublicKeyInput,
    ) -> Result<UpdateSSHPublicKeyOutput, Error> {
        self.switch_of_user::<SshKey>(cx, Some(input.user_name), &input.ssh_public_key_id, &input.status)
            .await?;
        Ok(NoMembers)
    }

    /// Deletes a key.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_ssh_public_key(
        &self,
        cx: &Context,
        input: DeleteSSHPublicKeyInput,
    ) -> Result<DeleteSSHPublicKeyOutput, Error> {
        self.delete_of_user::<SshKey>(cx, Some(input.user_name), &input.ssh_public_key_id).await?;
        Ok(NoMembers)
    }
}

fn of(user: &str, own: SshKey, body: String) -> SSHPublicKey {
    SSHPublicKey {
        user_name: user.to_owned(),
        ssh_public_key_id: own.id,
        fingerprint: own.fingerprint,
        ssh_public_key_body: body,
        status: shown_status(own.active),
        upload_date: shown::date(own.uploaded),
    }
}

/// An RSA key: the only kind that IAM takes.
struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
    comment: String,
}

impl RsaKey {
    fn read(text: &str) -> Result<Self, Error> {
        let invalid = || InvalidPublicKeyException::error("Unable to parse the public key.");
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
            let labels = ["PUBLIC KEY", "RSA PUBLIC KEY"];
            let blocks = x509::pem(text, &labels).ok_or_else(invalid)?;
            let der = blocks.first().ok_or_else(invalid)?;
            return match x509::public_key(der) {
                Some(PublicKey::Rsa { n, e }) => Self { n, e, comment: String::new() }.checked(),
                _ => Err(invalid()),
            };
        }
        let mut words = text.splitn(3, char::is_whitespace);
        let (Some("ssh-rsa"), Some(data)) = (words.next(), words.next()) else {
            return Err(UnrecognizedPublicKeyEncodingException::error(
                "The public key encoding is not recognized; it must be ssh-rsa or PEM.",
            ));
        };
        let bytes = STANDARD.decode(data).map_err(|_| invalid())?;
        let mut rest = bytes.as_slice();
        let kind = field(&mut rest).ok_or_else(invalid)?;
        let (e, n) = (field(&mut rest).ok_or_else(invalid)?, field(&mut rest).ok_or_else(invalid)?);
        if kind != b"ssh-rsa" || !rest.is_empty() {
            return Err(invalid());
        }
        let comment = words.next().unwrap_or_default().trim().to_owned();
        Self { n: unsigned(n), e: unsigned(e), comment }.checked()
    }

    /// AWS asks for 2048 to 4096 bits.
    fn checked(self) -> Result<Self, Error> {
        let bits = PublicKey::Rsa { n: self.n.clone(), e: self.e.clone() }.rsa_bits().unwrap_or(0);
        if (2048..=16384).contains(&bits) {
            return Ok(self);
        }
        Err(InvalidPublicKeyException::error("The length of the public key must be at least 2048 bits."))
    }

    fn blob(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [b"ssh-rsa".to_vec(), signed(&self.e), signed(&self.n)] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
            out.extend_from_slice(&part);
        }
        out
    }

    fn ssh(&self) -> String {
        format!("ssh-rsa {} {}", STANDARD.encode(self.blob()), self.comment).trim_end().to_owned()
    }

    fn pem(&self) -> String {
        x509::to_pem("PUBLIC KEY", &x509::rsa_spki(&self.n, &self.e).unwrap_or_default())
    }

    /// MD5 over the SSH form in 16 pairs of digits: the model asks for 47 or 48 characters of that form.
    fn fingerprint(&self) -> String {
        let digest = <md5::Md5 as md5::Digest>::digest(self.blob());
        let mut out = String::with_capacity(48);
        for (i, byte) in digest.iter().enumerate() {
            let _ = write!(out, "{}{byte:02x}", if i == 0 { "" } else { ":" });
        }
        out
    }
}

/// A length-prefixed field.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (field, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    *rest = tail;
    Some(field)
}

fn unsigned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

fn signed(bytes: &[u8]) -> Vec<u8> {
    if bytes.first().is_none_or(|byte| *byte >= 0x80) { [&[0], bytes].concat() } else { bytes.to_vec() }
}
