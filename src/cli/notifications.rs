//! `billrunner notifications`: what customers were told, what became of it, and telling them again.

use clap::{Args, Subcommand};
use sqlx::{PgConnection, PgPool};

use super::{Failure, Output, enqueue::wait_and_print, invoices, operator::WithReason, setup};
use crate::{
    config::Config,
    domain::{
        billing_period::BillingPeriod,
        ids::{NotificationId, ResellerId},
        notification::NotificationState,
    },
    jobs::{SendNotification, registry},
    queue::{JobOptions, RequestId},
    store::{
        jobs,
        notification_list::{self, HistoryEntry, NotificationFilter, NotificationSummary},
        resend::{self, NotResent},
    },
};

/// Commands on notifications.
#[derive(Subcommand)]
pub enum Command {
    /// List notifications by invoice, customer, state and period, newest first.
    List(Listed),
    /// Show a notification with all that became of it.
    Show {
        /// Its id.
        notification: NotificationId,
    },
    /// Send a mail again, as a new notification. The same customer may then have it twice.
    Resend(Resend),
}

/// Arguments of `notifications list`.
#[derive(Args)]
pub struct Listed {
    /// Of this reseller.
    #[arg(long)]
    reseller: Option<ResellerId>,
    /// About the invoice with this id, number or document id.
    #[arg(long)]
    invoice: Option<String>,
    /// Whose customer has this id, or a name that contains this.
    #[arg(long)]
    customer: Option<String>,
    /// In one of these states: queued, sending, sent, suppressed, failed, uncertain. Default: all.
    #[arg(long, value_delimiter = ',')]
    state: Vec<NotificationState>,
    /// Of this month or later, such as 2026-01.
    #[arg(long)]
    from: Option<BillingPeriod>,
    /// Of this month or earlier.
    #[arg(long)]
    to: Option<BillingPeriod>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

/// Arguments of `notifications resend`.
#[derive(Args)]
pub struct Resend {
    /// Its id.
    notification: NotificationId,
    /// To another contact of the customer. Nobody else: an invoice must not go to a mistyped address.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    #[command(flatten)]
    asked: WithReason,
    /// Wait until it is sent; exit code 4 when its job failed.
    #[arg(long)]
    wait: bool,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    match command {
        Command::List(listed) => list(listed, &mut *pool.acquire().await?, output).await,
        Command::Show { notification } => {
            let mut connection = pool.acquire().await?;
            let found = find(&mut connection, notification).await?;
            let history = notification_list::history(&mut connection, (found.reseller_id, found.id)).await?;
            let value = serde_json::json!({ "notification": found, "history": history });
            output.value(&value, |_| describe(&found, &history))
        }
        Command::Resend(asked) => resend(&asked, &pool, config, output).await,
    }
}

async fn list(listed: Listed, connection: &mut PgConnection, output: Output) -> anyhow::Result<()> {
    let invoice = match &listed.invoice {
        Some(name) => Some(invoices::find(&mut *connection, name, listed.reseller).await?.id),
        None => None,
    };
    let filter = NotificationFilter {
        reseller_id: listed.reseller,
        invoice_id: invoice,
        customer: listed.customer,
        from: listed.from.map(BillingPeriod::start),
        until: listed.to.map(BillingPeriod::end),
        states: listed.state,
        ..NotificationFilter::default()
    };
    let found = notification_list::list(connection, &filter, listed.limit).await?;
    let titles = ["notification", "invoice", "event", "customer", "recipient", "state", "since", "reason"];
    output.rows(&found, &titles, |told| {
        let since = told.finished_at.or(told.sending_at).unwrap_or(told.created_at);
        vec![
            told.id.to_string(),
            told.invoice_name.clone(),
            told.event.clone(),
            told.customer_name.clone(),
            told.recipient.clone(),
            told.state.clone(),
            since.format("%F %T").to_string(),
            told.reason.clone().unwrap_or_default(),
        ]
    })
}

async fn find(connection: &mut PgConnection, id: NotificationId) -> anyhow::Result<NotificationSummary> {
    let missing = || Failure::NotFound(format!("notification {id} does not exist; `billrunner notifications list`"));
    Ok(notification_list::find(connection, id).await?.ok_or_else(missing)?)
}

async fn resend(asked: &Resend, pool: &PgPool, config: &Config, output: Output) -> anyhow::Result<()> {
    let operator = asked.asked.said()?;
    let mut transaction = pool.begin().await?;
    let earlier = find(&mut transaction, asked.notification).await?;
    let to = asked.to.as_deref().unwrap_or(&earlier.recipient);
    let again = resend::record(&mut transaction, &earlier, to, operator, &config.mail_domain).await;
    let again = again.map_err(to_failure)?;
    let job = SendNotification { reseller_id: earlier.reseller_id, notification_id: again.id };
    let request = RequestId::new("cli/notifications", again.id);
    let new = registry().prepare(&job, request, operator.name, JobOptions::default())?;
    let job_id = jobs::accept(&mut transaction, &new).await?.id();
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    if asked.wait {
        return wait_and_print(pool, job_id, output).await;
    }
    let answer = serde_json::json!({ "notification_id": again.id, "job_id": job_id });
    output.value(&answer, |_| format!("notification {} goes to {}, by job {job_id}", again.id, again.recipient))
}

fn to_failure(error: NotResent) -> anyhow::Error {
    match error {
        NotResent::UnderWay { .. } | NotResent::NoContact { .. } | NotResent::Suppressed { .. } => {
            Failure::Refused(error.to_string()).into()
        }
        NotResent::Database(error) => error.into(),
    }
}

fn describe(found: &NotificationSummary, history: &[HistoryEntry]) -> String {
    let mut lines = vec![
        format!("notification  {}", found.id),
        format!("invoice       {} of {}, {}", found.invoice_name, found.customer_name, found.event),
        format!("recipient     {}", found.recipient),
        format!("language      {}", found.language),
        format!("message id    {}", found.message_id),
        format!("intent        {}", found.intent),
        format!("state         {}", found.state),
    ];
    lines.extend(found.reason.iter().map(|reason| format!("reason        {reason}")));
    for entry in history {
        let by = entry.noted_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        lines.push(format!("{}  {}{by}{reason}", entry.noted_at.format("%F %T"), entry.what));
    }
    lines.join("\n")
}
