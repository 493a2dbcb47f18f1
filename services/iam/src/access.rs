//! What each operation needs: the resources as they are, and IAM's condition keys.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS IAM".

use crate::Iam;
use crate::credentials::ServerCertificate;
use crate::state::{Entity, InstanceProfile};
use cloudlet_api_iam as api;
use cloudlet_identity::records::{Group, MfaDevice, OidcProvider, Role, SamlProvider, Tag, User};
use cloudlet_service::api::{Access, Operation};
use cloudlet_service::rules::text_member;
use cloudlet_service::shape::Structure;
use cloudlet_service::{Context, Error, Principal, condition_keys};

impl Iam {
    /// The accesses of an operation: its templates filled with the names, paths and tags of what there is.
    pub(crate) fn needed(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>, Error> {
        let mut out = Vec::with_capacity(op.access.len());
        for rule in op.access {
            let mut access = Access::new(rule.action, fill(rule.resource, cx, input));
            // Whoever may do everything needs no condition keys and no look-ups.
            if !matches!(cx.principal, Principal::Root { .. }) {
                self.complete(op, rule.resource, cx, input, &mut access)?;
            }
            out.push(access);
        }
        // Tags on something new need the permission to tag beside the one to make it.
        if let Some(action) = tagging(op.name)
            && requested_tags(input).is_some_and(|tags| !tags.is_empty())
        {
            let tagging = out.first().map(|create| create.also(action));
            out.extend(tagging);
        }
        Ok(out)
    }

    fn complete(
        &self,
        op: &Operation,
        template: &str,
        cx: &Context,
        input: &dyn Structure,
        access: &mut Access,
    ) -> Result<(), Error> {
        let name = access.resource.rsplit('/').next().unwrap_or_default().to_owned();
        let mut bounded = None;
        let found: Option<(String, Vec<Tag>)> = if template.ends_with(":role/{RoleName}") {
            let found = self.find::<Role>(cx, &name)?;
            bounded = found.as_ref().and_then(|r| r.permissions().boundary.clone());
            found.map(|r| (r.arn(), r.tags))
        } else if template.ends_with(":user/{UserName}") {
            let found = self.find::<User>(cx, &name)?;
            bounded = found.as_ref().and_then(|u| u.permissions().boundary.clone());
            found.map(|u| (u.arn(), u.tags))
        } else if template.ends_with(":group/{GroupName}") {
            self.find::<Group>(cx, &name)?.map(|g| (g.arn(), Vec::new()))
        } else if template.ends_with(":instance-profile/{InstanceProfileName}") {
            self.find::<InstanceProfile>(cx, &name)?.map(|p| (p.arn(), p.tags))
        } else if template == "{PolicyArn}" {
            self.policy(cx, &access.resource).ok().map(|p| (p.arn(), p.tags))
        } else if template.ends_with(":server-certificate/{ServerCertificateName}") {
            self.find::<ServerCertificate>(cx, &name)?.map(|c| (c.arn(), c.tags))
        } else if template == "{OpenIDConnectProviderArn}" {
            let all = self.all::<OidcProvider>(cx)?;
            all.into_iter().find(|p| p.arn() == access.resource).map(|p| (p.arn(), p.tags))
        } else if template == "{SAMLProviderArn}" {
            let all = self.all::<SamlProvider>(cx)?;
            all.into_iter().find(|p| p.arn() == access.resource).map(|p| (p.arn(), p.tags))
        } else if template == "{SerialNumber}" {
            let found = self.all::<MfaDevice>(cx)?;
            found.into_iter().find(|d| d.serial == access.resource).map(|d| (d.serial, d.tags))
        } else {
            None
        };
        if let Some((arn, tags)) = found {
            access.resource = arn;
            let tags = tags.iter().map(|tag| (&tag.key, &tag.value));
            condition_keys::resource_tags(&mut access.keys, Some("iam:ResourceTag"), tags);
        }
        let mut key = |name: &str, value: String| access.keys.push((name.to_owned(), vec![value]));
        if let Some(arn) = text_member(input, "PolicyArn") {
            key("iam:PolicyARN", arn);
        }
        if let Some(arn) = text_member(input, "PermissionsBoundary").or(bounded) {
            key("iam:PermissionsBoundary", arn);
        }
        if let Some(service) = text_member(input, "AWSServiceName") {
            key("iam:AWSServiceName", service);
        }
        if op.name == "AddRoleToInstanceProfile" && access.action == "iam:PassRole" {
            key("iam:PassedToService", "ec2.amazonaws.com".to_owned());
        }
        if let Some(policy) = text_member(input, "OrganizationsPolicyId") {
            key("iam:OrganizationsPolicyId", policy);
        }
        if op.name.ends_with("ServiceSpecificCredential") {
            let named = text_member(input, "ServiceSpecificCredentialId");
            let service = match named.map(|id| self.credential_service(cx, &id)).transpose()? {
                Some(known) => known,
                None => text_member(input, "ServiceName"),
            };
            if let Some(service) = service {
                key("iam:ServiceSpecificCredentialServiceName", service);
            }
            let asked = input.as_any().downcast_ref::<api::CreateServiceSpecificCredentialInput>();
            if let Some(days) = asked.and_then(|asked| asked.credential_age_days) {
                key("iam:ServiceSpecificCredentialAgeDays", days.to_string());
            }
        }
        if let Some(tags) = requested_tags(input) {
            let tags = tags.iter().map(|tag| (&tag.key, &tag.value));
            condition_keys::requested_tags(&mut access.keys, tags);
        }
        if let Some(keys) = untagged(input) {
            condition_keys::removed_tags(&mut access.keys, keys);
        }
        Ok(())
    }
}

/// Fills a template. An absent path is `/`, an absent user name the caller's own.
fn fill(template: &str, cx: &Context, input: &dyn Structure) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else { break };
        match name {
            "partition" => out.push_str("aws"),
            "account" => out.push_str(&cx.account),
            // A provider's ARN names its issuer without the scheme.
            "Url" => {
                let url = text_member(input, name).unwrap_or_default();
                out.push_str(url.split_once("://").map_or(&url, |(_, issuer)| issuer.trim_end_matches('/')));
            }
            "Path" | "PathPrefix" => out.push_str(text_member(input, name).as_deref().unwrap_or("/")),
            "UserName" => match (text_member(input, name), &cx.principal) {
                (Some(user), _) => out.push_str(&user),
                (None, Principal::User { name, .. }) => out.push_str(name),
                (None, _) => out.push('*'),
            },
            member => out.push_str(text_member(input, member).as_deref().unwrap_or("*")),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The action that tags what an operation makes. Source: User Guide, "Tags for AWS Identity and Access Management resources".
fn tagging(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "CreateUser" => "iam:TagUser",
        "CreateRole" => "iam:TagRole",
        "CreatePolicy" => "iam:TagPolicy",
        "CreateInstanceProfile" => "iam:TagInstanceProfile",
        "CreateOpenIDConnectProvider" => "iam:TagOpenIDConnectProvider",
        "CreateSAMLProvider" => "iam:TagSAMLProvider",
        "UploadServerCertificate" => "iam:TagServerCertificate",
        "CreateVirtualMFADevice" => "iam:TagMFADevice",
        _ => return None,
    })
}

/// The tags that a request brings.
fn requested_tags(input: &dyn Structure) -> Option<&[api::Tag]> {
    let input = input.as_any();
    macro_rules! look {
        ($($optional:ident)*; $($required:ident)*) => {
            $(if let Some(input) = input.downcast_ref::<api::$optional>() { return input.tags.as_deref(); })*
            $(if let Some(input) = input.downcast_ref::<api::$required>() { return Some(&input.tags); })*
        };
    }
    look!(CreateRoleInput CreateUserInput CreatePolicyInput CreateInstanceProfileInput
        CreateOpenIDConnectProviderInput CreateSAMLProviderInput UploadServerCertificateInput
        CreateVirtualMFADeviceInput;
        TagRoleInput TagUserInput TagPolicyInput TagInstanceProfileInput TagOpenIDConnectProviderInput
        TagSAMLProviderInput TagServerCertificateInput TagMFADeviceInput);
    None
}

/// The tag keys that a request takes away.
fn untagged(input: &dyn Structure) -> Option<&[String]> {
    let input = input.as_any();
    macro_rules! look {
        ($($shape:ident)*) => {
            $(if let Some(input) = input.downcast_ref::<api::$shape>() { return Some(&input.tag_keys); })*
        };
    }
    look!(UntagRoleInput UntagUserInput UntagPolicyInput UntagInstanceProfileInput
        UntagOpenIDConnectProviderInput UntagSAMLProviderInput UntagServerCertificateInput UntagMFADeviceInput);
    None
}
