//! Charges on their way into Postgres: binary COPY, encoded off the async threads and sent in chunks.
//!
//! At most [`CHUNKS_IN_FLIGHT`] chunks wait, so that memory does not grow with the file and a slow Postgres slows the
//! reading down.

use std::{collections::BTreeMap, error::Error};

use sqlx::{PgConnection, error::BoxDynError};
use tokio::sync::mpsc;

use super::{binary_copy::BinaryRows, charges::StoreChargeFileError};
use crate::domain::{
    billing_period::BillingPeriod,
    charge::Charge,
    charge_file::ChargeRow,
    ids::{ChargeScopeId, ResellerId},
};

const COPY: &str = "COPY charges (reseller_id, billing_period_start, charge_scope_id, row_number, billed_cost, \
    billing_currency, charge_category, charge_class, charge_description, charge_frequency, charge_period_start, \
    charge_period_end, consumed_quantity, consumed_unit, region_id, resource_id, resource_name, service_category, \
    service_name, sku_id, sub_account_id, sub_account_name, tags, x_columns) FROM STDIN WITH (FORMAT binary)";
/// How many that are.
const COLUMN_COUNT: i16 = 24;
/// Rows are gathered to this size; larger chunks were not faster.
const CHUNK_BYTES: usize = 256 * 1024;
/// Enough to keep both the encoder and Postgres busy.
const CHUNKS_IN_FLIGHT: usize = 4;

/// What the rows of each new scope begin with, by what names a scope: its reseller, month and id, encoded once.
pub(super) struct ScopeValues {
    reseller_id: ResellerId,
    encoded: BTreeMap<BillingPeriod, BTreeMap<String, Vec<u8>>>,
}

impl ScopeValues {
    pub(super) fn new(reseller_id: ResellerId) -> Self {
        Self { reseller_id, encoded: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, period: BillingPeriod, billing_account_id: String, id: ChargeScopeId) {
        let mut values = BinaryRows::default();
        values.uuid(self.reseller_id.0);
        values.date(period.start());
        values.uuid(id.0);
        self.encoded.entry(period).or_default().insert(billing_account_id, values.take(0));
    }

    fn find(&self, charge: &Charge) -> Option<&[u8]> {
        Some(self.encoded.get(&charge.billing_period)?.get(&charge.billing_account_id)?.as_slice())
    }
}

/// Copies rows into `charges`; returns how many Postgres took.
pub(super) async fn copy_charges<I, E>(
    conn: &mut PgConnection,
    scopes: ScopeValues,
    rows: I,
) -> Result<u64, StoreChargeFileError>
where
    I: Iterator<Item = Result<ChargeRow, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut copy = conn.copy_in_raw(COPY).await?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let encoding = tokio::task::spawn_blocking(move || encode(rows, &scopes, &sender));
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
    scopes: &ScopeValues,
    chunks: &mpsc::Sender<Vec<u8>>,
) -> Result<(), StoreChargeFileError> {
    let mut encoded = BinaryRows::default();
    encoded.start_file();
    for row in rows {
        let row = row.map_err(|error| StoreChargeFileError::Rows(Box::new(error)))?;
        let scope = scopes.find(&row.charge).ok_or(StoreChargeFileError::FileChanged)?;
        encode_row(&mut encoded, scope, &row).map_err(StoreChargeFileError::Rows)?;
        // A closed channel means that the COPY failed; its error is the one to report.
        if encoded.len() >= CHUNK_BYTES && chunks.blocking_send(encoded.take(CHUNK_BYTES)).is_err() {
            return Ok(());
        }
    }
    encoded.end_file();
    let _ = chunks.blocking_send(encoded.take(0));
    Ok(())
}

/// Encodes a row, its values in the order that [`COPY`] lists the columns in.
fn encode_row(encoded: &mut BinaryRows, scope: &[u8], row: &ChargeRow) -> Result<(), BoxDynError> {
    let ChargeRow { row_number, charge, .. } = row;
    encoded.start_row(COLUMN_COUNT);
    encoded.encoded(scope);
    encoded.bigint(*row_number);
    encoded.numeric(&charge.billed_cost)?;
    encoded.text(charge.billing_currency.code())?;
    encoded.text(charge.charge_category.as_str())?;
    encoded.optional_text(charge.is_correction.then_some("Correction"))?;
    encoded.optional_text(charge.charge_description.as_deref())?;
    encoded.optional_text(charge.charge_frequency.as_deref())?;
    encoded.timestamp(charge.charge_period_start);
    encoded.timestamp(charge.charge_period_end);
    match &charge.consumed_quantity {
        Some(quantity) => encoded.numeric(quantity)?,
        None => encoded.null(),
    }
    encoded.optional_text(charge.consumed_unit.as_deref())?;
    encoded.optional_text(charge.region_id.as_deref())?;
    encoded.optional_text(charge.resource_id.as_deref())?;
    encoded.optional_text(charge.resource_name.as_deref())?;
    encoded.optional_text(charge.service_category.as_deref())?;
    encoded.text(&charge.service_name)?;
    encoded.optional_text(charge.sku_id.as_deref())?;
    encoded.text(&charge.sub_account_id)?;
    encoded.optional_text(charge.sub_account_name.as_deref())?;
    encoded.optional_text(charge.tags.as_deref())?;
    if charge.x_columns.is_empty() {
        encoded.null();
    } else {
        encoded.jsonb_object(&charge.x_columns)?;
    }
    Ok(())
}
