//! Settings that read well and are still unsafe, or unfinished. Values are never shown.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{Finding, ok, warn};
use crate::config::Config;

/// Below this a worker that is busy for a moment loses what it runs.
const SHORTEST_LEASE_SECS: u64 = 5;

pub fn look(config: &Config) -> Vec<Finding> {
    let findings = [
        postgres_unverified(config),
        redis_in_clear(config),
        mail_in_clear(config),
        mail_kept(config),
        mail_domain(config),
        links_in_clear(config),
        lease(config),
    ];
    let findings: Vec<Finding> = findings.into_iter().flatten().collect();
    if findings.is_empty() { vec![ok("no setting is unsafe")] } else { findings }
}

fn postgres_unverified(config: &Config) -> Option<Finding> {
    let url = read(config.database_url.as_ref())?;
    let option = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let is_socket = option("host").is_some_and(|host| host.starts_with('/'));
    if is_socket || is_here(&url) {
        return None;
    }
    let what = match option("sslmode").or_else(|| option("ssl-mode")).as_deref() {
        None | Some("verify-full") => return None,
        Some("require" | "verify-ca") => "DATABASE_URL takes whoever answers for the server: its name is not checked",
        Some(_) => "DATABASE_URL lets the password and all data cross the network in clear",
    };
    Some(warn(what, "leave sslmode out of DATABASE_URL; SSL_CERT_FILE names an authority of your own"))
}

fn redis_in_clear(config: &Config) -> Option<Finding> {
    let url = config.redis_url.as_ref()?.expose_secret();
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "redis" | "redis+sentinel" | "redis+cluster") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let all_here = hosts.split(',').all(|host| Url::parse(&format!("redis://{host}")).is_ok_and(|url| is_here(&url)));
    if all_here || !authority.contains('@') {
        return None;
    }
    Some(warn(
        "REDIS_URL lets its password cross the network in clear",
        "write rediss for redis in REDIS_URL, and give the servers certificates: docs/HIGH-AVAILABILITY.md",
    ))
}

fn mail_in_clear(config: &Config) -> Option<Finding> {
    let url = read(config.smtp_url.as_ref())?;
    let is_lax = url.query_pairs().any(|(name, value)| name == "tls" && value != "required");
    if url.scheme() != "smtp" || is_here(&url) || !is_lax {
        return None;
    }
    Some(warn(
        "SMTP_URL lets mails with invoices cross the network in clear",
        "write smtps:// or ?tls=required in SMTP_URL",
    ))
}

fn mail_kept(config: &Config) -> Option<Finding> {
    let is_folder = config.smtp_url.as_ref()?.expose_secret().starts_with("file:");
    is_folder.then(|| {
        warn(
            "SMTP_URL keeps mails as files: no customer receives them",
            "name a mail server, such as smtps://user:password@host",
        )
    })
}

fn mail_domain(config: &Config) -> Option<Finding> {
    config.mail_domain.ends_with(".invalid").then(|| {
        warn(
            format!(
                "BILLRUNNER_MAIL_DOMAIN is {}: filters of spam dislike Message-IDs of a domain that does not exist",
                config.mail_domain
            ),
            "set it to the domain that mails come from",
        )
    })
}

fn links_in_clear(config: &Config) -> Option<Finding> {
    let url = &config.download_links.as_ref()?.public_url;
    let text = url.to_string();
    let is_here = Url::parse(&text).is_ok_and(|url| is_here(&url));
    (text.starts_with("http:") && !is_here).then(|| {
        warn(
            "BILLRUNNER_PUBLIC_URL is http://: whoever is on the way can read links, and open them",
            "serve it over https, and write that",
        )
    })
}

fn lease(config: &Config) -> Option<Finding> {
    let seconds = config.lease.as_secs();
    (seconds < SHORTEST_LEASE_SECS).then(|| {
        warn(
            format!("BILLRUNNER_LEASE_SECS is {seconds}: a worker that is busy for a moment loses its jobs to another"),
            format!("set it to {SHORTEST_LEASE_SECS} or more; 15 is the default"),
        )
    })
}

fn read(url: Option<&SecretString>) -> Option<Url> {
    Url::parse(url?.expose_secret()).ok()
}

/// Tells whether a URL leads to this machine.
fn is_here(url: &Url) -> bool {
    let is_loopback = |text: &str| text.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match url.host() {
        None | Some(Host::Domain("" | "localhost")) => true,
        Some(Host::Domain(name)) => is_loopback(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    fn told(variables: &[(&str, &str)]) -> Vec<Finding> {
        let all = [("BILLRUNNER_MAIL_DOMAIN", "nimbus.example")].iter().chain(variables);
        let variables = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        look(&Config::from_variables(variables.collect::<std::collections::BTreeMap<_, _>>()).expect("valid settings"))
    }

    #[test]
    fn settings_that_are_safe_say_so_in_one_line() {
        for settings in [
            vec![],
            vec![("DATABASE_URL", "postgres://u:hunter2@localhost/db")],
            vec![("DATABASE_URL", "postgres://u:hunter2@db.internal/db?sslmode=verify-full")],
            vec![("DATABASE_URL", "postgres://u:hunter2@db.internal/db")],
            vec![("DATABASE_URL", "postgres://u@localhost/db?host=/run/postgresql")],
            vec![("REDIS_URL", "rediss://u:hunter2@redis.internal")],
            vec![("REDIS_URL", "redis://u:hunter2@127.0.0.1")],
            vec![("SMTP_URL", "smtps://u:hunter2@mail.internal")],
        ] {
            let found = told(&settings);
            assert!(found.len() == 1 && found[0].verdict == Verdict::Ok, "{settings:?}: {found:?}");
        }
    }

    #[test]
    fn each_unsafe_setting_is_named_with_its_way_out_and_without_its_secret() {
        let keys = format!("a:{}", "5ec2e7".repeat(10) + "abcd");
        for (name, settings) in [
            ("DATABASE_URL", vec![("DATABASE_URL", "postgres://u:hunter2@db.internal/db?sslmode=require")]),
            ("DATABASE_URL", vec![("DATABASE_URL", "postgres://u:hunter2@db.internal/db?sslmode=prefer")]),
            ("REDIS_URL", vec![("REDIS_URL", "redis://u:hunter2@redis.internal")]),
            ("REDIS_URL", vec![("REDIS_URL", "redis+sentinel://u:hunter2@127.0.0.1,b:26379/main")]),
            ("SMTP_URL", vec![("SMTP_URL", "smtp://mail.internal?tls=opportunistic")]),
            ("SMTP_URL", vec![("SMTP_URL", "file:///var/mail-out")]),
            ("BILLRUNNER_MAIL_DOMAIN", vec![("BILLRUNNER_MAIL_DOMAIN", "billrunner.invalid")]),
            ("BILLRUNNER_LEASE_SECS", vec![("BILLRUNNER_LEASE_SECS", "1")]),
            (
                "BILLRUNNER_PUBLIC_URL",
                vec![("BILLRUNNER_PUBLIC_URL", "http://bills.example.com"), ("BILLRUNNER_LINK_KEYS", &keys)],
            ),
        ] {
            let found = told(&settings);
            assert!(found.len() == 1 && found[0].verdict == Verdict::Warn, "{settings:?}: {found:?}");
            assert!(found[0].what.contains(name) && found[0].way_out.is_some(), "{found:?}");
            let printed = format!("{found:?}");
            assert!(!printed.contains("hunter2") && !printed.contains("5ec2e7"), "{printed}");
        }
    }
}
