//! What the protector tells people of a move of a protected ref, and of the protection itself.
//!
//! It says what is wrong and where, never what is in the commits: those are in quarantine, and mail goes to many.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{VERSIONS, check_version, notice, shortened, time};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, CommitId, EventId, RefName, RepositoryName, StackName};
use crate::words::words;

/// A protected ref was put back, or is not as it should be; or a protection was bypassed or weakened.
pub const PROTECTION: &str = "Signalbox Protection State Change";

/// An event tells of at most this many findings.
pub const MOST_FINDINGS_TOLD: usize = 20;

/// An event says why in at most this many sentences.
const MOST_REASONS: usize = 10;

/// What became of a protected ref, or of the protection itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectionStateChange {
    /// What is told; the envelope has it as its id, too.
    pub notice: EventId,
    /// The stack that tells it.
    pub stack: StackName,
    /// The repository.
    pub repository: RepositoryName,
    /// What of it is protected.
    pub about: Protected,
    /// The full name of the ref, where it is about one.
    pub reference: Option<RefName>,
    /// What became of it.
    pub state: ProtectionState,
    /// The id under which the protector's ledger has it.
    pub entry: EventId,
    /// Who did what is told, where that is known.
    pub by: Option<Arn>,
    /// When they did it.
    pub at: Option<Timestamp>,
    /// When this was decided.
    pub seen: Timestamp,
    /// Where the ref was before.
    pub old: Option<CommitId>,
    /// Where they moved it.
    pub new: Option<CommitId>,
    /// The branch that keeps what was undone.
    pub kept: Option<RefName>,
    /// Why it came to this, and what a person can do: sentences without their full stop.
    pub why: Vec<String>,
    /// What is wrong.
    pub findings: Vec<ProtectionFinding>,
    /// How many more there are.
    pub left_out: u64,
    /// How much of the same person was not told before this.
    pub untold: u64,
}

words! {
    /// What is protected.
    Protected {
        /// A branch or tag.
        Ref = "REF",
        /// Which branch is the default one.
        DefaultBranch = "DEFAULT_BRANCH",
        /// The rules that pull requests are approved by, and the templates they come from.
        ApprovalRules = "APPROVAL_RULES",
        /// The repository's own triggers.
        RepositoryTriggers = "REPOSITORY_TRIGGERS",
        /// Who may push, as IAM says.
        PushPermissions = "PUSH_PERMISSIONS",
    }
}

words! {
    /// What became of it.
    ProtectionState {
        /// It was put back.
        Restored = "RESTORED",
        /// It would be put back, were the policy enforced.
        WouldRestore = "WOULD_RESTORE",
        /// It is not as it should be, and stays so.
        Violated = "VIOLATED",
        /// Somebody may do it all the same, and is asked for a reason.
        Bypassed = "BYPASSED",
        /// The protection itself was weakened.
        Weakened = "WEAKENED",
        /// Something undoes it each time that it is put back.
        Contested = "CONTESTED",
        /// It could not be judged, or not be put back.
        Failed = "FAILED",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectionFinding {
    /// The rule, as the policy file calls it, such as `force-push` or `files.max_size`.
    pub rule: String,
    /// The protection that asks for it: its name, or the line of the policy file.
    pub protection: String,
    /// The commit, where it is one.
    pub commit: Option<CommitId>,
    /// The file, where it is one.
    pub path: Option<String>,
    /// What is wrong, as a sentence without its full stop.
    pub wrong: String,
    /// How it is mended, as a sentence without its full stop.
    pub remedy: String,
}

impl ProtectionStateChange {
    /// The detail, as [`ProtectionStateChange::parse`] reads it.
    pub fn to_detail(&self) -> Value {
        let findings: Vec<Value> =
            self.findings.iter().take(MOST_FINDINGS_TOLD).map(ProtectionFinding::to_value).collect();
        let left_out = self.findings.len().saturating_sub(MOST_FINDINGS_TOLD);
        json!({
            "version": VERSIONS.first(),
            "notice": self.notice,
            "stack": self.stack,
            "repository": self.repository,
            "about": self.about.as_aws(),
            "ref": self.reference,
            "state": self.state.as_aws(),
            "entry": self.entry,
            "by": self.by,
            "at": self.at,
            "seen": self.seen,
            "old": self.old,
            "new": self.new,
            "kept": self.kept,
            "why": self.why.iter().take(MOST_REASONS).map(|why| shortened(why)).collect::<Vec<_>>(),
            "findings": findings,
            "findings-left-out": self.left_out.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX)),
            "untold": self.untold,
        })
    }

    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        check_version(detail)?;
        let findings = detail.list("findings")?;
        if findings.len() > MOST_FINDINGS_TOLD {
            return Err(detail.invalid("findings", format!("there are more than {MOST_FINDINGS_TOLD}")));
        }
        let why = detail.texts("why")?;
        if why.len() > MOST_REASONS {
            return Err(detail.invalid("why", format!("there are more than {MOST_REASONS}")));
        }
        let findings = findings.iter().map(|item| ProtectionFinding::parse(&item.object()?));
        Ok(Self {
            notice: notice(detail)?,
            stack: detail.name("stack")?,
            repository: detail.name("repository")?,
            about: detail.word("about")?,
            reference: detail.optional_name("ref")?,
            state: detail.word("state")?,
            entry: detail.name("entry")?,
            by: detail.optional_name("by")?,
            at: time(detail, "at")?,
            seen: time(detail, "seen")?.ok_or_else(|| detail.missing("seen", "a time"))?,
            old: detail.optional_name("old")?,
            new: detail.optional_name("new")?,
            kept: detail.optional_name("kept")?,
            why: why.iter().map(|why| shortened(why)).collect(),
            findings: findings.collect::<Result<_, _>>()?,
            left_out: detail.optional_count("findings-left-out")?.unwrap_or_default(),
            untold: detail.optional_count("untold")?.unwrap_or_default(),
        })
    }
}

impl ProtectionFinding {
    fn to_value(&self) -> Value {
        json!({
            "rule": shortened(&self.rule),
            "protection": shortened(&self.protection),
            "commit": self.commit,
            "path": self.path.as_deref().map(shortened),
            "wrong": shortened(&self.wrong),
            "remedy": shortened(&self.remedy),
        })
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            rule: shortened(fields.text("rule", "the rule's name")?),
            protection: shortened(fields.text("protection", "the protection's name or line")?),
            commit: fields.optional_name("commit")?,
            path: fields.optional_text("path")?.map(shortened),
            wrong: shortened(fields.text("wrong", "a sentence")?),
            remedy: shortened(fields.optional_text("remedy")?.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> ProtectionStateChange {
        let at = |second| Timestamp::from_second(second).unwrap();
        ProtectionStateChange {
            notice: EventId::of_notice(7),
            stack: StackName::parse("signalbox").unwrap(),
            repository: RepositoryName::parse("payments").unwrap(),
            about: Protected::Ref,
            reference: Some(RefName::parse("refs/heads/main").unwrap()),
            state: ProtectionState::Restored,
            entry: EventId::parse("7f0d").unwrap(),
            by: Some(Arn::parse("arn:aws:iam::111122223333:user/developer").unwrap()),
            at: Some(at(1_000)),
            seen: at(1_001),
            old: Some(CommitId::parse("a".repeat(40)).unwrap()),
            new: None,
            kept: None,
            why: vec!["it is put back".to_owned()],
            findings: vec![ProtectionFinding {
                rule: "deletion".to_owned(),
                protection: "line 4".to_owned(),
                commit: None,
                path: None,
                wrong: "it must not be deleted".to_owned(),
                remedy: String::new(),
            }],
            left_out: 2,
            untold: 3,
        }
    }

    fn read(detail: &Value) -> Result<ProtectionStateChange, ParseError> {
        ProtectionStateChange::parse(&Fields::root(detail.as_object().unwrap()))
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&change().to_detail()).unwrap(), change());
    }

    #[test]
    fn what_is_too_much_is_counted_and_a_sentence_is_cut() {
        let finding = ProtectionFinding { wrong: "x".repeat(5_000), ..change().findings[0].clone() };
        let many = ProtectionStateChange { findings: vec![finding; 30], ..change() };
        let there = read(&many.to_detail()).unwrap();
        assert_eq!((there.findings.len(), there.left_out, there.findings[0].wrong.len()), (20, 12, 1_000));
    }

    #[test]
    fn another_version_a_foreign_id_and_unknown_words_are_refused() {
        for (key, value, told) in [
            ("version", json!("2"), "expected one of 1"),
            ("notice", json!("7f0d"), "notice cannot be used"),
            ("state", json!("LOST"), "expected one of RESTORED"),
            ("about", json!("EVERYTHING"), "expected one of REF"),
            ("ref", json!("main"), "refs/heads/main"),
            ("findings", json!(vec![json!({}); 21]), "more than 20"),
            ("why", json!(vec!["x"; 11]), "more than 10"),
        ] {
            let mut detail = change().to_detail();
            detail[key] = value;
            let refused = read(&detail).unwrap_err().to_string();
            assert!(refused.contains(told), "{key}: {refused}");
        }
    }
}
