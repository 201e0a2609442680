-- Who may use the console: users with sessions, tokens for scripts, and how often somebody tried to log in.
CREATE TABLE users (
    name          text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,62}$'),
    role          text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    -- Argon2id, in the PHC string format.
    password_hash text        NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at    timestamptz NOT NULL DEFAULT now(),
    disabled_at   timestamptz
);

CREATE TABLE console_sessions (
    -- SHA-256 of what the cookie holds: 256 random bits need neither salt nor a slow hash.
    secret_hash bytea       PRIMARY KEY CHECK (octet_length(secret_hash) = 32),
    user_name   text        NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- To the minute: a session in use does not write a row for each request.
    seen_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX console_sessions_user ON console_sessions (user_name);

CREATE TABLE console_tokens (
    name         text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,62}$'),
    role         text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    secret_hash  bytea       NOT NULL UNIQUE CHECK (octet_length(secret_hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL CHECK (isfinite(expires_at)),
    revoked_at   timestamptz,
    last_used_at timestamptz
);

CREATE TABLE login_attempts (
    -- `name/…` or `address/…`.
    subject text        PRIMARY KEY,
    tries   integer     NOT NULL CHECK (tries > 0),
    since   timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE (role, password_hash, disabled_at) ON users TO billrunner_app;
GRANT SELECT, INSERT, UPDATE (seen_at), DELETE ON console_sessions TO billrunner_app;
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON console_tokens TO billrunner_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempts TO billrunner_app;
-- The hashes of secrets are nobody's to check.
REVOKE SELECT ON users, console_sessions, console_tokens, login_attempts FROM billrunner_auditor;
GRANT SELECT (name, role, created_at, disabled_at) ON users TO billrunner_auditor;
GRANT SELECT (name, role, created_at, expires_at, revoked_at, last_used_at) ON console_tokens TO billrunner_auditor;

-- What is done to users and tokens, and to many jobs at once, is recorded as what is done to queues and jobs.
ALTER TABLE operator_actions
    ADD COLUMN access_name text,
    DROP CONSTRAINT operator_actions_action_check,
    DROP CONSTRAINT operator_actions_check,
    ADD CONSTRAINT operator_actions_action_check CHECK (action IN (
        'pause', 'resume', 'limit', 'cancel', 'retry', 'discard', 'change_jobs',
        'add_user', 'change_user', 'add_token', 'revoke_token')),
    ADD CONSTRAINT operator_actions_check CHECK (num_nonnulls(queue, job_id, access_name) = 1);
COMMENT ON COLUMN operator_actions.access_name IS 'a user or a token of the console';
