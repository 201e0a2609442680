//! Oracle Cloud: a section per compartment, a line per service.
//!
//! Reads cost reports in Oracle's own format (docs.oracle.com/en-us/iaas/Content/Billing/Concepts/
//! costusagereportsoverview.htm); how its columns become a charge's follows the mapping on that page. Reports come
//! several times a day and a later file supersedes an earlier one of the same month, so a month is sent as one file, of
//! all rows whose usage lies in it: the first report of a month still holds the last hours of the one before, and alone
//! would take its place.
//!
//! A row belongs to the month of its usage interval, as on Oracle's side, unless it corrects an earlier month: Oracle adds
//! corrections as rows of a later report, with the interval of the line they refer back to. They are billed with the latest
//! month of that report's own usage, as corrections of theirs. A correction within the month is part of the month.

use std::collections::BTreeMap;

use super::{
    Profile,
    money_columns::is_money,
    reading::{BilledMonths, Charges, Column, Format, Header, ReadRow, Row, month_of},
};
use crate::domain::{
    billing_period::BillingPeriod,
    charge::{Charge, ChargeCategory},
    document::DocumentKind,
    invoice::LinesBy,
};

/// Usage statements come by the third of the next month, always
/// (docs.oracle.com/en-us/iaas/Content/Billing/Concepts/usagestatements.htm); that the month is final then is our choice:
/// later rows are corrections, which have a section of their own.
const FINAL_ON_DAY: u8 = 4;

pub(super) const PROFILE: Profile = Profile {
    id: "oracle",
    display_name: "Oracle Cloud",
    documents: &DocumentKind::ALL,
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[&COST_REPORT],
};

/// The cost report in Oracle's own format.
const COST_REPORT: Format = Format {
    id: "oci-cost-report",
    name: "OCI cost report",
    required: &[
        &["lineItem/tenantId"],
        &["lineItem/intervalUsageStart"],
        &["lineItem/intervalUsageEnd"],
        &["product/service"],
        &["product/compartmentId"],
        &["cost/myCost"],
        &["cost/currencyCode"],
    ],
    // The documentation writes `lineItem/TenantId` and `product/description`, reports `lineItem/tenantId` and
    // `product/Description`.
    to_known_name: str::to_lowercase,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(Columns::find(header)) },
    #[cfg(test)]
    samples: &[tests::USAGE],
};

/// Before the name of a tag: reports have one column for each.
const TAG: &str = "tags/";
/// Columns that a charge has a field for.
const IN_FIELDS: [&str; 11] = [
    "lineitem/intervalusagestart",
    "lineitem/intervalusageend",
    "product/service",
    "product/compartmentid",
    "product/compartmentname",
    "product/region",
    "product/resourceid",
    "product/description",
    "usage/billedquantity",
    "cost/productsku",
    "cost/currencycode",
];

struct Columns {
    tenant_id: Column,
    start: Column,
    end: Column,
    service: Column,
    compartment_id: Column,
    compartment_name: Column,
    region: Column,
    resource_id: Column,
    billed_quantity: Column,
    unit: Column,
    sku: Column,
    description: Column,
    cost: Column,
    currency: Column,
    is_correction: Column,
    tags: Vec<Column>,
    others: Vec<Column>,
    months: BilledMonths,
}

impl Columns {
    fn find(header: &Header) -> Self {
        let is_other = |name: &str| {
            let own_name = name.rsplit_once('/').map_or(name, |(_, own_name)| own_name);
            !name.starts_with(TAG) && !IN_FIELDS.contains(&name) && !is_money(own_name)
        };
        Self {
            tenant_id: header.column("lineItem/tenantId"),
            start: header.column("lineItem/intervalUsageStart"),
            end: header.column("lineItem/intervalUsageEnd"),
            service: header.column("product/service"),
            compartment_id: header.column("product/compartmentId"),
            compartment_name: header.column("product/compartmentName"),
            region: header.column("product/region"),
            resource_id: header.column("product/resourceId"),
            billed_quantity: header.column("usage/billedQuantity"),
            unit: header.first_column(&["cost/skuUnitDescription", "cost/billingUnitReadable"]),
            sku: header.column("cost/productSku"),
            description: header.column("product/Description"),
            cost: header.column("cost/myCost"),
            currency: header.column("cost/currencyCode"),
            is_correction: header.column("lineItem/isCorrection"),
            tags: header.columns_where(|name| name.starts_with(TAG)),
            others: header.columns_where(is_other),
            months: BilledMonths::default(),
        }
    }

    /// Null `cost/myCost`, as on lines without a price, counts as zero. `cost/myCost` includes overage, and is zero on the
    /// pluggable databases whose share of a cluster stands in `cost/attributedCost`. Without a compartment a row is the
    /// tenancy's, which is its own root compartment.
    fn to_charge(&self, row: &mut Row<'_>) -> Option<Charge> {
        row.check_id(&self.tenant_id);
        row.check_id(&self.compartment_id);
        let tenant_id = row.required(&self.tenant_id);
        let interval = row.charge_period(&self.start, &self.end);
        let billed_cost = row.decimal(&self.cost).unwrap_or_default();
        let billing_currency = row.currency(&self.currency);
        let consumed_quantity = row.decimal(&self.billed_quantity);
        let is_correction = self.is_correction(row);
        let service = row.value(&self.service).or_else(|| row.value(&self.description));
        if service.is_none() {
            row.refuse(&self.service, "must not be null where product/Description is null too");
        }

        let (tenant_id, (start, end)) = (tenant_id?, interval?);
        let own_month = month_of(row, &self.start, start.date_naive())?;
        let billing_period =
            if is_correction? { self.month_of_correction(row, tenant_id, own_month)? } else { own_month };
        Some(Charge {
            billing_account_id: tenant_id.to_owned(),
            billing_period,
            billed_cost,
            billing_currency: billing_currency?,
            charge_category: ChargeCategory::Usage,
            is_correction: own_month < billing_period,
            charge_description: row.owned(&self.description),
            charge_frequency: Some("Usage-Based".to_owned()),
            charge_period_start: start,
            charge_period_end: end,
            consumed_quantity,
            consumed_unit: row.owned(&self.unit),
            region_id: row.owned(&self.region),
            resource_id: row.owned(&self.resource_id),
            resource_name: None,
            service_category: None,
            service_name: service?.to_owned(),
            sku_id: row.owned(&self.sku),
            sub_account_id: row.value(&self.compartment_id).unwrap_or(tenant_id).to_owned(),
            sub_account_name: row.owned(&self.compartment_name),
            tags: self.tags(row),
            x_columns: row.x_columns(&self.others),
        })
    }

    fn is_correction(&self, row: &mut Row<'_>) -> Option<bool> {
        match row.value(&self.is_correction).map(str::to_lowercase).as_deref() {
            None | Some("false") => Some(false),
            Some("true") => Some(true),
            Some(_) => {
                row.refuse(&self.is_correction, "must be true, false or null");
                None
            }
        }
    }

    /// A correction alone says nothing of when it is billed, and must not take the place of the month it corrects.
    fn month_of_correction(&self, row: &mut Row<'_>, tenant_id: &str, own: BillingPeriod) -> Option<BillingPeriod> {
        let billed = self.months.of(tenant_id);
        if billed.is_none() {
            let rule = "the file holds corrections of this tenancy and no usage; a correction is billed with the month whose \
                        report it came in, so send both as one file";
            row.refuse(&self.is_correction, rule);
        }
        billed.map(|billed| billed.max(own))
    }

    /// Puts the tags that a row has into one JSON object, as FOCUS does.
    fn tags(&self, row: &Row<'_>) -> Option<String> {
        let tag = |column| Some((without_prefix(Column::name(column)), row.value(column)?));
        let tags: BTreeMap<&str, &str> = self.tags.iter().filter_map(tag).collect();
        (!tags.is_empty()).then(|| serde_json::to_string(&tags).ok()).flatten()
    }
}

fn without_prefix(tag_column: &str) -> &str {
    tag_column.get(TAG.len()..).unwrap_or(tag_column)
}

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        &self.tenant_id
    }

    fn billing_period(&self) -> &Column {
        &self.start
    }

    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        charges.push_back(self.to_charge(row)?);
        Some(())
    }

    fn is_billed_by_latest_month(&self) -> bool {
        self.is_correction.position().is_some()
    }

    fn billed_month(&self, row: &mut Row<'_>) -> Option<(String, BillingPeriod)> {
        if self.is_correction(row)? {
            return None;
        }
        let start = row.instant(&self.start)?.date_naive();
        Some((row.required(&self.tenant_id)?.to_owned(), month_of(row, &self.start, start)?))
    }

    fn bill_in(&mut self, months: BilledMonths) {
        self.months = months;
    }
}

#[cfg(test)]
mod tests {
    pub(super) const USAGE: crate::providers::reading::Sample = crate::providers::reading::Sample {
        fields: &[
            ("lineItem/referenceNo", "V2.u1+aa=="),
            ("lineItem/tenantId", "ocid1.tenancy.oc1..aaaaaaaasynthetic"),
            ("lineItem/intervalUsageStart", "2026-08-01T00:00Z"),
            ("lineItem/intervalUsageEnd", "2026-08-01 01:00:00 UTC"),
            ("product/service", "COMPUTE"),
            ("product/compartmentId", "ocid1.compartment.oc1..aaaaaaaasynthetic"),
            ("product/Description", "Compute - Standard - E5 - OCPU"),
            ("usage/billedQuantity", "1.5E+1"),
            ("cost/myCost", "4.185E-1"),
            ("cost/currencyCode", "EUR"),
            ("lineItem/isCorrection", "false"),
            ("tags/Oracle-Tags.CreatedBy", "default/ops"),
        ],
        cost: "cost/myCost",
        currency: "cost/currencyCode",
        dates: &["lineItem/intervalUsageStart", "lineItem/intervalUsageEnd"],
    };
}
