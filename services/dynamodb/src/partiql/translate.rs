//! From statements to plans.

use super::ast::{self, Expr, Operation, Source as From, Statement, Step};
use super::literal::{self, Place};
use super::{Change, EXISTS_NEEDS_TRANSACTION, Exists, Insert, Plan, Returning, Select};
use crate::expression::path::check_clashes;
use crate::expression::{
    Action, Assigned, Comparator, Condition, Element, Operand, Path, Source, Update, bind,
};
use crate::value::{Kind, Value, invalid};
use cloudlet_service::Error;

/// The most values behind IN.
const MAX_IN: usize = 100;

fn refused(message: String) -> Error {
    invalid(message)
}

/// The plan of a statement.
pub(super) fn plan(expr: Expr, parameters: &[Value]) -> Result<Plan, Error> {
    let translator = Translator { parameters };
    match expr {
        Expr::Statement(statement) => translator.statement(*statement),
        Expr::Call(name, mut arguments) if name == "exists" && arguments.len() == 1 => {
            let Some(Expr::Statement(statement)) = arguments.pop() else {
                return Err(invalid("EXISTS can only be used with a SELECT statement."));
            };
            match translator.statement(*statement)? {
                Plan::Select(Select { table, index: None, condition, .. }) => {
                    Ok(Plan::Exists(Exists { table, condition }))
                }
                _ => Err(invalid("EXISTS can only be used with a SELECT statement.")),
            }
        }
        // An expression by itself changes and reads nothing.
        _ => Err(super::malformed("Expected data manipulation")),
    }
}

struct Translator<'p> {
    parameters: &'p [Value],
}

impl Translator<'_> {
    fn statement(&self, statement: Statement) -> Result<Plan, Error> {
        match statement {
            Statement::Select(select) => self.select(select).map(Plan::Select),
            Statement::Insert { target, value, conflict, returning } => {
                if returning.is_some() {
                    return Err(invalid("RETURNING clause is not supported in INSERT statements."));
                }
                let (table, None) = table_and_index(&Expr::Path(target))? else {
                    return Err(invalid(ONE_TABLE));
                };
                let Expr::Struct(fields) = value else {
                    return Err(invalid(ITEM_SYNTAX));
                };
                let item = literal::members(&fields, self.parameters, &Place::item())?;
                Ok(Plan::Insert(Insert { table, item, or_nothing: conflict }))
            }
            Statement::InsertOther => Err(invalid(ITEM_SYNTAX)),
            Statement::Update { target, operations, condition, returning } => {
                let table = changed_table(&target)?;
                let update = self.update(&operations)?;
                let condition = condition.map(|condition| self.condition(&condition)).transpose()?;
                let returning = returning.map(returning_of).transpose()?;
                Ok(Plan::Update(Change { table, update: Some(update), condition, returning }))
            }
            Statement::Delete { target, condition, returning } => {
                let table = changed_table(&target)?;
                let condition = condition.map(|condition| self.condition(&condition)).transpose()?;
                let returning = returning.map(returning_of).transpose()?;
                if returning.is_some_and(|returning| returning != Returning::AllOld) {
                    return Err(invalid(
                        "Only ALL OLD * is supported in the RETURNING clause of DELETE statements.",
                    ));
                }
                Ok(Plan::Delete(Change { table, update: None, condition, returning }))
            }
        }
    }

    fn select(&self, select: ast::Select) -> Result<Select, Error> {
        if let Some((what, span)) = select.unsupported {
            return Err(invalid(format!("Unsupported clause: {what} at {span}")));
        }
        if select.source.joined {
            return Err(invalid("Only select from a single table or index is supported."));
        }
        if select.source.aliased {
            return Err(invalid("Aliasing is not supported"));
        }
        let (table, index) = table_and_index(&select.source.expr)?;
        let columns = match select.columns {
            None => None,
            Some(list) => Some(list.iter().map(column).collect::<Result<Vec<_>, _>>()?),
        };
        let condition = select.condition.map(|condition| self.condition(&condition)).transpose()?;
        let mut order = Vec::new();
        for (key, descending) in &select.order {
            match key {
                Expr::Path(path) if path.steps.is_empty() => order.push((path.root.clone(), *descending)),
                _ => return Err(invalid("ORDER BY can only be used with key attributes.")),
            }
        }
        if condition.is_none() && !order.is_empty() {
            return Err(invalid("Must have WHERE clause in the statement when using ORDER BY clause."));
        }
        Ok(Select { table, index, columns, condition, order })
    }

    fn update(&self, operations: &[Operation]) -> Result<Update, Error> {
        let mut actions = Vec::new();
        for operation in operations {
            actions.push(match operation {
                Operation::Remove(path) => Action::Remove(document_path(path)?),
                Operation::Set(path, expr) => self.assignment(document_path(path)?, expr)?,
            });
        }
        let targets: Vec<&Path> = actions.iter().map(Action::path).collect();
        check_clashes(&targets).map_err(refused)?;
        Ok(Update::new(actions))
    }

    fn assignment(&self, target: Path, expr: &Expr) -> Result<Action, Error> {
        match expr {
            Expr::Binary(symbol @ ("+" | "-"), left, right) => {
                let (left, right) = (self.source(left)?, self.source(right)?);
                bind::numbers(symbol, &left, &right).map_err(refused)?;
                let assigned = if *symbol == "+" {
                    Assigned::Sum(left, right)
                } else {
                    Assigned::Difference(left, right)
                };
                Ok(Action::Set(target, assigned))
            }
            Expr::Call(name, arguments) if matches!(name.as_str(), "set_add" | "set_delete") => {
                let [set, elements] = arguments.as_slice() else {
                    return Err(wrong_count(name, arguments.len()));
                };
                let elements = self.source(elements)?;
                let Source::Value(value) = elements else {
                    return Err(wrong_type(name, "path"));
                };
                let add = name == "set_add";
                if !(value.kind().is_set() || add && value.kind() == Kind::N) {
                    return Err(wrong_type(name, value.type_name()));
                }
                match self.source(set)? {
                    Source::Path(path) if path == target && add => Ok(Action::Add(target, value)),
                    Source::Path(path) if path == target => Ok(Action::Delete(target, value)),
                    _ => Err(invalid(format!(
                        "The first operand of {name} must be the attribute that is assigned to."
                    ))),
                }
            }
            other => Ok(Action::Set(target, Assigned::Source(self.source(other)?))),
        }
    }

    fn source(&self, expr: &Expr) -> Result<Source, Error> {
        if let Some(value) = literal::value(expr, self.parameters, &Place::value())? {
            return Ok(Source::Value(value));
        }
        match expr {
            Expr::Path(path) => Ok(Source::Path(document_path(path)?)),
            Expr::Call(name, arguments) => {
                let mut sources = Vec::new();
                for argument in arguments {
                    sources.push(self.source(argument)?);
                }
                let count = sources.len();
                let mut sources = sources.into_iter();
                let pair = (sources.next(), sources.next(), sources.next());
                match (name.as_str(), pair) {
                    ("list_append", (Some(first), Some(second), None)) => {
                        bind::list_append(first, second).map_err(refused)
                    }
                    ("if_not_exists", (Some(Source::Path(path)), Some(second), None)) => {
                        Ok(Source::IfNotExists(path, Box::new(second)))
                    }
                    ("if_not_exists", (Some(_), Some(_), None)) => Err(invalid(
                        "Operator or function requires a document path; operator or function: if_not_exists",
                    )),
                    ("list_append" | "if_not_exists", _) => Err(wrong_count(name, count)),
                    _ => Err(invalid(format!("Invalid function name; function: {name}"))),
                }
            }
            other => Err(unsupported(other)),
        }
    }

    fn condition(&self, expr: &Expr) -> Result<Condition, Error> {
        match expr {
            Expr::Binary(word @ ("and" | "or"), ..) => {
                // They lean to the left as far as they are many: walked, not recursed into.
                let (mut terms, mut at) = (Vec::new(), expr);
                while let Expr::Binary(other, left, right) = at
                    && other == word
                {
                    terms.push(self.condition(right)?);
                    at = left;
                }
                terms.push(self.condition(at)?);
                terms.reverse();
                Ok(if *word == "and" { Condition::And(terms) } else { Condition::Or(terms) })
            }
            Expr::Unary("not", inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            Expr::Binary("in", value, list) => {
                let (value @ Operand::Path(_), Expr::List(list)) = (self.operand(value)?, &**list) else {
                    return Err(invalid(IN_OPERANDS));
                };
                if list.is_empty() {
                    return Err(invalid(IN_OPERANDS));
                }
                if list.len() > MAX_IN {
                    return Err(invalid(format!(
                        "The IN operator is provided with too many operands; number of operands: {}",
                        list.len()
                    )));
                }
                let list = list.iter().map(|one| self.operand(one)).collect::<Result<Vec<_>, _>>()?;
                bind::is_in(value, list).map_err(refused)
            }
            Expr::Binary(symbol, left, right) => {
                let comparator = match *symbol {
                    "=" => Comparator::Equal,
                    "<>" | "!=" => Comparator::NotEqual,
                    "<" => Comparator::Less,
                    "<=" => Comparator::LessEqual,
                    ">" => Comparator::Greater,
                    ">=" => Comparator::GreaterEqual,
                    _ => return Err(unsupported(expr)),
                };
                bind::compare(comparator, self.operand(left)?, self.operand(right)?).map_err(refused)
            }
            Expr::Between(value, low, high) => {
                bind::between(self.operand(value)?, self.operand(low)?, self.operand(high)?).map_err(refused)
            }
            Expr::Is(value, kind) => {
                let operand = self.operand(value)?;
                match (operand, *kind) {
                    (Operand::Path(path), "missing") => Ok(Condition::NotExists(path)),
                    (operand, "null") => Ok(Condition::Type(operand, Kind::Null)),
                    (_, other) => Err(invalid(format!("Unsupported type in IS operator: {other}"))),
                }
            }
            Expr::Call(name, _) if name == "exists" => Err(invalid(EXISTS_NEEDS_TRANSACTION)),
            Expr::Call(name, arguments) => match name.as_str() {
                "attribute_exists"
                | "attribute_not_exists"
                | "attribute_type"
                | "begins_with"
                | "contains" => {
                    let operands =
                        arguments.iter().map(|one| self.operand(one)).collect::<Result<Vec<_>, _>>()?;
                    bind::test(name, operands).map_err(refused)
                }
                "size" => Err(invalid(
                    "The function is not allowed to be used this way in an expression; function: size",
                )),
                _ => Err(invalid(format!("Invalid function name; function: {name}"))),
            },
            other => Err(unsupported(other)),
        }
    }

    fn operand(&self, expr: &Expr) -> Result<Operand, Error> {
        if let Some(value) = literal::value(expr, self.parameters, &Place::value())? {
            return Ok(Operand::Value(value));
        }
        match expr {
            Expr::Path(path) => Ok(Operand::Path(document_path(path)?)),
            Expr::Call(name, arguments) if name == "size" => {
                let operands =
                    arguments.iter().map(|one| self.operand(one)).collect::<Result<Vec<_>, _>>()?;
                bind::size(operands).map_err(refused)
            }
            Expr::Call(name, _) => Err(invalid(format!(
                "The function is not allowed to be used this way in an expression; function: {name}"
            ))),
            other => Err(unsupported(other)),
        }
    }
}

const ONE_TABLE: &str = "FROM clause may only contain a single table name in data manipulation statements";
const ITEM_SYNTAX: &str = "Unsupported format in item expression. Please use struct format {...} to express item \
                           values for insert statement.";
const IN_OPERANDS: &str = "IN operator must have a left hand argument of type Variable Reference and right hand \
                           argument of type Seq with at least one member";

fn wrong_count(name: &str, count: usize) -> Error {
    invalid(format!(
        "Incorrect number of operands for operator or function; operator or function: {name}, \
         number of operands: {count}"
    ))
}

fn wrong_type(name: &str, kind: &str) -> Error {
    invalid(format!(
        "Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
    ))
}

/// What DynamoDB does not have of the language.
fn unsupported(expr: &Expr) -> Error {
    let what = match expr {
        Expr::Unsupported(what) => what,
        Expr::Binary(operator, ..) | Expr::Unary(operator, _) => operator,
        Expr::Statement(_) => "SELECT",
        Expr::Path(_) => "path",
        _ => "literal",
    };
    invalid(format!("Unsupported operator or clause: {}", what.to_uppercase()))
}

fn table_and_index(expr: &Expr) -> Result<(String, Option<String>), Error> {
    let Expr::Path(path) = expr else {
        return Err(invalid("Only select from a single table or index is supported."));
    };
    match path.steps.as_slice() {
        [] => Ok((path.root.clone(), None)),
        [Step::Name(index)] => Ok((path.root.clone(), Some(index.clone()))),
        [Step::Index(..), ..] | [_, Step::Index(..), ..] => {
            Err(invalid("Invalid list expression in source."))
        }
        [Step::Star, ..] => Err(invalid(
            "Invalid path dot component in this operation, expecting either an IDENTIFIER or STAR.",
        )),
        _ => Err(invalid("A path may contain at most 2 components in the FROM clause")),
    }
}

fn changed_table(source: &From) -> Result<String, Error> {
    if source.aliased {
        return Err(invalid("Aliasing is not supported"));
    }
    match table_and_index(&source.expr)? {
        (table, None) if !source.joined => Ok(table),
        _ => Err(invalid(ONE_TABLE)),
    }
}

fn document_path(path: &ast::Path) -> Result<Path, Error> {
    let mut rest = Vec::with_capacity(path.steps.len());
    for step in &path.steps {
        rest.push(match step {
            Step::Name(name) => Element::Name(name.clone()),
            Step::Index(Expr::Text(name), _) => Element::Name(name.clone()),
            Step::Index(Expr::Number(text), span) => {
                // `-0` is a place, `-1` is none.
                match text.parse::<i32>().ok().and_then(|index| usize::try_from(index).ok()) {
                    Some(index) => Element::Index(index),
                    None => {
                        return Err(invalid(format!(
                            "List index is not within the allowable range; index: [{text}] at {span}"
                        )));
                    }
                }
            }
            Step::Index(..) => return Err(invalid("Only literals are supported as list indexes.")),
            Step::Star => {
                return Err(invalid("Wildcard path component like a[*].b are not supported"));
            }
        });
    }
    Ok(Path::new(path.root.clone(), rest))
}

/// A column: what it is called in the result, and where its value is. It is called as its last name, with what indexes
/// follow.
fn column(expr: &Expr) -> Result<(String, Path), Error> {
    let Expr::Path(path) = expr else {
        return Err(unsupported(expr));
    };
    let path = document_path(path)?;
    let mut name = path.root().to_owned();
    for element in path.rest() {
        match element {
            Element::Name(last) => last.clone_into(&mut name),
            Element::Index(index) => name.push_str(&format!("[{index}]")),
        }
    }
    Ok((name, path))
}

fn returning_of(returning: ast::Returning) -> Result<Returning, Error> {
    if returning.several {
        return Err(invalid("Invalid syntax with multiple returning elements in RETURNING clause"));
    }
    if !returning.star {
        return Err(invalid("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause"));
    }
    Ok(match returning.mapping {
        "all_old" => Returning::AllOld,
        "modified_old" => Returning::ModifiedOld,
        "all_new" => Returning::AllNew,
        _ => Returning::ModifiedNew,
    })
}
