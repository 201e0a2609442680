-- A working morning around the demo's own data, for pictures of the console: two workers, jobs in all states, a day of traffic.
SET search_path = billrunner, public;
INSERT INTO workers (id, name, started_at, seen_at) VALUES
    ('0199a000-0000-7000-8000-0000000000a1', 'worker-1.example/812/0.1.0', now() - interval '3 days 2 hours', now() + interval '1 hour'),
    ('0199a000-0000-7000-8000-0000000000a2', 'worker-2.example/640/0.1.0', now() - interval '5 hours', now() + interval '1 hour');
-- Of a kind that the demo's worker does not run: `held` is no lane.
INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt, max_attempts, run_at,
                  requested_by, worker_id, started_at, checked_at, progress_done, progress_total, progress_note)
SELECT gen_random_uuid(), kind, queue, '{}', 'shop', queue || n, '', 'running', 1, 1, 20, now() - interval '5 minutes', 'shop',
       worker::uuid, now() - n * interval '47 seconds', now() + interval '1 day', done, total, note
FROM (VALUES (1, 'import_charges', 'billing', '0199a000-0000-7000-8000-0000000000a1', 182000, 294000, 'rows'),
             (2, 'open_invoices', 'status', '0199a000-0000-7000-8000-0000000000a1', 1500, 4200, 'drafts'),
             (3, 'render_document', 'documents', '0199a000-0000-7000-8000-0000000000a2', NULL, NULL, NULL))
     AS runs (n, kind, queue, worker, done, total, note);
WITH dead AS (
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt, failed_attempts,
                      max_attempts, run_at, requested_by, worker_id, started_at, finished_at, last_error)
    SELECT gen_random_uuid(), kind, queue, jsonb_build_object('provider', 'aws', 'billing_period', '2026-08'), 'shop',
           kind || n, '', 'dead', 1, 1, 1, 20, now() - n * interval '7 minutes', 'shop', '0199a000-0000-7000-8000-0000000000a1',
           now() - n * interval '7 minutes', now() - n * interval '7 minutes' + interval '2 seconds', replace(error, '%', (n * 37)::text)
    FROM (VALUES ('generate_invoice', 'billing.aws', 'no exchange rate from USD to EUR on or before 2026-08-31; add one, at most % days old', 14),
                 ('render_document', 'documents', 'the object store does not answer: connection refused after % ms', 5),
                 ('send_notification', 'mail', 'the mail server refused the mail for good (550): 5.1.1 no such user %', 2))
         AS groups (kind, queue, error, jobs), LATERAL generate_series(1, jobs) AS n
    RETURNING id, worker_id, started_at, finished_at, last_error)
INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
SELECT id, 1, worker_id, started_at, finished_at, 'failed', last_error FROM dead;
INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason, paused_until)
VALUES ('documents', now() - interval '18 minutes', 'ana', 'the object store is being moved', now() + interval '42 minutes')
ON CONFLICT (queue) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by,
    pause_reason = excluded.pause_reason, paused_until = excluded.paused_until;
INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at, requested_by)
SELECT gen_random_uuid(), 'render_document', 'documents', '{}', 'shop', 'waits' || n, '', 'scheduled', 20,
       now() - n * interval '9 seconds', 'shop'
FROM generate_series(1, 118) AS n;
INSERT INTO operator_actions (done_at, done_by, action, queue, subject, reason, detail)
VALUES (now() - interval '18 minutes', 'ana', 'pause', 'documents', NULL, 'the object store is being moved', NULL),
       (now() - interval '55 minutes', 'tom', 'run', NULL, 'schedule/reconcile-charges', 'asked for by accounting', NULL),
       (now() - interval '2 hours', 'ana', 'retry', NULL, 'dead_letters/import_charges', 'the file was there after all',
        '3 jobs that died of: the object store has no charge-files/#');
-- A day's traffic: quiet at night, busy in the morning, a bump at the bill runs.
DELETE FROM job_rates;
INSERT INTO job_rates (step_minutes, begins_at, queue, state, wait_log2, jobs)
SELECT step, at, 'mail', 'done', wait, greatest(1, round(step * load * share))
FROM unnest(ARRAY[1, 30, 240]::smallint[]) AS step, generate_series(0, 60) AS n,
     LATERAL (SELECT date_bin(make_interval(mins => step), now() - n * make_interval(mins => step), to_timestamp(0)) AS at) AS begins,
     LATERAL (SELECT 30 + 70 * (1 + sin(extract(epoch FROM at) / 86400 * 2 * pi() - 2)) ^ 2
                     + 25 * random() + CASE WHEN n % 17 = 3 THEN 160 ELSE 0 END AS load) AS works,
     (VALUES (1, 0.3), (2, 0.35), (3, 0.2), (5, 0.08), (8, 0.05), (11, 0.02)) AS waits (wait, share)
ON CONFLICT DO NOTHING;
INSERT INTO job_rates (step_minutes, begins_at, queue, state, wait_log2, jobs)
SELECT step, date_bin(make_interval(mins => step), now() - n * make_interval(mins => step), to_timestamp(0)), 'mail', 'dead', 0, step + n % 9
FROM unnest(ARRAY[1, 30, 240]::smallint[]) AS step, unnest(ARRAY[4, 5, 21]) AS n
ON CONFLICT DO NOTHING;
UPDATE job_rates_counted SET counted_until = date_trunc('minute', now());
