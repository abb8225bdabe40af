//! What a pull request starts, and what a comment on one does.

use std::collections::BTreeSet;

use signalbox_events::{BuildStatus, BuildspecOf, CommitId, PullRequestStart, PullRequestState};
use signalbox_policy::{EnvironmentValue, PathFilter, Policy, PullRequestCommit, SkipCi, Trigger};

use crate::action::StartBuild;
use crate::decide::{first_matching_paths, paths_match, skip_marker};
use crate::decision::{Because, Decision, Idle, Reason, Verdict};
use crate::facts::{Facts, Push, TriggerFacts};
use crate::journal::Origin;
use crate::needs::not_yet;
use crate::reply::{Line, reply};
use crate::review::{Looked, Meets, PullRequest, Review, TargetBuildspec, What, Writer};
use crate::review_needs::{of_merge_results, wants_target_buildspec, what_is_built};
use crate::review_sweep::FoundReview;
use crate::start::{For, conclude, start_build};
use crate::state::PastStart;
use crate::wishes::{builds_merge_results, hears_comments, startable, taking, wishes};

/// Why a trigger of a pull request is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call<'a> {
    /// The pull request has a new revision.
    Revised,
    /// The target branch has moved since its merge result was built.
    Stale,
    /// Somebody wants it by this command.
    Asked(&'a str),
    /// Somebody wants by this command what has failed.
    Retested(&'a str),
}

/// An open pull request, and everything that is looked at with it.
#[derive(Clone, Copy)]
struct Case<'a> {
    facts: &'a Facts,
    review: &'a Review,
    open: &'a PullRequest,
    push: &'a Push,
}

pub(crate) fn decide_review(facts: &Facts, review: &Review, policy: &Policy, decision: &mut Decision) {
    if let Err(reason) = concerns(review, policy) {
        decision.reasons.push(reason);
        return;
    }
    decision.verdict = Verdict::Nothing;
    let pull_request = review.subject.pull_request.clone();
    let open = match &review.pull_request {
        Looked::There(there) if there.state == PullRequestState::Open => &**there,
        Looked::There(there) => {
            decision.reasons.push(Reason::ReviewEnded { pull_request, state: there.state });
            return;
        }
        Looked::Gone => {
            decision.reasons.push(Reason::ReviewGone { pull_request });
            return;
        }
        Looked::NotYet => {
            unseen(review, policy, decision);
            return;
        }
    };
    if facts.origin == Origin::Sweep {
        let found = FoundReview::new(&review.subject.repository, &pull_request, open);
        decision.reasons.push(Reason::MissedReview(found));
    }
    let push = open.as_push(&review.subject.repository);
    let case = Case { facts, review, open, push: &push };
    match &review.subject.what {
        What::Revised { .. } => revised(case, policy, decision),
        What::Commented { .. } => commented(case, policy, decision),
        What::Stale => {
            for trigger in of_merge_results(&review.subject, &open.into, policy) {
                consider(case, trigger, Call::Stale, None, decision);
            }
        }
    }
}

/// What can be said of a pull request that nobody has looked at, be it for want of a trigger that this version can start.
fn unseen(review: &Review, policy: &Policy, decision: &mut Decision) {
    let triggers = match &review.subject.what {
        What::Revised { into, .. } => taking(&review.subject.repository, into, policy),
        What::Commented { .. } | What::Stale => Vec::new(),
    };
    let never = triggers.iter().map(|trigger| Some((trigger.name.to_string(), not_yet(trigger)?)));
    match never.collect::<Option<Vec<_>>>() {
        Some(never) if !never.is_empty() => {
            decision.reasons.extend(never.into_iter().map(|(trigger, idle)| Reason::Idle { trigger, idle }));
        }
        _ => decision.reasons.push(Reason::ReviewUnseen { pull_request: review.subject.pull_request.clone() }),
    }
}

/// Whether the event may start anything at all, as far as it can be told without looking at the pull request.
fn concerns(review: &Review, policy: &Policy) -> Result<(), Reason> {
    let repository = &review.subject.repository;
    match &review.subject.what {
        What::Revised { into, .. } if taking(repository, into, policy).is_empty() => {
            Err(Reason::NoTriggerInto { repository: repository.clone(), into: into.clone() })
        }
        What::Revised { .. } => Ok(()),
        What::Stale if !builds_merge_results(repository, policy) => {
            Err(Reason::NoReviewTrigger { repository: repository.clone() })
        }
        What::Stale => Ok(()),
        What::Commented { .. } if review.writer == Writer::Ourselves => Err(Reason::OwnComment),
        What::Commented { .. } if !hears_comments(repository, policy) => {
            Err(Reason::NoReviewTrigger { repository: repository.clone() })
        }
        What::Commented { .. } => match &review.commands {
            None => Err(Reason::CommentUnread),
            Some(commands) => {
                let own = |trigger: &Trigger| trigger.on.comment.as_ref().map(ToString::to_string);
                let own: Vec<String> = policy.triggers_for(repository).into_iter().filter_map(own).collect();
                let is_command = |command: &String| {
                    let first = command.split(' ').next();
                    matches!(first, Some("/test" | "/retest"))
                        || own.iter().any(|own| own.split_whitespace().eq(command.split_whitespace()))
                };
                if commands.iter().any(is_command) { Ok(()) } else { Err(Reason::NoCommand) }
            }
        },
    }
}

fn revised(case: Case<'_>, policy: &Policy, decision: &mut Decision) {
    let triggers = taking(&case.push.repository, &case.open.into, policy);
    let place = (&case.push.repository, PathFilter::PullRequest);
    let first_matches = first_matching_paths(case.facts, policy, place, &triggers);
    for trigger in triggers {
        let first_match = first_matches.get(trigger.name.as_str()).copied();
        consider(case, trigger, Call::Revised, first_match, decision);
    }
}

fn commented(case: Case<'_>, policy: &Policy, decision: &mut Decision) {
    let Some(commands) = &case.review.commands else { return };
    let (repository, into) = (&case.push.repository, &case.open.into);
    let wishes = wishes(commands, repository, into, policy);
    let mut lines = Vec::new();
    let mut named = BTreeSet::new();
    for (trigger, command) in &wishes.starts {
        named.insert(trigger.name.clone());
        if let Some(idle) = consider(case, trigger, Call::Asked(command), None, decision) {
            lines.extend(Line::of_idle(trigger, &idle));
        }
    }
    if let Some(command) = wishes.retest {
        let mut is_any = false;
        for trigger in startable(repository, into, policy) {
            if named.contains(&trigger.name) {
                continue;
            }
            match consider(case, trigger, Call::Retested(command), None, decision) {
                Some(Idle::NotFailed) => {}
                Some(idle) => {
                    is_any = true;
                    lines.extend(Line::of_idle(trigger, &idle));
                }
                None => is_any = true,
            }
        }
        if !is_any {
            let commit = case.open.source_commit.clone();
            decision.reasons.push(Reason::NothingFailed { commit: commit.clone() });
            lines.push(Line::NothingFailed(commit));
        }
    }
    for unknown in wishes.unknown {
        decision.reasons.push(Reason::UnknownTrigger { name: unknown.name.clone() });
        lines.push(Line::Unknown(unknown));
    }
    if let Some(command) = wishes.help {
        decision.reasons.push(Reason::AsksForHelp { command: command.to_owned() });
        lines.push(Line::Help(startable(repository, into, policy)));
    }
    if let Some(answer) = reply(&case.review.subject, &lines) {
        if decision.verdict == Verdict::Nothing {
            decision.verdict = Verdict::Answer;
        }
        decision.actions.push(answer);
    }
}

/// Looks at one trigger; gives why it starts nothing, if so.
fn consider(
    case: Case<'_>,
    trigger: &Trigger,
    call: Call<'_>,
    first_match: Option<&str>,
    decision: &mut Decision,
) -> Option<Idle> {
    let name = trigger.name.to_string();
    let mut idle = |idle: Idle| {
        decision.reasons.push(Reason::Idle { trigger: name.clone(), idle: idle.clone() });
        Some(idle)
    };
    if let Some(never) = not_yet(trigger) {
        return idle(never);
    }
    let Some(known) = case.facts.triggers.get(trigger.name.as_str()) else { return idle(Idle::FactsMissing) };
    let came = start_or_idle(case, trigger, known, call, first_match);
    let why = came.as_ref().err().cloned();
    let what = For { push: case.push, review: Some((case.review, case.open)) };
    conclude(what, trigger, known, came, decision);
    why
}

fn start_or_idle(
    case: Case<'_>,
    trigger: &Trigger,
    known: &TriggerFacts,
    call: Call<'_>,
    first_match: Option<&str>,
) -> Result<(StartBuild, Because), Idle> {
    if let Some(what) = &known.unreadable {
        return Err(Idle::Unreadable { what: what.clone() });
    }
    let commit = known.target.as_ref().ok_or(Idle::RefGone)?;
    let head = known.head.as_ref().ok_or_else(|| Idle::CommitGone { commit: commit.clone() })?;
    // Whoever asks for a build wants it, whatever the author of the commit thought of the next push.
    if call == Call::Revised
        && trigger.skip_ci == SkipCi::Honour
        && let Some(marker) = skip_marker(&head.message)
    {
        return Err(Idle::SkipCi { marker: marker.to_owned() });
    }
    if trigger.authors.as_ref().is_some_and(|authors| !authors.matches(&head.author_email)) {
        return Err(Idle::OtherAuthor { author_email: head.author_email.clone() });
    }
    let state = known.state.settle(&known.settled);
    let past = state.newest_of(commit, &case.push.reference);
    let merge = merge(case, trigger)?;
    has_a_build(case, call, past, merge.as_ref())?;
    let is_filtered = call == Call::Revised && trigger.paths(PathFilter::PullRequest).is_some();
    let because = match (call, &case.review.subject.by) {
        (Call::Revised, _) => paths_match(known, case.facts, is_filtered, first_match)?,
        (Call::Stale, _) => Some(Because::TargetMoved { into: case.open.into.clone(), to: merge.clone() }),
        (Call::Asked(command) | Call::Retested(command), by) => {
            Some(Because::Asked { command: command.to_owned(), by: by.clone() })
        }
    };
    let because = because.unwrap_or_else(|| Because::Revised {
        pull_request: case.review.subject.pull_request.clone(),
        into: case.open.into.clone(),
    });
    let buildspec = buildspec(case, trigger, known)?;
    let attempt = past.map_or(1, |past| past.attempt.saturating_add(1));
    let start = review_start(case, trigger, call, (commit, attempt), merge, buildspec);
    Ok((start.ok_or(Idle::FactsMissing)?, because))
}

/// Whether the commit has the build already that is wanted.
fn has_a_build(case: Case<'_>, call: Call<'_>, past: Option<&PastStart>, merge: Option<&CommitId>) -> Result<(), Idle> {
    let Some(past) = past else {
        return match call {
            Call::Retested(_) => Err(Idle::NotFailed),
            // Its own event, or the sweep, has it built for the first time.
            Call::Stale => Err(Idle::NotStale),
            Call::Revised | Call::Asked(_) => Ok(()),
        };
    };
    let (facts, build) = (case.facts, past.build.clone());
    if facts.again.is_some() && past.again == facts.again {
        return Err(Idle::StartedAgain { build });
    }
    let is_first_time = facts.again.is_none();
    let is_ours = is_first_time && past.id.is_some() && past.id == facts.id;
    // A build of this very revision is the answer to whatever tells of it; one that was stopped answers nobody else.
    let is_answer = is_ours
        || is_first_time && past.status != BuildStatus::Stopped && past.revision.as_ref() == Some(&case.open.revision);
    match call {
        // One that merges what the branch has left behind says nothing any more, whether it still runs or not.
        Call::Stale if past.merge.as_ref() != merge => Ok(()),
        Call::Stale if past.status.is_success() => Err(Idle::Green { build }),
        Call::Stale if past.status.is_terminal() => Err(Idle::Answered { build }),
        _ if !past.status.is_terminal() => Err(Idle::Running { build }),
        Call::Asked(_) | Call::Retested(_) if is_ours => Err(Idle::StartedAgain { build }),
        Call::Retested(_) if past.status.is_success() => Err(Idle::NotFailed),
        Call::Asked(_) | Call::Retested(_) => Ok(()),
        // What passed with another commit of the target branch has not passed with this one.
        Call::Revised if past.status.is_success() && is_first_time && (is_answer || past.merge.as_ref() == merge) => {
            Err(Idle::Green { build })
        }
        Call::Revised if is_answer => Err(Idle::Answered { build }),
        Call::Revised | Call::Stale => Ok(()),
    }
}

/// The commit that the build merges first; `None` where it builds the source as it is.
fn merge(case: Case<'_>, trigger: &Trigger) -> Result<Option<CommitId>, Idle> {
    if what_is_built(trigger) == PullRequestCommit::Source {
        return Ok(None);
    }
    let into = case.open.into.clone();
    let merge = case.review.merge.as_ref().ok_or(Idle::MergeUnknown)?;
    let Some(with) = merge.with.clone() else { return Err(Idle::TargetGone { into }) };
    match &merge.meets {
        Meets::Conflicts => Err(Idle::MergeConflict { into, with }),
        Meets::Nothing | Meets::Untold { .. } => Ok(Some(with)),
    }
}

/// Whose buildspec is run, and the text of it where it is handed over.
fn buildspec(case: Case<'_>, trigger: &Trigger, known: &TriggerFacts) -> Result<(BuildspecOf, Option<String>), Idle> {
    if !wants_target_buildspec(trigger) {
        return Ok((BuildspecOf::Source, None));
    }
    let into = case.open.into.clone();
    match known.buildspec.clone() {
        None => Err(Idle::BuildspecUnknown),
        Some(TargetBuildspec::NoProject) => Err(Idle::NoProject),
        Some(TargetBuildspec::InProject) => Ok((BuildspecOf::Project, None)),
        Some(TargetBuildspec::Missing { path }) => Err(Idle::NoBuildspec { path, into }),
        Some(TargetBuildspec::Unusable { path, bytes }) => Err(Idle::BuildspecUnusable { path, bytes }),
        Some(TargetBuildspec::File { path, commit, text }) => Ok((BuildspecOf::Target { commit, path }, Some(text))),
    }
}

/// The build of a pull request.
///
/// Its variables hold names and ids, and nothing that somebody wrote as free text: no title, no description, no comment.
fn review_start(
    case: Case<'_>,
    trigger: &Trigger,
    call: Call<'_>,
    (commit, attempt): (&CommitId, u32),
    merge: Option<CommitId>,
    (buildspec, text): (BuildspecOf, Option<String>),
) -> Option<StartBuild> {
    let Case { facts, review, open, push } = case;
    let what = For { push, review: Some((review, open)) };
    let start = start_build(what, trigger, facts, (commit, attempt))?;
    let own = [
        ("SIGNALBOX_PULL_REQUEST", Some(review.subject.pull_request.to_string())),
        ("SIGNALBOX_REVISION", Some(open.revision.to_string())),
        ("SIGNALBOX_INTO", Some(open.into.to_string())),
        ("SIGNALBOX_BASE", open.base.as_ref().map(ToString::to_string)),
        ("SIGNALBOX_MERGE", merge.as_ref().map(ToString::to_string)),
    ];
    let mut environment = start.environment;
    environment
        .extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), EnvironmentValue::Text(value?)))));
    let is_news = call == Call::Revised && review.is_current() && facts.origin == Origin::Event;
    let asked = review.subject.by.clone().filter(|_| call != Call::Revised);
    Some(StartBuild {
        environment,
        buildspec: text.or(start.buildspec),
        pusher: review.subject.by.clone().filter(|_| is_news),
        pushed: facts.pushed_at.filter(|_| is_news),
        pull_request: Some(Box::new(PullRequestStart {
            id: review.subject.pull_request.clone(),
            revision: open.revision.clone(),
            into: open.into.clone(),
            base: open.base.clone(),
            author: open.author.clone(),
            title: open.title.clone(),
            asked,
            merge,
            buildspec,
        })),
        ..start
    })
}
