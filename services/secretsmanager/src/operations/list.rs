//! ListSecrets: filters, order, pages.
//!
//! Source: API Reference, `Filter`; User Guide, "Find secrets".

use crate::SecretsManager;
use crate::errors::{bad_token, invalid, stored};
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
        check(input.filters.as_deref().unwrap_or_default())?;
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

/// Refuses filters without a key or values. Errors: `InvalidParameterException`.
pub(super) fn check(filters: &[Filter]) -> Result<(), Error> {
    for filter in filters {
        let Some(key) = &filter.key else { return Err(invalid("Invalid filter key")) };
        if filter.values.as_ref().is_none_or(Vec::is_empty) {
            return Err(invalid(format!("Invalid filter values for key: {key}")));
        }
    }
    Ok(())
}

/// The secrets that meet all filters; each filter by any of its values, which may be said with an exclamation mark.
pub(super) fn matching(all: Vec<Secret>, filters: &[Filter]) -> Vec<Secret> {
    let meets = |secret: &Secret| {
        filters.iter().all(|filter| {
            let key = filter.key.as_deref().unwrap_or_default();
            filter.values.as_deref().unwrap_or_default().iter().any(|value| match value.strip_prefix('!') {
                Some(value) => !matches(secret, key, value),
                None => matches(secret, key, value),
            })
        })
    };
    all.into_iter().filter(|secret| meets(secret)).collect()
}

fn matches(secret: &Secret, key: &str, value: &str) -> bool {
    let description = secret.description.as_deref().unwrap_or_default();
    match key {
        "name" => secret.name.starts_with(value),
        "description" => all_words(description, value),
        "tag-key" => secret.tags.iter().any(|(name, _)| name.starts_with(value)),
        "tag-value" => secret.tags.iter().any(|(_, there)| there.starts_with(value)),
        "primary-region" => shown::primary_region(secret).is_some_and(|region| region.starts_with(value)),
        "all" => {
            let mut text = format!("{} {description}", secret.name);
            for (name, value) in &secret.tags {
                text.push_str(&format!(" {name} {value}"));
            }
            all_words(&text, value)
        }
        // No secret here is a service's own.
        _ => false,
    }
}

/// Whether every word of the value begins a word of the text.
fn all_words(text: &str, value: &str) -> bool {
    let (there, wanted) = (words(text), words(value));
    !wanted.is_empty() && wanted.iter().all(|word| there.iter().any(|known| known.starts_with(word)))
}

/// The words of a text, in lower case: what stands between signs, and parts that begin with a capital. The last
/// capital of a run belongs to what follows: `COMPANYthings` is `compan` and `ythings`, as AWS has it.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out: Vec<String> = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let next_is_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        let begins = !c.is_alphanumeric()
            || (c.is_uppercase() && before.is_some_and(|before| !before.is_uppercase() || next_is_lower));
        if begins {
            out.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = out.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_aws_has_them() {
        for (text, expected) in [
            ("SecretOne12", vec!["secret", "one12"]),
            ("uat/COMPANYthings/x", vec!["uat", "compan", "ythings", "x"]),
            ("COMPANY", vec!["company"]),
            ("SecretFTag", vec!["secret", "f", "tag"]),
            ("prod_App+b.c@d", vec!["prod", "app", "b", "c", "d"]),
            ("+", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
