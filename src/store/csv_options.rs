//! How a reseller's CSV files are written.

use sqlx::{PgConnection, types::Json};

use crate::domain::{csv_options::CsvOptions, ids::ResellerId};

/// Returns how a reseller's CSV files are written; the default where there is no such reseller.
///
/// # Errors
/// When the database fails.
pub async fn of_reseller(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<CsvOptions> {
    let found = sqlx::query_scalar!(
        r#"SELECT csv_options AS "csv_options: Json<CsvOptions>" FROM resellers WHERE id = $1"#,
        reseller_id.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|Json(options)| options).unwrap_or_default())
}

/// Sets how a reseller's CSV files are written from now on; documents that exist stay as they are.
///
/// # Errors
/// When the database fails.
pub async fn set(connection: &mut PgConnection, reseller_id: ResellerId, options: CsvOptions) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE resellers SET csv_options = $2 WHERE id = $1 AND csv_options <> $2",
        reseller_id.0,
        Json(options) as _,
    )
    .execute(connection)
    .await
    .map(drop)
}
