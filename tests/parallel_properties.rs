//! Many at once on one key: whoever comes first makes the invoice, everybody else finds it; and whatever a crowd of
//! generations, discards, openings and voids leaves behind, everything still holds.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use billrunner::{
    context::Context as WorkerContext,
    domain::{ids::InvoiceId, invoice_status::InvoiceStatus},
    jobs::{DiscardInvoice, GenerateInvoice, InitialStatus},
    queue::{Worker, WorkerSettings},
};
use futures::future::try_join_all;
use proptest::prelude::*;
use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use tokio::{runtime::Runtime, sync::Mutex};

use crate::support::{
    desk::Desk,
    properties::{config, hold, regressions},
    worker::{Running, settings, until, wait_for},
};

const AT_ONCE: usize = 50;

impl Desk {
    /// Hires a worker that runs so many jobs of a queue at once, each on a connection of its own.
    async fn hire_a_crowd(&self) -> Result<Running> {
        let options = self.office.pool.connect_options().as_ref().clone();
        let connections = u32::try_from(AT_ONCE)? + 5;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::query("SET ROLE billrunner_app").execute(connection).await.map(drop) })
            })
            .connect_with(options)
            .await?;
        let context = WorkerContext { pool: pool.clone(), ..self.office.context.clone() };
        let settings = WorkerSettings { concurrency: Box::new(|_| AT_ONCE), ..settings() };
        let (streams, registry) = (self.office.streams.clone(), Arc::clone(&self.office.registry));
        Ok(Running::start(Worker { pool, streams, registry, context, settings }))
    }

    /// Holds the month's row, which every generation waits for first; it opens with the connection's end.
    async fn shut_the_gate(&self) -> Result<PgConnection> {
        let mut gate = self.database.connect_as_owner().await?;
        sqlx::raw_sql("BEGIN; SELECT FROM billing_periods FOR UPDATE").execute(&mut gate).await?;
        Ok(gate)
    }

    async fn until_waiting(&self, count: usize) -> Result<()> {
        let looking = Mutex::new(self.database.connect_as_owner().await?);
        until("the crowd at the gate", || async {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *looking.lock().await).await?;
            Ok((usize::try_from(waiting)? >= count).then_some(()))
        })
        .await
    }

    async fn live_count(&self) -> Result<i64> {
        let sql = "SELECT count(*) FROM invoices WHERE status NOT IN ('void', 'discarded')";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.office.pool).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_generations_of_one_key_make_one_invoice() -> Result<()> {
    let desk = Desk::open(1).await?;
    let crowd = desk.hire_a_crowd().await?;
    let gate = desk.shut_the_gate().await?;
    let job = desk.business.generate(0);
    let ids = try_join_all((0..AT_ONCE).map(|_| desk.office.hand_in(&job))).await?;
    desk.until_waiting(AT_ONCE - 5).await?;
    gate.close().await?;
    let mut made = 0;
    for id in ids {
        let (row, attempts) = wait_for(&desk.office.pool, id).await?;
        let said = attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
        ensure!(row.state == "done", "{}: {:?}", row.state, row.last_error);
        let is_new = said.ends_with(" is draft") && !said.contains("exists");
        ensure!(is_new || said.ends_with(" exists and is draft"), "{said}");
        made += u32::from(is_new);
    }
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(&desk.office.pool).await?;
    assert_eq!((all, made), (1, 1), "one invoice, and one job that says it made it");
    crowd.stop().await?;
    desk.verified().await?;
    desk.close().await
}

/// What somebody asks for while others ask for something else.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Generate { replaces: bool, opens: bool },
    Discard,
    Go(InvoiceStatus),
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let wish = prop_oneof![
        4 => (any::<bool>(), prop::bool::weighted(0.3)).prop_map(|(replaces, opens)| Wish::Generate { replaces, opens }),
        2 => Just(Wish::Discard),
        2 => Just(Wish::Go(InvoiceStatus::Open)),
        1 => Just(Wish::Go(InvoiceStatus::Closed)),
        1 => Just(Wish::Go(InvoiceStatus::Void)),
    ];
    // In waves: each runs at once, and finds what the one before left.
    proptest::collection::vec(wish, 12..24)
}

#[test]
fn a_crowd_of_generations_discards_openings_and_voids_leaves_everything_whole() {
    let runtime = Runtime::new().expect("a runtime");
    let desk = runtime.block_on(Desk::open(1)).expect("a desk");
    let crowd = runtime.block_on(desk.hire_a_crowd()).expect("a worker");
    hold(config(3, regressions!("parallel")), &runtime, &wishes(), async |wishes| {
        for wave in wishes.chunks(6) {
            let id = desk.id(0).await.ok();
            let gate = desk.shut_the_gate().await?;
            try_join_all(wave.iter().map(|wish| desk.ask(*wish, id))).await?;
            let generations = wave.iter().filter(|wish| matches!(wish, Wish::Generate { .. })).count();
            desk.until_waiting(generations).await?;
            gate.close().await?;
            desk.office.settled().await?;
            ensure!(desk.live_count().await? <= 1, "two invoices live under one key");
        }
        desk.verified().await
    });
    runtime.block_on(crowd.stop()).expect("a worker that stops");
    runtime.block_on(desk.close()).expect("a worker that stops");
}

impl Desk {
    async fn ask(&self, wish: Wish, id: Option<InvoiceId>) -> Result<()> {
        let hand_in = match (wish, id) {
            (Wish::Generate { replaces, opens }, _) => {
                let status = if opens { InitialStatus::Open } else { InitialStatus::Draft };
                let job = GenerateInvoice { replace: replaces, status, force: true, ..self.business.generate(0) };
                self.office.hand_in(&job).await
            }
            (_, None) => return Ok(()),
            (Wish::Discard, Some(id)) => {
                let reseller_id = self.business.reseller_id;
                self.office.hand_in(&DiscardInvoice { reseller_id, invoice_id: id, reason: None }).await
            }
            (Wish::Go(to), Some(id)) => {
                let job = billrunner::jobs::ChangeInvoiceStatus { force: true, ..self.to(id, to) };
                self.office.hand_in(&job).await
            }
        };
        hand_in.context("a job is handed in").map(drop)
    }
}
