//! Signs mails with the key of their sender's domain (DKIM, RFC 6376; Ed25519 by RFC 8463).
//!
//! Keys are files `<domain>.<selector>.pem` of one folder, as openssl writes them. A mail from a domain with several keys
//! bears a signature of each; one from a domain without a key bears none. The same mail is signed with the same bytes.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject};

/// What is signed where it is there. Once more than it is there, so that nobody can add another one.
const SIGNED: [&str; 11] = [
    "from",
    "to",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-language",
    "auto-submitted",
    "list-unsubscribe",
];
const NAMES_A_LINE: usize = 4;
const BASE64_CHARS_A_LINE: usize = 72;

/// The keys of all domains.
#[derive(Default)]
pub struct DkimKeys {
    by_domain: BTreeMap<String, Vec<DkimKey>>,
}

struct DkimKey {
    selector: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Says which key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDkimKey {
    /// The folder or a file in it.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not `<domain>.<selector>.pem`.
    #[error("`{0}` names no domain and selector; write <domain>.<selector>.pem, such as example.com.2026a.pem")]
    Name(String),
    /// Not a private key of a kind that DKIM knows.
    #[error("{} holds no RSA key of 2048 to 4096 bits and no Ed25519 key; see docs/MAIL.md", .0.display())]
    Key(PathBuf),
}

/// Says that a mail could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the mail could not be signed")]
pub struct Unsigned;

impl DkimKeys {
    /// Reads all keys of a folder; what does not end in `.pem` is not looked at.
    ///
    /// # Errors
    /// [`InvalidDkimKey`] for the first that cannot be used.
    pub fn from_folder(folder: &Path) -> Result<Self, InvalidDkimKey> {
        let unreadable = |source| InvalidDkimKey::Unreadable { path: folder.to_owned(), source };
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
        paths.sort();
        let mut by_domain: BTreeMap<String, Vec<DkimKey>> = BTreeMap::new();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            let (domain, selector) = name
                .rsplit_once('.')
                .filter(|parts| is_label(parts.1) && parts.0.split('.').all(is_label))
                .ok_or_else(|| InvalidDkimKey::Name(super::one_line::to_one_line(&name)))?;
            let pair = Pair::read(&path)?;
            by_domain.entry(domain.to_owned()).or_default().push(DkimKey { selector: selector.to_owned(), pair });
        }
        Ok(Self { by_domain })
    }

    /// Puts a signature of each of the domain's keys before a mail.
    ///
    /// # Errors
    /// When a key does not sign, which leaves no mail to be sent.
    pub fn sign(&self, mail: Vec<u8>, domain: &str, at: DateTime<Utc>) -> Result<Vec<u8>, Unsigned> {
        let domain = domain.to_ascii_lowercase();
        let Some(keys) = self.by_domain.get(&domain) else { return Ok(mail) };
        let end = memchr::memmem::find(&mail, b"\r\n\r\n").ok_or(Unsigned)?;
        let (header, body) = mail.split_at(end + 2);
        let fields = fields(&String::from_utf8_lossy(header));
        let body = simple_body(body.get(2..).unwrap_or_default());
        let body_hash = BASE64.encode(Sha256::digest(body).as_slice());
        let mut signed = Vec::with_capacity(mail.len() + 1_024 * keys.len());
        for key in keys {
            let signature = key.signature_field(&domain, at, &fields, &body_hash)?;
            signed.extend_from_slice(signature.as_bytes());
        }
        signed.extend_from_slice(&mail);
        Ok(signed)
    }
}

impl DkimKey {
    /// Returns the whole field `DKIM-Signature`.
    fn signature_field(
        &self,
        domain: &str,
        at: DateTime<Utc>,
        fields: &[(String, String)],
        body_hash: &str,
    ) -> Result<String, Unsigned> {
        let (mut names, mut signed) = (Vec::new(), String::new());
        for name in SIGNED {
            // From the bottom up (RFC 6376, section 5.4.2); a field that is not there counts as empty.
            for (_, value) in fields.iter().rev().filter(|(field, _)| field == name) {
                names.push(name);
                signed.extend([name, ":", value, "\r\n"]);
            }
            names.push(name);
        }
        let unsigned = format!(
            "v=1; a={}; c=relaxed/simple; t={};\r\n\td={domain}; s={};\r\n\tbh={body_hash};\r\n\th={};\r\n\tb=",
            self.pair.algorithm(),
            at.timestamp(),
            self.selector,
            names.chunks(NAMES_A_LINE).map(|line| line.join(":")).collect::<Vec<_>>().join(":\r\n\t "),
        );
        signed.push_str("dkim-signature:");
        signed.push_str(&relaxed(&unsigned));
        let signature = BASE64.encode(self.pair.sign(signed.as_bytes())?);
        Ok(format!("DKIM-Signature: {unsigned}{}\r\n", folded(&signature)))
    }
}

impl Pair {
    fn read(path: &Path) -> Result<Self, InvalidDkimKey> {
        let pem = fs::read(path).map_err(|source| InvalidDkimKey::Unreadable { path: path.to_owned(), source })?;
        let unusable = || InvalidDkimKey::Key(path.to_owned());
        let rsa = |key: Result<RsaKeyPair, _>| key.map(|key| Self::Rsa(Box::new(key))).ok();
        match PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())? {
            PrivateKeyDer::Pkcs1(key) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(key) => {
                let der = key.secret_pkcs8_der();
                // openssl leaves out the public half, which ring would check the key by.
                let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519);
                ed25519.ok().or_else(|| rsa(RsaKeyPair::from_pkcs8(der)))
            }
            _ => None,
        }
        .ok_or_else(unusable)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Unsigned> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).map_err(|_| Unsigned)?;
                Ok(signature)
            }
            // RFC 8463, section 3: what is signed is the hash.
            Self::Ed25519(pair) => Ok(pair.sign(&Sha256::digest(text)).as_ref().to_vec()),
        }
    }
}

/// Splits a header into names and values, both relaxed (RFC 6376, section 3.4.2).
fn fields(header: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.split("\r\n") {
        match (line.starts_with([' ', '\t']), line.split_once(':'), fields.last_mut()) {
            (true, _, Some((_, value))) => value.push_str(line),
            (false, Some((name, value)), _) => fields.push((name.trim_end().to_ascii_lowercase(), value.to_owned())),
            _ => {}
        }
    }
    fields.into_iter().map(|(name, value)| (name, relaxed(&value))).collect()
}

/// Takes line breaks out of a value, and makes each run of blanks one.
fn relaxed(value: &str) -> String {
    value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Ends a body with one line break, however many there are (RFC 6376, section 3.4.3).
fn simple_body(mut body: &[u8]) -> &[u8] {
    while let Some(shorter) = body.strip_suffix(b"\r\n").filter(|shorter| shorter.ends_with(b"\r\n")) {
        body = shorter;
    }
    body
}

fn folded(base64: &str) -> String {
    let mut lines = String::with_capacity(base64.len() + base64.len() / 16);
    for (index, char) in base64.chars().enumerate() {
        if index > 0 && index % BASE64_CHARS_A_LINE == 0 {
            lines.push_str("\r\n\t ");
        }
        lines.push(char);
    }
    lines
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

impl fmt::Debug for DkimKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selectors = |keys: &Vec<DkimKey>| keys.iter().map(|key| key.selector.clone()).collect::<Vec<_>>();
        f.debug_map().entries(self.by_domain.iter().map(|(domain, keys)| (domain, selectors(keys)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        borrow::Borrow,
        collections::HashMap,
        hash::Hash,
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
        process::Command,
        sync::Arc,
        time::Instant,
    };

    use mail_auth::{
        AuthenticatedMessage, DkimResult, MX, MessageAuthenticator, Parameters, ResolverCache, Txt,
        common::parse::TxtRecordParser,
        common::verify::DomainKey,
        hickory_resolver::config::{ResolverConfig, ResolverOpts},
    };

    use super::{super::outgoing::tests::mail, *};

    const DOMAIN: &str = "nimbus.example";

    /// Answers of the domain name system that are there before anybody asks.
    struct Answers<K, V>(HashMap<K, V>);

    impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Answers<K, V> {
        fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            self.0.get(name).cloned()
        }

        fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            None
        }

        fn insert(&self, _: K, _: V, _: Instant) {}
    }

    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl").args(arguments).output().expect("openssl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// Writes a key as docs/MAIL.md says, and returns what its domain publishes.
    fn publish(folder: &Path, selector: &str, algorithm: &[&str]) -> (Box<str>, Txt) {
        let file = folder.join(format!("{DOMAIN}.{selector}.pem"));
        let path = file.to_str().expect("a path");
        openssl(&[&["genpkey", "-out", path, "-algorithm"], algorithm].concat());
        let public = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
        // RFC 8463: the bare 32 bytes, which end what openssl writes.
        let (kind, public) = if algorithm[0] == "RSA" { ("rsa", &public[..]) } else { ("ed25519", &public[12..]) };
        let record = format!("v=DKIM1; k={kind}; p={}", BASE64.encode(public));
        let key = DomainKey::parse(record.as_bytes()).expect("a record");
        (format!("{selector}._domainkey.{DOMAIN}.").into(), Txt::DomainKey(Arc::new(key)))
    }

    async fn verified(content: &[u8], answers: &Answers<Box<str>, Txt>) -> Vec<DkimResult> {
        let nowhere = ResolverConfig::from_parts(None, vec![], vec![]);
        let verifier = MessageAuthenticator::new(nowhere, ResolverOpts::default()).expect("a verifier");
        let message = AuthenticatedMessage::parse(content).expect("a message");
        let parameters = Parameters {
            params: &message,
            cache_txt: Some(answers),
            cache_mx: None::<&Answers<Box<str>, Arc<[MX]>>>,
            cache_ptr: None::<&Answers<IpAddr, Arc<[Box<str>]>>>,
            cache_ipv4: None::<&Answers<Box<str>, Arc<[Ipv4Addr]>>>,
            cache_ipv6: None::<&Answers<Box<str>, Arc<[Ipv6Addr]>>>,
        };
        verifier.verify_dkim(parameters).await.iter().map(|output| output.result().clone()).collect()
    }

    fn passes(results: &[DkimResult]) -> usize {
        results.iter().filter(|result| **result == DkimResult::Pass).count()
    }

    #[tokio::test]
    async fn another_verifier_finds_each_signature_good_and_any_change_bad() {
        let folder = tempfile::tempdir().expect("a folder");
        let answers = Answers(HashMap::from([
            publish(folder.path(), "2026a", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            publish(folder.path(), "2026b", &["ED25519"]),
        ]));
        let keys = DkimKeys::from_folder(folder.path()).expect("keys");
        let plain = mail().to_bytes().expect("a mail");
        let sign = || keys.sign(plain.clone(), "Nimbus.example", mail().sent_at).expect("signed");
        let signed = sign();
        assert!(signed.ends_with(&plain) && signed == sign(), "the mail itself is as it was, and the same each time");
        assert!(signed.is_ascii() && signed.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
        let results = verified(&signed, &answers).await;
        assert_eq!(passes(&results), 2, "{results:?}");
        // A relay may fold anew and add lines at the end; nobody else may change or add anything.
        let text = String::from_utf8(signed).expect("text");
        for harmless in [text.replace("Subject: ", "SUBJECT:   "), format!("{text}\r\n\r\n")] {
            assert_eq!(passes(&verified(harmless.as_bytes(), &answers).await), 2, "{harmless}");
        }
        for change in [
            text.replace("ana@acme.example", "eve@acme.example"),
            text.replace("auto-generated", "no"),
            text.replace("00000001@", "00000002@"),
            text.replace("PHA+", "PGI+").replace("<p>Hola", "<b>Hola"),
            text.replacen("From: ", "From: eve@nimbus.example\r\nFrom: ", 1),
            text.replacen("Subject: ", "Subject: Pay elsewhere\r\nSubject: ", 1),
            text.replacen("Date: ", "Reply-To: eve@evil.example\r\nDate: ", 1),
        ] {
            assert_ne!(change, text);
            assert_eq!(passes(&verified(change.as_bytes(), &answers).await), 0, "{change}");
        }
    }

    #[test]
    fn a_mail_of_a_domain_without_a_key_bears_no_signature() {
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "a", &["ED25519"]);
        let keys = DkimKeys::from_folder(folder.path()).expect("keys");
        let plain = mail().to_bytes().expect("a mail");
        for domain in ["other.example", "mail.nimbus.example", "example"] {
            assert_eq!(keys.sign(plain.clone(), domain, mail().sent_at).expect("a mail"), plain);
        }
        assert_eq!(format!("{keys:?}"), r#"{"nimbus.example": ["a"]}"#);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_named_without_being_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("a file");
        let short = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
        let elliptic = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        for (name, content, why) in [
            ("nimbus.example.a.pem", &short[..], "a.pem holds no RSA key of 2048"),
            ("nimbus.example.b.pem", &elliptic, "b.pem holds no RSA key of 2048"),
            ("nimbus.example.c.pem", b"secret", "c.pem holds no RSA key of 2048"),
            ("nimbus.pem", b"secret", "`nimbus` names no domain"),
            ("nimbus.example.a;p=x.pem", b"secret", "names no domain"),
        ] {
            write(name, content);
            let refused = DkimKeys::from_folder(folder.path()).expect_err(name).to_string();
            assert!(refused.contains(why) && !refused.contains("secret"), "{refused}");
            fs::remove_file(folder.path().join(name)).expect("gone");
        }
        write("README", b"not a key");
        assert!(DkimKeys::from_folder(folder.path()).is_ok());
        assert!(DkimKeys::from_folder(&folder.path().join("nowhere")).is_err());
    }
}
