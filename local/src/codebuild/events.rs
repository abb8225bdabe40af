//! What CodeBuild tells EventBridge: pure constructors from a build to an event.
//!
//! The shapes are those of events that were really delivered, oddities included: `phase-context` is `[": "]` where a phase of
//! the environment has nothing to say, an event of a build that starts has neither number nor phases, and dates are written
//! for American readers without a zone.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::model::{Build, Phase, Status};

/// An event before it has its envelope.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) detail_type: &'static str,
    pub(crate) resources: Vec<String>,
    pub(crate) time: Timestamp,
    pub(crate) detail: Value,
}

/// The `source` of every event here.
pub(crate) const SOURCE: &str = "aws.codebuild";

/// A build started.
pub(crate) fn started(build: &Build) -> Event {
    let mut information = information(build);
    information.remove("build-number");
    information.remove("phases");
    state(build, Status::InProgress, "SUBMITTED", "[]", &information, build.start_time)
}

/// A build is over.
pub(crate) fn ended(build: &Build, now: Timestamp) -> Event {
    // The context shown is that of the phase before COMPLETED, which has none itself.
    let context =
        build.phases.iter().rev().find(|phase| phase.end_time.is_some()).map_or("[]".to_owned(), context_text);
    state(build, build.build_status, "COMPLETED", &context, &information(build), now)
}

fn state(
    build: &Build,
    status: Status,
    phase: &str,
    context: &str,
    information: &Map<String, Value>,
    time: Timestamp,
) -> Event {
    Event {
        detail_type: "CodeBuild Build State Change",
        resources: vec![build.arn.clone()],
        time,
        detail: json!({
            "build-status": status.as_str(),
            "project-name": build.project_name,
            "build-id": build.arn,
            "current-phase": phase,
            "current-phase-context": context,
            "version": "1",
            "additional-information": information,
        }),
    }
}

/// A phase is over; the envelope carries the time at which it *began*, as on AWS.
pub(crate) fn phase_ended(build: &Build, phase: &Phase) -> Event {
    let end = phase.end_time.unwrap_or(phase.start_time);
    Event {
        detail_type: "CodeBuild Build Phase Change",
        resources: vec![build.arn.clone()],
        time: phase.start_time,
        detail: json!({
            "completed-phase": phase.phase_type.as_str(),
            "completed-phase-status": phase.phase_status.map(Status::as_str),
            "completed-phase-context": context_text(phase),
            "completed-phase-duration-seconds": phase.duration_in_seconds.unwrap_or(0),
            "completed-phase-start": date(phase.start_time),
            "completed-phase-end": date(end),
            "project-name": build.project_name,
            "build-id": build.arn,
            "version": "1",
            "additional-information": information(build),
        }),
    }
}

fn information(build: &Build) -> Map<String, Value> {
    let source = &build.source;
    let mut told_source = Map::new();
    let mut tell = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            told_source.insert(key.to_owned(), value);
        }
    };
    tell("type", serde_json::to_value(source.kind).ok());
    tell("location", source.location.clone().map(Value::String));
    tell("buildspec", source.buildspec.clone().map(Value::String));
    tell("git-clone-depth", source.git_clone_depth.map(|depth| json!(depth)));
    tell("report-build-status", source.report_build_status.map(Value::Bool));
    tell(
        "git-submodules-config",
        source.git_submodules_config.as_ref().map(|config| json!({ "fetch-submodules": config.fetch_submodules })),
    );

    let mut logs = Map::new();
    if let (Some(group), Some(stream)) = (&build.logs.group_name, &build.logs.stream_name) {
        logs.insert("group-name".to_owned(), json!(group));
        logs.insert("stream-name".to_owned(), json!(stream));
    }
    logs.insert("deep-link".to_owned(), json!(build.logs.deep_link));

    let environment = &build.environment;
    let mut information = Map::new();
    let mut tell = |key: &str, value: Value| information.insert(key.to_owned(), value);
    tell("artifact", json!({ "location": build.artifacts.location }));
    tell("cache", json!({ "type": build.cache.kind }));
    tell(
        "environment",
        json!({
            "type": environment.kind,
            "image": environment.image,
            "compute-type": environment.compute_type,
            "privileged-mode": environment.privileged_mode,
            "image-pull-credentials-type": environment.image_pull_credentials_type,
            "environment-variables": environment.environment_variables,
        }),
    );
    tell("build-number", json!(build.build_number));
    tell("timeout-in-minutes", json!(build.timeout_in_minutes));
    tell("queued-timeout-in-minutes", json!(build.queued_timeout_in_minutes));
    tell("build-complete", json!(build.build_complete));
    tell("initiator", json!(build.initiator));
    tell("build-start-time", json!(date(build.start_time)));
    tell("source", Value::Object(told_source));
    if let Some(version) = &build.source_version {
        tell("source-version", json!(version));
    }
    tell("logs", Value::Object(logs));
    tell("phases", build.phases.iter().map(phase_json).collect());
    information
}

fn phase_json(phase: &Phase) -> Value {
    let mut told = json!({ "phase-type": phase.phase_type.as_str(), "start-time": date(phase.start_time) });
    if let (Some(told), Some(end)) = (told.as_object_mut(), phase.end_time) {
        told.insert("end-time".to_owned(), json!(date(end)));
        told.insert("duration-in-seconds".to_owned(), json!(phase.duration_in_seconds));
        told.insert("phase-status".to_owned(), json!(phase.phase_status.map(Status::as_str)));
        told.insert("phase-context".to_owned(), json!(context_lines(phase)));
    }
    told
}

fn context_lines(phase: &Phase) -> Vec<String> {
    phase.contexts.iter().flatten().map(|context| format!("{}: {}", context.status_code, context.message)).collect()
}

/// Not JSON: a Java list as its `toString` prints it.
fn context_text(phase: &Phase) -> String {
    format!("[{}]", context_lines(phase).join(", "))
}

/// `Nov 6, 2017 1:33:58 AM`, in UTC without saying so.
fn date(time: Timestamp) -> String {
    time.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Context, PhaseType};
    use super::super::tests_support::sample_build;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_509_932_038 + second).unwrap()
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn dates_have_one_digit_days_and_hours_and_say_noon_and_midnight() {
        assert_eq!(date(at(0)), "Nov 6, 2017 1:33:58 AM");
        assert_eq!(date("2022-07-21T00:02:19Z".parse().unwrap()), "Jul 21, 2022 12:02:19 AM");
        assert_eq!(date("2020-10-14T12:28:52Z".parse().unwrap()), "Oct 14, 2020 12:28:52 PM");
    }

    #[test]
    fn a_build_that_starts_has_no_number_no_phases_and_no_logs() {
        let mut build = sample_build(at(0));
        build.begin(PhaseType::Submitted, at(0));
        let event = started(&build);
        assert_eq!((event.detail_type, event.time), ("CodeBuild Build State Change", at(0)));
        assert_eq!(event.resources, [build.arn.clone()]);
        let detail = &event.detail;
        assert_eq!(detail["build-status"], "IN_PROGRESS");
        assert_eq!(detail["build-id"], build.arn);
        assert_eq!((&detail["current-phase"], &detail["current-phase-context"]), (&json!("SUBMITTED"), &json!("[]")));
        let information = &detail["additional-information"];
        assert_eq!(
            keys(information),
            [
                "artifact",
                "build-complete",
                "build-start-time",
                "cache",
                "environment",
                "initiator",
                "logs",
                "queued-timeout-in-minutes",
                "source",
                "source-version",
                "timeout-in-minutes"
            ]
        );
        assert_eq!(information["build-complete"], false);
        assert_eq!(
            information["logs"],
            json!({ "deep-link": "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logEvent:group=null;stream=null" })
        );
        assert_eq!(
            information["environment"]["environment-variables"],
            json!([{ "name": "LEVEL", "value": "1", "type": "PLAINTEXT" }])
        );
    }

    #[test]
    fn a_phase_event_carries_its_start_and_the_context_as_a_java_list() {
        let mut build = sample_build(at(0));
        build.begin(PhaseType::Submitted, at(0));
        build.end(Status::Succeeded, None, at(0));
        build.begin(PhaseType::Build, at(1));
        let failed = Context::new("COMMAND_EXECUTION_ERROR", "Error while executing command: x. Reason: exit status 1");
        let phase = build.end(Status::Failed, Some(failed), at(5)).unwrap();
        build.begin(PhaseType::PostBuild, at(5));
        let event = phase_ended(&build, &phase);
        assert_eq!((event.detail_type, event.time), ("CodeBuild Build Phase Change", at(1)));
        let detail = &event.detail;
        assert_eq!(detail["completed-phase"], "BUILD");
        assert_eq!(detail["completed-phase-status"], "FAILED");
        assert_eq!(
            detail["completed-phase-context"],
            "[COMMAND_EXECUTION_ERROR: Error while executing command: x. Reason: exit status 1]"
        );
        assert_eq!(detail["completed-phase-duration-seconds"], 4);
        assert_eq!(detail["completed-phase-end"], "Nov 6, 2017 1:34:03 AM");
        let phases = &detail["additional-information"]["phases"];
        assert_eq!(phases[0]["phase-context"], json!([]));
        assert_eq!(phases[2], json!({ "phase-type": "POST_BUILD", "start-time": "Nov 6, 2017 1:34:03 AM" }));
        assert_eq!(detail["additional-information"]["build-number"], 7);
    }

    #[test]
    fn a_build_that_is_over_says_completed_with_all_its_phases() {
        let mut build = sample_build(at(0));
        build.begin(PhaseType::Submitted, at(0));
        build.end(Status::Succeeded, None, at(0));
        build.begin(PhaseType::Finalizing, at(2));
        build.end(Status::Succeeded, None, at(3));
        build.complete(Status::Failed, at(3));
        let event = ended(&build, at(4));
        assert_eq!(event.detail["build-status"], "FAILED");
        assert_eq!(event.detail["current-phase"], "COMPLETED");
        assert_eq!(event.detail["current-phase-context"], "[: ]");
        let information = &event.detail["additional-information"];
        assert_eq!(information["build-complete"], true);
        assert_eq!(keys(&information["phases"][2]), ["phase-type", "start-time"]);
        assert_eq!(information["phases"][1]["phase-context"], json!([": "]));
    }

    /// Every member that we send is one that AWS was seen to send, with a value of the same kind.
    #[test]
    fn what_we_send_has_the_shape_of_what_was_captured() {
        let Some(corpus) = std::env::var_os("SIGNALBOX_EVENT_CORPUS") else {
            println!("skipped: SIGNALBOX_EVENT_CORPUS is not set");
            return;
        };
        let mut build = sample_build(at(0));
        build.begin(PhaseType::Submitted, at(0));
        let phase = build.end(Status::Succeeded, None, at(0)).unwrap();
        build.begin(PhaseType::Queued, at(0));
        let begun = started(&build);
        let phase_event = phase_ended(&build, &phase);
        build.end(Status::Succeeded, None, at(1));
        build.begin(PhaseType::Finalizing, at(1));
        build.end(Status::Succeeded, None, at(1));
        build.logs.group_name = Some("g".to_owned());
        build.logs.stream_name = Some("s".to_owned());
        build.complete(Status::Failed, at(2));
        let over = ended(&build, at(2));
        for (name, event) in [
            ("captured/codebuild-build-state-in-progress-machugwu.json", begun),
            ("captured/codebuild-build-phase-submitted-int128.json", phase_event),
            ("captured/codebuild-build-state-failed-machugwu.json", over),
        ] {
            let text = std::fs::read_to_string(std::path::Path::new(&corpus).join(name)).unwrap();
            let captured: Value = serde_json::from_str(&text).unwrap();
            same_shape(name, &captured["detail"], &event.detail);
        }
    }

    fn same_shape(place: &str, captured: &Value, ours: &Value) {
        match (captured, ours) {
            (Value::Object(captured), Value::Object(ours)) => {
                for (key, value) in ours {
                    if key == "buildspec" || key == "source-version" {
                        continue;
                    }
                    let theirs = captured.get(key).unwrap_or_else(|| panic!("{place}: AWS has no {key}"));
                    same_shape(&format!("{place}/{key}"), theirs, value);
                }
                for key in captured.keys().filter(|key| *key != "source-version" && !key.starts_with("project-file")) {
                    let optional = ["report-build-status", "git-submodules-config"].contains(&key.as_str())
                        || place.ends_with("/cache");
                    assert!(optional || ours.contains_key(key), "{place}: we lack {key}");
                }
            }
            (Value::Array(captured), Value::Array(ours)) => {
                if let (Some(theirs), Some(value)) = (captured.first(), ours.first()) {
                    same_shape(place, theirs, value);
                }
            }
            _ => assert_eq!(
                std::mem::discriminant(captured),
                std::mem::discriminant(ours),
                "{place}: {captured} and {ours}"
            ),
        }
    }
}
