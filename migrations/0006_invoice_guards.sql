-- The database's own word on the lifecycle: it holds for every client, whatever code runs above it.
-- `src/domain/invoice_status.rs` says the same; tests/invoice_status.rs proves the two equal over every pair.
CREATE FUNCTION guard_invoice() RETURNS trigger LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'invoice % starts as draft, not as %', NEW.id, NEW.status USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;

    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'invoice % is never deleted; discard the draft or void it', OLD.id USING ERRCODE = 'check_violation';
    END IF;

    IF NEW.status <> OLD.status THEN
        IF NEW.status = 'draft' THEN
            RAISE EXCEPTION 'invoice % is % and never returns to draft', OLD.id, OLD.status USING ERRCODE = 'check_violation',
                HINT = 'void it and generate it anew';
        END IF;
        IF (OLD.status, NEW.status) NOT IN (('draft', 'open'), ('draft', 'discarded'), ('open', 'closed'),
                                            ('open', 'void'), ('closed', 'open'), ('closed', 'void')) THEN
            RAISE EXCEPTION 'invoice % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.version <> OLD.version + 1 THEN
            RAISE EXCEPTION 'invoice % changes status at version %, not %', OLD.id, OLD.version + 1, NEW.version
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;

    IF OLD.status <> 'draft' AND
       to_jsonb(NEW) - '{status,version,closed_at,voided_at}'::text[] IS DISTINCT FROM
       to_jsonb(OLD) - '{status,version,closed_at,voided_at}'::text[] THEN
        RAISE EXCEPTION 'invoice % is % and frozen', OLD.id, OLD.status USING ERRCODE = 'check_violation',
            HINT = 'void it and generate it anew';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_invoice BEFORE INSERT OR UPDATE OR DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION guard_invoice();

CREATE FUNCTION guard_invoice_content() RETURNS trigger LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    row_reseller uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.reseller_id ELSE NEW.reseller_id END;
    row_invoice  uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.invoice_id ELSE NEW.invoice_id END;
    current      text;
BEGIN
    SELECT status INTO current FROM invoices WHERE reseller_id = row_reseller AND id = row_invoice;
    IF current IS DISTINCT FROM 'draft' OR
       (TG_OP = 'UPDATE' AND (OLD.reseller_id, OLD.invoice_id) <> (NEW.reseller_id, NEW.invoice_id)) THEN
        RAISE EXCEPTION 'the content of invoice % is frozen: it is %', row_invoice, coalesce(current, 'absent')
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER guard_content BEFORE INSERT OR UPDATE OR DELETE ON invoice_lines
    FOR EACH ROW EXECUTE FUNCTION guard_invoice_content();
CREATE TRIGGER guard_content BEFORE INSERT OR UPDATE OR DELETE ON invoice_taxes
    FOR EACH ROW EXECUTE FUNCTION guard_invoice_content();
CREATE TRIGGER guard_content BEFORE INSERT OR UPDATE OR DELETE ON invoice_sources
    FOR EACH ROW EXECUTE FUNCTION guard_invoice_content();
CREATE TRIGGER guard_content BEFORE INSERT OR UPDATE OR DELETE ON invoice_exchange_rates
    FOR EACH ROW EXECUTE FUNCTION guard_invoice_content();

CREATE FUNCTION guard_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'invoice_events is history: never edited, never deleted' USING ERRCODE = 'check_violation';
END
$$;
CREATE TRIGGER guard_history BEFORE UPDATE OR DELETE ON invoice_events
    FOR EACH ROW EXECUTE FUNCTION guard_history();
CREATE TRIGGER guard_history_truncate BEFORE TRUNCATE ON invoice_events
    FOR EACH STATEMENT EXECUTE FUNCTION guard_history();
