//! A charge file, read twice: first to check every row and sum the costs, then to store them.
//!
//! Two passes, because a bad row at the end must not cost the storing, and rolling back, of all rows before it. Both
//! block: call them off the async threads. Memory grows with neither the rows nor their length. Each is told how the file
//! is opened, for a pass reads it once or twice.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::{
    Problem, Profile, RejectedFile, formats,
    reading::{ChargeReader, ReadError, ReadRow},
};
use crate::domain::{
    billing_period::BillingPeriod,
    charge_file::{ChargeRow, CheckedChargeFile, CheckedScope},
    exact_sum::ExactSum,
    money::Currency,
};

/// Pairs of billing account and period that one file may hold; it bounds the memory, and no provider comes near it.
const MAX_SCOPES: usize = 10_000;

/// Why a charge file is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ChargeFileError {
    /// It breaks the rules; sending it again changes nothing.
    #[error(transparent)]
    Rejected(#[from] RejectedFile),
    /// It could not be read; that may pass.
    #[error("the charge file cannot be read")]
    Io(#[from] io::Error),
}

impl From<ReadError> for ChargeFileError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Row(rejected) | ReadError::File(rejected) => Self::Rejected(rejected),
            ReadError::Io(error) => Self::Io(error),
        }
    }
}

/// Checks every row of a provider's file, in whichever format it accepts, and sums its costs exactly.
///
/// # Errors
/// [`RejectedFile`] with the first 20 problems and how many more there are.
pub fn check_charge_file(profile: &Profile, path: &Path) -> Result<CheckedChargeFile, ChargeFileError> {
    check_charges_while(profile, || File::open(path), |_| true)
}

/// Checks what is opened as [`check_charge_file`] checks a file, and asks after each charge, with the number of them so far,
/// whether to go on.
///
/// # Errors
/// Also when told not to go on.
pub fn check_charges_while<R: Read + Send>(
    profile: &Profile,
    open: impl Fn() -> io::Result<R>,
    goes_on: impl Fn(i64) -> bool,
) -> Result<CheckedChargeFile, ChargeFileError> {
    let mut input = HashingReader { input: open()?, hasher: Sha256::new(), size_bytes: 0 };
    let mut check = Check::default();
    let mut rows = ChargeReader::new(&mut input, formats())?;
    let format = rows.format();
    profile
        .require_format(format)
        .map_err(|error| RejectedFile::from(Problem::new(rows.header().line(), None, None, error.to_string())))?;
    rows.read_billed_months(open()?, || goes_on(0))?;
    let mut count = 0;
    while let Some(row) = rows.next() {
        count += 1;
        if !goes_on(count) {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        match row {
            Ok(row) => check.add(row, rows.rows()),
            Err(ReadError::Row(rejected) | ReadError::File(rejected)) => check.refuse(rejected),
            Err(ReadError::Io(error)) => return Err(error.into()),
        }
    }
    if !check.rejected.is_empty() {
        return Err(check.rejected.into());
    }
    drop(rows);
    // The identity is of all bytes, also of those a decompressor had no use for.
    io::copy(&mut input, &mut io::sink())?;
    Ok(CheckedChargeFile {
        sha256: input.hasher.finalize().into(),
        format: format.id,
        size_bytes: input.size_bytes,
        charge_count: check.charge_count,
        scopes: check.into_scopes(),
    })
}

/// Reads the charges of a file that was checked before.
///
/// # Errors
/// When the file cannot be opened, or is no longer what was checked.
pub fn read_charges(
    path: &Path,
) -> Result<impl Iterator<Item = Result<ChargeRow, ChargeFileError>> + Send + use<>, ChargeFileError> {
    let path = path.to_owned();
    read_opened_charges(move || File::open(&path))
}

/// Reads what is opened as [`read_charges`] reads a file.
///
/// # Errors
/// As [`read_charges`].
pub fn read_opened_charges<R: Read + Send + 'static, F: Fn() -> io::Result<R>>(
    open: F,
) -> Result<impl Iterator<Item = Result<ChargeRow, ChargeFileError>> + Send + use<R, F>, ChargeFileError> {
    let mut rows = ChargeReader::new(open()?, formats())?;
    rows.read_billed_months(open()?, || true)?;
    Ok(rows.map(|row| row.map_err(ChargeFileError::from)))
}

/// Reads an open file from its start, whoever else reads it: such a file needs no name to be opened by again.
#[derive(Debug)]
pub struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl FromStart {
    /// Reads this file.
    pub fn of(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file), position: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

struct HashingReader<R> {
    input: R,
    hasher: Sha256,
    size_bytes: i64,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        let (read, _) = buffer.split_at(length);
        self.hasher.update(read);
        self.size_bytes = self.size_bytes.saturating_add(i64::try_from(length).map_err(io::Error::other)?);
        Ok(length)
    }
}

/// What the first pass gathers.
#[derive(Default)]
struct Check {
    rejected: RejectedFile,
    charge_count: i64,
    scope_count: usize,
    scopes: BTreeMap<BillingPeriod, BTreeMap<String, ScopeSum>>,
    period_ends: BTreeMap<NaiveDate, NaiveDate>,
}

#[derive(Default)]
struct ScopeSum {
    charge_count: i64,
    billed_cost: BTreeMap<Currency, ExactSum>,
}

impl Check {
    fn add(&mut self, row: ChargeRow, columns: &dyn ReadRow) {
        let ChargeRow { line, charge, .. } = row;
        let period = charge.billing_period;
        let end = *self.period_ends.entry(period.start()).or_insert(period.end());
        if end != period.end() {
            let rule = format!("an earlier row says that the billing period from {} ends on {end}", period.start());
            let value = period.end().to_string();
            self.rejected.add(Problem::new(line, Some(columns.billing_period().name()), Some(&value), rule));
            return;
        }
        self.charge_count += 1;
        let accounts = self.scopes.entry(period).or_default();
        if let Some(scope) = accounts.get_mut(&charge.billing_account_id) {
            return scope.add(charge.billing_currency, &charge.billed_cost);
        }
        if self.scope_count == MAX_SCOPES {
            let rule = format!("the file holds more than {MAX_SCOPES} pairs of billing account and billing period");
            self.rejected.add(Problem::new(
                line,
                Some(columns.billing_account().name()),
                Some(&charge.billing_account_id),
                rule,
            ));
            return;
        }
        self.scope_count += 1;
        let scope = accounts.entry(charge.billing_account_id).or_default();
        scope.add(charge.billing_currency, &charge.billed_cost);
    }

    fn refuse(&mut self, rejected: RejectedFile) {
        self.rejected.more += rejected.more;
        for problem in rejected.problems {
            self.rejected.add(problem);
        }
    }

    fn into_scopes(self) -> Vec<CheckedScope> {
        let by_account = |(billing_period, accounts): (BillingPeriod, BTreeMap<String, ScopeSum>)| {
            accounts.into_iter().map(move |(billing_account_id, sum)| CheckedScope {
                billing_account_id,
                billing_period,
                charge_count: sum.charge_count,
                billed_cost: sum.billed_cost.into_iter().map(|(currency, sum)| (currency, sum.total())).collect(),
            })
        };
        self.scopes.into_iter().flat_map(by_account).collect()
    }
}

impl ScopeSum {
    fn add(&mut self, currency: Currency, billed_cost: &BigDecimal) {
        self.charge_count += 1;
        self.billed_cost.entry(currency).or_default().add(billed_cost);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::providers::focus;

    const HEADER: &str = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,\
                          ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ServiceName";

    fn check(rows: &[String]) -> Result<CheckedChargeFile, ChargeFileError> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        writeln!(file, "{HEADER}\n{}", rows.join("\n")).expect("written");
        let file = Arc::new(file);
        check_charges_while(&focus::PROFILE, || Ok(FromStart::of(&file)), |_| true)
    }

    fn row(cost: &str, currency: &str, payer: &str, period_end: &str) -> String {
        format!("{cost},{currency},{payer},2026-10-01,{period_end},Usage,2026-10-05,2026-10-06,Compute")
    }

    fn rejected(rows: &[String]) -> RejectedFile {
        match check(rows) {
            Err(ChargeFileError::Rejected(rejected)) => rejected,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn costs_are_summed_exactly_per_payer_period_and_currency() {
        let tiny = "0.0000000000000000000000000001";
        let rows = ["1", tiny, "-2.5"].map(|cost| row(cost, "EUR", "a", "2026-11-01"));
        let others = [row("7", "JPY", "a", "2026-11-01"), row("1", "EUR", "b", "2026-11-01")];
        let checked = check(&[rows.as_slice(), &others].concat()).expect("accepted");
        assert_eq!((checked.charge_count, checked.scopes.len()), (5, 2));
        let scope = checked.scopes.first().expect("a scope");
        let sums: Vec<_> = scope.billed_cost.iter().map(|(currency, sum)| (currency.code(), sum.to_string())).collect();
        assert_eq!(scope.charge_count, 4);
        assert_eq!(sums, [("EUR", "-1.4999999999999999999999999999".to_owned()), ("JPY", "7".to_owned())]);
    }

    #[test]
    fn the_identity_is_the_sha256_of_all_bytes() {
        let checked = check(&[]).expect("accepted");
        let bytes = format!("{HEADER}\n\n");
        assert_eq!(checked.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        assert_eq!(checked.size_bytes, i64::try_from(bytes.len()).expect("small"));
    }

    #[test]
    fn one_period_cannot_end_twice() {
        let rows = [row("1", "EUR", "a", "2026-11-01"), row("1", "EUR", "b", "2026-11-02")];
        let shown = rejected(&rows).to_string();
        assert!(shown.contains("line 3, column BillingPeriodEnd, value `2026-11-02`"), "{shown}");
    }

    #[test]
    fn every_bad_row_is_counted_and_the_first_twenty_are_shown() {
        let rows: Vec<_> = (0..50).map(|_| row("x", "EUR", "a", "2026-11-01")).collect();
        let found = rejected(&rows);
        assert_eq!((found.problems.len(), found.more), (20, 30));
    }

    #[test]
    fn a_file_of_endlessly_many_payers_is_refused() {
        let rows: Vec<_> = (0..=MAX_SCOPES).map(|payer| row("1", "EUR", &payer.to_string(), "2026-11-01")).collect();
        assert!(rejected(&rows).to_string().contains("more than 10000 pairs"));
    }
}
