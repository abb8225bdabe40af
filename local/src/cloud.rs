//! The cloud as a whole: all services of one world, wired together, with the server in front.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use crate::auth::Keys;
use crate::codebuild::CodeBuild;
use crate::codecommit::CodeCommit;
use crate::eventbridge::EventBridge;
use crate::http;
use crate::logs::Logs;
use crate::paging::Pages;
use crate::s3::S3;
use crate::sns::Sns;
use crate::sqs::Sqs;
use crate::sts::Sts;
use crate::world::World;

/// How a cloud is started.
#[derive(Debug)]
pub struct Settings {
    /// The folder that everything is kept below; made if it is not there.
    pub dir: PathBuf,
    /// The port on loopback; 0 takes any that is free.
    pub port: u16,
    /// The region that is played.
    pub region: String,
    /// The seed of all ids.
    pub seed: u64,
    /// The most items that a page of any listing holds, where AWS would give more.
    pub page_size: Option<usize>,
}

/// All services of one world.
#[derive(Debug)]
pub struct Cloud {
    /// What all services share.
    pub world: Arc<World>,
    /// The keys that are good here.
    pub keys: Arc<Keys>,
    /// Repositories and git over HTTP.
    pub codecommit: Arc<CodeCommit>,
    /// Projects and builds.
    pub codebuild: Arc<CodeBuild>,
    /// The default event bus and its rules.
    pub eventbridge: Arc<EventBridge>,
    /// Log groups and streams.
    pub logs: Arc<Logs>,
    /// Buckets.
    pub s3: Arc<S3>,
    /// Topics and the inbox.
    pub sns: Arc<Sns>,
    /// Queues.
    pub sqs: Arc<Sqs>,
    /// Who am I.
    pub sts: Arc<Sts>,
}

/// A cloud that runs; dropped, its server ends.
#[derive(Debug)]
pub struct Running {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    tasks: JoinSet<()>,
    _lock: FolderLock,
}

/// The lock of a folder; dropped, the folder is free.
#[derive(Debug)]
struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Said aloud: a child that was just forked holds a copy of the file for a moment, and with it the lock.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the folder's lock could not be given back; it ends with this process");
        }
    }
}

/// Makes the folder, for its owner's eyes only, and locks it for as long as the file is held.
fn take_folder(dir: &Path) -> anyhow::Result<(PathBuf, FolderLock)> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot use the folder {}", dir.display()))?;
    let file = dir.join("lock");
    let is_empty = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
    if !is_empty && !file.exists() {
        bail!("{} is not empty and holds no local cloud; choose another folder with --dir", dir.display());
    }
    let lock = File::options().create(true).append(true).open(&file);
    let lock = lock.with_context(|| format!("cannot write {}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok((dir, FolderLock(lock))),
        Err(TryLockError::WouldBlock) => {
            bail!("another local cloud runs in {}; end it, or choose another folder with --dir", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
    }
}

impl Cloud {
    /// Opens the world in `settings.dir` and starts to listen.
    ///
    /// # Errors
    /// A port that is taken, a folder that cannot be used or is in use, a spoilt state file, no git.
    pub async fn start(settings: Settings) -> anyhow::Result<Running> {
        // The port and the folder first: a second cloud must not touch what the first one keeps there.
        let listener = http::listen(settings.port).await?;
        let (dir, lock) = take_folder(&settings.dir)?;
        let pages = Pages::draw(settings.page_size)?;
        let world = Arc::new(World::new(dir, &settings.region, settings.seed).with_pages(pages));
        let keys = Arc::new(Keys::draw()?);
        let logs = Arc::new(Logs::open(&world)?);
        let sqs = Arc::new(Sqs::open(&world)?);
        let sns = Arc::new(Sns::open(&world)?);
        sns.delivers_to(&sqs);
        let s3 = Arc::new(S3::open(&world)?);
        let sts = Arc::new(Sts::new(&world, &keys));
        let eventbridge = Arc::new(EventBridge::open(&world, &sqs)?);
        let codecommit = Arc::new(CodeCommit::open(&world, &eventbridge)?);
        let codebuild = Arc::new(CodeBuild::open(&world, &keys, &eventbridge, &logs)?);
        let cloud = Arc::new(Self { world, keys, codecommit, codebuild, eventbridge, logs, s3, sns, sqs, sts });

        let address = listener.local_addr().context("the listener has no address")?;
        cloud.world.listens_at(format!("http://{address}"));
        let mut tasks = JoinSet::new();
        tasks.spawn(http::serve(listener, Arc::clone(&cloud)));
        tasks.spawn(Arc::clone(&cloud.eventbridge).run_schedules());
        Ok(Running { cloud, tasks, _lock: lock })
    }

    /// Writes all state that changed to the disk.
    ///
    /// # Errors
    /// The disk is full or the folder is gone.
    pub fn save(&self) -> anyhow::Result<()> {
        self.logs.save()?;
        self.sqs.save()?;
        self.sns.save()?;
        self.s3.save()?;
        self.eventbridge.save()?;
        self.codecommit.save()?;
        self.codebuild.save()
    }

    /// A page for a browser, if there is one at this path.
    pub(crate) fn page(&self, path: &str) -> Option<http::Response> {
        self.sns.page(path).or_else(|| self.logs.page(path))
    }
}

impl Running {
    /// Ends the server and writes all state.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.codebuild_stop().await;
        self.tasks.shutdown().await;
        self.cloud.save()
    }

    async fn codebuild_stop(&self) {
        self.cloud.codebuild.stop_all().await;
    }
}
