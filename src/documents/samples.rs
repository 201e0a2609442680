//! Invoices for the tests of all formats.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::DocumentModel;
use crate::{
    domain::{
        charge::ChargeCategory,
        custom_field::MAX_PRINTED_CHARS,
        directory_check::MAX_PRINTED_FIELDS,
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice::{DetailedCharge, Invoice, InvoiceKind, Line, LineDetails, PartyDetails, PrintedField, TaxAmount},
        invoice_status::InvoiceStatus,
        price_rules::{PriceRule, PriceRules},
        pricing::{ExchangeRate, FrozenRules},
    },
    language::Language,
};

pub(super) fn decimal(text: &str) -> BigDecimal {
    text.parse().expect("a decimal")
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

pub(super) fn line(section: &str, description: &str, category: ChargeCategory, net: &str) -> Line {
    Line {
        section_id: section.to_owned(),
        section_name: if section == "210987654321" { "Producción".to_owned() } else { section.to_owned() },
        description: description.to_owned(),
        charge_category: Some(category),
        correction_of: None,
        cost_currency: "USD".parse().expect("a currency"),
        cost_exact: decimal("666.6660001"),
        exchange_rate: decimal("0.92"),
        price_exact: decimal(net),
        net: decimal(net),
        charge_count: 1234,
        details: LineDetails { taxes: vec![0, 1], ..LineDetails::default() },
    }
}

/// An issued invoice with two accounts, a correction, two taxes and a currency that was converted.
pub(super) fn invoice() -> Invoice {
    let correction = Line {
        correction_of: NaiveDate::from_ymd_opt(2026, 7, 1),
        ..line("210987654321", "Amazon Elastic Compute Cloud", ChargeCategory::Adjustment, "-12.34")
    };
    let lines = vec![
        line("012345678901", "Amazon Simple Storage Service", ChargeCategory::Usage, "1234.50"),
        line("012345678901", "AWS Support (Business)", ChargeCategory::Purchase, "100.00"),
        line("210987654321", "Amazon Elastic Compute Cloud", ChargeCategory::Usage, "23456.78"),
        line("210987654321", "Amazon Elastic Compute Cloud", ChargeCategory::Credit, "-500.00"),
        correction,
    ];
    priced(Invoice {
        reseller_id: ResellerId(Uuid::from_u128(1)),
        id: InvoiceId(Uuid::from_u128(2)),
        customer_id: CustomerId(Uuid::from_u128(3)),
        provider: "aws".to_owned(),
        billing_period: "2026-08".parse().expect("a period"),
        currency: "EUR".parse().expect("a currency"),
        kind: InvoiceKind::Invoice,
        status: InvoiceStatus::Open,
        version: 2,
        document_id: "DOC-000117".to_owned(),
        number: Some("2026-00042".to_owned()),
        issued_on: NaiveDate::from_ymd_opt(2026, 9, 3),
        language: "es".parse().expect("a tag"),
        reseller: party(
            "Nubes del Sur, S.L.",
            "ESB12345678",
            "Calle de la Constitución 17, 3.º B\n41004 Sevilla\nEspaña",
        ),
        customer: party(
            "Panadería Hermanos Muñoz, S.A.",
            "ESA87654321",
            "Polígono Industrial El Manchón, nave 12\n41940 Tomares (Sevilla)\nEspaña",
        ),
        frozen_rules: markup("0.777"),
        exact_subtotal: decimal("0"),
        subtotal: decimal("0"),
        tax: decimal("0"),
        total: decimal("0"),
        rounding_delta: decimal("0.0055501"),
        excluded_tax: BTreeMap::from([("USD".parse().expect("a currency"), decimal("88.8880001"))]),
        zero_line_count: 3,
        charge_count: 9999,
        stale: false,
        replaces: Some(InvoiceId(Uuid::from_u128(4))),
        created_at: instant("2026-09-02T08:00:00Z"),
        opened_at: Some(instant("2026-09-03T10:11:12Z")),
        lines,
        taxes: vec![tax("IVA", "0.21"), tax("Recargo de equivalencia", "0.052")],
        exchange_rates: BTreeMap::from([(
            "USD".parse().expect("a currency"),
            ExchangeRate {
                rate: decimal("0.9234"),
                source: "BCE".to_owned(),
                rated_on: NaiveDate::from_ymd_opt(2026, 8, 31).expect("a day"),
            },
        )]),
    })
}

fn markup(rate: &str) -> FrozenRules {
    let rules = PriceRules::new(vec![PriceRule::markup(None, None, decimal(rate))]);
    FrozenRules { rules, mirror_markup: false }
}

fn party(name: &str, tax_id: &str, address: &str) -> PartyDetails {
    PartyDetails {
        name: name.to_owned(),
        tax_id: Some(tax_id.to_owned()),
        address: address.to_owned(),
        country: Some("ES".parse().expect("a country")),
        ..PartyDetails::default()
    }
}

fn tax(name: &str, rate: &str) -> TaxAmount {
    TaxAmount { name: name.to_owned(), rate: decimal(rate), ..TaxAmount::default() }
}

/// Sums an invoice's lines and taxes anew.
pub(super) fn priced(mut invoice: Invoice) -> Invoice {
    invoice.subtotal = invoice.lines.iter().map(|line| &line.net).sum();
    invoice.exact_subtotal = invoice.lines.iter().map(|line| &line.price_exact).sum();
    for tax in &mut invoice.taxes {
        tax.base.clone_from(&invoice.subtotal);
        tax.amount = invoice.currency.round(&(&tax.base * &tax.rate));
    }
    invoice.tax = invoice.taxes.iter().map(|tax| &tax.amount).sum();
    invoice.total = &invoice.subtotal + &invoice.tax;
    invoice
}

/// A credit note: all amounts are negative where they are stored.
pub(super) fn credit_note() -> Invoice {
    let mut invoice = invoice();
    invoice.kind = InvoiceKind::CreditNote;
    invoice.number = Some("G-2026-00007".to_owned());
    for line in &mut invoice.lines {
        line.net = -line.net.clone();
        line.price_exact = -line.price_exact.clone();
    }
    priced(invoice)
}

fn field(label: &str, value: &str) -> PrintedField {
    PrintedField { label: label.to_owned(), value: value.to_owned() }
}

/// An invoice of a customer with a purchase order and custom fields, one of them hostile.
pub(super) fn with_references() -> Invoice {
    let mut invoice = invoice();
    invoice.customer.purchase_order = Some("PO-7".to_owned());
    invoice.customer.fields = vec![field("Cost centre", "CC-0042"), field("=1+1", HOSTILE_NAMES[4])];
    invoice
}

/// A draft whose head is as full as it can be, generated when the customer's day is another than UTC's.
pub(super) fn full_head() -> Invoice {
    let mut invoice = long_draft(1, 3);
    invoice.created_at = instant("2026-09-02T22:30:00Z");
    invoice.customer.time_zone = Some("Europe/Madrid".parse().expect("a zone"));
    invoice.customer.purchase_order = Some("W".repeat(MAX_PRINTED_CHARS));
    let of = |index: usize| field(&"L".repeat(40), &format!("{index}{}", "W".repeat(MAX_PRINTED_CHARS - 1)));
    invoice.customer.fields = (1..=MAX_PRINTED_FIELDS).map(of).collect();
    invoice
}

/// A draft of some pages: many accounts with many services.
pub(super) fn long_draft(sections: usize, lines_each: usize) -> Invoice {
    let mut invoice = invoice();
    invoice.status = InvoiceStatus::Draft;
    (invoice.number, invoice.issued_on, invoice.opened_at) = (None, None, None);
    invoice.lines = (0..sections * lines_each)
        .map(|index| {
            let name = format!("Virtual Machines D{} v5, region {}", index % 64, index % 23);
            let net = format!("{}.{:02}", index * 37 % 5000, index % 100);
            line(&format!("{:012}", index / lines_each), &name, ChargeCategory::Usage, &net)
        })
        .collect();
    priced(invoice)
}

pub(super) fn model(invoice: &Invoice, language: &str) -> DocumentModel {
    let language = Language::for_tag(&language.parse().expect("a tag")).expect("a language");
    DocumentModel::new(invoice, &language).expect("a model")
}

/// Names that attack each format.
pub(super) const HOSTILE_NAMES: [&str; 9] = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"quoted\", 'single' & \\back\\slash (paren) ;semicolon",
    "two\r\nlines\tand a tab",
    "=HYPERLINK(\"http://evil.example\";\"x\")",
    "@SUM(A1)|cmd",
    "nul\0bell\u{7}escape\u{1b}",
    "שלום عليكم 中文 🧾 \u{202e}gnp.exe",
    "</details></style>{{handlebars}} { $fluent }",
    "\u{feff}\u{200b}\u{200d}",
];

/// An invoice with every free text hostile, one of them of 200 kB.
pub(super) fn hostile() -> Invoice {
    let mut invoice = invoice();
    let huge = "A very long name ".repeat(12_000);
    let names = HOSTILE_NAMES.iter().copied().chain([huge.as_str()]);
    invoice.lines = names
        .map(|name| Line { section_name: name.to_owned(), ..line("id", name, ChargeCategory::Usage, "1.00") })
        .collect();
    let [html, quotes, ..] = HOSTILE_NAMES;
    for party in [&mut invoice.reseller, &mut invoice.customer] {
        *party = PartyDetails {
            name: format!("{html}{huge}"),
            tax_id: Some(huge.clone()),
            address: huge.clone(),
            country: Some("ES".parse().expect("a country")),
            purchase_order: Some(format!("{quotes}{huge}")),
            fields: HOSTILE_NAMES.map(|name| field(name, name)).into(),
            ..PartyDetails::default()
        };
    }
    invoice.provider = huge.clone();
    invoice.number = Some(format!("../../{quotes}{huge}"));
    invoice.taxes = vec![TaxAmount { name: huge, ..tax("", "0.1") }];
    priced(invoice)
}

pub(super) fn charge(price: &str) -> DetailedCharge {
    DetailedCharge {
        sub_account_id: "012345678901".to_owned(),
        sub_account_name: Some("Producción".to_owned()),
        service_name: "Amazon Simple Storage Service".to_owned(),
        service_category: None,
        charge_category: ChargeCategory::Usage,
        is_correction: false,
        charge_description: Some("=1+1".to_owned()),
        charge_period_start: instant("2026-08-01T00:00:00Z"),
        charge_period_end: instant("2026-08-02T00:00:00Z"),
        consumed_quantity: Some(decimal("1.5")),
        consumed_unit: Some("GB".to_owned()),
        region_id: Some("eu-west-1".to_owned()),
        resource_id: None,
        resource_name: None,
        sku_id: None,
        tags: Some("{\"env\":\"prod\"}".to_owned()),
        x_columns: BTreeMap::from([
            ("x_team".to_owned(), "-blue".to_owned()),
            ("x_UnitCost".to_owned(), "666.666".to_owned()),
        ]),
        price_exact: decimal(price),
    }
}
