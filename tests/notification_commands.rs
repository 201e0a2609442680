//! What operators ask of notifications and of the suppression list at the command line.

use anyhow::{Context as _, Result};
use billrunner::{domain::ids::NotificationId, jobs::InitialStatus, mail::sink::Fault};
use serde_json::Value;

use crate::support::{site::Site, worker::settled};

const ASKED: [&str; 4] = ["--by", "ana", "--reason", "they lost it"];

/// A site whose customers were told of their invoices: the first one's mail arrived, the second one's was refused.
struct Told {
    site: Site,
    _worker: crate::support::site::Process,
}

impl Told {
    async fn build() -> Result<Self> {
        let site = Site::build(2).await?;
        site.sink.plan_for("contact-1@example.com", [Fault::RejectRecipient]);
        let worker = site.start_worker().await?;
        site.hand_in(&site.business.bill_run(InitialStatus::Open, Some(true)), "once").await?;
        settled(site.pool()).await?;
        Ok(Self { site, _worker: worker })
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let (code, said) = self.site.run(&[arguments, &["--json"]].concat()).await?;
        anyhow::ensure!(code == Some(0), "{arguments:?} ended with {code:?}: {said}");
        Ok(serde_json::from_str(&said)?)
    }

    /// Runs a command that is refused and returns why.
    async fn refused(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let (ended, said) = self.site.run(arguments).await?;
        anyhow::ensure!(ended == Some(code), "{arguments:?} ended with {ended:?}: {said}");
        Ok(said)
    }

    async fn ids(&self, filter: &[&str]) -> Result<Vec<String>> {
        let listed = self.json(&[&["notifications", "list"], filter].concat()).await?;
        let listed = listed.as_array().context("a list")?;
        Ok(listed.iter().filter_map(|one| one["id"].as_str()).map(str::to_owned).collect())
    }

    async fn resend(&self, id: &str, more: &[&str]) -> Result<String> {
        let sent = self.json(&[&["notifications", "resend", id], &ASKED[..], more].concat()).await?;
        settled(self.site.pool()).await?;
        Ok(sent["notification_id"].as_str().context("an id")?.to_owned())
    }

    fn received_by(&self, recipient: &str) -> usize {
        self.site.sink.received().iter().filter(|mail| mail.to == [recipient]).count()
    }

    async fn history(&self, id: &str) -> Result<Vec<(String, String)>> {
        let shown = self.json(&["notifications", "show", id]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let history = shown["history"].as_array().context("a history")?;
        Ok(history.iter().map(|entry| (text(&entry["what"]), text(&entry["noted_by"]))).collect())
    }
}

#[tokio::test]
async fn notifications_are_found_by_invoice_customer_state_and_period() -> Result<()> {
    let told = Told::build().await?;
    let (sent, failed) = (told.ids(&["--state", "sent"]).await?, told.ids(&["--state", "failed"]).await?);
    assert_eq!((sent.len(), failed.len()), (1, 1));
    let both = [failed.clone(), sent.clone()].concat();
    let reseller = told.site.business.reseller_id.to_string();
    for filter in
        [&[][..], &["--reseller", &reseller], &["--state", "sent,failed"], &["--from", "2026-08", "--to", "2026-08"]]
    {
        let mut found = told.ids(filter).await?;
        found.sort_by_key(|id| both.iter().position(|known| known == id));
        assert_eq!(found, both, "{filter:?}");
    }
    let number: String = sqlx::query_scalar(
        "SELECT number FROM invoices JOIN notifications ON invoice_id = invoices.id WHERE state = 'sent'",
    )
    .fetch_one(told.site.pool())
    .await?;
    for filter in [&["--invoice", &number][..], &["--customer", "customer 000"]] {
        assert_eq!(told.ids(filter).await?, sent, "{filter:?}");
    }
    let nobody = NotificationId::new().to_string();
    for filter in [&["--from", "2026-09"][..], &["--to", "2026-07"], &["--reseller", &nobody], &["--state", "queued"]] {
        assert_eq!(told.ids(filter).await?, Vec::<String>::new(), "{filter:?}");
    }
    assert!(told.refused(2, &["notifications", "list", "--state", "lost"]).await?.contains("known: queued, sending"));
    assert!(told.refused(3, &["notifications", "show", &nobody]).await?.contains("does not exist"));
    let (_, table) = told.site.run(&["notifications", "show", &failed[0]]).await?;
    assert!(table.contains("failed: the mail server refused the mail for good (550): 5.1.1"), "{table}");
    Ok(())
}

#[tokio::test]
async fn a_person_has_a_mail_sent_again_and_both_notifications_say_who_and_why() -> Result<()> {
    let told = Told::build().await?;
    let sent = told.ids(&["--state", "sent"]).await?.remove(0);
    let again = told.resend(&sent, &[]).await?;
    let third = told.resend(&sent, &[]).await?;
    assert_eq!((told.received_by("contact-0@example.com"), told.ids(&["--state", "sent"]).await?.len()), (3, 3));
    let entry = |what: &str, by: &str| (what.to_owned(), by.to_owned());
    let path = [entry("queued", ""), entry("requested", "ana"), entry("sending", ""), entry("sent", "")];
    assert_eq!(told.history(&again).await?, path);
    assert_eq!(told.history(&third).await?, path);
    assert_eq!(told.history(&sent).await?[3..], [entry("resent", "ana"), entry("resent", "ana")]);
    let shown = told.json(&["notifications", "show", &again]).await?;
    assert_eq!(shown["history"][1]["reason"], format!("instead of {sent}: they lost it"));
    assert_ne!(shown["notification"]["message_id"], format!("<{sent}@billrunner.invalid>"), "a mail of its own");

    sqlx::query("UPDATE notifications SET state = 'uncertain'").execute(told.site.pool()).await?;
    told.resend(&sent, &[]).await?;
    sqlx::query("UPDATE notifications SET state = 'suppressed'").execute(told.site.pool()).await?;
    told.resend(&sent, &[]).await?;
    assert_eq!(told.received_by("contact-0@example.com"), 5);
    for state in ["queued", "sending"] {
        sqlx::query("UPDATE notifications SET state = $1").bind(state).execute(told.site.pool()).await?;
        let said = told.refused(4, &[&["notifications", "resend", &sent], &ASKED[..]].concat()).await?;
        assert!(said.contains(&format!("is {state}: its job is at it or will be")), "{said}");
    }
    told.refused(2, &["notifications", "resend", &sent, "--by", "ana", "--reason", " "]).await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_is_sent_again_to_contacts_only_and_to_none_that_is_suppressed() -> Result<()> {
    let told = Told::build().await?;
    let failed = told.ids(&["--state", "failed"]).await?.remove(0);
    let resend = [&["notifications", "resend", &failed], &ASKED[..]].concat();
    let said = told.refused(4, &resend).await?;
    assert!(said.contains("on the suppression list: refused: 5.1.1") && said.contains("suppressions remove"), "{said}");
    let reseller = told.site.business.reseller_id.to_string();
    let whose = ["--reseller", reseller.as_str()];
    let remove = [&["suppressions", "remove", "Contact-1@example.com"], &whose[..], &ASKED[..]].concat();
    assert_eq!(told.site.run(&remove).await?.0, Some(0));
    told.resend(&failed, &[]).await?;
    assert_eq!(told.received_by("contact-1@example.com"), 1);

    let said = told.refused(4, &[&resend[..], &["--to", "anna@example.com"]].concat()).await?;
    assert!(said.contains("`anna@example.com` is no contact of the customer") && said.contains("contact-1@"), "{said}");
    for sql in [
        "INSERT INTO contacts (reseller_id, customer_id, email)
         SELECT reseller_id, customer_id, 'anna@example.com' FROM contacts WHERE email = 'contact-1@example.com'",
        "UPDATE contacts SET enabled = false WHERE email = 'contact-1@example.com'",
    ] {
        sqlx::raw_sql(sql).execute(told.site.pool()).await?;
    }
    told.resend(&failed, &["--to", "ANNA@example.com"]).await?;
    assert_eq!(told.received_by("anna@example.com"), 1, "as the contact is written");
    assert!(told.refused(4, &resend).await?.contains("the contact is disabled"));
    Ok(())
}

#[tokio::test]
async fn the_suppression_list_is_changed_by_people_who_say_why_and_by_refusals() -> Result<()> {
    let told = Told::build().await?;
    let reseller = told.site.business.reseller_id.to_string();
    let whose = ["--reseller", reseller.as_str()];
    let add = [&["suppressions", "add", "Ben@Example.com"], &whose[..], &ASKED[..]].concat();
    for said in ["is never written to from now on", "was on the suppression list already"] {
        let (code, line) = told.site.run(&add).await?;
        assert!(code == Some(0) && line.contains(said), "{line}");
    }
    let listed = told.json(&[&["suppressions", "list"], &whose[..]].concat()).await?;
    let listed: Vec<_> =
        listed.as_array().context("a list")?.iter().map(|one| (&one["email"], &one["added_by"])).collect();
    let expected = [("ben@example.com", "ana"), ("contact-1@example.com", "send_notification")];
    assert_eq!(
        listed,
        expected.map(|(email, by)| (Value::from(email), Value::from(by))).each_ref().map(|(a, b)| (a, b))
    );
    let remove = [&["suppressions", "remove", "BEN@example.com"], &whose[..], &ASKED[..]].concat();
    assert_eq!(told.site.run(&remove).await?.0, Some(0));
    assert!(told.refused(3, &remove).await?.contains("is not on the suppression list"));
    let history = told.json(&[&["suppressions", "history"], &whose[..]].concat()).await?;
    let history: Vec<_> =
        history.as_array().context("a list")?.iter().filter_map(|one| one["action"].as_str()).collect();
    assert_eq!(history, ["remove", "add", "add"]);

    let wrong = [&["suppressions", "add", "ben\r\nRCPT TO:<x@y>"], &whose[..], &ASKED[..]].concat();
    told.refused(2, &wrong).await?;
    told.refused(2, &[&["suppressions", "add", "ben@example.com"], &whose[..], &["--reason", ""]].concat()).await?;
    let nobody = NotificationId::new().to_string();
    told.refused(3, &["suppressions", "list", "--reseller", &nobody]).await?;
    Ok(())
}
