//! The operations on archives and replays.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::archive::Archive;
use super::operations::{check_length, rendered, required};
use super::replay::{Replay, ReplayState};
use super::rules::{check_name, invalid, parse_pattern};
use super::{EventBridge, no_such_bus};
use crate::error::{Answer, ServiceError};

/// How many replays may go at once, as on AWS.
const MOST_REPLAYS: usize = 10;

/// The longest name of an archive.
const LONGEST_NAME: usize = 48;

/// The longest name of a replay.
const LONGEST_REPLAY_NAME: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateArchive {
    archive_name: Option<String>,
    event_source_arn: Option<String>,
    description: Option<String>,
    event_pattern: Option<String>,
    retention_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateArchive {
    archive_name: Option<String>,
    description: Option<String>,
    event_pattern: Option<String>,
    retention_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneArchive {
    archive_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    name_prefix: Option<String>,
    event_source_arn: Option<String>,
    state: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StartReplay {
    replay_name: Option<String>,
    description: Option<String>,
    event_source_arn: Option<String>,
    event_start_time: Option<f64>,
    event_end_time: Option<f64>,
    destination: Option<Destination>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Destination {
    arn: Option<String>,
    #[serde(default)]
    filter_arns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneReplay {
    replay_name: Option<String>,
}

impl List {
    /// What chooses the items; one that is not given is not the same as an empty one.
    fn filters(&self) -> [String; 3] {
        [&self.name_prefix, &self.event_source_arn, &self.state].map(|filter| format!("{filter:?}"))
    }
}

fn no_such_archive(name: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Archive {name} does not exist."))
}

fn no_such_replay(name: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Replay {name} does not exist."))
}

fn already_exists(what: &str) -> ServiceError {
    ServiceError::bad("ResourceAlreadyExistsException", format!("{what} already exists."))
}

/// Milliseconds since 1970 as the protocol has times.
fn seconds(milliseconds: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit into a float's 53 bits")]
    let seconds = milliseconds as f64 / 1000.0;
    json!(seconds)
}

/// A time of the protocol in milliseconds since 1970.
fn milliseconds(seconds: f64, member: &str) -> Answer<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float too large becomes the largest integer, which is no time"
    )]
    let milliseconds = (seconds * 1000.0) as i64;
    Timestamp::from_millisecond(milliseconds)
        .map(Timestamp::as_millisecond)
        .map_err(|_| invalid(format!("Parameter {member} is not valid. Reason: it is no time.")))
}

fn check_archive(pattern: Option<&str>, description: Option<&str>, retention_days: Option<i64>) -> Answer<()> {
    if let Some(pattern) = pattern {
        parse_pattern(pattern)?;
    }
    check_description(description)?;
    match retention_days {
        Some(days) if days < 0 => Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionDays' failed to satisfy constraint: Member must have value greater than or equal to 0"
        ))),
        _ => Ok(()),
    }
}

/// The last part of an ARN: its name.
fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn check_description(description: Option<&str>) -> Answer<()> {
    if description.is_some_and(|text| text.chars().count() > 512) {
        return Err(invalid("Parameter Description is not valid. Reason: it is longer than 512 characters."));
    }
    Ok(())
}

/// The lengths and patterns of what chooses archives or replays; their names have at most `longest` characters.
fn check_filters(input: &List, longest: usize) -> Answer<()> {
    if let Some(prefix) = &input.name_prefix {
        check_name("namePrefix", prefix)?;
        check_length("namePrefix", prefix, longest)?;
    }
    input.event_source_arn.as_deref().map_or(Ok(()), |arn| check_length("eventSourceArn", arn, 1600))
}

fn only_one_filter(input: &List, operation: &str) -> Answer<()> {
    let filters = [&input.name_prefix, &input.event_source_arn, &input.state];
    if filters.into_iter().flatten().count() > 1 {
        return Err(invalid(format!(
            "At most one filter is allowed for {operation}. Use either : State, EventSourceArn, or NamePrefix."
        )));
    }
    Ok(())
}

fn check_state(state: Option<&str>, known: &[&str]) -> Answer<()> {
    match state.filter(|state| !known.contains(state)) {
        None => Ok(()),
        Some(state) => Err(invalid(format!(
            "1 validation error detected: Value '{state}' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            known.join(", ")
        ))),
    }
}

impl EventBridge {
    fn check_source(&self, arn: &str) -> Answer<()> {
        if arn == self.world.arn("events", "event-bus/default") { Ok(()) } else { Err(no_such_bus(name_of(arn))) }
    }

    fn archive_arn(&self, name: &str) -> String {
        self.world.arn("events", &format!("archive/{name}"))
    }

    fn replay_arn(&self, name: &str) -> String {
        self.world.arn("events", &format!("replay/{name}"))
    }

    pub(super) fn create_archive(&self, input: CreateArchive) -> Answer<Value> {
        let name = required(input.archive_name, "archiveName")?;
        check_name("archiveName", &name)?;
        if name.len() > LONGEST_NAME {
            return Err(invalid(format!(
                "1 validation error detected: Value '{name}' at 'archiveName' failed to satisfy constraint: Member must have length less than or equal to {LONGEST_NAME}"
            )));
        }
        let source = required(input.event_source_arn, "eventSourceArn")?;
        self.check_source(&source)?;
        check_archive(input.event_pattern.as_deref(), input.description.as_deref(), input.retention_days)?;
        let created = self.world.now().as_millisecond();
        self.state.change(|state| {
            if state.archives.contains_key(&name) {
                return Err(already_exists(&format!("Archive {name}")));
            }
            let archive = Archive {
                source,
                description: input.description,
                pattern: input.event_pattern,
                retention_days: input.retention_days.unwrap_or_default(),
                created,
            };
            state.archives.insert(name.clone(), archive);
            Ok(())
        })?;
        self.rescheduled.notify_waiters();
        Ok(json!({ "ArchiveArn": self.archive_arn(&name), "State": "ENABLED", "CreationTime": seconds(created) }))
    }

    fn shown_archive(&self, name: &str, archive: &Archive) -> Answer<Map<String, Value>> {
        let holding = self.holding(name, archive).map_err(ServiceError::internal)?;
        Ok(Map::from_iter([
            ("ArchiveName".to_owned(), json!(name)),
            ("EventSourceArn".to_owned(), json!(archive.source)),
            ("State".to_owned(), json!("ENABLED")),
            ("RetentionDays".to_owned(), json!(archive.retention_days)),
            ("SizeBytes".to_owned(), json!(holding.bytes)),
            ("EventCount".to_owned(), json!(holding.events)),
            ("CreationTime".to_owned(), seconds(archive.created)),
        ]))
    }

    pub(super) fn describe_archive(&self, input: OneArchive) -> Answer<Value> {
        let name = required(input.archive_name, "archiveName")?;
        let archive = self.state.read(|state| state.archives.get(&name).cloned());
        let archive = archive.ok_or_else(|| no_such_archive(&name))?;
        let mut shown = self.shown_archive(&name, &archive)?;
        shown.insert("ArchiveArn".to_owned(), json!(self.archive_arn(&name)));
        for (member, value) in [("Description", archive.description), ("EventPattern", archive.pattern)] {
            if let Some(value) = value {
                shown.insert(member.to_owned(), json!(value));
            }
        }
        Ok(Value::Object(shown))
    }

    pub(super) fn list_archives(&self, input: &List) -> Answer<Value> {
        only_one_filter(input, "ListArchives")?;
        check_filters(input, LONGEST_NAME)?;
        check_state(
            input.state.as_deref(),
            &["ENABLED", "DISABLED", "CREATING", "UPDATING", "CREATE_FAILED", "UPDATE_FAILED"],
        )?;
        input.event_source_arn.as_deref().map_or(Ok(()), |arn| self.check_source(arn))?;
        let wanted = |name: &str| {
            input.name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && input.state.as_deref().is_none_or(|state| state == "ENABLED")
        };
        let archives: Vec<(String, Archive)> = self.state.read(|state| {
            let wanted = state.archives.iter().filter(|(name, _)| wanted(name));
            wanted.map(|(name, archive)| (name.clone(), archive.clone())).collect()
        });
        let shown =
            archives.iter().map(|(name, archive)| Ok((name.clone(), self.shown_archive(name, archive)?.into())));
        self.listed_by(("Archives", "ListArchives"), shown.collect::<Answer<_>>()?, input)
    }

    /// One page of what an operation lists, of those that its filters choose.
    fn listed_by(&self, (member, operation): (&str, &str), shown: Vec<(String, Value)>, input: &List) -> Answer<Value> {
        let filters = input.filters();
        let filters = filters.each_ref().map(String::as_str);
        self.listed((member, operation, &filters), shown, input.limit, input.next_token.as_deref())
    }

    pub(super) fn update_archive(&self, input: UpdateArchive) -> Answer<Value> {
        let name = required(input.archive_name, "archiveName")?;
        check_archive(input.event_pattern.as_deref(), input.description.as_deref(), input.retention_days)?;
        let created = self.state.change(|state| {
            let archive = state.archives.get_mut(&name).ok_or_else(|| no_such_archive(&name))?;
            if input.event_pattern.is_some() {
                archive.pattern = input.event_pattern;
            }
            if input.description.is_some() {
                archive.description = input.description;
            }
            archive.retention_days = input.retention_days.unwrap_or(archive.retention_days);
            Ok::<_, ServiceError>(archive.created)
        })?;
        self.rescheduled.notify_waiters();
        Ok(json!({ "ArchiveArn": self.archive_arn(&name), "State": "ENABLED", "CreationTime": seconds(created) }))
    }

    pub(super) fn delete_archive(&self, input: OneArchive) -> Answer<Value> {
        let name = required(input.archive_name, "archiveName")?;
        self.state.change(|state| state.archives.remove(&name)).ok_or_else(|| no_such_archive(&name))?;
        self.shelf.remove(&name).map_err(ServiceError::internal)?;
        Ok(json!({}))
    }

    pub(super) fn start_replay(&self, input: StartReplay) -> Answer<Value> {
        let name = required(input.replay_name, "replayName")?;
        check_name("replayName", &name)?;
        check_description(input.description.as_deref())?;
        let archive_arn = required(input.event_source_arn, "eventSourceArn")?;
        let from = milliseconds(required(input.event_start_time, "eventStartTime")?, "EventStartTime")?;
        let to = milliseconds(required(input.event_end_time, "eventEndTime")?, "EventEndTime")?;
        let destination = required(input.destination, "destination")?;
        let bus = required(destination.arn, "destination.arn")?;
        self.check_source(&bus)?;
        if from >= to {
            return Err(invalid(
                "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
            ));
        }
        let archive = name_of(&archive_arn).to_owned();
        let started = self.world.now().as_millisecond();
        self.state.change(|state| {
            if archive_arn != self.archive_arn(&archive) || !state.archives.contains_key(&archive) {
                return Err(invalid(format!(
                    "Parameter EventSourceArn is not valid. Reason: Archive {archive} does not exist."
                )));
            }
            for arn in &destination.filter_arns {
                if *arn != self.rule_arn(name_of(arn)) || !state.rules.contains_key(name_of(arn)) {
                    return Err(invalid(format!(
                        "Parameter Destination.FilterArns is not valid. Reason: there is no rule {arn}."
                    )));
                }
            }
            if state.replays.contains_key(&name) {
                return Err(already_exists(&format!("Replay {name}")));
            }
            if state.replays.values().filter(|replay| replay.state.is_going()).count() >= MOST_REPLAYS {
                return Err(ServiceError::bad(
                    "LimitExceededException",
                    format!(
                        "The requested resource exceeds the maximum number allowed: {MOST_REPLAYS} replays at once."
                    ),
                ));
            }
            let replay = Replay {
                archive,
                description: input.description,
                destination: bus,
                filter: destination.filter_arns,
                from,
                to,
                state: ReplayState::Starting,
                reason: None,
                started,
                ended: None,
                last: None,
                done: 0,
            };
            state.replays.insert(name.clone(), replay);
            Ok(())
        })?;
        self.rescheduled.notify_waiters();
        Ok(json!({ "ReplayArn": self.replay_arn(&name), "State": "STARTING", "ReplayStartTime": seconds(started) }))
    }

    fn shown_replay(&self, name: &str, replay: &Replay) -> Answer<Map<String, Value>> {
        let mut shown = Map::from_iter([
            ("ReplayName".to_owned(), json!(name)),
            ("EventSourceArn".to_owned(), json!(self.archive_arn(&replay.archive))),
            ("State".to_owned(), rendered(replay.state)?),
            ("EventStartTime".to_owned(), seconds(replay.from)),
            ("EventEndTime".to_owned(), seconds(replay.to)),
            ("ReplayStartTime".to_owned(), seconds(replay.started)),
        ]);
        for (member, value) in [("EventLastReplayedTime", replay.last), ("ReplayEndTime", replay.ended)] {
            if let Some(value) = value {
                shown.insert(member.to_owned(), seconds(value));
            }
        }
        if let Some(reason) = &replay.reason {
            shown.insert("StateReason".to_owned(), json!(reason));
        }
        Ok(shown)
    }

    pub(super) fn describe_replay(&self, input: OneReplay) -> Answer<Value> {
        let name = required(input.replay_name, "replayName")?;
        let replay = self.state.read(|state| state.replays.get(&name).cloned()).ok_or_else(|| no_such_replay(&name))?;
        let mut shown = self.shown_replay(&name, &replay)?;
        shown.insert("ReplayArn".to_owned(), json!(self.replay_arn(&name)));
        let destination = Destination { arn: Some(replay.destination), filter_arns: replay.filter };
        shown.insert("Destination".to_owned(), rendered(destination)?);
        if let Some(description) = replay.description {
            shown.insert("Description".to_owned(), json!(description));
        }
        Ok(Value::Object(shown))
    }

    pub(super) fn list_replays(&self, input: &List) -> Answer<Value> {
        only_one_filter(input, "ListReplays")?;
        check_filters(input, LONGEST_REPLAY_NAME)?;
        check_state(
            input.state.as_deref(),
            &["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"],
        )?;
        let replays: Vec<(String, Replay)> = self.state.read(|state| {
            let wanted = state.replays.iter().filter(|(name, replay)| {
                let source = self.archive_arn(&replay.archive);
                input.name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                    && input.event_source_arn.as_deref().is_none_or(|arn| arn == source)
                    && input.state.as_deref().is_none_or(|state| rendered(replay.state).is_ok_and(|is| is == state))
            });
            wanted.map(|(name, replay)| (name.clone(), replay.clone())).collect()
        });
        let shown = replays.iter().map(|(name, replay)| Ok((name.clone(), self.shown_replay(name, replay)?.into())));
        self.listed_by(("Replays", "ListReplays"), shown.collect::<Answer<_>>()?, input)
    }

    pub(super) fn cancel_replay(&self, input: OneReplay) -> Answer<Value> {
        let name = required(input.replay_name, "replayName")?;
        self.state.change(|state| {
            let replay = state.replays.get_mut(&name).ok_or_else(|| no_such_replay(&name))?;
            if !matches!(replay.state, ReplayState::Starting | ReplayState::Running) {
                return Err(ServiceError::bad(
                    "IllegalStatusException",
                    format!("Replay {name} is not in a valid state for this operation."),
                ));
            }
            replay.state = ReplayState::Cancelling;
            Ok(())
        })?;
        self.rescheduled.notify_waiters();
        Ok(json!({ "ReplayArn": self.replay_arn(&name), "State": "CANCELLING" }))
    }
}
