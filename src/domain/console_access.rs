//! Who may do what at the console: roles, the names of users and tokens, and the secrets that prove who somebody is.
//!
//! A secret is 256 random bits, so its SHA-256 is stored without salt and found by equality: whoever reads the table can log
//! in with nothing of it.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Begins the text of every token, so that one is known where it does not belong.
const TOKEN_PREFIX: &str = "brc_";
const SECRET_BYTES: usize = 32;
const MAX_NAME_BYTES: usize = 63;
/// Keeps what is derived from a secret for forms from being good for anything else.
const FORM_PURPOSE: &[u8] = b"billrunner console form 1";

/// What somebody may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also changes queues, jobs and what else is worked on.
    Operator,
    /// Also says who is a user.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Tells whether somebody of this role may do what takes another.
    pub fn may(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says that a text names no role.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown role `{0}`; known: viewer, operator, admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The name of a user or a token, as it stands in the history of what operators did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct AccessName(String);

impl AccessName {
    /// Returns the name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what a name looks like.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not a name: write up to 63 lower-case letters, digits, dots, hyphens, underscores and @, beginning with a letter or digit"
)]
pub struct NotAName;

impl FromStr for AccessName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = text.starts_with(is_plain)
            && text.len() <= MAX_NAME_BYTES
            && text.chars().all(|c| is_plain(c) || ".-_@".contains(c));
        if is_name { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

/// Random bits that prove who somebody is: what a session's cookie or a token holds.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// Makes one of bytes from a source fit for secrets.
    pub fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(random)
    }

    /// Returns what stands in the cookie.
    pub fn to_text(&self) -> SecretString {
        hex::encode(self.0).into()
    }

    /// Returns what the owner of a token is given, once.
    pub fn to_token(&self) -> SecretString {
        format!("{TOKEN_PREFIX}{}", hex::encode(self.0)).into()
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When the text is none; it is not repeated.
    pub fn from_token(text: &str) -> Result<Self, NotASecret> {
        text.strip_prefix(TOKEN_PREFIX).ok_or(NotASecret)?.parse()
    }

    /// Returns what is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Returns what the forms of this session hold: it proves that a form came from our own page, and tells nothing of the
    /// secret.
    pub fn form_token(&self) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map(|mac| mac.chain_update(FORM_PURPOSE));
        mac.map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Tells whether a form holds this session's token, in a time that says nothing about how much of it is right.
    pub fn made_form(&self, form_token: &str) -> bool {
        let own = self.form_token();
        !own.is_empty() && own.as_bytes().ct_eq(form_token.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Says that a text is no secret; it does not say the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a secret of the console")]
pub struct NotASecret;

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let mut bytes = [0; SECRET_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotASecret)?;
        Ok(Self(bytes))
    }
}

/// A password that is too short or too long.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a password has 12 to 200 characters")]
pub struct UnfitPassword;

/// Checks a password that somebody wants: length is what makes guessing dear (NIST SP 800-63B, section 3.1.1).
///
/// # Errors
/// [`UnfitPassword`]; it does not repeat the password.
pub fn check_password(password: &SecretString) -> Result<(), UnfitPassword> {
    let length = password.expose_secret().chars().count();
    if (12..=200).contains(&length) { Ok(()) } else { Err(UnfitPassword) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        for (role, allowed) in [(Role::Viewer, 1), (Role::Operator, 2), (Role::Admin, 3)] {
            assert_eq!(Role::ALL.into_iter().filter(|needed| role.may(*needed)).count(), allowed);
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn names_are_plain_and_fit_a_line() {
        for good in ["ana", "a.b-c_d@example.com", "7"] {
            assert_eq!(good.parse::<AccessName>().expect("a name").as_str(), good);
        }
        for bad in ["", "Ana", ".ana", "a b", "a/b", "<b>", "ana\n", "áña", &"a".repeat(64)] {
            assert_eq!(bad.parse::<AccessName>(), Err(NotAName), "{bad}");
        }
    }

    #[test]
    fn a_secret_reads_back_and_makes_forms_of_its_own() {
        let secret = Secret::new([7; 32]);
        let read: Secret = secret.to_text().expose_secret().parse().expect("a secret");
        assert_eq!(read.hash(), secret.hash());
        let token = Secret::from_token(secret.to_token().expose_secret()).expect("a token");
        assert_eq!(token.hash(), secret.hash());
        assert!(secret.made_form(&read.form_token()) && !secret.made_form(&Secret::new([8; 32]).form_token()));
        assert!(!secret.made_form("") && !secret.made_form(secret.to_text().expose_secret()));
        assert!(!format!("{secret:?}").contains('7'));
        for text in ["", "07", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            assert!(text.parse::<Secret>().is_err() && Secret::from_token(text).is_err(), "{text}");
        }
    }

    #[test]
    fn short_passwords_are_refused() {
        assert!(check_password(&"eleven char".into()).is_err());
        assert!(check_password(&"twelve chars".into()).is_ok());
        assert!(check_password(&"x".repeat(201).into()).is_err());
    }
}
