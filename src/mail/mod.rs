//! Tells customers of what happens to their invoices, and operators of what waits for them, by e-mail.
//!
//! A job makes an [`InvoiceMessage`], has it rendered by [`templates`], wraps it in an [`OutgoingMail`] and hands that to
//! the [`Mailer`]. What can go wrong on the way is told apart by what to do about it: see [`SendError`]. [`sink`] is a
//! mail server to look at, for `billrunner demo` and the tests.

mod delivery_report;
mod dkim;
mod invoice_message;
mod look;
mod mailbox;
mod mailer;
mod one_line;
mod operator_report;
mod outgoing;
mod smtp;
mod smtp_server;
mod tls;

pub mod preview;
pub mod sink;
pub mod templates;

pub use self::{
    delivery_report::{DeliveryAction, DeliveryReport, MAX_REPORT_BYTES, NotADeliveryReport, RecipientReport},
    dkim::{DkimKeys, InvalidDkimKey},
    invoice_message::{AttachedDocument, InvoiceMessage, LinkedDocument},
    look::{LOGO_ID, Look},
    mailbox::messages_of,
    mailer::{InvalidMailerUrl, Mailer, MailerCheck, SendError},
    operator_report::{OPERATORS_SENDER, OperatorReport, Operators},
    outgoing::{Attachment, Correspondent, InvalidAddress, OutgoingMail, UnbuildableMail},
};
