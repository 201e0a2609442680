//! The style sheet and the script of the pages: built into the program, and kept by browsers for as long as their address,
//! which holds their hash, is the one that pages name.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// That of the frame and of what all pages share, then what single pages add.
const STYLE: &str = concat!(include_str!("assets/console.css"), include_str!("assets/pages.css"));
/// htmx 2.0.11 (0BSD), as its authors publish it: it fetches again what a page says that moves.
const SCRIPT: &str = include_str!("assets/htmx.min.js");

/// Hexadecimal digits of a hash in an address: enough to tell releases apart.
const SHOWN_DIGITS: usize = 12;

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| versioned("/assets/console.css", STYLE));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| versioned("/assets/htmx.min.js", SCRIPT));

/// Returns where the style sheet is.
pub(super) fn style_path() -> &'static str {
    &STYLE_PATH
}

/// Returns where the script is.
pub(super) fn script_path() -> &'static str {
    &SCRIPT_PATH
}

fn versioned(path: &str, text: &str) -> String {
    let hash = hex::encode(Sha256::digest(text));
    format!("{path}?v={}", hash.get(..SHOWN_DIGITS).unwrap_or_default())
}

/// Serves both, to anybody.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/assets/console.css", get(|| async { kept("text/css; charset=utf-8", STYLE) }))
        .route("/assets/htmx.min.js", get(|| async { kept("text/javascript; charset=utf-8", SCRIPT) }))
}

fn kept(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, text).into_response()
}
