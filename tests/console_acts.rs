//! What people do through the console's pages: it takes a role and a reason, is recorded with it, and happens.

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        console_access::Role,
        ids::{InvoiceId, JobId},
    },
    jobs::{DiscardInvoice, InitialStatus},
};
use sqlx::FromRow;

use crate::support::{
    console::{Browser, Desktop},
    desk::Desk,
    worker::wait_for,
};

const WHY: (&str, &str) = ("reason", "as a test asks");

/// A desk with its console, an operator and a viewer at it.
struct Watch {
    desk: Desk,
    operator: Browser,
    viewer: Browser,
    _desktop: Desktop,
}

/// An action as it was recorded.
#[derive(Debug, PartialEq, FromRow)]
struct Recorded {
    done_by: String,
    action: String,
    subject: Option<String>,
    reason: String,
}

impl Watch {
    async fn of(desk: Desk) -> Result<Self> {
        let pool = &desk.office.pool;
        let desktop = Desktop::open_with(pool, None, |console| console.with_mail_domain("test.example")).await?;
        Ok(Self {
            operator: desktop.log_in_as(pool, "operator", Role::Operator).await?,
            viewer: desktop.log_in_as(pool, "viewer", Role::Viewer).await?,
            _desktop: desktop,
            desk,
        })
    }

    /// Sends a form that is done, and returns where it leads.
    async fn done(&self, path: &str, fields: &[(&str, &str)]) -> Result<String> {
        let answer = self.operator.post(path, fields).await?;
        ensure!(answer.status == 303, "{path} is {}: {}", answer.status, answer.text());
        Ok(answer.header("location").context("it leads somewhere")?.to_owned())
    }

    /// Returns what was recorded of subjects, oldest first.
    async fn recorded(&self) -> Result<Vec<Recorded>> {
        let sql = "SELECT done_by, action, subject, reason FROM operator_actions WHERE subject IS NOT NULL ORDER BY id";
        Ok(sqlx::query_as(sql).fetch_all(&self.desk.office.pool).await?)
    }

    async fn one<T>(&self, sql: &'static str) -> Result<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.desk.office.pool).await?)
    }

    /// Checks that a form takes an operator and a reason, and that without them nothing is recorded or handed in.
    async fn is_guarded(&self, path: &str, fields: &[(&str, &str)]) -> Result<()> {
        let count = "SELECT (SELECT count(*) FROM operator_actions) + (SELECT count(*) FROM suppression_actions)
                          + (SELECT count(*) FROM jobs)";
        let before: i64 = self.one(count).await?;
        let refused = self.viewer.post(path, &[fields, &[WHY]].concat()).await?;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        for no_reason in [&[][..], &[("reason", " ")]] {
            let refused = self.operator.post(path, &[fields, no_reason].concat()).await?;
            assert_eq!(refused.status, 422, "{path}: {}", refused.text());
        }
        assert_eq!(self.one::<i64>(count).await?, before, "{path}");
        Ok(())
    }
}

fn recorded(action: &str, subject: &str) -> Recorded {
    Recorded {
        done_by: "operator".to_owned(),
        action: action.to_owned(),
        subject: Some(subject.to_owned()),
        reason: WHY.1.to_owned(),
    }
}

#[tokio::test]
async fn a_decision_on_a_group_of_dead_jobs_is_recorded_and_carried_out_by_a_job() -> Result<()> {
    let watch = Watch::of(Desk::open(1).await?).await?;
    let reseller_id = watch.desk.business.reseller_id;
    for _ in 0..2 {
        let nothing = DiscardInvoice { reseller_id, invoice_id: InvoiceId::new(), reason: None };
        watch.desk.office.run(&nothing).await?;
    }
    watch
        .desk
        .execute("UPDATE jobs SET state = 'dead', last_error = 'no invoice ' || id || ' in 7 places' WHERE kind = 'discard_invoice'")
        .await?;
    let other = "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                                   requested_by, finished_at, last_error)
                 VALUES (gen_random_uuid(), 'discard_invoice', 'status', '{}', 'test', 'other', '', 'dead', 1, now(), 'test', now(), 'other')";
    watch.desk.execute(other).await?;
    let group =
        [("kind", "discard_invoice"), ("error", "no invoice <id> in # places"), ("until", "2100-01-01T00:00:00Z")];
    let discard = [&group[..], &[("decision", "discard")]].concat();
    watch.is_guarded("/dead/decide", &discard).await?;
    assert_eq!(
        watch.operator.post("/dead/decide", &[&group[..], &[("decision", "burn"), WHY]].concat()).await?.status,
        422
    );
    let leads = watch.done("/dead/decide", &[&discard[..], &[WHY]].concat()).await?;
    let id: JobId = leads.strip_prefix("/bulk/").context("a job")?.parse()?;
    let (job, _) = wait_for(&watch.desk.office.pool, id).await?;
    assert_eq!((job.state.as_str(), job.requested_by.as_str()), ("done", "operator"));
    let left: Vec<String> = sqlx::query_scalar("SELECT last_error FROM jobs WHERE state = 'dead'")
        .fetch_all(&watch.desk.office.pool)
        .await?;
    assert_eq!(left, ["other"]);
    assert_eq!(watch.recorded().await?, [recorded("discard", "dead_letters/discard_invoice")]);
    let each: i64 = watch
        .one("SELECT count(*) FROM operator_actions WHERE action = 'discard' AND done_by = 'operator' AND job_id IS NOT NULL")
        .await?;
    assert_eq!(each, 2);
    let late = watch.operator.post("/dead/decide", &[&discard[..], &[WHY]].concat()).await?;
    assert_eq!(late.status, 409, "{}", late.text());
    watch.desk.close().await
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_and_started_with_its_record() -> Result<()> {
    let watch = Watch::of(Desk::open(1).await?).await?;
    let path = |what: &str| format!("/schedules/{what}/prune-jobs");
    for what in ["run", "pause", "resume"] {
        watch.is_guarded(&path(what), &[]).await?;
    }
    assert_eq!(watch.operator.post(&path("resume"), &[WHY]).await?.status, 409);
    assert_eq!(watch.done(&path("pause"), &[WHY]).await?, "/schedules");
    assert_eq!(watch.operator.post(&path("pause"), &[WHY]).await?.status, 409);
    let page = watch.viewer.page("/schedules").await?;
    assert!(
        page.contains("Paused by <bdi>operator</bdi>: <bdi>as a test asks</bdi>")
            && page.contains("when it is resumed"),
        "{page}"
    );
    assert_eq!(watch.done(&path("resume"), &[WHY]).await?, "/schedules");
    let leads = watch.done(&path("run"), &[WHY]).await?;
    let id: JobId = leads.strip_prefix("/jobs/").context("a job")?.parse()?;
    let (job, _) = wait_for(&watch.desk.office.pool, id).await?;
    assert_eq!((job.kind.as_str(), job.requested_by.as_str()), ("prune_jobs", "operator"));
    let subject = "schedule/prune-jobs";
    let all = ["pause", "resume", "run"].map(|action| recorded(action, subject));
    assert_eq!(watch.recorded().await?, all);
    assert_eq!(watch.operator.post("/schedules/run/no/such", &[WHY]).await?.status, 404);
    let page = watch.viewer.page("/schedules").await?;
    assert!(page.contains(&format!("/jobs/{id}")) && page.contains("17 * * * *"), "{page}");
    watch.desk.close().await
}

#[tokio::test]
async fn a_bill_run_shows_its_proof_and_only_one_that_runs_is_cancelled() -> Result<()> {
    let watch = Watch::of(Desk::with_drafts(2).await?).await?;
    let list = watch.viewer.page("/bill-runs").await?;
    assert!(list.contains("2026-08") && list.contains("state-complete"), "{list}");
    let id: uuid::Uuid = watch.one("SELECT id FROM bill_runs").await?;
    let path = format!("/bill-runs/{id}");
    let page = watch.viewer.page(&path).await?;
    for said in ["proved complete", "<strong class=\"number\">2</strong> of 2 jobs are over", "payer", ">yes</span>"] {
        assert!(page.contains(said), "`{said}` is not in {page}");
    }
    assert!(!page.contains("hx-get") && !page.contains("/cancel"), "what is over does not move: {page}");
    let cancel = format!("{path}/cancel");
    watch.is_guarded(&cancel, &[]).await?;
    assert_eq!(watch.operator.post(&cancel, &[WHY]).await?.status, 409);
    watch.desk.execute("UPDATE bill_runs SET state = 'running', finished_at = NULL").await?;
    let page = watch.operator.page(&path).await?;
    assert!(page.contains("hx-trigger=\"every 2s\"") && page.contains("Cancel this run"), "{page}");
    assert_eq!(watch.done(&cancel, &[WHY]).await?, path);
    assert_eq!(
        watch.one::<String>("SELECT cancelled_by || ': ' || cancel_reason FROM bill_runs").await?,
        "operator: as a test asks"
    );
    assert_eq!(watch.recorded().await?, [recorded("cancel", &format!("bill_run/{id}"))]);
    let planned =
        billrunner::jobs::StartBillRun { dry_run: true, ..watch.desk.business.bill_run(InitialStatus::Draft, None) };
    watch.desk.office.done(&planned).await?;
    assert!(watch.viewer.page("/bill-runs").await?.contains("Dry runs"));
    watch.desk.close().await
}

#[tokio::test]
async fn a_mail_is_sent_again_to_a_contact_and_nobody_else() -> Result<()> {
    let watch = Watch::of(Desk::open(1).await?).await?;
    watch.desk.office.done(&watch.desk.business.bill_run(InitialStatus::Open, Some(true))).await?;
    watch.desk.office.settled().await?;
    let id: uuid::Uuid = watch.one("SELECT id FROM notifications").await?;
    let (path, again) = (format!("/notifications/{id}"), format!("/notifications/{id}/resend"));
    let page = watch.operator.page(&path).await?;
    assert!(page.contains("contact-0@example.com") && page.contains("Send it again"), "{page}");
    assert!(!watch.viewer.page(&path).await?.contains("/resend"));
    let to = [("to", "contact-0@example.com")];
    watch.is_guarded(&again, &to).await?;
    let stranger = watch.operator.post(&again, &[("to", "eve@example.com"), WHY]).await?;
    assert!(stranger.status == 409 && stranger.text().contains("no contact of the customer"), "{}", stranger.text());
    let leads = watch.done(&again, &[to[0], WHY]).await?;
    watch.desk.office.settled().await?;
    assert_eq!(watch.desk.office.sink.received().len(), 2);
    let page = watch.viewer.page(&leads).await?;
    assert!(page.contains("state-sent") && page.contains("operator"), "{page}");
    assert_eq!(watch.recorded().await?, [recorded("resend", &format!("notification/{id}"))]);
    let domain: String =
        watch.one("SELECT split_part(message_id, '@', 2) FROM notifications ORDER BY created_at DESC LIMIT 1").await?;
    assert_eq!(domain, "test.example>");
    watch.desk.close().await
}

#[tokio::test]
async fn an_address_is_put_on_the_suppression_list_and_taken_off_with_a_reason() -> Result<()> {
    let watch = Watch::of(Desk::open(1).await?).await?;
    let reseller = watch.desk.business.reseller_id.to_string();
    let (add, remove) = ("/notifications/suppressions/add", "/notifications/suppressions/remove");
    let fields = [("reseller", reseller.as_str()), ("address", "Gone@Example.com")];
    watch.is_guarded(add, &fields).await?;
    watch.is_guarded(remove, &fields).await?;
    let said = [fields[0], fields[1], WHY];
    watch.done(add, &said).await?;
    assert_eq!(watch.operator.post(add, &said).await?.status, 409);
    assert_eq!(watch.operator.post(add, &[fields[0], ("address", "nobody"), WHY]).await?.status, 422);
    let page = watch.viewer.page("/notifications/suppressions").await?;
    assert!(page.contains("gone@example.com") && page.contains("as a test asks"), "{page}");
    watch.done(remove, &said).await?;
    assert_eq!(watch.operator.post(remove, &said).await?.status, 409);
    let done: Vec<(String, String, String)> =
        sqlx::query_as("SELECT action, done_by, reason FROM suppression_actions ORDER BY id")
            .fetch_all(&watch.desk.office.pool)
            .await?;
    let entry = |action: &str| (action.to_owned(), "operator".to_owned(), WHY.1.to_owned());
    assert_eq!(done, [entry("add"), entry("remove")]);
    watch.desk.close().await
}

/// Keeps anybody's acts from being recorded.
const NOTHING_IS_RECORDED: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no record today'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON operator_actions FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT ON suppression_actions FOR EACH ROW EXECUTE FUNCTION refuse();
    UPDATE bill_runs SET state = 'running', finished_at = NULL;
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at, requested_by,
                      finished_at, last_error)
    VALUES (gen_random_uuid(), 'discard_invoice', 'status', '{}', 'test', 'dead', '', 'dead', 1, now(), 'test', now(), 'x')";
/// All that the forms below would change.
const STANDING: &str = "
    SELECT concat_ws(' ', (SELECT count(*) FROM schedules WHERE paused_at IS NOT NULL), (SELECT count(*) FROM jobs),
                     (SELECT count(*) FROM queue_controls WHERE paused_at IS NOT NULL),
                     (SELECT count(*) FROM bill_runs WHERE cancelled_by IS NOT NULL), (SELECT count(*) FROM notifications),
                     (SELECT count(*) FROM suppressed_addresses))";

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() -> Result<()> {
    let watch = Watch::of(Desk::open(1).await?).await?;
    watch.desk.office.done(&watch.desk.business.bill_run(InitialStatus::Open, Some(true))).await?;
    watch.desk.office.settled().await?;
    let mut owner = watch.desk.database.connect_as_owner().await?;
    sqlx::raw_sql(NOTHING_IS_RECORDED).execute(&mut owner).await?;
    let run: uuid::Uuid = watch.one("SELECT id FROM bill_runs").await?;
    let told: uuid::Uuid = watch.one("SELECT id FROM notifications").await?;
    let reseller = watch.desk.business.reseller_id.to_string();
    let before: String = watch.one(STANDING).await?;
    let dead = [("kind", "discard_invoice"), ("error", "x"), ("until", "2100-01-01T00:00:00Z"), ("decision", "retry")];
    let address = [("reseller", reseller.as_str()), ("address", "gone@example.com")];
    let forms: [(String, &[(&str, &str)]); 7] = [
        ("/queues/pause".to_owned(), &[("queue", "mail")]),
        ("/schedules/pause/prune-jobs".to_owned(), &[]),
        ("/schedules/run/prune-jobs".to_owned(), &[]),
        ("/dead/decide".to_owned(), &dead),
        (format!("/bill-runs/{run}/cancel"), &[]),
        (format!("/notifications/{told}/resend"), &[]),
        ("/notifications/suppressions/add".to_owned(), &address),
    ];
    for (path, fields) in forms {
        let answer = watch.operator.post(&path, &[fields, &[WHY]].concat()).await?;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert_eq!(watch.one::<String>(STANDING).await?, before, "{path}");
    }
    watch.desk.close().await
}
