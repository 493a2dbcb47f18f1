//! From text to statements.
//!
//! The grammar and the words for mistakes are those of the parser that AWS published (partiql-lang): an expression
//! parser that climbs precedences, in which statements are terms.

use super::ast::{Expr, Path, Statement, Step};
use super::lexer::{Mark, Span, Token, tokens};

pub(super) type Parsed<T> = Result<T, String>;

/// How deep expressions may nest. Values nest to 32 levels; the rest is for conditions.
const MAX_DEPTH: usize = 48;
/// The most operators between operands: what they join nests as deep as they are many.
const MAX_OPERATORS: usize = 300;
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

/// Precedence of what stands behind FROM, WHERE and the like.
pub(super) const CLAUSE: u8 = 6;

/// Reserved words that are functions where a parenthesis follows.
const FUNCTIONS: &[&str] = &[
    "exists",
    "size",
    "lower",
    "upper",
    "coalesce",
    "nullif",
    "char_length",
    "character_length",
    "bit_length",
    "octet_length",
    "count",
    "avg",
    "max",
    "min",
    "sum",
];

/// Names of types behind IS.
const TYPES: &[&str] = &[
    "missing",
    "null",
    "bool",
    "boolean",
    "smallint",
    "integer",
    "int",
    "float",
    "real",
    "double",
    "decimal",
    "numeric",
    "timestamp",
    "character",
    "char",
    "varchar",
    "string",
    "symbol",
    "clob",
    "blob",
    "struct",
    "tuple",
    "list",
    "sexp",
    "bag",
    "any",
    "date",
    "time",
];

pub(super) struct Parser {
    pub(super) tokens: Vec<(Token, Span)>,
    pub(super) at: usize,
    parameters: usize,
    depth: usize,
    operators: usize,
}

/// Reads a statement, and how many parameters it has.
pub(super) fn parse(text: &str) -> Parsed<(Expr, usize)> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, parameters: 0, depth: 0, operators: 0 };
    let expr = parser.expression(0)?;
    if parser.take(Mark::Semicolon) {
        if *parser.peek() != Token::End {
            return Err("Unexpected token after semicolon. (Only one query is allowed.)".to_owned());
        }
    } else if *parser.peek() != Token::End {
        return Err("Unexpected token after expression".to_owned());
    }
    Ok((expr, parser.parameters))
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn second(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, _)| token)
    }

    /// Where the token stands that is next.
    pub(super) fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(Span::NOWHERE, |(_, span)| *span)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    pub(super) fn keyword(&self) -> Option<&'static str> {
        match self.peek() {
            Token::Keyword(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn take(&mut self, mark: Mark) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn take_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword() == Some(word);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: Mark) -> Parsed<()> {
        if self.take(mark) { Ok(()) } else { Err(format!("Expected {mark}")) }
    }

    fn infix(&self) -> (&'static str, u8) {
        match self.peek() {
            Token::Star => ("*", 70),
            Token::Operator(operator) => match *operator {
                "=" | "<>" | "!=" => (operator, 40),
                "<" | "<=" | ">" | ">=" => (operator, 50),
                "+" | "-" | "||" => (operator, 60),
                "/" | "%" => (operator, 70),
                _ => (operator, 0),
            },
            Token::Keyword(word) => match *word {
                "or" => (word, 10),
                "and" => (word, 20),
                "is" | "is_not" | "in" | "not_in" => (word, 40),
                "between" | "not_between" | "like" | "not_like" => (word, 50),
                _ => (word, 0),
            },
            _ => ("", 0),
        }
    }

    pub(super) fn expression(&mut self, precedence: u8) -> Parsed<Expr> {
        if self.depth >= MAX_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        self.depth += 1;
        let result = self.climb(precedence);
        self.depth -= 1;
        result
    }

    fn climb(&mut self, precedence: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            let (operator, binds) = self.infix();
            if binds <= precedence {
                return Ok(left);
            }
            self.next();
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return Err(format!(
                    "The expression contains too many operators; operator count: {}",
                    self.operators
                ));
            }
            left = self.join(operator, binds, Box::new(left))?;
        }
    }

    /// What an operator makes of its left side and what follows.
    fn join(&mut self, operator: &'static str, binds: u8, left: Box<Expr>) -> Parsed<Expr> {
        Ok(match operator {
            "is" => Expr::Is(left, self.kind()?),
            "is_not" => Expr::Unary("not", Box::new(Expr::Is(left, self.kind()?))),
            "in" => Expr::Binary("in", left, self.choices(binds)?),
            "not_in" => Expr::Unary("not", Box::new(Expr::Binary("in", left, self.choices(binds)?))),
            "between" => self.between(binds, left)?,
            "not_between" => Expr::Unary("not", Box::new(self.between(binds, left)?)),
            "like" | "not_like" => {
                self.right(binds)?;
                if self.take_keyword("escape") {
                    self.expression(binds)?;
                }
                Expr::Unsupported("LIKE")
            }
            _ => Expr::Binary(operator, left, self.right(binds)?),
        })
    }

    /// What stands behind IN: parentheses are a list here even around one.
    fn choices(&mut self, binds: u8) -> Parsed<Box<Expr>> {
        let parenthesis = *self.peek() == Token::Mark(Mark::LeftParen)
            && !matches!(self.second(), Token::Keyword("select" | "values"));
        if !parenthesis {
            return self.right(binds);
        }
        self.next();
        let list = self.expressions()?;
        self.expect(Mark::RightParen)?;
        Ok(Box::new(Expr::List(list)))
    }

    fn between(&mut self, binds: u8, value: Box<Expr>) -> Parsed<Expr> {
        let low = self.right(binds)?;
        if !self.take_keyword("and") {
            return Err("Expected AND keyword".to_owned());
        }
        if *self.peek() == Token::End {
            return Err("Expected expression after AND".to_owned());
        }
        Ok(Expr::Between(value, low, Box::new(self.expression(binds)?)))
    }

    fn right(&mut self, binds: u8) -> Parsed<Box<Expr>> {
        if *self.peek() == Token::End {
            return Err("Missing right-hand side expression of infix operator".to_owned());
        }
        self.expression(binds).map(Box::new)
    }

    /// What stands behind IS.
    fn kind(&mut self) -> Parsed<&'static str> {
        match self.keyword().filter(|word| TYPES.contains(word)) {
            Some(word) => {
                self.next();
                Ok(word)
            }
            None => Err("Expected type name".to_owned()),
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        match self.peek() {
            Token::Operator("+") => self.signed("+"),
            Token::Operator("-") => self.signed("-"),
            Token::Keyword("not") => {
                self.next();
                self.expression(30).map(|inner| Expr::Unary("not", Box::new(inner)))
            }
            _ => self.full_path(),
        }
    }

    /// A sign and what it stands before; before a number it is part of it.
    fn signed(&mut self, sign: &'static str) -> Parsed<Expr> {
        let mut negative = false;
        let mut signs = 0usize;
        while let Token::Operator(one @ ("+" | "-")) = self.peek() {
            negative ^= *one == "-";
            signs += 1;
            self.next();
        }
        let term = if self.keyword() == Some("not") { self.expression(30)? } else { self.full_path()? };
        Ok(match term {
            Expr::Number(number) if negative => Expr::Number(format!("-{number}")),
            Expr::Number(number) => Expr::Number(number),
            // How many signs stand before what is no number makes no difference: one is already too many.
            term if signs > 0 => Expr::Unary(sign, Box::new(term)),
            term => term,
        })
    }

    fn full_path(&mut self) -> Parsed<Expr> {
        let term = self.term()?;
        let steps = self.steps(true)?;
        match (term, steps.is_empty()) {
            (term, true) => Ok(term),
            (Expr::Path(path), false) => Ok(Expr::Path(Path { steps, ..path })),
            // A step into what is no name: of no use to DynamoDB.
            (_, false) => Ok(Expr::Unsupported("path")),
        }
    }

    /// A path of names and literal indexes, as statements have it for what they change.
    pub(super) fn simple_path(&mut self) -> Parsed<Path> {
        let root = match self.peek() {
            Token::Name(name) | Token::Quoted(name) => name.clone(),
            _ => return Err("Expected identifier for simple path".to_owned()),
        };
        let span = self.span();
        self.next();
        Ok(Path { root, span, steps: self.steps(false)? })
    }

    fn steps(&mut self, full: bool) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.take(Mark::Dot) {
                steps.push(match self.next() {
                    Token::Name(name) | Token::Quoted(name) => Step::Name(name),
                    Token::Star if full => Step::Star,
                    Token::Star => return Err("Invalid path dot component for simple path".to_owned()),
                    _ => return Err("Invalid path dot component".to_owned()),
                });
            } else if self.take(Mark::LeftBracket) {
                if *self.peek() == Token::Star {
                    self.next();
                    self.expect(Mark::RightBracket)?;
                    if !full {
                        return Err("Invalid path component for simple path".to_owned());
                    }
                    steps.push(Step::Star);
                    continue;
                }
                let mut span = self.span();
                if matches!(self.peek(), Token::Operator("-")) {
                    // AWS points at the digits.
                    span = self.tokens.get(self.at + 1).map_or(span, |(_, span)| *span);
                }
                let index = self.expression(0)?;
                self.expect(Mark::RightBracket)?;
                if !full && !matches!(index, Expr::Number(_) | Expr::Text(_)) {
                    return Err("Invalid path component for simple path".to_owned());
                }
                steps.push(Step::Index(index, span));
            } else {
                return Ok(steps);
            }
        }
    }

    pub(super) fn expressions(&mut self) -> Parsed<Vec<Expr>> {
        let mut out = vec![self.expression(0)?];
        while self.take(Mark::Comma) {
            out.push(self.expression(0)?);
        }
        Ok(out)
    }

    fn term(&mut self) -> Parsed<Expr> {
        let unexpected = "Unexpected term".to_owned();
        match self.peek().clone() {
            Token::Keyword(word) => self.keyword_term(word),
            Token::Operator(_) | Token::Star => Err(match self.peek() {
                Token::Star => unexpected,
                _ => "Unexpected operator".to_owned(),
            }),
            Token::Mark(Mark::LeftParen) => {
                self.next();
                if *self.peek() == Token::Mark(Mark::RightParen) {
                    return Err(unexpected);
                }
                let mut list = self.expressions()?;
                self.expect(Mark::RightParen)?;
                Ok(if list.len() == 1 { list.swap_remove(0) } else { Expr::List(list) })
            }
            Token::Mark(Mark::LeftBracket) => self.sequence(Mark::RightBracket).map(Expr::List),
            Token::Mark(Mark::LeftDoubleAngle) => self.sequence(Mark::RightDoubleAngle).map(Expr::Bag),
            Token::Mark(Mark::LeftCurly) => self.fields().map(Expr::Struct),
            Token::Name(name) | Token::Quoted(name) => {
                let span = self.span();
                self.next();
                if *self.peek() == Token::Mark(Mark::LeftParen) {
                    return self.call(name.to_lowercase(), span);
                }
                Ok(Expr::Path(Path { root: name, span, steps: Vec::new() }))
            }
            Token::Parameter => {
                let span = self.span();
                self.next();
                self.parameters += 1;
                Ok(Expr::Parameter(self.parameters - 1, span))
            }
            Token::Text(text) => {
                self.next();
                Ok(Expr::Text(text))
            }
            Token::Number(number) => {
                self.next();
                Ok(Expr::Number(number))
            }
            Token::Ion => {
                self.next();
                Ok(Expr::Unsupported("Ion literal"))
            }
            Token::Mark(_) | Token::End => Err(unexpected),
        }
    }

    fn fields(&mut self) -> Parsed<Vec<(Expr, Expr)>> {
        self.next();
        let mut fields = Vec::new();
        while !self.take(Mark::RightCurly) {
            if !fields.is_empty() && !self.take(Mark::Comma) {
                return Err(format!("Expected {}", Mark::RightCurly));
            }
            let key = self.expression(0)?;
            self.expect(Mark::Colon)?;
            fields.push((key, self.expression(0)?));
        }
        Ok(fields)
    }

    fn sequence(&mut self, close: Mark) -> Parsed<Vec<Expr>> {
        self.next();
        if self.take(close) {
            return Ok(Vec::new());
        }
        let list = self.expressions()?;
        self.expect(close)?;
        Ok(list)
    }

    fn call(&mut self, name: String, span: Span) -> Parsed<Expr> {
        self.expect(Mark::LeftParen)?;
        if *self.peek() == Token::Star {
            return Err(format!("{name}(*) is not allowed"));
        }
        if self.take(Mark::RightParen) {
            return Ok(Expr::Call(name, Vec::new(), span));
        }
        let arguments = self.expressions()?;
        self.expect(Mark::RightParen)?;
        Ok(Expr::Call(name, arguments, span))
    }

    fn keyword_term(&mut self, word: &'static str) -> Parsed<Expr> {
        let statement = |statement: Statement| Ok(Expr::Statement(Box::new(statement)));
        match word {
            "true" | "false" => {
                self.next();
                Ok(Expr::Bool(word == "true"))
            }
            "null" => {
                self.next();
                Ok(Expr::Null)
            }
            "missing" => {
                self.next();
                Ok(Expr::Missing)
            }
            "select" => {
                self.next();
                statement(Statement::Select(self.select()?))
            }
            "insert_into" => {
                self.next();
                statement(self.insert()?)
            }
            "update" => {
                self.next();
                let target = self.target()?;
                let operations = self.operations()?;
                let condition = self.condition()?;
                let returning = self.returning()?;
                statement(Statement::Update { target, operations, condition, returning })
            }
            // SET and REMOVE alone change nothing that has a name.
            "set" | "remove" => {
                self.operations()?;
                Ok(Expr::Unsupported("SET or REMOVE without UPDATE"))
            }
            "delete" => {
                self.next();
                if !self.take_keyword("from") {
                    return Err("Expected FROM after DELETE".to_owned());
                }
                let target = self.target()?;
                let condition = self.condition()?;
                let returning = self.returning()?;
                statement(Statement::Delete { target, condition, returning })
            }
            "from" => {
                self.next();
                let target = self.source(0)?;
                let condition = self.condition()?;
                let operations = self.operations()?;
                let returning = self.returning()?;
                statement(Statement::Update { target, operations, condition, returning })
            }
            function if FUNCTIONS.contains(&function) && *self.second() == Token::Mark(Mark::LeftParen) => {
                let span = self.span();
                self.next();
                self.call(function.to_owned(), span)
            }
            _ => Err("Unexpected keyword".to_owned()),
        }
    }
}
