//! Entities with their policies, as `GetAccountAuthorizationDetails` shows them.

use crate::operations::policies::{aws_version, shown_aws, shown_version};
use crate::shown;
use cloudlet_api_iam as api;
use cloudlet_identity::managed::AwsManaged;
use cloudlet_identity::records::{Group, LastUse, ManagedPolicy, Permissions, Role, User};

fn inline(permissions: &Permissions) -> Option<Vec<api::PolicyDetail>> {
    let detail = |(name, text): (&String, &String)| api::PolicyDetail {
        policy_name: Some(name.clone()),
        policy_document: Some(shown::document(text)),
    };
    (!permissions.inline.is_empty()).then(|| permissions.inline.iter().map(detail).collect())
}

fn attached(permissions: &Permissions) -> Option<Vec<api::AttachedPolicy>> {
    let attached = permissions.attached.iter().map(|arn| api::AttachedPolicy {
        policy_name: arn.rsplit('/').next().map(str::to_owned),
        policy_arn: Some(arn.clone()),
    });
    Some(attached.collect())
}

pub(crate) fn user(user: &User) -> api::UserDetail {
    let full = shown::user(user);
    api::UserDetail {
        path: full.path,
        user_name: full.user_name,
        user_id: Some(full.user_id),
        arn: Some(full.arn),
        create_date: full.create_date,
        user_policy_list: inline(&user.permissions),
        group_list: Some(user.groups.clone()),
        attached_managed_policies: attached(&user.permissions),
        permissions_boundary: full.permissions_boundary,
        tags: Some(shown::tags(&user.tags)),
    }
}

pub(crate) fn group(group: &Group) -> api::GroupDetail {
    api::GroupDetail {
        path: Some(group.path.clone()),
        group_name: Some(group.name.clone()),
        group_id: Some(group.id.clone()),
        arn: Some(group.arn()),
        create_date: shown::date(group.created),
        group_policy_list: inline(&group.permissions),
        attached_managed_policies: attached(&group.permissions),
    }
}

pub(crate) fn role(
    role: &Role,
    profiles: Vec<api::InstanceProfile>,
    used: Option<&LastUse>,
) -> api::RoleDetail {
    let full = shown::role(role, used);
    api::RoleDetail {
        path: Some(full.path),
        role_name: Some(full.role_name),
        role_id: Some(full.role_id),
        arn: Some(full.arn),
        create_date: full.create_date,
        assume_role_policy_document: full.assume_role_policy_document,
        instance_profile_list: Some(profiles),
        role_policy_list: inline(&role.permissions),
        attached_managed_policies: attached(&role.permissions),
        permissions_boundary: full.permissions_boundary,
        tags: Some(shown::tags(&role.tags)),
        role_last_used: full.role_last_used,
    }
}

pub(crate) fn policy(policy: &ManagedPolicy, counts: (i32, i32)) -> api::ManagedPolicyDetail {
    let versions = policy.versions.iter().rev().map(|version| api::PolicyVersion {
        document: Some(shown::document(&version.document)),
        ..shown_version(policy, version)
    });
    let description = policy.description.clone();
    of(api::Policy { description, ..shown::policy(policy, counts) }, versions.collect())
}

pub(crate) fn aws(aws: &AwsManaged, counts: (i32, i32)) -> api::ManagedPolicyDetail {
    let version = api::PolicyVersion { document: Some(shown::document(&aws.document)), ..aws_version(aws) };
    of(shown_aws(aws, counts), vec![version])
}

fn of(policy: api::Policy, versions: Vec<api::PolicyVersion>) -> api::ManagedPolicyDetail {
    api::ManagedPolicyDetail {
        policy_name: policy.policy_name,
        policy_id: policy.policy_id,
        arn: policy.arn,
        path: policy.path,
        default_version_id: policy.default_version_id,
        attachment_count: policy.attachment_count,
        permissions_boundary_usage_count: policy.permissions_boundary_usage_count,
        is_attachable: policy.is_attachable,
        description: policy.description,
        create_date: policy.create_date,
        update_date: policy.update_date,
        policy_version_list: Some(versions),
    }
}
