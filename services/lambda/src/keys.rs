//! Customer managed keys of functions' variables: the role is granted their use when they are set, and uses them when the
//! function runs, so that a key which is disabled or gone stops the function as on AWS.
//!
//! Source: Developer Guide, "Securing Lambda environment variables".

use crate::Lambda;
use crate::errors::invalid;
use crate::names::Named;
use crate::state::{Settings, Version};
use cloudlet_api_kms::operations::{CreateGrant, Decrypt, Encrypt};
use cloudlet_api_kms::{CreateGrantInput, DecryptInput, EncryptInput};
use cloudlet_api_lambda::{
    Blob, KMSAccessDeniedException, KMSDisabledException, KMSInvalidStateException, KMSNotFoundException,
};
use cloudlet_service::{Context, Error};
use std::collections::BTreeMap;

/// What is encrypted with the key. The variables themselves need no further secrecy in the cloud's own store.
const PROOF: &[u8] = b"environment";

/// Who asks KMS for the caller.
pub(crate) const PRINCIPAL: &str = "lambda.amazonaws.com";

impl Lambda {
    /// Grants the function's role the use of the key, as the caller.
    ///
    /// Errors: `InvalidParameterValueException` with what KMS says.
    pub(crate) async fn seal(
        &self,
        cx: &Context,
        named: &Named,
        settings: &mut Settings,
    ) -> Result<(), Error> {
        let Some(key) = settings.kms_key.clone() else {
            settings.kms_proof = None;
            return Ok(());
        };
        let refused = |error: Error| match error.status() {
            500.. => error,
            _ => invalid(format!(
                "Lambda was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant. \
                 Please check your KMS key settings. KMS Exception: {} KMS Message: {}",
                error.code(),
                error.message()
            )),
        };
        let grant = CreateGrantInput {
            key_id: key.clone(),
            grantee_principal: Some(settings.role.clone()),
            operations: vec!["Decrypt".to_owned()],
            ..Default::default()
        };
        let through = cx.through(PRINCIPAL);
        cx.cloud.call::<CreateGrant>(&through, grant).await.map_err(refused)?;
        let encrypt = EncryptInput {
            key_id: key,
            plaintext: Blob::new(PROOF),
            encryption_context: Some(context(named)),
            ..Default::default()
        };
        let output = cx.cloud.call::<Encrypt>(&through, encrypt).await.map_err(refused)?;
        settings.kms_proof = output.ciphertext_blob.map(Blob::into_inner);
        Ok(())
    }

    /// Uses the key as the function's role.
    ///
    /// Errors: `KMSDisabledException`, `KMSAccessDeniedException`, `KMSInvalidStateException`, `KMSNotFoundException`.
    pub(crate) async fn unseal(&self, role: &Context, named: &Named, version: &Version) -> Result<(), Error> {
        let Some(proof) = &version.settings.kms_proof else { return Ok(()) };
        let decrypt = DecryptInput {
            ciphertext_blob: Some(Blob::new(proof.clone())),
            encryption_context: Some(context(named)),
            ..Default::default()
        };
        let through = role.through(PRINCIPAL);
        let Err(error) = role.cloud.call::<Decrypt>(&through, decrypt).await else { return Ok(()) };
        let message = |why: &str| {
            Some(format!(
                "Lambda was unable to decrypt the environment variables because {why}. Please check the function's KMS key settings. \
                 KMS Exception: {} KMS Message: {}",
                error.code(),
                error.message()
            ))
        };
        let r#type = Some("User".to_owned());
        Err(match error.code() {
            "DisabledException" => {
                KMSDisabledException { r#type, message: message("the KMS key is disabled") }.into()
            }
            "NotFoundException" => {
                KMSNotFoundException { r#type, message: message("the KMS key was not found") }.into()
            }
            "KMSInvalidStateException" => KMSInvalidStateException {
                r#type,
                message: message("the KMS key is in an invalid state for Decrypt"),
            }
            .into(),
            code if code.starts_with("AccessDenied") => {
                KMSAccessDeniedException { r#type, message: message("KMS access was denied") }.into()
            }
            _ => error,
        })
    }
}

fn context(named: &Named) -> BTreeMap<String, String> {
    BTreeMap::from([("aws:lambda:FunctionArn".to_owned(), named.arn())])
}
