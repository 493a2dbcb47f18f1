//! DynamoDB: tables of items, the expressions that read and change them, and PartiQL.
//!
//! `value/` is what an attribute can hold: numbers, sets, documents, their order and their size. `expression/` reads
//! AWS's condition, filter, key condition, projection and update expressions (and the parameters that came before
//! them) and evaluates them. `partiql/` turns statements into the same trees. None of the three knows the store.
//!
//! Source: Amazon DynamoDB API Reference and Developer Guide.

pub mod expression;
pub mod partiql;
pub mod value;
