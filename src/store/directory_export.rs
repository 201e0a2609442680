//! A reseller's directory as it can be applied again: the same document out as went in.
//!
//! Called by `billrunner directory export`, in one transaction that sees one state. Not cut short: what is missing from a
//! list would be removed where the document is applied.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use sqlx::PgConnection;

use super::{
    Corrupt, branding, csv_options, custom_fields, mail_policies, mail_settings, price_book, price_terms, waivers,
};
use crate::domain::{
    directory::{
        Contact, Customer, DatedExchangeRate, Directory, Markup, ProviderAccount, Reseller, SuppressedAddress,
    },
    ids::{CustomerId, ResellerId},
    price_rules::PriceRule,
    taxes::TaxRate,
};

/// Reads a reseller's whole directory; `None` when there is no such reseller.
///
/// # Errors
/// When the database fails, or holds what no longer reads.
pub async fn export(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<Directory>> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: ResellerId", name, tax_id, address, country, email FROM resellers WHERE id = $1"#,
        reseller_id.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let reseller = Reseller {
        id: row.id,
        name: row.name,
        tax_id: row.tax_id,
        address: row.address,
        country: row.country.map(|code| code.parse().corrupt("resellers.country")).transpose()?,
        email: row.email,
        branding: branding::current(connection, reseller_id).await?,
        mail: mail_settings::of_reseller(connection, reseller_id).await?,
    };
    Ok(Some(Directory {
        reseller,
        customers: customers(connection, reseller_id).await?,
        custom_fields: custom_fields::fields(connection, reseller_id).await?,
        markups: markups(connection, reseller_id).await?,
        price_rules: price_rules(connection, reseller_id).await?,
        custom_charges: price_book::custom_charges(connection, reseller_id).await?,
        pricing_policy: Some(price_terms::policy(connection, reseller_id).await?),
        csv_options: Some(csv_options::of_reseller(connection, reseller_id).await?),
        mail_policy: Some(mail_policies::of_reseller(connection, reseller_id).await?),
        exchange_rates: exchange_rates(connection, reseller_id).await?,
        suppressed_addresses: suppressed_addresses(connection, reseller_id).await?,
        unassigned_waivers: waivers::waivers(connection, reseller_id).await?,
    }))
}

async fn customers(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Vec<Customer>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: CustomerId", name, language, currency, tax_id, address, country, time_zone, purchase_order
           FROM customers WHERE reseller_id = $1 ORDER BY id"#,
        reseller_id.0,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut contacts = contacts(connection, reseller_id).await?;
    let mut accounts = accounts(connection, reseller_id).await?;
    let mut tax_rates = tax_rates(connection, reseller_id).await?;
    let mut fields = custom_fields::values(connection, reseller_id).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Customer {
                id: row.id,
                name: row.name,
                language: row.language.parse().corrupt("customers.language")?,
                currency: row.currency.map(|code| code.parse().corrupt("customers.currency")).transpose()?,
                tax_id: row.tax_id,
                address: row.address,
                country: row.country.map(|code| code.parse().corrupt("customers.country")).transpose()?,
                time_zone: row.time_zone.map(|name| name.parse().corrupt("customers.time_zone")).transpose()?,
                purchase_order: row.purchase_order,
                fields: fields.remove(&row.id).unwrap_or_default(),
                contacts: contacts.remove(&row.id).unwrap_or_default(),
                accounts: accounts.remove(&row.id).unwrap_or_default(),
                tax_rates: tax_rates.remove(&row.id).unwrap_or_default(),
            })
        })
        .collect()
}

type OfCustomers<T> = BTreeMap<CustomerId, Vec<T>>;

async fn contacts(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<OfCustomers<Contact>> {
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", email, name, enabled FROM contacts
           WHERE reseller_id = $1 ORDER BY email"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    let pairs = rows.into_iter().map(|row| {
        let contact = Contact { email: row.email, name: row.name, enabled: row.enabled };
        (row.customer_id, contact)
    });
    Ok(by_customer(pairs))
}

async fn accounts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<OfCustomers<ProviderAccount>> {
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", provider, account_id, valid_from, valid_to
           FROM provider_accounts WHERE reseller_id = $1 ORDER BY provider, account_id, days"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    let pairs = rows.into_iter().map(|row| {
        let account = ProviderAccount {
            provider: row.provider,
            account_id: row.account_id,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
        };
        (row.customer_id, account)
    });
    Ok(by_customer(pairs))
}

async fn tax_rates(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<OfCustomers<TaxRate>> {
    let rates = price_terms::tax_rates(connection, reseller_id, None).await?;
    let pairs = rates.into_iter().map(|(id, tax)| (id, TaxRate { rate: plain(&tax.rate), ..tax }));
    Ok(by_customer(pairs))
}

async fn price_rules(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Vec<PriceRule>> {
    let rules = price_terms::price_rules(connection, reseller_id, None, false).await?;
    Ok(rules.into_iter().map(|rule| PriceRule { rate: plain(&rule.rate), ..rule }).collect())
}

fn by_customer<T>(pairs: impl Iterator<Item = (CustomerId, T)>) -> OfCustomers<T> {
    let mut of_customers = OfCustomers::new();
    for (customer_id, value) in pairs {
        of_customers.entry(customer_id).or_default().push(value);
    }
    of_customers
}

async fn markups(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Vec<Markup>> {
    let mut markups = sqlx::query_as!(
        Markup,
        r#"SELECT customer_id AS "customer_id: CustomerId", provider, rate FROM markups
           WHERE reseller_id = $1 ORDER BY customer_id NULLS FIRST, provider NULLS FIRST"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    for markup in &mut markups {
        markup.rate = plain(&markup.rate);
    }
    Ok(markups)
}

async fn exchange_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<DatedExchangeRate>> {
    let rows = sqlx::query!(
        "SELECT from_currency, to_currency, rated_on, rate, source FROM exchange_rates
         WHERE reseller_id = $1 ORDER BY rated_on, from_currency, to_currency",
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DatedExchangeRate {
                from: row.from_currency.parse().corrupt("exchange_rates.from_currency")?,
                to: row.to_currency.parse().corrupt("exchange_rates.to_currency")?,
                rated_on: row.rated_on,
                rate: plain(&row.rate),
                source: row.source,
            })
        })
        .collect()
}

async fn suppressed_addresses(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<SuppressedAddress>> {
    sqlx::query_as!(
        SuppressedAddress,
        "SELECT email, reason FROM suppressed_addresses WHERE reseller_id = $1 ORDER BY email",
        reseller_id.0,
    )
    .fetch_all(connection)
    .await
}

/// Writes a number as people do: Postgres pads it with zeros.
fn plain(number: &BigDecimal) -> BigDecimal {
    let plain = number.normalized();
    // 100 is normalized to 1E+2, which reads the same and looks odd.
    if plain.fractional_digit_count() < 0 { plain.with_scale(0) } else { plain }
}
