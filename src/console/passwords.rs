//! Passwords: hashed with Argon2id at the strength that OWASP asks for, off the async threads, a few at a time, as each takes
//! 19 MiB and tens of milliseconds.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2, PasswordHasher, PasswordVerifier,
    password_hash::{self, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Passwords looked at, at once: more would only wait for the processor, and hold memory meanwhile.
const AT_ONCE: usize = 2;
const SALT_BYTES: usize = 16;

/// What no password matches: compared with where there is no such user, so that it takes as long as where there is one.
static NOBODYS_HASH: LazyLock<String> =
    LazyLock::new(|| hash_password(&"nobody's".into(), [0; SALT_BYTES]).unwrap_or_default());

/// Says that a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct UnusableHash(password_hash::Error);

/// Hashes a password with a salt of random bytes; takes tens of milliseconds.
///
/// # Errors
/// When the library refuses, which it does for no password of a sane length.
pub fn hash_password(password: &SecretString, salt: [u8; SALT_BYTES]) -> Result<String, UnusableHash> {
    let hash: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
    Ok(hash.map_err(UnusableHash)?.to_string())
}

/// Looks at passwords, a few at a time.
pub(super) struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    /// Tells whether a password is the one whose hash is stored. `None` is nobody's, and takes as long.
    pub async fn is_right(&self, password: SecretString, stored: Option<String>) -> bool {
        let look = move || {
            // Made by whoever comes first, right or wrong.
            let nobodys = NOBODYS_HASH.as_str();
            let hash = stored.as_deref().unwrap_or(nobodys);
            let matches = Argon2::default().verify_password(password.expose_secret().as_bytes(), hash);
            matches.is_ok() && stored.is_some()
        };
        self.off_the_async_threads(look).await.unwrap_or(false)
    }

    /// Hashes a password that somebody is to have.
    ///
    /// # Errors
    /// As [`hash_password`].
    pub async fn hash(&self, password: SecretString, salt: [u8; SALT_BYTES]) -> Result<String, UnusableHash> {
        let hashed = self.off_the_async_threads(move || hash_password(&password, salt)).await;
        hashed.unwrap_or(Err(UnusableHash(password_hash::Error::Crypto)))
    }

    async fn off_the_async_threads<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.0.clone().acquire_owned().await.ok()?;
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only_and_nobodys_matches_none() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".into(), [7; SALT_BYTES]).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.is_right("correct horse battery".into(), Some(hash.clone())).await);
        for wrong in ["", "correct horse", "Correct horse battery"] {
            assert!(!passwords.is_right(wrong.into(), Some(hash.clone())).await, "{wrong}");
        }
        assert!(!passwords.is_right("nobody's".into(), None).await, "who does not exist has no password");
        assert!(!passwords.is_right("x".into(), Some("not a hash".to_owned())).await);
    }
}
