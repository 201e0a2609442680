//! How requests end: one question to the ledger for all that are waited for, several times a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use sqlx::PgConnection;
use tokio::{sync::oneshot, task::JoinHandle};

use super::doors::SOURCE;
use crate::store::bench_load::{self, Ended};

/// How late an end may be seen, which is no part of what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(100);

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Ended>>>>;

/// Asks for as long as the value lives.
pub struct Watch {
    waiting: Waiting,
    asking: JoinHandle<()>,
}

impl Watch {
    /// Begins to ask over this connection.
    pub fn start(connection: PgConnection) -> Self {
        let waiting = Waiting::default();
        Self { asking: tokio::spawn(ask(connection, Arc::clone(&waiting))), waiting }
    }

    /// Waits until a request is done.
    ///
    /// # Errors
    /// When its job ended otherwise.
    pub async fn done(&self, external_id: &str) -> anyhow::Result<()> {
        let (told, telling) = oneshot::channel();
        lock(&self.waiting).insert(external_id.to_owned(), told);
        let ended = telling.await.context("nobody asks the ledger any more")?;
        if ended.state != "done" {
            bail!("{external_id} is {}: {}", ended.state, ended.last_error.unwrap_or_default());
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ask(mut connection: PgConnection, waiting: Waiting) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let asked: Vec<String> = lock(&waiting).keys().cloned().collect();
        if asked.is_empty() {
            continue;
        }
        let found = match bench_load::ended(&mut connection, SOURCE, &asked).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the ledger does not say how requests ended");
                // Whoever waits learns that nobody will say.
                lock(&waiting).clear();
                return;
            }
        };
        for ended in found {
            if let Some(told) = lock(&waiting).remove(&ended.external_id) {
                // It may have been given up.
                let _ = told.send(ended);
            }
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Ended>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
