//! Questions before something is changed.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};

/// What a person answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Do it.
    Yes,
    /// Leave it.
    No,
}

/// Asks for `y`; everything else means no.
pub(super) fn confirm(question: &str) -> anyhow::Result<Reply> {
    let answer = line(&format!("{question} [y/N] "))?;
    Ok(if matches!(answer.to_lowercase().as_str(), "y" | "yes") { Reply::Yes } else { Reply::No })
}

/// Asks for a name to be typed, so that nobody confirms by habit.
pub(super) fn confirm_by_name(question: &str, name: &str) -> anyhow::Result<Reply> {
    let answer = line(&format!("{question}\nType `{name}` to go on: "))?;
    Ok(if answer == name { Reply::Yes } else { Reply::No })
}

fn line(prompt: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "this asks before it changes anything, and there is no terminal to ask at: give --yes, or --dry-run to only look"
        );
    }
    let mut error = std::io::stderr();
    write!(error, "{prompt}").and_then(|()| error.flush()).context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim().to_owned())
}
