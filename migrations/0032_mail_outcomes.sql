-- What becomes of mails: how a reseller wants losses treated, each notification's history, who changed the suppression list.
ALTER TABLE resellers ADD COLUMN mail_policy jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN resellers.mail_policy IS 'resend_uncertain (false), suppress_rejected (true); what is left out is as in brackets';

CREATE TABLE notification_history (
    reseller_id     uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    noted_at        timestamptz NOT NULL DEFAULT now(),
    what            text        NOT NULL,
    reason          text,
    noted_by        text,
    PRIMARY KEY (reseller_id, notification_id, id),
    FOREIGN KEY (reseller_id, notification_id) REFERENCES notifications
);
COMMENT ON COLUMN notification_history.what IS 'the state it came to, or a note: requested, resent, bounced, delayed, delivered, relayed, expanded';
COMMENT ON COLUMN notification_history.noted_by IS 'a person, for what a person asked for';
-- Appended only.
GRANT SELECT, INSERT ON notification_history TO billrunner_app;

-- Written by the database, so that no statement forgets it, that of an earlier release neither.
CREATE FUNCTION keep_notification_history() RETURNS trigger
    LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO notification_history (reseller_id, notification_id, what, reason)
        SELECT reseller_id, id, state, reason FROM changed ORDER BY id;
    ELSE
        INSERT INTO notification_history (reseller_id, notification_id, what, reason)
        SELECT changed.reseller_id, changed.id, changed.state, changed.reason
        FROM changed JOIN former USING (reseller_id, id)
        WHERE changed.state <> former.state ORDER BY changed.id;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION keep_notification_history() FROM PUBLIC;

CREATE TRIGGER keep_history_of_new AFTER INSERT ON notifications REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_notification_history();
CREATE TRIGGER keep_history_of_changed AFTER UPDATE ON notifications REFERENCING OLD TABLE AS former NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_notification_history();

-- Who put an address on the suppression list or took it off; the directory's own entries are the directory's affair.
CREATE TABLE suppression_actions (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reseller_id uuid        NOT NULL REFERENCES resellers (id),
    email       text        NOT NULL,
    action      text        NOT NULL CHECK (action IN ('add', 'remove')),
    done_at     timestamptz NOT NULL DEFAULT now(),
    done_by     text        NOT NULL,
    reason      text        NOT NULL
);
COMMENT ON COLUMN suppression_actions.done_by IS 'a person, or the kind of job that saw the address refused';
CREATE INDEX suppression_actions_of_reseller ON suppression_actions (reseller_id, id);
GRANT SELECT, INSERT ON suppression_actions TO billrunner_app;
