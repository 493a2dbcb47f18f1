//! A look that tells most statements off before they are read.
//!
//! A policy's statements lie all over memory, and a decision reads hundreds of them to find that they are about something
//! else. Beside them each policy keeps one gate per statement, in a row: which services, how the action's name must begin,
//! how the resource must end. A statement behind a closed gate cannot match; one behind an open gate may.

use crate::arn::ArnPattern;
use crate::statement::{ActionName, Statement};

/// The first eight bytes of a text, the first in the highest place; zeros after its end.
fn head(text: &[u8]) -> u64 {
    text.iter().take(8).zip(0..).fold(0, |word, (byte, at)| word | u64::from(*byte) << (56 - 8 * at))
}

/// The last eight bytes of a text, the last in the lowest place; zeros before its beginning.
fn tail(text: &[u8]) -> u64 {
    text.iter().skip(text.len().saturating_sub(8)).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Bytes that must stand somewhere: a word and which of its bits count.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    word: u64,
    mask: u64,
}

impl Wanted {
    fn beginning(literal: &[u8]) -> Self {
        let mask = u64::MAX.checked_shl(64 - 8 * literal.len().min(8) as u32).unwrap_or(0);
        Self { word: head(literal) & mask, mask }
    }

    fn end(literal: &[u8]) -> Self {
        let mask = u64::MAX.checked_shr(64 - 8 * literal.len().min(8) as u32).unwrap_or(0);
        Self { word: tail(literal) & mask, mask }
    }

    fn admits(self, word: u64) -> bool {
        (word ^ self.word) & self.mask == 0
    }
}

/// A statement's gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    services: u64,
    action: Wanted,
    resource: Wanted,
}

/// What a request shows at every gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    service: u64,
    action: u64,
    resource: u64,
}

impl Shown {
    pub(crate) fn new(action: &ActionName<'_>, resource: &str) -> Self {
        Self {
            service: action.bit,
            action: head(action.name.as_bytes()),
            resource: tail(resource.as_bytes()),
        }
    }
}

impl Gate {
    pub(crate) fn of(statement: &Statement, variables: bool) -> Self {
        let action = match (&*statement.source.actions, statement.is_not_action()) {
            ([one], false) => action_beginning(one),
            _ => Wanted::default(),
        };
        let resource = match (&*statement.source.resources, &statement.resources) {
            ([one], Some(set)) if !set.negated => resource_end(one, variables),
            _ => Wanted::default(),
        };
        Self { services: statement.actions.mask, action, resource }
    }

    pub(crate) fn admits(&self, shown: &Shown) -> bool {
        self.services & shown.service != 0
            && self.action.admits(shown.action)
            && self.resource.admits(shown.resource)
    }
}

/// How the name of an action must begin, in lower case: what stands between the colon and the first wildcard.
fn action_beginning(action: &str) -> Wanted {
    match action.split_once(':') {
        Some((service, name)) if !service.contains(['*', '?']) => {
            let literal = name.split(['*', '?']).next().unwrap_or_default();
            Wanted::beginning(literal.to_ascii_lowercase().as_bytes())
        }
        _ => Wanted::default(),
    }
}

/// How a resource must end: what stands after the last wildcard or variable.
fn resource_end(resource: &str, variables: bool) -> Wanted {
    match ArnPattern::new(resource, variables) {
        // What is completed may go on after its own text.
        ArnPattern::Any | ArnPattern::Prefix(_) | ArnPattern::Short(_) => Wanted::default(),
        ArnPattern::Exact(_) | ArnPattern::Parts(_) | ArnPattern::Text(_) => {
            let literal = resource.rsplit(['*', '?', '}']).next().unwrap_or_default();
            Wanted::end(literal.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert!(Wanted::beginning(b"get").admits(head(b"getitem")));
        assert!(Wanted::beginning(b"getitem").admits(head(b"getitem")));
        assert!(!Wanted::beginning(b"getitem").admits(head(b"get")));
        assert!(Wanted::beginning(b"batchgetitem").admits(head(b"batchgetmore")));
        assert!(Wanted::beginning(b"").admits(head(b"x")));
        assert!(Wanted::end(b"orders").admits(tail(b"table/orders")));
        assert!(!Wanted::end(b"orders").admits(tail(b"table/order")));
        assert!(!Wanted::end(b"orders").admits(tail(b"ers")));
        assert!(Wanted::end(b"").admits(tail(b"")));
        assert!(Wanted::end(b"arn:aws:s3:::bucket").admits(tail(b"arn:aws:s3:::bucket")));
    }
}
