//! The sweep over pull requests: does for an opened or updated one what its lost event would have done.
//!
//! It comes behind the sweep over branches, with a time and a cursor of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use signalbox_aws::Failure;
use signalbox_events::{Event, EventId, PullRequestId, PullRequestState, RepositoryName};
use signalbox_glue::{Handled, InForce, Invocation};
use signalbox_ledger::Turn;
use signalbox_trigger_rules::{
    Comparison, FoundReview, Looked, NotSwept, Origin, PullRequest, Review, ReviewCursor, ReviewLook, ReviewMemory,
    lost_event, may_review, review_of,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Trigger;
use crate::review::facts_of;
use crate::sweep::{AT_ONCE, Owed, RESERVE, Swept};

/// A name under which trouble with a pull request is told.
fn named(number: u64) -> String {
    format!("pull request {number}")
}

/// How far a look came in a repository: to its end, or up to this number.
type Reach = Option<u64>;

/// What came of a pull request that the sweep found.
enum Came {
    /// An event did tell of it, or tells at this moment.
    Told,
    /// What its event would have done.
    Done(String),
    /// It can never be done.
    Refused(String),
}

impl Trigger {
    /// Looks around the pull requests of these repositories for as long as there is time.
    ///
    /// # Errors
    /// The cursor or a memory that cannot be read or written; what fails in one repository is trouble, and told.
    pub(crate) async fn sweep_reviews(
        &self,
        sweep: &Event,
        mut repositories: Vec<RepositoryName>,
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        repositories.retain(|name| may_review(name, &in_force.policy));
        repositories.sort();
        if repositories.is_empty() {
            return Ok(());
        }
        let left = invocation.deadline.duration_since(Timestamp::now()).saturating_sub(RESERVE);
        let until = Instant::now() + Duration::try_from(left).unwrap_or_default().min(self.sweep_time / 2);
        let cursor = self.state.read::<ReviewCursor>(ReviewCursor::KEY).await?;
        let cursor = cursor.map(|kept| kept.value).unwrap_or_default();
        let mut troubled = cursor.troubled.clone();
        troubled.retain(|name| repositories.contains(name));
        if let Some(there) = &cursor.repository {
            let begin = repositories.partition_point(|name| name < there);
            repositories.rotate_left(begin);
        }
        let (mut next, mut unseen) = (ReviewCursor::default(), troubled.clone());
        for (index, repository) in repositories.iter().enumerate() {
            // Whatever the time is, each sweep gets on by one step.
            if index > 0 && Instant::now() >= until {
                next.repository = Some(repository.clone());
                break;
            }
            unseen.remove(repository);
            let behind = cursor.behind.filter(|_| cursor.repository.as_ref() == Some(repository));
            match self.sweep_reviews_of(sweep, repository, (behind, until), in_force, invocation, swept).await {
                Ok((reach, is_whole)) => {
                    if is_whole {
                        troubled.remove(repository);
                    } else {
                        troubled.insert(repository.clone());
                    }
                    if let Some(behind) = reach {
                        next.repository = Some(repository.clone());
                        next.behind = Some(behind);
                        break;
                    }
                }
                // Deleted since it was listed.
                Err(gone) if gone.code() == Some("RepositoryDoesNotExistException") => {
                    troubled.remove(repository);
                }
                Err(failure) => {
                    troubled.insert(repository.clone());
                    self.reviews_not_swept(repository, &failure, invocation.now, swept).await?;
                }
            }
        }
        let left = unseen
            .iter()
            .map(|name| format!("pull requests of {name}: left by an earlier sweep, and not looked at by this one"));
        swept.told.extend(left);
        swept.reviews_troubled = troubled.clone();
        next.troubled = troubled;
        self.state.change(ReviewCursor::KEY, |_: Option<&ReviewCursor>| next.clone()).await?;
        Ok(())
    }

    /// Looks at the open pull requests of one repository; says how far it came, and whether nothing is open of it.
    async fn sweep_reviews_of(
        &self,
        sweep: &Event,
        repository: &RepositoryName,
        (behind, until): (Option<u64>, Instant),
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(Reach, bool), Failure> {
        let key = ReviewMemory::key(repository);
        let memory = self.state.read::<ReviewMemory>(&key).await?.map(|kept| kept.value);
        let listed = self.codecommit.open_pull_requests(repository).await?;
        let listed: BTreeSet<u64> = listed.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        let look = ReviewLook { repository: repository.clone(), listed, memory };
        let wanted = look.wanted(behind, &in_force.policy);
        let news = swept.facts.news();
        let (mut dealt, mut open) = (BTreeMap::new(), BTreeMap::new());
        let (mut reach, mut last) = (None, behind);
        for (index, numbers) in wanted.chunks(AT_ONCE).enumerate() {
            if index > 0 && Instant::now() >= until {
                reach = last;
                break;
            }
            last = numbers.last().copied();
            swept.reviews += numbers.len();
            for (number, looked) in self.look_at(repository, numbers).await {
                let failure = match looked {
                    // Closed since it was listed: the next list has it no more.
                    Ok(Looked::There(there)) if there.state != PullRequestState::Open => continue,
                    Ok(Looked::Gone | Looked::NotYet) => continue,
                    Ok(Looked::There(there)) => {
                        let found = look.compare(number, &there, &in_force.policy);
                        match self.deal(sweep, (repository, number, &there), found, in_force, invocation, swept).await {
                            Ok(()) => {
                                dealt.insert(number, look.seen(&there, &in_force.policy));
                                continue;
                            }
                            // Its event is being handled at this moment, or whoever did so has died: the next sweep sees.
                            Err(failure) if failure.problem().not_before.is_some() => continue,
                            Err(failure) => failure,
                        }
                    }
                    Err(failure) => failure,
                };
                let before = look.memory.as_ref().and_then(|memory| memory.troubles.get(&number.to_string()));
                let name = named(number);
                let trouble = swept.trouble((repository, Some(&name)), before, &failure, invocation.now);
                open.insert(number, trouble);
            }
        }
        let is_whole = look.remember(look.memory.as_ref(), &dealt, &open).troubles.is_empty();
        let owed = Owed::Reviews(Box::new(look), dealt, open);
        self.owe(owed, news, swept).await?;
        Ok((reach, is_whole))
    }

    /// Remembers what a look showed; behind the sweep's report, where it has something to tell.
    async fn owe(&self, owed: Owed, news: usize, swept: &mut Swept) -> Result<(), Failure> {
        if swept.facts.news() == news {
            return self.remember(&owed).await;
        }
        swept.owed.push(owed);
        Ok(())
    }

    /// Some pull requests as they stand, asked for at once.
    async fn look_at(&self, repository: &RepositoryName, numbers: &[u64]) -> BTreeMap<u64, Result<Looked, Failure>> {
        let mut asked = JoinSet::new();
        for number in numbers.iter().copied() {
            let (codecommit, repository) = (self.codecommit.clone(), repository.clone());
            asked.spawn(async move {
                let looked = match PullRequestId::parse(number.to_string()) {
                    Ok(id) => codecommit.pull_request(&repository, &id).await,
                    Err(_) => Ok(None),
                };
                (number, looked)
            });
        }
        let mut found = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((number, looked)) => {
                    let looked = looked.map(|there| match there {
                        Some(there) => Looked::There(Box::new(facts_of(there))),
                        None => Looked::Gone,
                    });
                    found.insert(number, looked);
                }
                Err(error) => tracing::warn!(repo.name = repository.as_str(), %error, "a look was cut off"),
            }
        }
        found
    }

    /// Does for a pull request what its event would have done, where none has told of it.
    async fn deal(
        &self,
        sweep: &Event,
        (repository, number, there): (&RepositoryName, u64, &PullRequest),
        found: Comparison,
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        if found == Comparison::Known {
            return Ok(());
        }
        let Ok(id) = PullRequestId::parse(number.to_string()) else { return Ok(()) };
        let found = FoundReview::new(repository, &id, there);
        let (place, commit) = (format!("{} of {repository}", named(number)), there.source_commit.short());
        match self.make_up_for_review(sweep, (repository, &id, there), in_force, invocation).await {
            Ok(Came::Told) => {}
            Ok(Came::Done(what)) => {
                swept.told.push(format!("{place} at {commit}: {what}"));
                swept.facts.reviews.push(found);
            }
            Ok(Came::Refused(why)) => {
                let why = format!("{place} at {commit}: {why}");
                swept.told.push(why.clone());
                let branch = Some(named(number));
                swept.facts.not_swept.push(NotSwept { repository: repository.clone(), branch, why });
                swept.facts.reviews.push(found);
            }
            Err(failure) => {
                if failure.problem().not_before.is_none() {
                    swept.facts.reviews.push(found);
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    async fn make_up_for_review(
        &self,
        sweep: &Event,
        (repository, id, there): (&RepositoryName, &PullRequestId, &PullRequest),
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Came, Failure> {
        let now = Timestamp::now();
        let Ok(under) = EventId::of_revision(repository, id, &there.revision) else {
            return Ok(Came::Told);
        };
        let left = Duration::try_from(invocation.deadline.duration_since(now) - RESERVE / 2);
        let left =
            left.map_err(|_| Failure::retry("taking up a pull request", "the invocation's time is nearly over"))?;
        let place = (&sweep.envelope.account, &sweep.envelope.region);
        let event = lost_event((repository, id), there, (under.clone(), now), place);
        let Some(subject) = review_of(&event) else { return Ok(Came::Told) };
        let review = Review { pull_request: Looked::There(Box::new(there.clone())), ..Review::of(subject) };
        let invocation = Invocation { now, ..invocation };
        let turn = Turn::first(&under);
        let acting = Box::pin(self.reviewed((&event, None), review, Origin::Sweep, in_force, turn, invocation));
        let handled = tokio::time::timeout(left, acting).await.unwrap_or_else(|_| {
            Err(Failure::retry(
                "taking up a pull request",
                format!("it took longer than the {} s that were left", left.as_secs()),
            ))
        });
        let told = |came: &str| {
            let came = if came.is_empty() { "nothing to do" } else { came };
            format!("{came} (in the ledger under {under})")
        };
        match handled {
            Ok(Handled::Reported(report)) => Ok(Came::Done(told(&report.actions.join("; ")))),
            Ok(Handled::Refused(report)) => Ok(Came::Refused(told(&report.actions.join("; ")))),
            Ok(Handled::Before | Handled::NotOurs) => Ok(Came::Told),
            Err(failure @ Failure::Refused(_)) => Ok(Came::Refused(failure.chain())),
            Err(failure) => Err(failure),
        }
    }

    /// Remembers that the pull requests of a repository cannot be listed.
    async fn reviews_not_swept(
        &self,
        repository: &RepositoryName,
        failure: &Failure,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let key = ReviewMemory::key(repository);
        let memory = self.state.read::<ReviewMemory>(&key).await?.map(|kept| kept.value);
        let before = memory.as_ref().and_then(ReviewMemory::trouble);
        let (name, news) = ("the list of pull requests".to_owned(), swept.facts.news());
        let trouble = swept.trouble((repository, Some(&name)), before, failure, now);
        self.owe(Owed::ReviewTrouble(repository.clone(), trouble), news, swept).await
    }
}
