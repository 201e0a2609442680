//! Which column of a file is which: FOCUS 1.0–1.3, "Cost and Usage" dataset.
//!
//! Columns are found by name, in any order. Those billrunner needs must be there; FOCUS columns it does not keep are
//! left out; all others are kept as `x_columns` for the detailed CSV.

use crate::providers::{Problem, RejectedFile};

/// Columns without which a row cannot be billed.
const REQUIRED: [&str; 9] = [
    "BilledCost",
    "BillingCurrency",
    "BillingAccountId",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ServiceName",
];

/// All columns of FOCUS 1.0, 1.1, 1.2 and 1.3, by the version that brought them.
const FOCUS: &[&str] = &[
    // 1.0
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    // 1.1
    "CapacityReservationId",
    "CapacityReservationStatus",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountUnit",
    "ServiceSubcategory",
    "SkuMeter",
    "SkuPriceDetails",
    // 1.2
    "BillingAccountType",
    "InvoiceId",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "SubAccountType",
    // 1.3
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "ContractApplied",
    "HostProviderName",
    "ServiceProviderName",
];

/// A column billrunner keeps, and where it is.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) position: Option<usize>,
}

/// Where each column of a file is.
#[derive(Debug)]
pub(super) struct Columns {
    /// As the header writes them.
    pub(super) names: Vec<String>,
    /// Positions of the columns outside FOCUS.
    pub(super) outside_focus: Vec<usize>,
    pub(super) billed_cost: Column,
    pub(super) billing_account_id: Column,
    pub(super) billing_currency: Column,
    pub(super) billing_period_end: Column,
    pub(super) billing_period_start: Column,
    pub(super) charge_category: Column,
    pub(super) charge_class: Column,
    pub(super) charge_description: Column,
    pub(super) charge_frequency: Column,
    pub(super) charge_period_end: Column,
    pub(super) charge_period_start: Column,
    pub(super) consumed_quantity: Column,
    pub(super) consumed_unit: Column,
    pub(super) region_id: Column,
    pub(super) resource_id: Column,
    pub(super) resource_name: Column,
    pub(super) service_category: Column,
    pub(super) service_name: Column,
    pub(super) sku_id: Column,
    pub(super) sub_account_id: Column,
    pub(super) sub_account_name: Column,
    pub(super) tags: Column,
}

impl Columns {
    /// Finds the columns in a header row.
    pub(super) fn find(names: Vec<String>, line: u64) -> Result<Self, RejectedFile> {
        check(&names, line)?;
        let column = |name| Column { name, position: names.iter().position(|found| found == name) };
        let is_outside_focus = |name: &str| !name.is_empty() && !FOCUS.contains(&name);
        Ok(Self {
            billed_cost: column("BilledCost"),
            billing_account_id: column("BillingAccountId"),
            billing_currency: column("BillingCurrency"),
            billing_period_end: column("BillingPeriodEnd"),
            billing_period_start: column("BillingPeriodStart"),
            charge_category: column("ChargeCategory"),
            charge_class: column("ChargeClass"),
            charge_description: column("ChargeDescription"),
            charge_frequency: column("ChargeFrequency"),
            charge_period_end: column("ChargePeriodEnd"),
            charge_period_start: column("ChargePeriodStart"),
            consumed_quantity: column("ConsumedQuantity"),
            consumed_unit: column("ConsumedUnit"),
            region_id: column("RegionId"),
            resource_id: column("ResourceId"),
            resource_name: column("ResourceName"),
            service_category: column("ServiceCategory"),
            service_name: column("ServiceName"),
            sku_id: column("SkuId"),
            sub_account_id: column("SubAccountId"),
            sub_account_name: column("SubAccountName"),
            tags: column("Tags"),
            outside_focus: (0..).zip(&names).filter(|(_, name)| is_outside_focus(name)).map(|(at, _)| at).collect(),
            names,
        })
    }
}

fn check(names: &[String], line: u64) -> Result<(), RejectedFile> {
    if let [only] = names
        && let Some(separator) = other_separator(only)
    {
        let rule = format!("the columns seem to be separated by {separator}; separate them by commas");
        return Err(Problem::new(line, Some(only), Some(only), rule).into());
    }
    let mut rejected = RejectedFile::default();
    for required in REQUIRED.iter().filter(|required| !names.iter().any(|name| name == **required)) {
        let similar = names.iter().find(|name| name.eq_ignore_ascii_case(required));
        let rule = match similar {
            Some(similar) => format!("required FOCUS column is missing; rename `{similar}`"),
            None => "required FOCUS column is missing".to_owned(),
        };
        rejected.add(Problem::new(line, Some(required), None, rule));
    }
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if names.iter().take(at).any(|earlier| earlier == name) {
            rejected.add(Problem::new(line, Some(name), None, "the header names this column twice"));
        }
    }
    if rejected.is_empty() { Ok(()) } else { Err(rejected) }
}

fn other_separator(header: &str) -> Option<&'static str> {
    let known = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];
    known.into_iter().find(|(separator, _)| header.contains(*separator)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &str) -> Result<Columns, RejectedFile> {
        Columns::find(header.split(',').map(str::to_owned).collect(), 1)
    }

    #[test]
    fn focus_columns_that_are_not_kept_are_no_x_columns() {
        let header = format!("{},x_Discounts,Id,ListCost,ServiceProviderName,", REQUIRED.join(","));
        let columns = find(&header).expect("accepted");
        let kept: Vec<&str> = columns.outside_focus.iter().map(|&at| columns.names[at].as_str()).collect();
        assert_eq!(kept, ["x_Discounts", "Id"]);
    }

    #[test]
    fn a_native_header_is_refused_naming_what_focus_requires() {
        let shown = find("lineItem/UsageAccountId,billedCost").expect_err("refused").to_string();
        for required in REQUIRED {
            assert!(shown.contains(&format!("column {required}: required FOCUS column is missing")), "{shown}");
        }
        assert!(shown.contains("rename `billedCost`"), "{shown}");
    }

    #[test]
    fn another_separator_is_named() {
        for (separator, name) in [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")] {
            let shown = find(&REQUIRED.join(separator)).expect_err("refused").to_string();
            assert!(shown.contains(name), "{shown}");
        }
    }

    #[test]
    fn a_column_named_twice_is_refused() {
        let shown = find(&format!("{},Tags,x_a,Tags", REQUIRED.join(","))).expect_err("refused").to_string();
        assert!(shown.contains("line 1, column Tags: the header names this column twice"), "{shown}");
    }
}
