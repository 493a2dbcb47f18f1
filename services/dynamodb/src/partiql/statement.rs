//! Statements: what follows their first word.

use super::ast::{Expr, Operation, Returning, Select, Source, Statement};
use super::lexer::{Mark, Span, Token};
use super::parser::{CLAUSE, Parsed, Parser};

impl Parser {
    pub(super) fn condition(&mut self) -> Parsed<Option<Expr>> {
        if self.take_keyword("where") { self.expression(0).map(Some) } else { Ok(None) }
    }

    pub(super) fn target(&mut self) -> Parsed<Source> {
        let path = self.simple_path()?;
        let aliased = self.alias()?;
        Ok(Source { expr: Expr::Path(path), aliased, joined: false })
    }

    pub(super) fn source(&mut self, precedence: u8) -> Parsed<Source> {
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

    pub(super) fn operations(&mut self) -> Parsed<Vec<Operation>> {
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

    pub(super) fn insert(&mut self) -> Parsed<Statement> {
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

    pub(super) fn returning(&mut self) -> Parsed<Option<Returning>> {
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

    pub(super) fn select(&mut self) -> Parsed<Select> {
        let mut unsupported = None;
        let mut note = |what: &'static str, span: Span| {
            unsupported = unsupported.or(Some((what, span)));
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
