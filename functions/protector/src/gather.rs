//! What an event tells, what is remembered, and what arrived, read into facts. No policy in here.

use signalbox_aws::{ChangedPaths, Commit, Failure};
use signalbox_events::{CommitId, RefName, Region};
use signalbox_glue::Invocation;
use signalbox_protector_rules::{
    Ancestry, CommitFacts, Facts, FileFacts, FileKind, Journal, Needs, Range, Subject, Tip, Want, Whose,
};

use crate::Protector;
use crate::git::{is_missing, sorted, tip_of};
use crate::range::{Asked, read_range};
use crate::sweep::Seen;

/// So many changed paths of one push are looked at; the rest is told to be unread.
const MOST_PATHS: usize = 200_000;

/// Reads what the decision will want.
pub(crate) async fn gather(
    function: &Protector,
    needs: &Needs,
    region: &Region,
    invocation: Invocation,
) -> Result<Facts, Failure> {
    let mut facts = Facts::before_gathering(
        needs.subject.clone(),
        region.clone(),
        needs.origin,
        needs.made.clone(),
        invocation.now,
    );
    let (Some(subject), Some(made)) = (&needs.subject, &needs.made) else { return Ok(facts) };
    let key = Journal::key(&subject.repository, &subject.reference);
    facts.journal = function.state.read::<Journal>(&key).await?.map(|kept| kept.value).unwrap_or_default();
    if function.own.hold(made.by.as_ref()) {
        facts.whose = Whose::Ours;
        return Ok(facts);
    }
    if needs.wants.contains(&Want::Tip) {
        gather_tip(function, &mut facts).await?;
    }
    if let Some(new) = &made.new {
        if needs.wants.contains(&Want::PullRequest) {
            facts.arrival.merged = function.merged(subject, new).await?;
        }
        gather_range(function, needs, subject, (made.old.as_ref(), new), &mut facts, invocation).await?;
    }
    Ok(facts)
}

/// Reads where the ref is, and what the sweep saw behind tags.
pub(crate) async fn gather_tip(function: &Protector, facts: &mut Facts) -> Result<(), Failure> {
    let Some(subject) = &facts.subject else { return Ok(()) };
    let source = match function.remote(&subject.repository).await?.source(&[subject.reference.as_str()]).await {
        Ok(source) => source,
        Err(failure) if is_missing(&failure) => {
            facts.tip = Tip::NoRepository;
            return Ok(());
        }
        Err(failure) => return Err(sorted(&failure)),
    };
    facts.tip = tip_of(&source.listing.refs, &subject.reference);
    let seen = function.state.read::<Seen>(&Seen::key(&subject.repository)).await?;
    let seen = seen.and_then(|kept| kept.value.refs.get(&subject.reference).cloned());
    if let Some(Tip::At { object, commit }) = seen
        && object.as_str() != commit.as_str()
    {
        facts.journal.objects.entry(commit).or_insert(object);
    }
    Ok(())
}

async fn gather_range(
    function: &Protector,
    needs: &Needs,
    subject: &Subject,
    (old, new): (Option<&CommitId>, &CommitId),
    facts: &mut Facts,
    invocation: Invocation,
) -> Result<(), Failure> {
    let wants = |want| needs.wants.contains(&want);
    let wants_range = wants(Want::Commits) || wants(Want::Paths) || wants(Want::Contents);
    if !wants_range && !wants(Want::Ancestry) {
        return Ok(());
    }
    let mut range = Range::default();
    let changes = match wants(Want::Paths) {
        true => changes(function, subject, (old, new), &mut range).await?,
        false => ChangedPaths::default(),
    };
    // One commit upon what was there is the rule, and the API tells all of it that is not in its files.
    let mut alone = None;
    if !wants(Want::Contents) && old.is_some() {
        match function.codecommit.commit(&subject.repository, new).await? {
            Some(commit) if commit.parents.len() == 1 && commit.parents.first() == old => alone = Some(commit),
            Some(_) => {}
            None => {
                facts.arrival.ancestry = Ancestry::Unreadable;
                return Ok(());
            }
        }
    }
    match alone {
        Some(commit) => {
            facts.arrival.ancestry = Ancestry::Forward;
            range.files.extend(plain_files(new, &changes));
            range.commits.push(plain_commit(commit));
        }
        None if wants_range => {
            let asked = Asked { old, new, changes: &changes, needs, deadline: invocation.deadline };
            facts.arrival.ancestry = read_range(function, subject, &asked, &mut range).await?;
        }
        None => {}
    }
    if wants(Want::Ancestry)
        && facts.arrival.ancestry == Ancestry::NotRead
        && let Some(old) = old
    {
        facts.arrival.ancestry = ancestry(function, subject, old, new).await?;
    }
    if wants(Want::Contents) && changes.paths.iter().any(|changed| changed.mode.as_deref() == Some("160000")) {
        add_addresses(function, subject, new, &mut range).await?;
    }
    facts.arrival.range = wants_range.then_some(range);
    Ok(())
}

async fn changes(
    function: &Protector,
    subject: &Subject,
    (old, new): (Option<&CommitId>, &CommitId),
    range: &mut Range,
) -> Result<ChangedPaths, Failure> {
    let base = match old {
        Some(old) => Some(old.clone()),
        // A new ref brings what its default branch does not have.
        None => match function.codecommit.default_branch(&subject.repository).await? {
            Some(branch) if RefName::branch(&branch).is_ok_and(|name| name != subject.reference) => {
                function.codecommit.merge_base(&subject.repository, new.as_str(), &branch).await?
            }
            _ => None,
        },
    };
    let found = function.codecommit.changes(&subject.repository, base.as_ref(), new, MOST_PATHS).await?;
    match found {
        Some(found) => {
            if found.has_more {
                range.unread.push(format!("more than {MOST_PATHS} paths changed, and the rest was not looked at"));
            }
            Ok(found)
        }
        None => {
            range.unread.push("the paths that changed could not be read: one of the commits is gone".to_owned());
            Ok(ChangedPaths::default())
        }
    }
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
    let addresses = crate::range::submodules(&String::from_utf8_lossy(&text));
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
    }
}
