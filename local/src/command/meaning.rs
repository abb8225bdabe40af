//! What a change of the policy means, beside its lines.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use signalbox_policy::{Mode, Policy, Section};

use super::apply::Change;

/// Every change that matters, one sentence each; a loud one changes what happens to everybody.
pub(super) fn meaning(before: &Policy, after: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut say = |text: String, is_loud: bool| changes.push(Change { text, is_loud });
    match (before.mode, after.mode) {
        (Mode::Observe, Mode::Enforce) => {
            say("the mode becomes ENFORCE: from now on builds are really started and stopped".to_owned(), true);
        }
        (Mode::Enforce, Mode::Observe) => {
            say("the mode becomes OBSERVE: nothing is started any more, only told".to_owned(), true);
        }
        (Mode::Observe, Mode::Observe) => {
            say("the mode stays observe: it tells what it would do, and starts nothing".to_owned(), false);
        }
        (Mode::Enforce, Mode::Enforce) => {}
    }
    let (old, new) = (by_pattern(before), by_pattern(after));
    let patterns: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for pattern in patterns {
        match (old.get(pattern), new.get(pattern)) {
            (None, Some(_)) => say(format!("{pattern}: new"), false),
            (Some(_), None) => say(format!("{pattern}: gone"), false),
            _ => {}
        }
        let things = |sections: &BTreeMap<String, Vec<&Section>>| -> BTreeMap<String, Value> {
            sections.get(pattern).into_iter().flatten().flat_map(|section| things_of(section)).collect()
        };
        let (there, here) = (things(&old), things(&new));
        for name in there.keys().chain(here.keys()).collect::<BTreeSet<_>>() {
            match (there.get(name), here.get(name)) {
                (None, Some(_)) => say(format!("{pattern}: {name} is added"), false),
                (Some(_), None) => say(format!("{pattern}: {name} is removed"), false),
                (Some(old), Some(new)) if old != new => say(format!("{pattern}: {name} changes"), false),
                _ => {}
            }
        }
    }
    if plain(&before.people) != plain(&after.people) {
        say(format!("people: {} before, {} now", before.people.len(), after.people.len()), false);
    }
    let only_mode = changes.iter().all(|change| change.text.contains("stays observe"));
    if only_mode {
        let text = "nothing else: only comments, order or layout differ".to_owned();
        changes.push(Change { text, is_loud: false });
    }
    changes
}

fn by_pattern(policy: &Policy) -> BTreeMap<String, Vec<&Section>> {
    let mut sections: BTreeMap<String, Vec<&Section>> = BTreeMap::new();
    for section in &policy.sections {
        sections.entry(section.repositories.to_string()).or_default().push(section);
    }
    sections
}

/// What a section says, each part under a name of its own.
fn things_of(section: &Section) -> Vec<(String, Value)> {
    let triggers = section.triggers.iter().map(|one| (format!("the trigger {}", one.name), plain(one)));
    let mut things: Vec<(String, Value)> = triggers.collect();
    let mut part = |name: &str, value: Value| {
        if value != Value::Null && value != Value::Array(Vec::new()) {
            things.push((name.to_owned(), value));
        }
    };
    part("who is told (notifications)", plain(&section.notifications));
    part("what a merge needs (approvals)", plain(&section.approvals));
    part("what is protected (protection)", plain(&section.protections));
    part("which copies are kept (replicas)", plain(&section.replicas));
    things
}

/// A value without the lines of the file that it stands in.
fn plain(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    without_lines(&mut value);
    value
}

fn without_lines(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_lines),
        Value::Object(object) => {
            object.remove("line");
            object.values_mut().for_each(without_lines);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use signalbox_policy::parse_policy;

    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let policy = |text| parse_policy(text).unwrap();
        let changes = meaning(&policy(before), &policy(after));
        changes.into_iter().map(|change| format!("{}{}", if change.is_loud { "! " } else { "" }, change.text)).collect()
    }

    const BEFORE: &str = "mode: observe\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";

    #[test]
    fn enforcing_is_loud_and_triggers_are_named() {
        let after = BEFORE.replace("observe", "enforce").replace("unit:\n", "lint:\n");
        assert_eq!(
            told(BEFORE, &after),
            [
                "! the mode becomes ENFORCE: from now on builds are really started and stopped",
                "demo: the trigger lint is added",
                "demo: the trigger unit is removed"
            ]
        );
    }

    #[test]
    fn a_comment_moves_lines_and_changes_nothing() {
        let enforced = BEFORE.replace("observe", "enforce");
        let commented = format!("# why\n\n{enforced}");
        assert_eq!(told(&enforced, &commented), ["nothing else: only comments, order or layout differ"]);
        let other = enforced.replace("[main]", "[main, next]");
        assert_eq!(told(&enforced, &other), ["demo: the trigger unit changes"]);
    }
}
