//! Repository triggers: kept, tested, and called when a ref changes. Topics of SNS are; functions of Lambda are not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::events::{Move, RefChange};
use super::names::{BranchName, ObjectId};
use super::repositories::{Repositories, Repository};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Most triggers of a repository, as documented.
const MOST_TRIGGERS: usize = 10;
/// Most branches of a trigger.
const MOST_BRANCHES: usize = 10;
/// Longest name of a trigger.
const LONGEST_NAME: usize = 100;
/// Longest custom data.
const LONGEST_DATA: usize = 1_000;
/// What a trigger may tell of.
const EVENTS: [&str; 4] = ["all", "updateReference", "createReference", "deleteReference"];

/// The triggers of all repositories, by the repository's id.
pub(super) type Triggers = BTreeMap<String, Configuration>;

/// The triggers of one repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Configuration {
    id: String,
    triggers: Vec<Trigger>,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trigger {
    name: String,
    destination_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_data: Option<String>,
    branches: Vec<String>,
    events: Vec<String>,
}

/// `PutRepositoryTriggers` and `TestRepositoryTriggers`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct GivenTriggers {
    repository_name: Option<String>,
    triggers: Option<Vec<GivenTrigger>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GivenTrigger {
    name: Option<String>,
    destination_arn: Option<String>,
    custom_data: Option<String>,
    branches: Option<Vec<String>>,
    events: Option<Vec<String>>,
}

/// `GetRepositoryTriggers`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OfRepository {
    repository_name: Option<String>,
}

/// The output of `GetRepositoryTriggers`; of a repository that never had any both are empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct ShownTriggers {
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_id: Option<String>,
    triggers: Vec<Trigger>,
}

/// The output of `PutRepositoryTriggers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct PutTriggers {
    configuration_id: String,
}

/// The output of `TestRepositoryTriggers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct TestedTriggers {
    successful_executions: Vec<String>,
    failed_executions: Vec<FailedExecution>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedExecution {
    trigger: String,
    failure_message: String,
}

impl Repositories {
    pub(in crate::codecommit) fn get_triggers(&self, input: OfRepository) -> Answer<ShownTriggers> {
        let repository = self.named(input.repository_name)?;
        let there = self.triggers.read(|all| all.get(&repository.id).cloned());
        Ok(match there {
            Some(there) => ShownTriggers { configuration_id: Some(there.id), triggers: there.triggers },
            None => ShownTriggers { configuration_id: None, triggers: Vec::new() },
        })
    }

    /// Replaces all of them.
    pub(in crate::codecommit) fn put_triggers(&self, input: GivenTriggers) -> Answer<PutTriggers> {
        let repository = self.named(input.repository_name)?;
        let triggers = self.check_triggers(input.triggers)?;
        let id = self.world.uuid();
        let configuration = Configuration { id: id.clone(), triggers };
        self.triggers.change(|all| all.insert(repository.id.clone(), configuration));
        self.touch(&repository.name);
        Ok(PutTriggers { configuration_id: id })
    }

    /// Calls each with what the default branch is at, or with what is none where the repository is empty.
    pub(in crate::codecommit) async fn test_triggers(
        &self,
        input: GivenTriggers,
        caller: &Caller,
    ) -> Answer<TestedTriggers> {
        let repository = self.named(input.repository_name)?;
        let triggers = self.check_triggers(input.triggers)?;
        let branch = self.default_branch(&repository.dir).await?;
        let tip = match &branch {
            Some(branch) => Some(self.tip(&repository, &BranchName::check(Some(branch.clone()))?).await?),
            None => None,
        };
        let reference = json!({
            "commit": tip.as_ref().map_or(ObjectId::NONE, ObjectId::as_str),
            "ref": format!("refs/heads/{}", branch.as_deref().unwrap_or("main")),
        });
        let mut tested = TestedTriggers { successful_executions: Vec::new(), failed_executions: Vec::new() };
        for trigger in triggers {
            let record = self.trigger_record(
                &repository,
                (&trigger, ""),
                "TriggerEventTest",
                std::slice::from_ref(&reference),
                caller,
            );
            match self.call_trigger(&repository, &trigger, &record) {
                Ok(()) => tested.successful_executions.push(trigger.name),
                Err(why) => tested
                    .failed_executions
                    .push(FailedExecution { trigger: trigger.name, failure_message: why.message }),
            }
        }
        Ok(tested)
    }

    /// Forgets the triggers of a repository that is gone.
    pub(super) fn forget_triggers(&self, repository: &str) {
        self.triggers.change(|all| all.remove(repository));
    }

    /// Calls the triggers that want to hear of these changes. One that cannot be called is no reason to undo a push.
    pub(super) fn call_triggers(&self, repository: &Repository, changes: &[RefChange], caller: &Caller) {
        let Some(there) = self.triggers.read(|all| all.get(&repository.id).cloned()) else { return };
        for trigger in &there.triggers {
            let references: Vec<Value> =
                changes.iter().filter(|change| trigger.wants(change)).map(reference_of).collect();
            if references.is_empty() {
                continue;
            }
            let record = self.trigger_record(repository, (trigger, &there.id), "ReferenceChange", &references, caller);
            if let Err(why) = self.call_trigger(repository, trigger, &record) {
                let name = trigger.name.as_str();
                tracing::warn!(repo.name = %repository.name, trigger = name, why = why.message, "a trigger was not called");
            }
        }
    }

    fn call_trigger(&self, repository: &Repository, trigger: &Trigger, record: &Value) -> Answer<()> {
        let sns = self.sns.get().ok_or_else(|| ServiceError::internal("there is no SNS here"))?;
        let source = self.world.arn("codecommit", repository.name.as_str());
        let subject = format!("UPDATE: AWS CodeCommit {} push: {}", self.world.region, repository.name);
        let text = json!({ "Records": [record] }).to_string();
        sns.publish_for_trigger(&trigger.destination_arn, &source, &subject, &text).map(drop)
    }

    /// What a trigger sends, as AWS documents it for functions and topics.
    fn trigger_record(
        &self,
        repository: &Repository,
        (trigger, configuration): (&Trigger, &str),
        event: &str,
        references: &[Value],
        caller: &Caller,
    ) -> Value {
        let mut record = Map::new();
        for (key, value) in [
            ("awsRegion", json!(self.world.region)),
            ("codecommit", json!({ "references": references })),
            ("eventId", json!(self.world.uuid())),
            ("eventName", json!(event)),
            ("eventPartNumber", json!(1)),
            ("eventSource", json!("aws:codecommit")),
            ("eventSourceARN", json!(self.world.arn("codecommit", repository.name.as_str()))),
            ("eventTime", json!(self.world.now().strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string())),
            ("eventTotalParts", json!(1)),
            ("eventTriggerConfigId", json!(configuration)),
            ("eventTriggerName", json!(trigger.name)),
            ("eventVersion", json!("1.0")),
            ("userIdentityARN", json!(caller.arn)),
        ] {
            record.insert(key.to_owned(), value);
        }
        if let Some(data) = &trigger.custom_data {
            record.insert("customData".to_owned(), json!(data));
        }
        Value::Object(record)
    }

    fn check_triggers(&self, triggers: Option<Vec<GivenTrigger>>) -> Answer<Vec<Trigger>> {
        let triggers = triggers.ok_or_else(|| {
            bad(
                "RepositoryTriggersListRequiredException",
                "a list of triggers is required; an empty one takes all away",
            )
        })?;
        if triggers.len() > MOST_TRIGGERS {
            let what = format!("a repository has at most {MOST_TRIGGERS} triggers, not {}", triggers.len());
            return Err(bad("MaximumRepositoryTriggersExceededException", what));
        }
        let mut names = BTreeSet::new();
        let triggers = triggers.into_iter().map(|given| {
            let trigger = self.check_trigger(given)?;
            if names.insert(trigger.name.clone()) {
                return Ok(trigger);
            }
            Err(bad("InvalidRepositoryTriggerNameException", format!("there are two triggers {}", trigger.name)))
        });
        triggers.collect()
    }

    fn check_trigger(&self, given: GivenTrigger) -> Answer<Trigger> {
        let name = given
            .name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| bad("RepositoryTriggerNameRequiredException", "a trigger needs a name"))?;
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.len() > LONGEST_NAME || !name.chars().all(is_good) {
            let what = format!("{name:?} is not 1 to {LONGEST_NAME} letters, digits, periods, underscores and dashes");
            return Err(bad("InvalidRepositoryTriggerNameException", what));
        }
        let destination_arn = self.check_trigger_destination(given.destination_arn)?;
        if given.custom_data.as_ref().is_some_and(|data| data.chars().count() > LONGEST_DATA) {
            let what = format!("the custom data has more than {LONGEST_DATA} characters");
            return Err(bad("InvalidRepositoryTriggerCustomDataException", what));
        }
        let branches = given.branches.ok_or_else(|| {
            bad(
                "RepositoryTriggerBranchNameListRequiredException",
                "a list of branches is required; an empty one means all",
            )
        })?;
        if branches.len() > MOST_BRANCHES {
            let what = format!("a trigger has at most {MOST_BRANCHES} branches, not {}", branches.len());
            return Err(bad("MaximumBranchesExceededException", what));
        }
        if let Some(wrong) = branches.iter().find(|branch| BranchName::check(Some((*branch).clone())).is_err()) {
            let what = format!("{wrong:?} is not a branch name");
            return Err(bad("InvalidRepositoryTriggerBranchNameException", what));
        }
        let events = given.events.filter(|events| !events.is_empty()).ok_or_else(|| {
            bad("RepositoryTriggerEventsListRequiredException", "a trigger needs the events that it is called for")
        })?;
        let is_alone = events.len() == 1 || !events.iter().any(|event| event == "all");
        if !is_alone || !events.iter().all(|event| EVENTS.contains(&event.as_str())) {
            let what = format!("{events:?} are not some of {}, with `all` alone", EVENTS.join(", "));
            return Err(bad("InvalidRepositoryTriggerEventsException", what));
        }
        Ok(Trigger { name, destination_arn, custom_data: given.custom_data, branches, events })
    }

    fn check_trigger_destination(&self, arn: Option<String>) -> Answer<String> {
        let arn = arn.filter(|arn| !arn.is_empty()).ok_or_else(|| {
            bad("RepositoryTriggerDestinationArnRequiredException", "a trigger needs the ARN that it calls")
        })?;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "sns" | "lambda", region, ..] if *region != self.world.region => Err(bad(
                "InvalidRepositoryTriggerRegionException",
                format!("{arn} is in {region}, and the repository is in {}", self.world.region),
            )),
            ["arn", _, "sns", _, _, topic] if !topic.is_empty() && !topic.contains(':') => Ok(arn),
            ["arn", _, "lambda", ..] => Err(bad(
                "InvalidRepositoryTriggerDestinationArnException",
                format!("{arn}: the triggers of the local cloud call topics of SNS only"),
            )),
            _ => Err(bad("InvalidRepositoryTriggerDestinationArnException", format!("{arn:?} is no topic's ARN"))),
        }
    }
}

impl Trigger {
    /// Whether it is called for this change: branches are names, no patterns, and tags are in none of them.
    fn wants(&self, change: &RefChange) -> bool {
        let event = match change.how {
            Move::Created(_) => "createReference",
            Move::Updated(..) => "updateReference",
            Move::Deleted(_) => "deleteReference",
        };
        let is_meant = |branch: &String| change.name.as_str().strip_prefix("refs/heads/") == Some(branch.as_str());
        self.events.iter().any(|wanted| wanted == "all" || wanted == event)
            && (self.branches.is_empty() || self.branches.iter().any(is_meant))
    }
}

fn reference_of(change: &RefChange) -> Value {
    match &change.how {
        Move::Created(new) => json!({ "commit": new.as_str(), "created": true, "ref": change.name.as_str() }),
        Move::Updated(_, new) => json!({ "commit": new.as_str(), "ref": change.name.as_str() }),
        Move::Deleted(old) => json!({ "commit": old.as_str(), "deleted": true, "ref": change.name.as_str() }),
    }
}

fn bad(code: &str, what: impl Into<String>) -> ServiceError {
    ServiceError::bad(code, what.into())
}
