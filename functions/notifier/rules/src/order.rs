//! The order of builds: that in which their commits came to the ref, whenever they were started or ended.
//!
//! The trigger records when a ref was moved and from where, or when it was seen at a branch's tip, so a push whose event came late is known to be an older one, and
//! a ref that was forced back to an older commit has it as its newest. Of a build that somebody wanted only its start is
//! known: it stands beside the push of its commit; where no push of that is known, git says whether the commit is older.

use std::collections::BTreeSet;

use jiff::Timestamp;
use signalbox_events::BuildId;

use crate::forebears::Forebear;
use crate::history::{Finished, StartedFor};

/// By what builds are ordered before anything else is looked at: when the ref was there; then by their starts, which order
/// only builds of one push.
type Moment<'a> = (Timestamp, Timestamp, Option<u64>, &'a BuildId);

impl Finished {
    pub(crate) fn moment(&self) -> Moment<'_> {
        (self.pushed.unwrap_or(self.started), self.started, self.number, &self.build)
    }

    /// Whether the trigger started it for a push.
    fn is_of_a_push(&self) -> bool {
        self.started_for == StartedFor::Ref
    }
}

/// The builds in their order, oldest first.
pub(crate) fn in_order(builds: &[Finished]) -> Vec<&Finished> {
    let mut rest: Vec<(&Finished, &Finished)> = builds.iter().map(|one| (first_of(builds, one), one)).collect();
    rest.sort_by(|(first, one), (other_first, other)| {
        (first.moment(), one.moment()).cmp(&(other_first.moment(), other.moment()))
    });
    // Events tell of pushes to the second: of those of one second each tells which commit it came after.
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(second) = rest.first().map(|(first, _)| first.moment().0.as_second()) {
        let same = rest.iter().take_while(|(first, _)| first.moment().0.as_second() == second);
        let is_next = |first: &Finished| {
            !same.clone().any(|(other, _)| {
                first.previous.is_some() && first.previous == other.commit && first.commit != other.commit
            })
        };
        let next = same.clone().position(|(first, _)| is_next(first)).unwrap_or_default();
        ordered.push(rest.remove(next).1);
    }
    ordered
}

/// The build beside which this one stands: the one of the push that brought its commit, or else itself.
fn first_of<'a>(builds: &'a [Finished], one: &'a Finished) -> &'a Finished {
    if one.is_of_a_push() || one.commit.is_none() {
        return one;
    }
    let same = || builds.iter().filter(|other| other.commit == one.commit && other.moment() < one.moment());
    // A ref that was set back to the commit makes it the newest again.
    let pushed = same().filter(|other| other.is_of_a_push()).max_by(|one, other| one.moment().cmp(&other.moment()));
    pushed.or_else(|| same().min_by(|one, other| one.moment().cmp(&other.moment()))).unwrap_or(one)
}

/// Whether the build has a place among the results of the ref.
///
/// One of an older commit has only where the push of that commit is known.
pub(crate) fn counts(builds: &[Finished], one: &Finished) -> bool {
    one.is_result() && (one.started_for != StartedFor::Older || first_of(builds, one).is_of_a_push())
}

/// What only git knows: whether the build that ended is of an older commit than the newest result before it, and whether those
/// that somebody wanted since, and that ended first, are of an older commit than this one.
///
/// Commits that are part of an older result are part of the newest one: nothing else is asked about.
pub(crate) fn questions(builds: &[Finished], finished: &Finished) -> Vec<Forebear> {
    let mut open: Vec<(&Finished, &Finished)> = pairs(builds, finished)
        .filter(|(one, earlier)| {
            one.started_for != StartedFor::Older && counts(builds, earlier) && of_pushes(builds, one, earlier).is_none()
        })
        .collect();
    let order = in_order(builds);
    let newest = order.iter().rfind(|earlier| counts(builds, earlier) && earlier.moment() < finished.moment());
    open.retain(|(_, earlier)| {
        earlier.build == finished.build || newest.is_some_and(|newest| newest.build == earlier.build)
    });
    let question = |(one, earlier): (&Finished, &Finished)| {
        Some(Forebear { older: one.commit.clone()?, newer: earlier.commit.clone()? })
    };
    open.into_iter().filter_map(question).collect()
}

/// Which builds that somebody wanted are of an older commit than what was built before them, seen from the one that ended.
pub(crate) fn older(builds: &[Finished], finished: &Finished, known: &[Forebear]) -> BTreeSet<BuildId> {
    let is_known = |one: &Finished, earlier: &Finished| {
        known
            .iter()
            .any(|pair| Some(&pair.older) == one.commit.as_ref() && Some(&pair.newer) == earlier.commit.as_ref())
    };
    let older = pairs(builds, finished)
        .filter(|(one, earlier)| of_pushes(builds, one, earlier).unwrap_or_else(|| is_known(one, earlier)));
    older.map(|(one, _)| one.build.clone()).collect()
}

/// Each build that somebody wanted, with each earlier result of another commit, where one of the two is the build that ended:
/// so a pair is looked at once, in whichever order they end.
fn pairs<'a>(builds: &'a [Finished], finished: &'a Finished) -> impl Iterator<Item = (&'a Finished, &'a Finished)> {
    let results = || builds.iter().filter(|one| one.is_result() && one.commit.is_some());
    let wanted = results().filter(|one| !one.is_of_a_push());
    let all = wanted.flat_map(move |one| results().map(move |earlier| (one, earlier)));
    all.filter(|(one, earlier)| {
        let is_concerned = one.build == finished.build || earlier.build == finished.build;
        is_concerned && earlier.commit != one.commit && earlier.moment() < one.moment()
    })
}

/// Whether the push of the one came before the push of the other; `None` where one of the two is not known.
fn of_pushes(builds: &[Finished], one: &Finished, other: &Finished) -> Option<bool> {
    let (one, other) = (first_of(builds, one), first_of(builds, other));
    let place = |first: &Finished| in_order(builds).iter().position(|there| there.build == first.build);
    (one.is_of_a_push() && other.is_of_a_push()).then(|| place(one) < place(other))
}
