//! Reads a charge file from the object store into Postgres.
//!
//! Idempotent by reseller and sha256: the same file again is a success that changes nothing. A file is accepted whole
//! or rejected whole; rejection is permanent and names the first twenty problems. Cancelled, it leaves nothing behind: all
//! that it stores is one transaction.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, task::spawn_blocking};

use crate::{
    context::Context,
    domain::{charge_file::CheckedChargeFile, ids::ResellerId},
    metrics,
    providers::{self, ChargeFileError, FromStart, Profile, check_charges_while, read_opened_charges},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        charges::{self, NewChargeFile, StoreChargeFileError, StoredChargeFile},
        jobs::Progress,
    },
};

/// Names a charge file that lies in the object store under its sha256.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCharges {
    /// Whose charges they are.
    pub reseller_id: ResellerId,
    /// Provider id; decides the profile of the invoices.
    pub provider: String,
    /// Of the file, 64 hexadecimal digits; also its place in the object store.
    pub sha256: String,
    /// As it was called, for people.
    pub file_name: String,
}

/// Returns where a charge file lies in the object store, by the sha256 of its bytes.
///
/// # Errors
/// When the text is no sha256: whatever it is, it does not become part of a path.
pub fn charge_file_location(sha256: &str) -> Result<Path, NotASha256> {
    check_sha256(sha256).map(|sha256| Path::from(format!("charge-files/{sha256}")))
}

/// Returns the text where it is a sha256.
pub(super) fn check_sha256(text: &str) -> Result<&str, NotASha256> {
    let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_sha256 = text.len() == 64 && text.bytes().all(digits);
    is_sha256.then_some(text).ok_or_else(|| NotASha256(text.chars().take(80).collect()))
}

/// Says that a text is no sha256.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sha256; write 64 lower-case hexadecimal digits")]
pub struct NotASha256(String);

#[derive(Debug, thiserror::Error)]
#[error("the object store holds no file {0}; upload it before asking for its import")]
struct MissingFile(Path);

#[derive(Debug, thiserror::Error)]
#[error("the object store holds another file under sha256 {0}: its bytes have {1}; upload it again")]
struct OtherContent(String, String);

impl Job for ImportCharges {
    type Context = Context;
    const KIND: &'static str = "import_charges";
    const EVENT_TYPE: &'static str = "billrunner.charges.import.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let profile = providers::find(&self.provider).map_err(JobError::permanent)?;
        let location = charge_file_location(&self.sha256).map_err(JobError::permanent)?;
        let file = self.download(&context, location).await?;
        let checked = check(&attempt, profile, &file).await?;
        if hex::encode(checked.sha256) != self.sha256 {
            return Err(JobError::permanent(OtherContent(self.sha256, hex::encode(checked.sha256))));
        }
        let mut connection = context.pool.acquire().await?;
        charges::ensure_charges_partitions(&mut connection, &checked).await?;
        drop(connection);

        let stored_rows = Arc::new(AtomicI64::new(0));
        let counter = stored_rows.clone();
        let rows = read_opened_charges(opening(&file)).map_err(charge_file_error)?.inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let new = NewChargeFile {
            reseller_id: self.reseller_id,
            provider: profile.id,
            file_name: &self.file_name,
            checked: &checked,
        };
        let mut effects = attempt.begin().await?;
        let progress = || rows_done(&stored_rows, Some(checked.charge_count), "rows stored");
        let storing = async { charges::store_charge_file(effects.connection(), new, rows).await.map_err(store_error) };
        let stored = attempt.with_progress(progress, storing).await?;
        match stored {
            StoredChargeFile::AlreadyKnown(id) => {
                Ok(attempt.complete_without_effects(format!("charge file {id} is known already")))
            }
            StoredChargeFile::New { id, superseded_scope_count, stale_draft_count } => {
                let count = checked.charge_count;
                let message = format!(
                    "charge file {id}: {count} charges, {superseded_scope_count} earlier parts superseded, \
                     {stale_draft_count} drafts stale"
                );
                let finished = effects.complete(message).await?;
                metrics::process().rows_imported(profile.id, count.unsigned_abs());
                Ok(finished)
            }
        }
    }
}

impl ImportCharges {
    /// Copies the file to local disk, so that it can be read twice whatever the object store is. The copy has no name: it
    /// is gone with this process, however that ends.
    async fn download(&self, context: &Context, location: Path) -> Result<Arc<File>, JobError> {
        let found = context.objects.get(&location).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => JobError::permanent(MissingFile(location)),
            other => JobError::transient(other),
        })?;
        let mut local = tokio::fs::File::from_std(tempfile::tempfile().map_err(JobError::transient)?);
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(JobError::transient)? {
            local.write_all(&chunk).await.map_err(JobError::transient)?;
        }
        local.flush().await.map_err(JobError::transient)?;
        Ok(Arc::new(local.into_std().await))
    }
}

/// Opens a file as often as it is read.
fn opening(file: &Arc<File>) -> impl Fn() -> io::Result<FromStart> + use<> {
    let file = Arc::clone(file);
    move || Ok(FromStart::of(&file))
}

/// Checks the file off the async threads. Nobody waiting for it any more, it stops at the next row.
async fn check(attempt: &Attempt, profile: &'static Profile, file: &Arc<File>) -> Result<CheckedChargeFile, JobError> {
    let checked_rows = Arc::new(AtomicI64::new(0));
    let counter = Arc::downgrade(&checked_rows);
    let goes_on = move |count| counter.upgrade().map(|rows| rows.store(count, Ordering::Relaxed)).is_some();
    let open = opening(file);
    let checking = async {
        spawn_blocking(move || check_charges_while(profile, open, goes_on))
            .await
            .map_err(JobError::transient)?
            .map_err(charge_file_error)
    };
    attempt.with_progress(|| rows_done(&checked_rows, None, "rows checked"), checking).await
}

fn rows_done(rows: &AtomicI64, total: Option<i64>, note: &str) -> Progress {
    Progress { done: rows.load(Ordering::Relaxed), total, note: note.to_owned() }
}

fn charge_file_error(error: ChargeFileError) -> JobError {
    match error {
        ChargeFileError::Rejected(rejected) => JobError::permanent(rejected),
        io @ ChargeFileError::Io(_) => JobError::transient(io),
    }
}

fn store_error(error: StoreChargeFileError) -> JobError {
    match error {
        StoreChargeFileError::OtherProvider(_)
        | StoreChargeFileError::OtherPeriodEnd { .. }
        | StoreChargeFileError::SumsDiffer(_) => JobError::permanent(error),
        StoreChargeFileError::FileChanged
        | StoreChargeFileError::Rows(_)
        | StoreChargeFileError::Superseded { .. }
        | StoreChargeFileError::Database(_) => JobError::transient(error),
    }
}
