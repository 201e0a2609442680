//! How mails wait: for a mail server that is away, and for their turn at their recipient's domain.

use anyhow::{Context as _, Result};
use billrunner::{
    clock::Clock,
    context::Context,
    domain::{invoice_status::InvoiceStatus, mail_flow::MailFlow},
    jobs::ChangeInvoiceStatus,
    mail::{Mailer, sink::Sink},
    store::{mail_flow, operator_actions::Operator, queue_controls},
};
use mail_parser::MessageParser;

use crate::support::{
    TestDatabase,
    business::Business,
    desk::Desk,
    mail_door::{Authority, Encrypts, MailDoor, Manners},
    worker::{Office, quick_to_return, streams, until},
};

const CUSTOMERS: usize = 12;
/// What a worker sends at once, in tests.
const AT_ONCE: i64 = 4;

/// Opens a desk whose mails go to a port, with drafts for all customers.
async fn desk(port: u16, mail_flow: MailFlow) -> Result<Desk> {
    desk_with(Mailer::from_url(&format!("smtp://127.0.0.1:{port}"))?, mail_flow).await
}

/// Opens a desk whose mails go through a mailer.
async fn desk_with(mailer: Mailer, mail_flow: MailFlow) -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, CUSTOMERS).await?;
    let mailer = std::sync::Arc::new(mailer);
    let change = |context| Context { mailer, mail_flow, ..context };
    let office = Office::open_with(&database.pool, Clock::System, streams()?, change).await?;
    let desk = Desk { office, business, database };
    desk.close_month().await?;
    Ok(desk)
}

impl Desk {
    async fn tell_all(&self) -> Result<()> {
        for customer in 0..CUSTOMERS {
            let open = ChangeInvoiceStatus { notify: None, ..self.to(self.id(customer).await?, InvoiceStatus::Open) };
            self.office.done(&open).await?;
        }
        Ok(())
    }

    async fn one<T>(&self, sql: &'static str) -> Result<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.office.pool).await?)
    }

    async fn until_left_alone(&self, times: i32) -> Result<()> {
        until("the mail server is left alone", || async {
            Ok((self.one::<i32>("SELECT openings FROM mail_server").await? >= times).then_some(()))
        })
        .await
    }

    /// Returns what each attempt says that counts against its mail.
    async fn spent_attempts(&self) -> Result<Vec<(String, Option<String>)>> {
        let sql = "SELECT outcome, message FROM job_attempts JOIN jobs ON jobs.id = job_id
                   WHERE kind = 'send_notification' AND outcome NOT IN ('done', 'snoozed')";
        Ok(sqlx::query_as(sql).fetch_all(&self.office.pool).await?)
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_left_alone_and_gets_every_mail_once_when_it_is_back() -> Result<()> {
    let sink = Sink::start(None).await?;
    let port = MailDoor::open(&sink.url(), Manners::default()).await?.close().await;
    let desk = desk(port, quick_to_return()).await?;
    desk.tell_all().await?;
    desk.until_left_alone(1).await?;
    let (by, why): (String, String) = sqlx::query_as(
        "SELECT done_by, reason FROM operator_actions WHERE queue = 'mail' AND action = 'pause' ORDER BY id LIMIT 1",
    )
    .fetch_one(&desk.office.pool)
    .await?;
    assert_eq!(by, "circuit breaker");
    assert!(why.starts_with("mails meet trouble") && why.ends_with("at connecting") && !why.contains('@'), "{why}");
    desk.until_left_alone(3).await?;
    let spent = desk.spent_attempts().await?;
    assert!((1..quick_to_return().failures_in_a_row).contains(&i32::try_from(spent.len())?), "{spent:?}");
    desk.until_left_alone(5).await?;
    assert_eq!(desk.spent_attempts().await?, spent, "no attempt is spent while the server is left alone");
    let _door = MailDoor::open_at(port, &sink.url(), Manners::default()).await?;
    desk.office.settled().await?;
    let received = sink.received();
    let ids: std::collections::BTreeSet<String> = received
        .iter()
        .map(|mail| MessageParser::default().parse(&mail.content)?.message_id().map(str::to_owned))
        .collect::<Option<_>>()
        .context("Message-IDs")?;
    assert_eq!((received.len(), ids.len()), (CUSTOMERS, CUSTOMERS), "each mail once");
    assert_eq!(desk.one::<i64>("SELECT count(*) FROM notifications WHERE state = 'sent'").await?, 12);
    let sql = "SELECT count(*) FROM queue_controls WHERE paused_at IS NOT NULL";
    assert_eq!(desk.one::<i64>(sql).await?, 0, "nothing is paused any more");
    assert_eq!(desk.one::<i32>("SELECT failures + openings FROM mail_server").await?, 0);
    desk.close().await
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_no_mail_and_the_right_one_gets_each_once() -> Result<()> {
    let (folder, sink) = (tempfile::tempdir()?, Sink::start(None).await?);
    let (right, wrong) = (Authority::new(folder.path(), "right")?, Authority::new(folder.path(), "wrong")?);
    let encrypting = |authority: &Authority| {
        let certificate = Some(authority.vouch("localhost", 2099)?);
        anyhow::Ok(Manners { encrypts: Encrypts::WhenAsked(""), certificate, ..Manners::default() })
    };
    let door = MailDoor::open(&sink.url(), encrypting(&wrong)?).await?;
    let url = format!("smtp://localhost:{}?tls=required&ca={}", door.port(), right.file.display());
    let desk = desk_with(Mailer::from_url(&url)?, quick_to_return()).await?;
    desk.tell_all().await?;
    desk.until_left_alone(2).await?;
    assert!(sink.received().is_empty(), "nothing goes to somebody else");
    let port = door.close().await;
    let _door = MailDoor::open_at(port, &sink.url(), encrypting(&right)?).await?;
    desk.office.settled().await?;
    let recipients: std::collections::BTreeSet<String> = sink.received().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!((sink.received().len(), recipients.len()), (CUSTOMERS, CUSTOMERS), "each mail once");
    assert_eq!(desk.one::<i64>("SELECT count(*) FROM notifications WHERE state = 'sent'").await?, 12);
    desk.close().await
}

#[tokio::test]
async fn after_each_pause_one_mail_alone_tries_a_server_that_turns_everybody_away() -> Result<()> {
    let sink = Sink::start(None).await?;
    let busy = Manners { is_busy: true, ..Manners::default() };
    let door = MailDoor::open(&sink.url(), busy).await?;
    let desk = desk(door.port(), quick_to_return()).await?;
    desk.tell_all().await?;
    desk.until_left_alone(6).await?;
    let pauses: i64 = desk.one("SELECT openings::bigint FROM mail_server").await?;
    let callers = i64::try_from(door.heard().callers)?;
    let before_the_first = i64::from(quick_to_return().failures_in_a_row) + AT_ONCE - 1;
    assert!(callers <= before_the_first + pauses, "{callers} connections, {pauses} pauses");
    let port = door.close().await;
    let _door = MailDoor::open_at(port, &sink.url(), Manners::default()).await?;
    desk.office.settled().await?;
    assert_eq!(sink.received().len(), CUSTOMERS);
    desk.close().await
}

#[tokio::test]
async fn of_all_mails_that_come_once_a_pause_has_ended_one_tries_the_server() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut connection = database.pool.acquire().await?;
    let server = mail_flow::mail_server(&mut connection).await?;
    assert!(mail_flow::shut(&mut connection, server, 0.0).await?, "a pause that has ended already");
    drop(connection);
    let breaker = Operator { name: "circuit breaker", reason: "one mail tries" };
    let tries = (0..AT_ONCE).map(|_| async {
        let mut transaction = database.pool.begin().await?;
        let has_begun = mail_flow::begin_trial(&mut transaction, "mail", 60.0).await?;
        if has_begun {
            queue_controls::pause_unless_paused(&mut transaction, "mail", breaker, 60.0).await?;
        }
        transaction.commit().await?;
        anyhow::Ok(has_begun)
    });
    let begun = futures::future::try_join_all(tries).await?;
    assert_eq!(begun.into_iter().filter(|has_begun| *has_begun).count(), 1);
    Ok(())
}

#[tokio::test]
async fn trouble_with_single_recipients_leaves_the_server_in_use() -> Result<()> {
    let sink = Sink::start(None).await?;
    let door = MailDoor::open(&sink.url(), Manners::default()).await?;
    let desk = desk(door.port(), MailFlow { failures_in_a_row: 1, ..quick_to_return() }).await?;
    for _ in 0..CUSTOMERS {
        sink.plan(billrunner::mail::sink::Fault::RejectRecipient);
    }
    desk.tell_all().await?;
    desk.office.settled().await?;
    assert_eq!(desk.one::<i64>("SELECT count(*) FROM notifications WHERE state = 'failed'").await?, 12);
    assert_eq!(desk.one::<i64>("SELECT count(*) FROM operator_actions").await?, 0);
    desk.close().await
}

#[tokio::test]
async fn a_persons_pause_is_neither_changed_nor_lifted_by_the_circuit_breaker() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut connection = database.pool.begin().await?;
    let ana = Operator { name: "ana", reason: "maintenance" };
    let breaker = Operator { name: "circuit breaker", reason: "trouble" };
    queue_controls::pause(&mut connection, "mail", ana, None).await?;
    assert!(!queue_controls::pause_unless_paused(&mut connection, "mail", breaker, 60.0).await?);
    assert!(!queue_controls::resume_own(&mut connection, "mail", breaker).await?);
    let control = queue_controls::list(&mut connection).await?.pop().context("a pause")?;
    assert_eq!((control.paused_by.as_deref(), control.paused_until), (Some("ana"), None));
    assert!(queue_controls::resume(&mut connection, "mail", ana).await?);
    assert!(queue_controls::pause_unless_paused(&mut connection, "mail", breaker, 60.0).await?);
    queue_controls::pause(&mut connection, "mail", ana, None).await?;
    assert!(!queue_controls::resume_own(&mut connection, "mail", breaker).await?, "hers is the later one");
    Ok(())
}

#[tokio::test]
async fn mails_to_one_domain_take_turns_over_all_workers() -> Result<()> {
    let sink = Sink::start(None).await?;
    let door = MailDoor::open(&sink.url(), Manners::default()).await?;
    let flow = MailFlow { domain_mails_a_minute: Some(600), ..quick_to_return() };
    let desk = desk(door.port(), flow).await?;
    let second = desk.office.hire();
    desk.tell_all().await?;
    desk.office.settled().await?;
    assert_eq!(sink.received().len(), CUSTOMERS);
    let sql = "SELECT count(*) FROM notifications WHERE slot_at IS NULL OR sending_at < slot_at";
    assert_eq!(desk.one::<i64>(sql).await?, 0, "none goes before its turn");
    let sql = "SELECT min(apart) >= 0.1 FROM (
                   SELECT extract(epoch FROM slot_at - lag(slot_at) OVER (ORDER BY slot_at)) AS apart FROM notifications
               ) AS turns";
    assert!(desk.one::<bool>(sql).await?, "turns are a tenth of a second apart");
    assert_eq!(desk.spent_attempts().await?, [], "waiting costs no attempt");
    second.stop().await?;
    desk.close().await
}
