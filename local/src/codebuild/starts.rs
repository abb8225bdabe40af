//! Builds: started, stopped, looked up, listed.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::model::{Build, BuildArtifacts, LogsLocation, PhaseType, Project, Status, Variable};
use super::projects::{check_environment, check_timeouts, is_inline, short_name};
use super::transcript::LogTarget;
use super::{
    Handle, Inner, Over, PAGE, REMEMBERED_BUILDS, State, Stop, UsedToken, check_batch, events, input, invalid, moment,
    no_build, no_project, no_such_page, shown,
};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// How long an idempotency token is good, in minutes; documented.
const TOKEN_MINUTES: u32 = 5;
/// How many times the concurrency quota may wait in the queue; documented.
const QUEUE_FACTOR: usize = 5;
/// How long StopBuild waits for the build's processes to be gone.
const STOPPING: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartBuild {
    project_name: String,
    source_version: Option<String>,
    #[serde(default)]
    environment_variables_override: Vec<Variable>,
    buildspec_override: Option<String>,
    git_clone_depth_override: Option<u32>,
    timeout_in_minutes_override: Option<u32>,
    queued_timeout_in_minutes_override: Option<u32>,
    idempotency_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryBuild {
    id: String,
    idempotency_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneId {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListBuilds {
    sort_order: Option<Order>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListBuildsForProject {
    project_name: String,
    sort_order: Option<Order>,
    next_token: Option<String>,
}

/// What a start came to.
enum Start {
    New(Box<Build>),
    /// The build that the same token started before.
    Old(Box<Build>),
}

impl Inner {
    pub(super) fn start_build(self: &Arc<Self>, value: Value, caller: &Caller) -> Answer<Value> {
        let asked: StartBuild = input(value.clone())?;
        let initiator = initiator(&caller.arn);
        self.start(value, asked.idempotency_token.clone(), |inner, state, now| {
            let name = short_name(&asked.project_name);
            let project = state.projects.get(name).ok_or_else(|| no_project(&asked.project_name))?;
            inner.new_build(&asked, project, initiator, now)
        })
    }

    /// A new build with everything that the old one had, the project's present settings aside.
    pub(super) fn retry_build(self: &Arc<Self>, value: Value, caller: &Caller) -> Answer<Value> {
        let asked: RetryBuild = input(value.clone())?;
        let initiator = initiator(&caller.arn);
        self.start(value, asked.idempotency_token.clone(), |inner, state, now| {
            let id = build_id(&asked.id);
            let old = state.builds.iter().rev().find(|build| build.id == id).ok_or_else(|| no_build(&asked.id))?;
            if !old.build_complete {
                return Err(invalid(format!("Build {id} is still in progress; stop it before it is retried")));
            }
            if !state.projects.contains_key(&old.project_name) {
                return Err(no_project(&old.project_name));
            }
            let mut build = Build {
                resolved_source_version: None,
                end_time: None,
                phases: Vec::new(),
                build_complete: false,
                build_status: Status::InProgress,
                exported_environment_variables: Vec::new(),
                initiator,
                start_time: now,
                ..old.clone()
            };
            build.logs = no_logs_yet(&inner.world.region);
            inner.name_build(&mut build);
            Ok(build)
        })
    }

    fn start(
        self: &Arc<Self>,
        mut request: Value,
        token: Option<String>,
        make: impl FnOnce(&Self, &State, Timestamp) -> Answer<Build>,
    ) -> Answer<Value> {
        if let Some(request) = request.as_object_mut() {
            request.remove("idempotencyToken");
        }
        let now = self.world.now();
        let started = self.state.change(|state| -> Answer<Start> {
            self.forget_tokens(state, now);
            if let Some(old) = known_token(state, token.as_deref(), &request)? {
                return Ok(Start::Old(Box::new(old)));
            }
            let mut build = make(self, state, now)?;
            self.check_room(state, &build.project_name)?;
            let number = state.numbers.entry(build.project_name.clone()).or_insert(0);
            *number += 1;
            build.build_number = *number;
            build.begin(PhaseType::Submitted, now);
            state.builds.push(build.clone());
            if let Some(token) = token {
                state.tokens.push(UsedToken { token, at: now, request, build: build.id.clone() });
            }
            forget_builds(state);
            Ok(Start::New(Box::new(build)))
        })?;
        match started {
            Start::Old(build) => Ok(json!({ "build": shown(&*build)? })),
            Start::New(build) => {
                self.publish(events::started(&build));
                self.advance(&build.id, Status::Succeeded, None, PhaseType::Queued);
                self.launch(&build.id);
                let build = self.build(&build.id).unwrap_or(*build);
                Ok(json!({ "build": shown(&build)? }))
            }
        }
    }

    fn launch(self: &Arc<Self>, id: &str) {
        let (stop, stopped) = watch::channel(None);
        let (tell, over) = watch::channel(Over::NotYet);
        self.with_running(|running| running.insert(id.to_owned(), Handle { stop, over }));
        let (inner, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            inner.run(&id, stopped).await;
            inner.with_running(|running| running.remove(&id));
            tell.send_replace(Over::Yes);
        });
    }

    fn new_build(&self, asked: &StartBuild, project: &Project, initiator: String, now: Timestamp) -> Answer<Build> {
        let mut source = project.source.clone();
        if let Some(spec) = &asked.buildspec_override {
            if spec.starts_with("arn:") || (source.location.is_none() && !is_inline(spec)) {
                return Err(invalid("buildspecOverride must be inline YAML or a path in the source"));
            }
            source.buildspec = Some(spec.clone());
        }
        source.git_clone_depth = asked.git_clone_depth_override.or(source.git_clone_depth);
        let mut environment = project.environment.clone();
        for variable in &asked.environment_variables_override {
            environment.environment_variables.retain(|other| other.name != variable.name);
            environment.environment_variables.push(variable.clone());
        }
        check_environment(&environment)?;
        let timeout = asked.timeout_in_minutes_override.unwrap_or(project.timeout_in_minutes);
        let queued = asked.queued_timeout_in_minutes_override.unwrap_or(project.queued_timeout_in_minutes);
        check_timeouts(timeout, queued)?;
        let version = asked.source_version.clone().filter(|version| !version.is_empty());
        let mut build = Build {
            id: String::new(),
            arn: String::new(),
            build_number: 0,
            start_time: now,
            end_time: None,
            current_phase: PhaseType::Submitted,
            build_status: Status::InProgress,
            source_version: version.or_else(|| project.source_version.clone()),
            resolved_source_version: None,
            project_name: project.name.clone(),
            phases: Vec::new(),
            source,
            artifacts: BuildArtifacts { location: String::new() },
            cache: project.cache.clone(),
            environment,
            service_role: project.service_role.clone(),
            logs: no_logs_yet(&self.world.region),
            timeout_in_minutes: timeout,
            queued_timeout_in_minutes: queued,
            build_complete: false,
            initiator,
            encryption_key: project.encryption_key.clone(),
            exported_environment_variables: Vec::new(),
        };
        self.name_build(&mut build);
        Ok(build)
    }

    fn name_build(&self, build: &mut Build) {
        build.id = format!("{}:{}", build.project_name, self.world.uuid());
        build.arn = self.world.arn("codebuild", &format!("build/{}", build.id));
    }

    fn check_room(&self, state: &State, project: &str) -> Answer<()> {
        let full = |message| Err(ServiceError::bad("AccountLimitExceededException", message));
        let waiting =
            || state.builds.iter().filter(|build| !build.build_complete && build.current_phase <= PhaseType::Queued);
        let active = state.builds.iter().filter(|build| !build.build_complete && build.project_name == project).count();
        if let Some(limit) = state.projects.get(project).and_then(|project| project.concurrent_build_limit)
            && active >= usize::try_from(limit).unwrap_or(usize::MAX)
        {
            return full(format!("Cannot have more than {limit} active builds for the project"));
        }
        let quota = self.pace.at_once + self.raised.load(std::sync::atomic::Ordering::Relaxed);
        let places = quota * QUEUE_FACTOR;
        if waiting().count() >= places {
            return full(format!("Cannot have more than {places} builds in queue for the account"));
        }
        Ok(())
    }

    fn forget_tokens(&self, state: &mut State, now: Timestamp) {
        let good_for = SignedDuration::try_from(self.pace.minute * TOKEN_MINUTES).unwrap_or(SignedDuration::MAX);
        state.tokens.retain(|used| now.duration_since(used.at) < good_for);
    }

    pub(super) async fn stop_build(&self, value: Value) -> Answer<Value> {
        let OneId { id } = input(value)?;
        let id = build_id(&id);
        self.build(id).ok_or_else(|| no_build(id))?;
        let over = self.with_running(|running| {
            let handle = running.get(id)?;
            handle.stop.send_replace(Some(Stop::Asked));
            Some(handle.over.clone())
        });
        if let Some(mut over) = over {
            // Past the deadline the answer is the build as it is then: still being stopped.
            let _stopped = tokio::time::timeout(STOPPING, over.wait_for(|over| *over == Over::Yes)).await;
        }
        let build = self.build(id).ok_or_else(|| no_build(id))?;
        Ok(json!({ "build": shown(&build)? }))
    }

    pub(super) fn batch_get_builds(&self, value: Value) -> Answer<Value> {
        let Ids { ids } = input(value)?;
        check_batch("ids", &ids)?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in &ids {
            match self.build(build_id(id)) {
                Some(build) => found.push(shown(&build)?),
                None => missing.push(id),
            }
        }
        Ok(json!({ "builds": found, "buildsNotFound": missing }))
    }

    pub(super) fn list_builds(&self, value: Value) -> Answer<Value> {
        let asked: ListBuilds = input(value)?;
        self.ids(("ListBuilds", ""), asked.sort_order, asked.next_token.as_deref(), |_| true)
    }

    pub(super) fn list_builds_for_project(&self, value: Value) -> Answer<Value> {
        let asked: ListBuildsForProject = input(value)?;
        let name = short_name(&asked.project_name);
        let known = self.state.read(|state| {
            state.projects.contains_key(name) || state.builds.iter().any(|build| build.project_name == name)
        });
        if !known {
            return Err(no_project(&asked.project_name));
        }
        let listing = ("ListBuildsForProject", name);
        self.ids(listing, asked.sort_order, asked.next_token.as_deref(), |build| build.project_name == name)
    }

    /// The newest first unless asked otherwise.
    fn ids(
        &self,
        (operation, project): (&str, &str),
        order: Option<Order>,
        token: Option<&str>,
        wanted: impl Fn(&Build) -> bool,
    ) -> Answer<Value> {
        let keyed = |build: &Build| (moment(build.start_time, &build.id), build.id.clone());
        let mut ids: Vec<(String, String)> =
            self.state.read(|state| state.builds.iter().filter(|build| wanted(build)).map(keyed).collect());
        let order = order.unwrap_or(Order::Descending);
        if order == Order::Descending {
            ids.reverse();
        }
        let filters = [project, &format!("{order:?}")];
        let listing = self.world.listing(&format!("codebuild:{operation}"), &filters);
        let (ids, next) = listing.page(ids, order, PAGE, token).map_err(no_such_page)?;
        Ok(match next {
            Some(next) => json!({ "ids": ids, "nextToken": next }),
            None => json!({ "ids": ids }),
        })
    }

    /// Where a build's log goes, by the project as it is now.
    pub(super) fn log_target(&self, build: &Build) -> Option<LogTarget> {
        let config = self.state.read(|state| {
            state.projects.get(&build.project_name).and_then(|project| project.logs_config.clone()?.cloud_watch_logs)
        });
        let default_group = || format!("/aws/codebuild/{}", build.project_name);
        let uuid = build.uuid().to_owned();
        match config {
            Some(config) if config.status == "DISABLED" => None,
            Some(config) => Some(LogTarget {
                group: config.group_name.unwrap_or_else(default_group),
                stream: config.stream_name.map_or(uuid.clone(), |stream| format!("{stream}/{uuid}")),
            }),
            None => Some(LogTarget { group: default_group(), stream: uuid }),
        }
    }
}

/// A build may be named by its ARN.
fn build_id(id: &str) -> &str {
    id.split_once(":build/").map_or(id, |(_, id)| id)
}

fn known_token(state: &State, token: Option<&str>, request: &Value) -> Answer<Option<Build>> {
    let Some(used) = state.tokens.iter().find(|used| Some(used.token.as_str()) == token) else { return Ok(None) };
    if used.request != *request {
        return Err(invalid(
            "Parameter mismatch: this idempotencyToken was used with other parameters in the last five minutes",
        ));
    }
    Ok(state.builds.iter().find(|build| build.id == used.build).cloned())
}

fn forget_builds(state: &mut State) {
    let mut too_many = state.builds.len().saturating_sub(REMEMBERED_BUILDS);
    state.builds.retain(|build| {
        let forget = too_many > 0 && build.build_complete;
        too_many -= usize::from(forget);
        !forget
    });
}

/// As a new build has it on AWS: a link that leads nowhere.
pub(super) fn no_logs_yet(region: &str) -> LogsLocation {
    LogsLocation {
        group_name: None,
        stream_name: None,
        deep_link: deep_link(region, "null", "null"),
        cloud_watch_logs_arn: None,
    }
}

/// The console's page of a log stream.
fn deep_link(region: &str, group: &str, stream: &str) -> String {
    format!("https://console.aws.amazon.com/cloudwatch/home?region={region}#logEvent:group={group};stream={stream}")
}

/// Who started a build, as events and builds say it: a user's name, or `ROLE/SESSION`.
pub(super) fn initiator(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    match resource.strip_prefix("assumed-role/") {
        Some(session) => session.to_owned(),
        None => resource.rsplit('/').next().unwrap_or(resource).to_owned(),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn an_initiator_is_a_users_name_or_role_and_session() {
        let table = [
            ("arn:aws:iam::111122223333:user/developer", "developer"),
            ("arn:aws:iam::111122223333:user/team/developer", "developer"),
            ("arn:aws:sts::111122223333:assumed-role/trigger/unit", "trigger/unit"),
            ("arn:aws:iam::111122223333:root", "root"),
        ];
        for (arn, expected) in table {
            assert_eq!(initiator(arn), expected, "{arn}");
        }
    }
}
