//! Who owes what: sums by customer, accounts nobody owns, and the invariant that ties invoices to charge files.

use std::io::Write;

use crate::support::TestDatabase;
use crate::support::customer::insert_customer;
use crate::support::draft::insert_draft;
use crate::support::import::{import, insert_reseller};
use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{
        charge::ChargeCategory,
        customer_side::CustomerColumns,
        ids::{CustomerId, ResellerId},
        invoice::{CostGroup, DetailedCharge},
        money::parse_decimal,
    },
    store::{
        charge_sums::{ChargeSource, ProviderPeriod, charge_sources, cost_groups, customers_with_charges},
        detailed_charges::detailed_charges,
        reconciliation::{Difference, ReconcileError, reconcile},
        waivers::{UnassignedFilter, unassigned_accounts},
    },
};
use chrono::NaiveDate;
use futures::TryStreamExt;
use sqlx::PgPool;

const HEADER: &str = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
    ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,SubAccountName,ChargeClass,SkuId,ChargeDescription,x_a,Id";

const ROWS: &str = "\
10.005,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,sub-1,Beta,,sku-1,,,
0,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,sub-1,Alpha,,sku-2,,,
-1,EUR,payer-1,2026-10-01,2026-11-01,Credit,2026-09-30T23:30:00-01:00,2026-10-02,Compute,sub-1,,,,,,
2,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-08-31T23:59:59Z,2026-09-01,Compute,sub-1,,Correction,sku-1,,,
4,EUR,payer-1,2026-10-01,2026-11-01,Tax,2026-10-05,2026-10-06,Tax,sub-1,,,,,,
7,USD,payer-2,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,sub-1,,,,,,
3,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,sub-2,,,,,,
5,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,,,,,,,
1,EUR,payer-1,2026-10-01,2026-11-01,Tax,2026-10-05,2026-10-06,Tax,,,,,,,
9,EUR,payer-1,2026-11-01,2026-12-01,Usage,2026-11-05,2026-11-06,Compute,sub-1,,,,,,
";

/// A reseller whose October has two customers, `sub-1` and `sub-2`, and the unassigned account `payer-1`.
struct October {
    database: TestDatabase,
    reseller_id: ResellerId,
    customer_id: CustomerId,
    other_customer_id: CustomerId,
}

impl October {
    async fn import(rows: &str) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let reseller_id = insert_reseller(&database.pool).await?;
        let customer_id = insert_customer(&database.pool, reseller_id, "focus", "sub-1").await?;
        let other_customer_id = insert_customer(&database.pool, reseller_id, "focus", "sub-2").await?;
        // Another provider's account of the same name is another account.
        insert_customer(&database.pool, reseller_id, "aws", "payer-1").await?;
        let october = Self { database, reseller_id, customer_id, other_customer_id };
        october.add_file(rows).await?;
        Ok(october)
    }

    async fn add_file(&self, rows: &str) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(format!("{HEADER}\n{rows}").as_bytes())?;
        import(&self.database.pool, self.reseller_id, "focus", file.path()).await?;
        Ok(())
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    fn period(&self) -> ProviderPeriod<'static> {
        let billing_period_start = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap_or_default();
        ProviderPeriod { reseller_id: self.reseller_id, provider: "focus", billing_period_start }
    }

    async fn sources(&self, customer_id: CustomerId) -> Result<Vec<ChargeSource>> {
        Ok(charge_sources(&mut *self.pool().acquire().await?, self.period(), customer_id).await?)
    }

    async fn groups(&self, by_sku: bool) -> Result<Vec<CostGroup>> {
        Ok(cost_groups(&mut *self.pool().acquire().await?, self.period(), self.customer_id, by_sku).await?)
    }

    async fn differences(&self) -> Result<Vec<Difference>> {
        match reconcile(&mut *self.pool().acquire().await?, self.period()).await {
            Ok(()) => Ok(Vec::new()),
            Err(ReconcileError::Differences(differences)) => Ok(differences),
            Err(ReconcileError::Database(error)) => Err(error.into()),
        }
    }
}

fn decimal(text: &str) -> BigDecimal {
    parse_decimal(text).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn groups_keep_apart_what_a_line_could_be_grouped_by() -> Result<()> {
    let october = October::import(ROWS).await?;
    let groups = october.groups(false).await?;
    let shown: Vec<String> = groups
        .iter()
        .map(|group| {
            let CostGroup { sub_account_name, service_name, charge_category, billing_currency, .. } = group;
            let correction = group.correction_of.map(|month| format!(" of {month}")).unwrap_or_default();
            let cost = group.billed_cost.normalized().to_plain_string();
            let counts = (group.charge_count, group.non_zero_count);
            format!(
                "{sub_account_name} {service_name} {charge_category}{correction} {cost} {billing_currency} {counts:?}"
            )
        })
        .collect();
    let expected = [
        "Beta Compute Credit -1 EUR (1, 1)",
        "Beta Compute Usage of 2026-08-01 2 EUR (1, 1)",
        "Beta Compute Usage 10.005 EUR (2, 1)",
        "Beta Compute Usage 7 USD (1, 1)",
        "Beta Tax Tax 4 EUR (1, 1)",
    ];
    assert_eq!(shown, expected);
    assert!(groups.iter().all(|group| group.sku_id.is_none()));
    let skus: Vec<_> = october.groups(true).await?.into_iter().filter_map(|group| group.sku_id).collect();
    assert_eq!(skus, ["sku-1", "sku-1", "sku-2"]);
    Ok(())
}

#[tokio::test]
async fn sources_split_cost_and_tax_by_scope_and_currency() -> Result<()> {
    let october = October::import(ROWS).await?;
    let mut sources = october.sources(october.customer_id).await?;
    sources.sort_by_key(|source| source.cost_currency);
    let shown: Vec<_> = sources
        .iter()
        .map(|source| {
            (source.cost_currency.code(), source.cost_exact.clone(), source.excluded_tax.clone(), source.charge_count)
        })
        .collect();
    assert_eq!(shown, [("EUR", decimal("11.005"), decimal("4"), 5), ("USD", decimal("7"), decimal("0"), 1)]);
    Ok(())
}

#[tokio::test]
async fn charges_without_a_customer_are_unassigned() -> Result<()> {
    let october = October::import(ROWS).await?;
    let found =
        unassigned_accounts(&mut *october.pool().acquire().await?, UnassignedFilter::of_month(october.period()))
            .await?;
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((only.account_id.as_str(), only.currency.code(), only.charge_count), ("payer-1", "EUR", 2));
    assert_eq!((&only.cost_exact, &only.excluded_tax), (&decimal("5"), &decimal("1")));
    assert!(only.blocks);
    Ok(())
}

#[tokio::test]
async fn an_account_of_nobody_that_costs_nothing_but_tax_stands_against_no_opening() -> Result<()> {
    let rows = "\
4,EUR,payer-1,2026-10-01,2026-11-01,Tax,2026-10-05,2026-10-06,Tax,taxed,,,,,,
0,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,free,,,,,,
1,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,Compute,dear,,,,,,
-1,EUR,payer-1,2026-10-01,2026-11-01,Credit,2026-10-05,2026-10-06,Compute,dear,,,,,,
";
    let october = October::import(rows).await?;
    let mut connection = october.pool().acquire().await?;
    let all = UnassignedFilter::of_month(october.period());
    let found = unassigned_accounts(&mut connection, all).await?;
    let told: Vec<_> = found.iter().map(|account| (account.account_id.as_str(), account.blocks)).collect();
    assert_eq!(told, [("dear", true), ("free", false), ("taxed", false)]);
    let blocking = unassigned_accounts(&mut connection, UnassignedFilter { only_blocking: true, ..all }).await?;
    assert_eq!(blocking.iter().map(|account| account.account_id.as_str()).collect::<Vec<_>>(), ["dear"]);
    Ok(())
}

#[tokio::test]
async fn a_bill_run_has_one_invoice_per_customer_and_currency() -> Result<()> {
    let october = October::import(ROWS).await?;
    let (one, other) = (october.customer_id, october.other_customer_id);
    let mut conn = october.pool().acquire().await?;
    let of_charges = customers_with_charges(&mut conn, october.period()).await?;
    assert_eq!(of_charges, [(one, "EUR".parse()?), (one, "USD".parse()?), (other, "EUR".parse()?)]);

    sqlx::query("UPDATE customers SET currency = 'GBP' WHERE id = $1").bind(one).execute(&mut *conn).await?;
    let own = customers_with_charges(&mut conn, october.period()).await?;
    assert_eq!(own, [(one, "GBP".parse()?), (other, "EUR".parse()?)]);
    Ok(())
}

#[tokio::test]
async fn a_period_reconciles_before_between_and_after_its_invoices() -> Result<()> {
    let october = October::import(ROWS).await?;
    assert_eq!(october.differences().await?, []);
    for customer_id in [october.customer_id, october.other_customer_id] {
        let sources = october.sources(customer_id).await?;
        insert_draft(october.pool(), october.period(), customer_id, &sources).await?;
        assert_eq!(october.differences().await?, []);
    }
    Ok(())
}

#[tokio::test]
async fn a_tampered_sum_is_found_and_named() -> Result<()> {
    let october = October::import(ROWS).await?;
    let mut sources = october.sources(october.customer_id).await?;
    for source in sources.iter_mut().filter(|source| source.cost_currency.code() == "EUR") {
        source.excluded_tax += decimal("1E-28");
    }
    let draft = insert_draft(october.pool(), october.period(), october.customer_id, &sources).await?;
    let found = october.differences().await?;
    let [difference] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((difference.billing_account_id.as_str(), difference.currency.code()), ("payer-1", "EUR"));
    assert_eq!(difference.amount(), decimal("1E-28"));
    assert_eq!(difference.file_total, decimal("24.005"));

    sqlx::query("UPDATE invoices SET status = 'discarded', version = 2 WHERE id = $1")
        .bind(draft)
        .execute(october.pool())
        .await?;
    assert_eq!(october.differences().await?, []);
    Ok(())
}

#[tokio::test]
async fn an_account_that_moves_after_its_invoice_is_found() -> Result<()> {
    let october = October::import(ROWS).await?;
    let sources = october.sources(october.customer_id).await?;
    insert_draft(october.pool(), october.period(), october.customer_id, &sources).await?;
    sqlx::query("UPDATE provider_accounts SET customer_id = $1 WHERE account_id = 'sub-1'")
        .bind(october.other_customer_id)
        .execute(october.pool())
        .await?;
    let amounts: Vec<_> = october.differences().await?.iter().map(Difference::amount).collect();
    assert_eq!(amounts, [decimal("15.005"), decimal("7")]);
    Ok(())
}

#[tokio::test]
async fn a_later_file_makes_drafts_of_its_period_stale_and_holds_up_nobody() -> Result<()> {
    let october = October::import(ROWS).await?;
    let sources = october.sources(october.customer_id).await?;
    insert_draft(october.pool(), october.period(), october.customer_id, &sources).await?;
    let november = ProviderPeriod {
        billing_period_start: NaiveDate::from_ymd_opt(2026, 11, 1).context("a date")?,
        ..october.period()
    };
    insert_draft(october.pool(), november, october.customer_id, &[]).await?;

    october.add_file("1,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,C,sub-1,,,,,,\n").await?;
    let stale: Vec<(String, bool)> =
        sqlx::query_as("SELECT billing_period_start::text, stale FROM invoices ORDER BY billing_period_start")
            .fetch_all(october.pool())
            .await?;
    assert_eq!(stale, [("2026-10-01".to_owned(), true), ("2026-11-01".to_owned(), false)]);
    assert_eq!(october.differences().await?, []);
    let costs: Vec<_> =
        october.sources(october.customer_id).await?.into_iter().map(|source| source.cost_exact).collect();
    assert_eq!(costs.into_iter().sum::<BigDecimal>(), decimal("8"));
    let grouped: BigDecimal = october.groups(false).await?.into_iter().map(|group| group.billed_cost).sum();
    assert_eq!(grouped, decimal("8"));
    Ok(())
}

#[tokio::test]
async fn the_detail_of_an_invoice_outlives_a_later_file() -> Result<()> {
    let october = October::import(ROWS).await?;
    let sources = october.sources(october.customer_id).await?;
    let draft = insert_draft(october.pool(), october.period(), october.customer_id, &sources).await?;
    october.add_file("1,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05,2026-10-06,C,sub-1,,,,,,\n").await?;
    let mut conn = october.pool().acquire().await?;
    let costed: Vec<_> = detailed_charges(&mut conn, october.reseller_id, draft).try_collect().await?;
    assert!(costed.iter().all(|charge| charge.charge_category != ChargeCategory::Tax));
    let costs: Vec<String> = costed.iter().map(|charge| charge.billed_cost.normalized().to_plain_string()).collect();
    assert_eq!(costs, ["2", "-1", "10.005", "0", "7"]);
    Ok(())
}

#[tokio::test]
async fn whatever_a_text_holds_comes_back_as_it_was() -> Result<()> {
    let hostile = "tab\t back\\slash \\N \\. \r\n\"quote\", 'semi'; \u{1} 株式会社 \u{1F9FE}";
    let quoted = hostile.replace('"', "\"\"");
    let rows = format!(
        "1,EUR,payer-1,2026-10-01,2026-11-01,Usage,2026-10-05T01:02:03.456789Z,2026-10-06,Compute,sub-1,,,,\
         \"{quoted}\",\"{quoted}\",NULL\n"
    );
    let october = October::import(&rows).await?;
    let sources = october.sources(october.customer_id).await?;
    let draft = insert_draft(october.pool(), october.period(), october.customer_id, &sources).await?;
    let mut conn = october.pool().acquire().await?;
    let costed: Vec<_> = detailed_charges(&mut conn, october.reseller_id, draft).try_collect().await?;
    let [only] = costed.as_slice() else { panic!("{costed:?}") };
    let detail: DetailedCharge = only.clone().priced(decimal("2"), &CustomerColumns::default());
    assert_eq!(detail.charge_description.as_deref(), Some(hostile));
    assert_eq!(detail.x_columns.into_iter().collect::<Vec<_>>(), [("x_a".to_owned(), hostile.to_owned())]);
    assert_eq!(detail.charge_period_start.to_string(), "2026-10-05 01:02:03.456789 UTC");
    assert_eq!((detail.sub_account_name, detail.tags), (None, None));
    Ok(())
}
