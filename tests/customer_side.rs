//! The leak proof: with a markup, no number of the reseller's side is in anything that a customer can get, in whatever form
//! it could be written.
//!
//! Invoices of every provider are made of costs that are recognised wherever they turn up; all that leaves the house is
//! gathered and searched: documents, file names, mails, the FOCUS export, what the HTTP door says of jobs.

use std::{collections::BTreeSet, io::Write};

use anyhow::{Context, Result, ensure};
use bigdecimal::{BigDecimal, RoundingMode};
use billrunner::{
    clock::Clock,
    domain::{
        customer_side::is_for_customers,
        directory::Directory,
        ids::{CustomerId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, GenerateInvoice, InitialStatus},
    providers,
    store::directory,
};
use mail_parser::{MessageParser, MimeHeaders};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use crate::{
    focus_export::export,
    support::{
        TestDatabase,
        business::{Business, PERIOD, euro},
        desk::{Desk, decimal},
        http::Door,
        import::import,
        worker::wait_for,
    },
};

/// Into the invoices' currency, as the reseller's bank has it: it is printed, as EN 16931 wants it to be.
const OWN_RATE: &str = "0.913377";
/// As the provider has it.
const RATE_OF_THE_PROVIDER: &str = "0.887612";
const CHARGES: usize = 6;

/// One charge, and every number of the reseller's side that its row holds.
struct Planted {
    currency: &'static str,
    cost: String,
    list_cost: String,
    effective_cost: String,
    list_price: String,
    contracted_price: String,
    unheard: String,
}

impl Planted {
    fn new(provider: usize, charge: usize) -> Self {
        let whole = 7_391 + 1_137 * provider + 131 * charge;
        let fraction = 571_347 + 7_919 * provider + 1_013 * charge;
        let number = |step: usize| format!("{}.{}", whole + 17 * step, fraction + 3_307 * step);
        let price = |step: usize| format!("0.0{}", fraction + 3_307 * step + 41);
        Self {
            currency: if charge.is_multiple_of(2) { "USD" } else { "EUR" },
            cost: number(0),
            list_cost: number(1),
            effective_cost: number(2),
            list_price: price(3),
            contracted_price: price(4),
            unheard: number(5),
        }
    }

    fn numbers(&self) -> [&String; 6] {
        let Self { cost, list_cost, effective_cost, list_price, contracted_price, unheard, .. } = self;
        [cost, list_cost, effective_cost, list_price, contracted_price, unheard]
    }

    /// Writes its row; the description holds a price or a cost in one of the forms that providers write.
    fn row(&self, provider: &str, charge: usize) -> String {
        let Self { currency, cost, list_cost, effective_cost, list_price, contracted_price, unheard } = self;
        let comma = cost.replace('.', ",");
        let description = match charge {
            0 => format!("${list_price} per On Demand Linux t3.small Instance Hour"),
            1 => format!("USD {list_price}/GB-month, contracted at {contracted_price}"),
            2 => format!("list {list_cost} less discount, net {cost}"),
            3 => format!("{} EUR, brutto {comma}", rounded(cost)),
            4 => format!("amortized {effective_cost} of {}", grouped(list_cost, ' ')),
            _ => "no number at all".to_owned(),
        };
        format!(
            "{cost},{currency},payer,2026-08-01,2026-09-01,Usage,2026-08-0{day}T00:00:00Z,2026-08-0{day}T01:00:00Z,\
             Service {charge},account-{provider},Account {provider},\"{description}\",{list_cost},{effective_cost},{cost},\
             {list_price},{contracted_price},{list_cost},{effective_cost},{contracted_price},{list_price},{RATE_OF_THE_PROVIDER},\
             {unheard},at ${list_price} each,12,team-{charge}\n",
            day = charge + 1,
        )
    }
}

const TITLES: &str = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
    ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,SubAccountName,ChargeDescription,ListCost,EffectiveCost,\
    ContractedCost,ListUnitPrice,ContractedUnitPrice,x_ListCost,x_EffectiveCost,x_ContractedUnitPrice,x_UnitPrice,\
    x_BillingExchangeRate,x_Unheard,x_Note,x_SkuMeterId,x_Team\n";

fn rounded(number: &str) -> String {
    decimal(number).with_scale_round(2, RoundingMode::HalfUp).to_plain_string()
}

/// Writes a number with groups of three before the point.
fn grouped(number: &str, mark: char) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut groups = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 {
            groups.push(mark);
        }
        groups.push(digit);
    }
    format!("{groups}.{fraction}")
}

/// Returns every form in which a number of the reseller's side could be written.
fn forms(number: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    let exact = decimal(number);
    let mut values = vec![exact.clone()];
    // Rounded as money is, cut as money is cut, or as prices are shown. A few digits would be found anywhere.
    for scale in [2, 3, 4, 5] {
        for mode in [RoundingMode::HalfUp, RoundingMode::Down] {
            values.push(exact.with_scale_round(scale, mode));
        }
    }
    for value in values.iter().filter(|value| value.digits() > 4) {
        let plain = value.to_plain_string();
        for point in [
            plain.clone(),
            grouped(&plain, ','),
            grouped(&plain, ' '),
            grouped(&plain, '\''),
            grouped(&plain, '\u{a0}'),
        ] {
            forms.insert(point);
        }
        for mark in ['.', ' ', '\u{a0}', '\u{202f}', '\u{2009}', '’'] {
            let marked = grouped(&plain, mark);
            if let Some((whole, fraction)) = marked.rsplit_once('.') {
                forms.insert(format!("{whole},{fraction}"));
            }
        }
        forms.insert(plain.replace('.', ","));
    }
    forms.insert(exact.to_scientific_notation());
    forms.insert(exact.to_plain_string().replace('.', ""));
    forms
}

/// Returns what is found of the reseller's side in a text: every stretch that begins and ends with a whole number is looked
/// up, so that the middle of a longer number, which is another one, is not found.
fn leaks(text: &str, secrets: &BTreeSet<String>) -> Vec<String> {
    let longest = secrets.iter().map(String::len).max().unwrap_or_default();
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut found = Vec::new();
    for start in (0..bytes.len()).filter(|at| is_digit(*at) && (*at == 0 || !is_digit(at - 1))) {
        let ends = (start + 1..=(start + longest).min(bytes.len())).filter(|end| is_digit(end - 1) && !is_digit(*end));
        let stretches = ends.filter_map(|end| text.get(start..end));
        found.extend(stretches.filter(|stretch| secrets.contains(*stretch)).map(str::to_owned));
    }
    found
}

/// A desk that has charges of every provider for one customer, with the rows' secrets.
async fn desk() -> Result<(Desk, BTreeSet<String>)> {
    let database = TestDatabase::new().await?;
    let (reseller_id, customer) = (ResellerId::new(), CustomerId::new());
    let accounts = providers::all()
        .iter()
        .map(|profile| json!({ "provider": profile.id, "account_id": format!("account-{}", profile.id) }));
    let rate = json!({ "from": "USD", "to": "EUR", "rated_on": "2026-08-31", "rate": OWN_RATE, "source": "ECB" });
    let directory: Directory = serde_json::from_value(json!({
        "reseller": { "id": reseller_id, "name": "Reseller", "tax_id": null, "email": "billing@reseller.example" },
        "customers": [{
            "id": customer, "name": "Customer", "language": "es", "currency": "EUR", "tax_id": null,
            "contacts": [{ "email": "contact@example.com", "name": "Contact" }],
            "accounts": accounts.collect::<Vec<_>>(),
            "tax_rates": [{ "name": "IVA", "rate": "0.21" }],
        }],
        "markups": [{ "customer_id": null, "provider": null, "rate": "0.125" }],
        "exchange_rates": [rate],
    }))?;
    let mut transaction = database.pool.begin().await?;
    directory::apply(&mut transaction, &directory).await?;
    transaction.commit().await?;

    let mut secrets = forms(RATE_OF_THE_PROVIDER);
    for (n, profile) in providers::all().iter().enumerate() {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(TITLES.as_bytes())?;
        let mut sum = BigDecimal::from(0);
        for charge in 0..CHARGES {
            let planted = Planted::new(n, charge);
            file.write_all(planted.row(profile.id, charge).as_bytes())?;
            sum += decimal(&planted.cost);
            secrets.extend(planted.numbers().into_iter().flat_map(|number| forms(number)));
            // At cost in the invoice's currency: what a customer without markup would pay.
            secrets.extend(forms(&(decimal(&planted.cost) * decimal(OWN_RATE)).to_plain_string()));
        }
        secrets.extend(forms(&sum.to_plain_string()));
        file.flush()?;
        import(&database.pool, reseller_id, profile.id, file.path()).await?;
    }
    let business = Business { reseller_id, customers: vec![customer] };
    Ok((Desk::of(database, business, Clock::System).await?, secrets))
}

/// All that a customer gets, each with where it comes from.
async fn gathered(desk: &Desk) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    let documents: Vec<(String, String, String)> =
        sqlx::query_as("SELECT kind, file_name, location FROM documents").fetch_all(&desk.office.pool).await?;
    ensure!(documents.len() > 2 * providers::all().len(), "{documents:?}");
    for (kind, file_name, location) in documents {
        let bytes = desk.office.context.objects.get(&location.as_str().into()).await?.bytes().await?;
        let text = if kind == "pdf" { text_of_pdf(&bytes)? } else { String::from_utf8(bytes.to_vec())? };
        ensure!(text.contains("Service 3"), "{location} is read");
        all.push((location.clone(), text));
        all.push((format!("the name of {location}"), file_name));
    }
    for mail in desk.office.sink.received() {
        let parsed = MessageParser::default().parse(&mail.content).context("a mail")?;
        all.push(("a mail's subject".to_owned(), parsed.subject().context("a subject")?.to_owned()));
        let parts = [parsed.body_text(0).context("a text")?, parsed.body_html(0).context("html")?];
        all.extend(parts.map(|part| ("a mail".to_owned(), part.into_owned())));
        let names = parsed.attachments().filter_map(|attachment| attachment.attachment_name());
        all.extend(names.map(|name| ("the name of an attachment".to_owned(), name.to_owned())));
        all.push(("a mail's source".to_owned(), String::from_utf8_lossy(&mail.content).into_owned()));
    }
    let text = export(&desk.office.pool, desk.business.reseller_id, &InvoiceStatus::ALL).await?;
    all.push(("the FOCUS export".to_owned(), text));
    Ok(all)
}

fn text_of_pdf(bytes: &[u8]) -> Result<String> {
    let document = lopdf::Document::load_mem(bytes)?;
    let pages: Vec<u32> = document.get_pages().into_keys().collect();
    Ok(document.extract_text(&pages)?)
}

#[tokio::test]
async fn no_number_of_the_resellers_side_reaches_a_customer() -> Result<()> {
    let (desk, secrets) = desk().await?;
    ensure!(secrets.len() > 10_000, "{} forms are searched for", secrets.len());
    for profile in providers::all() {
        let open = GenerateInvoice {
            provider: profile.id.to_owned(),
            currency: euro(),
            status: InitialStatus::Open,
            notify: Some(true),
            force: true,
            ..desk.business.generate(0)
        };
        desk.office.done(&open).await?;
    }
    desk.office.settled().await?;
    let first = sqlx::query_scalar("SELECT id FROM invoices ORDER BY id LIMIT 1").fetch_one(&desk.office.pool).await?;
    desk.office.done(&ChangeInvoiceStatus { notify: Some(true), ..desk.to(first, InvoiceStatus::Void) }).await?;
    desk.office.settled().await?;

    let gathered = gathered(&desk).await?;
    let mails = gathered.iter().filter(|(name, _)| name == "a mail's subject").count();
    assert_eq!(mails, providers::all().len() + 1);
    for (name, text) in &gathered {
        let found = leaks(text, &secrets);
        assert!(found.is_empty(), "{name} tells of {found:?}:\n{text}");
        // Nothing but the search failing would let this through.
        let shown = format!("{text} 8528,57 ");
        assert!(leaks(&shown, &forms("8528.5741")).len() == 1);
    }
    let (_, detail) = gathered.iter().find(|(name, _)| name.contains("detailed_csv")).context("a detail")?;
    for kept in ["On Demand Linux t3.small Instance Hour", "no number at all", "team-3", "x_SkuMeterId", "12"] {
        assert!(detail.contains(kept), "{kept} is nobody's secret:\n{detail}");
    }
    desk.close().await
}

#[tokio::test]
async fn what_the_http_door_says_of_a_failed_job_names_the_place_and_no_amount() -> Result<()> {
    let (desk, secrets) = desk().await?;
    let door =
        Door::open_to(&desk.office.pool, desk.office.streams.clone(), desk.office.registry.envelope_reader()).await?;
    let client = door.new_client(&desk.office.pool, "portal").await?;
    // Somebody wrote to the database: what the file says is not what its charges come to.
    desk.tamper("UPDATE charge_totals SET billed_cost = billed_cost + 1234.567891 WHERE charge_category = 'Usage'")
        .await?;
    let generate = GenerateInvoice { currency: euro(), ..desk.business.generate(0) };
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "portal", "type": "billrunner.invoice.generate.v1", "data": generate,
    });
    let answer = client.hand_in(&event).await?;
    let id = answer.body["id"].as_str().with_context(|| answer.body.to_string())?.to_owned();
    let (row, _) = wait_for(&desk.office.pool, id.parse()?).await?;
    let recorded = row.last_error.context("it fails")?;
    assert!(recorded.contains(|c: char| c.is_ascii_digit()), "the reseller reads the amounts: {recorded}");
    let status: Value = client.get(&format!("/v1/jobs/{id}")).await?.body;
    let said = status["last_error"].as_str().context("an error")?;
    assert!(said.starts_with("the lines do not add up to the charges in "), "{said}");
    assert!(leaks(&status.to_string(), &secrets).is_empty(), "{status}");
    assert!(!said.contains(|c: char| c.is_ascii_digit()), "{said} in {PERIOD}");
    desk.close().await
}

#[test]
fn the_search_finds_every_form() {
    let secrets = forms("7391.571347");
    for form in [
        "7391.571347",
        "7391,571347",
        "7,391.571347",
        "7.391,571347",
        "7 391,571347",
        "7\u{a0}391,57",
        "7\u{202f}391,57",
        "7'391.57",
        "7391.57",
        "7.391,57",
        "7391.5713",
        "7391571347",
    ] {
        assert_eq!(leaks(&format!("a {form};b"), &secrets).len(), 1, "{form}");
    }
    for other in ["17391.57", "7391.572", "7391.5713471", ""] {
        assert!(leaks(other, &secrets).is_empty(), "{other}");
    }
    assert!(is_for_customers("x_Team") && !is_for_customers("x_ListCost"));
}
