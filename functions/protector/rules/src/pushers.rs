//! Whom IAM lets push where the policy lets nobody: what a look found, what is remembered of it, and what of it is new.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, Permitted, RefName};
use signalbox_policy::iam::{Guarded, spares};

/// Users and roles, each with the refs that IAM lets them push to.
pub type Pushers = BTreeMap<Arn, BTreeSet<RefName>>;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PusherMemory {
    /// Of whom people were told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub told: Pushers,
    /// Who was found before everybody was asked for once: they are told together, when that is done.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub untold: Pushers,
    /// How far everybody was asked for.
    pub round: Round,
    /// Behind whom the next look goes on; none where it begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<Arn>,
}

/// How far everybody was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Round {
    /// Not once to the end.
    #[default]
    First,
    /// At least once: who is found now is a newcomer.
    Later,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PusherLook {
    /// Everybody who was asked for; with no refs whom IAM lets push nowhere, or whom the policy lets.
    pub asked: Pushers,
    /// Who is remembered and not there any more.
    pub gone: BTreeSet<Arn>,
    /// How far it came.
    pub reached: Reached,
}

/// How far a look came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// It was about one user or role.
    One,
    /// Not to the end: the next one goes on behind this user or role.
    Part {
        /// Who was the last.
        behind: Arn,
    },
    /// To the last user and role.
    End,
}

/// Whether a user or role is asked for at all: the roles of AWS's own services push nothing, and nobody can take anything away
/// from them.
pub fn is_askable(principal: &Arn) -> bool {
    let resource = principal.as_str().splitn(6, ':').nth(5).unwrap_or_default();
    !resource.starts_with("role/aws-service-role/")
}

/// Whether it is the user or the role of this name, whatever its path is.
pub fn is_named(principal: &Arn, name: &Permitted) -> bool {
    let resource = principal.as_str().splitn(6, ':').nth(5).unwrap_or_default();
    let last = |kind: &str| resource.strip_prefix(kind).and_then(|path| path.rsplit('/').next());
    match name {
        Permitted::User(name) => last("user/") == Some(name),
        Permitted::Role(name) => last("role/") == Some(name),
        Permitted::Others => true,
    }
}

/// The refs for which a user or role is asked for: those that some protection does not let it push to.
pub fn refs_to_ask(guarded: &Guarded<'_>, principal: &Arn) -> Vec<RefName> {
    let is_open = |(_, protections): &(&RefName, &Vec<&signalbox_policy::Protection>)| {
        protections.iter().any(|one| !one.bypass.iter().any(|pattern| spares(pattern, principal)))
    };
    guarded.iter().filter(is_open).map(|(name, _)| name.clone()).collect()
}

impl PusherMemory {
    /// What a look tells that is new, and what is remembered then.
    pub fn with(&self, look: &PusherLook) -> (Pushers, Self) {
        let mut next = self.clone();
        for who in &look.gone {
            next.told.remove(who);
            next.untold.remove(who);
        }
        let mut new = Pushers::new();
        for (who, refs) in &look.asked {
            next.untold.remove(who);
            let told = next.told.remove(who).unwrap_or_default();
            // Who cannot any more, and later can again, is told again.
            let still: BTreeSet<RefName> = told.intersection(refs).cloned().collect();
            if !still.is_empty() {
                next.told.insert(who.clone(), still);
            }
            let fresh: BTreeSet<RefName> = refs.difference(&told).cloned().collect();
            if !fresh.is_empty() {
                new.insert(who.clone(), fresh);
            }
        }
        match &look.reached {
            Reached::One => {}
            Reached::Part { behind } => {
                next.behind = Some(behind.clone());
                if next.round == Round::First {
                    next.untold.append(&mut new);
                }
            }
            Reached::End => {
                next.behind = None;
                next.round = Round::Later;
                new.append(&mut next.untold);
            }
        }
        for (who, refs) in &new {
            next.told.entry(who.clone()).or_default().extend(refs.iter().cloned());
        }
        (new, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(resource: &str) -> Arn {
        Arn::parse(format!("arn:aws:iam::111122223333:{resource}")).unwrap()
    }

    fn pushers(all: &[(&str, &[&str])]) -> Pushers {
        let refs = |names: &[&str]| names.iter().map(|name| RefName::branch(name).unwrap()).collect();
        all.iter().map(|(who, names)| (arn(who), refs(names))).collect()
    }

    fn look(asked: &[(&str, &[&str])], reached: Reached) -> PusherLook {
        PusherLook { asked: pushers(asked), gone: BTreeSet::new(), reached }
    }

    #[test]
    fn the_first_round_is_told_as_one_and_afterwards_only_who_is_new() {
        let memory = PusherMemory::default();
        let part = Reached::Part { behind: arn("user/b") };
        let (new, memory) = memory.with(&look(&[("user/a", &["main"]), ("user/b", &[])], part));
        assert_eq!((new, memory.behind.clone()), (Pushers::new(), Some(arn("user/b"))));
        let (new, memory) = memory.with(&look(&[("role/c", &["main", "next"])], Reached::End));
        assert_eq!(new, pushers(&[("role/c", &["main", "next"]), ("user/a", &["main"])]));
        assert_eq!((memory.behind.clone(), memory.untold.len()), (None, 0));
        let again = look(&[("user/a", &["main"]), ("user/b", &["main"])], Reached::Part { behind: arn("user/b") });
        let (new, memory) = memory.with(&again);
        assert_eq!(new, pushers(&[("user/b", &["main"])]), "a newcomer is told before the round is over");
        let (new, again) = memory.with(&look(&[("user/a", &["main"]), ("user/b", &["main"])], Reached::End));
        assert_eq!((new, again.told), (Pushers::new(), memory.told));
    }

    #[test]
    fn another_ref_is_news_and_who_lost_it_and_gets_it_again_is_told_again() {
        let (_, memory) = PusherMemory::default().with(&look(&[("user/a", &["main"])], Reached::End));
        let (new, memory) = memory.with(&look(&[("user/a", &["main", "next"])], Reached::One));
        assert_eq!(new, pushers(&[("user/a", &["next"])]));
        let (new, memory) = memory.with(&look(&[("user/a", &["next"])], Reached::One));
        assert_eq!((new, memory.told.clone()), (Pushers::new(), pushers(&[("user/a", &["next"])])));
        let (new, memory) = memory.with(&look(&[("user/a", &["main", "next"])], Reached::One));
        assert_eq!(new, pushers(&[("user/a", &["main"])]));
        let gone = PusherLook { gone: BTreeSet::from([arn("user/a")]), ..look(&[], Reached::End) };
        assert_eq!(memory.with(&gone).1.told, Pushers::new());
    }

    #[test]
    fn who_is_told_by_an_event_in_the_first_round_is_not_told_at_its_end() {
        let part = Reached::Part { behind: arn("user/a") };
        let (_, memory) = PusherMemory::default().with(&look(&[("user/a", &["main"])], part));
        let (new, memory) = memory.with(&look(&[("user/a", &["main"])], Reached::One));
        assert_eq!(new, pushers(&[("user/a", &["main"])]));
        let (new, _) = memory.with(&look(&[("user/b", &[])], Reached::End));
        assert_eq!(new, Pushers::new());
    }

    #[test]
    fn names_go_without_their_path_and_the_roles_of_services_are_left_out() {
        let user = |name: &str| Permitted::User(name.to_owned());
        assert!(is_named(&arn("user/teams/a"), &user("a")) && !is_named(&arn("role/a"), &user("a")));
        assert!(is_named(&arn("role/x/deploy"), &Permitted::Role("deploy".to_owned())));
        assert!(is_named(&arn("role/x"), &Permitted::Others));
        assert!(!is_askable(&arn("role/aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport")));
        assert!(is_askable(&arn("role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0")));
    }
}
