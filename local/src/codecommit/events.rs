//! `CodeCommit Repository State Change`: one event for each ref that changed, as CodeCommit sends them.

use serde_json::{Map, Value, json};
use signalbox_events::{ConflictDetailLevel, ConflictResolution, MergeOption, RefKind, RefName, RepositoryName};

use super::names::ObjectId;
use crate::world::World;

/// The event's source.
pub(super) const SOURCE: &str = "aws.codecommit";
/// The event's detail-type.
pub(super) const STATE_CHANGE: &str = "CodeCommit Repository State Change";

/// What happened to a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// It is there now.
    Created(ObjectId),
    /// It went from the first to the second, forwards or not: CodeCommit does not say.
    Updated(ObjectId, ObjectId),
    /// It is gone.
    Deleted(ObjectId),
}

/// A ref that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefChange {
    /// The full name.
    pub(super) name: RefName,
    /// From what to what.
    pub(super) how: Move,
}

impl Move {
    /// The objects that it names.
    pub(super) fn objects(&self) -> Vec<&ObjectId> {
        match self {
            Self::Created(id) | Self::Deleted(id) => vec![id],
            Self::Updated(old, new) => vec![old, new],
        }
    }
}

/// How CodeCommit itself made a merge; a push and a file have no such thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MergeNote {
    pub(super) option: MergeOption,
    pub(super) source: ObjectId,
    /// The tip of what was merged into, before the merge.
    pub(super) destination: ObjectId,
    /// What only a merge has that made a commit.
    pub(super) contents: Option<MergedContents>,
}

/// How the contents of two commits were merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MergedContents {
    pub(super) base: ObjectId,
    pub(super) level: ConflictDetailLevel,
    pub(super) strategy: ConflictResolution,
}

impl MergeNote {
    fn write(&self, detail: &mut Map<String, Value>) {
        let mut put = |key: &str, value: &str| {
            detail.insert(key.to_owned(), json!(value));
        };
        put("mergeOption", self.option.as_aws());
        put("sourceCommitId", self.source.as_str());
        put("destinationCommitId", self.destination.as_str());
        if let Some(contents) = &self.contents {
            put("baseCommitId", contents.base.as_str());
            // AWS's schema lists this word with and without its first s; the documented event has it.
            put("conflictDetailsLevel", contents.level.as_aws());
            put("conflictResolutionStrategy", contents.strategy.as_aws());
        }
    }
}

/// The repository that an event is about.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a RepositoryName,
    pub(super) id: &'a str,
}

/// The id that an event gives for what a ref points to: of an annotated tag it is the commit behind it.
///
/// Whether AWS gives the tag object instead is not known; the field is called `commitId`, so a commit it is. `peeled`
/// is the commit behind `object`, where there is one.
pub(super) fn event_commit_id(object: &ObjectId, peeled: Option<&ObjectId>) -> ObjectId {
    peeled.unwrap_or(object).clone()
}

/// The `resources` and the `detail` of a change's event. The ids in `change` are those that the event shows.
pub(super) fn state_change(
    world: &World,
    subject: &Subject<'_>,
    change: &RefChange,
    merge: Option<&MergeNote>,
    caller_arn: &str,
) -> (Vec<String>, Value) {
    let mut detail = Map::new();
    let mut put = |key: &str, value: &str| {
        detail.insert(key.to_owned(), json!(value));
    };
    put("callerUserArn", caller_arn);
    let event = match &change.how {
        Move::Created(new) => {
            put("commitId", new.as_str());
            "referenceCreated"
        }
        Move::Updated(old, new) => {
            put("commitId", new.as_str());
            put("oldCommitId", old.as_str());
            "referenceUpdated"
        }
        Move::Deleted(old) => {
            put("oldCommitId", old.as_str());
            "referenceDeleted"
        }
    };
    put("event", event);
    put("referenceFullName", change.name.as_str());
    put("referenceName", change.name.short());
    put("referenceType", if change.name.kind() == RefKind::Tag { "tag" } else { "branch" });
    put("repositoryId", subject.id);
    put("repositoryName", subject.name.as_str());
    if let Some(merge) = merge {
        merge.write(&mut detail);
    }
    (vec![world.arn("codecommit", subject.name.as_str())], Value::Object(detail))
}

/// The `resources` and the `detail` of the event of a merge commit that no ref points to.
pub(super) fn unreferenced_commit(
    world: &World,
    subject: &Subject<'_>,
    commit: &ObjectId,
    merge: &MergeNote,
    caller_arn: &str,
) -> (Vec<String>, Value) {
    let mut detail = Map::new();
    for (key, value) in [
        ("event", "unreferencedMergeCommitCreated"),
        ("callerUserArn", caller_arn),
        ("commitId", commit.as_str()),
        ("repositoryId", subject.id),
        ("repositoryName", subject.name.as_str()),
    ] {
        detail.insert(key.to_owned(), json!(value));
    }
    merge.write(&mut detail);
    (vec![world.arn("codecommit", subject.name.as_str())], Value::Object(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, how: Move) -> (Vec<String>, Value) {
        let world = World::new(std::path::PathBuf::new(), "eu-west-1", 1);
        let repository = RepositoryName::parse("demo").unwrap();
        let subject = Subject { name: &repository, id: "1b2c3d4e-0000-4000-a000-000000000001" };
        let change = RefChange { name: RefName::parse(name).unwrap(), how };
        state_change(&world, &subject, &change, None, "arn:aws:iam::111122223333:user/developer")
    }

    fn id(digit: &str) -> ObjectId {
        ObjectId::parse(&digit.repeat(40)).unwrap()
    }

    #[test]
    fn an_updated_branch_names_both_commits_and_who_did_it() {
        let (resources, detail) = event("refs/heads/feature/x", Move::Updated(id("1"), id("2")));
        assert_eq!(resources, ["arn:aws:codecommit:eu-west-1:111122223333:demo"]);
        let expected = json!({
            "callerUserArn": "arn:aws:iam::111122223333:user/developer",
            "commitId": "2".repeat(40),
            "event": "referenceUpdated",
            "oldCommitId": "1".repeat(40),
            "referenceFullName": "refs/heads/feature/x",
            "referenceName": "feature/x",
            "referenceType": "branch",
            "repositoryId": "1b2c3d4e-0000-4000-a000-000000000001",
            "repositoryName": "demo",
        });
        assert_eq!(detail, expected);
    }

    #[test]
    fn a_created_ref_has_no_old_commit_and_a_deleted_one_no_commit() {
        let (_, created) = event("refs/tags/v1", Move::Created(id("1")));
        assert_eq!(created["event"], "referenceCreated");
        assert_eq!(created["referenceType"], "tag");
        assert_eq!(created["commitId"], "1".repeat(40));
        assert!(created.get("oldCommitId").is_none(), "absent, not null");

        let (_, deleted) = event("refs/heads/x", Move::Deleted(id("1")));
        assert_eq!(deleted["event"], "referenceDeleted");
        assert_eq!(deleted["oldCommitId"], "1".repeat(40));
        assert!(deleted.get("commitId").is_none(), "absent, not null");
    }

    #[test]
    fn the_details_have_exactly_the_fields_of_events_that_were_really_delivered() {
        let Some(corpus) = std::env::var_os("SIGNALBOX_EVENT_CORPUS").map(std::path::PathBuf::from) else {
            println!("skipped: SIGNALBOX_EVENT_CORPUS names no folder of captured events");
            return;
        };
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for (kind, how) in [
            ("created", Move::Created(id("1"))),
            ("updated", Move::Updated(id("1"), id("2"))),
            ("deleted", Move::Deleted(id("1"))),
        ] {
            let file = corpus.join(format!("captured/codecommit-reference-{kind}-branch-answerd.json"));
            let captured: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            assert_eq!(captured["detailType"], STATE_CHANGE);
            let (_, ours) = event("refs/heads/x", how);
            let (mut expected, mut got) = (fields(&captured["detail"]), fields(&ours));
            expected.sort();
            got.sort();
            assert_eq!(got, expected, "{kind}");
        }
    }

    #[test]
    fn an_annotated_tag_is_told_by_the_commit_behind_it() {
        assert_eq!(event_commit_id(&id("1"), Some(&id("2"))), id("2"));
        assert_eq!(event_commit_id(&id("1"), None), id("1"));
    }
}
