//! Many mails by real worker processes to a server that does everything wrong, while workers are killed and Redis is
//! emptied: what arrived is what the promise says, for every recipient.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use billrunner::{
    jobs::InitialStatus,
    mail::sink::Fault,
    queue::Queue,
    store::{jobs, operator_actions::Operator, queue_controls},
};
use sqlx::PgPool;

use crate::support::{
    site::{Process, Site},
    worker::until,
};

/// What the server does to a recipient's mails in turn, and what must come of it: the state, and how many arrived.
type Case = (&'static [Fault], &'static str, usize);

const CASES: [Case; 7] = [
    (&[], "sent", 1),
    // A storm of 4xx.
    (&[Fault::RefuseRecipient; 6], "sent", 1),
    (&[Fault::RejectRecipient], "failed", 0),
    (&[Fault::DropBeforeContent, Fault::HangUpPolitely, Fault::RefuseContent, Fault::DropBeforeContent], "sent", 1),
    (&[Fault::DropAfterContent], "uncertain", 1),
    (&[Fault::DropDuringContent], "uncertain", 0),
    (&[Fault::HangUpPolitely; 3], "sent", 1),
];
/// Each case four times, and two conversations that never end.
const CUSTOMERS: usize = 30;
const HANGS_BEFORE: &str = "contact-28@example.com";
const HANGS_AFTER: &str = "contact-29@example.com";
/// As many mails as a worker sends at once.
const AT_ONCE: usize = 4;

struct Storm(Site);

impl Storm {
    async fn prepare() -> Result<Self> {
        let site = Site::build(CUSTOMERS).await?;
        for (customer, (faults, ..)) in (0..CUSTOMERS - 2).zip(CASES.iter().cycle()) {
            site.sink.plan_for(&format!("contact-{customer}@example.com"), faults.iter().copied());
        }
        Ok(Self(site))
    }

    fn pool(&self) -> &PgPool {
        self.0.pool()
    }

    /// Opens every invoice, and tells the customers.
    async fn tell(&self) -> Result<()> {
        self.0.hand_in(&self.0.business.bill_run(InitialStatus::Open, Some(true)), "once").await
    }

    /// Waits until nothing is left to do.
    async fn passed(&self) -> Result<()> {
        until("the end of all mails", || async {
            self.go_on().await?;
            let sql =
                "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM jobs WHERE finished_at IS NULL)";
            let (mails, jobs): (i64, i64) = sqlx::query_as(sql).fetch_one(self.pool()).await?;
            Ok((mails == i64::try_from(CUSTOMERS)? && jobs == 0).then_some(()))
        })
        .await
    }

    /// Lets mails go on as an operator does who sees that the server is back. How many meet trouble in a row, whereupon the
    /// server is left alone for up to minutes, is chance.
    async fn go_on(&self) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        let operator = Operator { name: "tester", reason: "the server is back" };
        if queue_controls::resume(&mut transaction, Queue::Mail.as_str(), operator).await? {
            jobs::notify_dispatchers(&mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Returns the state of each recipient's notification and how many mails arrived.
    async fn outcomes(&self) -> Result<BTreeMap<String, (String, usize)>> {
        let states: Vec<(String, String)> =
            sqlx::query_as("SELECT recipient, state FROM notifications").fetch_all(self.pool()).await?;
        let received = self.0.sink.received();
        let arrived = |recipient: &str| received.iter().filter(|mail| mail.to == [recipient]).count();
        Ok(states.into_iter().map(|(to, state)| (to.clone(), (state, arrived(&to)))).collect())
    }

    /// Returns whose conversation a worker's death cut off.
    async fn cut_off(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT recipient FROM notifications JOIN notification_history ON notification_id = notifications.id
                   WHERE what = 'uncertain' AND notification_history.reason LIKE 'an earlier attempt ended%' ORDER BY 1";
        Ok(sqlx::query_scalar(sql).fetch_all(self.pool()).await?)
    }
}

fn expected(recipient: &str) -> Result<(String, usize)> {
    let digits: String = recipient.chars().filter(char::is_ascii_digit).collect();
    let (_, state, arrived) = match recipient {
        HANGS_BEFORE | HANGS_AFTER => CASES[0],
        _ => CASES[digits.parse::<usize>()? % CASES.len()],
    };
    Ok((state.to_owned(), arrived))
}

#[tokio::test]
async fn what_arrives_is_what_was_promised_whatever_the_mail_server_does_and_redis_forgets() -> Result<()> {
    let storm = Storm::prepare().await?;
    let _worker = storm.0.start_worker().await?;
    storm.tell().await?;
    for count in [2, 9] {
        until("mails", || async {
            storm.go_on().await?;
            Ok((storm.0.sink.received().len() >= count).then_some(()))
        })
        .await?;
        storm.0.redis.flush_all().await?;
    }
    storm.passed().await?;
    for (recipient, outcome) in storm.outcomes().await? {
        assert_eq!(outcome, expected(&recipient)?, "{recipient}");
    }
    Ok(())
}

/// Kills the worker once it waits in the two conversations that never end, lets another go on, and empties Redis.
async fn kill_in_the_middle(storm: &Storm) -> Result<Process> {
    storm.0.sink.plan_for(HANGS_BEFORE, [Fault::HangBeforeContent]);
    storm.0.sink.plan_for(HANGS_AFTER, [Fault::HangAfterContent]);
    let doomed = storm.0.start_worker().await?;
    storm.tell().await?;
    until("both conversations to hang", || async {
        storm.go_on().await?;
        let sql = "SELECT count(*) FROM notifications WHERE recipient = $1 AND state = 'sending'";
        let hangs: i64 = sqlx::query_scalar(sql).bind(HANGS_BEFORE).fetch_one(storm.pool()).await?;
        let arrived = storm.0.sink.received().iter().any(|mail| mail.to == [HANGS_AFTER]);
        Ok((hangs == 1 && arrived).then_some(()))
    })
    .await?;
    doomed.kill().await?;
    // So that nobody waits half a minute until its heartbeat is missed: with Redis empty no lease tells.
    sqlx::query("UPDATE workers SET seen_at = now() - interval '1 hour'").execute(storm.pool()).await?;
    let other = storm.0.start_worker().await?;
    storm.0.redis.flush_all().await?;
    Ok(other)
}

#[tokio::test]
async fn a_mail_that_a_killed_worker_had_under_way_is_uncertain_and_all_others_are_as_promised() -> Result<()> {
    let storm = Storm::prepare().await?;
    let _other = kill_in_the_middle(&storm).await?;
    storm.passed().await?;
    let (outcomes, cut_off) = (storm.outcomes().await?, storm.cut_off().await?);
    assert!(cut_off.len() <= AT_ONCE, "{cut_off:?}");
    assert_eq!(outcomes[HANGS_BEFORE], ("uncertain".to_owned(), 0));
    assert_eq!(outcomes[HANGS_AFTER], ("uncertain".to_owned(), 1));
    for (recipient, outcome) in outcomes {
        if cut_off.contains(&recipient) {
            assert!(outcome.0 == "uncertain" && outcome.1 <= 1, "{recipient}: {outcome:?}");
        } else {
            assert_eq!(outcome, expected(&recipient)?, "{recipient}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn by_the_policy_that_resends_no_mail_is_lost_when_a_worker_is_killed_and_none_comes_a_third_time() -> Result<()>
{
    let storm = Storm::prepare().await?;
    let policy = r#"UPDATE resellers SET mail_policy = '{"resend_uncertain": true}'"#;
    sqlx::query(policy).execute(storm.pool()).await?;
    let _other = kill_in_the_middle(&storm).await?;
    storm.passed().await?;
    let outcomes = storm.outcomes().await?;
    assert_eq!(outcomes[HANGS_BEFORE], ("sent".to_owned(), 1));
    assert_eq!(outcomes[HANGS_AFTER], ("sent".to_owned(), 2));
    for (recipient, (state, arrived)) in outcomes {
        let is_kept = match state.as_str() {
            "sent" => (1..=2).contains(&arrived),
            "failed" => arrived == 0 && expected(&recipient)?.0 == "failed",
            // Cut off by the kill and then by the server.
            "uncertain" => arrived <= 2 && storm.cut_off().await?.contains(&recipient),
            _ => false,
        };
        ensure!(is_kept, "{recipient} is {state} and got {arrived}");
    }
    Ok(())
}
