//! What the demo does, step by step: each through the queue, each waited for to its end.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::stage::Stage;
use crate::{
    cli::{Failure, enqueue::wait_for, import},
    context::Context,
    domain::{
        directory::Directory,
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
        job_list, jobs,
    },
};

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Rows read at a look; the demo makes far fewer.
const MAX_ROWS: i64 = 1000;

/// Provider, file below the folder of sample data, billing period, and how its bill run is asked for.
const FILES: [(&str, &str, &str); 4] = [
    ("aws", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_aws.csv", "2026-05"),
    ("microsoft", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_azure.csv", "2026-05"),
    ("google", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_gcp.csv", "2026-05"),
    ("focus", "traps/t05_negative_credit_refund.csv", "2026-10"),
];

/// The change that was refused.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Number of the invoice.
    pub invoice: String,
    /// What the one who asked was told.
    pub error: String,
}

/// Plays the main job and returns what was refused on the way.
pub async fn conduct(stage: &Stage, data: &Path, directory: &Path) -> anyhow::Result<Refusal> {
    let progress = Progress::new();
    let reseller_id = apply_directory(stage, directory).await?;
    let conductor = Conductor { stage, reseller_id, progress };
    conductor.progress.step("importing charge files");
    conductor.import(data).await?;
    conductor.progress.step("running the bill runs");
    conductor.bill().await?;
    conductor.progress.step("opening the invoices");
    conductor.open().await?;
    conductor.progress.step("closing one invoice, voiding another");
    conductor.settle().await?;
    conductor.progress.step("trying to go back to draft");
    let refusal = conductor.go_back().await?;
    conductor.progress.step("rendering the draft that is left");
    conductor.render_draft().await?;
    conductor.progress.finish();
    Ok(refusal)
}

async fn apply_directory(stage: &Stage, file: &Path) -> anyhow::Result<ResellerId> {
    let text = tokio::fs::read(file)
        .await
        .map_err(|error| Failure::Usage(format!("the sample customers {} cannot be read: {error}", file.display())))?;
    let content: Directory = serde_json::from_slice(&text)?;
    let mut transaction = stage.pool().begin().await?;
    directory::apply(&mut transaction, &content).await?;
    transaction.commit().await?;
    Ok(content.reseller.id)
}

struct Conductor<'a> {
    stage: &'a Stage,
    reseller_id: ResellerId,
    progress: Progress,
}

impl Conductor<'_> {
    /// Uploads and imports each file; the first one twice, which changes nothing.
    async fn import(&self, data: &Path) -> anyhow::Result<()> {
        let again = FILES.first().copied();
        for (round, (provider, name, _)) in FILES.into_iter().chain(again).enumerate() {
            let file: PathBuf = data.join(name);
            let job = import::upload(self.stage.context.objects.as_ref(), &file, self.reseller_id, provider)
                .await
                .map_err(|error| Failure::Usage(format!("the sample file {}: {error}", file.display())))?;
            self.hand_in(&job, format!("import-{round}")).await?;
        }
        self.settled().await
    }

    /// Asks for the bill runs at the Redis door, as another system would.
    async fn bill(&self) -> anyhow::Result<()> {
        let mut redis = self.stage.streams.connect().await?;
        for (provider, _, period) in FILES {
            let status = if provider == "google" { "open" } else { "draft" };
            let event = serde_json::json!({
                "specversion": "1.0",
                "id": format!("demo-{provider}-{period}"),
                "source": "demo",
                "type": "billrunner.bill_run.start.v1",
                "data": {
                    "reseller_id": self.reseller_id,
                    "provider": provider,
                    "billing_period": period,
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
        self.accepted("start_bill_run", FILES.len()).await?;
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
            for kind in profile.documents.iter().copied() {
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

    /// Waits until so many jobs of a kind have come through the door.
    async fn accepted(&self, kind: &str, count: usize) -> anyhow::Result<()> {
        while job_list::list(&mut *self.stage.pool().acquire().await?, None, Some(kind), MAX_ROWS).await?.len() < count
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
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
        let dead = job_list::list(&mut *self.stage.pool().acquire().await?, Some("dead"), None, MAX_ROWS).await?;
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
    RenderDocument { reseller_id, invoice_id, version, kind }
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
