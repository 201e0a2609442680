-- Foreign keys and the guard of an invoice's content look for (reseller_id, id) once a line, with the plan of their session's
-- first run. Of a table that was empty then, every index that begins with reseller_id promises the same, and the one that
-- was taken read all invoices of the reseller each time. So only the primary key begins with it; the rest hold it further on.
CREATE UNIQUE INDEX invoices_document_id ON invoices (document_id, reseller_id);
CREATE UNIQUE INDEX invoices_number ON invoices (number, reseller_id);
ALTER TABLE invoices
    DROP CONSTRAINT invoices_reseller_id_document_id_key,
    DROP CONSTRAINT invoices_reseller_id_number_key,
    ADD CONSTRAINT invoices_document_id UNIQUE USING INDEX invoices_document_id,
    ADD CONSTRAINT invoices_number UNIQUE USING INDEX invoices_number;
DROP INDEX invoices_key, invoices_period;
CREATE UNIQUE INDEX invoices_key ON invoices (customer_id, reseller_id, provider, billing_period_start, currency)
    WHERE status NOT IN ('void', 'discarded');
CREATE INDEX invoices_period ON invoices (billing_period_start, reseller_id, provider);
DROP INDEX invoice_sources_scope;
CREATE INDEX invoice_sources_scope ON invoice_sources (charge_scope_id, reseller_id);
