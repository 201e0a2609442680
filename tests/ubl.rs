//! E-invoices: rendered for who gives both countries, refused with a reason for the rest, and checked when verified.

use anyhow::{Context, Result};
use billrunner::{
    domain::{directory::Directory, document::DocumentKind, invoice_status::InvoiceStatus},
    jobs::{CorrectInvoice, InitialStatus},
    store::{directory, directory_export},
};
use serde_json::{Value, json};

use crate::support::{
    business::directory_of,
    desk::{Desk, rendering},
};

impl Desk {
    /// Applies the reseller's directory again, after a change.
    async fn change_directory(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut document = directory_of(self.business.reseller_id, &self.business.customers);
        change(&mut document);
        let document: Directory = serde_json::from_value(document)?;
        let mut transaction = self.office.pool.begin().await?;
        directory::apply(&mut transaction, &document).await?;
        Ok(transaction.commit().await?)
    }

    /// Returns the e-invoices that are stored, by the invoice's version.
    async fn stored_ubl(&self) -> Result<Vec<(i32, String)>> {
        let sql = "SELECT invoice_version, file_name FROM documents WHERE kind = 'ubl' ORDER BY invoice_version";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }
}

#[tokio::test]
async fn an_opened_invoice_has_an_e_invoice_and_neither_a_draft_nor_a_void_one_has() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    let refused = desk.office.refused(&rendering(&draft, DocumentKind::Ubl)).await?;
    assert_eq!(
        refused,
        format!("`{}` is a draft and has no ubl, as it is no invoice yet; open it first", draft.document_id)
    );
    desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let open = desk.live(0).await?;
    let number = open.number.clone().context("a number")?;
    assert_eq!(desk.stored_ubl().await?, [(open.version, format!("factura-{number}.xml"))]);
    let text = String::from_utf8(desk.newest(&open, DocumentKind::Ubl).await?)?;
    assert!(text.contains(&format!("<cbc:ID>{number}</cbc:ID>")) && text.contains("Customer 000"), "{text}");

    desk.office.done(&desk.to(draft.id, InvoiceStatus::Void)).await?;
    desk.office.settled().await?;
    let refused = desk.office.refused(&rendering(&desk.find(draft.id).await?, DocumentKind::Ubl)).await?;
    assert!(refused.starts_with(&format!("`{number}` is void and has no ubl")), "{refused}");
    assert_eq!(desk.stored_ubl().await?.len(), 1, "what was issued stays");
    desk.verified().await?;
    desk.close().await
}

#[tokio::test]
async fn without_a_country_no_e_invoice_is_tried_and_asked_for_it_says_what_to_do() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.change_directory(|it| it["customers"][0]["country"] = Value::Null).await?;
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    assert_eq!(desk.stored_ubl().await?, []);
    let dead: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'dead'").fetch_one(&desk.office.pool).await?;
    assert_eq!(dead, 0, "nothing was tried");
    let refused = desk.office.refused(&rendering(&invoice, DocumentKind::Ubl)).await?;
    assert_eq!(
        refused,
        format!(
            "`{}` has no ubl: the customer has no `country` (BR-11); add it in the directory, then issue the invoice anew \
             (`correct_invoice`)",
            invoice.number.context("a number")?
        )
    );

    // The way out is one.
    desk.change_directory(|_| ()).await?;
    let correct = CorrectInvoice {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        reason: "the country was missing".to_owned(),
        status: InitialStatus::Open,
        notify: Some(false),
    };
    desk.office.done(&correct).await?;
    desk.office.settled().await?;
    assert_eq!(desk.stored_ubl().await?.len(), 1);
    desk.close().await
}

#[tokio::test]
async fn of_an_invoice_without_lines_no_e_invoice_is_tried() -> Result<()> {
    let desk = Desk::with_costs(&["0"]).await?;
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    assert!(invoice.lines.is_empty());
    let unfinished: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT kind, last_error FROM jobs WHERE state = 'dead'").fetch_all(&desk.office.pool).await?;
    assert_eq!((desk.stored_ubl().await?, unfinished), (vec![], vec![]), "nothing was tried");
    let refused = desk.office.refused(&rendering(&invoice, DocumentKind::Ubl)).await?;
    assert!(refused.ends_with("has no ubl: it has no lines (BR-16); ask for another document"), "{refused}");
    desk.close().await
}

#[tokio::test]
async fn countries_are_frozen_on_the_invoice_make_drafts_stale_and_are_written_out_with_the_directory() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    let countries = [&draft.reseller, &draft.customer].map(|party| party.country.map(|country| country.to_string()));
    assert_eq!(countries, [Some("ES".to_owned()), Some("ES".to_owned())]);
    for party in ["/reseller/country", "/customers/0/country"] {
        desk.change_directory(|it| *it.pointer_mut(party).expect("a country") = "PT".into()).await?;
        assert!(desk.live(0).await?.stale, "{party}");
        let (pool, reseller_id) = (&desk.office.pool, desk.business.reseller_id);
        let exported = directory_export::export(&mut *pool.acquire().await?, reseller_id).await?.context("it")?;
        assert_eq!(serde_json::to_value(exported)?.pointer(party), Some(&json!("PT")));
        desk.execute("UPDATE invoices SET stale = false").await?;
    }
    let wrong = desk.change_directory(|it| it["reseller"]["country"] = "Spain".into()).await;
    let wrong = wrong.expect_err("no code").to_string();
    assert!(wrong.starts_with("`Spain` is not a country; write its two capital letters"), "{wrong}");
    desk.close().await
}

#[tokio::test]
async fn a_view_in_another_currency_has_no_e_invoice() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.change_directory(|it| {
        it["pricing_policy"] = json!({ "max_exchange_rate_age_days": 36500 });
        it["exchange_rates"] =
            json!([{ "from": "EUR", "to": "USD", "rated_on": "2026-08-31", "rate": "1.1", "source": "ECB" }]);
    })
    .await?;
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    let mut view = rendering(&invoice, DocumentKind::Ubl);
    view.currency = Some("USD".parse()?);
    let refused = desk.office.refused(&view).await?;
    let number = invoice.number.context("a number")?;
    assert_eq!(refused, format!("the ubl of `{number}` is in its own currency alone; leave `currency` out"));
    desk.close().await
}
