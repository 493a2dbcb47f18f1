//! The policy of a form: until when, and what its fields must be.
//! Source: S3 API Reference, "Creating an HTML form: POST policy".

use super::multipart::Fields;
use super::{invalid_policy, refused};
use crate::errors::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Error;
use serde_json::Value;
use std::ops::RangeInclusive;

/// A policy, as far as it has been understood.
pub(super) struct Policy {
    expires: i64,
    conditions: Vec<Condition>,
}

enum Condition {
    /// The field in lower case, the value, and the field as the policy writes it.
    Equals(String, String, String),
    StartsWith(String, String, String),
    Length(u64, u64),
}

impl Policy {
    /// Decodes a policy. Errors: `InvalidPolicyDocument`.
    pub(super) fn parse(encoded: &str) -> Result<Self, Error> {
        let compact: String = encoded.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = STANDARD.decode(compact).map_err(|_| invalid_policy("Invalid Base64 Encoding."))?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| invalid_policy("Invalid JSON."))?;
        let Some(object) = document.as_object() else { return Err(invalid_policy("Invalid JSON.")) };
        // Fields have no case, the names of these two members do.
        let member = |name: &str| object.get(name);
        let expiration = member("expiration").and_then(Value::as_str);
        let expiration = expiration.ok_or_else(|| invalid_policy("Policy missing expiration."))?;
        let format = aws_smithy_types::date_time::Format::DateTimeWithOffset;
        let expires = aws_smithy_types::DateTime::from_str(expiration, format)
            .map_err(|_| invalid_policy(format!("Invalid 'expiration' value: '{expiration}'")))?;
        let list = member("conditions").ok_or_else(|| invalid_policy("Policy missing conditions."))?;
        let list =
            list.as_array().ok_or_else(|| invalid_policy("Invalid 'conditions' value: must be a List."))?;
        let mut conditions = Vec::new();
        for one in list {
            read(one, &mut conditions)?;
        }
        Ok(Self { expires: crate::draft::millis(&expires), conditions })
    }

    /// Whether the fields are as the policy demands, every one of them. Gives the sizes that the file may have.
    /// Errors: `AccessDenied`.
    pub(super) fn check(
        &self,
        fields: &Fields,
        bucket: &str,
        key: &str,
        now: i64,
    ) -> Result<RangeInclusive<u64>, Error> {
        if self.expires <= now {
            return Err(refused("Policy expired."));
        }
        let mut sizes = 0..=u64::MAX;
        let value_of = |name: &str| match name {
            "bucket" => Some(bucket),
            "key" => Some(key),
            other => fields.get(other),
        };
        for condition in &self.conditions {
            let (written, value, met) = match condition {
                Condition::Length(least, most) => {
                    sizes = (*sizes.start()).max(*least)..=(*sizes.end()).min(*most);
                    continue;
                }
                Condition::Equals(name, value, written) => {
                    (written, value, value_of(name).unwrap_or_default() == value)
                }
                Condition::StartsWith(name, value, written) => {
                    let given = value_of(name);
                    let met = match given {
                        // Several content types may be named at once; each must begin so.
                        Some(given) if name == "content-type" => {
                            given.split(',').all(|g| g.trim().starts_with(value))
                        }
                        Some(given) => given.starts_with(value.as_str()),
                        None => value.is_empty(),
                    };
                    (written, value, met)
                }
            };
            if !met {
                let operator = if matches!(condition, Condition::Equals(..)) { "eq" } else { "starts-with" };
                return Err(refused(format!(
                    "Policy Condition failed: [\"{operator}\", \"${written}\", \"{value}\"]"
                )));
            }
        }
        // The bucket counts as a field that every form has.
        for name in fields.iter().map(|(name, _)| name).chain(["bucket"]) {
            if !self.names(name) && !is_free(name) {
                return Err(refused(format!("Extra input fields: {name}")));
            }
        }
        Ok(sizes)
    }

    fn names(&self, field: &str) -> bool {
        self.conditions.iter().any(|c| match c {
            Condition::Equals(name, ..) | Condition::StartsWith(name, ..) => name == field,
            Condition::Length(..) => false,
        })
    }
}

/// Fields that need no condition.
fn is_free(name: &str) -> bool {
    matches!(name, "awsaccesskeyid" | "signature" | "policy" | "x-amz-signature" | "file" | "submit")
        || name.starts_with("x-ignore-")
}

/// Reads one condition. Errors: `InvalidPolicyDocument`.
fn read(one: &Value, out: &mut Vec<Condition>) -> Result<(), Error> {
    let bad = || invalid_policy("Invalid Simple-Condition: value must be a string.");
    match one {
        Value::Object(pairs) if pairs.len() != 1 => Err(invalid_policy(
            "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
        )),
        Value::Object(pairs) => {
            for (name, value) in pairs {
                let value = value.as_str().ok_or_else(bad)?;
                out.push(Condition::Equals(name.to_ascii_lowercase(), value.to_owned(), name.clone()));
            }
            Ok(())
        }
        Value::Array(parts) => {
            let [operator, second, third] = &parts[..] else {
                return Err(invalid_policy(format!("Invalid Condition: {one}. Wrong number of arguments.")));
            };
            let operator = operator.as_str().ok_or_else(bad)?.to_ascii_lowercase();
            if operator == "content-length-range" {
                let number = |v: &Value| {
                    v.as_u64().or_else(|| v.as_str().and_then(|s| s.parse().ok())).ok_or_else(bad)
                };
                out.push(Condition::Length(number(second)?, number(third)?));
                return Ok(());
            }
            let written = second.as_str().and_then(|s| s.strip_prefix('$')).ok_or_else(bad)?.to_owned();
            let name = written.to_ascii_lowercase();
            let value = third.as_str().ok_or_else(bad)?.to_owned();
            match operator.as_str() {
                "eq" => out.push(Condition::Equals(name, value, written)),
                "starts-with" => out.push(Condition::StartsWith(name, value, written)),
                _ => {
                    return Err(invalid_policy(format!(
                        "Invalid Condition: unknown operation '{operator}'."
                    )));
                }
            }
            Ok(())
        }
        _ => Err(invalid_policy("Invalid 'conditions' value: must be a List.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<Policy, Error> {
        Policy::parse(&STANDARD.encode(text))
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn conditions_hold_for_every_field() {
        let text = r#"{"expiration":"2030-01-01T00:00:00.000Z","conditions":[{"bucket":"b"},["starts-with","$key","in/"],
            {"acl":"private"},["content-length-range",1,10],["starts-with","$Content-Type","image/"]]}"#;
        let policy = policy(text).unwrap();
        let good = [
            ("key", "in/x"),
            ("acl", "private"),
            ("content-type", "image/png"),
            ("policy", ""),
            ("x-ignore-a", ""),
        ];
        assert_eq!(policy.check(&fields(&good), "b", "in/x", 0).unwrap(), 1..=10);
        let code = |pairs: &[(&str, &str)], bucket: &str, key: &str, now: i64| {
            policy.check(&fields(pairs), bucket, key, now).unwrap_err().code().to_owned()
        };
        assert_eq!(code(&good, "c", "in/x", 0), "AccessDenied");
        assert_eq!(code(&good, "b", "out/x", 0), "AccessDenied");
        assert_eq!(code(&good, "b", "in/x", i64::MAX), "AccessDenied");
        assert_eq!(
            code(&[("key", "in/x"), ("acl", "private"), ("content-type", "text/x")], "b", "in/x", 0),
            "AccessDenied"
        );
        assert_eq!(code(&[good[0], good[1], good[2], ("x-amz-meta-a", "1")], "b", "in/x", 0), "AccessDenied");
    }

    #[test]
    fn what_is_no_policy() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"expiration":"2030-01-01T00:00:00Z"}"#,
            r#"{"conditions":[]}"#,
            r#"{"expiration":"x","conditions":[]}"#,
            r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[["eq","$key"]]}"#,
            r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[["near","$key","x"]]}"#,
            r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[1]}"#,
        ] {
            assert_eq!(
                policy(bad).err().map(|e| e.code().to_owned()).as_deref(),
                Some("InvalidPolicyDocument"),
                "{bad}"
            );
        }
    }
}
