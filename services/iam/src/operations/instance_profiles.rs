//! Instance profiles.

use crate::state::{InstanceProfile, missing};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Role, named};
use cloudlet_service::Context;

/// Instance profiles per account.
const QUOTA: usize = 1_000;

impl Iam {
    /// Creates an instance profile without a role.
    ///
    /// Errors: `EntityAlreadyExists`, `LimitExceeded`.
    pub async fn create_instance_profile(
        &self,
        cx: &Context,
        input: CreateInstanceProfileInput,
    ) -> Result<CreateInstanceProfileOutput, Error> {
        self.room_for::<InstanceProfile>(cx, "InstanceProfilesPerAccount", QUOTA)?;
        let profile = InstanceProfile {
            account: cx.account.to_string(),
            name: input.instance_profile_name,
            path: shown::path(input.path)?,
            id: cx.random().unique_id("AIPA"),
            created: cx.millis(),
            role: None,
            tags: shown::given_tags(input.tags)?,
        };
        let key = named(&cx.account, &profile.name);
        self.change(|tx| {
            if tx.exists::<InstanceProfile>(&key)? {
                return Err(
                    errors::exists(format!("Instance Profile {} already exists.", profile.name)).into()
                );
            }
            Ok(tx.put(&key, &profile)?)
        })
        .await?;
        Ok(CreateInstanceProfileOutput { instance_profile: shown::instance_profile(&profile, None) })
    }

    /// Describes an instance profile.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_instance_profile(
        &self,
        cx: &Context,
        input: GetInstanceProfileInput,
    ) -> Result<GetInstanceProfileOutput, Error> {
        let name = &input.instance_profile_name;
        let profile = self.find::<InstanceProfile>(cx, name)?.ok_or_else(|| no_profile(name))?;
        Ok(GetInstanceProfileOutput { instance_profile: self.shown_profile(cx, &profile)? })
    }

    /// Lists instance profiles by path.
    pub async fn list_instance_profiles(
        &self,
        cx: &Context,
        input: ListInstanceProfilesInput,
    ) -> Result<ListInstanceProfilesOutput, Error> {
        let prefix = input.path_prefix.unwrap_or_default();
        let found =
            self.all::<InstanceProfile>(cx)?.into_iter().filter(|profile| profile.path.starts_with(&prefix));
        let page =
            shown::page(found, input.marker.as_deref(), input.max_items, |profile| profile.name.clone())?;
        let shown: Result<_, _> = page.items.iter().map(|profile| self.shown_profile(cx, profile)).collect();
        Ok(ListInstanceProfilesOutput {
            instance_profiles: shown?,
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Lists the instance profiles that hold a role.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_instance_profiles_for_role(
        &self,
        cx: &Context,
        input: ListInstanceProfilesForRoleInput,
    ) -> Result<ListInstanceProfilesForRoleOutput, Error> {
        let role = self.entity::<Role>(cx, &input.role_name)?;
        let all = self.all::<InstanceProfile>(cx)?;
        let found = all.into_iter().filter(|profile| profile.role.as_deref() == Some(&role.name));
        let page =
            shown::page(found, input.marker.as_deref(), input.max_items, |profile| profile.name.clone())?;
        Ok(ListInstanceProfilesForRoleOutput {
            instance_profiles: page.items.iter().map(|p| shown::instance_profile(p, Some(&role))).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Deletes an instance profile without a role.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`.
    pub async fn delete_instance_profile(
        &self,
        cx: &Context,
        input: DeleteInstanceProfileInput,
    ) -> Result<DeleteInstanceProfileOutput, Error> {
        let name = &input.instance_profile_name;
        let key = named(&cx.account, name);
        self.change(|tx| {
            let profile = tx.get::<InstanceProfile>(&key)?.ok_or_else(|| no_profile(name))?;
            if profile.role.is_some() {
                return Err(errors::conflict(
                    "Cannot delete entity, must remove roles from instance profile first.",
                )
                .into());
            }
            Ok(tx.delete::<InstanceProfile>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Puts the one role into an instance profile.
    ///
    /// Errors: `NoSuchEntity`, `LimitExceeded`, `UnmodifiableEntity`.
    pub async fn add_role_to_instance_profile(
        &self,
        cx: &Context,
        input: AddRoleToInstanceProfileInput,
    ) -> Result<AddRoleToInstanceProfileOutput, Error> {
        let name = &input.instance_profile_name;
        let (key, role_key) = (named(&cx.account, name), named(&cx.account, &input.role_name));
        self.change(|tx| {
            let mut profile = tx.get::<InstanceProfile>(&key)?.ok_or_else(|| no_profile(name))?;
            let role = tx.get::<Role>(&role_key)?.ok_or_else(|| missing::<Role>(&input.role_name))?;
            crate::state::Entity::check_modifiable(&role)?;
            if profile.role.is_some() {
                return Err(errors::quota("InstanceSessionsPerInstanceProfile", 1).into());
            }
            profile.role = Some(role.name);
            Ok(tx.put(&key, &profile)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes the role out.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn remove_role_from_instance_profile(
        &self,
        cx: &Context,
        input: RemoveRoleFromInstanceProfileInput,
    ) -> Result<RemoveRoleFromInstanceProfileOutput, Error> {
        let name = &input.instance_profile_name;
        let key = named(&cx.account, name);
        self.change(|tx| {
            let mut profile = tx.get::<InstanceProfile>(&key)?.ok_or_else(|| no_profile(name))?;
            if profile.role.as_deref().is_none_or(|role| !role.eq_ignore_ascii_case(&input.role_name)) {
                return Err(missing::<Role>(&input.role_name).into());
            }
            profile.role = None;
            Ok(tx.put(&key, &profile)?)
        })
        .await?;
        Ok(NoMembers)
    }

    pub(crate) fn shown_profile(
        &self,
        cx: &Context,
        profile: &InstanceProfile,
    ) -> Result<cloudlet_api_iam::InstanceProfile, Error> {
        let role = match &profile.role {
            Some(name) => self.find::<Role>(cx, name)?,
            None => None,
        };
        Ok(shown::instance_profile(profile, role.as_ref()))
    }
}

pub(crate) fn no_profile(name: &str) -> Error {
    errors::no_such(format!("Instance Profile {name} cannot be found."))
}
