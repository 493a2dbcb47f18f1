//! Tags of secrets.

use crate::SecretsManager;
use crate::errors::{Failure, invalid};
use crate::state::Secret;
use cloudlet_api_secretsmanager::*;

/// AWS: the most tags of one secret.
const MOST: usize = 50;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`; `AccessDeniedException` where the caller would lose
    /// permissions.
    pub async fn tag_resource(
        &self,
        cx: &Context,
        input: TagResourceInput,
    ) -> Result<TagResourceOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let tags = checked(input.tags)?;
        let add = |secret: &mut Secret| {
            secret.tagged = true;
            for (key, value) in &tags {
                match secret.tags.iter_mut().find(|(there, _)| there == key) {
                    Some((_, there)) => there.clone_from(value),
                    None => secret.tags.push((key.clone(), value.clone())),
                }
            }
        };
        let mut after = Secret::clone(&secret);
        add(&mut after);
        self.check_tags(cx, &secret, &after)?;
        self.change_all(cx, &secret, &[], &[], |_, secret| {
            add(secret);
            Ok::<_, Failure>(count(secret.tags.len())?)
        })
        .await?;
        Ok(TagResourceOutput::default())
    }

    /// Errors: `ResourceNotFoundException`; `AccessDeniedException` where the caller would lose permissions.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let mut after = Secret::clone(&secret);
        after.tags.retain(|(key, _)| !input.tag_keys.contains(key));
        self.check_tags(cx, &secret, &after)?;
        self.change_all(cx, &secret, &[], &[], |_, secret| {
            secret.tags.retain(|(key, _)| !input.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }
}

/// Tags as a request brings them. Errors: `InvalidParameterException`.
pub(super) fn checked(tags: Vec<Tag>) -> Result<Vec<(String, String)>, Error> {
    let mut out: Vec<(String, String)> = Vec::new();
    for tag in tags {
        let key = tag.key.ok_or_else(|| invalid("Tag keys must not be null."))?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys that start with aws: are reserved for AWS use."));
        }
        if out.iter().any(|(there, _)| *there == key) {
            return Err(invalid(format!("Duplicate tag key {key}.")));
        }
        out.push((key, tag.value.unwrap_or_default()));
    }
    count(out.len())?;
    Ok(out)
}

fn count(tags: usize) -> Result<(), Error> {
    if tags > MOST { Err(invalid(format!("A secret can have no more than {MOST} tags."))) } else { Ok(()) }
}
