//! Raw build events to typed ones.

use super::{BuildInformation, BuildLogs, BuildPhase, BuildPhaseChange, BuildStateChange, SourceType};
use crate::dates::build_date;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, BuildId};

impl BuildStateChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let (build, build_arn) = parse_build(detail)?;
        Ok(Self {
            project: detail.name("project-name")?,
            build,
            build_arn,
            status: detail.word("build-status")?,
            current_phase: detail.optional_word("current-phase")?,
            context: context_of(detail.optional_text("current-phase-context")?),
            information: BuildInformation::parse(detail)?,
        })
    }
}

impl BuildPhaseChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let (build, build_arn) = parse_build(detail)?;
        Ok(Self {
            project: detail.name("project-name")?,
            build,
            build_arn,
            phase: detail.word("completed-phase")?,
            status: detail.word("completed-phase-status")?,
            context: context_of(detail.optional_text("completed-phase-context")?),
            start: build_date(detail, "completed-phase-start")?,
            end: build_date(detail, "completed-phase-end")?,
            duration_seconds: detail.optional_count("completed-phase-duration-seconds")?,
            information: BuildInformation::parse(detail)?,
        })
    }
}

/// The build from `build-id`, which in events is the full ARN.
fn parse_build(detail: &Fields<'_>) -> Result<(BuildId, Arn), ParseError> {
    let arn: Arn = detail.name("build-id")?;
    if !(arn.as_str().starts_with("arn:") && arn.as_str().contains(":build/")) {
        return Err(detail.invalid("build-id", "expected the ARN of a build, arn:aws:codebuild:...:build/PROJECT:UUID"));
    }
    let build = BuildId::from_arn(arn.as_str()).map_err(|error| detail.invalid("build-id", error.to_string()))?;
    Ok((build, arn))
}

/// A context as text: a Java list printed as it is, `[]`, `[: ]` or `[CODE: message]`.
///
/// The inside is kept as one: a message may hold the same comma that parts two of them.
fn context_of(text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or_default().trim();
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    message_of(inside).into_iter().collect()
}

/// A message, unless it says nothing: an empty code and an empty message print as `: `.
fn message_of(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != ":").then(|| text.to_owned())
}

/// A text, unless it is what Java prints for nothing.
fn not_null(text: Option<&str>) -> Option<String> {
    text.filter(|text| *text != "null").map(str::to_owned)
}

impl BuildInformation {
    fn parse(detail: &Fields<'_>) -> Result<Option<Self>, ParseError> {
        let Some(more) = detail.optional_object("additional-information")? else {
            return Ok(None);
        };
        let source = more.optional_object("source")?;
        let (source_type, source_location) = match &source {
            Some(source) => {
                (source.optional_text("type")?.map(SourceType::from_text), source.optional_string("location")?)
            }
            None => (None, None),
        };
        Ok(Some(Self {
            initiator: more.optional_string("initiator")?,
            build_number: more.optional_count("build-number")?,
            start_time: build_date(&more, "build-start-time")?,
            source_type,
            source_location,
            source_version: more.optional_string("source-version")?,
            timeout_in_minutes: more.optional_count("timeout-in-minutes")?,
            queued_timeout_in_minutes: more.optional_count("queued-timeout-in-minutes")?,
            complete: more.flag("build-complete")?,
            logs: BuildLogs::parse(&more)?,
            phases: more
                .list("phases")?
                .iter()
                .map(|phase| BuildPhase::parse(&phase.object()?))
                .collect::<Result<_, ParseError>>()?,
            environment_variables: parse_variable_names(&more)?,
        }))
    }
}

impl SourceType {
    fn from_text(text: &str) -> Self {
        match text {
            "CODECOMMIT" => Self::CodeCommit,
            "CODEPIPELINE" => Self::CodePipeline,
            "S3" => Self::S3,
            "NO_SOURCE" => Self::NoSource,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl BuildLogs {
    fn parse(more: &Fields<'_>) -> Result<Option<Self>, ParseError> {
        let Some(logs) = more.optional_object("logs")? else {
            return Ok(None);
        };
        let group = not_null(logs.optional_text("group-name")?);
        let stream = not_null(logs.optional_text("stream-name")?);
        // Before there is a log, the link leads to `group=null;stream=null` or to the list of all log groups.
        let leads_nowhere = |link: &str| link.contains("=null") || link.ends_with("logsV2:log-groups");
        let deep_link = logs.optional_text("deep-link")?.filter(|link| !leads_nowhere(link)).map(str::to_owned);
        if group.is_none() && stream.is_none() && deep_link.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { group, stream, deep_link }))
    }
}

impl BuildPhase {
    fn parse(phase: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            phase: phase.word("phase-type")?,
            status: phase.optional_word("phase-status")?,
            context: phase.texts("phase-context")?.iter().filter_map(|text| message_of(text)).collect(),
            start: build_date(phase, "start-time")?,
            end: build_date(phase, "end-time")?,
            duration_seconds: phase.optional_count("duration-in-seconds")?,
        })
    }
}

/// The names alone: a variable of type `PLAINTEXT` carries its value in the event.
fn parse_variable_names(more: &Fields<'_>) -> Result<Vec<String>, ParseError> {
    let Some(environment) = more.optional_object("environment")? else {
        return Ok(Vec::new());
    };
    let variables = environment.list("environment-variables")?;
    let names = variables.iter().map(|variable| variable.object()?.optional_string("name"));
    Ok(names.collect::<Result<Vec<_>, ParseError>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_context_that_says_nothing_is_empty() {
        for text in [None, Some(""), Some("[]"), Some("[: ]"), Some(": "), Some(" [ ] ")] {
            assert_eq!(context_of(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn a_context_keeps_its_message_whole() {
        for (text, message) in [
            ("[CODE: went wrong]", "CODE: went wrong"),
            ("[CODE: one, two: [three]]", "CODE: one, two: [three]"),
            ("CODE: no brackets", "CODE: no brackets"),
            ("[CODE: cut off", "[CODE: cut off"),
        ] {
            assert_eq!(context_of(Some(text)), [message], "{text}");
        }
    }

    fn logs(raw: &serde_json::Value) -> Option<BuildLogs> {
        let more = json!({ "logs": raw });
        BuildLogs::parse(&Fields::root(more.as_object().unwrap())).unwrap()
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_none() {
        let console = "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1";
        for raw in [
            json!({}),
            json!({ "deep-link": format!("{console}#logEvent:group=null;stream=null") }),
            json!({ "deep-link": format!("{console}#logsV2:log-groups") }),
            json!({ "group-name": "null", "stream-name": null, "deep-link": "" }),
        ] {
            assert_eq!(logs(&raw), None, "{raw}");
        }
    }

    #[test]
    fn a_log_that_is_there_keeps_its_link() {
        let link = "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/unit";
        let found = logs(&json!({ "group-name": "unit", "stream-name": "s", "deep-link": link })).unwrap();
        assert_eq!(
            (found.group.as_deref(), found.stream.as_deref(), found.deep_link.as_deref()),
            (Some("unit"), Some("s"), Some(link))
        );
    }

    #[test]
    fn a_build_id_must_be_the_arn_of_a_build() {
        let read = |id: &str| {
            let detail = json!({ "build-id": id });
            parse_build(&Fields::root(detail.as_object().unwrap())).map(|(build, _)| build.to_string())
        };
        assert_eq!(read("arn:aws:codebuild:eu-west-1:111122223333:build/unit:1-2").unwrap(), "unit:1-2");
        assert_eq!(read("arn:aws-cn:codebuild:cn-north-1:111122223333:build/unit:1-2").unwrap(), "unit:1-2");
        for id in
            ["unit:1-2", "arn:aws:codebuild:eu-west-1:111122223333:project/unit", "arn:aws:codebuild:e:1:build/unit"]
        {
            assert!(read(id).is_err(), "{id}");
        }
    }
}
