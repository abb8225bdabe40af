//! State that outlives a `serve`: one JSON file a service, written whole and swapped in.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A service's state behind a lock, with the file that it is kept in.
#[derive(Debug)]
pub struct Kept<T> {
    file: PathBuf,
    state: Mutex<T>,
    dirty: AtomicBool,
    /// Held from looking at `dirty` to the rename: no older state overtakes a newer one, and none is told that all is
    /// on disk while another still writes it.
    saving: Mutex<()>,
}

impl<T: Serialize + DeserializeOwned + Default> Kept<T> {
    /// Reads `DIR/state/NAME.json`; starts empty where there is none.
    ///
    /// # Errors
    /// A file that is there and cannot be read, or is not this state, is an error: nothing is thrown away.
    pub fn open(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = dir.join("state");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let file = folder.join(format!("{name}.json"));
        let state = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is not the state of {name}; move it away to start anew", file.display())
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        Ok(Self { file, state: Mutex::new(state), dirty: AtomicBool::new(false), saving: Mutex::new(()) })
    }

    /// Looks at the state.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state; it reaches the disk with the next [`Kept::save`].
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the lock is given back: whoever has it and finds nothing dirty knows that all is on disk.
        self.dirty.store(true, Ordering::Release);
        change(&mut state)
    }

    /// Writes the state if it changed since the last time: to a file beside, then swapped in.
    ///
    /// Every change that was made before the call is on disk when it returns, whoever wrote it.
    ///
    /// # Errors
    /// The disk is full or the folder is gone; the old file is still whole and the next call tries again.
    pub fn save(&self) -> anyhow::Result<()> {
        self.save_then(|| Ok(()))
    }

    /// [`Kept::save`], and `settle` behind it if the file is the state as it is now; meanwhile nothing changes.
    ///
    /// # Errors
    /// The same, and what `settle` says.
    pub fn save_then(&self, settle: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let _one_at_a_time = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let written = self.write();
        if written.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        written.with_context(|| format!("cannot write {}", self.file.display()))?;
        self.read(|_| if self.dirty.load(Ordering::Acquire) { Ok(()) } else { settle() })
    }

    fn write(&self) -> anyhow::Result<()> {
        let bytes = self.read(|state| serde_json::to_vec_pretty(state))?;
        let beside = self.file.with_extension("json.new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(std::fs::rename(&beside, &self.file)?)
    }
}

/// Adds all of the bytes to a file or none, so that a full disk leaves no half line for the next one to be lost in.
pub(crate) fn add_whole(file: &mut std::fs::File, bytes: &[u8]) -> std::io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| {
        // Where even this fails there is a half line, which whoever reads the file must leave out.
        let _left_as_it_is = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_there_again_and_a_spoilt_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::<Vec<String>>::open(dir.path(), "names").unwrap();
        kept.change(|names| names.push("demo".to_owned()));
        kept.save().unwrap();
        let again = Kept::<Vec<String>>::open(dir.path(), "names").unwrap();
        assert_eq!(again.read(Clone::clone), ["demo"]);

        std::fs::write(dir.path().join("state/names.json"), "{").unwrap();
        let error = Kept::<Vec<String>>::open(dir.path(), "names").unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
    }
    #[test]
    fn whoever_saves_finds_what_he_changed_on_disk_however_many_do_so_at_once() {
        const THREADS: usize = 8;
        const CHANGES: usize = 20;
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::<Vec<String>>::open(dir.path(), "names").unwrap();
        let file = dir.path().join("state/names.json");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (kept, file) = (&kept, &file);
                scope.spawn(move || {
                    for change in 0..CHANGES {
                        let name = format!("{thread}-{change}-{}", "x".repeat(100 * thread));
                        kept.change(|names| names.push(name.clone()));
                        kept.save().unwrap();
                        let written: Vec<String> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
                        assert!(written.contains(&name), "{name} was not on disk when it was said to be saved");
                    }
                });
            }
        });
        let again = Kept::<Vec<String>>::open(dir.path(), "names").unwrap();
        assert_eq!(again.read(Vec::len), THREADS * CHANGES);
    }
}
