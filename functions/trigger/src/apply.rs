//! Actions, done. Nothing is chosen in here; everything can be done twice.

use jiff::{SignedDuration, Timestamp};
use signalbox_aws::{Build, Failure, FetchedHistory, Replied, Start, Variable};
use signalbox_events::{BuildId, BuildStart, BuildStatus};
use signalbox_glue::{Apply, Came, Invocation, Order, Step, Twice};
use signalbox_policy::EnvironmentValue;
use signalbox_trigger_rules::{Action, OnlyIf, PastStart, RefState, StartBuild, StopBuild, render_action};

use crate::Trigger;

/// How far back a build is looked for that may have been started before.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(48);

/// How far the clocks of two services may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

impl Apply<Action> for Trigger {
    fn step(&self, action: &Action) -> Step {
        let order = match action {
            // An older build is not stopped for a newer one that does not start.
            Action::Stop(stop) => stop.for_start.clone().map_or(Order::Free, Order::OnlyIfDone),
            Action::Start(_) | Action::Settle { .. } | Action::Reply(_) => Order::Free,
        };
        // A build that was started is found by its token; one that was asked to stop may be asked again; an answer has a
        // token, too.
        Step { key: action.key(), told: render_action(action), order, twice: Twice::Harmless }
    }

    async fn apply(&self, action: &Action, attempts: u32, _invocation: Invocation) -> Result<Came, Failure> {
        match action {
            Action::Settle { state_key, settled } => {
                let change = |state: Option<&RefState>| state.cloned().unwrap_or_default().settle(settled);
                self.state.change(state_key, change).await?;
                Ok(Came::Done("done".to_owned()))
            }
            Action::Start(start) => self::start(self, start, attempts).await,
            Action::Stop(stop) => self::stop(self, stop).await,
            Action::Reply(reply) => {
                let replied = self.codecommit.reply(&reply.to, &reply.text, &reply.token).await?;
                Ok(match replied {
                    Replied::There => Came::Done("answered".to_owned()),
                    Replied::CommentGone => Came::Left("not answered: the comment is gone".to_owned()),
                })
            }
        }
    }
}

async fn start(with: &Trigger, start: &StartBuild, attempts: u32) -> Result<Came, Failure> {
    let mut seen = None;
    if start.only_if == OnlyIf::StillTip {
        // The tip was this commit when the decision was made. If it still is, it was so at this moment, however long the
        // answer takes; the moment of the answer may be one at which the branch has moved on.
        seen = Some(Timestamp::now());
        let tip = with.codecommit.branch_tip(&start.repository, start.reference.short()).await?;
        if tip.as_ref() != Some(&start.commit) {
            return Ok(Came::Left("not started: the branch has moved on".to_owned()));
        }
    }
    // Not before the tip was read: a push that moved it there is answered by this start, and sees so by the time.
    let at = Timestamp::now();
    // A build of this token may be there already where an invocation died, and where events of two pushes meet in one tip.
    let may_be_there = attempts > 1 || start.only_if == OnlyIf::StillTip;
    let earlier = if may_be_there { earlier_build(with, start).await? } else { None };
    let build = match earlier {
        Some(build) => build,
        None => request(with, start).await?,
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
        at,
        pushed: start.pushed,
        seen,
        superseded_by: None,
        pull_request: start.pull_request.clone(),
    };
    // Two events that meet in one tip may differ in the pusher; the first word stands.
    let _written_or_there = with.state.write_new(&BuildStart::key(&build), &record).await?;
    let past = PastStart {
        build: build.clone(),
        commit: start.commit.clone(),
        reference: start.reference.clone(),
        attempt: start.attempt,
        status: BuildStatus::InProgress,
        at,
        pushed_at: start.pushed.filter(|_| start.only_if == OnlyIf::Anyway),
        previous: start.previous.clone().filter(|_| start.only_if == OnlyIf::Anyway),
        again: start.again.clone(),
        id: start.id.clone(),
        merge: start.pull_request.as_ref().and_then(|review| review.merge.clone()),
        revision: start.pull_request.as_ref().map(|review| review.revision.clone()),
    };
    let change = |state: Option<&RefState>| state.cloned().unwrap_or_default().with_start(past.clone());
    with.state.change(&start.state_key, change).await?;
    Ok(Came::Done(format!("build {build}")))
}

async fn request(with: &Trigger, start: &StartBuild) -> Result<BuildId, Failure> {
    let request = Start {
        project: start.project.clone(),
        source_version: start.commit.to_string(),
        token: start.token.clone(),
        environment: start.environment.iter().map(|(name, value)| (name.clone(), variable(value))).collect(),
        buildspec: start.buildspec.clone(),
        history: match start.pull_request.as_ref().and_then(|review| review.merge.as_ref()) {
            // It merges the target branch first, whose tip a shallow clone does not have.
            Some(_) => FetchedHistory::Whole,
            None => FetchedHistory::AsProject,
        },
    };
    match with.codebuild.start(request).await {
        // CodeBuild refuses a token that it knows with other parameters: the policy changed in between.
        Err(refused) if refused.code() == Some("InvalidInputException") => {
            earlier_build(with, start).await?.ok_or(refused)
        }
        started => started,
    }
}

fn variable(value: &EnvironmentValue) -> Variable {
    match value {
        EnvironmentValue::Text(text) => Variable::Plain(text.clone()),
        EnvironmentValue::Secret(name) => Variable::Secret(name.to_string()),
        EnvironmentValue::Parameter(name) => Variable::Parameter(name.to_string()),
    }
}

/// The build that was started with this token and not recorded.
///
/// CodeBuild knows a token for five minutes only, so the project's builds are looked through, newest first: back to the push,
/// before which nobody started it, and two days at most. That is longer than a queue tries an event; an event that is sent
/// again from the dead letters later than that starts another build.
async fn earlier_build(with: &Trigger, start: &StartBuild) -> Result<Option<BuildId>, Failure> {
    let longest_ago = Timestamp::now() - LOOK_BACK;
    let since = start.not_before.map_or(longest_ago, |pushed| (pushed - SKEW).max(longest_ago));
    let ours = |build: &Build| build.environment.get("SIGNALBOX_TOKEN") == Some(&start.token);
    Ok(with.codebuild.find(&start.project, since, ours).await?.map(|build| build.id))
}

async fn stop(with: &Trigger, stop: &StopBuild) -> Result<Came, Failure> {
    // A start looks where the branch is right before it begins; where there is none, the stop does.
    if stop.for_start.is_none() {
        let tip = with.codecommit.branch_tip(&stop.repository, stop.reference.short()).await?;
        if tip.as_ref() != Some(&stop.superseded_by) {
            return Ok(Came::Left("not stopped: the branch has moved on".to_owned()));
        }
    }
    // Said first, so that whoever hears of the stop knows why.
    let superseded =
        |start: &BuildStart| BuildStart { superseded_by: Some(stop.superseded_by.clone()), ..start.clone() };
    with.state.change_existing(&BuildStart::key(&stop.build), superseded).await?;
    with.codebuild.stop(&stop.build).await?;
    let change = |state: Option<&RefState>| state.cloned().unwrap_or_default().with_stopped(&stop.build);
    with.state.change(&stop.state_key, change).await?;
    Ok(Came::Done("asked to stop".to_owned()))
}
