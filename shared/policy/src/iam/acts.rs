//! What somebody may try on a protected ref, and who stands in the way.

use std::collections::BTreeSet;

use super::{CREATES, DELETES, ENDS_ALL, MERGES, PUSH, Reach, WEAKENS_RULES, WRITES};
use crate::{Forbidden, OnViolation, Protection, Watched};

/// What somebody may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `git push` of commits.
    Push,
    /// Commits, files and branch merges through the console or the API.
    Write,
    /// `git push --force`
    Force,
    /// A pull request's merge.
    Merge,
    /// `git push` of a ref that was not there.
    CreateByPush,
    /// `CreateBranch`
    Create,
    /// `git push --delete`
    DeleteByPush,
    /// `DeleteBranch`
    Delete,
    /// Deleting or renaming the repository.
    EndRepository,
    /// Another default branch.
    DefaultBranch,
    /// Weakening approval rules, and overriding them.
    ApprovalRules,
    /// Changing the repository's triggers.
    RepositoryTriggers,
    /// Giving somebody the permission to push.
    PushPermissions,
    /// Bringing what the rules for names, commits and files forbid.
    Content,
}

/// Who may still do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum May {
    /// Whomever IAM lets otherwise.
    Anybody,
    /// Nobody but the stack itself.
    Nobody,
    /// These, as the policy names them.
    Only(Vec<String>),
}

/// Who stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nobody: it is not forbidden.
    Nobody,
    /// IAM refuses it.
    Iam,
    /// IAM refuses it beside what the policy forbids, because it cannot tell the two apart.
    IamToo,
    /// The protector puts it back.
    Mends,
    /// The protector tells of it.
    Tells,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What somebody may try.
    pub act: Act,
    /// Who may still do it.
    pub may: May,
    /// Who stands in the way of the others.
    pub guard: Guard,
}

/// Whether no push at all may pass.
///
/// IAM cannot tell a push that creates from one that changes or deletes. So it refuses pushes only where the policy forbids
/// them as such, or all that a push can do.
pub(crate) fn refuses_pushes(protection: &Protection) -> bool {
    let has = |word| protection.forbid.contains(&word);
    has(Forbidden::DirectPush) || (has(Forbidden::Creation) && has(Forbidden::Update) && has(Forbidden::Deletion))
}

/// The actions that are denied on the refs themselves.
pub(super) fn on_refs(protection: &Protection) -> BTreeSet<&'static str> {
    let has = |word| protection.forbid.contains(&word);
    let mut actions = BTreeSet::new();
    if refuses_pushes(protection) {
        actions.insert(PUSH);
    }
    if has(Forbidden::DirectPush) || has(Forbidden::Update) {
        actions.extend(WRITES);
    }
    if has(Forbidden::Update) {
        actions.insert(MERGES);
    }
    if has(Forbidden::Creation) {
        actions.insert(CREATES);
    }
    if has(Forbidden::Deletion) {
        actions.insert(DELETES);
    }
    actions
}

/// The actions that are denied on the repository, because they would undo the protection.
pub(super) fn on_repository(protection: &Protection) -> BTreeSet<&'static str> {
    let watches = |word| protection.watch.contains(&word);
    let mut actions = BTreeSet::new();
    if protection.forbid.contains(&Forbidden::Deletion) {
        actions.extend(ENDS_ALL);
    }
    if watches(Watched::DefaultBranch) {
        actions.insert("codecommit:UpdateDefaultBranch");
    }
    if watches(Watched::ApprovalRules) {
        actions.extend(WEAKENS_RULES);
    }
    if watches(Watched::RepositoryTriggers) {
        actions.insert("codecommit:PutRepositoryTriggers");
    }
    actions
}

/// Who may still do what, where IAM reaches that far.
pub(super) fn rows(protection: &Protection, reach: Reach) -> Vec<Row> {
    let has = |word| protection.forbid.contains(&word);
    let told = protection.on_violation == OnViolation::Report;
    let may = || match protection.bypass.as_slice() {
        [] => May::Nobody,
        bypass => May::Only(bypass.iter().map(|pattern| pattern.as_str().to_owned()).collect()),
    };
    let row = |act, forbidden: bool, denied: bool| {
        let is_on_ref =
            !matches!(act, Act::EndRepository | Act::DefaultBranch | Act::ApprovalRules | Act::RepositoryTriggers);
        let is_said = reach >= if is_on_ref { Reach::Refs } else { Reach::Repositories };
        let guard = match (forbidden, denied && is_said && !told) {
            (true, _) if told => Guard::Tells,
            (true, true) => Guard::Iam,
            (true, false) => Guard::Mends,
            (false, true) => Guard::IamToo,
            (false, false) => Guard::Nobody,
        };
        Row { act, may: if guard == Guard::Nobody { May::Anybody } else { may() }, guard }
    };
    let pushes = refuses_pushes(protection);
    let has_branches =
        protection.refs.patterns().iter().any(|glob| !glob.starts_with('!') && super::can_be_branch(glob))
            || protection.refs.patterns().first().is_some_and(|first| first.starts_with('!'));
    let (direct, update) = (has(Forbidden::DirectPush), has(Forbidden::Update));
    let mut rows = Vec::new();
    if !protection.forbid.is_empty() {
        rows.push(row(Act::Push, direct || update, pushes));
        if has_branches {
            rows.push(row(Act::Write, direct || update, direct || update));
        }
        rows.push(row(Act::Force, direct || update || has(Forbidden::ForcePush), pushes));
        if has_branches {
            rows.push(row(Act::Merge, update, update));
        }
        rows.push(row(Act::CreateByPush, has(Forbidden::Creation), pushes));
        if has_branches {
            rows.push(row(Act::Create, has(Forbidden::Creation), has(Forbidden::Creation)));
        }
        rows.push(row(Act::DeleteByPush, has(Forbidden::Deletion), pushes));
        if has_branches {
            rows.push(row(Act::Delete, has(Forbidden::Deletion), has(Forbidden::Deletion)));
        }
        if has(Forbidden::Deletion) {
            rows.push(row(Act::EndRepository, true, true));
        }
    }
    for (word, act) in [
        (Watched::DefaultBranch, Act::DefaultBranch),
        (Watched::ApprovalRules, Act::ApprovalRules),
        (Watched::RepositoryTriggers, Act::RepositoryTriggers),
    ] {
        if protection.watch.contains(&word) {
            rows.push(row(act, true, true));
        }
    }
    let by_hand = |act, guard| Row { act, may: may(), guard };
    if protection.watch.contains(&Watched::PushPermissions) {
        rows.push(by_hand(Act::PushPermissions, Guard::Tells));
    }
    if protection.names.is_some() || protection.commits.is_some() || protection.files.is_some() {
        rows.push(by_hand(Act::Content, if told { Guard::Tells } else { Guard::Mends }));
    }
    rows
}
