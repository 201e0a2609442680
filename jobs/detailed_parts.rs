//! The detailed CSV as files: charges streamed from Postgres into one temporary file, part behind part, then uploaded.
//!
//! Called by `render_document`, and by verification for the digests alone. Memory does not grow with the month: charges pass
//! in batches, and parts are ranges of one file. Where a part ends is decided by its count of rows, so that the same
//! charges give the same parts.

use std::{
    fs::File,
    io::{Seek, Write},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use futures::{FutureExt, Stream, TryStreamExt, future::ready};
use object_store::{ObjectStore, path::Path};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::render_document::Printed;
use crate::{
    documents::{self, DetailedCsv, DocumentError, DocumentModel, Manifest, ManifestPart},
    domain::{
        csv_options::CsvOptions,
        currency_view::CurrencyView,
        customer_side::CustomerColumns,
        document::DocumentKind,
        invoice::{DetailedCharge, Invoice},
        pricing::PriceTerms,
    },
    objects::write_object,
    queue::JobError,
    store::detailed_charges::{self, CostedCharge},
};

/// Charges that are handed to the writer at once.
const BATCH: usize = 256;
/// Batches between the database and the writer.
const BATCHES_IN_FLIGHT: usize = 8;

/// The charges of an invoice in a temporary file.
pub(super) struct WrittenCharges {
    file: File,
    /// One behind the other; there is always one.
    pub(super) parts: Vec<WrittenPart>,
}

/// A range of the temporary file that is a file of its own.
pub(super) struct WrittenPart {
    pub(super) sha256: [u8; 32],
    size_bytes: u64,
    row_count: u64,
}

impl WrittenPart {
    pub(super) fn size_bytes(&self) -> Result<i64, JobError> {
        i64::try_from(self.size_bytes).map_err(JobError::permanent)
    }

    pub(super) fn row_count(&self) -> Result<i64, JobError> {
        i64::try_from(self.row_count).map_err(JobError::permanent)
    }
}

impl WrittenCharges {
    /// Streams an invoice's charges from Postgres through the writer, counting them in `rows`.
    pub(super) async fn write(
        pool: &PgPool,
        invoice: &Invoice,
        printed: &Printed,
        rows: &AtomicI64,
    ) -> Result<Self, JobError> {
        let mut connection = pool.acquire().await?;
        let (reseller_id, id) = (invoice.reseller_id, invoice.id);
        let x_columns = match pool.try_acquire() {
            // Asked for while the first connection sorts the charges.
            Some(mut spare) => {
                async move { detailed_charges::x_column_names(&mut spare, reseller_id, id).await }.left_future()
            }
            None => ready(detailed_charges::x_column_names(&mut connection, reseller_id, id).await).right_future(),
        };
        let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        let writing = async {
            let writer = Writer::new(invoice, printed, x_columns.await?);
            spawn_blocking(move || writer.write(receiver)).await.map_err(JobError::transient)?
        };
        let charges = detailed_charges::detailed_charges(&mut connection, reseller_id, id);
        let ((), written) = tokio::try_join!(feed(charges, sender, rows), writing)?;
        Ok(written)
    }

    /// Returns the names of the files as the customer sees them.
    pub(super) fn file_names(&self, printed: &Printed) -> Vec<String> {
        let ending = if printed.options.is_some_and(|options| options.gzip) { ".gz" } else { "" };
        let whole = documents::file_name(DocumentKind::DetailedCsv, &printed.model);
        if self.parts.len() == 1 {
            return vec![format!("{whole}{ending}")];
        }
        let of_part = |part| format!("{}{ending}", documents::part_file_name(&printed.model, part));
        (1..=self.parts.len()).map(of_part).collect()
    }

    /// Writes the manifest of the parts.
    pub(super) fn manifest(&self, printed: &Printed, invoice_version: i32) -> Result<Vec<u8>, JobError> {
        let parts: Vec<ManifestPart> = self
            .parts
            .iter()
            .zip(self.file_names(printed))
            .map(|(part, file_name)| ManifestPart {
                file_name,
                row_count: part.row_count,
                size_bytes: part.size_bytes,
                sha256: hex::encode(part.sha256),
            })
            .collect();
        Manifest::new(&printed.model, invoice_version, &parts).render().map_err(JobError::permanent)
    }

    /// Uploads each part to its place.
    pub(super) async fn upload(self, objects: &dyn ObjectStore, locations: &[Path]) -> Result<(), JobError> {
        let mut file = tokio::fs::File::from_std(self.file);
        for (part, location) in self.parts.iter().zip(locations) {
            write_object(objects, location, &mut file, part.size_bytes).await.map_err(JobError::transient)?;
        }
        Ok(())
    }
}

/// Hands charges on in batches until there are no more, or the writer has given up.
async fn feed(
    charges: impl Stream<Item = sqlx::Result<CostedCharge>>,
    writer: mpsc::Sender<Vec<CostedCharge>>,
    rows: &AtomicI64,
) -> Result<(), JobError> {
    let mut batches = pin!(charges.try_chunks(BATCH));
    while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
        let count = i64::try_from(batch.len()).map_err(JobError::permanent)?;
        if writer.send(batch).await.is_err() {
            break;
        }
        rows.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

/// What rows are written by.
struct Writer {
    model: Arc<DocumentModel>,
    view: Option<CurrencyView>,
    options: CsvOptions,
    terms: PriceTerms,
    x_columns: Vec<String>,
    shown: CustomerColumns,
}

impl Writer {
    fn new(invoice: &Invoice, printed: &Printed, x_columns: Vec<String>) -> Self {
        Self {
            model: printed.model.clone(),
            view: printed.view.clone(),
            options: printed.options.unwrap_or_default(),
            terms: invoice.price_terms(),
            shown: CustomerColumns::new(&x_columns),
            x_columns,
        }
    }

    fn write(&self, mut batches: mpsc::Receiver<Vec<CostedCharge>>) -> Result<WrittenCharges, JobError> {
        let mut file = tempfile::tempfile().map_err(JobError::transient)?;
        let mut charges = std::iter::from_fn(|| batches.blocking_recv()).flatten().peekable();
        let mut parts = Vec::new();
        while parts.is_empty() || charges.peek().is_some() {
            parts.push(self.write_part(&file, &mut charges)?);
        }
        file.rewind().map_err(JobError::transient)?;
        Ok(WrittenCharges { file, parts })
    }

    fn write_part(
        &self,
        file: &File,
        charges: &mut impl Iterator<Item = CostedCharge>,
    ) -> Result<WrittenPart, JobError> {
        let output = Output::new(Digesting { inner: file, hasher: Sha256::new(), size_bytes: 0 }, self.options.gzip);
        let mut csv = DetailedCsv::new(output, &self.model, &self.x_columns).map_err(JobError::transient)?;
        let mut row_count = 0;
        while row_count < self.options.max_rows_of_a_part() {
            let Some(charge) = charges.next() else { break };
            csv.write(&self.price(charge)?).map_err(JobError::transient)?;
            row_count += 1;
        }
        let written = csv.finish().and_then(Output::finish).map_err(JobError::transient)?;
        Ok(WrittenPart { sha256: written.hasher.finalize().into(), size_bytes: written.size_bytes, row_count })
    }

    fn price(&self, charge: CostedCharge) -> Result<DetailedCharge, JobError> {
        let price = self
            .terms
            .price(&charge.priced_by(), charge.billing_currency, &charge.billed_cost)
            .map_err(JobError::permanent)?;
        let price = match &self.view {
            Some(view) => view.convert(&price),
            None => price,
        };
        Ok(charge.priced(price, &self.shown))
    }
}

/// Writes a part as it is or compressed.
enum Output<'f> {
    Plain(Digesting<'f>),
    Gzip(GzEncoder<Digesting<'f>>),
}

impl<'f> Output<'f> {
    fn new(inner: Digesting<'f>, gzip: bool) -> Self {
        // Without name and time, so that the same rows give the same bytes.
        if gzip { Self::Gzip(GzBuilder::new().write(inner, Compression::default())) } else { Self::Plain(inner) }
    }

    fn finish(self) -> Result<Digesting<'f>, DocumentError> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish().map_err(DocumentError::Write),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            // A flush would end a block of the compression; what is left is written at the end.
            Self::Gzip(_) => Ok(()),
        }
    }
}

/// Hashes and counts what it writes.
struct Digesting<'f> {
    inner: &'f File,
    hasher: Sha256,
    size_bytes: u64,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
