//! Mails to operators: which occasion was told to whom, and what became of it.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::domain::{ids::OperatorMailId, operator_mail::Facts};

/// Records that an occasion is to be told to each recipient. Returns the new mails: an occasion is told once.
///
/// # Errors
/// When the database fails.
pub async fn record(
    connection: &mut PgConnection,
    occasion: &str,
    facts: &Facts,
    recipients: &[String],
) -> sqlx::Result<Vec<OperatorMailId>> {
    let ids: Vec<_> = recipients.iter().map(|_| OperatorMailId::new().0).collect();
    sqlx::query_scalar!(
        r#"INSERT INTO operator_mails (id, occasion, recipient, facts)
           SELECT new.id, $2, new.recipient, $4 FROM unnest($1::uuid[], $3::text[]) AS new (id, recipient)
           ON CONFLICT (occasion, recipient) DO NOTHING
           RETURNING id AS "id: OperatorMailId""#,
        &ids,
        occasion,
        recipients,
        Json(facts) as _,
    )
    .fetch_all(connection)
    .await
}

/// A mail as it is found.
#[derive(Clone, Debug)]
pub struct StoredOperatorMail {
    /// Address.
    pub recipient: String,
    /// What is told.
    pub facts: Facts,
    /// Where it stands.
    pub state: String,
}

/// Reads a mail; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: OperatorMailId) -> sqlx::Result<Option<StoredOperatorMail>> {
    let row = sqlx::query!(
        r#"SELECT recipient, facts AS "facts: Json<Facts>", state FROM operator_mails WHERE id = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| StoredOperatorMail { recipient: row.recipient, facts: row.facts.0, state: row.state }))
}

/// Moves a mail from one state to another. Returns false when it was not in the first.
///
/// # Errors
/// When the database fails.
pub async fn change_state(
    connection: &mut PgConnection,
    id: OperatorMailId,
    (from, to): (&str, &str),
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE operator_mails
         SET state = $3, reason = $4, sending_at = CASE WHEN $3 = 'sending' THEN now() ELSE sending_at END,
             finished_at = CASE WHEN $3 IN ('sent', 'failed', 'uncertain') THEN now() END
         WHERE id = $1 AND state = $2",
        id.0,
        from,
        to,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Returns when dead letters were last told of.
///
/// # Errors
/// When the database fails.
pub async fn dead_letters_told_at(connection: &mut PgConnection) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("SELECT max(created_at) FROM operator_mails WHERE starts_with(occasion, 'dead_letters/')")
        .fetch_one(connection)
        .await
}
