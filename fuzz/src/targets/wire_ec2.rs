//! ec2Query, on the test API: no service that speaks it is served yet.

use super::{Target, wire, wire_query};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target = Target {
    name: "wire-ec2",
    run: wire::read,
    seeds: || skeleton::requests(&cloudlet_test_api::ec2::API, Protocol::Ec2Query),
    words: wire_query::WORDS,
    ..Target::DEFAULT
};
