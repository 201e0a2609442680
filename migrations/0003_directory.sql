-- Who bills whom, for which provider accounts, at which markup, tax and exchange rates.
-- Every key starts with reseller_id: it scopes each row and is the distribution key of a distributed Postgres.
CREATE TABLE resellers (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    tax_id     text,
    address    text        NOT NULL DEFAULT '',
    email      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE customers (
    reseller_id uuid        NOT NULL REFERENCES resellers (id),
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    language    text        NOT NULL,
    currency    text        CHECK (currency ~ '^[A-Z]{3}$'),
    tax_id      text,
    address     text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, id)
);
COMMENT ON COLUMN customers.language IS 'BCP 47 tag; never derived from the country';
COMMENT ON COLUMN customers.currency IS 'ISO 4217 code invoices are issued in; NULL: the currency of the charges';

CREATE TABLE contacts (
    reseller_id uuid    NOT NULL,
    customer_id uuid    NOT NULL,
    email       text    NOT NULL,
    name        text    NOT NULL DEFAULT '',
    enabled     boolean NOT NULL DEFAULT true,
    PRIMARY KEY (reseller_id, customer_id, email),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers
);

CREATE TABLE provider_accounts (
    reseller_id uuid NOT NULL,
    provider    text NOT NULL,
    account_id  text NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (reseller_id, provider, account_id),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers
);
CREATE INDEX provider_accounts_customer ON provider_accounts (reseller_id, customer_id);

CREATE TABLE markups (
    reseller_id uuid    NOT NULL REFERENCES resellers (id),
    customer_id uuid,
    provider    text,
    rate        numeric NOT NULL CHECK (rate > -1),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers
);
CREATE UNIQUE INDEX markups_key ON markups (reseller_id, coalesce(customer_id::text, ''), coalesce(provider, ''));
COMMENT ON COLUMN markups.rate IS '0.125 is 12.5 %; the row that names most of (customer, provider) applies';

CREATE TABLE tax_rates (
    reseller_id uuid    NOT NULL,
    customer_id uuid    NOT NULL,
    name        text    NOT NULL,
    rate        numeric NOT NULL CHECK (rate >= 0),
    PRIMARY KEY (reseller_id, customer_id, name),
    FOREIGN KEY (reseller_id, customer_id) REFERENCES customers
);

CREATE TABLE exchange_rates (
    reseller_id   uuid    NOT NULL REFERENCES resellers (id),
    from_currency text    NOT NULL CHECK (from_currency ~ '^[A-Z]{3}$'),
    to_currency   text    NOT NULL CHECK (to_currency ~ '^[A-Z]{3}$'),
    rated_on      date    NOT NULL,
    rate          numeric NOT NULL CHECK (rate > 0),
    source        text    NOT NULL,
    PRIMARY KEY (reseller_id, from_currency, to_currency, rated_on)
);

CREATE TABLE suppressed_addresses (
    reseller_id uuid        NOT NULL REFERENCES resellers (id),
    email       text        NOT NULL,
    reason      text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reseller_id, email)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    customers, contacts, provider_accounts, markups, tax_rates, exchange_rates, suppressed_addresses TO billrunner_app;
GRANT SELECT, INSERT, UPDATE ON resellers TO billrunner_app;
