//! Repositories: what there is of each beside git's own, and the operations on a whole one.

mod shapes;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_events::RepositoryName;

pub(super) use self::shapes::{
    Batch, Create, DeletedRepository, Describe, List, ManyRepositories, Metadata, NameAndId, Named, OneRepository,
    Rename, RepositoryList, SetDefault,
};
use super::Nothing;
use super::approval_rules::Templates;
use super::comments::Comments;
use super::events::SOURCE;
use super::git::Git;
use super::names::{BranchName, check_repository};
use super::pull_requests::PullRequests;
use super::triggers::Triggers;
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::kept::Kept;
use crate::paging::{BadToken, Order};
use crate::sns::Sns;
use crate::world::World;

/// The branch that the HEAD of an empty repository names until the first branch comes: `git clone` of it starts there.
const UNBORN_BRANCH: &str = "main";
/// Longest description that CodeCommit takes.
const LONGEST_DESCRIPTION: usize = 1000;
/// Most names in one `BatchGetRepositories`.
const LARGEST_BATCH: usize = 100;
/// The page of `ListRepositories`, as documented.
const PAGE: usize = 1000;

/// What git does not know of a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    id: String,
    description: Option<String>,
    created: Timestamp,
    modified: Timestamp,
}

/// A repository that is there.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    pub(super) name: RepositoryName,
    pub(super) id: String,
    pub(super) dir: PathBuf,
}

/// A lock of one kind for each repository.
#[derive(Debug, Default)]
struct Locks(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Locks {
    fn of(&self, repository: &Repository) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(repository.id.clone()).or_default())
    }
}

/// A repository's pull requests, held against whoever else would change them or the branches that they follow.
pub(super) type Held<'a> = tokio::sync::MutexGuard<'a, ()>;

/// All repositories, and what their operations need.
#[derive(Debug)]
pub(super) struct Repositories {
    pub(super) world: Arc<World>,
    pub(super) bus: Arc<EventBridge>,
    pub(super) git: Git,
    pub(super) root: PathBuf,
    records: Kept<BTreeMap<String, Record>>,
    pub(super) pull_requests: Kept<PullRequests>,
    pub(super) comments: Kept<Comments>,
    pub(super) templates: Kept<Templates>,
    pub(super) triggers: Kept<Triggers>,
    /// What repository triggers call.
    pub(super) sns: OnceLock<Arc<Sns>>,
    /// One writer at a time for what one compare-and-swap of git cannot hold together: the default branch.
    heads: Locks,
    /// The same for the branches of a repository and what its pull requests know of them.
    reviews: Locks,
    #[cfg(test)]
    pub(super) published: Mutex<Vec<Value>>,
}

impl Repositories {
    /// Opens what is there, and makes records for repositories that have none.
    pub(super) fn open(world: &Arc<World>, bus: &Arc<EventBridge>) -> anyhow::Result<Self> {
        let git = Git::open(world.dir.join("git-home"))?;
        let root = world.dir.join("repositories");
        std::fs::create_dir_all(&root).with_context(|| format!("cannot make the folder {}", root.display()))?;
        let records = Kept::<BTreeMap<String, Record>>::open(&world.dir, "codecommit")?;
        let there = bare_repositories(&root)?;
        records.change(|records| {
            records.retain(|name, _| {
                let stays = there.iter().any(|found| found.as_str() == name);
                if !stays {
                    tracing::warn!(repo.name = name, "the folder of this repository is gone, and it with it");
                }
                stays
            });
            for name in &there {
                // A cloud that was killed between the folder and its record, or a repository that somebody put there.
                records.entry(name.to_string()).or_insert_with(|| Record::new(world, None));
            }
        });
        Ok(Self {
            world: Arc::clone(world),
            bus: Arc::clone(bus),
            git,
            root,
            records,
            pull_requests: Kept::open(&world.dir, "codecommit-pull-requests")?,
            comments: Kept::open(&world.dir, "codecommit-comments")?,
            templates: Kept::open(&world.dir, "codecommit-approval-rule-templates")?,
            triggers: Kept::open(&world.dir, "codecommit-triggers")?,
            sns: OnceLock::new(),
            heads: Locks::default(),
            reviews: Locks::default(),
            #[cfg(test)]
            published: Mutex::default(),
        })
    }

    pub(super) fn save(&self) -> anyhow::Result<()> {
        self.records.save()?;
        self.templates.save()?;
        self.triggers.save()?;
        self.pull_requests.save()?;
        self.comments.save()
    }

    /// Puts an event of CodeCommit on the bus.
    pub(super) fn publish(&self, detail_type: &str, resources: Vec<String>, detail: Value) {
        #[cfg(test)]
        self.published.lock().unwrap_or_else(PoisonError::into_inner).push(detail.clone());
        self.bus.publish(SOURCE, detail_type, resources, self.world.now(), detail);
    }

    fn save_now(&self) -> Answer<()> {
        self.save().map_err(|error| ServiceError::internal(format!("{error:#}")))
    }

    fn dir(&self, name: &RepositoryName) -> PathBuf {
        self.root.join(format!("{name}.git"))
    }

    /// The repository of that name.
    pub(super) fn find(&self, name: &RepositoryName) -> Answer<Repository> {
        let id = self.records.read(|records| records.get(name.as_str()).map(|record| record.id.clone()));
        let id = id.ok_or_else(|| does_not_exist(name))?;
        Ok(Repository { name: name.clone(), id, dir: self.dir(name) })
    }

    /// The repository with that id, whatever it is called now.
    pub(super) fn with_id(&self, id: &str) -> Option<Repository> {
        let name = self
            .records
            .read(|records| records.iter().find(|(_, record)| record.id == id).map(|(name, _)| name.clone()))?;
        self.find(&RepositoryName::parse(name).ok()?).ok()
    }

    /// The repository that an input names.
    pub(super) fn named(&self, name: Option<String>) -> Answer<Repository> {
        self.find(&check_repository(name)?)
    }

    /// Notes that a repository changed just now.
    pub(super) fn touch(&self, name: &RepositoryName) {
        let now = self.world.now();
        self.records.change(|records| {
            if let Some(record) = records.get_mut(name.as_str()) {
                record.modified = now;
            }
        });
    }

    /// The lock that is held while the default branch is looked at and acted on.
    pub(super) fn head_lock(&self, repository: &Repository) -> Arc<tokio::sync::Mutex<()>> {
        self.heads.of(repository)
    }

    /// The lock that is held while branches and pull requests are changed together.
    pub(super) fn review_lock(&self, repository: &Repository) -> Arc<tokio::sync::Mutex<()>> {
        self.reviews.of(repository)
    }

    async fn metadata(&self, name: &RepositoryName) -> Answer<Metadata> {
        let record = self.records.read(|records| records.get(name.as_str()).cloned());
        let record = record.ok_or_else(|| does_not_exist(name))?;
        Ok(Metadata {
            account_id: self.world.account.clone(),
            repository_id: record.id,
            repository_name: name.clone(),
            repository_description: record.description,
            default_branch: self.default_branch(&self.dir(name)).await?,
            last_modified_date: epoch_seconds(record.modified),
            creation_date: epoch_seconds(record.created),
            clone_url_http: clone_url(&self.world, name),
            arn: self.world.arn("codecommit", name.as_str()),
        })
    }

    pub(super) async fn create_repository(&self, input: Create) -> Answer<OneRepository> {
        let name = check_repository(input.repository_name)?;
        let description = check_description(input.repository_description)?;
        if input.tags.is_some_and(|tags| !tags.is_empty()) {
            return Err(not_offered("tags"));
        }
        if input.kms_key_id.is_some() {
            return Err(not_offered("kmsKeyId"));
        }
        let dir = self.dir(&name);
        // Made beside and moved in: a repository is there as a whole or not at all.
        let beside = self.root.join(format!(".new-{}", self.world.hex(16)));
        self.git.init(&beside, UNBORN_BRANCH).await?;
        let taken = self.records.change(|records| -> Answer<bool> {
            if dir.exists() || records.contains_key(name.as_str()) {
                return Ok(true);
            }
            std::fs::rename(&beside, &dir).map_err(ServiceError::internal)?;
            records.insert(name.to_string(), Record::new(&self.world, description));
            Ok(false)
        });
        if !matches!(taken, Ok(false)) {
            remove(&beside)?;
        }
        if taken? {
            return Err(name_exists(&name));
        }
        self.save_now()?;
        Ok(OneRepository { repository_metadata: self.metadata(&name).await? })
    }

    pub(super) async fn get_repository(&self, input: Named) -> Answer<OneRepository> {
        let name = check_repository(input.repository_name)?;
        Ok(OneRepository { repository_metadata: self.metadata(&name).await? })
    }

    pub(super) async fn batch_get_repositories(&self, input: Batch) -> Answer<ManyRepositories> {
        let names = input.repository_names.ok_or_else(|| {
            ServiceError::bad("RepositoryNamesRequiredException", "at least one repository name is required")
        })?;
        if names.len() > LARGEST_BATCH {
            return Err(ServiceError::bad(
                "MaximumRepositoryNamesExceededException",
                format!("{} names are more than {LARGEST_BATCH}", names.len()),
            ));
        }
        let mut output =
            ManyRepositories { repositories: Vec::new(), repositories_not_found: Vec::new(), errors: Vec::new() };
        for name in names {
            if name.is_empty() {
                return Err(ServiceError::bad("InvalidRepositoryNameException", "a repository name is empty"));
            }
            let name = check_repository(Some(name))?;
            match self.metadata(&name).await {
                Ok(metadata) => output.repositories.push(metadata),
                Err(missing) if missing.code == "RepositoryDoesNotExistException" => {
                    output.repositories_not_found.push(name);
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(output)
    }

    pub(super) fn list_repositories(&self, input: List) -> Answer<RepositoryList> {
        let sort_by = input.sort_by.unwrap_or_else(|| "repositoryName".to_owned());
        let order = input.order.unwrap_or_else(|| "ascending".to_owned());
        let key = match sort_by.as_str() {
            "repositoryName" => |name: &str, _: &Record| name.to_owned(),
            "lastModifiedDate" => {
                |name: &str, record: &Record| format!("{:020} {name}", record.modified.as_millisecond())
            }
            other => return Err(ServiceError::bad("InvalidSortByException", format!("cannot sort by {other:?}"))),
        };
        let direction = match order.as_str() {
            "ascending" => Order::Ascending,
            "descending" => Order::Descending,
            other => return Err(ServiceError::bad("InvalidOrderException", format!("there is no order {other:?}"))),
        };
        let mut all: Vec<(String, NameAndId)> = self.records.read(|records| {
            let named = |(name, record): (&String, &Record)| {
                let shown = NameAndId { repository_name: name.clone(), repository_id: record.id.clone() };
                (key(name, record), shown)
            };
            records.iter().map(named).collect()
        });
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        if direction == Order::Descending {
            all.reverse();
        }
        let listing = self.world.listing("codecommit:ListRepositories", &[&sort_by, &order]);
        let (repositories, next_token) =
            listing.page(all, direction, PAGE, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(RepositoryList { repositories, next_token })
    }

    /// A repository that is not there is no error, and gives no id.
    pub(super) fn delete_repository(&self, input: Named) -> Answer<DeletedRepository> {
        let name = check_repository(input.repository_name)?;
        let aside = self.root.join(format!(".deleted-{}", self.world.hex(16)));
        let deleted = self.records.change(|records| -> Answer<Option<Record>> {
            if !records.contains_key(name.as_str()) {
                return Ok(None);
            }
            std::fs::rename(self.dir(&name), &aside).map_err(ServiceError::internal)?;
            Ok(records.remove(name.as_str()))
        })?;
        if let Some(record) = &deleted {
            self.pull_requests.change(|all| all.forget_repository(&record.id));
            self.comments.change(|all| all.forget_repository(&record.id));
            self.templates.change(|all| all.forget_repository(&record.id));
            self.forget_triggers(&record.id);
            self.save_now()?;
            remove(&aside)?;
        }
        Ok(DeletedRepository { repository_id: deleted.map(|record| record.id) })
    }

    /// The id stays, the ARN and the clone URL change.
    pub(super) fn update_repository_name(&self, input: Rename) -> Answer<Nothing> {
        let (old, new) = (check_repository(input.old_name)?, check_repository(input.new_name)?);
        let now = self.world.now();
        self.records.change(|records| -> Answer<()> {
            if !records.contains_key(old.as_str()) {
                return Err(does_not_exist(&old));
            }
            if records.contains_key(new.as_str()) || self.dir(&new).exists() {
                return Err(name_exists(&new));
            }
            std::fs::rename(self.dir(&old), self.dir(&new)).map_err(ServiceError::internal)?;
            if let Some(record) = records.remove(old.as_str()) {
                records.insert(new.to_string(), Record { modified: now, ..record });
            }
            Ok(())
        })?;
        self.save_now()?;
        Ok(Nothing {})
    }

    /// No description takes the old one away.
    pub(super) fn update_repository_description(&self, input: Describe) -> Answer<Nothing> {
        let name = check_repository(input.repository_name)?;
        let description = check_description(input.repository_description)?;
        let now = self.world.now();
        self.records.change(|records| -> Answer<()> {
            let record = records.get_mut(name.as_str()).ok_or_else(|| does_not_exist(&name))?;
            record.description = description;
            record.modified = now;
            Ok(())
        })?;
        Ok(Nothing {})
    }

    pub(super) async fn update_default_branch(&self, input: SetDefault) -> Answer<Nothing> {
        let repository = self.named(input.repository_name)?;
        let branch = BranchName::check(input.default_branch_name)?;
        let lock = self.head_lock(&repository);
        let _held = lock.lock().await;
        self.tip(&repository, &branch).await?;
        self.git.run(&*repository.dir, &["symbolic-ref", "HEAD", &branch.full()], b"").await?;
        self.touch(&repository.name);
        Ok(Nothing {})
    }
}

impl Record {
    fn new(world: &World, description: Option<String>) -> Self {
        let now = world.now();
        Self { id: world.uuid(), description, created: now, modified: now }
    }
}

/// Where git finds the repository: a host for each region, as on AWS, but for the home region.
fn clone_url(world: &World, name: &RepositoryName) -> String {
    format!("{}/v1/repos/{name}", world.git_endpoint())
}

/// The JSON protocol writes a time as seconds, with milliseconds behind the point.
pub(super) fn epoch_seconds(time: Timestamp) -> f64 {
    let milliseconds = time.as_millisecond();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit the 53 bits of a double")]
    let seconds = milliseconds as f64 / 1000.0;
    seconds
}

fn bare_repositories(root: &Path) -> anyhow::Result<Vec<RepositoryName>> {
    let cannot = || format!("cannot read the folder {}", root.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let file_name = entry.file_name();
        let name = file_name.to_str().and_then(|name| name.strip_suffix(".git"));
        let name = name.and_then(|name| RepositoryName::parse(name).ok());
        if let Some(name) = name.filter(|_| entry.path().join("HEAD").is_file()) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn remove(dir: &Path) -> Answer<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServiceError::internal(format!("cannot remove {}: {error}", dir.display())))
        }
        _ => Ok(()),
    }
}

fn check_description(description: Option<String>) -> Answer<Option<String>> {
    let too_long = description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION);
    if too_long {
        return Err(ServiceError::bad(
            "InvalidRepositoryDescriptionException",
            format!("the description is longer than {LONGEST_DESCRIPTION} characters"),
        ));
    }
    Ok(description.filter(|text| !text.is_empty()))
}

/// What the listings of this service answer to a token that is none of theirs.
pub(super) fn no_such_page(_: BadToken) -> ServiceError {
    ServiceError::bad("InvalidContinuationTokenException", "The continuation token is not one that this listing gave")
}

fn does_not_exist(name: &RepositoryName) -> ServiceError {
    ServiceError::bad("RepositoryDoesNotExistException", format!("{name} does not exist"))
}

fn name_exists(name: &RepositoryName) -> ServiceError {
    ServiceError::bad("RepositoryNameExistsException", format!("a repository named {name} already exists"))
}

fn not_offered(member: &str) -> ServiceError {
    ServiceError::with_status(
        501,
        "UnknownOperationException",
        format!("the local cloud does not offer {member} of codecommit:CreateRepository; leave it out"),
    )
}
