//! The Regions that there are.
//!
//! Source: AWS Account Management Reference Guide, "Enable or disable AWS Regions in your account".

/// All regions of the partition `aws`, and whether every account has them from the start.
pub const ALL: &[(&str, bool)] = &[
    ("af-south-1", false),
    ("ap-east-1", false),
    ("ap-east-2", false),
    ("ap-northeast-1", true),
    ("ap-northeast-2", true),
    ("ap-northeast-3", true),
    ("ap-south-1", true),
    ("ap-south-2", false),
    ("ap-southeast-1", true),
    ("ap-southeast-2", true),
    ("ap-southeast-3", false),
    ("ap-southeast-4", false),
    ("ap-southeast-5", false),
    ("ap-southeast-6", false),
    ("ap-southeast-7", false),
    ("ca-central-1", true),
    ("ca-west-1", false),
    ("eu-central-1", true),
    ("eu-central-2", false),
    ("eu-north-1", true),
    ("eu-south-1", false),
    ("eu-south-2", false),
    ("eu-west-1", true),
    ("eu-west-2", true),
    ("eu-west-3", true),
    ("il-central-1", false),
    ("me-central-1", false),
    ("me-south-1", false),
    ("mx-central-1", false),
    ("sa-east-1", true),
    ("us-east-1", true),
    ("us-east-2", true),
    ("us-west-1", true),
    ("us-west-2", true),
];

/// Whether there is such a Region. Of other partitions than `aws` nothing is known, and every name will do.
pub fn exists(region: &str) -> bool {
    partition(region) != "aws" || ALL.iter().any(|(known, _)| *known == region)
}

/// The partition that a Region's name tells.
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}
