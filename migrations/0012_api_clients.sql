-- Who may hand jobs in over HTTP, and with which keys.
CREATE TABLE api_clients (
    -- Also the first part of its jobs' `source`, hence no slash. `billrunner/…` is what follow-up jobs have.
    name            text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$' AND name <> 'billrunner'),
    -- Kinds of job it may hand in; NULL is all.
    kinds           text[]      CHECK (cardinality(kinds) > 0),
    -- It may use each of these as `source`, and what begins with one of them and a slash. It sees the jobs of these.
    sources         text[]      NOT NULL CHECK (cardinality(sources) > 0),
    rate_per_minute integer     NOT NULL CHECK (rate_per_minute > 0),
    burst           integer     NOT NULL CHECK (burst > 0),
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id           uuid        PRIMARY KEY,
    client       text        NOT NULL REFERENCES api_clients ON DELETE CASCADE,
    -- Two places and no third: a new key is handed out before the old one is revoked, and none lies about forgotten.
    slot         smallint    NOT NULL CHECK (slot IN (1, 2)),
    -- SHA-256 of the secret; a secret of 256 random bits needs neither salt nor a slow hash.
    secret_hash  bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz CHECK (isfinite(expires_at)),
    revoked_at   timestamptz,
    -- To the minute: a key in use does not write a row for each request.
    last_used_at timestamptz
);

CREATE UNIQUE INDEX api_keys_two_active ON api_keys (client, slot) WHERE revoked_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON api_clients TO billrunner_app;
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON api_keys TO billrunner_app;
