//! AWS Cost and Usage Reports: the legacy CUR and CUR 2.0, as CSV.
//!
//! A column has several names: `lineItem/UnblendedCost` in the legacy report, `line_item_unblended_cost` in CUR 2.0 and
//! Athena, `lineitem_unblendedcost` in Redshift. They differ in capital letters and separators only, so those are not
//! looked at. `billed_cost` is the unblended cost: what AWS charges for the row, where the blended cost is an average over
//! an organization. Null counts as zero, as in FOCUS. Columns:
//! docs.aws.amazon.com/cur/latest/userguide/data-dictionary.html and table-dictionary-cur2.html.

use serde::Deserialize;

use crate::{
    domain::charge::{Charge, ChargeCategory},
    providers::reading::{Charges, Column, Format, Header, ReadRow, Row},
};

pub(super) const FORMAT: Format = Format {
    id: "aws-cur",
    name: "AWS CUR",
    required: &[
        &["lineItem/UnblendedCost"],
        &["lineItem/CurrencyCode"],
        &["lineItem/LineItemType"],
        &["lineItem/UsageAccountId"],
        &["lineItem/UsageStartDate"],
        &["lineItem/UsageEndDate"],
        &["lineItem/ProductCode"],
        &["bill/PayerAccountId"],
        &["bill/BillingPeriodStartDate"],
        &["bill/BillingPeriodEndDate"],
    ],
    to_known_name,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(Columns::find(header)) },
    #[cfg(test)]
    samples: &tests::SAMPLES,
};

/// Groups of columns that AWS fills, in both ways of writing them; those that are not read are left out. Tags and cost
/// categories, which the payer defines, are none of them.
const GROUPS: [&str; 10] = [
    "bill",
    "capacityreservation",
    "discount",
    "identity",
    "lineitem",
    "pricing",
    "product",
    "reservation",
    "savingsplan",
    "splitlineitem",
];
const TAGS: &str = "resourcetags";
const NOT_AN_ACCOUNT: &str = "not an AWS account id, which is all digits; has a spreadsheet rewritten it?";

fn to_known_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns what follows a group's name and a separator: `user:app` of `resourceTags/user:app`.
fn within_group<'a>(name: &'a str, group: &str) -> Option<&'a str> {
    let ends = name.char_indices().filter(|(_, c)| matches!(c, '/' | '_'));
    let mut splits = ends.filter_map(|(at, _)| name.split_at_checked(at));
    let (_, behind) = splits.find(|(before, _)| to_known_name(before) == group)?;
    behind.get(1..)
}

/// FOCUS categories of line item types.
///
/// The types are those of docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html and cur-sp.html, and the discounts
/// that Cost Explorer names as charge types. Their categories follow the FOCUS specification's own mapping of CUR
/// (`supporting_content/dimensions/chargecategory.md`): what lowers the price of usage, such as `SavingsPlanNegation`, is
/// usage, as FOCUS holds usage after all discounts. A type that AWS adds later is refused rather than guessed at.
fn category(line_item_type: &str) -> Option<(ChargeCategory, &'static str)> {
    Some(match line_item_type {
        "Usage"
        | "DiscountedUsage"
        | "SavingsPlanCoveredUsage"
        | "SavingsPlanNegation"
        | "BundledDiscount"
        | "Discount"
        | "DistributorDiscount"
        | "EdpDiscount"
        | "PrivateRateDiscount"
        | "RiVolumeDiscount"
        | "SppDiscount" => (ChargeCategory::Usage, "Usage-Based"),
        "Fee" | "SavingsPlanUpfrontFee" => (ChargeCategory::Purchase, "One-Time"),
        "RIFee" | "SavingsPlanRecurringFee" | "FlatRateSubscription" => (ChargeCategory::Purchase, "Recurring"),
        "Tax" => (ChargeCategory::Tax, "One-Time"),
        "Credit" => (ChargeCategory::Credit, "One-Time"),
        "Refund" => (ChargeCategory::Adjustment, "One-Time"),
        _ => return None,
    })
}

/// Where each column of a file is.
struct Columns {
    billed_cost: Column,
    currency: Column,
    line_item_type: Column,
    usage_account_id: Column,
    usage_account_name: Column,
    usage_start: Column,
    usage_end: Column,
    usage_amount: Column,
    unit: Column,
    payer_account_id: Column,
    period_start: Column,
    period_end: Column,
    product_code: Column,
    product_name: Column,
    product: Column,
    description: Column,
    region: Column,
    resource_id: Column,
    sku: Column,
    tags_map: Column,
    /// One column per tag, with the tag's key.
    tags: Vec<(String, Column)>,
    kept: Vec<Column>,
}

impl Columns {
    fn find(header: &Header) -> Self {
        let tags = header.columns_written(|name| within_group(name, TAGS).is_some());
        let key = |column: &Column| within_group(column.name(), TAGS).unwrap_or_default().to_owned();
        let is_filled_by_aws = |name: &str| {
            GROUPS.iter().any(|group| within_group(name, group).is_some())
                || ["product", "discount", "resourcetags"].contains(&to_known_name(name).as_str())
        };
        let is_outside = |name: &str| !is_filled_by_aws(name) && within_group(name, TAGS).is_none();
        // AWS keeps the same four in its FOCUS export, as `x_ServiceCode`, `x_UsageType` and `x_Operation`, but for the first.
        let own = ["lineItem/LineItemType", "lineItem/ProductCode", "lineItem/UsageType", "lineItem/Operation"];
        let kept = own.iter().map(|name| header.column(name)).chain(header.columns_written(is_outside));
        Self {
            billed_cost: header.column("lineItem/UnblendedCost"),
            currency: header.column("lineItem/CurrencyCode"),
            line_item_type: header.column("lineItem/LineItemType"),
            usage_account_id: header.column("lineItem/UsageAccountId"),
            usage_account_name: header.column("lineItem/UsageAccountName"),
            usage_start: header.column("lineItem/UsageStartDate"),
            usage_end: header.column("lineItem/UsageEndDate"),
            usage_amount: header.column("lineItem/UsageAmount"),
            unit: header.column("pricing/unit"),
            payer_account_id: header.column("bill/PayerAccountId"),
            period_start: header.column("bill/BillingPeriodStartDate"),
            period_end: header.column("bill/BillingPeriodEndDate"),
            product_code: header.column("lineItem/ProductCode"),
            product_name: header.column("product/ProductName"),
            product: header.column("product"),
            description: header.column("lineItem/LineItemDescription"),
            region: header.first_column(&["product/regionCode", "product/region"]),
            resource_id: header.column("lineItem/ResourceId"),
            sku: header.column("product/sku"),
            tags_map: header.column("resource_tags"),
            kept: kept.collect(),
            tags: tags.into_iter().map(|column| (key(&column), column)).collect(),
        }
    }

    fn account(row: &mut Row<'_>, column: &Column) {
        row.check_id(column);
        if row.value(column).is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_digit())) {
            row.refuse(column, NOT_AN_ACCOUNT);
        }
    }

    /// Returns the product's name, out of a column of its own or CUR 2.0's map of product attributes, or else its code.
    fn service_name(&self, row: &mut Row<'_>) -> Option<String> {
        let named = row.owned(&self.product_name).or_else(|| {
            let product: Product = serde_json::from_str(row.value(&self.product)?).ok()?;
            product.product_name.filter(|name| !name.trim().is_empty())
        });
        named.or_else(|| row.required(&self.product_code).map(str::to_owned))
    }

    /// Returns the tags as JSON: CUR 2.0's map as it stands, or what stands in the column of each tag.
    fn tags(&self, row: &Row<'_>) -> Option<String> {
        if let Some(map) = row.owned(&self.tags_map) {
            return Some(map);
        }
        let set = self.tags.iter().filter_map(|(key, column)| Some((key.clone(), row.owned(column)?.into())));
        let tags: serde_json::Map<_, _> = set.collect();
        (!tags.is_empty()).then(|| serde_json::Value::Object(tags).to_string())
    }
}

/// CUR 2.0's `product` column.
#[derive(Deserialize)]
struct Product {
    product_name: Option<String>,
}

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        &self.payer_account_id
    }

    fn billing_period(&self) -> &Column {
        &self.period_end
    }

    /// Reads all columns before giving up, so that all problems of a row are seen at once.
    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        let billing_account_id = row.required(&self.payer_account_id);
        Self::account(row, &self.payer_account_id);
        Self::account(row, &self.usage_account_id);
        let billing_period = row.billing_period(&self.period_start, &self.period_end);
        let billed_cost = row.decimal(&self.billed_cost).unwrap_or_default();
        let billing_currency = row.currency(&self.currency);
        let category = row.parsed(
            &self.line_item_type,
            category,
            "not a line item type that is known here; tell us, rather than have it guessed at",
        );
        let charge_period = row.charge_period(&self.usage_start, &self.usage_end);
        let consumed_quantity = row.decimal(&self.usage_amount);
        let service_name = self.service_name(row);

        let billing_account_id = billing_account_id?;
        let (charge_category, charge_frequency) = category?;
        let (charge_period_start, charge_period_end) = charge_period?;
        charges.push_back(Charge {
            billing_period: billing_period?,
            billed_cost,
            billing_currency: billing_currency?,
            charge_category,
            is_correction: false,
            charge_description: row.owned(&self.description),
            charge_frequency: Some(charge_frequency.to_owned()),
            charge_period_start,
            charge_period_end,
            consumed_quantity,
            consumed_unit: row.owned(&self.unit),
            region_id: row.owned(&self.region),
            resource_id: row.owned(&self.resource_id),
            resource_name: None,
            service_category: None,
            service_name: service_name?,
            sku_id: row.owned(&self.sku),
            sub_account_id: row.value(&self.usage_account_id).unwrap_or(billing_account_id).to_owned(),
            sub_account_name: row.owned(&self.usage_account_name),
            tags: self.tags(row),
            x_columns: row.x_columns(&self.kept),
            billing_account_id: billing_account_id.to_owned(),
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{
        aws::PROFILE,
        contract::{changed, charges_of, problems_of, sample_fields},
        reading::Sample,
    };

    const DATES: [&str; 4] = [
        "bill/BillingPeriodStartDate",
        "bill/BillingPeriodEndDate",
        "lineItem/UsageStartDate",
        "lineItem/UsageEndDate",
    ];
    const DATES_2: [&str; 4] = [
        "bill_billing_period_start_date",
        "bill_billing_period_end_date",
        "line_item_usage_start_date",
        "line_item_usage_end_date",
    ];

    /// The legacy report, and CUR 2.0.
    pub(super) const SAMPLES: [Sample; 2] = [
        Sample {
            fields: &[
                ("identity/LineItemId", "fxyj3lpqtnn3fhy4"),
                ("identity/TimeInterval", "2026-08-01T00:00:00Z/2026-08-01T01:00:00Z"),
                ("bill/PayerAccountId", "000123456789"),
                ("bill/BillingPeriodStartDate", "2026-08-01T00:00:00Z"),
                ("bill/BillingPeriodEndDate", "2026-09-01T00:00:00Z"),
                ("lineItem/UsageAccountId", "000000000042"),
                ("lineItem/LineItemType", "Usage"),
                ("lineItem/UsageStartDate", "2026-08-01T00:00:00Z"),
                ("lineItem/UsageEndDate", "2026-08-01T01:00:00.000Z"),
                ("lineItem/ProductCode", "AmazonEC2"),
                ("lineItem/UsageType", "EUC1-BoxUsage:t3.micro"),
                ("lineItem/Operation", "RunInstances"),
                ("lineItem/ResourceId", "i-0123456789abcdef0"),
                ("lineItem/UsageAmount", "1.0000000000"),
                ("lineItem/CurrencyCode", "USD"),
                ("lineItem/UnblendedRate", "0.0120000000"),
                ("lineItem/UnblendedCost", "0.0120000000"),
                ("lineItem/BlendedCost", "0.0110000000"),
                ("lineItem/LineItemDescription", "$0.012 per On Demand Linux t3.micro Instance Hour"),
                ("product/ProductName", "Amazon Elastic Compute Cloud"),
                ("product/regionCode", "eu-central-1"),
                ("product/sku", "F7H573U68YVYCHZW"),
                ("pricing/unit", "Hrs"),
                ("reservation/EffectiveCost", "0.0"),
                ("resourceTags/aws:createdBy", ""),
                ("resourceTags/user:app", "shop \"one\""),
                ("costCategory/Team", "web"),
            ],
            cost: "lineItem/UnblendedCost",
            currency: "lineItem/CurrencyCode",
            dates: &DATES,
        },
        Sample {
            fields: &[
                ("bill_payer_account_id", "000123456789"),
                ("bill_billing_period_start_date", "2026-08-01T00:00:00.000Z"),
                ("bill_billing_period_end_date", "2026-09-01T00:00:00.000Z"),
                ("line_item_usage_account_id", "000000000042"),
                ("line_item_usage_account_name", "Shop"),
                ("line_item_line_item_type", "Usage"),
                ("line_item_usage_start_date", "2026-08-01T00:00:00.000Z"),
                ("line_item_usage_end_date", "2026-08-01T01:00:00.000Z"),
                ("line_item_product_code", "AmazonEC2"),
                ("line_item_currency_code", "USD"),
                ("line_item_unblended_cost", "0.012"),
                ("product", "{\"product_name\":\"Amazon Elastic Compute Cloud\"}"),
                ("product_region_code", "eu-central-1"),
                ("resource_tags", "{\"user_app\":\"shop\"}"),
                ("cost_category", "{\"team\":\"web\"}"),
                ("discount", "{\"total_discount\":0.001}"),
            ],
            cost: "line_item_unblended_cost",
            currency: "line_item_currency_code",
            dates: &DATES_2,
        },
    ];

    fn charge(changes: &[(&str, &str)]) -> Charge {
        let mut read = charges_of(&PROFILE, &changed(&SAMPLES[0], changes));
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    #[test]
    fn what_a_row_of_the_legacy_report_says_is_read() {
        let charge = charge(&[]);
        assert_eq!(charge.billing_period.to_string(), "2026-08");
        assert_eq!(charge.charge_period_end.to_string(), "2026-08-01 01:00:00 UTC");
        assert_eq!((charge.billed_cost, charge.consumed_quantity), ("0.012".parse().unwrap(), Some(1.into())));
        assert_eq!(charge.service_name, "Amazon Elastic Compute Cloud");
        assert_eq!(charge.tags.as_deref(), Some("{\"user:app\":\"shop \\\"one\\\"\"}"));
        let kept = [
            ("lineItem/LineItemType", "Usage"),
            ("lineItem/ProductCode", "AmazonEC2"),
            ("lineItem/UsageType", "EUC1-BoxUsage:t3.micro"),
            ("lineItem/Operation", "RunInstances"),
            ("costCategory/Team", "web"),
        ];
        assert_eq!(charge.x_columns, kept.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_a_row_of_cur_2_says_is_read() {
        let charge = charges_of(&PROFILE, &sample_fields(&SAMPLES[1])).remove(0);
        assert_eq!(charge.service_name, "Amazon Elastic Compute Cloud");
        assert_eq!(charge.sub_account_name.as_deref(), Some("Shop"));
        assert_eq!(charge.region_id.as_deref(), Some("eu-central-1"));
        assert_eq!(charge.tags.as_deref(), Some("{\"user_app\":\"shop\"}"));
        let kept: Vec<_> = charge.x_columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["line_item_line_item_type", "line_item_product_code", "cost_category"]);
    }

    #[test]
    fn names_written_as_athena_and_redshift_do_are_the_same_columns() {
        let expected = charge(&[]);
        for rewrite in [athena as fn(&str) -> String, |name| name.to_lowercase().replace(['/', ':'], "_")] {
            let fields = sample_fields(&SAMPLES[0]).into_iter().map(|(name, value)| (rewrite(&name), value)).collect();
            let charge = charges_of(&PROFILE, &fields).remove(0);
            assert_eq!(charge.tags.as_deref(), Some("{\"user_app\":\"shop \\\"one\\\"\"}"));
            let same = Charge { x_columns: expected.x_columns.clone(), tags: expected.tags.clone(), ..charge };
            assert_eq!(same, expected);
        }
    }

    fn athena(name: &str) -> String {
        let mut written = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !written.ends_with('_') {
                written.push('_');
            }
            written.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        }
        written
    }

    #[test]
    fn every_line_item_type_has_its_category() {
        for (names, category) in [
            ("Usage DiscountedUsage SavingsPlanCoveredUsage SavingsPlanNegation", ChargeCategory::Usage),
            ("BundledDiscount Discount EdpDiscount PrivateRateDiscount SppDiscount", ChargeCategory::Usage),
            ("Fee RIFee SavingsPlanUpfrontFee SavingsPlanRecurringFee FlatRateSubscription", ChargeCategory::Purchase),
            ("Tax", ChargeCategory::Tax),
            ("Credit", ChargeCategory::Credit),
            ("Refund", ChargeCategory::Adjustment),
        ] {
            for name in names.split(' ') {
                assert_eq!(charge(&[("lineItem/LineItemType", name)]).charge_category, category, "{name}");
            }
        }
    }

    #[test]
    fn a_line_item_type_that_is_not_known_is_refused_with_its_name() {
        for unknown in ["Surprise", "usage", ""] {
            let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &[("lineItem/LineItemType", unknown)]));
            let [problem] = shown.as_slice() else { panic!("{shown:?}") };
            assert!(problem.starts_with("line 2, column lineItem/LineItemType"), "{problem}");
            assert!(unknown.is_empty() || problem.contains(&format!("value `{unknown}`")), "{problem}");
        }
    }

    #[test]
    fn account_ids_keep_their_zeros_and_no_spreadsheets_rewriting() {
        let charge = charge(&[]);
        assert_eq!(
            (charge.billing_account_id.as_str(), charge.sub_account_id.as_str()),
            ("000123456789", "000000000042")
        );
        for column in ["bill/PayerAccountId", "lineItem/UsageAccountId"] {
            let shown = problems_of(&PROFILE, &changed(&SAMPLES[0], &[(column, "1.23457E+11")])).join("\n");
            assert!(shown.contains(&format!("column {column}, value `1.23457E+11`: not an AWS account id")), "{shown}");
        }
    }

    #[test]
    fn a_product_without_a_name_is_called_by_its_code() {
        assert_eq!(charge(&[("product/ProductName", "")]).service_name, "AmazonEC2");
        for product in ["{}", "{\"product_name\":null}", "{product_name=Amazon EC2}", ""] {
            let fields = changed(&SAMPLES[1], &[("product", product)]);
            assert_eq!(charges_of(&PROFILE, &fields).remove(0).service_name, "AmazonEC2", "{product}");
        }
    }

    #[test]
    fn a_row_without_a_usage_account_belongs_to_the_payer() {
        assert_eq!(charge(&[("lineItem/UsageAccountId", "")]).sub_account_id, "000123456789");
    }
}
