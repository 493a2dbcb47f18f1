//! What "public" means of a bucket policy, and what a caller is told whom block public access stops.

use crate::errors::access_denied;
use crate::names::caller;
use crate::state::Bucket;
use cloudlet_service::{Context, Error};
use serde_json::Value;

/// The refusal of a public policy.
pub(crate) fn prevented_policy(cx: &Context, bucket: &Bucket) -> Error {
    prevented(cx, bucket, "s3:PutBucketPolicy", &bucket.arn(), ("policies", "BlockPublicPolicy"))
}

/// The refusal of a public ACL, of the bucket or of the object with this key.
pub(crate) fn prevented_acl(cx: &Context, bucket: &Bucket, action: &str, key: Option<&str>) -> Error {
    let resource = key.map_or_else(|| bucket.arn(), |key| format!("{}/{key}", bucket.arn()));
    prevented(cx, bucket, action, &resource, ("ACLs", "BlockPublicAcls"))
}

/// The refusal of a customer's key (SSE-C) where the bucket blocks them.
pub(crate) fn prevented_keys(cx: &Context, bucket: &Bucket, key: &str) -> Error {
    let why = "this bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys \
               (SSE-C). Please specify a different server-side encryption type";
    refused(cx, bucket, "s3:PutObject", &format!("{}/{key}", bucket.arn()), why)
}

fn prevented(
    cx: &Context,
    bucket: &Bucket,
    action: &str,
    resource: &str,
    (what, setting): (&str, &str),
) -> Error {
    let why = format!("public {what} are prevented by the {setting} setting in S3 Block Public Access.");
    refused(cx, bucket, action, resource, &why)
}

/// Only the bucket's own account is told why. Source: S3 User Guide, "Troubleshoot access denied (403 Forbidden) errors".
fn refused(cx: &Context, bucket: &Bucket, action: &str, resource: &str, why: &str) -> Error {
    if caller(cx) != bucket.owner {
        return access_denied();
    }
    let user = cx.principal.arn();
    let message = format!(
        "User: {user} is not authorized to perform: {action} on resource: \"{resource}\" because {why}"
    );
    Error::new("AccessDenied", 403, message)
}

/// Whether a policy is public by AWS's definition: it allows everybody something, under no condition that names
/// fixed callers. Source: S3 User Guide, "The meaning of public".
pub(crate) fn is_public(text: &str) -> bool {
    const FIXED: [&str; 14] = [
        "aws:sourceip",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:userid",
        "aws:principalorgid",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgpaths",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    ];
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let everybody = |principal: &Value| match principal {
        Value::String(text) => text == "*",
        Value::Object(map) => map.get("AWS").is_some_and(|aws| match aws {
            Value::String(text) => text == "*",
            Value::Array(list) => list.iter().any(|p| p == "*"),
            _ => false,
        }),
        _ => false,
    };
    statements.iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let all =
            statement.get("Principal").is_some_and(everybody) || statement.get("NotPrincipal").is_some();
        let operators = statement.get("Condition").and_then(Value::as_object);
        let fixed = operators.into_iter().flatten().any(|(operator, keys)| {
            let positive =
                !operator.contains("Not") && !operator.contains("Null") && !operator.contains("IfExists");
            positive
                && keys.as_object().into_iter().flatten().any(|(key, values)| {
                    let wild = |v: &Value| {
                        v.as_str().is_some_and(|s| s.contains('*') || s.contains("${") || is_wide(s))
                    };
                    let values = match values {
                        Value::Array(list) => list.iter().any(wild),
                        one => wild(one),
                    };
                    FIXED.contains(&key.to_ascii_lowercase().as_str()) && !values
                })
        });
        allows && all && !fixed
    })
}

/// Whether a range of addresses is so wide that whoever is in it is anybody.
/// Source: S3 User Guide, "The meaning of public": beyond /8 for IPv4 and /32 for IPv6.
fn is_wide(range: &str) -> bool {
    let Some((address, bits)) = range.split_once('/') else { return false };
    let (Ok(address), Ok(bits)) = (address.parse::<std::net::IpAddr>(), bits.parse::<u8>()) else {
        return false;
    };
    bits < if address.is_ipv4() { 8 } else { 32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_ranges_are_public() {
        let policy = |range: &str| {
            let allows = serde_json::json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::b/*", "Condition": { "IpAddress": { "aws:SourceIp": range } } });
            serde_json::json!({ "Version": "2012-10-17", "Statement": [allows] }).to_string()
        };
        for (range, public) in [
            ("0.0.0.0/0", true),
            ("10.0.0.0/7", true),
            ("10.0.0.0/8", false),
            ("1.2.3.4", false),
            ("::/0", true),
        ] {
            assert_eq!(is_public(&policy(range)), public, "{range}");
        }
        assert!(is_public(&policy("2001::/16")) && !is_public(&policy("2001:db8::/32")));
    }
}
