//! One statement, compiled for matching.

use std::borrow::Cow;

use crate::arn::{Arn, ArnPattern};
use crate::condition::Condition;
use crate::context::{ConditionContext, name_hash};
use crate::pattern::Glob;
use crate::principal::{PrincipalClause, PrincipalKind};

/// What a statement does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Grants.
    Allow,
    /// Refuses, whatever else grants.
    Deny,
}

/// One statement of a policy.
#[derive(Debug)]
pub struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) principal: Option<PrincipalClause>,
    pub(crate) actions: ActionSet,
    /// Absent in trust policies.
    pub(crate) resources: Option<ResourceSet>,
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) source: Source,
}

/// The statement as it was written, for those who show or check it further.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) actions: Box<[Box<str>]>,
    pub(crate) resources: Box<[Box<str>]>,
    pub(crate) principals: Box<[(PrincipalKind, Box<str>)]>,
    pub(crate) conditions: Box<[WrittenCondition]>,
    pub(crate) span: (usize, usize),
}

/// One condition as written: operator, key, values.
#[derive(Debug)]
pub(crate) struct WrittenCondition {
    pub(crate) operator: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

impl Statement {
    /// `Sid`, if it has one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// `Effect`.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The values of `Action` or `NotAction`, as written; which of the two, see [`Self::is_not_action`].
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.source.actions.iter().map(|text| &**text)
    }

    /// True if the actions stand under `NotAction`.
    pub fn is_not_action(&self) -> bool {
        self.actions.negated
    }

    /// The values of `Resource` or `NotResource`, as written; none in a trust policy.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.source.resources.iter().map(|text| &**text)
    }

    /// True if the resources stand under `NotResource`.
    pub fn is_not_resource(&self) -> bool {
        self.resources.as_ref().is_some_and(|resources| resources.negated)
    }

    /// The values of `Principal` or `NotPrincipal`, as written, each with its kind.
    pub fn principals(&self) -> impl Iterator<Item = (PrincipalKind, &str)> {
        self.source.principals.iter().map(|(kind, text)| (*kind, &**text))
    }

    /// True if the principals stand under `NotPrincipal`.
    pub fn is_not_principal(&self) -> bool {
        self.principal.as_ref().is_some_and(|principal| principal.negated)
    }

    /// The conditions as written: operator, key, values.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str, impl Iterator<Item = &str>)> {
        self.source
            .conditions
            .iter()
            .map(|written| (&*written.operator, &*written.key, written.values.iter().map(|value| &**value)))
    }

    /// Byte range of the statement in the policy's text.
    pub fn span(&self) -> (usize, usize) {
        self.source.span
    }

    /// Whether the statement speaks of this action on this resource under these conditions, principals aside.
    pub(crate) fn applies(
        &self,
        action: &ActionName<'_>,
        resource: &Arn<'_>,
        context: &ConditionContext,
    ) -> bool {
        self.actions.matches(action)
            && self.resources.as_ref().is_none_or(|set| set.matches(resource, context, self.effect))
            && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

/// An action in lower case, cut at its colon.
#[derive(Debug)]
pub(crate) struct ActionName<'a> {
    service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) bit: u64,
}

/// A service's bit in the masks of [`ActionSet`]; several services share one.
fn service_bit(service: &str) -> u64 {
    1 << (name_hash(service) % 64)
}

impl<'a> ActionName<'a> {
    /// `lower` is `service:name` in lower case.
    pub(crate) fn new(lower: &'a str) -> Self {
        let (service, name) = lower.split_once(':').unwrap_or(("", lower));
        Self { service, name, bit: service_bit(service) }
    }
}

/// A service and the names of its actions.
type ServiceActions = (Box<str>, Box<[Glob]>);

/// Actions are looked up by service first, so that a policy naming thousands stays quick.
#[derive(Debug)]
pub(crate) struct ActionSet {
    pub(crate) negated: bool,
    any: bool,
    /// The bits of the services that can match: one look tells most statements off.
    pub(crate) mask: u64,
    /// Ascending by service.
    services: Box<[ServiceActions]>,
    /// Those whose service itself has a wildcard.
    wild: Box<[(Glob, Glob)]>,
}

impl ActionSet {
    pub(crate) fn new<'t>(actions: impl Iterator<Item = &'t str>, negated: bool) -> Self {
        let mut any = false;
        let mut services = std::collections::BTreeMap::<Box<str>, Vec<Glob>>::new();
        let mut wild = Vec::new();
        for action in actions {
            let lower = action.to_ascii_lowercase();
            match lower.split_once(':') {
                _ if lower == "*" => any = true,
                Some((service, name)) if service.contains(['*', '?']) => {
                    wild.push((Glob::new(service), Glob::new(name)));
                }
                Some((service, name)) => services.entry(service.into()).or_default().push(Glob::new(name)),
                // Without a colon it may still span one: `s*` names every action of every service in s.
                None => wild.push((Glob::Any, Glob::new(&lower))),
            }
        }
        let open = any || negated || !wild.is_empty();
        Self {
            negated,
            any,
            mask: if open {
                u64::MAX
            } else {
                services.keys().fold(0, |mask, service| mask | service_bit(service))
            },
            services: services.into_iter().map(|(service, globs)| (service, globs.into())).collect(),
            wild: wild.into(),
        }
    }

    fn matches(&self, action: &ActionName<'_>) -> bool {
        self.mask & action.bit != 0 && self.lists(action) != self.negated
    }

    fn lists(&self, action: &ActionName<'_>) -> bool {
        if self.any {
            return true;
        }
        let found = match &*self.services {
            [] => None,
            [(service, globs)] => (**service == *action.service).then_some(globs),
            services => services
                .binary_search_by(|(service, _)| (**service).cmp(action.service))
                .ok()
                .map(|index| &services[index].1),
        };
        found.is_some_and(|globs| globs.iter().any(|glob| glob.matches(action.name)))
            || self
                .wild
                .iter()
                .any(|(service, name)| service.matches(action.service) && name.matches(action.name))
    }
}

/// `Resource` or `NotResource`, compiled.
#[derive(Debug)]
pub(crate) struct ResourceSet {
    pub(crate) negated: bool,
    patterns: Box<[ArnPattern]>,
}

impl ResourceSet {
    pub(crate) fn new<'t>(resources: impl Iterator<Item = &'t str>, negated: bool, variables: bool) -> Self {
        Self { negated, patterns: resources.map(|text| ArnPattern::new(text, variables)).collect() }
    }

    fn matches(&self, resource: &Arn<'_>, context: &ConditionContext, effect: Effect) -> bool {
        if !self.negated {
            return self.patterns.iter().any(|pattern| pattern.matches(resource, context) == Some(true));
        }
        // A variable without a value leaves open what is excepted. A grant then grants nothing; a refusal
        // excepts nothing.
        let unknown = match effect {
            Effect::Allow => true,
            Effect::Deny => false,
        };
        !self.patterns.iter().any(|pattern| pattern.matches(resource, context).unwrap_or(unknown))
    }
}

/// `text` in lower case: borrowed if it is already, else in `buffer` if it fits.
pub(crate) fn lower_case<'a>(text: &'a str, buffer: &'a mut [u8; 128]) -> Cow<'a, str> {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let Some(space) = buffer.get_mut(..text.len()) else { return Cow::Owned(text.to_ascii_lowercase()) };
    space.copy_from_slice(text.as_bytes());
    space.make_ascii_lowercase();
    match std::str::from_utf8(space) {
        Ok(lower) => Cow::Borrowed(lower),
        Err(_) => Cow::Owned(text.to_ascii_lowercase()),
    }
}
