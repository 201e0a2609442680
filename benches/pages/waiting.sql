-- Jobs that are due and not started, over all lanes. After the counting, as a worker would run them.
SET search_path = billrunner, public;
INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at, requested_by)
SELECT gen_random_uuid(), 'render_document', (ARRAY['documents', 'mail', 'billing.aws', 'billing.google'])[n % 4 + 1], '{}',
       'bench/waiting', n::text, sha256(n::text::bytea), 'scheduled', 20, now() - n * interval '10 milliseconds', 'bench'
FROM generate_series(1, :waiting) AS n;
ANALYZE jobs;
