//! Postgres off this machine: it is talked to over TLS and under its name, or not at all, unless the URL says otherwise.
//!
//! The address 0.0.0.0 leads to this machine and is none of its loopback addresses: nothing here knows that it stays.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    process::Command,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::support::{TestDatabase, business::database_url, mail_door::Authority, worker::DEADLINE};

const ELSEWHERE: &str = "0.0.0.0";
const FAR_OFF: i32 = 2099;
/// What a client sends before all else where it wants TLS: the length of the message and a number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A way to Postgres over TCP that offers TLS, or does not.
struct Door {
    port: u16,
    in_clear: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Door {
    async fn open(socket: PathBuf, certificate: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, in_clear) = (listener.local_addr()?.port(), Arc::<AtomicUsize>::default());
        let mut serving = JoinSet::new();
        let heard = in_clear.clone();
        serving.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                callers.spawn(pass_on(caller, socket.clone(), certificate.clone(), heard.clone()));
            }
        });
        Ok(Self { port, in_clear, _serving: serving })
    }
}

/// Passes what a caller says on to the server, in clear where no TLS is offered or asked for.
async fn pass_on(
    mut caller: TcpStream,
    socket: PathBuf,
    certificate: Option<TlsAcceptor>,
    in_clear: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut server = UnixStream::connect(socket).await?;
    let mut first = [0; SSL_REQUEST.len()];
    caller.read_exact(&mut first).await?;
    if first == SSL_REQUEST {
        if let Some(certificate) = certificate {
            caller.write_all(b"S").await?;
            let mut caller = certificate.accept(caller).await?;
            return copy_bidirectional(&mut caller, &mut server).await.map(drop);
        }
        caller.write_all(b"N").await?;
        // Whoever wants TLS hangs up now.
        caller.read_exact(&mut first).await?;
    }
    in_clear.fetch_add(1, Ordering::Relaxed);
    server.write_all(&first).await?;
    copy_bidirectional(&mut caller, &mut server).await.map(drop)
}

/// Lists jobs by way of a door, and returns whether that went well with what was said.
async fn list_jobs(database: &str, host: &str, door: &Door, query: &str, trusted: &Path) -> Result<(bool, String)> {
    let name = Url::parse(database)?.path().to_owned();
    let listed = Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .args(["jobs", "list"])
        .env("DATABASE_URL", format!("postgres://postgres@{host}:{}{name}{query}", door.port))
        .env("SSL_CERT_FILE", trusted)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, listed).await.context("the command does not end")??;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[tokio::test]
async fn off_this_machine_only_a_server_that_proves_its_name_is_talked_to() -> Result<()> {
    let test = TestDatabase::new().await?;
    let database = database_url(&test.pool).await?;
    let url = Url::parse(&database)?;
    let socket = url.query_pairs().find(|(name, _)| name == "host").context("a socket")?.1.into_owned();
    let socket = Path::new(&socket).join(".s.PGSQL.5432");
    let folder = tempfile::tempdir()?;
    let (right, wrong) = (Authority::new(folder.path(), "right")?, Authority::new(folder.path(), "wrong")?);
    let vouched = Door::open(socket.clone(), Some(right.vouch(ELSEWHERE, FAR_OFF)?)).await?;
    let of_another = Door::open(socket.clone(), Some(wrong.vouch(ELSEWHERE, FAR_OFF)?)).await?;
    let misnamed = Door::open(socket.clone(), Some(right.vouch("localhost", FAR_OFF)?)).await?;
    let plain = Door::open(socket, None).await?;
    for (what, door, host, query, is_taken) in [
        ("the server", &vouched, ELSEWHERE, "", true),
        ("another authority", &of_another, ELSEWHERE, "", false),
        ("another name", &misnamed, ELSEWHERE, "", false),
        ("no TLS", &plain, ELSEWHERE, "", false),
        ("another authority, as asked", &of_another, ELSEWHERE, "?sslmode=require", true),
        ("no TLS, as asked", &plain, ELSEWHERE, "?sslmode=disable", true),
        ("no TLS on this machine", &plain, "127.0.0.1", "", true),
    ] {
        let before = door.in_clear.load(Ordering::Relaxed);
        let (is_well, said) = list_jobs(&database, host, door, query, &right.file).await?;
        ensure!(is_well == is_taken, "{what}: {said}");
        ensure!(is_taken || said.contains("SSL_CERT_FILE"), "{what}: {said}");
        let went_in_clear = door.in_clear.load(Ordering::Relaxed) > before;
        ensure!(went_in_clear == (is_taken && std::ptr::eq(door, &raw const plain)), "{what}: {said}");
    }
    Ok(())
}
