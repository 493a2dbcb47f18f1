//! Which policies decide. A case names the caller, the policies by layer, and asks; AWS's documented examples
//! are told by their page.

// Helpers of tests may panic as tests may.
#![allow(clippy::panic, clippy::unwrap_used)]

use cloudlet_access::{
    Attached, ConditionContext, Layer, Policy, PolicyKind, PolicySet, PrincipalRef, Reason, Request,
    ResourcePolicy, ResourceText, ResourceTrust, evaluate, evaluate_trust, matching_statements,
};

const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";

fn bob() -> PrincipalRef {
    PrincipalRef::user(OWN, "/", "bob", "AIDABOB")
}

fn session() -> PrincipalRef {
    PrincipalRef::assumed_role(OWN, "/app/", "worker", "AROAWORKER", "s1")
}

fn federated() -> PrincipalRef {
    PrincipalRef::FederatedUser {
        arn: format!("arn:aws:sts::{OWN}:federated-user/ann"),
        issuer_arn: format!("arn:aws:iam::{OWN}:user/bob"),
        account: OWN.to_owned(),
        user_id: format!("{OWN}:ann"),
    }
}

fn parse(kind: PolicyKind, statements: &str) -> Policy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
    Policy::parse(&text, kind).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A case under construction: statements by layer, empty for none.
#[derive(Default)]
struct Case {
    identity: Vec<Policy>,
    boundary: Option<Policy>,
    session: Option<Vec<Policy>>,
    resource: Option<Policy>,
    owner: Option<&'static str>,
    required: bool,
    control: Vec<Policy>,
    context: ConditionContext,
}

impl Case {
    fn identity(mut self, statements: &str) -> Self {
        self.identity.push(parse(PolicyKind::Identity, statements));
        self
    }
    fn boundary(mut self, statements: &str) -> Self {
        self.boundary = Some(parse(PolicyKind::Boundary, statements));
        self
    }
    fn session(mut self, statements: &str) -> Self {
        self.session.get_or_insert_default().push(parse(PolicyKind::Session, statements));
        self
    }
    fn resource(mut self, statements: &str) -> Self {
        self.resource = Some(parse(PolicyKind::Resource, statements));
        self
    }
    fn control(mut self, statements: &str) -> Self {
        self.control.push(parse(PolicyKind::ServiceControl, statements));
        self
    }
    fn owner(mut self, account: &'static str) -> Self {
        self.owner = Some(account);
        self
    }
    fn required(mut self) -> Self {
        self.required = true;
        self
    }
    fn with(mut self, key: &'static str, value: &'static str) -> Self {
        self.context.set(key, value);
        self
    }

    /// `allowed`, `denied by LAYER` or `no LAYER allows`.
    fn ask(&self, caller: &PrincipalRef, action: &str, resource: &str) -> String {
        let attach = |policies: &'_ [Policy]| -> Vec<(Policy, String)> {
            policies.iter().enumerate().map(|(at, policy)| (policy.clone(), format!("p{at}"))).collect()
        };
        let (identity, control) = (attach(&self.identity), attach(&self.control));
        let session = self.session.as_deref().map(attach);
        fn refer(named: &[(Policy, String)]) -> Vec<Attached<'_>> {
            named.iter().map(|(policy, id)| Attached::new(policy, id)).collect()
        }
        let (identity, control, session) = (refer(&identity), refer(&control), session.as_deref().map(refer));
        let levels: Vec<&[Attached<'_>]> = control.chunks(1).collect();
        let mut context = self.context.clone();
        context.set_principal(caller);
        let set = PolicySet {
            identity: &identity,
            boundary: self.boundary.as_ref().map(|policy| Attached::new(policy, "boundary")),
            session: session.as_deref(),
            resource: ResourcePolicy {
                policy: self.resource.as_ref().map(|policy| Attached::new(policy, "resource")),
                account: self.owner.or(Some(OWN)),
                trust: if self.required { ResourceTrust::Required } else { ResourceTrust::Either },
            },
            service_control: &levels,
            ..PolicySet::default()
        };
        let decision = evaluate(&Request::new(action, resource, caller, &context), &set);
        assert_eq!(decision.allowed, matches!(decision.reason, Reason::Allowed(_) | Reason::AllowedRoot));
        match decision.reason {
            Reason::Allowed(_) | Reason::AllowedRoot => "allowed".to_owned(),
            Reason::ExplicitDeny(by) => format!("denied by {:?}", by.layer),
            Reason::ImplicitDeny { missing } => format!("no {missing:?} allows"),
        }
    }

    fn get(&self, caller: &PrincipalRef) -> String {
        self.ask(caller, "s3:GetObject", "arn:aws:s3:::b/k")
    }
}

fn case() -> Case {
    Case::default()
}

const ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
const SQS: &str = r#"{"Effect":"Allow","Action":"sqs:*","Resource":"*"}"#;
const DENY_GET: &str = r#"{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}"#;

fn grants(principal: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#
    )
}

fn refuses(principal: &str) -> String {
    format!(r#"{{"Effect":"Deny",{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#)
}

#[test]
fn identity_alone() {
    assert_eq!(case().get(&bob()), "no Identity allows");
    assert_eq!(case().identity(ALL).get(&bob()), "allowed");
    assert_eq!(case().identity(SQS).get(&bob()), "no Identity allows");
    assert_eq!(case().identity(SQS).identity(ALL).get(&bob()), "allowed");
    assert_eq!(case().identity(ALL).identity(DENY_GET).get(&bob()), "denied by Identity");
    // Actions ignore case; wildcards stand within service and name.
    let list =
        case().identity(r#"{"Effect":"Allow","Action":["S3:getOBJECT","ec2:Describe*s"],"Resource":"*"}"#);
    assert_eq!(list.get(&bob()), "allowed");
    assert_eq!(list.ask(&bob(), "ec2:DescribeInstances", "*"), "allowed");
    assert_eq!(list.ask(&bob(), "ec2:DescribeInstance", "*"), "no Identity allows");
    assert_eq!(list.ask(&bob(), "s3:GetObjectAcl", "arn:aws:s3:::b/k"), "no Identity allows");
    let not = case().identity(r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#);
    assert_eq!(not.get(&bob()), "allowed");
    assert_eq!(not.ask(&bob(), "iam:GetUser", "*"), "no Identity allows");
}

#[test]
fn not_resource() {
    // User Guide, "NotResource": everything but the payroll is denied.
    let payroll = case().identity(ALL).identity(
        r#"{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::HRBucket/Payroll","arn:aws:s3:::HRBucket/Payroll/*"]}"#,
    );
    assert_eq!(payroll.ask(&bob(), "s3:GetObject", "arn:aws:s3:::HRBucket/Payroll/may"), "allowed");
    assert_eq!(payroll.ask(&bob(), "s3:GetObject", "arn:aws:s3:::HRBucket/Other"), "denied by Identity");
    assert_eq!(payroll.ask(&bob(), "sqs:SendMessage", "arn:aws:sqs:r:1:q"), "allowed");
    // A variable without a value grants nothing and excepts nothing.
    let grant = case()
        .identity(r#"{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:nothing}"}"#);
    assert_eq!(grant.get(&bob()), "no Identity allows");
    let refuse = case()
        .identity(ALL)
        .identity(r#"{"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:nothing}"}"#);
    assert_eq!(refuse.get(&bob()), "denied by Identity");
}

#[test]
fn home_folders() {
    // User Guide, "Variables and tags": each user's own folder.
    let home = case().identity(
        r#"[{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":["arn:aws:s3:::mybucket"],
             "Condition":{"StringLike":{"s3:prefix":["${aws:username}/*"]}}},
            {"Action":["s3:GetObject","s3:PutObject"],"Effect":"Allow","Resource":["arn:aws:s3:::mybucket/${aws:username}/*"]}]"#,
    );
    assert_eq!(home.ask(&bob(), "s3:PutObject", "arn:aws:s3:::mybucket/bob/x"), "allowed");
    assert_eq!(home.ask(&bob(), "s3:PutObject", "arn:aws:s3:::mybucket/eve/x"), "no Identity allows");
    // A role's session has no user name.
    assert_eq!(home.ask(&session(), "s3:PutObject", "arn:aws:s3:::mybucket//x"), "no Identity allows");
    let home = home.with("s3:prefix", "bob/photos");
    assert_eq!(home.ask(&bob(), "s3:ListBucket", "arn:aws:s3:::mybucket"), "allowed");
    let home = home.with("S3:Prefix", "eve/photos");
    assert_eq!(home.ask(&bob(), "s3:ListBucket", "arn:aws:s3:::mybucket"), "no Identity allows");
}

#[test]
fn mfa_or_nothing() {
    // User Guide, "Allows MFA-authenticated IAM users to manage their own credentials".
    let mfa = case().identity(ALL).identity(
        r#"{"Sid":"DenyAllExceptListedIfNoMFA","Effect":"Deny","NotAction":["iam:EnableMFADevice","sts:GetSessionToken"],
            "Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}"#,
    );
    assert_eq!(mfa.get(&bob()), "denied by Identity");
    assert_eq!(mfa.ask(&bob(), "sts:GetSessionToken", "*"), "allowed");
    assert_eq!(mfa.with("aws:MultiFactorAuthPresent", "true").get(&bob()), "allowed");
}

#[test]
fn boundaries_and_sessions_intersect() {
    assert_eq!(case().identity(ALL).boundary(SQS).get(&bob()), "no Boundary allows");
    assert_eq!(case().identity(ALL).boundary(ALL).get(&bob()), "allowed");
    assert_eq!(case().boundary(ALL).get(&bob()), "no Identity allows");
    assert_eq!(case().identity(ALL).boundary(ALL).boundary(DENY_GET).get(&bob()), "denied by Boundary");
    assert_eq!(case().identity(ALL).session(SQS).get(&session()), "no Session allows");
    assert_eq!(case().identity(ALL).session(SQS).session(ALL).get(&session()), "allowed");
    assert_eq!(case().identity(ALL).session(ALL).session(DENY_GET).get(&session()), "denied by Session");
    assert_eq!(case().identity(SQS).session(ALL).get(&session()), "no Identity allows");
    assert_eq!(case().identity(ALL).boundary(SQS).session(ALL).get(&session()), "no Boundary allows");
    // A federated user has no permission without a session policy.
    assert_eq!(case().identity(ALL).get(&federated()), "no Session allows");
    assert_eq!(case().identity(ALL).session(ALL).get(&federated()), "allowed");
}

#[test]
fn resource_policy_in_the_same_account() {
    let user = r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;
    let role = r#"{"AWS":"arn:aws:iam::111122223333:role/app/worker"}"#;
    let assumed = r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/worker/s1"}"#;
    let ann = r#"{"AWS":"arn:aws:sts::111122223333:federated-user/ann"}"#;
    let root = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;
    let account = r#"{"AWS":"111122223333"}"#;

    // A user is granted directly, past boundary and session.
    assert_eq!(case().resource(&grants(user)).get(&bob()), "allowed");
    assert_eq!(case().resource(&grants(user)).boundary(SQS).get(&bob()), "allowed");
    assert_eq!(case().resource(&grants(user)).identity(DENY_GET).get(&bob()), "denied by Identity");
    // A role is granted, but its sessions stay limited.
    assert_eq!(case().resource(&grants(role)).get(&session()), "allowed");
    assert_eq!(case().resource(&grants(role)).boundary(SQS).get(&session()), "no Boundary allows");
    assert_eq!(case().resource(&grants(role)).session(SQS).get(&session()), "no Session allows");
    assert_eq!(case().resource(&grants("\"*\"")).session(SQS).get(&session()), "no Session allows");
    // A session is granted directly.
    assert_eq!(case().resource(&grants(assumed)).boundary(SQS).session(SQS).get(&session()), "allowed");
    assert_eq!(case().resource(&grants(ann)).session(SQS).get(&federated()), "allowed");
    assert_eq!(case().resource(&grants(user)).session(SQS).get(&federated()), "no Session allows");
    // The account only delegates.
    for delegating in [root, account] {
        assert_eq!(case().resource(&grants(delegating)).get(&bob()), "no Identity allows");
        assert_eq!(case().resource(&grants(delegating)).identity(ALL).get(&bob()), "allowed");
    }
    // Everyone.
    for everyone in ["\"*\"", r#"{"AWS":"*"}"#] {
        assert_eq!(case().resource(&grants(everyone)).get(&bob()), "allowed");
        assert_eq!(case().resource(&grants(everyone)).get(&PrincipalRef::Anonymous), "allowed");
        assert_eq!(
            case().resource(&grants(everyone)).get(&PrincipalRef::service("s3.amazonaws.com")),
            "allowed"
        );
    }
    // Unique ids stand for users and roles.
    assert_eq!(
        case().resource(&grants(r#"{"AWS":"AROAWORKERAAAAAAAAAAA"}"#)).get(&session()),
        "no Identity allows"
    );
    let by_id = PrincipalRef::assumed_role(OWN, "/", "w", "AROAWORKERAAAAAAAAAAA", "s");
    assert_eq!(case().resource(&grants(r#"{"AWS":"AROAWORKERAAAAAAAAAAA"}"#)).get(&by_id), "allowed");
    assert_eq!(
        case().resource(&refuses(&format!("\"Principal\":{account}"))).identity(ALL).get(&bob()),
        "denied by Resource"
    );
}

#[test]
fn resource_policy_across_accounts() {
    let user = r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;
    let account = r#"{"AWS":"111122223333"}"#;
    let foreign = || case().owner(OTHER);
    assert_eq!(foreign().identity(ALL).get(&bob()), "no Resource allows");
    assert_eq!(foreign().resource(&grants(user)).get(&bob()), "no Identity allows");
    assert_eq!(foreign().resource(&grants(user)).identity(ALL).get(&bob()), "allowed");
    assert_eq!(foreign().resource(&grants(account)).identity(ALL).get(&bob()), "allowed");
    assert_eq!(foreign().resource(&grants("\"*\"")).identity(ALL).get(&session()), "allowed");
    assert_eq!(foreign().resource(&grants("\"*\"")).get(&bob()), "no Identity allows");
    assert_eq!(
        foreign().resource(&grants(user)).identity(ALL).boundary(SQS).get(&bob()),
        "no Boundary allows"
    );
    assert_eq!(
        foreign().resource(&grants(account)).identity(ALL).session(SQS).get(&session()),
        "no Session allows"
    );
    // The owner's own root is another account's principal.
    assert_eq!(
        foreign().resource(&grants(r#"{"AWS":"444455556666"}"#)).identity(ALL).get(&bob()),
        "no Resource allows"
    );
    let root = PrincipalRef::root(OWN);
    assert_eq!(foreign().get(&root), "no Resource allows");
    assert_eq!(foreign().resource(&grants(account)).get(&root), "allowed");
}

#[test]
fn root_users() {
    let root = PrincipalRef::root(OWN);
    assert_eq!(case().get(&root), "allowed");
    assert_eq!(case().resource(&refuses("\"Principal\":\"*\"")).get(&root), "denied by Resource");
    assert_eq!(case().control(ALL).get(&root), "allowed");
    assert_eq!(case().session(SQS).get(&root), "no Session allows");
    assert_eq!(case().session(ALL).get(&root), "allowed");
    assert_eq!(case().control(SQS).get(&root), "no ServiceControl allows");
}

#[test]
fn service_control_levels() {
    // Every level must allow.
    assert_eq!(case().identity(ALL).control(ALL).control(ALL).get(&bob()), "allowed");
    assert_eq!(case().identity(ALL).control(ALL).control(SQS).get(&bob()), "no ServiceControl allows");
    assert_eq!(case().identity(ALL).control(DENY_GET).get(&bob()), "denied by ServiceControl");
    // They grant nothing.
    assert_eq!(case().control(ALL).get(&bob()), "no Identity allows");
    // They bind what resource policies grant directly.
    let user = r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;
    assert_eq!(case().resource(&grants(user)).control(SQS).get(&bob()), "no ServiceControl allows");
    // A deny is told before a missing allow.
    assert_eq!(case().identity(DENY_GET).control(SQS).get(&bob()), "denied by Identity");
}

#[test]
fn resource_control_and_endpoints() {
    let caller = bob();
    let context = ConditionContext::for_principal(&caller);
    let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &caller, &context);
    let all = parse(PolicyKind::Identity, ALL);
    let identity = [Attached::new(&all, "all")];
    let everything = r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#;
    let only_tls = format!(
        r#"[{everything},{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{{"BoolIfExists":{{"aws:SecureTransport":"false"}}}}}}]"#
    );
    for (kind, statements, expected) in [
        (PolicyKind::ResourceControl, everything, None),
        (PolicyKind::ResourceControl, only_tls.as_str(), Some(Layer::ResourceControl)),
        (PolicyKind::Resource, everything, None),
        (PolicyKind::Resource, only_tls.as_str(), Some(Layer::VpcEndpoint)),
    ] {
        let policy = parse(kind, statements);
        let attached = [Attached::new(&policy, "guard")];
        let level: [&[Attached<'_>]; 1] = [&attached];
        let mut set = PolicySet::identity(&identity);
        if kind == PolicyKind::ResourceControl {
            set.resource_control = &level;
        } else {
            set.vpc_endpoint = Some(attached[0]);
        }
        let denied_by = match evaluate(&request, &set).reason {
            Reason::ExplicitDeny(by) => Some(by.layer),
            Reason::ImplicitDeny { missing } => Some(missing),
            _ => None,
        };
        assert_eq!(denied_by, expected, "{statements}");
        let nowhere = PolicySet { identity: &[], ..set };
        assert!(!evaluate(&request, &nowhere).allowed, "a guard granted");
    }
    // An endpoint that lets through other callers only.
    let policy = parse(PolicyKind::Resource, &grants(r#"{"AWS":"444455556666"}"#));
    let set = PolicySet { vpc_endpoint: Some(Attached::new(&policy, "e")), ..PolicySet::identity(&identity) };
    assert_eq!(evaluate(&request, &set).reason, Reason::ImplicitDeny { missing: Layer::VpcEndpoint });
}

#[test]
fn services() {
    let lambda = PrincipalRef::service("lambda.amazonaws.com");
    let granted = grants(r#"{"Service":["events.amazonaws.com","lambda.amazonaws.com"]}"#);
    assert_eq!(case().get(&lambda), "no Resource allows");
    assert_eq!(case().identity(ALL).get(&lambda), "no Resource allows");
    assert_eq!(case().resource(&granted).get(&lambda), "allowed");
    assert_eq!(
        case().resource(&granted).get(&PrincipalRef::service("sns.amazonaws.com")),
        "no Resource allows"
    );
    assert_eq!(case().resource(&granted).get(&bob()), "no Identity allows");
    // The confused deputy: S3 may invoke, but only for this bucket.
    let invoke = case().resource(
        r#"{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",
            "Resource":"arn:aws:lambda:us-east-1:111122223333:function:f",
            "Condition":{"StringEquals":{"AWS:SourceAccount":"111122223333"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::photos"}}}"#,
    );
    let s3 = PrincipalRef::service("s3.amazonaws.com");
    let f = "arn:aws:lambda:us-east-1:111122223333:function:f";
    let invoke = invoke.with("aws:SourceAccount", OWN).with("aws:SourceArn", "arn:aws:s3:::photos");
    assert_eq!(invoke.ask(&s3, "lambda:InvokeFunction", f), "allowed");
    let invoke = invoke.with("aws:SourceArn", "arn:aws:s3:::others");
    assert_eq!(invoke.ask(&s3, "lambda:InvokeFunction", f), "no Resource allows");
}

#[test]
fn not_principal() {
    // User Guide, "NotPrincipal": all are denied but Bob, whose account must be listed with him.
    let all_but_bob = refuses(
        r#""NotPrincipal":{"AWS":["arn:aws:iam::111122223333:user/bob","arn:aws:iam::111122223333:root"]}"#,
    );
    let protected = || case().identity(ALL).resource(&all_but_bob);
    assert_eq!(protected().get(&bob()), "allowed");
    assert_eq!(protected().get(&PrincipalRef::root(OWN)), "allowed");
    assert_eq!(protected().get(&PrincipalRef::user(OWN, "/", "eve", "AIDAEVE")), "denied by Resource");
    assert_eq!(protected().get(&session()), "denied by Resource");
    assert_eq!(protected().get(&PrincipalRef::Anonymous), "denied by Resource");
    // A session must be listed with its role and its account.
    let all_but_session = refuses(
        r#""NotPrincipal":{"AWS":["arn:aws:sts::111122223333:assumed-role/worker/s1","arn:aws:iam::111122223333:role/app/worker","111122223333"]}"#,
    );
    assert_eq!(case().identity(ALL).resource(&all_but_session).get(&session()), "allowed");
    let role_only =
        refuses(r#""NotPrincipal":{"AWS":["arn:aws:iam::111122223333:role/app/worker","111122223333"]}"#);
    assert_eq!(case().identity(ALL).resource(&role_only).get(&session()), "denied by Resource");
}

#[test]
fn canonical_users() {
    let id = "0a".repeat(32);
    let policy = parse(PolicyKind::Resource, &grants(&format!(r#"{{"CanonicalUser":"{id}"}}"#)));
    let root = PrincipalRef::root(OWN);
    let context = ConditionContext::for_principal(&root);
    let mut request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &root, &context);
    let set = PolicySet::default().with_resource(Some(Attached::new(&policy, "bucket")), OTHER);
    assert!(!evaluate(&request, &set).allowed);
    request.canonical_user = Some(&id);
    assert!(evaluate(&request, &set).allowed);
}

#[test]
fn keys_need_their_policy() {
    let delegate = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;
    let user = r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;
    let key = || case().required();
    // KMS Developer Guide, "Key policies": without the account's statement IAM policies have no effect.
    assert_eq!(key().identity(ALL).get(&bob()), "no Resource allows");
    assert_eq!(
        key().identity(ALL).resource(&grants(r#"{"AWS":"999999999999"}"#)).get(&bob()),
        "no Resource allows"
    );
    assert_eq!(key().resource(&grants(delegate)).get(&bob()), "no Identity allows");
    assert_eq!(key().identity(ALL).resource(&grants(delegate)).get(&bob()), "allowed");
    assert_eq!(key().resource(&grants(user)).get(&bob()), "allowed");
    assert_eq!(key().resource(&grants(user)).get(&PrincipalRef::root(OWN)), "no Resource allows");
    assert_eq!(key().resource(&grants(delegate)).get(&PrincipalRef::root(OWN)), "allowed");
}

fn trusts(
    trust: &str,
    caller: &PrincipalRef,
    action: &str,
    identity: &str,
    external: Option<&'static str>,
) -> String {
    let trust = parse(PolicyKind::Trust, trust);
    let identity = parse(PolicyKind::Identity, identity);
    let attached = [Attached::new(&identity, "mine")];
    let mut context = ConditionContext::for_principal(caller);
    context.set_some("sts:ExternalId", external);
    let role = "arn:aws:iam::111122223333:role/target";
    let decision = evaluate_trust(
        &Request::new(action, role, caller, &context),
        Attached::new(&trust, role),
        &PolicySet::identity(&attached),
    );
    match decision.reason {
        Reason::Allowed(by) => format!("allowed by {:?}", by.layer),
        Reason::AllowedRoot => "allowed".to_owned(),
        Reason::ExplicitDeny(by) => format!("denied by {:?}", by.layer),
        Reason::ImplicitDeny { missing } => format!("no {missing:?} allows"),
    }
}

#[test]
fn assuming_roles() {
    let service =
        r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
    let user = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"sts:AssumeRole"}"#;
    let account = r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}"#;
    let assume = "sts:AssumeRole";
    let lambda = PrincipalRef::service("lambda.amazonaws.com");
    let stranger = PrincipalRef::user(OTHER, "/", "sam", "AIDASAM");
    assert_eq!(trusts(service, &lambda, assume, SQS, None), "allowed by Trust");
    assert_eq!(trusts(service, &bob(), assume, ALL, None), "no Trust allows");
    assert_eq!(trusts(user, &bob(), assume, SQS, None), "allowed by Trust");
    assert_eq!(trusts(account, &bob(), assume, SQS, None), "no Identity allows");
    assert_eq!(trusts(account, &bob(), assume, ALL, None), "allowed by Identity");
    assert_eq!(trusts(account, &bob(), "sts:TagSession", ALL, None), "no Trust allows");
    // Across accounts both sides, and here an external id.
    let partner = r#"{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"12345"}}}"#;
    assert_eq!(trusts(partner, &stranger, assume, ALL, Some("12345")), "allowed by Identity");
    assert_eq!(trusts(partner, &stranger, assume, SQS, Some("12345")), "no Identity allows");
    assert_eq!(trusts(partner, &stranger, assume, ALL, Some("1234")), "no Trust allows");
    assert_eq!(trusts(partner, &stranger, assume, ALL, None), "no Trust allows");
    // Tokens come in by their provider only.
    let oidc = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let bearer = PrincipalRef::WebIdentity { provider: oidc.to_owned() };
    let web = "sts:AssumeRoleWithWebIdentity";
    let federated = format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{oidc}"}},"Action":"sts:AssumeRoleWithWebIdentity"}}"#
    );
    assert_eq!(trusts(&federated, &bearer, web, SQS, None), "allowed by Trust");
    let everyone = r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*"}"#;
    assert_eq!(trusts(everyone, &bearer, web, SQS, None), "no Trust allows");
    let shut = format!(r#"[{federated},{{"Effect":"Deny","Principal":{{"AWS":"*"}},"Action":"sts:*"}}]"#);
    assert_eq!(trusts(&shut, &bearer, web, SQS, None), "denied by Trust");
}

#[test]
fn messages() {
    let all = parse(PolicyKind::Identity, ALL);
    let none = parse(PolicyKind::Identity, SQS);
    let deny = parse(PolicyKind::Identity, DENY_GET);
    let caller = bob();
    let context = ConditionContext::for_principal(&caller);
    let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &caller, &context);
    let head = "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: s3:GetObject";
    let say = |set: &PolicySet<'_>, resource| {
        evaluate(&request, set).denied_message(caller.arn(), request.action, resource)
    };

    let allow = [Attached::new(&all, "all")];
    let inline = [Attached::new(&all, "all"), Attached::new(&deny, "inline")];
    let managed = [Attached::new(&deny, "arn:aws:iam::111122223333:policy/deny")];
    let nothing = [Attached::new(&none, "none")];
    assert_eq!(
        say(&PolicySet::identity(&nothing), ResourceText::Quoted("arn:aws:s3:::b/k")),
        format!(
            "{head} on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:GetObject action"
        )
    );
    assert_eq!(
        say(&PolicySet::identity(&nothing), ResourceText::Omitted),
        format!("{head} because no identity-based policy allows the s3:GetObject action")
    );
    assert_eq!(
        say(&PolicySet::identity(&inline), "arn:aws:s3:::b/k".into()),
        format!("{head} on resource: arn:aws:s3:::b/k with an explicit deny in an identity-based policy")
    );
    assert_eq!(
        say(&PolicySet::identity(&managed), ResourceText::Omitted),
        format!(
            "{head} with an explicit deny in an identity-based policy: arn:aws:iam::111122223333:policy/deny"
        )
    );
    let boundary = PolicySet::identity(&allow).with_boundary(Some(nothing[0]));
    assert_eq!(
        say(&boundary, ResourceText::Omitted),
        format!("{head} because no permissions boundary allows the s3:GetObject action")
    );
    let level: [&[Attached<'_>]; 1] = [&nothing];
    let control = PolicySet { service_control: &level, ..PolicySet::identity(&allow) };
    assert_eq!(
        say(&control, ResourceText::Omitted),
        format!("{head} because no service control policy allows the s3:GetObject action")
    );
    let foreign = PolicySet::identity(&allow).with_resource(None, OTHER);
    assert_eq!(
        say(&foreign, ResourceText::Omitted),
        format!("{head} because no resource-based policy allows the s3:GetObject action")
    );
    let decision = evaluate(&request, &foreign);
    assert_eq!(
        decision.denied_message_short(caller.arn(), request.action, "arn:aws:s3:::b/k"),
        format!("{head} on resource: arn:aws:s3:::b/k")
    );
    assert_eq!(decision.simulator_decision(), "implicitDeny");
    assert_eq!(Layer::Trust.name(), "role trust policy");
}

#[test]
fn deciding_statement_is_named() {
    let policy = parse(
        PolicyKind::Identity,
        r#"[{"Sid":"Queues","Effect":"Allow","Action":"sqs:*","Resource":"*"},{"Sid":"Objects","Effect":"Allow","Action":"s3:*","Resource":"*"}]"#,
    );
    let caller = bob();
    let context = ConditionContext::for_principal(&caller);
    let attached = [Attached::new(&policy, "inline")];
    let set = PolicySet::identity(&attached);
    let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &caller, &context);
    let Reason::Allowed(by) = evaluate(&request, &set).reason else { panic!() };
    assert_eq!((by.policy, by.sid, by.index, by.layer), ("inline", Some("Objects"), 1, Layer::Identity));
    assert!(policy.text()[by.span.0..by.span.1].starts_with(r#"{"Sid":"Objects""#));
    assert_eq!(matching_statements(&request, &set), [by]);
}
