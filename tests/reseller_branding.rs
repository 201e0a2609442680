//! How a reseller's documents look: from its directory, frozen on each invoice.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use billrunner::{
    domain::{document::DocumentKind, invoice::Invoice, invoice_status::InvoiceStatus},
    store::{directory_export, documents},
};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use crate::support::{business::directory_of, desk::Desk};

/// A logo of two pixels, one of them transparent.
fn logo() -> Result<String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header()?.write_image_data(&[9, 9, 9, 255, 9, 9, 9, 0])?;
    Ok(BASE64_STANDARD.encode(bytes))
}

fn with_branding(desk: &Desk, branding: Value) -> Value {
    let mut directory = directory_of(desk.business.reseller_id, &desk.business.customers);
    directory["reseller"]["branding"] = branding;
    directory
}

async fn pdf(desk: &Desk, invoice: &Invoice) -> Result<Bytes> {
    let mut connection = desk.office.pool.acquire().await?;
    let (language, version) = (invoice.language.to_string(), invoice.version);
    let stored = documents::of_version(&mut connection, invoice.reseller_id, invoice.id, version, &language).await?;
    let pdf = stored.into_iter().find(|document| document.kind == DocumentKind::Pdf).context("a pdf")?;
    Ok(desk.office.context.objects.get(&pdf.location.as_str().into()).await?.bytes().await?)
}

#[tokio::test]
async fn an_invoice_keeps_the_branding_it_was_made_with() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.apply(&with_branding(&desk, json!({ "logo": logo()?, "colour": "#0a7d4f", "paper": "letter" }))).await?;
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let printed = pdf(&desk, &desk.live(0).await?).await?;
    let is_in = |part: &[u8]| printed.windows(part.len()).any(|window| window == part);
    assert!(is_in(b"/SMask"), "the logo is not in the file");
    desk.apply(&with_branding(&desk, json!({ "colour": "#aa0000" }))).await?;
    desk.verified().await?;
    desk.close().await
}

#[tokio::test]
async fn another_branding_makes_drafts_stale_and_the_same_does_not() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.apply(&with_branding(&desk, json!({ "colour": "#0a7d4f" }))).await?;
    desk.close_month().await?;
    desk.apply(&with_branding(&desk, json!({ "colour": "#0A7D4F", "paper": "a4" }))).await?;
    assert!(!desk.live(0).await?.stale);
    desk.apply(&with_branding(&desk, json!({ "colour": "#0a7d4e" }))).await?;
    assert!(desk.live(0).await?.stale);
    desk.close().await
}

#[tokio::test]
async fn a_branding_is_exported_as_it_was_applied_and_a_bad_one_changes_nothing() -> Result<()> {
    let desk = Desk::open(1).await?;
    let branding = json!({ "logo": logo()?, "colour": "#0a7d4f", "paper": "letter" });
    desk.apply(&with_branding(&desk, branding.clone())).await?;
    let no_png = json!({ "logo": BASE64_STANDARD.encode("GIF89a") });
    let refused = desk.apply(&with_branding(&desk, no_png)).await.expect_err("no png");
    assert_eq!(refused.to_string(), "the logo cannot be read as a PNG; save it as one");
    let exported = async || {
        let mut connection = desk.office.pool.acquire().await?;
        directory_export::export(&mut connection, desk.business.reseller_id).await?.context("a directory")
    };
    assert_eq!(serde_json::to_value(exported().await?.reseller.branding)?, branding);
    desk.apply(&with_branding(&desk, Value::Null)).await?;
    assert!(exported().await?.reseller.branding.is_none());
    desk.close().await
}

#[tokio::test]
async fn nobody_changes_what_an_issued_invoice_looks_like() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.apply(&with_branding(&desk, json!({ "colour": "#0a7d4f" }))).await?;
    for sql in ["UPDATE reseller_brandings SET branding = '{}'", "DELETE FROM reseller_brandings"] {
        let error = desk.execute(sql).await.expect_err(sql).to_string();
        assert!(error.contains("permission denied"), "{sql}: {error}");
    }
    desk.close().await
}
