//! Hands jobs in at all doors for as long as it is told to, and remembers every one that was accepted.
//!
//! Whatever is not answered for is sent again, perhaps at another door, as an honest sender does; some of what was
//! answered for is sent again too, and must be the same job.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use billrunner::{
    objects::ObjectStoreSettings,
    store::{database, directory},
};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    books::Book,
    doors::{DOORS, Door, Doors, Request},
    schedule::Chance,
};

/// Cheap jobs in one go, by door: HTTP and Redis cost a round trip each.
const CHEAP: [(Door, usize); 3] = [(Door::Sql, 60), (Door::Http, 20), (Door::Redis, 20)];
/// Jobs that wait or run, beyond which the producer holds back: more would measure patience.
const BACKLOG: i64 = 600;
/// One cheap job in so many is asked for once more, and one fails by design.
const ONE_IN: u64 = 50;
const AGAIN_AFTER: Duration = Duration::from_millis(150);
/// Bill runs at once.
const CLERKS: u64 = 3;

/// How a job is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Done,
    /// It was made to fail.
    Dead,
}

/// A job that a door has answered for.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub id: Uuid,
    pub request: String,
    pub door: Door,
    pub ends: Ends,
}

/// All that was handed in.
#[derive(Debug, Default)]
pub struct HandedIn {
    pub accepted: Vec<Accepted>,
    pub books: Vec<Book>,
    /// Requests that came again, and as another job.
    pub repeated: u64,
    pub repeated_as_another: Vec<String>,
    /// Invoices that somebody was let put back to draft.
    pub returned_to_draft: Vec<Uuid>,
}

pub struct Producer {
    pub doors: Doors,
    objects: Arc<dyn ObjectStore>,
    application: PgPool,
    handed_in: Mutex<HandedIn>,
    seed: u64,
    /// Nothing more is begun.
    stop: CancellationToken,
}

impl Producer {
    pub async fn new(doors: Doors, objects: &std::path::Path, database_url: &str, seed: u64) -> Result<Self> {
        Ok(Self {
            doors,
            objects: ObjectStoreSettings::folder(objects).open()?,
            application: database::connect(&database_url.to_owned().into(), 4).await?,
            handed_in: Mutex::default(),
            seed,
            stop: CancellationToken::new(),
        })
    }

    /// Works until it is told to stop, and ends once everything sent is answered for.
    pub async fn run(self: &Arc<Self>) -> Result<()> {
        let mut at_work = tokio::task::JoinSet::new();
        for ((door, count), n) in CHEAP.into_iter().zip(1..) {
            let (producer, chance) = (Arc::clone(self), Chance::of(self.seed.wrapping_add(n)));
            at_work.spawn(async move { producer.send_cheap(door, count, chance).await });
        }
        for clerk in 0..CLERKS {
            let (producer, chance) = (Arc::clone(self), Chance::of(self.seed.wrapping_add(100 + clerk)));
            at_work.spawn(async move { producer.bill(clerk, chance).await });
        }
        while let Some(ended) = at_work.join_next().await {
            ended??;
        }
        Ok(())
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Lends what was handed in.
    pub fn handed_in(&self) -> MutexGuard<'_, HandedIn> {
        self.handed_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends jobs that find nothing to do, a few that fail, and a few once more.
    async fn send_cheap(&self, door: Door, count: usize, mut chance: Chance) -> Result<()> {
        let mut known: Vec<(Request, Uuid)> = Vec::new();
        let mut next = 0_u64;
        while !self.stop.is_cancelled() {
            if !self.has_room().await {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            let requests: Vec<(Request, Ends)> = (0..count)
                .map(|_| {
                    next += 1;
                    let ends = if chance.below(ONE_IN) == 0 { Ends::Dead } else { Ends::Done };
                    (cheap(door, next, ends), ends)
                })
                .collect();
            let ids = self.accept(door, &requests).await;
            known.extend(requests.into_iter().map(|(request, _)| request).zip(ids));
            let place = usize::try_from(chance.below(known.len() as u64)).unwrap_or(0);
            let (request, id) = known[place].clone();
            self.repeat(chance.one_of(&DOORS), &request, id).await;
            known.truncate(500);
        }
        Ok(())
    }

    async fn has_room(&self) -> bool {
        self.open_jobs().await.is_ok_and(|open| open < BACKLOG)
    }

    /// Counts the jobs that have not ended, by the indexes that hold no others.
    pub async fn open_jobs(&self) -> sqlx::Result<i64> {
        let open = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'scheduled')
                  + (SELECT count(*) FROM jobs WHERE state IN ('dispatched', 'running'))
                  + (SELECT count(*) FROM jobs WHERE completes_batch AND state = 'awaiting')",
        );
        open.fetch_one(&self.doors.pool).await
    }

    /// Hands requests in until somebody answers for all of them, and remembers the jobs.
    async fn accept(&self, door: Door, requests: &[(Request, Ends)]) -> Vec<Uuid> {
        let wanted: Vec<Request> = requests.iter().map(|(request, _)| request.clone()).collect();
        let ids = self.ask_until_answered(door, &wanted).await;
        let accepted = requests.iter().zip(&ids).map(|((request, ends), id)| Accepted {
            id: *id,
            request: request.id.clone(),
            door,
            ends: *ends,
        });
        self.handed_in().accepted.extend(accepted);
        ids
    }

    /// Sends a request again that was answered for: it must be the same job.
    async fn repeat(&self, door: Door, request: &Request, id: Uuid) {
        let again = self.ask_until_answered(door, std::slice::from_ref(request)).await;
        let mut handed_in = self.handed_in();
        handed_in.repeated += 1;
        if again != [id] {
            handed_in.repeated_as_another.push(request.id.clone());
        }
    }

    async fn ask_until_answered(&self, door: Door, requests: &[Request]) -> Vec<Uuid> {
        loop {
            match self.doors.hand_in(door, requests).await {
                Ok(ids) => return ids,
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Bills one reseller after the other.
    async fn bill(&self, clerk: u64, mut chance: Chance) -> Result<()> {
        for n in 0.. {
            if self.stop.is_cancelled() {
                break;
            }
            let book = Book::draw(format!("book-{clerk}-{n}"), &mut chance);
            self.keep(book, &mut chance).await?;
        }
        Ok(())
    }

    /// Takes one book from its charge file to closed invoices, or as far as there is time.
    async fn keep(&self, book: Book, chance: &mut Chance) -> Result<()> {
        let directory = book.directory()?;
        self.until_done(|| async {
            let mut transaction = self.application.begin().await?;
            directory::apply(&mut transaction, &directory).await?;
            Ok(transaction.commit().await?)
        })
        .await;
        let location = book.location()?;
        self.until_done(|| async {
            let bytes = PutPayload::from(book.file.clone().into_bytes());
            self.objects.put(&location, bytes).await?;
            Ok(())
        })
        .await;
        let import = self.accept(chance.one_of(&DOORS), &[(book.import(), Ends::Done)]).await;
        self.handed_in().books.push(book.clone());
        // One whose workers died three times waits for an operator, who comes at the end.
        if self.repeat_and_wait(&book.import(), import[0], chance).await.as_deref() != Some("done") {
            return Ok(());
        }
        self.start_bill_run(&book, chance).await;
        let Some(invoices) = self.open_invoices(&book).await else { return Ok(()) };
        for invoice in invoices {
            self.put_back_to_draft(invoice).await;
            self.change_statuses(&book, invoice, chance).await;
        }
        Ok(())
    }

    /// Asks for the bill run, and for one customer's invoice twice more by name, all at once.
    async fn start_bill_run(&self, book: &Book, chance: &mut Chance) {
        let customer = usize::try_from(chance.below(book.customers.len() as u64)).unwrap_or(0);
        let twins = ["a", "b"].map(|twin| (book.generation(customer, twin), Ends::Done));
        let run = [(book.bill_run(), Ends::Done)];
        let (twin_door, run_door) = (chance.one_of(&DOORS), chance.one_of(&DOORS));
        let (_, ids) = tokio::join!(self.accept(twin_door, &twins), self.accept(run_door, &run));
        if let Some(billed) = self.handed_in().books.iter_mut().find(|known| known.name == book.name) {
            billed.is_billed = true;
        }
        self.repeat(chance.one_of(&DOORS), &book.bill_run(), ids[0]).await;
    }

    /// Closes some invoices, reopens some of these, and asks for what must be refused.
    async fn change_statuses(&self, book: &Book, invoice: Uuid, chance: &mut Chance) {
        let mut steps = Vec::new();
        if chance.percent(60) {
            steps.push(("closed", "close", Ends::Done));
            steps.push(("draft", "back", Ends::Dead));
        }
        if chance.percent(20) {
            steps.push(("open", "reopen", Ends::Done));
        }
        for (to, step, ends) in steps {
            let asked = book.change(invoice, to, step);
            let ids = self.accept(chance.one_of(&DOORS), &[(asked.clone(), ends)]).await;
            if self.repeat_and_wait(&asked, ids[0], chance).await.is_none() {
                return;
            }
        }
    }

    /// Does as somebody with the application's password might: nobody may let them.
    async fn put_back_to_draft(&self, invoice: Uuid) {
        let put_back = "UPDATE invoices SET status = 'draft', version = version + 1, number = NULL, issued_on = NULL,
                                            opened_at = NULL WHERE id = $1 AND status = 'open'";
        let is_changed = sqlx::query(put_back).bind(invoice).execute(&self.application).await;
        if is_changed.is_ok_and(|changed| changed.rows_affected() > 0) {
            self.handed_in().returned_to_draft.push(invoice);
        }
    }

    async fn repeat_and_wait(&self, request: &Request, id: Uuid, chance: &mut Chance) -> Option<String> {
        self.repeat(chance.one_of(&DOORS), request, id).await;
        self.until_seen(|| async {
            let state: String =
                sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1").bind(id).fetch_one(&self.doors.pool).await?;
            Ok(matches!(state.as_str(), "done" | "dead" | "discarded").then_some(state))
        })
        .await
    }

    async fn open_invoices(&self, book: &Book) -> Option<Vec<Uuid>> {
        self.until_seen(|| async {
            let open: Vec<Uuid> =
                sqlx::query_scalar("SELECT id FROM invoices WHERE reseller_id = $1 AND status = 'open' ORDER BY id")
                    .bind(book.reseller_id)
                    .fetch_all(&self.doors.pool)
                    .await?;
            Ok((open.len() >= book.customers.len()).then_some(open))
        })
        .await
    }

    /// Looks until there is something to see; `None` when the producer is told to stop before.
    async fn until_seen<T, F: Future<Output = Result<Option<T>>>>(&self, look: impl Fn() -> F) -> Option<T> {
        while !self.stop.is_cancelled() {
            if let Ok(Some(seen)) = look().await {
                return Some(seen);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        None
    }

    /// Does something until it is done: what it needs may be away for a while.
    async fn until_done<F: Future<Output = Result<()>>>(&self, work: impl Fn() -> F) {
        while work().await.is_err() {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

impl HandedIn {
    /// Returns how many jobs came in at each door.
    pub fn by_door(&self) -> HashMap<Door, usize> {
        let mut counts = HashMap::new();
        for accepted in &self.accepted {
            *counts.entry(accepted.door).or_default() += 1;
        }
        counts
    }
}

/// Asks for a mail that there is not, or, to fail, for a provider that there is not.
fn cheap(door: Door, n: u64, ends: Ends) -> Request {
    let id = format!("cheap-{door:?}-{n}");
    let named = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
    match ends {
        Ends::Done => Request {
            event_type: "billrunner.notification.send.v1",
            id,
            data: json!({ "reseller_id": Uuid::NAMESPACE_OID, "notification_id": named }),
        },
        Ends::Dead => Request {
            event_type: "billrunner.bill_run.start.v1",
            id,
            data: json!({ "reseller_id": named, "provider": "nobody", "billing_period": "2026-08", "run_id": "run" }),
        },
    }
}
