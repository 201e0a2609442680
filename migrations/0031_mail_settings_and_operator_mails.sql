-- How a reseller's mails are sent and worded, as in its directory; NULL: our messages, to the customer's contacts alone.
-- The release before neither reads nor writes it.
ALTER TABLE resellers ADD COLUMN mail jsonb;

-- One message to one operator about one occasion.
CREATE TABLE operator_mails (
    id          uuid        PRIMARY KEY,
    occasion    text        NOT NULL,
    recipient   text        NOT NULL,
    facts       jsonb       NOT NULL,
    state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'failed', 'uncertain')),
    reason      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sending_at  timestamptz,
    finished_at timestamptz,
    UNIQUE (occasion, recipient)
);
COMMENT ON COLUMN operator_mails.occasion IS 'bill_run/<id>/<round> or dead_letters/<hour>: each is told once to each operator';

GRANT SELECT, INSERT, UPDATE ON operator_mails TO billrunner_app;

-- The house's own, once: what operators change or remove stays as they left it.
INSERT INTO schedules (name, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
SELECT 'report-dead-letters', 'report_dead_letters', '{}', '7 * * * *', 'UTC', 'latest',
       date_trunc('hour', now()) + interval '2 hours 7 minutes', 'billrunner migrate', 'billrunner migrate';
