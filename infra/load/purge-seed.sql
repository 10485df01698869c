-- Refresh tokens that are due to be purged, as years of use leave them: inserted in the order of time, each superseded by the next of its
-- family, expired 31 to 121 days ago. Their sessions live on and have a live token.
-- psql variables: rows (tokens due), families (sessions they belong to). Needs the user and client of seed.sql.
CREATE TEMP TABLE families AS SELECT gen_random_uuid() AS id, number FROM generate_series(0, :families - 1) number;
INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
SELECT families.id, 'bench', users.id, '{jobs:read}', '{jobs:read}', 'https://bench.example/gpt', now() - interval '155 days', now(), now() + interval '25 days'
FROM families, users WHERE clerk_user_id = 'user_bench';

-- Checked once at the end instead of a million times.
ALTER TABLE gpt_refresh_tokens DROP CONSTRAINT gpt_refresh_tokens_session_id_fkey;
INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at, rotated_at, rotated_to)
SELECT sha256(uuid_send(gen_random_uuid())), families.id, turn, at - interval '30 days', at, at - interval '29 days', sha256(uuid_send(gen_random_uuid()))
FROM generate_series(0, :rows / :families - 1) turn, families, LATERAL (SELECT now() - interval '121 days' + (turn * :families + families.number) * interval '90 days' / :rows AS at) due
ORDER BY turn, families.number;
INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
SELECT sha256(uuid_send(gen_random_uuid())), id, :rows, now(), now() + interval '25 days' FROM families;
ALTER TABLE gpt_refresh_tokens ADD CONSTRAINT gpt_refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES gpt_sessions ON DELETE CASCADE;
