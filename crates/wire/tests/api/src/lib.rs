//! An API for each protocol, for tests: every feature that AWS's models use.

#![allow(non_upper_case_globals, missing_docs, unused, clippy::all, clippy::pedantic)]

macro_rules! api {
    ($name:ident, $file:literal) => {
        pub mod $name {
            pub use cloudlet_service::generated::*;

            include!(concat!(env!("OUT_DIR"), "/", $file));
        }
    };
}

api!(json, "json.rs");
api!(rest_json, "rest_json.rs");
api!(rest_xml, "rest_xml.rs");
api!(query, "query.rs");
api!(ec2, "ec2.rs");
api!(cbor, "cbor.rs");

/// All of them.
pub static APIS: [&cloudlet_service::Api; 6] =
    [&json::API, &rest_json::API, &rest_xml::API, &query::API, &ec2::API, &cbor::API];
