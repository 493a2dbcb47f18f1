//! Centralized root access: what an organization's management account may do with the root users of its members.
//!
//! Source: IAM User Guide, "Centrally manage root access for member accounts".

use crate::Iam;
use cloudlet_api_iam::*;
use cloudlet_identity::organization::{Membership, Organization};
use cloudlet_service::Context;
use cloudlet_store::Key;

/// IAM's service principal, as Organizations knows it.
const SERVICE: &str = "iam.amazonaws.com";
/// Root users' credentials may be looked at and deleted.
const CREDENTIALS: &str = "RootCredentialsManagement";
/// Privileged sessions of root users may be made.
const SESSIONS: &str = "RootSessions";

impl Iam {
    /// The caller's organization, for its management account and IAM's delegated administrators.
    ///
    /// Errors: `OrganizationNotFoundException`, `OrganizationNotInAllFeaturesModeException`,
    /// `ServiceAccessNotEnabledException`, `AccountNotManagementOrDelegatedAdministratorException`.
    fn root_administration(&self, cx: &Context) -> Result<Organization, Error> {
        let member =
            self.store().table::<Membership>().get(&Key::new().text(&cx.account)).map_err(Error::internal)?;
        let found = match member {
            Some(member) => self
                .store()
                .table::<Organization>()
                .get(&Key::new().text(&member.organization))
                .map_err(Error::internal)?,
            None => None,
        };
        let organization = found.ok_or_else(|| {
            Error::sender(
                "OrganizationNotFoundException",
                "The request was rejected because no organization is associated with your account.",
            )
        })?;
        let delegated = organization
            .delegated
            .iter()
            .any(|(account, service, _)| **account == *cx.account && service == SERVICE);
        if *organization.management != *cx.account && !delegated {
            return Err(Error::sender(
                "AccountNotManagementOrDelegatedAdministratorException",
                "The request was rejected because the account making the request is not the management account or \
                 delegated administrator account for centralized root access.",
            ));
        }
        if organization.features != "ALL" {
            return Err(Error::sender(
                "OrganizationNotInAllFeaturesModeException",
                "The request was rejected because your organization does not have All features enabled.",
            ));
        }
        if !organization.trusted.contains_key(SERVICE) {
            return Err(Error::sender(
                "ServiceAccessNotEnabledException",
                "The request was rejected because trusted access is not enabled for IAM in AWS Organizations.",
            ));
        }
        Ok(organization)
    }

    async fn set_root_feature(
        &self,
        cx: &Context,
        feature: &str,
        on: bool,
    ) -> Result<(Option<String>, Option<Vec<String>>), Error> {
        let key = Key::new().text(&self.root_administration(cx)?.id);
        let change = self.change(|tx| {
            let mut own = tx.get::<Organization>(&key)?.unwrap_or_default();
            own.root_features.retain(|known| known != feature);
            if on {
                own.root_features.push(feature.to_owned());
                own.root_features.sort();
            }
            tx.put(&key, &own)?;
            Ok(own)
        });
        let own = change.await?;
        Ok((Some(own.id), Some(own.root_features)))
    }

    /// Lists what is on.
    pub async fn list_organizations_features(
        &self,
        cx: &Context,
        _: ListOrganizationsFeaturesInput,
    ) -> Result<ListOrganizationsFeaturesOutput, Error> {
        let own = self.root_administration(cx)?;
        Ok(ListOrganizationsFeaturesOutput {
            organization_id: Some(own.id),
            enabled_features: Some(own.root_features),
        })
    }
}

/// The operations that turn one feature on or off. Errors: those of `root_administration`.
macro_rules! switches {
    ($($name:ident $Input:ident $Output:ident, $feature:ident, $on:literal;)*) => {
        impl Iam {
            $(
                /// Turns the feature on or off; once more does nothing.
                pub async fn $name(&self, cx: &Context, _: $Input) -> Result<$Output, Error> {
                    let (organization_id, enabled_features) = self.set_root_feature(cx, $feature, $on).await?;
                    Ok($Output { organization_id, enabled_features })
                }
            )*
        }
    };
}

switches! {
    enable_organizations_root_credentials_management
        EnableOrganizationsRootCredentialsManagementInput EnableOrganizationsRootCredentialsManagementOutput,
        CREDENTIALS, true;
    disable_organizations_root_credentials_management
        DisableOrganizationsRootCredentialsManagementInput DisableOrganizationsRootCredentialsManagementOutput,
        CREDENTIALS, false;
    enable_organizations_root_sessions
        EnableOrganizationsRootSessionsInput EnableOrganizationsRootSessionsOutput, SESSIONS, true;
    disable_organizations_root_sessions
        DisableOrganizationsRootSessionsInput DisableOrganizationsRootSessionsOutput, SESSIONS, false;
}
