-- Accounts change hands: who holds an account has days, and a charge belongs to whoever holds its account on the UTC day
-- of its ChargePeriodStart. Customers have more to print, and an invoice remembers the accounts that it was made of.
--
-- The previous release knows no days: it bills an account to everybody who ever holds it. Give no dates before every
-- process runs this release.
ALTER TABLE provider_accounts
    ADD COLUMN valid_from date CHECK (valid_from BETWEEN '1900-01-01' AND '2999-12-31'),
    ADD COLUMN valid_to   date CHECK (valid_to BETWEEN '1900-01-01' AND '2999-12-31'),
    ADD COLUMN days       daterange NOT NULL GENERATED ALWAYS AS (daterange(valid_from, valid_to)) STORED
        CHECK (NOT isempty(days));
COMMENT ON COLUMN provider_accounts.valid_from IS 'first day, UTC; NULL: always before';
COMMENT ON COLUMN provider_accounts.valid_to IS 'the day after the last one, UTC; NULL: until further notice';
ALTER TABLE provider_accounts DROP CONSTRAINT provider_accounts_pkey;
ALTER TABLE provider_accounts ADD PRIMARY KEY (reseller_id, provider, account_id, days);

-- One holder a day. An exclusion constraint over key and days wants btree_gist, which an owner may not be allowed to
-- install, so the key is part of the range: a span of texts that all begin with the account's key, then the day. Lengths
-- stand before what they measure, so that no key is the beginning of another; `:` comes after every digit.
CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
REVOKE ALL ON FUNCTION text_range(text, text), text_range(text, text, text), text_multirange(),
    text_multirange(text_range), text_multirange(VARIADIC text_range[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION text_range(text, text), text_range(text, text, text) TO billrunner_app;
ALTER TABLE provider_accounts ADD CONSTRAINT provider_accounts_one_holder_a_day EXCLUDE USING gist (
    text_range(
        reseller_id::text || length(provider)::text || ':' || provider || length(account_id)::text || ':' || account_id
            || coalesce(lpad((valid_from - DATE '1900-01-01')::text, 6, '0'), ''),
        reseller_id::text || length(provider)::text || ':' || provider || length(account_id)::text || ':' || account_id
            || coalesce(lpad((valid_to - DATE '1900-01-01')::text, 6, '0'), ':')
    ) WITH &&);

-- Sums stay one row per account and category. Only where an account changes hands between the first and the last day of
-- such a sum is it kept by day too; the triggers below see to it, whoever writes.
ALTER TABLE charge_totals ADD COLUMN days daterange NOT NULL DEFAULT '(,)';
COMMENT ON COLUMN charge_totals.days IS 'from the first to the last day that a charge starts on, UTC; (,) where the previous release summed';
CREATE INDEX charge_totals_account ON charge_totals (sub_account_id, reseller_id);

CREATE TABLE charge_day_totals (
    reseller_id      uuid    NOT NULL,
    charge_scope_id  uuid    NOT NULL,
    billing_currency text    NOT NULL,
    sub_account_id   text    NOT NULL,
    charge_category  text    NOT NULL,
    day              date    NOT NULL,
    charge_count     bigint  NOT NULL,
    billed_cost      numeric NOT NULL,
    PRIMARY KEY (reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category, day),
    FOREIGN KEY (reseller_id, charge_scope_id) REFERENCES charge_scopes
);
GRANT SELECT, INSERT ON charge_day_totals TO billrunner_app;

-- What one sum is made of, day by day. Without settings of its own, so that it becomes part of the statement that asks.
CREATE FUNCTION day_totals(of_reseller uuid, of_scope uuid, of_period date, of_currency text, of_account text, of_category text)
    RETURNS SETOF charge_day_totals LANGUAGE sql STABLE AS $$
    SELECT charge.reseller_id, charge.charge_scope_id, charge.billing_currency, charge.sub_account_id, charge.charge_category,
        (charge.charge_period_start AT TIME ZONE 'UTC')::date, count(*), SUM(charge.billed_cost)
    FROM billrunner.charges charge
    WHERE charge.reseller_id = of_reseller AND charge.charge_scope_id = of_scope AND charge.billing_period_start = of_period
        AND charge.sub_account_id = of_account AND charge.billing_currency = of_currency
        AND charge.charge_category = of_category
    GROUP BY 1, 2, 3, 4, 5, 6
$$;
REVOKE ALL ON FUNCTION day_totals(uuid, uuid, date, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION day_totals(uuid, uuid, date, text, text, text) TO billrunner_app;

CREATE FUNCTION sum_new_totals_by_day() RETURNS trigger LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    -- First which, mostly none; then one look at the charges of each.
    WITH split AS MATERIALIZED (
        SELECT total.*, scope.billing_period_start
        FROM added total
        JOIN charge_scopes scope ON scope.reseller_id = total.reseller_id AND scope.id = total.charge_scope_id
        WHERE EXISTS (SELECT FROM provider_accounts account
            WHERE account.reseller_id = total.reseller_id AND account.provider = scope.provider
                AND account.account_id = total.sub_account_id
                AND account.days && total.days AND NOT account.days @> total.days)
    )
    INSERT INTO charge_day_totals
    SELECT by_day.* FROM split CROSS JOIN LATERAL day_totals(split.reseller_id, split.charge_scope_id,
        split.billing_period_start, split.billing_currency, split.sub_account_id, split.charge_category) AS by_day;
    RETURN NULL;
END
$$;
CREATE TRIGGER sum_by_day AFTER INSERT ON charge_totals REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION sum_new_totals_by_day();

CREATE FUNCTION sum_totals_of_new_holders_by_day() RETURNS trigger
    LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    WITH split AS MATERIALIZED (
        SELECT DISTINCT total.*, scope.billing_period_start
        FROM added account
        JOIN charge_totals total ON total.reseller_id = account.reseller_id
            AND total.sub_account_id = account.account_id
            AND account.days && total.days AND NOT account.days @> total.days
        JOIN charge_scopes scope ON scope.reseller_id = total.reseller_id AND scope.id = total.charge_scope_id
            AND scope.provider = account.provider AND scope.superseded_by IS NULL
        WHERE account.days <> '(,)' AND NOT EXISTS (SELECT FROM charge_day_totals known
            WHERE known.reseller_id = total.reseller_id AND known.charge_scope_id = total.charge_scope_id
                AND known.billing_currency = total.billing_currency AND known.sub_account_id = total.sub_account_id
                AND known.charge_category = total.charge_category)
    )
    INSERT INTO charge_day_totals
    SELECT by_day.* FROM split CROSS JOIN LATERAL day_totals(split.reseller_id, split.charge_scope_id,
        split.billing_period_start, split.billing_currency, split.sub_account_id, split.charge_category) AS by_day;
    RETURN NULL;
END
$$;
CREATE TRIGGER sum_by_day_when_assigned AFTER INSERT ON provider_accounts REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION sum_totals_of_new_holders_by_day();
CREATE TRIGGER sum_by_day_when_reassigned AFTER UPDATE ON provider_accounts REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION sum_totals_of_new_holders_by_day();

-- The sums that count, by who holds the account; customer_id is NULL where nobody does. Where there are sums by day, they
-- stand for the one over all days.
CREATE VIEW held_charge_totals AS
SELECT total.reseller_id, scope.provider, scope.billing_period_start, total.charge_scope_id, total.billing_currency,
    total.sub_account_id, total.charge_category, NULL::date AS day, account.customer_id, total.charge_count,
    total.billed_cost, scope.billing_account_id, scope.charge_file_id
FROM charge_totals total
JOIN charge_scopes scope ON scope.reseller_id = total.reseller_id AND scope.id = total.charge_scope_id
LEFT JOIN provider_accounts account ON account.reseller_id = total.reseller_id AND account.provider = scope.provider
    AND account.account_id = total.sub_account_id AND account.days @> total.days
WHERE scope.superseded_by IS NULL AND NOT EXISTS (SELECT FROM charge_day_totals by_day
    WHERE by_day.reseller_id = total.reseller_id AND by_day.charge_scope_id = total.charge_scope_id
        AND by_day.billing_currency = total.billing_currency AND by_day.sub_account_id = total.sub_account_id
        AND by_day.charge_category = total.charge_category)
UNION ALL
SELECT total.reseller_id, scope.provider, scope.billing_period_start, total.charge_scope_id, total.billing_currency,
    total.sub_account_id, total.charge_category, total.day, account.customer_id, total.charge_count, total.billed_cost,
    scope.billing_account_id, scope.charge_file_id
FROM charge_day_totals total
JOIN charge_scopes scope ON scope.reseller_id = total.reseller_id AND scope.id = total.charge_scope_id
LEFT JOIN provider_accounts account ON account.reseller_id = total.reseller_id AND account.provider = scope.provider
    AND account.account_id = total.sub_account_id AND account.days @> total.day
WHERE scope.superseded_by IS NULL;
GRANT SELECT ON held_charge_totals TO billrunner_app;

-- The accounts of an invoice's customer on the day it was generated: its detail follows them, whoever holds the accounts
-- since. An invoice without any is of the previous release, and follows the directory as it did there.
CREATE TABLE invoice_accounts (
    reseller_id uuid      NOT NULL,
    invoice_id  uuid      NOT NULL,
    account_id  text      NOT NULL,
    days        daterange NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, account_id, days),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);
INSERT INTO invoice_accounts
SELECT invoice.reseller_id, invoice.id, account.account_id, account.days
FROM invoices invoice
JOIN provider_accounts account ON account.reseller_id = invoice.reseller_id AND account.provider = invoice.provider
    AND account.customer_id = invoice.customer_id
WHERE invoice.status <> 'discarded';
CREATE TRIGGER guard_content BEFORE INSERT OR UPDATE OR DELETE ON invoice_accounts
    FOR EACH ROW EXECUTE FUNCTION guard_invoice_content();
GRANT SELECT, INSERT, DELETE ON invoice_accounts TO billrunner_app;

CREATE VIEW accounts_of_invoices AS
SELECT reseller_id, invoice_id, account_id, days FROM invoice_accounts
UNION ALL
SELECT invoice.reseller_id, invoice.id, account.account_id, account.days
FROM invoices invoice
JOIN provider_accounts account ON account.reseller_id = invoice.reseller_id AND account.provider = invoice.provider
    AND account.customer_id = invoice.customer_id
WHERE NOT EXISTS (SELECT FROM invoice_accounts known
    WHERE known.reseller_id = invoice.reseller_id AND known.invoice_id = invoice.id);
GRANT SELECT ON accounts_of_invoices TO billrunner_app;

ALTER TABLE customers ADD COLUMN time_zone text, ADD COLUMN purchase_order text;
COMMENT ON COLUMN customers.time_zone IS 'IANA name: instants on documents are printed as days there; NULL: UTC';
COMMENT ON COLUMN customers.purchase_order IS 'printed on every invoice';

CREATE TABLE custom_fields (
    reseller_id uuid    NOT NULL REFERENCES resellers (id),
    key         text    NOT NULL,
    labels      jsonb   NOT NULL,
    position    integer NOT NULL,
    is_printed  boolean NOT NULL,
    value_type  text    NOT NULL CHECK (value_type IN ('text', 'number', 'date')),
    pattern     text,
    PRIMARY KEY (reseller_id, key)
);
COMMENT ON COLUMN custom_fields.labels IS 'by BCP 47 tag';
COMMENT ON COLUMN custom_fields.pattern IS 'regular expression that the whole of a text matches';

CREATE TABLE custom_field_values (
    reseller_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    key         text NOT NULL,
    value       text NOT NULL,
    PRIMARY KEY (reseller_id, customer_id, key),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers,
    FOREIGN KEY (reseller_id, key) REFERENCES custom_fields
);
GRANT SELECT, INSERT, UPDATE, DELETE ON custom_fields, custom_field_values TO billrunner_app;

-- What an invoice to come prints of a customer's fields: labels in the customer's language, else in its base language,
-- else in the first there is.
CREATE FUNCTION printed_fields(of_reseller uuid, of_customer uuid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = billrunner, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('label', coalesce(
            field.labels ->> customer.language,
            field.labels ->> split_part(customer.language, '-', 1),
            (SELECT label.value FROM jsonb_each_text(field.labels) AS label ORDER BY label.key LIMIT 1),
            field.key), 'value', entry.value) ORDER BY field.position, field.key), '[]')
    FROM custom_field_values entry
    JOIN custom_fields field ON field.reseller_id = entry.reseller_id AND field.key = entry.key AND field.is_printed
    JOIN customers customer ON customer.reseller_id = entry.reseller_id AND customer.id = entry.customer_id
    WHERE entry.reseller_id = of_reseller AND entry.customer_id = of_customer
$$;
REVOKE ALL ON FUNCTION printed_fields(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION printed_fields(uuid, uuid) TO billrunner_app;

-- Who answered for unassigned charges and who took that back: appended only.
CREATE TABLE unassigned_waiver_actions (
    id                   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reseller_id          uuid        NOT NULL REFERENCES resellers (id),
    provider             text        NOT NULL,
    billing_period_start date        NOT NULL,
    account_id           text        NOT NULL,
    action               text        NOT NULL CHECK (action IN ('waive', 'take_back')),
    done_by              text        NOT NULL,
    done_at              timestamptz NOT NULL DEFAULT now(),
    reason               text        NOT NULL
);
CREATE INDEX unassigned_waiver_actions_month
    ON unassigned_waiver_actions (reseller_id, provider, billing_period_start, account_id);
INSERT INTO unassigned_waiver_actions
    (reseller_id, provider, billing_period_start, account_id, action, done_by, done_at, reason)
SELECT reseller_id, provider, billing_period_start, account_id, 'waive', waived_by, waived_at, reason
FROM unassigned_waivers;
GRANT SELECT, INSERT ON unassigned_waiver_actions TO billrunner_app;
