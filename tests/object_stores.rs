//! The object store as a real S3 server: the whole path of an invoice's documents, what happens when the store refuses or
//! leaves, and what `config check` says. And a folder whose writer is killed.

use std::{fs::OpenOptions, io::Write, process::Stdio};

use anyhow::{Context as _, Result};
use billrunner::{
    clock::Clock,
    context::Context,
    domain::{document::DocumentKind, download_link::DownloadLinks, invoice_status::InvoiceStatus},
    http::Downloads,
    jobs::ChangeInvoiceStatus,
    objects::{ObjectStoreSettings, write_object},
};
use futures::TryStreamExt;
use mail_parser::{MessageParser, MimeHeaders};
use object_store::{ObjectStoreExt, path::Path};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    downloads::{KEYS, keys},
    support::{
        TestDatabase,
        business::{Business, PROVIDER, database_url, file_of},
        desk::{Desk, rendering},
        http::Door,
        import::import,
        s3::{S3Server, SECRET, Trouble},
        worker::{Office, streams, until},
    },
};

/// So that 90 charges are more than the 5 MiB of one part of an upload.
const DESCRIPTION_BYTES: usize = 64 * 1024;

/// Opens a desk with one draft of 100 large charges, whose objects are in S3.
async fn desk_on(server: &S3Server) -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, 1).await?;
    let rows: Vec<(usize, String)> = (1..=100).map(|cost| (0, format!("{cost}.01"))).collect();
    let file = file_of(&rows, &"x".repeat(DESCRIPTION_BYTES))?;
    import(&database.pool, business.reseller_id, PROVIDER, file.path()).await?;
    let links = DownloadLinks { keys: keys(KEYS), public_url: "https://billing.example.com".parse()? };
    let objects = server.settings("a b").open()?;
    let office = Office::open_with(&database.pool, Clock::System, streams()?, |context| Context {
        download_links: Some(links.into()),
        objects,
        objects_folder: None,
        ..context
    })
    .await?;
    let desk = Desk { office, business, database };
    desk.close_month().await?;
    desk.write_csv_by(Some(json!({ "rows_per_part": 90 }))).await?;
    Ok(desk)
}

impl Desk {
    /// Returns what a job failed with at its last attempt so far.
    async fn failure(&self, id: billrunner::domain::ids::JobId) -> Result<String> {
        until("a failed attempt", || async {
            let sql = "SELECT last_error FROM jobs WHERE id = $1 AND last_error IS NOT NULL AND state <> 'dead'";
            Ok(sqlx::query_scalar(sql).bind(id).fetch_optional(&self.office.pool).await?)
        })
        .await
    }

    async fn details(&self) -> Result<i64> {
        let sql = "SELECT count(*) FROM documents WHERE kind = 'detailed_csv'";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.office.pool).await?)
    }
}

#[tokio::test]
async fn documents_are_rendered_mailed_linked_and_verified_on_s3() -> Result<()> {
    let server = S3Server::start().await?;
    let desk = desk_on(&server).await?;
    let open = ChangeInvoiceStatus { notify: Some(true), ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    desk.office.done(&open).await?;
    desk.office.settled().await?;

    let received = desk.office.sink.received().pop().context("a mail")?;
    let mail = MessageParser::default().parse(&received.content).context("a readable mail")?;
    let attached: Vec<&str> = mail.attachments().filter_map(MimeHeaders::attachment_name).collect();
    assert!(
        attached.len() == 2 && attached[0].rsplit_once('.').is_some_and(|(_, ending)| ending == "pdf"),
        "{attached:?}"
    );

    let objects = desk.office.context.objects.clone();
    let door =
        Door::for_customers(&desk.office, Some(Downloads { keys: keys(KEYS), objects, clock: Clock::System })).await?;
    let detail = desk.of_kind(&desk.live(0).await?, DocumentKind::DetailedCsv).await?;
    let [large, small] = &detail.parts[..] else { anyhow::bail!("two parts: {detail:?}") };
    assert!(large.size_bytes > 5 * 1024 * 1024 && small.size_bytes < large.size_bytes, "{detail:?}");
    for (part, file) in [(1, large), (2, small)] {
        let path = desk.link_to(&detail, Some(part), &keys(KEYS));
        let whole = door.visit(&path).await?;
        assert_eq!((whole.status, hex::encode(Sha256::digest(&whole.bytes))), (200, file.sha256.clone()));
        let middle = door.ask("GET", &path, "range: bytes=1000-1999\r\n").await?;
        assert_eq!((middle.status, &middle.bytes[..]), (206, &whole.bytes[1000..2000]));
        let head = door.ask("HEAD", &path, "").await?;
        assert_eq!((head.status, head.header("content-length")), (200, Some(file.size_bytes.to_string().as_str())));
    }
    let report = desk.verify(true).await?;
    assert_eq!((report.count(), report.documents), (0, report.rendered_again), "{report:#?}");
    assert_eq!(server.objects("a b/documents").len(), DocumentKind::ALL.len() + 2, "all below the prefix");
    assert_eq!(server.uploads_under_way(), 0);
    desk.close().await
}

#[tokio::test]
async fn a_store_that_leaves_in_the_middle_is_waited_for_and_nothing_half_done_is_seen() -> Result<()> {
    let mut server = S3Server::start().await?;
    let desk = desk_on(&server).await?;
    let draft = desk.live(0).await?;
    server.set(Trouble::LeavesAtSecondPart);
    let id = desk.office.hand_in(&rendering(&draft, DocumentKind::DetailedCsv)).await?;
    server.left().await;
    let error = desk.failure(id).await?;
    assert!(!error.contains(SECRET), "{error}");
    assert_eq!((desk.details().await?, server.objects("").len()), (0, 0), "{error}");

    server.come_back().await?;
    let (job, _) = crate::support::worker::wait_for(&desk.office.pool, id).await?;
    assert_eq!((job.state.as_str(), desk.details().await?), ("done", 1));
    assert_eq!(server.objects("").len(), 3, "the manifest and two parts");
    assert_eq!(desk.verify(true).await?.count(), 0);
    desk.close().await
}

#[tokio::test]
async fn an_upload_that_fails_or_is_dropped_is_taken_back() -> Result<()> {
    let server = S3Server::start().await?;
    let desk = desk_on(&server).await?;
    let draft = desk.live(0).await?;
    server.set(Trouble::RefusesParts);
    let id = desk.office.hand_in(&rendering(&draft, DocumentKind::DetailedCsv)).await?;
    let error = desk.failure(id).await?;
    assert!(error.contains("503"), "{error}");
    server.set(Trouble::None);
    let (job, _) = crate::support::worker::wait_for(&desk.office.pool, id).await?;
    assert_eq!((job.state.as_str(), server.uploads_under_way()), ("done", 0), "each attempt took its parts back");
    let (refused, asked_again) = server.refused();
    assert!(refused > 0 && asked_again == 0, "the job tries again, the client does not");

    server.set(Trouble::HoldsSecondPart);
    let objects = server.settings("dropped").open()?;
    let bytes = vec![b'x'; 40 * 1024 * 1024];
    let task = tokio::spawn(async move {
        write_object(objects.as_ref(), &Path::from("large"), &mut &bytes[..], bytes.len() as u64).await
    });
    until("the first part", || async { Ok((server.parts_stored() > 0).then_some(())) }).await?;
    task.abort();
    until("no upload", || async { Ok((server.uploads_under_way() == 0).then_some(())) }).await?;
    assert_eq!(server.parts_stored(), 0);
    assert_eq!(server.objects("dropped").len(), 0);
    desk.close().await
}

/// Checks the settings with an object store of these variables, and returns the exit code with what was printed.
async fn check(database: &TestDatabase, url: &str, variables: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let mails = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
    command
        .args(["config", "check"])
        .env("DATABASE_URL", database_url(&database.pool).await?)
        .env("SMTP_URL", format!("file://{}", mails.path().display()))
        .env("BILLRUNNER_OBJECT_STORE", url)
        .env("BILLRUNNER_LOG", "error")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await?;
    Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
}

#[tokio::test]
async fn config_check_writes_reads_and_deletes_an_object_and_says_what_is_wrong() -> Result<()> {
    let mut server = S3Server::start().await?;
    let database = TestDatabase::new().await?;
    let variables = server.variables();
    let good: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let wrong_key = [&good[..], &[("AWS_SECRET_ACCESS_KEY", "another")]].concat();
    let far_away = [&good[..], &[("AWS_ENDPOINT_URL", "http://store.example")]].concat();

    let (code, said) = check(&database, "s3://bills/prefix", &good).await?;
    assert!(code == Some(0) && said.contains("object store and mailer are ready"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!((server.objects("").len(), server.uploads_under_way()), (0, 0), "nothing is left of it");

    for (url, variables, expected) in [
        ("s3://bills", &wrong_key[..], "check the credentials, and give them the rights that docs/STORES.md lists"),
        ("s3://elsewhere", &good[..], "create the bucket, or correct its name"),
        ("s3://id:hunter2@bills", &good[..], "credentials stand in the environment, such as AWS_SECRET_ACCESS_KEY"),
        ("s3://bills", &far_away[..], "by AWS_ENDPOINT_URL documents would cross the network in clear"),
        ("s3://bills", &good[1..2], "the object store"),
    ] {
        let (code, said) = check(&database, url, variables).await?;
        assert!(code != Some(0) && said.contains(expected), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
    server.set(Trouble::None);
    server.leave().await;
    let (code, said) = check(&database, "s3://bills", &good).await?;
    assert!(code != Some(0) && said.contains("check that it runs, its address"), "{said}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_kill_in_the_middle_of_an_upload_leaves_no_object() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("charges.csv");
    anyhow::ensure!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success(), "no pipe");
    let store = folder.path().join("store");
    let bytes = vec![b'x'; 16 * 1024 * 1024];
    let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
    command
        .args(["import", "--reseller", "00000000-0000-0000-0000-000000000001", "--provider", "focus"])
        .arg(&pipe)
        .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", store.display()))
        .env("DATABASE_URL", "postgres://127.0.0.1:9/none")
        .env("BILLRUNNER_LOG", "error")
        .kill_on_drop(true);
    let mut importing = command.spawn()?;
    // Read twice: once for the sha256, once to be stored. The second time it gets half of it and waits.
    let (writing, content) = (pipe.clone(), bytes.clone());
    tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(&writing)?.write_all(&content)).await??;
    let open_files = format!("/proc/{}/fd", importing.id().context("it ended")?);
    until("the end of the first reading", || async {
        let mut files =
            std::fs::read_dir(&open_files)?.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        Ok((!files.any(|file| file == pipe)).then_some(()))
    })
    .await?;
    let (writing, content) = (pipe.clone(), bytes.clone());
    let half = tokio::task::spawn_blocking(move || {
        let mut again = OpenOptions::new().write(true).open(&writing)?;
        again.write_all(&content[..content.len() / 2])?;
        Ok::<_, std::io::Error>(again)
    })
    .await??;
    let name = hex::encode(Sha256::digest(&bytes));
    let files = || -> Vec<String> {
        let entries = std::fs::read_dir(store.join("charge-files")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    until("a file under another name", || async { Ok(files().iter().any(|file| file.contains('#')).then_some(())) })
        .await?;
    importing.kill().await?;
    drop(half);

    assert!(!files().contains(&name), "{:?}", files());
    let objects = ObjectStoreSettings::folder(&store).open()?;
    let listed: Vec<_> = objects.list(None).try_collect().await?;
    assert!(listed.is_empty(), "{listed:?}");
    assert!(objects.get(&Path::from(format!("charge-files/{name}"))).await.is_err());
    write_object(objects.as_ref(), &Path::from(format!("charge-files/{name}")), &mut &bytes[..], bytes.len() as u64)
        .await?;
    assert_eq!(
        objects.get(&Path::from(format!("charge-files/{name}"))).await?.bytes().await?,
        bytes,
        "and it is no obstacle"
    );
    Ok(())
}
