-- One message to one recipient about one invoice event.
CREATE TABLE notifications (
    reseller_id    uuid        NOT NULL,
    id             uuid        NOT NULL,
    invoice_id     uuid        NOT NULL,
    event_sequence bigint      NOT NULL,
    recipient      text        NOT NULL,
    recipient_name text        NOT NULL DEFAULT '',
    intent         text        NOT NULL,
    language       text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'suppressed', 'failed', 'uncertain')),
    reason         text,
    message_id     text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    sending_at     timestamptz,
    finished_at    timestamptz,
    PRIMARY KEY (reseller_id, id),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices,
    FOREIGN KEY (reseller_id, event_sequence) REFERENCES invoice_events,
    UNIQUE (reseller_id, invoice_id, event_sequence, recipient, intent)
);
COMMENT ON COLUMN notifications.recipient IS 'empty where there is nobody to tell; such a row is suppressed';
COMMENT ON COLUMN notifications.message_id IS 'RFC 5322 Message-ID, derived from the id before the SMTP conversation starts';

GRANT SELECT, INSERT, UPDATE ON notifications TO billrunner_app;
