//! The keys with which other systems prove who they are: `br_<id>_<secret>`.
//!
//! The id finds the key, the secret (256 random bits) proves it. Only the secret's SHA-256 is ever stored; the text exists
//! in the answer that hands it out and in the client's requests, and shows itself in no log.

use std::{fmt::Write, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::ids::ApiKeyId;

const PREFIX: &str = "br";
const SECRET_BYTES: usize = 32;

/// A key as its owner holds it.
#[derive(Debug)]
pub struct ApiKey {
    /// Finds it.
    pub id: ApiKeyId,
    secret: SecretString,
}

/// Says that a text is no key; it does not say the text, which may be a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an API key: keys look like br_<id>_<secret>")]
pub struct NotAnApiKey;

impl ApiKey {
    /// Makes a key of random bits, which must be 32 bytes of a source fit for secrets.
    pub fn new(id: ApiKeyId, random: [u8; SECRET_BYTES]) -> Self {
        let mut secret = String::with_capacity(SECRET_BYTES * 2);
        for byte in random {
            let _ = write!(secret, "{byte:02x}");
        }
        Self { id, secret: secret.into() }
    }

    /// Returns the text that the owner is given, once.
    pub fn to_text(&self) -> SecretString {
        format!("{PREFIX}_{}_{}", self.id.0.simple(), self.secret.expose_secret()).into()
    }

    /// Returns what is stored of the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose_secret().as_bytes()).into()
    }

    /// Tells whether the secret is the one stored, in a time that says nothing about how much of it is right.
    pub fn matches(&self, stored_hash: &[u8]) -> bool {
        self.secret_hash().ct_eq(stored_hash).into()
    }
}

impl FromStr for ApiKey {
    type Err = NotAnApiKey;

    fn from_str(text: &str) -> Result<Self, NotAnApiKey> {
        let (id, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|rest| rest.split_once('_'))
            .ok_or(NotAnApiKey)?;
        let is_secret = secret.len() == SECRET_BYTES * 2 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = Uuid::try_parse(id).map_err(|_| NotAnApiKey)?;
        if is_secret { Ok(Self { id: ApiKeyId(id), secret: secret.into() }) } else { Err(NotAnApiKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_matches_its_own_hash_only() {
        let key = ApiKey::new(ApiKeyId::new(), [7; 32]);
        let read: ApiKey = key.to_text().expose_secret().parse().expect("a key");
        assert_eq!(read.id, key.id);
        assert!(read.matches(&key.secret_hash()));
        assert!(!read.matches(&ApiKey::new(key.id, [8; 32]).secret_hash()));
        assert!(!read.matches(&[]));
    }

    #[test]
    fn a_key_shows_its_secret_nowhere() {
        let key = ApiKey::new(ApiKeyId::new(), [0xab; 32]);
        assert!(!format!("{key:?}").contains("abab"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for text in ["", "br", "br_1_2", "br__", "sk_0199a000000070008000000000000001_00", "br_é_ß"] {
            assert_eq!(text.parse::<ApiKey>().err(), Some(NotAnApiKey), "{text}");
        }
    }
}
