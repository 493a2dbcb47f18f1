//! From statements to plans.

use super::ast::{self, Expr, Operation, Source as From, Statement, Step};
use super::literal::{self, Place};
use super::{Change, Exists, Insert, Plan, Returning, Select};
use crate::expression::path::check_clashes;
use crate::expression::{Action, Assigned, Element, Path, Source, Update, bind};
use crate::value::{Value, invalid};
use cloudlet_service::Error;

pub(super) fn refused(message: String) -> Error {
    invalid(message)
}

/// The plan of a statement.
pub(super) fn plan(expr: Expr, parameters: &[Value]) -> Result<Plan, Error> {
    let translator = Translator { parameters };
    match expr {
        Expr::Statement(statement) => translator.statement(*statement),
        Expr::Call(name, mut arguments, _) if name == "exists" && arguments.len() == 1 => {
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

pub(super) struct Translator<'p> {
    pub(super) parameters: &'p [Value],
}

impl Translator<'_> {
    fn statement(&self, statement: Statement) -> Result<Plan, Error> {
        match statement {
            Statement::Select(select) => self.select(select).map(Plan::Select),
            Statement::Insert { target, value, conflict, returning } => {
                if returning.is_some() {
                    return Err(invalid("RETURNING is not supported in INSERT"));
                }
                let span = target.span;
                let (table, None) = table_and_index(&Expr::Path(target))? else {
                    return Err(invalid(format!("{ONE_TABLE} at {span}")));
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
                let wrong = match returning {
                    None | Some(Returning::AllOld) => None,
                    Some(Returning::ModifiedOld) => Some("MODIFIED OLD"),
                    Some(Returning::AllNew) => Some("ALL NEW"),
                    Some(Returning::ModifiedNew) => Some("MODIFIED NEW"),
                };
                if let Some(wrong) = wrong {
                    return Err(invalid(format!(
                        "Invalid returning clause: RETURNING {wrong} *. Only RETURNING ALL OLD * is allowed in \
                         DELETE statements."
                    )));
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
            Expr::Call(name, arguments, span) if matches!(name.as_str(), "set_add" | "set_delete") => {
                let [set, elements] = arguments.as_slice() else {
                    return Err(wrong_count(name, arguments.len()));
                };
                let upper = name.to_uppercase();
                let first = match set {
                    Expr::Path(path) if document_path(path)? == target => path.span,
                    _ => {
                        return Err(invalid(format!(
                            "The first argument to {upper} must equal the assignment value at {span}"
                        )));
                    }
                };
                match literal::value(elements, self.parameters, &Place::value())? {
                    Some(value) if value.kind().is_set() && name == "set_add" => {
                        Ok(Action::Add(target, value))
                    }
                    Some(value) if value.kind().is_set() => Ok(Action::Delete(target, value)),
                    _ => Err(invalid(format!(
                        "The second argument to {upper} must be a value with type SET at {first}"
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
            Expr::Call(name, arguments, _) => {
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
                    _ => Err(invalid(format!("Unrecognized function: {name}"))),
                }
            }
            other => Err(unsupported("Update", other)),
        }
    }
}

const ONE_TABLE: &str = "FROM clause may only contain a single table name in data manipulation statements";
const ITEM_SYNTAX: &str = "Unsupported format in item expression. Please use struct format {...} to express item \
                           values for insert statement.";
fn wrong_count(name: &str, count: usize) -> Error {
    invalid(format!(
        "Incorrect number of operands for operator or function; operator or function: {name}, \
         number of operands: {count}"
    ))
}

pub(super) fn wrong_type(name: &str, kind: &str) -> Error {
    invalid(format!(
        "Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
    ))
}

/// What DynamoDB does not have of the language, in a condition or an update.
pub(super) fn unsupported(place: &str, expr: &Expr) -> Error {
    let operator = match expr {
        // A sign before what is no number: AWS takes it for a difference that lacks a side.
        Expr::Unary(sign @ ("+" | "-"), _) => return wrong_count(sign, 1),
        Expr::Unsupported(what) => what,
        Expr::Binary(operator, ..) | Expr::Unary(operator, _) => operator,
        Expr::Statement(_) => "SELECT",
        Expr::Path(_) => "path",
        _ => "literal",
    };
    invalid(format!("Unsupported operator in {place} Expression. Operator: {}", operator.to_uppercase()))
}

fn table_and_index(expr: &Expr) -> Result<(String, Option<String>), Error> {
    let Expr::Path(path) = expr else {
        return Err(invalid("Only select from a single table or index is supported."));
    };
    if path.root.is_empty() || path.steps.iter().any(|step| *step == Step::Name(String::new())) {
        return Err(invalid("Path component cannot be an empty string"));
    }
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
        _ if source.joined => Err(invalid(ONE_TABLE)),
        (table, None) => Ok(table),
        (_, Some(_)) => Err(invalid("This operation is not supported on an index")),
    }
}

pub(super) fn document_path(path: &ast::Path) -> Result<Path, Error> {
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
        return Err(invalid("Unsupported expression in SELECT clause"));
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
