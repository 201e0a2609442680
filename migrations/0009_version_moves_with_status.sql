-- Version, closed_at and voided_at of an invoice move with its status only: a version that went back by itself would let
-- messages through that are stale. The rest of the function is as in 0006.
CREATE OR REPLACE FUNCTION guard_invoice() RETURNS trigger LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
DECLARE
    moving text[] := CASE WHEN TG_OP = 'UPDATE' AND NEW.status <> OLD.status
                          THEN '{status,version,closed_at,voided_at}' ELSE '{}' END;
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

    IF OLD.status <> 'draft' AND to_jsonb(NEW) - moving IS DISTINCT FROM to_jsonb(OLD) - moving THEN
        RAISE EXCEPTION 'invoice % is % and frozen', OLD.id, OLD.status USING ERRCODE = 'check_violation',
            HINT = 'void it and generate it anew';
    END IF;
    IF NEW.status = OLD.status AND NEW.version <> OLD.version THEN
        RAISE EXCEPTION 'invoice % changes its version with its status only', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
