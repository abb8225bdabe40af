//! Every sentence that the replicator says, in one place.

use crate::compare::{Because, Command, Described, Failed, Left, Trouble, Why};
use crate::decide::{Action, Reason};

/// A sentence names at most this many refs.
const MOST_NAMED: usize = 20;

/// A reason as a sentence.
pub fn render_reason(reason: &Reason) -> String {
    match reason {
        Reason::NoReplica => "no replica of the policy copies this".to_owned(),
        Reason::SourceGone { repository } => format!("{repository} is gone; its copies stay as they are"),
        Reason::Compared { target, equal, moves, description, left, failed } => {
            let mut text = format!("{target}: {} equal", refs(*equal));
            if *moves > 0 {
                text.push_str(&format!(", {} to move", refs(*moves)));
            }
            let left = list(left, render_left);
            let failed = list(failed, render_failed);
            let description = match description {
                Described::Equal | Described::Becomes { .. } => String::new(),
                Described::Left(why) => format!("the description is left as it is: {}", render_why(*why)),
            };
            for more in [failed, left, description].into_iter().filter(|more| !more.is_empty()) {
                text.push_str("; ");
                text.push_str(&more);
            }
            text
        }
        Reason::Trouble { target, what } | Reason::Later { target, what } => format!("{target}: {what}"),
        Reason::FactsMissing { target } => format!("{target}: the facts say nothing of it; gather them anew"),
    }
}

/// An action as a sentence.
pub fn render_action(action: &Action) -> String {
    match action {
        Action::Copy(copy) => {
            let mut steps = Vec::new();
            if copy.create == signalbox_policy::Create::WhereMissing {
                steps.push("make the repository".to_owned());
            }
            if !copy.plan.commands.is_empty() {
                steps.push(list(&copy.plan.commands, render_command));
            }
            if let Some(head) = &copy.plan.head {
                steps.push(format!("make {} the default branch", head.short()));
            }
            if let Described::Becomes { new, .. } = &copy.plan.description {
                steps.push(format!("make the description {new:?}"));
            }
            format!("{}: {}", copy.place, steps.join("; "))
        }
        Action::Remember { target, troubles, .. } if troubles.is_empty() => {
            format!("{target}: remember what both sides agree on")
        }
        Action::Remember { target, troubles, .. } => format!("{target}: remember that {}", troubles.join("; ")),
        Action::ComeAgain { target, .. } => format!("{target}: look again"),
    }
}

/// A command as a sentence.
pub fn render_command(command: &Command) -> String {
    let name = &command.name;
    let by_force = if command.because == Because::Overwritten { " (overwritten)" } else { "" };
    match (&command.old, &command.new) {
        (None, Some(new)) => format!("{name} is new at {}{by_force}", new.short()),
        (Some(old), Some(new)) => format!("{name} {} to {}{by_force}", old.short(), new.short()),
        (Some(old), None) => format!("{name} ends, it was at {}{by_force}", old.short()),
        (None, None) => format!("{name} stays away"),
    }
}

/// A ref that is left as it is, as a sentence.
pub fn render_left(left: &Left) -> String {
    format!("{} is left as it is: {}", left.name, render_why(left.why))
}

fn render_why(why: Why) -> &'static str {
    match why {
        Why::OtherDirection => "only the copy changed, which is copied back to the source",
        Why::NeverHere => "it was never in the source",
        Why::DeletionsIgnored => "it ended in the source, and the policy keeps it",
        Why::Kept => "the copy has something of its own, and the policy keeps it",
    }
}

/// A ref that cannot be made equal, as a sentence that says what a person can do.
pub fn render_failed(failed: &Failed) -> String {
    let name = &failed.name;
    match &failed.trouble {
        Trouble::Diverged { here, there } => format!(
            "{name} diverged: the copy is at {}, which the source at {} never had. Push that commit to the source or reset the \
             copy, or let the policy say on_divergence: overwrite",
            there.short(),
            here.short()
        ),
        Trouble::EndedThere { here } => format!(
            "{name} was deleted in the copy; the source is at {}. Delete it in the source, too, or push it to the copy, or let \
             the policy say on_divergence: overwrite",
            here.short()
        ),
        Trouble::MovedThere { there } => format!(
            "{name} was deleted in the source, and the copy moved on to {}. Delete it in the copy, or push that commit to the \
             source",
            there.short()
        ),
        Trouble::Collision { names } => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            format!("{} have the same name in the copy, {name}. Mend `map` in the policy", names.join(" and "))
        }
        Trouble::SourceEmpty { there } => format!(
            "the source has no refs at all, and the copy has {}: nothing is deleted for that. If it is meant, delete them in \
             the copy",
            refs(*there)
        ),
        Trouble::OddName => format!("{name:?} is a name that cannot be copied. Rename it in the source"),
    }
}

fn refs(count: usize) -> String {
    if count == 1 { "1 ref".to_owned() } else { format!("{count} refs") }
}

fn list<T>(items: &[T], render: impl Fn(&T) -> String) -> String {
    let mut texts: Vec<String> = items.iter().take(MOST_NAMED).map(render).collect();
    if items.len() > MOST_NAMED {
        texts.push(format!("and {} more", items.len() - MOST_NAMED));
    }
    texts.join("; ")
}
