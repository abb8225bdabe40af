//! What guards a repository: approvals, protections, replicas.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{Arn, RefName, Region, RepositoryName};

use crate::names::{ArnPattern, FilePath, SecretName, TriggerName};
use crate::signing::Signed;
use crate::{ByteSize, Globs, Recipient, is_quarantined};

/// What a pull request needs before it may be merged into some branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The target branches, by short name.
    pub into: Globs,
    /// The line of the branch pattern in the policy file.
    pub line: usize,
    /// Triggers and named protections that must be green.
    pub checks: Vec<TriggerName>,
    /// The file that says who owns which paths.
    pub owners: Option<FilePath>,
    /// How many others must approve.
    pub reviewers: Option<Reviewers>,
    /// How Signalbox merges by itself; none leaves the merge to a person.
    pub merge: Option<MergeStrategy>,
    /// Whether checks must have run on the result of the merge.
    pub merge_result: MergeResult,
    /// What the console shows beside the gate.
    pub show: Show,
    /// Who may override the gate.
    pub may_override: Vec<ArnPattern>,
}

/// How many people must approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reviewers {
    /// How many; the author never counts.
    pub count: u32,
    /// Whose approval counts; empty for everybody's.
    pub from: Vec<Recipient>,
}

/// The three merges of CodeCommit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeStrategy {
    /// One new commit.
    Squash,
    /// The target moves to the source's tip.
    FastForward,
    /// A merge commit.
    ThreeWay,
}

/// Whether checks must have run on the result of the merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeResult {
    /// The tip of the source branch is enough.
    #[default]
    Optional,
    /// They must, and a push to the target branch makes them stale.
    Required,
}

/// What the console shows of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// The gate's own rule.
    #[default]
    Gate,
    /// One more rule for each check.
    EachCheck,
}

/// What must not happen to some refs, and what then follows.
///
/// Several protections can hold for one ref: all of them apply, and `on_violation` of the stricter one wins, which the
/// order of [`OnViolation`] says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protection {
    /// Its name, where a check refers to it.
    pub name: Option<TriggerName>,
    /// The line in the policy file.
    pub line: usize,
    /// The refs by full name; short names of the file are branches.
    pub refs: Globs,
    /// What is forbidden.
    pub forbid: Vec<Forbidden>,
    /// What follows.
    pub on_violation: OnViolation,
    /// Who may do it all the same, with a reason asked for afterwards.
    pub bypass: Vec<ArnPattern>,
    /// What the short name of such a ref must look like.
    pub names: Option<Pattern>,
    /// What every commit that arrives must look like.
    pub commits: Option<CommitRules>,
    /// What every file that arrives must look like.
    pub files: Option<FileRules>,
    /// What else is watched, so that the protection cannot be undone around git.
    pub watch: Vec<Watched>,
}

impl Protection {
    /// Whether it holds for this ref; never below the quarantine prefix.
    pub fn covers(&self, name: &RefName) -> bool {
        !is_quarantined(name) && self.refs.matches(name.as_str())
    }

    /// Whether it says anything about the commits and files that arrive, so that it can judge a pull request.
    pub fn has_range_rules(&self) -> bool {
        self.commits.is_some() || self.files.is_some()
    }

    /// The SHA-256 of all that it says about commits and files: what was judged by rules with another one has to be judged anew.
    pub fn range_rules(&self) -> String {
        hex::encode(Sha256::digest(serde_json::json!([self.commits, self.files]).to_string()))
    }
}

/// What a protection forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forbidden {
    /// A push that no pull request brought.
    DirectPush,
    /// A push that drops commits.
    ForcePush,
    /// The end of the ref.
    Deletion,
    /// The beginning of such a ref.
    Creation,
    /// Any change of an existing ref, as for immutable tags.
    Update,
}

/// What follows a violation; the later is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// It is told.
    Report,
    /// The ref is put back, and it is told.
    #[default]
    Restore,
}

/// What a protection watches beside the refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watched {
    /// The repository's default branch.
    DefaultBranch,
    /// Approval-rule templates and rules.
    ApprovalRules,
    /// The repository's own triggers.
    RepositoryTriggers,
    /// Roles that may push to the protected refs.
    PushPermissions,
}

/// Rules for the commits that arrive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CommitRules {
    /// Each must be found in the message.
    pub message: Vec<Pattern>,
    /// None may be found in the message.
    pub forbid_message: Vec<Pattern>,
    /// One must be found in the author's e-mail address; empty allows all.
    pub author: Vec<Pattern>,
    /// One must be found in the committer's e-mail address; empty allows all.
    pub committer: Vec<Pattern>,
    /// Whether merge commits may arrive.
    pub history: History,
    /// Whether commits must be signed, and by whom.
    pub signed: Option<Signed>,
}

/// What shape the history may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Any.
    #[default]
    Any,
    /// No merge commits.
    Linear,
}

/// Rules for the files that arrive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileRules {
    /// Paths that must not arrive; a pattern without a slash holds in every folder.
    pub forbid: Option<Globs>,
    /// The largest file.
    pub max_size: Option<ByteSize>,
    /// Kinds of content that must not arrive.
    pub reject: Vec<Rejected>,
    /// Texts that look like credentials and are none.
    pub allow_secrets: Vec<Pattern>,
    /// Addresses that submodules may have, with `:/` for `://`; none for all.
    pub submodules: Option<Globs>,
}

impl FileRules {
    /// Whether a submodule may have this address, as `.gitmodules` gives it.
    pub fn allows_submodule(&self, address: &str) -> bool {
        // A glob knows no empty segment, so the two slashes of an address are one on both sides.
        self.submodules.as_ref().is_none_or(|globs| globs.matches(&address.replacen("://", ":/", 1)))
    }
}

/// A kind of content that must not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejected {
    /// Binary files.
    Binary,
    /// Symlinks that lead out of the tree.
    EscapingSymlink,
    /// Submodules.
    Submodule,
    /// Two paths that differ in case only.
    CaseCollision,
    /// Credentials.
    Secret,
}

/// A regular expression, checked, and compiled when the policy is read.
///
/// The engine takes time linear in the text, whatever the expression: a policy cannot make it explode.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Compiles; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        regex::RegexBuilder::new(text).size_limit(1 << 20).nest_limit(64).build().map(Self)
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is found anywhere in the text.
    pub fn is_found_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;
    fn try_from(text: String) -> Result<Self, regex::Error> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.as_str().to_owned()
    }
}

/// A copy to keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// The line in the policy file.
    pub line: usize,
    /// Where the copy is.
    pub to: Target,
    /// Which refs are copied, by full name.
    pub refs: Globs,
    /// Refs, or prefixes of refs, that have another name in the copy.
    pub map: Vec<Mapping>,
    /// Whether a ref that ends here ends there.
    pub deletions: Deletions,
    /// What happens to commits in the copy that were never here.
    pub on_divergence: OnDivergence,
    /// Whether a missing target is made.
    pub create: Create,
}

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `codecommit://REGION/NAME`
    CodeCommit {
        /// The region.
        region: Region,
        /// The repository.
        repository: TargetName,
        /// The role to assume in another account.
        role: Option<Role>,
    },
    /// `https://HOST/PATH`
    Https {
        /// The address, without user name and password; may hold `{repository}`.
        url: String,
        /// The secret that holds the token.
        credentials: SecretName,
    },
    /// `s3://BUCKET/PREFIX`: a bundle that `git clone` accepts.
    Bundle {
        /// The bucket.
        bucket: String,
        /// The key; may hold `{repository}`.
        key: String,
        /// The role to assume in another account.
        role: Option<Role>,
    },
}

/// The name of a target repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetName {
    /// This one.
    Fixed(RepositoryName),
    /// The name of the source, with something before and behind it: written with `{repository}`.
    LikeSource {
        /// Before the name.
        prefix: String,
        /// Behind the name.
        suffix: String,
    },
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The role.
    pub arn: Arn,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
}

/// A ref, or a prefix of refs that ends in a slash, and its name in the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Here.
    pub from: String,
    /// There.
    pub to: String,
}

/// Whether a ref that ends here ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletions {
    /// Yes.
    #[default]
    Copy,
    /// No, the copy keeps it.
    Ignore,
}

/// What happens to commits in the copy that were never here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDivergence {
    /// The copy is made equal.
    Overwrite,
    /// The copy's ref stays.
    Keep,
    /// The ref stays and the failure is told.
    #[default]
    Fail,
}

/// Whether a missing target is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Create {
    /// A missing target is a failure.
    #[default]
    Never,
    /// A missing CodeCommit repository is made.
    WhereMissing,
}
