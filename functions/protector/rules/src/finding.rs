//! What is wrong with a range of commits, and every sentence about it.

use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_events::CommitId;

use crate::secrets::SecretKind;
use crate::signature::Unsigned;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The commit, where it is one.
    pub commit: Option<CommitId>,
    /// The file, where it is one.
    pub path: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong. Its rule's name is the key of the policy that asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The message lacks what it must have.
    Message {
        /// The expression.
        pattern: String,
    },
    /// The message has what it must not have.
    ForbiddenMessage {
        /// The expression.
        pattern: String,
    },
    /// The author's address is none of the allowed.
    Author {
        /// The address.
        email: String,
        /// The expressions.
        patterns: Vec<String>,
    },
    /// The committer's address is none of the allowed.
    Committer {
        /// The address.
        email: String,
        /// The expressions.
        patterns: Vec<String>,
    },
    /// A merge commit, where the history must be linear.
    Merge,
    /// It must be signed, and is not, or not as it must be.
    Signature(Unsigned),
    /// The file must not be here.
    ForbiddenPath {
        /// The pattern.
        pattern: String,
    },
    /// The file is too large.
    TooLarge {
        /// Its length.
        size: u64,
        /// The longest that is allowed.
        most: u64,
    },
    /// The file is no text.
    Binary,
    /// The symbolic link leads out of the tree.
    EscapingSymlink {
        /// Where it leads.
        target: String,
    },
    /// A submodule.
    Submodule,
    /// A submodule whose address is none of the allowed.
    SubmoduleAddress {
        /// The address; `None` where `.gitmodules` has none for it.
        address: Option<String>,
    },
    /// Another path differs in nothing but case.
    CaseCollision {
        /// The other path.
        with: String,
    },
    /// Something looks like a credential.
    Secret {
        /// Which kind.
        kind: SecretKind,
        /// In which line.
        line: usize,
    },
    /// It could not be looked at.
    Unread {
        /// Why, as a sentence.
        why: String,
    },
}

impl Fault {
    /// The rule, as the policy file names it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Message { .. } => "commits.message",
            Self::ForbiddenMessage { .. } => "commits.forbid_message",
            Self::Author { .. } => "commits.author",
            Self::Committer { .. } => "commits.committer",
            Self::Merge => "commits.history",
            Self::Signature(_) => "commits.signed",
            Self::ForbiddenPath { .. } => "files.forbid",
            Self::TooLarge { .. } => "files.max_size",
            Self::Binary => "files.reject binary",
            Self::EscapingSymlink { .. } => "files.reject escaping-symlink",
            Self::Submodule => "files.reject submodule",
            Self::SubmoduleAddress { .. } => "files.submodules",
            Self::CaseCollision { .. } => "files.reject case-collision",
            Self::Secret { .. } => "files.reject secret",
            Self::Unread { .. } => "unread",
        }
    }

    /// How whoever made it mends it.
    pub fn repair(&self) -> &'static str {
        match self {
            Self::Message { .. } | Self::ForbiddenMessage { .. } => {
                "reword it: git commit --amend, or git rebase -i for an older commit"
            }
            Self::Author { .. } => {
                "set the address (git config user.email) and take it over: git commit --amend --reset-author, or git rebase -i"
            }
            Self::Committer { .. } => {
                "set the address (git config user.email) and commit again: git rebase --force-rebase onto the branch"
            }
            Self::Signature(unsigned) => unsigned.repair(),
            Self::Merge => "put your commits on top of the branch instead: git pull --rebase",
            Self::ForbiddenPath { .. } | Self::TooLarge { .. } | Self::Binary => {
                "take it out of each commit that has it: git rm --cached, then git commit --amend, or git rebase -i"
            }
            Self::EscapingSymlink { .. } => "let it lead to something inside the repository",
            Self::Submodule => "take it out (git rm) or have its files in the repository",
            Self::SubmoduleAddress { .. } => "give it an allowed address in .gitmodules",
            Self::CaseCollision { .. } => "rename one of the two: git mv",
            Self::Secret { .. } => {
                "take it back where it was issued, since it was seen; then take it out of each commit. If it is none, allow its text by \
                 files.allow_secrets"
            }
            Self::Unread { .. } => "push it in smaller parts",
        }
    }
}

/// What is wrong, as the rest of a sentence.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { pattern } => write!(f, "the message does not match {pattern:?}"),
            Self::ForbiddenMessage { pattern } => write!(f, "the message matches {pattern:?}, which is forbidden"),
            Self::Author { email, patterns } => {
                write!(f, "the author's address {email:?} matches none of {}", quoted(patterns))
            }
            Self::Committer { email, patterns } => {
                write!(f, "the committer's address {email:?} matches none of {}", quoted(patterns))
            }
            Self::Signature(unsigned) => unsigned.fmt(f),
            Self::Merge => f.write_str("it is a merge commit, and the history must be linear"),
            Self::ForbiddenPath { pattern } => write!(f, "files like {pattern:?} are forbidden"),
            Self::TooLarge { size, most } => write!(f, "it has {size} bytes, and at most {most} are allowed"),
            Self::Binary => f.write_str("it is a binary file"),
            Self::EscapingSymlink { target } => write!(f, "the link leads out of the repository, to {target:?}"),
            Self::Submodule => f.write_str("it is a submodule"),
            Self::SubmoduleAddress { address: Some(address) } => {
                write!(f, "the submodule's address {address:?} is not allowed")
            }
            Self::SubmoduleAddress { address: None } => f.write_str("the submodule has no address in .gitmodules"),
            Self::CaseCollision { with } => write!(f, "only the case of letters tells it from {with:?}"),
            Self::Secret { kind, line } => write!(f, "line {line} has what looks like {}", kind.name()),
            Self::Unread { why } => f.write_str(why),
        }
    }
}

/// A finding as one sentence: the rule, where, what is wrong, how to mend it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.fault.rule())?;
        match (&self.commit, &self.path) {
            (Some(commit), Some(path)) => write!(f, "{path} in {}: ", commit.short())?,
            (Some(commit), None) => write!(f, "commit {}: ", commit.short())?,
            (None, Some(path)) => write!(f, "{path}: ")?,
            (None, None) => {}
        }
        write!(f, "{}. To mend it, {}", self.fault, self.fault.repair())
    }
}

fn quoted(patterns: &[String]) -> String {
    patterns.iter().map(|pattern| format!("{pattern:?}")).collect::<Vec<_>>().join(", ")
}
