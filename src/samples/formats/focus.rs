//! FOCUS 1.2, "Cost and Usage", in the order real exports have, and two columns of the provider's own.

use super::{Column, cost};
use crate::samples::{
    charge::{Kind, SampleCharge},
    line::Line,
};

pub(in crate::samples) const COLUMNS: &[Column] = &[
    ("ProviderName", |charge, line| line.plain(charge.scene.name)),
    ("PublisherName", |charge, line| line.plain(charge.scene.name)),
    ("InvoiceIssuerName", |charge, line| line.plain(charge.scene.name)),
    ("InvoiceId", |charge, line| line.plain(&charge.payer.invoice_id)),
    ("BillingAccountId", |charge, line| line.plain(&charge.payer.id)),
    ("BillingAccountName", |charge, line| line.text(&charge.payer.name)),
    ("BillingAccountType", |charge, line| line.plain(charge.scene.billing_account_type)),
    ("SubAccountId", |charge, line| line.plain(&charge.account.id)),
    ("SubAccountName", |charge, line| line.text(&charge.account.name)),
    ("SubAccountType", |charge, line| line.plain(charge.scene.sub_account_type)),
    ("BillingPeriodStart", |charge, line| line.plain(&charge.months.start)),
    ("BillingPeriodEnd", |charge, line| line.plain(&charge.months.end)),
    ("ChargePeriodStart", |charge, line| line.plain(charge.start)),
    ("ChargePeriodEnd", |charge, line| line.plain(charge.end)),
    ("ChargeCategory", |charge, line| line.plain(charge.kind.category())),
    ("ChargeClass", |charge, line| line.plain(if charge.kind == Kind::Correction { "Correction" } else { "" })),
    ("ChargeDescription", |charge, line| line.text(charge.description)),
    ("ChargeFrequency", |charge, line| {
        line.plain(match charge.kind {
            Kind::Usage | Kind::Correction => "Usage-Based",
            Kind::Purchase => "Recurring",
            Kind::Tax | Kind::Credit | Kind::Refund => "One-Time",
        });
    }),
    ("BilledCost", cost),
    ("EffectiveCost", |charge, line| if charge.kind == Kind::Purchase { line.plain("0") } else { cost(charge, line) }),
    ("ListCost", |charge, line| line.amount(charge.cost.share(5, 4))),
    ("ContractedCost", |charge, line| line.amount(charge.cost)),
    ("ListUnitPrice", |charge, line| if_usage(charge, line, |line| line.amount(charge.unit_price.share(5, 4)))),
    ("ContractedUnitPrice", |charge, line| if_usage(charge, line, |line| line.amount(charge.unit_price))),
    ("PricingCategory", |charge, line| if_usage(charge, line, |line| line.plain("Standard"))),
    ("PricingQuantity", |charge, line| if_usage(charge, line, |line| line.amount(charge.quantity))),
    ("PricingUnit", |charge, line| if_usage(charge, line, |line| line.plain(charge.service.unit))),
    ("PricingCurrency", |charge, line| line.plain(charge.payer.currency)),
    ("PricingCurrencyContractedUnitPrice", |charge, line| {
        if_usage(charge, line, |line| line.amount(charge.unit_price));
    }),
    ("PricingCurrencyEffectiveCost", |charge, line| line.amount(charge.cost)),
    ("PricingCurrencyListUnitPrice", |charge, line| {
        if_usage(charge, line, |line| line.amount(charge.unit_price.share(5, 4)));
    }),
    ("BillingCurrency", |charge, line| line.plain(charge.payer.currency)),
    ("ConsumedQuantity", |charge, line| if_usage(charge, line, |line| line.amount(charge.quantity))),
    ("ConsumedUnit", |charge, line| if_usage(charge, line, |line| line.plain(charge.service.unit))),
    ("ServiceName", |charge, line| line.text(charge.service.name)),
    ("ServiceCategory", |charge, line| line.plain(charge.service.category)),
    ("ServiceSubcategory", |charge, line| line.plain(charge.service.subcategory)),
    ("SkuId", |charge, line| sku(charge, line, "SKU-")),
    ("SkuMeter", |charge, line| line.text(charge.service.usage_type)),
    ("SkuPriceId", |charge, line| sku(charge, line, "SPRICE-")),
    ("SkuPriceDetails", |charge, line| {
        if_usage(charge, line, |line| line.plain(r#""{""CoreCount"":2,""OperatingSystem"":""Linux""}""#));
    }),
    ("ResourceId", |charge, line| {
        line.plain("urn:");
        line.plain(charge.scene.provider);
        line.plain(":");
        line.plain(&charge.account.id);
        line.plain(":");
        line.hex(charge.resource);
    }),
    ("ResourceName", |charge, line| {
        line.plain(charge.environment);
        line.plain("-");
        line.hex(charge.resource);
    }),
    ("ResourceType", |charge, line| line.plain(charge.service.resource_type)),
    ("RegionId", |charge, line| line.plain(charge.region.0)),
    ("RegionName", |charge, line| line.text(charge.region.1)),
    ("AvailabilityZone", nothing),
    ("CommitmentDiscountId", nothing),
    ("CommitmentDiscountName", nothing),
    ("CommitmentDiscountCategory", nothing),
    ("CommitmentDiscountType", nothing),
    ("CommitmentDiscountStatus", nothing),
    ("CommitmentDiscountQuantity", nothing),
    ("CommitmentDiscountUnit", nothing),
    ("CapacityReservationId", nothing),
    ("CapacityReservationStatus", nothing),
    ("Tags", tags),
    ("x_ServiceCode", |charge, line| line.text(charge.service.code)),
    ("x_UsageType", |charge, line| if_usage(charge, line, |line| line.text(charge.service.usage_type))),
];

fn nothing(_: &SampleCharge<'_>, _: &mut Line) {}

fn if_usage(charge: &SampleCharge<'_>, line: &mut Line, write: impl FnOnce(&mut Line)) {
    if charge.kind.is_usage() {
        write(line);
    }
}

fn sku(charge: &SampleCharge<'_>, line: &mut Line, prefix: &str) {
    line.plain(prefix);
    line.plain(charge.scene.provider);
    line.plain("-");
    line.text(charge.service.resource_type);
}

/// JSON in quotes, its own quotes doubled.
fn tags(charge: &SampleCharge<'_>, line: &mut Line) {
    line.plain(r#""{""Environment"":"""#);
    line.plain(charge.environment);
    line.plain(r#""",""Owner"":"""#);
    line.plain(charge.owner);
    line.plain(r#""",""CostCenter"":""cc-"#);
    line.number(charge.cost_center);
    line.plain(r#"""}""#);
}
