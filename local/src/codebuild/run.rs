//! A build's way through its phases.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use signalbox_events::RepositoryName;
use tokio::sync::watch;

use super::buildspec::{Buildspec, OnFailure, PhaseCommands, is_variable_name};
use super::model::{Build, Context, ExportedVariable, LogsLocation, PhaseType, SourceType, Status};
use super::projects::{is_inline, role_name};
use super::shell::{BuildShell, Setup};
use super::source::{Places, Remote, buildspec_path, download};
use super::transcript::Transcript;
use super::{Inner, Stop};
use crate::auth::{Credentials, git_credentials};
use crate::iam::gate;
use crate::logs::page;

/// How an undisturbed build ended.
struct Outcome {
    /// Of the phase that runs when the build ends.
    phase: Status,
    context: Option<Context>,
    build: Status,
}

/// What cut a build short.
enum Interrupt {
    Stopped(Stop),
    TimedOut,
}

/// What a phase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Succeeded,
    Failed,
}

impl Inner {
    /// Takes a build from the queue to its end, whatever comes between.
    pub(super) async fn run(self: &Arc<Self>, id: &str, mut stop: watch::Receiver<Option<Stop>>) {
        let Some(build) = self.build(id) else { return };
        let queued_for = self.pace.minute * build.queued_timeout_in_minutes;
        let waited = tokio::select! {
            biased;
            stop = stopped(&mut stop) => Err(Interrupt::Stopped(stop)),
            place = Arc::clone(&self.slots).acquire_owned() => Ok(place),
            () = tokio::time::sleep(queued_for) => Err(Interrupt::TimedOut),
        };
        // The place is given back when this function ends.
        let _place = match waited {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return self.interrupted(id, &Interrupt::Stopped(Stop::CloudEnds)),
            Err(interrupt) => return self.interrupted(id, &interrupt),
        };
        self.advance(id, Status::Succeeded, None, PhaseType::Provisioning);
        if let Err(context) = self.check_service_role(&build) {
            return self.complete(id, Status::Failed, Some(context), Status::Failed);
        }
        self.locate_logs(id, &build);

        let folder = self.world.dir.join("builds").join(build.uuid());
        let mut transcript = Transcript::new(&self.world, &self.logs, self.log_target(&build));
        let outcome = tokio::select! {
            biased;
            stop = stopped(&mut stop) => Err(Interrupt::Stopped(stop)),
            // Before the steps: a build that talks without end uses up the task's whole turn.
            () = tokio::time::sleep(self.pace.minute * build.timeout_in_minutes) => Err(Interrupt::TimedOut),
            outcome = self.steps(&build, &folder, &mut transcript) => Ok(outcome),
        };
        // The commands' processes are gone: the future that owned them is dropped.
        match outcome {
            Ok(outcome) => {
                transcript.say(format!("The build is over: {}", outcome.build.as_str()));
                remove(&folder).await;
                self.complete(id, outcome.phase, outcome.context, outcome.build);
            }
            Err(interrupt) => {
                transcript.say(match &interrupt {
                    Interrupt::TimedOut => {
                        format!("The build is over: it took longer than {} minutes", build.timeout_in_minutes)
                    }
                    Interrupt::Stopped(Stop::Asked) => "The build is over: it was stopped".to_owned(),
                    Interrupt::Stopped(Stop::CloudEnds) => "The build is over: the local cloud ends".to_owned(),
                });
                remove(&folder).await;
                self.interrupted(id, &interrupt);
            }
        }
    }

    /// The running phase takes the blame, and the build is over without FINALIZING.
    fn interrupted(self: &Arc<Self>, id: &str, interrupt: &Interrupt) {
        let (status, context) = match interrupt {
            Interrupt::TimedOut => (Status::TimedOut, Context::new("BUILD_TIMED_OUT", "Build has timed out.")),
            Interrupt::Stopped(Stop::Asked) => (Status::Stopped, Context::empty()),
            Interrupt::Stopped(Stop::CloudEnds) => (Status::Stopped, Context::new("", "The local cloud ended.")),
        };
        self.complete(id, status, Some(context), status);
    }

    fn locate_logs(&self, id: &str, build: &Build) {
        let Some(target) = self.log_target(build) else { return };
        let arn = format!("log-group:{}:log-stream:{}", target.group, target.stream);
        let logs = LogsLocation {
            deep_link: page::address(&self.world.pages(), &target.group, &target.stream),
            cloud_watch_logs_arn: Some(self.world.arn("logs", &arn)),
            group_name: Some(target.group),
            stream_name: Some(target.stream),
        };
        self.change_build(id, |build| build.logs = logs);
    }

    async fn steps(self: &Arc<Self>, build: &Build, folder: &Path, transcript: &mut Transcript) -> Outcome {
        match self.phases(build, folder, transcript).await {
            Ok(build) => Outcome { phase: Status::Succeeded, context: None, build },
            Err(error) => {
                let told = format!("{error:#}");
                transcript.say(format!("The local cloud failed: {told}"));
                Outcome {
                    phase: Status::Fault,
                    context: Some(Context::new("INTERNAL_SERVICE_ERROR", told)),
                    build: Status::Fault,
                }
            }
        }
    }

    async fn phases(
        self: &Arc<Self>,
        build: &Build,
        folder: &Path,
        transcript: &mut Transcript,
    ) -> anyhow::Result<Status> {
        transcript.say(format!(
            "The local cloud takes no image: commands run as you, on this machine, not in {}",
            build.environment.image
        ));
        let places = Places { home: folder.join("home"), source: folder.join("src") };
        let commands = folder.join("commands");
        for place in [&places.home, &places.source, &commands] {
            std::fs::create_dir_all(place).with_context(|| format!("cannot make the folder {}", place.display()))?;
        }
        let session = self.session(build)?;
        self.advance(&build.id, Status::Succeeded, None, PhaseType::DownloadSource);

        let fetched = self.fetch(build, &places, &session, transcript).await;
        let (spec, resolved) = match fetched {
            Ok(fetched) => fetched,
            Err(context) => {
                transcript.say("Phase complete: DOWNLOAD_SOURCE State: FAILED");
                transcript.say(format!("{}: {}", context.status_code, context.message));
                self.advance(&build.id, Status::Failed, Some(context), PhaseType::Finalizing);
                return Ok(Status::Failed);
            }
        };
        transcript.say("Phase complete: DOWNLOAD_SOURCE State: SUCCEEDED");
        for ignored in &spec.ignored {
            transcript.say(format!("The local cloud does nothing for {ignored} in the buildspec"));
        }
        let mut shell = BuildShell::new(Setup {
            shell: spec.shell,
            folder: commands.clone(),
            begin_in: places.source.clone(),
            environment: self.environment(build, resolved.as_deref(), &spec, &places, &session),
            mark: format!("signalbox-mark-{}", build.uuid()),
        });
        let mut status = Status::Succeeded;
        let mut phase = PhaseType::Install;
        self.advance(&build.id, Status::Succeeded, None, phase);
        while let Some(planned) = spec.phase(phase) {
            let context = run_phase(phase, planned, &mut shell, transcript).await?;
            let ending = if context.is_some() { Ending::Failed } else { Ending::Succeeded };
            if ending == Ending::Failed {
                status = Status::Failed;
            }
            let next = following(phase, ending, planned.on_failure);
            if next == PhaseType::UploadArtifacts {
                let exported = exported(&spec, &mut shell, &commands, transcript).await?;
                self.change_build(&build.id, |build| build.exported_environment_variables = exported);
            }
            let ended = if ending == Ending::Failed { Status::Failed } else { Status::Succeeded };
            self.advance(&build.id, ended, context, next);
            phase = next;
        }
        shell.end(transcript).await;
        if phase == PhaseType::UploadArtifacts {
            self.advance(&build.id, Status::Succeeded, None, PhaseType::Finalizing);
        }
        Ok(status)
    }

    /// The source in its folder and the buildspec, or what the failed phase says.
    async fn fetch(
        &self,
        build: &Build,
        places: &Places,
        session: &Credentials,
        transcript: &mut Transcript,
    ) -> Result<(Buildspec, Option<String>), Context> {
        let mut resolved = None;
        if build.source.kind == SourceType::CodeCommit {
            let name = build.source.location.as_deref().and_then(RepositoryName::from_clone_url);
            let name = name.as_ref().map(RepositoryName::as_str).unwrap_or_default();
            let remote = self.remote(name, build, session);
            transcript.say(format!(
                "Fetching {name} at {}",
                build.source_version.as_deref().unwrap_or("the head of its default branch")
            ));
            let commit = download(&remote, places).await.map_err(|error| error.context())?;
            transcript.say(format!("The source is commit {commit}"));
            self.change_build(&build.id, |build| build.resolved_source_version = Some(commit.clone()));
            resolved = Some(commit);
        }
        let text = buildspec_text(build.source.buildspec.as_deref(), &places.source)?;
        let spec = Buildspec::parse(&text).map_err(|error| yaml_error(error.to_string()))?;
        Ok((spec, resolved))
    }

    fn remote(&self, name: &str, build: &Build, session: &Credentials) -> Remote {
        let url = self.clone_url(name);
        let credentials = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).map(|(host, path)| {
            let keys = (&*session.access_key_id, &*session.secret_access_key, session.session_token.as_deref());
            git_credentials(keys, host, &format!("/{path}"), &self.world.region, self.world.now())
        });
        Remote {
            url,
            credentials,
            version: build.source_version.clone(),
            depth: build.source.git_clone_depth.filter(|depth| *depth > 0),
        }
    }

    /// Where a repository is really cloned from: this cloud, whatever host the project names.
    fn clone_url(&self, name: &str) -> String {
        match &self.repositories {
            Some(base) => format!("{base}/{name}"),
            None => format!("{}/v1/repos/{name}", self.world.endpoint()),
        }
    }

    /// Whether CodeBuild may assume the project's role, and write the build's log with it.
    fn check_service_role(&self, build: &Build) -> Result<(), Context> {
        let role_arn = &build.service_role;
        let denied = |what: String| Context::new("ACCESS_DENIED", what);
        self.check_role(role_arn).map_err(|refused| denied(refused.message))?;
        let Some(target) = self.log_target(build) else { return Ok(()) };
        let role = role_name(role_arn).map_err(|refused| denied(refused.message))?;
        let session = session_name(build);
        gate::admit_log_stream(&self.world, role, &session, &target.group, &target.stream).map_err(|refusal| {
            denied(format!(
                "Service role {role_arn} does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build {}. Error message: {refusal}",
                build.arn
            ))
        })
    }

    /// A session of the project's role that ends with the build's time-out.
    fn session(&self, build: &Build) -> anyhow::Result<Credentials> {
        let role = role_name(&build.service_role)?;
        let minutes = i64::from(build.timeout_in_minutes) + 5;
        let expires = self.world.now().checked_add(SignedDuration::from_mins(minutes))?;
        Ok(self.keys.session(&self.world, role, &session_name(build), Some(expires)))
    }

    /// Everything that the commands see; the later wins. Nothing of our own environment but PATH.
    fn environment(
        &self,
        build: &Build,
        resolved: Option<&str>,
        spec: &Buildspec,
        places: &Places,
        session: &Credentials,
    ) -> Vec<(String, String)> {
        let world = &self.world;
        let mut all: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| all.push((name.to_owned(), value));
        set("PATH", std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned()));
        set("HOME", places.home.display().to_string());
        set("LANG", "C.UTF-8".to_owned());
        set("CI", "true".to_owned());
        set("AWS_REGION", world.region.clone());
        set("AWS_DEFAULT_REGION", world.region.clone());
        set("AWS_ACCESS_KEY_ID", session.access_key_id.clone());
        set("AWS_SECRET_ACCESS_KEY", session.secret_access_key.clone());
        set("AWS_SESSION_TOKEN", session.session_token.clone().unwrap_or_default());
        set("AWS_ENDPOINT_URL", world.endpoint().to_owned());
        set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
        for (name, value) in &spec.variables {
            set(name, value.clone());
        }
        for variable in &build.environment.environment_variables {
            set(&variable.name, variable.value.clone());
        }
        let log = self.log_target(build).map(|target| target.stream).unwrap_or_default();
        set("CODEBUILD_CI", "true".to_owned());
        set("CODEBUILD_BUILD_ARN", build.arn.clone());
        set("CODEBUILD_BUILD_ID", build.id.clone());
        set("CODEBUILD_BUILD_IMAGE", build.environment.image.clone());
        set("CODEBUILD_BUILD_NUMBER", build.build_number.to_string());
        set("CODEBUILD_BUILD_SUCCEEDING", "1".to_owned());
        set("CODEBUILD_INITIATOR", build.initiator.clone());
        set("CODEBUILD_KMS_KEY_ID", build.encryption_key.clone());
        set("CODEBUILD_LOG_PATH", log);
        set("CODEBUILD_PROJECT_ARN", world.arn("codebuild", &format!("project/{}", build.project_name)));
        set("CODEBUILD_RESOLVED_SOURCE_VERSION", resolved.unwrap_or_default().to_owned());
        set("CODEBUILD_SOURCE_REPO_URL", build.source.location.clone().unwrap_or_default());
        set("CODEBUILD_SOURCE_VERSION", build.source_version.clone().unwrap_or_default());
        set("CODEBUILD_SRC_DIR", places.source.display().to_string());
        set("CODEBUILD_START_TIME", build.start_time.as_millisecond().to_string());
        all
    }
}

fn session_name(build: &Build) -> String {
    format!("AWSCodeBuild-{}", build.uuid())
}

/// Waits for the word to stop; for ever where nobody can say it any more.
async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(stop)) => stop,
        _ => std::future::pending().await,
    }
}

/// The documented transitions, and what `on-failure` makes of them.
fn following(phase: PhaseType, ending: Ending, on_failure: OnFailure) -> PhaseType {
    let next = match phase {
        PhaseType::Install => PhaseType::PreBuild,
        PhaseType::PreBuild => PhaseType::Build,
        PhaseType::Build => PhaseType::PostBuild,
        PhaseType::PostBuild => PhaseType::UploadArtifacts,
        _ => PhaseType::Finalizing,
    };
    match (ending, on_failure, phase) {
        (Ending::Succeeded, ..) | (Ending::Failed, OnFailure::Continue, _) => next,
        (Ending::Failed, OnFailure::Transitions, PhaseType::Build | PhaseType::PostBuild) => next,
        (Ending::Failed, ..) => PhaseType::Finalizing,
    }
}

/// Runs a phase's commands; what the first failing one says, if one fails.
async fn run_phase(
    phase: PhaseType,
    planned: &PhaseCommands,
    shell: &mut BuildShell,
    transcript: &mut Transcript,
) -> anyhow::Result<Option<Context>> {
    transcript.say(format!("Entering phase {}", phase.as_str()));
    let mut failure = run_commands(&planned.commands, shell, transcript).await?;
    let last = run_commands(&planned.finally, shell, transcript).await?;
    failure = failure.or(last);
    let state = if failure.is_some() { "FAILED" } else { "SUCCEEDED" };
    transcript.say(format!("Phase complete: {} State: {state}", phase.as_str()));
    if let Some(context) = &failure {
        transcript.say(format!("{}: {}", context.status_code, context.message));
    }
    Ok(failure)
}

async fn run_commands(
    commands: &[String],
    shell: &mut BuildShell,
    transcript: &mut Transcript,
) -> anyhow::Result<Option<Context>> {
    for command in commands {
        transcript.say(format!("Running command {command}"));
        let status = shell.run(command, transcript).await?;
        if status != 0 {
            shell.build_fails();
            let command = command.trim_end();
            transcript.say(format!("Command did not exit successfully {command} exit status {status}"));
            let told = format!("Error while executing command: {command}. Reason: exit status {status}");
            return Ok(Some(Context::new("COMMAND_EXECUTION_ERROR", told)));
        }
    }
    Ok(None)
}

/// The values of the variables that the buildspec exports, as they are at the end.
async fn exported(
    spec: &Buildspec,
    shell: &mut BuildShell,
    folder: &Path,
    transcript: &mut Transcript,
) -> anyhow::Result<Vec<ExportedVariable>> {
    let mut exported = Vec::new();
    for name in spec.exported.iter().filter(|name| is_variable_name(name)) {
        let file: PathBuf = folder.join("exported");
        let quoted = file.display().to_string().replace('\'', r"'\''");
        shell.run(&format!("printf '%s' \"${{{name}-}}\" >'{quoted}'"), transcript).await?;
        let value = std::fs::read(&file).unwrap_or_default();
        exported.push(ExportedVariable { name: name.clone(), value: String::from_utf8_lossy(&value).into_owned() });
    }
    Ok(exported)
}

fn yaml_error(message: impl Into<String>) -> Context {
    Context::new("YAML_FILE_ERROR", message)
}

fn buildspec_text(named: Option<&str>, source: &Path) -> Result<String, Context> {
    let named = named.filter(|named| !named.trim().is_empty()).unwrap_or("buildspec.yml");
    if is_inline(named) {
        return Ok(named.to_owned());
    }
    let path = buildspec_path(source, named)
        .ok_or_else(|| yaml_error(format!("the buildspec {named} is outside of the source; name a path inside it")))?;
    match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| yaml_error(format!("the buildspec {named} is not UTF-8"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(yaml_error(format!("stat {named}: no such file or directory")))
        }
        Err(error) => Err(yaml_error(format!("cannot read the buildspec {named}: {error}"))),
    }
}

/// What a build leaves behind is nobody's; what cannot be removed is removed when the next cloud opens.
///
/// A process that was killed a moment ago may still have a file to make: so it is tried more than once.
async fn remove(folder: &Path) {
    for wait in [10, 50, 200, 0] {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) if wait == 0 => {
                tracing::warn!(folder = %folder.display(), %error, "cannot remove a build's folder");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(wait)).await,
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_transitions_are_the_documented_ones() {
        use OnFailure::{Abort, Continue, Transitions};
        use PhaseType::{Build, Finalizing, Install, PostBuild, PreBuild, UploadArtifacts};
        let table = [
            (Install, Transitions, Finalizing),
            (PreBuild, Transitions, Finalizing),
            (Build, Transitions, PostBuild),
            (PostBuild, Transitions, UploadArtifacts),
            (Build, Abort, Finalizing),
            (Install, Continue, PreBuild),
            (PostBuild, Continue, UploadArtifacts),
        ];
        for (phase, on_failure, next) in table {
            assert_eq!(following(phase, Ending::Failed, on_failure), next, "{phase:?} {on_failure:?}");
        }
        assert_eq!(following(PreBuild, Ending::Succeeded, Abort), Build);
    }
}
