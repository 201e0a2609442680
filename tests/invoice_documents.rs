//! Which documents there are of an invoice, that they come out the same twice, and that they tell a customer only what
//! is the customer's.

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{document::DocumentKind, invoice::Invoice, invoice_status::InvoiceStatus},
    jobs::{GenerateInvoice, InitialStatus},
    providers,
    store::documents::{self, StoredDocument},
};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};

use crate::support::{
    business::charge_file,
    desk::{Desk, decimal, rendering},
    import::import,
};

impl Desk {
    async fn documents(&self, invoice: &Invoice) -> Result<Vec<StoredDocument>> {
        let mut connection = self.office.pool.acquire().await?;
        let language = invoice.language.to_string();
        let (reseller_id, version) = (invoice.reseller_id, invoice.version);
        Ok(documents::of_version(&mut connection, reseller_id, invoice.id, version, &language).await?)
    }

    async fn bytes(&self, document: &StoredDocument) -> Result<Bytes> {
        Ok(self.office.context.objects.get(&document.location.as_str().into()).await?.bytes().await?)
    }

    async fn text(&self, invoice: &Invoice, kind: DocumentKind) -> Result<String> {
        let documents = self.documents(invoice).await?;
        let document = documents.iter().find(|document| document.kind == kind).context("a document")?;
        Ok(String::from_utf8(self.bytes(document).await?.to_vec())?)
    }
}

#[tokio::test]
async fn opening_renders_what_the_provider_offers_and_nothing_else_can_be_asked_for() -> Result<()> {
    let desk = Desk::open(1).await?;
    for profile in providers::all() {
        if profile.id != "aws" {
            let file = charge_file(1, profile.id)?;
            import(&desk.office.pool, desk.business.reseller_id, profile.id, file.path()).await?;
            sqlx::query("INSERT INTO provider_accounts SELECT reseller_id, $1, 'account-0', id FROM customers")
                .bind(profile.id)
                .execute(&desk.office.pool)
                .await?;
        }
        let open = GenerateInvoice {
            provider: profile.id.to_owned(),
            status: InitialStatus::Open,
            force: true,
            ..desk.business.generate(0)
        };
        desk.office.done(&open).await?;
        desk.office.settled().await?;
        let sql = "SELECT id FROM invoices WHERE provider = $1";
        let id = sqlx::query_scalar(sql).bind(profile.id).fetch_one(&desk.office.pool).await?;
        let invoice = desk.find(id).await?;
        let kinds: Vec<DocumentKind> =
            desk.documents(&invoice).await?.into_iter().map(|document| document.kind).collect();
        for kind in DocumentKind::ALL {
            let is_offered = profile.documents.contains(&kind);
            assert_eq!(kinds.contains(&kind), is_offered, "{kind} of {}", profile.id);
            if !is_offered {
                let error = desk.office.refused(&rendering(&invoice, kind)).await?;
                assert_eq!(error, format!("`{}` invoices have no {kind}; offered: pdf, csv, print, ubl", profile.id));
            }
        }
    }
    desk.close().await
}

#[tokio::test]
async fn a_document_comes_out_the_same_twice() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    let stored = desk.documents(&invoice).await?;
    assert_eq!(stored.len(), DocumentKind::ALL.len());
    for document in &stored {
        let before = desk.bytes(document).await?;
        assert_eq!(Sha256::digest(&before).as_slice(), document.sha256, "{}", document.kind);
        assert_eq!(i64::try_from(before.len())?, document.size_bytes);
        desk.office.context.objects.delete(&document.location.as_str().into()).await?;
        desk.office.done(&rendering(&invoice, document.kind)).await?;
        assert_eq!(desk.bytes(document).await?, before, "{}", document.kind);
    }
    assert_eq!(desk.documents(&invoice).await?.len(), stored.len());
    desk.close().await
}

#[tokio::test]
async fn drafts_and_void_invoices_carry_their_mark_in_the_customers_language() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    for (customer, draft_mark, void_mark) in [(0, ">BORRADOR<", ">ANULAD"), (1, ">DRAFT<", ">VOID<")] {
        let draft = desk.live(customer).await?;
        desk.office.done(&rendering(&draft, DocumentKind::Print)).await?;
        assert!(desk.text(&draft, DocumentKind::Print).await?.contains(draft_mark));
        desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
        desk.office.settled().await?;
        let open = desk.text(&desk.live(customer).await?, DocumentKind::Print).await?;
        assert!(!open.contains(draft_mark) && !open.contains(void_mark));
        let late = desk.office.done(&rendering(&draft, DocumentKind::Print)).await?;
        assert!(late.starts_with("stale:"), "{late}");
        desk.office.done(&desk.to(draft.id, InvoiceStatus::Void)).await?;
        desk.office.settled().await?;
        let void = desk.text(&desk.find(draft.id).await?, DocumentKind::Print).await?;
        assert!(void.contains(void_mark), "{void}");
    }
    desk.close().await
}

#[tokio::test]
async fn the_detail_adds_up_to_the_exact_subtotal() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    for customer in 0..2 {
        let draft = desk.live(customer).await?;
        desk.office.done(&rendering(&draft, DocumentKind::DetailedCsv)).await?;
        let text = desk.text(&draft, DocumentKind::DetailedCsv).await?;
        let delimiter = if customer == 0 { ';' } else { ',' };
        let (titles, rows) = text.split_once("\r\n").context("titles")?;
        let titles: Vec<&str> = titles.split(delimiter).collect();
        let title = if customer == 0 { "Precio" } else { "Price" };
        let price = titles.iter().position(|found| *found == title).with_context(|| format!("{titles:?}"))?;
        let sum: BigDecimal = rows
            .lines()
            .filter_map(|row| row.split(delimiter).nth(price))
            .map(|text| decimal(&text.replace(',', ".")))
            .sum();
        assert_eq!((sum, rows.lines().count()), (draft.exact_subtotal.clone(), 2), "{text}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_customer_reads_nothing_of_another_nor_what_the_reseller_pays() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    // Costs 9.995 and 0.005, twice that for the second; 12.5 % on top.
    let of_the_reseller =
        ["9.995", "9,995", "19.99", "19,99", "0.005\"", "12.5", "12,5", "arkup", "argen", "Cost", "Coste"];
    for (customer, other) in [(0, 1), (1, 0)] {
        desk.office
            .done(&billrunner::jobs::ChangeInvoiceStatus {
                notify: Some(true),
                ..desk.to(desk.id(customer).await?, InvoiceStatus::Open)
            })
            .await?;
        desk.office.settled().await?;
        let invoice = desk.live(customer).await?;
        let theirs = [
            format!("Customer 00{other}"),
            format!("account-{other}"),
            format!("Account {other}"),
            format!("contact-{other}"),
            desk.business.customers[other].to_string(),
        ];
        for kind in [DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print, DocumentKind::Json] {
            let text = desk.text(&invoice, kind).await?;
            assert!(text.contains(&format!("account-{customer}")), "{kind} shows the customer's own account");
            for secret in theirs.iter().map(String::as_str).chain(of_the_reseller) {
                assert!(!text.contains(secret), "{kind} tells customer {customer} of `{secret}`:\n{text}");
            }
        }
        let mail = desk.office.sink.received().pop().context("a mail")?;
        let mail = String::from_utf8_lossy(&mail.content).into_owned();
        assert!(theirs.iter().all(|secret| !mail.contains(secret)), "{mail}");
    }
    desk.close().await
}
