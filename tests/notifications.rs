//! Who is told of what, in which language, with what attached, and never twice.

use anyhow::{Context, Result};
use billrunner::{
    domain::{
        document::DocumentKind,
        ids::{InvoiceId, NotificationId},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, GenerateInvoice, InitialStatus, SendNotification},
    mail::sink::{Fault, ReceivedMail},
    providers,
    store::documents,
};
use mail_parser::{MessageParser, MimeHeaders};
use sha2::{Digest, Sha256};

use crate::support::desk::Desk;

/// What a request may say about telling the customer.
const ASKED: [Option<bool>; 3] = [None, Some(true), Some(false)];

impl Desk {
    pub async fn change(&self, customer: usize, to: InvoiceStatus, notify: Option<bool>) -> Result<()> {
        let change = ChangeInvoiceStatus { notify, ..self.to(self.id(customer).await?, to) };
        self.office.done(&change).await?;
        self.office.settled().await
    }

    /// Returns state and reason of each notification, oldest first.
    pub async fn notifications(&self) -> Result<Vec<(String, Option<String>)>> {
        let sql = "SELECT state, reason FROM notifications ORDER BY event_sequence, recipient";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }

    /// Returns the events an invoice's customer was told of, oldest first.
    async fn told(&self, id: InvoiceId) -> Result<Vec<String>> {
        let sql = "SELECT name FROM notifications JOIN invoice_events ON sequence = event_sequence
                   WHERE notifications.invoice_id = $1 AND state = 'sent' ORDER BY sequence";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_all(&self.office.pool).await?)
    }

    pub async fn send(&self, notification_id: NotificationId) -> Result<String> {
        self.office.done(&SendNotification { reseller_id: self.business.reseller_id, notification_id }).await
    }
}

/// Costs of six customers: the first three owe something, the others nothing.
const COSTS: [&str; 6] = ["10", "20", "30", "0", "0", "0"];

#[tokio::test]
async fn a_change_of_an_existing_invoice_is_told_unless_it_is_of_nothing_or_one_asks_not_to() -> Result<()> {
    let desk = Desk::with_costs(&COSTS).await?;
    desk.close_month().await?;
    let steps = [
        (InvoiceStatus::Open, "opened"),
        (InvoiceStatus::Closed, "closed"),
        (InvoiceStatus::Open, "reopened"),
        (InvoiceStatus::Void, "voided"),
    ];
    let asked = ASKED.into_iter().zip([true, true, false]).chain(ASKED.into_iter().zip([false, true, false]));
    for (customer, (notify, is_told)) in asked.enumerate() {
        let id = desk.id(customer).await?;
        for (to, _) in steps {
            desk.change(customer, to, notify).await?;
        }
        let expected: Vec<&str> = steps.iter().filter(|_| is_told).map(|(_, event)| *event).collect();
        assert_eq!(desk.told(id).await?, expected, "customer {customer}, asked {notify:?}");
    }
    assert_eq!(desk.office.sink.received().len(), 3 * steps.len());
    desk.close().await
}

#[tokio::test]
async fn an_opening_with_the_generation_is_told_only_on_request() -> Result<()> {
    let desk = Desk::with_costs(&COSTS).await?;
    desk.close_month().await?;
    let asked = ASKED.into_iter().chain(ASKED);
    for (customer, notify) in asked.enumerate() {
        let generate =
            GenerateInvoice { status: InitialStatus::Open, notify, replace: true, ..desk.business.generate(customer) };
        desk.office.done(&generate).await?;
        desk.office.settled().await?;
        let expected: &[&str] = if notify == Some(true) { &["opened"] } else { &[] };
        assert_eq!(desk.told(desk.id(customer).await?).await?, expected, "customer {customer}, asked {notify:?}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_bill_run_tells_nobody_unless_asked_to() -> Result<()> {
    for notify in ASKED {
        let desk = Desk::with_costs(&["10", "0"]).await?;
        desk.office.done(&desk.business.bill_run(InitialStatus::Open, notify)).await?;
        desk.office.settled().await?;
        for customer in 0..2 {
            let expected: &[&str] = if notify == Some(true) { &["opened"] } else { &[] };
            assert_eq!(desk.told(desk.id(customer).await?).await?, expected, "customer {customer}, asked {notify:?}");
        }
        desk.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_draft_that_is_closed_at_once_is_told_of_once() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.change(0, InvoiceStatus::Closed, None).await?;
    assert_eq!(desk.told(desk.id(0).await?).await?, ["closed"]);
    desk.close().await
}

#[tokio::test]
async fn nobody_is_told_of_what_changes_nothing_is_refused_or_discards() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.change(0, InvoiceStatus::Draft, Some(true)).await?;
    let id = desk.id(0).await?;
    let void = ChangeInvoiceStatus { notify: Some(true), ..desk.to(id, InvoiceStatus::Void) };
    desk.office.refused(&void).await?;
    desk.change(0, InvoiceStatus::Discarded, Some(true)).await?;
    desk.change(1, InvoiceStatus::Open, Some(false)).await?;
    desk.change(1, InvoiceStatus::Open, Some(true)).await?;
    let back = ChangeInvoiceStatus { notify: Some(true), ..desk.to(desk.id(1).await?, InvoiceStatus::Draft) };
    desk.office.refused(&back).await?;
    desk.office.settled().await?;
    assert_eq!(desk.notifications().await?, []);
    desk.close().await
}

#[tokio::test]
async fn who_cannot_be_told_is_recorded_with_the_reason() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    desk.execute("DELETE FROM contacts WHERE email = 'contact-0@example.com'").await?;
    desk.execute("UPDATE contacts SET enabled = false WHERE email = 'contact-1@example.com'").await?;
    desk.execute(
        "INSERT INTO suppressed_addresses (reseller_id, email, reason)
         SELECT reseller_id, 'contact-2@example.com', 'bounced' FROM contacts LIMIT 1",
    )
    .await?;
    for customer in 0..3 {
        desk.change(customer, InvoiceStatus::Open, None).await?;
    }
    let reasons = ["the customer has no contact", "the contact is disabled", "on the suppression list: bounced"];
    let expected = reasons.map(|reason| ("suppressed".to_owned(), Some(reason.to_owned())));
    assert_eq!(desk.notifications().await?, expected);
    assert!(desk.office.sink.received().is_empty());
    desk.close().await
}

#[tokio::test]
async fn a_mail_speaks_the_customers_language_and_attaches_what_is_stored() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    for (customer, word, file) in [(0, "Factura", "factura-"), (1, "Invoice", "invoice-")] {
        desk.change(customer, InvoiceStatus::Open, None).await?;
        let mail: ReceivedMail = desk.office.sink.received().pop().context("a mail")?;
        let parsed = MessageParser::default().parse(&mail.content).context("a readable mail")?;
        assert!(parsed.subject().is_some_and(|subject| subject.starts_with(word)), "{:?}", parsed.subject());
        assert_eq!(mail.to, [format!("contact-{customer}@example.com")]);
        let language = if customer == 0 { "es" } else { "en" };
        let id = desk.id(customer).await?;
        let mut connection = desk.office.pool.acquire().await?;
        let stored = documents::of_version(&mut connection, desk.business.reseller_id, id, 2, language).await?;
        assert_eq!(stored.len(), providers::find("aws")?.documents.len(), "every document the provider offers");
        assert_eq!(parsed.attachment_count(), 2);
        let sql =
            "SELECT bool_and(documents.created_at <= sending_at) FROM documents JOIN notifications USING (invoice_id)
                   WHERE invoice_id = $1 AND kind IN ('pdf', 'csv')";
        let documents_first: bool = sqlx::query_scalar(sql).bind(id).fetch_one(&desk.office.pool).await?;
        assert!(documents_first, "a mail is sent once what it attaches exists");
        for attachment in parsed.attachments() {
            let name = attachment.attachment_name().context("a name")?;
            let document = stored.iter().find(|document| document.file_name == name).context("a stored document")?;
            assert!(matches!(document.kind, DocumentKind::Pdf | DocumentKind::Csv) && name.starts_with(file), "{name}");
            assert_eq!(Sha256::digest(attachment.contents()).as_slice(), document.sha256, "{name}");
        }
    }
    desk.close().await
}

#[tokio::test]
async fn what_the_mail_server_says_decides_what_happens_next() -> Result<()> {
    let desk = Desk::with_drafts(6).await?;
    let cases = [
        (Fault::RefuseSender, "sent", 1),
        (Fault::DropBeforeContent, "sent", 1),
        (Fault::RejectContent, "failed", 0),
        (Fault::RejectRecipient, "failed", 0),
        (Fault::DropAfterContent, "uncertain", 1),
        (Fault::DropDuringContent, "uncertain", 0),
    ];
    for (customer, (fault, state, received)) in cases.into_iter().enumerate() {
        let before = desk.office.sink.received().len();
        desk.office.sink.plan(fault);
        desk.change(customer, InvoiceStatus::Open, None).await?;
        let last = desk.notifications().await?.pop().context("a notification")?;
        assert_eq!((last.0.as_str(), desk.office.sink.received().len() - before), (state, received), "case {customer}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_mail_is_not_sent_again_whatever_is_asked() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.change(0, InvoiceStatus::Open, None).await?;
    desk.office.sink.plan(Fault::DropAfterContent);
    desk.change(1, InvoiceStatus::Open, None).await?;
    let ids: Vec<NotificationId> =
        sqlx::query_scalar("SELECT id FROM notifications").fetch_all(&desk.office.pool).await?;
    for notification_id in ids {
        desk.send(notification_id).await?;
    }
    // As a worker that died in the middle of the conversation leaves it.
    desk.execute("UPDATE notifications SET state = 'sending' WHERE state = 'sent'").await?;
    let sql = "SELECT id FROM notifications WHERE state = 'sending'";
    let notification_id: NotificationId = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    desk.send(notification_id).await?;
    assert_eq!(desk.office.sink.received().len(), 2, "one mail each");
    assert!(desk.notifications().await?.iter().all(|(state, _)| state == "uncertain"));
    desk.close().await
}

#[tokio::test]
async fn closing_before_the_first_mail_is_out_still_tells_of_both() -> Result<()> {
    let desk = Desk::with_drafts(5).await?;
    for customer in 0..5 {
        let id = desk.id(customer).await?;
        for to in [InvoiceStatus::Open, InvoiceStatus::Closed] {
            desk.office.done(&ChangeInvoiceStatus { notify: None, ..desk.to(id, to) }).await?;
        }
    }
    desk.office.settled().await?;
    for customer in 0..5 {
        assert_eq!(desk.told(desk.id(customer).await?).await?, ["opened", "closed"]);
    }
    assert_eq!(desk.office.sink.received().len(), 10);
    let sql = "SELECT count(*) FROM job_attempts WHERE outcome = 'snoozed'";
    let late: i64 = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    assert_eq!(late, 0, "no mail waits for the documents of a later version");
    desk.close().await
}

#[tokio::test]
async fn what_was_not_sent_when_an_invoice_became_void_or_an_address_was_listed_is_not_sent() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    for customer in 0..2 {
        desk.change(customer, InvoiceStatus::Open, None).await?;
    }
    // As if the mails had not gone out yet.
    desk.execute("UPDATE notifications SET state = 'queued'").await?;
    desk.change(0, InvoiceStatus::Void, Some(false)).await?;
    desk.execute(
        "INSERT INTO suppressed_addresses (reseller_id, email, reason)
         SELECT reseller_id, 'contact-1@example.com', 'complained' FROM contacts LIMIT 1",
    )
    .await?;
    let ids: Vec<NotificationId> =
        sqlx::query_scalar("SELECT id FROM notifications").fetch_all(&desk.office.pool).await?;
    for notification_id in ids {
        desk.send(notification_id).await?;
    }
    let reasons = ["the invoice is void meanwhile", "on the suppression list: complained"];
    let expected = reasons.map(|reason| ("suppressed".to_owned(), Some(reason.to_owned())));
    assert_eq!(desk.notifications().await?, expected);
    assert_eq!(desk.office.sink.received().len(), 2, "only the first time");
    desk.close().await
}
