//! Roles.

use crate::state::InstanceProfile;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Permissions, Role, named};
use cloudlet_service::Context;

/// Roles per account.
const QUOTA: usize = 1_000;

/// The shortest and the default session, in seconds.
const HOUR: i32 = 3_600;

impl Iam {
    /// Creates a role.
    ///
    /// Errors: `EntityAlreadyExists`, `MalformedPolicyDocument`, `LimitExceeded`, `NoSuchEntity` for the boundary.
    pub async fn create_role(&self, cx: &Context, input: CreateRoleInput) -> Result<CreateRoleOutput, Error> {
        self.check_trust(&input.assume_role_policy_document)?;
        if let Some(boundary) = &input.permissions_boundary {
            self.bounding(cx, boundary)?;
        }
        let path = shown::path(input.path)?;
        if path.starts_with("/aws-service-role/") {
            return Err(errors::validation(
                "The path /aws-service-role/ is reserved for service-linked roles; use CreateServiceLinkedRole.",
            ));
        }
        self.room_for::<Role>(cx, "RolesPerAccount", QUOTA)?;
        let role = Role {
            account: cx.account.to_string(),
            name: input.role_name,
            path,
            id: cx.random().unique_id("AROA"),
            created: cx.millis(),
            trust: input.assume_role_policy_document,
            description: input.description,
            max_session: input.max_session_duration.unwrap_or(HOUR),
            permissions: Permissions { boundary: input.permissions_boundary, ..Permissions::default() },
            tags: shown::given_tags(input.tags)?,
            linked_to: None,
        };
        self.add_role(&role).await?;
        Ok(CreateRoleOutput { role: shown::role_created(&role) })
    }

    pub(crate) async fn add_role(&self, role: &Role) -> Result<(), Error> {
        let key = named(&role.account, &role.name);
        self.change(|tx| {
            if tx.exists::<Role>(&key)? {
                return Err(errors::exists(format!("Role with name {} already exists.", role.name)).into());
            }
            Ok(tx.put(&key, role)?)
        })
        .await
    }

    /// Describes a role.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_role(&self, cx: &Context, input: GetRoleInput) -> Result<GetRoleOutput, Error> {
        let role = self.entity::<Role>(cx, &input.role_name)?;
        let used = self.identities.last_use(&role.id);
        Ok(GetRoleOutput { role: shown::role(&role, used.as_ref()) })
    }

    /// Lists roles by path.
    pub async fn list_roles(&self, cx: &Context, input: ListRolesInput) -> Result<ListRolesOutput, Error> {
        let prefix = input.path_prefix.unwrap_or_default();
        let roles = self.all::<Role>(cx)?.into_iter().filter(|role| role.path.starts_with(&prefix));
        let page = shown::page(roles, input.marker.as_deref(), input.max_items, |role| role.name.clone())?;
        Ok(ListRolesOutput {
            roles: page.items.iter().map(shown::role_listed).collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Changes description and longest session.
    ///
    /// Errors: `NoSuchEntity`, `UnmodifiableEntity`.
    pub async fn update_role(&self, cx: &Context, input: UpdateRoleInput) -> Result<UpdateRoleOutput, Error> {
        self.change_entity::<Role, _>(cx, &input.role_name, |_, role| {
            if role.linked_to.is_some() && input.max_session_duration.is_some() {
                crate::state::Entity::check_modifiable(role)?;
            }
            if let Some(description) = &input.description {
                role.description = Some(description.clone());
            }
            if let Some(seconds) = input.max_session_duration {
                role.max_session = seconds;
            }
            Ok(())
        })
        .await?;
        Ok(UpdateRoleOutput::default())
    }

    /// Changes the description.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn update_role_description(
        &self,
        cx: &Context,
        input: UpdateRoleDescriptionInput,
    ) -> Result<UpdateRoleDescriptionOutput, Error> {
        let change = self.change_entity::<Role, _>(cx, &input.role_name, |_, role| {
            role.description = Some(input.description.clone());
            Ok(role.clone())
        });
        let role = change.await?;
        Ok(UpdateRoleDescriptionOutput { role: Some(shown::role(&role, None)) })
    }

    /// Replaces the trust policy.
    ///
    /// Errors: `NoSuchEntity`, `MalformedPolicyDocument`, `LimitExceeded`, `UnmodifiableEntity`.
    pub async fn update_assume_role_policy(
        &self,
        cx: &Context,
        input: UpdateAssumeRolePolicyInput,
    ) -> Result<UpdateAssumeRolePolicyOutput, Error> {
        self.entity::<Role>(cx, &input.role_name)?;
        self.check_trust(&input.policy_document)?;
        self.change_entity::<Role, _>(cx, &input.role_name, |_, role| {
            crate::state::Entity::check_modifiable(role)?;
            role.trust.clone_from(&input.policy_document);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a role that has nothing left.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`, `UnmodifiableEntity`.
    pub async fn delete_role(&self, cx: &Context, input: DeleteRoleInput) -> Result<DeleteRoleOutput, Error> {
        let key = named(&cx.account, &input.role_name);
        let profiles = cloudlet_identity::records::of_account(&cx.account);
        self.change(|tx| {
            let role =
                tx.get::<Role>(&key)?.ok_or_else(|| crate::state::missing::<Role>(&input.role_name))?;
            crate::state::Entity::check_modifiable(&role)?;
            if !role.permissions.attached.is_empty() {
                return Err(errors::conflict("Cannot delete entity, must detach all policies first.").into());
            }
            if !role.permissions.inline.is_empty() {
                return Err(errors::conflict("Cannot delete entity, must delete policies first.").into());
            }
            for row in tx.scan::<InstanceProfile>(profiles.prefix_range(), false) {
                let (_, profile) = row?;
                if profile.role.as_deref() == Some(&role.name) {
                    return Err(errors::conflict(
                        "Cannot delete entity, must remove roles from instance profile first.",
                    )
                    .into());
                }
            }
            Ok(tx.delete::<Role>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Sets the boundary.
    ///
    /// Errors: `NoSuchEntity`, `ValidationError`, `UnmodifiableEntity`.
    pub async fn put_role_permissions_boundary(
        &self,
        cx: &Context,
        input: PutRolePermissionsBoundaryInput,
    ) -> Result<PutRolePermissionsBoundaryOutput, Error> {
        self.set_boundary::<Role>(cx, &input.role_name, Some(&input.permissions_boundary)).await?;
        Ok(NoMembers)
    }

    /// Removes the boundary.
    ///
    /// Errors: `NoSuchEntity`, `UnmodifiableEntity`.
    pub async fn delete_role_permissions_boundary(
        &self,
        cx: &Context,
        input: DeleteRolePermissionsBoundaryInput,
    ) -> Result<DeleteRolePermissionsBoundaryOutput, Error> {
        self.set_boundary::<Role>(cx, &input.role_name, None).await?;
        Ok(NoMembers)
    }
}
