//! Every sentence that the replicator says, in one place.

use signalbox_events::{Obstacle, ObstacleKind};

use crate::compare::{Because, Command, Described, Failed, Left, Trouble, Why};
use crate::decide::{Action, Reason};
use crate::steps::Unfit;

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
            let failed = list(failed, |failed| obstacle_of(failed).to_string());
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
        Reason::Trouble { target, what } => format!("{target}: {what}"),
        Reason::Later { target, what } => format!("{target}: {what}"),
        Reason::NothingToBundle { target } => {
            format!("{target}: the source has nothing that is copied, and git knows no empty bundle: none is written")
        }
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
            if let crate::place::Place::Bundle { .. } = copy.place {
                return format!("{}: write a bundle: {}", copy.place, steps.join("; "));
            }
            format!("{}: {}", copy.place, steps.join("; "))
        }
        Action::Remember { target, troubles, .. } if troubles.is_empty() => {
            format!("{target}: remember what both sides agree on")
        }
        Action::Remember { target, troubles, .. } => {
            format!("{target}: remember that {}", list(troubles, ToString::to_string))
        }
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

/// A ref that cannot be made equal, with the reason and with what a person can do.
pub fn obstacle_of(failed: &Failed) -> Obstacle {
    let name = &failed.name;
    let obstacle = |kind, reason: String, remedy: &str| Obstacle::of_ref(name.clone(), kind, reason, remedy);
    match &failed.trouble {
        Trouble::Diverged { here, there } => obstacle(
            ObstacleKind::Diverged,
            format!(
                "{name} diverged: the copy is at {}, which the source at {} never had",
                there.short(),
                here.short()
            ),
            "Push that commit to the source or reset the copy, or let the policy say on_divergence: overwrite",
        ),
        Trouble::EndedThere { here } => obstacle(
            ObstacleKind::DeletedThere,
            format!("{name} was deleted in the copy; the source is at {}", here.short()),
            "Delete it in the source, too, or push it to the copy, or let the policy say on_divergence: overwrite",
        ),
        Trouble::MovedThere { there } => obstacle(
            ObstacleKind::MovedThere,
            format!("{name} was deleted in the source, and the copy moved on to {}", there.short()),
            "Delete it in the copy, or push that commit to the source",
        ),
        Trouble::Collision { names } => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let reason = format!("{} have the same name in the copy, {name}", names.join(" and "));
            obstacle(ObstacleKind::Collision, reason, "Mend `map` in the policy")
        }
        Trouble::SourceEmpty { there } => Obstacle::of_copy(
            ObstacleKind::SourceEmpty,
            format!("the source has no refs at all, and the copy has {}: nothing is deleted for that", refs(*there)),
            "If it is meant, delete them in the copy, or the bundle",
        ),
        Trouble::InTheWay { other } => obstacle(
            ObstacleKind::InTheWay,
            format!("{name} has no room in the copy: {other} is there, and git keeps only one of the two"),
            "Delete that one in the copy, or give one of them another name",
        ),
        Trouble::OddName => obstacle(
            ObstacleKind::OddName,
            format!("{name:?} is a name that cannot be copied"),
            "Rename it in the source",
        ),
    }
}

/// A push that has no part which fits into an invocation.
pub fn too_far(command: &Command, unfit: &Unfit) -> Obstacle {
    let reason = format!(
        "{} is out of reach: {} of its pack had come when {} s were over, and a target keeps nothing of half a pack. {NOTHING_SMALLER}",
        render_way(command),
        size(unfit.bytes),
        unfit.seconds,
    );
    let remedy = "Push it once by hand, then the copy goes on by itself";
    Obstacle::of_ref(command.name.to_string(), ObstacleKind::TooLarge, reason, remedy)
}

/// A push that has no part which the target takes.
pub fn too_large(command: &Command, bytes: u64, words: &str) -> Obstacle {
    let reason = format!(
        "{} is out of reach: its pack is larger than the target takes, {} had been sent ({words}). {NOTHING_SMALLER}",
        render_way(command),
        size(bytes),
    );
    let remedy = "Let the target take larger packs, or push it once by hand";
    Obstacle::of_ref(command.name.to_string(), ObstacleKind::TooLarge, reason, remedy)
}

/// What stood behind a push that is out of reach, when the time was over.
pub fn too_late() -> Obstacle {
    let reason = "what was tried behind it did not get through in time either";
    Obstacle::of_copy(ObstacleKind::TooLarge, reason, "")
}

const NOTHING_SMALLER: &str = "There is no commit on the way at which the source would end a smaller one";

fn render_way(command: &Command) -> String {
    let place =
        |at: &Option<crate::facts::Object>| at.as_ref().map_or("nothing".to_owned(), |at| at.short().to_owned());
    format!("{} from {} to {}", command.name, place(&command.old), place(&command.new))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
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
