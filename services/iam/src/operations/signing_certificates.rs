//! Signing certificates of users.

use crate::credentials::{SigningCertificate as Own, by_id, shown_status};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::User;
use cloudlet_identity::x509::Certificate;
use cloudlet_service::Context;

/// Signing certificates per user.
const PER_USER: usize = 2;

impl Iam {
    /// Uploads a certificate of a user, or of the caller.
    ///
    /// Errors: `MalformedCertificate`, `InvalidCertificate` for one that has ended, `DuplicateCertificate`,
    /// `LimitExceeded`, `NoSuchEntity`.
    pub async fn upload_signing_certificate(
        &self,
        cx: &Context,
        input: UploadSigningCertificateInput,
    ) -> Result<UploadSigningCertificateOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let certificate = Certificate::from_pem(&input.certificate_body).ok_or_else(|| {
            MalformedCertificateException::error(
                "Unable to parse certificate. Please ensure the certificate is in PEM format.",
            )
        })?;
        if certificate.not_after < cx.millis().div_euclid(1000) {
            return Err(InvalidCertificateException::error("Certificate has expired."));
        }
        let own = Own {
            account: cx.account.to_string(),
            id: cx.random().text(32, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
            user_id: user.id.clone(),
            body: input.certificate_body.trim().to_owned(),
            active: true,
            uploaded: cx.millis(),
        };
        let known = self.of_user::<Own>(cx, &user)?;
        if known.iter().any(|k| Certificate::from_pem(&k.body).is_some_and(|k| k.der == certificate.der)) {
            return Err(DuplicateCertificateException::error("Duplicate certificate uploaded."));
        }
        if known.len() >= PER_USER {
            return Err(errors::quota("CertificatesPerUser", PER_USER));
        }
        self.change(|tx| Ok(tx.put(&by_id(cx, &own.id), &own)?)).await?;
        Ok(UploadSigningCertificateOutput { certificate: of(&user.name, own) })
    }

    /// Lists the certificates of a user, or of the caller.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_signing_certificates(
        &self,
        cx: &Context,
        input: ListSigningCertificatesInput,
    ) -> Result<ListSigningCertificatesOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let all = self.of_user::<Own>(cx, &user)?;
        let page = shown::page(all, input.marker.as_deref(), input.max_items, |own| own.id.clone())?;
        Ok(ListSigningCertificatesOutput {
            certificates: page.items.into_iter().map(|own| of(&user.name, own)).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Switches a certificate on or off.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn update_signing_certificate(
        &self,
        cx: &Context,
        input: UpdateSigningCertificateInput,
    ) -> Result<UpdateSigningCertificateOutput, Error> {
        self.switch_of_user::<Own>(cx, input.user_name, &input.certificate_id, &input.status).await?;
        Ok(NoMembers)
    }

    /// Deletes a certificate.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_signing_certificate(
        &self,
        cx: &Context,
        input: DeleteSigningCertificateInput,
    ) -> Result<DeleteSigningCertificateOutput, Error> {
        self.delete_of_user::<Own>(cx, input.user_name, &input.certificate_id).await?;
        Ok(NoMembers)
    }
}

fn of(user: &str, own: Own) -> SigningCertificate {
    SigningCertificate {
        user_name: user.to_owned(),
        certificate_id: own.id,
        certificate_body: own.body,
        status: shown_status(own.active),
        upload_date: shown::date(own.uploaded),
    }
}
