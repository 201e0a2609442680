//! Which column of a file is which: FOCUS 1.0–1.3, "Cost and Usage" dataset.
//!
//! Columns are found by name, in any order. Those billrunner needs must be there; FOCUS columns it does not keep are
//! left out; all others are kept as `x_columns` for the detailed CSV.

use crate::providers::reading::{Column, Header};

/// Columns without which a row cannot be billed.
pub(super) const REQUIRED: &[&[&str]] = &[
    &["BilledCost"],
    &["BillingCurrency"],
    &["BillingAccountId"],
    &["BillingPeriodStart"],
    &["BillingPeriodEnd"],
    &["ChargeCategory"],
    &["ChargePeriodStart"],
    &["ChargePeriodEnd"],
    &["ServiceName"],
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

/// Where each column of a file is.
#[derive(Debug)]
pub(super) struct Columns {
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
    /// Columns outside FOCUS.
    pub(super) outside_focus: Vec<Column>,
}

impl Columns {
    /// Finds the columns in a header row.
    pub(super) fn find(header: &Header) -> Self {
        Self {
            billed_cost: header.column("BilledCost"),
            billing_account_id: header.column("BillingAccountId"),
            billing_currency: header.column("BillingCurrency"),
            billing_period_end: header.column("BillingPeriodEnd"),
            billing_period_start: header.column("BillingPeriodStart"),
            charge_category: header.column("ChargeCategory"),
            charge_class: header.column("ChargeClass"),
            charge_description: header.column("ChargeDescription"),
            charge_frequency: header.column("ChargeFrequency"),
            charge_period_end: header.column("ChargePeriodEnd"),
            charge_period_start: header.column("ChargePeriodStart"),
            consumed_quantity: header.column("ConsumedQuantity"),
            consumed_unit: header.column("ConsumedUnit"),
            region_id: header.column("RegionId"),
            resource_id: header.column("ResourceId"),
            resource_name: header.column("ResourceName"),
            service_category: header.column("ServiceCategory"),
            service_name: header.column("ServiceName"),
            sku_id: header.column("SkuId"),
            sub_account_id: header.column("SubAccountId"),
            sub_account_name: header.column("SubAccountName"),
            tags: header.column("Tags"),
            outside_focus: header.columns_where(|name| !FOCUS.contains(&name)),
        }
    }
}
