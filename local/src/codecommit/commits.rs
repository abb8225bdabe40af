//! Commits, as git stores them and as CodeCommit shows them.

use serde::{Deserialize, Serialize};

use super::git::GitFailure;
use super::names::{ObjectId, check_commit_id};
use super::repositories::{Repositories, Repository};
use crate::error::{Answer, ServiceError};

/// Most ids in one `BatchGetCommits`.
const LARGEST_BATCH: usize = 100;

/// `GetCommit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct One {
    repository_name: Option<String>,
    commit_id: Option<String>,
}

/// `BatchGetCommits`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Batch {
    repository_name: Option<String>,
    commit_ids: Option<Vec<String>>,
}

/// `Commit` of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    commit_id: ObjectId,
    tree_id: String,
    parents: Vec<String>,
    message: String,
    author: Person,
    committer: Person,
    additional_data: String,
}

/// `UserInfo` of the model; the date as git writes it: `1446744188 +0000`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Person {
    name: String,
    email: String,
    date: String,
}

/// The output of `GetCommit`.
#[derive(Debug, Serialize)]
pub(super) struct OneCommit {
    commit: Commit,
}

/// The output of `BatchGetCommits`.
#[derive(Debug, Serialize)]
pub(super) struct ManyCommits {
    commits: Vec<Commit>,
    errors: Vec<Missing>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    commit_id: String,
    error_code: String,
    error_message: String,
}

impl Repositories {
    pub(super) async fn get_commit(&self, input: One) -> Answer<OneCommit> {
        let repository = self.named(input.repository_name)?;
        let id = check_commit_id(input.commit_id)?;
        let found = self.read_commits(&repository, std::slice::from_ref(&id)).await?;
        let commit = found.into_iter().flatten().next().ok_or_else(|| not_there(id.as_str()))?;
        Ok(OneCommit { commit })
    }

    pub(super) async fn batch_get_commits(&self, input: Batch) -> Answer<ManyCommits> {
        let repository = self.named(input.repository_name)?;
        let asked = input
            .commit_ids
            .filter(|ids| !ids.is_empty())
            .ok_or_else(|| ServiceError::bad("CommitIdsListRequiredException", "at least one commit id is required"))?;
        if asked.len() > LARGEST_BATCH {
            return Err(ServiceError::bad(
                "CommitIdsLimitExceededException",
                format!("{} commit ids are more than {LARGEST_BATCH}", asked.len()),
            ));
        }
        let mut output = ManyCommits { commits: Vec::new(), errors: Vec::new() };
        let mut miss = |id: String, error: ServiceError| {
            output.errors.push(Missing { commit_id: id, error_code: error.code, error_message: error.message });
        };
        let mut ids = Vec::new();
        for id in asked {
            match ObjectId::parse(&id) {
                Some(id) => ids.push(id),
                None => miss(id.clone(), not_an_id(&id)),
            }
        }
        for (id, commit) in ids.iter().zip(self.read_commits(&repository, &ids).await?) {
            match commit {
                Some(commit) => output.commits.push(commit),
                None => miss(id.to_string(), not_there(id.as_str())),
            }
        }
        Ok(output)
    }

    async fn read_commits(&self, repository: &Repository, ids: &[ObjectId]) -> Answer<Vec<Option<Commit>>> {
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output = self.git.run(&*repository.dir, &["cat-file", "--batch"], input.as_bytes()).await?;
        let mut rest = output.as_slice();
        let mut commits = Vec::new();
        for id in ids {
            let (object, behind) = split_object(rest).ok_or_else(|| GitFailure::Answer {
                command: "cat-file",
                answer: String::from_utf8_lossy(rest).chars().take(200).collect(),
            })?;
            rest = behind;
            commits.push(object.filter(|(kind, _)| *kind == "commit").map(|(_, content)| parse_commit(id, content)));
        }
        Ok(commits)
    }
}

/// One answer of `git cat-file --batch`, its kind and content, and what comes behind it.
#[expect(clippy::type_complexity, reason = "a name would say less than the parts")]
pub(super) fn split_object(bytes: &[u8]) -> Option<(Option<(&str, &[u8])>, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 1..)?);
    let mut words = line.split(' ');
    let (_, kind) = (words.next()?, words.next()?);
    let Some(size) = words.next() else { return (kind == "missing").then_some((None, rest)) };
    let size: usize = size.parse().ok()?;
    Some((Some((kind, rest.get(..size)?)), rest.get(size + 1..)?))
}

/// Reads a commit object. What is not UTF-8 is shown with replacement characters, as JSON must be.
fn parse_commit(id: &ObjectId, content: &[u8]) -> Commit {
    let text = String::from_utf8_lossy(content);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut commit = Commit {
        commit_id: id.clone(),
        tree_id: String::new(),
        parents: Vec::new(),
        message: message.to_owned(),
        author: Person::default(),
        committer: Person::default(),
        additional_data: String::new(),
    };
    for line in head.lines() {
        match line.split_once(' ') {
            Some(("tree", id)) => commit.tree_id = id.to_owned(),
            Some(("parent", id)) => commit.parents.push(id.to_owned()),
            Some(("author", person)) => commit.author = parse_person(person),
            Some(("committer", person)) => commit.committer = parse_person(person),
            // Signatures and encodings; their continued lines begin with a space.
            _ => {}
        }
    }
    commit
}

fn parse_person(text: &str) -> Person {
    let (name, rest) = text.split_once('<').unwrap_or((text, ""));
    let (email, date) = rest.rsplit_once('>').unwrap_or((rest, ""));
    Person { name: name.trim().to_owned(), email: email.to_owned(), date: date.trim().to_owned() }
}

fn not_an_id(id: &str) -> ServiceError {
    ServiceError::bad("InvalidCommitIdException", format!("{id:?} is not a full commit id"))
}

fn not_there(id: &str) -> ServiceError {
    ServiceError::bad("CommitIdDoesNotExistException", format!("there is no commit {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_merge_commit_is_read_with_its_people_and_its_message() {
        let id = ObjectId::parse(&"a".repeat(40)).unwrap();
        let content = format!(
            "tree {t}\nparent {p}\nparent {q}\nauthor A. Developer <dev@example.com> 1446744188 +0000\n\
             committer Releases <r@example.com> 1446744199 -0730\ngpgsig -----BEGIN-----\n parent not-one\n -----END-----\n\n\
             Merge\n\nwith a body\n",
            t = "1".repeat(40),
            p = "2".repeat(40),
            q = "3".repeat(40)
        );
        let commit = parse_commit(&id, content.as_bytes());
        assert_eq!(commit.parents, ["2".repeat(40), "3".repeat(40)]);
        assert_eq!(commit.message, "Merge\n\nwith a body\n");
        assert_eq!(commit.author.name, "A. Developer");
        assert_eq!(commit.author.email, "dev@example.com");
        assert_eq!(commit.author.date, "1446744188 +0000");
        assert_eq!(commit.committer.date, "1446744199 -0730");
    }
}
