-- A ledger with a long week behind it: a million finished jobs with their attempts, twenty thousand that wait, two hundred
-- dead, a reseller with ten thousand invoices and their mails. `:finished` and `:waiting` say how many.
SET search_path = billrunner, public;
SET session_replication_role = replica;

CREATE TEMPORARY TABLE cast_of AS
SELECT '01900000-0000-7000-8000-000000000001'::uuid AS reseller_id,
       ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 500)) AS customers,
       ARRAY['aws', 'google', 'microsoft', 'oracle'] AS providers,
       ARRAY['generate_invoice', 'render_document', 'send_notification', 'change_invoice_status', 'import_charges'] AS kinds,
       ARRAY['billing.', 'documents', 'mail', 'status', 'billing.'] AS queues,
       ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 4)) AS workers;

INSERT INTO resellers (id, name, email) SELECT reseller_id, 'Nimbus Resale', 'billing@nimbus.example' FROM cast_of;
INSERT INTO customers (reseller_id, id, name, language)
SELECT reseller_id, customer, 'Customer ' || n, 'en' FROM cast_of, unnest(customers) WITH ORDINALITY AS of_reseller (customer, n);

-- The id of a job tells when it was made, as it does in life.
CREATE FUNCTION pg_temp.id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
            || lpad(to_hex(n), 15, '0'))::uuid
$$;

INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt,
                  max_attempts, run_at, worker_id, started_at, checked_at, finished_at, last_error, requested_by, created_at)
SELECT pg_temp.id_at(made_at, n), kind, CASE WHEN queue = 'billing.' THEN queue || provider ELSE queue END,
       jsonb_build_object('reseller_id', reseller_id, 'customer_id', customer, 'provider', provider,
                          'billing_period', '2026-08'),
       'bench', n::text, sha256(n::text::bytea), state, 1, 1, 20, made_at, worker,
       made_at + waited, made_at + waited, made_at + waited + interval '20 milliseconds',
       CASE WHEN state = 'dead' THEN 'no exchange rate from USD to EUR on 2026-08-' || n % 28 + 1 END, 'bench', made_at
FROM cast_of, generate_series(1, :finished) AS n,
     LATERAL (SELECT kinds[n % 5 + 1] AS kind, queues[n % 5 + 1] AS queue, providers[n % 4 + 1] AS provider,
                     customers[n % 500 + 1] AS customer, workers[n % 4 + 1] AS worker,
                     now() - interval '7 days' + n * (interval '7 days' - interval '3 minutes') / :finished AS made_at,
                     random() ^ 6 * interval '4 seconds' AS waited,
                     CASE WHEN n % 5000 = 0 THEN 'dead' ELSE 'done' END AS state) AS made;
INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
SELECT id, 1, worker_id, started_at, finished_at, CASE WHEN state = 'dead' THEN 'failed' ELSE 'done' END,
       coalesce(last_error, 'done in 20 ms')
FROM jobs;

INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end, currency, kind,
                      status, document_id, number, issued_on, language, reseller_details, customer_details, markup_rate,
                      exact_subtotal, subtotal, tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count,
                      created_at, opened_at)
SELECT reseller_id, pg_temp.id_at(now() - n * interval '1 minute', n), customers[n % 500 + 1], providers[n / 500 % 4 + 1],
       date_trunc('month', now())::date - (n / 2000 + 1) * interval '1 month', now(), 'EUR', 'invoice', 'open', 'D' || n,
       '2026-' || n, now(), 'en', '{}', jsonb_build_object('name', 'Customer ' || n % 500 + 1), 0.1, 10, 10, 2.1, 12.1, 0,
       '{}', 0, 5, now(), now()
FROM cast_of, generate_series(1, 10000) AS n;
INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, from_status, to_status, actor,
                            correlation, occurred_at, previous_hash, hash)
SELECT reseller_id, row_number() OVER (ORDER BY id), id, 1, 'opened', 'draft', 'open', 'schedule bill-run', 'bench',
       now() - interval '1 minute' * row_number() OVER (ORDER BY id), '', ''
FROM invoices;
INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, reason,
                           message_id, created_at, finished_at)
SELECT reseller_id, pg_temp.id_at(occurred_at, sequence), invoice_id, sequence, 'ana@customer.example', 'event', 'en',
       CASE WHEN sequence % 100 = 0 THEN 'failed' ELSE 'sent' END, NULL, '<' || sequence || '@bench.example>', occurred_at,
       occurred_at
FROM invoice_events;
INSERT INTO operator_actions (done_at, done_by, action, queue, reason)
SELECT now() - n * interval '1 minute', 'ana', 'pause', 'mail', 'the mail server is away' FROM generate_series(1, 20000) AS n;
INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state,
                       started_by, started_at, finished_at)
SELECT reseller_id, gen_random_uuid(), provider, month, month + interval '1 month', 'final', '{}', 'complete', 'schedule',
       month + interval '1 month 3 days', month + interval '1 month 3 days 1 hour'
FROM cast_of, unnest(providers) AS provider,
     generate_series(date_trunc('month', now()) - interval '12 months', now() - interval '1 month', interval '1 month') AS month;
INSERT INTO suppressed_addresses (reseller_id, email, reason)
SELECT reseller_id, 'gone-' || n || '@customer.example', '550 5.1.1 no such user' FROM cast_of, generate_series(1, 300) AS n;
VACUUM ANALYZE;
