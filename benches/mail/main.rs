//! Renders and sends mails as fast as a server takes them: `cargo bench --bench mail -- smtp://127.0.0.1:2525 10000 32`.
//! What is measured, and against whom: README.md beside this file; compare.py runs it.

#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::{env, error::Error, sync::Arc, time::Instant};

use billrunner::{
    domain::{ids::NotificationId, invoice::InvoiceKind, message::CustomerMessage, notification::message_id},
    language::Language,
    mail::{AttachedDocument, Attachment, Correspondent, InvoiceMessage, Look, Mailer, OutgoingMail, templates},
};
use bytes::Bytes;
use chrono::DateTime;
use tokio::task::JoinSet;
use uuid::Uuid;

const PDF_BYTES: usize = 40_000;

/// What all mails share.
struct Work {
    mailer: Mailer,
    language: Language,
    pdf: Bytes,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [server, mails, connections] = arguments.as_slice() else {
        return Err("arguments: SERVER MAILS CONNECTIONS, such as smtp://127.0.0.1:2525 10000 32".into());
    };
    let (mails, connections): (u128, u128) = (mails.parse()?, connections.parse()?);
    let work = Arc::new(Work {
        mailer: Mailer::from_url(&format!("{server}?connections={connections}"))?,
        language: Language::for_tag(&"es".parse()?)?,
        pdf: (0..PDF_BYTES).map(|index| index.to_le_bytes()[0].wrapping_mul(167)).collect(),
    });
    let began = Instant::now();
    for number in 0..mails {
        std::hint::black_box(work.render(number)?.to_bytes()?);
    }
    println!("built {:.0} mails a second", rate(mails, began)?);
    println!("size {} bytes", work.render(0)?.to_bytes()?.len());

    let began = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..connections {
        let work = Arc::clone(&work);
        senders.spawn(async move {
            for number in (sender..mails).step_by(usize::try_from(connections).unwrap_or(1)) {
                let mail = work.render(number).map_err(|error| error.to_string())?;
                work.mailer.send(&mail).await.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    println!("sent {:.0} mails a second", rate(mails, began)?);
    Ok(())
}

fn rate(mails: u128, began: Instant) -> Result<f64, Box<dyn Error>> {
    Ok(f64::from(u32::try_from(mails)?) / began.elapsed().as_secs_f64())
}

impl Work {
    fn render(&self, number: u128) -> Result<OutgoingMail, Box<dyn Error>> {
        let attachment = Attachment {
            file_name: "factura-2026-00042.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            content: self.pdf.clone(),
        };
        Ok(OutgoingMail {
            message_id: message_id(NotificationId(Uuid::from_u128(number)), "billing.example.com"),
            sent_at: DateTime::UNIX_EPOCH,
            from: Correspondent::new("Nubes del Sur, S.L.", "facturas@nubes.example")?,
            to: Correspondent::new("Ana Muñoz", "ana@panaderia.example")?,
            deliver_to: None,
            reply_to: None,
            language: "es".to_owned(),
            message: templates::render(
                CustomerMessage::Opened,
                &self.language,
                &message(number),
                &Look::default(),
                None,
            )?,
            logo: None,
            attachments: vec![attachment],
        })
    }
}

fn message(number: u128) -> InvoiceMessage {
    InvoiceMessage {
        kind: InvoiceKind::Invoice,
        number: format!("2026-{number:05}"),
        issued_on: "2 de septiembre de 2026".to_owned(),
        reseller_name: "Nubes del Sur, S.L.".to_owned(),
        customer_name: "Panadería Hermanos Muñoz, S.A.".to_owned(),
        recipient_name: "Ana Muñoz".to_owned(),
        provider: "Amazon Web Services".to_owned(),
        billing_period: "agosto de 2026".to_owned(),
        total: "12.345,60\u{a0}EUR".to_owned(),
        replaced_number: None,
        reason: None,
        contact: "facturas@nubes.example".to_owned(),
        download: None,
        documents: vec![AttachedDocument {
            file_name: "factura-2026-00042.pdf".to_owned(),
            size: "40\u{a0}kB".to_owned(),
        }],
        links: vec![],
    }
}
