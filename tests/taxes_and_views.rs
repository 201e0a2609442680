//! Taxes as EN 16931 has them, exchange rates that may be used, and an invoice viewed in another currency.

use anyhow::Result;
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{document::DocumentKind, invoice::Invoice, invoice_status::InvoiceStatus},
    jobs::{ChangeInvoiceStatus, GenerateInvoice, RenderDocument},
    store::documents,
};
use serde_json::{Value, json};

use crate::{
    prices::rendered,
    support::{
        desk::{Desk, decimal},
        priced::{Row, open},
    },
};

const COMPUTE: Row<'static> = (0, "EC2", "Compute", "Usage", "2026-08-05", "100.10");
const STORAGE: Row<'static> = (0, "S3", "Storage", "Usage", "2026-08-05", "50.05");

fn taxes(invoice: &Invoice) -> Vec<String> {
    let text = |number: &BigDecimal| number.normalized().to_plain_string();
    let taxes = invoice.taxes.iter();
    taxes
        .map(|tax| format!("{} {} {} on {} = {}", tax.name, tax.category, text(&tax.rate), tax.base, tax.amount))
        .collect()
}

#[tokio::test]
async fn each_line_has_one_rate_per_tax_and_rates_of_other_names_add_up() -> Result<()> {
    let desk = open(1, &[COMPUTE, STORAGE]).await?;
    let mut terms = desk.terms();
    terms["customers"][0]["tax_rates"] = json!([
        { "name": "IVA", "rate": "0.21" },
        { "name": "IVA", "rate": "0.10", "services": ["S3"] },
        { "name": "Recargo", "rate": "0.052" },
        { "name": "IVA", "rate": "0.04", "sections": ["nobody's account"] },
    ]);
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    assert_eq!(
        taxes(&draft),
        ["IVA S 0.21 on 100.10 = 21.02", "IVA S 0.1 on 50.05 = 5.01", "Recargo S 0.052 on 150.15 = 7.81"]
    );
    assert_eq!((draft.tax.clone(), draft.total.clone()), (decimal("33.84"), decimal("183.99")));
    let places: Vec<_> = draft.lines.iter().map(|line| line.details.taxes.clone()).collect();
    assert_eq!(places, [vec![0, 2], vec![1, 2]]);
    desk.close().await
}

#[tokio::test]
async fn the_rate_in_force_on_the_last_day_of_the_month_taxes_it() -> Result<()> {
    let desk = open(1, &[COMPUTE]).await?;
    for (change, expected) in [("2026-08-31", "0.25"), ("2026-09-01", "0.21")] {
        let mut terms = desk.terms();
        terms["customers"][0]["tax_rates"] = json!([
            { "name": "IVA", "rate": "0.21", "valid_to": change },
            { "name": "IVA", "rate": "0.25", "valid_from": change },
        ]);
        desk.apply(&terms).await?;
        let rates: Vec<_> = desk.draft(0).await?.taxes.into_iter().map(|tax| tax.rate).collect();
        assert_eq!(rates, [decimal(expected)], "{change}");
    }
    desk.close().await
}

/// Returns the directory with one tax of the first customer.
fn with_tax(terms: &Value, tax: Value) -> Value {
    let mut terms = terms.clone();
    terms["customers"][0]["tax_id"] = "ESA87654321".into();
    terms["customers"][0]["tax_rates"] = Value::Array(vec![tax]);
    terms
}

#[tokio::test]
async fn reverse_charge_and_exemption_print_why_nothing_is_taxed_in_every_document() -> Result<()> {
    let desk = open(1, &[COMPUTE]).await?;
    let terms = desk.terms();
    let cases = [
        (
            json!({ "name": "IVA", "rate": "0", "category": "AE", "exemption_code": "VATEX-EU-AE" }),
            "IVA: Inversión del sujeto pasivo: el cliente debe el impuesto (VATEX-EU-AE)",
        ),
        (
            json!({ "name": "IVA", "rate": "0", "category": "E",
                 "exemption_reasons": { "en": "Article 132", "es": "Exento, artículo 20 LIVA" } }),
            "IVA: Exento, artículo 20 LIVA",
        ),
        (json!({ "name": "IVA", "rate": "0", "category": "K" }), "IVA: Exento: entrega intracomunitaria"),
        (json!({ "name": "IVA", "rate": "0", "category": "G" }), "IVA: Exento: exportación fuera de la Unión Europea"),
        (json!({ "name": "IVA", "rate": "0", "category": "O" }), "IVA: No sujeto a impuestos"),
    ];
    for (tax, reason) in cases {
        desk.apply(&with_tax(&terms, tax)).await?;
        let draft = desk.draft(0).await?;
        assert_eq!((draft.tax.clone(), draft.taxes[0].base.clone()), (decimal("0"), decimal("100.10")));
        for kind in [DocumentKind::Pdf, DocumentKind::Print, DocumentKind::Csv] {
            let text = rendered(&desk, &draft, kind, None).await?.replace('\n', " ");
            assert!(text.contains(reason), "{kind} lacks {reason}: {text}");
        }
    }
    desk.close().await
}

/// Opens a desk whose customer is invoiced in USD, with one exchange rate of 1.1.
async fn desk_in_dollars(from: &str, to: &str, day: &str) -> Result<(Desk, Value, GenerateInvoice)> {
    let desk = open(1, &[COMPUTE]).await?;
    let mut terms = desk.terms();
    terms["customers"][0]["currency"] = "USD".into();
    terms["exchange_rates"] = json!([{ "from": from, "to": to, "rated_on": day, "rate": "1.1", "source": "ECB" }]);
    desk.apply(&terms).await?;
    let in_dollars = GenerateInvoice { currency: "USD".parse()?, ..desk.business.generate(0) };
    Ok((desk, terms, in_dollars))
}

#[tokio::test]
async fn a_rate_in_the_other_direction_is_none_and_is_not_inverted() -> Result<()> {
    let (desk, _, in_dollars) = desk_in_dollars("USD", "EUR", "2026-08-31").await?;
    let error = desk.office.refused(&in_dollars).await?;
    assert!(error.contains("no exchange rate from EUR to USD; add one in this direction"), "{error}");
    desk.close().await
}

#[tokio::test]
async fn an_old_rate_is_refused_by_name_unless_the_policy_allows_its_age() -> Result<()> {
    let (desk, mut terms, in_dollars) = desk_in_dollars("EUR", "USD", "2026-07-30").await?;
    let error = desk.office.refused(&in_dollars).await?;
    let expected = "the latest exchange rate from EUR to USD is of 2026-07-30, more than 31 days before 2026-08-31";
    assert!(error.contains(expected), "{error}");
    terms["pricing_policy"] = json!({ "max_exchange_rate_age_days": 32 });
    desk.apply(&terms).await?;
    desk.office.done(&in_dollars).await?;
    assert_eq!(desk.live(0).await?.subtotal, decimal("110.11"));
    desk.close().await
}

#[tokio::test]
async fn a_view_in_another_currency_adds_up_states_the_invoices_own_total_and_keeps_its_rate() -> Result<()> {
    let rows = [COMPUTE, STORAGE, (0, "Lambda", "Compute", "Usage", "2026-08-05", "0.33")];
    let desk = open(1, &rows).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([{ "method": "markup", "rate": "0.1" }]);
    desk.apply(&terms).await?;
    desk.draft(0).await?;
    let open = desk.to(desk.id(0).await?, InvoiceStatus::Open);
    desk.office.done(&ChangeInvoiceStatus { force: true, ..open }).await?;
    desk.office.settled().await?;
    let invoice = desk.live(0).await?;
    let issued_on = invoice.issued_on.expect("a day");
    let render = |kind| RenderDocument {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        kind,
        currency: "JPY".parse().ok(),
    };
    let error = desk.office.refused(&render(DocumentKind::Csv)).await?;
    assert!(error.contains("no exchange rate from EUR to JPY"), "{error}");
    terms["exchange_rates"] =
        json!([{ "from": "EUR", "to": "JPY", "rated_on": issued_on, "rate": "163.77", "source": "ECB" }]);
    desk.apply(&terms).await?;

    // 110.11, 0.36 and 55.06 EUR at 163.77, each to whole yen: 18033, 59, 9017; 21 % of 165.53 EUR is 34.76, 5693 JPY.
    let print = rendered(&desk, &invoice, DocumentKind::Print, Some("JPY")).await?;
    for expected in ["18.033", "9017", "27.109\u{a0}JPY", "5693\u{a0}JPY", "32.802\u{a0}JPY", "1 EUR = 163,77 JPY (ECB"]
    {
        assert!(print.contains(expected), "{expected} is not in {print}");
    }
    let own_total = "Este documento está emitido en EUR; su total es 200,29\u{a0}EUR.";
    assert!(print.contains(own_total), "{print}");
    desk.execute("UPDATE exchange_rates SET rate = 1").await?;
    let csv = rendered(&desk, &invoice, DocumentKind::Csv, Some("JPY")).await?;
    assert!(csv.contains(";18033;JPY;") && csv.contains(own_total), "{csv}");
    let detail = rendered(&desk, &invoice, DocumentKind::DetailedCsv, Some("JPY")).await?;
    assert!(detail.contains(";18032,7147;JPY"), "{detail}");

    let own = rendered(&desk, &invoice, DocumentKind::Csv, None).await?;
    assert!(own.contains(";110,11;EUR;") && !own.contains("JPY"), "a view is a document beside the invoice's own");
    let sql = "SELECT array_agg(file_name ORDER BY file_name) FROM documents WHERE kind = 'csv'";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    let stem = format!("factura-{}", invoice.number.clone().expect("a number"));
    assert_eq!(names, [format!("{stem}-jpy.csv"), format!("{stem}.csv")]);
    let attached = documents::of_version(
        &mut *desk.office.pool.acquire().await?,
        invoice.reseller_id,
        invoice.id,
        invoice.version,
        "es",
    )
    .await?;
    assert!(attached.iter().all(|document| !document.file_name.contains("jpy")), "mails attach the invoice's own");
    desk.close().await
}
