//! `billrunner api-keys`: the keys of the HTTP door's clients. A key is printed once, when it is made.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use rand::TryRng;
use secrecy::ExposeSecret;

use super::{Failure, Output, api_clients, setup};
use crate::{
    clock::Clock,
    config::Config,
    domain::{api_key::ApiKey, ids::ApiKeyId},
    store::api_keys::{self, CreatedKey},
};

/// Commands on API keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key for a client, and print it: it is not shown again. A client has two active keys at most.
    Create {
        /// Whose.
        client: String,
        /// Until when it is good (RFC 3339). Default: until it is revoked.
        #[arg(long)]
        expires_at: Option<DateTime<Utc>>,
    },
    /// List keys, without their secrets.
    List {
        /// Of this client only.
        client: Option<String>,
    },
    /// Revoke a key; web processes take 5 seconds to notice.
    Revoke {
        /// Its id: the middle part of its text.
        id: ApiKeyId,
    },
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut transaction = pool.begin().await?;
    match command {
        Command::Create { client, expires_at } => {
            if let Some(past) = expires_at.filter(|instant| *instant <= Clock::System.now()) {
                return Err(Failure::Usage(format!("{past} is past; name an instant to come")).into());
            }
            let mut random = [0; 32];
            rand::rngs::SysRng.try_fill_bytes(&mut random)?;
            let key = ApiKey::new(ApiKeyId::new(), random);
            match api_keys::create(&mut transaction, &client, key.id, &key.secret_hash(), expires_at).await? {
                CreatedKey::Created => transaction.commit().await?,
                CreatedKey::NoSuchClient => return Err(api_clients::not_found(&client).into()),
                CreatedKey::BothSlotsTaken => {
                    let problem = format!(
                        "client `{client}` has two active keys; revoke one with `billrunner api-keys revoke ID` first"
                    );
                    return Err(Failure::Refused(problem).into());
                }
            }
            let text = key.to_text();
            let text = text.expose_secret();
            let answer = serde_json::json!({ "id": key.id, "client": client, "key": text, "expires_at": expires_at });
            output.value(&answer, |_| format!("{text}\n\nKeep it now: it is not shown again."))
        }
        Command::List { client } => {
            let keys = api_keys::list(&mut transaction, client.as_deref()).await?;
            let time =
                |time: Option<DateTime<Utc>>| time.map(|time| time.format("%F %R").to_string()).unwrap_or_default();
            output.rows(&keys, &["key", "client", "created", "expires", "revoked", "last used"], |key| {
                vec![
                    key.id.to_string(),
                    key.client.clone(),
                    time(Some(key.created_at)),
                    time(key.expires_at),
                    time(key.revoked_at),
                    time(key.last_used_at),
                ]
            })
        }
        Command::Revoke { id } => {
            let Some(client) = api_keys::revoke(&mut transaction, id).await? else {
                let problem =
                    format!("no active key has the id {id}; `billrunner api-keys list` shows those there are");
                return Err(Failure::NotFound(problem).into());
            };
            transaction.commit().await?;
            output.line(&format!("key {id} of client {client} is revoked; it opens nothing within 5 seconds"))
        }
    }
}
