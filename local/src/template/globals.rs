//! `Globals.Function`, put into every function as SAM does it.
//!
//! A mapping is merged key by key, a list is put in front of the function's own, and anything else is the function's
//! where it has one.

use super::problem::TemplateProblem;
use super::yaml::{Entry, Node, Tree};

/// What SAM allows below `Globals.Function`, as far as a function here may have it.
const IN_FUNCTION: [&str; 15] = [
    "Architectures",
    "CodeUri",
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "KmsKeyArn",
    "LoggingConfig",
    "MemorySize",
    "PermissionsBoundary",
    "ReservedConcurrentExecutions",
    "Runtime",
    "Tags",
    "Timeout",
    "Tracing",
];

/// The mapping below `Globals.Function`, if there is one.
pub(super) fn of_functions<'a>(section: Option<&'a Node>, problems: &mut Vec<TemplateProblem>) -> Option<&'a Node> {
    for entry in section.map(Node::entries).unwrap_or_default() {
        if entry.key != "Function" {
            problems.push(TemplateProblem::new(
                entry.at,
                format!("the local cloud does not follow Globals.{}; it follows Globals.Function", entry.key),
            ));
        }
    }
    let function = section?.get("Function")?;
    for entry in function.entries() {
        if !IN_FUNCTION.contains(&entry.key.as_str()) {
            problems.push(TemplateProblem::new(
                entry.at,
                format!("Globals.Function.{} is not followed; it may hold {}", entry.key, IN_FUNCTION.join(", ")),
            ));
        }
    }
    Some(function)
}

/// `own` with what `global` adds.
pub(super) fn merge(global: &Node, own: &Node) -> Node {
    let tree = match (&global.tree, &own.tree) {
        (Tree::Map(global), Tree::Map(own)) => Tree::Map(merge_entries(global, own)),
        (Tree::List(global), Tree::List(own)) => Tree::List(global.iter().chain(own).cloned().collect()),
        (_, own) => own.clone(),
    };
    Node { at: own.at, tree }
}

fn merge_entries(global: &[Entry], own: &[Entry]) -> Vec<Entry> {
    let mut merged: Vec<Entry> = global
        .iter()
        .map(|entry| match own.iter().find(|mine| mine.key == entry.key) {
            Some(mine) => Entry { key: mine.key.clone(), at: mine.at, value: merge(&entry.value, &mine.value) },
            None => entry.clone(),
        })
        .collect();
    merged.extend(own.iter().filter(|mine| !global.iter().any(|entry| entry.key == mine.key)).cloned());
    merged
}
