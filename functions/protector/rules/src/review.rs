//! A pull request against the protections that it needs as checks, before it is merged.

use serde::{Deserialize, Serialize};
use signalbox_events::{
    CheckRecord, CommitId, MOST_FINDINGS_RECORDED, PullRequestId, RefName, RepositoryName, ReviewRecord,
};
use signalbox_policy::{Policy, Protection};

use crate::decide::{Violation, What};
use crate::facts::Subject;
use crate::finding::{Fault, Finding};
use crate::judge::judge;
use crate::needs::{Needs, needs_of_range};
use crate::news::plainly;
use crate::range::Range;
use crate::rest::{Rest, is_of};

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewFacts {
    /// The repository.
    pub repository: RepositoryName,
    /// The pull request.
    pub pull_request: PullRequestId,
    /// How it stands; `None` where it is gone or closed.
    pub here: Option<Reviewed>,
    /// What was found before.
    pub memory: ReviewMemory,
    /// What this look read of its commits and files.
    pub range: Option<Range>,
    /// What is left to the next look.
    pub rest: Option<Rest>,
}

/// An open pull request, as far as its range depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// The branch that it is merged into.
    pub into: RefName,
    /// The branch that is merged.
    pub source: RefName,
    /// Its tip.
    pub commit: CommitId,
    /// Where the two parted; the target's tip where they have no history in common.
    pub base: CommitId,
}

/// What is remembered of a pull request: what the approver reads, and how far a long one was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewMemory {
    /// What the rules found.
    #[serde(flatten)]
    pub record: ReviewRecord,
    /// What is still to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// What is to be written down.
#[must_use]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewDecision {
    /// In one word.
    pub verdict: ReviewVerdict,
    /// What is remembered from now on.
    pub memory: ReviewMemory,
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// It is not open, or needs no protection as a check.
    NotConcerned,
    /// Just these commits were judged by just these rules before.
    Before,
    /// Nobody has read its commits.
    Unread,
    /// It is long: the next look goes on.
    Unfinished,
    /// All of it was judged.
    Judged,
}

impl ReviewVerdict {
    /// The words of the report.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotConcerned => "not concerned",
            Self::Before => "judged before",
            Self::Unread => "not read",
            Self::Unfinished => "looked at in parts",
            Self::Judged => "judged",
        }
    }
}

impl ReviewFacts {
    /// The facts before anything is read: for explaining an event by itself.
    pub fn before_gathering(repository: RepositoryName, pull_request: PullRequestId) -> Self {
        Self { repository, pull_request, here: None, memory: ReviewMemory::default(), range: None, rest: None }
    }

    /// The protections that it needs as checks.
    pub fn protections<'a>(&'a self, policy: &'a Policy) -> Vec<&'a Protection> {
        self.here.as_ref().map(|here| policy.protections_asked(&self.repository, &here.into)).unwrap_or_default()
    }

    /// What the decision will want of its commits; `None` where they need not be read.
    pub fn wants(&self, policy: &Policy) -> Option<(Needs, Rest)> {
        let (here, protections) = (self.here.as_ref()?, self.protections(policy));
        let needs_range = protections.iter().any(|protection| protection.has_range_rules());
        if !needs_range || self.is_known(here, &protections) {
            return None;
        }
        let subject = Subject { repository: self.repository.clone(), reference: here.source.clone() };
        let rest = self.rest_of(here).cloned().unwrap_or_default();
        Some((needs_of_range(subject, &protections), rest))
    }

    /// Whether all of these protections have judged just these commits. What could not be read is worth another look.
    fn is_known(&self, here: &Reviewed, protections: &[&Protection]) -> bool {
        let known = |protection: &&Protection| {
            let name = protection.name.as_ref().map(|name| name.as_str()).unwrap_or_default();
            let found = self.memory.record.of(name, &protection.range_rules(), &here.commit, &here.base);
            found.is_some_and(|found| !found.is_unread)
        };
        protections.iter().all(known)
    }

    /// How far an earlier look came that began with just these commits.
    fn rest_of(&self, here: &Reviewed) -> Option<&Rest> {
        let record = &self.memory.record;
        let is_same = record.commit.as_ref() == Some(&here.commit) && record.base.as_ref() == Some(&here.base);
        self.memory.rest.as_ref().filter(|_| is_same)
    }

    /// The facts as a report keeps them: long lists are cut.
    #[must_use]
    pub fn for_report(&self) -> Self {
        Self { range: self.range.as_ref().map(Range::for_report), ..self.clone() }
    }
}

/// Decides what becomes known of a pull request. Total: whatever the facts are, there is a verdict.
pub fn decide_review(facts: &ReviewFacts, policy: &Policy) -> ReviewDecision {
    let as_it_was = |verdict| ReviewDecision { verdict, memory: facts.memory.clone() };
    let protections = facts.protections(policy);
    let Some(here) = facts.here.as_ref().filter(|_| !protections.is_empty()) else {
        return as_it_was(ReviewVerdict::NotConcerned);
    };
    if facts.is_known(here, &protections) {
        return as_it_was(ReviewVerdict::Before);
    }
    let empty = Range::default();
    let range = match &facts.range {
        Some(range) => range,
        None if protections.iter().any(|protection| protection.has_range_rules()) => {
            return as_it_was(ReviewVerdict::Unread);
        }
        None => &empty,
    };
    let before = facts.rest_of(here);
    let found: Vec<(&Protection, Vec<Violation>)> =
        protections.iter().map(|protection| (*protection, violations(range, protection, before))).collect();
    let (commit, base) = (Some(here.commit.clone()), Some(here.base.clone()));
    if let Some(rest) = &facts.rest {
        let found = found.into_iter().flat_map(|(_, found)| found).collect();
        let record = ReviewRecord { commit, base, commits: rest.commits, ..ReviewRecord::default() };
        let memory = ReviewMemory { record, rest: Some(rest.with_found(found)) };
        return ReviewDecision { verdict: ReviewVerdict::Unfinished, memory };
    }
    let named = found.into_iter().filter_map(|(protection, found)| {
        let name = protection.name.as_ref()?;
        Some((name.to_string(), record_of(protection, &found)))
    });
    let record = ReviewRecord {
        commit,
        base,
        commits: range.commits.len() + before.map_or(0, |before| before.commits),
        checks: named.collect(),
    };
    ReviewDecision { verdict: ReviewVerdict::Judged, memory: ReviewMemory { record, rest: None } }
}

/// What one protection does not allow, in this part and in those before.
fn violations(range: &Range, protection: &Protection, before: Option<&Rest>) -> Vec<Violation> {
    let earlier = before.iter().flat_map(|before| &before.found).filter(|found| is_of(found, protection)).cloned();
    let mut all: Vec<Violation> = earlier.collect();
    for finding in judge(range, protection.commits.as_ref(), protection.files.as_ref()) {
        let what = What::Range(finding);
        let violation = Violation { line: protection.line, name: protection.name.clone(), what };
        if !all.contains(&violation) {
            all.push(violation);
        }
    }
    all
}

fn record_of(protection: &Protection, found: &[Violation]) -> CheckRecord {
    let findings = || {
        found.iter().filter_map(|violation| match &violation.what {
            What::Range(finding) => Some(finding),
            _ => None,
        })
    };
    CheckRecord {
        rules: protection.range_rules(),
        findings: findings().take(MOST_FINDINGS_RECORDED).map(sentence).collect(),
        left_out: findings().count().saturating_sub(MOST_FINDINGS_RECORDED),
        is_unread: findings().any(|finding| matches!(finding.fault, Fault::Unread { .. })),
    }
}

/// A finding as one sentence, without what is in the file: everybody who sees the pull request reads it.
fn sentence(finding: &Finding) -> String {
    let place = match (&finding.commit, &finding.path) {
        (Some(commit), Some(path)) => format!("{path} in {}: ", commit.short()),
        (Some(commit), None) => format!("commit {}: ", commit.short()),
        (None, Some(path)) => format!("{path}: "),
        (None, None) => String::new(),
    };
    let (rule, wrong, repair) = (finding.fault.rule(), plainly(&finding.fault), finding.fault.repair());
    format!("{rule}: {place}{wrong}. To mend it, {repair}")
}

/// What became known, a sentence a check.
pub fn render_review(decision: &ReviewDecision) -> Vec<String> {
    let record = &decision.memory.record;
    let looked = format!("{} commits were looked at", record.commits);
    match decision.verdict {
        ReviewVerdict::NotConcerned => {
            vec!["the pull request is not open, or the policy asks it for no protection as a check".to_owned()]
        }
        ReviewVerdict::Before => vec!["just these commits were judged by just these rules before".to_owned()],
        ReviewVerdict::Unread => vec!["its commits were not read".to_owned()],
        ReviewVerdict::Unfinished => vec![format!("it is long: {looked} so far, and the next look goes on")],
        ReviewVerdict::Judged => {
            let told = record.checks.iter().map(|(name, check)| match check.findings.len() + check.left_out {
                0 => format!("{name} found nothing wrong"),
                count => format!("{name} found {count}: {}", check.findings.join("; ")),
            });
            std::iter::once(looked).chain(told).collect()
        }
    }
}
