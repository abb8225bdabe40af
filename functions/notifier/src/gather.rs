//! Reads what the decision wants: the build, why it ran, what was built before, and what mail quotes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use signalbox_aws::{Build, Commit, Failure};
use signalbox_events::{BuildId, BuildStart, CommitId, Detail, Event, RepositoryName};
use signalbox_notifier_rules::{
    BuildFacts, CommitFacts, Commits, CommitsWanted, Console, CopyTold, Facts, Forebear, ForebearsWanted, History,
    Known, LogWanted, Needs, Origin, Rest, Search, log_lines, needs_forebears, needs_more, plain_phases,
    start_record_may_still_come,
};
use signalbox_policy::Policy;

use crate::{Notifier, Surroundings};

/// Everything that the decision wants. The policy is only handed through to the rules that say what else is needed.
pub(crate) async fn gather(
    function: &Notifier,
    event: &Event,
    needs: &Needs,
    policy: &Policy,
    now: Timestamp,
) -> Result<Facts, Failure> {
    let mut facts = Facts::before_gathering(event);
    if let Some(key) = &needs.copy {
        facts.copy = function.state.read::<CopyTold>(key).await?.map(|kept| kept.value);
    }
    if matches!(event.detail, Detail::ReplicaState(_) | Detail::ProtectionState(_)) {
        let about = event.envelope.resources.first().filter(|_| function.surroundings == Surroundings::Aws);
        facts.console = about.and_then(|arn| Console::of(arn, &event.envelope.region, &event.envelope.account));
    }
    let Some(build) = &needs.build else { return Ok(facts) };

    let there = function.codebuild.builds(std::slice::from_ref(build)).await?.into_iter().next();
    let environment = there.as_ref().map(|there| there.environment.clone()).unwrap_or_default();
    if let (Some(known), Some(there)) = (facts.build.as_mut(), there) {
        learn(known, there);
    }
    let ended = facts.build.as_ref().and_then(|known| known.end);
    facts.origin = gather_origin(function, build, &environment, ended, now).await?;
    if let Some(key) = facts.history_key() {
        facts.history = function.state.read::<History>(&key).await?.map(|kept| kept.value).unwrap_or_default();
    }
    if function.surroundings == Surroundings::Aws {
        let envelope = &event.envelope;
        facts.console = match &event.detail {
            Detail::BuildState(change) => Console::of(&change.build_arn, &envelope.region, &envelope.account),
            _ => None,
        };
    }
    if let Some(wanted) = needs_forebears(&facts) {
        facts.forebears = gather_forebears(function, wanted).await?;
    }
    let more = needs_more(&facts, policy);
    if let Some(wanted) = more.log {
        facts.log = gather_log(function, &wanted).await?;
    }
    if let Some(wanted) = more.commits {
        facts.commits = gather_commits(function, &wanted).await?;
    }
    Ok(facts)
}

/// Puts what `CodeBuild` says over what the event said; an answer that lags behind does not undo the event's end.
fn learn(known: &mut BuildFacts, there: Build) {
    known.known = Known::FromCodeBuild;
    if there.status.is_terminal() {
        known.status = there.status;
    }
    known.number = there.number.or(known.number);
    known.start = there.start.or(known.start);
    known.end = there.end.or(known.end);
    if !there.phases.is_empty() {
        known.phases = plain_phases(there.phases);
    }
    known.logs = there.logs.or_else(|| known.logs.take());
    let source = there.source_location.as_deref().and_then(RepositoryName::from_clone_url);
    known.repository = source.or_else(|| known.repository.take());
    known.source_version = there.source_version.or_else(|| known.source_version.take());
    known.resolved_version = there.resolved_version;
    known.initiator = there.initiator.or_else(|| known.initiator.take());
}

async fn gather_origin(
    function: &Notifier,
    build: &BuildId,
    environment: &BTreeMap<String, String>,
    ended: Option<Timestamp>,
    now: Timestamp,
) -> Result<Origin, Failure> {
    let key = BuildStart::key(build);
    if let Some(record) = function.state.read::<BuildStart>(&key).await? {
        return Ok(Origin::Recorded(record.value));
    }
    let origin = Origin::of_environment(environment);
    if origin != Origin::Other && start_record_may_still_come(ended, now) {
        return Err(Failure::retry(
            format!("reading {key}"),
            "the trigger has not recorded the start of this build yet",
        ));
    }
    Ok(origin)
}

/// Mail without a log is better than none: a log that may not be read is left out, and the report's facts show it.
async fn gather_log(function: &Notifier, wanted: &LogWanted) -> Result<Option<Vec<String>>, Failure> {
    match function.logs.tail(&wanted.group, &wanted.stream, wanted.lines).await {
        Ok(lines) => Ok(lines.map(|lines| log_lines(&lines))),
        Err(Failure::Refused(problem)) => {
            tracing::warn!(why = Failure::Refused(problem).chain(), "the log cannot be quoted");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Commits along first parents. One that is gone, or a repository that may not be read, ends the list early.
async fn gather_commits(function: &Notifier, wanted: &CommitsWanted) -> Result<Commits, Failure> {
    let mut commits = Commits { listed: Vec::new(), rest: Rest::NotRead };
    let mut next = wanted.from.clone();
    while commits.listed.len() < wanted.most {
        let Some(commit) = commit_or_none(function, &wanted.repository, &next).await? else { break };
        commits.listed.push(CommitFacts::new(next, &commit.message, &commit.author.name));
        let Some(until) = &wanted.until else { break };
        match commit.parents.into_iter().next() {
            Some(parent) if parent != *until && wanted.from != *until => {
                commits.rest = Rest::More;
                next = parent;
            }
            _ => {
                commits.rest = Rest::Complete;
                break;
            }
        }
    }
    Ok(commits)
}

/// Which of the pairs are what they may be. A commit that is gone ends its history.
async fn gather_forebears(function: &Notifier, wanted: ForebearsWanted) -> Result<Vec<Forebear>, Failure> {
    let mut search = Search::new(wanted.pairs, wanted.most);
    while let Some(id) = search.wanted() {
        let commit = commit_or_none(function, &wanted.repository, &id).await?;
        search.learn(id, commit.map(|commit| commit.parents).unwrap_or_default());
    }
    Ok(search.found())
}

/// A commit; `None` for one that is gone, and in a repository that may not be read.
async fn commit_or_none(
    function: &Notifier,
    repository: &RepositoryName,
    id: &CommitId,
) -> Result<Option<Commit>, Failure> {
    match function.codecommit.commit(repository, id).await {
        Err(Failure::Refused(problem)) => {
            tracing::warn!(why = Failure::Refused(problem).chain(), "the commits cannot be listed");
            Ok(None)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use signalbox_events::{BuildStatus, Parsed, ProjectName, parse_event};

    use super::*;

    #[test]
    fn an_answer_that_lags_behind_does_not_undo_the_events_end() {
        let bytes = include_bytes!("../../../events/codebuild-build-failed.json");
        let Ok(Parsed::Ours(event)) = parse_event(bytes) else { panic!("the sample is one of ours") };
        let mut known = Facts::before_gathering(&event).build.unwrap();
        let phases = known.phases.clone();
        let there = lagging(&known);
        learn(&mut known, there);
        assert_eq!((known.status, known.number), (BuildStatus::Failed, Some(17)));
        assert_eq!(known.phases, phases);
        assert!(known.logs.is_some() && known.repository.is_some() && known.end.is_some());
    }

    fn lagging(known: &BuildFacts) -> Build {
        Build {
            id: known.build.clone(),
            project: ProjectName::parse("payments-unit").unwrap(),
            status: BuildStatus::InProgress,
            number: None,
            start: None,
            end: None,
            phases: Vec::new(),
            logs: None,
            source_location: None,
            source_version: None,
            resolved_version: None,
            initiator: None,
            environment: BTreeMap::new(),
        }
    }

    #[test]
    fn what_codebuild_says_of_a_phase_is_kept_without_its_secrets() {
        let bytes = include_bytes!("../../../events/codebuild-build-failed.json");
        let Ok(Parsed::Ours(event)) = parse_event(bytes) else { panic!("the sample is one of ours") };
        let mut known = Facts::before_gathering(&event).build.unwrap();
        let mut there = lagging(&known);
        there.phases = known.phases.clone();
        for phase in &mut there.phases {
            phase.context = vec!["COMMAND_EXECUTION_ERROR: Error while executing command: tool --password hunter2. Reason: exit status 1".to_owned()];
        }
        learn(&mut known, there);
        let kept = serde_json::to_string(&known).unwrap();
        assert!(!kept.contains("hunter2") && kept.contains("[removed]. Reason: exit status 1"), "{kept}");
    }
}
