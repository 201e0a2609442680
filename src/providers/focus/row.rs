//! One row of a FOCUS file becomes a charge, or the list of what is wrong with it.
//!
//! Null is an empty field or the word `NULL` (FOCUS 1.0, "Null Handling"; Snowflake and others write the word). Null
//! `BilledCost` counts as zero. Where `ServiceName` is null, `ServiceCategory` stands in: FOCUS forbids null in both,
//! and exports that break one rule seldom break the other. A null `SubAccountId` means the billing account itself.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};

use super::{
    columns::{Column, Columns},
    records::Record,
    timestamp::parse_timestamp,
};
use crate::{
    domain::{
        billing_period::BillingPeriod,
        charge::{Charge, ChargeCategory},
        money::{Currency, parse_decimal},
    },
    providers::Problem,
};

const NOT_A_DECIMAL: &str = "not a decimal number; write digits with a point, such as -1234.50 or 1.5E-7";
const NOT_A_TIMESTAMP: &str = "not an ISO 8601 instant; write it such as 2026-10-01T00:00:00Z";
const NULL: &str = "must not be null";
/// Longest account id: ids are indexed, and a Postgres index entry holds 2.7 kB.
const MAX_ID_BYTES: usize = 1000;
/// The only value FOCUS gives `ChargeClass` besides null.
const CORRECTION: &str = "Correction";
/// A billing period outside these years is a mistake, and would cost a table partition.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;

/// Makes a charge of a record.
///
/// # Errors
/// Every problem of the row, in the order the columns are looked at.
pub(super) fn to_charge(record: &Record, columns: &Columns) -> Result<Charge, Vec<Problem>> {
    check_shape(record, columns)?;
    let text = to_text(record, columns)?;
    let mut row = Row { record, columns, text, problems: Vec::new() };
    match row.charge() {
        Some(charge) if row.problems.is_empty() => Ok(charge),
        _ => Err(row.problems),
    }
}

fn check_shape(record: &Record, columns: &Columns) -> Result<(), Vec<Problem>> {
    let (fields, expected) = (record.field_count(), columns.names.len());
    if fields == expected {
        return Ok(());
    }
    let rule = format!("the row has {fields} fields, the header {expected}");
    let first_missing = columns.names.get(fields).map(String::as_str);
    let first_extra = record.field(expected).map(String::from_utf8_lossy);
    Err(vec![Problem::new(record.line(), first_missing, first_extra.as_deref(), rule)])
}

/// Checks the encoding once per row; a field is named only when there is something to say.
fn to_text<'a>(record: &'a Record, columns: &Columns) -> Result<&'a str, Vec<Problem>> {
    let problem = |at: usize, rule: &str| {
        let value = record.field(at).map(String::from_utf8_lossy);
        Problem::new(record.line(), columns.names.get(at).map(String::as_str), value.as_deref(), rule)
    };
    let bad_fields =
        |is_bad: fn(&[u8]) -> bool| (0..record.field_count()).filter(move |&at| record.field(at).is_some_and(is_bad));
    let Ok(text) = std::str::from_utf8(record.bytes()) else {
        let bad = bad_fields(|field| std::str::from_utf8(field).is_err());
        return Err(bad.map(|at| problem(at, "not UTF-8; save the file as UTF-8")).collect());
    };
    if text.contains('\0') {
        let bad = bad_fields(|field| field.contains(&0));
        return Err(bad.map(|at| problem(at, "holds a NUL character")).collect());
    }
    Ok(text)
}

struct Row<'a> {
    record: &'a Record,
    columns: &'a Columns,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Row<'a> {
    /// Reads all columns before giving up, so that all problems of a row are seen at once.
    fn charge(&mut self) -> Option<Charge> {
        let columns = self.columns;
        let billing_account_id = self.required(&columns.billing_account_id);
        self.check_length(&columns.billing_account_id);
        self.check_length(&columns.sub_account_id);
        let billing_period = self.billing_period();
        let billed_cost = self.decimal(&columns.billed_cost).unwrap_or_default();
        let billing_currency = self.parsed::<Currency>(
            &columns.billing_currency,
            "not an ISO 4217 currency with a minor unit; write its three-letter code, such as EUR",
        );
        let charge_category = self.parsed::<ChargeCategory>(
            &columns.charge_category,
            "not a charge category; FOCUS knows Usage, Purchase, Tax, Credit, Adjustment",
        );
        let is_correction = self.is_correction();
        let charge_period = self.charge_period();
        let consumed_quantity = self.decimal(&columns.consumed_quantity);
        let service_name = self.service_name();

        let billing_account_id = billing_account_id?;
        let (charge_period_start, charge_period_end) = charge_period?;
        Some(Charge {
            billing_period: billing_period?,
            billed_cost,
            billing_currency: billing_currency?,
            charge_category: charge_category?,
            is_correction,
            charge_description: self.owned(&columns.charge_description),
            charge_frequency: self.owned(&columns.charge_frequency),
            charge_period_start,
            charge_period_end,
            consumed_quantity,
            consumed_unit: self.owned(&columns.consumed_unit),
            region_id: self.owned(&columns.region_id),
            resource_id: self.owned(&columns.resource_id),
            resource_name: self.owned(&columns.resource_name),
            service_category: self.owned(&columns.service_category),
            service_name: service_name?.to_owned(),
            sku_id: self.owned(&columns.sku_id),
            sub_account_id: self.value(&columns.sub_account_id).unwrap_or(billing_account_id).to_owned(),
            sub_account_name: self.owned(&columns.sub_account_name),
            tags: self.owned(&columns.tags),
            x_columns: self.x_columns(),
            billing_account_id: billing_account_id.to_owned(),
        })
    }

    fn field(&self, position: usize) -> Option<&'a str> {
        let field = self.text.get(self.record.range(position)?)?;
        let is_null = field.trim().is_empty() || field == "NULL";
        (!is_null).then_some(field)
    }

    fn value(&self, column: &Column) -> Option<&'a str> {
        self.field(column.position?)
    }

    fn owned(&self, column: &Column) -> Option<String> {
        self.value(column).map(str::to_owned)
    }

    fn refuse(&mut self, column: &Column, value: Option<&str>, rule: &str) {
        self.problems.push(Problem::new(self.record.line(), Some(column.name), value, rule));
    }

    fn required(&mut self, column: &Column) -> Option<&'a str> {
        let value = self.value(column);
        if value.is_none() {
            self.refuse(column, None, NULL);
        }
        value
    }

    fn check_length(&mut self, column: &Column) {
        if let Some(value) = self.value(column).filter(|value| value.len() > MAX_ID_BYTES) {
            self.refuse(column, Some(value), &format!("longer than {MAX_ID_BYTES} bytes"));
        }
    }

    fn parsed<T: FromStr>(&mut self, column: &Column, rule: &str) -> Option<T> {
        let value = self.required(column)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.refuse(column, Some(value), rule);
        }
        parsed
    }

    fn decimal(&mut self, column: &Column) -> Option<BigDecimal> {
        let value = self.value(column)?;
        let parsed = parse_decimal(value).ok();
        if parsed.is_none() {
            self.refuse(column, Some(value), NOT_A_DECIMAL);
        }
        parsed
    }

    fn instant(&mut self, column: &Column) -> Option<DateTime<Utc>> {
        let value = self.required(column)?;
        let parsed = parse_timestamp(value);
        if parsed.is_none() {
            self.refuse(column, Some(value), NOT_A_TIMESTAMP);
        }
        parsed
    }

    fn billing_period(&mut self) -> Option<BillingPeriod> {
        let columns = self.columns;
        let start = self.instant(&columns.billing_period_start);
        let end = self.instant(&columns.billing_period_end);
        let (start, end) = (start?.date_naive(), end?.date_naive());
        for (column, date) in [(&columns.billing_period_start, start), (&columns.billing_period_end, end)] {
            if !YEARS.contains(&chrono::Datelike::year(&date)) {
                let rule = format!("lies outside the years {} to {}", YEARS.start(), YEARS.end());
                self.refuse(column, self.value(column), &rule);
                return None;
            }
        }
        let period = BillingPeriod::new(start, end).ok();
        if period.is_none() {
            let column = &columns.billing_period_end;
            self.refuse(column, self.value(column), &format!("must be after BillingPeriodStart, {start}"));
        }
        period
    }

    fn charge_period(&mut self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let columns = self.columns;
        let start = self.instant(&columns.charge_period_start);
        let end = self.instant(&columns.charge_period_end);
        let (start, end) = (start?, end?);
        if end < start {
            let column = &columns.charge_period_end;
            self.refuse(column, self.value(column), &format!("must not be before ChargePeriodStart, {start}"));
        }
        Some((start, end))
    }

    fn is_correction(&mut self) -> bool {
        let column = &self.columns.charge_class;
        match self.value(column) {
            None => false,
            Some(CORRECTION) => true,
            Some(other) => {
                self.refuse(column, Some(other), "not a charge class; FOCUS knows null and Correction");
                false
            }
        }
    }

    fn service_name(&mut self) -> Option<&'a str> {
        let column = &self.columns.service_name;
        let name = self.value(column).or_else(|| self.value(&self.columns.service_category));
        if name.is_none() {
            self.refuse(column, None, "must not be null where ServiceCategory is null too");
        }
        name
    }

    fn x_columns(&self) -> Vec<(String, String)> {
        let kept = self.columns.outside_focus.iter();
        let named = kept.filter_map(|&at| Some((self.columns.names.get(at)?.clone(), self.field(at)?.to_owned())));
        named.collect()
    }
}
