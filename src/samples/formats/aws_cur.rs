//! AWS Cost and Usage Report, names of its first version (`lineItem/UnblendedCost`), with the columns that a report
//! always has, a few of its products' and three tags.
//!
//! Docs: docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html

use super::{Column, cost};
use crate::samples::charge::Kind;

pub(in crate::samples) const COLUMNS: &[Column] = &[
    ("identity/LineItemId", |charge, line| line.hex(charge.id)),
    ("identity/TimeInterval", |charge, line| {
        line.plain(charge.start);
        line.plain("/");
        line.plain(charge.end);
    }),
    ("bill/InvoiceId", |charge, line| line.plain(&charge.payer.invoice_id)),
    ("bill/BillingEntity", |_, line| line.plain("AWS")),
    ("bill/BillType", |_, line| line.plain("Anniversary")),
    ("bill/PayerAccountId", |charge, line| line.plain(&charge.payer.id)),
    ("bill/BillingPeriodStartDate", |charge, line| line.plain(&charge.months.start)),
    ("bill/BillingPeriodEndDate", |charge, line| line.plain(&charge.months.end)),
    ("lineItem/UsageAccountId", |charge, line| line.plain(&charge.account.id)),
    ("lineItem/LineItemType", |charge, line| line.plain(line_item_type(charge.kind))),
    ("lineItem/UsageStartDate", |charge, line| line.plain(charge.start)),
    ("lineItem/UsageEndDate", |charge, line| line.plain(charge.end)),
    ("lineItem/ProductCode", |charge, line| line.plain(charge.service.code)),
    ("lineItem/UsageType", |charge, line| line.plain(charge.service.usage_type)),
    ("lineItem/Operation", |charge, line| line.plain(if charge.kind.is_usage() { "RunInstances" } else { "" })),
    ("lineItem/AvailabilityZone", |_, _| ()),
    ("lineItem/ResourceId", |charge, line| {
        if charge.kind.is_usage() {
            line.plain("i-");
            line.hex(charge.resource);
        }
    }),
    (
        "lineItem/UsageAmount",
        |charge, line| {
            if charge.kind.is_usage() { line.amount(charge.quantity) } else { line.plain("1") }
        },
    ),
    ("lineItem/NormalizationFactor", |_, _| ()),
    ("lineItem/NormalizedUsageAmount", |_, _| ()),
    ("lineItem/CurrencyCode", |charge, line| line.plain(charge.payer.currency)),
    ("lineItem/UnblendedRate", |charge, line| line.amount(charge.unit_price)),
    ("lineItem/UnblendedCost", cost),
    ("lineItem/BlendedRate", |charge, line| line.amount(charge.unit_price)),
    ("lineItem/BlendedCost", cost),
    ("lineItem/LineItemDescription", |charge, line| line.text(charge.description)),
    ("lineItem/TaxType", |charge, line| line.plain(if charge.kind == Kind::Tax { "VAT" } else { "" })),
    ("lineItem/LegalEntity", |_, line| line.text("Amazon Web Services EMEA SARL, España")),
    ("product/ProductName", |charge, line| line.text(charge.service.name)),
    ("product/instanceType", |_, _| ()),
    ("product/operatingSystem", |_, line| line.plain("Linux")),
    ("product/productFamily", |charge, line| line.text(charge.service.subcategory)),
    ("product/region", |charge, line| line.plain(charge.region.0)),
    ("product/regionCode", |charge, line| line.plain(charge.region.0)),
    ("product/location", |charge, line| line.text(charge.region.1)),
    ("product/servicecode", |charge, line| line.plain(charge.service.code)),
    ("product/sku", |charge, line| {
        line.plain("SKU");
        line.plain(charge.service.code);
    }),
    ("pricing/publicOnDemandCost", |charge, line| line.amount(charge.cost.share(5, 4))),
    ("pricing/publicOnDemandRate", |charge, line| line.amount(charge.unit_price.share(5, 4))),
    ("pricing/term", |_, line| line.plain("OnDemand")),
    ("pricing/unit", |charge, line| line.plain(charge.service.unit)),
    ("reservation/ReservationARN", |_, _| ()),
    ("savingsPlan/SavingsPlanARN", |_, _| ()),
    ("resourceTags/user:Environment", |charge, line| line.plain(charge.environment)),
    ("resourceTags/user:Owner", |charge, line| line.plain(charge.owner)),
    ("resourceTags/user:CostCenter", |charge, line| {
        line.plain("cc-");
        line.number(charge.cost_center);
    }),
];

/// A correction of an earlier month is a usage row with that month's hours; the report has no word for it.
fn line_item_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage | Kind::Correction => "Usage",
        Kind::Purchase => "Fee",
        Kind::Tax => "Tax",
        Kind::Credit => "Credit",
        Kind::Refund => "Refund",
    }
}
