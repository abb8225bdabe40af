//! What an event starts, what it does not, and why; of pushes here, of pull requests in `decide_review`.

use std::collections::BTreeMap;

use signalbox_events::RepositoryName;
use signalbox_policy::{PathFilter, Policy, SkipCi, Trigger};

use crate::action::StartBuild;
use crate::decide_review::decide_review;
use crate::decision::{Because, Decision, Idle, Reason, Verdict};
use crate::facts::{Facts, SweepFacts, TriggerFacts};
use crate::journal::Origin;
use crate::needs::{concerned, not_yet};
use crate::start::{For, conclude, start_build, supersedes};
use crate::sweep::sections;

/// What a commit message may say so that nothing is built, in any case of letters.
pub const SKIP_MARKERS: &[&str] = &["[skip ci]", "[ci skip]", "[no ci]"];

/// Decides what an event starts. Total: whatever the facts are, there is a decision with a reason.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut decision =
        Decision { verdict: Verdict::NotConcerned, mode: policy.mode, reasons: Vec::new(), actions: Vec::new() };
    if let Some(review) = &facts.review {
        decide_review(facts, review, policy, &mut decision);
        return decision;
    }
    let Some(push) = &facts.push else {
        match &facts.sweep {
            Some(sweep) => decide_sweep(sweep, policy, &mut decision),
            None => decision.reasons.push(Reason::NotAPush),
        }
        return decision;
    };
    let triggers = concerned(push, policy);
    if triggers.is_empty() {
        let (repository, reference) = (push.repository.clone(), push.reference.clone());
        decision.reasons.push(Reason::NoTrigger { repository, reference });
        return decision;
    }
    decision.verdict = Verdict::Nothing;
    if facts.origin == Origin::Sweep {
        decision.reasons.push(Reason::Missed { push: push.clone() });
    }
    let what = For { push, review: None };
    let first_matches = first_matching_paths(facts, policy, (&push.repository, PathFilter::Push), &triggers);
    for trigger in triggers {
        let name = trigger.name.to_string();
        if let Some(idle) = not_yet(trigger) {
            decision.reasons.push(Reason::Idle { trigger: name, idle });
            continue;
        }
        let Some(known) = facts.triggers.get(&name) else {
            decision.reasons.push(Reason::Idle { trigger: name, idle: Idle::FactsMissing });
            continue;
        };
        let came = start_or_idle(what, trigger, known, facts, first_matches.get(name.as_str()).copied());
        conclude(what, trigger, known, came, &mut decision);
    }
    decision
}

/// A sweep decides nothing but what to say: each push that it found is decided like any other.
fn decide_sweep(sweep: &SweepFacts, policy: &Policy, decision: &mut Decision) {
    let repositories = sections(policy);
    if repositories.is_empty() {
        decision.reasons.push(Reason::NothingToSweep);
        return;
    }
    if let Some(began) = sweep.answered {
        decision.verdict = Verdict::Nothing;
        decision.reasons.push(Reason::SweptSince { began });
        return;
    }
    let is_quiet = sweep.moved.is_empty() && sweep.reviews.is_empty();
    decision.verdict = if is_quiet { Verdict::Nothing } else { Verdict::Found };
    decision.reasons.push(Reason::Sweeps { repositories });
    decision.reasons.extend(sweep.moved.iter().map(|moved| Reason::Missed { push: moved.push() }));
    decision.reasons.extend(sweep.reviews.iter().cloned().map(Reason::MissedReview));
    decision.reasons.extend(sweep.anew.iter().cloned().map(Reason::BeginsAnew));
    decision.reasons.extend(sweep.not_swept.iter().cloned().map(Reason::NotSwept));
}

fn start_or_idle(
    what: For<'_>,
    trigger: &Trigger,
    known: &TriggerFacts,
    facts: &Facts,
    first_match: Option<&str>,
) -> Result<(StartBuild, Because), Idle> {
    if let Some(what) = &known.unreadable {
        return Err(Idle::Unreadable { what: what.clone() });
    }
    let push = what.push;
    let commit = known.target.as_ref().ok_or(Idle::RefGone)?;
    let head = known.head.as_ref().ok_or_else(|| Idle::CommitGone { commit: commit.clone() })?;
    if trigger.skip_ci == SkipCi::Honour
        && let Some(marker) = skip_marker(&head.message)
    {
        return Err(Idle::SkipCi { marker: marker.to_owned() });
    }
    if trigger.authors.as_ref().is_some_and(|authors| !authors.matches(&head.author_email)) {
        return Err(Idle::OtherAuthor { author_email: head.author_email.clone() });
    }
    let state = known.state.settle(&known.settled);
    let past = state.newest_of(commit, &push.reference);
    match past {
        Some(past) if facts.again.is_some() && past.again == facts.again => {
            return Err(Idle::StartedAgain { build: past.build.clone() });
        }
        // What ended is run once more however it ended; what still runs tells soon enough.
        Some(past) if past.status.is_success() && facts.again.is_some() => {}
        Some(past) if past.status.is_success() => return Err(Idle::Green { build: past.build.clone() }),
        Some(past) if !past.status.is_terminal() => return Err(Idle::Running { build: past.build.clone() }),
        Some(past) if past.answers(facts, supersedes(push, trigger)) => {
            return Err(Idle::Answered { build: past.build.clone() });
        }
        _ => {}
    }
    let because = paths_match(known, facts, trigger.paths(PathFilter::Push).is_some(), first_match)?;
    let because = because.unwrap_or(Because::Pushed);
    let attempt = past.map_or(1, |past| past.attempt.saturating_add(1));
    let start = start_build(what, trigger, facts, (commit, attempt));
    Ok((start.ok_or(Idle::FactsMissing)?, because))
}

/// What its path filter says of a trigger: a path that matches, nothing where it has none, or why it starts nothing.
pub(crate) fn paths_match(
    known: &TriggerFacts,
    facts: &Facts,
    is_filtered: bool,
    first_match: Option<&str>,
) -> Result<Option<Because>, Idle> {
    let Some(difference) = known.difference.and_then(|index| facts.differences.get(index)) else {
        return if is_filtered { Err(Idle::FilesUnknown) } else { Ok(None) };
    };
    let (base, changed) = (difference.base.clone(), difference.paths.len() + difference.left_out);
    match first_match {
        Some(path) => Ok(Some(Because::PathMatches { path: path.to_owned(), changed, base })),
        None if difference.left_out > 0 => Err(Idle::FilesUnknown),
        None => Err(Idle::NoPathMatches { changed, example: difference.paths.first().cloned(), base }),
    }
}

/// The words of a commit message that ask for no build.
/// What of [`SKIP_MARKERS`] a message says.
pub fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    SKIP_MARKERS.iter().find(|marker| message.contains(*marker)).copied()
}

/// The first changed path that each trigger's filter lets through, under the trigger's name.
///
/// All filters of a section that look at the same difference go over its paths together, in one pass of one compiled set.
pub(crate) fn first_matching_paths<'f>(
    facts: &'f Facts,
    policy: &Policy,
    (repository, filter): (&RepositoryName, PathFilter),
    triggers: &[&Trigger],
) -> BTreeMap<String, &'f str> {
    let concerned: BTreeMap<&str, &Trigger> =
        triggers.iter().map(|trigger| (trigger.name.as_str(), *trigger)).collect();
    let mut found = BTreeMap::new();
    for (index, difference) in facts.differences.iter().enumerate() {
        let asked = |trigger: &Trigger| {
            let name = trigger.name.as_str();
            // A trigger of that name may stand in several sections: one of them holds.
            concerned.get(name).is_some_and(|holds| std::ptr::eq(*holds, trigger))
                && facts.triggers.get(name).is_some_and(|known| known.difference == Some(index))
        };
        for section in policy.sections_for(repository) {
            let paths = difference.paths.iter().map(String::as_str);
            for (trigger, first) in section.first_paths(filter, asked, paths) {
                if let Some(path) = first.and_then(|first| difference.paths.get(first)) {
                    found.insert(trigger.name.to_string(), path.as_str());
                }
            }
        }
    }
    found
}
