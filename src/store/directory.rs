//! Resellers, customers, accounts, terms: applied from a [`Directory`], read one question at a time.

use chrono::NaiveDate;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    Corrupt, accounts, branding, csv_options, custom_fields, mail_policies, mail_settings,
    operator_actions::Operator,
    price_book::{self, PriceBookError},
    stale_drafts,
    waivers::{self, AccountMonth},
};
use crate::domain::{
    custom_field::CustomFieldProblem,
    directory::{Contact, Customer, Directory, Markup},
    directory_check::DirectoryProblem,
    ids::{CustomerId, ResellerId},
    invoice::{PartyDetails, PrintedField},
    money::Currency,
    pricing::ExchangeRate,
};

/// Why a directory was not applied. The caller's transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The document itself is wrong.
    #[error(transparent)]
    Problem(#[from] DirectoryProblem),
    /// An account would have two holders.
    #[error(
        "account `{account}` is held by `{customer}` {days}; name that customer too, and end one assignment with \
         `valid_to` where the other begins"
    )]
    HeldByAnother {
        /// Provider and account.
        account: String,
        /// Who holds it, whom the document does not name.
        customer: String,
        /// For which days.
        days: String,
    },
    /// A field is missing or has changed, and a customer whom the document does not name has a value of it.
    #[error(
        "custom field `{key}` would no longer take `{value}`, which `{customer}` has; keep the field as it is, or give that \
         customer another value first"
    )]
    FieldInUse {
        /// The field.
        key: String,
        /// The value.
        value: String,
        /// Whose.
        customer: String,
    },
    /// A reference that leads nowhere.
    #[error("a price is for customer {0}, who is not one of the reseller's; add the customer, or leave the price out")]
    UnknownCustomer(CustomerId),
    /// Prices contradict each other, or would change what is billed.
    #[error(transparent)]
    Prices(#[from] PriceBookError),
    /// Postgres failed.
    #[error("the directory cannot be stored")]
    Database(#[from] sqlx::Error),
}

impl From<CustomFieldProblem> for ApplyError {
    fn from(problem: CustomFieldProblem) -> Self {
        Self::Problem(problem.into())
    }
}

/// Applies a directory: what it names is inserted or changed, lists are replaced; customers, rates, suppressed addresses
/// and waivers that it does not name stay. Drafts whose inputs changed become stale. The same again changes nothing.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply(connection: &mut PgConnection, directory: &Directory) -> Result<(), ApplyError> {
    directory.check()?;
    price_book::check(directory)?;
    let reseller_id = directory.reseller.id;
    // Waits for those who hold the terms (see `hold_terms`), so that no draft is made of what this changes.
    sqlx::query!("SELECT id FROM resellers WHERE id = $1 FOR NO KEY UPDATE", reseller_id.0)
        .fetch_optional(&mut *connection)
        .await?;
    let before = stale_drafts::input_hashes(connection, reseller_id).await?;
    let prices_before = price_book::load(connection, reseller_id).await?;
    apply_reseller(connection, directory).await?;
    if let Some(options) = directory.csv_options {
        csv_options::set(connection, reseller_id, options).await?;
    }
    if let Some(policy) = directory.mail_policy {
        mail_policies::set(connection, reseller_id, policy).await?;
    }
    for customer in &directory.customers {
        apply_customer(connection, reseller_id, customer).await?;
    }
    accounts::assign(connection, directory).await?;
    custom_fields::apply(connection, directory).await?;
    check_priced_customers(connection, directory).await?;
    price_book::remove_rules(connection, reseller_id).await?;
    replace_markups(connection, reseller_id, &directory.markups).await?;
    price_book::store(connection, directory).await?;
    for rate in &directory.exchange_rates {
        sqlx::query!(
            "INSERT INTO exchange_rates (reseller_id, from_currency, to_currency, rated_on, rate, source)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (reseller_id, from_currency, to_currency, rated_on)
             DO UPDATE SET rate = excluded.rate, source = excluded.source
             WHERE (exchange_rates.rate, exchange_rates.source) <> (excluded.rate, excluded.source)",
            reseller_id.0,
            rate.from.code(),
            rate.to.code(),
            rate.rated_on,
            rate.rate,
            rate.source,
        )
        .execute(&mut *connection)
        .await?;
    }
    apply_exceptions(connection, directory).await?;
    price_book::settle_changes(connection, reseller_id, &prices_before).await?;
    stale_drafts::mark_changed(connection, reseller_id, &before).await?;
    Ok(())
}

/// Keeps a reseller's terms as they are until the caller's transaction ends; several may hold them at once.
///
/// Without it a draft could be made of terms that [`apply`], committed meanwhile, changes, and nobody would call it stale:
/// neither transaction sees the other.
///
/// # Errors
/// When the database fails.
pub async fn hold_terms(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM resellers WHERE id = $1 FOR SHARE", reseller_id.0)
        .fetch_optional(connection)
        .await
        .map(drop)
}

async fn apply_reseller(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller = &directory.reseller;
    sqlx::query!(
        "INSERT INTO resellers (id, name, tax_id, address, email, country) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, tax_id = excluded.tax_id, address = excluded.address,
                                        email = excluded.email, country = excluded.country",
        reseller.id.0,
        reseller.name,
        reseller.tax_id,
        reseller.address,
        reseller.email,
        reseller.country.map(|country| country.to_string()),
    )
    .execute(&mut *connection)
    .await?;
    branding::replace(connection, reseller.id, reseller.branding.as_ref()).await?;
    mail_settings::replace(connection, reseller.id, reseller.mail.as_ref()).await
}

async fn apply_customer(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO customers (reseller_id, id, name, language, currency, tax_id, address, time_zone, purchase_order,
                                country)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (reseller_id, id) DO UPDATE
         SET name = excluded.name, language = excluded.language, currency = excluded.currency,
             tax_id = excluded.tax_id, address = excluded.address, time_zone = excluded.time_zone,
             purchase_order = excluded.purchase_order, country = excluded.country",
        reseller_id.0,
        customer.id.0,
        customer.name,
        customer.language.to_string(),
        customer.currency.map(Currency::code),
        customer.tax_id,
        customer.address,
        customer.time_zone.map(|zone| zone.to_string()),
        customer.purchase_order,
        customer.country.map(|country| country.to_string()),
    )
    .execute(&mut *connection)
    .await?;
    replace_contacts(connection, reseller_id, customer).await?;
    price_book::replace_tax_rates(connection, reseller_id, customer).await
}

async fn replace_contacts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    let (reseller, id) = (reseller_id.0, customer.id.0);
    sqlx::query!("DELETE FROM contacts WHERE reseller_id = $1 AND customer_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    for contact in &customer.contacts {
        sqlx::query!(
            "INSERT INTO contacts (reseller_id, customer_id, email, name, enabled) VALUES ($1, $2, $3, $4, $5)",
            reseller,
            id,
            contact.email,
            contact.name,
            contact.enabled,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn check_priced_customers(connection: &mut PgConnection, directory: &Directory) -> Result<(), ApplyError> {
    let markups = directory.markups.iter().map(|markup| markup.customer_id);
    let rules = directory.price_rules.iter().map(|rule| rule.customer_id);
    let charges = directory.custom_charges.iter().map(|charge| charge.customer_id);
    let named: Vec<Uuid> = markups.chain(rules).chain(charges).flatten().map(|id| id.0).collect();
    let unknown = sqlx::query_scalar!(
        r#"SELECT named.id AS "id!: CustomerId" FROM unnest($2::uuid[]) AS named (id)
           WHERE NOT EXISTS (SELECT FROM customers WHERE reseller_id = $1 AND customers.id = named.id) LIMIT 1"#,
        directory.reseller.id.0,
        &named,
    )
    .fetch_optional(&mut *connection)
    .await?;
    unknown.map_or(Ok(()), |unknown| Err(ApplyError::UnknownCustomer(unknown)))
}

async fn replace_markups(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    markups: &[Markup],
) -> Result<(), ApplyError> {
    sqlx::query!("DELETE FROM markups WHERE reseller_id = $1", reseller_id.0).execute(&mut *connection).await?;
    for markup in markups {
        sqlx::query!(
            "INSERT INTO markups (reseller_id, customer_id, provider, rate) VALUES ($1, $2, $3, $4)",
            reseller_id.0,
            markup.customer_id.map(|id| id.0),
            markup.provider,
            markup.rate,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn apply_exceptions(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller = directory.reseller.id.0;
    for address in &directory.suppressed_addresses {
        sqlx::query!(
            "INSERT INTO suppressed_addresses (reseller_id, email, reason) VALUES ($1, lower($2), $3)
             ON CONFLICT (reseller_id, email) DO UPDATE SET reason = excluded.reason",
            reseller,
            address.email,
            address.reason,
        )
        .execute(&mut *connection)
        .await?;
    }
    for waiver in &directory.unassigned_waivers {
        let which = AccountMonth {
            reseller_id: directory.reseller.id,
            provider: &waiver.provider,
            billing_period_start: waiver.billing_period.start(),
            account_id: &waiver.account_id,
        };
        let operator = Operator { name: &waiver.waived_by, reason: &waiver.reason };
        waivers::waive(connection, which, operator).await?;
    }
    Ok(())
}

/// The parties of an invoice, as they are now.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The issuer.
    pub reseller: PartyDetails,
    /// The receiver.
    pub customer: PartyDetails,
    /// BCP 47 tag.
    pub language: String,
    /// What the customer is invoiced in; `None` is the currency of the charges.
    pub currency: Option<Currency>,
}

/// Returns the parties of an invoice to come; `None` when the customer is not the reseller's.
///
/// # Errors
/// When the database fails.
pub async fn parties(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
) -> sqlx::Result<Option<Parties>> {
    let row = sqlx::query!(
        r#"SELECT resellers.name AS reseller_name, resellers.tax_id AS reseller_tax_id,
                resellers.address AS reseller_address, resellers.country AS reseller_country,
                resellers.branding AS reseller_branding, customers.name, customers.country,
                customers.tax_id, customers.address, customers.language, customers.currency, customers.time_zone,
                customers.purchase_order,
                printed_fields(customers.reseller_id, customers.id) AS "fields!: Json<Vec<PrintedField>>"
         FROM customers JOIN resellers ON resellers.id = customers.reseller_id
         WHERE customers.reseller_id = $1 AND customers.id = $2"#,
        reseller_id.0,
        customer_id.0,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Parties {
            reseller: PartyDetails {
                name: row.reseller_name,
                tax_id: row.reseller_tax_id,
                address: row.reseller_address,
                country: row.reseller_country.map(|code| code.parse().corrupt("resellers.country")).transpose()?,
                branding: row.reseller_branding,
                ..PartyDetails::default()
            },
            customer: PartyDetails {
                name: row.name,
                tax_id: row.tax_id,
                address: row.address,
                country: row.country.map(|code| code.parse().corrupt("customers.country")).transpose()?,
                time_zone: row.time_zone.map(|name| name.parse().corrupt("customers.time_zone")).transpose()?,
                purchase_order: row.purchase_order,
                fields: row.fields.0,
                branding: None,
            },
            language: row.language,
            currency: row.currency.map(|code| code.parse().corrupt("customers.currency")).transpose()?,
        })
    })
    .transpose()
}

/// Returns the latest rate of a day or before.
///
/// # Errors
/// When the database fails.
pub async fn exchange_rate(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    from: Currency,
    to: Currency,
    on: NaiveDate,
) -> sqlx::Result<Option<ExchangeRate>> {
    sqlx::query_as!(
        ExchangeRate,
        "SELECT rate, source, rated_on FROM exchange_rates
         WHERE reseller_id = $1 AND from_currency = $2 AND to_currency = $3 AND rated_on <= $4
         ORDER BY rated_on DESC LIMIT 1",
        reseller_id.0,
        from.code(),
        to.code(),
        on,
    )
    .fetch_optional(connection)
    .await
}

/// A person to tell, and why not where that is so.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Who and where.
    pub contact: Contact,
    /// Why this person is not written to.
    pub suppressed_because: Option<String>,
}

impl Recipient {
    /// Says why a contact is not written to: it is disabled, or on the suppression list for a reason.
    pub(super) fn new(contact: Contact, listed_because: Option<String>) -> Self {
        let listed = listed_because.map(|reason| format!("on the suppression list: {reason}"));
        let disabled = (!contact.enabled).then(|| "the contact is disabled".to_owned());
        Self { contact, suppressed_because: disabled.or(listed) }
    }
}

/// Returns a customer's contacts with what keeps them from being told.
///
/// # Errors
/// When the database fails.
pub async fn recipients(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
) -> sqlx::Result<Vec<Recipient>> {
    let rows = sqlx::query!(
        r#"SELECT contacts.email, contacts.name, contacts.enabled, suppressed_addresses.reason AS "reason?"
         FROM contacts LEFT JOIN suppressed_addresses
           ON suppressed_addresses.reseller_id = contacts.reseller_id
          AND suppressed_addresses.email = lower(contacts.email)
         WHERE contacts.reseller_id = $1 AND contacts.customer_id = $2 ORDER BY contacts.email LIMIT 100"#,
        reseller_id.0,
        customer_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let contact = Contact { email: row.email, name: row.name, enabled: row.enabled };
            Recipient::new(contact, row.reason)
        })
        .collect())
}
