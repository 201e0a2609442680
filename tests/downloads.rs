//! Download links: what a good one opens, what a wrong, expired or early one does not, and the mails that carry them.

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::{
        document::DocumentKind,
        download_link::{DownloadGrant, DownloadLinks, LinkKeys},
        ids::ResellerId,
        invoice::Invoice,
        invoice_status::InvoiceStatus,
    },
    http::Downloads,
    jobs::{ChangeInvoiceStatus, RenderDocument},
    store::documents::{self, StoredDocument},
};
use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders};
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::support::{
    TestDatabase,
    business::{Business, database_url},
    desk::Desk,
    http::{Answer, Door},
    worker::{Office, streams},
};

const OLD_KEY: &str = "2026-10:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const KEYS: &str = "2026-11:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100,\
                    2026-10:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub fn keys(text: &str) -> LinkKeys {
    text.parse().expect("keys")
}

impl Desk {
    /// Opens the web process for customers, at this time of day.
    async fn counter(&self, clock: Clock) -> Result<Door> {
        let objects = self.office.context.objects.clone();
        Door::for_customers(&self.office, Some(Downloads { keys: keys(KEYS), objects, clock })).await
    }

    async fn rendered(&self, invoice: &Invoice) -> Result<Vec<StoredDocument>> {
        let language = invoice.language.to_string();
        let mut connection = self.office.pool.acquire().await?;
        let (reseller_id, version) = (invoice.reseller_id, invoice.version);
        Ok(documents::of_version(&mut connection, reseller_id, invoice.id, version, &language).await?)
    }

    pub async fn of_kind(&self, invoice: &Invoice, kind: DocumentKind) -> Result<StoredDocument> {
        let rendered = self.rendered(invoice).await?;
        rendered.into_iter().find(|document| document.kind == kind).context("a document")
    }

    fn link(&self, document: &StoredDocument, keys: &LinkKeys) -> String {
        self.link_to(document, None, keys)
    }

    pub fn link_to(&self, document: &StoredDocument, part: Option<usize>, keys: &LinkKeys) -> String {
        let expires_at = Clock::System.now() + TimeDelta::hours(1);
        keys.path_to(&DownloadGrant::until(self.business.reseller_id, document.id, expires_at), part)
    }

    /// Runs a command to its end and returns its exit code with what it printed.
    async fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        command.args(arguments).env("DATABASE_URL", database_url(&self.office.pool).await?);
        command.env("BILLRUNNER_LINK_KEYS", KEYS).env("BILLRUNNER_PUBLIC_URL", "https://billing.example.com");
        let output = command.env("BILLRUNNER_LOG", "error").output().await?;
        Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
    }

    /// Opens the first customer's invoice of two charges, its detail in two compressed parts.
    async fn with_split_detail() -> Result<(Self, Invoice)> {
        let desk = Self::with_drafts(2).await?;
        desk.write_csv_by(Some(json!({ "gzip": true, "rows_per_part": 1 }))).await?;
        for customer in 0..2 {
            desk.office.done(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
        }
        desk.office.settled().await?;
        let invoice = desk.live(0).await?;
        Ok((desk, invoice))
    }
}

/// Fails where an answer to a customer lets a browser do more than it should.
fn check_headers(answer: &Answer, document: &StoredDocument) {
    let header = |name| answer.header(name).unwrap_or_default();
    let word = if document.kind == DocumentKind::Print { "inline" } else { "attachment" };
    assert_eq!(header("content-disposition"), format!("{word}; filename=\"{}\"", document.file_name));
    assert_eq!(header("content-type"), document.content_type());
    assert_eq!(header("etag"), format!("\"{}\"", hex::encode(&document.sha256)));
    assert_eq!(header("accept-ranges"), "bytes");
    assert_eq!(header("content-length"), document.size_bytes.to_string());
    assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store", "nosniff"));
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert!(header("content-security-policy").starts_with("sandbox; default-src 'none';"));
}

#[tokio::test]
async fn a_link_opens_its_document_until_it_expires_and_nothing_else() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let rendered = desk.rendered(&desk.live(0).await?).await?;
    assert_eq!(rendered.len(), DocumentKind::ALL.len());
    let counter = desk.counter(Clock::System).await?;
    let tomorrow = desk.counter(Clock::Fixed(Clock::System.now() + TimeDelta::days(1))).await?;
    for document in &rendered {
        for signed_with in [KEYS, OLD_KEY] {
            let link = desk.link(document, &keys(signed_with));
            let answer = counter.visit(&link).await?;
            assert_eq!(answer.status, 200, "{} {link}", document.kind);
            assert_eq!(Sha256::digest(&answer.bytes).as_slice(), document.sha256);
            check_headers(&answer, document);
            assert_eq!(tomorrow.visit(&link).await?.status, 410);
            assert_eq!(tomorrow.visit(&link.replace("&signature=", "&signature=00")).await?.status, 404);
        }
    }
    let link = desk.link(&rendered[0], &keys(KEYS));
    let (path, query) = link.split_once('?').context("a query")?;
    let expires_at = Clock::System.now() + TimeDelta::hours(1);
    let another = DownloadGrant::until(ResellerId::new(), rendered[0].id, expires_at);
    let other = path.replace(&rendered[0].id.to_string(), &rendered[1].id.to_string());
    let unknown = OLD_KEY.replace("2026-10", "2026-09").replace("00", "11");
    for wrong in [
        format!("{other}?{query}"),
        link.replace("expires=1", "expires=2"),
        link.replace("2026-11", "2026-10"),
        link.replace("key=2026-11&", ""),
        path.to_owned(),
        keys(KEYS).path(&another),
        format!("/downloads/x/y?{query}"),
        desk.link(&rendered[0], &keys(&unknown)),
    ] {
        assert_eq!(counter.visit(&wrong).await?.status, 404, "{wrong}");
    }
    let closed = Door::for_customers(&desk.office, None).await?;
    assert_eq!(closed.visit(&link).await?.status, 404, "no keys, no links");
    desk.close().await
}

#[tokio::test]
async fn a_customer_sees_no_draft_and_of_a_void_invoice_the_mark() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let counter = desk.counter(Clock::System).await?;
    let draft = desk.live(0).await?;
    let (reseller_id, invoice_id, version) = (draft.reseller_id, draft.id, draft.version);
    let kind = DocumentKind::Print;
    desk.office.done(&RenderDocument { reseller_id, invoice_id, version, kind, currency: None }).await?;
    let link_to_draft = desk.link(&desk.of_kind(&draft, kind).await?, &keys(KEYS));
    assert_eq!(counter.visit(&link_to_draft).await?.status, 404, "of a draft");

    desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    assert_eq!(counter.visit(&link_to_draft).await?.status, 404, "of what was a draft then");
    let link = desk.link(&desk.of_kind(&desk.live(0).await?, kind).await?, &keys(KEYS));
    let open = counter.visit(&link).await?;
    assert_eq!(open.status, 200);
    assert!(!String::from_utf8_lossy(&open.bytes).contains(">ANULAD"));

    desk.office.done(&desk.to(draft.id, InvoiceStatus::Void)).await?;
    desk.office.settled().await?;
    let void = counter.visit(&link).await?;
    assert_eq!(void.status, 200);
    assert!(String::from_utf8_lossy(&void.bytes).contains(">ANULAD"), "the old link shows that it is void");
    assert_eq!(counter.visit(&link_to_draft).await?.status, 404);
    desk.close().await
}

#[tokio::test]
async fn a_split_detail_is_downloaded_part_by_part_under_its_manifests_grant_and_nothing_else_opens() -> Result<()> {
    let (desk, invoice) = Desk::with_split_detail().await?;
    let counter = desk.counter(Clock::System).await?;
    let detail = desk.of_kind(&invoice, DocumentKind::DetailedCsv).await?;
    let manifest = counter.visit(&desk.link(&detail, &keys(KEYS))).await?;
    assert_eq!((manifest.status, manifest.content_type()), (200, "application/json"));
    check_headers(&manifest, &detail);
    for (n, named) in manifest.body["parts"].as_array().context("parts")?.iter().enumerate() {
        let answer = counter.visit(&desk.link_to(&detail, Some(n + 1), &keys(KEYS))).await?;
        assert_eq!((answer.status, answer.content_type()), (200, "application/gzip"));
        assert_eq!(named["sha256"], hex::encode(Sha256::digest(&answer.bytes)));
        let disposition = format!("attachment; filename=\"{}\"", named["file_name"].as_str().context("a name")?);
        assert_eq!(answer.header("content-disposition"), Some(disposition.as_str()));
    }
    let others = desk.of_kind(&desk.live(1).await?, DocumentKind::DetailedCsv).await?;
    let pdf = desk.of_kind(&invoice, DocumentKind::Pdf).await?;
    let first = desk.link_to(&detail, Some(1), &keys(KEYS));
    for wrong in [
        desk.link_to(&detail, Some(0), &keys(KEYS)),
        desk.link_to(&detail, Some(3), &keys(KEYS)),
        desk.link_to(&pdf, Some(1), &keys(KEYS)),
        first.replace("/1?", "/x?"),
        first.replace("/1?", "/1/1?"),
        first.replace("/1?", "/-1?"),
        first.replace(&detail.id.to_string(), &others.id.to_string()),
        first.replace("&signature=", "&signature=00"),
    ] {
        assert_eq!(counter.visit(&wrong).await?.status, 404, "{wrong}");
    }
    let tomorrow = desk.counter(Clock::Fixed(Clock::System.now() + TimeDelta::days(1))).await?;
    assert_eq!(tomorrow.visit(&first).await?.status, 410);

    desk.office.done(&desk.to(invoice.id, InvoiceStatus::Void)).await?;
    desk.office.settled().await?;
    let void = desk.of_kind(&desk.find(invoice.id).await?, DocumentKind::DetailedCsv).await?;
    let answer = counter.visit(&first).await?;
    assert_ne!(void.parts[0].location, detail.parts[0].location);
    assert_eq!((answer.status, hex::encode(Sha256::digest(&answer.bytes))), (200, void.parts[0].sha256.clone()));
    desk.office.context.objects.delete(&void.parts[0].location.as_str().into()).await?;
    assert_eq!(counter.visit(&first).await?.status, 503, "the part of the void version, and no other");
    let again = RenderDocument {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version + 1,
        kind: DocumentKind::DetailedCsv,
        currency: None,
    };
    desk.office.done(&again).await?;
    assert_eq!(counter.visit(&first).await?.status, 200, "a part that went missing is rendered again");
    desk.close().await
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_where_it_was() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let pdf = desk.of_kind(&desk.live(0).await?, DocumentKind::Pdf).await?;
    let (counter, link) = (desk.counter(Clock::System).await?, desk.link(&pdf, &keys(KEYS)));
    let whole = counter.visit(&link).await?;
    let (size, tag) = (whole.bytes.len(), whole.header("etag").context("a tag")?.to_owned());
    let resumed = counter.ask("GET", &link, &format!("range: bytes=100-\r\nif-range: {tag}\r\n")).await?;
    assert_eq!((resumed.status, &resumed.bytes[..]), (206, &whole.bytes[100..]));
    assert_eq!(resumed.header("content-range"), Some(format!("bytes 100-{}/{size}", size - 1).as_str()));
    assert_eq!(resumed.header("content-length"), Some((size - 100).to_string().as_str()));
    let tail = counter.ask("GET", &link, "range: bytes=-7\r\n").await?;
    assert_eq!((tail.status, &tail.bytes[..]), (206, &whole.bytes[size - 7..]));
    let changed = counter.ask("GET", &link, "range: bytes=100-\r\nif-range: \"other\"\r\n").await?;
    assert_eq!((changed.status, changed.bytes.len()), (200, size));
    let beyond = counter.ask("GET", &link, &format!("range: bytes={size}-\r\n")).await?;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(format!("bytes */{size}").as_str())));
    let known = counter.ask("GET", &link, &format!("if-none-match: {tag}\r\n")).await?;
    assert_eq!((known.status, known.bytes.len(), known.header("etag")), (304, 0, Some(tag.as_str())));
    let head = counter.ask("HEAD", &link, "").await?;
    check_headers(&head, &pdf);
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    let forged = link.replace("&signature=", "&signature=00");
    for headers in ["range: bytes=0-\r\n".to_owned(), format!("if-none-match: {tag}\r\n")] {
        assert_eq!(counter.ask("GET", &forged, &headers).await?.status, 404, "the signature comes first");
    }
    desk.office.context.objects.put(&pdf.location.as_str().into(), PutPayload::from_static(b"other")).await?;
    assert_eq!(counter.visit(&link).await?.status, 503, "not what was recorded");
    desk.close().await
}

#[tokio::test]
async fn the_parts_of_a_document_are_listed_and_linked_on_the_command_line() -> Result<()> {
    let (desk, invoice) = Desk::with_split_detail().await?;
    let counter = desk.counter(Clock::System).await?;
    let name = invoice.document_id.clone();
    let (code, listed) = desk.run(&["documents", "list", &name, "--json"]).await?;
    let listed: Vec<Value> = serde_json::from_str(&listed)?;
    let parts =
        |kind: &str| listed.iter().find(|document| document["kind"] == kind).map(|found| found["parts"].clone());
    let parts_of_detail = parts("detailed_csv").context("a detail")?;
    assert_eq!((code, parts("pdf"), parts_of_detail.as_array().map(Vec::len)), (Some(0), Some(json!([])), Some(2)));
    let (code, table) = desk.run(&["documents", "list", &name]).await?;
    assert!(code == Some(0) && table.contains("-0002"), "{table}");

    let link = ["documents", "link", &name, "--kind", "detailed_csv"];
    let (_, printed) = desk.run(&[&link[..], &["--json"]].concat()).await?;
    let printed: Value = serde_json::from_str(&printed)?;
    for (n, linked) in printed["parts"].as_array().context("parts")?.iter().enumerate() {
        assert_eq!(linked["file_name"], parts_of_detail[n]["file_name"]);
        let url = linked["url"].as_str().context("a link")?;
        let answer = counter.visit(url.strip_prefix("https://billing.example.com").context("ours")?).await?;
        assert_eq!(parts_of_detail[n]["sha256"], hex::encode(Sha256::digest(&answer.bytes)));
    }
    let (code, lines) = desk.run(&link).await?;
    assert_eq!((code, lines.lines().count()), (Some(0), 3), "the manifest and its parts: {lines}");
    desk.close().await
}

#[tokio::test]
async fn what_is_too_large_for_a_mail_is_sent_as_a_link_that_opens_it() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 1).await?;
    let links = DownloadLinks { keys: keys(KEYS), public_url: "https://billing.example.com/b".parse()? };
    let office = Office::open_with(&database.pool, Clock::System, streams()?, |context| billrunner::context::Context {
        download_links: Some(links.into()),
        // Room for the lines, not for the PDF.
        attach_up_to_bytes: 2_000,
        ..context
    })
    .await?;
    let desk = Desk { office, business, database };
    desk.close_month().await?;
    let open = ChangeInvoiceStatus { notify: Some(true), ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    desk.office.done(&open).await?;
    desk.office.settled().await?;

    let received = desk.office.sink.received().pop().context("a mail")?;
    let mail = MessageParser::default().parse(&received.content).context("a readable mail")?;
    let names: Vec<&str> = mail.attachments().filter_map(MimeHeaders::attachment_name).collect();
    assert!(names.len() == 1 && names[0].rsplit_once('.').is_some_and(|(_, ending)| ending == "csv"), "{names:?}");
    let text = mail.body_text(0).context("a text")?;
    let link = text.split_whitespace().find_map(|word| word.strip_prefix("https://billing.example.com/b"));
    let link = link.with_context(|| format!("a link in {text}"))?;
    assert!(text.contains("Descargar la factura (") && text.contains("disponible hasta el"), "{text}");
    assert!(mail.body_html(0).context("html")?.contains("/downloads/"), "the page has the link too");
    let answer = desk.counter(Clock::System).await?.visit(link).await?;
    let pdf = desk.of_kind(&desk.live(0).await?, DocumentKind::Pdf).await?;
    assert_eq!((answer.status, Sha256::digest(&answer.bytes).to_vec()), (200, pdf.sha256));
    let days = (Clock::System.now() + TimeDelta::days(29)).timestamp();
    let expires: i64 = link.split(['=', '&']).nth(1).context("a time")?.parse()?;
    assert!(expires > days, "{expires}");
    desk.close().await
}

#[tokio::test]
async fn documents_are_listed_linked_and_rendered_on_the_command_line() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let name = desk.live(0).await?.document_id;
    let link = ["documents", "link", &name, "--kind", "pdf"];
    let (code, problem) = desk.run(&link).await?;
    assert!(code == Some(4) && problem.contains("is draft: customers see an invoice once it is open"), "{problem}");

    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let (code, listed) = desk.run(&["documents", "list", &name, "--json"]).await?;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
    assert_eq!((code, listed.len()), (Some(0), DocumentKind::ALL.len()));
    assert!(listed.iter().all(|document| document["layout_version"].is_i64()), "{listed:?}");

    let (code, printed) = desk.run(&link).await?;
    let path = printed.trim().strip_prefix("https://billing.example.com").context("a link")?;
    assert_eq!((code, desk.counter(Clock::System).await?.visit(path).await?.status), (Some(0), 200));
    let (code, problem) = desk.run(&[&link[..], &["--valid-for", "91d"]].concat()).await?;
    assert!(code == Some(2) && problem.contains("is no time for a link"), "{problem}");
    let (code, problem) = desk.run(&["documents", "link", "nothing", "--kind", "pdf"]).await?;
    assert!(code == Some(3) && problem.contains("invoice `nothing` does not exist"), "{problem}");

    let (code, done) = desk.run(&["documents", "render", &name, "--kind", "pdf", "--wait"]).await?;
    assert!(code == Some(0) && done.contains("is rendered already"), "{done}");
    desk.close().await
}
