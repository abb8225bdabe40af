//! The names that CloudFormation gives to what the template does not name.

use sha2::{Digest, Sha256};

use super::ResourceKind;

/// Twelve letters and digits that are always the same for one resource of one stack: a restart finds it again, and a
/// transcript does not change.
pub(super) fn suffix(stack: &str, id: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::new().chain_update(stack).chain_update([0]).chain_update(id).finalize();
    digest
        .iter()
        .take(12)
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|&letter| char::from(letter))
        .collect()
}

/// `STACK-LogicalId-SUFFIX`, cut so that it fits.
pub(super) fn generated(kind: ResourceKind, stack: &str, id: &str) -> String {
    let longest = kind.naming().map_or(255, |(_, longest)| longest);
    let suffix = suffix(stack, id);
    let room = longest.saturating_sub(suffix.len() + 1);
    let mut name: String = format!("{stack}-{id}").chars().take(room).collect();
    name.push('-');
    name.push_str(&suffix);
    if kind == ResourceKind::Bucket { name.to_lowercase() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_stable_and_fits() {
        let name = generated(ResourceKind::Queue, "signalbox", "TriggerQueue");
        assert_eq!(name, generated(ResourceKind::Queue, "signalbox", "TriggerQueue"));
        assert!(name.starts_with("signalbox-TriggerQueue-"), "{name}");
        assert_ne!(name, generated(ResourceKind::Queue, "other", "TriggerQueue"));

        let bucket =
            generated(ResourceKind::Bucket, "A-Stack-With-A-Name-That-Is-Long-Enough-To-Be-Cut-Somewhere", "Bucket");
        assert_eq!(bucket.len(), 63);
        assert_eq!(bucket, bucket.to_lowercase());
    }
}
