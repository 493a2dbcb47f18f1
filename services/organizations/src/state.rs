//! Tables beside those that decisions need, and how an organization's parts are found.

use crate::{Organizations, errors};
pub(crate) use cloudlet_identity::organization::Member;
use cloudlet_identity::organization::{Attachments, Membership, Organization, OrganizationPolicy, Unit, of};
use cloudlet_identity::records::Tag;
use cloudlet_service::pages::{self, Page};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, Record, StoreError, Tx};
use serde::{Deserialize, Serialize};

/// How the creation of an account went, by organization and id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Creation {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) account: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) at: i64,
}

impl Record for Creation {
    const TABLE: &'static str = "organizations.account_creations";
}

/// An invitation, by id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) management: String,
    pub(crate) account: String,
    pub(crate) notes: Option<String>,
    pub(crate) state: String,
    pub(crate) at: i64,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
    /// The address that it went to, where that was asked.
    #[serde(default)]
    pub(crate) email: Option<String>,
    /// What is agreed to by it.
    #[serde(default)]
    pub(crate) action: Action,
}

/// What a handshake is about.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// An account joins.
    #[default]
    Invite,
    /// An invited account agrees to all features.
    Approve,
    /// The management account turns all features on, once every invited account has agreed.
    Enable,
}

impl Action {
    /// As the API and as ARNs write it.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Action::Invite => ("INVITE", "invite"),
            Action::Approve => ("APPROVE_ALL_FEATURES", "approve_all_features"),
            Action::Enable => ("ENABLE_ALL_FEATURES", "enable_all_features"),
        }
    }
}

impl Record for Invitation {
    const TABLE: &'static str = "organizations.handshakes";
}

/// What a root, a unit or an account is called and which it is.
pub(crate) enum Target {
    Root,
    Unit(Unit),
    Account(Box<Member>),
}

impl Organizations {
    /// The organization of the caller's account.
    ///
    /// Errors: `AWSOrganizationsNotInUseException`.
    pub(crate) fn organization(&self, cx: &Context) -> Result<Organization, Error> {
        let member = self.get::<Membership>(&Key::new().text(&cx.account))?.ok_or_else(errors::not_in_use)?;
        self.get::<Organization>(&Key::new().text(&member.organization))?.ok_or_else(errors::not_in_use)
    }

    /// The same, for callers who may change it: those of the management account.
    ///
    /// Errors: `AWSOrganizationsNotInUseException`, `AccessDeniedException`.
    pub(crate) fn managed(&self, cx: &Context) -> Result<Organization, Error> {
        let organization = self.organization(cx)?;
        if *organization.management != *cx.account {
            return Err(errors::denied());
        }
        Ok(organization)
    }

    /// The same, for callers who may look at it: also those of delegated administrators.
    ///
    /// Errors: `AWSOrganizationsNotInUseException`, `AccessDeniedException`.
    pub(crate) fn seen(&self, cx: &Context) -> Result<Organization, Error> {
        let organization = self.organization(cx)?;
        let delegated = organization.delegated.iter().any(|(account, _, _)| **account == *cx.account);
        if *organization.management != *cx.account && !delegated {
            return Err(errors::denied());
        }
        Ok(organization)
    }

    pub(crate) fn get<R: Record>(&self, key: &Key) -> Result<Option<R>, Error> {
        self.store().table::<R>().get(key).map_err(Error::internal)
    }

    /// Everything of one kind that an organization has.
    pub(crate) fn all<R: Record>(&self, organization: &Organization) -> Result<Vec<R>, Error> {
        let rows = self.store().table::<R>().scan(Key::new().text(&organization.id).prefix_range(), false);
        rows.map(|row| row.map(|(_, record)| record)).collect::<Result<_, _>>().map_err(Error::internal)
    }

    pub(crate) fn member(&self, organization: &Organization, id: &str) -> Result<Member, Error> {
        self.get(&of(&organization.id, id))?.ok_or_else(errors::no_account)
    }

    pub(crate) fn policy(&self, organization: &Organization, id: &str) -> Result<OrganizationPolicy, Error> {
        self.get(&of(&organization.id, id))?.ok_or_else(errors::no_policy)
    }

    /// Where an account is.
    pub(crate) fn parent_of(&self, account: &str) -> Result<String, Error> {
        let found = self.get::<Membership>(&Key::new().text(account))?;
        found.map(|member| member.parent).ok_or_else(errors::no_account)
    }

    /// A root, a unit or an account by its id.
    pub(crate) fn target(&self, organization: &Organization, id: &str) -> Result<Option<Target>, Error> {
        if id == organization.root {
            return Ok(Some(Target::Root));
        }
        if id.starts_with("ou-") {
            return Ok(self.get::<Unit>(&of(&organization.id, id))?.map(Target::Unit));
        }
        Ok(self.get::<Member>(&of(&organization.id, id))?.map(|member| Target::Account(Box::new(member))))
    }

    /// Whether this is the root or a unit.
    pub(crate) fn is_parent(&self, organization: &Organization, id: &str) -> Result<bool, Error> {
        Ok(matches!(self.target(organization, id)?, Some(Target::Root | Target::Unit(_))))
    }
}

/// The policies attached to a target, inside a transaction.
pub(crate) fn attachments(
    tx: &mut Tx<'_>,
    organization: &str,
    target: &str,
) -> Result<Attachments, StoreError> {
    Ok(tx.get::<Attachments>(&of(organization, target))?.unwrap_or_default())
}

/// One page of a list that is in the order of its keys.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    token: Option<&str>,
    most: Option<i32>,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Error> {
    items.sort_by_key(|item| key(item));
    let limit = most.and_then(|n| usize::try_from(n).ok()).unwrap_or(20).clamp(1, 20);
    let bad = || errors::bad_input("INVALID_NEXT_TOKEN", "You specified an invalid value.");
    pages::page(items.into_iter(), limit, token, |item| key(item).into_bytes(), bad)
}
