//! Invitations of accounts that exist.

use super::organization::{LETTERS, fresh_attachments};
use crate::shown::state;
use crate::state::{Action, Invitation, Member, page};
use crate::{Organizations, errors, shown};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{Membership, Organization as Own, of};
use cloudlet_service::Context;
use cloudlet_store::{Key, KeyRange};

impl Organizations {
    /// Invites an account.
    ///
    /// Errors: `DuplicateHandshakeException`, `HandshakeConstraintViolationException`, `InvalidInputException`.
    pub async fn invite_account_to_organization(
        &self,
        cx: &Context,
        input: InviteAccountToOrganizationInput,
    ) -> Result<InviteAccountToOrganizationOutput, Error> {
        let own = self.managed(cx)?;
        let invalid = || errors::bad_input("INVALID_PATTERN_TARGET_ID", "You specified an invalid value.");
        let (account, email) = match input.target.r#type.as_str() {
            "ACCOUNT" => (input.target.id, None),
            "EMAIL" if input.target.id.contains('@') => {
                (self.account_of(&input.target.id)?, Some(input.target.id))
            }
            "EMAIL" => return Err(invalid()),
            _ => {
                return Err(errors::bad_input(
                    "INVALID_PARTY_TYPE_TARGET",
                    "You specified an invalid value.",
                ));
            }
        };
        if email.is_none() && !is_account(&account) {
            return Err(invalid());
        }
        if self.get::<Membership>(&Key::new().text(&account))?.is_some() {
            return Err(already());
        }
        let known = self.invitations()?;
        let open = |i: &&Invitation| {
            i.organization == own.id
                && i.account == account
                && i.email == email
                && i.action == Action::Invite
                && state(i, cx.millis()) == "OPEN"
        };
        if known.iter().any(|invitation| open(&invitation)) {
            return Err(DuplicateHandshakeException::error(
                "A handshake with the same action and target already exists.",
            ));
        }
        let invitation = Invitation {
            id: format!("h-{}", cx.random().text(32, LETTERS)),
            organization: own.id.clone(),
            management: own.management.clone(),
            account,
            notes: input.notes,
            state: "OPEN".to_owned(),
            at: cx.millis(),
            tags: super::tags::given(input.tags)?,
            email,
            action: Action::Invite,
        };
        self.change(|tx| Ok(tx.put(&Key::new().text(&invitation.id), &invitation)?)).await?;
        Ok(InviteAccountToOrganizationOutput { handshake: Some(shown::handshake(&invitation, cx.millis())) })
    }

    /// Joins the organization that invited the caller's account.
    ///
    /// Errors: `HandshakeNotFoundException`, `InvalidHandshakeTransitionException`,
    /// `HandshakeConstraintViolationException`.
    pub async fn accept_handshake(
        &self,
        cx: &Context,
        input: AcceptHandshakeInput,
    ) -> Result<AcceptHandshakeOutput, Error> {
        let (account, now) = (cx.account.to_string(), cx.millis());
        let invited = |invitation: &Invitation| invitation.account == account;
        let mut invitation = self.open_invitation(cx, &input.handshake_id, invited)?;
        invitation.state = "ACCEPTED".to_owned();
        if invitation.action != Action::Invite {
            self.agree(&invitation).await?;
            return Ok(AcceptHandshakeOutput { handshake: Some(shown::handshake(&invitation, now)) });
        }
        let member = Member {
            id: account.clone(),
            name: account.clone(),
            email: format!("root@{account}.example.com"),
            joined: now,
            invited: true,
            status: "ACTIVE".to_owned(),
            tags: invitation.tags.clone(),
        };
        self.change(|tx| {
            let organization = &invitation.organization;
            let own = tx.get::<Own>(&Key::new().text(organization))?.ok_or_else(no_handshake)?;
            let key = Key::new().text(&account);
            if tx.exists::<Membership>(&key)? {
                return Err(already().into());
            }
            tx.put(&key, &Membership { organization: organization.clone(), parent: own.root })?;
            tx.put(&of(organization, &account), &member)?;
            tx.put(&of(organization, &account), &fresh_attachments())?;
            Ok(tx.put(&Key::new().text(&invitation.id), &invitation)?)
        })
        .await?;
        Ok(AcceptHandshakeOutput { handshake: Some(shown::handshake(&invitation, now)) })
    }

    /// Turns an invitation down.
    ///
    /// Errors: `HandshakeNotFoundException`, `InvalidHandshakeTransitionException`.
    pub async fn decline_handshake(
        &self,
        cx: &Context,
        input: DeclineHandshakeInput,
    ) -> Result<DeclineHandshakeOutput, Error> {
        let invited = |invitation: &Invitation| *invitation.account == *cx.account;
        let handshake = self.end_invitation(cx, &input.handshake_id, "DECLINED", invited).await?;
        Ok(DeclineHandshakeOutput { handshake: Some(handshake) })
    }

    /// Takes an invitation back.
    ///
    /// Errors: `HandshakeNotFoundException`, `InvalidHandshakeTransitionException`.
    pub async fn cancel_handshake(
        &self,
        cx: &Context,
        input: CancelHandshakeInput,
    ) -> Result<CancelHandshakeOutput, Error> {
        let inviting = |invitation: &Invitation| *invitation.management == *cx.account;
        let handshake = self.end_invitation(cx, &input.handshake_id, "CANCELED", inviting).await?;
        Ok(CancelHandshakeOutput { handshake: Some(handshake) })
    }

    /// Describes an invitation, for either side.
    ///
    /// Errors: `HandshakeNotFoundException`.
    pub async fn describe_handshake(
        &self,
        cx: &Context,
        input: DescribeHandshakeInput,
    ) -> Result<DescribeHandshakeOutput, Error> {
        let found = self.get::<Invitation>(&Key::new().text(&input.handshake_id))?;
        let found = found.filter(|i| *i.account == *cx.account || *i.management == *cx.account);
        let found = found.ok_or_else(no_handshake)?;
        Ok(DescribeHandshakeOutput { handshake: Some(shown::handshake(&found, cx.millis())) })
    }

    /// Lists the invitations of the caller's account.
    pub async fn list_handshakes_for_account(
        &self,
        cx: &Context,
        input: ListHandshakesForAccountInput,
    ) -> Result<ListHandshakesForAccountOutput, Error> {
        let mut found = self.invitations()?;
        found.retain(|invitation| *invitation.account == *cx.account);
        let page = page(found, input.next_token.as_deref(), input.max_results, |i| i.id.clone())?;
        let shown = page.items.iter().map(|i| shown::handshake(i, cx.millis()));
        Ok(ListHandshakesForAccountOutput { handshakes: Some(shown.collect()), next_token: page.next })
    }

    /// Lists the invitations of the organization.
    pub async fn list_handshakes_for_organization(
        &self,
        cx: &Context,
        input: ListHandshakesForOrganizationInput,
    ) -> Result<ListHandshakesForOrganizationOutput, Error> {
        let own = self.seen(cx)?;
        let mut found = self.invitations()?;
        found.retain(|invitation| invitation.organization == own.id);
        let page = page(found, input.next_token.as_deref(), input.max_results, |i| i.id.clone())?;
        let shown = page.items.iter().map(|i| shown::handshake(i, cx.millis()));
        Ok(ListHandshakesForOrganizationOutput { handshakes: Some(shown.collect()), next_token: page.next })
    }

    /// Begins to turn all features on: every invited account must agree first.
    ///
    /// Errors: `HandshakeConstraintViolationException`.
    pub async fn enable_all_features(
        &self,
        cx: &Context,
        _: EnableAllFeaturesInput,
    ) -> Result<EnableAllFeaturesOutput, Error> {
        let own = self.managed(cx)?;
        let constraint = |reason: &str, message: &str| -> Error {
            HandshakeConstraintViolationException {
                message: Some(message.to_owned()),
                reason: Some(reason.to_owned()),
            }
            .into()
        };
        if own.features == "ALL" {
            return Err(constraint(
                "ORGANIZATION_ALREADY_HAS_ALL_FEATURES",
                "Your organization already has all features enabled.",
            ));
        }
        let pending = self.invitations()?.into_iter().any(|known| {
            known.organization == own.id
                && known.action == Action::Enable
                && matches!(state(&known, cx.millis()), "OPEN" | "REQUESTED")
        });
        if pending {
            return Err(constraint(
                "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION",
                "The handshake request is invalid because the organization has already started the process to enable all \
                 features.",
            ));
        }
        let handshake = |account: &str, action: Action, state: &str| Invitation {
            id: format!("h-{}", cx.random().text(32, LETTERS)),
            organization: own.id.clone(),
            management: own.management.clone(),
            account: account.to_owned(),
            notes: None,
            state: state.to_owned(),
            at: cx.millis(),
            tags: Vec::new(),
            email: None,
            action,
        };
        let members = self.all::<Member>(&own)?;
        let asked: Vec<Invitation> = members
            .iter()
            .filter(|member| member.invited && member.id != own.management)
            .map(|member| handshake(&member.id, Action::Approve, "OPEN"))
            .collect();
        let begun = if asked.is_empty() { "OPEN" } else { "REQUESTED" };
        let whole = handshake(&own.management, Action::Enable, begun);
        self.change(|tx| {
            for one in asked.iter().chain([&whole]) {
                tx.put(&Key::new().text(&one.id), one)?;
            }
            Ok(())
        })
        .await?;
        Ok(EnableAllFeaturesOutput { handshake: Some(shown::handshake(&whole, cx.millis())) })
    }

    /// Writes down that an account agreed; the last one opens the management account's handshake, and that one turns
    /// the features on.
    async fn agree(&self, agreed: &Invitation) -> Result<(), Error> {
        self.change(|tx| {
            tx.put(&Key::new().text(&agreed.id), agreed)?;
            if agreed.action == Action::Enable {
                let key = Key::new().text(&agreed.organization);
                let mut own = tx.get::<Own>(&key)?.ok_or_else(no_handshake)?;
                own.features = "ALL".to_owned();
                return Ok(tx.put(&key, &own)?);
            }
            let mut others = Vec::new();
            for row in tx.scan::<Invitation>(KeyRange::all(), false) {
                others.push(row?.1);
            }
            others.retain(|other| other.organization == agreed.organization && other.id != agreed.id);
            let waiting = |other: &Invitation| other.action == Action::Approve && other.state == "OPEN";
            if !others.iter().any(waiting) {
                for mut whole in others {
                    if whole.action == Action::Enable && whole.state == "REQUESTED" {
                        whole.state = "OPEN".to_owned();
                        tx.put(&Key::new().text(&whole.id), &whole)?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// The account whose root user has this address; the empty text where nobody has it, so that nobody can accept.
    fn account_of(&self, email: &str) -> Result<String, Error> {
        let rows = self.store().table::<Member>().scan(KeyRange::all(), false);
        for row in rows {
            let (_, member) = row.map_err(Error::internal)?;
            if member.email.eq_ignore_ascii_case(email) {
                return Ok(member.id);
            }
        }
        // Accounts that no organization made have an address by their number.
        let number = email.strip_prefix("root@").and_then(|rest| rest.strip_suffix(".example.com"));
        Ok(number.filter(|number| is_account(number)).unwrap_or_default().to_owned())
    }

    fn invitations(&self) -> Result<Vec<Invitation>, Error> {
        let rows = self.store().table::<Invitation>().scan(KeyRange::all(), false);
        rows.map(|row| row.map(|(_, record)| record)).collect::<Result<_, _>>().map_err(Error::internal)
    }

    fn open_invitation(
        &self,
        cx: &Context,
        id: &str,
        mine: impl Fn(&Invitation) -> bool,
    ) -> Result<Invitation, Error> {
        let found = self.get::<Invitation>(&Key::new().text(id))?.filter(mine).ok_or_else(no_handshake)?;
        match state(&found, cx.millis()) {
            "OPEN" => Ok(found),
            _ => Err(InvalidHandshakeTransitionException::error(
                "You can't perform the operation on the handshake in its current state.",
            )),
        }
    }

    async fn end_invitation(
        &self,
        cx: &Context,
        id: &str,
        end: &str,
        mine: impl Fn(&Invitation) -> bool,
    ) -> Result<Handshake, Error> {
        let mut invitation = self.open_invitation(cx, id, mine)?;
        invitation.state = end.to_owned();
        self.change(|tx| Ok(tx.put(&Key::new().text(id), &invitation)?)).await?;
        Ok(shown::handshake(&invitation, cx.millis()))
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn no_handshake() -> Error {
    HandshakeNotFoundException::error("We can't find a handshake with the HandshakeId that you specified.")
}

fn already() -> Error {
    HandshakeConstraintViolationException {
        message: Some("The provided account is already a member of an organization.".to_owned()),
        reason: Some("ALREADY_IN_AN_ORGANIZATION".to_owned()),
    }
    .into()
}
