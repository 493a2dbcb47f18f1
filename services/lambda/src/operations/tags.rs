//! Tags of functions, event source mappings and code signing configurations.

use super::mappings::tagged_mapping;
use super::signing::signing_key;
use crate::Lambda;
use crate::errors::{Failure, invalid, no_function, no_resource};
use crate::mappings::Mapping;
use crate::names::Named;
use crate::state::{CodeSigning, Function, named_key};
use cloudlet_api_lambda::*;
use cloudlet_store::{Key, Store, Tx};

/// AWS: the most tags of one resource.
const MOST: usize = 50;

impl Lambda {
    /// Adds or replaces tags. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        self.change_tags(cx, &input.resource, |tags| {
            tags.extend(input.tags.clone());
            check(tags)
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
        self.change_tags(cx, &input.resource, |tags| {
            tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }

    /// Lists tags. Errors: `ResourceNotFoundException`.
    pub async fn list_tags(&self, cx: &Context, input: ListTagsInput) -> Result<ListTagsOutput, Error> {
        let tagged = Tagged::read(cx, &input.resource)?;
        let tags = self.store.transact(|tx| tagged.tags(tx)).await?;
        Ok(ListTagsOutput { tags: Some(tags) })
    }

    async fn change_tags(
        &self,
        cx: &Context,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let tagged = Tagged::read(cx, arn)?;
        self.store
            .transact(|tx| {
                let mut tags = tagged.tags(tx)?;
                change(&mut tags)?;
                tagged.set(tx, tags)
            })
            .await?;
        Ok(())
    }
}

/// What an ARN names that has tags.
pub(crate) enum Tagged {
    Function(Box<Named>),
    Mapping(Key),
    CodeSigning(Key),
}

impl Tagged {
    pub(crate) fn read(cx: &Context, arn: &str) -> Result<Self, Error> {
        if arn.contains(":event-source-mapping:") {
            return tagged_mapping(cx, arn).map(Self::Mapping);
        }
        if arn.contains(":code-signing-config:") {
            return signing_key(cx, arn).map(Self::CodeSigning).ok_or_else(no_resource);
        }
        if arn.contains(":capacity-provider:") || arn.contains(":network-connector:") {
            return Err(Error::not_implemented_part(format_args!("lambda tags of {arn}")));
        }
        let named = Named::read(cx, arn, None)?;
        match named.qualifier {
            // Versions and aliases have no tags.
            None => Ok(Self::Function(Box::new(named))),
            Some(_) => Err(invalid(
                "Tags on function aliases and versions are not supported. Please specify a function ARN.",
            )),
        }
    }

    /// The tags as they are now; `None` where nothing is there.
    pub(crate) fn stored(&self, store: &Store) -> Option<BTreeMap<String, String>> {
        Some(match self {
            Self::Function(named) => {
                let key = named_key(&named.cx, &named.name);
                store.table::<Function>().get_arc(&key).ok()??.tags.clone()
            }
            Self::Mapping(key) => store.table::<Mapping>().get_arc(key).ok()??.tags.clone(),
            Self::CodeSigning(key) => store.table::<CodeSigning>().get_arc(key).ok()??.tags.clone(),
        })
    }

    fn tags(&self, tx: &mut Tx<'_>) -> Result<BTreeMap<String, String>, Failure> {
        Ok(match self {
            Self::Function(named) => function(tx, named)?.tags,
            Self::Mapping(key) => tx.get::<Mapping>(key)?.ok_or_else(no_resource)?.tags,
            Self::CodeSigning(key) => tx.get::<CodeSigning>(key)?.ok_or_else(no_resource)?.tags,
        })
    }

    fn set(&self, tx: &mut Tx<'_>, tags: BTreeMap<String, String>) -> Result<(), Failure> {
        match self {
            Self::Function(named) => {
                let record = Function { tags, ..function(tx, named)? };
                tx.put(&named_key(&named.cx, &named.name), &record)?;
            }
            Self::Mapping(key) => {
                let record = Mapping { tags, ..tx.get::<Mapping>(key)?.ok_or_else(no_resource)? };
                tx.put(key, &record)?;
            }
            Self::CodeSigning(key) => {
                let record = CodeSigning { tags, ..tx.get::<CodeSigning>(key)?.ok_or_else(no_resource)? };
                tx.put(key, &record)?;
            }
        }
        Ok(())
    }
}

fn function(tx: &mut Tx<'_>, named: &Named) -> Result<Function, Failure> {
    Ok(tx.get::<Function>(&named_key(&named.cx, &named.name))?.ok_or_else(|| no_function(&named.arn()))?)
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
