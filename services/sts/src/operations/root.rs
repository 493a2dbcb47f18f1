//! `AssumeRoot`: short sessions of member accounts' root users, each for one task.
//!
//! Source: IAM User Guide, "Perform a privileged task on an AWS Organizations member account".

use crate::{Sts, errors, request};
use cloudlet_api_sts::*;
use cloudlet_identity::organization::{Membership, Organization};
use cloudlet_identity::{Holder, NewSession};
use cloudlet_service::{Arn, Context, Principal};
use cloudlet_store::Key;

/// IAM's service principal, as Organizations knows it.
const IAM: &str = "iam.amazonaws.com";
/// The longest session, and the default, in seconds.
const LONGEST: i64 = 900;

/// The tasks: the name of the policy, the feature that must be on, what the session may do.
const TASKS: &[(&str, &str, &[&str])] = &[
    (
        "IAMAuditRootUserCredentials",
        "RootCredentialsManagement",
        &[
            "iam:GetUser",
            "iam:GetLoginProfile",
            "iam:ListAccessKeys",
            "iam:ListSigningCertificates",
            "iam:ListMFADevices",
            "iam:GetAccessKeyLastUsed",
            "iam:GetAccountSummary",
        ],
    ),
    (
        "IAMCreateRootUserPassword",
        "RootCredentialsManagement",
        &["iam:CreateLoginProfile", "iam:GetLoginProfile"],
    ),
    (
        "IAMDeleteRootUserCredentials",
        "RootCredentialsManagement",
        &[
            "iam:DeleteAccessKey",
            "iam:DeleteSigningCertificate",
            "iam:DeleteLoginProfile",
            "iam:DeactivateMFADevice",
            "iam:DeleteVirtualMFADevice",
            "iam:GetUser",
            "iam:GetLoginProfile",
            "iam:ListAccessKeys",
            "iam:ListSigningCertificates",
            "iam:ListMFADevices",
            "iam:GetAccessKeyLastUsed",
            "iam:GetAccountSummary",
        ],
    ),
    (
        "S3UnlockBucketPolicy",
        "RootSessions",
        &["s3:DeleteBucketPolicy", "s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:ListAllMyBuckets"],
    ),
    (
        "SQSUnlockQueuePolicy",
        "RootSessions",
        &["sqs:SetQueueAttributes", "sqs:GetQueueAttributes", "sqs:ListQueues", "sqs:GetQueueUrl"],
    ),
];

impl Sts {
    /// Credentials of a member account's root user for one task. Only the management account of the organization and
    /// IAM's delegated administrators get any.
    ///
    /// Errors: `AccessDenied`, `ValidationError`.
    pub async fn assume_root(&self, cx: &Context, input: AssumeRootInput) -> Result<AssumeRootOutput, Error> {
        let target = target(&input.target_principal)?;
        let named = input.task_policy_arn.arn.as_deref().unwrap_or_default();
        let task = named.strip_prefix("arn:aws:iam::aws:policy/root-task/");
        let (_, feature, actions) = task
            .and_then(|task| TASKS.iter().find(|(name, _, _)| *name == task))
            .ok_or_else(|| errors::validation(format!("{named} is not a valid task policy.")))?;
        let seconds = input.duration_seconds.map_or(LONGEST, i64::from);
        if !(0..=LONGEST).contains(&seconds) {
            return Err(errors::validation(format!(
                "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to {LONGEST}"
            )));
        }
        let refused = || {
            errors::denied(format!(
                "User: {} is not authorized to perform: sts:AssumeRoot on resource: arn:aws:iam::{target}:root",
                cx.principal.arn()
            ))
        };
        if matches!(cx.principal, Principal::Anonymous | Principal::Service { .. }) {
            return Err(refused());
        }
        let own = self.organization_of(&cx.account)?.ok_or_else(refused)?;
        let delegated =
            own.delegated.iter().any(|(account, service, _)| **account == *cx.account && service == IAM);
        let administers = *own.management == *cx.account || delegated;
        let member = self.organization_of(&target)?.is_some_and(|theirs| theirs.id == own.id);
        let on = own.trusted.contains_key(IAM) && own.root_features.iter().any(|known| known == feature);
        if !administers || !member || target == own.management || !on {
            return Err(refused());
        }
        self.check_region(cx, &target)?;
        let source_identity =
            self.identities.caller(cx).claims.as_ref().and_then(|claims| claims.source_identity.clone());
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
        });
        let credentials = self.identities.mint(NewSession {
            policies: vec![policy.to_string()],
            source_identity: source_identity.clone(),
            task: true,
            ..NewSession::new(&target, Holder::Root, seconds)
        })?;
        Ok(AssumeRootOutput {
            credentials: Some(request::shown(credentials)),
            source_identity,
            ..Default::default()
        })
    }

    /// The organization that an account is in.
    pub(super) fn organization_of(&self, account: &str) -> Result<Option<Organization>, Error> {
        let store = self.identities.store();
        let member = store.table::<Membership>().get(&Key::new().text(account)).map_err(Error::internal)?;
        match member {
            Some(member) => store
                .table::<Organization>()
                .get(&Key::new().text(&member.organization))
                .map_err(Error::internal),
            None => Ok(None),
        }
    }
}

/// The account that is meant: by its number, or by the ARN of its root user.
pub(crate) fn target(given: &str) -> Result<String, Error> {
    let number = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_arn = Arn::parse(given).filter(|arn| arn.service == "iam" && arn.resource == "root");
    match of_arn.map_or(given, |arn| arn.account) {
        account if number(account) => Ok(account.to_owned()),
        _ => Err(errors::validation(format!("{given} is invalid"))),
    }
}
