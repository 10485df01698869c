-- Years of use: people, their sessions with three refresh tokens each, what they agreed to, events of the inbox and of the audit trail. Everything is
-- a function of its number, so that two runs make the same rows and a benchmark knows the texts of the tokens: scale-NUMBER-2 is a live one.
-- psql variables: what (people, sessions, events), first and last (numbers), total (of that kind), months (of the audit trail).
SET synchronous_commit = off;
SELECT :'what' = 'people' AS people, :'what' = 'sessions' AS sessions, :'what' = 'events' AS events \gset

\if :people
INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at, last_used_at)
SELECT 'scale_' || number, 'App ' || number, 'confidential', '{client_secret_post}', ARRAY[sha256(:'secret'::bytea)],
       ARRAY['https://app-' || number || '.example/callback'], '{jobs:read}', false, now() - interval '2 years', now()
FROM generate_series(0, 199) number;

INSERT INTO users (id, clerk_user_id, email, name, plan, plan_status, created_at)
SELECT scale_user(number), 'user_scale' || number, 'person-' || number || '@company-' || number % 5000 || '.example', 'Person ' || number,
       CASE WHEN number % 3 = 0 THEN 'pro' END, CASE WHEN number % 3 = 0 THEN 'active' END, now() - interval '2 years' * random()
FROM generate_series(:first, :last) number;

INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at)
SELECT scale_user(number), 'scale_' || (number + app * 37) % 200, 'app-' || (number + app * 37) % 200 || '.example', '{jobs:read}', now() - interval '100 days'
FROM generate_series(:first, :last) number, generate_series(0, 2) app;

INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
SELECT CASE WHEN number % 4 = 0 THEN 'stripe' ELSE 'clerk' END, 'evt_scale' || number, CASE WHEN number % 4 = 0 THEN 'invoice.paid' ELSE 'user.updated' END,
       'user_scale' || number, CASE WHEN number % 500 = 0 THEN 'failed' ELSE 'completed' END, 1, at, at, at + interval '20 ms',
       CASE WHEN number % 500 = 0 THEN 'the database was away' END, CASE WHEN number % 500 = 0 THEN '{}'::bytea END
FROM generate_series(:first, :last) number, LATERAL (SELECT now() - interval '30 days' * (1 - number::float8 / :total) AS at) happened;

INSERT INTO verification_sessions (order_id, customer_email, order_total, status, deadline, created_at, decided_at)
SELECT 'order-' || number, 'person-' || number || '@company-' || number % 5000 || '.example', 49.90, 'verified', at + interval '72 hours', at, at + interval '1 hour'
FROM generate_series(:first, :last, 10) number, LATERAL (SELECT now() - interval '30 days' * (1 - number::float8 / :total) AS at) happened;
\endif

-- Five a person; one in seven ended within the last 30 days, the rest lives.
\if :sessions
INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at, revoked_at, revoke_reason)
SELECT scale_session(number), 'scale_' || CASE WHEN number % 5 < 3 THEN 0 ELSE number % 200 END, scale_user(number / 5), '{jobs:read}', '{jobs:read}',
       'http://127.0.0.1/gpt', at, greatest(at, now() - interval '1 day' * (number % 29)), at + interval '180 days',
       CASE WHEN number % 7 = 0 THEN now() - interval '1 day' * (number % 29) END, CASE WHEN number % 7 = 0 THEN 'user' END
FROM generate_series(:first, :last) number, LATERAL (SELECT now() - interval '150 days' * (1 - number::float8 / :total) - interval '1 hour' AS at) began;

INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at, rotated_at, rotated_to, revoked_at)
SELECT sha256(convert_to('scale-' || number || '-' || generation, 'UTF8')), scale_session(number), generation, now() - interval '1 day' * (3 - generation),
       now() + interval '27 days', CASE WHEN generation < 2 THEN now() - interval '1 day' * (2 - generation) END,
       CASE WHEN generation < 2 THEN sha256(convert_to('scale-' || number || '-' || generation + 1, 'UTF8')) END,
       CASE WHEN generation = 2 AND number % 7 = 0 THEN now() - interval '1 day' * (number % 29) END
FROM generate_series(:first, :last) number, generate_series(0, 2) generation;
\endif

-- Evenly over the months, in the order of time: of a person's day mostly refreshes and calls.
\if :events
INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata, source, occurred_at, recorded_at)
SELECT scale_session(number + 1000000000), type, 'user_scale' || person, 'scale_' || person % 200, scale_session(person * 5)::text, md5('c' || number), '198.51.100.7',
       jsonb_build_object('clerk_user_id', 'user_scale' || person, 'client_id', 'scale_' || person % 200, 'session_id', scale_session(person * 5), 'scopes',
           '["jobs:read"]'::jsonb, 'ip_address', '198.51.100.7'), 'gpt-functions', at, at
FROM generate_series(:first, :last) number,
     LATERAL (SELECT (number * 7919::bigint) % :people_total AS person, now() - interval '1 month' * :months * (1 - number::float8 / :total) AS at,
                     (ARRAY['gpt.oauth.token_refreshed', 'gpt.oauth.token_refreshed', 'gpt.oauth.token_refreshed', 'gpt.oauth.token_refreshed',
                            'gpt.oauth.token_refreshed', 'gpt.oauth.token_refreshed', 'gpt.action.applyForJob', 'gpt.action.applyForJob.result',
                            'gpt.oauth.signed_in', 'gpt.oauth.token_exchanged'])[1 + number % 10] AS type) event;
\endif
