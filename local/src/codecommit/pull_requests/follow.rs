//! What becomes of pull requests when a branch moves: a new revision, a merge that was made by a push, the end.

use std::collections::{BTreeMap, HashSet};

use signalbox_events::{MergeOption, RefName};

use super::super::events::{Move, RefChange};
use super::super::names::ObjectId;
use super::super::repositories::{Held, Repositories, Repository};
use super::news::News;
use super::state::{End, PullRequest, Revision, What};
use crate::auth::Caller;
use crate::error::Answer;

impl Repositories {
    /// Lets all open pull requests follow what their branches did while nobody looked.
    ///
    /// A cloud that was killed may have moved a branch and not have saved what followed. Who did it is not known any more:
    /// the account did.
    pub(in crate::codecommit) async fn catch_up(&self) {
        let caller = Caller { arn: format!("arn:aws:iam::{}:root", self.world.account), access_key_id: String::new() };
        let open: Vec<PullRequest> = self.pull_requests.read(|all| all.open().cloned().collect());
        let mut branches = BTreeMap::new();
        for one in open {
            let recorded = [(one.source, one.revision.source_commit), (one.destination, one.destination_commit)];
            for (branch, commit) in recorded {
                branches.insert((one.repository_id.clone(), branch), commit);
            }
        }
        for ((id, branch), commit) in branches {
            let (Some(repository), Ok(name)) = (self.with_id(&id), RefName::parse(branch)) else { continue };
            let change = RefChange { name, how: Move::Updated(commit.clone(), commit) };
            let lock = self.review_lock(&repository);
            let held = lock.lock().await;
            self.follow(&repository, &[change], &caller, &held).await;
        }
    }

    /// Lets the open pull requests of a repository follow what happened to its refs.
    ///
    /// What happened is told already and cannot be undone, so nothing here fails: what goes wrong is logged.
    pub(in crate::codecommit) async fn follow(
        &self,
        repository: &Repository,
        changes: &[RefChange],
        caller: &Caller,
        _held: &Held<'_>,
    ) {
        for change in changes {
            let concerned: Vec<PullRequest> = self.pull_requests.read(|all| {
                let name = change.name.as_str();
                let open = all.of_repository(&repository.id).filter(|one| one.is_open());
                open.filter(|one| one.source == name || one.destination == name).cloned().collect()
            });
            if !concerned.is_empty()
                && let Err(failed) = self.follow_one(repository, change, concerned, caller).await
            {
                tracing::error!(repo.name = %repository.name, ref.name = %change.name, %failed, "its pull requests cannot follow");
            }
        }
    }

    async fn follow_one(
        &self,
        repository: &Repository,
        change: &RefChange,
        concerned: Vec<PullRequest>,
        caller: &Caller,
    ) -> Answer<()> {
        // Of two pushes the later one may be told first: what counts is where the branch is now.
        let expression = format!("{}^{{commit}}", change.name);
        let tip = self.git.objects(&repository.dir, &[expression]).await?.into_iter().flatten().next();
        let Some(tip) = tip else {
            for one in concerned {
                self.close(repository, one.id, End::Closed, caller).await?;
            }
            return Ok(());
        };
        let (sources, destinations): (Vec<_>, Vec<_>) =
            concerned.into_iter().partition(|one| one.source == change.name.as_str());
        for one in sources {
            self.take_up(repository, &one, &tip, caller).await?;
        }
        if destinations.is_empty() {
            return Ok(());
        }
        let arrived = match &change.how {
            Move::Updated(old, _) => self.arrived(repository, old, &tip).await?,
            Move::Created(_) | Move::Deleted(_) => HashSet::new(),
        };
        for one in destinations {
            if arrived.contains(one.source_commit()) {
                let commit = one.source_commit().clone();
                let end = End::Merged { by: caller.arn.clone(), commit, option: MergeOption::FastForward };
                self.close(repository, one.id, end, caller).await?;
            } else {
                self.pull_requests.change(|all| -> Answer<()> {
                    all.find_mut(one.id)?.destination_commit = tip.clone();
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// A push to the source branch makes a new revision.
    async fn take_up(&self, repository: &Repository, one: &PullRequest, tip: &ObjectId, caller: &Caller) -> Answer<()> {
        if one.source_commit() == tip {
            return Ok(());
        }
        let base = self.merge_base(repository, tip, &one.destination_commit).await?;
        let revision = Revision::new(self.world.hex(64), tip.clone());
        let now = self.world.now();
        let revised = self.pull_requests.change(|all| -> Answer<PullRequest> {
            let one = all.find_open(one.id)?;
            one.revise(revision);
            let destination = one.destination_commit.clone();
            one.note(now, &caller.arn, What::SourceUpdated { source: tip.clone(), destination, base });
            Ok(one.clone())
        })?;
        self.keep_commits(repository, &revised).await;
        self.tell_review(repository, &revised, News::SourceBranchUpdated, caller);
        Ok(())
    }

    /// The commits that a branch was fast-forwarded over, or none where it was not.
    async fn arrived(&self, repository: &Repository, old: &ObjectId, new: &ObjectId) -> Answer<HashSet<ObjectId>> {
        if self.merge_base(repository, old, new).await?.as_ref() != Some(old) {
            return Ok(HashSet::new());
        }
        let range = format!("{old}..{new}");
        let output = self.git.run(&*repository.dir, &["rev-list", "--first-parent", &range], b"").await?;
        Ok(String::from_utf8_lossy(&output).lines().filter_map(ObjectId::parse).collect())
    }
}
