//! Records as the API shows them.

use crate::state::{Action, Creation, Invitation, Member, Target};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{
    Organization as Own, OrganizationPolicy, SERVICE_CONTROL, Unit, policy_arn,
};
use cloudlet_identity::records::Tag as OwnTag;

pub(crate) fn date(millis: i64) -> Option<DateTime> {
    Some(DateTime::from_secs_and_nanos(
        millis.div_euclid(1000),
        u32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    ))
}

pub(crate) fn arn(own: &Own, kind: &str, id: &str) -> String {
    format!("arn:aws:organizations::{}:{kind}/{}/{id}", own.management, own.id)
}

pub(crate) fn organization(own: &Own, email: &str) -> Organization {
    let scps =
        PolicyTypeSummary { r#type: Some(SERVICE_CONTROL.to_owned()), status: Some("ENABLED".to_owned()) };
    Organization {
        id: Some(own.id.clone()),
        arn: Some(format!("arn:aws:organizations::{}:organization/{}", own.management, own.id)),
        feature_set: Some(own.features.clone()),
        master_account_arn: Some(arn(own, "account", &own.management)),
        master_account_id: Some(own.management.clone()),
        master_account_email: Some(email.to_owned()),
        // Deprecated: it says so whatever is on.
        available_policy_types: Some(if own.features == "ALL" { vec![scps] } else { Vec::new() }),
    }
}

pub(crate) fn root(own: &Own) -> Root {
    let types = own
        .policy_types
        .iter()
        .map(|kind| PolicyTypeSummary { r#type: Some(kind.clone()), status: Some("ENABLED".to_owned()) });
    Root {
        id: Some(own.root.clone()),
        arn: Some(arn(own, "root", &own.root)),
        name: Some("Root".to_owned()),
        policy_types: Some(types.collect()),
    }
}

pub(crate) fn account(own: &Own, member: &Member) -> Account {
    Account {
        id: Some(member.id.clone()),
        arn: Some(arn(own, "account", &member.id)),
        email: Some(member.email.clone()),
        name: Some(member.name.clone()),
        status: Some(member.status.clone()),
        state: Some(member.status.clone()),
        joined_method: Some(if member.invited { "INVITED" } else { "CREATED" }.to_owned()),
        joined_timestamp: date(member.joined),
        ..Default::default()
    }
}

pub(crate) fn unit(own: &Own, unit: &Unit) -> OrganizationalUnit {
    OrganizationalUnit {
        id: Some(unit.id.clone()),
        arn: Some(arn(own, "ou", &unit.id)),
        name: Some(unit.name.clone()),
        ..Default::default()
    }
}

pub(crate) fn creation(creation: &Creation) -> CreateAccountStatus {
    let state = if creation.failure.is_some() { "FAILED" } else { "SUCCEEDED" };
    CreateAccountStatus {
        id: Some(creation.id.clone()),
        account_name: Some(creation.name.clone()),
        state: Some(state.to_owned()),
        requested_timestamp: date(creation.at),
        completed_timestamp: date(creation.at),
        account_id: creation.account.clone(),
        failure_reason: creation.failure.clone(),
        ..Default::default()
    }
}

pub(crate) fn summary(own: &Own, policy: &OrganizationPolicy) -> PolicySummary {
    PolicySummary {
        id: Some(policy.id.clone()),
        arn: Some(policy_arn(own, policy)),
        name: Some(policy.name.clone()),
        description: Some(policy.description.clone()),
        r#type: Some(policy.kind.clone()),
        aws_managed: Some(policy.aws_managed),
    }
}

pub(crate) fn policy(own: &Own, policy: &OrganizationPolicy) -> Policy {
    Policy { policy_summary: Some(summary(own, policy)), content: Some(policy.content.clone()) }
}

pub(crate) fn target(own: &Own, id: &str, target: &Target) -> PolicyTargetSummary {
    let (kind, name, what) = match target {
        Target::Root => ("root", "Root".to_owned(), "ROOT"),
        Target::Unit(unit) => ("ou", unit.name.clone(), "ORGANIZATIONAL_UNIT"),
        Target::Account(member) => ("account", member.name.clone(), "ACCOUNT"),
    };
    PolicyTargetSummary {
        target_id: Some(id.to_owned()),
        arn: Some(arn(own, kind, id)),
        name: Some(name),
        r#type: Some(what.to_owned()),
    }
}

/// How long an invitation stands, in milliseconds: fifteen days.
const STANDS: i64 = 15 * 86_400_000;

pub(crate) fn handshake(invitation: &Invitation, now: i64) -> Handshake {
    let resource = |kind: &str, value: &str| HandshakeResource {
        r#type: Some(kind.to_owned()),
        value: Some(value.to_owned()),
        ..Default::default()
    };
    // Whom it went to: by the address where that was asked, by the account else.
    let (kind, whom) = match &invitation.email {
        Some(email) => ("EMAIL", email),
        None => ("ACCOUNT", &invitation.account),
    };
    let mut resources = vec![resource("ORGANIZATION", &invitation.organization), resource(kind, whom)];
    resources.extend(invitation.notes.as_deref().map(|notes| resource("NOTES", notes)));
    let party = |id: &str, kind: &str| HandshakeParty {
        id: id.to_owned(),
        r#type: kind.to_owned(),
        ..Default::default()
    };
    Handshake {
        id: Some(invitation.id.clone()),
        arn: Some(format!(
            "arn:aws:organizations::{}:handshake/{}/{}/{}",
            invitation.management,
            invitation.organization,
            invitation.action.names().1,
            invitation.id
        )),
        parties: Some(vec![
            party(invitation.organization.trim_start_matches("o-"), "ORGANIZATION"),
            party(whom, kind),
        ]),
        state: Some(state(invitation, now).to_owned()),
        requested_timestamp: date(invitation.at),
        expiration_timestamp: date(
            invitation.at + if invitation.action == Action::Invite { STANDS } else { 6 * STANDS },
        ),
        action: Some(invitation.action.names().0.to_owned()),
        resources: Some(resources),
    }
}

/// The state of an invitation, which time may end.
pub(crate) fn state(invitation: &Invitation, now: i64) -> &str {
    // Those who agree to all features have longer.
    let stands = if invitation.action == Action::Invite { STANDS } else { 6 * STANDS };
    if matches!(invitation.state.as_str(), "OPEN" | "REQUESTED") && invitation.at + stands <= now {
        "EXPIRED"
    } else {
        &invitation.state
    }
}

pub(crate) fn tags(tags: &[OwnTag]) -> Vec<Tag> {
    tags.iter().map(|t| Tag { key: t.key.clone(), value: t.value.clone(), ..Default::default() }).collect()
}
