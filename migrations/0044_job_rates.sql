-- How many jobs ended when, and how long those that are done had waited for their start: what the console's charts are
-- drawn from. Made of finished jobs once their minute is past, by a loop of the workers, never by who finishes a job.
CREATE TABLE job_rates (
    -- Every job is counted once for each length of step: an hour is drawn in minutes, a week in pieces of four hours.
    step_minutes smallint    NOT NULL CHECK (step_minutes IN (1, 30, 240)),
    begins_at    timestamptz NOT NULL,
    queue        text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('done', 'dead', 'discarded')),
    wait_log2    smallint    NOT NULL CHECK (wait_log2 BETWEEN 0 AND 23),
    jobs         bigint      NOT NULL CHECK (jobs > 0),
    PRIMARY KEY (step_minutes, begins_at, queue, state, wait_log2)
);
COMMENT ON COLUMN job_rates.wait_log2 IS 'of those done: they waited at most 2^n ms from being due to their start, and more than 2^(n-1); 23 is also more; 0 where not done';

-- Until when jobs are counted. Its lock is the right to count on, so that no minute is counted twice. One row.
CREATE TABLE job_rates_counted (
    is_only       boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    counted_until timestamptz NOT NULL
);
-- The jobs of the last week are counted by the first worker of this release.
INSERT INTO job_rates_counted (counted_until) VALUES (date_trunc('minute', now()) - interval '7 days');

GRANT SELECT, INSERT, UPDATE, DELETE ON job_rates TO billrunner_app;
GRANT SELECT, UPDATE ON job_rates_counted TO billrunner_app;
