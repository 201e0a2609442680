-- What people look for jobs by. A job's row is written several times, and each version goes into every index that takes it:
-- so these take only the jobs that have what they are about, and one alone takes all.

-- Reads an id that a payload holds; NULL where there is none that reads.
CREATE FUNCTION payload_id(payload jsonb, field text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN payload ->> field ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (payload ->> field)::uuid END;
REVOKE ALL ON FUNCTION payload_id(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payload_id(jsonb, text) TO billrunner_app;

-- There are few lanes, so that a kind is looked for in each.
CREATE INDEX jobs_lane ON jobs (queue, kind, id);
-- What a job is about: an invoice, a notification of one, or the customer that gets one.
CREATE INDEX jobs_subject
    ON jobs ((coalesce(payload ->> 'invoice_id', payload ->> 'notification_id', payload ->> 'customer_id')), id)
    WHERE coalesce(payload ->> 'invoice_id', payload ->> 'notification_id', payload ->> 'customer_id') IS NOT NULL;
CREATE INDEX jobs_provider ON jobs ((payload ->> 'provider'), (payload ->> 'billing_period'), id)
    WHERE payload ->> 'provider' IS NOT NULL;
CREATE INDEX jobs_trace ON jobs ((substr(traceparent, 4, 32))) WHERE traceparent IS NOT NULL;
CREATE INDEX jobs_with_error ON jobs (id) WHERE last_error IS NOT NULL;
CREATE INDEX jobs_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
-- A void invoice is its customer's too.
CREATE INDEX invoices_customer ON invoices (customer_id, reseller_id);
