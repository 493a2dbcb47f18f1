//! Puts names and values into the places of an expression, and checks what only then can be checked.

use super::condition::{Condition, Operand};
use super::parameters::Parameters;
use super::path::{Path, check_clashes, resolved};
use super::syntax::{self, Call, Comparator};
use super::update::{Action, Assigned, Source};
use crate::value::{Kind, Value};

type Bound<T> = Result<T, String>;

/// The types in the order in which AWS lists them for an operand that could be any.
const ANY_TYPE: &str = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}";

fn wrong_type(name: &str, kind: &str) -> String {
    format!(
        "Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
    )
}

fn wrong_count(name: &str, count: usize) -> String {
    format!(
        "Incorrect number of operands for operator or function; operator or function: {name}, \
         number of operands: {count}"
    )
}

fn needs_path(name: &str) -> String {
    format!("Operator or function requires a document path; operator or function: {name}")
}

/// The type of an operand that is known without an item.
fn kind(operand: &Operand) -> Option<Kind> {
    match operand {
        Operand::Path(_) => None,
        Operand::Value(value) => Some(value.kind()),
        Operand::Size(_) => Some(Kind::N),
    }
}

/// Refuses a path that is compared with itself.
fn distinct(name: &str, operands: &[&Operand]) -> Bound<()> {
    if let Some((Operand::Path(first), rest)) = operands.split_first()
        && rest.iter().any(|other| matches!(other, Operand::Path(path) if path == first))
    {
        return Err(format!(
            "The first operand must be distinct from the remaining operands for this operator or function; \
             operator: {name}, first operand: {first}"
        ));
    }
    Ok(())
}

/// Refuses values that have no order where one is needed.
fn ordered(name: &str, operands: &[&Operand]) -> Bound<()> {
    operands.iter().try_for_each(|operand| match kind(operand) {
        None | Some(Kind::S | Kind::N | Kind::B) => Ok(()),
        Some(kind) => Err(wrong_type(name, kind.name())),
    })
}

/// Binds a condition. Errors come in AWS's order: within each comparison or function first what is undefined, then
/// the number of operands, then paths that should differ, then types.
pub(crate) fn condition(condition: &syntax::Condition, parameters: &mut Parameters) -> Bound<Condition> {
    use syntax::Condition as C;
    // The only part that recurses is kept small.
    match condition {
        C::And(terms) => all(terms, parameters).map(Condition::And),
        C::Or(terms) => all(terms, parameters).map(Condition::Or),
        C::Not(inner) => self::condition(inner, parameters).map(|inner| Condition::Not(Box::new(inner))),
        leaf => self::leaf(leaf, parameters),
    }
}

/// Binds a condition that holds no others.
fn leaf(condition: &syntax::Condition, parameters: &mut Parameters) -> Bound<Condition> {
    use syntax::Condition as C;
    Ok(match condition {
        C::Compare(comparator, left, right) => {
            let left = plain(left, parameters)?;
            let right = plain(right, parameters)?;
            compare(*comparator, left.finish()?, right.finish()?)?
        }
        C::Between(value, low, high) => {
            let value = plain(value, parameters)?;
            let low = plain(low, parameters)?;
            let high = plain(high, parameters)?;
            between(value.finish()?, low.finish()?, high.finish()?)?
        }
        C::In(value, list) => {
            let value = plain(value, parameters)?;
            let list = list.iter().map(|one| plain(one, parameters)).collect::<Bound<Vec<_>>>()?;
            let value = value.finish()?;
            is_in(value, list.into_iter().map(Unchecked::finish).collect::<Bound<Vec<_>>>()?)?
        }
        C::Call(call) => function(call, parameters)?,
        C::And(_) | C::Or(_) | C::Not(_) => self::condition(condition, parameters)?,
    })
}

/// A comparison of these.
pub(crate) fn compare(comparator: Comparator, left: Operand, right: Operand) -> Bound<Condition> {
    distinct(comparator.symbol(), &[&left, &right])?;
    if comparator.is_ordering() {
        ordered(comparator.symbol(), &[&left, &right])?;
    }
    Ok(Condition::Compare(comparator, left, right))
}

/// BETWEEN of these.
pub(crate) fn between(value: Operand, low: Operand, high: Operand) -> Bound<Condition> {
    distinct("BETWEEN", &[&value, &low, &high])?;
    ordered("BETWEEN", &[&value, &low, &high])?;
    bounds(&low, &high)?;
    Ok(Condition::Between(value, low, high))
}

/// IN of these.
pub(crate) fn is_in(value: Operand, list: Vec<Operand>) -> Bound<Condition> {
    let all: Vec<&Operand> = std::iter::once(&value).chain(&list).collect();
    distinct("IN", &all)?;
    Ok(Condition::In(value, list))
}

/// `size` of these.
pub(crate) fn size(arguments: Vec<Operand>) -> Bound<Operand> {
    let count = arguments.len();
    match arguments.into_iter().next() {
        Some(argument) if count == 1 => match kind(&argument) {
            Some(kind @ (Kind::N | Kind::Bool | Kind::Null)) => Err(wrong_type("size", kind.name())),
            _ => Ok(Operand::Size(Box::new(argument))),
        },
        _ => Err(wrong_count("size", count)),
    }
}

fn all(terms: &[syntax::Condition], parameters: &mut Parameters) -> Bound<Vec<Condition>> {
    terms.iter().map(|term| condition(term, parameters)).collect()
}

/// An operand whose names and values are known, while its functions are not yet checked.
enum Unchecked {
    Done(Operand),
    Size(Vec<Unchecked>),
}

impl Unchecked {
    fn finish(self) -> Bound<Operand> {
        let arguments = match self {
            Unchecked::Done(operand) => return Ok(operand),
            Unchecked::Size(arguments) => arguments,
        };
        size_of(arguments)
    }
}

fn size_of(arguments: Vec<Unchecked>) -> Bound<Operand> {
    if arguments.len() != 1 {
        return Err(wrong_count("size", arguments.len()));
    }
    size(arguments.into_iter().map(Unchecked::finish).collect::<Bound<_>>()?)
}

/// Looks up what an operand names. All functions inside are `size`: that has been checked.
fn plain(operand: &syntax::Operand, parameters: &mut Parameters) -> Bound<Unchecked> {
    Ok(match operand {
        syntax::Operand::Path(path) => Unchecked::Done(Operand::Path(self::path(path, parameters)?)),
        syntax::Operand::Value(name) => Unchecked::Done(Operand::Value(parameters.value(name)?)),
        syntax::Operand::Call(call) => {
            let arguments = call.arguments.iter().map(|argument| plain(argument, parameters));
            Unchecked::Size(arguments.collect::<Bound<_>>()?)
        }
    })
}

fn path(path: &syntax::Path, parameters: &mut Parameters) -> Bound<Path> {
    resolved(path, |name| parameters.name(name))
}

fn bounds(low: &Operand, high: &Operand) -> Bound<()> {
    let (Operand::Value(low), Operand::Value(high)) = (low, high) else {
        return Ok(());
    };
    let sentence = |what: &str| {
        Err(format!(
            "The BETWEEN operator requires {what}; lower bound operand: AttributeValue: {low}, \
             upper bound operand: AttributeValue: {high}"
        ))
    };
    if low.kind() != high.kind() {
        return sentence("same data type for lower and upper bounds");
    }
    if low.compare(high).is_some_and(std::cmp::Ordering::is_gt) {
        return sentence("upper bound to be greater than or equal to lower bound");
    }
    Ok(())
}

/// Binds a function that is a condition by itself.
fn function(call: &Call, parameters: &mut Parameters) -> Bound<Condition> {
    let arguments = call.arguments.iter().map(|argument| plain(argument, parameters));
    let arguments = arguments.collect::<Bound<Vec<_>>>()?;
    count_fits(&call.name, arguments.len())?;
    test(&call.name, arguments.into_iter().map(Unchecked::finish).collect::<Bound<Vec<_>>>()?)
}

fn count_fits(name: &str, count: usize) -> Bound<()> {
    let wanted = match name {
        "attribute_exists" | "attribute_not_exists" => 1,
        _ => 2,
    };
    if count == wanted { Ok(()) } else { Err(wrong_count(name, count)) }
}

/// The condition that a function of this name makes of these.
pub(crate) fn test(name: &str, arguments: Vec<Operand>) -> Bound<Condition> {
    count_fits(name, arguments.len())?;
    distinct(name, &arguments.iter().collect::<Vec<_>>())?;
    let mut arguments = arguments.into_iter();
    match (name, arguments.next(), arguments.next()) {
        ("attribute_exists", Some(Operand::Path(path)), None) => Ok(Condition::Exists(path)),
        ("attribute_not_exists", Some(Operand::Path(path)), None) => Ok(Condition::NotExists(path)),
        ("attribute_exists" | "attribute_not_exists", _, _) => Err(needs_path(name)),
        ("begins_with", Some(value), Some(prefix)) => {
            for operand in [&value, &prefix] {
                match kind(operand) {
                    None | Some(Kind::S | Kind::B) => {}
                    Some(kind) => return Err(wrong_type(name, kind.name())),
                }
            }
            Ok(Condition::BeginsWith(value, prefix))
        }
        ("attribute_type", Some(value), Some(Operand::Value(Value::S(text)))) => {
            let kind = Kind::named(&text).ok_or_else(|| {
                format!(
                    "Invalid attribute type name found; type: {text}, \
                     valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
                )
            })?;
            Ok(Condition::Type(value, kind))
        }
        ("attribute_type", Some(_), Some(other)) => {
            Err(wrong_type(name, kind(&other).map_or(ANY_TYPE, Kind::name)))
        }
        (_, Some(whole), Some(part)) => Ok(Condition::Contains(whole, part)),
        (_, _, _) => Err(wrong_count(name, 0)),
    }
}

/// Binds a projection.
pub(crate) fn projection(list: &[syntax::Path], parameters: &mut Parameters) -> Bound<Vec<Path>> {
    let paths = list.iter().map(|one| path(one, parameters)).collect::<Bound<Vec<_>>>()?;
    check_clashes(&paths.iter().collect::<Vec<_>>())?;
    Ok(paths)
}

/// Binds an update. Errors come in AWS's order: undefined names, undefined values, paths that stand in each other's
/// way, values that ADD and DELETE cannot take, functions.
pub(crate) fn update(actions: &[syntax::Action], parameters: &mut Parameters) -> Bound<Vec<Action>> {
    use syntax::{Action as A, Assigned as R};
    let mut names = Vec::new();
    let mut values = Vec::new();
    for action in actions {
        let (A::Set(path, _) | A::Remove(path) | A::Add(path, _) | A::Delete(path, _)) = action;
        placeholders(path, &mut names);
        match action {
            A::Set(_, R::Operand(operand)) => operand_placeholders(operand, &mut names, &mut values),
            A::Set(_, R::Sum(left, right) | R::Difference(left, right)) => {
                operand_placeholders(left, &mut names, &mut values);
                operand_placeholders(right, &mut names, &mut values);
            }
            A::Add(_, value) | A::Delete(_, value) => values.push(value),
            A::Remove(_) => {}
        }
    }
    names.iter().try_for_each(|name| parameters.has_name(name))?;
    values.iter().try_for_each(|name| parameters.has_value(name))?;

    let targets = actions.iter().map(|action| {
        let (A::Set(target, _) | A::Remove(target) | A::Add(target, _) | A::Delete(target, _)) = action;
        path(target, parameters)
    });
    let targets = targets.collect::<Bound<Vec<Path>>>()?;
    check_clashes(&targets.iter().collect::<Vec<_>>())?;

    for action in actions {
        let (section, value) = match action {
            A::Add(_, value) => ("ADD", value),
            A::Delete(_, value) => ("DELETE", value),
            _ => continue,
        };
        let kind = parameters.value(value)?.kind();
        if !(kind.is_set() || section == "ADD" && kind == Kind::N) {
            return Err(format!(
                "Incorrect operand type for operator or function; operator: {section}, operand type: {}, \
                 typeSet: ALLOWED_FOR_{section}_OPERAND",
                kind.long_name()
            ));
        }
    }
    let bind = |(action, target): (&syntax::Action, Path)| {
        Ok(match action {
            A::Remove(_) => Action::Remove(target),
            A::Add(_, value) => Action::Add(target, parameters.value(value)?),
            A::Delete(_, value) => Action::Delete(target, parameters.value(value)?),
            A::Set(_, R::Operand(operand)) => {
                Action::Set(target, Assigned::Source(source(operand, parameters)?))
            }
            A::Set(_, R::Sum(left, right)) => {
                let (left, right) = arithmetic("+", left, right, parameters)?;
                Action::Set(target, Assigned::Sum(left, right))
            }
            A::Set(_, R::Difference(left, right)) => {
                let (left, right) = arithmetic("-", left, right, parameters)?;
                Action::Set(target, Assigned::Difference(left, right))
            }
        })
    };
    actions.iter().zip(targets).map(bind).collect()
}

fn placeholders<'s>(path: &'s syntax::Path, names: &mut Vec<&'s String>) {
    names.extend(path.iter().filter_map(|part| match part {
        syntax::Part::Placeholder(name) => Some(name),
        _ => None,
    }));
}

fn operand_placeholders<'s>(
    operand: &'s syntax::Operand,
    names: &mut Vec<&'s String>,
    values: &mut Vec<&'s String>,
) {
    match operand {
        syntax::Operand::Path(path) => placeholders(path, names),
        syntax::Operand::Value(name) => values.push(name),
        syntax::Operand::Call(call) => {
            call.arguments.iter().for_each(|argument| operand_placeholders(argument, names, values));
        }
    }
}

/// Refuses a given value of another type. What an item has is checked when it is known.
fn takes(name: &str, wanted: Kind, source: &Source) -> Bound<()> {
    match source {
        Source::Value(value) if value.kind() != wanted => Err(wrong_type(name, value.type_name())),
        _ => Ok(()),
    }
}

fn arithmetic(
    symbol: &str,
    left: &syntax::Operand,
    right: &syntax::Operand,
    parameters: &mut Parameters,
) -> Bound<(Source, Source)> {
    let (left, right) = (source(left, parameters)?, source(right, parameters)?);
    numbers(symbol, &left, &right)?;
    Ok((left, right))
}

fn source(operand: &syntax::Operand, parameters: &mut Parameters) -> Bound<Source> {
    let call = match operand {
        syntax::Operand::Path(path) => return Ok(Source::Path(self::path(path, parameters)?)),
        syntax::Operand::Value(name) => return Ok(Source::Value(parameters.value(name)?)),
        syntax::Operand::Call(call) => call,
    };
    let name = call.name.as_str();
    let arguments = call.arguments.iter().map(|argument| source(argument, parameters));
    let mut arguments = arguments.collect::<Bound<Vec<_>>>()?.into_iter();
    let (Some(first), Some(second), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(wrong_count(name, call.arguments.len()));
    };
    if name == "if_not_exists" {
        let Source::Path(path) = first else {
            return Err(needs_path(name));
        };
        return Ok(Source::IfNotExists(path, Box::new(second)));
    }
    list_append(first, second)
}

/// `list_append` of these.
pub(crate) fn list_append(first: Source, second: Source) -> Bound<Source> {
    takes("list_append", Kind::L, &first)?;
    takes("list_append", Kind::L, &second)?;
    Ok(Source::ListAppend(Box::new(first), Box::new(second)))
}

/// Refuses given values that cannot be added or subtracted.
pub(crate) fn numbers(symbol: &str, left: &Source, right: &Source) -> Bound<()> {
    takes(symbol, Kind::N, left)?;
    takes(symbol, Kind::N, right)
}
