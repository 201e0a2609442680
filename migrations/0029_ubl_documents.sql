-- E-invoices: where both parties have their seat, and documents of the kind `ubl`.
ALTER TABLE resellers ADD COLUMN country text CHECK (country ~ '^[A-Z]{2}$');
COMMENT ON COLUMN resellers.country IS 'ISO 3166-1 alpha-2; NULL: not known, and no e-invoice is made';
ALTER TABLE customers ADD COLUMN country text CHECK (country ~ '^[A-Z]{2}$');
COMMENT ON COLUMN customers.country IS 'ISO 3166-1 alpha-2; NULL: not known, and no e-invoice is made';

-- Rows that are there keep the narrower check that they were written under; to read them again would hold up writers.
ALTER TABLE documents DROP CONSTRAINT documents_kind_check;
ALTER TABLE documents ADD CONSTRAINT documents_kind_check
    CHECK (kind IN ('pdf', 'csv', 'detailed_csv', 'print', 'json', 'ubl')) NOT VALID;
