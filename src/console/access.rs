//! The one place where it is decided who sees a page and who changes something.
//!
//! A visitor has a session (a cookie), a token (`Authorization: Bearer`), or is on this machine in a demo without users.
//! Reading takes a viewer, changing an operator, users an admin. A form must come from our own page and hold its session's
//! token; who sends a token sends no cookie, so no other site's page can have it sent.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Problem, Shared,
    change::Fields,
    cookie, forgery,
    frame::{Frame, Visitor, bare_page},
    problem_page,
    section::Section,
};
use crate::{
    domain::console_access::{Role, Secret},
    store::{console_sessions, console_tokens, users},
};

/// Largest form: a reason and a search.
const MAX_FORM_BYTES: usize = 65_536;
/// Who the visitor of a demo without users is.
const DEMO_VISITOR: &str = "demo";

/// Somebody who may come in, and what their forms hold.
struct Guest {
    visitor: Visitor,
    /// `None` is a token's: it needs no proof that a form is ours.
    session: Option<Secret>,
    can_log_out: bool,
}

/// Lets in who may come in, with the frame and the form that handlers take; others get an answer that says what to do.
pub(super) async fn guard(State(console): State<Shared>, request: Request, next: Next) -> Response {
    let guest = match identify(&console, request.headers()).await {
        Ok(Some(guest)) => guest,
        Ok(None) => {
            // A form cannot be sent again by coming back.
            let back = request.uri().path_and_query().filter(|_| request.method() == Method::GET);
            let back = back.map_or_else(|| "/".to_owned(), ToString::to_string);
            return send_to_login(&console, &back).await;
        }
        Err(problem) => return problem.into_response(),
    };
    let frame = Frame {
        csrf: guest.session.as_ref().map(Secret::form_token).unwrap_or_default(),
        visitor: guest.visitor.clone(),
        base: console.reach.base().to_owned(),
        section: Section::of(request.uri().path()),
        can_log_out: guest.can_log_out,
        is_demo: console.demo.is_some(),
    };
    let mut response = match check(&console, &guest, request).await {
        Ok(mut request) => {
            request.extensions_mut().insert(frame.clone());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem_page(&frame, &problem),
        None => response,
    }
}

/// Finds out who asks; `None` is somebody who has to log in.
async fn identify(console: &Shared, headers: &HeaderMap) -> Result<Option<Guest>, Problem> {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => of_token(console, value.to_str().unwrap_or_default()).await.map(Some),
        None => Ok(of_session(console, headers).await?),
    }
}

async fn of_token(console: &Shared, authorization: &str) -> Result<Guest, Problem> {
    let (scheme, text) = authorization.split_once(' ').ok_or(Problem::UnknownToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::UnknownToken);
    }
    let secret = Secret::from_token(text.trim()).map_err(|_| Problem::UnknownToken)?;
    let found = console_tokens::find(&mut *console.pool.acquire().await?, &secret.hash()).await?;
    let (name, role) = found.ok_or(Problem::UnknownToken)?;
    Ok(Guest { visitor: Visitor { name, role }, session: None, can_log_out: false })
}

async fn of_session(console: &Shared, headers: &HeaderMap) -> sqlx::Result<Option<Guest>> {
    let mut connection = console.pool.acquire().await?;
    if let Some(secret) = cookie::secret(headers)
        && let Some((name, role)) = console_sessions::find(&mut connection, &secret.hash()).await?
    {
        return Ok(Some(Guest { visitor: Visitor { name, role }, session: Some(secret), can_log_out: true }));
    }
    let Some(demo) = console.demo.as_ref().filter(|_| console.reach.is_local()) else { return Ok(None) };
    if users::any_enabled(&mut connection).await? {
        return Ok(None);
    }
    let visitor = Visitor { name: DEMO_VISITOR.to_owned(), role: Role::Operator };
    Ok(Some(Guest { visitor, session: Some(demo.clone()), can_log_out: false }))
}

/// Sends a visitor to the page where one logs in, and back from there; where nobody can, says which command makes a user.
async fn send_to_login(console: &Shared, back: &str) -> Response {
    let base = console.reach.base();
    let any_user = async { users::any_enabled(&mut *console.pool.acquire().await?).await };
    match any_user.await {
        Ok(true) => {
            Redirect::to(&format!("{base}/login?next={}", utf8_percent_encode(back, NON_ALPHANUMERIC))).into_response()
        }
        Ok(false) => (StatusCode::FORBIDDEN, first_user(base)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn first_user(base: &str) -> maud::Markup {
    let body = html! {
        p { "Nobody can log in yet. Make the first user where billrunner runs, with its settings:" }
        pre { code { "billrunner users add NAME --role admin" } }
        p { "It prints a password, once. Then load this page again." }
    };
    bare_page(base, "No user yet", body)
}

/// Checks the role that a request takes and the form that it brings, which handlers find beside it.
async fn check(console: &Shared, guest: &Guest, request: Request) -> Result<Request, Problem> {
    let needed = needed_role(request.method(), request.uri().path());
    if !guest.visitor.role.may(needed) {
        let is = guest.visitor.role;
        return Err(Problem::Forbidden(format!(
            "this takes the role {needed}; you are {is}. An admin can change that"
        )));
    }
    if !changes(request.method()) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    if guest.session.is_some() {
        forgery::check_site(&console.reach, &parts.headers)?;
    }
    let body = to_bytes(body, MAX_FORM_BYTES).await;
    let body = body.map_err(|_| Problem::Invalid(format!("a form has {MAX_FORM_BYTES} bytes at most")))?;
    let fields = Fields::parse(&body);
    if let Some(session) = &guest.session {
        forgery::check_form(session, &fields)?;
    }
    parts.extensions.insert(fields);
    Ok(Request::from_parts(parts, Body::empty()))
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Returns the role that a request takes: the section's, and an operator's for a change. Everybody may log out.
fn needed_role(method: &Method, path: &str) -> Role {
    let to_see = Section::of(path).map_or(Role::Viewer, Section::role);
    if changes(method) && path != super::login::LOGOUT { to_see.max(Role::Operator) } else { to_see }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_a_viewer_changing_an_operator_and_users_an_admin() {
        for (method, path, role) in [
            (Method::GET, "/", Role::Viewer),
            (Method::HEAD, "/jobs/1", Role::Viewer),
            (Method::POST, "/jobs/1/retry", Role::Operator),
            (Method::DELETE, "/nowhere", Role::Operator),
            (Method::POST, "/logout", Role::Viewer),
            (Method::GET, "/users", Role::Admin),
            (Method::POST, "/users/ana/role", Role::Admin),
            (Method::GET, "//users", Role::Admin),
        ] {
            assert_eq!(needed_role(&method, path), role, "{method} {path}");
        }
    }
}
