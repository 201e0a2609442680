//! From cost to price: which rule applies, what is added afterwards, and how a line says how it came about.

use anyhow::Result;
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{document::DocumentKind, invoice::Invoice},
    jobs::RenderDocument,
};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use crate::support::{
    desk::{Desk, decimal},
    priced::{Row, nets, open, show},
};

const COMPUTE: Row<'static> = (0, "EC2", "Compute", "Usage", "2026-08-05", "100");
const STORAGE: Row<'static> = (0, "S3", "Storage", "Usage", "2026-08-05", "100");

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// Renders a document of a draft and returns its text.
pub async fn rendered(desk: &Desk, invoice: &Invoice, kind: DocumentKind, currency: Option<&str>) -> Result<String> {
    let render = RenderDocument {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        kind,
        currency: currency.map(str::parse).transpose()?,
    };
    desk.office.done(&render).await?;
    let sql = "SELECT location FROM documents WHERE invoice_id = $1 AND kind = $2 AND currency IS NOT DISTINCT FROM $3";
    let location: String = sqlx::query_scalar(sql)
        .bind(invoice.id)
        .bind(kind.as_str())
        .bind(currency)
        .fetch_one(&desk.office.pool)
        .await?;
    let bytes = desk.office.context.objects.get(&location.as_str().into()).await?.bytes().await?;
    if kind == DocumentKind::Pdf {
        let document = lopdf::Document::load_mem(&bytes)?;
        let pages: Vec<u32> = document.get_pages().into_keys().collect();
        return Ok(document.extract_text(&pages)?);
    }
    Ok(String::from_utf8(bytes.to_vec())?)
}

#[tokio::test]
async fn the_most_specific_rule_prices_each_charge_and_the_line_keeps_which() -> Result<()> {
    let backup = (0, "S3", "Backup", "Usage", "2026-08-05", "100");
    let desk = open(2, &[COMPUTE, STORAGE, backup, (1, "EC2", "Compute", "Usage", "2026-08-05", "100")]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([
        { "method": "markup", "rate": "0.10" },
        { "provider": "aws", "method": "margin", "rate": "0.20" },
        { "service_category": "Storage", "method": "markup", "rate": "0.30" },
        { "service_category": "Storage", "charge_category": "Usage", "method": "markup", "rate": "0.40" },
        { "customer_id": desk.business.customers[1], "method": "markup", "rate": "0.05" },
        { "provider": "google", "service_name": "EC2", "method": "markup", "rate": "9" },
    ]);
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    // The line of S3 has parts of two rules: storage at a markup of 40 %, backup at the provider's margin of 20 %.
    assert_eq!(nets(&draft), pairs(&[("EC2", "125.00"), ("S3", "265.00")]));
    assert_eq!(nets(&desk.draft(1).await?), pairs(&[("EC2", "105.00")]));
    let parts = &draft.lines[1].details.prices;
    let rates: Vec<String> = parts
        .iter()
        .map(|part| draft.frozen_rules.rules.get(part.rule.expect("a rule")).expect("a rule").to_string())
        .collect();
    assert_eq!(
        rates,
        [
            "markup 0.4 for service category Storage, charge category Usage, always",
            "margin 0.2 for provider aws, always"
        ]
    );
    let shown = show(&desk, &draft).await?;
    for expected in [
        "cost 100 EUR, margin 0.2 for provider aws, always: 125 EUR",
        "cost 100 EUR, markup 0.4 for service category Storage, charge category Usage, always: 140 EUR",
        "taxed by IVA 0.21 (S)",
    ] {
        assert!(shown.contains(expected), "{expected} is not in {shown}");
    }
    desk.close().await
}

#[tokio::test]
async fn the_detail_adds_up_to_the_exact_subtotal_under_many_rules_and_after_they_changed() -> Result<()> {
    let credit = (0, "EC2", "Compute", "Credit", "2026-08-06", "-7.77");
    let correction = (0, "EC2", "Compute", "Usage", "2026-07-31", "-3.333");
    let odd = (0, "S3", "Storage", "Usage", "2026-08-07", "0.0000000001234567");
    let desk = open(1, &[COMPUTE, STORAGE, odd, credit, correction]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([
        { "method": "margin", "rate": "0.36", "valid_from": "2026-08-01" },
        { "method": "markup", "rate": "0.1", "valid_to": "2026-08-01" },
        { "service_category": "Storage", "method": "markup", "rate": "0.07" },
    ]);
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    desk.apply(&desk.terms()).await?;
    assert!(desk.live(0).await?.stale);
    let detail = rendered(&desk, &draft, DocumentKind::DetailedCsv, None).await?;
    let sum: BigDecimal =
        detail.lines().skip(1).map(|row| decimal(&row.split(';').nth(16).expect("a price").replace(',', "."))).sum();
    assert_eq!(sum, draft.exact_subtotal);
    assert_eq!(draft.rounding_delta, &draft.subtotal - &draft.exact_subtotal);
    desk.close().await
}

#[tokio::test]
async fn a_correction_is_given_back_at_the_price_of_the_month_it_corrects() -> Result<()> {
    let correction = (0, "EC2", "Compute", "Usage", "2026-07-31", "-100");
    let desk = open(1, &[COMPUTE, correction]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([
        { "method": "markup", "rate": "0.10", "valid_to": "2026-08-01" },
        { "method": "markup", "rate": "0.20", "valid_from": "2026-08-01" },
    ]);
    desk.apply(&terms).await?;
    assert_eq!(nets(&desk.draft(0).await?), pairs(&[("EC2", "120.00"), ("EC2", "-110.00")]));
    terms["price_rules"][0]["rate"] = "0.15".into();
    desk.apply(&terms).await?;
    assert!(desk.live(0).await?.stale, "the draft corrects July");
    desk.close().await
}

#[tokio::test]
async fn credits_pass_at_cost_unless_the_reseller_mirrors_its_markup() -> Result<()> {
    let credit = (0, "EC2", "Compute", "Credit", "2026-08-06", "-10");
    let adjustment = (0, "EC2", "Compute", "Adjustment", "2026-08-06", "-10");
    let desk = open(1, &[COMPUTE, credit, adjustment]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([{ "method": "markup", "rate": "0.5" }]);
    desk.apply(&terms).await?;
    assert_eq!(nets(&desk.draft(0).await?), pairs(&[("EC2", "150.00"), ("EC2", "-10.00"), ("EC2", "-10.00")]));
    terms["pricing_policy"] = json!({ "mirror_markup": true });
    desk.apply(&terms).await?;
    assert!(desk.live(0).await?.stale);
    assert_eq!(nets(&desk.draft(0).await?), pairs(&[("EC2", "150.00"), ("EC2", "-15.00"), ("EC2", "-15.00")]));
    desk.close().await
}

#[tokio::test]
async fn a_markup_written_by_the_previous_release_is_a_price_rule_while_it_lasts() -> Result<()> {
    let desk = open(1, &[COMPUTE]).await?;
    desk.apply(&desk.terms()).await?;
    assert_eq!(desk.draft(0).await?.subtotal, decimal("100"));
    desk.execute("INSERT INTO markups (reseller_id, rate) SELECT id, 0.5 FROM resellers").await?;
    assert_eq!(desk.draft(0).await?.subtotal, decimal("150"));
    desk.execute("UPDATE markups SET rate = 0.25").await?;
    assert_eq!(desk.draft(0).await?.subtotal, decimal("125"));
    desk.execute("DELETE FROM markups").await?;
    assert_eq!(desk.draft(0).await?.subtotal, decimal("100"));
    desk.close().await
}

fn charges_and_discounts() -> Value {
    json!([
        { "name": "Loyalty", "is_discount": true, "formula": { "kind": "percent", "basis": "subtotal", "rate": "0.1" },
          "descriptions": { "es": "Descuento por fidelidad" } },
        { "name": "Support plan", "provider": "aws", "currency": "EUR",
          "formula": { "kind": "fixed", "amount": "49.995" } },
        { "name": "Managed service", "currency": "EUR", "minimum": "20",
          "descriptions": { "es": "Servicio gestionado", "en": "Managed service" },
          "formula": { "kind": "tiered", "basis": "cost", "mode": "graduated",
                       "tiers": [{ "up_to": "150", "rate": "0.0537" }, { "rate": "0.03" }] } },
        { "name": "Last month's", "provider": "aws", "currency": "EUR", "valid_to": "2026-08-01",
          "formula": { "kind": "fixed", "amount": "1000" } },
        { "name": "Another provider's", "provider": "google", "currency": "EUR",
          "formula": { "kind": "fixed", "amount": "1000" } },
    ])
}

#[tokio::test]
async fn custom_charges_are_lines_of_their_own_section_in_the_customers_language() -> Result<()> {
    let desk = open(2, &[COMPUTE, STORAGE, (1, "EC2", "Compute", "Usage", "2026-08-05", "77.77")]).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([{ "method": "markup", "rate": "0.5" }]);
    terms["custom_charges"] = charges_and_discounts();
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    // Exact: 49.995; 10 % of 300 + 49.995; tiers 150 × 5.37 % + 50 × 3 % = 9.555, at least 20.
    let expected = [
        ("EC2", "150.00"),
        ("S3", "150.00"),
        ("Support plan", "50.00"),
        ("Descuento por fidelidad", "-35.00"),
        ("Servicio gestionado", "20.00"),
    ];
    assert_eq!(nets(&draft), pairs(&expected));
    assert_eq!((draft.subtotal.clone(), draft.exact_subtotal.clone()), (decimal("335"), decimal("334.9955")));
    assert_eq!(draft.tax, decimal("70.35"), "custom charges are taxed as all lines are");
    let csv = rendered(&desk, &draft, DocumentKind::Csv, None).await?;
    assert!(
        csv.contains("Otros cargos y descuentos;Otros cargos y descuentos;;Descuento por fidelidad;;0;-35,00;EUR"),
        "{csv}"
    );
    let print = rendered(&desk, &draft, DocumentKind::Print, None).await?;
    let pdf = rendered(&desk, &draft, DocumentKind::Pdf, None).await?;
    let english = desk.draft(1).await?;
    for (text, expected) in [
        (&print, "Otros cargos y descuentos"),
        (&pdf, "Otros cargos y descuentos"),
        (&rendered(&desk, &english, DocumentKind::Print, None).await?, "Other charges and discounts"),
        (&rendered(&desk, &english, DocumentKind::Print, None).await?, "Managed service"),
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for text in [&csv, &print, &pdf] {
        for secret in ["5,37", "0,0537", "9,555", "200,00", "100,00"] {
            assert!(!text.contains(secret), "{secret} of the reseller's side is in {text}");
        }
    }
    let shown = show(&desk, &draft).await?;
    let expected = "custom charge `Managed service`, tiered (graduated) 0.0537 up to 150, 0.03 above of cost of 200 EUR, \
                    minimum 20, always: 20 EUR";
    assert!(shown.contains(expected), "{shown}");
    desk.close().await
}

#[tokio::test]
async fn an_amount_in_another_currency_is_converted_at_a_frozen_rate_or_refused() -> Result<()> {
    let desk = open(1, &[COMPUTE]).await?;
    let mut terms = desk.terms();
    terms["customers"][0]["currency"] = "EUR".into();
    terms["custom_charges"] = json!([
        { "name": "Support", "provider": "aws", "currency": "USD", "formula": { "kind": "fixed", "amount": "10" } },
    ]);
    desk.apply(&terms).await?;
    let error = desk.office.refused(&desk.business.generate(0)).await?;
    assert!(error.contains("no exchange rate from USD to EUR"), "{error}");
    terms["exchange_rates"] =
        json!([{ "from": "USD", "to": "EUR", "rated_on": "2026-08-31", "rate": "0.9", "source": "ECB" }]);
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    assert_eq!(nets(&draft), pairs(&[("EC2", "100.00"), ("Support", "9.00")]));
    assert!(rendered(&desk, &draft, DocumentKind::Print, None).await?.contains("1 USD = 0,9 EUR (ECB"));
    desk.close().await
}
