-- What people did to queues and jobs: appended in the transaction of the change, never edited, never deleted.
CREATE TABLE operator_actions (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT now(),
    done_by text        NOT NULL,
    action  text        NOT NULL CHECK (action IN ('pause', 'resume', 'limit', 'cancel', 'retry', 'discard')),
    -- A queue, a lane or a job.
    queue   text,
    job_id  uuid,
    reason  text        NOT NULL,
    -- What was set, where that is not all in the action's name.
    detail  text,
    CHECK ((queue IS NULL) <> (job_id IS NULL))
);

CREATE INDEX operator_actions_of_job ON operator_actions (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX operator_actions_of_queue ON operator_actions (queue) WHERE queue IS NOT NULL;

GRANT SELECT, INSERT ON operator_actions TO billrunner_app;
