//! Ends a batch before its time, for operators.

use std::time::Duration;

use sqlx::{Acquire, PgConnection};

use crate::{
    domain::ids::JobId,
    store::{jobs, operator_actions::Operator},
};

/// Jobs cancelled in one transaction.
const CANCELLED_AT_ONCE: i64 = 500;
/// How long to wait for jobs that somebody else is changing at this moment.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Cancels what has not ended of a batch, job by job in short transactions, so that a batch of any size holds up nobody.
/// Returns how many jobs that were.
///
/// # Errors
/// When the database fails; what is cancelled stays so.
pub async fn cancel_batch(connection: &mut PgConnection, id: JobId, operator: Operator<'_>) -> sqlx::Result<usize> {
    let mut cancelled = 0;
    loop {
        let some = jobs::cancellable_of_batch(&mut *connection, id, CANCELLED_AT_ONCE).await?;
        if some.is_empty() {
            return Ok(cancelled);
        }
        let mut transaction = connection.begin().await?;
        let before = cancelled;
        for job in some {
            cancelled += usize::from(jobs::cancel(&mut transaction, job, operator).await?.is_some());
        }
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        if cancelled == before {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
