//! What one look at a push may take.

use jiff::SignedDuration;
use signalbox_gitwire::unpack::Limits;

/// What one look takes in at most; what is beyond is left to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The bytes of a pack: a function has 512 MB of disk.
    pub pack_bytes: u64,
    /// The objects of a pack: of each some 150 bytes are kept.
    pub objects: usize,
    /// Commits.
    pub commits: usize,
    /// The bytes of their messages.
    pub message_bytes: usize,
    /// Files that are looked into.
    pub files: usize,
    /// Changed paths that are asked of CodeCommit.
    pub paths: usize,
    /// Questions that are put to IAM.
    pub questions: usize,
    /// Kept back from the invocation's time for what follows: deciding, keeping, putting back.
    pub reserve: SignedDuration,
}

impl Default for Bounds {
    /// For 512 MB of memory and five minutes.
    fn default() -> Self {
        Self {
            pack_bytes: 400_000_000,
            objects: 1_000_000,
            commits: 20_000,
            message_bytes: 32 << 20,
            files: 100_000,
            paths: 100_000,
            questions: 100,
            reserve: SignedDuration::from_secs(45),
        }
    }
}

impl Bounds {
    pub(crate) fn limits(&self) -> Limits {
        Limits { objects: self.objects, object_bytes: 32 << 20, kept_bytes: 48 << 20 }
    }
}
