//! Bill runs: what proves a month complete, what is named where it is not, and what a dry run says beforehand.

use anyhow::{Context as _, Result};
use billrunner::{
    clock::Clock,
    domain::invoice_status::InvoiceStatus,
    jobs::{Action, GenerateInvoice, InitialStatus, StartBillRun},
    store::database::only_read,
};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER, charge_file},
    desk::Desk,
    import::import,
    site::Site,
    worker::until,
};

impl Desk {
    /// Opens a business of so many customers whose August is in this file.
    async fn with_month(customers: usize, rows: &[&str]) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::without_charges(&database.pool, customers).await?;
        let desk = Self::of(database, business, Clock::System).await?;
        desk.import_month(rows, "first").await?;
        Ok(desk)
    }

    fn drafts(&self) -> StartBillRun {
        self.business.bill_run(InitialStatus::Draft, None)
    }

    async fn waive(&self, account_id: &'static str) -> Result<()> {
        sqlx::query(
            "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
             SELECT id, 'aws', '2026-08-01', $1, 'a trial', 'tester' FROM resellers",
        )
        .bind(account_id)
        .execute(&self.office.pool)
        .await?;
        Ok(())
    }

    /// Returns a digest of every table in the schema but those of the queue at work.
    async fn digest(&self) -> Result<Vec<(String, String)>> {
        let mut owner = self.database.connect_as_owner().await?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = 'billrunner' AND table_type = 'BASE TABLE'
               AND table_name NOT IN ('jobs', 'job_attempts', 'workers') ORDER BY 1",
        )
        .fetch_all(&mut owner)
        .await?;
        let mut digests = Vec::new();
        for table in tables {
            let sql =
                format!("SELECT coalesce(md5(string_agg(row::text, ',' ORDER BY row::text)), '') FROM {table} AS row");
            let digest: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut owner).await?;
            digests.push((table, digest));
        }
        assert!(digests.len() > 20, "{digests:?}");
        Ok(digests)
    }
}

const MONTH: [&str; 7] = [
    "payer-1 account-0 0.0000000000000000000000000001 EUR Usage",
    "payer-1 account-0 10 EUR Usage",
    "payer-1 account-0 2.10 EUR Tax",
    "payer-2 account-1 7 USD Usage",
    "payer-1 account-1 -3 EUR Credit",
    "payer-1 nobody 5 EUR Usage",
    "payer-1 nobody 1 EUR Tax",
];

#[tokio::test]
async fn a_complete_month_is_proved_to_the_last_digit_and_the_proof_is_kept() -> Result<()> {
    let desk = Desk::with_month(2, &MONTH).await?;
    desk.waive("nobody").await?;
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!((ended.state(), ended.findings.len()), ("complete", 0), "{:#?}", ended.findings);
    assert_eq!(
        ended.shown(),
        [
            "payer-1: 7.0000000000000000000000000001 + 2.1 + 0 + 6 + 0 = 15.1000000000000000000000000001 EUR",
            "payer-2: 7 + 0 + 0 + 0 + 0 = 7 USD",
        ]
    );
    let run = &ended.run;
    assert_eq!((run.generation_count, run.existing_count, run.round), (3, 0, 1));
    assert_eq!(run.outcomes, serde_json::json!({ "done": 3 }));
    assert_eq!((run.started_by.as_str(), run.finished_at.is_some()), ("tester", true));
    desk.close().await
}

#[tokio::test]
async fn an_account_of_nobody_is_named_with_its_sum_until_it_is_waived() -> Result<()> {
    let desk = Desk::with_month(2, &MONTH).await?;
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!(ended.state(), "needs_attention");
    let expected =
        ("unassigned_account", Some("5".to_owned()), "account `nobody` has charges of 5 EUR and no customer");
    assert_eq!(ended.only_finding(), expected);
    assert!(ended.shown()[0].contains("+ 6 + 0 + 0 ="), "its tax is unassigned too: {:?}", ended.shown());
    desk.waive("nobody").await?;
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!((ended.state(), ended.run.round), ("complete", 2));
    assert_eq!((ended.run.generation_count, ended.run.existing_count), (0, 3), "what is there is left alone");
    desk.close().await
}

#[tokio::test]
async fn an_incomplete_run_names_what_is_missing_and_the_same_run_again_completes_it() -> Result<()> {
    let desk = Desk::open(3).await?;
    desk.execute("UPDATE customers SET currency = 'JPY' WHERE name = 'Customer 001'").await?;
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!(ended.state(), "needs_attention");
    let (kind, _, what) = ended.only_finding();
    assert_eq!(kind, "missing_invoice");
    assert!(what.starts_with("`Customer 001` has charges and no invoice in JPY: its generation failed:"), "{what}");
    assert!(what.contains("EUR") && what.contains("rate"), "the reason is its job's: {what}");
    assert_eq!(ended.run.outcomes, serde_json::json!({ "dead": 1, "done": 2 }));
    assert!(ended.shown()[0].ends_with("40 + 0 + 0 + 0 + 20 = 60 EUR"), "{:?}", ended.shown());
    desk.execute(
        "INSERT INTO exchange_rates (reseller_id, from_currency, to_currency, rated_on, rate, source)
         SELECT id, 'EUR', 'JPY', '2026-08-31', 171.25, 'ECB' FROM resellers",
    )
    .await?;
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!((ended.state(), ended.run.round, ended.run.generation_count), ("complete", 2, 1));
    assert!(ended.shown()[0].ends_with("60 + 0 + 0 + 0 + 0 = 60 EUR"), "{:?}", ended.shown());
    let invoices: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(&desk.office.pool).await?;
    assert_eq!(invoices, 3);
    desk.close().await
}

#[tokio::test]
async fn a_file_that_came_in_during_the_run_is_seen() -> Result<()> {
    let desk = Desk::with_month(3, &["payer-1 account-0 10 EUR Usage", "payer-1 account-1 20 EUR Usage"]).await?;
    desk.pause("billing.aws").await?;
    desk.office.done(&desk.drafts()).await?;
    desk.import_month(&["payer-2 account-1 2 EUR Usage", "payer-2 account-2 30 EUR Usage"], "second").await?;
    desk.resume("billing.aws").await?;
    let ended = desk.end_of(&desk.drafts()).await?;
    let (kind, _, what) = ended.only_finding();
    assert_eq!(kind, "missing_invoice");
    assert!(what.starts_with("`Customer 002` has charges and no invoice in EUR: they came in"), "{what}");
    assert_eq!(
        ended.shown(),
        ["payer-1: 30 + 0 + 0 + 0 + 0 = 30 EUR", "payer-2: 2 + 0 + 0 + 0 + 30 = 32 EUR"],
        "what was generated after the file holds it"
    );
    let ended = desk.bill(&desk.drafts()).await?;
    assert_eq!((ended.state(), ended.run.generation_count), ("complete", 1));
    desk.close().await
}

#[tokio::test]
async fn money_that_is_missing_or_made_keeps_the_run_from_being_complete() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.tamper("UPDATE invoice_sources SET excluded_tax = excluded_tax + 1E-28 WHERE cost_exact = 20").await?;
    let ended = desk.bill(&desk.drafts()).await?;
    let (kind, amount, what) = ended.only_finding();
    assert_eq!((kind, amount.as_deref()), ("difference", Some("0.0000000000000000000000000001")));
    assert!(what.contains("file `charges.csv`, billing account `payer`"), "{what}");
    desk.close().await
}

#[tokio::test]
async fn an_invoice_whose_charges_are_gone_is_named() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    let file = charge_file(1, "only the first account is left")?;
    import(&desk.office.pool, desk.business.reseller_id, PROVIDER, file.path()).await?;
    let ended = desk.bill(&StartBillRun { replace: true, ..desk.drafts() }).await?;
    let (kind, _, what) = ended.only_finding();
    assert_eq!(kind, "surplus_invoice");
    assert!(what.contains("of `Customer 001` is draft, and no charges belong on it"), "{what}");
    desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Discarded)).await?;
    assert_eq!(desk.bill(&desk.drafts()).await?.state(), "complete");
    desk.close().await
}

#[tokio::test]
async fn a_run_that_is_running_is_not_started_twice() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.pause("billing.aws").await?;
    desk.office.done(&desk.drafts()).await?;
    assert_eq!(desk.run_of(&desk.drafts()).await?.state.as_str(), "running");
    assert_eq!(desk.office.done(&desk.drafts()).await?, "bill run run runs already");
    let other = desk.office.hand_in(&StartBillRun { replace: true, ..desk.drafts() }).await?;
    let waits = "SELECT last_error FROM jobs WHERE id = $1 AND state = 'scheduled'";
    until("the run with other options to wait", || async {
        let said: Option<Option<String>> =
            sqlx::query_scalar(waits).bind(other).fetch_optional(&desk.office.pool).await?;
        Ok(said.flatten().filter(|said| said.contains("bill run run runs with other options")).map(drop))
    })
    .await?;
    let generations: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE kind = 'generate_invoice'")
        .fetch_one(&desk.office.pool)
        .await?;
    assert_eq!(generations, 2);
    desk.resume("billing.aws").await?;
    assert_eq!(desk.end_of(&desk.drafts()).await?.state(), "complete");
    desk.close().await
}

#[tokio::test]
async fn a_dry_run_says_what_each_customer_would_get_and_why_not() -> Result<()> {
    let desk = Desk::open(4).await?;
    desk.execute("UPDATE customers SET currency = 'JPY' WHERE name = 'Customer 003'").await?;
    desk.execute("DELETE FROM provider_accounts WHERE account_id = 'account-2'").await?;
    desk.office.done(&desk.business.generate(0)).await?;
    desk.office.done(&GenerateInvoice { ..desk.business.generate(1) }).await?;
    desk.execute(
        "UPDATE invoices SET stale = true WHERE customer_id = (SELECT id FROM customers WHERE name = 'Customer 001')",
    )
    .await?;
    desk.execute("INSERT INTO provider_accounts SELECT reseller_id, 'aws', 'account-2', id FROM customers WHERE name = 'Customer 002'")
        .await?;
    desk.import_month(&["payer-2 nobody 5 EUR Usage"], "nobody's").await?;
    desk.execute(
        "UPDATE invoices SET stale = false WHERE customer_id = (SELECT id FROM customers WHERE name = 'Customer 000')",
    )
    .await?;
    let plan = |run: StartBillRun| {
        let pool = desk.office.pool.clone();
        async move {
            let mut transaction = pool.begin().await?;
            only_read(&mut transaction).await?;
            let plan = run.plan(&mut transaction, Clock::System.now()).await?;
            anyhow::Ok(plan)
        }
    };
    let planned = plan(desk.drafts()).await?;
    let actions: Vec<(&str, Action)> =
        planned.invoices.iter().map(|planned| (planned.customer_name.as_str(), planned.action)).collect();
    let expected = [
        ("Customer 000", Action::Existing),
        ("Customer 001", Action::Stale),
        ("Customer 002", Action::NewDraft),
        ("Customer 003", Action::Refused),
    ];
    assert_eq!(actions, expected);
    assert_eq!(planned.invoices[2].total.as_deref(), Some("40.84"), "30.00 × 1.125 = 33.75, and 21 % of it");
    let reason = planned.invoices[3].reason.clone().context("a reason")?;
    assert!(reason.contains("EUR") && reason.contains("JPY") && reason.contains("rate"), "{reason}");
    let unassigned: Vec<_> =
        planned.unassigned.iter().map(|account| (account.account_id.as_str(), account.blocks)).collect();
    assert_eq!(unassigned, [("nobody", true)]);
    let months: Vec<_> =
        planned.provisional_months.iter().map(|month| (month.billing_period_start.to_string(), month.drafts)).collect();
    assert_eq!(months, [("2026-08-01".to_owned(), 2)]);
    let replaced = plan(StartBillRun { replace: true, ..desk.drafts() }).await?;
    let count = replaced.invoices.iter().filter(|planned| planned.action == Action::Replace).count();
    assert_eq!(count, 2);
    let opened = plan(desk.business.bill_run(InitialStatus::Open, None)).await?;
    let reason = opened.invoices[2].reason.clone().context("a reason")?;
    assert!(reason.contains("these accounts have charges and no customer: nobody"), "{reason}");
    desk.close().await
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_cannot() -> Result<()> {
    let desk = Desk::open(3).await?;
    desk.office.done(&desk.business.generate(0)).await?;
    let before = desk.digest().await?;
    let dry = StartBillRun { dry_run: true, replace: true, ..desk.drafts() };
    let said = desk.office.done(&dry).await?;
    assert!(said.contains("2 new drafts, 1 replaced, 0 existing, 0 stale, 0 refused"), "{said}");
    assert_eq!(desk.digest().await?, before);
    let handed_in: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE kind IN ('generate_invoice', 'finish_bill_run')")
            .fetch_one(&desk.office.pool)
            .await?;
    assert_eq!(handed_in, 1, "only the generation that the test asked for");
    let mut transaction = desk.office.pool.begin().await?;
    only_read(&mut transaction).await?;
    let refused =
        sqlx::query("UPDATE invoices SET stale = true").execute(&mut *transaction).await.expect_err("read only");
    assert!(refused.to_string().contains("read-only transaction"), "{refused}");
    drop(transaction);
    desk.office.done(&StartBillRun { dry_run: false, ..dry }).await?;
    desk.office.settled().await?;
    assert_ne!(desk.digest().await?, before, "the digest sees what a run does");
    desk.close().await
}

async fn json(site: &Site, arguments: &[&str], expected: Option<i32>) -> Result<Value> {
    let (code, said) = site.run(&[arguments, &["--json"]].concat()).await?;
    anyhow::ensure!(code == expected, "{arguments:?} ended with {code:?}: {said}");
    let json = said.split_once("error:").map_or(said.as_str(), |(json, _)| json);
    serde_json::from_str(json).with_context(|| said.clone())
}

#[tokio::test]
async fn the_command_starts_shows_cancels_and_goes_on_with_a_run() -> Result<()> {
    let site = Site::build(3).await?;
    let reseller = site.business.reseller_id.to_string();
    let start =
        ["bill-runs", "start", "--reseller", &reseller, "--provider", "aws", "--period", "2026-08", "--by", "ana"];
    let dry = json(&site, &[&start[..], &["--dry-run"]].concat(), Some(0)).await?;
    assert_eq!(dry["invoices"].as_array().map(Vec::len), Some(3));
    let (_, table) = site.run(&[&start[..], &["--dry-run"]].concat()).await?;
    assert!(table.contains("Customer 001") && table.contains("3 new drafts"), "{table}");
    assert_eq!(site.run(&["bill-runs", "list"]).await?.1.trim(), "none");

    let _worker = site.start_worker().await?;
    site.run(&["queues", "pause", "billing.aws", "--reason", "a look", "--by", "ana"]).await?;
    json(&site, &start, Some(0)).await?;
    until("the run", || async { Ok(site.run(&["bill-runs", "list"]).await?.1.contains("running").then_some(())) })
        .await?;
    let cancel = ["bill-runs", "cancel", "final", "--reason", "too early", "--by", "ben"];
    let (code, said) = site.run(&cancel).await?;
    assert!(code == Some(0) && said.contains("3 generations never run"), "{said}");
    let cancelled = || async {
        let shown = json(&site, &["bill-runs", "show", "final"], Some(0)).await?;
        Ok((shown["bill_run"]["state"] == "cancelled").then_some(shown))
    };
    let shown = until("the end of the cancelled run", cancelled).await?;
    assert_eq!(shown["bill_run"]["cancelled_by"], "ben");
    assert_eq!(shown["findings"].as_array().map(Vec::len), Some(3), "it says what it did not generate");
    assert_eq!(site.run(&cancel).await?.0, Some(4), "only one that is running is cancelled");

    site.run(&["queues", "resume", "billing.aws", "--by", "ana"]).await?;
    let shown = json(&site, &[&start[..], &["--wait"]].concat(), Some(0)).await?;
    assert_eq!((&shown["bill_run"]["state"], &shown["bill_run"]["round"]), (&"complete".into(), &2.into()));
    assert_eq!(shown["balances"][0]["not_invoiced"], "0");
    let id = shown["bill_run"]["id"].as_str().context("an id")?;
    let (_, text) = site.run(&["bill-runs", "show", id]).await?;
    assert!(
        text.contains("invoiced 60 + excluded tax 0 + unassigned 0 + waived 0 + not invoiced 0 = 60 EUR"),
        "{text}"
    );
    assert_eq!(site.run(&["bill-runs", "show", "nothing"]).await?.0, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_run_that_needs_attention_ends_the_waiting_command_with_a_refusal() -> Result<()> {
    let site = Site::build(2).await?;
    sqlx::query("DELETE FROM provider_accounts WHERE account_id = 'account-1'").execute(site.pool()).await?;
    let _worker = site.start_worker().await?;
    let reseller = site.business.reseller_id.to_string();
    let start = ["bill-runs", "start", "--reseller", &reseller, "--provider", "aws", "--period", "2026-08", "--wait"];
    let shown = json(&site, &start, Some(4)).await?;
    assert_eq!(shown["findings"][0]["kind"], "unassigned_account");
    assert!(shown["findings"][0]["way_out"].as_str().is_some_and(|way_out| way_out.contains("waive it")), "{shown}");
    Ok(())
}
