//! Redis over TLS: who the server is gets verified, against the authorities that `SSL_CERT_FILE` names.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::process::Command;

use crate::support::{
    bench::Bench,
    business::database_url,
    nodes::Node,
    worker::{DEADLINE, settled, streams},
};

/// A server that speaks TLS as `localhost`, and the authorities that did and did not sign for it.
struct Encrypted {
    folder: tempfile::TempDir,
    redis: Node,
    bench: Bench,
}

impl Encrypted {
    async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("br-tls-").tempdir_in("/tmp")?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let authority = write_authority(folder.path(), "right.pem")?;
        write_authority(folder.path(), "wrong.pem")?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
        fs::write(path("server.pem"), certificate.pem())?;
        fs::write(path("server.key"), key.serialize_pem())?;
        let (certificate, key, trusted) = (path("server.pem"), path("server.key"), path("right.pem"));
        let redis = Node::start(|port| {
            format!(
                "tls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {trusted}\n\
                 tls-auth-clients no"
            )
        })
        .await?;
        Ok(Self { folder, redis, bench: Bench::on(streams()?).await? })
    }

    /// Names a command of billrunner that reaches the server under a name and trusts one of the authorities.
    async fn billrunner(&self, host: &str, trusted: &str, arguments: &[&str]) -> Result<Command> {
        let (_, port): (String, u16) = self.redis.ask("CONFIG GET tls-port").await?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        command
            .args(arguments)
            .env("DATABASE_URL", database_url(self.bench.pool()).await?)
            .env("REDIS_URL", format!("rediss://{host}:{port}"))
            .env("SSL_CERT_FILE", self.folder.path().join(trusted))
            .env("SMTP_URL", format!("file://{}", self.folder.path().display()))
            .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", self.folder.path().display()))
            .env("BILLRUNNER_LOG", "error")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Checks the settings and returns the exit code with what was printed.
    async fn check(&self, host: &str, trusted: &str) -> Result<(Option<i32>, String)> {
        let checked = self.billrunner(host, trusted, &["config", "check"]).await?.output();
        let checked = tokio::time::timeout(DEADLINE, checked).await.context("the check does not end")??;
        Ok((checked.status.code(), String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned()))
    }
}

fn write_authority(folder: &Path, name: &str) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(folder.join(name), params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

#[tokio::test]
async fn jobs_run_over_an_encrypted_connection() -> Result<()> {
    let encrypted = Encrypted::start().await?;
    let (code, printed) = encrypted.check("localhost", "right.pem").await?;
    assert_eq!(code, Some(0), "{printed}");
    let worker = encrypted.billrunner("localhost", "right.pem", &["worker"]).await?.spawn()?;
    let payload = format!(r#"{{"reseller_id":"{0}","invoice_id":"{0}"}}"#, uuid::Uuid::now_v7());
    let enqueued = encrypted.bench.billrunner(&["enqueue", "discard_invoice", &payload]).await?;
    assert!(enqueued.status.success(), "{}", String::from_utf8_lossy(&enqueued.stderr));
    settled(encrypted.bench.pool()).await?;
    drop(worker);
    Ok(())
}

#[tokio::test]
async fn a_server_that_another_authority_vouches_for_is_refused() -> Result<()> {
    let encrypted = Encrypted::start().await?;
    let (code, printed) = encrypted.check("localhost", "wrong.pem").await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("UnknownIssuer") && printed.contains("SSL_CERT_FILE"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_server_under_another_name_is_refused() -> Result<()> {
    let encrypted = Encrypted::start().await?;
    let (code, printed) = encrypted.check("127.0.0.1", "right.pem").await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("not valid for name"), "{printed}");
    Ok(())
}
