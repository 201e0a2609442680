//! The commands of `billrunner`.
//!
//! Each command is one file: its arguments, and a `run` of a few lines. Results go to standard output, as tables for
//! people or as JSON (`--json`) for machines; logs and errors go to standard error.

mod accounts;
mod api_clients;
mod api_keys;
mod batches;
mod bench;
mod bench_http;
mod bench_import;
mod bench_invoices;
mod bill_runs;
mod bounces;
mod completions;
mod config;
mod console_tokens;
mod dead;
mod demo;
mod directory;
mod doctor;
mod documents;
mod enqueue;
mod exit;
mod explanation;
mod export_focus;
mod import;
mod invoices;
mod jobs;
mod load;
mod mail;
mod mail_preview;
mod month;
mod notifications;
mod operator;
mod output;
mod queues;
mod redis_acl;
mod sample_data;
mod schedules;
mod schema;
mod setup;
mod status;
mod supervisor;
mod suppressions;
mod users;
mod verify;
mod watch;
mod web;
mod worker;
mod workers;

use std::{fs::File, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::{
    config::Config,
    http::openapi_document,
    telemetry::{self, Traces},
};
use exit::{EXIT_CODES, Failure, code_of};
use output::Output;

/// Turns cloud usage into invoices, moves them forward, renders them and tells the customer.
#[derive(Parser)]
#[command(name = "billrunner", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run jobs until told to stop.
    Worker(worker::Arguments),
    /// Serve the HTTP door for jobs, the probes and the operators' console.
    Web,
    /// Bring the database's schema up to this release.
    Migrate,
    /// Hand in a job.
    Enqueue(enqueue::Arguments),
    /// Print the JSON Schemas of payloads and envelope.
    Schema(schema::Arguments),
    /// Print what makes the Redis users of producers and workers.
    RedisAcl(redis_acl::Arguments),
    /// Upload a charge file and hand in its import.
    Import(import::Arguments),
    /// Apply a file of customers, accounts and terms, or write it out.
    Directory(directory::Arguments),
    /// List accounts with charges that nobody is billed for, and answer for them.
    #[command(subcommand)]
    Accounts(accounts::Command),
    /// List and show invoices, and open a month's drafts.
    #[command(subcommand)]
    Invoices(invoices::Command),
    /// List and render an invoice's documents, and make links for customers.
    #[command(subcommand)]
    Documents(documents::Command),
    /// List, show and send again what customers were told.
    #[command(subcommand)]
    Notifications(notifications::Command),
    /// List, add and remove addresses that are never written to.
    #[command(subcommand)]
    Suppressions(suppressions::Command),
    /// Look at the messages that are sent; take in what mail servers report of them.
    #[command(subcommand)]
    Mail(mail::Command),
    /// Check events, numbers, sums, statuses and documents; say what is wrong, where, and what to do.
    Verify(verify::Arguments),
    /// List, show, cancel and retry jobs.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// List, make, pause and start schedules.
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Say which systems may hand jobs in over HTTP.
    #[command(subcommand)]
    ApiClients(api_clients::Command),
    /// Make, list and revoke their keys.
    #[command(subcommand)]
    ApiKeys(api_keys::Command),
    /// Say who may use the console, and make tokens for scripts.
    #[command(subcommand)]
    Users(users::Command),
    /// Describe the HTTP door, as an `OpenAPI` document.
    Openapi,
    /// List, show, start and cancel bill runs, or see beforehand what one would do.
    #[command(subcommand)]
    BillRuns(bill_runs::Command),
    /// List, show, cancel and resume batches, such as bill runs.
    #[command(subcommand)]
    Batches(batches::Command),
    /// List, retry and discard dead jobs, one or all that match.
    #[command(subcommand)]
    Dead(dead::Command),
    /// List, pause and limit queues.
    #[command(subcommand)]
    Queues(queues::Command),
    /// Show all on one screen: what waits longest, workers, dead jobs, mails, bill runs that need somebody, queues.
    Status(status::Arguments),
    /// List workers: where, of which version, when they last said that they live, what each runs.
    Workers(workers::Arguments),
    /// Check settings, machine, servers and work, and say how to mend what is not well.
    Doctor(doctor::Arguments),
    /// Show the main job at work on sample data.
    Demo(demo::Arguments),
    /// Make a charge file as real months look, its exact sums and a directory for it.
    SampleData(sample_data::Arguments),
    /// Measure this machine, with an empty database.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Check the environment, or print an example of it.
    #[command(subcommand)]
    Config(config::Command),
    /// Print what makes a shell complete these commands.
    Completions(completions::Completions),
    /// Print the manual's page, or write one for each command.
    Man(completions::Man),
}

/// Runs the command line and returns the process's exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Config::from_env().map_err(anyhow::Error::from).and_then(|config| start(cli, &config));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            code_of(&error)
        }
    }
}

fn start(mut cli: Cli, config: &Config) -> anyhow::Result<()> {
    if let Command::Bench(bench::Command::Invoices(arguments)) = &cli.command {
        telemetry::start_counting(arguments.statements.clone());
        return run_async(runtime()?, None, cli, config);
    }
    let runtime = runtime()?;
    let traces = match &cli.command {
        Command::Worker(_) | Command::Web if config.exports_traces => Some(Traces::start(runtime.handle())?),
        _ => None,
    };
    let log_file = match &mut cli.command {
        Command::Demo(arguments) => Some(File::create(arguments.prepare_folder(config)?.join("log.txt"))?),
        _ => None,
    };
    telemetry::start(&config.log_filter, config.log_format, log_file, traces.as_ref())?;
    run_async(runtime, traces, cli, config)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn run_async(runtime: Runtime, traces: Option<Traces>, cli: Cli, config: &Config) -> anyhow::Result<()> {
    let output = Output::new(cli.json);
    let outcome = runtime.block_on(execute(cli.command, config, output));
    if let Some(traces) = traces {
        traces.flush();
    }
    // A blocking read of a terminal or a stuck resolver must not keep a finished command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

async fn execute(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Worker(arguments) => worker::run(arguments, config).await,
        Command::Web => web::run(config).await,
        Command::Migrate => {
            let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
            setup::migrate(url).await?;
            output.line("the schema is that of this release")
        }
        Command::Enqueue(arguments) => enqueue::run(arguments, config, output).await,
        Command::Schema(arguments) => schema::run(&arguments, output),
        Command::RedisAcl(arguments) => redis_acl::run(&arguments, config, output),
        Command::Import(arguments) => import::run(arguments, config, output).await,
        Command::Directory(arguments) => directory::run(arguments, config, output).await,
        Command::Accounts(command) => accounts::run(command, config, output).await,
        Command::Invoices(command) => invoices::run(command, config, output).await,
        Command::Documents(command) => documents::run(command, config, output).await,
        Command::Notifications(command) => notifications::run(command, config, output).await,
        Command::Suppressions(command) => suppressions::run(command, config, output).await,
        Command::Mail(command) => mail::run(command, config, output).await,
        Command::Verify(arguments) => verify::run(&arguments, config, output).await,
        Command::Jobs(command) => jobs::run(command, config, output).await,
        Command::Schedules(command) => schedules::run(command, config, output).await,
        Command::ApiClients(command) => api_clients::run(command, config, output).await,
        Command::ApiKeys(command) => api_keys::run(command, config, output).await,
        Command::Users(command) => users::run(command, config, output).await,
        Command::Openapi => Output::new(true).value(&openapi_document(), |_| String::new()),
        Command::BillRuns(command) => bill_runs::run(command, config, output).await,
        Command::Batches(command) => batches::run(command, config, output).await,
        Command::Dead(command) => dead::run(command, config, output).await,
        Command::Queues(command) => queues::run(command, config, output).await,
        Command::Status(arguments) => status::run(&arguments, config, output).await,
        Command::Workers(arguments) => workers::run(&arguments, config, output).await,
        Command::Doctor(arguments) => doctor::run(&arguments, config, output).await,
        Command::Demo(arguments) => demo::run(arguments, config, output).await,
        Command::SampleData(arguments) => sample_data::run(&arguments, output),
        Command::Bench(command) => bench::run(command, config, output).await,
        Command::Config(command) => config::run(&command, config, output).await,
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => completions::man(&arguments, output),
    }
}
