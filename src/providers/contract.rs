//! The contract that every format of charge files keeps; a new one is covered by being in its provider's profile.
//!
//! It is tested on the samples that come with a format: whatever the order of their columns, however the file is written,
//! they are read alike, and what is wrong is named.

use std::io::Write;

use bigdecimal::BigDecimal;
use flate2::{Compression, write::GzEncoder};

use super::{
    ChargeFileError, Format, Profile, RejectedFile, all, check_charge_file, formats, read_charges, reading::Sample,
};
use crate::domain::{charge::Charge, charge_file::CheckedChargeFile, money::parse_decimal};

/// Columns and values of a row.
pub(super) type Fields = Vec<(String, String)>;

/// Columns that no format knows, and what stands in them.
const UNKNOWN: [(&str, &str); 2] = [("x_first, of ours", "a \"b\"\nc"), ("zz::unknown", "0012")];

fn samples() -> impl Iterator<Item = (&'static Format, &'static Sample)> {
    formats().flat_map(|format| format.samples.iter().map(move |sample| (format, sample)))
}

/// Returns a provider that accepts a format.
fn accepting(format: &Format) -> &'static Profile {
    all().iter().find(|profile| profile.require_format(format).is_ok()).expect("a format has a provider")
}

pub(super) fn sample_fields(sample: &Sample) -> Fields {
    sample.fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Returns a sample with other values in some columns.
pub(super) fn changed(sample: &Sample, changes: &[(&str, &str)]) -> Fields {
    let mut fields = sample_fields(sample);
    for (column, value) in changes {
        let found = fields.iter_mut().find(|(name, _)| name == column);
        found.unwrap_or_else(|| panic!("the sample has no column {column}")).1 = (*value).to_owned();
    }
    fields
}

/// Reads a file of one row, which must be accepted.
pub(super) fn charges_of(profile: &Profile, fields: &Fields) -> Vec<Charge> {
    check(profile, &plain(fields)).unwrap_or_else(|rejected| panic!("{rejected}")).1
}

/// Reads a file of one row, which must be refused.
pub(super) fn problems_of(profile: &Profile, fields: &Fields) -> Vec<String> {
    let rejected = check(profile, &plain(fields)).expect_err("refused");
    rejected.problems.iter().map(ToString::to_string).collect()
}

/// Writes a header and one row as the `csv` crate does.
fn csv_of(fields: &Fields, style: csv::QuoteStyle, terminator: csv::Terminator) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().quote_style(style).terminator(terminator).from_writer(Vec::new());
    writer.write_record(fields.iter().map(|(name, _)| name)).expect("written");
    writer.write_record(fields.iter().map(|(_, value)| value)).expect("written");
    writer.into_inner().expect("flushed")
}

fn plain(fields: &Fields) -> Vec<u8> {
    csv_of(fields, csv::QuoteStyle::Necessary, csv::Terminator::Any(b'\n'))
}

fn check(profile: &Profile, bytes: &[u8]) -> Result<(CheckedChargeFile, Vec<Charge>), RejectedFile> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("written");
    let checked = check_charge_file(profile, file.path()).map_err(|error| match error {
        ChargeFileError::Rejected(rejected) => rejected,
        ChargeFileError::Io(error) => panic!("{error}"),
    })?;
    let charges = read_charges(file.path()).expect("readable").map(|row| row.expect("a charge").charge);
    Ok((checked, charges.collect()))
}

fn read(format: &Format, bytes: &[u8]) -> Vec<Charge> {
    let (checked, charges) = check(accepting(format), bytes).unwrap_or_else(|rejected| panic!("{rejected}"));
    assert_eq!(checked.format, format.id);
    assert_eq!(checked.charge_count, i64::try_from(charges.len()).expect("few"));
    let summed: BigDecimal = checked.scopes.iter().flat_map(|scope| scope.billed_cost.values()).sum();
    assert_eq!(summed, charges.iter().map(|charge| &charge.billed_cost).sum::<BigDecimal>(), "{}", format.id);
    charges
}

fn refusal(format: &Format, bytes: &[u8]) -> Vec<String> {
    let rejected = check(accepting(format), bytes).expect_err("refused");
    rejected.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_format_has_an_id_a_name_and_a_sample() {
    let ids: std::collections::BTreeSet<_> = formats().map(|format| format.id).collect();
    assert_eq!(ids.len(), formats().count());
    for format in formats() {
        assert!(format.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        assert!(!format.name.is_empty() && !format.required.is_empty() && !format.samples.is_empty(), "{}", format.id);
    }
}

#[test]
fn a_sample_is_read_as_what_it_is() {
    for (format, sample) in samples() {
        let charges = read(format, &plain(&sample_fields(sample)));
        let cost = sample_fields(sample).into_iter().find(|(name, _)| name == sample.cost).expect("a cost").1;
        assert_eq!(charges.first().expect("a charge").billed_cost, parse_decimal(&cost).expect("a decimal"));
    }
}

#[test]
fn columns_may_stand_in_any_order() {
    for (format, sample) in samples() {
        let expected = read(format, &plain(&sample_fields(sample)));
        for turn in 0..sample.fields.len() {
            let mut turned = sample_fields(sample);
            turned.rotate_left(turn);
            assert_eq!(without_x_columns(read(format, &plain(&turned))), without_x_columns(expected.clone()));
            turned.reverse();
            assert_eq!(without_x_columns(read(format, &plain(&turned))), without_x_columns(expected.clone()));
        }
    }
}

fn without_x_columns(mut charges: Vec<Charge>) -> Vec<Charge> {
    for charge in &mut charges {
        charge.x_columns.clear();
    }
    charges
}

#[test]
fn columns_a_format_does_not_know_are_kept_for_the_detail() {
    for (format, sample) in samples() {
        let expected = read(format, &plain(&sample_fields(sample)));
        for at in [0, sample.fields.len() / 2, sample.fields.len() - 1] {
            let mut more = sample_fields(sample);
            for (name, value) in UNKNOWN {
                more.insert(at, (name.to_owned(), value.to_owned()));
            }
            let charges = read(format, &plain(&more));
            for charge in &charges {
                for (name, value) in UNKNOWN {
                    let kept = charge.x_columns.iter().find(|(column, _)| column == name);
                    assert_eq!(kept.map(|(_, kept)| kept.as_str()), Some(value), "{} {name}", format.id);
                }
            }
            assert_eq!(without_x_columns(charges), without_x_columns(expected.clone()));
        }
    }
}

#[test]
fn quotes_line_endings_byte_order_marks_and_gzip_change_nothing() {
    for (format, sample) in samples() {
        let fields = sample_fields(sample);
        let expected = read(format, &plain(&fields));
        for style in [csv::QuoteStyle::Always, csv::QuoteStyle::Necessary] {
            for terminator in [csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')] {
                let text = csv_of(&fields, style, terminator);
                let marked = ["\u{feff}".as_bytes(), text.as_slice()].concat();
                for bytes in [gzip(&text), gzip(&marked), text, marked] {
                    assert_eq!(read(format, &bytes), expected, "{}", format.id);
                }
            }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

#[test]
fn twenty_eight_decimals_stay_exact() {
    for (format, sample) in samples() {
        for cost in ["1.0000000000000000000000000001", "-1.5E-27", "12345678901234567890.1234567890123456789012345678"]
        {
            let charges = read(format, &plain(&changed(sample, &[(sample.cost, cost)])));
            assert_eq!(charges[0].billed_cost, parse_decimal(cost).expect("a decimal"), "{}", format.id);
        }
    }
}

#[test]
fn a_bad_number_currency_or_date_is_named_with_line_column_value_and_rule() {
    for (format, sample) in samples() {
        let mut bad = vec![
            (sample.cost, "$1.50", "not a decimal number"),
            (sample.cost, "1,50", "not a decimal number"),
            (sample.cost, "NaN", "not a decimal number"),
            (sample.currency, "EURO", "not an ISO 4217 currency"),
        ];
        bad.extend(sample.dates.iter().map(|date| (*date, "yesterday", "not a")));
        for (column, value, rule) in bad {
            let shown = problems_of(accepting(format), &changed(sample, &[(column, value)]));
            let [problem] = shown.as_slice() else { panic!("{}: {shown:?}", format.id) };
            let place = format!("line 2, column {column}, value `{value}`: ");
            assert!(problem.starts_with(&place) && problem.contains(rule), "{}: {problem}", format.id);
        }
    }
}

#[test]
fn a_row_shorter_than_the_header_is_refused() {
    for (format, sample) in samples() {
        let mut text = plain(&sample_fields(sample));
        text.extend_from_slice(b"alone\n");
        assert!(refusal(format, &text)[0].contains("the row has 1 fields"), "{}", format.id);
    }
}

#[test]
fn a_header_alone_is_a_file_without_charges() {
    for (format, sample) in samples() {
        let text = plain(&sample_fields(sample));
        let end = text.iter().position(|byte| *byte == b'\n').expect("a header");
        for bytes in [&text[..end], &text[..=end]] {
            assert_eq!(read(format, bytes), [], "{}", format.id);
        }
    }
}

#[test]
fn a_required_column_that_is_missing_is_named() {
    for (format, sample) in samples() {
        for names in format.required {
            let known = |name: &str| (format.to_known_name)(name);
            let is_it = |(name, _): &(String, String)| names.iter().any(|required| known(required) == known(name));
            let kept: Fields = sample_fields(sample).into_iter().filter(|field| !is_it(field)).collect();
            let shown = refusal(format, &plain(&kept)).join("\n");
            let expected = format!("line 1, column {}: required {} column is missing", names[0], format.name);
            assert!(shown.contains(&expected), "{}: {shown}", format.id);
        }
    }
}

#[test]
fn every_provider_accepts_focus_and_its_own_formats_and_says_whose_another_is() {
    for (format, sample) in samples() {
        let text = plain(&sample_fields(sample));
        let owner = all().iter().find(|profile| profile.formats.iter().any(|own| own.id == format.id));
        for profile in all() {
            if owner.is_none_or(|owner| owner.id == profile.id) {
                assert_eq!(check(profile, &text).map(|(checked, _)| checked.format), Ok(format.id), "{}", profile.id);
                continue;
            }
            let shown = check(profile, &text).expect_err("refused").to_string();
            let owner = owner.expect("not FOCUS").id;
            assert!(shown.contains(&format!("line 1: this is a file of provider `{owner}`")), "{shown}");
        }
    }
}
