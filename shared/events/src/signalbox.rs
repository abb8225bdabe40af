//! Signalbox's own events: what one function has the notifier tell people, over the account's event bus.
//!
//! Each job has a detail-type of its own, so that its role may put that one and no other. What all of them have:
//! `version`, and the `stack` they are meant for, since two stacks of an account share its bus. What people are told has a `notice`, too: the id of
//! what is told, made from what it is about, what is wrong, and since when: whoever is not sure that it was put puts it
//! again, and the notifier, which takes it for the event's id, tells it once.

mod check;
mod protection;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::ParseError;
use crate::fields::{Fields, cut};
use crate::names::{EventId, RepositoryName, StackName};
use crate::words::words;

pub use check::{CHECK, CheckState, CheckStateChange};
pub use protection::{
    MOST_FINDINGS_TOLD, PROTECTION, Protected, ProtectionFinding, ProtectionState, ProtectionStateChange,
};

/// The source of all of them.
pub const OWN_SOURCE: &str = "signalbox";

/// A copy cannot be made equal, or is equal again.
pub const REPLICA: &str = "Signalbox Replica State Change";

/// The form of the details; another one is refused.
const VERSIONS: &[&str] = &["1"];

/// An event tells of at most this many obstacles.
pub const MOST_OBSTACLES: usize = 20;

/// Characters of a sentence.
const LONGEST_SENTENCE: usize = 1_000;

/// Characters of an address.
const LONGEST_TARGET: usize = 2_048;

/// What a copy has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStateChange {
    /// What is told; the envelope has it as its id, too.
    pub notice: EventId,
    /// The stack that tells it.
    pub stack: StackName,
    /// The repository that is copied.
    pub repository: RepositoryName,
    /// Where the copy is, as the policy says it; it never holds a secret.
    pub target: String,
    /// What became of it.
    pub state: ReplicaState,
    /// Since when it cannot, or could not, be made equal.
    pub since: Timestamp,
    /// When this was seen.
    pub seen: Timestamp,
    /// When it was last made equal before that, if ever.
    pub last_equal: Option<Timestamp>,
    /// What stands in the way; nothing of a copy that is equal again.
    pub obstacles: Vec<Obstacle>,
    /// How many more there are.
    pub left_out: u64,
}

words! {
    /// What became of a copy.
    ReplicaState {
        /// It cannot be made equal.
        Failed = "FAILED",
        /// It still cannot be made equal, and what is wrong has changed.
        Changed = "CHANGED",
        /// It is equal again.
        Equal = "EQUAL",
    }
}

/// One thing that keeps a copy from being equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// The ref in the copy; `None` where it is the copy as a whole.
    pub reference: Option<String>,
    /// Of which kind it is.
    pub kind: ObstacleKind,
    /// Why it cannot be made equal, as a sentence without its full stop.
    pub reason: String,
    /// What a person can do, as a sentence without its full stop; empty where the reason says it.
    pub remedy: String,
}

words! {
    /// What can keep a copy from being equal.
    ObstacleKind {
        /// The copy has commits that were never in the source.
        Diverged = "DIVERGED",
        /// The ref was deleted in the copy.
        DeletedThere = "DELETED_THERE",
        /// The ref was deleted in the source and moved in the copy.
        MovedThere = "MOVED_THERE",
        /// Several refs have one name in the copy.
        Collision = "COLLISION",
        /// The source has no refs at all.
        SourceEmpty = "SOURCE_EMPTY",
        /// The name cannot be copied.
        OddName = "ODD_NAME",
        /// Another ref of the copy leaves no room for the name.
        InTheWay = "IN_THE_WAY",
        /// The target does not take it.
        Refused = "REFUSED",
        /// It does not fit, and no part of it can go by itself.
        TooLarge = "TOO_LARGE",
        /// A person must mend something before the target can be read or written.
        Unusable = "UNUSABLE",
        /// The target has been out of reach for a while; it is tried again.
        OutOfReach = "OUT_OF_REACH",
    }
}

impl Obstacle {
    /// Something that is wrong with one ref.
    pub fn of_ref(
        name: impl Into<String>,
        kind: ObstacleKind,
        reason: impl AsRef<str>,
        remedy: impl AsRef<str>,
    ) -> Self {
        Self { reference: Some(shortened(&name.into())), ..Self::of_copy(kind, reason, remedy) }
    }

    /// Something that is wrong with the copy as a whole.
    pub fn of_copy(kind: ObstacleKind, reason: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self { reference: None, kind, reason: shortened(reason.as_ref()), remedy: shortened(remedy.as_ref()) }
    }

    /// Whether it is the same thing, though commits may have moved since and a host may word it otherwise.
    pub fn is_same(&self, other: &Self) -> bool {
        self.mark() == other.mark()
    }

    /// What tells it from others.
    pub fn mark(&self) -> (Option<&str>, ObstacleKind, String) {
        let reason = match self.kind {
            ObstacleKind::Refused | ObstacleKind::Unusable => without_numbers(&self.reason),
            _ => String::new(),
        };
        (self.reference.as_deref(), self.kind, reason)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, ". {}", self.remedy) }
    }
}

/// The words of a sentence that say the same each time: ids, counts and times are in words with digits.
fn without_numbers(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_SENTENCE).collect()
}

impl ReplicaStateChange {
    /// The detail, as [`ReplicaStateChange::parse`] reads it.
    pub fn to_detail(&self) -> Value {
        let obstacles: Vec<Value> = self
            .obstacles
            .iter()
            .map(|obstacle| {
                json!({
                    "ref": obstacle.reference,
                    "kind": obstacle.kind.as_aws(),
                    "reason": obstacle.reason,
                    "remedy": obstacle.remedy,
                })
            })
            .collect();
        json!({
            "version": VERSIONS.first(),
            "notice": self.notice,
            "stack": self.stack,
            "repository": self.repository,
            "target": self.target,
            "state": self.state.as_aws(),
            "since": self.since,
            "seen": self.seen,
            "last-equal": self.last_equal,
            "obstacles": obstacles,
            "obstacles-left-out": self.left_out,
        })
    }

    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        check_version(detail)?;
        let target = detail.text("target", "the address of a copy")?;
        if target.chars().count() > LONGEST_TARGET || target.chars().any(char::is_control) {
            return Err(detail.invalid("target", "it is too long, or holds a control character"));
        }
        let obstacles = detail.list("obstacles")?;
        if obstacles.len() > MOST_OBSTACLES {
            return Err(detail.invalid("obstacles", format!("there are more than {MOST_OBSTACLES}")));
        }
        let obstacles = obstacles.iter().map(|item| Obstacle::parse(&item.object()?));
        Ok(Self {
            notice: notice(detail)?,
            stack: detail.name("stack")?,
            repository: detail.name("repository")?,
            target: target.to_owned(),
            state: detail.word("state")?,
            since: time(detail, "since")?.ok_or_else(|| detail.missing("since", "a time"))?,
            seen: time(detail, "seen")?.ok_or_else(|| detail.missing("seen", "a time"))?,
            last_equal: time(detail, "last-equal")?,
            obstacles: obstacles.collect::<Result<_, _>>()?,
            left_out: detail.optional_count("obstacles-left-out")?.unwrap_or_default(),
        })
    }
}

impl Obstacle {
    fn parse(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (reason, remedy) = (fields.text("reason", "a sentence")?, fields.optional_text("remedy")?);
        let whole = Self::of_copy(fields.word("kind")?, reason, remedy.unwrap_or_default());
        Ok(Self { reference: fields.optional_text("ref")?.map(shortened), ..whole })
    }
}

fn check_version(detail: &Fields<'_>) -> Result<(), ParseError> {
    let version = detail.text("version", "the version of an event of Signalbox")?;
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(ParseError::Unknown { field: detail.at("version"), value: cut(version), known: VERSIONS })
}

/// Held to its form, since it becomes the name of a ledger entry: that of no other event looks like it.
fn notice(detail: &Fields<'_>) -> Result<EventId, ParseError> {
    let notice: EventId = detail.name("notice")?;
    match notice.as_str().strip_prefix("notice-") {
        Some(digest) if digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(notice),
        _ => Err(detail.invalid("notice", "it is not \"notice-\" and 32 hex digits")),
    }
}

fn time(detail: &Fields<'_>, key: &str) -> Result<Option<Timestamp>, ParseError> {
    let read = |text: &str| text.parse().map_err(|_| detail.invalid(key, format!("{:?} is no time", cut(text))));
    detail.optional_text(key)?.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> ReplicaStateChange {
        let at = |second| Timestamp::from_second(second).unwrap();
        ReplicaStateChange {
            notice: EventId::of_notice(7),
            stack: StackName::parse("signalbox").unwrap(),
            repository: RepositoryName::parse("payments").unwrap(),
            target: "codecommit://eu-central-1/payments".to_owned(),
            state: ReplicaState::Changed,
            since: at(1_000),
            seen: at(2_000),
            last_equal: Some(at(900)),
            obstacles: vec![
                Obstacle::of_ref("refs/heads/main", ObstacleKind::Diverged, "it diverged", "Reset the copy"),
                Obstacle::of_copy(ObstacleKind::Unusable, "there is no such repository", ""),
            ],
            left_out: 3,
        }
    }

    fn read(detail: &Value) -> Result<ReplicaStateChange, ParseError> {
        ReplicaStateChange::parse(&Fields::root(detail.as_object().unwrap()))
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&change().to_detail()).unwrap(), change());
        let equal = ReplicaStateChange { obstacles: Vec::new(), left_out: 0, last_equal: None, ..change() };
        assert_eq!(read(&equal.to_detail()).unwrap(), equal);
    }

    #[test]
    fn another_version_a_foreign_id_and_too_much_are_refused() {
        for (key, value, told) in [
            ("version", json!("2"), "version is \"2\"; expected one of 1"),
            ("notice", json!("6f1d2f5e-0000-4000-8000-000000000000"), "notice cannot be used"),
            ("obstacles", json!(vec![json!({ "kind": "DIVERGED", "reason": "x" }); 21]), "more than 20"),
            ("target", json!("x\ny"), "target cannot be used"),
            ("since", json!("yesterday"), "is no time"),
            ("state", json!("LOST"), "expected one of FAILED"),
        ] {
            let mut detail = change().to_detail();
            detail[key] = value;
            let refused = read(&detail).unwrap_err().to_string();
            assert!(refused.contains(told), "{key}: {refused}");
        }
    }

    #[test]
    fn a_commit_that_moves_is_no_other_obstacle_and_another_refusal_is() {
        let diverged = |reason: &str| Obstacle::of_ref("refs/heads/main", ObstacleKind::Diverged, reason, "");
        assert!(diverged("at 1a2b3c4").is_same(&diverged("at 5d6e7f8")));
        let refused = |reason: &str| Obstacle::of_ref("refs/heads/main", ObstacleKind::Refused, reason, "");
        assert!(!refused("too large").is_same(&refused("protected")));
    }
}
