//! Server certificates: certificate, chain and private key, held against each other when they are uploaded.
//!
//! Source: IAM User Guide, "Manage server certificates in IAM".

use crate::credentials::ServerCertificate as Own;
use crate::operations::tags::{by_name, tagged};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::named;
use cloudlet_identity::x509::{Certificate, PublicKey};
use cloudlet_service::Context;

/// Server certificates per account.
const QUOTA: usize = 20;

impl Iam {
    /// Uploads a certificate with its key.
    ///
    /// Errors: `MalformedCertificate`, `KeyPairMismatch`, `EntityAlreadyExists`, `LimitExceeded`.
    pub async fn upload_server_certificate(
        &self,
        cx: &Context,
        input: UploadServerCertificateInput,
    ) -> Result<UploadServerCertificateOutput, Error> {
        let certificate = Certificate::from_pem(&input.certificate_body).ok_or_else(|| {
            malformed("Unable to parse certificate. Please ensure the certificate is in PEM format.")
        })?;
        let key = PublicKey::of_private_pem(&input.private_key)
            .ok_or_else(|| malformed("Unable to parse key. Please ensure the key is in PEM format."))?;
        if key != certificate.key {
            return Err(KeyPairMismatchException::error("Private key does not match certificate."));
        }
        if let Some(chain) = &input.certificate_chain {
            check_chain(&certificate, chain)?;
        }
        self.room_for::<Own>(cx, "ServerCertificatesPerAccount", QUOTA)?;
        let own = Own {
            account: cx.account.to_string(),
            name: input.server_certificate_name,
            path: shown::path(input.path)?,
            id: cx.random().unique_id("ASCA"),
            body: input.certificate_body.trim().to_owned(),
            chain: input.certificate_chain.map(|chain| chain.trim().to_owned()),
            private_key: input.private_key,
            uploaded: cx.millis(),
            expires: certificate.not_after * 1000,
            tags: shown::given_tags(input.tags)?,
        };
        let at = named(&cx.account, &own.name);
        self.change(|tx| {
            if tx.exists::<Own>(&at)? {
                return Err(exists(&own.name).into());
            }
            Ok(tx.put(&at, &own)?)
        })
        .await?;
        Ok(UploadServerCertificateOutput {
            server_certificate_metadata: Some(metadata(&own)),
            tags: shown::some_tags(&own.tags),
        })
    }

    /// Gives certificate and chain, never the key.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_server_certificate(
        &self,
        cx: &Context,
        input: GetServerCertificateInput,
    ) -> Result<GetServerCertificateOutput, Error> {
        let name = &input.server_certificate_name;
        let own = self.find::<Own>(cx, name)?.ok_or_else(|| missing(name))?;
        let server_certificate = ServerCertificate {
            server_certificate_metadata: metadata(&own),
            tags: shown::some_tags(&own.tags),
            certificate_body: own.body,
            certificate_chain: own.chain,
        };
        Ok(GetServerCertificateOutput { server_certificate })
    }

    /// Lists certificates by path.
    pub async fn list_server_certificates(
        &self,
        cx: &Context,
        input: ListServerCertificatesInput,
    ) -> Result<ListServerCertificatesOutput, Error> {
        let prefix = input.path_prefix.unwrap_or_default();
        let found = self.all::<Own>(cx)?.into_iter().filter(|own| own.path.starts_with(&prefix));
        let page = shown::page(found, input.marker.as_deref(), input.max_items, |own| own.name.clone())?;
        Ok(ListServerCertificatesOutput {
            server_certificate_metadata_list: page.items.iter().map(metadata).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Changes name and path.
    ///
    /// Errors: `NoSuchEntity`, `EntityAlreadyExists`.
    pub async fn update_server_certificate(
        &self,
        cx: &Context,
        input: UpdateServerCertificateInput,
    ) -> Result<UpdateServerCertificateOutput, Error> {
        let path = input.new_path.map(|path| shown::path(Some(path))).transpose()?;
        let name = &input.server_certificate_name;
        let old = named(&cx.account, name);
        self.change(|tx| {
            let mut own = tx.get::<Own>(&old)?.ok_or_else(|| missing(name))?;
            if let Some(path) = &path {
                own.path.clone_from(path);
            }
            if let Some(new_name) = &input.new_server_certificate_name {
                let new = named(&cx.account, new_name);
                if new != old && tx.exists::<Own>(&new)? {
                    return Err(exists(new_name).into());
                }
                own.name.clone_from(new_name);
                tx.delete::<Own>(&old)?;
                return Ok(tx.put(&new, &own)?);
            }
            Ok(tx.put(&old, &own)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a certificate.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_server_certificate(
        &self,
        cx: &Context,
        input: DeleteServerCertificateInput,
    ) -> Result<DeleteServerCertificateOutput, Error> {
        let name = &input.server_certificate_name;
        let key = named(&cx.account, name);
        self.change(|tx| {
            if !tx.exists::<Own>(&key)? {
                return Err(missing(name).into());
            }
            Ok(tx.delete::<Own>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }
}

tagged!(Own, server_certificate_name, by_name, missing, tag_server_certificate TagServerCertificateInput,
    untag_server_certificate UntagServerCertificateInput,
    list_server_certificate_tags ListServerCertificateTagsInput ListServerCertificateTagsOutput);

/// Each certificate of a chain must have signed the one before it.
fn check_chain(leaf: &Certificate, chain: &str) -> Result<(), Error> {
    let bad = |index: usize| {
        malformed(&format!(
            "Unable to validate certificate chain. The certificate chain must start with the immediate signing \
             certificate, followed by any intermediaries in order. The index within the chain of the invalid \
             certificate is: {index}"
        ))
    };
    let chain = Certificate::chain(chain).ok_or_else(|| bad(0))?;
    let mut below = leaf;
    for (index, issuer) in chain.iter().enumerate() {
        if !below.signed_by(issuer) {
            return Err(bad(index));
        }
        below = issuer;
    }
    Ok(())
}

fn metadata(own: &Own) -> ServerCertificateMetadata {
    ServerCertificateMetadata {
        path: own.path.clone(),
        server_certificate_name: own.name.clone(),
        server_certificate_id: own.id.clone(),
        arn: own.arn(),
        upload_date: shown::date(own.uploaded),
        expiration: shown::date(own.expires),
    }
}

fn malformed(message: &str) -> Error {
    MalformedCertificateException::error(message)
}

fn exists(name: &str) -> Error {
    errors::exists(format!("The Server Certificate with name {name} already exists."))
}

fn missing(name: &str) -> Error {
    errors::no_such(format!("The Server Certificate with name {name} cannot be found."))
}
