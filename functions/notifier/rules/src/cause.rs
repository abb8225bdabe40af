//! Why a build failed, as far as its phases say.

use signalbox_events::{BuildPhase, BuildStatus, PhaseType};

use crate::decide::Case;
use crate::facts::BUILDSPEC_ERROR;
use crate::mail::shown;
use crate::redact::{COMMAND, REASON};

/// Why a build failed, as far as its phases say.
pub(crate) struct Failed<'a> {
    pub(crate) phase: Option<&'a BuildPhase>,
    pub(crate) command: Option<String>,
    pub(crate) cause: Cause,
}

pub(crate) enum Cause {
    /// A command of the buildspec ended badly; `None` where its exit status is not told.
    Command(Option<String>),
    /// The buildspec could not be read.
    Buildspec(String),
    /// `CodeBuild` itself failed.
    Fault(Option<String>),
    /// It came to nothing before its buildspec was begun.
    NeverBegan(Option<String>),
    /// It took too long.
    TimedOut,
    /// Something else that a phase tells.
    Other(Option<String>),
}

impl<'a> Failed<'a> {
    pub(crate) fn of(case: &'a Case<'_>) -> Self {
        let phase = case.build.failed_phase();
        // CodeBuild writes ": " where it has nothing to say.
        let said = phase.and_then(|phase| phase.context.iter().find(|said| !matches!(said.trim(), "" | ":")));
        let command = said.and_then(|said| {
            let rest = said.split_once(COMMAND)?.1;
            Some(rest.rsplit_once(REASON).map_or(rest, |(command, _)| command).to_owned())
        });
        let cause = match (case.build.status, said) {
            (BuildStatus::Fault, said) => Cause::Fault(said.cloned()),
            (_, said) if case.build.never_began() => Cause::NeverBegan(said.cloned()),
            (BuildStatus::TimedOut, _) => Cause::TimedOut,
            (_, Some(said)) if said.trim_start().starts_with(BUILDSPEC_ERROR) => {
                let message = said.trim_start().trim_start_matches(BUILDSPEC_ERROR).trim_start_matches(':').trim();
                Cause::Buildspec(if message.is_empty() { "it says no more".to_owned() } else { message.to_owned() })
            }
            (_, Some(said)) if command.is_some() => {
                Cause::Command(said.rsplit_once(REASON).map(|(_, reason)| reason.trim_end_matches('.').to_owned()))
            }
            (_, said) => Cause::Other(said.cloned()),
        };
        Self { phase, command, cause }
    }

    /// What failed, to stand behind a colon.
    pub(crate) fn said(&self, case: &Case<'_>) -> String {
        let in_phase = self.phase.map(|phase| format!(" in {}", phase.phase)).unwrap_or_default();
        match (&self.cause, &self.command) {
            (Cause::Command(reason), Some(command)) => {
                let reason = reason.as_deref().map(|reason| format!(" with {}", shown(reason, 80))).unwrap_or_default();
                format!("`{}` failed{reason}", shown(command, 120))
            }
            (Cause::Buildspec(message), _) => format!("CodeBuild cannot read it ({})", shown(message, 200)),
            (Cause::TimedOut, _) => match case.build.timeout_in_minutes {
                Some(minutes) => format!("it was ended{in_phase} because it took longer than its {minutes} min"),
                None => format!("it was ended{in_phase} because it took too long"),
            },
            (Cause::NeverBegan(_), _) => never_began(case, self.phase),
            (Cause::Fault(_), _) => format!("CodeBuild itself failed{in_phase}"),
            (_, _) => format!("the build failed{in_phase}"),
        }
    }
}

/// A time-out of the queue is not the one of the build.
fn never_began(case: &Case<'_>, phase: Option<&BuildPhase>) -> String {
    let minutes =
        |minutes: Option<u64>| minutes.map_or_else(|| "it may".to_owned(), |minutes| format!("its {minutes} min"));
    match (case.build.status, phase.map(|phase| phase.phase)) {
        (BuildStatus::TimedOut, Some(PhaseType::Queued)) => {
            format!(
                "the build never began, because it waited in the queue longer than {}",
                minutes(case.build.queued_timeout_in_minutes)
            )
        }
        (BuildStatus::TimedOut, Some(phase)) => {
            format!(
                "the build never began, because it was still in {phase} after {}",
                minutes(case.build.timeout_in_minutes)
            )
        }
        (_, Some(phase)) => format!("the build never began, because {phase} failed"),
        (_, None) => "the build never began".to_owned(),
    }
}
