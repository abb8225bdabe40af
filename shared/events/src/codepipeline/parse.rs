//! Raw pipeline events to typed ones.

use super::{
    ActionExecution, ActionResult, ActionType, Artifact, ExecutionTrigger, PipelineExecution, StageExecution,
    TriggerCommit,
};
use crate::dates::date;
use crate::error::ParseError;
use crate::fields::Fields;

impl PipelineExecution {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            pipeline: detail.name("pipeline")?,
            execution: detail.name("execution-id")?,
            state: detail.word("state")?,
            version: detail.optional_count("version")?,
            attempt: detail.optional_count("pipeline-execution-attempt")?,
            start_time: date(detail, "start-time")?,
            trigger: ExecutionTrigger::parse(detail)?,
            stop_comments: detail.optional_string("stop-execution-comments")?,
        })
    }
}

impl StageExecution {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            pipeline: detail.name("pipeline")?,
            execution: detail.name("execution-id")?,
            stage: detail.name("stage")?,
            state: detail.word("state")?,
            version: detail.optional_count("version")?,
            attempt: detail.optional_count("pipeline-execution-attempt")?,
            start_time: date(detail, "start-time")?,
            last_retry_time: date(detail, "stage-last-retry-attempt-time")?,
        })
    }
}

impl ActionExecution {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            pipeline: detail.name("pipeline")?,
            execution: detail.name("execution-id")?,
            stage: detail.name("stage")?,
            action: detail.name("action")?,
            action_execution: detail.optional_name("action-execution-id")?,
            state: detail.word("state")?,
            action_type: ActionType::parse(&detail.object("type", "the type of the action, an object")?)?,
            region: detail.optional_name("region")?,
            result: detail
                .optional_object("execution-result")?
                .map(|result| ActionResult::parse(&result))
                .transpose()?,
            inputs: parse_artifacts(detail, "input-artifacts")?,
            outputs: parse_artifacts(detail, "output-artifacts")?,
            version: detail.optional_count("version")?,
            attempt: detail.optional_count("pipeline-execution-attempt")?,
            start_time: date(detail, "start-time")?,
        })
    }
}

impl ExecutionTrigger {
    fn parse(detail: &Fields<'_>) -> Result<Option<Self>, ParseError> {
        let Some(trigger) = detail.optional_object("execution-trigger")? else {
            return Ok(None);
        };
        if let Some(trigger_type) = trigger.optional_string("trigger-type")? {
            let trigger_detail = trigger.optional_string("trigger-detail")?;
            return Ok(Some(Self::Start { trigger_type, trigger_detail }));
        }
        Ok(Some(Self::Commit(Box::new(TriggerCommit {
            commit: trigger.optional_name("commit-id")?,
            message: trigger.optional_string("commit-message")?,
            repository: trigger.optional_string("full-repository-name")?,
            provider: trigger.optional_string("provider-type")?,
            branch: trigger.optional_string("branch-name")?,
            tag: trigger.optional_string("tag-name")?,
            author_name: trigger.optional_string("author-display-name")?,
            author_email: trigger.optional_string("author-email")?,
            author_id: trigger.optional_string("author-id")?,
            author_date: date(&trigger, "author-date")?,
            connection: trigger.optional_name("connection-arn")?,
        }))))
    }
}

impl ActionType {
    fn parse(action_type: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            category: action_type.word("category")?,
            owner: action_type.optional_string("owner")?,
            provider: action_type.text("provider", "the provider of the action")?.to_owned(),
            version: action_type.optional_string_or_number("version")?,
        })
    }
}

impl ActionResult {
    fn parse(result: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            url: result.optional_string("external-execution-url")?,
            summary: result.optional_string("external-execution-summary")?,
            external_id: result.optional_string("external-execution-id")?,
            error_code: result.optional_string("error-code")?,
        })
    }
}

fn parse_artifacts(detail: &Fields<'_>, key: &str) -> Result<Vec<Artifact>, ParseError> {
    let artifacts = detail.list(key)?;
    artifacts
        .iter()
        .map(|artifact| {
            let artifact = artifact.object()?;
            let place = artifact.optional_object("s3location")?;
            let (bucket, key) = match &place {
                Some(place) => (place.optional_string("bucket")?, place.optional_string("key")?),
                None => (None, None),
            };
            Ok(Artifact { name: artifact.name("name")?, bucket, key })
        })
        .collect()
}
