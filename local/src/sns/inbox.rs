//! The inbox: every mail that was delivered, in order, each a file below `DIR/inbox/ADDRESS/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use super::mail::Mail;

/// How many mails a slow listener may be behind before it misses some.
const BACKLOG: usize = 256;

/// The longest readable folder name.
const LONGEST_FOLDER: usize = 150;

/// All mails.
#[derive(Debug)]
pub(super) struct Inbox {
    dir: PathBuf,
    mails: Mutex<Vec<Arc<Mail>>>,
    news: broadcast::Sender<Arc<Mail>>,
}

impl Inbox {
    /// Reads what is there; a file that is not one of ours is left alone and not listed.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join("inbox");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let mut mails = Vec::new();
        for folder in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let path = file?.path();
                if path.extension().is_none_or(|extension| extension != "eml") {
                    continue;
                }
                let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                match id.and_then(|id| Mail::parse(id, &String::from_utf8_lossy(&bytes))) {
                    Some(mail) => mails.push(Arc::new(mail)),
                    None => tracing::warn!(file = %path.display(), "not a mail of this inbox, so it is not listed"),
                }
            }
        }
        mails.sort_by_key(|mail| mail.id);
        Ok(Self { dir, mails: Mutex::new(mails), news: broadcast::channel(BACKLOG).0 })
    }

    /// Files a mail under the next number and tells whoever listens.
    pub(super) fn deliver(&self, mut mail: Mail) -> std::io::Result<()> {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mail.id = mails.last().map_or(0, |last| last.id) + 1;
        let folder = self.dir.join(folder_name(&mail.to));
        fs::create_dir_all(&folder)?;
        let beside = folder.join(format!("{:06}.new", mail.id));
        fs::write(&beside, mail.render())?;
        fs::rename(&beside, folder.join(format!("{:06}.eml", mail.id)))?;
        let mail = Arc::new(mail);
        mails.push(Arc::clone(&mail));
        // Nobody needs to listen.
        let _listeners = self.news.send(mail);
        Ok(())
    }

    /// All mails, oldest first.
    pub(super) fn mails(&self) -> Vec<Arc<Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn mail(&self, id: u64) -> Option<Arc<Mail>> {
        let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.iter().find(|mail| mail.id == id).cloned()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Mail>> {
        self.news.subscribe()
    }
}

/// An address as a folder's name: what could mean something to a file system is percent-encoded.
fn folder_name(address: &str) -> String {
    let mut name = String::new();
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'@' | b'_' | b'+' | b'-')
            || (byte == b'.' && !name.is_empty())
        {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > LONGEST_FOLDER {
        name.truncate(LONGEST_FOLDER - 64);
        name.push_str(&hex::encode(Sha256::digest(address)));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_leads_out_of_the_inbox() {
        assert_eq!(folder_name("team@example.com"), "team@example.com");
        assert_eq!(folder_name("../x@example.com"), "%2E.%2Fx@example.com");
        assert_eq!(folder_name(".."), "%2E.");
        let long = |end: &str| folder_name(&format!("{}{end}@example.com", "%".repeat(200)));
        assert!(long("a").len() <= LONGEST_FOLDER);
        assert_ne!(long("a"), long("b"));
    }
}
