//! Access keys: the secret is shown once, when the key is made.

use crate::state::missing;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::{AccessKey, *};
use cloudlet_identity::records::{AccessKey as Key, RootKey, User, named, of_account};
use cloudlet_service::{Context, Principal};

/// Access keys per user.
const PER_USER: usize = 2;

impl Iam {
    /// Makes an access key for a user, or for the caller.
    ///
    /// Errors: `NoSuchEntity`, `LimitExceeded`.
    pub async fn create_access_key(
        &self,
        cx: &Context,
        input: CreateAccessKeyInput,
    ) -> Result<CreateAccessKeyOutput, Error> {
        let (id, secret) = self.identities.new_key_pair("AKIA");
        let mut made = Key {
            id,
            account: cx.account.to_string(),
            user: None,
            secret,
            active: true,
            created: cx.millis(),
        };
        let of_root = input.user_name.is_none() && matches!(cx.principal, Principal::Root { .. });
        if of_root {
            let root = of_account(&cx.account);
            self.change(|tx| {
                if tx.exists::<RootKey>(&root)? {
                    return Err(errors::quota("AccessKeysPerUser", 1).into());
                }
                tx.put(&root, &RootKey { access_key: made.id.clone() })?;
                Ok(tx.put(&Key::key(&made.id), &made)?)
            })
            .await?;
        } else {
            let name = self.user_name(cx, input.user_name)?;
            let key = named(&cx.account, &name);
            made.user = Some(self.entity::<User>(cx, &name)?.name);
            self.change(|tx| {
                let mut user = tx.get::<User>(&key)?.ok_or_else(|| missing::<User>(&name))?;
                if user.access_keys.len() >= PER_USER {
                    return Err(errors::quota("AccessKeysPerUser", PER_USER).into());
                }
                user.access_keys.push(made.id.clone());
                tx.put(&key, &user)?;
                Ok(tx.put(&Key::key(&made.id), &made)?)
            })
            .await?;
        }
        let access_key = AccessKey {
            user_name: made.user.unwrap_or_default(),
            access_key_id: made.id,
            status: status(true),
            secret_access_key: made.secret,
            create_date: shown::date(made.created),
        };
        Ok(CreateAccessKeyOutput { access_key })
    }

    /// Lists the access keys of a user, or of the caller, without secrets.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_access_keys(
        &self,
        cx: &Context,
        input: ListAccessKeysInput,
    ) -> Result<ListAccessKeysOutput, Error> {
        let of_root = input.user_name.is_none() && matches!(cx.principal, Principal::Root { .. });
        let ids = if of_root {
            let root =
                self.store().table::<RootKey>().get(&of_account(&cx.account)).map_err(Error::internal)?;
            root.into_iter().map(|root| root.access_key).collect()
        } else {
            let name = self.user_name(cx, input.user_name)?;
            self.entity::<User>(cx, &name)?.access_keys
        };
        let mut keys = Vec::with_capacity(ids.len());
        for id in &ids {
            keys.extend(self.access_key(id)?);
        }
        keys.sort_by_key(|key| key.id.to_ascii_lowercase());
        let page = shown::page(keys, input.marker.as_deref(), input.max_items, |key| key.id.clone())?;
        let shown = page.items.into_iter().map(|key| AccessKeyMetadata {
            user_name: key.user,
            access_key_id: Some(key.id),
            status: Some(status(key.active)),
            create_date: shown::date(key.created),
        });
        Ok(ListAccessKeysOutput {
            access_key_metadata: shown.collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Switches a key on or off.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn update_access_key(
        &self,
        cx: &Context,
        input: UpdateAccessKeyInput,
    ) -> Result<UpdateAccessKeyOutput, Error> {
        let active = match input.status.as_str() {
            "Active" => true,
            "Inactive" => false,
            other => {
                return Err(errors::validation(format!(
                    "The status {other} cannot be set; use Active or Inactive."
                )));
            }
        };
        let owner = self.key_owner(cx, input.user_name)?;
        let id = &input.access_key_id;
        self.change(|tx| {
            let mut key = tx
                .get::<Key>(&Key::key(id))?
                .filter(|key| belongs(key, cx, owner.as_deref()))
                .ok_or_else(|| no_key(id))?;
            key.active = active;
            Ok(tx.put(&Key::key(id), &key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a key.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_access_key(
        &self,
        cx: &Context,
        input: DeleteAccessKeyInput,
    ) -> Result<DeleteAccessKeyOutput, Error> {
        let owner = self.key_owner(cx, input.user_name)?;
        let id = &input.access_key_id;
        self.change(|tx| {
            let key = tx
                .get::<Key>(&Key::key(id))?
                .filter(|key| belongs(key, cx, owner.as_deref()))
                .ok_or_else(|| no_key(id))?;
            match &key.user {
                None => tx.delete::<RootKey>(&of_account(&cx.account))?,
                Some(name) => {
                    let at = named(&cx.account, name);
                    if let Some(mut user) = tx.get::<User>(&at)? {
                        user.access_keys.retain(|known| known != id);
                        tx.put(&at, &user)?;
                    }
                }
            }
            Ok(tx.delete::<Key>(&Key::key(id))?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// When and where a key was last used.
    ///
    /// Errors: `NoSuchEntity`, worded as AWS does for keys of others.
    pub async fn get_access_key_last_used(
        &self,
        cx: &Context,
        input: GetAccessKeyLastUsedInput,
    ) -> Result<GetAccessKeyLastUsedOutput, Error> {
        let key = self.access_key(&input.access_key_id)?.filter(|key| *key.account == *cx.account);
        let key = key.ok_or_else(|| no_key(&input.access_key_id))?;
        let used = self.identities.last_use(&key.id);
        let unknown = || "N/A".to_owned();
        let last_used = AccessKeyLastUsed {
            last_used_date: used.as_ref().and_then(|used| shown::date(used.at)),
            service_name: used.as_ref().map_or_else(unknown, |used| used.service.clone()),
            region: used.as_ref().map_or_else(unknown, |used| used.region.clone()),
        };
        Ok(GetAccessKeyLastUsedOutput { user_name: key.user, access_key_last_used: Some(last_used) })
    }

    pub(crate) fn access_key(&self, id: &str) -> Result<Option<Key>, Error> {
        self.store().table::<Key>().get(&Key::key(id)).map_err(Error::internal)
    }

    /// Whose key a request means: a user's, or the root's where the root asks for its own.
    fn key_owner(&self, cx: &Context, given: Option<String>) -> Result<Option<String>, Error> {
        match (&given, &cx.principal) {
            (None, Principal::Root { .. }) => Ok(None),
            _ => {
                let name = self.user_name(cx, given)?;
                Ok(Some(self.entity::<User>(cx, &name)?.name))
            }
        }
    }
}

fn belongs(key: &Key, cx: &Context, owner: Option<&str>) -> bool {
    *key.account == *cx.account && key.user.as_deref() == owner
}

fn no_key(id: &str) -> Error {
    errors::no_such(format!("The Access Key with id {id} cannot be found."))
}

fn status(active: bool) -> String {
    if active { "Active" } else { "Inactive" }.to_owned()
}
