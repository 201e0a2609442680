//! How a reseller wants its CSV files written: set by its directory, kept with each document that was written so.

use anyhow::{Context, Result};
use billrunner::{
    domain::{csv_options::CsvOptions, directory::Directory, document::DocumentKind, invoice::Invoice},
    store::{csv_options, directory, directory_export},
};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use crate::support::{
    business::directory_of,
    desk::{Desk, rendering},
};

impl Desk {
    /// Applies the reseller's directory again, with these options or without a word of them.
    pub async fn write_csv_by(&self, options: Option<Value>) -> Result<()> {
        let mut document = directory_of(self.business.reseller_id, &self.business.customers);
        if let Some(options) = options {
            document["csv_options"] = options;
        }
        let document: Directory = serde_json::from_value(document)?;
        let mut transaction = self.office.pool.begin().await?;
        directory::apply(&mut transaction, &document).await?;
        Ok(transaction.commit().await?)
    }

    /// Renders a document and returns the bytes of the newest of its kind.
    pub async fn newest(&self, invoice: &Invoice, kind: DocumentKind) -> Result<Vec<u8>> {
        self.office.done(&rendering(invoice, kind)).await?;
        let sql = "SELECT location FROM documents WHERE invoice_id = $1 AND kind = $2 ORDER BY created_at DESC LIMIT 1";
        let location: String =
            sqlx::query_scalar(sql).bind(invoice.id).bind(kind.as_str()).fetch_one(&self.office.pool).await?;
        Ok(self.office.context.objects.get(&location.as_str().into()).await?.bytes().await?.to_vec())
    }
}

#[tokio::test]
async fn a_resellers_options_decide_how_both_csv_files_are_written_and_the_other_documents_stay() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    let before = desk.newest(&draft, DocumentKind::Print).await?;
    for kind in [DocumentKind::Csv, DocumentKind::DetailedCsv] {
        let spanish = String::from_utf8(desk.newest(&draft, kind).await?)?;
        let (titles, rows) = spanish.split_once("\r\n").context("titles")?;
        assert!(titles.starts_with('\u{feff}') && titles.contains(';') && rows.contains("11,2"), "{kind}: {spanish}");
    }
    desk.write_csv_by(Some(json!({ "byte_order_mark": false, "delimiter": "tab", "decimal_mark": "point" }))).await?;
    assert!(!desk.live(0).await?.stale, "options are no part of what a draft is made of");
    for kind in [DocumentKind::Csv, DocumentKind::DetailedCsv] {
        let written = String::from_utf8(desk.newest(&draft, kind).await?)?;
        let (titles, rows) = written.split_once("\r\n").context("titles")?;
        assert!(!titles.starts_with('\u{feff}') && titles.contains('\t') && !titles.contains(';'), "{kind}: {written}");
        assert!(rows.contains("11.2") && !rows.contains("11,2"), "{kind}: {written}");
    }
    assert_eq!(desk.newest(&draft, DocumentKind::Print).await?, before);
    desk.close().await
}

#[tokio::test]
async fn documents_come_out_the_same_after_their_reseller_has_changed_its_mind() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    let ways =
        [json!({}), json!({ "delimiter": "tab" }), json!({ "delimiter": "comma", "gzip": true, "rows_per_part": 1 })];
    for options in ways {
        desk.write_csv_by(Some(options)).await?;
        for kind in [DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Pdf] {
            desk.office.done(&rendering(&draft, kind)).await?;
        }
    }
    let report = desk.verify(true).await?;
    assert_eq!(report.count(), 0, "{report:#?}");
    assert_eq!((report.documents, report.rendered_again), (7, 7), "each CSV three times, the PDF once");
    // What was recorded decides, not what holds now.
    desk.tamper(
        r#"UPDATE documents SET csv_options = '{"delimiter":"semicolon"}' WHERE csv_options->>'delimiter' = 'tab'"#,
    )
    .await?;
    assert_eq!(desk.verify(true).await?.rendered_again, 5, "the options and the template's hash no longer agree");
    desk.close().await
}

#[tokio::test]
async fn options_are_written_out_with_the_directory_and_stay_where_it_says_nothing_of_them() -> Result<()> {
    let desk = Desk::open(1).await?;
    let (pool, reseller_id) = (&desk.office.pool, desk.business.reseller_id);
    let exported = async || -> Result<Value> {
        let directory =
            directory_export::export(&mut *pool.acquire().await?, reseller_id).await?.context("a directory")?;
        Ok(serde_json::to_value(directory)?["csv_options"].clone())
    };
    assert_eq!(exported().await?, json!({}));
    let spain = json!({ "byte_order_mark": true, "delimiter": "semicolon", "decimal_mark": "comma", "gzip": true, "rows_per_part": 5 });
    desk.write_csv_by(Some(spain.clone())).await?;
    assert_eq!(exported().await?, spain);
    desk.write_csv_by(None).await?;
    assert_eq!(exported().await?, spain, "what is not named stays");
    desk.write_csv_by(Some(json!({ "gzip": true }))).await?;
    assert_eq!(exported().await?, json!({ "gzip": true }), "options are set as a whole");
    desk.write_csv_by(Some(json!({}))).await?;
    assert_eq!(csv_options::of_reseller(&mut *pool.acquire().await?, reseller_id).await?, CsvOptions::default());
    for wrong in [json!({ "rows_per_part": 0 }), json!({ "delimiter": "|" }), json!({ "separator": "comma" })] {
        assert!(desk.write_csv_by(Some(wrong.clone())).await.is_err(), "{wrong}");
    }
    desk.close().await
}
