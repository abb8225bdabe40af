//! Buckets and objects on the disk.
//!
//! Below `DIR/buckets/BUCKET/`: `bucket.json`, and for each key a folder `objects/READABLE-SHA256/` with two files a
//! version, `SEQUENCE.data` and `SEQUENCE.json`. A version is there when its JSON is: the data is moved in first, the JSON
//! last, both written in `incoming/` before, so a process that is killed never leaves half an object. What such a process
//! left lying is cleared at the next open. A power cut is not guarded against: nothing is synced.

mod disk;
mod records;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use self::disk::{folder_name, read_key, remove_files};
use self::records::{About, Record};
pub(super) use self::records::{ObjectInfo, Version};
use super::conditions::WriteCondition;
use super::error::{Outcome, Refused};
use super::{Setting, Versioning};
use crate::world::World;

/// The version id of an object that was written while versioning was off or suspended.
pub(super) const NULL: &str = "null";

/// What a bucket knows; versions newest first.
#[derive(Debug)]
struct State {
    /// The bucket was deleted while somebody still held it.
    gone: bool,
    about: About,
    keys: BTreeMap<String, Vec<Version>>,
    next: u64,
}

/// One bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) name: String,
    dir: PathBuf,
    world: Arc<World>,
    state: Mutex<State>,
    arriving: AtomicU64,
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    world: Arc<World>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
}

/// What a deletion did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    /// The version that went, or the delete marker that came; none in a bucket without versioning.
    pub(super) version: Option<String>,
    /// A delete marker was made or removed.
    pub(super) marker: bool,
}

impl Store {
    pub(super) fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        let dir = world.dir.join("buckets");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let mut buckets = BTreeMap::new();
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with('.') {
                // A bucket that was being made or deleted when its process ended.
                if name.starts_with(".new-") || name.starts_with(".gone-") {
                    fs::remove_dir_all(&path).with_context(|| format!("cannot clear {}", path.display()))?;
                }
                continue;
            }
            let name = name.to_owned();
            let bucket = Bucket::open(&path, name.clone(), world)?;
            buckets.insert(name, Arc::new(bucket));
        }
        Ok(Self { dir, world: Arc::clone(world), buckets: RwLock::new(buckets) })
    }

    pub(super) fn bucket(&self, name: &str) -> Outcome<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or_else(|| Refused::no_such_bucket(name))
    }

    pub(super) fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Makes a bucket in this account and region: its name is then taken in all of them.
    pub(super) fn create(&self, name: &str, world: &World) -> Outcome<()> {
        check_bucket_name(name)?;
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.get(name).is_some_and(|there| there.owner() != world.account) {
            return Err(Refused::new(
                409,
                "BucketAlreadyExists",
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
            )
            .with("BucketName", name));
        }
        if buckets.contains_key(name) {
            return Err(Refused::new(
                409,
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            )
            .with("BucketName", name));
        }
        let about = About {
            created: self.world.now(),
            region: Some(world.region.clone()),
            owner: Some(world.account.clone()),
            versioning: Versioning::Off,
            settings: super::buckets::defaults().into(),
        };
        let (new, dir) = (self.dir.join(format!(".new-{name}")), self.dir.join(name));
        let failed = |error| Refused::internal("make the bucket", &dir, &error);
        fs::create_dir_all(new.join("objects")).map_err(failed)?;
        fs::create_dir_all(new.join("incoming")).map_err(failed)?;
        fs::write(new.join("bucket.json"), json(&about)?).map_err(failed)?;
        fs::rename(&new, &dir).map_err(failed)?;
        let bucket = Bucket {
            name: name.to_owned(),
            dir,
            world: Arc::clone(&self.world),
            state: Mutex::new(State { gone: false, about, keys: BTreeMap::new(), next: 1 }),
            arriving: AtomicU64::new(0),
        };
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(())
    }

    pub(super) fn delete(&self, name: &str) -> Outcome<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).ok_or_else(|| Refused::no_such_bucket(name))?;
        bucket.change(|state| {
            if !state.keys.is_empty() {
                let message = if state.about.versioning == Versioning::Off {
                    "The bucket you tried to delete is not empty"
                } else {
                    "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
                };
                return Err(Refused::new(409, "BucketNotEmpty", message).with("BucketName", name));
            }
            let gone = self.dir.join(format!(".gone-{name}"));
            fs::rename(&bucket.dir, &gone).map_err(|error| Refused::internal("delete", &bucket.dir, &error))?;
            state.gone = true;
            if let Err(error) = fs::remove_dir_all(&gone) {
                tracing::warn!(%error, folder = %gone.display(), "a deleted bucket's folder is still there; the next start clears it");
            }
            Ok(())
        })?;
        buckets.remove(name);
        Ok(())
    }
}

impl Bucket {
    fn open(dir: &Path, name: String, world: &Arc<World>) -> anyhow::Result<Self> {
        let about = dir.join("bucket.json");
        let bytes =
            fs::read(&about).with_context(|| format!("cannot read {}; move the folder away", about.display()))?;
        let about: About = serde_json::from_slice(&bytes).with_context(|| {
            format!("{} does not describe a bucket; move the folder away to start anew", about.display())
        })?;
        let incoming = dir.join("incoming");
        if incoming.exists() {
            fs::remove_dir_all(&incoming).with_context(|| format!("cannot clear {}", incoming.display()))?;
        }
        fs::create_dir_all(&incoming)?;
        let mut state = State { gone: false, about, keys: BTreeMap::new(), next: 1 };
        let objects = dir.join("objects");
        fs::create_dir_all(&objects)?;
        for entry in fs::read_dir(&objects).with_context(|| format!("cannot read {}", objects.display()))? {
            let folder = entry?.path();
            if folder.is_dir() {
                read_key(&folder, &mut state)?;
            }
        }
        Ok(Self {
            name,
            dir: dir.to_owned(),
            world: Arc::clone(world),
            state: Mutex::new(state),
            arriving: AtomicU64::new(0),
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> Outcome<R>) -> Outcome<R> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.gone {
            return Err(Refused::no_such_bucket(&self.name));
        }
        change(&mut state)
    }

    /// Looks at all keys, each with its versions newest first.
    pub(super) fn read<R>(&self, look: impl FnOnce(&BTreeMap<String, Vec<Version>>) -> R) -> R {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner).keys)
    }

    pub(super) fn created(&self) -> Timestamp {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).about.created
    }

    /// The region that the bucket was made in.
    /// The account that it belongs to.
    pub(super) fn owner(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.about.owner.clone().unwrap_or_else(|| self.world.account.clone())
    }

    pub(super) fn region(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.about.region.clone().unwrap_or_else(|| self.world.region.clone())
    }

    pub(super) fn versioning(&self) -> Versioning {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).about.versioning
    }

    pub(super) fn setting(&self, setting: Setting) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).about.settings.get(&setting).cloned()
    }

    pub(super) fn set_versioning(&self, versioning: Versioning) -> Outcome<()> {
        self.describe(|about| about.versioning = versioning)
    }

    /// Keeps a setting, or forgets it.
    pub(super) fn set(&self, setting: Setting, value: Option<String>) -> Outcome<()> {
        self.describe(|about| {
            match value {
                Some(value) => about.settings.insert(setting, value),
                None => about.settings.remove(&setting),
            };
        })
    }

    fn describe(&self, change: impl FnOnce(&mut About)) -> Outcome<()> {
        self.change(|state| {
            let mut about = state.about.clone();
            change(&mut about);
            self.swap_in(&json(&about)?, &self.dir.join("bucket.json"))?;
            state.about = about;
            Ok(())
        })
    }

    /// Writes an object if `condition` holds for the current one: one winner among any number of racers.
    pub(super) fn put(
        &self,
        key: &str,
        bytes: &[u8],
        object: ObjectInfo,
        condition: &WriteCondition,
    ) -> Outcome<Version> {
        let arrived = self.arrive(bytes)?;
        let result = self.change(|state| {
            condition.check(key, state.current_etag(key))?;
            self.commit(state, key, Some((object, &arrived)))
        });
        if result.is_err() {
            // The next open would clear it too.
            let _may_be_moved_already = fs::remove_file(&arrived);
        }
        result
    }

    /// Deletes the current object or one version of it, as the bucket's versioning says.
    pub(super) fn delete(&self, key: &str, version: Option<&str>, condition: &WriteCondition) -> Outcome<Deleted> {
        self.change(|state| {
            condition.check(key, state.current_etag(key))?;
            let versioning = state.about.versioning;
            match version {
                Some(id) => {
                    let marker = self.remove(state, key, id)?;
                    Ok(Deleted { version: Some(id.to_owned()), marker })
                }
                None if versioning == Versioning::Off => {
                    self.remove(state, key, NULL)?;
                    Ok(Deleted::default())
                }
                None => {
                    let marker = self.commit(state, key, None)?;
                    Ok(Deleted { version: Some(marker.id), marker: true })
                }
            }
        })
    }

    /// A version of a key, the current one where none is named, with its bytes opened for reading.
    ///
    /// The file stays readable however soon the version is deleted.
    pub(super) fn find(&self, key: &str, version: Option<&str>) -> Outcome<(Version, File)> {
        self.change(|state| {
            let versions = state.keys.get(key).map(Vec::as_slice).unwrap_or_default();
            let found = match version {
                None => versions.first().ok_or_else(|| Refused::no_such_key(key))?,
                Some(id) => versions.iter().find(|one| one.id == id).ok_or_else(|| {
                    Refused::new(404, "NoSuchVersion", "The specified version does not exist.")
                        .with("Key", key)
                        .with("VersionId", id)
                })?,
            };
            if found.object.is_none() {
                let refused = match version {
                    None => Refused::no_such_key(key),
                    Some(_) => Refused::new(
                        405,
                        "MethodNotAllowed",
                        "The specified method is not allowed against this resource.",
                    )
                    .with("Method", "GET")
                    .with("ResourceType", "DeleteMarker")
                    .with_header("allow", "DELETE"),
                };
                return Err(refused
                    .with_header("x-amz-delete-marker", "true")
                    .with_header("x-amz-version-id", found.id.clone()));
            }
            let path = self.folder(key).join(format!("{}.data", found.sequence));
            let file = File::open(&path).map_err(|error| Refused::internal("open", &path, &error))?;
            Ok((found.clone(), file))
        })
    }

    /// The id as `x-amz-version-id` shows it: not at all in a bucket that never had versioning.
    pub(super) fn shown(&self, id: &str) -> Option<String> {
        (self.versioning() != Versioning::Off || id != NULL).then(|| id.to_owned())
    }

    fn commit(&self, state: &mut State, key: &str, content: Option<(ObjectInfo, &Path)>) -> Outcome<Version> {
        let folder = self.folder(key);
        fs::create_dir_all(&folder).map_err(|error| Refused::internal("make the folder", &folder, &error))?;
        let id = match state.about.versioning {
            Versioning::Enabled => self.draw_id(state, key),
            Versioning::Off | Versioning::Suspended => NULL.to_owned(),
        };
        let sequence = state.next;
        state.next += 1;
        let object = match content {
            Some((object, arrived)) => {
                let data = folder.join(format!("{sequence}.data"));
                fs::rename(arrived, &data).map_err(|error| Refused::internal("move in", &data, &error))?;
                Some(object)
            }
            None => None,
        };
        let version = Version { sequence, id, modified: self.world.now(), object };
        let record = Record { key: key.to_owned(), version: version.clone() };
        json(&record).and_then(|bytes| self.swap_in(&bytes, &folder.join(format!("{sequence}.json")))).inspect_err(
            |_| {
                // Data without its JSON is not there; a delete marker has none.
                let _none = fs::remove_file(folder.join(format!("{sequence}.data")));
            },
        )?;
        // From here the version is there, whatever happens.
        let versions = state.keys.entry(key.to_owned()).or_default();
        let replaced = match versions.iter().position(|one| one.id == NULL) {
            Some(old) if version.id == NULL => Some(versions.remove(old)),
            _ => None,
        };
        versions.insert(0, version.clone());
        if let Some(old) = replaced
            && let Err(refused) = remove_files(&folder, old.sequence)
        {
            tracing::warn!(%refused, "a replaced object's files are still there; the next start clears them");
        }
        Ok(version)
    }

    /// Removes a version for good; whether it was a delete marker. One that is not there is no error, as on AWS.
    fn remove(&self, state: &mut State, key: &str, id: &str) -> Outcome<bool> {
        let Some(versions) = state.keys.get_mut(key) else { return Ok(false) };
        let Some(at) = versions.iter().position(|one| one.id == id) else { return Ok(false) };
        let folder = self.folder(key);
        let sequence = versions.get(at).map(|one| one.sequence).unwrap_or_default();
        remove_files(&folder, sequence)?;
        let old = versions.remove(at);
        if versions.is_empty() {
            state.keys.remove(key);
            // A folder that stays is only empty; the next object of this key uses it.
            let _stays_when_not_empty = fs::remove_dir(&folder);
        }
        Ok(old.object.is_none())
    }

    /// An id that this key has not had: ids are drawn from a seed and come again after a restart.
    fn draw_id(&self, state: &State, key: &str) -> String {
        let taken = state.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        loop {
            let id = self.world.hex(32);
            if taken.iter().all(|one| one.id != id) {
                return id;
            }
        }
    }

    fn folder(&self, key: &str) -> PathBuf {
        self.dir.join("objects").join(folder_name(key))
    }

    /// The folder of uploads in parts.
    pub(super) fn uploads(&self) -> PathBuf {
        self.dir.join("uploads")
    }

    fn arrive(&self, bytes: &[u8]) -> Outcome<PathBuf> {
        let number = self.arriving.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join("incoming").join(number.to_string());
        fs::write(&path, bytes).map_err(|error| {
            // A full disk must not be kept full by what never became an object.
            let _never_made = fs::remove_file(&path);
            if error.kind() == io::ErrorKind::NotFound {
                return Refused::no_such_bucket(&self.name);
            }
            Refused::internal("write", &path, &error)
        })?;
        Ok(path)
    }

    pub(super) fn swap_in(&self, bytes: &[u8], place: &Path) -> Outcome<()> {
        let arrived = self.arrive(bytes)?;
        fs::rename(&arrived, place).map_err(|error| {
            let _gone_already = fs::remove_file(&arrived);
            Refused::internal("write", place, &error)
        })
    }
}

impl State {
    fn current_etag(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.first()?.object.as_ref().map(|object| object.etag.as_str())
    }
}

pub(super) fn json(value: &impl Serialize) -> Outcome<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| Refused::new(500, "InternalError", error.to_string()))
}

/// S3's rules for the names of general purpose buckets.
fn check_bucket_name(name: &str) -> Outcome<()> {
    let good = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix));
    if good {
        Ok(())
    } else {
        Err(Refused::new(400, "InvalidBucketName", "The specified bucket is not valid.").with("BucketName", name))
    }
}

#[cfg(test)]
mod tests;
