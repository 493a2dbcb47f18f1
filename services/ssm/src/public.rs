//! AWS's own parameters under `/aws/service`: what templates look up. Images are in `images`. Regions are AWS's, services are this cloud's.
//!
//! Source: User Guide, "Working with public parameters"; EC2 User Guide, "Find the latest AMI using Systems Manager".

use crate::images;
use crate::state::{Value, Version};
use cloudlet_service::Context;

/// When AWS's parameters were last changed, as far as we tell: 2025-01-01.
pub(crate) const MODIFIED: i64 = 1_735_689_600_000;

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

/// What is told of a Region.
const FACTS: &[&str] = &["domain", "geolocationCountry", "geolocationRegion", "longName", "partition"];

/// Whether a name is one of AWS's.
pub(crate) fn is_public(name: &str) -> bool {
    name.starts_with("/aws/service/")
}

/// The value of one of AWS's parameters.
pub(crate) fn get(cx: &Context, name: &str) -> Option<String> {
    let rest = name.strip_prefix("/aws/service/")?;
    if let Some(value) = images::get(&cx.region, rest) {
        return Some(value);
    }
    let rest = rest.strip_prefix("global-infrastructure/")?;
    let region = |code: &str| REGIONS.iter().find(|(known, ..)| *known == code);
    let service = |name: &str| services(cx).into_iter().any(|known| known == name).then(|| name.to_owned());
    let mut parts = rest.split('/').collect::<Vec<_>>();
    // The Region of the call has a second name.
    if parts.first() == Some(&"current-region") {
        parts.splice(..1, ["regions", &*cx.region]);
    }
    match *parts.as_slice() {
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
    let mut all: Vec<String> = images::names().map(|name| format!("{root}{name}")).collect();
    all.push("/aws/service/global-infrastructure/current-region".to_owned());
    let root = "/aws/service/global-infrastructure/";
    let services = services(cx);
    for (code, ..) in REGIONS {
        all.push(format!("{root}regions/{code}"));
        for more in FACTS {
            if **code == *cx.region {
                all.push(format!("{root}current-region/{more}"));
            }
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
