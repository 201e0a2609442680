//! What the schemas of UBL 2.1 and the official rules of EN 16931 say of our e-invoices, and of wrong ones.

use bigdecimal::Signed;

use super::{UblRefusal, render};
use crate::{
    documents::{
        DocumentError,
        samples::{HOSTILE_NAMES, credit_note, decimal, hostile, invoice, line, long_draft, model, with_references},
        test_tools::Files,
    },
    domain::{
        charge::ChargeCategory,
        currency_view::CurrencyView,
        custom_charges::AppliedCharge,
        invoice::{Invoice, InvoiceKind, Line, TaxRate},
        invoice_status::InvoiceStatus,
        lines::CUSTOM_CHARGES_SECTION,
        taxes::{TaxCategory, tax_lines},
    },
    language::Language,
};

/// Every category but the one that stands alone.
const UNTAXED: [TaxCategory; 5] = [
    TaxCategory::ZeroRated,
    TaxCategory::Exempt,
    TaxCategory::ReverseCharge,
    TaxCategory::IntraCommunity,
    TaxCategory::Export,
];

fn usage(name: &str, net: &str) -> Line {
    line("012345678901", name, ChargeCategory::Usage, net)
}

fn custom_charge(name: &str, net: &str) -> Line {
    let charge = serde_json::json!({ "charge": { "name": name, "formula": { "kind": "fixed", "amount": "1" } } });
    let mut line = line(CUSTOM_CHARGES_SECTION, name, ChargeCategory::Usage, net);
    line.charge_category = None;
    line.details.custom_charge = Some(serde_json::from_value::<AppliedCharge>(charge).expect("a charge"));
    line
}

fn tax(name: &str, rate: &str, category: TaxCategory, services: &[&str]) -> TaxRate {
    let services = services.iter().map(|&service| service.to_owned()).collect();
    TaxRate { category: Some(category), services, ..TaxRate::new(name, decimal(rate)) }
}

fn standard(rate: &str) -> TaxRate {
    tax("IVA", rate, TaxCategory::Standard, &[])
}

/// Makes an invoice of lines and taxes as the domain computes it.
fn invoice_of(lines: Vec<Line>, taxes: &[TaxRate]) -> Invoice {
    computed(Invoice { lines, ..invoice() }, taxes)
}

fn computed(mut invoice: Invoice, taxes: &[TaxRate]) -> Invoice {
    let currency = invoice.currency;
    for line in &mut invoice.lines {
        line.net = currency.round(&line.net);
    }
    invoice.taxes = tax_lines(&mut invoice.lines, taxes, currency, None);
    invoice.subtotal = currency.round(&invoice.lines.iter().map(|line| &line.net).sum());
    invoice.tax = currency.round(&invoice.taxes.iter().map(|tax| &tax.amount).sum());
    invoice.total = &invoice.subtotal + &invoice.tax;
    invoice.kind = if invoice.subtotal.is_negative() { InvoiceKind::CreditNote } else { InvoiceKind::Invoice };
    invoice
}

fn negated(mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        line.net = -line.net.clone();
    }
    lines
}

/// Returns both an invoice and a credit note of one content.
fn both(lines: &[Line], taxes: &[TaxRate]) -> [Invoice; 2] {
    [invoice_of(lines.to_vec(), taxes), invoice_of(negated(lines.to_vec()), taxes)]
}

fn german(mut invoice: Invoice) -> Invoice {
    invoice.customer.country = Some("DE".parse().expect("a country"));
    invoice.customer.tax_id = Some("DE123456788".to_owned());
    invoice
}

fn with_currency(mut invoice: Invoice, code: &str, taxes: &[TaxRate]) -> Invoice {
    invoice.currency = code.parse().expect("a currency");
    computed(invoice, taxes)
}

/// Returns an invoice and a credit note of each tax category alone, and of several together.
fn of_each_category() -> Vec<Invoice> {
    let lines = [usage("Compute", "100.05"), usage("Storage", "-0.02"), usage("Zero", "0.00")];
    let mut samples = Vec::new();
    for category in UNTAXED.into_iter().chain([TaxCategory::OutsideScope]) {
        let mut rate = tax("IVA", "0", category, &[]);
        samples.extend(both(&lines, &[rate.clone()]).map(german));
        if category.needs_reason() {
            rate.exemption_code = Some("VATEX-EU-AE".to_owned());
            rate.exemption_reasons = [("en".to_owned(), "Because # it # <is>".to_owned())].into();
            samples.extend(both(&lines, &[rate.clone()]).map(german));
            rate.exemption_code = Some("no code of the list".to_owned());
            samples.extend(both(&lines, &[rate]).map(german));
        }
    }
    let mut mixed = lines.to_vec();
    let mut rates = vec![standard("0.21"), tax("IVA", "0.10", TaxCategory::Standard, &["Storage"])];
    for category in UNTAXED {
        mixed.push(usage(category.as_str(), "33.33"));
        rates.push(tax("IVA", "0", category, &[category.as_str()]));
    }
    samples.extend(both(&mixed, &rates).map(german));
    samples
}

/// Returns invoices whose amounts are hard to add up.
fn of_hard_sums() -> Vec<Invoice> {
    let mut samples = Vec::new();
    let thirds: Vec<Line> = (0..7).map(|n| usage(&format!("Service {}", n % 3), "0.33")).collect();
    // One rate by two names, and two rates of two names on some of the lines: rounded apart they differ from together.
    let surcharge = |services: &[&str]| tax("Recargo", "0.052", TaxCategory::Standard, services);
    samples.extend(both(&thirds, &[standard("0.21"), surcharge(&[])]));
    samples.extend(both(&thirds, &[standard("0.21"), surcharge(&["Service 1"])]));
    samples.extend(both(&thirds, &[standard("0.21"), tax("Otro", "0", TaxCategory::Exempt, &["Service 1"])]));
    let named = |name: &str| tax(name, "0.19", TaxCategory::Standard, &[name]);
    samples.extend(both(&thirds, &[named("Service 0"), named("Service 1"), named("Service 2")]));
    // Custom charges: above, below, alone, and below with all else.
    let charges =
        [custom_charge("Support", "12.34"), custom_charge("Discount", "-5.00"), custom_charge("Tool", "0.01")];
    let plain = [usage("Compute", "100.00")];
    samples.extend(both(&[&plain[..], &charges].concat(), &[standard("0.21")]));
    samples.extend(both(&[&plain[..], &charges[..1]].concat(), &[standard("0.21")]));
    samples.extend(both(&[&plain[..], &charges[1..2]].concat(), &[standard("0.21")]));
    samples.extend(both(&charges, &[standard("0.21")]));
    // Nothing is owed, or nothing but what the other lines take away.
    samples.push(invoice_of(vec![usage("Compute", "5.00"), usage("Credit", "-5.00")], &[standard("0.21")]));
    samples.push(invoice_of(vec![usage("Compute", "0.00")], &[standard("0.21")]));
    for (code, rate) in [("JPY", "0.10"), ("USD", "0.0825"), ("GBP", "0.20")] {
        for sample in both(&thirds, &[standard(rate)]) {
            samples.push(with_currency(sample, code, &[standard(rate)]));
        }
    }
    samples
}

/// Returns invoices of parties that are not as the samples are.
fn of_other_parties() -> Vec<Invoice> {
    let changed = |change: &dyn Fn(&mut Invoice)| {
        let mut invoice = invoice();
        change(&mut invoice);
        invoice
    };
    let greek = |invoice: &mut Invoice| {
        invoice.reseller.country = Some("GR".parse().expect("a country"));
        invoice.reseller.tax_id = Some("EL123456789".to_owned());
    };
    vec![
        changed(&|invoice| invoice.reseller.tax_id = Some("B12345678".to_owned())),
        changed(&|invoice| invoice.customer.tax_id = Some("12-3456789".to_owned())),
        changed(&|invoice| invoice.customer.tax_id = None),
        changed(&|invoice| invoice.customer.address = String::new()),
        changed(&|invoice| invoice.reseller.address = "1\n2\n3\n4\n5".to_owned()),
        changed(&|invoice| invoice.status = InvoiceStatus::Closed),
        changed(&|invoice| invoice.lines[0].description = " \u{0}".to_owned()),
        changed(&|invoice| invoice.number = Some("#ABC#<&>".to_owned())),
        changed(&greek),
    ]
}

fn of_hostile_texts() -> Vec<Invoice> {
    let mut subject = with_references();
    subject.customer.fields[0].label = "#XXX# not a subject".to_owned();
    subject.customer.purchase_order = Some(HOSTILE_NAMES[0].to_owned());
    let mut long = long_draft(3, 40);
    (long.number, long.issued_on) = (invoice().number, invoice().issued_on);
    long.status = InvoiceStatus::Open;
    vec![hostile(), subject, with_references(), long]
}

fn bytes(invoice: &Invoice, language: &str) -> Vec<u8> {
    render(&model(invoice, language)).unwrap_or_else(|error| panic!("{error}: {invoice:?}"))
}

fn told(documents: &[Vec<u8>]) -> String {
    let files = Files::new();
    let written = documents.iter().enumerate().map(|(place, bytes)| files.write(&format!("{place}.xml"), bytes));
    Files::tell("en16931.py", &written.collect::<Vec<_>>())
}

#[test]
fn no_official_rule_and_no_schema_finds_anything_wrong() {
    let samples =
        [vec![invoice(), credit_note()], of_each_category(), of_hard_sums(), of_other_parties(), of_hostile_texts()]
            .concat();
    let mut documents: Vec<Vec<u8>> = samples.iter().map(|sample| bytes(sample, "en")).collect();
    documents.extend(Language::supported().map(|tag| bytes(&invoice(), tag)));
    assert!(documents.len() > 70, "{}", documents.len());
    let told = told(&documents);
    assert!(told.is_empty(), "{told}");
}

#[test]
fn the_rules_and_schemas_find_what_is_wrong() {
    let right = String::from_utf8(bytes(&invoice(), "en")).expect("utf-8");
    let line = String::from_utf8(bytes(&credit_note(), "en")).expect("utf-8");
    let wrong = [
        (&right, "PayableAmount currencyID=\"EUR\">30640.02", "PayableAmount currencyID=\"EUR\">30640.03", "BR-CO-16"),
        (
            &right,
            "TaxInclusiveAmount currencyID=\"EUR\">30640.02",
            "TaxInclusiveAmount currencyID=\"EUR\">1",
            "BR-CO-15",
        ),
        (
            &right,
            "LineExtensionAmount currencyID=\"EUR\">1234.50",
            "LineExtensionAmount currencyID=\"EUR\">1234.51",
            "BR-CO-10",
        ),
        (
            &line,
            "LineExtensionAmount currencyID=\"EUR\">1234.50",
            "LineExtensionAmount currencyID=\"EUR\">1234.51",
            "BR-CO-10",
        ),
        (&right, "<cbc:ID>S</cbc:ID>", "<cbc:ID>Q</cbc:ID>", "BR-CL-18"),
        (&right, "<cbc:IdentificationCode>ES", "<cbc:IdentificationCode>XX", "BR-CL-14"),
        (&right, "<cbc:IssueDate>2026-09-03</cbc:IssueDate>", "", "XSD"),
    ];
    let documents: Vec<Vec<u8>> = wrong
        .iter()
        .map(|(document, from, to, _)| {
            assert!(document.contains(from), "{from} is not in {document}");
            document.replace(from, to).into_bytes()
        })
        .collect();
    let told = told(&documents);
    for (place, (.., rule)) in wrong.iter().enumerate() {
        assert!(told.contains(&format!("{place}.xml {rule} ")), "{rule} is not found: {told}");
    }
}

#[test]
fn an_invoice_and_a_credit_note_are_written_in_spanish() {
    for (name, invoice) in [("invoice", with_references()), ("credit_note", credit_note())] {
        insta::assert_snapshot!(name, String::from_utf8(bytes(&invoice, "es")).expect("utf-8"));
    }
}

#[test]
fn the_same_invoice_gives_the_same_bytes() {
    for sample in of_each_category().iter().chain(&of_hostile_texts()) {
        assert_eq!(bytes(sample, "en"), bytes(sample, "en"));
    }
}

fn refusal(invoice: &Invoice) -> String {
    match render(&model(invoice, "en")) {
        Err(DocumentError::Ubl(refusal)) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_invoice_has_no_ubl() {
    let mut void = invoice();
    void.status = InvoiceStatus::Void;
    assert_eq!(
        refusal(&long_draft(1, 1)),
        "`DOC-000117` is a draft and has no ubl, as it is no invoice yet; open it first"
    );
    assert_eq!(
        refusal(&void),
        "`2026-00042` is void and has no ubl, as a receiver would book it; ask for another document, or for the ubl of the \
         invoice that replaces it"
    );
}

const ANEW: &str = "in the directory, then issue the invoice anew (`correct_invoice`)";

#[test]
fn what_a_party_lacks_is_named_with_the_way_out() {
    let untaxed = |category| invoice_of(vec![usage("a", "1")], &[tax("IVA", "0", category, &[])]);
    let without = |mut invoice: Invoice, change: &dyn Fn(&mut Invoice)| {
        change(&mut invoice);
        refusal(&invoice)
    };
    let told = [
        without(invoice(), &|it| it.reseller.country = None),
        without(invoice(), &|it| it.customer.country = None),
        without(invoice(), &|it| it.reseller.tax_id = Some(" ".to_owned())),
        without(invoice(), &|it| it.reseller.name = " ".to_owned()),
        without(invoice(), &|it| it.customer.name = "\u{0}".to_owned()),
        without(untaxed(TaxCategory::ReverseCharge), &|it| it.customer.tax_id = None),
        without(untaxed(TaxCategory::IntraCommunity), &|it| it.customer.tax_id = None),
    ];
    let missing = [
        "the reseller has no `country` (BR-09)",
        "the customer has no `country` (BR-11)",
        "the reseller has no `tax_id` (BR-CO-26)",
        "the reseller has no `name` (BR-06)",
        "the customer has no `name` (BR-07)",
        "the customer has no `tax_id` (BR-AE-02)",
        "the customer has no `tax_id` (BR-IC-02)",
    ];
    assert_eq!(told, missing.map(|missing| format!("`2026-00042` has no ubl: {missing}; add it {ANEW}")));
    for (category, told) in [
        ("G", without(untaxed(TaxCategory::Export), &|it| it.reseller.tax_id = Some("B1".to_owned()))),
        ("K", without(untaxed(TaxCategory::IntraCommunity), &|it| it.reseller.tax_id = Some("B1".to_owned()))),
    ] {
        let expected = format!(
            "`2026-00042` has no ubl: tax category {category} needs the VAT number of the reseller, which begins with its \
             country; `B1` does not; change `tax_id` {ANEW}"
        );
        assert_eq!(told, expected);
    }
}

#[test]
fn what_the_lines_lack_is_named_with_the_way_out() {
    let mut untaxed = invoice();
    untaxed.lines[1].details.taxes.clear();
    let categories = [tax("IVA", "0", TaxCategory::Exempt, &[]), tax("IGIC", "0", TaxCategory::ZeroRated, &[])];
    for (invoice, expected) in [
        (
            untaxed,
            format!(
                "no tax applies to `AWS Support (Business)`, and each line needs a category (BR-CO-04); add a tax of a \
                 category such as Z, E or O to the customer {ANEW}"
            ),
        ),
        (
            invoice_of(vec![usage("a", "1")], &categories),
            format!(
                "`a` has taxes of the categories Z and E, and EN 16931 takes one a line; leave one to this line {ANEW}"
            ),
        ),
        (invoice_of(Vec::new(), &[standard("0.21")]), "it has no lines (BR-16); ask for another document".to_owned()),
        (
            with_currency(invoice(), "KWD", &[standard("0.21")]),
            "EN 16931 takes amounts of two decimals at most, and KWD has 3; ask for another document".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&invoice), format!("`2026-00042` has no ubl: {expected}"));
    }
}

#[test]
fn a_view_in_another_currency_has_no_ubl() {
    let invoice = invoice();
    let rate = invoice.exchange_rates.values().next().expect("a rate").clone();
    let view = CurrencyView::of(&invoice, "USD".parse().expect("a currency"), rate);
    let language = Language::for_tag(&"en".parse().expect("a tag")).expect("a language");
    let names = crate::documents::Names { view: Some(&view), ..Default::default() };
    let model = crate::documents::DocumentModel::with_names(&invoice, &language, names).expect("a model");
    let Err(DocumentError::Ubl(refused)) = render(&model) else { panic!("a view is refused") };
    assert_eq!(refused, UblRefusal::View { number: "2026-00042".to_owned() });
}
