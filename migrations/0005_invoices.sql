-- One invoice per customer, provider, billing period and currency, and all that is frozen with it when it opens.
CREATE SEQUENCE document_ids;

CREATE TABLE invoices (
    reseller_id          uuid        NOT NULL,
    id                   uuid        NOT NULL,
    customer_id          uuid        NOT NULL,
    provider             text        NOT NULL,
    billing_period_start date        NOT NULL,
    billing_period_end   date        NOT NULL,
    currency             text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    kind                 text        NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    status               text        NOT NULL CHECK (status IN ('draft', 'open', 'closed', 'void', 'discarded')),
    version              integer     NOT NULL DEFAULT 1,
    document_id          text        NOT NULL,
    number               text,
    issued_on            date,
    language             text        NOT NULL,
    reseller_details     jsonb       NOT NULL,
    customer_details     jsonb       NOT NULL,
    markup_rate          numeric     NOT NULL,
    exact_subtotal       numeric     NOT NULL,
    subtotal             numeric     NOT NULL,
    tax                  numeric     NOT NULL,
    total                numeric     NOT NULL,
    rounding_delta       numeric     NOT NULL,
    excluded_tax         jsonb       NOT NULL,
    zero_line_count      integer     NOT NULL,
    charge_count         bigint      NOT NULL,
    stale                boolean     NOT NULL DEFAULT false,
    replaces             uuid,
    created_at           timestamptz NOT NULL,
    opened_at            timestamptz,
    closed_at            timestamptz,
    voided_at            timestamptz,
    discarded_at         timestamptz,
    PRIMARY KEY (reseller_id, id),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers,
    FOREIGN KEY (reseller_id, replaces) REFERENCES invoices,
    UNIQUE (reseller_id, document_id),
    UNIQUE (reseller_id, number),
    CHECK (total = subtotal + tax),
    CHECK (rounding_delta = subtotal - exact_subtotal),
    CHECK ((kind = 'credit_note') = (subtotal < 0)),
    CHECK ((number IS NULL) = (status IN ('draft', 'discarded'))),
    CHECK ((number IS NULL) = (issued_on IS NULL)),
    CHECK ((number IS NULL) = (opened_at IS NULL))
);
CREATE UNIQUE INDEX invoices_key ON invoices (reseller_id, customer_id, provider, billing_period_start, currency)
    WHERE status NOT IN ('void', 'discarded');
CREATE INDEX invoices_period ON invoices (reseller_id, provider, billing_period_start);
COMMENT ON COLUMN invoices.excluded_tax IS 'tax rows of the provider, not resold: exact amount by currency';

CREATE TABLE invoice_lines (
    reseller_id     uuid    NOT NULL,
    invoice_id      uuid    NOT NULL,
    position        integer NOT NULL,
    section_id      text    NOT NULL,
    section_name    text    NOT NULL,
    description     text    NOT NULL,
    charge_category text,
    correction_of   date,
    cost_currency   text    NOT NULL,
    cost_exact      numeric NOT NULL,
    exchange_rate   numeric NOT NULL,
    price_exact     numeric NOT NULL,
    net             numeric NOT NULL,
    charge_count    bigint  NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, position),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);
COMMENT ON COLUMN invoice_lines.charge_category IS 'NULL where the provider''s profile prints one line for all categories';
COMMENT ON COLUMN invoice_lines.correction_of IS 'first day of the earlier billing period that ChargeClass = Correction corrects';

CREATE TABLE invoice_taxes (
    reseller_id uuid    NOT NULL,
    invoice_id  uuid    NOT NULL,
    position    integer NOT NULL,
    name        text    NOT NULL,
    rate        numeric NOT NULL,
    base        numeric NOT NULL,
    amount      numeric NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, position),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);

-- What an invoice took from each part of a charge file: the invoice's side of the reconciliation.
CREATE TABLE invoice_sources (
    reseller_id     uuid    NOT NULL,
    invoice_id      uuid    NOT NULL,
    charge_scope_id uuid    NOT NULL,
    cost_currency   text    NOT NULL,
    cost_exact      numeric NOT NULL,
    excluded_tax    numeric NOT NULL,
    charge_count    bigint  NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, charge_scope_id, cost_currency),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices,
    FOREIGN KEY (reseller_id, charge_scope_id) REFERENCES charge_scopes
);
CREATE INDEX invoice_sources_scope ON invoice_sources (reseller_id, charge_scope_id);

CREATE TABLE invoice_exchange_rates (
    reseller_id   uuid    NOT NULL,
    invoice_id    uuid    NOT NULL,
    from_currency text    NOT NULL,
    to_currency   text    NOT NULL,
    rate          numeric NOT NULL,
    source        text    NOT NULL,
    rated_on      date    NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, from_currency),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);

-- The next number of a fiscal series. A row lock, not a SEQUENCE: a rolled back opening leaves no hole.
CREATE TABLE number_series (
    reseller_id    uuid   NOT NULL REFERENCES resellers (id),
    series         text   NOT NULL,
    next           bigint NOT NULL DEFAULT 1,
    last_issued_on date   NOT NULL,
    PRIMARY KEY (reseller_id, series)
);

-- The history: a hash chain per reseller, appended only.
CREATE TABLE event_chains (
    reseller_id   uuid   PRIMARY KEY REFERENCES resellers (id),
    next_sequence bigint NOT NULL,
    last_hash     bytea  NOT NULL
);

CREATE TABLE invoice_events (
    reseller_id     uuid        NOT NULL,
    sequence        bigint      NOT NULL,
    invoice_id      uuid        NOT NULL,
    invoice_version integer     NOT NULL,
    name            text        NOT NULL CHECK (name IN ('generated', 'opened', 'reopened', 'closed', 'voided', 'discarded')),
    from_status     text,
    to_status       text        NOT NULL,
    actor           text        NOT NULL,
    reason          text,
    job_id          uuid,
    correlation     text        NOT NULL,
    occurred_at     timestamptz NOT NULL,
    previous_hash   bytea       NOT NULL,
    hash            bytea       NOT NULL,
    PRIMARY KEY (reseller_id, sequence),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);
CREATE INDEX invoice_events_invoice ON invoice_events (reseller_id, invoice_id, sequence);

GRANT USAGE ON SEQUENCE document_ids TO billrunner_app;
GRANT SELECT, INSERT, UPDATE ON invoices, number_series, event_chains TO billrunner_app;
GRANT SELECT, INSERT, DELETE ON
    invoice_lines, invoice_taxes, invoice_sources, invoice_exchange_rates TO billrunner_app;
GRANT SELECT, INSERT ON invoice_events TO billrunner_app;
