//! AWS managed keys: `alias/aws/…`, made when a service first needs one.
//!
//! Source: AWS KMS Developer Guide, "AWS managed keys"; the key policies that such keys show.

use serde_json::json;

/// The aliases that AWS has reserved in every account, whether or not their key has been made.
pub(crate) const PREDEFINED: &[&str] = &[
    "acm",
    "dynamodb",
    "ebs",
    "elasticfilesystem",
    "es",
    "glue",
    "kinesisvideo",
    "lambda",
    "rds",
    "redshift",
    "s3",
    "secretsmanager",
    "ssm",
    "xray",
];

/// The services whose key is made on demand though no listing shows its alias before: those of the wire names here.
const FURTHER: &[&str] =
    &["sns", "sqs", "kinesis", "logs", "events", "states", "backup", "codecommit", "fsx"];

/// The service of `alias/aws/NAME`, where it may have a key.
pub(crate) fn service_of(alias: &str) -> Option<&'static str> {
    let name = alias.strip_prefix("alias/aws/")?;
    PREDEFINED.iter().chain(FURTHER).copied().find(|known| *known == name)
}

/// What the key's description says.
pub(crate) fn description(service: &str) -> String {
    match service {
        "s3" => "Default key that protects my S3 objects when no other key is defined".to_owned(),
        "secretsmanager" => {
            "Default key that protects my Secrets Manager data when no other key is defined".to_owned()
        }
        "ssm" => "Default key that protects my SSM parameters when no other key is defined".to_owned(),
        "lambda" => "Default key that protects my Lambda functions when no other key is defined".to_owned(),
        "dynamodb" => "Default key that protects my DynamoDB data when no other key is defined".to_owned(),
        "ebs" => "Default key that protects my EBS volumes when no other key is defined".to_owned(),
        "rds" => "Default key that protects my RDS database volumes when no other key is defined".to_owned(),
        "sqs" => "Default key that protects my SQS messages when no other key is defined".to_owned(),
        "sns" => "Default key that protects my SNS data when no other key is defined".to_owned(),
        other => format!("Default key that protects my {other} data when no other key is defined"),
    }
}

/// The key's policy: who may use the service in this account may use the key through the service, and nobody else.
pub(crate) fn policy(service: &str, account: &str, region: &str) -> String {
    let sid = format!(
        "Allow access through {service} for all principals in the account that are authorized to use {service}"
    );
    let condition = json!({ "StringEquals": {
        "kms:CallerAccount": account,
        "kms:ViaService": format!("{service}.{region}.amazonaws.com"),
    }});
    let document = json!({
        "Version": "2012-10-17",
        "Id": format!("auto-{service}-1"),
        "Statement": [
            {
                "Sid": sid,
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": condition,
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                "Resource": "*",
            },
        ],
    });
    document.to_string()
}
