//! How a reseller's mails are sent and worded: written with the directory, read when a mail is made.

use sqlx::{PgConnection, types::Json};

use crate::domain::{branding::Branding, ids::ResellerId, mail_settings::MailSettings};

/// Sets how a reseller's mails are sent from now on.
///
/// # Errors
/// When the database fails.
pub async fn replace(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    settings: Option<&MailSettings>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE resellers SET mail = $2 WHERE id = $1", reseller_id.0, settings.map(Json) as _)
        .execute(connection)
        .await
        .map(drop)
}

/// Returns how a reseller's mails are sent; `None` where nothing differs from ours.
///
/// # Errors
/// When the database fails.
pub async fn of_reseller(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<MailSettings>> {
    let settings = sqlx::query_scalar!(
        r#"SELECT mail AS "mail: Json<MailSettings>" FROM resellers WHERE id = $1"#,
        reseller_id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(settings.flatten().map(|Json(settings)| settings))
}

/// All that bears on how a reseller's mails look and where they come from.
#[derive(Clone, Debug)]
pub struct MailTerms {
    /// Its name.
    pub name: String,
    /// The address mails come from.
    pub email: String,
    /// How they are sent and worded.
    pub settings: MailSettings,
    /// Its logo and colour.
    pub branding: Option<Branding>,
}

/// Returns how a reseller's mails are made now; `None` where there is no such reseller.
///
/// # Errors
/// When the database fails.
pub async fn terms(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<MailTerms>> {
    let row = sqlx::query!(
        r#"SELECT name, email, mail AS "mail: Json<MailSettings>",
               (SELECT reseller_brandings.branding FROM reseller_brandings
                WHERE reseller_id = resellers.id AND fingerprint = resellers.branding) AS "branding: Json<Branding>"
           FROM resellers WHERE id = $1"#,
        reseller_id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| MailTerms {
        name: row.name,
        email: row.email,
        settings: row.mail.map(|Json(settings)| settings).unwrap_or_default(),
        branding: row.branding.map(|Json(branding)| branding),
    }))
}
