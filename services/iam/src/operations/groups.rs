//! Groups.

use crate::state::missing;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Group, User, named};
use cloudlet_service::Context;

/// Groups per account.
const QUOTA: usize = 300;

/// Groups per user.
const PER_USER: usize = 10;

impl Iam {
    /// Creates a group.
    ///
    /// Errors: `EntityAlreadyExists`, `LimitExceeded`.
    pub async fn create_group(
        &self,
        cx: &Context,
        input: CreateGroupInput,
    ) -> Result<CreateGroupOutput, Error> {
        self.room_for::<Group>(cx, "GroupsPerAccount", QUOTA)?;
        let group = Group {
            account: cx.account.to_string(),
            name: input.group_name,
            path: shown::path(input.path)?,
            id: cx.random().unique_id("AGPA"),
            created: cx.millis(),
            ..Group::default()
        };
        let key = named(&cx.account, &group.name);
        self.change(|tx| {
            if tx.exists::<Group>(&key)? {
                return Err(errors::exists(format!("Group with name {} already exists.", group.name)).into());
            }
            Ok(tx.put(&key, &group)?)
        })
        .await?;
        Ok(CreateGroupOutput { group: shown::group(&group) })
    }

    /// Describes a group and lists its users.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_group(&self, cx: &Context, input: GetGroupInput) -> Result<GetGroupOutput, Error> {
        let group = self.entity::<Group>(cx, &input.group_name)?;
        let mut names: Vec<&String> = group.members.iter().collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        let page = shown::page(names, input.marker.as_deref(), input.max_items, |name| (*name).clone())?;
        let mut users = Vec::with_capacity(page.items.len());
        for name in page.items {
            users.extend(self.find::<User>(cx, name)?.as_ref().map(shown::user_listed));
        }
        Ok(GetGroupOutput {
            group: shown::group(&group),
            users,
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Lists groups by path.
    pub async fn list_groups(&self, cx: &Context, input: ListGroupsInput) -> Result<ListGroupsOutput, Error> {
        let prefix = input.path_prefix.unwrap_or_default();
        let groups = self.all::<Group>(cx)?.into_iter().filter(|group| group.path.starts_with(&prefix));
        let page = shown::page(groups, input.marker.as_deref(), input.max_items, |group| group.name.clone())?;
        Ok(ListGroupsOutput {
            groups: page.items.iter().map(shown::group).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Lists the groups of a user.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_groups_for_user(
        &self,
        cx: &Context,
        input: ListGroupsForUserInput,
    ) -> Result<ListGroupsForUserOutput, Error> {
        let user = self.entity::<User>(cx, &input.user_name)?;
        let mut groups = Vec::with_capacity(user.groups.len());
        for name in &user.groups {
            groups.extend(self.find::<Group>(cx, name)?);
        }
        groups.sort_by_key(|group| group.name.to_ascii_lowercase());
        let page = shown::page(groups, input.marker.as_deref(), input.max_items, |group| group.name.clone())?;
        Ok(ListGroupsForUserOutput {
            groups: page.items.iter().map(shown::group).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Changes name and path.
    ///
    /// Errors: `NoSuchEntity`, `EntityAlreadyExists`.
    pub async fn update_group(
        &self,
        cx: &Context,
        input: UpdateGroupInput,
    ) -> Result<UpdateGroupOutput, Error> {
        let path = input.new_path.map(|path| shown::path(Some(path))).transpose()?;
        let old_key = named(&cx.account, &input.group_name);
        self.change(|tx| {
            let mut group = tx.get::<Group>(&old_key)?.ok_or_else(|| missing::<Group>(&input.group_name))?;
            if let Some(path) = &path {
                group.path.clone_from(path);
            }
            let Some(new_name) = &input.new_group_name else {
                return Ok(tx.put(&old_key, &group)?);
            };
            let new_key = named(&cx.account, new_name);
            if new_key != old_key && tx.exists::<Group>(&new_key)? {
                return Err(errors::exists(format!("Group with name {new_name} already exists.")).into());
            }
            for member in &group.members {
                let key = named(&cx.account, member);
                if let Some(mut user) = tx.get::<User>(&key)? {
                    user.groups
                        .iter_mut()
                        .filter(|name| **name == group.name)
                        .for_each(|name| name.clone_from(new_name));
                    tx.put(&key, &user)?;
                }
            }
            group.name.clone_from(new_name);
            tx.delete::<Group>(&old_key)?;
            Ok(tx.put(&new_key, &group)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a group that has nothing left.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`.
    pub async fn delete_group(
        &self,
        cx: &Context,
        input: DeleteGroupInput,
    ) -> Result<DeleteGroupOutput, Error> {
        let key = named(&cx.account, &input.group_name);
        self.change(|tx| {
            let group = tx.get::<Group>(&key)?.ok_or_else(|| missing::<Group>(&input.group_name))?;
            let left = [
                (!group.members.is_empty(), "must remove users from group first"),
                (!group.permissions.attached.is_empty(), "must detach all policies first"),
                (!group.permissions.inline.is_empty(), "must delete policies first"),
            ];
            if let Some((_, what)) = left.iter().find(|(left, _)| *left) {
                return Err(errors::conflict(format!("Cannot delete entity, {what}.")).into());
            }
            Ok(tx.delete::<Group>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Makes a user a member; once more does nothing.
    ///
    /// Errors: `NoSuchEntity`, `LimitExceeded`.
    pub async fn add_user_to_group(
        &self,
        cx: &Context,
        input: AddUserToGroupInput,
    ) -> Result<AddUserToGroupOutput, Error> {
        self.membership(cx, &input.group_name, &input.user_name, true).await?;
        Ok(NoMembers)
    }

    /// Ends a membership.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn remove_user_from_group(
        &self,
        cx: &Context,
        input: RemoveUserFromGroupInput,
    ) -> Result<RemoveUserFromGroupOutput, Error> {
        self.membership(cx, &input.group_name, &input.user_name, false).await?;
        Ok(NoMembers)
    }

    async fn membership(
        &self,
        cx: &Context,
        group_name: &str,
        user_name: &str,
        member: bool,
    ) -> Result<(), Error> {
        let (group_key, user_key) = (named(&cx.account, group_name), named(&cx.account, user_name));
        self.change(|tx| {
            let mut group = tx.get::<Group>(&group_key)?.ok_or_else(|| missing::<Group>(group_name))?;
            let mut user = tx.get::<User>(&user_key)?.ok_or_else(|| missing::<User>(user_name))?;
            let is_member = user.groups.contains(&group.name);
            if member && !is_member {
                if user.groups.len() >= PER_USER {
                    return Err(errors::quota("GroupsPerUser", PER_USER).into());
                }
                user.groups.push(group.name.clone());
                group.members.insert(user.name.clone());
            } else if !member {
                if !is_member {
                    return Err(errors::no_such(format!(
                        "User with name {user_name} is not a member of group with name {group_name}."
                    ))
                    .into());
                }
                user.groups.retain(|name| *name != group.name);
                group.members.remove(&user.name);
            }
            tx.put(&group_key, &group)?;
            Ok(tx.put(&user_key, &user)?)
        })
        .await
    }
}
