//! Delegated administrators: member accounts that administer a service for the organization.

use super::organization::recognized;
use crate::state::page;
use crate::{Organizations, errors, shown};
use cloudlet_api_organizations::*;
use cloudlet_service::Context;

impl Organizations {
    /// Makes an account administrator for a service.
    ///
    /// Errors: `AccountNotFoundException`, `AccountAlreadyRegisteredException`, `ConstraintViolationException`,
    /// `InvalidInputException`.
    pub async fn register_delegated_administrator(
        &self,
        cx: &Context,
        input: RegisterDelegatedAdministratorInput,
    ) -> Result<RegisterDelegatedAdministratorOutput, Error> {
        let own = self.managed(cx)?;
        if input.account_id == own.management {
            return Err(errors::violates(
                "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR",
                "You cannot register master account/yourself as delegated administrator for your organization.",
            ));
        }
        self.member(&own, &input.account_id)?;
        let service = recognized(&input.service_principal)?.to_owned();
        let now = cx.millis();
        self.change_own(cx, |own| {
            if own.delegated.iter().any(|(account, of, _)| *account == input.account_id && *of == service) {
                return Err(AccountAlreadyRegisteredException::error(
                    "The provided account is already a delegated administrator for your organization.",
                ));
            }
            own.delegated.push((input.account_id.clone(), service.clone(), now));
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Ends that.
    ///
    /// Errors: `AccountNotFoundException`, `AccountNotRegisteredException`, `InvalidInputException`.
    pub async fn deregister_delegated_administrator(
        &self,
        cx: &Context,
        input: DeregisterDelegatedAdministratorInput,
    ) -> Result<DeregisterDelegatedAdministratorOutput, Error> {
        let own = self.managed(cx)?;
        if input.account_id == own.management {
            return Err(errors::violates(
                "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR",
                "You cannot register master account/yourself as delegated administrator for your organization.",
            ));
        }
        self.member(&own, &input.account_id)?;
        if !own.delegated.iter().any(|(account, _, _)| *account == input.account_id) {
            return Err(not_registered());
        }
        let service = recognized(&input.service_principal)?;
        self.change_own(cx, |own| {
            let before = own.delegated.len();
            own.delegated.retain(|(account, of, _)| *account != input.account_id || of != service);
            if own.delegated.len() == before { Err(not_registered()) } else { Ok(()) }
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the administrators, of one service or of all.
    pub async fn list_delegated_administrators(
        &self,
        cx: &Context,
        input: ListDelegatedAdministratorsInput,
    ) -> Result<ListDelegatedAdministratorsOutput, Error> {
        let own = self.seen(cx)?;
        let mut found: Vec<(String, i64)> = Vec::new();
        for (account, service, at) in &own.delegated {
            let wanted = input.service_principal.as_ref().is_none_or(|wanted| wanted == service);
            if wanted && !found.iter().any(|(known, _)| known == account) {
                found.push((account.clone(), *at));
            }
        }
        let page = page(found, input.next_token.as_deref(), input.max_results, |(id, _)| id.clone())?;
        let mut shown = Vec::new();
        for (id, at) in page.items {
            let account = shown::account(&own, &self.member(&own, &id)?);
            shown.push(DelegatedAdministrator {
                id: account.id,
                arn: account.arn,
                email: account.email,
                name: account.name,
                status: account.status,
                state: account.state,
                joined_method: account.joined_method,
                joined_timestamp: account.joined_timestamp,
                delegation_enabled_date: shown::date(at),
            });
        }
        Ok(ListDelegatedAdministratorsOutput { delegated_administrators: Some(shown), next_token: page.next })
    }

    /// Lists the services that an account administers.
    ///
    /// Errors: `AccountNotFoundException`, `AccountNotRegisteredException`.
    pub async fn list_delegated_services_for_account(
        &self,
        cx: &Context,
        input: ListDelegatedServicesForAccountInput,
    ) -> Result<ListDelegatedServicesForAccountOutput, Error> {
        let own = self.seen(cx)?;
        self.member(&own, &input.account_id)?;
        let found: Vec<(String, i64)> = own
            .delegated
            .iter()
            .filter(|(account, _, _)| *account == input.account_id)
            .map(|(_, service, at)| (service.clone(), *at))
            .collect();
        if found.is_empty() {
            return Err(not_registered());
        }
        let page = page(found, input.next_token.as_deref(), input.max_results, |(name, _)| name.clone())?;
        let shown = page.items.into_iter().map(|(name, at)| DelegatedService {
            service_principal: Some(name),
            delegation_enabled_date: shown::date(at),
        });
        Ok(ListDelegatedServicesForAccountOutput {
            delegated_services: Some(shown.collect()),
            next_token: page.next,
        })
    }
}

fn not_registered() -> Error {
    AccountNotRegisteredException::error(
        "The provided account is not a registered delegated administrator for your organization.",
    )
}
