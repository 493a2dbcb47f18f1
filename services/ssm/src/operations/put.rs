//! PutParameter.

use super::tags;
use crate::errors::{Failure, stored, validation};
use crate::names::check_new;
use crate::state::{Parameter as Stored, Value, Version, arn, parameter_place};
use crate::values::DEFAULT_KEY;
use crate::{Ssm, counts, expiry, kinds};
use cloudlet_api_ssm::*;
use cloudlet_store::Tx;

/// AWS keeps so many versions of a parameter.
const KEPT: i64 = 100;

impl Ssm {
    /// Makes a parameter, or its next version.
    ///
    /// Errors: `ParameterAlreadyExists`, `ValidationException`, `InvalidKeyId`, `ParameterPatternMismatchException`,
    /// `HierarchyLevelLimitExceededException`, `ParameterMaxVersionLimitExceeded` and others of `kinds`.
    pub async fn put_parameter(
        &self,
        cx: &Context,
        input: PutParameterInput,
    ) -> Result<PutParameterOutput, Error> {
        let name = input.name.trim().to_owned();
        check_new(&name)?;
        if input.value.is_empty() {
            return Err(validation(
                "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have \
                 length greater than or equal to 1.",
            ));
        }
        if input.value.contains("{{") && input.value.contains("}}") {
            return Err(validation(
                "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
            ));
        }
        let overwrite = input.overwrite.unwrap_or(false);
        if overwrite && input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
            return Err(validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
                 remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
                 RemoveTagsFromResource.",
            ));
        }
        let now = cx.millis();
        let at = parameter_place(&cx.account, &cx.region, &name);
        let before = self.store.table::<Stored>().get(&at).map_err(stored)?;
        let before = before.filter(|parameter| parameter.expires.is_none_or(|at| at > now));
        if before.is_some() && !overwrite {
            return Err(already());
        }
        let latest = before.as_ref().map(|parameter| &parameter.latest);
        let kind = input.r#type.or_else(|| latest.map(|latest| latest.kind.clone()));
        let kind =
            kind.ok_or_else(|| validation("A parameter type is required when you create a parameter."))?;
        let data_type = input.data_type.filter(|data_type| !data_type.is_empty());
        let data_type =
            data_type.or_else(|| latest.map(|l| l.data_type.clone())).unwrap_or_else(|| "text".to_owned());
        kinds::check_type(&data_type, &kind, &input.value)?;
        let pattern = input.allowed_pattern.or_else(|| latest.and_then(|l| l.pattern.clone()));
        let pattern = pattern.filter(|pattern| !pattern.is_empty());
        if let Some(pattern) = &pattern {
            kinds::check_pattern(pattern, &input.value)?;
        }
        let (policies, expires) = match input.policies.as_deref() {
            Some(text) => kinds::policies(text, now)?,
            None => (
                latest.map(|latest| latest.policies.clone()).unwrap_or_default(),
                before.as_ref().and_then(|parameter| parameter.expires),
            ),
        };
        let asked = match input.tier {
            Some(tier) => Some(tier),
            // A standard default takes nothing away from what is advanced already.
            None => self.default_tier(cx)?.filter(|tier| tier != kinds::STANDARD_TIER),
        };
        let tier = kinds::tier(
            asked.as_deref(),
            latest.map(|latest| latest.tier.as_str()),
            &input.value,
            !policies.is_empty(),
        )?;
        let key_id = match (kind.as_str(), input.key_id) {
            ("SecureString", key) => {
                let before = latest.and_then(|latest| latest.key_id.clone());
                Some(key.or(before).unwrap_or_else(|| DEFAULT_KEY.to_owned()))
            }
            (_, Some(_)) => {
                return Err(validation("KeyId is required for SecureString type parameter only."));
            }
            _ => None,
        };
        let arn = arn(cx.partition(), &cx.region, &cx.account, &name);
        let value = match &key_id {
            Some(key) => self.seal(cx, &arn, key, tier, &input.value).await?,
            None => Value::Plain(input.value),
        };
        let version = Version {
            number: 1,
            kind,
            value,
            key_id,
            modified: now,
            user: cx.principal.arn(),
            description: input.description.or_else(|| latest.and_then(|l| l.description.clone())),
            pattern,
            tier: tier.to_owned(),
            policies,
            data_type,
        };
        let fresh = Stored {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            partition: cx.partition().to_owned(),
            name,
            tags: tags::checked(input.tags.unwrap_or_default())?,
            latest: version,
            oldest: 1,
            labels: BTreeMap::new(),
            expires,
            shared: Vec::new(),
        };
        let number = self
            .store
            .transact(|tx| {
                let there = tx.get::<Stored>(&at)?.filter(|p| p.expires.is_none_or(|at| at > now));
                let mut next = fresh.clone();
                match there {
                    Some(_) if !overwrite => return Err(Failure(already())),
                    Some(there) => {
                        counts::add(tx, &next, Some(&there.latest.tier))?;
                        follow(tx, &mut next, there)?;
                    }
                    // What has expired makes room, also for its number.
                    None => {
                        expiry::erase(tx, &at)?;
                        counts::add(tx, &next, None)?;
                    }
                }
                tx.put(&next.version_place(next.latest.number), &next.latest)?;
                tx.put(&at, &next)?;
                if let Some(due) = next.expires {
                    tx.emit(expiry::at(&next, due))?;
                }
                Ok::<_, Failure>(next.latest.number)
            })
            .await?;
        Ok(PutParameterOutput { version: Some(number), tier: Some(tier.to_owned()), ..Default::default() })
    }
}

/// Puts a version after those that are there, and lets the oldest go.
fn follow(tx: &mut Tx<'_>, next: &mut Stored, there: Stored) -> Result<(), Failure> {
    next.latest.number = there.latest.number + 1;
    next.tags = there.tags;
    next.labels = there.labels;
    next.shared = there.shared;
    next.oldest = there.oldest;
    while next.latest.number - next.oldest >= KEPT {
        let oldest = next.oldest;
        if next.labels.values().any(|labelled| *labelled == oldest) {
            return Err(Failure(ParameterMaxVersionLimitExceeded::error(format!(
                "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. \
                 Version {oldest}, the oldest version, can't be deleted because it has a label associated with it. \
                 Move the label to another version of the parameter, and try again.",
                next.name
            ))));
        }
        tx.delete::<Version>(&next.version_place(oldest))?;
        next.oldest += 1;
    }
    Ok(())
}

fn already() -> Error {
    ParameterAlreadyExists::error(
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    )
}
