//! Delivery reports find their mail by its Message-ID and nothing else, and change what they may.

use anyhow::Result;
use billrunner::{
    domain::{
        ids::{NotificationId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    jobs::{RecordBounce, bounce_location},
    mail::{MAX_REPORT_BYTES, sink::Fault},
};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{delivery_report::delivery_report, desk::Desk, site::Site, worker::settled};

/// Whether a mailbox of the first contact exists, in numbers.
const NO_SUCH_MAILBOX: &str = "5.1.1";
const CONTACT: &str = "contact-0@example.com";

/// A desk whose first customer was told of an invoice.
async fn told(customers: usize) -> Result<Desk> {
    let desk = Desk::with_drafts(customers).await?;
    desk.change(0, InvoiceStatus::Open, None).await?;
    Ok(desk)
}

impl Desk {
    async fn message_id(&self) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT message_id FROM notifications").fetch_one(&self.office.pool).await?)
    }

    async fn bounce(&self, report: &str) -> Result<String> {
        self.office.done(&self.report(report)).await
    }

    fn report(&self, report: &str) -> RecordBounce {
        RecordBounce { reseller_id: self.business.reseller_id, message: Some(report.to_owned()), sha256: None }
    }

    async fn state(&self) -> Result<(String, Option<String>)> {
        Ok(self.notifications().await?.remove(0))
    }

    async fn notes(&self) -> Result<Vec<(String, Option<String>)>> {
        let sql = "SELECT what, reason FROM notification_history ORDER BY id OFFSET 3";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }
}

fn noted(what: &str, reason: &str) -> (String, Option<String>) {
    (what.to_owned(), Some(reason.to_owned()))
}

#[tokio::test]
async fn a_bounce_makes_a_sent_mail_failed_and_suppresses_an_address_that_does_not_exist() -> Result<()> {
    let desk = told(1).await?;
    // As servers write addresses.
    let report = delivery_report(&desk.message_id().await?, "Contact-0@EXAMPLE.com", "failed", NO_SUCH_MAILBOX);
    let said = desk.bounce(&report).await?;
    assert!(said.ends_with(": failed") && !said.contains('@'), "{said}");
    let failed = noted("failed", "bounced: 5.1.1 smtp; as the server says it");
    assert_eq!(desk.state().await?, failed);
    assert_eq!(desk.suppressed().await?, [CONTACT]);
    desk.bounce(&report).await?;
    assert_eq!(desk.notes().await?, [failed], "the same report again changes nothing");
    desk.close().await
}

#[tokio::test]
async fn a_bounce_for_another_reason_or_against_the_policy_suppresses_nobody() -> Result<()> {
    for (status, policy) in
        [("5.2.2", json!({})), ("5.7.1", json!({})), ("5.1.1", json!({ "suppress_rejected": false }))]
    {
        let desk = told(1).await?;
        desk.choose_mail_policy(policy).await?;
        desk.bounce(&delivery_report(&desk.message_id().await?, CONTACT, "failed", status)).await?;
        assert_eq!(desk.state().await?.0, "failed", "{status}");
        assert_eq!(desk.suppressed().await?, Vec::<String>::new(), "{status}");
        desk.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn delays_deliveries_and_bounces_at_forwarding_addresses_are_noted_only() -> Result<()> {
    let desk = told(1).await?;
    let id = desk.message_id().await?;
    for (recipient, action, status) in [
        (CONTACT, "delayed", "4.4.1"),
        (CONTACT, "delivered", "2.0.0"),
        ("ana@elsewhere.example", "failed", NO_SUCH_MAILBOX),
    ] {
        for _ in 0..2 {
            desk.bounce(&delivery_report(&id, recipient, action, status)).await?;
        }
    }
    assert_eq!(desk.state().await?, ("sent".to_owned(), None));
    let expected = [
        noted("delayed", "delayed: 4.4.1 smtp; as the server says it"),
        noted("delivered", "delivered: 2.0.0 smtp; as the server says it"),
        noted("bounced", "bounced at an address that it was forwarded to: 5.1.1 smtp; as the server says it"),
    ];
    assert_eq!(desk.notes().await?, expected);
    assert_eq!(desk.suppressed().await?, Vec::<String>::new());
    desk.close().await
}

#[tokio::test]
async fn an_uncertain_mail_that_bounces_is_failed_and_one_that_is_yet_to_be_sent_is_not() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.sink.plan(Fault::DropAfterContent);
    desk.change(0, InvoiceStatus::Open, None).await?;
    let report = delivery_report(&desk.message_id().await?, CONTACT, "failed", "5.2.2");
    desk.execute("UPDATE notifications SET state = 'queued', reason = NULL").await?;
    desk.bounce(&report).await?;
    assert_eq!(desk.state().await?.0, "queued");
    desk.execute("UPDATE notifications SET state = 'uncertain'").await?;
    desk.bounce(&report).await?;
    assert_eq!(desk.state().await?.0, "failed");
    desk.close().await
}

#[tokio::test]
async fn a_report_that_does_not_know_the_resellers_own_message_id_changes_nothing() -> Result<()> {
    let desk = told(1).await?;
    let (other, id) = (Desk::with_drafts(0).await?, desk.message_id().await?);
    let guessed = NotificationId::new();
    let (notification, domain) = id.split_once('@').expect("a Message-ID");
    for wrong in [
        format!("<{guessed}@{domain}"),
        format!("{notification}@elsewhere.example>"),
        id.to_uppercase(),
        format!("<x{}", &id[1..]),
        "<1@2>".to_owned(),
        "<@>".to_owned(),
    ] {
        let said = desk.bounce(&delivery_report(&wrong, CONTACT, "failed", NO_SUCH_MAILBOX)).await?;
        assert!(said.contains("about no mail of this reseller"), "{wrong}: {said}");
    }
    let report = delivery_report(&id, CONTACT, "failed", NO_SUCH_MAILBOX);
    let of_another = RecordBounce { reseller_id: ResellerId::new(), ..desk.report(&report) };
    desk.office.done(&of_another).await?;
    assert!(desk.bounce("Subject: I am away\n\nUntil Monday.\n").await?.starts_with("not a delivery report"));
    assert_eq!(desk.state().await?, ("sent".to_owned(), None));
    assert_eq!((desk.notes().await?, desk.suppressed().await?), (vec![], vec![]));
    other.close().await?;
    desk.close().await
}

#[tokio::test]
async fn a_large_report_lies_in_the_object_store_and_what_is_not_there_is_a_permanent_failure() -> Result<()> {
    let desk = told(1).await?;
    let report = delivery_report(&desk.message_id().await?, CONTACT, "failed", "5.2.2");
    let put = async |content: Vec<u8>| -> Result<String> {
        let sha256 = hex::encode(Sha256::digest(&content));
        desk.office.context.objects.put(&bounce_location(&sha256)?, content.into()).await?;
        Ok(sha256)
    };
    let job = |message: Option<&str>, sha256: Option<String>| RecordBounce {
        reseller_id: desk.business.reseller_id,
        message: message.map(str::to_owned),
        sha256,
    };
    let too_large = put(vec![b'x'; MAX_REPORT_BYTES + 1]).await?;
    for (wrong, why) in [
        (job(None, None), "names no report"),
        (job(Some(&report), Some("0".repeat(64))), "names no report, or two"),
        (job(None, Some("0".repeat(64))), "holds no report"),
        (job(None, Some("../../charge-files/x".to_owned())), "is not a sha256"),
        (job(None, Some(too_large)), "cut it off"),
    ] {
        let said = desk.office.refused(&wrong).await?;
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(desk.state().await?.0, "sent");
    desk.office.done(&job(None, Some(put(report.into_bytes()).await?))).await?;
    assert_eq!(desk.state().await?.0, "failed");
    desk.close().await
}

#[tokio::test]
async fn the_command_hands_in_each_report_of_a_mailbox_once_and_says_what_it_skips() -> Result<()> {
    let site = Site::build(2).await?;
    let _worker = site.start_worker().await?;
    let run = site.business.bill_run(billrunner::jobs::InitialStatus::Open, Some(true));
    site.hand_in(&run, "once").await?;
    settled(site.pool()).await?;
    let sent: Vec<(String, String)> =
        sqlx::query_as("SELECT message_id, recipient FROM notifications WHERE state = 'sent' ORDER BY recipient")
            .fetch_all(site.pool())
            .await?;
    assert_eq!(sent.len(), 2);
    let [first, second] = [&sent[0], &sent[1]].map(|(id, to)| delivery_report(id, to, "failed", NO_SUCH_MAILBOX));
    let folder = tempfile::tempdir()?;
    let mailbox = folder.path().join("bounces.mbox");
    let separator = "From MAILER-DAEMON Thu Sep  3 10:00:00 2026\n";
    let absent = "Subject: I am away\n\nUntil Monday.\n\n";
    std::fs::write(&mailbox, format!("{separator}{first}\n{separator}{absent}"))?;
    // Too large for a job, and holding what is no text.
    let large = folder.path().join("large.eml");
    std::fs::write(&large, [second.as_bytes(), &vec![0xff; 100_000]].concat())?;

    let (reseller, files) =
        (site.business.reseller_id.to_string(), [&mailbox, &large].map(|path| path.display().to_string()));
    let arguments = ["mail", "bounces", "--reseller", &reseller, &files[0], &files[1], "--json"];
    let taken: Value = serde_json::from_str(&site.run(&arguments).await?.1)?;
    let outcomes: Vec<&str> =
        taken.as_array().expect("a list").iter().filter_map(|one| one["outcome"].as_str()).collect();
    assert!(outcomes[0].ends_with("is accepted") && outcomes[2].ends_with("is accepted"), "{outcomes:?}");
    assert!(outcomes[1].starts_with("skipped: it is no multipart/report"), "{outcomes:?}");
    settled(site.pool()).await?;
    let failed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM notifications WHERE state = 'failed'").fetch_one(site.pool()).await?;
    assert_eq!(failed, 2);
    let (_, again) = site.run(&arguments[..6]).await?;
    assert_eq!(again.matches("was accepted before").count(), 2, "{again}");
    let nobody = ResellerId::new().to_string();
    let (code, said) = site.run(&["mail", "bounces", "--reseller", &nobody, &files[0]]).await?;
    assert!(code == Some(3) && said.contains("apply its directory first"), "{said}");
    Ok(())
}
