//! Lambda's words for inputs that break the model's constraints, where they are not the usual ones.

use crate::settings::RUNTIMES;
use cloudlet_service::rules::Violations;

/// The runtimes that layers may be asked for, in the order in which AWS lists them.
const LAYER_RUNTIMES: &str = "[ruby3.5, ruby2.6, dotnetcore1.0, python3.7, nodejs8.10, nasa, ruby2.7, python2.7-greengrass, dotnetcore2.0, \
                              python3.8, java21, dotnet6, dotnetcore2.1, python3.9, java11, nodejs6.10, provided, dotnetcore3.1, dotnet8, \
                              java25, java17, nodejs, nodejs4.3, java8.al2, go1.x, dotnet10, nodejs20.x, go1.9, byol, nodejs10.x, \
                              provided.al2023, nodejs22.x, python3.10, java8, nodejs12.x, python3.11, nodejs24.x, nodejs8.x, python3.12, \
                              nodejs14.x, nodejs8.9, nodejs26.x, python3.13, python3.14, nodejs16.x, python3.15, provided.al2, \
                              nodejs4.3-edge, nodejs18.x, ruby3.2, python3.4, ruby3.3, ruby3.4, ruby2.5, python3.6, python2.7]";

/// Lists are quoted as a whole, and layers know runtimes that the model does not.
pub(crate) fn of(mut violations: Violations) -> Violations {
    for violation in &mut violations.0 {
        if let Some(list) = violation.take_list() {
            violation.value = Some(list);
            violation.constraint = match violation.member.as_str() {
                "CompatibleRuntimes" => format!("Member must satisfy enum value set: {RUNTIMES}"),
                "CompatibleArchitectures" => {
                    format!("Member must satisfy constraint: [{}]", violation.constraint)
                }
                _ => format!(
                    "Member must satisfy constraint: [{}, Member must not be null]",
                    violation.all.as_deref().unwrap_or(&violation.constraint)
                ),
            };
        } else if violation.constraint.starts_with("Map keys must")
            && let Some(all) = &violation.all
        {
            violation.constraint =
                format!("Map keys must satisfy constraint: [{all}, Member must not be null]");
        } else if violation.member == "CompatibleRuntime"
            && violation.constraint.starts_with("Member must satisfy enum value set: ")
        {
            violation.constraint = format!("Member must satisfy enum value set: {LAYER_RUNTIMES}");
        }
    }
    // One list is quoted once, however many of its items are wrong.
    violations.0.dedup();
    violations
}
