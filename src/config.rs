//! What operators set, read once from the environment, checked whole before anything starts.
//!
//! [`VARIABLES`] is the list: `.env.example` and `billrunner config check` are made from it. Secrets are held so that
//! no log and no error shows them.

mod traces;

use std::{
    collections::BTreeMap, fmt, fmt::Write, net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

use crate::{
    domain::{console_url::ConsoleUrl, download_link::DownloadLinks, language_tag::LanguageTag},
    objects::ObjectStoreSettings,
    queue::{Queue, Servers},
};

/// One variable of the environment.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// What holds where it is not set; `None` is required by the commands that need it.
    pub default: Option<&'static str>,
    /// What to write, where there is no default.
    pub example: &'static str,
    /// Whether it is never shown.
    pub is_secret: bool,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, meaning, default: Some(default), example: default, is_secret: false }
}

const fn required(name: &'static str, example: &'static str, meaning: &'static str, is_secret: bool) -> Variable {
    Variable { name, meaning, default: None, example, is_secret }
}

const fn optional(name: &'static str, example: &'static str, meaning: &'static str, is_secret: bool) -> Variable {
    Variable { name, meaning, default: Some(""), example, is_secret }
}

/// Every variable billrunner reads.
pub const VARIABLES: [Variable; 33] = [
    required(
        "DATABASE_URL",
        "postgres://billrunner@localhost/billrunner",
        "Postgres, the record of everything; off this machine over TLS, unless ?sslmode= says otherwise",
        true,
    ),
    required(
        "REDIS_URL",
        "redis://localhost",
        "Redis, the queue; redis://, rediss://, redis+unix://, redis+sentinel:// or redis+cluster://, \
         see docs/HIGH-AVAILABILITY.md",
        true,
    ),
    required(
        "SMTP_URL",
        "smtps://user:password@mail.example.com",
        "how mail leaves: smtp://, smtps://, or file:///folder to keep mails as files",
        true,
    ),
    required(
        "BILLRUNNER_OBJECT_STORE",
        "file:///var/lib/billrunner",
        "where documents and charge files are kept: file:///folder, s3://bucket/prefix, gs://bucket/prefix or \
         az://container/prefix, with credentials in the variables of docs/STORES.md",
        false,
    ),
    setting(
        "BILLRUNNER_OBJECT_STORE_PLAIN_HTTP",
        "false",
        "true lets documents cross a network in clear to a store at http://; to this machine they always may",
    ),
    setting("BILLRUNNER_HTTP_ADDRESS", "127.0.0.1:8080", "where `billrunner web` listens"),
    optional(
        "BILLRUNNER_CONSOLE_URL",
        "https://ops.example.com/billing",
        "where operators reach the console through a proxy; its path is the prefix of all pages; see docs/OPERATING.md",
        false,
    ),
    optional(
        "BILLRUNNER_METRICS_ADDRESS",
        "127.0.0.1:9464",
        "where `billrunner worker` serves /metrics; left out it listens nowhere",
        false,
    ),
    setting("BILLRUNNER_REDIS_PREFIX", "billrunner", "first part of every Redis key, for sharing a server"),
    setting(
        "BILLRUNNER_DATABASE_CONNECTIONS",
        "20",
        "most Postgres connections of a worker for its jobs; its queue has 12 more",
    ),
    setting("BILLRUNNER_CONCURRENCY_BILLING", "2", "imports and bill runs at once; generations at once per provider"),
    setting("BILLRUNNER_CONCURRENCY_STATUS", "4", "status changes at once"),
    setting("BILLRUNNER_CONCURRENCY_DOCUMENTS", "8", "documents at once; of them one a core is laid out"),
    setting("BILLRUNNER_CONCURRENCY_MAIL", "4", "mails sent at once"),
    setting("BILLRUNNER_CONCURRENCY_UPKEEP", "1", "retention and checks at once"),
    setting("BILLRUNNER_LEASE_SECS", "15", "how long a silent worker keeps its jobs"),
    setting("BILLRUNNER_RETRY_BASE_MS", "1000", "longest first wait before a retry; it doubles with each failure"),
    setting(
        "BILLRUNNER_MAIL_DOMAIN",
        "billrunner.invalid",
        "right-hand side of Message-IDs; set it to your mail domain",
    ),
    optional(
        "BILLRUNNER_DKIM_KEYS",
        "file:///etc/billrunner/dkim",
        "folder of the keys that mails are signed with, <domain>.<selector>.pem; see docs/MAIL.md",
        false,
    ),
    optional(
        "BILLRUNNER_DOMAIN_MAILS_PER_MINUTE",
        "60",
        "mails to one recipient domain that start in a minute, over all workers; without it there is no such limit",
        false,
    ),
    optional(
        "BILLRUNNER_PUBLIC_URL",
        "https://billing.example.com",
        "where customers reach `billrunner web`; download links begin with it",
        false,
    ),
    optional(
        "BILLRUNNER_LINK_KEYS",
        "2026-11:SECRET,2026-10:SECRET",
        "what download links are signed with: ID:SECRET, a secret of `openssl rand -hex 32`, and after a comma the key \
         before it, until its links have expired; see docs/DOWNLOADS.md",
        true,
    ),
    setting(
        "BILLRUNNER_ATTACH_UP_TO_KB",
        "7000",
        "what a mail attaches at most; larger documents are sent as download links, where those are set up",
    ),
    optional(
        "BILLRUNNER_OPERATOR_MAIL",
        "billing-team@example.com,on-call@example.com",
        "who is told of finished bill runs and dead jobs, separated by commas",
        false,
    ),
    optional(
        "BILLRUNNER_OPERATOR_FROM",
        "billrunner@example.com",
        "the address those mails come from; not set it is billrunner@ and the mail domain",
        false,
    ),
    setting("BILLRUNNER_OPERATOR_LANGUAGE", "en", "what those mails are written in, such as de or pt-BR"),
    setting("BILLRUNNER_LOG", "info,sqlx=warn", "what is logged, such as warn or billrunner=debug,info"),
    setting("BILLRUNNER_LOG_FORMAT", "auto", "human, json, or auto: human in a terminal, json otherwise"),
    optional(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://localhost:4318",
        "the collector that traces are sent to, by OTLP over HTTP; left out, none are made; see docs/OPERATING.md",
        false,
    ),
    optional("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET", "headers that the collector wants", true),
    setting("OTEL_SERVICE_NAME", "billrunner", "what this process is called in traces"),
    setting("OTEL_TRACES_SAMPLER", "parentbased_always_on", "which traces are kept, as OpenTelemetry names the ways"),
    optional("OTEL_TRACES_SAMPLER_ARG", "0.1", "the share that parentbased_traceidratio and traceidratio keep", false),
];

/// Jobs of several lanes run at once, each with a transaction of its own.
const MIN_DATABASE_CONNECTIONS: u32 = 4;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human in a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// For machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("known: auto, human, json"),
        }
    }
}

/// Jobs of one lane that run at once, by queue.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    billing: usize,
    status: usize,
    documents: usize,
    mail: usize,
    upkeep: usize,
}

impl Concurrency {
    /// Returns the number for a queue.
    pub fn of(self, queue: Queue) -> usize {
        match queue {
            Queue::Billing => self.billing,
            Queue::Status => self.status,
            Queue::Documents => self.documents,
            Queue::Mail => self.mail,
            Queue::Upkeep => self.upkeep,
        }
    }
}

/// The settings, read and checked. What only some commands need may be absent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Postgres.
    pub database_url: Option<SecretString>,
    /// Redis.
    pub redis_url: Option<SecretString>,
    /// How mail leaves.
    pub smtp_url: Option<SecretString>,
    /// Where documents and charge files are kept.
    pub object_store: Option<ObjectStoreSettings>,
    /// Where the pages are served.
    pub http_address: SocketAddr,
    /// Where operators reach the console; `None` is where it is served.
    pub console_url: Option<ConsoleUrl>,
    /// Where a worker serves its metrics; `None` is nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// First part of every Redis key.
    pub redis_prefix: String,
    /// Most Postgres connections of this process.
    pub database_connections: u32,
    /// Jobs at once.
    pub concurrency: Concurrency,
    /// How long a silent worker keeps its jobs.
    pub lease: Duration,
    /// First wait before a retry.
    pub retry_base: Duration,
    /// Right-hand side of Message-IDs.
    pub mail_domain: String,
    /// Folder of the keys that mails are signed with.
    pub dkim_keys: Option<PathBuf>,
    /// Mails to one recipient domain in a minute.
    pub domain_mails_a_minute: Option<u32>,
    /// How download links are made; `None` makes none.
    pub download_links: Option<DownloadLinks>,
    /// What a mail attaches at most.
    pub attach_up_to_bytes: i64,
    /// Who is told of bill runs and dead jobs; `None` is nobody.
    pub operator_mail: Option<Vec<String>>,
    /// The address those mails come from.
    pub operator_from: Option<String>,
    /// What they are written in.
    pub operator_language: LanguageTag,
    /// What is logged.
    pub log_filter: String,
    /// How it looks.
    pub log_format: LogFormat,
    /// Whether traces are exported.
    pub exports_traces: bool,
}

/// Everything that is wrong with the environment, at once.
#[derive(Debug)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Says that a command needs a variable which is not set.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not set: {meaning}; set it, for example {name}={example}")]
pub struct MissingVariable {
    name: &'static str,
    meaning: &'static str,
    example: &'static str,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] naming every variable with a value that does not read, and every unknown `BILLRUNNER_…` one.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Reads settings from given variables.
    ///
    /// # Errors
    /// See [`Config::from_env`].
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
        let all: BTreeMap<String, String> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut problems: Vec<String> = all
            .keys()
            .filter(|name| name.starts_with("BILLRUNNER_") && !known(name) && !is_for_tests(name))
            .map(|name| match name.as_str() {
                "BILLRUNNER_RETENTION_DAYS" => {
                    format!(
                        "{name} has moved into the payload of the schedule prune-jobs; see `billrunner schedules set`"
                    )
                }
                _ => format!("{name} is not a setting; `billrunner config example` lists those there are"),
            })
            .collect();
        let mut reader = Reader { all, problems: &mut problems };
        let config = Self {
            database_url: reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]),
            redis_url: reader.redis_url("REDIS_URL"),
            smtp_url: reader.secret_url("SMTP_URL", &["smtp", "smtps", "file"]),
            object_store: reader.object_store("BILLRUNNER_OBJECT_STORE"),
            http_address: reader.parse("BILLRUNNER_HTTP_ADDRESS", SocketAddr::from(([127, 0, 0, 1], 8080))),
            console_url: reader.optional("BILLRUNNER_CONSOLE_URL"),
            metrics_address: reader.optional("BILLRUNNER_METRICS_ADDRESS"),
            redis_prefix: reader.parse("BILLRUNNER_REDIS_PREFIX", String::from("billrunner")),
            database_connections: reader.positive("BILLRUNNER_DATABASE_CONNECTIONS"),
            concurrency: Concurrency {
                billing: reader.positive("BILLRUNNER_CONCURRENCY_BILLING"),
                status: reader.positive("BILLRUNNER_CONCURRENCY_STATUS"),
                documents: reader.positive("BILLRUNNER_CONCURRENCY_DOCUMENTS"),
                mail: reader.positive("BILLRUNNER_CONCURRENCY_MAIL"),
                upkeep: reader.positive("BILLRUNNER_CONCURRENCY_UPKEEP"),
            },
            lease: Duration::from_secs(reader.positive("BILLRUNNER_LEASE_SECS")),
            retry_base: Duration::from_millis(reader.positive("BILLRUNNER_RETRY_BASE_MS")),
            mail_domain: reader.parse("BILLRUNNER_MAIL_DOMAIN", String::new()),
            dkim_keys: reader.folder("BILLRUNNER_DKIM_KEYS"),
            domain_mails_a_minute: reader.optional::<NonZeroU32>("BILLRUNNER_DOMAIN_MAILS_PER_MINUTE").map(u32::from),
            download_links: reader.download_links(),
            attach_up_to_bytes: reader.positive::<i64>("BILLRUNNER_ATTACH_UP_TO_KB").saturating_mul(1_000),
            operator_mail: reader.list("BILLRUNNER_OPERATOR_MAIL"),
            operator_from: reader.optional("BILLRUNNER_OPERATOR_FROM"),
            operator_language: reader.parse("BILLRUNNER_OPERATOR_LANGUAGE", LanguageTag::default()),
            log_filter: reader.parse("BILLRUNNER_LOG", String::new()),
            log_format: reader.parse("BILLRUNNER_LOG_FORMAT", LogFormat::Auto),
            exports_traces: reader.exports_traces(),
        };
        if config.database_connections < MIN_DATABASE_CONNECTIONS {
            problems.push(format!(
                "BILLRUNNER_DATABASE_CONNECTIONS must be {MIN_DATABASE_CONNECTIONS} or more: jobs of several lanes run at once"
            ));
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// Returns a setting that a command cannot do without.
    ///
    /// # Errors
    /// [`MissingVariable`] when it is not set.
    pub fn require<'a, T>(&self, name: &'static str, value: Option<&'a T>) -> Result<&'a T, MissingVariable> {
        let described = VARIABLES.iter().find(|variable| variable.name == name);
        value.ok_or(MissingVariable {
            name,
            meaning: described.map_or("", |variable| variable.meaning),
            example: described.map_or("", |variable| variable.example),
        })
    }
}

/// Variables that `bin/test` sets; they are no settings of a release.
fn is_for_tests(name: &str) -> bool {
    matches!(name, "BILLRUNNER_CORPUS")
}

struct Reader<'a> {
    all: BTreeMap<String, String>,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let default = || VARIABLES.iter().find(|variable| variable.name == name)?.default.map(str::to_owned);
        self.all.get(name).cloned().or_else(default)
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, otherwise: T) -> T {
        match self.text(name).map(|text| (text.parse(), text)) {
            Some((Ok(value), _)) => value,
            Some((Err(error), text)) => {
                self.problems.push(format!("{name} is `{text}`: {error}"));
                otherwise
            }
            None => otherwise,
        }
    }

    fn positive<T: FromStr<Err: fmt::Display> + PartialOrd + From<u8>>(&mut self, name: &str) -> T {
        let value = self.parse(name, T::from(1));
        if value < T::from(1) {
            self.problems.push(format!("{name} must be 1 or more"));
        }
        value
    }

    /// Reads what may be left out, and shows no value: it may be secret.
    fn optional<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        match self.all.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(format!("{name}: {error}"));
                None
            }
        }
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        let texts = self.all.get(name)?.split(',').map(str::trim);
        Some(texts.filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }

    fn download_links(&mut self) -> Option<DownloadLinks> {
        let names = ["BILLRUNNER_PUBLIC_URL", "BILLRUNNER_LINK_KEYS"];
        if names.iter().filter(|name| self.all.contains_key(**name)).count() == 1 {
            self.problems
                .push(format!("{} go together: set both, or neither for no download links", names.join(" and ")));
        }
        let [public_url, keys] = names;
        let (public_url, keys) = (self.optional(public_url), self.optional(keys));
        Some(DownloadLinks { public_url: public_url?, keys: keys? })
    }

    fn secret_url(&mut self, name: &str, schemes: &[&str]) -> Option<SecretString> {
        let text = self.all.get(name)?.clone();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
            return Some(text.into());
        }
        self.problems.push(format!("{name} must start with {}://", schemes.join("://, ")));
        None
    }

    fn redis_url(&mut self, name: &str) -> Option<SecretString> {
        let text = self.all.get(name)?.clone();
        match Servers::parse(&text) {
            Ok(_) => Some(text.into()),
            Err(error) => {
                self.problems.push(format!("{name}: {error}"));
                None
            }
        }
    }

    fn folder(&mut self, name: &str) -> Option<PathBuf> {
        let text = self.all.get(name)?.clone();
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Some(PathBuf::from(path)),
            _ => {
                self.problems.push(format!("{name} is `{text}`; write file:// and an absolute path"));
                None
            }
        }
    }

    /// Reads where objects are kept, and shows no value: whoever wrote a secret into it is told that it does not belong there.
    fn object_store(&mut self, name: &str) -> Option<ObjectStoreSettings> {
        let may_be_plain_http = self.parse("BILLRUNNER_OBJECT_STORE_PLAIN_HTTP", false);
        let read = ObjectStoreSettings::from_url(self.all.get(name)?, &self.all, may_be_plain_http);
        read.map_err(|error| self.problems.push(format!("{name}: {error}"))).ok()
    }
}

/// Returns the text of `.env.example`.
pub fn example() -> String {
    let mut text = String::from("# What billrunner reads from its environment. Commented lines show the default.\n");
    for variable in &VARIABLES {
        let comment = if variable.default.is_some() { "#" } else { "" };
        let _ = write!(text, "\n# {}\n{comment}{}={}\n", variable.meaning, variable.name, variable.example);
    }
    text
}

#[cfg(test)]
mod tests;
