//! Sessions of the console's users: started by a login, found by the hash of their secret, over when nobody used them for half
//! an hour, and after half a day in any case.

use std::time::Duration;

use sqlx::PgConnection;

use super::Corrupt;
use crate::domain::console_access::Role;

/// How long a session that is in use lasts: a day's shift.
pub const LONGEST_SESSION: Duration = Duration::from_hours(12);
/// How long one that nobody uses does: lunch is longer.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// Starts a session, while the user may log in and has the password that was looked at. Returns whether it did. Sessions that
/// are over are deleted on the way.
///
/// # Errors
/// When the database fails.
pub async fn start(
    connection: &mut PgConnection,
    secret_hash: &[u8],
    user_name: &str,
    password_hash: &str,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM console_sessions
         WHERE created_at < now() - make_interval(secs => $1) OR seen_at < now() - make_interval(secs => $2)",
        LONGEST_SESSION.as_secs_f64(),
        LONGEST_PAUSE.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    let started = sqlx::query!(
        "INSERT INTO console_sessions (secret_hash, user_name)
         SELECT $1, name FROM users WHERE name = $2 AND password_hash = $3 AND disabled_at IS NULL FOR SHARE",
        secret_hash,
        user_name,
        password_hash,
    )
    .execute(connection)
    .await?;
    Ok(started.rows_affected() == 1)
}

/// Returns whose session it is and what they may do; `None` where there is none, it is over, or the user may not log in any
/// more. Its use is recorded, at most once a minute.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, secret_hash: &[u8]) -> sqlx::Result<Option<(String, Role)>> {
    let found = sqlx::query!(
        r#"SELECT name, role, seen_at < now() - interval '1 minute' AS "is_to_be_recorded!"
           FROM console_sessions JOIN users ON name = user_name
           WHERE secret_hash = $1 AND disabled_at IS NULL
             AND console_sessions.created_at >= now() - make_interval(secs => $2)
             AND seen_at >= now() - make_interval(secs => $3)"#,
        secret_hash,
        LONGEST_SESSION.as_secs_f64(),
        LONGEST_PAUSE.as_secs_f64(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    if found.is_to_be_recorded {
        sqlx::query!("UPDATE console_sessions SET seen_at = now() WHERE secret_hash = $1", secret_hash)
            .execute(connection)
            .await?;
    }
    Ok(Some((found.name, found.role.parse::<Role>().corrupt("role")?)))
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn end(connection: &mut PgConnection, secret_hash: &[u8]) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM console_sessions WHERE secret_hash = $1", secret_hash).execute(connection).await.map(drop)
}
