//! `signalbox check`: a policy file, all its problems at once.

use std::path::PathBuf;

use anyhow::Context;
use signalbox_policy::{Mode, parse_policy, render_problems};

use super::{Outcome, Paint, complain, tell};

/// Check a policy file; all its problems at once.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The policy file.
    policy: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let file = arguments.policy.display().to_string();
    let text = std::fs::read_to_string(&arguments.policy).with_context(|| format!("cannot read the policy {file}"))?;
    match parse_policy(&text) {
        Ok(policy) => {
            let paint = Paint::for_stdout();
            tell(&format!("{} {file}", paint.good("good:")));
            if policy.mode == Mode::Observe {
                let what = "the mode is `observe`: it tells what it would do, and starts nothing";
                tell(&format!("{} {file}: {what}", paint.notice("note:")));
            }
            for note in policy.not_yet() {
                tell(&format!("{} {file}:{note}", paint.notice("note:")));
            }
            Ok(Outcome::Good)
        }
        Err(problems) => {
            let paint = Paint::for_stderr();
            complain(&format!("{}{} {file}", render_problems(&file, &text, &problems), paint.bad("bad:")));
            Ok(Outcome::Bad)
        }
    }
}
