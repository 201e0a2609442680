//! The demo's inbox: the mails that were sent, as their receivers see them. Only `billrunner demo` has one.
//!
//! A mail is hostile until shown otherwise: its HTML stands in a frame that runs nothing, loads nothing and knows nothing
//! of this page; its attachments are only ever downloaded, under names made of harmless characters.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders};
use maud::{Markup, html};

use super::{PageError, Web, page};

/// Mails on the page, the newest.
const SHOWN_MAILS: usize = 200;
/// What a mail's HTML may do: look as it does, with the pictures it brought along.
const HTML_POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                           frame-ancestors 'self'; base-uri 'none'; form-action 'none'";
/// What the page around it may do: also hold that frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; \
                           base-uri 'none'; form-action 'none'";

/// Serves the inbox.
pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{number}", get(show))
        .route("/inbox/{number}/html", get(show_html))
        .route("/inbox/{number}/text", get(show_text))
        .route("/inbox/{number}/source", get(show_source))
        .route("/inbox/{number}/attachments/{position}", get(download))
}

async fn list(State(web): State<Web>) -> Result<Html<String>, PageError> {
    let mut rows = Vec::new();
    for number in newest(&web).await? {
        let content = read(&web, number).await?;
        rows.push(row(number, &parse(&content)?));
    }
    let body = html! {
        h1 { "Inbox" }
        p { a href="/demo" { "billrunner" } " sent these; the demo's own mail server received them." }
        @if rows.is_empty() {
            p { "No mail has been sent yet." }
        } @else {
            table {
                thead { tr { @for title in ["to", "subject", "language", "sent"] { th scope="col" { (title) } } } }
                tbody { @for row in &rows { (row) } }
            }
        }
    };
    Ok(Html(page::page("Inbox", &body).into_string()))
}

/// Returns the numbers of the mails, the newest first.
async fn newest(web: &Web) -> Result<Vec<u32>, PageError> {
    let demo = web.demo.as_ref().ok_or(PageError::NotFound)?;
    let mut numbers = Vec::new();
    let mut entries = tokio::fs::read_dir(&demo.mails).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().into_string().unwrap_or_default();
        numbers.extend(name.strip_suffix(".eml").and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.truncate(SHOWN_MAILS);
    Ok(numbers)
}

async fn read(web: &Web, number: u32) -> Result<Vec<u8>, PageError> {
    let demo = web.demo.as_ref().ok_or(PageError::NotFound)?;
    let path = demo.mails.join(format!("{number}.eml"));
    tokio::fs::read(path).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PageError::NotFound,
        _ => PageError::File(error),
    })
}

fn parse(content: &[u8]) -> Result<Message<'_>, PageError> {
    MessageParser::default().parse(content).ok_or(PageError::NotFound)
}

fn row(number: u32, mail: &Message<'_>) -> Markup {
    html! {
        tr {
            td { (addresses(mail.to())) }
            td dir="auto" { a href=(format!("/inbox/{number}")) { (mail.subject().unwrap_or("(no subject)")) } }
            td { (language(mail)) }
            td { (sent_at(mail)) }
        }
    }
}

async fn show(State(web): State<Web>, Path(number): Path<u32>) -> Result<Response, PageError> {
    let content = read(&web, number).await?;
    let mail = parse(&content)?;
    let subject = mail.subject().unwrap_or("(no subject)");
    let body = html! {
        p { a href="/inbox" { "Inbox" } }
        h1 dir="auto" { (subject) }
        dl {
            dt { "From" } dd { (addresses(mail.from())) }
            dt { "To" } dd { (addresses(mail.to())) }
            dt { "Sent" } dd { (sent_at(&mail)) }
            dt { "Language" } dd { (language(&mail)) }
            dt { "Attached" } dd { (attachments(number, &mail)) }
            dt { "As" } dd {
                @for form in ["html", "text", "source"] { a href=(format!("/inbox/{number}/{form}")) { (form) } " " }
            }
        }
        iframe .mail title="The mail as HTML" sandbox="" src=(format!("/inbox/{number}/html")) {}
        h2 { "As text" }
        pre dir="auto" { (mail.body_text(0).unwrap_or_default()) }
    };
    let shown = Html(page::page(subject, &body).into_string());
    Ok(([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], shown).into_response())
}

/// Lists what a person would see attached; pictures of the HTML are part of it.
fn attachments(number: u32, mail: &Message<'_>) -> Markup {
    let attached = mail.attachments().enumerate().filter(|(_, part)| part.content_id().is_none());
    html! {
        ul .plain {
            @for (position, part) in attached {
                li {
                    a href=(format!("/inbox/{number}/attachments/{position}")) { (file_name(part)) }
                    " " (part.contents().len()) " bytes"
                }
            }
        }
    }
}

async fn show_html(State(web): State<Web>, Path(number): Path<u32>) -> Result<Response, PageError> {
    let content = read(&web, number).await?;
    let mail = parse(&content)?;
    let mut html = mail.body_html(0).ok_or(PageError::NotFound)?.into_owned();
    // A browser does not know the parts of a mail.
    for part in mail.attachments() {
        let Some(id) = part.content_id() else { continue };
        let data = format!("data:{};base64,{}", media_type(part), BASE64_STANDARD.encode(part.contents()));
        html = html.replace(&format!("cid:{id}"), &data);
    }
    Ok(([(header::CONTENT_SECURITY_POLICY, HTML_POLICY)], Html(html)).into_response())
}

async fn show_text(State(web): State<Web>, Path(number): Path<u32>) -> Result<String, PageError> {
    let content = read(&web, number).await?;
    let mail = parse(&content)?;
    Ok(mail.body_text(0).ok_or(PageError::NotFound)?.into_owned())
}

async fn show_source(State(web): State<Web>, Path(number): Path<u32>) -> Result<Response, PageError> {
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], read(&web, number).await?).into_response())
}

async fn download(State(web): State<Web>, Path((number, position)): Path<(u32, u32)>) -> Result<Response, PageError> {
    let content = read(&web, number).await?;
    let mail = parse(&content)?;
    let part = mail.attachment(position).ok_or(PageError::NotFound)?;
    let headers: [(HeaderName, String); 2] = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file_name(part))),
    ];
    Ok((headers, part.contents().to_vec()).into_response())
}

/// Returns an attachment's name without what could mean something to a header or a file system.
fn file_name(part: &MessagePart<'_>) -> String {
    let given = part.attachment_name().unwrap_or("attachment");
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    given.chars().map(|c| if is_harmless(c) { c } else { '_' }).take(100).collect()
}

/// Returns the type of a picture, as an attribute of HTML can hold it.
fn media_type(part: &MessagePart<'_>) -> &'static str {
    let subtype = part.content_type().and_then(|media_type| media_type.subtype()).unwrap_or_default();
    if subtype.eq_ignore_ascii_case("png") { "image/png" } else { "application/octet-stream" }
}

fn addresses(of: Option<&Address<'_>>) -> String {
    let names = of.into_iter().flat_map(Address::iter).filter_map(|address| address.address.as_deref());
    names.collect::<Vec<_>>().join(", ")
}

fn language(mail: &Message<'_>) -> String {
    mail.header_raw("Content-Language").unwrap_or_default().trim().to_owned()
}

fn sent_at(mail: &Message<'_>) -> String {
    mail.date().map(ToString::to_string).unwrap_or_default()
}
