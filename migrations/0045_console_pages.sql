-- What the console's pages ask: dead jobs by what they died of, and what was done and told last, whoever it was about.

-- Ids and numbers are what differs between two errors that are the same to whoever mends them.
CREATE FUNCTION fold_error(error text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(regexp_replace(left(coalesce(error, ''), 200),
               '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'), '[0-9]+', '#', 'g');
REVOKE ALL ON FUNCTION fold_error FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_error TO billrunner_app, billrunner_auditor;

-- People also act on schedules, bill runs and mails.
ALTER TABLE operator_actions
    ADD COLUMN subject text,
    DROP CONSTRAINT operator_actions_check,
    DROP CONSTRAINT operator_actions_action_check,
    ADD CONSTRAINT operator_actions_check CHECK (num_nonnulls(queue, job_id, access_name, subject) = 1),
    ADD CONSTRAINT operator_actions_action_check CHECK (action ~ '^[a-z_]{1,30}$');
COMMENT ON COLUMN operator_actions.subject IS 'what else it was done to: schedule/<name>, bill_run/<id>, notification/<id>, dead_letters/<kind>';
CREATE INDEX operator_actions_of_person ON operator_actions (done_by, id);

CREATE INDEX invoice_events_newest ON invoice_events (occurred_at, reseller_id, sequence);
CREATE INDEX notifications_newest ON notifications (id);
CREATE INDEX invoices_by_month ON invoices (billing_period_start, provider, status);
