//! Statements as they are written.

use super::lexer::Span;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Text(String),
    Number(String),
    Bool(bool),
    Null,
    Missing,
    /// The place among all parameters, from zero, and in the text.
    Parameter(usize, Span),
    Path(Path),
    List(Vec<Expr>),
    /// `<<…>>`: a set.
    Bag(Vec<Expr>),
    Struct(Vec<(Expr, Expr)>),
    /// NOT, or a sign before what is no number.
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `IS type`, by the name of the type.
    Is(Box<Expr>, &'static str),
    /// A function's name, what it is given, and where the name stands.
    Call(String, Vec<Expr>, Span),
    /// A whole statement where an expression may stand; only EXISTS takes one.
    Statement(Box<Statement>),
    /// Something of PartiQL that DynamoDB does not have, by its name.
    Unsupported(&'static str),
}

/// A name and what follows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    pub(super) root: String,
    /// Where its first name stands.
    pub(super) span: Span,
    pub(super) steps: Vec<Step>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Name(String),
    /// What stands in brackets, and where.
    Index(Expr, Span),
    Star,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    Select(Select),
    Insert {
        target: Path,
        value: Expr,
        conflict: bool,
        returning: Option<Returning>,
    },
    /// `INSERT INTO table expression`, which DynamoDB does not take.
    InsertOther,
    Update {
        target: Source,
        operations: Vec<Operation>,
        condition: Option<Expr>,
        returning: Option<Returning>,
    },
    Delete {
        target: Source,
        condition: Option<Expr>,
        returning: Option<Returning>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Select {
    /// `None` is `*`.
    pub(super) columns: Option<Vec<Expr>>,
    pub(super) source: Source,
    pub(super) condition: Option<Expr>,
    /// What the result is ordered by, and whether downwards.
    pub(super) order: Vec<(Expr, bool)>,
    /// Clauses and words of SQL that DynamoDB does not have, and where they stand.
    pub(super) unsupported: Option<(&'static str, Span)>,
}

/// What a statement reads or changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) expr: Expr,
    pub(super) aliased: bool,
    pub(super) joined: bool,
}

/// What an update does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    Set(Path, Expr),
    Remove(Path),
}

/// What a statement answers with: what of the item, and which columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Returning {
    pub(super) mapping: &'static str,
    pub(super) star: bool,
    pub(super) several: bool,
}
