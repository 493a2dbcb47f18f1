//! What the served operations reach, and from which side: only that is generated.

use crate::model::Model;
use crate::served::Served;
use std::collections::{BTreeMap, BTreeSet};

/// The shapes in use.
pub(crate) struct Reached {
    /// Every shape by name.
    pub(crate) shapes: BTreeSet<String>,
    /// Those that an input reaches: they remember which required members were absent.
    pub(crate) inputs: BTreeSet<String>,
    /// Structures that reach themselves through structure members alone, and must be boxed there.
    recursive: BTreeMap<String, BTreeSet<String>>,
    /// Structures that hold a stream, directly: they cannot be cloned.
    pub(crate) streams: BTreeSet<String>,
}

impl Reached {
    pub(crate) fn from(model: &Model, served: &[Served]) -> Self {
        let mut reached = Self {
            shapes: BTreeSet::new(),
            inputs: BTreeSet::new(),
            recursive: BTreeMap::new(),
            streams: BTreeSet::new(),
        };
        for operation in served {
            let op = model.operation(&operation.name);
            if let Some(input) = op.get("input") {
                visit(model, input.target(), &mut reached.inputs);
            }
            if let Some(output) = op.get("output") {
                visit(model, output.target(), &mut reached.shapes);
            }
            let errors = op.0.get("errors").and_then(|e| e.as_array());
            for error in errors.into_iter().flatten() {
                visit(model, crate::model::Node(error).target(), &mut reached.shapes);
            }
        }
        reached.shapes.extend(reached.inputs.iter().cloned());
        for name in &reached.shapes {
            if matches!(model.shape(name).kind(), "structure") {
                let mut direct = BTreeSet::new();
                through_structures(model, name, &mut direct);
                reached.recursive.insert(name.clone(), direct);
                let members = model.shape(name).members();
                if members.iter().any(|(_, m)| is_stream(model, *m) || is_events(model, *m)) {
                    reached.streams.insert(name.clone());
                }
            }
        }
        reached
    }

    /// Whether a member of structure `owner` that targets structure `target` must be boxed.
    pub(crate) fn boxed(&self, owner: &str, target: &str) -> bool {
        owner == target || self.recursive.get(target).is_some_and(|r| r.contains(owner))
    }
}

/// Whether a member is a streaming blob.
pub(crate) fn is_stream(model: &Model, member: crate::model::Node<'_>) -> bool {
    let target = model.shape(member.target());
    target.kind() == "blob" && (member.flag("streaming") || target.flag("streaming"))
}

/// Whether a member is an event stream.
pub(crate) fn is_events(model: &Model, member: crate::model::Node<'_>) -> bool {
    member.flag("eventstream") || model.shape(member.target()).flag("eventstream")
}

fn visit(model: &Model, name: &str, into: &mut BTreeSet<String>) {
    if !into.insert(name.to_owned()) {
        return;
    }
    let shape = model.shape(name);
    for (_, member) in shape.members() {
        visit(model, member.target(), into);
    }
    for part in ["member", "key", "value"] {
        if let Some(reference) = shape.get(part) {
            visit(model, reference.target(), into);
        }
    }
}

fn through_structures(model: &Model, name: &str, into: &mut BTreeSet<String>) {
    for (_, member) in model.shape(name).members() {
        let target = member.target();
        if model.shape(target).kind() == "structure" && into.insert(target.to_owned()) {
            through_structures(model, target, into);
        }
    }
}
