//! What the demo does, step by step: each through the queue, each waited for to its end.

use std::{io::IsTerminal, time::Duration};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{
    sample::{Sample, SampleFile},
    stage::Stage,
};
use crate::{
    cli::{enqueue::wait_for, import},
    context::Context,
    domain::{
        document::DocumentKind,
        ids::{JobId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, RenderDocument, registry},
    providers,
    queue::{Job, JobOptions, RequestId},
    store::{
        directory,
        invoice_list::{self, InvoiceFilter, InvoiceSummary},
        job_list::{self, JobFilter},
        jobs,
    },
};

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Rows read at a look; the demo makes far fewer.
const MAX_ROWS: i64 = 1000;

/// The change that was refused.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Number of the invoice.
    pub invoice: String,
    /// What the one who asked was told.
    pub error: String,
}

/// The charge file that was handed in twice.
#[derive(Debug, Serialize)]
pub struct Repetition {
    /// Name of the file.
    pub file: String,
    /// What the second import said.
    pub answer: String,
}

/// What happened on the way that no invoice tells.
pub struct Played {
    /// The file that changed nothing.
    pub repetition: Repetition,
    /// The way back that there is not.
    pub refusal: Refusal,
}

/// Plays the main job.
pub async fn conduct(stage: &Stage, sample: &Sample) -> anyhow::Result<Played> {
    let conductor = Conductor { stage, sample, progress: Progress::new() };
    let progress = &conductor.progress;
    progress.step("importing charge files");
    conductor.apply_directory().await?;
    conductor.import().await?;
    let repetition = conductor.import_again().await?;
    progress.step("running the bill runs");
    conductor.bill().await?;
    progress.step("opening the invoices");
    conductor.open().await?;
    progress.step("closing one invoice, voiding another");
    conductor.settle().await?;
    progress.step("trying to go back to draft");
    let refusal = conductor.go_back().await?;
    progress.step("rendering the draft that is left");
    conductor.render_draft().await?;
    progress.finish();
    Ok(Played { repetition, refusal })
}

struct Conductor<'a> {
    stage: &'a Stage,
    sample: &'a Sample,
    progress: Progress,
}

impl Conductor<'_> {
    fn reseller_id(&self) -> ResellerId {
        self.sample.directory.reseller.id
    }

    async fn apply_directory(&self) -> anyhow::Result<()> {
        let mut transaction = self.stage.pool().begin().await?;
        directory::apply(&mut transaction, &self.sample.directory).await?;
        Ok(transaction.commit().await?)
    }

    async fn import(&self) -> anyhow::Result<()> {
        for file in &self.sample.files {
            self.import_file(file, "import").await?;
        }
        self.settled().await
    }

    /// Imports a file that is known by now, which changes nothing.
    async fn import_again(&self) -> anyhow::Result<Repetition> {
        let file = self.sample.files.first().context("the sample has no charge file")?;
        let id = self.import_file(file, "import-again").await?;
        self.settled().await?;
        let (_, attempts) = wait_for(self.stage.pool(), id).await?;
        let answer = attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
        let name = file.path.file_name().unwrap_or_default();
        Ok(Repetition { file: name.to_string_lossy().into_owned(), answer })
    }

    async fn import_file(&self, file: &SampleFile, request: &str) -> anyhow::Result<JobId> {
        let objects = self.stage.context.objects.as_ref();
        let job = import::upload(objects, &file.path, self.reseller_id(), file.provider)
            .await
            .with_context(|| format!("{} cannot be uploaded", file.path.display()))?;
        self.hand_in(&job, format!("{request}-{}", file.provider)).await
    }

    /// Asks for the bill runs at the Redis door, as another system would.
    async fn bill(&self) -> anyhow::Result<()> {
        let mut redis = self.stage.streams.connect().await?;
        for SampleFile { provider, billing_period, .. } in &self.sample.files {
            let status = if *provider == "google" { "open" } else { "draft" };
            let event = serde_json::json!({
                "specversion": "1.0",
                "id": format!("demo-{provider}-{billing_period}"),
                "source": "demo",
                "type": "billrunner.bill_run.start.v1",
                "data": {
                    "reseller_id": self.reseller_id(),
                    "provider": provider,
                    "billing_period": billing_period,
                    "run_id": "demo",
                    "status": status,
                },
            });
            redis::cmd("XADD")
                .arg(self.stage.streams.intake_key())
                .arg("*")
                .arg("ce")
                .arg(event.to_string())
                .query_async::<String>(&mut redis)
                .await?;
        }
        self.accepted("start_bill_run", self.sample.files.len()).await?;
        self.settled().await
    }

    /// Opens all drafts but one: those of Microsoft silently, the others with a mail.
    async fn open(&self) -> anyhow::Result<()> {
        for draft in self.invoices(InvoiceStatus::Draft).await?.into_iter().filter(|draft| !is_left_as_draft(draft)) {
            let notify = (draft.provider == "microsoft").then_some(false);
            let open = ChangeInvoiceStatus { notify, ..to(&draft, InvoiceStatus::Open) };
            self.hand_in(&open, format!("open-{}", draft.id)).await?;
        }
        self.settled().await
    }

    async fn settle(&self) -> anyhow::Result<()> {
        let open = self.invoices(InvoiceStatus::Open).await?;
        let of_aws = |name: &str| {
            let found =
                open.iter().find(|invoice| invoice.provider == "aws" && invoice.customer_name.starts_with(name));
            found.with_context(|| format!("the sample data has no open invoice of {name}"))
        };
        let (paid, wrong) = (of_aws("Harbour")?, of_aws("Müller")?);
        self.hand_in(&to(paid, InvoiceStatus::Closed), format!("close-{}", paid.id)).await?;
        let reason = Some("issued to the wrong company".to_owned());
        self.hand_in(&ChangeInvoiceStatus { reason, ..to(wrong, InvoiceStatus::Void) }, format!("void-{}", wrong.id))
            .await?;
        self.settled().await
    }

    async fn go_back(&self) -> anyhow::Result<Refusal> {
        let open = self.invoices(InvoiceStatus::Open).await?;
        let invoice = open.first().context("the sample data has no open invoice")?;
        let id = self.hand_in(&to(invoice, InvoiceStatus::Draft), format!("back-{}", invoice.id)).await?;
        let (job, _) = wait_for(self.stage.pool(), id).await?;
        ensure!(job.state == "dead", "going back to draft was not refused: job {id} is {}", job.state);
        Ok(Refusal { invoice: invoice.number.clone().unwrap_or_default(), error: job.last_error.unwrap_or_default() })
    }

    async fn render_draft(&self) -> anyhow::Result<()> {
        for draft in self.invoices(InvoiceStatus::Draft).await? {
            let profile = providers::find(&draft.provider)?;
            // A draft is no invoice yet, so there is no e-invoice of it.
            for kind in profile.documents.iter().copied().filter(|kind| *kind != DocumentKind::Ubl) {
                self.hand_in(&render(&draft, kind), format!("render-{}-{kind}", draft.id)).await?;
            }
        }
        self.settled().await
    }

    async fn invoices(&self, status: InvoiceStatus) -> anyhow::Result<Vec<InvoiceSummary>> {
        let filter = InvoiceFilter { statuses: vec![status], ..InvoiceFilter::default() };
        Ok(invoice_list::list(&mut *self.stage.pool().acquire().await?, &filter, MAX_ROWS).await?)
    }

    async fn hand_in<J: Job<Context = Context>>(&self, job: &J, id: String) -> anyhow::Result<JobId> {
        let new = registry().prepare(job, RequestId::new("demo", id), "demo", JobOptions::default())?;
        let mut transaction = self.stage.pool().begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted.id())
    }

    /// Waits until so many jobs of a kind have come through the Redis door.
    async fn accepted(&self, kind: &str, count: usize) -> anyhow::Result<()> {
        loop {
            let filter = JobFilter { kind: Some(kind.to_owned()), ..JobFilter::default() };
            let found = job_list::list(&mut *self.stage.pool().acquire().await?, &filter, MAX_ROWS).await?;
            if found.len() >= count {
                return Ok(());
            }
            if let Some(reason) = self.stage.streams.first_rejection().await? {
                bail!("the Redis door refused a request: {reason}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until every job, with all that follow from it, has ended well.
    async fn settled(&self) -> anyhow::Result<()> {
        loop {
            let counts = job_list::count_by_queue(&mut *self.stage.pool().acquire().await?).await?;
            let in_state = |states: &[&str]| -> i64 {
                counts.iter().filter(|count| states.contains(&count.state.as_str())).map(|count| count.count).sum()
            };
            let waiting = in_state(&["scheduled", "dispatched", "running"]);
            self.progress.jobs(in_state(&["done"]), waiting);
            if waiting == 0 {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let filter = JobFilter { state: Some("dead".to_owned()), ..JobFilter::default() };
        let dead = job_list::list(&mut *self.stage.pool().acquire().await?, &filter, MAX_ROWS).await?;
        match dead.iter().find(|job| !job.external_id.starts_with("back-")) {
            Some(job) => bail!("{} {} failed: {}", job.kind, job.id, job.last_error.as_deref().unwrap_or_default()),
            None => Ok(()),
        }
    }
}

/// One draft is left as it is, so that a draft's documents can be seen.
fn is_left_as_draft(draft: &InvoiceSummary) -> bool {
    draft.provider == "microsoft" && draft.customer_name.starts_with("Northwind")
}

fn to(invoice: &InvoiceSummary, status: InvoiceStatus) -> ChangeInvoiceStatus {
    ChangeInvoiceStatus {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        to: status,
        version: Some(invoice.version),
        reason: None,
        notify: None,
        force: false,
    }
}

fn render(invoice: &InvoiceSummary, kind: DocumentKind) -> RenderDocument {
    let (reseller_id, invoice_id, version) = (invoice.reseller_id, invoice.id, invoice.version);
    RenderDocument { reseller_id, invoice_id, version, kind, currency: None }
}

/// A bar in a terminal, a line a step elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    const STEPS: u64 = 6;

    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(Self::STEPS), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {prefix} {msg:.dim}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn step(&self, name: &'static str) {
        if std::io::stderr().is_terminal() {
            self.bar.set_prefix(name);
            self.bar.inc(1);
        } else {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{name}\n"));
        }
    }

    fn jobs(&self, done: i64, waiting: i64) {
        self.bar.set_message(format!("{done} jobs done, {waiting} waiting"));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
