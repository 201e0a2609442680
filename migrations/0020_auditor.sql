-- Who checks may read everything and write nothing: an auditor's login becomes a member of this role and of nothing else,
-- and `billrunner verify` acts as it. The application's role is no member: it would inherit what it is not granted.
DO $$
BEGIN
    CREATE ROLE billrunner_auditor NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA billrunner TO billrunner_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA billrunner TO billrunner_auditor;
-- What later migrations and new months bring.
ALTER DEFAULT PRIVILEGES IN SCHEMA billrunner GRANT SELECT ON TABLES TO billrunner_auditor;
-- The hashes of secrets are nobody's to check.
REVOKE SELECT ON api_keys FROM billrunner_auditor;
