//! How often somebody tried to log in, under a name and from an address: one number over all web processes.
//!
//! A try is counted before its password is looked at, in one statement, so that many at once are not let through together.
//! Whoever logs in takes back what was counted for them.

use std::time::Duration;

use sqlx::PgConnection;

/// For how long tries are counted, from the first.
const WINDOW: Duration = Duration::from_mins(15);
/// Tries under one name: forgetting a password takes fewer, guessing one more.
const MOST_OF_NAME: i32 = 10;
/// Tries from one address, from which a whole team may come.
const MOST_OF_ADDRESS: i32 = 50;

/// What counting a try said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attempt {
    /// The password may be looked at.
    Allowed,
    /// It is not looked at, for so many seconds to come.
    TooMany {
        /// Until the counting begins anew.
        seconds: f64,
    },
}

/// Counts a try, the name's only where the address may try at all: nobody fills the table with names.
///
/// # Errors
/// When the database fails.
pub async fn count(connection: &mut PgConnection, name: &str, address: &str) -> sqlx::Result<Attempt> {
    sqlx::query!("DELETE FROM login_attempts WHERE since < now() - make_interval(secs => $1)", WINDOW.as_secs_f64())
        .execute(&mut *connection)
        .await?;
    match count_one(connection, &of_address(address), MOST_OF_ADDRESS).await? {
        Attempt::Allowed => count_one(connection, &of_name(name), MOST_OF_NAME).await,
        too_many @ Attempt::TooMany { .. } => Ok(too_many),
    }
}

async fn count_one(connection: &mut PgConnection, subject: &str, most: i32) -> sqlx::Result<Attempt> {
    let counted = sqlx::query!(
        r#"INSERT INTO login_attempts AS known (subject, tries) VALUES ($1, 1)
           ON CONFLICT (subject) DO UPDATE SET tries = least(known.tries + 1, 1000000)
           RETURNING tries,
                     extract(epoch FROM since + make_interval(secs => $2) - now())::float8 AS "seconds_left!""#,
        subject,
        WINDOW.as_secs_f64(),
    )
    .fetch_one(connection)
    .await?;
    if counted.tries <= most { Ok(Attempt::Allowed) } else { Ok(Attempt::TooMany { seconds: counted.seconds_left }) }
}

/// Forgets what was counted for a name, and one try of an address, as that one was right.
///
/// # Errors
/// When the database fails.
pub async fn forget(connection: &mut PgConnection, name: &str, address: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM login_attempts WHERE subject = $1 OR subject = $2 AND tries = 1",
        of_name(name),
        of_address(address)
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("UPDATE login_attempts SET tries = tries - 1 WHERE subject = $1 AND tries > 1", of_address(address))
        .execute(connection)
        .await
        .map(drop)
}

/// Forgets what was counted for a name, when somebody gave it a new password.
///
/// # Errors
/// When the database fails.
pub async fn forget_name(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM login_attempts WHERE subject = $1", of_name(name)).execute(connection).await.map(drop)
}

/// No name is longer than this; what is, is nobody's.
fn of_name(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("name/{shown}")
}

fn of_address(address: &str) -> String {
    format!("address/{address}")
}
