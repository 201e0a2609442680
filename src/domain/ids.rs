//! Typed identifiers: a customer's id cannot stand where an invoice's is meant.
//!
//! All are UUIDs; new ones are version 7 (RFC 9562), so that rows created together lie together. They are read with
//! hyphens only, the one form that the schemas know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(
            #[serde(with = "uuid::serde::hyphenated")]
            #[schemars(with = "Uuid")]
            pub Uuid,
        );

        impl $name {
            /// Makes a new id that sorts after those made before it.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// Names the company that issues invoices.
    ResellerId
);
id!(
    /// Names a mail to an operator.
    OperatorMailId
);
id!(
    /// Names the company that receives them.
    CustomerId
);
id!(
    /// Names an accepted charge file.
    ChargeFileId
);
id!(
    /// Names the part of a charge file that belongs to one billing account and billing period.
    ChargeScopeId
);
id!(
    /// Names an invoice, whatever its status.
    InvoiceId
);
id!(
    /// Names a rendered export of an invoice.
    DocumentId
);
id!(
    /// Names a message to one recipient about one invoice event.
    NotificationId
);
id!(
    /// Names a unit of background work.
    JobId
);
id!(
    /// Names a bill run of a provider's month.
    BillRunId
);
id!(
    /// Names one start of one worker process.
    WorkerId
);
id!(
    /// Names a key with which a client proves who it is.
    ApiKeyId
);
