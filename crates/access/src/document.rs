//! A whole policy document: parsed once, shared cheaply.

use std::sync::Arc;

use crate::condition::Condition;
use crate::error::PolicyError;
use crate::gate::{Gate, Shown};
use crate::grammar::{self, Draft};
use crate::principal::{PrincipalClause, PrincipalPattern};
use crate::statement::{ActionSet, Effect, ResourceSet, Source, Statement, WrittenCondition};

/// Longer documents are refused unread. Every AWS quota on policies is far below.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// Where a policy stands decides its grammar and the words for what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyKind {
    /// Attached to a user, group or role: managed policies.
    Identity,
    /// Written into a user, group or role. As `Identity`, but the old version of the language will do, also unsaid:
    /// such policies are older than managed ones.
    Inline,
    /// A permissions boundary. As `Identity`.
    Boundary,
    /// Passed to STS for one session. As `Identity`.
    Session,
    /// A service control policy of an organization. As `Identity`.
    ServiceControl,
    /// A resource control policy of an organization: `Principal` is `"*"`.
    ResourceControl,
    /// Attached to a resource, and naming it: bucket, queue, topic, key, secret, VPC endpoint.
    Resource,
    /// Attached to a resource that its statements need not name, such as a container repository.
    ResourceImplied,
    /// The trust policy of a role.
    Trust,
}

impl PolicyKind {
    /// True for the kinds that name whom they are about.
    pub fn has_principal(self) -> bool {
        matches!(
            self,
            PolicyKind::Resource
                | PolicyKind::ResourceImplied
                | PolicyKind::Trust
                | PolicyKind::ResourceControl
        )
    }
}

/// A parsed and compiled policy document. Clones share it.
#[derive(Clone)]
pub struct Policy(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    kind: PolicyKind,
    version: Version,
    id: Option<Box<str>>,
    /// The services that some statement can match, as bits.
    mask: u64,
    statements: Box<[Statement]>,
    /// One for each statement.
    gates: Box<[Gate]>,
}

/// The versions of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2008-10-17`: no policy variables.
    V2008,
    /// `2012-10-17`
    V2012,
}

impl Policy {
    /// Parses and compiles a document.
    ///
    /// Errors: [`PolicyError`] with AWS's message. Total: any text is either a policy or an error, in time
    /// linear in its length.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Policy, PolicyError> {
        let draft = grammar::check(text, kind)?;
        let variables = draft.version == Version::V2012;
        let statements: Box<[Statement]> =
            draft.statements.into_iter().map(|statement| compile(statement, variables)).collect();
        let mask = statements.iter().fold(0, |mask, statement| mask | statement.actions.mask);
        Ok(Policy(Arc::new(Compiled {
            text: text.into(),
            kind,
            version: draft.version,
            id: draft.id.map(Into::into),
            mask,
            gates: statements.iter().map(|statement| Gate::of(statement, variables)).collect(),
            statements,
        })))
    }

    /// The document as it was given.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The kind it was parsed as.
    pub fn kind(&self) -> PolicyKind {
        self.0.kind
    }

    /// `Version`: `2012-10-17`, or `2008-10-17`, which is also the default.
    pub fn version(&self) -> &'static str {
        match self.0.version {
            Version::V2008 => "2008-10-17",
            Version::V2012 => "2012-10-17",
        }
    }

    /// `Id`, if the document has one.
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// The statements in order.
    pub fn statements(&self) -> &[Statement] {
        &self.0.statements
    }

    /// Whether any statement can match an action of the service with this bit.
    pub(crate) fn concerns(&self, service_bit: u64) -> bool {
        self.0.mask & service_bit != 0
    }

    /// The statements that may match a request, with their places.
    pub(crate) fn candidates<'a>(&'a self, shown: &Shown) -> impl Iterator<Item = (usize, &'a Statement)> {
        let gates = self.0.gates.iter().zip(&self.0.statements).enumerate();
        gates.filter(|(_, (gate, _))| gate.admits(shown)).map(|(index, (_, statement))| (index, statement))
    }

    /// The size IAM holds against its quotas: characters that are not white space.
    pub fn minified_len(&self) -> usize {
        self.0.text.chars().filter(|c| !c.is_whitespace()).count()
    }

    /// The condition keys and policy variables the document asks for, each once, in order of appearance, as
    /// GetContextKeysForCustomPolicy lists them.
    pub fn context_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut add = |key: &str| {
            if seen.insert(key.to_ascii_lowercase()) {
                keys.push(key.to_owned());
            }
        };
        let variables = self.0.version == Version::V2012;
        for statement in self.statements() {
            let source = &statement.source;
            for condition in &source.conditions {
                add(&condition.key);
            }
            let values = source.conditions.iter().flat_map(|condition| condition.values.iter());
            for text in source.resources.iter().chain(values) {
                for part in crate::pattern::read(text, true, variables) {
                    if let crate::pattern::Part::Variable { key, .. } = part {
                        add(&key);
                    }
                }
            }
        }
        keys
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("kind", &self.0.kind).field("text", &self.0.text).finish()
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.kind == other.0.kind && self.0.text == other.0.text)
    }
}

impl Eq for Policy {}

fn compile(draft: Draft, variables: bool) -> Statement {
    let principal = draft.principal.as_ref().map(|(negated, entries)| PrincipalClause {
        negated: *negated,
        entries: entries.iter().map(|(kind, value)| PrincipalPattern::new(*kind, value)).collect(),
    });
    let (not_action, actions) = draft.actions;
    let resources = draft
        .resources
        .as_ref()
        .map(|(negated, values)| ResourceSet::new(values.iter().map(String::as_str), *negated, variables));
    let conditions = draft
        .conditions
        .iter()
        .map(|written| Condition::new(written.operator, &written.key, &written.values, variables))
        .collect();
    Statement {
        sid: draft.sid.filter(|sid| !sid.is_empty()).map(Into::into),
        effect: if draft.allow { Effect::Allow } else { Effect::Deny },
        principal,
        actions: ActionSet::new(actions.iter().map(String::as_str), not_action),
        resources,
        conditions,
        source: Source {
            actions: boxed(actions),
            resources: boxed(draft.resources.map(|(_, values)| values).unwrap_or_default()),
            principals: draft
                .principal
                .map(|(_, entries)| entries)
                .unwrap_or_default()
                .into_iter()
                .map(|(kind, value)| (kind, value.into()))
                .collect(),
            conditions: draft
                .conditions
                .into_iter()
                .map(|written| WrittenCondition {
                    operator: written.name.into(),
                    key: written.key.into(),
                    values: boxed(written.values),
                })
                .collect(),
            span: draft.span,
        },
    }
}

fn boxed(texts: Vec<String>) -> Box<[Box<str>]> {
    texts.into_iter().map(Into::into).collect()
}
