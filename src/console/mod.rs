//! The operators' console: what waits, runs and failed, and what people do about it, as pages of the web process.
//!
//! `http` mounts [`router`]; `access` lets in who has a session, a token or the demo's leave, asks for the role that a page
//! or a change takes, and checks every form. Pages work without a script; one refreshes what moves. Every change is a
//! POST with a reason, recorded by whoever changes it in the same transaction, and answered with 303.

mod access;
mod assets;
mod audit;
mod bill_run;
mod bill_runs;
mod bulk;
mod change;
mod chart;
mod cookie;
mod dead_letters;
mod elements;
mod forgery;
mod frame;
mod hand_in;
mod job;
mod jobs;
mod login;
mod moment;
mod notification;
mod notifications;
mod overview;
mod passwords;
mod queues;
mod rates;
mod reach;
mod schedules;
mod search;
mod section;
mod suppressions;
mod users;
mod workers;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use sqlx::PgPool;

use crate::{
    clock::Clock,
    domain::console_access::Secret,
    queue::{PrepareJob, Registry, Streams},
    store::database,
};

pub use change::Change;
pub use frame::{Frame, Visitor, bare_page, page};
pub use moment::{age, count, instant};
pub use passwords::{UnusableHash, hash_password};
pub use reach::Reach;
pub use section::Section;

/// What pages may do in a browser: show what this site gives them, and send forms to it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the pages are made from.
pub struct Console {
    /// Postgres, as the application's role. Each question is planned for what is asked, and given up when it takes too long.
    pub pool: PgPool,
    /// Redis.
    pub streams: Streams,
    /// Tells the time that pages show ages by.
    pub clock: Clock,
    /// All kinds of job.
    pub kinds: Vec<String>,
    /// All lanes; a queue's common lane has the queue's name.
    pub lanes: Vec<String>,
    /// Makes the jobs that do what takes longer than an answer.
    pub prepare: PrepareJob,
    /// Right-hand side of Message-IDs.
    pub mail_domain: Arc<str>,
    reach: Reach,
    demo: Option<Secret>,
    passwords: passwords::Passwords,
}

/// What handlers are given.
pub type Shared = Arc<Console>;

impl Console {
    /// Makes the console of a web process.
    pub fn new<C: Clone + Send + Sync + 'static>(
        pool: &PgPool,
        streams: Streams,
        registry: &Arc<Registry<C>>,
        reach: Reach,
    ) -> Self {
        Self {
            pool: database::console_pool(pool),
            streams,
            clock: Clock::System,
            kinds: registry.kinds().map(str::to_owned).collect(),
            lanes: registry.lane_names().map(str::to_owned).collect(),
            prepare: registry.preparer(),
            mail_domain: "billrunner.invalid".into(),
            reach,
            demo: None,
            passwords: passwords::Passwords::default(),
        }
    }

    /// Says what the Message-IDs of mails that are sent again end with.
    #[must_use]
    pub fn with_mail_domain(mut self, domain: &str) -> Self {
        self.mail_domain = domain.into();
        self
    }

    /// Lets everybody on this machine in as an operator while there is no user. `random` makes the demo's forms.
    #[must_use]
    pub fn for_demo(mut self, random: [u8; 32]) -> Self {
        self.demo = Some(Secret::new(random));
        self
    }
}

/// Returns the pages, under the console's path prefix.
pub fn router(console: Shared) -> Router {
    let guarded = Router::new()
        .merge(queues::router())
        .merge(jobs::router())
        .merge(job::router())
        .merge(bulk::router())
        .merge(users::router())
        .merge(overview::router())
        .merge(dead_letters::router())
        .merge(schedules::router())
        .merge(workers::router())
        .merge(bill_runs::router())
        .merge(bill_run::router())
        .merge(notifications::router())
        .merge(notification::router())
        .merge(suppressions::router())
        .merge(audit::router())
        .merge(login::logout_router())
        .layer(from_fn_with_state(console.clone(), access::guard));
    let pages = guarded
        .merge(login::router())
        .merge(assets::router())
        .layer(from_fn_with_state(console.clone(), reach::check_host))
        .layer(map_response(secure));
    let base = console.reach.base().to_owned();
    let pages = pages.with_state(console);
    if base.is_empty() {
        return pages;
    }
    let to_base = || get(Redirect::to(&base));
    Router::new().nest(&base, pages).route("/", to_base()).route(&format!("{base}/"), to_base())
}

/// Adds what keeps a browser from doing more with a page than showing it and sending its forms.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    // Forms say where they come from, other sites learn nothing.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Why a page was not made or a change not done, in words for whoever asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A field does not read.
    #[error("{0}")]
    Invalid(String),
    /// What is there does not allow it.
    #[error("{0}")]
    Refused(String),
    /// Nobody holds this token.
    #[error("the token is not known, has expired or was revoked")]
    UnknownToken,
    /// Another role is needed, or the form is not ours.
    #[error("{0}")]
    Forbidden(String),
    /// Postgres gave up a question.
    #[error("this takes longer than a page may; narrow it down, by a kind of job or a state")]
    TooSlow,
    /// Postgres does not answer.
    #[error("Postgres does not answer; the log of this process says why")]
    Unavailable,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooSlow | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Not found",
            Self::Invalid(_) => "Not understood",
            Self::Refused(_) => "Not done",
            Self::UnknownToken | Self::Forbidden(_) => "Not allowed",
            Self::TooSlow => "Too slow",
            Self::Unavailable => "Not available",
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if database::is_timeout(&error) {
            return Self::TooSlow;
        }
        tracing::error!(%error, "a page of the console could not be made");
        Self::Unavailable
    }
}

impl IntoResponse for Problem {
    /// Leaves the page to the guard, which knows who looks.
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        if matches!(self, Self::UnknownToken) {
            let challenge = HeaderValue::from_static("Bearer realm=\"billrunner console\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Makes the page that says why.
fn problem_page(frame: &Frame, problem: &Problem) -> Response {
    let body = maud::html! { p.problem role="alert" { (problem) } };
    (problem.status(), page(frame, problem.title(), body)).into_response()
}
