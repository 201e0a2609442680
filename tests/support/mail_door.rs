//! A mail server that speaks TLS and asks for a login, in front of a sink: what gets past it arrives there.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{Datelike, NaiveDate};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, crypto,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

pub const USER: &str = "billing@nimbus.example";
pub const PASSWORD: &str = "correct horse/battery";

/// When a door encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encrypts {
    Never,
    /// After STARTTLS, whose answer comes together with what is given here.
    WhenAsked(&'static str),
    AtOnce,
}

/// What a door asks of its callers.
#[derive(Clone)]
pub struct Manners {
    pub encrypts: Encrypts,
    pub certificate: Option<TlsAcceptor>,
    /// The one mechanism by which to log in, and the password; `None` lets everybody in.
    pub login: Option<(&'static str, &'static str)>,
    pub takes_international_addresses: bool,
    /// Turns everybody away.
    pub is_busy: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            encrypts: Encrypts::Never,
            certificate: None,
            login: None,
            takes_international_addresses: false,
            is_busy: false,
        }
    }
}

/// A door that is open as long as the value.
pub struct MailDoor {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    serving: JoinSet<()>,
}

/// The lines that came in, in clear and encrypted.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub callers: usize,
    pub in_clear: Vec<String>,
    pub encrypted: Vec<String>,
}

/// An authority that vouches for servers.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), file })
    }

    /// Vouches for a server of this name, which is past where it ended in the year given.
    pub fn vouch(&self, name: &str, last_year: i32) -> Result<TlsAcceptor> {
        self.vouch_until(name, NaiveDate::from_ymd_opt(last_year, 12, 31).context("a day")?)
    }

    /// Vouches for a server of this name, until a day.
    pub fn vouch_until(&self, name: &str, last_day: NaiveDate) -> Result<TlsAcceptor> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after =
            rcgen::date_time_ymd(last_day.year(), last_day.month().try_into()?, last_day.day().try_into()?);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl MailDoor {
    /// Opens a door to the sink at an address such as `smtp://127.0.0.1:25`.
    pub async fn open(sink: &str, manners: Manners) -> Result<Self> {
        Self::open_at(0, sink, manners).await
    }

    /// Opens a door at a port, where another one stood before.
    pub async fn open_at(port: u16, sink: &str, manners: Manners) -> Result<Self> {
        let sink = sink.strip_prefix("smtp://").context("an address")?.parse()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, sink, manners, Arc::clone(&heard)));
        Ok(Self { address, heard, serving })
    }

    /// Hangs up on everybody and leaves the port, which it returns, to whoever comes next.
    pub async fn close(mut self) -> u16 {
        self.serving.shutdown().await;
        self.address.port()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().expect("what was heard").clone()
    }
}

async fn serve(listener: TcpListener, sink: SocketAddr, manners: Manners, heard: Arc<Mutex<Heard>>) {
    let mut callers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (manners, heard) = (manners.clone(), Arc::clone(&heard));
        heard.lock().expect("what was heard").callers += 1;
        callers.spawn(async move {
            // Whoever hangs up, or does not like the certificate, is gone; the test looks at what arrived.
            let _ = receive(stream, Caller { sink, manners, heard, is_encrypted: false }).await;
        });
    }
}

async fn receive(stream: TcpStream, mut caller: Caller) -> Result<()> {
    let mut stream = stream;
    let certificate = caller.manners.certificate.clone();
    if caller.manners.is_busy {
        return stream.write_all(b"421 4.3.2 come back later\r\n").await.map_err(Into::into);
    }
    if caller.manners.encrypts == Encrypts::AtOnce {
        let stream = certificate.context("a certificate")?.accept(stream).await?;
        caller.is_encrypted = true;
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 door.localhost ESMTP\r\n").await?;
        caller.talk(stream).await.map(drop)
    } else {
        stream.write_all(b"220 door.localhost ESMTP\r\n").await?;
        let Some(stream) = caller.talk(BufReader::new(stream)).await? else { return Ok(()) };
        let stream = certificate.context("a certificate")?.accept(stream).await?;
        caller.is_encrypted = true;
        caller.talk(BufReader::new(stream)).await.map(drop)
    }
}

struct Caller {
    sink: SocketAddr,
    manners: Manners,
    heard: Arc<Mutex<Heard>>,
    is_encrypted: bool,
}

impl Caller {
    /// Talks until the caller is let through to the sink, or wants encryption: then its stream comes back.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: BufReader<S>) -> Result<Option<S>> {
        let mut is_known = self.manners.login.is_none();
        loop {
            let line = self.line(&mut stream).await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match (verb.as_str(), self.manners.encrypts) {
                ("EHLO", _) => stream.write_all(self.extensions().as_bytes()).await?,
                ("STARTTLS", Encrypts::WhenAsked(with)) if !self.is_encrypted => {
                    stream.write_all(format!("220 go ahead\r\n{with}").as_bytes()).await?;
                    return Ok(Some(stream.into_inner()));
                }
                ("AUTH", _) => {
                    is_known = self.knows(&mut stream, &line).await?;
                    let answer = if is_known { "235 welcome\r\n" } else { "535 5.7.8 unknown\r\n" };
                    stream.write_all(answer.as_bytes()).await?;
                }
                ("QUIT", _) => return stream.write_all(b"221 bye\r\n").await.map(|()| None).map_err(Into::into),
                _ if !is_known => stream.write_all(b"530 5.7.0 log in first\r\n").await?,
                _ => return self.let_through(stream, &line).await.map(|()| None),
            }
        }
    }

    async fn line<S: AsyncRead + Unpin>(&self, stream: &mut BufReader<S>) -> Result<String> {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the caller has hung up");
        }
        let line = line.trim_end().to_owned();
        let mut heard = self.heard.lock().expect("what was heard");
        if self.is_encrypted { &mut heard.encrypted } else { &mut heard.in_clear }.push(line.clone());
        Ok(line)
    }

    fn extensions(&self) -> String {
        let offers_tls = matches!(self.manners.encrypts, Encrypts::WhenAsked(_)) && !self.is_encrypted;
        let login = self.manners.login.map(|(mechanism, _)| format!("250-AUTH {mechanism}\r\n")).unwrap_or_default();
        format!(
            "250-door.localhost\r\n{}{login}{}250 8BITMIME\r\n",
            if offers_tls { "250-STARTTLS\r\n" } else { "" },
            if self.manners.takes_international_addresses { "250-SMTPUTF8\r\n" } else { "" },
        )
    }

    async fn knows<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufReader<S>, line: &str) -> Result<bool> {
        let (mechanism, password) = self.manners.login.context("a login")?;
        let given = match line.split(' ').collect::<Vec<_>>()[..] {
            ["AUTH", "LOGIN"] if mechanism == "LOGIN" => {
                let mut given = Vec::new();
                for question in ["Username:", "Password:"] {
                    stream.write_all(format!("334 {}\r\n", STANDARD.encode(question)).as_bytes()).await?;
                    given.push(decoded(&self.line(stream).await?)?);
                }
                given.join("\n")
            }
            ["AUTH", named, response] if named == mechanism => decoded(response)?,
            _ => bail!("another mechanism"),
        };
        Ok(given
            == match mechanism {
                "LOGIN" => format!("{USER}\n{password}"),
                "XOAUTH2" => format!("user={USER}\x01auth=Bearer {password}\x01\x01"),
                _ => format!("\0{USER}\0{password}"),
            })
    }

    /// Passes on what comes from here on, to a sink that has been greeted.
    async fn let_through<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: BufReader<S>, line: &str) -> Result<()> {
        let mut sink = BufReader::new(TcpStream::connect(self.sink).await?);
        sink.read_line(&mut String::new()).await?;
        sink.write_all(format!("{line}\r\n").as_bytes()).await?;
        copy_bidirectional(&mut stream, &mut sink).await?;
        Ok(())
    }
}

fn decoded(base64: &str) -> Result<String> {
    Ok(String::from_utf8(STANDARD.decode(base64)?)?)
}
