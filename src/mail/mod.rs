//! Tells customers of what happens to their invoices, by e-mail.
//!
//! A job makes an [`InvoiceMessage`], has it rendered by [`templates`], wraps it in an [`OutgoingMail`] and hands that to
//! the [`Mailer`]. What can go wrong on the way is told apart by what to do about it: see [`SendError`]. [`sink`] is a
//! mail server to look at, for `billrunner demo` and the tests.

mod dkim;
mod invoice_message;
mod mailer;
mod one_line;
mod outgoing;
mod smtp;
mod smtp_server;
mod tls;

pub mod sink;
pub mod templates;

pub use self::{
    dkim::{DkimKeys, InvalidDkimKey},
    invoice_message::{AttachedDocument, InvoiceMessage, LinkedDocument},
    mailer::{InvalidMailerUrl, Mailer, SendError},
    outgoing::{Attachment, Correspondent, InvalidAddress, OutgoingMail, UnbuildableMail, message_id},
};
