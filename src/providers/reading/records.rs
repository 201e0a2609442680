//! Splits CSV (RFC 4180) into records, streaming, and knows the physical line each one starts on.
//!
//! The `csv` crate reads leniently: a quote that is never closed swallows the rows after it without an error, and with
//! them money. Here that is an error, as is text after a closing quote. A quote inside an unquoted field is read as it
//! stands, lines end in LF, CRLF or CR, and blank lines are skipped. Memory is bounded by
//! [`MAX_RECORD_BYTES`] and [`MAX_FIELDS`].

use std::io::{self, BufRead, BufReader, Read};

/// Longest record read: tags of hundreds of kilobytes occur, more is a quote that is never closed.
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// Most fields of a record: providers write hundreds, and a column for each tag. Commas alone are no bytes of a record.
const MAX_FIELDS: usize = 10_000;
/// Bytes asked of the input at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why the next record cannot be read; nothing after it can be either.
#[derive(Debug)]
pub(super) enum RecordError {
    Io(io::Error),
    Malformed { line: u64, rule: &'static str },
}

/// One record; reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    line: u64,
}

impl Record {
    /// Returns the 1-based physical line it starts on.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn field_count(&self) -> usize {
        self.ends.len()
    }

    /// Returns where a field lies in [`Self::bytes`].
    pub(super) fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        Some(start..end)
    }

    /// Returns all fields, one after the other without separators.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        self.bytes.get(self.range(index)?)
    }

    fn start(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn is_blank(&self) -> bool {
        self.bytes.is_empty() && self.ends.len() == 1
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote inside a quoted field: it closes the field or stands for itself.
    QuoteInQuoted,
    RecordEnd,
}

/// Reads records one by one.
pub(super) struct Records<R> {
    input: BufReader<R>,
    line: u64,
    after_carriage_return: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(CHUNK_BYTES, input), line: 1, after_carriage_return: false }
    }

    /// Returns the physical line reading has come to.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next record; `false` at the end of the input.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        record.start(self.line);
        let mut state = State::FieldStart;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(RecordError::Io(error)),
            };
            if chunk.is_empty() {
                return end_of_input(record, state);
            }
            let mut cursor = Cursor { line: &mut self.line, after_carriage_return: &mut self.after_carriage_return };
            let (used, next) = cursor.advance(chunk, state, record)?;
            self.input.consume(used);
            state = next;
            if record.ends.len() > MAX_FIELDS {
                let rule = "the row has more than 10000 fields; the rest was not read";
                return Err(RecordError::Malformed { line: record.line, rule });
            }
            if state == State::RecordEnd {
                if !record.is_blank() {
                    return Ok(true);
                }
                record.start(self.line);
                state = State::FieldStart;
            }
            if record.bytes.len() > MAX_RECORD_BYTES {
                let rule = "the row is longer than 16 MiB; is a closing quote missing? the rest was not read";
                return Err(RecordError::Malformed { line: record.line, rule });
            }
        }
    }
}

fn end_of_input(record: &mut Record, state: State) -> Result<bool, RecordError> {
    if state == State::Quoted {
        let rule = "a quoted field is never closed; the rows behind the opening quote cannot be told apart";
        return Err(RecordError::Malformed { line: record.line, rule });
    }
    if state == State::FieldStart && record.ends.is_empty() {
        return Ok(false);
    }
    record.end_field();
    Ok(true)
}

struct Cursor<'a> {
    line: &'a mut u64,
    after_carriage_return: &'a mut bool,
}

impl Cursor<'_> {
    /// Goes through a chunk until a record ends; returns how many bytes it used.
    fn advance(&mut self, chunk: &[u8], mut state: State, record: &mut Record) -> Result<(usize, State), RecordError> {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            if std::mem::take(self.after_carriage_return) && byte == b'\n' {
                // The record ended at the carriage return; this is the other half of its line ending.
                rest = behind;
                continue;
            }
            match state {
                State::FieldStart if byte == b'"' => (state, rest) = (State::Quoted, behind),
                State::FieldStart => state = State::Unquoted,
                State::Unquoted => {
                    let length = memchr::memchr3(b',', b'\n', b'\r', rest);
                    let (text, found) = rest.split_at(length.unwrap_or(rest.len()));
                    record.bytes.extend_from_slice(text);
                    rest = found;
                    if let Some((&separator, behind)) = found.split_first() {
                        (state, rest) = (self.end_field(record, separator), behind);
                    }
                }
                State::Quoted => {
                    let length = memchr::memchr(b'"', rest);
                    let (text, found) = rest.split_at(length.unwrap_or(rest.len()));
                    record.bytes.extend_from_slice(text);
                    *self.line += text.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
                    rest = found;
                    if let Some((_, behind)) = found.split_first() {
                        (state, rest) = (State::QuoteInQuoted, behind);
                    }
                }
                State::QuoteInQuoted if byte == b'"' => {
                    record.bytes.push(byte);
                    (state, rest) = (State::Quoted, behind);
                }
                State::QuoteInQuoted if matches!(byte, b',' | b'\n' | b'\r') => {
                    (state, rest) = (self.end_field(record, byte), behind);
                }
                State::QuoteInQuoted => {
                    let rule = "text follows a closing quote; write a quote inside a quoted field twice. The rest was not read";
                    return Err(RecordError::Malformed { line: record.line, rule });
                }
                State::RecordEnd => break,
            }
        }
        Ok((chunk.len() - rest.len(), state))
    }

    fn end_field(&mut self, record: &mut Record, separator: u8) -> State {
        record.end_field();
        if separator == b',' {
            return State::FieldStart;
        }
        *self.line += 1;
        *self.after_carriage_return = separator == b'\r';
        State::RecordEnd
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out one byte at a time, so that every state is cut by the end of a chunk.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0.split_first(), buffer.first_mut()) {
                (Some((&byte, behind)), Some(slot)) => {
                    *slot = byte;
                    self.0 = behind;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    type Rows = Vec<(u64, Vec<String>)>;

    fn split(input: impl Read) -> Result<Rows, RecordError> {
        let mut records = Records::new(input);
        let mut record = Record::default();
        let mut rows = Vec::new();
        while records.read(&mut record)? {
            let fields = (0..record.field_count()).filter_map(|index| record.field(index));
            rows.push((record.line(), fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect()));
        }
        Ok(rows)
    }

    fn rows(text: &str) -> Rows {
        let whole = split(text.as_bytes()).expect("readable");
        assert_eq!(whole, split(Drip(text.as_bytes())).expect("readable"));
        whole
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn every_line_ending_ends_a_row() {
        let expected = vec![row(1, &["a", "b"]), row(2, &["", "1"])];
        for text in ["a,b\n,1\n", "a,b\n,1", "a,b\r\n,1\r\n", "a,b\r,1\r", "a,b\r\n,\"1\"\r\n"] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_through_blank_lines_and_quoted_line_breaks() {
        let text = "a,b\n\n\r\n\"x\ny\",\"\"\"z\"\"\r\n\"\r\n\nlast,\n";
        let expected = vec![row(1, &["a", "b"]), row(4, &["x\ny", "\"z\"\r\n"]), row(8, &["last", ""])];
        assert_eq!(rows(text), expected);
    }

    #[test]
    fn a_quote_inside_an_unquoted_field_stands_for_itself() {
        assert_eq!(rows("5\" disk,{\"a\":1}"), vec![row(1, &["5\" disk", "{\"a\":1}"])]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_refused_with_its_line() {
        for text in ["a,b\n1,\"x\n2,3\n", "a,b\n1,\"x", "a,b\n1,\"x\n2,\"y\n"] {
            match split(text.as_bytes()) {
                Err(RecordError::Malformed { line: 2, .. }) => {}
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_endless_field_is_refused_before_it_fills_the_memory() {
        let endless = b"a\n\"".chain(io::repeat(b'x'));
        assert!(matches!(split(endless), Err(RecordError::Malformed { line: 2, .. })));
    }

    #[test]
    fn endlessly_many_fields_are_refused_before_they_fill_the_memory() {
        for commas in ["a\n,".as_bytes(), b"a\n\"\"".as_slice()] {
            let endless = commas.chain(io::repeat(b','));
            assert!(matches!(split(endless), Err(RecordError::Malformed { line: 2, .. })));
        }
        let most = ",".repeat(MAX_FIELDS - 1);
        assert_eq!(split(most.as_bytes()).map(|rows| rows[0].1.len()).ok(), Some(MAX_FIELDS));
        assert!(split(format!("{most},\n").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_csv_crate_writes_is_read_back(
            table in prop::collection::vec(prop::collection::vec("[a,\"\r\n é]{0,6}", 3), 0..6)
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for fields in &table {
                writer.write_record(fields).expect("written");
            }
            let bytes = writer.into_inner().expect("flushed");
            let read: Vec<Vec<String>> =
                split(Drip(&bytes)).expect("readable").into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(read, table);
        }
    }
}
