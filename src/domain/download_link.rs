//! Links with which a customer downloads a document, without an account: `/downloads/<reseller>/<document>?expires=…`.
//!
//! HMAC-SHA256 over ids, expiry and key id makes a link that nobody can guess or prolong; whoever has it may read that one
//! document, and its parts where it is split, until it expires. There are one or two keys: the first signs, both are good, so that a key is replaced without
//! breaking the links that are out. Signatures are compared in constant time, and before the expiry is looked at.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use sha2::Sha256;

use super::ids::{DocumentId, ResellerId};

/// Keys at once: the one that signs, and the one before it.
const MAX_KEYS: usize = 2;
/// As many as SHA-256 gives; RFC 2104, section 3, asks for no fewer.
const SECRET_BYTES: usize = 32;
/// Keeps a signature of ours from being good for anything else.
const PURPOSE: &str = "billrunner download 1";

/// The key that signs, and perhaps the one before it.
#[derive(Clone, Debug)]
pub struct LinkKeys {
    signing: LinkKey,
    former: Option<LinkKey>,
}

#[derive(Clone, Debug)]
struct LinkKey {
    id: String,
    secret: SecretSlice<u8>,
}

/// Says what keys look like; it does not show the text, which is secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not one or two keys: write ID:SECRET or ID:SECRET,ID:SECRET, the new key first; an id is 1 to 32 letters, digits, \
     `-` or `_`, a secret the 64 hexadecimal digits that `openssl rand -hex 32` prints"
)]
pub struct NotLinkKeys;

/// Names a document and until when it may be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadGrant {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Which.
    pub document_id: DocumentId,
    /// Seconds of the Unix epoch; no longer at that second.
    pub expires: i64,
}

/// What a link says for itself, besides the document it names.
#[derive(Debug, Deserialize)]
pub struct LinkProof {
    /// See [`DownloadGrant::expires`].
    pub expires: i64,
    /// Which key signed.
    pub key: String,
    /// In hex.
    pub signature: String,
}

/// Says why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Signed by no key that is good, or for something else.
    #[error("the signature is wrong")]
    Wrong,
    /// Signed well, but past its time.
    #[error("the link has expired")]
    Expired,
}

impl DownloadGrant {
    /// Grants a document until an instant.
    pub fn until(reseller_id: ResellerId, document_id: DocumentId, expires_at: DateTime<Utc>) -> Self {
        Self { reseller_id, document_id, expires: expires_at.timestamp() }
    }

    /// Returns what is signed. Fields of fixed form, and the key id last: no two grants give the same text.
    fn text(&self, key_id: &str) -> String {
        format!("{PURPOSE}\n{}\n{}\n{}\n{key_id}", self.reseller_id, self.document_id, self.expires)
    }
}

impl LinkKey {
    fn mac(&self, grant: &DownloadGrant) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).ok()?;
        Some(mac.chain_update(grant.text(&self.id)))
    }
}

impl LinkKeys {
    /// Returns path and query of the link, to be put behind the public address of the web process.
    pub fn path(&self, grant: &DownloadGrant) -> String {
        self.path_to(grant, None)
    }

    /// Returns path and query of the link to a document, or to one of its parts: the grant of a document is theirs too.
    pub fn path_to(&self, grant: &DownloadGrant, part: Option<usize>) -> String {
        let DownloadGrant { reseller_id, document_id, expires } = grant;
        let signature = self.signing.mac(grant).map(|mac| hex::encode(mac.finalize().into_bytes()));
        let part = part.map(|part| format!("/{part}")).unwrap_or_default();
        format!(
            "/downloads/{reseller_id}/{document_id}{part}?expires={expires}&key={}&signature={}",
            self.signing.id,
            signature.unwrap_or_default()
        )
    }

    /// Checks what a link says of a document.
    ///
    /// # Errors
    /// [`LinkError::Wrong`] before anything else: only who holds a good link learns that it has expired.
    pub fn check(
        &self,
        reseller_id: ResellerId,
        document_id: DocumentId,
        proof: &LinkProof,
        now: DateTime<Utc>,
    ) -> Result<(), LinkError> {
        let grant = DownloadGrant { reseller_id, document_id, expires: proof.expires };
        let key = [Some(&self.signing), self.former.as_ref()].into_iter().flatten().find(|key| key.id == proof.key);
        let signature = hex::decode(&proof.signature).map_err(|_| LinkError::Wrong)?;
        let mac = key.and_then(|key| key.mac(&grant)).ok_or(LinkError::Wrong)?;
        mac.verify_slice(&signature).map_err(|_| LinkError::Wrong)?;
        if now.timestamp() < proof.expires { Ok(()) } else { Err(LinkError::Expired) }
    }
}

impl FromStr for LinkKeys {
    type Err = NotLinkKeys;

    fn from_str(text: &str) -> Result<Self, NotLinkKeys> {
        let keys: Vec<LinkKey> = text.split(',').map(|key| key.trim().parse()).collect::<Result<_, _>>()?;
        let count = keys.len();
        let mut keys = keys.into_iter();
        let (signing, former) = (keys.next().ok_or(NotLinkKeys)?, keys.next());
        let is_same = former.as_ref().is_some_and(|former| former.id == signing.id);
        if count > MAX_KEYS || is_same { Err(NotLinkKeys) } else { Ok(Self { signing, former }) }
    }
}

impl FromStr for LinkKey {
    type Err = NotLinkKeys;

    fn from_str(text: &str) -> Result<Self, NotLinkKeys> {
        let (id, secret) = text.split_once(':').ok_or(NotLinkKeys)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let secret = hex::decode(secret).map_err(|_| NotLinkKeys)?;
        if id.is_empty() || id.len() > 32 || !id.chars().all(is_plain) || secret.len() != SECRET_BYTES {
            return Err(NotLinkKeys);
        }
        Ok(Self { id: id.to_owned(), secret: secret.into() })
    }
}

/// How links are made.
#[derive(Clone, Debug)]
pub struct DownloadLinks {
    /// Sign and check.
    pub keys: LinkKeys,
    /// What they begin with.
    pub public_url: PublicUrl,
}

impl DownloadLinks {
    /// Returns the whole link.
    pub fn link(&self, grant: &DownloadGrant) -> String {
        self.link_to(grant, None)
    }

    /// Returns the whole link to a document, or to one of its parts, which count from 1.
    pub fn link_to(&self, grant: &DownloadGrant, part: Option<usize>) -> String {
        format!("{}{}", self.public_url, self.keys.path_to(grant, part))
    }
}

/// The address that customers reach the web process at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Says that a text is no such address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an address that links can begin with; write https://HOST or https://HOST/PATH, without `?` and `#`")]
pub struct NotAPublicUrl;

impl FromStr for PublicUrl {
    type Err = NotAPublicUrl;

    fn from_str(text: &str) -> Result<Self, NotAPublicUrl> {
        let url = url::Url::parse(text).map_err(|_| NotAPublicUrl)?;
        let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() || !is_bare || url.password().is_some() {
            return Err(NotAPublicUrl);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const OLD: &str = "2026-10:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const NEW: &str = "2026-11:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

    fn keys(text: &str) -> LinkKeys {
        text.parse().expect("keys")
    }

    fn grant() -> DownloadGrant {
        let (reseller_id, document_id) = (ResellerId(Uuid::from_u128(1)), DocumentId(Uuid::from_u128(2)));
        DownloadGrant { reseller_id, document_id, expires: 1_800_000_000 }
    }

    fn proof(path: &str) -> LinkProof {
        let (_, query) = path.split_once('?').expect("a query");
        let fields: std::collections::BTreeMap<_, _> =
            query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        LinkProof {
            expires: fields["expires"].parse().expect("seconds"),
            key: fields["key"].to_owned(),
            signature: fields["signature"].to_owned(),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("an instant")
    }

    fn check(keys: &LinkKeys, grant: &DownloadGrant, proof: &LinkProof, now: i64) -> Result<(), LinkError> {
        keys.check(grant.reseller_id, grant.document_id, proof, at(now))
    }

    #[test]
    fn a_link_is_what_anybody_with_the_key_computes() {
        // printf 'billrunner download 1\n…' | openssl dgst -sha256 -mac HMAC -macopt hexkey:…
        let path = keys(OLD).path(&grant());
        let expected = "/downloads/00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002\
                        ?expires=1800000000&key=2026-10&signature=526d834f605188e005084a13ac8b6e8e159c6d8e284d65a1da091037049863b5";
        assert_eq!(path, expected);
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_for_nothing_else() {
        let (keys, grant) = (keys(OLD), grant());
        let good = proof(&keys.path(&grant));
        assert_eq!(check(&keys, &grant, &good, grant.expires - 1), Ok(()));
        assert_eq!(check(&keys, &grant, &good, grant.expires), Err(LinkError::Expired));
        let elsewhere = [
            DownloadGrant { document_id: DocumentId(Uuid::from_u128(3)), ..grant },
            DownloadGrant { reseller_id: ResellerId(Uuid::from_u128(3)), ..grant },
        ];
        for other in elsewhere {
            assert_eq!(check(&keys, &other, &good, 0), Err(LinkError::Wrong));
        }
        let prolonged = LinkProof { expires: grant.expires + 1, ..proof(&keys.path(&grant)) };
        assert_eq!(check(&keys, &grant, &prolonged, 0), Err(LinkError::Wrong));
        let (zeros, longer) = ("0".repeat(64), format!("{}00", good.signature));
        for signature in ["", "00", "zz", &zeros, &good.signature[..62], &longer] {
            let forged = LinkProof { signature: signature.to_owned(), ..proof(&keys.path(&grant)) };
            assert_eq!(check(&keys, &grant, &forged, grant.expires + 1), Err(LinkError::Wrong), "{signature}");
        }
    }

    #[test]
    fn keys_rotate_without_breaking_links_that_are_out() {
        let grant = grant();
        let old_link = proof(&keys(OLD).path(&grant));
        let both = keys(&format!("{NEW},{OLD}"));
        assert_eq!(check(&both, &grant, &old_link, 0), Ok(()));
        let new_link = proof(&both.path(&grant));
        assert_eq!(new_link.key, "2026-11", "the first signs");
        assert_eq!(check(&both, &grant, &new_link, 0), Ok(()));
        assert_eq!(check(&keys(OLD), &grant, &new_link, 0), Err(LinkError::Wrong));
        assert_eq!(check(&keys(NEW), &grant, &old_link, 0), Err(LinkError::Wrong));
        let renamed = LinkProof { key: "2026-11".to_owned(), ..proof(&keys(OLD).path(&grant)) };
        assert_eq!(check(&both, &grant, &renamed, 0), Err(LinkError::Wrong), "a key's id is signed too");
    }

    #[test]
    fn keys_that_do_not_read_are_refused_and_never_shown() {
        let (three, twice) = (format!("{NEW},{OLD},x{OLD}"), format!("{OLD},{OLD}"));
        for wrong in
            ["", "id", "id:", ":00", "id:00", "a b:00", &three, &twice, &format!("{OLD}00"), &format!("é{OLD}")]
        {
            assert_eq!(wrong.parse::<LinkKeys>().err(), Some(NotLinkKeys), "{wrong}");
        }
        assert!(!format!("{:?}", keys(OLD)).to_lowercase().contains("ccddee"));
    }

    #[test]
    fn a_link_begins_with_the_public_address() {
        for (text, expected) in [
            ("https://billing.example.com", Some("https://billing.example.com")),
            ("https://example.com/billing/", Some("https://example.com/billing")),
            ("ftp://example.com", None),
            ("billing.example.com", None),
            ("https://example.com?x=1", None),
            ("https://me:secret@example.com", None),
        ] {
            assert_eq!(text.parse::<PublicUrl>().ok().map(|url| url.to_string()).as_deref(), expected, "{text}");
        }
        let links =
            DownloadLinks { keys: keys(OLD), public_url: "https://example.com/billing/".parse().expect("a url") };
        assert!(links.link(&grant()).starts_with("https://example.com/billing/downloads/0000"));
    }
}
