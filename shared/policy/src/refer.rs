//! What the parts of a policy say about each other: checks, names that must be unique, chains, copies of copies.

use std::collections::HashMap;

use crate::glob_syntax::{Overlap, overlap};
use crate::guard::{OnDivergence, Target, TargetName};
use crate::names::TriggerName;
use crate::problem::{Problem, ProblemKind};
use crate::suggest::nearest;
use crate::trigger::{On, Start};
use crate::{Section, Trigger};

/// The most pairs of sections that are compared; beyond it "cannot be told" is the answer.
const MOST_COMPARISONS: usize = 50_000;

/// The most names of a cycle that are shown.
const LONGEST_CHAIN: usize = 10;

/// A name that a section gives to a trigger or a protection, whether the rest of it could be read or not.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) section: usize,
    pub(crate) kind: &'static str,
    pub(crate) name: TriggerName,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) path: String,
}

/// A check that refers to such a name.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) section: usize,
    pub(crate) name: TriggerName,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) path: String,
}

/// Adds the problems between the parts.
pub(crate) fn check_references(
    sections: &[Section],
    defined: &[Defined],
    references: &[Reference],
    problems: &mut Vec<Problem>,
) {
    let mut sections = Sections { sections, known: HashMap::new() };
    let mut by_name: HashMap<&TriggerName, Vec<&Defined>> = HashMap::new();
    for each in defined {
        by_name.entry(&each.name).or_default().push(each);
    }
    check_unique(&mut sections, defined, &by_name, problems);
    check_checks(&mut sections, &by_name, references, problems);
    check_cycles(&mut sections, defined, problems);
    check_replicas(&sections, problems);
    check_bundles(&mut sections, problems);
}

struct Sections<'a> {
    sections: &'a [Section],
    known: HashMap<(usize, usize), Overlap>,
}

impl Sections<'_> {
    /// Whether two sections can match the same repository.
    fn overlap(&mut self, a: usize, b: usize) -> Overlap {
        if a == b {
            return Overlap::Certain;
        }
        let pair = (a.min(b), a.max(b));
        if let Some(&known) = self.known.get(&pair) {
            return known;
        }
        if self.known.len() >= MOST_COMPARISONS {
            return Overlap::Unknown;
        }
        let pattern = |at: usize| self.sections.get(at).and_then(|section| section.repositories.patterns().first());
        let answer = match (pattern(pair.0), pattern(pair.1)) {
            (Some(a), Some(b)) => overlap(a, b),
            // A section whose pattern is broken was told already.
            _ => Overlap::Unknown,
        };
        self.known.insert(pair, answer);
        answer
    }
}

fn check_unique(
    sections: &mut Sections<'_>,
    defined: &[Defined],
    by_name: &HashMap<&TriggerName, Vec<&Defined>>,
    problems: &mut Vec<Problem>,
) {
    for each in defined {
        let Some(same) = by_name.get(&each.name) else { continue };
        let earlier = same.iter().find(|other| {
            (other.line, other.column) < (each.line, each.column)
                && sections.overlap(other.section, each.section) == Overlap::Certain
        });
        if let Some(first) = earlier {
            let what =
                ProblemKind::Twice { kind: each.kind.to_owned(), name: each.name.to_string(), first_line: first.line };
            let hint = "both hold for the same repositories: give one another name".to_owned();
            let (line, column, path) = (each.line, each.column, each.path.clone());
            problems.push(Problem { line, column, path, what, hint: Some(hint) });
        }
    }
}

fn check_checks(
    sections: &mut Sections<'_>,
    by_name: &HashMap<&TriggerName, Vec<&Defined>>,
    references: &[Reference],
    problems: &mut Vec<Problem>,
) {
    for reference in references {
        let same = by_name.get(&reference.name).map(Vec::as_slice).unwrap_or_default();
        if same.iter().any(|each| sections.overlap(each.section, reference.section) != Overlap::Never) {
            continue;
        }
        let names = by_name.iter().filter(|(_, all)| {
            all.iter().any(|each| sections.overlap(each.section, reference.section) != Overlap::Never)
        });
        let mut names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let hint = match (nearest(reference.name.as_str(), names), same.first()) {
            (Some(near), _) => format!("did you mean {near:?}?"),
            (None, Some(other)) => format!("the one on line {} is for other repositories", other.line),
            (None, None) => "define a trigger of this name, or a protection with this name".to_owned(),
        };
        let what = ProblemKind::Dangling {
            kind: "check".to_owned(),
            name: reference.name.to_string(),
            scope: " for these repositories".to_owned(),
        };
        let (line, column, path) = (reference.line, reference.column, reference.path.clone());
        problems.push(Problem { line, column, path, what, hint: Some(hint) });
    }
}

/// What one trigger starts and another waits for.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Link<'a> {
    Build(&'a str),
    Pipeline(&'a str),
    Deployment { group: &'a str },
}

fn starts(start: &Start) -> Link<'_> {
    match start {
        Start::Build(build) => Link::Build(build.project.as_str()),
        Start::Pipeline(pipeline) => Link::Pipeline(pipeline.name.as_str()),
        Start::Deployment(deployment) => Link::Deployment { group: deployment.group.as_str() },
    }
}

fn waits_for(on: &On) -> impl Iterator<Item = Link<'_>> {
    let build = on.build.as_ref().map(|build| Link::Build(build.project.as_str()));
    let pipeline = on.pipeline.as_ref().map(|pipeline| Link::Pipeline(pipeline.name.as_str()));
    let deployment = on.deployment.as_ref().map(|deployment| Link::Deployment { group: deployment.group.as_str() });
    build.into_iter().chain(pipeline).chain(deployment)
}

/// Whether what `first` starts is what `then` waits for, the application of a deployment included.
fn leads(first: &Trigger, then: &Trigger) -> bool {
    match (&first.start, &then.on.deployment) {
        (Start::Deployment(started), Some(wanted)) => {
            wanted.application.as_ref().is_none_or(|application| *application == started.application)
        }
        _ => true,
    }
}

fn check_cycles(sections: &mut Sections<'_>, defined: &[Defined], problems: &mut Vec<Problem>) {
    let all = sections.sections;
    let triggers: Vec<(usize, &Trigger)> = all
        .iter()
        .enumerate()
        .flat_map(|(at, section)| section.triggers.iter().map(move |trigger| (at, trigger)))
        .collect();
    let mut waiting: HashMap<Link<'_>, Vec<usize>> = HashMap::new();
    for (at, (_, trigger)) in triggers.iter().enumerate() {
        for link in waits_for(&trigger.on) {
            waiting.entry(link).or_default().push(at);
        }
    }
    let mut next: Vec<Vec<usize>> = Vec::new();
    for (section, trigger) in &triggers {
        let after = waiting.get(&starts(&trigger.start)).map(Vec::as_slice).unwrap_or_default();
        next.push(
            after
                .iter()
                .copied()
                .filter(|&then| {
                    triggers.get(then).is_some_and(|(other, then)| {
                        leads(trigger, then) && sections.overlap(*section, *other) != Overlap::Never
                    })
                })
                .collect(),
        );
    }
    for cycle in cycles(&next) {
        let names: Vec<&str> =
            cycle.iter().filter_map(|&at| triggers.get(at)).map(|(_, trigger)| trigger.name.as_str()).collect();
        let Some((section, trigger)) = cycle.first().and_then(|&at| triggers.get(at)) else { continue };
        let Some(place) = defined.iter().find(|each| each.section == *section && each.line == trigger.line) else {
            continue;
        };
        let mut shown: Vec<String> = names.iter().take(LONGEST_CHAIN).map(|name| (*name).to_owned()).collect();
        if names.len() > LONGEST_CHAIN {
            shown.push(format!("({} more)", names.len() - LONGEST_CHAIN));
        }
        shown.extend(names.first().map(|name| (*name).to_owned()));
        let chain = shown.join(" -> ");
        let hint = "take one of them out of the chain".to_owned();
        let (line, column, path) = (place.line, place.column, place.path.clone());
        problems.push(Problem { line, column, path, what: ProblemKind::Cycle { chain }, hint: Some(hint) });
    }
}

/// Cycles of a graph, each node in at most one; walks without recursion, since a chain can be long.
fn cycles(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; next.len()];
    let mut found = Vec::new();
    for root in 0..next.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        let enter = |node: usize, state: &mut Vec<State>, path: &mut Vec<(usize, usize)>| {
            if let Some(slot) = state.get_mut(node)
                && *slot == State::New
            {
                *slot = State::Open;
                path.push((node, 0));
            }
        };
        enter(root, &mut state, &mut path);
        while let Some((node, tried)) = path.last_mut() {
            let (node, at) = (*node, *tried);
            *tried += 1;
            match next.get(node).and_then(|after| after.get(at)) {
                Some(&then) if state.get(then) == Some(&State::Open) => {
                    let from = path.iter().position(|&(open, _)| open == then).unwrap_or(0);
                    let cycle: Vec<usize> = path.iter().skip(from).map(|&(open, _)| open).collect();
                    found.push(cycle);
                }
                Some(&then) => enter(then, &mut state, &mut path),
                None => {
                    if let Some(slot) = state.get_mut(node) {
                        *slot = State::Done;
                    }
                    path.pop();
                }
            }
        }
    }
    found
}

/// Stands for the name of the source repository in an address.
const PLACEHOLDER: &str = "{repository}";

/// Two repositories that overwrite each other would take turns in losing commits.
///
/// The sources are all in the stack's own account, which the policy does not name: whether a role leads back there is only
/// known when a copy is decided on.
fn check_replicas(sections: &Sections<'_>, problems: &mut Vec<Problem>) {
    struct Copy<'a> {
        from: &'a str,
        to: &'a str,
        region: &'a str,
        line: usize,
    }
    let mut copies: Vec<Copy<'_>> = Vec::new();
    for section in sections.sections {
        let Some(from) = section.repositories.patterns().first() else { continue };
        for replica in section.replicas.iter().filter(|replica| replica.on_divergence == OnDivergence::Overwrite) {
            if let Target::CodeCommit { region, repository: TargetName::Fixed(to), role: None } = &replica.to {
                copies.push(Copy { from, to: to.as_str(), region: region.as_str(), line: replica.line });
            }
        }
    }
    for (at, copy) in copies.iter().enumerate() {
        let back = copies.iter().take(at).find(|other| {
            other.from == copy.to && other.to == copy.from && other.region == copy.region && copy.from != copy.to
        });
        if let Some(back) = back {
            let message = format!("{} and {} overwrite each other (see line {})", copy.from, copy.to, back.line);
            let hint = "use on_divergence: fail or keep in one of them".to_owned();
            let what = ProblemKind::Conflict { message };
            problems.push(Problem { line: copy.line, column: 1, path: String::new(), what, hint: Some(hint) });
        }
    }
}

/// A bundle has one repository: two that are written under one key would replace each other for ever.
fn check_bundles(sections: &mut Sections<'_>, problems: &mut Vec<Problem>) {
    let mut conflict = |line: usize, message: String, hint: &str| {
        let what = ProblemKind::Conflict { message };
        problems.push(Problem { line, column: 1, path: String::new(), what, hint: Some(hint.to_owned()) });
    };
    let mut seen: HashMap<(&str, &str), Vec<(usize, usize)>> = HashMap::new();
    for (at, section) in sections.sections.iter().enumerate() {
        for replica in &section.replicas {
            let Target::Bundle { bucket, key, .. } = &replica.to else { continue };
            let pattern = section.repositories.patterns().first().map_or("", String::as_str);
            let is_each_its_own = key.contains(PLACEHOLDER);
            if !is_each_its_own && pattern.contains(['*', '?', '[', '{']) {
                let message = format!("all of {pattern} would be written to s3://{bucket}/{key}");
                conflict(replica.line, message, "put {repository} into the key");
                continue;
            }
            let others = seen.entry((bucket, key)).or_default();
            let same =
                others.iter().find(|(other, _)| !is_each_its_own || sections.overlap(*other, at) == Overlap::Certain);
            if let Some((_, line)) = same {
                let message = format!("s3://{bucket}/{key} is written twice (see line {line})");
                conflict(replica.line, message, "give one of them another key");
            }
            others.push((at, replica.line));
        }
    }
}
