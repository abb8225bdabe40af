//! The closed lists of words that the policy knows, each once: for the readers, for the reference, for the schema.

use crate::guard::*;
use crate::model::Mode;
use crate::trigger::*;

macro_rules! words {
    ($($(#[$doc:meta])* $list:ident: $type:ident { $($word:literal => $variant:ident),+ $(,)? })*) => {
        $($(#[$doc])* pub(crate) const $list: &[(&str, $type)] = &[$(($word, $type::$variant)),+];)*

        /// The words alone.
        pub(crate) mod names {
            $($(#[$doc])* pub(crate) const $list: &[&str] = &[$($word),+];)*
        }
    };
}

words! {
    /// `mode`
    MODE: Mode { "observe" => Observe, "enforce" => Enforce }
    /// `skip_ci`
    SKIP_CI: SkipCi { "honour" => Honour, "ignore" => Ignore }
    /// `result`
    OUTCOME: Outcome { "succeeded" => Succeeded, "failed" => Failed, "stopped" => Stopped }
    /// `on.pull_request.commit`
    PULL_REQUEST_COMMIT: PullRequestCommit { "source" => Source, "merge-result" => MergeResult }
    /// `on.pull_request.buildspec_from`
    BUILDSPEC_FROM: BuildspecFrom { "source" => Source, "target" => Target }
    /// `merge`
    MERGE: MergeStrategy { "squash" => Squash, "fast-forward" => FastForward, "three-way" => ThreeWay }
    /// `merge_result`
    MERGE_RESULT: MergeResult { "required" => Required, "optional" => Optional }
    /// `show`
    SHOW: Show { "gate" => Gate, "each-check" => EachCheck }
    /// `protection[].forbid`
    FORBIDDEN: Forbidden {
        "direct-push" => DirectPush,
        "force-push" => ForcePush,
        "deletion" => Deletion,
        "creation" => Creation,
        "update" => Update,
    }
    /// `on_violation`
    ON_VIOLATION: OnViolation { "restore" => Restore, "report" => Report }
    /// `watch`
    WATCHED: Watched {
        "default-branch" => DefaultBranch,
        "approval-rules" => ApprovalRules,
        "repository-triggers" => RepositoryTriggers,
        "push-permissions" => PushPermissions,
    }
    /// `history`
    HISTORY: History { "any" => Any, "linear" => Linear }
    /// `reject`
    REJECTED: Rejected {
        "binary" => Binary,
        "escaping-symlink" => EscapingSymlink,
        "submodule" => Submodule,
        "case-collision" => CaseCollision,
        "secret" => Secret,
    }
    /// `on_divergence`
    ON_DIVERGENCE: OnDivergence { "overwrite" => Overwrite, "keep" => Keep, "fail" => Fail }
}
