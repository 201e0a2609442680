-- billrunner lives in a schema of its own, so that it can share a database with the systems that enqueue.
-- `billrunner_app` is what the worker and web processes act as: it owns nothing and is granted, table by table,
-- just what they do. Roles belong to the whole server, hence the guard.
CREATE SCHEMA IF NOT EXISTS billrunner;

DO $$
BEGIN
    CREATE ROLE billrunner_app NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'billrunner_app', 'MEMBER') THEN
        GRANT billrunner_app TO CURRENT_USER;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA billrunner TO billrunner_app;
-- Read by `readyz`, to tell whether the schema is that of the release.
GRANT SELECT ON _sqlx_migrations TO billrunner_app;
