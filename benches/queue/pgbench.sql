-- One realistic job as pgbench does it: its effects, and its completion in the ledger, in one transaction.
-- compare.py fills billrunner.jobs with running jobs whose ids are numbers; client c does those from c × :share on.
\set account random(0, 999)
\set n :client_id * :share + :done
\set done :done + 1
BEGIN;
SELECT name FROM billrunner.bench_accounts WHERE id = :account;
INSERT INTO billrunner.bench_entries (account_id, name) VALUES (:account, 'account 17');
WITH finished AS (
    UPDATE billrunner.jobs SET state = 'done', finished_at = clock_timestamp(), last_error = NULL
    WHERE id = ('00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'))::uuid AND attempt = 1
      AND state IS NOT DISTINCT FROM 'running' AND worker_id = '00000000-0000-7000-8000-000000000000'
    RETURNING id, attempt, worker_id, started_at, finished_at
)
INSERT INTO billrunner.job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
SELECT id, attempt, worker_id, started_at, finished_at, 'done', '' FROM finished
ON CONFLICT (job_id, attempt) DO UPDATE
SET worker_id = excluded.worker_id, started_at = excluded.started_at, finished_at = excluded.finished_at,
    outcome = excluded.outcome, message = excluded.message;
COMMIT;
