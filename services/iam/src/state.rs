//! IAM's tables beside those that the identities hold, and what users, groups and roles have in common.

use crate::{Iam, errors};
use cloudlet_identity::records::{Group, ManagedPolicy, Permissions, Role, Tag, User, named, of_account};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Record, Tx};
use serde::{Deserialize, Serialize};

/// A user, a group or a role.
pub(crate) trait Entity: Record {
    /// `user`, as messages write it.
    const WHAT: &'static str;
    /// `User`, as quotas write it.
    const TITLE: &'static str;
    /// How many characters its inline policies may have together.
    const INLINE_QUOTA: usize;

    fn name(&self) -> &str;
    fn path(&self) -> &str;
    fn permissions(&self) -> &Permissions;
    fn permissions_mut(&mut self) -> &mut Permissions;

    /// Refuses a change that the entity does not stand.
    fn check_modifiable(&self) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! entity {
    ($record:ty, $what:literal, $title:literal, $quota:literal) => {
        impl Entity for $record {
            const WHAT: &'static str = $what;
            const TITLE: &'static str = $title;
            const INLINE_QUOTA: usize = $quota;

            fn name(&self) -> &str {
                &self.name
            }

            fn path(&self) -> &str {
                &self.path
            }

            fn permissions(&self) -> &Permissions {
                &self.permissions
            }

            fn permissions_mut(&mut self) -> &mut Permissions {
                &mut self.permissions
            }
        }
    };
}

entity!(User, "user", "User", 2_048);
entity!(Group, "group", "Group", 5_120);

impl Entity for Role {
    const WHAT: &'static str = "role";
    const TITLE: &'static str = "Role";
    const INLINE_QUOTA: usize = 10_240;

    fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    fn permissions_mut(&mut self) -> &mut Permissions {
        &mut self.permissions
    }

    fn check_modifiable(&self) -> Result<(), Error> {
        match &self.linked_to {
            Some(_) => Err(cloudlet_api_iam::UnmodifiableEntityException::error(format!(
                "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
                self.name
            ))),
            None => Ok(()),
        }
    }
}

/// The error of an entity that is not there.
pub(crate) fn missing<E: Entity>(name: &str) -> Error {
    errors::no_such(format!("The {} with name {name} cannot be found.", E::WHAT))
}

/// An instance profile: what gives a virtual machine its role.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct InstanceProfile {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: i64,
    /// The name of its one role.
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
}

impl Record for InstanceProfile {
    const TABLE: &'static str = "iam.instance_profiles";
}

impl InstanceProfile {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:instance-profile{}{}", self.account, self.path, self.name)
    }
}

/// What belongs to the account as a whole.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct AccountSettings {
    #[serde(default)]
    pub(crate) alias: Option<String>,
    #[serde(default)]
    pub(crate) password_policy: Option<PasswordPolicy>,
    #[serde(default)]
    pub(crate) global_token_version: u8,
}

impl Record for AccountSettings {
    const TABLE: &'static str = "iam.account_settings";
}

/// The rules for console passwords. Source: IAM API Reference, `UpdateAccountPasswordPolicy`.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct PasswordPolicy {
    pub(crate) min_length: i32,
    pub(crate) symbols: bool,
    pub(crate) numbers: bool,
    pub(crate) uppercase: bool,
    pub(crate) lowercase: bool,
    pub(crate) users_may_change: bool,
    pub(crate) max_age_days: Option<i32>,
    pub(crate) remembered: Option<i32>,
    pub(crate) hard_expiry: Option<bool>,
}

/// Whose account alias it is: aliases are unique everywhere.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) account: String,
}

impl Record for Alias {
    const TABLE: &'static str = "iam.account_aliases";
}

impl Iam {
    /// A record that the account names.
    pub(crate) fn find<R: Record>(&self, cx: &Context, name: &str) -> Result<Option<R>, Error> {
        self.store().table::<R>().get(&named(&cx.account, name)).map_err(Error::internal)
    }

    /// A user, group or role.
    pub(crate) fn entity<E: Entity>(&self, cx: &Context, name: &str) -> Result<E, Error> {
        self.find(cx, name)?.ok_or_else(|| missing::<E>(name))
    }

    /// All records of one kind in the account, by name.
    pub(crate) fn all<R: Record>(&self, cx: &Context) -> Result<Vec<R>, Error> {
        let range = of_account(&cx.account).prefix_range();
        let rows = self.store().table::<R>().scan(range, false);
        rows.map(|row| row.map(|(_, record)| record)).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Refuses another record of a kind of which the account has as many as it may.
    pub(crate) fn room_for<R: Record>(&self, cx: &Context, quota: &str, limit: usize) -> Result<(), Error> {
        let range = of_account(&cx.account).prefix_range();
        if self.store().table::<R>().scan(range, false).take(limit).count() >= limit {
            return Err(errors::quota(quota, limit));
        }
        Ok(())
    }

    /// Changes a user, group or role that is there.
    pub(crate) async fn change_entity<E: Entity, T: Send>(
        &self,
        cx: &Context,
        name: &str,
        mut f: impl FnMut(&mut Tx<'_>, &mut E) -> Result<T, errors::Failure> + Send,
    ) -> Result<T, Error> {
        let key = named(&cx.account, name);
        self.change(|tx| {
            let mut entity = tx.get::<E>(&key)?.ok_or_else(|| missing::<E>(name))?;
            let outcome = f(tx, &mut entity)?;
            tx.put(&key, &entity)?;
            Ok(outcome)
        })
        .await
    }

    /// A customer managed policy by its ARN.
    pub(crate) fn policy(&self, cx: &Context, arn: &str) -> Result<ManagedPolicy, Error> {
        errors::check_policy_arn(arn)?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        let found = self.find::<ManagedPolicy>(cx, name)?.filter(|policy| policy.arn() == arn);
        found.ok_or_else(|| no_policy(arn))
    }
}

/// The error of a managed policy that is not there.
pub(crate) fn no_policy(arn: &str) -> Error {
    errors::no_such(format!("Policy {arn} was not found."))
}
