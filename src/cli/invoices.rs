//! `billrunner invoices`: what was billed.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use sqlx::{PgConnection, PgPool};

use super::{Failure, Output, enqueue::hand_in, explanation::explain, export_focus, month::Month, setup};
use crate::{
    config::Config,
    domain::{
        billing_period::BillingPeriod,
        ids::{JobId, ResellerId},
        invoice::Invoice,
        invoice_status::InvoiceStatus,
    },
    jobs::{OpenInvoices, registry},
    queue::{JobOptions, RequestId},
    store::{
        invoice_list::{self, InvoiceFilter, InvoiceSummary},
        invoice_status::{self, EventRow},
        invoices,
    },
};

/// Commands on invoices.
#[derive(Subcommand)]
pub enum Command {
    /// List invoices by customer, provider and period.
    List {
        /// Of this reseller.
        #[arg(long)]
        reseller: Option<ResellerId>,
        /// Whose customer has this id, or a name that contains this.
        #[arg(long)]
        customer: Option<String>,
        /// Of this provider.
        #[arg(long)]
        provider: Option<String>,
        /// Of this month or later, such as 2026-01.
        #[arg(long)]
        from: Option<BillingPeriod>,
        /// Of this month or earlier.
        #[arg(long)]
        to: Option<BillingPeriod>,
        /// In one of these statuses: draft, open, closed, void, discarded. Default: all but discarded.
        #[arg(long, value_delimiter = ',')]
        status: Vec<InvoiceStatus>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Write invoices in the shape of the FOCUS 1.4 dataset Invoice Detail, for customers.
    ExportFocus(export_focus::Arguments),
    /// Show an invoice with its lines, how each came to its price, taxes and history.
    Show {
        /// Its id, number or document id.
        invoice: String,
        /// Of this reseller, where a number is not unique.
        #[arg(long)]
        reseller: Option<ResellerId>,
    },
    /// Open all drafts of a provider's month that nothing stands against.
    Open(OpenDrafts),
}

/// Arguments of `invoices open`.
#[derive(Args)]
pub struct OpenDrafts {
    #[command(flatten)]
    month: Month,
    /// Whether the customers are told; by default they are, unless a total is zero.
    #[arg(long)]
    notify: Option<bool>,
    /// Also stale drafts, and those of a month that is not final.
    #[arg(long)]
    force: bool,
    /// Who asks; by default the user of the operating system.
    #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
    by: String,
    /// Wait until it is done; exit code 4 when it was refused.
    #[arg(long)]
    wait: bool,
}

async fn open_drafts(asked: OpenDrafts, pool: &PgPool, output: Output) -> anyhow::Result<()> {
    let OpenDrafts { month, notify, force, by, wait } = asked;
    let job = OpenInvoices {
        reseller_id: month.reseller,
        provider: month.provider,
        billing_period: month.period,
        notify,
        force,
    };
    let request = RequestId::new("cli/invoices", JobId::new());
    let new = registry().prepare(&job, request, &by, JobOptions::default())?;
    hand_in(pool, &new, wait, output).await
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::Open(month) => {
            drop(connection);
            open_drafts(month, &pool, output).await
        }

        Command::List { reseller, customer, provider, from, to, status, limit } => {
            let filter = InvoiceFilter {
                reseller_id: reseller,
                customer,
                provider,
                from: from.map(BillingPeriod::start),
                until: to.map(BillingPeriod::end),
                statuses: status,
            };
            list(&invoice_list::list(&mut connection, &filter, limit).await?, output)
        }
        Command::ExportFocus(arguments) => export_focus::run(&arguments, &pool, output).await,
        Command::Show { invoice: name, reseller } => {
            let invoice = find(&mut connection, &name, reseller).await?;
            let events = invoice_status::events(&mut connection, invoice.reseller_id, invoice.id).await?;
            output.value(&to_json(&invoice, &events), |_| describe(&invoice, &events))
        }
    }
}

/// Finds the one invoice that has this id, number or document id.
pub async fn find(connection: &mut PgConnection, name: &str, reseller: Option<ResellerId>) -> anyhow::Result<Invoice> {
    let mut found = invoice_list::find_by_name(connection, name).await?;
    found.retain(|(reseller_id, _)| reseller.is_none_or(|wanted| wanted == *reseller_id));
    let (reseller_id, id) = match found.as_slice() {
        [one] => *one,
        [] => return Err(Failure::NotFound(format!("invoice `{name}` does not exist")).into()),
        _ => return Err(Failure::Usage(format!("`{name}` is not unique; add --reseller")).into()),
    };
    let missing = || Failure::NotFound(format!("invoice `{name}` does not exist"));
    Ok(invoices::find(connection, reseller_id, id).await?.ok_or_else(missing)?)
}

/// Prints invoices as a table.
pub fn list(found: &[InvoiceSummary], output: Output) -> anyhow::Result<()> {
    let titles = ["customer", "provider", "period", "number", "status", "total", "documents", "mail"];
    output.rows(found, &titles, |invoice| {
        let name = invoice.number.as_deref().unwrap_or(&invoice.document_id);
        vec![
            invoice.customer_name.clone(),
            invoice.provider.clone(),
            invoice.billing_period.to_string(),
            name.to_owned(),
            format!("{}{}", invoice.status, if invoice.stale { " (stale)" } else { "" }),
            format!("{} {}", invoice.total.to_plain_string(), invoice.currency),
            invoice.documents.join(" "),
            invoice.notifications.join(", "),
        ]
    })
}

fn to_json(invoice: &Invoice, events: &[EventRow]) -> serde_json::Value {
    let lines = invoice.lines.iter().map(|line| {
        serde_json::json!({
            "section": line.section_name,
            "description": line.description,
            "charge_category": line.charge_category,
            "correction_of": line.correction_of,
            "cost_exact": line.cost_exact.to_plain_string(),
            "cost_currency": line.cost_currency,
            "price_exact": line.price_exact.to_plain_string(),
            "net": line.net.to_plain_string(),
            "charge_count": line.charge_count,
            "exchange_rate": line.exchange_rate.to_plain_string(),
            "details": line.details,
            "explanation": explain(invoice, line),
        })
    });
    let taxes = invoice.taxes.iter().map(|tax| {
        serde_json::json!({
            "name": tax.name,
            "category": tax.category,
            "exemption_code": tax.exemption_code,
            "exemption_reason": tax.exemption_reason,
            "rate": tax.rate.to_plain_string(),
            "base": tax.base.to_plain_string(),
            "amount": tax.amount.to_plain_string(),
        })
    });
    serde_json::json!({
        "reseller_id": invoice.reseller_id,
        "id": invoice.id,
        "customer_id": invoice.customer_id,
        "customer_name": invoice.customer.name,
        "provider": invoice.provider,
        "billing_period": invoice.billing_period,
        "kind": invoice.kind,
        "status": invoice.status,
        "version": invoice.version,
        "document_id": invoice.document_id,
        "number": invoice.number,
        "issued_on": invoice.issued_on,
        "language": invoice.language,
        "currency": invoice.currency,
        "lines": lines.collect::<Vec<_>>(),
        "subtotal": invoice.subtotal.to_plain_string(),
        "taxes": taxes.collect::<Vec<_>>(),
        "tax": invoice.tax.to_plain_string(),
        "total": invoice.total.to_plain_string(),
        "price_rules": invoice.frozen_rules,
        "rounding_delta": invoice.rounding_delta.to_plain_string(),
        "zero_line_count": invoice.zero_line_count,
        "charge_count": invoice.charge_count,
        "stale": invoice.stale,
        "replaces": invoice.replaces,
        "events": events,
    })
}

fn describe(invoice: &Invoice, events: &[EventRow]) -> String {
    let day = |day: Option<NaiveDate>| day.map_or_else(|| "not issued".to_owned(), |day| day.to_string());
    let mut lines = vec![
        format!("{} {}", invoice.kind, invoice.number.as_deref().unwrap_or(&invoice.document_id)),
        format!("status     {} (version {})", invoice.status, invoice.version),
        format!("customer   {}", invoice.customer.name),
        format!("period     {} {}", invoice.provider, invoice.billing_period),
        format!("issued on  {}", day(invoice.issued_on)),
    ];
    for line in &invoice.lines {
        let category = line.charge_category.map(|category| category.to_string()).unwrap_or_default();
        lines.push(format!(
            "{:>14}  {} · {} {category}",
            line.net.to_plain_string(),
            line.section_name,
            line.description
        ));
        lines.extend(explain(invoice, line).into_iter().map(|sentence| format!("{:>16}{sentence}", "")));
    }
    lines.push(format!("{:>14}  subtotal", invoice.subtotal.to_plain_string()));
    for tax in &invoice.taxes {
        let (amount, rate, base) =
            (tax.amount.to_plain_string(), tax.rate.to_plain_string(), tax.base.to_plain_string());
        lines.push(format!("{amount:>14}  {} {rate} ({}) on {base}", tax.name, tax.category));
    }
    lines.push(format!("{:>14}  total {}", invoice.total.to_plain_string(), invoice.currency));
    for event in events {
        let reason = event.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        lines.push(format!("{}  {} by {}{reason}", event.occurred_at.format("%F %T"), event.name, event.actor));
    }
    lines.join("\n")
}
