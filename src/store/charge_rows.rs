//! Charges on their way into Postgres: COPY text, encoded off the async threads and sent in chunks.
//!
//! At most [`CHUNKS_IN_FLIGHT`] chunks wait, so that memory does not grow with the file and a slow Postgres slows the
//! reading down. Format: Postgres manual, COPY, "Text Format".

use std::{collections::BTreeMap, error::Error, io::Write};

use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::charges::StoreChargeFileError;
use crate::domain::{
    billing_period::BillingPeriod,
    charge::Charge,
    charge_file::ChargeRow,
    ids::{ChargeScopeId, ResellerId},
};

const COPY: &str = "COPY charges (reseller_id, billing_period_start, charge_scope_id, row_number, billed_cost, \
    billing_currency, charge_category, charge_class, charge_description, charge_frequency, charge_period_start, \
    charge_period_end, consumed_quantity, consumed_unit, region_id, resource_id, resource_name, service_category, \
    service_name, sku_id, sub_account_id, sub_account_name, tags, x_columns) FROM STDIN";
/// Rows are gathered to this size; larger chunks were not faster.
const CHUNK_BYTES: usize = 256 * 1024;
/// Enough to keep both the encoder and Postgres busy.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Ids of a file's new scopes, by what names a scope.
#[derive(Default)]
pub(super) struct ScopeIds(BTreeMap<BillingPeriod, BTreeMap<String, ChargeScopeId>>);

impl ScopeIds {
    pub(super) fn insert(&mut self, period: BillingPeriod, billing_account_id: String, id: ChargeScopeId) {
        self.0.entry(period).or_default().insert(billing_account_id, id);
    }

    fn find(&self, charge: &Charge) -> Option<ChargeScopeId> {
        self.0.get(&charge.billing_period)?.get(&charge.billing_account_id).copied()
    }
}

/// Copies rows into `charges`; returns how many Postgres took.
pub(super) async fn copy_charges<I, E>(
    conn: &mut PgConnection,
    reseller_id: ResellerId,
    scope_ids: ScopeIds,
    rows: I,
) -> Result<u64, StoreChargeFileError>
where
    I: Iterator<Item = Result<ChargeRow, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut copy = conn.copy_in_raw(COPY).await?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let encoding = tokio::task::spawn_blocking(move || encode(rows, reseller_id, &scope_ids, &sender));
    while let Some(chunk) = chunks.recv().await {
        copy.send(chunk).await?;
    }
    let encoded = encoding.await.unwrap_or_else(|panic| Err(StoreChargeFileError::Rows(Box::new(panic))));
    if let Err(error) = encoded {
        // Should this fail too, the connection is lost; why the rows ended is the error worth telling.
        let _ = copy.abort("the charge file could not be read to its end").await;
        return Err(error);
    }
    Ok(copy.finish().await?)
}

fn encode<E: Error + Send + Sync + 'static>(
    rows: impl Iterator<Item = Result<ChargeRow, E>>,
    reseller_id: ResellerId,
    scope_ids: &ScopeIds,
    chunks: &mpsc::Sender<Vec<u8>>,
) -> Result<(), StoreChargeFileError> {
    let mut chunk = Vec::new();
    for row in rows {
        let row = row.map_err(|error| StoreChargeFileError::Rows(Box::new(error)))?;
        let scope_id = scope_ids.find(&row.charge).ok_or(StoreChargeFileError::FileChanged)?;
        write_row(&mut chunk, reseller_id, scope_id, &row)
            .map_err(|error| StoreChargeFileError::Rows(Box::new(error)))?;
        // A closed channel means that the COPY failed; its error is the one to report.
        if chunk.len() >= CHUNK_BYTES && chunks.blocking_send(std::mem::take(&mut chunk)).is_err() {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        let _ = chunks.blocking_send(chunk);
    }
    Ok(())
}

fn write_row(
    out: &mut Vec<u8>,
    reseller_id: ResellerId,
    scope_id: ChargeScopeId,
    row: &ChargeRow,
) -> std::io::Result<()> {
    let ChargeRow { row_number, charge, .. } = row;
    let period_start = charge.billing_period.start();
    write!(out, "{reseller_id}\t{period_start}\t{scope_id}\t{row_number}\t{}\t", charge.billed_cost)?;
    write!(out, "{}\t{}\t", charge.billing_currency, charge.charge_category)?;
    write_text(out, charge.is_correction.then_some("Correction"));
    write_text(out, charge.charge_description.as_deref());
    write_text(out, charge.charge_frequency.as_deref());
    write!(out, "{}\t{}\t", charge.charge_period_start, charge.charge_period_end)?;
    match &charge.consumed_quantity {
        Some(quantity) => write!(out, "{quantity}\t")?,
        None => write_text(out, None),
    }
    write_text(out, charge.consumed_unit.as_deref());
    write_text(out, charge.region_id.as_deref());
    write_text(out, charge.resource_id.as_deref());
    write_text(out, charge.resource_name.as_deref());
    write_text(out, charge.service_category.as_deref());
    write_text(out, Some(&charge.service_name));
    write_text(out, charge.sku_id.as_deref());
    write_text(out, Some(&charge.sub_account_id));
    write_text(out, charge.sub_account_name.as_deref());
    write_text(out, charge.tags.as_deref());
    write_text(out, to_json(&charge.x_columns)?.as_deref());
    out.pop();
    out.push(b'\n');
    Ok(())
}

/// Writes a field and the tab behind it.
fn write_text(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else {
        out.extend_from_slice(b"\\N\t");
        return;
    };
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            plain => out.push(plain),
        }
    }
    out.push(b'\t');
}

fn to_json(x_columns: &[(String, String)]) -> std::io::Result<Option<String>> {
    if x_columns.is_empty() {
        return Ok(None);
    }
    let by_name: BTreeMap<&str, &str> = x_columns.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(Some(serde_json::to_string(&by_name)?))
}
