-- What operators set about a queue (`billing`: all of its lanes) or a lane (`billing.aws`). No row: nothing is held back.
CREATE TABLE queue_controls (
    queue               text        PRIMARY KEY,
    paused_at           timestamptz,
    paused_by           text,
    pause_reason        text,
    paused_until        timestamptz,
    -- Most jobs sent to workers and not finished, over all workers.
    max_running         integer     CHECK (max_running > 0),
    -- At most so many starts in so many seconds, as a bucket that refills evenly and holds `rate_limit`.
    rate_limit          integer     CHECK (rate_limit > 0),
    rate_period_seconds float8      CHECK (rate_period_seconds > 0),
    tokens              float8      NOT NULL DEFAULT 0,
    tokens_at           timestamptz NOT NULL DEFAULT now(),
    CHECK ((paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (pause_reason IS NULL)),
    CHECK ((rate_limit IS NULL) = (rate_period_seconds IS NULL))
);

GRANT SELECT, INSERT, UPDATE, DELETE ON queue_controls TO billrunner_app;
