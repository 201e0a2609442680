//! The address under which operators reach the console: an origin and perhaps a path prefix.

use std::{fmt, str::FromStr};

use url::Url;

/// The address of the console as operators write it into their browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleUrl {
    origin: String,
    authority: String,
    base: String,
    is_encrypted: bool,
}

/// Says what such an address looks like.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an address of a console: write https://host or https://host/path, without a query")]
pub struct NotAConsoleUrl;

impl FromStr for ConsoleUrl {
    type Err = NotAConsoleUrl;

    fn from_str(text: &str) -> Result<Self, NotAConsoleUrl> {
        let url = Url::parse(text).map_err(|_| NotAConsoleUrl)?;
        let base = url.path().trim_end_matches('/').to_owned();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let is_address = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && base.chars().all(is_plain)
            && !base.contains("//");
        let host = url.host_str().filter(|_| is_address).ok_or(NotAConsoleUrl)?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { origin: url.origin().ascii_serialization(), authority, base, is_encrypted: url.scheme() == "https" })
    }
}

impl ConsoleUrl {
    /// Returns scheme, host and port, as browsers name the origin of a page.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns host and port, as the `Host` header names them.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the path prefix: empty, or such as `/billing`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Tells whether pages come over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

impl fmt::Display for ConsoleUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_origin_and_a_prefix_and_nothing_else() {
        for (text, origin, base) in [
            ("https://ops.example.com", "https://ops.example.com", ""),
            ("https://ops.example.com/", "https://ops.example.com", ""),
            ("https://Ops.example.com:443/billing/", "https://ops.example.com", "/billing"),
            ("http://localhost:8080/a/b", "http://localhost:8080", "/a/b"),
        ] {
            let url: ConsoleUrl = text.parse().expect("an address");
            assert_eq!((url.origin.as_str(), url.base.as_str()), (origin, base), "{text}");
        }
        for wrong in [
            "",
            "ops.example.com",
            "ftp://a",
            "https://u:p@a",
            "https://a/?b",
            "https://a/#b",
            "https://a//b",
            "https://a/{b}",
        ] {
            assert_eq!(wrong.parse::<ConsoleUrl>(), Err(NotAConsoleUrl), "{wrong}");
        }
    }
}
