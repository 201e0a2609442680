-- What the private database of a run notes down by itself, each in the transaction that does it: a count that no worker
-- keeps and none can forget.
CREATE SCHEMA faults;

-- Each time a job ended, and each time a job that was done ceased to be.
CREATE TABLE faults.ends (
    job_id uuid NOT NULL,
    state  text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION faults.note_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO faults.ends (job_id, state) VALUES (NEW.id, CASE WHEN OLD.state = 'done' THEN 'undone' ELSE NEW.state END);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_end AFTER UPDATE ON billrunner.jobs FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND (NEW.state IN ('done', 'dead', 'discarded') OR OLD.state = 'done'))
    EXECUTE FUNCTION faults.note_end();

-- Each change of an invoice's status.
CREATE TABLE faults.steps (
    invoice_id  uuid NOT NULL,
    from_status text NOT NULL,
    to_status   text NOT NULL
);
CREATE FUNCTION faults.note_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO faults.steps VALUES (NEW.id, OLD.status, NEW.status);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_step AFTER UPDATE ON billrunner.invoices FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION faults.note_step();

-- Effects of a job whose transaction did not write the job's row too: they would stand without the outcome, or under an
-- attempt that was taken away. Looked at when the transaction commits.
CREATE TABLE faults.loose_effects (
    job_id uuid   NOT NULL,
    event  bigint NOT NULL
);
CREATE FUNCTION faults.note_loose_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billrunner.jobs WHERE id = NEW.job_id AND xmin = pg_current_xact_id()::xid) THEN
        INSERT INTO faults.loose_effects VALUES (NEW.job_id, NEW.sequence);
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER note_loose_effect AFTER INSERT ON billrunner.invoice_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.job_id IS NOT NULL)
    EXECUTE FUNCTION faults.note_loose_effect();

-- The mail server here is mended within seconds, so nobody leaves it alone for minutes: pauses of the mail queue end soon.
CREATE FUNCTION faults.shorten_pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.paused_until := least(NEW.paused_until, clock_timestamp() + interval '3 seconds');
    RETURN NEW;
END
$$;
CREATE TRIGGER shorten_pause BEFORE INSERT OR UPDATE ON billrunner.queue_controls FOR EACH ROW
    WHEN (NEW.paused_until IS NOT NULL) EXECUTE FUNCTION faults.shorten_pause();
CREATE FUNCTION faults.shorten_shut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.shut_until := least(NEW.shut_until, clock_timestamp() + interval '3 seconds');
    RETURN NEW;
END
$$;
CREATE TRIGGER shorten_shut BEFORE UPDATE ON billrunner.mail_server FOR EACH ROW
    WHEN (NEW.shut_until IS NOT NULL) EXECUTE FUNCTION faults.shorten_shut();
GRANT USAGE ON SCHEMA faults TO billrunner_app, billrunner_auditor;

-- The house's own schedules would start jobs that nobody here handed in.
UPDATE billrunner.schedules SET next_run_at = NULL;
