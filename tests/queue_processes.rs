//! Real worker processes: killed, they are rescued; told to stop, they end in time whatever else is away.

use anyhow::Result;
use billrunner::{
    domain::ids::{JobId, WorkerId},
    jobs::registry,
    queue::{JobOptions, RequestId},
    store::jobs,
};
use sqlx::{Connection, PgConnection};

use crate::support::{
    business::{PROVIDER, charge_file, database_url},
    proxy::Proxy,
    site::Site,
    worker::{settled, until, wait_for},
};

/// Lease of a worker that must be rescued soon, and of one that never is.
const SHORT: &str = "1";
const LONG: &str = "3600";

/// Holds jobs up until it is dropped.
struct Barrier(PgConnection);

impl Barrier {
    /// Holds every generation up: they all write invoices.
    async fn raise(site: &Site) -> Result<Self> {
        Self::before(site, "LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE").await
    }

    async fn before(site: &Site, lock: &'static str) -> Result<Self> {
        let mut owner = site.database.connect_as_owner().await?;
        sqlx::query("BEGIN").execute(&mut owner).await?;
        sqlx::query(lock).execute(&mut owner).await?;
        Ok(Self(owner))
    }

    async fn lift(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}

async fn hand_in_generation(site: &Site, customer: usize) -> Result<JobId> {
    let request = RequestId::new("test", format!("generate {customer}"));
    let new = registry().prepare(&site.business.generate(customer), request, "tester", JobOptions::default())?;
    let mut transaction = site.pool().begin().await?;
    let accepted = jobs::accept(&mut transaction, &new).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(accepted.id())
}

/// Waits until a job runs, and returns which worker has it.
async fn runs(site: &Site, id: JobId) -> Result<WorkerId> {
    until("the job to run", || async {
        let query = sqlx::query_scalar("SELECT worker_id FROM jobs WHERE id = $1 AND state = 'running'");
        Ok(query.bind(id).fetch_optional(site.pool()).await?)
    })
    .await
}

async fn deaths(site: &Site, id: JobId, least: i64) -> Result<()> {
    until("the worker's death to be noticed", || async {
        let query =
            sqlx::query_scalar("SELECT count(*) FROM job_attempts WHERE job_id = $1 AND outcome = 'worker_died'");
        let seen: i64 = query.bind(id).fetch_one(site.pool()).await?;
        Ok((seen >= least).then_some(()))
    })
    .await
}

async fn until_workers(site: &Site, count: i64) -> Result<()> {
    until("the workers", || async {
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM workers").fetch_one(site.pool()).await?;
        Ok((seen == count).then_some(()))
    })
    .await
}

async fn outcomes(site: &Site, id: JobId) -> Result<(String, i32, Vec<String>)> {
    let (job, attempts) = wait_for(site.pool(), id).await?;
    let outcomes = attempts.into_iter().filter_map(|attempt| attempt.outcome).collect();
    Ok((job.state, job.failed_attempts, outcomes))
}

#[tokio::test]
async fn a_killed_workers_jobs_are_rescued_because_nobody_renews_its_leases() -> Result<()> {
    let site = Site::build(1).await?;
    let barrier = Barrier::raise(&site).await?;
    let doomed = site.start_worker().await?;
    let id = hand_in_generation(&site, 0).await?;
    runs(&site, id).await?;
    let _other = site.start_worker().await?;
    until_workers(&site, 2).await?;
    doomed.kill().await?;
    // Its heartbeat seems to go on, so that only the leases can tell.
    sqlx::query("UPDATE workers SET seen_at = now() + interval '1 hour'").execute(site.pool()).await?;
    deaths(&site, id, 1).await?;
    barrier.lift().await?;
    assert_eq!(outcomes(&site, id).await?, ("done".to_owned(), 1, vec!["worker_died".to_owned(), "done".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn sixteen_jobs_of_a_worker_killed_with_the_default_lease_are_all_rescued() -> Result<()> {
    let site = Site::build(16).await?;
    let barrier = Barrier::raise(&site).await?;
    let url = database_url(site.pool()).await?;
    let sixteen = [("BILLRUNNER_CONCURRENCY_BILLING", "16"), ("BILLRUNNER_DATABASE_CONNECTIONS", "20")];
    let doomed = site.start_worker_set("10s", &url, &sixteen)?;
    let mut ids = Vec::new();
    for customer in 0..16 {
        ids.push(hand_in_generation(&site, customer).await?);
    }
    for id in &ids {
        runs(&site, *id).await?;
    }
    let _other = site.start_worker_set("10s", &url, &sixteen)?;
    until_workers(&site, 2).await?;
    doomed.kill().await?;
    barrier.lift().await?;
    for id in ids {
        let expected = ("done".to_owned(), 1, vec!["worker_died".to_owned(), "done".to_owned()]);
        assert_eq!(outcomes(&site, id).await?, expected);
    }
    let invoices: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(site.pool()).await?;
    assert_eq!(invoices, 16);
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_three_workers_runs_no_more() -> Result<()> {
    let site = Site::build(1).await?;
    let barrier = Barrier::raise(&site).await?;
    let id = hand_in_generation(&site, 0).await?;
    for death in 0..3 {
        let doomed = site.start_worker().await?;
        // The death before this one was noticed by the worker that now has the job.
        deaths(&site, id, death).await?;
        runs(&site, id).await?;
        doomed.kill().await?;
    }
    let _last = site.start_worker().await?;
    assert_eq!(outcomes(&site, id).await?, ("dead".to_owned(), 3, vec!["worker_died".to_owned(); 3]));
    barrier.lift().await
}

#[tokio::test]
async fn a_worker_killed_while_it_imports_leaves_nothing_of_the_file() -> Result<()> {
    let (site, temporary) = (Site::build(1).await?, tempfile::tempdir()?);
    // It stops after the charges are stored and before they are summed up.
    let barrier = Barrier::before(&site, "LOCK TABLE charge_totals IN ACCESS EXCLUSIVE MODE").await?;
    let folder = temporary.path().to_string_lossy();
    let doomed = site.start_worker_set("10s", &database_url(site.pool()).await?, &[("TMPDIR", &folder)])?;
    let file = charge_file(1, "killed")?;
    let (path, reseller) = (file.path().to_string_lossy(), site.business.reseller_id.to_string());
    let (code, said) = site.run(&["import", &path, "--reseller", &reseller, "--provider", PROVIDER]).await?;
    assert_eq!(code, Some(0), "{said}");
    until("rows that are stored", || async {
        let query = sqlx::query_scalar("SELECT progress_done FROM jobs WHERE progress_note = 'rows stored'");
        Ok(query.fetch_optional(site.pool()).await?.flatten().filter(|rows: &i64| *rows > 0))
    })
    .await?;
    doomed.kill().await?;
    assert_eq!(std::fs::read_dir(&temporary)?.count(), 0, "files of the dead");
    barrier.lift().await
}

#[tokio::test]
async fn a_worker_told_to_stop_hands_back_what_does_not_finish() -> Result<()> {
    let site = Site::build(2).await?;
    let barrier = Barrier::raise(&site).await?;
    let url = database_url(site.pool()).await?;
    let worker = site.start_worker_with(LONG, "200ms", &url)?;
    let ids = [hand_in_generation(&site, 0).await?, hand_in_generation(&site, 1).await?];
    let first_holder = runs(&site, ids[0]).await?;
    runs(&site, ids[1]).await?;
    assert_eq!(worker.terminate().await?.code(), Some(0));
    let _other = site.start_worker_with(LONG, "200ms", &url)?;
    for id in ids {
        assert_ne!(runs(&site, id).await?, first_holder);
    }
    barrier.lift().await?;
    for id in ids {
        assert_eq!(outcomes(&site, id).await?, ("done".to_owned(), 0, vec!["done".to_owned()]));
    }
    settled(site.pool()).await
}

#[tokio::test]
async fn a_worker_told_to_stop_finishes_what_it_can() -> Result<()> {
    let site = Site::build(1).await?;
    let barrier = Barrier::raise(&site).await?;
    let worker = site.start_worker_with(SHORT, "40s", &database_url(site.pool()).await?)?;
    let id = hand_in_generation(&site, 0).await?;
    let holder = runs(&site, id).await?;
    let stopping = tokio::spawn(worker.terminate());
    barrier.lift().await?;
    assert_eq!(stopping.await??.code(), Some(0));
    assert_eq!(outcomes(&site, id).await?, ("done".to_owned(), 0, vec!["done".to_owned()]));
    let (_, attempts) = wait_for(site.pool(), id).await?;
    assert_eq!(attempts[0].worker_id, holder);
    Ok(())
}

/// Starts a worker that holds a job, takes a server away, and tells it to stop.
async fn stop_without(take_away: impl FnOnce(&mut Site, &Proxy) -> Result<()>) -> Result<()> {
    let mut site = Site::build(1).await?;
    let barrier = Barrier::raise(&site).await?;
    let proxy = Proxy::to(&database_url(site.pool()).await?)?;
    let worker = site.start_worker_with(SHORT, "1s", proxy.url())?;
    runs(&site, hand_in_generation(&site, 0).await?).await?;
    take_away(&mut site, &proxy)?;
    assert_eq!(worker.terminate().await?.code(), Some(0));
    barrier.lift().await
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_in_time_without_redis() -> Result<()> {
    stop_without(|site, _| site.redis.kill()).await
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_in_time_with_a_redis_that_does_not_answer() -> Result<()> {
    stop_without(|site, _| site.redis.freeze()).await
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_in_time_with_a_postgres_that_does_not_answer() -> Result<()> {
    stop_without(|_, proxy| {
        proxy.fall_silent();
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_in_time_when_nobody_answers() -> Result<()> {
    stop_without(|site, proxy| {
        proxy.fall_silent();
        site.redis.kill()
    })
    .await
}
