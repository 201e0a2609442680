//! Renders one export of an invoice and keeps it in the object store, then lets the mails go that waited for it.
//!
//! Idempotent by invoice, version, kind, language, template, currency of the view and the reseller's CSV options: rendering
//! is a pure function of them, so a second run writes the same bytes to the same places. What an opened invoice's version
//! has is frozen: its stored bytes stand, and no later layout and no later options make a second. A version the invoice has
//! left behind is no longer rendered; the documents of the version that followed release its mails.

use std::{
    io,
    num::NonZero,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use object_store::{ObjectStoreExt, PutPayload, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, types::Json};
use tokio::runtime::{Builder, Runtime};

use super::{SendNotification, detailed_parts::WrittenCharges, price_terms};
use crate::{
    context::Context,
    documents::{self, DocumentModel, Names},
    domain::{
        csv_options::CsvOptions,
        currency_view::CurrencyView,
        document::DocumentKind,
        ids::{InvoiceId, ResellerId},
        invoice::Invoice,
        invoice_status::InvoiceStatus,
        money::Currency,
    },
    faults::{self, Point},
    language::Language,
    metrics, providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        branding, csv_options,
        documents::{self as document_rows, DocumentPart, NewDocument},
        frozen_documents::{self, DocumentName, FrozenDocument},
        invoices,
        jobs::Progress,
        notifications,
    },
};

/// What a mail attaches, and therefore waits for.
pub(super) const ATTACHED: [DocumentKind; 2] = [DocumentKind::Pdf, DocumentKind::Csv];

/// The threads that lay documents out, one a core: more would take the processor from the queue, and each keeps compressors
/// and the memory that it laid out in. The other jobs of the lane wait for the object store meanwhile, or for Postgres.
static RENDERERS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, NonZero::get);
    Builder::new_current_thread().thread_name("render").max_blocking_threads(cores).build()
});

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
        // The invoice's own is no view.
        let currency = self.currency.filter(|currency| *currency != invoice.currency);
        let frozen = self.first_rendering(&mut connection, &invoice, currency).await?;
        // What was given out is made again as it was, whatever the reseller wants by now.
        let options = match &frozen {
            Some(frozen) => frozen.csv_options.map(|Json(options)| options),
            None => csv_options::of_reseller(&mut connection, self.reseller_id).await?.of_kind(self.kind),
        };
        let printed = print(&mut connection, &invoice, currency, options).await?;
        drop(connection);
        if let Some(frozen) = frozen
            && self.stands(&context, &frozen, currency).await?
        {
            let mut effects = attempt.begin().await?;
            self.release_mails(&mut effects, &invoice.language.to_string()).await?;
            return effects.complete(format!("{} is rendered already", frozen.file_name)).await;
        }
        let (rows, began) = (AtomicI64::new(0), Instant::now());
        let progress = || Progress { done: rows.load(Ordering::Relaxed), total: None, note: "rows written".to_owned() };
        // Dropped in the middle it leaves nothing: the object store shows a file once it is whole.
        let document =
            attempt.with_progress(progress, Box::pin(self.render(&context, &invoice, printed, &rows))).await?;
        metrics::process().document_rendered(self.kind.as_str(), began.elapsed());
        faults::reached(Point::AfterStore);

        let mut effects = attempt.begin().await?;
        // Before a row refers to it: the other way round this and a status change would wait for each other. And of two
        // renderings that end together the later one sees the earlier.
        invoices::lock(effects.connection(), self.reseller_id, self.invoice_id).await?;
        let first = self.first_rendering(effects.connection(), &invoice, document.currency).await?;
        // A worker of another release may have been faster, with its layout.
        if first.is_none_or(|first| first.template_hash == document.template_hash) {
            document_rows::record(effects.connection(), &document).await?;
        }
        self.release_mails(&mut effects, &document.language).await?;
        effects.complete(format!("{} of {} bytes", document.file_name, document.size_bytes)).await
    }
}

/// Says that what a customer was given can be neither found nor made again.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{location}` is missing in the object store and was rendered with another layout (version {version}) than this \
     release has; restore the file from a backup"
)]
struct LostDocument {
    location: String,
    version: String,
}

impl RenderDocument {
    /// Returns the document that the customer may have already; a draft's is nobody's.
    async fn first_rendering(
        &self,
        connection: &mut PgConnection,
        invoice: &Invoice,
        currency: Option<Currency>,
    ) -> Result<Option<FrozenDocument>, JobError> {
        if invoice.status == InvoiceStatus::Draft {
            return Ok(None);
        }
        let name = DocumentName {
            reseller_id: self.reseller_id,
            invoice_id: self.invoice_id,
            invoice_version: self.version,
            kind: self.kind,
            language: &invoice.language.to_string(),
            currency,
        };
        Ok(frozen_documents::first_rendering(connection, name).await?)
    }

    /// Tells whether a frozen document's bytes are where they were put; if not, this release must be able to make them.
    async fn stands(
        &self,
        context: &Context,
        frozen: &FrozenDocument,
        currency: Option<Currency>,
    ) -> Result<bool, JobError> {
        let parts = frozen.parts.iter().map(|part| (&part.location, part.size_bytes));
        let mut are_there = true;
        for (location, size_bytes) in parts.chain([(&frozen.location, frozen.size_bytes)]) {
            match context.objects.head(&Path::from(location.as_str())).await {
                Ok(found) if i64::try_from(found.size).is_ok_and(|size| size == size_bytes) => {}
                Ok(_) | Err(object_store::Error::NotFound { .. }) => are_there = false,
                Err(error) => return Err(JobError::transient(error)),
            }
        }
        if are_there {
            return Ok(true);
        }
        let options = frozen.csv_options.map(|Json(options)| options);
        if frozen.template_hash == documents::template_hash_with(self.kind, currency, options) {
            return Ok(false);
        }
        let version = frozen.layout_version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        Err(JobError::permanent(LostDocument { location: frozen.location.clone(), version }))
    }

    async fn render(
        &self,
        context: &Context,
        invoice: &Invoice,
        printed: Printed,
        rows: &AtomicI64,
    ) -> Result<NewDocument, JobError> {
        let currency = printed.currency();
        let mut document = NewDocument {
            reseller_id: self.reseller_id,
            invoice_id: self.invoice_id,
            invoice_version: self.version,
            kind: self.kind,
            language: invoice.language.to_string(),
            currency,
            csv_options: printed.options,
            template_hash: documents::template_hash_with(self.kind, currency, printed.options),
            layout_version: documents::layout_version(self.kind),
            file_name: documents::file_name(self.kind, &printed.model),
            location: String::new(),
            sha256: [0; 32],
            size_bytes: 0,
            parts: Vec::new(),
        };
        match self.kind {
            DocumentKind::DetailedCsv => {
                let written = WrittenCharges::write(&context.pool, invoice, &printed, rows).await?;
                self.store_charges(context, &mut document, &printed, written).await?;
            }
            DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print | DocumentKind::Json | DocumentKind::Ubl => {
                let bytes = render_whole(self.kind, printed.model).await?;
                self.put(context, &mut document, self.kind.extension(), bytes).await?;
            }
        }
        Ok(document)
    }

    /// Stores the detailed CSV as one file, or as parts and then the manifest that names them.
    async fn store_charges(
        &self,
        context: &Context,
        document: &mut NewDocument,
        printed: &Printed,
        written: WrittenCharges,
    ) -> Result<(), JobError> {
        let names = written.file_names(printed);
        let extension = printed.charges_extension();
        if let ([only], [name]) = (written.parts.as_slice(), names.as_slice()) {
            let location = self.location(document, extension);
            name.clone_into(&mut document.file_name);
            document.location = location.to_string();
            document.sha256 = only.sha256;
            document.size_bytes = only.size_bytes()?;
            return written.upload(context.objects.as_ref(), &[location]).await;
        }
        let locations: Vec<Path> =
            (1..=names.len()).map(|part| self.location(document, &format!("{part:04}.{extension}"))).collect();
        for ((part, file_name), location) in written.parts.iter().zip(&names).zip(&locations) {
            document.parts.push(DocumentPart {
                file_name: file_name.clone(),
                location: location.to_string(),
                sha256: hex::encode(part.sha256),
                size_bytes: part.size_bytes()?,
                row_count: part.row_count()?,
            });
        }
        let manifest = written.manifest(printed, self.version)?;
        written.upload(context.objects.as_ref(), &locations).await?;
        document.file_name = documents::manifest_file_name(&printed.model);
        self.put(context, document, "json", manifest).await
    }

    /// Stores a document's bytes and notes where they are and what they were.
    async fn put(
        &self,
        context: &Context,
        document: &mut NewDocument,
        extension: &str,
        bytes: Vec<u8>,
    ) -> Result<(), JobError> {
        let location = self.location(document, extension);
        document.location = location.to_string();
        document.sha256 = Sha256::digest(&bytes).into();
        document.size_bytes = i64::try_from(bytes.len()).map_err(JobError::permanent)?;
        faults::reached(Point::AfterRender);
        context.objects.put(&location, PutPayload::from(bytes)).await.map_err(JobError::transient)?;
        Ok(())
    }

    fn location(&self, document: &NewDocument, extension: &str) -> Path {
        let NewDocument { language, template_hash, currency, .. } = document;
        let of_view = currency.map(|currency| format!("-{currency}")).unwrap_or_default();
        let short_hash = template_hash.get(..12).unwrap_or(template_hash);
        Path::from_iter([
            "documents",
            &self.reseller_id.to_string(),
            &self.invoice_id.to_string(),
            &format!("v{}-{}-{language}{of_view}-{short_hash}.{extension}", self.version, self.kind),
        ])
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

/// An invoice as it is printed, the view in another currency that it is printed in, and the reseller's CSV options.
pub(super) struct Printed {
    pub(super) model: Arc<DocumentModel>,
    pub(super) view: Option<CurrencyView>,
    pub(super) options: Option<CsvOptions>,
}

impl Printed {
    /// Returns the ending of files of charges, without the dot.
    fn charges_extension(&self) -> &'static str {
        if self.options.is_some_and(|options| options.gzip) { "csv.gz" } else { "csv" }
    }

    fn currency(&self) -> Option<Currency> {
        self.view.as_ref().map(|view| view.currency)
    }
}

/// Prints an invoice, with the names that were looked up beside it, in its own currency or a view in another.
pub(super) async fn print(
    connection: &mut PgConnection,
    invoice: &Invoice,
    currency: Option<Currency>,
    options: Option<CsvOptions>,
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
    let model = match options {
        Some(options) => model.with_csv_options(options),
        None => model,
    };
    Ok(Printed { model: Arc::new(model), view, options })
}

/// Renders a document and returns the sha256 of its bytes, or of its manifest; they are kept nowhere.
pub(super) async fn rendered_digest(
    pool: &PgPool,
    invoice: &Invoice,
    kind: DocumentKind,
    printed: Printed,
) -> Result<[u8; 32], JobError> {
    match kind {
        DocumentKind::DetailedCsv => {
            let written = WrittenCharges::write(pool, invoice, &printed, &AtomicI64::new(0)).await?;
            match written.parts.as_slice() {
                [only] => Ok(only.sha256),
                _ => Ok(Sha256::digest(written.manifest(&printed, invoice.version)?).into()),
            }
        }
        DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print | DocumentKind::Json | DocumentKind::Ubl => {
            Ok(Sha256::digest(render_whole(kind, printed.model).await?).into())
        }
    }
}

async fn render_whole(kind: DocumentKind, model: Arc<DocumentModel>) -> Result<Vec<u8>, JobError> {
    let renderers = RENDERERS.as_ref().map_err(|error| JobError::transient(error.to_string()))?;
    let rendering = renderers.spawn_blocking(move || documents::render(kind, &model));
    rendering.await.map_err(JobError::transient)?.map_err(JobError::permanent)
}
