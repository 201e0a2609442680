//! Logging in and out.
//!
//! Tries are counted before a password is looked at, per name and per address, in Postgres: one number over all processes. A
//! name that nobody has is answered as a wrong password is, and as late. Neither names nor passwords are logged: people type
//! the one into the field of the other.

use axum::{
    Router,
    body::Bytes,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use rand::TryRng;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Problem, Shared, change::Fields, cookie, forgery, frame::bare_page, moment::age, reach};
use crate::{
    domain::console_access::Secret,
    store::{
        console_sessions,
        login_attempts::{self, Attempt},
        users,
    },
};

/// Where one logs out.
pub(super) const LOGOUT: &str = "/logout";
/// Largest form: a name, a password, a page to go back to.
const MAX_FORM_BYTES: usize = 16_384;

/// Serves the page for who is not logged in.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/login", get(show).post(log_in))
}

/// Serves what only a session can ask for.
pub(super) fn logout_router() -> Router<Shared> {
    Router::new().route(LOGOUT, post(log_out))
}

/// Where to go once one is logged in.
#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    next: String,
}

async fn show(State(console): State<Shared>, Query(back): Query<Back>) -> Markup {
    form(console.reach.base(), &back.next, None)
}

fn form(base: &str, next: &str, problem: Option<&str>) -> Markup {
    let body = html! {
        @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
        form.login method="post" action=(format!("{base}/login")) {
            input type="hidden" name="next" value=(next);
            label { "Name" input name="name" required autocomplete="username" autocapitalize="none" spellcheck="false"; }
            label { "Password" input name="password" type="password" required autocomplete="current-password"; }
            button type="submit" { "Log in" }
        }
    };
    bare_page(base, "Log in", body)
}

async fn log_in(State(console): State<Shared>, request: Request) -> Response {
    let address = console.reach.client(request.headers(), reach::peer(&request)).to_string();
    let (parts, body) = request.into_parts();
    if let Err(problem) = forgery::check_site(&console.reach, &parts.headers) {
        return problem.into_response();
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_FORM_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match try_to_log_in(&console, &body, &address).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn try_to_log_in(console: &Shared, body: &Bytes, address: &str) -> Result<Response, Problem> {
    let fields = Fields::parse(body);
    let (name, next) = (fields.get("name").unwrap_or_default(), fields.get("next").unwrap_or_default());
    let base = console.reach.base();
    let mut connection = console.pool.acquire().await?;
    if let Attempt::TooMany { seconds } = login_attempts::count(&mut connection, name, address).await? {
        tracing::warn!(address, "a login was put off: too many tries");
        let problem =
            format!("Too many tries. Wait {}, or ask whoever runs billrunner for a new password.", age(seconds));
        return Ok((StatusCode::TOO_MANY_REQUESTS, form(base, next, Some(&problem))).into_response());
    }
    let stored = users::password_hash(&mut connection, name).await?;
    drop(connection);
    // Spaces belong to a password, so it is not what `Fields::get` returns.
    let password: SecretString = fields.exact("password").unwrap_or_default().into();
    if !console.passwords.is_right(password, stored.clone()).await {
        tracing::warn!(address, "a login was refused");
        let problem = "Name or password is wrong.";
        return Ok((StatusCode::FORBIDDEN, form(base, next, Some(problem))).into_response());
    }
    let secret = new_secret()?;
    let mut transaction = console.pool.begin().await?;
    login_attempts::forget(&mut transaction, name, address).await?;
    // Only while the password is still the one that was looked at.
    if !console_sessions::start(&mut transaction, &secret.hash(), name, stored.as_deref().unwrap_or_default()).await? {
        return Err(Problem::Refused("your password was changed meanwhile; log in again".to_owned()));
    }
    transaction.commit().await?;
    tracing::info!(user = name, "logged in");
    let next = if is_own_path(next) { next } else { "/" };
    let cookie = cookie::set(&console.reach, &secret).map(|cookie| [(header::SET_COOKIE, cookie)]);
    Ok((cookie, Redirect::to(&format!("{base}{next}"))).into_response())
}

/// Tells whether it is a path of the console: nothing that a browser takes for another site.
fn is_own_path(next: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    next.starts_with('/') && !next.starts_with("//") && next.chars().all(is_plain)
}

fn new_secret() -> Result<Secret, Problem> {
    let mut random = [0; 32];
    match rand::rngs::SysRng.try_fill_bytes(&mut random) {
        Ok(()) => Ok(Secret::new(random)),
        Err(error) => {
            tracing::error!(%error, "the system gives no random bytes");
            Err(Problem::Unavailable)
        }
    }
}

async fn log_out(State(console): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = cookie::secret(&headers) {
        console_sessions::end(&mut *console.pool.acquire().await?, &secret.hash()).await?;
    }
    let cookie = cookie::clear(&console.reach).map(|cookie| [(header::SET_COOKIE, cookie)]);
    Ok((cookie, Redirect::to(&format!("{}/login", console.reach.base()))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_sent_back_to_pages_of_the_console_only() {
        for own in ["/", "/jobs?kind=x&state=dead", "/jobs/1"] {
            assert!(is_own_path(own), "{own}");
        }
        for foreign in ["", "jobs", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/ü"] {
            assert!(!is_own_path(foreign), "{foreign}");
        }
    }
}
