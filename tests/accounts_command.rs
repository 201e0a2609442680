//! Directories and unassigned accounts at the command line: what is applied, written out, refused, waived and taken back.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::support::{business::directory_of, site::Site};

struct Console {
    site: Site,
    folder: tempfile::TempDir,
    reseller: String,
}

impl Console {
    async fn open(customers: usize) -> Result<Self> {
        let site = Site::build(customers).await?;
        let reseller = site.business.reseller_id.to_string();
        Ok(Self { site, folder: tempfile::tempdir()?, reseller })
    }

    fn directory(&self) -> Value {
        directory_of(self.site.business.reseller_id, &self.site.business.customers)
    }

    fn file(&self, content: &Value) -> Result<PathBuf> {
        let path = self.folder.path().join("directory.json");
        std::fs::write(&path, serde_json::to_vec(content)?)?;
        Ok(path)
    }

    /// Applies a directory and returns exit code and what was said.
    async fn apply(&self, content: &Value) -> Result<(Option<i32>, String)> {
        let path = self.file(content)?;
        self.site.run(&["directory", &path.to_string_lossy()]).await
    }

    async fn done(&self, arguments: &[&str]) -> Result<String> {
        let all = [arguments, &["--reseller", &self.reseller]].concat();
        let (code, said) = self.site.run(&all).await?;
        ensure!(code == Some(0), "{arguments:?} ended with {code:?}: {said}");
        Ok(said)
    }

    async fn refused(&self, expected_code: i32, arguments: &[&str]) -> Result<String> {
        let all = [arguments, &["--reseller", &self.reseller]].concat();
        let (code, said) = self.site.run(&all).await?;
        ensure!(code == Some(expected_code), "{arguments:?} ended with {code:?}: {said}");
        Ok(said)
    }

    async fn export(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.done(&["directory", "export"]).await?)?)
    }

    async fn unassigned(&self) -> Result<Vec<Value>> {
        let listed: Value = serde_json::from_str(&self.done(&["accounts", "unassigned", "--json"]).await?)?;
        Ok(listed.as_array().cloned().unwrap_or_default())
    }
}

/// A directory that has all there is to have, over that of the business.
fn full(mut directory: Value) -> Value {
    directory["reseller"]["tax_id"] = "ESB1".into();
    directory["custom_fields"] = json!([
        { "key": "site", "labels": { "en": "Site", "es": "Sede" }, "position": 1, "pattern": "[A-Z]+" },
        { "key": "since", "labels": { "en-GB": "=1+1" }, "position": 0, "type": "date", "printed": false },
    ]);
    let hostile = "<b>\"quoted\" \\ \u{202e} 株式会社\u{1}";
    directory["customers"][0]["name"] = hostile.into();
    directory["customers"][0]["address"] = "one\ntwo".into();
    directory["customers"][0]["currency"] = "CHF".into();
    directory["customers"][0]["time_zone"] = "America/Argentina/Buenos_Aires".into();
    directory["customers"][0]["purchase_order"] = "PO '1'".into();
    directory["customers"][0]["fields"] = json!({ "site": "SUR", "since": "2020-02-29" });
    directory["customers"][0]["accounts"] = json!([
        { "provider": "aws", "account_id": "account-0", "valid_to": "2026-08-11" },
        { "provider": "aws", "account_id": "account-1", "valid_from": "2026-08-11", "valid_to": "2026-09-01" },
    ]);
    directory["customers"][1]["accounts"] = json!([
        { "provider": "aws", "account_id": "account-0", "valid_from": "2026-08-11" },
    ]);
    directory["customers"][1]["contacts"] = json!([{ "email": "a@example.com", "name": "A", "enabled": false }]);
    directory["markups"] = json!([
        { "customer_id": null, "provider": "google", "rate": "100" },
        { "customer_id": directory["customers"][0]["id"], "provider": null, "rate": "-0.05" },
    ]);
    directory["exchange_rates"] =
        json!([{ "from": "EUR", "to": "CHF", "rated_on": "2026-08-31", "rate": "0.9310", "source": "ECB" }]);
    directory["suppressed_addresses"] = json!([{ "email": "a@example.com", "reason": "closed" }]);
    directory["unassigned_waivers"] = json!([{
        "provider": "aws", "billing_period": "2026-08", "account_id": "account-1", "reason": "a trial", "waived_by": "ana"
    }]);
    directory
}

#[tokio::test]
async fn a_directory_that_was_written_out_is_applied_again_and_changes_nothing() -> Result<()> {
    let console = Console::open(2).await?;
    let (code, said) = console.apply(&full(console.directory())).await?;
    assert_eq!(code, Some(0), "{said}");
    let first = console.export().await?;
    let before = everything(&console).await?;
    let (code, said) = console.apply(&first).await?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(everything(&console).await?, before);
    assert_eq!(console.export().await?, first);
    // And into a database that knows none of it.
    let other = Site::build(0).await?;
    let path = console.file(&first)?;
    let (code, said) = other.run(&["directory", &path.to_string_lossy()]).await?;
    assert_eq!(code, Some(0), "{said}");
    let (_, exported) = other.run(&["directory", "export", "--reseller", &console.reseller]).await?;
    assert_eq!(serde_json::from_str::<Value>(&exported)?, first);
    // What went in is what came out, but for the order of lists.
    for (place, expected) in [
        ("/customers/0/time_zone", json!("America/Argentina/Buenos_Aires")),
        ("/customers/0/fields/since", json!("2020-02-29")),
        ("/customers/0/accounts/1/valid_to", json!("2026-09-01")),
        ("/customers/1/contacts/0/enabled", json!(false)),
        ("/custom_fields/0/labels/en-GB", json!("=1+1")),
        ("/custom_fields/1/pattern", json!("[A-Z]+")),
        ("/markups/0/rate", json!("100")),
        ("/markups/1/rate", json!("-0.05")),
        ("/exchange_rates/0/rate", json!("0.931")),
        ("/unassigned_waivers/0/waived_by", json!("ana")),
    ] {
        assert_eq!(first.pointer(place), Some(&expected), "{place}");
    }
    assert_eq!(first["customers"][0]["name"], full(console.directory())["customers"][0]["name"]);
    Ok(())
}

/// Returns every row that a directory is kept in.
async fn everything(console: &Console) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for table in [
        "resellers",
        "customers",
        "contacts",
        "provider_accounts",
        "custom_fields",
        "custom_field_values",
        "markups",
        "tax_rates",
        "exchange_rates",
        "suppressed_addresses",
        "unassigned_waivers",
        "unassigned_waiver_actions",
        "invoices",
    ] {
        let sql = format!("SELECT to_jsonb({table})::text FROM {table} ORDER BY 1");
        rows.extend(sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql)).fetch_all(console.site.pool()).await?);
    }
    Ok(rows)
}

fn held(account: &str, from: Option<&str>, to: Option<&str>) -> Value {
    json!([{ "provider": "aws", "account_id": account, "valid_from": from, "valid_to": to }])
}

/// A place, what is wrong there, and what is said about it.
type Wrong = (&'static str, Value, &'static str);

fn wrong_customers() -> Vec<Wrong> {
    vec![
        (
            "/customers/0/time_zone",
            json!("Mars/Olympus"),
            "customers[0].time_zone: `Mars/Olympus` is not an IANA time zone",
        ),
        ("/customers/0/language", json!("español"), "`español` is not a BCP 47 language tag"),
        ("/customers/0/accounts/0/provider", json!("acw"), "names the provider `acw`; known: aws, google"),
        (
            "/customers/0/accounts",
            held("account-1", None, None),
            "account `aws/account-1` is `Customer 000`'s and `Customer 001`'s on any day; end one assignment",
        ),
        (
            "/customers/0/accounts",
            held("account-1", Some("2026-08-01"), None),
            "account `aws/account-1` is `Customer 001`'s and `Customer 000`'s on 2026-08-01; end one assignment",
        ),
        (
            "/customers/0/accounts",
            held("new", Some("2026-08-01"), Some("2026-08-01")),
            "account `aws/new` of `Customer 000` is held from 2026-08-01 to 2026-08-01, which is no day",
        ),
        ("/customers/0/accounts", held("new", Some("0206-08-01"), None), "has the day 0206-08-01; write one from"),
        ("/customers/0/accounts", held(" ", None, None), "an account id of `Customer 000` has 1 characters"),
    ]
}

fn wrong_terms() -> Vec<Wrong> {
    vec![
        ("/customers/0/fields", json!({ "site": "x" }), "the custom field `site`, which is not defined; add it to"),
        (
            "/customers/0/purchase_order",
            json!("x".repeat(81)),
            "the purchase order of `Customer 000` has 81 characters",
        ),
        ("/customers/0/tax_rates/0/rate", json!("-0.1"), ": tax `IVA` is -0.1; write 0 or more"),
        ("/markups/0/rate", json!("-1"), "the markup -1 makes no price; write a share over -1"),
        ("/markups/0/provider", json!("acw"), "a markup names the provider `acw`; known: aws"),
        (
            "/markups/0/customer_id",
            json!("0199a000-0000-7000-8000-00000000dead"),
            "a price is for customer 0199a000-0000-7000-8000-00000000dead, who is not one of the reseller's; add",
        ),
        (
            "/custom_fields",
            json!([{ "key": "a", "labels": { "en": "A" }, "position": 1 }, { "key": "b", "labels": { "en": "B" }, "position": 1 }]),
            "custom fields `a` and `b` have the same position 1; give each its own",
        ),
        ("/custom_fields", json!([{ "key": "a", "labels": {}, "position": 1 }]), "custom field `a` has no label"),
        ("/customers/0/colour", json!("red"), "customers[0].colour: unknown field `colour`"),
    ]
}

#[tokio::test]
async fn a_directory_that_is_wrong_is_refused_whole_with_the_place_the_value_and_the_way_out() -> Result<()> {
    let console = Console::open(2).await?;
    let before = everything(&console).await?;
    for (place, value, expected) in wrong_customers().into_iter().chain(wrong_terms()) {
        let mut directory = console.directory();
        directory["custom_fields"] = json!([]);
        let (parent, key) = place.rsplit_once('/').expect("a place");
        let parent = directory.pointer_mut(parent).expect("a place");
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
        let (code, said) = console.apply(&directory).await?;
        assert!(matches!(code, Some(2 | 4)), "{place}: {code:?} {said}");
        assert!(said.contains(expected), "{place}: {said}");
        assert_eq!(everything(&console).await?, before, "{place}");
    }
    let mut twice = console.directory();
    twice["customers"][1]["id"] = twice["customers"][0]["id"].clone();
    let (code, said) = console.apply(&twice).await?;
    assert_eq!(code, Some(2));
    assert!(said.contains(" stands twice; name it once"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_customers_need_who_are_not_named_is_not_taken_from_them() -> Result<()> {
    let console = Console::open(2).await?;
    let whole = full(console.directory());
    assert_eq!(console.apply(&whole).await?.0, Some(0));
    let exported = console.export().await?;
    let mut part = whole.clone();
    part["customers"].as_array_mut().expect("a list").remove(0);
    part["markups"] = json!([]);

    part["custom_fields"].as_array_mut().expect("a list").remove(0);
    let (code, said) = console.apply(&part).await?;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("custom field `site` would no longer take `SUR`, which `<b>"), "{said}");
    part["custom_fields"] = whole["custom_fields"].clone();
    part["custom_fields"][0]["pattern"] = "[a-z]+".into();
    assert!(console.apply(&part).await?.1.contains("custom field `site` would no longer take `SUR`"));
    part["custom_fields"] = whole["custom_fields"].clone();

    part["customers"][0]["accounts"] = json!([{ "provider": "aws", "account_id": "account-0" }]);
    let (code, said) = console.apply(&part).await?;
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("account `aws/account-0` is held by `<b>") && said.contains("until before 2026-08-11"),
        "{said}"
    );
    assert_eq!(console.export().await?, exported, "refused, it changes nothing");

    part["customers"] = json!([]);
    assert_eq!(console.apply(&part).await?.0, Some(0));
    let kept = console.export().await?;
    assert_eq!(kept["customers"], exported["customers"], "who is not named stays as they are");
    let missing =
        console.site.run(&["directory", "export", "--reseller", "0199a000-0000-7000-8000-00000000dead"]).await?;
    assert_eq!(missing.0, Some(3), "{}", missing.1);
    Ok(())
}

#[tokio::test]
async fn unassigned_accounts_are_listed_waived_and_taken_back_with_reason_and_name() -> Result<()> {
    let console = Console::open(2).await?;
    let mut directory = console.directory();
    directory["customers"][0]["accounts"][0]["valid_to"] = "2026-08-05".into();
    directory["customers"][1]["accounts"] = json!([]);
    assert_eq!(console.apply(&directory).await?.0, Some(0));
    let listed = console.unassigned().await?;
    let shown: Vec<_> = listed
        .iter()
        .map(|account| {
            let cost: bigdecimal::BigDecimal = account["cost_exact"].as_str().unwrap_or_default().parse()?;
            Ok((account["account_id"].as_str(), cost.normalized().to_plain_string(), account["charge_count"].as_i64()))
        })
        .collect::<Result<_>>()?;
    let expected = [(Some("account-0"), "10".to_owned(), Some(2)), (Some("account-1"), "20".to_owned(), Some(2))];
    assert_eq!(shown, expected);
    assert!(listed.iter().all(|account| account["waived_by"].is_null() && account["billing_period"] == "2026-08"));

    let which = ["account-1", "--provider", "aws", "--period", "2026-08"];
    let by = ["--reason", "a trial", "--by", "ana"];
    let said = console.refused(2, &[&["accounts", "waive"], &which[..], &["--reason", " "]].concat()).await?;
    assert!(said.contains("neither may be empty"), "{said}");
    let nothing = ["account-7", "--provider", "aws", "--period", "2026-08"];
    let said = console.refused(3, &[&["accounts", "waive"], &nothing[..], &by].concat()).await?;
    assert!(
        said.contains("account `account-7` at aws in 2026-08 has no unassigned charges; `billrunner accounts"),
        "{said}"
    );
    let said = console.refused(3, &[&["accounts", "take-back"], &which[..], &by].concat()).await?;
    assert!(said.contains("account `account-1` at aws in 2026-08 is not waived"), "{said}");

    let said = console.done(&[&["accounts", "waive"], &which[..], &by].concat()).await?;
    assert!(said.contains("account `account-1` at aws in 2026-08 is waived"), "{said}");
    let said = console.done(&[&["accounts", "waive"], &which[..], &by].concat()).await?;
    assert!(said.contains("was waived already"), "{said}");
    let waived = console.unassigned().await?;
    assert_eq!((&waived[1]["waived_by"], &waived[1]["reason"]), (&json!("ana"), &json!("a trial")));
    assert!(waived[0]["waived_by"].is_null());
    let blocking = console.done(&["accounts", "unassigned", "--blocking"]).await?;
    assert!(blocking.contains("account-0") && !blocking.contains("account-1"), "{blocking}");

    console.done(&[&["accounts", "take-back"], &which[..], &["--reason", "no trial", "--by", "ben"]].concat()).await?;
    assert!(console.unassigned().await?.iter().all(|account| account["waived_by"].is_null()));
    let history: Value = serde_json::from_str(&console.done(&["accounts", "waivers", "--json"]).await?)?;
    let told: Vec<_> = history
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| (row["action"].as_str(), row["done_by"].as_str(), row["reason"].as_str()))
        .collect();
    let expected = [("take_back", "ben", "no trial"), ("waive", "ana", "a trial")];
    assert_eq!(told, expected.map(|(action, by, reason)| (Some(action), Some(by), Some(reason))));

    let first = ["account-0", "--provider", "aws", "--period", "2026-08"];
    console.done(&[&["accounts", "waive"], &first[..], &by].concat()).await?;
    let blocking = console.done(&["accounts", "unassigned", "--blocking", "--limit", "1"]).await?;
    assert!(blocking.contains("account-1"), "what is waived takes no place in the list: {blocking}");
    Ok(())
}
