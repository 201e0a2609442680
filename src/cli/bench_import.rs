//! `billrunner bench import`: how fast a charge file is imported, beside `psql \copy` of the same file into plain text.
//!
//! Both are done in turn, in one run, against the same server, since a machine's speed changes from minute to minute.
//! Processor time is told beside the clock's: on a machine that does other work too, it is what can be compared.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::{io::AsyncWriteExt, process::Command, task::spawn_blocking};

use super::{Failure, Output, bench::USED, sample_data::write_sample, setup};
use crate::{
    config::Config,
    domain::ids::ResellerId,
    providers::{self, Profile, check_charge_file, read_charges},
    samples::{SampleFormat, SampleOptions},
    store::{
        bench,
        charges::{NewChargeFile, StoredChargeFile, ensure_charges_partitions, store_charge_file},
        database,
    },
};

/// A tick of the kernel's accounting, which Linux shows in hundredths of a second on every machine.
const TICK: Duration = Duration::from_millis(10);
const BILLING_PERIOD: &str = "2026-05";

/// Arguments of `bench import`.
#[derive(Args)]
pub struct Arguments {
    /// How many charges the file has.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rows: u32,
    /// Provider, such as aws.
    #[arg(long, default_value = "aws")]
    provider: String,
    /// FOCUS, or a format of the provider's own.
    #[arg(long, value_enum, default_value = "focus")]
    format: SampleFormat,
    /// How often both are measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// What one way of reading the file took: the clock's time, and the processor time of client and Postgres backend.
#[derive(Clone, Copy, Serialize)]
struct Taken {
    seconds: f64,
    client_cpu_seconds: f64,
    backend_cpu_seconds: f64,
}

#[derive(Serialize)]
struct Measured {
    rows: u32,
    file_bytes: u64,
    copy: Vec<Taken>,
    import: Vec<Taken>,
    copy_rows_per_second: f64,
    import_rows_per_second: f64,
    /// Rows a second of the import for one of the copy, by the medians.
    ratio: f64,
    /// The same by processor time.
    cpu_ratio: f64,
    peak_memory_kb: Option<u64>,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let profile = providers::find(&arguments.provider).map_err(|error| Failure::Usage(error.to_string()))?;
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    if database::is_used(url).await.context("Postgres cannot be used; check DATABASE_URL")? {
        return Err(Failure::Refused(USED.to_owned()).into());
    }
    setup::migrate(url).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("charges.csv");
    let options = SampleOptions {
        rows: arguments.rows.into(),
        seed: 1,
        provider: profile.id,
        format: arguments.format,
        customers: 1000,
        billing_period: BILLING_PERIOD.parse()?,
    };
    let file_bytes = write_sample(&options, &file)?;
    let course = Course { url, pool: setup::connect(config).await?, profile, file: &file };
    let (mut copy, mut import) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        copy.push(course.copy().await?);
        import.push(course.import(arguments.rows).await?);
    }
    bench::clear_charges(url).await?;
    let rate = |all: &[Taken], time: fn(&Taken) -> f64| f64::from(arguments.rows) / median(all, time);
    let seconds: fn(&Taken) -> f64 = |taken| taken.seconds;
    let cpu: fn(&Taken) -> f64 = |taken| taken.client_cpu_seconds + taken.backend_cpu_seconds;
    let measured = Measured {
        rows: arguments.rows,
        file_bytes,
        copy_rows_per_second: rate(&copy, seconds),
        import_rows_per_second: rate(&import, seconds),
        ratio: rate(&import, seconds) / rate(&copy, seconds),
        cpu_ratio: rate(&import, cpu) / rate(&copy, cpu),
        peak_memory_kb: peak_memory_kb(),
        copy,
        import,
    };
    output.value(&measured, |_| describe(&measured))
}

/// Where both are measured.
struct Course<'a> {
    url: &'a SecretString,
    pool: PgPool,
    profile: &'static Profile,
    file: &'a Path,
}

impl Course<'_> {
    /// Copies the file with psql into a plain table of text columns.
    async fn copy(&self) -> anyhow::Result<Taken> {
        let mut header = String::new();
        BufReader::new(fs::File::open(self.file)?).read_line(&mut header)?;
        bench::clear_charges(self.url).await?;
        bench::create_plain_table(self.url, header.trim_end().split(',')).await?;
        let script = format!(
            "SELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n\
             \\copy billrunner.bench_charge_file FROM '{}' WITH (FORMAT csv, HEADER)\n\
             \\! cat /proc/$PID/stat\n",
            self.file.display()
        );
        let (started, cpu) = (Instant::now(), cpu_time("/proc/self/stat", CHILDREN));
        let mut psql = self.psql()?;
        psql.stdin.take().context("no standard input")?.write_all(script.as_bytes()).await?;
        let ended = psql.wait_with_output().await?;
        let seconds = started.elapsed().as_secs_f64();
        let shown = String::from_utf8_lossy(&ended.stdout);
        let problem = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success() && shown.contains("COPY "), "psql failed: {shown}{problem}");
        let backend = shown.lines().last().and_then(|stat| ticks(stat, OWN)).unwrap_or_default();
        Ok(Taken {
            seconds,
            client_cpu_seconds: cpu_time("/proc/self/stat", CHILDREN).saturating_sub(cpu).as_secs_f64(),
            backend_cpu_seconds: backend.as_secs_f64(),
        })
    }

    fn psql(&self) -> anyhow::Result<tokio::process::Child> {
        let options: PgConnectOptions = self.url.expose_secret().parse()?;
        let password = url::Url::parse(self.url.expose_secret())?.password().map(str::to_owned);
        let host =
            options.get_socket().map_or_else(|| options.get_host().into(), |socket| socket.clone().into_os_string());
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--set", "ON_ERROR_STOP=1"])
            .env("PGHOST", host)
            .env("PGPORT", options.get_port().to_string())
            .env("PGUSER", options.get_username())
            .env("PGDATABASE", options.get_database().unwrap_or("postgres"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(password) = password {
            psql.env("PGPASSWORD", password);
        }
        psql.spawn().context("psql does not start; is it installed?")
    }

    /// Imports the file as the job does: checked first, then stored, in one transaction.
    async fn import(&self, rows: u32) -> anyhow::Result<Taken> {
        let reseller_id = ResellerId::new();
        bench::clear_charges(self.url).await?;
        bench::create_reseller(self.url, reseller_id).await?;
        let mut connection = self.pool.acquire().await?;
        let backend = format!("/proc/{}/stat", bench::backend_pid(&mut connection).await?);
        let (started, cpu) = (Instant::now(), (cpu_time("/proc/self/stat", OWN), cpu_time(&backend, OWN)));
        self.store(&mut connection, reseller_id, i64::from(rows)).await?;
        Ok(Taken {
            seconds: started.elapsed().as_secs_f64(),
            client_cpu_seconds: cpu_time("/proc/self/stat", OWN).saturating_sub(cpu.0).as_secs_f64(),
            backend_cpu_seconds: cpu_time(&backend, OWN).saturating_sub(cpu.1).as_secs_f64(),
        })
    }

    async fn store(&self, connection: &mut PgConnection, reseller_id: ResellerId, rows: i64) -> anyhow::Result<()> {
        let (path, profile) = (self.file.to_owned(), self.profile);
        let checked = spawn_blocking(move || check_charge_file(profile, &path)).await??;
        ensure!(checked.charge_count == rows, "{} charges were read instead of {rows}", checked.charge_count);
        ensure_charges_partitions(connection, &checked).await?;
        let mut transaction = connection.begin().await?;
        let new = NewChargeFile { reseller_id, provider: self.profile.id, file_name: "charges.csv", checked: &checked };
        let stored = store_charge_file(&mut transaction, new, read_charges(self.file)?).await?;
        ensure!(matches!(stored, StoredChargeFile::New { .. }), "the file was stored before");
        Ok(transaction.commit().await?)
    }
}

/// Which two fields of `/proc/PID/stat` are asked for, counted from the one behind the process's name: user and system
/// time of the process, or of its children that were waited for. Docs: `proc_pid_stat(5)`.
type Fields = [usize; 2];
const OWN: Fields = [11, 12];
const CHILDREN: Fields = [13, 14];

/// Returns the processor time of a process; zero where it runs on another machine.
fn cpu_time(stat: &str, fields: Fields) -> Duration {
    fs::read_to_string(stat).ok().and_then(|text| ticks(&text, fields)).unwrap_or_default()
}

fn ticks(stat: &str, fields: Fields) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let values: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = fields.iter().map(|at| values.get(*at)?.parse::<u32>().ok()).sum::<Option<u32>>()?;
    Some(TICK * ticks)
}

/// Returns the most memory this process ever held, in kB.
fn peak_memory_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn median(all: &[Taken], time: fn(&Taken) -> f64) -> f64 {
    let mut times: Vec<f64> = all.iter().map(time).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn describe(measured: &Measured) -> String {
    let round = |name: &str, taken: &Taken| {
        let Taken { seconds, client_cpu_seconds, backend_cpu_seconds } = taken;
        format!(
            "{name:<12} {seconds:>7.2} s; processor: client {client_cpu_seconds:.2} s, Postgres {backend_cpu_seconds:.2} s"
        )
    };
    let rounds = measured.copy.iter().zip(&measured.import);
    let mut lines: Vec<String> =
        rounds.flat_map(|(copy, import)| [round("psql \\copy", copy), round("import", import)]).collect();
    lines.push(format!(
        "{} rows of {} bytes: psql \\copy {:.0} rows a second, import {:.0}; ratio {:.2}, by processor time {:.2}",
        measured.rows,
        measured.file_bytes / u64::from(measured.rows),
        measured.copy_rows_per_second,
        measured.import_rows_per_second,
        measured.ratio,
        measured.cpu_ratio
    ));
    if let Some(peak) = measured.peak_memory_kb {
        lines.push(format!("peak memory of this process: {} MB", peak / 1024));
    }
    lines.join("\n")
}
