-- How the mail server fares, as all workers together have seen it. One row.
CREATE TABLE mail_server (
    is_only    boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Mails in a row that met trouble with it.
    failures   integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- How often in a row it was left alone for a while; 0 where it works.
    openings   integer     NOT NULL DEFAULT 0 CHECK (openings >= 0),
    -- Until when it is left alone, or one mail alone is tried.
    shut_until timestamptz
);
INSERT INTO mail_server DEFAULT VALUES;

-- When the next mail to a domain may start, where mails to one domain are limited.
CREATE TABLE mail_domains (
    domain       text        PRIMARY KEY,
    next_slot_at timestamptz NOT NULL
);

ALTER TABLE notifications ADD COLUMN slot_at timestamptz;
COMMENT ON COLUMN notifications.slot_at IS 'when its turn comes among the mails to its domain; empty where it has none';

GRANT SELECT, UPDATE ON mail_server TO billrunner_app;
GRANT SELECT, INSERT, UPDATE ON mail_domains TO billrunner_app;
