//! The latest refusals, kept so that somebody can ask why.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many refusals are remembered.
const REMEMBERED: usize = 1024;

/// Why one request was refused.
#[derive(Debug, Clone)]
pub struct Denial {
    /// The request.
    pub request_id: Arc<str>,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who called.
    pub principal: String,
    /// The action that was refused.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Why, in a sentence.
    pub message: String,
    /// The statement that denied, where one did: the policy's name or ARN and the statement's text.
    pub statement: Option<(String, String)>,
    /// Every statement that spoke about the request, in the order of evaluation.
    pub considered: Vec<Considered>,
}

/// A statement that spoke about a request.
#[derive(Debug, Clone)]
pub struct Considered {
    /// The kind of its policy, as AWS's messages name it.
    pub layer: &'static str,
    /// The policy's name or ARN.
    pub policy: String,
    /// Where in the policy.
    pub place: String,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
}

#[derive(Default)]
pub(crate) struct Denials(Mutex<VecDeque<Denial>>);

impl Denials {
    pub(crate) fn note(&self, denial: Denial) {
        let mut all = self.0.lock();
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(denial);
    }

    pub(crate) fn latest(&self, count: usize) -> Vec<Denial> {
        self.0.lock().iter().rev().take(count).cloned().collect()
    }

    pub(crate) fn of(&self, request_id: &str) -> Vec<Denial> {
        self.0.lock().iter().filter(|d| *d.request_id == *request_id).cloned().collect()
    }
}
