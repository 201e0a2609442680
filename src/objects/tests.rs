use std::time::SystemTime;

use tokio::io::AsyncWriteExt;

use super::*;

fn read(url: &str, variables: &[(&str, &str)]) -> Result<ObjectStoreSettings, NotAnObjectStore> {
    read_with(url, variables, false)
}

fn read_with(
    url: &str,
    variables: &[(&str, &str)],
    may_be_plain_http: bool,
) -> Result<ObjectStoreSettings, NotAnObjectStore> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ObjectStoreSettings::from_url(url, &variables, may_be_plain_http)
}

const AWS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
const AZURE: [(&str, &str); 2] =
    [("AZURE_STORAGE_ACCOUNT_NAME", "acme"), ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg==")];

#[test]
fn a_url_opens_the_store_it_names_below_its_prefix() {
    let folder = tempfile::tempdir().expect("a folder");
    let google = [(
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        r#"{"gcs_base_url":"http://localhost","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#,
    )];
    for (url, variables, expected) in [
        (format!("file://{}", folder.path().display()), &[][..], "LocalFileSystem"),
        ("s3://acme/bills/2026".into(), &AWS[..], "PrefixObjectStore(bills/2026)"),
        ("s3://acme".into(), &AWS[..], "PrefixObjectStore()"),
        ("gs://acme/bills/".into(), &google[..], "PrefixObjectStore(bills)"),
        ("az://acme/bills".into(), &AZURE[..], "PrefixObjectStore(bills)"),
    ] {
        let store = read(&url, variables).expect("a store").open().expect("an open store");
        assert!(store.to_string().starts_with(expected), "{url}: {store}");
    }
}

#[test]
fn every_variable_is_one_that_the_store_knows() {
    for name in S3_VARIABLES {
        assert!(name.to_ascii_lowercase().parse::<object_store::aws::AmazonS3ConfigKey>().is_ok(), "{name}");
    }
    for name in GOOGLE_VARIABLES {
        assert!(name.to_ascii_lowercase().parse::<object_store::gcp::GoogleConfigKey>().is_ok(), "{name}");
    }
    for name in AZURE_VARIABLES {
        assert!(name.to_ascii_lowercase().parse::<object_store::azure::AzureConfigKey>().is_ok(), "{name}");
    }
    let page = include_str!("../../docs/STORES.md");
    for name in S3_VARIABLES.iter().chain(&GOOGLE_VARIABLES).chain(&AZURE_VARIABLES) {
        assert!(page.contains(name), "docs/STORES.md does not tell of {name}");
    }
    assert!(SERVERS.iter().all(|name| page.contains(name)));
}

#[test]
fn a_url_with_a_secret_is_refused_and_never_shown() {
    for url in
        ["s3://id:hunter2@acme", "s3://hunter2@acme", "s3://acme?secret=hunter2", "gs://acme#hunter2", "az://acme:2/x"]
    {
        let error = read(url, &[]).expect_err("refused");
        assert!(matches!(error, NotAnObjectStore::Credentials(_)) && !error.to_string().contains("hunter2"), "{url}");
    }
    for url in
        ["data", "file://data", "file:/data", "s3:///x", "https://acme.s3.amazonaws.com", "memory:///", "s3a://acme"]
    {
        assert_eq!(read(url, &[]).err(), Some(NotAnObjectStore::Url), "{url}");
    }
    assert!(matches!(read("s3://acme/a//b", &[]), Err(NotAnObjectStore::Prefix(_))));
    let settings = read("s3://acme/x", &AWS).expect("a store");
    assert_eq!(settings.to_string(), "s3://acme/x");
    assert!(!format!("{settings:?} {:?}", settings.open()).contains("hunter2"));
}

#[test]
fn documents_cross_a_network_in_clear_only_where_that_is_said() {
    for (name, url) in
        [("AWS_ENDPOINT_URL", "s3://acme"), ("GOOGLE_BASE_URL", "gs://acme"), ("AZURE_STORAGE_ENDPOINT", "az://acme")]
    {
        for here in ["http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9", "https://store.example"] {
            assert!(read(url, &[(name, here)]).is_ok(), "{here}");
        }
        let there = [(name, "http://store.example:9000")];
        assert_eq!(read(url, &there).err(), Some(NotAnObjectStore::PlainHttp(name)));
        assert!(read_with(url, &there, true).is_ok());
        for wrong in ["store.example", "ftp://store.example", "https://id:hunter2@store.example"] {
            assert_eq!(read_with(url, &[(name, wrong)], true).err(), Some(NotAnObjectStore::Server(name)), "{wrong}");
        }
    }
    assert!(read("s3://acme", &[("GOOGLE_BASE_URL", "http://other.example")]).is_ok(), "another cloud's");
}

#[tokio::test]
async fn a_reader_sees_an_object_whole_or_not_at_all_and_what_fails_leaves_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = ObjectStoreSettings::folder(folder.path()).open().expect("a store");
    let location = Path::from("documents/invoice.csv");
    let (first, second) = (vec![b'1'; CHUNK_BYTES], vec![b'2'; CHUNK_BYTES]);
    let stored = async || objects.get(&location).await?.bytes().await;
    write_object(objects.as_ref(), &location, &mut &first[..], first.len() as u64).await.expect("written");

    // One chunk holds the second half back until it has been looked.
    let (mut pipe, mut reader) = tokio::io::duplex(CHUNK_BYTES / 2);
    let length = second.len() as u64;
    let (writing, other) = (objects.clone(), location.clone());
    let task = tokio::spawn(async move { write_object(writing.as_ref(), &other, &mut reader, length).await });
    let (half, rest) = second.split_at(CHUNK_BYTES - 1);
    pipe.write_all(half).await.expect("half of it");
    assert_eq!(stored().await.expect("the first"), first);
    pipe.write_all(rest).await.expect("the rest");
    task.await.expect("a task").expect("written");
    assert_eq!(stored().await.expect("the second"), second);

    let other = Path::from("documents/short.csv");
    let error = write_object(objects.as_ref(), &other, &mut &first[..], length + 1).await.expect_err("too short");
    assert!(error.to_string().contains("1 bytes of 262145 are missing"), "{error}");
    assert!(objects.head(&other).await.is_err(), "no object");
    let files = std::fs::read_dir(folder.path().join("documents")).expect("a folder").count();
    assert_eq!(files, 1, "nothing else lies there");
}

#[tokio::test]
async fn what_a_killed_writer_left_is_removed_once_it_is_old_and_nothing_else_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = ObjectStoreSettings::folder(folder.path()).open().expect("a store");
    let location = Path::from("documents/a/b#1.csv");
    let mut killed = objects.put_multipart(&location).await.expect("an upload");
    killed.put_part(vec![b'1'; 10].into()).await.expect("a part");
    // Neither finished nor aborted, as after `kill -9`.
    std::mem::forget(killed);
    objects.put(&location, vec![b'2'; 10].into()).await.expect("stored by who came after");
    std::fs::write(folder.path().join("notes#1b"), "of somebody else").expect("a file");

    let now = SystemTime::from(chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(100_000));
    let files = || std::fs::read_dir(folder.path().join("documents/a")).expect("a folder").count();
    assert_eq!(files(), 2, "the object and what was left");
    let young = remove_half_written(folder.path(), SystemTime::UNIX_EPOCH).expect("looked");
    assert_eq!((young, files()), (0, 2), "somebody may be writing still");
    assert_eq!(remove_half_written(folder.path(), now).expect("removed"), 1);
    assert_eq!(files(), 1);
    assert_eq!(objects.get(&location).await.expect("there").bytes().await.expect("read"), vec![b'2'; 10]);
    assert!(folder.path().join("notes#1b").exists());
    assert_eq!(remove_half_written(&folder.path().join("nowhere"), now).expect("nothing"), 0);
}
