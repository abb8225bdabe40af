//! Does what was decided, and chooses nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use signalbox_aws::{Bus, Entry, Failure};
use signalbox_events::{EventId, OWN_SOURCE, Obstacle, ObstacleKind, REPLICA};
use signalbox_glue::{Apply, Came, Invocation, Measure, Order, Step, Twice, measure};
use signalbox_ledger::Kept;
use signalbox_policy::{Create, Policy};
use signalbox_replicator_rules::{
    Action, Copy, Described, Listing, Memory, Origin, Place, SourceFacts, Standing, TargetFacts, Unfit, Working,
    obstacle_of, out_of_reach, plan_left, pushes, render_action, too_late, unusable,
};
use tokio::time::Instant;

use crate::Replicator;
use crate::gather::{Open, Seen, open_target};
use crate::places::of_role;
use crate::progress::{Fit, Progress, Pusher};
use crate::push::{Had, Sent};
use crate::steps::Stepper;

/// Kept back from the invocation's time, to look at the target once more and to remember.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);

/// Kept back from looking at the target once more, to remember what came of it.
const TO_REMEMBER: SignedDuration = SignedDuration::from_secs(4);

/// How long the parts of a bundle may take to be taken back; a lifecycle rule of the bucket finds the rest.
const TO_TAKE_BACK: Duration = Duration::from_secs(2);

/// Nothing is begun with less time than this.
const LEAST: SignedDuration = SignedDuration::from_secs(2);

/// A sentence names at most this many refs.
const MOST_NAMED: usize = 20;

/// One look, as it is acted on.
pub(crate) struct Carrier<'a> {
    pub(crate) function: &'a Replicator,
    pub(crate) policy: &'a Policy,
    pub(crate) seen: &'a Seen,
    pub(crate) event: &'a EventId,
    /// Whether anything was told that people did not know.
    pub(crate) has_told: AtomicBool,
}

impl Apply<Action> for Carrier<'_> {
    fn step(&self, action: &Action) -> Step {
        let key = match action {
            Action::Copy(copy) => Some(format!("copy {} {}", copy.place, digest(copy))),
            Action::Remember { .. } | Action::ComeAgain { .. } => None,
        };
        // Every command names what it replaces: a copy that was made already is found equal.
        Step { key, told: render_action(action), order: Order::Free, twice: Twice::Harmless }
    }

    async fn apply(&self, action: &Action, _attempts: u32, invocation: Invocation) -> Result<Came, Failure> {
        match action {
            Action::Copy(copy) => self.copy(copy, invocation).await.map(Came::Done),
            Action::Remember { key, troubles, .. } => {
                let standing = if troubles.is_empty() { Standing::Equal } else { Standing::Failing(troubles.clone()) };
                let after = self.settled(key, None, standing)?;
                self.write_over(key, self.kept(key)?, &after).await?;
                self.tell(key, &after).await?;
                Ok(Came::Done("done".to_owned()))
            }
            Action::ComeAgain { target, what } => Err(Failure::retry(format!("copying to {target}"), what)),
        }
    }
}

impl Carrier<'_> {
    /// Makes one target equal, looks at it once more, and remembers what both sides agree on.
    async fn copy(&self, copy: &Copy, invocation: Invocation) -> Result<String, Failure> {
        let key = &copy.key;
        let before = self.memory(key)?;
        let left = invocation.deadline.duration_since(Timestamp::now()).saturating_sub(RESERVE);
        if left < LEAST {
            let what = "another copy took the time of this invocation; it is looked at again";
            return Err(Failure::retry(format!("copying to {}", copy.place), what));
        }
        // Nobody else copies while this lasts, and what somebody else did since it was read is seen now.
        let until = invocation.deadline.saturating_add(SignedDuration::from_secs(5)).unwrap_or(Timestamp::MAX);
        let working = Memory {
            working: Some(Working { event: self.event.clone(), until }),
            begun: self.seen.facts.begun(self.policy, copy),
            ..before.clone()
        };
        let held = self.write_over(key, self.kept(key)?, &working).await?;

        let mut done = Progress::default();
        let left = Duration::try_from(left).unwrap_or_default();
        let source = self.seen.facts.repository.as_ref();
        let mut unfit = source.and_then(|source| before.unfit.get(source)).cloned();
        match tokio::time::timeout(left, self.push_all(copy, unfit.as_ref(), left, &mut done)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure @ Failure::Refused(_))) => done.troubles.push(unusable(&failure.chain())),
            Ok(Err(failure)) => {
                unfit = done.broken(unfit.as_ref(), left.as_secs());
                done.later = Some(failure);
            }
            Err(_) if done.out_of_reach > 0 => done.troubles.push(too_late()),
            Err(_) => {
                unfit = done.unfit(unfit.as_ref(), left.as_secs());
                let mut what = format!(
                    "the {} s that were left were too short; {} of {} refs moved, the rest follows",
                    left.as_secs(),
                    done.sent.moved,
                    copy.plan.commands.len()
                );
                for (name, at) in &done.stands {
                    what.push_str(&format!("; {name} has come as far as {}", at.short()));
                }
                done.later = Some(Failure::retry(format!("copying to {}", copy.place), what));
            }
        }
        if let Some(upload) = done.upload.take() {
            let why = match tokio::time::timeout(TO_TAKE_BACK, upload.abort()).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.chain()),
                Err(_) => Some(format!("S3 took longer than {} s", TO_TAKE_BACK.as_secs())),
            };
            if let Some(why) = why {
                tracing::warn!(why, "parts of a bundle are left over");
            }
        }
        let mut written = before.clone();
        if let Some((bundle, holds)) = &done.bundle {
            (written.bundle, written.agreed) = (Some(bundle.clone()), holds.refs.clone());
        }
        let left = invocation.deadline.duration_since(Timestamp::now()).saturating_sub(TO_REMEMBER);
        let left = Duration::try_from(left).unwrap_or_default();
        let listed = tokio::time::timeout(left, open_target(self.function, &copy.place, &written)).await;
        let listed = match listed.unwrap_or_else(|_| Err(self.not_listed(copy))) {
            Ok(listed) => listed.map(|(listing, _)| listing),
            Err(failure) => {
                done.later = done.later.or(Some(failure));
                None
            }
        };
        if let Some(listing) = &listed {
            self.prove(copy, listing, &mut done)?;
            // Only where the branch stands there is it agreed that it came so far.
            done.stands.retain(|name, at| listing.refs.get(name) == Some(at));
        }
        let mut troubles: Vec<Obstacle> =
            copy.plan.failed.iter().map(obstacle_of).chain(done.troubles.clone()).collect();
        let standing = match &done.later {
            None if troubles.is_empty() => Standing::Equal,
            None => Standing::Failing(troubles.clone()),
            // What must be tried again is no trouble before a while has gone by in which it came to nothing.
            Some(failure)
                if done.sent.moved == 0 && done.stands.is_empty() && self.seen.facts.is_late(Timestamp::now()) =>
            {
                troubles.push(out_of_reach(&failure.chain()));
                Standing::Failing(troubles.clone())
            }
            Some(_) => Standing::Open,
        };
        let is_listed = listed.is_some();
        let mut after = Memory { bundle: written.bundle, ..self.settled(key, listed, standing)? };
        if !is_listed {
            after.begun.clone_from(&working.begun);
        } else {
            // A step is a place that both sides had: the source moved on from there.
            after.agreed.extend(std::mem::take(&mut done.stands));
        }
        if let Some(source) = source {
            let is_done = done.later.is_none() && done.out_of_reach == 0;
            match unfit.filter(|_| !is_done) {
                Some(unfit) => after.unfit.insert(source.clone(), unfit),
                None => after.unfit.remove(source),
            };
        }
        self.write_over(key, Some(held), &after).await?;
        let told = self.tell(key, &after).await;

        let outcome = self.outcome(copy, &done);
        let mut wrong: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        match (done.later, told) {
            (Some(failure), _) | (None, Err(failure @ Failure::Retry(_))) => return Err(failure),
            (None, Err(failure)) => wrong.push(format!("nobody could be told: {}", failure.chain())),
            (None, Ok(())) => {}
        }
        if wrong.is_empty() {
            return Ok(outcome);
        }
        Err(Failure::refused(format!("copying to {} ({outcome})", copy.place), wrong.join("; ")))
    }

    fn not_listed(&self, copy: &Copy) -> Failure {
        let what = "no time was left to look at it once more; it is looked at again";
        Failure::retry(format!("copying to {}", copy.place), what)
    }

    /// Has people told what they do not know yet of how the copy stands, and remembers that they were.
    ///
    /// Whoever is cut off in between says the same again under the same id, which the notifier tells once.
    async fn tell(&self, key: &str, memory: &Memory) -> Result<(), Failure> {
        let Some(source) = self.seen.facts.repository.as_ref().filter(|source| !memory.is_told(source)) else {
            return Ok(());
        };
        let doing = "telling the notifier";
        let stack = self.function.stack.as_ref();
        let stack =
            stack.ok_or_else(|| Failure::refused(doing, "SIGNALBOX_STACK is not set; template.yaml sets it"))?;
        let now = Timestamp::now();
        let Some(change) = memory.untold(key, source, stack, now) else { return Ok(()) };
        let entry = Entry {
            source: OWN_SOURCE,
            detail_type: REPLICA,
            resources: self.function.readable.arn_of(source).iter().map(ToString::to_string).collect(),
            time: now,
            detail: change.to_detail().to_string(),
        };
        // Made here and not at the start: seldom is anything told.
        Bus::new(&self.function.aws).put(entry).await?;
        let told = |there: &Memory| match there.untold(key, source, stack, now) {
            Some(same) if same.notice == change.notice => there.clone().with_told(&change),
            _ => there.clone(),
        };
        self.function.state.change_existing(key, told).await?;
        self.has_told.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn push_all(
        &self,
        copy: &Copy,
        unfit: Option<&Unfit>,
        left: Duration,
        done: &mut Progress,
    ) -> Result<(), Failure> {
        let until = Instant::now() + left;
        let source = self.seen.source.as_ref();
        let source =
            source.ok_or_else(|| Failure::retry("copying", "the source was not read; it is looked at again"))?;
        let made;
        let open = match self.seen.targets.get(&copy.key) {
            Some(open) => open,
            None => {
                if copy.create == Create::WhereMissing {
                    self.create(copy, done).await?;
                }
                let opened = open_target(self.function, &copy.place, &self.memory(&copy.key)?).await?;
                let gone = || Failure::retry(format!("copying to {}", copy.place), "the repository is not there yet");
                made = opened.ok_or_else(gone)?.1;
                &made
            }
        };
        let target = match open {
            Open::Git(target) => target,
            Open::Bundle { .. } => return self.write_bundle(source, copy, done).await,
        };
        let mut pusher = Pusher { source, target, had: Had::of(target.listing()) };
        let unfit = unfit.filter(|unfit| unfit.goes_in_steps(left.as_secs()));
        let main = match &self.seen.facts.source {
            SourceFacts::Listed(listing) => listing.head.as_ref(),
            SourceFacts::NotRead | SourceFacts::Gone | SourceFacts::Unreadable { .. } => None,
        };
        let ends_head = |commands: &[signalbox_replicator_rules::Command]| {
            commands.iter().any(|command| command.new.is_none() && copy.head.as_ref() == Some(&command.name))
        };
        let mut head_is_set = copy.plan.head.is_none();
        for commands in pushes(&copy.plan.commands, copy.head.as_ref()) {
            if !head_is_set && ends_head(&commands) {
                self.set_head(copy, done).await?;
                head_is_set = true;
            }
            let fits = unfit.is_none() && !matches!(pusher.push(&commands, done).await?, Fit::TooLarge { .. });
            if !fits {
                Stepper { pusher: &mut pusher, unfit, until }.go(&commands, main, done).await?;
            }
        }
        if !head_is_set {
            self.set_head(copy, done).await?;
        }
        self.describe(copy, done).await
    }

    async fn create(&self, copy: &Copy, done: &mut Progress) -> Result<(), Failure> {
        let Place::CodeCommit { region, repository, role } = &copy.place else { return Ok(()) };
        let codecommit = self.function.codecommit_for(region.as_str(), role.as_ref()).await?;
        let description = match &self.seen.facts.source {
            SourceFacts::Listed(source) => source.description.as_deref().unwrap_or_default(),
            SourceFacts::NotRead | SourceFacts::Gone | SourceFacts::Unreadable { .. } => "",
        };
        let made = codecommit.create_repository(repository, description).await;
        made.map_err(|failure| of_role(failure, &copy.place))?;
        done.steps.push("made the repository".to_owned());
        Ok(())
    }

    async fn set_head(&self, copy: &Copy, done: &mut Progress) -> Result<(), Failure> {
        let (Some(head), Place::CodeCommit { region, repository, role }) = (&copy.plan.head, &copy.place) else {
            return Ok(());
        };
        let did_not_come = done.sent.refused.iter().map(|(name, _)| name).chain(&done.sent.raced);
        let is_new = copy.plan.commands.iter().any(|command| command.name == *head && command.old.is_none());
        let is_under_way = done.stands.contains_key(head) || (is_new && done.out_of_reach > 0);
        if is_under_way || did_not_come.into_iter().any(|name| name == head.as_str()) {
            return Ok(());
        }
        let codecommit = self.function.codecommit_for(region.as_str(), role.as_ref()).await?;
        let set = codecommit.set_default_branch(repository, head.short()).await;
        set.map_err(|failure| of_role(failure, &copy.place))?;
        done.steps.push(format!("{} is the default branch", head.short()));
        Ok(())
    }

    /// CodeCommit takes no description on condition of the old one: it is looked at once more just before.
    async fn describe(&self, copy: &Copy, done: &mut Progress) -> Result<(), Failure> {
        let (Described::Becomes { old, new }, Place::CodeCommit { region, repository, role }) =
            (&copy.plan.description, &copy.place)
        else {
            return Ok(());
        };
        let codecommit = self.function.codecommit_for(region.as_str(), role.as_ref()).await?;
        let of_role = |failure| of_role(failure, &copy.place);
        let there = codecommit.repository(repository).await.map_err(of_role)?;
        if there.is_none_or(|there| there.description != *old) {
            let what = "the description changed meanwhile; it is looked at again";
            return Err(Failure::retry(format!("copying to {}", copy.place), what));
        }
        codecommit.set_description(repository, new).await.map_err(of_role)?;
        done.steps.push("the description is the source's".to_owned());
        Ok(())
    }

    /// Holds what the target has now against what it should have: only what was listed again counts.
    fn prove(&self, copy: &Copy, listing: &Listing, done: &mut Progress) -> Result<(), Failure> {
        let refused = std::mem::take(&mut done.sent.refused);
        let now = plan_left(&self.seen.facts, self.policy, &copy.key, listing);
        let left = &now.commands;
        for (name, why) in refused {
            // A ref that is where it should be was moved by somebody else, whatever the target says.
            if left.iter().any(|command| command.name.as_str() == name) {
                let reason = format!("{name} was refused by the target: {why}");
                let remedy = "Let the function's credentials push it";
                done.troubles.push(Obstacle::of_ref(name.clone(), ObstacleKind::Refused, reason, remedy));
                done.sent.refused.push((name, why));
            }
        }
        let is_refused = |name: &str| done.sent.refused.iter().any(|(refused, _)| refused == name);
        let mut open: Vec<String> =
            left.iter().map(|command| command.name.to_string()).filter(|name| !is_refused(name)).collect();
        if done.troubles.len() > done.sent.refused.len() {
            // What else went wrong may have kept them from being tried; but these were.
            open.retain(|name| done.sent.raced.contains(name));
        }
        // Somebody else moved these, so that they are no command any more. A branch on its way stands where we left it.
        let stands =
            |name: &str| done.stands.iter().any(|(it, at)| it.as_str() == name && listing.refs.get(it) == Some(at));
        open.extend(now.moved_since(&copy.plan).into_iter().filter(|name| !stands(name)));
        if !open.is_empty() && done.later.is_none() {
            let what = format!("{} changed meanwhile; it is looked at again", named(&open));
            done.later = Some(Failure::retry(format!("copying to {}", copy.place), what));
        }
        Ok(())
    }

    /// What was done, as a sentence with its numbers.
    fn outcome(&self, copy: &Copy, done: &Progress) -> String {
        let mut parts = done.steps.clone();
        if let Some((_, holds)) = &done.bundle {
            parts.push(format!("wrote a bundle of {} refs", holds.refs.len()));
        }
        if !copy.plan.commands.is_empty() || done.bundle.is_some() {
            let Sent { moved, bytes, .. } = done.sent;
            parts.push(format!("{moved} of {} refs moved, a pack of {bytes} bytes", copy.plan.commands.len()));
        }
        let is_equal = done.later.is_none() && done.troubles.is_empty() && copy.plan.failed.is_empty();
        if let Origin::Event(push) = &self.seen.facts.origin
            && is_equal
            && let Some(at) = push.at
        {
            let lag = Timestamp::now().duration_since(at).max(SignedDuration::ZERO);
            measure(&self.function.function_name, Measure::ReplicaLag(lag));
            // The event tells its time to the second.
            parts.push(format!("{} s after the push", lag.as_secs()));
        }
        parts.join(", ")
    }

    fn memory(&self, key: &str) -> Result<Memory, Failure> {
        let known = self.seen.facts.replicas.get(key).map(|known| known.memory.clone());
        known.ok_or_else(|| Failure::retry(format!("reading {key}"), "it was not read; it is looked at again"))
    }

    /// The memory after this look; `listed` is what the target has now, where that is known.
    fn settled(&self, key: &str, listed: Option<Listing>, standing: Standing) -> Result<Memory, Failure> {
        let mut facts = self.seen.facts.clone();
        if let (Some(listing), Some(known)) = (listed, facts.replicas.get_mut(key)) {
            known.target = TargetFacts::Listed(listing);
        }
        let lost = || Failure::retry(format!("writing {key}"), "the facts say nothing of it; it is looked at again");
        facts.settled(self.policy, key, standing).ok_or_else(lost)
    }

    /// The memory as it was read; `None` where there was none.
    fn kept(&self, key: &str) -> Result<Option<Kept<Memory>>, Failure> {
        let Some(etag) = self.seen.tags.get(key) else { return Ok(None) };
        Ok(Some(Kept { value: self.memory(key)?, etag: etag.clone() }))
    }

    /// Writes a memory over the one that was read; whoever was faster has the event come again.
    async fn write_over(
        &self,
        key: &str,
        there: Option<Kept<Memory>>,
        memory: &Memory,
    ) -> Result<Kept<Memory>, Failure> {
        let written = self.function.state.write_over(key, there.as_ref(), memory.clone()).await?;
        written.ok_or_else(|| {
            Failure::retry(format!("writing {key}"), "another invocation copies, too; it is looked at again")
        })
    }
}

/// The same for the same commands: a plan that changed is another action.
fn digest(copy: &Copy) -> String {
    let mut hash = Sha256::new();
    for command in &copy.plan.commands {
        let id = |object: &Option<signalbox_replicator_rules::Object>| {
            object.as_ref().map_or("-", |object| object.as_str()).to_owned()
        };
        hash.update(format!("{} {} {}\n", command.name, id(&command.old), id(&command.new)));
    }
    if let Described::Becomes { new, .. } = &copy.plan.description {
        hash.update(format!("{new}\n"));
    }
    hash.update(copy.plan.head.as_ref().map_or("", |head| head.as_str()));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn named(names: &[String]) -> String {
    let mut text = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMED {
        text.push_str(&format!(" and {} more", names.len() - MOST_NAMED));
    }
    text
}
