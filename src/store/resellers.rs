//! Who the resellers are, for people who choose one.

use sqlx::PgConnection;

use crate::domain::ids::ResellerId;

/// A reseller to choose.
#[derive(Clone, Debug)]
pub struct ResellerName {
    /// Its id.
    pub id: ResellerId,
    /// As printed on its invoices.
    pub name: String,
}

/// Returns resellers by name.
///
/// # Errors
/// When the database fails.
pub async fn names(connection: &mut PgConnection) -> sqlx::Result<Vec<ResellerName>> {
    sqlx::query_as!(ResellerName, r#"SELECT id AS "id: ResellerId", name FROM resellers ORDER BY name, id LIMIT 500"#)
        .fetch_all(connection)
        .await
}
