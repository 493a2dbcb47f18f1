//! Outbound web identity federation: whether the account issues tokens about its own identities.
//!
//! Source: IAM API Reference, `EnableOutboundWebIdentityFederation`.

use crate::Iam;
use cloudlet_api_iam::*;
use cloudlet_identity::issuer::{Issuer, IssuerOf};
use cloudlet_service::Context;
use cloudlet_store::Key;

impl Iam {
    /// Turns it on. The issuer's address and keys are those of before, where it was on before.
    ///
    /// Errors: `FeatureEnabled`.
    pub async fn enable_outbound_web_identity_federation(
        &self,
        cx: &Context,
        _: NoMembers,
    ) -> Result<EnableOutboundWebIdentityFederationOutput, Error> {
        let fresh = match self.identities.issuer(&cx.account)? {
            Some(known) => known,
            None => {
                let cx = cx.clone();
                // An RSA key takes a while to find.
                let made = tokio::task::spawn_blocking(move || Issuer::make(&cx.account, cx.random()));
                made.await.map_err(Error::internal)??
            }
        };
        let key = Key::new().text(&cx.account);
        let change = self.change(|tx| {
            let mut issuer = match tx.get::<Issuer>(&key)? {
                Some(known) if known.enabled => {
                    return Err(FeatureEnabledException::error(
                        "The request failed because outbound identity federation is already enabled for your AWS \
                         account. You cannot enable the feature multiple times. To fetch the current configuration \
                         (including the unique issuer URL), use the GetOutboundWebIdentityFederationInfo operation.",
                    )
                    .into());
                }
                Some(known) => known,
                None => fresh.clone(),
            };
            issuer.enabled = true;
            tx.put(&key, &issuer)?;
            tx.put(&Key::new().text(&issuer.id), &IssuerOf { account: issuer.account.clone() })?;
            Ok(issuer)
        });
        let issuer = change.await?;
        Ok(EnableOutboundWebIdentityFederationOutput {
            issuer_identifier: Some(issuer.url(cx.cloud.endpoint())),
        })
    }

    /// Turns it off: no more tokens are issued, and the keys are not published any more.
    ///
    /// Errors: `FeatureDisabled`.
    pub async fn disable_outbound_web_identity_federation(
        &self,
        cx: &Context,
        _: NoMembers,
    ) -> Result<NoMembers, Error> {
        let key = Key::new().text(&cx.account);
        self.change(|tx| {
            let known = tx.get::<Issuer>(&key)?.filter(|issuer| issuer.enabled);
            let mut issuer = known.ok_or_else(disabled)?;
            issuer.enabled = false;
            Ok(tx.put(&key, &issuer)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Tells the issuer's address.
    ///
    /// Errors: `FeatureDisabled`.
    pub async fn get_outbound_web_identity_federation_info(
        &self,
        cx: &Context,
        _: NoMembers,
    ) -> Result<GetOutboundWebIdentityFederationInfoOutput, Error> {
        let issuer = self.identities.issuer(&cx.account)?.filter(|issuer| issuer.enabled);
        let issuer = issuer.ok_or_else(disabled)?;
        Ok(GetOutboundWebIdentityFederationInfoOutput {
            issuer_identifier: Some(issuer.url(cx.cloud.endpoint())),
            jwt_vending_enabled: Some(true),
        })
    }
}

fn disabled() -> Error {
    FeatureDisabledException::error(
        "The request failed because outbound identity federation is already disabled for your AWS account. You cannot \
         disable the feature multiple times",
    )
}
