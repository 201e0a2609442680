//! Charge files, accepted whole: the file, its scopes, its charges and their sums, in the caller's one transaction.
//!
//! Called by the import job. What makes it safe to run twice: a file is known by its sha256. What Postgres summed is
//! compared with what was summed while the file was checked; a difference of any size fails the import.

use std::{collections::BTreeMap, error::Error};

use bigdecimal::BigDecimal;
use chrono::{Datelike, NaiveDate};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    charge_rows::{ScopeValues, copy_charges},
    directory::hold_terms,
    stale_drafts::mark_charged,
};
use crate::domain::{
    billing_period::BillingPeriod,
    charge_file::{ChargeRow, CheckedChargeFile, CheckedScope},
    ids::{ChargeFileId, ChargeScopeId, ResellerId},
    money::Currency,
};

/// A checked file that is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewChargeFile<'a> {
    /// Whose file it is.
    pub reseller_id: ResellerId,
    /// Provider id, such as `aws`.
    pub provider: &'a str,
    /// The name it came under.
    pub file_name: &'a str,
    /// What the check found.
    pub checked: &'a CheckedChargeFile,
}

/// A file that was stored before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownChargeFile {
    /// Its id.
    pub id: ChargeFileId,
    /// The provider it was stored for.
    pub provider: String,
}

/// What storing a file did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredChargeFile {
    /// It is stored.
    New {
        /// Its id.
        id: ChargeFileId,
        /// How many scopes of earlier files no longer count.
        superseded_scope_count: u64,
        /// How many drafts must be generated again.
        stale_draft_count: u64,
    },
    /// The same content was stored before; nothing was changed.
    AlreadyKnown(ChargeFileId),
}

/// Two sums of one scope that should be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumDifference {
    /// The payer at the provider.
    pub billing_account_id: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Currency of both sums.
    pub currency: Currency,
    /// Summed while the file was checked.
    pub checked: BigDecimal,
    /// Summed by Postgres over the stored rows.
    pub stored: BigDecimal,
}

/// Why a file was not stored. The caller's transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum StoreChargeFileError {
    /// The same content belongs to another provider; permanent.
    #[error("this file was already stored as a charge file of provider `{}`; one file belongs to one provider", .0.provider)]
    OtherProvider(KnownChargeFile),
    /// The file and what is known disagree on a billing period; permanent.
    #[error("the billing period from {start} ends on {known_end}, not on {file_end} as the file says")]
    OtherPeriodEnd {
        /// First day.
        start: NaiveDate,
        /// As stored with an earlier file.
        known_end: NaiveDate,
        /// As this file says.
        file_end: NaiveDate,
    },
    /// The file is not what it was when it was checked.
    #[error("the charge file changed between its check and its import")]
    FileChanged,
    /// The rows could not be read to the end.
    #[error("the charge file cannot be read a second time")]
    Rows(#[source] Box<dyn Error + Send + Sync>),
    /// Money would be lost or made.
    #[error(
        "the stored charges of billing account `{}` in {} sum up to {} {currency}, the file to {} {currency}",
        .0.billing_account_id, .0.billing_period, .0.stored, .0.checked, currency = .0.currency
    )]
    SumsDiffer(Box<SumDifference>),
    /// A statement touched other rows than it was meant to.
    #[error("{found} scopes were superseded where {expected} were active")]
    Superseded {
        /// Active scopes seen.
        expected: usize,
        /// Rows changed.
        found: u64,
    },
    /// Postgres failed.
    #[error("the charge file cannot be stored")]
    Database(#[from] sqlx::Error),
}

/// Creates what holds the charges of the file's months, where it does not exist yet.
///
/// Call it outside the import's transaction: a new partition locks the whole table for as long as its transaction lasts.
///
/// # Errors
/// When Postgres fails.
pub async fn ensure_charges_partitions(conn: &mut PgConnection, checked: &CheckedChargeFile) -> sqlx::Result<()> {
    let mut months: Vec<(i32, u32, NaiveDate)> = Vec::new();
    for start in checked.scopes.iter().map(|scope| scope.billing_period.start()) {
        if months.last().is_none_or(|(year, month, _)| (*year, *month) != (start.year(), start.month())) {
            months.push((start.year(), start.month(), start));
        }
    }
    for (_, _, start) in months {
        sqlx::query!("SELECT ensure_charges_partition($1)", start).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Finds the file with this content, whatever its provider.
///
/// # Errors
/// When Postgres fails.
pub async fn find_charge_file(
    conn: &mut PgConnection,
    reseller_id: ResellerId,
    sha256: &[u8; 32],
) -> sqlx::Result<Option<KnownChargeFile>> {
    sqlx::query_as!(
        KnownChargeFile,
        r#"SELECT id AS "id: ChargeFileId", provider FROM charge_files WHERE reseller_id = $1 AND sha256 = $2"#,
        reseller_id.0,
        sha256.as_slice()
    )
    .fetch_optional(conn)
    .await
}

/// Stores a checked file and its rows, supersedes what earlier files said of the same accounts and periods, and marks
/// drafts that no longer hold.
///
/// Call it inside a transaction, after [`ensure_charges_partitions`]; commit only on `Ok`.
///
/// # Errors
/// See [`StoreChargeFileError`].
pub async fn store_charge_file<I, E>(
    conn: &mut PgConnection,
    file: NewChargeFile<'_>,
    rows: I,
) -> Result<StoredChargeFile, StoreChargeFileError>
where
    I: Iterator<Item = Result<ChargeRow, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let id = ChargeFileId::new();
    if !insert_charge_file(conn, id, file).await? {
        return already_known(conn, file).await;
    }
    lock_billing_periods(conn, file).await?;
    let scopes: Vec<(ChargeScopeId, &CheckedScope)> =
        file.checked.scopes.iter().map(|scope| (ChargeScopeId::new(), scope)).collect();
    let superseded_scope_count = supersede_scopes(conn, file, &scopes).await?;
    insert_scopes(conn, id, file, &scopes).await?;

    let mut values = ScopeValues::new(file.reseller_id);
    for (id, scope) in &scopes {
        values.insert(scope.billing_period, scope.billing_account_id.clone(), *id);
    }
    let copied = copy_charges(conn, values, rows).await?;
    if u64::try_from(file.checked.charge_count).ok() != Some(copied) {
        return Err(StoreChargeFileError::FileChanged);
    }
    // Who holds an account must not change between the sums, the drafts that they make stale, and the commit. Not earlier,
    // so that a directory waits for no copying; those who hold the terms already only share them, so nobody waits in a
    // circle.
    hold_terms(conn, file.reseller_id).await?;
    insert_totals(conn, file, &scopes).await?;
    compare_sums(conn, file.reseller_id, &scopes).await?;
    let new_scope_ids = Columns::of(&scopes).ids;
    let stale_draft_count = mark_charged(conn, file.reseller_id, file.provider, &new_scope_ids).await?;
    Ok(StoredChargeFile::New { id, superseded_scope_count, stale_draft_count })
}

/// Waits for another import of the same content, if there is one, and tells whether this one is the first.
async fn insert_charge_file(conn: &mut PgConnection, id: ChargeFileId, file: NewChargeFile<'_>) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO charge_files (reseller_id, id, sha256, provider, file_name, format, size_bytes, charge_count)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (reseller_id, sha256) DO NOTHING",
        file.reseller_id.0,
        id.0,
        file.checked.sha256.as_slice(),
        file.provider,
        file.file_name,
        file.checked.format,
        file.checked.size_bytes,
        file.checked.charge_count
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn already_known(
    conn: &mut PgConnection,
    file: NewChargeFile<'_>,
) -> Result<StoredChargeFile, StoreChargeFileError> {
    let known =
        find_charge_file(conn, file.reseller_id, &file.checked.sha256).await?.ok_or(sqlx::Error::RowNotFound)?;
    if known.provider != file.provider {
        return Err(StoreChargeFileError::OtherProvider(known));
    }
    Ok(StoredChargeFile::AlreadyKnown(known.id))
}

/// Locks the periods for the rest of the transaction, in order of their start: imports of one period queue up.
async fn lock_billing_periods(conn: &mut PgConnection, file: NewChargeFile<'_>) -> Result<(), StoreChargeFileError> {
    let periods: BTreeMap<NaiveDate, NaiveDate> =
        file.checked.scopes.iter().map(|scope| (scope.billing_period.start(), scope.billing_period.end())).collect();
    let starts: Vec<NaiveDate> = periods.keys().copied().collect();
    let ends: Vec<NaiveDate> = periods.values().copied().collect();
    sqlx::query!(
        "INSERT INTO billing_periods (reseller_id, provider, billing_period_start, billing_period_end)
         SELECT $1, $2, period.starts, period.ends FROM unnest($3::date[], $4::date[]) AS period (starts, ends)
         ON CONFLICT DO NOTHING",
        file.reseller_id.0,
        file.provider,
        &starts,
        &ends
    )
    .execute(&mut *conn)
    .await?;
    let known = sqlx::query!(
        "SELECT billing_period_start, billing_period_end FROM billing_periods
         WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = ANY ($3)
         ORDER BY billing_period_start FOR UPDATE",
        file.reseller_id.0,
        file.provider,
        &starts
    )
    .fetch_all(conn)
    .await?;
    for known in known {
        let (start, known_end) = (known.billing_period_start, known.billing_period_end);
        if let Some(&file_end) = periods.get(&start).filter(|end| **end != known_end) {
            return Err(StoreChargeFileError::OtherPeriodEnd { start, known_end, file_end });
        }
    }
    Ok(())
}

async fn supersede_scopes(
    conn: &mut PgConnection,
    file: NewChargeFile<'_>,
    scopes: &[(ChargeScopeId, &CheckedScope)],
) -> Result<u64, StoreChargeFileError> {
    let new = Columns::of(scopes);
    let active = sqlx::query!(
        r#"SELECT active.id, new.id AS "new_id!"
         FROM unnest($3::uuid[], $4::text[], $5::date[]) AS new (id, billing_account_id, billing_period_start)
         JOIN charge_scopes active USING (billing_account_id, billing_period_start)
         WHERE active.reseller_id = $1 AND active.provider = $2 AND active.superseded_by IS NULL
         FOR UPDATE OF active"#,
        file.reseller_id.0,
        file.provider,
        &new.ids,
        &new.billing_account_ids,
        &new.starts
    )
    .fetch_all(&mut *conn)
    .await?;
    let (old_ids, new_ids): (Vec<Uuid>, Vec<Uuid>) = active.iter().map(|scope| (scope.id, scope.new_id)).unzip();
    let superseded = sqlx::query!(
        "UPDATE charge_scopes SET superseded_by = pair.new_id
         FROM unnest($2::uuid[], $3::uuid[]) AS pair (old_id, new_id)
         WHERE reseller_id = $1 AND id = pair.old_id AND superseded_by IS NULL",
        file.reseller_id.0,
        &old_ids,
        &new_ids
    )
    .execute(conn)
    .await?;
    let (expected, found) = (active.len(), superseded.rows_affected());
    if u64::try_from(expected).ok() != Some(found) {
        return Err(StoreChargeFileError::Superseded { expected, found });
    }
    Ok(found)
}

async fn insert_scopes(
    conn: &mut PgConnection,
    file_id: ChargeFileId,
    file: NewChargeFile<'_>,
    scopes: &[(ChargeScopeId, &CheckedScope)],
) -> sqlx::Result<()> {
    let new = Columns::of(scopes);
    sqlx::query!(
        "INSERT INTO charge_scopes (reseller_id, charge_file_id, provider, id, billing_account_id, billing_period_start,
             billing_period_end, charge_count)
         SELECT $1, $2, $3, new.* FROM unnest($4::uuid[], $5::text[], $6::date[], $7::date[], $8::bigint[]) AS new",
        file.reseller_id.0,
        file_id.0,
        file.provider,
        &new.ids,
        &new.billing_account_ids,
        &new.starts,
        &new.ends,
        &new.charge_counts
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_totals(
    conn: &mut PgConnection,
    file: NewChargeFile<'_>,
    scopes: &[(ChargeScopeId, &CheckedScope)],
) -> sqlx::Result<()> {
    let new = Columns::of(scopes);
    // Nothing is known yet of rows that came in this transaction: Postgres expects one, and would sort millions on disk.
    sqlx::query!("SET LOCAL enable_sort = off").execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO charge_totals (reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category,
             charge_count, billed_cost, days)
         SELECT reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category, count(*), SUM(billed_cost),
             daterange((min(charge_period_start) AT TIME ZONE 'UTC')::date,
                       (max(charge_period_start) AT TIME ZONE 'UTC')::date, '[]')
         FROM charges
         WHERE reseller_id = $1 AND charge_scope_id = ANY ($2) AND billing_period_start = ANY ($3)
         GROUP BY reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category",
        file.reseller_id.0,
        &new.ids,
        &new.starts
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("SET LOCAL enable_sort = on").execute(conn).await?;
    Ok(())
}

async fn compare_sums(
    conn: &mut PgConnection,
    reseller_id: ResellerId,
    scopes: &[(ChargeScopeId, &CheckedScope)],
) -> Result<(), StoreChargeFileError> {
    let stored = sqlx::query!(
        r#"SELECT charge_scope_id AS "charge_scope_id: ChargeScopeId", billing_currency, SUM(billed_cost) AS "billed_cost!"
         FROM charge_totals
         WHERE reseller_id = $1 AND charge_scope_id = ANY ($2)
         GROUP BY charge_scope_id, billing_currency"#,
        reseller_id.0,
        &Columns::of(scopes).ids
    )
    .fetch_all(conn)
    .await?;
    let mut sums: BTreeMap<(ChargeScopeId, String), BigDecimal> =
        stored.into_iter().map(|sum| ((sum.charge_scope_id, sum.billing_currency), sum.billed_cost)).collect();
    for (id, scope) in scopes {
        for (&currency, checked) in &scope.billed_cost {
            let stored = sums.remove(&(*id, currency.code().to_owned())).unwrap_or_default();
            if stored != *checked {
                return Err(StoreChargeFileError::SumsDiffer(Box::new(SumDifference {
                    billing_account_id: scope.billing_account_id.clone(),
                    billing_period: scope.billing_period,
                    currency,
                    checked: checked.clone(),
                    stored,
                })));
            }
        }
    }
    if sums.is_empty() { Ok(()) } else { Err(StoreChargeFileError::FileChanged) }
}

/// The new scopes as arrays, one per column of a statement.
struct Columns {
    ids: Vec<Uuid>,
    billing_account_ids: Vec<String>,
    starts: Vec<NaiveDate>,
    ends: Vec<NaiveDate>,
    charge_counts: Vec<i64>,
}

impl Columns {
    fn of(scopes: &[(ChargeScopeId, &CheckedScope)]) -> Self {
        Self {
            ids: scopes.iter().map(|(id, _)| id.0).collect(),
            billing_account_ids: scopes.iter().map(|(_, scope)| scope.billing_account_id.clone()).collect(),
            starts: scopes.iter().map(|(_, scope)| scope.billing_period.start()).collect(),
            ends: scopes.iter().map(|(_, scope)| scope.billing_period.end()).collect(),
            charge_counts: scopes.iter().map(|(_, scope)| scope.charge_count).collect(),
        }
    }
}
