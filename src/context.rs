//! What handlers work with: the database, the object store, the mailer, the time of day.

use std::{path::Path, sync::Arc};

use object_store::ObjectStore;
use sqlx::PgPool;

use crate::{
    clock::Clock,
    domain::{download_link::DownloadLinks, mail_flow::MailFlow},
    mail::{Mailer, Operators},
};

/// Handed to every job; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Postgres, as the application's role.
    pub pool: PgPool,
    /// Where documents and charge files are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// Where on this machine that is, where it is a folder.
    pub objects_folder: Option<Arc<Path>>,
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
    /// Who is told how billrunner fares; `None` tells nobody.
    pub operators: Option<Arc<Operators>>,
    /// What time it is.
    pub clock: Clock,
}
