//! What became of the mails of the last hours, counted for operators.
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

/// Counts the mails of the last hours by what became of them.
///
/// # Errors
/// When the database fails.
pub async fn of_last_hours(connection: &mut PgConnection, hours: i32) -> sqlx::Result<Vec<MailOutcome>> {
    sqlx::query_as!(
        MailOutcome,
        r#"WITH past AS (
             SELECT (lpad(to_hex((extract(epoch FROM now() - make_interval(hours => $1)) * 1000)::bigint), 12, '0')
                     || '70008000000000000000')::uuid AS first_id
         )
         SELECT young.state AS "state!", count(*) AS "count!"
         FROM past, resellers, LATERAL (
             SELECT state FROM notifications WHERE reseller_id = resellers.id AND notifications.id >= past.first_id
         ) AS young
         GROUP BY young.state ORDER BY young.state LIMIT 100"#,
        hours,
    )
    .fetch_all(connection)
    .await
}
