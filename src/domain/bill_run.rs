//! Bill runs: how one stands, and what keeps a month from being complete.
//!
//! A month is complete when every customer with charges has exactly one live invoice per currency, nothing about those
//! invoices waits for a decision, and every part of every charge file is accounted for to the last digit.

use std::{fmt, str::FromStr};

use bigdecimal::BigDecimal;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    ids::{ChargeScopeId, CustomerId},
    money::Currency,
};

/// How a bill run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillRunState {
    /// Its invoices are being generated.
    Running,
    /// The month is proved complete.
    Complete,
    /// Something is missing; its findings name it. Started again, it goes on with that.
    NeedsAttention,
    /// Somebody cancelled it.
    Cancelled,
}

impl BillRunState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Running, Self::Complete, Self::NeedsAttention, Self::Cancelled];

    /// Returns the state's name, the same in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::NeedsAttention => "needs_attention",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for BillRunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a stored word is none of this release's.
#[derive(Debug, thiserror::Error)]
#[error("unknown word `{0}`; another release wrote it")]
pub struct UnknownWord(String);

impl FromStr for BillRunState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// What keeps a month from being complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A customer has charges and no invoice.
    MissingInvoice,
    /// An invoice is live whose customer has no such charges any more.
    SurplusInvoice,
    /// A draft's inputs changed since it was generated.
    StaleDraft,
    /// An account has charges, no customer and no waiver.
    UnassignedAccount,
    /// An issued invoice is not what the charges that count now would make it.
    LateFile,
    /// A file's total is not accounted for.
    Difference,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::MissingInvoice,
        Self::SurplusInvoice,
        Self::StaleDraft,
        Self::UnassignedAccount,
        Self::LateFile,
        Self::Difference,
    ];

    /// Returns the kind's name, the same in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingInvoice => "missing_invoice",
            Self::SurplusInvoice => "surplus_invoice",
            Self::StaleDraft => "stale_draft",
            Self::UnassignedAccount => "unassigned_account",
            Self::LateFile => "late_file",
            Self::Difference => "difference",
        }
    }

    /// Returns what to do about it.
    pub fn way_out(self) -> &'static str {
        match self {
            Self::MissingInvoice => "mend what it says and start the same run again",
            Self::SurplusInvoice => "discard the draft, or void the invoice",
            Self::StaleDraft => "start the same run again with `replace`",
            Self::UnassignedAccount => "assign the account to a customer and start the same run again, or waive it",
            Self::LateFile => {
                "`correct_invoice` voids the invoice and generates it anew, if the customer is to be billed so"
            }
            Self::Difference => {
                "`billrunner enqueue reconcile_charges` names the sides; nothing of this month should be opened"
            }
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FindingKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// One thing that keeps a month from being complete.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The customer it is about.
    pub customer_id: Option<CustomerId>,
    /// Its name.
    pub customer_name: Option<String>,
    /// The invoice it is about: its number, or its document id.
    pub invoice: Option<String>,
    /// Currency of `amount`.
    pub currency: Currency,
    /// Exactly how much is missing or differs, where that is a sum.
    #[serde(serialize_with = "perhaps_plain")]
    pub amount: Option<BigDecimal>,
    /// In words.
    pub what: String,
}

/// Where a part of a charge file went, in one currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Balance {
    /// Part of a charge file.
    pub charge_scope_id: ChargeScopeId,
    /// The payer at the provider.
    pub billing_account_id: String,
    /// As the file was called.
    pub file_name: String,
    /// Currency of all amounts.
    pub currency: Currency,
    /// What the file says.
    #[serde(serialize_with = "serialize_plain")]
    pub file_total: BigDecimal,
    /// On live invoices, without the provider's tax.
    #[serde(serialize_with = "serialize_plain")]
    pub invoiced: BigDecimal,
    /// The provider's tax on live invoices' charges, which is not resold.
    #[serde(serialize_with = "serialize_plain")]
    pub excluded_tax: BigDecimal,
    /// Of accounts that belong to no customer.
    #[serde(serialize_with = "serialize_plain")]
    pub unassigned: BigDecimal,
    /// Of such accounts that somebody waived.
    #[serde(serialize_with = "serialize_plain")]
    pub waived: BigDecimal,
    /// Of customers whom no live invoice bills for this part.
    #[serde(serialize_with = "serialize_plain")]
    pub not_invoiced: BigDecimal,
}

impl Balance {
    /// Returns what is accounted for minus what the file says: zero, or money is missing or billed twice.
    pub fn difference(&self) -> BigDecimal {
        &self.invoiced + &self.excluded_tax + &self.unassigned + &self.waived + &self.not_invoiced - &self.file_total
    }
}

/// Writes an amount as decimal text without an exponent or idle zeros.
pub fn plain_text(amount: &BigDecimal) -> String {
    amount.normalized().to_plain_string()
}

/// Serializes an amount as [`plain_text`].
///
/// # Errors
/// Those of the serializer.
pub fn serialize_plain<S: Serializer>(amount: &BigDecimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&plain_text(amount))
}

#[expect(clippy::ref_option, reason = "serde hands a field over as it is")]
fn perhaps_plain<S: Serializer>(amount: &Option<BigDecimal>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.as_ref().map(plain_text).serialize(serializer)
}
