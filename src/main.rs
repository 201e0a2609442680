//! The `billrunner` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Rows are read by one thread and written by another: glibc has the two wait for each other at every value that is freed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    billrunner::cli::run()
}
