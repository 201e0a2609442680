//! Many drafts opened at once: numbers taken in blocks, statuses, history and notifications written in one statement each.
//!
//! Called by the job that opens a month's drafts, in one transaction per block. It leaves the rows that
//! `invoice_status::take_step` leaves, one invoice after the other.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::{
    directory::Recipient,
    invoice_status::{ChainEnd, StepError, lock_chain, take_numbers},
    invoices::InvoiceState,
};
use crate::domain::{
    directory::Contact,
    ids::{CustomerId, ResellerId},
    invoice_event::{Cause, Event},
    invoice_status::{InvoiceStatus, Step},
    numbering,
};

/// Opens drafts that are locked, and returns the place of each one's event in the chain, in the order of the drafts.
///
/// # Errors
/// [`StepError::Changed`] when one of them is no longer at the step's status and its state's version.
pub async fn open_drafts(
    connection: &mut PgConnection,
    drafts: &mut [InvoiceState],
    step: Step,
    cause: &Cause,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, StepError> {
    let Some(reseller_id) = drafts.first().map(|draft| draft.key.reseller_id) else { return Ok(Vec::new()) };
    // The chain before the numbers, as every other way of opening does.
    let chain = lock_chain(connection, reseller_id).await?;
    let issues = number(connection, reseller_id, drafts, now.date_naive()).await?;
    change_statuses(connection, reseller_id, drafts, (step, now), &issues).await?;
    for draft in &mut *drafts {
        draft.status = step.to;
        draft.version += 1;
    }
    Ok(append_events(connection, chain, drafts, (step, cause, now)).await?)
}

/// Takes the numbers that a block needs: of each series at once, and given out in the order of the drafts.
async fn number(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    drafts: &[InvoiceState],
    today: NaiveDate,
) -> sqlx::Result<Vec<(String, NaiveDate)>> {
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for draft in drafts {
        *wanted.entry(numbering::series(draft.kind, today)).or_default() += 1;
    }
    let mut taken: BTreeMap<String, (i64, NaiveDate)> = BTreeMap::new();
    for (series, count) in wanted {
        taken.insert(series.clone(), take_numbers(connection, reseller_id, &series, count, today).await?);
    }
    let mut give = |draft: &InvoiceState| {
        let series = numbering::series(draft.kind, today);
        let (next, issued_on) = taken.get_mut(&series)?;
        let number = numbering::number(&series, *next);
        *next += 1;
        Some((number, *issued_on))
    };
    drafts.iter().map(|draft| give(draft).ok_or(sqlx::Error::RowNotFound)).collect()
}

async fn change_statuses(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    drafts: &[InvoiceState],
    (step, now): (Step, DateTime<Utc>),
    issues: &[(String, NaiveDate)],
) -> Result<(), StepError> {
    let (numbers, days): (Vec<String>, Vec<NaiveDate>) = issues.iter().cloned().unzip();
    let changed = sqlx::query_scalar!(
        "UPDATE invoices
         SET status = $2, version = invoices.version + 1, number = opening.number, issued_on = opening.issued_on,
             opened_at = $3
         FROM unnest($4::uuid[], $5::integer[], $6::text[], $7::date[]) AS opening (id, version, number, issued_on)
         WHERE invoices.reseller_id = $1 AND invoices.id = opening.id AND invoices.version = opening.version
           AND invoices.status = $8
         RETURNING invoices.id",
        reseller_id.0,
        step.to.as_str(),
        now,
        &drafts.iter().map(|draft| draft.id.0).collect::<Vec<_>>(),
        &drafts.iter().map(|draft| draft.version).collect::<Vec<_>>(),
        &numbers,
        &days,
        step.from.as_str(),
    )
    .fetch_all(connection)
    .await?;
    match drafts.iter().find(|draft| changed.len() != drafts.len() && !changed.contains(&draft.id.0)) {
        Some(draft) => Err(StepError::Changed(draft.id)),
        None => Ok(()),
    }
}

/// Appends one event per invoice, each with the hash of the one before it.
async fn append_events(
    connection: &mut PgConnection,
    chain: ChainEnd,
    invoices: &[InvoiceState],
    (step, cause, occurred_at): (Step, &Cause, DateTime<Utc>),
) -> sqlx::Result<Vec<i64>> {
    let Some(reseller_id) = invoices.first().map(|invoice| invoice.key.reseller_id) else { return Ok(Vec::new()) };
    let (mut sequences, mut previous_hashes, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let mut last_hash = chain.last_hash;
    for (sequence, invoice) in (chain.next_sequence..).zip(invoices) {
        let event = Event {
            reseller_id,
            sequence,
            invoice_id: invoice.id,
            invoice_version: invoice.version,
            name: step.event,
            from_status: Some(step.from),
            to_status: step.to,
            cause,
            occurred_at,
        };
        let hash = event.hash(&last_hash).to_vec();
        previous_hashes.push(std::mem::replace(&mut last_hash, hash.clone()));
        hashes.push(hash);
        sequences.push(sequence);
    }
    sqlx::query!(
        "INSERT INTO invoice_events (reseller_id, name, from_status, to_status, actor, reason, job_id, correlation, occurred_at,
             sequence, invoice_id, invoice_version, previous_hash, hash)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, event.*
         FROM unnest($10::bigint[], $11::uuid[], $12::integer[], $13::bytea[], $14::bytea[]) AS event",
        reseller_id.0,
        step.event.as_str(),
        Some(step.from).map(InvoiceStatus::as_str),
        step.to.as_str(),
        cause.actor,
        cause.reason,
        cause.job_id.map(|id| id.0),
        cause.correlation,
        occurred_at,
        &sequences,
        &invoices.iter().map(|invoice| invoice.id.0).collect::<Vec<_>>(),
        &invoices.iter().map(|invoice| invoice.version).collect::<Vec<_>>(),
        &previous_hashes,
        &hashes,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE event_chains SET next_sequence = next_sequence + $3, last_hash = $2 WHERE reseller_id = $1",
        reseller_id.0,
        &last_hash,
        i64::try_from(invoices.len()).unwrap_or(i64::MAX),
    )
    .execute(connection)
    .await?;
    Ok(sequences)
}

/// Returns the contacts of several customers with what keeps them from being told, as `directory::recipients` does of one.
///
/// # Errors
/// When the database fails.
pub async fn recipients_of_all(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_ids: &[CustomerId],
) -> sqlx::Result<BTreeMap<CustomerId, Vec<Recipient>>> {
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", contacts.email, contacts.name, contacts.enabled,
                  suppressed_addresses.reason AS "reason?"
         FROM contacts LEFT JOIN suppressed_addresses
           ON suppressed_addresses.reseller_id = contacts.reseller_id
          AND suppressed_addresses.email = lower(contacts.email)
         WHERE contacts.reseller_id = $1 AND contacts.customer_id = ANY ($2)
         ORDER BY contacts.customer_id, contacts.email LIMIT 100000"#,
        reseller_id.0,
        &customer_ids.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<CustomerId, Vec<Recipient>> = BTreeMap::new();
    for row in rows {
        let contact = Contact { email: row.email, name: row.name, enabled: row.enabled };
        found.entry(row.customer_id).or_default().push(Recipient::new(contact, row.reason));
    }
    Ok(found)
}
