//! `billrunner mail preview`: every message in every language as files, with a page that leads to them.
//!
//! What a customer gets is looked at before one gets it: HTML, text and the whole mail, ours or in a reseller's look and
//! words. The pages load nothing and hold no script.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use maud::{DOCTYPE, PreEscaped, html};

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::{
        ids::ResellerId,
        mail_settings::MailSettings,
        message::{CustomerMessage, OperatorMessage},
    },
    language::Language,
    mail::{
        LOGO_ID, OutgoingMail,
        preview::{self, Sender},
    },
    store::mail_settings::{self, MailTerms},
};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem; border-bottom: 1px solid #8884; vertical-align: top; }
";

/// Arguments of `mail preview`.
#[derive(Args)]
pub struct Arguments {
    /// Where to.
    #[arg(long, default_value = "mail-preview")]
    into: PathBuf,
    /// In this reseller's look and words, as they are in the database.
    #[arg(long)]
    reseller: Option<ResellerId>,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let Arguments { into, reseller } = arguments;
    let terms = match reseller {
        Some(id) => Some(terms(id, config).await?),
        None => None,
    };
    let (settings, ours) = (terms.as_ref().map(|terms| &terms.settings), MailSettings::default());
    let sender = Sender {
        name: terms.as_ref().map_or("Nimbus Resale S.L.", |terms| &terms.name),
        email: terms.as_ref().map_or("billing@nimbus.example", |terms| &terms.email),
        settings: settings.unwrap_or(&ours),
        branding: terms.as_ref().and_then(|terms| terms.branding.as_ref()),
    };
    let count = write(&into, &sender)?;
    output.line(&format!("{count} messages are in {}; open index.html there", into.display()))
}

async fn terms(reseller_id: ResellerId, config: &Config) -> anyhow::Result<MailTerms> {
    let pool = setup::connect(config).await?;
    let found = mail_settings::terms(&mut *pool.acquire().await?, reseller_id).await?;
    let missing = || Failure::NotFound(format!("reseller {reseller_id} does not exist; apply its directory first"));
    Ok(found.ok_or_else(missing)?)
}

/// Writes the folder and returns how many messages are in it.
fn write(folder: &Path, sender: &Sender<'_>) -> anyhow::Result<usize> {
    let mut written = Vec::new();
    for tag in Language::supported() {
        let language = Language::for_tag(&tag.parse()?)?;
        for message in CustomerMessage::ALL {
            let mail = preview::customer_mail(message, &language, sender)?;
            let subject = write_mail(folder, (message.as_str(), tag), &mail)?;
            written.push((message.as_str(), tag, subject, !sender.settings.is_enabled(message)));
        }
        for message in OperatorMessage::ALL {
            let subject = write_mail(folder, (message.as_str(), tag), &preview::operator_mail(message, &language)?)?;
            written.push((message.as_str(), tag, subject, false));
        }
    }
    written.sort();
    let index = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Messages of " (sender.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Messages of " (sender.name) }
                table {
                    thead { tr { th { "message" } th { "language" } th { "subject" } th { "look at" } } }
                    tbody {
                        @for (message, tag, subject, is_off) in &written {
                            tr {
                                td { (message) @if *is_off { " (switched off)" } }
                                td { (tag) }
                                td dir="auto" { (subject) }
                                td { @for kind in ["html", "txt", "eml"] { a href=(format!("{message}/{tag}.{kind}")) { (kind) } " " } }
                            }
                        }
                    }
                }
            }
        }
    };
    save(&folder.join("index.html"), index.into_string().as_bytes())?;
    Ok(written.len())
}

fn write_mail(folder: &Path, (message, tag): (&str, &str), mail: &OutgoingMail) -> anyhow::Result<String> {
    let folder = folder.join(message);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // A browser does not know the parts of a mail.
    let html = match &mail.logo {
        Some(logo) => {
            let data = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(logo));
            mail.message.html.replace(&format!("cid:{LOGO_ID}"), &data)
        }
        None => mail.message.html.clone(),
    };
    save(&folder.join(format!("{tag}.html")), html.as_bytes())?;
    let text = format!("{}\n\n{}", mail.message.subject, mail.message.text);
    save(&folder.join(format!("{tag}.txt")), text.as_bytes())?;
    save(&folder.join(format!("{tag}.eml")), &mail.to_bytes()?)?;
    Ok(mail.message.subject.clone())
}

fn save(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("{} cannot be written", path.display()))
}
