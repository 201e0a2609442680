//! The users of the console: who they are, what they may do, and the hash of what they prove it with.
//!
//! Called by `console` and the command line. Every change says in `operator_actions` who made it and why, in the caller's
//! transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    Corrupt,
    operator_actions::{Operator, record_on_access},
};
use crate::domain::console_access::{AccessName, Role};

/// A user as admins see them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Since when they may not log in.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When they last asked for a page, to the minute, as far as a session of theirs tells.
    pub seen_at: Option<DateTime<Utc>>,
}

/// What is changed about a user.
#[derive(Clone, Debug)]
pub enum UserChange<'a> {
    /// What they may do.
    Role(Role),
    /// What they log in with, hashed.
    Password(&'a str),
    /// They may not log in any more.
    Disable,
    /// They may again.
    Enable,
}

/// Returns all users, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<User>> {
    let rows = sqlx::query!(
        "SELECT name, role, created_at, disabled_at,
                (SELECT max(seen_at) FROM console_sessions WHERE user_name = users.name) AS seen_at
         FROM users ORDER BY name LIMIT 10000"
    )
    .fetch_all(connection)
    .await?;
    let read = |role: String| role.parse::<Role>().corrupt("role");
    rows.into_iter()
        .map(|row| {
            let role = read(row.role)?;
            Ok(User {
                name: row.name,
                role,
                created_at: row.created_at,
                disabled_at: row.disabled_at,
                seen_at: row.seen_at,
            })
        })
        .collect()
}

/// Tells whether anybody may log in.
///
/// # Errors
/// When the database fails.
pub async fn any_enabled(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM users WHERE disabled_at IS NULL) AS "any!""#)
        .fetch_one(connection)
        .await
}

/// Returns the hash of a user's password; `None` where nobody of this name may log in.
///
/// # Errors
/// When the database fails.
pub async fn password_hash(connection: &mut PgConnection, name: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT password_hash FROM users WHERE name = $1 AND disabled_at IS NULL", name)
        .fetch_optional(connection)
        .await
}

/// Adds a user. Returns false when there is one of this name, or a token is called so.
///
/// # Errors
/// When the database fails.
pub async fn add(
    connection: &mut PgConnection,
    name: &AccessName,
    role: Role,
    password_hash: &str,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let added = sqlx::query!(
        "INSERT INTO users (name, role, password_hash)
         SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM console_tokens WHERE name = $1)
         ON CONFLICT (name) DO NOTHING",
        name.as_str(),
        role.as_str(),
        password_hash,
    )
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    record_on_access(connection, operator, "add_user", name, &format!("role {role}")).await?;
    Ok(true)
}

/// Changes a user. What takes something from them ends their sessions. Returns false when there is none of this name.
///
/// # Errors
/// When the database fails.
pub async fn change(
    connection: &mut PgConnection,
    name: &AccessName,
    change: &UserChange<'_>,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let (role, password_hash, disable, detail) = match change {
        UserChange::Role(role) => (Some(role.as_str()), None, None, format!("role {role}")),
        UserChange::Password(hash) => (None, Some(*hash), None, "password".to_owned()),
        UserChange::Disable => (None, None, Some(true), "disabled".to_owned()),
        UserChange::Enable => (None, None, Some(false), "enabled".to_owned()),
    };
    let changed = sqlx::query!(
        "UPDATE users SET role = coalesce($2, role), password_hash = coalesce($3, password_hash),
             disabled_at = CASE WHEN $4::boolean IS NULL THEN disabled_at WHEN $4 THEN coalesce(disabled_at, now()) END
         WHERE name = $1",
        name.as_str(),
        role,
        password_hash,
        disable,
    )
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    if password_hash.is_some() || disable == Some(true) {
        sqlx::query!("DELETE FROM console_sessions WHERE user_name = $1", name.as_str())
            .execute(&mut *connection)
            .await?;
    }
    record_on_access(connection, operator, "change_user", name, &detail).await?;
    Ok(true)
}
