//! Renders one export of an invoice and keeps it in the object store, then lets the mails go that waited for it.
//!
//! Idempotent by invoice, version, kind, language, template and currency of the view: rendering is a pure function of them, so a second run
//! writes the same bytes to the same place. A version the invoice has left behind is no longer rendered; the documents
//! of the version that followed release its mails.

use std::{
    io::{Read, Seek, Write},
    pin::pin,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{SendNotification, price_terms};
use crate::{
    context::Context,
    documents::{self, DetailedCsv, DocumentModel, Names},
    domain::{
        currency_view::CurrencyView,
        document::DocumentKind,
        ids::{InvoiceId, ResellerId},
        invoice::{DetailedCharge, Invoice},
        invoice_status::InvoiceStatus,
        money::Currency,
    },
    language::Language,
    providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        branding, detailed_charges,
        documents::{self as document_rows, NewDocument},
        invoices,
        jobs::Progress,
        notifications,
    },
};

/// What a mail attaches, and therefore waits for.
pub(super) const ATTACHED: [DocumentKind; 2] = [DocumentKind::Pdf, DocumentKind::Csv];
/// Charges between the database and the writer of a detailed CSV.
const CHARGES_IN_FLIGHT: usize = 1024;
/// Bytes of a large document that are uploaded at a time.
const UPLOAD_CHUNK: usize = 256 * 1024;

/// Names the document to render.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderDocument {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// Of which version of it.
    pub version: i32,
    /// Which export.
    pub kind: DocumentKind,
    /// Another currency to show the amounts in, for information; left out it is the invoice's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

impl RenderDocument {
    /// Returns the key that makes the same rendering one job.
    pub fn key(&self, template_hash: &str) -> String {
        let key = format!("{}/{}/{}/{template_hash}", self.invoice_id, self.version, self.kind);
        self.currency.map_or_else(|| key.clone(), |currency| format!("{key}/{currency}"))
    }
}

impl Job for RenderDocument {
    type Context = Context;
    const KIND: &'static str = "render_document";
    const EVENT_TYPE: &'static str = "billrunner.document.render.v1";
    const QUEUE: Queue = Queue::Documents;
    const TIMEOUT: Duration = Duration::from_mins(15);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut connection = context.pool.acquire().await?;
        let Some(invoice) = invoices::find(&mut connection, self.reseller_id, self.invoice_id).await? else {
            tracing::warn!(invoice_id = %self.invoice_id, "the invoice does not exist");
            return Ok(attempt.complete_without_effects(format!("invoice {} does not exist", self.invoice_id)));
        };
        let profile = providers::find(&invoice.provider).map_err(JobError::permanent)?;
        profile.require_document(self.kind).map_err(JobError::permanent)?;
        if invoice.version != self.version || invoice.status == InvoiceStatus::Discarded {
            let message =
                format!("stale: {} is {} at version {}", invoice.document_id, invoice.status, invoice.version);
            return Ok(attempt.complete_without_effects(message));
        }
        let printed = print(&mut connection, &invoice, self.currency).await?;
        drop(connection);
        let rows = AtomicI64::new(0);
        let progress = || Progress { done: rows.load(Ordering::Relaxed), total: None, note: "rows written".to_owned() };
        // Dropped in the middle it leaves nothing: the object store shows a file once it is whole.
        let document =
            attempt.with_progress(progress, Box::pin(self.render(&context, &invoice, printed, &rows))).await?;

        let mut effects = attempt.begin().await?;
        // Before a row refers to it: the other way round this and a status change would wait for each other. And of two
        // renderings that end together the later one sees the earlier.
        invoices::lock(effects.connection(), self.reseller_id, self.invoice_id).await?;
        document_rows::record(effects.connection(), &document).await?;
        self.release_mails(&mut effects, &document.language).await?;
        effects.complete(format!("{} of {} bytes", document.file_name, document.size_bytes)).await
    }
}

impl RenderDocument {
    async fn render(
        &self,
        context: &Context,
        invoice: &Invoice,
        printed: Printed,
        rows: &AtomicI64,
    ) -> Result<NewDocument, JobError> {
        let currency = printed.view.as_ref().map(|view| view.currency);
        let template_hash = documents::template_hash(self.kind, currency);
        let of_view = currency.map(|currency| format!("-{currency}")).unwrap_or_default();
        let language = invoice.language.to_string();
        let file_name = documents::file_name(self.kind, &printed.model);
        let short_hash = template_hash.get(..12).unwrap_or(&template_hash);
        let location = Path::from_iter([
            "documents",
            &self.reseller_id.to_string(),
            &self.invoice_id.to_string(),
            &format!("v{}-{}-{language}{of_view}-{short_hash}.{}", self.version, self.kind, self.kind.extension()),
        ]);
        let (sha256, size_bytes) = match self.kind {
            DocumentKind::DetailedCsv => {
                let (file, digest) = write_charges(&context.pool, invoice, printed, rows).await?;
                (digest, upload(context, file, &location).await?)
            }
            DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print => {
                self.store_whole(context, printed.model, &location).await?
            }
        };
        Ok(NewDocument {
            reseller_id: self.reseller_id,
            invoice_id: self.invoice_id,
            invoice_version: self.version,
            kind: self.kind,
            language,
            currency,
            template_hash,
            file_name,
            location: location.to_string(),
            sha256,
            size_bytes,
        })
    }

    async fn store_whole(
        &self,
        context: &Context,
        model: DocumentModel,
        location: &Path,
    ) -> Result<([u8; 32], i64), JobError> {
        let kind = self.kind;
        let bytes = render_whole(kind, model).await?;
        let digest = Sha256::digest(&bytes).into();
        let size = i64::try_from(bytes.len()).map_err(JobError::permanent)?;
        context.objects.put(location, PutPayload::from(bytes)).await.map_err(JobError::transient)?;
        Ok((digest, size))
    }

    /// Sends the queued mails about this version and those before it, once all they attach exists.
    async fn release_mails(&self, effects: &mut Effects, language: &str) -> Result<(), JobError> {
        let connection = effects.connection();
        let rendered =
            document_rows::of_version(connection, self.reseller_id, self.invoice_id, self.version, language).await?;
        if !ATTACHED.iter().all(|kind| rendered.iter().any(|document| document.kind == *kind)) {
            return Ok(());
        }
        let queued = notifications::queued_up_to(connection, self.reseller_id, self.invoice_id, self.version).await?;
        for notification_id in queued {
            let mail = SendNotification { reseller_id: self.reseller_id, notification_id };
            effects.enqueue(&mail, notification_id).await?;
        }
        Ok(())
    }
}

/// An invoice as it is printed, and the view in another currency that it is printed in.
pub(super) struct Printed {
    model: DocumentModel,
    view: Option<CurrencyView>,
}

/// Prints an invoice, with the names that were looked up beside it, in its own currency or a view in another.
pub(super) async fn print(
    connection: &mut PgConnection,
    invoice: &Invoice,
    currency: Option<Currency>,
) -> Result<Printed, JobError> {
    let profile = providers::find(&invoice.provider).map_err(JobError::permanent)?;
    let replaced = match invoice.replaces {
        Some(id) => invoices::find(connection, invoice.reseller_id, id).await?.and_then(|replaced| replaced.number),
        None => None,
    };
    let language = Language::for_tag(&invoice.language).map_err(JobError::permanent)?;
    let view = price_terms::view(connection, invoice, currency).await?;
    let branding = match &invoice.reseller.branding {
        Some(fingerprint) => branding::find(connection, invoice.reseller_id, fingerprint).await?,
        None => None,
    };
    let names = Names {
        provider: Some(profile.display_name),
        replaced_number: replaced.as_deref(),
        view: view.as_ref(),
        branding: branding.as_ref(),
    };
    let model = DocumentModel::with_names(invoice, &language, names).map_err(JobError::permanent)?;
    Ok(Printed { model, view })
}

/// Renders a document and returns the sha256 of its bytes; they are kept nowhere.
pub(super) async fn rendered_digest(
    pool: &PgPool,
    invoice: &Invoice,
    kind: DocumentKind,
    printed: Printed,
) -> Result<[u8; 32], JobError> {
    match kind {
        DocumentKind::DetailedCsv => Ok(write_charges(pool, invoice, printed, &AtomicI64::new(0)).await?.1),
        DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print => {
            Ok(Sha256::digest(render_whole(kind, printed.model).await?).into())
        }
    }
}

async fn render_whole(kind: DocumentKind, model: DocumentModel) -> Result<Vec<u8>, JobError> {
    spawn_blocking(move || documents::render(kind, &model))
        .await
        .map_err(JobError::transient)?
        .map_err(JobError::permanent)
}

/// Streams charges from Postgres through the writer into a temporary file, so that memory does not grow with the month.
async fn write_charges(
    pool: &PgPool,
    invoice: &Invoice,
    Printed { model, view }: Printed,
    rows: &AtomicI64,
) -> Result<(std::fs::File, [u8; 32]), JobError> {
    let mut connection = pool.acquire().await?;
    let x_columns = detailed_charges::x_column_names(&mut connection, invoice.reseller_id, invoice.id).await?;
    let (sender, receiver) = mpsc::channel(CHARGES_IN_FLIGHT);
    let writing = spawn_blocking(move || write_detailed(&model, &x_columns, receiver));
    let terms = invoice.price_terms();
    let mut charges = pin!(detailed_charges::detailed_charges(&mut connection, invoice.reseller_id, invoice.id));
    while let Some(charge) = charges.try_next().await? {
        let price = terms
            .price(&charge.priced_by(), charge.billing_currency, &charge.billed_cost)
            .map_err(JobError::permanent)?;
        let price = view.as_ref().map_or_else(|| price.clone(), |view| view.convert(&price));
        if sender.send(charge.priced(price)).await.is_err() {
            break;
        }
        rows.fetch_add(1, Ordering::Relaxed);
    }
    drop(sender);
    writing.await.map_err(JobError::transient)?.map_err(JobError::transient)
}

fn write_detailed(
    model: &DocumentModel,
    x_columns: &[String],
    mut charges: mpsc::Receiver<DetailedCharge>,
) -> Result<(std::fs::File, [u8; 32]), documents::DocumentError> {
    let write_error = documents::DocumentError::Write;
    let output = Digesting { inner: tempfile::tempfile().map_err(write_error)?, hasher: Sha256::new() };
    let mut csv = DetailedCsv::new(output, model, x_columns)?;
    while let Some(charge) = charges.blocking_recv() {
        csv.write(&charge)?;
    }
    let mut output = csv.finish()?;
    output.flush().map_err(write_error)?;
    output.inner.rewind().map_err(write_error)?;
    Ok((output.inner, output.hasher.finalize().into()))
}

/// Hashes what it writes.
struct Digesting {
    inner: std::fs::File,
    hasher: Sha256,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

async fn upload(context: &Context, mut file: std::fs::File, location: &Path) -> Result<i64, JobError> {
    let upload = context.objects.put_multipart(location).await.map_err(JobError::transient)?;
    let mut writer = WriteMultipart::new(upload);
    let mut size = 0;
    loop {
        let (returned, chunk) = spawn_blocking(move || {
            let mut chunk = vec![0; UPLOAD_CHUNK];
            let read = file.read(&mut chunk)?;
            chunk.truncate(read);
            Ok::<_, std::io::Error>((file, chunk))
        })
        .await
        .map_err(JobError::transient)?
        .map_err(JobError::transient)?;
        file = returned;
        if chunk.is_empty() {
            break;
        }
        size += chunk.len();
        writer.wait_for_capacity(4).await.map_err(JobError::transient)?;
        writer.write(&chunk);
    }
    writer.finish().await.map_err(JobError::transient)?;
    i64::try_from(size).map_err(JobError::permanent)
}
