//! How far a function reaches, as the template says it: which repositories it may read, and which sessions are the stack's own.

use signalbox_events::{Arn, RepositoryName};
use signalbox_policy::ArnPattern;

use crate::settings::Settings;

/// The repositories that the function's role may read.
#[derive(Debug, Clone)]
pub struct Readable(Option<ArnPattern>);

/// The sessions of the roles whose acts are the stack's own.
#[derive(Debug, Clone)]
pub struct OwnSessions(Vec<String>);

impl Settings {
    /// The repositories of `SIGNALBOX_REPOSITORIES`; all of them where the template says nothing.
    pub fn readable(&self) -> Readable {
        Readable(self.repositories.as_ref().and_then(|pattern| ArnPattern::parse(pattern.as_str()).ok()))
    }

    /// The sessions of the roles of `SIGNALBOX_SPARED_ROLES`.
    pub fn own_sessions(&self) -> OwnSessions {
        let prefix = |role: &String| Arn::parse(role.as_str()).ok()?.session_prefix();
        OwnSessions(self.spared_roles.iter().filter_map(prefix).collect())
    }
}

impl Readable {
    /// Whether the template lets the function read this repository.
    pub fn holds(&self, repository: &RepositoryName) -> bool {
        self.0.as_ref().is_none_or(|pattern| self.arn_of(repository).is_some_and(|arn| pattern.matches(&arn)))
    }

    /// The ARN of a repository, where the template says how they begin.
    pub fn arn_of(&self, repository: &RepositoryName) -> Option<Arn> {
        let (place, _) = self.0.as_ref()?.as_str().rsplit_once(':')?;
        Arn::parse(format!("{place}:{repository}")).ok()
    }
}

impl OwnSessions {
    /// Whether it is one of them.
    pub fn hold(&self, by: Option<&Arn>) -> bool {
        by.is_some_and(|by| self.0.iter().any(|prefix| by.as_str().starts_with(prefix)))
    }

    /// Whether they are sessions of this role.
    pub fn are_of(&self, role: &Arn) -> bool {
        role.session_prefix().is_some_and(|prefix| self.0.contains(&prefix))
    }
}
