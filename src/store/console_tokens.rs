//! Tokens with which scripts use the console: each has a name, a role and an end.
//!
//! Only the SHA-256 of a token is here, and nothing returns it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    Corrupt,
    operator_actions::{Operator, record_on_access},
};
use crate::domain::console_access::{AccessName, Role};

/// A token as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Token {
    /// Its name, which stands in the history of what operators did.
    pub name: String,
    /// What it may be used for.
    pub role: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Returns all tokens, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<Token>> {
    sqlx::query_as!(
        Token,
        "SELECT name, role, created_at, expires_at, revoked_at, last_used_at FROM console_tokens
         ORDER BY name LIMIT 10000"
    )
    .fetch_all(connection)
    .await
}

/// Adds a token. Returns false when there is one of this name, or a user is called so.
///
/// # Errors
/// When the database fails.
pub async fn add(
    connection: &mut PgConnection,
    name: &AccessName,
    role: Role,
    (secret_hash, expires_at): (&[u8], DateTime<Utc>),
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let added = sqlx::query!(
        "INSERT INTO console_tokens (name, role, secret_hash, expires_at)
         SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM users WHERE name = $1)
         ON CONFLICT (name) DO NOTHING",
        name.as_str(),
        role.as_str(),
        secret_hash,
        expires_at,
    )
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    let detail = format!("role {role} until {}", expires_at.to_rfc3339());
    record_on_access(connection, operator, "add_token", name, &detail).await?;
    Ok(true)
}

/// Revokes a token. Returns false when none of this name is good.
///
/// # Errors
/// When the database fails.
pub async fn revoke(connection: &mut PgConnection, name: &AccessName, operator: Operator<'_>) -> sqlx::Result<bool> {
    let revoked = sqlx::query!(
        "UPDATE console_tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL",
        name.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if revoked.rows_affected() == 0 {
        return Ok(false);
    }
    record_on_access(connection, operator, "revoke_token", name, "revoked").await?;
    Ok(true)
}

/// Returns name and role of a token that is neither revoked nor expired. Its use is recorded, at most once a minute.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, secret_hash: &[u8]) -> sqlx::Result<Option<(String, Role)>> {
    let found = sqlx::query!(
        "SELECT name, role FROM console_tokens
         WHERE secret_hash = $1 AND revoked_at IS NULL AND expires_at > now()",
        secret_hash,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    sqlx::query!(
        "UPDATE console_tokens SET last_used_at = date_trunc('minute', now())
         WHERE name = $1 AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', now()))",
        found.name,
    )
    .execute(connection)
    .await?;
    Ok(Some((found.name, found.role.parse::<Role>().corrupt("role")?)))
}
