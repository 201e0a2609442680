//! A small real SMTP server that keeps what it is sent: for `billrunner demo`, for measuring, and for tests that break it
//! on purpose.
//!
//! It listens on this machine only, at a port of the system's choosing, and stops when dropped.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use mail_parser::{Message, MessageParser};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use self::script::Fault;
use self::script::Script;
use super::mailer::write_file;

mod script;

/// A mail as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMail {
    /// From MAIL.
    pub from: String,
    /// From RCPT.
    pub to: Vec<String>,
    /// Header and body, dot-stuffing undone.
    pub content: Vec<u8>,
}

/// The running server.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    folder: Option<PathBuf>,
    received: watch::Sender<Vec<ReceivedMail>>,
    /// How often each Message-ID came, where nothing else is kept.
    counted: Option<Mutex<HashMap<String, u32>>>,
    script: Script,
    connections: AtomicUsize,
}

impl Sink {
    /// Starts to listen; each mail is also written to the folder, if there is one, as `1.eml`, `2.eml`, ….
    ///
    /// # Errors
    /// When the system has no port left.
    pub async fn start(folder: Option<PathBuf>) -> io::Result<Self> {
        Self::listen(folder, None).await
    }

    /// Starts to listen, and keeps of each mail its Message-ID only: for more mails than memory holds.
    ///
    /// # Errors
    /// When the system has no port left.
    pub async fn start_counting() -> io::Result<Self> {
        Self::listen(None, Some(Mutex::default())).await
    }

    async fn listen(folder: Option<PathBuf>, counted: Option<Mutex<HashMap<String, u32>>>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder,
            received: watch::Sender::default(),
            counted,
            script: Script::default(),
            connections: AtomicUsize::new(0),
        });
        let server = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Returns the URL to make a [`Mailer`](super::Mailer) from.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Returns all mails so far, in the order they came.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.shared.received.borrow().clone()
    }

    /// Returns how often each Message-ID came, without its angle brackets, where mails are counted.
    pub fn counts(&self) -> HashMap<String, u32> {
        let counted = self.shared.counted.as_ref();
        counted.map(|counted| counted.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Waits until there are this many mails and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<ReceivedMail> {
        let mut received = self.shared.received.subscribe();
        let enough = received.wait_for(|mails| mails.len() >= count).await.map(|mails| mails.clone());
        enough.unwrap_or_else(|_| self.received())
    }

    /// Has the next mail without a fault planned for it meet this one.
    pub fn plan(&self, fault: Fault) {
        self.shared.script.plan(fault);
    }

    /// Has the next mails to this address meet these faults, one each, in this order.
    pub fn plan_for(&self, recipient: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.script.plan_for(recipient, faults);
    }

    /// Says nothing to new connections, as a server does that is overrun, until [`Sink::greet`].
    pub fn keep_silent(&self) {
        self.shared.script.set_silent(true);
    }

    /// Greets those that wait, and new ones.
    pub fn greet(&self) {
        self.shared.script.set_silent(false);
    }

    /// Returns how many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    async fn keep(&self, mail: ReceivedMail) -> io::Result<()> {
        if let Some(counted) = &self.counted {
            let parsed = MessageParser::default().parse_headers(&mail.content);
            let id = parsed.as_ref().and_then(Message::message_id).unwrap_or_default().to_owned();
            *counted.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
            return Ok(());
        }
        let mut number = 0;
        let content = mail.content.clone();
        self.received.send_modify(|mails| {
            mails.push(mail);
            number = mails.len();
        });
        if let Some(folder) = self.folder.clone() {
            let name = format!("{number}.eml");
            tokio::task::spawn_blocking(move || write_file(&folder, &name, &content)).await??;
        }
        Ok(())
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which closes every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            if let Err(error) = converse(stream, &shared).await {
                tracing::debug!(%error, "a connection to the mail sink broke");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one connection; returns when either side has had enough.
async fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    shared.script.may_greet().await;
    stream.write_all(b"220 sink.localhost ESMTP\r\n").await?;
    let (mut from, mut to, mut fault) = (String::new(), Vec::new(), None);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let command = line.trim_end().to_owned();
        line.clear();
        let reply = match command.to_ascii_uppercase().get(..4) {
            Some("EHLO") => "250-sink.localhost\r\n250 8BITMIME\r\n",
            Some("HELO" | "NOOP") => "250 OK\r\n",
            Some("RSET") => {
                to.clear();
                "250 OK\r\n"
            }
            Some("MAIL") => {
                fault = shared.script.next();
                (from, to) = (bracketed(&command), Vec::new());
                if fault == Some(Fault::RefuseSender) { "451 try again later\r\n" } else { "250 OK\r\n" }
            }
            Some("RCPT") => {
                let recipient = bracketed(&command);
                fault = fault.or_else(|| shared.script.next_for(&recipient));
                fault.and_then(Fault::answer_to_recipient).unwrap_or_else(|| {
                    to.push(recipient);
                    "250 OK\r\n"
                })
            }
            Some("DATA") if fault == Some(Fault::DropBeforeContent) => return Ok(()),
            Some("DATA") if fault == Some(Fault::HangBeforeContent) => std::future::pending().await,
            Some("DATA") if to.is_empty() => "503 RCPT first\r\n",
            Some("DATA") => {
                let envelope = (std::mem::take(&mut from), std::mem::take(&mut to));
                let Some(reply) = take_content(&mut stream, shared, fault, envelope).await? else { return Ok(()) };
                reply
            }
            Some("QUIT") => return stream.write_all(b"221 bye\r\n").await,
            _ => "502 unknown\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
        if reply.starts_with("421") {
            return Ok(());
        }
    }
    Ok(())
}

/// Asks for the content, keeps it or not, and returns what is said to it; `None` hangs up.
async fn take_content(
    stream: &mut BufReader<TcpStream>,
    shared: &Shared,
    fault: Option<Fault>,
    (from, to): (String, Vec<String>),
) -> io::Result<Option<&'static str>> {
    stream.write_all(b"354 go ahead\r\n").await?;
    if fault == Some(Fault::DropDuringContent) {
        return Ok(None);
    }
    let content = read_content(stream).await?;
    if let Some(answer) = fault.and_then(Fault::answer_to_content) {
        return Ok(Some(answer));
    }
    shared.keep(ReceivedMail { from, to, content }).await?;
    match fault {
        Some(Fault::DropAfterContent) => Ok(None),
        Some(Fault::HangAfterContent) => std::future::pending().await,
        _ => Ok(Some("250 OK\r\n")),
    }
}

/// Reads up to the line that holds a single dot and undoes dot-stuffing (RFC 5321, section 4.5.2).
async fn read_content(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let (mut content, mut line) = (Vec::new(), Vec::new());
    while stream.read_until(b'\n', &mut line).await? > 0 {
        if line == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        line.clear();
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn bracketed(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
