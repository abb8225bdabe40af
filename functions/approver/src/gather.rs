//! AWS, read into facts. No policy in here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use signalbox_approver_rules::{
    BuildFacts, CheckFacts, CheckNeeds, CommentSeen, Facts, Found, Head, Memory, Needs, Occasion, Overrider, Paths,
    Project, PullRequestFacts, RuleFacts, Subject, Void, check_needs, is_concerned, is_held_to_merge_results,
    may_be_overridden, wants_more, wants_review,
};
use signalbox_aws::{Build, Failure, Merges, ReviewedPullRequest};
use signalbox_events::{BuildId, BuildStart, BuildspecOf, CommitId, Detail, Event, ReviewRecord};
use signalbox_glue::Invocation;
use signalbox_policy::Policy;
use signalbox_trigger_rules::RefState;

use crate::Approver;

/// For so long the trigger may take to write down why a build runs that it has started.
const RECORD_TIME: SignedDuration = SignedDuration::from_mins(15);

/// What was gathered, and what the writes behind it need.
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    /// The pull request as CodeCommit told it.
    pub(crate) pull_request: Option<ReviewedPullRequest>,
    /// The entity tag that the memory was read with; `None` where there is none.
    pub(crate) etag: Option<String>,
}

impl Approver {
    /// Why a build runs; `None` for one that the trigger did not start.
    pub(crate) async fn record(
        &self,
        event: &Event,
        build: &BuildId,
        invocation: Invocation,
    ) -> Result<Option<BuildStart>, Failure> {
        if let Some(kept) = self.state.read::<BuildStart>(&BuildStart::key(build)).await? {
            return Ok(Some(kept.value));
        }
        let Detail::BuildState(change) = &event.detail else { return Ok(None) };
        let initiator = change.information.as_ref().and_then(|information| information.initiator.as_deref());
        let is_fresh = event.envelope.time.is_some_and(|at| invocation.now.duration_since(at) < RECORD_TIME);
        if self.is_trigger(initiator) && is_fresh {
            // The event may be faster than the record of the start that it is about.
            let what = "the trigger has not written down yet why it runs";
            return Err(Failure::retry(format!("reading why build {build} runs"), what));
        }
        Ok(None)
    }

    /// Whether a build's initiator is the trigger.
    fn is_trigger(&self, initiator: Option<&str>) -> bool {
        let Some(role) = &self.trigger_role else { return false };
        initiator.is_some_and(|initiator| initiator.starts_with(role.as_str()))
    }
}

/// Reads what the decision will want.
///
/// The memory comes first: whoever writes it meanwhile has this look begin anew, so what is written follows from facts that
/// are no older than the last words.
pub(crate) async fn gather(
    from: &Approver,
    needs: &Needs,
    event: &Event,
    policy: &Policy,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered { facts: crate::nothing(event, needs, &from.gate), pull_request: None, etag: None };
    let facts = &mut gathered.facts;
    let Some(subject) = &needs.subject else { return Ok(gathered) };
    if let Some(kept) = from.state.read::<Memory>(&Memory::key(subject)).await? {
        (facts.memory, gathered.etag) = (kept.value, Some(kept.etag));
    }
    let Some(found) = from.reviews.pull_request(&subject.pull_request).await? else {
        facts.pull_request = Found::Gone;
        return Ok(gathered);
    };
    let mut here = pull_request_facts(&found);
    let is_elsewhere = matches!(&facts.occasion, Occasion::Target { into } if here.destination != *into);
    if is_elsewhere || !is_concerned(policy, subject, &here, &from.gate) {
        facts.pull_request = Found::Here(Box::new(here));
        return Ok(gathered);
    }
    if is_held_to_merge_results(policy, &subject.repository, &here.destination) {
        // Where a branch is, the branch says: a pull request may tell it later.
        if let Some(tip) = from.codecommit.branch_tip(&subject.repository, here.destination.short()).await? {
            here.destination_commit = tip;
        }
    }
    here.approvals = Some(from.reviews.approvals(&found.id, &found.now.revision).await?);
    if may_be_overridden(facts) {
        here.overrider = match from.reviews.overrider(&found.id, &found.now.revision).await? {
            Some(by) => Overrider::By(by),
            None => Overrider::Nobody,
        };
    }
    facts.pull_request = Found::Here(Box::new(here));
    if facts.occasion == Occasion::Sweep
        && let Some(posted) = facts.memory.comment.as_ref().filter(|posted| !posted.given_up)
    {
        let there = from.reviews.comment_of(&posted.id).await?;
        let is_there = there.is_some_and(|comment| !comment.is_deleted);
        facts.comment = if is_there { CommentSeen::There } else { CommentSeen::Gone };
    }
    let wanted = check_needs(policy, &subject.repository, &found.now.into);
    facts.checks = checks(from, subject, &found, &wanted, needs.record.as_deref()).await?;
    if wants_review(policy, &subject.repository, &found.now.into) {
        let key = ReviewRecord::key(&subject.repository, &subject.pull_request);
        facts.review = from.state.read::<ReviewRecord>(&key).await?.map(|kept| kept.value);
    }
    gather_more(from, &found, facts, policy).await?;
    gathered.pull_request = Some(found);
    Ok(gathered)
}

fn pull_request_facts(found: &ReviewedPullRequest) -> PullRequestFacts {
    let rules = found.rules.iter().map(|rule| RuleFacts {
        name: rule.name.clone(),
        content: rule.content.clone(),
        sha256: rule.sha256.clone(),
        template: rule.template.clone(),
        modified_by: rule.modified_by.clone(),
    });
    let now = &found.now;
    PullRequestFacts {
        state: now.state,
        author: now.author.clone(),
        revision: Some(now.revision.clone()),
        source: now.source.clone(),
        source_commit: now.source_commit.clone(),
        destination: now.into.clone(),
        destination_commit: now.into_commit.clone(),
        base: now.base.clone(),
        rules: Some(rules.collect()),
        approvals: None,
        overrider: Overrider::NotRead,
    }
}

/// A build that the trigger started, in the order of its tries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Try {
    attempt: u32,
    at: Timestamp,
    build: BuildId,
    merged: Option<CommitId>,
}

/// The newest build of each check that the trigger started for these commits, as CodeBuild says that it stands.
async fn checks(
    from: &Approver,
    subject: &Subject,
    found: &ReviewedPullRequest,
    wanted: &[CheckNeeds],
    record: Option<&BuildStart>,
) -> Result<BTreeMap<String, CheckFacts>, Failure> {
    let mut checks = BTreeMap::new();
    let mut newest: Vec<(&CheckNeeds, Try)> = Vec::new();
    for check in wanted {
        checks.insert(check.name.clone(), CheckFacts::default());
        let state = from.state.read::<RefState>(&check.state_key(subject)).await?;
        let starts = state.map(|kept| kept.value.starts).unwrap_or_default();
        let of_these = starts.into_iter().filter(|start| start.commit == found.now.source_commit);
        // The trigger writes the record first: the event of a quick build may come before the rest.
        let told = record.filter(|record| record.trigger == check.name && record.commit == found.now.source_commit);
        let told = told.map(|record| Try {
            attempt: record.attempt,
            at: record.at,
            build: record.build.clone(),
            merged: record.pull_request.as_ref().and_then(|of| of.merge.clone()),
        });
        let all =
            of_these.map(|start| Try { attempt: start.attempt, at: start.at, build: start.build, merged: start.merge });
        let all = all.chain(told);
        newest.extend(all.max().map(|newest| (check, newest)));
    }
    if newest.is_empty() {
        return Ok(checks);
    }
    let ids: Vec<BuildId> = newest.iter().map(|(_, newest)| newest.build.clone()).collect();
    let (builds, unreadable) = match from.codebuild.builds(&ids).await {
        Ok(builds) => (builds, None),
        // A permission that was taken away is told in the comment; the pull request waits for it like for any other fault.
        Err(failure @ Failure::Refused(_)) => {
            tracing::warn!(
                repo.name = subject.repository.as_str(),
                why = failure.chain(),
                "builds cannot be looked at"
            );
            (Vec::new(), Some(failure.chain()))
        }
        Err(failure) => return Err(failure),
    };
    for (check, start) in newest {
        let Some(known) = checks.get_mut(&check.name) else { continue };
        match (builds.iter().find(|build| build.id == start.build), &unreadable) {
            (Some(build), _) => {
                let void = void(from, check, &found.now.source_commit, build).await?;
                let (build, status, merged) = (build.id.clone(), build.status, start.merged);
                known.builds.push(BuildFacts { build, attempt: start.attempt, merged, status, void });
            }
            (None, Some(why)) => known.unreadable = Some(why.clone()),
            (None, None) => known.unreadable = Some(format!("CodeBuild does not know build {} any more", start.build)),
        }
    }
    Ok(checks)
}

/// What keeps a build from proving anything about a commit.
async fn void(from: &Approver, check: &CheckNeeds, commit: &CommitId, build: &Build) -> Result<Option<Void>, Failure> {
    if !from.is_trigger(build.initiator.as_deref()) {
        return Ok(Some(Void::OtherInitiator { initiator: build.initiator.clone() }));
    }
    if build.project != check.project {
        return Ok(Some(Void::OtherProject { project: build.project.clone() }));
    }
    // What was asked for is told at once, what was really built only when the source is there.
    let built = build.resolved_version.as_deref().or(build.source_version.as_deref());
    if built != Some(commit.as_str()) {
        return Ok(Some(Void::OtherCommit { commit: built.map(str::to_owned) }));
    }
    if check.is_of_target {
        let record = from.state.read::<BuildStart>(&BuildStart::key(&build.id)).await?;
        let buildspec = record.and_then(|kept| kept.value.pull_request).map(|of| of.buildspec);
        if buildspec.is_none_or(|buildspec| buildspec == BuildspecOf::Source) {
            return Ok(Some(Void::OtherBuildspec));
        }
    }
    Ok(None)
}

/// What the decision wants beside the builds, where there are none.
async fn gather_more(
    from: &Approver,
    found: &ReviewedPullRequest,
    facts: &mut Facts,
    policy: &Policy,
) -> Result<(), Failure> {
    let more = wants_more(facts, policy);
    let (repository, commit) = (&found.repository, &found.now.source_commit);
    if more.head {
        let read = from.codecommit.commit(repository, commit).await?;
        facts.head = read.map(|commit| Head { message: commit.message, author_email: commit.author.email });
    }
    if more.paths {
        let read = from.codecommit.changed_paths(repository, found.now.base.as_ref(), commit).await?;
        facts.paths = read.map(|paths| Paths { paths, left_out: 0 });
    }
    if more.conflicts
        && let Some(target) = facts.here().map(|here| here.destination_commit.clone())
    {
        let merges = from.codecommit.merges(repository, commit, &target).await?;
        facts.conflicts = Some(merges == Merges::WithConflicts);
    }
    for check in more.projects {
        let there = match from.codebuild.buildspec(&check.project).await {
            Ok(Some(_)) => Project::There,
            Ok(None) => Project::Missing,
            // Whether it is there is a courtesy: without leave to ask, the check just waits.
            Err(Failure::Refused(problem)) => {
                let why = Failure::Refused(problem).chain();
                if let Some(known) = facts.checks.get_mut(&check.name) {
                    known.unreadable = Some(why.clone());
                }
                tracing::warn!(project = check.project.as_str(), why, "the project cannot be looked for");
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if let Some(known) = facts.checks.get_mut(&check.name) {
            known.project = there;
        }
    }
    Ok(())
}
