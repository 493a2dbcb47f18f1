//! SAML 2.0 providers: whose assertions roles may trust.
//!
//! Source: IAM User Guide, "Create a SAML identity provider in IAM"; SAML 2.0 Metadata (saml-metadata-2.0-os).

use crate::operations::tags::tagged;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::encrypted::private_key;
use cloudlet_identity::records::SamlProvider;
use cloudlet_identity::saml::Metadata;
use cloudlet_service::{Arn, Context};
use cloudlet_store::Key;

/// Providers per account.
const QUOTA: usize = 100;
/// Private keys per provider.
const KEYS: usize = 2;

/// The key of the provider with this ARN or name.
fn by_arn(cx: &Context, arn: &str) -> Key {
    let name = arn.split_once(":saml-provider/").map_or(arn, |(_, name)| name);
    Key::new().text(&cx.account).text(name)
}

impl Iam {
    /// Registers a provider by its metadata document.
    ///
    /// Errors: `InvalidInput` for a document that is no metadata, `EntityAlreadyExists`, `LimitExceeded`.
    pub async fn create_saml_provider(
        &self,
        cx: &Context,
        input: CreateSAMLProviderInput,
    ) -> Result<CreateSAMLProviderOutput, Error> {
        let metadata = metadata(&input.saml_metadata_document)?;
        self.room_for::<SamlProvider>(cx, "SAMLProvidersPerAccount", QUOTA)?;
        let mut provider = SamlProvider {
            account: cx.account.to_string(),
            name: input.name,
            metadata: input.saml_metadata_document,
            created: cx.millis(),
            valid_until: Some(metadata.valid_until.map_or_else(|| cx.millis() + century(), |s| s * 1000)),
            uuid: cx.random().unique_id("SAMLSP"),
            encryption: input.assertion_encryption_mode,
            private_keys: Vec::new(),
            tags: shown::given_tags(input.tags)?,
        };
        if let Some(key) = input.add_private_key {
            add_key(cx, &mut provider, key)?;
        }
        check_encryption(&provider)?;
        let key = by_arn(cx, &provider.name);
        self.change(|tx| {
            if tx.exists::<SamlProvider>(&key)? {
                return Err(
                    errors::exists(format!("Provider with name {} already exists.", provider.name)).into()
                );
            }
            Ok(tx.put(&key, &provider)?)
        })
        .await?;
        Ok(CreateSAMLProviderOutput {
            saml_provider_arn: Some(provider.arn()),
            tags: shown::some_tags(&provider.tags),
        })
    }

    /// Describes a provider.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn get_saml_provider(
        &self,
        cx: &Context,
        input: GetSAMLProviderInput,
    ) -> Result<GetSAMLProviderOutput, Error> {
        let arn = checked(&input.saml_provider_arn)?;
        let found = self.store().table::<SamlProvider>().get(&by_arn(cx, arn)).map_err(Error::internal)?;
        let provider = found.ok_or_else(|| no_provider(arn))?;
        let keys = provider.private_keys.iter().map(|(id, _, added)| SAMLPrivateKey {
            key_id: Some(id.clone()),
            timestamp: shown::date(*added),
        });
        Ok(GetSAMLProviderOutput {
            private_key_list: (!provider.private_keys.is_empty()).then(|| keys.collect()),
            saml_provider_uuid: Some(provider.uuid).filter(|uuid| !uuid.is_empty()),
            saml_metadata_document: Some(provider.metadata),
            create_date: shown::date(provider.created),
            valid_until: provider.valid_until.and_then(shown::date),
            tags: Some(shown::tags(&provider.tags)),
            assertion_encryption_mode: provider.encryption,
            ..Default::default()
        })
    }

    /// Lists all providers.
    pub async fn list_saml_providers(
        &self,
        cx: &Context,
        _: ListSAMLProvidersInput,
    ) -> Result<ListSAMLProvidersOutput, Error> {
        let all = self.all::<SamlProvider>(cx)?;
        let shown = all.iter().map(|provider| SAMLProviderListEntry {
            arn: Some(provider.arn()),
            valid_until: provider.valid_until.and_then(shown::date),
            create_date: shown::date(provider.created),
            ..Default::default()
        });
        Ok(ListSAMLProvidersOutput { saml_provider_list: Some(shown.collect()) })
    }

    /// Changes metadata, encryption and keys.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`, `LimitExceeded`.
    pub async fn update_saml_provider(
        &self,
        cx: &Context,
        input: UpdateSAMLProviderInput,
    ) -> Result<UpdateSAMLProviderOutput, Error> {
        let arn = checked(&input.saml_provider_arn)?.to_owned();
        if input.add_private_key.is_some() && input.remove_private_key.is_some() {
            return Err(errors::bad_input(
                "Unable to add and remove private keys in the same request. Set a value for only one of the two \
                 parameters.",
            ));
        }
        let given = [
            input.saml_metadata_document.is_some(),
            input.assertion_encryption_mode.is_some(),
            input.add_private_key.is_some(),
            input.remove_private_key.is_some(),
        ];
        if !given.contains(&true) {
            return Err(errors::bad_input(
                "Unable to update identity provider. No updates are defined for metadata or encryption assertion.",
            ));
        }
        let read = input.saml_metadata_document.as_deref().map(metadata).transpose()?;
        let key = by_arn(cx, &arn);
        self.change(|tx| {
            let mut provider = tx.get::<SamlProvider>(&key)?.ok_or_else(|| no_provider(&arn))?;
            if let (Some(document), Some(read)) = (&input.saml_metadata_document, &read) {
                provider.metadata.clone_from(document);
                provider.valid_until =
                    Some(read.valid_until.map_or_else(|| cx.millis() + century(), |s| s * 1000));
            }
            if let Some(mode) = &input.assertion_encryption_mode {
                provider.encryption = Some(mode.clone());
            }
            if let Some(id) = &input.remove_private_key {
                let before = provider.private_keys.len();
                provider.private_keys.retain(|(known, _, _)| known != id);
                if provider.private_keys.len() == before {
                    return Err(errors::no_such(
                        "Failed to remove private key because the Key ID does not match a private key.",
                    )
                    .into());
                }
            }
            if let Some(key) = &input.add_private_key {
                add_key(cx, &mut provider, key.clone())?;
            }
            check_encryption(&provider)?;
            Ok(tx.put(&key, &provider)?)
        })
        .await?;
        Ok(UpdateSAMLProviderOutput { saml_provider_arn: Some(arn) })
    }

    /// Forgets a provider.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn delete_saml_provider(
        &self,
        cx: &Context,
        input: DeleteSAMLProviderInput,
    ) -> Result<DeleteSAMLProviderOutput, Error> {
        let arn = checked(&input.saml_provider_arn)?;
        let key = by_arn(cx, arn);
        self.change(|tx| {
            if !tx.exists::<SamlProvider>(&key)? {
                return Err(no_provider(arn).into());
            }
            Ok(tx.delete::<SamlProvider>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }
}

tagged!(SamlProvider, saml_provider_arn, by_arn, no_provider, tag_saml_provider TagSAMLProviderInput,
    untag_saml_provider UntagSAMLProviderInput,
    list_saml_provider_tags ListSAMLProviderTagsInput ListSAMLProviderTagsOutput);

/// How long metadata without an end are good, in milliseconds: 100 years, as AWS shows it.
const fn century() -> i64 {
    36_500 * 86_400_000
}

fn metadata(document: &str) -> Result<Metadata, Error> {
    Metadata::read(document).ok_or_else(|| errors::bad_input("Could not parse metadata"))
}

fn add_key(cx: &Context, provider: &mut SamlProvider, text: String) -> Result<(), Error> {
    if private_key(&text).is_none() {
        return Err(errors::bad_input("Invalid private key."));
    }
    if provider.private_keys.len() >= KEYS {
        return Err(LimitExceededException::error(format!("Private key limit of {KEYS} is reached.")));
    }
    provider.private_keys.push((cx.random().unique_id("SAMLK"), text, cx.millis()));
    Ok(())
}

fn check_encryption(provider: &SamlProvider) -> Result<(), Error> {
    if provider.encryption.as_deref() == Some("Required") && provider.private_keys.is_empty() {
        return Err(errors::bad_input(
            "Unable to set assertion encryption mode to Required because no private key is provided",
        ));
    }
    Ok(())
}

fn checked(arn: &str) -> Result<&str, Error> {
    let known =
        Arn::parse(arn).is_some_and(|a| a.service == "iam" && a.resource.starts_with("saml-provider/"));
    if known { Ok(arn) } else { Err(errors::bad_input("Invalid ARN:  Could not be parsed!")) }
}

fn no_provider(arn: &str) -> Error {
    errors::no_such(format!("Manifest not found for arn {arn}"))
}
