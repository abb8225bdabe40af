//! `CodeCommit Pull Request State Change`: what happens to a pull request, as CodeCommit sends it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use signalbox_events::{ApprovalStatus, MergeOption, OverrideStatus};

use super::super::approval_rules::Rule;
use super::super::repositories::{Repositories, Repository};
use super::state::PullRequest;
use crate::auth::Caller;
use crate::world::World;

/// The event's detail-type.
const DETAIL_TYPE: &str = "CodeCommit Pull Request State Change";

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub(in crate::codecommit) enum News<'a> {
    Created,
    SourceBranchUpdated,
    /// Closed without a merge.
    StatusChanged,
    Merged(MergeOption),
    ApprovalChanged(ApprovalStatus),
    RuleCreated(&'a Rule),
    RuleUpdated(&'a Rule),
    RuleDeleted(&'a Rule),
    Overridden(OverrideStatus),
}

impl News<'_> {
    fn event(self) -> &'static str {
        match self {
            Self::Created => "pullRequestCreated",
            Self::SourceBranchUpdated => "pullRequestSourceBranchUpdated",
            Self::StatusChanged => "pullRequestStatusChanged",
            Self::Merged(_) => "pullRequestMergeStatusUpdated",
            Self::ApprovalChanged(_) => "pullRequestApprovalStateChanged",
            Self::RuleCreated(_) => "pullRequestApprovalRuleCreated",
            Self::RuleUpdated(_) => "pullRequestApprovalRuleUpdated",
            Self::RuleDeleted(_) => "pullRequestApprovalRuleDeleted",
            Self::Overridden(_) => "pullRequestApprovalRuleOverridden",
        }
    }

    /// The part of AWS's sentence that says what it was.
    fn told(self, one: &PullRequest) -> String {
        let id = one.id;
        let more = match self {
            Self::Created => {
                return format!(
                    "Event: Created. The pull request was created with the following information: Pull Request ID as {id} and title as {}",
                    one.title
                );
            }
            Self::SourceBranchUpdated => {
                format!("The pull request was updated with one or more commits to the source branch: {}", one.source)
            }
            Self::StatusChanged => "The pull request status has been updated. The status is closed".to_owned(),
            Self::Merged(_) => "The pull request merge status has been updated. The status is merged".to_owned(),
            Self::ApprovalChanged(status) => {
                format!("A user has changed their approval state for the pull request. State change: {status}")
            }
            Self::RuleCreated(rule) => {
                format!("An approval rule has been created with the following name: {}", rule.name)
            }
            Self::RuleUpdated(rule) => format!(
                "The content of an approval rule has been updated for the pull request. The name of the updated rule is: {}",
                rule.name
            ),
            Self::RuleDeleted(rule) => {
                format!("An approval rule has been deleted: {} was deleted", rule.name)
            }
            Self::Overridden(status) => format!(
                "An override event has occurred for the approval rules for this pull request. Override status: {status}"
            ),
        };
        format!("Event: Updated. Pull request name: {id}. Additional information: {more}")
    }

    fn write(self, detail: &mut Map<String, Value>) {
        let mut put = |key: &str, value: &str| {
            detail.insert(key.to_owned(), json!(value));
        };
        match self {
            Self::Created | Self::SourceBranchUpdated | Self::StatusChanged => {}
            Self::Merged(option) => put("mergeOption", option.as_aws()),
            Self::ApprovalChanged(status) => put("approvalStatus", status.as_aws()),
            Self::Overridden(status) => put("overrideStatus", status.as_aws()),
            Self::RuleCreated(rule) | Self::RuleUpdated(rule) | Self::RuleDeleted(rule) => {
                put("approvalRuleContentSha256", &rule.sha256());
                put("approvalRuleId", &rule.id);
                put("approvalRuleName", &rule.name);
            }
        }
    }
}

impl Repositories {
    /// Tells of a pull request, which is as it stands behind the news.
    pub(in crate::codecommit) fn tell_review(
        &self,
        repository: &Repository,
        one: &PullRequest,
        news: News<'_>,
        caller: &Caller,
    ) {
        let (resources, detail) = change(&self.world, repository.name.as_str(), one, news, &caller.arn);
        tracing::debug!(repo.name = %repository.name, pull_request = one.id, event = news.event(), "a pull request changed");
        self.publish(DETAIL_TYPE, resources, detail);
    }
}

/// A date as Java prints one.
pub(in crate::codecommit) fn java_date(time: Timestamp) -> String {
    time.strftime("%a %b %d %H:%M:%S UTC %Y").to_string()
}

/// Where the console would show a repository.
pub(in crate::codecommit) fn console(world: &World, repository: &str) -> String {
    let region = &world.region;
    format!("https://{region}.console.aws.amazon.com/codesuite/codecommit/repositories/{repository}")
}

/// The `resources` and the `detail` of the event.
fn change(
    world: &World,
    repository: &str,
    one: &PullRequest,
    news: News<'_>,
    caller_arn: &str,
) -> (Vec<String>, Value) {
    let mut detail = Map::new();
    let mut put = |key: &str, value: Value| {
        detail.insert(key.to_owned(), value);
    };
    let link = format!("{}/pull-requests/{}?region={}", console(world, repository), one.id, world.region);
    let body = format!(
        "A pull request event occurred in the following AWS CodeCommit repository: {repository}. User: {caller_arn}. {}. For more information, go to the AWS CodeCommit console {link}.",
        news.told(one)
    );
    put("author", json!(one.author));
    put("callerUserArn", json!(caller_arn));
    put("creationDate", json!(java_date(one.created)));
    if let Some(description) = &one.description {
        put("description", json!(description));
    }
    put("destinationCommit", json!(one.destination_commit));
    put("destinationReference", json!(one.destination));
    put("event", json!(news.event()));
    put("isMerged", json!(if one.is_merged() { "True" } else { "False" }));
    put("lastModifiedDate", json!(java_date(one.active)));
    put("notificationBody", json!(body));
    put("pullRequestId", json!(one.id.to_string()));
    put("pullRequestStatus", json!(if one.is_open() { "Open" } else { "Closed" }));
    put("repositoryNames", json!([repository]));
    put("revisionId", json!(one.revision.id));
    put("sourceCommit", json!(one.source_commit()));
    put("sourceReference", json!(one.source));
    put("title", json!(one.title));
    news.write(&mut detail);
    (vec![world.arn("codecommit", repository)], Value::Object(detail))
}

#[cfg(test)]
mod tests {
    use super::super::super::names::ObjectId;
    use super::super::state::{End, Revision};
    use super::*;

    fn pull_request() -> PullRequest {
        let id = |digit: &str| ObjectId::parse(&digit.repeat(40)).unwrap();
        let at = "2026-11-06T19:10:58Z".parse().unwrap();
        PullRequest {
            id: 7,
            repository_id: "r".to_owned(),
            title: "A title".to_owned(),
            description: None,
            author: "arn:aws:iam::111122223333:user/anna".to_owned(),
            created: at,
            active: at,
            source: "refs/heads/topic".to_owned(),
            destination: "refs/heads/main".to_owned(),
            destination_commit: id("1"),
            revision: Revision::new("9".repeat(64), id("2")),
            earlier: Vec::new(),
            end: None,
            token: None,
            rules: Vec::new(),
            activity: Vec::new(),
        }
    }

    fn detail(one: &PullRequest, news: News<'_>) -> Value {
        let world = World::new(std::path::PathBuf::new(), "eu-west-1", 1);
        let (resources, detail) = change(&world, "demo", one, news, "arn:aws:iam::111122223333:user/ben");
        assert_eq!(resources, ["arn:aws:codecommit:eu-west-1:111122223333:demo"]);
        detail
    }

    #[test]
    fn an_event_says_who_made_it_who_did_it_and_how_it_stands() {
        let mut one = pull_request();
        let open = detail(&one, News::Created);
        assert_eq!(open["author"], "arn:aws:iam::111122223333:user/anna");
        assert_eq!(open["callerUserArn"], "arn:aws:iam::111122223333:user/ben");
        assert_eq!((&open["pullRequestStatus"], &open["isMerged"]), (&json!("Open"), &json!("False")));
        assert_eq!(open["creationDate"], "Fri Nov 06 19:10:58 UTC 2026");
        assert!(open.get("description").is_none() && open.get("mergeOption").is_none(), "absent, not null");

        one.description = Some("More".to_owned());
        one.end =
            Some(End::Merged { by: String::new(), commit: one.source_commit().clone(), option: MergeOption::Squash });
        let merged = detail(&one, News::Merged(MergeOption::Squash));
        assert_eq!((&merged["pullRequestStatus"], &merged["isMerged"]), (&json!("Closed"), &json!("True")));
        assert_eq!((&merged["mergeOption"], &merged["description"]), (&json!("SQUASH_MERGE"), &json!("More")));
        let body = merged["notificationBody"].as_str().unwrap();
        let link = "https://eu-west-1.console.aws.amazon.com/codesuite/codecommit/repositories/demo/pull-requests/7?region=eu-west-1.";
        assert!(body.contains("Pull request name: 7.") && body.ends_with(link), "{body}");
    }

    #[test]
    fn the_details_have_exactly_the_fields_of_events_that_were_really_delivered() {
        let Some(corpus) = std::env::var_os("SIGNALBOX_EVENT_CORPUS").map(std::path::PathBuf::from) else {
            println!("skipped: SIGNALBOX_EVENT_CORPUS names no folder of captured events");
            return;
        };
        let mut one = pull_request();
        for (file, news, described) in [
            ("pr-created-developersio2019", News::Created, false),
            ("pr-source-branch-updated-answerd", News::SourceBranchUpdated, false),
            ("pr-status-changed-closed-machugwu", News::StatusChanged, false),
            ("pr-merge-status-updated-raw-slacknotifier2021", News::Merged(MergeOption::FastForward), false),
            ("pr-merge-status-updated-squash-zenn2021", News::Merged(MergeOption::Squash), true),
            ("pr-approval-rule-overridden-answerd", News::Overridden(OverrideStatus::Override), true),
        ] {
            let text = std::fs::read(corpus.join(format!("captured/codecommit-{file}.json"))).unwrap();
            let captured: Value = serde_json::from_slice(&text).unwrap();
            let kind = captured.get("detail-type").or_else(|| captured.get("detailType")).unwrap();
            assert_eq!(kind, DETAIL_TYPE);
            one.description = described.then(|| "text".to_owned());
            let ours = detail(&one, news);
            let fields = |value: &Value| {
                let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
                fields.sort();
                fields
            };
            assert_eq!(fields(&ours), fields(&captured["detail"]), "{file}");
            assert_eq!(ours["event"], captured["detail"]["event"], "{file}");
            for (name, theirs) in captured["detail"].as_object().unwrap() {
                assert_eq!(ours[name].is_string(), theirs.is_string(), "{file} {name}");
            }
        }
    }
}
