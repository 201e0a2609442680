//! Who is billed for an account on which day, what is left to nobody, and that an invoice keeps the detail it had.

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{document::DocumentKind, invoice::Invoice, invoice_status::InvoiceStatus},
    jobs::{ChangeInvoiceStatus, GenerateInvoice, RenderDocument},
    store::{
        charge_sums::ProviderPeriod,
        detailed_charges::detailed_charges,
        waivers::{UnassignedFilter, unassigned_accounts},
    },
};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER},
    desk::{Desk, decimal},
    holders::{Charge, hold, meanwhile},
};

/// The last moment of one day and the first of the next, each also written in another zone.
const AROUND_MIDNIGHT: [Charge<'_>; 4] = [
    ("payer", "account-0", "2026-08-10T23:59:59.999999Z", "10"),
    ("payer", "account-0", "2026-08-11T01:30:00+02:00", "40"),
    ("payer", "account-0", "2026-08-11T00:00:00Z", "20"),
    ("payer", "account-0", "2026-08-10T23:00:00-01:00", "80"),
];

impl Desk {
    async fn without_charges(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::without_charges(&database.pool, customers).await?;
        Self::of(database, business, billrunner::clock::Clock::System).await
    }

    /// Returns what the Nth customer's live invoice was made of.
    async fn cost(&self, customer: usize) -> Result<BigDecimal> {
        Ok(self.live(customer).await?.lines.iter().map(|line| &line.cost_exact).sum())
    }

    /// Returns the costs of an invoice's detail, in order.
    async fn detail(&self, invoice: &Invoice) -> Result<Vec<String>> {
        let mut connection = self.office.pool.acquire().await?;
        let charges: Vec<_> = detailed_charges(&mut connection, invoice.reseller_id, invoice.id).try_collect().await?;
        Ok(charges.iter().map(|charge| charge.billed_cost.normalized().to_plain_string()).collect())
    }

    async fn unassigned(&self) -> Result<Vec<(String, BigDecimal)>> {
        let period = ProviderPeriod {
            reseller_id: self.business.reseller_id,
            provider: PROVIDER,
            billing_period_start: "2026-08-01".parse()?,
        };
        let found =
            unassigned_accounts(&mut *self.office.pool.acquire().await?, UnassignedFilter::of_month(period)).await?;
        Ok(found.into_iter().map(|charges| (charges.account_id, charges.cost_exact)).collect())
    }

    async fn day_totals(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM charge_day_totals").fetch_one(&self.office.pool).await?)
    }
}

#[tokio::test]
async fn an_account_that_changes_hands_in_the_middle_of_a_month_is_split_by_utc_day() -> Result<()> {
    for is_known_before in [true, false] {
        let desk = Desk::without_charges(2).await?;
        let mut directory = desk.directory();
        hold(&mut directory, 0, &[("account-0", None, Some("2026-08-11"))]);
        hold(&mut directory, 1, &[("account-0", Some("2026-08-11"), None)]);
        if is_known_before {
            desk.apply(&directory).await?;
            desk.import(&AROUND_MIDNIGHT).await?;
        } else {
            desk.import(&AROUND_MIDNIGHT).await?;
            desk.apply(&directory).await?;
        }
        desk.close_month().await?;
        assert_eq!((desk.cost(0).await?, desk.cost(1).await?), (decimal("50"), decimal("100")));
        assert_eq!(desk.detail(&desk.live(0).await?).await?, ["40", "10"]);
        assert_eq!(desk.detail(&desk.live(1).await?).await?, ["20", "80"]);
        desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
        desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Open)).await?;
        desk.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_correction_of_an_earlier_month_belongs_to_who_held_the_account_then() -> Result<()> {
    let desk = Desk::without_charges(2).await?;
    let mut directory = desk.directory();
    hold(&mut directory, 0, &[("account-0", None, Some("2026-08-01"))]);
    hold(&mut directory, 1, &[("account-0", Some("2026-08-01"), None)]);
    desk.apply(&directory).await?;
    desk.import(&[
        ("payer", "account-0", "2026-07-31T23:59:59Z", "-3"),
        ("payer", "account-0", "2026-08-01T00:00:00Z", "20"),
    ])
    .await?;
    desk.close_month().await?;
    let corrected = desk.live(0).await?;
    assert_eq!(corrected.lines[0].correction_of, Some("2026-07-01".parse()?));
    assert_eq!((desk.cost(0).await?, desk.cost(1).await?), (decimal("-3"), decimal("20")));
    desk.close().await
}

#[tokio::test]
async fn days_without_a_holder_are_unassigned_and_stand_against_opening_until_waived() -> Result<()> {
    let desk = Desk::without_charges(1).await?;
    let mut directory = desk.directory();
    hold(&mut directory, 0, &[("account-0", Some("2026-08-02"), Some("2026-08-11"))]);
    desk.apply(&directory).await?;
    desk.import(&AROUND_MIDNIGHT).await?;
    desk.close_month().await?;
    assert_eq!(desk.cost(0).await?, decimal("50"));
    assert_eq!(desk.unassigned().await?, [("account-0".to_owned(), decimal("100"))]);
    let open = ChangeInvoiceStatus { force: true, ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    let error = desk.office.refused(&open).await?;
    assert!(error.contains("these accounts have charges and no customer: account-0"), "{error}");
    // Neither another month nor another account is meant.
    desk.execute(
        "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
         SELECT id, 'aws', DATE '2026-07-01', 'account-0', 'a trial', 'tester' FROM resellers
         UNION ALL SELECT id, 'aws', DATE '2026-08-01', 'account-1', 'a trial', 'tester' FROM resellers",
    )
    .await?;
    assert!(desk.office.refused(&open).await?.contains("account-0"));
    desk.execute("UPDATE unassigned_waivers SET billing_period_start = '2026-08-01' WHERE account_id = 'account-0'")
        .await?;
    desk.office.done(&open).await?;
    desk.close().await
}

#[tokio::test]
async fn an_account_that_is_assigned_anew_leaves_the_detail_of_an_open_invoice_alone() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    let sql = "SELECT location FROM documents WHERE kind = 'detailed_csv' AND invoice_id = $1";
    let location: String = sqlx::query_scalar(sql).bind(invoice.id).fetch_one(&desk.office.pool).await?;
    let path = location.as_str().into();
    let before = desk.office.context.objects.get(&path).await?.bytes().await?;
    assert_eq!(desk.detail(&invoice).await?.len(), 2);

    let mut directory = desk.directory();
    hold(&mut directory, 0, &[]);
    hold(&mut directory, 1, &[("account-0", None, None), ("account-1", None, None)]);
    desk.apply(&directory).await?;
    desk.office.context.objects.delete(&path).await?;
    let render = RenderDocument {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        kind: DocumentKind::DetailedCsv,
        currency: None,
    };
    desk.office.done(&render).await?;
    assert_eq!(desk.office.context.objects.get(&path).await?.bytes().await?, before);
    // What the other customer's draft says is of its own days, too.
    assert_eq!(desk.detail(&desk.live(1).await?).await?.len(), 2);
    desk.close().await
}

#[tokio::test]
async fn an_invoice_of_the_previous_release_keeps_following_the_directory() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.tamper("DELETE FROM invoice_accounts").await?;
    assert_eq!(desk.detail(&desk.live(0).await?).await?.len(), 2);
    desk.close().await
}

#[tokio::test]
async fn charges_are_summed_by_day_only_where_an_account_changes_hands_between_them() -> Result<()> {
    let desk = Desk::without_charges(2).await?;
    let mut directory = desk.directory();
    hold(&mut directory, 0, &[("account-0", None, Some("2026-08-12")), ("account-1", None, None)]);
    hold(&mut directory, 1, &[("account-0", Some("2026-08-12"), None), ("account-2", Some("2020-01-01"), None)]);
    desk.apply(&directory).await?;
    let others = ["account-1", "account-2", "account-3"];
    let charges: Vec<Charge<'_>> = AROUND_MIDNIGHT
        .into_iter()
        .chain(
            others
                .iter()
                .flat_map(|account| AROUND_MIDNIGHT.map(|(payer, _, start, cost)| (payer, *account, start, cost))),
        )
        .collect();
    desk.import(&charges).await?;
    assert_eq!(desk.day_totals().await?, 0, "account-0 changes hands after its last charge");
    hold(&mut directory, 0, &[("account-0", None, Some("2026-08-11")), ("account-1", None, None)]);
    hold(&mut directory, 1, &[("account-0", Some("2026-08-11"), None), ("account-2", Some("2020-01-01"), None)]);
    desk.apply(&directory).await?;
    desk.apply(&directory).await?;
    assert_eq!(desk.day_totals().await?, 2);
    desk.close_month().await?;
    assert_eq!((desk.cost(0).await?, desk.cost(1).await?), (decimal("200"), decimal("250")));
    assert_eq!(desk.unassigned().await?, [("account-3".to_owned(), decimal("150"))]);
    desk.close().await
}

#[tokio::test]
async fn an_import_waits_for_holders_that_are_being_changed() -> Result<()> {
    let desk = Desk::without_charges(2).await?;
    desk.import(&[("other", "account-1", "2026-08-20T00:00:00Z", "7")]).await?;
    desk.close_month().await?;
    let mut directory = desk.directory();
    hold(&mut directory, 0, &[("account-0", None, Some("2026-08-11"))]);
    hold(&mut directory, 1, &[("account-0", Some("2026-08-11"), None), ("account-1", None, None)]);
    let mut change = desk.office.pool.begin().await?;
    billrunner::store::directory::apply(&mut change, &serde_json::from_value(directory)?).await?;
    meanwhile(&desk.database, desk.import(&AROUND_MIDNIGHT), change).await??;
    assert!(desk.live(1).await?.stale, "the draft of the new holder would not say what it has to");
    let again = GenerateInvoice { replace: true, ..desk.business.generate(1) };
    desk.office.done(&again).await?;
    assert_eq!(desk.cost(1).await?, decimal("107"));
    desk.close().await
}

#[tokio::test]
async fn the_database_refuses_two_holders_of_an_account_on_one_day_to_every_client() -> Result<()> {
    let desk = Desk::without_charges(2).await?;
    desk.execute("DELETE FROM provider_accounts").await?;
    let insert = "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id, valid_from, valid_to)
                  SELECT $1, $2, $3, $4, $5::date, $6::date";
    let mut owner = desk.database.connect_as_owner().await?;
    // Each is added to those that were accepted before it.
    for (account, from, to, is_accepted) in [
        ("a", Some("2026-08-01"), Some("2026-08-11"), true),
        ("a", Some("2026-08-11"), Some("2026-08-20"), true),
        ("a", Some("2026-08-19"), None, false),
        ("a", None, Some("2026-08-02"), false),
        ("a", None, None, false),
        ("a", Some("2026-08-05"), Some("2026-08-06"), false),
        ("a", Some("2026-08-20"), None, true),
        ("a", Some("2999-12-30"), Some("2999-12-31"), false),
        ("a", None, Some("2026-08-01"), true),
        ("a", Some("1900-01-01"), Some("1900-01-02"), false),
        ("b", None, None, true),
        ("b", None, None, false),
        // Keys that begin or end like others.
        ("", None, None, true),
        ("a0", None, None, true),
        ("a046", Some("2026-01-01"), None, true),
        ("1:a", None, None, true),
        ("ä\u{1}:9", None, None, true),
        ("ä", None, None, true),
        ("c", Some("2026-08-11"), Some("2026-08-11"), false),
        ("c", Some("2026-08-11"), Some("2026-08-01"), false),
        ("c", Some("infinity"), None, false),
        ("c", None, Some("3000-01-01"), false),
    ] {
        let customer = desk.business.customers[0];
        let add = sqlx::query(insert)
            .bind(desk.business.reseller_id)
            .bind(PROVIDER)
            .bind(account)
            .bind(customer)
            .bind(from)
            .bind(to);
        let added = add.execute(&mut owner).await;
        assert_eq!(added.is_ok(), is_accepted, "{account:?} from {from:?} to {to:?}: {added:?}");
    }
    // The same account at another provider is another account.
    let other = "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id)
                 SELECT reseller_id, 'google', 'b', customer_id FROM provider_accounts WHERE account_id = 'b'";
    sqlx::query(other).execute(&mut owner).await?;
    desk.close().await
}

#[tokio::test]
async fn two_who_assign_one_account_at_once_cannot_both_succeed() -> Result<()> {
    let desk = Desk::without_charges(2).await?;
    let insert = "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id, valid_from)
                  SELECT reseller_id, 'aws', 'new', id, $2::date FROM customers WHERE id = $1";
    let [first, second] = [0, 1].map(|customer: usize| desk.business.customers[customer]);
    let mut one = desk.office.pool.begin().await?;
    sqlx::query(insert).bind(first).bind(None::<&str>).execute(&mut *one).await?;
    let other = sqlx::query(insert).bind(second).bind(Some("2026-08-01")).execute(&desk.office.pool);
    let ended = meanwhile(&desk.database, other, one).await?;
    let error = ended.err().context("two holders from August on")?.to_string();
    assert!(error.contains("provider_accounts_one_holder_a_day"), "{error}");
    desk.close().await
}

#[tokio::test]
async fn what_a_customer_refers_to_is_printed_in_its_language_and_frozen_with_the_invoice() -> Result<()> {
    let desk = Desk::open(2).await?;
    let mut directory = desk.directory();
    directory["custom_fields"] = serde_json::json!([
        { "key": "site", "labels": { "es": "Sede", "en": "Site" }, "position": 2 },
        { "key": "cost_centre", "labels": { "es": "Centro", "de": "Kostenstelle" }, "position": 1, "pattern": "CC-[0-9]+" },
        { "key": "internal", "labels": { "en": "Internal" }, "position": 3, "printed": false },
    ]);
    let hostile = "<script>alert(1)</script>";
    directory["customers"][0]["purchase_order"] = "PO-1".into();
    directory["customers"][0]["fields"] =
        serde_json::json!({ "site": hostile, "cost_centre": "CC-7", "internal": "secret" });
    directory["customers"][1]["fields"] = serde_json::json!({ "cost_centre": "CC-8" });
    desk.apply(&directory).await?;
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;

    let invoice = desk.live(0).await?;
    let printed: Vec<_> =
        invoice.customer.fields.iter().map(|field| (field.label.as_str(), field.value.as_str())).collect();
    assert_eq!(printed, [("Centro", "CC-7"), ("Sede", hostile)]);
    // English has no label of its own: the first there is.
    assert_eq!(desk.live(1).await?.customer.fields[0].label, "Kostenstelle");
    let sql = "SELECT location FROM documents WHERE kind = 'print' AND invoice_id = $1";
    let location: String = sqlx::query_scalar(sql).bind(invoice.id).fetch_one(&desk.office.pool).await?;
    let page = desk.office.context.objects.get(&location.as_str().into()).await?.bytes().await?;
    let page = String::from_utf8(page.to_vec())?;
    for expected in ["Pedido de compra", "PO-1", "Centro", "CC-7", "&lt;script&gt;alert(1)&lt;/script&gt;"] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("secret"), "{page}");

    directory["customers"][0]["purchase_order"] = "PO-2".into();
    directory["customers"][0]["fields"]["site"] = "elsewhere".into();
    directory["custom_fields"][0]["labels"]["es"] = "Otra".into();
    desk.apply(&directory).await?;
    assert_eq!(desk.live(0).await?.customer, invoice.customer);
    desk.close().await
}
