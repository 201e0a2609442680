//! Prices a customer's charges of a month into a draft, and opens it in the same transaction if asked.
//!
//! Idempotent by the unique key (customer, provider, billing period, currency): a live invoice of that key is named and
//! left alone; with `replace`, a draft is discarded and made anew. The reconciliation invariant is checked for the customer
//! before the commit: a difference leaves nothing behind. The whole month is checked once, at the end of its bill run.

use std::{collections::BTreeMap, time::Duration};

use bigdecimal::BigDecimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{
    change_invoice_status::{Change, change},
    price_terms,
};
use crate::{
    context::Context,
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice::{CostGroup, PricedInvoice, price_invoice},
        invoice_event::{Cause, EventName},
        invoice_status::InvoiceStatus,
        money::Currency,
        notification::StatusPath,
        pricing::{MissingExchangeRate, PriceTerms},
    },
    providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        charge_sums::{self, ChargeSource, ProviderPeriod},
        directory::{self, Parties},
        drafts::{self, NewDraft},
        invoice_status,
        invoices::{self, InvoiceKey, InvoiceState},
        reconciliation::{self, CustomerDifference, ReconcileError},
    },
};

/// Status a generated invoice is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialStatus {
    /// To be looked at first.
    #[default]
    Draft,
    /// Issued at once.
    Open,
}

/// Names the invoice to generate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateInvoice {
    /// Who issues it.
    pub reseller_id: ResellerId,
    /// Who receives it.
    pub customer_id: CustomerId,
    /// Provider id.
    pub provider: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Its currency: the customer's own, or that of the charges.
    pub currency: Currency,
    /// Status it is to have.
    #[serde(default)]
    pub status: InitialStatus,
    /// Whether the customer is told of an opened invoice; the default is not.
    #[serde(default)]
    pub notify: Option<bool>,
    /// Whether an existing draft is discarded and generated anew.
    #[serde(default)]
    pub replace: bool,
    /// Whether it is opened although its month is not final.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("customer {0} is not one of reseller {1}; add it to the directory")]
    UnknownCustomer(CustomerId, ResellerId),
    #[error("customer {0} has no charges in {1} at {2} for {3}; import them and assign their accounts to it")]
    NoCharges(CustomerId, Currency, String, BillingPeriod),
    #[error("customer {0} is invoiced in {1}, not in {2}; ask for {1}, or change the customer's currency")]
    OtherCurrency(CustomerId, Currency, Currency),
    #[error("the lines do not add up to the charges in {currency}: {lines} against {charges}")]
    Difference { currency: Currency, lines: BigDecimal, charges: BigDecimal },
    #[error("{0}; void or discard the invoice that bills them already")]
    Customer(Box<CustomerDifference>),
    #[error(transparent)]
    MissingExchangeRate(#[from] MissingExchangeRate),
}

impl From<Refused> for JobError {
    fn from(refused: Refused) -> Self {
        Self::permanent(refused)
    }
}

impl Job for GenerateInvoice {
    type Context = Context;
    const KIND: &'static str = "generate_invoice";
    const EVENT_TYPE: &'static str = "billrunner.invoice.generate.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(5);
    const LANE_FIELD: Option<&'static str> = Some("provider");

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let key = self.key();
        let cause = attempt.cause(None);
        let mut effects = attempt.begin().await?;
        hold_inputs(effects.connection(), &key).await?;
        if let Some(mut existing) = invoices::lock_live(effects.connection(), &key).await? {
            if !(self.replace && existing.status == InvoiceStatus::Draft) {
                let InvoiceState { document_id, status, .. } = existing;
                return Ok(attempt.complete_without_effects(format!("{document_id} exists and is {status}")));
            }
            let discard = Change::to(InvoiceStatus::Discarded).because("replaced by a new draft");
            change(&mut effects, &context, &mut existing, &discard, &cause).await?;
        }
        let mut state = generate(&mut effects, &context, &key, None, &cause).await?;
        if self.status == InitialStatus::Open {
            let open = Change { notify: self.notify, force: self.force, ..Change::to(InvoiceStatus::Open) };
            let open = Change { path: StatusPath::WithGeneration, ..open };
            change(&mut effects, &context, &mut state, &open, &cause).await?;
        }
        effects.complete(format!("{} is {}", state.document_id, state.status)).await
    }
}

impl GenerateInvoice {
    fn key(&self) -> InvoiceKey {
        InvoiceKey {
            reseller_id: self.reseller_id,
            customer_id: self.customer_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            currency: self.currency,
        }
    }
}

/// Keeps what a draft is made of from changing until the transaction ends.
///
/// Called before any invoice is locked, as those who change the inputs lock the drafts last: the other way round the two
/// could wait for each other.
pub(super) async fn hold_inputs(connection: &mut PgConnection, key: &InvoiceKey) -> Result<(), JobError> {
    hold(connection, period(key)).await
}

/// Keeps what a month's drafts are made of from changing, as [`hold_inputs`] does for one.
pub(super) async fn hold(connection: &mut PgConnection, period: ProviderPeriod<'_>) -> Result<(), JobError> {
    directory::hold_terms(connection, period.reseller_id).await?;
    Ok(charge_sums::hold_charges(connection, period).await?)
}

/// What a customer's charges come to, before anything is written.
pub(super) struct Computed {
    pub parties: Parties,
    pub terms: PriceTerms,
    pub sources: Vec<ChargeSource>,
    pub priced: PricedInvoice,
}

/// Prices a customer's charges and writes nothing: what a generation stores, and what a dry run foresees.
pub(super) async fn compute(connection: &mut PgConnection, key: &InvoiceKey) -> Result<Computed, JobError> {
    let profile = providers::find(&key.provider).map_err(JobError::permanent)?;
    let parties = directory::parties(connection, key.reseller_id, key.customer_id)
        .await?
        .ok_or(Refused::UnknownCustomer(key.customer_id, key.reseller_id))?;
    let (groups, sources) = load_charges(connection, key, parties.currency, profile.needs_sku()).await?;
    let terms = price_terms::load(connection, key, &groups, &parties).await?;
    check_sums(&groups, &sources)?;
    let taxes = price_terms::load_taxes(connection, key).await?;
    let priced = price_invoice(groups, &terms, &taxes, profile.lines_by).map_err(Refused::from)?;
    Ok(Computed { parties, terms, sources, priced })
}

/// Writes a draft for a key and checks that it accounts for every cent of the customer's charges. The inputs are held.
pub(super) async fn generate(
    effects: &mut Effects,
    context: &Context,
    key: &InvoiceKey,
    replaces: Option<InvoiceId>,
    cause: &Cause,
) -> Result<InvoiceState, JobError> {
    let connection = effects.connection();
    let Computed { parties, terms, sources, priced } = compute(connection, key).await?;
    let now = context.clock.now();
    let draft = NewDraft {
        id: InvoiceId::new(),
        key,
        parties: &parties,
        terms: &terms,
        priced: &priced,
        sources: &sources,
        replaces,
        created_at: now,
    };
    drafts::insert_draft(connection, &draft).await?;
    check_customer(connection, key).await?;
    let state = invoices::lock(connection, key.reseller_id, draft.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let change = (None, InvoiceStatus::Draft);
    // Last: from here to the commit every other invoice of the reseller waits for the chain.
    invoice_status::append_event(connection, &state, EventName::Generated, change, cause, now).await?;
    Ok(state)
}

fn period(key: &InvoiceKey) -> ProviderPeriod<'_> {
    ProviderPeriod {
        reseller_id: key.reseller_id,
        provider: &key.provider,
        billing_period_start: key.billing_period.start(),
    }
}

/// Loads the sums that belong on the invoice: all, where the customer has a currency; else those in the key's.
async fn load_charges(
    connection: &mut PgConnection,
    key: &InvoiceKey,
    own: Option<Currency>,
    by_sku: bool,
) -> Result<(Vec<CostGroup>, Vec<ChargeSource>), JobError> {
    if let Some(own) = own.filter(|own| *own != key.currency) {
        return Err(Refused::OtherCurrency(key.customer_id, own, key.currency).into());
    }
    let belongs = |currency: Currency| own.is_some() || currency == key.currency;
    let mut groups = charge_sums::cost_groups(connection, period(key), key.customer_id, by_sku).await?;
    groups.retain(|group| belongs(group.billing_currency));
    let mut sources = charge_sums::charge_sources(connection, period(key), key.customer_id).await?;
    sources.retain(|source| belongs(source.cost_currency));
    if groups.is_empty() {
        let provider = key.provider.clone();
        return Err(Refused::NoCharges(key.customer_id, key.currency, provider, key.billing_period).into());
    }
    Ok((groups, sources))
}

/// Compares what the lines are made of (the charges) with what the import summed up, exactly.
fn check_sums(groups: &[CostGroup], sources: &[ChargeSource]) -> Result<(), Refused> {
    let mut sums: BTreeMap<Currency, (BigDecimal, BigDecimal)> = BTreeMap::new();
    for group in groups {
        sums.entry(group.billing_currency).or_default().0 += &group.billed_cost;
    }
    for source in sources {
        sums.entry(source.cost_currency).or_default().1 += &source.cost_exact + &source.excluded_tax;
    }
    match sums.into_iter().find(|(_, (lines, charges))| lines != charges) {
        Some((currency, (lines, charges))) => Err(Refused::Difference { currency, lines, charges }),
        None => Ok(()),
    }
}

/// Checks money rule 7 for the customer alone: what its live invoices bill is what its accounts were charged.
async fn check_customer(connection: &mut PgConnection, key: &InvoiceKey) -> Result<(), JobError> {
    let differences = reconciliation::customer_differences(connection, period(key), &[key.customer_id], false).await?;
    match differences.into_iter().next() {
        Some(difference) => Err(Refused::Customer(Box::new(difference)).into()),
        None => Ok(()),
    }
}

/// Checks money rule 7 over the whole month: invoices, what is still to invoice, and what nobody owns make the files.
pub(super) async fn reconcile(connection: &mut PgConnection, key: &InvoiceKey) -> Result<(), JobError> {
    reconciliation::reconcile(connection, period(key)).await.map_err(|error| match error {
        ReconcileError::Database(error) => JobError::transient(error),
        differences @ ReconcileError::Differences(_) => JobError::permanent(differences),
    })
}
