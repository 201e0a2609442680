//! Postgres: version, durability, who logs in and what that role may do, migrations, connections, clock.

use sqlx::PgConnection;

use super::{Finding, clock, fail, not_set, ok, warn};
use crate::{
    cli::web,
    clock::Clock,
    config::Config,
    store::{
        database::{self, FLOW_CONNECTIONS, LEDGER_CONNECTIONS, Migrations},
        server_facts::{self, Login, Server},
        workers,
    },
};

/// What the tests run on is later; this is the oldest whose SQL is known to suffice.
const OLDEST_VERSION: i32 = 150_000;

pub async fn look(config: &Config) -> Vec<Finding> {
    let url = match config.require("DATABASE_URL", config.database_url.as_ref()) {
        Ok(url) => url,
        Err(missing) => return vec![not_set(&missing)],
    };
    match database::connect_as_login(url).await {
        Ok(mut connection) => look_at(&mut connection, config).await.unwrap_or_else(|error| {
            vec![fail(format!("Postgres did not answer: {error}"), "read its log, and run this again")]
        }),
        Err(error) => vec![fail(
            format!("Postgres cannot be reached: {error}"),
            "check DATABASE_URL, that the server runs, and that its pg_hba.conf lets this login in",
        )],
    }
}

async fn look_at(connection: &mut PgConnection, config: &Config) -> sqlx::Result<Vec<Finding>> {
    let before = Clock::System.now();
    let server = server_facts::server(&mut *connection).await?;
    let after = Clock::System.now();
    let mut findings = vec![version(&server), clock("Postgres", server.now, (before, after))];
    findings.extend(durability(&server));
    let login = server_facts::login(&mut *connection).await?;
    findings.extend(powers(&login));
    if login.may_act {
        database::act_as_application(&mut *connection).await?;
        findings.extend(rights(&mut *connection).await?);
        let differences = database::migrations(&mut *connection).await?;
        let is_whole = differences.missing.is_empty();
        findings.extend(migrations(&differences));
        if is_whole {
            findings.push(connections(&mut *connection, &server, config).await?);
        }
    }
    Ok(findings)
}

fn version(server: &Server) -> Finding {
    let what = format!("Postgres {}", server.version);
    if server.version_number >= OLDEST_VERSION {
        return ok(what);
    }
    fail(format!("{what} is too old"), "upgrade the server to Postgres 15 or later")
}

fn durability(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !server.is_synced {
        findings.push(fail(
            "fsync is off: a power cut can destroy the record of everything",
            "set fsync = on in postgresql.conf, and reload",
        ));
    }
    if !server.writes_full_pages {
        findings.push(fail(
            "full_page_writes is off: a page half written at a power cut stays broken",
            "set full_page_writes = on in postgresql.conf, and reload",
        ));
    }
    if server.synchronous_commit == "off" {
        findings.push(fail(
            "synchronous_commit is off: a job that was accepted can be gone after a crash",
            "set synchronous_commit = on for the server, the database and this login; billrunner switches it off where it may be",
        ));
    }
    if findings.is_empty() {
        findings.push(ok(format!("what is committed lasts (synchronous_commit is {})", server.synchronous_commit)));
    }
    findings
}

fn powers(login: &Login) -> Vec<Finding> {
    let Login { name, .. } = login;
    if !login.has_application {
        return vec![fail(
            "the database holds no billrunner yet: there is no role billrunner_app",
            "run `billrunner migrate` with the owner's DATABASE_URL",
        )];
    }
    if !login.may_act {
        return vec![fail(
            format!("the login {name} may not act as billrunner_app"),
            format!("run: GRANT billrunner_app TO \"{}\"", name.replace('"', "\"\"")),
        )];
    }
    if login.powers.is_empty() {
        return vec![ok(format!("the login {name} may act as billrunner_app, and no more"))];
    }
    vec![warn(
        format!("the login {name} {}: whoever takes over a worker could do that too", login.powers.join(", ")),
        "make a login of its own: CREATE ROLE billrunner_worker LOGIN PASSWORD '…' IN ROLE billrunner_app",
    )]
}

async fn rights(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    let missing = server_facts::missing_rights(&mut *connection).await?;
    let surplus = server_facts::surplus_rights(connection).await?;
    let mut findings = Vec::new();
    if !missing.is_empty() {
        findings.push(fail(
            format!("billrunner_app is missing rights: {}", missing.join(", ")),
            "run `billrunner migrate`; where the right was taken back by hand, GRANT it again",
        ));
    }
    if !surplus.is_empty() {
        findings.push(warn(
            format!("billrunner_app has rights that nothing needs: {}", surplus.join(", ")),
            "REVOKE them: history and invoices are protected by their absence",
        ));
    }
    if findings.is_empty() {
        findings.push(ok("billrunner_app has the rights it needs, and cannot delete invoices or change history"));
    }
    Ok(findings)
}

fn migrations(found: &Migrations) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !found.missing.is_empty() {
        findings.push(fail(
            format!("the schema is older than this release: migrations {} are missing", list(&found.missing)),
            "run `billrunner migrate` with the owner's DATABASE_URL",
        ));
    }
    if !found.changed.is_empty() {
        findings.push(fail(
            format!("migrations {} were applied with another text than this release has", list(&found.changed)),
            "find out which build migrated this database, and run a release that came after it",
        ));
    }
    if !found.unknown.is_empty() {
        findings.push(warn(
            format!("the schema is newer than this release: it does not know migrations {}", list(&found.unknown)),
            "while an upgrade is under way this is as it should be; else replace this release by the later one",
        ));
    }
    if findings.is_empty() {
        findings.push(ok("the schema is that of this release"));
    }
    findings
}

fn list(versions: &[i64]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Counts what all workers that live and one web process may open together.
async fn connections(connection: &mut PgConnection, server: &Server, config: &Config) -> sqlx::Result<Finding> {
    let rows = workers::list(connection).await?;
    let alive = rows.iter().filter(|worker| worker.seen_seconds_ago < workers::GONE_AFTER_SECS).count();
    let workers = u32::try_from(alive.max(1)).unwrap_or(u32::MAX);
    let of_worker = config.database_connections.saturating_add(LEDGER_CONNECTIONS + FLOW_CONNECTIONS);
    let needed = workers.saturating_mul(of_worker).saturating_add(2 * web::CONNECTIONS + LEDGER_CONNECTIONS);
    let most = u32::try_from(server.most_connections).unwrap_or_default();
    let what = format!("{workers} workers and a web process may open {needed} connections, the server takes {most}");
    if needed <= most {
        return Ok(ok(what));
    }
    Ok(warn(what, "raise max_connections, or lower BILLRUNNER_DATABASE_CONNECTIONS"))
}
