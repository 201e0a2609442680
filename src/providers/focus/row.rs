//! One row of a FOCUS file becomes a charge.
//!
//! Null `BilledCost` counts as zero. Where `ServiceName` is null, `ServiceCategory` stands in: FOCUS forbids null in both,
//! and exports that break one rule seldom break the other. A null `SubAccountId` means the billing account itself.

use super::columns::Columns;
use crate::{
    domain::charge::{Charge, ChargeCategory},
    providers::reading::{Charges, Column, ReadRow, Row},
};

/// The only value FOCUS gives `ChargeClass` besides null.
const CORRECTION: &str = "Correction";

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        &self.billing_account_id
    }

    fn billing_period(&self) -> &Column {
        &self.billing_period_end
    }

    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        charges.push_back(to_charge(self, row)?);
        Some(())
    }
}

/// Reads all columns before giving up, so that all problems of a row are seen at once.
fn to_charge(columns: &Columns, row: &mut Row<'_>) -> Option<Charge> {
    let billing_account_id = row.required(&columns.billing_account_id);
    row.check_id(&columns.billing_account_id);
    row.check_id(&columns.sub_account_id);
    let billing_period = row.billing_period(&columns.billing_period_start, &columns.billing_period_end);
    let billed_cost = row.decimal(&columns.billed_cost).unwrap_or_default();
    let billing_currency = row.currency(&columns.billing_currency);
    let charge_category = row.parsed(
        &columns.charge_category,
        |category| category.parse::<ChargeCategory>().ok(),
        "not a charge category; FOCUS knows Usage, Purchase, Tax, Credit, Adjustment",
    );
    let is_correction = is_correction(columns, row);
    let charge_period = row.charge_period(&columns.charge_period_start, &columns.charge_period_end);
    let consumed_quantity = row.decimal(&columns.consumed_quantity);
    let service_name = service_name(columns, row);

    let billing_account_id = billing_account_id?;
    let (charge_period_start, charge_period_end) = charge_period?;
    Some(Charge {
        billing_period: billing_period?,
        billed_cost,
        billing_currency: billing_currency?,
        charge_category: charge_category?,
        is_correction,
        charge_description: row.owned(&columns.charge_description),
        charge_frequency: row.owned(&columns.charge_frequency),
        charge_period_start,
        charge_period_end,
        consumed_quantity,
        consumed_unit: row.owned(&columns.consumed_unit),
        region_id: row.owned(&columns.region_id),
        resource_id: row.owned(&columns.resource_id),
        resource_name: row.owned(&columns.resource_name),
        service_category: row.owned(&columns.service_category),
        service_name: service_name?.to_owned(),
        sku_id: row.owned(&columns.sku_id),
        sub_account_id: row.value(&columns.sub_account_id).unwrap_or(billing_account_id).to_owned(),
        sub_account_name: row.owned(&columns.sub_account_name),
        tags: row.owned(&columns.tags),
        x_columns: row.x_columns(&columns.outside_focus),
        billing_account_id: billing_account_id.to_owned(),
    })
}

fn is_correction(columns: &Columns, row: &mut Row<'_>) -> bool {
    match row.value(&columns.charge_class) {
        None => false,
        Some(CORRECTION) => true,
        Some(_) => {
            row.refuse(&columns.charge_class, "not a charge class; FOCUS knows null and Correction");
            false
        }
    }
}

fn service_name<'a>(columns: &Columns, row: &mut Row<'a>) -> Option<&'a str> {
    let name = row.value(&columns.service_name).or_else(|| row.value(&columns.service_category));
    if name.is_none() {
        row.refuse(&columns.service_name, "must not be null where ServiceCategory is null too");
    }
    name
}
