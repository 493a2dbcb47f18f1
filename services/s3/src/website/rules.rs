//! What a website configuration must be, and its routing rules at work.
//! Source: S3 User Guide, "(Optional) Configuring a webpage redirect"; what AWS answers.

use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use cloudlet_api_s3 as api;
use cloudlet_service::Error;

/// The most routing rules.
const MOST: usize = 50;

pub(crate) const PROTOCOL: &str = "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.";

/// The first rule that means this key: before it is looked up, or over the error that looking it up came to.
pub(super) fn route<'a>(
    rules: &'a [api::RoutingRule],
    key: &str,
    error: Option<u16>,
) -> Option<&'a api::RoutingRule> {
    rules.iter().find(|rule| {
        let condition = rule.condition.as_ref();
        let prefix = condition.and_then(|c| c.key_prefix_equals.as_deref());
        let code = condition.and_then(|c| c.http_error_code_returned_equals.as_deref());
        let error_fits = match (code, error) {
            (None, None) => true,
            (Some(code), Some(error)) => code.parse() == Ok(error),
            _ => false,
        };
        error_fits && prefix.is_none_or(|prefix| key.starts_with(prefix))
    })
}

/// The key that a rule sends to.
pub(super) fn replaced(rule: &api::RoutingRule, key: &str) -> String {
    let redirect = &rule.redirect;
    if let Some(whole) = &redirect.replace_key_with {
        return whole.clone();
    }
    let Some(with) = &redirect.replace_key_prefix_with else { return key.to_owned() };
    let prefix = rule.condition.as_ref().and_then(|c| c.key_prefix_equals.as_deref()).unwrap_or_default();
    format!("{with}{}", key.strip_prefix(prefix).unwrap_or(key))
}

/// Errors: `InvalidArgument`, `InvalidRequest`, `MalformedXML`.
pub(crate) fn check(website: &api::WebsiteConfiguration) -> Result<(), Error> {
    if let Some(all) = &website.redirect_all_requests_to {
        if website.index_document.is_some()
            || website.error_document.is_some()
            || website.routing_rules.is_some()
        {
            return Err(invalid_argument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                "RedirectAllRequestsTo",
                "not null",
            ));
        }
        if all.host_name.is_empty() {
            return Err(malformed_xml());
        }
        return protocol(all.protocol.as_deref());
    }
    let Some(index) = &website.index_document else {
        return Err(invalid_argument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        ));
    };
    if index.suffix.is_empty() || index.suffix.contains('/') {
        return Err(invalid_argument(
            "The IndexDocument Suffix is not well formed",
            "IndexDocument",
            index.suffix.clone(),
        ));
    }
    if website.error_document.as_ref().is_some_and(|e| e.key.is_empty()) {
        return Err(malformed_xml());
    }
    let Some(rules) = website.routing_rules.as_deref() else { return Ok(()) };
    if rules.is_empty() {
        return Err(malformed_xml());
    }
    if rules.len() > MOST {
        return Err(invalid_request(format!(
            "The number of routing rules must not exceed the allowed limit of {MOST} rules"
        )));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &api::RoutingRule) -> Result<(), Error> {
    let redirect = &rule.redirect;
    let says = [
        &redirect.host_name,
        &redirect.http_redirect_code,
        &redirect.protocol,
        &redirect.replace_key_prefix_with,
        &redirect.replace_key_with,
    ];
    if says.iter().all(|said| said.is_none()) {
        return Err(malformed_xml());
    }
    if let Some(condition) = &rule.condition {
        if condition.key_prefix_equals.is_none() && condition.http_error_code_returned_equals.is_none() {
            return Err(invalid_request(
                "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                 shouldn't be present.",
            ));
        }
        if let Some(code) = condition.http_error_code_returned_equals.as_deref()
            && !(code.len() == 3 && code.starts_with(['4', '5']) && code.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(invalid_request(format!(
                "The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
            )));
        }
    }
    protocol(redirect.protocol.as_deref())?;
    if redirect.replace_key_with.is_some() && redirect.replace_key_prefix_with.is_some() {
        return Err(invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
    }
    if let Some(code) = redirect.http_redirect_code.as_deref()
        && !(code.len() == 3
            && code.starts_with('3')
            && code != "300"
            && code.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(invalid_request(format!(
            "The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300."
        )));
    }
    Ok(())
}

fn protocol(given: Option<&str>) -> Result<(), Error> {
    match given {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(invalid_request(PROTOCOL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: Option<&str>, code: Option<&str>, redirect: api::Redirect) -> api::RoutingRule {
        let condition = api::Condition {
            key_prefix_equals: prefix.map(str::to_owned),
            http_error_code_returned_equals: code.map(str::to_owned),
        };
        let some = prefix.is_some() || code.is_some();
        api::RoutingRule { condition: some.then_some(condition), redirect, ..Default::default() }
    }

    #[test]
    fn the_first_rule_that_fits_is_taken() {
        let to = |key: &str| api::Redirect { replace_key_with: Some(key.into()), ..Default::default() };
        let rules = [
            rule(Some("docs/"), None, to("a")),
            rule(Some("docs/"), Some("404"), to("b")),
            rule(None, Some("404"), to("c")),
        ];
        let key = |key: &str, error: Option<u16>| route(&rules, key, error).map(|r| replaced(r, key));
        assert_eq!(key("docs/x", None).as_deref(), Some("a"));
        assert_eq!(key("docs/x", Some(404)).as_deref(), Some("b"));
        assert_eq!(key("x", Some(404)).as_deref(), Some("c"));
        assert_eq!(key("x", Some(403)), None);
        assert_eq!(key("x", None), None);
    }

    #[test]
    fn a_prefix_is_replaced_in_front() {
        let with = |p: &str| api::Redirect { replace_key_prefix_with: Some(p.into()), ..Default::default() };
        assert_eq!(replaced(&rule(Some("docs/"), None, with("documents/")), "docs/a"), "documents/a");
        assert_eq!(replaced(&rule(Some("docs/"), None, with("")), "docs/a"), "a");
        assert_eq!(replaced(&rule(None, Some("404"), with("old/")), "a"), "old/a");
    }
}
