-- Rendered exports: the row says what was rendered, the object store holds the bytes.
CREATE TABLE documents (
    reseller_id     uuid        NOT NULL,
    id              uuid        NOT NULL,
    invoice_id      uuid        NOT NULL,
    invoice_version integer     NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('pdf', 'csv', 'detailed_csv', 'print')),
    language        text        NOT NULL,
    template_hash   text        NOT NULL,
    file_name       text        NOT NULL,
    location        text        NOT NULL,
    sha256          bytea       NOT NULL CHECK (length(sha256) = 32),
    size_bytes      bigint      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, id),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices,
    UNIQUE (reseller_id, invoice_id, invoice_version, kind, language, template_hash)
);
COMMENT ON COLUMN documents.location IS 'path inside the object store';

GRANT SELECT, INSERT ON documents TO billrunner_app;
