//! What other processes say over LISTEN/NOTIFY: a job waits, somebody wants one to end, a schedule changed.

use std::sync::Arc;

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{backoff::Reconnect, dispatch::Wake, in_hand::InHand};
use crate::store::{jobs, schedules};

/// Listens until told to stop. What is said while nobody listens is found by the loops that look for themselves.
pub(super) async fn listen(
    pool: PgPool,
    wake: Wake,
    in_hand: InHand,
    schedule_changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut reconnect = Reconnect::new();
    while !stop.is_cancelled() {
        let listened = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen_all([jobs::NOTIFY_CHANNEL, jobs::CANCEL_CHANNEL, schedules::SCHEDULES_CHANNEL]).await?;
            wake.now();
            schedule_changed.notify_one();
            loop {
                // `None` says that the connection broke and what was sent meanwhile is lost: a reason to look, too.
                let said = listener.try_recv().await?;
                reconnect = Reconnect::new();
                match said {
                    Some(said) if said.channel() == jobs::CANCEL_CHANNEL => {
                        in_hand.cancel(said.payload().parse().ok().as_slice());
                    }
                    Some(said) if said.channel() == schedules::SCHEDULES_CHANNEL => schedule_changed.notify_one(),
                    _ => wake.now(),
                }
            }
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            ended = listened => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = listened
            && reconnect.is_first()
        {
            tracing::warn!(%error, "the notification channel broke");
        }
        reconnect.pause().await;
    }
}
