//! A mail for tests that send one without an invoice behind it.

use billrunner::{
    domain::{ids::NotificationId, notification::message_id},
    mail::{Attachment, Correspondent, OutgoingMail, templates::RenderedMessage},
};
use bytes::Bytes;
use chrono::DateTime;

pub const TO: &str = "ana@acme.example";

pub fn letter(to: &str) -> OutgoingMail {
    OutgoingMail {
        deliver_to: None,
        reply_to: None,
        logo: None,
        message_id: message_id(NotificationId(uuid::Uuid::from_u128(1)), "billing.example.com"),
        sent_at: DateTime::from_timestamp(1_788_300_000, 0).expect("a time"),
        from: Correspondent::new("Nimbus Resale", "billing@nimbus.example").expect("an address"),
        to: Correspondent::new("Ana García", to).expect("an address"),
        language: "es".to_owned(),
        message: RenderedMessage {
            subject: "Factura 2026-00042: Año".to_owned(),
            text: "Hola, Ana:\n\n.\n.. dos puntos\nacaba en blanco \n-- \n\n\n".to_owned(),
            html: "<p>Hola</p>\n.\n".to_owned(),
        },
        attachments: vec![Attachment {
            file_name: "facturación agosto.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            content: Bytes::from_static(b"%PDF-1.7\n\0\xff\r\n.\r\n"),
        }],
    }
}
