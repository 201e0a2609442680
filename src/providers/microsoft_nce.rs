//! Microsoft New Commerce Experience (seats): a section per subscription, headed by its product; a line per SKU and
//! charge type.
//!
//! Reads Partner Center's invoice reconciliation file
//! (learn.microsoft.com/partner-center/billing/modern-invoice-reconciliation-file). It holds one invoice, all of whose
//! rows are billed in one calendar month: that of its latest charge or order, since a charge cycle begins in the month it
//! is invoiced in (learn.microsoft.com/partner-center/billing/common-billing-scenarios-onetime-recurring). What is given
//! back of a charge that began in an earlier month is a correction of that month.
//!
//! `TaxTotal` becomes a charge of its own, of category Tax, which is not resold.

use bigdecimal::{BigDecimal, RoundingMode, Signed, Zero};
use chrono::NaiveDate;

use super::{
    Profile,
    microsoft_dates::{date, day_after, required_date},
    money_columns::is_money,
    reading::{BilledMonths, Charges, Column, Format, Header, ReadRow, Row, month_of},
};
use crate::domain::{
    billing_period::BillingPeriod,
    charge::{Charge, ChargeCategory},
    document::DocumentKind,
    invoice::LinesBy,
    money::parse_decimal,
};

/// Seats are on the same invoice date as Azure: by the end of the eighth of the next month, UTC
/// (learn.microsoft.com/en-us/partner-center/billing, new commerce).
const FINAL_ON_DAY: u8 = 9;

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft-nce",
    display_name: "Microsoft NCE",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print, DocumentKind::Ubl],
    lines_by: LinesBy::SkuAndChargeCategory,
    final_on_day: FINAL_ON_DAY,
    formats: &[&RECONCILIATION],
};

/// The reconciliation file of an invoice.
const RECONCILIATION: Format = Format {
    id: "nce-reconciliation",
    name: "new commerce reconciliation",
    required: &[
        &["PartnerId"],
        &["CustomerId"],
        &["InvoiceNumber"],
        &["ProductId"],
        &["SkuId"],
        &["ProductName"],
        &["ChargeType"],
        &["Subtotal"],
        &["TaxTotal"],
        &["Currency"],
        &["SubscriptionId"],
        &["ChargeStartDate"],
        &["ChargeEndDate"],
    ],
    to_known_name,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(Columns::find(header)) },
    #[cfg(test)]
    samples: &[tests::SEATS],
};

/// Columns that a charge has a field for; the ids and the charge type are kept besides, since fields hold them mixed.
const IN_FIELDS: [&str; 7] =
    ["subscriptionid", "productname", "skuname", "chargestartdate", "chargeenddate", "billablequantity", "unittype"];

/// Decimals that Microsoft rounds down to, whatever the currency.
const DECIMALS: i64 = 2;

fn to_known_name(written: &str) -> String {
    written.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Returns what Microsoft bills for seats: `ROUNDDOWN(price × rate, 2) × quantity`.
///
/// This and [`usage_cost`] stand at column Subtotal of the reconciliation file's documentation; ROUNDDOWN goes toward zero.
pub fn seat_cost(effective_unit_price: &BigDecimal, quantity: &BigDecimal, exchange_rate: &BigDecimal) -> BigDecimal {
    round_down(&(effective_unit_price * exchange_rate)) * quantity
}

/// Returns what Microsoft bills for usage under an Azure plan: `ROUNDDOWN(ROUNDDOWN(price × quantity, 2) × rate, 2)`.
pub fn usage_cost(effective_unit_price: &BigDecimal, quantity: &BigDecimal, exchange_rate: &BigDecimal) -> BigDecimal {
    round_down(&(round_down(&(effective_unit_price * quantity)) * exchange_rate))
}

fn round_down(amount: &BigDecimal) -> BigDecimal {
    amount.with_scale_round(DECIMALS, RoundingMode::Down)
}

struct Columns {
    partner_id: Column,
    customer_id: Column,
    invoice_number: Column,
    subscription_id: Column,
    product_id: Column,
    product_name: Column,
    sku_id: Column,
    sku_name: Column,
    charge_type: Column,
    charge_start: Column,
    charge_end: Column,
    order_date: Column,
    subtotal: Column,
    tax_total: Column,
    currency: Column,
    effective_unit_price: Column,
    billable_quantity: Column,
    exchange_rate: Column,
    unit_type: Column,
    meter_description: Column,
    subscription_description: Column,
    others: Vec<Column>,
    months: BilledMonths,
}

/// What the charges of a row have in common.
struct Cost {
    subtotal: BigDecimal,
    tax_total: BigDecimal,
    quantity: Option<BigDecimal>,
}

impl Columns {
    fn find(header: &Header) -> Self {
        Self {
            partner_id: header.column("PartnerId"),
            customer_id: header.column("CustomerId"),
            invoice_number: header.column("InvoiceNumber"),
            subscription_id: header.column("SubscriptionId"),
            product_id: header.column("ProductId"),
            product_name: header.column("ProductName"),
            sku_id: header.column("SkuId"),
            sku_name: header.column("SkuName"),
            charge_type: header.column("ChargeType"),
            charge_start: header.column("ChargeStartDate"),
            charge_end: header.column("ChargeEndDate"),
            order_date: header.column("OrderDate"),
            subtotal: header.column("Subtotal"),
            tax_total: header.column("TaxTotal"),
            currency: header.column("Currency"),
            effective_unit_price: header.column("EffectiveUnitPrice"),
            billable_quantity: header.first_column(&["BillableQuantity", "Quantity"]),
            exchange_rate: header.column("PCToBCExchangeRate"),
            unit_type: header.column("UnitType"),
            meter_description: header.column("MeterDescription"),
            subscription_description: header.column("SubscriptionDescription"),
            others: header.columns_where(|name| !is_money(name) && !IN_FIELDS.contains(&name)),
            months: BilledMonths::default(),
        }
    }

    fn to_charges(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        for column in [&self.partner_id, &self.invoice_number, &self.subscription_id, &self.customer_id] {
            row.check_id(column);
        }
        let payer = self.payer(row);
        let account = row.value(&self.subscription_id).or_else(|| row.required(&self.customer_id));
        let charge_type = row.required(&self.charge_type);
        let product_name = row.required(&self.product_name);
        let sku = (row.required(&self.product_id), row.required(&self.sku_id));
        let billing_currency = row.currency(&self.currency);
        let days = self.days(row);
        let cost = self.cost(row);

        let (payer, charge_type, product_name, cost) = (payer?, charge_type?, product_name?, cost?);
        let (first_day, last_day) = days?;
        let billing_period = self.months.of(&payer).or_else(|| month_of(row, &self.charge_start, first_day))?;
        let sku_name = row.value(&self.sku_name).unwrap_or(product_name);
        let charge = Charge {
            billing_account_id: payer,
            billing_period,
            is_correction: first_day < billing_period.start() && cost.subtotal.is_negative(),
            billed_cost: cost.subtotal,
            billing_currency: billing_currency?,
            charge_category: self.category(row),
            charge_description: Some(format!("{sku_name}, {charge_type}")),
            charge_frequency: None,
            charge_period_start: first_day.and_hms_opt(0, 0, 0)?.and_utc(),
            charge_period_end: day_after(last_day).and_hms_opt(0, 0, 0)?.and_utc(),
            consumed_quantity: cost.quantity,
            consumed_unit: row.owned(&self.unit_type),
            region_id: None,
            resource_id: None,
            resource_name: None,
            service_category: None,
            service_name: product_name.to_owned(),
            // Lines are printed by it: a name that people read, the ids that tell SKUs apart, and what happened to them.
            sku_id: Some(format!("{sku_name} ({}:{}), {charge_type}", sku.0?, sku.1?)),
            sub_account_id: account?.to_owned(),
            sub_account_name: Some(product_name.to_owned()),
            tags: None,
            x_columns: row.x_columns(&self.others),
        };
        let tax = (!cost.tax_total.is_zero()).then(|| Charge {
            billed_cost: cost.tax_total,
            charge_category: ChargeCategory::Tax,
            consumed_quantity: None,
            ..charge.clone()
        });
        charges.push_back(charge);
        charges.extend(tax);
        Some(())
    }

    /// Returns the partner and the invoice: files of two invoices of a month stand beside each other, and the same invoice
    /// again supersedes itself. Without a number a file is an estimate, which the invoice's own would be added to.
    fn payer(&self, row: &mut Row<'_>) -> Option<String> {
        let partner_id = row.required(&self.partner_id);
        let invoice_number = row.value(&self.invoice_number);
        if invoice_number.is_none() {
            row.refuse(
                &self.invoice_number,
                "must not be null; import the file of the invoice, not the unbilled charges",
            );
        }
        Some(format!("{}/{}", partner_id?, invoice_number?))
    }

    /// Returns the first and the last day of a charge; what is bought once may say only when it was ordered.
    fn days(&self, row: &mut Row<'_>) -> Option<(NaiveDate, NaiveDate)> {
        let first_day = self.first_day(row);
        let last_day = date(row, &self.charge_end);
        let (first_day, last_day) = (first_day?, last_day.or(first_day)?);
        if last_day < first_day {
            row.refuse(&self.charge_end, &format!("must not be before {}, {first_day}", self.charge_start.name()));
        }
        Some((first_day, last_day))
    }

    fn first_day(&self, row: &mut Row<'_>) -> Option<NaiveDate> {
        let column = [&self.charge_start, &self.order_date].into_iter().find(|column| row.value(column).is_some());
        required_date(row, column.unwrap_or(&self.charge_start))
    }

    /// Reads what is billed and checks that it is what Microsoft's rounding makes of price, quantity and rate.
    fn cost(&self, row: &mut Row<'_>) -> Option<Cost> {
        let subtotal = row.required(&self.subtotal).and_then(|_| number(row, &self.subtotal));
        let tax_total = number(row, &self.tax_total).unwrap_or_default();
        let quantity = number(row, &self.billable_quantity);
        let price = number(row, &self.effective_unit_price);
        let rate = number(row, &self.exchange_rate);
        let subtotal = subtotal?;
        if let (Some(price), Some(quantity), Some(rate)) = (&price, &quantity, &rate)
            && !self.is_credit(row)
        {
            let (seats, usage) = (seat_cost(price, quantity, rate), usage_cost(price, quantity, rate));
            if subtotal != seats && subtotal != usage {
                let rule = format!(
                    "must be what Microsoft's rounding makes of EffectiveUnitPrice, PCToBCExchangeRate and \
                     BillableQuantity: {} for seats, {} for usage; download the file again",
                    seats.to_plain_string(),
                    usage.to_plain_string()
                );
                row.refuse(&self.subtotal, &rule);
            }
        }
        Some(Cost { subtotal, tax_total, quantity })
    }

    fn is_credit(&self, row: &Row<'_>) -> bool {
        row.value(&self.charge_type).is_some_and(|charge_type| charge_type.to_lowercase().contains("credit"))
    }

    /// Seats are bought, metered lines of an Azure plan used. Microsoft's list of charge types is open
    /// (learn.microsoft.com/partner-center/billing/recon-file-charge-types); all but credits, such as `customerCredit`,
    /// say what happened to a purchase.
    fn category(&self, row: &Row<'_>) -> ChargeCategory {
        let is_azure_plan = |text: &str| text.trim().eq_ignore_ascii_case("Azure plan");
        if self.is_credit(row) {
            ChargeCategory::Credit
        } else if row.value(&self.meter_description).is_some()
            || row.value(&self.subscription_description).is_some_and(is_azure_plan)
        {
            ChargeCategory::Usage
        } else {
            ChargeCategory::Purchase
        }
    }
}

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        &self.invoice_number
    }

    fn billing_period(&self) -> &Column {
        &self.charge_start
    }

    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        self.to_charges(row, charges)
    }

    fn is_billed_by_latest_month(&self) -> bool {
        true
    }

    fn billed_month(&self, row: &mut Row<'_>) -> Option<(String, BillingPeriod)> {
        let (begun, ordered) = (self.first_day(row)?, date(row, &self.order_date));
        let latest = ordered.map_or(begun, |ordered| ordered.max(begun));
        Some((self.payer(row)?, month_of(row, &self.charge_start, latest)?))
    }

    fn bill_in(&mut self, months: BilledMonths) {
        self.months = months;
    }
}

/// Reads a number, before which Partner Center may write an apostrophe so that spreadsheets leave it alone.
fn number(row: &mut Row<'_>, column: &Column) -> Option<BigDecimal> {
    match row.value(column)?.strip_prefix('\'').map(parse_decimal) {
        Some(Ok(number)) => Some(number),
        _ => row.decimal(column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::reading::Sample;

    pub(super) const SEATS: Sample = Sample {
        fields: &[
            ("PartnerId", "8c3f6f50-51a4-4d0e-9d7a-5d2b1a0c7e11"),
            ("CustomerId", "5f0d2c3a-7b1e-4a52-9c1d-0a6e4b8f1201"),
            ("InvoiceNumber", "G048120011"),
            ("ProductId", "CFQ7TTC0LCHC"),
            ("SkuId", "0002"),
            ("SkuName", "Microsoft 365 Business Premium"),
            ("ProductName", "Microsoft 365 Business Premium"),
            ("ChargeType", "cycleCharge"),
            ("Subtotal", "228.00"),
            ("TaxTotal", "43.32"),
            ("Currency", "EUR"),
            ("SubscriptionId", "3b9a1f0c-1d5e-4c77-8f21-7a60b1e50001"),
            ("ChargeStartDate", "8/15/2026"),
            ("ChargeEndDate", "9/14/2026"),
            ("BillableQuantity", "12"),
        ],
        cost: "Subtotal",
        currency: "Currency",
        dates: &["ChargeStartDate", "ChargeEndDate"],
    };

    fn decimal(text: &str) -> BigDecimal {
        parse_decimal(text).expect("a decimal")
    }

    #[test]
    fn seats_are_rounded_down_per_unit_and_usage_before_and_after_the_rate() {
        for (price, quantity, rate, seats, usage) in [
            ("22", "12", "0.8637", "228", "228.01"),
            ("9.999", "-3", "1", "-29.97", "-29.99"),
            ("0.004", "1000", "1", "0", "4"),
        ] {
            let (price, quantity, rate) = (decimal(price), decimal(quantity), decimal(rate));
            assert_eq!(seat_cost(&price, &quantity, &rate), decimal(seats));
            assert_eq!(usage_cost(&price, &quantity, &rate), decimal(usage));
        }
    }

    #[test]
    fn the_published_rounding_cases_are_exact() {
        let Some(corpus) = std::env::var_os("BILLRUNNER_CORPUS") else {
            eprintln!("left out: BILLRUNNER_CORPUS does not name the folder of real charge files");
            return;
        };
        let path = std::path::Path::new(&corpus).join("ms-csp-rounding/expected.json");
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("read")).expect("JSON");
        let number = |case: &serde_json::Value, name: &str| decimal(case[name].as_str().expect("text"));
        for (kind, cost) in [("seat", seat_cost as fn(&_, &_, &_) -> _), ("usage", usage_cost)] {
            let cases = cases[kind].as_array().expect("cases");
            assert!(cases.len() >= 4);
            for case in cases {
                let computed = cost(&number(case, "unit"), &number(case, "qty"), &number(case, "fx"));
                assert_eq!(computed, number(case, "subtotal"), "{case}");
            }
        }
    }
}
