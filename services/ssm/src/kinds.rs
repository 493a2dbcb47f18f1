//! What a value may be: data types, allowed patterns, tiers and policies.
//!
//! Source: API Reference, `PutParameter`; User Guide, "Assigning parameter policies".

use crate::errors::validation;
use crate::state::{HOUR, Policy};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_ssm::{
    IncompatiblePolicyException, InvalidAllowedPatternException, InvalidPolicyAttributeException,
    InvalidPolicyTypeException, ParameterPatternMismatchException, PoliciesLimitExceededException,
};
use cloudlet_service::Error;
use regex::Regex;
use serde_json::Value;

/// AWS: the largest value of a standard parameter, in characters.
pub(crate) const STANDARD_VALUE: usize = 4096;
/// And of an advanced one.
const ADVANCED_VALUE: usize = 8192;
/// The largest compiled pattern, in bytes, and the most steps of one match that may go back.
const SIZE: usize = 1 << 20;
const STEPS: usize = 100_000;
/// AWS: the most policies of one parameter.
const MOST_POLICIES: usize = 10;

pub(crate) const STANDARD_TIER: &str = "Standard";
pub(crate) const ADVANCED_TIER: &str = "Advanced";

/// Checks a value against its data type. Errors: `ValidationException`.
pub(crate) fn check_type(data_type: &str, kind: &str, value: &str) -> Result<(), Error> {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|regex| regex.is_match(value));
    let fits = match data_type {
        "text" => true,
        "aws:ec2:image" => matches(r"^ami-[0-9a-zA-Z]{8,17}$"),
        "aws:ssm:integration" => kind == "SecureString",
        "aws:region" => matches(r"^([a-z]+-){2,3}\d+$"),
        "aws:account:id" => matches(r"^\d{12}$"),
        "boolean" => matches!(value, "true" | "false"),
        "integer" => matches(r"^[+-]?\d+$"),
        "float" => value.parse::<f64>().is_ok_and(f64::is_finite),
        "binary" => STANDARD.decode(value).is_ok(),
        "hostname" => {
            matches(r"^(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?))*$")
        }
        "email" => matches(r"^[^\s@]+@[^\s@]+\.[^\s@]+$"),
        "ipv4-address" => value.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6-address" => value.parse::<std::net::Ipv6Addr>().is_ok(),
        "url" => matches(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/]+\S*$"),
        "json" => serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok(),
        // JSON with comments, whose grammar nobody has settled.
        "jsonc" => true,
        other => {
            return Err(validation(format!(
                "The following data type is not supported: {other} (Data type names are all lowercase.)"
            )));
        }
    };
    if data_type == "aws:ec2:image" && kind != "String" {
        return Err(validation(format!(
            "Data type aws:ec2:image is only supported for parameters of type String, not {kind}."
        )));
    }
    if fits {
        Ok(())
    } else {
        Err(validation(format!("The parameter value is not valid for data type {data_type}.")))
    }
}

/// Checks a value against its pattern.
///
/// Errors: `InvalidAllowedPatternException`, `ParameterPatternMismatchException`.
pub(crate) fn check_pattern(pattern: &str, value: &str) -> Result<(), Error> {
    let bad = || {
        InvalidAllowedPatternException::error("The request does not meet the regular expression requirement.")
    };
    let whole = format!("^(?:{pattern})$");
    // Bounded in size, linear in time; what looks around or back is tried for a limited number of steps.
    let matches = match regex::RegexBuilder::new(&whole).size_limit(SIZE).build() {
        Ok(plain) => plain.is_match(value),
        Err(_) => {
            let mut builder = fancy_regex::RegexBuilder::new(&whole);
            builder.delegate_size_limit(SIZE).backtrack_limit(STEPS);
            builder.build().map_err(|_| bad())?.is_match(value).map_err(|_| bad())?
        }
    };
    if matches {
        return Ok(());
    }
    Err(ParameterPatternMismatchException::error(format!(
        "Parameter value, cannot be validated against allowedPattern: {pattern}"
    )))
}

/// The tier that a parameter gets.
///
/// Errors: `ValidationException` where the value does not fit, or where an advanced one shall be standard again.
pub(crate) fn tier(
    asked: Option<&str>,
    before: Option<&str>,
    value: &str,
    policies: bool,
) -> Result<&'static str, Error> {
    let len = value.chars().count();
    let needs_advanced = len > STANDARD_VALUE || policies;
    let tier = match (asked, before) {
        (Some(ADVANCED_TIER), _) => ADVANCED_TIER,
        (Some(STANDARD_TIER), Some(ADVANCED_TIER)) => {
            return Err(validation(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
                 advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced \
                 parameter and recreate it as a standard parameter.",
            ));
        }
        (_, Some(ADVANCED_TIER)) => ADVANCED_TIER,
        (Some("Intelligent-Tiering"), _) if needs_advanced => ADVANCED_TIER,
        _ => STANDARD_TIER,
    };
    if tier == STANDARD_TIER && len > STANDARD_VALUE {
        return Err(validation(format!(
            "Standard tier parameters support a maximum parameter value of {STANDARD_VALUE} characters. To create a \
             larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, \
             see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        )));
    }
    if len > ADVANCED_VALUE {
        return Err(validation(format!(
            "Advanced tier parameters support a maximum parameter value of {ADVANCED_VALUE} characters."
        )));
    }
    if tier == STANDARD_TIER && policies {
        return Err(validation(
            "Parameter policies are only supported for parameters in the advanced-parameter tier.",
        ));
    }
    Ok(tier)
}

/// Reads policies, and when they delete the parameter.
///
/// Errors: `InvalidPolicyTypeException`, `InvalidPolicyAttributeException`, `IncompatiblePolicyException`,
/// `PoliciesLimitExceededException`, `ValidationException`.
pub(crate) fn policies(text: &str, now: i64) -> Result<(Vec<Policy>, Option<i64>), Error> {
    let Ok(Value::Array(all)) = serde_json::from_str::<Value>(text) else {
        return Err(validation("The policies are not a valid JSON array."));
    };
    if all.len() > MOST_POLICIES {
        return Err(PoliciesLimitExceededException::error(format!(
            "A parameter can have no more than {MOST_POLICIES} policies."
        )));
    }
    let (mut out, mut expires) = (Vec::new(), None);
    // `[{}]` takes all policies away.
    let all: Vec<Value> =
        all.into_iter().filter(|policy| *policy != Value::Object(Default::default())).collect();
    for policy in &all {
        let text = |pointer: &str| policy.pointer(pointer).and_then(Value::as_str);
        let kind = text("/Type").unwrap_or_default();
        let wrong = |what: &str| {
            InvalidPolicyAttributeException::error(format!(
                "The attribute {what} of policy {kind} is not valid."
            ))
        };
        match kind {
            "Expiration" => {
                if expires.is_some() {
                    return Err(IncompatiblePolicyException::error(
                        "There is a conflict in the policies specified for this parameter. You can't, for example, \
                         specify two Expiration policies for a parameter. Review your policies, and try again.",
                    ));
                }
                let at = text("/Attributes/Timestamp").ok_or_else(|| wrong("Timestamp"))?;
                let at =
                    DateTime::from_str(at, Format::DateTimeWithOffset).map_err(|_| wrong("Timestamp"))?;
                let at = at.to_millis().map_err(|_| wrong("Timestamp"))?;
                if at <= now {
                    return Err(wrong("Timestamp"));
                }
                expires = Some(at);
            }
            "ExpirationNotification" => span(policy, "Before").map(drop).ok_or_else(|| wrong("Before"))?,
            "NoChangeNotification" => span(policy, "After").map(drop).ok_or_else(|| wrong("After"))?,
            other => {
                return Err(InvalidPolicyTypeException::error(format!(
                    "The policy type {other} is not supported. Parameter Store supports the following policy types: \
                     Expiration, ExpirationNotification, and NoChangeNotification."
                )));
            }
        }
        out.push(Policy { kind: kind.to_owned(), text: policy.to_string() });
    }
    if out.iter().any(|policy| policy.kind == "ExpirationNotification") && expires.is_none() {
        return Err(IncompatiblePolicyException::error(
            "An ExpirationNotification policy needs an Expiration policy.",
        ));
    }
    Ok((out, expires))
}

/// The span of time of a notification.
fn span(policy: &Value, name: &str) -> Option<i64> {
    let count = policy.pointer(&format!("/Attributes/{name}"))?.as_str()?.parse::<i64>().ok()?;
    let unit = match policy.pointer("/Attributes/Unit")?.as_str()? {
        "Days" => 24 * HOUR,
        "Hours" => HOUR,
        _ => return None,
    };
    (count > 0).then_some(count)?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_checked() {
        let good = r#"[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-12-02T21:34:33.000Z"}},
            {"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"15","Unit":"Days"}},
            {"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Hours"}}]"#;
        let (all, expires) = policies(good, 0).unwrap();
        assert_eq!((all.len(), expires), (3, Some(1_922_477_673_000)));
        assert_eq!(policies(good, i64::MAX).err().unwrap().code(), "InvalidPolicyAttributeException");
        for (bad, code) in [
            ("{", "ValidationException"),
            (r#"[{"Type":"Other"}]"#, "InvalidPolicyTypeException"),
            (r#"[{"Type":"Expiration"}]"#, "InvalidPolicyAttributeException"),
            (
                r#"[{"Type":"ExpirationNotification","Attributes":{"Before":"1","Unit":"Days"}}]"#,
                "IncompatiblePolicyException",
            ),
            (
                r#"[{"Type":"NoChangeNotification","Attributes":{"After":"1","Unit":"Weeks"}}]"#,
                "InvalidPolicyAttributeException",
            ),
        ] {
            assert_eq!(policies(bad, 0).err().unwrap().code(), code, "{bad}");
        }
    }

    #[test]
    fn patterns_may_look_around_but_not_for_long() {
        assert!(check_pattern("^(?=.*[A-Z])(?=.*[0-9]).{4,}$", "abC1").is_ok());
        let code =
            |pattern: &str, value: &str| check_pattern(pattern, value).err().unwrap().code().to_owned();
        assert_eq!(code("(?=.*[A-Z]).*", "abc1"), "ParameterPatternMismatchException");
        assert_eq!(code("[", "x"), "InvalidAllowedPatternException");
        let long = format!("{}!", "a".repeat(4000));
        assert_eq!(code("(a+)+b", &long), "ParameterPatternMismatchException");
        assert_eq!(code(r"(?:(a+)+)\1b", &long), "InvalidAllowedPatternException");
    }

    #[test]
    fn data_types() {
        for (data_type, good, bad) in [
            ("aws:ec2:image", "ami-0123456789abcdef0", "ami-1"),
            ("integer", "-12", "1.5"),
            ("float", "1.5", "x"),
            ("boolean", "true", "yes"),
            ("ipv4-address", "10.0.0.1", "10.0.0"),
            ("json", "{\"a\":1}", "{"),
            ("hostname", "a-b.example.com", "a_b"),
            ("url", "https://example.com/x", "example"),
        ] {
            assert!(check_type(data_type, "String", good).is_ok(), "{data_type} {good}");
            assert!(check_type(data_type, "String", bad).is_err(), "{data_type} {bad}");
        }
        assert!(check_type("not_ec2", "String", "x").is_err());
    }
}
