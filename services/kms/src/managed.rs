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

/// How the service calls itself in the key's policy, and the policy's id.
fn named(service: &str) -> (String, String) {
    let (name, version) = match service {
        "s3" => ("S3", 2),
        "ssm" => ("SSM", 1),
        "secretsmanager" => ("AWS Secrets Manager", 2),
        "dynamodb" => ("Amazon DynamoDB", 1),
        "ebs" => ("EBS", 2),
        "rds" => ("RDS", 2),
        "lambda" => ("AWS Lambda", 1),
        "sqs" => ("SQS", 1),
        "sns" => ("SNS", 1),
        "kinesis" => ("Amazon Kinesis", 1),
        other => (other, 1),
    };
    (name.to_owned(), format!("auto-{service}-{version}"))
}

/// The key's policy: who may use the service in this account may use the key through the service, and nobody else.
pub(crate) fn policy(service: &str, account: &str, region: &str) -> String {
    let (name, id) = named(service);
    let caller = json!({ "kms:CallerAccount": account });
    let here = json!({ "StringEquals": {
        "kms:CallerAccount": account,
        "kms:ViaService": format!("{service}.{region}.amazonaws.com"),
    }});
    let condition = match service {
        // Tables and secrets have replicas in other Regions.
        "dynamodb" | "secretsmanager" => json!({
            "StringEquals": caller,
            "StringLike": { "kms:ViaService": format!("{service}.*.amazonaws.com") },
        }),
        _ => here,
    };
    let mut actions = vec!["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"];
    // These two never ask for grants.
    if !matches!(service, "s3" | "ssm") {
        actions.push("kms:CreateGrant");
    }
    actions.push("kms:DescribeKey");
    let mut metadata = vec!["kms:Describe*", "kms:Get*", "kms:List*"];
    if actions.contains(&"kms:CreateGrant") {
        metadata.push("kms:RevokeGrant");
    }
    let document = json!({
        "Version": "2012-10-17",
        "Id": id,
        "Statement": [
            {
                "Sid": format!(
                    "Allow access through {name} for all principals in the account that are authorized to use {name}"
                ),
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": actions,
                "Resource": "*",
                "Condition": condition,
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
                "Action": metadata,
                "Resource": "*",
            },
        ],
    });
    document.to_string()
}
