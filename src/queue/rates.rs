//! Counts how many jobs ended in each minute, for the console's charts.
//!
//! Every worker runs this loop; the lock of one row lets one of them count (`store::job_rates`). A minute is counted when
//! it has been over for a minute: a job's end is written a moment before its transaction commits, and one that takes
//! longer for that is missing from the charts alone. Nothing of this is on the way of a job.

use std::time::Duration;

use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use super::backoff::Reconnect;
use crate::store::job_rates::{self, Counted};

/// How often somebody looks whether another minute can be counted.
const EVERY: Duration = Duration::from_secs(20);
/// How long a minute is over before it is counted.
const MARGIN_SECS: f64 = 60.0;

/// Counts until told to stop, outliving the database's absences.
pub(super) async fn run(pool: PgPool, stop: CancellationToken) {
    let mut reconnect = Reconnect::new();
    while !stop.is_cancelled() {
        match count(&pool, &stop).await {
            Ok(()) => {
                reconnect = Reconnect::new();
                stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
            }
            Err(error) => {
                if reconnect.is_first() {
                    tracing::warn!(%error, "the counting of jobs waits");
                }
                stop.run_until_cancelled(reconnect.pause()).await;
            }
        }
    }
}

/// Counts all minutes that are over, in small transactions.
async fn count(pool: &PgPool, stop: &CancellationToken) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    let until = job_rates::countable_until(&mut connection, MARGIN_SECS).await?;
    while !stop.is_cancelled() {
        let mut transaction = connection.begin().await?;
        let counted = job_rates::count_some(&mut transaction, until).await?;
        transaction.commit().await?;
        if counted != Counted::Some {
            break;
        }
    }
    Ok(())
}
