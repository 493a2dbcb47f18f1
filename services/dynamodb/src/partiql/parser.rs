//! From text to statements.
//!
//! The grammar and the words for mistakes are those of the parser that AWS published (partiql-lang): an expression
//! parser that climbs precedences, in which statements are terms.

use super::ast::{Expr, Operation, Path, Returning, Select, Source, Statement, Step};
use super::lexer::{Mark, Span, Token, tokens};

type Parsed<T> = Result<T, String>;

/// How deep expressions may nest. Values nest to 32 levels; the rest is for conditions.
const MAX_DEPTH: usize = 100;
/// The most operators between operands: what they join nests as deep as they are many.
const MAX_OPERATORS: usize = 300;
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

/// Precedence of what stands behind FROM, WHERE and the like.
const CLAUSE: u8 = 6;

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
    tokens: Vec<(Token, Span)>,
    at: usize,
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
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn second(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Option<Span> {
        self.tokens.get(self.at).map(|(_, span)| *span)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn keyword(&self) -> Option<&'static str> {
        match self.peek() {
            Token::Keyword(word) => Some(word),
            _ => None,
        }
    }

    fn take(&mut self, mark: Mark) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.next();
        }
        found
    }

    fn take_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword() == Some(word);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, mark: Mark) -> Parsed<()> {
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

    fn expression(&mut self, precedence: u8) -> Parsed<Expr> {
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
                    "The expression contains too many operators; operator count: {MAX_OPERATORS}"
                ));
            }
            let boxed = Box::new(left);
            left = match operator {
                "is" | "is_not" => {
                    let kind = self.kind()?;
                    let is = Expr::Is(boxed, kind);
                    if operator == "is" { is } else { Expr::Unary("not", Box::new(is)) }
                }
                "in" | "not_in" => {
                    let parenthesis = *self.peek() == Token::Mark(Mark::LeftParen)
                        && !matches!(self.second(), Token::Keyword("select" | "values"));
                    let right = if parenthesis {
                        self.next();
                        let list = self.expressions()?;
                        self.expect(Mark::RightParen)?;
                        Expr::List(list)
                    } else {
                        self.right(binds)?
                    };
                    let binary = Expr::Binary("in", boxed, Box::new(right));
                    if operator == "in" { binary } else { Expr::Unary("not", Box::new(binary)) }
                }
                "between" | "not_between" => {
                    let low = self.right(binds)?;
                    if !self.take_keyword("and") {
                        return Err("Expected AND keyword".to_owned());
                    }
                    if *self.peek() == Token::End {
                        return Err("Expected expression after AND".to_owned());
                    }
                    let high = self.expression(binds)?;
                    let between = Expr::Between(boxed, Box::new(low), Box::new(high));
                    if operator == "between" { between } else { Expr::Unary("not", Box::new(between)) }
                }
                "like" | "not_like" => {
                    self.right(binds)?;
                    if self.take_keyword("escape") {
                        self.expression(binds)?;
                    }
                    Expr::Unsupported("LIKE")
                }
                _ => Expr::Binary(operator, boxed, Box::new(self.right(binds)?)),
            };
        }
    }

    fn right(&mut self, binds: u8) -> Parsed<Expr> {
        if *self.peek() == Token::End {
            return Err("Missing right-hand side expression of infix operator".to_owned());
        }
        self.expression(binds)
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
        let operator = match self.peek() {
            Token::Operator(sign @ ("+" | "-")) => *sign,
            Token::Keyword("not") => "not",
            _ => return self.full_path(),
        };
        self.next();
        if operator == "not" {
            return Ok(Expr::Unary("not", Box::new(self.expression(30)?)));
        }
        if self.depth >= MAX_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        self.depth += 1;
        let term = self.unary();
        self.depth -= 1;
        Ok(match (operator, term?) {
            ("+", Expr::Number(number)) => Expr::Number(number),
            (_, Expr::Number(number)) => Expr::Number(match number.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{number}"),
            }),
            (operator, term) => Expr::Unary(operator, Box::new(term)),
        })
    }

    fn full_path(&mut self) -> Parsed<Expr> {
        let term = self.term()?;
        let steps = self.steps(true)?;
        match (term, steps.is_empty()) {
            (term, true) => Ok(term),
            (Expr::Path(path), false) => Ok(Expr::Path(Path { root: path.root, steps })),
            // A step into what is no name: of no use to DynamoDB.
            (_, false) => Ok(Expr::Unsupported("path")),
        }
    }

    /// A path of names and literal indexes, as statements have it for what they change.
    fn simple_path(&mut self) -> Parsed<Path> {
        let root = match self.peek() {
            Token::Name(name) | Token::Quoted(name) => name.clone(),
            _ => return Err("Expected identifier for simple path".to_owned()),
        };
        self.next();
        Ok(Path { root, steps: self.steps(false)? })
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
                    span = self.tokens.get(self.at + 1).map(|(_, span)| *span);
                }
                let index = self.expression(0)?;
                self.expect(Mark::RightBracket)?;
                if !full && !matches!(index, Expr::Number(_) | Expr::Text(_)) {
                    return Err("Invalid path component for simple path".to_owned());
                }
                if let Some(span) = span {
                    steps.push(Step::Index(index, span));
                }
            } else {
                return Ok(steps);
            }
        }
    }

    fn expressions(&mut self) -> Parsed<Vec<Expr>> {
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
            Token::Mark(Mark::LeftCurly) => {
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
                Ok(Expr::Struct(fields))
            }
            Token::Name(name) | Token::Quoted(name) => {
                self.next();
                if *self.peek() == Token::Mark(Mark::LeftParen) {
                    return self.call(name.to_lowercase());
                }
                Ok(Expr::Path(Path { root: name, steps: Vec::new() }))
            }
            Token::Parameter => {
                self.next();
                self.parameters += 1;
                Ok(Expr::Parameter(self.parameters - 1))
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

    fn sequence(&mut self, close: Mark) -> Parsed<Vec<Expr>> {
        self.next();
        if self.take(close) {
            return Ok(Vec::new());
        }
        let list = self.expressions()?;
        self.expect(close)?;
        Ok(list)
    }

    fn call(&mut self, name: String) -> Parsed<Expr> {
        self.expect(Mark::LeftParen)?;
        if *self.peek() == Token::Star {
            return Err(format!("{name}(*) is not allowed"));
        }
        if self.take(Mark::RightParen) {
            return Ok(Expr::Call(name, Vec::new()));
        }
        let arguments = self.expressions()?;
        self.expect(Mark::RightParen)?;
        Ok(Expr::Call(name, arguments))
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
                self.next();
                self.call(function.to_owned())
            }
            _ => Err("Unexpected keyword".to_owned()),
        }
    }

    fn condition(&mut self) -> Parsed<Option<Expr>> {
        if self.take_keyword("where") { self.expression(0).map(Some) } else { Ok(None) }
    }

    fn target(&mut self) -> Parsed<Source> {
        let path = self.simple_path()?;
        let aliased = self.alias()?;
        Ok(Source { expr: Expr::Path(path), aliased, joined: false })
    }

    fn source(&mut self, precedence: u8) -> Parsed<Source> {
        let parenthesis = *self.peek() == Token::Mark(Mark::LeftParen)
            && !matches!(self.second(), Token::Keyword("select") | Token::Text(_) | Token::Number(_));
        let expr = if parenthesis {
            self.next();
            let inner = self.expression(precedence)?;
            self.expect(Mark::RightParen)?;
            inner
        } else {
            self.expression(precedence)?
        };
        let aliased = self.alias()?;
        let mut joined = false;
        while self.take(Mark::Comma)
            || ["cross", "inner", "left", "right", "full", "outer", "join"]
                .iter()
                .any(|word| self.take_keyword(word))
        {
            joined = true;
            while self.take_keyword("outer") || self.take_keyword("join") {}
            self.expression(precedence)?;
            self.alias()?;
            if self.take_keyword("on") {
                self.expression(precedence)?;
            }
        }
        Ok(Source { expr, aliased, joined })
    }

    /// Another name for what was just read.
    fn alias(&mut self) -> Parsed<bool> {
        let mut aliased = false;
        for word in ["as", "at", "by"] {
            let named = self.take_keyword(word);
            if named || word == "as" && matches!(self.peek(), Token::Name(_) | Token::Quoted(_)) {
                aliased = true;
                if !matches!(self.next(), Token::Name(_) | Token::Quoted(_)) {
                    return Err(format!("Expected identifier for {}-alias", word.to_uppercase()));
                }
            }
        }
        Ok(aliased)
    }

    fn operations(&mut self) -> Parsed<Vec<Operation>> {
        let mut out = Vec::new();
        loop {
            if self.take_keyword("set") {
                loop {
                    let path = self.simple_path()?;
                    if !matches!(self.peek(), Token::Operator("=")) {
                        return Err("Expected '='".to_owned());
                    }
                    self.next();
                    out.push(Operation::Set(path, self.expression(0)?));
                    if !self.take(Mark::Comma) {
                        break;
                    }
                }
            } else if self.take_keyword("remove") {
                out.push(Operation::Remove(self.simple_path()?));
            } else if out.is_empty() {
                return Err("Expected data manipulation".to_owned());
            } else {
                return Ok(out);
            }
        }
    }

    fn insert(&mut self) -> Parsed<Statement> {
        let target = self.simple_path()?;
        if !self.take_keyword("value") {
            self.expression(0)?;
            return Ok(Statement::InsertOther);
        }
        let value = self.expression(0)?;
        let conflict = self.take_keyword("on_conflict");
        if conflict {
            if !self.take_keyword("where") {
                return Err("invalid ON CONFLICT syntax".to_owned());
            }
            self.expression(0)?;
            if !self.take_keyword("do_nothing") {
                return Err("invalid ON CONFLICT syntax".to_owned());
            }
        }
        let returning = self.returning()?;
        Ok(Statement::Insert { target, value, conflict, returning })
    }

    fn returning(&mut self) -> Parsed<Option<Returning>> {
        if !self.take_keyword("returning") {
            return Ok(None);
        }
        let mut out: Option<Returning> = None;
        loop {
            let mapping = match self.keyword() {
                Some(word @ ("modified_old" | "modified_new" | "all_old" | "all_new")) => word,
                _ => {
                    return Err(
                        "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.".to_owned()
                    );
                }
            };
            self.next();
            let star = *self.peek() == Token::Star;
            if star {
                self.next();
            } else {
                self.expression(0)?;
            }
            let several = out.is_some();
            out = Some(Returning { mapping, star, several });
            if !self.take(Mark::Comma) {
                return Ok(out);
            }
        }
    }

    fn select(&mut self) -> Parsed<Select> {
        let mut unsupported = None;
        let mut note = |what: &'static str, span: Option<Span>| {
            if unsupported.is_none() {
                unsupported = span.map(|span| (what, span));
            }
        };
        match self.keyword() {
            Some("distinct") => {
                note("DISTINCT", self.span());
                self.next();
            }
            Some("all") => {
                self.next();
            }
            Some("value") => {
                note("SELECT VALUE", self.span());
                self.next();
            }
            _ => {}
        }
        let (mut columns, mut star, mut aliased) = (Vec::new(), false, false);
        loop {
            if *self.peek() == Token::Star {
                self.next();
                star = true;
            } else {
                columns.push(self.expression(0)?);
                aliased |= self.alias()?;
            }
            if !self.take(Mark::Comma) {
                break;
            }
        }
        if star && !columns.is_empty() {
            return Err("Other expressions may not be present in the select list when '*' is used without dot notation."
                .to_owned());
        }
        if !self.take_keyword("from") {
            return Err("Expected FROM after SELECT list".to_owned());
        }
        let mut source = self.source(CLAUSE)?;
        source.aliased |= aliased;
        let condition = if self.take_keyword("where") { Some(self.expression(CLAUSE)?) } else { None };
        let mut order = Vec::new();
        if self.take_keyword("order") {
            if !self.take_keyword("by") {
                return Err("Expected BY".to_owned());
            }
            loop {
                let key = self.expression(0)?;
                let descending = self.take_keyword("desc");
                if !descending {
                    self.take_keyword("asc");
                }
                order.push((key, descending));
                if !self.take(Mark::Comma) {
                    break;
                }
            }
        }
        if let Some("group") = self.keyword() {
            note("GROUP BY", self.span());
            self.next();
            self.take_keyword("partial");
            if !self.take_keyword("by") {
                return Err("Expected BY".to_owned());
            }
            self.expressions()?;
        }
        for (word, name) in [("having", "HAVING"), ("limit", "LIMIT")] {
            if self.keyword() == Some(word) {
                note(name, self.span());
                self.next();
                self.expression(CLAUSE)?;
            }
        }
        let columns = (!star).then_some(columns);
        Ok(Select { columns, source, condition, order, unsupported })
    }
}
