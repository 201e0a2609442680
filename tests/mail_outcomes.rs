//! What becomes of a mail is what the mail server and the reseller's policy say, and its notification remembers all of it.

use anyhow::{Context as _, Result};
use billrunner::{
    domain::{
        directory::Directory,
        ids::{JobId, NotificationId},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, RecordBounce},
    mail::sink::Fault,
    store::{directory, jobs, operator_actions::Operator, suppressions},
};
use mail_parser::{MessageParser, MimeHeaders};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use crate::support::{
    business::directory_of,
    desk::Desk,
    worker::{until, wait_for},
};

impl Desk {
    /// Applies the reseller's directory again with this policy on mails.
    pub async fn choose_mail_policy(&self, policy: Value) -> Result<()> {
        let mut document = directory_of(self.business.reseller_id, &self.business.customers);
        document["mail_policy"] = policy;
        let document: Directory = serde_json::from_value(document)?;
        let mut transaction = self.office.pool.begin().await?;
        directory::apply(&mut transaction, &document).await?;
        Ok(transaction.commit().await?)
    }

    /// Returns states and notes of the only notification to an address, oldest first.
    pub async fn history_of(&self, recipient: &str) -> Result<Vec<String>> {
        let sql = "SELECT what FROM notification_history JOIN notifications ON notifications.id = notification_id
                   WHERE recipient = $1 ORDER BY notification_history.id";
        Ok(sqlx::query_scalar(sql).bind(recipient).fetch_all(&self.office.pool).await?)
    }

    /// Returns the addresses on the suppression list.
    pub async fn suppressed(&self) -> Result<Vec<String>> {
        let listed =
            suppressions::list(&mut *self.office.pool.acquire().await?, self.business.reseller_id, 100).await?;
        Ok(listed.into_iter().map(|one| one.email).collect())
    }

    /// Returns the states of all notifications, oldest event first.
    async fn states(&self) -> Result<Vec<String>> {
        Ok(self.notifications().await?.into_iter().map(|(state, _)| state).collect())
    }

    /// Returns the Message-IDs of the mails that an address received.
    fn received_by(&self, recipient: &str) -> Vec<String> {
        let received = self.office.sink.received();
        let theirs = received.iter().filter(|mail| mail.to == [recipient]);
        let message_id = |content: &[u8]| MessageParser::new().parse(content)?.message_id().map(str::to_owned);
        theirs.map(|mail| message_id(&mail.content).expect("a Message-ID")).collect()
    }
}

#[tokio::test]
async fn a_mail_that_may_have_arrived_is_sent_once_more_where_the_reseller_says_so_and_never_again() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    desk.office.sink.plan_for("contact-0@example.com", [Fault::DropAfterContent]);
    desk.change(0, InvoiceStatus::Open, None).await?;
    assert_eq!(desk.received_by("contact-0@example.com").len(), 1, "by default never twice");

    desk.choose_mail_policy(json!({ "resend_uncertain": true })).await?;
    desk.office.sink.plan_for("contact-1@example.com", [Fault::DropDuringContent]);
    desk.office.sink.plan_for("contact-2@example.com", [Fault::DropAfterContent; 3]);
    for customer in [1, 2] {
        desk.change(customer, InvoiceStatus::Open, None).await?;
    }
    assert_eq!(desk.states().await?, ["uncertain", "sent", "uncertain"]);
    assert_eq!(desk.received_by("contact-1@example.com").len(), 1);
    let twice = desk.received_by("contact-2@example.com");
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0], twice[1], "the same mail, so that a mailbox may know it");
    let history = ["queued", "sending", "uncertain", "queued", "sending"];
    assert_eq!(desk.history_of("contact-1@example.com").await?, [&history[..], &["sent"]].concat());
    assert_eq!(desk.history_of("contact-2@example.com").await?, [&history[..], &["uncertain"]].concat());
    desk.close().await
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_suppressed_and_one_that_is_refused_for_another_reason_is_not() -> Result<()>
{
    let desk = Desk::with_drafts(4).await?;
    let faults = [Fault::RejectRecipient, Fault::RejectByPolicy, Fault::RejectContent];
    for (customer, fault) in faults.into_iter().enumerate() {
        desk.office.sink.plan_for(&format!("contact-{customer}@example.com"), [fault]);
        desk.change(customer, InvoiceStatus::Open, None).await?;
    }
    assert_eq!(desk.suppressed().await?, ["contact-0@example.com"]);
    let reasons: Vec<String> = desk.notifications().await?.into_iter().filter_map(|(_, reason)| reason).collect();
    let refused = |reply: &str| format!("the mail server refused the mail for good {reply}");
    let expected = ["(550): 5.1.1 no such mailbox", "(550): 5.7.1 not from you", "(554): not here"].map(refused);
    assert_eq!(reasons, expected);

    desk.change(0, InvoiceStatus::Closed, None).await?;
    let last = desk.notifications().await?.pop().context("a notification")?;
    let why = "on the suppression list: refused: 5.1.1, the address does not exist";
    assert_eq!(last, ("suppressed".to_owned(), Some(why.to_owned())));

    desk.choose_mail_policy(json!({ "suppress_rejected": false })).await?;
    desk.office.sink.plan_for("contact-3@example.com", [Fault::RejectRecipient]);
    desk.change(3, InvoiceStatus::Open, None).await?;
    assert_eq!(desk.suppressed().await?, ["contact-0@example.com"], "by the reseller's policy");
    desk.close().await
}

#[tokio::test]
async fn an_address_that_is_refused_keeps_no_other_contact_from_its_mail() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.execute(
        "INSERT INTO contacts (reseller_id, customer_id, email)
         SELECT reseller_id, customer_id, unnest(ARRAY['a@example.com', 'z@example.com']) FROM contacts",
    )
    .await?;
    desk.office.sink.plan_for("contact-0@example.com", [Fault::RejectRecipient]);
    desk.office.sink.plan_for("z@example.com", [Fault::HangUpPolitely, Fault::RefuseContent]);
    desk.change(0, InvoiceStatus::Open, None).await?;
    assert_eq!(desk.states().await?, ["sent", "failed", "sent"], "by address");
    for (address, count) in [("a@example.com", 1), ("contact-0@example.com", 0), ("z@example.com", 1)] {
        assert_eq!(desk.received_by(address).len(), count, "{address}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_mail_with_a_megabyte_attached_arrives_byte_for_byte() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.change(0, InvoiceStatus::Open, None).await?;
    let sql = "SELECT location, file_name FROM documents WHERE kind = 'pdf' ORDER BY created_at DESC LIMIT 1";
    let (location, file_name): (String, String) = sqlx::query_as(sql).fetch_one(&desk.office.pool).await?;
    // All bytes there are, lines of dots among them: what SMTP must stuff and encode.
    let large: Vec<u8> = (0..=255_u8).chain(*b"\r\n.\r\n..\r\n").cycle().take(1_048_576).collect();
    desk.office.context.objects.put(&location.as_str().into(), large.clone().into()).await?;
    desk.execute("UPDATE notifications SET state = 'queued'").await?;
    let id: NotificationId = sqlx::query_scalar("SELECT id FROM notifications").fetch_one(&desk.office.pool).await?;
    assert_eq!(desk.send(id).await?, "sent");
    let mail = desk.office.sink.received().pop().context("a mail")?;
    let parsed = MessageParser::default().parse(&mail.content).context("a readable mail")?;
    let attached =
        parsed.attachments().find(|one| one.attachment_name() == Some(&file_name)).context("the document")?;
    assert!(attached.contents() == large, "{} bytes arrived", attached.contents().len());
    desk.close().await
}

#[tokio::test]
async fn a_server_that_is_slow_to_greet_delays_mails_and_loses_none() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    desk.office.sink.keep_silent();
    for customer in 0..3 {
        let id = desk.id(customer).await?;
        desk.office.done(&ChangeInvoiceStatus { notify: None, ..desk.to(id, InvoiceStatus::Open) }).await?;
    }
    let sending = "SELECT count(*) FROM notifications WHERE state = 'sending'";
    until("all conversations to wait for the greeting", || async {
        let count: i64 = sqlx::query_scalar(sending).fetch_one(&desk.office.pool).await?;
        Ok((count == 3).then_some(()))
    })
    .await?;
    assert!(desk.office.sink.received().is_empty());
    desk.office.sink.greet();
    desk.office.settled().await?;
    assert_eq!(desk.states().await?, ["sent"; 3]);
    assert_eq!(desk.office.sink.received().len(), 3);
    desk.close().await
}

#[tokio::test]
async fn a_job_that_is_cancelled_during_the_conversation_still_says_what_became_of_the_mail() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.sink.keep_silent();
    let id = desk.id(0).await?;
    desk.office.done(&ChangeInvoiceStatus { notify: None, ..desk.to(id, InvoiceStatus::Open) }).await?;
    let running = "SELECT jobs.id FROM jobs, notifications
                   WHERE kind = 'send_notification' AND jobs.state = 'running' AND notifications.state = 'sending'";
    let job: JobId = until("the conversation", || async {
        Ok(sqlx::query_scalar(running).fetch_optional(&desk.office.pool).await?)
    })
    .await?;
    let mut transaction = desk.office.pool.begin().await?;
    jobs::cancel(&mut transaction, job, Operator { name: "ana", reason: "as a test" }).await?;
    transaction.commit().await?;
    // The worker hears of a job that is handed in later through the same ears, and later.
    let nothing = RecordBounce { reseller_id: desk.business.reseller_id, message: Some(String::new()), sha256: None };
    desk.office.done(&nothing).await?;
    desk.office.sink.greet();
    let (ended, _) = wait_for(&desk.office.pool, job).await?;
    assert_eq!(ended.state, "discarded");
    assert_eq!((desk.states().await?, desk.office.sink.received().len()), (vec!["sent".to_owned()], 1));
    desk.close().await
}

#[tokio::test]
async fn a_notification_keeps_every_state_with_its_reason_and_nobody_edits_it() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.sink.plan_for("contact-0@example.com", [Fault::RefuseRecipient, Fault::DropBeforeContent]);
    desk.change(0, InvoiceStatus::Open, None).await?;
    let kept: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT what, reason FROM notification_history ORDER BY id")
            .fetch_all(&desk.office.pool)
            .await?;
    let kept: Vec<_> = kept.iter().map(|(what, reason)| (what.as_str(), reason.as_deref())).collect();
    let later = |step| ("queued", Some(step));
    let expected = [
        ("queued", None),
        ("sending", None),
        later("the mail was not delivered for now, at RCPT"),
        ("sending", None),
        later("the mail was not delivered for now, at DATA"),
        ("sending", None),
        ("sent", None),
    ];
    assert_eq!(kept, expected);
    for statement in [
        "UPDATE notification_history SET what = 'sent'",
        "DELETE FROM notification_history",
        "UPDATE suppression_actions SET done_by = 'nobody'",
        "DELETE FROM suppression_actions",
    ] {
        let refused = sqlx::query(statement).execute(&desk.office.pool).await.expect_err(statement);
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    desk.close().await
}
