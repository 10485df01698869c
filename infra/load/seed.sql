-- One user and one client for the benchmark, with live sessions: each has one refresh token, known by its text.
-- psql variables: secret (the client's), sessions (how many).
INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), 'user_bench', now()) ON CONFLICT DO NOTHING;
INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
VALUES ('bench', 'Benchmark', 'confidential', '{client_secret_post}', ARRAY[sha256(:'secret'::bytea)], '{https://bench.example/callback}', '{jobs:read}', false, now())
ON CONFLICT DO NOTHING;

CREATE TEMP TABLE fresh AS SELECT gen_random_uuid() AS id, number FROM generate_series(0, :sessions - 1) number;
INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
SELECT fresh.id, 'bench', users.id, '{jobs:read}', '{jobs:read}', 'https://bench.example/gpt', now(), now(), now() + interval '180 days' FROM fresh, users WHERE clerk_user_id = 'user_bench';
INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
SELECT sha256(convert_to(:'prefix' || '-' || number || '-0', 'UTF8')), id, 0, now(), now() + interval '30 days' FROM fresh;
