//! AWS and git, read into facts. No policy in here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use signalbox_aws::Failure;
use signalbox_events::{Again, BuildId, BuildStatus, CommitId, Event, EventId, RefKind};
use signalbox_ledger::Kept;
use signalbox_trigger_rules::{
    Base, Difference, Facts, Head, Known, Needs, Push, PushNeeds, RefState, Target, TriggerFacts, TriggerNeeds,
    WhichFiles, push_of,
};

use crate::Trigger;

/// After this long a build that CodeBuild does not know has ended: 8 hours in the queue, 36 of running, and a little.
const LONGEST_BUILD: SignedDuration = SignedDuration::from_hours(48);

/// Reads what the decision will want. What is refused for one trigger is a fact about that trigger, not the end of all.
pub(crate) async fn gather(
    needs: &Needs,
    (event, known, under): (&Event, Known, &EventId),
    from: &Trigger,
    now: Timestamp,
) -> Result<Facts, Failure> {
    let envelope = &event.envelope;
    let (push, again) = (push_of(event), envelope.again.clone());
    let (id, pushed_at) = (Some(under.clone()), envelope.time);
    let moved_since = if let Known::MovedSince(since) = known { since } else { None };
    let mut facts = Facts { push, origin: known.origin(), again, id, pushed_at, moved_since, ..Facts::default() };
    let Some(PushNeeds { push, triggers }) = &needs.push else { return Ok(facts) };
    // All states are read before the branch's tip is: then no state can know of a newer commit than the tip.
    let mut states = Vec::new();
    for wanted in triggers {
        let state: Option<Kept<RefState>> = from.state.read(&wanted.state_key).await?;
        states.push(state.map(|kept| kept.value).unwrap_or_default());
    }
    let mut reader = Reader::new(from, push, event.envelope.again.as_ref(), now);
    for (wanted, state) in triggers.iter().zip(states) {
        let known = or_unreadable(reader.trigger(wanted, state, &mut facts.differences).await)?;
        facts.triggers.insert(wanted.name.clone(), known);
    }
    Ok(facts)
}

/// What is refused for one trigger is a fact about that trigger, not the end of all.
pub(crate) fn or_unreadable(read: Result<TriggerFacts, Failure>) -> Result<TriggerFacts, Failure> {
    match read {
        Err(failure @ Failure::Refused(_)) => {
            Ok(TriggerFacts { unreadable: Some(failure.chain()), ..TriggerFacts::default() })
        }
        read => read,
    }
}

/// Reads each thing once, for however many triggers.
pub(crate) struct Reader<'a> {
    from: &'a Trigger,
    push: &'a Push,
    again: Option<&'a Again>,
    now: Timestamp,
    tip: Option<Option<CommitId>>,
    heads: BTreeMap<CommitId, Option<Head>>,
    merge_base: Option<(CommitId, Option<CommitId>)>,
}

impl<'a> Reader<'a> {
    /// Reads about this push; the source branch of a pull request stands for one.
    pub(crate) fn new(from: &'a Trigger, push: &'a Push, again: Option<&'a Again>, now: Timestamp) -> Self {
        Self { from, push, again, now, tip: None, heads: BTreeMap::new(), merge_base: None }
    }

    async fn trigger(
        &mut self,
        wanted: &TriggerNeeds,
        state: RefState,
        differences: &mut Vec<Difference>,
    ) -> Result<TriggerFacts, Failure> {
        let target = match wanted.target {
            Target::Pushed => Some(self.push.commit.clone()),
            Target::Tip => self.tip().await?,
        };
        let Some(target) = target else { return Ok(TriggerFacts { state, ..TriggerFacts::default() }) };
        let head = self.head(&target).await?;
        let settled = self.settled(&state).await?;
        let difference = match (wanted.files, &head) {
            (WhichFiles::SinceGreen, Some(_)) => {
                let green = state.settle(&settled).green.map(|green| green.commit);
                Some(self.difference(green, &target, differences).await?)
            }
            _ => None,
        };
        Ok(TriggerFacts { target: Some(target), head, state, settled, difference, ..TriggerFacts::default() })
    }

    async fn tip(&mut self) -> Result<Option<CommitId>, Failure> {
        if let Some(tip) = &self.tip {
            return Ok(tip.clone());
        }
        let tip = self.from.codecommit.branch_tip(&self.push.repository, self.push.reference.short()).await?;
        self.tip = Some(tip.clone());
        Ok(tip)
    }

    pub(crate) async fn head(&mut self, commit: &CommitId) -> Result<Option<Head>, Failure> {
        if let Some(head) = self.heads.get(commit) {
            return Ok(head.clone());
        }
        let read = self.from.codecommit.commit(&self.push.repository, commit).await?;
        let head = read.map(|commit| Head { message: commit.message, author_email: commit.author.email });
        self.heads.insert(commit.clone(), head.clone());
        Ok(head)
    }

    /// How the builds ended that the state does not know to have ended.
    pub(crate) async fn settled(&self, state: &RefState) -> Result<BTreeMap<BuildId, BuildStatus>, Failure> {
        let mut by_project: BTreeMap<&str, Vec<BuildId>> = BTreeMap::new();
        for build in state.unsettled() {
            by_project.entry(build.project()).or_default().push(build.clone());
        }
        let mut settled = BTreeMap::new();
        for (project, builds) in by_project {
            match self.from.codebuild.builds(&builds).await {
                Ok(found) => settled.extend(found.into_iter().map(|build| (build.id, build.status))),
                // A project that the role may not look at any more: its builds stay as they are until they are old.
                Err(refused @ Failure::Refused(_)) => {
                    tracing::warn!(project, why = refused.chain(), "its builds cannot be looked at");
                }
                Err(failure) => return Err(failure),
            }
        }
        for start in &state.starts {
            let is_old = self.now.duration_since(start.at) > LONGEST_BUILD;
            if !start.status.is_terminal() && is_old {
                // Forgotten, or out of reach: it never passed, as far as anybody can tell.
                settled.entry(start.build.clone()).or_insert(BuildStatus::Stopped);
            }
        }
        Ok(settled)
    }

    /// The changed paths since the last green commit, or since the branch left the default branch, or all there are.
    ///
    /// Gives their place in `differences`; the same comparison is made once. A base that was rewritten away is not there
    /// any more: then the next one is asked.
    async fn difference(
        &mut self,
        green: Option<CommitId>,
        target: &CommitId,
        differences: &mut Vec<Difference>,
    ) -> Result<usize, Failure> {
        // A green commit that is built once more differs from itself in nothing.
        let green = green.filter(|green| self.again.is_none() || green != target);
        if let Some(green) = green
            && let Some(index) = self.compare(Base::Green(green), target, differences).await?
        {
            return Ok(index);
        }
        if let Some(left) = self.merge_base(target).await?
            && let Some(index) = self.compare(Base::MergeBase(left), target, differences).await?
        {
            return Ok(index);
        }
        self.compare(Base::Nothing, target, differences).await?.ok_or_else(|| {
            let what = format!("commit {target} has no tree to compare");
            Failure::refused(format!("codecommit:GetDifferences on {}", self.push.repository), what)
        })
    }

    pub(crate) async fn compare(
        &self,
        base: Base,
        target: &CommitId,
        differences: &mut Vec<Difference>,
    ) -> Result<Option<usize>, Failure> {
        if let Some(index) = differences.iter().position(|there| there.base == base && there.target == *target) {
            return Ok(Some(index));
        }
        let before = match &base {
            Base::Green(commit) | Base::MergeBase(commit) | Base::Target(commit) => Some(commit),
            Base::Unrelated | Base::Nothing => None,
        };
        let paths = self.from.codecommit.changed_paths(&self.push.repository, before, target).await?;
        Ok(paths.map(|paths| {
            differences.push(Difference { base, target: target.clone(), paths, left_out: 0 });
            differences.len() - 1
        }))
    }

    async fn merge_base(&mut self, target: &CommitId) -> Result<Option<CommitId>, Failure> {
        if self.push.reference.kind() != RefKind::Branch {
            return Ok(None);
        }
        if let Some((known, base)) = &self.merge_base
            && known == target
        {
            return Ok(base.clone());
        }
        let repository = &self.push.repository;
        let default = self.from.codecommit.default_branch(repository).await?;
        let base = match default {
            Some(default) if default != self.push.reference.short() => {
                self.from.codecommit.merge_base(repository, target.as_str(), &default).await?
            }
            _ => None,
        };
        self.merge_base = Some((target.clone(), base.clone()));
        Ok(base)
    }
}
