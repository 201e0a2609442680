//! `billrunner invoices export-focus`: invoices in the shape of the FOCUS 1.4 dataset Invoice Detail.
//!
//! Streamed from Postgres into a file or standard output, so that memory does not grow with the number of invoices. A
//! file appears under its name once it is whole.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::Context as _;
use clap::Args;
use futures::TryStreamExt;
use sqlx::PgPool;

use super::{Failure, Output};
use crate::{
    documents::{FocusInvoiceDetail, Grain},
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, ResellerId},
        invoice_detail::invoice_issue_status,
        invoice_status::InvoiceStatus,
    },
    providers,
    store::{
        checks,
        invoice_details::{DetailFilter, invoice_details},
    },
};

/// Arguments of `billrunner invoices export-focus`.
#[derive(Args)]
pub struct Arguments {
    /// Whose invoices.
    #[arg(long)]
    reseller: ResellerId,
    /// To whom; without it those of all customers, which is for the reseller only.
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Of this month or later, such as 2026-01.
    #[arg(long)]
    from: Option<BillingPeriod>,
    /// Of this month or earlier.
    #[arg(long)]
    to: Option<BillingPeriod>,
    /// In one of these statuses: draft, open, closed, void. A draft is not for customers.
    #[arg(long, value_delimiter = ',', default_value = "open,closed,void", value_parser = exported_status)]
    status: Vec<InvoiceStatus>,
    /// What `PaymentTerms` says, such as `Net 30`. FOCUS wants it filled, and billrunner does not know your terms.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    payment_terms: String,
    /// Where to write; standard output by default.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn exported_status(text: &str) -> Result<InvoiceStatus, String> {
    let status: InvoiceStatus = text.parse().map_err(|error| format!("{error}"))?;
    match invoice_issue_status(status) {
        Some(_) => Ok(status),
        None => Err(format!("a {status} invoice has no content; ask for draft, open, closed or void")),
    }
}

pub async fn run(arguments: &Arguments, pool: &PgPool, output: Output) -> anyhow::Result<()> {
    let reseller_id = arguments.reseller;
    if !checks::is_reseller(&mut *pool.acquire().await?, reseller_id).await? {
        return Err(Failure::NotFound(format!("reseller {reseller_id} does not exist")).into());
    }
    let Some(path) = &arguments.file else {
        return match write(arguments, pool, BufWriter::new(io::stdout())).await {
            // A reader that went away (`| head`) is no failure.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            written => written.map(drop),
        };
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    let count = write(arguments, pool, BufWriter::new(file.as_file())).await?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    output.value(&serde_json::json!({ "file": path, "records": count }), |_| {
        format!("{count} records in {}", path.display())
    })
}

async fn write<W: Write>(arguments: &Arguments, pool: &PgPool, output: W) -> anyhow::Result<u64> {
    let filter = DetailFilter {
        reseller_id: arguments.reseller,
        customer_id: arguments.customer,
        provider: arguments.provider.clone(),
        from: arguments.from.map(BillingPeriod::start),
        until: arguments.to.map(BillingPeriod::end),
        statuses: arguments.status.clone(),
    };
    let mut connection = pool.acquire().await?;
    let mut details = pin!(invoice_details(&mut connection, &filter));
    let mut file = FocusInvoiceDetail::new(output, &arguments.payment_terms)?;
    let mut count = 0;
    while let Some(detail) = details.try_next().await? {
        let profile = providers::find(&detail.provider)?;
        let grain = Grain { provider_name: profile.display_name, is_by_sku: profile.needs_sku() };
        file.write(&detail, grain)?;
        count += 1;
    }
    file.finish()?.flush()?;
    Ok(count)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
