//! How browsers reach the console: straight on this machine, or through a proxy under a public address and perhaps a path
//! prefix.
//!
//! A console that listens on this machine alone may be asked by any page that a browser here shows, once that page's host
//! name is made to mean 127.0.0.1 (DNS rebinding). So there the `Host` header must name this machine or the console's own
//! address.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

use super::Shared;
use crate::domain::console_url::ConsoleUrl;

/// Says where a proxy put a client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// From where the console can be reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    is_local: bool,
    url: Option<ConsoleUrl>,
}

impl Reach {
    /// Describes a process that listens on an address, perhaps behind a proxy.
    pub fn new(listens_on: IpAddr, url: Option<ConsoleUrl>) -> Self {
        Self { is_local: listens_on.is_loopback(), url }
    }

    /// Tells whether only this machine reaches it.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Returns the path prefix.
    pub(super) fn base(&self) -> &str {
        self.url.as_ref().map_or("", ConsoleUrl::base)
    }

    /// Tells whether a cookie must not cross a network in clear. To this machine it may.
    pub(super) fn needs_encryption(&self) -> bool {
        !self.is_local || self.url.as_ref().is_some_and(ConsoleUrl::is_encrypted)
    }

    /// Tells whether an `Origin` is ours, to somebody who asked for a host.
    pub(super) fn is_own_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let is_public = self.url.as_ref().is_some_and(|url| url.origin() == origin);
        let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        is_public || (host.is_some() && named == host)
    }

    /// Tells whether a `Host` header may be meant for us.
    fn is_own_host(&self, host: &str) -> bool {
        let is_public = self.url.as_ref().is_some_and(|url| url.authority().eq_ignore_ascii_case(host));
        is_public || !self.is_local || names_this_machine(host)
    }

    /// Returns whose address it is that asks. Behind a proxy that is the last one that the proxy was asked by.
    pub(super) fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let forwarded = headers.get_all(FORWARDED_FOR).iter().next_back();
        let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.filter(|_| self.url.is_some()).unwrap_or(peer)
    }
}

fn names_this_machine(host: &str) -> bool {
    if host.contains(['@', '/', '\\', '?', '#']) {
        return false;
    }
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the address at the other end of the connection.
pub(super) fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip())
}

/// Refuses requests that name a host which is not ours.
pub(super) async fn check_host(State(console): State<Shared>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if console.reach.is_own_host(host) {
        return next.run(request).await;
    }
    let problem = "this console answers to localhost and to the address that BILLRUNNER_CONSOLE_URL names\n";
    (StatusCode::MISDIRECTED_REQUEST, problem).into_response()
}

#[cfg(test)]
mod tests;
