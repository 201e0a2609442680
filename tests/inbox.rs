//! The demo's inbox: what a receiver would see, and what a hostile mail cannot do there.

use anyhow::{Context, Result};

use crate::support::{
    desk::Desk,
    http::{Answer, Door},
};

const HOSTILE: &str = "From: \"<b>A\" <a@example.com>\r\n\
    To: b@example.com\r\n\
    Subject: <script>alert(1)</script>\r\n\
    Content-Language: es\r\n\
    Date: Fri, 27 Nov 2026 02:00:00 +0000\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=m\r\n\r\n\
    --m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
    --r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <script>alert(2)</script><img src=\"cid:logo@billrunner\"><p>Hola\r\n\
    --r\r\nContent-Type: image/png\r\nContent-ID: <logo@billrunner>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    iVBORw0KGgo=\r\n--r--\r\n\
    --m\r\nContent-Type: text/html\r\n\
    Content-Disposition: attachment; filename=\"../e\\\"vil.html\"\r\n\r\n<p>attached\r\n--m--\r\n";

/// Opens the inbox of a demo that received these mails; the office is what it is the demo of.
async fn inbox(mails: &[&str]) -> Result<(Desk, Door, tempfile::TempDir)> {
    let (desk, folder) = (Desk::with_drafts(1).await?, tempfile::tempdir()?);
    for (number, mail) in (1..).zip(mails) {
        std::fs::write(folder.path().join(format!("{number}.eml")), mail)?;
    }
    let door = Door::of_demo(&desk.office, folder.path()).await?;
    Ok((desk, door, folder))
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}

#[tokio::test]
async fn the_inbox_shows_the_newest_mail_first_and_each_in_every_form() -> Result<()> {
    let second = "From: a@example.com\r\nTo: c@example.com\r\nSubject: zweite\r\n\r\nHallo\r\n";
    let (_desk, door, _folder) = inbox(&[HOSTILE, second]).await?;
    let list = text(&door.visit("/inbox").await?);
    let (newer, older) = (list.find("zweite").context("the newer")?, list.find("b@example.com").context("the older")?);
    assert!(newer < older, "{list}");
    let source = door.visit("/inbox/1/source").await?;
    assert_eq!((source.content_type(), text(&source)), ("text/plain; charset=utf-8", HOSTILE.to_owned()));
    assert_eq!(text(&door.visit("/inbox/2/text").await?).trim(), "Hallo");
    for missing in ["/inbox/3", "/inbox/x", "/inbox/1/attachments/9", "/inbox/..%2f..%2fetc%2fpasswd"] {
        let status = door.visit(missing).await?.status;
        assert!(matches!(status, 400 | 404), "{missing}: {status}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hostile_mail_runs_and_loads_nothing_in_the_inbox() -> Result<()> {
    let (_desk, door, _folder) = inbox(&[HOSTILE]).await?;
    for page in ["/inbox", "/inbox/1"] {
        let answer = door.visit(page).await?;
        assert!(text(&answer).contains("&lt;script&gt;alert(1)"), "{page}: {}", text(&answer));
        assert!(!text(&answer).contains("<script"), "{page}: {}", text(&answer));
        let policy = answer.header("content-security-policy").context("a policy")?;
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{page}: {policy}");
    }
    let html = door.visit("/inbox/1/html").await?;
    let policy = html.header("content-security-policy").context("a policy")?;
    assert!(policy.starts_with("sandbox; default-src 'none'; img-src data:;"), "{policy}");
    assert!(text(&html).contains("src=\"data:image/png;base64,iVBORw0KGgo=\""), "{}", text(&html));
    Ok(())
}

#[tokio::test]
async fn attachments_are_downloads_under_a_harmless_name() -> Result<()> {
    let (_desk, door, _folder) = inbox(&[HOSTILE]).await?;
    let page = text(&door.visit("/inbox/1").await?);
    let link = page.split("href=\"").find(|part| part.starts_with("/inbox/1/attachments/")).context("a link")?;
    let attached = door.visit(link.split('"').next().unwrap_or_default()).await?;
    assert_eq!(attached.content_type(), "application/octet-stream");
    assert_eq!(attached.header("content-disposition"), Some("attachment; filename=\".._e_vil.html\""));
    assert!(text(&attached).contains("attached"));
    assert_eq!(page.matches("/attachments/").count(), 1, "the logo is part of the HTML");
    Ok(())
}

#[tokio::test]
async fn only_the_demo_has_an_inbox() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let door = Door::for_customers(&desk.office, None).await?;
    for page in ["/inbox", "/inbox/1", "/inbox/1/html"] {
        assert_eq!(door.visit(page).await?.status, 404, "{page}");
    }
    Ok(())
}
