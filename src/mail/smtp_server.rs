//! One mail server as its URL names it, and how a connection to it begins: TLS, STARTTLS, login.
//!
//! STARTTLS is asked for here and not by lettre, which keeps what came along with the answer in its buffer and takes it
//! for encrypted: whoever sits in between could speak for the server (CVE-2011-0411).

use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism},
    client::{AsyncSmtpConnection, AsyncTokioStream},
    extension::ClientId,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use url::{Host, Url};

use super::{
    mailer::{InvalidMailerUrl, SendError},
    smtp::temporary,
    tls::{Encryption, Greeted},
};

/// Longest answer to EHLO or STARTTLS that is read.
const MAX_REPLY_BYTES: u64 = 16 * 1024;
/// How many connections at once, unless the URL says otherwise; servers commonly allow 10 to 20.
const CONNECTIONS: usize = 8;

/// Where to connect to, and as whom.
#[derive(Clone)]
pub(super) struct SmtpServer {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub connections: usize,
    credentials: Option<Credentials>,
    mechanisms: &'static [Mechanism],
    hello: ClientId,
}

/// How a connection is encrypted.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all: on this machine, or where somebody asked for it.
    None,
    /// Where the server offers it.
    Opportunistic(Encryption),
    /// By STARTTLS, or no mail is sent.
    Required(Encryption),
    /// From the first byte.
    Implicit(Encryption),
}

/// Why STARTTLS did not come about.
#[derive(Debug, thiserror::Error)]
enum StartTlsError {
    #[error(
        "the server does not offer STARTTLS, or somebody on the way hides it; use smtps://, or allow ?tls=opportunistic"
    )]
    NotOffered,
    #[error("the server's answer to STARTTLS came with more behind it, which somebody on the way may have added")]
    Injected,
    #[error("the server answered `{0}`")]
    Refused(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl SmtpServer {
    pub fn from_url(url: &Url) -> Result<Self, InvalidMailerUrl> {
        let host = match url.host() {
            Some(Host::Domain(host)) if !host.is_empty() => host.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(InvalidMailerUrl::Missing("host")),
        };
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let is_implicit = url.scheme() == "smtps";
        let mut tls = if is_here { "none" } else { "required" }.to_owned();
        let (mut hello, mut connections) = (ClientId::default(), CONNECTIONS);
        let (mut mechanisms, mut authorities) = (DEFAULT_MECHANISMS, None);
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "none" | "opportunistic" | "required") if !is_implicit => tls = value.into_owned(),
                ("ca", file) if file.starts_with('/') => authorities = Some(PathBuf::from(file)),
                ("auth", mechanism) => mechanisms = mechanisms_named(mechanism)?,
                ("hello", domain) if is_host_name(domain) => hello = ClientId::Domain(domain.to_owned()),
                ("connections", count) if count.parse().is_ok_and(|count: usize| (1..=1000).contains(&count)) => {
                    connections = count.parse().unwrap_or(CONNECTIONS);
                }
                (name, _) => return Err(InvalidMailerUrl::Option(name.chars().take(40).collect())),
            }
        }
        let credentials = credentials(url)?;
        if credentials.is_some() && !is_implicit && tls != "required" && !is_here {
            return Err(InvalidMailerUrl::PasswordInClear);
        }
        let encryption = || Encryption::new(&host, authorities.as_deref());
        let tls = match (is_implicit, tls.as_str()) {
            (true, _) => Tls::Implicit(encryption()?),
            (false, "required") => Tls::Required(encryption()?),
            (false, "opportunistic") => Tls::Opportunistic(encryption()?),
            (false, _) => Tls::None,
        };
        let port = url.port().unwrap_or(if is_implicit { 465 } else { 25 });
        Ok(Self { host, port, tls, connections, credentials, mechanisms, hello })
    }

    /// Returns the same server as it is seen after some time.
    pub fn seen_later(&self, by: Duration) -> Self {
        let tls = match &self.tls {
            Tls::None => Tls::None,
            Tls::Opportunistic(encryption) => Tls::Opportunistic(encryption.seen_later(by)),
            Tls::Required(encryption) => Tls::Required(encryption.seen_later(by)),
            Tls::Implicit(encryption) => Tls::Implicit(encryption.seen_later(by)),
        };
        Self { tls, ..self.clone() }
    }

    /// Tells whether connections log in.
    pub fn has_login(&self) -> bool {
        self.credentials.is_some()
    }

    /// Connects, encrypts and logs in.
    pub async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|source| temporary("connecting", source))?;
        // Or each mail waits for a delayed acknowledgement.
        stream.set_nodelay(true).map_err(|source| temporary("connecting", source))?;
        let stream: Box<dyn AsyncTokioStream> = match &self.tls {
            Tls::None => Box::new(stream),
            Tls::Implicit(encryption) => {
                let peer = stream.peer_addr().map_err(|source| temporary("connecting", source))?;
                let stream = encryption.encrypt(stream).await.map_err(|source| temporary("TLS", source))?;
                Box::new(Greeted::new(stream, peer, ""))
            }
            Tls::Opportunistic(encryption) | Tls::Required(encryption) => {
                let started = self.start_tls(stream, encryption).await;
                started.map_err(|source| temporary("STARTTLS", source))?
            }
        };
        let connected = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await;
        let mut connection = connected.map_err(|source| temporary("EHLO", source))?;
        if let Some(credentials) = &self.credentials {
            let known = connection.auth(self.mechanisms, credentials).await;
            known.map_err(|source| temporary("AUTH", source))?;
        }
        Ok(connection)
    }

    /// Speaks the part of the conversation that is in clear (RFC 3207), and keeps nothing of it but the greeting.
    async fn start_tls(
        &self,
        stream: TcpStream,
        encryption: &Encryption,
    ) -> Result<Box<dyn AsyncTokioStream>, StartTlsError> {
        let peer = stream.peer_addr()?;
        let mut clear = BufReader::new(stream);
        let greeting = read_reply(&mut clear, "220").await?;
        clear.write_all(format!("EHLO {}\r\n", self.hello).as_bytes()).await?;
        let extensions = read_reply(&mut clear, "250").await?;
        if !extensions.lines().any(|line| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS"))) {
            return match self.tls {
                Tls::Opportunistic(_) => Ok(Box::new(Greeted::new(clear.into_inner(), peer, greeting))),
                Tls::None | Tls::Required(_) | Tls::Implicit(_) => Err(StartTlsError::NotOffered),
            };
        }
        clear.write_all(b"STARTTLS\r\n").await?;
        read_reply(&mut clear, "220").await?;
        // What arrives later meets the handshake, which takes it for what it is: not TLS.
        if !clear.buffer().is_empty() {
            return Err(StartTlsError::Injected);
        }
        let stream = encryption.encrypt(clear.into_inner()).await?;
        Ok(Box::new(Greeted::new(stream, peer, greeting)))
    }
}

/// Reads a reply of one or more lines (RFC 5321, section 4.2.1) that has to begin with a code.
async fn read_reply(stream: &mut BufReader<TcpStream>, code: &str) -> Result<String, StartTlsError> {
    let mut reply = String::new();
    let mut limited = stream.take(MAX_REPLY_BYTES);
    loop {
        let line_at = reply.len();
        if limited.read_line(&mut reply).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let line = reply.get(line_at..).unwrap_or_default();
        if !line.starts_with(code) {
            return Err(StartTlsError::Refused(super::one_line::to_one_line(line).chars().take(200).collect()));
        }
        if line.get(3..4) != Some("-") {
            return Ok(reply);
        }
    }
}

fn mechanisms_named(name: &str) -> Result<&'static [Mechanism], InvalidMailerUrl> {
    match name {
        "plain" => Ok(&[Mechanism::Plain]),
        "login" => Ok(&[Mechanism::Login]),
        "xoauth2" => Ok(&[Mechanism::Xoauth2]),
        _ => Err(InvalidMailerUrl::Option("auth".to_owned())),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, InvalidMailerUrl> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() => {
            let user = percent_decoded(user).ok_or(InvalidMailerUrl::Missing("readable user"))?;
            let password = percent_decoded(password).ok_or(InvalidMailerUrl::Missing("readable password"))?;
            Ok(Some(Credentials::new(user, password)))
        }
        (_, Some(_)) => Err(InvalidMailerUrl::Missing("user")),
        (_, None) => Err(InvalidMailerUrl::Missing("password")),
    }
}

/// `None` where the bytes are no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let (digits, after) = encoded.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls_of(url: &str) -> &'static str {
        match SmtpServer::from_url(&url.parse().expect("a URL")).expect("a server").tls {
            Tls::None => "none",
            Tls::Opportunistic(_) => "opportunistic",
            Tls::Required(_) => "required",
            Tls::Implicit(_) => "implicit",
        }
    }

    #[test]
    fn off_this_machine_mail_is_encrypted_unless_somebody_says_otherwise() {
        for (url, tls) in [
            ("smtp://mail.example.com", "required"),
            ("smtp://user:secret@mail.example.com:587", "required"),
            ("smtp://192.0.2.1", "required"),
            ("smtp://localhost.example.com", "required"),
            ("smtp://mail.example.com?tls=none", "none"),
            ("smtp://mail.example.com?tls=opportunistic", "opportunistic"),
            ("smtps://mail.example.com", "implicit"),
            ("smtps://127.0.0.1", "implicit"),
            ("smtp://127.0.0.1", "none"),
            ("smtp://[::1]", "none"),
            ("smtp://localhost?tls=required", "required"),
        ] {
            assert_eq!(tls_of(url), tls, "{url}");
        }
    }

    #[test]
    fn passwords_are_percent_decoded() {
        assert_eq!(percent_decoded("a%40b%2Bc+d").as_deref(), Some("a@b+c+d"));
        for wrong in ["%", "%4", "%zz", "%ff", "%é"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
    }
}
