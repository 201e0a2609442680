//! How a reseller's documents look: what new invoices are made with, and what each older one was made with.
//!
//! Written with the directory, read when an invoice is rendered. Rows are added and never changed.

use sqlx::{PgConnection, types::Json};

use crate::domain::{branding::Branding, ids::ResellerId};

/// Makes new invoices look so from now on; `None` is A4, our colours and no logo.
///
/// # Errors
/// When the database fails.
pub async fn replace(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    branding: Option<&Branding>,
) -> sqlx::Result<()> {
    let fingerprint = branding.map(Branding::fingerprint);
    if let (Some(branding), Some(fingerprint)) = (branding, &fingerprint) {
        sqlx::query!(
            "INSERT INTO reseller_brandings (reseller_id, fingerprint, branding) VALUES ($1, $2, $3)
             ON CONFLICT (reseller_id, fingerprint) DO NOTHING",
            reseller_id.0,
            fingerprint,
            Json(branding) as _,
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query!("UPDATE resellers SET branding = $2 WHERE id = $1", reseller_id.0, fingerprint)
        .execute(connection)
        .await
        .map(drop)
}

/// Returns how new invoices look.
///
/// # Errors
/// When the database fails.
pub async fn current(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<Branding>> {
    let branding = sqlx::query_scalar!(
        r#"SELECT reseller_brandings.branding AS "branding: Json<Branding>"
           FROM resellers JOIN reseller_brandings
             ON reseller_id = resellers.id AND fingerprint = resellers.branding
           WHERE resellers.id = $1"#,
        reseller_id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(branding.map(|Json(branding)| branding))
}

/// Returns the branding with a fingerprint.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    fingerprint: &str,
) -> sqlx::Result<Option<Branding>> {
    let branding = sqlx::query_scalar!(
        r#"SELECT branding AS "branding: Json<Branding>" FROM reseller_brandings
           WHERE reseller_id = $1 AND fingerprint = $2"#,
        reseller_id.0,
        fingerprint,
    )
    .fetch_optional(connection)
    .await?;
    Ok(branding.map(|Json(branding)| branding))
}
