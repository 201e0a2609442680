//! Where mails go: an SMTP server, or a folder of `.eml` files to look at.
//!
//! Chosen by a URL: `smtp://user:password@host:587`, `smtps://user:password@host`, `file:///var/mail-out`. Neither errors
//! nor `Debug` show the password. What leaves is signed where there is a key for its sender's domain.

use std::{
    fmt, io,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lettre::transport::smtp::Error as LettreError;
use url::Url;

use super::{
    dkim::DkimKeys,
    outgoing::{OutgoingMail, UnbuildableMail},
    smtp::{SmtpMailer, temporary},
};
use crate::metrics;

/// Sends mails. Made once and shared; it holds the connections.
#[derive(Debug)]
pub struct Mailer {
    destination: Destination,
    keys: DkimKeys,
}

#[derive(Debug)]
enum Destination {
    /// To an SMTP server.
    Smtp(Box<SmtpMailer>),
    /// Into a folder: one file per mail, named after its Message-ID.
    Folder(PathBuf),
}

/// Says why a URL names no place to send mails to, without showing it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMailerUrl {
    /// Not a URL.
    #[error("the mailer's URL cannot be read; write smtp://host:25, smtps://user:password@host or file:///folder")]
    Unreadable(#[source] url::ParseError),
    /// A URL of something else.
    #[error("mail cannot be sent by `{0}`; known: smtp, smtps, file")]
    Scheme(String),
    /// A part is missing or wrong.
    #[error("the mailer's URL names no {0}")]
    Missing(&'static str),
    /// An option that does not exist.
    #[error(
        "unknown or wrong option `{0}` in the mailer's URL; known: tls=none, tls=opportunistic, tls=required, ca=/file.pem, \
         auth=plain, auth=login, auth=xoauth2, hello, connections"
    )]
    Option(String),
    /// A password that anyone on the way could read.
    #[error("the mailer's password would cross the network in clear; use smtps:// or ?tls=required")]
    PasswordInClear,
    /// Nobody to trust.
    #[error("the authorities to trust cannot be read: {0}; name a PEM file by ?ca=/file.pem or SSL_CERT_FILE")]
    Authorities(String),
}

/// Says what became of a mail, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server will never take it (5xx): do not try again.
    #[error("the mail server refused the mail for good ({code})")]
    Rejected {
        /// SMTP reply code.
        code: u16,
        /// What it said; may hold an address, so it is no part of the error's text.
        reply: String,
    },
    /// It was certainly not delivered (4xx, or trouble before its content was sent): try again later.
    #[error("the mail was not delivered for now, at {step}")]
    Temporary {
        /// How far it came.
        step: &'static str,
        /// Whether it is the server's trouble, which any other mail would have met too.
        is_servers: bool,
        /// What happened.
        source: Cause,
    },
    /// The connection was lost after the content was sent: it may or may not have been delivered.
    #[error("the connection was lost before the mail server confirmed the mail; it may have been delivered")]
    Uncertain {
        /// What happened.
        source: Cause,
    },
    /// The mail itself is impossible: do not try again.
    #[error(transparent)]
    Unbuildable(#[from] UnbuildableMail),
}

/// What lies under a [`SendError`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a check found where all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailerCheck {
    /// A folder that can be written.
    Folder,
    /// A server that takes connections.
    Server {
        /// As it calls itself.
        name: String,
        /// In words.
        encryption: &'static str,
        /// Whether it knows the login; without one nobody asks.
        is_logged_in: bool,
    },
}

impl Mailer {
    /// Makes the mailer that a URL names; connects to nothing yet.
    ///
    /// `smtp://` takes `?tls=none`, `opportunistic` or `required` (STARTTLS, RFC 3207; required by default, but on this
    /// machine); both take `?ca=` for the authorities to trust, `?auth=` for one way to log in, `?hello=` for the name in
    /// EHLO and `?connections=` for how many at once. A password is only taken where it is encrypted or stays here.
    ///
    /// # Errors
    /// [`InvalidMailerUrl`] for anything else.
    pub fn from_url(url: &str) -> Result<Self, InvalidMailerUrl> {
        let url = Url::parse(url).map_err(InvalidMailerUrl::Unreadable)?;
        let destination = match url.scheme() {
            "smtp" | "smtps" => Destination::Smtp(Box::new(SmtpMailer::from_url(&url)?)),
            "file" => url.to_file_path().map(Destination::Folder).map_err(|()| InvalidMailerUrl::Missing("folder"))?,
            scheme => return Err(InvalidMailerUrl::Scheme(scheme.to_owned())),
        };
        Ok(Self { destination, keys: DkimKeys::default() })
    }

    /// Signs what is sent from the domains that there are keys for.
    #[must_use]
    pub fn signing_with(self, keys: DkimKeys) -> Self {
        Self { keys, ..self }
    }

    /// Checks whether mails could be sent, as it will be after some time; sends none.
    ///
    /// # Errors
    /// [`SendError::Temporary`] with the step at which it ended.
    pub async fn check(&self, later: Duration) -> Result<MailerCheck, SendError> {
        match &self.destination {
            Destination::Smtp(server) => server.check(later).await,
            Destination::Folder(folder) => {
                let made = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
                made.map(|_| MailerCheck::Folder).map_err(|source| temporary("writing a file", source))
            }
        }
    }

    /// Sends a mail, or says what became of it.
    ///
    /// # Errors
    /// [`SendError`], which tells whether trying again is right.
    pub async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let began = Instant::now();
        let sent = self.deliver(mail).await;
        let outcome = sent.as_ref().map_or_else(SendError::outcome, |()| "sent");
        metrics::process().mail_ended(outcome, began.elapsed());
        sent
    }

    async fn deliver(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let content = mail.to_bytes()?;
        let signed = self.keys.sign(content, mail.from.address().domain(), mail.sent_at);
        let content = signed.map_err(|source| temporary("signing", source))?;
        match &self.destination {
            Destination::Smtp(server) => server.send(mail.from.address(), mail.recipient().address(), &content).await,
            Destination::Folder(folder) => {
                let (folder, name) = (folder.clone(), file_name(&mail.message_id));
                let written = tokio::task::spawn_blocking(move || write_file(&folder, &name, &content)).await;
                let failed =
                    |source: Cause| SendError::Temporary { step: "writing the file", is_servers: true, source };
                written.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))
            }
        }
    }
}

impl SendError {
    /// Names what became of the mail, as metrics and traces show it.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Temporary { .. } => "deferred",
            Self::Rejected { .. } | Self::Unbuildable(_) => "failed",
            Self::Uncertain { .. } => "uncertain",
        }
    }

    /// Returns the code of the mail server's answer, where it was one that failed the mail.
    pub fn reply_code(&self) -> Option<u16> {
        match self {
            Self::Rejected { code, .. } => Some(*code),
            Self::Temporary { source, .. } => source.downcast_ref::<LettreError>()?.status().map(u16::from),
            Self::Uncertain { .. } | Self::Unbuildable(_) => None,
        }
    }

    /// Tells whether the next mail would most likely meet the same: the server is away, or refuses everybody.
    pub fn is_servers(&self) -> bool {
        match self {
            Self::Temporary { is_servers, .. } => *is_servers,
            Self::Uncertain { .. } => true,
            Self::Rejected { .. } | Self::Unbuildable(_) => false,
        }
    }
}

impl fmt::Display for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            Destination::Smtp(server) => server.fmt(f),
            Destination::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

/// Keeps what is safe in a file name on every system.
pub fn file_name(message_id: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "@.-".contains(c) { c } else { '_' };
    format!("{}.eml", message_id.trim_matches(['<', '>']).chars().map(safe).collect::<String>())
}

/// Writes a file so that it is there whole or not at all.
pub fn write_file(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::outgoing::tests::mail, *};

    #[tokio::test]
    async fn a_folder_holds_one_file_per_mail() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = Url::from_file_path(folder.path().join("new")).expect("a URL");
        let mailer = Mailer::from_url(url.as_str()).expect("a mailer");
        mailer.send(&mail()).await.expect("sent");
        mailer.send(&mail()).await.expect("sent again");
        let names: Vec<_> = std::fs::read_dir(folder.path().join("new"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(names.len(), 1);
        assert!(names[0].ends_with("00000000-0000-0000-0000-000000000001@billing.example.com.eml"), "{names:?}");
        assert_eq!(std::fs::read(&names[0]).expect("a file"), mail().to_bytes().expect("a mail"));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_temporary() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let url = Url::from_file_path(file.path()).expect("a URL");
        let mailer = Mailer::from_url(url.as_str()).expect("a mailer");
        assert!(matches!(mailer.send(&mail()).await, Err(SendError::Temporary { .. })));
    }

    #[test]
    fn a_message_id_cannot_leave_the_folder() {
        assert_eq!(file_name("<../../etc/passwd@x>"), ".._.._etc_passwd@x.eml");
    }

    #[test]
    fn a_url_that_names_no_mailer_is_refused_without_showing_the_password() {
        for url in [
            "nonsense",
            "http://u:hunter2@host",
            "smtp://",
            "smtp://u:hunter2@host?tls=none",
            "smtp://u:hunter2@host?auth=md5",
            "smtps://u:hunter2@host?ca=/nowhere.pem",
            "smtps://u:hunter2@host?ca=relative.pem",
            "smtp://u:hunter2@host?tls=opportunistic",
            "smtps://u:hunter2@host?tls=none",
            "smtps://u:hunter2@host?speed=high",
            "smtp://host?tls=maybe",
            "smtp://host?connections=0",
            "file://elsewhere/folder",
        ] {
            let refused = Mailer::from_url(url).expect_err(url);
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
        }
    }

    #[test]
    fn a_mailer_does_not_show_its_password() {
        for url in [
            "smtps://us%40er:hunter%32@host",
            "smtp://u:hunter2@host:587?tls=required&hello=a.example&connections=2",
            "smtp://u:hunter2@127.0.0.1",
        ] {
            let mailer = Mailer::from_url(url).expect(url);
            assert!(!format!("{mailer} {mailer:?}").contains("hunter"), "{mailer:?}");
        }
    }
}
