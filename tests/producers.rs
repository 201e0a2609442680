//! The producers of `examples/producers` that speak HTTP, run against the real server, each whose runtime is here.

use std::{path::Path, process::Stdio, sync::Arc};

use anyhow::{Context, Result, ensure};
use billrunner::jobs::registry;
use tokio::process::Command;

use crate::support::{
    TestDatabase,
    http::{Door, add_client, create_key},
    worker::{DEADLINE, streams},
};

/// Each program: the command that runs it, and its file.
const PRODUCERS: [(&[&str], &str); 7] = [
    (&["sh"], "curl.sh"),
    (&["python3"], "producer.py"),
    (&["node"], "producer.mjs"),
    (&["ruby"], "producer.rb"),
    (&["java", "-XX:TieredStopAtLevel=1"], "Producer.java"),
    (&["go", "run"], "producer.go"),
    (&["php"], "producer.php"),
];

const EXPECTED: [&str; 4] = [
    "first: accepted",
    "repeat: accepted before",
    "other: conflict, the id was used for another payload",
    "batch: statuses 202 422",
];

#[tokio::test]
async fn every_producer_hands_in_repeats_and_sees_conflicts() -> Result<()> {
    let database = TestDatabase::new().await?;
    let door = Door::open_to(&database.pool, streams()?, Arc::new(registry()).envelope_reader()).await?;
    add_client(&database.pool, "shop", Some(&["start_bill_run".to_owned()]), (6000, 1000)).await?;
    let key = create_key(&database.pool, "shop").await?.1;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/producers");
    let mut ran = 0;
    for (command, file) in PRODUCERS {
        ensure!(folder.join(file).exists(), "{file} is missing");
        let needed = if file == "curl.sh" { "curl" } else { command[0] };
        if !is_here(needed) {
            eprintln!("left out: examples/producers/{file}, for `{needed}` is not on this machine");
            continue;
        }
        let running = Command::new(command[0])
            .args(&command[1..])
            .arg(file)
            .current_dir(&folder)
            .env("BILLRUNNER_URL", format!("http://{}", door.address))
            .env("BILLRUNNER_API_KEY", &key)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output =
            tokio::time::timeout(DEADLINE, running).await.with_context(|| format!("{file} does not end"))??;
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.lines().collect::<Vec<_>>(), EXPECTED, "{file}: {errors}");
        assert!(output.status.success(), "{file}: {errors}");
        ran += 1;
    }
    let jobs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE source = 'shop'").fetch_one(&database.pool).await?;
    assert_eq!(jobs, 2 * ran, "each leaves its first job and the good one of its batch");
    assert!(ran > 0, "curl at least is on every machine that runs the tests");
    Ok(())
}

fn is_here(program: &str) -> bool {
    let found =
        std::process::Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}
