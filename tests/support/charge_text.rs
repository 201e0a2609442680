//! Charge files as text: small ones that a test writes itself, and the charges that are read from them.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{charge::Charge, money::parse_decimal},
    providers::{self, ChargeFileError, RejectedFile, check_charge_file, read_charges},
};
use tempfile::NamedTempFile;

/// A header and rows, which are changed by column name.
#[derive(Clone)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Takes a CSV file apart.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let header = reader.headers()?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|row| Ok(row?.iter().map(str::to_owned).collect()));
        Ok(Self { header, rows: rows.collect::<Result<_>>()? })
    }

    /// Makes one row of columns and values.
    pub fn of(fields: &[(&str, &str)]) -> Self {
        let header = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { header, rows: vec![fields.iter().map(|(_, value)| (*value).to_owned()).collect()] }
    }

    /// Keeps the rows in which a column has a value.
    pub fn only(mut self, column: &str, value: &str) -> Self {
        let at = self.position(column);
        self.rows.retain(|row| row[at] == value);
        assert!(!self.rows.is_empty(), "no row with {column} {value}");
        self
    }

    /// Writes a value into a column of every row, which the table gets where it has none.
    pub fn with(mut self, column: &str, value: &str) -> Self {
        if !self.header.iter().any(|name| name == column) {
            self.header.push(column.to_owned());
            self.rows.iter_mut().for_each(|row| row.push(String::new()));
        }
        let at = self.position(column);
        self.rows.iter_mut().for_each(|row| value.clone_into(&mut row[at]));
        self
    }

    /// Leaves a column out.
    pub fn without(mut self, column: &str) -> Self {
        let at = self.position(column);
        self.header.remove(at);
        self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
        self
    }

    /// Puts the rows of another table with the same header behind these.
    pub fn and(mut self, other: Self) -> Self {
        assert_eq!(self.header, other.header);
        self.rows.extend(other.rows);
        self
    }

    /// Turns the order of the rows around.
    pub fn reversed(mut self) -> Self {
        self.rows.reverse();
        self
    }

    /// Writes it as a file.
    pub fn to_file(&self) -> Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        file.write_all(&writer.into_inner()?)?;
        Ok(file)
    }

    fn position(&self, column: &str) -> usize {
        self.header.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column {column}"))
    }
}

/// Checks and reads a file that must be accepted.
pub fn charges(provider: &str, table: &Table) -> Result<Vec<Charge>> {
    charges_of(provider, table.to_file()?.path())
}

/// Checks and reads a file that must be accepted.
pub fn charges_of(provider: &str, path: &Path) -> Result<Vec<Charge>> {
    let checked = check_charge_file(providers::find(provider)?, path)?;
    let charges = read_charges(path)?.map(|row| Ok(row?.charge)).collect::<Result<Vec<_>>>()?;
    assert_eq!(checked.charge_count, i64::try_from(charges.len())?);
    Ok(charges)
}

/// Checks and reads a file of one charge.
pub fn charge(provider: &str, table: &Table) -> Result<Charge> {
    let mut charges = charges(provider, table)?;
    assert_eq!(charges.len(), 1);
    charges.pop().context("a charge")
}

/// Checks a file that must be refused.
pub fn rejection(provider: &str, table: &Table) -> Result<RejectedFile> {
    rejection_of(provider, table.to_file()?.path())
}

/// Checks a file that must be refused.
pub fn rejection_of(provider: &str, path: &Path) -> Result<RejectedFile> {
    match check_charge_file(providers::find(provider)?, path) {
        Err(ChargeFileError::Rejected(rejected)) => Ok(rejected),
        other => bail!("{}: {other:?}", path.display()),
    }
}

/// Sums charges by a key.
pub fn sums(charges: &[Charge], key: impl Fn(&Charge) -> String) -> BTreeMap<String, BigDecimal> {
    let mut sums = BTreeMap::<String, BigDecimal>::new();
    for charge in charges {
        *sums.entry(key(charge)).or_default() += &charge.billed_cost;
    }
    sums
}

/// Writes sums as a test expects them.
pub fn expected(sums: &[(&str, &str)]) -> Result<BTreeMap<String, BigDecimal>> {
    sums.iter().map(|(key, sum)| Ok(((*key).to_owned(), parse_decimal(sum)?))).collect()
}
