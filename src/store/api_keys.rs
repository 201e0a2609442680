//! The keys of clients: created, found, revoked. Two are active at most, which the database itself holds.
//!
//! Only the SHA-256 of a secret is here, and nothing returns it but [`find`], for the comparison.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::api_clients::ApiClient;
use crate::domain::ids::ApiKeyId;

/// A key as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ApiKeyRow {
    /// The key, as it stands in its text.
    pub id: ApiKeyId,
    /// Whose.
    pub client: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when; `None` is for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key that is neither revoked nor expired, with whom it stands for.
#[derive(Clone, Debug)]
pub struct ActiveKey {
    /// SHA-256 of its secret.
    pub secret_hash: Vec<u8>,
    /// For how long it is active still; `None` is for ever.
    pub seconds_left: Option<f64>,
    /// Whose.
    pub client: ApiClient,
}

/// What creating a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedKey {
    /// It is there.
    Created,
    /// The client has two active keys.
    BothSlotsTaken,
    /// There is no such client.
    NoSuchClient,
}

/// Creates a key in a free slot. A key that has expired is revoked and frees its own. The caller's transaction makes
/// both one.
///
/// # Errors
/// When the database fails.
pub async fn create(
    connection: &mut PgConnection,
    client: &str,
    id: ApiKeyId,
    secret_hash: &[u8],
    expires_at: Option<DateTime<Utc>>,
) -> sqlx::Result<CreatedKey> {
    // Held until the end, so that two at once do not see the same slot free.
    let client = sqlx::query_scalar!("SELECT name FROM api_clients WHERE name = $1 FOR UPDATE", client)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(client) = client else { return Ok(CreatedKey::NoSuchClient) };
    sqlx::query!(
        "UPDATE api_keys SET revoked_at = now() WHERE client = $1 AND revoked_at IS NULL AND expires_at <= now()",
        client,
    )
    .execute(&mut *connection)
    .await?;
    let created = sqlx::query!(
        "INSERT INTO api_keys (id, client, slot, secret_hash, expires_at)
         SELECT $1, $2, free.slot, $3, $4 FROM unnest(ARRAY[1, 2]::smallint[]) AS free (slot)
         WHERE NOT EXISTS (SELECT FROM api_keys
                           WHERE client = $2 AND api_keys.slot = free.slot AND revoked_at IS NULL)
         ORDER BY free.slot LIMIT 1",
        id.0,
        client,
        secret_hash,
        expires_at,
    )
    .execute(connection)
    .await?;
    Ok(if created.rows_affected() == 1 { CreatedKey::Created } else { CreatedKey::BothSlotsTaken })
}

/// Returns the keys, of one client where given, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection, client: Option<&str>) -> sqlx::Result<Vec<ApiKeyRow>> {
    sqlx::query_as!(
        ApiKeyRow,
        r#"SELECT id AS "id: ApiKeyId", client, created_at, expires_at, revoked_at, last_used_at
           FROM api_keys WHERE $1::text IS NULL OR client = $1 ORDER BY client, id DESC LIMIT 10000"#,
        client,
    )
    .fetch_all(connection)
    .await
}

/// Revokes a key. Returns whose it is; `None` where no key that is not revoked has this id.
///
/// # Errors
/// When the database fails.
pub async fn revoke(connection: &mut PgConnection, id: ApiKeyId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING client",
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Returns a key that is neither revoked nor expired, with its client.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: ApiKeyId) -> sqlx::Result<Option<ActiveKey>> {
    let found = sqlx::query!(
        r#"SELECT secret_hash, extract(epoch FROM expires_at - now())::float8 AS seconds_left,
                  name, kinds, sources, rate_per_minute, burst, api_clients.created_at
           FROM api_keys JOIN api_clients ON name = client
           WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|row| ActiveKey {
        secret_hash: row.secret_hash,
        seconds_left: row.seconds_left,
        client: ApiClient {
            name: row.name,
            kinds: row.kinds,
            sources: row.sources,
            rate_per_minute: row.rate_per_minute,
            burst: row.burst,
            created_at: row.created_at,
        },
    }))
}

/// Records that a key was used, at most once a minute.
///
/// # Errors
/// When the database fails.
pub async fn record_use(connection: &mut PgConnection, id: ApiKeyId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = date_trunc('minute', now())
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', now()))",
        id.0,
    )
    .execute(connection)
    .await
    .map(drop)
}
