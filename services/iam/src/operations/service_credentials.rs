//! Service-specific credentials: passwords and API keys that one service alone takes.
//!
//! Source: IAM API Reference, `CreateServiceSpecificCredential`.

use crate::credentials::{OfUser, ServiceCredential as Own, by_id};
use crate::{Iam, errors, shown};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_iam::*;
use cloudlet_identity::records::{User, of_account};
use cloudlet_service::Context;

/// The services that take such credentials, and whether theirs are API keys that may expire.
const SERVICES: &[(&str, bool)] = &[
    ("codecommit.amazonaws.com", false),
    ("cassandra.amazonaws.com", false),
    ("bedrock.amazonaws.com", true),
    ("logs.amazonaws.com", true),
];

/// Credentials per user and service.
const PER_SERVICE: usize = 2;

impl Iam {
    /// Makes a credential; the secret is shown this once.
    ///
    /// Errors: `NoSuchEntity` for user and service, `LimitExceeded`.
    pub async fn create_service_specific_credential(
        &self,
        cx: &Context,
        input: CreateServiceSpecificCredentialInput,
    ) -> Result<CreateServiceSpecificCredentialOutput, Error> {
        let user = self.entity::<User>(cx, &input.user_name)?;
        let service = input.service_name;
        let Some((_, api_key)) = SERVICES.iter().find(|(name, _)| *name == service) else {
            return Err(errors::no_such(format!(
                "No such service {service} is supported for Service Specific Credentials"
            )));
        };
        if input.credential_age_days.is_some() && !api_key {
            return Err(errors::validation(format!("CredentialAgeDays is not supported for {service}")));
        }
        let same = self.of_user::<Own>(cx, &user)?.into_iter().filter(|own| own.service == service).count();
        if same >= PER_SERVICE {
            return Err(errors::quota("ServiceSpecificCredentialsPerUser", PER_SERVICE));
        }
        let mut name = format!("{}-at-{}", user.name, cx.account);
        if same > 0 {
            name = format!("{}+{same}-at-{}", user.name, cx.account);
        }
        let now = cx.millis();
        let own = Own {
            account: cx.account.to_string(),
            id: cx.random().unique_id("ACCA"),
            user_id: user.id.clone(),
            service,
            name,
            active: true,
            created: now,
            expires: input.credential_age_days.map(|days| now + i64::from(days) * 86_400_000),
        };
        self.change(|tx| Ok(tx.put(&by_id(cx, &own.id), &own)?)).await?;
        let shown = with_secret(cx, &user.name, own);
        Ok(CreateServiceSpecificCredentialOutput { service_specific_credential: Some(shown) })
    }

    /// Makes a new secret for a credential.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn reset_service_specific_credential(
        &self,
        cx: &Context,
        input: ResetServiceSpecificCredentialInput,
    ) -> Result<ResetServiceSpecificCredentialOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let id = &input.service_specific_credential_id;
        let known = self.of_user::<Own>(cx, &user)?.into_iter().find(|own| own.id == *id);
        let own = known.ok_or_else(|| Own::missing(id))?;
        let shown = with_secret(cx, &user.name, own);
        Ok(ResetServiceSpecificCredentialOutput { service_specific_credential: Some(shown) })
    }

    /// Lists the credentials of a user, of the caller, or of all users.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_service_specific_credentials(
        &self,
        cx: &Context,
        input: ListServiceSpecificCredentialsInput,
    ) -> Result<ListServiceSpecificCredentialsOutput, Error> {
        let users = if input.all_users == Some(true) {
            if input.user_name.is_some() {
                return Err(errors::validation("UserName and AllUsers cannot be specified together."));
            }
            self.all::<User>(cx)?
        } else {
            let name = self.user_name(cx, input.user_name)?;
            vec![self.entity::<User>(cx, &name)?]
        };
        if let Some(service) = &input.service_name
            && !SERVICES.iter().any(|(name, _)| name == service)
        {
            return Err(errors::no_such(format!(
                "No such service {service} is supported for Service Specific Credentials"
            )));
        }
        let rows = self.store().table::<Own>().scan(of_account(&cx.account).prefix_range(), false);
        let mut found = Vec::new();
        for row in rows {
            let (_, own) = row.map_err(Error::internal)?;
            let wanted = input.service_name.as_ref().is_none_or(|service| *service == own.service);
            if let Some(user) = users.iter().find(|user| user.id == own.user_id).filter(|_| wanted) {
                found.push((user.name.clone(), own));
            }
        }
        let page = shown::page(found, input.marker.as_deref(), input.max_items, |(_, own)| own.id.clone())?;
        let shown = page.items.into_iter().map(|(user_name, own)| {
            let api_key = is_api_key(&own);
            ServiceSpecificCredentialMetadata {
                user_name,
                status: status(cx, &own),
                service_user_name: (!api_key).then(|| own.name.clone()),
                service_credential_alias: api_key.then(|| own.name.clone()),
                create_date: shown::date(own.created),
                expiration_date: own.expires.and_then(shown::date),
                service_specific_credential_id: own.id,
                service_name: own.service,
            }
        });
        Ok(ListServiceSpecificCredentialsOutput {
            service_specific_credentials: Some(shown.collect()),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Switches a credential on or off.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn update_service_specific_credential(
        &self,
        cx: &Context,
        input: UpdateServiceSpecificCredentialInput,
    ) -> Result<UpdateServiceSpecificCredentialOutput, Error> {
        self.switch_of_user::<Own>(cx, input.user_name, &input.service_specific_credential_id, &input.status)
            .await?;
        Ok(NoMembers)
    }

    /// Deletes a credential.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_service_specific_credential(
        &self,
        cx: &Context,
        input: DeleteServiceSpecificCredentialInput,
    ) -> Result<DeleteServiceSpecificCredentialOutput, Error> {
        self.delete_of_user::<Own>(cx, input.user_name, &input.service_specific_credential_id).await?;
        Ok(NoMembers)
    }
}

fn is_api_key(own: &Own) -> bool {
    SERVICES.iter().any(|(name, api_key)| *name == own.service && *api_key)
}

fn status(cx: &Context, own: &Own) -> String {
    if own.expires.is_some_and(|end| end <= cx.millis()) {
        return "Expired".to_owned();
    }
    crate::credentials::shown_status(own.active)
}

fn with_secret(cx: &Context, user: &str, own: Own) -> ServiceSpecificCredential {
    let mut bytes = [0u8; 32];
    cx.random().fill(&mut bytes);
    let secret = STANDARD.encode(bytes);
    let api_key = is_api_key(&own);
    ServiceSpecificCredential {
        create_date: shown::date(own.created),
        expiration_date: own.expires.and_then(shown::date),
        status: status(cx, &own),
        service_name: own.service,
        service_user_name: (!api_key).then(|| own.name.clone()),
        service_password: (!api_key).then(|| secret.clone()),
        service_credential_alias: api_key.then_some(own.name),
        service_credential_secret: api_key.then_some(secret),
        service_specific_credential_id: own.id,
        user_name: user.to_owned(),
    }
}
