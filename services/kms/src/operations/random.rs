//! GenerateRandom.

use super::stores::no_store;
use crate::Kms;
use crate::crypto::Rng;
use crate::errors::{no_recipient, validation};
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `ValidationException`, `CustomKeyStoreNotFoundException`.
    pub async fn generate_random(
        &self,
        cx: &Context,
        input: GenerateRandomInput,
    ) -> Result<GenerateRandomOutput, Error> {
        no_recipient(input.recipient.as_ref())?;
        if let Some(store) = input.custom_key_store_id {
            return Err(no_store(&store));
        }
        let bytes = input.number_of_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| validation("NumberOfBytes is required."))?;
        Ok(GenerateRandomOutput {
            plaintext: Some(Blob::new(Rng(cx.random()).vec(bytes))),
            ..Default::default()
        })
    }
}
