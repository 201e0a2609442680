-- Of the versions that a job's row goes through, one goes into the index of lanes: the one that it ends with. Jobs that have
-- not ended are found by their states, each of which has an index; only ended ones are too many to look through.
DROP INDEX jobs_lane;
CREATE INDEX jobs_lane ON jobs (queue, kind, id) WHERE finished_at IS NOT NULL;

-- Whether a report of a mail server is named by a job.
CREATE INDEX jobs_bounce ON jobs ((payload ->> 'sha256')) WHERE kind = 'record_bounce';
