//! What sessions of web identities and of SAML have in common: the role's trust, its limits, the credentials.

use super::assume::duration_of;
use crate::request::Policies;
use crate::{Sts, errors};
use cloudlet_access::PrincipalRef;
use cloudlet_identity::records::{Role, Tag};
use cloudlet_identity::{Credentials, Holder, NewSession};
use cloudlet_service::{Context, Error, Principal};

/// How far clocks may be apart, in seconds.
pub(super) const SKEW: i64 = 300;

/// A session that an identity provider vouches for.
pub(super) struct Federation {
    pub(super) action: &'static str,
    pub(super) who: PrincipalRef,
    pub(super) session: String,
    pub(super) provider: String,
    /// The condition keys that the provider's token gives.
    pub(super) keys: Vec<(String, Vec<String>)>,
    pub(super) tags: Vec<Tag>,
    pub(super) transitive: Vec<String>,
    pub(super) source_identity: Option<String>,
    pub(super) seconds: Option<i64>,
}

impl Sts {
    /// Makes the credentials, if the role trusts the bearer.
    ///
    /// Errors: `AccessDenied`, `ValidationError` for a session that would last too long.
    pub(super) fn federate(
        &self,
        cx: &Context,
        account: &str,
        role_arn: &str,
        federation: &Federation,
        policies: Policies,
    ) -> Result<(Role, Credentials), Error> {
        let role = self
            .role(account, role_arn)?
            .ok_or_else(|| errors::denied(format!("Not authorized to perform {}", federation.action)))?;
        let mut keys = federation.keys.clone();
        keys.push(("sts:RoleSessionName".to_owned(), vec![federation.session.clone()]));
        keys.push(("aws:FederatedProvider".to_owned(), vec![federation.provider.clone()]));
        keys.extend(federation.source_identity.clone().map(|id| ("sts:SourceIdentity".to_owned(), vec![id])));
        if !federation.tags.is_empty() {
            let tags = &federation.tags;
            keys.push(("aws:TagKeys".to_owned(), tags.iter().map(|t| t.key.clone()).collect()));
            keys.push(("sts:TransitiveTagKeys".to_owned(), federation.transitive.clone()));
            keys.extend(tags.iter().map(|t| (format!("aws:RequestTag/{}", t.key), vec![t.value.clone()])));
        }
        // The bearer is nobody before: whoever signed the request does not matter.
        let nobody = Context { principal: Principal::Anonymous, session: None, ..cx.clone() };
        let caller = self.identities.caller(&nobody);
        let may = |action: &str| {
            self.identities.may_assume_as(&nobody, &caller, &federation.who, action, &role, &keys)
        };
        may(federation.action)?;
        self.check_region(cx, account)?;
        if !federation.tags.is_empty() {
            may("sts:TagSession")?;
        }
        if federation.source_identity.is_some() {
            may("sts:SetSourceIdentity")?;
        }
        let holder = Holder::Role {
            name: role.name.clone(),
            id: role.id.clone(),
            session: federation.session.clone(),
        };
        let seconds = duration_of(&role, federation.seconds)?;
        let provider_keys =
            federation.keys.iter().filter_map(|(key, values)| Some((key.clone(), values.first()?.clone())));
        let credentials = self.identities.mint(NewSession {
            policies: policies.inline,
            policy_arns: policies.arns,
            tags: federation.tags.clone(),
            transitive: federation.transitive.clone(),
            source_identity: federation.source_identity.clone(),
            provider: Some(federation.provider.clone()),
            provider_keys: provider_keys.collect(),
            ..NewSession::new(account, holder, seconds)
        })?;
        Ok((role, credentials))
    }
}
