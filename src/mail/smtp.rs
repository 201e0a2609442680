//! Speaks SMTP (RFC 5321) through lettre, command by command.
//!
//! lettre's own `send` cannot tell a mail that was not sent from one whose confirmation was lost, so MAIL, RCPT, DATA and
//! the content are driven here: nothing before the content can deliver a mail, anything after it may have. Its pool waits
//! for delayed acknowledgements on every mail, so connections are kept here, with `TCP_NODELAY`. Nothing is tried again
//! here but a kept connection that was gone: that is the job's affair.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        Error as LettreError,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
    },
};
use memchr::memmem;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::Instrument;
use url::Url;

use super::{
    mailer::{InvalidMailerUrl, MailerCheck, SendError},
    outgoing::UnbuildableMail,
    smtp_server::{SmtpServer, Tls},
};
use crate::traces;

/// For connecting, logging in and everything up to the content: nothing is lost by trying again later.
const ENVELOPE_TIMEOUT: Duration = Duration::from_mins(1);
/// For the content and its confirmation. Giving up early makes a mail uncertain, so it is long (RFC 5321, 4.5.3.2).
const CONTENT_TIMEOUT: Duration = Duration::from_mins(5);
/// For a goodbye that nobody needs.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);
/// Servers close idle connections after minutes; one this young is most likely still there.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Replies are kept for people to read, and some servers send pages.
const MAX_REPLY_CHARS: usize = 500;

/// Keeps connections to one server and sends mails through them.
pub struct SmtpMailer {
    server: SmtpServer,
    slots: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    content_timeout: Duration,
}

impl SmtpMailer {
    pub(super) fn from_url(url: &Url) -> Result<Self, InvalidMailerUrl> {
        let server = SmtpServer::from_url(url)?;
        Ok(Self {
            slots: Semaphore::new(server.connections),
            server,
            idle: Mutex::default(),
            content_timeout: CONTENT_TIMEOUT,
        })
    }

    /// Connects, encrypts and logs in, as after some time, and says goodbye.
    pub(super) async fn check(&self, later: Duration) -> Result<MailerCheck, SendError> {
        let server = self.server.seen_later(later);
        let connected = timeout(ENVELOPE_TIMEOUT, server.connect()).await;
        let connection = connected.map_err(|source| temporary("connecting", source))??;
        let name =
            super::one_line::to_one_line(connection.server_info().name()).chars().take(MAX_REPLY_CHARS).collect();
        quit(connection).await;
        let encryption = match server.tls {
            Tls::None => "in clear",
            Tls::Opportunistic(_) => "encrypted where the server offers it",
            Tls::Required(_) => "encrypted by STARTTLS",
            Tls::Implicit(_) => "encrypted from the first byte",
        };
        Ok(MailerCheck::Server { name, encryption, is_logged_in: server.has_login() })
    }

    pub(super) async fn send(&self, from: &Address, to: &Address, content: &[u8]) -> Result<(), SendError> {
        let content = Content(str::from_utf8(content).map_err(UnbuildableMail::NotText)?);
        let _slot = self.slots.acquire().await.map_err(|source| temporary("waiting", source))?;
        let span = traces::mail(&self.server.host, self.server.port);
        let conversed = self.converse(from, to, content).instrument(span.clone()).await;
        match &conversed {
            Ok(code) => traces::mail_answered(&span, *code),
            Err(error) => {
                error.reply_code().into_iter().for_each(|code| traces::mail_answered(&span, code));
                traces::fail(&span, error.outcome());
            }
        }
        conversed.map(drop)
    }

    /// Hands a mail to the server, and returns the code of its confirmation.
    async fn converse(&self, from: &Address, to: &Address, content: Content<'_>) -> Result<u16, SendError> {
        let mut connection = timeout(ENVELOPE_TIMEOUT, self.announce(from, to))
            .await
            .map_err(|source| temporary("the envelope", source))??;
        match timeout(self.content_timeout, connection.command(content)).await {
            Ok(Ok(confirmed)) => {
                self.keep(connection);
                Ok(confirmed.code().into())
            }
            Ok(Err(error)) if error.status().is_some() => Err(refused("the content", error)),
            Ok(Err(error)) => Err(SendError::Uncertain { source: error.into() }),
            Err(elapsed) => Err(SendError::Uncertain { source: elapsed.into() }),
        }
    }

    /// Returns a connection that waits for the content.
    ///
    /// A kept one may have been closed by the server meanwhile; then a new one is made, as nothing is lost yet.
    async fn announce(&self, from: &Address, to: &Address) -> Result<AsyncSmtpConnection, SendError> {
        // Whether a server takes international addresses is asked anew.
        if let Some(mut kept) = self.take().filter(|_| !is_international(from, to)) {
            match send_envelope(&mut kept, from, to).await {
                Ok(()) => return Ok(kept),
                Err((step, error)) if is_answer(&error) => {
                    quit(kept).await;
                    return Err(refused(step, error));
                }
                Err(_gone) => {}
            }
        }
        let mut connection = self.server.connect().await?;
        if is_international(from, to) && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            self.keep(connection);
            return Err(UnbuildableMail::NeedsSmtpUtf8.into());
        }
        match send_envelope(&mut connection, from, to).await {
            Ok(()) => Ok(connection),
            Err((step, error)) => {
                quit(connection).await;
                Err(refused(step, error))
            }
        }
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}

async fn send_envelope(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
) -> Result<(), (&'static str, LettreError)> {
    // RFC 6531: also for the headers, which name the same addresses.
    let parameters = if is_international(from, to) {
        vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)]
    } else {
        vec![]
    };
    connection.command(Mail::new(Some(from.clone()), parameters)).await.map_err(|error| ("MAIL", error))?;
    connection.command(Rcpt::new(to.clone(), vec![])).await.map_err(|error| ("RCPT", error))?;
    connection.command(Data).await.map_err(|error| ("DATA", error))?;
    Ok(())
}

/// A mail as it follows DATA (RFC 5321, section 4.5.2): points that begin a line are doubled, one alone ends it.
///
/// Sent as a command is, as lettre looks at the content byte by byte, which is a quarter of what sending costs.
struct Content<'m>(&'m str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The end has a line break of its own.
        let content = self.0.strip_suffix("\r\n").unwrap_or(self.0);
        let mut from = 0;
        if content.starts_with('.') {
            f.write_str(".")?;
        }
        for line_break in memmem::find_iter(content.as_bytes(), b"\r\n.") {
            let point = line_break + 2;
            f.write_str(content.get(from..point).unwrap_or_default())?;
            f.write_str(".")?;
            from = point;
        }
        f.write_str(content.get(from..).unwrap_or_default())?;
        f.write_str("\r\n.\r\n")
    }
}

/// Tells whether an address holds more than ASCII; domains never do, they are punycode.
fn is_international(from: &Address, to: &Address) -> bool {
    [from, to].iter().any(|address| !address.user().is_ascii())
}

async fn quit(mut connection: AsyncSmtpConnection) {
    if timeout(QUIT_TIMEOUT, connection.abort()).await.is_err() {
        tracing::debug!("the mail server did not answer QUIT in time");
    }
}

/// Tells an answer about this mail from a connection that is gone or about to be (421).
fn is_answer(error: &LettreError) -> bool {
    error.status().is_some_and(|code| u16::from(code) != 421)
}

fn refused(step: &'static str, error: LettreError) -> SendError {
    match error.status().map(u16::from) {
        // RFC 4954, section 6: these speak of our login, not of the mail.
        Some(530 | 534 | 535 | 538) => temporary(step, error),
        Some(code) if error.is_permanent() => SendError::Rejected { code, reply: reply(&error) },
        // Whoever is refused at RCPT or later with another code than 421 is one recipient, or one mail.
        Some(code) if code != 421 && step != "MAIL" => {
            SendError::Temporary { step, is_servers: false, source: error.into() }
        }
        _ => temporary(step, error),
    }
}

fn reply(error: &LettreError) -> String {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    super::one_line::to_one_line(&text).chars().take(MAX_REPLY_CHARS).collect()
}

/// Trouble with the server, which any other mail would have met too.
pub(super) fn temporary(step: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> SendError {
    SendError::Temporary { step, is_servers: true, source: Box::new(source) }
}

impl fmt::Display for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if matches!(self.server.tls, Tls::Implicit(_)) { "smtps" } else { "smtp" };
        write!(f, "{scheme}://{}:{}", self.server.host, self.server.port)
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("server", &self.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            outgoing::tests::mail,
            sink::{Fault, Sink},
        },
        *,
    };

    async fn sink() -> (Sink, SmtpMailer) {
        let sink = Sink::start(None).await.expect("a port");
        let mailer = SmtpMailer::from_url(&sink.url().parse().expect("a URL")).expect("a mailer");
        (sink, mailer)
    }

    async fn send(mailer: &SmtpMailer) -> Result<(), SendError> {
        let mail = mail();
        mailer.send(mail.from.address(), mail.to.address(), &mail.to_bytes().expect("a mail")).await
    }

    /// What became of a mail and how many arrived.
    async fn outcome_of(fault: Fault) -> (Result<(), SendError>, usize) {
        let (sink, mailer) = sink().await;
        sink.plan(fault);
        let outcome = send(&mailer).await;
        let arrived = sink.received().len();
        send(&mailer).await.expect("the next mail goes through");
        (outcome, arrived)
    }

    #[tokio::test]
    async fn a_mail_arrives_byte_for_byte() {
        let (sink, mailer) = sink().await;
        send(&mailer).await.expect("sent");
        let received = sink.wait_for(1).await;
        assert_eq!(received[0].from, "billing@nimbus.example");
        assert_eq!(received[0].to, ["ana@acme.example"]);
        assert_eq!(received[0].content, mail().to_bytes().expect("a mail"));
    }

    #[test]
    fn points_that_begin_a_line_are_doubled_and_one_alone_ends_the_content() {
        for (content, sent) in [
            ("a: b\r\n\r\n.c\r\nd.e\r\n", "a: b\r\n\r\n..c\r\nd.e\r\n.\r\n"),
            (".\r\n..\r\n", "..\r\n...\r\n.\r\n"),
            ("a\n.b\r.c", "a\n.b\r.c\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(Content(content).to_string(), sent, "{content:?}");
        }
    }

    #[tokio::test]
    async fn connections_are_used_again() {
        let (sink, mailer) = sink().await;
        for _ in 0..5 {
            send(&mailer).await.expect("sent");
        }
        assert_eq!((sink.received().len(), sink.connections()), (5, 1));
    }

    #[tokio::test]
    async fn no_more_connections_are_made_than_allowed() {
        let sink = Sink::start(None).await.expect("a port");
        let url = format!("{}?connections=2", sink.url());
        let mailer = SmtpMailer::from_url(&url.parse().expect("a URL")).expect("a mailer");
        let outcomes = futures::future::join_all((0..20).map(|_| send(&mailer))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert!(sink.connections() <= 2, "{} connections", sink.connections());
    }

    #[tokio::test]
    async fn a_kept_connection_that_is_gone_costs_nothing() {
        let (sink, mailer) = sink().await;
        send(&mailer).await.expect("sent");
        sink.plan(Fault::DropBeforeContent);
        send(&mailer).await.expect("sent over a new connection");
        assert_eq!((sink.received().len(), sink.connections()), (2, 2));
    }

    #[tokio::test]
    async fn a_rejected_recipient_is_final() {
        let (outcome, arrived) = outcome_of(Fault::RejectRecipient).await;
        let Err(SendError::Rejected { code: 550, reply }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((reply.as_str(), arrived), ("5.1.1 no such mailbox", 0));
    }

    #[tokio::test]
    async fn rejected_content_is_final() {
        let (outcome, arrived) = outcome_of(Fault::RejectContent).await;
        assert!(matches!(outcome, Err(SendError::Rejected { code: 554, .. })), "{outcome:?}");
        assert_eq!(arrived, 0);
    }

    #[tokio::test]
    async fn a_busy_server_is_temporary() {
        let (outcome, arrived) = outcome_of(Fault::RefuseSender).await;
        assert!(matches!(outcome, Err(SendError::Temporary { step: "MAIL", .. })), "{outcome:?}");
        assert_eq!(arrived, 0);
    }

    #[tokio::test]
    async fn a_connection_lost_before_the_content_is_temporary() {
        let (outcome, arrived) = outcome_of(Fault::DropBeforeContent).await;
        assert!(matches!(outcome, Err(SendError::Temporary { step: "DATA", .. })), "{outcome:?}");
        assert_eq!(arrived, 0);
    }

    #[tokio::test]
    async fn a_connection_lost_during_the_content_is_uncertain() {
        let (outcome, arrived) = outcome_of(Fault::DropDuringContent).await;
        assert!(matches!(outcome, Err(SendError::Uncertain { .. })), "{outcome:?}");
        assert_eq!(arrived, 0);
    }

    #[tokio::test]
    async fn a_lost_confirmation_is_uncertain_although_the_mail_arrived() {
        let (outcome, arrived) = outcome_of(Fault::DropAfterContent).await;
        assert!(matches!(outcome, Err(SendError::Uncertain { .. })), "{outcome:?}");
        assert_eq!(arrived, 1);
    }

    #[tokio::test]
    async fn a_confirmation_that_does_not_come_is_uncertain() {
        let (sink, mailer) = sink().await;
        let mailer = SmtpMailer { content_timeout: Duration::from_millis(200), ..mailer };
        sink.plan(Fault::HangAfterContent);
        assert!(matches!(send(&mailer).await, Err(SendError::Uncertain { .. })));
        assert_eq!(sink.received().len(), 1);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_or_cannot_encrypt_is_temporary() {
        let (sink, mailer) = sink().await;
        let required = format!("{}?tls=required", sink.url()).parse().expect("a URL");
        let outcome = send(&SmtpMailer::from_url(&required).expect("a mailer")).await;
        assert!(matches!(outcome, Err(SendError::Temporary { step: "STARTTLS", .. })), "{outcome:?}");
        drop(sink);
        let unreachable = SmtpMailer::from_url(&"smtp://127.0.0.1:1".parse().expect("a URL")).expect("a mailer");
        let outcome = send(&unreachable).await;
        assert!(matches!(outcome, Err(SendError::Temporary { step: "connecting", .. })), "{outcome:?}");
        drop(mailer);
    }
}
