//! Tags of keys.

use super::page;
use crate::errors::Failure;
use crate::{Kms, living};
use cloudlet_api_kms::*;

/// AWS: the most tags of one key.
const MOST: usize = 50;

impl Kms {
    /// Errors: `TagException`, `KMSInvalidStateException`, `LimitExceededException`.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        living(&key)?;
        let tags = checked(input.tags)?;
        self.change(&key, |_, key| {
            key.tags.extend(tags.clone());
            Ok::<_, Failure>(count(key.tags.len())?)
        })
        .await?;
        Ok(TagResourceOutput::default())
    }

    /// Errors: `TagException`, `KMSInvalidStateException`.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        living(&key)?;
        self.change(&key, |_, key| {
            key.tags.retain(|name, _| !input.tag_keys.contains(name));
            Ok(())
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }

    /// Errors: `NotFoundException`, `InvalidMarkerException`.
    pub async fn list_resource_tags(
        &self,
        cx: &Context,
        input: ListResourceTagsInput,
    ) -> Result<ListResourceTagsOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        let tags = shown(&key.tags);
        let (tags, next_marker, truncated) =
            page(tags, input.limit, (50, 50), input.marker.as_deref(), |tag| tag.tag_key.clone())?;
        Ok(ListResourceTagsOutput {
            tags: Some(tags),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }
}

pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag { tag_key: key.clone(), tag_value: value.clone(), ..Default::default() })
        .collect()
}

/// Tags as a request brings them. Errors: `TagException`, `LimitExceededException`.
pub(super) fn checked(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut out = BTreeMap::new();
    for tag in tags {
        if tag.tag_key.to_ascii_lowercase().starts_with("aws:") {
            return Err(TagException::error("Tags beginning with aws: are reserved"));
        }
        if out.insert(tag.tag_key, tag.tag_value).is_some() {
            return Err(TagException::error("Duplicate tag keys"));
        }
    }
    count(out.len())?;
    Ok(out)
}

fn count(tags: usize) -> Result<(), Error> {
    if tags > MOST { Err(TagException::error("Too many tags")) } else { Ok(()) }
}
