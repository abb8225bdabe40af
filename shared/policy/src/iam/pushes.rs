//! On which refs nobody may push, each kind of them by one name: what is asked of IAM.

use std::collections::BTreeMap;

use signalbox_events::{RefName, RepositoryName};

use super::acts::refuses_pushes;
use crate::glob_syntax::{Atom, atoms, spelled_out};
use crate::{Policy, Protection};

/// What stands for a star, in this order: the first that the list of patterns covers is taken.
const FILLERS: [&str; 3] = ["x", "1", "signalbox"];

/// A ref on which nobody may push, and the protections that say so.
pub type Guarded<'a> = BTreeMap<RefName, Vec<&'a Protection>>;

/// The refs of a repository on which the policy lets nobody push: a ref that is named by itself, and for each pattern one that
/// it covers.
///
/// Only where every push is forbidden, as for the deny statements: IAM cannot tell a push that forces, creates or deletes from
/// another.
pub fn guarded_refs<'a>(policy: &'a Policy, repository: &'a RepositoryName) -> Guarded<'a> {
    let mut found = Guarded::new();
    let protections = policy.sections_for(repository).flat_map(|section| &section.protections);
    for protection in protections.filter(|one| refuses_pushes(one)) {
        for name in examples(protection) {
            found.entry(name).or_default().push(protection);
        }
    }
    // Whatever stands for a pattern may be covered by another protection, too.
    for (name, protections) in &mut found {
        let all = policy.sections_for(repository).flat_map(|section| &section.protections);
        *protections = all.filter(|one| refuses_pushes(one) && one.refs.matches(name.as_str())).collect();
    }
    found
}

fn examples(protection: &Protection) -> Vec<RefName> {
    let patterns = protection.refs.patterns();
    let mut found = Vec::new();
    // A list that begins with an exclusion is about everything else.
    let everything = patterns.first().is_some_and(|first| first.starts_with('!')).then_some("refs/heads/**");
    let included = patterns.iter().map(String::as_str).filter(|pattern| !pattern.starts_with('!'));
    for pattern in everything.into_iter().chain(included) {
        for one in spelled_out(pattern).unwrap_or_default() {
            let tried = FILLERS.iter().filter_map(|filler| RefName::parse(filled(&one, filler)?).ok());
            found.extend(tried.into_iter().find(|name| protection.refs.matches(name.as_str())));
        }
    }
    found
}

/// A name that a pattern without braces covers.
fn filled(pattern: &str, filler: &str) -> Option<String> {
    let mut name = String::new();
    let mut was_run = false;
    for atom in atoms(pattern)? {
        let is_run = matches!(atom, Atom::Run);
        match atom {
            Atom::Char(c) => name.push(c),
            Atom::One => name.extend(filler.chars().next()),
            // Two stars beside each other are one.
            Atom::Run if was_run => {}
            Atom::Run => name.push_str(filler),
            Atom::Class(class) => name.push(
                class.characters().map_or_else(|| filler.chars().next(), |characters| characters.into_iter().next())?,
            ),
        }
        was_run = is_run;
    }
    // `**` alone and at the beginning is about everything below `refs/`.
    let is_whole = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    Some(if is_whole { name } else { format!("refs/heads/{}", name.trim_start_matches("refs/")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_policy;

    fn asked(protections: &str) -> Vec<String> {
        let text = format!("repositories:\n  demo:\n    protection:\n{protections}");
        let policy = parse_policy(&text).unwrap();
        let demo = RepositoryName::parse("demo").unwrap();
        let found = guarded_refs(&policy, &demo);
        assert!(found.iter().all(|(name, all)| all.iter().all(|one| one.refs.matches(name.as_str()))));
        found.into_iter().map(|(name, all)| format!("{name} {}", all.len())).collect()
    }

    #[test]
    fn a_name_stands_for_itself_and_a_pattern_for_one_that_it_covers() {
        let all = "      - { refs: [main, \"release/**\", \"{a,b}-?\", \"v[1-3].*\", \"refs/tags/*\"], forbid: direct-push }\n";
        let expected = [
            "refs/heads/a-x 1",
            "refs/heads/b-x 1",
            "refs/heads/main 1",
            "refs/heads/release/x 1",
            "refs/heads/v1.x 1",
            "refs/tags/x 1",
        ];
        assert_eq!(asked(all), expected);
        let both = "      - { refs: [main], forbid: direct-push }\n      - { refs: [\"**\"], forbid: [creation, update, deletion] }\n";
        assert_eq!(asked(both), ["refs/heads/main 2", "refs/heads/x 1"]);
    }

    #[test]
    fn what_is_excluded_is_not_asked_and_where_some_pushes_may_pass_nothing_is() {
        let without = "      - { refs: [\"release/*\", \"!release/x\"], forbid: direct-push }\n";
        assert_eq!(asked(without), ["refs/heads/release/1 1"]);
        let all_but = "      - { refs: [\"!main\"], forbid: direct-push }\n";
        assert_eq!(asked(all_but), ["refs/heads/x 1"]);
        let some = "      - { refs: [main], forbid: [force-push, deletion] }\n      - { refs: [\"refs/tags/*\"], forbid: [update, deletion] }\n";
        assert_eq!(asked(some), Vec::<String>::new());
    }
}
