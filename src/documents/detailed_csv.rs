//! The detailed CSV: one row per charge, written as the charges are read, however many there are.
//!
//! Prices are exact, so that their sum is the invoice's exact subtotal; instants are ISO 8601 in UTC, as in FOCUS.
//! Columns outside FOCUS (`x_…`) follow, but for those whose names speak of what the reseller pays.

use std::io::Write;

use super::{DocumentError, csv::Table, model::DocumentModel};
use crate::domain::{customer_side::is_for_customers, invoice::DetailedCharge};

/// Writes the charges of one invoice.
pub struct DetailedCsv<'m, W: Write> {
    table: Table<W>,
    model: &'m DocumentModel,
    x_columns: Vec<String>,
}

impl<'m, W: Write> DetailedCsv<'m, W> {
    /// Writes the column titles; `x_columns` are the names that charges may have columns outside FOCUS by.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub fn new(output: W, model: &'m DocumentModel, x_columns: &[String]) -> Result<Self, DocumentError> {
        let shown = x_columns.iter().filter(|name| is_for_customers(name)).cloned().collect();
        let mut this = Self { table: Table::new(output, model.number_style)?, model, x_columns: shown };
        for title in model.labels.detail_columns.iter().chain(&this.x_columns) {
            this.table.text(title)?;
        }
        this.table.end_row()?;
        Ok(this)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub fn write(&mut self, charge: &DetailedCharge) -> Result<(), DocumentError> {
        let (table, labels) = (&mut self.table, &self.model.labels);
        let (yes, no) = &labels.yes_no;
        table.text(&charge.sub_account_id)?;
        table.optional_text(charge.sub_account_name.as_deref())?;
        table.text(&charge.service_name)?;
        table.optional_text(charge.service_category.as_deref())?;
        table.text(labels.category_name(charge.charge_category))?;
        table.text(if charge.is_correction { yes } else { no })?;
        table.optional_text(charge.charge_description.as_deref())?;
        for instant in [charge.charge_period_start, charge.charge_period_end] {
            table.text(&instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))?;
        }
        match &charge.consumed_quantity {
            Some(quantity) => table.number(quantity)?,
            None => table.text("")?,
        }
        let texts = [
            &charge.consumed_unit,
            &charge.region_id,
            &charge.resource_id,
            &charge.resource_name,
            &charge.sku_id,
            &charge.tags,
        ];
        for text in texts {
            table.optional_text(text.as_deref())?;
        }
        table.number(&self.model.printed_value(&charge.price_exact))?;
        table.text(self.model.currency.code())?;
        for name in &self.x_columns {
            table.optional_text(charge.x_columns.get(name).map(String::as_str))?;
        }
        table.end_row()
    }

    /// Hands the output back once all is written.
    ///
    /// # Errors
    /// When the last rows cannot be written.
    pub fn finish(self) -> Result<W, DocumentError> {
        self.table.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        csv::tests::{rows, sum},
        samples::{charge, credit_note, decimal, invoice, model},
    };
    use super::*;

    const PRICE: usize = 16;

    #[test]
    fn exact_prices_add_up_with_the_sign_that_is_printed() {
        for (invoice, language, expected) in [(invoice(), "es", "0.0300000003"), (credit_note(), "en", "-0.0300000003")]
        {
            let model = model(&invoice, language);
            let mut file = DetailedCsv::new(Vec::new(), &model, &[]).expect("a file");
            for _ in 0..3 {
                file.write(&charge("0.0100000001")).expect("a row");
            }
            let rows = rows(&file.finish().expect("the output"), model.number_style);
            assert_eq!(sum(&rows, PRICE, model.number_style), decimal(expected));
        }
    }

    #[test]
    fn columns_of_the_resellers_side_are_left_out() {
        let names =
            ["x_team", "x_UnitCost", "x_ListUnitPrice", "x_Discounts", "x_PartnerCreditRate", "x_margin", "x_zone"];
        let model = model(&invoice(), "en");
        let mut file = DetailedCsv::new(Vec::new(), &model, &names.map(str::to_owned)).expect("a file");
        file.write(&charge("1")).expect("a row");
        let bytes = file.finish().expect("the output");
        assert!(!String::from_utf8_lossy(&bytes).contains("666"));
        let rows = rows(&bytes, model.number_style);
        assert_eq!(rows[0][18..], ["x_team", "x_zone"]);
        assert_eq!(rows[1][18..], ["'-blue", ""]);
        assert_eq!(rows[1][6], "'=1+1");
        assert_eq!(rows[1][7], "2026-08-01T00:00:00Z");
    }

    #[test]
    fn an_output_that_fails_is_reported() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let model = model(&invoice(), "en");
        assert!(matches!(DetailedCsv::new(Full, &model, &[]), Err(DocumentError::Write(_))));
    }
}
