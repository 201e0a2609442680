//! What became of the mails of the last day, counted for operators.
//!
//! Ids of notifications begin with the time they were made at, so only the young end of each reseller's is read, however
//! many there are.

use sqlx::PgConnection;

/// How many mails stand so.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MailOutcome {
    /// The state of their notifications.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// Counts the mails of the last 24 hours by what became of them.
///
/// # Errors
/// When the database fails.
pub async fn of_last_day(connection: &mut PgConnection) -> sqlx::Result<Vec<MailOutcome>> {
    sqlx::query_as!(
        MailOutcome,
        r#"WITH day AS (
             SELECT (lpad(to_hex((extract(epoch FROM now() - interval '1 day') * 1000)::bigint), 12, '0')
                     || '70008000000000000000')::uuid AS first_id
         )
         SELECT young.state AS "state!", count(*) AS "count!"
         FROM day, resellers, LATERAL (
             SELECT state FROM notifications WHERE reseller_id = resellers.id AND notifications.id >= day.first_id
         ) AS young
         GROUP BY young.state ORDER BY young.state LIMIT 100"#
    )
    .fetch_all(connection)
    .await
}
