//! Where a copy is, and what its memory is called.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{AccountId, Arn, Envelope, Region, RepositoryName};
use signalbox_policy::{OnDivergence, Policy, Replica, Role, SecretName, Target, TargetName};

/// Where the repositories lie that are copied: in the stack's own region and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The region.
    pub region: Region,
    /// The account, where it is known.
    pub account: Option<AccountId>,
}

impl Home {
    /// Where an event happened.
    pub fn of(envelope: &Envelope) -> Self {
        Self { region: envelope.region.clone(), account: Some(envelope.account.clone()) }
    }
}

/// Stands for the name of the source repository in an address.
const PLACEHOLDER: &str = "{repository}";

/// The place of one repository's copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A CodeCommit repository.
    CodeCommit {
        /// Its region.
        region: Region,
        /// Its name.
        repository: RepositoryName,
        /// The role to assume in another account.
        role: Option<Role>,
    },
    /// A repository of a git host.
    Https {
        /// Its address; it never holds a secret.
        url: String,
        /// The secret that holds the token.
        credentials: SecretName,
    },
    /// A bundle in a bucket.
    Bundle {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The role to assume in another account.
        role: Option<Role>,
    },
    /// No place: the name of the copy is none that CodeCommit takes.
    Nowhere {
        /// What the policy makes of it.
        text: String,
    },
}

/// One copy that the policy asks for.
#[derive(Debug, Clone, Copy)]
pub struct Copied<'a> {
    /// What the policy says of it.
    pub replica: &'a Replica,
    /// Tells it from others with the same target, in the order of the policy.
    nth: usize,
}

impl Place {
    /// Where a replica of this repository is.
    pub fn of(target: &Target, source: &RepositoryName) -> Self {
        match target {
            Target::CodeCommit { region, repository, role } => {
                let name = match repository {
                    TargetName::Fixed(name) => Ok(name.clone()),
                    TargetName::LikeSource { prefix, suffix } => {
                        let text = format!("{prefix}{source}{suffix}");
                        RepositoryName::parse(text.clone()).map_err(|_| text)
                    }
                };
                match name {
                    Ok(repository) => Self::CodeCommit { region: region.clone(), repository, role: role.clone() },
                    Err(text) => Self::Nowhere { text: format!("codecommit://{region}/{text}") },
                }
            }
            Target::Https { url, credentials } => {
                Self::Https { url: filled(url, source), credentials: credentials.clone() }
            }
            Target::Bundle { bucket, key, role } => {
                Self::Bundle { bucket: bucket.clone(), key: filled(key, source), role: role.clone() }
            }
        }
    }

    /// The repository, where it is one of this region and this account.
    pub fn neighbour(&self, home: &Home) -> Option<&RepositoryName> {
        let Self::CodeCommit { region, repository, role } = self else { return None };
        // A role of the same account is another key to the same repositories.
        let is_here = match role {
            None => true,
            Some(role) => home.account.as_ref().is_some_and(|account| account_of(&role.arn) == Some(account.as_str())),
        };
        (*region == home.region && is_here).then_some(repository)
    }

    /// The role that is assumed to reach it, where one is.
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::CodeCommit { role, .. } | Self::Bundle { role, .. } => role.as_ref(),
            Self::Https { .. } | Self::Nowhere { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CodeCommit { region, repository, .. } => write!(f, "codecommit://{region}/{repository}")?,
            Self::Https { url, .. } => f.write_str(url)?,
            Self::Bundle { bucket, key, .. } => write!(f, "s3://{bucket}/{key}")?,
            Self::Nowhere { text } => f.write_str(text)?,
        }
        self.role().map_or(Ok(()), |role| write!(f, " as {}", role.arn))
    }
}

/// The account of a role.
fn account_of(arn: &Arn) -> Option<&str> {
    arn.as_str().split(':').nth(4)
}

fn filled(text: &str, source: &RepositoryName) -> String {
    text.replace(PLACEHOLDER, source.as_str())
}

/// The copies of a repository that the policy asks for, in its order, each with its place.
pub fn copies_of<'a>(policy: &'a Policy, repository: &'a RepositoryName) -> Vec<(Copied<'a>, Place)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let replicas = policy.sections_for(repository).flat_map(|section| &section.replicas);
    let copies = replicas.map(|replica| {
        let place = Place::of(&replica.to, repository);
        let count = seen.entry(place.to_string()).or_default();
        *count += 1;
        (Copied { replica, nth: *count }, place)
    });
    copies.collect()
}

/// Whether the policy copies the target back to the source, ref by ref under the same names.
pub(crate) fn is_mutual(
    policy: &Policy,
    source: &RepositoryName,
    home: &Home,
    copy: &Copied<'_>,
    place: &Place,
) -> bool {
    way_back(policy, source, home, copy, place).is_some()
}

/// How the policy copies the target back to the source, where it does.
pub(crate) fn way_back(
    policy: &Policy,
    source: &RepositoryName,
    home: &Home,
    copy: &Copied<'_>,
    place: &Place,
) -> Option<OnDivergence> {
    let target = place.neighbour(home)?;
    if !copy.replica.map.is_empty() || copy.nth != 1 || target == source {
        return None;
    }
    let copies = copies_of(policy, target);
    let back = copies
        .iter()
        .find(|(back, there)| back.nth == 1 && back.replica.map.is_empty() && there.neighbour(home) == Some(source));
    back.map(|(back, _)| back.replica.on_divergence)
}

/// Where the memory of a copy lies.
///
/// Two repositories of one region and account that copy each other share one: what they agreed on is the same from both sides.
pub fn memory_key(source: &RepositoryName, home: &Home, copy: &Copied<'_>, place: &Place) -> String {
    let whole = |name: &RepositoryName| format!("codecommit://{}/{name}", home.region);
    let (folder, mut text) = match place.neighbour(home).filter(|_| copy.replica.map.is_empty()) {
        Some(target) => (source.min(target), format!("{} {}", whole(source.min(target)), whole(source.max(target)))),
        None => (source, place.to_string()),
    };
    if copy.nth > 1 {
        text.push_str(&format!(" {source} {}", copy.nth));
    }
    let digest: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("state/replicas/{folder}/{digest}.json")
}
