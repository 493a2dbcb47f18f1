//! Tags of log groups, in the old calls by name and the new ones by ARN.

use super::groups::MOST_TAGS;
use crate::Logs;
use crate::errors::{Failure, invalid, no_group};
use crate::locate;
use crate::state::{Group, group_key};
use cloudlet_api_logs::*;

impl Logs {
    /// Adds or replaces tags. Errors: `ResourceNotFoundException`, `TooManyTagsException`.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        let (there, name) = named(cx, &input.resource_arn)?;
        self.tag(&there, &name, input.tags).await?;
        Ok(TagResourceOutput::default())
    }

    /// Removes tags. Errors: `ResourceNotFoundException`.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput, Error> {
        let (there, name) = named(cx, &input.resource_arn)?;
        self.change_group(&group_key(&there, &name), |g| {
            g.tags.retain(|key, _| !input.tag_keys.contains(key))
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }

    /// Lists tags. Errors: `ResourceNotFoundException`.
    pub async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceInput,
    ) -> Result<ListTagsForResourceOutput, Error> {
        let (there, name) = named(cx, &input.resource_arn)?;
        Ok(ListTagsForResourceOutput { tags: Some(self.group(&there, &name)?.tags.clone()) })
    }

    /// Adds or replaces tags. Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn tag_log_group(
        &self,
        cx: &Context,
        input: TagLogGroupInput,
    ) -> Result<TagLogGroupOutput, Error> {
        self.tag(cx, &input.log_group_name, input.tags).await?;
        Ok(TagLogGroupOutput::default())
    }

    /// Removes tags. Errors: `ResourceNotFoundException`.
    pub async fn untag_log_group(
        &self,
        cx: &Context,
        input: UntagLogGroupInput,
    ) -> Result<UntagLogGroupOutput, Error> {
        let key = group_key(cx, &input.log_group_name);
        self.change_group(&key, |group| group.tags.retain(|key, _| !input.tags.contains(key))).await?;
        Ok(UntagLogGroupOutput::default())
    }

    /// Lists tags. Errors: `ResourceNotFoundException`.
    pub async fn list_tags_log_group(
        &self,
        cx: &Context,
        input: ListTagsLogGroupInput,
    ) -> Result<ListTagsLogGroupOutput, Error> {
        Ok(ListTagsLogGroupOutput { tags: Some(self.group(cx, &input.log_group_name)?.tags.clone()) })
    }

    async fn tag(&self, cx: &Context, name: &str, tags: BTreeMap<String, String>) -> Result<(), Error> {
        let key = group_key(cx, name);
        let tagged = self.store.transact(|tx| {
            let mut group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
            group.tags.extend(tags.clone());
            if group.tags.len() > MOST_TAGS {
                return Err(Failure(TooManyTagsException::error(format!(
                    "A resource can have no more than {MOST_TAGS} tags."
                ))));
            }
            Ok(tx.put(&key, &group)?)
        });
        Ok(tagged.await?)
    }
}

fn named(cx: &Context, arn: &str) -> Result<(Context, String), Error> {
    if arn.contains(":destination:") {
        return Err(Error::not_implemented_part("tags of logs destinations"));
    }
    if !arn.starts_with("arn:") {
        return Err(invalid(format!("Invalid resource ARN: {arn}")));
    }
    locate(cx, arn)
}
