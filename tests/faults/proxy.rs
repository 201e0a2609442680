//! A way from one process to one server, in TCP: it can be slow, silent or cut, and be led to another server.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
};

/// What is read in one go.
const CHUNK_BYTES: usize = 16 * 1024;

/// Where a way leads.
#[derive(Clone, Debug)]
pub enum Server {
    Port(u16),
    Socket(PathBuf),
}

/// How a way is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Open,
    /// Whatever passes takes this much longer.
    Slow(Duration),
    /// Nothing passes, and nobody hangs up: a black hole.
    Silent,
    /// Everybody is hung up on.
    Cut,
}

#[derive(Clone, Copy)]
struct State {
    way: Way,
    /// Raised by each cut: connections of before are closed, however short it was.
    cuts: u64,
}

/// A way that lives as long as the value.
pub struct Proxy {
    pub port: u16,
    server: Arc<Mutex<Server>>,
    state: watch::Sender<State>,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: Server) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let server = Arc::new(Mutex::new(server));
        let state = watch::Sender::new(State { way: Way::Open, cuts: 0 });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&server), state.subscribe()));
        Ok(Self { port, server, state, _serving: serving })
    }

    pub fn set(&self, way: Way) {
        self.state.send_modify(|state| {
            state.way = way;
            state.cuts += u64::from(way == Way::Cut);
        });
    }

    /// Leads to another server from now on, and hangs up on everybody.
    pub fn lead_to(&self, server: Server) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn serve(listener: TcpListener, server: Arc<Mutex<Server>>, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        connections.spawn(pass(client, server, state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes one connection on until either side, or a cut, ends it.
async fn pass(client: TcpStream, server: Server, mut state: watch::Receiver<State>) {
    let cuts = state.borrow_and_update().cuts;
    if state.borrow().way == Way::Cut || client.set_nodelay(true).is_err() {
        return;
    }
    let until_cut = state.clone();
    let passing = async {
        match server {
            Server::Port(port) => {
                let upstream = TcpStream::connect(("127.0.0.1", port)).await?;
                upstream.set_nodelay(true)?;
                both_ways(client, upstream, &state).await
            }
            Server::Socket(path) => both_ways(client, UnixStream::connect(path).await?, &state).await,
        }
    };
    tokio::select! {
        // Whoever hung up is gone; those who talked notice by themselves.
        _ended = passing => {}
        () = cut_after(until_cut, cuts) => {}
    }
}

async fn cut_after(mut state: watch::Receiver<State>, cuts: u64) {
    let _gone = state.wait_for(|state| state.cuts > cuts).await;
}

async fn both_ways<S: AsyncRead + AsyncWrite>(
    client: TcpStream,
    upstream: S,
    state: &watch::Receiver<State>,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    tokio::select! {
        ended = one_way(&mut from_client, &mut to_upstream, state.clone()) => ended,
        ended = one_way(&mut from_upstream, &mut to_client, state.clone()) => ended,
    }
}

async fn one_way(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let way = state.wait_for(|state| state.way != Way::Silent).await.map(|state| state.way);
        if let Ok(Way::Slow(delay)) = way {
            tokio::time::sleep(delay).await;
        }
        to.write_all(bytes).await?;
    }
}
