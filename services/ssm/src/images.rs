//! The images among AWS's public parameters: placeholders that stay the same for a name and a Region. What runs in them
//! is for compute services to say.
//!
//! Source: EC2 User Guide, "Find the latest AMI using Systems Manager"; the guides of ECS, EKS, Bottlerocket, Ubuntu and
//! Debian on their parameters.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The images of Amazon Linux, after `ami-amazon-linux-latest/`.
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

/// The variants of ECS's images, after `ecs/optimized-ami/`.
const ECS: &[(&str, &str)] = &[
    ("amazon-linux", "Amazon Linux"),
    ("amazon-linux-2", "Amazon Linux 2"),
    ("amazon-linux-2/arm64", "Amazon Linux 2"),
    ("amazon-linux-2/gpu", "Amazon Linux 2"),
    ("amazon-linux-2/inf", "Amazon Linux 2"),
    ("amazon-linux-2/kernel-5.10", "Amazon Linux 2"),
    ("amazon-linux-2/kernel-5.10/arm64", "Amazon Linux 2"),
    ("amazon-linux-2023", "Amazon Linux 2023"),
    ("amazon-linux-2023/arm64", "Amazon Linux 2023"),
    ("amazon-linux-2023/gpu", "Amazon Linux 2023"),
    ("amazon-linux-2023/neuron", "Amazon Linux 2023"),
];

/// The versions of Kubernetes, 1.x, that EKS has images for.
const KUBERNETES: std::ops::RangeInclusive<u32> = 23..=34;

/// All names of images, after `/aws/service/`.
static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut all: BTreeSet<String> =
        AMAZON_LINUX.iter().map(|image| format!("ami-amazon-linux-latest/{image}")).collect();
    for year in [2016, 2019, 2022, 2025] {
        for what in ["Base", "ECS_Optimized", "ContainersLatest"] {
            for kind in ["Full", "Core"] {
                all.insert(format!("ami-windows-latest/Windows_Server-{year}-English-{kind}-{what}"));
            }
        }
    }
    for (release, disk) in [("20.04", "gp2"), ("22.04", "gp2"), ("24.04", "gp3")] {
        for arch in ["amd64", "arm64"] {
            all.insert(format!(
                "canonical/ubuntu/server/{release}/stable/current/{arch}/hvm/ebs-{disk}/ami-id"
            ));
        }
    }
    for (release, arch) in
        [(11, "amd64"), (11, "arm64"), (12, "amd64"), (12, "arm64"), (13, "amd64"), (13, "arm64")]
    {
        all.insert(format!("debian/release/{release}/latest/{arch}"));
    }
    for arch in ["arm64", "x86_64"] {
        for variant in ["aws-ecs-1", "aws-ecs-1-nvidia", "aws-ecs-2", "aws-ecs-2-nvidia"] {
            all.insert(format!("bottlerocket/{variant}/{arch}/latest/image_id"));
        }
        for minor in KUBERNETES {
            for end in ["", "-nvidia"] {
                all.insert(format!("bottlerocket/aws-k8s-1.{minor}{end}/{arch}/latest/image_id"));
            }
            for kind in ["standard", "nvidia", "neuron"] {
                let name = format!("eks/optimized-ami/1.{minor}/amazon-linux-2023/{arch}/{kind}/recommended");
                all.insert(format!("{name}/image_id"));
                all.insert(name);
            }
        }
    }
    for minor in KUBERNETES {
        // Amazon Linux 2 ended with 1.32.
        for variant in ["", "-arm64", "-gpu"].iter().filter(|_| minor <= 32) {
            let name = format!("eks/optimized-ami/1.{minor}/amazon-linux-2{variant}/recommended");
            all.insert(format!("{name}/image_id"));
            all.insert(name);
        }
        for year in [2019, 2022] {
            for kind in ["Full", "Core"] {
                all.insert(format!(
                    "ami-windows-latest/Windows_Server-{year}-English-{kind}-EKS_Optimized-1.{minor}/image_id"
                ));
            }
        }
    }
    for (variant, _) in ECS {
        let name = format!("ecs/optimized-ami/{variant}/recommended");
        all.insert(format!("{name}/image_id"));
        all.insert(name);
    }
    all
});

/// All names, after `/aws/service/`.
pub(crate) fn names() -> impl Iterator<Item = &'static String> {
    NAMES.iter()
}

/// The value of a parameter: an image's id, or JSON that has it.
pub(crate) fn get(region: &str, name: &str) -> Option<String> {
    let name = NAMES.get(name)?;
    let Some(group) = name.strip_suffix("/recommended") else { return Some(id(region, name)) };
    let image = id(region, &format!("{name}/image_id"));
    let variant = group.strip_prefix("ecs/optimized-ami/");
    let os = variant.and_then(|variant| ECS.iter().find(|(known, _)| *known == variant)).map(|(_, os)| *os);
    let image_name = format!("placeholder-{}", group.replace('/', "-"));
    Some(
        match os {
            Some(os) => json!({ "schema_version": 1, "image_id": image, "image_name": image_name, "os": os }),
            None => json!({ "schema_version": "2", "image_id": image, "image_name": image_name }),
        }
        .to_string(),
    )
}

fn id(region: &str, name: &str) -> String {
    let digest = Sha256::new().chain_update(region).chain_update(" ").chain_update(name).finalize();
    format!("ami-{}", &hex::encode(digest)[..17])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_templates_look_up() {
        for name in [
            "ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            "bottlerocket/aws-k8s-1.31/x86_64/latest/image_id",
            "eks/optimized-ami/1.30/amazon-linux-2/recommended/image_id",
            "eks/optimized-ami/1.33/amazon-linux-2023/arm64/standard/recommended/image_id",
            "ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
        ] {
            let value = get("us-east-1", name).unwrap();
            assert!(value.starts_with("ami-") && value.len() == 21, "{name}: {value}");
            assert_ne!(get("eu-west-1", name), Some(value));
        }
        let name = "ecs/optimized-ami/amazon-linux-2/recommended";
        let value: serde_json::Value = serde_json::from_str(&get("us-east-1", name).unwrap()).unwrap();
        assert_eq!(value["image_id"], get("us-east-1", &format!("{name}/image_id")).unwrap().as_str());
        assert_eq!(get("us-east-1", "eks/optimized-ami/1.2/amazon-linux-2/recommended"), None);
    }
}
