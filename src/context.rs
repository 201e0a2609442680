//! What handlers work with: the database, the object store, the mailer, the time of day.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem};
use sqlx::PgPool;

use crate::{
    clock::Clock,
    domain::{download_link::DownloadLinks, mail_flow::MailFlow},
    mail::Mailer,
};

/// Handed to every job; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Postgres, as the application's role.
    pub pool: PgPool,
    /// Where documents and charge files are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// How mail leaves.
    pub mailer: Arc<Mailer>,
    /// Right-hand side of Message-IDs.
    pub mail_domain: Arc<str>,
    /// How download links are made; `None` makes none.
    pub download_links: Option<Arc<DownloadLinks>>,
    /// What a mail attaches at most; larger documents are linked, where links are made.
    pub attach_up_to_bytes: i64,
    /// How fast mails go, and when the mail server is left alone.
    pub mail_flow: MailFlow,
    /// What time it is.
    pub clock: Clock,
}

/// Opens the object store in a folder, which is created where it is missing.
///
/// A folder tries nothing again. A store in a cloud would by itself (`object_store::RetryConfig`): set its `max_retries` to
/// zero, as trying again is the job's affair.
///
/// # Errors
/// When the folder cannot be created or read.
pub fn open_object_store(folder: &Path) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let generic = |source: std::io::Error| object_store::Error::Generic { store: "folder", source: Box::new(source) };
    std::fs::create_dir_all(folder).map_err(generic)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
}
