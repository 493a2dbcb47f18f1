//! Regions: which there are, and which an account has opted into.
//!
//! Source: AWS Account Management Reference Guide, "Enable or disable AWS Regions in your account".

use crate::state::Settings;
use crate::{Account, errors};
use cloudlet_api_account::*;
use cloudlet_identity::regions::DisabledRegions;
use cloudlet_service::Context;
use cloudlet_service::pages;
use cloudlet_service::regions::ALL as REGIONS;
use cloudlet_store::{Key, StoreError};

impl Account {
    /// Lists regions by their state.
    ///
    /// Errors: `ValidationException`, `AccessDeniedException`.
    pub async fn list_regions(
        &self,
        cx: &Context,
        input: ListRegionsInput,
    ) -> Result<ListRegionsOutput, Error> {
        let settings = self.settings(&self.meant(cx, input.account_id.as_deref())?)?;
        let wanted = input.region_opt_status_contains.filter(|states| !states.is_empty());
        let found = REGIONS.iter().map(|(name, default)| (*name, status(&settings, name, *default)));
        let found =
            found.filter(|(_, state)| wanted.as_ref().is_none_or(|states| states.iter().any(|s| s == state)));
        let limit = input.max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(50);
        let bad = || errors::validation("fieldValidationFailed", "The next token is not valid.");
        let key = |(name, _): &(&str, &str)| name.as_bytes().to_vec();
        let page = pages::page(found, limit, input.next_token.as_deref(), key, bad)?;
        let shown = page.items.into_iter().map(|(name, state)| Region {
            region_name: Some(name.to_owned()),
            region_opt_status: Some(state.to_owned()),
        });
        Ok(ListRegionsOutput { regions: Some(shown.collect()), next_token: page.next })
    }

    /// Tells the state of one region.
    ///
    /// Errors: `ValidationException`, `AccessDeniedException`.
    pub async fn get_region_opt_status(
        &self,
        cx: &Context,
        input: GetRegionOptStatusInput,
    ) -> Result<GetRegionOptStatusOutput, Error> {
        let settings = self.settings(&self.meant(cx, input.account_id.as_deref())?)?;
        let (name, default) = region(&input.region_name)?;
        Ok(GetRegionOptStatusOutput {
            region_name: Some(name.to_owned()),
            region_opt_status: Some(status(&settings, name, default).to_owned()),
        })
    }

    /// Opts into a region; it is on when this returns.
    ///
    /// Errors: `ValidationException` for one that every account has.
    pub async fn enable_region(
        &self,
        cx: &Context,
        input: EnableRegionInput,
    ) -> Result<EnableRegionOutput, Error> {
        self.switch(cx, input.account_id.as_deref(), &input.region_name, true).await?;
        Ok(NoMembers)
    }

    /// Opts out of a region. What is in it stays.
    ///
    /// Errors: `ValidationException` for one that every account has.
    pub async fn disable_region(
        &self,
        cx: &Context,
        input: DisableRegionInput,
    ) -> Result<DisableRegionOutput, Error> {
        self.switch(cx, input.account_id.as_deref(), &input.region_name, false).await?;
        Ok(NoMembers)
    }

    async fn switch(&self, cx: &Context, account: Option<&str>, name: &str, on: bool) -> Result<(), Error> {
        let account = self.meant(cx, account)?;
        let (name, default) = region(name)?;
        if default {
            return Err(errors::validation(
                "invalidRegionOptTarget",
                format!("Region {name} is enabled by default and cannot be enabled or disabled."),
            ));
        }
        self.change(cx, &account, |settings| {
            settings.regions.insert(name.to_owned(), on);
            Ok(())
        })
        .await?;
        let key = DisabledRegions::key(&account);
        let told = self.store().transact(|tx| {
            let mut disabled = tx.get::<DisabledRegions>(&key)?.unwrap_or_default();
            match on {
                true => disabled.names.remove(name),
                false => disabled.names.insert(name.to_owned()),
            };
            tx.put(&key, &disabled)
        });
        told.await.map_err(Error::internal)
    }

    /// What is remembered about an account.
    pub(crate) fn settings(&self, account: &str) -> Result<Settings, Error> {
        let found =
            self.store().table::<Settings>().get(&Key::new().text(account)).map_err(Error::internal)?;
        Ok(found.unwrap_or_default())
    }

    /// Changes it.
    pub(crate) async fn change(
        &self,
        cx: &Context,
        account: &str,
        f: impl Fn(&mut Settings) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let key = Key::new().text(account);
        let outcome = self.store().transact(|tx| {
            let mut settings = tx
                .get::<Settings>(&key)?
                .unwrap_or_else(|| Settings { created: cx.millis(), ..Default::default() });
            let refused = f(&mut settings).err();
            if refused.is_none() {
                tx.put(&key, &settings)?;
            }
            Ok::<_, StoreError>(refused)
        });
        match outcome.await.map_err(Error::internal)? {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }
}

fn region(name: &str) -> Result<(&'static str, bool), Error> {
    REGIONS.iter().find(|(known, _)| *known == name).copied().ok_or_else(|| {
        errors::validation("invalidRegionOptTarget", format!("The region {name} is not a valid region."))
    })
}

fn status(settings: &Settings, name: &str, default: bool) -> &'static str {
    match settings.regions.get(name) {
        _ if default => "ENABLED_BY_DEFAULT",
        Some(true) => "ENABLED",
        _ => "DISABLED",
    }
}
