-- What flow control, uniqueness, batches, cancellation and progress need of a job.
UPDATE jobs SET priority = greatest(-100, least(100, priority)) WHERE priority NOT BETWEEN -100 AND 100;
DELETE FROM job_attempts WHERE finished_at IS NULL;

ALTER TABLE jobs
    -- Reconciliation reads what a lane's stream holds, so no job has to remember its entry: one write less for each.
    DROP COLUMN stream_id,
    ADD COLUMN dedupe_key          text CHECK (length(dedupe_key) BETWEEN 1 AND 200),
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
    ADD COLUMN progress_at         timestamptz,
    ADD CONSTRAINT jobs_priority_check CHECK (priority BETWEEN -100 AND 100),
    ADD CONSTRAINT jobs_run_at_check CHECK (isfinite(run_at)),
    -- Which of two due jobs goes first. A step of priority is a head start of 30 seconds: waiting makes every job more
    -- urgent, so that none starves.
    ADD COLUMN dispatch_rank       float8 NOT NULL
        GENERATED ALWAYS AS (extract(epoch FROM run_at - to_timestamp(0))::float8 - priority * 30.0) STORED,
    DROP CONSTRAINT jobs_state_check,
    ADD CONSTRAINT jobs_state_check CHECK (state IN
        ('awaiting', 'scheduled', 'dispatched', 'running', 'done', 'dead', 'discarded'));

DROP INDEX jobs_due, jobs_in_redis;
CREATE INDEX jobs_due ON jobs (queue, dispatch_rank, id) INCLUDE (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_under_way ON jobs (queue, checked_at) WHERE state IN ('dispatched', 'running');
CREATE INDEX jobs_awaiting ON jobs (id) WHERE state = 'awaiting';
CREATE INDEX jobs_batches ON jobs (id) WHERE completes_batch;
CREATE INDEX jobs_batch ON jobs (batch_id, state) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_dedupe ON jobs (kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL;

-- A busy queue turns over rows all day: vacuum when a few thousand are dead, not a fifth of all history.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                      autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- An attempt is written once, when it ends; while it runs, its job tells. Whoever deletes jobs deletes their attempts,
-- so that no attempt pays for looking its job up.
ALTER TABLE job_attempts
    ALTER COLUMN started_at DROP DEFAULT,
    ALTER COLUMN finished_at SET NOT NULL,
    ALTER COLUMN outcome SET NOT NULL,
    DROP CONSTRAINT job_attempts_job_id_fkey,
    DROP CONSTRAINT job_attempts_outcome_check,
    ADD CONSTRAINT job_attempts_outcome_check CHECK (outcome IN
        ('done', 'failed', 'worker_died', 'handed_back', 'snoozed', 'cancelled'));
