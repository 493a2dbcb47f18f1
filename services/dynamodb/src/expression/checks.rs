//! What can be said about an expression without its names and values, in the order in which AWS says it.

use super::Purpose;
use super::parser::Notes;
use super::reserved::is_reserved;
use super::syntax::{Action, Assigned, Call, Condition, Operand, Part, Path};

type Checked = Result<(), String>;

/// The most values behind IN. Source: Developer Guide, "Quotas", operators.
const MAX_IN: usize = 100;
/// The most steps of a path.
const MAX_PATH: usize = 32;

const CONDITION_FUNCTIONS: &[&str] =
    &["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];
const UPDATE_FUNCTIONS: &[&str] = &["if_not_exists", "list_append"];

fn misused(name: &str) -> String {
    format!("The function is not allowed to be used this way in an expression; function: {name}")
}

/// Checks a condition, a filter or a key condition.
pub(crate) fn condition(condition: &Condition, notes: &Notes, purpose: Purpose) -> Checked {
    parentheses(notes)?;
    conditions(condition, &mut |leaf| {
        leaf_operands(leaf, &mut |operand| calls(operand, &mut |call| condition_function(call, purpose)))?;
        if let Condition::Call(call) = leaf { condition_function(call, purpose) } else { Ok(()) }
    })?;
    conditions(condition, &mut |leaf| {
        leaf_operands(leaf, &mut |operand| calls(operand, &mut only_size_inside))?;
        match leaf {
            Condition::Call(call) => {
                only_size_inside(call)?;
                if call.name == "size" { Err(misused("size")) } else { Ok(()) }
            }
            _ => leaf_operands(leaf, &mut only_size),
        }
    })?;
    condition_paths(condition, &mut reserved)?;
    notes.too_many_operators()?;
    conditions(condition, &mut |leaf| {
        leaf_operands(leaf, &mut |operand| paths(operand, &mut nesting))?;
        match leaf {
            Condition::In(_, list) if list.len() > MAX_IN => Err(format!(
                "The IN operator is provided with too many operands; number of operands: {}",
                list.len()
            )),
            _ => Ok(()),
        }
    })
}

/// Checks an update.
pub(crate) fn update(actions: &[Action], sections: &[&str], notes: &Notes) -> Checked {
    parentheses(notes)?;
    each_path(actions, &mut reserved)?;
    each_operand(actions, &mut |operand| {
        calls(operand, &mut |call| {
            if UPDATE_FUNCTIONS.contains(&call.name.as_str()) {
                Ok(())
            } else if CONDITION_FUNCTIONS.contains(&call.name.as_str()) {
                Err(format!("The function is not allowed in an update expression; function: {}", call.name))
            } else {
                Err(format!("Invalid function name; function: {}", call.name))
            }
        })
    })?;
    for (i, section) in sections.iter().enumerate() {
        if sections[..i].contains(section) {
            return Err(format!("The \"{section}\" section can only be used once in an update expression;"));
        }
    }
    notes.too_many_operators()?;
    each_path(actions, &mut nesting)?;
    // Only if_not_exists may stand inside something else.
    let list_append_inside = |operand: &Operand| match operand {
        Operand::Call(call) if call.name == "list_append" => Err(misused("list_append")),
        _ => Ok(()),
    };
    for action in actions {
        if let Action::Set(_, Assigned::Sum(left, right) | Assigned::Difference(left, right)) = action {
            list_append_inside(left)?;
            list_append_inside(right)?;
        }
    }
    each_operand(actions, &mut |operand| {
        calls(operand, &mut |call| call.arguments.iter().try_for_each(list_append_inside))
    })
}

/// Checks a projection.
pub(crate) fn projection(list: &[Path]) -> Checked {
    list.iter().try_for_each(reserved)?;
    list.iter().try_for_each(nesting)
}

fn parentheses(notes: &Notes) -> Checked {
    if notes.redundant_parentheses {
        return Err("The expression has redundant parentheses;".to_owned());
    }
    Ok(())
}

fn condition_function(call: &Call, purpose: Purpose) -> Checked {
    if CONDITION_FUNCTIONS.contains(&call.name.as_str()) {
        Ok(())
    } else if UPDATE_FUNCTIONS.contains(&call.name.as_str()) {
        let kind = if purpose == Purpose::Filter { "filter" } else { "condition" };
        Err(format!("The function is not allowed in a {kind} expression; function: {}", call.name))
    } else {
        Err(format!("Invalid function name; function: {}", call.name))
    }
}

/// Of all functions, only size has a value to compute with.
fn only_size(operand: &Operand) -> Checked {
    match operand {
        Operand::Call(call) if call.name != "size" => Err(misused(&call.name)),
        _ => Ok(()),
    }
}

fn only_size_inside(call: &Call) -> Checked {
    call.arguments.iter().try_for_each(only_size)
}

fn reserved(path: &Path) -> Checked {
    path.iter().try_for_each(|part| match part {
        Part::Plain(name) if is_reserved(name) => {
            Err(format!("Attribute name is a reserved keyword; reserved keyword: {name}"))
        }
        _ => Ok(()),
    })
}

fn nesting(path: &Path) -> Checked {
    if path.len() > MAX_PATH {
        return Err(format!(
            "The document path has too many nesting elements; nesting levels: {}",
            path.len()
        ));
    }
    Ok(())
}

/// Every condition that is not AND, OR or NOT, from left to right.
fn conditions(condition: &Condition, visit: &mut dyn FnMut(&Condition) -> Checked) -> Checked {
    match condition {
        Condition::And(terms) | Condition::Or(terms) => {
            terms.iter().try_for_each(|term| conditions(term, visit))
        }
        Condition::Not(inner) => conditions(inner, visit),
        leaf => visit(leaf),
    }
}

/// Every path of a condition.
pub(super) fn condition_paths(condition: &Condition, visit: &mut dyn FnMut(&Path) -> Checked) -> Checked {
    conditions(condition, &mut |leaf| leaf_operands(leaf, &mut |operand| paths(operand, visit)))
}

/// What such a condition computes with.
fn leaf_operands(leaf: &Condition, visit: &mut dyn FnMut(&Operand) -> Checked) -> Checked {
    match leaf {
        Condition::Compare(_, left, right) => [left, right].into_iter().try_for_each(visit),
        Condition::Between(value, low, high) => [value, low, high].into_iter().try_for_each(visit),
        Condition::In(value, list) => std::iter::once(value).chain(list).try_for_each(visit),
        Condition::Call(call) => call.arguments.iter().try_for_each(visit),
        Condition::And(_) | Condition::Or(_) | Condition::Not(_) => Ok(()),
    }
}

/// The calls of an operand, inner ones first.
fn calls(operand: &Operand, visit: &mut dyn FnMut(&Call) -> Checked) -> Checked {
    if let Operand::Call(call) = operand {
        call.arguments.iter().try_for_each(|argument| calls(argument, visit))?;
        visit(call)?;
    }
    Ok(())
}

fn paths(operand: &Operand, visit: &mut dyn FnMut(&Path) -> Checked) -> Checked {
    match operand {
        Operand::Path(path) => visit(path),
        Operand::Value(_) => Ok(()),
        Operand::Call(call) => call.arguments.iter().try_for_each(|argument| paths(argument, visit)),
    }
}

fn each_operand(actions: &[Action], visit: &mut dyn FnMut(&Operand) -> Checked) -> Checked {
    actions.iter().try_for_each(|action| match action {
        Action::Set(_, Assigned::Operand(operand)) => visit(operand),
        Action::Set(_, Assigned::Sum(left, right) | Assigned::Difference(left, right)) => {
            visit(left)?;
            visit(right)
        }
        _ => Ok(()),
    })
}

/// Every path of an update.
pub(super) fn each_path(actions: &[Action], visit: &mut dyn FnMut(&Path) -> Checked) -> Checked {
    actions.iter().try_for_each(|action| {
        let (Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _)) =
            action;
        visit(path)?;
        each_operand(std::slice::from_ref(action), &mut |operand| paths(operand, visit))
    })
}
