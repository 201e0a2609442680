//! Forms that another site's page sends in a visitor's name are refused: by what the browser says of where a request comes
//! from, and by what our own forms hold.
//!
//! `Sec-Fetch-Site` and `Origin` are set by the browser and no page can change them. A client that sends neither is none that
//! another site could use; it still needs the form's token.

use axum::http::{HeaderMap, header};

use super::{Problem, change::Fields, reach::Reach};
use crate::domain::console_access::Secret;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Refuses what another site's page sends.
pub(super) fn check_site(reach: &Reach, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = match (text(SEC_FETCH_SITE), text(header::ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => reach.is_own_origin(origin, text(header::HOST.as_str())),
        (None, None) => true,
    };
    if is_ours {
        Ok(())
    } else {
        Err(Problem::Forbidden("this form was sent by another site; open the console itself".into()))
    }
}

/// Refuses a form that is not of this session.
pub(super) fn check_form(secret: &Secret, fields: &Fields) -> Result<(), Problem> {
    if fields.get("csrf").is_some_and(|token| secret.made_form(token)) {
        return Ok(());
    }
    Err(Problem::Forbidden(
        "this form is not of your session; go back, load the page again and send it once more".into(),
    ))
}
