-- From cost to price to tax: dated price rules, custom charges and discounts, dated taxes with their category, and views
-- of an invoice in another currency.
CREATE TABLE price_rules (
    reseller_id      uuid    NOT NULL REFERENCES resellers (id),
    customer_id      uuid,
    service_name     text,
    service_category text,
    charge_category  text    CHECK (charge_category IN ('Usage', 'Purchase', 'Credit', 'Adjustment')),
    provider         text,
    method           text    NOT NULL CHECK (method IN ('markup', 'margin')),
    rate             numeric NOT NULL CHECK (rate > -1),
    valid_from       date,
    valid_to         date,
    is_from_markups  boolean NOT NULL DEFAULT false,
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers,
    CHECK (method = 'markup' OR rate < 1),
    CHECK (valid_to > valid_from)
);
CREATE UNIQUE INDEX price_rules_key ON price_rules (
    reseller_id, coalesce(customer_id::text, ''), coalesce(service_name, ''), coalesce(service_category, ''),
    coalesce(charge_category, ''), coalesce(provider, ''), coalesce(valid_from, '-infinity'));
COMMENT ON TABLE price_rules IS 'the rule that names most applies: customer before service_name, service_category, charge_category, provider';
COMMENT ON COLUMN price_rules.valid_from IS 'NULL: since ever; compared with the first day of a billing period';
COMMENT ON COLUMN price_rules.valid_to IS 'exclusive; NULL: until further notice';

-- The previous release reads and writes `markups`; until no process of it is left, its rows are price rules too.
INSERT INTO price_rules (reseller_id, customer_id, provider, method, rate, is_from_markups)
SELECT reseller_id, customer_id, provider, 'markup', rate, true FROM markups;

CREATE FUNCTION copy_markup() RETURNS trigger LANGUAGE plpgsql SET search_path = billrunner, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM price_rules
        WHERE reseller_id = OLD.reseller_id AND customer_id IS NOT DISTINCT FROM OLD.customer_id
          AND provider IS NOT DISTINCT FROM OLD.provider AND is_from_markups;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO price_rules (reseller_id, customer_id, provider, method, rate, is_from_markups)
        VALUES (NEW.reseller_id, NEW.customer_id, NEW.provider, 'markup', NEW.rate, true);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER copy_markup AFTER INSERT OR UPDATE OR DELETE ON markups
    FOR EACH ROW EXECUTE FUNCTION copy_markup();

CREATE TABLE custom_charges (
    reseller_id uuid    NOT NULL REFERENCES resellers (id),
    position    integer NOT NULL,
    customer_id uuid,
    provider    text,
    valid_from  date,
    valid_to    date,
    definition  jsonb   NOT NULL,
    PRIMARY KEY (reseller_id, position),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers,
    CHECK (valid_to > valid_from)
);
COMMENT ON COLUMN custom_charges.definition IS 'the whole charge, as src/domain/custom_charges.rs reads it';

CREATE TABLE pricing_policies (
    reseller_id                uuid    PRIMARY KEY REFERENCES resellers (id),
    mirror_markup              boolean NOT NULL DEFAULT false,
    max_exchange_rate_age_days integer NOT NULL DEFAULT 31 CHECK (max_exchange_rate_age_days >= 0)
);
COMMENT ON COLUMN pricing_policies.mirror_markup IS 'whether price rules apply to Credit and Adjustment too';

-- The previous release reads name and rate of every row: dated and narrowed rates wait until no process of it is left.
ALTER TABLE tax_rates
    ADD COLUMN category          text CHECK (category IN ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')),
    ADD COLUMN exemption_code    text,
    ADD COLUMN exemption_reasons jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN services          text[] NOT NULL DEFAULT '{}',
    ADD COLUMN sections          text[] NOT NULL DEFAULT '{}',
    ADD COLUMN valid_from        date,
    ADD COLUMN valid_to          date,
    ADD CHECK (valid_to > valid_from),
    DROP CONSTRAINT tax_rates_pkey;
CREATE UNIQUE INDEX tax_rates_key ON tax_rates (
    reseller_id, customer_id, name, coalesce(valid_from, '-infinity'), services, sections);
COMMENT ON COLUMN tax_rates.category IS 'UNCL5305 code; NULL: S, or Z where the rate is zero';

ALTER TABLE invoices ADD COLUMN price_terms jsonb;
COMMENT ON COLUMN invoices.price_terms IS 'the price rules in use, frozen; NULL: priced by markup_rate alone';
COMMENT ON COLUMN invoices.markup_rate IS 'for the previous release; price_terms says it whole';
ALTER TABLE invoice_lines ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN invoice_lines.details IS 'how the price came about, and which taxes apply';
ALTER TABLE invoice_taxes
    ADD COLUMN category         text CHECK (category IN ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')),
    ADD COLUMN exemption_code   text,
    ADD COLUMN exemption_reason text;
ALTER TABLE documents ADD COLUMN currency text CHECK (currency ~ '^[A-Z]{3}$');
COMMENT ON COLUMN documents.currency IS 'of a view in another currency; NULL: the invoice''s own';

-- The rate of a view, taken from the table once and for all: every document of the view shows the same amounts.
CREATE TABLE invoice_view_rates (
    reseller_id uuid    NOT NULL,
    invoice_id  uuid    NOT NULL,
    currency    text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    viewed_on   date    NOT NULL,
    rate        numeric NOT NULL CHECK (rate > 0),
    source      text    NOT NULL,
    rated_on    date    NOT NULL,
    PRIMARY KEY (reseller_id, invoice_id, currency, viewed_on),
    FOREIGN KEY (reseller_id, invoice_id) REFERENCES invoices
);
COMMENT ON COLUMN invoice_view_rates.viewed_on IS 'the day of issue; of a draft, the day it was generated';

GRANT SELECT, INSERT, UPDATE, DELETE ON price_rules, custom_charges TO billrunner_app;
GRANT SELECT, INSERT, UPDATE ON pricing_policies TO billrunner_app;
GRANT SELECT, INSERT ON invoice_view_rates TO billrunner_app;
