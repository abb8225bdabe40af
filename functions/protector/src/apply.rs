//! Does what was decided, and chooses nothing.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use signalbox_aws::Failure;
use signalbox_events::{CommitId, EventId, Protected, RepositoryName};
use signalbox_gitwire::http::Target;
use signalbox_gitwire::{Change, Command, Oid, Outcome, RefName, Together};
use signalbox_glue::{Apply, Came, Invocation, Measure, Order, Step, Twice, measure};
use signalbox_ledger::Outcome as Ending;
use signalbox_protector_rules::{
    Action, Journal, Judged, Move, Object, Restore, Subject, Tip, WatchMemory, render_action, render_rescue,
};

use crate::Protector;
use crate::git::{sorted, tip_of};

/// What servers say where a ref is not any more where it was seen. CodeCommit's words are to be confirmed.
const RACE_WORDS: &[&str] = &[
    "already exists",
    "but expected",
    "cannot lock ref",
    "fetch first",
    "failed to update ref",
    "incorrect old value",
    "stale info",
];

/// One look, as it is acted on.
pub(crate) struct Carrier<'a> {
    pub(crate) function: &'a Protector,
    pub(crate) event: &'a EventId,
    /// Why the ref could not be put back, once that was refused.
    refused: Mutex<Option<String>>,
}

impl<'a> Carrier<'a> {
    /// What is done for this event.
    pub(crate) fn new(function: &'a Protector, event: &'a EventId) -> Self {
        Self { function, event, refused: Mutex::default() }
    }
}

/// How the key of a ref's way back begins.
const RESTORE: &str = "restore ";

impl Apply<Action> for Carrier<'_> {
    fn step(&self, action: &Action) -> Step {
        let key = match action {
            Action::Restore(restore) => {
                let id = |object: &Option<Object>| object.as_ref().map_or("-", Object::as_str).to_owned();
                Some(format!("{RESTORE}{} {} {}", restore.subject.reference, id(&restore.from), id(&restore.to)))
            }
            Action::SetDefaultBranch { from, to, .. } => Some(default_branch_key(from.as_deref(), to)),
            Action::Tell(news) if news.about == Protected::Ref => Some("tell".to_owned()),
            Action::Tell(news) => Some(format!("tell {}", news.about)),
            Action::Remember { .. } | Action::Settle { .. } | Action::ComeAgain { .. } | Action::See { .. } => None,
        };
        let order = match action {
            // It tells how the others went, and what was not told is not remembered.
            Action::Tell(_) | Action::See { .. } => Order::AfterOthers,
            _ => Order::Free,
        };
        // Every command names what it replaces: a second try finds the ref elsewhere. What is told twice has the same id.
        Step { key, told: render_action(action), order, twice: Twice::Harmless }
    }

    fn hear(&self, key: &str, outcome: &Ending) {
        if let (true, Ending::Refused(why)) = (key.starts_with(RESTORE), outcome) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        }
    }

    async fn apply(&self, action: &Action, _attempts: u32, _invocation: Invocation) -> Result<Came, Failure> {
        let done = || Came::Done("done".to_owned());
        match action {
            Action::Remember { subject, made, object } => {
                let enter = |journal: &Journal| {
                    let next = journal.with(made);
                    match object {
                        Some((commit, object)) => next.seen(commit, object),
                        None => next,
                    }
                };
                self.write(subject, enter).await.map(|()| done())
            }
            Action::Settle { subject, moves } => {
                self.write(subject, |journal| journal.settled(moves)).await.map(|()| done())
            }
            Action::Restore(restore) => self.restore(restore).await.map(Came::Done),
            Action::SetDefaultBranch { repository, from, to } => {
                self.set_default_branch(repository, from.as_deref(), to).await
            }
            Action::See { repository, before, memory } => {
                if self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return Ok(Came::Left("left: what was not put back is looked at again".to_owned()));
                }
                let change = |there: Option<&WatchMemory>| {
                    let there = there.cloned().unwrap_or_default();
                    // Whoever was faster saw as much; what is left the next sweep sees.
                    if there == **before { (**memory).clone() } else { there }
                };
                self.function.state.change(&WatchMemory::key(repository), change).await.map(|_| done())
            }
            Action::Tell(news) => {
                let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match refused {
                    Some(why) => self.function.tell(&news.refused(&why), self.event).await,
                    None => self.function.tell(news, self.event).await,
                }
            }
            Action::ComeAgain { subject, what } => {
                Err(Failure::retry(format!("judging {} of {}", subject.reference, subject.repository), what))
            }
        }
    }
}

impl Carrier<'_> {
    async fn write(&self, subject: &Subject, change: impl Fn(&Journal) -> Journal) -> Result<(), Failure> {
        let key = Journal::key(&subject.repository, &subject.reference);
        let empty = Journal::default();
        self.function.state.change(&key, |there: Option<&Journal>| change(there.unwrap_or(&empty))).await.map(drop)
    }

    /// CodeCommit takes no default branch on condition of the old one: it is looked at once more just before.
    async fn set_default_branch(
        &self,
        repository: &RepositoryName,
        from: Option<&str>,
        to: &str,
    ) -> Result<Came, Failure> {
        let there = self.function.codecommit.default_branch(repository).await?;
        if there.as_deref() == Some(to) {
            return Ok(Came::Left(format!("{to} is the default branch again already")));
        }
        if there.as_deref() != from {
            let doing = format!("putting back the default branch of {repository}");
            return Err(Failure::retry(doing, "it changed meanwhile; it is looked at again"));
        }
        self.function.codecommit.set_default_branch(repository, to).await?;
        measure(&self.function.function_name, Measure::Restored);
        Ok(Came::Done(format!("{to} is the default branch again")))
    }

    /// Keeps what was pushed, and puts the ref back from where it was seen.
    async fn restore(&self, restore: &Restore) -> Result<String, Failure> {
        let Subject { repository, reference } = &restore.subject;
        let doing = || format!("putting back {reference} of {repository}");
        let now = Timestamp::now();
        if let Some(until) = restore.not_before.filter(|until| *until > now) {
            let what = format!("it was put back so often that it waits until {until}");
            return Err(Failure::wait(doing(), what, until));
        }
        let target = self.function.remote(repository).await?.target().await.map_err(|failure| sorted(&failure))?;
        let seen = match tip_of(&target.listing().refs, reference) {
            Tip::At { object, .. } => Some(object),
            Tip::Gone => None,
            Tip::NotRead | Tip::NoRepository => return Err(Failure::refused(doing(), "its object has an odd id")),
        };
        let moved = || Failure::retry(doing(), "it moved meanwhile; it is looked at again");
        if seen != restore.from {
            return Err(moved());
        }
        let change = change(restore).ok_or_else(|| {
            Failure::refused(doing(), "the journal names an id that git does not know; this is a fault of the program")
        })?;
        let mut told = Vec::new();
        if let (Some(keep), Some(commit)) = (&restore.keep, &restore.from_commit) {
            self.keep(&target, keep.as_str(), commit).await?;
            let rescue = render_rescue(restore).unwrap_or_default();
            told.push(format!("what was pushed is kept as {} (to get it: {rescue})", keep.short()));
        }
        match self.push(&target, reference.as_str(), change).await? {
            Outcome::Done => {}
            Outcome::Unreported => return Err(moved()),
            Outcome::Refused(why) if is_race(&why) => return Err(moved()),
            Outcome::Refused(why) => {
                let what = format!("CodeCommit does not take it: {why}. Push what is right from a clone that has it");
                return Err(Failure::refused(doing(), what));
            }
        }
        measure(&self.function.function_name, Measure::Restored);
        let made = Move {
            id: restored_id(self.event),
            at: Some(Timestamp::now()),
            old: restore.from_commit.clone(),
            new: restore.to_commit.clone(),
            by: None,
            judged: Judged::Ours,
        };
        let enter = |journal: &Journal| {
            let next = journal.settled(&restore.undoes).with(&made);
            restore.keep.as_ref().map_or_else(|| next.clone(), |kept| next.keeping(&made.id, kept))
        };
        self.write(&restore.subject, enter).await?;
        told.push(match &restore.to {
            Some(to) => format!("{} is at {} again", reference.short(), to.short()),
            None => format!("{} is gone again", reference.short()),
        });
        Ok(told.join("; "))
    }

    /// Makes a branch below the quarantine prefix; one that is there already with the same commit will do.
    async fn keep(&self, target: &Target, name: &str, commit: &CommitId) -> Result<(), Failure> {
        let doing = || format!("keeping what was pushed as {name}");
        let there = target.listing().refs.iter().find(|found| found.name.as_str() == name);
        if there.is_some_and(|there| there.id.to_string() == commit.as_str()) {
            return Ok(());
        }
        let id = Oid::parse(commit.as_str()).map_err(|error| Failure::refused(doing(), error.to_string()))?;
        match self.push(target, name, Change::Create(id)).await? {
            Outcome::Done => Ok(()),
            Outcome::Unreported => Err(Failure::retry(doing(), "the server did not say what became of it")),
            Outcome::Refused(why) if is_race(&why) => Err(Failure::retry(doing(), why)),
            Outcome::Refused(why) => {
                let what = format!("CodeCommit does not take it: {why}. Nothing is put back before it is kept");
                Err(Failure::refused(doing(), what))
            }
        }
    }

    /// Sends one command, and gives what became of it.
    async fn push(&self, target: &Target, name: &str, change: Change) -> Result<Outcome, Failure> {
        let name = RefName::parse(name).map_err(|error| Failure::refused("pushing", error.to_string()))?;
        let command = Command { name: name.clone(), change };
        let pushed = target.push(&[command], Together::Each).await.map_err(|failure| sorted(&failure))?;
        let outcome = pushed.report.results.into_iter().find(|result| result.name == name).map(|result| result.outcome);
        Ok(match (pushed.report.unpack, outcome) {
            (Err(why), _) => Outcome::Refused(why),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Outcome::Unreported,
        })
    }
}

fn default_branch_key(from: Option<&str>, to: &str) -> String {
    format!("{RESTORE}default-branch {} {to}", from.unwrap_or("-"))
}

fn change(restore: &Restore) -> Option<Change> {
    let id = |object: &Object| Oid::parse(object.as_str()).ok();
    match (&restore.from, &restore.to) {
        (None, Some(to)) => Some(Change::Create(id(to)?)),
        (Some(from), Some(to)) => Some(Change::Update { old: id(from)?, new: id(to)? }),
        (Some(from), None) => Some(Change::Delete(id(from)?)),
        (None, None) => None,
    }
}

/// The id of our own move in the journal: one for each event that it was made for.
fn restored_id(event: &EventId) -> EventId {
    EventId::parse(format!("undo-{event}")).unwrap_or_else(|_| event.clone())
}

pub(crate) fn is_race(words: &str) -> bool {
    let words = words.to_lowercase();
    RACE_WORDS.iter().any(|race| words.contains(race))
}
