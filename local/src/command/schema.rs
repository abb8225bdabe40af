//! `signalbox schema`: the policy file's JSON Schema, for editors.

use super::{Outcome, tell};

/// Print the JSON Schema of the policy file, for editors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An editor with a YAML language server checks and completes a policy that begins with the line\n\n  \
                        # yaml-language-server: $schema=signalbox.schema.json\n\nif the output lies beside it under that name. \
                        The schema knows keys, types and words; `signalbox check` knows the rest."
)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> anyhow::Result<Outcome> {
    tell(&serde_json::to_string_pretty(&signalbox_policy::schema())?);
    Ok(Outcome::Good)
}
