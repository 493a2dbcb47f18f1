//! What all protocols have in common: routing, reading, the constraints, and the answer to what cannot be read.

use super::{seen, seen_message};
use crate::request::Asked;
use cloudlet_service::{Api, Error, Protocol, rules};
use cloudlet_wire::{Body, Router, Unrouted, echo, read_input, write_error};
use std::sync::LazyLock;

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let mut apis: Vec<&'static Api> = cloudlet_test_api::APIS.to_vec();
    apis.extend([
        &cloudlet_api_s3::API,
        &cloudlet_api_lambda::API,
        &cloudlet_api_logs::API,
        &cloudlet_api_iam::API,
        &cloudlet_api_sts::API,
    ]);
    Router::new(&apis)
});

/// Reads a request as far as it can be read and answers it where it cannot.
pub(super) fn read(input: &[u8]) -> u64 {
    let Some(asked) = Asked::parse(input) else { return 0 };
    let head = asked.head();
    let form = Router::needs_form(&head).then_some(&asked.body[..]);
    let refuse = |protocol: Protocol, api: Option<&'static Api>, error: &Error| {
        let answer = write_error(protocol, api, "00000000-0000-4000-8000-000000000000", &head, error);
        assert!(answer.status().as_u16() >= 300, "a refusal with status {}", answer.status());
        seen_message(error.code(), error.message())
    };
    let route = match ROUTER.route(asked.scope, &head, form) {
        Ok(route) => route,
        Err(Unrouted { error, protocol, api }) => return refuse(protocol, api, &error),
    };
    let name = route.operation().name;
    match read_input(&route, &head, Body::Bytes(asked.body.clone())) {
        Ok(value) => {
            let violated = rules::check(&*value).err().map_or(0, |v| seen_message("", &v.message()));
            let length = echo::to_json(&*value).map_or(0, |text| text.len());
            seen(&(name, violated, length.ilog2_or_zero()))
        }
        Err(error) => seen(&(name, refuse(route.protocol, Some(route.api), &error))),
    }
}

trait Log {
    fn ilog2_or_zero(self) -> u32;
}

impl Log for usize {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().unwrap_or(0)
    }
}
