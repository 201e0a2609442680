//! The users of the console, for admins: listed, added, given another role or password, disabled.
//!
//! An admin does not change their own role and does not disable themselves, so that one is always left.

use axum::{
    Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use rand::TryRng;
use secrecy::SecretString;

use super::{Change, Frame, Problem, Shared, elements::state, instant, page};
use crate::{
    domain::console_access::{AccessName, Role, check_password},
    store::{
        login_attempts,
        users::{self, User, UserChange},
    },
};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/users", get(show).post(add))
        .route("/users/{name}/role", post(change_role))
        .route("/users/{name}/password", post(change_password))
        .route("/users/{name}/disable", post(disable))
        .route("/users/{name}/enable", post(enable))
}

async fn show(State(console): State<Shared>, frame: Frame) -> Result<Markup, Problem> {
    let all = users::list(&mut *console.pool.acquire().await?).await?;
    Ok(page(&frame, "Users", render(&frame, &all)))
}

fn render(frame: &Frame, all: &[User]) -> Markup {
    html! {
        p.muted { "A viewer reads, an operator also changes what is worked on, an admin also says who is a user." }
        div.scroll tabindex="0" {
            table {
                thead {
                    tr { @for title in ["Name", "Role", "State", "Since", "Last seen", "Change"] { th scope="col" { (title) } } }
                }
                tbody { @for user in all { (row(frame, user)) } }
            }
        }
        section.panel {
            h2 { "Add a user" }
            (frame.form("/users", html! {
                label { "Name" input name="name" required maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false"; }
                (role_field(Role::Viewer))
                (password_field())
            }, "Add"))
        }
    }
}

fn role_field(chosen: Role) -> Markup {
    html! {
        label {
            "Role"
            select name="role" {
                @for role in Role::ALL { option value=(role) selected[role == chosen] { (role) } }
            }
        }
    }
}

fn password_field() -> Markup {
    html! { label { "Password, 12 characters or more" input name="password" type="password" required minlength="12" maxlength="200" autocomplete="new-password"; } }
}

fn row(frame: &Frame, user: &User) -> Markup {
    let to = |change: &str| format!("/users/{}/{change}", user.name);
    let is_own = user.name == frame.visitor.name;
    html! {
        tr {
            th scope="row" { (user.name) }
            td { (user.role) }
            td { @if user.disabled_at.is_some() { (state("disabled")) } @else { (state("enabled")) } }
            td { (instant(user.created_at)) }
            td { @if let Some(at) = user.seen_at { (instant(at)) } }
            td {
                details {
                    summary { "Change" }
                    (frame.form(&to("password"), password_field(), "Set password"))
                    @if !is_own {
                        (frame.form(&to("role"), role_field(user.role), "Set role"))
                        @if user.disabled_at.is_some() {
                            (frame.form(&to("enable"), html! {}, "Enable"))
                        } @else {
                            (frame.form_to_end(&to("disable"), html! {}, "Disable"))
                        }
                    }
                }
            }
        }
    }
}

async fn add(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let (name, role) = (change.require::<AccessName>("name")?, change.require::<Role>("role")?);
    let hash = new_hash(&console, &change).await?;
    let mut transaction = console.pool.begin().await?;
    if !users::add(&mut transaction, &name, role, &hash, change.operator()).await? {
        return Err(Problem::Refused(format!("a user or token is called `{name}` already; take another name")));
    }
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href("/users")))
}

async fn new_hash(console: &Shared, change: &Change) -> Result<String, Problem> {
    let password: SecretString = change.exact("password").unwrap_or_default().into();
    check_password(&password).map_err(|error| Problem::Invalid(error.to_string()))?;
    let mut salt = [0; 16];
    let salted = rand::rngs::SysRng.try_fill_bytes(&mut salt).map_err(|error| error.to_string());
    let hashed = match salted {
        Ok(()) => console.passwords.hash(password, salt).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    hashed.map_err(|error| {
        tracing::error!(error, "a password could not be hashed");
        Problem::Unavailable
    })
}

async fn change_role(
    State(console): State<Shared>,
    frame: Frame,
    Path(name): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    not_oneself(&frame, &name)?;
    let role = change.require::<Role>("role")?;
    apply(&console, &frame, &name, &UserChange::Role(role), &change).await
}

async fn change_password(
    State(console): State<Shared>,
    frame: Frame,
    Path(name): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    let hash = new_hash(&console, &change).await?;
    apply(&console, &frame, &name, &UserChange::Password(&hash), &change).await
}

async fn disable(
    State(console): State<Shared>,
    frame: Frame,
    Path(name): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    not_oneself(&frame, &name)?;
    apply(&console, &frame, &name, &UserChange::Disable, &change).await
}

async fn enable(
    State(console): State<Shared>,
    frame: Frame,
    Path(name): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    apply(&console, &frame, &name, &UserChange::Enable, &change).await
}

fn not_oneself(frame: &Frame, name: &str) -> Result<(), Problem> {
    if frame.visitor.name == name {
        return Err(Problem::Refused("another admin has to do this: one is always left that way".to_owned()));
    }
    Ok(())
}

async fn apply(
    console: &Shared,
    frame: &Frame,
    name: &str,
    what: &UserChange<'_>,
    change: &Change,
) -> Result<Redirect, Problem> {
    let missing = || Problem::NotFound(format!("user `{name}` does not exist"));
    let name: AccessName = name.parse().map_err(|_| missing())?;
    let mut transaction = console.pool.begin().await?;
    if !users::change(&mut transaction, &name, what, change.operator()).await? {
        return Err(missing());
    }
    if matches!(what, UserChange::Password(_)) {
        login_attempts::forget_name(&mut transaction, name.as_str()).await?;
    }
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href("/users")))
}
