//! The account as a whole: alias, password policy, counts, STS preferences.

use crate::credentials::ServerCertificate as Certificate;
use crate::state::{AccountSettings, Alias, InstanceProfile, PasswordPolicy as Rules};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{
    Group, ManagedPolicy, MfaDevice, OidcProvider, Role, RootKey, SamlProvider, User, of_account,
};
use cloudlet_service::Context;
use cloudlet_store::Key;
use std::collections::BTreeMap;

impl Iam {
    pub(crate) fn settings(&self, cx: &Context) -> Result<AccountSettings, Error> {
        let found =
            self.store().table::<AccountSettings>().get(&of_account(&cx.account)).map_err(Error::internal)?;
        Ok(found.unwrap_or_default())
    }

    /// Gives the account its alias, in place of any it had.
    ///
    /// Errors: `EntityAlreadyExists`, also for another account's.
    pub async fn create_account_alias(
        &self,
        cx: &Context,
        input: CreateAccountAliasInput,
    ) -> Result<CreateAccountAliasOutput, Error> {
        let alias = &input.account_alias;
        check_alias(alias)?;
        let (own, at) = (of_account(&cx.account), Key::new().text(alias));
        self.change(|tx| {
            let mut settings = tx.get::<AccountSettings>(&own)?.unwrap_or_default();
            if tx.exists::<Alias>(&at)? {
                return Err(errors::exists(format!("The account alias {alias} already exists.")).into());
            }
            if let Some(old) = settings.alias.replace(alias.clone()) {
                tx.delete::<Alias>(&Key::new().text(&old))?;
            }
            tx.put(&at, &Alias { account: cx.account.to_string() })?;
            Ok(tx.put(&own, &settings)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes the alias away.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_account_alias(
        &self,
        cx: &Context,
        input: DeleteAccountAliasInput,
    ) -> Result<DeleteAccountAliasOutput, Error> {
        let alias = &input.account_alias;
        check_alias(alias)?;
        let own = of_account(&cx.account);
        self.change(|tx| {
            let mut settings = tx.get::<AccountSettings>(&own)?.unwrap_or_default();
            if settings.alias.as_ref() != Some(alias) {
                return Err(errors::no_such(format!("The account alias {alias} does not exist.")).into());
            }
            settings.alias = None;
            tx.delete::<Alias>(&Key::new().text(alias))?;
            Ok(tx.put(&own, &settings)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the account's one alias.
    pub async fn list_account_aliases(
        &self,
        cx: &Context,
        _: ListAccountAliasesInput,
    ) -> Result<ListAccountAliasesOutput, Error> {
        let account_aliases = self.settings(cx)?.alias.into_iter().collect();
        Ok(ListAccountAliasesOutput { account_aliases, is_truncated: Some(false), marker: None })
    }

    /// Gives the rules for console passwords.
    ///
    /// Errors: `NoSuchEntity` where none were set.
    pub async fn get_account_password_policy(
        &self,
        cx: &Context,
        _: GetAccountPasswordPolicyInput,
    ) -> Result<GetAccountPasswordPolicyOutput, Error> {
        let rules = self.settings(cx)?.password_policy.ok_or_else(|| no_password_policy(cx))?;
        let password_policy = PasswordPolicy {
            minimum_password_length: Some(rules.min_length),
            require_symbols: Some(rules.symbols),
            require_numbers: Some(rules.numbers),
            require_uppercase_characters: Some(rules.uppercase),
            require_lowercase_characters: Some(rules.lowercase),
            allow_users_to_change_password: Some(rules.users_may_change),
            expire_passwords: Some(rules.max_age_days.is_some()),
            max_password_age: rules.max_age_days,
            password_reuse_prevention: rules.remembered,
            hard_expiry: rules.hard_expiry,
        };
        Ok(GetAccountPasswordPolicyOutput { password_policy })
    }

    /// Sets the rules for console passwords; what is not given gets its default.
    pub async fn update_account_password_policy(
        &self,
        cx: &Context,
        input: UpdateAccountPasswordPolicyInput,
    ) -> Result<UpdateAccountPasswordPolicyOutput, Error> {
        let rules = Rules {
            min_length: input.minimum_password_length.unwrap_or(6),
            symbols: input.require_symbols.unwrap_or(false),
            numbers: input.require_numbers.unwrap_or(false),
            uppercase: input.require_uppercase_characters.unwrap_or(false),
            lowercase: input.require_lowercase_characters.unwrap_or(false),
            users_may_change: input.allow_users_to_change_password.unwrap_or(false),
            max_age_days: input.max_password_age.filter(|days| *days > 0),
            remembered: input.password_reuse_prevention.filter(|count| *count > 0),
            hard_expiry: input.hard_expiry,
        };
        self.change_settings(cx, |settings| {
            settings.password_policy = Some(rules.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Removes the rules.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_account_password_policy(
        &self,
        cx: &Context,
        _: DeleteAccountPasswordPolicyInput,
    ) -> Result<DeleteAccountPasswordPolicyOutput, Error> {
        self.change_settings(cx, |settings| match settings.password_policy.take() {
            Some(_) => Ok(()),
            None => Err(errors::no_such("The account policy with name PasswordPolicy cannot be found.")),
        })
        .await?;
        Ok(NoMembers)
    }

    /// Chooses the version of the tokens that the global endpoint of STS issues.
    pub async fn set_security_token_service_preferences(
        &self,
        cx: &Context,
        input: SetSecurityTokenServicePreferencesInput,
    ) -> Result<SetSecurityTokenServicePreferencesOutput, Error> {
        let version = if input.global_endpoint_token_version == "v2Token" { 2 } else { 1 };
        self.change_settings(cx, |settings| {
            settings.global_token_version = version;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    async fn change_settings(
        &self,
        cx: &Context,
        mut f: impl FnMut(&mut AccountSettings) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let own = of_account(&cx.account);
        self.change(|tx| {
            let mut settings = tx.get::<AccountSettings>(&own)?.unwrap_or_default();
            f(&mut settings)?;
            Ok(tx.put(&own, &settings)?)
        })
        .await
    }

    /// Counts what the account has, beside its quotas.
    pub async fn get_account_summary(
        &self,
        cx: &Context,
        _: GetAccountSummaryInput,
    ) -> Result<GetAccountSummaryOutput, Error> {
        let settings = self.settings(cx)?;
        let policies = self.all::<ManagedPolicy>(cx)?;
        let devices = self.all::<MfaDevice>(cx)?;
        let root_key =
            self.store().table::<RootKey>().exists(&of_account(&cx.account)).map_err(Error::internal)?;
        let root_mfa = devices.iter().any(|d| d.user.as_deref() == Some(""));
        let counts: [(&str, usize); 34] = [
            ("Users", self.all::<User>(cx)?.len()),
            ("UsersQuota", 5_000),
            ("Groups", self.all::<Group>(cx)?.len()),
            ("GroupsQuota", 300),
            ("Roles", self.all::<Role>(cx)?.len()),
            ("RolesQuota", 1_000),
            ("InstanceProfiles", self.all::<InstanceProfile>(cx)?.len()),
            ("InstanceProfilesQuota", 1_000),
            ("Policies", policies.len()),
            ("PoliciesQuota", 1_500),
            ("PolicyVersionsInUse", policies.iter().map(|policy| policy.versions.len()).sum()),
            ("PolicyVersionsInUseQuota", 10_000),
            ("PolicySizeQuota", 6_144),
            ("VersionsPerPolicyQuota", 5),
            ("AttachedPoliciesPerUserQuota", 10),
            ("AttachedPoliciesPerGroupQuota", 10),
            ("AttachedPoliciesPerRoleQuota", 10),
            ("UserPolicySizeQuota", 2_048),
            ("GroupPolicySizeQuota", 5_120),
            ("RolePolicySizeQuota", 10_240),
            ("AssumeRolePolicySizeQuota", 2_048),
            ("GroupsPerUserQuota", 10),
            ("AccessKeysPerUserQuota", 2),
            ("SigningCertificatesPerUserQuota", 2),
            ("ServerCertificates", self.all::<Certificate>(cx)?.len()),
            ("ServerCertificatesQuota", 20),
            ("MFADevices", devices.len()),
            ("MFADevicesInUse", devices.iter().filter(|device| device.enabled.is_some()).count()),
            ("AccountMFAEnabled", usize::from(root_mfa)),
            ("AccountAccessKeysPresent", usize::from(root_key)),
            ("AccountPasswordPresent", 0),
            ("AccountSigningCertificatesPresent", 0),
            ("GlobalEndpointTokenVersion", usize::from(settings.global_token_version.max(1))),
            ("Providers", self.all::<OidcProvider>(cx)?.len() + self.all::<SamlProvider>(cx)?.len()),
        ];
        let map: BTreeMap<String, i32> = counts
            .into_iter()
            .map(|(name, count)| (name.to_owned(), i32::try_from(count).unwrap_or(i32::MAX)))
            .collect();
        Ok(GetAccountSummaryOutput { summary_map: Some(map) })
    }

    /// Everything about users, groups, roles and policies, a page at a time.
    pub async fn get_account_authorization_details(
        &self,
        cx: &Context,
        input: GetAccountAuthorizationDetailsInput,
    ) -> Result<GetAccountAuthorizationDetailsOutput, Error> {
        let wanted = |kind: &str| {
            input.filter.as_ref().is_none_or(|kinds| kinds.is_empty() || kinds.iter().any(|k| k == kind))
        };
        let mut found: Vec<(String, Detail)> = Vec::new();
        if wanted("User") {
            let users = self.all::<User>(cx)?;
            found.extend(users.into_iter().map(|user| (format!("1/{}", user.name), Detail::User(user))));
        }
        if wanted("Group") {
            let groups = self.all::<Group>(cx)?;
            found.extend(groups.into_iter().map(|group| (format!("2/{}", group.name), Detail::Group(group))));
        }
        if wanted("Role") {
            let roles = self.all::<Role>(cx)?;
            found.extend(roles.into_iter().map(|role| (format!("3/{}", role.name), Detail::Role(role))));
        }
        let counts = self.attachments(cx)?;
        if wanted("LocalManagedPolicy") {
            let policies = self.all::<ManagedPolicy>(cx)?;
            found.extend(
                policies.into_iter().map(|policy| (format!("4/{}", policy.name), Detail::Local(policy))),
            );
        }
        if wanted("AWSManagedPolicy") {
            let used = cloudlet_identity::managed::all().filter(|aws| counts.contains_key(&aws.arn()));
            found.extend(used.map(|aws| (format!("5/{}", aws.name), Detail::Aws(aws))));
        }
        found.sort_by_key(|(key, _)| key.to_ascii_lowercase());
        let page = shown::page(found, input.marker.as_deref(), input.max_items, |(key, _)| key.clone())?;
        let profiles = self.all::<InstanceProfile>(cx)?;
        let (mut users, mut groups, mut roles, mut policies) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (_, detail) in page.items {
            match detail {
                Detail::User(user) => users.push(details::user(&user)),
                Detail::Group(group) => groups.push(details::group(&group)),
                Detail::Role(role) => {
                    let own = profiles.iter().filter(|profile| profile.role.as_deref() == Some(&role.name));
                    let own = own.map(|profile| shown::instance_profile(profile, Some(&role))).collect();
                    roles.push(details::role(&role, own, self.identities.last_use(&role.id).as_ref()));
                }
                Detail::Local(policy) => {
                    policies.push(details::policy(
                        &policy,
                        counts.get(&policy.arn()).copied().unwrap_or_default(),
                    ));
                }
                Detail::Aws(aws) => {
                    policies.push(details::aws(aws, counts.get(&aws.arn()).copied().unwrap_or_default()));
                }
            }
        }
        Ok(GetAccountAuthorizationDetailsOutput {
            user_detail_list: Some(users),
            group_detail_list: Some(groups),
            role_detail_list: Some(roles),
            policies: Some(policies),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }
}

enum Detail {
    User(User),
    Group(Group),
    Role(Role),
    Local(ManagedPolicy),
    Aws(&'static cloudlet_identity::managed::AwsManaged),
}

use crate::details;

/// The model's pattern looks ahead, which the engine that checks all others cannot.
fn check_alias(alias: &str) -> Result<(), Error> {
    let letter = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = alias.as_bytes();
    let plain = bytes.iter().all(|byte| letter(Some(byte)) || *byte == b'-');
    if plain && !alias.contains("--") && letter(bytes.first()) && letter(bytes.last()) {
        return Ok(());
    }
    Err(errors::validation(format!(
        "1 validation error detected: Value '{alias}' at 'accountAlias' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){{1,61}}[a-z0-9]$"
    )))
}

fn no_password_policy(cx: &Context) -> Error {
    errors::no_such(format!("The Password Policy with domain name {} cannot be found.", cx.account))
}
