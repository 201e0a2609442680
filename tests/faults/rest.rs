//! How a run comes to rest: everything is mended, what waits is done, workers stop; and what they leave behind.

use std::{
    fs::File,
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    jobs::{PruneJobs, registry},
    queue::{JobOptions, RequestId},
    store::{jobs, operator_actions::Operator},
};
use redis::AsyncCommands;
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{producer::Ends, servers::until, site::Site, workers::LEASE};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Leases run out, and stale copies are removed, after the last job.
const STREAMS_EMPTY_WITHIN: Duration = Duration::from_mins(1);
/// How long it may take to have half-written files taken away.
const TAKEN_AWAY_WITHIN: Duration = Duration::from_secs(20);
/// As long as schedules have it.
const RETENTION_DAYS: NonZeroU16 = NonZeroU16::new(90).expect("not zero");
/// By then nobody writes to such a file any more.
const TWO_DAYS: Duration = Duration::from_hours(48);

/// How the rest came about.
#[derive(Debug, Default)]
pub struct Drained {
    /// How long it took, once all was mended; `None` where jobs are left.
    pub within: Option<Duration>,
    /// Jobs that an operator had to set going again: their workers were killed three times, or their attempts spent.
    pub revived: usize,
}

/// Waits until no job is left to do, for as long as is given. What died of the faults alone is retried as operators do.
pub async fn drain(site: &mut Site, limit: Duration) -> Result<Drained> {
    let (began, mut drained) = (Instant::now(), Drained::default());
    while began.elapsed() < limit {
        site.machines.supervise()?;
        if site.producer.open_jobs().await? == 0 {
            let dead = worn_out(site).await?;
            if dead.is_empty() {
                drained.within = Some(began.elapsed());
                return Ok(drained);
            }
            drained.revived += revive(&site.producer.doors.pool, &dead).await?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(drained)
}

/// Returns the dead jobs that faults alone killed, none that was made to fail or failed for good.
async fn worn_out(site: &Site) -> Result<Vec<Uuid>> {
    let made_to_fail: Vec<Uuid> = {
        let handed_in = site.producer.handed_in();
        handed_in.accepted.iter().filter(|one| one.ends == Ends::Dead).map(|one| one.id).collect()
    };
    let dead = sqlx::query_scalar(
        "SELECT id FROM jobs WHERE state = 'dead' AND id NOT IN (SELECT unnest($1))
         AND (worker_deaths >= 3 OR failed_attempts >= max_attempts)",
    );
    Ok(dead.bind(made_to_fail).fetch_all(&site.producer.doors.pool).await?)
}

async fn revive(pool: &PgPool, dead: &[Uuid]) -> Result<usize> {
    for id in dead {
        let mut transaction = pool.begin().await?;
        let operator = Operator { name: "operator", reason: "its workers were killed on purpose" };
        jobs::revive(&mut transaction, JobId(*id), operator).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(dead.len())
}

/// Stops everything that works and says what it leaves behind, and how many files of killed workers were taken away.
pub async fn leave(site: &mut Site) -> Result<(Vec<String>, usize)> {
    let half_written = half_written_files(site)?;
    // A short run may have none.
    std::fs::write(site.machines.objects.path.join("planted.csv#1"), "")?;
    let mut left = match take_away(site).await {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("half-written files were not taken away: {error:#}")],
    };
    left.extend(messages(site).await?);
    for workplace in &mut site.machines.workplaces {
        left.extend(workplace.stop().await?);
    }
    left.extend(processes(site.machines.workplaces[0].program()));
    left.extend(in_postgres(&site.producer.doors.pool).await?);
    let mut files = half_written_files(site)?;
    collect(&site.folder.path().join("temporary"), &mut files)?;
    left.extend(files.iter().map(|path| format!("file {}", path.display())));
    Ok((left, half_written.len()))
}

/// Has done what is done every hour, after files have lain there for days.
async fn take_away(site: &Site) -> Result<()> {
    for path in half_written_files(site)? {
        let file = File::options().write(true).open(path)?;
        file.set_modified(file.metadata()?.modified()? - TWO_DAYS)?;
    }
    let prune = PruneJobs { retention_days: RETENTION_DAYS };
    let job = registry().prepare(&prune, RequestId::new("faults", "prune"), "operator", JobOptions::default())?;
    let mut transaction = site.producer.doors.pool.begin().await?;
    let id = jobs::accept(&mut transaction, &job).await?.id();
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    until("what prunes", TAKEN_AWAY_WITHIN, || async {
        let done = sqlx::query_scalar::<_, i32>("SELECT 1 FROM jobs WHERE id = $1 AND state = 'done'");
        Ok(done.bind(id.0).fetch_optional(&site.producer.doors.pool).await?)
    })
    .await?;
    Ok(())
}

/// Says which streams hold messages although no job is left.
async fn messages(site: &Site) -> Result<Vec<String>> {
    let emptied = until("the streams to be empty", LEASE + STREAMS_EMPTY_WITHIN, || async {
        let lengths = lengths(&site.machines.redis.url()).await?;
        Ok(lengths.iter().all(|(_, length)| *length == 0).then_some(()))
    });
    if emptied.await.is_ok() {
        return Ok(Vec::new());
    }
    let lengths = lengths(&site.machines.redis.url()).await?.into_iter().filter(|(_, length)| *length > 0);
    Ok(lengths.map(|(key, length)| format!("{length} messages in {key}")).collect())
}

async fn lengths(url: &str) -> Result<Vec<(String, u64)>> {
    let mut redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let keys: Vec<String> = redis.keys("billrunner:*").await?;
    let mut lengths = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await?;
        if kind == "stream" {
            let length = redis.xlen(&key).await?;
            lengths.push((key, length));
        }
    }
    Ok(lengths)
}

/// Says which processes of the worker's program still run.
fn processes(program: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let running = entries.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let runs = std::fs::read_link(folder.join("exe")).is_ok_and(|exe| exe == program);
        // Of another run's, or of somebody's own worker, this one knows nothing.
        let is_ours =
            std::fs::read_to_string(folder.join("stat")).ok()?.split(' ').nth(3)? == std::process::id().to_string();
        (runs && is_ours).then(|| format!("process {}", folder.display()))
    });
    running.collect()
}

async fn in_postgres(pool: &PgPool) -> Result<Vec<String>> {
    let sessions: Vec<String> = sqlx::query_scalar(
        "SELECT 'a transaction that is ' || state || ': ' || left(query, 80) FROM pg_stat_activity
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
    )
    .fetch_all(pool)
    .await?;
    let locks: Vec<String> = sqlx::query_scalar(
        "SELECT 'a lock of type ' || locktype || ' by process ' || pid FROM pg_locks
         WHERE locktype = 'advisory' OR pid IS NULL",
    )
    .fetch_all(pool)
    .await?;
    Ok([sessions, locks].concat())
}

/// Finds the objects that workers were writing when they were killed.
fn half_written_files(site: &Site) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    collect(&site.machines.objects.path, &mut objects)?;
    // As the object store names a file while it is being written.
    objects.retain(|path| path.to_string_lossy().contains('#'));
    Ok(objects)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
