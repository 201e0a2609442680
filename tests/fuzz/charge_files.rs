//! Charge files of every format: a file is refused with lines, columns and rules, or its charges add up to what another reader
//! finds in its columns of cost.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
};

use bigdecimal::BigDecimal;
use billrunner::{
    domain::charge_file::CheckedChargeFile,
    providers::{self, ChargeFileError, RejectedFile, check_charges_while, read_opened_charges},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

const MAX_PROBLEMS: usize = 20;
/// What a line of a log holds; a shown value has sixty characters, each of ten where it is escaped.
const MAX_PROBLEM_CHARS: usize = 2_600;
const WORDS: &[&str] = &[
    ",,",
    "\",\"",
    "\"\n\"",
    "NULL",
    "-0.0000000000000000000000000001",
    "1E-100",
    "1.5e7",
    "+1",
    "1,5",
    "1_0",
    "$1",
    "٣",
    "NaN",
    "'1",
    "2026-08-01T00:00:00Z",
    "2026-08-01 00:00:00+02",
    "08/01/2026",
    "202613",
    "0000-01-01",
    "9999-12-31",
    "EUR",
    "JPY",
    "XXX",
    "Usage",
    "Tax",
    "Credit",
    "Refund",
    "true",
    "{}",
    "[]",
    "[{\"amount\":1}]",
    "{\"product_name\":\"x\"}",
    "BilledCost",
    "cost",
    "Cost (Cost)",
    "CREDITS_0_AMOUNT",
    "\u{1f}\u{8b}",
    "payer",
    "\n,\n",
];

/// Where an input is plain text or becomes it.
fn text_of(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if input.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(input).read_to_end(&mut text)?;
    } else {
        text.extend_from_slice(input);
    }
    Ok(text)
}

fn check(provider: &str, input: &[u8]) {
    let profile = providers::find(provider).expect("a provider");
    let bytes = Bytes::copy_from_slice(input);
    let open = || Ok(Cursor::new(bytes.clone()));
    match check_charges_while(profile, open, |_| true) {
        Ok(checked) => {
            let (mut count, mut sum) = (0, BigDecimal::default());
            for row in read_opened_charges(open).expect("readable again") {
                count += 1;
                sum += row.expect("what was checked reads").charge.billed_cost;
            }
            adds_up(&checked, count, &sum, &text_of(input).expect("what was checked decompresses"));
            assert_eq!(checked.sha256, <[u8; 32]>::from(Sha256::digest(input)));
        }
        Err(ChargeFileError::Rejected(rejected)) => is_refused_by_place_and_rule(&rejected, input),
        Err(ChargeFileError::Io(error)) => panic!("memory does not fail: {error}"),
    }
}

fn adds_up(checked: &CheckedChargeFile, count: i64, sum: &BigDecimal, text: &[u8]) {
    assert_eq!(checked.charge_count, count);
    assert_eq!(checked.scopes.iter().map(|scope| scope.charge_count).sum::<i64>(), count);
    let totals = checked.scopes.iter().flat_map(|scope| scope.billed_cost.values());
    assert_eq!(totals.sum::<BigDecimal>(), *sum, "the sums by account and month");
    assert_eq!(costs_in(checked.format, text), *sum, "the columns of cost, as another reader finds them");
}

fn is_refused_by_place_and_rule(rejected: &RejectedFile, input: &[u8]) {
    // The end of what cannot be decompressed is not known.
    let lines = text_of(input).map(|text| text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1);
    let (named, more) = (rejected.problems.len(), rejected.more);
    assert!((1..=MAX_PROBLEMS).contains(&named) && (more == 0 || named == MAX_PROBLEMS), "{named} and {more} more");
    for problem in &rejected.problems {
        let line = usize::try_from(problem.line).expect("a number");
        assert!(line >= 1 && lines.as_ref().map_or(true, |lines| line <= *lines), "{problem}");
        let said = problem.to_string();
        assert!(
            !problem.rule.is_empty() && said.chars().count() <= MAX_PROBLEM_CHARS,
            "{} characters",
            said.chars().count()
        );
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}

/// Sums the columns of cost with the reader and the arithmetic of other crates.
fn costs_in(format: &str, text: &[u8]) -> BigDecimal {
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text);
    let mut records = reader.byte_records().map(|record| record.expect("CSV"));
    let written = records.find(|record| !is_blank(record)).expect("a header");
    let names: Vec<String> =
        written.iter().map(|name| known_name(format, String::from_utf8_lossy(name).trim())).collect();
    let place = |name: &str| names.iter().position(|known| known == name);
    let columns: Vec<usize> = match format {
        "focus" => vec!["BilledCost"],
        "aws-cur" => vec!["lineitemunblendedcost"],
        "azure-cost-details" => {
            let first = ["costinbillingcurrency", "cost", "pretaxcost"].into_iter().find(|name| place(name).is_some());
            vec![first.expect("a column of cost")]
        }
        "nce-reconciliation" => vec!["subtotal", "taxtotal"],
        "oci-cost-report" => vec!["cost/mycost"],
        "google-billing" => vec!["cost"],
        other => panic!("a format that this does not know: {other}"),
    }
    .into_iter()
    .map(|name| place(name).expect("a column that is required"))
    .collect();
    let credits: Vec<usize> = (0..20)
        .map(|n| format!("credits_{n}_amount"))
        .chain(["credits_amount".to_owned()])
        .filter_map(|name| place(&name))
        .collect();
    let json = place("credits").filter(|_| format == "google-billing");
    let mut sum = BigDecimal::default();
    for record in records.filter(|record| !is_blank(record)) {
        let field = |at: usize| std::str::from_utf8(&record[at]).expect("UTF-8");
        let spread = credits.iter().filter(|_| format == "google-billing");
        sum += columns.iter().chain(spread).map(|at| amount(field(*at))).sum::<BigDecimal>();
        sum += json.map(|at| amounts_in_json(field(at))).unwrap_or_default();
    }
    sum
}

fn is_blank(record: &csv::ByteRecord) -> bool {
    record.len() == 1 && record[0].is_empty()
}

fn known_name(format: &str, written: &str) -> String {
    let lower = written.to_lowercase();
    match format {
        "focus" => written.to_owned(),
        "aws-cur" => written.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect(),
        "google-billing" => {
            let words = written.to_ascii_lowercase();
            let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join("_")
        }
        "azure-cost-details" => {
            let bracketed = lower.strip_suffix(')').and_then(|name| name.rsplit_once('(')).map(|(_, name)| name);
            let english =
                bracketed.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            english.unwrap_or(&lower).split_whitespace().collect()
        }
        "nce-reconciliation" => lower.split_whitespace().collect(),
        _ => lower,
    }
}

fn amount(field: &str) -> BigDecimal {
    let number = field.trim().trim_start_matches('\'');
    if number.is_empty() || field == "NULL" { BigDecimal::default() } else { number.parse().expect("a number") }
}

fn amounts_in_json(field: &str) -> BigDecimal {
    if field.trim().is_empty() || field == "NULL" {
        return BigDecimal::default();
    }
    let credits: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(field).expect("a list of credits");
    credits.iter().map(|credit| amount(credit["amount"].get().trim_matches('"'))).sum()
}

fn focus(input: &[u8]) {
    check("focus", input);
}

fn aws(input: &[u8]) {
    check("aws", input);
}

fn google(input: &[u8]) {
    check("google", input);
}

fn azure(input: &[u8]) {
    check("microsoft", input);
}

fn nce(input: &[u8]) {
    check("microsoft-nce", input);
}

fn oci(input: &[u8]) {
    check("oracle", input);
}

#[test]
fn a_focus_file_adds_up_or_is_refused_by_place_and_rule() {
    fuzz!("focus", WORDS, focus);
}

#[test]
fn an_aws_report_adds_up_or_is_refused_by_place_and_rule() {
    fuzz!("aws", WORDS, aws);
}

#[test]
fn a_google_export_adds_up_or_is_refused_by_place_and_rule() {
    fuzz!("google", WORDS, google);
}

#[test]
fn azure_cost_details_add_up_or_are_refused_by_place_and_rule() {
    fuzz!("azure", WORDS, azure);
}

#[test]
fn a_reconciliation_file_adds_up_or_is_refused_by_place_and_rule() {
    fuzz!("nce", WORDS, nce);
}

#[test]
fn an_oci_report_adds_up_or_is_refused_by_place_and_rule() {
    fuzz!("oci", WORDS, oci);
}
