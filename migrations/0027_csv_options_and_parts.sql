-- How a reseller's CSV files are written, how each stored one was, and the parts of those that are split.
ALTER TABLE resellers ADD COLUMN csv_options jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN resellers.csv_options IS 'byte_order_mark, delimiter, decimal_mark, gzip, rows_per_part; what is left out follows the language';

ALTER TABLE documents ADD COLUMN csv_options jsonb;
COMMENT ON COLUMN documents.csv_options IS 'those of the reseller that the bytes were written by; NULL: none bears on them';

-- Rows that are there keep the narrower check that they were written under; to read them again would hold up writers.
ALTER TABLE documents DROP CONSTRAINT documents_kind_check;
ALTER TABLE documents ADD CONSTRAINT documents_kind_check
    CHECK (kind IN ('pdf', 'csv', 'detailed_csv', 'print', 'json')) NOT VALID;

-- The row in `documents` is the manifest then, which names them.
CREATE TABLE document_parts (
    reseller_id uuid    NOT NULL,
    document_id uuid    NOT NULL,
    part        integer NOT NULL CHECK (part > 0),
    file_name   text    NOT NULL,
    location    text    NOT NULL,
    sha256      bytea   NOT NULL CHECK (length(sha256) = 32),
    size_bytes  bigint  NOT NULL,
    row_count   bigint  NOT NULL,
    PRIMARY KEY (reseller_id, document_id, part),
    FOREIGN KEY (reseller_id, document_id) REFERENCES documents
);
COMMENT ON COLUMN document_parts.location IS 'path inside the object store';

GRANT SELECT, INSERT ON document_parts TO billrunner_app;
