//! Mail servers that encrypt and ask who calls, and those that only pretend to: nothing goes to the wrong one, and no
//! password is ever sent in clear.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use billrunner::mail::{Mailer, SendError, sink::Sink};

use crate::support::{
    letter::{self, letter},
    mail_door::{Authority, Encrypts, Heard, MailDoor, Manners, PASSWORD, USER},
};

/// A door in front of a sink, and the authority that its callers trust.
struct Scene {
    sink: Sink,
    door: MailDoor,
    authority: Authority,
    _folder: tempfile::TempDir,
}

const FAR_OFF: i32 = 2099;
const STARTTLS: Encrypts = Encrypts::WhenAsked("");

impl Scene {
    /// Opens a door whose certificate is made by the function, from the authority that is trusted and one that is not.
    async fn with(
        manners: Manners,
        certificate: impl Fn(&Authority, &Authority) -> Result<tokio_rustls::TlsAcceptor>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new(folder.path(), "right")?;
        let other = Authority::new(folder.path(), "wrong")?;
        let sink = Sink::start(None).await?;
        let manners = Manners { certificate: Some(certificate(&authority, &other)?), ..manners };
        let door = MailDoor::open(&sink.url(), manners).await?;
        Ok(Self { sink, door, authority, _folder: folder })
    }

    async fn open(encrypts: Encrypts, login: Option<(&'static str, &'static str)>) -> Result<Self> {
        let manners = Manners { encrypts, login, ..Manners::default() };
        Self::with(manners, |right, _| right.vouch("localhost", FAR_OFF)).await
    }

    fn mailer(&self, scheme: &str, login: &str, options: &str) -> Result<Mailer> {
        let (port, authorities) = (self.door.port(), self.authority.file.display());
        Ok(Mailer::from_url(&format!("{scheme}://{login}localhost:{port}?ca={authorities}{options}"))?)
    }

    /// Sends a mail that must not get through, and returns at which step that ended, with all causes.
    async fn refused(&self, mailer: &Mailer) -> Result<String> {
        let Err(SendError::Temporary { step, source, is_servers: true }) =
            mailer.send(&letter("ana@acme.example")).await
        else {
            anyhow::bail!("it is no temporary trouble with the server");
        };
        assert!(self.sink.received().is_empty(), "nothing arrives");
        let mut told = format!("{step}: {source}");
        let mut cause = source.source();
        while let Some(error) = cause {
            told = format!("{told}: {error}");
            cause = error.source();
        }
        Ok(told)
    }
}

/// The login as it stands in a URL.
fn login() -> String {
    format!("{}:{}@", USER.replace('@', "%40"), PASSWORD.replace('/', "%2F").replace(' ', "%20"))
}

fn holds_secret(lines: &[String]) -> bool {
    let secrets = [PASSWORD.to_owned(), STANDARD.encode(PASSWORD), STANDARD.encode(format!("\0{USER}\0{PASSWORD}"))];
    lines.iter().any(|line| line.starts_with("AUTH") || secrets.iter().any(|secret| line.contains(secret)))
}

#[tokio::test]
async fn a_mail_arrives_encrypted_whichever_way_the_server_encrypts_and_asks_who_calls() -> Result<()> {
    for (encrypts, scheme, options) in [(Encrypts::AtOnce, "smtps", ""), (STARTTLS, "smtp", "&tls=required")] {
        for mechanism in ["PLAIN", "LOGIN", "XOAUTH2"] {
            let scene = Scene::open(encrypts, Some((mechanism, PASSWORD))).await?;
            let options = format!("{options}&auth={}", mechanism.to_lowercase());
            let mailer = scene.mailer(scheme, &login(), &options)?;
            for _ in 0..2 {
                mailer.send(&letter("ana@acme.example")).await?;
            }
            let received = scene.sink.received();
            assert_eq!(received.len(), 2);
            assert_eq!(received[0].content, letter("ana@acme.example").to_bytes()?, "byte for byte");
            let Heard { in_clear, encrypted, .. } = scene.door.heard();
            let expected: &[&str] = if scheme == "smtps" { &[] } else { &["EHLO [127.0.0.1]", "STARTTLS"] };
            assert_eq!(in_clear, expected);
            assert!(encrypted.iter().filter(|line| line.starts_with("AUTH")).count() == 1, "one connection for both");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_gets_nothing() -> Result<()> {
    type Certificate = fn(&Authority, &Authority) -> Result<tokio_rustls::TlsAcceptor>;
    let cases: [(Certificate, &str); 3] = [
        (|_, wrong| wrong.vouch("localhost", FAR_OFF), "UnknownIssuer"),
        (|right, _| right.vouch("other.example", FAR_OFF), "not valid for name"),
        (|right, _| right.vouch("localhost", 2020), "expired"),
    ];
    for (certificate, why) in cases {
        for (encrypts, scheme, options, step) in
            [(Encrypts::AtOnce, "smtps", "", "TLS"), (STARTTLS, "smtp", "&tls=required", "STARTTLS")]
        {
            let manners = Manners { encrypts, login: Some(("PLAIN", PASSWORD)), ..Manners::default() };
            let scene = Scene::with(manners, certificate).await?;
            let told = scene.refused(&scene.mailer(scheme, &login(), options)?).await?;
            assert!(told.starts_with(&format!("{step}: ")) && told.contains(why), "{told}");
            let heard = scene.door.heard();
            assert!(!holds_secret(&heard.in_clear) && heard.encrypted.is_empty(), "{heard:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_whose_starttls_is_missing_or_taken_away_gets_nothing() -> Result<()> {
    let scene = Scene::open(Encrypts::Never, Some(("PLAIN", PASSWORD))).await?;
    let told = scene.refused(&scene.mailer("smtp", &login(), "&tls=required")?).await?;
    assert!(told.contains("does not offer STARTTLS"), "{told}");
    assert_eq!(scene.door.heard().in_clear, ["EHLO [127.0.0.1]"]);
    Ok(())
}

#[tokio::test]
async fn where_encryption_is_left_to_the_server_it_is_used_if_offered() -> Result<()> {
    for (encrypts, is_encrypted) in [(Encrypts::Never, false), (STARTTLS, true)] {
        let scene = Scene::open(encrypts, None).await?;
        scene.mailer("smtp", "", "&tls=opportunistic")?.send(&letter("ana@acme.example")).await?;
        assert_eq!(scene.sink.received().len(), 1);
        assert_eq!(scene.door.heard().encrypted.iter().any(|line| line.starts_with("MAIL")), is_encrypted);
    }
    Ok(())
}

#[tokio::test]
async fn what_somebody_adds_to_the_answer_to_starttls_is_never_taken_for_the_servers_word() -> Result<()> {
    // As if the server took a login by a mechanism that shows the password, and then the mail (CVE-2011-0411).
    let added = "250-door.localhost\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 OK\r\n";
    let scene = Scene::open(Encrypts::WhenAsked(added), Some(("LOGIN", PASSWORD))).await?;
    let told = scene.refused(&scene.mailer("smtp", &login(), "&tls=required")?).await?;
    assert!(told.contains("came with more behind it"), "{told}");
    let heard = scene.door.heard();
    assert!(!holds_secret(&heard.in_clear) && heard.encrypted.is_empty(), "{heard:?}");
    Ok(())
}

#[tokio::test]
async fn a_login_that_is_refused_is_tried_again_later_and_nothing_is_sent() -> Result<()> {
    for mechanism in ["PLAIN", "LOGIN", "XOAUTH2"] {
        let scene = Scene::open(Encrypts::AtOnce, Some((mechanism, "another password"))).await?;
        let options = format!("&auth={}", mechanism.to_lowercase());
        let mailer = scene.mailer("smtps", &login(), &options)?;
        let told = scene.refused(&mailer).await?;
        assert!(told.starts_with("AUTH: ") && told.contains("535"), "{told}");
        assert!(!told.contains(PASSWORD) && !told.contains(&STANDARD.encode(PASSWORD)), "{told}");
        assert!(!scene.door.heard().encrypted.iter().any(|line| line.starts_with("MAIL")));
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_wants_a_login_or_another_kind_of_it_is_named_as_the_trouble() -> Result<()> {
    let scene = Scene::open(Encrypts::AtOnce, Some(("PLAIN", PASSWORD))).await?;
    let told = scene.refused(&scene.mailer("smtps", "", "")?).await?;
    assert!(told.starts_with("MAIL: ") && told.contains("530"), "{told}");
    let told = scene.refused(&scene.mailer("smtps", &login(), "&auth=xoauth2")?).await?;
    assert!(told.starts_with("AUTH: "), "{told}");
    Ok(())
}

#[tokio::test]
async fn an_international_address_goes_where_the_server_takes_it_and_fails_for_good_elsewhere() -> Result<()> {
    let to = "añá@bücher.example";
    for takes_international_addresses in [true, false] {
        let sink = Sink::start(None).await?;
        let manners = Manners { takes_international_addresses, ..Manners::default() };
        let door = MailDoor::open(&sink.url(), manners).await?;
        let mailer = Mailer::from_url(&format!("smtp://127.0.0.1:{}", door.port()))?;
        let outcome = mailer.send(&letter(to)).await;
        if takes_international_addresses {
            outcome?;
            let received = sink.received();
            assert_eq!(received[0].to, ["añá@xn--bcher-kva.example"]);
            let mail = door.heard().in_clear.into_iter().find(|line| line.starts_with("MAIL")).context("MAIL")?;
            assert!(mail.ends_with("> SMTPUTF8 BODY=8BITMIME"), "{mail}");
            assert!(String::from_utf8(received[0].content.clone())?.contains("<añá@xn--bcher-kva.example>"));
        } else {
            let refused = outcome.expect_err("refused");
            assert!(
                matches!(refused, SendError::Unbuildable(_)) && refused.to_string().contains("SMTPUTF8"),
                "{refused}"
            );
            assert!(sink.received().is_empty() && !refused.is_servers());
            mailer.send(&letter(letter::TO)).await?;
            assert_eq!(sink.received().len(), 1, "others are still taken");
        }
    }
    Ok(())
}
