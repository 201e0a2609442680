//! Microsoft Azure: a section per subscription, a line per meter category (FOCUS `ServiceName`).
//!
//! Reads cost details as the portal, Exports and the Cost Details API write them, under the names of all agreements:
//! Enterprise, Customer, Partner and pay-as-you-go, and of older usage files. Names are compared without blanks and
//! capital letters, since those differ between agreements ("Understand cost details fields",
//! learn.microsoft.com/azure/cost-management-billing/automate/understand-usage-details-fields). Of a header in another
//! language, names that end with the English one in brackets are read; all others are refused, see
//! [`super::unread_headers`].
//!
//! Only actual cost is an invoice's source: amortized files leave out what was bought and spread it over usage.

use bigdecimal::Zero;
use chrono::NaiveDate;

use super::{
    Profile,
    microsoft_dates::{date, day_after, required_date},
    money_columns::is_money,
    reading::{Charges, Column, Format, Header, ReadRow, Row, month_of},
};
use crate::domain::{
    billing_period::BillingPeriod,
    charge::{Charge, ChargeCategory},
    document::DocumentKind,
    invoice::LinesBy,
};

/// Partner Center has invoice and reconciliation file by the end of the eighth of the next month, UTC
/// (learn.microsoft.com/en-us/partner-center/billing, new commerce).
const FINAL_ON_DAY: u8 = 9;

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft",
    display_name: "Microsoft Azure",
    documents: &DocumentKind::ALL,
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[&COST_DETAILS],
};

/// Cost details of actual cost.
const COST_DETAILS: Format = Format {
    id: "azure-cost-details",
    name: "Azure cost details",
    required: &[SUBSCRIPTION, COST, DATE, CURRENCY, &["MeterCategory"]],
    to_known_name,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(Columns::find(header)) },
    #[cfg(test)]
    samples: &[tests::ENTERPRISE, tests::CUSTOMER, tests::PAY_AS_YOU_GO],
};

/// The GUID first: files that have both write a number of their own under the other name.
const SUBSCRIPTION: &[&str] = &["SubscriptionGuid", "SubscriptionId"];
const COST: &[&str] = &["CostInBillingCurrency", "Cost", "PreTaxCost"];
const DATE: &[&str] = &["Date", "UsageDateTime", "UsageDate", "UsageStart"];
const CURRENCY: &[&str] = &["BillingCurrency", "BillingCurrencyCode", "Currency"];

const PERIOD_IS_HALF: &str = "must not be null where the other end of the billing period is given";
const NOT_A_CHARGE_TYPE: &str = "not a charge type; Cost Management knows Usage, Purchase, Refund, Tax, Credit, \
                                 RoundingAdjustment";
const AMORTIZED: &str = "this is an amortized cost file: it leaves out purchases of reservations and savings plans and \
                         spreads them over usage, so it is not what is billed; export actual cost";

/// Takes blanks and capital letters from a name, and a translation from before its English name in brackets.
fn to_known_name(written: &str) -> String {
    let is_word = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let bracketed = written.strip_suffix(')').and_then(|name| name.rsplit_once('(')).map(|(_, name)| name);
    let name = bracketed.filter(is_word).unwrap_or(written);
    name.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Columns by what they are for; where a charge takes the first that is not null, several.
struct Columns {
    billing_profile_id: Column,
    billing_account_id: Column,
    subscription: Column,
    subscription_name: Column,
    billing_period_start: Column,
    billing_period_end: Column,
    date: Column,
    cost: Column,
    currency: Column,
    charge_type: Column,
    pricing_model: Column,
    frequency: Column,
    quantity: Column,
    unit: Column,
    region: Column,
    resource_id: Column,
    resource_name: Column,
    tags: Column,
    services: Vec<Column>,
    descriptions: Vec<Column>,
    skus: Vec<Column>,
    others: Vec<Column>,
}

impl Columns {
    fn find(header: &Header) -> Self {
        let all = |names: &[&str]| names.iter().map(|name| header.column(name)).collect::<Vec<_>>();
        let mut columns = Self {
            billing_profile_id: header.column("BillingProfileId"),
            billing_account_id: header.column("BillingAccountId"),
            subscription: header.first_column(SUBSCRIPTION),
            subscription_name: header.column("SubscriptionName"),
            billing_period_start: header.column("BillingPeriodStartDate"),
            billing_period_end: header.column("BillingPeriodEndDate"),
            date: header.first_column(DATE),
            cost: header.first_column(COST),
            currency: header.first_column(CURRENCY),
            charge_type: header.column("ChargeType"),
            pricing_model: header.column("PricingModel"),
            frequency: header.column("Frequency"),
            quantity: header.first_column(&["Quantity", "UsageQuantity", "ConsumedQuantity"]),
            unit: header.first_column(&["UnitOfMeasure", "Unit"]),
            region: header.first_column(&["ResourceLocation", "Location"]),
            resource_id: header.first_column(&["ResourceId", "InstanceId", "InstanceName"]),
            resource_name: header.column("ResourceName"),
            tags: header.column("Tags"),
            services: all(&["MeterCategory", "ProductOrderName", "ProductName", "Product", "ConsumedService"]),
            descriptions: all(&["ProductName", "Product", "MeterName", "ProductOrderName"]),
            skus: all(&["ProductId", "PartNumber", "MeterId"]),
            others: Vec::new(),
        };
        let kept: Vec<usize> = columns.in_fields().filter_map(Column::position).collect();
        let is_other = |column: &Column| column.position().is_none_or(|position| !kept.contains(&position));
        columns.others = header.columns_where(|name| !is_money(name)).into_iter().filter(is_other).collect();
        columns
    }

    /// Returns the columns that a charge has a field for, whatever the row.
    fn in_fields(&self) -> impl Iterator<Item = &Column> {
        let fields = [
            &self.billing_period_start,
            &self.billing_period_end,
            &self.subscription,
            &self.subscription_name,
            &self.date,
            &self.quantity,
            &self.unit,
            &self.region,
            &self.resource_id,
            &self.resource_name,
            &self.tags,
        ];
        fields.into_iter().chain(self.services.first())
    }

    fn to_charge(&self, row: &mut Row<'_>) -> Option<Charge> {
        let (billing_account_id, sub_account_id) = self.accounts(row);
        let date = required_date(row, &self.date);
        let billing_period = self.billing_period(row, date);
        let billed_cost = row.required(&self.cost).and_then(|_| row.decimal(&self.cost));
        let billing_currency = row.currency(&self.currency);
        let charge_type = self.charge_type(row);
        self.refuse_amortized(row, billed_cost.as_ref().is_some_and(|cost| !cost.is_zero()));
        let consumed_quantity = row.decimal(&self.quantity);

        let (date, billing_period, charge_type) = (date?, billing_period?, charge_type?);
        let service = first(row, &self.services).unwrap_or(charge_type.name());
        Some(Charge {
            billing_account_id: billing_account_id?.to_owned(),
            billing_period,
            billed_cost: billed_cost?,
            billing_currency: billing_currency?,
            charge_category: charge_type.category(),
            is_correction: charge_type == ChargeType::Refund && date < billing_period.start(),
            charge_description: first(row, &self.descriptions).map(str::to_owned),
            charge_frequency: row.value(&self.frequency).map(frequency),
            charge_period_start: date.and_hms_opt(0, 0, 0)?.and_utc(),
            charge_period_end: day_after(date).and_hms_opt(0, 0, 0)?.and_utc(),
            consumed_quantity,
            consumed_unit: row.owned(&self.unit),
            region_id: row.owned(&self.region),
            resource_id: row.owned(&self.resource_id),
            resource_name: row.owned(&self.resource_name),
            service_category: None,
            service_name: service.to_owned(),
            sku_id: first(row, &self.skus).map(str::to_owned),
            sub_account_id: sub_account_id?.to_owned(),
            sub_account_name: row.owned(&self.subscription_name),
            tags: row.value(&self.tags).map(tags),
            x_columns: row.x_columns(&self.others),
        })
    }

    /// Returns the payer and the subscription.
    ///
    /// The payer is the billing profile, which Microsoft invoices: an enrollment, a profile of a customer agreement, or a
    /// pay-as-you-go subscription; a file may hold one of several profiles of a billing account. Files that name neither
    /// are of pay-as-you-go subscriptions. A purchase for a whole enrollment has no subscription: it is the payer's.
    fn accounts<'a>(&self, row: &mut Row<'a>) -> (Option<&'a str>, Option<&'a str>) {
        for column in [&self.billing_profile_id, &self.billing_account_id, &self.subscription] {
            row.check_id(column);
        }
        let subscription = row.value(&self.subscription);
        let payer = row.value(&self.billing_profile_id).or_else(|| row.value(&self.billing_account_id));
        if payer.or(subscription).is_none() {
            row.refuse(&self.subscription, "must not be null where no billing profile or account is named");
        }
        (payer.or(subscription), subscription.or(payer))
    }

    /// Reads the billing period, whose last day Microsoft counts in; where the file has none, it is the charge's month.
    fn billing_period(&self, row: &mut Row<'_>, day: Option<NaiveDate>) -> Option<BillingPeriod> {
        let (start, end) = (&self.billing_period_start, &self.billing_period_end);
        if row.value(start).is_none() && row.value(end).is_none() {
            return month_of(row, &self.date, day?);
        }
        for column in [start, end] {
            if row.value(column).is_none() {
                row.refuse(column, PERIOD_IS_HALF);
            }
        }
        let (first_day, last_day) = (date(row, start), date(row, end));
        row.billing_period_of((start, first_day?), (end, day_after(last_day?)))
    }

    /// Reads what kind of charge a row is. Usage files of before there were purchases have no such column.
    fn charge_type(&self, row: &mut Row<'_>) -> Option<ChargeType> {
        if self.charge_type.position().is_none() {
            return Some(ChargeType::Usage);
        }
        let written = row.required(&self.charge_type)?;
        if ["unusedreservation", "unusedsavingsplan", "unusedsavingplan"].contains(&written.to_lowercase().as_str()) {
            row.refuse(&self.charge_type, AMORTIZED);
            return None;
        }
        let found = ChargeType::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(written.trim()));
        if found.is_none() {
            row.refuse(&self.charge_type, NOT_A_CHARGE_TYPE);
        }
        found
    }

    /// Refuses usage under a commitment that costs something: in actual cost it is free, the commitment was bought
    /// (learn.microsoft.com/azure/cost-management-billing/savings-plan/utilization-cost-reports, "Comparison of two data
    /// sets"; reservations/understand-reserved-instance-usage-ea says the same).
    fn refuse_amortized(&self, row: &mut Row<'_>, costs: bool) {
        let is = |row: &Row<'_>, column: &Column, values: &[&str]| {
            row.value(column).is_some_and(|value| values.iter().any(|known| value.trim().eq_ignore_ascii_case(known)))
        };
        let is_committed = is(row, &self.pricing_model, &["Reservation", "SavingsPlan", "Savings Plan"]);
        if costs && is_committed && is(row, &self.charge_type, &["Usage"]) {
            row.refuse(&self.cost, AMORTIZED);
        }
    }
}

impl ReadRow for Columns {
    fn billing_account(&self) -> &Column {
        let named = [&self.billing_profile_id, &self.billing_account_id];
        named.into_iter().find(|column| column.position().is_some()).unwrap_or(&self.subscription)
    }

    fn billing_period(&self) -> &Column {
        if self.billing_period_end.position().is_some() { &self.billing_period_end } else { &self.date }
    }

    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()> {
        charges.push_back(self.to_charge(row)?);
        Some(())
    }
}

/// `ChargeType` of actual cost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChargeType {
    Usage,
    Purchase,
    Refund,
    Tax,
    Credit,
    RoundingAdjustment,
}

impl ChargeType {
    const ALL: [Self; 6] =
        [Self::Usage, Self::Purchase, Self::Refund, Self::Tax, Self::Credit, Self::RoundingAdjustment];

    fn name(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::Purchase => "Purchase",
            Self::Refund => "Refund",
            Self::Tax => "Tax",
            Self::Credit => "Credit",
            Self::RoundingAdjustment => "RoundingAdjustment",
        }
    }

    /// As Microsoft maps them (learn.microsoft.com/cloud-computing/finops/focus/mapping): what is refunded was bought.
    fn category(self) -> ChargeCategory {
        match self {
            Self::Usage => ChargeCategory::Usage,
            Self::Purchase | Self::Refund => ChargeCategory::Purchase,
            Self::Tax => ChargeCategory::Tax,
            Self::Credit => ChargeCategory::Credit,
            Self::RoundingAdjustment => ChargeCategory::Adjustment,
        }
    }
}

fn first<'a>(row: &Row<'a>, columns: &[Column]) -> Option<&'a str> {
    columns.iter().find_map(|column| row.value(column))
}

/// FOCUS writes `Usage-Based` and `One-Time` with a hyphen.
fn frequency(written: &str) -> String {
    match written {
        "UsageBased" => "Usage-Based".to_owned(),
        "OneTime" => "One-Time".to_owned(),
        other => other.to_owned(),
    }
}

/// Enterprise files write the members of a JSON object without its braces.
fn tags(written: &str) -> String {
    if written.trim_start().starts_with('"') { format!("{{{written}}}") } else { written.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::reading::Sample;

    pub(super) const ENTERPRISE: Sample = Sample {
        fields: &[
            ("BillingAccountId", "8611537"),
            ("BillingPeriodStartDate", "09/01/2026"),
            ("BillingPeriodEndDate", "09/30/2026"),
            ("BillingProfileId", "8611537"),
            ("SubscriptionId", "9ec51cfd-5ca7-4d76-8101-dd0a4abc5674"),
            ("SubscriptionName", "Production"),
            ("Date", "09/22/2026"),
            ("MeterCategory", "Virtual Machines"),
            ("Quantity", "8"),
            ("Cost", "0.493152"),
            ("BillingCurrency", "USD"),
            ("Tags", "\"env\": \"prod\",\"org\": \"trey\""),
            ("ChargeType", "Usage"),
        ],
        cost: "Cost",
        currency: "BillingCurrency",
        dates: &["BillingPeriodStartDate", "BillingPeriodEndDate", "Date"],
    };

    pub(super) const CUSTOMER: Sample = Sample {
        fields: &[
            ("billingProfileId", "/providers/Microsoft.Billing/billingAccounts/a:b/billingProfiles/PBFV"),
            ("date", "2026-09-22T00:00:00Z"),
            ("meterCategory", "Storage"),
            ("SubscriptionId", "9ec51cfd-5ca7-4d76-8101-dd0a4abc5674"),
            ("subscriptionName", "Production"),
            ("chargeType", "Usage"),
            ("billingCurrency", "EUR"),
            ("pricingCurrency", "USD"),
            ("costInBillingCurrency", "0.012"),
            ("costInUsd", "0.013"),
        ],
        cost: "costInBillingCurrency",
        currency: "billingCurrency",
        dates: &["date"],
    };

    pub(super) const PAY_AS_YOU_GO: Sample = Sample {
        fields: &[
            ("Abonnement-GUID (SubscriptionGuid)", "9ec51cfd-5ca7-4d76-8101-dd0a4abc5674"),
            ("UsageDateTime (UsageDateTime)", "2026-09-22"),
            ("Kategorie der Verbrauchseinheit (MeterCategory)", "Load Balancer"),
            ("UsageQuantity (UsageQuantity)", "3"),
            ("PreTaxCost (PreTaxCost)", "0.075"),
            ("Currency", "USD"),
        ],
        cost: "PreTaxCost (PreTaxCost)",
        currency: "Currency",
        dates: &["UsageDateTime (UsageDateTime)"],
    };

    #[test]
    fn a_name_is_known_without_blanks_capital_letters_and_translation() {
        for (written, known) in [
            ("MeterCategory", "metercategory"),
            ("Meter Category", "metercategory"),
            ("Maßeinheit (UnitOfMeasure)", "unitofmeasure"),
            ("Kosten (brutto, EUR)", "kosten(brutto,eur)"),
            ("()", "()"),
        ] {
            assert_eq!(to_known_name(written), known);
        }
    }

    #[test]
    fn tags_without_their_braces_become_json() {
        assert_eq!(tags("\"a\": \"b\""), "{\"a\": \"b\"}");
        assert_eq!(tags("{\"a\": \"b\"}"), "{\"a\": \"b\"}");
    }
}
