//! A database of its own for each test, cloned from the migrated template and dropped at the end.
//!
//! The test connects as the application's role, so that it also proves the grants suffice.

pub mod bench;
pub mod business;
pub mod charge_text;
pub mod clinic;
pub mod compatibility;
pub mod console;
pub mod customer;
pub mod delivery_report;
pub mod desk;
pub mod draft;
pub mod fixture;
pub mod flow;
pub mod holders;
pub mod http;
pub mod import;
pub mod letter;
pub mod mail_door;
pub mod month;
pub mod nodes;
pub mod payloads;
pub mod postgres;
pub mod postgres_programs;
pub mod priced;
pub mod properties;
pub mod proxy;
pub mod redis;
pub mod redis_users;
pub mod s3;
pub mod site;
pub mod traces;
pub mod worker;

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

const TEMPLATE: &str = "billrunner_template";
/// What Postgres says while somebody is connected to the template: `object_in_use`.
const TEMPLATE_IN_USE: &str = "55006";
/// Two workers and the test beside them.
const POOL: u32 = 16;
const CLONE_ATTEMPTS: u32 = 200;
const CLONE_RETRY_AFTER: Duration = Duration::from_millis(50);
/// Where a test's database says that jobs have ended.
pub const JOB_ENDED: &str = "job_ended";
/// Has it say so, for tests wait for what they wait for, not for a while. Saying it once a statement is enough.
const SAY_WHEN_JOBS_END: &str = "
    CREATE FUNCTION say_that_jobs_ended() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY job_ended; RETURN NULL; END $$;
    CREATE TRIGGER say_that_jobs_ended AFTER UPDATE OF finished_at ON jobs
        FOR EACH STATEMENT EXECUTE FUNCTION say_that_jobs_ended();";
/// The house's schedules would start jobs that a test does not expect.
const LET_SCHEDULES_REST: &str = "UPDATE schedules SET next_run_at = NULL";

/// A database that lives as long as the value.
pub struct TestDatabase {
    admin: PgConnectOptions,
    name: String,
    /// Connections that act as `billrunner_app`.
    pub pool: PgPool,
}

impl TestDatabase {
    /// Clones the template on the server that `DATABASE_URL` names.
    pub async fn new() -> Result<Self> {
        let Ok(url) = std::env::var("DATABASE_URL") else { panic!("DATABASE_URL is not set; run bin/test") };
        let admin: PgConnectOptions = url.parse().context("DATABASE_URL")?;
        let name = format!("t_{}", Uuid::now_v7().simple());
        clone_template(&admin, &name).await?;
        Self::open(admin, name).await
    }

    /// Opens a migrated database for a test and takes care of its end.
    pub async fn open(admin: PgConnectOptions, name: String) -> Result<Self> {
        let options = admin.clone().database(&name).options([("search_path", "billrunner,public")]);
        let mut owner = options.connect().await?;
        sqlx::raw_sql(SAY_WHEN_JOBS_END).execute(&mut owner).await?;
        sqlx::raw_sql(LET_SCHEDULES_REST).execute(&mut owner).await?;
        owner.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(POOL)
            .after_connect(|conn, _| {
                Box::pin(async move { sqlx::query("SET ROLE billrunner_app").execute(conn).await.map(|_| ()) })
            })
            .connect_with(options)
            .await?;
        Ok(Self { admin, name, pool })
    }

    /// Connects as the server's owner, for what the application may not do.
    pub async fn connect_as_owner(&self) -> Result<PgConnection> {
        let options = self.admin.clone().database(&self.name).options([("search_path", "billrunner,public")]);
        Ok(options.connect().await?)
    }

    /// Ends every connection to this database, as a restart of the server does.
    pub async fn end_connections(&self) -> Result<()> {
        let mut owner = self.connect_as_owner().await?;
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(ended).execute(&mut owner).await?;
        Ok(owner.close().await?)
    }
}

impl Drop for TestDatabase {
    /// Best effort, also when the test panicked: a runtime of its own, as the test's may be on its way out.
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || -> Result<()> {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut conn = admin.connect().await?;
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await?;
                Ok(conn.close().await?)
            })
        });
        let _ = dropping.join();
    }
}

async fn clone_template(admin: &PgConnectOptions, name: &str) -> Result<()> {
    let mut conn = admin.connect().await?;
    for _ in 1..CLONE_ATTEMPTS {
        match create_database(&mut conn, name).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TEMPLATE_IN_USE) => {
                tokio::time::sleep(CLONE_RETRY_AFTER).await;
            }
            created => return created.with_context(|| format!("cloning {TEMPLATE}")),
        }
    }
    create_database(&mut conn, name).await.with_context(|| format!("cloning {TEMPLATE}; who is connected to it?"))
}

async fn create_database(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let statement = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    sqlx::query(AssertSqlSafe(statement)).execute(conn).await.map(|_| ())
}
