//! Tags of functions.

use crate::Lambda;
use crate::errors::{Failure, invalid};
use crate::names::Named;
use crate::state::{Function, named_key};
use cloudlet_api_lambda::*;

/// AWS: the most tags of one resource.
const MOST: usize = 50;

impl Lambda {
    /// Adds or replaces tags. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        let named = tagged(cx, &input.resource)?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                function.tags.extend(input.tags.clone());
                check(&function.tags)?;
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(TagResourceOutput::default())
    }

    /// Removes tags. Errors: `ResourceNotFoundException`.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput, Error> {
        let named = tagged(cx, &input.resource)?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                function.tags.retain(|key, _| !input.tag_keys.contains(key));
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(UntagResourceOutput::default())
    }

    /// Lists tags. Errors: `ResourceNotFoundException`.
    pub async fn list_tags(&self, cx: &Context, input: ListTagsInput) -> Result<ListTagsOutput, Error> {
        let named = tagged(cx, &input.resource)?;
        Ok(ListTagsOutput { tags: Some(self.function(&named)?.tags.clone()) })
    }
}

/// The function that an ARN names; versions and aliases have no tags.
fn tagged(cx: &Context, arn: &str) -> Result<Named, Error> {
    if [":event-source-mapping:", ":code-signing-config:", ":capacity-provider:"]
        .iter()
        .any(|kind| arn.contains(kind))
    {
        return Err(Error::not_implemented_part(format_args!("lambda tags of {arn}")));
    }
    let named = Named::read(cx, arn, None)?;
    match named.qualifier {
        None => Ok(named),
        Some(_) => Err(invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        )),
    }
}

pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > MOST {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    for (key, value) in tags {
        if key.starts_with("aws:") {
            return Err(invalid("Tag keys that begin with aws: are reserved for AWS; use another prefix."));
        }
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("Tag keys have at most 128 characters and tag values at most 256."));
        }
    }
    Ok(())
}
