//! Measures the rendering of a small, a large and a huge invoice in processor time: `cargo bench --bench documents`.
//! `-- --write FOLDER` writes small invoices as JSON and HTML instead, for others to render, and `-- --small RUNS` measures
//! the PDF of the small one alone: both are for compare.py. What is measured and how to read it: README.md beside this file.

#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::{collections::BTreeMap, error::Error, fs, hint::black_box, path::Path, time::Duration};

use bigdecimal::BigDecimal;
use billrunner::{
    documents::{self, DetailedCsv, DocumentModel},
    domain::{
        charge::ChargeCategory,
        document::DocumentKind,
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice::{DetailedCharge, Invoice, InvoiceKind, Line, LineDetails, PartyDetails, TaxAmount},
        invoice_status::InvoiceStatus,
        pricing::FrozenRules,
    },
    language::Language,
};
use chrono::DateTime;

const LINES_A_SECTION: i64 = 100;

const SMALL: i64 = 20;
/// Invoices that are written for others: each another one, as what was laid out before is remembered by some.
const WRITTEN: i64 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let language = Language::for_tag(&"es".parse()?)?;
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure_all(&language),
        ["--write", folder] => write(Path::new(folder), &language),
        ["--small", runs] => measure_small(runs.parse()?, &language),
        _ => Err("either nothing, or --write FOLDER, or --small RUNS".into()),
    }
}

/// Prints the processor time of one PDF, model and all, in nanoseconds.
fn measure_small(runs: u32, language: &Language) -> Result<(), Box<dyn Error>> {
    let invoices: Vec<Invoice> = (0..WRITTEN).map(|first| invoice(first, SMALL)).collect::<Result<_, _>>()?;
    let mut next = invoices.iter().cycle();
    let mut render = || -> Result<Vec<u8>, Box<dyn Error>> {
        let model = DocumentModel::new(next.next().ok_or("an invoice")?, language)?;
        Ok(documents::render(DocumentKind::Pdf, &model)?)
    };
    render()?;
    let start = processor_time();
    for _ in 0..runs {
        black_box(render()?);
    }
    println!("{}", processor_time().saturating_sub(start).as_nanos() / u128::from(runs));
    Ok(())
}

fn write(folder: &Path, language: &Language) -> Result<(), Box<dyn Error>> {
    for first in 0..WRITTEN {
        let model = DocumentModel::new(&invoice(first, SMALL)?, language)?;
        for kind in [DocumentKind::Json, DocumentKind::Print, DocumentKind::Pdf] {
            let name = format!("{first}.{}", kind.extension());
            fs::write(folder.join(name), documents::render(kind, &model)?)?;
        }
    }
    Ok(())
}

fn measure_all(language: &Language) -> Result<(), Box<dyn Error>> {
    for (lines, runs) in [(SMALL, 500_u32), (2_000, 20), (50_000, 2)] {
        let invoice = invoice(0, lines)?;
        println!("{lines} lines");
        let model = timed("model", runs, || DocumentModel::new(&invoice, language))?.0;
        for kind in [DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print, DocumentKind::Json] {
            let before = peak_memory_kilobytes()?;
            let (bytes, each) = timed(kind.as_str(), runs, || documents::render(kind, &model))?;
            println!("  {:>14} bytes, {:.0} documents/s", bytes.len(), 1.0 / each.as_secs_f64());
            println!("  {:>14} kB of memory at most, {before} before", peak_memory_kilobytes()?);
            if kind == DocumentKind::Pdf {
                let pages = lopdf::Document::load_mem(&bytes)?.get_pages().len();
                let rate = f64::from(u32::try_from(pages)?) / each.as_secs_f64();
                println!("  {pages:>14} pages, {rate:.0} pages/s");
            }
        }
        let charge = charge();
        timed("detailed_csv, as many charges", runs, || {
            let mut file = DetailedCsv::new(std::io::sink(), &model, &[])?;
            (0..lines).try_for_each(|_| file.write(black_box(&charge)))?;
            file.finish()
        })?;
    }
    Ok(())
}

/// Runs the work once to warm up, then so many times, and returns what it made and the processor time of one run.
fn timed<T, E>(name: &str, runs: u32, work: impl Fn() -> Result<T, E>) -> Result<(T, Duration), E> {
    let result = work()?;
    let start = processor_time();
    for _ in 0..runs {
        black_box(work()?);
    }
    let each = processor_time().saturating_sub(start) / runs;
    println!("  {name:<32} {each:>12.3?}");
    Ok((result, each))
}

/// Returns what this thread has used of a processor (Linux, proc(5)): other load on the machine changes it little.
fn processor_time() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// Returns the most memory that this process has had (Linux, proc(5)).
fn peak_memory_kilobytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Makes an invoice whose lines begin at a place, so that each place gives another one.
fn invoice(first: i64, lines: i64) -> Result<Invoice, Box<dyn Error>> {
    let party = |name: &str| PartyDetails {
        name: name.to_owned(),
        tax_id: Some("ESB12345678".to_owned()),
        address: "Calle Mayor 1\n41004 Sevilla\nEspaña".to_owned(),
        ..PartyDetails::default()
    };
    let lines: Vec<Line> = (first..first + lines).map(line).collect::<Result<_, _>>()?;
    let subtotal: BigDecimal = lines.iter().map(|line| &line.net).sum();
    Ok(Invoice {
        reseller_id: ResellerId::default(),
        id: InvoiceId::default(),
        customer_id: CustomerId::default(),
        provider: "aws".to_owned(),
        billing_period: "2026-08".parse()?,
        currency: "EUR".parse()?,
        kind: InvoiceKind::Invoice,
        status: InvoiceStatus::Open,
        version: 1,
        document_id: format!("DOC-{first:06}"),
        number: Some(format!("2026-{first:05}")),
        issued_on: None,
        language: "es".parse()?,
        reseller: party("Nubes del Sur, S.L."),
        customer: party("Panadería Hermanos Muñoz, S.A."),
        frozen_rules: FrozenRules::default(),
        exact_subtotal: subtotal.clone(),
        taxes: vec![TaxAmount { name: "IVA".to_owned(), base: subtotal.clone(), ..TaxAmount::default() }],
        total: subtotal.clone(),
        subtotal,
        tax: BigDecimal::default(),
        rounding_delta: BigDecimal::default(),
        excluded_tax: BTreeMap::new(),
        zero_line_count: 0,
        charge_count: 0,
        stale: false,
        replaces: None,
        created_at: DateTime::UNIX_EPOCH,
        opened_at: None,
        lines,
        exchange_rates: BTreeMap::new(),
    })
}

fn line(index: i64) -> Result<Line, Box<dyn Error>> {
    let net = BigDecimal::new((index * 7919 % 10_000_000).into(), 2);
    Ok(Line {
        section_id: format!("{:012}", index / LINES_A_SECTION),
        section_name: format!("Cuenta {}", index / LINES_A_SECTION),
        description: format!("Amazon Elastic Compute Cloud, instance type {index}"),
        charge_category: Some(ChargeCategory::Usage),
        correction_of: None,
        cost_currency: "EUR".parse()?,
        cost_exact: net.clone(),
        exchange_rate: 1.into(),
        price_exact: net.clone(),
        net,
        charge_count: index % 5000,
        details: LineDetails { taxes: vec![0], ..LineDetails::default() },
    })
}

fn charge() -> DetailedCharge {
    DetailedCharge {
        sub_account_id: "012345678901".to_owned(),
        sub_account_name: Some("Producción".to_owned()),
        service_name: "Amazon Simple Storage Service".to_owned(),
        service_category: Some("Storage".to_owned()),
        charge_category: ChargeCategory::Usage,
        is_correction: false,
        charge_description: Some("$0.023 per GB - first 50 TB / month of storage used".to_owned()),
        charge_period_start: DateTime::UNIX_EPOCH,
        charge_period_end: DateTime::UNIX_EPOCH,
        consumed_quantity: Some(BigDecimal::new(15.into(), 1)),
        consumed_unit: Some("GB".to_owned()),
        region_id: Some("eu-west-1".to_owned()),
        resource_id: Some("arn:aws:s3:::a-bucket".to_owned()),
        resource_name: None,
        sku_id: Some("SKU123".to_owned()),
        tags: Some("{\"env\":\"prod\"}".to_owned()),
        x_columns: BTreeMap::new(),
        price_exact: BigDecimal::new(123_456_789_012_345_i64.into(), 16),
    }
}
