//! The sweep: looks at where branches are, and does for a push what its lost event would have done.
//!
//! One sweep is bounded in time: where it has to stop the next one goes on, so that it takes little from the pushes that
//! wait in the same queue, and from what CodeCommit lets an account call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use signalbox_aws::Failure;
use signalbox_events::{Event, RepositoryName};
use signalbox_glue::{Handled, InForce, Invocation, Said};
use signalbox_ledger::{Entry, Phase, SWEPT, SWEPT_IN_PART, Turn};
use signalbox_trigger_rules::{
    Cursor, Facts, Failed, Look, Memory, Moved, NotSwept, ReviewLook, ReviewMemory, SeenReview, SweepFacts, Tip,
    Trouble, decide, may_start, needs, render_reason, wanted,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Trigger, verdict};

/// How long one sweep looks around.
pub(crate) const TIME: Duration = Duration::from_secs(30);

/// Kept back from the invocation's time: for the pushes that were found, and for what waits in the same batch.
pub(crate) const RESERVE: SignedDuration = SignedDuration::from_secs(20);

/// So many branches are asked for at once.
pub(crate) const AT_ONCE: usize = 8;

/// What one sweep did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) facts: SweepFacts,
    /// Each push and pull request that was found with what came of it, and what was left for the next sweep.
    pub(crate) told: Vec<String>,
    /// What is remembered only when the sweep's report is in the ledger: who remembers it says no more.
    pub(crate) owed: Vec<Owed>,
    /// The repositories of which something is open, since this sweep or an earlier one.
    troubled: BTreeSet<RepositoryName>,
    /// The same, as far as their pull requests are concerned.
    pub(crate) reviews_troubled: BTreeSet<RepositoryName>,
    /// Every repository that may be read.
    readable: Vec<RepositoryName>,
    repositories: usize,
    branches: usize,
    pub(crate) reviews: usize,
}

/// What a sweep remembers of a repository of which it has something to tell.
#[derive(Debug)]
pub(crate) enum Owed {
    /// A look, and the branches that stay open.
    Look(Box<Look>, BTreeMap<String, Trouble>),
    /// Why the repository could not be looked at.
    Trouble(RepositoryName, Trouble),
    /// A look at pull requests, those that were dealt with, and those that stay open.
    Reviews(Box<ReviewLook>, BTreeMap<u64, SeenReview>, BTreeMap<u64, Trouble>),
    /// Why the pull requests of the repository could not be looked at.
    ReviewTrouble(RepositoryName, Trouble),
}

/// Where a sweep goes on in a repository, and how long it may.
#[derive(Debug, Clone)]
struct Way {
    /// The branch behind which it goes on.
    behind: Option<String>,
    /// When the last whole round began.
    round: Option<Timestamp>,
    until: Instant,
}

/// How far a look came.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// Every branch that is wanted.
    All,
    /// Up to this branch, then time was over.
    UpTo(Option<String>),
}

/// Where branches are, as far as they could be asked for.
#[derive(Debug)]
struct Tips {
    tips: BTreeMap<String, Tip>,
    /// Those whose place could not be told.
    failed: BTreeMap<String, Failure>,
    reach: Reach,
}

/// What came of a branch that moved.
#[derive(Debug)]
enum MadeUp {
    /// An event did tell of it.
    NotNeeded,
    /// What its event would have done.
    Done(String),
    /// It can never be done.
    Refused(String),
}

impl Trigger {
    /// Sweeps for as long as there is time, from where the last sweep stopped.
    pub(crate) async fn sweep(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let turn = Turn::of(&event.envelope);
        // An invocation that died behind its report has told nobody.
        let before = self.ledger.read(turn.event()).await?.filter(|entry| entry.phase == Phase::Refused);
        let mut swept = Swept::default();
        let (mut next, mut is_cut) = (None, false);
        if needs(event, &in_force.policy).sweep.is_some() {
            match Box::pin(self.sweep_all(event, in_force, invocation, &mut swept)).await {
                Ok(cursor) => next = cursor,
                Err(failure @ Failure::Refused(_)) => return self.refuse(event, in_force, invocation, &failure).await,
                Err(failure) => return Err(failure),
            }
        }
        if swept.facts.answered.is_none() {
            let readable = std::mem::take(&mut swept.readable);
            if let Err(failure) = Box::pin(self.sweep_reviews(event, readable, in_force, invocation, &mut swept)).await
            {
                // What was found in branches is told all the same; the next sweep comes by itself.
                let why = failure.chain();
                tracing::warn!(why, "the sweep over pull requests was left for the next one");
                swept.told.push(format!("pull requests: left for the next sweep: {why}"));
                is_cut = true;
            }
        }
        tracing::info!(
            repositories = swept.repositories,
            branches = swept.branches,
            pull_requests = swept.reviews,
            "swept"
        );
        let is_quiet = swept.facts.moved.is_empty() && swept.facts.reviews.is_empty() && swept.facts.news() == 0;
        let is_open = is_cut || !swept.troubled.is_empty() || !swept.reviews_troubled.is_empty();
        let answered = swept.facts.answered;
        let facts = Facts { sweep: Some(swept.facts), ..Facts::default() };
        let decision = decide(&facts, &in_force.policy);
        let said = Said {
            // Words of its own, so that who looks for events can pass a sweep over, and knows when all is well again.
            verdict: match answered {
                None if is_open => SWEPT_IN_PART,
                None if is_quiet => SWEPT,
                _ => verdict(decision.verdict),
            },
            reasons: decision.reasons.iter().map(render_reason).collect(),
            actions: swept.told,
            replay: json!({ "event": event, "facts": facts, "decision": decision }),
        };
        let report = in_force.report(said, invocation);
        let is_complete = decision.is_complete();
        if !is_complete {
            self.ledger.refuse(turn, report.clone(), invocation.now).await?;
        } else if !is_quiet {
            // Nothing found is the rule: a line in the log is enough for it.
            self.ledger.note(turn, report.clone(), invocation.now).await?;
        }
        for owed in &swept.owed {
            self.remember(owed).await?;
        }
        if let Some(next) = next {
            self.state.change(Cursor::KEY, |there: Option<&Cursor>| next.over(there)).await?;
        }
        Ok(match before.and_then(|entry| entry.report) {
            _ if !is_complete => Handled::Refused(Box::new(report)),
            Some(before) => Handled::Refused(Box::new(before)),
            None => Handled::Reported(Box::new(report)),
        })
    }

    pub(crate) async fn remember(&self, owed: &Owed) -> Result<(), Failure> {
        match owed {
            Owed::Look(look, open) => {
                let key = Memory::key(&look.repository);
                self.state.change(&key, |there: Option<&Memory>| look.remember(there, open)).await?;
            }
            Owed::Trouble(repository, trouble) => {
                let key = Memory::key(repository);
                self.state.change(&key, |there: Option<&Memory>| Memory::troubled(there, trouble)).await?;
            }
            Owed::Reviews(look, dealt, open) => {
                let key = ReviewMemory::key(&look.repository);
                let remember = |there: Option<&ReviewMemory>| look.remember(there, dealt, open);
                self.state.change(&key, remember).await?;
            }
            Owed::ReviewTrouble(repository, trouble) => {
                let troubled = |there: Option<&ReviewMemory>| ReviewMemory::troubled(there, trouble);
                self.state.change(&ReviewMemory::key(repository), troubled).await?;
            }
        }
        Ok(())
    }

    /// Records that a sweep could not even begin; the next one comes by itself.
    async fn refuse(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        failure: &Failure,
    ) -> Result<Handled, Failure> {
        let said = Said {
            verdict: SWEPT_IN_PART,
            reasons: vec![failure.chain()],
            actions: Vec::new(),
            replay: json!({ "event": event }),
        };
        let report = in_force.report(said, invocation);
        self.ledger.refuse(Turn::of(&event.envelope), report.clone(), invocation.now).await?;
        Ok(Handled::Refused(Box::new(report)))
    }

    /// Looks around; gives where the next sweep goes on, if there was anything left to look for.
    async fn sweep_all(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<Option<Cursor>, Failure> {
        let left = invocation.deadline.duration_since(invocation.now).saturating_sub(RESERVE);
        let until = Instant::now() + Duration::try_from(left).unwrap_or_default().min(self.sweep_time);
        let cursor = self.state.read::<Cursor>(Cursor::KEY).await?.map(|kept| kept.value).unwrap_or_default();
        swept.facts.answered = cursor.answers(event.envelope.time);
        if swept.facts.answered.is_some() {
            return Ok(None);
        }
        let mut found = self.codecommit.repositories().await?;
        found.retain(|(name, _)| self.readable.holds(name));
        swept.readable = found.iter().map(|(name, _)| name.clone()).collect();
        found.retain(|(name, _)| may_start(name, &in_force.policy));
        found.sort();
        swept.troubled = cursor.troubled.clone();
        swept.troubled.retain(|troubled| found.iter().any(|(name, _)| name == troubled));
        let mut unseen = swept.troubled.clone();
        // Begins where the last one stopped, and goes around once.
        if let Some(there) = &cursor.repository {
            let begin = found.partition_point(|(name, _)| name < there);
            found.rotate_left(begin);
        }

        let mut stopped = None;
        for (index, (repository, id)) in found.into_iter().enumerate() {
            // Whatever the time is, each sweep gets on by one step.
            if index > 0 && Instant::now() >= until {
                stopped = Some((repository, None));
                break;
            }
            unseen.remove(&repository);
            let behind = cursor.behind.clone().filter(|_| cursor.repository.as_ref() == Some(&repository));
            let way = Way { behind, round: cursor.began, until };
            let step = self.sweep_one(event, in_force, invocation, (&repository, id), way, swept).await;
            match step {
                Ok(Reach::All) => {}
                // Deleted since it was listed.
                Err(gone) if gone.code() == Some("RepositoryDoesNotExistException") => {
                    swept.troubled.remove(&repository);
                }
                Ok(Reach::UpTo(behind)) => {
                    stopped = Some((repository, behind));
                    break;
                }
                // The next sweep comes by itself, and finds the same again.
                Err(failure) => self.not_swept(&repository, &failure, invocation.now, swept).await,
            }
            swept.repositories += 1;
        }
        let left = unseen.iter().map(|name| format!("{name}: left by an earlier sweep, and not looked at by this one"));
        swept.told.extend(left);
        if let Some((repository, _)) = &stopped {
            tracing::info!(repo.name = repository.as_str(), "the time of a sweep is over: the next one goes on there");
        }
        Ok(Some(Cursor { troubled: swept.troubled.clone(), ..cursor.after(invocation.now, stopped) }))
    }

    /// Looks at one repository, takes up what it finds, and remembers what it saw, or owes that.
    async fn sweep_one(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        (repository, id): (&RepositoryName, Option<String>),
        Way { behind, round, until }: Way,
        swept: &mut Swept,
    ) -> Result<Reach, Failure> {
        let key = Memory::key(repository);
        let memory = self.state.read::<Memory>(&key).await?.map(|kept| kept.value);
        let at = Timestamp::now();
        let listed: BTreeSet<String> = self.codecommit.branches(repository).await?.into_iter().collect();
        let wanted = wanted(repository, &listed, &in_force.policy);
        let Tips { tips, mut failed, reach } = self.tips(repository, &wanted, behind, until).await;
        swept.branches += tips.len();
        let repository = repository.clone();
        let look = Look { repository, repository_id: id, at, listed, wanted, tips, memory, round };
        let news = swept.facts.news();
        swept.facts.anew.extend(look.begins_anew());

        for moved in look.moved() {
            match self.make_up_for(&moved, event, in_force, invocation).await {
                Ok(MadeUp::NotNeeded) => {}
                Ok(MadeUp::Done(told)) => {
                    swept.told.push(told);
                    swept.facts.moved.push(moved);
                }
                Ok(MadeUp::Refused(why)) => {
                    swept.told.push(why.clone());
                    let (repository, branch) = (look.repository.clone(), Some(moved.reference.short().to_owned()));
                    swept.facts.not_swept.push(NotSwept { repository, branch, why });
                    swept.facts.moved.push(moved);
                }
                Err(failure) => {
                    failed.insert(moved.reference.short().to_owned(), failure);
                    swept.facts.moved.push(moved);
                }
            }
        }
        let open = self::troubles(&look, &failed, swept);
        let memory = look.remember(look.memory.as_ref(), &open);
        if memory.troubles.is_empty() {
            swept.troubled.remove(&look.repository);
        } else {
            swept.troubled.insert(look.repository.clone());
        }
        for (branch, trouble) in memory.troubles.iter().filter(|(branch, _)| !open.contains_key(*branch)) {
            swept.told.push(format!("{branch} of {}: left by an earlier sweep: {}", look.repository, trouble.why));
        }
        let owed = Owed::Look(Box::new(look), open);
        if swept.facts.news() == news {
            self.remember(&owed).await?;
        } else {
            swept.owed.push(owed);
        }
        Ok(reach)
    }

    /// Where the wanted branches are, from `behind` on, as far as the time lasts.
    async fn tips(
        &self,
        repository: &RepositoryName,
        wanted: &BTreeSet<String>,
        behind: Option<String>,
        until: Instant,
    ) -> Tips {
        let names: Vec<&String> = wanted.iter().filter(|name| Some(*name) > behind.as_ref()).collect();
        let mut found = Tips { tips: BTreeMap::new(), failed: BTreeMap::new(), reach: Reach::All };
        let mut last = behind;
        for (index, names) in names.chunks(AT_ONCE).enumerate() {
            if index > 0 && Instant::now() >= until {
                return Tips { reach: Reach::UpTo(last), ..found };
            }
            let mut asked = JoinSet::new();
            for name in names {
                let (codecommit, repository, name) = (self.codecommit.clone(), repository.clone(), (*name).clone());
                asked.spawn(async move {
                    let asked = Timestamp::now();
                    let tip = codecommit.branch_tip(&repository, &name).await;
                    (name, tip.map(|commit| Tip { commit, asked, answered: Timestamp::now() }))
                });
            }
            // One that was cut off is in neither list: it stays as it is remembered.
            while let Some(answer) = asked.join_next().await {
                match answer {
                    Ok((name, Ok(tip))) => drop(found.tips.insert(name, tip)),
                    Ok((name, Err(failure))) => drop(found.failed.insert(name, failure)),
                    Err(error) => tracing::warn!(repo.name = repository.as_str(), %error, "a look was cut off"),
                }
            }
            last = names.last().map(|name| (*name).clone());
        }
        found
    }

    /// Does for a push what its event would have done.
    async fn make_up_for(
        &self,
        moved: &Moved,
        sweep: &Event,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<MadeUp, Failure> {
        let Some(id) = moved.id() else { return Ok(MadeUp::NotNeeded) };
        let event = moved.event(id.clone(), &sweep.envelope);
        let needs = needs(&event, &in_force.policy);
        let arrival = moved.arrival(id.clone());
        let under = self.take_up(&needs, &arrival).await?;
        if under != id {
            return Ok(MadeUp::NotNeeded);
        }
        let now = Timestamp::now();
        let left = Duration::try_from(invocation.deadline.duration_since(now) - RESERVE / 2);
        let left = left.map_err(|_| Failure::retry("taking up a push", "the invocation's time is nearly over"))?;
        let invocation = Invocation { now, ..invocation };
        let push = self.push((&event, None), arrival.known, &needs, in_force, Turn::first(&id), invocation);
        let handled = tokio::time::timeout(left, push).await;
        let handled = handled.unwrap_or_else(|_| {
            Err(Failure::retry(
                "taking up a push",
                format!("it took longer than the {} s that were left", left.as_secs()),
            ))
        });
        let place = format!("{} of {} at {}", moved.reference.short(), moved.repository, moved.commit.short());
        let told = |came: &str| {
            let came = if came.is_empty() { "nothing to do" } else { came };
            format!("{place}: {came} (in the ledger under {id})")
        };
        match handled {
            Ok(Handled::Reported(report)) => Ok(MadeUp::Done(told(&report.actions.join("; ")))),
            Ok(Handled::Before) => match self.ledger.read(&id).await? {
                // By a sweep that could not tell it any more.
                Some(Entry { phase: Phase::Refused, report, .. }) => {
                    Ok(MadeUp::Refused(told(&report.map(|report| report.actions.join("; ")).unwrap_or_default())))
                }
                _ => Ok(MadeUp::Done(told("done before"))),
            },
            Ok(Handled::NotOurs) => Ok(MadeUp::NotNeeded),
            Ok(Handled::Refused(report)) => Ok(MadeUp::Refused(told(&report.actions.join("; ")))),
            Err(failure @ Failure::Refused(_)) => Ok(MadeUp::Refused(format!("{place}: {}", failure.chain()))),
            Err(failure) => Err(failure),
        }
    }

    /// Remembers that a repository cannot be looked at; where not even that goes well, it is said at every sweep.
    async fn not_swept(&self, repository: &RepositoryName, failure: &Failure, now: Timestamp, swept: &mut Swept) {
        swept.troubled.insert(repository.clone());
        let remembered = match self.state.read::<Memory>(&Memory::key(repository)).await {
            Ok(kept) => {
                let before = kept.and_then(|kept| kept.value.trouble);
                let news = swept.facts.news();
                let trouble = swept.trouble((repository, None), before.as_ref(), failure, now);
                let owed = Owed::Trouble(repository.clone(), trouble);
                if swept.facts.news() == news {
                    self.remember(&owed).await
                } else {
                    swept.owed.push(owed);
                    Ok(())
                }
            }
            Err(unreadable) => Err(unreadable),
        };
        if let Err(failure) = remembered {
            let why = failure.chain();
            tracing::warn!(repo.name = repository.as_str(), why, "left for the next sweep, and not remembered");
            swept.facts.not_swept.push(NotSwept { repository: repository.clone(), branch: None, why });
        }
    }
}

/// What is remembered of the branches that could not be looked at or dealt with.
fn troubles(look: &Look, failed: &BTreeMap<String, Failure>, swept: &mut Swept) -> BTreeMap<String, Trouble> {
    let before = |branch: &str| look.memory.as_ref().and_then(|memory| memory.troubles.get(branch));
    let trouble = failed.iter().map(|(branch, failure)| {
        let trouble = swept.trouble((&look.repository, Some(branch)), before(branch), failure, look.at);
        (branch.clone(), trouble)
    });
    trouble.collect()
}

impl Swept {
    /// Notes what failed, and says it where that is due.
    pub(crate) fn trouble(
        &mut self,
        (repository, branch): (&RepositoryName, Option<&String>),
        before: Option<&Trouble>,
        failure: &Failure,
        now: Timestamp,
    ) -> Trouble {
        let why = failure.chain();
        let name = branch.map_or_else(|| repository.to_string(), |branch| format!("{branch} of {repository}"));
        tracing::warn!(repo.name = repository.as_str(), ref.name = branch, why, "left for the next sweep");
        let failed = match failure {
            Failure::Refused(_) => Failed::Refused(why),
            Failure::Retry(_) => Failed::Later(why),
        };
        let (trouble, news) = Trouble::after(before, &failed, now);
        self.told.push(format!("{name}: left for the next sweep: {}", trouble.why));
        if let Some(why) = news {
            let (repository, branch) = (repository.clone(), branch.cloned());
            self.facts.not_swept.push(NotSwept { repository, branch, why });
        }
        trouble
    }
}
