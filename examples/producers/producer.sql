-- A business row and its job in one transaction: either both exist or neither does.
--
--     psql "$DATABASE_URL" -v reseller_id=0199a000-0000-7000-8000-000000000001 -v billing_period=2026-08 -f producer.sql
--
-- The login is a member of the role billrunner_enqueue:   CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE billrunner_enqueue;
-- Run again it changes nothing: the row is there, and the same source and id are the same job.
\set ON_ERROR_STOP on

CREATE TABLE IF NOT EXISTS approved_months (
    reseller_id    uuid NOT NULL,
    billing_period text NOT NULL,
    PRIMARY KEY (reseller_id, billing_period)
);

BEGIN;

INSERT INTO approved_months (reseller_id, billing_period) VALUES (:'reseller_id', :'billing_period')
ON CONFLICT DO NOTHING;

SELECT job_id, outcome
FROM billrunner.enqueue_job(
    type   => 'billrunner.bill_run.start.v1',
    data   => jsonb_build_object(
                  'reseller_id', :'reseller_id', 'provider', 'aws', 'billing_period', :'billing_period',
                  'run_id', 'approved'),
    source => 'shop',
    id     => 'approved/' || :'reseller_id' || '/' || :'billing_period');

COMMIT;
