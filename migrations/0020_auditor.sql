-- Who checks may read everything and write nothing: `billrunner verify` acts as this role. An auditor's login becomes a
-- member of it and of nothing else; the application's role may act as it too.
DO $$
BEGIN
    CREATE ROLE billrunner_auditor NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

-- Memberships are the whole server's: a second database of the same server finds them granted.
DO $$
BEGIN
    IF NOT pg_has_role('billrunner_app', 'billrunner_auditor', 'MEMBER') THEN
        GRANT billrunner_auditor TO billrunner_app;
    END IF;
EXCEPTION
    WHEN unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA billrunner TO billrunner_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA billrunner TO billrunner_auditor;
-- What later migrations and new months bring.
ALTER DEFAULT PRIVILEGES IN SCHEMA billrunner GRANT SELECT ON TABLES TO billrunner_auditor;
-- The hashes of secrets are nobody's to check.
REVOKE SELECT ON api_keys FROM billrunner_auditor;
