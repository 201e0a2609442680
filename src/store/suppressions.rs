//! The suppression list: addresses that are never written to, and who put them there or took them off.
//!
//! Called by the commands on suppressions, by `send_notification` and `record_bounce`. Each change is recorded in its own
//! statement, and the record is never edited. Addresses are compared without regard to case, as most servers do.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::operator_actions::Operator;
use crate::domain::ids::ResellerId;

/// An address that is never written to.
#[derive(Clone, Debug, Serialize)]
pub struct Suppression {
    /// Which, in lower case.
    pub email: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Who put it there last; `None` is the directory.
    pub added_by: Option<String>,
}

/// Lists a reseller's addresses that are never written to, by address.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    limit: i64,
) -> sqlx::Result<Vec<Suppression>> {
    sqlx::query_as!(
        Suppression,
        r#"SELECT email, reason, created_at,
                  (SELECT done_by FROM suppression_actions action
                   WHERE action.reseller_id = listed.reseller_id AND action.email = listed.email AND action.action = 'add'
                     AND action.done_at >= listed.created_at
                   ORDER BY action.id DESC LIMIT 1) AS added_by
           FROM suppressed_addresses listed WHERE reseller_id = $1 ORDER BY email LIMIT $2"#,
        reseller_id.0,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Puts an address on the list. `false` where it stands there: the reason it was put there for is kept.
///
/// # Errors
/// When the database fails.
pub async fn add(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    email: &str,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let added = sqlx::query!(
        "WITH added AS (
             INSERT INTO suppressed_addresses (reseller_id, email, reason) VALUES ($1, lower($2), $4)
             ON CONFLICT (reseller_id, email) DO NOTHING RETURNING reseller_id, email
         )
         INSERT INTO suppression_actions (reseller_id, email, action, done_by, reason)
         SELECT reseller_id, email, 'add', $3, $4 FROM added",
        reseller_id.0,
        email,
        operator.name,
        operator.reason,
    )
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Takes an address off the list. `false` where it does not stand there.
///
/// # Errors
/// When the database fails.
pub async fn remove(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    email: &str,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let removed = sqlx::query!(
        "WITH removed AS (
             DELETE FROM suppressed_addresses WHERE reseller_id = $1 AND email = lower($2) RETURNING reseller_id, email
         )
         INSERT INTO suppression_actions (reseller_id, email, action, done_by, reason)
         SELECT reseller_id, email, 'remove', $3, $4 FROM removed",
        reseller_id.0,
        email,
        operator.name,
        operator.reason,
    )
    .execute(connection)
    .await?;
    Ok(removed.rows_affected() == 1)
}

/// Something that was done to the list.
#[derive(Clone, Debug, Serialize)]
pub struct SuppressionAction {
    /// When.
    pub done_at: DateTime<Utc>,
    /// A person, or the kind of job that saw the address refused.
    pub done_by: String,
    /// `add` or `remove`.
    pub action: String,
    /// Which address.
    pub email: String,
    /// Why.
    pub reason: String,
}

/// Lists what was done to a reseller's list, newest first.
///
/// # Errors
/// When the database fails.
pub async fn actions(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    limit: i64,
) -> sqlx::Result<Vec<SuppressionAction>> {
    sqlx::query_as!(
        SuppressionAction,
        "SELECT done_at, done_by, action, email, reason FROM suppression_actions
         WHERE reseller_id = $1 ORDER BY id DESC LIMIT $2",
        reseller_id.0,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Tells whether a reseller exists, so that no list of nobody's is shown as empty.
///
/// # Errors
/// When the database fails.
pub async fn is_reseller(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM resellers WHERE id = $1) AS "is!""#, reseller_id.0)
        .fetch_one(connection)
        .await
}
