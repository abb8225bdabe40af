//! The `signalbox` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    signalbox_local::command::run(std::env::args_os())
}
