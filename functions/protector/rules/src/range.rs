//! The facts of a range of commits: what arrived, however it came.

use serde::{Deserialize, Serialize};
use signalbox_events::CommitId;

use crate::secrets::SecretHit;
use crate::signature::Signature;

/// A report keeps at most this many commits and files of a range.
const REPORTED: usize = 500;

/// Commits that arrive, and the files that they bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The commits, in no promised order.
    pub commits: Vec<CommitFacts>,
    /// The files that are new, changed or moved.
    pub files: Vec<FileFacts>,
    /// What could not be looked at, each as a sentence: it is told and never taken for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// How many commits and files a report left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// A commit that arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitFacts {
    /// Its id.
    pub id: CommitId,
    /// Its parents, first parent first.
    pub parents: Vec<CommitId>,
    /// The whole message.
    pub message: String,
    /// The author's e-mail address: claimed, not proven.
    pub author: String,
    /// The committer's e-mail address: claimed, not proven.
    pub committer: String,
    /// Its signature.
    #[serde(default, skip_serializing_if = "Signature::is_not_read")]
    pub signature: Signature,
}

/// A file that arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The commit that brings it; the last of the range where it is not known which one did.
    pub commit: CommitId,
    /// Where it lies.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes; `None` where it was not looked at.
    pub size: Option<u64>,
    /// What was found in it; `None` where it was not looked into.
    pub content: Option<Content>,
    /// A path beside it that differs in nothing but the case of its letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collides_with: Option<String>,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file, executable or not.
    File,
    /// A symbolic link.
    Symlink {
        /// Where it leads, as it says; `None` where it was not looked at.
        target: Option<String>,
    },
    /// A submodule.
    Submodule {
        /// Its address in `.gitmodules`; `None` where there is none for its path.
        address: Option<String>,
    },
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Text or not, as git tells them apart.
    pub form: Form,
    /// Texts that look like credentials: which kind and where, never the text.
    pub secrets: Vec<SecretHit>,
}

/// Text or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Text.
    Text,
    /// A NUL byte is among the first 8,000.
    Binary,
}

impl Form {
    /// As git does it: a NUL byte among the first 8,000 bytes is no text.
    pub fn of(content: &[u8]) -> Self {
        if content.iter().take(8_000).any(|byte| *byte == 0) { Self::Binary } else { Self::Text }
    }
}

impl Range {
    /// The range as a report keeps it: of long ones the beginning.
    #[must_use]
    pub fn for_report(&self) -> Self {
        let beyond = |count: usize| count.saturating_sub(REPORTED);
        Self {
            commits: self.commits.iter().take(REPORTED).cloned().collect(),
            files: self.files.iter().take(REPORTED).cloned().collect(),
            unread: self.unread.iter().take(REPORTED).cloned().collect(),
            left_out: beyond(self.commits.len()) + beyond(self.files.len()),
        }
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
