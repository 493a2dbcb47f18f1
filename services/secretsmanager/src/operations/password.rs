//! GetRandomPassword.

use crate::SecretsManager;
use crate::errors::invalid;
use cloudlet_api_secretsmanager::*;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

impl SecretsManager {
    /// Errors: `InvalidParameterException`.
    pub async fn get_random_password(
        &self,
        cx: &Context,
        input: GetRandomPasswordInput,
    ) -> Result<GetRandomPasswordOutput, Error> {
        let length = usize::try_from(input.password_length.unwrap_or(32)).unwrap_or(32);
        let excluded = input.exclude_characters.unwrap_or_default();
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        let mut sets = Vec::new();
        for (left_out, set) in [
            (input.exclude_lowercase, LOWER),
            (input.exclude_uppercase, UPPER),
            (input.exclude_numbers, DIGITS),
            (input.exclude_punctuation, PUNCTUATION),
        ] {
            if !on(left_out) {
                sets.push(set.to_owned());
            }
        }
        for set in &mut sets {
            set.retain(|c| !excluded.contains(c));
        }
        sets.retain(|set| !set.is_empty());
        // A space may come; it is none of the types that must.
        let space = if on(input.include_space) && !excluded.contains(' ') { " " } else { "" };
        if sets.is_empty() {
            return Err(invalid("At least one of the required types of characters must be included."));
        }
        let each = input.require_each_included_type.unwrap_or(true);
        if each && length < sets.len() {
            return Err(invalid("Password length is too short based on the required types."));
        }
        let random = cx.random();
        let all = sets.concat() + space;
        let mut password = if each {
            sets.iter().map(|set| random.text(1, set.as_bytes())).collect::<String>()
        } else {
            String::new()
        };
        password.push_str(&random.text(length - password.len(), all.as_bytes()));
        let mut password = password.into_bytes();
        // The required ones must not stand in front.
        for at in (1..password.len()).rev() {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            let other = u64::from_le_bytes(bytes) % (at as u64 + 1);
            password.swap(at, usize::try_from(other).unwrap_or(at));
        }
        let password = String::from_utf8(password).map_err(Error::internal)?;
        Ok(GetRandomPasswordOutput { random_password: Some(password), ..Default::default() })
    }
}
