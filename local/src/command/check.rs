//! `signalbox check`: a policy file, all its problems at once.

use std::path::PathBuf;

use anyhow::Context;
use signalbox_policy::{parse_policy, render_problems};

use super::{Outcome, Paint};

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
            println!("{} {file}", paint.good("good:"));
            for note in policy.not_yet() {
                println!("{} {file}:{note}", paint.notice("note:"));
            }
            Ok(Outcome::Good)
        }
        Err(problems) => {
            let paint = Paint::for_stderr();
            eprintln!("{}", render_problems(&file, &text, &problems));
            let count = problems.len();
            let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
            eprintln!("{} {file} has {problems}", paint.bad("bad:"));
            Ok(Outcome::Bad)
        }
    }
}
