//! Copies that do not fit into one invocation, or into one push: what is remembered of them, and how they are cut.

use serde::{Deserialize, Serialize};
use signalbox_events::RefName;

use crate::compare::Command;
use crate::facts::Object;

/// Into so many parts a history is cut when it first turns out not to fit.
const FIRST_PARTS: u32 = 16;

/// How much finer the next cut is.
const FINER: u32 = 4;

/// A push that did not get through, which is cut into steps from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfit {
    /// Its ref, where it was about one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<RefName>,
    /// Where that was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Object>,
    /// How many bytes of its pack had gone by when its time was over.
    pub bytes: u64,
    /// The seconds that it had.
    pub seconds: u64,
    /// The seconds that all had together when the copy as a whole did not get through.
    pub whole: u64,
    /// Into so many parts a history is cut.
    pub parts: u32,
}

impl Unfit {
    /// What is remembered of a push that did not get through within `seconds`, in an invocation that had `whole` seconds.
    ///
    /// The parts get finer, unless steps before it did get through: then it only came last.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        commands: &[Command],
        bytes: u64,
        (seconds, whole): (u64, u64),
        got_on: GotOn,
    ) -> Self {
        let parts = match (before, got_on) {
            (None, _) => FIRST_PARTS,
            (Some(before), GotOn::Somewhat) => before.parts,
            (Some(before), GotOn::NotAtAll) => before.parts.saturating_mul(FINER),
        };
        let only = match commands {
            [command] => Some(command),
            _ => None,
        };
        let name = only.map(|command| command.name.clone());
        Self { name, to: only.and_then(|command| command.new.clone()), bytes, seconds, whole, parts }
    }

    /// Whether the copy as a whole, with so much time, would end as it did before.
    pub fn goes_in_steps(&self, whole: u64) -> bool {
        is_no_longer(whole, self.whole)
    }

    /// Whether this very push, with so much time, would end as it did before: there is nothing smaller to try.
    ///
    /// One that had little of an invocation because others went before it has not shown that.
    pub fn is_beyond(&self, name: &RefName, to: &Object, seconds: u64) -> bool {
        let had_most = self.seconds.saturating_mul(2) >= self.whole;
        let is_it = self.name.as_ref() == Some(name) && self.to.as_ref() == Some(to);
        is_it && had_most && is_no_longer(seconds, self.seconds)
    }
}

/// Whether an invocation got on before its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GotOn {
    /// A push got through.
    Somewhat,
    /// None did.
    NotAtAll,
}

/// Half as long again may be enough for what was not quite done.
fn is_no_longer(seconds: u64, before: u64) -> bool {
    seconds < before.saturating_add((before / 2).max(1))
}

/// The commands of one push, in several: deletions first, then the branch that holds most of the history (`trunk`) by itself,
/// then the others in groups.
pub fn divided(commands: &[Command], trunk: Option<&RefName>, parts: u32) -> Vec<Vec<Command>> {
    let (ends, moves): (Vec<&Command>, Vec<&Command>) = commands.iter().partition(|command| command.new.is_none());
    let is_trunk = |command: &&Command| Some(&command.name) == trunk;
    let first = moves.iter().copied().find(is_trunk).or_else(|| moves.iter().copied().find(|it| is_branch(it)));
    let rest: Vec<&Command> = moves.iter().copied().filter(|command| Some(*command) != first).collect();
    let size = rest.len().div_ceil(usize::try_from(parts.max(1)).unwrap_or(usize::MAX)).max(1);
    let owned = |group: &[&Command]| group.iter().map(|command| (*command).clone()).collect::<Vec<Command>>();
    let groups = [owned(&ends), owned(first.as_slice())].into_iter().chain(rest.chunks(size).map(owned));
    groups.filter(|group| !group.is_empty()).collect()
}

/// Whether a command moves a branch to somewhere, so that it may go there by commits on the way.
pub fn is_branch(command: &Command) -> bool {
    command.name.as_str().starts_with("refs/heads/") && command.new.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Because;

    fn command(name: &str, new: Option<char>) -> Command {
        let id = |digit: char| Object::parse(&digit.to_string().repeat(40)).unwrap();
        let old = new.is_none().then(|| id('9'));
        Command { name: RefName::parse(name).unwrap(), old, new: new.map(id), because: Because::New }
    }

    #[test]
    fn a_push_is_divided_with_its_trunk_by_itself_and_nothing_lost() {
        let commands: Vec<Command> = [
            command("refs/heads/gone", None),
            command("refs/heads/a", Some('1')),
            command("refs/heads/main", Some('2')),
            command("refs/tags/x", Some('3')),
            command("refs/tags/y", Some('4')),
            command("refs/tags/z", Some('5')),
        ]
        .into();
        let names = |trunk: &str, parts| {
            let trunk = RefName::parse(trunk).unwrap();
            let groups = divided(&commands, Some(&trunk), parts);
            let text = |group: &Vec<Command>| group.iter().map(|it| it.name.short()).collect::<Vec<_>>().join(" ");
            groups.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(names("refs/heads/main", 2), ["gone", "main", "a x", "y z"]);
        assert_eq!(names("refs/heads/main", 100), ["gone", "main", "a", "x", "y", "z"]);
        assert_eq!(names("refs/heads/none", 1), ["gone", "a", "main x y z"]);
        assert_eq!(divided(&commands[3..4], None, 16).len(), 1);
    }

    #[test]
    fn what_did_not_fit_is_cut_finer_each_time_and_known_again() {
        let one = [command("refs/heads/main", Some('2'))];
        let first = Unfit::after(None, &one, 1000, (100, 800), GotOn::NotAtAll);
        let second = Unfit::after(Some(&first), &one, 900, (500, 800), GotOn::NotAtAll);
        let third = Unfit::after(Some(&second), &one, 900, (10, 800), GotOn::Somewhat);
        assert_eq!((first.parts, second.parts, third.parts), (16, 64, 64));
        let is_beyond = |unfit: &Unfit, seconds| unfit.is_beyond(&one[0].name, one[0].new.as_ref().unwrap(), seconds);
        assert!(is_beyond(&second, 500) && is_beyond(&second, 749) && !is_beyond(&second, 750));
        assert!(!is_beyond(&third, 10), "it only came last");
        assert!(third.goes_in_steps(800) && !third.goes_in_steps(1200));
        let several = [one[0].clone(), command("refs/tags/x", Some('3'))];
        assert_eq!(Unfit::after(None, &several, 0, (0, 0), GotOn::NotAtAll).name, None);
    }
}
