//! What a reseller chose about lost and refused mails.

use sqlx::{PgConnection, types::Json};

use crate::domain::{ids::ResellerId, mail_policy::MailPolicy};

/// Returns what a reseller chose; the default where there is no such reseller.
///
/// # Errors
/// When the database fails.
pub async fn of_reseller(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<MailPolicy> {
    let found = sqlx::query_scalar!(
        r#"SELECT mail_policy AS "mail_policy: Json<MailPolicy>" FROM resellers WHERE id = $1"#,
        reseller_id.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|Json(policy)| policy).unwrap_or_default())
}

/// Sets what a reseller chooses from now on. What was chosen already, or is so without a word, is not written again.
///
/// # Errors
/// When the database fails.
pub async fn set(connection: &mut PgConnection, reseller_id: ResellerId, policy: MailPolicy) -> sqlx::Result<()> {
    if of_reseller(&mut *connection, reseller_id).await? == policy {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE resellers SET mail_policy = $2 WHERE id = $1 AND mail_policy <> $2",
        reseller_id.0,
        Json(policy) as _,
    )
    .execute(connection)
    .await
    .map(drop)
}
