//! How fast a ref is put back again, and when it is not.

use jiff::SignedDuration;

use crate::journal::{Journal, Judged, Move};

/// So often a ref is put back without a pause.
const AT_ONCE: usize = 2;
/// The first pause.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// The longest.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// So often the same step must be taken against us, each time this soon, to be a program's.
const STEPS: usize = 3;
const SOON: SignedDuration = SignedDuration::from_secs(30);

/// How long it waits before a ref is put back that was put back so often within the last hour.
///
/// A person who keeps pushing is put back every time, only later and later.
pub fn pause_after(before: usize) -> SignedDuration {
    let Some(beyond) = before.checked_sub(AT_ONCE) else { return SignedDuration::ZERO };
    let doublings = u32::try_from(beyond).unwrap_or(u32::MAX).min(16);
    FIRST.checked_mul(1_i32.checked_shl(doublings).unwrap_or(i32::MAX)).map_or(LONGEST, |pause| pause.min(LONGEST))
}

/// Whether this is another guard's answer to us: the same actor took the very same step against our last three restores, each
/// within half a minute.
///
/// Two guards that put a ref back against each other would never end. A person is slower, or pushes something else.
pub fn is_contest(journal: &Journal, bad: &Move) -> bool {
    let is_answer = |restore: &Move, answer: &Move| {
        let in_time = match (restore.at, answer.at) {
            (Some(ours), Some(theirs)) => theirs.duration_since(ours) <= SOON,
            _ => false,
        };
        let is_same = answer.old == bad.old && answer.new == bad.new && answer.by == bad.by;
        restore.new == answer.old && restore.old == answer.new && is_same && in_time
    };
    let moves = || journal.moves.iter().enumerate();
    let restores: Vec<(usize, &Move)> =
        moves().rev().filter(|(_, made)| made.judged == Judged::Ours).take(STEPS).collect();
    restores.len() == STEPS
        && restores.iter().all(|(at, restore)| {
            // What was heard of later was done later: the times of events are to the second.
            moves().skip(at + 1).any(|(_, made)| made.judged != Judged::Ours && is_answer(restore, made))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_a_quarter_of_an_hour() {
        let seconds: Vec<i64> = (0..12).map(|before| pause_after(before).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(pause_after(usize::MAX).as_secs(), 900);
    }
}
