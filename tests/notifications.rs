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
    store::documents,
};
use mail_parser::{MessageParser, MimeHeaders};
use sha2::{Digest, Sha256};

use crate::support::{TestDatabase, business::Business, worker::Office};

struct Desk {
    office: Office,
    business: Business,
    _database: TestDatabase,
}

impl Desk {
    /// Opens a business whose month is closed and whose drafts exist.
    async fn open(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let office = Office::open(&database.pool).await?;
        let business = Business::open(&database.pool, customers).await?;
        office.done(&business.bill_run(InitialStatus::Draft, None)).await?;
        office.settled().await?;
        Ok(Self { office, business, _database: database })
    }

    async fn invoice(&self, customer: usize) -> Result<InvoiceId> {
        let sql = "SELECT id FROM invoices WHERE customer_id = $1 AND status NOT IN ('void', 'discarded')";
        Ok(sqlx::query_scalar(sql).bind(self.business.customers[customer]).fetch_one(&self.office.pool).await?)
    }

    async fn change(&self, customer: usize, to: InvoiceStatus, notify: Option<bool>) -> Result<()> {
        let change = ChangeInvoiceStatus {
            reseller_id: self.business.reseller_id,
            invoice_id: self.invoice(customer).await?,
            to,
            version: None,
            reason: Some("a mistake".to_owned()),
            notify,
            force: false,
        };
        self.office.done(&change).await?;
        self.office.settled().await
    }

    /// Returns state and reason of each notification, oldest first.
    async fn notifications(&self) -> Result<Vec<(String, Option<String>)>> {
        let sql = "SELECT state, reason FROM notifications ORDER BY event_sequence, recipient";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }

    async fn execute(&self, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(&self.office.pool).await?;
        Ok(())
    }
}

#[tokio::test]
async fn each_path_has_its_default_and_obeys_who_asks() -> Result<()> {
    let desk = Desk::open(6).await?;
    let asked = [None, Some(true), Some(false)];
    for (customer, (notify, told)) in asked.into_iter().zip([1, 1, 0]).enumerate() {
        let before = desk.office.sink.received().len();
        desk.change(customer, InvoiceStatus::Open, notify).await?;
        assert_eq!(desk.office.sink.received().len() - before, told, "an existing invoice, asked {notify:?}");
    }
    for (customer, (notify, told)) in (3..6).zip(asked.into_iter().zip([0, 1, 0])) {
        let before = desk.office.sink.received().len();
        let generate =
            GenerateInvoice { status: InitialStatus::Open, notify, replace: true, ..desk.business.generate(customer) };
        desk.office.done(&generate).await?;
        desk.office.settled().await?;
        assert_eq!(desk.office.sink.received().len() - before, told, "with the generation, asked {notify:?}");
    }
    desk.office.close().await
}

#[tokio::test]
async fn nobody_is_told_of_what_changes_nothing_or_discards() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.change(0, InvoiceStatus::Draft, Some(true)).await?;
    desk.change(0, InvoiceStatus::Discarded, Some(true)).await?;
    desk.change(1, InvoiceStatus::Open, Some(false)).await?;
    desk.change(1, InvoiceStatus::Open, Some(true)).await?;
    assert_eq!(desk.notifications().await?, []);
    desk.office.close().await
}

#[tokio::test]
async fn who_cannot_be_told_is_recorded_with_the_reason() -> Result<()> {
    let desk = Desk::open(3).await?;
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
    desk.office.close().await
}

#[tokio::test]
async fn a_mail_speaks_the_customers_language_and_attaches_what_is_stored() -> Result<()> {
    let desk = Desk::open(2).await?;
    for (customer, word, file) in [(0, "Factura", "factura-"), (1, "Invoice", "invoice-")] {
        desk.change(customer, InvoiceStatus::Open, None).await?;
        let mail: ReceivedMail = desk.office.sink.received().pop().context("a mail")?;
        let parsed = MessageParser::default().parse(&mail.content).context("a readable mail")?;
        assert!(parsed.subject().is_some_and(|subject| subject.starts_with(word)), "{:?}", parsed.subject());
        assert_eq!(mail.to, [format!("contact-{customer}@example.com")]);
        let language = if customer == 0 { "es" } else { "en" };
        let id = desk.invoice(customer).await?;
        let mut connection = desk.office.pool.acquire().await?;
        let stored = documents::of_version(&mut connection, desk.business.reseller_id, id, 2, language).await?;
        assert_eq!(stored.len(), 4, "every document the provider offers");
        assert_eq!(parsed.attachment_count(), 2);
        for attachment in parsed.attachments() {
            let name = attachment.attachment_name().context("a name")?;
            let document = stored.iter().find(|document| document.file_name == name).context("a stored document")?;
            assert!(matches!(document.kind, DocumentKind::Pdf | DocumentKind::Csv) && name.starts_with(file), "{name}");
            assert_eq!(Sha256::digest(attachment.contents()).as_slice(), document.sha256, "{name}");
        }
    }
    desk.office.close().await
}

#[tokio::test]
async fn what_the_mail_server_says_decides_what_happens_next() -> Result<()> {
    let desk = Desk::open(4).await?;
    let cases = [
        (Fault::RefuseSender, "sent", 1),
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
    desk.office.close().await
}

#[tokio::test]
async fn a_mail_is_not_sent_again_whatever_is_asked() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.change(0, InvoiceStatus::Open, None).await?;
    desk.office.sink.plan(Fault::DropAfterContent);
    desk.change(1, InvoiceStatus::Open, None).await?;
    let ids: Vec<NotificationId> =
        sqlx::query_scalar("SELECT id FROM notifications").fetch_all(&desk.office.pool).await?;
    for notification_id in ids {
        desk.office.done(&SendNotification { reseller_id: desk.business.reseller_id, notification_id }).await?;
    }
    // As a worker that died in the middle of the conversation leaves it.
    desk.execute("UPDATE notifications SET state = 'sending' WHERE state = 'sent'").await?;
    let sql = "SELECT id FROM notifications WHERE state = 'sending'";
    let notification_id: NotificationId = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    desk.office.done(&SendNotification { reseller_id: desk.business.reseller_id, notification_id }).await?;
    assert_eq!(desk.office.sink.received().len(), 2, "one mail each");
    assert!(desk.notifications().await?.iter().all(|(state, _)| state == "uncertain"));
    desk.office.close().await
}

#[tokio::test]
async fn closing_soon_after_opening_tells_of_both_and_voiding_takes_back_what_was_not_sent() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.change(0, InvoiceStatus::Open, None).await?;
    desk.change(0, InvoiceStatus::Closed, None).await?;
    assert_eq!(desk.office.sink.received().len(), 2);
    desk.change(1, InvoiceStatus::Open, None).await?;
    desk.execute("UPDATE notifications SET state = 'queued' WHERE recipient = 'contact-1@example.com'").await?;
    desk.change(1, InvoiceStatus::Void, Some(false)).await?;
    let sql = "SELECT id FROM notifications WHERE recipient = 'contact-1@example.com'";
    let notification_id: NotificationId = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    desk.office.done(&SendNotification { reseller_id: desk.business.reseller_id, notification_id }).await?;
    let last = desk.notifications().await?.pop().context("a notification")?;
    assert_eq!(last, ("suppressed".to_owned(), Some("the invoice is void meanwhile".to_owned())));
    desk.office.close().await
}
