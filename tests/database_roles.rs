//! Who may do what in the database: the catalogue of Postgres says the same as the matrix that is written here, and what it
//! forbids is refused.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::TestDatabase;

/// The roles that billrunner makes, in the order of the matrix's columns.
const ROLES: [&str; 3] = ["billrunner_app", "billrunner_auditor", "billrunner_enqueue"];
/// Rights on a table, each with its letter in the matrix; `u` is the right to update some columns only.
const RIGHTS: [(&str, &str); 7] = [
    ("SELECT", "S"),
    ("INSERT", "I"),
    ("UPDATE", "U"),
    ("DELETE", "D"),
    ("TRUNCATE", "T"),
    ("REFERENCES", "R"),
    ("TRIGGER", "G"),
];
const NONE: &str = "-";
/// Postgres: `insufficient_privilege`.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Each table and view with what the application, an auditor and a system at the SQL door may do to it.
const MATRIX: &str = "
_sqlx_migrations           S    S  -
accounts_of_invoices       S    S  -
api_clients                SIUD S  -
api_keys                   SIu  -  -
bill_run_balances          SID  S  -
bill_run_findings          SID  S  -
bill_runs                  SIU  S  -
billing_periods            SIU  S  -
charge_day_totals          SI   S  -
charge_files               SI   S  -
charge_scopes              SIU  S  -
charge_totals              SI   S  -
charges                    SI   S  -
console_sessions           SIDu -  -
console_tokens             SIu  -  -
contacts                   SIUD S  -
custom_charges             SIUD S  -
custom_field_values        SIUD S  -
custom_fields              SIUD S  -
customers                  SIUD S  -
document_parts             SI   S  -
documents                  SI   S  -
event_chains               SIU  S  -
exchange_rates             SIUD S  -
held_charge_totals         S    S  -
invoice_accounts           SID  S  -
invoice_events             SI   S  -
invoice_exchange_rates     SID  S  -
invoice_lines              SID  S  -
invoice_sources            SID  S  -
invoice_taxes              SID  S  -
invoice_view_rates         SI   S  -
invoices                   SIU  S  -
job_attempts               SIUD S  -
job_kinds                  -    S  -
job_rates                  SIUD S  -
job_rates_counted          SU   S  -
jobs                       SIUD S  -
login_attempts             SIUD -  -
mail_domains               SIU  S  -
mail_server                SU   S  -
markups                    SIUD S  -
notification_history       SI   S  -
notifications              SIU  S  -
number_series              SIU  S  -
operator_actions           SI   S  -
operator_mails             SIU  S  -
parts_of_documents         S    S  -
price_rules                SIUD S  -
pricing_policies           SIU  S  -
provider_accounts          SIUD S  -
queue_controls             SIUD S  -
reseller_brandings         SI   S  -
resellers                  SIU  S  -
schedules                  SIUD S  -
suppressed_addresses       SIUD S  -
suppression_actions        SI   S  -
tax_rates                  SIUD S  -
unassigned_waiver_actions  SI   S  -
unassigned_waivers         SIUD S  -
users                      SIu  -  -
workers                    SIUD S  -
";

/// The functions that roles other than the owner may call, each with the roles.
const FUNCTIONS: &str = "
day_totals                billrunner_app
dispatch_rank             billrunner_app
enqueue_job               billrunner_enqueue
ensure_charges_partition  billrunner_app
fold_error                billrunner_app billrunner_auditor
payload_id                billrunner_app
printed_fields            billrunner_app
text_range                billrunner_app
";

/// Asks the catalogue for rights on every table, in the form of the matrix.
async fn rights(connection: &mut PgConnection) -> Result<BTreeMap<String, Vec<String>>> {
    let sql = "SELECT class.relname::text, coalesce(string_agg(granted.letter, '' ORDER BY granted.n), '') ||
                      CASE WHEN NOT has_table_privilege(role, class.oid, 'UPDATE')
                            AND has_any_column_privilege(role, class.oid, 'UPDATE') THEN 'u' ELSE '' END
               FROM pg_class AS class
               JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = 'billrunner'
               CROSS JOIN unnest($1::text[]) WITH ORDINALITY AS roles (role, place)
               LEFT JOIN unnest($2::text[], $3::text[]) WITH ORDINALITY AS granted (name, letter, n)
                 ON has_table_privilege(role, class.oid, granted.name)
               WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
               GROUP BY class.relname, class.oid, role, place ORDER BY class.relname, place";
    let (names, letters): (Vec<&str>, Vec<&str>) = RIGHTS.into_iter().unzip();
    let rows: Vec<(String, String)> =
        sqlx::query_as(sql).bind(&ROLES[..]).bind(names).bind(letters).fetch_all(connection).await?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, rights) in rows {
        found.entry(table).or_default().push(if rights.is_empty() { NONE.to_owned() } else { rights });
    }
    Ok(found)
}

/// Reads lines of words: the first of each, and those behind it.
fn lines(text: &str) -> BTreeMap<String, Vec<String>> {
    let split = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    text.lines().map(split).filter_map(|words| Some((words.first()?.clone(), words[1..].to_vec()))).collect()
}

/// Shows what is read as it is written here.
fn shown(found: &BTreeMap<String, Vec<String>>) -> String {
    found.iter().map(|(name, words)| format!("{name} {}", words.join(" "))).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_role_may_do_what_the_matrix_says_and_nothing_else() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut owner = database.connect_as_owner().await?;
    let found = rights(&mut owner).await?;
    assert_eq!(found, lines(MATRIX), "the catalogue says:\n{}", shown(&found));
    Ok(())
}

#[tokio::test]
async fn each_role_may_call_what_is_listed_and_nothing_else() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut owner = database.connect_as_owner().await?;
    // Triggers run for whoever changes a row, and extensions bring functions of their own.
    let sql = "SELECT proname::text, role FROM pg_proc
               JOIN pg_namespace ON pg_namespace.oid = pronamespace AND nspname = 'billrunner'
               CROSS JOIN unnest($1::text[]) AS role
               WHERE has_function_privilege(role, pg_proc.oid, 'EXECUTE') AND prorettype <> 'trigger'::regtype
                 AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
               GROUP BY proname, role ORDER BY proname, role";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).bind(&ROLES[..]).fetch_all(&mut owner).await?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (function, role) in rows {
        found.entry(function).or_default().push(role);
    }
    assert_eq!(found, lines(FUNCTIONS), "the catalogue says:\n{}", shown(&found));
    Ok(())
}

#[tokio::test]
async fn no_role_owns_creates_logs_in_or_stands_above_anything() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut owner = database.connect_as_owner().await?;
    let powers: Vec<String> = sqlx::query_scalar(
        "SELECT rolname || ' ' || concat_ws(' ',
             CASE WHEN rolsuper THEN 'is superuser' END, CASE WHEN rolcreatedb THEN 'creates databases' END,
             CASE WHEN rolcreaterole THEN 'creates roles' END, CASE WHEN rolbypassrls THEN 'bypasses policies' END,
             CASE WHEN rolcanlogin THEN 'logs in' END, CASE WHEN rolreplication THEN 'replicates' END,
             CASE WHEN has_schema_privilege(rolname, 'billrunner', 'CREATE') THEN 'creates in the schema' END,
             CASE WHEN has_schema_privilege(rolname, 'public', 'CREATE') THEN 'creates in public' END,
             CASE WHEN EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) THEN 'is a member' END,
             CASE WHEN EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid) THEN 'owns' END)
         FROM pg_roles WHERE rolname = ANY ($1) ORDER BY rolname",
    )
    .bind(&ROLES[..])
    .fetch_all(&mut owner)
    .await?;
    assert_eq!(powers, ROLES.map(|role| format!("{role} ")));
    Ok(())
}

#[tokio::test]
async fn what_a_role_may_not_do_is_refused() -> Result<()> {
    let database = TestDatabase::new().await?;
    for (role, statement) in [
        ("billrunner_app", "CREATE TABLE billrunner.backdoor (id integer)"),
        ("billrunner_app", "ALTER TABLE invoices DISABLE TRIGGER ALL"),
        ("billrunner_app", "DROP TABLE invoice_events"),
        ("billrunner_app", "TRUNCATE jobs"),
        ("billrunner_app", "SET session_replication_role = replica"),
        ("billrunner_app", "UPDATE invoice_events SET actor = 'nobody'"),
        ("billrunner_app", "DELETE FROM invoice_events"),
        ("billrunner_app", "DELETE FROM invoices"),
        ("billrunner_app", "DELETE FROM operator_actions"),
        ("billrunner_app", "UPDATE api_keys SET secret_hash = ''"),
        ("billrunner_app", "SET ROLE billrunner_auditor"),
        ("billrunner_auditor", "SELECT secret_hash FROM api_keys"),
        ("billrunner_auditor", "UPDATE invoices SET total = 0"),
        ("billrunner_auditor", "INSERT INTO operator_actions DEFAULT VALUES"),
        ("billrunner_auditor", "CREATE TABLE billrunner.backdoor (id integer)"),
        ("billrunner_enqueue", "SELECT FROM jobs"),
        ("billrunner_enqueue", "INSERT INTO jobs DEFAULT VALUES"),
        ("billrunner_enqueue", "SELECT FROM customers"),
        ("billrunner_enqueue", "SET ROLE billrunner_app"),
    ] {
        // Not `SET ROLE` alone: the owner behind it could become anybody again.
        let mut session = database.connect_as_owner().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("SET SESSION AUTHORIZATION {role}"))).execute(&mut session).await?;
        let refused = sqlx::raw_sql(statement).execute(&mut session).await.err();
        let refused = refused.with_context(|| format!("{role} may {statement}"))?;
        let code =
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned();
        ensure!(code == INSUFFICIENT_PRIVILEGE, "{role}, {statement}: {refused}");
    }
    Ok(())
}
