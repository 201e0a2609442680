//! Alert rules: promtool says that each is raised when it must be, and each leads to a page that says what to do.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use regex::Regex;

fn read(file: &str) -> Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).with_context(|| file.to_owned())
}

#[test]
fn every_alert_is_raised_when_it_must_be_and_no_sooner() -> Result<()> {
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules", "ops/alerts_test.yaml"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = promtool.output().context("promtool does not start; run bin/setup --tests")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

#[test]
fn every_alert_is_tested_and_leads_to_a_page_that_says_what_to_do() -> Result<()> {
    let (rules, tests, page) = (read("ops/alerts.yaml")?, read("ops/alerts_test.yaml")?, read("docs/OPERATING.md")?);
    let names: Vec<&str> =
        Regex::new(r"- alert: (\w+)\n")?.captures_iter(&rules).map(|found| found.extract::<1>().1[0]).collect();
    ensure!(names.len() > 10, "only {names:?} are read from the rules");
    for name in names {
        let raised = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels:");
        let quiet = format!("alertname: {name}\n        exp_alerts: []");
        ensure!(tests.contains(&raised) && tests.contains(&quiet), "{name} is not tested both ways");
        let link = format!("docs/OPERATING.md#{}\n", name.to_lowercase());
        ensure!(rules.contains(&link), "{name} does not link to its page");
        ensure!(page.contains(&format!("\n### {name}\n")), "docs/OPERATING.md does not say what to do about {name}");
    }
    Ok(())
}
