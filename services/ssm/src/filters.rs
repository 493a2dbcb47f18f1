//! Filters of `DescribeParameters` and `GetParametersByPath`.
//!
//! Source: API Reference, `ParameterStringFilter`; User Guide, "Searching for Systems Manager parameters".

use crate::errors::validation;
use crate::names;
use crate::state::Parameter;
use cloudlet_api_ssm::*;

/// Where a filter is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Describe,
    ByPath,
}

fn bad_key(message: String) -> Error {
    Error::sender("InvalidFilterKey", message)
}

fn bad_option(option: &str, valid: &str) -> Error {
    InvalidFilterOption::error(format!(
        "The following filter option is not valid: {option}. Valid options include: [{valid}]."
    ))
}

fn bad_value(value: &str, valid: &str) -> Error {
    InvalidFilterValue::error(format!(
        "The following filter value is not valid: {value}. Valid values include: [{valid}]."
    ))
}

/// Refuses filters that cannot be.
///
/// Errors: `InvalidFilterKey`, `InvalidFilterOption`, `InvalidFilterValue`, `ValidationException`.
pub(crate) fn check(filters: &[ParameterStringFilter], by: Use) -> Result<(), Error> {
    for (at, filter) in filters.iter().enumerate() {
        let key = filter.key.as_str();
        let valid = match by {
            Use::ByPath => matches!(key, "Type" | "KeyId" | "Label"),
            Use::Describe => key != "Label",
        };
        if !valid {
            let keys = match by {
                Use::ByPath => "Type, KeyId",
                Use::Describe => "Path, Name, Type, KeyId, Tier",
            };
            return Err(bad_key(format!(
                "The following filter key is not valid: {key}. Valid filter keys include: [{keys}]."
            )));
        }
        if filters[..at].iter().any(|before| before.key == key) {
            return Err(bad_key(format!(
                "The following filter is duplicated in the request: {key}. A request can contain only one occurrence \
                 of a specific filter."
            )));
        }
        let option = filter.option.as_deref();
        let values = filter.values.as_deref().unwrap_or_default();
        if values.is_empty() && !key.starts_with("tag:") {
            return Err(InvalidFilterValue::error(format!(
                "The following filter values are missing : null for filter key {key}."
            )));
        }
        match (key, option) {
            ("Path", None | Some("Recursive" | "OneLevel")) => {
                for value in values {
                    let lower = value.trim_start_matches('/').to_ascii_lowercase();
                    if lower.starts_with("aws") || lower.starts_with("ssm") {
                        return Err(validation(
                            "Filters for common parameters can't be prefixed with \"aws\" or \"ssm\" \
                             (case-insensitive). When using global parameters, please specify within a global \
                             namespace.",
                        ));
                    }
                    names::check_path(value)?;
                }
            }
            ("Path", Some(option)) => return Err(bad_option(option, "Recursive, OneLevel")),
            ("Tier" | "Label" | "DataType", Some(option)) if option != "Equals" => {
                return Err(bad_option(option, "Equals"));
            }
            ("Name", None | Some("BeginsWith" | "Equals" | "Contains")) => {}
            (_, None | Some("BeginsWith" | "Equals")) => {}
            (_, Some(option)) => return Err(bad_option(option, "BeginsWith, Equals")),
        }
        let known: &[&str] = match key {
            "Tier" => &["Standard", "Advanced", "Intelligent-Tiering"],
            "Type" if option != Some("BeginsWith") => &["String", "StringList", "SecureString"],
            _ => &[],
        };
        if let Some(value) = values.iter().find(|v| !known.is_empty() && !known.contains(&v.as_str())) {
            return Err(bad_value(value, &known.join(", ")));
        }
    }
    Ok(())
}

/// The old form of filters as the new one.
pub(crate) fn modern(filters: Vec<ParametersFilter>) -> Vec<ParameterStringFilter> {
    filters
        .into_iter()
        .map(|filter| ParameterStringFilter {
            // Names by their beginning, all else as it is.
            option: (filter.key == "Name").then(|| "BeginsWith".to_owned()),
            key: filter.key,
            values: Some(filter.values),
            ..Default::default()
        })
        .collect()
}

/// Refuses both forms at once. Errors: `ValidationException`.
pub(crate) fn either(
    old: Option<Vec<ParametersFilter>>,
    new: Option<Vec<ParameterStringFilter>>,
) -> Result<Vec<ParameterStringFilter>, Error> {
    match (old, new) {
        (Some(_), Some(_)) => {
            Err(validation("You can use either Filters or ParameterFilters in a single request."))
        }
        (Some(old), None) => Ok(modern(old)),
        (None, new) => Ok(new.unwrap_or_default()),
    }
}

/// Whether a parameter meets all filters.
pub(crate) fn meets(parameter: &Parameter, filters: &[ParameterStringFilter]) -> bool {
    filters.iter().all(|filter| {
        let values = filter.values.as_deref().unwrap_or_default();
        let option = filter.option.as_deref();
        let any = |text: &str| {
            values.iter().any(|value| match option {
                Some("BeginsWith") => text.starts_with(value.as_str()),
                Some("Contains") => text.contains(value.as_str()),
                _ => text == value,
            })
        };
        let latest = &parameter.latest;
        match filter.key.as_str() {
            // A leading slash is the same as none.
            "Name" => {
                any(&parameter.name)
                    || any(parameter.name.strip_prefix('/').unwrap_or(&parameter.name))
                    || any(&format!("/{}", parameter.name))
            }
            "Type" => any(&latest.kind),
            "KeyId" => latest.key_id.as_deref().is_some_and(any),
            "Tier" => any(&latest.tier),
            "DataType" => any(&latest.data_type),
            "Label" => values.iter().any(|label| parameter.labels.contains_key(label)),
            "Path" => {
                let recursive = option == Some("Recursive");
                values.iter().any(|path| names::under(&parameter.name, path, recursive))
            }
            tag => match parameter.tags.get(tag.strip_prefix("tag:").unwrap_or(tag)) {
                Some(value) => values.is_empty() || any(value),
                None => false,
            },
        }
    })
}
