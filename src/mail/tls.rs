//! Encryption between here and the mail server, for [`SmtpServer`](super::smtp_server::SmtpServer).
//!
//! The certificate must be valid, for the name in the URL, and signed by an authority that is trusted: those of the
//! system (or of `SSL_CERT_FILE`), or those of one file alone. Nothing switches that off.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto,
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
        time_provider::TimeProvider,
    },
};

use super::mailer::InvalidMailerUrl;

/// Encrypts connections to one host.
#[derive(Clone)]
pub(super) struct Encryption {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl Encryption {
    /// Trusts the authorities of a PEM file, or those of the system.
    pub fn new(host: &str, authorities: Option<&Path>) -> Result<Self, InvalidMailerUrl> {
        let unusable = |error: &dyn std::fmt::Display| InvalidMailerUrl::Authorities(error.to_string());
        let host = ServerName::try_from(host.to_owned()).map_err(|_| InvalidMailerUrl::Missing("host"))?;
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(file) => {
                for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                    roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        if roots.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), host })
    }

    /// Returns what will encrypt after some time: certificates that have ended by then are not trusted.
    pub fn seen_later(&self, by: Duration) -> Self {
        let mut config = ClientConfig::clone(self.connector.config());
        config.time_provider = Arc::new(Later(by));
        // A session that is taken up again shows no certificate.
        config.resumption = Resumption::disabled();
        Self { connector: TlsConnector::from(Arc::new(config)), host: self.host.clone() }
    }

    /// Shakes hands; fails where the server is not who it should be.
    pub async fn encrypt(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.host.clone(), stream).await
    }
}

/// The clock of somebody who looks back.
#[derive(Debug)]
struct Later(Duration);

impl TimeProvider for Later {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        Some(UnixTime::since_unix_epoch(now + self.0))
    }
}

/// A connection whose greeting was read already: lettre, which waits for one, reads it again.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    peer: SocketAddr,
    greeting: Bytes,
}

impl<S> Greeted<S> {
    pub fn new(stream: S, peer: SocketAddr, greeting: impl Into<Bytes>) -> Self {
        Self { stream, peer, greeting: greeting.into() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.greeting.len().min(buffer.remaining());
        buffer.put_slice(&self.greeting.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream for Greeted<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
