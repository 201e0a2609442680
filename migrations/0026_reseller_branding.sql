-- How a reseller's documents look: logo, colour, paper. A row is never changed: issued invoices name theirs by its
-- fingerprint, so that they look the same when they are rendered again.
CREATE TABLE reseller_brandings (
    reseller_id uuid        NOT NULL REFERENCES resellers (id),
    fingerprint text        NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    branding    jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, fingerprint)
);
COMMENT ON COLUMN reseller_brandings.branding IS 'as in the directory: the logo is a PNG in base64';

-- What new invoices are made with; NULL: A4, our colours, no logo.
ALTER TABLE resellers ADD COLUMN branding text;
ALTER TABLE resellers ADD FOREIGN KEY (id, branding) REFERENCES reseller_brandings (reseller_id, fingerprint);

GRANT SELECT, INSERT ON reseller_brandings TO billrunner_app;
