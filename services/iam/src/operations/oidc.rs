//! OpenID Connect providers: whose tokens roles may trust.
//!
//! Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM".

use crate::operations::tags::tagged;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::OidcProvider;
use cloudlet_service::{Arn, Context};
use cloudlet_store::Key;

/// Providers per account.
const QUOTA: usize = 100;
/// Audiences per provider.
const CLIENT_IDS: usize = 100;
/// Thumbprints per provider.
const THUMBPRINTS: usize = 5;

/// The key of the provider with this ARN or issuer.
fn by_arn(cx: &Context, arn: &str) -> Key {
    let issuer = arn.split_once(":oidc-provider/").map_or(arn, |(_, issuer)| issuer);
    Key::new().text(&cx.account).text(issuer)
}

impl Iam {
    /// Registers a provider.
    ///
    /// Errors: `ValidationError` for what is not a URL, `InvalidInput`, `EntityAlreadyExists`, `LimitExceeded`.
    pub async fn create_open_id_connect_provider(
        &self,
        cx: &Context,
        input: CreateOpenIDConnectProviderInput,
    ) -> Result<CreateOpenIDConnectProviderOutput, Error> {
        let (issuer, plain) =
            issuer(&input.url).ok_or_else(|| errors::validation("Invalid Open ID Connect Provider URL"))?;
        let thumbprints = input.thumbprint_list.unwrap_or_default();
        check_thumbprints(&thumbprints)?;
        let mut client_ids: Vec<String> = Vec::new();
        for id in input.client_id_list.into_iter().flatten() {
            if !client_ids.contains(&id) {
                client_ids.push(id);
            }
        }
        if client_ids.len() > CLIENT_IDS {
            return Err(errors::quota("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS));
        }
        self.room_for::<OidcProvider>(cx, "OpenIdConnectProvidersPerAccount", QUOTA)?;
        let provider = OidcProvider {
            account: cx.account.to_string(),
            url: issuer.to_owned(),
            client_ids,
            thumbprints: lower(thumbprints),
            plain,
            created: cx.millis(),
            tags: shown::given_tags(input.tags)?,
        };
        let key = by_arn(cx, issuer);
        self.change(|tx| {
            if tx.exists::<OidcProvider>(&key)? {
                return Err(errors::exists(format!("Provider with url {} already exists.", input.url)).into());
            }
            Ok(tx.put(&key, &provider)?)
        })
        .await?;
        Ok(CreateOpenIDConnectProviderOutput {
            open_id_connect_provider_arn: Some(provider.arn()),
            tags: shown::some_tags(&provider.tags),
        })
    }

    /// Describes a provider.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn get_open_id_connect_provider(
        &self,
        cx: &Context,
        input: GetOpenIDConnectProviderInput,
    ) -> Result<GetOpenIDConnectProviderOutput, Error> {
        let arn = checked(&input.open_id_connect_provider_arn)?;
        let found = self.store().table::<OidcProvider>().get(&by_arn(cx, arn)).map_err(Error::internal)?;
        let provider = found.filter(|p| p.arn() == *arn).ok_or_else(|| no_provider(arn))?;
        Ok(GetOpenIDConnectProviderOutput {
            url: Some(provider.url),
            client_id_list: Some(provider.client_ids),
            thumbprint_list: Some(provider.thumbprints),
            create_date: shown::date(provider.created),
            tags: Some(shown::tags(&provider.tags)),
            ..Default::default()
        })
    }

    /// Lists the ARNs of all providers.
    pub async fn list_open_id_connect_providers(
        &self,
        cx: &Context,
        _: ListOpenIDConnectProvidersInput,
    ) -> Result<ListOpenIDConnectProvidersOutput, Error> {
        let all = self.all::<OidcProvider>(cx)?;
        let shown =
            all.iter().map(|p| OpenIDConnectProviderListEntry { arn: Some(p.arn()), ..Default::default() });
        Ok(ListOpenIDConnectProvidersOutput { open_id_connect_provider_list: Some(shown.collect()) })
    }

    /// Forgets a provider; one that is not there is nothing to complain about.
    ///
    /// Errors: `InvalidInput`.
    pub async fn delete_open_id_connect_provider(
        &self,
        cx: &Context,
        input: DeleteOpenIDConnectProviderInput,
    ) -> Result<DeleteOpenIDConnectProviderOutput, Error> {
        let key = by_arn(cx, checked(&input.open_id_connect_provider_arn)?);
        self.change(|tx| Ok(tx.delete::<OidcProvider>(&key)?)).await?;
        Ok(NoMembers)
    }

    /// Replaces the thumbprints.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn update_open_id_connect_provider_thumbprint(
        &self,
        cx: &Context,
        input: UpdateOpenIDConnectProviderThumbprintInput,
    ) -> Result<UpdateOpenIDConnectProviderThumbprintOutput, Error> {
        check_thumbprints(&input.thumbprint_list)?;
        self.change_provider(cx, &input.open_id_connect_provider_arn, |provider| {
            provider.thumbprints = lower(input.thumbprint_list.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Adds an audience; once more does nothing.
    ///
    /// Errors: `NoSuchEntity`, `LimitExceeded`, `InvalidInput`.
    pub async fn add_client_id_to_open_id_connect_provider(
        &self,
        cx: &Context,
        input: AddClientIDToOpenIDConnectProviderInput,
    ) -> Result<AddClientIDToOpenIDConnectProviderOutput, Error> {
        self.change_provider(cx, &input.open_id_connect_provider_arn, |provider| {
            if provider.client_ids.contains(&input.client_id) {
                return Ok(());
            }
            if provider.client_ids.len() >= CLIENT_IDS {
                return Err(errors::quota("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS));
            }
            provider.client_ids.push(input.client_id.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes an audience away; one that is not there is nothing to complain about.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn remove_client_id_from_open_id_connect_provider(
        &self,
        cx: &Context,
        input: RemoveClientIDFromOpenIDConnectProviderInput,
    ) -> Result<RemoveClientIDFromOpenIDConnectProviderOutput, Error> {
        self.change_provider(cx, &input.open_id_connect_provider_arn, |provider| {
            provider.client_ids.retain(|id| *id != input.client_id);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    async fn change_provider(
        &self,
        cx: &Context,
        arn: &str,
        mut f: impl FnMut(&mut OidcProvider) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let key = by_arn(cx, checked(arn)?);
        self.change(|tx| {
            let mut provider = tx.get::<OidcProvider>(&key)?.ok_or_else(|| no_provider(arn))?;
            f(&mut provider)?;
            Ok(tx.put(&key, &provider)?)
        })
        .await
    }
}

tagged!(OidcProvider, open_id_connect_provider_arn, by_arn, no_provider,
    tag_open_id_connect_provider TagOpenIDConnectProviderInput,
    untag_open_id_connect_provider UntagOpenIDConnectProviderInput,
    list_open_id_connect_provider_tags ListOpenIDConnectProviderTagsInput ListOpenIDConnectProviderTagsOutput);

/// The issuer in a URL, without scheme and trailing slash, and whether it speaks plain HTTP: only one on this
/// machine may.
fn issuer(url: &str) -> Option<(&str, bool)> {
    let (rest, plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let plausible = !name.is_empty() && !rest.contains(['?', '#', '@', ' ']) && (local || name.contains('.'));
    (plausible && (!plain || local)).then_some((rest, plain))
}

fn check_thumbprints(thumbprints: &[String]) -> Result<(), Error> {
    if thumbprints.len() > THUMBPRINTS {
        return Err(errors::bad_input("Thumbprint list must contain fewer than 5 entries."));
    }
    if thumbprints.iter().any(|t| !t.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(errors::bad_input("Thumbprint must be a valid SHA1 hash."));
    }
    Ok(())
}

fn lower(thumbprints: Vec<String>) -> Vec<String> {
    thumbprints.into_iter().map(|t| t.to_ascii_lowercase()).collect()
}

fn checked(arn: &str) -> Result<&str, Error> {
    let known =
        Arn::parse(arn).is_some_and(|a| a.service == "iam" && a.resource.starts_with("oidc-provider/"));
    if known { Ok(arn) } else { Err(errors::bad_input("Invalid ARN:  Could not be parsed!")) }
}

fn no_provider(arn: &str) -> Error {
    errors::no_such(format!("OpenIDConnect Provider not found for arn {arn}"))
}
