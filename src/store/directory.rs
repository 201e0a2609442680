//! Resellers, customers, accounts, terms: applied from a [`Directory`], read one question at a time.

use bigdecimal::{BigDecimal, Zero};
use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::{
    directory::{Contact, Customer, Directory, Markup},
    ids::{CustomerId, ResellerId},
    invoice::{PartyDetails, TaxRate},
    money::Currency,
    pricing::ExchangeRate,
};

use super::Corrupt;

/// Applies a directory: what it names is inserted or changed, lists are replaced. Drafts become stale when terms changed.
///
/// # Errors
/// When the database fails, or refuses a value.
pub async fn apply(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller_id = directory.reseller.id;
    // Waits for those who hold the terms (see `hold_terms`), so that no draft is made of what this changes.
    sqlx::query!("SELECT id FROM resellers WHERE id = $1 FOR NO KEY UPDATE", reseller_id.0)
        .fetch_optional(&mut *connection)
        .await?;
    let before = fingerprint(connection, reseller_id).await?;
    apply_reseller(connection, directory).await?;
    // All first: an account may change hands between two of them.
    for customer in &directory.customers {
        release_accounts(connection, reseller_id, customer.id).await?;
    }
    for customer in &directory.customers {
        apply_customer(connection, reseller_id, customer).await?;
    }
    replace_markups(connection, reseller_id, &directory.markups).await?;
    for rate in &directory.exchange_rates {
        sqlx::query!(
            "INSERT INTO exchange_rates (reseller_id, from_currency, to_currency, rated_on, rate, source)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (reseller_id, from_currency, to_currency, rated_on)
             DO UPDATE SET rate = excluded.rate, source = excluded.source",
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
    if fingerprint(connection, reseller_id).await? != before {
        sqlx::query!("UPDATE invoices SET stale = true WHERE reseller_id = $1 AND status = 'draft'", reseller_id.0)
            .execute(connection)
            .await?;
    }
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

/// Sums up everything that prices depend on, and what an invoice says of its parties.
async fn fingerprint(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT md5(string_agg(term, chr(10) ORDER BY term)) FROM (
             SELECT (to_jsonb(resellers) - 'email')::text FROM resellers WHERE id = $1
             UNION ALL SELECT to_jsonb(customers)::text FROM customers WHERE reseller_id = $1
             UNION ALL SELECT to_jsonb(provider_accounts)::text FROM provider_accounts WHERE reseller_id = $1
             UNION ALL SELECT to_jsonb(markups)::text FROM markups WHERE reseller_id = $1
             UNION ALL SELECT to_jsonb(tax_rates)::text FROM tax_rates WHERE reseller_id = $1
             UNION ALL SELECT to_jsonb(exchange_rates)::text FROM exchange_rates WHERE reseller_id = $1
         ) AS terms (term)",
        reseller_id.0,
    )
    .fetch_one(connection)
    .await
}

async fn apply_reseller(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller = &directory.reseller;
    sqlx::query!(
        "INSERT INTO resellers (id, name, tax_id, address, email) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, tax_id = excluded.tax_id, address = excluded.address,
                                        email = excluded.email",
        reseller.id.0,
        reseller.name,
        reseller.tax_id,
        reseller.address,
        reseller.email,
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn apply_customer(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO customers (reseller_id, id, name, language, currency, tax_id, address)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (reseller_id, id) DO UPDATE
         SET name = excluded.name, language = excluded.language, currency = excluded.currency,
             tax_id = excluded.tax_id, address = excluded.address",
        reseller_id.0,
        customer.id.0,
        customer.name,
        customer.language.to_string(),
        customer.currency.map(Currency::code),
        customer.tax_id,
        customer.address,
    )
    .execute(&mut *connection)
    .await?;
    replace_contacts(connection, reseller_id, customer).await?;
    assign_accounts(connection, reseller_id, customer).await?;
    replace_tax_rates(connection, reseller_id, customer).await
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

async fn release_accounts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
) -> sqlx::Result<()> {
    let (reseller, id) = (reseller_id.0, customer_id.0);
    sqlx::query!("DELETE FROM provider_accounts WHERE reseller_id = $1 AND customer_id = $2", reseller, id)
        .execute(connection)
        .await
        .map(drop)
}

async fn assign_accounts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    for account in &customer.accounts {
        sqlx::query!(
            "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id) VALUES ($1, $2, $3, $4)",
            reseller_id.0,
            account.provider,
            account.account_id,
            customer.id.0,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn replace_tax_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    let (reseller, id) = (reseller_id.0, customer.id.0);
    sqlx::query!("DELETE FROM tax_rates WHERE reseller_id = $1 AND customer_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    for tax in &customer.tax_rates {
        sqlx::query!(
            "INSERT INTO tax_rates (reseller_id, customer_id, name, rate) VALUES ($1, $2, $3, $4)",
            reseller,
            id,
            tax.name,
            tax.rate,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn replace_markups(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    markups: &[Markup],
) -> sqlx::Result<()> {
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
        sqlx::query!(
            "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (reseller_id, provider, billing_period_start, account_id)
             DO UPDATE SET reason = excluded.reason, waived_by = excluded.waived_by",
            reseller,
            waiver.provider,
            waiver.billing_period.start(),
            waiver.account_id,
            waiver.reason,
            waiver.waived_by,
        )
        .execute(&mut *connection)
        .await?;
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
        "SELECT resellers.name AS reseller_name, resellers.tax_id AS reseller_tax_id,
                resellers.address AS reseller_address, customers.name, customers.tax_id, customers.address,
                customers.language
         FROM customers JOIN resellers ON resellers.id = customers.reseller_id
         WHERE customers.reseller_id = $1 AND customers.id = $2",
        reseller_id.0,
        customer_id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Parties {
        reseller: PartyDetails { name: row.reseller_name, tax_id: row.reseller_tax_id, address: row.reseller_address },
        customer: PartyDetails { name: row.name, tax_id: row.tax_id, address: row.address },
        language: row.language,
    }))
}

/// Returns the address a reseller's mails come from.
///
/// # Errors
/// When the database fails or the reseller is gone.
pub async fn sender_address(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<String> {
    sqlx::query_scalar!("SELECT email FROM resellers WHERE id = $1", reseller_id.0).fetch_one(connection).await
}

/// Returns a customer's taxes in printing order.
///
/// # Errors
/// When the database fails.
pub async fn tax_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
) -> sqlx::Result<Vec<TaxRate>> {
    sqlx::query_as!(
        TaxRate,
        "SELECT name, rate FROM tax_rates WHERE reseller_id = $1 AND customer_id = $2 ORDER BY name LIMIT 100",
        reseller_id.0,
        customer_id.0,
    )
    .fetch_all(connection)
    .await
}

/// Returns the markup of a customer at a provider: the most specific one, or zero where none is set.
///
/// # Errors
/// When the database fails.
pub async fn markup_rate(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
    provider: &str,
) -> sqlx::Result<BigDecimal> {
    let rate = sqlx::query_scalar!(
        "SELECT rate FROM markups
         WHERE reseller_id = $1 AND (customer_id IS NULL OR customer_id = $2) AND (provider IS NULL OR provider = $3)
         ORDER BY customer_id IS NULL, provider IS NULL LIMIT 1",
        reseller_id.0,
        customer_id.0,
        provider,
    )
    .fetch_optional(connection)
    .await?;
    Ok(rate.unwrap_or_else(BigDecimal::zero))
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

/// Returns the currency a customer is invoiced in, where it is set.
///
/// # Errors
/// When the database fails, or holds what is no currency.
pub async fn customer_currency(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer_id: CustomerId,
) -> sqlx::Result<Option<Currency>> {
    let code = sqlx::query_scalar!(
        "SELECT currency FROM customers WHERE reseller_id = $1 AND id = $2",
        reseller_id.0,
        customer_id.0,
    )
    .fetch_optional(connection)
    .await?
    .flatten();
    code.map(|code| code.parse().corrupt("customers.currency")).transpose()
}
