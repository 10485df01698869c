-- Three roles: gpt_owner owns the schema (setup), gpt_app is what the functions run as, gpt_readonly is for people who look.
--
--   psql "$ADMIN_DATABASE_URL" -f infra/postgres/roles.sql
--
-- Run it as a superuser, or as the administrator of a managed server (CREATEROLE, and owner of the database), connected to the
-- application's database: once before the first setup, once after it, and again when a release adds a table (CHANGELOG.md says so).
-- Repeating it is harmless; it says which tables of its list are not there yet. Without the second run the application works and
-- has more rights than it needs.
--
-- Passwords: \password gpt_owner (and so on) in psql, which hashes them before they leave the machine. For scripts: the environment
-- variables GPT_OWNER_PASSWORD, GPT_APP_PASSWORD and GPT_READONLY_PASSWORD, each optional; the server sees these, so not where
-- statements are logged. A role without a password cannot log in.

\set ON_ERROR_STOP on
\set QUIET on
\getenv owner_password GPT_OWNER_PASSWORD
\getenv app_password GPT_APP_PASSWORD
\getenv readonly_password GPT_READONLY_PASSWORD
SET client_min_messages = warning;
BEGIN;
-- Rights and policies need a short exclusive lock on each table. On a busy database give up rather than make requests queue; then run it again.
SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['gpt_owner', 'gpt_app', 'gpt_readonly'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I', role);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN NOCREATEDB NOCREATEROLE', role);
    END LOOP;
    -- Whatever the application does, an operator and a setup still find a connection.
    EXECUTE format('ALTER ROLE gpt_app CONNECTION LIMIT %s', greatest(current_setting('max_connections')::integer - 40, 10));
END $$;
ALTER ROLE gpt_owner CONNECTION LIMIT 20;
ALTER ROLE gpt_readonly CONNECTION LIMIT 5;
-- Nobody who looks holds up a vacuum or a migration.
ALTER ROLE gpt_readonly SET default_transaction_read_only = on;
ALTER ROLE gpt_readonly SET statement_timeout = '30s';
ALTER ROLE gpt_readonly SET idle_in_transaction_session_timeout = '60s';

\if :{?owner_password}
ALTER ROLE gpt_owner PASSWORD :'owner_password';
\endif
\if :{?app_password}
ALTER ROLE gpt_app PASSWORD :'app_password';
\endif
\if :{?readonly_password}
ALTER ROLE gpt_readonly PASSWORD :'readonly_password';
\endif

-- The database and everything in it belongs to gpt_owner, also what another role created before.
GRANT gpt_owner TO CURRENT_USER;
DO $$
DECLARE
    thing record;
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    IF (SELECT datdba <> 'gpt_owner'::regrole FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('ALTER DATABASE %I OWNER TO gpt_owner', current_database());
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO gpt_app, gpt_readonly', current_database());
    FOR thing IN
        SELECT 'TABLE' AS kind, oid::regclass::text AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relowner <> 'gpt_owner'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = pg_class.oid AND d.deptype = 'e')
        UNION ALL
        SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner <> 'gpt_owner'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = pg_proc.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO gpt_owner', thing.kind, thing.name);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- Said although the owner of the database has them: a copy of the database belongs to whoever made it.
GRANT USAGE, CREATE ON SCHEMA public TO gpt_owner;
GRANT USAGE ON SCHEMA public TO gpt_app, gpt_readonly;

-- Tables and functions of later migrations: the application can use them at once, nobody else before this file names them.
ALTER DEFAULT PRIVILEGES FOR ROLE gpt_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gpt_app;
ALTER DEFAULT PRIVILEGES FOR ROLE gpt_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO gpt_app;
ALTER DEFAULT PRIVILEGES FOR ROLE gpt_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What each role may do with each table. Locking rows (FOR UPDATE), as every purge does, needs UPDATE. Rows that go with their user or
-- client are deleted by foreign keys, with the owner's rights.
-- app: privileges; readonly: columns (* for all; secrets, their hashes, payloads and addresses of strangers are not among them);
-- own: which rows a person's data is, where the read-only role sees one person at a time (see below).
CREATE TEMP TABLE rights ON COMMIT DROP AS
SELECT * FROM (VALUES
    ('users', 'SELECT, INSERT, UPDATE', '*', 'clerk_user_id = current_setting(''gpt.user_id'', true)'),
    ('gpt_clients', 'SELECT, INSERT, UPDATE, DELETE', 'client_id, name, kind, auth_methods, redirect_uris, scopes, default_scopes, has_ceiling, require_pkce, jwks_uri, created_at, last_used_at, disabled_at, approved_at, document_read_at, document_expires_at', NULL),
    ('gpt_client_assertions', 'SELECT, INSERT, UPDATE, DELETE', 'client_id, expires_at', NULL),
    ('gpt_authorization_requests', 'SELECT, INSERT, UPDATE, DELETE', NULL, NULL),
    ('page_sessions', 'SELECT, INSERT, UPDATE, DELETE', 'user_id, created_at, last_seen, expires_at',
        'user_id = (SELECT id FROM users WHERE clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('gpt_authorization_codes', 'SELECT, INSERT, UPDATE, DELETE', NULL, NULL),
    ('gpt_consents', 'SELECT, INSERT, UPDATE', '*', 'user_id = (SELECT id FROM users WHERE clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('gpt_sessions', 'SELECT, INSERT, UPDATE, DELETE', '*', 'user_id = (SELECT id FROM users WHERE clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('gpt_refresh_tokens', 'SELECT, INSERT, UPDATE, DELETE', 'session_id, generation, created_at, expires_at, rotated_at, revoked_at',
        'session_id IN (SELECT session.id FROM gpt_sessions session JOIN users ON users.id = session.user_id WHERE users.clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('stripe_subscriptions', 'SELECT, INSERT, UPDATE', '*', 'clerk_user_id = current_setting(''gpt.user_id'', true)'),
    ('gpt_oauth_events', 'SELECT, INSERT', '*', 'clerk_user_id = current_setting(''gpt.user_id'', true)'),
    ('audit_quarantine', 'SELECT, INSERT, DELETE', 'id, received_at, reason', NULL),
    ('outbox_messages', 'SELECT, INSERT, DELETE', 'position, event_id, routing_key, occurred_at', NULL),
    ('outbox_stranded', 'SELECT, INSERT, DELETE', 'position, event_id, routing_key, occurred_at, stranded_at', NULL),
    ('gpt_open_actions', 'SELECT, INSERT, UPDATE, DELETE', 'id, event_type, correlation_id, seen_at, suspected_at', NULL),
    ('webhook_events', 'SELECT, INSERT, UPDATE, DELETE', 'source, event_id, type, status, attempts, event_at, received_at, processed_at, duration_ms', NULL),
    ('webhook_subjects', 'SELECT, INSERT, UPDATE', NULL, NULL),
    ('verification_sessions', 'SELECT, INSERT, UPDATE', 'order_id, status, deadline, created_at, decided_at', NULL),
    ('countdowns', 'SELECT, INSERT, UPDATE, DELETE', 'id, kind, due_at, status, attempts, next_attempt_at, lease_until, created_at, finished_at', NULL),
    ('verification_callbacks', 'SELECT, INSERT, UPDATE, DELETE', 'id, type, order_id, status, attempts, next_attempt_at, lease_until, created_at, finished_at, replayed_at', NULL),
    ('usage_counters', 'SELECT, INSERT, UPDATE, DELETE', '*', 'user_id = (SELECT id FROM users WHERE clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('usage_units', 'SELECT, INSERT, UPDATE, DELETE', NULL, NULL),
    ('refusals', 'SELECT, INSERT, UPDATE, DELETE', '*', NULL),
    ('refused_requests', 'SELECT, INSERT, UPDATE, DELETE', 'id, number, at, method, endpoint, action, status, reason, client_id, session_id, correlation_id', NULL),
    ('hourly_counts', 'SELECT, INSERT, UPDATE, DELETE', '*', NULL),
    ('replicas', 'SELECT, INSERT, UPDATE, DELETE', '*', NULL),
    ('client_usage', 'SELECT, INSERT, UPDATE, DELETE', '*', 'user_id = (SELECT id FROM users WHERE clerk_user_id = current_setting(''gpt.user_id'', true))'),
    ('sign_ins', 'SELECT, INSERT, UPDATE, DELETE', '*', 'clerk_user_id = current_setting(''gpt.user_id'', true)'),
    ('rate_limits', 'SELECT, INSERT, UPDATE, DELETE', NULL, NULL),
    ('gpt_signing_keys', 'SELECT, INSERT, UPDATE, DELETE', '*', NULL),
    ('maintenance_runs', 'SELECT, INSERT, UPDATE, DELETE', 'id, job, started_at, finished_at, outcome, counts, lease_until', NULL),
    ('schema_migrations', 'SELECT', '*', NULL)
) AS rights (name, app, readonly, own);

-- Row-level security is for the read-only role: SET gpt.user_id = 'user_123' shows that person's rows, and without it there are none.
-- It keeps an honest reader from leafing through everybody, and any query from adding up strangers; it does not stop somebody who
-- knows the ids. The application has a policy that lets it have all rows, which the planner leaves out; the owner is not subject to any.
DO $$
DECLARE
    item record;
    missing text;
BEGIN
    FOR item IN SELECT *, to_regclass('public.' || name) AS found FROM rights LOOP
        IF item.found IS NULL THEN
            missing := concat_ws(', ', missing, item.name);
            CONTINUE;
        END IF;
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, gpt_app, gpt_readonly', item.found);
        EXECUTE format('GRANT %s ON %s TO gpt_app', item.app, item.found);
        IF item.readonly = '*' THEN
            EXECUTE format('GRANT SELECT ON %s TO gpt_readonly', item.found);
        ELSIF item.readonly IS NOT NULL THEN
            EXECUTE format('GRANT SELECT (%s) ON %s TO gpt_readonly', item.readonly, item.found);
        END IF;
        IF item.own IS NOT NULL THEN
            EXECUTE format('DROP POLICY IF EXISTS application ON %1$s; DROP POLICY IF EXISTS own_rows ON %1$s', item.found);
            EXECUTE format('CREATE POLICY application ON %s TO gpt_app USING (true) WITH CHECK (true)', item.found);
            EXECUTE format('CREATE POLICY own_rows ON %s FOR SELECT TO gpt_readonly USING (%s)', item.found, item.own);
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', item.found);
        END IF;
    END LOOP;
    IF missing IS NOT NULL THEN
        RAISE WARNING 'not there yet, so run this file again after setup: %', missing;
    END IF;

    -- Partitions are reached through gpt_oauth_events only. Those of later months get the default rights; triggers refuse changes there too.
    FOR item IN SELECT inhrelid::regclass AS found FROM pg_inherits WHERE inhparent = to_regclass('public.gpt_oauth_events') LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, gpt_app, gpt_readonly', item.found);
    END LOOP;

    FOR item IN SELECT oid::regprocedure AS found FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proowner = 'gpt_owner'::regrole LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', item.found);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO gpt_app', item.found);
    END LOOP;
END $$;

-- A table that this file does not name: the application can use it, the read-only role cannot.
DO $$
DECLARE
    unknown text := (SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relowner = 'gpt_owner'::regrole AND relname NOT IN (SELECT name FROM rights));
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE WARNING 'not in the list of roles.sql: %', unknown;
    END IF;
END $$;
COMMIT;
