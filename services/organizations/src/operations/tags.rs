//! Tags on accounts, units, policies and the root.

use crate::state::Member;
use crate::{Organizations, errors, shown};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{Organization as Own, OrganizationPolicy, Unit, of};
use cloudlet_identity::records::Tag as OwnTag;
use cloudlet_service::Context;
use cloudlet_store::Key;

/// Tags per resource.
const QUOTA: usize = 50;

/// Tags as given, checked.
///
/// Errors: `InvalidInputException`, `ConstraintViolationException`.
pub(super) fn given(given: Option<Vec<Tag>>) -> Result<Vec<OwnTag>, Error> {
    let mut tags: Vec<OwnTag> = Vec::new();
    for tag in given.into_iter().flatten() {
        if tags.iter().any(|known| known.key == tag.key) {
            return Err(errors::bad_input("DUPLICATE_TAG_KEY", "You specified a duplicate tag key."));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(errors::bad_input("INVALID_SYSTEM_TAGS_PARAMETER", "You specified a system tag."));
        }
        tags.push(OwnTag { key: tag.key, value: tag.value });
    }
    check(&tags)?;
    Ok(tags)
}

fn check(tags: &[OwnTag]) -> Result<(), Error> {
    if tags.len() > QUOTA {
        return Err(errors::violates(
            "MAX_TAG_LIMIT_EXCEEDED",
            "You have exceeded the allowed number of tags.",
        ));
    }
    Ok(())
}

impl Organizations {
    /// Adds or replaces tags.
    ///
    /// Errors: `TargetNotFoundException`, `InvalidInputException`, `ConstraintViolationException`.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        let new = given(Some(input.tags))?;
        self.change_tags(cx, &input.resource_id, |tags| {
            for tag in &new {
                match tags.iter_mut().find(|known| known.key == tag.key) {
                    Some(known) => known.value.clone_from(&tag.value),
                    None => tags.push(tag.clone()),
                }
            }
            check(tags)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes tags away.
    ///
    /// Errors: `TargetNotFoundException`.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput, Error> {
        self.change_tags(cx, &input.resource_id, |tags| {
            tags.retain(|tag| !input.tag_keys.contains(&tag.key));
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the tags.
    ///
    /// Errors: `TargetNotFoundException`.
    pub async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceInput,
    ) -> Result<ListTagsForResourceOutput, Error> {
        let own = self.seen(cx)?;
        let tags = self.tags_of(&own, &input.resource_id)?;
        let tags = shown::tags(&tags.ok_or_else(errors::no_target)?);
        Ok(ListTagsForResourceOutput { tags: Some(tags), next_token: None })
    }

    /// The tags of a root, a unit, a policy or an account; `None` for what is not there.
    pub(crate) fn tags_of(&self, own: &Own, id: &str) -> Result<Option<Vec<OwnTag>>, Error> {
        let key = of(&own.id, id);
        Ok(if *id == own.root {
            Some(own.root_tags.clone())
        } else if id.starts_with("ou-") {
            self.get::<Unit>(&key)?.map(|unit| unit.tags)
        } else if id.starts_with("p-") {
            self.get::<OrganizationPolicy>(&key)?.map(|policy| policy.tags)
        } else {
            self.get::<Member>(&key)?.map(|member| member.tags)
        })
    }

    async fn change_tags(
        &self,
        cx: &Context,
        id: &str,
        f: impl Fn(&mut Vec<OwnTag>) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let own = self.managed(cx)?;
        let key = of(&own.id, id);
        self.change(|tx| {
            if id == own.root {
                let key = Key::new().text(&own.id);
                let mut own = tx.get::<Own>(&key)?.ok_or_else(errors::no_target)?;
                f(&mut own.root_tags)?;
                tx.put(&key, &own)?;
            } else if id.starts_with("ou-") {
                let mut unit = tx.get::<Unit>(&key)?.ok_or_else(errors::no_target)?;
                f(&mut unit.tags)?;
                tx.put(&key, &unit)?;
            } else if id.starts_with("p-") {
                let mut policy = tx.get::<OrganizationPolicy>(&key)?.ok_or_else(errors::no_target)?;
                f(&mut policy.tags)?;
                tx.put(&key, &policy)?;
            } else {
                let mut member = tx.get::<Member>(&key)?.ok_or_else(errors::no_target)?;
                f(&mut member.tags)?;
                tx.put(&key, &member)?;
            }
            Ok(())
        })
        .await
    }
}
