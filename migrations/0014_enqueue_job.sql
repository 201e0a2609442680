-- The SQL door: a system that shares the database hands in a job in the transaction of its own rows. Whoever is to do so
-- becomes a member of `billrunner_enqueue`, which may call enqueue_job and nothing else.
DO $$
BEGIN
    CREATE ROLE billrunner_enqueue NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA billrunner TO billrunner_enqueue;

-- Triggers call these, whoever writes; nobody else has to.
REVOKE ALL ON FUNCTION guard_invoice(), guard_invoice_content(), guard_history() FROM PUBLIC;

-- A new id, as RFC 9562 makes version 7: 48 bits of milliseconds, then chance. A random UUID has the variant in place.
CREATE FUNCTION new_job_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = billrunner, pg_temp AS $$
    SELECT encode(
        substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
            || set_byte(random, 0, get_byte(random, 0) & 15 | 112), 'hex')::uuid
    FROM substring(uuid_send(gen_random_uuid()) FROM 7) AS random
$$;

-- Tells a repeat from a conflict, as the other doors do: jsonb writes equal payloads alike.
CREATE FUNCTION job_hash(kind text, payload jsonb) RETURNS bytea
LANGUAGE sql STABLE SET search_path = billrunner, pg_temp AS $$
    SELECT sha256(convert_to(kind, 'UTF8') || '\x00'::bytea || convert_to(payload::text, 'UTF8'))
$$;

-- Says no in the doors' words: what is wrong, where (JSON Pointer into the envelope), with which value, and the way out.
CREATE FUNCTION refuse_job(message text, pointer text, value jsonb, way_out text) RETURNS void
LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = message,
        DETAIL = format('%s is %s', pointer, coalesce(left(value::text, 200), 'missing')),
        HINT = way_out;
END
$$;

-- Returns a billing period as billrunner writes it, NULL where the text is none: a month, or first day and exclusive end.
CREATE FUNCTION read_billing_period(given text) RETURNS text
LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    first_day date;
    end_day   date;
BEGIN
    IF given !~ '^[12]\d{3}-\d\d(-\d\d/[12]\d{3}-\d\d-\d\d)?$' THEN
        RETURN NULL;
    END IF;
    first_day := make_date(left(given, 4)::integer, substr(given, 6, 2)::integer,
        CASE WHEN length(given) = 7 THEN 1 ELSE substr(given, 9, 2)::integer END);
    end_day := CASE WHEN length(given) = 7 THEN first_day + interval '1 month'
        ELSE make_date(substr(given, 12, 4)::integer, substr(given, 17, 2)::integer, substr(given, 20, 2)::integer) END;
    RETURN CASE
        WHEN end_day <= first_day THEN NULL
        WHEN extract(day FROM first_day) = 1 AND end_day = first_day + interval '1 month' THEN left(given, 7)
        ELSE given END;
EXCEPTION
    WHEN datetime_field_overflow THEN RETURN NULL;
END
$$;

-- Returns a value as the handlers write it, or refuses it, by a property of the kind's schema.
CREATE FUNCTION read_job_field(kind text, field text, rule jsonb, value jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    types   jsonb := CASE jsonb_typeof(rule->'type') WHEN 'array' THEN rule->'type' ELSE jsonb_build_array(rule->'type') END;
    given   text := value #>> '{}';
    is_type text := jsonb_typeof(value);
    period  text;
    problem text;
BEGIN
    IF is_type = 'number' AND given ~ '^-?\d+$' THEN
        is_type := 'integer';
    END IF;
    IF NOT types ? is_type THEN
        problem := format('it is of type %s, not %s', is_type, (SELECT string_agg(name, ' or ') FROM jsonb_array_elements_text(types) AS name));
    ELSIF is_type = 'null' THEN
        RETURN value;
    ELSIF rule ? 'enum' AND NOT rule->'enum' @> value THEN
        problem := format('unknown variant `%s`, expected one of %s', given,
            (SELECT string_agg(format('`%s`', name), ', ') FROM jsonb_array_elements_text(rule->'enum') AS name));
    ELSIF rule->>'format' = 'uuid' THEN
        IF given ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
            RETURN to_jsonb(lower(given));
        END IF;
        problem := format('`%s` is not a UUID with hyphens', given);
    ELSIF rule->>'format' = 'billing-period' THEN
        period := read_billing_period(given);
        IF period IS NOT NULL THEN
            RETURN to_jsonb(period);
        END IF;
        problem := format('`%s` is not a billing period; write a month such as 2026-08, or first day and exclusive end such as 2026-08-05/2026-09-05', given);
    ELSIF given !~ (rule->>'pattern') THEN
        problem := format('`%s` does not match %s', given, rule->>'pattern');
    ELSIF is_type = 'integer' AND (given::numeric < (rule->>'minimum')::numeric OR given::numeric > (rule->>'maximum')::numeric) THEN
        problem := format('%s is not between %s and %s', given, rule->>'minimum', rule->>'maximum');
    END IF;
    IF problem IS NOT NULL THEN
        PERFORM refuse_job(format('the payload of %s is not valid: `%s`: %s', kind, field, left(problem, 1000)),
            '/data/' || field, value, coalesce('write ' || (rule->>'description'), 'see the schema of the type'));
    END IF;
    RETURN value;
END
$$;

-- Returns a payload as the handlers write it, with what the sender left out, or refuses it.
CREATE FUNCTION read_job_payload(kind job_kinds, data jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    rules   jsonb := kind.schema->'properties';
    see     text := format('see /schemas/%s.json, or run `billrunner schema %s`', kind.event_type, kind.kind);
    name    text;
    value   jsonb;
    payload jsonb := kind.defaults;
BEGIN
    IF jsonb_typeof(data) IS DISTINCT FROM 'object' THEN
        PERFORM refuse_job(format('the payload of %s is not valid: it is no JSON object', kind.kind), '/data', data, see);
    END IF;
    FOR name, value IN SELECT * FROM jsonb_each(data) LOOP
        IF NOT rules ? name THEN
            PERFORM refuse_job(
                format('the payload of %s is not valid: unknown field `%s`, expected one of %s', kind.kind, left(name, 200),
                    (SELECT string_agg(format('`%s`', known), ', ') FROM jsonb_object_keys(rules) AS known)),
                '/data/' || left(replace(replace(name, '~', '~0'), '/', '~1'), 200), value, see);
        END IF;
        value := read_job_field(kind.kind, name, rules->name, value);
        -- Where nothing is the default, handlers write nothing for null either.
        IF value <> 'null' OR kind.defaults ? name THEN
            payload := payload || jsonb_build_object(name, value);
        END IF;
    END LOOP;
    FOR name IN SELECT jsonb_array_elements_text(kind.schema->'required') LOOP
        IF NOT data ? name THEN
            PERFORM refuse_job(format('the payload of %s is not valid: missing field `%s`', kind.kind, name),
                '/data/' || name, NULL, see);
        END IF;
    END LOOP;
    RETURN payload;
END
$$;

-- Refuses what no door takes in the request around the payload.
CREATE FUNCTION check_job_request(
    source text, id text, run_at timestamptz, priority integer, dedupe_key text, traceparent text
) RETURNS void LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    name  text;
    value text;
BEGIN
    FOR name, value IN VALUES ('id', id), ('source', source), ('dedupekey', coalesce(dedupe_key, '-')) LOOP
        -- Control characters are those of Unicode's category Cc.
        IF coalesce(length(value), 0) NOT BETWEEN 1 AND 200 OR value ~ '[\u0001-\u001f\u007f-\u009f]' THEN
            PERFORM refuse_job(format('attribute `%s` must have 1 to 200 characters, none of them control', name),
                '/' || name, to_jsonb(value), 'send a name of your own for it');
        END IF;
    END LOOP;
    IF starts_with(source, 'billrunner/') THEN
        PERFORM refuse_job('attribute `source` `billrunner/…` is reserved for follow-up jobs', '/source', to_jsonb(source),
            'send the name of your own system');
    END IF;
    IF priority NOT BETWEEN -100 AND 100 THEN
        PERFORM refuse_job(format('attribute `priority` is %s; it goes from -100 to 100', priority), '/priority',
            to_jsonb(priority), 'leave it out for a normal job; a step is a head start of 30 seconds');
    END IF;
    IF NOT isfinite(run_at) THEN
        PERFORM refuse_job('attribute `runat` must be an instant', '/runat', to_jsonb(run_at), 'leave it out for at once');
    END IF;
    -- W3C Trace Context, section 3.2: the first version has four fields, those to come may have more.
    IF length(traceparent) > 200 OR traceparent ~ '^00-.{32}-.{16}-..-'
        OR traceparent !~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$' THEN
        PERFORM refuse_job(
            format('attribute `traceparent` is `%s`, no W3C trace context; write %s', left(traceparent, 100),
                '00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case and not all zero'),
            '/traceparent', to_jsonb(traceparent), 'leave it out, or pass on the one you were called with');
    END IF;
END
$$;

-- Accepts a job in the caller's transaction: it exists if and only if that commits. `accepted` is new, `repeated` was
-- handed in before under the same source and id, `folded` is the job that holds the dedupe key and stands for this one.
CREATE FUNCTION enqueue_job(
    type text, data jsonb, source text, id text, run_at timestamptz DEFAULT NULL, priority integer DEFAULT 0,
    dedupe_key text DEFAULT NULL, queue text DEFAULT NULL, traceparent text DEFAULT NULL
) RETURNS TABLE (job_id uuid, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billrunner, pg_temp AS $$
#variable_conflict use_column
DECLARE
    known   job_kinds;
    -- Not named as a column: names in a statement mean columns here.
    read    jsonb;
    lane    text;
    first   record;
BEGIN
    PERFORM check_job_request(enqueue_job.source, enqueue_job.id, enqueue_job.run_at, enqueue_job.priority,
        enqueue_job.dedupe_key, enqueue_job.traceparent);
    IF octet_length(data::text) > 65536 THEN
        PERFORM refuse_job(format('the payload has %s bytes; at most 65536 are read', octet_length(data::text)), '/data',
            to_jsonb('too large'::text), 'send ids, and let the job load the rest');
    END IF;
    SELECT * INTO known FROM job_kinds WHERE event_type = enqueue_job.type;
    IF NOT FOUND THEN
        PERFORM refuse_job(format('unknown job `%s`; known: %s', left(enqueue_job.type, 200),
            (SELECT string_agg(event_type, ', ' ORDER BY kind COLLATE "C") FROM job_kinds)),
            '/type', to_jsonb(enqueue_job.type), 'send one of the known types');
    END IF;
    IF enqueue_job.queue <> ALL (known.lanes) THEN
        PERFORM refuse_job(format('attribute `queue` is `%s`, which is no queue; known: %s', left(enqueue_job.queue, 100),
            array_to_string(known.lanes, ', ')), '/queue', to_jsonb(enqueue_job.queue), 'leave it out for the queue of the kind');
    END IF;
    read := read_job_payload(known, data);
    lane := coalesce(enqueue_job.queue, known.queue || '.' || (read->>known.lane_field));
    lane := CASE WHEN lane = ANY (known.lanes) THEN lane ELSE known.queue END;
    -- A dedupe key may change hands between two statements.
    FOR round IN 1..5 LOOP
        INSERT INTO jobs (id, kind, queue, priority, payload, payload_hash, source, external_id, dedupe_key, max_attempts,
                          run_at, traceparent, requested_by)
        VALUES (new_job_id(), known.kind, lane, coalesce(enqueue_job.priority, 0), read, job_hash(known.kind, read),
                enqueue_job.source, enqueue_job.id, enqueue_job.dedupe_key, known.max_attempts,
                coalesce(enqueue_job.run_at, now()), enqueue_job.traceparent, enqueue_job.source)
        ON CONFLICT DO NOTHING RETURNING jobs.id INTO job_id;
        IF FOUND THEN
            PERFORM pg_notify('billrunner_jobs', '');
            outcome := 'accepted';
            RETURN NEXT;
            RETURN;
        END IF;
        SELECT jobs.id, jobs.payload_hash = job_hash(known.kind, read) AS is_same INTO first
        FROM jobs WHERE jobs.source = enqueue_job.source AND external_id = enqueue_job.id;
        IF FOUND AND NOT first.is_same THEN
            RAISE EXCEPTION USING
                ERRCODE = 'unique_violation',
                MESSAGE = format('id `%s` of source `%s` was used for another %s; send a new id for new work',
                    enqueue_job.id, enqueue_job.source, known.kind),
                DETAIL = format('/id is %s, the id of job %s', to_jsonb(enqueue_job.id), first.id),
                HINT = 'send a new id for new work, or the same payload to repeat a request';
        ELSIF FOUND THEN
            job_id := first.id;
            outcome := 'repeated';
            RETURN NEXT;
            RETURN;
        END IF;
        SELECT jobs.id INTO job_id FROM jobs
        WHERE kind = known.kind AND jobs.dedupe_key = enqueue_job.dedupe_key AND finished_at IS NULL;
        IF FOUND THEN
            outcome := 'folded';
            RETURN NEXT;
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = 'serialization_failure',
        MESSAGE = 'the dedupe key changed hands again and again',
        HINT = 'try again';
END
$$;

REVOKE ALL ON FUNCTION
    new_job_id(), job_hash(text, jsonb), refuse_job(text, text, jsonb, text), read_billing_period(text),
    read_job_field(text, text, jsonb, jsonb), read_job_payload(job_kinds, jsonb),
    check_job_request(text, text, timestamptz, integer, text, text),
    enqueue_job(text, jsonb, text, text, timestamptz, integer, text, text, text)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enqueue_job(text, jsonb, text, text, timestamptz, integer, text, text, text) TO billrunner_enqueue;
