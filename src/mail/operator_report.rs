//! What operators are told, as finished text: the templates only place it.

use bigdecimal::BigDecimal;
use serde::Serialize;

use super::one_line::to_one_line;
use crate::{
    domain::{
        bill_run::FindingKind,
        language_tag::LanguageTag,
        operator_mail::{DeadLetters, EndedBillRun, Facts},
    },
    language::{Language, LanguageError},
};

/// The name that mails to operators come from.
pub const OPERATORS_SENDER: &str = "billrunner";

/// Who is told how billrunner fares, by whom and in which language.
#[derive(Clone, Debug)]
pub struct Operators {
    /// The address mails come from.
    pub from: String,
    /// The addresses they go to.
    pub recipients: Vec<String>,
    /// What they are written in.
    pub language: LanguageTag,
}

/// The fields that the templates of operators' messages can name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorReport {
    /// What subject and first sentence name.
    #[serde(flatten)]
    named: Named,
    facts: Vec<Fact>,
    reasons: Vec<Fact>,
    /// What shows all of it.
    command: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Named {
    BillRun { reseller_name: String, provider: String, billing_period: String },
    DeadLetters { count: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Fact {
    label: String,
    value: String,
}

impl OperatorReport {
    /// Writes facts in a language.
    ///
    /// # Errors
    /// [`LanguageError`] when the language lacks a text.
    pub fn new(facts: &Facts, language: &Language) -> Result<Self, LanguageError> {
        match facts {
            Facts::BillRun(run) => Self::of_bill_run(run, language),
            Facts::DeadLetters(letters) => Ok(Self::of_dead_letters(letters, language)),
        }
    }

    fn of_bill_run(run: &EndedBillRun, language: &Language) -> Result<Self, LanguageError> {
        let (reseller_name, provider) = (to_one_line(&run.reseller_name), to_one_line(&run.provider));
        let billing_period = language.billing_period(run.billing_period)?;
        let fact = |key: &str, value: &str| Ok(Fact { label: language.text(key)?, value: value.to_owned() });
        // What is to do stands first.
        let to_do = run.findings.iter().map(|(kind, number)| fact(to_do(*kind), &count(language, *number)));
        let mut facts = to_do.collect::<Result<Vec<_>, _>>()?;
        facts.extend([
            fact("document-issuer", &reseller_name)?,
            fact("document-provider", &provider)?,
            fact("document-billing-period", &billing_period)?,
            fact("mail-jobs-done", &count(language, run.jobs_done))?,
            fact("mail-jobs-failed", &count(language, run.jobs_failed))?,
        ]);
        Ok(Self {
            named: Named::BillRun { reseller_name, provider, billing_period },
            facts,
            reasons: Vec::new(),
            command: format!("billrunner bill-runs show {}", run.id),
        })
    }

    fn of_dead_letters(letters: &DeadLetters, language: &Language) -> Self {
        let fact = |(kind, number): (&String, &i64)| Fact { label: kind.clone(), value: count(language, *number) };
        let reasons = letters.reasons.iter();
        Self {
            named: Named::DeadLetters { count: letters.kinds.values().sum() },
            facts: letters.kinds.iter().map(fact).collect(),
            reasons: reasons.map(|dead| Fact { label: dead.kind.clone(), value: to_one_line(&dead.reason) }).collect(),
            command: "billrunner dead list".to_owned(),
        }
    }
}

fn count(language: &Language, number: i64) -> String {
    language.decimal(&BigDecimal::from(number), 0)
}

/// Returns the text that says what is missing and what to do about it.
fn to_do(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::MissingInvoice => "mail-finding-missing-invoice",
        FindingKind::SurplusInvoice => "mail-finding-surplus-invoice",
        FindingKind::StaleDraft => "mail-finding-stale-draft",
        FindingKind::UnassignedAccount => "mail-finding-unassigned-account",
        FindingKind::LateFile => "mail-finding-late-file",
        FindingKind::Difference => "mail-finding-difference",
    }
}
