-- Jobs that start by the clock. Every worker looks here; the row's lock and the tick in the job's idempotency key make
-- one job of each tick.
CREATE TABLE schedules (
    name         text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._/-]{0,99}$'),
    -- NULL: the house's own.
    reseller_id  uuid        REFERENCES resellers (id),
    kind         text        NOT NULL,
    -- A template: `$previous_month`, `$this_month` and `$tick` are replaced at the tick.
    payload      jsonb       NOT NULL,
    cron         text        NOT NULL,
    time_zone    text        NOT NULL,
    missed       text        NOT NULL CHECK (missed IN ('skip', 'latest', 'all')),
    paused_at    timestamptz,
    paused_by    text,
    pause_reason text,
    next_run_at  timestamptz,
    last_tick_at timestamptz,
    last_job_id  uuid,
    last_error   text,
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_by   text        NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (pause_reason IS NULL))
);
CREATE INDEX schedules_due ON schedules (next_run_at) WHERE paused_at IS NULL;
COMMENT ON COLUMN schedules.next_run_at IS 'the tick that is due next; NULL: none ever, or the row cannot be read';

GRANT SELECT, INSERT, UPDATE, DELETE ON schedules TO billrunner_app;

-- The house's own, once: what operators change or remove stays as they left it.
INSERT INTO schedules (name, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
SELECT name, kind, payload, cron, 'UTC', 'latest', (midnight + first) AT TIME ZONE 'UTC', 'billrunner migrate', 'billrunner migrate'
FROM date_trunc('day', now() AT TIME ZONE 'UTC') AS midnight,
     (VALUES ('prune-jobs', 'prune_jobs', '{"retention_days": 90}'::jsonb, '17 * * * *',
              make_interval(hours => extract(hour FROM now() AT TIME ZONE 'UTC')::integer + 1, mins => 17)),
             ('reconcile-charges', 'reconcile_charges', '{"months": 3}', '30 2 * * *', interval '1 day 2 hours 30 minutes'),
             ('check-history', 'check_history', '{}', '30 3 * * *', interval '1 day 3 hours 30 minutes'))
         AS house (name, kind, payload, cron, first);
