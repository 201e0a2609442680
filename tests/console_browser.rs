//! The console in a browser, where there is one: `bin/setup --tests` installs Chromium, node and playwright-core.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Result;
use billrunner::{
    domain::console_access::Role,
    jobs::{CheckHistory, InitialStatus},
    store::{operator_actions::Operator, queue_controls},
};
use tokio::{process::Command, time::timeout};

use crate::support::{
    console::{Desktop, PASSWORD, add_user},
    desk::Desk,
    worker::until,
};

/// A browser starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
const NAME: &str = "ana";
const TEST: Operator<'_> = Operator { name: "test", reason: "before the browser comes" };
/// Five jobs that die of the same.
const DIED: &str = "
    UPDATE job_attempts SET outcome = 'failed', message = 'the ledger was away 3 times'
    WHERE job_id IN (SELECT id FROM jobs WHERE kind = 'check_history');
    UPDATE jobs SET state = 'dead', last_error = 'the ledger was away 3 times' WHERE kind = 'check_history'";

/// Returns Chromium, and the folder of node's modules; `None` where either is missing.
fn browser() -> Option<(PathBuf, PathBuf)> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/browser/node_modules");
    let found = |name: &str| {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
    };
    let chromium = found("chromium").or_else(|| found("chromium-browser")).or_else(|| found("google-chrome"))?;
    (found("node").is_some() && modules.join("playwright-core").is_dir()).then_some((chromium, modules))
}

/// A desk with five dead jobs, and a bill run that waits for its lane.
async fn morning() -> Result<Desk> {
    let desk = Desk::open(3).await?;
    for _ in 0..5 {
        desk.office.done(&CheckHistory { reseller_id: None }).await?;
    }
    desk.execute(DIED).await?;
    let mut transaction = desk.office.pool.begin().await?;
    queue_controls::pause(&mut transaction, "billing.aws", TEST, None).await?;
    transaction.commit().await?;
    add_user(&desk.office.pool, NAME, Role::Operator).await?;
    desk.office.hand_in(&desk.business.bill_run(InitialStatus::Draft, None)).await?;
    until("the bill run", || async {
        let waiting = "SELECT count(*) FROM jobs WHERE kind = 'generate_invoice'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&desk.office.pool).await?;
        Ok((waiting == 3).then_some(()))
    })
    .await?;
    Ok(desk)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_retries_pauses_and_watches_in_a_browser() -> Result<()> {
    let Some((chromium, modules)) = browser() else {
        eprintln!("left out: chromium, node or playwright-core is missing; bin/setup --tests installs them");
        return Ok(());
    };
    let desk = morning().await?;
    let desktop = Desktop::open(&desk.office.pool).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/console.mjs");
    let address = format!("http://127.0.0.1:{}", desktop.address.port());
    let run = Command::new("node")
        .arg(script)
        .args([address.as_str(), NAME, PASSWORD])
        .env("CHROMIUM", chromium)
        .env("MODULES", modules)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, run).await??;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let by: Vec<(String, i64)> =
        sqlx::query_as("SELECT action, count(*) FROM operator_actions WHERE done_by = $1 GROUP BY 1 ORDER BY 1")
            .bind(NAME)
            .fetch_all(&desk.office.pool)
            .await?;
    let expected = [("change_jobs", 1), ("pause", 1), ("resume", 2), ("retry", 5)];
    assert_eq!(by, expected.map(|(action, count)| (action.to_owned(), count)));
    desk.close().await
}
