//! What a change of prices touches: the drafts it is about, nothing that is billed, and nothing else.

use anyhow::Result;
use billrunner::{domain::invoice_status::InvoiceStatus, jobs::ChangeInvoiceStatus};
use serde_json::json;

use crate::support::{
    desk::{Desk, decimal},
    priced::{Row, open},
};

const FIRST: Row<'static> = (0, "EC2", "Compute", "Usage", "2026-08-05", "100");
const SECOND: Row<'static> = (1, "EC2", "Compute", "Usage", "2026-08-05", "100");

async fn issue(desk: &Desk, customer: usize) -> Result<()> {
    let open = desk.to(desk.id(customer).await?, InvoiceStatus::Open);
    desk.office.done(&ChangeInvoiceStatus { force: true, ..open }).await?;
    desk.office.settled().await
}

async fn refused(desk: &Desk, terms: &serde_json::Value) -> String {
    desk.apply(terms).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_price_change_never_touches_a_billed_month_and_names_invoice_and_way_out() -> Result<()> {
    let desk = open(1, &[FIRST]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([{ "method": "markup", "rate": "0.1" }]);
    desk.apply(&terms).await?;
    desk.draft(0).await?;
    issue(&desk, 0).await?;
    let billed = desk.live(0).await?;
    let number = billed.number.clone().expect("a number");

    let mut changed = terms.clone();
    changed["price_rules"][0]["rate"] = "0.2".into();
    let error = refused(&desk, &changed).await;
    assert!(
        error.starts_with(&format!(
            "the price rule for everything would change 2026-08, which invoice {number} of Customer 000"
        )) && error.contains("until 2026-09-01"),
        "{error}"
    );
    let mut new = terms.clone();
    let of_ec2 = json!({ "service_name": "EC2", "method": "markup", "rate": "0.2", "valid_from": "2026-08-01" });
    new["price_rules"].as_array_mut().expect("rules").push(of_ec2);
    assert!(refused(&desk, &new).await.contains("the price rule for service EC2 would change 2026-08"));
    let mut charge = terms.clone();
    charge["custom_charges"] = json!([
        { "name": "Fee", "formula": { "kind": "percent", "basis": "price", "rate": "0.1" } },
    ]);
    assert!(refused(&desk, &charge).await.contains("custom charge `Fee` would change 2026-08"));

    let mut from_september = terms.clone();
    from_september["price_rules"] = json!([
        { "method": "markup", "rate": "0.1", "valid_to": "2026-09-01" },
        { "method": "markup", "rate": "0.2", "valid_from": "2026-09-01" },
    ]);
    from_september["custom_charges"] = charge["custom_charges"].clone();
    from_september["custom_charges"][0]["valid_from"] = "2026-09-01".into();
    desk.apply(&from_september).await?;
    assert_eq!(desk.live(0).await?.total, billed.total);

    desk.office.done(&desk.to(billed.id, InvoiceStatus::Void)).await?;
    desk.apply(&changed).await?;
    assert_eq!(desk.draft(0).await?.subtotal, decimal("120"), "a void invoice bills nothing");
    desk.close().await
}

#[tokio::test]
async fn only_the_drafts_that_a_change_is_about_become_stale() -> Result<()> {
    let desk = open(2, &[FIRST, SECOND]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([{ "method": "markup", "rate": "0.10" }]);
    terms["exchange_rates"] =
        json!([{ "from": "USD", "to": "EUR", "rated_on": "2026-08-31", "rate": "0.9", "source": "ECB" }]);
    desk.apply(&terms).await?;
    let (first, second) = (desk.business.customers[0], desk.business.customers[1]);
    let with = |rule: serde_json::Value| {
        let mut changed = terms.clone();
        changed["price_rules"].as_array_mut().expect("rules").push(rule);
        changed
    };
    let mut same_rate = terms.clone();
    same_rate["price_rules"][0]["rate"] = "0.1".into();
    let mut tax_of_second = terms.clone();
    tax_of_second["customers"][1]["tax_rates"][0]["rate"] = "0.1".into();
    let mut later_tax = terms.clone();
    later_tax["customers"][1]["tax_rates"][0]["valid_to"] = "2026-09-01".into();
    let mut other_rate = terms.clone();
    other_rate["exchange_rates"][0]["rate"] = "0.8".into();
    let mut fee = terms.clone();
    fee["custom_charges"] = json!([
        { "name": "Fee", "customer_id": first, "formula": { "kind": "percent", "basis": "price", "rate": "0.1" } },
    ]);
    let cases = [
        ("the same rate in other digits", same_rate, [false, false]),
        (
            "a rule of one customer",
            with(json!({ "customer_id": second, "method": "markup", "rate": "1" })),
            [false, true],
        ),
        ("another provider", with(json!({ "provider": "google", "method": "markup", "rate": "1" })), [false, false]),
        (
            "a later month",
            with(json!({ "provider": "aws", "method": "markup", "rate": "1", "valid_from": "2026-08-02" })),
            [false, false],
        ),
        ("a custom charge of one", fee, [true, false]),
        ("a tax of one", tax_of_second, [false, true]),
        ("a tax that ends after the month", later_tax, [false, false]),
        ("an exchange rate that nobody uses", other_rate, [false, false]),
        ("everybody's rule", with(json!({ "provider": "aws", "method": "markup", "rate": "1" })), [true, true]),
    ];
    for (name, changed, expected) in cases {
        desk.apply(&terms).await?;
        desk.draft(0).await?;
        desk.draft(1).await?;
        desk.apply(&changed).await?;
        let stale = [desk.live(0).await?.stale, desk.live(1).await?.stale];
        assert_eq!(stale, expected, "{name}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_draft_is_stale_once_the_table_has_another_exchange_rate_for_it() -> Result<()> {
    let desk = open(1, &[FIRST]).await?;
    let mut terms = desk.terms();
    terms["customers"][0]["currency"] = "EUR".into();
    terms["custom_charges"] = json!([
        { "name": "Support", "provider": "aws", "currency": "USD", "formula": { "kind": "fixed", "amount": "10" } },
    ]);
    let rate =
        |day: &str, rate: &str| json!([{ "from": "USD", "to": "EUR", "rated_on": day, "rate": rate, "source": "ECB" }]);
    terms["exchange_rates"] = rate("2026-08-20", "0.9");
    desk.apply(&terms).await?;
    for (day, value, expected) in [
        ("2026-08-19", "0.5", false),
        ("2026-09-01", "0.5", false),
        ("2026-08-21", "0.5", true),
        ("2026-08-21", "0.6", true),
    ] {
        desk.draft(0).await?;
        terms["exchange_rates"] = rate(day, value);
        desk.apply(&terms).await?;
        assert_eq!(desk.live(0).await?.stale, expected, "{day} {value}");
    }
    desk.close().await
}

#[tokio::test]
async fn contradicting_prices_and_taxes_are_refused_when_they_are_saved() -> Result<()> {
    let desk = open(1, &[FIRST]).await?;
    let terms = desk.terms();
    let mut tie = terms.clone();
    tie["markups"] = json!([{ "rate": "0.1" }]);
    tie["price_rules"] = json!([{ "method": "markup", "rate": "0.2", "valid_from": "2027-01-01" }]);
    let error = refused(&desk, &tie).await;
    assert!(error.starts_with("the price rule for everything is there twice, always and from 2027-01-01"), "{error}");
    let mut reverse_charge = terms.clone();
    reverse_charge["customers"][0]["tax_rates"] = json!([{ "name": "IVA", "rate": "0.21", "category": "AE" }]);
    assert!(refused(&desk, &reverse_charge).await.contains("tax `IVA` has category AE and rate 0.21"));
    let mut fee = terms.clone();
    fee["custom_charges"] =
        json!([{ "name": "Fee", "currency": "EUR", "formula": { "kind": "fixed", "amount": "1" } }]);
    assert!(refused(&desk, &fee).await.contains("names no provider"));
    desk.apply(&terms).await?;
    let sql = "INSERT INTO price_rules (reseller_id, method, rate) SELECT id, 'markup', rate FROM resellers, (VALUES (0), (1)) AS v (rate)";
    let error = desk.execute(sql).await.expect_err("the database refuses a tie too").to_string();
    assert!(error.contains("price_rules_key"), "{error}");
    desk.close().await
}
