//! `billrunner api-clients`: which systems may hand jobs in over HTTP.

use clap::{Args, Subcommand};

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    jobs::registry,
    store::api_clients::{self, ApiClientChange},
};

/// What a client may send where nothing is said: 100 jobs and requests a second, a whole batch and more at once.
const RATE_PER_MINUTE: i32 = 6000;
const BURST: i32 = 1000;

/// Commands on clients of the HTTP door.
#[derive(Subcommand)]
pub enum Command {
    /// List clients.
    List,
    /// Add a client; `billrunner api-keys create` then makes its key.
    Add {
        /// Its name: lower-case letters, digits, dots, hyphens and underscores. Also the source of its jobs.
        name: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change a client; what is not named stays.
    Change {
        /// Its name.
        name: String,
        #[command(flatten)]
        settings: Settings,
        /// It may hand in every kind of job.
        #[arg(long, conflicts_with = "kinds")]
        all_kinds: bool,
    },
    /// Remove a client with its keys; its jobs stay.
    Remove {
        /// Its name.
        name: String,
    },
}

/// What can be set about a client.
#[derive(Args)]
pub struct Settings {
    /// A kind of job it may hand in; repeat it for several. Default: all.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// A source it may use, and whatever follows it after a slash; repeat it for several. Default: its name.
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Jobs and requests a minute. Default: 6000.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    rate_per_minute: Option<i32>,
    /// Jobs and requests at once; a batch with more is refused. Default: 1000.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    burst: Option<i32>,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List => {
            let clients = api_clients::list(&mut connection).await?;
            output.rows(&clients, &["client", "kinds", "sources", "a minute", "at once"], |client| {
                vec![
                    client.name.clone(),
                    client.kinds.as_ref().map_or("all".to_owned(), |kinds| kinds.join(", ")),
                    client.sources.join(", "),
                    client.rate_per_minute.to_string(),
                    client.burst.to_string(),
                ]
            })
        }
        Command::Add { name, settings } => {
            settings.check()?;
            check_name(&name)?;
            let rate = (settings.rate_per_minute.unwrap_or(RATE_PER_MINUTE), settings.burst.unwrap_or(BURST));
            let kinds = (!settings.kinds.is_empty()).then_some(settings.kinds.as_slice());
            let own = [name.clone()];
            let sources = if settings.sources.is_empty() { &own } else { settings.sources.as_slice() };
            if !api_clients::add(&mut connection, &name, kinds, sources, rate).await? {
                let problem = format!("client `{name}` exists already; change it with `billrunner api-clients change`");
                return Err(Failure::Refused(problem).into());
            }
            let answer = serde_json::json!({ "client": name });
            output
                .value(&answer, |_| format!("client {name} is added; make its key: billrunner api-keys create {name}"))
        }
        Command::Change { name, settings, all_kinds } => {
            settings.check()?;
            let given = |values: Vec<String>| (!values.is_empty()).then_some(values);
            let kinds = if all_kinds { Some(None) } else { given(settings.kinds).map(Some) };
            let (rate_per_minute, burst) = (settings.rate_per_minute, settings.burst);
            let change = ApiClientChange { kinds, sources: given(settings.sources), rate_per_minute, burst };
            if !api_clients::change(&mut connection, &name, &change).await? {
                return Err(not_found(&name).into());
            }
            output.line(&format!("client {name} is changed; it holds within 5 seconds"))
        }
        Command::Remove { name } => {
            if !api_clients::remove(&mut connection, &name).await? {
                return Err(not_found(&name).into());
            }
            output.line(&format!("client {name} is removed; its keys open nothing within 5 seconds"))
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Failure> {
        let known: Vec<&str> = registry().describe().iter().map(|kind| kind.kind).collect();
        if let Some(kind) = self.kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
            return Err(Failure::Usage(format!("unknown kind of job `{kind}`; known: {}", known.join(", "))));
        }
        let is_reserved = |source: &&String| source.is_empty() || source.split('/').next() == Some("billrunner");
        match self.sources.iter().find(is_reserved) {
            Some(source) => {
                Err(Failure::Usage(format!("source `{source}` is empty or reserved for follow-up jobs; name another")))
            }
            None => Ok(()),
        }
    }
}

/// Says what the database would refuse, in words.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins_well && name.chars().all(is_sign) && name.len() <= 63 && name != "billrunner" {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "`{name}` is no name for a client; write up to 63 lower-case letters, digits, dots, hyphens and underscores, \
         beginning with a letter or digit, other than `billrunner`"
    )))
}

/// Says that there is no such client.
pub fn not_found(name: &str) -> Failure {
    Failure::NotFound(format!("client `{name}` does not exist; `billrunner api-clients list` shows those there are"))
}
