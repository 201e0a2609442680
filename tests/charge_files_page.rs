//! docs/CHARGE-FILES.md says what becomes of each file of the corpus, and which formats there are: as it is, not as it
//! was meant. `WRITE_DOCS=1 bin/test the_page_of_charge_files` writes what the page should say.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{charge::Charge, money::parse_decimal},
    providers::{self, ChargeFileError, RejectedFile, check_charge_file, read_charges},
};
use serde::Deserialize;
use serde_json::Value;

const PAGE: &str = "docs/CHARGE-FILES.md";

/// Exact sums and numbers of charges by a key such as `EUR|sub-1`.
type Sums = BTreeMap<String, (BigDecimal, i64)>;

/// What charges are summed by.
type Key<'a> = &'a dyn Fn(&Charge) -> String;

#[derive(Deserialize)]
struct ExpectedSum {
    sum: String,
    rows: i64,
}

/// What became of a file.
enum Outcome {
    Accepted { format: &'static str, charges: Vec<Charge> },
    Rejected(RejectedFile),
}

#[test]
fn the_page_of_charge_files_says_what_is_read_and_what_is_refused() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let committed = fs::read_to_string(&path)?;
    let mut page = with_section(&committed, "formats", &formats())?;
    match env::var_os("BILLRUNNER_CORPUS") {
        Some(corpus) => page = with_section(&page, "files", &files(Path::new(&corpus))?)?,
        None => writeln!(std::io::stderr(), "left out: BILLRUNNER_CORPUS does not name the folder of charge files")?,
    }
    if env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &page)?;
        return Ok(());
    }
    let mut lines = committed.lines().zip(page.lines());
    let first = lines.find(|(committed, should)| committed != should);
    assert_eq!(first, None, "{PAGE} says the first where it should say the second; write it with WRITE_DOCS=1");
    assert!(committed == page, "{PAGE} is longer or shorter than it should be; write it with WRITE_DOCS=1");
    Ok(())
}

/// Puts text between the marks of a section.
fn with_section(page: &str, section: &str, text: &str) -> Result<String> {
    let (start, end) = (format!("<!-- {section}: generated -->\n"), format!("<!-- end of {section} -->"));
    let (before, rest) = page.split_once(&start).with_context(|| format!("{PAGE} has no {start}"))?;
    let (_, behind) = rest.split_once(&end).with_context(|| format!("{PAGE} has no {end}"))?;
    Ok(format!("{before}{start}\n{text}\n{end}{behind}"))
}

fn formats() -> String {
    let mut table = vec!["| format | provider | columns that must be there |\n|---|---|---|\n".to_owned()];
    for format in providers::formats() {
        let own = |profile: &&&providers::Profile| profile.formats.iter().any(|own| own.id == format.id);
        let provider = providers::all().iter().find(own).map_or("every one", |profile| profile.id);
        let required: Vec<_> = format.required.iter().map(|names| format!("`{}`", names.join("` or `"))).collect();
        table.push(format!("| {} (`{}`) | {provider} | {} |\n", format.name, format.id, required.join(", ")));
    }
    table.concat()
}

fn files(corpus: &Path) -> Result<String> {
    let mut found = Vec::new();
    collect(corpus, &mut found)?;
    found.sort();
    assert!(!found.is_empty(), "{} holds no charge files", corpus.display());
    let mut table = vec!["| file | | format | charges | sums, or why not |\n|---|---|---|---|---|\n".to_owned()];
    for path in found {
        let name = path.strip_prefix(corpus)?.display().to_string();
        table.push(match read(&path)? {
            Outcome::Accepted { format, charges } => {
                let compared = compare(&path, &charges).with_context(|| name.clone())?;
                format!("| {name} | accepted | {format} | {} | {compared} |\n", charges.len())
            }
            Outcome::Rejected(rejected) => {
                let problem = rejected.problems.first().context("a problem")?.to_string().replace('|', "\\|");
                let others = rejected.problems.len() as u64 - 1 + rejected.more;
                let others = if others == 0 { String::new() } else { format!("; {others} more") };
                format!("| {name} | refused | | | {problem}{others} |\n")
            }
        });
    }
    Ok(table.concat())
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(&path, found)?;
        } else if name.ends_with(".csv") || name.ends_with(".csv.gz") {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads a file as one of the provider that it is of.
fn read(path: &Path) -> Result<Outcome> {
    let mut rejection = None;
    for profile in providers::all() {
        match check_charge_file(profile, path) {
            Ok(checked) => {
                let charges = read_charges(path)?.map(|row| Ok(row?.charge)).collect::<Result<_>>()?;
                return Ok(Outcome::Accepted { format: checked.format, charges });
            }
            Err(ChargeFileError::Rejected(rejected)) => {
                let is_of_another =
                    rejected.problems.iter().any(|problem| problem.rule.starts_with("this is a file of provider"));
                if !is_of_another {
                    rejection = Some(rejected);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    rejection.map(Outcome::Rejected).context("a file of no provider")
}

/// Compares the sums of a file with those that are known of it, and says so.
fn compare(path: &Path, charges: &[Charge]) -> Result<&'static str> {
    if let Ok(expected) = fs::read(format!("{}.expected.json", path.display())) {
        return compare_all(&serde_json::from_slice(&expected)?, charges);
    }
    let folder = path.parent().context("a folder")?;
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json"))?)?;
    let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
    let expected = &expected[name];
    assert_eq!(expected["expect"], "accept");
    let stands_for = |charge: &Charge| if charge.is_correction { "Correction" } else { "-" };
    let sums =
        sums(charges, |charge| format!("{}|{}|{}", charge.sub_account_id, charge.charge_category, stands_for(charge)));
    let sums: BTreeMap<_, _> = sums.into_iter().map(|(key, (sum, _))| (key, sum)).collect();
    let expected: BTreeMap<String, String> = serde_json::from_value(expected["sums"].clone()).unwrap_or_default();
    let expected = expected.into_iter().map(|(key, sum)| Ok((key, parse_decimal(&sum)?)));
    assert_eq!(sums, expected.collect::<Result<_>>()?);
    Ok("as expected")
}

fn compare_all(expected: &BTreeMap<String, Value>, charges: &[Charge]) -> Result<&'static str> {
    if !expected.contains_key("by_currency") {
        return Ok("no sums are known");
    }
    // Who wrote down the sums of CUR called services by their codes.
    let service = |charge: &Charge| {
        let code = charge.x_columns.iter().find(|(name, _)| name == "lineItem/ProductCode");
        code.map_or_else(|| charge.service_name.clone(), |(_, code)| code.clone())
    };
    let keys: [(&str, Key<'_>); 5] = [
        ("by_currency", &|_| String::new()),
        ("by_currency_subaccount", &|charge| charge.sub_account_id.clone()),
        ("by_currency_service", &service),
        ("by_currency_category", &|charge| charge.charge_category.to_string()),
        ("by_currency_subaccount_category", &|charge| format!("{}|{}", charge.sub_account_id, charge.charge_category)),
    ];
    for (name, key) in keys {
        let expected: BTreeMap<String, ExpectedSum> = serde_json::from_value(expected[name].clone())?;
        let expected = expected.into_iter().map(|(key, sum)| Ok((key, (parse_decimal(&sum.sum)?, sum.rows))));
        let (expected, found): (Sums, Sums) = (expected.collect::<Result<_>>()?, sums(charges, key));
        if expected != found {
            bail!("{name}: {found:?} instead of {expected:?}");
        }
    }
    Ok("as expected")
}

fn sums(charges: &[Charge], key: impl Fn(&Charge) -> String) -> Sums {
    let mut sums = Sums::new();
    for charge in charges {
        let key = format!("{}|{}", charge.billing_currency, key(charge));
        let (sum, rows) = sums.entry(key.trim_end_matches('|').to_owned()).or_default();
        *sum += &charge.billed_cost;
        *rows += 1;
    }
    sums
}
