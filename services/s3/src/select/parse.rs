//! From words to a query.

use super::Refused;
use super::lex::{Token, split};
use super::value::Value;
use super::words::{no_expression, refused, unexpected};

/// How deep expressions may nest.
const DEEPEST: usize = 64;

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
    All,
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
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Like(Box<Expr>, Box<Expr>, Option<char>),
    /// `IS NULL` or, with `true`, `IS MISSING`.
    Is(Box<Expr>, bool),
    Cast(Box<Expr>, Type),
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// A function's name in upper case.
    Call(String, Vec<Expr>),
    /// Its place among the aggregates; `None` is `*`.
    Aggregate(Aggregate, usize, Option<Box<Expr>>),
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    aggregates: usize,
    depth: usize,
}

/// Reads a query. Errors: S3 Select's own codes.
pub(super) fn parse(text: &str) -> Result<Query, Refused> {
    let mut parser = Parser { tokens: split(text)?.into_iter().peekable(), aggregates: 0, depth: 0 };
    parser.query()
}

/// Words that cannot begin an expression.
const KEYWORDS: [&str; 12] =
    ["FROM", "WHERE", "LIMIT", "AND", "OR", "AS", "IN", "LIKE", "BETWEEN", "IS", "THEN", "END"];

/// Functions that are nothing else, so that their parenthesis must follow.
const FUNCTIONS: [&str; 5] = ["COALESCE", "EXTRACT", "NULLIF", "SUBSTRING", "TRIM"];

/// The parts of a date that functions take.
const DATE_PARTS: [&str; 8] =
    ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "TIMEZONE_HOUR", "TIMEZONE_MINUTE"];

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
            let message = "The SQL expression must begin with SELECT.";
            return Err(Refused::new("ParseExpectedKeyword", message));
        }
        if self.is_word("FROM") {
            return Err(refused("ParseEmptySelect"));
        }
        let columns = if self.symbol("*") { None } else { Some(self.columns()?) };
        if columns.is_none() && self.symbol(",") {
            return Err(refused("ParseAsteriskIsNotAloneInSelectList"));
        }
        if !self.word("FROM") {
            return Err(refused("ParseSelectMissingFrom"));
        }
        let table = match self.tokens.next() {
            Some(Token::Word(table) | Token::Name(table)) => table,
            other => return Err(unexpected(other.as_ref())),
        };
        if !table.eq_ignore_ascii_case("S3Object") {
            let message = "The data source in the FROM clause must be S3Object.";
            return Err(Refused::new("ParseInvalidPathComponent", message));
        }
        let from = self.steps()?;
        let alias = self.alias(&["WHERE", "LIMIT", "AT"])?;
        if self.word("AT") {
            return Err(match self.tokens.peek() {
                Some(Token::Word(_) | Token::Name(_)) => refused("ParseUnsupportedSyntax"),
                _ => refused("ParseMissingIdentAfterAt"),
            });
        }
        let filter = if self.word("WHERE") { Some(self.expr()?) } else { None };
        let limit = if self.word("LIMIT") { Some(self.limit()?) } else { None };
        self.symbol(";");
        if let Some(token) = self.tokens.peek() {
            let later = ["GROUP", "ORDER", "HAVING", "JOIN", "UNION"];
            return Err(match token {
                Token::Word(word) if word.eq_ignore_ascii_case("JOIN") => refused("ParseMalformedJoin"),
                Token::Word(word) if later.iter().any(|l| word.eq_ignore_ascii_case(l)) => {
                    refused("UnsupportedSyntax")
                }
                token => unexpected(Some(token)),
            });
        }
        Ok(Query { columns, from, alias, filter, limit, aggregates: self.aggregates })
    }

    fn limit(&mut self) -> Result<u64, Refused> {
        match self.tokens.next() {
            Some(Token::Number(n)) if n.parse::<u64>().is_ok() => Ok(n.parse().unwrap_or_default()),
            Some(Token::Symbol("-")) if matches!(self.tokens.peek(), Some(Token::Number(_))) => {
                Err(refused("EvaluatorNegativeLimit"))
            }
            _ => Err(refused("ParseExpectedNumber")),
        }
    }

    fn columns(&mut self) -> Result<Vec<Column>, Refused> {
        let mut columns = Vec::new();
        loop {
            if self.symbol("*") {
                return Err(refused("ParseAsteriskIsNotAloneInSelectList"));
            }
            let expr = self.expr()?;
            let name = self.alias(&["FROM"])?;
            columns.push(Column { expr, name });
            if !self.symbol(",") {
                return Ok(columns);
            }
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
        let reserved = ["GROUP", "ORDER", "HAVING", "JOIN", "UNION"];
        let named = match self.tokens.peek() {
            Some(Token::Word(w)) => !follow.iter().chain(&reserved).any(|k| w.eq_ignore_ascii_case(k)),
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
            if self.symbol(".") {
                match self.tokens.next() {
                    Some(Token::Word(name)) => steps.push(Step::Name(name, false)),
                    Some(Token::Name(name)) => steps.push(Step::Name(name, true)),
                    Some(Token::Symbol("*")) => steps.push(Step::All),
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

    fn expr(&mut self) -> Result<Expr, Refused> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refused::new("UnsupportedSyntax", "The SQL expression is nested too deeply."));
        }
        let mut left = self.and()?;
        while self.word("OR") {
            left = Expr::Binary("OR", Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Refused> {
        let mut left = self.not()?;
        while self.word("AND") {
            left = Expr::Binary("AND", Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Refused> {
        let mut negated = false;
        while self.word("NOT") {
            negated = !negated;
        }
        let inner = self.comparison()?;
        Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Result<Expr, Refused> {
        let left = self.sum()?;
        for (symbol, meant) in
            [("=", "="), ("<>", "<>"), ("!=", "<>"), ("<=", "<="), (">=", ">="), ("<", "<"), (">", ">")]
        {
            if self.symbol(symbol) {
                return Ok(Expr::Binary(meant, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.word("IS") {
            let negated = self.word("NOT");
            let missing = self.word("MISSING");
            if !missing {
                self.expect_word("NULL")?;
            }
            let is = Expr::Is(Box::new(left), missing);
            return Ok(if negated { Expr::Not(Box::new(is)) } else { is });
        }
        let negated = self.word("NOT");
        let found = if self.word("BETWEEN") {
            let low = self.sum()?;
            self.expect_word("AND")?;
            Expr::Between(Box::new(left), Box::new(low), Box::new(self.sum()?))
        } else if self.word("IN") {
            if !self.symbol("(") {
                return Err(refused("ParseExpectedLeftParenValueConstructor"));
            }
            Expr::In(Box::new(left), self.list()?)
        } else if self.word("LIKE") {
            let pattern = self.sum()?;
            let escape = match self.word("ESCAPE") {
                false => None,
                true => match self.tokens.next() {
                    Some(Token::Text(text)) if text.chars().count() == 1 => text.chars().next(),
                    Some(Token::Text(_)) => return Err(refused("EvaluatorLikePatternInvalidEscapeSequence")),
                    _ => return Err(refused("LikeInvalidInputs")),
                },
            };
            Expr::Like(Box::new(left), Box::new(pattern), escape)
        } else if negated {
            return Err(unexpected(self.tokens.peek()));
        } else {
            return Ok(left);
        };
        Ok(if negated { Expr::Not(Box::new(found)) } else { found })
    }

    /// Expressions up to the closing parenthesis.
    fn list(&mut self) -> Result<Vec<Expr>, Refused> {
        let mut list = Vec::new();
        if self.symbol(")") {
            return Ok(list);
        }
        loop {
            list.push(self.expr()?);
            if self.symbol(")") {
                return Ok(list);
            }
            if !self.symbol(",") {
                return Err(match self.tokens.peek() {
                    None => refused("ParseExpectedRightParenBuiltinFunctionCall"),
                    Some(_) => refused("ParseExpectedArgumentDelimiter"),
                });
            }
        }
    }

    fn sum(&mut self) -> Result<Expr, Refused> {
        let mut left = self.product()?;
        'more: loop {
            for symbol in ["+", "-", "||"] {
                if self.symbol(symbol) {
                    left = Expr::Binary(symbol, Box::new(left), Box::new(self.product()?));
                    continue 'more;
                }
            }
            return Ok(left);
        }
    }

    fn product(&mut self) -> Result<Expr, Refused> {
        let mut left = self.unary()?;
        'more: loop {
            for symbol in ["*", "/", "%"] {
                if self.symbol(symbol) {
                    left = Expr::Binary(symbol, Box::new(left), Box::new(self.unary()?));
                    continue 'more;
                }
            }
            return Ok(left);
        }
    }

    fn unary(&mut self) -> Result<Expr, Refused> {
        let mut negative = false;
        loop {
            if self.symbol("-") {
                negative = !negative;
            } else if !self.symbol("+") {
                break;
            }
        }
        let inner = self.primary()?;
        Ok(if negative { Expr::Negative(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Result<Expr, Refused> {
        match self.tokens.next() {
            Some(Token::Number(n)) => Value::number(&n)
                .map(Expr::Literal)
                .ok_or_else(|| Refused::new("LexerInvalidLiteral", format!("{n} is not a number."))),
            Some(Token::Text(text)) => Ok(Expr::Literal(Value::Text(text))),
            Some(Token::Symbol("(")) => {
                if self.is_word("SELECT") {
                    return Err(refused("ParseUnsupportedSelect"));
                }
                let inner = self.expr()?;
                match self.symbol(")") {
                    true => Ok(inner),
                    false => Err(refused("ParseExpectedTokenType")),
                }
            }
            Some(Token::Name(name)) => self.path(Step::Name(name, true)),
            Some(Token::Word(word)) => self.named(word),
            other => Err(no_expression(other.as_ref())),
        }
    }

    fn path(&mut self, first: Step) -> Result<Expr, Refused> {
        let mut steps = vec![first];
        steps.extend(self.steps()?);
        Ok(Expr::Path(steps))
    }

    fn named(&mut self, word: String) -> Result<Expr, Refused> {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "TRUE" => return Ok(Expr::Literal(Value::Bool(true))),
            "FALSE" => return Ok(Expr::Literal(Value::Bool(false))),
            "NULL" => return Ok(Expr::Literal(Value::Null)),
            "MISSING" => return Ok(Expr::Literal(Value::Missing)),
            "CASE" => return self.case(),
            "SELECT" => return Err(refused("ParseUnsupportedSelect")),
            word if KEYWORDS.contains(&word) => return Err(refused("ParseUnExpectedKeyword")),
            _ => {}
        }
        if !self.symbol("(") {
            if upper == "CAST" {
                return Err(refused("ParseExpectedLeftParenAfterCast"));
            }
            if FUNCTIONS.contains(&upper.as_str()) {
                return Err(refused("ParseExpectedLeftParenBuiltinFunctionCall"));
            }
            return self.path(Step::Name(word, false));
        }
        let aggregate = match upper.as_str() {
            "COUNT" => Some(Aggregate::Count),
            "SUM" => Some(Aggregate::Sum),
            "AVG" => Some(Aggregate::Avg),
            "MIN" => Some(Aggregate::Min),
            "MAX" => Some(Aggregate::Max),
            _ => None,
        };
        if let Some(aggregate) = aggregate {
            let all = self.symbol("*");
            if all && aggregate != Aggregate::Count {
                return Err(refused("ParseUnsupportedCallWithStar"));
            }
            if !all && self.symbol(")") {
                return Err(refused("ParseNonUnaryAgregateFunctionCall"));
            }
            let over = if all { None } else { Some(Box::new(self.expr()?)) };
            if self.symbol(",") {
                return Err(refused("ParseNonUnaryAgregateFunctionCall"));
            }
            self.close()?;
            self.aggregates += 1;
            return Ok(Expr::Aggregate(aggregate, self.aggregates - 1, over));
        }
        match upper.as_str() {
            "CAST" => {
                let inner = self.expr()?;
                if self.symbol(",") || self.symbol(")") {
                    return Err(refused("ParseCastArity"));
                }
                self.expect_word("AS")?;
                let to = self.kind()?;
                self.close()?;
                Ok(Expr::Cast(Box::new(inner), to))
            }
            "SUBSTRING" => {
                let mut arguments = vec![self.expr()?];
                if self.word("FROM") {
                    arguments.push(self.expr()?);
                    if self.word("FOR") {
                        arguments.push(self.expr()?);
                    }
                    self.close()?;
                } else if self.symbol(",") {
                    arguments.extend(self.list()?);
                } else {
                    self.close()?;
                }
                self.call(upper, arguments, 2..=3)
            }
            "TRIM" => self.trim(),
            "EXTRACT" => {
                let part = self.unit()?;
                self.expect_word("FROM")?;
                let of = self.expr()?;
                self.close()?;
                Ok(Expr::Call(upper, vec![part, of]))
            }
            "DATE_ADD" | "DATE_DIFF" => {
                let mut arguments = vec![self.unit()?];
                self.expect(",")?;
                arguments.extend(self.list()?);
                self.call(upper, arguments, 3..=3)
            }
            "COALESCE" => {
                let arguments = self.list()?;
                self.call(upper, arguments, 1..=64)
            }
            "UTCNOW" => {
                let arguments = self.list()?;
                self.call(upper, arguments, 0..=0)
            }
            "NULLIF" | "TO_STRING" => {
                let arguments = self.list()?;
                self.call(upper, arguments, 2..=2)
            }
            "LOWER" | "UPPER" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "TO_TIMESTAMP" | "SIZE" => {
                let arguments = self.list()?;
                self.call(upper, arguments, 1..=1)
            }
            _ => Err(Refused::new("UnsupportedFunction", "Encountered an unsupported SQL function.")),
        }
    }

    fn call(
        &self,
        name: String,
        arguments: Vec<Expr>,
        count: std::ops::RangeInclusive<usize>,
    ) -> Result<Expr, Refused> {
        if count.contains(&arguments.len()) {
            return Ok(Expr::Call(name, arguments));
        }
        Err(refused("EvaluatorInvalidArguments"))
    }

    /// `YEAR`, `MONTH`, … as a text.
    fn unit(&mut self) -> Result<Expr, Refused> {
        match self.tokens.next() {
            Some(Token::Word(word)) if DATE_PARTS.iter().any(|part| word.eq_ignore_ascii_case(part)) => {
                Ok(Expr::Literal(Value::Text(word.to_ascii_uppercase())))
            }
            _ => Err(refused("ParseExpectedDatePart")),
        }
    }

    /// `TRIM([[LEADING | TRAILING | BOTH] [characters] FROM] text)`: a call with side, text and characters.
    fn trim(&mut self) -> Result<Expr, Refused> {
        let side = ["LEADING", "TRAILING", "BOTH"].into_iter().find(|side| self.word(side));
        let first = if self.is_word("FROM") { None } else { Some(self.expr()?) };
        let (characters, text) = match self.word("FROM") {
            true => (first, self.expr()?),
            false => (None, first.ok_or_else(|| refused("ParseExpectedExpression"))?),
        };
        self.close()?;
        let side = Expr::Literal(Value::Text(side.unwrap_or("BOTH").to_owned()));
        let blank = || Expr::Literal(Value::Text(" ".to_owned()));
        Ok(Expr::Call("TRIM".to_owned(), vec![side, text, characters.unwrap_or_else(blank)]))
    }

    fn case(&mut self) -> Result<Expr, Refused> {
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut arms = Vec::new();
        while self.word("WHEN") {
            let when = self.expr()?;
            self.expect_word("THEN")?;
            arms.push((when, self.expr()?));
        }
        let other = if self.word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if arms.is_empty() {
            return Err(refused("ParseExpectedWhenClause"));
        }
        self.expect_word("END")?;
        Ok(Expr::Case(operand, arms, other))
    }

    fn kind(&mut self) -> Result<Type, Refused> {
        let Some(Token::Word(word)) = self.tokens.next() else {
            return Err(refused("ParseExpectedTypeName"));
        };
        let kind = match word.to_ascii_uppercase().as_str() {
            "BOOL" | "BOOLEAN" => Type::Bool,
            "INT" | "INTEGER" => Type::Int,
            "STRING" | "VARCHAR" | "CHAR" | "CHARACTER" => Type::Text,
            "FLOAT" | "DOUBLE" | "REAL" => Type::Float,
            "DECIMAL" | "NUMERIC" => Type::Decimal,
            "TIMESTAMP" => Type::Timestamp,
            _ => {
                let message = format!("The SQL expression contains an invalid data type: {word}");
                return Err(Refused::new("InvalidDataType", message));
            }
        };
        // A length or a precision changes nothing here.
        if self.symbol("(") {
            let sizes = self.list()?;
            if sizes.is_empty() || !sizes.iter().all(|size| matches!(size, Expr::Literal(Value::Int(_)))) {
                return Err(refused("ParseInvalidTypeParam"));
            }
        }
        Ok(kind)
    }
}
