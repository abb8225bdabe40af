//! The difference between two commits, as `git diff-tree` finds it. A rename is a deletion and an addition.

use serde::{Deserialize, Serialize};

use super::git::GitFailure;
use super::names::{ObjectId, check_folder, check_size};
use super::repositories::{Repositories, Repository, no_such_page};
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The largest page, and the page of an input that says nothing; AWS documents none.
const PAGE: usize = 1000;
/// The tree with nothing in it; every git knows it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// `GetDifferences`: the one operation of the service whose paging members are written with capitals.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Input {
    repository_name: Option<String>,
    before_commit_specifier: Option<String>,
    after_commit_specifier: Option<String>,
    before_path: Option<String>,
    after_path: Option<String>,
    #[serde(rename = "MaxResults")]
    max_results: Option<i64>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

/// The output.
#[derive(Debug, Serialize)]
pub(super) struct Output {
    differences: Vec<Difference>,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `Difference` of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    before_blob: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_blob: Option<Blob>,
    change_type: ChangeType,
}

/// `BlobMetadata` of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    blob_id: ObjectId,
    path: String,
    mode: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum ChangeType {
    A,
    M,
    D,
}

impl Repositories {
    pub(super) async fn get_differences(&self, input: Input) -> Answer<Output> {
        let repository = self.named(input.repository_name)?;
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let before_path = input.before_path.as_deref().map(check_folder).transpose()?;
        let after_path = input.after_path.as_deref().map(check_folder).transpose()?;
        let after = self.commit(&repository, input.after_commit_specifier).await?;
        let before = match input.before_commit_specifier {
            Some(specifier) => self.commit(&repository, Some(specifier)).await?.to_string(),
            None => EMPTY_TREE.to_owned(),
        };
        for path in [&before_path, &after_path].into_iter().flatten() {
            self.check_path_exists(&repository, path, &[&before, after.as_str()]).await?;
        }
        let arguments = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", &before, after.as_str()];
        let output = self.git.run(&*repository.dir, &arguments, b"").await?;
        let all = parse_raw(&output)?;
        let all = all.into_iter().filter(|one| one.is_below(before_path.as_deref(), after_path.as_deref()));
        // The commits are part of it: a token is stale once a branch that was named has moved.
        let paths = format!("{before_path:?} {after_path:?}");
        let filters = [&*repository.id, &*before, after.as_str(), &*paths];
        let listing = self.world.listing("codecommit:GetDifferences", &filters);
        let all = all.map(|one| (one.path().to_owned(), one));
        let (differences, next_token) =
            listing.page(all, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(Output { differences, next_token })
    }

    /// A path that is in neither commit is an error; one that came or went is not.
    async fn check_path_exists(&self, repository: &Repository, path: &str, commits: &[&str]) -> Answer<()> {
        if path.is_empty() {
            return Ok(());
        }
        for commit in commits {
            if !self.git.run(&*repository.dir, &["ls-tree", "-z", commit, "--", path], b"").await?.is_empty() {
                return Ok(());
            }
        }
        Err(ServiceError::bad("PathDoesNotExistException", format!("there is no {path} in these commits")))
    }
}

impl Difference {
    fn path(&self) -> &str {
        self.after_blob.as_ref().or(self.before_blob.as_ref()).map_or("", |blob| &blob.path)
    }

    /// Whether it is at or below one of the paths. A single path speaks for both sides; two follow a folder that moved.
    fn is_below(&self, before: Option<&str>, after: Option<&str>) -> bool {
        let (before, after) = match (before, after) {
            (None, None) => return true,
            (Some(path), None) | (None, Some(path)) => (path, path),
            (Some(before), Some(after)) => (before, after),
        };
        let within =
            |blob: &Option<Blob>, folder: &str| blob.as_ref().is_some_and(|blob| is_within(&blob.path, folder));
        within(&self.before_blob, before) || within(&self.after_blob, after)
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads `:MODE MODE ID ID STATUS NUL PATH NUL` records.
fn parse_raw(output: &[u8]) -> Result<Vec<Difference>, GitFailure> {
    let text = String::from_utf8_lossy(output);
    let mut fields = text.split_terminator('\0');
    let mut differences = Vec::new();
    while let Some(head) = fields.next() {
        let difference = fields.next().and_then(|path| parse_record(head, path));
        let wrong = || GitFailure::Answer { command: "diff-tree", answer: head.chars().take(200).collect() };
        differences.push(difference.ok_or_else(wrong)?);
    }
    Ok(differences)
}

fn parse_record(head: &str, path: &str) -> Option<Difference> {
    let words: Vec<&str> = head.strip_prefix(':')?.split(' ').collect();
    let [before_mode, after_mode, before_id, after_id, status] = words.as_slice() else { return None };
    let blob = |mode: &str, id: &str| {
        Some(Blob { blob_id: ObjectId::parse(id)?, path: path.to_owned(), mode: mode.to_owned() })
    };
    let (before, after) = (blob(before_mode, before_id)?, blob(after_mode, after_id)?);
    Some(match *status {
        "A" => Difference { before_blob: None, after_blob: Some(after), change_type: ChangeType::A },
        "D" => Difference { before_blob: Some(before), after_blob: None, change_type: ChangeType::D },
        // `T`, a file that became a link, is a change like any other: the model has no type for it.
        "M" | "T" => Difference { before_blob: Some(before), after_blob: Some(after), change_type: ChangeType::M },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: &str, path: &str) -> Difference {
        let (a, b) = ("1".repeat(40), "2".repeat(40));
        parse_raw(format!(":100644 100755 {a} {b} {status}\0{path}\0").as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn additions_have_no_before_and_deletions_no_after() {
        let added = record("A", "x\ty");
        assert_eq!(added.before_blob, None);
        assert_eq!(added.after_blob.unwrap().path, "x\ty");
        let deleted = record("D", "x");
        assert_eq!(deleted.after_blob, None);
        assert_eq!(deleted.before_blob.unwrap().mode, "100644");
        assert_eq!(record("T", "x").change_type, ChangeType::M);
        assert!(parse_raw(b":100644 100644 x y R100\0a\0").is_err());
        assert!(parse_raw(b"garbage\0").is_err());
    }

    #[test]
    fn a_path_limits_both_sides_and_does_not_match_half_a_name() {
        let one = record("M", "src/lib.rs");
        assert!(one.is_below(None, None));
        assert!(one.is_below(Some("src"), None));
        assert!(one.is_below(None, Some("src/lib.rs")));
        assert!(!one.is_below(Some("sr"), None));
        assert!(!one.is_below(None, Some("docs")));
        assert!(record("D", "old/a").is_below(Some("old"), Some("new")));
        assert!(!record("D", "new/a").is_below(Some("old"), Some("new")));
        assert!(record("A", "new/a").is_below(Some("old"), Some("new")));
    }
}
