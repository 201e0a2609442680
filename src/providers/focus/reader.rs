//! Reads a FOCUS file row by row, plain or gzip, in memory that does not grow with the file.

use std::io::{self, Read};

use super::{
    columns::Columns,
    opening::open,
    records::{Record, RecordError, Records},
    row::to_charge,
};
use crate::{
    domain::charge_file::ChargeRow,
    providers::{Problem, RejectedFile},
};

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
    columns: Columns,
    row_number: i64,
    ended: bool,
}

impl<'a> ChargeReader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`ReadError::File`] when it is not the header of a FOCUS CSV file.
    pub fn new(input: impl Read + Send + 'a) -> Result<Self, ReadError> {
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
        let columns = Columns::find(header(&record)?, record.line()).map_err(ReadError::File)?;
        Ok(Self { records, record, columns, row_number: 0, ended: false })
    }

    fn read(&mut self) -> Result<Option<ChargeRow>, ReadError> {
        let read = self.records.read(&mut self.record);
        if !read.map_err(|error| of_record(error, self.records.line()))? {
            return Ok(None);
        }
        self.row_number += 1;
        let charge = to_charge(&self.record, &self.columns).map_err(|problems| {
            let mut rejected = RejectedFile::default();
            for problem in problems {
                rejected.add(problem);
            }
            ReadError::Row(rejected)
        })?;
        Ok(Some(ChargeRow { row_number: self.row_number, line: self.record.line(), charge }))
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

fn header(record: &Record) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::with_capacity(record.field_count());
    for at in 0..record.field_count() {
        let field = record.field(at).unwrap_or_default();
        match std::str::from_utf8(field) {
            Ok(name) if !name.contains('\0') => names.push(name.trim().to_owned()),
            _ => {
                let rule = "the header is not UTF-8 text; save the file as UTF-8 CSV";
                let shown = String::from_utf8_lossy(field);
                return Err(ReadError::File(Problem::new(record.line(), None, Some(&shown), rule).into()));
            }
        }
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
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            let rule = format!("the gzip data is damaged: {error}");
            ReadError::File(Problem::new(line, None, None, rule).into())
        }
        _ => ReadError::Io(error),
    }
}
