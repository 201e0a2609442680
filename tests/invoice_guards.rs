//! What the database itself refuses, to every client: psql as the application's role, and as the owner.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use billrunner::domain::invoice_status::{InvoiceStatus, Plan, plan};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::{business::database_url, desk::Desk};

/// What psql does first to act as the application, and as the owner that it connects as.
const ROLES: [&str; 2] = ["SET LOCAL ROLE billrunner_app", "SET LOCAL ROLE NONE"];
/// Ends psql's answer to one statement.
const END: &str = "-- end of answer --";
const ISSUED: [InvoiceStatus; 3] = [InvoiceStatus::Open, InvoiceStatus::Closed, InvoiceStatus::Void];

/// Runs each statement for itself in psql, keeps none of them, and returns what was said against each: nothing where it
/// was accepted.
async fn psql(url: &str, role: &str, statements: &[String]) -> Result<Vec<String>> {
    let mut child = Command::new("psql")
        .args([url, "-X", "-q", "-A", "-t"])
        .env("PGOPTIONS", "-c search_path=billrunner")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("psql does not start; run bin/setup")?;
    let ask = |statement| {
        format!(
            "BEGIN;\n{role};\n{statement};\n\\if :ERROR\n\\echo :LAST_ERROR_MESSAGE\n\\endif\nROLLBACK;\n\\echo '{END}'\n"
        )
    };
    let script: String = statements.iter().map(ask).collect();
    child.stdin.take().context("an input")?.write_all(script.as_bytes()).await?;
    let output = String::from_utf8(child.wait_with_output().await?.stdout)?;
    let said: Vec<String> = output.trim_end().split_terminator(END).map(|said| said.trim().to_owned()).collect();
    ensure!(said.len() == statements.len(), "psql did not answer everything: {output}");
    Ok(said)
}

#[tokio::test]
async fn the_database_accepts_from_any_client_exactly_the_single_steps() -> Result<()> {
    let desk = Desk::with_drafts(InvoiceStatus::ALL.len()).await?;
    let url = database_url(&desk.office.pool).await?;
    for (customer, from) in InvoiceStatus::ALL.into_iter().enumerate() {
        let id = desk.invoice_in(customer, from).await?;
        let to_another = |target: InvoiceStatus, raise: i32| {
            let opens = (from, target) == (InvoiceStatus::Draft, InvoiceStatus::Open);
            let issue = if opens { ", number = 'T-1', issued_on = current_date, opened_at = now()" } else { "" };
            format!("UPDATE invoices SET status = '{target}', version = version + {raise}{issue} WHERE id = '{id}'")
        };
        let targets: Vec<_> = InvoiceStatus::ALL.into_iter().filter(|target| *target != from).collect();
        let updates: Vec<String> = targets.iter().map(|target| to_another(*target, 1)).collect();
        let at_wrong_version: Vec<String> = targets.iter().map(|target| to_another(*target, 0)).collect();
        for role in ROLES {
            let said = psql(&url, role, &updates).await?;
            for (target, said) in targets.iter().zip(said) {
                let is_one_step = matches!(plan(from, *target), Ok(Plan::Steps(steps)) if steps.len() == 1);
                assert_eq!(said.is_empty(), is_one_step, "{role}: {from} to {target}: {said}");
                assert!(*target != InvoiceStatus::Draft || said.contains("never returns to draft"), "{said}");
            }
            let said = psql(&url, role, &at_wrong_version).await?;
            assert!(said.iter().all(|said| !said.is_empty()), "{role}: a version that stands still: {said:?}");
        }
    }
    desk.close().await
}

/// Returns an assignment of another value for each column of an invoice but its status.
async fn other_values(desk: &Desk) -> Result<Vec<String>> {
    let sql = "SELECT format('%I = %s', column_name, CASE data_type
                   WHEN 'text' THEN quote_literal('other')
                   WHEN 'uuid' THEN 'gen_random_uuid()'
                   WHEN 'jsonb' THEN quote_literal('{\"other\": 1}')
                   WHEN 'boolean' THEN format('NOT %I', column_name)
                   WHEN 'date' THEN quote_literal('1999-01-01')
                   WHEN 'timestamp with time zone' THEN quote_literal('1999-01-01')
                   ELSE '987654' END)
               FROM information_schema.columns
               WHERE table_schema = 'billrunner' AND table_name = 'invoices' AND column_name <> 'status'
               ORDER BY ordinal_position";
    Ok(sqlx::query_scalar(sql).fetch_all(&desk.office.pool).await?)
}

#[tokio::test]
async fn no_column_of_an_issued_or_discarded_invoice_changes_by_itself() -> Result<()> {
    let desk = Desk::with_drafts(4).await?;
    let url = database_url(&desk.office.pool).await?;
    let others = other_values(&desk).await?;
    assert!(others.len() > 25, "{others:?}");
    let alone = ["UPDATE invoices SET version = version + 1 WHERE status = 'draft'".to_owned()];
    assert!(psql(&url, ROLES[0], &alone).await?[0].contains("changes its version with its status only"));
    for (customer, status) in ISSUED.into_iter().chain([InvoiceStatus::Discarded]).enumerate() {
        let id = desk.invoice_in(customer, status).await?;
        let updates: Vec<String> =
            others.iter().map(|other| format!("UPDATE invoices SET {other} WHERE id = '{id}'")).collect();
        for role in ROLES {
            for (update, said) in updates.iter().zip(psql(&url, role, &updates).await?) {
                assert!(said.contains(&format!("is {status} and frozen")), "{role}, {status}: {update}: {said}");
            }
        }
    }
    desk.close().await
}

#[tokio::test]
async fn the_content_of_an_issued_invoice_is_frozen() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    let url = database_url(&desk.office.pool).await?;
    for (customer, status) in ISSUED.into_iter().enumerate() {
        let id = desk.invoice_in(customer, status).await?;
        let mut statements = Vec::new();
        for (table, change) in [
            ("invoice_lines", "net = net + 1"),
            ("invoice_taxes", "amount = amount + 1"),
            ("invoice_sources", "cost_exact = cost_exact + 1"),
            ("invoice_accounts", "days = '(,2000-01-01)'"),
        ] {
            statements.push(format!("UPDATE {table} SET {change} WHERE invoice_id = '{id}'"));
            statements.push(format!("DELETE FROM {table} WHERE invoice_id = '{id}'"));
            statements.push(format!("INSERT INTO {table} SELECT * FROM {table} WHERE invoice_id = '{id}'"));
        }
        statements.push(format!(
            "INSERT INTO invoice_exchange_rates SELECT reseller_id, id, 'USD', 'EUR', 1, 'me', '1999-01-01' FROM invoices
             WHERE id = '{id}'"
        ));
        for (statement, said) in statements.iter().zip(psql(&url, ROLES[1], &statements).await?) {
            assert!(said.contains("is frozen: it is"), "as owner: {statement}: {said}");
        }
        for (statement, said) in statements.iter().zip(psql(&url, ROLES[0], &statements).await?) {
            assert!(!said.is_empty(), "as the application: {statement} was accepted");
        }
    }
    desk.close().await
}

#[tokio::test]
async fn invoices_are_never_deleted_nor_history_edited_nor_anything_emptied() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.invoice_in(0, InvoiceStatus::Open).await?;
    let url = database_url(&desk.office.pool).await?;
    let for_everybody = [
        "DELETE FROM invoices WHERE status = 'draft'",
        "DELETE FROM invoices WHERE status = 'open'",
        "TRUNCATE invoices CASCADE",
        "UPDATE invoice_events SET actor = 'nobody'",
        "DELETE FROM invoice_events",
        "TRUNCATE invoice_events CASCADE",
    ]
    .map(str::to_owned);
    for role in ROLES {
        for (statement, said) in for_everybody.iter().zip(psql(&url, role, &for_everybody).await?) {
            assert!(!said.is_empty(), "{role}: {statement} was accepted");
        }
    }
    let tables = [
        "invoices",
        "invoice_lines",
        "invoice_taxes",
        "invoice_sources",
        "invoice_events",
        "event_chains",
        "number_series",
    ];
    let of_the_application: Vec<String> = tables
        .iter()
        .map(|table| format!("TRUNCATE {table} CASCADE"))
        .chain(["DELETE FROM event_chains".to_owned(), "DELETE FROM number_series".to_owned()])
        .chain([
            "ALTER TABLE invoices DISABLE TRIGGER ALL".to_owned(),
            "SET session_replication_role = replica".to_owned(),
        ])
        .collect();
    for (statement, said) in of_the_application.iter().zip(psql(&url, ROLES[0], &of_the_application).await?) {
        assert!(said.contains("permission denied") || said.contains("must be owner"), "{statement}: {said}");
    }
    desk.close().await
}

#[tokio::test]
async fn an_invoice_starts_as_a_draft_for_every_client() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let url = database_url(&desk.office.pool).await?;
    let inserts: Vec<String> = InvoiceStatus::ALL
        .into_iter()
        .map(|status| {
            let is_numbered = ISSUED.contains(&status);
            let (number, day) = if is_numbered { ("'T-2'", "current_date") } else { ("NULL", "NULL") };
            format!(
                "INSERT INTO invoices SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid(),
                     'currency', 'USD', 'document_id', 'T-2', 'status', '{status}', 'number', {number},
                     'issued_on', {day}, 'opened_at', {day}))).* FROM invoices i"
            )
        })
        .collect();
    for role in ROLES {
        for (status, said) in InvoiceStatus::ALL.iter().zip(psql(&url, role, &inserts).await?) {
            let expected = if *status == InvoiceStatus::Draft { "" } else { "starts as draft" };
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{role}: {status}: {said}");
        }
    }
    desk.close().await
}
