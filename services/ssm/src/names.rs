//! Names of parameters: how requests write them, and which may be given.
//!
//! Source: API Reference, `PutParameter`, `Name`; User Guide, "Working with parameter versions" and "labels".

use crate::errors::{no_parameter, validation};
use cloudlet_api_ssm::HierarchyLevelLimitExceededException;
use cloudlet_service::{Arn, Context, Error};

/// AWS: the longest name, with what its ARN adds.
const LONGEST: usize = 1011;
/// AWS: the deepest hierarchy.
const DEEPEST: usize = 15;

const RULES: &str = "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can \
                     consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, \
                     numbers and the following 3 symbols .-_";

/// A parameter as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    /// A version's number or a label.
    pub(crate) selector: Option<String>,
}

impl Named {
    /// Reads `name`, `name:version`, `name:label` or an ARN of either.
    ///
    /// Errors: `ParameterNotFound` for what is no parameter's ARN.
    pub(crate) fn read(cx: &Context, text: &str) -> Result<Self, Error> {
        // The service takes spaces at both ends away.
        let text = text.trim();
        let (account, region, rest, by_arn) = if text.starts_with("arn:") {
            let missing = || no_parameter(text);
            let arn = Arn::parse(text).filter(|arn| arn.service == "ssm").ok_or_else(missing)?;
            let rest = arn.resource.strip_prefix("parameter/").ok_or_else(missing)?;
            (arn.account.to_owned(), arn.region.to_owned(), rest, true)
        } else {
            (cx.account.to_string(), cx.region.to_string(), text, false)
        };
        let (name, selector) = match rest.split_once(':') {
            Some((name, selector)) => (name, Some(selector.to_owned())),
            None => (rest, None),
        };
        // In an ARN a hierarchy has lost its leading slash.
        let name = if by_arn && name.contains('/') { format!("/{name}") } else { name.to_owned() };
        Ok(Self { account, region, name, selector })
    }

    /// The name as the request has it.
    pub(crate) fn text(&self) -> String {
        match &self.selector {
            Some(selector) => format!("{}:{selector}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Refuses a name that no new parameter may have.
///
/// Errors: `ValidationException`, `AccessDeniedException`, `HierarchyLevelLimitExceededException`.
pub(crate) fn check_new(name: &str) -> Result<(), Error> {
    let lower = name.trim_start_matches('/').to_ascii_lowercase();
    let is_path = name.matches('/').count() > 1;
    if lower.starts_with("aws") && (is_path || name.starts_with("/aws")) {
        return Err(Error::sender(
            "AccessDeniedException",
            format!("No access to reserved parameter name: {name}."),
        ));
    }
    if lower.starts_with("aws") || (lower.starts_with("ssm") && !is_path) {
        return Err(validation(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).",
        ));
    }
    let parts = name.strip_prefix('/').unwrap_or(name).split('/');
    if lower.starts_with("ssm") || !name.bytes().all(is_plain) || parts.clone().any(str::is_empty) {
        return Err(validation(RULES));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(validation("Parameter name must be a fully qualified name."));
    }
    if parts.count() > DEEPEST {
        return Err(HierarchyLevelLimitExceededException::error(
            "A hierarchy can have a maximum of fifteen levels. For more information, see Requirements and constraints \
             for parameter names in the AWS Systems Manager User Guide.",
        ));
    }
    if name.len() > LONGEST {
        return Err(validation(format!("Parameter name must not be longer than {LONGEST} characters.")));
    }
    Ok(())
}

/// The characters of names and paths.
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b".-_/".contains(&b)
}

/// Refuses a name that no parameter can have, where one is looked for. ARNs speak for themselves.
///
/// Errors: `ValidationException`.
pub(crate) fn check_asked(text: &str) -> Result<(), Error> {
    let text = text.trim();
    if text.starts_with("arn:") {
        return Ok(());
    }
    let (name, selector) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    if name.is_empty() || selector.is_some_and(|rest| rest.is_empty() || rest.contains(':')) {
        return Err(validation(
            "Invalid parameter name. Please use correct syntax for referencing a version/label \
             <name>:<version/label>",
        ));
    }
    // Secrets are named through here too, by their own rules.
    if !name.bytes().all(is_plain) && !name.starts_with(crate::reference::PREFIX) {
        return Err(validation(RULES));
    }
    Ok(())
}

/// Refuses what cannot be a path. Errors: `ValidationException`.
pub(crate) fn check_path(path: &str) -> Result<(), Error> {
    let reserved = {
        let lower = path.trim_start_matches('/').to_ascii_lowercase();
        (lower.starts_with("aws") && !path.starts_with("/aws/")) || lower.starts_with("ssm")
    };
    if path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("//") && !reserved {
        return Ok(());
    }
    Err(validation(
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward \
         slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, \
         numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not \
         allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: \
         /get/parameters2-/by1./path0_.",
    ))
}

/// Whether a parameter lies under a path.
pub(crate) fn under(name: &str, path: &str, recursive: bool) -> bool {
    let path = path.trim_end_matches('/');
    let rest = if path.is_empty() {
        Some(name.strip_prefix('/').unwrap_or(name))
    } else {
        name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'))
    };
    rest.is_some_and(|rest| !rest.is_empty() && (recursive || !rest.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a.b-c_d", "/a/b/c", "/Dev/DBServer/MySQL/db-string13", "awful", "/a/ssm"] {
            assert!(check_new(good).is_ok(), "{good}");
        }
        for bad in ["aws", "AWSx", "/aws/x", "ssm", "SSMx", "/ssm/x", "a b", "a/b", "//a", "/a/", "ä", "a:b"]
        {
            assert!(check_new(bad).is_err(), "{bad}");
        }
        let deep = "/a".repeat(16);
        assert_eq!(check_new(&deep).err().unwrap().code(), "HierarchyLevelLimitExceededException");
        assert!(check_new(&"/a".repeat(15)).is_ok());
    }

    #[test]
    fn paths() {
        assert!(under("/a/b", "/a", false) && under("/a/b", "/a/", false) && under("/a/b/c", "/a", true));
        assert!(!under("/a/b/c", "/a", false) && !under("/ab", "/a", true) && !under("/a", "/a", true));
        assert!(under("x", "/", false) && under("/x", "/", false) && !under("/x/y", "/", false));
        assert!(check_path("/a/b").is_ok() && check_path("a").is_err() && check_path("/a//b").is_err());
    }
}
