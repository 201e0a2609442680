//! Reads a charge file row by row, plain or gzip, in memory that does not grow with the file.

use std::io::{self, Read};

use super::{
    billed_months::BilledMonths,
    format::{Format, ReadRow},
    header::Header,
    opening::open,
    records::{Record, RecordError, Records},
    row::{Charges, read_billed_month, read_row},
};
use crate::{
    domain::charge_file::ChargeRow,
    providers::{Problem, RejectedFile},
};

/// Longest name of a column: names of columns that no format knows are kept with every charge. Tags of clouds have some
/// hundred characters.
const MAX_NAME_BYTES: usize = 1000;

/// Why a row, or the rest of a file, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The row breaks these rules; reading goes on with the next one.
    #[error("{0}")]
    Row(RejectedFile),
    /// The file breaks these rules; the rest of it cannot be told apart.
    #[error("{0}")]
    File(RejectedFile),
    /// Reading failed, which says nothing about the file.
    #[error("the charge file cannot be read")]
    Io(#[from] io::Error),
}

/// An iterator over the charges of one file.
pub struct ChargeReader<'a> {
    records: Records<Box<dyn Read + Send + 'a>>,
    record: Record,
    format: &'static Format,
    header: Header,
    rows: Box<dyn ReadRow>,
    charges: Charges,
    charge_count: i64,
    ended: bool,
}

impl<'a> ChargeReader<'a> {
    /// Reads the header, and with it which of these formats the file has.
    ///
    /// # Errors
    /// [`ReadError::File`] when it is not the header of a CSV file in any of them.
    pub fn new(
        input: impl Read + Send + 'a,
        formats: impl Iterator<Item = &'static Format>,
    ) -> Result<Self, ReadError> {
        let opened = open(input).map_err(|error| of_io(error, 1))?;
        if let Some(what) = opened.not_csv {
            return Err(ReadError::File(Problem::new(1, None, None, what).into()));
        }
        let mut records = Records::new(opened.text);
        let mut record = Record::default();
        if !records.read(&mut record).map_err(|error| of_record(error, 1))? {
            let problem = Problem::new(1, None, None, "the file is empty; it needs a header row");
            return Err(ReadError::File(problem.into()));
        }
        let recognised = Format::recognise(formats, &names(&record)?, record.line());
        let (format, header) = recognised.map_err(ReadError::File)?;
        let rows = (format.read_under)(&header);
        Ok(Self { records, record, format, header, rows, charges: Charges::new(), charge_count: 0, ended: false })
    }

    /// Reads the same file once more, before any row, for the months that its bills are for; only where the format needs it.
    ///
    /// # Errors
    /// When reading fails or `goes_on` says no. What is wrong with the file is told when its rows are read.
    pub fn read_billed_months(&mut self, input: impl Read + Send, goes_on: impl Fn() -> bool) -> io::Result<()> {
        if !self.rows.is_billed_by_latest_month() {
            return Ok(());
        }
        let mut records = Records::new(open(input)?.text);
        let mut record = Record::default();
        let mut months = BilledMonths::default();
        let mut is_header = true;
        loop {
            match records.read(&mut record).map_err(|error| of_record(error, 1)) {
                Ok(true) if is_header => is_header = false,
                Ok(true) => {
                    if let Some((payer, month)) = read_billed_month(&record, &self.header, &*self.rows) {
                        months.see(payer, month);
                    }
                }
                Err(ReadError::Io(error)) => return Err(error),
                Ok(false) | Err(ReadError::Row(_) | ReadError::File(_)) => break,
            }
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.rows.bill_in(months);
        Ok(())
    }

    /// Returns the format of the file.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// Returns the header row.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what reads the rows, to name columns by.
    pub fn rows(&self) -> &dyn ReadRow {
        &*self.rows
    }

    fn read(&mut self) -> Result<Option<ChargeRow>, ReadError> {
        loop {
            if let Some(charge) = self.charges.pop_front() {
                self.charge_count += 1;
                return Ok(Some(ChargeRow { row_number: self.charge_count, line: self.record.line(), charge }));
            }
            let read = self.records.read(&mut self.record);
            if !read.map_err(|error| of_record(error, self.records.line()))? {
                return Ok(None);
            }
            read_row(&self.record, &self.header, &*self.rows, &mut self.charges).map_err(ReadError::Row)?;
        }
    }
}

impl Iterator for ChargeReader<'_> {
    type Item = Result<ChargeRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended = matches!(read, Ok(None) | Err(ReadError::File(_) | ReadError::Io(_)));
        read.transpose()
    }
}

fn names(record: &Record) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::with_capacity(record.field_count());
    for at in 0..record.field_count() {
        let field = record.field(at).unwrap_or_default();
        let rule = match std::str::from_utf8(field) {
            Ok(name) if name.len() > MAX_NAME_BYTES => "the name of the column is longer than 1000 bytes",
            Ok(name) if !name.contains('\0') => {
                names.push(name.trim().to_owned());
                continue;
            }
            _ => "the header is not UTF-8 text; save the file as UTF-8 CSV",
        };
        let shown = String::from_utf8_lossy(field);
        return Err(ReadError::File(Problem::new(record.line(), None, Some(&shown), rule).into()));
    }
    Ok(names)
}

fn of_record(error: RecordError, line: u64) -> ReadError {
    match error {
        RecordError::Io(error) => of_io(error, line),
        RecordError::Malformed { line, rule } => ReadError::File(Problem::new(line, None, None, rule).into()),
    }
}

/// Of these kinds are the errors of the gzip decoder: the file's fault, unlike a failing disk.
fn of_io(error: io::Error, line: u64) -> ReadError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => ReadError::File(Problem::new(line, None, None, error.to_string()).into()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            let rule = format!("the gzip data is damaged: {error}");
            ReadError::File(Problem::new(line, None, None, rule).into())
        }
        _ => ReadError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::{
        domain::charge::{Charge, ChargeCategory},
        providers::formats,
    };

    const COLUMNS: [(&str, &str); 13] = [
        ("BilledCost", "1.5"),
        ("BillingCurrency", "EUR"),
        ("BillingAccountId", "payer"),
        ("BillingPeriodStart", "2026-10-01T00:00:00Z"),
        ("BillingPeriodEnd", "2026-11-01T00:00:00Z"),
        ("ChargeCategory", "Usage"),
        ("ChargePeriodStart", "2026-10-05T00:00:00Z"),
        ("ChargePeriodEnd", "2026-10-06T00:00:00Z"),
        ("ServiceName", "Compute"),
        ("ServiceCategory", "Compute & more"),
        ("SubAccountId", "sub-1"),
        ("ChargeClass", ""),
        ("ConsumedQuantity", ""),
    ];

    /// Writes a file of one good row, but for some fields.
    fn file(changes: &[(&str, &str)]) -> String {
        let value = |(name, value)| changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, new)| *new);
        let header = COLUMNS.map(|(name, _)| name).join(",");
        format!("{header}\n{}\n", COLUMNS.map(value).join(","))
    }

    fn read(bytes: &[u8]) -> Result<Vec<ChargeRow>, RejectedFile> {
        let rows = ChargeReader::new(bytes, formats()).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        rows.map_err(|error| match error {
            ReadError::Row(rejected) | ReadError::File(rejected) => rejected,
            ReadError::Io(error) => panic!("{error}"),
        })
    }

    fn charge(changes: &[(&str, &str)]) -> Charge {
        let mut rows = read(file(changes).as_bytes()).unwrap_or_else(|rejected| panic!("{rejected}"));
        rows.pop().expect("a row").charge
    }

    fn problems(bytes: &[u8]) -> Vec<String> {
        read(bytes).expect_err("rejected").problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn null_is_empty_or_the_word() {
        for null in ["", "NULL", "\"NULL\"", "\"\"", " "] {
            let charge =
                charge(&[("BilledCost", null), ("SubAccountId", null), ("ServiceName", null), ("ChargeClass", null)]);
            assert_eq!(charge.billed_cost, bigdecimal::BigDecimal::default(), "{null:?}");
            assert_eq!((charge.sub_account_id.as_str(), charge.service_name.as_str()), ("payer", "Compute & more"));
            assert!(!charge.is_correction && charge.consumed_quantity.is_none());
        }
        assert_eq!(charge(&[("ServiceName", "null")]).service_name, "null");
    }

    #[test]
    fn what_a_row_says_is_read() {
        let charge =
            charge(&[("ChargeClass", "Correction"), ("ChargeCategory", "Credit"), ("ConsumedQuantity", "2E+1")]);
        assert!(charge.is_correction);
        assert_eq!(charge.charge_category, ChargeCategory::Credit);
        assert_eq!(charge.consumed_quantity, Some(20.into()));
        assert_eq!(charge.billing_period.to_string(), "2026-10");
    }

    #[test]
    fn focus_columns_that_are_not_kept_are_no_x_columns() {
        let text = file(&[]);
        let (header, row) = text.trim_end().split_once('\n').expect("a row");
        let text = format!("{header},x_Discounts,Id,ListCost,,ServiceProviderName\n{row},1,2,3,4,5\n");
        let charge = read(text.as_bytes()).expect("accepted").pop().expect("a row").charge;
        assert_eq!(charge.x_columns, [("x_Discounts", "1"), ("Id", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn the_billing_period_is_the_utc_date_of_both_instants() {
        let charge = charge(&[
            ("BillingPeriodStart", "2026-10-01 01:30:00+02:00"),
            ("BillingPeriodEnd", "2026-10-31 23:00:00-01:00"),
        ]);
        assert_eq!(charge.billing_period.to_string(), "2026-09-30/2026-11-01");
    }

    #[test]
    fn each_bad_value_is_named_with_its_column_and_rule() {
        let long = "x".repeat(1001);
        for (column, value, rule) in [
            ("BilledCost", "\"1,50\"", "not a decimal number"),
            ("BilledCost", "NaN", "not a decimal number"),
            ("BilledCost", "1E999", "not a decimal number"),
            ("ConsumedQuantity", "two", "not a decimal number"),
            ("BillingCurrency", "eur", "not an ISO 4217 currency"),
            ("BillingCurrency", "", "must not be null"),
            ("BillingAccountId", "NULL", "must not be null"),
            ("BillingAccountId", &long, "longer than 1000 bytes"),
            ("SubAccountId", &long, "longer than 1000 bytes"),
            ("BillingPeriodStart", "10/1/2026", "not an ISO 8601 instant"),
            ("BillingPeriodStart", "1026-10-01", "lies outside the years 2000 to 2100"),
            ("BillingPeriodEnd", "2026-10-01", "must be after BillingPeriodStart, 2026-10-01"),
            ("ChargeCategory", "usage", "not a charge category"),
            ("ChargeClass", "Corrected", "not a charge class"),
            ("ChargePeriodStart", "", "must not be null"),
            ("ChargePeriodEnd", "2026-10-04", "must not be before ChargePeriodStart"),
            ("SubAccountId", "a\0b", "holds a NUL character"),
        ] {
            let shown = problems(file(&[(column, value)]).as_bytes());
            let [problem] = shown.as_slice() else { panic!("{shown:?}") };
            assert!(problem.starts_with(&format!("line 2, column {column}")) && problem.contains(rule), "{problem}");
        }
    }

    #[test]
    fn all_problems_of_a_row_are_seen_at_once() {
        let changes = [("BilledCost", "$1"), ("BillingCurrency", "?"), ("ChargePeriodEnd", "?"), ("ServiceName", "")];
        let shown = problems(file(&changes).replace("Compute & more", "").as_bytes());
        assert_eq!(shown.len(), 4, "{shown:?}");
    }

    #[test]
    fn a_row_with_a_field_too_many_shows_it() {
        let shown = problems(file(&[("ConsumedQuantity", "1,stray")]).as_bytes());
        assert_eq!(shown, ["line 2, value `stray`: the row has 14 fields, the header 13"]);
    }

    #[test]
    fn text_in_another_encoding_is_named_with_its_column() {
        let latin1: Vec<u8> =
            file(&[("ServiceName", "Pe#a")]).bytes().map(|byte| if byte == b'#' { 0xf1 } else { byte }).collect();
        assert_eq!(
            problems(&latin1),
            ["line 2, column ServiceName, value `Pe\u{fffd}a`: not UTF-8; save the file as UTF-8"]
        );
        // One character cut in two by a field's end is not text either.
        let cut = file(&[("ServiceName", "a#"), ("ServiceCategory", "%b")]);
        let cut: Vec<u8> = cut
            .bytes()
            .map(|byte| match byte {
                b'#' => 0xc3,
                b'%' => 0xa9,
                other => other,
            })
            .collect();
        assert!(read(&cut).is_err());
    }

    #[test]
    fn byte_order_marks_are_taken_off_plain_and_quoted_headers() {
        for header in ["BilledCost,", "\"BilledCost\","] {
            let text = format!("\u{feff}{}", file(&[]).replacen("BilledCost,", header, 1));
            assert_eq!(read(text.as_bytes()).map(|rows| rows.len()), Ok(1));
        }
    }

    #[test]
    fn what_is_no_csv_says_what_it_is() {
        for (bytes, what) in [
            (&b""[..], "the file is empty"),
            (b"PAR1....", "Parquet"),
            (b"PK\x03\x04....", "ZIP"),
            (b"\xff\xfeB\0i\0", "UTF-16"),
            (b"%PDF-1.7\n", "required FOCUS column is missing"),
        ] {
            let shown = problems(bytes).join("\n");
            assert!(shown.contains(what), "{shown}");
        }
    }

    #[test]
    fn damaged_gzip_is_the_fault_of_the_file() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(file(&[]).as_bytes()).expect("written");
        let whole = encoder.finish().expect("finished");
        assert_eq!(read(&whole).map(|rows| rows.len()), Ok(1));
        for cut in [3, 12, whole.len() / 2, whole.len() - 1] {
            let shown = problems(&whole[..cut]).join("\n");
            assert!(shown.contains("the gzip data is damaged"), "{cut}: {shown}");
        }
        let with_garbage = [whole, b"garbage".to_vec()].concat();
        assert!(read(&with_garbage).is_err());
    }

    #[test]
    fn a_file_that_decompresses_to_far_more_than_it_is_is_not_read_to_its_end() {
        let text = file(&[]);
        let line = format!("{}\n", "x".repeat(1 << 20));
        let endless = format!("{text}{}", line.repeat(100));
        let bomb = flate2::read::GzEncoder::new(endless.as_bytes(), Compression::fast());
        let last = ChargeReader::new(bomb, formats()).expect("a header").last();
        let Some(Err(ReadError::File(rejected))) = last else { panic!("{last:?}") };
        let shown = rejected.to_string();
        assert!(shown.contains("the gzip data becomes more than 200 times as large"), "{shown}");
    }

    #[test]
    fn a_file_of_equal_rows_is_read_to_its_end() {
        let text = file(&[]);
        let row = text.lines().last().expect("a row");
        let rows = 5000;
        let many = format!("{text}{}", format!("{row}\n").repeat(rows));
        let packed = flate2::read::GzEncoder::new(many.as_bytes(), Compression::best());
        assert_eq!(ChargeReader::new(packed, formats()).expect("a header").flatten().count(), rows + 1);
    }

    #[test]
    fn a_name_without_end_is_no_column() {
        let (short, long) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_NAME_BYTES + 1));
        assert!(read(file(&[]).replace("ConsumedQuantity", &short).as_bytes()).is_ok());
        let shown = problems(file(&[]).replace("ConsumedQuantity", &long).as_bytes()).join("\n");
        assert!(shown.contains("the name of the column is longer than 1000 bytes") && shown.len() < 200, "{shown}");
    }

    #[test]
    fn a_failing_disk_is_not_the_fault_of_the_file() {
        struct FailingDisk;
        impl Read for FailingDisk {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let text = file(&[]);
        let last = ChargeReader::new(text.as_bytes().chain(FailingDisk), formats()).expect("a header").last();
        assert!(matches!(last, Some(Err(ReadError::Io(_)))));
    }
}
