//! `billrunner notifications`: what customers were told, what became of it, and telling them again.

use clap::{Args, Subcommand};
use sqlx::{PgConnection, PgPool};

use super::{Failure, Output, enqueue::wait_and_print, invoices, operator::WithReason, setup};
use crate::{
    config::Config,
    domain::{
        billing_period::BillingPeriod,
        ids::{JobId, NotificationId, ResellerId},
        notification::NotificationState,
    },
    jobs::{SendNotification, registry},
    mail::message_id,
    queue::{JobOptions, RequestId},
    store::{
        directory::{self, Recipient},
        jobs,
        notification_list::{self, HistoryEntry, NotificationFilter, NotificationSummary},
        notifications::{self, NewNotification, Note},
        operator_actions::Operator,
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
    require_end(&earlier)?;
    let contacts = directory::recipients(&mut transaction, earlier.reseller_id, earlier.customer_id).await?;
    let contact = choose(asked.to.as_deref().unwrap_or(&earlier.recipient), contacts)?;
    let (id, job_id) = record(&mut transaction, &earlier, (&contact, operator), &config.mail_domain).await?;
    transaction.commit().await?;
    if asked.wait {
        return wait_and_print(pool, job_id, output).await;
    }
    let answer = serde_json::json!({ "notification_id": id, "job_id": job_id });
    output.value(&answer, |_| format!("notification {id} goes to {}, by job {job_id}", contact.contact.email))
}

fn require_end(earlier: &NotificationSummary) -> anyhow::Result<()> {
    let state: NotificationState = earlier.state.parse()?;
    if state.has_ended() {
        return Ok(());
    }
    let way_out = "its job is at it or will be; `billrunner dead list` shows it where it gave up";
    Err(Failure::Refused(format!("notification {} is {state}: {way_out}", earlier.id)).into())
}

/// Finds the contact with an address who may be written to.
fn choose(address: &str, contacts: Vec<Recipient>) -> Result<Recipient, Failure> {
    let names: Vec<String> = contacts.iter().map(|one| one.contact.email.clone()).collect();
    let found = contacts.into_iter().find(|one| one.contact.email.eq_ignore_ascii_case(address.trim()));
    let Some(found) = found else {
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let way_out = format!("name one with --to, or add one to the directory; there are: {known}");
        return Err(Failure::Refused(format!("`{address}` is no contact of the customer; {way_out}")));
    };
    if let Some(why) = &found.suppressed_because {
        let way_out = "enable the contact in the directory, or `billrunner suppressions remove` the address";
        return Err(Failure::Refused(format!("`{address}` is not written to, {why}; {way_out}")));
    }
    Ok(found)
}

/// Records a new notification about the same event, who wants it and why, and the job that sends it.
async fn record(
    connection: &mut PgConnection,
    earlier: &NotificationSummary,
    (recipient, operator): (&Recipient, Operator<'_>),
    mail_domain: &str,
) -> anyhow::Result<(NotificationId, JobId)> {
    let (id, reseller_id) = (NotificationId::new(), earlier.reseller_id);
    let new = NewNotification {
        id,
        reseller_id,
        invoice_id: earlier.invoice_id,
        event_sequence: earlier.event_sequence,
        recipient: recipient.contact.email.clone(),
        recipient_name: recipient.contact.name.clone(),
        // Of its own, so that it stands beside the first and every other.
        intent: format!("resend {id}"),
        language: earlier.language.clone(),
        suppressed_because: None,
        message_id: message_id(id, mail_domain),
    };
    notifications::record_all(connection, &[new]).await?;
    let noted_by = Some(operator.name);
    let requested = format!("instead of {}: {}", earlier.id, operator.reason);
    let note = Note { what: "requested", reason: &requested, noted_by };
    notifications::note(connection, (reseller_id, id), note).await?;
    let resent = format!("as {id}: {}", operator.reason);
    let note = Note { what: "resent", reason: &resent, noted_by };
    notifications::note(connection, (reseller_id, earlier.id), note).await?;
    let job = SendNotification { reseller_id, notification_id: id };
    let request = RequestId::new("cli/notifications", id);
    let new = registry().prepare(&job, request, operator.name, JobOptions::default())?;
    let accepted = jobs::accept(connection, &new).await?;
    jobs::notify_dispatchers(connection).await?;
    Ok((id, accepted.id()))
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
