//! What two parsers of other people, Python's csv module and `DuckDB`, read in our CSV files: every cell, and the invoice's
//! sums.

use std::io::Write;

use bigdecimal::BigDecimal;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    DetailedCsv, DocumentKind, DocumentModel, render,
    samples::{HOSTILE_NAMES, charge, credit_note, decimal, hostile, invoice, long_draft, model, with_references},
    test_tools::Files,
};
use crate::domain::invoice::DetailedCharge;

/// Place of the price among the columns of the CSV of lines.
const NET_COLUMN: usize = 8;
/// The same of the detailed CSV.
const PRICE_COLUMN: usize = 16;

const OPTIONS: [&str; 7] = [
    "{}",
    r#"{"byte_order_mark":false}"#,
    r#"{"delimiter":"semicolon","decimal_mark":"comma"}"#,
    r#"{"delimiter":"comma","decimal_mark":"comma"}"#,
    r#"{"delimiter":"tab"}"#,
    r#"{"delimiter":"tab","decimal_mark":"point","byte_order_mark":false}"#,
    r#"{"gzip":true}"#,
];

/// A file to read, with what it is to come to.
struct Asked {
    order: Value,
    rows: usize,
    sum: BigDecimal,
}

fn written(files: &Files, name: &str, bytes: &[u8], style: super::NumberStyle, column: usize) -> Value {
    json!({
        "path": files.write(name, bytes),
        "delimiter": char::from(style.delimiter).to_string(),
        "decimal_mark": style.decimal_mark.to_string(),
        "column": column,
    })
}

/// Charges whose texts attack each format, with prices of both signs and 28 decimals.
fn charges() -> Vec<DetailedCharge> {
    let hostile = HOSTILE_NAMES.iter().map(|name| {
        let mut charge = charge("0.0000000000000000000000000001");
        charge.charge_description = Some((*name).to_owned());
        charge.resource_name = Some(format!("\"{name}\r\n"));
        charge.tags = Some(format!("{{\"{name}\":\"\"}}"));
        charge.x_columns.insert("x_team".to_owned(), format!(",;\t{name}"));
        charge
    });
    let plain = ["1234.5", "-0.25", "0", "99999999.99"].map(charge);
    hostile.chain(plain).collect()
}

fn detailed(model: &DocumentModel, charges: &[DetailedCharge]) -> Vec<u8> {
    let mut file =
        DetailedCsv::new(Vec::new(), model, &["x_team".to_owned(), "x_UnitCost".to_owned()]).expect("a file");
    for charge in charges {
        file.write(charge).expect("a row");
    }
    file.finish().expect("the output")
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("compressed")
}

/// Returns both files of one invoice.
fn both_files(files: &Files, name: &str, model: &DocumentModel, is_compressed: bool) -> [Asked; 2] {
    let style = model.number_style;
    let lines = render(DocumentKind::Csv, model).expect("a file");
    let charges = charges();
    let detail = detailed(model, &charges);
    let (detail, ending) = if is_compressed { (compressed(&detail), ".gz") } else { (detail, "") };
    [
        Asked {
            order: written(files, &format!("{name}.csv"), &lines, style, NET_COLUMN),
            rows: model.sections.iter().map(|section| section.lines.len()).sum(),
            sum: model.subtotal.amount.value.clone(),
        },
        Asked {
            order: written(files, &format!("{name}-detail.csv{ending}"), &detail, style, PRICE_COLUMN),
            rows: charges.len(),
            sum: charges.iter().map(|charge| model.printed_value(&charge.price_exact)).sum(),
        },
    ]
}

fn told(files: &Files, orders: &[&Value]) -> Vec<Value> {
    let orders: Vec<String> = orders.iter().map(ToString::to_string).collect();
    let told = Files::tell("csv_sums.py", &[files.write("orders", orders.join("\n").as_bytes())]);
    told.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
}

#[test]
fn two_parsers_read_every_cell_of_both_csv_files_and_the_invoices_sums() {
    let files = Files::new();
    let samples = [invoice(), credit_note(), with_references(), long_draft(3, 40), hostile()];
    let mut asked = Vec::new();
    for (place, tag) in ["en", "es", "de", "ar", "ja"].into_iter().enumerate() {
        let sample = model(&samples[place], tag);
        for (number, options) in OPTIONS.into_iter().enumerate() {
            let options = serde_json::from_str(options).expect("options");
            let model = sample.clone().with_csv_options(options);
            asked.extend(both_files(&files, &format!("{tag}-{number}"), &model, options.gzip));
        }
    }
    let told = told(&files, &asked.iter().map(|asked| &asked.order).collect::<Vec<_>>());
    assert_eq!(told.len(), asked.len());
    for (told, asked) in told.iter().zip(&asked) {
        assert_eq!(told["rows"], asked.rows, "{}", asked.order);
        let sum = decimal(told["sum"].as_str().expect("a sum"));
        assert_eq!(sum, asked.sum, "{}", asked.order);
    }
}

#[test]
fn the_two_parsers_notice_a_broken_file() {
    let files = Files::new();
    let model = model(&invoice(), "en");
    let right = String::from_utf8(render(DocumentKind::Csv, &model).expect("a file")).expect("utf-8");
    let order =
        written(&files, "less.csv", right.replace("1234.50", "1234.49").as_bytes(), model.number_style, NET_COLUMN);
    let sum = decimal(told(&files, &[&order])[0]["sum"].as_str().expect("a sum"));
    assert_eq!(sum, &model.subtotal.amount.value - decimal("0.01"), "a wrong cell changes the sum");
    let open = right.replacen("Amazon Simple", "\"Amazon Simple", 1);
    let order = written(&files, "open.csv", open.as_bytes(), model.number_style, NET_COLUMN);
    let refused = std::panic::catch_unwind(|| {
        let orders = Files::new();
        told(&orders, &[&order])
    });
    assert!(refused.is_err(), "a quote that is never closed is refused");
}
