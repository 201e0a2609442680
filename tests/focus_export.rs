//! The FOCUS export: the columns of the specification, amounts that add up to the invoice, statuses, and the same bytes
//! every time.

use std::{collections::BTreeMap, pin::pin};

use anyhow::{Context, Result, ensure};
use bigdecimal::BigDecimal;
use billrunner::{
    documents::{FOCUS_COLUMNS, FocusInvoiceDetail, Grain},
    domain::{ids::ResellerId, invoice_status::InvoiceStatus},
    jobs::{CorrectInvoice, InitialStatus},
    providers,
    store::invoice_details::{DetailFilter, invoice_details},
};
use futures::TryStreamExt;
use sqlx::PgPool;

use crate::support::{
    desk::{Desk, decimal},
    site::Site,
    worker::settled,
};

/// What Invoice Detail of FOCUS 1.4 has, but for the two columns that only issuers with a payment currency of its own
/// have and the one of those that take order numbers. `specification/datasets/invoice_detail` there.
const SPECIFIED: [&str; 19] = [
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "InvoiceDetailCreated",
    "InvoiceDetailDescription",
    "InvoiceDetailGrain",
    "InvoiceDetailId",
    "InvoiceDetailLastUpdated",
    "InvoiceId",
    "InvoiceIssueDate",
    "InvoiceIssueStatus",
    "InvoiceIssuerName",
    "PaymentCurrency",
    "PaymentDueDate",
    "PaymentTerms",
    "ReferenceInvoiceId",
];

type Record = BTreeMap<String, String>;

/// Exports a reseller's invoices in some statuses.
pub async fn export(pool: &PgPool, reseller_id: ResellerId, statuses: &[InvoiceStatus]) -> Result<String> {
    let filter = DetailFilter {
        reseller_id,
        customer_id: None,
        provider: None,
        from: None,
        until: None,
        statuses: statuses.to_vec(),
    };
    let mut connection = pool.acquire().await?;
    let mut details = pin!(invoice_details(&mut connection, &filter));
    let mut file = FocusInvoiceDetail::new(Vec::new(), "Net 30")?;
    while let Some(detail) = details.try_next().await? {
        let profile = providers::find(&detail.provider)?;
        file.write(&detail, Grain { provider_name: profile.display_name, is_by_sku: profile.needs_sku() })?;
    }
    Ok(String::from_utf8(file.finish()?)?)
}

fn records(text: &str) -> Result<Vec<Record>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let titles = reader.headers()?.clone();
    let record = |row: csv::Result<csv::StringRecord>| -> Result<Record> {
        Ok(titles.iter().map(str::to_owned).zip(row?.iter().map(str::to_owned)).collect())
    };
    reader.records().map(record).collect()
}

#[tokio::test]
async fn records_have_the_columns_of_focus_and_add_up_to_their_invoices() -> Result<()> {
    // The third is a credit note; the fourth is void and replaced.
    let desk = Desk::with_costs(&["10.005", "0.3333333", "-7.25", "20"]).await?;
    desk.close_month().await?;
    for customer in 1..4 {
        desk.office.done(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
    }
    desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Closed)).await?;
    let replaced = desk.live(3).await?;
    let correct: CorrectInvoice = serde_json::from_value(serde_json::json!({
        "reseller_id": replaced.reseller_id, "invoice_id": replaced.id, "version": replaced.version, "reason": "a trial",
        "status": "open",
    }))?;
    desk.office.done(&correct).await?;
    desk.office.settled().await?;

    let reseller_id = desk.business.reseller_id;
    let text = export(&desk.office.pool, reseller_id, &InvoiceStatus::ALL).await?;
    assert_eq!(text, export(&desk.office.pool, reseller_id, &InvoiceStatus::ALL).await?, "the same bytes");
    assert!(text.lines().next().is_some_and(|titles| titles == FOCUS_COLUMNS.join(",")));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "RFC 4180 ends rows with CRLF");
    let (focus, own) = FOCUS_COLUMNS.split_at(SPECIFIED.len());
    assert_eq!(focus, SPECIFIED);
    assert!(own.iter().all(|name| name.starts_with("x_")));

    let mut sums: BTreeMap<String, BigDecimal> = BTreeMap::new();
    let mut seen: BTreeMap<String, &Record> = BTreeMap::new();
    let records = records(&text)?;
    for record in &records {
        *sums.entry(record["InvoiceId"].clone()).or_default() += decimal(&record["BilledCost"]);
        let id = format!("{} {}", record["InvoiceId"], record["InvoiceDetailId"]);
        ensure!(seen.insert(id.clone(), record).is_none(), "{id} is there twice");
        ensure!(record["InvoiceDetailLastUpdated"] >= record["InvoiceDetailCreated"]);
        ensure!(serde_json::from_str::<serde_json::Value>(&record["InvoiceDetailGrain"])?.is_object());
        ensure!((record["InvoiceIssueDate"].is_empty()) == (record["InvoiceIssueStatus"] == "Open"), "{record:?}");
    }
    let ids: Vec<billrunner::domain::ids::InvoiceId> =
        sqlx::query_scalar("SELECT id FROM invoices").fetch_all(&desk.office.pool).await?;
    assert_eq!((ids.len(), sums.len()), (5, 5));
    for id in ids {
        let invoice = desk.find(id).await?;
        let name = invoice.number.as_ref().unwrap_or(&invoice.document_id);
        assert_eq!(sums.get(name), Some(&invoice.total), "{name}");
        let of_invoice = records.iter().filter(|record| record["InvoiceId"] == *name);
        let status = match invoice.status {
            InvoiceStatus::Draft => "Open",
            InvoiceStatus::Open | InvoiceStatus::Closed => "Issued",
            InvoiceStatus::Void => "Voided",
            InvoiceStatus::Discarded => panic!("none is discarded"),
        };
        for record in of_invoice {
            assert_eq!(record["InvoiceIssueStatus"], status);
            assert_eq!(record["BillingAccountId"], invoice.customer_id.to_string());
            assert_eq!(record["BillingPeriodStart"], "2026-08-01T00:00:00Z");
            assert_eq!(record["BillingPeriodEnd"], "2026-09-01T00:00:00Z");
            let reference = invoice.replaces.and(replaced.number.as_ref()).unwrap_or(name);
            assert_eq!(record["ReferenceInvoiceId"], *reference);
        }
    }
    let taxes: Vec<&Record> = records.iter().filter(|record| record["ChargeCategory"] == "Tax").collect();
    assert_eq!(taxes.len(), 5, "each tax is a record of its own");
    let credit = records.iter().find(|record| record["InvoiceId"].starts_with("CN-")).context("a credit note")?;
    assert_eq!((credit["BilledCost"].as_str(), credit["InvoiceDetailId"].as_str()), ("-8.16", "line-1"));
    desk.close().await
}

#[tokio::test]
async fn the_command_writes_what_was_asked_for_and_no_draft_unless_asked() -> Result<()> {
    let site = Site::build(2).await?;
    let reseller = site.business.reseller_id.to_string();
    let worker = site.start_worker().await?;
    let payload = serde_json::to_string(&site.business.bill_run(InitialStatus::Draft, Some(false)))?;
    let (code, said) = site.run(&["enqueue", "start_bill_run", &payload, "--wait"]).await?;
    ensure!(code == Some(0), "{said}");
    settled(site.pool()).await?;
    worker.terminate().await?;
    let command = ["invoices", "export-focus", "--payment-terms", "Net 30", "--reseller", &reseller];
    let (code, written) = site.run(&command).await?;
    assert_eq!((code, records(&written)?.len()), (Some(0), 0), "{written}");
    let customer = site.business.customers[1].to_string();
    let (code, written) = site.run(&[&command[..], &["--status", "draft", "--customer", &customer]].concat()).await?;
    let found = records(&written)?;
    assert_eq!((code, found.len()), (Some(0), 2), "{written}");
    assert!(found.iter().all(|record| record["BillingAccountId"] == customer && record["PaymentTerms"] == "Net 30"));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("focus.csv");
    let path = file.display().to_string();
    let (code, said) = site.run(&[&command[..], &["--status", "draft", "--file", &path]].concat()).await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("4 records in "), "{said}");
    assert_eq!(records(&std::fs::read_to_string(file)?)?.len(), 4);
    let nobody = ResellerId::new().to_string();
    let command = ["invoices", "export-focus", "--payment-terms", "Net 30", "--reseller", &nobody];
    assert_eq!(site.run(&command).await?.0, Some(3));
    Ok(())
}
