//! The cookie that holds a session's secret. No script reads it, and no other site's page has it sent along.

use axum::http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;

use super::reach::Reach;
use crate::{domain::console_access::Secret, store::console_sessions::LONGEST_SESSION};

const NAME: &str = "billrunner_session";

/// Returns the secret that a request brings; `None` where it brings none that reads.
pub(super) fn secret(headers: &HeaderMap) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME)?.1.parse().ok()
}

/// Makes the header that gives a browser the cookie.
pub(super) fn set(reach: &Reach, secret: &Secret) -> Option<HeaderValue> {
    let text = secret.to_text();
    header_value(reach, text.expose_secret(), LONGEST_SESSION.as_secs())
}

/// Makes the header that takes it back.
pub(super) fn clear(reach: &Reach) -> Option<HeaderValue> {
    header_value(reach, "", 0)
}

fn header_value(reach: &Reach, value: &str, seconds: u64) -> Option<HeaderValue> {
    let path = if reach.base().is_empty() { "/" } else { reach.base() };
    let secure = if reach.needs_encryption() { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
