-- The kinds of job as the SQL door knows them. `billrunner migrate` writes them; nobody else reads or writes here but
-- enqueue_job, which acts as the owner.
CREATE TABLE job_kinds (
    kind         text    PRIMARY KEY,
    event_type   text    NOT NULL UNIQUE,
    queue        text    NOT NULL,
    -- The payload's field whose value names the lane inside the queue.
    lane_field   text,
    -- The lanes that workers read; a job that names another waits in its queue's common lane.
    lanes        text[]  NOT NULL,
    max_attempts integer NOT NULL CHECK (max_attempts > 0),
    -- What stands where the sender leaves a field out.
    defaults     jsonb   NOT NULL,
    schema       jsonb   NOT NULL
);
