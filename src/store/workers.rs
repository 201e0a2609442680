//! Which worker processes live: one row each, whose `seen_at` moves every few seconds.

use sqlx::PgConnection;

use crate::domain::ids::WorkerId;

/// Says that a worker lives.
///
/// # Errors
/// When the database fails.
pub async fn record_heartbeat(connection: &mut PgConnection, worker: WorkerId, name: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workers (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = now()",
        worker.0,
        name,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets a worker that stopped in good order, and those not seen for a day.
///
/// # Errors
/// When the database fails.
pub async fn remove_worker(connection: &mut PgConnection, worker: WorkerId) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM workers WHERE id = $1 OR seen_at < now() - interval '1 day'", worker.0)
        .execute(connection)
        .await
        .map(drop)
}
