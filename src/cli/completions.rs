//! `billrunner completions` and `billrunner man`: what a shell and `man` read, made from the commands themselves.

use std::{io::Write, path::PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Output};

/// What shells call the program.
const PROGRAM: &str = "billrunner";

/// Arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    /// For this shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Args)]
pub struct Man {
    /// Write a page for each command into this folder.
    #[arg(long)]
    into: Option<PathBuf>,
}

/// Prints a shell's completions.
pub fn completions(arguments: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), PROGRAM, &mut script);
    print(&script)
}

/// Prints the page of the program, or writes those of all commands.
pub fn man(arguments: &Man, output: Output) -> anyhow::Result<()> {
    let Some(folder) = &arguments.into else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return print(&page);
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("the pages cannot be written into {}", folder.display()))?;
    output.line(&format!("the pages are in {}", folder.display()))
}

/// Writes text as it is; a reader that went away is no failure.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
