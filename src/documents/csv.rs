//! The CSV of lines, and how any of our CSV files is written so that a spreadsheet opens it right.
//!
//! UTF-8 and CRLF; byte order mark, decimal mark and delimiter as the reseller wants them, else as the customer's language
//! has them (Excel in Spain reads `;` and `,`). A cell that holds the delimiter is quoted (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV
//! Injection"); numbers never do. Amounts have the currency's decimals and no thousand separators.

use std::io::Write;

use bigdecimal::BigDecimal;
use csv::{Terminator, Writer, WriterBuilder};

use super::{
    DocumentError,
    model::{DocumentModel, NumberStyle, clean},
};

/// What tells Excel that the file is UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Rows are gathered to this size before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes rows of guarded texts and plain numbers.
pub(super) struct Table<W: Write> {
    writer: Writer<W>,
    decimal_mark: char,
}

impl<W: Write> Table<W> {
    pub(super) fn new(mut output: W, style: NumberStyle) -> Result<Self, DocumentError> {
        if style.byte_order_mark {
            output.write_all(BYTE_ORDER_MARK).map_err(DocumentError::Write)?;
        }
        let writer = WriterBuilder::new()
            .delimiter(style.delimiter)
            .terminator(Terminator::CRLF)
            .buffer_capacity(BUFFER_BYTES)
            .from_writer(output);
        Ok(Self { writer, decimal_mark: style.decimal_mark })
    }

    /// Writes a cell of text from outside.
    pub(super) fn text(&mut self, text: &str) -> Result<(), DocumentError> {
        if is_harmless(text) {
            return Ok(self.writer.write_field(text)?);
        }
        let guard = if is_like_a_formula(text) { "'" } else { "" };
        Ok(self.writer.write_field(format!("{guard}{}", clean(text)))?)
    }

    /// Writes a cell of text, or an empty one.
    pub(super) fn optional_text(&mut self, text: Option<&str>) -> Result<(), DocumentError> {
        self.text(text.unwrap_or_default())
    }

    /// Writes a number with all the decimals it has.
    pub(super) fn number(&mut self, number: &BigDecimal) -> Result<(), DocumentError> {
        let plain = number.to_plain_string();
        if self.decimal_mark == '.' {
            return Ok(self.writer.write_field(plain)?);
        }
        Ok(self.writer.write_field(plain.replace('.', self.decimal_mark.encode_utf8(&mut [0; 4])))?)
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) -> Result<(), DocumentError> {
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    /// Hands the output back once all is written.
    pub(super) fn finish(self) -> Result<W, DocumentError> {
        self.writer.into_inner().map_err(|error| DocumentError::Write(error.into_error()))
    }
}

/// Tells whether a text can stand as it is; nearly all do.
fn is_harmless(text: &str) -> bool {
    let first_is_plain = text.bytes().next().is_none_or(|byte| byte.is_ascii_alphanumeric() || byte == b'{');
    first_is_plain && text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
}

/// Tells whether a spreadsheet would compute the text, also when blanks stand before it or the signs are full-width.
fn is_like_a_formula(text: &str) -> bool {
    let seen = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    text.starts_with(['\t', '\r']) || seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Renders one row per printed line; what the customer refers to stands at the end of each.
///
/// # Errors
/// None that data can cause.
pub(super) fn render(model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    let mut table = Table::new(Vec::new(), model.number_style)?;
    for title in model.labels.line_columns.iter().chain(model.references.iter().map(|reference| &reference.label)) {
        table.text(title)?;
    }
    table.end_row()?;
    for section in &model.sections {
        for line in &section.lines {
            table.text(model.printed_number())?;
            table.text(&model.billing_period)?;
            table.text(&section.id)?;
            table.text(&section.name)?;
            table.optional_text(section.corrected_month.as_deref())?;
            table.text(&line.description)?;
            table.optional_text(line.category.as_deref())?;
            table.number(&BigDecimal::from(line.charge_count))?;
            table.number(&line.net.value)?;
            table.text(model.currency.code())?;
            table.text(&line.taxes)?;
            table.text(&line.remark)?;
            for reference in &model.references {
                table.text(&reference.value)?;
            }
            table.end_row()?;
        }
    }
    table.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::samples::{HOSTILE_NAMES, credit_note, decimal, hostile, invoice, model, with_references};
    use super::*;

    /// Reads a file back as a spreadsheet in the given language would.
    pub(crate) fn rows(bytes: &[u8], style: NumberStyle) -> Vec<Vec<String>> {
        assert_eq!(bytes.starts_with(BYTE_ORDER_MARK), style.byte_order_mark);
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().delimiter(style.delimiter).has_headers(false).from_reader(text);
        reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
    }

    pub(crate) fn sum(rows: &[Vec<String>], column: usize, style: NumberStyle) -> BigDecimal {
        rows.iter().skip(1).map(|row| decimal(&row[column].replace(style.decimal_mark, "."))).sum()
    }

    #[test]
    fn the_rows_add_up_to_the_subtotal_in_each_language() {
        for (invoice, language) in [(invoice(), "es"), (invoice(), "en"), (credit_note(), "de"), (hostile(), "fr")] {
            let model = model(&invoice, language);
            let rows = rows(&render(&model).expect("a file"), model.number_style);
            assert_eq!(rows.len(), invoice.lines.len() + 1);
            assert_eq!(sum(&rows, 8, model.number_style), model.subtotal.amount.value);
        }
    }

    #[test]
    fn excel_in_spain_gets_semicolons_and_decimal_commas() {
        let text = String::from_utf8(render(&model(&invoice(), "es")).expect("a file")).expect("utf-8");
        let mut lines = text.split("\r\n");
        assert!(lines.next().is_some_and(|titles| titles.starts_with("\u{feff}Número;Periodo de facturación;")));
        let first = "2026-00042;2026-08;012345678901;012345678901;;Amazon Simple Storage Service;Consumo;1234;1234,50;EUR;\
             IVA 21\u{a0}% (S), Recargo de equivalencia 5,2\u{a0}% (S);";
        assert_eq!(lines.next(), Some(first));
    }

    #[test]
    fn a_reseller_chooses_byte_order_mark_delimiter_and_decimal_mark_and_no_number_changes() {
        let plain = model(&invoice(), "es");
        for (options, first_cells) in [
            (r#"{"byte_order_mark":false}"#, "Número;Periodo de facturación;"),
            (r#"{"decimal_mark":"point"}"#, "\u{feff}Número,Periodo de facturación,"),
            (r#"{"delimiter":"tab"}"#, "\u{feff}Número\tPeriodo de facturación\t"),
            (r#"{"delimiter":"comma"}"#, "\u{feff}Número,Periodo de facturación,"),
            (r#"{"decimal_mark":"point","delimiter":"semicolon"}"#, "\u{feff}Número;Periodo de facturación;"),
        ] {
            let model = plain.clone().with_csv_options(serde_json::from_str(options).expect("options"));
            let bytes = render(&model).expect("a file");
            assert!(bytes.starts_with(first_cells.as_bytes()), "{options}: {}", String::from_utf8_lossy(&bytes));
            let rows = rows(&bytes, model.number_style);
            assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{options}");
            assert_eq!(sum(&rows, 8, model.number_style), model.subtotal.amount.value, "{options}");
            let mark = if options.contains("point") { '.' } else { ',' };
            assert_eq!(rows[1][8], format!("1234{mark}50"), "{options}");
        }
    }

    #[test]
    fn each_row_says_what_the_customer_refers_to() {
        let model = model(&with_references(), "en");
        let rows = rows(&render(&model).expect("a file"), model.number_style);
        assert_eq!(rows[0][12..], ["Purchase order", "Cost centre", "'=1+1"]);
        for row in &rows[1..] {
            assert_eq!(row[12..], ["PO-7", "CC-0042", "'@SUM(A1)|cmd"]);
        }
    }

    #[test]
    fn formulas_are_guarded_and_negative_numbers_are_not() {
        let mut table = Table::new(Vec::new(), model(&invoice(), "es").number_style).expect("a table");
        for text in
            ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u{0}=1", "plain", "ＡＢＣ", "＝1+1", "a=1"]
        {
            table.text(text).expect("a cell");
        }
        table.number(&decimal("-1.50")).expect("a cell");
        table.end_row().expect("a row");
        let text = String::from_utf8(table.finish().expect("the output")).expect("utf-8");
        let cells = "'=1+1;'+1;'-1;'@SUM(A1);' =1;' =1;' =1;' =1;plain;ＡＢＣ;'＝1+1;a=1;-1,50\r\n";
        assert_eq!(text.trim_start_matches('\u{feff}'), cells);
    }

    #[test]
    fn no_cell_of_hostile_names_begins_like_a_formula_or_holds_a_control_character() {
        let model = model(&hostile(), "en");
        let rows = rows(&render(&model).expect("a file"), model.number_style);
        for cell in rows.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']) && !cell.contains(char::is_control));
        }
        assert_eq!(rows[2][5], HOSTILE_NAMES[1]);
        assert!(rows[10][5].len() > 200_000);
    }
}
