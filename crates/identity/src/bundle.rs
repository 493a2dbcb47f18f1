//! Gathers the policies that speak about a caller.

use crate::caller::{Bundle, Caller, Named};
use crate::identities::Identities;
use crate::managed;
use crate::records::{Group, ManagedPolicy, Permissions, Role, User, named};
use crate::token::Holder;
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_service::Principal;
use cloudlet_store::StoreError;
use std::sync::Arc;

impl Identities {
    /// The policies of the caller, out of memory unless an identity record has changed since.
    pub(crate) fn bundle(&self, caller: &Caller) -> Result<Arc<Bundle>, StoreError> {
        let generation = self.generation();
        if let Some(bundle) = caller.bundle.load_full()
            && bundle.generation == generation
        {
            return Ok(bundle);
        }
        let mut bundle = self.gather(caller)?;
        // Read before the records were: a change in between makes this bundle old at once.
        bundle.generation = generation;
        let bundle = Arc::new(bundle);
        caller.bundle.store(Some(bundle.clone()));
        Ok(bundle)
    }

    fn gather(&self, caller: &Caller) -> Result<Bundle, StoreError> {
        let mut bundle = Bundle::default();
        match &caller.principal {
            Principal::User { account, name, id, .. } => self.gather_user(&mut bundle, account, name, id)?,
            Principal::AssumedRole { account, role, role_id, .. } => {
                match self.store().table::<Role>().get_arc(&named(account, role))? {
                    Some(role) if *role.id == **role_id => {
                        self.gather_permissions(&mut bundle, account, &role.permissions)?;
                        bundle.tags = role.tags.clone();
                    }
                    _ => bundle.gone = true,
                }
            }
            Principal::Federated { account, .. } => {
                if let Some(claims) = &caller.claims
                    && let Holder::Federated { issuer: Some((name, id)), .. } = &claims.holder
                {
                    self.gather_user(&mut bundle, account, name, id)?;
                    // The federated user has its own tags only.
                    bundle.tags.clear();
                }
            }
            Principal::Anonymous | Principal::Root { .. } | Principal::Service { .. } => {}
        }
        if let Some(claims) = &caller.claims {
            if !claims.policies.is_empty() || !claims.policy_arns.is_empty() {
                bundle.session =
                    Some(self.session_policies(&claims.account, &claims.policies, &claims.policy_arns)?);
            }
            for scope in &claims.scopes {
                bundle.scopes.extend(self.session_policies(
                    &claims.account,
                    std::slice::from_ref(scope),
                    &[],
                )?);
            }
            for tag in &claims.tags {
                bundle.tags.retain(|t| !t.key.eq_ignore_ascii_case(&tag.key));
                bundle.tags.push(tag.clone());
            }
        }
        let session = bundle.session.iter().flatten();
        bundle.asks_keys = bundle
            .identity
            .iter()
            .chain(&bundle.boundary)
            .chain(session)
            .chain(&bundle.scopes)
            .any(|p| !p.policy.context_keys().is_empty());
        Ok(bundle)
    }

    fn gather_user(
        &self,
        bundle: &mut Bundle,
        account: &str,
        name: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        let Some(user) = self.store().table::<User>().get_arc(&named(account, name))?.filter(|u| u.id == id)
        else {
            bundle.gone = true;
            return Ok(());
        };
        self.gather_permissions(bundle, account, &user.permissions)?;
        for group in &user.groups {
            if let Some(group) = self.store().table::<Group>().get_arc(&named(account, group))? {
                self.gather_permissions(bundle, account, &group.permissions)?;
            }
        }
        bundle.tags = user.tags.clone();
        Ok(())
    }

    fn gather_permissions(
        &self,
        bundle: &mut Bundle,
        account: &str,
        from: &Permissions,
    ) -> Result<(), StoreError> {
        for (name, document) in &from.inline {
            match Policy::parse(document, PolicyKind::Inline) {
                Ok(policy) => bundle.identity.push(Named { policy, id: name.as_str().into() }),
                Err(error) => return Err(unreadable(name, &error)),
            }
        }
        for arn in &from.attached {
            bundle.identity.extend(self.managed_policy(account, arn, PolicyKind::Identity)?);
        }
        if let Some(arn) = &from.boundary {
            // A boundary that was deleted allows nothing.
            let none =
                || Policy::parse(NOTHING, PolicyKind::Boundary).map_err(|error| unreadable(arn, &error));
            bundle.boundary = Some(match self.managed_policy(account, arn, PolicyKind::Boundary)? {
                Some(policy) => policy,
                None => Named { policy: none()?, id: arn.as_str().into() },
            });
        }
        Ok(())
    }

    /// The tags of a caller, `aws:PrincipalTag/…`: those of the user or role, overlaid by those of the session.
    pub fn principal_tags(
        &self,
        caller: &Caller,
    ) -> Result<Vec<crate::records::Tag>, cloudlet_service::Error> {
        Ok(self.bundle(caller).map_err(cloudlet_service::Error::internal)?.tags.clone())
    }

    pub(crate) fn session_policies(
        &self,
        account: &str,
        documents: &[String],
        arns: &[String],
    ) -> Result<Vec<Named>, StoreError> {
        let mut found = Vec::with_capacity(documents.len() + arns.len());
        for document in documents {
            let policy = Policy::parse(document, PolicyKind::Session)
                .map_err(|e| unreadable("a session policy", &e))?;
            found.push(Named { policy, id: "".into() });
        }
        for arn in arns {
            found.extend(self.managed_policy(account, arn, PolicyKind::Session)?);
        }
        Ok(found)
    }

    /// The default version of a managed policy, AWS's or the account's own, by its ARN.
    pub fn managed_policy(
        &self,
        account: &str,
        arn: &str,
        kind: PolicyKind,
    ) -> Result<Option<Named>, StoreError> {
        let Some(document) = self.managed_document(account, arn)? else { return Ok(None) };
        let policy = Policy::parse(&document, kind).map_err(|error| unreadable(arn, &error))?;
        Ok(Some(Named { policy, id: arn.into() }))
    }

    /// The text of that default version.
    pub fn managed_document(&self, account: &str, arn: &str) -> Result<Option<String>, StoreError> {
        if let Some(aws) = managed::by_arn(arn) {
            return Ok(Some(aws.document.clone()));
        }
        let name = arn.rsplit('/').next().unwrap_or_default();
        let found = self.store().table::<ManagedPolicy>().get_arc(&named(account, name))?;
        Ok(found.filter(|p| p.arn() == arn).and_then(|p| p.in_force().map(|v| v.document.clone())))
    }

    /// The policies that speak about a principal.
    pub fn policies_of(&self, principal: &Principal) -> Result<Arc<Bundle>, StoreError> {
        self.bundle(&Caller::of(principal))
    }

    /// The policies of one user, group or role alone.
    pub fn policies_in(&self, account: &str, permissions: &Permissions) -> Result<Bundle, StoreError> {
        let mut bundle = Bundle::default();
        self.gather_permissions(&mut bundle, account, permissions)?;
        Ok(bundle)
    }
}

const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// IAM takes no policy that does not parse, so that this is damage.
fn unreadable(name: &str, error: &cloudlet_access::PolicyError) -> StoreError {
    StoreError::Corrupt { what: format!("the policy {name}"), detail: error.to_string() }
}
