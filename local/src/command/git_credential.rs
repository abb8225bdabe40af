//! `signalbox git-credential get`: a git credential helper for CodeCommit repositories.

use std::io::{Read, Write};

use anyhow::Context;
use jiff::Timestamp;

use super::Outcome;
use crate::git_credential::answer;

/// Answers git's question for a user name and password, from the AWS keys in the environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "git config credential.helper '!signalbox git-credential'\ngit config credential.useHttpPath true")]
pub(super) struct Arguments {
    /// What git asks for: get, store or erase.
    action: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut question = String::new();
    std::io::stdin().read_to_string(&mut question).context("cannot read git's question")?;
    let environment = |name: &str| std::env::var(name).ok();
    let answer = answer(&arguments.action, &question, &environment, Timestamp::now())?;
    std::io::stdout().write_all(answer.as_bytes()).context("cannot answer git")?;
    Ok(Outcome::Good)
}
