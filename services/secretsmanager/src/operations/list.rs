//! ListSecrets: filters, order, pages.
//!
//! Source: API Reference, `Filter`; User Guide, "Find secrets".

use crate::SecretsManager;
use crate::errors::{bad_token, stored};
use crate::shown;
use crate::state::{Secret, place};
use cloudlet_api_secretsmanager::*;
use cloudlet_service::pages;

impl SecretsManager {
    /// Errors: `InvalidParameterException`, `InvalidNextTokenException`.
    pub async fn list_secrets(
        &self,
        cx: &Context,
        input: ListSecretsInput,
    ) -> Result<ListSecretsOutput, Error> {
        let all = self.all(cx, input.include_planned_deletion.unwrap_or(false))?;
        let mut found = matching(all, input.filters.as_deref().unwrap_or_default());
        match input.sort_by.as_deref() {
            Some("name") => found.sort_by(|a, b| a.name.cmp(&b.name)),
            Some("last-changed-date") => found.sort_by_key(|secret| secret.changed),
            Some("last-accessed-date") => found.sort_by_key(|secret| secret.accessed),
            _ => found.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name))),
        }
        if input.sort_order.as_deref() == Some("desc") {
            found.reverse();
        }
        let (found, next_token) = page(found, input.max_results, 100, input.next_token.as_deref())?;
        Ok(ListSecretsOutput {
            secret_list: Some(found.iter().map(shown::entry).collect()),
            next_token,
            ..Default::default()
        })
    }

    /// All secrets of the account and Region.
    pub(super) fn all(&self, cx: &Context, deleted_too: bool) -> Result<Vec<Secret>, Error> {
        let now = cx.millis();
        let mut out = Vec::new();
        for row in self.store.table::<Secret>().scan(place(cx).prefix_range(), false) {
            let (_, secret) = row.map_err(stored)?;
            match secret.deletion {
                Some(at) if at <= now || !deleted_too => {}
                _ => out.push(secret),
            }
        }
        Ok(out)
    }
}

/// A page of a listing whose order is the caller's: by position.
pub(super) fn page(
    found: Vec<Secret>,
    limit: Option<i32>,
    default: usize,
    token: Option<&str>,
) -> Result<(Vec<Secret>, Option<String>), Error> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default);
    let numbered = found.into_iter().enumerate();
    let key = |(at, _): &(usize, Secret)| format!("{at:010}").into_bytes();
    let page = pages::page(numbered, limit, token, key, bad_token)?;
    Ok((page.items.into_iter().map(|(_, secret)| secret).collect(), page.next))
}

/// The secrets that meet all filters; each filter by any of its values.
pub(super) fn matching(all: Vec<Secret>, filters: &[Filter]) -> Vec<Secret> {
    let meets = |secret: &Secret| {
        filters.iter().all(|filter| {
            let key = filter.key.as_deref().unwrap_or_default();
            let values = filter.values.as_deref().unwrap_or_default();
            // What is said with an exclamation mark must hold for none.
            let (none, any): (Vec<&str>, Vec<&str>) =
                values.iter().map(String::as_str).partition(|value| value.starts_with('!'));
            (any.is_empty() || any.iter().any(|value| matches(secret, key, value)))
                && none.iter().all(|value| !matches(secret, key, value.trim_start_matches('!')))
        })
    };
    all.into_iter().filter(|secret| meets(secret)).collect()
}

fn matches(secret: &Secret, key: &str, value: &str) -> bool {
    let description = secret.description.as_deref().unwrap_or_default();
    match key {
        "name" => secret.name.starts_with(value),
        "description" => {
            // Every word of the value begins a word of the description.
            let lower = description.to_lowercase();
            value.to_lowercase().split_whitespace().all(|word| {
                lower.split(|c: char| !c.is_alphanumeric()).any(|there| there.starts_with(word))
                    || lower.starts_with(word)
            })
        }
        "tag-key" => secret.tags.iter().any(|(name, _)| name.starts_with(value)),
        "tag-value" => secret.tags.iter().any(|(_, there)| there.starts_with(value)),
        "primary-region" => shown::primary_region(secret).is_some_and(|region| region.starts_with(value)),
        "all" => {
            let mut text = format!("{} {description}", secret.name);
            for (name, value) in &secret.tags {
                text.push_str(&format!(" {name} {value}"));
            }
            let text = text.to_lowercase();
            value.to_lowercase().split_whitespace().all(|word| {
                text.split(|c: char| !c.is_alphanumeric()).any(|there| there.starts_with(word))
                    || text.split_whitespace().any(|there| there.starts_with(word))
            })
        }
        // No secret here is a service's own.
        _ => false,
    }
}
