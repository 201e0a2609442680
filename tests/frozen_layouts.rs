//! What a customer was given stays as it is: a release with another layout serves the stored bytes, makes no second
//! object, and says so where it can do neither.

use anyhow::{Context, Result};
use billrunner::{
    documents::layout_version,
    domain::{document::DocumentKind, invoice_status::InvoiceStatus},
};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use crate::support::desk::{Desk, rendering};

/// What an earlier release rendered; the database knows its size and hash.
const OLD_BYTES: &str = "rendered by an earlier release";
const AS_AN_EARLIER_RELEASE_DID: &str =
    "UPDATE documents SET template_hash = repeat('0', 64), layout_version = 1, size_bytes = 30,
         sha256 = sha256('rendered by an earlier release'::bytea)
     WHERE kind = 'pdf'";

impl Desk {
    async fn objects(&self) -> Result<Vec<String>> {
        let found: Vec<_> = self.office.context.objects.list(Some(&Path::from("documents"))).try_collect().await?;
        let mut names: Vec<String> = found.into_iter().map(|object| object.location.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Returns version, layout and place of each PDF, oldest first.
    async fn pdfs(&self) -> Result<Vec<(i32, Option<i32>, String)>> {
        let sql =
            "SELECT invoice_version, layout_version, location FROM documents WHERE kind = 'pdf' ORDER BY created_at";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }
}

#[tokio::test]
async fn an_open_invoices_documents_outlive_their_layout() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    let [(.., place)] = &desk.pdfs().await?[..] else { anyhow::bail!("one PDF") };
    let place = Path::from(place.as_str());
    desk.tamper(AS_AN_EARLIER_RELEASE_DID).await?;
    let objects = desk.office.context.objects.clone();
    objects.put(&place, PutPayload::from_static(OLD_BYTES.as_bytes())).await?;
    let before = (desk.pdfs().await?, desk.objects().await?);

    let said = desk.office.done(&rendering(&invoice, DocumentKind::Pdf)).await?;
    assert!(said.ends_with(".pdf is rendered already"), "{said}");
    assert_eq!((desk.pdfs().await?, desk.objects().await?), before, "no second row, no second object");
    assert_eq!(objects.get(&place).await?.bytes().await?, OLD_BYTES);
    let report = desk.verify(true).await?;
    assert_eq!((report.count(), report.documents - report.rendered_again), (0, 1), "{report:#?}");

    objects.delete(&place).await?;
    let refused = desk.office.refused(&rendering(&invoice, DocumentKind::Pdf)).await?;
    assert!(refused.contains("was rendered with another layout (version 1)"), "{refused}");
    assert!(objects.get(&place).await.is_err(), "nothing else is put in its place");

    desk.office.done(&desk.to(invoice.id, InvoiceStatus::Void)).await?;
    desk.office.settled().await?;
    let (version, layout, _) = desk.pdfs().await?.pop().context("a PDF of the void invoice")?;
    assert_eq!((version, layout), (invoice.version + 1, Some(layout_version(DocumentKind::Pdf))), "what is new has it");
    desk.close().await
}

#[tokio::test]
async fn rendering_again_makes_no_second_object_and_a_draft_follows_the_layout() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    desk.office.done(&rendering(&draft, DocumentKind::Pdf)).await?;
    desk.tamper(AS_AN_EARLIER_RELEASE_DID).await?;
    desk.office.done(&rendering(&draft, DocumentKind::Pdf)).await?;
    let layouts: Vec<Option<i32>> = desk.pdfs().await?.into_iter().map(|(_, layout, _)| layout).collect();
    assert_eq!(layouts, [Some(1), Some(layout_version(DocumentKind::Pdf))], "a draft is nobody's yet");

    desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let open = desk.live(0).await?;
    let before = (desk.pdfs().await?, desk.objects().await?);
    for kind in DocumentKind::ALL {
        let said = desk.office.done(&rendering(&open, kind)).await?;
        assert!(said.ends_with("is rendered already"), "{said}");
    }
    assert_eq!((desk.pdfs().await?, desk.objects().await?), before);
    desk.close().await
}
