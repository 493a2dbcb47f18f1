//! Aliases: second names of keys.
//!
//! Source: AWS KMS Developer Guide, "Aliases in AWS KMS"; API Reference, `CreateAlias`.

use super::page;
use crate::errors::{Failure, limit, no_alias, stored, validation};
use crate::names::Named;
use crate::state::{Alias, KeyRecord, place};
use crate::{Kms, living, managed, shown};
use cloudlet_api_kms::*;

/// AWS: the most aliases of one key.
const MOST: usize = 50;

impl Kms {
    /// Errors: `AlreadyExistsException`, `NotFoundException`, `ValidationException`, `NotAuthorizedException` for
    /// AWS's own names, `KMSInvalidStateException`, `LimitExceededException`.
    pub async fn create_alias(
        &self,
        cx: &Context,
        input: CreateAliasInput,
    ) -> Result<CreateAliasOutput, Error> {
        check_name(&input.alias_name)?;
        let key = self.target(cx, &input.target_key_id).await?;
        let now = cx.millis();
        let at = place(&cx.account, &cx.region).text(&input.alias_name);
        self.change(&key, |tx, key| {
            if tx.exists::<Alias>(&at)? {
                return Err(Failure(AlreadyExistsException::error(format!(
                    "An alias with the name {} already exists",
                    cx.arn("kms", &input.alias_name)
                ))));
            }
            add(key, &input.alias_name)?;
            let alias =
                Alias { name: input.alias_name.clone(), target: key.id.clone(), created: now, updated: now };
            Ok(tx.put(&at, &alias)?)
        })
        .await?;
        Ok(CreateAliasOutput::default())
    }

    /// Points an alias at another key of the same kind.
    ///
    /// Errors: `NotFoundException`, `ValidationException`, `KMSInvalidStateException`, `LimitExceededException`.
    pub async fn update_alias(
        &self,
        cx: &Context,
        input: UpdateAliasInput,
    ) -> Result<UpdateAliasOutput, Error> {
        check_name(&input.alias_name)?;
        let key = self.target(cx, &input.target_key_id).await?;
        let at = place(&cx.account, &cx.region).text(&input.alias_name);
        self.change(&key, |tx, key| {
            let mut alias = tx.get::<Alias>(&at)?.ok_or_else(|| missing(cx, &input.alias_name))?;
            if alias.target == key.id {
                return Ok(());
            }
            let old_at = place(&cx.account, &cx.region).text(&alias.target);
            if let Some(mut old) = tx.get::<KeyRecord>(&old_at)? {
                // Both keys must be able to do the same.
                if (old.usage != key.usage) || (old.is_symmetric() != key.is_symmetric()) {
                    return Err(Failure(validation(format!(
                        "Alias {} cannot be changed from a key with usage {} to a key with usage {}.",
                        cx.arn("kms", &input.alias_name),
                        old.usage,
                        key.usage
                    ))));
                }
                old.aliases.retain(|name| *name != input.alias_name);
                tx.put(&old_at, &old)?;
            }
            add(key, &input.alias_name)?;
            alias.target.clone_from(&key.id);
            alias.updated = cx.millis();
            Ok(tx.put(&at, &alias)?)
        })
        .await?;
        Ok(UpdateAliasOutput::default())
    }

    /// Errors: `NotFoundException`, `ValidationException`.
    pub async fn delete_alias(
        &self,
        cx: &Context,
        input: DeleteAliasInput,
    ) -> Result<DeleteAliasOutput, Error> {
        check_name(&input.alias_name)?;
        let at = place(&cx.account, &cx.region).text(&input.alias_name);
        self.store
            .transact(|tx| {
                let alias = tx.get::<Alias>(&at)?.ok_or_else(|| missing(cx, &input.alias_name))?;
                let key_at = place(&cx.account, &cx.region).text(&alias.target);
                if let Some(mut key) = tx.get::<KeyRecord>(&key_at)? {
                    key.aliases.retain(|name| *name != input.alias_name);
                    tx.put(&key_at, &key)?;
                }
                Ok::<_, Failure>(tx.delete::<Alias>(&at)?)
            })
            .await?;
        Ok(DeleteAliasOutput::default())
    }

    /// Errors: `NotFoundException`, `InvalidMarkerException`.
    pub async fn list_aliases(
        &self,
        cx: &Context,
        input: ListAliasesInput,
    ) -> Result<ListAliasesOutput, Error> {
        let only = match &input.key_id {
            Some(id) => Some(self.own_key(cx, id).await?),
            None => None,
        };
        let mut aliases = BTreeMap::new();
        let entry = |name: &str| AliasListEntry {
            alias_arn: Some(cx.arn("kms", name)),
            alias_name: Some(name.to_owned()),
            ..Default::default()
        };
        if only.is_none() {
            for service in managed::PREDEFINED {
                let name = format!("alias/aws/{service}");
                aliases.insert(name.clone(), entry(&name));
            }
        }
        for row in self.store.table::<Alias>().scan(place(&cx.account, &cx.region).prefix_range(), false) {
            let (_, alias) = row.map_err(stored)?;
            if only.as_ref().is_none_or(|key| key.id == alias.target) {
                let shown = AliasListEntry {
                    target_key_id: Some(alias.target),
                    creation_date: Some(shown::when(alias.created)),
                    last_updated_date: Some(shown::when(alias.updated)),
                    ..entry(&alias.name)
                };
                aliases.insert(alias.name, shown);
            }
        }
        let name = |alias: &AliasListEntry| alias.alias_name.clone().unwrap_or_default();
        let (aliases, next_marker, truncated) =
            page(aliases.into_values().collect(), input.limit, (50, 100), input.marker.as_deref(), name)?;
        Ok(ListAliasesOutput {
            aliases: Some(aliases),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }

    /// The key that an alias shall point at: one of the same account and Region.
    async fn target(&self, cx: &Context, key_id: &str) -> Result<std::sync::Arc<KeyRecord>, Error> {
        if let Named::Alias { .. } = Named::parse(cx, key_id)? {
            return Err(validation("Aliases must refer to keys. Not aliases"));
        }
        let key = self.own_key(cx, key_id).await?;
        if key.account != *cx.account {
            return Err(crate::errors::no_key(&key.arn()));
        }
        living(&key)?;
        Ok(key)
    }
}

fn missing(cx: &Context, name: &str) -> Error {
    no_alias(&cx.arn("kms", name))
}

fn add(key: &mut KeyRecord, name: &str) -> Result<(), Error> {
    if key.aliases.len() >= MOST {
        return Err(limit(format!("{} has reached the limit of {MOST} aliases per key.", key.arn())));
    }
    key.aliases.push(name.to_owned());
    key.aliases.sort();
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let Some(rest) = name.strip_prefix("alias/") else {
        return Err(validation(
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ));
    };
    if rest.starts_with("aws/") || rest == "aws" {
        // AWS says no word more.
        return Err(Error::sender("NotAuthorizedException", ""));
    }
    if rest.is_empty() || rest.contains(':') {
        return Err(validation(format!("{name} contains invalid characters for an alias")));
    }
    Ok(())
}
