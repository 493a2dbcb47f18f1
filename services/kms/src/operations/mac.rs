//! GenerateMac, VerifyMac.

use super::fit;
use crate::Kms;
use crate::errors::{dry_run, internal};
use crate::spec::MAC;
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn generate_mac(
        &self,
        cx: &Context,
        input: GenerateMacInput,
    ) -> Result<GenerateMacOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "GenerateMac", MAC, Some(&input.mac_algorithm))?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        let mac = secret.mac(&input.mac_algorithm, input.message.as_ref()).map_err(internal)?;
        self.note_use(cx, &key, "GenerateMac").await;
        Ok(GenerateMacOutput {
            mac: Some(Blob::new(mac)),
            mac_algorithm: Some(input.mac_algorithm),
            key_id: Some(key.arn()),
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::generate_mac`], and `KMSInvalidMacException`.
    pub async fn verify_mac(&self, cx: &Context, input: VerifyMacInput) -> Result<VerifyMacOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "VerifyMac", MAC, Some(&input.mac_algorithm))?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        secret
            .verify_mac(&input.mac_algorithm, input.message.as_ref(), input.mac.as_ref())
            .map_err(|_| Error::sender("KMSInvalidMacException", ""))?;
        self.note_use(cx, &key, "VerifyMac").await;
        Ok(VerifyMacOutput {
            key_id: Some(key.arn()),
            mac_valid: Some(true),
            mac_algorithm: Some(input.mac_algorithm),
            ..Default::default()
        })
    }
}
