//! The events of comments and reactions. None of them carries what was said.

use serde_json::{Map, Value, json};

use super::super::pull_requests::console;
use super::super::repositories::Repositories;
use super::reactions::Reaction;
use super::{Comment, Thread};
use crate::auth::Caller;
use crate::world::World;

const ON_COMMIT: &str = "CodeCommit Comment on Commit";
const ON_PULL_REQUEST: &str = "CodeCommit Comment on Pull Request";
const REACTION: &str = "CodeCommit Comment Reaction Change";

/// What happened to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
}

impl Repositories {
    pub(super) fn tell_comment(&self, comment: &Comment, thread: &Thread, change: Change, caller: &Caller) {
        if let Some(id) = thread.pull_request {
            let now = self.world.now();
            self.pull_requests.change(|all| {
                if let Ok(one) = all.find_mut(id) {
                    one.touch(now);
                }
            });
        }
        let Some(repository) = self.with_id(&thread.repository_id) else { return };
        let name = repository.name.as_str();
        let (kind, detail) = comment_change(&self.world, name, comment, thread, change, &caller.arn);
        self.publish(kind, vec![self.world.arn("codecommit", name)], detail);
    }

    pub(super) fn tell_reaction(
        &self,
        comment: &Comment,
        thread: &Thread,
        reaction: &Reaction,
        is_first: bool,
        caller: &Caller,
    ) {
        let Some(repository) = self.with_id(&thread.repository_id) else { return };
        let name = repository.name.as_str();
        let (event, made) = if is_first {
            ("commentReactionCreated", "made a comment reaction")
        } else {
            ("commentReactionUpdated", "updated a reaction")
        };
        let detail = json!({
            "callerUserArn": caller.arn,
            "commentId": comment.id,
            "event": event,
            "notificationBody": format!(
                "A comment reaction event occurred in the following AWS CodeCommit Repository: {name}. The user: {} {made} {} to the comment with comment ID: {}",
                caller.arn, reaction.emoji, comment.id
            ),
            "reactionEmojis": [reaction.emoji],
            "reactionShortcodes": [reaction.short_code],
            "reactionUnicodes": [reaction.unicode],
            "repositoryId": thread.repository_id,
            "repositoryName": name,
        });
        self.publish(REACTION, vec![self.world.arn("codecommit", name)], detail);
    }
}

fn comment_change(
    world: &World,
    repository: &str,
    comment: &Comment,
    thread: &Thread,
    change: Change,
    caller_arn: &str,
) -> (&'static str, Value) {
    let mut detail = Map::new();
    let mut put = |key: &str, value: &str| {
        detail.insert(key.to_owned(), json!(value));
    };
    let (region, fragment) = (&world.region, comment.id.replace(':', "%3A"));
    let console = console(world, repository);
    let did = match change {
        Change::Created => "made a comment or replied to a comment",
        Change::Updated => "updated a comment or replied to a comment",
    };
    put("afterCommitId", thread.after.as_str());
    if let Some(before) = &thread.before {
        put("beforeCommitId", before.as_str());
    }
    put("callerUserArn", caller_arn);
    put("commentId", &comment.id);
    if let Some(answered) = &comment.in_reply_to {
        put("inReplyTo", answered);
    }
    put("repositoryId", &thread.repository_id);
    put("repositoryName", repository);
    let (kind, event, body) = match thread.pull_request {
        Some(id) => {
            put("pullRequestId", &id.to_string());
            let event = match change {
                Change::Created => "commentOnPullRequestCreated",
                Change::Updated => "commentOnPullRequestUpdated",
            };
            let body = format!(
                "A pull request event occurred in the following AWS CodeCommit repository: {repository}. The user: {caller_arn} {did}. The comment was made on the following Pull Request: {id}. For more information, go to the AWS CodeCommit console {console}/pull-requests/{id}/activity#{fragment}?region={region}"
            );
            (ON_PULL_REQUEST, event, body)
        }
        None => {
            let event = match change {
                Change::Created => "commentOnCommitCreated",
                Change::Updated => "commentOnCommitUpdated",
            };
            let after = &thread.after;
            let before = thread.before.as_ref().map(ToString::to_string).unwrap_or_default();
            let body = format!(
                "A comment event occurred in the following AWS CodeCommit repository: {repository}. The user: {caller_arn} {did}. The comment was made on a comparison between the following commits: {before} : {after}. For more information, go to the AWS CodeCommit console {console}/compare/{before}/.../{after}?region={region}"
            );
            (ON_COMMIT, event, body)
        }
    };
    put("event", event);
    put("notificationBody", &body);
    (kind, Value::Object(detail))
}

#[cfg(test)]
mod tests {
    use super::super::super::names::ObjectId;
    use super::*;

    fn detail(pull_request: Option<u64>, in_reply_to: Option<&str>) -> (&'static str, Value) {
        let world = World::new(std::path::PathBuf::new(), "eu-west-1", 1);
        let id = |digit: &str| ObjectId::parse(&digit.repeat(40)).unwrap();
        let at = "2026-11-06T19:10:58Z".parse().unwrap();
        let comment = Comment {
            id: "a:b".to_owned(),
            thread: "a".to_owned(),
            number: 1,
            content: Some("What only GetComment tells".to_owned()),
            in_reply_to: in_reply_to.map(str::to_owned),
            created: at,
            modified: at,
            author: "arn:aws:iam::111122223333:user/anna".to_owned(),
            token: None,
            reactions: Default::default(),
        };
        let thread = Thread {
            repository_id: "r".to_owned(),
            pull_request,
            before: Some(id("1")),
            after: id("2"),
            before_blob: None,
            after_blob: None,
            location: None,
            number: 1,
        };
        comment_change(&world, "demo", &comment, &thread, Change::Created, &comment.author)
    }

    #[test]
    fn an_event_names_the_comment_and_does_not_say_what_it_says() {
        let (kind, on_commit) = detail(None, None);
        assert_eq!((kind, &on_commit["event"]), (ON_COMMIT, &json!("commentOnCommitCreated")));
        assert!(on_commit.get("pullRequestId").is_none() && on_commit.get("inReplyTo").is_none());
        let (kind, reply) = detail(Some(7), Some("a:a"));
        assert_eq!((kind, &reply["event"]), (ON_PULL_REQUEST, &json!("commentOnPullRequestCreated")));
        assert_eq!((&reply["pullRequestId"], &reply["inReplyTo"]), (&json!("7"), &json!("a:a")));
        assert!(reply["notificationBody"].as_str().unwrap().contains("/pull-requests/7/activity#a%3Ab?region="));
        assert!(!on_commit.to_string().contains("only GetComment") && !reply.to_string().contains("only GetComment"));
    }

    #[test]
    fn the_details_have_exactly_the_fields_of_events_that_were_really_delivered() {
        let Some(corpus) = std::env::var_os("SIGNALBOX_EVENT_CORPUS").map(std::path::PathBuf::from) else {
            println!("skipped: SIGNALBOX_EVENT_CORPUS names no folder of captured events");
            return;
        };
        for (file, pull_request, in_reply_to) in [
            ("comment-on-commit-created-answerd", None, None),
            ("comment-on-pr-created-answerd", Some(9), None),
            ("comment-on-pr-reply-machugwu", Some(2), Some("a:a")),
        ] {
            let text = std::fs::read(corpus.join(format!("captured/codecommit-{file}.json"))).unwrap();
            let captured: Value = serde_json::from_slice(&text).unwrap();
            let (kind, ours) = detail(pull_request, in_reply_to);
            let fields = |value: &Value| {
                let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
                fields.sort();
                fields
            };
            assert_eq!(captured["detailType"], kind);
            assert_eq!(fields(&ours), fields(&captured["detail"]), "{file}");
        }
    }
}
