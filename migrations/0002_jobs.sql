-- The record of all work. Redis only carries (id, attempt) to the workers; whatever happens to Redis, these rows decide.
CREATE TABLE jobs (
    id              uuid        PRIMARY KEY,
    kind            text        NOT NULL,
    queue           text        NOT NULL,
    priority        smallint    NOT NULL DEFAULT 0,
    payload         jsonb       NOT NULL,
    source          text        NOT NULL,
    external_id     text        NOT NULL,
    payload_hash    bytea       NOT NULL,
    parent_id       uuid,
    state           text        NOT NULL DEFAULT 'scheduled'
                                CHECK (state IN ('scheduled', 'dispatched', 'running', 'done', 'dead', 'discarded')),
    -- `attempt` is the fencing token: raised by each dispatch, carried by the message, demanded by every write of the outcome.
    attempt         integer     NOT NULL DEFAULT 0,
    started_attempt integer     NOT NULL DEFAULT 0,
    failed_attempts integer     NOT NULL DEFAULT 0,
    worker_deaths   integer     NOT NULL DEFAULT 0,
    max_attempts    integer     NOT NULL CHECK (max_attempts > 0),
    run_at          timestamptz NOT NULL,
    stream_id       text,
    checked_at      timestamptz,
    worker_id       uuid,
    last_error      text,
    traceparent     text,
    requested_by    text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    UNIQUE (source, external_id),
    CHECK (started_attempt <= attempt),
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'dead', 'discarded')))
);

CREATE INDEX jobs_due ON jobs (priority DESC, run_at, id) WHERE state = 'scheduled';
CREATE INDEX jobs_next_run ON jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_in_redis ON jobs (checked_at) WHERE state IN ('dispatched', 'running');
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state IN ('done', 'discarded');
CREATE INDEX jobs_dead ON jobs (finished_at) WHERE state = 'dead';
CREATE INDEX jobs_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE job_attempts (
    job_id      uuid        NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt     integer     NOT NULL,
    worker_id   uuid        NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome     text        CHECK (outcome IN ('done', 'failed', 'worker_died', 'handed_back', 'snoozed')),
    message     text,
    PRIMARY KEY (job_id, attempt)
);

-- One row per worker process; a `seen_at` that stands still says the process is gone, even where Redis forgot its leases.
CREATE TABLE workers (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON jobs, job_attempts, workers TO billrunner_app;
