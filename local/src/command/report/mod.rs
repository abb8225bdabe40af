//! `signalbox report`: what the functions did over a time, and the reasons that people owe.

mod bypass;
mod item;
mod progress;
mod protections;
mod read;
mod show;

use super::Outcome;

/// Show what became of protected branches and tags, or tell why a protection was bypassed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Protections(protections::Arguments),
    Bypass(bypass::Arguments),
}

impl Arguments {
    /// Whether it only looks and tells.
    pub(super) const fn only_looks(&self) -> bool {
        matches!(self.command, Command::Protections(_))
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Protections(arguments) => protections::run(arguments),
        Command::Bypass(arguments) => bypass::run(arguments),
    }
}

/// The protector's name in the ledger.
const PROTECTOR: &str = "protector";

/// Free text as a terminal may show it: one line without control characters.
fn plain(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if c == '\n' {
                ' '
            } else if is_odd(c) {
                '?'
            } else {
                c
            }
        })
        .collect()
}
