//! AWS's own parameters under `/aws/service`: what templates look up. Images are placeholders that stay the same for a
//! name and a Region; what runs in them is for compute services to say. Regions are AWS's, services are this cloud's.
//!
//! Source: User Guide, "Working with public parameters"; EC2 User Guide, "Find the latest AMI using Systems Manager".

use crate::state::{Value, Version};
use cloudlet_service::Context;
use sha2::{Digest, Sha256};

/// When AWS's parameters were last changed, as far as we tell: 2025-01-01.
const MODIFIED: i64 = 1_735_689_600_000;

/// The images of Amazon Linux, after `/aws/service/ami-amazon-linux-latest/`.
const AMAZON_LINUX: &[&str] = &[
    "al2023-ami-kernel-6.1-arm64",
    "al2023-ami-kernel-6.1-x86_64",
    "al2023-ami-kernel-6.12-arm64",
    "al2023-ami-kernel-6.12-x86_64",
    "al2023-ami-kernel-default-arm64",
    "al2023-ami-kernel-default-x86_64",
    "al2023-ami-minimal-kernel-6.1-arm64",
    "al2023-ami-minimal-kernel-6.1-x86_64",
    "al2023-ami-minimal-kernel-6.12-arm64",
    "al2023-ami-minimal-kernel-6.12-x86_64",
    "al2023-ami-minimal-kernel-default-arm64",
    "al2023-ami-minimal-kernel-default-x86_64",
    "amzn-ami-hvm-x86_64-ebs",
    "amzn-ami-hvm-x86_64-gp2",
    "amzn-ami-hvm-x86_64-s3",
    "amzn-ami-minimal-hvm-x86_64-ebs",
    "amzn-ami-minimal-hvm-x86_64-s3",
    "amzn-ami-minimal-pv-x86_64-ebs",
    "amzn-ami-minimal-pv-x86_64-s3",
    "amzn-ami-pv-x86_64-ebs",
    "amzn-ami-pv-x86_64-s3",
    "amzn2-ami-hvm-arm64-gp2",
    "amzn2-ami-hvm-x86_64-ebs",
    "amzn2-ami-hvm-x86_64-gp2",
    "amzn2-ami-kernel-5.10-hvm-arm64-gp2",
    "amzn2-ami-kernel-5.10-hvm-x86_64-ebs",
    "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
    "amzn2-ami-minimal-hvm-arm64-ebs",
    "amzn2-ami-minimal-hvm-x86_64-ebs",
];

/// Further images that templates name, after `/aws/service/`.
const IMAGES: &[&str] = &[
    "ami-windows-latest/Windows_Server-2019-English-Full-Base",
    "ami-windows-latest/Windows_Server-2022-English-Core-Base",
    "ami-windows-latest/Windows_Server-2022-English-Full-Base",
    "ami-windows-latest/Windows_Server-2025-English-Full-Base",
    "bottlerocket/aws-ecs-2/arm64/latest/image_id",
    "bottlerocket/aws-ecs-2/x86_64/latest/image_id",
    "canonical/ubuntu/server/20.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
    "canonical/ubuntu/server/20.04/stable/current/arm64/hvm/ebs-gp2/ami-id",
    "canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
    "canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id",
    "canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    "canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
    "ecs/optimized-ami/amazon-linux-2/arm64/recommended/image_id",
    "ecs/optimized-ami/amazon-linux-2/gpu/recommended/image_id",
    "ecs/optimized-ami/amazon-linux-2/recommended/image_id",
    "ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id",
    "ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
];

/// Regions: code, long name, country, ISO 3166-2 subdivision. Source: AWS Regions and Availability Zones.
const REGIONS: &[(&str, &str, &str, &str)] = &[
    ("af-south-1", "Africa (Cape Town)", "ZA", "ZA-WC"),
    ("ap-east-1", "Asia Pacific (Hong Kong)", "HK", "CN-HK"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)", "JP", "JP-13"),
    ("ap-northeast-2", "Asia Pacific (Seoul)", "KR", "KR-11"),
    ("ap-northeast-3", "Asia Pacific (Osaka)", "JP", "JP-27"),
    ("ap-south-1", "Asia Pacific (Mumbai)", "IN", "IN-MH"),
    ("ap-south-2", "Asia Pacific (Hyderabad)", "IN", "IN-TG"),
    ("ap-southeast-1", "Asia Pacific (Singapore)", "SG", "SG-01"),
    ("ap-southeast-2", "Asia Pacific (Sydney)", "AU", "AU-NSW"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)", "ID", "ID-JK"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)", "AU", "AU-VIC"),
    ("ca-central-1", "Canada (Central)", "CA", "CA-QC"),
    ("ca-west-1", "Canada West (Calgary)", "CA", "CA-AB"),
    ("eu-central-1", "Europe (Frankfurt)", "DE", "DE-HE"),
    ("eu-central-2", "Europe (Zurich)", "CH", "CH-ZH"),
    ("eu-north-1", "Europe (Stockholm)", "SE", "SE-AB"),
    ("eu-south-1", "Europe (Milan)", "IT", "IT-25"),
    ("eu-south-2", "Europe (Spain)", "ES", "ES-AR"),
    ("eu-west-1", "Europe (Ireland)", "IE", "IE-D"),
    ("eu-west-2", "Europe (London)", "GB", "GB-LND"),
    ("eu-west-3", "Europe (Paris)", "FR", "FR-IDF"),
    ("il-central-1", "Israel (Tel Aviv)", "IL", "IL-TA"),
    ("me-central-1", "Middle East (UAE)", "AE", "AE-DU"),
    ("me-south-1", "Middle East (Bahrain)", "BH", "BH-13"),
    ("sa-east-1", "South America (Sao Paulo)", "BR", "BR-SP"),
    ("us-east-1", "US East (N. Virginia)", "US", "US-VA"),
    ("us-east-2", "US East (Ohio)", "US", "US-OH"),
    ("us-west-1", "US West (N. California)", "US", "US-CA"),
    ("us-west-2", "US West (Oregon)", "US", "US-OR"),
];

/// Whether a name is one of AWS's.
pub(crate) fn is_public(name: &str) -> bool {
    name.starts_with("/aws/service/")
}

/// The value of one of AWS's parameters.
pub(crate) fn get(cx: &Context, name: &str) -> Option<String> {
    let rest = name.strip_prefix("/aws/service/")?;
    if let Some(image) = rest.strip_prefix("ami-amazon-linux-latest/") {
        return AMAZON_LINUX.contains(&image).then(|| image_id(cx, rest));
    }
    if IMAGES.contains(&rest) {
        return Some(image_id(cx, rest));
    }
    let rest = rest.strip_prefix("global-infrastructure/")?;
    let region = |code: &str| REGIONS.iter().find(|(known, ..)| *known == code);
    let service = |name: &str| services(cx).into_iter().any(|known| known == name).then(|| name.to_owned());
    match *rest.split('/').collect::<Vec<_>>().as_slice() {
        ["regions", code] => region(code).map(|_| code.to_owned()),
        ["regions", code, "longName"] => region(code).map(|(_, name, ..)| (*name).to_owned()),
        ["regions", code, "domain"] => region(code).map(|_| "amazonaws.com".to_owned()),
        ["regions", code, "partition"] => region(code).map(|_| "aws".to_owned()),
        ["regions", code, "geolocationCountry"] => {
            region(code).map(|(_, _, country, _)| (*country).to_owned())
        }
        ["regions", code, "geolocationRegion"] => region(code).map(|(.., place)| (*place).to_owned()),
        ["regions", code, "services", name] => region(code).and_then(|_| service(name)),
        ["services", name] => service(name),
        ["services", name, "regions", code] => {
            service(name).and_then(|_| region(code)).map(|_| code.to_owned())
        }
        _ => None,
    }
}

/// All names under a path, sorted.
pub(crate) fn under(cx: &Context, path: &str, recursive: bool) -> Vec<String> {
    let root = "/aws/service/";
    let mut all: Vec<String> = AMAZON_LINUX
        .iter()
        .map(|image| format!("{root}ami-amazon-linux-latest/{image}"))
        .chain(IMAGES.iter().map(|image| format!("{root}{image}")))
        .collect();
    let root = "/aws/service/global-infrastructure/";
    let services = services(cx);
    for (code, ..) in REGIONS {
        all.push(format!("{root}regions/{code}"));
        for more in ["domain", "geolocationCountry", "geolocationRegion", "longName", "partition"] {
            all.push(format!("{root}regions/{code}/{more}"));
        }
        for service in &services {
            all.push(format!("{root}regions/{code}/services/{service}"));
            all.push(format!("{root}services/{service}/regions/{code}"));
        }
    }
    all.extend(services.iter().map(|service| format!("{root}services/{service}")));
    all.retain(|name| crate::names::under(name, path, recursive));
    all.sort_unstable();
    all
}

/// The version that answers show.
pub(crate) fn version(name: &str, value: String) -> Version {
    Version {
        number: 1,
        kind: "String".to_owned(),
        value: Value::Plain(value),
        key_id: None,
        modified: MODIFIED,
        user: String::new(),
        description: Some(name.to_owned()),
        pattern: None,
        tier: "Standard".to_owned(),
        policies: Vec::new(),
        data_type: "text".to_owned(),
    }
}

fn services(cx: &Context) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = cx.cloud.services().map(|service| service.api().name).collect();
    names.sort_unstable();
    names
}

fn image_id(cx: &Context, name: &str) -> String {
    let digest = Sha256::new().chain_update(&*cx.region).chain_update(" ").chain_update(name).finalize();
    format!("ami-{}", &hex::encode(digest)[..17])
}
