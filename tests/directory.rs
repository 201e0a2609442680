//! What a directory may change, and which drafts that makes stale.

use anyhow::Result;
use serde_json::Value;

use crate::support::{business::directory_of, desk::Desk};

fn directory_at(desk: &Desk) -> Value {
    directory_of(desk.business.reseller_id, &desk.business.customers)
}

#[tokio::test]
async fn accounts_change_hands_within_one_directory_in_either_direction() -> Result<()> {
    let desk = Desk::open(2).await?;
    let mut swapped = directory_at(&desk);
    let accounts = [0, 1].map(|customer: usize| swapped["customers"][customer]["accounts"].clone());
    for (customer, account) in [1, 0].into_iter().zip(accounts) {
        swapped["customers"][customer]["accounts"] = account;
    }
    desk.apply(&swapped).await?;
    let holders: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT customer_id FROM provider_accounts ORDER BY account_id")
        .fetch_all(&desk.office.pool)
        .await?;
    assert_eq!(holders, [desk.business.customers[1].0, desk.business.customers[0].0]);
    desk.close().await
}

#[tokio::test]
async fn what_an_invoice_prints_of_its_reseller_makes_drafts_stale_and_its_mail_address_does_not() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let mut changed = directory_at(&desk);
    changed["reseller"]["email"] = "other@reseller.example".into();
    desk.apply(&changed.clone()).await?;
    assert!(!desk.live(0).await?.stale);
    changed["reseller"]["address"] = "Calle Nueva 2".into();
    desk.apply(&changed).await?;
    assert!(desk.live(0).await?.stale);
    desk.close().await
}
