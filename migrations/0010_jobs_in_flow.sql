-- What flow control, uniqueness, batches, cancellation and progress need of a job.
--
-- A job's row is written four times within milliseconds, and Postgres reads and compiles each CHECK constraint and
-- generated column anew for each of these statements: measured, they made an update five times as dear. So the rules for
-- a job's values are held where jobs come in, by the doors, and the states are written by the ledger's own statements
-- alone: awaiting, scheduled, dispatched, running, done, dead, discarded.
UPDATE jobs SET priority = greatest(-100, least(100, priority)) WHERE priority NOT BETWEEN -100 AND 100;
DELETE FROM job_attempts WHERE finished_at IS NULL;

DROP INDEX jobs_due, jobs_next_run, jobs_in_redis, jobs_finished, jobs_dead, jobs_parent;
ALTER TABLE jobs
    DROP CONSTRAINT jobs_state_check,
    DROP CONSTRAINT jobs_check,
    DROP CONSTRAINT jobs_check1,
    DROP CONSTRAINT jobs_max_attempts_check,
    -- Reconciliation reads what a lane's stream holds, so no job has to remember its entry: one write less for each.
    DROP COLUMN stream_id,
    ADD COLUMN dedupe_key          text,
    -- The completion job of the batch that this job belongs to.
    ADD COLUMN batch_id            uuid,
    ADD COLUMN completes_batch     boolean NOT NULL DEFAULT false,
    ADD COLUMN started_at          timestamptz,
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancel_requested_by text,
    ADD COLUMN cancel_reason       text,
    ADD COLUMN progress_done       bigint,
    ADD COLUMN progress_total      bigint,
    ADD COLUMN progress_note       text,
    ADD COLUMN progress_at         timestamptz;

-- Which of two due jobs goes first, in seconds. A step of priority is a head start of 30: waiting makes every job more
-- urgent, so that none starves.
CREATE FUNCTION dispatch_rank(run_at timestamptz, priority smallint) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN extract(epoch FROM run_at - to_timestamp(0))::float8 - priority * 30.0;
REVOKE ALL ON FUNCTION dispatch_rank FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dispatch_rank TO billrunner_app;

CREATE INDEX jobs_due ON jobs (queue, dispatch_rank(run_at, priority), id) INCLUDE (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_next_run ON jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_under_way ON jobs (queue, checked_at) WHERE state IN ('dispatched', 'running');
CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_batches ON jobs (state) WHERE completes_batch;
CREATE INDEX jobs_batch ON jobs (batch_id, state) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_dedupe ON jobs (kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL;

-- A busy queue turns over rows all day: vacuum when a few thousand are dead, not a fifth of all history. A page is filled
-- to two fifths by new rows, so that the versions a row goes through stay on its page, where each takes the place of one
-- before: measured, a third less processor time for a job, and no larger a table.
ALTER TABLE jobs SET (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                      autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- An attempt is written once, when it ends, as done, failed, worker_died, handed_back, snoozed or cancelled; while it runs,
-- its job tells. Whoever deletes jobs deletes their attempts,
-- so that no attempt pays for looking its job up.
ALTER TABLE job_attempts
    DROP CONSTRAINT job_attempts_job_id_fkey,
    DROP CONSTRAINT job_attempts_outcome_check,
    ALTER COLUMN started_at DROP DEFAULT,
    ALTER COLUMN finished_at SET NOT NULL,
    ALTER COLUMN outcome SET NOT NULL;
