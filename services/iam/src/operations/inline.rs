//! Inline policies of users, groups and roles.

use crate::state::Entity;
use crate::{Iam, errors, parse, shown};
use cloudlet_access::PolicyKind;
use cloudlet_api_iam::*;
use cloudlet_identity::records;
use cloudlet_service::Context;
use cloudlet_service::pages::Page;

impl Iam {
    async fn put_inline<E: Entity>(
        &self,
        cx: &Context,
        of: &str,
        name: &str,
        document: &str,
    ) -> Result<(), Error> {
        self.entity::<E>(cx, of)?;
        parse(document, PolicyKind::Inline)?;
        self.change_entity::<E, _>(cx, of, |_, entity| {
            entity.check_modifiable()?;
            entity.permissions_mut().inline.insert(name.to_owned(), document.to_owned());
            let texts = entity.permissions().inline.values();
            let size: usize = texts.map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
            if size > E::INLINE_QUOTA {
                return Err(LimitExceededException::error(format!(
                    "Maximum policy size of {} bytes exceeded for {} {}",
                    E::INLINE_QUOTA,
                    E::WHAT,
                    entity.name()
                ))
                .into());
            }
            Ok(())
        })
        .await
    }

    fn get_inline<E: Entity>(&self, cx: &Context, of: &str, name: &str) -> Result<String, Error> {
        let entity = self.entity::<E>(cx, of)?;
        let document = entity.permissions().inline.get(name).map(|text| shown::document(text));
        document.ok_or_else(|| no_inline::<E>(name))
    }

    async fn delete_inline<E: Entity>(&self, cx: &Context, of: &str, name: &str) -> Result<(), Error> {
        self.change_entity::<E, _>(cx, of, |_, entity| {
            entity.check_modifiable()?;
            match entity.permissions_mut().inline.remove(name) {
                Some(_) => Ok(()),
                None => Err(no_inline::<E>(name).into()),
            }
        })
        .await
    }

    fn list_inline<E: Entity>(
        &self,
        cx: &Context,
        of: &str,
        marker: Option<&str>,
        max_items: Option<i32>,
    ) -> Result<Page<String>, Error> {
        let mut names: Vec<String> = self.entity::<E>(cx, of)?.permissions().inline.keys().cloned().collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        shown::page(names, marker, max_items, String::clone)
    }
}

fn no_inline<E: Entity>(name: &str) -> Error {
    errors::no_such(format!("The {} policy with name {name} cannot be found.", E::WHAT))
}

/// The four operations on one kind of entity. Errors: `NoSuchEntity`, `MalformedPolicyDocument`, `LimitExceeded`,
/// `UnmodifiableEntity`.
macro_rules! inline_policies {
    ($record:ty, $of:ident: $put:ident $PutInput:ident, $get:ident $GetInput:ident $GetOutput:ident,
     $delete:ident $DeleteInput:ident, $list:ident $ListInput:ident $ListOutput:ident) => {
        impl Iam {
            /// Adds or replaces an inline policy.
            pub async fn $put(&self, cx: &Context, input: $PutInput) -> Result<NoMembers, Error> {
                self.put_inline::<$record>(cx, &input.$of, &input.policy_name, &input.policy_document)
                    .await?;
                Ok(NoMembers)
            }

            /// Gives the document of an inline policy.
            pub async fn $get(&self, cx: &Context, input: $GetInput) -> Result<$GetOutput, Error> {
                let policy_document = self.get_inline::<$record>(cx, &input.$of, &input.policy_name)?;
                Ok($GetOutput { $of: input.$of, policy_name: input.policy_name, policy_document })
            }

            /// Removes an inline policy.
            pub async fn $delete(&self, cx: &Context, input: $DeleteInput) -> Result<NoMembers, Error> {
                self.delete_inline::<$record>(cx, &input.$of, &input.policy_name).await?;
                Ok(NoMembers)
            }

            /// Lists the names of the inline policies.
            pub async fn $list(&self, cx: &Context, input: $ListInput) -> Result<$ListOutput, Error> {
                let page =
                    self.list_inline::<$record>(cx, &input.$of, input.marker.as_deref(), input.max_items)?;
                Ok($ListOutput {
                    policy_names: page.items,
                    is_truncated: Some(page.next.is_some()),
                    marker: page.next,
                })
            }
        }
    };
}

inline_policies!(records::Role, role_name:
    put_role_policy PutRolePolicyInput, get_role_policy GetRolePolicyInput GetRolePolicyOutput,
    delete_role_policy DeleteRolePolicyInput, list_role_policies ListRolePoliciesInput ListRolePoliciesOutput);
inline_policies!(records::User, user_name:
    put_user_policy PutUserPolicyInput, get_user_policy GetUserPolicyInput GetUserPolicyOutput,
    delete_user_policy DeleteUserPolicyInput, list_user_policies ListUserPoliciesInput ListUserPoliciesOutput);
inline_policies!(records::Group, group_name:
    put_group_policy PutGroupPolicyInput, get_group_policy GetGroupPolicyInput GetGroupPolicyOutput,
    delete_group_policy DeleteGroupPolicyInput, list_group_policies ListGroupPoliciesInput ListGroupPoliciesOutput);
