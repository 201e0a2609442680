//! The fields that a reseller defines for its customers, and their values.
//!
//! Written when a directory is applied, in its transaction. A definition goes only when no customer has a value of it, and
//! changes only to what every value in use still is; what invoices print of them was frozen with the invoice.

use std::collections::BTreeMap;

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Corrupt, directory::ApplyError};
use crate::domain::{
    custom_field::{CustomField, ValueType},
    directory::Directory,
    ids::{CustomerId, ResellerId},
    language_tag::LanguageTag,
};

/// Defines the directory's fields, replaces the values of its customers, and removes the fields that it no longer has.
///
/// # Errors
/// When a customer whom the directory does not name has a value that would be none any more.
pub(super) async fn apply(connection: &mut PgConnection, directory: &Directory) -> Result<(), ApplyError> {
    let reseller_id = directory.reseller.id;
    for field in &directory.custom_fields {
        sqlx::query!(
            "INSERT INTO custom_fields (reseller_id, key, labels, position, is_printed, value_type, pattern)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (reseller_id, key) DO UPDATE
             SET labels = excluded.labels, position = excluded.position, is_printed = excluded.is_printed,
                 value_type = excluded.value_type, pattern = excluded.pattern",
            reseller_id.0,
            field.key,
            Json(&field.labels) as _,
            field.position,
            field.printed,
            field.value_type.as_str(),
            field.pattern,
        )
        .execute(&mut *connection)
        .await?;
    }
    replace_values(connection, directory).await?;
    check_other_values(connection, directory).await?;
    let kept: Vec<String> = directory.custom_fields.iter().map(|field| field.key.clone()).collect();
    sqlx::query!("DELETE FROM custom_fields WHERE reseller_id = $1 AND key <> ALL ($2)", reseller_id.0, &kept)
        .execute(connection)
        .await?;
    Ok(())
}

async fn replace_values(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller = directory.reseller.id.0;
    let customers: Vec<Uuid> = directory.customers.iter().map(|customer| customer.id.0).collect();
    sqlx::query!(
        "DELETE FROM custom_field_values WHERE reseller_id = $1 AND customer_id = ANY ($2)",
        reseller,
        &customers
    )
    .execute(&mut *connection)
    .await?;
    let (mut owners, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for customer in &directory.customers {
        for (key, value) in &customer.fields {
            owners.push(customer.id.0);
            keys.push(key.clone());
            values.push(value.clone());
        }
    }
    sqlx::query!(
        "INSERT INTO custom_field_values (reseller_id, customer_id, key, value)
         SELECT $1, entry.* FROM unnest($2::uuid[], $3::text[], $4::text[]) AS entry",
        reseller,
        &owners,
        &keys,
        &values,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Looks at every value there is; those of the directory's own customers were checked before and are so again.
async fn check_other_values(connection: &mut PgConnection, directory: &Directory) -> Result<(), ApplyError> {
    let checked = directory.custom_fields.iter().map(|field| Ok((field.key.as_str(), field.check()?)));
    let checked: BTreeMap<_, _> = checked.collect::<Result<_, ApplyError>>()?;
    let rows = sqlx::query!(
        "SELECT entry.key, entry.value, customer.name FROM custom_field_values entry
         JOIN customers customer ON customer.reseller_id = entry.reseller_id AND customer.id = entry.customer_id
         WHERE entry.reseller_id = $1 ORDER BY entry.key, customer.name",
        directory.reseller.id.0,
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        let is_good = checked.get(row.key.as_str()).is_some_and(|field| field.check_value(&row.value).is_ok());
        if !is_good {
            return Err(ApplyError::FieldInUse { key: row.key, value: row.value, customer: row.name });
        }
    }
    Ok(())
}

/// Returns a reseller's fields by position.
///
/// # Errors
/// When the database fails, or holds what is no field.
pub async fn fields(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Vec<CustomField>> {
    let rows = sqlx::query!(
        r#"SELECT key, labels AS "labels: Json<BTreeMap<LanguageTag, String>>", position, is_printed, value_type, pattern
           FROM custom_fields WHERE reseller_id = $1 ORDER BY position, key LIMIT 1000"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let unknown = || std::io::Error::other(format!("`{}` is no type of a custom field", row.value_type));
            Ok(CustomField {
                value_type: ValueType::from_name(&row.value_type)
                    .ok_or_else(unknown)
                    .corrupt("custom_fields.value_type")?,
                key: row.key,
                labels: row.labels.0,
                position: row.position,
                printed: row.is_printed,
                pattern: row.pattern,
            })
        })
        .collect()
}

/// Returns every value of a reseller's customers, by customer and key.
///
/// # Errors
/// When the database fails.
pub async fn values(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<BTreeMap<CustomerId, BTreeMap<String, String>>> {
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", key, value FROM custom_field_values WHERE reseller_id = $1"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    let mut values: BTreeMap<CustomerId, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows {
        values.entry(row.customer_id).or_default().insert(row.key, row.value);
    }
    Ok(values)
}
