//! Key policies: each key has exactly one, named `default`.

use crate::Kms;
use cloudlet_api_kms::*;

const DEFAULT: &str = "default";

impl Kms {
    /// Errors: `NotFoundException`.
    pub async fn get_key_policy(
        &self,
        cx: &Context,
        input: GetKeyPolicyInput,
    ) -> Result<GetKeyPolicyOutput, Error> {
        check_name(input.policy_name.as_deref())?;
        let key = self.own_key(cx, &input.key_id).await?;
        Ok(GetKeyPolicyOutput {
            policy: Some(key.policy.clone()),
            policy_name: Some(DEFAULT.to_owned()),
            ..Default::default()
        })
    }

    /// Errors: `MalformedPolicyDocumentException`, `NotFoundException`, `LimitExceededException`.
    pub async fn put_key_policy(
        &self,
        cx: &Context,
        input: PutKeyPolicyInput,
    ) -> Result<PutKeyPolicyOutput, Error> {
        check_name(input.policy_name.as_deref())?;
        let key = self.own_key(cx, &input.key_id).await?;
        let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
        self.check_policy(cx, &key, &input.policy, bypass).await?;
        self.change(&key, |_, key| {
            key.set_policy(input.policy.clone());
            Ok(())
        })
        .await?;
        Ok(PutKeyPolicyOutput::default())
    }

    /// Errors: `NotFoundException`.
    pub async fn list_key_policies(
        &self,
        cx: &Context,
        input: ListKeyPoliciesInput,
    ) -> Result<ListKeyPoliciesOutput, Error> {
        self.own_key(cx, &input.key_id).await?;
        let names = vec![DEFAULT.to_owned()];
        let (names, next_marker, truncated) =
            super::page(names, input.limit, (100, 1000), input.marker.as_deref(), Clone::clone)?;
        Ok(ListKeyPoliciesOutput {
            policy_names: Some(names),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }
}

fn check_name(name: Option<&str>) -> Result<(), Error> {
    match name {
        None | Some(DEFAULT) => Ok(()),
        Some(_) => Err(NotFoundException::error("No such policy exists")),
    }
}
