//! AWS and git, read into facts. No policy in here.

use std::collections::BTreeMap;

use signalbox_aws::Failure;
use signalbox_events::{BuildId, BuildStatus, CommitId, Event, RefKind};
use signalbox_trigger_rules::{
    Base, Difference, Facts, Head, Needs, Push, PushNeeds, RefState, Target, TriggerFacts, TriggerNeeds, WhichFiles, push_of,
};

use crate::Trigger;

/// Reads what the decision will want.
pub(crate) async fn gather(needs: &Needs, event: &Event, from: &Trigger) -> Result<Facts, Failure> {
    let mut facts = Facts { push: push_of(event), ..Facts::default() };
    let Some(PushNeeds { push, triggers }) = &needs.push else { return Ok(facts) };
    let mut reader = Reader { from, push, tip: None, heads: BTreeMap::new(), merge_base: None };
    for wanted in triggers {
        let known = reader.trigger(wanted, &mut facts.differences).await?;
        facts.triggers.insert(wanted.name.clone(), known);
    }
    Ok(facts)
}

/// Reads each thing once, for however many triggers.
struct Reader<'a> {
    from: &'a Trigger,
    push: &'a Push,
    tip: Option<Option<CommitId>>,
    heads: BTreeMap<CommitId, Option<Head>>,
    merge_base: Option<(CommitId, Option<CommitId>)>,
}

impl Reader<'_> {
    async fn trigger(&mut self, wanted: &TriggerNeeds, differences: &mut Vec<Difference>) -> Result<TriggerFacts, Failure> {
        let target = match wanted.target {
            Target::Pushed => Some(self.push.commit.clone()),
            Target::Tip => self.tip().await?,
        };
        let Some(target) = target else { return Ok(TriggerFacts::default()) };
        let head = self.head(&target).await?;
        let state: RefState = self.from.state.read(&wanted.state_key).await?.map(|kept| kept.value).unwrap_or_default();
        let settled = self.settled(&state).await?;
        let difference = match (wanted.files, &head) {
            (WhichFiles::SinceGreen, Some(_)) => {
                let green = state.settle(&settled).green.map(|green| green.commit);
                Some(self.difference(green, &target, differences).await?)
            }
            _ => None,
        };
        Ok(TriggerFacts { target: Some(target), head, state, settled, difference })
    }

    async fn tip(&mut self) -> Result<Option<CommitId>, Failure> {
        if let Some(tip) = &self.tip {
            return Ok(tip.clone());
        }
        let tip = self.from.codecommit.branch_tip(&self.push.repository, self.push.reference.short()).await?;
        self.tip = Some(tip.clone());
        Ok(tip)
    }

    async fn head(&mut self, commit: &CommitId) -> Result<Option<Head>, Failure> {
        if let Some(head) = self.heads.get(commit) {
            return Ok(head.clone());
        }
        let read = self.from.codecommit.commit(&self.push.repository, commit).await?;
        let head = read.map(|commit| Head { message: commit.message, author_email: commit.author.email });
        self.heads.insert(commit.clone(), head.clone());
        Ok(head)
    }

    /// How the builds ended that the state does not know to have ended. One that CodeBuild has forgotten never passed.
    async fn settled(&self, state: &RefState) -> Result<BTreeMap<BuildId, BuildStatus>, Failure> {
        let unsettled: Vec<BuildId> = state.unsettled().cloned().collect();
        if unsettled.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.from.codebuild.builds(&unsettled).await?;
        let mut settled: BTreeMap<_, _> = found.into_iter().map(|build| (build.id, build.status)).collect();
        for build in unsettled {
            settled.entry(build).or_insert(BuildStatus::Stopped);
        }
        Ok(settled)
    }

    /// The changed paths since the last green commit, or since the branch left the default branch, or all there are.
    ///
    /// Gives their place in `differences`; the same comparison is made once.
    async fn difference(
        &mut self,
        green: Option<CommitId>,
        target: &CommitId,
        differences: &mut Vec<Difference>,
    ) -> Result<usize, Failure> {
        let mut bases = Vec::new();
        bases.extend(green.map(Base::Green));
        bases.extend(self.merge_base(target).await?.map(Base::MergeBase));
        bases.push(Base::Nothing);
        for base in bases {
            let same = |there: &Difference| there.base == base && there.target == *target;
            if let Some(index) = differences.iter().position(same) {
                return Ok(index);
            }
            let before = match &base {
                Base::Green(commit) | Base::MergeBase(commit) => Some(commit),
                Base::Nothing => None,
            };
            // A base that was rewritten away is not there any more: the next one is asked.
            if let Some(paths) = self.from.codecommit.changed_paths(&self.push.repository, before, target).await? {
                differences.push(Difference { base, target: target.clone(), paths });
                return Ok(differences.len() - 1);
            }
        }
        Err(Failure::refused(
            format!("codecommit:GetDifferences on {}", self.push.repository),
            format!("commit {target} has no tree to compare"),
        ))
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
