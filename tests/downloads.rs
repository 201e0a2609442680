//! Download links: what a good one opens, what a wrong, expired or early one does not, and the mails that carry them.

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::{
        document::DocumentKind,
        download_link::{DownloadGrant, DownloadLinks, LinkKeys},
        invoice::Invoice,
        invoice_status::InvoiceStatus,
    },
    http::Downloads,
    jobs::{ChangeInvoiceStatus, RenderDocument},
    store::documents::{self, StoredDocument},
};
use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders};
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
const KEYS: &str = "2026-11:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100,\
                    2026-10:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn keys(text: &str) -> LinkKeys {
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

    async fn of_kind(&self, invoice: &Invoice, kind: DocumentKind) -> Result<StoredDocument> {
        let rendered = self.rendered(invoice).await?;
        rendered.into_iter().find(|document| document.kind == kind).context("a document")
    }

    fn link(&self, document: &StoredDocument, keys: &LinkKeys) -> String {
        let expires_at = Clock::System.now() + TimeDelta::hours(1);
        keys.path(&DownloadGrant::until(self.business.reseller_id, document.id, expires_at))
    }
}

/// Fails where an answer to a customer lets a browser do more than it should.
fn check_headers(answer: &Answer, document: &StoredDocument) {
    let header = |name| answer.header(name).unwrap_or_default();
    let word = if document.kind == DocumentKind::Print { "inline" } else { "attachment" };
    assert_eq!(header("content-disposition"), format!("{word}; filename=\"{}\"", document.file_name));
    assert_eq!(header("content-type"), document.kind.content_type());
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
    let other = path.replace(&rendered[0].id.to_string(), &rendered[1].id.to_string());
    let unknown = OLD_KEY.replace("2026-10", "2026-09").replace("00", "11");
    for wrong in [
        format!("{other}?{query}"),
        link.replace("expires=1", "expires=2"),
        link.replace("2026-11", "2026-10"),
        link.replace("key=2026-11&", ""),
        path.to_owned(),
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
    let url = database_url(&desk.office.pool).await?;
    let run = async |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        command.args(arguments).env("DATABASE_URL", &url).env("BILLRUNNER_LOG", "error");
        command.env("BILLRUNNER_LINK_KEYS", KEYS).env("BILLRUNNER_PUBLIC_URL", "https://billing.example.com");
        let output = command.output().await?;
        Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
    };
    let name = desk.live(0).await?.document_id;
    let link = ["documents", "link", &name, "--kind", "pdf"];
    let (code, problem) = run(&link).await?;
    assert!(code == Some(4) && problem.contains("is draft: customers see an invoice once it is open"), "{problem}");

    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let (code, listed) = run(&["documents", "list", &name, "--json"]).await?;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
    assert_eq!((code, listed.len()), (Some(0), DocumentKind::ALL.len()));
    assert!(listed.iter().all(|document| document["layout_version"].is_i64()), "{listed:?}");

    let (code, printed) = run(&link).await?;
    let path = printed.trim().strip_prefix("https://billing.example.com").context("a link")?;
    assert_eq!((code, desk.counter(Clock::System).await?.visit(path).await?.status), (Some(0), 200));
    let (code, problem) = run(&[&link[..], &["--valid-for", "91d"]].concat()).await?;
    assert!(code == Some(2) && problem.contains("is no time for a link"), "{problem}");
    let (code, problem) = run(&["documents", "link", "nothing", "--kind", "pdf"]).await?;
    assert!(code == Some(3) && problem.contains("invoice `nothing` does not exist"), "{problem}");

    let (code, done) = run(&["documents", "render", &name, "--kind", "pdf", "--wait"]).await?;
    assert!(code == Some(0) && done.contains("is rendered already"), "{done}");
    desk.close().await
}
