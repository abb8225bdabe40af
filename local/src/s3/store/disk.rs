//! The folders of keys: what they are called, how one is read, and how what is left over is cleared.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::super::error::{Outcome, Refused};
use super::records::Record;
use super::{NULL, State};

/// How much of a key is to be read in its folder's name.
const READABLE: usize = 80;

/// A folder's name for a key: to be read by a person at its start, and never the same for two keys on any file system.
pub(super) fn folder_name(key: &str) -> String {
    let readable: String = key
        .chars()
        .take(READABLE)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    format!("{readable}-{}", hex::encode(Sha256::digest(key)))
}

/// The JSON goes first: data without it is not there.
pub(super) fn remove_files(folder: &Path, sequence: u64) -> Outcome<()> {
    for kind in ["json", "data"] {
        let path = folder.join(format!("{sequence}.{kind}"));
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Refused::internal("remove", &path, &error)),
        }
    }
    Ok(())
}

/// Reads the versions of one key and clears what a killed process left.
pub(super) fn read_key(folder: &Path, state: &mut State) -> anyhow::Result<()> {
    let mut records: Vec<Record> = Vec::new();
    let mut data = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                records.push(
                    serde_json::from_slice(&bytes)
                        .with_context(|| format!("{} does not describe an object; move it away", path.display()))?,
                );
            }
            Some("data") => data.push(path),
            _ => {}
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.version.sequence));
    let mut null_seen = false;
    records.retain(|record| {
        // Replaced by a newer null version; its process ended before it could remove it.
        let replaced = record.version.id == NULL && std::mem::replace(&mut null_seen, true);
        if replaced && let Err(refused) = remove_files(folder, record.version.sequence) {
            tracing::warn!(%refused, "an old version is still there");
        }
        !replaced
    });
    for record in &records {
        let path = folder.join(format!("{}.data", record.version.sequence));
        if let Some(object) = &record.version.object {
            let length = fs::metadata(&path).map(|about| about.len()).ok();
            anyhow::ensure!(
                length == Some(object.size),
                "{} is not the {} bytes that were written; move {} away",
                path.display(),
                object.size,
                folder.display()
            );
        }
    }
    for path in data {
        if !path.with_extension("json").exists() && path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot clear {}", path.display()))?;
        }
    }
    for Record { key, version } in records {
        state.next = state.next.max(version.sequence + 1);
        state.keys.entry(key).or_default().push(version);
    }
    Ok(())
}
