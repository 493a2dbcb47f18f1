//! The accesses that were allowed a moment ago. Programs ask for the same few thousands of times a second; as long as no
//! policy asks about anything but action and resource, the answer cannot differ, nor is there anything new to note.

use arc_swap::ArcSwapOption;
use cloudlet_service::{AccessRequest, Context};
use std::sync::Arc;

/// How long an access counts as allowed a moment ago, in milliseconds: as finely as uses of actions are noted.
pub(crate) const MOMENT: i64 = 1_000;

/// How many are remembered for one caller.
const SLOTS: usize = 16;

#[derive(Debug)]
struct Allowed {
    action: Box<str>,
    resource: Box<str>,
    /// Uses are noted by service and region.
    service: &'static str,
    region: Arc<str>,
    at: i64,
}

/// Belongs to one gathering of one caller's policies, and goes with it when any identity record changes.
#[derive(Debug, Default)]
pub(crate) struct Recent([ArcSwapOption<Allowed>; SLOTS]);

impl Recent {
    /// Whether exactly this was allowed a moment ago.
    pub(crate) fn allowed(&self, cx: &Context, request: &AccessRequest<'_>) -> bool {
        let access = request.access;
        self.slot(&access.action, &access.resource).load().as_ref().is_some_and(|known| {
            *known.resource == *access.resource
                && *known.action == *access.action
                && known.service == request.service.signing_name
                && known.region == cx.region
                && (0..MOMENT).contains(&(cx.millis() - known.at))
        })
    }

    /// Remembers that it was allowed now.
    pub(crate) fn note(&self, cx: &Context, request: &AccessRequest<'_>) {
        let access = request.access;
        self.slot(&access.action, &access.resource).store(Some(Arc::new(Allowed {
            action: (*access.action).into(),
            resource: access.resource.as_str().into(),
            service: request.service.signing_name,
            region: cx.region.clone(),
            at: cx.millis(),
        })));
    }

    /// Where an access would be. Any spread will do: what is found is compared whole.
    fn slot(&self, action: &str, resource: &str) -> &ArcSwapOption<Allowed> {
        let tail = |text: &str| {
            text.bytes().rev().take(8).fold(text.len(), |sum, b| sum.wrapping_mul(31) + usize::from(b))
        };
        &self.0[(tail(action) ^ tail(resource)) % SLOTS]
    }
}
