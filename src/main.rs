//! The `billrunner` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    billrunner::cli::run()
}
