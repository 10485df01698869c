-- Users for the gateway's benchmark, each with a live session and a refresh token that is known by its text.
-- psql variables: secret (the client's), users (how many).
INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
VALUES ('bench', 'Benchmark', 'confidential', '{client_secret_post}', ARRAY[sha256(:'secret'::bytea)], '{https://bench.example/callback}', '{jobs:read}', false, now());

CREATE TEMP TABLE fresh AS SELECT gen_random_uuid() AS user_id, gen_random_uuid() AS session_id, number FROM generate_series(1, :users) number;
INSERT INTO users (id, clerk_user_id, plan, created_at) SELECT user_id, 'user_bench_' || number, 'pro', now() FROM fresh;
INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
SELECT session_id, 'bench', user_id, '{jobs:read}', '{jobs:read}', :'resource', now(), now(), now() + interval '180 days' FROM fresh;
INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
SELECT sha256(convert_to('bench-' || number, 'UTF8')), session_id, 0, now(), now() + interval '30 days' FROM fresh;
