//! What only events tell of a ref: where it was, who moved it. And what Signalbox itself did to it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, CommitId, EventId, RefName, RepositoryName};

use crate::facts::Object;

/// At most this many moves of a ref are remembered.
const REMEMBERED: usize = 100;

/// Where a ref is: a commit, or nowhere.
pub type Place = Option<CommitId>;

/// The journal of one ref.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The moves that are known, in the order in which they were heard of.
    #[serde(default)]
    pub moves: Vec<Move>,
    /// The tag objects behind the commits that events tell, as far as they were seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<CommitId, Object>,
    /// Which branches keep what Signalbox undid, by the ids of its moves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<EventId, RefName>,
}

/// One move of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The event that told of it, or the one that it was made for.
    pub id: EventId,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// From where.
    pub old: Place,
    /// To where.
    pub new: Place,
    /// Who made it.
    pub by: Option<Arn>,
    /// What became of it.
    pub judged: Judged,
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// It is allowed.
    Good,
    /// It is to be undone, and was not yet.
    Bad,
    /// It was to be undone, and no longer is: that was done, or somebody else did it.
    Undone,
    /// It is not allowed and stays: it was only reported.
    Reported,
    /// Somebody made it who may.
    Bypassed,
    /// Signalbox made it.
    Ours,
}

/// What undoing a move comes to, seen where the ref is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The ref goes there.
    To(Place),
    /// It is there already.
    Back,
    /// Somebody who may, or Signalbox, has moved it since.
    Overtaken,
    /// No known moves lead from the one to where the ref is: nobody knows what else would be undone.
    Unproven,
}

impl Journal {
    /// Where the journal of a ref lies.
    pub fn key(repository: &RepositoryName, reference: &RefName) -> String {
        let name: String = reference
            .as_str()
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        format!("state/protected/{repository}/{name}.json")
    }

    /// The journal with this move in it. What became of a move that was undone already stays.
    #[must_use]
    pub fn with(&self, made: &Move) -> Self {
        let mut next = self.clone();
        match next.moves.iter_mut().find(|there| there.id == made.id) {
            Some(there) if there.judged == Judged::Undone => {}
            Some(there) => *there = made.clone(),
            None => next.moves.push(made.clone()),
        }
        let surplus = next.moves.len().saturating_sub(REMEMBERED);
        next.moves.drain(..surplus);
        next
    }

    /// The journal in which nothing is left to be undone of these moves. What another move did may still be there.
    #[must_use]
    pub fn settled(&self, moves: &BTreeSet<EventId>) -> Self {
        let mut next = self.clone();
        for made in next.moves.iter_mut().filter(|made| made.judged == Judged::Bad && moves.contains(&made.id)) {
            made.judged = Judged::Undone;
        }
        next
    }

    /// The journal with a tag object that was seen behind a commit.
    #[must_use]
    pub fn seen(&self, commit: &CommitId, object: &Object) -> Self {
        let mut next = self.clone();
        next.objects.insert(commit.clone(), object.clone());
        // Only what some move names can ever be put back.
        let named = |commit: &CommitId| {
            next.moves.iter().any(|made| made.old.as_ref() == Some(commit) || made.new.as_ref() == Some(commit))
        };
        let kept = next.objects.iter().filter(|(there, _)| *there == commit || named(there));
        let kept = kept.map(|(commit, object)| (commit.clone(), object.clone())).collect();
        next.objects = kept;
        next
    }

    /// The journal that knows which branch keeps what this move of ours undid.
    #[must_use]
    pub fn keeping(&self, id: &EventId, kept: &RefName) -> Self {
        let mut next = self.clone();
        next.kept.insert(id.clone(), kept.clone());
        next.kept.retain(|id, _| self.moves.iter().any(|made| made.id == *id));
        next
    }

    /// The moves that led to a place, back to where somebody put the ref who may.
    ///
    /// What Signalbox itself put back leads nowhere else: the way goes on from there as if it had never left.
    fn way_to<'a>(&'a self, mut place: &'a Place) -> Way<'a> {
        let mut way = Way::default();
        let mut rest: Vec<(usize, &Move)> = self.moves.iter().enumerate().collect();
        while let Some(made) = take_last_to(&mut rest, place) {
            match made.judged {
                Judged::Bypassed => {
                    way.is_bypassed = true;
                    break;
                }
                Judged::Ours => way.undone.append(&mut undone_by(&mut rest, made)),
                Judged::Good | Judged::Bad | Judged::Undone | Judged::Reported => {
                    way.steps.push(made);
                    place = &made.old;
                }
            }
        }
        way
    }

    /// What undoing comes to. `made` is in the journal, and bad.
    pub fn undo(&self, made: &Move, tip: &Place) -> Undo {
        if self.moves.iter().any(|there| there.id == made.id && there.judged == Judged::Undone) {
            return if made.old == *tip { Undo::Back } else { Undo::Overtaken };
        }
        let way = self.way_to(tip);
        // The first bad move is undone, with all that was built on it.
        match way.steps.iter().rev().find(|step| step.judged == Judged::Bad) {
            Some(first) if way.is_led_by(made) && first.old == *tip => Undo::Back,
            Some(first) if way.is_led_by(made) => Undo::To(first.old.clone()),
            _ if made.old == *tip => Undo::Back,
            _ if way.is_bypassed || way.undone.iter().any(|step| step.id == made.id) => Undo::Overtaken,
            _ => Undo::Unproven,
        }
    }

    /// The moves of which nothing is left once what undoing `made` comes to is done.
    pub fn settled_by(&self, made: &Move, tip: &Place) -> BTreeSet<EventId> {
        let way = self.way_to(tip);
        let bad = way.steps.iter().filter(|step| step.judged == Judged::Bad && way.is_led_by(made));
        bad.map(|step| step.id.clone()).chain([made.id.clone()]).collect()
    }

    /// Where the known moves left the ref; `None` where no move is known.
    pub fn last_place(&self) -> Option<&Place> {
        let last = self.moves.iter().enumerate().max_by_key(|(heard, made)| (made.at, *heard));
        last.map(|(_, made)| &made.new)
    }

    /// What Signalbox undid since then, oldest first.
    pub fn restores_since(&self, moment: Timestamp) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(move |made| made.judged == Judged::Ours && made.at.is_some_and(|at| at >= moment))
    }
}

/// How a ref came where it is, as far as that is known.
#[derive(Default)]
struct Way<'a> {
    /// The moves that led there, the last one first.
    steps: Vec<&'a Move>,
    /// The moves that Signalbox undid since.
    undone: Vec<&'a Move>,
    /// Whether it begins where somebody put the ref who may.
    is_bypassed: bool,
}

impl Way<'_> {
    fn is_led_by(&self, made: &Move) -> bool {
        self.steps.iter().any(|step| step.id == made.id)
    }
}

/// Takes the last of the moves to a place out of the rest.
fn take_last_to<'a>(rest: &mut Vec<(usize, &'a Move)>, place: &Place) -> Option<&'a Move> {
    let leads = rest.iter().enumerate().filter(|(_, (_, made))| made.new == *place);
    let (last, _) = leads.max_by_key(|(_, (heard, made))| (made.at, *heard))?;
    Some(rest.remove(last).1)
}

/// Takes the moves out of the rest that a move of ours undid: those from where it put the ref to where it found it.
fn undone_by<'a>(rest: &mut Vec<(usize, &'a Move)>, ours: &'a Move) -> Vec<&'a Move> {
    let (mut undone, mut place) = (Vec::new(), &ours.old);
    while *place != ours.new
        && let Some(made) = take_last_to(rest, place)
    {
        undone.push(made);
        if made.judged == Judged::Ours {
            undone.append(&mut undone_by(rest, made));
        } else {
            place = &made.old;
        }
    }
    undone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        (name != "-").then(|| CommitId::parse(name.repeat(8)).unwrap())
    }

    fn made(id: usize, at: i64, from: &str, to: &str, judged: Judged) -> Move {
        let at = Some(Timestamp::from_second(at).unwrap());
        Move { id: EventId::parse(format!("e{id}")).unwrap(), at, old: place(from), new: place(to), by: None, judged }
    }

    /// Each move as `from`, `to`, what became of it; one a second.
    fn journal(moves: &[(&str, &str, Judged)]) -> Journal {
        let moves = moves.iter().enumerate();
        let moves = moves.map(|(at, (from, to, judged))| made(at, i64::try_from(at).unwrap(), from, to, *judged));
        Journal { moves: moves.collect(), ..Journal::default() }
    }

    #[test]
    fn the_first_bad_move_is_undone_with_all_that_was_built_on_it() {
        use Judged::{Bad, Bypassed, Good, Ours, Reported, Undone};
        for (what, moves, tip, expected) in [
            ("one", vec![("a", "b", Bad)], "b", Undo::To(place("a"))),
            ("good upon bad", vec![("a", "b", Bad), ("b", "c", Good)], "c", Undo::To(place("a"))),
            ("bad upon good", vec![("b", "c", Good), ("c", "d", Bad)], "d", Undo::To(place("c"))),
            ("somebody put it back", vec![("a", "b", Bad)], "a", Undo::Back),
            ("put back by a move of its own", vec![("a", "b", Bad), ("b", "a", Bad)], "a", Undo::Back),
            ("a way that is not known", vec![("a", "b", Bad)], "c", Undo::Unproven),
            ("a gap below good moves", vec![("a", "b", Bad), ("c", "d", Good)], "d", Undo::Unproven),
            ("somebody may", vec![("a", "b", Bad), ("b", "c", Bypassed)], "c", Undo::Overtaken),
            (
                "good upon what somebody may",
                vec![("a", "b", Bad), ("b", "c", Bypassed), ("c", "d", Good)],
                "d",
                Undo::Overtaken,
            ),
            (
                "put back upon what is bad itself",
                vec![("c", "b", Undone), ("b", "c", Ours), ("a", "c", Bad)],
                "c",
                Undo::To(place("a")),
            ),
            ("again", vec![("a", "b", Undone), ("b", "a", Ours), ("a", "b", Bad)], "b", Undo::To(place("a"))),
            ("what was only reported stays", vec![("a", "b", Reported), ("b", "c", Bad)], "c", Undo::To(place("b"))),
            ("a deletion", vec![("a", "-", Bad)], "-", Undo::To(place("a"))),
            ("made anew after a deletion", vec![("a", "-", Bad), ("-", "c", Good)], "c", Undo::To(place("a"))),
            ("a creation", vec![("-", "a", Bad)], "a", Undo::To(None)),
            ("undone with others", vec![("a", "b", Bad), ("b", "c", Undone), ("c", "a", Ours)], "a", Undo::Back),
            (
                "undone with others, and work went on",
                vec![("a", "b", Bad), ("b", "c", Undone), ("c", "a", Ours), ("a", "d", Good)],
                "d",
                Undo::Overtaken,
            ),
            ("below what was undone", vec![("a", "b", Bad), ("c", "d", Undone), ("d", "c", Ours)], "c", Undo::Unproven),
            ("beside another bad move", vec![("c", "d", Bad), ("a", "b", Bad)], "d", Undo::Unproven),
        ] {
            let journal = journal(&moves);
            let last_bad = journal.moves.iter().rev().find(|made| made.judged == Bad).unwrap();
            assert_eq!(journal.undo(last_bad, &place(tip)), expected, "{what}");
        }
    }

    #[test]
    fn what_was_settled_is_not_undone_once_more() {
        use Judged::{Bad, Good};
        // Somebody forced `b` over `a` and back; then work went on.
        let moves = journal(&[("a", "b", Bad), ("b", "a", Bad)]);
        let moves = moves.settled(&moves.settled_by(&moves.moves[1], &place("a")));
        let moves = moves.with(&made(7, 7, "a", "c", Good));
        let bad = made(8, 8, "c", "d", Bad);
        assert_eq!(moves.with(&bad).undo(&bad, &place("d")), Undo::To(place("c")));
        // A second delivery does not open it again.
        assert_eq!(moves.with(&made(0, 0, "a", "b", Bad)), moves);
    }

    #[test]
    fn a_journal_keeps_the_newest_moves_and_the_tag_objects_that_they_name() {
        let mut journal = Journal::default();
        for at in 0..150 {
            journal = journal.with(&made(at, i64::try_from(at).unwrap(), "a", "b", Judged::Good));
        }
        assert_eq!((journal.moves.len(), journal.moves[0].id.as_str()), (REMEMBERED, "e50"));
        let object = Object::parse(&"1".repeat(40)).unwrap();
        let seen = journal.seen(&place("c").unwrap(), &object).seen(&place("a").unwrap(), &object);
        assert_eq!(seen.objects.keys().cloned().map(Some).collect::<Vec<_>>(), [place("a")]);
    }

    #[test]
    fn each_ref_has_a_key_of_its_own() {
        let repository = RepositoryName::parse("demo").unwrap();
        let key = |name: &str| Journal::key(&repository, &RefName::parse(name).unwrap());
        assert_eq!(key("refs/heads/a/b"), "state/protected/demo/refs%2Fheads%2Fa%2Fb.json");
        assert_ne!(key("refs/heads/a/b"), key("refs/heads/a%2Fb"));
    }
}
