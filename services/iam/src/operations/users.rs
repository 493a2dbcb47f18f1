//! Users.

use crate::credentials::{OfUser, ServiceCredential, SigningCertificate, SshKey};
use crate::state::missing;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{AccessKey, Group, Permissions, User, named, of_account};
use cloudlet_service::{Context, Principal};
use cloudlet_store::{StoreError, Tx};

/// Users per account.
const QUOTA: usize = 5_000;

impl Iam {
    /// The user that a request means: the one named, or the caller.
    ///
    /// Errors: `ValidationError` where the caller is no user.
    pub(crate) fn user_name(&self, cx: &Context, given: Option<String>) -> Result<String, Error> {
        match (given, &cx.principal) {
            (Some(name), _) => Ok(name),
            (None, Principal::User { name, .. }) => Ok(name.to_string()),
            (None, _) => {
                Err(errors::validation("Must specify userName when calling with non-User credentials"))
            }
        }
    }

    /// Creates a user.
    ///
    /// Errors: `EntityAlreadyExists`, `LimitExceeded`, `NoSuchEntity` for the boundary.
    pub async fn create_user(&self, cx: &Context, input: CreateUserInput) -> Result<CreateUserOutput, Error> {
        if let Some(boundary) = &input.permissions_boundary {
            self.bounding(cx, boundary)?;
        }
        self.room_for::<User>(cx, "UsersPerAccount", QUOTA)?;
        let user = User {
            account: cx.account.to_string(),
            name: input.user_name,
            path: shown::path(input.path)?,
            id: cx.random().unique_id("AIDA"),
            created: cx.millis(),
            permissions: Permissions { boundary: input.permissions_boundary, ..Permissions::default() },
            tags: shown::given_tags(input.tags)?,
            ..User::default()
        };
        let key = named(&cx.account, &user.name);
        self.change(|tx| {
            if tx.exists::<User>(&key)? {
                return Err(errors::exists(format!("User with name {} already exists.", user.name)).into());
            }
            Ok(tx.put(&key, &user)?)
        })
        .await?;
        Ok(CreateUserOutput { user: Some(shown::user(&user)) })
    }

    /// Describes a user, or the caller.
    ///
    /// Errors: `NoSuchEntity`, `ValidationError`.
    pub async fn get_user(&self, cx: &Context, input: GetUserInput) -> Result<GetUserOutput, Error> {
        if let (None, Principal::Root { account }) = (&input.user_name, &cx.principal) {
            // The root user has neither name nor path.
            let user = cloudlet_api_iam::User {
                user_id: account.to_string(),
                arn: cx.principal.arn(),
                create_date: shown::date(0),
                ..Default::default()
            };
            return Ok(GetUserOutput { user });
        }
        let name = self.user_name(cx, input.user_name)?;
        Ok(GetUserOutput { user: shown::user(&self.entity::<User>(cx, &name)?) })
    }

    /// Lists users by path.
    pub async fn list_users(&self, cx: &Context, input: ListUsersInput) -> Result<ListUsersOutput, Error> {
        let prefix = input.path_prefix.unwrap_or_default();
        let users = self.all::<User>(cx)?.into_iter().filter(|user| user.path.starts_with(&prefix));
        let page = shown::page(users, input.marker.as_deref(), input.max_items, |user| user.name.clone())?;
        Ok(ListUsersOutput {
            users: page.items.iter().map(shown::user_listed).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Changes name and path. The unique id stays.
    ///
    /// Errors: `NoSuchEntity`, `EntityAlreadyExists`.
    pub async fn update_user(&self, cx: &Context, input: UpdateUserInput) -> Result<UpdateUserOutput, Error> {
        let path = input.new_path.map(|path| shown::path(Some(path))).transpose()?;
        let old_key = named(&cx.account, &input.user_name);
        self.change(|tx| {
            let mut user = tx.get::<User>(&old_key)?.ok_or_else(|| missing::<User>(&input.user_name))?;
            if let Some(path) = &path {
                user.path.clone_from(path);
            }
            let Some(new_name) = &input.new_user_name else {
                return Ok(tx.put(&old_key, &user)?);
            };
            let new_key = named(&cx.account, new_name);
            if new_key != old_key && tx.exists::<User>(&new_key)? {
                return Err(errors::exists(format!("User with name {new_name} already exists.")).into());
            }
            // Whatever knows the user by name follows.
            for group in &user.groups {
                let key = named(&cx.account, group);
                if let Some(mut group) = tx.get::<Group>(&key)? {
                    group.members.remove(&user.name);
                    group.members.insert(new_name.clone());
                    tx.put(&key, &group)?;
                }
            }
            for id in &user.access_keys {
                let key = AccessKey::key(id);
                if let Some(mut access_key) = tx.get::<AccessKey>(&key)? {
                    access_key.user = Some(new_name.clone());
                    tx.put(&key, &access_key)?;
                }
            }
            for serial in &user.mfa_devices {
                let key = cloudlet_identity::records::MfaDevice::key(&cx.account, serial);
                if let Some(mut device) = tx.get::<cloudlet_identity::records::MfaDevice>(&key)? {
                    device.user = Some(new_name.clone());
                    tx.put(&key, &device)?;
                }
            }
            user.name.clone_from(new_name);
            tx.delete::<User>(&old_key)?;
            Ok(tx.put(&new_key, &user)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a user that has nothing left.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`.
    pub async fn delete_user(&self, cx: &Context, input: DeleteUserInput) -> Result<DeleteUserOutput, Error> {
        let key = named(&cx.account, &input.user_name);
        self.change(|tx| {
            let user = tx.get::<User>(&key)?.ok_or_else(|| missing::<User>(&input.user_name))?;
            let certificates = has::<SigningCertificate>(tx, cx, &user)?;
            let ssh_keys = has::<SshKey>(tx, cx, &user)?;
            let credentials = has::<ServiceCredential>(tx, cx, &user)?;
            let left = [
                (!user.permissions.attached.is_empty(), "must detach all policies first"),
                (!user.permissions.inline.is_empty(), "must delete policies first"),
                (!user.access_keys.is_empty(), "must delete access keys first"),
                (!user.groups.is_empty(), "must remove users from group first"),
                (user.login.is_some(), "must delete login profile first"),
                (!user.mfa_devices.is_empty(), "must delete MFA device first"),
                (certificates, "must delete signing certificates first"),
                (ssh_keys, "must delete SSH public keys first"),
                (credentials, "must remove referenced objects first"),
            ];
            if let Some((_, what)) = left.iter().find(|(left, _)| *left) {
                return Err(errors::conflict(format!("Cannot delete entity, {what}.")).into());
            }
            Ok(tx.delete::<User>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Sets the boundary.
    ///
    /// Errors: `NoSuchEntity`, `ValidationError`.
    pub async fn put_user_permissions_boundary(
        &self,
        cx: &Context,
        input: PutUserPermissionsBoundaryInput,
    ) -> Result<PutUserPermissionsBoundaryOutput, Error> {
        self.set_boundary::<User>(cx, &input.user_name, Some(&input.permissions_boundary)).await?;
        Ok(NoMembers)
    }

    /// Removes the boundary.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_user_permissions_boundary(
        &self,
        cx: &Context,
        input: DeleteUserPermissionsBoundaryInput,
    ) -> Result<DeleteUserPermissionsBoundaryOutput, Error> {
        self.set_boundary::<User>(cx, &input.user_name, None).await?;
        Ok(NoMembers)
    }
}

/// Whether anything of this kind hangs on a user.
fn has<R: OfUser>(tx: &mut Tx<'_>, cx: &Context, user: &User) -> Result<bool, StoreError> {
    for row in tx.scan::<R>(of_account(&cx.account).prefix_range(), false) {
        if row?.1.user_id() == user.id {
            return Ok(true);
        }
    }
    Ok(false)
}
