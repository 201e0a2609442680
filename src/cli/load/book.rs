//! One reseller's month from the charge file to a bounced mail: what the soak's load is made of, the same for every number.
//!
//! import, bill run, a draft's document, opening with documents and mails, one invoice closed and one voided urgently, a
//! delivery report; each step after the one before, through the doors in turn.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::Connection;

use super::{
    doors::{Door, URGENT},
    site::Site,
};
use crate::{
    cli::{import::upload, sample_data::write_sample, setup},
    context::Context,
    domain::{
        bill_run::BillRunState,
        billing_period::BillingPeriod,
        directory::Directory,
        document::DocumentKind,
        ids::{InvoiceId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    jobs::{
        ChangeInvoiceStatus, ImportCharges, InitialStatus, OpenInvoices, RecordBounce, RenderDocument, StartBillRun,
    },
    queue::Job,
    samples::{SampleFormat, SampleOptions, directory},
    store::{
        bench_load,
        bill_runs::{self, BillRunFilter},
        directory as directories,
    },
};

/// Providers in turn, of those that render every document.
const PROVIDERS: [&str; 4] = ["aws", "google", "microsoft", "oracle"];
const CUSTOMERS: u32 = 4;
const CHARGES: u64 = 100;
/// How often it is looked whether a bill run is over, or mails are out.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Keeps books, one for each number.
pub struct Books<'a> {
    site: &'a Site,
    period: BillingPeriod,
}

impl<'a> Books<'a> {
    /// Keeps books of a month.
    pub fn of(site: &'a Site, period: BillingPeriod) -> Self {
        Self { site, period }
    }

    /// Takes the book of a number from the charge file to the end.
    ///
    /// # Errors
    /// When a step did not end well.
    pub async fn keep(&self, number: u64) -> anyhow::Result<()> {
        let place = usize::try_from(number)? % PROVIDERS.len();
        let options = SampleOptions {
            rows: CHARGES,
            seed: number,
            provider: PROVIDERS.get(place).copied().unwrap_or_default(),
            format: SampleFormat::Focus,
            customers: CUSTOMERS,
            billing_period: self.period,
        };
        let book = Book {
            site: self.site,
            period: self.period,
            provider: options.provider,
            reseller_id: self.begin(&options).await?,
        };
        book.import(&options).await?;
        book.bill().await?;
        book.open().await?;
        book.change().await?;
        book.bounce().await
    }

    /// Makes the reseller known.
    async fn begin(&self, options: &SampleOptions) -> anyhow::Result<ResellerId> {
        let directory: Directory = serde_json::from_value(directory(options))?;
        let mut connection = self.site.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        directories::apply(&mut transaction, &directory).await?;
        transaction.commit().await?;
        Ok(directory.reseller.id)
    }
}

struct Book<'a> {
    site: &'a Site,
    period: BillingPeriod,
    provider: &'static str,
    reseller_id: ResellerId,
}

impl Book<'_> {
    async fn done<J: Job<Context = Context>>(&self, door: Door, job: &J, priority: i16) -> anyhow::Result<()> {
        let request = self.site.doors.hand_in(door, job, priority).await?;
        self.site.watch.done(&request).await.with_context(|| J::KIND)
    }

    async fn import(&self, options: &SampleOptions) -> anyhow::Result<()> {
        let folder = tempfile::tempdir_in(self.site.folder.path())?;
        let file = folder.path().join("charges.csv");
        write_sample(options, &file)?;
        let objects = setup::objects(&self.site.config)?;
        let import: ImportCharges = upload(objects.as_ref(), &file, self.reseller_id, self.provider).await?;
        self.done(Door::Http, &import, 0).await
    }

    /// Bills the month, and has a draft's PDF made.
    async fn bill(&self) -> anyhow::Result<()> {
        let run = StartBillRun {
            reseller_id: self.reseller_id,
            provider: self.provider.to_owned(),
            billing_period: self.period,
            run_id: "soak".to_owned(),
            status: InitialStatus::Draft,
            notify: None,
            provisional: false,
            replace: false,
            dry_run: false,
        };
        self.done(Door::Redis, &run, 0).await?;
        while self.bill_run().await? == BillRunState::Running {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let state = self.bill_run().await?;
        ensure!(state == BillRunState::Complete, "a bill run is {}", state.as_str());
        let drafts = self.invoices().await?;
        let (invoice_id, version) = *drafts.first().context("a bill run made no draft")?;
        let (reseller_id, kind) = (self.reseller_id, DocumentKind::Pdf);
        self.done(Door::Sql, &RenderDocument { reseller_id, invoice_id, version, kind, currency: None }, 0).await
    }

    async fn bill_run(&self) -> anyhow::Result<BillRunState> {
        let mut connection = self.site.pool.acquire().await?;
        let filter = BillRunFilter { reseller_id: Some(self.reseller_id), ..BillRunFilter::default() };
        let runs = bill_runs::list(&mut connection, &filter, 1).await?;
        Ok(runs.first().context("a bill run that was started is not there")?.state)
    }

    async fn invoices(&self) -> anyhow::Result<Vec<(InvoiceId, i32)>> {
        let mut connection = self.site.pool.acquire().await?;
        Ok(bench_load::invoices(&mut connection, self.reseller_id, self.provider).await?)
    }

    /// Opens all drafts, and waits for the mails.
    async fn open(&self) -> anyhow::Result<()> {
        let open = OpenInvoices {
            reseller_id: self.reseller_id,
            provider: self.provider.to_owned(),
            billing_period: self.period,
            notify: Some(true),
            force: false,
        };
        self.done(Door::Sql, &open, 0).await?;
        self.mails().await.map(drop)
    }

    /// Waits until all mails are out that were promised, and returns them.
    async fn mails(&self) -> anyhow::Result<Vec<(String, String)>> {
        loop {
            let mut connection = self.site.pool.acquire().await?;
            let (sent, unsent) = bench_load::mails_of(&mut connection, self.reseller_id).await?;
            drop(connection);
            if unsent == 0 {
                return Ok(sent);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Has one invoice closed and another voided, at once, and waits for the mails.
    async fn change(&self) -> anyhow::Result<()> {
        for ((invoice_id, version), to) in
            self.invoices().await?.into_iter().zip([InvoiceStatus::Closed, InvoiceStatus::Void])
        {
            let change = ChangeInvoiceStatus {
                reseller_id: self.reseller_id,
                invoice_id,
                to,
                version: Some(version),
                reason: Some("as agreed".to_owned()),
                notify: Some(true),
                force: false,
            };
            self.done(Door::Http, &change, URGENT).await?;
        }
        self.mails().await.map(drop)
    }

    /// Hands in what a mail server says later of one of the mails.
    async fn bounce(&self) -> anyhow::Result<()> {
        let mails = self.mails().await?;
        let (message_id, recipient) = mails.first().context("no mail was sent")?;
        let message = Some(delivery_report(message_id, recipient));
        self.done(Door::Redis, &RecordBounce { reseller_id: self.reseller_id, message, sha256: None }, 0).await
    }
}

/// Writes what RFC 3464 asks of a mail server that cannot deliver a mail.
fn delivery_report(message_id: &str, recipient: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: billing@reseller.example\nSubject: Undelivered Mail\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_1\"\n\n\
         --=_1\nContent-Type: text/plain\n\nThe mailbox is full.\n\n\
         --=_1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
         Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.2.2\n\
         Diagnostic-Code: smtp; 552 the mailbox is full\n\n\
         --=_1\nContent-Type: text/rfc822-headers\n\nMessage-ID: {message_id}\nSubject: x\n\n--=_1--\n"
    )
}
