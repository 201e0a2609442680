-- Charge files, accepted whole, and their rows in FOCUS column names (snake case).
CREATE TABLE charge_files (
    reseller_id  uuid        NOT NULL REFERENCES resellers (id),
    id           uuid        NOT NULL,
    sha256       bytea       NOT NULL CHECK (length(sha256) = 32),
    provider     text        NOT NULL,
    file_name    text        NOT NULL,
    format       text        NOT NULL,
    size_bytes   bigint      NOT NULL,
    charge_count bigint      NOT NULL,
    imported_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, id),
    UNIQUE (reseller_id, sha256)
);

-- The part of a file that belongs to one billing account and billing period: the unit a later file supersedes.
CREATE TABLE charge_scopes (
    reseller_id          uuid   NOT NULL,
    id                   uuid   NOT NULL,
    charge_file_id       uuid   NOT NULL,
    provider             text   NOT NULL,
    billing_account_id   text   NOT NULL,
    billing_period_start date   NOT NULL,
    billing_period_end   date   NOT NULL,
    charge_count         bigint NOT NULL,
    superseded_by        uuid,
    PRIMARY KEY (reseller_id, id),
    FOREIGN KEY (reseller_id, charge_file_id) REFERENCES charge_files,
    CHECK (billing_period_end > billing_period_start)
);
CREATE UNIQUE INDEX charge_scopes_active
    ON charge_scopes (reseller_id, provider, billing_period_start, billing_account_id) WHERE superseded_by IS NULL;

-- Exact sums per account and category, so that reconciliation never reads the charges again.
CREATE TABLE charge_totals (
    reseller_id      uuid    NOT NULL,
    charge_scope_id  uuid    NOT NULL,
    billing_currency text    NOT NULL,
    sub_account_id   text    NOT NULL,
    charge_category  text    NOT NULL,
    charge_count     bigint  NOT NULL,
    billed_cost      numeric NOT NULL,
    PRIMARY KEY (reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category),
    FOREIGN KEY (reseller_id, charge_scope_id) REFERENCES charge_scopes
);

CREATE TABLE charges (
    reseller_id          uuid        NOT NULL,
    billing_period_start date        NOT NULL,
    charge_scope_id      uuid        NOT NULL,
    row_number           bigint      NOT NULL,
    billed_cost          numeric     NOT NULL,
    billing_currency     text        NOT NULL,
    charge_category      text        NOT NULL,
    charge_class         text,
    charge_description   text,
    charge_frequency     text,
    charge_period_start  timestamptz NOT NULL,
    charge_period_end    timestamptz NOT NULL,
    consumed_quantity    numeric,
    consumed_unit        text,
    region_id            text,
    resource_id          text,
    resource_name        text,
    service_category     text,
    service_name         text        NOT NULL,
    sku_id               text,
    sub_account_id       text        NOT NULL,
    sub_account_name     text,
    tags                 text,
    x_columns            jsonb
) PARTITION BY RANGE (billing_period_start);
CREATE INDEX charges_scope ON charges (reseller_id, charge_scope_id, sub_account_id);
COMMENT ON COLUMN charges.row_number IS '1-based data row of the file; the header is not counted';
COMMENT ON COLUMN charges.sub_account_id IS 'the provider account; the billing account where the row names no sub account';
COMMENT ON COLUMN charges.x_columns IS 'columns outside FOCUS, by name, kept for the detailed CSV';

-- The application owns no table, so the partition of a new month comes from this function. It attaches a table rather
-- than creating it as a partition: that would lock all of `charges`, and wait for every running import.
CREATE FUNCTION ensure_charges_partition(period_start date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = billrunner, pg_temp AS $$
DECLARE
    month_start date := date_trunc('month', period_start)::date;
    partition   text := 'charges_' || to_char(month_start, 'YYYY_MM');
BEGIN
    IF to_regclass('billrunner.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(partition));
    -- Not to_regclass: what it found before the lock may still be cached.
    IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'billrunner' AND tablename = partition) THEN
        EXECUTE format('CREATE TABLE %I (LIKE charges INCLUDING ALL)', partition);
        EXECUTE format('ALTER TABLE charges ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, month_start, (month_start + interval '1 month')::date);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION ensure_charges_partition(date) FROM PUBLIC;

-- A billing period closes when its final bill run starts.
CREATE TABLE billing_periods (
    reseller_id          uuid NOT NULL REFERENCES resellers (id),
    provider             text NOT NULL,
    billing_period_start date NOT NULL,
    billing_period_end   date NOT NULL,
    state                text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closing', 'closed')),
    PRIMARY KEY (reseller_id, provider, billing_period_start)
);

-- Charges of accounts that belong to no customer block opening until somebody answers for them.
CREATE TABLE unassigned_waivers (
    reseller_id          uuid        NOT NULL REFERENCES resellers (id),
    provider             text        NOT NULL,
    billing_period_start date        NOT NULL,
    account_id           text        NOT NULL,
    reason               text        NOT NULL,
    waived_by            text        NOT NULL,
    waived_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, provider, billing_period_start, account_id)
);

GRANT SELECT, INSERT ON charge_files, charge_totals, charges TO billrunner_app;
GRANT SELECT, INSERT, UPDATE ON charge_scopes, billing_periods TO billrunner_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON unassigned_waivers TO billrunner_app;
GRANT EXECUTE ON FUNCTION ensure_charges_partition(date) TO billrunner_app;
