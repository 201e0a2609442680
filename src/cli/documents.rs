//! `billrunner documents`: what was rendered of an invoice, links for its customer, and rendering by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Failure, Output, enqueue::hand_in, invoices, setup};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        document::DocumentKind,
        download_link::DownloadGrant,
        ids::{DocumentId, JobId, ResellerId},
        invoice::Invoice,
        invoice_status::InvoiceStatus,
        money::Currency,
    },
    jobs::{AnnounceDocument, RenderDocument, registry},
    queue::{JobOptions, RequestId},
    store::frozen_documents::{self, DocumentName, ListedDocument},
};

/// Longest a link is good: a key is given up once its last link has expired.
const LONGEST_LINK: Duration = Duration::from_hours(90 * 24);

/// Commands on documents.
#[derive(Subcommand)]
pub enum Command {
    /// List what was rendered of an invoice, the newest version first.
    List {
        /// Its id, number or document id.
        invoice: String,
        /// Of this reseller, where a number is not unique.
        #[arg(long)]
        reseller: Option<ResellerId>,
    },
    /// Print a link with which a customer downloads a document, without an account, and below it those of its parts.
    Link {
        #[command(flatten)]
        which: Which,
        /// How long it is good, such as 12h or 30d; 90 days at most.
        #[arg(long, default_value = "14d", value_parser = humantime::parse_duration)]
        valid_for: Duration,
    },
    /// Have a document of an invoice's present version rendered. What an opened invoice has already stays as it is.
    Render {
        #[command(flatten)]
        which: Which,
        /// Who asks; by default the user of the operating system.
        #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
        by: String,
        /// Wait until it is done; exit code 4 when it was refused.
        #[arg(long)]
        wait: bool,
        /// Send it to the customer's contacts once it is there.
        #[arg(long)]
        notify: bool,
    },
}

/// Names one document of an invoice.
#[derive(Args)]
pub struct Which {
    /// The invoice's id, number or document id.
    invoice: String,
    /// Which export, as `documents list` names it.
    #[arg(long)]
    kind: DocumentKind,
    /// Shown in another currency than the invoice's own.
    #[arg(long)]
    currency: Option<Currency>,
    /// Of this reseller, where a number is not unique.
    #[arg(long)]
    reseller: Option<ResellerId>,
}

/// A link as it is printed.
#[derive(Serialize)]
struct Link<'a> {
    url: String,
    document_id: DocumentId,
    file_name: &'a str,
    expires_at: DateTime<Utc>,
    /// Of a document that is split, which is the manifest then: its files in order, under the same grant.
    parts: Vec<LinkedFile<'a>>,
}

#[derive(Serialize)]
struct LinkedFile<'a> {
    file_name: &'a str,
    url: String,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { invoice, reseller } => {
            let invoice = invoices::find(&mut connection, &invoice, reseller).await?;
            list(&frozen_documents::of_invoice(&mut connection, invoice.reseller_id, invoice.id).await?, output)
        }
        Command::Link { which, valid_for } => link(&mut connection, &which, valid_for, config, output).await,
        Command::Render { which, by, wait, notify } => {
            let invoice = invoices::find(&mut connection, &which.invoice, which.reseller).await?;
            drop(connection);
            let job = RenderDocument {
                reseller_id: invoice.reseller_id,
                invoice_id: invoice.id,
                version: invoice.version,
                kind: which.kind,
                currency: which.currency,
            };
            let request = RequestId::new("cli/documents", JobId::new());
            let new = registry().prepare(&job, request, &by, JobOptions::default())?;
            hand_in(&pool, &new, wait || notify, output).await?;
            if !notify {
                return Ok(());
            }
            let RenderDocument { reseller_id, invoice_id, kind, currency, .. } = job;
            let job = AnnounceDocument { reseller_id, invoice_id, kind, currency };
            let request = RequestId::new("cli/documents", JobId::new());
            let new = registry().prepare(&job, request, &by, JobOptions::default())?;
            hand_in(&pool, &new, wait, output).await
        }
    }
}

fn list(documents: &[ListedDocument], output: Output) -> anyhow::Result<()> {
    let titles = ["version", "kind", "language", "currency", "layout", "file", "bytes", "rendered", "id"];
    output.rows(documents, &titles, |document| {
        vec![
            document.invoice_version.to_string(),
            document.kind.clone(),
            document.language.clone(),
            document.currency.clone().unwrap_or_default(),
            document.layout_version.map(|version| version.to_string()).unwrap_or_default(),
            lines(document, |file, _| file.to_owned()),
            lines(document, |_, size_bytes| size_bytes.to_string()),
            document.created_at.format("%F %R").to_string(),
            document.id.to_string(),
        ]
    })
}

/// Says something of a document's file and below it of its parts, a line each.
fn lines(document: &ListedDocument, of_file: impl Fn(&str, i64) -> String) -> String {
    let parts = document.parts.iter().map(|part| of_file(&part.file_name, part.size_bytes));
    let own = of_file(&document.file_name, document.size_bytes);
    std::iter::once(own).chain(parts).collect::<Vec<_>>().join("\n")
}

async fn link(
    connection: &mut PgConnection,
    which: &Which,
    valid_for: Duration,
    config: &Config,
    output: Output,
) -> anyhow::Result<()> {
    let links = config.require("BILLRUNNER_LINK_KEYS", config.download_links.as_ref())?;
    let expires_at = expiry(valid_for)?;
    let invoice = invoices::find(connection, &which.invoice, which.reseller).await?;
    if matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Discarded) {
        let problem =
            format!("{} is {}: customers see an invoice once it is open", invoice.document_id, invoice.status);
        return Err(Failure::Refused(problem).into());
    }
    let language = invoice.language.to_string();
    let name = name(&invoice, which, &language);
    let Some(found) = frozen_documents::first_rendering(connection, name).await? else {
        let problem = format!(
            "{} has no {} at version {} yet; see `billrunner documents render`",
            invoice.document_id, which.kind, invoice.version
        );
        return Err(Failure::NotFound(problem).into());
    };
    let grant = DownloadGrant::until(invoice.reseller_id, found.id, expires_at);
    let parts = (1..)
        .zip(found.parts.iter())
        .map(|(part, file)| LinkedFile { file_name: &file.file_name, url: links.link_to(&grant, Some(part)) });
    let link = Link {
        url: links.link(&grant),
        document_id: found.id,
        file_name: &found.file_name,
        expires_at,
        parts: parts.collect(),
    };
    let urls = |link: &Link<'_>| {
        let parts = link.parts.iter().map(|part| part.url.as_str());
        std::iter::once(link.url.as_str()).chain(parts).collect::<Vec<_>>().join("\n")
    };
    output.value(&link, urls)
}

fn name<'a>(invoice: &Invoice, which: &Which, language: &'a str) -> DocumentName<'a> {
    DocumentName {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        invoice_version: invoice.version,
        kind: which.kind,
        language,
        // The invoice's own is no view.
        currency: which.currency.filter(|currency| *currency != invoice.currency),
    }
}

fn expiry(valid_for: Duration) -> anyhow::Result<DateTime<Utc>> {
    if valid_for.is_zero() || valid_for > LONGEST_LINK {
        let problem = format!("{} is no time for a link; from 1s to 90d", humantime::format_duration(valid_for));
        return Err(Failure::Usage(problem).into());
    }
    Ok(Clock::System.now() + valid_for)
}
