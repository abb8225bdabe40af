//! Commands, in the pushes that bring them.

use std::collections::BTreeSet;

use signalbox_events::RefName;

use crate::compare::Command;

/// CodeCommit takes at most this many commands in one push.
pub const MOST_COMMANDS: usize = 4_000;

/// The commands in the pushes that bring them, in this order.
///
/// Deletions go first. A new ref whose name stands in the way of a deleted one, as `refs/heads/a` does of `refs/heads/a/b`,
/// goes in a push behind it. `head` is the target's default branch: its deletion waits for a push of its own at the end,
/// since no server deletes it before another branch took its place.
pub fn pushes(commands: &[Command], head: Option<&RefName>) -> Vec<Vec<Command>> {
    let is_last = |command: &&Command| command.new.is_none() && head == Some(&command.name);
    let deleted: BTreeSet<&str> =
        commands.iter().filter(|command| command.new.is_none()).map(|command| command.name.as_str()).collect();
    let in_the_way = |command: &Command| {
        let name = command.name.as_str();
        let above = name.match_indices('/').any(|(at, _)| name.get(..at).is_some_and(|above| deleted.contains(above)));
        let below = format!("{name}/");
        above || deleted.range(below.as_str()..).next().is_some_and(|first| first.starts_with(&below))
    };
    let (last, rest): (Vec<&Command>, Vec<&Command>) = commands.iter().partition(is_last);
    let (ends, moves): (Vec<&Command>, Vec<&Command>) = rest.into_iter().partition(|command| command.new.is_none());
    let (late, early): (Vec<&Command>, Vec<&Command>) = moves.into_iter().partition(|command| in_the_way(command));
    let first: Vec<&Command> = ends.into_iter().chain(early).collect();
    let groups = [first, late, last];
    let chunks = groups.iter().flat_map(|group| group.chunks(MOST_COMMANDS));
    chunks.map(|chunk| chunk.iter().map(|command| (*command).clone()).collect()).collect()
}
