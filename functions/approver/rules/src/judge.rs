//! What of all that is asked is met: the tree that comment, report and `explain` show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, BuildId, BuildStatus, CheckRecord, CommitId, ProjectName, RefName, ReviewRecord};
use signalbox_policy::{Policy, Protection, PullRequestFilter, Reviewers, SkipCi, Start, StartBuild, Trigger};
use signalbox_trigger_rules::skip_marker;

use crate::asked::{Asked, Check, called, is_among, known_as};
use crate::facts::{BuildFacts, CheckFacts, Facts, Head, Occasion, Project, PullRequestFacts, Void};
use crate::memory::Filtered;

/// One thing that is asked, and whether it is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What is asked.
    pub what: What,
    /// Whether it is met.
    pub met: Met,
    /// Why.
    pub why: Why,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A check that must be green.
    Check(String),
    /// Approvals of people.
    Reviewers {
        /// How many.
        count: u32,
        /// Of whom; empty for everybody.
        from: Vec<String>,
    },
}

/// Whether something is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// It is.
    Met,
    /// It may come to be by itself.
    Waiting,
    /// Somebody must do something.
    Missing,
}

/// Why something is met, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The build passed.
    Passed(BuildId),
    /// The build runs.
    Runs(BuildId),
    /// The build ended otherwise.
    Failed {
        /// The build.
        build: BuildId,
        /// How.
        status: BuildStatus,
    },
    /// The newest build proves nothing.
    Void {
        /// The build.
        build: BuildId,
        /// Why.
        void: Void,
    },
    /// The trigger has started none for these commits yet.
    NoBuild(CommitId),
    /// None of the changed files matches the trigger's paths.
    NoPathMatches {
        /// How many files the pull request changes.
        changed: usize,
    },
    /// The trigger does not start for commits of this author.
    OtherAuthor {
        /// The author's address.
        email: String,
    },
    /// The commit asks not to be built.
    SkipCi {
        /// By these words.
        marker: String,
    },
    /// There is no such project.
    NoProject(ProjectName),
    /// The trigger starts for no pull request at all.
    NoPullRequests,
    /// The trigger starts for none into this branch.
    OtherBranches(RefName),
    /// Neither a trigger nor a protection of this repository is called so.
    NoSuchCheck,
    /// The protector has not looked at these commits yet.
    NotJudged(CommitId),
    /// The protection has no rules for commits and files.
    NoRules,
    /// The rules found nothing wrong.
    RulesHold {
        /// In so many commits.
        commits: usize,
    },
    /// The rules found something.
    RulesBroken {
        /// What is wrong and how to mend it, a sentence each.
        findings: Vec<String>,
        /// How many more there are.
        left_out: usize,
    },
    /// The trigger asks people first, or starts something else than a build.
    NotYet,
    /// Nothing of it can be read.
    Unreadable(String),
    /// Nobody has looked.
    NotKnown,
    /// These approved.
    Approved(Vec<String>),
}

/// Judges everything that is asked, in the order of the policy.
pub(crate) fn judge(asked: &Asked<'_>, here: &PullRequestFacts, facts: &Facts, policy: &Policy) -> Vec<Item> {
    let checks = asked.checks.iter().map(|check| {
        let (met, why) = judge_check(check, here, facts);
        Item { what: What::Check(check.name.to_string()), met, why }
    });
    let reviewers = asked.reviewers.iter().map(|wanted| judge_reviewers(wanted, here, facts, policy));
    checks.chain(reviewers).collect()
}

fn judge_check(check: &Check<'_>, here: &PullRequestFacts, facts: &Facts) -> (Met, Why) {
    let missing = |why| (Met::Missing, why);
    if let Some(protection) = check.protection {
        return judge_protection(check, protection, here, facts);
    }
    let (trigger, filter, build) = match startable(check, &here.destination) {
        Ok(found) => found,
        Err(why) => return missing(why),
    };
    let Some(known) = facts.checks.get(check.name.as_str()) else { return (Met::Waiting, Why::NotKnown) };
    if let Some(what) = &known.unreadable {
        return missing(Why::Unreadable(what.clone()));
    }
    if let Some(newest) = newest(known) {
        return of_build(newest);
    }
    if let Some(why) = does_not_apply(trigger, filter, here, facts) {
        let met = if matches!(why, Why::SkipCi { .. }) { Met::Missing } else { Met::Met };
        return (met, why);
    }
    if needs_commits(trigger, filter) && missing_facts(trigger, filter, here, facts).is_some() {
        return (Met::Waiting, Why::NotKnown);
    }
    match known.project {
        Project::Missing => missing(Why::NoProject(build.project.clone())),
        Project::There | Project::NotRead => (Met::Waiting, Why::NoBuild(here.source_commit.clone())),
    }
}

/// What the protector found in these commits by these rules.
fn judge_protection(check: &Check<'_>, protection: &Protection, here: &PullRequestFacts, facts: &Facts) -> (Met, Why) {
    if !protection.has_range_rules() {
        return (Met::Met, Why::NoRules);
    }
    match found(check, protection, here, facts) {
        None => (Met::Waiting, Why::NotJudged(here.source_commit.clone())),
        Some((_, found)) if !found.findings.is_empty() => {
            (Met::Missing, Why::RulesBroken { findings: found.findings.clone(), left_out: found.left_out })
        }
        Some((record, _)) => (Met::Met, Why::RulesHold { commits: record.commits }),
    }
}

fn found<'a>(
    check: &Check<'_>,
    protection: &Protection,
    here: &PullRequestFacts,
    facts: &'a Facts,
) -> Option<(&'a ReviewRecord, &'a CheckRecord)> {
    let record = facts.review.as_ref()?;
    let found = record.of(check.name.as_str(), &protection.range_rules(), &here.source_commit, here.from())?;
    Some((record, found))
}

/// What the protector is to judge: the rules that have not been held against these commits, as one text; `None` where all were.
///
/// What could not be read is worth another look when the clock asks for it.
pub(crate) fn unjudged(asked: &Asked<'_>, here: &PullRequestFacts, facts: &Facts) -> Option<String> {
    let rules = asked.checks.iter().filter_map(|check| {
        let protection = check.protection.filter(|protection| protection.has_range_rules())?;
        let found = found(check, protection, here, facts);
        let is_known = found.is_some_and(|(_, found)| !(found.is_unread && facts.occasion == Occasion::Sweep));
        (!is_known).then(|| protection.range_rules())
    });
    let rules: Vec<String> = rules.collect();
    (!rules.is_empty()).then(|| format!("{} {} {}", here.source_commit, here.from(), rules.join(" ")))
}

/// The trigger of a check with what it starts for pull requests into this branch, or why it never does.
pub(crate) fn startable<'a>(
    check: &Check<'a>,
    into: &RefName,
) -> Result<(&'a Trigger, &'a PullRequestFilter, &'a StartBuild), Why> {
    let trigger = check.trigger.ok_or(Why::NoSuchCheck)?;
    let Start::Build(build) = &trigger.start else { return Err(Why::NotYet) };
    if trigger.ask.is_some() {
        return Err(Why::NotYet);
    }
    let filter = trigger.on.pull_request.as_ref().ok_or(Why::NoPullRequests)?;
    if filter.takes(into) { Ok((trigger, filter, build)) } else { Err(Why::OtherBranches(into.clone())) }
}

/// The try that counts: the newest, however it stands.
pub(crate) fn newest(known: &CheckFacts) -> Option<&BuildFacts> {
    known.builds.iter().max_by_key(|build| build.attempt)
}

fn of_build(newest: &BuildFacts) -> (Met, Why) {
    let build = newest.build.clone();
    if let Some(void) = &newest.void {
        return (Met::Missing, Why::Void { build, void: void.clone() });
    }
    match newest.status {
        BuildStatus::InProgress => (Met::Waiting, Why::Runs(build)),
        status if status.is_success() => (Met::Met, Why::Passed(build)),
        status => (Met::Missing, Why::Failed { build, status }),
    }
}

/// Why a trigger does not start for these commits, as far as is known.
pub(crate) fn does_not_apply(
    trigger: &Trigger,
    filter: &PullRequestFilter,
    here: &PullRequestFacts,
    facts: &Facts,
) -> Option<Why> {
    if let Some(head) = head(here, facts) {
        // A required check that a message could talk away would be none.
        if trigger.skip_ci == SkipCi::Honour
            && let Some(marker) = skip_marker(&head.message)
        {
            return Some(Why::SkipCi { marker: marker.to_owned() });
        }
        if trigger.authors.as_ref().is_some_and(|authors| !authors.matches(&head.author_email)) {
            return Some(Why::OtherAuthor { email: head.author_email.clone() });
        }
    }
    let filtered = filtered(filter, here, facts)?;
    filtered.first.is_none().then_some(Why::NoPathMatches { changed: filtered.changed })
}

/// What the source's tip says, read now or remembered.
pub(crate) fn head<'a>(here: &PullRequestFacts, facts: &'a Facts) -> Option<&'a Head> {
    let remembered = || facts.memory.read_of(&here.source_commit, here.base.as_ref())?.head.as_ref();
    facts.head.as_ref().or_else(remembered)
}

/// What a path filter makes of the changed files, read now or remembered; `None` without a filter, or where nobody read them.
pub(crate) fn filtered(filter: &PullRequestFilter, here: &PullRequestFacts, facts: &Facts) -> Option<Filtered> {
    let globs = filter.paths.as_ref()?;
    let patterns = globs.patterns();
    if let Some(paths) = &facts.paths {
        let first = paths.paths.iter().find(|path| globs.matches(path)).cloned();
        if first.is_none() && paths.left_out > 0 {
            return None;
        }
        let changed = paths.paths.len() + paths.left_out;
        return Some(Filtered { patterns: patterns.to_vec(), first, changed });
    }
    let read = facts.memory.read_of(&here.source_commit, here.base.as_ref())?;
    read.paths.iter().find(|filtered| filtered.patterns == patterns).cloned()
}

/// Whether what the trigger makes of the commits must be known before a missing build says anything.
fn needs_commits(trigger: &Trigger, filter: &PullRequestFilter) -> bool {
    filter.paths.is_some() || trigger.authors.is_some() || trigger.skip_ci == SkipCi::Honour
}

/// What of the commits nobody has read that the trigger looks at.
pub(crate) fn missing_facts(
    trigger: &Trigger,
    filter: &PullRequestFilter,
    here: &PullRequestFacts,
    facts: &Facts,
) -> Option<MissingFacts> {
    let wants_head = trigger.authors.is_some() || trigger.skip_ci == SkipCi::Honour;
    let missing = MissingFacts {
        head: wants_head && head(here, facts).is_none(),
        paths: filter.paths.is_some() && filtered(filter, here, facts).is_none(),
    };
    (missing.head || missing.paths).then_some(missing)
}

/// What nobody has read yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MissingFacts {
    pub(crate) head: bool,
    pub(crate) paths: bool,
}

fn judge_reviewers(wanted: &Reviewers, here: &PullRequestFacts, facts: &Facts, policy: &Policy) -> Item {
    let from = wanted.from.iter().map(ToString::to_string).collect();
    let what = What::Reviewers { count: wanted.count, from };
    let Some(approvals) = &here.approvals else { return Item { what, met: Met::Waiting, why: Why::NotKnown } };
    let author = here.author.as_ref().map(|author| known_as(policy, author));
    let counts = |arn: &&Arn| {
        !facts.gate.is_ours(Some(arn)) && Some(known_as(policy, arn)) != author && is_among(policy, arn, &wanted.from)
    };
    // Two sessions of one person are one approval.
    let people: BTreeMap<&str, String> =
        approvals.iter().filter(counts).map(|arn| (known_as(policy, arn), called(policy, arn))).collect();
    let is_enough = u32::try_from(people.len()).is_ok_and(|count| count >= wanted.count);
    let met = if is_enough { Met::Met } else { Met::Missing };
    Item { what, met, why: Why::Approved(people.into_values().collect()) }
}
