//! LabelParameterVersion, UnlabelParameterVersion.
//!
//! Source: User Guide, "Working with parameter labels".

use crate::Ssm;
use crate::errors::{Failure, no_version};
use crate::names::{Named, check_asked};
use crate::state::Version;
use cloudlet_api_ssm::*;

/// AWS: the most labels of one version.
const MOST: usize = 10;

impl Ssm {
    /// Errors: `ParameterNotFound`, `ParameterVersionNotFound`, `ParameterVersionLabelLimitExceeded`.
    pub async fn label_parameter_version(
        &self,
        cx: &Context,
        input: LabelParameterVersionInput,
    ) -> Result<LabelParameterVersionOutput, Error> {
        check_asked(&input.name)?;
        let named = Named::read(cx, &input.name)?;
        let (good, bad): (Vec<String>, Vec<String>) =
            input.labels.into_iter().partition(|label| is_label(label));
        let number = self
            .change(cx, &named, |tx, parameter| {
                let number = input.parameter_version.unwrap_or(parameter.latest.number);
                if !tx.exists::<Version>(&parameter.version_place(number))? {
                    return Err(Failure(no_version(&parameter.name, &number.to_string())));
                }
                let mut labels = parameter.labels_of(number);
                labels.extend(good.iter().cloned());
                labels.sort();
                labels.dedup();
                if labels.len() > MOST {
                    return Err(Failure(ParameterVersionLabelLimitExceeded::error(
                        "A parameter version can have maximum 10 labels.Move one or more labels to another version \
                         and try again.",
                    )));
                }
                for label in &good {
                    parameter.labels.insert(label.clone(), number);
                }
                Ok(number)
            })
            .await?;
        Ok(LabelParameterVersionOutput {
            invalid_labels: Some(bad),
            parameter_version: Some(number),
            ..Default::default()
        })
    }

    /// Errors: `ParameterNotFound`, `ParameterVersionNotFound`.
    pub async fn unlabel_parameter_version(
        &self,
        cx: &Context,
        input: UnlabelParameterVersionInput,
    ) -> Result<UnlabelParameterVersionOutput, Error> {
        check_asked(&input.name)?;
        let named = Named::read(cx, &input.name)?;
        let number = input.parameter_version;
        let (removed, invalid) = self
            .change(cx, &named, |tx, parameter| {
                if !tx.exists::<Version>(&parameter.version_place(number))? {
                    return Err(Failure(no_version(&parameter.name, &number.to_string())));
                }
                let (removed, invalid): (Vec<String>, Vec<String>) = input
                    .labels
                    .iter()
                    .cloned()
                    .partition(|label| parameter.labels.get(label) == Some(&number));
                parameter.labels.retain(|label, _| !removed.contains(label));
                Ok((removed, invalid))
            })
            .await?;
        Ok(UnlabelParameterVersionOutput {
            removed_labels: Some(removed),
            invalid_labels: Some(invalid),
            ..Default::default()
        })
    }
}

/// A label is letters, digits, `.-_`; it begins with no digit and with none of AWS's own words.
fn is_label(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    label.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}
