//! Charge files as real months look, made of a seed: for the demo, for tests and for measuring.
//!
//! Called by `billrunner sample-data` and `billrunner bench`. A file is written row by row, in memory that does not grow
//! with it; the same options give the same bytes on every machine. Beside it come its exact sums and a directory that
//! assigns its accounts to customers. A format is a table of columns in `formats`, a provider one entry in `scenes`.

mod amount;
mod cast;
mod charge;
mod formats;
mod line;
mod random;
mod scenes;
mod sums;

use std::io::{self, Write};

use serde_json::Value;

use crate::domain::billing_period::BillingPeriod;
use cast::Cast;
use charge::{Draw, Months};
use line::Line;
use random::Random;
use scenes::Scene;
use sums::Sums;

pub use cast::directory;
pub use formats::SampleFormat;

/// Rows are gathered to this size before they are written.
const CHUNK_BYTES: usize = 64 * 1024;
/// The streams of draws that a seed has.
const CAST: u64 = 1;
const CHARGES: u64 = 2;

/// What a file is made of; equal options make equal files.
#[derive(Clone, Copy, Debug)]
pub struct SampleOptions {
    /// How many charges.
    pub rows: u64,
    /// Where the draws start.
    pub seed: u64,
    /// Provider id, such as `aws`.
    pub provider: &'static str,
    /// The columns.
    pub format: SampleFormat,
    /// How many customers share the charges.
    pub customers: u32,
    /// A calendar month.
    pub billing_period: BillingPeriod,
}

/// Why there is no such sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// No entry in the table of scenes.
    #[error("there is no sample of provider `{0}`")]
    UnknownProvider(&'static str),
    /// The format belongs to one provider.
    #[error("`{format}` is a format of provider `{owner}`, not of `{provider}`; use `focus`")]
    OtherProvider {
        /// What was asked for.
        format: &'static str,
        /// Whose format it is.
        owner: &'static str,
        /// Whose file it should be.
        provider: &'static str,
    },
    /// Writing failed.
    #[error("the sample cannot be written")]
    Io(#[from] io::Error),
}

/// Writes a charge file and returns its exact sums, in the shape of the `.expected.json` beside it.
///
/// # Errors
/// See [`SampleError`].
pub fn write_charge_file(options: &SampleOptions, out: &mut impl Write) -> Result<Value, SampleError> {
    let scene = scene(options)?;
    let cast = Cast::new(scene, options.seed, options.customers);
    let months = Months::new(options.billing_period);
    let mut draw = Draw::new(scene, &cast, &months, Random::new(options.seed, CHARGES));
    let mut sums = Sums::new(cast.accounts.len());
    let columns = options.format.columns();
    let mut line = Line::default();
    for (at, (name, _)) in columns.iter().enumerate() {
        line.plain(if at == 0 { "" } else { "," });
        line.plain(name);
    }
    line.plain("\n");
    for row in 0..options.rows {
        let charge = draw.charge(row).ok_or(SampleError::UnknownProvider(options.provider))?;
        sums.add(&charge);
        for (at, (_, write)) in columns.iter().enumerate() {
            if at > 0 {
                line.bytes.push(b',');
            }
            write(&charge, &mut line);
        }
        line.bytes.push(b'\n');
        if line.bytes.len() >= CHUNK_BYTES {
            out.write_all(&line.bytes)?;
            line.bytes.clear();
        }
    }
    out.write_all(&line.bytes)?;
    out.flush()?;
    Ok(sums.to_json(options, scene, &cast))
}

/// Checks that there is such a sample, before a file is made for it.
///
/// # Errors
/// [`SampleError::UnknownProvider`] and [`SampleError::OtherProvider`].
pub fn check(options: &SampleOptions) -> Result<(), SampleError> {
    scene(options).map(drop)
}

fn scene(options: &SampleOptions) -> Result<&'static Scene, SampleError> {
    let (provider, format) = (options.provider, options.format);
    if let Some(owner) = format.provider().filter(|owner| *owner != provider) {
        return Err(SampleError::OtherProvider { format: format.as_str(), owner, provider });
    }
    scenes::find(provider).ok_or(SampleError::UnknownProvider(provider))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Changing one of these changes what everybody's seeds make: say so in the changelog.
    const SHA256: [(&str, SampleFormat, &str); 3] = [
        ("aws", SampleFormat::Focus, "de30e0043168f8707ba7c83ffb4d0f7c4e2e66a27fe032e4e9fba82bc2dad8ec"),
        ("google", SampleFormat::Focus, "5bce6663a5bbaac30daee84a57aa874494125999270c58eab69a3db5a6aa66a1"),
        ("aws", SampleFormat::AwsCur, "101b2286075e0115f0d9ece13b2b5afe7dd9a147a5840fb4cedd1a2d201e0cfd"),
    ];

    fn file(provider: &'static str, format: SampleFormat, seed: u64) -> Vec<u8> {
        let billing_period = "2026-05".parse().expect("a month");
        let options = SampleOptions { rows: 2000, seed, provider, format, customers: 30, billing_period };
        let mut bytes = Vec::new();
        write_charge_file(&options, &mut bytes).expect("written");
        bytes
    }

    #[test]
    fn equal_options_make_equal_bytes_on_every_machine() {
        let made = SHA256.map(|(provider, format, _)| hex::encode(Sha256::digest(file(provider, format, 1))));
        assert_eq!(made, SHA256.map(|(.., sha256)| sha256.to_owned()));
        assert_ne!(file("aws", SampleFormat::Focus, 1), file("aws", SampleFormat::Focus, 2));
    }

    #[test]
    fn every_row_has_as_many_fields_as_the_header() {
        for format in SampleFormat::ALL {
            let bytes = file(format.provider().unwrap_or("focus"), format, 4);
            let mut reader = csv::Reader::from_reader(bytes.as_slice());
            let rows = reader.records().collect::<Result<Vec<_>, _>>().expect("as many fields as the header");
            assert_eq!(rows.len(), 2000);
            assert!(bytes.windows(2).filter(|pair| pair == b"\"\"").count() > 100, "no quotes in quotes");
            let has_line_break = |row: &csv::StringRecord| row.iter().any(|field| field.contains('\n'));
            assert!(rows.iter().any(has_line_break), "no line break in a field");
        }
    }
}
