//! What mails say and to whom they go: corrections, documents asked for, a reseller's own words and copies, operators.

use std::sync::Arc;

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::{
        document::DocumentKind,
        ids::{JobId, OperatorMailId},
        invoice_status::InvoiceStatus,
    },
    jobs::{
        AnnounceDocument, ChangeInvoiceStatus, CorrectInvoice, InitialStatus, ReportDeadLetters, SendOperatorMail,
        StartBillRun,
    },
    mail::{
        Operators,
        sink::{Fault, ReceivedMail},
    },
    store::directory_export,
};
use mail_parser::{Message, MessageParser, MimeHeaders};
use serde_json::{Value, json};

use crate::support::{
    TestDatabase,
    business::{Business, directory_of},
    desk::Desk,
    worker::{Office, streams},
};

/// Returns the business's directory with these settings of its mails.
fn with_mail(desk: &Desk, mail: Value) -> Value {
    let mut directory = directory_of(desk.business.reseller_id, &desk.business.customers);
    directory["reseller"]["mail"] = mail;
    directory
}

async fn change(desk: &Desk, customer: usize, to: InvoiceStatus) -> Result<()> {
    desk.office.done(&ChangeInvoiceStatus { notify: None, ..desk.to(desk.id(customer).await?, to) }).await?;
    desk.office.settled().await
}

fn read(mail: &ReceivedMail) -> Result<Message<'_>> {
    MessageParser::default().parse(&mail.content).context("a readable mail")
}

fn subject(mail: &ReceivedMail) -> Result<String> {
    Ok(read(mail)?.subject().unwrap_or_default().to_owned())
}

async fn states(desk: &Desk) -> Result<Vec<(String, String, Option<String>)>> {
    let sql = "SELECT recipient, state, reason FROM notifications ORDER BY event_sequence, intent, recipient";
    Ok(sqlx::query_as(sql).fetch_all(&desk.office.pool).await?)
}

async fn correct(desk: &Desk, customer: usize, status: InitialStatus, notify: Option<bool>) -> Result<()> {
    let old = desk.live(customer).await?;
    let reason = "wrong cost centre".to_owned();
    let (reseller_id, invoice_id, version) = (old.reseller_id, old.id, old.version);
    desk.office.done(&CorrectInvoice { reseller_id, invoice_id, version, reason, status, notify }).await?;
    desk.office.settled().await
}

#[tokio::test]
async fn a_correction_is_told_in_one_mail_that_names_both_numbers() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    for customer in 0..3 {
        desk.office.done(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
    }
    desk.office.settled().await?;
    let old = desk.live(1).await?.number.context("a number")?;
    correct(&desk, 1, InitialStatus::Open, None).await?;
    let new = desk.live(1).await?.number.context("a number")?;
    let received = desk.office.sink.received();
    assert_eq!(received.len(), 1, "neither a mail of the void one nor two of the new one");
    assert_eq!(subject(&received[0])?, format!("Corrected: invoice {new} from Reseller replaces {old}"));
    let text = read(&received[0])?.body_text(0).context("a text")?.into_owned();
    assert!(text.contains(&format!("Replaces: {old}")) && text.contains("Reason: wrong cost centre"), "{text}");

    correct(&desk, 2, InitialStatus::Open, Some(false)).await?;
    assert_eq!(desk.office.sink.received().len(), 1, "nobody wanted it told");
    // A replacement that stays a draft: that the old one is void is told now, the rest when it is opened.
    correct(&desk, 0, InitialStatus::Draft, None).await?;
    assert!(subject(&desk.office.sink.received()[1])?.starts_with("Anulada: factura"));
    change(&desk, 0, InvoiceStatus::Open).await?;
    assert!(subject(&desk.office.sink.received()[2])?.starts_with("Corregida: la factura"));
    desk.close().await
}

#[tokio::test]
async fn a_credit_note_is_told_as_one() -> Result<()> {
    let desk = Desk::with_costs(&["-10"]).await?;
    desk.close_month().await?;
    change(&desk, 0, InvoiceStatus::Open).await?;
    let received = desk.office.sink.received();
    assert!(subject(&received[0])?.starts_with("Nota de crédito CN-"), "{}", subject(&received[0])?);
    let text = read(&received[0])?.body_text(0).context("a text")?.into_owned();
    assert!(text.contains("no tiene que pagar nada") && text.contains("13,61") && !text.contains("-13,61"), "{text}");
    desk.close().await
}

#[tokio::test]
async fn mails_follow_the_settings_at_the_time_of_sending() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    let settings = json!({
        "sender_name": "Nimbus Billing",
        "reply_to": "help@nimbus.example",
        "messages": {
            "opened": { "subject": { "es": "Su factura {{number}}" }, "intro": "{{customer_name}} <3 & {{total}}.\n\nGracias." },
            "closed": { "enabled": false },
        },
    });
    desk.apply(&with_mail(&desk, settings)).await?;
    change(&desk, 0, InvoiceStatus::Open).await?;
    change(&desk, 0, InvoiceStatus::Closed).await?;
    let received = desk.office.sink.received();
    let number = desk.live(0).await?.number.context("a number")?;
    assert_eq!(received.len(), 1);
    assert_eq!(subject(&received[0])?, format!("Su factura {number}"));
    let mail = read(&received[0])?;
    let from = mail.from().and_then(|from| from.first()).context("a sender")?;
    assert_eq!((from.name(), from.address()), (Some("Nimbus Billing"), Some("billing@reseller.example")));
    let reply_to = mail.reply_to().and_then(|to| to.first()).and_then(|to| to.address());
    assert_eq!(reply_to, Some("help@nimbus.example"));
    let (text, html) = (mail.body_text(0).context("a text")?, mail.body_html(0).context("html")?);
    assert!(text.contains("Customer 000 <3 & ") && text.contains("Gracias.") && text.contains("help@nimbus.example"));
    assert!(html.contains("Customer 000 &lt;3 &amp; ") && !html.contains("Se ha emitido"), "{html}");
    let closed = states(&desk).await?.pop().context("a notification")?;
    let why = "the reseller has switched the message closed off".to_owned();
    assert_eq!(closed, ("contact-0@example.com".to_owned(), "suppressed".to_owned(), Some(why)));

    desk.apply(&with_mail(&desk, Value::Null)).await?;
    change(&desk, 1, InvoiceStatus::Open).await?;
    let last = desk.office.sink.received().pop().context("a mail")?;
    assert!(subject(&last)?.starts_with("Invoice ") && read(&last)?.reply_to().is_none());
    desk.close().await
}

#[tokio::test]
async fn a_copy_goes_out_once_in_an_envelope_of_its_own_and_no_header_tells_of_it() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.apply(&with_mail(&desk, json!({ "bcc": ["archive@nimbus.example", "audit@nimbus.example"] }))).await?;
    // The mail itself is sent at the second attempt; copies are of what was sent.
    desk.office.sink.plan(Fault::RefuseSender);
    change(&desk, 0, InvoiceStatus::Open).await?;
    let received = desk.office.sink.received();
    let mut envelopes: Vec<_> = received.iter().map(|mail| mail.to.join(" ")).collect();
    envelopes.sort();
    assert_eq!(envelopes, ["archive@nimbus.example", "audit@nimbus.example", "contact-0@example.com"]);
    for mail in &received {
        let content = String::from_utf8_lossy(&mail.content).to_lowercase();
        assert!(!content.contains("bcc:") && !content.contains("@nimbus.example"), "{content}");
        let to = read(mail)?.to().and_then(|to| to.first()).and_then(|to| to.address()).map(str::to_owned);
        assert_eq!(to.as_deref(), Some("contact-0@example.com"));
        assert_eq!(read(mail)?.message_id(), read(&received[0])?.message_id());
    }
    assert!(states(&desk).await?.iter().all(|(_, state, _)| state == "sent"));
    desk.close().await
}

#[tokio::test]
async fn no_copy_is_made_of_what_was_not_sent() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.apply(&with_mail(&desk, json!({ "bcc": ["archive@nimbus.example"] }))).await?;
    desk.office.sink.plan(Fault::RejectRecipient);
    change(&desk, 0, InvoiceStatus::Open).await?;
    assert!(desk.office.sink.received().is_empty());
    assert_eq!(states(&desk).await?.len(), 1);
    desk.close().await
}

#[tokio::test]
async fn settings_are_exported_as_applied_and_bad_ones_change_nothing() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let good = json!({
        "bcc": ["archive@nimbus.example"],
        "messages": { "voided": { "enabled": true, "intro": { "de": "Storniert: {{reason}}" } } },
    });
    desk.apply(&with_mail(&desk, good.clone())).await?;
    assert!(!desk.live(0).await?.stale, "a draft looks the same whatever its mail says");
    for (bad, named) in [
        (json!({ "messages": { "opened": { "subject": "{{cost}}" } } }), "`{{cost}}`"),
        (json!({ "messages": { "opened": { "intro": "{{> logo}}" } } }), "`{{> logo}}`"),
        (json!({ "messages": { "opened": { "intro": "<img src=https://example.com/x>" } } }), "`<img src=https://exa`"),
        (json!({ "bcc": ["archive"] }), "`archive`"),
    ] {
        let refused = desk.apply(&with_mail(&desk, bad)).await.expect_err("refused").to_string();
        assert!(refused.contains(named), "{refused}");
    }
    let mut connection = desk.office.pool.acquire().await?;
    let exported =
        directory_export::export(&mut connection, desk.business.reseller_id).await?.context("a directory")?;
    assert_eq!(serde_json::to_value(exported.reseller.mail)?, good);
    drop(connection);
    desk.close().await
}

#[tokio::test]
async fn a_document_that_somebody_asked_for_is_sent_to_the_contacts_each_time() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let invoice_id = desk.id(0).await?;
    let announce = AnnounceDocument {
        reseller_id: desk.business.reseller_id,
        invoice_id,
        kind: DocumentKind::DetailedCsv,
        currency: None,
    };
    let refused = desk.office.refused(&announce).await?;
    assert!(refused.contains("is draft: customers see an invoice once it is open"), "{refused}");
    desk.office.done(&desk.to(invoice_id, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    assert!(desk.office.sink.received().is_empty());
    for time in 1..=2 {
        desk.office.done(&announce).await?;
        desk.office.settled().await?;
        let received = desk.office.sink.received();
        assert_eq!(received.len(), time);
        let last = received.last().context("a mail")?;
        assert!(subject(last)?.starts_with("Documentos de la factura"), "{}", subject(last)?);
        let mail = read(last)?;
        let names: Vec<_> = mail.attachments().filter_map(MimeHeaders::attachment_name).collect();
        assert!(names.len() == 1 && names[0].contains("detalle"), "{names:?}");
    }
    desk.close().await
}

/// A desk of whose bill runs and dead jobs two operators are told.
async fn with_operators(customers: usize) -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, customers).await?;
    let operators = Operators {
        from: "billrunner@ops.example".to_owned(),
        recipients: vec!["a@ops.example".to_owned(), "b@ops.example".to_owned()],
        language: "en".parse()?,
    };
    let office = Office::open_with(&database.pool, Clock::System, streams()?, |context| billrunner::context::Context {
        operators: Some(Arc::new(operators)),
        ..context
    })
    .await?;
    Ok(Desk { office, business, database })
}

fn subjects(desk: &Desk) -> Result<Vec<String>> {
    desk.office.sink.received().iter().map(subject).collect()
}

#[tokio::test]
async fn operators_are_told_once_how_each_round_of_a_bill_run_ended() -> Result<()> {
    let desk = with_operators(2).await?;
    desk.close_month().await?;
    assert_eq!(subjects(&desk)?, ["Bill run complete: Reseller, Amazon Web Services, August 2026"; 2]);
    let ids: Vec<OperatorMailId> =
        sqlx::query_scalar("SELECT id FROM operator_mails").fetch_all(&desk.office.pool).await?;
    for operator_mail_id in ids {
        let said = desk.office.done(&SendOperatorMail { operator_mail_id }).await?;
        assert_eq!(said, "the mail is sent already");
    }
    // The completion runs again, as after a dead generation was tried again: the round was told of.
    let sql = "SELECT payload FROM jobs WHERE kind = 'finish_bill_run'";
    let payload: Value = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    desk.execute("UPDATE jobs SET state = 'scheduled', finished_at = NULL WHERE kind = 'finish_bill_run'").await?;
    assert_eq!(payload["run_id"], "run");
    desk.office.settled().await?;
    assert_eq!(desk.office.sink.received().len(), 2);

    // Another round, after a price changed: drafts are stale.
    let mut directory = directory_of(desk.business.reseller_id, &desk.business.customers);
    directory["reseller"]["tax_id"] = json!("ES-1");
    desk.apply(&directory).await?;
    let again = StartBillRun { ..desk.business.bill_run(InitialStatus::Draft, None) };
    desk.office.done(&again).await?;
    desk.office.settled().await?;
    let told = subjects(&desk)?;
    assert_eq!(told[2..], ["Bill run needs attention: Reseller, Amazon Web Services, August 2026"; 2]);
    let last = desk.office.sink.received().pop().context("a mail")?;
    let text = read(&last)?.body_text(0).context("a text")?.into_owned();
    assert!(text.contains("Stale drafts: start the same run again with “replace”: 2"), "{text}");
    assert!(!text.contains("Customer 00") && !text.contains("EUR"), "neither customers nor amounts: {text}");
    desk.close().await
}

#[tokio::test]
async fn an_operators_mail_whose_attempt_died_in_the_conversation_is_not_sent_again() -> Result<()> {
    let desk = with_operators(1).await?;
    desk.office.sink.plan(Fault::DropAfterContent);
    desk.close_month().await?;
    desk.execute("UPDATE operator_mails SET state = 'sending' WHERE state = 'sent'").await?;
    let ids: Vec<OperatorMailId> =
        sqlx::query_scalar("SELECT id FROM operator_mails").fetch_all(&desk.office.pool).await?;
    for operator_mail_id in ids {
        desk.office.done(&SendOperatorMail { operator_mail_id }).await?;
    }
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM operator_mails").fetch_all(&desk.office.pool).await?;
    assert_eq!((states, desk.office.sink.received().len()), (vec!["uncertain".to_owned(); 2], 2));
    desk.close().await
}

#[tokio::test]
async fn dead_jobs_are_told_of_once_an_hour_without_anything_of_anybody() -> Result<()> {
    let desk = with_operators(0).await?;
    let report = ReportDeadLetters {};
    assert_eq!(desk.office.done(&report).await?, "nothing new to tell of dead jobs");
    let unknown = AnnounceDocument {
        reseller_id: desk.business.reseller_id,
        invoice_id: billrunner::domain::ids::InvoiceId::new(),
        kind: DocumentKind::Pdf,
        currency: None,
    };
    let id: JobId = desk.office.hand_in(&unknown).await?;
    desk.office.settled().await?;
    let sql =
        "UPDATE jobs SET state = 'dead', last_error = '`ana@acme.example` is no address of \"Ana\"' WHERE id = $1";
    sqlx::query(sql).bind(id).execute(&desk.office.pool).await?;
    assert_eq!(desk.office.done(&report).await?, "operators are told of 1 dead jobs");
    desk.office.settled().await?;
    // Another dies within the hour: it is in the next digest.
    sqlx::query("UPDATE jobs SET finished_at = clock_timestamp() WHERE id = $1")
        .bind(id)
        .execute(&desk.office.pool)
        .await?;
    desk.office.done(&report).await?;
    desk.office.settled().await?;
    let received = desk.office.sink.received();
    let sql = "SELECT count(DISTINCT date_trunc('hour', created_at)) FROM operator_mails";
    let hours: i64 = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    // Two where the clock struck in between.
    assert_eq!(i64::try_from(received.len())?, 2 * hours);
    assert_eq!(subject(&received[0])?, "1 job needs a decision");
    let text = read(&received[0])?.body_text(0).context("a text")?.into_owned();
    assert!(
        text.contains("announce_document: 1") && text.contains("- announce_document: … is no address of …"),
        "{text}"
    );
    assert!(!text.contains("Ana") && !text.contains("acme"), "{text}");
    desk.close().await
}
