//! Contacts, and what the account is called.

use crate::Account;
use crate::state::{Alternate, Contact, Settings};
use cloudlet_api_account::*;
use cloudlet_identity::organization::{Member, of};
use cloudlet_service::Context;

impl Account {
    /// Describes the account.
    ///
    /// Errors: `AccessDeniedException`.
    pub async fn get_account_information(
        &self,
        cx: &Context,
        input: GetAccountInformationInput,
    ) -> Result<GetAccountInformationOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        // An account begins when it is first looked at: there is nobody who made it.
        if self.settings(&account)?.created == 0 {
            self.change(cx, &account, |settings| {
                settings.created = cx.millis();
                Ok(())
            })
            .await?;
        }
        let Settings { created, name, .. } = self.settings(&account)?;
        Ok(GetAccountInformationOutput {
            account_name: Some(name.unwrap_or_else(|| account.clone())),
            account_id: Some(account),
            account_created_date: Some(DateTime::from_secs(created.div_euclid(1000))),
            account_state: Some("ACTIVE".to_owned()),
        })
    }

    /// Gives the address of a member account's root user. The management account asks, about others only.
    ///
    /// Errors: `ResourceNotFoundException`, `AccessDeniedException`.
    pub async fn get_primary_email(
        &self,
        cx: &Context,
        input: GetPrimaryEmailInput,
    ) -> Result<GetPrimaryEmailOutput, Error> {
        let account = self.meant(cx, Some(&input.account_id))?;
        let member = match self.managed(cx, &account)? {
            Some(own) => {
                self.store().table::<Member>().get(&of(&own.id, &account)).map_err(Error::internal)?
            }
            None => None,
        };
        let member = member
            .ok_or_else(|| ResourceNotFoundException::error("No primary email found for the account."))?;
        Ok(GetPrimaryEmailOutput { primary_email: Some(member.email) })
    }

    /// Gives the account another name.
    ///
    /// Errors: `AccessDeniedException`.
    pub async fn put_account_name(
        &self,
        cx: &Context,
        input: PutAccountNameInput,
    ) -> Result<PutAccountNameOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        self.change(cx, &account, |settings| {
            settings.name = Some(input.account_name.clone());
            Ok(())
        })
        .await?;
        Ok(PutAccountNameOutput::default())
    }

    /// Gives the primary contact.
    ///
    /// Errors: `ResourceNotFoundException`, `AccessDeniedException`.
    pub async fn get_contact_information(
        &self,
        cx: &Context,
        input: GetContactInformationInput,
    ) -> Result<GetContactInformationOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        let contact = self.settings(&account)?.contact.ok_or_else(|| {
            ResourceNotFoundException::error("No contact information found for the account.")
        })?;
        let shown = ContactInformation {
            full_name: contact.full_name,
            address_line1: contact.address_line1,
            address_line2: contact.address_line2,
            address_line3: contact.address_line3,
            city: contact.city,
            state_or_region: contact.state_or_region,
            district_or_county: contact.district_or_county,
            postal_code: contact.postal_code,
            country_code: contact.country_code,
            phone_number: contact.phone_number,
            company_name: contact.company_name,
            website_url: contact.website_url,
            ..Default::default()
        };
        Ok(GetContactInformationOutput { contact_information: Some(shown), ..Default::default() })
    }

    /// Sets the primary contact.
    ///
    /// Errors: `AccessDeniedException`.
    pub async fn put_contact_information(
        &self,
        cx: &Context,
        input: PutContactInformationInput,
    ) -> Result<PutContactInformationOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        let given = input.contact_information;
        let contact = Contact {
            full_name: given.full_name,
            address_line1: given.address_line1,
            address_line2: given.address_line2,
            address_line3: given.address_line3,
            city: given.city,
            state_or_region: given.state_or_region,
            district_or_county: given.district_or_county,
            postal_code: given.postal_code,
            country_code: given.country_code,
            phone_number: given.phone_number,
            company_name: given.company_name,
            website_url: given.website_url,
        };
        self.change(cx, &account, |settings| {
            settings.contact = Some(contact.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Gives an alternate contact.
    ///
    /// Errors: `ResourceNotFoundException`, `AccessDeniedException`.
    pub async fn get_alternate_contact(
        &self,
        cx: &Context,
        input: GetAlternateContactInput,
    ) -> Result<GetAlternateContactOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        let kind = input.alternate_contact_type;
        let found = self.settings(&account)?.alternates.remove(&kind).ok_or_else(none)?;
        let shown = AlternateContact {
            name: Some(found.name),
            title: Some(found.title),
            email_address: Some(found.email),
            phone_number: Some(found.phone),
            alternate_contact_type: Some(kind),
        };
        Ok(GetAlternateContactOutput { alternate_contact: Some(shown) })
    }

    /// Sets an alternate contact.
    ///
    /// Errors: `AccessDeniedException`.
    pub async fn put_alternate_contact(
        &self,
        cx: &Context,
        input: PutAlternateContactInput,
    ) -> Result<PutAlternateContactOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        let kind = input.alternate_contact_type;
        let contact = Alternate {
            name: input.name,
            title: input.title,
            email: input.email_address,
            phone: input.phone_number,
        };
        self.change(cx, &account, |settings| {
            settings.alternates.insert(kind.clone(), contact.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Removes an alternate contact.
    ///
    /// Errors: `ResourceNotFoundException`, `AccessDeniedException`.
    pub async fn delete_alternate_contact(
        &self,
        cx: &Context,
        input: DeleteAlternateContactInput,
    ) -> Result<DeleteAlternateContactOutput, Error> {
        let account = self.meant(cx, input.account_id.as_deref())?;
        let kind = input.alternate_contact_type;
        self.change(cx, &account, |settings| settings.alternates.remove(&kind).map(|_| ()).ok_or_else(none))
            .await?;
        Ok(NoMembers)
    }
}

fn none() -> Error {
    ResourceNotFoundException::error("No contact of the inputted alternate contact type found.")
}
