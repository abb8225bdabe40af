//! What the decision on a pull request wants, read from AWS and git. No policy in here but what is wanted.

use jiff::Timestamp;
use signalbox_aws::{Failure, Merges, ProjectBuildspec};
use signalbox_events::{CommitId, RefName, RepositoryName};
use signalbox_ledger::Kept;
use signalbox_policy::{Policy, PullRequestCommit};
use signalbox_trigger_rules::{
    Base, BuildspecNeeds, Difference, Facts, Meets, Merge, PullRequest, RefState, ReviewTriggerNeeds, TargetBuildspec,
    TriggerFacts, WhichFiles, review_needs,
};

use crate::Trigger;
use crate::gather::{Reader, or_unreadable};

/// Reads what is wanted of the triggers. What is refused for one of them is a fact about that one, not the end of all.
pub(crate) async fn gather(
    mut facts: Facts,
    from: &Trigger,
    policy: &Policy,
    now: Timestamp,
) -> Result<Facts, Failure> {
    let Some(review) = facts.review.clone() else { return Ok(facts) };
    let Some(open) = review.open() else { return Ok(facts) };
    let needs = review_needs(&review, policy);
    let repository = &review.subject.repository;
    let wants_target =
        |one: &ReviewTriggerNeeds| one.commit == PullRequestCommit::MergeResult || one.buildspec.is_some();
    // One look at the target branch for all: what is merged and whose buildspec is run belong together.
    let target = if needs.iter().any(wants_target) {
        from.codecommit.branch_tip(repository, open.into.short()).await?
    } else {
        None
    };
    if needs.iter().any(|one| one.commit == PullRequestCommit::MergeResult) {
        let merge = merge(from, repository, open, target.clone()).await?;
        if let Some(review) = &mut facts.review {
            review.merge = Some(merge);
        }
    }
    let push = open.as_push(repository);
    let again = facts.again.clone();
    let mut reader = Reader::new(from, &push, again.as_ref(), now);
    for wanted in &needs {
        let read = trigger(&mut reader, from, wanted, (repository, open), target.as_ref(), &mut facts.differences);
        let known = or_unreadable(read.await)?;
        facts.triggers.insert(wanted.name.clone(), known);
    }
    Ok(facts)
}

async fn trigger(
    reader: &mut Reader<'_>,
    from: &Trigger,
    wanted: &ReviewTriggerNeeds,
    (repository, open): (&RepositoryName, &PullRequest),
    target: Option<&CommitId>,
    differences: &mut Vec<Difference>,
) -> Result<TriggerFacts, Failure> {
    let state: Option<Kept<RefState>> = from.state.read(&wanted.state_key).await?;
    let state = state.map(|kept| kept.value).unwrap_or_default();
    let head = reader.head(&open.source_commit).await?;
    let settled = reader.settled(&state).await?;
    let difference = match (wanted.files, &head) {
        (WhichFiles::OfPullRequest, Some(_)) => {
            let base = open.base.clone().map_or(Base::Unrelated, Base::Target);
            let found = reader.compare(base, &open.source_commit, differences).await?;
            // A base that was rewritten away and pruned: then everything counts.
            match found {
                Some(found) => Some(found),
                None => reader.compare(Base::Unrelated, &open.source_commit, differences).await?,
            }
        }
        _ => None,
    };
    let buildspec = match &wanted.buildspec {
        Some(wanted) => Some(buildspec(from, repository, wanted, (&open.into, target)).await?),
        None => None,
    };
    let target = Some(open.source_commit.clone());
    Ok(TriggerFacts { target, head, state, settled, difference, buildspec, unreadable: None })
}

/// What a merge into the target branch, as it is now, would meet.
async fn merge(
    from: &Trigger,
    repository: &RepositoryName,
    open: &PullRequest,
    target: Option<CommitId>,
) -> Result<Merge, Failure> {
    let Some(with) = target else { return Ok(Merge { with: None, meets: Meets::Nothing }) };
    let meets = match from.codecommit.merges(repository, &open.source_commit, &with).await {
        Ok(Merges::Cleanly) => Meets::Nothing,
        Ok(Merges::WithConflicts) => Meets::Conflicts,
        Ok(Merges::Untold(why)) => Meets::Untold { why },
        Ok(Merges::Gone) => Meets::Untold { why: "one of the two commits is gone".to_owned() },
        Err(failure) => return Err(failure),
    };
    Ok(Merge { with: Some(with), meets })
}

/// The buildspec as the target branch has it, which no push to the source branch changes.
async fn buildspec(
    from: &Trigger,
    repository: &RepositoryName,
    wanted: &BuildspecNeeds,
    (into, target): (&RefName, Option<&CommitId>),
) -> Result<TargetBuildspec, Failure> {
    let path = match &wanted.path {
        Some(path) => path.clone(),
        None => match from.codebuild.buildspec(&wanted.project).await? {
            Some(ProjectBuildspec::File(path)) => path,
            Some(ProjectBuildspec::Elsewhere) => return Ok(TargetBuildspec::InProject),
            None => return Ok(TargetBuildspec::NoProject),
        },
    };
    let Some(commit) = target else {
        return Err(Failure::refused(
            format!("codecommit:GetBranch on {repository}"),
            format!("{} is gone", into.short()),
        ));
    };
    let content = from.codecommit.file(repository, commit, &path).await?;
    Ok(TargetBuildspec::of_file(path, commit.clone(), content))
}
