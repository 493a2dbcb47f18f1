//! Expressions as they are written: names and values are still placeholders. What can be said about an expression
//! without them has been checked; see [`super::parser`].

/// The parts of a document path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// An attribute's or a map member's own name.
    Plain(String),
    /// A name given by `ExpressionAttributeNames`, with its `#`.
    Placeholder(String),
    /// A place in a list.
    Index(u32),
}

/// A document path; never empty.
pub(crate) type Path = Vec<Part>;

/// What a condition or an assignment computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Path(Path),
    /// A value given by `ExpressionAttributeValues`, with its `:`.
    Value(String),
    Call(Call),
}

/// A function and what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Operand>,
}

/// The six comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Comparator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// The comparison that says the same with its sides exchanged.
    pub fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            other => other,
        }
    }

    /// Whether it needs values that have an order.
    pub fn is_ordering(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Compare(Comparator, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Call(Call),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

/// What an update does at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Set(Path, Assigned),
    Remove(Path),
    Add(Path, String),
    Delete(Path, String),
}

/// The right side of `SET path =`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assigned {
    Operand(Operand),
    Sum(Operand, Operand),
    Difference(Operand, Operand),
}
