//! Which systems may hand jobs in over HTTP: what they may send, as whom, and how much of it.
//!
//! Called by the command line, which sets them, and by `http` through `api_keys`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A system that hands jobs in over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ApiClient {
    /// Its name, which is also the source of its jobs unless others are named.
    pub name: String,
    /// Kinds it may hand in; `None` is all.
    pub kinds: Option<Vec<String>>,
    /// Sources it may use, each also as the beginning of `<source>/…`.
    pub sources: Vec<String>,
    /// Requests and jobs a minute.
    pub rate_per_minute: i32,
    /// How many of them at once.
    pub burst: i32,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl ApiClient {
    /// Tells whether it may hand in jobs of a kind.
    pub fn may_send(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|known| known == kind))
    }

    /// Tells whether a source is the client's: its jobs are the client's to send and to see.
    pub fn owns(&self, source: &str) -> bool {
        let is_within = |own: &String| {
            source.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.sources.iter().any(is_within)
    }
}

/// What is to be set about a client; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct ApiClientChange {
    /// Kinds it may hand in; `Some(None)` is all.
    pub kinds: Option<Option<Vec<String>>>,
    /// Sources it may use.
    pub sources: Option<Vec<String>>,
    /// Requests and jobs a minute.
    pub rate_per_minute: Option<i32>,
    /// How many of them at once.
    pub burst: Option<i32>,
}

/// Returns all clients.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<ApiClient>> {
    sqlx::query_as!(
        ApiClient,
        "SELECT name, kinds, sources, rate_per_minute, burst, created_at FROM api_clients ORDER BY name LIMIT 10000"
    )
    .fetch_all(connection)
    .await
}

/// Adds a client. Returns false when there is one of this name.
///
/// # Errors
/// When the database fails or refuses the name.
pub async fn add(
    connection: &mut PgConnection,
    name: &str,
    kinds: Option<&[String]>,
    sources: &[String],
    (rate_per_minute, burst): (i32, i32),
) -> sqlx::Result<bool> {
    let added = sqlx::query!(
        "INSERT INTO api_clients (name, kinds, sources, rate_per_minute, burst) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING",
        name,
        kinds,
        sources,
        rate_per_minute,
        burst,
    )
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Changes a client. Returns false when there is none of this name.
///
/// # Errors
/// When the database fails.
pub async fn change(connection: &mut PgConnection, name: &str, change: &ApiClientChange) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE api_clients
         SET kinds = CASE WHEN $2 THEN $3 ELSE kinds END, sources = coalesce($4, sources),
             rate_per_minute = coalesce($5, rate_per_minute), burst = coalesce($6, burst)
         WHERE name = $1",
        name,
        change.kinds.is_some(),
        change.kinds.clone().flatten() as Option<Vec<String>>,
        change.sources.clone() as Option<Vec<String>>,
        change.rate_per_minute,
        change.burst,
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Removes a client with its keys; its jobs stay. Returns false when there is none of this name.
///
/// # Errors
/// When the database fails.
pub async fn remove(connection: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    let removed = sqlx::query!("DELETE FROM api_clients WHERE name = $1", name).execute(connection).await?;
    Ok(removed.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_owns_its_sources_and_what_lies_below_them() {
        let client = ApiClient {
            name: "shop".into(),
            kinds: None,
            sources: vec!["shop".into(), "erp/eu".into()],
            rate_per_minute: 1,
            burst: 1,
            created_at: DateTime::default(),
        };
        for own in ["shop", "shop/", "shop/till 3", "erp/eu", "erp/eu/1"] {
            assert!(client.owns(own), "{own}");
        }
        for foreign in ["", "shopping", "Shop", "erp", "erp/eur", "xshop", "other/shop"] {
            assert!(!client.owns(foreign), "{foreign}");
        }
    }
}
