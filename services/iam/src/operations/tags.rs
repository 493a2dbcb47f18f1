//! Tags.

use super::instance_profiles::no_profile;
use crate::state::{InstanceProfile, missing, no_policy};
use crate::{Iam, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{ManagedPolicy, Role, Tag as Own, User, named};
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};

impl Iam {
    /// Changes the tags of a record.
    pub(crate) async fn change_tags<R: Record>(
        &self,
        key: &Key,
        missing: impl Fn() -> Error + Send + Sync,
        tags: impl Fn(&mut R) -> &mut Vec<Own> + Send + Sync,
        add: &[Own],
        remove: &[String],
    ) -> Result<(), Error> {
        self.change(|tx| {
            let mut record = tx.get::<R>(key)?.ok_or_else(&missing)?;
            let tags = tags(&mut record);
            shown::remove_tags(tags, remove);
            shown::merge_tags(tags, add)?;
            Ok(tx.put(key, &record)?)
        })
        .await
    }
}

/// The three operations on one kind of resource. Errors: `NoSuchEntity`, `InvalidInput`, `LimitExceeded`.
macro_rules! tagged {
    ($record:ty, $name:ident, $key:expr, $missing:expr, $tag:ident $TagInput:ident, $untag:ident $UntagInput:ident,
     $list:ident $ListInput:ident $ListOutput:ident) => {
        impl Iam {
            /// Adds or replaces tags.
            pub async fn $tag(&self, cx: &Context, input: $TagInput) -> Result<NoMembers, Error> {
                let (key, missing) = ($key(cx, &input.$name), || $missing(&input.$name));
                let tags = shown::given_tags(Some(input.tags))?;
                self.change_tags::<$record>(&key, missing, |record| &mut record.tags, &tags, &[]).await?;
                Ok(NoMembers)
            }

            /// Takes tags away.
            pub async fn $untag(&self, cx: &Context, input: $UntagInput) -> Result<NoMembers, Error> {
                let (key, missing) = ($key(cx, &input.$name), || $missing(&input.$name));
                self.change_tags::<$record>(&key, missing, |record| &mut record.tags, &[], &input.tag_keys)
                    .await?;
                Ok(NoMembers)
            }

            /// Lists the tags.
            pub async fn $list(&self, cx: &Context, input: $ListInput) -> Result<$ListOutput, Error> {
                let record =
                    self.store().table::<$record>().get(&$key(cx, &input.$name)).map_err(Error::internal)?;
                let mut tags = record.ok_or_else(|| $missing(&input.$name))?.tags;
                tags.sort_by_key(|tag| tag.key.to_ascii_lowercase());
                let page =
                    shown::page(tags, input.marker.as_deref(), input.max_items, |tag| tag.key.clone())?;
                Ok($ListOutput {
                    tags: shown::tags(&page.items),
                    is_truncated: Some(page.next.is_some()),
                    marker: page.next,
                })
            }
        }
    };
}

pub(crate) use tagged;

pub(crate) fn by_name(cx: &Context, name: &str) -> Key {
    named(&cx.account, name)
}

/// The key of what an ARN names last.
pub(crate) fn by_last(cx: &Context, arn: &str) -> Key {
    named(&cx.account, arn.rsplit('/').next().unwrap_or_default())
}

tagged!(Role, role_name, by_name, missing::<Role>, tag_role TagRoleInput, untag_role UntagRoleInput,
    list_role_tags ListRoleTagsInput ListRoleTagsOutput);
tagged!(User, user_name, by_name, missing::<User>, tag_user TagUserInput, untag_user UntagUserInput,
    list_user_tags ListUserTagsInput ListUserTagsOutput);
tagged!(ManagedPolicy, policy_arn, by_last, no_policy, tag_policy TagPolicyInput, untag_policy UntagPolicyInput,
    list_policy_tags ListPolicyTagsInput ListPolicyTagsOutput);
tagged!(InstanceProfile, instance_profile_name, by_name, no_profile,
    tag_instance_profile TagInstanceProfileInput, untag_instance_profile UntagInstanceProfileInput,
    list_instance_profile_tags ListInstanceProfileTagsInput ListInstanceProfileTagsOutput);
