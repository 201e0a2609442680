//! How the mail server fares, and whose turn it is among the mails to one domain: the same for all workers.
//!
//! Asked by `jobs::mail_gate` before and after each mail. Every statement touches one row and commits at once.

use sqlx::PgConnection;

use crate::domain::ids::{NotificationId, ResellerId};

/// How long a turn that was not taken is kept, for a job that waits for a free worker.
const TURN_KEPT_SECONDS: f64 = 60.0;

/// The mail server as it was last seen.
#[derive(Clone, Copy, Debug)]
pub struct MailServer {
    /// Mails in a row that met trouble with it.
    pub failures: i32,
    /// How often in a row it was left alone; 0 where it works.
    pub openings: i32,
}

/// Reads how the mail server fares.
///
/// # Errors
/// When the database fails.
pub async fn mail_server(connection: &mut PgConnection) -> sqlx::Result<MailServer> {
    sqlx::query_as!(MailServer, "SELECT failures, openings FROM mail_server").fetch_one(connection).await
}

/// Lets one mail try the server alone for so many seconds. Returns false where it is still left alone, or another mail
/// tries it. Whoever lets a queue that is paused go on lets it be tried at once.
///
/// # Errors
/// When the database fails.
pub async fn begin_trial(connection: &mut PgConnection, queue: &str, seconds: f64) -> sqlx::Result<bool> {
    // First of all, as whoever holds this row may wait for the controls, which the next statement reads.
    sqlx::query!("SELECT is_only FROM mail_server FOR UPDATE").fetch_one(&mut *connection).await?;
    let begun = sqlx::query!(
        "UPDATE mail_server SET shut_until = now() + make_interval(secs => $2)
         WHERE openings > 0 AND (shut_until <= now() OR NOT EXISTS (
             SELECT FROM queue_controls
             WHERE queue = $1 AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > now())))",
        queue,
        seconds,
    )
    .execute(connection)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Counts a mail that met trouble with the server, and returns what that makes.
///
/// # Errors
/// When the database fails.
pub async fn count_failure(connection: &mut PgConnection) -> sqlx::Result<MailServer> {
    sqlx::query_as!(MailServer, "UPDATE mail_server SET failures = failures + 1 RETURNING failures, openings")
        .fetch_one(connection)
        .await
}

/// Leaves the server alone for so many seconds. Returns false where somebody else has seen to that since.
///
/// # Errors
/// When the database fails.
pub async fn shut(connection: &mut PgConnection, seen: MailServer, seconds: f64) -> sqlx::Result<bool> {
    let shut = sqlx::query!(
        "UPDATE mail_server SET openings = openings + 1, failures = 0, shut_until = now() + make_interval(secs => $2)
         WHERE openings = $1",
        seen.openings,
        seconds,
    )
    .execute(connection)
    .await?;
    Ok(shut.rows_affected() == 1)
}

/// Records that the server works. Returns whether it had been left alone before.
///
/// # Errors
/// When the database fails.
pub async fn reopen(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"UPDATE mail_server SET failures = 0, openings = 0, shut_until = NULL
           FROM (SELECT openings FROM mail_server FOR UPDATE) AS before
           RETURNING before.openings > 0 AS "was_shut!""#
    )
    .fetch_one(connection)
    .await
}

/// Takes a turn among the mails to a domain, of which so many start a minute. Returns how long to wait for it, in
/// seconds; `None` is now. Asked again after the wait, it is the notification's turn. A turn is good for one mail: what is
/// tried again takes another.
///
/// # Errors
/// When the database fails.
pub async fn take_turn(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
    domain: &str,
    mails_a_minute: u32,
) -> sqlx::Result<Option<f64>> {
    let wait = sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM slot_at - now())::float8 AS "wait!" FROM notifications
           WHERE reseller_id = $1 AND id = $2 AND slot_at > now() - make_interval(secs => $3)
             AND (sending_at IS NULL OR sending_at < slot_at)"#,
        reseller_id.0,
        id.0,
        TURN_KEPT_SECONDS,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let wait = match wait {
        Some(wait) => wait,
        None => new_turn(connection, (reseller_id, id), domain, mails_a_minute).await?,
    };
    Ok(Some(wait).filter(|wait| *wait > 0.0))
}

async fn new_turn(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
    domain: &str,
    mails_a_minute: u32,
) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"WITH slot AS (
             INSERT INTO mail_domains (domain, next_slot_at) VALUES ($3, now() + make_interval(secs => 60 / $4::float8))
             ON CONFLICT (domain) DO UPDATE SET next_slot_at =
                 greatest(mail_domains.next_slot_at, now()) + make_interval(secs => 60 / $4::float8)
             RETURNING next_slot_at - make_interval(secs => 60 / $4::float8) AS starts_at
         )
         UPDATE notifications SET slot_at = starts_at FROM slot WHERE reseller_id = $1 AND id = $2
         RETURNING extract(epoch FROM starts_at - now())::float8 AS "wait!""#,
        reseller_id.0,
        id.0,
        domain,
        f64::from(mails_a_minute),
    )
    .fetch_one(connection)
    .await
}
