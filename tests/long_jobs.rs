//! Long jobs say how far they are, and leave nothing half done when they are cancelled.

use anyhow::Result;
use billrunner::{
    clock::Clock,
    domain::{document::DocumentKind, ids::JobId},
    jobs::{ImportCharges, RenderDocument, charge_file_location},
    store::{invoices, jobs},
};
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER, charge_file},
    desk::Desk,
    flow::OPERATOR,
    worker::{Office, until, wait_for},
};

/// Keeps a table to itself until it is dropped.
async fn occupy(database: &TestDatabase, lock: &'static str) -> Result<PgConnection> {
    let mut owner = database.connect_as_owner().await?;
    sqlx::query("BEGIN").execute(&mut owner).await?;
    sqlx::query(lock).execute(&mut owner).await?;
    Ok(owner)
}

async fn cancel(office: &Office, id: JobId) -> Result<()> {
    let mut transaction = office.pool.begin().await?;
    assert!(jobs::cancel(&mut transaction, id, OPERATOR).await?.is_some());
    Ok(transaction.commit().await?)
}

async fn progress(office: &Office, id: JobId) -> Result<(i64, Option<i64>, String)> {
    until("a word on progress", || async {
        let row =
            "SELECT progress_done, progress_total, progress_note FROM jobs WHERE id = $1 AND progress_at IS NOT NULL";
        Ok(sqlx::query_as(row).bind(id).fetch_optional(&office.pool).await?)
    })
    .await
}

async fn count(office: &Office, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(&office.pool).await?)
}

#[tokio::test]
async fn a_cancelled_import_says_how_far_it_was_and_leaves_nothing_half_done() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, 40).await?;
    let office = Office::open_at(&database.pool, Clock::System).await?;
    let bytes = std::fs::read(charge_file(40, "cancelled")?.path())?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    office.context.objects.put(&charge_file_location(&sha256)?, PutPayload::from(bytes)).await?;
    let import = ImportCharges {
        reseller_id: business.reseller_id,
        provider: PROVIDER.to_owned(),
        sha256,
        file_name: "charges.csv".to_owned(),
    };

    // It stops after the charges are stored and before they are summed up.
    let occupied = occupy(&database, "LOCK TABLE charge_totals IN ACCESS EXCLUSIVE MODE").await?;
    let id = office.hand_in(&import).await?;
    assert_eq!(progress(&office, id).await?, (80, Some(80), "rows stored".to_owned()));
    cancel(&office, id).await?;
    assert_eq!(wait_for(&office.pool, id).await?.0.state, "discarded");
    occupied.close().await?;
    assert!(office.done(&import).await?.contains("80 charges, 0 earlier parts superseded"));
    let left = "SELECT (SELECT count(*) FROM charges) + (SELECT count(*) FROM charge_files)";
    assert_eq!(count(&office, left).await?, 80 + 1, "those of the second import");
    office.close().await
}

#[tokio::test]
async fn a_cancelled_export_leaves_no_document() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let invoice = invoices::find(&mut *desk.office.pool.acquire().await?, desk.business.reseller_id, desk.id(0).await?)
        .await?
        .expect("a draft");
    let render = RenderDocument {
        reseller_id: desk.business.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        kind: DocumentKind::DetailedCsv,
        currency: None,
    };
    let occupied = occupy(&desk.database, "LOCK TABLE charges IN ACCESS EXCLUSIVE MODE").await?;
    let id = desk.office.hand_in(&render).await?;
    assert_eq!(progress(&desk.office, id).await?, (0, None, "rows written".to_owned()));
    cancel(&desk.office, id).await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "discarded");
    assert_eq!(count(&desk.office, "SELECT count(*) FROM documents").await?, 0);
    occupied.close().await?;
    desk.office.done(&render).await?;
    assert_eq!(count(&desk.office, "SELECT count(*) FROM documents").await?, 1);
    desk.office.close().await
}
