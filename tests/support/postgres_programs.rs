//! How programs of Postgres are called, for the tests and the fault harness (tests/faults) alike.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

/// Makes the call of one of its programs, in its folder and as its owner.
pub fn command(program: &Path, folder: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// Returns who is to run the server where this runs as root, which Postgres refuses.
pub fn owner() -> Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> Result<Option<u32>> {
        let answer = Command::new("id").args(arguments).output()?;
        Ok(String::from_utf8(answer.stdout)?.trim().parse().ok())
    };
    if id(&["-u"])? != Some(0) {
        return Ok(None);
    }
    let name = if id(&["-u", "postgres"])?.is_some() { "postgres" } else { "nobody" };
    Ok(id(&["-u", name])?.zip(id(&["-g", name])?))
}
