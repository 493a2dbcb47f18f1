//! Console passwords.

use crate::state::{PasswordPolicy, missing};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::{LoginProfile, *};
use cloudlet_identity::records::{LoginProfile as Profile, User};
use cloudlet_service::{Context, Principal};
use ring::pbkdf2;
use std::num::NonZeroU32;

/// Rounds of PBKDF2. Source: OWASP Password Storage Cheat Sheet (600,000 for HMAC-SHA256).
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599_999);

type Verifier = (Vec<u8>, Vec<u8>);

impl Iam {
    /// Gives a user a console password.
    ///
    /// Errors: `NoSuchEntity`, `EntityAlreadyExists`, `PasswordPolicyViolation`.
    pub async fn create_login_profile(
        &self,
        cx: &Context,
        input: CreateLoginProfileInput,
    ) -> Result<CreateLoginProfileOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let password = input.password.ok_or_else(|| errors::validation("Password must be specified."))?;
        self.check_password(cx, &user, &password)?;
        let profile = Profile {
            created: cx.millis(),
            changed: cx.millis(),
            reset_required: input.password_reset_required.unwrap_or(false),
            verifier: hash(cx, &password),
            earlier: Vec::new(),
        };
        let shown = shown_profile(&user.name, &profile);
        self.change_entity::<User, _>(cx, &name, |_, user| {
            if user.login.is_some() {
                return Err(
                    errors::exists(format!("Login Profile for user {} already exists.", user.name)).into()
                );
            }
            user.login = Some(profile.clone());
            Ok(())
        })
        .await?;
        Ok(CreateLoginProfileOutput { login_profile: shown })
    }

    /// Tells whether a user has a console password.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_login_profile(
        &self,
        cx: &Context,
        input: GetLoginProfileInput,
    ) -> Result<GetLoginProfileOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let profile = user.login.as_ref().ok_or_else(|| no_profile(&name))?;
        Ok(GetLoginProfileOutput { login_profile: shown_profile(&user.name, profile) })
    }

    /// Sets another password for a user.
    ///
    /// Errors: `NoSuchEntity`, `PasswordPolicyViolation`.
    pub async fn update_login_profile(
        &self,
        cx: &Context,
        input: UpdateLoginProfileInput,
    ) -> Result<UpdateLoginProfileOutput, Error> {
        let user = self.entity::<User>(cx, &input.user_name)?;
        if user.login.is_none() {
            return Err(no_profile(&input.user_name));
        }
        let verifier = match &input.password {
            Some(password) => {
                self.check_password(cx, &user, password)?;
                Some(hash(cx, password))
            }
            None => None,
        };
        self.set_password(cx, &input.user_name, verifier, input.password_reset_required).await?;
        Ok(NoMembers)
    }

    /// Takes the password away.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_login_profile(
        &self,
        cx: &Context,
        input: DeleteLoginProfileInput,
    ) -> Result<DeleteLoginProfileOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        self.change_entity::<User, _>(cx, &name, |_, user| match user.login.take() {
            Some(_) => Ok(()),
            None => Err(no_profile(&name).into()),
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lets a user change its own password.
    ///
    /// Errors: `AccessDenied` for a wrong old password, `PasswordPolicyViolation`, `InvalidUserType` for callers that
    /// are no users.
    pub async fn change_password(
        &self,
        cx: &Context,
        input: ChangePasswordInput,
    ) -> Result<ChangePasswordOutput, Error> {
        let Principal::User { name, .. } = &cx.principal else {
            return Err(InvalidUserTypeException::error("Only IAM Users can change their own password"));
        };
        let user = self.find::<User>(cx, name)?.ok_or_else(|| missing::<User>(name))?;
        let profile = user.login.as_ref().ok_or_else(|| no_profile(name))?;
        if !verify(&profile.verifier, &input.old_password) {
            return Err(Error::new("AccessDenied", 403, "The old password was incorrect."));
        }
        self.check_password(cx, &user, &input.new_password)?;
        self.set_password(cx, name, Some(hash(cx, &input.new_password)), Some(false)).await?;
        Ok(NoMembers)
    }

    async fn set_password(
        &self,
        cx: &Context,
        name: &str,
        verifier: Option<Verifier>,
        reset: Option<bool>,
    ) -> Result<(), Error> {
        let now = cx.millis();
        self.change_entity::<User, _>(cx, name, |_, user| {
            let Some(profile) = &mut user.login else { return Err(no_profile(name).into()) };
            if let Some(verifier) = &verifier {
                let old = std::mem::replace(&mut profile.verifier, verifier.clone());
                profile.earlier.insert(0, old);
                profile.earlier.truncate(24);
                profile.changed = now;
            }
            profile.reset_required = reset.unwrap_or(profile.reset_required);
            Ok(())
        })
        .await
    }

    /// Holds a password against the account's rules.
    fn check_password(&self, cx: &Context, user: &User, password: &str) -> Result<(), Error> {
        let rules = self.settings(cx)?.password_policy;
        if let Some(what) = broken(rules.as_ref(), password) {
            return Err(PasswordPolicyViolationException::error(what));
        }
        let remembered = rules.and_then(|r| r.remembered).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let known = user.login.iter().flat_map(|p| std::iter::once(&p.verifier).chain(&p.earlier));
        if known.take(remembered).any(|verifier| verify(verifier, password)) {
            return Err(PasswordPolicyViolationException::error(
                "Password cannot be one of the previously used ones",
            ));
        }
        Ok(())
    }
}

/// Which rule a password breaks. Without rules of the account's own AWS asks for eight characters of three kinds.
fn broken(rules: Option<&PasswordPolicy>, password: &str) -> Option<String> {
    let has = |test: fn(&char) -> bool| password.chars().any(|c| test(&c));
    let upper = has(char::is_ascii_uppercase);
    let lower = has(char::is_ascii_lowercase);
    let number = has(char::is_ascii_digit);
    let symbol = password.chars().any(|c| "!@#$%^&*()_+-=[]{}|'".contains(c));
    let min = rules.map_or(8, |rules| rules.min_length);
    if i64::try_from(password.chars().count()).unwrap_or(i64::MAX) < i64::from(min) {
        return Some(format!("Password should have a minimum length of {min}"));
    }
    match rules {
        None if [upper, lower, number, symbol].iter().filter(|has| **has).count() < 3 => Some(
            "Password should have at least three of: uppercase letters, lowercase letters, numbers, symbols"
                .to_owned(),
        ),
        Some(r) if r.uppercase && !upper => {
            Some("Password should have at least one uppercase letter".to_owned())
        }
        Some(r) if r.lowercase && !lower => {
            Some("Password should have at least one lowercase letter".to_owned())
        }
        Some(r) if r.numbers && !number => Some("Password should have at least one number".to_owned()),
        Some(r) if r.symbols && !symbol => Some("Password should have at least one symbol".to_owned()),
        _ => None,
    }
}

fn hash(cx: &Context, password: &str) -> Verifier {
    let mut salt = [0u8; 16];
    cx.random().fill(&mut salt);
    let mut out = [0u8; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut out);
    (salt.to_vec(), out.to_vec())
}

fn verify((salt, expected): &Verifier, password: &str) -> bool {
    pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, password.as_bytes(), expected).is_ok()
}

fn no_profile(name: &str) -> Error {
    errors::no_such(format!("Login Profile for User {name} cannot be found."))
}

fn shown_profile(name: &str, profile: &Profile) -> LoginProfile {
    LoginProfile {
        user_name: name.to_owned(),
        create_date: shown::date(profile.created),
        password_reset_required: Some(profile.reset_required),
        ..Default::default()
    }
}
