//! Calls of functions and aggregates, and CAST. Source: S3 User Guide, "SQL functions".

use super::{Aggregate, Expr, Parser, Refused, Token, Type};
use crate::select::stamp::Part;
use crate::select::value::Value;
use crate::select::words::refused;

impl Parser {
    /// A call, after its parenthesis; the name in upper case.
    pub(super) fn call(&mut self, name: &str) -> Result<Expr, Refused> {
        let upper = name.to_owned();
        let aggregate = match upper.as_str() {
            "COUNT" => Some(Aggregate::Count),
            "SUM" => Some(Aggregate::Sum),
            "AVG" => Some(Aggregate::Avg),
            "MIN" => Some(Aggregate::Min),
            "MAX" => Some(Aggregate::Max),
            _ => None,
        };
        if let Some(aggregate) = aggregate {
            return self.aggregate(aggregate);
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
                } else if self.symbol(")") {
                    return Err(refused("EvaluatorInvalidArguments"));
                } else {
                    return Err(refused("ParseExpectedArgumentDelimiter"));
                }
                self.counted(upper, arguments, 2..=3)
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
                if !self.symbol(",") {
                    return Err(refused("ParseExpectedArgumentDelimiter"));
                }
                arguments.extend(self.list()?);
                self.counted(upper, arguments, 3..=3)
            }
            "COALESCE" => {
                let arguments = self.list()?;
                self.counted(upper, arguments, 1..=64)
            }
            "UTCNOW" => {
                let arguments = self.list()?;
                self.counted(upper, arguments, 0..=0)
            }
            "NULLIF" | "TO_STRING" => {
                let arguments = self.list()?;
                self.counted(upper, arguments, 2..=2)
            }
            "TO_TIMESTAMP" => {
                let arguments = self.list()?;
                self.counted(upper, arguments, 1..=2)
            }
            "LOWER" | "UPPER" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "SIZE" => {
                let arguments = self.list()?;
                self.counted(upper, arguments, 1..=1)
            }
            _ => Err(refused("UnsupportedFunction")),
        }
    }

    fn counted(
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
            Some(Token::Word(word)) if Part::read(&word).is_some() => {
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

    /// An aggregate, after its parenthesis. Errors: `UnsupportedSqlOperation` where there are none, …
    fn aggregate(&mut self, aggregate: Aggregate) -> Result<Expr, Refused> {
        if !self.aggregating {
            return Err(refused("UnsupportedSqlOperation"));
        }
        if self.is_word("DISTINCT") || self.is_word("ALL") {
            return Err(refused("UnsupportedSqlStructure"));
        }
        let all = self.symbol("*");
        if all && aggregate != Aggregate::Count {
            return Err(refused("ParseUnsupportedCallWithStar"));
        }
        if !all && self.symbol(")") {
            return Err(refused("ParseNonUnaryAgregateFunctionCall"));
        }
        // What stands inside is no column of the result.
        let (seen, aggregating) = (self.seen, std::mem::replace(&mut self.aggregating, false));
        let over = if all { None } else { Some(Box::new(self.expr()?)) };
        let wildcard = seen.wildcard || self.seen.wildcard;
        self.seen = super::Seen { aggregate: true, wildcard, ..seen };
        self.aggregating = aggregating;
        if self.symbol(",") {
            return Err(refused("ParseNonUnaryAgregateFunctionCall"));
        }
        self.close()?;
        self.aggregates += 1;
        Ok(Expr::Aggregate(aggregate, self.aggregates - 1, over))
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
            _ => return Err(refused("InvalidDataType")),
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
