-- Bill runs as they were started and as they ended, with the figures that prove a month complete.

-- An invoice asks for the totals of its own accounts; without this it would read those of all customers of the file.
CREATE INDEX charge_totals_scope_account ON charge_totals (charge_scope_id, sub_account_id, reseller_id);

CREATE TABLE bill_runs (
    reseller_id          uuid        NOT NULL REFERENCES resellers (id),
    id                   uuid        NOT NULL,
    provider             text        NOT NULL,
    billing_period_start date        NOT NULL,
    billing_period_end   date        NOT NULL,
    run_id               text        NOT NULL,
    options              jsonb       NOT NULL,
    state                text        NOT NULL CHECK (state IN ('running', 'complete', 'needs_attention', 'cancelled')),
    round                integer     NOT NULL DEFAULT 1,
    batch_id             uuid,
    generation_count     bigint      NOT NULL DEFAULT 0,
    existing_count       bigint      NOT NULL DEFAULT 0,
    outcomes             jsonb       NOT NULL DEFAULT '{}',
    started_by           text        NOT NULL,
    started_at           timestamptz NOT NULL,
    finished_at          timestamptz,
    cancelled_by         text,
    cancel_reason        text,
    PRIMARY KEY (reseller_id, id),
    UNIQUE (reseller_id, provider, billing_period_start, run_id),
    CHECK ((finished_at IS NULL) = (state = 'running'))
);
COMMENT ON COLUMN bill_runs.run_id IS 'the sender''s name for the run; started again under it, the run goes on with what is missing';
COMMENT ON COLUMN bill_runs.round IS 'how often it was started';
COMMENT ON COLUMN bill_runs.batch_id IS 'the completion job of its last round';
COMMENT ON COLUMN bill_runs.generation_count IS 'invoices its last round was to generate';
COMMENT ON COLUMN bill_runs.existing_count IS 'invoices that were there and were left alone';
COMMENT ON COLUMN bill_runs.outcomes IS 'jobs of its last round by how they ended';

-- Where each part of a charge file went: invoiced + excluded_tax + unassigned + waived + not_invoiced = file_total.
CREATE TABLE bill_run_balances (
    reseller_id        uuid    NOT NULL,
    bill_run_id        uuid    NOT NULL,
    charge_scope_id    uuid    NOT NULL,
    billing_account_id text    NOT NULL,
    file_name          text    NOT NULL,
    currency           text    NOT NULL,
    file_total         numeric NOT NULL,
    invoiced           numeric NOT NULL,
    excluded_tax       numeric NOT NULL,
    unassigned         numeric NOT NULL,
    waived             numeric NOT NULL,
    not_invoiced       numeric NOT NULL,
    PRIMARY KEY (reseller_id, bill_run_id, charge_scope_id, currency),
    FOREIGN KEY (reseller_id, bill_run_id) REFERENCES bill_runs
);

-- What is missing, and what to do about it.
CREATE TABLE bill_run_findings (
    reseller_id   uuid    NOT NULL,
    bill_run_id   uuid    NOT NULL,
    position      integer NOT NULL,
    kind          text    NOT NULL CHECK (kind IN ('missing_invoice', 'surplus_invoice', 'stale_draft',
                                                   'unassigned_account', 'late_file', 'difference')),
    customer_id   uuid,
    customer_name text,
    invoice       text,
    currency      text    NOT NULL,
    amount        numeric,
    what          text    NOT NULL,
    way_out       text    NOT NULL,
    PRIMARY KEY (reseller_id, bill_run_id, position),
    FOREIGN KEY (reseller_id, bill_run_id) REFERENCES bill_runs
);
COMMENT ON COLUMN bill_run_findings.amount IS 'exact, in `currency`: what is missing, or by how much something differs';

GRANT SELECT, INSERT, UPDATE ON bill_runs TO billrunner_app;
GRANT SELECT, INSERT, DELETE ON bill_run_balances, bill_run_findings TO billrunner_app;
