//! From text to syntax.
//!
//! No input makes it recurse deeply: conditions are reduced with a stack of their own, parentheses around operands are
//! counted, and functions nest no deeper than an expression may have operators.
//!
//! Errors are AWS's sentences without the `Invalid …Expression: ` before them. Source: Developer Guide, "Expressions"
//! and the answers of the real service.

use super::lexer::{Token, Tokens};
use super::syntax::{Action, Assigned, Call, Comparator, Condition, Operand, Part, Path};

/// The longest expression, in bytes. Source: Developer Guide, "Quotas", expression parameters.
const MAX_TEXT: usize = 4096;
/// The most operators and functions in an expression.
const MAX_OPERATORS: usize = 300;

type Parsed<T> = Result<T, String>;

/// What was noticed while reading, and is said only where the whole text reads well.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) redundant_parentheses: bool,
    operators: usize,
}

impl Notes {
    fn operator(&mut self) {
        self.operators += 1;
    }

    /// AWS's sentence about too many operators, if there are.
    pub(crate) fn too_many_operators(&self) -> Parsed<()> {
        if self.operators > MAX_OPERATORS {
            // AWS stops to count at the first that is too many.
            return Err(format!(
                "The expression contains too many operators; operator count: {}",
                MAX_OPERATORS + 1
            ));
        }
        Ok(())
    }
}

pub(crate) struct Parser<'t> {
    tokens: Tokens<'t>,
    pub(crate) notes: Notes,
    /// Words that are no names here.
    keywords: &'static [&'static str],
}

const CONDITION_KEYWORDS: &[&str] = &["AND", "OR", "NOT", "IN", "BETWEEN"];
const UPDATE_KEYWORDS: &[&str] = &["SET", "REMOVE", "ADD", "DELETE"];

/// What stands between AND, OR and NOT while it is not yet known to be a condition.
enum Node {
    /// The flag says whether parentheses stand around it.
    Operand(Operand, bool),
    Condition(Condition, bool),
}

/// What waits for its right side.
enum Waiting {
    Parenthesis,
    Not,
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, keywords: &'static [&'static str]) -> Parsed<Self> {
        if text.is_empty() {
            return Err("The expression can not be empty;".to_owned());
        }
        if text.len() > MAX_TEXT {
            let mut sentence = "Expression size has exceeded the maximum allowed size;".to_owned();
            // Of an update AWS does not say how large it is.
            if keywords != UPDATE_KEYWORDS {
                sentence.push_str(&format!(" expression size: {}", text.len()));
            }
            return Err(sentence);
        }
        Ok(Self { tokens: Tokens::new(text), notes: Notes::default(), keywords })
    }

    /// Reads a condition, a filter or a key condition.
    pub(crate) fn condition(text: &'t str) -> Parsed<(Condition, Notes)> {
        let mut parser = Self::new(text, CONDITION_KEYWORDS)?;
        let condition = parser.whole_condition()?;
        Ok((condition, parser.notes))
    }

    /// Reads an update: its actions, and the sections in their order.
    pub(crate) fn update(text: &'t str) -> Parsed<(Vec<Action>, Vec<&'static str>, Notes)> {
        let mut parser = Self::new(text, UPDATE_KEYWORDS)?;
        let (actions, sections) = parser.sections()?;
        Ok((actions, sections, parser.notes))
    }

    /// Reads a projection.
    pub(crate) fn projection(text: &'t str) -> Parsed<Vec<Path>> {
        let mut parser = Self::new(text, &[])?;
        let mut paths = vec![parser.path()?];
        while parser.tokens.take(Token::Comma) {
            paths.push(parser.path()?);
        }
        parser.tokens.expect(Token::End)?;
        Ok(paths)
    }

    fn whole_condition(&mut self) -> Parsed<Condition> {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            if self.tokens.take(Token::Open) {
                waiting.push(Waiting::Parenthesis);
                continue;
            }
            if self.tokens.take_keyword("NOT") {
                self.notes.operator();
                waiting.push(Waiting::Not);
                continue;
            }
            let mut node = Node::Operand(self.simple_operand(0)?, false);
            // After an operand or a condition, until the next one must begin.
            loop {
                if let Node::Operand(left, parenthesized) = node {
                    node = self.comparison(left, parenthesized)?;
                }
                if self.tokens.at_keyword("AND") {
                    let mut terms = match self.reduce(&mut waiting, node, 2)? {
                        (Condition::And(terms), false) => terms,
                        (other, _) => vec![other],
                    };
                    self.tokens.advance();
                    self.notes.operator();
                    terms.shrink_to_fit();
                    waiting.push(Waiting::And(terms));
                    break;
                }
                if self.tokens.at_keyword("OR") {
                    let terms = match self.reduce(&mut waiting, node, 1)? {
                        (Condition::Or(terms), false) => terms,
                        (other, _) => vec![other],
                    };
                    self.tokens.advance();
                    self.notes.operator();
                    waiting.push(Waiting::Or(terms));
                    break;
                }
                let open = waiting.iter().any(|w| matches!(w, Waiting::Parenthesis));
                if open && self.tokens.peek() == Token::Close {
                    node = match node {
                        Node::Operand(operand, inner)
                            if matches!(waiting.last(), Some(Waiting::Parenthesis)) =>
                        {
                            self.notes.redundant_parentheses |= inner;
                            Node::Operand(operand, true)
                        }
                        other => {
                            let (condition, inner) = self.reduce(&mut waiting, other, 0)?;
                            self.notes.redundant_parentheses |= inner;
                            Node::Condition(condition, true)
                        }
                    };
                    waiting.pop();
                    self.tokens.advance();
                    continue;
                }
                if open || self.tokens.peek() != Token::End {
                    // An operand alone would be the mistake, but AWS names the token behind it in either case.
                    return Err(self.tokens.misplaced());
                }
                return Ok(self.reduce(&mut waiting, node, 0)?.0);
            }
        }
    }

    /// Joins what waits and binds at least as tightly (NOT 3, AND 2, OR 1) with this right side. The flag says whether
    /// the whole result stands in parentheses.
    fn reduce(&self, waiting: &mut Vec<Waiting>, node: Node, least: u8) -> Parsed<(Condition, bool)> {
        let (mut condition, mut parenthesized) = match node {
            Node::Condition(condition, parenthesized) => (condition, parenthesized),
            Node::Operand(Operand::Call(call), parenthesized) => (Condition::Call(call), parenthesized),
            Node::Operand(..) => return Err(self.tokens.misplaced()),
        };
        loop {
            let binds = match waiting.last() {
                Some(Waiting::Not) => 3,
                Some(Waiting::And(_)) => 2,
                Some(Waiting::Or(_)) => 1,
                Some(Waiting::Parenthesis) | None => return Ok((condition, parenthesized)),
            };
            if binds < least {
                return Ok((condition, parenthesized));
            }
            condition = match waiting.pop() {
                Some(Waiting::And(mut terms)) => {
                    terms.push(condition);
                    Condition::And(terms)
                }
                Some(Waiting::Or(mut terms)) => {
                    terms.push(condition);
                    Condition::Or(terms)
                }
                _ => Condition::Not(Box::new(condition)),
            };
            parenthesized = false;
        }
    }

    /// What follows a left operand: a comparison, BETWEEN, IN, or nothing.
    fn comparison(&mut self, left: Operand, parenthesized: bool) -> Parsed<Node> {
        let comparator = match self.tokens.peek() {
            Token::Equal => Some(Comparator::Equal),
            Token::NotEqual => Some(Comparator::NotEqual),
            Token::Less => Some(Comparator::Less),
            Token::LessEqual => Some(Comparator::LessEqual),
            Token::Greater => Some(Comparator::Greater),
            Token::GreaterEqual => Some(Comparator::GreaterEqual),
            _ => None,
        };
        let condition = if let Some(comparator) = comparator {
            self.tokens.advance();
            Condition::Compare(comparator, left, self.operand(0)?)
        } else if self.tokens.take_keyword("BETWEEN") {
            let low = self.operand(0)?;
            if !self.tokens.take_keyword("AND") {
                return Err(self.tokens.misplaced());
            }
            Condition::Between(left, low, self.operand(0)?)
        } else if self.tokens.take_keyword("IN") {
            self.tokens.expect(Token::Open)?;
            let mut list = vec![self.operand(0)?];
            while self.tokens.take(Token::Comma) {
                list.push(self.operand(0)?);
            }
            self.tokens.expect(Token::Close)?;
            Condition::In(left, list)
        } else {
            return Ok(Node::Operand(left, parenthesized));
        };
        self.notes.operator();
        Ok(Node::Condition(condition, false))
    }

    /// An operand, in any number of parentheses; more than one are redundant.
    fn operand(&mut self, depth: usize) -> Parsed<Operand> {
        let mut open = 0usize;
        while self.tokens.take(Token::Open) {
            open += 1;
        }
        let operand = self.simple_operand(depth)?;
        for _ in 0..open {
            self.tokens.expect(Token::Close)?;
        }
        self.notes.redundant_parentheses |= open > 1;
        Ok(operand)
    }

    /// An operand without parentheses around it.
    fn simple_operand(&mut self, depth: usize) -> Parsed<Operand> {
        if self.tokens.peek() == Token::Value {
            let name = self.tokens.text().to_owned();
            self.tokens.advance();
            return Ok(Operand::Value(name));
        }
        let word = self.tokens.peek() == Token::Word;
        let name = self.tokens.text();
        let first = self.name()?;
        if !word || self.tokens.peek() != Token::Open {
            return Ok(Operand::Path(self.rest_of_path(first)?));
        }
        self.tokens.advance();
        self.notes.operator();
        if depth >= MAX_OPERATORS {
            self.notes.operators = MAX_OPERATORS + 1;
            self.notes.too_many_operators()?;
        }
        let mut arguments = vec![self.operand(depth + 1)?];
        while self.tokens.take(Token::Comma) {
            arguments.push(self.operand(depth + 1)?);
        }
        self.tokens.expect(Token::Close)?;
        Ok(Operand::Call(Call { name: name.to_owned(), arguments }))
    }

    fn name(&mut self) -> Parsed<Part> {
        let text = self.tokens.text();
        let part = match self.tokens.peek() {
            Token::Word if !self.keywords.iter().any(|keyword| keyword.eq_ignore_ascii_case(text)) => {
                Part::Plain(text.to_owned())
            }
            Token::Name => Part::Placeholder(text.to_owned()),
            _ => return Err(self.tokens.misplaced()),
        };
        self.tokens.advance();
        Ok(part)
    }

    fn path(&mut self) -> Parsed<Path> {
        let first = self.name()?;
        self.rest_of_path(first)
    }

    fn rest_of_path(&mut self, first: Part) -> Parsed<Path> {
        let mut path = vec![first];
        loop {
            if self.tokens.take(Token::Dot) {
                path.push(self.name()?);
            } else if self.tokens.take(Token::OpenIndex) {
                let text = self.tokens.text();
                self.tokens.expect(Token::Index)?;
                self.tokens.expect(Token::CloseIndex)?;
                match text.parse::<u32>() {
                    Ok(index) if index < u32::MAX => path.push(Part::Index(index)),
                    _ => {
                        return Err(format!("List index is not within the allowable range; index: [{text}]"));
                    }
                }
            } else {
                return Ok(path);
            }
        }
    }

    fn sections(&mut self) -> Parsed<(Vec<Action>, Vec<&'static str>)> {
        let (mut actions, mut sections) = (Vec::new(), Vec::new());
        while self.tokens.peek() != Token::End || sections.is_empty() {
            let Some(section) = UPDATE_KEYWORDS.iter().find(|keyword| self.tokens.take_keyword(keyword))
            else {
                return Err(self.tokens.misplaced());
            };
            sections.push(*section);
            loop {
                let path = self.path()?;
                actions.push(match *section {
                    "SET" => {
                        self.tokens.expect(Token::Equal)?;
                        Action::Set(path, self.assigned()?)
                    }
                    "ADD" => Action::Add(path, self.value()?),
                    "DELETE" => Action::Delete(path, self.value()?),
                    _ => Action::Remove(path),
                });
                if !self.tokens.take(Token::Comma) {
                    break;
                }
            }
        }
        Ok((actions, sections))
    }

    fn value(&mut self) -> Parsed<String> {
        let name = self.tokens.text().to_owned();
        self.tokens.expect(Token::Value)?;
        Ok(name)
    }

    /// The right side of an assignment: an operand, or a sum or difference, which may stand in parentheses.
    fn assigned(&mut self) -> Parsed<Assigned> {
        let mut open = 0usize;
        while self.tokens.take(Token::Open) {
            open += 1;
        }
        let left = self.simple_operand(0)?;
        let mut closed = 0usize;
        while closed < open && self.tokens.take(Token::Close) {
            closed += 1;
        }
        open -= closed;
        self.notes.redundant_parentheses |= closed > 1;
        let plus = match self.tokens.peek() {
            Token::Plus => true,
            Token::Minus => false,
            _ if open == 0 => return Ok(Assigned::Operand(left)),
            _ => return Err(self.tokens.misplaced()),
        };
        self.tokens.advance();
        self.notes.operator();
        let right = self.operand(0)?;
        for _ in 0..open {
            self.tokens.expect(Token::Close)?;
        }
        self.notes.redundant_parentheses |= open > 1;
        Ok(if plus { Assigned::Sum(left, right) } else { Assigned::Difference(left, right) })
    }
}
