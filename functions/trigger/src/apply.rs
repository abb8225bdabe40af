//! Actions, done. Nothing is chosen in here; everything can be done twice.

use jiff::Timestamp;
use signalbox_aws::{Failure, Start, Variable};
use signalbox_events::{BuildId, BuildStart, BuildStatus};
use signalbox_ledger::Held;
use signalbox_policy::EnvironmentValue;
use signalbox_trigger_rules::{Action, Decision, PastStart, RefState, StartBuild, StopBuild, render_action};

use crate::Trigger;

/// What would be done, told.
pub(crate) fn would(decision: &Decision) -> Vec<String> {
    decision.actions.iter().map(|action| format!("would {}", render_action(action))).collect()
}

/// Does the actions that need no claim.
pub(crate) async fn freely(with: &Trigger, decision: &Decision) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for action in &decision.actions {
        settle(with, action).await?;
        done.push(render_action(action));
    }
    Ok(done)
}

/// Does all actions in their order, except what an earlier invocation already did.
pub(crate) async fn apply(
    with: &Trigger,
    decision: &Decision,
    held: &mut Held,
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for action in &decision.actions {
        let told = render_action(action);
        let Some(key) = action.key() else {
            settle(with, action).await?;
            done.push(told);
            continue;
        };
        if let Some(before) = held.outcome(&key) {
            done.push(format!("{told}: {before} (done before)"));
            continue;
        }
        let outcome = match action {
            Action::Start(start) => self::start(with, start, held.attempts(), now).await?,
            Action::Stop(stop) => self::stop(with, stop).await?,
            Action::Settle { .. } => continue,
        };
        held.record(&key, outcome.clone()).await?;
        done.push(format!("{told}: {outcome}"));
    }
    Ok(done)
}

async fn settle(with: &Trigger, action: &Action) -> Result<(), Failure> {
    if let Action::Settle { state_key, settled } = action {
        with.state.change(state_key, |state: Option<&RefState>| state.cloned().unwrap_or_default().settle(settled)).await?;
    }
    Ok(())
}

async fn start(with: &Trigger, start: &StartBuild, attempts: u32, now: Timestamp) -> Result<String, Failure> {
    let build = match earlier_build(with, start, attempts).await? {
        Some(build) => build,
        None => {
            let request = Start {
                project: start.project.clone(),
                source_version: start.commit.to_string(),
                token: start.token.clone(),
                environment: start.environment.iter().map(|(name, value)| (name.clone(), variable(value))).collect(),
                buildspec: start.buildspec.clone(),
            };
            with.codebuild.start(request).await?
        }
    };
    let record = BuildStart {
        build: build.clone(),
        trigger: start.trigger.clone(),
        repository: start.repository.clone(),
        reference: start.reference.clone(),
        commit: start.commit.clone(),
        previous: start.previous.clone(),
        pusher: start.pusher.clone(),
        attempt: start.attempt,
        at: now,
        superseded_by: None,
    };
    // Whoever wrote it first wrote the same.
    let _written_or_there = with.state.write_new(&BuildStart::key(&build), &record).await?;
    let past = PastStart {
        build: build.clone(),
        commit: start.commit.clone(),
        reference: start.reference.clone(),
        attempt: start.attempt,
        status: BuildStatus::InProgress,
    };
    with.state
        .change(&start.state_key, |state: Option<&RefState>| state.cloned().unwrap_or_default().with_start(past.clone()))
        .await?;
    Ok(format!("build {build}"))
}

fn variable(value: &EnvironmentValue) -> Variable {
    match value {
        EnvironmentValue::Text(text) => Variable::Plain(text.clone()),
        EnvironmentValue::Secret(name) => Variable::Secret(name.to_string()),
        EnvironmentValue::Parameter(name) => Variable::Parameter(name.to_string()),
    }
}

/// The build that a crashed invocation started and did not live to record.
///
/// CodeBuild knows a token for five minutes only, so a successor looks for the token among the newest builds.
async fn earlier_build(with: &Trigger, start: &StartBuild, attempts: u32) -> Result<Option<BuildId>, Failure> {
    if attempts < 2 {
        return Ok(None);
    }
    let newest = with.codebuild.newest(&start.project).await?;
    let builds = with.codebuild.builds(&newest).await?;
    let ours = builds.into_iter().find(|build| build.environment.get("SIGNALBOX_TOKEN") == Some(&start.token));
    Ok(ours.map(|build| build.id))
}

async fn stop(with: &Trigger, stop: &StopBuild) -> Result<String, Failure> {
    let key = BuildStart::key(&stop.build);
    // Said first, so that whoever hears of the stop knows why.
    if let Some(kept) = with.state.read::<BuildStart>(&key).await? {
        let stopped = BuildStart { superseded_by: Some(stop.superseded_by.clone()), ..kept.value };
        with.state.change(&key, |_: Option<&BuildStart>| stopped.clone()).await?;
    }
    with.codebuild.stop(&stop.build).await?;
    Ok("asked to stop".to_owned())
}
