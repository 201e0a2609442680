//! Whether a mail may go now: whose turn it is at its recipient's domain, and whether the mail server is left alone.
//!
//! Passed by `send_notification` and `send_operator_mail` before each mail, and told of each mail's outcome. What does not pass is snoozed, which
//! costs no attempt. After several mails in a row that met trouble with the server, the queue of mails is paused, as an
//! operator would do it, for a time that doubles. The first mail after that is tried alone; once the server has answered
//! it, all go. A person's pause is neither shortened nor lifted.

use std::time::Duration;

use sqlx::{Acquire, PgConnection};

use crate::{
    context::Context,
    domain::ids::{NotificationId, ResellerId},
    mail::SendError,
    queue::{Job, JobError, Queue},
    store::{mail_flow, operator_actions::Operator, queue_controls},
};

use super::send_notification::SendNotification;

/// Who pauses, in the list of queues.
const BREAKER: &str = "circuit breaker";
/// Wait of a mail that did not pass. The queue's pause holds it up for as long as is needed, and ends when a trial went well.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A mail that may go.
pub(super) struct Passage {
    /// Whether the server was in trouble before.
    is_troubled: bool,
    /// Whether it goes alone, to see whether the server is back.
    is_trial: bool,
}

/// Lets a mail to a domain go, or says when to ask again.
pub(super) async fn pass(
    context: &Context,
    connection: &mut PgConnection,
    notification: (ResellerId, NotificationId),
    domain: &str,
) -> Result<Passage, JobError> {
    if let Some(a_minute) = context.mail_flow.domain_mails_a_minute
        && let Some(wait) = mail_flow::take_turn(connection, notification, domain, a_minute).await?
    {
        let reason = format!("{a_minute} mails a minute go to its domain");
        return Err(JobError::Snooze { after: Duration::from_secs_f64(wait), reason });
    }
    pass_breaker(connection).await
}

/// Lets a mail go that takes no turns, or says when to ask again.
pub(super) async fn pass_breaker(connection: &mut PgConnection) -> Result<Passage, JobError> {
    let server = mail_flow::mail_server(connection).await?;
    let is_trial = server.openings > 0;
    if is_trial && !begin_trial(connection).await? {
        let reason = "the mail server is left alone, or another mail tries it".to_owned();
        return Err(JobError::Snooze { after: ASK_AGAIN_AFTER, reason });
    }
    Ok(Passage { is_troubled: is_trial || server.failures > 0, is_trial })
}

/// Says when a mail that met trouble is tried again: SMTP has no field in which a server could name the time.
pub(super) fn later(error: SendError, left_alone: Option<Duration>) -> JobError {
    let transient = JobError::transient(error);
    match left_alone {
        Some(after) => JobError::Snooze { after, reason: transient.full_message() },
        None => transient,
    }
}

/// Holds all other mails back while one is tried; false where that is not its part.
async fn begin_trial(connection: &mut PgConnection) -> Result<bool, JobError> {
    let mut transaction = connection.begin().await?;
    let (queue, most) = (Queue::Mail.as_str(), SendNotification::TIMEOUT.as_secs_f64());
    let has_begun = mail_flow::begin_trial(&mut transaction, queue, most).await?;
    if has_begun {
        let operator = Operator { name: BREAKER, reason: "one mail tries whether the mail server is back" };
        queue_controls::pause_unless_paused(&mut transaction, queue, operator, most).await?;
    }
    transaction.commit().await?;
    Ok(has_begun)
}

impl Passage {
    /// Takes note of what became of the mail. Returns when to ask again, where the server is left alone.
    ///
    /// What cannot be recorded is only logged: the mail's own outcome matters more, and the next mail meets the same server.
    pub(super) async fn note(&self, context: &Context, outcome: &Result<(), SendError>) -> Option<Duration> {
        let noted = match outcome {
            Err(error) if error.is_servers() => self.note_trouble(context, error).await,
            Ok(()) | Err(_) if self.is_troubled => reopen(context).await.map(|()| None),
            Ok(()) | Err(_) => Ok(None),
        };
        noted.unwrap_or_else(|error| {
            tracing::warn!(%error, "how the mail server fares is not recorded");
            None
        })
    }

    async fn note_trouble(&self, context: &Context, error: &SendError) -> sqlx::Result<Option<Duration>> {
        let mut transaction = context.pool.begin().await?;
        let server = mail_flow::count_failure(&mut transaction).await?;
        let is_outage = server.openings == 0 && server.failures >= context.mail_flow.failures_in_a_row;
        let mut left_alone = (server.openings > 0).then_some(ASK_AGAIN_AFTER);
        if self.is_trial || is_outage {
            let pause = context.mail_flow.pause(server.openings, rand::random());
            if mail_flow::shut(&mut transaction, server, pause.as_secs_f64()).await? {
                let reason = format!("mails meet trouble with the mail server; last: {error}");
                let operator = Operator { name: BREAKER, reason: &reason };
                let (queue, seconds) = (Queue::Mail.as_str(), pause.as_secs_f64());
                queue_controls::pause_unless_paused(&mut transaction, queue, operator, seconds).await?;
                tracing::warn!(%error, seconds, "the mail server is left alone");
                left_alone = Some(ASK_AGAIN_AFTER);
            }
        }
        transaction.commit().await?;
        Ok(left_alone)
    }
}

async fn reopen(context: &Context) -> sqlx::Result<()> {
    let mut transaction = context.pool.begin().await?;
    if mail_flow::reopen(&mut transaction).await? {
        let operator = Operator { name: BREAKER, reason: "the mail server answers again" };
        queue_controls::resume_own(&mut transaction, Queue::Mail.as_str(), operator).await?;
        tracing::info!("the mail server answers again");
    }
    transaction.commit().await
}
