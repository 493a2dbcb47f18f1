//! Expressions, from the weakest operator to the strongest. Source: S3 User Guide, "Operators", operator precedence.

use super::{DEEPEST, Expr, Parser, Refused, Step, Token};
use crate::select::value::Value;
use crate::select::words::{no_expression, refused, unexpected};

/// Words that cannot begin an expression.
const KEYWORDS: [&str; 12] =
    ["FROM", "WHERE", "LIMIT", "AND", "OR", "AS", "IN", "LIKE", "BETWEEN", "IS", "THEN", "END"];

/// Functions that are nothing else, so that their parenthesis must follow.
const FUNCTIONS: [&str; 5] = ["COALESCE", "EXTRACT", "NULLIF", "SUBSTRING", "TRIM"];

impl Parser {
    pub(super) fn expr(&mut self) -> Result<Expr, Refused> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused("UnsupportedSyntax"));
        }
        let mut all = vec![self.and()?];
        while self.word("OR") {
            all.push(self.and()?);
        }
        self.depth -= 1;
        Ok(alone(all, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, Refused> {
        let mut all = vec![self.not()?];
        while self.word("AND") {
            all.push(self.not()?);
        }
        Ok(alone(all, Expr::And))
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
                // `==`, `=<` and their like.
                if matches!(self.tokens.peek(), Some(Token::Symbol("=" | "<" | ">" | "<=" | ">=" | "<>"))) {
                    return Err(refused("ParseUnknownOperator"));
                }
                return Ok(Expr::Binary(meant, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.word("IS") {
            let negated = self.word("NOT");
            let missing = self.word("MISSING");
            if !missing && !self.word("NULL") {
                return Err(refused("ParseExpected2TokenTypes"));
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
    pub(super) fn list(&mut self) -> Result<Vec<Expr>, Refused> {
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
        self.chain(["+", "-", "||"], Self::product)
    }

    fn product(&mut self) -> Result<Expr, Refused> {
        self.chain(["*", "/", "%"], Self::unary)
    }

    /// Operators of one strength, and what stands between them.
    fn chain(
        &mut self,
        symbols: [&'static str; 3],
        operand: fn(&mut Self) -> Result<Expr, Refused>,
    ) -> Result<Expr, Refused> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(symbol) = symbols.into_iter().find(|symbol| self.symbol(symbol)) {
            rest.push((symbol, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) })
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
            Some(Token::Number(n)) => number(&n),
            Some(Token::Text(text)) => Ok(Expr::Literal(Value::Text(text))),
            Some(Token::Literal(value)) => Ok(Expr::Literal(value)),
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
            Some(Token::Symbol("[")) => self.elements(),
            Some(Token::Symbol("{")) => Err(self.no_members()),
            Some(Token::Symbol("@")) => Err(self.after_at()),
            Some(Token::Name(name)) => self.path(Step::Name(name, true)),
            Some(Token::Word(word)) => self.named(word),
            other => Err(no_expression(other.as_ref())),
        }
    }

    /// A list, after its bracket.
    fn elements(&mut self) -> Result<Expr, Refused> {
        let mut list = Vec::new();
        if self.symbol("]") {
            return Ok(Expr::List(list));
        }
        loop {
            list.push(self.expr()?);
            if self.symbol("]") {
                return Ok(Expr::List(list));
            }
            if !self.symbol(",") {
                return Err(refused("ParseExpectedArgumentDelimiter"));
            }
        }
    }

    /// What is said of a structure, after its brace: there are none.
    fn no_members(&mut self) -> Refused {
        let name = matches!(self.tokens.next(), Some(Token::Text(_) | Token::Symbol("}")));
        refused(if name { "ParseUnsupportedSyntax" } else { "ParseExpectedMember" })
    }

    fn path(&mut self, first: Step) -> Result<Expr, Refused> {
        let mut steps = vec![first];
        steps.extend(self.steps()?);
        self.seen.path = true;
        self.seen.wildcard |= steps.iter().any(|step| matches!(step, Step::All | Step::Star));
        Ok(Expr::Path(steps))
    }

    fn named(&mut self, word: String) -> Result<Expr, Refused> {
        match word.to_ascii_uppercase().as_str() {
            "TRUE" => Ok(Expr::Literal(Value::Bool(true))),
            "FALSE" => Ok(Expr::Literal(Value::Bool(false))),
            "NULL" => Ok(Expr::Literal(Value::Null)),
            "MISSING" => Ok(Expr::Literal(Value::Missing)),
            "CASE" => self.case(),
            "SELECT" => Err(refused("ParseUnsupportedSelect")),
            upper if KEYWORDS.contains(&upper) => Err(refused("ParseUnExpectedKeyword")),
            upper if self.symbol("(") => self.call(upper),
            "CAST" => Err(refused("ParseExpectedLeftParenAfterCast")),
            upper if FUNCTIONS.contains(&upper) => Err(refused("ParseExpectedLeftParenBuiltinFunctionCall")),
            _ => self.path(Step::Name(word, false)),
        }
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
        if other.is_some() && (self.is_word("WHEN") || self.is_word("ELSE")) {
            return Err(refused("ParseUnsupportedCaseClause"));
        }
        if arms.is_empty() {
            return Err(refused("ParseExpectedWhenClause"));
        }
        self.expect_word("END")?;
        Ok(Expr::Case(operand, arms, other))
    }
}

/// The only one of a list itself, more of them joined.
fn alone(mut all: Vec<Expr>, joined: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            joined(all)
        }
    }
}

/// A number as it is written. Errors: `NumberFormatError` for an integer of more than 64 bits, `LexerInvalidLiteral`.
fn number(text: &str) -> Result<Expr, Refused> {
    if text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i64>().is_err() {
        return Err(refused("NumberFormatError"));
    }
    Value::number(text).map(Expr::Literal).ok_or_else(|| refused("LexerInvalidLiteral"))
}
