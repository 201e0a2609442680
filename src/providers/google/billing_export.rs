//! Google Cloud's billing export, standard and detailed usage cost, as CSV out of `BigQuery`.
//!
//! `invoice.month` is the billing period, whenever the usage was. A row without a project, such as support, tax and
//! rounding, belongs to the billing account. Google bills cost plus credits, so each credit is a charge of its own.
//! A nested column is named `project.id`, `project_id` or `project__id` by what took it out of `BigQuery`: capital letters
//! and separators are not looked at. Columns and cost types:
//! cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage and detailed-usage.

use bigdecimal::BigDecimal;
use chrono::{Months, NaiveDate};

use super::credits::{Credit, CreditColumns};
use crate::{
    domain::{
        billing_period::BillingPeriod,
        charge::{Charge, ChargeCategory},
    },
    providers::reading::{Charges, Column, Format, Header, ReadRow, Row},
};

pub(super) const FORMAT: Format = Format {
    id: "google-billing",
    name: "Google billing export",
    required: &[
        &["billing_account_id"],
        &["invoice.month"],
        &["cost_type"],
        &["service.description"],
        &["usage_start_time"],
        &["usage_end_time"],
        &["project.id"],
        &["cost"],
        &["currency"],
        // Without its credits a row says more than Google bills.
        &["credits", "credits.amount", "credits.0.amount"],
    ],
    to_known_name,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(Columns::find(header)) },
    #[cfg(test)]
    samples: &tests::SAMPLES,
};

/// Columns of the export, as they are known here, that are left out where they are not read.
const EXPORTED: &[&str] = &[
    "billing_account_id",
    "consumption_model_description",
    "consumption_model_id",
    "cost",
    "cost_at_effective_price_default",
    "cost_at_list",
    "cost_at_list_consumption_model",
    "cost_type",
    "credits",
    "currency",
    "currency_conversion_rate",
    "export_time",
    "invoice_month",
    "invoice_publisher_type",
    "labels",
    "location_country",
    "location_location",
    "location_region",
    "location_zone",
    "partition_date",
    "partitiontime",
    "project",
    "project_ancestors",
    "project_ancestry_numbers",
    "project_id",
    "project_labels",
    "project_name",
    "project_number",
    "resource_global_name",
    "resource_name",
    "seller_name",
    "service_description",
    "service_id",
    "sku_description",
    "sku_id",
    "subscription_instance_id",
    "system_labels",
    "tags",
    "transaction_type",
    "usage_amount",
    "usage_amount_in_pricing_units",
    "usage_end_time",
    "usage_pricing_unit",
    "usage_start_time",
    "usage_unit",
];
/// Groups of columns that the export fills, of which any may be there.
const EXPORTED_GROUPS: [&str; 3] = ["adjustment_info_", "credits_", "price_"];

fn to_known_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
}

/// FOCUS categories of cost types; the mapping is that of the FOCUS specification
/// (`supporting_content/dimensions/chargecategory.md`).
fn category(cost_type: &str) -> Option<ChargeCategory> {
    match cost_type {
        "regular" => Some(ChargeCategory::Usage),
        "tax" => Some(ChargeCategory::Tax),
        "adjustment" | "rounding_error" => Some(ChargeCategory::Adjustment),
        _ => None,
    }
}

/// Where each column of a file is.
struct Columns {
    billing_account_id: Column,
    invoice_month: Column,
    cost_type: Column,
    cost: Column,
    currency: Column,
    credits: CreditColumns,
    adjustment: Column,
    project_id: Column,
    project_name: Column,
    service: Column,
    service_id: Column,
    sku_id: Column,
    sku_description: Column,
    usage_start: Column,
    usage_end: Column,
    usage_amount: Column,
    usage_unit: Column,
    region: Column,
    resource_id: Column,
    resource_name: Column,
    labels: Column,
    kept: Vec<Column>,
}

impl Columns {
    fn find(header: &Header) -> Self {
        let is_outside =
            |name: &str| !EXPORTED.contains(&name) && !EXPORTED_GROUPS.iter().any(|group| name.starts_with(group));
        let cost_type = header.column("cost_type");
        let kept = std::iter::once(cost_type.clone()).chain(header.columns_where(is_outside));
        Self {
            billing_account_id: header.column("billing_account_id"),
            invoice_month: header.column("invoice.month"),
            kept: kept.collect(),
            cost_type,
            cost: header.column("cost"),
            currency: header.column("currency"),
            credits: CreditColumns::find(header),
            adjustment: header.first_column(&["adjustment_info.mode", "adjustment_info.type"]),
            project_id: header.column("project.id"),
            project_name: header.column("project.name"),
            service: header.column("service.description"),
            service_id: header.column("service.id"),
            sku_id: header.column("sku.id"),
            sku_description: header.column("sku.description"),
            usage_start: header.column("usage_start_time"),
            usage_end: header.column("usage_end_time"),
            usage_amount: header.column("usage.amount"),
            usage_unit: header.column("usage.unit"),
            region: header.first_column(&["location.region", "location.location"]),
            resource_id: header.first_column(&["resource.global_name", "resource.name"]),
            resource_name: header.column("resource.name"),
            labels: header.column("labels"),
        }
    }

    /// Reads `202608`.
    fn billing_period(&self, row: &mut Row<'_>) -> Option<BillingPeriod> {
        let rule = "not an invoice month; write year and month, such as 202608";
        let start = row.parsed(&self.invoice_month, parse_month, rule)?;
        let end = start.checked_add_months(Months::new(1))?;
        row.billing_period_of((&self.invoice_month, start), (&self.invoice_month, end))
    }

    /// Returns the name of the service, or what there is in its place where Google leaves it out.
    fn service_name(&self, row: &mut Row<'_>) -> Option<String> {
        let named = [&self.service, &self.service_id, &self.sku_description];
        let name = named.into_iter().find_map(|column| row.owned(column));
        if name.is_none() {
            row.refuse(&self.service, "must not be null where service.id and sku.description are null too");
        }
        name
    }

    /// Reads all columns before giving up, so that all problems of a row are seen at once.
    fn cost(&self, row: &mut Row<'_>) -> Option<Charge> {
        let billing_account_id = row.required(&self.billing_account_id);
        row.check_id(&self.billing_account_id);
        row.check_id(&self.project_id);
        let billing_period = self.billing_period(row);
        let billed_cost = row.decimal(&self.cost).unwrap_or_default();
        let billing_currency = row.currency(&self.currency);
        let rule = "not a cost type; Google knows regular, tax, adjustment, rounding_error";
        let charge_category = row.parsed(&self.cost_type, category, rule);
        let charge_period = row.charge_period(&self.usage_start, &self.usage_end);
        let consumed_quantity = row.decimal(&self.usage_amount);
        let service_name = self.service_name(row);

        let (billing_account_id, billing_period) = (billing_account_id?, billing_period?);
        let (charge_period_start, charge_period_end) = charge_period?;
        let is_adjusted = row.value(&self.adjustment).is_some();
        Some(Charge {
            billing_period,
            billed_cost,
            billing_currency: billing_currency?,
            charge_category: charge_category?,
            is_correction: is_adjusted && charge_period_start.date_naive() < billing_period.start(),
            charge_description: row.owned(&self.sku_description),
            charge_frequency: None,
            charge_period_start,
            charge_period_end,
            consumed_quantity,
            consumed_unit: row.owned(&self.usage_unit),
            region_id: row.owned(&self.region),
            resource_id: row.owned(&self.resource_id),
            resource_name: row.owned(&self.resource_name),
            service_category: None,
            service_name: service_name?,
            sku_id: row.owned(&self.sku_id),
            sub_account_id: row.value(&self.project_id).unwrap_or(billing_account_id).to_owned(),
            sub_account_name: row.owned(&self.project_name),
            tags: row.owned(&self.labels),
            x_columns: row.x_columns(&self.kept),
            billing_account_id: billing_account_id.to_owned(),
        })
    }
}

fn parse_month(text: &str) -> Option<NaiveDate> {
    let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month) = text.split_at_checked(4).filter(|_| digits)?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
}

/// Makes a charge of a credit. On a row of tax it is tax too: what is not resold has no credit that is.
fn to_charge(credit: Credit, cost: &Charge) -> Charge {
    let is_tax = cost.charge_category == ChargeCategory::Tax;
    let mut x_columns = cost.x_columns.clone();
    x_columns.extend(credit.kind.map(|kind| ("credits.type".to_owned(), kind)));
    Charge {
        billed_cost: credit.amount,
        charge_category: if is_tax { ChargeCategory::Tax } else { ChargeCategory::Credit },
        charge_description: credit.name.or_else(|| cost.charge_description.clone()),
        consumed_quantity: None::<BigDecimal>,
        consumed_unit: None,
        x_columns,
        ..cost.clone()
    }
}

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        &self.billing_account_id
    }

    fn billing_period(&self) -> &Column {
        &self.invoice_month
    }

    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        let cost = self.cost(row);
        let credits = self.credits.read(row);
        let cost = cost?;
        let credits: Vec<Charge> = credits.into_iter().map(|credit| to_charge(credit, &cost)).collect();
        charges.push_back(cost);
        charges.extend(credits);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{
        contract::{changed, charges_of, problems_of, sample_fields},
        google::PROFILE,
        reading::Sample,
    };

    const CREDITS: &str = r#"[{"name":"Sustained Usage Discount","amount":-0.0012,"full_name":"","id":"Sustained Usage Discount","type":"SUSTAINED_USAGE_DISCOUNT"},{"amount":-0.0000000000000000000000000003,"full_name":"Free trial","type":"PROMOTION"}]"#;

    /// Credits as JSON under dotted names, and spread over columns under names with underscores.
    pub(super) const SAMPLES: [Sample; 2] = [
        Sample {
            fields: &[
                ("billing_account_id", "01A2B3-C4D5E6-F70809"),
                ("invoice.month", "202608"),
                ("cost_type", "regular"),
                ("service.id", "6F81-5844-456A"),
                ("service.description", "Compute Engine"),
                ("sku.id", "2E27-4F75-95CD"),
                ("sku.description", "N1 Predefined Instance Core running in EMEA"),
                ("usage_start_time", "2026-08-01 00:00:00 UTC"),
                ("usage_end_time", "2026-08-01 01:00:00.000000 UTC"),
                ("project.id", "shop-production"),
                ("project.name", "Shop"),
                ("labels", "[{\"key\":\"app\",\"value\":\"shop\"}]"),
                ("location.region", "europe-west3"),
                ("cost", "0.0321"),
                ("currency", "EUR"),
                ("currency_conversion_rate", "0.92"),
                ("usage.amount", "3600"),
                ("usage.unit", "seconds"),
                ("price.effective_price", "0.0321"),
                ("credits", CREDITS),
                ("adjustment_info.mode", ""),
                ("cost_at_list", "0.04"),
            ],
            cost: "cost",
            currency: "currency",
            dates: &["invoice.month", "usage_start_time", "usage_end_time"],
        },
        Sample {
            fields: &[
                ("billing_account_id", "01A2B3-C4D5E6-F70809"),
                ("invoice_month", "202608"),
                ("cost_type", "regular"),
                ("service_description", "Compute Engine"),
                ("usage_start_time", "2026-08-01T00:00:00"),
                ("usage_end_time", "2026-08-01T01:00:00"),
                ("project_id", "shop-production"),
                ("cost", "0.0321"),
                ("currency", "EUR"),
                ("credits_0_amount", "-0.0012"),
                ("credits_0_full_name", "Sustained Usage Discount"),
                ("credits_0_type", "SUSTAINED_USAGE_DISCOUNT"),
                ("credits_1_amount", ""),
            ],
            cost: "cost",
            currency: "currency",
            dates: &["invoice_month", "usage_start_time", "usage_end_time"],
        },
    ];

    fn charges(changes: &[(&str, &str)]) -> Vec<Charge> {
        charges_of(&PROFILE, &changed(&SAMPLES[0], changes))
    }

    fn decimal(text: &str) -> BigDecimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn cost_and_credits_add_up_to_what_google_bills() {
        let charges = charges(&[]);
        let costs: Vec<_> = charges.iter().map(|charge| (charge.charge_category, charge.billed_cost.clone())).collect();
        let credit = ChargeCategory::Credit;
        let tiny = decimal("-0.0000000000000000000000000003");
        assert_eq!(costs, [(ChargeCategory::Usage, decimal("0.0321")), (credit, decimal("-0.0012")), (credit, tiny)]);
        let descriptions: Vec<_> = charges.iter().filter_map(|charge| charge.charge_description.as_deref()).collect();
        let sku = "N1 Predefined Instance Core running in EMEA";
        assert_eq!(descriptions, [sku, "Sustained Usage Discount", "Free trial"]);
        assert!(charges.iter().all(|charge| charge.service_name == "Compute Engine"));
        assert_eq!(charges[1].consumed_quantity, None);
        assert!(charges[2].x_columns.contains(&("credits.type".to_owned(), "PROMOTION".to_owned())));
    }

    #[test]
    fn credits_spread_over_columns_are_read_under_every_way_of_writing_them() {
        for prefix in ["credits_0_", "credits.0.", "credits[0].", "credits__0__", "credits.", "credits_"] {
            let renamed = |(name, value): (String, String)| (name.replace("credits_0_", prefix), value);
            let charges = charges_of(&PROFILE, &sample_fields(&SAMPLES[1]).into_iter().map(renamed).collect());
            assert_eq!(charges.len(), 2, "{prefix}");
            assert_eq!(charges[1].billed_cost, decimal("-0.0012"), "{prefix}");
            assert_eq!(charges[1].charge_description.as_deref(), Some("Sustained Usage Discount"), "{prefix}");
        }
    }

    #[test]
    fn a_bad_credit_is_refused_whichever_way_it_is_written() {
        for text in ["[{'amount': -1}]", "[{\"amount\":\"$1\"}]", "-0.5"] {
            let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &[("credits", text)]));
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert!(
                shown[0].starts_with(&format!("line 2, column credits, value `{text}`: not a JSON list")),
                "{shown:?}"
            );
        }
        let shown = problems_of(&PROFILE, &changed(&SAMPLES[1], &[("credits_0_amount", "-1,5")]));
        assert!(
            shown[0].starts_with("line 2, column credits_0_amount, value `-1,5`: not a decimal number"),
            "{shown:?}"
        );
    }

    #[test]
    fn a_row_has_no_more_credits_than_fit_into_the_memory() {
        let credits = |count: usize| format!("[{}]", vec!["{\"amount\":-1}"; count].join(","));
        assert_eq!(charges(&[("credits", &credits(100))]).len(), 101);
        let long = "x".repeat(1024 * 1024);
        for changes in [&[("credits", credits(101).as_str())][..], &[("credits", &credits(64)), ("labels", &long)]] {
            let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], changes));
            assert!(shown.len() == 1 && shown[0].ends_with("Google grants a handful"), "{shown:?}");
        }
        assert_eq!(charges(&[("credits", &credits(63)), ("labels", &long)]).len(), 64);
        assert!(!problems_of(&PROFILE, &changed(&SAMPLES[0], &[("credits", &credits(100_000))])).is_empty());
    }

    #[test]
    fn rows_without_credits_are_one_charge() {
        for none in ["[]", ""] {
            assert_eq!(charges(&[("credits", none)]).len(), 1);
        }
    }

    #[test]
    fn the_invoice_month_is_the_period_whenever_the_usage_was() {
        let charge = charges(&[("usage_start_time", "2026-07-31 23:00:00 UTC")]).remove(0);
        assert_eq!((charge.billing_period.to_string().as_str(), charge.is_correction), ("2026-08", false));
        for bad in ["2026-08", "202613", "20268", "199908", "+20268"] {
            let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &[("invoice.month", bad)]));
            assert!(shown[0].starts_with(&format!("line 2, column invoice.month, value `{bad}`: ")), "{shown:?}");
        }
    }

    #[test]
    fn an_adjustment_of_an_earlier_month_is_a_correction() {
        let earlier = [("usage_start_time", "2026-07-05 00:00:00 UTC"), ("cost_type", "adjustment")];
        for (mode, is_correction) in [("PARTIAL_CORRECTION", true), ("", false)] {
            let charge = charges(&[earlier.as_slice(), &[("adjustment_info.mode", mode)]].concat()).remove(0);
            assert_eq!((charge.charge_category, charge.is_correction), (ChargeCategory::Adjustment, is_correction));
        }
        assert!(!charges(&[("adjustment_info.mode", "MANUAL_ADJUSTMENT")])[0].is_correction);
    }

    #[test]
    fn every_cost_type_has_its_category_and_no_other_is_accepted() {
        for (cost_type, category) in [
            ("regular", ChargeCategory::Usage),
            ("tax", ChargeCategory::Tax),
            ("adjustment", ChargeCategory::Adjustment),
            ("rounding_error", ChargeCategory::Adjustment),
        ] {
            assert_eq!(charges(&[("cost_type", cost_type)])[0].charge_category, category, "{cost_type}");
        }
        let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &[("cost_type", "purchase")]));
        assert!(shown[0].starts_with("line 2, column cost_type, value `purchase`: not a cost type"), "{shown:?}");
    }

    #[test]
    fn a_credit_on_tax_is_tax_and_is_not_resold_either() {
        let charges = charges(&[("cost_type", "tax")]);
        assert!(charges.len() == 3 && charges.iter().all(|charge| charge.charge_category == ChargeCategory::Tax));
    }

    #[test]
    fn a_row_without_a_project_belongs_to_the_billing_account() {
        let charge = charges(&[("project.id", ""), ("project.name", "")]).remove(0);
        assert_eq!(charge.sub_account_id, "01A2B3-C4D5E6-F70809");
        assert_eq!(charges(&[])[0].sub_account_id, "shop-production");
    }

    #[test]
    fn a_row_without_a_service_is_named_by_what_there_is() {
        assert_eq!(charges(&[("service.description", "")])[0].service_name, "6F81-5844-456A");
        let nothing = [("service.description", ""), ("service.id", ""), ("sku.description", "")];
        let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &nothing));
        assert!(shown[0].starts_with("line 2, column service.description: must not be null"), "{shown:?}");
    }

    #[test]
    fn no_column_of_the_export_that_speaks_of_prices_is_kept() {
        let kept = charges(&[])[0].x_columns.clone();
        assert_eq!(kept, [("cost_type".to_owned(), "regular".to_owned())]);
    }
}
