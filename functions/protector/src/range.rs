//! What arrives: the commits and files of a push, as many at once as a look may take in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use signalbox_aws::{ChangedPaths, Commit, Failure};
use signalbox_events::{CommitId, RefName};
use signalbox_glue::Invocation;
use signalbox_protector_rules::{
    Ancestry, Arrival, CommitFacts, FileFacts, FileKind, Merged, Needs, Paths, Range, Rest, Signature, Subject, Want,
};

use crate::Protector;
use crate::pack::{Asked, read_pack};

/// Which range is asked about.
pub(crate) struct Asking<'a> {
    /// What was there before; `None` for a new ref.
    pub(crate) old: Option<&'a CommitId>,
    /// What arrives.
    pub(crate) new: &'a CommitId,
    /// How far earlier looks came.
    pub(crate) before: Rest,
    /// Whether a pull request brought it.
    pub(crate) merged: Merged,
}

/// The changed paths, as far as this look has them.
enum Listed {
    /// From the first to the last.
    All(ChangedPaths),
    /// Some of them.
    Some(ChangedPaths),
    /// Earlier looks had them.
    Before,
}

/// Reads the next part of what arrives, and says what is left.
pub(crate) async fn read_arrival(
    function: &Protector,
    (needs, subject): (&Needs, &Subject),
    asking: Asking<'_>,
    invocation: Invocation,
) -> Result<Arrival, Failure> {
    let Asking { old, new, before, merged } = asking;
    let mut arrival = Arrival { merged, ..Arrival::default() };
    let wants = |want| needs.wants.contains(&want);
    let wants_range = wants(Want::Commits) || wants(Want::Paths) || wants(Want::Contents);
    if !wants_range && !wants(Want::Ancestry) {
        return Ok(arrival);
    }
    let mut next = Rest { looks: before.looks + 1, found: Vec::new(), ..before.clone() };
    let until = invocation.deadline.checked_sub(function.bounds.reserve).unwrap_or(invocation.deadline);
    let mut range = Range::default();
    if before.is_endless() {
        let (looks, commits, files) = (before.looks, before.commits, before.files);
        range.unread.push(format!("after {looks} looks at {commits} commits and {files} files the rest was given up"));
        arrival.ancestry = before.ancestry;
        arrival.range = Some(range);
        return Ok(arrival);
    }
    let listed = match (wants(Want::Paths), &before.paths) {
        (false, _) => Listed::All(ChangedPaths::default()),
        (true, Paths::Read) => Listed::Before,
        (true, _) => paths(function, subject, (old, new), &mut next, &mut range, until).await?,
    };
    // One commit upon what was there is the rule, and the API tells all of it that is not in its files. Beside a question for pull requests and one for
    // paths that would be a call too many: then it is read from the pack.
    let mut alone = None;
    let asks_much = wants(Want::PullRequest) && wants(Want::Paths);
    if !wants(Want::Contents) && !wants(Want::Signatures) && !asks_much && old.is_some() {
        match function.codecommit.commit(&subject.repository, new).await? {
            Some(commit) if commit.parents.len() == 1 && commit.parents.first() == old => alone = Some(commit),
            Some(_) => {}
            None => {
                arrival.ancestry = Ancestry::Unreadable;
                return Ok(arrival);
            }
        }
    }
    let mut left = None;
    match (alone, listed) {
        (Some(commit), listed) => {
            arrival.ancestry = Ancestry::Forward;
            if let Listed::All(changes) | Listed::Some(changes) = &listed {
                range.files.extend(plain_files(new, changes));
            }
            if before.looks == 0 {
                range.commits.push(plain_commit(commit));
            }
            left = Some(next).filter(|next| matches!(next.paths, Paths::From(_)));
        }
        (None, Listed::Some(changes)) => {
            range.files.extend(plain_files(new, &changes));
            left = Some(next);
        }
        (None, listed) if wants_range => {
            let changes = match listed {
                Listed::All(changes) | Listed::Some(changes) => Some(changes),
                Listed::Before => None,
            };
            let asked = Asked { old, new, changes, needs, rest: next, until };
            (arrival.ancestry, left) = read_pack(function, subject, asked, &mut range).await?;
        }
        (None, _) => {}
    }
    if before.looks > 0 {
        arrival.ancestry = before.ancestry;
    } else if wants(Want::Ancestry)
        && arrival.ancestry == Ancestry::NotRead
        && let Some(old) = old
    {
        arrival.ancestry = ancestry(function, subject, old, new).await?;
    }
    if wants(Want::Contents) && range.files.iter().any(|file| matches!(file.kind, FileKind::Submodule { .. })) {
        add_addresses(function, subject, new, &mut range).await?;
    }
    if wants(Want::Signatures) && old.is_some() {
        excuse_merge(function, subject, new, &arrival.merged, &mut range).await?;
    }
    arrival.rest = left.map(|left| Rest {
        commits: left.commits + range.commits.len(),
        files: left.files + range.files.len(),
        ancestry: arrival.ancestry,
        ..left
    });
    arrival.range = wants_range.then_some(range);
    Ok(arrival)
}

/// Reads changed paths from where the last look stopped. Half of the time is left for what is in them.
async fn paths(
    function: &Protector,
    subject: &Subject,
    (old, new): (Option<&CommitId>, &CommitId),
    next: &mut Rest,
    range: &mut Range,
    until: Timestamp,
) -> Result<Listed, Failure> {
    let codecommit = &function.codecommit;
    let base = base_of(function, subject, old, new).await?;
    let now = Timestamp::now();
    let half = now + until.duration_since(now) / 2;
    let most = function.bounds.paths;
    let goes_on = |count: usize| count < most && Timestamp::now() < half;
    let from = match &next.paths {
        Paths::From(token) => Some(token.clone()),
        Paths::Unread | Paths::Read => None,
    };
    let is_begun = from.is_some();
    let found = codecommit.changes(&subject.repository, base.as_ref(), new, from, goes_on).await?;
    let Some(found) = found else {
        range.unread.push("the paths that changed could not be read: one of the commits is gone".to_owned());
        next.paths = Paths::Read;
        return Ok(if is_begun { Listed::Before } else { Listed::All(ChangedPaths::default()) });
    };
    next.paths = found.next.clone().map_or(Paths::Read, Paths::From);
    Ok(if is_begun || found.next.is_some() { Listed::Some(found) } else { Listed::All(found) })
}

/// What a push is compared with.
pub(crate) async fn base_of(
    function: &Protector,
    subject: &Subject,
    old: Option<&CommitId>,
    new: &CommitId,
) -> Result<Option<CommitId>, Failure> {
    if let Some(old) = old {
        return Ok(Some(old.clone()));
    }
    // A new ref brings what its default branch does not have.
    match function.codecommit.default_branch(&subject.repository).await? {
        Some(branch) if RefName::branch(&branch).is_ok_and(|name| name != subject.reference) => {
            function.codecommit.merge_base(&subject.repository, new.as_str(), &branch).await
        }
        _ => Ok(None),
    }
}

/// What CodeCommit made itself when it merged a pull request nobody can have signed.
async fn excuse_merge(
    function: &Protector,
    subject: &Subject,
    new: &CommitId,
    merged: &Merged,
    range: &mut Range,
) -> Result<(), Failure> {
    let is_tip = |commit: &&mut CommitFacts| commit.id == *new && commit.signature == Signature::Missing;
    if let Some(tip) = range.commits.iter_mut().find(is_tip)
        && *merged != Merged::No
        && let Some(id) = function.made_for(subject, new).await?
    {
        tip.signature = Signature::Merge(id);
    }
    Ok(())
}

async fn ancestry(
    function: &Protector,
    subject: &Subject,
    old: &CommitId,
    new: &CommitId,
) -> Result<Ancestry, Failure> {
    let (codecommit, repository) = (&function.codecommit, &subject.repository);
    match codecommit.merge_base(repository, new.as_str(), old.as_str()).await? {
        Some(base) if base == *old => Ok(Ancestry::Forward),
        Some(_) => Ok(Ancestry::Rewritten),
        // No common commit, or one of the two is not there.
        None if codecommit.commit(repository, old).await?.is_some()
            && codecommit.commit(repository, new).await?.is_some() =>
        {
            Ok(Ancestry::Rewritten)
        }
        None => Ok(Ancestry::Unreadable),
    }
}

/// Gives submodules the address that `.gitmodules` has for their path.
async fn add_addresses(
    function: &Protector,
    subject: &Subject,
    new: &CommitId,
    range: &mut Range,
) -> Result<(), Failure> {
    let text = function.codecommit.file(&subject.repository, new, ".gitmodules").await?.unwrap_or_default();
    let addresses = submodules(&String::from_utf8_lossy(&text));
    for file in &mut range.files {
        if let FileKind::Submodule { address } = &mut file.kind {
            *address = addresses.get(&file.path).cloned();
        }
    }
    Ok(())
}

/// The changed paths as files that nobody looked into.
pub(crate) fn plain_files(commit: &CommitId, changes: &ChangedPaths) -> Vec<FileFacts> {
    let there = changes.paths.iter().filter_map(|changed| Some((changed, changed.mode.as_deref()?)));
    let files = there.map(|(changed, mode)| FileFacts {
        commit: commit.clone(),
        path: changed.path.clone(),
        kind: match mode {
            "120000" => FileKind::Symlink { target: None },
            "160000" => FileKind::Submodule { address: None },
            _ => FileKind::File,
        },
        size: None,
        content: None,
        collides_with: None,
    });
    files.collect()
}

fn plain_commit(commit: Commit) -> CommitFacts {
    CommitFacts {
        id: commit.id,
        parents: commit.parents,
        message: commit.message,
        author: commit.author.email,
        committer: commit.committer.email,
        signature: Signature::NotRead,
    }
}

/// The addresses of submodules by their paths, from the text of `.gitmodules`.
fn submodules(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut path, mut url) = (None, None);
    for line in text.lines().map(str::trim).chain(["["]) {
        if line.starts_with('[') {
            if let (Some(path), Some(url)) = (path.take(), url.take()) {
                found.insert(path, url);
            }
            (path, url) = (None, None);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => path = Some(value),
            "url" => url = Some(value),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_by_path_whatever_the_order() {
        let text = "[submodule \"a\"]\n\tpath = lib/a\n\turl = https://git.example.com/a\n[submodule \"b\"]\n  url=\"../b\"\n  path = b\n[submodule \"c\"]\n path = c\n";
        let found = submodules(text);
        assert_eq!(found.get("lib/a").map(String::as_str), Some("https://git.example.com/a"));
        assert_eq!(found.get("b").map(String::as_str), Some("../b"));
        assert_eq!(found.len(), 2);
    }
}
