//! Which change of an input makes which drafts stale: those that it changes, and no other.

use anyhow::Result;
use billrunner::{
    domain::invoice_status::InvoiceStatus,
    jobs::{ChangeInvoiceStatus, GenerateInvoice},
};
use serde_json::{Value, json};

use crate::support::{
    desk::{Desk, decimal},
    holders::hold,
};

/// Two customers with drafts of August, and what makes them.
struct Scene {
    desk: Desk,
    directory: Value,
}

impl Scene {
    async fn set() -> Result<Self> {
        let desk = Desk::with_drafts(2).await?;
        let directory = desk.directory();
        Ok(Self { desk, directory })
    }

    /// Applies a change and returns whose drafts are stale by it; they are fresh afterwards.
    async fn stale_by(&mut self, change: impl FnOnce(&mut Value)) -> Result<[bool; 2]> {
        change(&mut self.directory);
        self.desk.apply(&self.directory).await?;
        self.stale().await
    }

    async fn stale(&self) -> Result<[bool; 2]> {
        let mut stale = [false; 2];
        for (customer, is_stale) in stale.iter_mut().enumerate() {
            *is_stale = self.desk.live(customer).await?.stale;
        }
        for customer in (0..2).filter(|customer| stale[*customer]) {
            self.regenerate(customer).await?;
        }
        Ok(stale)
    }

    async fn regenerate(&self, customer: usize) -> Result<()> {
        self.desk.office.done(&GenerateInvoice { replace: true, ..self.desk.business.generate(customer) }).await?;
        assert!(!self.desk.live(customer).await?.stale);
        Ok(())
    }
}

const NOBODY: [bool; 2] = [false, false];
const FIRST: [bool; 2] = [true, false];
const SECOND: [bool; 2] = [false, true];
const BOTH: [bool; 2] = [true, true];

#[tokio::test]
async fn the_same_directory_again_makes_no_draft_stale() -> Result<()> {
    let mut scene = Scene::set().await?;
    assert_eq!(scene.stale_by(|_| {}).await?, NOBODY);
    // Written in another way it is the same.
    assert_eq!(scene.stale_by(|directory| directory["markups"][0]["rate"] = "0.1250".into()).await?, NOBODY);
    let rate = |directory: &mut Value| directory["customers"][0]["tax_rates"][0]["rate"] = "0.210".into();
    assert_eq!(scene.stale_by(rate).await?, NOBODY);
    scene.desk.close().await
}

#[tokio::test]
async fn what_an_invoice_prints_of_a_customer_makes_its_drafts_stale_and_nobody_elses() -> Result<()> {
    let mut scene = Scene::set().await?;
    for (detail, value) in [
        ("name", "Another name"),
        ("language", "de"),
        ("tax_id", "ESB00000000"),
        ("address", "Calle Nueva 2"),
        ("time_zone", "Europe/Madrid"),
        ("purchase_order", "PO-1"),
    ] {
        let change = |directory: &mut Value| directory["customers"][0][detail] = value.into();
        assert_eq!(scene.stale_by(change).await?, FIRST, "{detail}");
    }
    scene.desk.close().await
}

#[tokio::test]
async fn whom_to_tell_makes_no_draft_stale() -> Result<()> {
    let mut scene = Scene::set().await?;
    let contact = |directory: &mut Value| directory["customers"][0]["contacts"][0]["email"] = "b@example.com".into();
    assert_eq!(scene.stale_by(contact).await?, NOBODY);
    let suppressed = json!([{ "email": "b@example.com", "reason": "closed" }]);
    assert_eq!(scene.stale_by(|directory| directory["suppressed_addresses"] = suppressed).await?, NOBODY);
    scene.desk.close().await
}

#[tokio::test]
async fn a_custom_field_makes_the_drafts_stale_that_print_it_otherwise() -> Result<()> {
    let mut scene = Scene::set().await?;
    let field = json!([{ "key": "site", "labels": { "es": "Sede", "en": "Site" }, "position": 1 }]);
    assert_eq!(scene.stale_by(|directory| directory["custom_fields"] = field).await?, NOBODY);
    let value = |directory: &mut Value| directory["customers"][0]["fields"] = json!({ "site": "Sur" });
    assert_eq!(scene.stale_by(value).await?, FIRST);
    // The first customer reads Spanish.
    let other = |directory: &mut Value| directory["custom_fields"][0]["labels"]["en"] = "Place".into();
    assert_eq!(scene.stale_by(other).await?, NOBODY);
    let own = |directory: &mut Value| directory["custom_fields"][0]["labels"]["es"] = "Lugar".into();
    assert_eq!(scene.stale_by(own).await?, FIRST);
    let pattern = |directory: &mut Value| directory["custom_fields"][0]["pattern"] = "Sur|Norte".into();
    assert_eq!(scene.stale_by(pattern).await?, NOBODY);
    let hidden = |directory: &mut Value| directory["custom_fields"][0]["printed"] = false.into();
    assert_eq!(scene.stale_by(hidden).await?, FIRST);
    let unseen = |directory: &mut Value| directory["customers"][0]["fields"]["site"] = "Norte".into();
    assert_eq!(scene.stale_by(unseen).await?, NOBODY);
    scene.desk.close().await
}

#[tokio::test]
async fn a_tax_makes_its_customers_drafts_stale() -> Result<()> {
    let mut scene = Scene::set().await?;
    let rate = |directory: &mut Value| directory["customers"][1]["tax_rates"][0]["rate"] = "0.10".into();
    assert_eq!(scene.stale_by(rate).await?, SECOND);
    let name = |directory: &mut Value| directory["customers"][1]["tax_rates"][0]["name"] = "VAT".into();
    assert_eq!(scene.stale_by(name).await?, SECOND);
    assert_eq!(scene.stale_by(|directory| directory["customers"][1]["tax_rates"] = json!([])).await?, SECOND);
    scene.desk.close().await
}

#[tokio::test]
async fn a_currency_and_the_rates_that_a_draft_used_make_it_stale_and_later_rates_do_not() -> Result<()> {
    let scene = Scene::set().await?;
    let mut directory = scene.directory.clone();
    let rate = |from: &str, day: &str, rate: &str| json!({ "from": from, "to": "CHF", "rated_on": day, "rate": rate, "source": "test" });
    directory["customers"][0]["currency"] = "CHF".into();
    directory["exchange_rates"] = json!([rate("EUR", "2026-08-20", "0.9")]);
    scene.desk.apply(&directory).await?;
    assert!(scene.desk.live(0).await?.stale && !scene.desk.live(1).await?.stale);
    let discard = scene.desk.to(scene.desk.id(0).await?, InvoiceStatus::Discarded);
    scene.desk.office.done(&discard).await?;
    let francs = GenerateInvoice { currency: "CHF".parse()?, ..scene.desk.business.generate(0) };
    scene.desk.office.done(&francs).await?;
    for (added, is_stale) in [
        (rate("EUR", "2026-09-01", "0.8"), false),
        (rate("USD", "2026-08-31", "0.8"), false),
        (rate("EUR", "2026-08-19", "0.8"), false),
        (rate("EUR", "2026-08-31", "0.8"), true),
    ] {
        directory["exchange_rates"] = json!([added]);
        scene.desk.apply(&directory).await?;
        assert_eq!(scene.desk.live(0).await?.stale, is_stale, "{added}");
        assert!(!scene.desk.live(1).await?.stale);
    }
    scene.desk.close().await
}

#[tokio::test]
async fn a_markup_makes_the_drafts_stale_of_the_customers_and_provider_it_names() -> Result<()> {
    let mut scene = Scene::set().await?;
    let second = scene.desk.business.customers[1];
    let google = json!({ "customer_id": null, "provider": "google", "rate": "0.3" });
    let add = |directory: &mut Value, markup: Value| directory["markups"].as_array_mut().expect("a list").push(markup);
    assert_eq!(scene.stale_by(|directory| add(directory, google)).await?, NOBODY);
    let own = json!({ "customer_id": second, "provider": null, "rate": "0.3" });
    assert_eq!(scene.stale_by(|directory| add(directory, own)).await?, SECOND);
    // The second too, which has its own by now: who is priced by another rule is not looked at.
    assert_eq!(scene.stale_by(|directory| directory["markups"][0]["rate"] = "0.2".into()).await?, BOTH);
    scene.desk.close().await
}

#[tokio::test]
async fn an_account_makes_the_drafts_stale_that_it_goes_from_and_to_and_only_where_charges_move() -> Result<()> {
    let mut scene = Scene::set().await?;
    // All charges are of 5 August.
    let without_move = |directory: &mut Value| {
        hold(directory, 0, &[("account-0", Some("2026-08-05"), Some("2026-08-06")), ("account-9", None, None)]);
        hold(directory, 1, &[("account-0", Some("2026-08-06"), None), ("account-1", None, None)]);
    };
    assert_eq!(scene.stale_by(without_move).await?, NOBODY);
    let move_one = |directory: &mut Value| {
        hold(directory, 0, &[("account-9", None, None)]);
        hold(directory, 1, &[("account-0", Some("2026-08-05"), None), ("account-1", None, None)]);
    };
    move_one(&mut scene.directory);
    scene.desk.apply(&scene.directory).await?;
    assert!(scene.desk.live(0).await?.stale && scene.desk.live(1).await?.stale);
    // Nothing is left for the first one.
    scene.desk.office.done(&scene.desk.to(scene.desk.id(0).await?, InvoiceStatus::Discarded)).await?;
    scene.regenerate(1).await?;
    assert_eq!(scene.desk.live(1).await?.subtotal, decimal("33.75"));
    scene.desk.close().await
}

#[tokio::test]
async fn the_drafts_of_both_sides_of_a_hand_over_are_made_anew_one_after_the_other() -> Result<()> {
    let mut scene = Scene::set().await?;
    let swapped = |directory: &mut Value| {
        hold(directory, 0, &[("account-1", None, None)]);
        hold(directory, 1, &[("account-0", None, None)]);
    };
    assert_eq!(scene.stale_by(swapped).await?, BOTH);
    assert_eq!(scene.desk.live(0).await?.subtotal, decimal("22.5"));
    for customer in 0..2 {
        scene.desk.office.done(&scene.desk.to(scene.desk.id(customer).await?, InvoiceStatus::Open)).await?;
    }
    scene.desk.close().await
}

#[tokio::test]
async fn a_stale_draft_that_would_bill_anothers_charges_is_not_opened_even_by_force() -> Result<()> {
    let scene = Scene::set().await?;
    let mut directory = scene.directory.clone();
    hold(&mut directory, 0, &[]);
    hold(&mut directory, 1, &[("account-0", None, None), ("account-1", None, None)]);
    scene.desk.apply(&directory).await?;
    scene.regenerate(1).await?;
    let open = scene.desk.to(scene.desk.id(0).await?, InvoiceStatus::Open);
    assert!(scene.desk.office.refused(&open).await?.contains("its inputs changed since it was generated"));
    let error = scene.desk.office.refused(&ChangeInvoiceStatus { force: true, ..open }).await?;
    assert!(error.contains("do not add up to the charge files"), "{error}");
    assert_eq!(scene.desk.live(0).await?.status, InvoiceStatus::Draft);
    scene.desk.office.done(&scene.desk.to(scene.desk.id(1).await?, InvoiceStatus::Open)).await?;
    scene.desk.close().await
}

#[tokio::test]
async fn a_charge_file_makes_the_drafts_stale_of_those_whose_charges_it_brings_or_takes() -> Result<()> {
    let scene = Scene::set().await?;
    let desk = &scene.desk;
    let august = "2026-08-05T00:00:00Z";
    desk.import(&[("another payer", "account-1", august, "1")]).await?;
    assert_eq!(scene.stale().await?, SECOND, "a second payer's file adds to one customer");
    desk.import(&[("another payer", "account-0", august, "1")]).await?;
    assert_eq!(scene.stale().await?, BOTH, "the file that takes its place brings to one and takes from the other");
    desk.import(&[("a third payer", "nobody's", august, "1")]).await?;
    assert_eq!(scene.stale().await?, NOBODY, "what nobody holds is on no draft");
    scene.desk.close().await
}

#[tokio::test]
async fn a_charge_file_touches_no_draft_of_another_currency() -> Result<()> {
    let scene = Scene::set().await?;
    let text = std::fs::read_to_string(
        crate::support::holders::file_of_charges(&[("in dollars", "account-0", "2026-08-05T00:00:00Z", "1")])?.path(),
    )?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text.replace("EUR", "USD"))?;
    let business = &scene.desk.business;
    crate::support::import::import(&scene.desk.office.pool, business.reseller_id, "aws", file.path()).await?;
    assert_eq!(scene.stale().await?, NOBODY);
    scene.desk.close().await
}

#[tokio::test]
async fn a_waiver_makes_no_draft_stale_and_an_issued_invoice_never_is() -> Result<()> {
    let mut scene = Scene::set().await?;
    let waiver =
        json!([{ "provider": "aws", "billing_period": "2026-08", "account_id": "x", "reason": "r", "waived_by": "w" }]);
    assert_eq!(scene.stale_by(|directory| directory["unassigned_waivers"] = waiver).await?, NOBODY);
    for customer in 0..2 {
        scene.desk.office.done(&scene.desk.to(scene.desk.id(customer).await?, InvoiceStatus::Open)).await?;
    }
    scene.directory["reseller"]["name"] = "Another".into();
    scene.desk.apply(&scene.directory).await?;
    scene.desk.import(&[("another payer", "account-0", "2026-08-05T00:00:00Z", "1")]).await?;
    for customer in 0..2 {
        assert!(!scene.desk.live(customer).await?.stale);
    }
    scene.desk.close().await
}
