//! Does what was decided, and chooses nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use signalbox_aws::Failure;
use signalbox_events::EventId;
use signalbox_gitwire::Oid;
use signalbox_gitwire::http::Target;
use signalbox_glue::{Apply, Came, Invocation, Measure, Order, Step, Twice, measure};
use signalbox_policy::{Create, Policy};
use signalbox_replicator_rules::{
    Action, Copy, Described, Listing, Memory, Origin, Place, SourceFacts, TargetFacts, Working, commands_left, pushes,
    render_action, render_failed,
};

use crate::Replicator;
use crate::gather::{Seen, open_target};
use crate::places::of_role;
use crate::push::{Sent, send};

/// Kept back from the invocation's time, to look at the target once more and to remember.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);

/// A sentence names at most this many refs.
const MOST_NAMED: usize = 20;

/// One look, as it is acted on.
pub(crate) struct Carrier<'a> {
    pub(crate) function: &'a Replicator,
    pub(crate) policy: &'a Policy,
    pub(crate) seen: &'a Seen,
    pub(crate) event: &'a EventId,
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
                let before = self.memory(key)?;
                let after = self.settled(key, None, troubles.clone())?;
                self.swap(key, before, after).await?;
                match troubles.is_empty() {
                    true => Ok(Came::Done("done".to_owned())),
                    false => Err(Failure::refused("copying", troubles.join("; "))),
                }
            }
            Action::ComeAgain { target, what } => Err(Failure::retry(format!("copying to {target}"), what)),
        }
    }
}

/// What came of the pushes to one target.
#[derive(Default)]
struct Done {
    sent: Sent,
    /// Steps beside the refs, each as a sentence.
    steps: Vec<String>,
    /// What a person must mend.
    troubles: Vec<String>,
    /// Why the rest must be tried again.
    later: Option<Failure>,
}

impl Carrier<'_> {
    /// Makes one target equal, looks at it once more, and remembers what both sides agree on.
    async fn copy(&self, copy: &Copy, invocation: Invocation) -> Result<String, Failure> {
        let key = &copy.key;
        let before = self.memory(key)?;
        // Nobody else copies while this lasts, and what somebody else did since it was read is seen now.
        let until = invocation.deadline.saturating_add(SignedDuration::from_secs(5)).unwrap_or(Timestamp::MAX);
        let working = Memory { working: Some(Working { event: self.event.clone(), until }), ..before.clone() };
        self.swap(key, before.clone(), working.clone()).await?;

        let mut done = Done::default();
        let left = invocation.deadline.duration_since(Timestamp::now()).saturating_sub(RESERVE);
        let left = Duration::try_from(left).unwrap_or_default();
        match tokio::time::timeout(left, self.push_all(copy, &mut done)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure @ Failure::Refused(_))) => done.troubles.push(failure.chain()),
            Ok(Err(failure)) => done.later = Some(failure),
            Err(_) => {
                let what = format!(
                    "the {} s that were left were too short; {} of {} refs moved, the rest follows",
                    left.as_secs(),
                    done.sent.moved,
                    copy.plan.commands.len()
                );
                done.later = Some(Failure::retry(format!("copying to {}", copy.place), what));
            }
        }
        let listed = match open_target(self.function, &copy.place).await {
            Ok(listed) => listed.map(|(listing, _)| listing),
            Err(failure) => {
                done.later = done.later.or(Some(failure));
                None
            }
        };
        if let Some(listing) = &listed {
            self.prove(copy, listing, &mut done)?;
        }
        let troubles: Vec<String> = copy.plan.failed.iter().map(render_failed).chain(done.troubles.clone()).collect();
        // What must be tried again is no trouble yet, and what was is not known to be over.
        let source = self.seen.facts.repository.as_ref();
        let told = match &done.later {
            Some(_) => source.and_then(|it| before.failing.get(it)).map(|it| it.what.clone()).unwrap_or_default(),
            None => troubles.clone(),
        };
        let after = self.settled(key, listed, told)?;
        self.swap(key, working, after).await?;

        let outcome = self.outcome(copy, &done);
        match done.later {
            Some(failure) => Err(failure),
            None if troubles.is_empty() => Ok(outcome),
            None => Err(Failure::refused(format!("copying to {} ({outcome})", copy.place), troubles.join("; "))),
        }
    }

    async fn push_all(&self, copy: &Copy, done: &mut Done) -> Result<(), Failure> {
        let source = self.seen.source.as_ref();
        let source =
            source.ok_or_else(|| Failure::retry("copying", "the source was not read; it is looked at again"))?;
        let made;
        let target: &Target = match self.seen.targets.get(&copy.key) {
            Some(target) => target,
            None => {
                if copy.create == Create::WhereMissing {
                    self.create(copy, done).await?;
                }
                let opened = open_target(self.function, &copy.place).await?;
                let gone = || Failure::retry(format!("copying to {}", copy.place), "the repository is not there yet");
                made = opened.ok_or_else(gone)?.1;
                &made
            }
        };
        let mut had: BTreeSet<Oid> = target.listing().refs.iter().map(|found| found.id).collect();
        let ends_head = |commands: &[signalbox_replicator_rules::Command]| {
            commands.iter().any(|command| command.new.is_none() && copy.head.as_ref() == Some(&command.name))
        };
        let mut head_is_set = copy.plan.head.is_none();
        for commands in pushes(&copy.plan.commands, copy.head.as_ref()) {
            if !head_is_set && ends_head(&commands) {
                self.set_head(copy, done).await?;
                head_is_set = true;
            }
            let sent = send(source, target, &mut had, &commands).await?;
            done.sent.add(sent);
        }
        if !head_is_set {
            self.set_head(copy, done).await?;
        }
        self.describe(copy, done).await
    }

    async fn create(&self, copy: &Copy, done: &mut Done) -> Result<(), Failure> {
        let Place::CodeCommit { region, repository, role } = &copy.place else { return Ok(()) };
        let codecommit = self.function.codecommit_for(region.as_str(), role.as_ref()).await?;
        let description = match &self.seen.facts.source {
            SourceFacts::Listed(source) => source.description.as_deref().unwrap_or_default(),
            SourceFacts::NotRead | SourceFacts::Gone => "",
        };
        let made = codecommit.create_repository(repository, description).await;
        made.map_err(|failure| of_role(failure, &copy.place))?;
        done.steps.push("made the repository".to_owned());
        Ok(())
    }

    async fn set_head(&self, copy: &Copy, done: &mut Done) -> Result<(), Failure> {
        let (Some(head), Place::CodeCommit { region, repository, role }) = (&copy.plan.head, &copy.place) else {
            return Ok(());
        };
        if done.sent.refused.iter().any(|(name, _)| name == head.as_str()) {
            return Ok(());
        }
        let codecommit = self.function.codecommit_for(region.as_str(), role.as_ref()).await?;
        let set = codecommit.set_default_branch(repository, head.short()).await;
        set.map_err(|failure| of_role(failure, &copy.place))?;
        done.steps.push(format!("{} is the default branch", head.short()));
        Ok(())
    }

    /// CodeCommit takes no description on condition of the old one: it is looked at once more just before.
    async fn describe(&self, copy: &Copy, done: &mut Done) -> Result<(), Failure> {
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
    fn prove(&self, copy: &Copy, listing: &Listing, done: &mut Done) -> Result<(), Failure> {
        let refused = std::mem::take(&mut done.sent.refused);
        let left = commands_left(&self.seen.facts, self.policy, &copy.key, listing);
        for (name, why) in refused {
            // A ref that is where it should be was moved by somebody else, whatever the target says.
            if left.iter().any(|command| command.name.as_str() == name) {
                done.troubles
                    .push(format!("{name} was refused by the target: {why}. Let the function's credentials push it"));
                done.sent.refused.push((name, why));
            }
        }
        let is_refused = |name: &str| done.sent.refused.iter().any(|(refused, _)| refused == name);
        let open: Vec<&str> =
            left.iter().map(|command| command.name.as_str()).filter(|name| !is_refused(name)).collect();
        if !open.is_empty() && done.later.is_none() && done.troubles.len() == done.sent.refused.len() {
            let what = format!("{} changed meanwhile; it is looked at again", named(&open));
            done.later = Some(Failure::retry(format!("copying to {}", copy.place), what));
        }
        Ok(())
    }

    /// What was done, as a sentence with its numbers.
    fn outcome(&self, copy: &Copy, done: &Done) -> String {
        let mut parts = done.steps.clone();
        if !copy.plan.commands.is_empty() {
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
    fn settled(&self, key: &str, listed: Option<Listing>, troubles: Vec<String>) -> Result<Memory, Failure> {
        let mut facts = self.seen.facts.clone();
        if let (Some(listing), Some(known)) = (listed, facts.replicas.get_mut(key)) {
            known.target = TargetFacts::Listed(listing);
        }
        let lost = || Failure::retry(format!("writing {key}"), "the facts say nothing of it; it is looked at again");
        facts.settled(self.policy, key, troubles).ok_or_else(lost)
    }

    /// Writes a memory over the one that was read; whoever was faster has the event come again.
    async fn swap(&self, key: &str, before: Memory, after: Memory) -> Result<(), Failure> {
        let change = |there: Option<&Memory>| match there {
            Some(there) if *there != before => there.clone(),
            None if !before.agreed.is_empty() || before.working.is_some() => before.clone(),
            _ => after.clone(),
        };
        let there = self.function.state.change(key, change).await?;
        if there == after {
            return Ok(());
        }
        Err(Failure::retry(format!("writing {key}"), "another invocation copies, too; it is looked at again"))
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

fn named(names: &[&str]) -> String {
    let mut text = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMED {
        text.push_str(&format!(" and {} more", names.len() - MOST_NAMED));
    }
    text
}
