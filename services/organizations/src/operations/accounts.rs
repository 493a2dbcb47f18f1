//! Accounts: made, listed, moved, closed.

use super::organization::{LETTERS, fresh_attachments};
use crate::state::{Creation, Member, Target, page};
use crate::{Organizations, errors, shown};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{Attachments, Membership, Organization as Own, of};
use cloudlet_identity::records::{Permissions, Role, named};
use cloudlet_service::Context;
use cloudlet_store::Key;

/// Accounts per organization.
const QUOTA: usize = 100;

/// The role through which the management account administers an account that it made.
const ROLE: &str = "OrganizationAccountAccessRole";

impl Organizations {
    /// Makes an account with a role for its administration. It is there when this returns, though the answer is
    /// AWS's first one.
    ///
    /// Errors: `ConstraintViolationException`, `FinalizingOrganizationException`.
    pub async fn create_account(
        &self,
        cx: &Context,
        input: CreateAccountInput,
    ) -> Result<CreateAccountOutput, Error> {
        let own = self.managed(cx)?;
        let members = self.all::<Member>(&own)?;
        if members.len() >= QUOTA {
            return Err(errors::violates(
                "ACCOUNT_NUMBER_LIMIT_EXCEEDED",
                "You have exceeded the allowed number of AWS accounts.",
            ));
        }
        let taken = members.iter().any(|m| m.email.eq_ignore_ascii_case(&input.email));
        let mut id = String::new();
        while id.is_empty() || self.get::<Membership>(&Key::new().text(&id))?.is_some() {
            id = format!("{}{}", cx.random().text(1, b"123456789"), cx.random().text(11, b"0123456789"));
        }
        let now = cx.millis();
        let creation = Creation {
            id: format!("car-{}", cx.random().text(32, LETTERS)),
            name: input.account_name.clone(),
            account: (!taken).then(|| id.clone()),
            failure: taken.then(|| "EMAIL_ALREADY_EXISTS".to_owned()),
            at: now,
        };
        let member = Member {
            id: id.clone(),
            name: input.account_name,
            email: input.email,
            joined: now,
            invited: false,
            status: "ACTIVE".to_owned(),
            tags: super::tags::given(input.tags)?,
        };
        let role = Role {
            account: id.clone(),
            name: input.role_name.unwrap_or_else(|| ROLE.to_owned()),
            path: "/".to_owned(),
            id: cx.random().unique_id("AROA"),
            created: now,
            trust: format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{}:root"}},"Action":"sts:AssumeRole"}}]}}"#,
                own.management
            ),
            max_session: 3_600,
            permissions: Permissions {
                attached: vec!["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()],
                ..Permissions::default()
            },
            ..Role::default()
        };
        self.change(|tx| {
            tx.put(&of(&own.id, &creation.id), &creation)?;
            if taken {
                return Ok(());
            }
            let membership = Membership { organization: own.id.clone(), parent: own.root.clone() };
            tx.put(&Key::new().text(&id), &membership)?;
            tx.put(&of(&own.id, &id), &member)?;
            tx.put(&of(&own.id, &id), &fresh_attachments())?;
            Ok(tx.put(&named(&id, &role.name), &role)?)
        })
        .await?;
        let begun = CreateAccountStatus {
            id: Some(creation.id),
            account_name: Some(creation.name),
            state: Some("IN_PROGRESS".to_owned()),
            requested_timestamp: shown::date(now),
            ..Default::default()
        };
        Ok(CreateAccountOutput { create_account_status: Some(begun) })
    }

    /// Tells how the creation of an account went.
    ///
    /// Errors: `CreateAccountStatusNotFoundException`.
    pub async fn describe_create_account_status(
        &self,
        cx: &Context,
        input: DescribeCreateAccountStatusInput,
    ) -> Result<DescribeCreateAccountStatusOutput, Error> {
        let own = self.seen(cx)?;
        let found = self.get::<Creation>(&of(&own.id, &input.create_account_request_id))?.ok_or_else(|| {
            CreateAccountStatusNotFoundException::error(
                "We can't find an create account request with the CreateAccountRequestId that you specified.",
            )
        })?;
        Ok(DescribeCreateAccountStatusOutput { create_account_status: Some(shown::creation(&found)) })
    }

    /// Lists how creations went.
    pub async fn list_create_account_status(
        &self,
        cx: &Context,
        input: ListCreateAccountStatusInput,
    ) -> Result<ListCreateAccountStatusOutput, Error> {
        let own = self.seen(cx)?;
        let mut found = self.all::<Creation>(&own)?;
        if let Some(states) = input.states.filter(|states| !states.is_empty()) {
            found.retain(|creation| {
                let state = if creation.failure.is_some() { "FAILED" } else { "SUCCEEDED" };
                states.iter().any(|wanted| wanted == state)
            });
        }
        let page = page(found, input.next_token.as_deref(), input.max_results, |c| c.id.clone())?;
        Ok(ListCreateAccountStatusOutput {
            create_account_statuses: Some(page.items.iter().map(shown::creation).collect()),
            next_token: page.next,
        })
    }

    /// Describes an account.
    ///
    /// Errors: `AccountNotFoundException`.
    pub async fn describe_account(
        &self,
        cx: &Context,
        input: DescribeAccountInput,
    ) -> Result<DescribeAccountOutput, Error> {
        let own = self.seen(cx)?;
        let member = self.member(&own, &input.account_id)?;
        Ok(DescribeAccountOutput { account: Some(self.with_path(&own, &member)?) })
    }

    /// Lists all accounts.
    pub async fn list_accounts(
        &self,
        cx: &Context,
        input: ListAccountsInput,
    ) -> Result<ListAccountsOutput, Error> {
        let own = self.seen(cx)?;
        let members = self.all::<Member>(&own)?;
        let page = page(members, input.next_token.as_deref(), input.max_results, by_age)?;
        let shown: Result<_, Error> = page.items.iter().map(|m| self.with_path(&own, m)).collect();
        Ok(ListAccountsOutput { accounts: Some(shown?), next_token: page.next })
    }

    /// Lists the accounts directly in the root or a unit.
    ///
    /// Errors: `ParentNotFoundException`.
    pub async fn list_accounts_for_parent(
        &self,
        cx: &Context,
        input: ListAccountsForParentInput,
    ) -> Result<ListAccountsForParentOutput, Error> {
        let own = self.seen(cx)?;
        let members = self.members_in(&own, &input.parent_id)?;
        let page = page(members, input.next_token.as_deref(), input.max_results, by_age)?;
        let shown: Result<_, Error> = page.items.iter().map(|m| self.with_path(&own, m)).collect();
        Ok(ListAccountsForParentOutput { accounts: Some(shown?), next_token: page.next })
    }

    /// Moves an account to another parent.
    ///
    /// Errors: `AccountNotFoundException`, `SourceParentNotFoundException`, `DestinationParentNotFoundException`,
    /// `DuplicateAccountException`.
    pub async fn move_account(
        &self,
        cx: &Context,
        input: MoveAccountInput,
    ) -> Result<MoveAccountOutput, Error> {
        let own = self.managed(cx)?;
        self.member(&own, &input.account_id)?;
        if !self.is_parent(&own, &input.source_parent_id)?
            || self.parent_of(&input.account_id)? != input.source_parent_id
        {
            return Err(SourceParentNotFoundException::error(
                "You specified a source parent that doesn't exist.",
            ));
        }
        if !self.is_parent(&own, &input.destination_parent_id)? {
            return Err(DestinationParentNotFoundException::error(
                "You specified a destination parent that doesn't exist.",
            ));
        }
        if input.source_parent_id == input.destination_parent_id {
            return Err(DuplicateAccountException::error(
                "That account is already present in the specified destination.",
            ));
        }
        let key = Key::new().text(&input.account_id);
        let moved = Membership { organization: own.id.clone(), parent: input.destination_parent_id };
        self.change(|tx| Ok(tx.put(&key, &moved)?)).await?;
        Ok(NoMembers)
    }

    /// Closes an account; it stays listed as suspended.
    ///
    /// Errors: `AccountNotFoundException`, `AccountAlreadyClosedException`, `ConstraintViolationException`.
    pub async fn close_account(
        &self,
        cx: &Context,
        input: CloseAccountInput,
    ) -> Result<CloseAccountOutput, Error> {
        let own = self.managed(cx)?;
        let mut member = self.member(&own, &input.account_id)?;
        if member.id == own.management {
            return Err(errors::violates(
                "CANNOT_CLOSE_MANAGEMENT_ACCOUNT",
                "You can't close the management account.",
            ));
        }
        if member.status == "SUSPENDED" {
            return Err(AccountAlreadyClosedException::error(
                "You specified an account that is already closed.",
            ));
        }
        member.status = "SUSPENDED".to_owned();
        self.change(|tx| Ok(tx.put(&of(&own.id, &member.id), &member)?)).await?;
        Ok(NoMembers)
    }

    /// Takes an account out of the organization.
    ///
    /// Errors: `AccountNotFoundException`, `MasterCannotLeaveOrganizationException`.
    pub async fn remove_account_from_organization(
        &self,
        cx: &Context,
        input: RemoveAccountFromOrganizationInput,
    ) -> Result<RemoveAccountFromOrganizationOutput, Error> {
        let own = self.managed(cx)?;
        self.member(&own, &input.account_id)?;
        self.remove(&own, &input.account_id).await?;
        Ok(NoMembers)
    }

    /// Takes the caller's account out of its organization.
    ///
    /// Errors: `MasterCannotLeaveOrganizationException`.
    pub async fn leave_organization(
        &self,
        cx: &Context,
        _: LeaveOrganizationInput,
    ) -> Result<LeaveOrganizationOutput, Error> {
        let own = self.organization(cx)?;
        self.remove(&own, &cx.account).await?;
        Ok(NoMembers)
    }

    async fn remove(&self, own: &Own, account: &str) -> Result<(), Error> {
        if account == own.management {
            return Err(MasterCannotLeaveOrganizationException::error(
                "You can't remove a management account from an organization.",
            ));
        }
        self.change(|tx| {
            tx.delete::<Member>(&of(&own.id, account))?;
            tx.delete::<Attachments>(&of(&own.id, account))?;
            Ok(tx.delete::<Membership>(&Key::new().text(account))?)
        })
        .await
    }

    /// Lists the parent of an account or a unit.
    ///
    /// Errors: `ChildNotFoundException`.
    pub async fn list_parents(
        &self,
        cx: &Context,
        input: ListParentsInput,
    ) -> Result<ListParentsOutput, Error> {
        let own = self.seen(cx)?;
        let missing = || {
            ChildNotFoundException::error(
                "You specified an organizational unit (OU) or account that doesn't exist.",
            )
        };
        let id = match self.target(&own, &input.child_id)? {
            Some(Target::Unit(unit)) => unit.parent,
            Some(Target::Account(member)) => self.parent_of(&member.id)?,
            Some(Target::Root) | None => return Err(missing()),
        };
        let kind = if id == own.root { "ROOT" } else { "ORGANIZATIONAL_UNIT" };
        let parent = Parent { id: Some(id), r#type: Some(kind.to_owned()) };
        Ok(ListParentsOutput { parents: Some(vec![parent]), next_token: None })
    }

    /// Lists the accounts or the units directly in the root or a unit.
    ///
    /// Errors: `ParentNotFoundException`.
    pub async fn list_children(
        &self,
        cx: &Context,
        input: ListChildrenInput,
    ) -> Result<ListChildrenOutput, Error> {
        let own = self.seen(cx)?;
        let ids: Vec<String> = if input.child_type == "ACCOUNT" {
            self.members_in(&own, &input.parent_id)?.into_iter().map(|member| member.id).collect()
        } else {
            self.units_in(&own, &input.parent_id)?.into_iter().map(|unit| unit.id).collect()
        };
        let page = page(ids, input.next_token.as_deref(), input.max_results, String::clone)?;
        let shown =
            page.items.into_iter().map(|id| Child { id: Some(id), r#type: Some(input.child_type.clone()) });
        Ok(ListChildrenOutput { children: Some(shown.collect()), next_token: page.next })
    }

    fn members_in(&self, own: &Own, parent: &str) -> Result<Vec<Member>, Error> {
        if !self.is_parent(own, parent)? {
            return Err(errors::no_parent());
        }
        let mut found = Vec::new();
        for member in self.all::<Member>(own)? {
            if self.parent_of(&member.id)? == parent {
                found.push(member);
            }
        }
        Ok(found)
    }

    /// An account as it is shown, with the path to it.
    fn with_path(&self, own: &Own, member: &Member) -> Result<Account, Error> {
        let above = self.identities.above(&member.id).map_err(Error::internal)?;
        let path = above.map(|above| vec![format!("{}{}/", above.path, member.id)]);
        Ok(Account { paths: path, ..shown::account(own, member) })
    }
}

/// The oldest first.
fn by_age(member: &Member) -> String {
    format!("{:016}/{}", member.joined, member.id)
}
