//! Pull requests are made, looked at, listed, renamed and closed.

use serde_json::json;

use super::super::names::{BranchName, ObjectId, check_arn, check_repository, check_size};
use super::super::repositories::{Repositories, Repository, no_such_page};
use super::super::tokens::{Request, check_token};
use super::checks::{check_description, check_id, check_reference, check_targets, check_title};
use super::news::News;
use super::shapes::{Create, Describe, Ids, List, OneId, OnePullRequest, SetStatus, Shown, Title};
use super::state::{End, PullRequest, Revision, What, already_closed};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// Most pull requests that are open in a repository at once.
pub(super) const MOST_OPEN: usize = 1000;
/// The page of `ListPullRequests`; AWS documents none.
const PAGE: usize = 100;

impl Repositories {
    pub(in crate::codecommit) async fn create_pull_request(
        &self,
        input: Create,
        caller: &Caller,
    ) -> Answer<OnePullRequest> {
        let title = check_title(input.title)?;
        let description = check_description(input.description)?;
        let target = check_targets(input.targets)?;
        let repository = self.find(&check_repository(target.repository_name)?)?;
        let source = check_reference(target.source_reference)?;
        let destination = target.destination_reference.map(|name| check_reference(Some(name))).transpose()?;
        let token = check_token(input.client_request_token)?;
        let asked = json!({
            "title": title, "description": description, "repository": repository.id, "source": source.full(),
            "destination": destination.as_ref().map(|branch| branch.full()),
        });
        let request = Request::new(&caller.arn, token.as_deref(), &asked);

        let lock = self.review_lock(&repository);
        let held = lock.lock().await;
        let before = self.pull_requests.read(|all| -> Answer<Option<PullRequest>> {
            let made = all.tokens.find(request.as_ref())?.and_then(|made| made.parse().ok());
            made.map(|id| all.find(id).cloned()).transpose()
        })?;
        if let Some(before) = before {
            return self.shown(before).await;
        }
        let destination = match destination {
            Some(branch) => branch,
            // Nothing is merged into a repository that has no branch.
            None => check_reference(self.default_branch(&repository.dir).await?)
                .map_err(|_| no_reference(&repository, "a default branch"))?,
        };
        if source == destination {
            return Err(ServiceError::bad(
                "SourceAndDestinationAreSameException",
                format!("{} cannot be merged into itself", source.full()),
            ));
        }
        let source_commit = self.tip_of_reference(&repository, &source).await?;
        let destination_commit = self.tip_of_reference(&repository, &destination).await?;
        let base = self.merge_base(&repository, &source_commit, &destination_commit).await?;
        let now = self.world.now();
        let rules =
            self.templates.read(|all| all.rules(&repository.id, &destination.full(), now, || self.world.uuid()));
        let revision = Revision::new(self.world.hex(64), source_commit.clone());
        let made = self.pull_requests.change(|all| -> Answer<PullRequest> {
            if all.of_repository(&repository.id).filter(|one| one.is_open()).count() >= MOST_OPEN {
                return Err(ServiceError::bad(
                    "MaximumOpenPullRequestsExceededException",
                    format!("{} has {MOST_OPEN} open pull requests; close one first", repository.name),
                ));
            }
            let mut made = PullRequest {
                id: all.next_id(),
                repository_id: repository.id.clone(),
                title,
                description,
                author: caller.arn.clone(),
                created: now,
                active: now,
                source: source.full(),
                destination: destination.full(),
                destination_commit: destination_commit.clone(),
                revision,
                earlier: Vec::new(),
                end: None,
                token,
                rules,
                activity: Vec::new(),
            };
            made.note(now, &caller.arn, What::Created { source: source_commit, destination: destination_commit, base });
            all.tokens.note(request, made.id.to_string());
            all.insert(made.clone());
            Ok(made)
        })?;
        self.keep_commits(&repository, &made).await;
        self.tell_review(&repository, &made, News::Created, caller);
        drop(held);
        self.shown(made).await
    }

    async fn tip_of_reference(&self, repository: &Repository, branch: &BranchName) -> Answer<ObjectId> {
        self.tip_if_there(repository, branch).await?.ok_or_else(|| no_reference(repository, &branch.full()))
    }

    pub(in crate::codecommit) async fn get_pull_request(&self, input: OneId) -> Answer<OnePullRequest> {
        let id = check_id(input.pull_request_id)?;
        self.shown(self.pull_requests.read(|all| all.find(id).cloned())?).await
    }

    /// Oldest first, as the documented example has them.
    pub(in crate::codecommit) fn list_pull_requests(&self, input: List) -> Answer<Ids> {
        let repository = self.named(input.repository_name)?;
        let author = check_arn(input.author_arn, "InvalidAuthorArnException")?;
        if let Some(author) = author.as_deref().filter(|author| !self.world.iam.is_known(author)) {
            return Err(ServiceError::bad("AuthorDoesNotExistException", format!("there is no {author} here")));
        }
        let status = input.pull_request_status;
        if let Some(other) = status.as_deref().filter(|status| !matches!(*status, "OPEN" | "CLOSED")) {
            return Err(ServiceError::bad(
                "InvalidPullRequestStatusException",
                format!("{other:?} is neither OPEN nor CLOSED"),
            ));
        }
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let is_wanted = |one: &PullRequest| {
            author.as_ref().is_none_or(|author| *author == one.author)
                && status.as_ref().is_none_or(|status| (status == "OPEN") == one.is_open())
        };
        let all: Vec<(String, String)> = self.pull_requests.read(|all| {
            let wanted = all.of_repository(&repository.id).filter(|one| is_wanted(one));
            wanted.map(|one| (format!("{:020}", one.id), one.id.to_string())).collect()
        });
        let filters = [&*repository.id, author.as_deref().unwrap_or_default(), status.as_deref().unwrap_or_default()];
        let listing = self.world.listing("codecommit:ListPullRequests", &filters);
        let (pull_request_ids, next_token) =
            listing.page(all, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(Ids { pull_request_ids, next_token })
    }

    pub(in crate::codecommit) async fn update_pull_request_title(&self, input: Title) -> Answer<OnePullRequest> {
        let id = check_id(input.pull_request_id)?;
        let title = check_title(input.title)?;
        let changed = self.edit(id, |one| one.title = title)?;
        self.shown(changed).await
    }

    pub(in crate::codecommit) async fn update_pull_request_description(
        &self,
        input: Describe,
    ) -> Answer<OnePullRequest> {
        let id = check_id(input.pull_request_id)?;
        if input.description.is_none() {
            return Err(ServiceError::bad("InvalidDescriptionException", "a description is required"));
        }
        let description = check_description(input.description)?;
        let changed = self.edit(id, |one| one.description = description)?;
        self.shown(changed).await
    }

    fn edit(&self, id: u64, edit: impl FnOnce(&mut PullRequest)) -> Answer<PullRequest> {
        let now = self.world.now();
        self.pull_requests.change(|all| {
            let one = all.find_open(id)?;
            edit(one);
            one.touch(now);
            Ok(one.clone())
        })
    }

    /// To leave it as it is, is allowed; nothing opens again.
    pub(in crate::codecommit) async fn update_pull_request_status(
        &self,
        input: SetStatus,
        caller: &Caller,
    ) -> Answer<OnePullRequest> {
        let id = check_id(input.pull_request_id)?;
        let status = input.pull_request_status.filter(|status| !status.is_empty()).ok_or_else(|| {
            ServiceError::bad("PullRequestStatusRequiredException", "the status of the pull request is required")
        })?;
        let (one, repository) = self.pull_request(id)?;
        match (status.as_str(), one.is_open()) {
            ("OPEN", true) | ("CLOSED", false) => self.shown(one).await,
            ("OPEN", false) => Err(ServiceError::bad(
                "InvalidPullRequestStatusUpdateException",
                format!("pull request {id} is closed and cannot be opened again"),
            )),
            ("CLOSED", true) => {
                let lock = self.review_lock(&repository);
                let held = lock.lock().await;
                // Whoever closed or merged it meanwhile was first.
                let closed = self.close(&repository, id, End::Closed, caller).await.or_else(|refused| {
                    let already = refused == already_closed(id);
                    if already { self.pull_requests.read(|all| all.find(id).cloned()) } else { Err(refused) }
                })?;
                drop(held);
                self.shown(closed).await
            }
            _ => Err(ServiceError::bad(
                "InvalidPullRequestStatusException",
                format!("{status:?} is neither OPEN nor CLOSED"),
            )),
        }
    }

    /// A pull request and its repository.
    pub(in crate::codecommit) fn pull_request(&self, id: u64) -> Answer<(PullRequest, Repository)> {
        let one = self.pull_requests.read(|all| all.find(id).cloned())?;
        let repository = self.with_id(&one.repository_id).ok_or_else(|| {
            ServiceError::bad(
                "PullRequestDoesNotExistException",
                format!("the repository of pull request {id} is gone"),
            )
        })?;
        Ok((one, repository))
    }

    /// Ends a pull request and tells of it.
    pub(super) async fn close(
        &self,
        repository: &Repository,
        id: u64,
        end: End,
        caller: &Caller,
    ) -> Answer<PullRequest> {
        let closed = self.end(repository, id, end.clone(), caller).await?;
        self.tell_end(repository, &closed, &end, caller);
        Ok(closed)
    }

    /// The same without telling of it, which its caller must do.
    pub(super) async fn end(&self, repository: &Repository, id: u64, end: End, caller: &Caller) -> Answer<PullRequest> {
        let now = self.world.now();
        let closed = self.pull_requests.change(|all| -> Answer<PullRequest> {
            let one = all.find_open(id)?;
            let what = match &end {
                End::Closed => What::Closed,
                End::Merged { commit, option, .. } => What::Merged { commit: commit.clone(), option: *option },
            };
            one.note(now, &caller.arn, what);
            one.end = Some(end);
            Ok(one.clone())
        })?;
        self.keep_commits(repository, &closed).await;
        Ok(closed)
    }

    pub(super) fn tell_end(&self, repository: &Repository, one: &PullRequest, end: &End, caller: &Caller) {
        let news = match end {
            End::Closed => News::StatusChanged,
            End::Merged { option, .. } => News::Merged(*option),
        };
        self.tell_review(repository, one, news, caller);
    }

    /// Keeps the commits of a pull request, whatever becomes of its branches.
    ///
    /// One ref for each revision and one for what it is to be merged into, where git shows none of them to its clients.
    pub(super) async fn keep_commits(&self, repository: &Repository, one: &PullRequest) {
        let folder = format!("refs/pull-requests/{}", one.id);
        let mut commands = format!("update {folder}/{} {}\n", one.revision_number(), one.source_commit());
        commands.push_str(&format!("update {folder}/destination {}\n", one.destination_commit));
        let kept = self.git.run(&*repository.dir, &["update-ref", "--stdin"], commands.as_bytes()).await;
        if let Err(failure) = kept {
            // Nothing is ever collected here, so they are there all the same.
            tracing::error!(repo.name = %repository.name, pull_request = one.id, %failure, "cannot keep its commits");
        }
    }

    /// A pull request as AWS shows it.
    pub(super) async fn shown(&self, one: PullRequest) -> Answer<OnePullRequest> {
        let repository = self.with_id(&one.repository_id).ok_or_else(|| {
            ServiceError::bad("PullRequestDoesNotExistException", "the repository of the pull request is gone")
        })?;
        let base = self.merge_base(&repository, one.source_commit(), &one.destination_commit).await?;
        Ok(OnePullRequest { pull_request: Shown::new(&one, repository.name, base) })
    }
}

fn no_reference(repository: &Repository, what: &str) -> ServiceError {
    ServiceError::bad("ReferenceDoesNotExistException", format!("there is no {what} in {}", repository.name))
}
