//! Refs: branches, the default branch, commit specifiers, and the one place where a changed ref becomes an event.

use std::path::Path;

use serde::{Deserialize, Serialize};
use signalbox_events::RefName;

use super::Nothing;
use super::events::{MergeNote, Move, RefChange, STATE_CHANGE, Subject, event_commit_id, state_change};
use super::git::GitFailure;
use super::names::{BranchName, ObjectId, check_commit_id, is_ref_name};
use super::repositories::{Held, Repositories, Repository, no_such_page};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The page of `ListBranches`; AWS does not document one.
const PAGE: usize = 1000;

/// `CreateBranch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Create {
    repository_name: Option<String>,
    branch_name: Option<String>,
    commit_id: Option<String>,
}

/// `GetBranch` and `DeleteBranch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct One {
    repository_name: Option<String>,
    branch_name: Option<String>,
}

/// `ListBranches`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct List {
    repository_name: Option<String>,
    next_token: Option<String>,
}

/// A branch and its tip.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Branch {
    branch_name: String,
    commit_id: ObjectId,
}

/// The output of `GetBranch`.
#[derive(Debug, Serialize)]
pub(super) struct OneBranch {
    branch: Branch,
}

/// The output of `DeleteBranch`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeletedBranch {
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_branch: Option<Branch>,
}

/// The output of `ListBranches`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BranchList {
    branches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// How a compare-and-swap ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Swap {
    /// The ref is what it should be, and the event is out.
    Done,
    /// The ref was not what it was thought to be; nothing changed.
    Lost,
}

impl Repositories {
    /// The short name of the branch that HEAD names, if that branch is there.
    pub(super) async fn default_branch(&self, dir: &Path) -> Answer<Option<String>> {
        let head = self.git.run(dir, &["symbolic-ref", "HEAD"], b"").await?;
        let head = String::from_utf8_lossy(&head).trim().to_owned();
        let tip = self.git.objects(dir, &[format!("{head}^{{commit}}")]).await?;
        let is_there = tip.into_iter().flatten().next().is_some();
        Ok(head.strip_prefix("refs/heads/").filter(|_| is_there).map(str::to_owned))
    }

    /// The tip of a branch.
    pub(super) async fn tip(&self, repository: &Repository, branch: &BranchName) -> Answer<ObjectId> {
        self.tip_if_there(repository, branch).await?.ok_or_else(|| {
            ServiceError::bad(
                "BranchDoesNotExistException",
                format!("there is no branch {} in {}", branch.as_str(), repository.name),
            )
        })
    }

    /// The tip of a branch that need not be there.
    pub(super) async fn tip_if_there(&self, repository: &Repository, branch: &BranchName) -> Answer<Option<ObjectId>> {
        let found = self.git.objects(&repository.dir, &[format!("{}^{{commit}}", branch.full())]).await?;
        Ok(found.into_iter().flatten().next())
    }

    /// The commit that a specifier means: a full commit id, `HEAD`, a full ref, a branch, a tag; in that order.
    pub(super) async fn commit(&self, repository: &Repository, specifier: Option<String>) -> Answer<ObjectId> {
        let specifier = specifier
            .filter(|specifier| !specifier.is_empty())
            .ok_or_else(|| ServiceError::bad("CommitRequiredException", "a commit specifier is required"))?;
        let candidates = if ObjectId::parse(&specifier).is_some() || specifier == "HEAD" {
            vec![format!("{specifier}^{{commit}}")]
        } else if !is_ref_name(&specifier) {
            return Err(ServiceError::bad("InvalidCommitException", format!("{specifier:?} names no commit")));
        } else if specifier.starts_with("refs/heads/") || specifier.starts_with("refs/tags/") {
            vec![format!("{specifier}^{{commit}}")]
        } else {
            vec![format!("refs/heads/{specifier}^{{commit}}"), format!("refs/tags/{specifier}^{{commit}}")]
        };
        let found = self.git.objects(&repository.dir, &candidates).await?;
        found.into_iter().flatten().next().ok_or_else(|| {
            ServiceError::bad(
                "CommitDoesNotExistException",
                format!("{specifier} names no commit in {}", repository.name),
            )
        })
    }

    /// Moves a branch with git's compare-and-swap and tells of it.
    pub(super) async fn swap(
        &self,
        repository: &Repository,
        branch: &BranchName,
        how: Move,
        caller: &Caller,
    ) -> Answer<Swap> {
        let swapped = self.move_branch(repository, branch, &how).await?;
        if swapped == Swap::Done {
            self.tell(repository, vec![RefChange { name: branch_ref(branch)?, how }], caller).await;
        }
        Ok(swapped)
    }

    /// The same without telling of it, which its caller must do.
    pub(super) async fn move_branch(&self, repository: &Repository, branch: &BranchName, how: &Move) -> Answer<Swap> {
        let name = branch_ref(branch)?;
        let none = ObjectId::NONE;
        let (old, new) = match how {
            Move::Created(new) => (none, new.as_str()),
            Move::Updated(old, new) => (old.as_str(), new.as_str()),
            Move::Deleted(old) => (old.as_str(), none),
        };
        let arguments = match how {
            Move::Deleted(_) => vec!["update-ref", "--no-deref", "-d", name.as_str(), old],
            _ => vec!["update-ref", "--no-deref", name.as_str(), new, old],
        };
        if let Err(failure) = self.git.run(&*repository.dir, &arguments, b"").await {
            // git's words differ between versions; what the ref is now does not.
            let now = self.tip_if_there(repository, branch).await?;
            let as_thought = now.as_ref().map_or(none, ObjectId::as_str) == old;
            if !as_thought {
                return Ok(Swap::Lost);
            }
            // A ref is a file: beside `a` there can be no `a/b`. AWS's code for it is not known.
            let in_the_way = matches!(&failure, GitFailure::Refused { stderr, .. } if stderr.contains("cannot create"));
            return Err(if in_the_way {
                ServiceError::bad("InvalidBranchNameException", format!("another branch is in the way of {name}"))
            } else {
                failure.into()
            });
        }
        Ok(Swap::Done)
    }

    /// Does what follows from refs that changed: the default branch, the date, one event for each, and what becomes of
    /// pull requests.
    ///
    /// The refs have changed already and cannot be changed back, so nothing here fails: what goes wrong is logged.
    pub(super) async fn tell(&self, repository: &Repository, changes: Vec<RefChange>, caller: &Caller) {
        if changes.is_empty() {
            return;
        }
        // Before the pull requests are held: a deletion holds the default branch while it waits for them.
        if let Err(failed) = self.settle_head(repository, &changes).await {
            tracing::error!(repo.name = %repository.name, %failed, "cannot set the default branch");
        }
        let lock = self.review_lock(repository);
        let held = lock.lock().await;
        self.tell_of(repository, changes, None, caller, &held).await;
    }

    /// The same for whoever holds the repository's pull requests and made no branch, with how CodeCommit merged, if it did.
    pub(super) async fn tell_of(
        &self,
        repository: &Repository,
        changes: Vec<RefChange>,
        merge: Option<&MergeNote>,
        caller: &Caller,
        held: &Held<'_>,
    ) {
        self.touch(&repository.name);
        let subject = Subject { name: &repository.name, id: &repository.id };
        let changes = self.as_commits(repository, changes).await;
        for change in &changes {
            tracing::debug!(repo.name = %repository.name, ref.name = %change.name, how = ?change.how, "a ref changed");
            let (resources, detail) = state_change(&self.world, &subject, change, merge, &caller.arn);
            self.publish(STATE_CHANGE, resources, detail);
        }
        self.call_triggers(repository, &changes, caller);
        self.follow(repository, &changes, caller, held).await;
    }

    /// The first branch of a repository becomes its default branch; of several at once `main`, or else the first.
    async fn settle_head(&self, repository: &Repository, changes: &[RefChange]) -> Answer<()> {
        let created: Vec<&RefName> = changes
            .iter()
            .filter(|change| change.name.as_str().starts_with("refs/heads/") && matches!(change.how, Move::Created(_)))
            .map(|change| &change.name)
            .collect();
        let Some(first) = created.first() else { return Ok(()) };
        let lock = self.head_lock(repository);
        let _held = lock.lock().await;
        // HEAD of an empty repository names `main`: if that was among them, it is there now.
        if self.default_branch(&repository.dir).await?.is_none() {
            self.git.run(&*repository.dir, &["symbolic-ref", "HEAD", first.as_str()], b"").await?;
        }
        Ok(())
    }

    async fn as_commits(&self, repository: &Repository, changes: Vec<RefChange>) -> Vec<RefChange> {
        let objects: Vec<ObjectId> = changes
            .iter()
            .filter(|change| change.name.as_str().starts_with("refs/tags/"))
            .flat_map(|change| change.how.objects().into_iter().cloned())
            .collect();
        if objects.is_empty() {
            return changes;
        }
        let expressions: Vec<String> = objects.iter().map(|id| format!("{id}^{{commit}}")).collect();
        let commits = self.git.objects(&repository.dir, &expressions).await.unwrap_or_else(|failure| {
            tracing::error!(repo.name = %repository.name, %failure, "cannot look behind a tag");
            Vec::new()
        });
        let behind: std::collections::HashMap<ObjectId, ObjectId> =
            objects.into_iter().zip(commits).filter_map(|(object, commit)| Some((object, commit?))).collect();
        let shown = |id: ObjectId| event_commit_id(&id, behind.get(&id));
        changes
            .into_iter()
            .map(|change| RefChange {
                name: change.name,
                how: match change.how {
                    Move::Created(new) => Move::Created(shown(new)),
                    Move::Updated(old, new) => Move::Updated(shown(old), shown(new)),
                    Move::Deleted(old) => Move::Deleted(shown(old)),
                },
            })
            .collect()
    }

    pub(super) async fn create_branch(&self, input: Create, caller: &Caller) -> Answer<Nothing> {
        let repository = self.named(input.repository_name)?;
        let branch = BranchName::check(input.branch_name)?;
        let commit = check_commit_id(input.commit_id)?;
        let commit = self.commit(&repository, Some(commit.to_string())).await?;
        match self.swap(&repository, &branch, Move::Created(commit), caller).await? {
            Swap::Done => Ok(Nothing {}),
            Swap::Lost => Err(ServiceError::bad(
                "BranchNameExistsException",
                format!("there is a branch {} in {} already", branch.as_str(), repository.name),
            )),
        }
    }

    pub(super) async fn get_branch(&self, input: One) -> Answer<OneBranch> {
        let repository = self.named(input.repository_name)?;
        let branch = BranchName::check(input.branch_name)?;
        let commit_id = self.tip(&repository, &branch).await?;
        Ok(OneBranch { branch: Branch { branch_name: branch.as_str().to_owned(), commit_id } })
    }

    pub(super) async fn list_branches(&self, input: List) -> Answer<BranchList> {
        let repository = self.named(input.repository_name)?;
        let branches = self.all_branches(&repository).await?;
        let listing = self.world.listing("codecommit:ListBranches", &[&repository.id]);
        let branches = branches.into_iter().map(|name| (name.clone(), name));
        let (branches, next_token) =
            listing.page(branches, Order::Ascending, PAGE, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(BranchList { branches, next_token })
    }

    /// The short names of all branches, in order.
    pub(super) async fn all_branches(&self, repository: &Repository) -> Answer<Vec<String>> {
        let output =
            self.git.run(&*repository.dir, &["for-each-ref", "--format=%(refname)", "refs/heads/"], b"").await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().filter_map(|name| name.strip_prefix("refs/heads/")).map(str::to_owned).collect())
    }

    /// A branch that is not there is no error, as the model knows none for it.
    pub(super) async fn delete_branch(&self, input: One, caller: &Caller) -> Answer<DeletedBranch> {
        let repository = self.named(input.repository_name)?;
        let branch = BranchName::check(input.branch_name)?;
        let lock = self.head_lock(&repository);
        let held = lock.lock().await;
        if self.default_branch(&repository.dir).await?.as_deref() == Some(branch.as_str()) {
            return Err(ServiceError::bad(
                "DefaultBranchCannotBeDeletedException",
                format!(
                    "{} is the default branch of {}; make another one the default first",
                    branch.as_str(),
                    repository.name
                ),
            ));
        }
        loop {
            let Some(commit_id) = self.tip_if_there(&repository, &branch).await? else {
                return Ok(DeletedBranch { deleted_branch: None });
            };
            // Lost means that it was pushed to just now: what is deleted is then what was pushed.
            if self.swap(&repository, &branch, Move::Deleted(commit_id.clone()), caller).await? == Swap::Done {
                drop(held);
                let branch_name = branch.as_str().to_owned();
                return Ok(DeletedBranch { deleted_branch: Some(Branch { branch_name, commit_id }) });
            }
        }
    }
}

/// The full name of a branch as events have it.
pub(super) fn branch_ref(branch: &BranchName) -> Answer<RefName> {
    RefName::branch(branch.as_str()).map_err(|wrong| ServiceError::bad("InvalidBranchNameException", wrong.to_string()))
}
