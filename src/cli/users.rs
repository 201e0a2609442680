//! `billrunner users`: who may use the console. A password is made and printed once, or read from standard input; it is never
//! an argument, which other users of the machine would see.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rand::TryRng;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;

use super::{Failure, Output, console_tokens, operator::PerhapsWithReason, setup};
use crate::{
    config::Config,
    console::hash_password,
    domain::console_access::{AccessName, Role, check_password},
    store::{
        login_attempts,
        operator_actions::Operator,
        users::{self, UserChange},
    },
};

/// Letters and digits that nobody takes for one another: five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// A hundred bits, in four groups.
const MADE_LETTERS: usize = 20;
const GROUP_LETTERS: usize = 5;

/// Commands on users of the console.
#[derive(Subcommand)]
pub enum Command {
    /// List users.
    List,
    /// Add a user, and print a password for them: it is not shown again.
    Add {
        /// Their name: lower-case letters, digits, dots, hyphens, underscores and @.
        name: AccessName,
        /// What they may do: a viewer reads, an operator also changes, an admin also manages users.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Give a user another role.
    Role {
        /// Their name.
        name: AccessName,
        /// viewer, operator or admin.
        role: Role,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Give a user a new password, and end their sessions.
    Password {
        /// Their name.
        name: AccessName,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Let a user log in no more, and end their sessions.
    Disable {
        /// Their name.
        name: AccessName,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Let a disabled user log in again.
    Enable {
        /// Their name.
        name: AccessName,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Make, list and revoke tokens, with which scripts use the console.
    #[command(subcommand)]
    Tokens(console_tokens::Command),
}

/// Where a password comes from.
#[derive(Args)]
pub struct PasswordSource {
    /// Read the password from standard input, the first line of it, instead of making one.
    #[arg(long)]
    password_stdin: bool,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    match command {
        Command::List => list(&mut *pool.acquire().await?, output).await,
        Command::Tokens(command) => console_tokens::run(command, &pool, output).await,
        Command::Add { name, role, password, asked } => {
            let (password, hash) = password.take().await?;
            let mut transaction = pool.begin().await?;
            if !users::add(&mut transaction, &name, role, &hash, asked.operator()).await? {
                let problem = format!("a user or token is called `{name}` already; change it, or take another name");
                return Err(Failure::Refused(problem).into());
            }
            transaction.commit().await?;
            say(&name, &format!("user {name} is added"), password.as_ref(), output)
        }
        Command::Password { name, password, asked } => {
            let (password, hash) = password.take().await?;
            let mut transaction = pool.begin().await?;
            change(&mut transaction, &name, &UserChange::Password(&hash), asked.operator()).await?;
            // Who was guessed at may come in with the new one at once.
            login_attempts::forget_name(&mut transaction, name.as_str()).await?;
            transaction.commit().await?;
            say(&name, &format!("user {name} has a new password"), password.as_ref(), output)
        }
        Command::Role { name, role, asked } => {
            apply(&pool, &name, &UserChange::Role(role), asked.operator()).await?;
            output.line(&format!("user {name} is {role}"))
        }
        Command::Disable { name, asked } => {
            apply(&pool, &name, &UserChange::Disable, asked.operator()).await?;
            output.line(&format!("user {name} may not log in any more"))
        }
        Command::Enable { name, asked } => {
            apply(&pool, &name, &UserChange::Enable, asked.operator()).await?;
            output.line(&format!("user {name} may log in"))
        }
    }
}

async fn list(connection: &mut PgConnection, output: Output) -> anyhow::Result<()> {
    let all = users::list(connection).await?;
    output.rows(&all, &["user", "role", "since", "disabled", "last seen"], |user| {
        let time = |time: Option<chrono::DateTime<chrono::Utc>>| {
            time.map(|time| time.format("%F %R").to_string()).unwrap_or_default()
        };
        vec![
            user.name.clone(),
            user.role.to_string(),
            time(Some(user.created_at)),
            time(user.disabled_at),
            time(user.seen_at),
        ]
    })
}

async fn apply(
    pool: &sqlx::PgPool,
    name: &AccessName,
    what: &UserChange<'_>,
    operator: Operator<'_>,
) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    change(&mut transaction, name, what, operator).await?;
    Ok(transaction.commit().await?)
}

async fn change(
    transaction: &mut PgConnection,
    name: &AccessName,
    what: &UserChange<'_>,
    operator: Operator<'_>,
) -> anyhow::Result<()> {
    if users::change(transaction, name, what, operator).await? {
        return Ok(());
    }
    Err(Failure::NotFound(format!("user `{name}` does not exist; `billrunner users list` shows those there are"))
        .into())
}

/// Says what was done, with the password where it was made here.
fn say(name: &AccessName, done: &str, password: Option<&SecretString>, output: Output) -> anyhow::Result<()> {
    let text = password.map(ExposeSecret::expose_secret);
    let answer = serde_json::json!({ "user": name, "password": text });
    output.value(&answer, |_| match text {
        Some(text) => format!("{done}; the password:\n{text}\n\nKeep it now: it is not shown again."),
        None => done.to_owned(),
    })
}

impl PasswordSource {
    /// Returns the password where it was made here, and its hash.
    async fn take(&self) -> anyhow::Result<(Option<SecretString>, String)> {
        let mut salt = [0; 16];
        rand::rngs::SysRng.try_fill_bytes(&mut salt)?;
        let is_read = self.password_stdin;
        let password = if is_read { tokio::task::spawn_blocking(read).await?? } else { made()? };
        check_password(&password).map_err(|error| Failure::Usage(error.to_string()))?;
        let hashed = password.clone();
        let hash = tokio::task::spawn_blocking(move || hash_password(&hashed, salt)).await??;
        Ok(((!is_read).then_some(password), hash))
    }
}

fn made() -> anyhow::Result<SecretString> {
    let mut random = [0; MADE_LETTERS];
    rand::rngs::SysRng.try_fill_bytes(&mut random)?;
    let letters = random.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().map_or('a', char::from));
    let groups: Vec<String> = letters.chunks(GROUP_LETTERS).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-").into())
}

/// Reads a line; a terminal does not show what is typed meanwhile.
fn read() -> anyhow::Result<SecretString> {
    let stdin = io::stdin();
    let shown = if stdin.is_terminal() { Some(tcgetattr(&stdin)?) } else { None };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let _ = io::Write::write_all(&mut io::stderr(), b"password: ");
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Flush, shown)?;
        let _ = io::Write::write_all(&mut io::stderr(), b"\n");
    }
    read.context("the password cannot be read from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_is_fit_and_another_each_time() {
        let (first, second) = (made().expect("random bytes"), made().expect("random bytes"));
        assert_ne!(first.expose_secret(), second.expose_secret());
        check_password(&first).expect("fit");
        assert_eq!(first.expose_secret().split('-').map(str::len).collect::<Vec<_>>(), [GROUP_LETTERS; 4]);
    }
}
