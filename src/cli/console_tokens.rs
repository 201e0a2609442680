//! `billrunner users tokens`: with what scripts use the console. A token is printed once, when it is made.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;
use rand::TryRng;
use secrecy::ExposeSecret;
use sqlx::PgPool;

use super::{Failure, Output, operator::PerhapsWithReason};
use crate::{
    clock::Clock,
    domain::console_access::{AccessName, Role, Secret},
    store::console_tokens,
};

/// Commands on tokens.
#[derive(Subcommand)]
pub enum Command {
    /// Make a token, and print it: it is not shown again. Scripts send it as `Authorization: Bearer TOKEN`.
    Add {
        /// Its name, which stands in the history of what operators did.
        name: AccessName,
        /// What it may be used for.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// For how long it is good, in days.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3660))]
        days: i64,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// List tokens, without their secrets.
    List,
    /// Revoke a token, at once.
    Revoke {
        /// Its name.
        name: AccessName,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
}

pub async fn run(command: Command, pool: &PgPool, output: Output) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    match command {
        Command::Add { name, role, days, asked } => {
            let expires_at = Clock::System.now() + TimeDelta::days(days);
            let mut random = [0; 32];
            rand::rngs::SysRng.try_fill_bytes(&mut random)?;
            let secret = Secret::new(random);
            let hash = secret.hash();
            let what = (hash.as_slice(), expires_at);
            if !console_tokens::add(&mut transaction, &name, role, what, asked.operator()).await? {
                let problem = format!("a user or token is called `{name}` already; take another name");
                return Err(Failure::Refused(problem).into());
            }
            transaction.commit().await?;
            let token = secret.to_token();
            let text = token.expose_secret();
            let answer = serde_json::json!({ "name": name, "role": role, "token": text, "expires_at": expires_at });
            output.value(&answer, |_| format!("{text}\n\nKeep it now: it is not shown again."))
        }
        Command::List => {
            let tokens = console_tokens::list(&mut transaction).await?;
            let time =
                |time: Option<DateTime<Utc>>| time.map(|time| time.format("%F %R").to_string()).unwrap_or_default();
            output.rows(&tokens, &["token", "role", "created", "expires", "revoked", "last used"], |token| {
                vec![
                    token.name.clone(),
                    token.role.clone(),
                    time(Some(token.created_at)),
                    time(Some(token.expires_at)),
                    time(token.revoked_at),
                    time(token.last_used_at),
                ]
            })
        }
        Command::Revoke { name, asked } => {
            if !console_tokens::revoke(&mut transaction, &name, asked.operator()).await? {
                let problem = format!(
                    "no token that is good is called `{name}`; `billrunner users tokens list` shows those there are"
                );
                return Err(Failure::NotFound(problem).into());
            }
            transaction.commit().await?;
            output.line(&format!("token {name} opens nothing any more"))
        }
    }
}
