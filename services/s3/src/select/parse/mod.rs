//! From words to a query: the clauses here, expressions and calls in files of their own.

mod calls;
mod expressions;

use super::Refused;
use super::lex::{Token, split};
use super::value::Value;
use super::words::{refused, unexpected};

/// How deep expressions may nest.
const DEEPEST: usize = 64;

/// The longest path: no document that is read nests deeper.
const LONGEST_PATH: usize = 128;

#[derive(Debug)]
pub(super) struct Query {
    /// `None` is `*`.
    pub(super) columns: Option<Vec<Column>>,
    /// The steps after `S3Object` in a JSON document.
    pub(super) from: Vec<Step>,
    pub(super) alias: Option<String>,
    pub(super) filter: Option<Expr>,
    pub(super) limit: Option<u64>,
    /// How many aggregates there are.
    pub(super) aggregates: usize,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) expr: Expr,
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A name, and whether its case counts.
    Name(String, bool),
    Index(usize),
    /// `[*]`
    All,
    /// `.*`
    Star,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Text,
    Float,
    Decimal,
    Timestamp,
}

#[derive(Debug)]
pub(super) enum Expr {
    Literal(Value),
    Path(Vec<Step>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    /// A comparison.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// These and others are lists, because a query can join so many that one inside the other would be too deep.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Operators of one strength, from left to right.
    Chain(Box<Expr>, Vec<(&'static str, Expr)>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Like(Box<Expr>, Box<Expr>, Option<char>),
    /// `IS NULL` or, with `true`, `IS MISSING`.
    Is(Box<Expr>, bool),
    Cast(Box<Expr>, Type),
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// A function's name in upper case.
    Call(String, Vec<Expr>),
    List(Vec<Expr>),
    /// Its place among the aggregates; `None` is `*`.
    Aggregate(Aggregate, usize, Option<Box<Expr>>),
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    aggregates: usize,
    depth: usize,
    /// What of the clause at hand would be out of place.
    seen: Seen,
    /// Whether aggregates may stand here.
    aggregating: bool,
}

/// What the expression at hand holds.
#[derive(Default, Clone, Copy)]
struct Seen {
    /// A path with a wildcard.
    wildcard: bool,
    /// A path outside an aggregate.
    path: bool,
    aggregate: bool,
}

/// Reads a query. Errors: S3 Select's own codes.
pub(super) fn parse(text: &str) -> Result<Query, Refused> {
    let tokens = split(text)?.into_iter().peekable();
    Parser { tokens, aggregates: 0, depth: 0, seen: Seen::default(), aggregating: false }.query()
}

/// How tables are joined elsewhere.
const JOINS: [&str; 7] = ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS"];

/// How results are put together elsewhere.
const SETS: [&str; 3] = ["UNION", "EXCEPT", "INTERSECT"];

impl Parser {
    fn is_word(&mut self, word: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.tokens.next();
        }
        found
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.tokens.peek(), Some(Token::Symbol(s)) if *s == symbol);
        if found {
            self.tokens.next();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Refused> {
        if self.symbol(symbol) { Ok(()) } else { Err(unexpected(self.tokens.peek())) }
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Refused> {
        if self.word(word) { Ok(()) } else { Err(refused("ParseExpectedKeyword")) }
    }

    /// The parenthesis that closes a function call.
    fn close(&mut self) -> Result<(), Refused> {
        if self.symbol(")") { Ok(()) } else { Err(refused("ParseExpectedRightParenBuiltinFunctionCall")) }
    }

    fn query(&mut self) -> Result<Query, Refused> {
        if !self.word("SELECT") {
            return Err(refused("ParseExpectedKeyword"));
        }
        if self.is_word("FROM") || self.tokens.peek().is_none() {
            return Err(refused("ParseEmptySelect"));
        }
        if self.is_word("DISTINCT") || self.is_word("ALL") {
            return Err(refused("UnsupportedSqlStructure"));
        }
        let columns = if self.symbol("*") { None } else { Some(self.columns()?) };
        if columns.is_none() && self.symbol(",") {
            return Err(refused("ParseAsteriskIsNotAloneInSelectList"));
        }
        if columns.is_none() && self.is_word("AS") {
            return Err(refused("ParseUnsupportedAlias"));
        }
        if !self.word("FROM") {
            return Err(refused("ParseSelectMissingFrom"));
        }
        let from = self.source()?;
        let alias = self.alias(&["WHERE", "LIMIT", "AT"])?;
        self.no_further_source()?;
        let filter = if self.word("WHERE") { Some(self.filter()?) } else { None };
        self.no_further_clause()?;
        let limit = if self.word("LIMIT") { Some(self.limit()?) } else { None };
        self.symbol(";");
        self.no_further_clause()?;
        if let Some(token) = self.tokens.peek() {
            return Err(unexpected(Some(token)));
        }
        Ok(Query { columns, from, alias, filter, limit, aggregates: self.aggregates })
    }

    /// `S3Object` and the path into it.
    fn source(&mut self) -> Result<Vec<Step>, Refused> {
        let table = match self.tokens.next() {
            Some(Token::Word(table) | Token::Name(table)) => table,
            Some(Token::Symbol("@")) => return Err(self.after_at()),
            Some(Token::Symbol("(")) if self.is_word("SELECT") => {
                return Err(refused("ParseUnsupportedSelect"));
            }
            other => return Err(unexpected(other.as_ref())),
        };
        if !table.eq_ignore_ascii_case("S3Object") {
            return Err(refused("InvalidTableAlias"));
        }
        let steps = self.steps()?;
        if steps.contains(&Step::Star) {
            return Err(refused("ParseInvalidPathComponent"));
        }
        Ok(steps)
    }

    /// What is wrong with `@`: there are no variables.
    fn after_at(&mut self) -> Refused {
        match self.tokens.peek() {
            Some(Token::Word(_) | Token::Name(_)) => refused("EvaluatorBindingDoesNotExist"),
            _ => refused("ParseMissingIdentAfterAt"),
        }
    }

    /// There is one source, with one name. Errors: `MultipleDataSourcesUnsupported`, `ParseMalformedJoin`, …
    fn no_further_source(&mut self) -> Result<(), Refused> {
        if self.word("AT") {
            return Err(match self.tokens.peek() {
                Some(Token::Word(_) | Token::Name(_)) => refused("ParseUnsupportedSyntax"),
                _ => refused("ParseExpectedIdentForAt"),
            });
        }
        if self.symbol(",") {
            return Err(refused("MultipleDataSourcesUnsupported"));
        }
        match JOINS.iter().any(|word| self.is_word(word)) {
            true => Err(refused("ParseMalformedJoin")),
            false => Ok(()),
        }
    }

    /// Clauses of SQL that S3 Select does not have.
    fn no_further_clause(&mut self) -> Result<(), Refused> {
        if self.word("GROUP") {
            if !self.word("BY") {
                return Err(refused("ParseExpectedKeyword"));
            }
            return Err(match self.tokens.peek() {
                Some(Token::Number(_) | Token::Text(_) | Token::Literal(_)) => {
                    refused("ParseUnsupportedLiteralsGroupBy")
                }
                _ => refused("ParseExpectedIdentForGroupName"),
            });
        }
        if self.is_word("HAVING") {
            return Err(refused("UnsupportedSqlStructure"));
        }
        if self.is_word("ORDER") {
            return Err(refused("UnsupportedSyntax"));
        }
        match SETS.iter().any(|word| self.is_word(word)) {
            true => Err(refused("UnsupportedSqlOperation")),
            false => Ok(()),
        }
    }

    fn filter(&mut self) -> Result<Expr, Refused> {
        self.seen = Seen::default();
        self.aggregating = false;
        let filter = self.expr()?;
        match self.seen.wildcard {
            true => Err(refused("ParseInvalidPathComponent")),
            false => Ok(filter),
        }
    }

    fn limit(&mut self) -> Result<u64, Refused> {
        match self.tokens.next() {
            Some(Token::Number(n)) if n.bytes().all(|b| b.is_ascii_digit()) => {
                let limit = n.parse::<i64>().ok().and_then(|n| u64::try_from(n).ok());
                limit.ok_or_else(|| refused("NumberFormatError"))
            }
            Some(Token::Symbol("-")) if matches!(self.tokens.peek(), Some(Token::Number(_))) => {
                Err(refused("EvaluatorNegativeLimit"))
            }
            _ => Err(refused("ParseExpectedNumber")),
        }
    }

    fn columns(&mut self) -> Result<Vec<Column>, Refused> {
        let mut columns = Vec::new();
        let (mut aggregates, mut paths) = (false, false);
        loop {
            if self.symbol("*") {
                return Err(refused("ParseAsteriskIsNotAloneInSelectList"));
            }
            self.seen = Seen::default();
            self.aggregating = true;
            let expr = self.expr()?;
            if self.seen.wildcard {
                wildcard(&expr)?;
            }
            aggregates |= self.seen.aggregate;
            paths |= self.seen.path;
            let name = self.alias(&["FROM"])?;
            columns.push(Column { expr, name });
            if !self.symbol(",") {
                break;
            }
        }
        // One row for all records has no field of one of them.
        match aggregates && paths {
            true => Err(refused("UnsupportedSqlStructure")),
            false => Ok(columns),
        }
    }

    /// `AS name`, or a name alone that is none of the keywords that may follow.
    fn alias(&mut self, follow: &[&str]) -> Result<Option<String>, Refused> {
        if self.word("AS") {
            return match self.tokens.next() {
                Some(Token::Word(name) | Token::Name(name)) => Ok(Some(name)),
                _ => Err(refused("ParseExpectedIdentForAlias")),
            };
        }
        let reserved = ["GROUP", "ORDER", "HAVING"];
        let named = match self.tokens.peek() {
            Some(Token::Word(w)) => {
                let mut reserved = follow.iter().chain(&reserved).chain(&JOINS).chain(&SETS);
                !reserved.any(|k| w.eq_ignore_ascii_case(k))
            }
            Some(Token::Name(_)) => true,
            _ => false,
        };
        Ok(match self.tokens.next_if(|_| named) {
            Some(Token::Word(name) | Token::Name(name)) => Some(name),
            _ => None,
        })
    }

    /// What follows a name: `.b`, `[0]`, `[*]`, `['b']`.
    fn steps(&mut self) -> Result<Vec<Step>, Refused> {
        let mut steps = Vec::new();
        loop {
            if steps.len() > LONGEST_PATH {
                return Err(refused("ParseInvalidPathComponent"));
            }
            if self.symbol(".") {
                match self.tokens.next() {
                    Some(Token::Word(name)) => steps.push(Step::Name(name, false)),
                    Some(Token::Name(name)) => steps.push(Step::Name(name, true)),
                    Some(Token::Symbol("*")) => steps.push(Step::Star),
                    _ => return Err(refused("ParseInvalidPathComponent")),
                }
            } else if self.symbol("[") {
                match self.tokens.next() {
                    Some(Token::Number(n)) => {
                        let index = n.parse();
                        steps.push(Step::Index(index.map_err(|_| refused("ParseInvalidPathComponent"))?));
                    }
                    Some(Token::Text(name)) => steps.push(Step::Name(name, true)),
                    Some(Token::Symbol("*")) => steps.push(Step::All),
                    _ => return Err(refused("ParseInvalidPathComponent")),
                }
                self.expect("]")?;
            } else {
                return Ok(steps);
            }
        }
    }
}

/// A wildcard stands at the end of a column's path, and nowhere else.
/// Errors: `ParseCannotMixSqbAndWildcardInSelectList`, `ParseInvalidContextForWildcardInSelectList`.
fn wildcard(expr: &Expr) -> Result<(), Refused> {
    let misplaced = || Err(refused("ParseInvalidContextForWildcardInSelectList"));
    let Expr::Path(steps) = expr else { return misplaced() };
    match steps.split_last() {
        Some((Step::Star, before)) if !before.contains(&Step::Star) => {
            match before.iter().any(|step| matches!(step, Step::Index(_) | Step::All)) {
                true => Err(refused("ParseCannotMixSqbAndWildcardInSelectList")),
                false => Ok(()),
            }
        }
        _ => misplaced(),
    }
}
