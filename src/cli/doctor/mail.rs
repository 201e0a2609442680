//! The mail server: connection, greeting, encryption, certificate, login. The conversation ends there: no mail is sent.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Finding, describe, fail, not_set, ok, warn};
use crate::{
    config::Config,
    mail::{Mailer, MailerCheck},
};

/// Certificates are renewed about a month before they end; whoever has not by now has forgotten.
const CERTIFICATE_DAYS: u64 = 21;

pub async fn look(config: &Config) -> Vec<Finding> {
    let url = match config.require("SMTP_URL", config.smtp_url.as_ref()) {
        Ok(url) => url,
        Err(missing) => return vec![not_set(&missing)],
    };
    let mailer = match Mailer::from_url(url.expose_secret()) {
        Ok(mailer) => mailer,
        Err(error) => return vec![fail(error.to_string(), "correct SMTP_URL; docs/MAIL.md lists what it may hold")],
    };
    match mailer.check(Duration::ZERO).await {
        Ok(MailerCheck::Folder) => vec![ok(format!("mails are written to {mailer}"))],
        Ok(MailerCheck::Server { name, encryption, is_logged_in }) => {
            let login = if is_logged_in { "logged in" } else { "no login" };
            let mut findings = vec![ok(format!("{mailer} answers as {name}; {encryption}, {login}"))];
            findings.extend(certificate(&mailer).await);
            findings
        }
        Err(error) => vec![fail(
            format!("{mailer}: {}", describe(&error.into())),
            "check SMTP_URL, that the server takes connections from here, its certificate, and user and password",
        )],
    }
}

/// Looks as if it were some weeks later: a certificate that has ended by then is not trusted.
async fn certificate(mailer: &Mailer) -> Option<Finding> {
    let later = mailer.check(Duration::from_hours(24 * CERTIFICATE_DAYS)).await;
    later.is_err().then(|| {
        warn(
            format!("the certificate of {mailer} ends within {CERTIFICATE_DAYS} days: no mail leaves then"),
            "have it renewed where the mail server runs",
        )
    })
}
