//! Tags of parameters.

use crate::Ssm;
use crate::errors::{Failure, no_resource, validation};
use crate::names::Named;
use cloudlet_api_ssm::*;

/// AWS: the most tags of one parameter.
const MOST: usize = 50;

impl Ssm {
    /// Errors: `InvalidResourceId`, `TooManyTagsError`; 501 for what is no parameter.
    pub async fn add_tags_to_resource(
        &self,
        cx: &Context,
        input: AddTagsToResourceInput,
    ) -> Result<AddTagsToResourceOutput, Error> {
        let named = self.tagged(cx, &input.resource_type, &input.resource_id)?;
        let tags = checked(input.tags)?;
        self.change(cx, &named, |_, parameter| {
            parameter.tags.extend(tags.clone());
            Ok::<_, Failure>(count(parameter.tags.len())?)
        })
        .await?;
        Ok(AddTagsToResourceOutput::default())
    }

    /// Errors: `InvalidResourceId`; 501 for what is no parameter.
    pub async fn remove_tags_from_resource(
        &self,
        cx: &Context,
        input: RemoveTagsFromResourceInput,
    ) -> Result<RemoveTagsFromResourceOutput, Error> {
        let named = self.tagged(cx, &input.resource_type, &input.resource_id)?;
        self.change(cx, &named, |_, parameter| {
            parameter.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(RemoveTagsFromResourceOutput::default())
    }

    /// Errors: `InvalidResourceId`; 501 for what is no parameter.
    pub async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceInput,
    ) -> Result<ListTagsForResourceOutput, Error> {
        let named = self.tagged(cx, &input.resource_type, &input.resource_id)?;
        let parameter = self.find(cx, &named)?;
        let tag = |(key, value): (&String, &String)| Tag {
            key: key.clone(),
            value: value.clone(),
            ..Default::default()
        };
        Ok(ListTagsForResourceOutput {
            tag_list: Some(parameter.tags.iter().map(tag).collect()),
            ..Default::default()
        })
    }

    fn tagged(&self, cx: &Context, kind: &str, id: &str) -> Result<Named, Error> {
        if kind != "Parameter" {
            return Err(Error::not_implemented_part(format_args!("ssm tags of {kind}")));
        }
        let found = self.look_up(cx, id).map_err(|_| no_resource(id))?;
        Ok(found.0)
    }
}

/// Tags as a request brings them. Errors: `ValidationException`, `TooManyTagsError`.
pub(super) fn checked(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut out = BTreeMap::new();
    for tag in tags {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(validation(format!(
                "Tag key {} is not valid: keys that start with aws: are reserved.",
                tag.key
            )));
        }
        if out.insert(tag.key.clone(), tag.value).is_some() {
            return Err(validation(format!("Duplicate tag key {}.", tag.key)));
        }
    }
    count(out.len())?;
    Ok(out)
}

fn count(tags: usize) -> Result<(), Error> {
    if tags <= MOST {
        return Ok(());
    }
    Err(Error::sender("TooManyTagsError", format!("A parameter can have no more than {MOST} tags.")))
}
