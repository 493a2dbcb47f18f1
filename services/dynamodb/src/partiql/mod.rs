//! PartiQL: statements as plans over the same conditions, updates and projections as everything else.
//!
//! [`Plan::parse`] reads a statement with its parameters. What a plan means for a table (which keys, which reads) is
//! said by the methods of [`Select`], [`Change`] and [`Exists`], which are given the table's key.
//!
//! Source: Developer Guide, "PartiQL - a SQL-compatible query language for Amazon DynamoDB".

mod access;
mod ast;
mod lexer;
mod literal;
mod parser;
mod predicate;
mod statement;
#[cfg(test)]
mod tests;
mod translate;

use crate::expression::{Condition, Path, Update};
use crate::value::{Item, Value, invalid};
use cloudlet_api_dynamodb::AttributeValue;
use cloudlet_service::Error;

pub use access::Access;

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Reads items.
    Select(Select),
    /// Puts a new item.
    Insert(Insert),
    /// Changes an item that is there.
    Update(Change),
    /// Deletes an item.
    Delete(Change),
    /// Demands that an item is there; only in a transaction.
    Exists(Exists),
}

/// `SELECT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The table.
    pub table: String,
    /// The index, if one is named.
    pub index: Option<String>,
    /// The columns by their names in the result; `None` is the whole item.
    pub columns: Option<Vec<(String, Path)>>,
    /// What the items meet.
    pub condition: Option<Condition>,
    /// What they are ordered by, and whether downwards.
    pub order: Vec<(String, bool)>,
}

/// `INSERT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// The item.
    pub item: Item,
    /// Whether an item that is already there is no mistake.
    pub or_nothing: bool,
}

/// `UPDATE` and `DELETE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// What changes; `None` to delete the item.
    pub update: Option<Update>,
    /// Which item, and what it must meet.
    pub condition: Option<Condition>,
    /// What is answered.
    pub returning: Option<Returning>,
}

/// `EXISTS(SELECT …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exists {
    /// The table.
    pub table: String,
    /// Which item, and what it must meet.
    pub condition: Option<Condition>,
}

/// What `RETURNING` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// The item as it was.
    AllOld,
    /// What changed, as it was.
    ModifiedOld,
    /// The item as it is.
    AllNew,
    /// What changed, as it is.
    ModifiedNew,
}

/// The refusal of a `SELECT` in `ExecuteTransaction` that does not name one item.
pub const TRANSACTION_NEEDS_KEY: &str =
    "Select statements within ExecuteTransaction must specify the primary key in the where clause.";
/// The refusal of a `SELECT` in `BatchExecuteStatement` that does not name one item.
pub const BATCH_NEEDS_KEY: &str =
    "Select statements within BatchExecuteStatement must specify the primary key in the where clause.";
/// The refusal of `EXISTS` outside a transaction.
pub const EXISTS_NEEDS_TRANSACTION: &str = "EXISTS can only be used in ExecuteTransaction write requests.";

impl Plan {
    /// Reads a statement.
    ///
    /// Errors: `ValidationException` in AWS's words for parameters that cannot be, a statement that cannot be read, and
    /// what DynamoDB does not have of the language.
    pub fn parse(statement: &str, parameters: Option<&[AttributeValue]>) -> Result<Self, Error> {
        let parameters = parameters.unwrap_or_default();
        let parameters = parameters.iter().map(Value::from_api).collect::<Result<Vec<_>, _>>()?;
        let (expr, count) = parser::parse(statement).map_err(|what| malformed(&what))?;
        if count != parameters.len() {
            return Err(invalid("Number of parameters in request and statement don't match."));
        }
        translate::plan(expr, &parameters)
    }

    /// The table that it is about.
    pub fn table(&self) -> &str {
        match self {
            Plan::Select(select) => &select.table,
            Plan::Insert(insert) => &insert.table,
            Plan::Update(change) | Plan::Delete(change) => &change.table,
            Plan::Exists(exists) => &exists.table,
        }
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, Plan::Select(_))
    }

    /// The IAM action that it needs. Source: Developer Guide, "IAM security policies with PartiQL for DynamoDB".
    pub fn action(&self) -> &'static str {
        match self {
            Plan::Select(_) => "dynamodb:PartiQLSelect",
            Plan::Insert(_) => "dynamodb:PartiQLInsert",
            Plan::Update(_) => "dynamodb:PartiQLUpdate",
            Plan::Delete(_) => "dynamodb:PartiQLDelete",
            Plan::Exists(_) => "dynamodb:ConditionCheckItem",
        }
    }
}

fn malformed(what: &str) -> Error {
    invalid(format!("Statement wasn't well formed, can't be processed: {what}"))
}

impl Select {
    /// The columns of an item.
    pub fn project(&self, item: &Item) -> Item {
        match &self.columns {
            None => item.clone(),
            Some(columns) => {
                let column = |(name, path): &(String, Path)| Some((name.clone(), path.get(item)?.clone()));
                columns.iter().filter_map(column).collect()
            }
        }
    }

    /// Whether an item is part of the result.
    pub fn matches(&self, item: &Item) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.matches(item))
    }
}
