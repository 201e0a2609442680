//! `billrunner sample-data`: makes a charge file as real months look, its exact sums and a directory for it.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use serde_json::Value;

use super::{Failure, Output};
use crate::{
    domain::billing_period::BillingPeriod,
    providers,
    samples::{self, SampleFormat, SampleOptions, directory, write_charge_file},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// Arguments of `sample-data`.
#[derive(Args)]
pub struct Arguments {
    /// How many charges.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    rows: u64,
    /// Where the draws start: equal options make equal files, on every machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Provider, such as aws.
    #[arg(long)]
    provider: String,
    /// FOCUS, or a format of the provider's own.
    #[arg(long, value_enum, default_value = "focus")]
    format: SampleFormat,
    /// How many customers share the charges.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    customers: u32,
    /// The month.
    #[arg(long, default_value = "2026-05")]
    billing_period: BillingPeriod,
    /// Where the file is written, its exact sums beside it with `.expected.json` behind the name; gzip where the name
    /// ends in `.gz`.
    #[arg(long)]
    out: PathBuf,
    /// Where customers with all accounts of this seed are written, for `billrunner directory`.
    #[arg(long)]
    directory: Option<PathBuf>,
}

impl ValueEnum for SampleFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

#[derive(Serialize)]
struct Made {
    file: String,
    rows: u64,
    bytes: u64,
}

pub fn run(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let profile = providers::find(&arguments.provider).map_err(|error| Failure::Usage(error.to_string()))?;
    let options = SampleOptions {
        rows: arguments.rows,
        seed: arguments.seed,
        provider: profile.id,
        format: arguments.format,
        customers: arguments.customers,
        billing_period: arguments.billing_period,
    };
    let bytes = write_sample(&options, &arguments.out)?;
    if let Some(path) = &arguments.directory {
        write_json(path, &directory(&options))?;
    }
    let made = Made { file: arguments.out.display().to_string(), rows: arguments.rows, bytes };
    output.value(&made, |made| format!("{} charges in {}, {} bytes", made.rows, made.file, made.bytes))
}

/// Writes a file and its exact sums, and returns the file's size.
pub fn write_sample(options: &SampleOptions, path: &Path) -> anyhow::Result<u64> {
    samples::check(options).map_err(|error| Failure::Usage(error.to_string()))?;
    let unwritable = || format!("{} cannot be written", path.display());
    let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path).with_context(unwritable)?);
    let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
    let made = if is_gzip {
        let mut encoder = GzEncoder::new(file, Compression::fast());
        let made = write_charge_file(options, &mut encoder);
        encoder.finish().and_then(|mut file| file.flush()).with_context(unwritable)?;
        made
    } else {
        let mut file = file;
        write_charge_file(options, &mut file)
    };
    let mut expected = made.with_context(unwritable)?;
    let bytes = std::fs::metadata(path)?.len();
    if let Value::Object(expected) = &mut expected {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        expected.insert("file".to_owned(), name.into());
        expected.insert("bytes".to_owned(), bytes.into());
    }
    let mut beside = OsString::from(path);
    beside.push(".expected.json");
    write_json(Path::new(&beside), &expected)?;
    Ok(bytes)
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
}
