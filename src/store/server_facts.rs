//! What Postgres says of itself and of who logs in, for `billrunner doctor`.
//!
//! Asked on a connection that acts as the login, before it takes the application's role. Reads the catalogue alone, so it
//! works where nothing is migrated yet. Whether what it finds is well is the doctor's to say.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The server and how it keeps what it is told.
#[derive(Clone, Debug)]
pub struct Server {
    /// As the server writes it: 170002 for 17.2.
    pub version_number: i32,
    /// For people.
    pub version: String,
    /// What time it is there.
    pub now: DateTime<Utc>,
    /// Connections that all clients together may have, without those kept for superusers.
    pub most_connections: i32,
    /// Whether what is committed reaches the disk.
    pub is_synced: bool,
    /// Whether a page that was half written can be mended.
    pub writes_full_pages: bool,
    /// What a commit of this login waits for.
    pub synchronous_commit: String,
}

/// Describes the server.
///
/// # Errors
/// When the database fails.
pub async fn server(connection: &mut PgConnection) -> sqlx::Result<Server> {
    sqlx::query_as!(
        Server,
        r#"SELECT current_setting('server_version_num')::integer AS "version_number!",
                  current_setting('server_version') AS "version!", clock_timestamp() AS "now!",
                  current_setting('max_connections')::integer
                    - current_setting('superuser_reserved_connections')::integer AS "most_connections!",
                  current_setting('fsync')::boolean AS "is_synced!",
                  current_setting('full_page_writes')::boolean AS "writes_full_pages!",
                  current_setting('synchronous_commit') AS "synchronous_commit!""#
    )
    .fetch_one(connection)
    .await
}

/// Who logs in, and what that lets it do.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its name.
    pub name: String,
    /// Whether there is a role `billrunner_app`, which the first migration makes.
    pub has_application: bool,
    /// Whether it may act as that role.
    pub may_act: bool,
    /// What it may do beyond the application's work.
    pub powers: Vec<String>,
}

/// Describes who logs in.
///
/// # Errors
/// When the database fails.
pub async fn login(connection: &mut PgConnection) -> sqlx::Result<Login> {
    sqlx::query_as!(
        Login,
        r#"SELECT rolname::text AS "name!", to_regrole('billrunner_app') IS NOT NULL AS "has_application!",
                  coalesce((SELECT pg_has_role(login.oid, application.oid, 'MEMBER') FROM pg_roles AS application
                            WHERE application.rolname = 'billrunner_app'), false) AS "may_act!",
                  array_remove(ARRAY[
                      CASE WHEN rolsuper THEN 'is a superuser' END,
                      CASE WHEN rolcreaterole THEN 'may make roles' END,
                      CASE WHEN rolcreatedb THEN 'may make databases' END,
                      CASE WHEN rolreplication THEN 'may replicate' END,
                      CASE WHEN rolbypassrls THEN 'may pass row security' END,
                      CASE WHEN coalesce(has_schema_privilege(login.oid, to_regnamespace('billrunner')::oid, 'CREATE'), false)
                           THEN 'may change the schema' END
                  ], NULL) AS "powers!: Vec<String>"
           FROM pg_roles AS login WHERE rolname = session_user"#
    )
    .fetch_one(connection)
    .await
}

/// Returns what the application's role is missing of what its work needs, such as `INSERT on jobs`.
///
/// # Errors
/// When the database fails, or there is no such role.
pub async fn missing_rights(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT privilege || ' on ' || name AS "right!"
           FROM (VALUES ('jobs', 'INSERT'), ('jobs', 'UPDATE'), ('jobs', 'DELETE'), ('job_attempts', 'INSERT'),
                        ('workers', 'INSERT'), ('charges', 'INSERT'), ('invoices', 'INSERT'), ('invoices', 'UPDATE'),
                        ('invoice_events', 'INSERT'), ('documents', 'INSERT'), ('notifications', 'UPDATE'))
                AS needed (name, privilege)
           WHERE NOT coalesce(has_table_privilege('billrunner_app', to_regclass('billrunner.' || name)::oid, privilege), false)
           LIMIT 100"#
    )
    .fetch_all(connection)
    .await
}

/// Returns what the application's role may do although nothing of it should ever happen.
///
/// # Errors
/// When the database fails, or there is no such role.
pub async fn surplus_rights(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT privilege || ' on ' || name AS "right!"
           FROM (VALUES ('invoices', 'DELETE'), ('invoice_events', 'UPDATE'), ('invoice_events', 'DELETE'),
                        ('operator_actions', 'UPDATE'), ('operator_actions', 'DELETE')) AS forbidden (name, privilege)
           WHERE has_table_privilege('billrunner_app', to_regclass('billrunner.' || name)::oid, privilege)
           LIMIT 100"#
    )
    .fetch_all(connection)
    .await
}
