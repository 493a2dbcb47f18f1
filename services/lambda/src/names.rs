//! How functions are named: by name, by a partial or a whole ARN, with or without a qualifier.
//!
//! Source: Lambda API Reference, the `FunctionName` parameter.

use crate::errors::{invalid, no_function, not_found};
use cloudlet_service::{Context, Error};

/// The name of the unpublished version.
pub(crate) const LATEST: &str = "$LATEST";

/// A function as a call names it, with the context moved to the account that owns it.
#[derive(Clone)]
pub(crate) struct Named {
    pub cx: Context,
    pub name: String,
    /// A version, an alias, or nothing.
    pub qualifier: Option<String>,
}

impl Named {
    /// Reads a `FunctionName` and the `Qualifier` beside it.
    ///
    /// Errors: `InvalidParameterValueException`, `ResourceNotFoundException` for another region.
    pub(crate) fn read(cx: &Context, text: &str, qualifier: Option<&str>) -> Result<Self, Error> {
        let bad = || {
            invalid(format!(
                "Invalid ARN or function name: {text}. Use a name, NAME:QUALIFIER or a function's ARN."
            ))
        };
        let rest = text.strip_prefix("arn:").map_or(Ok(text), |arn| {
            let mut parts = arn.splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(_), Some("lambda"), Some(rest)) => Ok(rest),
                _ => Err(bad()),
            }
        })?;
        let mut parts: Vec<&str> = rest.split(':').collect();
        let mut cx = cx.clone();
        if let Some(region) = parts.first().copied().filter(|p| is_region(p) && parts.len() > 2) {
            if *region != *cx.region {
                let here = &cx.region;
                return Err(not_found(format!(
                    "Functions from '{region}' are not reachable in this region ('{here}')"
                )));
            }
            parts.remove(0);
        }
        if parts.len() > 1 && parts[0].len() == 12 && parts[0].bytes().all(|b| b.is_ascii_digit()) {
            cx = cx.located(parts.remove(0), &cx.region);
        }
        if parts.len() > 1 && parts[0] == "function" {
            parts.remove(0);
        }
        let (name, inside) = match parts[..] {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return Err(bad()),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(bad());
        }
        let qualifier = match (inside, qualifier) {
            (Some(inside), Some(beside)) if inside != beside => {
                return Err(invalid(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            (inside, beside) => inside.or(beside).map(str::to_owned),
        };
        Ok(Self { cx, name: name.to_owned(), qualifier })
    }

    /// The ARN without a qualifier.
    pub(crate) fn arn(&self) -> String {
        function_arn(&self.cx, &self.name)
    }

    /// The ARN with the qualifier, as far as there is one.
    pub(crate) fn qualified_arn(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.arn()),
            None => self.arn(),
        }
    }

    /// The refusal for a function that is not there.
    pub(crate) fn missing(&self) -> Error {
        no_function(&self.qualified_arn())
    }
}

pub(crate) fn function_arn(cx: &Context, name: &str) -> String {
    cx.arn("lambda", format_args!("function:{name}"))
}

/// Whether it looks like `us-east-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
    number
        && parts.clone().count() >= 2
        && parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
}

/// A version's number; `$LATEST` is 0. `None` for the name of an alias.
pub(crate) fn version_number(qualifier: &str) -> Option<u64> {
    if qualifier == LATEST { Some(0) } else { qualifier.parse().ok() }
}

pub(crate) fn version_name(number: u64) -> String {
    if number == 0 { LATEST.to_owned() } else { number.to_string() }
}
