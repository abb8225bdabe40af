//! The cloud as a whole: all services of each account and region, wired together, with the server in front.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use crate::auth::Keys;
use crate::chaos::Chaos;
use crate::cloudformation::CloudFormation;
use crate::codebuild::CodeBuild;
use crate::codecommit::CodeCommit;
use crate::eventbridge::EventBridge;
use crate::http;
use crate::iam::api::IamApi;
use crate::logs::Logs;
use crate::paging::Pages;
use crate::s3::S3;
use crate::secretsmanager::SecretsManager;
use crate::sns::Sns;
use crate::sqs::Sqs;
use crate::sts::Sts;
use crate::world::{ACCOUNT, World, check_account, check_region};

/// How long a client may say nothing, unless told otherwise.
const SILENCE: Duration = Duration::from_secs(60);

/// What is played of an account beside the first one; everything else is refused there.
pub const BESIDE: [&str; 4] = ["codecommit", "iam", "s3", "sts"];

/// How a cloud is started.
#[derive(Debug)]
pub struct Settings {
    /// The folder that everything is kept below; made if it is not there.
    pub dir: PathBuf,
    /// The port on loopback; 0 takes any that is free.
    pub port: u16,
    /// The regions that are played; the first is the home region, where the stack lives.
    pub regions: Vec<String>,
    /// The accounts that are played beside [`ACCOUNT`], each in all of these regions.
    pub accounts: Vec<String>,
    /// The seed of all ids.
    pub seed: u64,
    /// The most items that a page of any listing holds, where AWS would give more.
    pub page_size: Option<usize>,
    /// How long a client may say nothing before its connection ends.
    pub silence: Duration,
    /// What goes wrong on purpose.
    pub chaos: Option<Chaos>,
}

impl Settings {
    /// A cloud below `dir` in eu-west-1, at any free port, with the ids of the seed 1: change what is to be otherwise.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: 0,
            regions: vec!["eu-west-1".to_owned()],
            accounts: Vec::new(),
            seed: 1,
            page_size: None,
            silence: SILENCE,
            chaos: None,
        }
    }
}

/// All services of one account in one region.
#[derive(Debug)]
pub struct Cloud {
    /// What all services share.
    pub world: Arc<World>,
    /// The keys that are good here.
    pub keys: Arc<Keys>,
    /// The stack.
    pub cloudformation: Arc<CloudFormation>,
    /// Repositories and git over HTTP.
    pub codecommit: Arc<CodeCommit>,
    /// Projects and builds.
    pub codebuild: Arc<CodeBuild>,
    /// The default event bus and its rules.
    pub eventbridge: Arc<EventBridge>,
    /// Users and roles: those of all regions of the account.
    pub iam: Arc<IamApi>,
    /// Log groups and streams.
    pub logs: Arc<Logs>,
    /// Buckets: those of all accounts and regions, as a bucket's name is taken everywhere.
    pub s3: Arc<S3>,
    /// Secrets, for as long as the cloud runs.
    pub secretsmanager: Arc<SecretsManager>,
    /// Topics and the inbox.
    pub sns: Arc<Sns>,
    /// Queues.
    pub sqs: Arc<Sqs>,
    /// Who am I.
    pub sts: Arc<Sts>,
}

/// The regions of one account.
#[derive(Debug, Clone)]
pub struct Regions {
    /// The home region.
    pub home: Arc<Cloud>,
    others: Vec<Arc<Cloud>>,
}

impl Regions {
    /// All of them, the home region first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        std::iter::once(&self.home).chain(&self.others)
    }

    /// The region of that name, if it is played.
    pub fn find(&self, name: &str) -> Option<&Arc<Cloud>> {
        self.iter().find(|cloud| cloud.world.region == name)
    }

    /// The account's id.
    pub fn account(&self) -> &str {
        &self.home.world.account
    }

    /// Their names, for a sentence.
    pub(crate) fn names(&self) -> String {
        self.iter().map(|cloud| cloud.world.region.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The accounts behind one endpoint, all with the same regions.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The account that the stack is in.
    pub home: Regions,
    others: Vec<Regions>,
}

impl Accounts {
    /// All of them, the stack's first.
    pub fn iter(&self) -> impl Iterator<Item = &Regions> {
        std::iter::once(&self.home).chain(&self.others)
    }

    /// The account of that id, if it is played.
    pub fn find(&self, id: &str) -> Option<&Regions> {
        self.iter().find(|regions| regions.account() == id)
    }

    /// Every region of every account.
    pub fn clouds(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        self.iter().flat_map(Regions::iter)
    }

    /// Writes all state that changed to the disk.
    ///
    /// # Errors
    /// The disk is full or the folder is gone; what could be written was.
    pub fn save(&self) -> anyhow::Result<()> {
        self.clouds().map(|cloud| cloud.save()).fold(Ok(()), anyhow::Result::and)
    }
}

/// A cloud that runs; dropped, its server ends.
#[derive(Debug)]
pub struct Running {
    /// The cloud of the home region.
    pub cloud: Arc<Cloud>,
    /// The clouds of all regions of the stack's account.
    pub regions: Regions,
    /// The clouds of all accounts.
    pub accounts: Accounts,
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

/// Holds the folder to the home region that it was made with: what lies at its top is that region's.
fn keep_home(dir: &Path, home: &str) -> anyhow::Result<()> {
    let file = dir.join("region");
    match std::fs::read_to_string(&file) {
        Ok(text) if text.trim() == home => Ok(()),
        Ok(text) => {
            let was = text.trim();
            bail!(
                "the home region in {} is {was}, not {home}: give --region {was} first, or choose another folder with --dir",
                dir.display()
            )
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&file, format!("{home}\n")).with_context(|| format!("cannot write {}", file.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

impl Cloud {
    /// Opens the world in `settings.dir` and starts to listen.
    ///
    /// # Errors
    /// A region or an account that AWS could not have, a port that is taken, a folder that cannot be used or is in use, a spoilt state
    /// file, no git.
    pub async fn start(settings: Settings) -> anyhow::Result<Running> {
        let (home, others) = settings.regions.split_first().context("a local cloud needs a region")?;
        for region in &settings.regions {
            check_region(region)?;
        }
        for account in &settings.accounts {
            check_account(account)?;
        }
        // The port and the folder first: a second cloud must not touch what the first one keeps there.
        let listener = http::listen(settings.port).await?;
        let (dir, lock) = take_folder(&settings.dir)?;
        keep_home(&dir, home)?;
        let world = Arc::new(World::new(dir, home, settings.seed));
        world.cuts_pages(Pages::draw(settings.page_size)?);
        world.chaos.set(settings.chaos);
        let keys = Arc::new(Keys::draw()?);
        let s3 = S3::open(&world)?;
        let regions = Self::open_regions(&world, &keys, s3, others)?;
        let mut accounts = Accounts { home: regions.clone(), others: Vec::new() };
        for account in &settings.accounts {
            if accounts.find(account).is_none() {
                let world = Arc::new(world.in_account(account));
                let s3 = regions.home.s3.in_region(&world);
                accounts.others.push(Self::open_regions(&world, &keys, s3, others)?);
            }
        }

        let address = listener.local_addr().context("the listener has no address")?;
        world.listens_at(format!("http://{address}"));
        let acceptor = http::secure(&regions)?;
        let mut tasks = JoinSet::new();
        let front = http::Front { accounts: accounts.clone(), silence: settings.silence };
        tasks.spawn(http::serve(listener, acceptor, front));
        for cloud in regions.iter() {
            tasks.spawn(Arc::clone(&cloud.eventbridge).run_schedules());
        }
        Ok(Running { cloud: Arc::clone(&regions.home), regions, accounts, tasks, _lock: lock })
    }

    /// Opens all regions of one account, whose first one `world` is.
    fn open_regions(world: &Arc<World>, keys: &Arc<Keys>, s3: S3, others: &[String]) -> anyhow::Result<Regions> {
        let mut regions = Regions { home: Self::open(world, keys, s3)?, others: Vec::new() };
        for region in others {
            if regions.find(region).is_none() {
                let world = Arc::new(world.in_region(region));
                let s3 = regions.home.s3.in_region(&world);
                regions.others.push(Self::open(&world, keys, s3)?);
            }
        }
        Ok(regions)
    }

    /// Opens one region.
    fn open(world: &Arc<World>, keys: &Arc<Keys>, s3: S3) -> anyhow::Result<Arc<Self>> {
        let logs = Arc::new(Logs::open(world)?);
        let sqs = Arc::new(Sqs::open(world)?);
        let secretsmanager = Arc::new(SecretsManager::new(world));
        let sns = Arc::new(Sns::open(world)?);
        sns.delivers_to(&sqs);
        let sts = Arc::new(Sts::new(world, keys));
        let eventbridge = Arc::new(EventBridge::open(world, &sqs)?);
        eventbridge.delivers_to(&sns, &logs);
        let iam = Arc::new(IamApi::new(world, &eventbridge));
        let codecommit = Arc::new(CodeCommit::open(world, &eventbridge)?);
        codecommit.triggers_call(&sns);
        let codebuild = Arc::new(CodeBuild::open(world, keys, &eventbridge, &logs)?);
        let cloudformation = Arc::new(CloudFormation::open(world)?);
        let (world, keys, s3) = (Arc::clone(world), Arc::clone(keys), Arc::new(s3));
        Ok(Arc::new(Self {
            world,
            keys,
            cloudformation,
            codecommit,
            codebuild,
            eventbridge,
            iam,
            logs,
            s3,
            secretsmanager,
            sns,
            sqs,
            sts,
        }))
    }

    /// Whether a service is played in this account.
    pub(crate) fn plays(&self, service: &str) -> bool {
        self.world.account == ACCOUNT || BESIDE.contains(&service)
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
        self.cloudformation.save()?;
        self.codecommit.save()?;
        self.codebuild.save()
    }

    /// A page for a browser, if there is one at this address.
    pub(crate) fn page(&self, uri: &hyper::Uri) -> Option<http::Response> {
        self.sns.page(uri).or_else(|| self.logs.page(uri.path()))
    }
}

impl Running {
    /// Ends the server and writes all state.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        for cloud in self.regions.iter() {
            cloud.codebuild.stop_all().await;
        }
        self.tasks.shutdown().await;
        self.accounts.save()
    }
}
