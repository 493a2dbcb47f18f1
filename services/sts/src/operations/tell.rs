//! What STS tells about callers and keys.

use crate::{Sts, errors};
use cloudlet_api_sts::*;
use cloudlet_service::Context;

impl Sts {
    /// Tells the caller who it is. Needs no permission and cannot be denied.
    pub async fn get_caller_identity(
        &self,
        cx: &Context,
        _: GetCallerIdentityInput,
    ) -> Result<GetCallerIdentityOutput, Error> {
        Ok(GetCallerIdentityOutput {
            user_id: Some(cx.principal.user_id()),
            account: Some(cx.principal.account().to_owned()),
            arn: Some(cx.principal.arn()),
        })
    }

    /// Tells which account an access key belongs to.
    ///
    /// Errors: `ValidationError` for a key that is not ours.
    pub async fn get_access_key_info(
        &self,
        _: &Context,
        input: GetAccessKeyInfoInput,
    ) -> Result<GetAccessKeyInfoOutput, Error> {
        let account = self.identities.account_of_key(&input.access_key_id)?;
        let account = account
            .ok_or_else(|| errors::validation(format!("Account not found for {}", input.access_key_id)))?;
        Ok(GetAccessKeyInfoOutput { account: Some(account) })
    }

    /// Opens the encoded explanation that came with a refusal.
    ///
    /// Errors: `InvalidAuthorizationMessageException`.
    pub async fn decode_authorization_message(
        &self,
        _: &Context,
        input: DecodeAuthorizationMessageInput,
    ) -> Result<DecodeAuthorizationMessageOutput, Error> {
        match self.identities.decode_authorization_message(&input.encoded_message) {
            Some(message) => Ok(DecodeAuthorizationMessageOutput { decoded_message: Some(message) }),
            None => Err(InvalidAuthorizationMessageException::error("Message is not valid")),
        }
    }
}
